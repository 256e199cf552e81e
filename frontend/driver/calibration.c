/* Observing a model's activations, and the ranges that come of them; see calibration.h. */
#include "frontend/driver/calibration.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/driver/value_histogram.h"
#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "ir/support/text_ends.h"
#include "runtime/interpreter.h"

/* Padding goes first, so that only real tokens are observed; rows that nobody reads stay, as other models may read them. */
#define QUANTIZE_PIPELINE "simplify,unpad,simplify,quantize{trained=0}"
#define REST_PIPELINE "canonicalize,cse,dce,sparsify,layout,canonicalize,cse,dce,fuse,plan-memory"

/* A value whose range is wanted, or more than one: those of a module that stands in the graph twice. */
typedef struct observation {
    const char *name; /* of the range */
    value_histogram seen;
    bool finite;
} observation;

/* A result of the graph, and whose it is. */
typedef struct observed_output {
    const char *name;
    size_t observation;
    ir_tensor values; /* of the run */
} observed_output;

/* A linear's module, and the observations of its input and output; SIZE_MAX: none. */
typedef struct linear_module {
    calibrated_module known;
    size_t input, output;
} linear_module;

struct calibration {
    calibration_options options;
    quantization_plan plan; /* as the pass sees it */
    arena memory;
    strmap names; /* of ranges -> place in observations */
    strmap modules_by_name;
    VEC(observation) observations;
    VEC(observed_output) outputs;
    VEC(linear_module) modules;
    thread_pool *pool;
    plan *compiled; /* with `session`, or: */
    session *session;
    ir_module *module; /* of the interpreter */
    interp_results results;
    const tensor_source *state;
    uint64_t batches;
};

/* ---- from fake_quantize to results ---- */

typedef struct stripping {
    calibration *c;
    rewriter rw;
    const diag_sink *sink;
} stripping;

/* The name of the range that is state; NULL: it is made of the value itself. */
static const char *range_name(const stripping *s, const ir_node *fake) {
    const ir_node *range = graph_node_of(s->rw.from, fake->inputs[1]);
    return range->op == OP_state ? node_string(range, "name") : NULL;
}

static bool is_weight(const stripping *s, const ir_node *fake) {
    return graph_node_of(s->rw.from, fake->inputs[0])->op == OP_state;
}

/* The place of the observation of that name, made if need be. */
static pofac_status find_observation(calibration *c, const char *name, const diag_sink *sink, size_t *out) {
    bool is_new;
    const strmap_entry *e = strmap_put(&c->names, name, strlen(name), c->observations.size, &is_new);
    if (!e) return diag_out_of_memory(sink);
    *out = (size_t)e->value;
    if (!is_new) return POFAC_OK;
    observation o = {.name = e->key, .finite = true};
    TRY(value_histogram_create(sink, &o.seen));
    if (VEC_PUSH(&c->observations, o)) return POFAC_OK;
    value_histogram_free(&o.seen);
    return diag_out_of_memory(sink);
}

/* The value that a fake_quantize would change goes on as it is, and is a result. */
static pofac_status strip_fake(stripping *s, const ir_node *n) {
    calibration *c = s->c;
    const ir_value x = rewrite_value(&s->rw, n->inputs[0]);
    const char *name = range_name(s, n);
    rewrite_map(&s->rw, n->first_result, x);
    if (is_weight(s, n) || !name || c->options.plan->activations != QUANTIZE_STATIC) return POFAC_OK;
    if (text_ends_with(name, IR_OUTPUT_RANGE) && !c->options.outputs) return POFAC_OK;
    observed_output o = {.name = arena_printf(&c->memory, "observed.%zu", c->outputs.size)};
    if (!o.name) return diag_out_of_memory(s->sink);
    TRY(find_observation(c, name, s->sink, &o.observation));
    if (!VEC_PUSH(&c->outputs, o)) return diag_out_of_memory(s->sink);
    graph_add_output(s->rw.to, o.name, x);
    return POFAC_OK;
}

/* What observes the range of that name; SIZE_MAX: nothing does. */
static size_t observation_named(const calibration *c, const char *name) {
    const strmap_entry *e = name ? strmap_get(&c->names, name, strlen(name)) : NULL;
    return e ? (size_t)e->value : SIZE_MAX;
}

