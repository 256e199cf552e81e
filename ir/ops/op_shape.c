/*
 * Ops that move or reinterpret elements without computing: reshape, slice, gather_rows, cast, relayout. Tensors of evaluators are
 * always row-major, so a layout changes nothing here; it is part of the types only.
 */
#include <inttypes.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"

pofac_status infer_reshape(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_tensor(in, x, "x"));
    TRY(want_declared(in));
    bool ok_from, ok_to;
    ir_dim from = type_elements(x, &ok_from), to = type_elements(in->declared, &ok_to);
    if (in->declared->dtype != x->dtype || !ok_from || !ok_to || !dim_equal(from, to))
        return infer_error(in, "x is %s and the declared type %s, wanted the same element type and number of elements",
                           type_text_of(in, x).text, type_text_of(in, in->declared).text);
    return infer_result(in, 0, in->declared);
}

pofac_status eval_reshape(const ir_eval *e) {
    copy_elements(e->result[0], 0, e->input[0], 0, tensor_elements(e->input[0]));
    return POFAC_OK;
}

pofac_status infer_slice(ir_infer *in) {
    const ir_type *x = in->input[0];
    int64_t features = 0;
    if (x->kind != TYPE_TENSOR || x->rank < 1 || !dim_is_const(x->dims[x->rank - 1], &features))
        return infer_error(in, "x is %s, wanted a tensor whose last dimension is a number", type_text_of(in, x).text);
    int64_t begin = node_int(in->node, "begin"), end = node_int(in->node, "end");
    if (begin < 0 || begin >= end || end > features)
        return infer_error(in, "begin is %" PRId64 " and end is %" PRId64 ", wanted 0 <= begin < end <= %" PRId64, begin, end,
                           features);
    ir_type t = *x;
    t.dims[t.rank - 1] = dim_const(end - begin);
    return infer_result(in, 0, type_intern(in->context, &t));
}

pofac_status eval_slice(const ir_eval *e) {
    const ir_tensor *x = e->input[0];
    int64_t features = x->dims[x->rank - 1], begin = node_int(e->node, "begin"), n = node_int(e->node, "end") - begin;
    int64_t rows = tensor_elements(x) / features; /* features >= n > 0 by the shape rule */
    for (int64_t r = 0; r < rows; r++) copy_elements(e->result[0], r * n, x, r * features + begin, n);
    return POFAC_OK;
}

pofac_status infer_gather_rows(ir_infer *in) {
    const ir_type *x = in->input[0], *index = in->input[1];
    TRY(want_tensor(in, x, "x"));
    if (x->rank != 1 && x->rank != 2) return infer_error(in, "x is %s, wanted [R,E] or [R]", type_text_of(in, x).text);
    TRY(want_rank(in, index, "index", 1, "[M]"));
    TRY(want_integer(in, index, "index"));
    ir_type t = *x;
    t.dims[0] = index->dims[0];
    return infer_result(in, 0, type_intern(in->context, &t));
}

pofac_status eval_gather_rows(const ir_eval *e) {
    const ir_tensor *x = e->input[0], *index = e->input[1];
    int64_t width = x->rank == 2 ? x->dims[1] : 1;
    for (int64_t m = 0; m < index->dims[0]; m++) {
        int64_t row = tensor_get_int(index, m);
        if (row < 0 || row >= x->dims[0])
            return eval_error(e, "index %" PRId64 " is %" PRId64 ", wanted 0 to %" PRId64, m, row, x->dims[0] - 1);
        copy_elements(e->result[0], m * width, x, row * width, width);
    }
    return POFAC_OK;
}

pofac_status infer_cast(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_tensor(in, x, "x"));
    TRY(want_declared(in));
    TRY(want_type(in, in->declared, "the declared type", type_with_dtype(in->context, x, in->declared->dtype)));
    return infer_result(in, 0, in->declared);
}

pofac_status eval_cast(const ir_eval *e) {
    const ir_tensor *x = e->input[0];
    bool from_float = dtype_class(x->dtype) == DTYPE_FLOAT;
    int64_t n = tensor_elements(x);
    for (int64_t i = 0; i < n; i++) {
        if (from_float) tensor_set(e->result[0], i, tensor_get(x, i));
        if (!from_float) tensor_set_int(e->result[0], i, tensor_get_int(x, i));
    }
    return POFAC_OK;
}

