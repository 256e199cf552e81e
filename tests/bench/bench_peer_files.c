/*
 * Writes what engines are compared on: one model and batches, in files that every engine can read.
 *
 *   bench_peer_files [OPTION...] MODEL DIRECTORY [BxS...]
 *
 *   DIRECTORY/config.json                 the model's definition, as Hugging Face writes it
 *   DIRECTORY/model.safetensors           its parameters in f32 under Hugging Face's names; those that MODEL lacks are drawn from --seed
 *   DIRECTORY/BxS.batches.safetensors     one batch of B full sequences of S random tokens
 *   DIRECTORY/calibration.safetensors     with --calibration: 16 sequences of random tokens, as `pofac quantize` takes them
 *   DIRECTORY/texts.batches.safetensors   with --texts: the texts' tokens, --texts_batch of them in a batch, padded to its longest
 *
 * A file of batches has N.input_ids, N.attention_mask and N.token_type_ids, i64 [B,S], for batches N = 0, 1, ..., and with --labels
 * what the head's losses want: random labels, of tokens for --masked percent of them. --sparsity zeroes that share of each encoder's
 * linear weight, the smallest magnitudes first.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/cli/arguments.h"
#include "frontend/driver/line_reader.h"
#include "ir/op.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"

static const option_row rows[] = {
    {"sparsity", OPTION_TEXT, "SHARE", "0", 0, 0, "share of each linear weight of the encoder that becomes zero, from 0 to 1"},
    {"texts", OPTION_TEXT, "FILE", NULL, 0, 0,
     "texts, one per line before a tab; a first line that begins with \"sentence\" is a title"},
    {"texts_batch", OPTION_WHOLE, "B", "32", 1, 65536, "texts per batch"},
    {"texts_limit", OPTION_WHOLE, "N", NULL, 1, INT64_MAX, "take the first N texts alone"},
    {"calibration", OPTION_FLAG, NULL, NULL, 0, 0, "write examples for quantization"},
    {"labels", OPTION_FLAG, NULL, NULL, 0, 0, "batches are for training"},
    {"masked", OPTION_WHOLE, "P", "15", 1, 100, "percent of the tokens that have labels"},
    OPTIONS_MODEL,
};

typedef struct job {
    const option_values *options;
    loaded_model *model;
    const char *directory;
    arena memory;
    const diag_sink *sink;
} job;

static void print_diag(void *user, const diag *d) {
    strbuf text = STRBUF_INIT;
    diag_render(d, &text);
    fputs(strbuf_str(&text), user);
    strbuf_free(&text);
}

/* DIRECTORY/NAME */
static pofac_status path_in(job *j, const char *name, const char *ending, const char **out) {
    *out = arena_printf(&j->memory, "%s/%s%s", j->directory, name, ending);
    return *out ? POFAC_OK : diag_out_of_memory(j->sink);
}

/* ---- the model ---- */

/* Counts magnitudes by the half of their bits at `shift`, among those whose bits above agree with `above`; finds the bin in which the
 * magnitude of rank *rank stands and makes *rank the rank within the bin. Bits of magnitudes order as the magnitudes do. */
static uint32_t find_bin(const uint32_t *bits, int64_t n, int shift, uint32_t above, int64_t *rank) {
    static const uint32_t sign = 0x80000000u;
    int64_t count[65536] = {0};
    for (int64_t i = 0; i < n; i++) {
        uint32_t magnitude = bits[i] & ~sign;
        if (shift || magnitude >> 16 == above) count[magnitude >> shift & 0xffff]++;
    }
    uint32_t bin = 0;
    for (; bin < 0xffff && *rank >= count[bin]; bin++) *rank -= count[bin];
    return bin;
}

