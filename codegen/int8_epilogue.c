/*
 * What stands behind integer products; see int8_epilogue.h.
 *
 * What is the same for all tokens is computed once for each part, all rows side by side: the number that is added to a row's sums (bias
 * and zero point) and the factor that its sums are multiplied by. The rest takes eight instructions for a vector of tokens, and five more
 * where the result is quantized again. A requantized result has 256 values: where bytes made from it are all that is wanted, as behind the
 * first of two feed-forward products, the elementwise work is done once for each of them, and then looked up (em_table_u8). Whole numbers
 * are rounded by adding and taking off 1.5 * 2^23, which is exact below 2^22: so every number is clamped before it is rounded, which gives
 * the same, since the ends are whole numbers.
 */
#include "codegen/int8_epilogue.h"

#include "codegen/dot_product.h"
#include "ir/quantization.h"

#define ROUNDS 0x1.8p23
#define ROUNDS_BITS 0x4B400000
#define MOST_BIAS 0x1p30

/* Numbers in int8_epilogue.constants, 4 bytes each. */
enum {
    X_SCALE,
    X_ZERO,
    W_SCALE,
    OUT_SCALE,
    OUT_LOW,
    OUT_HIGH,
    OUT_SHIFT,
    NEXT_INVERSE,
    NEXT_LOW,
    NEXT_HIGH,
    NEXT_SHIFT,
    N_CONSTANTS
};

/* ---- describe ---- */

bool int8_is_fixed(const ir_graph *g, ir_value v) { return graph_node_of(g, v)->op == OP_constant || kernel_keeps_state(g, v); }

static bool is_range(const ir_type *t) { return is_f32_rows(t) && t->rank == 1; }

bool int8_find_product(const cg_group *g, const ir_node *n, int8_product *p) {
    if (n->op != OP_linear_int8) return false;
    const ir_graph *graph = g->graph;
    *p = (int8_product){.x = n->inputs[0],
                        .x_range = n->inputs[1],
                        .weight = n->inputs[2],
                        .w_range = n->inputs[3],
                        .bias = node_input(n, 4),
                        .out_range = node_input(n, 5),
                        .pattern = node_input(n, 6)};
    const ir_type *x = graph_type(graph, p->x), *x_range = graph_type(graph, p->x_range), *y = graph_type(graph, n->first_result);
    if (!type_is_tiled(x) || !is_f32_tiles(y)) return false;
    p->N = type_features(y);
    p->K = type_features(x);
    p->W = x->tile;
    p->quads = x->layout == LAYOUT_QUADS;
    if (!is_range(x_range) && !(is_f32_tiles(x_range) && x_range->tile == x->tile)) return false;
    return p->N > 0 && p->K > 0 && int8_is_fixed(graph, p->weight) && int8_is_fixed(graph, p->w_range) &&
           is_f32_rows(graph_type(graph, p->w_range));
}

/* The result of `n`, a quantize, of which the group has the input. */
static bool describe_next(cg_kernel *k, const cg_group *g, const ir_node *n, int64_t W) {
    const ir_type *range = graph_type(g->graph, n->inputs[1]), *y = graph_type(g->graph, n->first_result);
    const int value = expression_find(&k->expression, n->inputs[0]);
    if (value < 0 || !is_range(range) || !type_is_tiled(y) || y->tile != W) return false;
    kernel_set(k, "next_value", value);
    kernel_set(k, "next_range", (int64_t)kernel_operand(k, n->inputs[1]));
    kernel_set(k, "next", (int64_t)kernel_operand(k, n->first_result));
    kernel_set(k, "next_quads", y->layout == LAYOUT_QUADS);
    return true;
}

