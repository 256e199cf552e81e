/*
 * The files of a tokenizer into options, a vocabulary and added tokens. Of tokenizer.json only what a WordPiece model of BERT has is
 * taken: model.vocab, max_input_chars_per_word, the normalizer's flags and added_tokens; a model that would tokenize differently is
 * refused, and so are tokens with a role under other names than BERT's.
 */
#include "frontend/text/tokenizer_config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/text/added_tokens_json.h"
#include "ir/support/arena.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

/* Lengths from here on mean that the model sets none; the reference writes int(1e30). */
#define UNLIMITED_LENGTH 9007199254740992.0 /* 2^53 */

static pofac_status read_max_length(tokenizer_reader *r, const json_t *object, size_t *out) {
    const json_t *value = json_object_get(object, "model_max_length");
    if (!value || json_is_null(value)) return POFAC_OK;
    double length = json_number_value(value);
    if (!(length >= 1)) return reader_wrong(r, "model_max_length", value, "a number of tokens, 1 or more");
    *out = length < UNLIMITED_LENGTH ? (size_t)length : 0;
    return POFAC_OK;
}

/* The tokens with a role have the names that are found in text and put around it. */
static pofac_status check_roles(tokenizer_reader *r, const json_t *root) {
    static const char *const keys[TOKENIZER_N_SPECIALS] = {
        [TOKENIZER_PAD] = "pad_token", [TOKENIZER_UNK] = "unk_token",   [TOKENIZER_CLS] = "cls_token",
        [TOKENIZER_SEP] = "sep_token", [TOKENIZER_MASK] = "mask_token",
    };
    for (int s = 0; s < TOKENIZER_N_SPECIALS; s++) {
        const json_t *value = json_object_get(root, keys[s]);
        const char *name = tokenizer_special_name((tokenizer_special)s), *found = reader_token_text(value);
        char quoted[64];
        if (!value || json_is_null(value) || (found && strcmp(found, name) == 0)) continue;
        snprintf(quoted, sizeof quoted, "\"%s\"", name);
        return reader_wrong(r, keys[s], json_is_object(value) && found ? json_object_get(value, "content") : value, quoted);
    }
    return POFAC_OK;
}

static pofac_status read_settings(tokenizer_reader *r, const json_t *root, tokenizer_options *o) {
    TRY(check_roles(r, root));
    TRY(reader_flag(r, root, "do_lower_case", "do_lower_case", &o->do_lower_case));
    TRY(reader_flag(r, root, "strip_accents", "strip_accents", &o->strip_accents));
    TRY(reader_flag(r, root, "tokenize_chinese_chars", "tokenize_chinese_chars", &o->tokenize_chinese_chars));
    return read_max_length(r, root, &o->model_max_length);
}

pofac_status tokenizer_config_read(const char *path, const diag_sink *sink, tokenizer_options *out) {
    tokenizer_reader r = {.file = path, .sink = sink, .text = STRBUF_INIT};
    tokenizer_options o = *out;
    json_t *root = NULL;
    pofac_status status = reader_open(&r, &root);
    if (status == POFAC_OK) {
        status = read_settings(&r, root, &o);
        json_decref(root);
    }
    if (status == POFAC_OK) *out = o;
    strbuf_free(&r.text);
    return status;
}

/* ---- tokenizer.json ---- */

static pofac_status read_wordpiece(tokenizer_reader *r, const json_t *model, tokenizer_options *o) {
    if (!json_is_object(model)) return reader_wrong(r, "model", model, "an object");
    TRY(reader_expect(r, model, "type", "model.type", "WordPiece"));
    TRY(reader_expect(r, model, "unk_token", "model.unk_token", "[UNK]"));
    TRY(reader_expect(r, model, "continuing_subword_prefix", "model.continuing_subword_prefix", "##"));
    const json_t *longest = json_object_get(model, "max_input_chars_per_word");
    double characters = json_number_value(longest);
    if (!(characters >= 1 && characters <= TOKENIZER_MAX_WORD_CHARACTERS))
        return reader_wrong(r, "model.max_input_chars_per_word", longest, "a number from 1 to 200");
    o->max_input_chars_per_word = (size_t)characters;
    const json_t *vocab = json_object_get(model, "vocab");
    return json_is_object(vocab) ? POFAC_OK : reader_wrong(r, "model.vocab", vocab, "an object");
}

