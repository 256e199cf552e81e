/*
 * tokenizer_config.json and tokenizer.json into options and a vocabulary. Of the latter only what a WordPiece model of BERT has is
 * taken: model.vocab, max_input_chars_per_word and the normalizer's flags; a model that would tokenize differently is refused, and so
 * are tokens with a role under other names than BERT's. Tokens that were added to those with a role are named in a warning: they are
 * words of the text here, and not found literally in it.
 * Numbers are read as doubles, since "no limit" is written as an integer of 31 digits.
 */
#include "frontend/text/tokenizer_config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/arena.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

/* Lengths from here on mean that the model sets none; the reference writes int(1e30). */
#define UNLIMITED_LENGTH 9007199254740992.0 /* 2^53 */

typedef struct config_reader {
    const char *file;
    const diag_sink *sink;
    strbuf text; /* for messages */
} config_reader;

static pofac_status wrong(config_reader *r, const char *path, const json_t *value, const char *wanted) {
    const char *found = value ? json_describe(value, &r->text) : "nothing";
    return diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->file}, "%s: found %s, wanted %s", path, found, wanted);
}

/* The object that the reader's file holds; the caller ends its life with json_decref. */
static pofac_status read_object(config_reader *r, json_t **out) {
    file_map file;
    TRY(file_map_open(r->file, r->sink, &file));
    pofac_status status = json_parse_as_reals(r->file, NULL, file.data, file.size_bytes, r->sink, out);
    file_map_close(&file);
    if (status != POFAC_OK || json_is_object(*out)) return status;
    status = diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->file}, "found %s, wanted an object",
                        json_describe(*out, &r->text));
    json_decref(*out);
    return status;
}

/* Absent or null leaves *out as it is. `path` is the place of `key` in the document. */
static pofac_status read_flag(config_reader *r, const json_t *object, const char *key, const char *path, tokenizer_flag *out) {
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value)) return POFAC_OK;
    if (!json_is_boolean(value)) return wrong(r, path, value, "true, false or null");
    *out = json_is_true(value) ? TOKENIZER_ON : TOKENIZER_OFF;
    return POFAC_OK;
}

static pofac_status read_max_length(config_reader *r, const json_t *object, size_t *out) {
    const json_t *value = json_object_get(object, "model_max_length");
    if (!value || json_is_null(value)) return POFAC_OK;
    double length = json_number_value(value);
    if (!(length >= 1)) return wrong(r, "model_max_length", value, "a number of tokens, 1 or more");
    *out = length < UNLIMITED_LENGTH ? (size_t)length : 0;
    return POFAC_OK;
}

/* A token is written as its text, or as an object with its text. */
static const char *token_text(const json_t *value) {
    return json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
}

static bool has_role(const char *token) {
    for (int s = 0; s < TOKENIZER_N_SPECIALS; s++)
        if (strcmp(token, tokenizer_special_name((tokenizer_special)s)) == 0) return true;
    return false;
}

/* The tokens with a role have the names that are found in text and put around it. */
static pofac_status check_roles(config_reader *r, const json_t *root) {
    static const char *const keys[TOKENIZER_N_SPECIALS] = {
        [TOKENIZER_PAD] = "pad_token", [TOKENIZER_UNK] = "unk_token",   [TOKENIZER_CLS] = "cls_token",
        [TOKENIZER_SEP] = "sep_token", [TOKENIZER_MASK] = "mask_token",
    };
    for (int s = 0; s < TOKENIZER_N_SPECIALS; s++) {
        const json_t *value = json_object_get(root, keys[s]);
        const char *name = tokenizer_special_name((tokenizer_special)s), *found = token_text(value);
        char quoted[64];
        if (!value || json_is_null(value) || (found && strcmp(found, name) == 0)) continue;
        snprintf(quoted, sizeof quoted, "\"%s\"", name);
        return wrong(r, keys[s], json_is_object(value) && found ? json_object_get(value, "content") : value, quoted);
    }
    return POFAC_OK;
}

/* Tokens beside those with a role: `added_tokens` of tokenizer.json is a list of them, `added_tokens_decoder` has them by id. */
typedef struct added_tokens {
    const char *first; /* without a role; NULL when there is none */
    size_t n;          /* of them */
} added_tokens;

