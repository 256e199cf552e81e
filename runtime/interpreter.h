/*
 * The interpreter: the meaning of a graph. Runs every node through its reference evaluator, one after the other, in one thread;
 * slow and exact. Passes and kernels are held against it.
 */
#ifndef POFAC_RUNTIME_INTERPRETER_H
#define POFAC_RUNTIME_INTERPRETER_H

#include "ir/graph.h"

typedef struct interp_output {
    const char *name; /* interned in the graph's context */
    ir_tensor tensor; /* owned */
} interp_output;

/* The graph's outputs, in its order. */
typedef struct interp_results {
    interp_output *outputs;
    size_t n_outputs;
} interp_results;

/* Called after each node with its results, [n->n_results], which live until it returns. Any status but POFAC_OK ends the run. */
typedef struct interp_observer {
    pofac_status (*node)(void *user, const ir_graph *g, const ir_node *n, const ir_tensor *results);
    void *user;
} interp_observer;

/*
 * Runs `g` once. `inputs` gives the input leaves by name, and with their shapes the graph's symbols (ir/binding.h). `state` gives
 * state and patterns by name: floats of another width are converted; the pattern named N is the non-zeros of the matrix N; state
 * declared with nnz(%p) elements may be given dense, [N,K], of which the entries at the pattern's positions are taken. `observer`
 * may be NULL. *out is to be freed with interp_results_free, also after an error. Errors: what the evaluators, the sources and the
 * binding report; POFAC_ERR_INPUT for state that does not fit its leaf; POFAC_ERR_RUNTIME when memory is short.
 */
POFAC_MUST_USE pofac_status interpret_graph(const ir_graph *g, const tensor_source *inputs, const tensor_source *state,
                                            const interp_observer *observer, const diag_sink *sink, interp_results *out);

/* The output of that name; NULL when there is none. */
const ir_tensor *interp_find(const interp_results *r, const char *name);
void interp_results_free(interp_results *r);

#endif
