/*
 * Canonicalization: local rewrites that bring equal things into one form.
 *
 * Contract of a rule: it looks at one node with its inputs already rewritten and gives a value of the same type with the same
 * elements, bit for bit, or none; only x + 0 and x - 0 may turn a zero's sign. So a rule must not move a rounding: a bias added
 * behind a linear stays there, since inside it would be added before the product is rounded. Every rule drops a node, shortens a
 * chain by one, or orders operands, and adds at most one node besides the one that it replaces; so one sweep ends in time linear in
 * the graph, and running the pass again changes nothing. Nodes that lose their last use are left to dce.
 *
 * ORDER of operands of commutative ops, where both have the result's type: constants second, else by number.
 */
#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

typedef struct canonical {
    ir_graph *to;
    const ir_node *node; /* the old node: op and attributes */
    ir_value x, y;       /* its first two inputs, in the new graph; absent: IR_NO_VALUE */
    const ir_type *type; /* of its first result, in the new graph */
} canonical;

static const ir_node *made_by(const canonical *c, ir_value v) { return graph_node_of(c->to, v); }
static const ir_type *type_of(const canonical *c, ir_value v) { return graph_type(c->to, v); }
static bool is_constant(const canonical *c, ir_value v) { return made_by(c, v)->op == OP_constant; }

/* Is `v` a constant whose elements all are `number`, written as a single value? */
static bool is_fill(const canonical *c, ir_value v, double number) {
    const ir_attr *value = is_constant(c, v) ? node_find_attr(made_by(c, v), "value") : NULL;
    return value && value->as.floats.n == 1 && value->as.floats.data[0] == number;
}

/* ---- rules ---- */

/* f(x) of the type that x has already is x. */
static ir_value drop_identity(const canonical *c) { return type_of(c, c->x) == c->type ? c->x : IR_NO_VALUE; }

/* reshape(reshape(x)) = reshape(x), relayout likewise. */
static ir_value join_chain(const canonical *c) {
    const ir_node *inner = made_by(c, c->x);
    if (type_of(c, c->x) == c->type) return c->x;
    if (inner->op != c->node->op) return IR_NO_VALUE;
    ir_value x = inner->inputs[0];
    return type_of(c, x) == c->type ? x : build_declared(c->to, c->node->op, x, c->type);
}

/* x[a:b][c:d] = x[a+c:a+d] */
static ir_value simplify_slice(const canonical *c) {
    const ir_node *inner = made_by(c, c->x);
    if (type_of(c, c->x) == c->type) return c->x;
    if (inner->op != OP_slice) return IR_NO_VALUE;
    int64_t shift = node_int(inner, "begin");
    ir_attr attrs[] = {attr_int("begin", node_int(c->node, "begin") + shift), attr_int("end", node_int(c->node, "end") + shift)};
    return node_add(c->to, OP_slice, &inner->inputs[0], 1, attrs, 2, NULL);
}

/* x[i][j] = x[i[j]] for a matrix x, so that rows move once. */
static ir_value simplify_gather_rows(const canonical *c) {
    const ir_node *inner = made_by(c, c->x);
    if (inner->op != OP_gather_rows || c->type->rank != 2) return IR_NO_VALUE;
    ir_value x = inner->inputs[0], i = inner->inputs[1]; /* building a node may move `inner` */
    return build_binary(c->to, OP_gather_rows, x, build_binary(c->to, OP_gather_rows, i, c->y));
}

static bool should_swap(const canonical *c) {
    if (type_of(c, c->x) != type_of(c, c->y)) return false;
    bool x_constant = is_constant(c, c->x), y_constant = is_constant(c, c->y);
    return x_constant != y_constant ? x_constant : c->x > c->y;
}

/* x OP neutral = x, else the operands in order. */
static ir_value simplify_commutative(const canonical *c, double neutral) {
    bool swap = should_swap(c);
    ir_value first = swap ? c->y : c->x, second = swap ? c->x : c->y;
    if (is_fill(c, second, neutral)) return first;
    return swap ? build_binary(c->to, c->node->op, first, second) : IR_NO_VALUE;
}

static ir_value simplify_add(const canonical *c) { return simplify_commutative(c, 0.0); }
static ir_value simplify_mul(const canonical *c) { return simplify_commutative(c, 1.0); }
static ir_value simplify_sub(const canonical *c) { return is_fill(c, c->y, 0.0) ? c->x : IR_NO_VALUE; }

/* relu(relu(x)) = relu(x) */
static ir_value simplify_relu(const canonical *c) { return made_by(c, c->x)->op == OP_relu ? c->x : IR_NO_VALUE; }

static const struct {
    ir_op op;
    ir_value (*simplify)(const canonical *c);
} rules[] = {
    {OP_reshape, join_chain},
    {OP_relayout, join_chain},
    {OP_cast, drop_identity},
    {OP_slice, simplify_slice},
    {OP_gather_rows, simplify_gather_rows},
    {OP_add, simplify_add},
    {OP_sub, simplify_sub},
    {OP_mul, simplify_mul},
    {OP_relu, simplify_relu},
};

/* ---- the pass ---- */

/* What the old node's first result is in the new graph by the rule of its op; IR_NO_VALUE: no rule, or none that fits. */
static ir_value apply_rule(rewriter *rw, const ir_node *n) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].op != n->op) continue;
        canonical c = {.to = rw->to, .node = n, .x = rewrite_value(rw, n->inputs[0]), .y = rewrite_value(rw, node_input(n, 1))};
        c.type = rewrite_type(rw, graph_type(rw->from, n->first_result));
        return rw->to->module->status == POFAC_OK && c.type ? rules[i].simplify(&c) : IR_NO_VALUE;
    }
    return IR_NO_VALUE;
}

static pofac_status canonicalize_graph(void *user, const ir_graph *from, ir_module *to) {
    (void)user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    for (size_t i = 0; i < from->nodes.size && to->status == POFAC_OK; i++) {
        const ir_node *n = &from->nodes.data[i];
        rewrite_visit(&rw, n);
        ir_value simpler = apply_rule(&rw, n);
        if (simpler) rewrite_map(&rw, n->first_result, simpler);
        else rewrite_copy_unmarked(&rw, n, NULL, NULL);
    }
    return rewrite_finish(&rw);
}

pofac_status pass_canonicalize(const pass_input *in, ir_module **out) {
    return rewrite_module(in->module, canonicalize_graph, NULL, in->sink, out);
}
