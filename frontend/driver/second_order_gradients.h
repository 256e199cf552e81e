/*
 * Masks by curvature in a training run (oBERT, Kurtic et al. 2022): gradients of single batches, which change nothing else, make the curvature of each
 * pruned weight (runtime/second_order.h); from it come scores, masks, and the optimal update of what is kept.
 *
 * The curvature takes some 270 bytes for each entry, so weights are looked at in groups that fit into memory, each with the same gradients: what comes out does
 * not depend on the groups. What a mask has pruned before counts as 0 and stays pruned.
 * Where the schedule wants no zeros yet, no gradients are made.
 */
#ifndef POFAC_FRONTEND_SECOND_ORDER_GRADIENTS_H
#define POFAC_FRONTEND_SECOND_ORDER_GRADIENTS_H

#include "frontend/driver/train_inputs.h"
#include "frontend/driver/training.h"
#include "frontend/driver/training_pruning.h"

typedef struct second_order_update {
    training *training;        /* with accumulate, pruning by a method that needs curvature */
    pruned_parameter *weights; /* [n_weights] those of its training_pruning; their scores are set while masks are made */
    size_t n_weights;
    second_order_options options;
    int64_t max_bytes; /* of curvature at a time; 0: half of what the system has available */
    const batch_source
        *source; /* gradients are those of the batches that come next in the epoch of the last step, and then from its begin */
    train_inputs *inputs; /* made for the run, between two steps */
    int64_t step;         /* of the optimizer, behind which masks are made: other steps have other dropout */
} second_order_update;

/* What an update needs: memory of the largest group, and how many groups there are, each of which runs all gradients. */
typedef struct second_order_need {
    int64_t bytes;
    size_t n_groups;
} second_order_need;

/* Of weights with so many entries each. POFAC_ERR_USAGE: options out of range. */
POFAC_MUST_USE pofac_status second_order_needs(const int64_t *entries, size_t n, const second_order_options *o, int64_t max_bytes,
                                               const diag_sink *sink, second_order_need *out);

/*
 * In place of training_update_masks, which it calls. The source is where it was afterwards; sums of gradients are as good as lost, so it is for between steps.
 * POFAC_ERR_USAGE: the training does not accumulate, or does not prune by curvature. After an error before training_update_masks nothing has
 * changed.
 */
POFAC_MUST_USE pofac_status second_order_update_masks(const second_order_update *u, double progress, const diag_sink *sink,
                                                      mask_update *out);

#endif
