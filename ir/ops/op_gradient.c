/*
 * Gradients of linear with respect to its input and its weight.
 *
 * With y = x W^T + b and dy the gradient of a loss with respect to y: dx = dy W; dW = dy^T x, of a sparse weight at the positions
 * of its pattern alone (a sampled product); db = the sums of the columns of dy. An element of dx is summed in the order of the rows
 * of W, one of dW and db in the order of the rows of x, in double; the order does not depend on blocks, nor on the pattern.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "ir/ops/operands.h"

/* ---- shapes ---- */

/* f32[nnz(%p)] for the pattern that is input number i; NULL when memory is short. */
static const ir_type *non_zeros_type(const ir_infer *in, ir_dtype dtype, uint32_t i) {
    ir_symbol nnz = symbol_nnz(in->context, in->node->inputs[i]);
    if (!nnz) return NULL;
    ir_dim n = dim_symbol(nnz);
    return type_tensor(in->context, dtype, 1, &n);
}

static pofac_status infer_columns(const ir_infer *in, ir_dim *k) {
    const ir_type *dy = in->input[0], *weight = in->input[1], *pattern = infer_input(in, 2);
    if (!pattern) {
        TRY(want_rank(in, weight, "weight", 2, "[N,K], or the non-zeros of a pattern"));
        *k = weight->dims[1];
        ir_dim dims[2] = {dy->dims[1], *k};
        return want_type(in, weight, "weight", type_tensor(in->context, dy->dtype, 2, dims));
    }
    if (pattern->kind != TYPE_PATTERN || !dim_equal(pattern->dims[0], dy->dims[1]))
        return infer_error(in, "pattern is %s, wanted pattern[%s,K]", type_text_of(in, pattern).text,
                           dim_text_of(in, dy->dims[1]).text);
    *k = pattern->dims[1];
    return want_type(in, weight, "weight", non_zeros_type(in, dy->dtype, 2));
}

pofac_status infer_linear_input_gradient(ir_infer *in) {
    const ir_type *dy = in->input[0];
    TRY(want_rank(in, dy, "dy", 2, "[R,N]"));
    TRY(want_float(in, dy, "dy"));
    ir_dim k;
    TRY(infer_columns(in, &k));
    ir_type t = *dy;
    t.dims[1] = k;
    return infer_result(in, 0, type_intern(in->context, &t));
}

pofac_status infer_linear_weight_gradient(ir_infer *in) {
    const ir_type *x = in->input[0], *dy = in->input[1], *pattern = infer_input(in, 2);
    TRY(want_rank(in, x, "x", 2, "[R,K]"));
    TRY(want_float(in, x, "x"));
    TRY(want_rank(in, dy, "dy", 2, "[R,N]"));
    ir_type wanted = *x;
    wanted.dims[1] = dy->dims[1];
    TRY(want_type(in, dy, "dy", type_intern(in->context, &wanted)));
    if (pattern &&
        (pattern->kind != TYPE_PATTERN || !dim_equal(pattern->dims[0], dy->dims[1]) || !dim_equal(pattern->dims[1], x->dims[1])))
        return infer_error(in, "pattern is %s, wanted pattern[%s,%s]", type_text_of(in, pattern).text,
                           dim_text_of(in, dy->dims[1]).text, dim_text_of(in, x->dims[1]).text);
    ir_dim dims[2] = {dy->dims[1], x->dims[1]};
    TRY(infer_result(in, 0, pattern ? non_zeros_type(in, x->dtype, 2) : type_tensor(in->context, x->dtype, 2, dims)));
    return infer_result(in, 1, type_tensor(in->context, x->dtype, 1, dims));
}

/* ---- values ---- */

#define ROWS 16 /* rows of dy per block */

/* sum [K][ROWS] += the weights of one row of W times its column of dy; columns NULL: all of them in order. */
static void spread(const double *weights, const int32_t *columns, int64_t n, const double dy[ROWS], double *restrict sum) {
    for (int64_t i = 0; i < n; i++) {
        double *to = sum + (columns ? columns[i] : i) * ROWS;
        for (int r = 0; r < ROWS; r++) to[r] += dy[r] * weights[i];
    }
}

