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

/* Writes the code of a pass over `vectors` vectors from `from` on. */
typedef void (*sparse_pass_emit)(emitter *e, const void *user, unsigned vectors, cg_val from);

/* Passes over `n_vectors` vectors, `most` (at most SPARSE_MOST_VECTORS) in each but the last; `from` is the first one's number times `stride`. */
void emit_sparse_passes(emitter *e, unsigned most, cg_val n_vectors, int64_t stride, sparse_pass_emit emit, const void *user);

#endif
