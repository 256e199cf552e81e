/* One way to run a model's graph: compiled, or by the interpreter, which is slow and exact. */
#ifndef POFAC_FRONTEND_EXECUTOR_H
#define POFAC_FRONTEND_EXECUTOR_H

#include "frontend/driver/interruption.h"
#include "frontend/driver/run_profile.h"

typedef enum executor_kind { EXECUTOR_COMPILED, EXECUTOR_INTERPRETER } executor_kind;

typedef struct executor executor;

/* The loaded model must outlive it. */
POFAC_MUST_USE pofac_status executor_create(loaded_model *model, const road_options *road, executor_kind kind,
                                            const diag_sink *sink, executor **out);
void executor_destroy(executor *e); /* NULL is fine */

/* The same without weights, and other weights for the runs that follow, by the names of parameters: those of a run of training, say. What is
 * packed of them is a copy. NULL: none, and what was packed is freed. They outlive the runs. */
POFAC_MUST_USE pofac_status executor_compile(loaded_model *model, const road_options *road, executor_kind kind,
                                             const diag_sink *sink, executor **out);
POFAC_MUST_USE pofac_status executor_bind(executor *e, const tensor_source *weights, const diag_sink *sink);

/* What runs a runnable with a session; takes it over, but not after an error. */
POFAC_MUST_USE pofac_status executor_of(runnable r, const diag_sink *sink, executor **out);

/* The graph that runs: its inputs and outputs. */
const ir_graph *executor_graph(const executor *e);

/* What runs compiled; NULL for the interpreter. */
const runnable *executor_runnable(const executor *e);

/* Every run from now on is taken into `profile` (NULL: none). POFAC_ERR_USAGE for the interpreter. */
POFAC_MUST_USE pofac_status executor_set_profile(executor *e, run_profile *profile, const diag_sink *sink);

/* The interpreter stops between two nodes when a signal has come (NULL: never); compiled runs are short and end. */
void executor_watch(executor *e, interruption *stop);

/* The most sequences of `length` tokens, up to `most`, of a run within max_memory bytes (0: no bound); with `report`, a note says what
 * such a run needs. POFAC_ERR_USAGE with the numbers when not one fits, and for the interpreter when a bound or a report is wanted. */
POFAC_MUST_USE pofac_status executor_fit_batch(const executor *e, int64_t length, int64_t most, int64_t max_memory, bool report,
                                               const diag_sink *sink, int64_t *out);

/* POFAC_ERR_INTERRUPTED, without a message, when it was stopped. */
POFAC_MUST_USE pofac_status executor_run(executor *e, const tensor_source *inputs, const diag_sink *sink);

/* A result of the last run, valid until the next. POFAC_ERR_USAGE when there is none of that name. */
POFAC_MUST_USE pofac_status executor_output(const executor *e, const char *name, const diag_sink *sink, ir_tensor *out);

/* The same as a collection. */
tensor_source executor_outputs(executor *e);

#endif
