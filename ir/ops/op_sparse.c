/*
 * Between dense weights and their non-zeros: a pattern's positions by row and then by column. Each is the other's gradient.
 *
 * Under a mask the gradient of a weight is that of the elements which are taken. Two forms want that of all elements, as if nothing were pruned: straight
 * through the mask, and the one of scores that the mask comes from. The gradient of the non-zeros then is dense_to_sparse of it, which is how linears make it
 * (ir/ops/op_layer_gradient.c), or a sum of such; so it is found behind them.
 */
#include <string.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"

static pofac_status want_pattern(const ir_infer *in) {
    if (in->input[1]->kind == TYPE_PATTERN) return POFAC_OK;
    return infer_error(in, "pattern is %s, wanted pattern[N,K]", type_text_of(in, in->input[1]).text);
}

/* DTYPE[nnz(%p)] for the pattern that is input 1; NULL when memory is short. */
static const ir_type *values_type(const ir_infer *in, ir_dtype dtype) {
    ir_symbol nnz = symbol_nnz(in->context, in->node->inputs[1]);
    if (!nnz) return NULL;
    ir_dim n = dim_symbol(nnz);
    return type_tensor(in->context, dtype, 1, &n);
}

pofac_status infer_dense_to_sparse(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_pattern(in));
    TRY(want_rank(in, x, "x", 2, "[N,K]"));
    TRY(want_float(in, x, "x"));
    TRY(want_type(in, x, "x", type_tensor(in->context, x->dtype, 2, in->input[1]->dims)));
    if (infer_input(in, 2)) TRY(want_type(in, in->input[2], "scores", x));
    return infer_result(in, 0, values_type(in, x->dtype));
}

pofac_status infer_sparse_to_dense(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_pattern(in));
    TRY(want_float(in, x, "x"));
    TRY(want_type(in, x, "x", values_type(in, x->dtype)));
    return infer_result(in, 0, type_tensor(in->context, x->dtype, 2, in->input[1]->dims));
}

/* Calls `move` for each place: its number among the non-zeros, and among all elements. */
static void for_each_place(const ir_pattern *p, void (*move)(const ir_eval *e, int64_t place, int64_t element), const ir_eval *e) {
    for (int64_t n = 0; n < p->n_rows; n++)
        for (int64_t i = p->row_start[n]; i < p->row_start[n + 1]; i++) move(e, i, n * p->n_columns + p->column[i]);
}

static void take(const ir_eval *e, int64_t place, int64_t element) { copy_elements(e->result[0], place, e->input[0], element, 1); }
static void put(const ir_eval *e, int64_t place, int64_t element) { copy_elements(e->result[0], element, e->input[0], place, 1); }

pofac_status eval_dense_to_sparse(const ir_eval *e) {
    for_each_place(e->input[1]->pattern, take, e);
    return POFAC_OK;
}

pofac_status eval_sparse_to_dense(const ir_eval *e) {
    for_each_place(e->input[1]->pattern, put, e);
    return POFAC_OK;
}

bool takes_all_gradients(const ir_node *n) {
    return n->op == OP_dense_to_sparse && (node_input(n, 2) != IR_NO_VALUE || strcmp(node_string(n, "gradient"), "straight") == 0);
}

/* The gradient of all elements, of which `taken` has those at the pattern's positions; IR_NO_VALUE, with an error, where nobody made it. */
static ir_value all_elements(const ir_gradient *g, ir_value taken) {
    const ir_node n = *graph_node_of(g->graph, taken);
    if (n.op == OP_dense_to_sparse && n.inputs[1] == g->node->inputs[1]) return n.inputs[0];
    if (n.op == OP_add) {
        const ir_value a = all_elements(g, n.inputs[0]), b = a == IR_NO_VALUE ? a : all_elements(g, n.inputs[1]);
        return b == IR_NO_VALUE ? b : build_binary(g->graph, OP_add, a, b);
    }
    gradient_error(g, "is read by %s, wanted linears alone where the gradient of all elements is", op_info(n.op)->name);
    return IR_NO_VALUE;
}

void gradient_dense_to_sparse(const ir_gradient *g) {
    const ir_node *n = g->node;
    const bool straight = strcmp(node_string(n, "gradient"), "straight") == 0;
    const ir_value all = takes_all_gradients(n) ? all_elements(g, g->dresult[0]) : IR_NO_VALUE;
    if (takes_all_gradients(n) && all == IR_NO_VALUE) return;
    if (g->wanted[0]) g->dinput[0] = straight ? all : build_binary(g->graph, OP_sparse_to_dense, g->dresult[0], n->inputs[1]);
    if (n->n_inputs > 2 && n->inputs[2] != IR_NO_VALUE && g->wanted[2])
        g->dinput[2] = build_binary(g->graph, OP_mul, n->inputs[0], all);
}

void gradient_sparse_to_dense(const ir_gradient *g) {
    g->dinput[0] = build_binary(g->graph, OP_dense_to_sparse, g->dresult[0], g->node->inputs[1]);
}
