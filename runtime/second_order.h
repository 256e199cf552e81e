/*
 * Curvature of the loss around a weight: for second-order pruning, which entries it can do without, and how the others make up for those that go.
 *
 * The empirical Fisher matrix stands in for the Hessian, in blocks of entries that follow each other (oBERT, Kurtic et al. 2022, sections 3.1 and 3.2):
 *
 *   F = damping I + 1/m sum over m gradients g of single batches of g g^T
 *   F^-1 by one rank-1 update for each gradient (Woodbury 1950), from I / damping:  A -= (A g)(A g)^T / (m + g^T A g)
 *   saliency of entry i                      w_i^2 / (2 [F^-1]_ii)
 *   optimal update when the entries Q go     w -= [F^-1]_:Q ([F^-1]_QQ)^-1 w_Q
 *
 * Inverses are held in double. Results do not depend on the number of threads.
 */
#ifndef POFAC_RUNTIME_SECOND_ORDER_H
#define POFAC_RUNTIME_SECOND_ORDER_H

#include "ir/pruning.h"
#include "ir/tensor.h"
#include "runtime/thread_pool.h"

typedef struct second_order second_order;

/* Memory that n entries take, in bytes; INT64_MAX where that cannot be counted. */
int64_t second_order_bytes(int64_t n_entries, const second_order_options *o);

/* POFAC_ERR_USAGE: options out of range. */
POFAC_MUST_USE pofac_status second_order_check(const second_order_options *o, const diag_sink *sink);

/* The curvature of a weight of n entries, in rows. The pool must outlive it. POFAC_ERR_USAGE: options out of range; POFAC_ERR_RUNTIME: no memory. */
POFAC_MUST_USE pofac_status second_order_create(int64_t n_entries, const second_order_options *o, thread_pool *pool,
                                                const diag_sink *sink, second_order **out);
void second_order_destroy(second_order *s); /* NULL is fine */

/* Takes the gradient of one batch: [n_entries], or with a pattern its elements there, [nnz], 0 elsewhere. In a block where it is not finite it is left out. */
void second_order_add(second_order *s, const float *gradient, const ir_pattern *pattern);

/* [F^-1]_ij after the gradients so far; 0 across blocks. */
double second_order_inverse(second_order *s, int64_t i, int64_t j);

/* The saliency of each entry of `values` [n_entries]: by how much the loss grows without it, into scores [n_entries]. */
void second_order_saliency(second_order *s, const float *values, float *scores);

/* `values` [n_entries] becomes what is best without the entries whose mask is 0: these become 0, and the others of their blocks move. */
void second_order_prune(second_order *s, const uint8_t *mask, float *values);

#endif
