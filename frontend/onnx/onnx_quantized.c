/*
 * What 8 bits hold -> QuantizeLinear and DequantizeLinear (QDQ), which runtimes join with the operations between them into integer ones. Weights stand in the file as s8 with
 * the scale of the tensor or of each row, by the same arithmetic as pofac's own (ir/quantization.h); activations are u8 by a range that is known, or by that of each row,
 * which standard operations find. The bias of a linear of both stands in 32 bits at the product of their scales, as integer inference has it (spec: prune once for all,
 * section 7), unless it has no room there.
 */
#include <math.h>
#include <string.h>

#include "frontend/onnx/onnx_lowering.h"
#include "ir/op.h"
#include "ir/quantization.h"

/* Scales and zero points of the rows of a tensor, or one of all. */
typedef struct row_codes {
    int64_t n; /* 1: of all */
    bool per_row;
    float *scales;   /* [n] */
    quantization *q; /* [n] */
} row_codes;

/* "M.weight_range" -> "M.weight" + ending */
static const char *name_beside(onnx_lowering *l, const char *range, const char *ending) {
    static const char known[] = "_range";
    const size_t n = strlen(range), k = sizeof known - 1;
    const size_t stem = n > k && strcmp(range + n - k, known) == 0 ? n - k : n;
    return arena_printf(&l->memory, "%.*s%s", (int)stem, range, ending);
}

static quantization_scheme scheme_of(const ir_node *n) {
    return strcmp(node_string(n, "scheme"), "symmetric") == 0 ? QUANTIZE_SYMMETRIC : QUANTIZE_AFFINE;
}

/* From the state f32 [2] or [N,2]; out->n is 0 where nothing is known of the values yet. */
static pofac_status read_ranges(onnx_lowering *l, const ir_node *n, const ir_node *leaf, row_codes *out) {
    ir_tensor t;
    TRY(onnx_state_floats(l, node_string(leaf, "name"), &t));
    const float *range = t.data;
    *out = (row_codes){.n = t.rank == 2 ? t.dims[0] : 1, .per_row = t.rank == 2};
    out->scales = ARENA_ARRAY(&l->memory, float, (size_t)out->n);
    out->q = ARENA_ARRAY(&l->memory, quantization, (size_t)out->n);
    if (!out->scales || !out->q) return diag_out_of_memory(l->sink);
    for (int64_t i = 0; i < out->n; i++) {
        const value_range r = {range[2 * i], range[2 * i + 1]};
        if (isnan(r.min) || isnan(r.max))
            return node_error(l->g, n, l->sink, "found a range with NaN in \"%s\"", node_string(leaf, "name"));
        if (value_range_is_none(r)) {
            out->n = 0;
            return POFAC_OK;
        }
        out->q[i] = quantization_of(r, scheme_of(n));
        out->scales[i] = out->q[i].scale;
    }
    return POFAC_OK;
}

/* Tensors of the scales and of zero points, of the type of the codes. */
static void put_scales(onnx_lowering *l, const char *range, const row_codes *r, onnx_type type, onnx_codes *out) {
    const char *scale = name_beside(l, range, "_scale"), *zero = name_beside(l, range, "_zero_point");
    uint8_t *zeros = ARENA_ARRAY(&l->memory, uint8_t, (size_t)r->n);
    if (!scale || !zero || !zeros) return;
    for (int64_t i = 0; i < r->n; i++) zeros[i] = (uint8_t)r->q[i].zero_point;
    out->scale = onnx_add_tensor(l->m, scale, ONNX_FLOAT, &r->n, r->per_row, r->scales);
    out->zero = onnx_add_tensor(l->m, zero, type, &r->n, r->per_row, zeros);
    out->per_row = r->per_row;
    out->scales = r->scales;
}

/* ---- weights ---- */