bool int8_describe(cg_kernel *k, const cg_group *g, const int8_product *p) {
    const ir_node *last = group_last(g);
    const bool has_next = g->n_nodes > 1 && last->op == OP_quantize;
    const cg_group work = {g->graph, g->nodes, g->n_nodes - has_next, g->stored};
    const ir_value y = group_node(g, 0)->first_result;
    kernel_set(k, "x_range", (int64_t)kernel_operand(k, p->x_range));
    kernel_set(k, "x_rows", graph_type(g->graph, p->x_range)->rank == 2);
    kernel_set(k, "w_range", (int64_t)kernel_operand(k, p->w_range));
    kernel_set(k, "w_rows", graph_type(g->graph, p->w_range)->rank == 2);
    kernel_set(k, "bias", p->bias ? (int64_t)kernel_operand(k, p->bias) : 0);
    kernel_set(k, "out_range", p->out_range ? (int64_t)kernel_operand(k, p->out_range) : 0);
    kernel_computed(k, y);
    if (!kernel_express(k, &work, 1, graph_type(g->graph, y)) || expression_has_setup(&k->expression)) return false;
    if (has_next && !describe_next(k, g, last, p->W)) return false;
    return has_next || k->expression.n_stores > 0;
}

int64_t int8_room(int64_t n_rows) { return (n_rows * 8 + 63) / 64 * 64; }

/* ---- arithmetic ---- */

static cg_val bits_of(emitter *e, cg_val x) { return LLVMBuildBitCast(e->builder, x, LLVMVectorType(e->i32, em_lanes_of(x)), ""); }

static cg_val float_of_bits(emitter *e, cg_val x) { return LLVMBuildBitCast(e->builder, x, em_vector_type(e, em_lanes_of(x)), ""); }

static cg_val float_of_int(emitter *e, cg_val x) { return LLVMBuildSIToFP(e->builder, x, em_vector_type(e, em_lanes_of(x)), ""); }

static cg_val add_int(emitter *e, cg_val a, cg_val b) { return LLVMBuildAdd(e->builder, a, b, ""); }

static cg_val between(emitter *e, cg_val x, cg_val low, cg_val high) { return em_fmin_nan(e, em_fmax_nan(e, x, low), high); }

/* ROUNDS and a number below 2^22: the last bits are the nearest whole number. */
static cg_val on_whole_numbers(emitter *e, cg_val x) { return em_fadd(e, x, em_const(e, em_lanes_of(x), ROUNDS)); }

static cg_val nearest(emitter *e, cg_val x) { return em_fsub(e, on_whole_numbers(e, x), em_const(e, em_lanes_of(x), ROUNDS)); }

/* As quantization_of. zero: of affine ones, a whole number. */
static void range_scale(emitter *e, cg_val min, cg_val max, bool symmetric, cg_val *scale, cg_val *zero) {
    const unsigned lanes = em_lanes_of(min);
    cg_val nothing = em_const(e, lanes, 0), below = em_fmin_nan(e, min, nothing), above = em_fmax_nan(e, max, nothing);
    cg_val width = symmetric ? em_fdiv(e, em_fmax_skip_nan(e, em_fsub(e, nothing, below), above), em_const(e, lanes, 127.5))
                             : em_fdiv(e, em_fsub(e, above, below), em_const(e, lanes, 255));
    *scale = em_fmax_nan(e, width, em_const(e, lanes, (double)QUANTIZATION_LEAST_SCALE));
    if (symmetric) return;
    cg_val place = em_fdiv(e, em_fsub(e, nothing, below), *scale);
    *zero = nearest(e, between(e, place, nothing, em_const(e, lanes, 255)));
}

/* A whole number below 2^22 as i32. */
static cg_val small_int(emitter *e, cg_val x) {
    return add_int(e, bits_of(e, on_whole_numbers(e, x)), em_const_i32(e, em_lanes_of(x), -ROUNDS_BITS));
}

static int8_scale scale_of(emitter *e, cg_val scale, cg_val zero) {
    const unsigned lanes = em_lanes_of(scale);
    return (int8_scale){.scale = scale,
                        .inverse = em_fdiv(e, em_const(e, lanes, 1), scale),
                        .low = em_fsub(e, em_const(e, lanes, 0), zero),
                        .high = em_fsub(e, em_const(e, lanes, 255), zero),
                        .shift = add_int(e, small_int(e, zero), em_const_i32(e, lanes, -ROUNDS_BITS))};
}

