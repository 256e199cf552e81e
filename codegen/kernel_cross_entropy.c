/*
 * cross_entropy of rows of logits, and its gradient: -log softmax(row)[label], or factor (softmax(row) - 1 at the label), over the classes
 * that are kept. Classes lie side by side; with `keep` they are taken one by one.
 *
 * Rows that do not count add nothing, and their gradient is 0. A label outside of the classes is a fault of the input that the session
 * reports before it runs a plan; here it is cut to them, so that nothing else is read. The loss is summed in f64, in parts (part_sums.h).
 *
 * operands: logits, labels, [keep], parts of the loss; the gradient: logits, labels, dloss, [keep], dlogits. dims: R, C. Units of the
 * loss are parts, those of the gradient LOSS_ROWS rows.
 */
#include <math.h>
#include <string.h>

#include "codegen/loss_rows.h"
#include "codegen/part_sums.h"
#include "codegen/vector_math.h"

#define PART_STEP 4
#define IGNORED_LABEL (-100) /* as in ir/ops/op_loss.c */

static bool describe(const cg_group *g, ir_op op, unsigned keep, cg_kernel *k) {
    const ir_node *n = group_single(g, op);
    if (!n) return false;
    const ir_type *logits = graph_type(g->graph, n->inputs[0]), *labels = graph_type(g->graph, n->inputs[1]);
    const ir_type *mask = node_input(n, keep) ? graph_type(g->graph, n->inputs[keep]) : NULL;
    if (!is_f32_rows(logits) || em_dtype_bytes(labels->dtype) == 0 || (mask && em_dtype_bytes(mask->dtype) == 0)) return false;
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (n->inputs[i]) kernel_operand(k, n->inputs[i]);
    kernel_set_dtype(k, "labels", labels->dtype);
    kernel_set(k, "keep", mask ? keep : 0);
    if (mask) kernel_set_dtype(k, "mask", mask->dtype);
    kernel_set(k, "clamp", strcmp(node_string(n, "labels"), "clamp") == 0);
    kernel_dim(k, logits->dims[0]);
    kernel_dim(k, logits->dims[1]);
    return true;
}

bool describe_cross_entropy(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    if (!describe(g, OP_cross_entropy, 2, k)) return false;
    kernel_set(k, "loss", (int64_t)part_sums_operand(k, group_last(g)->first_result));
    part_sums_work(k, PART_STEP);
    return true;
}

bool describe_cross_entropy_gradient(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    if (!describe(g, OP_cross_entropy_gradient, 3, k)) return false;
    kernel_set(k, "dlogits", (int64_t)kernel_operand(k, group_last(g)->first_result));
    kernel_set(k, "mean", strcmp(node_string(group_last(g), "reduction"), "mean") == 0);
    loss_rows_work(k);
    return true;
}

typedef struct loss_code {
    const cg_kernel *kernel;
    cg_val logits, labels, keep, n_classes;
    cg_val row;    /* of the row at hand: its logits */
    cg_val kept;   /* and its mask, or NULL */
    cg_val label;  /* cut to the classes */
    cg_val counts; /* i1 */
    cg_val factor; /* of gradients */
} loss_code;

static loss_code begin_code(emitter *e, const cg_kernel *k) {
    const unsigned keep = (unsigned)kernel_get(k, "keep");
    return (loss_code){.kernel = k,
                       .logits = em_buffer(e, 0),
                       .labels = em_buffer(e, 1),
                       .keep = keep ? em_buffer(e, keep) : NULL,
                       .n_classes = em_dim(e, 1)};
}

