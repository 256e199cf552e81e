/*
 * Products of bytes; see dot_product.h.
 *
 * Tiles are named by number, so that emitters assign them, as they do with what they keep in registers; the configuration says once that
 * all eight are of full size.
 */
#include "codegen/dot_product.h"

#include <string.h>

static bool is_x86(const emitter *e) { return strncmp(e->target->triple, "x86_64", strlen("x86_64")) == 0; }

static LLVMTypeRef lanes_type(const emitter *e, unsigned lanes) { return LLVMVectorType(e->i32, lanes); }

cg_val em_load_i32(emitter *e, unsigned lanes, cg_val pointer, unsigned align) {
    cg_val v = LLVMBuildLoad2(e->builder, lanes_type(e, lanes), pointer, "");
    LLVMSetAlignment(v, align);
    return v;
}

cg_val em_load_splat_i32(emitter *e, unsigned lanes, cg_val pointer) {
    const unsigned zeros[64] = {0};
    cg_val one = em_load_i32(e, 1, pointer, 1);
    return em_shuffle(e, one, one, lanes, zeros);
}

/* ---- dot products ---- */

static cg_val call(emitter *e, const char *name, cg_val *args, unsigned n) { return em_intrinsic(e, name, NULL, 0, args, n); }

static cg_val dot_x86(emitter *e, cg_val sum, cg_val u, cg_val s, unsigned lanes) {
    cg_val args[] = {sum, u, s};
    return call(e,
                lanes == 16  ? "llvm.x86.avx512.vpdpbusd.512"
                : lanes == 8 ? "llvm.x86.avx512.vpdpbusd.256"
                             : "llvm.x86.avx512.vpdpbusd.128",
                args, 3);
}

static cg_val dot_arm(emitter *e, cg_val sum, cg_val u, cg_val s) {
    LLVMTypeRef bytes = LLVMVectorType(e->i8, 16), overloads[] = {lanes_type(e, 4), bytes};
    cg_val args[] = {sum, LLVMBuildBitCast(e->builder, u, bytes, ""), LLVMBuildBitCast(e->builder, s, bytes, "")};
    return em_intrinsic(e, "llvm.aarch64.neon.usdot", overloads, 2, args, 3);
}

/* Lanes of 16 bits in pairs: a[2l] * b[2l] + a[2l + 1] * b[2l + 1]. */
static cg_val multiply_pairs(emitter *e, cg_val a, cg_val b, unsigned lanes) {
    cg_val args[] = {a, b};
    return call(e,
                lanes == 16  ? "llvm.x86.avx512.pmaddw.d.512"
                : lanes == 8 ? "llvm.x86.avx2.pmadd.wd"
                             : "llvm.x86.sse2.pmadd.wd",
                args, 2);
}

/* Bytes 0 and 2 of each lane, then 1 and 3, as 16 bits: |u s| <= 255 * 128, and two of them take 17. */
static cg_val dot_in_halves(emitter *e, cg_val sum, cg_val u, cg_val s, unsigned lanes) {
    LLVMBuilderRef b = e->builder;
    LLVMTypeRef halves = LLVMVectorType(e->i16, 2 * lanes);
    cg_val all[64], low[64];
    for (unsigned i = 0; i < 2 * lanes; i++) all[i] = LLVMConstInt(e->i16, 8, 0), low[i] = LLVMConstInt(e->i16, 255, 0);
    cg_val eight = LLVMConstVector(all, 2 * lanes), mask = LLVMConstVector(low, 2 * lanes);
    cg_val u16 = LLVMBuildBitCast(b, u, halves, ""), s16 = LLVMBuildBitCast(b, s, halves, "");
    cg_val even =
        multiply_pairs(e, LLVMBuildAnd(b, u16, mask, ""), LLVMBuildAShr(b, LLVMBuildShl(b, s16, eight, ""), eight, ""), lanes);
    cg_val odd = multiply_pairs(e, LLVMBuildLShr(b, u16, eight, ""), LLVMBuildAShr(b, s16, eight, ""), lanes);
    return LLVMBuildAdd(b, sum, LLVMBuildAdd(b, even, odd, ""), "");
}

static cg_val dot_by_lanes(emitter *e, cg_val sum, cg_val u, cg_val s, unsigned lanes) {
    LLVMBuilderRef b = e->builder;
    for (int i = 0; i < 4; i++) {
        cg_val x = LLVMBuildAnd(b, LLVMBuildLShr(b, u, em_const_i32(e, lanes, 8 * i), ""), em_const_i32(e, lanes, 255), "");
        cg_val w = LLVMBuildAShr(b, LLVMBuildShl(b, s, em_const_i32(e, lanes, 24 - 8 * i), ""), em_const_i32(e, lanes, 24), "");
        sum = LLVMBuildAdd(b, sum, LLVMBuildMul(b, x, w, ""), "");
    }
    return sum;
}

