/* One way to run a model's graph: compiled, or by the interpreter, which is slow and exact. */
#ifndef POFAC_FRONTEND_EXECUTOR_H
#define POFAC_FRONTEND_EXECUTOR_H

#include "frontend/driver/road.h"

typedef enum executor_kind { EXECUTOR_COMPILED, EXECUTOR_INTERPRETER } executor_kind;

typedef struct executor executor;

/* The loaded model must outlive it. */
POFAC_MUST_USE pofac_status executor_create(loaded_model *model, const road_options *road, executor_kind kind,
                                            const diag_sink *sink, executor **out);
void executor_destroy(executor *e); /* NULL is fine */

/* The graph that runs: its inputs and outputs. */
const ir_graph *executor_graph(const executor *e);

POFAC_MUST_USE pofac_status executor_run(executor *e, const tensor_source *inputs, const diag_sink *sink);

/* A result of the last run, valid until the next. POFAC_ERR_USAGE when there is none of that name. */
POFAC_MUST_USE pofac_status executor_output(const executor *e, const char *name, const diag_sink *sink, ir_tensor *out);

#endif
