/*
 * One JSON file of a tokenizer: opened as an object, its values taken or refused with the file's name and their path.
 */
#ifndef POFAC_FRONTEND_TEXT_TOKENIZER_READER_H
#define POFAC_FRONTEND_TEXT_TOKENIZER_READER_H

#include "frontend/text/tokenizer.h"

struct json_t; /* jansson.h */

typedef struct tokenizer_reader {
    const char *file;
    const diag_sink *sink;
    strbuf text;       /* for messages; the owner frees it */
    const char *bytes; /* of the file, where they are at hand; NULL: they are read */
    size_t n_bytes;
} tokenizer_reader;

/* The object that the file holds, numbers as doubles, since "no limit" is written as an integer of 31 digits. The caller ends its life
 * with json_decref. */
POFAC_MUST_USE pofac_status reader_open(tokenizer_reader *r, struct json_t **out);

/* An error about the value at `path`; NULL: there is none. */
pofac_status reader_wrong(tokenizer_reader *r, const char *path, const struct json_t *value, const char *wanted);

/* Absent or null leaves *out as it is. `path` is the place of `key` in the document. */
POFAC_MUST_USE pofac_status reader_flag(tokenizer_reader *r, const struct json_t *object, const char *key, const char *path,
                                        tokenizer_flag *out);

/* The value of `key` is the string `wanted`. */
POFAC_MUST_USE pofac_status reader_expect(tokenizer_reader *r, const struct json_t *object, const char *key, const char *path,
                                          const char *wanted);

/* A token is written as its text, or as an object with its text; NULL when `value` is neither. */
const char *reader_token_text(const struct json_t *value);

#endif
