/*
 * layer_norm (Ba et al. 2016) of one tile<W>: y = (x - mean) / sqrt(variance + eps) * gamma + beta over the features of each token;
 * tokens are lanes, so there is no horizontal sum. Kernels that make a whole tile end in it.
 *
 * Two passes over the tile, which stays in L2. The first makes x where it is a sum of other operands, and sums it up block by block
 * of features: while a block is in L1 it gives its mean and the squares of the differences from that mean, which are put together
 * at the end (Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979). So the
 * variance is as exact as that of two passes, wherever the mean lies. The second pass writes the result, last features first: those
 * are still in L1. y may be x. The order of all sums depends on the vector width only.
 */
#ifndef POFAC_CODEGEN_NORM_TILE_H
#define POFAC_CODEGEN_NORM_TILE_H

#include "codegen/kernel.h"

/* Adds operands and parameters of the layer_norm `n` - gamma, beta, eps, and its results that are stored: y, mean, deviation - to a
 * kernel that has E and W among its parameters. False when it is not one in tiles. */
bool norm_tile_describe(const cg_group *g, const ir_node *n, cg_kernel *k);

/* Tile t of x [R,E] in tiles<W>; operand: the kernel's, as kernel_operands gives them. sum: what makes x, its last store, as an
 * expression over operands in tiles; NULL when x is there. */
void norm_tile_emit(emitter *e, const cg_kernel *k, const cg_val *operand, cg_val x, const expression_tile *sum, cg_val n_rows,
                    cg_val t);

#endif
