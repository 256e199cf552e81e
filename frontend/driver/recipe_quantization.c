/* <quantize> and its options -> how a run trains in 8 bits; see recipe_reader.h. A configuration says what neither the document nor an option does. */
#include <string.h>

#include "frontend/driver/recipe_reader.h"
#include "runtime/pruning_masks.h"

#define QUANTIZE "quantize"
#define CONFIG_OPTION "quantization_config"

/* ---- patterns ---- */

/* Lines of an option. */
static pofac_status split_lines(recipe_reader *r, const char *lines, const char *const **out, size_t *n) {
    size_t most = 1;
    for (const char *c = lines; *c; c++) most += *c == '\n';
    const char **parts = ARENA_ARRAY(r->a, const char *, most);
    *n = 0;
    if (!parts) return diag_out_of_memory(r->sink);
    for (const char *at = lines; *at;) {
        const size_t length = strcspn(at, "\n");
        if (length > 0 && !(parts[(*n)++] = arena_strndup(r->a, at, length))) return diag_out_of_memory(r->sink);
        at += length + (at[length] == '\n');
    }
    *out = parts;
    return POFAC_OK;
}

pofac_status recipe_read_parts(recipe_reader *r, const xml_element *parent, const char *name, const char *const **out, size_t *n) {
    const char *lines = recipe_option_text(r, name);
    size_t most = 0;
    if (lines) return split_lines(r, lines, out, n);
    for (const xml_element *e = xml_child(parent, name); e; e = xml_next(e)) most++;
    if (most == 0) return POFAC_OK;
    const char **parts = ARENA_ARRAY(r->a, const char *, most);
    *n = 0;
    *out = parts;
    if (!parts) return diag_out_of_memory(r->sink);
    for (const xml_element *e = xml_child(parent, name); e; e = xml_next(e)) {
        const xml_attr *pattern = xml_attr_get(e, "pattern");
        if (!pattern->value.as.string[0])
            return diag_error(r->sink, POFAC_ERR_INPUT, &pattern->place, "pattern: found nothing, wanted a part of a layer's name");
        parts[(*n)++] = pattern->value.as.string;
    }
    return POFAC_OK;
}

/* ---- the section ---- */

static bool is_asked_for(const recipe_reader *r, const xml_element *quantize) {
    static const char *const options[] = {CONFIG_OPTION,     "quantization_begin", "weight_scales",
                                          "observe_padding", "not_to_quantize",    "not_to_requantize_output"};
    if (quantize) return true;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (recipe_option_text(r, options[i])) return true;
    return false;
}

/* What is written, over what the configuration says. */
static pofac_status take_written(recipe_reader *r, const xml_element *quantize, quantization_plan *p) {
    const recipe_setting begin = recipe_get(r, QUANTIZE, "quantization_begin"), scales = recipe_get(r, QUANTIZE, "weight_scales"),
                         tables = recipe_get(r, QUANTIZE, "quantize_embeddings"),
                         padding = recipe_get(r, QUANTIZE, "observe_padding");
    if (r->status != POFAC_OK) return r->status;
    if (begin.is_written) p->begin = begin.value.as.integer;
    if (scales.is_written) p->per_channel = strcmp(scales.value.as.string, "per_channel") == 0;
    if (tables.is_written) p->embeddings = tables.value.as.truth;
    if (padding.is_written) p->observe_padding = padding.value.as.truth;
    TRY(recipe_read_parts(r, quantize, "not_to_quantize", &p->not_to_quantize, &p->n_not_to_quantize));
    return recipe_read_parts(r, quantize, "not_to_requantize_output", &p->not_to_requantize_output, &p->n_not_to_requantize_output);
}

static const diag_place *place_of(const xml_element *quantize) { return quantize ? &quantize->place : NULL; }

/* Settings of what is done after training. */
static pofac_status check_settings(recipe_reader *r) {
    static const char *const later[] = {"calibration", "percentile", "calibration_samples"};
    const recipe_setting bits = recipe_get(r, QUANTIZE, "weight_bits"), outputs = recipe_get(r, QUANTIZE, "requantize_outputs");
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        const recipe_setting s = recipe_get(r, QUANTIZE, later[i]);
        if (s.is_written) return recipe_wrong(r, &s, "found with method qat, whose ranges training learns");
    }
    if (bits.is_written && strcmp(bits.value.as.string, "8") != 0)
        return recipe_wrong(r, &bits, "found 4 with method qat, wanted 8");
    if (outputs.is_written && !outputs.value.as.truth)
        return recipe_wrong(r, &outputs, "found false with method qat, wanted true, or not_to_requantize_output");
    return r->status;
}

/* What `pofac quantize` does after training, and what is not done together. */
static pofac_status check(recipe_reader *r, const xml_element *quantize, const recipe *c) {
    const recipe_setting method = recipe_get(r, QUANTIZE, "method");
    const quantization_plan *p = &c->quantization;
    const pofac_status wrong = quantize ? POFAC_ERR_INPUT : POFAC_ERR_USAGE;
    if (r->status != POFAC_OK) return r->status;
    if (method.is_written && strcmp(method.value.as.string, "qat") != 0)
        return recipe_wrong(r, &method, "found another than qat, wanted qat: pofac quantize does the others, without training");
    TRY(check_settings(r));
    if (p->embeddings)
        return diag_error(
            r->sink, wrong, place_of(quantize),
            "quantize_embeddings: found true, wanted false: training leaves tables in floats, which pofac quantize stores in 8 "
            "bits");
    if (p->activations != QUANTIZE_STATIC || p->weight_bits != 8)
        return diag_error(r->sink, wrong, place_of(quantize),
                          "found a configuration of activations or weights that are not 8 bits by learned ranges, wanted these in "
                          "training");
    if (!c->prunes) return POFAC_OK;
    const pruning_method *m = pruning_method_find(c->prune.method);
    if (m->gradient != PRUNING_STRAIGHT && m->needs != PRUNING_MOVEMENT) return POFAC_OK;
    return diag_error(r->sink, wrong, place_of(quantize),
                      "found quantization with %s, whose masks need gradients of all entries; wanted one of them", c->prune.method);
}

pofac_status recipe_read_quantization(recipe_reader *r, recipe *out) {
    const xml_element *quantize = xml_child(r->root, QUANTIZE);
    const xml_attr *written = xml_attr_get(quantize, "config");
    const char *config = recipe_option_text(r, CONFIG_OPTION);
    out->quantization = quantization_plan_default();
    if (!is_asked_for(r, quantize)) return POFAC_OK;
    if (config) quantize = NULL; /* which it stands for */
    else if (written) config = written->value.as.string;
    if (config) TRY(quantization_plan_read(config, r->a, r->sink, &out->quantization));
    recipe_reader options = *r;
    if (!quantize) options.root = NULL;
    TRY(take_written(&options, quantize, &out->quantization));
    out->quantizes = true;
    return check(&options, quantize, out);
}

void recipe_put_quantization(const recipe *r, strbuf *out) {
    if (!r->quantizes) return;
    strbuf_puts(out, "quantization=");
    quantization_plan_put(&r->quantization, out);
    strbuf_putc(out, '\n');
}
