/*
 * Fusion: marks nodes that one kernel computes with the same `group` number. A group is found backwards from its last node. What its
 * other nodes make is read by the group, and by nobody else before the group's end: so no path leaves a group and comes back, and the
 * group can run at the place of its last node.
 *
 *   embedding sum   embedding { + embedding } [relayout] [layer_norm]
 *   tail            linear, its input gradient, or a layer norm's gradient; elementwise work on the result: bias and residual sums,
 *                   activations and their gradients, one dropout, sums of gradients, values as 8 bits hold them and their gradients
 *   tail in 8 bits  linear_int8, elementwise work on the result, and quantize of that by the range of a tensor
 *   chain           elementwise work on elementwise work, of which none belongs to a tail
 *   norm            x + residual, layer_norm, where the sum is no such tail
 *
 * All but the embeddings and their sums are in tiles. Groups and slots that the graph had are dropped. Groups are numbered from 1
 * in the order of their last nodes.
 */
#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

#define MAX_SUM_NODES 15 /* of an embedding sum: 8 tables and 7 additions; BERT has 3 tables */
#define MAX_TAIL_NODES 8 /* models have up to three: a linear, dropout, a residual sum */

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
static bool is_tiled(const fusion *f, ir_value v) { return type_is_tiled(type_of(f, v)); }

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

/* `relayout` alone, where `norm` is NULL. */
static bool fuse_embedding_sum(fusion *f, const ir_node *relayout, const ir_node *norm) {
    const ir_node *nodes[MAX_SUM_NODES];
    size_t n = embedding_sum(f, relayout ? relayout->inputs[0] : norm->inputs[0], nodes);
    if (n == 0) return false;
    f->n_groups++;
    for (size_t i = 0; i < n; i++) mark(f, nodes[i]);
    if (relayout) mark(f, relayout);
    if (norm) mark(f, norm);
    return true;
}

static bool fuse_embedding_norm(fusion *f, const ir_node *norm) {
    const ir_node *inner = inner_node(f, norm->inputs[0]);
    if (!is_tiled(f, norm->inputs[0])) return false;
    return fuse_embedding_sum(f, inner && inner->op == OP_relayout ? inner : NULL, norm);
}

/* ---- tails ---- */

/* From its last node to the first. */
typedef struct tail {
    const ir_node *nodes[MAX_TAIL_NODES];
    size_t n;
} tail;

static bool is_tail_op(ir_op op) {
    const bool quantizes = op == OP_fake_quantize || op == OP_fake_quantize_gradient;
    return op == OP_dropout || quantizes || (op_has(op, TRAIT_ELEMENTWISE) && op != OP_cast);
}

static bool is_root_op(ir_op op) {
    return op == OP_linear || op == OP_linear_int8 || op == OP_linear_input_gradient || op == OP_layer_norm_gradient;
}

/* A quantize may end a tail of a linear in 8 bits, if it needs no whole rows for its ranges. */
static bool is_last_op(const fusion *f, const ir_node *n) {
    return is_tail_op(n->op) || (n->op == OP_quantize && type_of(f, n->inputs[1])->rank == 1);
}

/* May a tail that ends in the node begin with the op? */
static bool begins_tail(const ir_node *last, ir_op op) { return last->op == OP_quantize ? op == OP_linear_int8 : is_root_op(op); }

/* Of the values within it. */
static const ir_type *type_of_tail(const fusion *f, const ir_node *last) {
    return type_of(f, last->op == OP_quantize ? last->inputs[0] : last->first_result);
}

static bool has_op(const tail *t, ir_op op) {
    for (size_t i = 0; i < t->n; i++)
        if (t->nodes[i]->op == op) return true;
    return false;
}

static bool has_node(const tail *t, const ir_node *n) {
    for (size_t i = 0; i < t->n; i++)
        if (t->nodes[i] == n) return true;
    return false;
}

static bool reads_result(const ir_node *reader, const ir_node *maker) {
    for (uint32_t i = 0; i < reader->n_inputs; i++)
        if (reader->inputs[i] >= maker->first_result && reader->inputs[i] < maker->first_result + maker->n_results) return true;
    return false;
}

