/* Sizes of a model by layer; see size_report.h. */
#include "frontend/driver/size_report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/checkpoint/scaled_tensors.h"
#include "ir/quantization.h"
#include "ir/support/text_ends.h"

typedef struct reporter {
    loaded_model *model;
    const tensor_source *state;
    arena *a;
    const diag_sink *sink;
    size_report *out;
} reporter;

double size_factor(int64_t whole, int64_t part) { return part > 0 ? (double)whole / (double)part : 0; }

/* ---- names ---- */

static const char *without_prefix(const char *name) {
    static const char *const prefixes[] = {"bert.", "distilbert."};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return name + strlen(prefixes[i]);
    return name;
}

/* Of the layer's name in the parameter's: "encoder.layer.3", or what stands before the first point. */
static size_t layer_length(const char *name, bool *in_encoder) {
    static const char *const layers[] = {"encoder.layer.", "transformer.layer."};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const size_t n = strlen(layers[i]);
        *in_encoder = strncmp(name, layers[i], n) == 0;
        if (*in_encoder) return n + strcspn(name + n, ".");
    }
    return strcspn(name, ".");
}

static pofac_status layer_of(const reporter *r, const char *name, size_t length, size_group **out) {
    size_report *report = r->out;
    for (size_t i = 0; i < report->n_layers; i++) {
        *out = &report->layers[i];
        if (strlen((*out)->name) == length && strncmp((*out)->name, name, length) == 0) return POFAC_OK;
    }
    *out = &report->layers[report->n_layers];
    (*out)->name = arena_strndup(r->a, name, length);
    if (!(*out)->name) return diag_out_of_memory(r->sink);
    report->n_layers++;
    return POFAC_OK;
}

/* ---- one parameter ---- */

static int64_t bytes_in_compiled(const compiled_file *f, const char *name) {
    static const compiled_kind kinds[] = {COMPILED_TENSOR, COMPILED_PACKED};
    int64_t bytes = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (const compiled_section *s = compiled_file_find(f, kinds[i], name); s; s = compiled_file_next(f, s))
            bytes += (int64_t)s->stored_bytes;
    return bytes;
}

static int64_t bytes_in_checkpoint(const checkpoint_tensor *t) { return checkpoint_bytes(t) + (t->scales ? t->scales->bytes : 0); }

/* The range of a weight that stands in 8 bits, f32 [2] or [N,2]; false: it does not. */
static bool find_range(const reporter *r, const char *weight, const char **name, ir_tensor *out) {
    const size_t n = strlen(weight) - (text_ends_with(weight, ".weight") ? strlen(".weight") : 0);
    *name = arena_printf(r->a, "%.*s" IR_WEIGHT_RANGE, (int)n, weight);
    return *name && text_ends_with(weight, ".weight") && r->state->get(r->state->user, *name, NULL, out) == POFAC_OK;
}

/* Weights that are not zero, but 0 in 8 bits. */
static int64_t count_rounded(const ir_tensor *weight, const ir_tensor *ranges) {
    const int64_t n = tensor_elements(weight), columns = weight->rank == 2 ? weight->dims[1] : n;
    int64_t rounded = 0;
    for (int64_t row = 0; columns > 0 && row < n / columns; row++) {
        const int64_t at = ranges->rank == 2 && row < ranges->dims[0] ? 2 * row : 0;
        const value_range range = {(float)tensor_get(ranges, at), (float)tensor_get(ranges, at + 1)};
        if (value_range_is_none(range)) continue;
        const quantization q = quantization_of(range, QUANTIZE_SYMMETRIC);
        for (int64_t i = row * columns; i < (row + 1) * columns; i++) {
            const float x = (float)tensor_get(weight, i);
            rounded += x != 0 && quantization_encode(q, x) == 0;
        }
    }
    return rounded;
}

/* Bits that a weight has where it is not zero, and what of it 8 bits round to 0. */
static pofac_status measure_precision(const reporter *r, const inspect_row *row, const checkpoint_tensor *t, int64_t *bits,
                                      int64_t *rounded) {
    ir_tensor range, weight;
    const char *name;
    *bits = t && t->scales ? t->scales->bits : t ? (int64_t)dtype_bits(t->dtype) : row->element_bits;
    *rounded = 0;
    if ((t && t->scales) || !row->prunable || !find_range(r, row->name, &name, &range)) return POFAC_OK;
    *bits = 8;
    pofac_status status = r->state->get(r->state->user, row->name, r->sink, &weight);
    if (status == POFAC_OK) {
        *rounded = count_rounded(&weight, &range);
        tensor_source_release(r->state, row->name);
    }
    tensor_source_release(r->state, name);
    return status;
}

