/*
 * Model -> a training step that runs; see training.h.
 *
 * The module has the graph "step" and, with accumulate, "step_apply". Each is compiled from a module of its own (a plan owns one), into
 * sessions on one pool of threads that bind the same store. The interpreter runs the same graphs as autodiff and optimizer left them,
 * and puts the next contents into the store when a run is over.
 *
 * With masks, sessions are made when the first run needs them, and packed anew when the store's masks are others than they were made for. When masks
 * have so many more or fewer entries that other kernels may cost less, the module is built again; if it is another one, it is compiled
 * and takes the place of the one before, on the same store.
 */
#include "frontend/driver/training_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/file_map.h"
#include "ir/text.h"

/* ---- the graphs ---- */

static pofac_status build_graph(loaded_model *model, const training_options *o, const diag_sink *sink, ir_module **out) {
    ir_module *m = module_create(loaded_model_context(model), sink);
    if (!m) return diag_out_of_memory(sink);
    model_graph_options graph = o->road.graph;
    graph.with_loss = graph.training = true;
    distillation_set_student(o->distillation, &graph);
    if (!loaded_model_has_embeddings(model)) graph.from_embedding_output = true;
    if (!loaded_model_has_pooler(model)) graph.without_pooler = true;
    pofac_status status = model_graph_build(m, TRAINING_STEP, loaded_model_spec(model), &graph);
    if (status == POFAC_OK) status = loaded_model_bind(model, module_find_graph(m, TRAINING_STEP), sink);
    if (status == POFAC_OK && o->distillation) status = distillation_add_teacher(o->distillation, model, &graph, m, sink);
    if (status == POFAC_OK) *out = m;
    else module_destroy(m);
    return status;
}

static void put_optimizer(const training_options *o, strbuf *out) {
    strbuf_printf(out, "optimizer{optim=%s,beta1=%.17g,beta2=%.17g,epsilon=%.17g", o->optim ? o->optim : "adamw_torch", o->beta1,
                  o->beta2, o->epsilon);
    strbuf_printf(out, ",momentum=%.17g,weight_decay=%.17g,max_grad_norm=%.17g,accumulate=%d}", o->momentum, o->weight_decay,
                  o->max_grad_norm, o->accumulate ? 1 : 0);
}

/* What originals learn with, as the pass `prune` calls it. */
static const char *mask_gradient(const pruning_method *method) {
    if (method->needs == PRUNING_MOVEMENT) return "movement";
    return method->gradient == PRUNING_STRAIGHT ? "straight" : "masked";
}

/* What stands before gradients: a teacher, locked zeros, masks. */
static void put_operands(const training_options *o, strbuf *out) {
    if (o->distillation) {
        distillation_put_pass(o->distillation, &o->road.graph, out);
        strbuf_puts(out, o->distillation->teacher ? ",lock{min_sparsity=50,of_teacher=1}," : ",");
    }
    if (o->lock) strbuf_puts(out, "lock{min_sparsity=0},"); /* train-products chooses */
    if (o->pruning) strbuf_printf(out, "prune{gradient=%s},", mask_gradient(o->pruning->method));
}

/* Ranges are learned of tokens that are there, all of them: padding goes before, rows that nobody reads after. Or of padding too, which then stays. */
static void put_quantize(const training_options *o, bool learns, strbuf *out) {
    if (!o->quantization->observe_padding) strbuf_puts(out, "simplify,unpad,");
    if (learns) strbuf_printf(out, "quantize{begin=%" PRId64 "}", o->quantization->begin);
    else strbuf_puts(out, "quantize{trained=0}");
}

static void put_gradients(const training_options *o, strbuf *out) {
    const bool is_compiled = o->kind == EXECUTOR_COMPILED;
    if (!o->quantization) {
        strbuf_puts(out, is_compiled ? "train-step," : "simplify,autodiff,");
        return;
    }
    put_quantize(o, true, out);
    strbuf_puts(out, is_compiled && !o->quantization->observe_padding ? ",dead-tokens" : "");
    strbuf_puts(out, is_compiled ? ",simplify,tile-loss,autodiff," : ",simplify,autodiff,");
}