/* The label of a row as it is found, clamped where labels are, and whether the row counts. */
static cg_val find_label(emitter *e, const loss_code *c, cg_val row, cg_val *counts) {
    const ir_dtype dtype = kernel_get_dtype(c->kernel, "labels");
    const bool clamp = kernel_get(c->kernel, "clamp");
    cg_val label = em_load_int(e, dtype, em_index(e, c->labels, row, em_dtype_bytes(dtype)));
    if (clamp) label = em_min(e, em_max(e, label, em_int(e, 0)), c->n_classes);
    *counts = LLVMBuildNot(e->builder, em_equal(e, label, clamp ? c->n_classes : em_int(e, IGNORED_LABEL)), "");
    return label;
}

static void begin_row(emitter *e, loss_code *c, cg_val row) {
    cg_val first = em_mul(e, row, c->n_classes), label = find_label(e, c, row, &c->counts);
    c->label = em_max(e, em_int(e, 0), em_min(e, label, em_add_int(e, c->n_classes, -1)));
    c->row = em_index(e, c->logits, first, 4);
    c->kept = c->keep ? em_index(e, c->keep, first, em_dtype_bytes(kernel_get_dtype(c->kernel, "mask"))) : NULL;
}

/* Is the class kept? i1 */
static cg_val is_kept(emitter *e, const loss_code *c, cg_val class_number) {
    return em_is_set(e, kernel_get_dtype(c->kernel, "mask"), c->kept, class_number);
}

/* Of classes [begin, end), vectors of `lanes`: the largest logit where top is NULL, else the sum of exp(logit - top). */
static cg_val emit_span(emitter *e, const loss_code *c, cg_val top, cg_val begin, cg_val end, unsigned lanes, cg_val start) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, lanes, &start, 1);
    cg_val x = em_load(e, lanes, em_index(e, c->row, loop.index, 4), 4), next;
    if (top) next = em_fadd(e, loop.carried[0], math_exp_nonpositive(e, em_fsub(e, x, em_splat(e, lanes, top))));
    else next = em_fmax_skip_nan(e, loop.carried[0], x);
    if (c->kept) next = em_select(e, is_kept(e, c, loop.index), next, loop.carried[0]);
    em_loop_end(e, &loop, &next);
    return loop.carried[0];
}

/* Over all classes that are kept, as one lane. */
static cg_val over_classes(emitter *e, const loss_code *c, cg_val top, double start) {
    const unsigned lanes = c->kept ? 1 : e->lanes;
    cg_val whole = em_sub(e, c->n_classes, em_rem_int(e, c->n_classes, lanes));
    cg_val v = emit_span(e, c, top, em_int(e, 0), whole, lanes, em_const(e, lanes, start));
    v = em_fold(e, v, 1, top ? em_fadd : em_fmax_skip_nan);
    return lanes == 1 ? v : emit_span(e, c, top, whole, c->n_classes, 1, v);
}

/* The largest logit (a scalar) and the sum of exponentials (one lane) of the row at hand. */
static cg_val emit_softmax(emitter *e, const loss_code *c, cg_val *total) {
    cg_val top = em_lane(e, over_classes(e, c, NULL, -INFINITY), 0);
    *total = over_classes(e, c, top, 0);
    return top;
}

/* ---- the loss ---- */

/* The row's loss in f64. */
static cg_val emit_row_loss(emitter *e, const loss_code *c) {
    cg_val total, top = emit_softmax(e, c, &total);
    cg_val logit = em_load(e, 1, em_index(e, c->row, c->label, 4), 4);
    cg_val loss = em_fsub(e, math_log(e, total), em_fsub(e, logit, em_splat(e, 1, top)));
    /* no number is larger than none that is a number: +inf, where the label's class is left out */
    if (c->kept) loss = em_select(e, is_kept(e, c, c->label), loss, em_const(e, 1, INFINITY));
    return em_lane(e, em_widen(e, loss), 0);
}

