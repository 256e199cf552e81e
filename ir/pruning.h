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

/* Where nothing is written. */
static inline pruning_parameters pruning_parameters_default(void) {
    return (pruning_parameters){.block_size = 1, .block_rows = 1, .block_columns = 1, .group = "default"};
}

#endif
