/* Packing: a weight as a checkpoint stores it -> the form in which a kernel reads it (ir/packings.def). */
#ifndef POFAC_RUNTIME_PACKING_H
#define POFAC_RUNTIME_PACKING_H

#include "ir/plan.h"
#include "runtime/thread_pool.h"

/* Bytes of a packed [n_rows, n_columns] f32 matrix; -1 on overflow, and for a parameter that the packing cannot have. */
int64_t packing_bytes(plan_packing packing, uint32_t parameter, int64_t n_rows, int64_t n_columns);

/* Packs `weight` (rank 2, any float dtype, at any address) into `out` (64-byte aligned, packing_bytes long), on all threads of the
 * pool. */
void packing_make(plan_packing packing, uint32_t parameter, const ir_tensor *weight, thread_pool *pool, float *out);

#endif
