/*
 * A loaded model -> files of others; see export_model.h. ONNX is made of the frontend's graph, before any pass that makes it fit for pofac's own kernels; of a quantized model
 * the pass `quantize` has put fake_quantize there, which is what simulates it here and becomes QuantizeLinear and DequantizeLinear there.
 */
#include "frontend/driver/export_model.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/model_save.h"
#include "frontend/driver/quantization.h"
#include "frontend/driver/road.h"
#include "frontend/onnx/onnx_export.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"

/* ---- the report ---- */

/* Bytes of a file; 0: there is none. */
static int64_t file_bytes(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 ? (int64_t)s.st_size : 0;
}

static pofac_status report(const char *format, const char *output, const char *file, size_t n_quantized, const diag_sink *sink,
                           strbuf *out) {
    strbuf data = STRBUF_INIT;
    strbuf_printf(&data, "%s.data", file);
    strbuf_printf(out, "{\"format\": \"%s\", \"output\": ", format);
    strbuf_put_json(out, output, strlen(output));
    strbuf_printf(out, ", \"bytes\": %" PRId64 ", \"external_bytes\": %" PRId64 ", \"quantized_weights\": %zu}\n", file_bytes(file),
                  file_bytes(strbuf_str(&data)), n_quantized);
    const bool ok = strbuf_ok(out) && strbuf_ok(&data);
    strbuf_free(&data);
    return ok ? POFAC_OK : diag_out_of_memory(sink);
}

/* ---- Hugging Face's directory ---- */

/* The ranges of a quantized model belong to its weights, and go with them. */
static pofac_status copy_quantization(const loaded_model *model, const export_options *options, const diag_sink *sink, size_t *n) {
    const char *from = loaded_model_directory(model);
    model_quantization *q;
    strbuf path = STRBUF_INIT, to = STRBUF_INIT;
    file_map file = {NULL, 0};
    *n = 0;
    if (options->without_quantization) return POFAC_OK;
    TRY(model_quantization_read(from, sink, &q));
    if (!q) return POFAC_OK;
    *n = model_quantization_size(q);
    strbuf_printf(&path, "%s/" QUANTIZATION_FILE, from);
    strbuf_printf(&to, "%s/" QUANTIZATION_FILE, options->output);
    pofac_status status = strbuf_ok(&path) && strbuf_ok(&to) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = file_map_open(strbuf_str(&path), sink, &file);
    if (status == POFAC_OK) status = file_write_all(strbuf_str(&to), file.data, file.size_bytes, sink);
    file_map_close(&file);
    model_quantization_close(q);
    strbuf_free(&path);
    strbuf_free(&to);
    return status;
}

pofac_status export_directory(loaded_model *model, const export_options *options, const diag_sink *sink, strbuf *out) {
    const road_options road = {.graph = {.with_loss = false}};
    ir_module *m = NULL;
    state_store *state = NULL;
    strbuf weights = STRBUF_INIT;
    size_t n_quantized = 0;
    TRY(road_build(model, &road, sink, &m));
    strbuf_printf(&weights, "%s/model.safetensors", options->output);
    pofac_status status = strbuf_ok(&weights) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = state_store_create(m, loaded_model_state(model), sink, &state);
    if (status == POFAC_OK) status = directory_make(options->output, sink);
    if (status == POFAC_OK) status = copy_quantization(model, options, sink, &n_quantized);
    if (status == POFAC_OK) status = run_model_save(options->output, model, state, options->dtype, sink);
    if (status == POFAC_OK) status = report("safetensors", options->output, strbuf_str(&weights), n_quantized, sink, out);
    state_store_destroy(state);
    module_destroy(m);
    strbuf_free(&weights);
    return status;
}

/* ---- ONNX ---- */

/* Ranges, and parameters. */
typedef struct quantized_state {
    const tensor_source *parameters, *ranges;
} quantized_state;

static bool is_range(const char *name) {
    static const char *const endings[] = {IR_INPUT_RANGE, IR_WEIGHT_RANGE, IR_OUTPUT_RANGE};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && strcmp(name + length - n, endings[i]) == 0) return true;
    }
    return false;
}

static const tensor_source *source_of(const quantized_state *s, const char *name) {
    return is_range(name) ? s->ranges : s->parameters;
}

static pofac_status get_state(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const tensor_source *from = source_of(user, name);
    return from->get(from->user, name, sink, out);
}

static void release_state(void *user, const char *name) { tensor_source_release(source_of(user, name), name); }

/* The graph with fake_quantize where `q` has ranges; takes over `module`. */
static pofac_status quantize_graph(ir_module *module, model_quantization *q, const diag_sink *sink, ir_module **out) {
    const pass_environment environment = {.quantizes = model_quantization_of, .quantizes_user = q};
    arena a = ARENA_INIT;
    pass_pipeline pipeline;
    *out = NULL;
    pofac_status status = pipeline_parse("quantize{trained=0},dce", &a, sink, &pipeline);
    if (status == POFAC_OK) status = pipeline_run(&pipeline, module, &environment, NULL, sink, out);
    else module_destroy(module);
    arena_free(&a);
    return status;
}

pofac_status export_onnx(loaded_model *model, const export_options *options, const diag_sink *sink, strbuf *out) {
    const road_options road = {.graph = {.with_loss = false}};
    const onnx_export_options onnx = {.external_data = options->external_data};
    onnx_export_result result = {0};
    quantized_state both = {.parameters = loaded_model_state(model)};
    const tensor_source state = {.get = get_state, .user = &both, .release = release_state};
    model_quantization *q = NULL;
    ir_module *m = NULL;
    TRY(road_build(model, &road, sink, &m));
    pofac_status status =
        options->without_quantization ? POFAC_OK : model_quantization_read(loaded_model_directory(model), sink, &q);
    if (status == POFAC_OK && q) {
        both.ranges = model_quantization_ranges(q);
        status = quantize_graph(m, q, sink, &m);
    }
    if (status == POFAC_OK)
        status = onnx_export(module_find_graph(m, ROAD_GRAPH), q ? &state : both.parameters, options->output, &onnx, sink, &result);
    if (status == POFAC_OK) status = report("onnx", options->output, options->output, result.n_quantized, sink, out);
    module_destroy(m);
    model_quantization_close(q);
    return status;
}