/* A parameter's elements in s8, of rows of `columns` each. */
static pofac_status encode_parameter(onnx_lowering *l, const ir_node *leaf, const row_codes *r, const char *name,
                                     const char **out) {
    const char *parameter = node_string(leaf, "name");
    ir_tensor t;
    TRY(l->state->get(l->state->user, parameter, l->sink, &t));
    const int64_t n = tensor_elements(&t), columns = t.rank == 2 ? t.dims[1] : 1;
    int8_t *codes = arena_alloc(&l->memory, (size_t)n);
    for (int64_t i = 0; codes && i < n; i++)
        codes[i] = (int8_t)quantization_encode(r->q[r->per_row ? i / columns : 0], (float)tensor_get(&t, i));
    *out = codes ? onnx_add_tensor(l->m, name, ONNX_INT8, t.dims, t.rank, codes) : NULL;
    l->n_quantized++;
    tensor_source_release(l->state, parameter);
    return *out ? POFAC_OK : diag_out_of_memory(l->sink);
}

static pofac_status lower_parameter(onnx_lowering *l, const ir_node *n, const ir_node *leaf, const char *range,
                                    const row_codes *r) {
    const char *name = arena_printf(&l->memory, "%s_quantized", node_string(leaf, "name"));
    onnx_codes *codes = ARENA_NEW(&l->memory, onnx_codes);
    if (!name || !codes) return diag_out_of_memory(l->sink);
    if (graph_type(l->g, leaf->first_result)->rank == 2 && r->per_row) {
        int64_t rows = 0;
        if (!dim_is_const(graph_type(l->g, leaf->first_result)->dims[0], &rows) || rows != r->n)
            return node_error(l->g, n, l->sink, "found %lld ranges, wanted one for each row", (long long)r->n);
    }
    codes->codes = onnx_find_tensor(l->m, name);
    if (!codes->codes) TRY(encode_parameter(l, leaf, r, name, &codes->codes));
    put_scales(l, range, r, ONNX_INT8, codes);
    l->codes[n->first_result] = codes;
    return POFAC_OK; /* what reads the floats asks for them */
}

const char *onnx_from_codes(onnx_lowering *l, const onnx_codes *codes) {
    const char *const inputs[] = {codes->codes, codes->scale, codes->zero};
    return onnx_with_int(l, "DequantizeLinear", inputs, 3, "axis", 0);
}

/* ---- activations ---- */

static pofac_status put_codes(onnx_lowering *l, const ir_node *n, const char *x, const onnx_codes *scales) {
    onnx_codes *codes = arena_copy(&l->memory, scales, sizeof *scales);
    if (!codes) return diag_out_of_memory(l->sink);
    const char *const quantize[] = {x, codes->scale, codes->zero};
    codes->codes = onnx_with_int(l, "QuantizeLinear", quantize, 3, "axis", 0);
    l->codes[n->first_result] = codes;
    return onnx_result(l, n, onnx_from_codes(l, codes));
}

/* Of each row: scale = max((greatest - least) / 255, 2^-23), zero point = round(-least / scale), of a range with 0. */
static pofac_status lower_rows(onnx_lowering *l, const ir_node *n, const char *x) {
    const int64_t last = -1;
    const onnx_attr attrs[] = {{.name = "axes", .kind = ONNX_ATTR_INTS, .ints = &last, .n_ints = 1},
                               {.name = "keepdims", .kind = ONNX_ATTR_INT, .i = 0}};
    const char *zero = onnx_number(l, 0);
    const char *least = onnx_binary(l, "Min", onnx_add_node(l->m, "ReduceMin", &x, 1, attrs, 2), zero); /* [R] */
    const char *greatest = onnx_binary(l, "Max", onnx_add_node(l->m, "ReduceMax", &x, 1, attrs, 2), zero);
    const char *scale = onnx_binary(l, "Div", onnx_binary(l, "Sub", greatest, least), onnx_number(l, 255));
    scale = onnx_binary(l, "Max", scale, onnx_number(l, (double)QUANTIZATION_LEAST_SCALE));
    const char *place = onnx_unary(l, "Round", onnx_binary(l, "Div", onnx_binary(l, "Sub", zero, least), scale));
    place = onnx_ternary(l, "Clip", place, zero, onnx_number(l, 255));
    const onnx_codes codes = {.scale = scale, .zero = onnx_with_int(l, "Cast", &place, 1, "to", ONNX_UINT8), .per_row = true};
    return put_codes(l, n, x, &codes);
}

