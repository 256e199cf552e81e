/*
 * Rows that are chosen when a graph runs (ops labelled_rows and sampled_rows): how many they are, from the inputs alone.
 */
#ifndef POFAC_IR_COUNTED_ROWS_H
#define POFAC_IR_COUNTED_ROWS_H

#include "ir/graph.h"

/*
 * Counts the rows of a labelled_rows or sampled_rows. *count = -1 where its operands come from more than inputs and ops that lay out
 * rows, or a shape is not known from `binding`. *name becomes the input that its labels are. Errors: those of the evaluators of these
 * ops, and short memory.
 */
POFAC_MUST_USE pofac_status count_chosen_rows(const ir_graph *g, const ir_node *n, const tensor_source *inputs, ir_binding binding,
                                              const diag_sink *sink, int64_t *count, const char **name);

#endif
