/*
 * Dumps made on the spot: pages of all kinds, packed in every way, cut into parts of any size, read by any number of threads, damaged
 * everywhere; and the real excerpt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/resource.h>

#include "tests/unit/data/corpus_case.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

#define HEAD "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.10/\" version=\"0.10\" xml:lang=\"en\">\n  <siteinfo/>\n"
#define TAIL "</mediawiki>\n"

static const char *const words[] = {"river", "old",   "stone", "under", "walks",    "the",   "a",     "bright", "slowly", "house",
                                    "of",    "green", "and",   "seven", "mountain", "which", "north", "sings",  "light",  "first"};

#define N_WORDS (sizeof words / sizeof words[0])

/* A dump, and what must come of it. */
typedef struct made_dump {
    strbuf xml, documents;
    corpus_counts counts;
    size_t head_bytes;
} made_dump;

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Paragraphs, and the same as expect_corpus shows them. */
static void put_prose(strbuf *xml, strbuf *documents, uint32_t *seed) {
    const unsigned n_paragraphs = 1 + next_random(seed) % 5;
    for (unsigned p = 0; p < n_paragraphs; p++) {
        strbuf text = STRBUF_INIT;
        const unsigned n = 5 + next_random(seed) % 120;
        strbuf_puts(&text, "The");
        for (unsigned i = 0; i < n; i++)
            strbuf_printf(&text, " %s%u", words[next_random(seed) % N_WORDS], next_random(seed) % 1000);
        strbuf_printf(xml, "%s &lt;b&gt;A &amp;amp; B&lt;/b&gt;.\n\n", strbuf_str(&text));
        if (documents) strbuf_printf(documents, "%s A & B.|", strbuf_str(&text));
        strbuf_free(&text);
    }
    if (documents) strbuf_putc(documents, '\n');
}

static void put_page_begin(strbuf *xml, const char *title, int ns, const char *more) {
    strbuf_printf(xml, "  <page>\n    <title>%s</title>\n    <ns>%d</ns>\n%s    <revision>\n      <text xml:space=\"preserve\">",
                  title, ns, more);
}

static void put_page_end(strbuf *xml) { strbuf_puts(xml, "</text>\n    </revision>\n  </page>\n"); }

static made_dump make_dump(unsigned n_pages) {
    made_dump d = {.xml = STRBUF_INIT, .documents = STRBUF_INIT};
    uint32_t seed = n_pages;
    strbuf_puts(&d.xml, HEAD);
    d.head_bytes = d.xml.size;
    for (unsigned i = 0; i < n_pages; i++) {
        char title[64];
        snprintf(title, sizeof title, "Page %u%s", i, i % 11 == 5 ? " (disambiguation)" : "");
        d.counts.pages++;
        put_page_begin(&d.xml, title, i % 13 == 3 ? 4 : 0, i % 7 == 2 ? "    <redirect title=\"Page 0\" />\n" : "");
        if (i % 7 == 2) d.counts.redirects++;
        else if (i % 13 == 3) d.counts.other_namespaces++;
        else if (i % 11 == 5 || i % 17 == 1) d.counts.disambiguations++;
        else if (i % 19 == 0) d.counts.redirects++;
        else if (i % 23 == 10) d.counts.without_text++;
        else d.counts.documents++;
        const bool is_document = i % 7 != 2 && i % 13 != 3 && i % 11 != 5 && i % 17 != 1 && i % 19 != 0 && i % 23 != 10;
        if (i % 17 == 1) strbuf_puts(&d.xml, "{{disambiguation}}\n");
        else if (i % 19 == 0) strbuf_puts(&d.xml, "#REDIRECT [[Page 1]]\n");
        if (is_document) strbuf_printf(&d.documents, "%s|", title);
        if (i % 23 != 10 || i % 7 == 2) put_prose(&d.xml, is_document ? &d.documents : NULL, &seed);
        put_page_end(&d.xml);
    }
    strbuf_puts(&d.xml, TAIL);
    assert_true(strbuf_ok(&d.xml) && strbuf_ok(&d.documents));
    return d;
}

static void free_dump(made_dump *d) {
    strbuf_free(&d->xml);
    strbuf_free(&d->documents);
}

