/*
 * A dense weight [N,K] in 8 bits, as kernels of integer products read it; P is the packing's parameter, and missing rows and columns are 0:
 *
 *   PACKING_INT8_PANELS   s8 [ceil(N/P)][ceil(K/4)][P][4]       P rows side by side, of each four neighbouring columns
 *   PACKING_INT8_TILES    s8 [ceil(N/P)][P/16][ceil(K/64)][16][64]   squares of 16 rows of 64 columns, one after the other; P a multiple of 16
 *
 * Behind it stand the sums of the rows' bytes, i32 [ceil(N/P)][P].
 * Quantized symmetrically (ir/quantization.h) by a range of the whole weight, f32 [2], or of each row, [N,2].
 */
#ifndef POFAC_RUNTIME_INT8_PACKING_H
#define POFAC_RUNTIME_INT8_PACKING_H

#include "ir/plan.h"
#include "ir/tensor.h"
#include "runtime/thread_pool.h"

/* Bytes of it; -1 on overflow, and for a P that the packing cannot have. */
int64_t int8_panels_bytes(plan_packing packing, uint32_t panel, int64_t n_rows, int64_t n_columns);

/* Writes it to `out` (64-byte aligned), on all threads. weight: any float dtype; range: none is empty. */
void int8_panels_make(plan_packing packing, uint32_t panel, const ir_tensor *weight, const ir_tensor *range, thread_pool *pool,
                      void *out);

/* Is a range empty or no range, one of those in f32 [2] or [N,2]? */
bool int8_range_is_none(const ir_tensor *range);

/* `n` numbers by 1 / scale as bytes, as quantization_encode does. */
void int8_encode_run(const float *x, int64_t n, float scale, int8_t *out);

#endif
