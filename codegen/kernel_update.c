/*
 * Updates of parameters: adamw, sgd and descend (ir/ops/op_optimizer.c has the formulas), in one pass over memory: all streams are read once and
 * the new ones written once.
 *
 * What is the same for all elements (the powers of the decays, and what follows from them and the learning rate) is computed once per
 * call in double from the scalars in memory, so that neither step nor learning rate are part of the code. b^t is a product of the
 * squarings of b that t has bits for: its relative error is below 2t 2^-53, so that of 1 - b^t is below 2^-51 / (1 - b); these numbers
 * then become f32 once.
 *
 * Rounding, with u = 2^-24, twice as much where the target has no fused multiply-add:
 *   m', v'   4u (b1 |m| + (1 - b1) |g|) and 6u v'
 *   adamw    p' rounds once by u |p'|, and the step that is subtracted is off by less than 10u of rate (b1 |m| + (1 - b1) |g|) / root
 *   sgd      u' and p' as sums of their terms, 4u of the sum of the magnitudes of these
 *   descend  x' rounds once by u |x'|, and what is subtracted is off by 2u of it
 * Numbers below 2^-126 may be taken as 0. An eps between 0 and 2^-126 is taken as 2^-126, so that what is 0 stays 0.
 *
 * A vector of all streams is read before any of it is written, and nothing is read twice: p', m', v', u' may be the memory of p, m, v,
 * u themselves. So a graph may update its state where it lies.
 *
 * A step below 1, which the evaluator refuses, gives numbers that are not finite. A scale that is not finite leaves everything as it was.
 *
 * A gradient that comes with its pattern is put into rows of scratch, a group of rows at a time, of which the rest is 0.
 *
 * operands: inputs in the op's order, then the results that are stored. dims: elements; none with a pattern.
 */
#include <float.h>
#include <string.h>

#include "codegen/sparse_rows.h"

#define BLOCK 16384 /* elements per unit: 448 KB of traffic, against which the scalars are nothing */
#define MOST_STREAMS 4
#define MOST_NUMBERS 9
#define STEP_BITS 63

/* One op: its streams, and what it does with a vector of each. number: what is the same for all elements. */
typedef struct update_rule {
    unsigned n_inputs, n_streams, n_results, n_numbers; /* n_inputs: without a pattern */
    unsigned scale;                                     /* number of the gradient's factor */
    unsigned old[3];                                    /* stream that result r takes the place of */
    void (*step)(emitter *e, const cg_kernel *k, const cg_val number[], const cg_val in[], cg_val out[]);
} update_rule;

/* ---- describe ---- */

/* The gradient's pattern is the op's last input: units are groups of rows. */
static bool by_rows(const cg_group *g, const ir_node *n, cg_kernel *k) {
    const ir_value pattern = n->inputs[n->n_inputs - 1];
    const ir_type *t = graph_type(g->graph, pattern);
    int64_t N, K;
    if (graph_node_of(g->graph, pattern)->op != OP_pattern || !dim_is_const(t->dims[0], &N) || !dim_is_const(t->dims[1], &K))
        return false;
    if (N < 1 || K < 1 || K > INT32_MAX / (4 * SPARSE_ROWS)) return false;
    const sparse_layout layout = sparse_rows_layout(K);
    kernel_sparse_operand(k, pattern, PACKING_SPARSE_INDEX, &layout);
    kernel_set(k, "N", N);
    kernel_set(k, "K", K);
    k->work = dim_const(N);
    k->work_per_unit = SPARSE_ROWS;
    k->scratch_bytes = dim_const(4 * SPARSE_ROWS * K);
    return true;
}

static bool describe_update(const cg_group *g, const ir_node *n, const update_rule *rule, cg_kernel *k) {
    const ir_type *t = graph_type(g->graph, n->inputs[0]);
    const bool masked = n->n_inputs > rule->n_inputs;
    int64_t stores = 0, n_streams = rule->n_streams;
    if (!is_f32_rows(t)) return false;
    for (uint32_t i = 0; i < rule->n_inputs; i++) kernel_operand(k, n->inputs[i]);
    if (masked && !by_rows(g, n, k)) return false;
    for (unsigned r = 0; r < rule->n_results; r++) {
        if (!g->stored[node_result(n, r)]) continue;
        kernel_operand(k, node_result(n, r));
        stores |= INT64_C(1) << r;
        n_streams++;
    }
    kernel_set(k, "stores", stores);
    k->in_place = true;
    if (stores == 0 || (!masked && !kernel_over_elements(k, t, BLOCK))) return false;
    k->bytes = masked ? dim_const(kernel_get(k, "N") * kernel_get(k, "K") * 4 * (n_streams - 1))
                      : kernel_scaled(k->work, 4 * n_streams, 0, NULL);
    return true;
}

