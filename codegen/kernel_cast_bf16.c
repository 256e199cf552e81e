/*
 * Cast between f32 and bf16, in rows or tiles. To bf16, numbers are rounded to nearest, ties to even, and a NaN stays one, made quiet:
 * bits + 0x7fff + the lowest bit that stays, without the lower half (ir/tensor.c has the same for one number).
 *
 *   operands: x, y. dims: elements in rows; R in tiles, one unit is a tile
 */
#include "codegen/kernel.h"

#define BLOCK 4096

/* A matrix in tiles, of either type. */
static bool is_tiles(const ir_type *t) {
    return t->layout == LAYOUT_TILES && t->rank == 2 && t->tile > 0 && t->tile % 4 == 0 && type_features(t) > 0;
}

bool describe_cast_bf16(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_cast);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    const bool narrows = x->dtype == IR_F32 && y->dtype == IR_BF16, tiles = is_tiles(x);
    if ((!narrows && !(x->dtype == IR_BF16 && y->dtype == IR_F32)) || (!tiles && x->layout != LAYOUT_ROWS)) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    kernel_set(k, "narrows", narrows);
    kernel_set(k, "W", tiles ? (int64_t)x->tile : 0);
    kernel_set(k, "E", tiles ? type_features(x) : 0);
    if (!tiles) return kernel_over_elements(k, y, BLOCK);
    k->work = x->dims[0];
    k->work_per_unit = x->tile;
    kernel_by_block(k, k->work, x->tile, 1);
    k->bytes = kernel_scaled(k->work, 6 * type_features(x), 0, NULL);
    kernel_dim(k, k->work);
    return true;
}

static cg_val to_bf16(emitter *e, cg_val x, unsigned lanes) {
    LLVMBuilderRef b = e->builder;
    const cg_val bits = LLVMBuildBitCast(b, x, LLVMVectorType(e->i32, lanes), ""), half = em_const_i32(e, lanes, 16);
    const cg_val high = LLVMBuildLShr(b, bits, half, "");
    const cg_val odd = LLVMBuildAnd(b, high, em_const_i32(e, lanes, 1), "");
    const cg_val carried = LLVMBuildAdd(b, bits, LLVMBuildAdd(b, odd, em_const_i32(e, lanes, 0x7fff), ""), "");
    const cg_val quiet = LLVMBuildOr(b, high, em_const_i32(e, lanes, 0x40), "");
    const cg_val is_nan = LLVMBuildFCmp(b, LLVMRealUNO, x, x, "");
    return LLVMBuildTrunc(b, em_select(e, is_nan, quiet, LLVMBuildLShr(b, carried, half, "")), LLVMVectorType(e->i16, lanes), "");
}

static cg_val from_bf16(emitter *e, cg_val x, unsigned lanes) {
    const cg_val wide = LLVMBuildZExt(e->builder, x, LLVMVectorType(e->i32, lanes), "");
    return LLVMBuildBitCast(e->builder, LLVMBuildShl(e->builder, wide, em_const_i32(e, lanes, 16), ""), em_vector_type(e, lanes),
                            "");
}

/* Elements [at, at + lanes). */
static void cast_vector(emitter *e, bool narrows, cg_val x, cg_val y, cg_val at, unsigned lanes, unsigned aligned) {
    cg_val from = em_index(e, x, at, narrows ? 4 : 2), to = em_index(e, y, at, narrows ? 2 : 4);
    if (narrows) {
        LLVMSetAlignment(LLVMBuildStore(e->builder, to_bf16(e, em_load(e, lanes, from, 4 * aligned), lanes), to), 2 * aligned);
        return;
    }
    const cg_val half = LLVMBuildLoad2(e->builder, LLVMVectorType(e->i16, lanes), from, "");
    LLVMSetAlignment(half, 2 * aligned);
    em_store(e, from_bf16(e, half, lanes), to, 4 * aligned);
}

static void cast_span(emitter *e, bool narrows, cg_val begin, cg_val end, unsigned lanes) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, lanes, NULL, 0);
    cast_vector(e, narrows, em_buffer(e, 0), em_buffer(e, 1), loop.index, lanes, 1);
    em_loop_end(e, &loop, NULL);
}

/* Live lanes alone. */
static void cast_tiles(emitter *e, bool narrows, int64_t E, int64_t W) {
    const unsigned lanes = tile_lanes(e->lanes, W);
    em_loop tiles, features, parts;
    em_loop_begin(e, &tiles, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    const cg_val live = tile_live_lanes(e, em_dim(e, 0), tiles.index, W, lanes), first = em_mul_int(e, tiles.index, E * W);
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, E), 1, NULL, 0);
    const cg_val row = em_add(e, first, em_mul_int(e, features.index, W));
    em_loop_begin(e, &parts, em_int(e, 0), live, lanes, NULL, 0);
    cast_vector(e, narrows, em_buffer(e, 0), em_buffer(e, 1), em_add(e, row, parts.index), lanes, lanes);
    em_loop_end(e, &parts, NULL);
    em_loop_end(e, &features, NULL);
    em_loop_end(e, &tiles, NULL);
}

void emit_cast_bf16(emitter *e, const cg_kernel *k) {
    const bool narrows = kernel_get(k, "narrows");
    const int64_t W = kernel_get(k, "W");
    if (W > 0) {
        cast_tiles(e, narrows, kernel_get(k, "E"), W);
        return;
    }
    const cg_val begin = em_mul_int(e, em_begin_unit(e), kernel_get(k, "block"));
    const cg_val end = em_min(e, em_mul_int(e, em_end_unit(e), kernel_get(k, "block")), em_dim(e, 0)),
                 count = em_sub(e, end, begin);
    const cg_val whole = em_sub(e, end, em_rem_int(e, count, e->lanes));
    cast_span(e, narrows, begin, whole, e->lanes);
    cast_span(e, narrows, whole, end, 1);
}
