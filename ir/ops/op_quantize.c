/*
 * Quantization-aware training (spec of the method: prune once for all, section 7; Zafrir et al. 2019): what is known of a tensor's range, and the
 * tensor as it would come back from 8 bits (ir/quantization.h), through which gradients go straight (Bengio et al. 2013).
 *
 * `forward` counts the forward passes of training from 0. Before number `begin` nothing is observed and nothing quantized; the range of number
 * `begin` is that of its tensor. So quantization has no state but the ranges, and an interrupted run goes on exactly.
 * Elements that are no finite numbers do not enter ranges; NaN stays NaN. Each row of a matrix may have a range of its own: those of a weight are its
 * channels, those of activations tokens that nobody has observed (row_range).
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"
#include "ir/quantization.h"

/* f32 [2], or [R,2] for x [R,..], which may be in tiles as x is. */
static pofac_status want_range_of(const ir_infer *in, const ir_type *x, const ir_type *range) {
    const ir_dim dims[2] = {x->dims[0], dim_const(2)};
    const ir_type *whole = type_tensor(in->context, IR_F32, 1, &dims[1]), *rows = type_tensor(in->context, IR_F32, 2, dims),
                  *tiled = rows && x->layout == LAYOUT_TILES ? type_with_layout(in->context, rows, x->layout, x->tile) : rows;
    if (x->rank == 2 && tiled && (range == rows || range == tiled)) return POFAC_OK;
    return want_type(in, range, "range", whole);
}

/* Operands x, range, forward from number `first` on; forward may be absent. */
static pofac_status want_range(const ir_infer *in, uint32_t first) {
    const ir_type *forward = infer_input(in, first + 2);
    const int64_t begin = node_int(in->node, "begin");
    TRY(want_float(in, in->input[first], "x"));
    TRY(want_range_of(in, in->input[first], in->input[first + 1]));
    if (forward) TRY(want_type(in, forward, "forward", type_tensor(in->context, IR_I64, 0, NULL)));
    if (begin < 0) return infer_error(in, "begin is %" PRId64 ", wanted at least 0", begin);
    return POFAC_OK;
}

static value_range range_at(const ir_tensor *t, int64_t i) {
    return (value_range){(float)tensor_get(t, 2 * i), (float)tensor_get(t, 2 * i + 1)};
}

/* How many ranges there are, and of how many elements of x each. */
static int64_t count_ranges(const ir_tensor *range) { return range->rank == 2 ? range->dims[0] : 1; }
static int64_t elements_of_each(const ir_tensor *x, const ir_tensor *range) {
    return range->rank == 2 ? x->dims[1] : tensor_elements(x);
}

/* ---- ranges ---- */

pofac_status infer_observe_range(ir_infer *in) {
    const double averaging = node_float(in->node, "averaging");
    TRY(want_range(in, 0));
    if (!(averaging >= 0 && averaging <= 1)) return infer_error(in, "averaging is %g, wanted 0 to 1", averaging);
    return infer_result(in, 0, in->input[1]);
}

static value_range range_of_elements(const ir_tensor *x, int64_t first, int64_t n) {
    value_range r = VALUE_RANGE_NONE;
    for (int64_t i = first; i < first + n; i++) {
        const float v = (float)tensor_get(x, i);
        if (!isfinite(v)) continue;
        r.min = fminf(r.min, v);
        r.max = fmaxf(r.max, v);
    }
    return r;
}

pofac_status eval_observe_range(const ir_eval *e) {
    const ir_tensor *forward = eval_input(e, 2);
    const float share = (float)node_float(e->node, "averaging");
    const int64_t begin = node_int(e->node, "begin"), number = forward ? tensor_get_int(forward, 0) : begin;
    const int64_t each = elements_of_each(e->input[0], e->input[1]);
    for (int64_t i = 0; i < count_ranges(e->input[1]); i++) {
        const value_range now = range_of_elements(e->input[0], i * each, each);
        value_range r = range_at(e->input[1], i);
        if (number >= begin && !value_range_is_none(now)) {
            if (value_range_is_none(r) || (forward && number == begin)) r = now;
            else if (share == 0) r = (value_range){fminf(r.min, now.min), fmaxf(r.max, now.max)};
            else r = (value_range){r.min + share * (now.min - r.min), r.max + share * (now.max - r.max)};
        }
        tensor_set(e->result[0], 2 * i, r.min);
        tensor_set(e->result[0], 2 * i + 1, r.max);
    }
    return POFAC_OK;
}

/* ---- values ---- */

static quantization_scheme scheme_of(const ir_node *n) {
    return strcmp(node_string(n, "scheme"), "symmetric") == 0 ? QUANTIZE_SYMMETRIC : QUANTIZE_AFFINE;
}

/* Does the node quantize by its range number i in this run? Then by *q. */
static bool is_quantized(const ir_eval *e, uint32_t first, int64_t i, quantization *q) {
    const ir_tensor *forward = eval_input(e, first + 2);
    const value_range range = range_at(e->input[first + 1], i);
    if (value_range_is_none(range) || (forward && tensor_get_int(forward, 0) < node_int(e->node, "begin"))) return false;
    *q = quantization_of(range, scheme_of(e->node));
    return true;
}

pofac_status infer_fake_quantize(ir_infer *in) {
    TRY(want_range(in, 0));
    return infer_result(in, 0, in->input[0]);
}

pofac_status eval_fake_quantize(const ir_eval *e) {
    const ir_tensor *x = e->input[0];
    const int64_t each = elements_of_each(x, e->input[1]);
    for (int64_t n = 0; n < count_ranges(e->input[1]); n++) {
        quantization q;
        if (!is_quantized(e, 0, n, &q)) {
            copy_elements(e->result[0], n * each, x, n * each, each);
            continue;
        }
        for (int64_t i = n * each; i < (n + 1) * each; i++)
            tensor_set(e->result[0], i, quantization_apply(q, (float)tensor_get(x, i)));
    }
    return POFAC_OK;
}

/* Straight through where x lies within what 8 bits can hold. */
void gradient_fake_quantize(const ir_gradient *g) {
    const ir_node *n = g->node;
    const ir_value inputs[] = {g->dresult[0], n->inputs[0], n->inputs[1], node_input(n, 2)};
    const ir_attr attrs[] = {attr_enum("scheme", node_string(n, "scheme")), attr_int("begin", node_int(n, "begin"))};
    if (g->wanted[0])
        g->dinput[0] = node_add(g->graph, OP_fake_quantize_gradient, inputs, inputs[3] == IR_NO_VALUE ? 3 : 4, attrs, 2, NULL);
}

pofac_status infer_fake_quantize_gradient(ir_infer *in) {
    TRY(want_range(in, 1));
    TRY(want_type(in, in->input[0], "dy", in->input[1]));
    return infer_result(in, 0, in->input[0]);
}

pofac_status eval_fake_quantize_gradient(const ir_eval *e) {
    const ir_tensor *dy = e->input[0], *x = e->input[1];
    const int64_t each = elements_of_each(x, e->input[2]);
    for (int64_t n = 0; n < count_ranges(e->input[2]); n++) {
        quantization q;
        const bool quantized = is_quantized(e, 1, n, &q);
        for (int64_t i = n * each; i < (n + 1) * each; i++) {
            const float place = quantized ? quantization_place(q, (float)tensor_get(x, i)) : 0;
            const bool passes = !quantized || (place >= (float)q.least && place <= (float)q.greatest);
            tensor_set(e->result[0], i, passes ? tensor_get(dy, i) : 0);
        }
    }
    return POFAC_OK;
}
