/*
 * kl_divergence of rows of few classes, and its gradient, with s and t for the logits of student and teacher less the row's largest, over
 * the temperature T, and S, P for the sums of their exponentials over the classes that are kept:
 *
 *   loss of a row  T^2 scale (sum of exp(t) (t - s) / P + log S - log P)
 *   its gradient   T scale dloss (exp(s) / S - exp(t) / P)
 *
 * Classes lie side by side; where some are left out they are taken one by one. A row that does not count, or of whose classes none does,
 * adds nothing, and its gradient is 0. Losses of rows are summed in f64, in parts (part_sums.h).
 *
 * operands: student, teacher, [keep], [scale], parts of the loss; the gradient: student, teacher, dloss, [keep], [scale], dstudent. dims:
 * R, C. Units of the loss are parts, those of the gradient LOSS_ROWS rows.
 */
#include <math.h>

#include "codegen/loss_rows.h"
#include "codegen/part_sums.h"
#include "codegen/vector_math.h"

#define PART_STEP 4

/* ---- describe ---- */

/* keep is input number `keep`, scale the next. */
static bool describe(const cg_group *g, ir_op op, unsigned keep, cg_kernel *k) {
    const ir_node *n = group_single(g, op);
    if (!n) return false;
    const ir_type *student = graph_type(g->graph, n->inputs[0]);
    const ir_value kept = node_input(n, keep), scale = node_input(n, keep + 1);
    const ir_type *mask = kept != IR_NO_VALUE ? graph_type(g->graph, kept) : NULL;
    if (!is_f32_rows(student) || (mask && em_dtype_bytes(mask->dtype) == 0)) return false;
    for (unsigned i = 0; i < keep; i++) kernel_operand(k, n->inputs[i]);
    kernel_set(k, "keep", mask ? (int64_t)kernel_operand(k, kept) : 0);
    kernel_set(k, "classes", mask && mask->rank == 2);
    if (mask) kernel_set_dtype(k, "mask", mask->dtype);
    kernel_set(k, "scale", scale != IR_NO_VALUE ? (int64_t)kernel_operand(k, scale) : 0);
    kernel_set_real(k, "temperature", node_float(n, "temperature"));
    kernel_dim(k, student->dims[0]);
    kernel_dim(k, student->dims[1]);
    return true;
}

bool describe_kl_divergence(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    if (!describe(g, OP_kl_divergence, 2, k)) return false;
    kernel_set(k, "loss", (int64_t)part_sums_operand(k, group_last(g)->first_result));
    part_sums_work(k, PART_STEP);
    return true;
}

bool describe_kl_divergence_gradient(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    if (!describe(g, OP_kl_divergence_gradient, 3, k)) return false;
    kernel_set(k, "dstudent", (int64_t)kernel_operand(k, group_last(g)->first_result));
    loss_rows_work(k);
    return true;
}

/* ---- a row ---- */

enum { STUDENT, TEACHER };

typedef struct divergence_code {
    const cg_kernel *kernel;
    cg_val logits[2], keep, n_classes; /* keep: NULL: all */
    double per_temperature;            /* 1 / T */
    unsigned lanes;                    /* of classes */
    cg_val row[2], kept;               /* of the row at hand; kept: the mask of its classes, or NULL */
    cg_val counts;                     /* i1: the row is kept */
    cg_val top[2];                     /* scalars */
    cg_val factor;                     /* of gradients */
} divergence_code;

static divergence_code begin_code(emitter *e, const cg_kernel *k) {
    const unsigned keep = (unsigned)kernel_get(k, "keep");
    return (divergence_code){.kernel = k,
                             .logits = {em_buffer(e, 0), em_buffer(e, 1)},
                             .keep = keep ? em_buffer(e, keep) : NULL,
                             .n_classes = em_dim(e, 1),
                             .per_temperature = 1 / kernel_get_real(k, "temperature"),
                             .lanes = kernel_get(k, "classes") ? 1 : e->lanes};
}

static cg_val is_not_0(emitter *e, const divergence_code *c, cg_val masks, cg_val i) {
    return em_is_set(e, kernel_get_dtype(c->kernel, "mask"), masks, i);
}

