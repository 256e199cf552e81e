/*
 * relayout: rows to tiles<W> and back, in square blocks that are transposed in registers.
 *
 * Lanes past the last row, in its vector, get a copy of the last row, so that they hold numbers that occur anyway. Back, rows that
 * are not there are not written.
 *
 * Bytes, in tiles or quads, come back to rows one by one: that is for those who look at them.
 *
 * operands: x, y. dims: R. One unit is one tile.
 */
#include "codegen/kernel.h"
#include "codegen/transpose.h"

/* u8 in tiles or quads, to rows. */
static bool is_bytes_to_rows(const ir_type *x, const ir_type *y) {
    return x->dtype == IR_U8 && type_is_tiled(x) && y->layout == LAYOUT_ROWS && type_features(x) > 0;
}

bool describe_relayout(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_relayout);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    bool to_tiles = is_f32_rows(x) && is_f32_tiles(y), to_rows = is_f32_tiles(x) && is_f32_rows(y);
    const bool bytes = is_bytes_to_rows(x, y);
    if (!to_tiles && !to_rows && !bytes) return false;
    int64_t W = to_tiles ? y->tile : x->tile, E = type_features(x);
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    kernel_dim(k, x->dims[0]);
    kernel_set(k, "to_tiles", to_tiles);
    kernel_set(k, "bytes", bytes);
    kernel_set(k, "quads", x->layout == LAYOUT_QUADS);
    kernel_set(k, "E", E);
    kernel_set(k, "W", W);
    k->work = x->dims[0];
    k->work_per_unit = W;
    k->bytes = kernel_scaled(x->dims[0], 8 * E, 0, NULL);
    return true;
}

typedef struct relayout_code {
    int64_t E, W;
    unsigned size;
    cg_val x, y, n_rows;
} relayout_code;

/* Rows [row, row + size) of all features into the lanes at `lane` of tile t. */
static void emit_to_tiles(emitter *e, const relayout_code *c, cg_val t, cg_val lane, cg_val row) {
    cg_val from[TRANSPOSE_MAX], block[TRANSPOSE_MAX], last = em_add_int(e, c->n_rows, -1);
    for (unsigned i = 0; i < c->size; i++) from[i] = em_index(e, c->x, em_min(e, em_add_int(e, row, i), last), 4 * c->E);
    em_loop blocks;
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, transpose_blocks(c->E, c->size)), 1, NULL, 0);
    cg_val feature = transpose_block_start(e, blocks.index, c->E, c->size);
    for (unsigned i = 0; i < c->size; i++) block[i] = em_load(e, c->size, em_index(e, from[i], feature, 4), 4);
    transpose_emit(e, block, c->size);
    cg_val to = em_index(e, em_index(e, c->y, em_add(e, em_mul_int(e, t, c->E), feature), 4 * c->W), lane, 4);
    for (unsigned i = 0; i < c->size; i++) em_store(e, block[i], em_at_int(e, to, 4 * (int64_t)i * c->W), 4 * c->size);
    em_loop_end(e, &blocks, NULL);
}

static void emit_to_rows(emitter *e, const relayout_code *c, cg_val t, cg_val lane, cg_val row) {
    cg_val block[TRANSPOSE_MAX], kept = em_stack(e, 4 * (int64_t)(c->size * c->size), 4 * c->size);
    cg_val n_valid = em_min(e, em_int(e, c->size), em_sub(e, c->n_rows, row));
    em_loop blocks, rows;
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, transpose_blocks(c->E, c->size)), 1, NULL, 0);
    cg_val feature = transpose_block_start(e, blocks.index, c->E, c->size);
    cg_val from = em_index(e, em_index(e, c->x, em_add(e, em_mul_int(e, t, c->E), feature), 4 * c->W), lane, 4);
    for (unsigned i = 0; i < c->size; i++) block[i] = em_load(e, c->size, em_at_int(e, from, 4 * (int64_t)i * c->W), 4 * c->size);
    transpose_emit(e, block, c->size);
    for (unsigned i = 0; i < c->size; i++) em_store(e, block[i], em_at_int(e, kept, 4 * (int64_t)(i * c->size)), 4 * c->size);
    em_loop_begin(e, &rows, em_int(e, 0), n_valid, 1, NULL, 0);
    cg_val to = em_index(e, em_index(e, c->y, em_add(e, row, rows.index), 4 * c->E), feature, 4);
    em_store(e, em_load(e, c->size, em_index(e, kept, rows.index, 4 * (int64_t)c->size), 4 * c->size), to, 4);
    em_loop_end(e, &rows, NULL);
    em_loop_end(e, &blocks, NULL);
}

static void emit_bytes(emitter *e, const relayout_code *c, bool quads) {
    const int64_t step = quads ? 4 : 1; /* features side by side */
    em_loop rows, features;
    em_loop_begin(e, &rows, em_mul_int(e, em_begin_unit(e), c->W), em_min(e, em_mul_int(e, em_end_unit(e), c->W), c->n_rows), 1,
                  NULL, 0);
    cg_val tile = em_index(e, c->x, em_div_int(e, rows.index, c->W), (c->E + step - 1) / step * step * c->W);
    cg_val from = em_index(e, tile, em_rem_int(e, rows.index, c->W), step), to = em_index(e, c->y, rows.index, c->E);
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, c->E), 1, NULL, 0);
    cg_val at = em_add(e, em_mul_int(e, em_div_int(e, features.index, step), step * c->W), em_rem_int(e, features.index, step));
    em_store_int(e, IR_U8, em_load_int(e, IR_U8, em_at(e, from, at)), em_at(e, to, features.index));
    em_loop_end(e, &features, NULL);
    em_loop_end(e, &rows, NULL);
}

void emit_relayout(emitter *e, const cg_kernel *k) {
    relayout_code c = {
        .E = kernel_get(k, "E"), .W = kernel_get(k, "W"), .x = em_buffer(e, 0), .y = em_buffer(e, 1), .n_rows = em_dim(e, 0)};
    if (kernel_get(k, "bytes")) {
        emit_bytes(e, &c, kernel_get(k, "quads"));
        return;
    }
    c.size = transpose_size(tile_lanes(e->lanes, c.W), c.E);
    em_loop tiles, lanes;
    em_loop_begin(e, &tiles, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val live = tile_live_lanes(e, c.n_rows, tiles.index, c.W, tile_lanes(e->lanes, c.W));
    em_loop_begin(e, &lanes, em_int(e, 0), live, c.size, NULL, 0);
    cg_val row = em_add(e, em_mul_int(e, tiles.index, c.W), lanes.index);
    if (kernel_get(k, "to_tiles")) emit_to_tiles(e, &c, tiles.index, lanes.index, row);
    else emit_to_rows(e, &c, tiles.index, lanes.index, row);
    em_loop_end(e, &lanes, NULL);
    em_loop_end(e, &tiles, NULL);
}
