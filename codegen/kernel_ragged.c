/*
 * The small integer tensors of ragged batches: padded_offsets, row_positions, first_rows, all i32, and row_keys.
 *
 *   padded_offsets   operands: y [B+1]. dims: B + 1, S
 *   row_positions    operands: offsets [B+1], y [R]. dims: B, R. One unit: sequences are short and few
 *   row_keys         operands: offsets [B+1], first [], y i64 [R]. dims: B, R. One unit
 *   first_rows       operands: offsets [B+1], y [B]. dims: B
 */
#include "codegen/kernel.h"

#define BLOCK 1024

bool describe_padded_offsets(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_padded_offsets);
    if (!n) return false;
    const ir_type *ids = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    kernel_operand(k, n->first_result);
    kernel_dim(k, y->dims[0]);
    kernel_dim(k, ids->dims[1]);
    k->work = y->dims[0];
    k->work_per_unit = BLOCK;
    k->light = true;
    return true;
}

void emit_padded_offsets(emitter *e, const cg_kernel *k) {
    (void)k;
    cg_val y = em_buffer(e, 0), length = em_dim(e, 1);
    em_loop loop;
    em_loop_begin(e, &loop, em_mul_int(e, em_begin_unit(e), BLOCK), em_min(e, em_mul_int(e, em_end_unit(e), BLOCK), em_dim(e, 0)),
                  1, NULL, 0);
    em_store_int(e, IR_I32, em_mul(e, loop.index, length), em_index(e, y, loop.index, 4));
    em_loop_end(e, &loop, NULL);
}

bool describe_row_positions(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_row_positions);
    if (!n || graph_type(g->graph, n->inputs[0])->dtype != IR_I32) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    kernel_dim(k, dim_add(graph_type(g->graph, n->inputs[0])->dims[0], -1));
    kernel_dim(k, graph_type(g->graph, n->first_result)->dims[0]);
    k->work = dim_const(1);
    k->light = true;
    return true;
}

void emit_row_positions(emitter *e, const cg_kernel *k) {
    (void)k;
    cg_val offsets = em_buffer(e, 0), y = em_buffer(e, 1), n_rows = em_dim(e, 1);
    em_loop sequences, rows;
    em_loop_begin(e, &sequences, em_int(e, 0), em_dim(e, 0), 1, NULL, 0);
    cg_val at = em_index(e, offsets, sequences.index, 4);
    cg_val first = em_max(e, em_int(e, 0), em_load_int(e, IR_I32, at));
    cg_val end = em_min(e, n_rows, em_load_int(e, IR_I32, em_at_int(e, at, 4)));
    em_loop_begin(e, &rows, first, end, 1, NULL, 0);
    em_store_int(e, IR_I32, em_sub(e, rows.index, first), em_index(e, y, rows.index, 4));
    em_loop_end(e, &rows, NULL);
    em_loop_end(e, &sequences, NULL);
}

bool describe_row_keys(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_row_keys);
    if (!n || graph_type(g->graph, n->inputs[0])->dtype != IR_I32) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[2]);
    kernel_operand(k, n->first_result);
    kernel_dim(k, dim_add(graph_type(g->graph, n->inputs[0])->dims[0], -1));
    kernel_dim(k, graph_type(g->graph, n->first_result)->dims[0]);
    k->work = dim_const(1);
    k->light = true;
    return true;
}

void emit_row_keys(emitter *e, const cg_kernel *k) {
    (void)k;
    cg_val offsets = em_buffer(e, 0), y = em_buffer(e, 2), n_rows = em_dim(e, 1);
    cg_val example = em_load_int(e, IR_I64, em_buffer(e, 1));
    em_loop sequences, rows;
    em_loop_begin(e, &sequences, em_int(e, 0), em_dim(e, 0), 1, NULL, 0);
    cg_val at = em_index(e, offsets, sequences.index, 4);
    cg_val first = em_max(e, em_int(e, 0), em_load_int(e, IR_I32, at));
    cg_val end = em_min(e, n_rows, em_load_int(e, IR_I32, em_at_int(e, at, 4)));
    cg_val key = em_sub(e, em_mul_int(e, em_add(e, example, sequences.index), INT64_C(1) << 32), first);
    em_loop_begin(e, &rows, first, end, 1, NULL, 0);
    em_store_int(e, IR_I64, em_add(e, key, rows.index), em_index(e, y, rows.index, 8));
    em_loop_end(e, &rows, NULL);
    em_loop_end(e, &sequences, NULL);
}

bool describe_first_rows(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_first_rows);
    if (!n || graph_type(g->graph, n->inputs[0])->dtype != IR_I32) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    k->light = true;
    return kernel_over_elements(k, graph_type(g->graph, n->first_result), BLOCK);
}

void emit_first_rows(emitter *e, const cg_kernel *k) {
    cg_val begin = em_mul_int(e, em_begin_unit(e), kernel_get(k, "block"));
    cg_val end = em_min(e, em_mul_int(e, em_end_unit(e), kernel_get(k, "block")), em_dim(e, 0));
    emit_copy(e, em_index(e, em_buffer(e, 1), begin, 4), em_index(e, em_buffer(e, 0), begin, 4), em_sub(e, end, begin), 4);
}
