/*
 * JSON documents into jansson's trees, with one way of parsing and of reporting for all files that read JSON; and numbers out.
 * Strings go out through strbuf_put_json. This header does not pull in jansson's: files that walk the tree include both.
 */
#ifndef POFAC_IR_SUPPORT_JSON_TEXT_H
#define POFAC_IR_SUPPORT_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/support/diag.h"

struct json_t;

/*
 * Parses n bytes of `file`; keys that stand twice in an object are refused. POFAC_ERR_INPUT with line, column and source line:
 * `FILE:3:14: error: invalid JSON: ...`. `part` is NULL, or says what the bytes are within a file that is not a text otherwise;
 * then the message is `FILE: error: PART: invalid JSON at byte 13: ...`. The caller ends the tree's life with json_decref.
 */
POFAC_MUST_USE pofac_status json_parse(const char *file, const char *part, const void *bytes, size_t n, const diag_sink *sink,
                                       struct json_t **out);

/* The same with every number read as a double, for files with integers beyond 64 bits, which json_parse refuses. */
POFAC_MUST_USE pofac_status json_parse_as_reals(const char *file, const char *part, const void *bytes, size_t n,
                                                const diag_sink *sink, struct json_t **out);

/* What was found, for messages: `an object`, `an array`, `true`, `null`, or the number or string itself (long strings cut).
 * Lives until the next use of `text`. */
const char *json_describe(const struct json_t *value, strbuf *text);

/* Version of jansson: "2.14". */
const char *json_library_version(void);

/* Appends the shortest decimal that reads back as the same double, always with a point or an exponent; null for NaN and
 * infinities, which JSON does not have. */
void json_put_real(double value, strbuf *out);

/* Appends a value as Python's json.dump(value, indent=..., sort_keys=True) has it, but that text stays UTF-8 and reals are the shortest that
 * read back the same. False when memory is short (`out` may have failed too). */
POFAC_MUST_USE bool json_put_value(const struct json_t *value, unsigned indent, strbuf *out);

#endif
