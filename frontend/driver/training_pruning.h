/*
 * Pruning of a training step: which weights are under masks, and how the masks are made anew between steps.
 *
 * A weight's original stays dense and trains on; products read what its mask keeps (passes/pass_prune.c). Masks and thresholds are state of the
 * run (runtime/state_store.h): NAME.mask u8 [N,K], NAME.threshold f32 []. At first all entries are kept.
 */
#ifndef POFAC_FRONTEND_TRAINING_PRUNING_H
#define POFAC_FRONTEND_TRAINING_PRUNING_H

#include "ir/pruning.h"
#include "runtime/pruning_masks.h"

typedef struct training training;

/* What a method needs beside values (pruning_method.needs) comes with the weight: whoever updates masks fills it before. Scores of movement are state of the
 * run, NAME.scores, and not given. */
typedef struct pruned_parameter {
    const char *name; /* of the weight, which linears alone read: "bert.encoder.layer.0.output.dense.weight" */
    pruning_parameters parameters;
    const float *scores;  /* [N,K] of methods of curvature; else NULL */
    const uint8_t *given; /* [N,K] of masks that somebody made; else NULL */
} pruned_parameter;

typedef struct training_pruning {
    const pruning_method *method;
    const pruned_parameter *weights;
    size_t n_weights;
} training_pruning;

/* What an update of masks has done. */
typedef struct mask_update {
    int64_t entries, kept; /* of all pruned weights */
    double seconds;        /* selection, masks, and packing of the weights for the next run */
    bool rebuilt;          /* the step has other kernels from now on */
} mask_update;

/*
 * New masks of all pruned weights at `progress` of the schedule (pruning_config_progress), from the state as it is; runs see them from the next one on.
 * Between steps only: sums of gradients of weights under masks start anew. Which kernels compute the products is chosen anew for weights whose share
 * of zeros has changed, by the same rules as when the step was made. POFAC_ERR_USAGE: the step prunes nothing, or
 * parameters that do not fit a weight, and nothing has changed. After another error masks may be new in part, and so may be what runs read.
 */
POFAC_MUST_USE pofac_status training_update_masks(training *t, double progress, const diag_sink *sink, mask_update *out);

/* Share of zeros of the mask of training_pruning.weights[weight]. */
double training_sparsity(const training *t, size_t weight);

#endif
