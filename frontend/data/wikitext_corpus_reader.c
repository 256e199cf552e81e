/*
 * WikiText-2 and WikiText-103 -> documents. An article begins with a line " = Title = " between blank lines; headings of its
 * sections, " = = Section = = ", go; every other line is a paragraph, detokenized (detokenize.h).
 */
#include <string.h>

#include "frontend/data/corpus_reader.h"
#include "frontend/data/detokenize.h"

/* The line without blanks around it. */
static const char *trimmed(const char *line, size_t *n) {
    while (*n > 0 && strchr(" \t\r", line[*n - 1])) --*n;
    while (*n > 0 && strchr(" \t", *line)) line++, --*n;
    return line;
}

/* "= = Section = =", any level. */
static bool is_heading(const char *line, size_t n) {
    line = trimmed(line, &n);
    return n >= 5 && memcmp(line, "= ", 2) == 0 && memcmp(line + (n - 2), " =", 2) == 0;
}

/* "= Title =" */
static bool is_title(const char *line, size_t n) {
    if (!is_heading(line, n)) return false;
    line = trimmed(line, &n);
    return line[2] != '=' && line[n - 3] != '=';
}

/* Whether an article begins with the line [at, end): it is a title, with blank lines or nothing around it. */
static bool begins_article(const char *bytes, size_t n, size_t at, size_t end) {
    if (!is_title(bytes + at, end - at)) return false;
    if (at > 0) {
        const char *before = memrchr(bytes, '\n', at - 1);
        const size_t begin = before ? (size_t)(before - bytes) + 1 : 0;
        if (!line_is_blank(bytes + begin, at - 1 - begin)) return false;
    }
    return end >= n || line_is_blank(bytes + end + 1, line_end(bytes, n, end + 1) - end - 1);
}

static bool recognises_wikitext(const corpus_file *file, const char *head, size_t n) {
    (void)file;
    size_t at = byte_order_mark(head, n);
    while (at < n) {
        const size_t end = line_end(head, n, at);
        if (end < n && !line_is_blank(head + at, end - at)) return begins_article(head, n, at, end);
        at = end + 1;
    }
    return false;
}

/* Where an article begins at `from` or behind it. */
static size_t cut_before_article(const char *bytes, size_t n, size_t from) {
    size_t at = from;
    if (at > 0 && at < n && bytes[at - 1] != '\n') at = line_end(bytes, n, at) + 1;
    while (at < n) {
        const size_t end = line_end(bytes, n, at);
        if (end + 1 < n && line_end(bytes, n, end + 1) < n && begins_article(bytes, n, at, end))
            return at; /* the next line is whole */
        at = end + 1;
    }
    return CORPUS_NO_CUT;
}

/* The article of [begin, end), whose first line may be its title. */
static pofac_status take_article(corpus_reading *r, size_t begin, size_t end, strbuf *title) {
    const char *bytes = r->part->bytes;
    bool valid = false;
    if (line_is_blank(bytes + begin, end - begin) || !reading_fits(r, begin, end - begin)) return POFAC_OK;
    TRY(reading_check_utf8(r, begin, end - begin, &valid));
    if (!valid) return POFAC_OK;
    strbuf_clear(&r->text);
    strbuf_clear(title);
    for (size_t at = begin; at < end;) {
        const size_t stop = line_end(bytes, end, at);
        size_t n = stop - at;
        const char *line = trimmed(bytes + at, &n);
        if (at == begin && is_title(line, n)) {
            detokenize_line(line + 2, n - 4, title);
        } else if (n > 0 && !is_heading(line, n)) {
            const size_t before = r->text.size;
            detokenize_line(line, n, &r->text);
            if (r->text.size > before) strbuf_putc(&r->text, '\n');
        }
        at = stop + 1;
    }
    if (!strbuf_ok(title)) return diag_out_of_memory(r->sink);
    return reading_give(r, strbuf_str(title), title->size);
}

static pofac_status read_articles(corpus_reading *r, strbuf *title) {
    const char *bytes = r->part->bytes;
    const size_t n = r->part->n_bytes;
    size_t at = r->part->is_first ? byte_order_mark(bytes, n) : 0, begin = at;
    while (at < n) {
        const size_t end = line_end(bytes, n, at);
        if (at > begin && begins_article(bytes, n, at, end)) {
            TRY(take_article(r, begin, at, title));
            begin = at;
        }
        at = end + 1;
    }
    return take_article(r, begin, n, title);
}

static pofac_status read_wikitext(corpus_reading *r) {
    strbuf title = STRBUF_INIT;
    const pofac_status status = read_articles(r, &title);
    strbuf_free(&title);
    return status;
}

const corpus_reader corpus_reader_wikitext = {.recognises = recognises_wikitext, .cut = cut_before_article, .read = read_wikitext};
