/*
 * WordPiece training: vocabularies worked out by hand, against a slow reference that counts all pairs anew before each joining, on generated
 * words; limits of alphabet, frequency and size; any order of the words; failing allocations; and that the tokenizer reads the result.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/text/tokenizer.h"
#include "frontend/text/wordpiece_trainer.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"

static const char specials[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";

static void put(strmap *words, const char *word, uint64_t count) {
    strmap_entry *e = strmap_put(words, word, strlen(word), 0, NULL);
    assert_non_null(e);
    e->value += count;
}

static void expect(const strmap *words, wordpiece_training training, const char *wanted) {
    strbuf out = STRBUF_INIT;
    wordpiece_report report;
    assert_int_equal(wordpiece_train(words, &training, NULL, &out, &report), POFAC_OK);
    assert_memory_equal(strbuf_str(&out), specials, sizeof specials - 1);
    assert_string_equal(strbuf_str(&out) + sizeof specials - 1, wanted);
    strbuf_free(&out);
}

static void vocabularies_are_those_worked_out(void **unused) {
    (void)unused;
    strmap words = STRMAP_INIT;
    put(&words, "low", 5);
    put(&words, "lower", 2);
    put(&words, "newest", 6);
    put(&words, "widest", 3);
    /* e s 9, s t 9, (est) 9, l o 7, o w 7, n e 6, e w 6, w est 6, ... */
    static const char alphabet[] = "l\nn\nw\n##d\n##e\n##i\n##o\n##r\n##s\n##t\n##w\n";
    char wanted[200];
    snprintf(wanted, sizeof wanted, "%s%s", alphabet, "##es\n##est\nlo\nlow\nne\n##west\nnewest\n");
    expect(&words, (wordpiece_training){.vocab_size = 23, .min_frequency = 1, .limit_alphabet = 100}, wanted);
    snprintf(wanted, sizeof wanted, "%s%s", alphabet, "##es\n##est\n");
    expect(&words, (wordpiece_training){.vocab_size = 1000, .min_frequency = 8, .limit_alphabet = 100}, wanted);
    expect(&words, (wordpiece_training){.vocab_size = 16, .min_frequency = 1, .limit_alphabet = 100}, alphabet);
    /* the six most frequent characters: e, w, s, t, o, l: only "low" is left of the words */
    expect(&words, (wordpiece_training){.vocab_size = 1000, .min_frequency = 1, .limit_alphabet = 6}, "l\n##o\n##w\nlo\nlow\n");
    strmap_free(&words);
}

static void repeated_and_wide_characters(void **unused) {
    (void)unused;
    strmap words = STRMAP_INIT;
    put(&words, "aaaaa", 3); /* a ##a | ##a ##a ##a: ##a ##a occurs three times, and is joined from the left */
    put(&words, "\xC3\xA9t\xC3\xA9", 4);
    expect(&words, (wordpiece_training){.vocab_size = 1000, .min_frequency = 1, .limit_alphabet = 100},
           "a\n\xC3\xA9\n##a\n##t\n##\xC3\xA9\n##aa\n\xC3\xA9t\n\xC3\xA9t\xC3\xA9\naaa\naaaaa\n");
    strmap_free(&words);
}

/* ---- a slow reference ---- */

#define MAX_PIECES 24
#define MAX_TOKENS 200
#define MAX_WORDS 120

typedef struct slow_word {
    char text[MAX_PIECES + 1];
    uint64_t count;
    int piece[MAX_PIECES], n;
} slow_word;

typedef struct slow_trainer {
    slow_word words[MAX_WORDS];
    int n_words, n_tokens;
    char tokens[MAX_TOKENS][40];
} slow_trainer;

static int slow_token(slow_trainer *t, const char *text) {
    for (int i = 0; i < t->n_tokens; i++)
        if (strcmp(t->tokens[i], text) == 0) return i;
    snprintf(t->tokens[t->n_tokens], sizeof t->tokens[0], "%s", text);
    return t->n_tokens++;
}

static void slow_join(slow_trainer *t, int a, int b) {
    char text[80];
    snprintf(text, sizeof text, "%s%s", t->tokens[a], t->tokens[b] + 2);
    const int joined = slow_token(t, text);
    for (int w = 0; w < t->n_words; w++) {
        slow_word *word = &t->words[w];
        int n = 0;
        for (int i = 0; i < word->n; i++) {
            const bool here = i + 1 < word->n && word->piece[i] == a && word->piece[i + 1] == b;
            word->piece[n++] = here ? joined : word->piece[i];
            i += here;
        }
        word->n = n;
    }
}

/* Joins until there are `size` tokens or no pair occurs `least` times. Letters are single bytes. */
static void slow_train(slow_trainer *t, int size, uint64_t least) {
    for (int place = 0; place < 2; place++)
        for (char c = 'a'; c <= 'z'; c++)
            for (int w = 0; w < t->n_words; w++)
                for (int i = 0; t->words[w].text[i]; i++) {
                    char text[4] = {'#', '#', c, 0};
                    if (t->words[w].text[i] == c && (i > 0) == place) t->words[w].piece[i] = slow_token(t, place ? text : text + 2);
                }
    for (int w = 0; w < t->n_words; w++) t->words[w].n = (int)strlen(t->words[w].text);
    while (t->n_tokens < size) {
        uint64_t most = 0;
        int best_a = 0, best_b = 0;
        for (int a = 0; a < t->n_tokens; a++)
            for (int b = 0; b < t->n_tokens; b++) {
                uint64_t count = 0;
                for (int w = 0; w < t->n_words; w++)
                    for (int i = 0; i + 1 < t->words[w].n; i++)
                        if (t->words[w].piece[i] == a && t->words[w].piece[i + 1] == b) count += t->words[w].count;
                if (count > most) most = count, best_a = a, best_b = b;
            }
        if (most < least || most == 0) return;
        slow_join(t, best_a, best_b);
    }
}