static pofac_status read_normalizer(tokenizer_reader *r, const json_t *normalizer, tokenizer_options *o) {
    if (!json_is_object(normalizer)) return reader_wrong(r, "normalizer", normalizer, "an object");
    tokenizer_flag clean = TOKENIZER_UNSET;
    TRY(reader_expect(r, normalizer, "type", "normalizer.type", "BertNormalizer"));
    TRY(reader_flag(r, normalizer, "clean_text", "normalizer.clean_text", &clean));
    if (clean == TOKENIZER_OFF) return reader_wrong(r, "normalizer.clean_text", json_object_get(normalizer, "clean_text"), "true");
    TRY(reader_flag(r, normalizer, "lowercase", "normalizer.lowercase", &o->do_lower_case));
    TRY(reader_flag(r, normalizer, "strip_accents", "normalizer.strip_accents", &o->strip_accents));
    return reader_flag(r, normalizer, "handle_chinese_chars", "normalizer.handle_chinese_chars", &o->tokenize_chinese_chars);
}

/* Puts the tokens in order of their ids: tokens[id], each id from 0 to n - 1 once. */
static pofac_status order_tokens(tokenizer_reader *r, json_t *vocab, const char **tokens, size_t n) {
    const char *token;
    json_t *value;
    json_object_foreach(vocab, token, value) {
        double number = json_is_number(value) ? json_number_value(value) : -1;
        size_t id = number >= 0 && number < (double)n ? (size_t)number : n;
        diag_place place = {.file = r->file};
        if (token[0] == 0 || strpbrk(token, "\r\n"))
            return diag_error(r->sink, POFAC_ERR_INPUT, &place, "model.vocab: found token \"%s\" of id %s, wanted one line of text",
                              token, json_describe(value, &r->text));
        if (id == n || (double)id != number || tokens[id])
            return diag_error(r->sink, POFAC_ERR_INPUT, &place,
                              "model.vocab: found id %s for token \"%s\", wanted each id from 0 to %zu once",
                              json_describe(value, &r->text), token, n - 1);
        tokens[id] = token;
    }
    return POFAC_OK;
}

/* Appends the vocabulary in vocab.txt's form. */
static pofac_status write_vocabulary(tokenizer_reader *r, json_t *vocab, strbuf *out) {
    size_t n = json_object_size(vocab);
    const char **tokens = calloc(n + 1, sizeof *tokens);
    if (!tokens) return diag_out_of_memory(r->sink);
    pofac_status status = order_tokens(r, vocab, tokens, n);
    for (size_t id = 0; id < n && status == POFAC_OK; id++) {
        strbuf_puts(out, tokens[id]);
        strbuf_putc(out, '\n');
    }
    free(tokens);
    if (status == POFAC_OK && !strbuf_ok(out)) status = diag_out_of_memory(r->sink);
    return status;
}

/* Without one the reference would take white space for a part of words. */
static pofac_status check_pre_tokenizer(tokenizer_reader *r, const json_t *pre_tokenizer) {
    if (!json_is_object(pre_tokenizer)) return reader_wrong(r, "pre_tokenizer", pre_tokenizer, "an object");
    return reader_expect(r, pre_tokenizer, "type", "pre_tokenizer.type", "BertPreTokenizer");
}

static pofac_status read_model(tokenizer_reader *r, const json_t *root, tokenizer_options *o, strbuf *vocab_text) {
    const json_t *model = json_object_get(root, "model");
    TRY(read_wordpiece(r, model, o));
    TRY(read_normalizer(r, json_object_get(root, "normalizer"), o));
    TRY(check_pre_tokenizer(r, json_object_get(root, "pre_tokenizer")));
    return write_vocabulary(r, json_object_get(model, "vocab"), vocab_text);
}

/* ---- directories ---- */

static void override_options(tokenizer_options *o, const tokenizer_options *with) {
    if (with->do_lower_case != TOKENIZER_UNSET) o->do_lower_case = with->do_lower_case;
    if (with->strip_accents != TOKENIZER_UNSET) o->strip_accents = with->strip_accents;
    if (with->tokenize_chinese_chars != TOKENIZER_UNSET) o->tokenize_chinese_chars = with->tokenize_chinese_chars;
    if (with->max_input_chars_per_word != 0) o->max_input_chars_per_word = with->max_input_chars_per_word;
    if (with->model_max_length != 0) o->model_max_length = with->model_max_length;
}

static const char *const file_names[N_TOKEN_FILES] = {
    [TOKEN_FILE_ADDED] = "added_tokens.json",
    [TOKEN_FILE_TOKENIZER] = "tokenizer.json",
    [TOKEN_FILE_SPECIALS] = "special_tokens_map.json",
    [TOKEN_FILE_CONFIG] = "tokenizer_config.json",
};

const char *tokenizer_file_name(size_t i) { return i < N_TOKEN_FILES ? file_names[i] : i == N_TOKEN_FILES ? "vocab.txt" : NULL; }