/* The pipeline as text: the rows train-step and train-kernels with what the options ask for between them. */
static void put_pipeline(const training_options *o, strbuf *out) {
    put_operands(o, out);
    put_gradients(o, out);
    put_optimizer(o, out);
    strbuf_puts(out, o->kind == EXECUTOR_COMPILED ? ",train-kernels" : ",canonicalize,cse,dce");
    strbuf_printf(out, ",recompute{mode=%s}", o->recompute ? o->recompute : "cheap");
    if (o->bf16) strbuf_puts(out, ",store-bf16");
    if (o->kind == EXECUTOR_COMPILED) strbuf_puts(out, ",fuse,plan-memory");
}

/* The module that a file has; the model's own graph is made as well, so that its parameters are bound. */
static pofac_status read_module(loaded_model *model, const training_options *o, const diag_sink *sink, ir_module **out) {
    const diag_place place = {.file = o->step_file};
    ir_module *own, *m = NULL;
    file_map file;
    TRY(build_graph(model, o, sink, &own));
    module_destroy(own);
    TRY(file_map_open(o->step_file, sink, &file));
    pofac_status status =
        text_parse_module(loaded_model_context(model), o->step_file, (const char *)file.data, file.size_bytes, NULL, sink, &m);
    file_map_close(&file);
    TRY(status);
    if (!module_find_graph(m, TRAINING_STEP))
        status = diag_error(sink, POFAC_ERR_INPUT, &place, "found no graph " TRAINING_STEP ", wanted one");
    else if (o->accumulate != (module_find_graph(m, TRAINING_APPLY) != NULL))
        status =
            diag_error(sink, POFAC_ERR_INPUT, &place, "found %s graph " TRAINING_APPLY ", wanted %s of a step of %s",
                       o->accumulate ? "no" : "a", o->accumulate ? "that" : "none", o->accumulate ? "several runs" : "one run");
    if (status == POFAC_OK) *out = m;
    else module_destroy(m);
    return status;
}

static const loaded_model *teacher_of(const training_options *o) { return o->distillation ? o->distillation->teacher : NULL; }

static bool is_pruned(void *user, const char *weight) {
    const training_pruning *p = user;
    for (size_t i = 0; i < p->n_weights; i++)
        if (strcmp(p->weights[i].name, weight) == 0) return true;
    return false;
}

/* Passes over the frontend's graph `m`, which is taken over. */
static pofac_status optimize(loaded_model *model, const training_options *o, const road_options *road, const mask_counts *counts,
                             ir_module *m, const diag_sink *sink, ir_module **out) {
    road_options r = *road;
    joined_weights stored;
    mask_counts *own = NULL;
    joined_weights_init(&stored, loaded_model_stored(model), distillation_stored(o->distillation));
    r.state = &stored.source;
    if (o->quantization) {
        r.quantizes = quantization_plan_of;
        r.quantizes_user = (void *)(uintptr_t)o->quantization;
    }
    if (!o->pruning) return road_optimize(model, m, &r, sink, out);
    if (!counts) {
        const pofac_status status = mask_counts_create(o->pruning, m, &stored.source, sink, &own);
        if (status != POFAC_OK) {
            module_destroy(m);
            return status;
        }
        counts = own;
    }
    r.state = mask_counts_source(counts);
    r.prunes = is_pruned;
    r.prunes_user = (void *)(uintptr_t)o->pruning;
    pofac_status status = road_optimize(model, m, &r, sink, out);
    mask_counts_destroy(own);
    if (status == POFAC_OK) status = step_pruning_check(o->pruning, *out, sink);
    if (status != POFAC_OK) {
        module_destroy(*out);
        *out = NULL;
    }
    return status;
}

