/*
 * State of a training run: all tensors that its graphs read and replace - parameters, moments, sums of gradients -, writable, by name.
 *
 * A session that is bound to the store (state_store_source) writes what a step changes where it lies, so the store has the state as it is
 * after each run; sessions of several graphs share one store. Non-zeros of a sparse weight, of its moments and of its gradient carry
 * their pattern, which the store owns and of which there is one per weight.
 */
#ifndef POFAC_RUNTIME_STATE_STORE_H
#define POFAC_RUNTIME_STATE_STORE_H

#include "ir/graph.h"
#include "ir/tensor.h"

typedef struct state_store state_store;

typedef struct state_entry {
    const char *name;
    ir_tensor tensor; /* 64-byte aligned, the store's; non-zeros: [nnz], with .pattern set, the store's too */
} state_entry;

/*
 * Room for every state leaf of the graphs of `m`, in the dtypes that they declare: parameters copied from `initial` (converted where the
 * dtypes of floats differ; of a leaf of nnz(pattern) elements, the elements of the dense weight [N,K] at the non-zeros of the pattern's
 * own weight), zeros for NAME.exp_avg, NAME.exp_avg_sq, NAME.momentum_buffer and gradient.NAME of a leaf NAME, which `initial` is not
 * asked for. What is copied is released at once (tensor_source.release). POFAC_ERR_INPUT: a tensor of another shape or kind, or a
 * leaf whose shape is neither numbers nor non-zeros; two leaves of one name with different types; memory that cannot be counted.
 */
POFAC_MUST_USE pofac_status state_store_create(const ir_module *m, const tensor_source *initial, const diag_sink *sink,
                                               state_store **out);
void state_store_destroy(state_store *s); /* NULL is fine */

/* Views of the store's memory by name, as long as it lives; POFAC_ERR_INPUT: there is none of that name. */
const tensor_source *state_store_source(state_store *s);

/* The entries in the order of the leaves. */
size_t state_store_size(const state_store *s);
state_entry *state_store_at(state_store *s, size_t i);
state_entry *state_store_find(state_store *s, const char *name); /* NULL: there is none */

/* Bytes of all tensors, and of the positions of non-zeros. */
int64_t state_store_bytes(const state_store *s);
int64_t state_store_pattern_bytes(const state_store *s);

/* The weight NAME of a moment NAME.exp_avg, NAME.exp_avg_sq, NAME.momentum_buffer or a sum gradient.NAME: its begin in `name` and its
 * length in *length; NULL: the name is none of these. */
const char *state_parameter_of(const char *name, size_t *length);

#endif