/* As Wikipedia's multistream dumps: the head, then some pages each, then the tail, are streams of their own. */
static strbuf multistream(const made_dump *d) {
    strbuf out = STRBUF_INIT;
    const char *xml = d->xml.data, *end = xml + (d->xml.size - strlen(TAIL));
    for (const char *from = xml, *to = xml + d->head_bytes; from < xml + d->xml.size; from = to) {
        if (from > xml && from < end) {
            for (int i = 0; i < 10 && to < end; i++) to = strstr(to, "</page>\n") + strlen("</page>\n");
        } else if (from == end) {
            to = xml + d->xml.size;
        }
        strbuf stream = packed(COMPRESSION_BZIP2, from, (size_t)(to - from), 0);
        strbuf_append(&out, stream.data, stream.size);
        strbuf_free(&stream);
        if (to == xml + d->xml.size) break;
    }
    assert_true(strbuf_ok(&out));
    return out;
}

static void expect_dump(void **state, const char *name, const strbuf *file, const corpus_options *options, const made_dump *d) {
    put_corpus_file(state, name, file->data, file->size);
    expect_corpus(state, name, options, POFAC_OK, strbuf_str(&d->documents), "", d->counts);
}

/* ---- whole dumps ---- */

static void a_dump_has_its_articles_in_every_form(void **state) {
    static const size_t sizes[] = {0, 500, 5000, 77777};
    made_dump d = make_dump(300);
    assert_true(d.xml.size > 300000); /* several blocks of bzip2 */
    strbuf forms[] = {
        packed(COMPRESSION_NONE, d.xml.data, d.xml.size, 0),      packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, 0),
        packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, 30000), multistream(&d),
        packed(COMPRESSION_ZSTD, d.xml.data, d.xml.size, 0),      packed(COMPRESSION_ZSTD, d.xml.data, d.xml.size, 9999),
        packed(COMPRESSION_GZIP, d.xml.data, d.xml.size, 0)};
    static const char *const names[] = {"d.xml",     "one.xml.bz2",    "many.xml.bz2", "multistream.xml.bz2",
                                        "d.xml.zst", "frames.xml.zst", "d.xml.gz"};
    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            const corpus_options options = {.part_bytes = sizes[i]};
            expect_dump(state, names[f], &forms[f], &options, &d);
        }
        strbuf_free(&forms[f]);
    }
    free_dump(&d);
}

/* Streams end in the middle of tags: every page tag is once cut at every byte. */
static void tags_may_be_cut_by_streams(void **state) {
    made_dump d = make_dump(12);
    for (size_t n = 97; n < 97 + 7; n++) {
        strbuf file = packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, n);
        for (size_t part = 40; part < 200; part += 31)
            expect_dump(state, "cut.xml.bz2", &file, &(corpus_options){.part_bytes = part}, &d);
        strbuf_free(&file);
    }
    free_dump(&d);
}

/* The mark of a block within a block: the map of the byte values in use has the same bits. */
static void a_mark_by_chance_ends_no_block(void **state) {
    static const char letters[] =
        "\x82\x83\x87\x89\x8f\x91\x93\x94\x97\x9a\x9d\x9e\xa1\xa3\xa6\xa7\xa9\xab\xac\xaf"; /* 0x3141 5926 5359 */
    made_dump d = {.xml = STRBUF_INIT, .documents = STRBUF_INIT};
    uint32_t seed = 1;
    strbuf_puts(&d.xml, HEAD);
    for (unsigned i = 0; i < 40; i++) {
        char title[16];
        snprintf(title, sizeof title, "P%u", i);
        put_page_begin(&d.xml, title, 0, "");
        strbuf_printf(&d.documents, "%s|", title);
        for (unsigned k = 0; k < 3000; k++) {
            const char letter[3] = {'\xc3', letters[k < sizeof letters - 1 ? k : next_random(&seed) % (sizeof letters - 1)], 0};
            strbuf_puts(&d.xml, letter);
            strbuf_puts(&d.documents, letter);
        }
        strbuf_puts(&d.documents, "|\n");
        put_page_end(&d.xml);
        d.counts.pages++;
        d.counts.documents++;
    }
    strbuf_puts(&d.xml, TAIL);
    strbuf file = packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, 0);
    assert_true(d.xml.size > 200000);
    size_t marks = 0;
    for (uint64_t bit = 0; bit + 48 <= (uint64_t)file.size * 8; bit++) {
        uint64_t found = 0;
        for (unsigned i = 0; i < 48; i++)
            found = found << 1 | (((unsigned char)file.data[(bit + i) / 8] >> (7 - (bit + i) % 8)) & 1);
        marks += found == UINT64_C(0x314159265359);
    }
    assert_true(marks >= 6); /* at least three blocks, each with a mark within */
    for (size_t part = 10; part < file.size; part = part * 3 / 2)
        expect_dump(state, "chance.xml.bz2", &file, &(corpus_options){.part_bytes = part}, &d);
    strbuf_free(&file);
    free_dump(&d);
}

