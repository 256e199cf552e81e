/*
 * Any bytes as a text of sentences. The first byte chooses the locale. Checked: the ranges are in order and not empty, no sentence holds a
 * newline or begins or ends with a space, and every byte that is not white space is in one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/sentences.h"

#define CHECK(condition)                                                                                                           \
    do {                                                                                                                           \
        if (!(condition)) __builtin_trap();                                                                                        \
    } while (0)

typedef struct checked_text {
    const char *text;
    size_t bytes, last_end;
} checked_text;

static int is_ascii_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Between sentences is white space; some is not ASCII. */
static void check_gap(const checked_text *t, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) CHECK(is_ascii_white(t->text[i]) || (unsigned char)t->text[i] >= 0x80);
}

static pofac_status check_sentence(void *context, size_t begin, size_t end) {
    checked_text *t = context;
    CHECK(t->last_end <= begin && begin < end && end <= t->bytes);
    CHECK(!is_ascii_white(t->text[begin]) && !is_ascii_white(t->text[end - 1]) && !memchr(t->text + begin, '\n', end - begin));
    check_gap(t, t->last_end, begin);
    t->last_end = end;
    return POFAC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const locales[] = {NULL, "de", "xx_YY", "el"};
    if (size == 0) return 0;
    checked_text t = {.text = (const char *)data + 1, .bytes = size - 1};
    sentence_splitter *s = NULL;
    CHECK(sentence_splitter_create(locales[data[0] & 3], NULL, &s) == POFAC_OK);
    CHECK(sentences_split(s, t.text, t.bytes, NULL, check_sentence, &t) == POFAC_OK);
    check_gap(&t, t.last_end, t.bytes);
    sentence_splitter_destroy(s);
    return 0;
}
