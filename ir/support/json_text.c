/*
 * JSON through jansson. jansson counts columns in characters and from the end of a token; here the place is that of the token's
 * first byte, found from the byte position and from the token that the message quotes.
 */
#include "ir/support/json_text.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/decimal.h"

#define SHOWN_STRING_BYTES 60u

/* The token that a message quotes at its end, as in `']' expected near 'x'`: its length, 0 when there is none. */
static size_t quoted_token_bytes(const char *message) {
    static const char before[] = " near '";
    const char *near = strstr(message, before);
    size_t n = strlen(message);
    if (!near || message[n - 1] != '\'') return 0;
    size_t from = (size_t)(near - message) + strlen(before);
    return from < n - 1 ? n - 1 - from : 0;
}

static diag_place place_of(const char *file, const char *text, size_t n, size_t at) {
    diag_place place = {.file = file, .line = 1, .column = 1, .text = text, .text_bytes = n};
    size_t line_start = 0;
    for (size_t i = 0; i < at; i++) {
        if (text[i] != '\n') continue;
        place.line++;
        line_start = i + 1;
    }
    const char *line_end = memchr(text + line_start, '\n', n - line_start);
    place.column = (uint32_t)(at - line_start + 1);
    place.text = text + line_start;
    place.text_bytes = (line_end ? (size_t)(line_end - text) : n) - line_start;
    return place;
}

static pofac_status report(const char *file, const char *part, const char *text, size_t n, const json_error_t *error,
                           const diag_sink *sink) {
    /* a failed allocation in jansson's hash tables leaves no message */
    if (json_error_code(error) == json_error_out_of_memory || error->text[0] == 0) return diag_out_of_memory(sink);
    size_t at = error->position < 0 ? 0 : (size_t)error->position;
    if (at > n) at = n;
    size_t token = quoted_token_bytes(error->text);
    at -= token < at ? token : at;
    if (!part) {
        diag_place place = place_of(file, text, n, at);
        return diag_error(sink, POFAC_ERR_INPUT, &place, "invalid JSON: %s", error->text);
    }
    diag_place place = {.file = file};
    return diag_error(sink, POFAC_ERR_INPUT, &place, "%s: invalid JSON at byte %zu: %s", part, at, error->text);
}

static pofac_status parse(const char *file, const char *part, const void *bytes, size_t n, size_t flags, const diag_sink *sink,
                          struct json_t **out) {
    const char *text = n ? bytes : "";
    json_error_t error = {.position = 0};
    *out = json_loadb(text, n, flags | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    return *out ? POFAC_OK : report(file, part, text, n, &error, sink);
}

pofac_status json_parse(const char *file, const char *part, const void *bytes, size_t n, const diag_sink *sink,
                        struct json_t **out) {
    return parse(file, part, bytes, n, 0, sink, out);
}

pofac_status json_parse_as_reals(const char *file, const char *part, const void *bytes, size_t n, const diag_sink *sink,
                                 struct json_t **out) {
    return parse(file, part, bytes, n, JSON_DECODE_INT_AS_REAL, sink, out);
}

const char *json_describe(const struct json_t *value, strbuf *text) {
    strbuf_clear(text);
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    case JSON_INTEGER: strbuf_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL: json_put_real(json_real_value(value), text); break;
    case JSON_STRING: {
        size_t n = json_string_length(value);
        if (n <= SHOWN_STRING_BYTES) {
            strbuf_put_json(text, json_string_value(value), n);
        } else {
            strbuf_put_json(text, json_string_value(value), SHOWN_STRING_BYTES);
            strbuf_printf(text, "... (%zu bytes)", n);
        }
        break;
    }
    }
    return strbuf_ok(text) ? strbuf_str(text) : "another value";
}

const char *json_library_version(void) { return jansson_version_str(); }

void json_put_real(double value, strbuf *out) {
    if (!isfinite(value)) {
        strbuf_puts(out, "null");
        return;
    }
    size_t start = out->size;
    decimal_put(out, value);
    if (strbuf_ok(out) && !strpbrk(strbuf_str(out) + start, ".e")) strbuf_puts(out, ".0");
}