/* ---- threads ---- */

enum { N_THREADS = 4, MAX_PARTS = 4000 };

typedef struct job {
    corpus_part *parts[MAX_PARTS];
    strbuf documents[MAX_PARTS];
    corpus_counts counts[MAX_PARTS];
    size_t n, first, step;
} job;

static pofac_status take_title(void *context, const corpus_document *document) {
    strbuf_append(context, document->title, document->title_bytes);
    strbuf_append(context, document->text, document->text_bytes);
    return POFAC_OK;
}

typedef struct worker {
    job *job;
    size_t first;
    pofac_status status;
} worker;

/* Every N_THREADS-th part, from the last to the first. */
static void *read_parts(void *user) {
    worker *w = user;
    for (size_t i = w->job->n; i-- > 0;) {
        if (i % N_THREADS != w->first) continue;
        const pofac_status status = corpus_part_read(w->job->parts[i], take_title, &w->job->documents[i], NULL, &w->job->counts[i]);
        if (status != POFAC_OK) w->status = status;
        corpus_part_destroy(w->job->parts[i]);
    }
    return NULL;
}

static strbuf read_by_threads(void **state, const char *name, size_t part_bytes, corpus_counts *counts) {
    const char *path = corpus_path_of(state, name);
    job *j = calloc(1, sizeof *j);
    corpus *c = NULL;
    assert_non_null(j);
    assert_int_equal(corpus_open(&path, 1, &(corpus_options){.part_bytes = part_bytes}, NULL, &c), POFAC_OK);
    while (j->n < MAX_PARTS && corpus_next_part(c, NULL, &j->parts[j->n]) == POFAC_OK && j->parts[j->n]) j->n++;
    corpus_close(c);
    assert_true(j->n > N_THREADS && j->n < MAX_PARTS);
    pthread_t threads[N_THREADS];
    worker workers[N_THREADS];
    for (size_t t = 0; t < N_THREADS; t++) {
        workers[t] = (worker){j, t, POFAC_OK};
        assert_int_equal(pthread_create(&threads[t], NULL, read_parts, &workers[t]), 0);
    }
    strbuf all = STRBUF_INIT;
    for (size_t t = 0; t < N_THREADS; t++) {
        assert_int_equal(pthread_join(threads[t], NULL), 0);
        assert_int_equal(workers[t].status, POFAC_OK);
    }
    for (size_t i = 0; i < j->n; i++) {
        strbuf_append(&all, strbuf_str(&j->documents[i]), j->documents[i].size);
        strbuf_free(&j->documents[i]);
        corpus_counts_add(counts, &j->counts[i]);
    }
    free(j);
    return all;
}

static void threads_change_nothing(void **state) {
    made_dump d = make_dump(200);
    strbuf zipped = packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, 0);
    corpus_counts plain_counts = {0}, zipped_counts = {0};
    put_corpus_file(state, "t.xml", d.xml.data, d.xml.size);
    put_corpus_file(state, "t.xml.bz2", zipped.data, zipped.size);
    strbuf plain = read_by_threads(state, "t.xml", 10000, &plain_counts);
    strbuf unzipped = read_by_threads(state, "t.xml.bz2", 3000, &zipped_counts);
    assert_string_equal(strbuf_str(&plain), strbuf_str(&unzipped));
    assert_memory_equal(&plain_counts, &zipped_counts, sizeof plain_counts);
    assert_int_equal(plain_counts.documents, d.counts.documents);
    assert_int_equal(plain_counts.bytes, d.xml.size);
    strbuf_free(&plain);
    strbuf_free(&unzipped);
    strbuf_free(&zipped);
    free_dump(&d);
}

/* ---- pages ---- */

static void put_dump(void **state, const char *name, const char *pages) {
    strbuf xml = STRBUF_INIT;
    strbuf_printf(&xml, "%s%s%s", HEAD, pages, TAIL);
    put_corpus_file(state, name, xml.data, xml.size);
    strbuf_free(&xml);
}