pofac_status onnx_lower_fake_quantize(onnx_lowering *l, const ir_node *n) {
    const ir_node *x = graph_node_of(l->g, n->inputs[0]), *range = graph_node_of(l->g, n->inputs[1]);
    row_codes rows;
    onnx_codes codes = {NULL, NULL, NULL, false, NULL};
    const char *name;
    if (node_input(n, 2) != IR_NO_VALUE)
        return node_error(l->g, n, l->sink, "found a count of forward passes, wanted the graph of inference");
    if (range->op == OP_row_range) {
        TRY(onnx_input_name(l, n, 0, &name));
        return lower_rows(l, n, name);
    }
    if (range->op != OP_state)
        return node_error(l->g, n, l->sink, "the range is that of %s, wanted state or row_range", op_info(range->op)->name);
    TRY(read_ranges(l, n, range, &rows));
    if (rows.n > 0 && x->op == OP_state && scheme_of(n) == QUANTIZE_SYMMETRIC)
        return lower_parameter(l, n, x, node_string(range, "name"), &rows);
    TRY(onnx_input_name(l, n, 0, &name));
    if (rows.n == 0) return onnx_result(l, n, name); /* nothing is known of it: x itself */
    put_scales(l, node_string(range, "name"), &rows, scheme_of(n) == QUANTIZE_SYMMETRIC ? ONNX_INT8 : ONNX_UINT8, &codes);
    return put_codes(l, n, name, &codes);
}

/* ---- what reads them ---- */

/* Elements of the bias in 32 bits; false: one has no room. */
static bool encode_bias(const ir_tensor *bias, const float *scales, bool per_row, int32_t *codes) {
    for (int64_t i = 0; i < tensor_elements(bias); i++) {
        const float b = (float)tensor_get(bias, i), scale = scales[per_row ? i : 0];
        if (!quantization_bias_fits(b, scale)) return false;
        codes[i] = quantization_bias(b, scale);
    }
    return true;
}

pofac_status onnx_quantized_bias(onnx_lowering *l, const ir_node *linear, const char **out) {
    const onnx_codes *x = l->codes[linear->inputs[0]], *w = l->codes[linear->inputs[1]];
    const ir_node *leaf = graph_node_of(l->g, linear->inputs[2]);
    ir_tensor bias;
    *out = NULL;
    if (!x || !w || !x->scales || x->per_row || leaf->op != OP_state) return POFAC_OK;
    const char *parameter = node_string(leaf, "name");
    const char *name = arena_printf(&l->memory, "%s_quantized", parameter),
               *scale_name = arena_printf(&l->memory, "%s_scale", parameter);
    if (!name || !scale_name) return diag_out_of_memory(l->sink);
    if (onnx_find_tensor(l->m, name)) return POFAC_OK; /* of another scale */
    TRY(onnx_state_floats(l, parameter, &bias));
    const int64_t n = tensor_elements(&bias), n_scales = w->per_row ? n : 1;
    float *scales = ARENA_ARRAY(&l->memory, float, (size_t)n_scales);
    int32_t *codes = ARENA_ARRAY(&l->memory, int32_t, (size_t)n);
    if (!scales || !codes) return diag_out_of_memory(l->sink);
    for (int64_t i = 0; i < n_scales; i++) scales[i] = x->scales[0] * w->scales[i];
    if (!encode_bias(&bias, scales, w->per_row, codes)) return POFAC_OK;
    const char *const inputs[] = {onnx_add_tensor(l->m, name, ONNX_INT32, &n, 1, codes),
                                  onnx_add_tensor(l->m, scale_name, ONNX_FLOAT, &n_scales, w->per_row, scales)};
    *out = onnx_with_int(l, "DequantizeLinear", inputs, 2, "axis", 0);
    return *out ? POFAC_OK : diag_out_of_memory(l->sink);
}

const char *onnx_gather_codes(onnx_lowering *l, const onnx_codes *table, const char *ids) {
    const char *rows = onnx_with_int(l, "Gather", (const char *[]){table->codes, ids}, 2, "axis", 0);
    if (!table->per_row) return onnx_ternary(l, "DequantizeLinear", rows, table->scale, table->zero);
    const char *scales = onnx_with_int(l, "Gather", (const char *[]){table->scale, ids}, 2, "axis", 0);
    return onnx_with_int(l, "DequantizeLinear", (const char *[]){rows, scales}, 2, "axis", 0);
}
