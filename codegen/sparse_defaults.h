/*
 * What sparse linear kernels choose when nobody else does: parameters by target and shape, measured with tests/bench/bench_sparse.
 */
#ifndef POFAC_CODEGEN_SPARSE_DEFAULTS_H
#define POFAC_CODEGEN_SPARSE_DEFAULTS_H

#include "codegen/codegen.h"

/* Columns per block: activations of a block, [k_block][W], take two thirds of an L1 cache of 48 KB; the blocks are equal. */
int64_t sparse_default_k_block(int64_t W, int64_t K);

/* Rows of weight per unit of work; the groups are equal. */
int64_t sparse_default_rows(int64_t W, int64_t N);

/* Steps per round of the inner loop where `vectors` vectors of activations pass, `most` in a full tile. kind, keep: of sparse_layout. */
unsigned sparse_default_unroll(unsigned kind, unsigned keep, unsigned vectors, unsigned most);

/* Of every four weights, how many are loaded at once and spread by shuffles; the others are loaded each by a broadcast. And whether
 * the target can shuffle at all. */
unsigned sparse_default_shuffled(const cg_target *t);
bool sparse_can_shuffle(const cg_target *t);

/* How many visits ahead sums are fetched; 0: not at all. */
unsigned sparse_default_ahead(const cg_target *t);

/* Can four offsets be loaded as one number? */
bool sparse_can_pack_offsets(const cg_target *t);

#endif
