/*
 * Layout: puts activations into tiles<W>, the layout in which W tokens stand side by side for each feature, so that sparse products, layer norm, softmax and attention all run on
 * full vectors without transposes (design: kernels work on columns of W tokens).
 *
 * Ops with the trait TILED always run in tiles when they are f32; elementwise ops and gather_rows follow their inputs; everything else runs in rows, and so do the graph's
 * outputs. Where producer and consumer differ, a relayout node converts, once per value. Sparse linears have no tiled kernel and stay in rows.
 */
#include <stdlib.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

typedef struct layout_job {
    const pass_input *in;
    int64_t tile;
} layout_job;

typedef struct layout_graph_state {
    rewriter rw;
    uint32_t tile;
    ir_value *other; /* [values of the old graph] the value in the other layout, once made */
} layout_graph_state;

/* Is input i of the node an activation, i.e. a matrix that has a row per token? */
static bool is_activation(const ir_graph *g, const ir_node *n, uint32_t i) {
    if (!n->inputs[i] || (i == 1 && op_has(n->op, TRAIT_WEIGHTED))) return false;
    const ir_type *t = graph_type(g, n->inputs[i]);
    return t->kind == TYPE_TENSOR && t->rank == 2 && t->dtype == IR_F32;
}

/* The new value of `old` in the wanted layout. */
static ir_value in_layout(layout_graph_state *s, ir_value old, bool tiled) {
    ir_value v = rewrite_value(&s->rw, old);
    if (!v) return v;
    const ir_type *t = graph_type(s->rw.to, v);
    if (t->kind != TYPE_TENSOR || (t->layout == LAYOUT_TILES) == tiled) return v;
    if (!s->other[old]) {
        ir_context *c = s->rw.to->module->context;
        s->other[old] = build_declared(s->rw.to, OP_relayout, v,
                                       type_with_layout(c, t, tiled ? LAYOUT_TILES : LAYOUT_ROWS, tiled ? s->tile : 0));
    }
    return s->other[old];
}

static bool runs_tiled(const layout_graph_state *s, const ir_node *n) {
    const ir_graph *g = s->rw.from;
    if (n->n_inputs == 0 || !is_activation(g, n, 0)) return false;
    if (op_has(n->op, TRAIT_TILED)) return !(n->op == OP_linear && node_input(n, 3));
    if (n->op == OP_cast || !(op_has(n->op, TRAIT_ELEMENTWISE) || n->op == OP_gather_rows)) return false;
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        if (!is_activation(g, n, i)) continue;
        ir_value v = s->rw.map[n->inputs[i]];
        if (v && graph_type(s->rw.to, v)->layout == LAYOUT_TILES) return true;
    }
    return false;
}

static void place_node(layout_graph_state *s, const ir_node *n) {
    ir_value inputs[8];
    if (n->op == OP_relayout) { /* a conversion made earlier: whoever reads it asks again */
        rewrite_map(&s->rw, n->first_result, rewrite_value(&s->rw, n->inputs[0]));
        return;
    }
    rewrite_visit(&s->rw, n);
    if (n->n_inputs == 0 || n->n_inputs > 8) {
        rewrite_copy(&s->rw, n);
        return;
    }
    bool tiled = runs_tiled(s, n);
    for (uint32_t i = 0; i < n->n_inputs; i++)
        inputs[i] = n->inputs[i] ? in_layout(s, n->inputs[i], tiled && is_activation(s->rw.from, n, i)) : IR_NO_VALUE;
    const ir_type *declared = NULL;
    if (op_has(n->op, TRAIT_DECLARED)) declared = rewrite_type(&s->rw, graph_type(s->rw.from, n->first_result));
    ir_value first = node_add(s->rw.to, n->op, inputs, n->n_inputs, n->attrs, n->n_attrs, declared);
    for (uint32_t r = 0; first && r < n->n_results; r++) rewrite_map(&s->rw, node_result(n, r), first + r);
}

static pofac_status layout_graph(void *user, const ir_graph *from, ir_module *to) {
    const layout_job *job = user;
    layout_graph_state s = {.tile = (uint32_t)job->tile};
    s.other = calloc(from->values.size, sizeof *s.other);
    if (!s.other) return diag_out_of_memory(job->in->sink);
    pofac_status status = rewrite_begin(&s.rw, from, to);
    if (status == POFAC_OK) {
        for (size_t i = 0; i < from->nodes.size; i++) place_node(&s, &from->nodes.data[i]);
        for (size_t i = 0; i < from->outputs.size; i++) {
            ir_value old = from->outputs.data[i].value;
            rewrite_map(&s.rw, old, in_layout(&s, old, false));
        }
        status = rewrite_finish(&s.rw);
    }
    free(s.other);
    return status;
}

pofac_status pass_layout(const pass_input *in, ir_module **out) {
    layout_job job = {.in = in};
    TRY(pass_int_option(in, "tile", 16, 64, &job.tile));
    if (job.tile != 16 && job.tile != 32 && job.tile != 64)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "layout: option tile is %lld, wanted 16, 32 or 64", (long long)job.tile);
    return rewrite_module(in->module, layout_graph, &job, in->sink, out);
}
