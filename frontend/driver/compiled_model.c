/* Reading compiled models; see compiled_model.h. */
#include "frontend/driver/compiled_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/text/tokenizer_config.h"
#include "ir/plan.h"
#include "ir/support/hash.h"
#include "ir/support/strmap.h"
#include "ir/support/vector.h"
#include "ir/text.h"
#include "runtime/unpacking.h"

struct compiled_model {
    compiled_file *file;
    VEC(const compiled_section *) parameters; /* the first section of each name: in rows, a pattern, or packed */
    packed_source packed;
    cg_objects objects;
};

/* ---- texts ---- */

void compiled_graph_options_print(const model_graph_options *o, const char *arithmetic, strbuf *out) {
    strbuf_printf(out,
                  "embedding_output=%d loss=%d last_hidden=%d hidden=%d mask_padded=%d no_pooler=%d chosen_rows=%d training=%d "
                  "all_logits=%d dropout=%d sequences=%" PRId64 " arithmetic=%s",
                  o->from_embedding_output, o->with_loss, o->last_hidden_state, o->hidden_states, o->mask_padded_logits,
                  o->without_pooler, o->chosen_rows, o->training, o->all_logits, o->dropout, o->max_sequences, arithmetic);
}

void compiled_tokenizer_settings_print(const tokenizer_options *o, strbuf *out) {
    strbuf_printf(out, "%d %d %d %zu %zu", (int)o->do_lower_case, (int)o->strip_accents, (int)o->tokenize_chinese_chars,
                  o->max_input_chars_per_word, o->model_max_length);
}

void compiled_target_print(const cg_target *t, strbuf *out) {
    strbuf_printf(out, "%s %u %u %u %d %u %s %s %s\n", t->isa, t->vector_bytes, t->vector_registers, t->pointer_bytes, t->has_fma,
                  t->extensions, t->triple, t->cpu, t->features);
}

void compiled_maker_print(strbuf *out) { strbuf_printf(out, "%s LLVM %s", cg_sources_hash(), cg_llvm_version()); }

void compiled_object_name(const char *key, char out[33]) { hash_to_hex(hash_bytes128(key, strlen(key)), out); }

static pofac_status malformed(const compiled_model *c, const diag_sink *sink, const char *section, const char *why) {
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = compiled_file_path(c->file)}, "section %s: %s", section, why);
}

static const compiled_section *find_text(const compiled_model *c, const char *name) {
    return compiled_file_find(c->file, COMPILED_TEXT, name);
}

/* ---- what is packed ---- */

static bool has_form(const compiled_section *s, const plan_buffer *b) {
    return strcmp(s->packing, plan_packing_name(b->packing)) == 0 && s->parameter == b->packing_parameter &&
           sparse_layout_equal(&s->sparse, &b->sparse);
}

static const void *find_packed(void *user, const plan_buffer *buffer, size_t *n_bytes) {
    const compiled_model *c = user;
    const compiled_section *s = compiled_file_find(c->file, COMPILED_PACKED, buffer->name);
    while (s && !has_form(s, buffer)) s = compiled_file_next(c->file, s);
    *n_bytes = s ? s->bytes : 0;
    return s ? s->data : NULL;
}

static bool count_packed(void *user, const char *name, int64_t *shape) {
    const compiled_model *c = user;
    const compiled_section *s = compiled_file_find(c->file, COMPILED_PATTERN, name);
    if (s) memcpy(shape, s->dims, 3 * sizeof *shape);
    return s != NULL;
}

static bool get_object(void *user, const char *key, strbuf *out) {
    const compiled_model *c = user;
    char name[33];
    compiled_object_name(key, name);
    const compiled_section *s = compiled_file_find(c->file, COMPILED_OBJECT, name);
    if (s && s->bytes) strbuf_append(out, s->data, s->bytes);
    return s && s->bytes && strbuf_ok(out);
}

const packed_source *compiled_model_packed(const compiled_model *c) { return &c->packed; }

