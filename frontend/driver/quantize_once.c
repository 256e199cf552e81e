/* Quantization after training; see quantize_once.h. */
#include "frontend/driver/quantize_once.h"

#include <inttypes.h>
#include <string.h>

#include "frontend/driver/model_directory.h"
#include "frontend/driver/model_save.h"
#include "ir/support/json_text.h"
#include "ir/support/text_ends.h"

#define TABLE_ENDING "_embeddings.weight"

typedef struct quantizing {
    const quantize_once_options *options;
    const quantize_settings *settings;
    loaded_model *model;
    const diag_sink *sink;
    calibration *calibration;
    state_store *state;
    const calibrated_module *modules;
    size_t n_modules;
    calibration_counts counts;
} quantizing;

static bool is_table(const char *name) { return text_ends_with(name, TABLE_ENDING); }

/* ---- ranges ---- */

static pofac_status observe(quantizing *q) {
    const quantize_once_options *o = q->options;
    calibration_data_options data = o->data;
    data.samples = q->settings->samples;
    if (q->settings->plan.activations != QUANTIZE_STATIC) return POFAC_OK;
    if (o->tensors) return calibration_add_tensors(q->calibration, q->model, o->tensors, &data, q->sink, &q->counts);
    if (o->recipe) return calibration_add_examples(q->calibration, q->model, o->recipe, o->split, &data, q->sink, &q->counts);
    return diag_error(
        q->sink, POFAC_ERR_USAGE, NULL,
        "method static needs examples to observe activations in: wanted --calibration PATH, or method dynamic or weights");
}

static pofac_status find_ranges(quantizing *q) {
    const calibration_options options = {.plan = &q->settings->plan,
                                         .method = q->settings->calibration,
                                         .percentile = q->settings->percentile,
                                         .outputs = q->settings->outputs,
                                         .road = q->options->road,
                                         .kind = q->options->kind};
    TRY(calibration_create(q->model, &options, q->sink, &q->calibration));
    TRY(observe(q));
    return calibration_finish(q->calibration, state_store_source(q->state), q->sink, &q->modules, &q->n_modules);
}

/* ---- the directory ---- */

static const calibrated_module *module_of_weight(const quantizing *q, const char *weight) {
    for (size_t i = 0; i < q->n_modules; i++)
        if (strcmp(q->modules[i].weight, weight) == 0) return &q->modules[i];
    return NULL;
}

/* How the weight stands in the file. A table that is a linear's weight too is a table. */
static bool find_storage(void *user, const char *weight, weight_storage *out) {
    const quantizing *q = user;
    const quantization_plan *p = &q->settings->plan;
    const bool weights_only = p->activations == QUANTIZE_WEIGHTS_ONLY;
    *out = (weight_storage){.bits = 8, .by_row = p->per_channel, .method = q->settings->calibration};
    if (is_table(weight)) return p->embeddings;
    const calibrated_module *m = weights_only || q->options->store_weights ? module_of_weight(q, weight) : NULL;
    if (!m) return false;
    out->bits = p->weight_bits;
    if (out->bits == 8) out->ranges = (const float(*)[2])m->ranges.weight;
    return true;
}

static pofac_status write_ranges(const quantizing *q, const char *directory, arena *a) {
    quantized_module *modules = ARENA_ARRAY(a, quantized_module, q->n_modules + 1);
    if (q->settings->plan.activations == QUANTIZE_WEIGHTS_ONLY) return POFAC_OK;
    if (!modules) return diag_out_of_memory(q->sink);
    for (size_t i = 0; i < q->n_modules; i++) modules[i] = q->modules[i].ranges;
    return model_quantization_write(directory, &q->settings->plan, modules, q->n_modules, q->sink);
}

static pofac_status write_model(quantizing *q) {
    arena a = ARENA_INIT;
    const model_storage storage = {.find = find_storage, .user = q, .pool = calibration_pool(q->calibration)};
    model_directory to;
    TRY(model_directory_open(q->options->output, q->sink, &to));
    const char *new = strbuf_str(&to.new);
    pofac_status status = run_model_save_stored(new, q->model, q->state, q->options->dtype, &storage, q->sink);
    if (status == POFAC_OK) status = write_ranges(q, new, &a);
    arena_free(&a);
    return model_directory_close(&to, status, q->sink);
}

/* ---- the report ---- */

static void put_range(const char *key, const float *range, strbuf *out) {
    strbuf_printf(out, ", \"%s\": ", key);
    if (!range) {
        strbuf_puts(out, "null");
        return;
    }
    strbuf_putc(out, '[');
    json_put_real((double)range[0], out);
    strbuf_puts(out, ", ");
    json_put_real((double)range[1], out);
    strbuf_putc(out, ']');
}

static void put_module(const calibrated_module *m, strbuf *out) {
    const quantized_module *r = &m->ranges;
    float most = 0;
    for (int64_t i = 0; i < r->n_weight_ranges; i++) most = r->weight[2 * i + 1] > most ? r->weight[2 * i + 1] : most;
    strbuf_puts(out, "{\"name\": ");
    strbuf_put_json(out, r->name, strlen(r->name));
    strbuf_printf(out, ", \"shape\": [%" PRId64 ", %" PRId64 "]", m->n_rows, m->n_columns);
    put_range("input", r->input, out);
    put_range("output", r->output, out);
    strbuf_puts(out, ", \"weight\": ");
    json_put_real((double)most, out);
    strbuf_putc(out, '}');
}

static pofac_status report(const quantizing *q, strbuf *out) {
    const quantize_settings *s = q->settings;
    strbuf_printf(out, "{\"method\": \"%s\", \"output\": ", s->method);
    strbuf_put_json(out, q->options->output, strlen(q->options->output));
    strbuf_printf(out,
                  ", \"calibration\": \"%s\", \"examples\": %" PRIu64 ", \"tokens\": %" PRIu64
                  ", \"weight_bits\": %d, \"weight_scales\": \"%s\", \"modules\": [",
                  s->calibration_name, q->counts.examples, q->counts.tokens, s->plan.weight_bits,
                  s->plan.per_channel ? "per_channel" : "per_tensor");
    for (size_t i = 0; i < q->n_modules; i++) {
        if (i) strbuf_puts(out, ", ");
        put_module(&q->modules[i], out);
    }
    strbuf_puts(out, "]}\n");
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(q->sink);
}

/* ---- all of it ---- */

pofac_status quantize_once(loaded_model *model, const quantize_once_options *options, const diag_sink *sink, strbuf *out) {
    const road_options road = {.graph = {.with_loss = false}};
    quantizing q = {.options = options, .settings = options->settings, .model = model, .sink = sink};
    ir_module *module = NULL;
    TRY(road_build(model, &road, sink, &module));
    pofac_status status = state_store_create(module, loaded_model_state(model), sink, &q.state);
    if (status == POFAC_OK) status = find_ranges(&q);
    if (status == POFAC_OK) status = write_model(&q);
    if (status == POFAC_OK) status = report(&q, out);
    calibration_destroy(q.calibration);
    state_store_destroy(q.state);
    module_destroy(module);
    return status;
}