#define GOOD(title) "<page><title>" title "</title><ns>0</ns><revision><text>Some text.</text></revision></page>\n"

static void broken_pages_are_skipped_and_counted(void **state) {
    static const struct {
        const char *page, *said;
    } cases[] = {
        {"<page><title>B</title><ns>0</ns><revision><text>a</txt></revision></page>",
         "d.xml: warning: found a broken page, \"B\", which is skipped: line 1 of it: Opening and ending tag mismatch: text line 1 "
         "and txt\n"},
        {"<page><title>B</title><revision><text>a &nbsp; b</text></revision></page>",
         "d.xml: warning: found a broken page, \"B\", which is skipped: line 1 of it: Entity 'nbsp' not defined\n"},
        {"<page><title>B</title><revision><text>no end",
         "d.xml: warning: found a broken page, which is skipped: its end is missing\n"},
        {"<page><title>B</title><revision><text>\xff</text></revision></page>",
         "d.xml: warning: found a broken page, \"B\", which is skipped: line 1 of it: Input is not proper UTF-8, indicate encoding "
         "!\n"},
        {"<page><!DOCTYPE a [<!ENTITY b \"c\">]><title>&b;</title></page>",
         "d.xml: warning: found a broken page, which is skipped: line 1 of it: StartTag: invalid element name\n"},
        {"<page></page", "d.xml: warning: found a broken page, which is skipped: its end is missing\n"},
        {"<page>\x01</page>", "d.xml: warning: found a broken page, which is skipped: line 1 of it: PCDATA invalid Char value 1\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strbuf pages = STRBUF_INIT;
        strbuf_printf(&pages, "%s%s%s", GOOD("A"), cases[i].page, GOOD("C"));
        put_dump(state, "d.xml", strbuf_str(&pages));
        expect_corpus(state, "d.xml", NULL, POFAC_OK, "A|Some text.|\nC|Some text.|\n", cases[i].said,
                      (corpus_counts){.pages = 3, .corrupt_pages = 1, .documents = 2});
        strbuf_free(&pages);
    }
}

static void pages_of_every_kind_are_told_apart(void **state) {
    static const char pages[] =
        "<page><title>A</title><ns>0</ns><revision><text>One.</text></revision><revision><text>Two.</text></revision></page>"
        "<page><title>Talk:B</title><revision><text>Old dump.</text></revision></page>"
        "<page><title>User talk:B</title><revision><text>Old dump.</text></revision></page>"
        "<page><title>B: the B</title><revision><text><![CDATA[Old <i>dump</i>.]]></text></revision></page>"
        "<page><title>C</title><ns>0</ns><revision><text xml:space=\"preserve\" /></revision></page>"
        "<page><title>D</title><ns>0</ns><revision><text>{{hndis|D}}</text></revision></page>"
        "<page><title>E</title><ns>0</ns><revision><text> #redirect [[A]]</text></revision></page>"
        "<page><title>F</title><ns>10</ns><redirect title=\"A\"/><revision><text>x</text></revision></page>"
        "<page><title>G (disambiguation)</title><ns>0</ns><revision><text>x</text></revision></page>"
        "<page ><title>H &amp; "
        "H</title><ns>0</ns><revision><contributor><text>no</text></contributor><text>Yes.</text></revision></page>"
        "<page><title>I</title><ns>0</ns><revision><text>&#x43;af&#233;</text></revision></page>";
    put_dump(state, "kinds.xml", pages);
    expect_corpus(state, "kinds.xml", NULL, POFAC_OK, "A|Two.|\nB: the B|Old dump.|\nH & H|Yes.|\nI|Caf\xc3\xa9|\n", "",
                  (corpus_counts){
                      .pages = 11, .documents = 4, .redirects = 2, .disambiguations = 2, .other_namespaces = 2, .without_text = 1});
}

static void a_file_that_is_no_dump_is_refused(void **state) {
    const corpus_options dump = {.kind = "wikipedia"};
    put_corpus_text(state, "no.xml", "<html>\n</html>");
    expect_corpus(state, "no.xml", &dump, POFAC_ERR_INPUT, "",
                  "no.xml: error: found \"<html>\\n</html>\" at the beginning, wanted <mediawiki\n", (corpus_counts){0});
    put_corpus_text(state, "entities.xml", "<!DOCTYPE a [<!ENTITY b \"c\">]>" HEAD TAIL);
    expect_corpus(
        state, "entities.xml", &dump, POFAC_ERR_INPUT, "",
        "entities.xml: error: found \"<!DOCTYPE a [<!ENTITY b \\\"c\\\">]><mediawiki\" at the beginning, wanted <mediawiki\n",
        (corpus_counts){0});
    put_corpus_text(state, "ok.xml", "\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- a dump -->\n" HEAD GOOD("A") TAIL);
    expect_corpus(state, "ok.xml", NULL, POFAC_OK, "A|Some text.|\n", "", (corpus_counts){.pages = 1, .documents = 1});
}

/* ---- size ---- */

static long most_memory_kib(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static strbuf make_long_page(size_t n) {
    static const char line[] = "A line of sixty-four bytes which is repeated until the page is full";
    strbuf xml = STRBUF_INIT;
    strbuf_puts(&xml, HEAD GOOD("A"));
    put_page_begin(&xml, "Long", 0, "");
    while (xml.size < n) strbuf_append(&xml, line, sizeof line - 1);
    put_page_end(&xml);
    strbuf_puts(&xml, GOOD("C") TAIL);
    assert_true(strbuf_ok(&xml));
    return xml;
}

static void expect_little_memory(void **state, const char *name, compression form, size_t n) {
    strbuf xml = make_long_page(n), file = packed(form, xml.data, xml.size, 0);
    put_corpus_file(state, name, file.data, file.size);
    strbuf_free(&file);
    strbuf_free(&xml);
    const corpus_options options = {.max_document_bytes = 1 << 20};
    char said[200];
    snprintf(said, sizeof said, "%s: warning: found a page of more than 1048576 bytes, which is skipped\n", name);
    FILE *clear = fopen("/proc/self/clear_refs", "w"); /* 5: the most memory is that in use now */
    if (clear) fputs("5", clear), fclose(clear);
    const long before = most_memory_kib();
    expect_corpus(state, name, &options, POFAC_OK, "A|Some text.|\nC|Some text.|\n", said,
                  (corpus_counts){.pages = 3, .too_large = 1, .documents = 2});
    if (most_memory_kib() - before > 40 << 10)
        fail_msg("%s: %ld KiB more, wanted at most 40 MiB", name, most_memory_kib() - before);
}

static void a_page_of_100_mb_is_skipped_in_little_memory(void **state) {
    expect_little_memory(state, "long.xml.zst", COMPRESSION_ZSTD, (size_t)100 << 20);
    expect_little_memory(state, "long.xml.bz2", COMPRESSION_BZIP2, (size_t)8 << 20); /* compressing takes long */
}

/* ---- damage ---- */

static bool begins_with(const strbuf *text, const strbuf *beginning) {
    return beginning->size <= text->size && (!beginning->size || memcmp(text->data, beginning->data, beginning->size) == 0);
}

/* Each line of `some` stands in `all`, in the same order. */
static bool has_lines(const char *all, const char *some) {
    while (*some) {
        const size_t n = strcspn(some, "\n") + 1;
        const char *found = all;
        while (*found && strncmp(found, some, n) != 0) found += strcspn(found, "\n") + 1;
        if (!*found) return false;
        all = found + n;
        some += n;
    }
    return true;
}

/* A damaged file: an error behind a beginning of the documents, or none at all where `may_be_unseen`; with skip_damage a part of the
 * documents, in order. True when the damage was seen. */
static bool expect_damage(void **state, const char *name, const strbuf *file, size_t part_bytes, const made_dump *d,
                          const char *where) {
    const corpus_options stop = {.part_bytes = part_bytes, .kind = "wikipedia"};
    const corpus_options skip = {.part_bytes = part_bytes, .kind = "wikipedia", .skip_damage = true};
    put_corpus_file(state, name, file->data, file->size);
    corpus_outcome strict = read_corpus(state, name, &stop), lenient = read_corpus(state, name, &skip);
    const bool seen = strict.status != POFAC_OK;
    if (!begins_with(&d->documents, &strict.documents)) fail_msg("%s: documents are not the first ones of the dump", where);
    if (seen != (strstr(strbuf_str(&strict.messages), "error: ") != NULL))
        fail_msg("%s: found %s", where, strbuf_str(&strict.messages));
    if (seen) assert_int_equal(strict.status, POFAC_ERR_INPUT);
    if (!seen && strict.documents.size != d->documents.size) fail_msg("%s: documents are missing, and no error", where);
    if (lenient.status != POFAC_OK) fail_msg("%s: found %s", where, strbuf_str(&lenient.messages));
    if (!has_lines(strbuf_str(&d->documents), strbuf_str(&lenient.documents)))
        fail_msg("%s: found a document of damaged bytes", where);
    if (lenient.documents.size < strict.documents.size) fail_msg("%s: fewer documents with skip_damage", where);
    if (seen != (lenient.counts.damages > 0)) fail_msg("%s: found %d damages", where, (int)lenient.counts.damages);
    outcome_free(&strict);
    outcome_free(&lenient);
    return seen;
}

static void a_dump_that_is_cut_is_an_error(void **state) {
    made_dump d = make_dump(120);
    strbuf files[] = {packed(COMPRESSION_NONE, d.xml.data, d.xml.size, 0), packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, 0),
                      packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, 20000),
                      packed(COMPRESSION_ZSTD, d.xml.data, d.xml.size, 20000), packed(COMPRESSION_GZIP, d.xml.data, d.xml.size, 0)};
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        for (size_t i = 1; i < 20; i++) {
            char where[64];
            const strbuf cut = {.data = files[f].data, .size = files[f].size * i / 20 + (i == 1 ? 0 : i)};
            snprintf(where, sizeof where, "form %zu cut at %zu of %zu", f, cut.size, files[f].size);
            if (cut.size < 20 || (f == 0 && cut.size < 200)) continue;
            if (!expect_damage(state, "cut.xml", &cut, 4000 * (i % 3), &d, where)) fail_msg("%s: not seen", where);
        }
        strbuf_free(&files[f]);
    }
    put_corpus_file(state, "cut.xml", d.xml.data, d.xml.size - 20);
    corpus_outcome o = read_corpus(state, "cut.xml", NULL);
    assert_non_null(
        strstr(strbuf_str(&o.messages),
               "cut.xml: error: found the end of the dump without </mediawiki>, wanted it whole: the file is cut short\n"));
    outcome_free(&o);
    free_dump(&d);
}

