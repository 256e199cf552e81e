/*
 * Dead code elimination: keeps the nodes from which an output can be reached, and the inputs. One sweep backwards marks, one forwards copies.
 */
#include <stdlib.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

static void mark_live(const ir_graph *g, bool *live) {
    for (size_t i = 0; i < g->outputs.size; i++) live[g->values.data[g->outputs.data[i].value].node] = true;
    for (size_t i = g->nodes.size; i-- > 0;) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op == OP_input) live[i] = true;
        if (!live[i]) continue;
        for (uint32_t k = 0; k < n->n_inputs; k++)
            if (n->inputs[k]) live[g->values.data[n->inputs[k]].node] = true;
        for (uint32_t r = 0; r < n->n_results; r++) { /* nnz(%v) in a type keeps the pattern %v */
            const ir_type *t = graph_type(g, node_result(n, r));
            for (uint32_t d = 0; d < t->rank; d++)
                for (int s = 0; s < 2; s++) {
                    ir_symbol symbol = t->dims[d].symbol[s];
                    ir_value pattern = symbol ? symbol_value(g->module->context, symbol) : IR_NO_VALUE;
                    if (pattern) live[g->values.data[pattern].node] = true;
                }
        }
    }
}

static pofac_status dce_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    bool *live = calloc(from->nodes.size ? from->nodes.size : 1, sizeof *live);
    if (!live) return diag_out_of_memory(in->sink);
    mark_live(from, live);
    rewriter rw;
    pofac_status status = rewrite_begin(&rw, from, to);
    if (status == POFAC_OK) {
        for (size_t i = 0; i < from->nodes.size; i++)
            if (live[i]) rewrite_copy(&rw, &from->nodes.data[i]);
        status = rewrite_finish(&rw);
    }
    free(live);
    return status;
}

pofac_status pass_dce(const pass_input *in, ir_module **out) {
    return rewrite_module(in->module, dce_graph, (void *)in, in->sink, out);
}
