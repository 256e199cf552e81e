/*
 * Parameters and definition of a model -> Hugging Face's directory; see model_save.h.
 *
 * The state's names are those of Hugging Face's classes already, whatever the original's file called them; of tensors that are tied the
 * graph, and so the state, has one, which is the one that the library's own writer keeps. The bare encoder's class has no prefix. Elements are
 * converted, and sparse weights made dense, piece by piece while they are written.
 */
#include "frontend/driver/model_save.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/checkpoint/tensor_names.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"
#include "ir/support/text_ends.h"
#include "ir/support/vector.h"

bool run_state_is_parameter(const state_entry *e) {
    size_t length;
    return dtype_class(e->tensor.dtype) == DTYPE_FLOAT && state_parameter_of(e->name, &length) == NULL && !state_is_range(e->name);
}

/* ---- config.json ---- */

static bool has_labels(const model_spec *spec) {
    const model_head_row *head = model_head_find(spec->head);
    return !head || head->has_labels;
}

static const char *dtype_in_config(ir_dtype dtype) {
    return dtype == IR_BF16 ? "bfloat16" : dtype == IR_F16 ? "float16" : "float32";
}

/* Takes from the original what the model's own keys do not replace, but would contradict. */
static void drop_stale(json_t *config, const model_spec *spec) {
    static const char *const of_labels[] = {"num_labels", "id2label", "label2id"};
    const char *problem = json_string_value(json_object_get(config, "problem_type"));
    if (!has_labels(spec)) return;
    for (size_t i = 0; i < sizeof of_labels / sizeof *of_labels; i++) (void)json_object_del(config, of_labels[i]);
    if (problem && spec->regression != (strcmp(problem, "regression") == 0)) (void)json_object_del(config, "problem_type");
}

static pofac_status parse_own(const model_spec *spec, const diag_sink *sink, json_t **out) {
    strbuf text = STRBUF_INIT;
    *out = NULL;
    config_json_write(spec, &text);
    pofac_status status =
        strbuf_ok(&text) ? json_parse("config.json", NULL, text.data, text.size, sink, out) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

/* The original's config.json, or an empty object where it has none. */
static pofac_status parse_original(const loaded_model *model, const diag_sink *sink, json_t **out) {
    const char *directory = loaded_model_directory(model);
    strbuf path = STRBUF_INIT;
    file_map file = {NULL, 0};
    pofac_status status = POFAC_OK;
    *out = NULL;
    strbuf_printf(&path, "%s/config.json", directory ? directory : "");
    if (!strbuf_ok(&path)) status = diag_out_of_memory(sink);
    else if (directory && file_exists(strbuf_str(&path))) {
        status = file_map_open(strbuf_str(&path), sink, &file);
        if (status == POFAC_OK) status = json_parse(strbuf_str(&path), NULL, file.data, file.size_bytes, sink, out);
        file_map_close(&file);
    }
    strbuf_free(&path);
    if (status == POFAC_OK && !json_is_object(*out)) {
        json_decref(*out);
        if (!(*out = json_object())) status = diag_out_of_memory(sink);
    }
    return status;
}

/* Newer files say "dtype", older ones "torch_dtype". */
static bool set_dtype(json_t *config, ir_dtype dtype) {
    const char *const key = json_object_get(config, "dtype") ? "dtype" : "torch_dtype";
    return json_object_set_new(config, key, json_string(dtype_in_config(dtype))) == 0;
}

static pofac_status put_config(const loaded_model *model, ir_dtype dtype, const diag_sink *sink, strbuf *out) {
    json_t *config, *own;
    const model_spec *spec = loaded_model_spec(model);
    TRY(parse_original(model, sink, &config));
    pofac_status status = parse_own(spec, sink, &own);
    if (status == POFAC_OK) {
        drop_stale(config, spec);
        const bool ok = json_object_update(config, own) == 0 && set_dtype(config, dtype) && json_put_value(config, 2, out);
        strbuf_putc(out, '\n');
        if (!ok || !strbuf_ok(out)) status = diag_out_of_memory(sink);
        json_decref(own);
    }
    json_decref(config);
    return status;
}

/* ---- tokenizer ---- */

static pofac_status write_in(const char *dir, const char *name, const void *bytes, size_t n, const diag_sink *sink) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/%s", dir, name);
    pofac_status status = strbuf_ok(&path) ? file_write_all(strbuf_str(&path), bytes, n, sink) : diag_out_of_memory(sink);
    strbuf_free(&path);
    return status;
}

