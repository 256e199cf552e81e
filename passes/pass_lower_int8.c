/*
 * Lower-int8: linears that compute on what 8 bits hold of their operands compute in integers (spec of the method: prune once for all, section 7; Jacob
 * et al. 2018).
 *
 *   %a = fake_quantize %x, %r                                        %q = quantize %x, %r : u8
 *   %v = fake_quantize %w, %s {scheme = "symmetric"}          ->     %y = linear_int8 %q, %r, %w, %s, %b, %t
 *   %l = linear %a, %v, %b
 *   %y = fake_quantize %l, %t
 *
 * The last one joins where nobody else reads the linear's result, which is then requantized to 8 bits within the product; else, and where rows have
 * ranges of their own, it stays behind it. A value that several linears read is quantized once. Where a linear reads some rows of it, as the last
 * layer's does that only first tokens need, these rows are quantized, by their own ranges if they have such.
 *
 * Numbers change by what the simulation does not round: the bias to units of both scales, half such a unit at most; and where the result is requantized,
 * to places a step away from the simulation's, where its value lies between two.
 *
 * A linear is left as it is while its training has not begun (`forward` or `begin` are given), its weight is no matrix of f32 or non-zeros of a pattern,
 * its sums might not fit into 32 bits, or where the environment has one of its ranges and nothing is known by it, or has a bias that units of the scales
 * cannot hold: simulation and integers then differ.
 */
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "ir/quantization.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

typedef struct lowering_state {
    const pass_input *in;
    rewriter rw;
    const uint32_t *uses;
    ir_value *bytes; /* [old values] the quantize of what the fake_quantize of that result reads; IR_NO_VALUE: not made */
    const ir_node **
        last; /* [old values] of the result of a linear that is lowered: the fake_quantize that joins it, or the linear itself; NULL: is not lowered */
} lowering_state;

/* ---- which ---- */

static const char *name_of(const lowering_state *s, ir_value v) { return node_string(graph_node_of(s->rw.from, v), "name"); }

/* The state, if the environment has it; to be released then. */
static pofac_status get_state(const lowering_state *s, ir_value v, ir_tensor *t, bool *found) {
    const tensor_source *state = s->in->environment->state;
    *found = false;
    if (v == IR_NO_VALUE || graph_node_of(s->rw.from, v)->op != OP_state || !state) return POFAC_OK;
    const pofac_status status = state->get(state->user, name_of(s, v), NULL, t);
    if (status == POFAC_ERR_INPUT) return POFAC_OK; /* there is none of that name: whoever binds it will say so */
    if (status != POFAC_OK) return diag_out_of_memory(s->in->sink);
    *found = true;
    return POFAC_OK;
}

static void release_state(const lowering_state *s, ir_value v) { tensor_source_release(s->in->environment->state, name_of(s, v)); }

/* Is the range known to say nothing? Its elements are of no use then, which the simulation passes by. */
static pofac_status is_unknown(const lowering_state *s, ir_value range, bool *out) {
    ir_tensor t;
    bool found;
    *out = false;
    TRY(get_state(s, range, &t, &found));
    if (!found) return POFAC_OK;
    for (int64_t i = 0; i + 1 < tensor_elements(&t); i += 2)
        *out = *out || !(tensor_get(&t, i) <= tensor_get(&t, i + 1)) || isinf(tensor_get(&t, i)) || isinf(tensor_get(&t, i + 1));
    release_state(s, range);
    return POFAC_OK;
}

static float scale_at(const ir_tensor *ranges, int64_t i, quantization_scheme scheme) {
    return quantization_of((value_range){(float)tensor_get(ranges, 2 * i), (float)tensor_get(ranges, 2 * i + 1)}, scheme).scale;
}

/* Are its elements too many units of both scales for 32 bits, as next to weights that are all zero? x: a range of the whole tensor. */
static bool is_too_large(const ir_tensor *bias, const ir_tensor *x, const ir_tensor *w) {
    const int64_t n = tensor_elements(bias), n_ranges = tensor_elements(w) / 2;
    const float x_scale = scale_at(x, 0, QUANTIZE_AFFINE);
    bool fits = true;
    if (n_ranges != 1 && n_ranges != n) return false; /* whoever binds them will say so */
    for (int64_t i = 0; i < n && fits; i++)
        fits = quantization_bias_fits((float)tensor_get(bias, i), x_scale * scale_at(w, n_ranges == 1 ? 0 : i, QUANTIZE_SYMMETRIC));
    return !fits;
}

