/*
 * Plain text -> documents: a line is a paragraph, a blank line ends a document. Ends of lines may be LF or CRLF, a byte order
 * mark at the file's beginning is passed over.
 */
#include "frontend/data/corpus_reader.h"

static bool recognises_text(const corpus_file *file, const char *head, size_t n) {
    (void)file, (void)head, (void)n;
    return true;
}

/* Behind the first blank line that begins at `from` or later. */
static size_t cut_behind_blank_line(const char *bytes, size_t n, size_t from) {
    size_t at = from;
    if (at > 0 && at < n && bytes[at - 1] != '\n') at = line_end(bytes, n, at) + 1;
    while (at < n) {
        const size_t end = line_end(bytes, n, at);
        if (end == n) break;
        if (line_is_blank(bytes + at, end - at)) return end + 1;
        at = end + 1;
    }
    return CORPUS_NO_CUT;
}

/* The lines of [begin, end) as paragraphs of one document. */
static pofac_status take_document(corpus_reading *r, size_t begin, size_t end) {
    const char *bytes = r->part->bytes;
    bool valid = false;
    if (begin == end || !reading_fits(r, begin, end - begin)) return POFAC_OK;
    TRY(reading_check_utf8(r, begin, end - begin, &valid));
    if (!valid) return POFAC_OK;
    strbuf_clear(&r->text);
    for (size_t at = begin; at < end;) {
        const size_t stop = line_end(bytes, end, at);
        reading_put_paragraph(r, bytes + at, stop - at);
        at = stop + 1;
    }
    return reading_give(r, "", 0);
}

static pofac_status read_text(corpus_reading *r) {
    const char *bytes = r->part->bytes;
    const size_t n = r->part->n_bytes;
    size_t at = r->part->is_first ? byte_order_mark(bytes, n) : 0, begin = at;
    while (at < n) {
        const size_t end = line_end(bytes, n, at), next = end < n ? end + 1 : n;
        if (line_is_blank(bytes + at, end - at)) {
            TRY(take_document(r, begin, at));
            begin = next;
        }
        at = next;
    }
    return take_document(r, begin, n);
}

const corpus_reader corpus_reader_text = {.recognises = recognises_text, .cut = cut_behind_blank_line, .read = read_text};
