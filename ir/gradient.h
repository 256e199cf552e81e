/*
 * Gradients of ops, as nodes: the column `gradient` of ops.def. Reverse mode (Griewank and Walther 2008, chapter 3): from the
 * gradients of a scalar with respect to a node's results come those with respect to its inputs. The pass `autodiff` calls these
 * from the last node to the first and adds up what different readers of one value give.
 */
#ifndef POFAC_IR_GRADIENT_H
#define POFAC_IR_GRADIENT_H

#include "ir/op.h"

struct ir_gradient {
    ir_graph *graph;         /* where nodes are added; it has the node */
    const ir_node *node;     /* a copy, which stays as the graph grows */
    const ir_value *dresult; /* [n_results]; IR_NO_VALUE: the scalar does not depend on that result. At least one is a value */
    const bool *wanted;      /* [n_inputs]: gradients of other inputs need not be made */
    ir_value *dinput;        /* [n_inputs], IR_NO_VALUE at first: to be filled where wanted; of the input's type */
};

/* Is it a dense_to_sparse whose gradient is made from those of all elements, not of the ones that are taken alone? */
bool takes_all_gradients(const ir_node *n);

/* Reports "OP: message" as the module's error, at the node. */
POFAC_PRINTF(2, 3) void gradient_error(const ir_gradient *g, const char *format, ...);

#endif
