/*
 * What pruning is told for a weight: the interface between whoever reads configurations and whoever computes masks. Names are those of the
 * Model-Compression-Research-Package's methods (Zafrir et al. 2021).
 */
#ifndef POFAC_IR_PRUNING_H
#define POFAC_IR_PRUNING_H

#include <stdbool.h>
#include <stdint.h>

typedef enum pruning_pooling { PRUNING_AVG, PRUNING_MAX } pruning_pooling;

typedef struct pruning_parameters {
    double target_sparsity, initial_sparsity; /* shares of entries, 0 to 1 */
    double threshold_decay;                   /* share of the threshold before that stays, at least 0 and below 1 */
    bool fast_threshold;                      /* by histogram instead of exact selection */
    int64_t block_size;                       /* of uniform methods: entries */
    int64_t block_rows, block_columns;        /* of block methods: entries along the outputs and the inputs of the layer */
    pruning_pooling pooling;
    const char *group; /* of grouped methods */
} pruning_parameters;

/* Of second-order methods: how curvature is estimated. Defaults are those of oBERT (Kurtic et al. 2022, section 4). */
typedef struct second_order_options {
    int64_t block_size;  /* entries that follow each other and whose curvature is known together, 1 to 1024 */
    int64_t n_gradients; /* of single batches */
    double damping;      /* of the diagonal, above 0 */
} second_order_options;

#define SECOND_ORDER_MOST_BLOCK 1024

static inline second_order_options second_order_options_default(void) {
    return (second_order_options){.block_size = 50, .n_gradients = 1024, .damping = 1e-7};
}

/* Where nothing is written. */
static inline pruning_parameters pruning_parameters_default(void) {
    return (pruning_parameters){.block_size = 1, .block_rows = 1, .block_columns = 1, .group = "default"};
}

#endif
