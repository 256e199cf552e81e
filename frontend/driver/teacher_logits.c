/* Reading kept logits; see teacher_logits.h. Files are mapped when the first of their examples comes, and stay. */
#include "frontend/driver/teacher_logits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/file_map.h"

typedef struct opened_file {
    block_file *file; /* NULL: not yet */
    logits_file_info info;
    logits_file_content content;
} opened_file;

struct teacher_logits {
    char *dir;
    logits_file_info info; /* of the first file */
    logits_output outputs[LOGITS_MOST_OUTPUTS];
    size_t n_outputs;
    uint64_t epochs, files; /* files of an epoch */
    opened_file *opened;    /* [epochs * files] */
    strbuf path;
};

/* ---- outputs ---- */

size_t logits_outputs(const model_spec *spec, logits_output out[LOGITS_MOST_OUTPUTS]) {
    static const logits_output
        words = {"prediction_logits", "teacher_logits.prediction_logits", "teacher_ids.prediction_logits", 0, true, false, true},
        next = {"seq_relationship_logits", "teacher_logits.seq_relationship_logits", NULL, 2, false, false, false},
        labels = {"logits", "teacher_logits.logits", NULL, 0, false, false, false},
        start = {"start_logits", "teacher_logits.start_logits", NULL, 1, true, true, false},
        end = {"end_logits", "teacher_logits.end_logits", NULL, 1, true, true, false};
    switch (spec->head) {
    case HEAD_PRETRAINING:
    case HEAD_MASKED_LM:
        out[0] = words;
        out[0].classes = spec->vocab_size;
        if (spec->head == HEAD_MASKED_LM || spec->arch != MODEL_BERT) return 1;
        out[1] = next;
        return 2;
    case HEAD_SEQUENCE_CLASSIFICATION:
    case HEAD_TOKEN_CLASSIFICATION:
        if (spec->head == HEAD_SEQUENCE_CLASSIFICATION && spec->regression) return 0;
        out[0] = labels;
        out[0].classes = spec->num_labels;
        out[0].per_token = spec->head == HEAD_TOKEN_CLASSIFICATION;
        return 1;
    case HEAD_QUESTION_ANSWERING:
        out[0] = start;
        out[1] = end;
        return 2;
    case HEAD_NONE:
    case HEAD_AUTO: break;
    }
    return 0;
}

static uint64_t hash_labels(const model_spec *spec) {
    const model_head_row *head = model_head_find(spec->head);
    uint64_t h = 0;
    for (int64_t i = 0; head && head->has_labels && spec->labels && i < spec->num_labels; i++)
        h = hash_combine(h, hash_bytes(spec->labels[i], strlen(spec->labels[i])));
    return h;
}

void logits_info_of(const model_spec *spec, uint64_t data, uint64_t n_examples, int64_t top_k, bool is_half,
                    logits_file_info *out) {
    logits_output outputs[LOGITS_MOST_OUTPUTS];
    const size_t n = logits_outputs(spec, outputs);
    *out = (logits_file_info){.data = data, .n_examples = n_examples, .labels = hash_labels(spec)};
    snprintf(out->head, sizeof out->head, "%s", model_head_name(spec->head));
    for (size_t i = 0; i < n; i++) {
        const uint32_t classes = (uint32_t)outputs[i].classes;
        if (!outputs[i].per_token) {
            out->sequence_width += classes;
            continue;
        }
        out->classes = classes;
        if (outputs[i].is_vocabulary && top_k > 0 && top_k < outputs[i].classes) out->top_k = (uint32_t)top_k;
        out->token_width += out->top_k ? out->top_k : classes;
        out->is_half = is_half && outputs[i].is_vocabulary;
    }
}

/* ---- opening ---- */

static pofac_status refuse(const teacher_logits *t, const diag_sink *sink, const char *what) {
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = t->dir}, "%s", what);
}

