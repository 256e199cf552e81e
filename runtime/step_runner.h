/*
 * Runs the steps of a plan that have kernels, on a thread pool: chunks of one step, or a series of steps block of rows by block of
 * rows (plan_step.series), so that what one step writes is still in the cache when the next one reads it.
 *
 * Whether a series runs so is decided for each run: where there are fewer blocks than threads, or their number does not divide well,
 * its steps run one after the other, since a step's units can be finer than blocks. Units compute the same either way.
 */
#ifndef POFAC_RUNTIME_STEP_RUNNER_H
#define POFAC_RUNTIME_STEP_RUNNER_H

#include "runtime/session.h"

/* A step under a binding. */
typedef struct bound_step {
    plan_kernel run; /* NULL: an evaluator's */
    void **operands;
    int64_t *dims;
    int64_t units;
} bound_step;

typedef struct step_runner {
    const plan *plan;
    thread_pool *pool;
    bound_step *steps;    /* [n_steps] */
    void **operands;      /* of all steps */
    int64_t *dims;        /* likewise */
    void **own_operands;  /* [threads][most_operands] of a step of a series, as a worker sees them */
    int64_t *begin_ns;    /* [threads] */
    size_t most_operands; /* of a step */
    ir_binding binding;
    char *scratch; /* [threads][scratch_bytes] */
    int64_t scratch_bytes;
} step_runner;

/* POFAC_ERR_RUNTIME when memory is short; step_runner_free is due in any case. */
POFAC_MUST_USE pofac_status step_runner_make(const plan *p, thread_pool *pool, const diag_sink *sink, step_runner *out);
void step_runner_free(step_runner *r);

/* Takes the shapes and the memory of a run; pointers[n_buffers]. The binding stays the caller's. */
void step_runner_bind(step_runner *r, ir_binding binding, void *const *pointers, char *scratch, int64_t scratch_bytes);

/* What a run leaves behind where somebody asks: times_ns[n_steps] grow, spans[n_steps][threads] are set (session_times_ns,
 * session_spans). */
typedef struct step_times {
    int64_t *times_ns;
    session_span *spans;
} step_times;

/* Runs the step, or the series or the loop that begins with it, and returns the number of steps that have run. in_series: other runs follow at
 * once (thread_pool_run_in_series). times may be NULL. */
size_t step_runner_run(const step_runner *r, size_t step, bool in_series, const step_times *times);

#endif
