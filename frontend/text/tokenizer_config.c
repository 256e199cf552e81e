/*
 * tokenizer_config.json and tokenizer.json into options and a vocabulary. Of the latter only what a WordPiece model of BERT has is
 * taken: model.vocab, max_input_chars_per_word and the normalizer's flags; a model that would tokenize differently is refused. The JSON reader is jansson;
 * numbers are read as doubles, since "no limit" is written there as an integer of 31 digits.
 */
#include "frontend/text/tokenizer_config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/arena.h"
#include "ir/support/file_map.h"

/* Lengths from here on mean that the model sets none; the reference writes int(1e30). */
#define UNLIMITED_LENGTH 9007199254740992.0 /* 2^53 */

static pofac_status wrong(const diag_sink *sink, const char *file, const char *path, const char *found, const char *wanted) {
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = file}, "%s: found %s, wanted %s", path, found, wanted);
}

static const char *kind_of(const json_t *value) {
    if (!value) return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: break;
    }
    return "null";
}

/* The object that a file holds; the caller gives it back with json_decref. */
static pofac_status read_json(const char *path, const diag_sink *sink, json_t **out) {
    file_map file;
    json_error_t error;
    TRY(file_map_open(path, sink, &file));
    *out = json_loadb(file.data ? (const char *)file.data : "", file.size_bytes, JSON_DECODE_INT_AS_REAL, &error);
    file_map_close(&file);
    if (!*out) {
        if (json_error_code(&error) == json_error_out_of_memory) return diag_out_of_memory(sink);
        diag_place place = {.file = path, .line = error.line > 0 ? (uint32_t)error.line : 0,
                            .column = error.column > 0 ? (uint32_t)error.column : 0};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found %s, wanted JSON", error.text);
    }
    if (json_is_object(*out)) return POFAC_OK;
    const char *found = kind_of(*out);
    json_decref(*out);
    *out = NULL;
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "found %s, wanted an object", found);
}

/* Reads a boolean; absent or null leaves *out as it is. `path` names it in messages. */
static pofac_status read_flag(const json_t *object, const char *key, const char *path, const char *file, const diag_sink *sink,
                              tokenizer_flag *out) {
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value)) return POFAC_OK;
    if (!json_is_boolean(value)) return wrong(sink, file, path, kind_of(value), "true, false or null");
    *out = json_is_true(value) ? TOKENIZER_ON : TOKENIZER_OFF;
    return POFAC_OK;
}

static pofac_status read_max_length(const json_t *object, const char *file, const diag_sink *sink, size_t *out) {
    const json_t *value = json_object_get(object, "model_max_length");
    if (!value || json_is_null(value)) return POFAC_OK;
    if (!json_is_number(value)) return wrong(sink, file, "model_max_length", kind_of(value), "a number of tokens");
    double length = json_number_value(value);
    if (!(length >= 1)) {
        char found[32];
        snprintf(found, sizeof found, "%g", length);
        return wrong(sink, file, "model_max_length", found, "a number of tokens, 1 or more");
    }
    *out = length < UNLIMITED_LENGTH ? (size_t)length : 0;
    return POFAC_OK;
}

pofac_status tokenizer_config_read(const char *path, const diag_sink *sink, tokenizer_options *out) {
    json_t *root;
    pofac_status status;
    tokenizer_options o = *out;
    TRY(read_json(path, sink, &root));
    TRY_OR(done, status, read_flag(root, "do_lower_case", "do_lower_case", path, sink, &o.do_lower_case));
    TRY_OR(done, status, read_flag(root, "strip_accents", "strip_accents", path, sink, &o.strip_accents));
    TRY_OR(done, status, read_flag(root, "tokenize_chinese_chars", "tokenize_chinese_chars", path, sink, &o.tokenize_chinese_chars));
    TRY_OR(done, status, read_max_length(root, path, sink, &o.model_max_length));
    *out = o;
done:
    json_decref(root);
    return status;
}

/* ---- tokenizer.json ---- */

static pofac_status expect_string(const json_t *object, const char *key, const char *path, const char *wanted, const char *file,
                                  const diag_sink *sink) {
    const json_t *value = json_object_get(object, key);
    char quoted[64], found[128];
    snprintf(quoted, sizeof quoted, "\"%s\"", wanted);
    if (!json_is_string(value)) return wrong(sink, file, path, kind_of(value), quoted);
    if (strcmp(json_string_value(value), wanted) == 0) return POFAC_OK;
    snprintf(found, sizeof found, "\"%.100s\"", json_string_value(value));
    return wrong(sink, file, path, found, quoted);
}

