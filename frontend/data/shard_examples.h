/*
 * Shards -> examples for batches: segment pairs that are masked anew in each epoch. Fields:
 *   labels               i64 per token: the ids that masked tokens had, EXAMPLE_NO_LABEL elsewhere; without masking there is none
 *   next_sentence_label  i64 [B]: of shards of segment pairs, where asked for
 * What an example is in an epoch depends on the seed of the masking, the epoch and its number, not on batches or threads.
 */
#ifndef POFAC_FRONTEND_DATA_SHARD_EXAMPLES_H
#define POFAC_FRONTEND_DATA_SHARD_EXAMPLES_H

#include "frontend/data/example_source.h"
#include "frontend/data/shard_set.h"
#include "frontend/data/token_masking.h"

typedef enum shard_labels { SHARD_LABELS_MASKED = 1, SHARD_LABELS_NEXT_SENTENCE = 2 } shard_labels;

typedef struct shard_examples_options {
    unsigned labels;         /* shard_labels, or'ed together */
    masking_options masking; /* of SHARD_LABELS_MASKED */
} shard_examples_options;

typedef struct shard_examples shard_examples;

/* `set` must outlive the examples; the tokenizer is not kept. POFAC_ERR_INPUT: the shards were made with another vocabulary than the
 * tokenizer's, or labels of next sentences are wanted of shards that have none; as token_masking_create. */
POFAC_MUST_USE pofac_status shard_examples_create(const shard_set *set, const tokenizer *t, const shard_examples_options *options,
                                                  const diag_sink *sink, shard_examples **out);
void shard_examples_destroy(shard_examples *e); /* NULL is fine */

/* Lives as the examples. */
example_source shard_examples_source(const shard_examples *e);

#endif
