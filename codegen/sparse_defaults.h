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

#endif