/* Messages of the differences that other data or another model make. */
static pofac_status check_use(const teacher_logits *t, const teacher_logits_use *use, const diag_sink *sink) {
    const logits_file_info *found = &t->info;
    logits_file_info wanted;
    logits_info_of(use->spec, use->data, use->n_examples, found->top_k, found->is_half, &wanted);
    if (memcmp(found->head, wanted.head, sizeof wanted.head) != 0)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = t->dir}, "found logits of the head %s, wanted %s",
                          found->head, wanted.head);
    if (found->sequence_width != wanted.sequence_width || found->classes != wanted.classes ||
        found->token_width != wanted.token_width)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = t->dir},
                          "found logits of %u classes, wanted %u, which the head %s of the model has",
                          found->token_width ? found->classes : found->sequence_width,
                          wanted.token_width ? wanted.classes : wanted.sequence_width, wanted.head);
    if (found->labels != wanted.labels)
        return refuse(t, sink,
                      "found logits of labels with other names or in another order, wanted those of the model; with the teacher "
                      "named beside its "
                      "logits, a new head takes the teacher's");
    if (found->n_examples != wanted.n_examples)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = t->dir},
                          "found logits of %" PRIu64 " examples, wanted %" PRIu64 ", those that are learned from",
                          found->n_examples, wanted.n_examples);
    if (found->data != wanted.data)
        return refuse(t, sink,
                      "found logits of other data, or of a masking by another seed or share, wanted those of what is learned from");
    return POFAC_OK;
}

static pofac_status check_files(teacher_logits *t, uint64_t wanted, const diag_sink *sink) {
    for (uint64_t e = 0; e < wanted; e++)
        for (uint64_t f = 0; f < t->files; f++) {
            logits_file_path(t->dir, e, f, &t->path);
            if (!strbuf_ok(&t->path)) return diag_out_of_memory(sink);
            if (file_exists(strbuf_str(&t->path))) continue;
            const uint64_t first = f * t->info.per_file, rest = t->info.n_examples - first;
            if (f == 0)
                return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = t->dir},
                                  "found logits of %" PRIu64 " epoch%s, wanted %" PRIu64 ", which the run takes", e,
                                  e == 1 ? "" : "s", wanted);
            return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = t->dir},
                              "found no logits of the examples from %" PRIu64 " to %" PRIu64 " in epoch %" PRIu64
                              ", wanted them; the same `pofac data logits` goes on",
                              first, first + (rest < t->info.per_file ? rest : t->info.per_file) - 1, e);
        }
    return POFAC_OK;
}

/* The file, mapped; NULL is where memory was short or the file is wrong. */
static pofac_status get_file(teacher_logits *t, uint64_t epoch, uint64_t file, const diag_sink *sink, const opened_file **out) {
    opened_file *o = &t->opened[epoch * t->files + file];
    *out = o;
    if (o->file) return POFAC_OK;
    logits_file_path(t->dir, epoch, file, &t->path);
    if (!strbuf_ok(&t->path)) return diag_out_of_memory(sink);
    TRY(logits_file_open(strbuf_str(&t->path), sink, &o->file, &o->info, &o->content));
    const char *difference = logits_file_difference(&o->info, &t->info);
    if (!difference && (o->info.epoch != epoch || o->info.first != file * t->info.per_file)) difference = "its place";
    if (!difference) return POFAC_OK;
    block_file_close(o->file);
    o->file = NULL;
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = strbuf_str(&t->path)},
                      "found logits that differ from those beside it in %s, wanted one directory for each", difference);
}

static pofac_status open_first(teacher_logits *t, const diag_sink *sink) {
    block_file *f;
    logits_file_content content;
    logits_file_path(t->dir, 0, 0, &t->path);
    if (!strbuf_ok(&t->path)) return diag_out_of_memory(sink);
    if (!file_exists(strbuf_str(&t->path)))
        return refuse(t, sink, "found no logits of a teacher, wanted a directory that `pofac data logits` made");
    TRY(logits_file_open(strbuf_str(&t->path), sink, &f, &t->info, &content));
    block_file_close(f);
    return POFAC_OK;
}

static pofac_status open_all(teacher_logits *t, const teacher_logits_use *use, const diag_sink *sink) {
    size_t n;
    TRY(open_first(t, sink));
    TRY(check_use(t, use, sink));
    t->n_outputs = logits_outputs(use->spec, t->outputs);
    t->files = (t->info.n_examples + t->info.per_file - 1) / t->info.per_file;
    t->epochs = t->info.every_epoch || use->epochs == 0 ? 1 : use->epochs;
    TRY(check_files(t, t->epochs, sink));
    if (__builtin_mul_overflow(t->epochs, t->files, &n) || !(t->opened = calloc(n, sizeof *t->opened)))
        return diag_out_of_memory(sink);
    return POFAC_OK;
}

