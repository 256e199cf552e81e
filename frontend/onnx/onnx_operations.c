/*
 * Ops of layers, shapes and elements -> operations of ONNX; see onnx_lowering.h. Rows of all sequences stand one after the other here as there, so a linear is a Gemm over
 * rows, whose weight [N,K] stays as the checkpoint has it (transB).
 */
#include <math.h>

#include "frontend/onnx/onnx_lowering.h"
#include "ir/op.h"

pofac_status onnx_lower_nothing(onnx_lowering *l, const ir_node *n) {
    (void)l, (void)n;
    return POFAC_OK;
}

/* ---- constants and shapes ---- */

/* Elements of a constant: one that fills the tensor, or all. */
static double constant_element(const ir_node *n, const ir_tensor *data, int64_t i) {
    const ir_attr *value = node_find_attr(n, "value");
    if (data) return tensor_get(data, i);
    if (!value || value->as.floats.n == 0) return 0;
    return value->as.floats.data[value->as.floats.n == 1 ? 0 : i];
}

pofac_status onnx_lower_constant(onnx_lowering *l, const ir_node *n) {
    const ir_type *t = graph_type(l->g, n->first_result);
    const char *kept = node_string(n, "data");
    const ir_tensor *data = *kept ? module_find_constant(l->g->module, kept) : NULL;
    int64_t dims[IR_MAX_RANK] = {0};
    ir_tensor copy;
    if ((t->dtype != IR_F32 && t->dtype != IR_I64) || (*kept && !data))
        return node_error(l->g, n, l->sink, "found a constant of %s%s, wanted one of f32 or i64 whose elements are known",
                          dtype_name(t->dtype), *kept && !data ? " without data" : "");
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dim_is_const(t->dims[i], &dims[i])) return node_error(l->g, n, l->sink, "the constant's shape is not known");
    if (tensor_alloc(t->dtype, t->rank, dims, &copy) != POFAC_OK) return diag_out_of_memory(l->sink);
    for (int64_t i = 0; i < tensor_elements(&copy); i++) tensor_set(&copy, i, constant_element(n, data, i));
    const char *name = arena_printf(&l->memory, "constant.%u", (unsigned)n->first_result);
    if (name) name = onnx_add_copy(l->m, name, t->dtype == IR_F32 ? ONNX_FLOAT : ONNX_INT64, dims, t->rank, copy.data);
    tensor_free(&copy);
    return onnx_result(l, n, name);
}

pofac_status onnx_lower_reshape(onnx_lowering *l, const ir_node *n) {
    const ir_type *t = graph_type(l->g, n->first_result);
    const char *x;
    TRY(onnx_input_name(l, n, 0, &x));
    return onnx_result(l, n, onnx_reshape(l, x, t->dims, t->rank));
}

pofac_status onnx_lower_slice(onnx_lowering *l, const ir_node *n) {
    const int64_t begin = node_int(n, "begin"), end = node_int(n, "end"), last = -1;
    const char *x;
    TRY(onnx_input_name(l, n, 0, &x));
    const char *const inputs[] = {x, onnx_wholes(l, &begin, 1), onnx_wholes(l, &end, 1), onnx_wholes(l, &last, 1)};
    return onnx_result(l, n, onnx_add_node(l->m, "Slice", inputs, 4, NULL, 0));
}

pofac_status onnx_lower_cast(onnx_lowering *l, const ir_node *n) {
    const ir_dtype to = graph_type(l->g, n->first_result)->dtype;
    const char *x;
    TRY(onnx_input_name(l, n, 0, &x));
    if (to != IR_F32 && to != IR_I64 && to != IR_I32)
        return node_error(l->g, n, l->sink, "found a cast to %s, wanted f32, i64 or i32", dtype_name(to));
    return onnx_result(l, n,
                       onnx_with_int(l, "Cast", &x, 1, "to",
                                     to == IR_F32   ? ONNX_FLOAT
                                     : to == IR_I64 ? ONNX_INT64
                                                    : ONNX_INT32));
}

/* 0 to S - 1 for every sequence: the first S of a vector that has all that the model takes. */
pofac_status onnx_lower_row_positions(onnx_lowering *l, const ir_node *n) {
    const ir_type *batch;
    TRY(onnx_padded_batch(l, n, 0, &batch));
    const int64_t most = graph_symbol_bound(l->g, batch->dims[1].symbol[0]), zero = 0, one = 1;
    int64_t *places = most > 0 ? arena_alloc_array(&l->memory, sizeof *places, (size_t)most) : NULL;
    if (most < 1 || !dim_equal(batch->dims[1], dim_symbol(batch->dims[1].symbol[0])))
        return node_error(l->g, n, l->sink, "the padded length is not bounded, wanted a symbol with a bound");
    if (!places) return diag_out_of_memory(l->sink);
    for (int64_t i = 0; i < most; i++) places[i] = i;
    const char *all = onnx_add_tensor(l->m, "positions", ONNX_INT64, &most, 1, places),
               *length = onnx_symbol(l, batch->dims[1].symbol[0]);
    const char *const slice[] = {all, onnx_wholes(l, &zero, 1), length, onnx_wholes(l, &zero, 1)};
    const char *one_row = onnx_add_node(l->m, "Slice", slice, 4, NULL, 0); /* [S] */
    const char *shape = onnx_with_int(
        l, "Concat", (const char *[]){onnx_symbol(l, batch->dims[0].symbol[0]), onnx_wholes(l, &one, 1)}, 2, "axis", 0);
    const char *tiled =
        onnx_binary(l, "Expand", onnx_reshape(l, one_row, (ir_dim[]){dim_const(1), batch->dims[1]}, 2), shape); /* [B,S] */
    return onnx_result(l, n, onnx_reshape(l, tiled, graph_type(l->g, n->first_result)->dims, 1));
}

