/*
 * A sparse weight in 8 bits, as kernels of integer products read it (PACKING_INT8_SPARSE): a pattern, its non-zeros and the range of the weight, or of each
 * of its rows -> header, entries, values and sums of rows in one of the layouts of ir/sparse_layout.h for 8 bits.
 *
 * Quantized symmetrically (ir/quantization.h). The same bytes for any number of threads.
 */
#ifndef POFAC_RUNTIME_INT8_SPARSE_PACKING_H
#define POFAC_RUNTIME_INT8_SPARSE_PACKING_H

#include "ir/sparse_layout.h"
#include "ir/tensor.h"
#include "runtime/thread_pool.h"

/*
 * values: the non-zeros, [nnz] of any float dtype; range: f32 [2] or [n_rows,2], none empty (int8_range_is_none). `name` is that of the weight, for
 * messages. POFAC_ERR_INPUT: the layout is outside of its limits. *out, (*out)->bytes long, is memory of runtime/weight_memory.h, to be given
 * back there; NULL after an error.
 */
POFAC_MUST_USE pofac_status int8_sparse_make(const sparse_layout *layout, const ir_pattern *pattern, const ir_tensor *values,
                                             const ir_tensor *range, const char *name, thread_pool *pool, const diag_sink *sink,
                                             sparse_header **out);

#endif
