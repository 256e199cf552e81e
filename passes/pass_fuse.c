/*
 * Fusion: marks nodes that one kernel computes with the same `group` number. A group is found backwards from its last node. Every
 * other node of it makes one value, which is used once, by the group: so no path leaves a group and comes back, and the group can
 * run at the place of its last node.
 *
 *   embedding sum   embedding { + embedding } [relayout] layer_norm
 *   residual        linear, + x, where a layer_norm follows
 *   norm            x + residual, layer_norm, where neither is such a linear
 *   activation      linear, gelu | relu | tanh
 *
 * All but the embeddings and their sums are in tiles. Groups and slots that the graph had are dropped. Groups are numbered from 1
 * in the order of their last nodes.
 */
#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

#define MAX_SUM_NODES 15 /* of an embedding sum: 8 tables and 7 additions; BERT has 3 tables */

typedef struct fusion {
    const ir_graph *g;
    const uint32_t *uses; /* of each value */
    int64_t *group;       /* of each node, from 1 in the order of finding; 0: none */
    int64_t n_groups;
} fusion;

/* The node that makes `v` where it may be inside a group: `v` is used once, and no group has it yet. Else NULL. */
static const ir_node *inner_node(const fusion *f, ir_value v) {
    return f->uses[v] == 1 && f->group[f->g->values.data[v].node] == 0 ? graph_node_of(f->g, v) : NULL;
}

static const ir_type *type_of(const fusion *f, ir_value v) { return graph_type(f->g, v); }
static bool is_tiled(const fusion *f, ir_value v) { return type_of(f, v)->layout == LAYOUT_TILES; }

static bool is_inner_linear(const fusion *f, ir_value v) {
    const ir_node *n = inner_node(f, v);
    return n && n->op == OP_linear && is_tiled(f, v);
}

static void mark(fusion *f, const ir_node *n) { f->group[n - f->g->nodes.data] = f->n_groups; }

/* The nodes of the sum `v` of f32 embeddings, all of them inner ones; 0 when it is none or too long. */
static size_t embedding_sum(const fusion *f, ir_value v, const ir_node *nodes[MAX_SUM_NODES]) {
    ir_value open[MAX_SUM_NODES + 1] = {v};
    size_t n_open = 1, n = 0;
    while (n_open > 0) {
        const ir_node *node = inner_node(f, open[--n_open]);
        if (!node || n == MAX_SUM_NODES || type_of(f, node->first_result)->dtype != IR_F32) return 0;
        nodes[n++] = node;
        if (node->op == OP_embedding) continue;
        if (node->op != OP_add || n + n_open + 2 > MAX_SUM_NODES) return 0;
        if (type_of(f, node->inputs[0]) != type_of(f, node->inputs[1])) return 0;
        open[n_open++] = node->inputs[0];
        open[n_open++] = node->inputs[1];
    }
    return n;
}

static bool fuse_embedding_sum(fusion *f, const ir_node *norm) {
    const ir_node *nodes[MAX_SUM_NODES], *inner = inner_node(f, norm->inputs[0]);
    bool relayout = inner && inner->op == OP_relayout;
    if (!is_tiled(f, norm->inputs[0])) return false;
    size_t n = embedding_sum(f, relayout ? inner->inputs[0] : norm->inputs[0], nodes);
    if (n == 0) return false;
    f->n_groups++;
    for (size_t i = 0; i < n; i++) mark(f, nodes[i]);
    if (relayout) mark(f, inner);
    mark(f, norm);
    return true;
}

/* A linear takes the residual in, where its sums begin; the norm is left with one tensor to read. */
static void fuse_norm(fusion *f, const ir_node *norm) {
    const ir_node *add = inner_node(f, norm->inputs[0]);
    if (!add || add->op != OP_add || !is_tiled(f, norm->inputs[0])) return;
    ir_value a = add->inputs[0], b = add->inputs[1];
    if (type_of(f, a) != type_of(f, b)) return;
    const bool second = is_inner_linear(f, b);
    f->n_groups++;
    mark(f, add);
    if (second || is_inner_linear(f, a)) mark(f, graph_node_of(f->g, second ? b : a));
    else mark(f, norm);
}

static void fuse_activation(fusion *f, const ir_node *activation) {
    ir_value x = activation->inputs[0];
    if (!is_inner_linear(f, x)) return;
    f->n_groups++;
    mark(f, graph_node_of(f->g, x));
    mark(f, activation);
}

static void find_groups(fusion *f) {
    for (size_t i = f->g->nodes.size; i-- > 0;) {
        const ir_node *n = &f->g->nodes.data[i];
        if (f->group[i] != 0) continue;
        if (n->op == OP_layer_norm && !fuse_embedding_sum(f, n)) fuse_norm(f, n);
        if (n->op == OP_gelu || n->op == OP_relu || n->op == OP_tanh) fuse_activation(f, n);
    }
}

static void copy_grouped(const fusion *f, rewriter *rw, size_t i) {
    ir_attr group = attr_int("group", f->n_groups + 1 - f->group[i]); /* found backwards, numbered forwards */
    if (f->group[i] != 0) rewrite_copy_with(rw, &f->g->nodes.data[i], &group, "slot");
    else rewrite_copy_unmarked(rw, &f->g->nodes.data[i], NULL, NULL);
}

static pofac_status fuse_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    rewriter rw;
    fusion f = {.g = from, .uses = graph_count_uses(from, &memory)};
    f.group = ARENA_ARRAY(&memory, int64_t, from->nodes.size + 1);
    pofac_status status = f.uses && f.group ? rewrite_begin(&rw, from, to) : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) {
        find_groups(&f);
        for (size_t i = 0; i < from->nodes.size; i++) copy_grouped(&f, &rw, i);
        status = rewrite_finish(&rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_fuse(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, fuse_graph, &copy, in->sink, out);
}
