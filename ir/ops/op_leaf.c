/*
 * Leaves: where tensors enter a graph. Inputs, state and patterns are bound by whoever runs the graph (interpreter, runtime); a
 * constant carries its elements, as numbers or by a name in the module's constants.
 */
#include <inttypes.h>

#include "ir/ops/operands.h"

/* A constant filled with one number is materialised when it is evaluated; more elements than this are surely a mistake. */
#define MAX_CONSTANT_ELEMENTS (INT64_C(1) << 31)

static pofac_status want_name(const ir_infer *in) {
    return node_string(in->node, "name")[0] ? POFAC_OK : infer_error(in, "name is empty, wanted a name");
}

pofac_status infer_leaf(ir_infer *in) {
    TRY(want_declared(in));
    TRY(want_name(in));
    return infer_result(in, 0, in->declared);
}

pofac_status infer_pattern(ir_infer *in) {
    const ir_type *t = in->declared;
    bool ok = t->kind == TYPE_PATTERN && dim_is_const(t->dims[0], NULL) && dim_is_const(t->dims[1], NULL);
    if (!ok) return infer_error(in, "the declared type is %s, wanted pattern[N,K] of numbers", type_text_of(in, t).text);
    TRY(want_name(in));
    return infer_result(in, 0, t);
}

pofac_status infer_constant(ir_infer *in) {
    TRY(want_declared(in));
    const ir_type *t = in->declared;
    bool ok;
    int64_t n = 0;
    ir_dim elements = type_elements(t, &ok);
    if (!ok || !dim_is_const(elements, &n) || n < 0 || n > MAX_CONSTANT_ELEMENTS)
        return infer_error(in, "the declared type is %s, wanted a known number of elements, at most %" PRId64,
                           type_text_of(in, t).text, MAX_CONSTANT_ELEMENTS);
    const ir_attr *value = node_find_attr(in->node, "value");
    size_t written = value ? value->as.floats.n : 0;
    bool named = node_string(in->node, "data")[0] != 0;
    if (named && written > 0) return infer_error(in, "value and data are both given, wanted one of them");
    if (!named && written != (size_t)n && !(written == 1 && n > 0))
        return infer_error(in, "value has %zu elements, wanted 1 or %" PRId64 " for %s", written, n, type_text_of(in, t).text);
    return infer_result(in, 0, t);
}

static bool same_shape(const ir_tensor *a, const ir_tensor *b) {
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (uint32_t d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d]) return false;
    return true;
}

pofac_status eval_constant(const ir_eval *e) {
    ir_tensor *out = e->result[0];
    const char *data = node_string(e->node, "data");
    if (data[0]) {
        const ir_tensor *known = module_find_constant(e->module, data);
        if (!known) return eval_error(e, "there are no data named \"%s\"", data);
        if (!same_shape(known, out)) return eval_error(e, "the data named \"%s\" differ in type or shape from the constant", data);
        copy_elements(out, 0, known, 0, tensor_elements(out));
        return POFAC_OK;
    }
    const ir_attr *value = node_find_attr(e->node, "value");
    int64_t n = tensor_elements(out);
    for (int64_t i = 0; i < n; i++) tensor_set(out, i, value->as.floats.data[value->as.floats.n == 1 ? 0 : i]);
    return POFAC_OK;
}