/* ---- one pass ---- */

/* The scalar f32 there, as f64. */
static cg_val load_scalar(emitter *e, cg_val pointer) { return em_widen(e, em_lane(e, em_load(e, 1, pointer, 4), 0)); }

/* Elements [begin, end) in vectors of `lanes`. number: f32 scalars. changes: whether anything does, else it is copied. */
static void emit_span(emitter *e, const cg_kernel *k, const update_rule *rule, const cg_val *operand, const cg_val *number,
                      bool changes, unsigned n_inputs, cg_val begin, cg_val end, unsigned lanes) {
    const int64_t stores = kernel_get(k, "stores");
    cg_val splat[MOST_NUMBERS], in[MOST_STREAMS], out[MOST_STREAMS];
    em_loop loop;
    for (unsigned i = 0; i < rule->n_numbers; i++) splat[i] = em_splat(e, lanes, number[i]);
    em_loop_begin(e, &loop, begin, end, lanes, NULL, 0);
    cg_val at = em_mul_int(e, loop.index, 4);
    for (unsigned i = 0; i < rule->n_streams; i++) in[i] = em_load(e, lanes, em_at(e, operand[i], at), 4);
    if (changes) rule->step(e, k, splat, in, out);
    for (unsigned r = 0, next = n_inputs; r < rule->n_results; r++)
        if (stores >> r & 1) em_store(e, changes ? out[r] : in[rule->old[r]], em_at(e, operand[next++], at), 4);
    em_loop_end(e, &loop, NULL);
}

/* Elements [begin, end): whole vectors, then what is left. changes: i1. */
static void emit_elements(emitter *e, const cg_kernel *k, const update_rule *rule, const cg_val *operand, const cg_val *number,
                          cg_val changes, unsigned n_inputs, cg_val begin, cg_val end) {
    cg_val whole = em_sub(e, end, em_rem_int(e, em_sub(e, end, begin), e->lanes));
    em_if any;
    em_if_begin(e, &any, changes);
    emit_span(e, k, rule, operand, number, true, n_inputs, begin, whole, e->lanes);
    emit_span(e, k, rule, operand, number, true, n_inputs, whole, end, 1);
    em_else(e, &any);
    emit_span(e, k, rule, operand, number, false, n_inputs, begin, whole, e->lanes);
    emit_span(e, k, rule, operand, number, false, n_inputs, whole, end, 1);
    em_if_end(e, &any);
}

