/*
 * Any bytes as wikitext. The first byte chooses the options. Checked: the prose is UTF-8 in tidy lines, the counts agree with it, the work
 * is bounded by a multiple of the length, and a second run of the same object gives the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/wikitext.h"

#define CHECK(condition)                                                                                                           \
    do {                                                                                                                           \
        if (!(condition)) __builtin_trap();                                                                                        \
    } while (0)

enum { MAX_VISITS = 128 };

static size_t character_bytes(const unsigned char *s, size_t left) {
    if (s[0] < 0x80) return 1;
    const size_t n = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    CHECK(s[0] >= 0xC2 && s[0] <= 0xF4 && n <= left);
    for (size_t i = 1; i < n; i++) CHECK((s[i] & 0xC0) == 0x80);
    return n;
}

static void check_prose(const strbuf *prose, const wikitext_counts *counts) {
    const unsigned char *s = (const unsigned char *)strbuf_str(prose);
    uint64_t lines = 0;
    for (size_t at = 0; at < prose->size; at += character_bytes(s + at, prose->size - at)) {
        const unsigned char c = s[at], before = at ? s[at - 1] : '\n';
        lines += c == '\n';
        CHECK(c == '\n' || (c >= ' ' && c != 0x7F));
        CHECK((c != ' ' && c != '\n') || (before != ' ' && before != '\n'));
    }
    CHECK(prose->size == 0 || s[prose->size - 1] == '\n');
    CHECK(lines == counts->paragraphs && prose->size == counts->prose_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const wikitext_options options = {.keep_headings = data[0] & 1, .keep_lists = data[0] & 2};
    const char *text = (const char *)data + 1;
    wikitext *w = NULL;
    strbuf prose = STRBUF_INIT, again = STRBUF_INIT;
    wikitext_counts counts;
    CHECK(wikitext_create(&options, NULL, &w) == POFAC_OK);
    CHECK(wikitext_to_prose(w, text, size - 1, NULL, &prose, &counts) == POFAC_OK);
    check_prose(&prose, &counts);
    CHECK(counts.bytes == size - 1 && counts.visited <= (uint64_t)MAX_VISITS * size);
    CHECK(counts.dropped_sections <= counts.sections && counts.kept_templates <= counts.templates);
    CHECK(wikitext_to_prose(w, text, size - 1, NULL, &again, NULL) == POFAC_OK);
    CHECK(again.size == prose.size && memcmp(strbuf_str(&again), strbuf_str(&prose), prose.size) == 0);
    wikitext_destroy(w);
    strbuf_free(&prose);
    strbuf_free(&again);
    return 0;
}
