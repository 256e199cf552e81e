/*
 * What sparse linear kernels choose when nobody else does: parameters by target and shape, measured with tests/bench/bench_sparse.
 */
#ifndef POFAC_CODEGEN_SPARSE_DEFAULTS_H
#define POFAC_CODEGEN_SPARSE_DEFAULTS_H

#include "codegen/codegen.h"

/* Columns per block: activations of a block, [k_block][W], take two thirds of an L1 cache of 48 KB; the blocks are equal. */
int64_t sparse_default_k_block(int64_t W, int64_t K);

/* Rows of weight per unit of work; the groups are equal. */
int64_t sparse_default_rows(int64_t N);

/* Steps per round of the inner loop where `vectors` vectors of activations pass. kind: of sparse_layout. */
unsigned sparse_default_unroll(unsigned kind, unsigned vectors);

/* Are weights loaded four at a time and spread by shuffles, rather than each by a broadcast? And can they be? */
bool sparse_default_quad(const cg_target *t);
bool sparse_can_quad(const cg_target *t);

#endif
