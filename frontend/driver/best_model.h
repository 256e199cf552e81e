/*
 * Which evaluation of a run was the best so far, and whether it is time to stop: Trainer's load_best_model_at_end and EarlyStoppingCallback.
 *
 * A gain is a metric that is better than the best by more than the threshold; the best one moves with any improvement (as in Trainer). After `patience`
 * evaluations in a row without a gain training ends.
 */
#ifndef POFAC_FRONTEND_BEST_MODEL_H
#define POFAC_FRONTEND_BEST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct best_model_rule {
    bool greater_is_better;
    double threshold;
    int64_t patience; /* 0: never stops */
} best_model_rule;

typedef struct best_model {
    bool has_best;
    double metric;
    int64_t step;
    int64_t evaluations_without_gain;
} best_model;

typedef struct best_verdict {
    bool is_best; /* of all so far */
    bool stops;
} best_verdict;

/* Takes in the evaluation after `step`. NaN is never better. */
best_verdict best_model_take(best_model *b, const best_model_rule *rule, int64_t step, double metric);

#endif