int8_scale int8_scale_of(emitter *e, cg_val min, cg_val max) {
    cg_val scale, zero;
    range_scale(e, min, max, false, &scale, &zero);
    return scale_of(e, scale, zero);
}

int8_scale int8_scale_at(emitter *e, unsigned lanes, cg_val range) {
    return int8_scale_of(e, em_load_splat(e, lanes, range), em_load_splat(e, lanes, em_at_int(e, range, 4)));
}

cg_val int8_encode(emitter *e, cg_val x, const int8_scale *s) {
    cg_val place = em_fmul(e, x, s->inverse);
    cg_val is_number = LLVMBuildFCmp(e->builder, LLVMRealORD, place, place, "");
    place = em_select(e, is_number, place, em_const(e, em_lanes_of(x), 0));
    return add_int(e, bits_of(e, on_whole_numbers(e, between(e, place, s->low, s->high))), s->shift);
}

cg_val int8_quad(emitter *e, const cg_val feature[4]) {
    cg_val quad = feature[0];
    for (unsigned i = 1; i < 4; i++)
        quad = LLVMBuildOr(e->builder, quad,
                           LLVMBuildShl(e->builder, feature[i], em_const_i32(e, em_lanes_of(quad), (int32_t)(8 * i)), ""), "");
    return quad;
}

/* As quantization_bias. Numbers from 2^23 on are whole; below, 2^23 of their sign rounds them. */
static cg_val bias_in_units(emitter *e, cg_val bias, cg_val scale) {
    LLVMBuilderRef b = e->builder;
    const unsigned lanes = em_lanes_of(bias);
    cg_val place = em_fmul(e, bias, em_fdiv(e, em_const(e, lanes, 1), scale)), limit = em_const(e, lanes, 0x1p23);
    place = em_select(e, LLVMBuildFCmp(b, LLVMRealORD, place, place, ""), place, em_const(e, lanes, 0));
    place = between(e, place, em_const(e, lanes, -MOST_BIAS), em_const(e, lanes, MOST_BIAS));
    cg_val sign = LLVMBuildAnd(b, bits_of(e, place), em_const_i32(e, lanes, INT32_MIN), "");
    cg_val step = float_of_bits(e, LLVMBuildOr(b, bits_of(e, limit), sign, ""));
    cg_val has_places = LLVMBuildAnd(b, em_fless(e, place, limit), em_fless(e, em_const(e, lanes, -0x1p23), place), "");
    place = em_select(e, has_places, em_fsub(e, em_fadd(e, place, step), step), place);
    return LLVMBuildFPToSI(b, place, LLVMVectorType(e->i32, lanes), "");
}

/* As quantization_factor: the nearest number of 15 significant bits, the even one of two. */
static cg_val requantization_factor(emitter *e, cg_val scale, cg_val to) {
    const unsigned lanes = em_lanes_of(scale);
    cg_val s = bits_of(e, em_fdiv(e, scale, to)), one = em_const_i32(e, lanes, 1);
    cg_val odd = LLVMBuildAnd(e->builder, LLVMBuildLShr(e->builder, s, em_const_i32(e, lanes, 9), ""), one, "");
    cg_val up = add_int(e, add_int(e, s, em_const_i32(e, lanes, 255)), odd);
    return float_of_bits(e, LLVMBuildAnd(e->builder, up, em_const_i32(e, lanes, -512), ""));
}

/* ---- what is the same for all elements ---- */

static cg_val constant_at(emitter *e, const int8_epilogue *f, unsigned i) { return em_at_int(e, f->constants, 4 * (int64_t)i); }

static cg_val splat_constant(emitter *e, const int8_epilogue *f, unsigned lanes, unsigned i) {
    return i == X_ZERO || i == OUT_SHIFT || i == NEXT_SHIFT ? em_load_splat_i32(e, lanes, constant_at(e, f, i))
                                                            : em_load_splat(e, lanes, constant_at(e, f, i));
}

