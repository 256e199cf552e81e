/* Running a graph either way; see executor.h. */
#include "frontend/driver/executor.h"

#include <stdlib.h>

#include "frontend/driver/batch_memory.h"
#include "runtime/interpreter.h"

struct executor {
    executor_kind kind;
    const tensor_source *weights;
    runnable compiled;
    ir_module *module; /* of the interpreter */
    interp_results results;
    run_profile *profile;
    interruption *stop;
};

pofac_status executor_create(loaded_model *model, const road_options *road, executor_kind kind, const diag_sink *sink,
                             executor **out) {
    TRY(executor_compile(model, road, kind, sink, out));
    pofac_status status = executor_bind(*out, loaded_model_state(model), sink);
    if (status == POFAC_OK) return POFAC_OK;
    executor_destroy(*out);
    *out = NULL;
    return status;
}

void executor_destroy(executor *e) {
    if (!e) return;
    interp_results_free(&e->results);
    module_destroy(e->module);
    runnable_destroy(&e->compiled);
    free(e);
}

pofac_status executor_compile(loaded_model *model, const road_options *road, executor_kind kind, const diag_sink *sink,
                              executor **out) {
    *out = NULL;
    executor *e = calloc(1, sizeof *e);
    if (!e) return diag_out_of_memory(sink);
    e->kind = kind;
    pofac_status status = kind == EXECUTOR_COMPILED ? runnable_compile(model, road, sink, &e->compiled)
                                                    : road_build_for_interpreter(model, road, sink, &e->module);
    if (status == POFAC_OK) *out = e;
    else executor_destroy(e);
    return status;
}

pofac_status executor_bind(executor *e, const tensor_source *weights, const diag_sink *sink) {
    e->weights = weights;
    if (e->kind != EXECUTOR_COMPILED) return POFAC_OK;
    session_destroy(e->compiled.session);
    e->compiled.session = NULL;
    return weights ? session_create(e->compiled.plan, weights, e->compiled.pool, sink, &e->compiled.session) : POFAC_OK;
}

pofac_status executor_of(runnable r, const diag_sink *sink, executor **out) {
    *out = calloc(1, sizeof **out);
    if (!*out) return diag_out_of_memory(sink);
    **out = (executor){.kind = EXECUTOR_COMPILED, .compiled = r};
    return POFAC_OK;
}

const ir_graph *executor_graph(const executor *e) {
    return e->kind == EXECUTOR_COMPILED ? e->compiled.plan->graph : module_find_graph(e->module, ROAD_GRAPH);
}

const runnable *executor_runnable(const executor *e) { return e->kind == EXECUTOR_COMPILED ? &e->compiled : NULL; }

pofac_status executor_set_profile(executor *e, run_profile *profile, const diag_sink *sink) {
    e->profile = NULL;
    if (!profile) return POFAC_OK;
    if (e->kind != EXECUTOR_COMPILED)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "the interpreter has no kernels that a profile could show");
    TRY(run_profile_attach(profile, &e->compiled, sink));
    e->profile = profile;
    return POFAC_OK;
}

void executor_watch(executor *e, interruption *stop) { e->stop = stop; }

pofac_status executor_fit_batch(const executor *e, int64_t length, int64_t most, int64_t max_memory, bool report,
                                const diag_sink *sink, int64_t *out) {
    *out = most;
    if (max_memory == 0 && !report) return POFAC_OK;
    if (e->kind != EXECUTOR_COMPILED)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "the interpreter has no memory plan, which --memory and --max_memory need");
    TRY(batch_memory_fit(&e->compiled, length, most, max_memory, sink, out));
    return report ? batch_memory_note(&e->compiled, *out, length, sink) : POFAC_OK;
}

static pofac_status stop_between_nodes(void *user, const ir_graph *g, const ir_node *n, const ir_tensor *results) {
    (void)g;
    (void)n;
    (void)results;
    return interruption_check(user) ? POFAC_ERR_INTERRUPTED : POFAC_OK;
}

pofac_status executor_run(executor *e, const tensor_source *inputs, const diag_sink *sink) {
    if (e->kind == EXECUTOR_COMPILED) {
        TRY(session_run(e->compiled.session, inputs, sink));
        return e->profile ? run_profile_add(e->profile, &e->compiled, sink) : POFAC_OK;
    }
    const interp_observer observer = {stop_between_nodes, e->stop};
    interp_results_free(&e->results);
    return interpret_graph(executor_graph(e), inputs, e->weights, &observer, sink, &e->results);
}

pofac_status executor_output(const executor *e, const char *name, const diag_sink *sink, ir_tensor *out) {
    if (e->kind == EXECUTOR_COMPILED) return session_output(e->compiled.session, name, sink, out);
    const ir_tensor *t = interp_find(&e->results, name);
    if (!t) return diag_error(sink, POFAC_ERR_USAGE, NULL, "the graph has no output \"%s\"", name);
    *out = *t;
    out->owned = false;
    return POFAC_OK;
}

static pofac_status get_output(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    return executor_output(user, name, sink, out);
}

tensor_source executor_outputs(executor *e) { return (tensor_source){.get = get_output, .user = e}; }