/* Zeroes the `zeros` smallest magnitudes; of equal ones the first. */
static void prune(float *w, int64_t n, int64_t zeros) {
    if (zeros <= 0) return;
    int64_t rank = zeros - 1;
    const uint32_t *bits = (const uint32_t *)(const void *)w;
    uint32_t high = find_bin(bits, n, 16, 0, &rank), low = find_bin(bits, n, 0, high, &rank), bound = high << 16 | low;
    for (int64_t i = 0; i < n; i++) {
        uint32_t magnitude;
        memcpy(&magnitude, &w[i], sizeof magnitude);
        magnitude &= 0x7fffffffu;
        if (magnitude < bound || (magnitude == bound && rank-- >= 0)) w[i] = 0.0f;
    }
}

static bool is_encoder_weight(const char *name, const ir_tensor *t) {
    size_t n = strlen(name), ending = strlen(".weight");
    return t->rank == 2 && strstr(name, ".layer.") && n > ending && strcmp(name + n - ending, ".weight") == 0;
}

/* A parameter as f32, pruned where it is to be: a copy, or the model's own data. */
static pofac_status export_parameter(job *j, const char *name, double sparsity, safetensors_item *out) {
    const tensor_source *state = loaded_model_state(j->model);
    ir_tensor t;
    TRY(state->get(state->user, name, j->sink, &t));
    bool pruned = sparsity > 0.0 && is_encoder_weight(name, &t);
    const void *data = t.data;
    int64_t n = tensor_elements(&t);
    if (pruned || t.dtype != IR_F32) {
        float *copy = ARENA_ARRAY(&j->memory, float, (size_t)n + 1);
        if (!copy) return diag_out_of_memory(j->sink);
        for (int64_t i = 0; i < n; i++) copy[i] = (float)tensor_get(&t, i);
        if (pruned) prune(copy, n, (int64_t)(sparsity * (double)n + 0.5));
        data = copy;
    }
    *out = (safetensors_item){.name = name, .dtype = IR_F32, .rank = t.rank, .data = data};
    memcpy(out->dims, t.dims, sizeof t.dims);
    return POFAC_OK;
}

static pofac_status write_parameters(job *j, const ir_graph *g, double sparsity) {
    safetensors_item *items = ARENA_ARRAY(&j->memory, safetensors_item, g->nodes.size + 1);
    if (!items) return diag_out_of_memory(j->sink);
    const char *path;
    size_t n = 0;
    TRY(path_in(j, "model", ".safetensors", &path));
    for (size_t i = 0; i < g->nodes.size; i++) {
        const char *name = g->nodes.data[i].op == OP_state ? node_string(&g->nodes.data[i], "name") : NULL;
        size_t at = 0;
        while (name && at < n && strcmp(items[at].name, name) != 0) at++;
        if (name && at == n) TRY(export_parameter(j, name, sparsity, &items[n++])); /* tied ones have several leaves */
    }
    return safetensors_write(path, items, n, NULL, 0, j->sink);
}

static pofac_status write_model(job *j) {
    const model_spec *spec = loaded_model_spec(j->model);
    char *end;
    const char *share = option_text(j->options, "sparsity");
    double sparsity = strtod(share, &end);
    if (end == share || *end || !(sparsity >= 0.0 && sparsity <= 1.0))
        return diag_error(j->sink, POFAC_ERR_USAGE, NULL, "--sparsity is \"%s\", wanted a number from 0 to 1", share);
    if (spec->arch != MODEL_BERT || spec->hidden_act != ACTIVATION_GELU ||
        (spec->head != HEAD_SEQUENCE_CLASSIFICATION && spec->head != HEAD_PRETRAINING))
        return diag_error(j->sink, POFAC_ERR_USAGE, NULL,
                          "%s: wanted a BERT with gelu and the head sequence-classification or pretraining",
                          loaded_model_path(j->model));
    const char *path;
    TRY(path_in(j, "config", ".json", &path));
    strbuf config = STRBUF_INIT;
    config_json_write(spec, &config);
    pofac_status status =
        strbuf_ok(&config) ? file_write_all(path, strbuf_str(&config), config.size, j->sink) : diag_out_of_memory(j->sink);
    strbuf_free(&config);
    TRY(status);
    road_options road = {0};
    ir_module *module;
    TRY(road_build(j->model, &road, j->sink, &module));
    status = write_parameters(j, module_find_graph(module, ROAD_GRAPH), sparsity);
    module_destroy(module);
    return status;
}

