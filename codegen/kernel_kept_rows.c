/*
 * Taking padding out of a batch and putting it back: kept_rows, labelled_rows, sampled_rows, and scatter_rows by an index that one of
 * them has made.
 *
 *   kept_rows      operands: mask [B,S], [index [T]], [offsets [B+1]]. dims: B, S, T. One unit: it is a running count
 *   labelled_rows  operands: labels [R], index [M]. dims: R, M. One unit likewise
 *   sampled_rows   operands: labels [R], keys [R], random [2], index [M]. dims: R, M. One unit likewise
 *   scatter_rows   operands: x, index, y. dims: T, R of y. One unit is UNIT_ROWS rows of x. The index rises, so whoever writes row
 *                  index[t] also clears the rows between it and row index[t - 1], and the last one those after it: each row of y is
 *                  written once, by one unit
 */
#include "codegen/kernel.h"
#include "codegen/philox.h"
#include "ir/op.h"

#define UNIT_ROWS 32
#define DRAWN_ROWS 4 /* side by side */

bool describe_kept_rows(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_kept_rows);
    if (!n) return false;
    const ir_type *mask = graph_type(g->graph, n->inputs[0]);
    if (em_dtype_bytes(mask->dtype) == 0) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_set_dtype(k, "mask", mask->dtype);
    kernel_set(k, "index", g->stored[n->first_result] ? (int64_t)kernel_operand(k, n->first_result) : 0);
    kernel_set(k, "offsets", g->stored[n->first_result + 1] ? (int64_t)kernel_operand(k, n->first_result + 1) : 0);
    kernel_dim(k, mask->dims[0]);
    kernel_dim(k, mask->dims[1]);
    kernel_dim(k, graph_type(g->graph, n->first_result)->dims[0]);
    k->work = dim_const(1);
    k->light = true;
    return true;
}

void emit_kept_rows(emitter *e, const cg_kernel *k) {
    cg_val operand[KERNEL_MAX_OPERANDS];
    kernel_operands(e, k, operand);
    cg_val index = kernel_get(k, "index") ? operand[kernel_get(k, "index")] : NULL;
    cg_val offsets = kernel_get(k, "offsets") ? operand[kernel_get(k, "offsets")] : NULL;
    ir_dtype dtype = kernel_get_dtype(k, "mask");
    cg_val length = em_dim(e, 1), room = em_dim(e, 2), zero = em_int(e, 0);
    em_loop sequences, tokens;
    em_loop_begin(e, &sequences, zero, em_dim(e, 0), 1, &zero, 1);
    if (offsets) em_store_int(e, IR_I32, sequences.carried[0], em_index(e, offsets, sequences.index, 4));
    cg_val row0 = em_mul(e, sequences.index, length);
    em_loop_begin(e, &tokens, zero, length, 1, &sequences.carried[0], 1);
    cg_val row = em_add(e, row0, tokens.index);
    cg_val is_off = em_equal(e, em_load_int(e, dtype, em_index(e, operand[0], row, em_dtype_bytes(dtype))), zero);
    cg_val keeps = em_select(e, is_off, em_select(e, em_equal(e, tokens.index, zero), em_int(e, 1), zero), em_int(e, 1));
    if (index) {
        em_if kept;
        em_if_begin(e, &kept, em_and(e, em_less(e, em_int(e, 0), keeps), em_less(e, tokens.carried[0], room)));
        em_store_int(e, IR_I32, row, em_index(e, index, tokens.carried[0], 4));
        em_if_end(e, &kept);
    }
    cg_val next = em_add(e, tokens.carried[0], keeps);
    em_loop_end(e, &tokens, &next);
    em_loop_end(e, &sequences, &tokens.carried[0]);
    if (offsets) em_store_int(e, IR_I32, sequences.carried[0], em_index(e, offsets, em_dim(e, 0), 4));
}

bool describe_labelled_rows(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_labelled_rows);
    if (!n) return false;
    const ir_type *labels = graph_type(g->graph, n->inputs[0]);
    if (em_dtype_bytes(labels->dtype) == 0) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    kernel_set_dtype(k, "labels", labels->dtype);
    kernel_dim(k, labels->dims[0]);
    kernel_dim(k, graph_type(g->graph, n->first_result)->dims[0]);
    k->work = dim_const(1);
    k->light = true;
    return true;
}