cg_val em_dot_u8s8(emitter *e, cg_val sum, cg_val u, cg_val s) {
    const unsigned lanes = em_lanes_of(sum);
    const bool whole = lanes == 4 || lanes == 8 || lanes == 16, has_dot = e->target->extensions & CG_DOT_U8S8;
    if (has_dot && is_x86(e) && whole) return dot_x86(e, sum, u, s, lanes);
    if (has_dot && !is_x86(e) && lanes == 4) return dot_arm(e, sum, u, s);
    if (is_x86(e) && whole) return dot_in_halves(e, sum, u, s, lanes);
    return dot_by_lanes(e, sum, u, s, lanes);
}

/* ---- pairs ---- */

bool em_has_pair_products(const cg_target *t) {
    return strncmp(t->triple, "x86_64", strlen("x86_64")) == 0 && t->vector_bytes >= 32;
}

cg_val em_pair_products(emitter *e, cg_val u, cg_val s) {
    const unsigned lanes = em_lanes_of(u);
    LLVMTypeRef bytes = LLVMVectorType(e->i8, 4 * lanes);
    cg_val args[] = {LLVMBuildBitCast(e->builder, u, bytes, ""), LLVMBuildBitCast(e->builder, s, bytes, "")};
    cg_val pairs = call(e,
                        lanes == 16  ? "llvm.x86.avx512.pmaddubs.w.512"
                        : lanes == 8 ? "llvm.x86.avx2.pmadd.ub.sw"
                                     : "llvm.x86.ssse3.pmadd.ub.sw.128",
                        args, 2);
    return LLVMBuildBitCast(e->builder, pairs, lanes_type(e, lanes), "");
}

cg_val em_add_pairs(emitter *e, cg_val sum, cg_val pairs, cg_val ones) {
    const unsigned lanes = em_lanes_of(sum);
    LLVMTypeRef halves = LLVMVectorType(e->i16, 2 * lanes);
    cg_val all = LLVMBuildBitCast(e->builder, ones, halves, "");
    return LLVMBuildAdd(e->builder, sum, multiply_pairs(e, LLVMBuildBitCast(e->builder, pairs, halves, ""), all, lanes), "");
}

cg_val em_interleave(emitter *e, cg_val a, cg_val b, unsigned bytes, unsigned half) {
    const unsigned lanes = em_lanes_of(a), n = 4 * lanes / bytes, block = 16 / bytes;
    LLVMTypeRef elements = LLVMVectorType(bytes == 1 ? e->i8 : e->i16, n);
    unsigned index[64];
    for (unsigned i = 0; i < n; i++) index[i] = i / block * block + half * block / 2 + i % block / 2 + i % 2 * n;
    cg_val v =
        em_shuffle(e, LLVMBuildBitCast(e->builder, a, elements, ""), LLVMBuildBitCast(e->builder, b, elements, ""), n, index);
    return LLVMBuildBitCast(e->builder, v, lanes_type(e, lanes), "");
}

/* ---- tables ---- */

/* Two lookups in 128 bytes each, by the lower 7 bits; the highest one says which of them counts. */
cg_val em_table_u8(emitter *e, cg_val table, cg_val bytes) {
    LLVMTypeRef type = LLVMVectorType(e->i8, 64);
    cg_val index = LLVMBuildBitCast(e->builder, bytes, type, ""), half[2];
    for (unsigned h = 0; h < 2; h++) {
        cg_val args[3] = {NULL, index, NULL};
        for (unsigned i = 0; i < 2; i++) {
            args[2 * i] = LLVMBuildLoad2(e->builder, type, em_at_int(e, table, 64 * (int64_t)(2 * h + i)), "");
            LLVMSetAlignment(args[2 * i], 64);
        }
        half[h] = call(e, "llvm.x86.avx512.vpermi2var.qi.512", args, 3);
    }
    cg_val is_high = LLVMBuildICmp(e->builder, LLVMIntSLT, index, LLVMConstNull(type), "");
    return LLVMBuildBitCast(e->builder, em_select(e, is_high, half[1], half[0]), lanes_type(e, 16), "");
}

/* ---- tiles ---- */

#define TILE_BYTES (EM_TILE_ROWS * EM_TILE_ROW_BYTES)

/* Palette 1, then bytes per row of each tile from 16 on, and rows from 48 on. */
em_tiles em_tiles_begin(emitter *e) {
    if (!(e->target->extensions & CG_TILES_U8S8)) return (em_tiles){em_stack(e, EM_TILES * TILE_BYTES, 64)};
    uint8_t bytes[64] = {1};
    cg_val number[64];
    for (unsigned t = 0; t < EM_TILES; t++) bytes[16 + 2 * t] = EM_TILE_ROW_BYTES, bytes[48 + t] = EM_TILE_ROWS;
    for (unsigned i = 0; i < 64; i++) number[i] = LLVMConstInt(e->i8, bytes[i], 0);
    cg_val configuration = em_stack(e, 64, 64);
    em_store(e, LLVMConstVector(number, 64), configuration, 64);
    call(e, "llvm.x86.ldtilecfg", &configuration, 1);
    return (em_tiles){NULL};
}

