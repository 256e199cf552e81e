/* <quantize> and options -> how a trained model is quantized; see quantize_settings.h. */
#include "frontend/driver/quantize_settings.h"

#include <string.h>

#include "frontend/driver/compiled_file.h"
#include "frontend/driver/recipe_reader.h"
#include "ir/support/file_map.h"

#define QUANTIZE "quantize"

static const char *get_word(recipe_reader *r, const char *name) {
    const recipe_setting s = recipe_get(r, QUANTIZE, name);
    return s.is_there ? s.value.as.string : "";
}

/* As the plan has it, where nothing is written. */
static pofac_status read_method(recipe_reader *r, quantize_settings *out) {
    static const quantization_activations activations[] = {QUANTIZE_STATIC, QUANTIZE_DYNAMIC, QUANTIZE_WEIGHTS_ONLY};
    static const char *const names[] = {"static", "dynamic", "weights"};
    const recipe_setting s = recipe_get(r, QUANTIZE, "method");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (activations[i] == out->plan.activations) out->method = names[i];
    if (r->status != POFAC_OK || !s.is_written) return r->status;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], s.value.as.string) != 0) continue;
        out->method = names[i];
        out->plan.activations = activations[i];
        return POFAC_OK;
    }
    return recipe_wrong(r, &s, "found qat, which pofac train does, wanted static, dynamic or weights");
}

static void read_calibration(recipe_reader *r, quantize_settings *out) {
    const recipe_setting percentile = recipe_get(r, QUANTIZE, "percentile"),
                         samples = recipe_get(r, QUANTIZE, "calibration_samples");
    const char *name = get_word(r, "calibration");
    out->calibration_name = name;
    out->calibration = strcmp(name, "mse") == 0          ? CALIBRATE_MSE
                       : strcmp(name, "percentile") == 0 ? CALIBRATE_PERCENTILE
                                                         : CALIBRATE_MINMAX;
    out->percentile = percentile.is_there ? percentile.value.as.number : 0;
    out->samples = samples.is_there ? samples.value.as.integer : 0;
}

/* A configuration says how weights are held as well; what is written beside it wins. */
static void read_weights(recipe_reader *r, bool has_config, quantization_plan *p) {
    const recipe_setting scales = recipe_get(r, QUANTIZE, "weight_scales"), tables = recipe_get(r, QUANTIZE, "quantize_embeddings"),
                         bits = recipe_get(r, QUANTIZE, "weight_bits");
    if (r->status != POFAC_OK) return;
    if (scales.is_there && (scales.is_written || !has_config)) p->per_channel = strcmp(scales.value.as.string, "per_channel") == 0;
    if (tables.is_there && (tables.is_written || !has_config)) p->embeddings = tables.value.as.truth;
    if (bits.is_there && (bits.is_written || !has_config)) p->weight_bits = strcmp(bits.value.as.string, "4") == 0 ? 4 : 8;
}

/* Settings of a method that is not the chosen one. */
static pofac_status check(recipe_reader *r, const quantize_settings *s) {
    const recipe_setting bits = recipe_get(r, QUANTIZE, "weight_bits"), calibration = recipe_get(r, QUANTIZE, "calibration"),
                         percentile = recipe_get(r, QUANTIZE, "percentile"),
                         outputs = recipe_get(r, QUANTIZE, "requantize_outputs"),
                         begin = recipe_get(r, QUANTIZE, "quantization_begin");
    const recipe_setting scales = recipe_get(r, QUANTIZE, "weight_scales");
    const bool is_static = s->plan.activations == QUANTIZE_STATIC;
    if (s->plan.weight_bits == 4 && s->plan.activations != QUANTIZE_WEIGHTS_ONLY)
        return recipe_wrong(r, &bits, "found 4 bits with 8 bits of activations, wanted method weights");
    if (s->plan.weight_bits == 4 && s->plan.per_channel && !s->plan.embeddings)
        return recipe_wrong(r, &scales,
                            "found per_channel with weights of 4 bits, of which 32 columns share a scale, wanted per_tensor");
    if (percentile.is_written && s->calibration != CALIBRATE_PERCENTILE)
        return recipe_wrong(r, &percentile, "found without the calibration percentile, which it belongs to");
    if (s->calibration == CALIBRATE_PERCENTILE && !is_static)
        return recipe_wrong(r, &calibration, "found percentile without method static, whose activations it is for");
    if (outputs.is_written && s->outputs && !is_static)
        return recipe_wrong(r, &outputs, "found without method static, which has ranges of outputs");
    if (begin.is_written && begin.value.as.integer > 0)
        return recipe_wrong(r, &begin, "found with a model that is quantized after its training, wanted 0");
    return POFAC_OK;
}

static pofac_status read_all(recipe_reader *r, quantize_settings *out) {
    const xml_element *quantize = xml_child(r->root, QUANTIZE);
    const recipe_setting config = recipe_get(r, QUANTIZE, "config"), outputs = recipe_get(r, QUANTIZE, "requantize_outputs");
    if (r->status != POFAC_OK) return r->status;
    *out = (quantize_settings){.plan = quantization_plan_default()};
    if (config.is_there) TRY(quantization_plan_read(config.value.as.string, r->a, r->sink, &out->plan));
    out->plan.begin = 0;
    out->outputs = outputs.is_there && outputs.value.as.truth;
    TRY(read_method(r, out));
    read_calibration(r, out);
    read_weights(r, config.is_there, &out->plan);
    if (r->status != POFAC_OK) return r->status;
    TRY(recipe_read_parts(r, quantize, "not_to_quantize", &out->plan.not_to_quantize, &out->plan.n_not_to_quantize));
    TRY(recipe_read_parts(r, quantize, "not_to_requantize_output", &out->plan.not_to_requantize_output,
                          &out->plan.n_not_to_requantize_output));
    return check(r, out);
}

pofac_status quantize_settings_read(const char *path, const recipe_option *options, size_t n, arena *a, const diag_sink *sink,
                                    quantize_settings *out) {
    recipe_reader r = {.options = options, .n_options = n, .a = a, .sink = sink};
    if (compiled_file_is_one(path))
        return diag_error(sink, POFAC_ERR_USAGE, &(diag_place){.file = path},
                          "found a compiled model, wanted the model that it was made from");
    if (!file_is_directory(path)) {
        xml_document *document;
        TRY(xml_document_read(path, a, sink, &document));
        r.root = document->root;
    }
    return read_all(&r, out);
}
