/*
 * Articles of a real dump: their first paragraphs, read by eye against the wikitext, and their numbers of headings. The paragraphs
 * themselves are not part of this program: what is kept of each is its length, its hash, and its first and last words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/data/decompress.h"
#include "frontend/data/html_entities.h"
#include "frontend/data/wikitext.h"
#include "ir/support/file_map.h"
#include "ir/support/hash.h"

typedef struct article {
    const char *title;
    uint64_t sections;
    size_t bytes;  /* of the first paragraph */
    uint64_t hash; /* hash_bytes of it */
    const char *first_words, *last_words;
} article;

static const article articles[] = {
    {"Aardvark", 19, 724, 0x0113552D6F508CFA, "The aardvark (Orycteropus", "to be decreasing."},
    {"Abraham Lincoln", 38, 443, 0xF14E0B928867B94B, "Abraham Lincoln (February", "modernized the economy."},
    {"Achilles", 23, 262, 0x9F3250A9CE4B9328, "In Greek mythology,", "of the Myrmidons."},
    {"Acid", 24, 794, 0x058B60EBA1AC91F4, "An acid (from", "to be acidic."},
    {"Actrius", 8, 284, 0x06B1AB157C1FB852, "Actresses (Catalan: Actrius)", "produced in 1996."},
    {"Aikido", 21, 408, 0xDF6F627131C3C356, "Aikido (合気道, Aikidō)", "attacker from injury."},
    {"Alabama", 50, 385, 0xBE47492733FADF36, "Alabama is a", "in the nation."},
    {"Albania", 47, 562, 0x2A85B143D95F564F, "Albania (Albanian: Shqipëri/Shqipëria;", "the Ionian Sea."},
    {"Albedo", 21, 185, 0x6FE3174FBC71C7D0, "Albedo or reflection", "of a surface."},
    {"Albert Einstein", 55, 645, 0x5F116B64C0AF2903, "Albert Einstein (14", "of quantum theory."},
    {"Algeria", 41, 777, 0xC8E9D2B88AEEF5D3, "Algeria (Arabic: الجزائر", "President since 1999."},
    {"Alkane", 40, 705, 0x4A69C975874EE50F, "In organic chemistry,", "and natural gas."},
    {"Allah", 15, 291, 0x0989858403FD7203, "Allah (Arabic: الله", "Elohim in Hebrew."},
    {"Ampere", 13, 285, 0x31813B2F8A3E08EB, "The ampere (SI", "father of electrodynamics."},
    {"Anarchism", 28, 539, 0x67200FC9C6B95F10, "Anarchism is a", "the state system."},
    {"Andre Agassi", 29, 748, 0x8A2A736B0B863C96, "Andre Kirk Agassi", "during the 1990s."},
    {"Animal Farm", 23, 930, 0x2F1E432792C8AB35, "Animal Farm is", "into one whole\"."},
    {"Apollo", 47, 688, 0xA161920E1443B98F, "Apollo (Attic, Ionic,", "mythology as Apulu."},
    {"Aristotle", 45, 964, 0xBBDF13F0C2926303, "Aristotle (Ancient Greek:", "in his debt.\""},
    {"Aruba", 24, 504, 0x0DD5F03E4179C6A8, "Aruba is a", "the Dutch Caribbean."},
    {"Ayn Rand", 18, 640, 0xE3A5B2DF356CF75E, "Ayn Rand (born", "novel, The Fountainhead."},
    {"Azerbaijan", 38, 525, 0xAD8C8758019514EA, "Azerbaijan (Azerbaijani: Azərbaycan),", "the north west."},
    {"International Atomic Time", 6, 611, 0xFB3E0FB67FADB51D, "International Atomic Time", "UTC since 1972."},
};

enum { N_ARTICLES = sizeof articles / sizeof *articles };

/* The dump, decompressed; empty when there is none. */
static void read_dump(strbuf *xml) {
    const char *shared = getenv("POFAC_SHARED");
    char path[4096];
    if (!shared) return;
    snprintf(path, sizeof path, "%s/data/wikipedia/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2", shared);
    file_map map;
    if (file_map_open(path, NULL, &map) != POFAC_OK) return;
    decompressor *d = NULL;
    assert_int_equal(decompressor_open(COMPRESSION_BZIP2, map.data, map.size_bytes, NULL, &d), POFAC_OK);
    char *block = malloc(1 << 20);
    assert_non_null(block);
    for (size_t got = 1; got > 0;) {
        assert_int_equal(decompressor_read(d, block, 1 << 20, NULL, &got), POFAC_OK);
        strbuf_append(xml, block, got);
    }
    assert_true(strbuf_ok(xml));
    free(block);
    decompressor_close(d);
    file_map_close(&map);
}

