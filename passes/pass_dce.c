/*
 * Dead code elimination: keeps the nodes from which an output can be reached, and the inputs. One sweep backwards marks, one
 * forwards copies.
 */
#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

static void mark_value(const ir_graph *g, ir_value v, bool *live) {
    if (v != IR_NO_VALUE) live[g->values.data[v].node] = true;
}

/* nnz(%v) in a type needs the pattern %v. */
static void mark_patterns(const ir_graph *g, const ir_type *t, bool *live) {
    for (uint32_t i = 0; i < 2 * t->rank; i++) {
        ir_symbol s = t->dims[i / 2].symbol[i % 2];
        if (s != 0) mark_value(g, symbol_value(g->module->context, s), live);
    }
}

static void mark_live(const ir_graph *g, bool *live) {
    for (size_t i = 0; i < g->outputs.size; i++) mark_value(g, g->outputs.data[i].value, live);
    for (size_t i = g->nodes.size; i-- > 0;) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op == OP_input) live[i] = true;
        if (!live[i]) continue;
        for (uint32_t k = 0; k < n->n_inputs; k++) mark_value(g, n->inputs[k], live);
        for (uint32_t r = 0; r < n->n_results; r++) mark_patterns(g, graph_type(g, node_result(n, r)), live);
    }
}

static pofac_status dce_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    rewriter rw;
    bool *live = ARENA_ARRAY(&memory, bool, from->nodes.size + 1);
    if (!live) return diag_out_of_memory(in->sink);
    mark_live(from, live);
    if (rewrite_begin(&rw, from, to) == POFAC_OK) {
        for (size_t i = 0; i < from->nodes.size; i++)
            if (live[i]) rewrite_copy_unmarked(&rw, &from->nodes.data[i], NULL, NULL);
    }
    arena_free(&memory);
    return rewrite_finish(&rw);
}

pofac_status pass_dce(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, dce_graph, &copy, in->sink, out);
}
