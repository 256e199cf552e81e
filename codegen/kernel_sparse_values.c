/*
 * The non-zeros of a pattern into the order of a sparse layout (ir/sparse_layout.h), within a run: values that a graph makes, or state
 * that it replaces, as training does in every step. Values that stay are packed once, when a session is created.
 *
 * One array by row thus serves the product, its input gradient (the transposed layout) and the weight gradient; putting it in order
 * costs a hundredth of a product with 1,024 tokens, and products from values in order are 10 to 25 % faster than from values by row,
 * of which each visit starts somewhere else.
 *
 * Streams alone, in which each place but those behind the end has a non-zero.
 *
 * operands: values, order (u32), result. dims: places, non-zeros.
 */
#include <string.h>

#include "codegen/kernel.h"

#define BLOCK 8192 /* places per unit */
#define UNROLL 8

/* Lowering asks for it (kernel_pack_values); no node is it. */
bool describe_sparse_values(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)g;
    (void)target;
    (void)k;
    return false;
}

bool kernel_pack_values(const ir_graph *g, const cg_operand *values, cg_kernel *k) {
    size_t row = 0;
    while (kernel_rows[row].emit != emit_sparse_values) row++;
    *k = (cg_kernel){.row = row, .work_per_unit = 1, .grain = 1};
    const ir_dim n = graph_type(g, values->value)->dims[0], places = dim_add(n, SPARSE_VALUES_BEHIND);
    const ir_value pattern = symbol_value(g->module->context, n.symbol[0]);
    if (!pattern || values->sparse.kind != SPARSE_STREAM) return false;
    kernel_operand(k, values->value);
    kernel_sparse_operand(k, pattern, PACKING_SPARSE_ORDER, &values->sparse);
    kernel_sparse_operand(k, values->value, PACKING_SPARSE_VALUES, &values->sparse);
    kernel_dim(k, places);
    kernel_dim(k, n);
    k->work = places;
    k->work_per_unit = BLOCK;
    k->bytes = kernel_scaled(n, 12, 0, NULL);
    return !k->failed;
}

static void emit_places(emitter *e, cg_val begin, cg_val end, unsigned unroll) {
    cg_val values = em_buffer(e, 0), order = em_buffer(e, 1), result = em_buffer(e, 2);
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, unroll, NULL, 0);
    for (unsigned i = 0; i < unroll; i++) {
        cg_val at = em_mul_int(e, em_add_int(e, loop.index, i), 4), number = em_load_unsigned(e, 4, em_at(e, order, at));
        em_store(e, em_load(e, 1, em_index(e, values, number, 4), 4), em_at(e, result, at), 4);
    }
    em_loop_end(e, &loop, NULL);
}

void emit_sparse_values(emitter *e, const cg_kernel *k) {
    (void)k;
    cg_val first = em_mul_int(e, em_begin_unit(e), BLOCK), last = em_mul_int(e, em_end_unit(e), BLOCK), n = em_dim(e, 1);
    cg_val end = em_min(e, last, n), whole = em_sub(e, end, em_rem_int(e, em_max(e, em_sub(e, end, first), em_int(e, 0)), UNROLL));
    emit_places(e, first, whole, UNROLL);
    emit_places(e, whole, end, 1);
    em_loop behind;
    em_loop_begin(e, &behind, em_max(e, first, n), em_min(e, last, em_dim(e, 0)), 1, NULL, 0);
    em_store(e, em_const(e, 1, 0), em_index(e, em_buffer(e, 2), behind.index, 4), 4);
    em_loop_end(e, &behind, NULL);
}