const cg_objects *compiled_model_objects(const compiled_model *c) { return &c->objects; }

/* ---- opening ---- */

/* The sections that a parameter may have, in the order in which they tell its shape. */
static const compiled_kind parameter_kinds[] = {COMPILED_TENSOR, COMPILED_PATTERN, COMPILED_PACKED};

static const compiled_section *first_of_name(const compiled_model *c, const char *name) {
    const compiled_section *s = NULL;
    for (size_t k = 0; k < sizeof parameter_kinds / sizeof *parameter_kinds && !s; k++)
        s = compiled_file_find(c->file, parameter_kinds[k], name);
    return s;
}

static bool is_of_parameter(const compiled_section *s) {
    return s->kind == COMPILED_TENSOR || s->kind == COMPILED_PATTERN || s->kind == COMPILED_PACKED;
}

static pofac_status list_parameters(compiled_model *c, const diag_sink *sink) {
    for (size_t i = 0; i < compiled_file_size(c->file); i++) {
        const compiled_section *s = compiled_file_at(c->file, i);
        if (is_of_parameter(s) && first_of_name(c, s->name) == s && !VEC_PUSH(&c->parameters, s)) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

pofac_status compiled_model_open(const char *path, size_t threads, const diag_sink *sink, compiled_model **out) {
    *out = NULL;
    compiled_model *c = calloc(1, sizeof *c);
    if (!c) return diag_out_of_memory(sink);
    c->packed = (packed_source){.find = find_packed, .count = count_packed, .user = c};
    c->objects = (cg_objects){.get = get_object, .user = c};
    pofac_status status = compiled_file_open(path, threads, sink, &c->file);
    if (status == POFAC_OK) status = list_parameters(c, sink);
    if (status == POFAC_OK) *out = c;
    else compiled_model_close(c);
    return status;
}

void compiled_model_close(compiled_model *c) {
    if (!c) return;
    VEC_FREE(&c->parameters);
    compiled_file_close(c->file);
    free(c);
}

const compiled_file *compiled_model_file(const compiled_model *c) { return c->file; }

/* ---- definition and tokenizer ---- */

pofac_status compiled_model_spec(const compiled_model *c, arena *a, const diag_sink *sink, model_spec *out) {
    const compiled_section *s = find_text(c, COMPILED_CONFIG);
    if (!s || !s->bytes) return malformed(c, sink, COMPILED_CONFIG, "it is missing");
    const char *name = arena_printf(a, "%s/" COMPILED_CONFIG, compiled_file_path(c->file));
    return name ? config_json_parse(name, s->data, s->bytes, a, sink, out) : diag_out_of_memory(sink);
}

/* `s` has n bytes that are no text: a copy with a 0 behind, in `a`; NULL when memory is short. */
static const char *text_of(const compiled_section *s, arena *a) { return arena_strndup(a, s->data ? s->data : "", s->bytes); }

static tokenizer_flag flag_of(int number) { return number < 0 || number > TOKENIZER_ON ? TOKENIZER_UNSET : (tokenizer_flag)number; }

pofac_status compiled_model_tokenizer_settings(const compiled_model *c, const diag_sink *sink, tokenizer_options *out) {
    const compiled_section *s = find_text(c, COMPILED_TOKENIZER_SETTINGS);
    arena a = ARENA_INIT;
    int lower, accents, chinese;
    *out = (tokenizer_options){0};
    if (!s) return POFAC_OK;
    const char *text = text_of(s, &a);
    const bool ok = text && sscanf(text, "%d %d %d %zu %zu", &lower, &accents, &chinese, &out->max_input_chars_per_word,
                                   &out->model_max_length) == 5;
    if (ok) {
        out->do_lower_case = flag_of(lower);
        out->strip_accents = flag_of(accents);
        out->tokenize_chinese_chars = flag_of(chinese);
    }
    arena_free(&a);
    return ok     ? POFAC_OK
           : text ? malformed(c, sink, COMPILED_TOKENIZER_SETTINGS, "found no five numbers")
                  : diag_out_of_memory(sink);
}

pofac_status compiled_model_tokenizer(const compiled_model *c, const diag_sink *sink, tokenizer **out) {
    enum { MOST = 16 };
    tokenizer_file files[MOST] = {{0}};
    tokenizer_options settings;
    char name[64];
    size_t n = 0;
    for (size_t i = 0; i < MOST && tokenizer_file_name(i); i++) {
        snprintf(name, sizeof name, COMPILED_TOKENIZER "%s", tokenizer_file_name(i));
        const compiled_section *s = find_text(c, name);
        files[i] = (tokenizer_file){tokenizer_file_name(i), s ? s->data : NULL, s ? s->bytes : 0};
        n += files[i].bytes != NULL;
    }
    if (n == 0)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = compiled_file_path(c->file)},
                          "the model was compiled without a vocabulary; give one with --vocab");
    TRY(compiled_model_tokenizer_settings(c, sink, &settings));
    return tokenizer_load_files(compiled_file_path(c->file), files, &settings, sink, out);
}

