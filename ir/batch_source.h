/*
 * Batches, whoever makes them: the interface through which a training or evaluation loop gets its data.
 *
 * A source gives the batches of epoch 0, 1, ... one after the other, the same ones in every run. Its position - which batch comes next - is a few
 * numbers that a checkpoint keeps; set again, the batches go on bit for bit. One thread uses a source at a time.
 */
#ifndef POFAC_IR_BATCH_SOURCE_H
#define POFAC_IR_BATCH_SOURCE_H

#include "ir/tensor.h"

#define BATCH_MAX_TENSORS 8

typedef struct batch {
    size_t n_tensors;
    const char
        *names[BATCH_MAX_TENSORS]; /* inputs of the graph: input_ids, token_type_ids, attention_mask or offsets, labels, ... */
    ir_tensor tensors[BATCH_MAX_TENSORS]; /* views */
    int64_t n_sequences;                  /* B */
    int64_t n_tokens;                     /* T: of all sequences, without padding */
    const uint64_t *examples;             /* [B] numbers of the rows' examples in the data */
    uint64_t epoch, index;                /* the batch is number `index` of its epoch, both from 0 */
    bool ends_epoch;                      /* it is the last of it */
} batch;

/* Written by one source and understood by one of the same data and settings. All numbers, so that it can be kept in any file. */
typedef struct batch_position {
    uint64_t fingerprint;     /* of data and settings */
    uint64_t epoch, index;    /* of the next batch */
    uint64_t chunk, in_chunk; /* the same place as the source counts it */
} batch_position;

typedef struct batch_source {
    /* The next batch, valid until the next call; *out is NULL behind the last epoch, if the source has a last one. Errors are those of the
     * data; the position then is before the batch that could not be made, and the next call fails in the same way. */
    pofac_status (*next)(void *user, const diag_sink *sink, const batch **out);

    /* Where next will go on. */
    void (*get_position)(const void *user, batch_position *out);

    /* Makes next go on there. POFAC_ERR_INPUT when the position is not one of this data with these settings. */
    pofac_status (*set_position)(void *user, const batch_position *position, const diag_sink *sink);

    /* Batches of an epoch. May look at the lengths of all examples. */
    pofac_status (*count)(void *user, uint64_t epoch, const diag_sink *sink, uint64_t *out);

    void *user;
} batch_source;

#endif