pofac_status training_build_for(loaded_model *model, const training_options *o, const mask_counts *counts, const diag_sink *sink,
                                ir_module **out) {
    strbuf text = STRBUF_INIT, variants = STRBUF_INIT;
    road_options road = o->road;
    ir_module *m = NULL;
    *out = NULL;
    if (o->step_file) return read_module(model, o, sink, out);
    if (o->pipeline) strbuf_puts(&text, o->pipeline);
    else put_pipeline(o, &text);
    road.pipeline = strbuf_str(&text);
    if (o->pruning && o->chosen) {
        strbuf_printf(&variants, "%s%s%s", road.kernel_variants ? road.kernel_variants : "", road.kernel_variants ? "\n" : "",
                      o->chosen);
        road.kernel_variants = strbuf_str(&variants);
    }
    pofac_status status = strbuf_ok(&text) && strbuf_ok(&variants) ? build_graph(model, o, sink, &m) : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = optimize(model, o, &road, counts, m, sink, out);
    strbuf_free(&variants);
    strbuf_free(&text);
    return status;
}

pofac_status training_build(loaded_model *model, const training_options *o, const diag_sink *sink, ir_module **out) {
    return training_build_for(model, o, NULL, sink, out);
}

/* ---- compiled ---- */

/* What the graph computes as the next content of state must go there. */
static pofac_status check_outputs(const training *t, const plan *p, const diag_sink *sink) {
    for (size_t i = 0; i < p->n_outputs; i++) {
        if (!state_store_find(t->store, p->outputs[i].name) || p->buffers[p->outputs[i].buffer].kind == PLAN_STATE) continue;
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "graph %s: the output \"%s\" replaces state that the graph does not read",
                          p->graph->name, p->outputs[i].name);
    }
    return POFAC_OK;
}

static pofac_status compile_graph(ir_module *module, const char *graph, const cg_options *codegen, const diag_sink *sink,
                                  runnable *r) {
    TRY(cg_compile(module, graph, codegen, sink, &r->plan));
    r->build_seconds = r->plan->compile_seconds;
    return POFAC_OK;
}

/* A second module like `m`: the pass that plans memory makes a new one, and plans as it did. */
static pofac_status copy_module(const ir_module *m, const diag_sink *sink, ir_module **out) {
    const pass_environment environment = {0};
    return pass_plan_memory(&(pass_input){.module = m, .environment = &environment, .pass = "plan-memory", .sink = sink}, out);
}

/* Takes over `m`. */
static pofac_status compile_graphs(ir_module *m, bool accumulate, const cg_options *codegen, const diag_sink *sink, runnable *run,
                                   runnable *apply) {
    ir_module *other = NULL;
    if (accumulate) {
        pofac_status status = copy_module(m, sink, &other);
        if (status == POFAC_OK) status = compile_graph(other, TRAINING_APPLY, codegen, sink, apply);
        if (status != POFAC_OK) {
            module_destroy(m);
            return status;
        }
    }
    return compile_graph(m, TRAINING_STEP, codegen, sink, run);
}

pofac_status training_compile(training *t, const road_options *road, ir_module *m, const diag_sink *sink) {
    arena a = ARENA_INIT;
    cg_options codegen;
    runnable run = {0}, apply = {0};
    pofac_status status = road_codegen_options(road, &a, sink, &codegen);
    if (status == POFAC_OK) status = compile_graphs(m, t->accumulate, &codegen, sink, &run, &apply);
    else module_destroy(m);
    arena_free(&a);
    if (status == POFAC_OK) {
        thread_pool *pool = t->run.pool;
        t->run.pool = NULL;
        runnable_destroy(&t->run);
        runnable_destroy(&t->apply);
        t->run = run;
        t->run.pool = pool;
        t->apply = apply;
    } else {
        runnable_destroy(&run);
        runnable_destroy(&apply);
    }
    return status;
}

