/*
 * Layers with parameters: embedding, linear (dense and sparse weights), layer norm.
 *
 * linear adds the products of one output in order of the columns, in double, sixteen rows of x at a time: for a block of rows the
 * columns of x are laid side by side, [K][16], so that each weight is used for sixteen independent sums. The order of additions of one
 * output does not depend on the block.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "ir/ops/operands.h"

pofac_status infer_embedding(ir_infer *in) {
    const ir_type *table = in->input[0], *ids = in->input[1];
    TRY(want_rank(in, table, "table", 2, "[V,E]"));
    TRY(want_float(in, table, "table"));
    TRY(want_rank(in, ids, "ids", 1, "[R]"));
    TRY(want_integer(in, ids, "ids"));
    ir_dim dims[2] = {ids->dims[0], table->dims[1]};
    return infer_result(in, 0, type_tensor(in->context, table->dtype, 2, dims));
}

pofac_status eval_embedding(const ir_eval *e) {
    const ir_tensor *table = e->input[0], *ids = e->input[1];
    int64_t n_ids = table->dims[0], width = table->dims[1];
    for (int64_t r = 0; r < ids->dims[0]; r++) {
        int64_t id = tensor_get_int(ids, r);
        if (id < 0 || id >= n_ids)
            return eval_error(e, "row %" PRId64 " has id %" PRId64 ", wanted 0 to %" PRId64, r, id, n_ids - 1);
        copy_elements(e->result[0], r * width, table, id * width, width);
    }
    return POFAC_OK;
}

/* The weight [N,K], dense or as the non-zeros of the pattern in input 3; gives N. */
static pofac_status infer_weight(const ir_infer *in, ir_dim *n) {
    const ir_type *x = in->input[0], *weight = in->input[1], *pattern = infer_input(in, 3);
    if (!pattern) {
        TRY(want_rank(in, weight, "weight", 2, "[N,K], or the non-zeros of a pattern"));
        *n = weight->dims[0];
        ir_dim dims[2] = {*n, x->dims[1]};
        return want_type(in, weight, "weight", type_tensor(in->context, x->dtype, 2, dims));
    }
    if (pattern->kind != TYPE_PATTERN || !dim_equal(pattern->dims[1], x->dims[1]))
        return infer_error(in, "pattern is %s, wanted pattern[N,%s]", type_text_of(in, pattern).text,
                           dim_text_of(in, x->dims[1]).text);
    *n = pattern->dims[0];
    ir_symbol nnz = symbol_nnz(in->context, in->node->inputs[3]);
    if (!nnz) return diag_out_of_memory(in->sink);
    ir_dim non_zeros = dim_symbol(nnz);
    return want_type(in, weight, "weight", type_tensor(in->context, x->dtype, 1, &non_zeros));
}

pofac_status infer_linear(ir_infer *in) {
    const ir_type *x = in->input[0], *bias = infer_input(in, 2);
    TRY(want_rank(in, x, "x", 2, "[R,K]"));
    TRY(want_float(in, x, "x"));
    ir_dim n;
    TRY(infer_weight(in, &n));
    if (bias) TRY(want_type(in, bias, "bias", type_tensor(in->context, x->dtype, 1, &n)));
    ir_type t = *x;
    t.dims[1] = n;
    return infer_result(in, 0, type_intern(in->context, &t));
}

#define ROWS 16 /* rows of x per block */

/* Rows first .. first + n of x [R,K] side by side: block[k * ROWS + r]; `row` is scratch of K. Lanes past n are 0. */
static void load_block(const ir_tensor *x, int64_t first, int64_t n, double *row, double *block) {
    int64_t width = x->dims[1];
    for (int64_t r = 0; r < ROWS; r++) {
        if (r < n) tensor_get_run(x, (first + r) * width, width, row);
        for (int64_t k = 0; k < width; k++) block[k * ROWS + r] = r < n ? row[k] : 0;
    }
}

