/* One shard; see shards.h. */
#include "frontend/data/shards.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/block_file.h"
#include "ir/support/strbuf.h"

_Static_assert(sizeof(pair_example) == 16, "an example in a file has 16 bytes");
_Static_assert(sizeof(shard_info) == 104, "the information of a shard has no padding");

static const block_file_kind shard_kind = {.magic = {'P', 'O', 'F', 'A', 'C', 'S', 'H', 'D'},
                                           .version = SHARD_VERSION,
                                           .name = "shard",
                                           .n_sections = 2,
                                           .info_bytes = sizeof(shard_info)};

static const char *const split_names[N_SHARD_SPLITS] = {"train", "validation"};

struct shard {
    block_file *file;
    const shard_info *info;
    const pair_example *examples;
    const unsigned char *tokens;
};

const char *shard_split_name(shard_split split) { return split_names[split]; }

bool shard_split_parse(const char *name, shard_split *out) {
    for (int i = 0; i < N_SHARD_SPLITS; i++) {
        if (strcmp(split_names[i], name) != 0) continue;
        *out = (shard_split)i;
        return true;
    }
    return false;
}

hash128 shard_vocabulary_hash(const tokenizer *t) {
    const tokenizer_options *o = tokenizer_get_options(t);
    const size_t n = tokenizer_vocab_size(t);
    const uint64_t settings[4] = {o->do_lower_case, o->strip_accents, o->tokenize_chinese_chars, o->max_input_chars_per_word};
    hash128 h = hash_bytes128(settings, sizeof settings);
    for (size_t id = 0; id < n; id++) {
        const char *token = tokenizer_token(t, (int32_t)id);
        const hash128 one = hash_bytes128(token, strlen(token));
        const uint64_t both[4] = {h.low, h.high, one.low, one.high};
        h = hash_bytes128(both, sizeof both);
    }
    return h;
}

void shard_info_set_tokenizer(shard_info *info, const tokenizer *t) {
    info->vocabulary = shard_vocabulary_hash(t);
    info->vocab_size = (uint32_t)tokenizer_vocab_size(t);
    info->token_bytes = (uint32_t)token_bytes_for(info->vocab_size);
    for (int i = 0; i < TOKENIZER_N_SPECIALS; i++) info->special_id[i] = tokenizer_special_id(t, (tokenizer_special)i);
}

pofac_status shard_write(const char *path, const shard_info *info, const pair_list *list, const diag_sink *sink) {
    shard_info counted = *info;
    counted.n_examples = list->examples.size;
    counted.n_tokens = list->tokens.size / info->token_bytes;
    const block_file_section sections[2] = {{list->examples.data, list->examples.size * sizeof(pair_example)},
                                            {list->tokens.data, list->tokens.size}};
    return block_file_write(path, &shard_kind, &counted, sections, sink);
}

/* ---- reading ---- */

static pofac_status refuse(const shard *s, const diag_sink *sink, const char *format, ...) POFAC_PRINTF(3, 4);
static pofac_status refuse(const shard *s, const diag_sink *sink, const char *format, ...) {
    const diag_place place = {.file = block_file_path(s->file)};
    va_list args;
    va_start(args, format);
    const pofac_status status = diag_verror(sink, POFAC_ERR_INPUT, &place, format, args);
    va_end(args);
    return status;
}

/* The information has a checksum, so what is wrong here was written so. */
static pofac_status check_info(const shard *s, const diag_sink *sink) {
    const shard_info *i = s->info;
    const uint64_t example_bytes = block_file_get(s->file, 0).bytes, token_bytes = block_file_get(s->file, 1).bytes;
    if (i->vocab_size == 0 || i->vocab_size > INT32_MAX || i->token_bytes != token_bytes_for(i->vocab_size))
        return refuse(s, sink, "found %" PRIu32 " bytes for ids of a vocabulary of %" PRIu32, i->token_bytes, i->vocab_size);
    if (i->max_length < PAIR_LEAST_LENGTH || i->max_length > PAIR_MOST_LENGTH)
        return refuse(s, sink, "found a length of %" PRIu32 ", wanted %d to %d", i->max_length, PAIR_LEAST_LENGTH,
                      PAIR_MOST_LENGTH);
    if (i->mode >= N_PAIR_MODES) return refuse(s, sink, "found mode %" PRIu32 ", wanted one below %d", i->mode, N_PAIR_MODES);
    if (i->split >= N_SHARD_SPLITS)
        return refuse(s, sink, "found split %" PRIu32 ", wanted one below %d", i->split, N_SHARD_SPLITS);
    for (int k = 0; k < TOKENIZER_N_SPECIALS; k++)
        if (i->special_id[k] < -1 || i->special_id[k] >= (int32_t)i->vocab_size)
            return refuse(s, sink, "found id %" PRId32 " for %s, which the vocabulary of %" PRIu32 " does not have",
                          i->special_id[k], tokenizer_special_name((tokenizer_special)k), i->vocab_size);
    if (i->n_examples != example_bytes / sizeof(pair_example) || example_bytes % sizeof(pair_example))
        return refuse(s, sink, "found %" PRIu64 " bytes for %" PRIu64 " examples", example_bytes, i->n_examples);
    if (i->n_tokens != token_bytes / i->token_bytes || token_bytes % i->token_bytes)
        return refuse(s, sink, "found %" PRIu64 " bytes for %" PRIu64 " tokens", token_bytes, i->n_tokens);
    return POFAC_OK;
}

