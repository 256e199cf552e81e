/*
 * Sparse packing: a pattern (CSR) and its values -> the two blobs of ir/sparse_layout.h, in the order in which a kernel walks them.
 *
 * Every function works on all threads of the pool, one group of rows a chunk, and gives the same bytes for any number of threads.
 * `name` is that of the weight, for messages. POFAC_ERR_INPUT: the layout is outside of its limits, or cannot hold the pattern (a
 * group of M columns with more than N non-zeros, too many non-zeros). What *out gets
 * is memory of runtime/weight_memory.h, to be given back there with its bytes; NULL after an error.
 */
#ifndef POFAC_RUNTIME_SPARSE_PACKING_H
#define POFAC_RUNTIME_SPARSE_PACKING_H

#include "ir/sparse_layout.h"
#include "ir/tensor.h"
#include "runtime/thread_pool.h"

/* The index of the pattern, (*out)->bytes long. */
POFAC_MUST_USE pofac_status sparse_index_make(const sparse_layout *layout, const ir_pattern *pattern, const char *name,
                                              thread_pool *pool, const diag_sink *sink, sparse_header **out);

/* The values, of which there are *n_bytes. `values`: the non-zeros in the pattern's order, [nnz], or the dense [N,K] weight; any
 * float dtype. */
POFAC_MUST_USE pofac_status sparse_values_make(const sparse_layout *layout, const ir_pattern *pattern, const ir_tensor *values,
                                               const char *name, thread_pool *pool, const diag_sink *sink, float **out,
                                               int64_t *n_bytes);

#define SPARSE_NO_VALUE UINT32_MAX /* a place that holds a zero */

/* For each place of the values the number of its non-zero in the pattern's order, or SPARSE_NO_VALUE; *n places, the 16 zeros behind
 * them included: values[i] = order[i] == SPARSE_NO_VALUE ? 0 : non_zeros[order[i]]. */
POFAC_MUST_USE pofac_status sparse_order_make(const sparse_layout *layout, const ir_pattern *pattern, const char *name,
                                              thread_pool *pool, const diag_sink *sink, uint32_t **out, int64_t *n);

/*
 * Several packings of one pattern, which share what they need: the transposed pattern, and of packings under one layout that follow each other where groups
 * of rows start. The pattern outlives it. *memory is taken for the result where it is large enough and not twice as large, and else given back; NULL: there
 * is none. After an error it is given back, too.
 */
typedef struct sparse_packer sparse_packer;
typedef struct sparse_memory {
    void *data; /* of weight_memory.h */
    size_t bytes;
} sparse_memory;

POFAC_MUST_USE pofac_status sparse_packer_create(const ir_pattern *pattern, const char *name, thread_pool *pool,
                                                 const diag_sink *sink, sparse_packer **out);
void sparse_packer_destroy(sparse_packer *p); /* NULL is fine */

/* As sparse_index_make, a sparse_header at *memory, and sparse_order_make. */
POFAC_MUST_USE pofac_status sparse_packer_index(sparse_packer *p, const sparse_layout *layout, sparse_memory *memory);
POFAC_MUST_USE pofac_status sparse_packer_order(sparse_packer *p, const sparse_layout *layout, sparse_memory *memory);

#endif