/* ---- parameters ---- */

size_t compiled_model_size(const compiled_model *c) { return c->parameters.size; }

const char *compiled_model_name(const compiled_model *c, size_t i) { return c->parameters.data[i]->name; }

void compiled_model_shape(const compiled_model *c, size_t i, ir_tensor *out) {
    const compiled_section *s = c->parameters.data[i];
    const bool in_rows = s->kind == COMPILED_TENSOR;
    *out = (ir_tensor){.dtype = in_rows ? s->dtype : IR_F32, .rank = in_rows ? s->rank : 2};
    memcpy(out->dims, s->dims, out->rank * sizeof *out->dims);
}

static bool is_packing(const compiled_section *s, plan_packing p) { return strcmp(s->packing, plan_packing_name(p)) == 0; }

/* The non-zeros that belong to an index, of those of the same name. */
static const compiled_section *values_of(const compiled_model *c, const compiled_section *index) {
    const compiled_section *s = compiled_file_find(c->file, COMPILED_PACKED, index->name);
    while (s && !(is_packing(s, PACKING_SPARSE_VALUES) && sparse_layout_equal(&s->sparse, &index->sparse)))
        s = compiled_file_next(c->file, s);
    return s;
}

/* The range that a weight was quantized by; false: it is not in the file. */
static bool find_range(const compiled_model *c, const char *weight, ir_tensor *out) {
    const size_t n = strlen(weight), ending = strlen(".weight");
    char name[512];
    if (n <= ending || n + sizeof IR_WEIGHT_RANGE > sizeof name || strcmp(weight + n - ending, ".weight") != 0) return false;
    snprintf(name, sizeof name, "%.*s" IR_WEIGHT_RANGE, (int)(n - ending), weight);
    const compiled_section *s = compiled_file_find(c->file, COMPILED_TENSOR, name);
    if (s) *out = tensor_view(s->dtype, s->rank, s->dims, (void *)s->data);
    return s != NULL;
}

static bool unpack_int8(const compiled_model *c, const compiled_section *s, plan_packing packing, const ir_tensor *t) {
    ir_tensor range;
    if (!find_range(c, s->name, &range)) return false;
    if (packing == PACKING_INT8_SPARSE)
        return unpack_int8_sparse(&s->sparse, s->data, s->bytes, &range, t->dims[0], t->dims[1], t->data);
    return unpack_int8_panels(packing, s->parameter, s->data, s->bytes, &range, t->dims[0], t->dims[1], t->data);
}

static const plan_packing int8_packings[] = {PACKING_INT8_PANELS, PACKING_INT8_TILES, PACKING_INT8_SPARSE};

