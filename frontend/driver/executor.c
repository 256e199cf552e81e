/* Running a graph either way; see executor.h. */
#include "frontend/driver/executor.h"

#include <stdlib.h>

#include "runtime/interpreter.h"

struct executor {
    executor_kind kind;
    loaded_model *model;
    runnable compiled;
    ir_module *module; /* of the interpreter */
    interp_results results;
};

pofac_status executor_create(loaded_model *model, const road_options *road, executor_kind kind, const diag_sink *sink,
                             executor **out) {
    *out = NULL;
    executor *e = calloc(1, sizeof *e);
    if (!e) return diag_out_of_memory(sink);
    e->kind = kind;
    e->model = model;
    pofac_status status =
        kind == EXECUTOR_COMPILED ? runnable_create(model, road, sink, &e->compiled) : road_build(model, road, sink, &e->module);
    if (status == POFAC_OK) *out = e;
    else executor_destroy(e);
    return status;
}

void executor_destroy(executor *e) {
    if (!e) return;
    interp_results_free(&e->results);
    module_destroy(e->module);
    runnable_destroy(&e->compiled);
    free(e);
}

const ir_graph *executor_graph(const executor *e) {
    return e->kind == EXECUTOR_COMPILED ? e->compiled.plan->graph : module_find_graph(e->module, ROAD_GRAPH);
}

pofac_status executor_run(executor *e, const tensor_source *inputs, const diag_sink *sink) {
    if (e->kind == EXECUTOR_COMPILED) return session_run(e->compiled.session, inputs, sink);
    interp_results_free(&e->results);
    return interpret_graph(executor_graph(e), inputs, loaded_model_state(e->model), NULL, sink, &e->results);
}

pofac_status executor_output(const executor *e, const char *name, const diag_sink *sink, ir_tensor *out) {
    if (e->kind == EXECUTOR_COMPILED) return session_output(e->compiled.session, name, sink, out);
    const ir_tensor *t = interp_find(&e->results, name);
    if (!t) return diag_error(sink, POFAC_ERR_USAGE, NULL, "the graph has no output \"%s\"", name);
    *out = *t;
    out->owned = false;
    return POFAC_OK;
}
