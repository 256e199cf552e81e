/*
 * Quantization-aware training (spec of the method: prune once for all, section 7; Zafrir et al. 2019): what is known of a tensor's range, and the
 * tensor as it would come back from 8 bits (ir/quantization.h), through which gradients go straight (Bengio et al. 2013).
 *
 * `forward` counts the forward passes of training from 0. Before number `begin` nothing is observed and nothing quantized; the range of number
 * `begin` is that of its tensor. So quantization has no state but the ranges, and an interrupted run goes on exactly.
 * Elements that are no finite numbers do not enter ranges; NaN stays NaN. Each row of a matrix may have a range of its own: those of a weight, which may
 * be given by its non-zeros, are its channels, those of activations tokens that nobody has observed (row_range).
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"
#include "ir/quantization.h"

/* The rows that have ranges of their own, where x has some: those of a matrix, or of the pattern whose non-zeros it is. */
static const ir_dim *rows_of(const ir_infer *in, uint32_t first) {
    const ir_type *x = in->input[first], *pattern = infer_input(in, first + 3);
    if (pattern) return &pattern->dims[0];
    return x->rank == 2 ? &x->dims[0] : NULL;
}

static pofac_status want_non_zeros(const ir_infer *in, uint32_t first) {
    const ir_type *x = in->input[first], *pattern = in->input[first + 3];
    if (pattern->kind != TYPE_PATTERN) return infer_error(in, "pattern is %s, wanted pattern[N,K]", type_text_of(in, pattern).text);
    const ir_symbol nnz = symbol_nnz(in->context, in->node->inputs[first + 3]);
    if (!nnz) return diag_out_of_memory(in->sink);
    const ir_dim n = dim_symbol(nnz);
    return want_type(in, x, "x", type_tensor(in->context, x->dtype, 1, &n));
}

/* Operands x, range, forward, pattern from number `first` on; forward and pattern may be absent. */
static pofac_status want_range(const ir_infer *in, uint32_t first) {
    const ir_type *x = in->input[first], *range = in->input[first + 1], *forward = infer_input(in, first + 2);
    const int64_t begin = node_int(in->node, "begin");
    TRY(want_float(in, x, "x"));
    if (infer_input(in, first + 3)) TRY(want_non_zeros(in, first));
    const ir_dim *rows = rows_of(in, first), dims[2] = {rows ? *rows : dim_const(1), dim_const(2)};
    const ir_type *whole = type_tensor(in->context, IR_F32, 1, &dims[1]), *each = type_tensor(in->context, IR_F32, 2, dims),
                  *tiled = each && x->layout == LAYOUT_TILES ? type_with_layout(in->context, each, x->layout, x->tile) : each;
    if (!rows) TRY(want_type(in, range, "range", whole));
    if (!whole || !tiled) return diag_out_of_memory(in->sink);
    if (range != whole && range != each && range != tiled)
        return infer_error(in, "range is %s, wanted f32[2] or %s", type_text_of(in, range).text, type_text_of(in, tiled).text);
    if (forward) TRY(want_type(in, forward, "forward", type_tensor(in->context, IR_I64, 0, NULL)));
    if (begin < 0) return infer_error(in, "begin is %" PRId64 ", wanted at least 0", begin);
    return POFAC_OK;
}

/* Elements of x by one range. */
typedef struct range_span {
    value_range range;
    int64_t begin, end;
} range_span;

static int64_t span_count(const ir_tensor *range) { return range->rank == 1 ? 1 : range->dims[0]; }

/* Of operands x, range, forward, pattern from number `first` on. */
static range_span span_at(const ir_eval *e, uint32_t first, int64_t i) {
    const ir_tensor *x = e->input[first], *range = e->input[first + 1], *pattern = eval_input(e, first + 3);
    range_span s = {{(float)tensor_get(range, 2 * i), (float)tensor_get(range, 2 * i + 1)}, 0, tensor_elements(x)};
    if (range->rank == 1) return s;
    s.begin = pattern ? pattern->pattern->row_start[i] : i * x->dims[1];
    s.end = pattern ? pattern->pattern->row_start[i + 1] : s.begin + x->dims[1];
    return s;
}

/* ---- ranges ---- */

pofac_status infer_observe_range(ir_infer *in) {
    const double averaging = node_float(in->node, "averaging");
    TRY(want_range(in, 0));
    if (!(averaging >= 0 && averaging <= 1)) return infer_error(in, "averaging is %g, wanted 0 to 1", averaging);
    return infer_result(in, 0, in->input[1]);
}

static value_range range_of_elements(const ir_tensor *x, int64_t begin, int64_t end) {
    value_range r = VALUE_RANGE_NONE;
    for (int64_t i = begin; i < end; i++) {
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
    for (int64_t i = 0; i < span_count(e->input[1]); i++) {
        const range_span s = span_at(e, 0, i);
        const value_range now = range_of_elements(e->input[0], s.begin, s.end);
        value_range r = s.range;
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

/* Does the node quantize what goes by the range in this run? Then by *q. */
static bool is_quantized(const ir_eval *e, uint32_t first, value_range range, quantization *q) {
    const ir_tensor *forward = eval_input(e, first + 2);
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
    for (int64_t i = 0; i < span_count(e->input[1]); i++) {
        const range_span s = span_at(e, 0, i);
        quantization q;
        if (!is_quantized(e, 0, s.range, &q)) copy_elements(e->result[0], s.begin, x, s.begin, s.end - s.begin);
        else
            for (int64_t k = s.begin; k < s.end; k++) tensor_set(e->result[0], k, quantization_apply(q, (float)tensor_get(x, k)));
    }
    return POFAC_OK;
}

/* Straight through where x lies within what 8 bits can hold. */
void gradient_fake_quantize(const ir_gradient *g) {
    const ir_node *n = g->node;
    const ir_value inputs[] = {g->dresult[0], n->inputs[0], n->inputs[1], node_input(n, 2), node_input(n, 3)};
    const ir_attr attrs[] = {attr_enum("scheme", node_string(n, "scheme")), attr_int("begin", node_int(n, "begin"))};
    if (g->wanted[0]) g->dinput[0] = node_add(g->graph, OP_fake_quantize_gradient, inputs, 1 + n->n_inputs, attrs, 2, NULL);
}

pofac_status infer_fake_quantize_gradient(ir_infer *in) {
    TRY(want_range(in, 1));
    TRY(want_type(in, in->input[0], "dy", in->input[1]));
    return infer_result(in, 0, in->input[0]);
}

pofac_status eval_fake_quantize_gradient(const ir_eval *e) {
    const ir_tensor *dy = e->input[0], *x = e->input[1];
    for (int64_t i = 0; i < span_count(e->input[2]); i++) {
        const range_span s = span_at(e, 1, i);
        quantization q;
        const bool quantized = is_quantized(e, 1, s.range, &q);
        for (int64_t k = s.begin; k < s.end; k++) {
            const float place = quantized ? quantization_place(q, (float)tensor_get(x, k)) : 0;
            const bool passes = !quantized || (place >= (float)q.least && place <= (float)q.greatest);
            tensor_set(e->result[0], k, passes ? tensor_get(dy, k) : 0);
        }
    }
    return POFAC_OK;
}