pofac_status shard_open(const char *path, const diag_sink *sink, shard **out) {
    *out = NULL;
    shard *s = calloc(1, sizeof *s);
    if (!s) return diag_out_of_memory(sink);
    pofac_status status = block_file_open(path, &shard_kind, sink, &s->file);
    if (status == POFAC_OK) {
        s->info = block_file_info(s->file);
        s->examples = block_file_get(s->file, 0).data;
        s->tokens = block_file_get(s->file, 1).data;
        status = check_info(s, sink);
    }
    if (status == POFAC_OK) *out = s;
    else shard_close(s);
    return status;
}

void shard_close(shard *s) {
    if (!s) return;
    block_file_close(s->file);
    free(s);
}

const shard_info *shard_get_info(const shard *s) { return s->info; }

/* The checked record of an example. */
static pofac_status find_example(const shard *s, uint64_t index, const diag_sink *sink, const pair_example **out) {
    const pair_example *e = &s->examples[index];
    TRY(block_file_need(s->file, e, sizeof *e, sink));
    if (e->n_tokens < 2 || e->n_tokens > s->info->max_length || e->begin > s->info->n_tokens ||
        e->n_tokens > s->info->n_tokens - e->begin)
        return refuse(s, sink, "example %" PRIu64 ": found tokens %" PRIu64 " to %" PRIu64 ", wanted 2 to %" PRIu32 " of %" PRIu64,
                      index, e->begin, e->begin + e->n_tokens, s->info->max_length, s->info->n_tokens);
    if (e->second < 1 || e->second > e->n_tokens || e->label < PAIR_NO_LABEL || e->label > PAIR_IS_RANDOM)
        return refuse(s, sink, "example %" PRIu64 ": found a second segment at %" PRIu16 " of %" PRIu16 " tokens with label %d",
                      index, e->second, e->n_tokens, e->label);
    *out = e;
    return POFAC_OK;
}

pofac_status shard_measure(const shard *s, uint64_t index, const diag_sink *sink, shard_example *out) {
    const pair_example *e;
    TRY(find_example(s, index, sink, &e));
    *out = (shard_example){e->n_tokens, e->second, (pair_label)e->label};
    return POFAC_OK;
}

pofac_status shard_read(const shard *s, uint64_t index, const diag_sink *sink, int32_t *ids, shard_example *out) {
    const pair_example *e;
    TRY(find_example(s, index, sink, &e));
    const size_t width = s->info->token_bytes;
    const unsigned char *tokens = s->tokens + e->begin * width;
    TRY(block_file_need(s->file, tokens, e->n_tokens * width, sink));
    for (size_t i = 0; i < e->n_tokens; i++) {
        uint32_t id = 0;
        memcpy(&id, tokens + i * width, width);
        if (id >= s->info->vocab_size)
            return refuse(s, sink, "example %" PRIu64 ": found token id %" PRIu32 ", wanted one below %" PRIu32, index, id,
                          s->info->vocab_size);
        ids[i] = (int32_t)id;
    }
    *out = (shard_example){e->n_tokens, e->second, (pair_label)e->label};
    return POFAC_OK;
}

pofac_status shard_check(const shard *s, const diag_sink *sink) {
    TRY(block_file_check(s->file, sink));
    int32_t *ids = calloc(s->info->max_length, sizeof *ids);
    if (!ids) return diag_out_of_memory(sink);
    pofac_status status = POFAC_OK;
    shard_example e;
    for (uint64_t i = 0; status == POFAC_OK && i < s->info->n_examples; i++) status = shard_read(s, i, sink, ids, &e);
    free(ids);
    return status;
}
