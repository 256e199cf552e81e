/*
 * Values of the JSON files of a tokenizer, with messages that name file and path.
 */
#include "frontend/text/tokenizer_reader.h"

#include <jansson.h>
#include <string.h>

#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

pofac_status reader_open(tokenizer_reader *r, json_t **out) {
    file_map file = {NULL, 0};
    *out = NULL;
    if (!r->bytes) TRY(file_map_open(r->file, r->sink, &file));
    pofac_status status = r->bytes ? json_parse_as_reals(r->file, NULL, r->bytes, r->n_bytes, r->sink, out)
                                   : json_parse_as_reals(r->file, NULL, file.data, file.size_bytes, r->sink, out);
    file_map_close(&file);
    if (status != POFAC_OK || json_is_object(*out)) return status;
    status = diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->file}, "found %s, wanted an object",
                        json_describe(*out, &r->text));
    json_decref(*out);
    *out = NULL;
    return status;
}

pofac_status reader_wrong(tokenizer_reader *r, const char *path, const json_t *value, const char *wanted) {
    const char *found = value ? json_describe(value, &r->text) : "nothing";
    return diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->file}, "%s: found %s, wanted %s", path, found, wanted);
}

pofac_status reader_flag(tokenizer_reader *r, const json_t *object, const char *key, const char *path, tokenizer_flag *out) {
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value)) return POFAC_OK;
    if (!json_is_boolean(value)) return reader_wrong(r, path, value, "true, false or null");
    *out = json_is_true(value) ? TOKENIZER_ON : TOKENIZER_OFF;
    return POFAC_OK;
}

pofac_status reader_expect(tokenizer_reader *r, const json_t *object, const char *key, const char *path, const char *wanted) {
    const json_t *value = json_object_get(object, key);
    const char *found = json_string_value(value);
    char quoted[64];
    if (found && strcmp(found, wanted) == 0) return POFAC_OK;
    snprintf(quoted, sizeof quoted, "\"%s\"", wanted);
    return reader_wrong(r, path, value, quoted);
}

const char *reader_token_text(const json_t *value) {
    return json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
}