static void keep_constant(emitter *e, const int8_epilogue *f, unsigned i, cg_val one) { em_store(e, one, constant_at(e, f, i), 4); }

/* Scale and zero point of the range in an operand. */
static void load_range(emitter *e, cg_val range, bool symmetric, cg_val *scale, cg_val *zero) {
    range_scale(e, em_load(e, 1, range, 4), em_load(e, 1, em_at_int(e, range, 4), 4), symmetric, scale, zero);
}

static int8_scale next_scale(emitter *e, const int8_epilogue *f) {
    return (int8_scale){NULL, splat_constant(e, f, f->lanes, NEXT_INVERSE), splat_constant(e, f, f->lanes, NEXT_LOW),
                        splat_constant(e, f, f->lanes, NEXT_HIGH), splat_constant(e, f, f->lanes, NEXT_SHIFT)};
}

/* Are quads all that is wanted, and do they depend on the requantized product alone? */
static bool has_table(const emitter *e, const cg_kernel *k, unsigned lanes) {
    const cg_expression *x = &k->expression;
    bool alone = (e->target->extensions & CG_TABLE_U8) && lanes == 16 && kernel_get(k, "out_range") &&
                 kernel_get(k, "next_quads") && x->n_ops > 0 && x->n_stores == 0;
    for (unsigned i = 0; i < x->n_inputs; i++)
        alone = alone && (x->inputs[i].source == SOURCE_COMPUTED || x->inputs[i].source == SOURCE_SCALAR);
    return alone;
}

static void emit_table(emitter *e, int8_epilogue *f) {
    const cg_expression *x = &f->kernel->expression;
    cg_val value[EXPRESSION_MAX_VALUES], number[16], table = em_stack(e, EM_TABLE_U8_BYTES, 64);
    const unsigned lanes = f->lanes;
    em_loop parts;
    for (unsigned i = 0; i < lanes; i++) number[i] = LLVMConstReal(e->f32, i);
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, EM_TABLE_U8_BYTES), lanes, NULL, 0);
    cg_val first = LLVMBuildSIToFP(e->builder, parts.index, e->f32, "");
    cg_val q = em_fadd(e, em_splat(e, lanes, first), LLVMConstVector(number, lanes));
    cg_val y = em_fmul(e, em_fadd(e, q, splat_constant(e, f, lanes, OUT_LOW)), splat_constant(e, f, lanes, OUT_SCALE));
    for (unsigned i = 0; i < x->n_inputs; i++)
        value[i] = x->inputs[i].source == SOURCE_COMPUTED ? y : em_load_splat(e, lanes, f->operand[x->inputs[i].operand]);
    expression_emit(e, x, value);
    const int8_scale next = next_scale(e, f);
    cg_val byte = int8_encode(e, value[kernel_get(f->kernel, "next_value")], &next);
    em_store(e, LLVMBuildTrunc(e->builder, byte, LLVMVectorType(e->i8, lanes), ""), em_at(e, table, parts.index), lanes);
    em_loop_end(e, &parts, NULL);
    f->table = table;
}