void emit_labelled_rows(emitter *e, const cg_kernel *k) {
    const ir_dtype dtype = kernel_get_dtype(k, "labels");
    cg_val labels = em_buffer(e, 0), index = em_buffer(e, 1), zero = em_int(e, 0);
    em_loop rows;
    em_if labelled;
    em_loop_begin(e, &rows, zero, em_dim(e, 0), 1, &zero, 1);
    cg_val label = em_load_int(e, dtype, em_index(e, labels, rows.index, em_dtype_bytes(dtype)));
    cg_val counts = em_select(e, em_equal(e, label, em_int(e, IR_IGNORED_LABEL)), zero, em_int(e, 1));
    em_if_begin(e, &labelled, em_and(e, em_less(e, zero, counts), em_less(e, rows.carried[0], em_dim(e, 1))));
    em_store_int(e, IR_I32, rows.index, em_index(e, index, rows.carried[0], 4));
    em_if_end(e, &labelled);
    cg_val next = em_add(e, rows.carried[0], counts);
    em_loop_end(e, &rows, &next);
}

bool describe_sampled_rows(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_sampled_rows);
    if (!n) return false;
    const ir_type *labels = graph_type(g->graph, n->inputs[0]);
    if (em_dtype_bytes(labels->dtype) == 0) return false;
    for (uint32_t i = 0; i < 3; i++) kernel_operand(k, n->inputs[i]);
    kernel_operand(k, n->first_result);
    kernel_set_dtype(k, "labels", labels->dtype);
    kernel_set_real(k, "share", node_float(n, "share"));
    kernel_dim(k, labels->dims[0]);
    kernel_dim(k, graph_type(g->graph, n->first_result)->dims[0]);
    k->work = dim_const(1);
    k->light = true;
    return true;
}

/* rng_draws for DRAWN_ROWS rows from `row` on: to drawn [DRAWN_ROWS], of 32 bits each, 0 where it does not say so. */
static void emit_draws(emitter *e, const philox *p, double share, cg_val keys, cg_val row, cg_val n_rows, cg_val drawn) {
    cg_val word[PHILOX_WORDS], one = em_const(e, DRAWN_ROWS, 1);
    const philox_rows rows = philox_rows_begin(e, p, DRAWN_ROWS, keys, row, n_rows);
    philox_words(e, &rows, em_int(e, UINT32_MAX), word);
    em_store(e, em_select(e, philox_keeps(e, word[0], share), em_const(e, DRAWN_ROWS, 0), one), drawn, 4 * DRAWN_ROWS);
}

void emit_sampled_rows(emitter *e, const cg_kernel *k) {
    const ir_dtype dtype = kernel_get_dtype(k, "labels");
    cg_val labels = em_buffer(e, 0), index = em_buffer(e, 3), zero = em_int(e, 0), R = em_dim(e, 0), M = em_dim(e, 1);
    const philox p = philox_begin(e, em_buffer(e, 2), zero);
    cg_val drawn = em_stack(e, 4 * DRAWN_ROWS, 4 * DRAWN_ROWS);
    em_loop groups, rows;
    em_if chosen;
    em_loop_begin(e, &groups, zero, R, DRAWN_ROWS, &zero, 1);
    emit_draws(e, &p, kernel_get_real(k, "share"), em_buffer(e, 1), groups.index, R, drawn);
    cg_val end = em_min(e, R, em_add_int(e, groups.index, DRAWN_ROWS));
    em_loop_begin(e, &rows, groups.index, end, 1, groups.carried, 1);
    cg_val label = em_load_int(e, dtype, em_index(e, labels, rows.index, em_dtype_bytes(dtype)));
    cg_val is_drawn = em_load_int(e, IR_I32, em_index(e, drawn, em_sub(e, rows.index, groups.index), 4));
    cg_val counts = em_select(e, em_equal(e, is_drawn, zero), zero, em_int(e, 1));
    counts = em_select(e, em_equal(e, label, em_int(e, IR_IGNORED_LABEL)), counts, em_int(e, 1));
    em_if_begin(e, &chosen, em_and(e, em_less(e, zero, counts), em_less(e, rows.carried[0], M)));
    em_store_int(e, IR_I32, rows.index, em_index(e, index, rows.carried[0], 4));
    em_if_end(e, &chosen);
    cg_val next = em_add(e, rows.carried[0], counts);
    em_loop_end(e, &rows, &next);
    em_loop_end(e, &groups, rows.carried);
}

