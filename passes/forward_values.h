/*
 * What of a training step's graph is its forward pass, and which of its values wait for the backward pass: the ones that passes
 * about memory work on.
 *
 * Forward are the nodes up to the last that computes an output "loss" or "loss.LABELS"; those behind it, as autodiff puts them, are the
 * backward pass and the update. A layer is known by its scope up to the first number: "encoder.layer.3".
 */
#ifndef POFAC_PASSES_FORWARD_VALUES_H
#define POFAC_PASSES_FORWARD_VALUES_H

#include "ir/op.h"

#define NO_NODE UINT32_MAX

typedef struct forward_values {
    const ir_graph *g;
    bool *is_forward;             /* [nodes] */
    const char **layer;           /* [nodes] name of the layer, one pointer for equal names; NULL: in no layer */
    bool *is_output;              /* [values] */
    uint32_t *last_forward_use;   /* [values] node, at least the value's own */
    uint32_t *first_backward_use; /* [values] node; NO_NODE: the backward pass does not read it */
    uint32_t *products;           /* [nodes + 1] how many nodes before this one multiply matrices */
} forward_values;

/* Arrays live in `a`. POFAC_ERR_RUNTIME when memory is short, with a message. */
POFAC_MUST_USE pofac_status forward_values_find(const ir_graph *g, arena *a, const diag_sink *sink, forward_values *out);

/* Is it computed by the forward pass and read by the backward pass? Leaves, and what is an output, do not count. */
bool forward_value_waits(const forward_values *f, ir_value v);

/* Is there a product between its last use in the forward pass and its first in the backward pass? Else it is in memory anyway. */
bool forward_value_waits_long(const forward_values *f, ir_value v);

/* Bytes per row of a tensor with dimensions that are bound by a batch; 0 of other values. */
int64_t value_row_bytes(const ir_graph *g, ir_value v);

/* Is it float and large enough to be worth work? Sums and moments per row, indices, biases are not. */
bool value_is_large(const ir_graph *g, ir_value v);

#endif
