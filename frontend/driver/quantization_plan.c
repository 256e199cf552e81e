/* Plans of quantization: what they say of a module, and their JSON; see model_quantization.h. Every wrong value has its message, not the first one alone. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "frontend/driver/quantization_json.h"
#include "ir/graph.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

#define MOST_FORWARDS INT64_C(1000000000000) /* as in xml.def */

quantization_plan quantization_plan_default(void) { return (quantization_plan){.weight_bits = 8}; }

/* ---- modules ---- */

static bool has_part(const char *name, const char *const *parts, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strstr(name, parts[i])) return true;
    return false;
}

pass_quantized quantization_plan_of(void *plan, const char *module) {
    const quantization_plan *p = plan;
    if (p->activations == QUANTIZE_WEIGHTS_ONLY || strncmp(module, IR_FROZEN, sizeof IR_FROZEN - 1) == 0) return PASS_QUANTIZED_NOT;
    if (has_part(module, p->not_to_quantize, p->n_not_to_quantize)) return PASS_QUANTIZED_NOT;
    const bool keeps_output = has_part(module, p->not_to_requantize_output, p->n_not_to_requantize_output);
    const pass_quantized activations = p->activations == QUANTIZE_DYNAMIC ? PASS_QUANTIZED_ROWS
                                       : keeps_output                     ? PASS_QUANTIZED_OPERANDS
                                                                          : PASS_QUANTIZED_WHOLE;
    return p->per_channel ? activations | PASS_QUANTIZED_CHANNELS : activations;
}

/* ---- reading ---- */

typedef struct plan_reader {
    const char *file, *part; /* part: NULL, or what within the file */
    arena *memory;
    const diag_sink *sink;
    strbuf text;
    pofac_status status; /* the first error; its message is out */
} plan_reader;

static diag_place place_of(const plan_reader *r) { return (diag_place){.file = r->file}; }

/* "KEY: found 3, wanted a string" */
static void wrong(plan_reader *r, const char *key, const json_t *value, const char *wanted) {
    const diag_place place = place_of(r);
    const pofac_status status = diag_error(r->sink, POFAC_ERR_INPUT, &place, "%s%s%s: found %s, wanted %s", r->part ? r->part : "",
                                           r->part ? ": " : "", key, json_describe(value, &r->text), wanted);
    if (r->status == POFAC_OK) r->status = status;
}

static void read_parts(plan_reader *r, const char *key, const json_t *value, const char *const **out, size_t *n) {
    const char **parts = ARENA_ARRAY(r->memory, const char *, json_array_size(value) + 1);
    *n = 0;
    *out = parts;
    if (!json_is_array(value)) return wrong(r, key, value, "an array of strings");
    for (size_t i = 0; parts && i < json_array_size(value); i++) {
        const json_t *part = json_array_get(value, i);
        const char *text = json_string_value(part);
        if (!text || !*text) return wrong(r, key, part, "an array of strings that are not empty");
        parts[*n] = arena_strdup(r->memory, text);
        if (!parts[(*n)++]) parts = NULL;
    }
    if (!parts && r->status == POFAC_OK) r->status = diag_out_of_memory(r->sink);
}

static void read_flag(plan_reader *r, const char *key, const json_t *value, bool *out) {
    if (json_is_boolean(value)) *out = json_is_true(value);
    else wrong(r, key, value, "true or false");
}

/* The index of a string among `words`, which end with NULL. */
static int read_word(plan_reader *r, const char *key, const json_t *value, const char *const *words, const char *wanted) {
    const char *text = json_string_value(value);
    for (int i = 0; text && words[i]; i++)
        if (strcmp(words[i], text) == 0) return i;
    wrong(r, key, value, wanted);
    return 0;
}

static void read_begin(plan_reader *r, const char *key, const json_t *value, int64_t *out) {
    const int64_t begin = json_integer_value(value);
    if (json_is_integer(value) && begin >= 0 && begin <= MOST_FORWARDS) *out = begin;
    else wrong(r, key, value, "an integer from 0 to 1000000000000");
}

static void read_bits(plan_reader *r, const char *key, const json_t *value, int *out) {
    const int64_t bits = json_integer_value(value);
    if (bits == 8 || bits == 4) *out = (int)bits;
    else wrong(r, key, value, "8 or 4");
}

