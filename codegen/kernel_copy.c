/*
 * Ops that copy or convert elements one by one: reshape (where it is not the same memory), slice in rows and tiles, widen
 * in rows, cast from integers.
 *
 *   reshape   operands: x, y. dims: elements; also what copies the next content of a state
 *   slice     operands: x, y. dims: rows of the last dimension, or R of tiles; one unit is 16 rows or one tile
 *   widen     operands: x, y. dims: rows of the last dimension; one unit is 16 rows
 *   cast      operands: x, y. dims: elements. Integers that do not fit saturate
 */
#include "codegen/kernel.h"

#define BLOCK 4096
#define SLICE_ROWS 16

/* First and last element of the units at hand; the kernel's dim 0 is their number. */
static void block_range(emitter *e, const cg_kernel *k, cg_val *begin, cg_val *end) {
    *begin = em_mul_int(e, em_begin_unit(e), kernel_get(k, "block"));
    *end = em_min(e, em_mul_int(e, em_end_unit(e), kernel_get(k, "block")), em_dim(e, 0));
}

bool describe_reshape(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_reshape);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    if (x->layout != LAYOUT_ROWS || y->layout != LAYOUT_ROWS || em_dtype_bytes(x->dtype) == 0) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    kernel_set(k, "bytes", em_dtype_bytes(x->dtype));
    k->light = em_dtype_bytes(x->dtype) == 8; /* ids and masks */
    return kernel_over_elements(k, y, BLOCK);
}

bool kernel_copy_next(const ir_graph *g, ir_value next, cg_kernel *k) {
    const ir_type *t = graph_type(g, next);
    size_t row = 0;
    while (kernel_rows[row].emit != emit_reshape) row++;
    *k = (cg_kernel){.row = row, .work_per_unit = 1, .grain = 1};
    k->operands[kernel_operand(k, next)].aside = true;
    kernel_operand(k, next);
    kernel_set(k, "bytes", em_dtype_bytes(t->dtype));
    return t->layout == LAYOUT_ROWS && em_dtype_bytes(t->dtype) > 0 && kernel_over_elements(k, t, BLOCK);
}

void emit_reshape(emitter *e, const cg_kernel *k) {
    unsigned bytes = (unsigned)kernel_get(k, "bytes");
    cg_val begin, end;
    block_range(e, k, &begin, &end);
    emit_copy(e, em_index(e, em_buffer(e, 1), begin, bytes), em_index(e, em_buffer(e, 0), begin, bytes), em_sub(e, end, begin),
              bytes);
}

bool describe_slice(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_slice);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    bool tiles = is_f32_tiles(x), ok = true;
    if (!tiles && (x->layout != LAYOUT_ROWS || em_dtype_bytes(x->dtype) == 0)) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    kernel_set(k, "E", type_features(x));
    kernel_set(k, "begin", node_int(n, "begin"));
    kernel_set(k, "end", node_int(n, "end"));
    kernel_set(k, "bytes", em_dtype_bytes(x->dtype));
    kernel_set(k, "W", tiles ? (int64_t)x->tile : 0);
    k->work = dim_const(1);
    for (uint32_t i = 0; ok && i + 1 < x->rank; i++) k->work = dim_mul(k->work, x->dims[i], &ok);
    kernel_dim(k, k->work);
    k->work_per_unit = tiles ? (int64_t)x->tile : SLICE_ROWS;
    k->bytes = ok ? kernel_scaled(k->work, 2 * type_features(y) * em_dtype_bytes(x->dtype), 0, NULL) : dim_const(0);
    return ok;
}

/* Features [begin, end) of tiles, live lanes alone. */
static void slice_tiles(emitter *e, const cg_kernel *k, cg_val x, cg_val y, int64_t W) {
    const int64_t first = kernel_get(k, "begin"), count = kernel_get(k, "end") - first;
    const unsigned lanes = tile_lanes(e->lanes, W);
    em_loop tiles, features, parts;
    em_loop_begin(e, &tiles, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val from = em_at_int(e, em_index(e, x, tiles.index, 4 * kernel_get(k, "E") * W), 4 * first * W);
    cg_val to = em_index(e, y, tiles.index, 4 * count * W), live = tile_live_lanes(e, em_dim(e, 0), tiles.index, W, lanes);
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, count), 1, NULL, 0);
    em_loop_begin(e, &parts, em_int(e, 0), live, lanes, NULL, 0);
    cg_val at = em_mul_int(e, em_add(e, em_mul_int(e, features.index, W), parts.index), 4);
    em_store(e, em_load(e, lanes, em_at(e, from, at), 4 * lanes), em_at(e, to, at), 4 * lanes);
    em_loop_end(e, &parts, NULL);
    em_loop_end(e, &features, NULL);
    em_loop_end(e, &tiles, NULL);
}

