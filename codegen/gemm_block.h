/*
 * The register block of matrix products in tiles: the one inner loop of linear layers and of attention's two products.
 *
 *   a[r][v] = initial[r][v] + sum over k < K of  w(r, k) * x(k, v)
 *
 * x(k, v) is vector v of row k of a tile part, x + k * x_step + v * 4 * lanes bytes; w(r, k) one number, w + r * w_row_step + k *
 * w_step bytes, broadcast; rows may lie in several panels. All rows * vectors sums stay in registers; each number of w is loaded once per block and each vector of
 * x once.
 */
#ifndef POFAC_CODEGEN_GEMM_BLOCK_H
#define POFAC_CODEGEN_GEMM_BLOCK_H

#include "codegen/llvm_emit.h"

typedef struct gemm_block {
    unsigned rows, vectors, lanes;
    int64_t x_step, w_step, w_row_step; /* bytes */
    unsigned panel;                     /* rows of w side by side, and bytes from there to the next ones; 0: all */
    int64_t panel_step;
    unsigned x_align;
    unsigned unroll; /* rounds of k in the body of the loop */
    /* Memory to fetch into L2 meanwhile: in each round of the body prefetch_lines lines, for each panel, and then prefetch_step (a
     * value, bytes) further; NULL: none */
    cg_val prefetch, prefetch_step;
    unsigned prefetch_lines;
} gemm_block;

/* Rows that fit into the target's registers beside two vectors of x. */
unsigned gemm_block_rows(const cg_target *t);

#define GEMM_MAX_SUMS EM_MAX_CARRIED

/* sum[r * vectors + v] in and out. `count`: K, a value. */
void gemm_block_emit(emitter *e, const gemm_block *g, cg_val x, cg_val w, cg_val count, cg_val sum[GEMM_MAX_SUMS]);

#endif
