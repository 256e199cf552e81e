/*
 * The ranges that weights are quantized by after training: of a tensor, of each of its rows, of a few columns.
 */
#ifndef POFAC_FRONTEND_WEIGHT_RANGES_H
#define POFAC_FRONTEND_WEIGHT_RANGES_H

#include "ir/quantization.h"
#include "runtime/thread_pool.h"

/* How a range is chosen; the names are those of `calibration` in frontend/xml.def, in its order. */
typedef enum calibration_method {
    CALIBRATE_MINMAX,     /* least and greatest of what was seen */
    CALIBRATE_PERCENTILE, /* activations: what is further out than most is cut off; weights: as minmax */
    CALIBRATE_MSE         /* the least sum of squared errors */
} calibration_method;

/* Of n weights that are to have `bits` bits, symmetric about 0: { -c, c }, c the greatest magnitude, or by CALIBRATE_MSE the one of its parts 64/64, 63/64 .. 20/64 that
 * loses least. Numbers that are not finite make it none. */
value_range weight_range(const float *weights, int64_t n, calibration_method method, int bits);

/* Of each row of [n_rows,n_columns]. */
void weight_ranges(const float *weights, int64_t n_rows, int64_t n_columns, calibration_method method, int bits, thread_pool *pool,
                   value_range *out);

/*
 * Ranges of zeros alone, and of rows of which nothing was seen, since they have no weights, become those of the whole weight; where it has
 * none either, -1 to 1. Zeros are exact in any range, but biases are kept in units of its scale, of which the least has too few.
 */
void weight_ranges_widen(value_range *ranges, int64_t n);

#endif
