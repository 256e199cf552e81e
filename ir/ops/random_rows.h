/*
 * What the ops that drop elements at random share: attributes `rate` and `stream`, operands keys and random (ops.def, dropout).
 */
#ifndef POFAC_IR_OPS_RANDOM_ROWS_H
#define POFAC_IR_OPS_RANDOM_ROWS_H

#include "ir/ops/operands.h"
#include "ir/support/rng.h"

/* Refuses a rate outside [0, 1), and keys and random that do not fit x [R,..]. */
POFAC_MUST_USE pofac_status want_dropout(const ir_infer *in, const ir_type *x, const ir_type *keys, const ir_type *random);

typedef struct dropout_numbers {
    rng_key key;
    uint64_t step;       /* the step in the upper half of the counter's high word */
    uint32_t drop_below; /* a random word */
    double scale;        /* of what stays: 1 / (1 - rate) */
} dropout_numbers;
dropout_numbers dropout_numbers_make(const ir_eval *e, const ir_tensor *random);

/* What element `column` of a row is multiplied with: the scale, or 0. */
double dropout_factor(const dropout_numbers *d, int64_t row_key, uint64_t column);

#endif