/* May the maker of `v` join the tail: is there nobody outside who reads its results before the tail's end? */
static bool can_join(const fusion *f, const tail *t, ir_value v) {
    const ir_node *maker = graph_node_of(f->g, v);
    if (t->n == MAX_TAIL_NODES || type_of(f, v) != type_of_tail(f, t->nodes[0]) || v != maker->first_result) return false;
    if (f->group[maker - f->g->nodes.data] != 0 || (maker->op == OP_dropout && has_op(t, OP_dropout))) return false;
    for (const ir_node *n = maker + 1; n < t->nodes[0]; n++)
        if (!has_node(t, n) && reads_result(n, maker)) return false;
    return true;
}

/* The values that a node of a tail computes with; the others say how. */
static uint32_t n_operands(const ir_node *n) {
    return n->op == OP_dropout || n->op == OP_quantize || n->op == OP_fake_quantize ? 1 : n->n_inputs;
}

/* Lengthens the tail from its node `n` down to a root; false, and the tail as it was, when there is none. */
static bool reach_root(const fusion *f, tail *t, const ir_node *n) {
    const uint32_t n_values = n_operands(n);
    for (int through = 0; through < 2; through++) /* roots themselves first */
        for (uint32_t i = n_values; i-- > 0;) {
            const ir_node *maker = graph_node_of(f->g, n->inputs[i]);
            if (!(through ? is_tail_op(maker->op) : begins_tail(t->nodes[0], maker->op)) || !can_join(f, t, n->inputs[i])) continue;
            t->nodes[t->n++] = maker;
            if (!through || reach_root(f, t, maker)) return true;
            t->n--;
        }
    return false;
}

static bool find_tail(const fusion *f, const ir_node *last, tail *t) {
    *t = (tail){.nodes = {last}, .n = 1};
    return is_last_op(f, last) && is_tiled(f, last->first_result) && reach_root(f, t, last);
}

/* The node before `n` in a chain; NULL: it is the first. */
static const ir_node *before_in_chain(const fusion *f, const tail *t, const ir_node *n) {
    tail other;
    for (uint32_t i = 0; i < n_operands(n); i++) {
        const ir_node *maker = graph_node_of(f->g, n->inputs[i]);
        if (is_tail_op(maker->op) && can_join(f, t, n->inputs[i]) && !find_tail(f, maker, &other)) return maker;
    }
    return NULL;
}

static bool find_chain(const fusion *f, const ir_node *last, tail *t) {
    *t = (tail){.nodes = {last}, .n = 1};
    if (!is_tail_op(last->op) || !is_tiled(f, last->first_result)) return false;
    for (const ir_node *n = last; (n = before_in_chain(f, t, n)) != NULL;) t->nodes[t->n++] = n;
    return t->n > 1;
}

static void fuse_tail(fusion *f, const ir_node *last) {
    tail t;
    if (!find_tail(f, last, &t) && !find_chain(f, last, &t)) return;
    f->n_groups++;
    for (size_t i = 0; i < t.n; i++) mark(f, t.nodes[i]);
}

/* A tail takes the residual in, where a linear's sums may begin; the norm is left with one tensor to read. */
static void fuse_norm(fusion *f, const ir_node *norm) {
    const ir_node *add = inner_node(f, norm->inputs[0]);
    tail t;
    if (!add || add->op != OP_add || !is_tiled(f, norm->inputs[0])) return;
    if (type_of(f, add->inputs[0]) != type_of(f, add->inputs[1]) || find_tail(f, add, &t)) return;
    f->n_groups++;
    mark(f, add);
    mark(f, norm);
}

static void find_groups(fusion *f) {
    for (size_t i = f->g->nodes.size; i-- > 0;) {
        const ir_node *n = &f->g->nodes.data[i];
        if (f->group[i] != 0) continue;
        if (n->op == OP_layer_norm && !fuse_embedding_norm(f, n)) fuse_norm(f, n);
        else if (n->op == OP_relayout && is_tiled(f, n->first_result)) fuse_embedding_sum(f, n, NULL);
        else fuse_tail(f, n);
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
