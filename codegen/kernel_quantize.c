/*
 * quantize: f32 [R,K] in tiles<W> or rows -> u8 in tiles<W>, quads<W> or rows, by one range or by one of each row. row_range: the ranges
 * of rows, which in tiles are [tile][2][W] like the rest.
 *
 * From tiles, four features of a vector of tokens become a vector of quads. From rows into tiles or quads, vectors of features are
 * quantized and their bytes put where they belong, four at a time into quads; lanes past the last row are left as they are.
 *
 * operands: x, range, y; x, range. dims: R. One unit is one tile, or BLOCK_ROWS rows.
 */
#include "codegen/dot_product.h"
#include "codegen/int8_epilogue.h"

#define BLOCK_ROWS 16

/* The unit of its work: a tile where x or y is in tiles. */
static void describe_rows(cg_kernel *k, const ir_type *x, int64_t W) {
    kernel_dim(k, x->dims[0]);
    kernel_set(k, "K", type_features(x));
    kernel_set(k, "W", W);
    k->work = x->dims[0];
    k->work_per_unit = W ? W : BLOCK_ROWS;
    if (W) kernel_by_block(k, x->dims[0], W, 1);
}

bool describe_quantize(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_quantize);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *range = graph_type(g->graph, n->inputs[1]),
                  *y = graph_type(g->graph, n->first_result);
    const bool from_tiles = is_f32_tiles(x), by_row = range->rank == 2;
    if ((!from_tiles && !is_f32_rows(x)) || type_features(x) <= 0 || (type_is_tiled(y) && y->tile % 4 != 0)) return false;
    if (from_tiles && !type_is_tiled(y)) return false;
    if (by_row && type_is_tiled(range) != from_tiles) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    kernel_operand(k, n->first_result);
    describe_rows(k, x, type_is_tiled(y) ? y->tile : 0);
    if (!from_tiles) k->block_rows = 0; /* x is not in tiles: no series has it */
    kernel_set(k, "from_tiles", from_tiles);
    kernel_set(k, "by_row", by_row);
    kernel_set(k, "quads", y->layout == LAYOUT_QUADS);
    k->bytes = kernel_scaled(x->dims[0], 5 * type_features(x), 0, NULL);
    return true;
}

typedef struct quantize_code {
    int64_t K, W, quads;
    bool by_row, to_quads;
    unsigned lanes;
    cg_val x, range, y, n_rows;
} quantize_code;

/* ---- from tiles ---- */

/* Features [k, k + count) of the lanes at `lane`; past the last one it is that again. */
static void emit_features(emitter *e, const quantize_code *c, const int8_scale *scale, cg_val t, cg_val lane, cg_val k) {
    cg_val byte[4], tile = em_index(e, c->x, t, 4 * c->K * c->W);
    for (unsigned i = 0; i < (c->to_quads ? 4u : 1u); i++) {
        cg_val feature = em_add_int(e, k, i);
        if (c->K % 4 != 0 && i > 0) feature = em_min(e, feature, em_int(e, c->K - 1));
        cg_val at = em_index(e, em_index(e, tile, feature, 4 * c->W), lane, 4);
        byte[i] = int8_encode(e, em_load(e, c->lanes, at, 4 * c->lanes), scale);
    }
    if (c->to_quads) {
        cg_val quad = em_add(e, em_mul_int(e, t, c->quads), em_div_int(e, k, 4));
        em_store(e, int8_quad(e, byte), em_index(e, em_index(e, c->y, quad, 4 * c->W), lane, 4), 4 * c->lanes);
        return;
    }
    cg_val to = em_add(e, em_mul_int(e, em_add(e, em_mul_int(e, t, c->K), k), c->W), lane);
    em_store(e, LLVMBuildTrunc(e->builder, byte[0], LLVMVectorType(e->i8, c->lanes), ""), em_at(e, c->y, to), c->lanes);
}