static const char *const scales[] = {"per_tensor", "per_channel", NULL}, *const activations[] = {"static", "dynamic", "none", NULL};

static void read_key(plan_reader *r, const char *key, const json_t *value, quantization_plan *out) {
    if (strcmp(key, "quantization_begin") == 0) read_begin(r, key, value, &out->begin);
    else if (strcmp(key, "not_to_quantize") == 0) read_parts(r, key, value, &out->not_to_quantize, &out->n_not_to_quantize);
    else if (strcmp(key, "not_to_requantize_output") == 0)
        read_parts(r, key, value, &out->not_to_requantize_output, &out->n_not_to_requantize_output);
    else if (strcmp(key, "weight_scales") == 0)
        out->per_channel = read_word(r, key, value, scales, "\"per_tensor\" or \"per_channel\"") == 1;
    else if (strcmp(key, "quantize_embeddings") == 0) read_flag(r, key, value, &out->embeddings);
    else if (strcmp(key, "observe_padding") == 0) read_flag(r, key, value, &out->observe_padding);
    else if (strcmp(key, "activations") == 0)
        out->activations = (quantization_activations)read_word(r, key, value, activations, "\"static\", \"dynamic\" or \"none\"");
    else if (strcmp(key, "weight_bits") == 0) read_bits(r, key, value, &out->weight_bits);
    else {
        const diag_place place = place_of(r);
        diag_warning(r->sink, &place, "%s is unknown, and ignored", key);
    }
}

pofac_status quantization_plan_parse(const char *file, const char *part, const void *bytes, size_t n, arena *a,
                                     const diag_sink *sink, quantization_plan *out) {
    plan_reader r = {file, part, a, sink, STRBUF_INIT, POFAC_OK};
    const diag_place place = place_of(&r);
    json_t *root, *value;
    const char *key;
    *out = quantization_plan_default();
    TRY(json_parse(file, part, bytes, n, sink, &root));
    if (!json_is_object(root))
        r.status = diag_error(sink, POFAC_ERR_INPUT, &place, "found %s, wanted an object", json_describe(root, &r.text));
    else json_object_foreach(root, key, value) read_key(&r, key, value, out);
    if (r.status == POFAC_OK && out->weight_bits != 8 && out->activations != QUANTIZE_WEIGHTS_ONLY)
        r.status =
            diag_error(sink, POFAC_ERR_INPUT, &place, "weight_bits: found %d, wanted 8, or activations \"none\"", out->weight_bits);
    json_decref(root);
    strbuf_free(&r.text);
    return r.status;
}

pofac_status quantization_plan_read(const char *path, arena *a, const diag_sink *sink, quantization_plan *out) {
    file_map map;
    const char *file = arena_strdup(a, path);
    *out = quantization_plan_default();
    if (!file) return diag_out_of_memory(sink);
    TRY(file_map_open(file, sink, &map));
    const pofac_status status = quantization_plan_parse(file, NULL, map.data, map.size_bytes, a, sink, out);
    file_map_close(&map);
    return status;
}

/* ---- writing ---- */

static void put_parts(const char *key, const char *const *parts, size_t n, strbuf *out) {
    strbuf_printf(out, "\"%s\": [", key);
    for (size_t i = 0; i < n; i++) {
        if (i) strbuf_puts(out, ", ");
        strbuf_put_json(out, parts[i], strlen(parts[i]));
    }
    strbuf_puts(out, "], ");
}

void quantization_plan_put(const quantization_plan *p, strbuf *out) {
    strbuf_printf(out, "{\"quantization_begin\": %" PRId64 ", ", p->begin);
    put_parts("not_to_quantize", p->not_to_quantize, p->n_not_to_quantize, out);
    put_parts("not_to_requantize_output", p->not_to_requantize_output, p->n_not_to_requantize_output, out);
    strbuf_printf(out, "\"weight_scales\": \"%s\", \"quantize_embeddings\": %s, \"observe_padding\": %s, ", scales[p->per_channel],
                  p->embeddings ? "true" : "false", p->observe_padding ? "true" : "false");
    strbuf_printf(out, "\"activations\": \"%s\", \"weight_bits\": %d}", activations[p->activations], p->weight_bits);
}
