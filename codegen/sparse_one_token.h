/*
 * The product of one token with a weight's non-zeros (ir/sparse_layout.h, STREAM), for tiles of which only the first lane holds a row:
 * vectors lie along a row's entries instead of along the tokens, and x is gathered. A visit's sums are the same bits as those of
 * kernel_sparse_linear.c with as many chains as a vector here has lanes: entry i goes to chain i modulo that, and chains are added
 * pairwise; so one weight in memory serves both, and a token does not depend on how many others there are.
 */
#ifndef POFAC_CODEGEN_SPARSE_ONE_TOKEN_H
#define POFAC_CODEGEN_SPARSE_ONE_TOKEN_H

#include "codegen/llvm_emit.h"
#include "ir/sparse_layout.h"

typedef struct sparse_one_token {
    unsigned chains; /* lanes: 4 or 8 */
    int64_t W;
    cg_val sums; /* f32 [row_group], each in a cell of its own */
    cg_val x;    /* one number for each column of the block at hand, W / 2 bytes apart */
} sparse_one_token;

/* Can the target gather that many lanes fast enough, from tiles of width W? */
bool sparse_can_gather(const cg_target *t, unsigned chains, int64_t W);

/* Bytes of scratch for sums and x of K columns, and where they lie in it. row_group: of the layout, as a value. */
int64_t sparse_one_token_bytes(const sparse_layout *l, int64_t K);
void sparse_one_token_place(emitter *e, sparse_one_token *p, cg_val scratch, cg_val row_group);

/* Sums start as the n_rows numbers at `bias` and the first lane of as many rows [W] at `residual`, or 0; either may be NULL. */
void sparse_one_token_start(emitter *e, const sparse_one_token *p, cg_val bias, cg_val residual, cg_val n_rows);

/* The first lane of n_columns rows [W] at `x`, to p->x. */
void sparse_one_token_copy(emitter *e, const sparse_one_token *p, cg_val x, cg_val n_columns);

/* All visits of a bucket: n_visits of `entries` entries each, at least one. */
void sparse_one_token_visits(emitter *e, const sparse_one_token *p, cg_val rows, cg_val offsets, cg_val values, cg_val n_visits,
                             cg_val entries);

/* The n_rows sums into the first vector of rows [W] at `to`, each in all of its lanes. */
void sparse_one_token_spread(emitter *e, const sparse_one_token *p, cg_val n_rows, cg_val to, unsigned lanes);

#endif