/* ---- batches ---- */

#define BATCH_ITEMS 5 /* inputs and labels of a batch */

typedef struct batch_list {
    safetensors_item *items;
    size_t n_items, n_batches;
} batch_list;

/* Room for one more batch [n_sequences,length], all zero. out: input_ids, attention_mask, token_type_ids. */
static pofac_status add_batch(job *j, batch_list *list, int64_t n_sequences, int64_t length, int64_t *out[3]) {
    static const char *const names[3] = {"input_ids", "attention_mask", "token_type_ids"};
    for (int k = 0; k < 3; k++) {
        const char *name = arena_printf(&j->memory, "%zu.%s", list->n_batches, names[k]);
        out[k] = ARENA_ARRAY(&j->memory, int64_t, (size_t)(n_sequences * length));
        if (!name || !out[k]) return diag_out_of_memory(j->sink);
        memset(out[k], 0, sizeof(int64_t) * (size_t)(n_sequences * length));
        list->items[list->n_items++] =
            (safetensors_item){.name = name, .dtype = IR_I64, .rank = 2, .dims = {n_sequences, length}, .data = out[k]};
    }
    list->n_batches++;
    return POFAC_OK;
}

/* Items for the labels of the batch that was added last, drawn from the seed. */
static pofac_status add_labels(job *j, batch_list *list) {
    const model_spec *spec = loaded_model_spec(j->model);
    size_t n_losses;
    const model_loss *losses = model_graph_losses(spec, &n_losses);
    const safetensors_item *ids = &list->items[list->n_items - 3], *mask = &list->items[list->n_items - 2];
    const rng_key key = rng_key_make((uint64_t)option_whole(j->options, "seed"), "labels");
    const int64_t n_sequences = ids->dims[0], length = ids->dims[1], masked = option_whole(j->options, "masked");
    if (!option_flag(j->options, "labels")) return POFAC_OK;
    for (size_t k = 0; k < n_losses; k++) {
        const int64_t n = losses[k].per_token ? n_sequences * length : n_sequences,
                      first = (int64_t)(list->n_batches * 8 + k) << 32,
                      classes = losses[k].per_token                                    ? spec->vocab_size
                                : strcmp(losses[k].labels, "next_sentence_label") == 0 ? 2
                                                                                       : spec->num_labels;
        const char *name = arena_printf(&j->memory, "%zu.%s", list->n_batches - 1, losses[k].labels);
        int64_t *labels = ARENA_ARRAY(&j->memory, int64_t, (size_t)n);
        if (!name || !labels) return diag_out_of_memory(j->sink);
        for (int64_t i = 0; i < n; i++) {
            const uint64_t at = (uint64_t)(first + 2 * i);
            const bool counts =
                !losses[k].per_token || (((const int64_t *)mask->data)[i] && (int64_t)rng_below(key, at, 100) < masked);
            labels[i] = counts ? (int64_t)rng_below(key, at + 1, (uint64_t)classes) : -100;
        }
        list->items[list->n_items++] = (safetensors_item){
            .name = name, .dtype = IR_I64, .rank = losses[k].per_token ? 2 : 1, .dims = {n_sequences, length}, .data = labels};
    }
    return POFAC_OK;
}

/* Random tokens by `stream` of the seed, all of them real. */
static void draw_tokens(const job *j, const char *stream, int64_t n, int64_t *columns[3]) {
    const rng_key key = rng_key_make((uint64_t)option_whole(j->options, "seed"), stream);
    for (int64_t i = 0; i < n; i++) {
        columns[0][i] = (int64_t)rng_below(key, (uint64_t)i, (uint64_t)loaded_model_spec(j->model)->vocab_size);
        columns[1][i] = 1;
    }
}