pofac_status teacher_logits_open(const char *dir, const teacher_logits_use *use, const diag_sink *sink, teacher_logits **out) {
    *out = NULL;
    teacher_logits *t = calloc(1, sizeof *t);
    if (!t) return diag_out_of_memory(sink);
    t->path = (strbuf)STRBUF_INIT;
    t->dir = strdup(dir);
    pofac_status status = t->dir ? open_all(t, use, sink) : diag_out_of_memory(sink);
    if (status == POFAC_OK) *out = t;
    else teacher_logits_close(t);
    return status;
}

void teacher_logits_close(teacher_logits *t) {
    if (!t) return;
    for (uint64_t i = 0; t->opened && i < t->epochs * t->files; i++) block_file_close(t->opened[i].file);
    free(t->opened);
    free(t->dir);
    strbuf_free(&t->path);
    free(t);
}

const logits_file_info *teacher_logits_info(const teacher_logits *t) { return &t->info; }

/* ---- reading ---- */

/* Where an example's logits stand. */
typedef struct logits_view {
    uint64_t n_tokens;
    const float *sequence;
    const void *tokens;
    const int32_t *ids;
} logits_view;

static pofac_status find_example(teacher_logits *t, uint64_t epoch, uint64_t example, const diag_sink *sink, logits_view *out) {
    const opened_file *o;
    const uint64_t e = t->info.every_epoch ? 0 : epoch;
    if (e >= t->epochs || example >= t->info.n_examples)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = t->dir},
                          "found no logits of example %" PRIu64 " in epoch %" PRIu64 ", wanted them", example, epoch);
    TRY(get_file(t, e, example / t->info.per_file, sink, &o));
    const logits_file_info *info = &o->info;
    const uint64_t i = example - info->first, *starts = o->content.starts + i;
    TRY(block_file_need(o->file, starts, 2 * sizeof *starts, sink));
    if (starts[0] > starts[1] || starts[1] > info->n_tokens)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = block_file_path(o->file)},
                          "found tokens of example %" PRIu64 " beyond the file's, wanted a file of `pofac data logits`", example);
    const size_t entry = info->is_half ? sizeof(uint16_t) : sizeof(float);
    *out = (logits_view){.n_tokens = starts[1] - starts[0]};
    if (info->sequence_width) {
        out->sequence = o->content.sequences + i * info->sequence_width;
        TRY(block_file_need(o->file, out->sequence, info->sequence_width * sizeof(float), sink));
    }
    if (info->token_width && out->n_tokens) {
        out->tokens = (const char *)o->content.tokens + starts[0] * info->token_width * entry;
        TRY(block_file_need(o->file, out->tokens, out->n_tokens * info->token_width * entry, sink));
    }
    if (!info->top_k || !out->n_tokens) return POFAC_OK;
    out->ids = o->content.ids + starts[0] * info->top_k;
    TRY(block_file_need(o->file, out->ids, out->n_tokens * info->top_k * sizeof(int32_t), sink));
    for (uint64_t k = 0; k < out->n_tokens * info->top_k; k++)
        if (out->ids[k] < 0 || (uint32_t)out->ids[k] >= info->classes)
            return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = block_file_path(o->file)},
                              "found class %" PRId32 " of example %" PRIu64 ", wanted one from 0 to %u", out->ids[k], example,
                              info->classes - 1);
    return POFAC_OK;
}

/* Zeroed memory of the next input. */
static pofac_status add_input(teacher_batch *b, const char *name, ir_dtype dtype, uint32_t rank, const int64_t *dims,
                              const diag_sink *sink) {
    const size_t i = b->n;
    size_t bytes = sizeof(float);
    for (uint32_t d = 0; d < rank; d++)
        if (__builtin_mul_overflow(bytes, (size_t)dims[d], &bytes)) return diag_out_of_memory(sink);
    if (bytes > b->capacity[i]) {
        void *memory = realloc(b->memory[i], bytes);
        if (!memory) return diag_out_of_memory(sink);
        b->memory[i] = memory;
        b->capacity[i] = bytes;
    }
    if (bytes) memset(b->memory[i], 0, bytes);
    b->names[i] = name;
    b->tensors[i] = tensor_view(dtype, rank, dims, b->memory[i]);
    b->n++;
    return POFAC_OK;
}

