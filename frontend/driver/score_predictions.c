/* Reading predictions of rows; see score_predictions.h. */
#include "frontend/driver/score_predictions.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/text_lines.h"
#include "ir/support/json_text.h"

typedef enum form { FORM_UNKNOWN, FORM_JSON, FORM_TSV, FORM_LINES } form;

void row_predictions_free(row_predictions *p) {
    arena_free(&p->memory);
    strmap_free(&p->by_row);
    VEC_FREE(&p->rows);
}

static diag_place place_of(const row_predictions *p, uint64_t line) {
    return (diag_place){.file = p->path, .line = (uint32_t)line};
}

/* `text` is copied. */
static pofac_status add(row_predictions *p, uint64_t row, const char *text, size_t n, uint64_t line, const diag_sink *sink) {
    const diag_place place = place_of(p, line);
    char key[24];
    bool inserted;
    const row_prediction prediction = {.text = arena_strndup(&p->memory, text, n), .line = line};
    const int n_key = snprintf(key, sizeof key, "%" PRIu64, row);
    if (!prediction.text || !strmap_put(&p->by_row, key, (size_t)n_key, p->rows.size, &inserted)) return diag_out_of_memory(sink);
    if (!inserted) return diag_error(sink, POFAC_ERR_INPUT, &place, "found a second prediction for row %s, wanted one", key);
    return VEC_PUSH(&p->rows, prediction) ? POFAC_OK : diag_out_of_memory(sink);
}

static bool read_row(const char *text, size_t n, uint64_t *out) {
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)text[i])) return false;
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    }
    return n > 0 && n < 18;
}

/* ---- forms ---- */

/* A value that is a label, a number, or a list of labels; false: it is none of these. */
static bool put_prediction(const json_t *value, strbuf *out) {
    if (json_is_string(value)) strbuf_puts(out, json_string_value(value));
    else if (json_is_integer(value)) strbuf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value)) json_put_real(json_real_value(value), out);
    else return false;
    return true;
}

static bool put_list(const json_t *list, strbuf *out) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        if (json_is_string(value) && strpbrk(json_string_value(value), " \t")) return false;
        if (i) strbuf_putc(out, ' ');
        if (!put_prediction(value, out)) return false;
    }
    return true;
}

static pofac_status take_object(row_predictions *p, const json_t *object, uint64_t row, uint64_t line, const diag_sink *sink) {
    static const char *const keys[] = {"label", "prediction", "labels", "tags", "predictions", "score"};
    const diag_place place = place_of(p, line);
    const json_t *index = json_object_get(object, "index"), *value = NULL;
    strbuf text = STRBUF_INIT;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !value; i++) value = json_object_get(object, keys[i]);
    pofac_status status;
    if (index && (!json_is_integer(index) || json_integer_value(index) < 0))
        status =
            diag_error(sink, POFAC_ERR_INPUT, &place, "index: found %s, wanted a whole number from 0", json_describe(index, &text));
    else if (!value || !(json_is_array(value) ? put_list(value, &text) : put_prediction(value, &text)))
        status = diag_error(
            sink, POFAC_ERR_INPUT, &place,
            "found no prediction, wanted a label or a number as label, prediction or score, or labels of words as labels, tags or "
            "predictions");
    else if (!strbuf_ok(&text)) status = diag_out_of_memory(sink);
    else status = add(p, index ? (uint64_t)json_integer_value(index) : row, strbuf_str(&text), text.size, line, sink);
    strbuf_free(&text);
    return status;
}

static pofac_status take_json(row_predictions *p, const char *text, size_t n, uint64_t line, const diag_sink *sink) {
    char part[40];
    json_t *object;
    snprintf(part, sizeof part, "line %" PRIu64, line);
    TRY(json_parse(p->path, part, text, n, sink, &object));
    pofac_status status = take_object(p, object, p->rows.size, line, sink);
    json_decref(object);
    return status;
}

static pofac_status take_columns(row_predictions *p, const char *text, size_t n, uint64_t line, const diag_sink *sink) {
    const diag_place place = place_of(p, line);
    const size_t first = strcspn(text, "\t");
    uint64_t row;
    const bool has_row = first < n && read_row(text, first, &row);
    if (!has_row && line == 1) return POFAC_OK; /* a header */
    if (!has_row)
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found no row's number before a tab, wanted INDEX and PREDICTION");
    return add(p, row, text + first + 1, strcspn(text + first + 1, "\t"), line, sink);
}

static form guess(const char *text, size_t n) {
    if (text[strspn(text, " \t")] == '{') return FORM_JSON;
    return memchr(text, '\t', n) ? FORM_TSV : FORM_LINES;
}

static pofac_status take_line(row_predictions *p, form f, const char *text, size_t n, uint64_t line, const diag_sink *sink) {
    const diag_place place = place_of(p, line);
    if (memchr(text, 0, n)) return diag_error(sink, POFAC_ERR_INPUT, &place, "found a NUL byte, wanted text");
    if (f == FORM_LINES) return add(p, p->rows.size, text, n, line, sink);
    if (strspn(text, " \t") == n) return POFAC_OK;
    return f == FORM_JSON ? take_json(p, text, n, line, sink) : take_columns(p, text, n, line, sink);
}

static pofac_status read_lines(text_lines *lines, const diag_sink *sink, row_predictions *out) {
    form f = FORM_UNKNOWN;
    for (;;) {
        char *text;
        size_t n;
        TRY(text_lines_next(lines, sink, &text, &n));
        if (!text) return POFAC_OK;
        if (f == FORM_UNKNOWN) f = guess(text, n);
        TRY(take_line(out, f, text, n, text_lines_line(lines), sink));
    }
}

pofac_status row_predictions_read(const char *path, const diag_sink *sink, row_predictions *out) {
    text_lines *lines;
    out->path = path;
    TRY(text_lines_open(path, sink, &lines));
    pofac_status status = read_lines(lines, sink, out);
    text_lines_close(lines);
    return status;
}

const row_prediction *row_predictions_take(row_predictions *p, uint64_t row) {
    char key[24];
    const int n = snprintf(key, sizeof key, "%" PRIu64, row);
    const strmap_entry *found = strmap_get(&p->by_row, key, (size_t)n);
    if (!found) return NULL;
    p->rows.data[found->value].used = true;
    return &p->rows.data[found->value];
}