static void emit_from_tiles(emitter *e, const quantize_code *c) {
    em_loop tiles, lanes, features;
    em_loop_begin(e, &tiles, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val t = tiles.index;
    em_loop_begin(e, &lanes, em_int(e, 0), tile_live_lanes(e, c->n_rows, t, c->W, c->lanes), c->lanes, NULL, 0);
    cg_val range = c->by_row ? em_index(e, em_index(e, c->range, t, 8 * c->W), lanes.index, 4) : c->range;
    const int8_scale scale = c->by_row ? int8_scale_of(e, em_load(e, c->lanes, range, 4 * c->lanes),
                                                       em_load(e, c->lanes, em_at_int(e, range, 4 * c->W), 4 * c->lanes))
                                       : int8_scale_at(e, c->lanes, range);
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, c->K), c->to_quads ? 4 : 1, NULL, 0);
    emit_features(e, c, &scale, t, lanes.index, features.index);
    em_loop_end(e, &features, NULL);
    em_loop_end(e, &lanes, NULL);
    em_loop_end(e, &tiles, NULL);
}

/* ---- from rows ---- */

/* The lowest bytes of the lanes, side by side. */
static cg_val bytes_of(emitter *e, cg_val byte, unsigned lanes) {
    return LLVMBuildTrunc(e->builder, byte, LLVMVectorType(e->i8, lanes), "");
}

/* Features [k, k + lanes) of a row; feature k is at the beginning of a quad where lanes are four. */
static void emit_run(emitter *e, const quantize_code *c, const int8_scale *scale, cg_val row, cg_val k, unsigned lanes) {
    cg_val x = em_load(e, lanes, em_index(e, em_index(e, c->x, row, 4 * c->K), k, 4), 4);
    cg_val bytes = bytes_of(e, int8_encode(e, x, scale), lanes);
    if (!c->W) {
        em_store(e, bytes, em_at(e, em_index(e, c->y, row, c->K), k), 1);
        return;
    }
    cg_val tile = em_div_int(e, row, c->W), lane = em_rem_int(e, row, c->W);
    if (c->to_quads) {
        cg_val quad = em_add(e, em_mul_int(e, tile, c->quads), em_div_int(e, k, 4));
        em_store(e, bytes, em_at(e, em_index(e, em_index(e, c->y, quad, 4 * c->W), lane, 4), em_rem_int(e, k, 4)), 1);
        return;
    }
    for (unsigned i = 0; i < lanes; i++) {
        cg_val feature = em_add(e, em_mul_int(e, tile, c->K), em_add_int(e, k, i));
        em_store(e, em_lane(e, bytes, i), em_at(e, em_index(e, c->y, feature, c->W), lane), 1);
    }
}

static void emit_from_rows(emitter *e, const quantize_code *c) {
    const int64_t block = c->W ? c->W : BLOCK_ROWS, whole = c->K - c->K % 4;
    em_loop rows, runs, rest;
    em_loop_begin(e, &rows, em_mul_int(e, em_begin_unit(e), block), em_min(e, em_mul_int(e, em_end_unit(e), block), c->n_rows), 1,
                  NULL, 0);
    cg_val range = c->by_row ? em_index(e, c->range, rows.index, 8) : c->range;
    const int8_scale four = int8_scale_at(e, 4, range), one = int8_scale_at(e, 1, range);
    em_loop_begin(e, &runs, em_int(e, 0), em_int(e, whole), 4, NULL, 0);
    emit_run(e, c, &four, rows.index, runs.index, 4);
    em_loop_end(e, &runs, NULL);
    em_loop_begin(e, &rest, em_int(e, whole), em_int(e, c->K), 1, NULL, 0);
    emit_run(e, c, &one, rows.index, rest.index, 1);
    em_loop_end(e, &rest, NULL);
    em_loop_end(e, &rows, NULL);
}

void emit_quantize(emitter *e, const cg_kernel *k) {
    quantize_code c = {.K = kernel_get(k, "K"),
                       .W = kernel_get(k, "W"),
                       .by_row = kernel_get(k, "by_row"),
                       .to_quads = kernel_get(k, "quads"),
                       .x = em_buffer(e, 0),
                       .range = em_buffer(e, 1),
                       .y = em_buffer(e, 2),
                       .n_rows = em_dim(e, 0)};
    c.quads = (c.K + 3) / 4;
    if (!kernel_get(k, "from_tiles")) {
        emit_from_rows(e, &c);
        return;
    }
    c.lanes = tile_lanes(e->lanes, c.W);
    emit_from_tiles(e, &c);
}