/* Linears of weights that the pass has quantized. The results of later nodes are not known yet: outputs are looked up at the end. */
static pofac_status note_linear(stripping *s, const ir_node *n) {
    const ir_node *input = graph_node_of(s->rw.from, n->inputs[0]), *weight = graph_node_of(s->rw.from, n->inputs[1]);
    calibration *c = s->c;
    if (weight->op != OP_fake_quantize || !is_weight(s, weight)) return POFAC_OK;
    const ir_node *leaf = graph_node_of(s->rw.from, weight->inputs[0]);
    const ir_type *type = graph_type(s->rw.from, leaf->first_result);
    const char *range = range_name(s, weight);
    if (!range) return POFAC_OK;
    const size_t length = strlen(range) - strlen(IR_WEIGHT_RANGE);
    bool is_new;
    const strmap_entry *e = strmap_put(&c->modules_by_name, range, length, c->modules.size, &is_new);
    linear_module m = {.output = SIZE_MAX, .input = SIZE_MAX};
    if (!e) return diag_out_of_memory(s->sink);
    if (!is_new) return POFAC_OK;
    if (input->op == OP_fake_quantize) m.input = observation_named(c, range_name(s, input));
    m.known = (calibrated_module){.ranges = {.name = e->key}, .weight = arena_strdup(&c->memory, node_string(leaf, "name"))};
    if (!m.known.weight) return diag_out_of_memory(s->sink);
    m.known.n_rows = dim_eval(type->dims[0], (ir_binding){NULL, 0});
    m.known.n_columns = dim_eval(type->dims[1], (ir_binding){NULL, 0});
    return VEC_PUSH(&c->modules, m) ? POFAC_OK : diag_out_of_memory(s->sink);
}

static pofac_status strip_graph(void *user, const ir_graph *from, ir_module *to) {
    stripping *s = user;
    TRY(rewrite_begin(&s->rw, from, to));
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < from->nodes.size && status == POFAC_OK; i++) {
        const ir_node *n = &from->nodes.data[i];
        if (n->op == OP_linear) status = note_linear(s, n);
        if (n->op == OP_fake_quantize) status = strip_fake(s, n);
        else rewrite_copy_unmarked(&s->rw, n, NULL, NULL);
    }
    const pofac_status finished = rewrite_finish(&s->rw);
    return status == POFAC_OK ? finished : status;
}

static pofac_status find_outputs(calibration *c, const diag_sink *sink) {
    strbuf name = STRBUF_INIT;
    for (size_t i = 0; i < c->modules.size; i++) {
        linear_module *m = &c->modules.data[i];
        strbuf_clear(&name);
        strbuf_printf(&name, "%s%s", m->known.ranges.name, IR_OUTPUT_RANGE);
        m->output = observation_named(c, strbuf_str(&name));
    }
    const bool ok = strbuf_ok(&name);
    strbuf_free(&name);
    return ok ? POFAC_OK : diag_out_of_memory(sink);
}

/* ---- making ---- */

static pofac_status run_pipeline(const char *text, const pass_environment *environment, ir_module **module, const diag_sink *sink) {
    arena a = ARENA_INIT;
    pass_pipeline pipeline;
    ir_module *from = *module;
    *module = NULL;
    pofac_status status = pipeline_parse(text, &a, sink, &pipeline);
    if (status == POFAC_OK) status = pipeline_run(&pipeline, from, environment, NULL, sink, module);
    else module_destroy(from);
    arena_free(&a);
    return status;
}

/* The graph whose results are observed. */
static pofac_status build(calibration *c, loaded_model *model, const diag_sink *sink, ir_module **out) {
    const pass_environment environment = {
        .state = loaded_model_stored(model), .quantizes = quantization_plan_of, .quantizes_user = &c->plan};
    road_options road = c->options.road;
    ir_module *quantized;
    stripping s = {.c = c, .sink = sink};
    *out = NULL;
    road.graph = (model_graph_options){.with_loss = false};
    TRY(road_build(model, &road, sink, &quantized));
    TRY(run_pipeline(QUANTIZE_PIPELINE, &environment, &quantized, sink));
    pofac_status status = rewrite_module(quantized, strip_graph, &s, sink, out);
    module_destroy(quantized);
    if (status == POFAC_OK) status = find_outputs(c, sink);
    if (status == POFAC_OK && c->modules.size == 0)
        status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = loaded_model_path(model)},
                            "found no linear layer that not_to_quantize leaves, wanted one");
    if (status != POFAC_OK) {
        module_destroy(*out);
        *out = NULL;
    }
    return status;
}