static pofac_status add_token(config_reader *r, const char *path, const json_t *value, added_tokens *a) {
    const char *text = token_text(value);
    if (!text) return wrong(r, path, value, "tokens with their content");
    if (has_role(text)) return POFAC_OK;
    if (!a->first) a->first = text;
    a->n++;
    return POFAC_OK;
}

static pofac_status check_added(config_reader *r, const json_t *root, const char *path) {
    const json_t *tokens = json_object_get(root, path);
    added_tokens added = {0};
    const char *key;
    json_t *value;
    size_t i;
    if (!tokens || json_is_null(tokens)) return POFAC_OK;
    if (!json_is_array(tokens) && !json_is_object(tokens)) return wrong(r, path, tokens, "an array or object of tokens");
    json_array_foreach(tokens, i, value) TRY(add_token(r, path, value, &added));
    json_object_foreach((json_t *)(uintptr_t)tokens, key, value) TRY(add_token(r, path, value, &added));
    if (added.n == 0) return POFAC_OK;
    strbuf_clear(&r->text);
    strbuf_put_json(&r->text, added.first, strlen(added.first));
    if (added.n > 1) strbuf_printf(&r->text, " and %zu more", added.n - 1);
    diag_warning(r->sink, &(diag_place){.file = r->file}, "%s: found %s: text that has such a token is split as any other", path,
                 strbuf_str(&r->text));
    return POFAC_OK;
}

static pofac_status read_settings(config_reader *r, const json_t *root, tokenizer_options *o) {
    TRY(check_roles(r, root));
    TRY(check_added(r, root, "added_tokens_decoder"));
    TRY(read_flag(r, root, "do_lower_case", "do_lower_case", &o->do_lower_case));
    TRY(read_flag(r, root, "strip_accents", "strip_accents", &o->strip_accents));
    TRY(read_flag(r, root, "tokenize_chinese_chars", "tokenize_chinese_chars", &o->tokenize_chinese_chars));
    return read_max_length(r, root, &o->model_max_length);
}

pofac_status tokenizer_config_read(const char *path, const diag_sink *sink, tokenizer_options *out) {
    config_reader r = {path, sink, STRBUF_INIT};
    tokenizer_options o = *out;
    json_t *root = NULL;
    pofac_status status = read_object(&r, &root);
    if (status == POFAC_OK) {
        status = read_settings(&r, root, &o);
        json_decref(root);
    }
    if (status == POFAC_OK) *out = o;
    strbuf_free(&r.text);
    return status;
}

/* ---- tokenizer.json ---- */

static pofac_status expect_string(config_reader *r, const json_t *object, const char *key, const char *path, const char *wanted) {
    const json_t *value = json_object_get(object, key);
    const char *found = json_string_value(value);
    char quoted[64];
    if (found && strcmp(found, wanted) == 0) return POFAC_OK;
    snprintf(quoted, sizeof quoted, "\"%s\"", wanted);
    return wrong(r, path, value, quoted);
}

static pofac_status read_wordpiece(config_reader *r, const json_t *model, tokenizer_options *o) {
    if (!json_is_object(model)) return wrong(r, "model", model, "an object");
    TRY(expect_string(r, model, "type", "model.type", "WordPiece"));
    TRY(expect_string(r, model, "unk_token", "model.unk_token", "[UNK]"));
    TRY(expect_string(r, model, "continuing_subword_prefix", "model.continuing_subword_prefix", "##"));
    const json_t *longest = json_object_get(model, "max_input_chars_per_word");
    double characters = json_number_value(longest);
    if (!(characters >= 1 && characters <= TOKENIZER_MAX_WORD_CHARACTERS))
        return wrong(r, "model.max_input_chars_per_word", longest, "a number from 1 to 200");
    o->max_input_chars_per_word = (size_t)characters;
    const json_t *vocab = json_object_get(model, "vocab");
    return json_is_object(vocab) ? POFAC_OK : wrong(r, "model.vocab", vocab, "an object");
}

