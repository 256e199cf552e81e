/*
 * Losses over a vocabulary, whose logits need no memory then. Where nobody else reads the logits,
 *
 *     cross_entropy(linear(x, w, b), labels)                           =  linear_cross_entropy(x, w, labels, b)
 *     kl_divergence(linear(x, w, b), linear(y, v, c), keep, s) {T}     =  linear_kl_divergence(x, w, y, v, b, c, keep, s) {T}
 *
 * and a scalar factor that is all that reads a cross entropy goes into it:
 *
 *     s * cross_entropy(linear(x, w, b), labels)                       =  linear_cross_entropy(x, w, labels, b, s)
 *
 * Autodiff finds the gradients as results of the same node. The factor must not be trained, since the op has no gradient for it: an
 * input or a constant. Sparse weights stay with their linear. The pass stands before autodiff: afterwards the gradient reads the logits
 * too.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

typedef struct loss_tiling {
    rewriter rw;
    const uint32_t *uses; /* [old values] */
    bool *inside;         /* [old nodes] part of a loss that is made at its last node */
    int64_t min_classes;
} loss_tiling;

/* The node that makes `v`, if it is an `op` and nobody else reads it. */
static const ir_node *only_for_this(const loss_tiling *t, ir_value v, ir_op op) {
    const ir_node *n = v == IR_NO_VALUE ? NULL : graph_node_of(t->rw.from, v);
    return n && n->op == op && t->uses[v] == 1 ? n : NULL;
}

/* The linear that makes `logits`, if a loss over so many classes can take it in; NULL: it cannot. */
static const ir_node *large_linear(const loss_tiling *t, ir_value logits) {
    const ir_node *linear = only_for_this(t, logits, OP_linear);
    int64_t n_classes;
    if (!linear || node_input(linear, 3) != IR_NO_VALUE) return NULL; /* a pattern */
    const ir_type *weight = graph_type(t->rw.from, linear->inputs[1]), *x = graph_type(t->rw.from, linear->inputs[0]);
    if (x->layout != LAYOUT_ROWS || !dim_is_const(weight->dims[0], &n_classes)) return NULL;
    return n_classes >= t->min_classes ? linear : NULL;
}

/* The linear of a cross entropy that can be made one with it; NULL: it cannot. */
static const ir_node *linear_of(const loss_tiling *t, const ir_node *loss) {
    if (node_input(loss, 2) != IR_NO_VALUE || strcmp(node_string(loss, "labels"), "ignore") != 0) return NULL;
    return large_linear(t, loss->inputs[0]);
}

/* Has the divergence two such linears, of student and teacher, and leaves out rows alone, not classes? */
static bool divergence_of(const loss_tiling *t, const ir_node *loss, const ir_node *linear[2]) {
    if (loss->op != OP_kl_divergence) return false;
    const ir_value keep = node_input(loss, 2);
    for (uint32_t i = 0; i < 2; i++) linear[i] = large_linear(t, loss->inputs[i]);
    return linear[0] && linear[1] && (keep == IR_NO_VALUE || graph_type(t->rw.from, keep)->rank == 1);
}

/* The factor of a product of a loss that can take it in: a scalar leaf of its type. IR_NO_VALUE: there is none. */
static ir_value factor_of(const loss_tiling *t, const ir_node *product, const ir_node **loss) {
    for (uint32_t i = 0; product->op == OP_mul && i < 2; i++) {
        const ir_value other = product->inputs[1 - i];
        const ir_node *maker = graph_node_of(t->rw.from, other);
        *loss = only_for_this(t, product->inputs[i], OP_cross_entropy);
        if (!*loss || !linear_of(t, *loss) || (maker->op != OP_input && maker->op != OP_constant)) continue;
        if (graph_type(t->rw.from, other) == graph_type(t->rw.from, product->inputs[i])) return other;
    }
    return IR_NO_VALUE;
}

static size_t number_of(const loss_tiling *t, const ir_node *n) { return (size_t)(n - t->rw.from->nodes.data); }

