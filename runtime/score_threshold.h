/*
 * Thresholds of pruning: which value so many of a tensor's scores do not exceed.
 *
 * Floats compare as integers. Exact selection among many takes one pass: a sample gives two bounds between which the score very likely lies (Floyd and Rivest
 * 1975), scores below them are counted, and the few between them are kept. Those, and what the bounds miss, are selected by radix: three
 * counts of 11, 11 and 10 bits, so three passes and no copy. The approximate threshold is the reference's histogram.
 */
#ifndef POFAC_RUNTIME_SCORE_THRESHOLD_H
#define POFAC_RUNTIME_SCORE_THRESHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Scores: n floats, compared as they are, or by magnitude. NaN counts as larger than all others. */
typedef struct score_span {
    const float *data;
    int64_t n;
    bool magnitude;
} score_span;

/* The k-th smallest score (its magnitude, where that is compared), 1 <= k <= n. */
float score_select(score_span s, int64_t k);

/* The smallest of n >= 1 scores. */
float score_least(score_span s);

/* mask[i] = 1 where the score lies above the threshold, else 0; also for NaN. Denormals are told from 0 whatever the thread's mode. */
void score_keep_above(score_span s, float threshold, uint8_t *mask);

/* How many bytes of a mask are 1; the others are 0. */
int64_t mask_ones(const uint8_t *mask, int64_t n);

/*
 * The threshold below which about a share `sparsity` of the magnitudes of all spans together lies: a histogram of 1024 bins over [0, max]; where the
 * 99.9 % point falls in its lower half, a second one up to that point. The threshold is the upper end of the bins whose cumulative share is below
 * `sparsity`. Spans are n >= 1, and hold an element. In single precision where the reference (Model-Compression-Research-Package, fast_threshold) is.
 */
float score_histogram_threshold(const score_span *spans, size_t n, double sparsity);

#endif
