/*
 * Rows of a pattern within a kernel, a group of rows at a time: dense ones out of its non-zeros, as sparse_to_dense makes them, or its non-zeros themselves.
 */
#ifndef POFAC_CODEGEN_SPARSE_ROWS_H
#define POFAC_CODEGEN_SPARSE_ROWS_H

#include "codegen/kernel.h"

#define SPARSE_ROWS 16 /* of a group: 192 KB of a wide weight of BERT-Base, which stays in L2 between clearing and filling */

/* The layout of PACKING_SPARSE_INDEX that the pattern is wanted in. */
sparse_layout sparse_rows_layout(int64_t K);

/* Writes rows [group * SPARSE_ROWS, ... + n_rows) to dense[n_rows][K], f32: the non-zeros at `values`, in the pattern's own order, and 0 elsewhere. */
void emit_sparse_rows(emitter *e, int64_t N, int64_t K, cg_val index, cg_val values, cg_val group, cg_val n_rows, cg_val dense);

/* Writes code for the non-zeros [first, first + count), in the pattern's own order, of row `row` of the group. */
typedef void (*sparse_row_visit)(emitter *e, void *user, cg_val row, cg_val first, cg_val count);

/* Calls `visit` where the code stands that each visit of a row in the group runs: a row has one in each block of columns, or none where it has no
 * non-zeros there. */
void emit_sparse_row_visits(emitter *e, int64_t N, int64_t K, cg_val index, cg_val group, sparse_row_visit visit, void *user);

#endif