static void generated_words_as_the_slow_reference(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        slow_trainer *slow = calloc(1, sizeof *slow);
        strmap words = STRMAP_INIT;
        strbuf wanted = STRBUF_INIT;
        const rng_key key = rng_key_make(seed, "words");
        uint64_t drawn = 0;
        assert_non_null(slow);
        for (int w = 0; w < 60; w++) {
            slow_word *word = &slow->words[slow->n_words];
            const int n = 1 + (int)rng_below(key, drawn++, 9);
            for (int i = 0; i < n; i++) word->text[i] = (char)('a' + rng_below(key, drawn++, 2 + seed % 4));
            word->text[n] = 0;
            word->count = 1 + rng_below(key, drawn++, 6);
            if (strmap_get(&words, word->text, (size_t)n)) continue;
            put(&words, word->text, word->count);
            slow->n_words++;
        }
        const uint64_t least = 1 + seed % 4;
        slow_train(slow, 90, least);
        for (int i = 0; i < slow->n_tokens; i++) strbuf_printf(&wanted, "%s\n", slow->tokens[i]);
        expect(&words, (wordpiece_training){.vocab_size = 95, .min_frequency = least, .limit_alphabet = 26}, strbuf_str(&wanted));
        strbuf_free(&wanted);
        strmap_free(&words);
        free(slow);
    }
}

/* ---- the rest ---- */

static void order_does_not_matter(void **unused) {
    (void)unused;
    strmap forward = STRMAP_INIT, backward = STRMAP_INIT;
    strbuf a = STRBUF_INIT, b = STRBUF_INIT;
    wordpiece_report report;
    for (int i = 0; i < 500; i++) {
        char word[16];
        snprintf(word, sizeof word, "%x", i * 7919);
        put(&forward, word, (uint64_t)(i % 5 + 1));
        snprintf(word, sizeof word, "%x", (499 - i) * 7919);
        put(&backward, word, (uint64_t)((499 - i) % 5 + 1));
    }
    const wordpiece_training training = {.vocab_size = 300, .min_frequency = 2, .limit_alphabet = 100};
    assert_int_equal(wordpiece_train(&forward, &training, NULL, &a, &report), POFAC_OK);
    assert_int_equal(wordpiece_train(&backward, &training, NULL, &b, &report), POFAC_OK);
    assert_string_equal(strbuf_str(&a), strbuf_str(&b));
    assert_int_equal(report.words, 500);
    assert_int_equal(5 + report.characters + report.pieces, 300);
    tokenizer *t;
    encoding e = ENCODING_INIT;
    assert_int_equal(tokenizer_create_from_memory("vocab", strbuf_str(&a), a.size, NULL, NULL, &t), POFAC_OK);
    assert_int_equal(tokenizer_encode(t, "1eef 3dde", 9, NULL, &e), POFAC_OK);
    assert_true(e.size >= 2);
    for (size_t i = 0; i < e.size; i++) assert_int_not_equal(e.tokens[i].id, 1); /* [UNK] */
    encoding_free(&e);
    tokenizer_destroy(t);
    strbuf_free(&a);
    strbuf_free(&b);
    strmap_free(&forward);
    strmap_free(&backward);
}

static void too_small_a_vocabulary(void **unused) {
    (void)unused;
    strmap words = STRMAP_INIT;
    strbuf messages = STRBUF_INIT, out = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&messages);
    wordpiece_report report;
    put(&words, "abc", 1);
    const wordpiece_training training = {.vocab_size = 7, .min_frequency = 1, .limit_alphabet = 100};
    assert_int_equal(wordpiece_train(&words, &training, &sink, &out, &report), POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&messages), "vocab_size is 7, wanted at least 8, for special tokens and single characters"));
    assert_int_equal(out.size, 0);
    strbuf_free(&messages);
    strbuf_free(&out);
    strmap_free(&words);
}

static void failing_allocations(void **unused) {
    (void)unused;
    strmap words = STRMAP_INIT;
    put(&words, "lower", 2);
    put(&words, "newest", 6);
    const wordpiece_training training = {.vocab_size = 30, .min_frequency = 1, .limit_alphabet = 8};
    for (size_t n = 1;; n++) {
        strbuf out = STRBUF_INIT;
        wordpiece_report report;
        fail_alloc_after(n);
        pofac_status status = wordpiece_train(&words, &training, NULL, &out, &report);
        const bool failed = fail_alloc_stop();
        if (failed && status == POFAC_OK) fail_msg("allocation %zu fails and nothing is reported", n);
        strbuf_free(&out);
        if (!failed) break;
    }
    strmap_free(&words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocabularies_are_those_worked_out),
        cmocka_unit_test(repeated_and_wide_characters),
        cmocka_unit_test(generated_words_as_the_slow_reference),
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(too_small_a_vocabulary),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