static pofac_status write_calibration(job *j) {
    const int64_t n_sequences = 16, most = loaded_model_spec(j->model)->max_position_embeddings, length = most < 128 ? most : 128;
    safetensors_item items[BATCH_ITEMS];
    batch_list list = {.items = items};
    int64_t *columns[3];
    const char *path;
    TRY(path_in(j, "calibration", ".safetensors", &path));
    TRY(add_batch(j, &list, n_sequences, length, columns));
    draw_tokens(j, "calibration", n_sequences * length, columns);
    for (size_t i = 0; i < list.n_items; i++) items[i].name = strchr(items[i].name, '.') + 1; /* without the batch's number */
    return safetensors_write(path, items, list.n_items, NULL, 0, j->sink);
}

static pofac_status write_shape(job *j, const char *shape) {
    char *end;
    int64_t n_sequences = strtoll(shape, &end, 10), most = loaded_model_spec(j->model)->max_position_embeddings;
    int64_t length = *end == 'x' && isdigit((unsigned char)end[1]) ? strtoll(end + 1, &end, 10) : 0;
    if (*end || n_sequences < 1 || n_sequences > 65536 || length < 1 || length > most)
        return diag_error(j->sink, POFAC_ERR_USAGE, NULL, "found the shape \"%s\", wanted BxS, S at most %lld", shape,
                          (long long)most);
    safetensors_item items[BATCH_ITEMS];
    batch_list list = {.items = items};
    int64_t *columns[3];
    const char *path;
    TRY(path_in(j, shape, ".batches.safetensors", &path));
    TRY(add_batch(j, &list, n_sequences, length, columns));
    draw_tokens(j, shape, n_sequences * length, columns);
    TRY(add_labels(j, &list));
    return safetensors_write(path, items, list.n_items, NULL, 0, j->sink);
}

typedef struct text_list {
    encoding *texts; /* [capacity], zero beyond n */
    size_t n, capacity;
} text_list;

static pofac_status add_text(job *j, const tokenizer *t, const char *text, size_t n_bytes, text_list *list) {
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 1024;
        encoding *texts = realloc(list->texts, capacity * sizeof *texts);
        if (!texts) return diag_out_of_memory(j->sink);
        memset(texts + list->n, 0, (capacity - list->n) * sizeof *texts);
        list->texts = texts;
        list->capacity = capacity;
    }
    encoding words = ENCODING_INIT;
    size_t most = (size_t)loaded_model_spec(j->model)->max_position_embeddings;
    pofac_status status = tokenizer_encode(t, text, n_bytes, j->sink, &words);
    if (status == POFAC_OK) status = tokenizer_build_single(t, &words, most, j->sink, &list->texts[list->n]);
    encoding_free(&words);
    list->n++;
    return status;
}

static pofac_status read_texts(job *j, const char *path, text_list *list) {
    const tokenizer *t;
    TRY(loaded_model_tokenizer(j->model, j->sink, &t));
    if (tokenizer_vocab_size(t) > (size_t)loaded_model_spec(j->model)->vocab_size)
        return diag_error(j->sink, POFAC_ERR_INPUT, NULL, "the vocabulary has %zu tokens, the model %lld", tokenizer_vocab_size(t),
                          (long long)loaded_model_spec(j->model)->vocab_size);
    line_reader *reader;
    TRY(line_reader_open(path, j->sink, &reader));
    pofac_status status;
    int64_t limit = option_whole(j->options, "texts_limit");
    char *line;
    size_t n;
    while ((status = line_reader_next(reader, j->sink, &line, &n)) == POFAC_OK && line) {
        char *tab = memchr(line, '\t', n);
        if (line_reader_line(reader) == 1 && strncmp(line, "sentence", 8) == 0) continue;
        if (limit > 0 && (int64_t)list->n == limit) break;
        status = add_text(j, t, line, tab ? (size_t)(tab - line) : n, list);
        if (status != POFAC_OK) break;
    }
    line_reader_close(reader);
    if (status == POFAC_OK && list->n == 0)
        status = diag_error(j->sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "there are no texts in it");
    return status;
}