static pofac_status copy_file(const char *from, const char *dir, const char *name, const diag_sink *sink) {
    file_map file;
    TRY(file_map_open(from, sink, &file));
    pofac_status status = write_in(dir, name, file.data, file.size_bytes, sink);
    file_map_close(&file);
    return status;
}

static pofac_status copy_tokenizer(const char *from, const char *dir, const diag_sink *sink) {
    static const char *const names[] = {"vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                                        "tokenizer.json"};
    strbuf path = STRBUF_INIT;
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && status == POFAC_OK; i++) {
        strbuf_clear(&path);
        strbuf_printf(&path, "%s/%s", from, names[i]);
        if (!strbuf_ok(&path)) status = diag_out_of_memory(sink);
        else if (file_exists(strbuf_str(&path))) status = copy_file(strbuf_str(&path), dir, names[i], sink);
    }
    strbuf_free(&path);
    return status;
}

/* A vocabulary of its own: what Hugging Face's BertTokenizer needs to know beside it. */
static pofac_status write_settings(const char *dir, loaded_model *model, const diag_sink *sink) {
    tokenizer_options o;
    strbuf text = STRBUF_INIT;
    TRY(loaded_model_tokenizer_settings(model, sink, &o));
    const model_spec *spec = loaded_model_spec(model);
    const int64_t most =
        o.model_max_length && o.model_max_length < INT64_MAX ? (int64_t)o.model_max_length : spec->max_position_embeddings;
    static const char *const flags[] = {[TOKENIZER_UNSET] = "null", [TOKENIZER_OFF] = "false", [TOKENIZER_ON] = "true"};
    strbuf_printf(&text,
                  "{\n  \"cls_token\": \"[CLS]\",\n  \"do_lower_case\": %s,\n  \"mask_token\": \"[MASK]\",\n"
                  "  \"model_max_length\": %" PRId64 ",\n  \"pad_token\": \"[PAD]\",\n  \"sep_token\": \"[SEP]\",\n"
                  "  \"strip_accents\": %s,\n  \"tokenize_chinese_chars\": %s,\n  \"tokenizer_class\": \"%s\",\n"
                  "  \"unk_token\": \"[UNK]\"\n}\n",
                  o.do_lower_case == TOKENIZER_OFF ? "false" : "true", most, flags[o.strip_accents],
                  o.tokenize_chinese_chars == TOKENIZER_OFF ? "false" : "true",
                  spec->arch == MODEL_BERT ? "BertTokenizer" : "DistilBertTokenizer");
    pofac_status status =
        strbuf_ok(&text) ? write_in(dir, "tokenizer_config.json", text.data, text.size, sink) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

/* The files that a compiled model has of it. */
static pofac_status save_compiled_tokenizer(const char *dir, loaded_model *model, const compiled_file *f, const diag_sink *sink) {
    const size_t n = strlen(COMPILED_TOKENIZER);
    bool has_settings = false, has_any = false;
    for (size_t i = 0; i < compiled_file_size(f); i++) {
        const compiled_section *s = compiled_file_at(f, i);
        if (s->kind != COMPILED_TEXT || strncmp(s->name, COMPILED_TOKENIZER, n) != 0 || strchr(s->name + n, '/')) continue;
        TRY(write_in(dir, s->name + n, s->data, s->bytes, sink));
        has_settings = has_settings || strcmp(s->name + n, "tokenizer_config.json") == 0;
        has_any = true;
    }
    return has_any && !has_settings ? write_settings(dir, model, sink) : POFAC_OK;
}

static pofac_status save_tokenizer(const char *dir, loaded_model *model, const diag_sink *sink) {
    const compiled_model *compiled = loaded_model_compiled(model);
    const char *vocabulary = loaded_model_vocabulary(model), *from = loaded_model_directory(model);
    if (compiled && !vocabulary) return save_compiled_tokenizer(dir, model, compiled_model_file(compiled), sink);
    if (!vocabulary) return from ? copy_tokenizer(from, dir, sink) : POFAC_OK;
    TRY(copy_file(vocabulary, dir, "vocab.txt", sink));
    return write_settings(dir, model, sink);
}

/* ---- model.safetensors ---- */

/* A parameter on its way into the file. */
typedef struct saved_parameter {
    const ir_tensor *from;
    ir_dtype dtype;
    const uint8_t *mask; /* of its elements; NULL: all are kept */
} saved_parameter;

static void convert_run(const ir_tensor *from, int64_t first, int64_t count, ir_dtype dtype, void *out) {
    enum { PIECE = 256 };
    const size_t width = dtype_bits(dtype) / 8;
    double values[PIECE];
    if (from->dtype == dtype) { /* as bits */
        memcpy(out, (const unsigned char *)from->data + (size_t)first * width, (size_t)count * width);
        return;
    }
    for (int64_t at = 0; at < count; at += PIECE) {
        const int64_t n = count - at < PIECE ? count - at : PIECE;
        ir_tensor to = tensor_view(dtype, 1, &n, (unsigned char *)out + (size_t)at * width);
        tensor_get_run(from, first + at, n, values);
        tensor_set_run(&to, 0, n, values);
    }
}

/* Elements of the dense form of non-zeros. */
static void spread_run(const ir_tensor *from, int64_t first, int64_t count, ir_dtype dtype, unsigned char *out) {
    const ir_pattern *p = from->pattern;
    const size_t width = dtype_bits(dtype) / 8;
    memset(out, 0, (size_t)count * width);
    for (int64_t row = first / p->n_columns; row < p->n_rows && row * p->n_columns < first + count; row++) {
        for (int64_t i = p->row_start[row]; i < p->row_start[row + 1]; i++) {
            const int64_t at = row * p->n_columns + p->column[i] - first;
            if (at >= 0 && at < count) convert_run(from, i, 1, dtype, out + (size_t)at * width);
        }
    }
}

static void prune_run(const uint8_t *mask, int64_t count, size_t width, unsigned char *out) {
    for (int64_t i = 0; i < count; i++)
        if (!mask[i]) memset(out + (size_t)i * width, 0, width);
}

static pofac_status fill_parameter(void *user, int64_t first, int64_t count, void *out) {
    const saved_parameter *p = user;
    if (p->from->pattern) spread_run(p->from, first, count, p->dtype, out);
    else convert_run(p->from, first, count, p->dtype, out);
    if (p->mask) prune_run(p->mask + first, count, dtype_bits(p->dtype) / 8, out);
    return POFAC_OK;
}

static const char *encoder_prefix(const model_spec *spec) { return spec->arch == MODEL_BERT ? "bert." : "distilbert."; }

/* As the model's class calls it. */
static const char *name_in_class(const model_spec *spec, const char *name) {
    const char *prefix = encoder_prefix(spec);
    const size_t n = strlen(prefix);
    return spec->head == HEAD_NONE && strncmp(name, prefix, n) == 0 ? name + n : name;
}

typedef struct item_list {
    VEC(safetensors_item) list;
    arena memory;
} item_list;

/* As whole numbers and scales. *stored: it is. */
static pofac_status add_stored(const model_spec *spec, const state_entry *e, const model_storage *storage, const diag_sink *sink,
                               item_list *items, bool *stored) {
    const ir_tensor *t = &e->tensor;
    weight_storage how;
    safetensors_item pair[2];
    *stored = storage && t->rank == 2 && !t->pattern && t->dtype == IR_F32 && storage->find(storage->user, e->name, &how);
    if (!*stored) return POFAC_OK;
    TRY(stored_weight_make(name_in_class(spec, e->name), t->data, t->dims[0], t->dims[1], &how, storage->pool, &items->memory, sink,
                           pair));
    for (int i = 0; i < 2; i++)
        if (!VEC_PUSH(&items->list, pair[i])) return diag_out_of_memory(sink);
    return POFAC_OK;
}

static pofac_status add_parameters(const model_spec *spec, state_store *state, ir_dtype dtype, const model_storage *storage,
                                   const diag_sink *sink, item_list *items) {
    for (size_t i = 0; i < state_store_size(state); i++) {
        const state_entry *e = state_store_at(state, i);
        const ir_tensor *t = &e->tensor;
        bool stored;
        if (!run_state_is_parameter(e)) continue;
        TRY(add_stored(spec, e, storage, sink, items, &stored));
        if (stored) continue;
        saved_parameter *p = ARENA_NEW(&items->memory, saved_parameter);
        if (!p) return diag_out_of_memory(sink);
        *p = (saved_parameter){t, dtype, state_store_mask(state, e->name)};
        safetensors_item item = {
            .name = name_in_class(spec, e->name), .dtype = dtype, .rank = t->rank, .fill = fill_parameter, .user = p};
        memcpy(item.dims, t->dims, t->rank * sizeof *t->dims);
        if (t->pattern) {
            item.rank = 2;
            item.dims[0] = t->pattern->n_rows;
            item.dims[1] = t->pattern->n_columns;
        }
        if (!VEC_PUSH(&items->list, item)) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

/* Is the tensor a buffer that some versions of the library write? Then the part of its name behind the encoder's prefix. */
static const char *buffer_name(const checkpoint_tensor *t) {
    size_t n;
    const tensor_rule *rules = tensor_rules(&n);
    for (size_t i = 0; i < n; i++)
        if (rules[i].kind == RULE_IGNORED && text_ends_with(t->name, rules[i].text)) return rules[i].text;
    return NULL;
}

/* What the original has beside parameters stays; of two wrappings of one name the first. */
static pofac_status add_buffers(const loaded_model *model, const diag_sink *sink, item_list *items) {
    const checkpoint *c = loaded_model_checkpoint(model);
    const model_spec *spec = loaded_model_spec(model);
    for (size_t i = 0; c && i < checkpoint_size(c); i++) {
        const checkpoint_tensor *t = checkpoint_at(c, i);
        const char *name = buffer_name(t);
        if (!name || !safetensors_dtype_name(t->dtype)) continue;
        const size_t bytes = (size_t)checkpoint_elements(t) * dtype_bits(t->dtype) / 8;
        void *data = arena_alloc(&items->memory, bytes + 1);
        safetensors_item item = {
            .name = arena_printf(&items->memory, "%s%s", spec->head == HEAD_NONE ? "" : encoder_prefix(spec), name),
            .dtype = t->dtype,
            .rank = t->rank,
            .data = data};
        if (!data || !item.name) return diag_out_of_memory(sink);
        bool there = false;
        for (size_t k = 0; k < items->list.size; k++) there = there || strcmp(items->list.data[k].name, item.name) == 0;
        if (there) continue;
        checkpoint_read_bytes(t, data);
        memcpy(item.dims, t->dims, t->rank * sizeof *t->dims);
        if (!VEC_PUSH(&items->list, item)) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

static pofac_status save_weights(const char *dir, loaded_model *model, state_store *state, ir_dtype dtype,
                                 const model_storage *storage, const diag_sink *sink) {
    item_list items = {.memory = ARENA_INIT};
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/model.safetensors", dir);
    pofac_status status = strbuf_ok(&path) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = add_parameters(loaded_model_spec(model), state, dtype, storage, sink, &items);
    if (status == POFAC_OK) status = add_buffers(model, sink, &items);
    if (status == POFAC_OK) status = safetensors_write(strbuf_str(&path), items.list.data, items.list.size, NULL, 0, sink);
    VEC_FREE(&items.list);
    arena_free(&items.memory);
    strbuf_free(&path);
    return status;
}

/* Ranges of a model that lay there before are of other weights. */
static pofac_status remove_ranges(const char *dir, const diag_sink *sink) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/" QUANTIZATION_FILE, dir);
    pofac_status status = strbuf_ok(&path) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK && unlink(strbuf_str(&path)) != 0 && errno != ENOENT)
        status =
            diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = strbuf_str(&path)}, "cannot be removed: %s", strerror(errno));
    strbuf_free(&path);
    return status;
}

pofac_status run_model_save(const char *dir, loaded_model *model, state_store *state, ir_dtype dtype, const diag_sink *sink) {
    return run_model_save_stored(dir, model, state, dtype, NULL, sink);
}

pofac_status run_model_save_stored(const char *dir, loaded_model *model, state_store *state, ir_dtype dtype,
                                   const model_storage *storage, const diag_sink *sink) {
    strbuf config = STRBUF_INIT;
    pofac_status status = put_config(model, dtype, sink, &config);
    if (status == POFAC_OK) status = write_in(dir, "config.json", config.data, config.size, sink);
    strbuf_free(&config);
    if (status == POFAC_OK) status = save_tokenizer(dir, model, sink);
    if (status == POFAC_OK) status = remove_ranges(dir, sink);
    return status == POFAC_OK ? save_weights(dir, model, state, dtype, storage, sink) : status;
}
