/* Sentences: a page of hand-made cases, "|" between the sentences; then what holds for any text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/data/sentences.h"
#include "ir/support/strbuf.h"
#include "tests/unit/fail_alloc.h"

typedef struct found_sentences {
    const char *text;
    size_t bytes, last_end;
    size_t n;
    size_t stop_at; /* the callback fails at this one */
    strbuf joined;  /* with " | " between */
} found_sentences;

static bool is_ascii_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static pofac_status take(void *context, size_t begin, size_t end) {
    found_sentences *f = context;
    assert_true(f->last_end <= begin && begin < end && end <= f->bytes);
    for (size_t i = f->last_end; i < begin; i++)
        if (is_ascii_white(f->text[i]) == false && (unsigned char)f->text[i] < 0x80)
            fail_msg("byte %zu ('%c') is in no sentence", i, f->text[i]);
    assert_false(is_ascii_white(f->text[begin]) || is_ascii_white(f->text[end - 1]));
    assert_null(memchr(f->text + begin, '\n', end - begin));
    f->last_end = end;
    if (f->n++) strbuf_puts(&f->joined, " | ");
    strbuf_append(&f->joined, f->text + begin, end - begin);
    return f->n == f->stop_at ? POFAC_ERR_INTERRUPTED : POFAC_OK;
}

static sentence_splitter *create(const char *locale) {
    sentence_splitter *s = NULL;
    assert_int_equal(sentence_splitter_create(locale, NULL, &s), POFAC_OK);
    return s;
}

static found_sentences split(sentence_splitter *s, const char *text, size_t bytes) {
    found_sentences f = {.text = text, .bytes = bytes};
    assert_int_equal(sentences_split(s, text, bytes, NULL, take, &f), POFAC_OK);
    for (size_t i = f.last_end; i < bytes; i++) assert_true(is_ascii_white(text[i]) || (unsigned char)text[i] >= 0x80);
    return f;
}

/* Each case is its sentences with " | " between; split from the text with spaces there. */
static void expect(const char *locale, const char *const *cases, size_t n) {
    sentence_splitter *s = create(locale);
    size_t n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        strbuf text = STRBUF_INIT;
        for (const char *c = cases[i]; *c;) {
            const bool bar = strncmp(c, " | ", 3) == 0;
            strbuf_putc(&text, (char)(bar ? ' ' : *c));
            c += bar ? 3 : 1;
        }
        found_sentences f = split(s, text.data, text.size);
        if (strcmp(strbuf_str(&f.joined), cases[i]) != 0) {
            print_error("found  %s\nwanted %s\n", strbuf_str(&f.joined), cases[i]);
            n_wrong++;
        }
        strbuf_free(&f.joined);
        strbuf_free(&text);
    }
    sentence_splitter_destroy(s);
    assert_int_equal(n_wrong, 0);
}

#define EXPECT(locale, cases) expect(locale, cases, sizeof(cases) / sizeof *(cases))

static void plain_sentences(void **state) {
    (void)state;
    static const char *const cases[] = {
        "One.",
        "One. | Two! | Three? | Four",
        "He left. | \"Why?\" | Nobody knew.",
        "\"Why?\" he asked. | \"Go!\" she said.",
        "She said \"Stop.\" | Then she left.",
        "(This is one.) | This is another.",
        "It costs $3.50 today. | Pi is 3.14159.",
        "See www.example.org for more. | Or not.",
        "He waited... and left. | It was over... | Then it began.",
        "“Curly quotes.” | They end here.",
        "Numbers end 5. | Then words.",
        "A question?! | Yes.",
        "In 1990. 1991 was better.", /* UAX #29, SB8: a lower-case letter follows before any other */
        "Étienne came. | Ça va. | Οὐδείς ἦλθεν.",
        "Yahoo! is a company. | It began in 1994.",
        "no capital. begins here",
        "He said that (she was here.) too.",
        "It ended in May. | June began.",
    };
    EXPECT("en", cases);
    EXPECT(NULL, cases);
}

