/*
 * scatter_rows by any index that names no row twice, tiles to tiles or rows to rows: gradients of gather_rows.
 *
 * Each unit owns some rows of y, which it clears; then it looks through the index, which is short, for those that rows of x go to.
 *
 * operands: x, index, y. dims: T rows of x, R of y. One unit is a tile of y, or UNIT_ROWS rows.
 */
#include "codegen/kernel.h"

#define UNIT_ROWS 256

bool describe_scatter_tiles(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_scatter_rows);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *index = graph_type(g->graph, n->inputs[1]);
    const bool tiles = is_f32_tiles(x);
    const int64_t E = x->rank == 2 ? type_features(x) : 1;
    if ((!tiles && x->layout != LAYOUT_ROWS) || em_dtype_bytes(x->dtype) != 4 || E < 1 || em_dtype_bytes(index->dtype) == 0)
        return false;
    for (uint32_t i = 0; i < 2; i++) kernel_operand(k, n->inputs[i]);
    kernel_operand(k, n->first_result);
    kernel_set(k, "E", E);
    kernel_set(k, "W", tiles ? (int64_t)x->tile : 0);
    kernel_set_dtype(k, "index", index->dtype);
    kernel_dim(k, x->dims[0]);
    kernel_dim(k, graph_type(g->graph, n->first_result)->dims[0]);
    k->work = k->dims[1];
    k->work_per_unit = tiles ? (int64_t)x->tile : UNIT_ROWS;
    k->bytes = kernel_scaled(k->dims[1], 4 * E, 0, NULL);
    return true;
}

/* Zeros to `count` numbers. */
static void emit_clear(emitter *e, cg_val to, cg_val count) {
    cg_val whole = em_sub(e, count, em_rem_int(e, count, e->lanes));
    for (unsigned part = 0; part < 2; part++) {
        const unsigned lanes = part == 0 ? e->lanes : 1;
        em_loop loop;
        em_loop_begin(e, &loop, part == 0 ? em_int(e, 0) : whole, part == 0 ? whole : count, lanes, NULL, 0);
        em_store(e, em_const(e, lanes, 0), em_index(e, to, loop.index, 4), 4);
        em_loop_end(e, &loop, NULL);
    }
}

/* Where a row begins; its numbers are W apart in tiles, else side by side. */
static cg_val row_at(emitter *e, cg_val base, cg_val row, int64_t E, int64_t W) {
    if (W == 0) return em_index(e, base, row, 4 * E);
    return em_at(e, em_index(e, base, em_div_int(e, row, W), 4 * E * W), em_mul_int(e, em_rem_int(e, row, W), 4));
}

void emit_scatter_tiles(emitter *e, const cg_kernel *k) {
    const int64_t E = kernel_get(k, "E"), W = kernel_get(k, "W"), unit = W ? W : UNIT_ROWS, step = W ? 4 * W : 4;
    const ir_dtype dtype = kernel_get_dtype(k, "index");
    cg_val x = em_buffer(e, 0), index = em_buffer(e, 1), y = em_buffer(e, 2), T = em_dim(e, 0), R = em_dim(e, 1);
    em_loop units, rows, features;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val begin = em_mul_int(e, units.index, unit), end = em_min(e, em_add_int(e, begin, unit), R);
    emit_clear(e, em_index(e, y, begin, 4 * E), em_mul_int(e, W ? em_int(e, W) : em_sub(e, end, begin), E));
    em_loop_begin(e, &rows, em_int(e, 0), T, 1, NULL, 0);
    cg_val row = em_load_int(e, dtype, em_index(e, index, rows.index, em_dtype_bytes(dtype)));
    em_if here;
    em_if_begin(e, &here, em_and(e, em_less(e, em_add_int(e, begin, -1), row), em_less(e, row, end)));
    cg_val from = row_at(e, x, rows.index, E, W), to = row_at(e, y, row, E, W);
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, E * step), step, NULL, 0);
    em_store(e, em_load(e, 1, em_at(e, from, features.index), 4), em_at(e, to, features.index), 4);
    em_loop_end(e, &features, NULL);
    em_if_end(e, &here);
    em_loop_end(e, &rows, NULL);
    em_loop_end(e, &units, NULL);
}
