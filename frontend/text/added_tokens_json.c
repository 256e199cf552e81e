/*
 * Added tokens as JSON. What a file does not say is as in the reference: nothing is stripped, words may stand beside the token, and a
 * token is normalized unless it is special. The tokens with a role are special whatever a file says.
 */
#include "frontend/text/added_tokens_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/json_text.h"
#include "ir/support/vector.h"

static bool has_role(const char *token) {
    for (int s = 0; s < TOKENIZER_N_SPECIALS; s++)
        if (strcmp(token, tokenizer_special_name((tokenizer_special)s)) == 0) return true;
    return false;
}

typedef VEC(added_token) token_list; /* contents are those of the document */

static pofac_status push(tokenizer_reader *r, token_list *list, added_token token) {
    return VEC_PUSH(list, token) ? POFAC_OK : diag_out_of_memory(r->sink);
}

/* Absent leaves *out as it is. */
static pofac_status read_bool(tokenizer_reader *r, const char *path, const json_t *token, const char *key, bool *out) {
    const json_t *value = json_object_get(token, key);
    if (!value) return POFAC_OK;
    if (!json_is_boolean(value))
        return diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->file}, "%s: %s: found %s, wanted true or false", path,
                          key, json_describe(value, &r->text));
    *out = json_is_true(value);
    return POFAC_OK;
}

/* A token as its text or as an object with its content. Its id is unset. `special` where the file does not say. */
static pofac_status read_token(tokenizer_reader *r, const char *path, const json_t *value, bool special, added_token *out) {
    const char *content = reader_token_text(value);
    if (!content || !content[0]) return reader_wrong(r, path, value, "tokens with their content");
    *out = (added_token){.content = content, .id = -1, .special = special};
    TRY(read_bool(r, path, value, "special", &out->special));
    if (has_role(content)) out->special = true;
    out->normalized = !out->special;
    TRY(read_bool(r, path, value, "lstrip", &out->lstrip));
    TRY(read_bool(r, path, value, "rstrip", &out->rstrip));
    TRY(read_bool(r, path, value, "single_word", &out->single_word));
    return read_bool(r, path, value, "normalized", &out->normalized);
}

static pofac_status check_id(tokenizer_reader *r, const char *path, double id, const char *found, added_token *token) {
    if (id >= 0 && id < INT32_MAX && id == (double)(int32_t)id) {
        token->id = (int32_t)id;
        return POFAC_OK;
    }
    return diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->file},
                      "%s: found id %s for \"%s\", wanted a whole number from 0", path, found, token->content);
}

/* `id` is a number of the document, or NULL: then the token is found by its content. */
static pofac_status set_id(tokenizer_reader *r, const char *path, const json_t *id, added_token *token) {
    if (!id) return POFAC_OK;
    return check_id(r, path, json_is_number(id) ? json_number_value(id) : -1, json_describe(id, &r->text), token);
}

/* tokenizer.json: [{"id": 30522, "content": "<e>", "special": false, ...}, ...] */
static pofac_status read_added_tokens(tokenizer_reader *r, const json_t *root, token_list *list) {
    static const char path[] = "added_tokens";
    const json_t *tokens = json_object_get(root, path), *value;
    size_t i;
    if (!tokens || json_is_null(tokens)) return POFAC_OK;
    if (!json_is_array(tokens)) return reader_wrong(r, path, tokens, "an array of tokens");
    json_array_foreach(tokens, i, value) {
        added_token token;
        TRY(read_token(r, path, value, false, &token));
        TRY(set_id(r, path, json_object_get(value, "id"), &token));
        TRY(push(r, list, token));
    }
    return POFAC_OK;
}

