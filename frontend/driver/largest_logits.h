/* The largest of many numbers, as a teacher's logits are kept in part. */
#ifndef POFAC_FRONTEND_LARGEST_LOGITS_H
#define POFAC_FRONTEND_LARGEST_LOGITS_H

#include <stdint.h>

/* The k largest of logits [n], 1 <= k <= n, falling, and their places; of equal ones those that stand first, in their order. A NaN counts as larger than
 * all numbers, so it is among them. */
void largest_logits(const float *logits, int64_t n, int64_t k, float *values, int32_t *ids);

#endif
