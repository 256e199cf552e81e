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

static void begin_line(unsigned columns, strbuf *out) {
    strbuf_putc(out, '\n');
    for (unsigned i = 0; i < columns; i++) strbuf_putc(out, ' ');
}

static int compare_keys(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static bool put_indented(const json_t *value, unsigned indent, unsigned column, strbuf *out);

static bool put_object(const json_t *object, unsigned indent, unsigned column, strbuf *out) {
    const size_t n = json_object_size(object);
    const char **keys = malloc((n + 1) * sizeof *keys);
    bool ok = keys != NULL;
    size_t i = 0;
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); ok && at;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at))
        keys[i++] = json_object_iter_key(at);
    if (ok && n) qsort(keys, n, sizeof *keys, compare_keys);
    strbuf_putc(out, '{');
    for (i = 0; ok && i < n; i++) {
        if (i) strbuf_putc(out, ',');
        begin_line(column + indent, out);
        strbuf_put_json(out, keys[i], strlen(keys[i]));
        strbuf_puts(out, ": ");
        ok = put_indented(json_object_get(object, keys[i]), indent, column + indent, out);
    }
    if (n) begin_line(column, out);
    strbuf_putc(out, '}');
    free(keys);
    return ok;
}

static bool put_array(const json_t *array, unsigned indent, unsigned column, strbuf *out) {
    const size_t n = json_array_size(array);
    bool ok = true;
    strbuf_putc(out, '[');
    for (size_t i = 0; ok && i < n; i++) {
        if (i) strbuf_putc(out, ',');
        begin_line(column + indent, out);
        ok = put_indented(json_array_get(array, i), indent, column + indent, out);
    }
    if (n) begin_line(column, out);
    strbuf_putc(out, ']');
    return ok;
}

/* As deep as jansson parses: 2048 levels. */
static bool put_indented(const json_t *value, unsigned indent, unsigned column, strbuf *out) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return put_object(value, indent, column, out);
    case JSON_ARRAY: return put_array(value, indent, column, out);
    case JSON_STRING: strbuf_put_json(out, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: strbuf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL: json_put_real(json_real_value(value), out); break;
    case JSON_TRUE: strbuf_puts(out, "true"); break;
    case JSON_FALSE: strbuf_puts(out, "false"); break;
    case JSON_NULL: strbuf_puts(out, "null"); break;
    }
    return strbuf_ok(out);
}

bool json_put_value(const struct json_t *value, unsigned indent, strbuf *out) {
    return put_indented(value, indent, 0, out) && strbuf_ok(out);
}
