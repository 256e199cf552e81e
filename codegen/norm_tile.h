/*
 * layer_norm (Ba et al. 2016) of one tile<W>: y = (x - mean) / sqrt(variance + eps) * gamma + beta over the features of each token; tokens are lanes, so there is
 * no horizontal sum. Kernels that make a whole tile end in it.
 *
 * Three passes over the tile, which stays in L2: mean, variance of the differences, result. y may be x. Several partial sums per lane hide the latency of
 * additions; their number depends on the vector width only.
 */
#ifndef POFAC_CODEGEN_NORM_TILE_H
#define POFAC_CODEGEN_NORM_TILE_H

#include "codegen/kernel.h"

/* Adds operands and parameters of the layer_norm `n` - gamma, beta, eps, and its results that are stored: y, mean, deviation - to a kernel that has E and W among its parameters. False when
 * it is not one in tiles. */
bool norm_tile_describe(const cg_group *g, const ir_node *n, cg_kernel *k);

/* Tile t of x [R,E] in tiles<W>; operand: the kernel's, as kernel_operands gives them. */
void norm_tile_emit(emitter *e, const cg_kernel *k, const cg_val *operand, cg_val x, cg_val n_rows, int64_t E, int64_t W, cg_val t);

#endif