/* Unpacks what section `s` has of a parameter; false: it alone does not tell, or is malformed. */
static bool unpack(const compiled_model *c, const compiled_section *s, const ir_tensor *t) {
    if (is_packing(s, PACKING_PANELS))
        return unpack_panels(PACKING_PANELS, s->parameter, s->data, s->bytes, t->dims[0], t->dims[1], t->data);
    if (is_packing(s, PACKING_TRANSPOSED_PANELS))
        return unpack_panels(PACKING_TRANSPOSED_PANELS, s->parameter, s->data, s->bytes, t->dims[0], t->dims[1], t->data);
    for (size_t i = 0; i < sizeof int8_packings / sizeof *int8_packings; i++)
        if (is_packing(s, int8_packings[i])) return unpack_int8(c, s, int8_packings[i], t);
    const compiled_section *values = is_packing(s, PACKING_SPARSE_INDEX) ? values_of(c, s) : NULL;
    return values && unpack_sparse(&s->sparse, s->data, s->bytes, values->data, values->bytes, t->dims[0], t->dims[1], t->data);
}

pofac_status compiled_model_tensor(const compiled_model *c, size_t i, const diag_sink *sink, ir_tensor *out) {
    const compiled_section *first = c->parameters.data[i];
    ir_tensor shape;
    compiled_model_shape(c, i, &shape);
    if (first->kind == COMPILED_TENSOR) {
        *out = tensor_view(shape.dtype, shape.rank, shape.dims, (void *)first->data); /* nobody writes to it */
        return POFAC_OK;
    }
    if (tensor_alloc(IR_F32, 2, shape.dims, out) != POFAC_OK) return diag_out_of_memory(sink);
    const compiled_section *s = compiled_file_find(c->file, COMPILED_PACKED, first->name);
    while (s && !unpack(c, s, out)) s = compiled_file_next(c->file, s);
    if (s) return POFAC_OK;
    tensor_free(out);
    return malformed(c, sink, first->name, "found no packed form that can be unpacked");
}

/* ---- graph ---- */

bool compiled_model_has_graph(const compiled_model *c, const model_graph_options *options, const char *arithmetic) {
    const compiled_section *graph = find_text(c, COMPILED_GRAPH), *s = find_text(c, COMPILED_GRAPH_OPTIONS);
    strbuf text = STRBUF_INIT;
    compiled_graph_options_print(options, arithmetic, &text);
    const bool same = graph && s && strbuf_ok(&text) && s->bytes == text.size && memcmp(s->data, text.data, text.size) == 0;
    strbuf_free(&text);
    return same;
}

static pofac_status get_constant(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const compiled_model *c = user;
    const compiled_section *s = compiled_file_find(c->file, COMPILED_CONSTANT, name);
    if (!s) return malformed(c, sink, name, "the graph's constant is missing");
    *out = tensor_view(s->dtype, s->rank, s->dims, (void *)s->data);
    return POFAC_OK;
}

pofac_status compiled_model_graph(const compiled_model *c, ir_context *context, const diag_sink *sink, ir_module **out) {
    const compiled_section *s = find_text(c, COMPILED_GRAPH);
    arena a = ARENA_INIT;
    *out = NULL;
    if (!s) return malformed(c, sink, COMPILED_GRAPH, "it is missing");
    const char *name = arena_printf(&a, "%s/" COMPILED_GRAPH, compiled_file_path(c->file));
    const tensor_source constants = {.get = get_constant, .user = (void *)c};
    pofac_status status =
        name ? text_parse_module(context, name, s->data ? s->data : "", s->bytes, &constants, sink, out) : diag_out_of_memory(sink);
    arena_free(&a);
    return status;
}

const char *compiled_model_kernels(const compiled_model *c) {
    const compiled_section *s = find_text(c, COMPILED_KERNELS);
    const char *text = s ? s->data : NULL;
    return text && s->bytes && text[s->bytes - 1] == 0 ? text : "";
}

/* ---- targets ---- */

