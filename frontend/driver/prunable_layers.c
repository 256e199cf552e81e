/* Layers that may be pruned; see prunable_layers.h. */
#include "frontend/driver/prunable_layers.h"

#include <string.h>

#include "ir/op.h"
#include "ir/support/strmap.h"
#include "passes/product_weights.h"

#define WEIGHT ".weight"

pofac_status prunable_layers_begin(size_t most, arena *a, const diag_sink *sink, prunable_layers *out) {
    *out = (prunable_layers){ARENA_ARRAY(a, prunable_layer, most + 1), ARENA_ARRAY(a, const char *, most + 1), 0};
    return out->layers && out->weights ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status prunable_layers_add(prunable_layers *l, const char *weight, int64_t rows, int64_t columns, arena *a,
                                 const diag_sink *sink) {
    const size_t length = strlen(weight), ending = strlen(WEIGHT);
    const bool ends = length > ending && strcmp(weight + length - ending, WEIGHT) == 0;
    const char *layer = arena_printf(a, "%.*s", (int)(ends ? length - ending : length), weight), *copy = arena_strdup(a, weight);
    if (!layer || !copy) return diag_out_of_memory(sink);
    l->weights[l->n] = copy;
    l->layers[l->n++] = (prunable_layer){layer, rows, columns};
    return POFAC_OK;
}

pofac_status prunable_layers_of_graph(const ir_graph *g, arena *a, const diag_sink *sink, prunable_layers *out) {
    strmap known = STRMAP_INIT;
    bool *others = ARENA_ARRAY(a, bool, g->values.size + 1);
    pofac_status status = others ? prunable_layers_begin(g->nodes.size, a, sink, out) : diag_out_of_memory(sink);
    if (others) find_other_readers(g, others);
    for (size_t i = 0; i < g->nodes.size && status == POFAC_OK; i++) {
        const ir_node *n = &g->nodes.data[i];
        int64_t rows, columns;
        bool is_new;
        if (n->op != OP_linear || !is_product_weight(g, n)) continue;
        const char *name = node_string(graph_node_of(g, n->inputs[1]), "name");
        const ir_type *t = graph_type(g, n->inputs[1]);
        if (has_other_readers(g, others, name) || !dim_is_const(t->dims[0], &rows) || !dim_is_const(t->dims[1], &columns)) continue;
        if (!strmap_put(&known, name, strlen(name), 0, &is_new)) status = diag_out_of_memory(sink);
        else if (is_new) status = prunable_layers_add(out, name, rows, columns, a, sink);
    }
    strmap_free(&known);
    return status;
}