static pofac_status read_normalizer(config_reader *r, const json_t *normalizer, tokenizer_options *o) {
    if (!json_is_object(normalizer)) return wrong(r, "normalizer", normalizer, "an object");
    TRY(expect_string(r, normalizer, "type", "normalizer.type", "BertNormalizer"));
    TRY(read_flag(r, normalizer, "lowercase", "normalizer.lowercase", &o->do_lower_case));
    TRY(read_flag(r, normalizer, "strip_accents", "normalizer.strip_accents", &o->strip_accents));
    return read_flag(r, normalizer, "handle_chinese_chars", "normalizer.handle_chinese_chars", &o->tokenize_chinese_chars);
}

/* Puts the tokens in order of their ids: tokens[id], each id from 0 to n - 1 once. */
static pofac_status order_tokens(config_reader *r, json_t *vocab, const char **tokens, size_t n) {
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
static pofac_status write_vocabulary(config_reader *r, json_t *vocab, strbuf *out) {
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

static pofac_status read_model(config_reader *r, const json_t *root, tokenizer_options *o, strbuf *vocab_text) {
    const json_t *model = json_object_get(root, "model");
    TRY(read_wordpiece(r, model, o));
    TRY(read_normalizer(r, json_object_get(root, "normalizer"), o));
    TRY(check_added(r, root, "added_tokens"));
    return write_vocabulary(r, json_object_get(model, "vocab"), vocab_text);
}

static pofac_status read_tokenizer_json(const char *path, const diag_sink *sink, tokenizer_options *o, strbuf *vocab_text) {
    config_reader r = {path, sink, STRBUF_INIT};
    json_t *root = NULL;
    pofac_status status = read_object(&r, &root);
    if (status == POFAC_OK) {
        status = read_model(&r, root, o, vocab_text);
        json_decref(root);
    }
    strbuf_free(&r.text);
    return status;
}

/* ---- directories ---- */

static void override_options(tokenizer_options *o, const tokenizer_options *with) {
    if (with->do_lower_case != TOKENIZER_UNSET) o->do_lower_case = with->do_lower_case;
    if (with->strip_accents != TOKENIZER_UNSET) o->strip_accents = with->strip_accents;
    if (with->tokenize_chinese_chars != TOKENIZER_UNSET) o->tokenize_chinese_chars = with->tokenize_chinese_chars;
    if (with->max_input_chars_per_word != 0) o->max_input_chars_per_word = with->max_input_chars_per_word;
    if (with->model_max_length != 0) o->model_max_length = with->model_max_length;
}

typedef struct directory_paths {
    const char *vocab, *config, *json;
} directory_paths;

static pofac_status load(const directory_paths *paths, const tokenizer_options *overrides, const diag_sink *sink,
                         strbuf *vocab_text, tokenizer **out) {
    tokenizer_options o = {0};
    bool from_json = !file_exists(paths->vocab);
    if (from_json) TRY(read_tokenizer_json(paths->json, sink, &o, vocab_text));
    if (file_exists(paths->config)) TRY(tokenizer_config_read(paths->config, sink, &o));
    if (overrides) override_options(&o, overrides);
    if (!from_json) return tokenizer_create(paths->vocab, &o, sink, out);
    return tokenizer_create_from_memory(paths->json, strbuf_str(vocab_text), vocab_text->size, &o, sink, out);
}

pofac_status tokenizer_load_directory(const char *dir, const tokenizer_options *overrides, const diag_sink *sink, tokenizer **out) {
    arena a = ARENA_INIT;
    strbuf vocab_text = STRBUF_INIT;
    directory_paths paths = {arena_printf(&a, "%s/vocab.txt", dir), arena_printf(&a, "%s/tokenizer_config.json", dir),
                             arena_printf(&a, "%s/tokenizer.json", dir)};
    pofac_status status;
    *out = NULL;
    if (!paths.vocab || !paths.config || !paths.json) status = diag_out_of_memory(sink);
    else if (!file_exists(paths.vocab) && !file_exists(paths.json))
        status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = dir},
                            "found no vocabulary, wanted vocab.txt or tokenizer.json");
    else status = load(&paths, overrides, sink, &vocab_text, out);
    strbuf_free(&vocab_text);
    arena_free(&a);
    return status;
}
