/*
 * Binding: which numbers the symbols of a graph stand for in one run, found by holding the shapes of the given inputs against the
 * declared types.
 */
#ifndef POFAC_IR_BINDING_H
#define POFAC_IR_BINDING_H

#include "ir/graph.h"

/*
 * Fills values[0, n_values) (index: ir_symbol, up to the largest that the graph uses; -1 where no input says) from the inputs of `g` that `inputs` holds, all
 * of which it must. A dimension `a*X + b` with one unknown symbol X determines it; dimensions of known symbols are checked.
 * Errors, POFAC_ERR_INPUT: rank or dtype differ, two inputs disagree, a number outside of 1 to the declared bound; they name the
 * input, what was found and what was wanted.
 */
POFAC_MUST_USE pofac_status binding_from_inputs(const ir_graph *g, const tensor_source *inputs, const diag_sink *sink,
                                                int64_t *values, size_t n_values);

#endif