void int8_begin(emitter *e, const cg_kernel *k, const cg_val *operand, int64_t W, unsigned lanes, cg_val n_tokens, cg_val n_rows,
                int8_epilogue *out) {
    const int64_t out_range = kernel_get(k, "out_range"), next_range = kernel_get(k, "next_range");
    cg_val scale, zero;
    *out = (int8_epilogue){.kernel = k, .operand = operand, .W = W, .lanes = lanes, .n_tokens = n_tokens, .N = n_rows};
    out->constants = em_stack(e, 4 * N_CONSTANTS, 64);
    out->tokens = kernel_get(k, "x_rows") ? em_stack(e, 8 * W, 64) : NULL;
    if (!out->tokens) {
        load_range(e, operand[kernel_get(k, "x_range")], false, &scale, &zero);
        keep_constant(e, out, X_SCALE, scale);
        keep_constant(e, out, X_ZERO, small_int(e, zero));
    }
    if (!kernel_get(k, "w_rows")) {
        load_range(e, operand[kernel_get(k, "w_range")], true, &scale, NULL);
        keep_constant(e, out, W_SCALE, scale);
    }
    if (out_range) {
        load_range(e, operand[out_range], false, &scale, &zero);
        const int8_scale own = scale_of(e, scale, zero);
        keep_constant(e, out, OUT_SCALE, scale);
        keep_constant(e, out, OUT_LOW, own.low);
        keep_constant(e, out, OUT_HIGH, own.high);
        keep_constant(e, out, OUT_SHIFT, own.shift);
    }
    if (next_range) {
        load_range(e, operand[next_range], false, &scale, &zero);
        const int8_scale next = scale_of(e, scale, zero);
        keep_constant(e, out, NEXT_INVERSE, next.inverse);
        keep_constant(e, out, NEXT_LOW, next.low);
        keep_constant(e, out, NEXT_HIGH, next.high);
        keep_constant(e, out, NEXT_SHIFT, next.shift);
    }
    if (has_table(e, k, lanes)) emit_table(e, out);
}

/* ---- what is the same for all tokens of a row, and for all rows of a token ---- */

/* In room: i32 that sums begin with, then f32 factors; where tokens have scales of their own, factors are the weight's scales alone. */
static cg_val row_offset(emitter *e, const int8_part *p, cg_val row) { return em_index(e, p->room, row, 4); }
static cg_val row_factor(emitter *e, const int8_part *p, cg_val row) {
    return em_index(e, em_index(e, p->room, p->n_rows, 4), row, 4);
}

