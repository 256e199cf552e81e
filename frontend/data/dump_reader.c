/*
 * Pages of MediaWiki dumps (pages-articles) -> articles as prose.
 *
 * A page is found by its tags (dump_scan.h), parsed by itself (dump_page.h), so that broken XML costs one page, and its wikitext
 * becomes prose (wikitext.h). Articles are the pages of namespace 0 that neither lead elsewhere nor list what their title may
 * mean.
 *
 * A part of a bzip2 dump is a range of the file, cut anywhere. It has the blocks that begin in its range, and the pages that
 * begin in those blocks; the last page may need the next blocks too, which are then decompressed twice. In Wikipedia's
 * multistream dumps pages end with streams, so this is rare there; in one long stream it is about half a block for each part. The
 * part that has the last block looks whether the dump is whole.
 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "frontend/data/bz2_blocks.h"
#include "frontend/data/corpus_reader.h"
#include "frontend/data/dump_page.h"
#include "frontend/data/dump_scan.h"
#include "frontend/data/wikitext.h"

#define ROOT_END "</mediawiki>"

enum { TAIL_BYTES = 64 }; /* of the dump, in which its last tag is looked for */

typedef struct dump_reading {
    corpus_reading *r;
    dump_page_parser *parser; /* NULL before the first page, as is `prose`: a small part has none */
    wikitext *prose;
} dump_reading;

/* ---- what a dump begins with, and where it may be cut ---- */

static bool skip(const char **at, const char *end, const char *begin, const char *close) {
    const size_t n = strlen(begin);
    if ((size_t)(end - *at) < n || memcmp(*at, begin, n) != 0) return false;
    const char *found = memmem(*at, (size_t)(end - *at), close, strlen(close));
    *at = found ? found + strlen(close) : end;
    return true;
}

static bool recognises_dump(const corpus_file *file, const char *head, size_t n) {
    static const char root[] = "<mediawiki";
    if (n == 0) return strstr(file->path, ".xml") != NULL;
    const char *at = head + byte_order_mark(head, n), *end = head + n;
    for (;;) {
        while (at < end && strchr(" \t\r\n", *at)) at++;
        if (!skip(&at, end, "<?", "?>") && !skip(&at, end, "<!--", "-->")) break;
    }
    return (size_t)(end - at) >= sizeof root - 1 && memcmp(at, root, sizeof root - 1) == 0;
}

static size_t cut_before_page(const char *bytes, size_t n, size_t from) {
    const size_t found = dump_find_page(bytes, n, from);
    return found < n ? found : CORPUS_NO_CUT;
}

/* ---- pages ---- */

/* Old dumps have no <ns>: then the title's prefix tells, in English. */
static bool has_namespace_prefix(const char *title) {
    static const char *const names[] = {"Media",    "Special", "User",      "Wikipedia", "Project", "File",
                                        "Image",    "Module",  "MediaWiki", "Template",  "Help",    "Portal",
                                        "Category", "Book",    "Draft",     "TimedText", "WP"};
    const char *colon = strchr(title, ':');
    if (!colon) return false;
    size_t n = (size_t)(colon - title);
    if (n == 4 && strncasecmp(title, "Talk", 4) == 0) return true;
    if (n > 5 && strncasecmp(colon - 5, " talk", 5) == 0) n -= 5;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == n && strncasecmp(title, names[i], n) == 0) return true;
    return false;
}

static bool is_article(const dump_page *page) {
    const char *ns = strbuf_str(&page->ns);
    if (page->ns.size == 0) return !has_namespace_prefix(strbuf_str(&page->title));
    return strcmp(ns + strspn(ns, " \t\r\n"), "0") == 0;
}

static bool is_called_disambiguation(const dump_page *page) {
    static const char ending[] = " (disambiguation)";
    const size_t n = sizeof ending - 1;
    return page->title.size > n && memcmp(page->title.data + (page->title.size - n), ending, n) == 0;
}

static void warn_of_page(corpus_reading *r, const dump_page *page, const char *reason) {
    const diag_place place = {.file = r->part->file->path};
    if (page && page->title.size)
        reading_warning(r, &place, "found a broken page, \"%s\", which is skipped: %s", strbuf_str(&page->title), reason);
    else reading_warning(r, &place, "found a broken page, which is skipped: %s", reason);
}