static void begin_row(emitter *e, divergence_code *c, cg_val row) {
    cg_val first = em_mul(e, row, c->n_classes);
    for (int i = 0; i < 2; i++) c->row[i] = em_index(e, c->logits[i], first, 4);
    const bool classes = kernel_get(c->kernel, "classes");
    c->kept = classes ? em_index(e, c->keep, first, em_dtype_bytes(kernel_get_dtype(c->kernel, "mask"))) : NULL;
    c->counts = c->keep && !classes ? is_not_0(e, c, c->keep, row) : em_equal(e, row, row);
}

/* (logit - largest) / T of a class on */
static cg_val emit_exponent(emitter *e, const divergence_code *c, int of, cg_val class_number, unsigned lanes) {
    cg_val x = em_load(e, lanes, em_index(e, c->row[of], class_number, 4), 4);
    return em_fmul(e, em_fsub(e, x, em_splat(e, lanes, c->top[of])), em_const(e, lanes, c->per_temperature));
}

/* Largest logits of both over classes [begin, end), going on from `start`. */
static void tops_of_span(emitter *e, const divergence_code *c, cg_val begin, cg_val end, unsigned lanes, cg_val top[2]) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, lanes, top, 2);
    cg_val next[2];
    for (int i = 0; i < 2; i++) {
        cg_val x = em_load(e, lanes, em_index(e, c->row[i], loop.index, 4), 4);
        next[i] = em_fmax_skip_nan(e, loop.carried[i], x);
        if (c->kept) next[i] = em_select(e, is_not_0(e, c, c->kept, loop.index), next[i], loop.carried[i]);
    }
    em_loop_end(e, &loop, next);
    for (int i = 0; i < 2; i++) top[i] = loop.carried[i];
}

/* Sums over classes [begin, end), going on from sum[]: exp(s), exp(t), exp(t) (t - s). */
static void sums_of_span(emitter *e, const divergence_code *c, cg_val begin, cg_val end, unsigned lanes, cg_val sum[3]) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, lanes, sum, 3);
    cg_val s = emit_exponent(e, c, STUDENT, loop.index, lanes), t = emit_exponent(e, c, TEACHER, loop.index, lanes);
    cg_val p = math_exp_nonpositive(e, t);
    /* 0 times the infinity that a very unlikely class of the student may give is 0 */
    cg_val less = em_fmul(e, p, em_fsub(e, t, s)), none = em_const(e, lanes, 0);
    less = em_select(e, LLVMBuildFCmp(e->builder, LLVMRealOEQ, p, none, ""), none, less);
    cg_val next[3] = {em_fadd(e, loop.carried[0], math_exp_nonpositive(e, s)), em_fadd(e, loop.carried[1], p),
                      em_fadd(e, loop.carried[2], less)};
    for (int i = 0; i < 3 && c->kept; i++) next[i] = em_select(e, is_not_0(e, c, c->kept, loop.index), next[i], loop.carried[i]);
    em_loop_end(e, &loop, next);
    for (int i = 0; i < 3; i++) sum[i] = loop.carried[i];
}

/* Of the row at hand: its largest logits, and sum[3] as sums_of_span has them, as one lane. */
static void emit_sums(emitter *e, divergence_code *c, cg_val sum[3]) {
    const unsigned lanes = c->lanes;
    cg_val whole = em_sub(e, c->n_classes, em_rem_int(e, c->n_classes, lanes)), none = em_int(e, 0);
    cg_val top[2] = {em_const(e, lanes, -INFINITY), em_const(e, lanes, -INFINITY)};
    tops_of_span(e, c, none, whole, lanes, top);
    for (int i = 0; i < 2; i++) top[i] = em_fold(e, top[i], 1, em_fmax_skip_nan);
    if (lanes > 1) tops_of_span(e, c, whole, c->n_classes, 1, top);
    for (int i = 0; i < 2; i++) c->top[i] = em_lane(e, top[i], 0);
    for (int i = 0; i < 3; i++) sum[i] = em_const(e, lanes, 0);
    sums_of_span(e, c, none, whole, lanes, sum);
    for (int i = 0; i < 3; i++) sum[i] = em_fold(e, sum[i], 1, em_fadd);
    if (lanes > 1) sums_of_span(e, c, whole, c->n_classes, 1, sum);
}

/* What the loss is multiplied with beside T, one lane. */
static cg_val emit_scale(emitter *e, const divergence_code *c) {
    const unsigned scale = (unsigned)kernel_get(c->kernel, "scale");
    return scale ? em_load(e, 1, em_buffer(e, scale), 4) : em_const(e, 1, 1);
}

