/*
 * Pulling elements; see json_elements.h. The text is walked once, a byte at a time; values are copied by the buffer.
 */
#include "frontend/data/json_elements.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/json_text.h"

#define BUFFER_BYTES ((size_t)64 << 10)

typedef enum place_in_file { BEFORE_OBJECT, IN_OBJECT, IN_ARRAY, AFTER_OBJECT } place_in_file;

struct json_elements {
    inflated_file *file;
    const char *key;
    size_t max_bytes, index;
    place_in_file place;
    bool found; /* the key */
    bool first; /* nothing of the object or array has been read yet */
    strbuf value;
    uint64_t line, column; /* of the next byte, from 1 */
    size_t begin, end;
    char buffer[BUFFER_BYTES];
};

pofac_status json_elements_open(const char *path, const char *key, size_t max_bytes, const diag_sink *sink, json_elements **out) {
    *out = NULL;
    json_elements *e = calloc(1, sizeof *e);
    if (!e) return diag_out_of_memory(sink);
    e->key = key;
    e->max_bytes = max_bytes;
    e->line = e->column = 1;
    pofac_status status = inflated_file_open(path, sink, &e->file);
    if (status == POFAC_OK) *out = e;
    else free(e);
    return status;
}

void json_elements_close(json_elements *e) {
    if (!e) return;
    inflated_file_close(e->file);
    strbuf_free(&e->value);
    free(e);
}

/* ---- characters ---- */

/* The next byte, which stays; -1: the end. */
static pofac_status peek(json_elements *e, const diag_sink *sink, int *out) {
    *out = -1;
    if (e->begin == e->end) {
        e->begin = e->end = 0;
        TRY(inflated_file_read(e->file, e->buffer, BUFFER_BYTES, sink, &e->end));
        if (e->end == 0) return POFAC_OK;
    }
    *out = (unsigned char)e->buffer[e->begin];
    return POFAC_OK;
}

/* Passes n bytes of the buffer. */
static void advance(json_elements *e, size_t n) {
    const char *at = e->buffer + e->begin, *end = at + n;
    for (const char *line; (line = memchr(at, '\n', (size_t)(end - at))) != NULL; at = line + 1) {
        e->line++;
        e->column = 1;
    }
    e->column += (uint64_t)(end - at);
    e->begin += n;
}

static pofac_status skip_space(json_elements *e, const diag_sink *sink, int *next) {
    for (;;) {
        TRY(peek(e, sink, next));
        if (*next != ' ' && *next != '\t' && *next != '\n' && *next != '\r') return POFAC_OK;
        advance(e, 1);
    }
}

static pofac_status unexpected(const json_elements *e, int found, const char *wanted, const diag_sink *sink) {
    const diag_place place = {.file = inflated_file_name(e->file), .line = (uint32_t)e->line, .column = (uint32_t)e->column};
    if (found < 0) return diag_error(sink, POFAC_ERR_INPUT, &place, "found the end of the file, wanted %s", wanted);
    if (found < ' ' || found > '~')
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found the byte 0x%02x, wanted %s", (unsigned)found, wanted);
    return diag_error(sink, POFAC_ERR_INPUT, &place, "found '%c', wanted %s", found, wanted);
}

static pofac_status expect(json_elements *e, char wanted, const char *what, const diag_sink *sink) {
    int c;
    TRY(skip_space(e, sink, &c));
    if (c != wanted) return unexpected(e, c, what, sink);
    advance(e, 1);
    return POFAC_OK;
}

/* ---- values ---- */

/* How far a value has been walked. */
typedef struct nesting {
    size_t depth; /* open brackets */
    bool in_string, escaped, done;
} nesting;

static void walk_string(nesting *s, char c) {
    if (s->escaped) s->escaped = false;
    else if (c == '\\') s->escaped = true;
    else if (c == '"') s->in_string = false;
    s->done = !s->in_string && s->depth == 0;
}

/* How many of the n bytes belong to the value. A number, true, false or null ends before what follows it. */
static size_t walk(nesting *s, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char c = text[i];
        if (s->in_string) walk_string(s, c);
        else if (c == '"') s->in_string = true;
        else if (c == '{' || c == '[') s->depth++;
        else if ((c == '}' || c == ']') && s->depth > 0) s->done = --s->depth == 0;
        else if (s->depth == 0 && c && strchr(",}] \t\r\n", c)) {
            s->done = true;
            return i;
        }
        if (s->done) return i + 1;
    }
    return n;
}

static pofac_status take(json_elements *e, size_t n, const char *what, const diag_sink *sink) {
    strbuf_append(&e->value, e->buffer + e->begin, n);
    advance(e, n);
    if (!strbuf_ok(&e->value)) return diag_out_of_memory(sink);
    if (e->value.size <= e->max_bytes) return POFAC_OK;
    const diag_place place = {.file = inflated_file_name(e->file)};
    return diag_error(sink, POFAC_ERR_INPUT, &place, "%s: found more than %zu bytes, wanted fewer", what, e->max_bytes);
}