void em_tiles_end(emitter *e, const em_tiles *t) {
    if (!t->memory) call(e, "llvm.x86.tilerelease", NULL, 0);
}

static cg_val tile_number(const emitter *e, unsigned tile) { return LLVMConstInt(e->i8, tile, 0); }

static cg_val tile_memory(emitter *e, const em_tiles *t, unsigned tile) {
    return em_at_int(e, t->memory, (int64_t)tile * TILE_BYTES);
}

/* 16 rows of 64 bytes; from: NULL: zeros. */
static void copy_rows(emitter *e, cg_val to, cg_val to_stride, cg_val from, cg_val from_stride) {
    em_loop rows;
    em_loop_begin(e, &rows, em_int(e, 0), em_int(e, EM_TILE_ROWS), 1, NULL, 0);
    for (unsigned at = 0; at < EM_TILE_ROW_BYTES; at += 16) {
        cg_val four = from ? em_load_i32(e, 4, em_at_int(e, em_at(e, from, em_mul(e, rows.index, from_stride)), at), 1)
                           : em_const_i32(e, 4, 0);
        em_store(e, four, em_at_int(e, em_at(e, to, em_mul(e, rows.index, to_stride)), at), 1);
    }
    em_loop_end(e, &rows, NULL);
}

/* sums[m][n] += the products of the bytes a[m][k] and b[k/4][4 n + k%4], of which a is unsigned or b. */
static void dot_in_memory(emitter *e, cg_val sums, cg_val a, cg_val b, bool unsigned_a) {
    const int64_t row = EM_TILE_ROW_BYTES;
    em_loop rows, columns, quads;
    em_loop_begin(e, &rows, em_int(e, 0), em_int(e, EM_TILE_ROWS), 1, NULL, 0);
    em_loop_begin(e, &columns, em_int(e, 0), em_int(e, row), 16, NULL, 0);
    cg_val at = em_at(e, em_index(e, sums, rows.index, row), columns.index), sum = em_load_i32(e, 4, at, 4);
    em_loop_begin(e, &quads, em_int(e, 0), em_int(e, EM_TILE_ROWS), 1, &sum, 1);
    cg_val x = em_load_splat_i32(e, 4, em_index(e, em_index(e, a, rows.index, row), quads.index, 4));
    cg_val y = em_load_i32(e, 4, em_at(e, em_index(e, b, quads.index, row), columns.index), 4);
    cg_val next = unsigned_a ? em_dot_u8s8(e, quads.carried[0], x, y) : em_dot_u8s8(e, quads.carried[0], y, x);
    em_loop_end(e, &quads, &next);
    em_store(e, quads.carried[0], at, 4);
    em_loop_end(e, &columns, NULL);
    em_loop_end(e, &rows, NULL);
}

void em_tile_zero(emitter *e, const em_tiles *t, unsigned tile) {
    cg_val args[] = {tile_number(e, tile)};
    if (!t->memory) call(e, "llvm.x86.tilezero", args, 1);
    else copy_rows(e, tile_memory(e, t, tile), em_int(e, EM_TILE_ROW_BYTES), NULL, NULL);
}

void em_tile_load(emitter *e, const em_tiles *t, unsigned tile, cg_val pointer, cg_val stride) {
    cg_val args[] = {tile_number(e, tile), pointer, stride};
    if (!t->memory) call(e, "llvm.x86.tileloadd64", args, 3);
    else copy_rows(e, tile_memory(e, t, tile), em_int(e, EM_TILE_ROW_BYTES), pointer, stride);
}

void em_tile_store(emitter *e, const em_tiles *t, unsigned tile, cg_val pointer, cg_val stride) {
    cg_val args[] = {tile_number(e, tile), pointer, stride};
    if (!t->memory) call(e, "llvm.x86.tilestored64", args, 3);
    else copy_rows(e, pointer, stride, tile_memory(e, t, tile), em_int(e, EM_TILE_ROW_BYTES));
}

static void tile_dot(emitter *e, const em_tiles *t, const char *name, unsigned sums, unsigned a, unsigned b, bool unsigned_a) {
    cg_val args[] = {tile_number(e, sums), tile_number(e, a), tile_number(e, b)};
    if (!t->memory) call(e, name, args, 3);
    else dot_in_memory(e, tile_memory(e, t, sums), tile_memory(e, t, a), tile_memory(e, t, b), unsigned_a);
}

void em_tile_dot_u8s8(emitter *e, const em_tiles *t, unsigned sums, unsigned u, unsigned s) {
    tile_dot(e, t, "llvm.x86.tdpbusd", sums, u, s, true);
}

void em_tile_dot_s8u8(emitter *e, const em_tiles *t, unsigned sums, unsigned s, unsigned u) {
    tile_dot(e, t, "llvm.x86.tdpbsud", sums, s, u, false);
}