static void add_sizes(size_group *to, const size_group *from) {
    to->parameters += from->parameters;
    to->zeros += from->zeros;
    to->rounded_zeros += from->rounded_zeros;
    to->dense_bytes += from->dense_bytes;
    to->file_bytes += from->file_bytes;
    to->memory_bytes += from->memory_bytes;
    to->nonzero_bits += from->nonzero_bits;
}

static pofac_status add_parameter(const reporter *r, const inspect_row *row) {
    const compiled_model *compiled = loaded_model_compiled(r->model);
    const checkpoint_tensor *t = loaded_model_tensor(r->model, row->name);
    const char *name = without_prefix(row->name);
    bool in_encoder;
    int64_t bits = 0;
    size_group *layer,
        own = {
            .parameters = row->elements, .zeros = row->zeros, .dense_bytes = row->elements * 4, .memory_bytes = row->memory_bytes};
    TRY(layer_of(r, name, layer_length(name, &in_encoder), &layer));
    TRY(measure_precision(r, row, t, &bits, &own.rounded_zeros));
    if (compiled) own.file_bytes = bytes_in_compiled(compiled_model_file(compiled), row->name);
    else if (t) own.file_bytes = bytes_in_checkpoint(t);
    own.nonzero_bits = (row->elements - row->zeros) * bits;
    add_sizes(layer, &own);
    add_sizes(&r->out->all, &own);
    if (in_encoder && row->prunable) add_sizes(&r->out->encoder, &own);
    return POFAC_OK;
}

/* ---- files ---- */

/* Names a file once; one that cannot be looked at has 0 bytes. */
static pofac_status add_file(const reporter *r, const char *path) {
    const char *slash = strrchr(path, '/');
    struct stat s;
    const size_file file = {arena_strdup(r->a, slash ? slash + 1 : path), stat(path, &s) == 0 ? (int64_t)s.st_size : 0};
    if (!file.name) return diag_out_of_memory(r->sink);
    for (size_t i = 0; i < r->out->n_files; i++)
        if (strcmp(r->out->files[i].name, file.name) == 0) return POFAC_OK;
    r->out->files[r->out->n_files++] = file;
    return POFAC_OK;
}

static pofac_status add_compiled(const reporter *r, const compiled_file *f) {
    for (size_t i = 0; i < compiled_file_size(f); i++) {
        const compiled_section *s = compiled_file_at(f, i);
        if (s->kind == COMPILED_OBJECT) r->out->code_bytes += (int64_t)s->stored_bytes;
    }
    return add_file(r, compiled_file_path(f));
}

static pofac_status add_files(const reporter *r) {
    const checkpoint *c = loaded_model_checkpoint(r->model);
    const char *directory = loaded_model_directory(r->model);
    const size_t most = (c ? checkpoint_size(c) : 0) + 2;
    r->out->files = ARENA_ARRAY(r->a, size_file, most);
    if (!r->out->files) return diag_out_of_memory(r->sink);
    if (loaded_model_compiled(r->model)) return add_compiled(r, compiled_model_file(loaded_model_compiled(r->model)));
    for (size_t i = 0; c && i < checkpoint_size(c); i++) TRY(add_file(r, checkpoint_at(c, i)->file));
    if (!loaded_model_quantization(r->model)) return POFAC_OK;
    const char *path = arena_printf(r->a, "%s/" QUANTIZATION_FILE, directory);
    return path ? add_file(r, path) : diag_out_of_memory(r->sink);
}

pofac_status size_report_make(loaded_model *model, const inspect_result *inspected, arena *a, const diag_sink *sink,
                              size_report *out) {
    *out = (size_report){.all = {.name = "all"}, .encoder = {.name = "encoder's weights"}};
    const reporter r = {.model = model, .state = loaded_model_state(model), .a = a, .sink = sink, .out = out};
    out->layers = ARENA_ARRAY(a, size_group, inspected->n_rows + 1);
    if (!out->layers) return diag_out_of_memory(sink);
    for (size_t i = 0; i < inspected->n_rows; i++) TRY(add_parameter(&r, &inspected->rows[i]));
    return add_files(&r);
}

/* ---- text ---- */