pofac_status eval_linear_input_gradient(const ir_eval *e) {
    const ir_tensor *dy = e->input[0], *sparse = eval_input(e, 2);
    const ir_pattern *pattern = sparse ? sparse->pattern : NULL;
    int64_t n_rows = dy->dims[0], N = dy->dims[1], K = e->result[0]->dims[1];
    double *weight = alloc_doubles(tensor_elements(e->input[1]), 1), *block = alloc_doubles(N, ROWS), *sum = alloc_doubles(K, ROWS),
           *row = alloc_doubles(K, 1);
    pofac_status status = weight && block && sum && row ? POFAC_OK : diag_out_of_memory(e->sink);
    if (status == POFAC_OK) tensor_get_run(e->input[1], 0, tensor_elements(e->input[1]), weight);
    for (int64_t first = 0; status == POFAC_OK && first < n_rows; first += ROWS) {
        int64_t n_block = n_rows - first < ROWS ? n_rows - first : ROWS;
        tensor_get_run(dy, first * N, n_block * N, block);
        for (int64_t i = 0; i < K * ROWS; i++) sum[i] = 0;
        for (int64_t n = 0; n < N; n++) {
            double column[ROWS] = {0};
            int64_t begin = pattern ? pattern->row_start[n] : n * K, count = pattern ? pattern->row_start[n + 1] - begin : K;
            for (int64_t r = 0; r < n_block; r++) column[r] = block[r * N + n];
            spread(weight + begin, pattern ? pattern->column + begin : NULL, count, column, sum);
        }
        for (int64_t r = 0; r < n_block; r++) {
            for (int64_t k = 0; k < K; k++) row[k] = sum[k * ROWS + r];
            tensor_set_run(e->result[0], (first + r) * K, K, row);
        }
    }
    free(weight);
    free(block);
    free(sum);
    free(row);
    return status;
}

/* The sums over the rows of dy for one row n of W: `values` of the elements at the columns, and db[n]. */
static double sum_row(const double *x, const double *dy, int64_t n_rows, int64_t K, const int32_t *columns, int64_t count,
                      double *restrict values) {
    double total = 0;
    for (int64_t i = 0; i < count; i++) values[i] = 0;
    for (int64_t r = 0; r < n_rows; r++) {
        const double *row = x + r * K;
        total += dy[r];
        for (int64_t i = 0; i < count; i++) values[i] += dy[r] * row[columns ? columns[i] : i];
    }
    return total;
}

pofac_status eval_linear_weight_gradient(const ir_eval *e) {
    const ir_tensor *x = e->input[0], *dy = e->input[1], *sparse = eval_input(e, 2);
    const ir_pattern *pattern = sparse ? sparse->pattern : NULL;
    int64_t n_rows = x->dims[0], K = x->dims[1], N = dy->dims[1];
    double *wide = alloc_doubles(n_rows, K), *column = alloc_doubles(n_rows, 1), *values = alloc_doubles(K, 1);
    pofac_status status = wide && column && values ? POFAC_OK : diag_out_of_memory(e->sink);
    if (status == POFAC_OK) tensor_get_run(x, 0, n_rows * K, wide);
    for (int64_t n = 0; status == POFAC_OK && n < N; n++) {
        int64_t begin = pattern ? pattern->row_start[n] : n * K, count = pattern ? pattern->row_start[n + 1] - begin : K;
        for (int64_t r = 0; r < n_rows; r++) column[r] = tensor_get(dy, r * N + n);
        double total = sum_row(wide, column, n_rows, K, pattern ? pattern->column + begin : NULL, count, values);
        tensor_set_run(e->result[0], begin, count, values);
        tensor_set(e->result[1], n, total);
    }
    free(wide);
    free(column);
    free(values);
    return status;
}