/* tokenizer_config.json: {"30522": {"content": "<e>", "special": false, ...}, ...} */
static pofac_status read_added_tokens_decoder(tokenizer_reader *r, json_t *root, token_list *list) {
    static const char path[] = "added_tokens_decoder";
    json_t *tokens = json_object_get(root, path), *value;
    const char *key;
    if (!tokens || json_is_null(tokens)) return POFAC_OK;
    if (!json_is_object(tokens)) return reader_wrong(r, path, tokens, "an object of tokens by id");
    json_object_foreach(tokens, key, value) {
        added_token token;
        const bool digits = key[0] && strspn(key, "0123456789") == strlen(key);
        TRY(read_token(r, path, value, false, &token));
        TRY(check_id(r, path, digits ? strtod(key, NULL) : -1, key, &token));
        TRY(push(r, list, token));
    }
    return POFAC_OK;
}

/* added_tokens.json: {"<e>": 30522, ...} */
static pofac_status read_added_ids(tokenizer_reader *r, json_t *root, token_list *list) {
    const char *content;
    json_t *id;
    json_object_foreach(root, content, id) {
        const bool role = has_role(content);
        added_token token = {.content = content, .id = -1, .special = role, .normalized = !role};
        if (!content[0]) return reader_wrong(r, "token \"\"", id, "tokens with their content");
        TRY(set_id(r, "token", id, &token));
        TRY(push(r, list, token));
    }
    return POFAC_OK;
}

/* One of additional_special_tokens: a token that is known already is special from now on, and stays as it is if it was that. */
static pofac_status read_special(tokenizer_reader *r, const char *path, const json_t *value, const tokenizer *t, token_list *list) {
    added_token token;
    TRY(read_token(r, path, value, true, &token));
    const added_token *known = tokenizer_added(t, token.content, strlen(token.content));
    if (known && known->special) return POFAC_OK;
    if (known) token = *known;
    token.special = true;
    if (known) token.normalized = false;
    return push(r, list, token);
}

static pofac_status read_specials(tokenizer_reader *r, json_t *root, const char *path, const tokenizer *t, token_list *list) {
    json_t *tokens = json_object_get(root, path), *value;
    const char *key;
    size_t i;
    if (!tokens || json_is_null(tokens)) return POFAC_OK;
    if (!json_is_array(tokens) && !json_is_object(tokens)) return reader_wrong(r, path, tokens, "an array or object of tokens");
    json_array_foreach(tokens, i, value) TRY(read_special(r, path, value, t, list));
    json_object_foreach(tokens, key, value) TRY(read_special(r, path, value, t, list));
    return POFAC_OK;
}

/* Appends the tokens that the file has, by kind. `list` is added to `t` before its special tokens are looked at. */
static pofac_status read_tokens(tokenizer_reader *r, token_file file, json_t *root, token_list *list) {
    switch (file) {
    case TOKEN_FILE_ADDED: return read_added_ids(r, root, list);
    case TOKEN_FILE_TOKENIZER: return read_added_tokens(r, root, list);
    case TOKEN_FILE_CONFIG: return read_added_tokens_decoder(r, root, list);
    case TOKEN_FILE_SPECIALS:
    case N_TOKEN_FILES: break;
    }
    return POFAC_OK;
}

static pofac_status read_all_specials(tokenizer_reader *r, json_t *root, const tokenizer *t, token_list *list) {
    TRY(read_specials(r, root, "additional_special_tokens", t, list));
    return read_specials(r, root, "extra_special_tokens", t, list);
}

pofac_status added_tokens_read(tokenizer_reader *r, token_file file, json_t *root, tokenizer *t) {
    token_list list = {0};
    pofac_status status = read_tokens(r, file, root, &list);
    if (status == POFAC_OK) status = tokenizer_add(t, r->file, list.data, list.size, r->sink);
    list.size = 0;
    if (status == POFAC_OK && (file == TOKEN_FILE_SPECIALS || file == TOKEN_FILE_CONFIG)) {
        status = read_all_specials(r, root, t, &list);
        if (status == POFAC_OK) status = tokenizer_add(t, r->file, list.data, list.size, r->sink);
    }
    VEC_FREE(&list);
    return status;
}