/* Is the linear's bias known to be lost in sums of 32 bits? Where rows of x have ranges of their own, it is not in them. */
static pofac_status loses_bias(const lowering_state *s, const ir_node *linear, ir_value x_range, ir_value w_range, bool *out) {
    const ir_value values[3] = {node_input(linear, 2), x_range, w_range};
    ir_tensor t[3];
    bool found[3] = {false, false, false};
    pofac_status status = POFAC_OK;
    *out = false;
    if (graph_type(s->rw.from, x_range)->rank != 1) return POFAC_OK;
    for (int i = 0; i < 3 && status == POFAC_OK; i++) status = get_state(s, values[i], &t[i], &found[i]);
    if (status == POFAC_OK && found[0] && found[1] && found[2]) *out = is_too_large(&t[0], &t[1], &t[2]);
    for (int i = 0; i < 3; i++)
        if (found[i]) release_state(s, values[i]);
    return status;
}

/* The fake_quantize that makes `v`, if it holds in every run; else NULL. */
static const ir_node *quantizer_of(const lowering_state *s, ir_value v, const char *scheme) {
    const ir_node *n = graph_node_of(s->rw.from, v);
    const bool holds =
        n->op == OP_fake_quantize && node_input(n, 2) == IR_NO_VALUE && strcmp(node_string(n, "scheme"), scheme) == 0;
    return holds ? n : NULL;
}

/* What makes a linear's input: the fake_quantize of it, or of what its rows are gathered from; else NULL. */
static const ir_node *input_quantizer(const lowering_state *s, ir_value v) {
    const ir_node *n = graph_node_of(s->rw.from, v);
    return quantizer_of(s, n->op == OP_gather_rows ? n->inputs[0] : v, "affine");
}

/* Has linear_int8 a form for these operands? */
static bool has_form(const ir_graph *g, const ir_node *x, const ir_node *w) {
    const ir_type *x_type = graph_type(g, x->inputs[0]), *w_type = graph_type(g, w->inputs[0]);
    int64_t K;
    if (x_type->rank != 2 || x_type->dtype != IR_F32 || w_type->dtype != IR_F32 || w_type->layout != LAYOUT_ROWS) return false;
    return dim_is_const(x_type->dims[1], &K) && K <= QUANTIZATION_MAX_COLUMNS;
}

/* The node that reads the linear's result alone and puts it into 8 bits, by a range of the tensor that is known; else the linear. */
static pofac_status find_last(const lowering_state *s, const ir_node *linear, const ir_node *x, const ir_node **out) {
    const ir_graph *g = s->rw.from;
    *out = linear;
    if (s->uses[linear->first_result] != 1 || graph_type(g, x->inputs[1])->rank != 1) return POFAC_OK;
    for (const ir_node *n = linear + 1; n < g->nodes.data + g->nodes.size; n++) {
        bool unknown;
        if (n->n_inputs == 0 || n->inputs[0] != linear->first_result || !quantizer_of(s, n->first_result, "affine")) continue;
        if (graph_type(g, n->inputs[1])->rank != 1) return POFAC_OK;
        TRY(is_unknown(s, n->inputs[1], &unknown));
        if (!unknown) *out = n;
        return POFAC_OK;
    }
    return POFAC_OK;
}

static pofac_status find_linear(lowering_state *s, const ir_node *n) {
    const ir_node *x = input_quantizer(s, n->inputs[0]), *w = quantizer_of(s, n->inputs[1], "symmetric");
    bool unknown[2], lost;
    if (!x || !w || !has_form(s->rw.from, x, w)) return POFAC_OK;
    TRY(is_unknown(s, x->inputs[1], &unknown[0]));
    TRY(is_unknown(s, w->inputs[1], &unknown[1]));
    if (unknown[0] || unknown[1]) return POFAC_OK;
    TRY(loses_bias(s, n, x->inputs[1], w->inputs[1], &lost));
    if (lost) return POFAC_OK;
    const ir_node *last;
    TRY(find_last(s, n, x, &last));
    s->last[n->first_result] = last;
    return POFAC_OK;
}