static pofac_status take_article(dump_reading *d, const dump_page *page) {
    corpus_reading *r = d->r;
    wikitext_counts found = {0};
    if (is_called_disambiguation(page)) {
        r->counts->disambiguations++;
        return POFAC_OK;
    }
    strbuf_clear(&r->text);
    TRY(wikitext_to_prose(d->prose, strbuf_str(&page->text), page->text.size, r->sink, &r->text, &found));
    if (found.redirects) r->counts->redirects++;
    else if (found.disambiguations) r->counts->disambiguations++;
    else return reading_give(r, strbuf_str(&page->title), page->title.size);
    return POFAC_OK;
}

static void too_large(corpus_reading *r) {
    const diag_place place = {.file = r->part->file->path};
    r->counts->too_large++;
    reading_warning(r, &place, "found a page of more than %zu bytes, which is skipped", r->part->max_document_bytes);
}

/* A page; `is_closed`: with its end tag. */
static pofac_status take_page(dump_reading *d, const char *xml, size_t n, bool is_closed) {
    corpus_reading *r = d->r;
    const dump_page *page = NULL;
    const char *reason = "its end is missing";
    r->counts->pages++;
    if (n > r->part->max_document_bytes) {
        too_large(r);
        return POFAC_OK;
    }
    if (!d->parser) TRY(dump_page_parser_create(r->sink, &d->parser));
    if (!d->prose) TRY(wikitext_create(NULL, r->sink, &d->prose));
    if (is_closed) TRY(dump_page_parse(d->parser, xml, n, r->sink, &page, &reason));
    if (reason) {
        r->counts->corrupt_pages++;
        warn_of_page(r, page, reason);
    } else if (page->redirects) { /* of any namespace */
        r->counts->redirects++;
    } else if (!is_article(page)) {
        r->counts->other_namespaces++;
    } else {
        return take_article(d, page);
    }
    return POFAC_OK;
}

static bool ends_with_root(const char *tail, size_t n) {
    const size_t n_tag = sizeof ROOT_END - 1;
    while (n > 0 && strchr(" \t\r\n", tail[n - 1])) n--;
    return n >= n_tag && memcmp(tail + (n - n_tag), ROOT_END, n_tag) == 0;
}

static pofac_status check_end(corpus_reading *r, const char *tail, size_t n) {
    const diag_place place = {.file = r->part->file->path};
    if (ends_with_root(tail, n)) return POFAC_OK;
    return reading_damage(r, &place, "found the end of the dump without %s, wanted it whole: the file is cut short", ROOT_END);
}

/* ---- bytes of whole pages ---- */

static pofac_status read_pages(dump_reading *d) {
    const corpus_part *part = d->r->part;
    dump_scan scan = {0, DUMP_NO_PAGE, DUMP_NO_PAGE};
    size_t begin = 0, end = 0;
    dump_event event;
    while ((event = dump_scan_next(&scan, part->bytes, part->n_bytes, &begin, &end)) <= DUMP_UNCLOSED)
        TRY(take_page(d, part->bytes + begin, end - begin, event == DUMP_PAGE));
    if (scan.begin != DUMP_NO_PAGE) TRY(take_page(d, part->bytes + scan.begin, part->n_bytes - scan.begin, false));
    return part->is_last ? check_end(d->r, part->bytes, part->n_bytes) : POFAC_OK;
}

/* ---- blocks of a bzip2 file ---- */

typedef struct block_reading {
    dump_reading *d;
    bz2_file file;
    uint64_t from;   /* the bit from which the next mark is looked for */
    strbuf bytes;    /* decompressed, from the page that is open on */
    dump_scan scan;  /* of `bytes` */
    size_t n_blocks; /* of the part, decompressed */
    uint64_t first;  /* the bit of the first one's mark */
    char tail[TAIL_BYTES];
    size_t n_tail;
    bool is_damaged; /* the last block that was looked at */
} block_reading;

static void remember_tail(block_reading *b, const char *bytes, size_t n) {
    if (n >= TAIL_BYTES) {
        memcpy(b->tail, bytes + (n - TAIL_BYTES), TAIL_BYTES);
        b->n_tail = TAIL_BYTES;
        return;
    }
    const size_t keep = b->n_tail + n > TAIL_BYTES ? TAIL_BYTES - n : b->n_tail;
    memmove(b->tail, b->tail + (b->n_tail - keep), keep);
    if (n > 0) memcpy(b->tail + keep, bytes, n);
    b->n_tail = keep + n;
}