void emit_cross_entropy(emitter *e, const cg_kernel *k) {
    loss_code c = begin_code(e, k);
    cg_val parts = em_buffer(e, (unsigned)kernel_get(k, "loss")), sums = em_stack(e, 16, 8);
    em_loop units, rows;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val begin, end;
    part_sums_rows(e, k, units.index, &begin, &end);
    for (int i = 0; i < 2; i++) em_store_real(e, em_real(e, 0), em_at_int(e, sums, 8 * i));
    em_loop_begin(e, &rows, begin, end, 1, NULL, 0);
    begin_row(e, &c, rows.index);
    em_if counts;
    em_if_begin(e, &counts, c.counts);
    em_store_real(e, em_fadd(e, em_load_real(e, sums), emit_row_loss(e, &c)), sums);
    cg_val count = em_at_int(e, sums, 8);
    em_store_real(e, em_fadd(e, em_load_real(e, count), em_real(e, 1)), count);
    em_if_end(e, &counts);
    em_loop_end(e, &rows, NULL);
    part_sums_store(e, parts, units.index, em_load_real(e, sums), em_load_real(e, em_at_int(e, sums, 8)));
    em_loop_end(e, &units, NULL);
}

/* ---- its gradient ---- */

/* dloss, divided by the rows that count where the loss is their mean. */
static cg_val emit_factor(emitter *e, const loss_code *c) {
    cg_val factor = em_load(e, 1, em_buffer(e, 2), 4), none = em_const(e, 1, 0), counts;
    if (!kernel_get(c->kernel, "mean")) return factor;
    em_loop rows;
    em_loop_begin(e, &rows, em_int(e, 0), em_dim(e, 0), 1, &none, 1);
    (void)find_label(e, c, rows.index, &counts);
    cg_val next = em_fadd(e, rows.carried[0], em_select(e, counts, em_const(e, 1, 1), none));
    em_loop_end(e, &rows, &next);
    return em_fdiv(e, factor, rows.carried[0]);
}

/* Classes [begin, end) of the gradient's row: exp(logit - top) scale, 0 where the class is not kept. */
static void emit_gradient_span(emitter *e, const loss_code *c, cg_val to, cg_val top, cg_val scale, cg_val begin, cg_val end,
                               unsigned lanes) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, lanes, NULL, 0);
    cg_val x = em_load(e, lanes, em_index(e, c->row, loop.index, 4), 4);
    cg_val d = em_fmul(e, math_exp_nonpositive(e, em_fsub(e, x, em_splat(e, lanes, top))), em_splat(e, lanes, scale));
    if (c->kept) d = em_select(e, is_kept(e, c, loop.index), d, em_const(e, lanes, 0));
    em_store(e, d, em_index(e, to, loop.index, 4), 4);
    em_loop_end(e, &loop, NULL);
}

static cg_val begin_gradient(emitter *e, void *user, cg_val row) {
    loss_code *c = user;
    begin_row(e, c, row);
    return c->counts;
}

static void emit_row_gradient(emitter *e, void *user, cg_val to) {
    const loss_code *c = user;
    const unsigned lanes = c->kept ? 1 : e->lanes;
    cg_val total, top = emit_softmax(e, c, &total), scale = em_lane(e, em_fdiv(e, c->factor, total), 0);
    cg_val whole = em_sub(e, c->n_classes, em_rem_int(e, c->n_classes, lanes));
    emit_gradient_span(e, c, to, top, scale, em_int(e, 0), whole, lanes);
    if (lanes > 1) emit_gradient_span(e, c, to, top, scale, whole, c->n_classes, 1);
    cg_val at = em_index(e, to, c->label, 4), d = em_load(e, 1, at, 4), less = em_fsub(e, d, c->factor);
    em_store(e, c->kept ? em_select(e, is_kept(e, c, c->label), less, d) : less, at, 4);
}

void emit_cross_entropy_gradient(emitter *e, const cg_kernel *k) {
    loss_code c = begin_code(e, k);
    c.factor = emit_factor(e, &c);
    loss_rows_emit(e, &(loss_rows){em_buffer(e, (unsigned)kernel_get(k, "dlogits")), begin_gradient, emit_row_gradient, &c});
}
