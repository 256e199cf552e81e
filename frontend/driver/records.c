/* Reading records line by line, or question by question; see records.h. Memory grows with the longest line or article, not with the file. */
#include "frontend/driver/records.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/json_text.h"
#include "ir/support/text_ends.h"

struct record_reader {
    line_reader *lines; /* one of the three is not NULL */
    squad_reader *squad;
    const record *given; /* [n_given] */
    size_t n_given, next;
    record_format format;
};

static record_format guess_format(const char *path) {
    if (text_ends_with(path, ".jsonl") || text_ends_with(path, ".json")) return RECORDS_JSONL;
    return text_ends_with(path, ".tsv") ? RECORDS_TSV : RECORDS_TEXT;
}

pofac_status record_reader_open(const char *path, const char *format, const diag_sink *sink, record_reader **out) {
    *out = NULL;
    record_reader *r = calloc(1, sizeof *r);
    if (!r) return diag_out_of_memory(sink);
    r->format = !format                        ? guess_format(path)
                : strcmp(format, "jsonl") == 0 ? RECORDS_JSONL
                : strcmp(format, "tsv") == 0   ? RECORDS_TSV
                : strcmp(format, "squad") == 0 ? RECORDS_SQUAD
                                               : RECORDS_TEXT;
    pofac_status status = r->format == RECORDS_SQUAD ? squad_reader_open(path, SQUAD_BAD_ROWS_FAIL, sink, &r->squad)
                                                     : line_reader_open(path, sink, &r->lines);
    if (status == POFAC_OK) *out = r;
    else free(r);
    return status;
}

pofac_status record_reader_of(const record *records, size_t n, const diag_sink *sink, record_reader **out) {
    *out = calloc(1, sizeof **out);
    if (!*out) return diag_out_of_memory(sink);
    **out = (record_reader){.given = records, .n_given = n};
    return POFAC_OK;
}

void record_reader_close(record_reader *r) {
    if (!r) return;
    line_reader_close(r->lines);
    squad_reader_close(r->squad);
    free(r);
}

void record_reader_watch(record_reader *r, interruption *stop) {
    if (r->lines) line_reader_watch(r->lines, stop);
}

bool record_reader_is_ready(record_reader *r) { return !r->lines || line_reader_is_ready(r->lines); }

const char *record_reader_name(const record_reader *r) {
    if (!r->squad && !r->lines) return "texts";
    return r->squad ? inflated_file_name(squad_reader_file(r->squad)) : line_reader_name(r->lines);
}

uint64_t record_reader_bytes(const record_reader *r) {
    if (!r->squad && !r->lines) return r->next;
    return r->squad ? inflated_file_position(squad_reader_file(r->squad)) : line_reader_bytes(r->lines);
}

int64_t record_reader_total_bytes(const record_reader *r) {
    if (!r->squad && !r->lines) return (int64_t)r->n_given;
    return r->squad ? inflated_file_total_bytes(squad_reader_file(r->squad)) : line_reader_total_bytes(r->lines);
}

diag_place record_reader_place(const record_reader *r, const record *at, arena *a) {
    if (!r->squad && !r->lines) return (diag_place){.file = arena_printf(a, "text %llu", (unsigned long long)at->line)};
    const char *name = record_reader_name(r), *with_id = at->id ? arena_printf(a, "%s: question %s", name, at->id) : NULL;
    return (diag_place){.file = with_id ? with_id : name, .line = (uint32_t)at->line};
}

POFAC_PRINTF(3, 4)
static pofac_status line_error(const record_reader *r, const diag_sink *sink, const char *format, ...) {
    strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    const diag_place place = {.file = line_reader_name(r->lines), .line = (uint32_t)line_reader_line(r->lines)};
    pofac_status status =
        strbuf_ok(&text) ? diag_error(sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&text)) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