/* ---- ranges of rows ---- */

bool describe_row_range(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_row_range);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]);
    if ((!is_f32_tiles(x) && !is_f32_rows(x)) || type_features(x) <= 0) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    describe_rows(k, x, x->tile);
    k->bytes = kernel_scaled(x->dims[0], 4 * type_features(x), 0, NULL);
    return true;
}

/* Takes x into the least and the greatest number, where it is finite. */
static void take_in(emitter *e, cg_val x, cg_val ends[2]) {
    cg_val nothing = em_const(e, em_lanes_of(x), 0);
    cg_val is_finite = LLVMBuildFCmp(e->builder, LLVMRealOEQ, em_fsub(e, x, x), nothing, "");
    x = em_select(e, is_finite, x, nothing);
    ends[0] = em_fmin_nan(e, ends[0], x);
    ends[1] = em_fmax_nan(e, ends[1], x);
}

/* Of `count` vectors that lie `step` bytes apart. */
static void emit_ends(emitter *e, unsigned lanes, cg_val x, int64_t count, int64_t step, cg_val ends[2]) {
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, count), 1, ends, 2);
    cg_val next[2] = {loop.carried[0], loop.carried[1]};
    take_in(e, em_load(e, lanes, em_index(e, x, loop.index, step), 4), next);
    em_loop_end(e, &loop, next);
    ends[0] = loop.carried[0];
    ends[1] = loop.carried[1];
}

static void emit_row(emitter *e, cg_val x, int64_t K, cg_val out) {
    const unsigned lanes = K >= (int64_t)e->lanes ? e->lanes : 1;
    const int64_t vectors = K / lanes;
    cg_val ends[2] = {em_const(e, lanes, 0), em_const(e, lanes, 0)}, one[2];
    emit_ends(e, lanes, x, vectors, 4 * (int64_t)lanes, ends);
    for (unsigned end = 0; end < 2; end++) {
        one[end] = em_const(e, 1, 0);
        for (unsigned i = 0; i < lanes; i++) {
            const unsigned lane[] = {i};
            cg_val x1 = em_shuffle(e, ends[end], ends[end], 1, lane);
            one[end] = end == 0 ? em_fmin_nan(e, one[end], x1) : em_fmax_nan(e, one[end], x1);
        }
    }
    emit_ends(e, 1, em_at_int(e, x, 4 * vectors * lanes), K - vectors * lanes, 4, one);
    for (unsigned end = 0; end < 2; end++) em_store(e, one[end], em_at_int(e, out, 4 * (int64_t)end), 4);
}

void emit_row_range(emitter *e, const cg_kernel *k) {
    const int64_t K = kernel_get(k, "K"), W = kernel_get(k, "W");
    cg_val x = em_buffer(e, 0), range = em_buffer(e, 1), R = em_dim(e, 0);
    em_loop units, parts;
    if (!W) {
        em_loop_begin(e, &units, em_mul_int(e, em_begin_unit(e), BLOCK_ROWS),
                      em_min(e, em_mul_int(e, em_end_unit(e), BLOCK_ROWS), R), 1, NULL, 0);
        emit_row(e, em_index(e, x, units.index, 4 * K), K, em_index(e, range, units.index, 8));
        em_loop_end(e, &units, NULL);
        return;
    }
    const unsigned lanes = tile_lanes(e->lanes, W);
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    em_loop_begin(e, &parts, em_int(e, 0), tile_live_lanes(e, R, units.index, W, lanes), lanes, NULL, 0);
    cg_val ends[2] = {em_const(e, lanes, 0), em_const(e, lanes, 0)};
    emit_ends(e, lanes, em_index(e, em_index(e, x, units.index, 4 * K * W), parts.index, 4), K, 4 * W, ends);
    cg_val to = em_index(e, em_index(e, range, units.index, 8 * W), parts.index, 4);
    for (unsigned end = 0; end < 2; end++) em_store(e, ends[end], em_at_int(e, to, 4 * W * end), 4 * lanes);
    em_loop_end(e, &parts, NULL);
    em_loop_end(e, &units, NULL);
}