pofac_status infer_relayout(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_tensor(in, x, "x"));
    TRY(want_declared(in));
    const ir_type *wanted = type_with_layout(in->context, x, in->declared->layout, in->declared->tile);
    if (!wanted) return diag_out_of_memory(in->sink);
    if (in->declared != wanted)
        return infer_error(in, "x is %s and the declared type %s, wanted the same in another layout", type_text_of(in, x).text,
                           type_text_of(in, in->declared).text);
    return infer_result(in, 0, wanted);
}

pofac_status eval_relayout(const ir_eval *e) { return eval_reshape(e); }

pofac_status infer_widen(ir_infer *in) {
    const ir_type *x = in->input[0];
    int64_t n = 0, begin = node_int(in->node, "begin"), features = node_int(in->node, "features");
    if (x->kind != TYPE_TENSOR || x->rank < 1 || !dim_is_const(x->dims[x->rank - 1], &n))
        return infer_error(in, "x is %s, wanted a tensor whose last dimension is a number", type_text_of(in, x).text);
    if (begin < 0 || begin > features - n)
        return infer_error(
            in, "begin is %" PRId64 " and features is %" PRId64 ", wanted begin >= 0 and begin + %" PRId64 " <= features", begin,
            features, n);
    ir_type t = *x;
    t.dims[t.rank - 1] = dim_const(features);
    return infer_result(in, 0, type_intern(in->context, &t));
}

pofac_status eval_widen(const ir_eval *e) {
    const ir_tensor *x = e->input[0];
    int64_t n = x->dims[x->rank - 1], begin = node_int(e->node, "begin"), features = node_int(e->node, "features");
    int64_t rows = n > 0 ? tensor_elements(x) / n : 0;
    for (int64_t r = 0; r < rows; r++) copy_elements(e->result[0], r * features + begin, x, r * n, n);
    return POFAC_OK;
}

/* ---- gradients ---- */

static const ir_type *input_type(const ir_gradient *g) { return graph_type(g->graph, g->node->inputs[0]); }

void gradient_reshape(const ir_gradient *g) { g->dinput[0] = build_declared(g->graph, OP_reshape, g->dresult[0], input_type(g)); }
void gradient_relayout(const ir_gradient *g) { g->dinput[0] = build_declared(g->graph, OP_relayout, g->dresult[0], input_type(g)); }

/* Between floats alone; the rest is not differentiable. */
void gradient_cast(const ir_gradient *g) {
    if (dtype_class(graph_type(g->graph, g->node->first_result)->dtype) == DTYPE_FLOAT)
        g->dinput[0] = build_declared(g->graph, OP_cast, g->dresult[0], input_type(g));
}

void gradient_slice(const ir_gradient *g) {
    const ir_type *x = input_type(g);
    int64_t features = 0;
    dim_is_const(x->dims[x->rank - 1], &features);
    const ir_attr attrs[] = {attr_int("begin", node_int(g->node, "begin")), attr_int("features", features)};
    g->dinput[0] = node_add(g->graph, OP_widen, g->dresult, 1, attrs, 2, NULL);
}

/* The first value of the graph that has as many rows as x: so that nobody keeps x, or makes it again, for its shape alone. */
static ir_value value_like(const ir_gradient *g) {
    const ir_type *x = input_type(g);
    for (ir_value v = 1; v < g->node->inputs[0]; v++) {
        const ir_type *t = graph_type(g->graph, v);
        if (t->kind == TYPE_TENSOR && (t->rank == 1 || t->rank == 2) && dim_equal(t->dims[0], x->dims[0])) return v;
    }
    return g->node->inputs[0];
}

/* The index must name no row twice: rows that are scattered replace each other. Models gather first rows, kept rows, chosen rows. */
void gradient_gather_rows(const ir_gradient *g) {
    const ir_value inputs[] = {g->dresult[0], g->node->inputs[1], value_like(g)};
    g->dinput[0] = node_add(g->graph, OP_scatter_rows, inputs, 3, NULL, 0, NULL);
}