/* Drops what is in front of the page that is open, or everything that was seen. */
static void drop_seen(block_reading *b) {
    const size_t n = b->scan.begin != DUMP_NO_PAGE ? b->scan.begin : b->scan.at;
    if (n == 0) return;
    memmove(b->bytes.data, b->bytes.data + n, b->bytes.size - n);
    b->bytes.size -= n;
    b->scan.at -= n;
    if (b->scan.begin != DUMP_NO_PAGE) b->scan.begin = 0;
    if (b->scan.limit != DUMP_NO_PAGE) b->scan.limit = b->scan.limit > n ? b->scan.limit - n : 0;
}

/* The page that is open cannot be read; a message about the block that is damaged says so. */
static void lose_page(block_reading *b) {
    if (b->scan.begin == DUMP_NO_PAGE) return;
    b->d->r->counts->pages++;
    b->d->r->counts->corrupt_pages++;
    b->scan.begin = DUMP_NO_PAGE;
}

/* Takes the pages that end in `bytes`; *stops when no more of the part's pages can. */
static pofac_status take_pages(block_reading *b, bool *stops) {
    size_t begin = 0, end = 0;
    dump_event event;
    while ((event = dump_scan_next(&b->scan, b->bytes.data, b->bytes.size, &begin, &end)) <= DUMP_UNCLOSED)
        TRY(take_page(b->d, b->bytes.data + begin, end - begin, event == DUMP_PAGE));
    *stops = event == DUMP_STOP;
    if (b->scan.begin != DUMP_NO_PAGE && b->bytes.size - b->scan.begin > b->d->r->part->max_document_bytes) {
        b->d->r->counts->pages++;
        too_large(b->d->r);
        b->scan.begin = DUMP_NO_PAGE;
    }
    drop_seen(b);
    return POFAC_OK;
}

static pofac_status report_block(block_reading *b, uint64_t bit, bz2_block_state state) {
    corpus_reading *r = b->d->r;
    const diag_place place = {.file = r->part->file->path};
    if (state == BZ2_BLOCK_CUT || (state == BZ2_BLOCK_NO_END && b->from >= (uint64_t)b->file.n * 8))
        return reading_damage(
            r, &place, "found the end of the file within the bzip2 block at byte %" PRIu64 ", wanted the whole file", bit / 8);
    if (state == BZ2_BLOCK_NO_END)
        return reading_damage(r, &place, "found damaged bzip2 data behind the block at byte %" PRIu64 ", wanted another block",
                              bit / 8);
    return reading_damage(r, &place, "found a damaged bzip2 block at byte %" PRIu64 ", wanted one that fits its checksum", bit / 8);
}

/* Behind the mark at a stream's end, where the next stream's first mark may stand. */
static uint64_t behind_stream(uint64_t bit) { return (bit + BZ2_END_BITS + 7) / 8 * 8; }

/* A block of the part. */
static pofac_status take_block(block_reading *b, uint64_t bit) {
    const size_t before = b->bytes.size;
    bz2_block_state state = BZ2_BLOCK_DAMAGED;
    bool stops = false, is_false = false;
    TRY(bz2_block_decode(&b->file, bit, b->d->r->sink, &b->bytes, &b->from, &state));
    b->is_damaged = state != BZ2_BLOCK_WHOLE;
    if (state == BZ2_BLOCK_WHOLE || state == BZ2_BLOCK_NO_END) {
        if (b->n_blocks++ == 0) b->first = bit;
        b->d->r->counts->bytes += b->bytes.size - before;
        remember_tail(b, b->bytes.data + before, b->bytes.size - before);
        TRY(take_pages(b, &stops));
    } else if (b->n_blocks == 0) {
        TRY(bz2_mark_is_false(&b->file, bit, b->d->r->sink, &is_false));
    }
    if (!b->is_damaged || is_false) return POFAC_OK;
    lose_page(b);
    b->scan.at = b->bytes.size;
    drop_seen(b);
    return report_block(b, bit, state);
}

/* The blocks that begin in the part's range. */
static pofac_status take_blocks(block_reading *b) {
    const corpus_part *part = b->d->r->part;
    const uint64_t to = (uint64_t)part->end * 8;
    bz2_mark mark = {0, false};
    b->from = (uint64_t)part->begin * 8;
    const bool has_any = bz2_next_mark(&b->file, b->from, (uint64_t)b->file.n * 8, &mark);
    if (part->is_first && (!has_any || mark.bit != 32)) /* behind BZh9 */
        TRY(reading_damage(b->d->r, &(diag_place){.file = part->file->path},
                           "found no bzip2 block at byte 4, wanted the first one"));
    while (bz2_next_mark(&b->file, b->from, to, &mark)) {
        if (mark.is_block) {
            TRY(take_block(b, mark.bit));
            continue;
        }
        b->from = behind_stream(mark.bit);
        if (b->from <= (uint64_t)b->file.n * 8) continue;
        b->is_damaged = true;
        TRY(reading_damage(b->d->r, &(diag_place){.file = part->file->path},
                           "found the end of the file within the end of a bzip2 stream, wanted the whole file"));
    }
    return POFAC_OK;
}

