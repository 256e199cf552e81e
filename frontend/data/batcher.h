/*
 * Examples -> batches, in an order of batch_order.h, as tensors of batch_tensors.h, made ahead on a thread of their own.
 *
 * What batches hold depends on the source and the options alone, never on whether, or how far, they are made ahead. Errors come where the batch
 * that could not be made would have come, with what was said about it.
 */
#ifndef POFAC_FRONTEND_DATA_BATCHER_H
#define POFAC_FRONTEND_DATA_BATCHER_H

#include "frontend/data/batch_order.h"
#include "ir/batch_source.h"

#define BATCHER_MOST_PREFETCH 1024u

typedef struct batcher_options {
    batch_order_options order;
    int32_t pad_id;    /* of input_ids' padding */
    uint64_t n_epochs; /* behind so many there are no more batches; 0: there is no end */
    size_t prefetch;   /* batches that are made ahead, at most; 0: each is made when it is asked for */
} batcher_options;

typedef struct batcher batcher;

/* `source` is copied; what it reads from must outlive the batcher. POFAC_ERR_USAGE as batch_order_check; POFAC_ERR_INPUT when there are no
 * examples. */
POFAC_MUST_USE pofac_status batcher_create(const example_source *source, const batcher_options *options, const diag_sink *sink,
                                           batcher **out);

/* Waits for the batch that is being made, and frees all. NULL is fine. */
void batcher_destroy(batcher *b);

/* The batches; lives as the batcher, and one thread at a time uses it. The source's `next` can also fail with POFAC_ERR_RUNTIME: no thread
 * can be had. */
batch_source batcher_source(batcher *b);

#endif