/* acc [ROWS] += the row's weights times the block; columns NULL: all of them in order. */
static void accumulate(const double *weights, const int32_t *columns, int64_t n, const double *block, double *restrict acc) {
    for (int64_t i = 0; i < n; i++) {
        const double *x = block + (columns ? columns[i] : i) * ROWS;
        for (int r = 0; r < ROWS; r++) acc[r] += weights[i] * x[r];
    }
}

pofac_status eval_linear(const ir_eval *e) {
    const ir_tensor *x = e->input[0], *weight = e->input[1], *bias = eval_input(e, 2), *sparse = eval_input(e, 3);
    const ir_pattern *pattern = sparse ? sparse->pattern : NULL;
    int64_t n_rows = x->dims[0], width = x->dims[1], n_out = e->result[0]->dims[1];
    double *row = alloc_doubles(width, 1), *block = alloc_doubles(width, ROWS), *out = alloc_doubles(n_out, ROWS);
    pofac_status status = POFAC_OK;
    if (!row || !block || !out) {
        status = diag_out_of_memory(e->sink);
        goto done;
    }
    for (int64_t first = 0; first < n_rows; first += ROWS) {
        int64_t n = n_rows - first < ROWS ? n_rows - first : ROWS;
        load_block(x, first, n, row, block);
        for (int64_t o = 0; o < n_out; o++) {
            int64_t begin = pattern ? pattern->row_start[o] : o * width,
                    count = pattern ? pattern->row_start[o + 1] - begin : width;
            double acc[ROWS] = {0};
            tensor_get_run(weight, begin, count, row);
            accumulate(row, pattern ? pattern->column + begin : NULL, count, block, acc);
            double b = bias ? tensor_get(bias, o) : 0;
            for (int64_t r = 0; r < n; r++) out[r * n_out + o] = acc[r] + b;
        }
        tensor_set_run(e->result[0], first * n_out, n * n_out, out);
    }
done:
    free(row);
    free(block);
    free(out);
    return status;
}

pofac_status infer_layer_norm(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_rank(in, x, "x", 2, "[R,E]"));
    TRY(want_float(in, x, "x"));
    const ir_type *vector = type_tensor(in->context, x->dtype, 1, &x->dims[1]);
    TRY(want_type(in, in->input[1], "gamma", vector));
    TRY(want_type(in, in->input[2], "beta", vector));
    double eps = node_float(in->node, "eps");
    if (!(eps >= 0 && eps < INFINITY)) return infer_error(in, "eps is %g, wanted a number of at least 0", eps);
    const ir_type *moment = type_tensor(in->context, x->dtype, 1, &x->dims[0]);
    TRY(infer_result(in, 0, x));
    TRY(infer_result(in, 1, moment));
    return infer_result(in, 2, moment);
}

/* mean = sum x / E, variance = sum (x - mean)^2 / E, y = (x - mean) / sqrt(variance + eps) * gamma + beta */
pofac_status eval_layer_norm(const ir_eval *e) {
    const ir_tensor *x = e->input[0];
    int64_t n_rows = x->dims[0], width = x->dims[1];
    double eps = node_float(e->node, "eps"), *buffer = alloc_doubles(width, 3);
    if (!buffer) return diag_out_of_memory(e->sink);
    double *row = buffer, *gamma = buffer + width, *beta = buffer + 2 * width;
    tensor_get_run(e->input[1], 0, width, gamma);
    tensor_get_run(e->input[2], 0, width, beta);
    for (int64_t r = 0; r < n_rows; r++) {
        tensor_get_run(x, r * width, width, row);
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < width; i++) mean += row[i];
        mean /= (double)width;
        for (int64_t i = 0; i < width; i++) variance += (row[i] - mean) * (row[i] - mean);
        double rstd = 1 / sqrt(variance / (double)width + eps);
        for (int64_t i = 0; i < width; i++) row[i] = (row[i] - mean) * rstd * gamma[i] + beta[i];
        tensor_set_run(e->result[0], r * width, width, row);
        tensor_set(e->result[1], r, mean);
        tensor_set(e->result[2], r, rstd);
    }
    free(buffer);
    return POFAC_OK;
}