/* Parses one value. `part` says what it is. */
static pofac_status read_value(json_elements *e, const char *part, const diag_sink *sink, json_t **out) {
    nesting s = {0};
    int c;
    strbuf_clear(&e->value);
    TRY(skip_space(e, sink, &c));
    while (!s.done && c >= 0) {
        TRY(take(e, walk(&s, e->buffer + e->begin, e->end - e->begin), part, sink));
        if (!s.done) TRY(peek(e, sink, &c));
    }
    if (e->value.size == 0) return unexpected(e, c, "a value", sink);
    return json_parse(inflated_file_name(e->file), part, e->value.data, e->value.size, sink, out);
}

/* ---- the object around the array ---- */

/* The comma before all but the first, or the bracket that ends the list. */
static pofac_status next_in_list(json_elements *e, char closing, const char *wanted, const diag_sink *sink, bool *more) {
    int c;
    TRY(skip_space(e, sink, &c));
    *more = c != closing;
    if (!*more) advance(e, 1);
    else if (!e->first) TRY(expect(e, ',', wanted, sink));
    e->first = false;
    return POFAC_OK;
}

/* A key and its colon; *is_key when it is the one that is looked for. */
static pofac_status read_key(json_elements *e, const diag_sink *sink, bool *is_key) {
    int c;
    json_t *key;
    TRY(skip_space(e, sink, &c));
    if (c != '"') return unexpected(e, c, "a key", sink);
    TRY(read_value(e, "a key", sink, &key));
    *is_key = strcmp(json_string_value(key), e->key) == 0;
    json_decref(key);
    if (*is_key && e->found) {
        const diag_place place = {.file = inflated_file_name(e->file), .line = (uint32_t)e->line};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found \"%s\" twice, wanted one", e->key);
    }
    return expect(e, ':', "':'", sink);
}

static pofac_status begin_array(json_elements *e, const diag_sink *sink) {
    e->found = e->first = true;
    e->place = IN_ARRAY;
    return expect(e, '[', "an array", sink);
}

/* Values of the object up to the array, or to the object's end. */
static pofac_status read_object(json_elements *e, const diag_sink *sink) {
    while (e->place == IN_OBJECT) {
        bool more, is_key;
        json_t *value;
        TRY(next_in_list(e, '}', "',' or '}'", sink, &more));
        if (!more) {
            e->place = AFTER_OBJECT;
            return POFAC_OK;
        }
        TRY(read_key(e, sink, &is_key));
        if (is_key) return begin_array(e, sink);
        TRY(read_value(e, "a value", sink, &value));
        json_decref(value);
    }
    return POFAC_OK;
}

static pofac_status begin_object(json_elements *e, const diag_sink *sink) {
    static const char mark[] = "\xef\xbb\xbf"; /* byte order mark */
    int c;
    for (size_t i = 0; mark[i]; i++) {
        TRY(peek(e, sink, &c));
        if (c != (unsigned char)mark[i] && i > 0) return unexpected(e, c, "an object", sink);
        if (c != (unsigned char)mark[i]) break;
        advance(e, 1);
    }
    TRY(expect(e, '{', "an object", sink));
    e->place = IN_OBJECT;
    e->first = true;
    return POFAC_OK;
}

static pofac_status check_end(json_elements *e, const diag_sink *sink) {
    int c;
    TRY(skip_space(e, sink, &c));
    if (c >= 0) return unexpected(e, c, "the end of the file", sink);
    if (e->found) return POFAC_OK;
    const diag_place place = {.file = inflated_file_name(e->file)};
    return diag_error(sink, POFAC_ERR_INPUT, &place, "found no \"%s\", wanted an array", e->key);
}

static pofac_status read_element(json_elements *e, const diag_sink *sink, json_t **out) {
    char part[64];
    bool more;
    const bool first = e->first;
    TRY(next_in_list(e, ']', "',' or ']'", sink, &more));
    if (!more) {
        e->place = IN_OBJECT;
        return POFAC_OK;
    }
    e->index = first ? 0 : e->index + 1;
    snprintf(part, sizeof part, "%s[%zu]", e->key, e->index);
    return read_value(e, part, sink, out);
}

pofac_status json_elements_next(json_elements *e, const diag_sink *sink, struct json_t **out) {
    *out = NULL;
    if (e->place == BEFORE_OBJECT) TRY(begin_object(e, sink));
    for (;;) {
        TRY(read_object(e, sink));
        if (e->place == AFTER_OBJECT) return check_end(e, sink);
        TRY(read_element(e, sink, out));
        if (*out) return POFAC_OK;
    }
}

size_t json_elements_index(const json_elements *e) { return e->index; }

const inflated_file *json_elements_file(const json_elements *e) { return e->file; }