static void abbreviations(void **state) {
    (void)state;
    static const char *const cases[] = {
        "Mr. Smith met Dr. Jones and Mrs. Brown. | They talked.",
        "Gen. Lee and St. John and Mt. Everest and Prof. Moore.",
        "J. R. R. Tolkien wrote it. | C. S. Lewis read it.",
        "J.R.R. Tolkien and George W. Bush. | The end.",
        "The U.S. Army and the U.K. Government. | Done.",
        "He lives in the U.S. | The weather is fine.",
        "He moved to Washington, D.C. | He died there.",
        "It was 5 p.m. Eastern time. | It was 6 p.m. | The sun set.",
        "Fruit, e.g. Apples, i.e. Malus, cf. Pears.",
        "Smith et al. Proved it. | Jones et al. | The others.",
        "See No. 5 and Vol. II and p. 17 and Fig. 3.",
        "He said no. | Nobody heard.",
        "On Jan. 5 it snowed. | It thawed in Jan. | February came.",
        "Acme Inc. Headquarters are here. | He works for Acme Inc. | He likes it.",
        "Martin Luther King Jr. Day is in January. | He met King Jr. | They spoke.",
        "He has a Ph.D. | It took long.",
        "Apples, pears, etc. | These are fruit.",
        "Apples, pears, etc. are fruit.",
        "Brown v. Board of Education. | It was 1954.",
        "Born c. 1900 in St. Petersburg. | Died 1980.",
        "1. First things first. | Then others.",
        "World War I. | The war ended.",
        "Built in 44 B.C. | It still stands.",
        "It fell below -2 °C. | Maximum values follow.",
        "É. Zola wrote. | He was French.",

        "The firm (Acme Ltd.) Sold it. | The end.",
    };
    EXPECT("en", cases);
    EXPECT("en_GB", cases);
}

static void lines_and_white_space(void **state) {
    (void)state;
    sentence_splitter *s = create(NULL);
    static const struct {
        const char *text, *joined;
    } cases[] = {
        {"", ""},
        {" \n\t\n", ""},
        {"One\nTwo.\n\n  Three.  Four. \n", "One | Two. | Three. | Four."},
        {"Mr.\nSmith", "Mr. | Smith"},
        {"Mr.\rSmith\r\n", "Mr. | Smith"},
        {"Mr.\xE2\x80\xA8Smith", "Mr. | Smith"},
        {"\xC2\xA0One.\xC2\xA0\xC2\xA0Two.\xE3\x80\x80", "One. | Two."},
        {"日本。東京！京都", "日本。 | 東京！ | 京都"},
        {"x\xFF. \xC3(. Y\xE2\x80", "x\xFF. | \xC3(. | Y\xE2\x80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        found_sentences f = split(s, cases[i].text, strlen(cases[i].text));
        assert_string_equal(strbuf_str(&f.joined), cases[i].joined);
        strbuf_free(&f.joined);
    }
    sentence_splitter_destroy(s);
}

/* Another language has ICU's boundaries; a locale that is none has the root's. */
static void locales(void **state) {
    (void)state;
    static const char *const cases[] = {"Mr. | Smith kam. | Er ging.", "\"Warum?\" fragte er. | 1. Platz."};
    EXPECT("de", cases);
    EXPECT("de_AT", cases);
    EXPECT("xx_YY", cases);
    EXPECT("", cases);
    EXPECT("no such locale, which is also longer than any locale that there could ever be in the world", cases);
}

static void callback_stops(void **state) {
    (void)state;
    sentence_splitter *s = create(NULL);
    const char text[] = "One. Two. Three.\nFour.";
    for (size_t stop = 1; stop <= 4; stop++) {
        found_sentences f = {.text = text, .bytes = sizeof text - 1, .stop_at = stop};
        assert_int_equal(sentences_split(s, text, sizeof text - 1, NULL, take, &f), POFAC_ERR_INTERRUPTED);
        assert_int_equal(f.n, stop);
        strbuf_free(&f.joined);
    }
    sentence_splitter_destroy(s);
    sentence_splitter_destroy(NULL);
}

/* Texts of pieces in any order: ranges in order, all that is not white space in one of them (checked by `take`), and the same again. */
static void generated_texts(void **state) {
    (void)state;
    static const char *const pieces[] = {"word", " ",  ". ",   ".",    "? ",   "! ",  "\n",  "Mr. ", "J. ",  "U.S. ",
                                         "The ", "\"", "”",    ") ",   "(",    "...", "5. ", "é",    "東",   "。",
                                         "\xFF", "\t", "e.g.", "No. ", "p. 5", "…",   "'",   "\r",   "Inc. "};
    sentence_splitter *s = create(NULL), *other = create(NULL);
    for (uint64_t seed = 0; seed < 3000; seed++) {
        strbuf text = STRBUF_INIT;
        uint64_t state64 = seed * 0x9E3779B97F4A7C15u + 1;
        for (size_t i = 0; i < 1 + seed % 60; i++) {
            state64 = state64 * 6364136223846793005u + 1442695040888963407u;
            strbuf_puts(&text, pieces[(state64 >> 33) % (sizeof pieces / sizeof *pieces)]);
        }
        found_sentences a = split(s, text.data, text.size), b = split(other, text.data, text.size);
        assert_string_equal(strbuf_str(&a.joined), strbuf_str(&b.joined));
        strbuf_free(&a.joined);
        strbuf_free(&b.joined);
        strbuf_free(&text);
    }
    sentence_splitter_destroy(s);
    sentence_splitter_destroy(other);
}

/* Megabytes without an end of a sentence, or of nothing else: a quadratic splitter would not come back. */
static void long_texts(void **state) {
    (void)state;
    static const char *const units[] = {"a",    "word ", ".", ". ",       "a. ", "A. ",  "Mr. ", "1. ", ")",
                                        "\". ", "! a",   " ", "\xC2\xA0", "\n",  "\xFF", "., ",  ". 1 "};
    enum { BYTES = 2000000 };
    sentence_splitter *s = create(NULL);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        strbuf text = STRBUF_INIT;
        while (text.size < BYTES) strbuf_puts(&text, units[i]);
        found_sentences f = split(s, text.data, text.size);
        if (i < 2) assert_int_equal(f.n, 1);
        strbuf_free(&f.joined);
        strbuf_free(&text);
    }
    sentence_splitter_destroy(s);
}