/* The next word of a line, ended there; NULL: there is none. */
static char *next_word(char **at) {
    char *word = *at, *end = word + strcspn(word, " \n");
    if (*end == 0) return NULL;
    const bool last = *end == '\n';
    *end = 0;
    *at = last ? end : end + 1;
    return word;
}

static bool next_number(char **at, unsigned *out) {
    const char *word = next_word(at);
    return word && sscanf(word, "%u", out) == 1;
}

/* Reads a line, which it changes. */
static bool parse_target(char *line, cg_target *out) {
    unsigned fma;
    char *at = line;
    *out = (cg_target){.isa = next_word(&at)};
    if (!out->isa || !next_number(&at, &out->vector_bytes) || !next_number(&at, &out->vector_registers) ||
        !next_number(&at, &out->pointer_bytes) || !next_number(&at, &fma) || !next_number(&at, &out->extensions))
        return false;
    out->has_fma = fma != 0;
    out->triple = next_word(&at);
    out->cpu = out->triple ? next_word(&at) : NULL;
    out->features = out->cpu ? next_word(&at) : NULL;
    return out->features != NULL;
}

/* Takes the target if it is better than the one before. */
static pofac_status offer_target(const cg_target *t, const char *isa, arena *a, const diag_sink *sink, cg_target *best) {
    bool runs;
    if (isa && strcmp(isa, "native") != 0 && strcmp(isa, t->isa) != 0) return POFAC_OK;
    if (best->isa && best->vector_bytes >= t->vector_bytes) return POFAC_OK;
    TRY(cg_host_runs(t, a, sink, &runs));
    if (runs) *best = *t;
    return POFAC_OK;
}

static void note_foreign(const compiled_model *c, const char *targets, const cg_target *host, const diag_sink *sink) {
    strbuf names = STRBUF_INIT;
    for (const char *at = targets; *at; at += strcspn(at, "\n"), at += *at == '\n')
        strbuf_printf(&names, "%s%.*s", names.size ? ", " : "", (int)strcspn(at, " \n"), at);
    diag_note(sink, &(diag_place){.file = compiled_file_path(c->file)},
              "compiled for %s, which is not what runs here: its code is made anew for %s",
              names.size ? strbuf_str(&names) : "no machine", host->isa);
    strbuf_free(&names);
}

static bool is_made_here(const compiled_model *c) {
    const compiled_section *s = find_text(c, COMPILED_MAKER);
    strbuf maker = STRBUF_INIT;
    compiled_maker_print(&maker);
    const bool same = s && strbuf_ok(&maker) && s->bytes == maker.size && memcmp(s->data, maker.data, maker.size) == 0;
    strbuf_free(&maker);
    return same;
}

pofac_status compiled_model_target(const compiled_model *c, const char *isa, arena *a, const diag_sink *sink, cg_target *out) {
    const compiled_section *s = find_text(c, COMPILED_TARGETS);
    char *text = arena_strndup(a, s && s->data ? s->data : "", s ? s->bytes : 0), *line = text;
    const char *original = arena_strdup(a, text ? text : "");
    cg_target best = {0};
    if (!text || !original) return diag_out_of_memory(sink);
    while (line && *line) {
        char *end = strchr(line, '\n'), *next = end ? end + 1 : NULL;
        char *copy = end ? arena_strndup(a, line, (size_t)(next - line)) : NULL;
        cg_target t;
        if (end && !copy) return diag_out_of_memory(sink);
        if (!copy || !parse_target(copy, &t)) return malformed(c, sink, COMPILED_TARGETS, "found a line that is no target");
        TRY(offer_target(&t, isa, a, sink, &best));
        line = next;
    }
    if (best.isa) *out = best;
    else note_foreign(c, original, out, sink);
    if (best.isa && !is_made_here(c))
        diag_note(sink, &(diag_place){.file = compiled_file_path(c->file)},
                  "compiled by another pofac: its code is made anew for %s", best.isa);
    return POFAC_OK;
}
