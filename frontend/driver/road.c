/* Model -> graph -> passes -> code -> session; see road.h. */
#include "frontend/driver/road.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/driver/kernel_choices.h"
#include "frontend/driver/kernel_pins.h"
#include "frontend/driver/kernel_reasons.h"
#include "frontend/driver/measured_cost.h"

/* What of the model is in 8 bits; NULL: nothing, or what the options say. */
static const model_quantization *quantization_of_road(const loaded_model *model, const road_options *options) {
    const bool own = options->quantization != ROAD_UNQUANTIZED && !options->quantizes;
    const model_quantization *q = own ? loaded_model_quantization(model) : NULL;
    return q && model_quantization_plan(q)->activations != QUANTIZE_WEIGHTS_ONLY ? q : NULL;
}

/* False: nothing is quantized. */
static bool set_quantized(const loaded_model *model, const road_options *options, pass_environment *e) {
    const model_quantization *q = quantization_of_road(model, options);
    e->quantizes = q ? model_quantization_of : options->quantizes;
    e->quantizes_user = q ? (void *)(uintptr_t)q : options->quantizes_user; /* which reads it alone */
    return e->quantizes != NULL;
}

/* Passes that need neither costs nor options. Takes over `module`. */
static pofac_status run_passes(const char *passes, const pass_environment *environment, ir_module *module, const diag_sink *sink,
                               ir_module **out) {
    arena a = ARENA_INIT;
    pass_pipeline pipeline;
    *out = NULL;
    pofac_status status = pipeline_parse(passes, &a, sink, &pipeline);
    if (status == POFAC_OK) status = pipeline_run(&pipeline, module, environment, NULL, sink, out);
    else module_destroy(module);
    arena_free(&a);
    return status;
}

pofac_status road_build(loaded_model *model, const road_options *options, const diag_sink *sink, ir_module **out) {
    *out = NULL;
    ir_module *m = module_create(loaded_model_context(model), sink);
    if (!m) return diag_out_of_memory(sink);
    model_graph_options graph = options->graph;
    model_spec spec = *loaded_model_spec(model);
    if (options->layers > 0 && options->layers < spec.num_hidden_layers) spec.num_hidden_layers = options->layers;
    if (!loaded_model_has_embeddings(model)) graph.from_embedding_output = true;
    if (!loaded_model_has_pooler(model)) graph.without_pooler = true;
    pofac_status status = model_graph_build(m, ROAD_GRAPH, &spec, &graph);
    if (status == POFAC_OK) status = loaded_model_bind(model, module_find_graph(m, ROAD_GRAPH), sink);
    pass_environment environment = {0};
    if (status == POFAC_OK && set_quantized(model, options, &environment))
        return run_passes("quantize{trained=0}", &environment, m, sink, out);
    if (status == POFAC_OK) *out = m;
    else module_destroy(m);
    return status;
}

pofac_status road_build_for_interpreter(loaded_model *model, const road_options *options, const diag_sink *sink, ir_module **out) {
    TRY(road_build(model, options, sink, out));
    if (options->quantization != ROAD_INTEGER || !quantization_of_road(model, options)) return POFAC_OK;
    const pass_environment environment = {.state = loaded_model_stored(model)};
    return run_passes("lower-int8,dce", &environment, *out, sink, out);
}

const char *road_arithmetic(const loaded_model *model, const road_options *options) {
    if (!quantization_of_road(model, options)) return "fp32";
    return options->quantization == ROAD_INTEGER ? "integer" : "simulated";
}

/* The pipeline where none is given. */
static const char *pipeline_of(const loaded_model *model, const road_options *options) {
    if (options->pipeline) return options->pipeline;
    if (!quantization_of_road(model, options)) return "infer";
    return options->quantization == ROAD_INTEGER ? "infer-int8" : "infer-simulated";
}

static const char *default_cache_dir(arena *a) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/') return arena_printf(a, "%s/pofac/objects", cache);
    if (home && home[0] == '/') return arena_printf(a, "%s/.cache/pofac/objects", home);
    return NULL;
}

pofac_status road_codegen_options(const road_options *options, arena *a, const diag_sink *sink, cg_options *out) {
    *out = (cg_options){0};
    if (!options->no_cache) out->cache_dir = options->cache_dir ? options->cache_dir : default_cache_dir(a);
    out->threads = options->threads ? options->threads : thread_pool_default_threads();
    TRY(cg_jit_debug_parse(options->jit_debug, sink, &out->jit_debug));
    return cg_target_host(options->isa, a, sink, &out->target);
}

/* What passes know of costs: pins, then measurements, then the rule; NULL where the rule decides all. */
typedef struct road_costs {
    cg_options codegen;
    measured_cost *measured;
    kernel_pins *pins;
    kernel_choices noted;
    cost_source source[4]; /* of measurements, of pins, of reasons, of what is noted */
    const cost_source *costs;
} road_costs;

