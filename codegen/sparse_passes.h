/*
 * What kernels with non-zeros share, whatever they multiply: fields of the index in memory, and the passes over a tile's vectors, each with the code for its number of
 * vectors.
 */
#ifndef POFAC_CODEGEN_SPARSE_PASSES_H
#define POFAC_CODEGEN_SPARSE_PASSES_H

#include "codegen/kernel.h"

#define SPARSE_MOST_VECTORS 4 /* that a pass goes through */

/* The field at offsetof(sparse_header, FIELD) of the index `header`. */
cg_val sparse_header_field(emitter *e, cg_val header, size_t at);

/* What the header of an index says: numbers, and where the index's parts are. */
typedef struct sparse_index_code {
    cg_val n_groups, n_k_blocks, k_block, row_group;
    cg_val segments, buckets, rows, offsets;
} sparse_index_code;

sparse_index_code sparse_index_read(emitter *e, cg_val header);

/* Writes the code of a pass over `vectors` vectors from `from` on. */
typedef void (*sparse_pass_emit)(emitter *e, const void *user, unsigned vectors, cg_val from);

/* Passes over `n_vectors` vectors, `most` (at most SPARSE_MOST_VECTORS) in each but the last; `from` is the first one's number times `stride`. */
void emit_sparse_passes(emitter *e, unsigned most, cg_val n_vectors, int64_t stride, sparse_pass_emit emit, const void *user);

#endif