/* The weight's scales of `lanes` rows from row `n` of the matrix on. */
static cg_val weight_scales(emitter *e, const int8_epilogue *f, unsigned lanes, cg_val n) {
    if (!kernel_get(f->kernel, "w_rows")) return splat_constant(e, f, lanes, W_SCALE);
    cg_val at = em_index(e, f->operand[kernel_get(f->kernel, "w_range")], n, 8), low = em_load(e, lanes, at, 4);
    cg_val high = em_load(e, lanes, em_at_int(e, at, 4 * (int64_t)lanes), 4), scale;
    unsigned even[16], odd[16];
    for (unsigned i = 0; i < lanes; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
    range_scale(e, em_shuffle(e, low, high, lanes, even), em_shuffle(e, low, high, lanes, odd), true, &scale, NULL);
    return scale;
}

static void emit_rows(emitter *e, const int8_epilogue *f, const int8_part *p, unsigned lanes, cg_val begin, cg_val end) {
    const int64_t bias = kernel_get(f->kernel, "bias");
    em_loop rows;
    em_loop_begin(e, &rows, begin, end, lanes, NULL, 0);
    cg_val n = em_add(e, p->row0, rows.index), factor = weight_scales(e, f, lanes, n);
    if (!f->tokens) {
        cg_val scale = em_fmul(e, splat_constant(e, f, lanes, X_SCALE), factor);
        cg_val sum = em_load_i32(e, lanes, em_index(e, p->weight_sums, rows.index, 4), 4);
        sum = LLVMBuildNeg(e->builder, LLVMBuildMul(e->builder, sum, splat_constant(e, f, lanes, X_ZERO), ""), "");
        if (bias) sum = add_int(e, sum, bias_in_units(e, em_load(e, lanes, em_index(e, f->operand[bias], n, 4), 4), scale));
        em_store(e, sum, row_offset(e, p, rows.index), 4);
        factor =
            kernel_get(f->kernel, "out_range") ? requantization_factor(e, scale, splat_constant(e, f, lanes, OUT_SCALE)) : scale;
    }
    em_store(e, factor, row_factor(e, p, rows.index), 4);
    em_loop_end(e, &rows, NULL);
}

/* Scales and zero points of the tile's tokens: f32 [W], i32 [W]. */
static void emit_tokens(emitter *e, const int8_epilogue *f, const int8_part *p) {
    em_loop parts;
    cg_val range = em_index(e, f->operand[kernel_get(f->kernel, "x_range")], p->tile, 8 * f->W), scale, zero;
    em_loop_begin(e, &parts, em_int(e, 0), p->live, f->lanes, NULL, 0);
    cg_val min = em_index(e, range, parts.index, 4), to = em_index(e, f->tokens, parts.index, 4);
    range_scale(e, em_load(e, f->lanes, min, 4 * f->lanes), em_load(e, f->lanes, em_at_int(e, min, 4 * f->W), 4 * f->lanes), false,
                &scale, &zero);
    em_store(e, scale, to, 4 * f->lanes);
    em_store(e, small_int(e, zero), em_at_int(e, to, 4 * f->W), 4 * f->lanes);
    em_loop_end(e, &parts, NULL);
}

/* ---- elements ---- */

/* A row's sums with bias and zero point, times the factor; where tokens have scales of their own, the bias comes behind them. part: bytes into the row. */
static cg_val emit_product(emitter *e, const int8_epilogue *f, const int8_part *p, cg_val row, cg_val part) {
    const cg_kernel *k = f->kernel;
    const unsigned lanes = f->lanes, align = 4 * lanes;
    const int64_t bias = kernel_get(k, "bias");
    cg_val sum = em_load_i32(e, lanes, em_at(e, em_index(e, p->sums, row, 4 * f->W), part), align);
    cg_val factor = em_load_splat(e, lanes, row_factor(e, p, row));
    if (!f->tokens) {
        sum = add_int(e, sum, em_load_splat_i32(e, lanes, row_offset(e, p, row)));
        return em_fmul(e, float_of_int(e, sum), factor);
    }
    cg_val weight_sum = em_load_splat_i32(e, lanes, em_index(e, p->weight_sums, row, 4));
    cg_val token = em_at(e, f->tokens, part), zero = em_load_i32(e, lanes, em_at_int(e, token, 4 * f->W), align);
    sum = LLVMBuildSub(e->builder, sum, LLVMBuildMul(e->builder, zero, weight_sum, ""), "");
    cg_val y = em_fmul(e, float_of_int(e, sum), em_fmul(e, em_load(e, lanes, token, align), factor));
    if (!bias) return y;
    return em_fadd(e, y, em_load_splat(e, lanes, em_index(e, f->operand[bias], em_add(e, p->row0, row), 4)));
}

/* The product within what 8 bits hold, the zero point taken off. */
static cg_val within_out(emitter *e, const int8_epilogue *f, cg_val product) {
    return between(e, product, splat_constant(e, f, f->lanes, OUT_LOW), splat_constant(e, f, f->lanes, OUT_HIGH));
}

/* y of a row. */
static cg_val emit_number(emitter *e, const int8_epilogue *f, const int8_part *p, cg_val row, cg_val part) {
    cg_val y = emit_product(e, f, p, row, part);
    if (!kernel_get(f->kernel, "out_range")) return y;
    return em_fmul(e, nearest(e, within_out(e, f, y)), splat_constant(e, f, f->lanes, OUT_SCALE));
}

/* The requantized product of a row, i32 in 0..255. */
static cg_val emit_requantized(emitter *e, const int8_epilogue *f, const int8_part *p, cg_val row, cg_val part) {
    cg_val place = on_whole_numbers(e, within_out(e, f, emit_product(e, f, p, row, part)));
    return add_int(e, bits_of(e, place), splat_constant(e, f, f->lanes, OUT_SHIFT));
}

/* Elementwise work on y, and what of it is stored; value: all that is computed. n: the row of the matrix. */
static void emit_values(emitter *e, const int8_epilogue *f, const int8_part *p, cg_val n, cg_val part, cg_val y,
                        cg_val value[EXPRESSION_MAX_VALUES]) {
    const cg_expression *x = &f->kernel->expression;
    const unsigned lanes = f->lanes;
    cg_val at = em_add(e, em_mul_int(e, em_add(e, em_mul(e, p->tile, f->N), n), 4 * f->W), part);
    for (unsigned i = 0; i < x->n_inputs; i++) {
        const cg_source source = x->inputs[i].source;
        cg_val pointer = source == SOURCE_COMPUTED ? NULL : f->operand[x->inputs[i].operand];
        value[i] = source == SOURCE_COMPUTED  ? y
                   : source == SOURCE_FULL    ? em_load(e, lanes, em_at(e, pointer, at), 4 * lanes)
                   : source == SOURCE_FEATURE ? em_load_splat(e, lanes, em_index(e, pointer, n, 4))
                                              : em_load_splat(e, lanes, pointer);
    }
    expression_emit(e, x, value);
    for (unsigned i = 0; i < x->n_stores; i++)
        em_store(e, value[x->stores[i].value], em_at(e, f->operand[x->stores[i].operand], at), 4 * lanes);
}

/* The bytes of `count` rows from `n` on, one or four. */
static void store_bytes(emitter *e, const int8_epilogue *f, const int8_part *p, cg_val n, cg_val part, const cg_val *byte,
                        unsigned count) {
    cg_val out = f->operand[kernel_get(f->kernel, "next")];
    if (count == 4) {
        cg_val quads = em_div_int_up(e, f->N, 4), quad = em_add(e, em_mul(e, p->tile, quads), em_div_int(e, n, 4));
        cg_val bytes = int8_quad(e, byte);
        if (f->table) bytes = em_table_u8(e, f->table, bytes);
        em_store(e, bytes, em_at(e, em_index(e, out, quad, 4 * f->W), part), 4 * f->lanes);
        return;
    }
    cg_val to = em_add(e, em_mul_int(e, em_add(e, em_mul(e, p->tile, f->N), n), f->W), em_div_int(e, part, 4));
    em_store(e, LLVMBuildTrunc(e->builder, byte[0], LLVMVectorType(e->i8, f->lanes), ""), em_at(e, out, to), f->lanes);
}

void int8_emit(emitter *e, const int8_epilogue *f, const int8_part *p) {
    const cg_kernel *k = f->kernel;
    const bool has_next = kernel_get(k, "next_range");
    const unsigned count = kernel_get(k, "next_quads") ? 4 : 1;
    cg_val whole = em_sub(e, p->n_rows, em_rem_int(e, p->n_rows, e->lanes)), last = em_add_int(e, p->n_rows, -1);
    emit_rows(e, f, p, e->lanes, em_int(e, 0), whole);
    emit_rows(e, f, p, 1, whole, p->n_rows);
    if (f->tokens) emit_tokens(e, f, p);
    em_loop rows, parts;
    em_loop_begin(e, &rows, em_int(e, 0), p->n_rows, count, NULL, 0);
    em_loop_begin(e, &parts, em_int(e, 0), em_mul_int(e, p->live, 4), 4 * (int64_t)f->lanes, NULL, 0);
    cg_val byte[4];
    for (unsigned i = 0; i < count; i++) { /* places behind the last row hold anything: that row again */
        cg_val row = i == 0 ? rows.index : em_min(e, em_add_int(e, rows.index, i), last), value[EXPRESSION_MAX_VALUES];
        if (f->table) {
            byte[i] = emit_requantized(e, f, p, row, parts.index);
            continue;
        }
        emit_values(e, f, p, em_add(e, p->row0, row), parts.index, emit_number(e, f, p, row, parts.index), value);
        if (!has_next) continue;
        const int8_scale scale = next_scale(e, f);
        byte[i] = int8_encode(e, value[kernel_get(k, "next_value")], &scale);
    }
    if (has_next) store_bytes(e, f, p, em_add(e, p->row0, rows.index), parts.index, byte, count);
    em_loop_end(e, &parts, NULL);
    em_loop_end(e, &rows, NULL);
}