/* ---- the new graph ---- */

/* Of a linear's input, with or without a gather_rows between. */
static ir_value bytes_of(lowering_state *s, ir_value quantized) {
    const ir_node *n = input_quantizer(s, quantized), *gather = graph_node_of(s->rw.from, quantized);
    ir_value *made = &s->bytes[quantized];
    if (*made != IR_NO_VALUE) return *made;
    ir_value inputs[] = {rewrite_value(&s->rw, n->inputs[0]), rewrite_value(&s->rw, n->inputs[1])};
    const bool own_ranges = graph_type(s->rw.from, n->inputs[1])->rank == 2;
    for (int i = 0; gather->op == OP_gather_rows && i < (own_ranges ? 2 : 1); i++)
        inputs[i] = build_binary(s->rw.to, OP_gather_rows, inputs[i], rewrite_value(&s->rw, gather->inputs[1]));
    if (inputs[0] == IR_NO_VALUE) return IR_NO_VALUE;
    const ir_type *type = type_with_dtype(s->rw.to->module->context, graph_type(s->rw.to, inputs[0]), IR_U8);
    *made = node_add(s->rw.to, OP_quantize, inputs, 2, NULL, 0, type);
    return *made;
}

/* The linear, at the place of `last`, whose result it gives. */
static void place_linear(lowering_state *s, const ir_node *linear, const ir_node *last) {
    const ir_node *w = graph_node_of(s->rw.from, linear->inputs[1]);
    rewrite_visit(&s->rw, linear);
    const ir_value x = bytes_of(s, linear->inputs[0]);
    const ir_value inputs[7] = {x,
                                x == IR_NO_VALUE ? x : graph_node_of(s->rw.to, x)->inputs[1],
                                rewrite_value(&s->rw, w->inputs[0]),
                                rewrite_value(&s->rw, w->inputs[1]),
                                rewrite_value(&s->rw, node_input(linear, 2)),
                                last != linear ? rewrite_value(&s->rw, last->inputs[1]) : IR_NO_VALUE,
                                rewrite_value(&s->rw, node_input(linear, 3))};
    rewrite_map(&s->rw, last->first_result, node_add(s->rw.to, OP_linear_int8, inputs, 7, NULL, 0, NULL));
}

static void place_node(lowering_state *s, const ir_node *n) {
    const ir_node *linear = n->op == OP_fake_quantize ? graph_node_of(s->rw.from, n->inputs[0]) : n;
    const ir_node *last = linear->op == OP_linear ? s->last[linear->first_result] : NULL;
    if (last == n) place_linear(s, linear, last);
    else if (!last || linear != n)
        rewrite_copy_unmarked(&s->rw, n, NULL, NULL); /* a linear that is lowered comes with its last node */
}

static pofac_status rewrite_graph(lowering_state *s, const ir_graph *from, ir_module *to) {
    TRY(rewrite_begin(&s->rw, from, to));
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < from->nodes.size && status == POFAC_OK; i++)
        if (from->nodes.data[i].op == OP_linear) status = find_linear(s, &from->nodes.data[i]);
    for (size_t i = 0; i < from->nodes.size && status == POFAC_OK; i++) place_node(s, &from->nodes.data[i]);
    const pofac_status finished = rewrite_finish(&s->rw);
    return status == POFAC_OK ? finished : status;
}

static pofac_status lower_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    lowering_state s = {.in = in, .uses = graph_count_uses(from, &memory)};
    s.bytes = ARENA_ARRAY(&memory, ir_value, from->values.size + 1);
    s.last = ARENA_ARRAY(&memory, const ir_node *, from->values.size + 1);
    const pofac_status status = s.uses && s.bytes && s.last ? rewrite_graph(&s, from, to) : diag_out_of_memory(in->sink);
    arena_free(&memory);
    return status;
}

pofac_status pass_lower_int8(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, lower_graph, &copy, in->sink, out);
}
