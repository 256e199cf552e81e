/*
 * Between dense weights and their non-zeros: a pattern's positions by row and then by column. Each is the other's gradient.
 */
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

void gradient_dense_to_sparse(const ir_gradient *g) {
    g->dinput[0] = build_binary(g->graph, OP_sparse_to_dense, g->dresult[0], g->node->inputs[1]);
}

void gradient_sparse_to_dense(const ir_gradient *g) {
    g->dinput[0] = build_binary(g->graph, OP_dense_to_sparse, g->dresult[0], g->node->inputs[1]);
}