static pofac_status take(arena *a, const char *text, size_t n, const diag_sink *sink, const char **out, size_t *out_bytes) {
    *out = arena_strndup(a, text, n);
    *out_bytes = n;
    return *out ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status split_columns(const char *line, size_t n, arena *a, const diag_sink *sink, record *out) {
    size_t first = strcspn(line, "\t");
    TRY(take(a, line, first, sink, &out->text, &out->text_bytes));
    if (first == n) return POFAC_OK;
    const char *second = line + first + 1;
    return take(a, second, strcspn(second, "\t"), sink, &out->pair, &out->pair_bytes);
}

/* The first of `keys` that the object has; null counts as absent. */
static const char *find_key(const json_t *object, const char *const *keys) {
    for (; *keys; keys++) {
        const json_t *value = json_object_get(object, *keys);
        if (value && !json_is_null(value)) return *keys;
    }
    return NULL;
}

static pofac_status take_string(const record_reader *r, const json_t *object, const char *key, arena *a, const diag_sink *sink,
                                const char **out, size_t *out_bytes) {
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value)) return take(a, json_string_value(value), json_string_length(value), sink, out, out_bytes);
    strbuf text = STRBUF_INIT;
    pofac_status status = line_error(r, sink, "%s: found %s, wanted a string", key, json_describe(value, &text));
    strbuf_free(&text);
    return status;
}

static pofac_status read_object(const record_reader *r, const json_t *object, arena *a, const diag_sink *sink, record *out) {
    static const char *const first[] = {"text", "sentence1", "premise", "question1", "question", "sentence", NULL};
    static const char *const second[] = {"text_pair", "sentence2", "hypothesis", "question2", "context", NULL};
    static const char *const beside_question[] = {"text_pair", "sentence2", "hypothesis", "question2", "context", "sentence", NULL};
    if (!json_is_object(object)) {
        strbuf text = STRBUF_INIT;
        pofac_status status = line_error(r, sink, "found %s, wanted an object", json_describe(object, &text));
        strbuf_free(&text);
        return status;
    }
    const char *text = find_key(object, first);
    if (!text)
        return line_error(r, sink, "found no text, wanted one of the keys text, sentence, sentence1, premise, question, question1");
    const char *pair = find_key(object, strcmp(text, "question") == 0 ? beside_question : second);
    TRY(take_string(r, object, text, a, sink, &out->text, &out->text_bytes));
    return pair ? take_string(r, object, pair, a, sink, &out->pair, &out->pair_bytes) : POFAC_OK;
}

static pofac_status parse_object(const record_reader *r, const char *line, size_t n, arena *a, const diag_sink *sink, record *out) {
    diag_moved moved = {sink, (uint32_t)(line_reader_line(r->lines) - 1)};
    const diag_sink said = diag_sink_moved(&moved);
    json_t *object;
    TRY(json_parse(line_reader_name(r->lines), NULL, line, n, &said, &object));
    pofac_status status = read_object(r, object, a, sink, out);
    json_decref(object);
    return status;
}

static pofac_status next_question(record_reader *r, arena *a, const diag_sink *sink, record *out, bool *found) {
    const squad_question *q;
    size_t id_bytes;
    TRY(squad_reader_next(r->squad, sink, &q));
    *found = q != NULL;
    if (!q) return POFAC_OK;
    TRY(take(a, q->question.text, q->question.bytes, sink, &out->text, &out->text_bytes));
    TRY(take(a, q->context.text, q->context.bytes, sink, &out->pair, &out->pair_bytes));
    return take(a, q->id.text, q->id.bytes, sink, &out->id, &id_bytes);
}

static pofac_status next_given(record_reader *r, record *out, bool *found) {
    *found = r->next < r->n_given;
    if (*found) {
        *out = r->given[r->next++];
        out->line = r->next;
    }
    return POFAC_OK;
}

static bool is_passed_over(const record_reader *r, const char *line, size_t n) {
    if (r->format == RECORDS_JSONL) return strspn(line, " \t") == n;
    return r->format == RECORDS_TSV && n == 0;
}

pofac_status record_reader_next(record_reader *r, arena *a, const diag_sink *sink, record *out, bool *found) {
    char *line;
    size_t n = 0;
    *found = false;
    *out = (record){0};
    if (r->squad) return next_question(r, a, sink, out, found);
    if (!r->lines) return next_given(r, out, found);
    do {
        TRY(line_reader_next(r->lines, sink, &line, &n));
    } while (line && is_passed_over(r, line, n));
    if (!line) return POFAC_OK;
    out->line = line_reader_line(r->lines);
    *found = true;
    if (memchr(line, 0, n)) return line_error(r, sink, "found a NUL byte, wanted text");
    if (r->format == RECORDS_JSONL) return parse_object(r, line, n, a, sink, out);
    if (r->format == RECORDS_TSV) return split_columns(line, n, a, sink, out);
    return take(a, line, n, sink, &out->text, &out->text_bytes);
}