/* Does the index rise from row to row? */
static bool is_rising_index(const ir_graph *g, ir_value index) {
    const ir_op op = graph_node_of(g, index)->op;
    return op == OP_kept_rows || op == OP_labelled_rows || op == OP_sampled_rows;
}

bool describe_scatter_rows(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_scatter_rows);
    if (!n || !is_rising_index(g->graph, n->inputs[1])) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    int64_t E = x->rank == 2 ? type_features(x) : 1;
    if (x->layout != LAYOUT_ROWS || em_dtype_bytes(x->dtype) == 0 || E < 1) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    kernel_operand(k, n->first_result);
    kernel_set(k, "row_bytes", E * em_dtype_bytes(x->dtype));
    kernel_dim(k, x->dims[0]);
    kernel_dim(k, y->dims[0]);
    k->work = dim_add(x->dims[0], 1); /* there may be no rows of x, and then somebody clears y */
    k->work_per_unit = UNIT_ROWS;
    k->bytes = kernel_scaled(y->dims[0], 2 * E * em_dtype_bytes(x->dtype), 0, NULL);
    return true;
}

/* Clears rows [begin, end) of y. */
static void clear_rows(emitter *e, cg_val y, cg_val begin, cg_val end, int64_t row_bytes) {
    em_loop bytes, rest;
    int64_t step = 4 * (int64_t)e->lanes;
    cg_val first = em_mul_int(e, begin, row_bytes), n = em_mul_int(e, em_sub(e, end, begin), row_bytes);
    cg_val to = em_at(e, y, first), whole = em_sub(e, n, em_rem_int(e, n, step));
    em_loop_begin(e, &bytes, em_int(e, 0), whole, step, NULL, 0);
    em_store(e, em_const(e, e->lanes, 0), em_at(e, to, bytes.index), 1);
    em_loop_end(e, &bytes, NULL);
    em_loop_begin(e, &rest, whole, n, 1, NULL, 0);
    em_store_int(e, IR_I8, em_int(e, 0), em_at(e, to, rest.index));
    em_loop_end(e, &rest, NULL);
}

void emit_scatter_rows(emitter *e, const cg_kernel *k) {
    int64_t row_bytes = kernel_get(k, "row_bytes");
    cg_val x = em_buffer(e, 0), index = em_buffer(e, 1), y = em_buffer(e, 2), T = em_dim(e, 0), R = em_dim(e, 1);
    cg_val last = em_add_int(e, R, -1);
    em_loop rows;
    em_if none;
    em_if_begin(e, &none, em_and(e, em_equal(e, T, em_int(e, 0)), em_less(e, em_int(e, 0), em_end_unit(e))));
    clear_rows(e, y, em_int(e, 0), R, row_bytes);
    em_if_end(e, &none);
    em_loop_begin(e, &rows, em_mul_int(e, em_begin_unit(e), UNIT_ROWS), em_min(e, em_mul_int(e, em_end_unit(e), UNIT_ROWS), T), 1,
                  NULL, 0);
    cg_val t = rows.index, is_first = em_equal(e, t, em_int(e, 0));
    cg_val before = em_load_int(e, IR_I32, em_index(e, index, em_max(e, em_int(e, 0), em_add_int(e, t, -1)), 4));
    cg_val clear = em_select(e, is_first, em_int(e, 0), em_add_int(e, before, 1));
    cg_val row = em_max(e, em_int(e, 0), em_min(e, last, em_load_int(e, IR_I32, em_index(e, index, t, 4))));
    clear_rows(e, y, em_min(e, clear, row), row, row_bytes);
    emit_copy(e, em_index(e, y, row, row_bytes), em_index(e, x, t, row_bytes), em_int(e, row_bytes), 1);
    em_if end;
    em_if_begin(e, &end, em_equal(e, t, em_add_int(e, T, -1)));
    clear_rows(e, y, em_add_int(e, row, 1), R, row_bytes);
    em_if_end(e, &end);
    em_loop_end(e, &rows, NULL);
}