static pofac_status road_costs_begin(const road_options *options, arena *a, const diag_sink *sink, road_costs *out) {
    *out = (road_costs){0};
    measured_cost_options measured = {.codegen = &out->codegen, .again = options->tune == ROAD_TUNE_AGAIN};
    if (options->kernel_variants) {
        TRY(kernel_pins_parse(options->kernel_variants, sink, &out->pins));
        measured.tile = kernel_pins_tile(out->pins);
    }
    /* a machine that cannot run the kernels has nothing to measure; whoever compiles for it says so */
    if (options->tune != ROAD_TUNE_OFF && road_codegen_options(options, a, NULL, &out->codegen) == POFAC_OK) {
        TRY(measured_cost_create(&measured, sink, &out->measured));
        out->source[0] = measured_cost_source(out->measured);
        out->costs = &out->source[0];
    }
    if (out->pins) {
        kernel_pins_set_rest(out->pins, out->costs);
        out->source[1] = kernel_pins_source(out->pins);
        out->costs = &out->source[1];
    }
    if (options->kernel_reasons) {
        options->kernel_reasons->rest = out->costs;
        out->source[2] = kernel_reasons_source(options->kernel_reasons);
        out->costs = &out->source[2];
    }
    if (options->kernel_choices && out->costs) {
        out->noted = (kernel_choices){out->costs, options->kernel_choices};
        out->source[3] = kernel_choices_source(&out->noted);
        out->costs = &out->source[3];
    }
    return POFAC_OK;
}

static void road_costs_end(road_costs *c) {
    measured_cost_destroy(c->measured);
    kernel_pins_destroy(c->pins);
}

/* Kernels that a compiled model has code for, unless others are asked for. */
static void use_compiled_choices(const compiled_model *c, road_options *o) {
    const char *pins = compiled_model_kernels(c);
    if (o->kernel_variants || o->tune == ROAD_TUNE_AGAIN) return;
    if (*pins) o->kernel_variants = pins;
    o->tune = ROAD_TUNE_OFF;
}

pofac_status road_optimize(const loaded_model *model, ir_module *module, const road_options *options, const diag_sink *sink,
                           ir_module **out) {
    arena a = ARENA_INIT;
    pass_pipeline pipeline;
    road_costs costs = {0};
    *out = NULL;
    road_options own = *options;
    if (loaded_model_compiled(model)) use_compiled_choices(loaded_model_compiled(model), &own);
    options = &own;
    pofac_status status = pipeline_parse(pipeline_of(model, options), &a, sink, &pipeline);
    if (status == POFAC_OK) status = road_costs_begin(options, &a, sink, &costs);
    if (status == POFAC_OK) {
        pass_environment environment = {.state = options->state ? options->state : loaded_model_stored(model),
                                        .costs = costs.costs,
                                        .tokens = options->tune_tokens,
                                        .prunes = options->prunes,
                                        .prunes_user = options->prunes_user,
                                        .locks = options->locks,
                                        .locks_user = options->locks_user};
        (void)set_quantized(model, options, &environment);
        status = pipeline_run(&pipeline, module, &environment, options->observer, sink, out);
    } else {
        module_destroy(module);
    }
    road_costs_end(&costs);
    arena_free(&a);
    return status;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Would the road end at the graph that the compiled model has? */
static bool takes_compiled_graph(const loaded_model *model, const road_options *o) {
    const compiled_model *c = loaded_model_compiled(model);
    const bool asks = o->pipeline || o->kernel_variants || o->kernel_choices || o->tune == ROAD_TUNE_AGAIN || o->tune_tokens ||
                      o->observer || o->state || o->prunes || o->locks || o->layers;
    return !asks && !o->quantizes && compiled_model_has_graph(c, &o->graph, road_arithmetic(model, o));
}

static pofac_status make_module(loaded_model *model, const road_options *options, const diag_sink *sink, ir_module **out) {
    const compiled_model *c = loaded_model_compiled(model);
    if (c && takes_compiled_graph(model, options)) return compiled_model_graph(c, loaded_model_context(model), sink, out);
    TRY(road_build(model, options, sink, out));
    return road_optimize(model, *out, options, sink, out);
}

/* Of a compiled model: its own code where this machine runs it. */
static pofac_status codegen_options(const loaded_model *model, const road_options *options, arena *a, const diag_sink *sink,
                                    cg_options *out) {
    const compiled_model *c = loaded_model_compiled(model);
    TRY(road_codegen_options(options, a, sink, out));
    if (!c) return POFAC_OK;
    out->objects = compiled_model_objects(c);
    return compiled_model_target(c, options->isa, a, sink, &out->target);
}

static pofac_status compile_plan(loaded_model *model, const road_options *options, const diag_sink *sink, runnable *out) {
    arena a = ARENA_INIT;
    ir_module *module = NULL;
    cg_options codegen;
    pofac_status status = codegen_options(model, options, &a, sink, &codegen);
    if (status == POFAC_OK) status = thread_pool_create(options->threads, sink, &out->pool);
    if (status == POFAC_OK) status = make_module(model, options, sink, &module);
    if (status == POFAC_OK) status = cg_compile(module, ROAD_GRAPH, &codegen, sink, &out->plan);
    arena_free(&a);
    return status;
}

pofac_status runnable_create(loaded_model *model, const road_options *options, const diag_sink *sink, runnable *out) {
    TRY(runnable_compile(model, options, sink, out));
    double start = seconds();
    pofac_status status = session_create(out->plan, loaded_model_state(model), out->pool, sink, &out->session);
    out->pack_seconds = seconds() - start;
    if (status != POFAC_OK) runnable_destroy(out);
    return status;
}

pofac_status runnable_compile(loaded_model *model, const road_options *options, const diag_sink *sink, runnable *out) {
    *out = (runnable){0};
    double start = seconds();
    pofac_status status = compile_plan(model, options, sink, out);
    out->build_seconds = seconds() - start;
    if (status != POFAC_OK) runnable_destroy(out);
    return status;
}

void runnable_destroy(runnable *r) {
    session_destroy(r->session);
    if (!r->borrows_plan) plan_destroy(r->plan);
    thread_pool_destroy(r->pool);
    *r = (runnable){0};
}
