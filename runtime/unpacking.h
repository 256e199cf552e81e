/*
 * Unpacking: the form in which a kernel reads a weight -> the weight in rows, exactly. For models of which only packed forms are at hand.
 *
 * False: the bytes are no such form, whatever they are; `out` then has undefined numbers.
 */
#ifndef POFAC_RUNTIME_UNPACKING_H
#define POFAC_RUNTIME_UNPACKING_H

#include "ir/plan.h"

/* PACKING_PANELS and PACKING_TRANSPOSED_PANELS of an [n_rows, n_columns] weight, into out[n_rows][n_columns]. */
bool unpack_panels(plan_packing packing, uint32_t parameter, const void *packed, size_t n_bytes, int64_t n_rows, int64_t n_columns,
                   float *out);

/* PACKING_SPARSE_INDEX and PACKING_SPARSE_VALUES in one layout; what is no non-zero becomes 0. */
bool unpack_sparse(const sparse_layout *layout, const void *index, size_t index_bytes, const void *values, size_t values_bytes,
                   int64_t n_rows, int64_t n_columns, float *out);

/* PACKING_INT8_PANELS and PACKING_INT8_TILES; range: by which the weight was quantized, f32 [2] or [N,2]. What comes out is what 8 bits held of it, and
 * packs to the same bytes. */
bool unpack_int8_panels(plan_packing packing, uint32_t parameter, const void *packed, size_t n_bytes, const ir_tensor *range,
                        int64_t n_rows, int64_t n_columns, float *out);

/* PACKING_INT8_SPARSE, likewise. */
bool unpack_int8_sparse(const sparse_layout *layout, const void *packed, size_t n_bytes, const ir_tensor *range, int64_t n_rows,
                        int64_t n_columns, float *out);

#endif
