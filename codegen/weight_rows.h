/*
 * A weight of which each row is computed with by itself: f32 [N,K] in rows, or the non-zeros of a pattern [N,K]. A unit is a group of SPARSE_ROWS rows.
 */
#ifndef POFAC_CODEGEN_WEIGHT_ROWS_H
#define POFAC_CODEGEN_WEIGHT_ROWS_H

#include "codegen/sparse_rows.h"

/* Adds the weight x and, where it is given by its non-zeros, the index of the pattern as operands 0 and 1; parameters N, K, sparse; the work. pattern:
 * IR_NO_VALUE where the weight is dense. False when it is not such a weight. */
bool describe_weight_rows(const cg_group *g, ir_value x, ir_value pattern, cg_kernel *k);

/* Code for the rows of the group: `visit` gets a row of the group and its elements among those of x, which may come in several visits. */
void emit_weight_rows(emitter *e, const cg_kernel *k, cg_val group, sparse_row_visit visit, void *user);

#endif
