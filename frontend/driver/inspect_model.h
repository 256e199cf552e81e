/* What a model consists of: one row per parameter, with its share of zeros and the kernel that reads it. */
#ifndef POFAC_FRONTEND_INSPECT_MODEL_H
#define POFAC_FRONTEND_INSPECT_MODEL_H

#include "frontend/driver/road.h"

typedef struct inspect_row {
    const char *name, *shape; /* shape: "[768,768]" */
    const char *dtype;
    const char *kernel;             /* variant of the first step that reads it, or "-" */
    const char *layout;             /* in memory, as kernels read it: "stream k_block=128 rows=768", "panels 8", "rows" */
    int64_t elements, zeros, bytes; /* bytes: of all elements in its dtype */
    int64_t element_bits;           /* of one, in its dtype */
    int64_t memory_bytes;           /* of all that kernels read of it, positions of a sparse weight included */
    bool prunable;                  /* weight of a linear layer */
} inspect_row;

typedef struct inspect_result {
    inspect_row *rows; /* in the order of the graph; in `a` */
    size_t n_rows;
    int64_t elements, zeros, bytes;        /* all parameters */
    int64_t linear_elements, linear_zeros; /* weights of linear layers */
    const char *target;
} inspect_result;

POFAC_MUST_USE pofac_status inspect_model(loaded_model *model, const road_options *road, arena *a, const diag_sink *sink,
                                          inspect_result *out);

#endif
