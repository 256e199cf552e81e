/*
 * Inference in integers (spec of the method: prune once for all, section 7; Jacob et al. 2018): activations in unsigned 8 bits by the range of a tensor
 * or of each of its rows, and products of them with weights in signed 8 bits, summed in 32 bits. The arithmetic is that of ir/quantization.h; every
 * number is the same on every machine and in every order of summing.
 *
 * Ranges of rows are for activations that nobody has observed: a row's numbers do not depend on the rows beside it. Weights are in single precision here,
 * by the range of the tensor or of each of its rows; whoever packs them puts them into 8 bits.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "ir/ops/operands.h"
#include "ir/quantization.h"

/* f32 [2], or [rows,2], which may be in the tiles of `like`. */
static pofac_status want_range(const ir_infer *in, const ir_type *t, const char *name, ir_dim rows, const ir_type *like) {
    const ir_dim dims[2] = {rows, dim_const(2)};
    const ir_type *whole = type_tensor(in->context, IR_F32, 1, &dims[1]), *each = type_tensor(in->context, IR_F32, 2, dims),
                  *tiled = each && type_is_tiled(like) ? type_with_layout(in->context, each, LAYOUT_TILES, like->tile) : each;
    if (!whole || !tiled) return diag_out_of_memory(in->sink);
    if (t == whole || t == each || t == tiled) return POFAC_OK;
    return infer_error(in, "%s is %s, wanted f32[2] or %s", name, type_text_of(in, t).text, type_text_of(in, tiled).text);
}

/* Of row r, where each row has its own. */
static value_range range_at(const ir_tensor *t, int64_t r) {
    const int64_t i = t->rank == 2 ? 2 * r : 0;
    return (value_range){(float)tensor_get(t, i), (float)tensor_get(t, i + 1)};
}

/* ---- ranges of rows ---- */

pofac_status infer_row_range(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_rank(in, x, "x", 2, "[R,K]"));
    if (x->dtype != IR_F32) return infer_error(in, "x is %s, wanted f32", type_text_of(in, x).text);
    ir_type t = *x;
    t.dims[1] = dim_const(2);
    return infer_result(in, 0, type_intern(in->context, &t));
}

pofac_status eval_row_range(const ir_eval *e) {
    const ir_tensor *x = e->input[0];
    for (int64_t r = 0; r < x->dims[0]; r++) {
        float least = 0, greatest = 0;
        for (int64_t k = 0; k < x->dims[1]; k++) {
            const float v = (float)tensor_get(x, r * x->dims[1] + k);
            if (!isfinite(v)) continue;
            least = fminf(least, v);
            greatest = fmaxf(greatest, v);
        }
        tensor_set(e->result[0], 2 * r, least);
        tensor_set(e->result[0], 2 * r + 1, greatest);
    }
    return POFAC_OK;
}

/* ---- activations ---- */

pofac_status infer_quantize(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_rank(in, x, "x", 2, "[R,K]"));
    if (x->dtype != IR_F32) return infer_error(in, "x is %s, wanted f32", type_text_of(in, x).text);
    TRY(want_declared(in));
    TRY(want_range(in, in->input[1], "range", x->dims[0], x));
    const ir_type *in_bytes = type_with_dtype(in->context, x, IR_U8),
                  *wanted = in_bytes ? type_with_layout(in->context, in_bytes, in->declared->layout, in->declared->tile) : NULL;
    if (!wanted) return diag_out_of_memory(in->sink);
    if (in->declared != wanted || (type_is_tiled(x) && type_is_tiled(wanted) && x->tile != wanted->tile))
        return infer_error(in, "x is %s and the declared type %s, wanted u8 of the same dimensions, and of the same tiles",
                           type_text_of(in, x).text, type_text_of(in, in->declared).text);
    return infer_result(in, 0, wanted);
}

pofac_status eval_quantize(const ir_eval *e) {
    const ir_tensor *x = e->input[0];
    for (int64_t r = 0; r < x->dims[0]; r++) {
        const quantization q = quantization_of(range_at(e->input[1], r), QUANTIZE_AFFINE);
        for (int64_t i = r * x->dims[1]; i < (r + 1) * x->dims[1]; i++)
            tensor_set_int(e->result[0], i, quantization_encode(q, (float)tensor_get(x, i)));
    }
    return POFAC_OK;
}

/* ---- products ---- */

enum { X, X_RANGE, WEIGHT, W_RANGE, BIAS, OUT_RANGE, PATTERN }; /* operands */

/* The weight [N,K], dense or as the non-zeros of a pattern; gives N. */
static pofac_status want_weight(const ir_infer *in, ir_dim *n) {
    const ir_type *x = in->input[X], *weight = in->input[WEIGHT], *pattern = infer_input(in, PATTERN);
    if (!pattern) {
        TRY(want_rank(in, weight, "weight", 2, "[N,K], or the non-zeros of a pattern"));
        *n = weight->dims[0];
        const ir_dim dims[2] = {*n, x->dims[1]};
        return want_type(in, weight, "weight", type_tensor(in->context, IR_F32, 2, dims));
    }
    if (pattern->kind != TYPE_PATTERN || !dim_equal(pattern->dims[1], x->dims[1]))
        return infer_error(in, "pattern is %s, wanted pattern[N,%s]", type_text_of(in, pattern).text,
                           dim_text_of(in, x->dims[1]).text);
    *n = pattern->dims[0];
    const ir_symbol nnz = symbol_nnz(in->context, in->node->inputs[PATTERN]);
    if (!nnz) return diag_out_of_memory(in->sink);
    const ir_dim non_zeros = dim_symbol(nnz);
    return want_type(in, weight, "weight", type_tensor(in->context, IR_F32, 1, &non_zeros));
}

