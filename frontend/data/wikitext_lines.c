/*
 * Writes a wikitext line by line. A paragraph is made of lines that follow each other; it ends at an empty line, a heading, a list, a
 * table, or a line that shows nothing. A line with nothing but a comment is no line. One that begins with a space is preformatted text
 * (code, numbers), which is dropped, unless it stands in an element that is a block.
 */
#include <string.h>

#include "frontend/data/prose_tidy.h"
#include "frontend/data/wikitext_writer.h"

static void end_paragraph(wikitext *w) { strbuf_putc(&w->raw, '\n'); }

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* Goes over the blanks and comments that a line begins with. */
static size_t skip_line_begin(wikitext *w, size_t at) {
    for (;;) {
        while (at < w->bytes && is_blank(w->text[at])) at++;
        const wikitext_span *span = at < w->bytes && w->text[at] == '<' ? wikitext_span_at(w, at, w->bytes) : NULL;
        if (!span || span->kind != SPAN_COMMENT) return at;
        w->comment = true;
        at = span->end;
    }
}

/* The end of the line, where brackets may hold newlines. */
static size_t skip_line(wikitext *w, size_t at) {
    const char *newline = memchr(w->text + at, '\n', w->bytes - at);
    size_t end = newline ? (size_t)(newline - w->text) : w->bytes;
    w->counts.visited += end - at;
    const wikitext_spans *s = &w->spans;
    for (; w->next_span < s->n_spans && s->spans[w->next_span].begin < end; w->next_span++) {
        const wikitext_span *span = &s->spans[w->next_span];
        if (span->kind == SPAN_UNMATCHED || span->begin < at) continue;
        if (span->kind == SPAN_TEMPLATE) wikitext_note_template(w, span);
        at = span->end;
        if (at <= end) continue;
        newline = memchr(w->text + at, '\n', w->bytes - at);
        end = newline ? (size_t)(newline - w->text) : w->bytes;
        w->counts.visited += end - at;
    }
    return end;
}

/* ---- quotes ---- */

/* Puts the apostrophe back that was read as the first quote of bold text, by the rule of MediaWiki's parser (doQuotes). */
static void finish_quotes(wikitext *w) {
    const writer_quotes q = w->quotes;
    w->quotes = (writer_quotes){0, 0, SIZE_MAX, SIZE_MAX, SIZE_MAX};
    if (q.n_italic % 2 == 0 || q.n_bold % 2 == 0) return;
    const size_t at = q.after_letter != SIZE_MAX ? q.after_letter : q.after_word != SIZE_MAX ? q.after_word : q.after_space;
    if (at == SIZE_MAX || at > w->raw.size) return;
    strbuf_putc(&w->raw, '\'');
    if (!strbuf_ok(&w->raw)) return;
    memmove(w->raw.data + at + 1, w->raw.data + at, w->raw.size - 1 - at);
    w->raw.data[at] = '\'';
    w->counts.visited += w->raw.size - at;
}

/* ---- headings ---- */

/* text[begin, end) without the blanks and comments that it ends with. */
static size_t trim_line(const char *text, size_t begin, size_t end) {
    for (;;) {
        while (end > begin && is_blank(text[end - 1])) end--;
        if (end - begin < 7 || memcmp(text + end - 3, "-->", 3) != 0) return end;
        size_t at = end - 7;
        while (at > begin && memcmp(text + at, "<!--", 4) != 0) at--;
        if (memcmp(text + at, "<!--", 4) != 0) return end;
        end = at;
    }
}

/* A line "== title ==" at text[begin]: the title's range and its level, which is 0 when the line is none. */
static unsigned read_heading(wikitext *w, size_t begin, size_t *title, size_t *title_end, size_t *line_end) {
    const char *newline = memchr(w->text + begin, '\n', w->bytes - begin);
    *line_end = newline ? (size_t)(newline - w->text) : w->bytes;
    w->counts.visited += *line_end - begin;
    const size_t end = trim_line(w->text, begin, *line_end);
    size_t level = 0;
    while (level < 6 && begin + 2 * level + 2 < end && w->text[begin + level] == '=' && w->text[end - 1 - level] == '=') level++;
    *title = begin + level;
    *title_end = end - level;
    return (unsigned)level;
}

