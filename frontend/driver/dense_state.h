/*
 * The weights of a run's state as graphs of inference want them: dense, under their names. Those that the state has as non-zeros, or under
 * masks, are made when they are asked for and freed when all who asked have released them; the others are views of the state.
 */
#ifndef POFAC_FRONTEND_DENSE_STATE_H
#define POFAC_FRONTEND_DENSE_STATE_H

#include "runtime/state_store.h"

typedef struct dense_state dense_state;

/* The state outlives it. */
POFAC_MUST_USE pofac_status dense_state_create(state_store *state, const diag_sink *sink, dense_state **out);
void dense_state_destroy(dense_state *d); /* NULL is fine */

const tensor_source *dense_state_source(const dense_state *d);

/* Share of zeros over all entries of the weights that have a pattern, 0 where none has. */
double state_sparsity(state_store *state);

#endif
