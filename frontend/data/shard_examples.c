/* Shards as a source of examples, masked as they are read; see shard_examples.h. */
#include "frontend/data/shard_examples.h"

#include <stdlib.h>
#include <string.h>

#define LABELS_FIELD 0 /* of a masked source */

_Static_assert(MASKING_NO_LABEL == EXAMPLE_NO_LABEL, "tokens that are not masked, and padding");

struct shard_examples {
    const shard_set *set;
    token_masking *masking; /* NULL: none */
    shard_examples_options options;
};

static pofac_status check_shards(const shard_set *set, const tokenizer *t, const shard_examples_options *o, const diag_sink *sink) {
    const shard_info *info = shard_set_info(set);
    const hash128 found = info->vocabulary, wanted = shard_vocabulary_hash(t);
    if (shard_set_size(set) == 0) return diag_error(sink, POFAC_ERR_INPUT, NULL, "shards: found no examples, wanted at least one");
    if (found.low != wanted.low || found.high != wanted.high)
        return diag_error(
            sink, POFAC_ERR_INPUT, NULL,
            "shards: found ids of another vocabulary of %u tokens, wanted the tokenizer's of %zu, split in the same way",
            (unsigned)info->vocab_size, tokenizer_vocab_size(t));
    if ((o->labels & SHARD_LABELS_NEXT_SENTENCE) && info->mode != PAIR_MODE_segment_pair_nsp)
        return diag_error(sink, POFAC_ERR_INPUT, NULL,
                          "shards: found mode %s, wanted segment_pair_nsp for labels of next sentences",
                          pair_mode_name((pair_mode)info->mode));
    return POFAC_OK;
}

pofac_status shard_examples_create(const shard_set *set, const tokenizer *t, const shard_examples_options *options,
                                   const diag_sink *sink, shard_examples **out) {
    *out = NULL;
    TRY(check_shards(set, t, options, sink));
    shard_examples *e = calloc(1, sizeof *e);
    if (!e) return diag_out_of_memory(sink);
    e->set = set;
    e->options = *options;
    pofac_status status =
        options->labels & SHARD_LABELS_MASKED ? token_masking_create(t, &options->masking, sink, &e->masking) : POFAC_OK;
    if (status == POFAC_OK) *out = e;
    else shard_examples_destroy(e);
    return status;
}

void shard_examples_destroy(shard_examples *e) {
    if (!e) return;
    token_masking_destroy(e->masking);
    free(e);
}

static pofac_status measure(void *user, uint64_t i, const diag_sink *sink, size_t *n_tokens) {
    const shard_examples *e = user;
    shard_example found;
    TRY(shard_set_measure(e->set, i, sink, &found));
    *n_tokens = found.n_tokens;
    return POFAC_OK;
}

static pofac_status read_example(void *user, uint64_t epoch, uint64_t i, const diag_sink *sink, example_buffer *out) {
    const shard_examples *e = user;
    shard_example found;
    TRY(shard_set_read(e->set, i, sink, out->ids, &found));
    out->n_tokens = found.n_tokens;
    for (size_t k = 0; k < found.n_tokens; k++) out->types[k] = k >= found.second;
    if (e->masking)
        (void)token_masking_apply(e->masking, (uint32_t)epoch, i, out->ids, out->token_values[LABELS_FIELD], found.n_tokens);
    if (e->options.labels & SHARD_LABELS_NEXT_SENTENCE) out->values[e->masking ? LABELS_FIELD + 1 : 0] = found.label;
    return POFAC_OK;
}

/* Of what the shards were made with and how they are masked; a changed byte within them is found where they are read. */
static uint64_t fingerprint(const shard_examples *e) {
    const shard_info *common = shard_set_info(e->set);
    uint64_t h = hash_combine(hash_bytes(&common->vocabulary, sizeof common->vocabulary), common->seed);
    const double probability = e->options.masking.probability;
    h = hash_combine(h, hash_combine(common->mode, e->options.labels));
    for (size_t i = 0; i < shard_set_shards(e->set); i++) {
        const shard_info *info = shard_get_info(shard_set_shard(e->set, i));
        h = hash_combine(h, hash_combine(info->n_examples, info->n_tokens));
    }
    if (!e->masking) return h;
    h = hash_combine(h, hash_bytes(&probability, sizeof probability));
    return hash_combine(h, hash_combine(e->options.masking.seed, e->options.masking.unit));
}

example_source shard_examples_source(const shard_examples *e) {
    example_source s = {.n_examples = shard_set_size(e->set),
                        .fingerprint = fingerprint(e),
                        .max_length = shard_set_info(e->set)->max_length,
                        .measure = measure,
                        .read = read_example,
                        .user = (void *)e};
    if (e->masking) s.fields[s.n_fields++] = (example_field){"labels", IR_I64, true};
    if (e->options.labels & SHARD_LABELS_NEXT_SENTENCE)
        s.fields[s.n_fields++] = (example_field){"next_sentence_label", IR_I64, false};
    return s;
}