/* Every row: a title goes on before any word, a number before a digit, others before a word that begins no sentence. */
static void rows(void **state) {
    (void)state;
    enum { TITLE, NUMBER, MAYBE };
    static const struct {
        const char *text;
        int kind;
    } table[] = {
#define ABBREVIATION(text, kind) {text, kind},
#include "frontend/data/sentence_abbreviations.def"
#undef ABBREVIATION
    };
    static const char *const starters[] = {
#define STARTER(word) word,
#include "frontend/data/sentence_starters.def"
#undef STARTER
    };
    static const char *const follows[] = {[TITLE] = "The", [NUMBER] = "5", [MAYBE] = "Xavier"}, *const ends[] = {NULL, "Xavier",
                                                                                                                 "The"};
    sentence_splitter *s = create(NULL);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (i && strcmp(table[i - 1].text, table[i].text) >= 0) fail_msg("\"%s\" is out of order", table[i].text);
        assert_true(strlen(table[i].text) <= 15);
        for (int end = 0; end < 2; end++) {
            const char *word = end ? ends[table[i].kind] : follows[table[i].kind];
            if (!word) continue;
            strbuf text = STRBUF_INIT;
            strbuf_printf(&text, "It is %s. %s came.", table[i].text, word);
            found_sentences f = split(s, text.data, text.size);
            if (f.n != (end ? 2u : 1u)) fail_msg("%s: found %s", text.data, strbuf_str(&f.joined));
            strbuf_free(&f.joined);
            strbuf_free(&text);
        }
    }
    for (size_t i = 0; i < sizeof starters / sizeof *starters; i++) {
        if (i && strcmp(starters[i - 1], starters[i]) >= 0) fail_msg("\"%s\" is out of order", starters[i]);
        strbuf text = STRBUF_INIT;
        strbuf_printf(&text, "The U.S. %s ...", starters[i]);
        found_sentences f = split(s, text.data, text.size);
        if (f.n != 2) fail_msg("%s: found %s", text.data, strbuf_str(&f.joined));
        strbuf_free(&f.joined);
        strbuf_free(&text);
    }
    sentence_splitter_destroy(s);
}

static void failing_allocations(void **state) {
    (void)state;
    for (size_t n = 1;; n++) { /* of the splitter itself: ICU's own allocations are in its shared library */
        sentence_splitter *s = NULL;
        fail_alloc_after(n);
        const pofac_status status = sentence_splitter_create(NULL, NULL, &s);
        const bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        assert_true((s == NULL) == failed);
        sentence_splitter_destroy(s);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_sentences), cmocka_unit_test(abbreviations),  cmocka_unit_test(lines_and_white_space),
        cmocka_unit_test(locales),         cmocka_unit_test(callback_stops), cmocka_unit_test(generated_texts),
        cmocka_unit_test(long_texts),      cmocka_unit_test(rows),           cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
