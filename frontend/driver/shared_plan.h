/*
 * A model compiled once, with its weights in memory once, for any number of executors that run at the same time: each has a session
 * and threads of its own. Nobody writes a shared plan once it is made.
 */
#ifndef POFAC_FRONTEND_SHARED_PLAN_H
#define POFAC_FRONTEND_SHARED_PLAN_H

#include "frontend/driver/executor.h"
#include "runtime/bound_weights.h"

typedef struct shared_plan {
    plan *plan;
    bound_weights weights;
} shared_plan;

/* Compiles and packs on the road's threads, which end with it. The loaded model must outlive it. After an error there is nothing to destroy. */
POFAC_MUST_USE pofac_status shared_plan_create(loaded_model *model, const road_options *road, const diag_sink *sink,
                                               shared_plan *out);
void shared_plan_destroy(shared_plan *s); /* fine when nothing was made */

/* What runs it on so many threads. It must not outlive the plan, and cannot be bound to other weights. Threads may create executors at the same time. */
POFAC_MUST_USE pofac_status shared_plan_executor(const shared_plan *s, size_t threads, const diag_sink *sink, executor **out);

#endif
