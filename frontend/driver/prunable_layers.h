/*
 * The linear layers of a model's graph whose weights may be pruned: those that linears alone read, each once. A tied decoder is none.
 */
#ifndef POFAC_FRONTEND_PRUNABLE_LAYERS_H
#define POFAC_FRONTEND_PRUNABLE_LAYERS_H

#include "frontend/model/pruning_config.h"
#include "ir/graph.h"

typedef struct prunable_layers {
    prunable_layer *layers; /* [n] by the names of their modules: their weights' without an ending ".weight" */
    const char **weights;   /* [n] the tensors' names */
    size_t n;
} prunable_layers;

/* Room for `most` layers, none yet, and one more layer by its weight, [rows, columns]; names are copied. All in `a`. */
POFAC_MUST_USE pofac_status prunable_layers_begin(size_t most, arena *a, const diag_sink *sink, prunable_layers *out);
POFAC_MUST_USE pofac_status prunable_layers_add(prunable_layers *l, const char *weight, int64_t rows, int64_t columns, arena *a,
                                                const diag_sink *sink);

/* Those of a graph, in its order. */
POFAC_MUST_USE pofac_status prunable_layers_of_graph(const ir_graph *g, arena *a, const diag_sink *sink, prunable_layers *out);

#endif
