/*
 * A matrix of floats -> whole numbers and scales, as files of models keep them (frontend/checkpoint/scaled_tensors.h). Whoever reads such a file
 * has floats again, so nothing else of the program knows of it.
 */
#ifndef POFAC_FRONTEND_STORED_WEIGHTS_H
#define POFAC_FRONTEND_STORED_WEIGHTS_H

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/weight_ranges.h"
#include "ir/support/arena.h"

typedef struct weight_storage {
    int bits;                 /* 8; 4, where the number of columns is even, else 8 */
    bool by_row;              /* of 8 bits: a scale for each row; 4 bits have one for 32 columns of a row */
    const float (*ranges)[2]; /* of 8 bits, [1] or [N] by by_row: that the scales come from; NULL: chosen by `method` */
    calibration_method method;
} weight_storage;

/* The two tensors of `name` [N,K]; data and the second name live in `a`. 0 is 0 again, and numbers are rounded to nearest even. POFAC_ERR_NUMERIC: a weight is NaN
 * or infinite. */
POFAC_MUST_USE pofac_status stored_weight_make(const char *name, const float *weights, int64_t n_rows, int64_t n_columns,
                                               const weight_storage *storage, thread_pool *pool, arena *a, const diag_sink *sink,
                                               safetensors_item out[2]);

#endif