void emit_slice(emitter *e, const cg_kernel *k) {
    const int64_t W = kernel_get(k, "W"), bytes = kernel_get(k, "bytes"), count = kernel_get(k, "end") - kernel_get(k, "begin");
    cg_val x = em_buffer(e, 0), y = em_buffer(e, 1);
    if (W) {
        slice_tiles(e, k, x, y, W);
        return;
    }
    em_loop rows;
    em_loop_begin(e, &rows, em_mul_int(e, em_begin_unit(e), SLICE_ROWS),
                  em_min(e, em_mul_int(e, em_end_unit(e), SLICE_ROWS), em_dim(e, 0)), 1, NULL, 0);
    cg_val from = em_at_int(e, em_index(e, x, rows.index, kernel_get(k, "E") * bytes), kernel_get(k, "begin") * bytes);
    emit_copy(e, em_index(e, y, rows.index, count * bytes), from, em_int(e, count), (unsigned)bytes);
    em_loop_end(e, &rows, NULL);
}

bool describe_widen(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_widen);
    if (!n || !is_f32_rows(graph_type(g->graph, n->inputs[0]))) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    bool ok = true;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    kernel_set(k, "n", type_features(x));
    kernel_set(k, "begin", node_int(n, "begin"));
    kernel_set(k, "E", type_features(y));
    k->work = dim_const(1);
    for (uint32_t i = 0; ok && i + 1 < x->rank; i++) k->work = dim_mul(k->work, x->dims[i], &ok);
    kernel_dim(k, k->work);
    k->work_per_unit = SLICE_ROWS;
    return ok;
}

static void clear_numbers(emitter *e, cg_val to, int64_t count) {
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, 4 * count), 4, NULL, 0);
    em_store(e, em_const(e, 1, 0), em_at(e, to, loop.index), 4);
    em_loop_end(e, &loop, NULL);
}

void emit_widen(emitter *e, const cg_kernel *k) {
    const int64_t n = kernel_get(k, "n"), begin = kernel_get(k, "begin"), E = kernel_get(k, "E");
    em_loop rows;
    em_loop_begin(e, &rows, em_mul_int(e, em_begin_unit(e), SLICE_ROWS),
                  em_min(e, em_mul_int(e, em_end_unit(e), SLICE_ROWS), em_dim(e, 0)), 1, NULL, 0);
    cg_val to = em_index(e, em_buffer(e, 1), rows.index, 4 * E);
    clear_numbers(e, to, begin);
    emit_copy(e, em_at_int(e, to, 4 * begin), em_index(e, em_buffer(e, 0), rows.index, 4 * n), em_int(e, n), 4);
    clear_numbers(e, em_at_int(e, to, 4 * (begin + n)), E - begin - n);
    em_loop_end(e, &rows, NULL);
}

static bool is_integer(ir_dtype d) { return em_dtype_bytes(d) > 0 && dtype_class(d) != DTYPE_FLOAT; }

bool describe_cast(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_cast);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    if (x->layout != LAYOUT_ROWS || !is_integer(x->dtype) || (y->dtype != IR_F32 && !is_integer(y->dtype)) || y->dtype == IR_BOOL)
        return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    kernel_set_dtype(k, "from", x->dtype);
    kernel_set_dtype(k, "to", y->dtype);
    return kernel_over_elements(k, y, BLOCK);
}

static cg_val saturate(emitter *e, ir_dtype to, cg_val v) {
    unsigned bits = dtype_bits(to);
    if (bits == 64) return v;
    bool is_signed = dtype_class(to) == DTYPE_SIGNED;
    int64_t high = is_signed ? (INT64_C(1) << (bits - 1)) - 1 : (INT64_C(1) << bits) - 1, low = is_signed ? -high - 1 : 0;
    return em_max(e, em_int(e, low), em_min(e, v, em_int(e, high)));
}

void emit_cast(emitter *e, const cg_kernel *k) {
    ir_dtype from = kernel_get_dtype(k, "from"), to = kernel_get_dtype(k, "to");
    cg_val x = em_buffer(e, 0), y = em_buffer(e, 1), begin, end;
    block_range(e, k, &begin, &end);
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, 1, NULL, 0);
    cg_val v = em_load_int(e, from, em_index(e, x, loop.index, em_dtype_bytes(from))),
           at = em_index(e, y, loop.index, em_dtype_bytes(to));
    if (to == IR_F32) em_store_float(e, v, at);
    else em_store_int(e, to, saturate(e, to, v), at);
    em_loop_end(e, &loop, NULL);
}
