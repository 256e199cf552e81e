/*
 * Products of unsigned with signed bytes, summed in 32 bits: what integer kernels are made of. Exact on every target: no sum of two
 * products is squeezed into 16 bits, as vpmaddubsw would do (255 * 127 twice is more than 32767).
 */
#ifndef POFAC_CODEGEN_DOT_PRODUCT_H
#define POFAC_CODEGEN_DOT_PRODUCT_H

#include "codegen/llvm_emit.h"

/* ---- vectors of i32, whose lanes may be read as four bytes each, the lowest first ---- */
cg_val em_load_i32(emitter *e, unsigned lanes, cg_val pointer, unsigned align); /* em_store stores it */
cg_val em_load_splat_i32(emitter *e, unsigned lanes, cg_val pointer);           /* four bytes in all lanes */

/*
 * sum[l] + the sum over the four bytes b of lane l of u.b * s.b, with u unsigned, s signed; modulo 2^32. lanes: 4, or any power of two
 * up to the target's widest vector. One instruction where the target has CG_DOT_U8S8: vpdpbusd, usdot. On x86 without it the even and the
 * odd bytes are widened to 16 bits each and go through pmaddwd, whose sums of two fit into 32; elsewhere four multiplications of lanes.
 */
cg_val em_dot_u8s8(emitter *e, cg_val sum, cg_val u, cg_val s);

/*
 * ---- the same in two steps, of targets with em_has_pair_products: vpmaddubsw, vpmaddwd ----
 *
 * em_pair_products gives for the bytes of each lane u.0 * s.0 + u.1 * s.1 and u.2 * s.2 + u.3 * s.3 in 16 bits, the first one lower, as i32. It is exact where the
 * positive ones of s.0, s.1 add up to 128 at most and the negative ones to -128 at least, and so s.2, s.3; else it saturates. em_add_pairs adds both to
 * sum; ones: em_const_i32 of 0x10001, kept by the caller.
 */
bool em_has_pair_products(const cg_target *t);
cg_val em_pair_products(emitter *e, cg_val u, cg_val s);
cg_val em_add_pairs(emitter *e, cg_val sum, cg_val pairs, cg_val ones);

/* In each 16 bytes of a and b, vectors of i32: elements of 1 or 2 bytes of the low (half 0) or high half, from a and b in turns. */
cg_val em_interleave(emitter *e, cg_val a, cg_val b, unsigned bytes, unsigned half);

/*
 * ---- tiles: eight registers of 16 rows of 64 bytes ----
 *
 * A tile of sums is i32 [16][16]. em_tile_dot_u8s8 adds to sums[m][n] the products of u[m][k], u8 [16][64], with s[k/4][4 n + k%4],
 * s8 [16][64]: four k of a column side by side, as em_dot_u8s8 reads them; em_tile_dot_s8u8 those of s[m][k] with u[k/4][4 n + k%4]. Rows
 * are `stride` bytes (a value) apart in memory, at any address.
 * Between begin and end the unit's tiles belong to the function; end leaves them as they were for other code: unused.
 * Of targets without CG_TILES_U8S8 tiles are memory, and slow: so what is made of them can be run everywhere.
 */
#define EM_TILES 8
#define EM_TILE_ROWS 16
#define EM_TILE_ROW_BYTES 64
typedef struct em_tiles {
    cg_val memory; /* [EM_TILES][EM_TILE_ROWS][EM_TILE_ROW_BYTES]; NULL: registers */
} em_tiles;
em_tiles em_tiles_begin(emitter *e);
void em_tiles_end(emitter *e, const em_tiles *t);
void em_tile_zero(emitter *e, const em_tiles *t, unsigned tile);
void em_tile_load(emitter *e, const em_tiles *t, unsigned tile, cg_val pointer, cg_val stride);
void em_tile_store(emitter *e, const em_tiles *t, unsigned tile, cg_val pointer, cg_val stride);
void em_tile_dot_u8s8(emitter *e, const em_tiles *t, unsigned sums, unsigned u, unsigned s); /* three different tiles */
void em_tile_dot_s8u8(emitter *e, const em_tiles *t, unsigned sums, unsigned s, unsigned u);

/* ---- tables of bytes, of targets with CG_TABLE_U8 ---- */

/* table[byte] for the four bytes of each of 16 i32; table: a pointer to 256 bytes, at a multiple of 64. */
#define EM_TABLE_U8_BYTES 256
cg_val em_table_u8(emitter *e, cg_val table, cg_val bytes);

#endif
