/*
 * A loaded model -> files of others; see export_model.h. ONNX is made of the frontend's graph, before any pass that makes it fit for pofac's own kernels; of a
 * quantized model that of its simulation, whose fake_quantize becomes QuantizeLinear and DequantizeLinear there.
 */
#include "frontend/driver/export_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/model_directory.h"
#include "frontend/driver/model_quantization.h"
#include "frontend/driver/model_save.h"
#include "frontend/driver/road.h"
#include "frontend/onnx/onnx_export.h"
#include "frontend/onnx/onnx_model.h"
#include "ir/support/file_map.h"

/* ---- the report ---- */

/* Bytes of a file; 0: there is none. */
static int64_t file_bytes(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 ? (int64_t)s.st_size : 0;
}

/* Of `file`, and of `data` beside it; NULL: there is none. */
static pofac_status report(const char *format, const export_options *options, const char *file, const char *data,
                           size_t n_quantized, const diag_sink *sink, strbuf *out) {
    strbuf_printf(out, "{\"format\": \"%s\", \"output\": ", format);
    strbuf_put_json(out, options->output, strlen(options->output));
    strbuf_printf(out, ", \"bytes\": %" PRId64 ", \"external_bytes\": %" PRId64 ", \"quantized_weights\": %zu}\n", file_bytes(file),
                  data ? file_bytes(data) : 0, n_quantized);
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

/* ---- Hugging Face's directory ---- */

/* The ranges of a quantized model belong to its weights, and go with them; *n: modules that have some. */
static pofac_status write_quantization(const char *directory, const model_quantization *q, const diag_sink *sink, size_t *n) {
    *n = model_quantization_size(q);
    quantized_module *modules = malloc((*n + 1) * sizeof *modules);
    if (!modules) return diag_out_of_memory(sink);
    for (size_t i = 0; i < *n; i++) modules[i] = *model_quantization_at(q, i);
    pofac_status status = model_quantization_write(directory, model_quantization_plan(q), modules, *n, sink);
    free(modules);
    return status;
}

static pofac_status save(loaded_model *model, state_store *state, const export_options *options, const diag_sink *sink,
                         size_t *n_quantized) {
    const model_quantization *q = options->without_quantization ? NULL : loaded_model_quantization(model);
    model_directory to;
    TRY(model_directory_open(options->output, sink, &to));
    const char *new = strbuf_str(&to.new);
    pofac_status status = run_model_save(new, model, state, options->dtype, sink);
    if (status == POFAC_OK && q) status = write_quantization(new, q, sink, n_quantized);
    return model_directory_close(&to, status, sink);
}

pofac_status export_directory(loaded_model *model, const export_options *options, const diag_sink *sink, strbuf *out) {
    const road_options road = {.quantization = ROAD_UNQUANTIZED};
    ir_module *m = NULL;
    state_store *state = NULL;
    strbuf weights = STRBUF_INIT;
    size_t n_quantized = 0;
    TRY(road_build(model, &road, sink, &m));
    strbuf_printf(&weights, "%s/model.safetensors", options->output);
    pofac_status status = strbuf_ok(&weights) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = state_store_create(m, loaded_model_state(model), sink, &state);
    if (status == POFAC_OK) status = save(model, state, options, sink, &n_quantized);
    if (status == POFAC_OK) status = report("safetensors", options, strbuf_str(&weights), NULL, n_quantized, sink, out);
    state_store_destroy(state);
    module_destroy(m);
    strbuf_free(&weights);
    return status;
}

/* ---- ONNX ---- */

pofac_status export_onnx(loaded_model *model, const export_options *options, const diag_sink *sink, strbuf *out) {
    const road_options road = {.quantization = options->without_quantization ? ROAD_UNQUANTIZED : ROAD_SIMULATED};
    const onnx_export_options onnx = {.external_data = options->external_data};
    onnx_export_result result = {0};
    ir_module *m;
    TRY(road_build(model, &road, sink, &m));
    pofac_status status =
        onnx_export(module_find_graph(m, ROAD_GRAPH), loaded_model_state(model), options->output, &onnx, sink, &result);
    const bool outside = options->external_data || result.tensor_bytes > ONNX_MOST_INSIDE_BYTES;
    strbuf data = STRBUF_INIT;
    strbuf_printf(&data, "%s.data", options->output);
    if (status == POFAC_OK && !strbuf_ok(&data)) status = diag_out_of_memory(sink);
    if (status == POFAC_OK)
        status = report("onnx", options, options->output, outside ? strbuf_str(&data) : NULL, result.n_quantized, sink, out);
    strbuf_free(&data);
    module_destroy(m);
    return status;
}
