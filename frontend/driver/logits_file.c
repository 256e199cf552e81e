/* Files of logits; see logits_file.h. */
#include "frontend/driver/logits_file.h"

#include <inttypes.h>
#include <string.h>

static const block_file_kind logits_kind = {.magic = {'p', 'o', 'f', 'a', 'c', 'L', 'G', 'T'},
                                            .version = 1,
                                            .name = "file of logits",
                                            .n_sections = 4,
                                            .info_bytes = sizeof(logits_file_info)};

_Static_assert(sizeof(logits_file_info) == 136, "the info of a file has no padding");

void logits_file_path(const char *dir, uint64_t epoch, uint64_t file, strbuf *out) {
    strbuf_clear(out);
    strbuf_printf(out, "%s/epoch-%03" PRIu64 "-%05" PRIu64 ".logits", dir, epoch, file);
}

const char *logits_file_difference(const logits_file_info *a, const logits_file_info *b) {
    if (memcmp(a->head, b->head, sizeof a->head) != 0) return "the head";
    if (a->classes != b->classes || a->sequence_width != b->sequence_width) return "the number of classes";
    if (a->labels != b->labels) return "the order of labels";
    if (a->data != b->data || a->n_examples != b->n_examples || a->every_epoch != b->every_epoch) return "the data";
    if (a->teacher.low != b->teacher.low || a->teacher.high != b->teacher.high) return "the teacher";
    if (a->top_k != b->top_k || a->token_width != b->token_width) return "top_k";
    if (a->is_half != b->is_half) return "the dtype";
    return a->per_file != b->per_file ? "the number of examples in a file" : NULL;
}

/* Bytes of the sections; false when they cannot be counted. */
static bool section_bytes(const logits_file_info *info, size_t bytes[4]) {
    const size_t entry = info->is_half ? sizeof(uint16_t) : sizeof(float);
    size_t row;
    return info->n < UINT64_MAX && !__builtin_mul_overflow(info->n + 1, sizeof(uint64_t), &bytes[0]) &&
           !__builtin_mul_overflow(info->sequence_width, sizeof(float), &row) && !__builtin_mul_overflow(info->n, row, &bytes[1]) &&
           !__builtin_mul_overflow(info->token_width, entry, &row) && !__builtin_mul_overflow(info->n_tokens, row, &bytes[2]) &&
           !__builtin_mul_overflow(info->top_k, sizeof(int32_t), &row) && !__builtin_mul_overflow(info->n_tokens, row, &bytes[3]);
}

pofac_status logits_file_write(const char *path, const logits_file_info *info, const logits_file_content *content,
                               const diag_sink *sink) {
    size_t bytes[4];
    if (!section_bytes(info, bytes)) return diag_out_of_memory(sink);
    const block_file_section sections[4] = {
        {content->starts, bytes[0]}, {content->sequences, bytes[1]}, {content->tokens, bytes[2]}, {content->ids, bytes[3]}};
    return block_file_write(path, &logits_kind, info, sections, sink);
}

static bool agrees(const block_file *f, const logits_file_info *info) {
    size_t bytes[4];
    if (info->per_file == 0 || info->n == 0 || info->n > info->per_file || info->classes > INT32_MAX) return false;
    if (info->first % info->per_file != 0 || info->first > info->n_examples || info->n > info->n_examples - info->first)
        return false;
    if (info->n != info->per_file && info->n != info->n_examples - info->first) return false;
    if (info->head[sizeof info->head - 1] || info->is_half > 1 || info->every_epoch > 1) return false;
    if (info->token_width && (info->classes == 0 || (info->top_k ? info->token_width != info->top_k || info->top_k > info->classes
                                                                 : info->token_width % info->classes != 0)))
        return false;
    if (!section_bytes(info, bytes)) return false;
    for (size_t i = 0; i < 4; i++)
        if (block_file_get(f, i).bytes != bytes[i]) return false;
    return true;
}

pofac_status logits_file_open(const char *path, const diag_sink *sink, block_file **out, logits_file_info *info,
                              logits_file_content *content) {
    block_file *f;
    *out = NULL;
    TRY(block_file_open(path, &logits_kind, sink, &f));
    *info = *(const logits_file_info *)block_file_info(f);
    if (!agrees(f, info)) {
        block_file_close(f);
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path},
                          "found counts that its sections do not have, wanted a whole file of logits");
    }
    *content = (logits_file_content){block_file_get(f, 0).data, block_file_get(f, 1).data, block_file_get(f, 2).data,
                                     block_file_get(f, 3).data};
    *out = f;
    return POFAC_OK;
}