static void a_flipped_bit_costs_no_more_than_its_blocks(void **state) {
    made_dump d = make_dump(250);
    strbuf file = packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, 0);
    size_t seen = 0, n = 0;
    for (size_t at = 0; at < file.size; at += file.size / 70 + 1, n++) {
        char where[64];
        snprintf(where, sizeof where, "bit %zu of byte %zu flipped", n % 8, at);
        file.data[at] = (char)(file.data[at] ^ 1 << n % 8);
        if (at < 3 || at >= file.size - 14) { /* BZh, and the stream's end: not looked at */
            file.data[at] = (char)(file.data[at] ^ 1 << n % 8);
            continue;
        }
        seen += expect_damage(state, "flip.xml.bz2", &file, n % 2 ? 5000 : 0, &d, where);
        file.data[at] = (char)(file.data[at] ^ 1 << n % 8);
    }
    assert_true(seen + 4 >= n); /* all, but for bits that nothing depends on */
    strbuf_free(&file);
    free_dump(&d);
}

static void damage_has_a_place(void **state) {
    made_dump d = make_dump(250);
    strbuf file = packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, 0);
    file.data[100] = (char)(file.data[100] ^ 4);
    put_corpus_file(state, "place.xml.bz2", file.data, file.size);
    corpus_outcome o = read_corpus(state, "place.xml.bz2", &(corpus_options){.kind = "wikipedia"});
    assert_string_equal(strbuf_str(&o.messages),
                        "place.xml.bz2: error: found a damaged bzip2 block at byte 4, wanted one that fits its checksum\n");
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    assert_int_equal(o.documents.size, 0);
    outcome_free(&o);
    o = read_corpus(state, "place.xml.bz2", &(corpus_options){.skip_damage = true});
    assert_string_equal(strbuf_str(&o.messages),
                        "place.xml.bz2: warning: found a damaged bzip2 block at byte 4, wanted one that fits its checksum\n");
    assert_int_equal(o.counts.damages, 1);
    assert_true(o.counts.documents > 50); /* of the other blocks */
    outcome_free(&o);
    strbuf_free(&file);
    free_dump(&d);
}

