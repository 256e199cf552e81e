/* What all readers of parts share: documents out, damage, places, paragraphs, lines. See corpus_reader.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "frontend/data/corpus_reader.h"
#include "frontend/data/utf8_check.h"

#define MAX_WARNINGS 8u /* of a part; the counts have all of them */

pofac_status reading_give(corpus_reading *r, const char *title, size_t title_bytes) {
    if (!strbuf_ok(&r->text)) return diag_out_of_memory(r->sink);
    if (r->text.size == 0) {
        r->counts->without_text++;
        return POFAC_OK;
    }
    const corpus_document document = {title, title_bytes, strbuf_str(&r->text), r->text.size};
    TRY(r->take(r->context, &document));
    r->counts->documents++;
    r->counts->text_bytes += r->text.size;
    return POFAC_OK;
}

pofac_status reading_damage(corpus_reading *r, const diag_place *place, const char *format, ...) {
    strbuf message = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&message, format, args);
    va_end(args);
    pofac_status status = POFAC_OK;
    if (!strbuf_ok(&message)) {
        status = diag_out_of_memory(r->sink);
    } else if (!r->part->skip_damage) {
        status = diag_error(r->sink, POFAC_ERR_INPUT, place, "%s", strbuf_str(&message));
    } else {
        r->counts->damages++;
        reading_warning(r, place, "%s", strbuf_str(&message));
    }
    strbuf_free(&message);
    return status;
}

void reading_warning(corpus_reading *r, const diag_place *place, const char *format, ...) {
    if (r->n_warnings++ >= MAX_WARNINGS) return;
    char message[400]; /* room for a title, which has up to 255 bytes */
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    diag_warning(r->sink, place, "%s", message);
}

static uint64_t count_newlines(const char *bytes, size_t n) {
    uint64_t count = 0;
    for (size_t i = 0; i < n; i++) count += bytes[i] == '\n';
    return count;
}

diag_place reading_place(const corpus_reading *r, size_t at) {
    const uint64_t line = r->part->line + count_newlines(r->part->bytes, at);
    return (diag_place){.file = r->part->file->path, .line = line < UINT32_MAX ? (uint32_t)line : 0};
}

bool reading_fits(corpus_reading *r, size_t at, size_t n_bytes) {
    if (n_bytes <= r->part->max_document_bytes) return true;
    r->counts->too_large++;
    const diag_place place = reading_place(r, at);
    reading_warning(r, &place, "found a document of more than %zu bytes, which is skipped", r->part->max_document_bytes);
    return false;
}

pofac_status reading_check_utf8(corpus_reading *r, size_t at, size_t n, bool *valid) {
    const char *bytes = r->part->bytes + at;
    const size_t good = utf8_valid_bytes(bytes, n);
    *valid = good == n;
    if (*valid) return POFAC_OK;
    diag_place place = reading_place(r, at + good);
    const char *before = memrchr(bytes, '\n', good);
    const size_t column = good - (before ? (size_t)(before - bytes) + 1 : 0) + 1;
    place.column = place.line > 0 && column < UINT32_MAX ? (uint32_t)column : 0;
    return reading_damage(r, &place, "found the byte 0x%02X, wanted UTF-8", (unsigned char)bytes[good]);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'; }

void reading_put_paragraph(corpus_reading *r, const char *line, size_t n) {
    while (n > 0 && is_blank(line[n - 1])) n--;
    while (n > 0 && is_blank(*line)) line++, n--;
    if (n == 0) return;
    strbuf_append(&r->text, line, n);
    strbuf_putc(&r->text, '\n');
}

size_t line_end(const char *bytes, size_t n, size_t at) {
    const char *newline = at < n ? memchr(bytes + at, '\n', n - at) : NULL;
    return newline ? (size_t)(newline - bytes) : n;
}

bool line_is_blank(const char *line, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!is_blank(line[i])) return false;
    return true;
}

size_t byte_order_mark(const char *bytes, size_t n) { return n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; }
