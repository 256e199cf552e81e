/*
 * Which examples make up a batch, and in which order batches come: a function of (seed, epoch), without state.
 *
 *   in order    as the data are
 *   shuffled    every epoch in another random order (shuffled_index.h)
 *   by length   shuffled; then each chunk of 50 batches' worth (fewer where data are small) is sorted by length, cut into batches, and
 *               its batches shuffled: sequences of a batch have about one length, and still an epoch has no trend. Chunks as
 *               Hugging Face's group_by_length (get_length_grouped_indices) makes them, but that it leaves batches longest first.
 *
 * A batch has at most batch_size sequences and at most token_budget tokens; tokens count as the batch's form has them: without padding when packed,
 * B times the longest, or times the fixed length, when padded. An epoch has every example once; no batch reaches over the end of a
 * chunk, so any chunk can be had without those before it.
 */
#ifndef POFAC_FRONTEND_DATA_BATCH_ORDER_H
#define POFAC_FRONTEND_DATA_BATCH_ORDER_H

#include "frontend/data/example_source.h"
#include "ir/support/vector.h"

typedef enum batch_arrangement { BATCH_IN_ORDER, BATCH_SHUFFLED, BATCH_BY_LENGTH } batch_arrangement;
typedef enum batch_form { BATCH_PADDED, BATCH_PACKED } batch_form;

typedef struct batch_order_options {
    batch_arrangement arrangement;
    uint64_t seed;
    uint64_t batch_size;   /* most sequences; 0: no bound */
    uint64_t token_budget; /* most tokens; 0: no bound. One of the two is a bound */
    batch_form form;
    uint64_t fixed_length; /* of padded batches; 0: the longest of the batch */
} batch_order_options;

/* POFAC_ERR_USAGE when no bound is given, the batch size is beyond 2^20, or the longest example does not fit the budget or the fixed length. */
POFAC_MUST_USE pofac_status batch_order_check(const batch_order_options *o, const example_source *s, const diag_sink *sink);

/* Of an epoch; 0 when there are no examples. */
uint64_t batch_order_chunks(const batch_order_options *o, uint64_t n_examples);

/* One chunk, cut into batches. */
typedef struct ordered_example {
    uint64_t number;
    size_t n_tokens;
} ordered_example;

typedef struct batch_range {
    size_t first, n; /* of the chunk's examples */
} batch_range;

typedef struct batch_chunk {
    uint64_t epoch, chunk;
    bool is_there;
    VEC(ordered_example) examples, scratch;
    VEC(batch_range) batches; /* at least one */
} batch_chunk;

/* Replaces what is in `c`, unless it is that chunk already. Errors of measuring. */
POFAC_MUST_USE pofac_status batch_chunk_make(batch_chunk *c, const batch_order_options *o, const example_source *s, uint64_t epoch,
                                             uint64_t chunk, const diag_sink *sink);
void batch_chunk_free(batch_chunk *c);

#endif