/* What stands between `open` and `close` behind `at`, with its entities replaced; returns where it ends, NULL when there is none. */
static const char *read_between(const char *at, const char *open, const char *close, strbuf *out) {
    strbuf_clear(out);
    at = strstr(at, open);
    if (!at) return NULL;
    at = strchr(at, '>') + 1;
    const char *end = strstr(at, close);
    assert_non_null(end);
    while (at < end) {
        const char *plain = memchr(at, '&', (size_t)(end - at));
        strbuf_append(out, at, (size_t)((plain ? plain : end) - at));
        if (!plain) break;
        uint32_t c;
        char utf8[4];
        const size_t n = html_entity_read(plain, (size_t)(end - plain), &c);
        assert_true(n > 0);
        strbuf_append(out, utf8, utf8_write(c, utf8));
        at = plain + n;
    }
    assert_true(strbuf_ok(out));
    return end;
}

static size_t check_article(const article *a, const strbuf *prose, const wikitext_counts *counts) {
    const char *text = strbuf_str(prose), *end = strchr(text, '\n');
    const size_t bytes = end ? (size_t)(end - text) : 0, first = strlen(a->first_words), last = strlen(a->last_words);
    const bool same = bytes == a->bytes && hash_bytes(text, bytes) == a->hash && counts->sections == a->sections &&
                      strncmp(text, a->first_words, first) == 0 && memcmp(text + bytes - last, a->last_words, last) == 0;
    if (same) return 0;
    print_error(
        "%s: found %llu sections and, of %zu bytes with hash 0x%016llX,\n%.*s\nwanted %llu sections and %zu bytes, hash 0x%016llX, "
        "\"%s ... %s\"\n",
        a->title, (unsigned long long)counts->sections, bytes, (unsigned long long)hash_bytes(text, bytes), (int)bytes, text,
        (unsigned long long)a->sections, a->bytes, (unsigned long long)a->hash, a->first_words, a->last_words);
    return 1;
}

static void expect_no_markup(const char *title, const char *prose) {
    static const char *const markup[] = {"[[", "]]", "{{", "}}", "''", "<ref", "</", "<!--", "&nbsp;", "\n|", "\n*"};
    for (size_t i = 0; i < sizeof markup / sizeof *markup; i++)
        if (strstr(prose, markup[i])) fail_msg("%s: found %.60s, wanted no markup", title, strstr(prose, markup[i]));
}

static void articles_of_a_dump(void **state) {
    (void)state;
    strbuf xml = STRBUF_INIT, title = STRBUF_INIT, space = STRBUF_INIT, text = STRBUF_INIT, prose = STRBUF_INIT;
    read_dump(&xml);
    if (xml.size == 0) {
        print_message("SKIP: ../shared is absent\n");
        strbuf_free(&xml);
        skip();
    }
    wikitext *w = NULL;
    assert_int_equal(wikitext_create(NULL, NULL, &w), POFAC_OK);
    size_t n_found = 0, n_wrong = 0, n_pages = 0, n_redirects = 0;
    for (const char *at = xml.data; (at = read_between(at, "<title>", "</title>", &title));) {
        wikitext_counts counts;
        at = read_between(at, "<ns>", "</ns>", &space);
        at = read_between(at, "<text", "</text>", &text);
        n_pages++;
        if (strcmp(strbuf_str(&space), "0") != 0) continue;
        strbuf_clear(&prose);
        assert_int_equal(wikitext_to_prose(w, strbuf_str(&text), text.size, NULL, &prose, &counts), POFAC_OK);
        assert_true(counts.visited <= 8 * (uint64_t)text.size + 8);
        n_redirects += counts.redirects;
        expect_no_markup(title.data, strbuf_str(&prose));
        for (size_t i = 0; i < N_ARTICLES; i++)
            if (strcmp(articles[i].title, title.data) == 0) n_wrong += check_article(&articles[i], &prose, &counts), n_found++;
    }
    assert_int_equal(n_pages, 206);
    assert_int_equal(n_redirects, 99); /* and one of another namespace */
    assert_int_equal(n_found, N_ARTICLES);
    assert_int_equal(n_wrong, 0);
    wikitext_destroy(w);
    strbuf_free(&xml);
    strbuf_free(&title);
    strbuf_free(&space);
    strbuf_free(&text);
    strbuf_free(&prose);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(articles_of_a_dump)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