static pofac_status compile(calibration *c, loaded_model *model, ir_module *module, const diag_sink *sink) {
    arena a = ARENA_INIT;
    cg_options codegen;
    road_options road = c->options.road;
    road.pipeline = REST_PIPELINE;
    pofac_status status = road_codegen_options(&road, &a, sink, &codegen);
    if (status == POFAC_OK) status = road_optimize(model, module, &road, sink, &module);
    else module_destroy(module);
    if (status == POFAC_OK) status = cg_compile(module, ROAD_GRAPH, &codegen, sink, &c->compiled);
    if (status == POFAC_OK) status = session_create(c->compiled, c->state, c->pool, sink, &c->session);
    arena_free(&a);
    return status;
}

static pofac_status interpret(calibration *c, ir_module *module, const diag_sink *sink) {
    c->module = module;
    return run_pipeline("dce", &(pass_environment){.tokens = 0}, &c->module, sink); /* the ranges, which nobody has */
}

static pofac_status make(calibration *c, loaded_model *model, const diag_sink *sink) {
    ir_module *module;
    TRY(thread_pool_create(c->options.road.threads, sink, &c->pool));
    TRY(build(c, model, sink, &module));
    if (c->options.plan->activations == QUANTIZE_STATIC)
        return c->options.kind == EXECUTOR_COMPILED ? compile(c, model, module, sink) : interpret(c, module, sink);
    module_destroy(module);
    return POFAC_OK;
}

pofac_status calibration_create(loaded_model *model, const calibration_options *o, const diag_sink *sink, calibration **out) {
    *out = NULL;
    calibration *c = calloc(1, sizeof *c);
    if (!c) return diag_out_of_memory(sink);
    c->options = *o;
    c->plan = *o->plan;
    if (c->plan.activations == QUANTIZE_WEIGHTS_ONLY) c->plan.activations = QUANTIZE_DYNAMIC; /* the same modules */
    c->state = loaded_model_state(model);
    const pofac_status status = make(c, model, sink);
    if (status == POFAC_OK) *out = c;
    else calibration_destroy(c);
    return status;
}

void calibration_destroy(calibration *c) {
    if (!c) return;
    interp_results_free(&c->results);
    module_destroy(c->module);
    session_destroy(c->session);
    plan_destroy(c->compiled);
    thread_pool_destroy(c->pool);
    for (size_t i = 0; i < c->observations.size; i++) value_histogram_free(&c->observations.data[i].seen);
    VEC_FREE(&c->observations);
    VEC_FREE(&c->outputs);
    VEC_FREE(&c->modules);
    strmap_free(&c->names);
    strmap_free(&c->modules_by_name);
    arena_free(&c->memory);
    free(c);
}

/* ---- observing ---- */

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const batch *b = user;
    for (size_t i = 0; i < b->n_tensors; i++) {
        if (strcmp(b->names[i], name) != 0) continue;
        *out = b->tensors[i];
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_INPUT, NULL, "the examples have no \"%s\", which the model wants", name);
}

static pofac_status run_model(calibration *c, const batch *b, const diag_sink *sink) {
    const tensor_source inputs = {.get = get_input, .user = (void *)b};
    if (c->session) return session_run(c->session, &inputs, sink);
    interp_results_free(&c->results);
    return interpret_graph(module_find_graph(c->module, ROAD_GRAPH), &inputs, c->state, NULL, sink, &c->results);
}

static pofac_status find_values(calibration *c, const diag_sink *sink) {
    for (size_t i = 0; i < c->outputs.size; i++) {
        observed_output *o = &c->outputs.data[i];
        const ir_tensor *t = c->session ? NULL : interp_find(&c->results, o->name);
        if (c->session) TRY(session_output(c->session, o->name, sink, &o->values));
        else if (t) o->values = *t;
        else return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "the run has no result \"%s\"", o->name);
    }
    return POFAC_OK;
}

/* All values of one observation: a histogram has one writer. */
static void observe(void *user, size_t worker, size_t chunk) {
    calibration *c = user;
    observation *seen = &c->observations.data[chunk];
    (void)worker;
    for (size_t i = 0; i < c->outputs.size; i++) {
        const observed_output *o = &c->outputs.data[i];
        if (o->observation != chunk) continue;
        seen->finite = value_histogram_add(&seen->seen, o->values.data, tensor_elements(&o->values)) && seen->finite;
    }
}