static pofac_status add_inputs(const teacher_logits *t, int64_t n, int64_t length, const diag_sink *sink, teacher_batch *out) {
    const int64_t top_k = t->info.top_k;
    out->n = 0;
    for (size_t i = 0; i < t->n_outputs; i++) {
        const logits_output *o = &t->outputs[i];
        const int64_t sequence[2] = {n, o->classes}, token[3] = {n, length, o->is_vocabulary && top_k ? top_k : o->classes};
        if (!o->per_token) TRY(add_input(out, o->logits, IR_F32, 2, sequence, sink));
        else TRY(add_input(out, o->logits, IR_F32, o->is_position ? 2 : 3, token, sink));
        if (o->is_vocabulary && top_k) TRY(add_input(out, o->ids, IR_I32, 3, token, sink));
    }
    return POFAC_OK;
}

static float token_logit(const teacher_logits *t, const logits_view *v, uint64_t i) {
    return t->info.is_half ? f16_to_float(((const uint16_t *)v->tokens)[i]) : ((const float *)v->tokens)[i];
}

/* The example's logits into row `row` of the inputs; outputs of tokens stand side by side in the file. */
static void put_row(const teacher_logits *t, const logits_view *v, int64_t row, int64_t length, teacher_batch *out) {
    size_t at = 0;
    uint64_t in_token = 0;
    for (size_t i = 0; i < t->n_outputs; i++) {
        const logits_output *o = &t->outputs[i];
        float *to = out->tensors[at++].data;
        if (!o->per_token) {
            memcpy(to + row * o->classes, v->sequence, (size_t)o->classes * sizeof(float));
            continue;
        }
        const bool in_part = o->is_vocabulary && t->info.top_k;
        const uint64_t width = in_part ? t->info.top_k : (uint64_t)o->classes;
        to += (uint64_t)(row * length) * width;
        for (uint64_t k = 0; k < v->n_tokens; k++)
            for (uint64_t c = 0; c < width; c++) to[k * width + c] = token_logit(t, v, k * t->info.token_width + in_token + c);
        in_token += width;
        if (!in_part) continue;
        int32_t *ids = out->tensors[at++].data;
        if (v->n_tokens) memcpy(ids + (uint64_t)(row * length) * width, v->ids, v->n_tokens * width * sizeof *ids);
    }
}

/* Tokens of a row of the batch that the attention mask keeps. */
static uint64_t count_kept(const batch *b, int64_t row, int64_t length) {
    uint64_t n = 0;
    for (size_t i = 0; i < b->n_tensors; i++) {
        if (strcmp(b->names[i], "attention_mask") != 0) continue;
        const int64_t *mask = (const int64_t *)b->tensors[i].data + row * length;
        for (int64_t k = 0; k < length; k++) n += mask[k] != 0;
    }
    return n;
}

pofac_status teacher_logits_read(teacher_logits *t, const batch *b, const diag_sink *sink, teacher_batch *out) {
    const int64_t n = b->n_sequences, length = b->n_tensors && b->tensors[0].rank == 2 ? b->tensors[0].dims[1] : 0;
    TRY(add_inputs(t, n, length, sink, out));
    for (int64_t row = 0; row < n; row++) {
        logits_view v;
        TRY(find_example(t, b->epoch, b->examples[row], sink, &v));
        const uint64_t kept = count_kept(b, row, length);
        if (v.n_tokens != kept || kept > (uint64_t)length)
            return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = t->dir},
                              "found logits of %" PRIu64 " tokens of example %" PRIu64 ", wanted %" PRIu64 ", which it has",
                              v.n_tokens, b->examples[row], kept);
        put_row(t, &v, row, length, out);
    }
    return POFAC_OK;
}

void teacher_batch_free(teacher_batch *b) {
    for (size_t i = 0; i < sizeof b->memory / sizeof *b->memory; i++) free(b->memory[i]);
    *b = (teacher_batch){0};
}