/* Groups of rows, whose gradients stand in scratch. */
static void emit_rows(emitter *e, const cg_kernel *k, const update_rule *rule, const cg_val *operand, const cg_val *number,
                      cg_val changes) {
    const int64_t N = kernel_get(k, "N"), K = kernel_get(k, "K"), stores = kernel_get(k, "stores");
    const unsigned n_inputs = rule->n_inputs + 1;
    cg_val of_rows[KERNEL_MAX_OPERANDS];
    em_loop groups;
    em_loop_begin(e, &groups, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val row0 = em_mul_int(e, groups.index, SPARSE_ROWS),
           n_rows = em_min(e, em_int(e, SPARSE_ROWS), em_sub(e, em_int(e, N), row0));
    emit_sparse_rows(e, N, K, operand[rule->n_inputs], operand[1], groups.index, n_rows, em_scratch(e));
    for (unsigned i = 0; i < n_inputs; i++) of_rows[i] = i < rule->n_streams ? em_index(e, operand[i], row0, 4 * K) : operand[i];
    of_rows[1] = em_scratch(e);
    for (unsigned r = 0, next = n_inputs; r < rule->n_results; r++) {
        if (!(stores >> r & 1)) continue;
        of_rows[next] = em_index(e, operand[next], row0, 4 * K);
        next++;
    }
    emit_elements(e, k, rule, of_rows, number, changes, n_inputs, em_int(e, 0), em_mul_int(e, n_rows, K));
    em_loop_end(e, &groups, NULL);
}

/* real: the numbers as f64 scalars. */
static void emit_update(emitter *e, const cg_kernel *k, const update_rule *rule, const cg_val *operand, const cg_val *real) {
    cg_val number[MOST_NUMBERS];
    for (unsigned i = 0; i < rule->n_numbers; i++) number[i] = em_narrow(e, real[i]);
    cg_val changes = em_fless(e, em_fmul(e, real[rule->scale], em_real(e, 0)), em_real(e, 1)); /* 0 times it is NaN */
    if (kernel_get(k, "K")) return emit_rows(e, k, rule, operand, number, changes);
    cg_val begin = em_mul_int(e, em_begin_unit(e), BLOCK), end = em_min(e, em_mul_int(e, em_end_unit(e), BLOCK), em_dim(e, 0));
    emit_elements(e, k, rule, operand, number, changes, rule->n_inputs, begin, end);
}

/* ---- adamw ---- */

/* RATE / (ROOT sqrt(v') + EPS) of m' is subtracted. DECAY: hf's share of the parameter that goes after that; torch's that stays before. */
enum { B1, B1_REST, B2, B2_REST, SCALE, DECAY, RATE, ROOT, EPS, N_ADAMW_NUMBERS };
enum { P, G, M, V };

static void adamw_step(emitter *e, const cg_kernel *k, const cg_val number[], const cg_val in[], cg_val out[]) {
    cg_val g = em_fmul(e, number[SCALE], in[G]);
    cg_val m = em_fma(e, number[B1], in[M], em_fmul(e, number[B1_REST], g));
    cg_val v = em_fma(e, number[B2], in[V], em_fmul(e, em_fmul(e, number[B2_REST], g), g));
    cg_val root = em_fma(e, number[ROOT], em_fsqrt(e, v), number[EPS]);
    cg_val step = em_fdiv(e, em_fmul(e, number[RATE], m), root);
    if (kernel_get(k, "hf")) out[0] = em_fsub(e, in[P], em_fma(e, number[DECAY], em_fsub(e, in[P], step), step));
    else out[0] = em_fsub(e, em_fmul(e, number[DECAY], in[P]), step);
    out[1] = m;
    out[2] = v;
}

static const update_rule adamw_rule = {7, 4, 3, N_ADAMW_NUMBERS, SCALE, {P, M, V}, adamw_step};

bool describe_adamw(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    static const char *const reals[] = {"beta1", "beta2", "eps", "weight_decay"};
    const ir_node *n = group_single(g, OP_adamw);
    if (!n || !describe_update(g, n, &adamw_rule, k)) return false;
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) kernel_set_real(k, reals[i], node_float(n, reals[i]));
    kernel_set(k, "hf", strcmp(node_string(n, "form"), "hf") == 0);
    return true;
}

/* 1 - b^t; t at least 0. */
static cg_val one_minus_power(emitter *e, double b, cg_val t) {
    enum { POWER, SQUARING, STEPS };
    em_loop bits;
    cg_val now[] = {em_real(e, 1), em_real(e, b), t};
    em_loop_begin(e, &bits, em_int(e, 0), em_int(e, STEP_BITS), 1, now, 3);
    cg_val is_set = em_equal(e, em_rem_int(e, bits.carried[STEPS], 2), em_int(e, 1));
    cg_val product = em_fmul(e, bits.carried[POWER], bits.carried[SQUARING]);
    now[POWER] = em_select(e, is_set, product, bits.carried[POWER]);
    now[SQUARING] = em_fmul(e, bits.carried[SQUARING], bits.carried[SQUARING]);
    now[STEPS] = em_div_int(e, bits.carried[STEPS], 2);
    em_loop_end(e, &bits, now);
    return em_fsub(e, em_real(e, 1), bits.carried[POWER]);
}