pofac_status training_start_session(training *t, runnable *r, const diag_sink *sink) {
    TRY(check_outputs(t, r->plan, sink));
    return session_create(r->plan, state_store_source(t->store), t->run.pool, sink, &r->session);
}

static pofac_status make_compiled(training *t, const training_options *o, ir_module *m, const diag_sink *sink) {
    TRY(training_compile(t, &o->road, m, sink));
    TRY(thread_pool_create(o->road.threads, sink, &t->run.pool));
    TRY(state_store_create(t->run.plan->module, &t->weights.source, sink, &t->store));
    if (t->pruning) return POFAC_OK;
    TRY(training_start_session(t, &t->run, sink));
    return t->accumulate ? training_start_session(t, &t->apply, sink) : POFAC_OK;
}

/* ---- interpreted ---- */

/* Puts the next contents of state into the store. */
static void keep_state(training *t, const interp_results *r) {
    for (size_t i = 0; i < r->n_outputs; i++) {
        const state_entry *e = state_store_find(t->store, r->outputs[i].name);
        if (e && e->tensor.data) memcpy(e->tensor.data, r->outputs[i].tensor.data, tensor_bytes(&e->tensor));
    }
}

static pofac_status interpret(training *t, const char *graph, const tensor_source *inputs, const diag_sink *sink,
                              interp_results *out) {
    interp_results_free(out);
    TRY(interpret_graph(module_find_graph(t->module, graph), inputs, state_store_source(t->store), NULL, sink, out));
    keep_state(t, out);
    return POFAC_OK;
}

/* ---- life ---- */

static pofac_status make_step(training *t, const training_options *o, const diag_sink *sink, ir_module **out) {
    ir_module *graph;
    if (!o->pruning) return training_build(t->model, o, sink, out);
    TRY(build_graph(t->model, o, sink, &graph));
    const pofac_status status = step_pruning_create(t, o, graph, sink);
    module_destroy(graph);
    return status == POFAC_OK ? step_pruning_build(t, sink, out) : status;
}

/* Whose ranges there are: of the step's graph before its gradients, behind the pass that made them. */
static pofac_status find_ranges(training *t, const training_options *o, const diag_sink *sink) {
    training_options plain = *o;
    strbuf text = STRBUF_INIT;
    ir_module *m = NULL;
    put_operands(o, &text);
    put_quantize(o, false, &text);
    plain.pipeline = strbuf_str(&text);
    plain.step_file = plain.chosen = NULL;
    plain.road.kernel_choices = NULL;
    plain.road.observer = NULL;
    pofac_status status = strbuf_ok(&text) ? training_build_for(t->model, &plain, NULL, sink, &m) : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = learned_ranges_create(module_find_graph(m, TRAINING_STEP), o->quantization, sink, &t->ranges);
    module_destroy(m);
    strbuf_free(&text);
    return status;
}

static pofac_status make_training(training *t, const training_options *o, const diag_sink *sink) {
    ir_module *m = NULL;
    TRY(make_step(t, o, sink, &m));
    t->accumulate = module_find_graph(m, TRAINING_APPLY) != NULL;
    if (t->kind == EXECUTOR_COMPILED) {
        TRY(make_compiled(t, o, m, sink));
    } else {
        t->module = m;
        if (t->pruning) TRY(thread_pool_create(o->road.threads, sink, &t->run.pool));
        TRY(state_store_create(m, &t->weights.source, sink, &t->store));
    }
    if (o->quantization) TRY(find_ranges(t, o, sink));
    return t->pruning ? step_pruning_find_state(t, sink) : POFAC_OK;
}

pofac_status training_create(loaded_model *model, const training_options *o, const diag_sink *sink, training **out) {
    *out = NULL;
    training *t = calloc(1, sizeof *t);
    if (!t) return diag_out_of_memory(sink);
    t->kind = o->kind;
    t->model = model;
    joined_weights_init(&t->weights, loaded_model_state(model), teacher_of(o) ? loaded_model_state(teacher_of(o)) : NULL);
    joined_weights_init(&t->stored, loaded_model_stored(model), distillation_stored(o->distillation));
    const pofac_status status = make_training(t, o, sink);
    if (status == POFAC_OK) *out = t;
    else training_destroy(t);
    return status;
}

