/* JSON lines -> documents: {"text": "...", "title": "..."}, an object a line; other members are passed over. Lines within the
 * text are paragraphs. Blank lines of the file are passed over. */
#include <jansson.h>
#include <string.h>

#include "frontend/data/corpus_reader.h"
#include "ir/support/json_text.h"

static bool recognises_json_lines(const corpus_file *file, const char *head, size_t n) {
    (void)file;
    size_t at = byte_order_mark(head, n);
    while (at < n && strchr(" \t\r\n", head[at])) at++;
    return at + 1 < n && head[at] == '{' && strchr(" \t\"}", head[at + 1]);
}

static size_t cut_behind_line(const char *bytes, size_t n, size_t from) {
    const size_t end = line_end(bytes, n, from);
    return end < n ? end + 1 : CORPUS_NO_CUT;
}

/* A message about a line becomes one about the file: with its line, and as damage. */
typedef struct line_messages {
    corpus_reading *r;
    size_t at; /* where the line begins */
    pofac_status status;
} line_messages;

static void take_message(void *user, const diag *d) {
    line_messages *m = user;
    if (d->status == POFAC_ERR_RUNTIME) { /* memory */
        if (m->r->sink) m->r->sink->emit(m->r->sink->user, d);
        m->status = d->status;
        return;
    }
    diag_place place = reading_place(m->r, m->at);
    place.column = place.line ? d->place.column : 0;
    m->status = reading_damage(m->r, &place, "%s", d->message);
}

static const char *string_of(const json_t *root, const char *key, size_t *n) {
    const json_t *value = json_object_get(root, key);
    *n = value && json_is_string(value) ? json_string_length(value) : 0;
    return json_is_string(value) ? json_string_value(value) : NULL;
}

static pofac_status take_text(corpus_reading *r, const json_t *root, size_t at) {
    size_t n = 0, n_title = 0;
    const char *text = string_of(root, "text", &n), *title = string_of(root, "title", &n_title);
    if (!text) {
        const json_t *value = json_is_object(root) ? json_object_get(root, "text") : root;
        const diag_place place = reading_place(r, at);
        const char *found = value ? json_describe(value, &r->text) : "an object without \"text\"";
        if (!strbuf_ok(&r->text)) return diag_out_of_memory(r->sink);
        return reading_damage(r, &place, "found %s, wanted an object with a string \"text\"", found);
    }
    strbuf_clear(&r->text);
    for (size_t line = 0; line < n;) {
        const size_t end = line_end(text, n, line);
        reading_put_paragraph(r, text + line, end - line);
        line = end + 1;
    }
    return reading_give(r, title ? title : "", n_title);
}

static pofac_status take_line(corpus_reading *r, size_t at, size_t n) {
    line_messages messages = {.r = r, .at = at, .status = POFAC_OK};
    const diag_sink sink = {take_message, &messages};
    json_t *root = NULL;
    bool valid = false;
    if (!reading_fits(r, at, n)) return POFAC_OK;
    TRY(reading_check_utf8(r, at, n, &valid));
    if (!valid) return POFAC_OK;
    if (json_parse(r->part->file->path, NULL, r->part->bytes + at, n, &sink, &root) != POFAC_OK) return messages.status;
    const pofac_status status = take_text(r, root, at);
    json_decref(root);
    return status;
}

static pofac_status read_json_lines(corpus_reading *r) {
    const char *bytes = r->part->bytes;
    const size_t n = r->part->n_bytes;
    for (size_t at = r->part->is_first ? byte_order_mark(bytes, n) : 0; at < n;) {
        const size_t end = line_end(bytes, n, at);
        if (!line_is_blank(bytes + at, end - at)) TRY(take_line(r, at, end - at));
        at = end + 1;
    }
    return POFAC_OK;
}

const corpus_reader corpus_reader_jsonl = {.recognises = recognises_json_lines, .cut = cut_behind_line, .read = read_json_lines};