pofac_status infer_linear_int8(ir_infer *in) {
    const ir_type *x = in->input[X], *bias = infer_input(in, BIAS), *out_range = infer_input(in, OUT_RANGE);
    const ir_dim two = dim_const(2);
    int64_t K = 0;
    ir_dim N;
    TRY(want_rank(in, x, "x", 2, "[R,K]"));
    if (x->dtype != IR_U8) return infer_error(in, "x is %s, wanted u8", type_text_of(in, x).text);
    if (!dim_is_const(x->dims[1], &K) || K > QUANTIZATION_MAX_COLUMNS)
        return infer_error(in, "x is %s, wanted at most %d features, whose sums fit into 32 bits", type_text_of(in, x).text,
                           QUANTIZATION_MAX_COLUMNS);
    TRY(want_range(in, in->input[X_RANGE], "x_range", x->dims[0], x));
    TRY(want_weight(in, &N));
    ir_type y = *x;
    y.dtype = IR_F32;
    y.layout = type_is_tiled(x) ? LAYOUT_TILES : LAYOUT_ROWS;
    y.dims[1] = N;
    TRY(want_range(in, in->input[W_RANGE], "w_range", N, in->input[WEIGHT]));
    if (bias) TRY(want_type(in, bias, "bias", type_tensor(in->context, IR_F32, 1, &N)));
    if (out_range) TRY(want_type(in, out_range, "out_range", type_tensor(in->context, IR_F32, 1, &two)));
    if (out_range && in->input[X_RANGE]->rank == 2) return infer_error(in, "out_range is given, wanted none with ranges of rows");
    return infer_result(in, 0, type_intern(in->context, &y));
}

/* A row of weight in 8 bits: dense, or beside its columns. */
typedef struct weight_row {
    int64_t n;
    const int32_t *columns; /* NULL: all */
    int32_t *values, sum;
    float scale;
} weight_row;

static void load_row(const ir_eval *e, int64_t n, weight_row *out) {
    const ir_tensor *weight = e->input[WEIGHT], *sparse = eval_input(e, PATTERN);
    const ir_pattern *p = sparse ? sparse->pattern : NULL;
    const quantization q = quantization_of(range_at(e->input[W_RANGE], n), QUANTIZE_SYMMETRIC);
    const int64_t K = e->input[X]->dims[1], first = p ? p->row_start[n] : n * K;
    out->n = p ? p->row_start[n + 1] - first : K;
    out->columns = p ? p->column + first : NULL;
    out->scale = q.scale;
    out->sum = 0;
    for (int64_t i = 0; i < out->n; i++) {
        out->values[i] = quantization_encode(q, (float)tensor_get(weight, first + i));
        out->sum += out->values[i];
    }
}

static int32_t dot(const weight_row *w, const uint8_t *x) {
    int32_t sum = 0;
    if (w->columns)
        for (int64_t i = 0; i < w->n; i++) sum += w->values[i] * x[w->columns[i]];
    else
        for (int64_t i = 0; i < w->n; i++) sum += w->values[i] * x[i];
    return sum;
}

pofac_status eval_linear_int8(const ir_eval *e) {
    const ir_tensor *x = e->input[X], *bias = eval_input(e, BIAS), *out_range = eval_input(e, OUT_RANGE), *y = e->result[0];
    const int64_t n_rows = x->dims[0], K = x->dims[1], N = y->dims[1];
    const bool by_row = e->input[X_RANGE]->rank == 2;
    const quantization output = out_range ? quantization_of(range_at(out_range, 0), QUANTIZE_AFFINE) : (quantization){0};
    weight_row w = {.values = malloc(((size_t)K + 1) * sizeof *w.values)};
    quantization *inputs = malloc(((size_t)n_rows + 1) * sizeof *inputs);
    pofac_status status = w.values && inputs ? POFAC_OK : diag_out_of_memory(e->sink);
    for (int64_t r = 0; status == POFAC_OK && r < n_rows; r++)
        inputs[r] = quantization_of(range_at(e->input[X_RANGE], r), QUANTIZE_AFFINE);
    for (int64_t n = 0; status == POFAC_OK && n < N; n++) {
        load_row(e, n, &w);
        const float b = bias ? (float)tensor_get(bias, n) : 0;
        for (int64_t r = 0; r < n_rows; r++) {
            const float scale = inputs[r].scale * w.scale;
            const int32_t product = dot(&w, (const uint8_t *)x->data + r * K) - inputs[r].zero_point * w.sum,
                          sum = product + (by_row ? 0 : quantization_bias(b, scale));
            ((float *)y->data)[r * N + n] =
                by_row       ? quantization_of_sum(sum, scale) + b
                : !out_range ? quantization_of_sum(sum, scale)
                             : quantization_of_requantized_sum(sum, quantization_factor(scale, output.scale), output);
        }
    }
    free(w.values);
    free(inputs);
    return status;
}
