/*
 * Rows of a dense matrix out of the non-zeros of a pattern, within a kernel: what sparse_to_dense does, a group of rows at a time.
 */
#ifndef POFAC_CODEGEN_SPARSE_ROWS_H
#define POFAC_CODEGEN_SPARSE_ROWS_H

#include "codegen/kernel.h"

#define SPARSE_ROWS 16 /* of a group: 192 KB of a wide weight of BERT-Base, which stays in L2 between clearing and filling */

/* The layout of PACKING_SPARSE_INDEX that the pattern is wanted in. */
sparse_layout sparse_rows_layout(int64_t K);

/* Writes rows [group * SPARSE_ROWS, ... + n_rows) to dense[n_rows][K], f32: the non-zeros at `values`, in the pattern's own order, and 0 elsewhere. */
void emit_sparse_rows(emitter *e, int64_t N, int64_t K, cg_val index, cg_val values, cg_val group, cg_val n_rows, cg_val dense);

#endif
