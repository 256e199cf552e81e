/*
 * Canonicalization: local rewrites that bring equal things into one form.
 *
 * Contract of a rule: it looks at one node with its inputs already rewritten, gives a value of the same type with the same elements (for finite and non-finite inputs alike; the
 * sign of a zero may differ in x + 0), or none. Every rule removes a node, shortens a chain, or moves a constant to the second place, so one sweep over a graph ends, and repeating the
 * pass changes nothing that these rules see. Nodes that lose their last use are left to dce.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

typedef struct canonical {
    rewriter *rw;
    const ir_node *node;  /* the old node: attributes and result type */
    const uint32_t *uses; /* of the old graph's values */
    ir_value input[8];    /* new values */
    const ir_type *type;  /* wanted of the first result, in the new graph */
} canonical;

static const ir_node *made_by(const canonical *c, ir_value v) { return graph_node_of(c->rw->to, v); }
static const ir_type *type_of(const canonical *c, ir_value v) { return graph_type(c->rw->to, v); }

/* Is `v` a constant whose elements all are `number`, written as a single value? */
static bool is_fill(const canonical *c, ir_value v, double number) {
    const ir_node *n = made_by(c, v);
    const ir_attr *value = n->op == OP_constant ? node_find_attr(n, "value") : NULL;
    return value && value->as.floats.n == 1 && value->as.floats.data[0] == number;
}

/* f(x) of the type that x has already is x. */
static ir_value drop_identity(const canonical *c) { return type_of(c, c->input[0]) == c->type ? c->input[0] : IR_NO_VALUE; }

/* reshape(reshape(x)) = reshape(x), relayout likewise. */
static ir_value join_chain(const canonical *c) {
    ir_value same = drop_identity(c);
    const ir_node *inner = made_by(c, c->input[0]);
    if (same || inner->op != c->node->op) return same;
    ir_value x = inner->inputs[0];
    return type_of(c, x) == c->type ? x : build_declared(c->rw->to, c->node->op, x, c->type);
}

static ir_value simplify_slice(const canonical *c) {
    ir_value same = drop_identity(c);
    const ir_node *inner = made_by(c, c->input[0]);
    if (same || inner->op != OP_slice) return same;
    int64_t shift = node_int(inner, "begin");
    ir_attr attrs[] = {attr_int("begin", node_int(c->node, "begin") + shift), attr_int("end", node_int(c->node, "end") + shift)};
    ir_value x = inner->inputs[0];
    return node_add(c->rw->to, OP_slice, &x, 1, attrs, 2, NULL);
}

/* (x[i])[j] = x[i[j]] */
static ir_value simplify_gather_rows(const canonical *c) {
    const ir_node *inner = made_by(c, c->input[0]);
    if (inner->op != OP_gather_rows) return IR_NO_VALUE;
    ir_value x = inner->inputs[0], index = build_binary(c->rw->to, OP_gather_rows, inner->inputs[1], c->input[1]);
    return build_binary(c->rw->to, OP_gather_rows, x, index);
}

/* Constants second; else by number, when both have the result's type (so that neither is broadcast). */
static bool should_swap(const canonical *c) {
    ir_value a = c->input[0], b = c->input[1];
    if (type_of(c, a) != type_of(c, b)) return false;
    bool a_constant = made_by(c, a)->op == OP_constant, b_constant = made_by(c, b)->op == OP_constant;
    return a_constant != b_constant ? a_constant : a > b;
}

/* linear(x, w) + b with a vector b of the linear's width is linear(x, w, b), when nothing else reads the product. */
static ir_value bias_into_linear(const canonical *c) {
    const ir_node *inner = made_by(c, c->input[0]);
    const ir_type *bias = type_of(c, c->input[1]);
    if (inner->op != OP_linear || node_input(inner, 2) || bias->rank != 1 || type_of(c, c->input[0])->rank != 2) return IR_NO_VALUE;
    if (!dim_equal(bias->dims[0], c->type->dims[1]) || c->uses[c->node->inputs[0]] != 1) return IR_NO_VALUE;
    ir_value inputs[] = {inner->inputs[0], inner->inputs[1], c->input[1], node_input(inner, 3)};
    return node_add(c->rw->to, OP_linear, inputs, 4, NULL, 0, NULL);
}

static ir_value simplify_add(const canonical *c) {
    if (is_fill(c, c->input[1], 0.0)) return drop_identity(c);
    if (should_swap(c)) return build_binary(c->rw->to, OP_add, c->input[1], c->input[0]);
    return bias_into_linear(c);
}

static ir_value simplify_sub(const canonical *c) { return is_fill(c, c->input[1], 0.0) ? drop_identity(c) : IR_NO_VALUE; }

static ir_value simplify_mul(const canonical *c) {
    if (is_fill(c, c->input[1], 1.0)) return drop_identity(c);
    return should_swap(c) ? build_binary(c->rw->to, OP_mul, c->input[1], c->input[0]) : IR_NO_VALUE;
}

/* relu(relu(x)) = relu(x) */
static ir_value simplify_relu(const canonical *c) { return made_by(c, c->input[0])->op == OP_relu ? c->input[0] : IR_NO_VALUE; }

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

static ir_value apply_rules(rewriter *rw, const ir_node *n, const uint32_t *uses) {
    canonical c = {.rw = rw, .node = n, .uses = uses};
    if (n->n_inputs == 0 || n->n_inputs > 8) return IR_NO_VALUE;
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        c.input[i] = rewrite_value(rw, n->inputs[i]);
        if (n->inputs[i] && !c.input[i]) return IR_NO_VALUE; /* an earlier error */
    }
    c.type = rewrite_type(rw, graph_type(rw->from, n->first_result));
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].op == n->op) return rules[i].simplify(&c);
    return IR_NO_VALUE;
}

static pofac_status canonicalize_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    const uint32_t *uses = graph_count_uses(from, &memory);
    if (!uses) return diag_out_of_memory(in->sink);
    rewriter rw;
    pofac_status status = rewrite_begin(&rw, from, to);
    if (status == POFAC_OK) {
        for (size_t i = 0; i < from->nodes.size; i++) {
            const ir_node *n = &from->nodes.data[i];
            rewrite_visit(&rw, n);
            ir_value simpler = apply_rules(&rw, n, uses);
            if (simpler) rewrite_map(&rw, n->first_result, simpler);
            else rewrite_copy(&rw, n);
        }
        status = rewrite_finish(&rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_canonicalize(const pass_input *in, ir_module **out) {
    return rewrite_module(in->module, canonicalize_graph, (void *)in, in->sink, out);
}