/* ---- the loss ---- */

/* The row's divergence in f64, without factors. */
static cg_val emit_row_loss(emitter *e, divergence_code *c) {
    cg_val sum[3];
    emit_sums(e, c, sum);
    cg_val logs = em_fsub(e, math_log(e, sum[0]), math_log(e, sum[1]));
    cg_val loss = em_fadd(e, em_widen(e, em_fdiv(e, sum[2], sum[1])), em_widen(e, logs));
    if (c->kept) {
        cg_val empty = LLVMBuildFCmp(e->builder, LLVMRealOEQ, sum[1], em_const(e, 1, 0), "");
        loss = em_select(e, empty, em_reals(e, 1, 0), loss);
    }
    return em_lane(e, loss, 0);
}

void emit_kl_divergence(emitter *e, const cg_kernel *k) {
    divergence_code c = begin_code(e, k);
    const double T = kernel_get_real(k, "temperature");
    cg_val parts = em_buffer(e, (unsigned)kernel_get(k, "loss")), total = em_stack(e, 8, 8);
    cg_val factor = em_fmul(e, em_lane(e, em_widen(e, emit_scale(e, &c)), 0), em_real(e, T * T));
    em_loop units, rows;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val begin, end;
    part_sums_rows(e, k, units.index, &begin, &end);
    em_store_real(e, em_real(e, 0), total);
    em_loop_begin(e, &rows, begin, end, 1, NULL, 0);
    begin_row(e, &c, rows.index);
    em_if counts;
    em_if_begin(e, &counts, c.counts);
    em_store_real(e, em_fadd(e, em_load_real(e, total), emit_row_loss(e, &c)), total);
    em_if_end(e, &counts);
    em_loop_end(e, &rows, NULL);
    part_sums_store(e, parts, units.index, em_fmul(e, em_load_real(e, total), factor), em_real(e, 0));
    em_loop_end(e, &units, NULL);
}

/* ---- its gradient ---- */

/* Classes [begin, end): exp(s) scale[0] - exp(t) scale[1], 0 where the class is not kept. */
static void gradient_of_span(emitter *e, const divergence_code *c, cg_val to, const cg_val scale[2], cg_val begin, cg_val end,
                             unsigned lanes) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, lanes, NULL, 0);
    cg_val d[2];
    for (int i = 0; i < 2; i++)
        d[i] = em_fmul(e, math_exp_nonpositive(e, emit_exponent(e, c, i, loop.index, lanes)), em_splat(e, lanes, scale[i]));
    cg_val change = em_fsub(e, d[STUDENT], d[TEACHER]);
    if (c->kept) change = em_select(e, is_not_0(e, c, c->kept, loop.index), change, em_const(e, lanes, 0));
    em_store(e, change, em_index(e, to, loop.index, 4), 4);
    em_loop_end(e, &loop, NULL);
}

static cg_val begin_gradient(emitter *e, void *user, cg_val row) {
    divergence_code *c = user;
    begin_row(e, c, row);
    return c->counts;
}

static void emit_row_gradient(emitter *e, void *user, cg_val to) {
    divergence_code *c = user;
    cg_val sum[3], scale[2];
    emit_sums(e, c, sum);
    for (int i = 0; i < 2; i++) scale[i] = em_lane(e, em_fdiv(e, c->factor, sum[i]), 0);
    cg_val whole = em_sub(e, c->n_classes, em_rem_int(e, c->n_classes, c->lanes));
    gradient_of_span(e, c, to, scale, em_int(e, 0), whole, c->lanes);
    if (c->lanes > 1) gradient_of_span(e, c, to, scale, whole, c->n_classes, 1);
}

void emit_kl_divergence_gradient(emitter *e, const cg_kernel *k) {
    divergence_code c = begin_code(e, k);
    cg_val dloss = em_load(e, 1, em_buffer(e, 2), 4);
    c.factor = em_fmul(e, em_fmul(e, dloss, emit_scale(e, &c)), em_const(e, 1, kernel_get_real(k, "temperature")));
    loss_rows_emit(e, &(loss_rows){em_buffer(e, (unsigned)kernel_get(k, "dstudent")), begin_gradient, emit_row_gradient, &c});
}