void training_destroy(training *t) {
    if (!t) return;
    interp_results_free(&t->results);
    interp_results_free(&t->update);
    runnable_destroy(&t->apply); /* without a pool of its own */
    runnable_destroy(&t->run);
    state_store_destroy(t->store);
    module_destroy(t->module);
    step_pruning_destroy(t->pruning);
    learned_ranges_destroy(t->ranges);
    free(t);
}

const ir_graph *training_graph(const training *t) {
    return t->kind == EXECUTOR_COMPILED ? t->run.plan->graph : module_find_graph(t->module, TRAINING_STEP);
}

state_store *training_state(training *t) { return t->store; }

const learned_ranges *training_ranges(const training *t) { return t->ranges; }

/* ---- runs ---- */

pofac_status training_run(training *t, const tensor_source *inputs, const diag_sink *sink) {
    TRY(training_prepare(t, sink));
    t->ran = false;
    if (t->kind == EXECUTOR_COMPILED) TRY(session_run(t->run.session, inputs, sink));
    else TRY(interpret(t, TRAINING_STEP, inputs, sink, &t->results));
    t->ran = true;
    return POFAC_OK;
}

pofac_status training_apply(training *t, const tensor_source *inputs, const diag_sink *sink) {
    if (!t->accumulate) return diag_error(sink, POFAC_ERR_USAGE, NULL, "a step is one run, which updates by itself");
    TRY(training_prepare(t, sink));
    t->applied = false;
    if (t->kind == EXECUTOR_COMPILED) TRY(session_run(t->apply.session, inputs, sink));
    else TRY(interpret(t, TRAINING_APPLY, inputs, sink, &t->update));
    t->applied = true;
    return POFAC_OK;
}

static bool has_output(const ir_graph *g, const char *name) {
    for (size_t i = 0; i < g->outputs.size; i++)
        if (strcmp(g->outputs.data[i].name, name) == 0) return true;
    return false;
}

static const ir_graph *apply_graph(const training *t) {
    return module_find_graph(t->kind == EXECUTOR_COMPILED ? t->run.plan->module : t->module, TRAINING_APPLY);
}

pofac_status training_output(const training *t, const char *name, const diag_sink *sink, ir_tensor *out) {
    const bool of_update = !has_output(training_graph(t), name) && t->accumulate;
    if (!has_output(of_update ? apply_graph(t) : training_graph(t), name))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "a training step has no output \"%s\"", name);
    if (of_update ? !t->applied : !t->ran)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "output \"%s\" was asked for before a successful %s", name,
                          of_update ? "update" : "run");
    if (t->kind == EXECUTOR_COMPILED) return session_output(of_update ? t->apply.session : t->run.session, name, sink, out);
    *out = *interp_find(of_update ? &t->update : &t->results, name);
    out->owned = false;
    return POFAC_OK;
}

/* ---- reports ---- */

session_memory training_memory(const training *t) {
    session_memory all = {0};
    const session *sessions[] = {t->run.session, t->apply.session};
    for (size_t i = 0; i < sizeof sessions / sizeof *sessions; i++) {
        if (!sessions[i]) continue;
        const session_memory one = session_memory_use(sessions[i]);
        all.packed_weight_bytes += one.packed_weight_bytes;
        all.arena_bytes += one.arena_bytes;
        all.scratch_bytes += one.scratch_bytes;
    }
    if (t->run.session) all.mapped_weight_bytes = state_store_bytes(t->store) + state_store_pattern_bytes(t->store);
    return all;
}

const runnable *training_runnable(const training *t, bool apply) {
    const runnable *r = apply ? &t->apply : &t->run;
    return r->session ? r : NULL;
}