/* One batch of the texts [first, first + count). */
static pofac_status batch_texts(job *j, const encoding *texts, size_t count, batch_list *list) {
    size_t longest = 0;
    int64_t *columns[3];
    for (size_t i = 0; i < count; i++)
        if (texts[i].size > longest) longest = texts[i].size;
    TRY(add_batch(j, list, (int64_t)count, (int64_t)longest, columns));
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < texts[i].size; k++) {
            columns[0][i * longest + k] = texts[i].tokens[k].id;
            columns[1][i * longest + k] = 1;
            columns[2][i * longest + k] = texts[i].tokens[k].type_id;
        }
    }
    return add_labels(j, list);
}

static pofac_status batch_all_texts(job *j, const text_list *texts) {
    size_t most = (size_t)option_whole(j->options, "texts_batch"), n_batches = (texts->n + most - 1) / most;
    batch_list list = {.items = ARENA_ARRAY(&j->memory, safetensors_item, BATCH_ITEMS * n_batches)};
    if (!list.items) return diag_out_of_memory(j->sink);
    const char *path;
    int64_t tokens = 0, padded = 0;
    TRY(path_in(j, "texts", ".batches.safetensors", &path));
    for (size_t first = 0; first < texts->n; first += most) {
        TRY(batch_texts(j, texts->texts + first, texts->n - first < most ? texts->n - first : most, &list));
        const safetensors_item *last = &list.items[list.n_items - 1]; /* [B,S], or labels [B], whose dims have S all the same */
        padded += last->dims[0] * last->dims[1];
    }
    for (size_t i = 0; i < texts->n; i++) tokens += (int64_t)texts->texts[i].size;
    printf("%zu texts in %zu batches, %lld tokens, %lld when padded\n", texts->n, n_batches, (long long)tokens, (long long)padded);
    return safetensors_write(path, list.items, list.n_items, NULL, 0, j->sink);
}

static pofac_status write_texts(job *j, const char *path) {
    text_list texts = {0};
    pofac_status status = read_texts(j, path, &texts);
    if (status == POFAC_OK) status = batch_all_texts(j, &texts);
    for (size_t i = 0; i < texts.n; i++) encoding_free(&texts.texts[i]);
    free(texts.texts);
    return status;
}

/* ---- the program ---- */

static pofac_status write_all(job *j) {
    TRY(write_model(j));
    if (option_flag(j->options, "calibration")) TRY(write_calibration(j));
    for (size_t i = 2; i < j->options->n_arguments; i++) TRY(write_shape(j, j->options->arguments[i]));
    const char *texts = option_text(j->options, "texts");
    return texts ? write_texts(j, texts) : POFAC_OK;
}

static pofac_status run(int argc, char **argv, job *j) {
    option_values o;
    TRY(options_parse(rows, sizeof rows / sizeof *rows, argc, argv, &j->memory, j->sink, &o));
    if (o.help || o.n_arguments < 2) {
        fputs("usage: bench_peer_files [OPTION...] MODEL DIRECTORY [BxS...]\n\noptions:\n", stdout);
        options_help(rows, sizeof rows / sizeof *rows, stdout);
        return o.help ? POFAC_OK : POFAC_ERR_USAGE;
    }
    j->options = &o;
    j->directory = o.arguments[1];
    loaded_model_options options = arguments_model(&o);
    TRY(loaded_model_open(o.arguments[0], &options, j->sink, &j->model));
    return write_all(j);
}

int main(int argc, char **argv) {
    const diag_sink sink = {print_diag, stderr};
    job j = {.memory = ARENA_INIT, .sink = &sink};
    pofac_status status = run(argc - 1, argv + 1, &j);
    loaded_model_close(j.model);
    arena_free(&j.memory);
    return (int)status;
}
