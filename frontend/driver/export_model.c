/*
 * A loaded model -> files of others; see export_model.h. ONNX is made of the frontend's graph, before any pass that makes it fit for pofac's own kernels; of a
 * quantized model that of its simulation, whose fake_quantize becomes QuantizeLinear and DequantizeLinear there.
 */
#include "frontend/driver/export_model.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/model_quantization.h"
#include "frontend/driver/model_save.h"
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
    const model_quantization *q = options->without_quantization ? NULL : loaded_model_quantization(model);
    strbuf path = STRBUF_INIT, to = STRBUF_INIT;
    file_map file = {NULL, 0};
    *n = q ? model_quantization_size(q) : 0;
    strbuf_printf(&path, "%s/" QUANTIZATION_FILE, q ? loaded_model_directory(model) : "");
    strbuf_printf(&to, "%s/" QUANTIZATION_FILE, options->output);
    pofac_status status = strbuf_ok(&path) && strbuf_ok(&to) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK && !q && file_exists(strbuf_str(&to)))
        status = directory_remove(strbuf_str(&to), sink); /* of a model before */
    if (status == POFAC_OK && q) status = file_map_open(strbuf_str(&path), sink, &file);
    if (status == POFAC_OK && q) status = file_write_all(strbuf_str(&to), file.data, file.size_bytes, sink);
    file_map_close(&file);
    strbuf_free(&path);
    strbuf_free(&to);
    return status;
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

pofac_status export_onnx(loaded_model *model, const export_options *options, const diag_sink *sink, strbuf *out) {
    const road_options road = {.quantization = options->without_quantization ? ROAD_UNQUANTIZED : ROAD_SIMULATED};
    const onnx_export_options onnx = {.external_data = options->external_data};
    onnx_export_result result = {0};
    ir_module *m;
    TRY(road_build(model, &road, sink, &m));
    pofac_status status =
        onnx_export(module_find_graph(m, ROAD_GRAPH), loaded_model_state(model), options->output, &onnx, sink, &result);
    if (status == POFAC_OK) status = report("onnx", options->output, options->output, result.n_quantized, sink, out);
    module_destroy(m);
    return status;
}
