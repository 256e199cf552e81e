/*
 * transpose_values: the non-zeros of a pattern, ordered by row, in the order of columns; what the input gradient reads when values
 * change in every step.
 *
 * operands: values, order (u32), result. dims: non-zeros.
 */
#include "codegen/kernel.h"

#define BLOCK 8192 /* elements per unit */
#define UNROLL 8

bool describe_transpose_values(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_transpose_values);
    if (!n || !is_f32_rows(graph_type(g->graph, n->inputs[0])) || !is_leaf_value(g->graph, n->inputs[1])) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_packed_operand(k, n->inputs[1], PACKING_COLUMN_ORDER, 0);
    kernel_operand(k, n->first_result);
    return kernel_over_elements(k, graph_type(g->graph, n->first_result), BLOCK);
}

static void emit_elements(emitter *e, cg_val begin, cg_val end, unsigned unroll) {
    cg_val values = em_buffer(e, 0), order = em_buffer(e, 1), result = em_buffer(e, 2);
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, unroll, NULL, 0);
    for (unsigned i = 0; i < unroll; i++) {
        cg_val at = em_mul_int(e, em_add_int(e, loop.index, i), 4);
        cg_val from = em_index(e, values, em_load_unsigned(e, 4, em_at(e, order, at)), 4);
        em_store(e, em_load(e, 1, from, 4), em_at(e, result, at), 4);
    }
    em_loop_end(e, &loop, NULL);
}

void emit_transpose_values(emitter *e, const cg_kernel *k) {
    const int64_t block = kernel_get(k, "block");
    cg_val begin = em_mul_int(e, em_begin_unit(e), block);
    cg_val end = em_min(e, em_mul_int(e, em_end_unit(e), block), em_dim(e, 0));
    cg_val whole = em_sub(e, end, em_rem_int(e, em_sub(e, end, begin), UNROLL));
    emit_elements(e, begin, whole, UNROLL);
    emit_elements(e, whole, end, 1);
}