typedef struct directory {
    arena memory;                            /* of the paths */
    const tokenizer_file *files;             /* [N_TOKEN_FILES + 1] in memory, in the order of tokenizer_file_name; NULL: on disk */
    const char *vocab;                       /* vocab.txt; NULL when there is none */
    tokenizer_reader readers[N_TOKEN_FILES]; /* file: NULL when there is none */
    json_t *roots[N_TOKEN_FILES];            /* NULL when there is none, or nothing to be taken from it */
    strbuf vocab_text;                       /* the vocabulary that tokenizer.json has */
} directory;

/* The path of file number `i` of the directory, NULL when there is none; false when memory is short. */
static bool find_file(directory *d, const char *dir, size_t i, const char **out) {
    const char *path = arena_printf(&d->memory, "%s/%s", dir, tokenizer_file_name(i));
    *out = path && (d->files ? d->files[i].bytes != NULL : file_exists(path)) ? path : NULL;
    return path != NULL;
}

static pofac_status find_files(directory *d, const char *dir, const diag_sink *sink) {
    bool found = find_file(d, dir, N_TOKEN_FILES, &d->vocab);
    for (size_t i = 0; i < N_TOKEN_FILES && found; i++) {
        d->readers[i] = (tokenizer_reader){.sink = sink, .text = STRBUF_INIT};
        if (d->files) d->readers[i].bytes = d->files[i].bytes, d->readers[i].n_bytes = d->files[i].n_bytes;
        found = find_file(d, dir, i, &d->readers[i].file);
    }
    if (!found) return diag_out_of_memory(sink);
    if (d->vocab || d->readers[TOKEN_FILE_TOKENIZER].file) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = dir}, "found no vocabulary, wanted vocab.txt or tokenizer.json");
}

/* tokenizer_config.json comes first: where it lists all added tokens, no other file is looked at for them. */
static pofac_status open_files(directory *d) {
    bool all_listed = false;
    for (int i = N_TOKEN_FILES; i-- > 0;) {
        const bool needed = !all_listed || (i == TOKEN_FILE_TOKENIZER && !d->vocab);
        if (d->readers[i].file && needed) TRY(reader_open(&d->readers[i], &d->roots[i]));
        if (i == TOKEN_FILE_CONFIG) all_listed = json_object_get(d->roots[i], "added_tokens_decoder") != NULL;
    }
    return POFAC_OK;
}

static pofac_status create(directory *d, const tokenizer_options *overrides, const diag_sink *sink, tokenizer **out) {
    tokenizer_options o = {0};
    tokenizer_reader *json = &d->readers[TOKEN_FILE_TOKENIZER], *config = &d->readers[TOKEN_FILE_CONFIG];
    if (!d->vocab) TRY(read_model(json, d->roots[TOKEN_FILE_TOKENIZER], &o, &d->vocab_text));
    if (config->file) TRY(read_settings(config, d->roots[TOKEN_FILE_CONFIG], &o));
    if (overrides) override_options(&o, overrides);
    const tokenizer_file *vocab = d->files ? &d->files[N_TOKEN_FILES] : NULL;
    if (d->vocab && vocab) return tokenizer_create_from_memory(d->vocab, vocab->bytes, vocab->n_bytes, &o, sink, out);
    if (d->vocab) return tokenizer_create(d->vocab, &o, sink, out);
    return tokenizer_create_from_memory(json->file, strbuf_str(&d->vocab_text), d->vocab_text.size, &o, sink, out);
}

static pofac_status load(directory *d, const char *dir, const tokenizer_options *overrides, const diag_sink *sink,
                         tokenizer **out) {
    TRY(find_files(d, dir, sink));
    TRY(open_files(d));
    TRY(create(d, overrides, sink, out));
    for (int i = 0; i < N_TOKEN_FILES; i++)
        if (d->roots[i]) TRY(added_tokens_read(&d->readers[i], (token_file)i, d->roots[i], *out));
    return POFAC_OK;
}

pofac_status tokenizer_load_directory(const char *dir, const tokenizer_options *overrides, const diag_sink *sink, tokenizer **out) {
    return tokenizer_load_files(dir, NULL, overrides, sink, out);
}

pofac_status tokenizer_load_files(const char *dir, const tokenizer_file *files, const tokenizer_options *overrides,
                                  const diag_sink *sink, tokenizer **out) {
    directory d = {.memory = ARENA_INIT, .files = files, .vocab_text = STRBUF_INIT};
    *out = NULL;
    pofac_status status = load(&d, dir, overrides, sink, out);
    if (status != POFAC_OK) {
        tokenizer_destroy(*out);
        *out = NULL;
    }
    for (int i = 0; i < N_TOKEN_FILES; i++) {
        json_decref(d.roots[i]);
        strbuf_free(&d.readers[i].text);
    }
    strbuf_free(&d.vocab_text);
    arena_free(&d.memory);
    return status;
}
