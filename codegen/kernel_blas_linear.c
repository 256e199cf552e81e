/*
 * linear by the BLAS library: y = x weight^T + bias, x [R,K] and y [R,N] in tiles<W>, the weight as it is stored. In tiles, a product is
 * that of the weight with the tile, [N,K] [K,W] -> [N,W], so nothing is laid out anew but inside of the library, which does so for
 * every tile: on tiles of a few dozen tokens it loses to the kernel `linear`, whose weights are packed once. It is there to be measured
 * against, and taken only where a variant names it.
 *
 * operands: x, weight, y, [bias]. dims: R, N, K, W, 1 with a bias. One unit is a tile with a block of rows of the weight.
 */
#include "codegen/kernel.h"

bool describe_blas_linear(const cg_group *g, const cg_target *target, cg_kernel *k) {
    const ir_node *n = group_node(g, 0);
    (void)target;
    if (!k->variant || g->n_nodes != 1 || n->op != OP_linear || !is_dense_tiled_linear(g, n)) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    const int64_t N = type_features(y), K = type_features(x), W = x->tile,
                  n_blocks = (N + LIBRARY_BLAS_ROWS - 1) / LIBRARY_BLAS_ROWS;
    const bool bias = node_input(n, 2) != IR_NO_VALUE;
    if (kernel_option(k, "tile", W) != W || N > INT32_MAX || K > INT32_MAX) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    kernel_operand(k, n->first_result);
    if (bias) kernel_operand(k, n->inputs[2]);
    kernel_set(k, "N", N);
    kernel_set(k, "K", K);
    kernel_set(k, "W", W);
    kernel_dim(k, x->dims[0]);
    kernel_dim(k, dim_const(N));
    kernel_dim(k, dim_const(K));
    kernel_dim(k, dim_const(W));
    kernel_dim(k, dim_const(bias));

    /* n_blocks * ceil(R / W) units, or up to n_blocks more, which do nothing */
    bool ok = true;
    k->work_per_unit = W;
    k->work = kernel_scaled(dim_add(x->dims[0], W - 1), n_blocks, 0, &ok);
    kernel_by_block(k, x->dims[0], W, n_blocks);
    k->flops = kernel_scaled(x->dims[0], 2 * N * K, 0, NULL);
    k->bytes = kernel_scaled(x->dims[0], 4 * (N + K), 4 * N * K, NULL);
    return ok;
}
