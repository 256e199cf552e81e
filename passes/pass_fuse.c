/*
 * Fusion: marks nodes that one kernel computes with the same `group` number. A group is found backwards from its last node; inner values have a single use, so the group is convex
 * and runs at the place of its last node.
 *
 *   embedding sum   embedding { + embedding } [relayout] layer_norm
 *   norm            [linear] + residual, layer_norm
 *   activation      linear, gelu | relu | tanh
 *
 * Marks made by an earlier run are dropped first.
 */
#include <stdlib.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

typedef struct fusion {
    const ir_graph *g;
    const uint32_t *uses;
    int64_t *group; /* of each node; 0: none */
    int64_t n_groups;
} fusion;

static uint32_t node_of(const fusion *f, ir_value v) { return f->g->values.data[v].node; }

/* The node that makes `v`, if it makes nothing else that is read, `v` is read once, and no group has it yet; else NULL. */
static const ir_node *inner_node(const fusion *f, ir_value v) {
    if (f->uses[v] != 1 || f->group[node_of(f, v)]) return NULL;
    return graph_node_of(f->g, v);
}

static bool is_tiled(const fusion *f, ir_value v) { return graph_type(f->g, v)->layout == LAYOUT_TILES; }

static const ir_node *inner_linear(const fusion *f, ir_value v) {
    const ir_node *n = inner_node(f, v);
    return n && n->op == OP_linear && is_tiled(f, v) ? n : NULL;
}

static void mark(fusion *f, ir_value v) { f->group[node_of(f, v)] = f->n_groups; }

/* Is `v` a sum of embeddings that only this group reads? With `take`, its nodes are marked. */
static bool embedding_sum(fusion *f, ir_value v, bool take) {
    const ir_node *n = inner_node(f, v);
    if (!n) return false;
    if (n->op == OP_add && graph_type(f->g, n->inputs[0]) == graph_type(f->g, n->inputs[1])) {
        if (!embedding_sum(f, n->inputs[0], take) || !embedding_sum(f, n->inputs[1], take)) return false;
    } else if (n->op != OP_embedding || graph_type(f->g, v)->dtype != IR_F32) {
        return false;
    }
    if (take) mark(f, v);
    return true;
}

static bool fuse_embedding_sum(fusion *f, const ir_node *norm) {
    ir_value x = norm->inputs[0];
    const ir_node *inner = inner_node(f, x);
    bool relayout = inner && inner->op == OP_relayout;
    ir_value sum = relayout ? inner->inputs[0] : x;
    if (!is_tiled(f, x) || !embedding_sum(f, sum, false)) return false;
    f->n_groups++;
    embedding_sum(f, sum, true);
    if (relayout) mark(f, x);
    mark(f, norm->first_result);
    return true;
}

static bool fuse_norm(fusion *f, const ir_node *norm) {
    ir_value sum = norm->inputs[0];
    const ir_node *add = inner_node(f, sum);
    if (!add || add->op != OP_add || !is_tiled(f, sum)) return false;
    ir_value a = add->inputs[0], b = add->inputs[1];
    if (graph_type(f->g, a) != graph_type(f->g, b)) return false;
    f->n_groups++;
    if (inner_linear(f, a)) mark(f, a);
    else if (inner_linear(f, b)) mark(f, b);
    mark(f, sum);
    mark(f, norm->first_result);
    return true;
}

static void fuse_activation(fusion *f, const ir_node *n) {
    ir_value x = n->inputs[0];
    if (!inner_linear(f, x)) return;
    f->n_groups++;
    mark(f, x);
    mark(f, n->first_result);
}

static void find_groups(fusion *f) {
    for (size_t i = f->g->nodes.size; i-- > 0;) {
        const ir_node *n = &f->g->nodes.data[i];
        if (f->group[i]) continue;
        if (n->op == OP_layer_norm && !fuse_embedding_sum(f, n)) fuse_norm(f, n);
        if (n->op == OP_gelu || n->op == OP_relu || n->op == OP_tanh) fuse_activation(f, n);
    }
}

static pofac_status fuse_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    fusion f = {.g = from, .uses = graph_count_uses(from, &memory)};
    f.group = ARENA_ARRAY(&memory, int64_t, from->nodes.size + 1);
    pofac_status status = f.uses && f.group ? POFAC_OK : diag_out_of_memory(in->sink);
    rewriter rw;
    if (status == POFAC_OK) status = rewrite_begin(&rw, from, to);
    if (status == POFAC_OK) {
        find_groups(&f);
        for (size_t i = 0; i < from->nodes.size; i++) {
            /* found backwards, numbered forwards in the text */
            ir_attr group = attr_int("group", f.n_groups + 1 - f.group[i]);
            rewrite_copy_with(&rw, &from->nodes.data[i], f.group[i] ? &group : NULL, "group");
        }
        status = rewrite_finish(&rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_fuse(const pass_input *in, ir_module **out) {
    return rewrite_module(in->module, fuse_graph, (void *)in, in->sink, out);
}
