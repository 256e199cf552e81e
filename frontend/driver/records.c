/* Reading records line by line; see records.h. Memory grows with the longest line, not with the file. */
#include "frontend/driver/records.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record_reader {
    FILE *file;
    const char *name; /* in messages */
    record_format format;
    char *line;
    size_t capacity;
    uint64_t number;
};

static bool ends_with(const char *text, const char *ending) {
    size_t n = strlen(text), e = strlen(ending);
    return n >= e && strcmp(text + n - e, ending) == 0;
}

static record_format guess_format(const char *path) {
    if (ends_with(path, ".jsonl") || ends_with(path, ".json")) return RECORDS_JSONL;
    return ends_with(path, ".tsv") ? RECORDS_TSV : RECORDS_TEXT;
}

pofac_status record_reader_open(const char *path, const char *format, const diag_sink *sink, record_reader **out) {
    *out = NULL;
    record_reader *r = calloc(1, sizeof *r);
    if (!r) return diag_out_of_memory(sink);
    bool standard = strcmp(path, "-") == 0;
    r->name = standard ? "standard input" : path;
    r->format = !format                        ? guess_format(path)
                : strcmp(format, "jsonl") == 0 ? RECORDS_JSONL
                : strcmp(format, "tsv") == 0   ? RECORDS_TSV
                                               : RECORDS_TEXT;
    r->file = standard ? stdin : fopen(path, "re");
    if (r->file) {
        *out = r;
        return POFAC_OK;
    }
    pofac_status status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "cannot open: %s", strerror(errno));
    free(r);
    return status;
}

void record_reader_close(record_reader *r) {
    if (!r) return;
    if (r->file != stdin) fclose(r->file);
    free(r->line);
    free(r);
}

const char *record_reader_name(const record_reader *r) { return r->name; }

static pofac_status line_error(const record_reader *r, const diag_sink *sink, const char *message) {
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = r->name, .line = (uint32_t)r->number}, "%s", message);
}

static pofac_status take(arena *a, const char *text, size_t n, const diag_sink *sink, const char **out, size_t *out_bytes) {
    *out = arena_strndup(a, text, n);
    *out_bytes = n;
    return *out ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status split_columns(const record_reader *r, size_t n, arena *a, const diag_sink *sink, record *out) {
    size_t first = strcspn(r->line, "\t");
    TRY(take(a, r->line, first, sink, &out->text, &out->text_bytes));
    if (first == n) return POFAC_OK;
    const char *second = r->line + first + 1;
    return take(a, second, strcspn(second, "\t"), sink, &out->pair, &out->pair_bytes);
}

/* The string under the first of `keys` that the object has. */
static const json_t *find_key(const json_t *object, const char *const *keys) {
    for (; *keys; keys++) {
        const json_t *value = json_object_get(object, *keys);
        if (value) return value;
    }
    return NULL;
}

static pofac_status read_object(const record_reader *r, const json_t *object, arena *a, const diag_sink *sink, record *out) {
    static const char *const first[] = {"text", "sentence1", "premise", "question1", "question", "sentence", NULL};
    static const char *const second[] = {"text_pair", "sentence2", "hypothesis", "question2", "context", NULL};
    if (!json_is_object(object)) return line_error(r, sink, "found another JSON value, wanted an object");
    const json_t *text = find_key(object, first), *pair = find_key(object, second);
    if (!pair && json_object_get(object, "question")) pair = json_object_get(object, "sentence");
    if (!text)
        return line_error(r, sink, "found no text, wanted one of the keys text, sentence, sentence1, premise, question, question1");
    if (!json_is_string(text) || (pair && !json_is_string(pair))) return line_error(r, sink, "the text is not a string");
    TRY(take(a, json_string_value(text), json_string_length(text), sink, &out->text, &out->text_bytes));
    return pair ? take(a, json_string_value(pair), json_string_length(pair), sink, &out->pair, &out->pair_bytes) : POFAC_OK;
}

static pofac_status parse_object(const record_reader *r, size_t n, arena *a, const diag_sink *sink, record *out) {
    json_error_t error;
    json_t *object = json_loadb(r->line, n, JSON_REJECT_DUPLICATES, &error);
    if (!object) {
        const diag_place place = {
            .file = r->name, .line = (uint32_t)r->number, .column = error.column > 0 ? (uint32_t)error.column : 1};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "not JSON: %s", error.text);
    }
    pofac_status status = read_object(r, object, a, sink, out);
    json_decref(object);
    return status;
}

pofac_status record_reader_next(record_reader *r, arena *a, const diag_sink *sink, record *out, bool *found) {
    *found = false;
    *out = (record){0};
    for (;;) {
        errno = 0;
        ssize_t n = getline(&r->line, &r->capacity, r->file);
        if (n < 0 && errno == ENOMEM) return diag_out_of_memory(sink);
        if (n < 0 && ferror(r->file))
            return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = r->name}, "cannot read: %s", strerror(errno));
        if (n < 0) return POFAC_OK;
        r->number++;
        while (n > 0 && (r->line[n - 1] == '\n' || r->line[n - 1] == '\r')) r->line[--n] = 0;
        if (n == 0 && r->format != RECORDS_TEXT) continue;
        out->line = r->number;
        *found = true;
        if (memchr(r->line, 0, (size_t)n)) return line_error(r, sink, "found a NUL byte, wanted text");
        if (r->format == RECORDS_JSONL) return parse_object(r, (size_t)n, a, sink, out);
        if (r->format == RECORDS_TSV) return split_columns(r, (size_t)n, a, sink, out);
        return take(a, r->line, (size_t)n, sink, &out->text, &out->text_bytes);
    }
}