/* Whether the title, as written from raw.data[begin] on, is one of wikitext_sections.def. */
static bool holds_no_prose(const wikitext *w, size_t begin) {
    static const char *const headings[] = {
#define SECTION(heading) heading,
#include "frontend/data/wikitext_sections.def"
#undef SECTION
    };
    char title[64];
    size_t n = 0;
    for (size_t i = begin; i < w->raw.size; i++) {
        char c = w->raw.data[i];
        if (c == PROSE_DROPPED || (c == ' ' && (n == 0 || title[n - 1] == ' '))) continue;
        if (n == sizeof title - 1) return false;
        title[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    while (n && (title[n - 1] == ' ' || title[n - 1] == ':')) n--;
    title[n] = 0;
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        if (strcmp(title, headings[i]) == 0) return true;
    return false;
}

static void write_heading(wikitext *w, unsigned level, size_t title, size_t title_end) {
    end_paragraph(w);
    const size_t raw = w->raw.size;
    while (title < title_end) { /* a title has no newline; brackets that hold one are cut by its end */
        title = wikitext_write_inline(w, title, title_end);
        title += title < title_end;
    }
    finish_quotes(w);
    const bool within_dropped = w->level && level > w->level, dropped = within_dropped || holds_no_prose(w, raw);
    if (!within_dropped) w->level = dropped ? level : 0;
    w->counts.sections++;
    w->n_blocks = 0;
    w->counts.dropped_sections += dropped;
    if ((dropped || !w->options.keep_headings) && w->raw.size > raw) w->raw.data[w->raw.size = raw] = 0;
    end_paragraph(w);
}

/* ---- lines ---- */

static bool is_visible(const wikitext *w, size_t raw) {
    for (size_t i = raw; i < w->raw.size; i++)
        if (w->raw.data[i] != PROSE_DROPPED && w->raw.data[i] != ' ' && w->raw.data[i] != '\n') return true;
    return false;
}

/* A line of text; returns its end. */
static size_t write_text_line(wikitext *w, size_t at) {
    const size_t raw = w->raw.size;
    at = wikitext_write_inline(w, at, w->bytes);
    finish_quotes(w);
    w->external = 0;
    if (is_visible(w, raw)) strbuf_putc(&w->raw, ' ');
    else if (!w->comment || w->raw.size > raw) end_paragraph(w);
    return at;
}

static bool is_list(char c) { return c == '*' || c == '#' || c == ':' || c == ';'; }

static size_t write_list_item(wikitext *w, size_t at) {
    end_paragraph(w);
    if (w->options.keep_lists) {
        while (at < w->bytes && (is_list(w->text[at]) || is_blank(w->text[at]))) at++;
        at = write_text_line(w, at);
    } else {
        at = skip_line(w, at);
    }
    end_paragraph(w);
    return at;
}

/* A row of a table whose beginning or end is missing. */
static bool is_table_row(const wikitext *w, size_t at) {
    const int next = at + 1 < w->bytes ? w->text[at + 1] : '\n';
    return w->text[at] == '|' || (w->text[at] == '!' && (next == ' ' || next == '!')) || (w->text[at] == '{' && next == '|');
}

/* Writes the line that begins at `at`; returns where it ends. */
static size_t write_line(wikitext *w, size_t at) {
    const bool preformatted = w->text[at] == ' ' && w->n_blocks == 0;
    size_t title, title_end, line_end;
    w->comment = false;
    at = skip_line_begin(w, at);
    if (at == w->bytes || w->text[at] == '\n') {
        if (!w->comment) end_paragraph(w);
        return at;
    }
    const unsigned level = w->text[at] == '=' ? read_heading(w, at, &title, &title_end, &line_end) : 0;
    if (level) {
        write_heading(w, level, title, title_end);
        return line_end;
    }
    if (w->level) return skip_line(w, at);
    if (is_list(w->text[at])) return write_list_item(w, at);
    if (preformatted || (!wikitext_span_at(w, at, w->bytes) && is_table_row(w, at))) {
        end_paragraph(w);
        return skip_line(w, at);
    }
    if (w->bytes - at >= 4 && memcmp(w->text + at, "----", 4) == 0) {
        end_paragraph(w);
        while (at < w->bytes && w->text[at] == '-') at++;
    }
    return write_text_line(w, at);
}

void wikitext_write_lines(wikitext *w) {
    finish_quotes(w);                                                /* clears them */
    for (size_t at = 0; at < w->bytes; at++) at = write_line(w, at); /* and over the newline */
}
