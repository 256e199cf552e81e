/*
 * Masks of pruning: which entries of weights are kept at a sparsity, by one of the methods of pruning_methods.def.
 *
 * The arithmetic is the reference's, with its rounding (k = floor(sparsity * n) in double, thresholds in single precision, kept is what lies strictly
 * above), so masks are equal entry by entry. Weights are worked on side by side; masks do not depend on the number of threads.
 */
#ifndef POFAC_RUNTIME_PRUNING_MASKS_H
#define POFAC_RUNTIME_PRUNING_MASKS_H

#include "ir/pruning.h"
#include "ir/tensor.h"
#include "runtime/thread_pool.h"

typedef enum pruning_gradient { PRUNING_MASKED, PRUNING_STRAIGHT } pruning_gradient;
typedef enum pruning_needs { PRUNING_VALUES, PRUNING_MOVEMENT, PRUNING_CURVATURE, PRUNING_MASKS } pruning_needs;
typedef enum pruning_schedules { PRUNING_ITERATIVE = 1, PRUNING_ONE_SHOT = 2, PRUNING_LOCK = 4 } pruning_schedules;

typedef struct pruning_masks_job pruning_masks_job;

typedef struct pruning_method {
    const char *name;
    pofac_status (*masks)(const pruning_masks_job *job);
    pruning_gradient gradient;
    pruning_needs needs; /* besides values: scores of PRUNING_MOVEMENT and PRUNING_CURVATURE, `given` of PRUNING_MASKS */
    unsigned schedules;  /* bits of pruning_schedules */
    const char *meaning;
} pruning_method;

const pruning_method *pruning_method_at(size_t i);           /* in the table's order; NULL past the end */
const pruning_method *pruning_method_find(const char *name); /* NULL: there is none */

/* A weight and its mask; of a group, the parameters of its last weight count. */
typedef struct pruned_weight {
    const char *name;
    int64_t n_rows, n_columns;
    const float *values;  /* [n_rows, n_columns]: the weight as it is trained */
    const float *scores;  /* what is compared instead of magnitudes, as it is; NULL: magnitudes of values */
    const uint8_t *given; /* [n_rows, n_columns] mask that somebody made, any number but 0 being kept; of methods that need it */
    pruning_parameters parameters;
    float threshold; /* of the masks before, 0 at first; with threshold_decay a part of the next one */
    uint8_t *mask;   /* [n_rows, n_columns] result: 1 kept, 0 pruned */
    int64_t kept;    /* result: ones of the mask */
} pruned_weight;

struct pruning_masks_job {
    pruned_weight *weights;
    size_t n_weights;
    double progress; /* of the schedule: the sparsity is initial + (target - initial) * progress */
    thread_pool *pool;
    const diag_sink *sink;
};

/*
 * Masks of all weights at a point of the schedule. POFAC_ERR_USAGE, before any mask is written: parameters out of range, block sizes that do not divide a
 * weight, weights without what the method needs. POFAC_ERR_RUNTIME: no memory.
 */
POFAC_MUST_USE pofac_status pruning_masks(const pruning_method *method, const pruning_masks_job *job);

/* Do runs of block_size entries compete, each by itself? */
bool pruning_method_is_uniform(const pruning_method *method);

/* False when blocks of that size cannot express the target on a weight of that shape, or only half a percent of its entries off; then *nearest is what they
 * meet. */
bool pruning_target_fits(const pruning_method *method, const pruning_parameters *p, int64_t n_rows, int64_t n_columns,
                         double *nearest);

#endif
