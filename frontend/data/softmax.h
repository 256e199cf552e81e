/* The softmax of some logits, one probability at a time, in double. */
#ifndef POFAC_FRONTEND_DATA_SOFTMAX_H
#define POFAC_FRONTEND_DATA_SOFTMAX_H

#include <math.h>
#include <stddef.h>

typedef struct softmax {
    double most, sum; /* the largest logit; sum of exp(x - most) */
} softmax;

static inline softmax softmax_of(const float *x, size_t n) {
    softmax s = {-INFINITY, 0.0};
    for (size_t i = 0; i < n; i++)
        if ((double)x[i] > s.most) s.most = (double)x[i];
    for (size_t i = 0; i < n; i++) s.sum += exp((double)x[i] - s.most);
    return s;
}

static inline double softmax_probability(softmax s, float logit) { return exp((double)logit - s.most) / s.sum; }

#endif