pofac_status calibration_add(calibration *c, const batch *b, const diag_sink *sink) {
    TRY(run_model(c, b, sink));
    TRY(find_values(c, sink));
    thread_pool_run(c->pool, observe, c, c->observations.size);
    for (size_t i = 0; i < c->observations.size; i++)
        if (!c->observations.data[i].finite)
            return diag_error(sink, POFAC_ERR_NUMERIC, NULL,
                              "%s: found a value that is NaN or infinite in batch %llu, wanted numbers",
                              c->observations.data[i].name, (unsigned long long)b->index);
    c->batches++;
    return POFAC_OK;
}

thread_pool *calibration_pool(calibration *c) { return c->pool; }

/* ---- ranges ---- */

typedef struct range_job {
    const calibration *c;
    value_range *ranges; /* [observations] */
} range_job;

static void choose_range(void *user, size_t worker, size_t chunk) {
    const range_job *j = user;
    const calibration_options *o = &j->c->options;
    const value_histogram *seen = &j->c->observations.data[chunk].seen;
    (void)worker;
    switch (o->method) {
    case CALIBRATE_MINMAX: j->ranges[chunk] = seen->range; break;
    case CALIBRATE_PERCENTILE: j->ranges[chunk] = value_histogram_percentile(seen, o->percentile); break;
    case CALIBRATE_MSE: j->ranges[chunk] = value_histogram_least_error(seen, QUANTIZE_AFFINE); break;
    }
}

static pofac_status range_of_weight(calibration *c, calibrated_module *m, const ir_tensor *w, const diag_sink *sink) {
    const calibration_options *o = &c->options;
    const bool by_channel = o->plan->per_channel;
    const int bits = o->plan->weight_bits;
    quantized_module *q = &m->ranges;
    q->by_channel = by_channel;
    q->n_weight_ranges = by_channel ? m->n_rows : 1;
    value_range *ranges = ARENA_ARRAY(&c->memory, value_range, (size_t)q->n_weight_ranges + 1);
    if (!ranges) return diag_out_of_memory(sink);
    if (by_channel) weight_ranges(w->data, m->n_rows, m->n_columns, o->method, bits, c->pool, ranges);
    else ranges[0] = weight_range(w->data, m->n_rows * m->n_columns, o->method, bits);
    for (int64_t i = 0; i < q->n_weight_ranges; i++)
        if (value_range_is_none(ranges[i]))
            return diag_error(sink, POFAC_ERR_NUMERIC, NULL, "%s: found a weight that is NaN or infinite, wanted numbers",
                              m->weight);
    weight_ranges_widen(ranges, q->n_weight_ranges);
    q->weight = (const float *)ranges;
    return POFAC_OK;
}

_Static_assert(sizeof(value_range) == 2 * sizeof(float), "ranges are pairs of floats, least first");

static pofac_status find_ranges(calibration *c, const diag_sink *sink, value_range **out) {
    *out = ARENA_ARRAY(&c->memory, value_range, c->observations.size + 1);
    if (!*out) return diag_out_of_memory(sink);
    range_job j = {c, *out};
    thread_pool_run(c->pool, choose_range, &j, c->observations.size);
    return POFAC_OK;
}

pofac_status calibration_finish(calibration *c, const tensor_source *weights, const diag_sink *sink, const calibrated_module **out,
                                size_t *n) {
    value_range *ranges;
    if (c->options.plan->activations == QUANTIZE_STATIC && c->batches == 0)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found no examples to calibrate with, wanted at least one");
    calibrated_module *found = ARENA_ARRAY(&c->memory, calibrated_module, c->modules.size + 1);
    if (!found) return diag_out_of_memory(sink);
    TRY(find_ranges(c, sink, &ranges));
    for (size_t i = 0; i < c->modules.size; i++) {
        const linear_module *m = &c->modules.data[i];
        ir_tensor w;
        found[i] = m->known;
        if (m->input != SIZE_MAX) found[i].ranges.input = (const float *)&ranges[m->input];
        if (m->output != SIZE_MAX) found[i].ranges.output = (const float *)&ranges[m->output];
        TRY(weights->get(weights->user, m->known.weight, sink, &w));
        const pofac_status status = range_of_weight(c, &found[i], &w, sink);
        tensor_source_release(weights, m->known.weight);
        TRY(status);
    }
    *out = found;
    *n = c->modules.size;
    return POFAC_OK;
}
