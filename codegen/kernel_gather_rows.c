/*
 * gather_rows: y row m is x row index[m], tiles to tiles, or rows to rows for any element type of 1, 2, 4 or 8 bytes.
 *
 * An index outside of x is cut to it, so that nothing else is read; lanes past the last row are left as they are.
 *
 * operands: x, index, y. dims: R of x, M of y. One unit is W rows of y.
 */
#include "codegen/kernel.h"

#define UNIT_ROWS 32 /* in rows */

bool describe_gather_rows(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_gather_rows);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *index = graph_type(g->graph, n->inputs[1]);
    bool tiles = is_f32_tiles(x);
    int64_t E = x->rank == 2 ? type_features(x) : 1;
    if ((!tiles && x->layout != LAYOUT_ROWS) || em_dtype_bytes(x->dtype) == 0 || E < 1) return false;
    if (index->dtype != IR_I64 && index->dtype != IR_I32) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    kernel_operand(k, n->first_result);
    kernel_dim(k, x->dims[0]);
    kernel_dim(k, index->dims[0]);
    kernel_set(k, "E", E);
    k->light = E == 1;
    kernel_set(k, "W", tiles ? (int64_t)x->tile : 0);
    kernel_set(k, "bytes", em_dtype_bytes(x->dtype));
    kernel_set_dtype(k, "index", index->dtype);
    k->work = index->dims[0];
    k->work_per_unit = tiles ? (int64_t)x->tile : UNIT_ROWS;
    k->bytes = kernel_scaled(index->dims[0], 2 * E * em_dtype_bytes(x->dtype), 0, NULL);
    return true;
}

void emit_gather_rows(emitter *e, const cg_kernel *k) {
    int64_t E = kernel_get(k, "E"), W = kernel_get(k, "W"), unit = W ? W : UNIT_ROWS;
    unsigned bytes = (unsigned)kernel_get(k, "bytes");
    ir_dtype dtype = kernel_get_dtype(k, "index");
    cg_val x = em_buffer(e, 0), index = em_buffer(e, 1), y = em_buffer(e, 2), R = em_dim(e, 0), M = em_dim(e, 1);
    em_loop rows, features;
    em_loop_begin(e, &rows, em_mul_int(e, em_begin_unit(e), unit), em_min(e, em_mul_int(e, em_end_unit(e), unit), M), 1, NULL, 0);
    cg_val r = em_load_int(e, dtype, em_index(e, index, rows.index, em_dtype_bytes(dtype)));
    r = em_max(e, em_int(e, 0), em_min(e, r, em_add_int(e, R, -1)));
    if (!W) {
        emit_copy(e, em_index(e, y, rows.index, E * bytes), em_index(e, x, r, E * bytes), em_int(e, E), bytes);
    } else {
        cg_val from = em_add(e, em_mul_int(e, em_div_int(e, r, W), 4 * E * W), em_mul_int(e, em_rem_int(e, r, W), 4));
        cg_val to =
            em_add(e, em_mul_int(e, em_div_int(e, rows.index, W), 4 * E * W), em_mul_int(e, em_rem_int(e, rows.index, W), 4));
        em_loop_begin(e, &features, em_int(e, 0), em_int(e, 4 * E * W), 4 * W, NULL, 0);
        cg_val number = em_load(e, 1, em_at(e, em_at(e, x, from), features.index), 4);
        em_store(e, number, em_at(e, em_at(e, y, to), features.index), 4);
        em_loop_end(e, &features, NULL);
    }
    em_loop_end(e, &rows, NULL);
}
