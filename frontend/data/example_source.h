/*
 * Tokenised examples by number, whoever keeps them: what batches are made of. Examples of a task in memory (token_store.h), shards with
 * masking at load time (shard_examples.h), rows of tensors.
 */
#ifndef POFAC_FRONTEND_DATA_EXAMPLE_SOURCE_H
#define POFAC_FRONTEND_DATA_EXAMPLE_SOURCE_H

#include "ir/support/diag.h"
#include "ir/type.h"

#define EXAMPLE_MAX_FIELDS 4
#define EXAMPLE_NO_LABEL (-100) /* PyTorch's ignore_index, which the loss ops know */

/* What is known of an example besides its tokens: an input of the graph. */
typedef struct example_field {
    const char *name; /* "labels", "next_sentence_label", "start_positions", ... */
    ir_dtype dtype;   /* IR_I64; IR_F32 of a regression, and then not per token */
    bool per_token;   /* padding has EXAMPLE_NO_LABEL */
} example_field;

/* One example, in the caller's memory. */
typedef struct example_buffer {
    size_t n_tokens;
    int32_t *ids;                              /* [max_length] */
    uint8_t *types;                            /* [max_length] */
    int32_t *token_values[EXAMPLE_MAX_FIELDS]; /* [max_length] of fields per token, else NULL */
    double values[EXAMPLE_MAX_FIELDS];         /* of other fields */
} example_buffer;

typedef struct example_source {
    uint64_t n_examples;
    uint64_t fingerprint; /* of the data: other examples, other number */
    size_t max_length;    /* no example has more tokens; at least 1 */
    size_t n_fields;
    example_field fields[EXAMPLE_MAX_FIELDS];
    /* Tokens of example i, at least 1. */
    pofac_status (*measure)(void *user, uint64_t i, const diag_sink *sink, size_t *n_tokens);
    /* Example i as epoch `epoch` has it: a pure function of both. */
    pofac_status (*read)(void *user, uint64_t epoch, uint64_t i, const diag_sink *sink, example_buffer *out);
    void *user;
} example_source;

#endif