/* ---- failing calls ---- */

static void failing_allocations_are_reported(void **state) {
    made_dump d = make_dump(9);
    static const compression forms[] = {COMPRESSION_NONE, COMPRESSION_BZIP2, COMPRESSION_ZSTD};
    for (size_t f = 0; f < 3; f++) {
        strbuf file = packed(forms[f], d.xml.data, d.xml.size, 0);
        put_corpus_file(state, "alloc.xml", file.data, file.size);
        strbuf_free(&file);
        for (size_t n = 1;; n++) {
            const char *path = corpus_path_of(state, "alloc.xml");
            strbuf documents = {.failed = true}; /* takes nothing, allocates nothing */
            corpus *c = NULL;
            corpus_part *part = NULL;
            corpus_counts counts = {0};
            fail_alloc_after(n);
            pofac_status status = corpus_open(&path, 1, &(corpus_options){.part_bytes = 2000}, NULL, &c);
            while (status == POFAC_OK) {
                status = corpus_next_part(c, NULL, &part);
                if (status != POFAC_OK || !part) break;
                status = corpus_part_read(part, take_title, &documents, NULL, &counts);
                corpus_part_destroy(part);
            }
            corpus_close(c);
            const bool failed = fail_alloc_stop();
            if (!failed) assert_int_equal(status, POFAC_OK);
            /* libxml2 can do without some of its allocations */
            if (status != POFAC_ERR_RUNTIME && (status != POFAC_OK || counts.documents != d.counts.documents))
                fail_msg("form %zu, allocation %zu: found status %d and %d documents", f, n, status, (int)counts.documents);
            if (!failed) break;
        }
    }
    free_dump(&d);
}

