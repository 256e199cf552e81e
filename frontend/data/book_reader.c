/*
 * Books -> documents: a file is a book, whose title is the file's name (BookCorpusOpen: TITLE.epub.txt).
 *
 * Where blank lines stand between paragraphs and no line has more than 100 bytes, lines were broken to fit a page, as in Project
 * Gutenberg's texts: then the lines of a paragraph are joined. Otherwise a line is a paragraph.
 */
#include <string.h>
#include <strings.h>

#include "frontend/data/corpus_reader.h"

#define MAX_BROKEN_LINE_BYTES 100u /* texts are broken at 65 to 80 characters, some of which have several bytes */

static const char *const packings[] = {".gz", ".bz2", ".zst"};
static const char *const endings[] = {".txt", ".epub"};

/* n bytes of a name without `ending`. */
static size_t without(const char *name, size_t n, const char *ending) {
    const size_t n_ending = strlen(ending);
    if (n <= n_ending || strncasecmp(name + (n - n_ending), ending, n_ending) != 0) return n;
    return n - n_ending;
}

static size_t without_packing(const char *name) {
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof packings / sizeof packings[0]; i++)
        if (without(name, n, packings[i]) < n) return without(name, n, packings[i]);
    return n;
}

static bool recognises_book(const corpus_file *file, const char *head, size_t n) {
    (void)head, (void)n;
    const size_t n_name = without_packing(file->path);
    return file->from_directory && without(file->path, n_name, endings[0]) < n_name;
}

static size_t cut_nowhere(const char *bytes, size_t n, size_t from) {
    (void)bytes, (void)n, (void)from;
    return CORPUS_NO_CUT;
}

/* Whether lines were broken to fit a page. */
static bool has_broken_lines(const char *bytes, size_t n) {
    bool has_blank = false;
    for (size_t at = 0; at < n;) {
        const size_t end = line_end(bytes, n, at);
        if (end - at > MAX_BROKEN_LINE_BYTES) return false;
        has_blank |= line_is_blank(bytes + at, end - at);
        at = end + 1;
    }
    return has_blank;
}

/* The lines' text, with a paragraph for each or for those between blank lines. */
static void put_paragraphs(corpus_reading *r, const char *bytes, size_t n) {
    const bool joins = has_broken_lines(bytes, n);
    size_t open = 0; /* lines of the paragraph so far */
    for (size_t at = 0; at < n;) {
        const size_t end = line_end(bytes, n, at);
        const bool is_blank = line_is_blank(bytes + at, end - at);
        if (joins && open > 0 && !is_blank && r->text.size > 0) r->text.data[r->text.size - 1] = ' '; /* for its newline */
        reading_put_paragraph(r, bytes + at, end - at);
        open = is_blank ? 0 : open + 1;
        at = end + 1;
    }
}

static pofac_status read_book(corpus_reading *r) {
    const char *slash = strrchr(r->part->file->path, '/'), *name = slash ? slash + 1 : r->part->file->path;
    const size_t mark = byte_order_mark(r->part->bytes, r->part->n_bytes), n = r->part->n_bytes - mark;
    bool valid = false;
    if (!reading_fits(r, 0, n)) return POFAC_OK;
    TRY(reading_check_utf8(r, mark, n, &valid));
    if (!valid) return POFAC_OK;
    strbuf_clear(&r->text);
    put_paragraphs(r, r->part->bytes + mark, n);
    size_t n_title = without_packing(name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) n_title = without(name, n_title, endings[i]);
    return reading_give(r, name, n_title);
}

const corpus_reader corpus_reader_bookcorpus = {
    .recognises = recognises_book, .cut = cut_nowhere, .read = read_book, .file_is_document = true};
