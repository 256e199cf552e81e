/* One plan and one copy of its weights; see shared_plan.h. */
#include "frontend/driver/shared_plan.h"

pofac_status shared_plan_create(loaded_model *model, const road_options *road, const diag_sink *sink, shared_plan *out) {
    runnable made;
    *out = (shared_plan){0};
    TRY(runnable_compile(model, road, sink, &made));
    pofac_status status = bound_weights_make(made.plan, loaded_model_state(model), made.pool, sink, &out->weights);
    out->plan = made.plan;
    made.borrows_plan = true;
    runnable_destroy(&made);
    if (status != POFAC_OK) shared_plan_destroy(out);
    return status;
}

void shared_plan_destroy(shared_plan *s) {
    if (!s->plan) return;
    bound_weights_free(s->plan, &s->weights);
    plan_destroy(s->plan);
    *s = (shared_plan){0};
}

pofac_status shared_plan_executor(const shared_plan *s, size_t threads, const diag_sink *sink, executor **out) {
    runnable r = {.plan = s->plan, .borrows_plan = true};
    *out = NULL;
    TRY(thread_pool_create(threads, sink, &r.pool));
    pofac_status status = session_create_sharing(s->plan, &s->weights, r.pool, sink, &r.session);
    if (status == POFAC_OK) status = executor_of(r, sink, out);
    if (status != POFAC_OK) runnable_destroy(&r);
    return status;
}