/* First rows are the first of each padded sequence; other indices are values. */
pofac_status onnx_lower_gather_rows(onnx_lowering *l, const ir_node *n) {
    const ir_node *index = graph_node_of(l->g, n->inputs[1]);
    const ir_type *t = graph_type(l->g, n->inputs[0]), *batch;
    const char *x, *rows;
    TRY(onnx_input_name(l, n, 0, &x));
    if (index->op != OP_first_rows) {
        TRY(onnx_input_name(l, n, 1, &rows));
        return onnx_result(l, n, onnx_with_int(l, "Gather", (const char *[]){x, rows}, 2, "axis", 0));
    }
    TRY(onnx_padded_batch(l, index, 0, &batch));
    const ir_dim dims[] = {batch->dims[0], batch->dims[1], t->rank == 2 ? t->dims[1] : dim_const(1)};
    const int64_t first = 0;
    const char *zero = onnx_add_copy(l->m, "number.first", ONNX_INT64, NULL, 0, &first);
    const char *const inputs[] = {onnx_reshape(l, x, dims, t->rank == 2 ? 3 : 2), zero};
    return onnx_result(l, n, onnx_with_int(l, "Gather", inputs, 2, "axis", 1));
}

/* ---- elements ---- */

pofac_status onnx_lower_elementwise(onnx_lowering *l, const ir_node *n) {
    static const struct {
        ir_op op;
        const char *name;
    } names[] = {{OP_add, "Add"},   {OP_sub, "Sub"},   {OP_mul, "Mul"},  {OP_div, "Div"},
                 {OP_sqrt, "Sqrt"}, {OP_relu, "Relu"}, {OP_tanh, "Tanh"}};
    const char *inputs[2], *name = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].op == n->op) name = names[i].name;
    for (uint32_t i = 0; i < n->n_inputs; i++) TRY(onnx_input_name(l, n, i, &inputs[i]));
    return onnx_result(l, n, onnx_add_node(l->m, name, inputs, n->n_inputs, NULL, 0));
}

/* In the order of operations that runtimes know as GELU: x / sqrt(2), Erf, + 1, * x, * 0.5; and of its tanh form 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
pofac_status onnx_lower_gelu(onnx_lowering *l, const ir_node *n) {
    const char *x, *inner;
    TRY(onnx_input_name(l, n, 0, &x));
    if (node_string(n, "form")[0] == 'e') {
        inner = onnx_unary(l, "Erf", onnx_binary(l, "Div", x, onnx_number(l, sqrt(2))));
        inner = onnx_binary(l, "Mul", x, onnx_binary(l, "Add", inner, onnx_number(l, 1)));
        return onnx_result(l, n, onnx_binary(l, "Mul", inner, onnx_number(l, 0.5)));
    }
    inner = onnx_binary(l, "Mul", onnx_binary(l, "Pow", x, onnx_number(l, 3)), onnx_number(l, 0.044715));
    inner = onnx_binary(l, "Mul", onnx_binary(l, "Add", x, inner), onnx_number(l, sqrt(2 / acos(-1))));
    inner = onnx_binary(l, "Add", onnx_unary(l, "Tanh", inner), onnx_number(l, 1));
    return onnx_result(l, n, onnx_binary(l, "Mul", onnx_binary(l, "Mul", x, onnx_number(l, 0.5)), inner));
}

/* ---- layers ---- */

pofac_status onnx_lower_embedding(onnx_lowering *l, const ir_node *n) {
    const onnx_codes *codes = l->codes[n->inputs[0]];
    const char *table, *ids;
    TRY(onnx_input_name(l, n, 1, &ids));
    if (codes) return onnx_result(l, n, onnx_gather_codes(l, codes, ids));
    TRY(onnx_input_name(l, n, 0, &table));
    return onnx_result(l, n, onnx_with_int(l, "Gather", (const char *[]){table, ids}, 2, "axis", 0));
}

pofac_status onnx_lower_linear(onnx_lowering *l, const ir_node *n) {
    const char *inputs[3], *quantized = NULL;
    const uint32_t n_inputs = node_input(n, 2) == IR_NO_VALUE ? 2 : 3;
    if (node_input(n, 3) != IR_NO_VALUE)
        return node_error(l->g, n, l->sink, "found the non-zeros of a pattern, wanted a dense weight");
    for (uint32_t i = 0; i < 2; i++) TRY(onnx_input_name(l, n, i, &inputs[i]));
    if (n_inputs == 3) TRY(onnx_quantized_bias(l, n, &quantized));
    inputs[2] = quantized;
    if (n_inputs == 3 && !quantized) TRY(onnx_input_name(l, n, 2, &inputs[2]));
    return onnx_result(l, n, onnx_with_int(l, "Gemm", inputs, n_inputs, "transB", 1));
}

pofac_status onnx_lower_layer_norm(onnx_lowering *l, const ir_node *n) {
    const onnx_attr attrs[] = {{.name = "axis", .kind = ONNX_ATTR_INT, .i = -1},
                               {.name = "epsilon", .kind = ONNX_ATTR_FLOAT, .f = (float)node_float(n, "eps")}};
    const char *inputs[3];
    for (uint32_t i = 0; i < 3; i++) TRY(onnx_input_name(l, n, i, &inputs[i]));
    return onnx_result(l, n, onnx_add_node(l->m, "LayerNormalization", inputs, 3, attrs, 2));
}
