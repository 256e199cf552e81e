/*
 * The memory of a training step before it is made, by what it is for, and the most that may be kept within a bound.
 *
 * Everything is counted on the graph behind the pass plan-memory, so nothing needs to be compiled or run: state by its leaves, each
 * name once; the arena by its slots. What kernels hold beside it (weights in their order, scratch) is known of a session
 * (session_memory_at) and is added where there is one.
 */
#ifndef POFAC_FRONTEND_TRAINING_MEMORY_H
#define POFAC_FRONTEND_TRAINING_MEMORY_H

#include "frontend/driver/batch_memory.h"
#include "frontend/driver/training.h"

/* Bytes. Of sparse weights the non-zeros count, in `parameters` as in all that has their form. */
typedef struct step_memory {
    int64_t parameters, moments, gradient_sums; /* state: written by every update; sums where a step is several runs */
    int64_t patterns;                           /* positions of non-zeros, and masks */
    int64_t inputs;                             /* one batch */
    int64_t kept;                               /* activations that wait for the backward pass, in the arena as what follows */
    int64_t gradients;              /* of parameters, as far as they do not take the place of activations that were read */
    int64_t working;                /* the rest of the arena */
    int64_t kernels;                /* weights in the order that kernels want, and scratch; 0 where there is no session */
    int64_t layers;                 /* how many the scopes tell apart */
    double kept_per_token_in_layer; /* of the layer that keeps most */
} step_memory;

/* The sum of all. */
int64_t step_memory_bytes(const step_memory *m);

/* Of one graph of a training step under a batch of that shape. `weights` says how many non-zeros patterns have, as non-zeros or dense;
 * NULL: the graph has none. POFAC_ERR_INPUT when it cannot be counted in 63 bits. */
POFAC_MUST_USE pofac_status step_memory_of_graph(const ir_graph *g, batch_shape shape, const tensor_source *weights,
                                                 const diag_sink *sink, step_memory *out);

/* Of all graphs of the module together. */
POFAC_MUST_USE pofac_status step_memory_of_module(const ir_module *m, batch_shape shape, const tensor_source *weights,
                                                  const diag_sink *sink, step_memory *out);

/* Of a step as training_create has made it, with what its kernels hold. */
POFAC_MUST_USE pofac_status step_memory_of_training(training *t, batch_shape shape, const diag_sink *sink, step_memory *out);

/*
 * Chooses what is computed again (o->recompute, where it is NULL or "auto") so that a step on such a batch fits into max_bytes: the
 * first of cheap, partial and full that does; "cheap" without a bound (0). Nothing is compiled, so what kernels hold is left out. POFAC_ERR_USAGE with the numbers when not even full fits, or not the mode that was asked for. *out is
 * what the chosen one needs.
 */
POFAC_MUST_USE pofac_status training_fit_memory(loaded_model *model, training_options *o, batch_shape shape, int64_t max_bytes,
                                                const diag_sink *sink, step_memory *out);

/* Lines "parameters 438.0 MB" and so on, each with `indent` before it, and what they add up to; kinds of 0 bytes are left out. */
void step_memory_print(const step_memory *m, const char *indent, strbuf *out);

/* Floating-point operations of one run of a compiled step on such a batch, as far as kernels say; 0 for the interpreter. What a step that
 * was measured took, times the ratio of both batches' numbers, is about what the other will take. */
double training_flops(training *t, batch_shape shape);

/* Seconds that a run of a compiled step on such a batch takes if its products run as fast as this machine's BLAS on one thread multiplies
 * matrices, measured here in about 0.1 s, times the threads of the step: an estimate to within a factor of two. 0 for the interpreter, and
 * where there is no memory to measure in. */
double training_seconds(training *t, batch_shape shape);

#endif