static void print_group(const size_group *g, int width, strbuf *out) {
    strbuf_printf(out, "%-*s %12" PRId64 " %8.2f%% %14" PRId64 " %14" PRId64 " %14" PRId64 " %9.2f %9.2f\n", width, g->name,
                  g->parameters, 100 * size_factor(g->zeros, g->parameters), g->dense_bytes, g->file_bytes, g->memory_bytes,
                  size_factor(g->dense_bytes, g->file_bytes), size_factor(g->dense_bytes, g->memory_bytes));
}

static void print_files(const size_report *r, strbuf *out) {
    for (size_t i = 0; i < r->n_files; i++)
        strbuf_printf(out, "%s%s %" PRId64 " bytes", i ? ", " : "files: ", r->files[i].name, r->files[i].bytes);
    if (r->code_bytes) strbuf_printf(out, ", of which code %" PRId64, r->code_bytes);
    if (r->n_files) strbuf_puts(out, "\n");
}

void size_report_print(const size_report *r, strbuf *out) {
    const size_group *e = &r->encoder;
    int width = (int)strlen("encoder's weights");
    for (size_t i = 0; i < r->n_layers; i++)
        if ((int)strlen(r->layers[i].name) > width) width = (int)strlen(r->layers[i].name);
    strbuf_printf(out, "%-*s %12s %9s %14s %14s %14s %9s %9s\n", width, "layer", "parameters", "zeros", "bytes in f32",
                  "in the file", "in memory", "f32/file", "f32/memory");
    for (size_t i = 0; i < r->n_layers; i++) print_group(&r->layers[i], width, out);
    print_group(&r->all, width, out);
    print_group(e, width, out);
    strbuf_printf(out,
                  "\nnominal compression of the encoder's weights: %.2f (f32 over the bits of those that are not zero, %.1f each; "
                  "positions not counted); really %.2f in "
                  "the file, %.2f in memory, positions included\n",
                  size_factor(8 * e->dense_bytes, e->nonzero_bits), size_factor(e->nonzero_bits, e->parameters - e->zeros),
                  size_factor(e->dense_bytes, e->file_bytes), size_factor(e->dense_bytes, e->memory_bytes));
    if (e->rounded_zeros) strbuf_printf(out, "weights that are not zero, but 0 in 8 bits: %" PRId64 "\n", e->rounded_zeros);
    print_files(r, out);
}

/* ---- JSON ---- */

static void put_group(const size_group *g, strbuf *out) {
    strbuf_puts(out, "{\"name\": ");
    strbuf_put_json(out, g->name, strlen(g->name));
    strbuf_printf(out,
                  ", \"parameters\": %" PRId64 ", \"zeros\": %" PRId64 ", \"rounded_zeros\": %" PRId64 ", \"dense_bytes\": %" PRId64
                  ", \"file_bytes\": %" PRId64 ", \"memory_bytes\": %" PRId64 ", \"nonzero_bits\": %" PRId64 "}",
                  g->parameters, g->zeros, g->rounded_zeros, g->dense_bytes, g->file_bytes, g->memory_bytes, g->nonzero_bits);
}

void size_report_put_json(const size_report *r, strbuf *out) {
    const size_group *e = &r->encoder;
    strbuf_puts(out, ", \"layers\": [");
    for (size_t i = 0; i < r->n_layers; i++) {
        if (i) strbuf_puts(out, ", ");
        put_group(&r->layers[i], out);
    }
    strbuf_puts(out, "], \"size\": {\"all\": ");
    put_group(&r->all, out);
    strbuf_puts(out, ", \"encoder\": ");
    put_group(e, out);
    strbuf_printf(
        out,
        ", \"nominal_compression\": %.4f, \"file_compression\": %.4f, \"memory_compression\": %.4f, \"code_bytes\": %" PRId64
        "}, \"files\": [",
        size_factor(8 * e->dense_bytes, e->nonzero_bits), size_factor(e->dense_bytes, e->file_bytes),
        size_factor(e->dense_bytes, e->memory_bytes), r->code_bytes);
    for (size_t i = 0; i < r->n_files; i++) {
        strbuf_puts(out, i ? ", {\"name\": " : "{\"name\": ");
        strbuf_put_json(out, r->files[i].name, strlen(r->files[i].name));
        strbuf_printf(out, ", \"bytes\": %" PRId64 "}", r->files[i].bytes);
    }
    strbuf_puts(out, "]");
}