void emit_adamw(emitter *e, const cg_kernel *k) {
    const double b1 = kernel_get_real(k, "beta1"), b2 = kernel_get_real(k, "beta2"), eps = kernel_get_real(k, "eps");
    cg_val operand[KERNEL_MAX_OPERANDS], number[N_ADAMW_NUMBERS];
    kernel_operands(e, k, operand);
    cg_val learning_rate = load_scalar(e, operand[4]), step = em_max(e, em_load_int(e, IR_I64, operand[6]), em_int(e, 0));
    cg_val m_part = one_minus_power(e, b1, step), v_root = em_fsqrt(e, one_minus_power(e, b2, step));
    cg_val rate = em_fdiv(e, learning_rate, m_part);
    number[B1] = em_real(e, b1);
    number[B1_REST] = em_real(e, 1 - b1);
    number[B2] = em_real(e, b2);
    number[B2_REST] = em_real(e, 1 - b2);
    number[SCALE] = load_scalar(e, operand[5]);
    number[DECAY] = em_fmul(e, learning_rate, em_real(e, kernel_get_real(k, "weight_decay")));
    if (!kernel_get(k, "hf")) number[DECAY] = em_fsub(e, em_real(e, 1), number[DECAY]);
    number[RATE] = kernel_get(k, "hf") ? em_fmul(e, rate, v_root) : rate;
    number[ROOT] = kernel_get(k, "hf") ? em_real(e, 1) : em_fdiv(e, em_real(e, 1), v_root);
    number[EPS] = em_real(e, eps > 0 && eps < (double)FLT_MIN ? (double)FLT_MIN : eps);
    emit_update(e, k, &adamw_rule, operand, number);
}

/* ---- sgd ---- */

enum { MOMENTUM, SGD_DECAY, SGD_SCALE, MINUS_RATE, N_SGD_NUMBERS };
enum { SGD_P, SGD_G, SGD_U };

static void sgd_step(emitter *e, const cg_kernel *k, const cg_val number[], const cg_val in[], cg_val out[]) {
    cg_val d = em_fma(e, number[SGD_SCALE], in[SGD_G], em_fmul(e, number[SGD_DECAY], in[SGD_P]));
    cg_val u = em_fma(e, number[MOMENTUM], in[SGD_U], d);
    cg_val direction = kernel_get(k, "nesterov") ? em_fma(e, number[MOMENTUM], u, d) : u;
    out[0] = em_fma(e, number[MINUS_RATE], direction, in[SGD_P]);
    out[1] = u;
}

static const update_rule sgd_rule = {5, 3, 2, N_SGD_NUMBERS, SGD_SCALE, {SGD_P, SGD_U, 0}, sgd_step};

bool describe_sgd(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_sgd);
    if (!n || !describe_update(g, n, &sgd_rule, k)) return false;
    kernel_set_real(k, "momentum", node_float(n, "momentum"));
    kernel_set_real(k, "weight_decay", node_float(n, "weight_decay"));
    kernel_set(k, "nesterov", node_int(n, "nesterov"));
    return true;
}

void emit_sgd(emitter *e, const cg_kernel *k) {
    cg_val operand[KERNEL_MAX_OPERANDS], number[N_SGD_NUMBERS];
    kernel_operands(e, k, operand);
    number[MOMENTUM] = em_real(e, kernel_get_real(k, "momentum"));
    number[SGD_DECAY] = em_real(e, kernel_get_real(k, "weight_decay"));
    number[SGD_SCALE] = load_scalar(e, operand[4]);
    number[MINUS_RATE] = em_fsub(e, em_real(e, 0), load_scalar(e, operand[3]));
    emit_update(e, k, &sgd_rule, operand, number);
}

/* ---- descend ---- */

enum { DESCEND_SCALE, DESCEND_MINUS_RATE, N_DESCEND_NUMBERS };

static void descend_step(emitter *e, const cg_kernel *k, const cg_val number[], const cg_val in[], cg_val out[]) {
    (void)k;
    out[0] = em_fma(e, number[DESCEND_MINUS_RATE], em_fmul(e, number[DESCEND_SCALE], in[G]), in[P]);
}

static const update_rule descend_rule = {4, 2, 1, N_DESCEND_NUMBERS, DESCEND_SCALE, {P, 0, 0}, descend_step};

bool describe_descend(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_descend);
    return n && describe_update(g, n, &descend_rule, k);
}

void emit_descend(emitter *e, const cg_kernel *k) {
    cg_val operand[KERNEL_MAX_OPERANDS], number[N_DESCEND_NUMBERS];
    kernel_operands(e, k, operand);
    number[DESCEND_SCALE] = load_scalar(e, operand[3]);
    number[DESCEND_MINUS_RATE] = em_fsub(e, em_real(e, 0), load_scalar(e, operand[2]));
    emit_update(e, k, &descend_rule, operand, number);
}
