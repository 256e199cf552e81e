/*
 * What attention and its gradient share: where their optional inputs are, the checks of their types, and dropout of probabilities.
 */
#ifndef POFAC_IR_OPS_ATTENTION_ROWS_H
#define POFAC_IR_OPS_ATTENTION_ROWS_H

#include "ir/ops/random_rows.h"

typedef struct attention_inputs {
    uint32_t keep, query_offsets, keys, random;
} attention_inputs;
static const attention_inputs attention_forward_inputs = {4, 5, 6, 7}, attention_gradient_inputs = {7, 8, 9, 10};

/* Checks q, k, v, offsets (inputs 0 to 3), the optional inputs, and the attributes. */
POFAC_MUST_USE pofac_status want_attention(const ir_infer *in, const attention_inputs *at);

/* The most rows that a sequence has. */
int64_t longest_sequence(const ir_tensor *offsets);

/* The factor of the probability of the key at `place` of the sequence, for a head and a query's row key. */
static inline double attention_dropout(const dropout_numbers *d, int64_t row_key, int64_t head, int64_t place) {
    return dropout_factor(d, row_key, ((uint64_t)head << 22) + (uint64_t)place);
}

#endif