static pofac_status read_wordpiece(const json_t *model, const char *file, const diag_sink *sink, tokenizer_options *o) {
    if (!json_is_object(model)) return wrong(sink, file, "model", kind_of(model), "an object");
    TRY(expect_string(model, "type", "model.type", "WordPiece", file, sink));
    TRY(expect_string(model, "unk_token", "model.unk_token", "[UNK]", file, sink));
    TRY(expect_string(model, "continuing_subword_prefix", "model.continuing_subword_prefix", "##", file, sink));
    const json_t *longest = json_object_get(model, "max_input_chars_per_word");
    double characters = json_number_value(longest);
    if (!(characters >= 1 && characters <= TOKENIZER_MAX_WORD_CHARACTERS)) {
        char found[32];
        snprintf(found, sizeof found, "%g", characters);
        return wrong(sink, file, "model.max_input_chars_per_word", json_is_number(longest) ? found : kind_of(longest),
                     "a number from 1 to 200");
    }
    o->max_input_chars_per_word = (size_t)characters;
    const json_t *vocab = json_object_get(model, "vocab");
    return json_is_object(vocab) ? POFAC_OK : wrong(sink, file, "model.vocab", kind_of(vocab), "an object");
}

/* Puts the tokens in order of their ids: tokens[id], each id from 0 to n - 1 once. */
static pofac_status order_tokens(json_t *vocab, const char **tokens, size_t n, const char *file, const diag_sink *sink) {
    const char *token;
    json_t *value;
    json_object_foreach(vocab, token, value) {
        double id = json_is_number(value) ? json_number_value(value) : -1;
        if (!(id >= 0 && id < (double)n) || id != (double)(size_t)id || tokens[(size_t)id] || strpbrk(token, "\r\n"))
            return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = file},
                              "model.vocab: found token \"%.100s\" with a wrong id, wanted each id from 0 to %zu once", token, n - 1);
        tokens[(size_t)id] = token;
    }
    return POFAC_OK;
}

/* Appends the vocabulary in vocab.txt's form. */
static pofac_status write_vocabulary(json_t *vocab, const char *file, const diag_sink *sink, strbuf *out) {
    size_t n = json_object_size(vocab);
    const char **tokens = calloc(n ? n : 1, sizeof *tokens);
    if (!tokens) return diag_out_of_memory(sink);
    pofac_status status = order_tokens(vocab, tokens, n, file, sink);
    for (size_t id = 0; id < n && status == POFAC_OK; id++) {
        strbuf_puts(out, tokens[id]);
        strbuf_putc(out, '\n');
    }
    free(tokens);
    if (status == POFAC_OK && !strbuf_ok(out)) status = diag_out_of_memory(sink);
    return status;
}

static pofac_status read_normalizer(const json_t *normalizer, const char *file, const diag_sink *sink, tokenizer_options *o) {
    if (!json_is_object(normalizer)) return wrong(sink, file, "normalizer", kind_of(normalizer), "an object");
    TRY(expect_string(normalizer, "type", "normalizer.type", "BertNormalizer", file, sink));
    TRY(read_flag(normalizer, "lowercase", "normalizer.lowercase", file, sink, &o->do_lower_case));
    TRY(read_flag(normalizer, "strip_accents", "normalizer.strip_accents", file, sink, &o->strip_accents));
    return read_flag(normalizer, "handle_chinese_chars", "normalizer.handle_chinese_chars", file, sink, &o->tokenize_chinese_chars);
}

static pofac_status read_tokenizer_json(const char *path, const diag_sink *sink, tokenizer_options *o, strbuf *vocab_text) {
    json_t *root;
    pofac_status status;
    TRY(read_json(path, sink, &root));
    const json_t *model = json_object_get(root, "model");
    TRY_OR(done, status, read_wordpiece(model, path, sink, o));
    TRY_OR(done, status, read_normalizer(json_object_get(root, "normalizer"), path, sink, o));
    TRY_OR(done, status, write_vocabulary(json_object_get(model, "vocab"), path, sink, vocab_text));
done:
    json_decref(root);
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

static pofac_status load(const directory_paths *paths, const tokenizer_options *overrides, const diag_sink *sink, strbuf *vocab_text,
                         tokenizer **out) {
    tokenizer_options o = {0};
    bool from_json = !file_exists(paths->vocab);
    if (from_json) TRY(read_tokenizer_json(paths->json, sink, &o, vocab_text));
    if (file_exists(paths->config)) TRY(tokenizer_config_read(paths->config, sink, &o));
    if (overrides) override_options(&o, overrides);
    if (from_json) return tokenizer_create_from_memory(paths->json, strbuf_str(vocab_text), vocab_text->size, &o, sink, out);
    return tokenizer_create(paths->vocab, &o, sink, out);
}

pofac_status tokenizer_load_directory(const char *dir, const tokenizer_options *overrides, const diag_sink *sink, tokenizer **out) {
    arena a = ARENA_INIT;
    strbuf vocab_text = STRBUF_INIT;
    directory_paths paths = {arena_printf(&a, "%s/vocab.txt", dir), arena_printf(&a, "%s/tokenizer_config.json", dir),
                             arena_printf(&a, "%s/tokenizer.json", dir)};
    pofac_status status;
    *out = NULL;
    if (!paths.vocab || !paths.config || !paths.json)
        status = diag_out_of_memory(sink);
    else if (!file_exists(paths.vocab) && !file_exists(paths.json))
        status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = dir}, "found no vocabulary, wanted vocab.txt or tokenizer.json");
    else
        status = load(&paths, overrides, sink, &vocab_text, out);
    strbuf_free(&vocab_text);
    arena_free(&a);
    return status;
}
