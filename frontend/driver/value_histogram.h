/*
 * What values a tensor takes over many runs: a histogram, and the range that 8 bits should hold of it.
 *
 * Bins are a power of two wide, and grow as values do: a wider histogram is the sum of neighbouring bins of a finer one, so what comes of it depends on
 * the values alone and not on their order.
 */
#ifndef POFAC_FRONTEND_VALUE_HISTOGRAM_H
#define POFAC_FRONTEND_VALUE_HISTOGRAM_H

#include "ir/quantization.h"
#include "ir/support/diag.h"

#define VALUE_HISTOGRAM_BINS                                                                                                       \
    16384 /* half of them below zero; 255 steps of 8 bits have at least 32 each where values are all of one sign */

typedef struct value_histogram {
    value_range range; /* of all values */
    uint64_t n;
    int exponent;   /* bin i holds [(i - BINS / 2) w, (i + 1 - BINS / 2) w), w = 2^exponent */
    uint64_t *bins; /* [VALUE_HISTOGRAM_BINS] */
} value_histogram;

POFAC_MUST_USE pofac_status value_histogram_create(const diag_sink *sink, value_histogram *out);
void value_histogram_free(value_histogram *h);

/* Counts n values. False, and nothing is counted, when one of them is not finite. */
bool value_histogram_add(value_histogram *h, const float *values, int64_t n);

/* The least range of whole bins outside of which at most a share of 1 - percentile / 100 of the values lies at either end, within
 * the range of all. `percentile` in (50, 100]; of no values none. */
value_range value_histogram_percentile(const value_histogram *h, double percentile);

/* The range within that of all that loses least: sum of (x - x')^2, x' as it comes back from 8 bits, values taken to be in the middle of their bins. The
 * ends are searched for in steps of 1/64 of the greatest and the least value, in turns. */
value_range value_histogram_least_error(const value_histogram *h, quantization_scheme scheme);

/* The sum of (x - x')^2 for that range. */
double value_histogram_error(const value_histogram *h, value_range range, quantization_scheme scheme);

#endif