/* The next block mark anywhere behind; false when there is none. */
static bool find_block(const block_reading *b, bz2_mark *out) {
    for (uint64_t from = b->from; bz2_next_mark(&b->file, from, (uint64_t)b->file.n * 8, out); from = behind_stream(out->bit))
        if (out->is_block) return true;
    return false;
}

/* Decompresses on until the part's last page is whole. */
static pofac_status finish_page(block_reading *b) {
    bool stops = false;
    b->scan.limit = b->bytes.size;
    while (!stops) {
        const bool may_begin = dump_may_begin_page(b->bytes.data + b->scan.at, b->bytes.size - b->scan.at);
        if (b->scan.begin == DUMP_NO_PAGE && (b->scan.at >= b->scan.limit || !may_begin)) break;
        bz2_mark mark;
        bz2_block_state state = BZ2_BLOCK_DAMAGED;
        if (find_block(b, &mark)) TRY(bz2_block_decode(&b->file, mark.bit, b->d->r->sink, &b->bytes, &b->from, &state));
        if (state == BZ2_BLOCK_DAMAGED || state == BZ2_BLOCK_CUT) {
            lose_page(b);
            break;
        }
        TRY(take_pages(b, &stops));
    }
    return POFAC_OK;
}

/* Where the part's blocks are shorter than the last tag: what stands before them. */
static pofac_status lengthen_tail(block_reading *b, uint64_t first) {
    strbuf bytes = STRBUF_INIT;
    bz2_mark mark = {first, true};
    bz2_block_state state = BZ2_BLOCK_WHOLE;
    pofac_status status = POFAC_OK;
    while (status == POFAC_OK && state == BZ2_BLOCK_WHOLE && b->n_tail < TAIL_BYTES &&
           bz2_previous_mark(&b->file, mark.bit, &mark)) {
        uint64_t end = 0;
        if (!mark.is_block) continue;
        strbuf_clear(&bytes);
        status = bz2_block_decode(&b->file, mark.bit, b->d->r->sink, &bytes, &end, &state);
        strbuf_append(&bytes, b->tail, b->n_tail);
        if (status == POFAC_OK && !strbuf_ok(&bytes)) status = diag_out_of_memory(b->d->r->sink);
        if (status == POFAC_OK) remember_tail(b, bytes.data, bytes.size);
    }
    strbuf_free(&bytes);
    return status;
}

static pofac_status read_ranges(block_reading *b) {
    bz2_mark mark;
    TRY(take_blocks(b));
    if (b->n_blocks == 0) return POFAC_OK;
    const bool has_last = !b->is_damaged && !find_block(b, &mark);
    TRY(finish_page(b));
    if (!has_last) return POFAC_OK;
    TRY(lengthen_tail(b, b->first));
    return check_end(b->d->r, b->tail, b->n_tail);
}

static pofac_status read_blocks(dump_reading *d) {
    block_reading b = {.d = d, .bytes = STRBUF_INIT, .scan = {0, DUMP_NO_PAGE, DUMP_NO_PAGE}};
    bz2_file_init(d->r->part->file->map.data, d->r->part->file->map.size_bytes, &b.file);
    const pofac_status status = read_ranges(&b);
    strbuf_free(&b.bytes);
    return status;
}

/* ---- parts ---- */

static pofac_status with_parser(corpus_reading *r, pofac_status (*read)(dump_reading *d)) {
    dump_reading d = {.r = r};
    const pofac_status status = read(&d);
    wikitext_destroy(d.prose);
    dump_page_parser_destroy(d.parser);
    return status;
}

static pofac_status read_dump(corpus_reading *r) { return with_parser(r, read_pages); }

static pofac_status read_bz2_dump(corpus_reading *r) { return with_parser(r, read_blocks); }

const corpus_reader corpus_reader_wikipedia = {.recognises = recognises_dump,
                                               .wanted = "<mediawiki",
                                               .cut = cut_before_page,
                                               .read = read_dump,
                                               .read_bz2 = read_bz2_dump,
                                               .may_be_cut = true};