/* Marks what goes into the loss that ends with this node, if one does. */
static void find_inside(loss_tiling *t, const ir_node *n) {
    const ir_node *loss = n, *linear[2];
    if (n->op == OP_cross_entropy && linear_of(t, n)) t->inside[number_of(t, linear_of(t, n))] = true;
    for (int i = 0; i < 2 && divergence_of(t, n, linear); i++) t->inside[number_of(t, linear[i])] = true;
    if (factor_of(t, n, &loss) != IR_NO_VALUE) t->inside[number_of(t, loss)] = true;
}

/* The loss that ends with node `n`, made from `loss`; `factor` may be IR_NO_VALUE. */
static void make_loss(loss_tiling *t, const ir_node *n, const ir_node *loss, ir_value factor) {
    const ir_node *linear = linear_of(t, loss);
    const ir_value old[] = {linear->inputs[0], linear->inputs[1], loss->inputs[1], node_input(linear, 2), factor};
    const ir_attr reduction = attr_enum("reduction", node_string(loss, "reduction"));
    ir_value inputs[5];
    for (int i = 0; i < 5; i++) inputs[i] = rewrite_value(&t->rw, old[i]);
    rewrite_visit(&t->rw, n);
    rewrite_map(&t->rw, n->first_result,
                node_add(t->rw.to, OP_linear_cross_entropy, inputs,
                         factor != IR_NO_VALUE      ? 5
                         : inputs[3] != IR_NO_VALUE ? 4
                                                    : 3,
                         &reduction, 1, NULL));
}

static void make_divergence(loss_tiling *t, const ir_node *n, const ir_node *const linear[2]) {
    const ir_value old[] = {linear[0]->inputs[0],     linear[0]->inputs[1],     linear[1]->inputs[0], linear[1]->inputs[1],
                            node_input(linear[0], 2), node_input(linear[1], 2), node_input(n, 2),     node_input(n, 3)};
    const ir_attr temperature = attr_float("temperature", node_float(n, "temperature"));
    ir_value inputs[8];
    size_t n_inputs = 0;
    for (size_t i = 0; i < 8; i++) {
        inputs[i] = old[i] == IR_NO_VALUE ? IR_NO_VALUE : rewrite_value(&t->rw, old[i]);
        if (inputs[i] != IR_NO_VALUE) n_inputs = i + 1;
    }
    rewrite_visit(&t->rw, n);
    rewrite_map(&t->rw, n->first_result, node_add(t->rw.to, OP_linear_kl_divergence, inputs, n_inputs, &temperature, 1, NULL));
}

static void place_node(loss_tiling *t, const ir_node *n) {
    const ir_node *loss = n, *linear[2];
    const ir_value factor = factor_of(t, n, &loss);
    if (t->inside[number_of(t, n)]) return;
    if (factor != IR_NO_VALUE) make_loss(t, n, loss, factor);
    else if (n->op == OP_cross_entropy && linear_of(t, n)) make_loss(t, n, n, IR_NO_VALUE);
    else if (divergence_of(t, n, linear)) make_divergence(t, n, linear);
    else rewrite_copy_unmarked(&t->rw, n, NULL, NULL);
}

static pofac_status tile_loss_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    loss_tiling t = {.uses = graph_count_uses(from, &memory), .inside = ARENA_ARRAY(&memory, bool, from->nodes.size + 1)};
    pofac_status status = t.uses && t.inside ? pass_int_option(in, "min_classes", &t.min_classes) : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) status = rewrite_begin(&t.rw, from, to);
    if (status == POFAC_OK) {
        for (size_t i = 0; i < from->nodes.size; i++) find_inside(&t, &from->nodes.data[i]);
        for (size_t i = 0; i < from->nodes.size && to->status == POFAC_OK; i++) place_node(&t, &from->nodes.data[i]);
        status = rewrite_finish(&t.rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_tile_loss(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, tile_loss_graph, &copy, in->sink, out);
}