static void failing_reads_are_reported(void **state) {
    made_dump d = make_dump(5);
    strbuf file = packed(COMPRESSION_BZIP2, d.xml.data, d.xml.size, 0);
    put_corpus_file(state, "read.xml.bz2", file.data, file.size);
    for (size_t n = 1;; n++) {
        fail_read_after(n);
        corpus_outcome o = read_corpus(state, "read.xml.bz2", NULL);
        const bool failed = fail_read_stop();
        assert_int_equal(o.status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        outcome_free(&o);
        if (!failed) break;
    }
    strbuf_free(&file);
    free_dump(&d);
}

/* ---- the real excerpt ---- */

static void the_excerpt_has_its_pages(void **state) {
    const char *shared = getenv("POFAC_SHARED");
    (void)state;
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char path[512];
    snprintf(path, sizeof path, "%s/data/wikipedia/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2", shared);
    const char *paths[] = {path};
    for (size_t part_bytes = 0; part_bytes < 400000; part_bytes += 150000) {
        corpus *c = NULL;
        corpus_part *part = NULL;
        corpus_counts counts = {0};
        strbuf documents = STRBUF_INIT;
        assert_int_equal(corpus_open(paths, 1, &(corpus_options){.part_bytes = part_bytes}, NULL, &c), POFAC_OK);
        while (corpus_next_part(c, NULL, &part) == POFAC_OK && part) {
            assert_int_equal(corpus_part_read(part, take_title, &documents, NULL, &counts), POFAC_OK);
            corpus_part_destroy(part);
        }
        corpus_close(c);
        assert_int_equal(counts.bytes, 6089746);
        assert_int_equal(counts.pages, 206);
        assert_int_equal(counts.redirects, 100);
        assert_int_equal(counts.corrupt_pages + counts.too_large + counts.damages, 0);
        assert_int_equal(counts.other_namespaces + counts.disambiguations + counts.without_text + counts.documents, 106);
        assert_true(counts.documents >= 95);
        assert_true(counts.text_bytes > 2000000);
        strbuf_free(&documents);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_has_its_articles_in_every_form),
        cmocka_unit_test(tags_may_be_cut_by_streams),
        cmocka_unit_test(a_mark_by_chance_ends_no_block),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(broken_pages_are_skipped_and_counted),
        cmocka_unit_test(pages_of_every_kind_are_told_apart),
        cmocka_unit_test(a_file_that_is_no_dump_is_refused),
        cmocka_unit_test(a_page_of_100_mb_is_skipped_in_little_memory),
        cmocka_unit_test(a_dump_that_is_cut_is_an_error),
        cmocka_unit_test(a_flipped_bit_costs_no_more_than_its_blocks),
        cmocka_unit_test(damage_has_a_place),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(failing_reads_are_reported),
        cmocka_unit_test(the_excerpt_has_its_pages),
    };
    return cmocka_run_group_tests(tests, corpus_set_up, corpus_tear_down);
}
