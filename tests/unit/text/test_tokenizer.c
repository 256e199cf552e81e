/* The tokenizer on a small vocabulary: tokens and their places in the text, special tokens, inputs, decoding, failing allocations. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/text/basic_tokenizer.h"
#include "frontend/text/tokenizer.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text/small_vocabulary.h"

static tokenizer *create(tokenizer_options options) {
    tokenizer *t = NULL;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    pofac_status status = tokenizer_create_from_memory("small", small_vocabulary, sizeof small_vocabulary - 1, &options, &sink, &t);
    assert_string_equal(strbuf_str(&said), "");
    assert_int_equal(status, POFAC_OK);
    strbuf_free(&said);
    return t;
}

static void expect_bytes(const tokenizer *t, const char *text, size_t n_bytes, const char *wanted) {
    encoding e = ENCODING_INIT;
    strbuf found = STRBUF_INIT;
    assert_int_equal(tokenizer_encode(t, text, n_bytes, NULL, &e), POFAC_OK);
    put_encoding(t, &e, &found);
    if (strcmp(strbuf_str(&found), wanted) != 0) print_error("text: %.*s\n", (int)n_bytes, text);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
    encoding_free(&e);
}

static void expect(const tokenizer *t, const char *text, const char *wanted) { expect_bytes(t, text, strlen(text), wanted); }

typedef struct text_case {
    const char *text, *wanted;
} text_case;

static void expect_all(const tokenizer *t, const text_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) expect(t, cases[i].text, cases[i].wanted);
}

#define EXPECT_ALL(t, cases) expect_all((t), (cases), sizeof(cases) / sizeof *(cases))

static void uncased_words(void **state) {
    (void)state;
    static const text_case cases[] = {
        {"", ""},
        {" \t\r\n ", ""},
        {"Hello, World!", "hello@0-5 ,@5-6 world@7-12 !@12-13"},
        {"unaffable", "un@0-2 ##aff@2-5 ##able@5-9"},
        {"foxs fox's", "fox@0-3 ##s@3-4 fox@5-8 '@8-9 s@9-10"},
        {"unquick abd", "[UNK]@0-7 [UNK]@8-11"},
        {"...--~#", ".@0-1 .@1-2 .@2-3 -@3-4 -@4-5 ~@5-6 #@6-7"},
        {"##b", "#@0-1 #@1-2 b@2-3"},
        {"the+", "the@0-3 [UNK]@3-4"},
    };
    tokenizer *t = create((tokenizer_options){0});
    EXPECT_ALL(t, cases);
    tokenizer_destroy(t);
}

static void accents_and_case(void **state) {
    (void)state;
    static const text_case cases[] = {
        {"Café CAFÉ", "cafe@0-5 cafe@6-11"},
        {"Cafe\u0301 hello", "cafe@0-4 hello@7-12"},
        {"\u0301 a\u0301\u0302b", "a@3-4 ##b@8-9"},
        {"ΑΣ", "α@0-2 ##ς@2-4"}, /* last letter of its word */
        {"ΣΑΣΑ", "σ@0-2 ##α@2-4 ##σ@4-6 ##α@6-8"},
        {"Σ", "σ@0-2"},                        /* no letter before it */
        {"ΑΣ.", "α@0-2 ##ς@2-4 .@4-5"},        /* a full stop is ignored for case, */
        {"ΑΣ.α", "α@0-2 ##σ@2-4 .@4-5 α@5-7"}, /* so the letter after it counts */
        {"Α\u0301Σ\aα", "α@0-2 ##σ@4-6 ##α@7-9"},
        {"Α\aΣ", "α@0-2 ##ς@3-5"},
        {"Α Σ", "α@0-2 σ@3-5"},
        {"aΣ", "a@0-1 ##ς@1-3"},
        {"Α[MASK]Σ", "α@0-2 [MASK]@2-8 σ@8-10"},
        {"İi", "i@0-2 ##i@2-3"},
        {"ẞ", "ß@0-3"},
        {"\u1FEF", "`@0-3"},                /* decomposes into a grave accent, which is punctuation */
        {"\u212B", "a@0-3"},                /* ANGSTROM SIGN */
        {"한", "ᄒ@0-3 ##ᅡ@0-3 ##ᆫ@0-3"}, /* one syllable, three letters */
    };
    tokenizer *t = create((tokenizer_options){0});
    EXPECT_ALL(t, cases);
    tokenizer_destroy(t);
}

/* Marks of combining classes 226 and 216 change places, and then share their place in the text. */
static void marks_are_put_in_canonical_order(void **state) {
    (void)state;
    tokenizer *t = create((tokenizer_options){0});
    expect(t, "b\U0001D165\U0001D16D", "b@0-1 ##\U0001D165@1-5 ##\U0001D16D@5-9");
    expect(t, "b\U0001D16D\U0001D165", "b@0-1 ##\U0001D165@1-9 ##\U0001D16D@1-9");
    expect(t, "b\U0001D16D\U0001D165\U0001D165", "b@0-1 ##\U0001D165@1-9 ##\U0001D165@1-13 ##\U0001D16D@1-13");
    expect(t, "b\U0001D16D\u034F\U0001D165", "b@0-1 ##\U0001D16D@1-5 ##\U0001D165@7-11"); /* a joiner of class 0 between them */
    tokenizer_destroy(t);
    t = create((tokenizer_options){.strip_accents = TOKENIZER_OFF});
    expect(t, "b\U0001D16D\U0001D165", "b@0-1 ##\U0001D16D@1-5 ##\U0001D165@5-9");
    tokenizer_destroy(t);
}

static void cased_words(void **state) {
    (void)state;
    static const text_case cases[] = {
        {"Hello hello HELLO", "Hello@0-5 hello@6-11 [UNK]@12-17"},
        {"caf\u00E9 CAF\u00C9", "caf@0-3 ##é@3-5 CAF@6-9 ##É@9-11"},
        {"e\u0301", "e@0-1 ##\u0301@1-3"}, /* not composed */
        {"\u0391\u03A3", "[UNK]@0-4"},
        {"\u0130 I", "İ@0-2 I@3-4"},
        {"[MASK] [mask]", "[MASK]@0-6 [@7-8 mask@8-12 ]@12-13"},
        {"\uF900", "\uF900@0-3"},
    };
    tokenizer *t = create((tokenizer_options){.do_lower_case = TOKENIZER_OFF});
    EXPECT_ALL(t, cases);
    tokenizer_destroy(t);
}

static void options_are_independent(void **state) {
    (void)state;
    tokenizer *t = create((tokenizer_options){.strip_accents = TOKENIZER_OFF});
    expect(t, "CAFÉ", "caf@0-3 ##é@3-5");
    expect(t, "İ", "i@0-2 ##\u0307@0-2");
    tokenizer_destroy(t);
    t = create((tokenizer_options){.do_lower_case = TOKENIZER_OFF, .strip_accents = TOKENIZER_ON});
    expect(t, "café Hello \uF900", "cafe@0-5 Hello@6-11 豈@12-15");
    tokenizer_destroy(t);
    t = create((tokenizer_options){.tokenize_chinese_chars = TOKENIZER_OFF});
    expect(t, "東京 東", "[UNK]@0-6 東@7-10");
    tokenizer_destroy(t);
}

static void chinese_emoji_and_dropped_characters(void **state) {
    (void)state;
    static const text_case cases[] = {
        {"東京hello京", "東@0-3 京@3-6 hello@6-11 京@11-14"},
        {"\uF900", "豈@0-3"}, /* a compatibility ideograph decomposes */
        {"\U00020000\U0002A6D6", "[UNK]@0-4 [UNK]@4-8"},
        {"🙂 hello", "[UNK]@0-4 hello@5-10"},
        {"👩\u200D👩\u200D👧", "[UNK]@0-18"},
        {"\ahello\x1B", "hello@1-6"},
        {"hel\u00ADlo wor\u200Bld\uFEFF", "hello@0-7 world@8-16"},
        {"a\uFFFDb\xC2\x85"
         "c",
         "a@0-1 ##b@4-5 ##c@7-8"},
        {"the\u00A0quick\u2009fox\u3000the\u2028fox\u2029s", "the@0-3 quick@5-10 fox@13-16 the@19-22 fox@25-28 s@31-32"},
        {"a\uE000b\U000E0001c", "a@0-1 ##b@4-5 ##c@9-10"},
        {"–¿a", "–@0-3 ¿@3-5 a@5-6"},
    };
    tokenizer *t = create((tokenizer_options){0});
    EXPECT_ALL(t, cases);
    expect_bytes(t, "a\0b\0", 4, "a@0-1 ##b@2-3");
    tokenizer_destroy(t);
}

static void bytes_that_are_not_utf8(void **state) {
    (void)state;
    static const text_case cases[] = {
        {"hel\xFFlo", "hello@0-6"},
        {"a\x80\x80", "a@0-1"},
        {"a\xE6\x9D", "a@0-1"}, /* cut off */
        {"\xE6\x9D"
         "a",
         "a@2-3"},
        {"a\xED\xA0\x80"
         "b",
         "a@0-1 ##b@4-5"}, /* a surrogate */
        {"a\xC0\xAF"
         "b",
         "a@0-1 ##b@3-4"}, /* overlong */
        {"a\xF4\x90\x80\x80"
         "b",
         "a@0-1 ##b@5-6"},                       /* above U+10FFFF */
        {"Α\xCE\xCEΣ\xE6\x9D", "α@0-2 ##ς@4-6"}, /* seen from a sigma */
        {"\xBFΣ \x80\x80\x80\x80\x80Σ", "σ@1-3 σ@9-11"},
    };
    tokenizer *t = create((tokenizer_options){0});
    EXPECT_ALL(t, cases);
    tokenizer_destroy(t);
}

/* A word of n times `character`, of whose bytes the first is a token, and the last `dropped` are dropped, when it is within the limit. */
static void expect_long_word(const tokenizer *t, const char *character, size_t dropped, size_t n, size_t limit) {
    strbuf text = STRBUF_INIT;
    encoding e = ENCODING_INIT;
    for (size_t i = 0; i < n; i++) strbuf_puts(&text, character);
    const size_t unknown_end = text.size - dropped;
    strbuf_puts(&text, " a");
    assert_int_equal(tokenizer_encode(t, text.data, text.size, NULL, &e), POFAC_OK);
    assert_int_equal(e.size, (n > limit ? 1 : n) + 1);
    assert_int_equal(e.tokens[0].id == tokenizer_special_id(t, TOKENIZER_UNK), n > limit);
    assert_int_equal(e.tokens[0].end, n > limit ? unknown_end : 1);
    assert_int_equal(e.tokens[e.size - 1].begin, text.size - 1);
    encoding_free(&e);
    strbuf_free(&text);
}

/* pitfall 16: a word may have as many characters as max_input_chars_per_word says, and no more. */
static void words_that_are_too_long(void **state) {
    (void)state;
    static const size_t limits[] = {0, 200, 100, 1};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        tokenizer *t = create((tokenizer_options){.max_input_chars_per_word = limits[i]});
        size_t limit = limits[i] ? limits[i] : TOKENIZER_MAX_WORD_CHARACTERS;
        assert_int_equal(tokenizer_get_options(t)->max_input_chars_per_word, limit);
        for (size_t n = limit; n <= limit + 1; n++) {
            expect_long_word(t, "x", 0, n, limit);       /* ASCII */
            expect_long_word(t, "x\u0301", 2, n, limit); /* the general path; what is dropped does not count */
            expect_long_word(t, "\u0445", 0, n, 0);      /* two bytes each, and not in the vocabulary */
        }
        expect_long_word(t, "x", 0, 100000, limit);
        expect_long_word(t, "x\a", 1, 100000, limit);
        tokenizer_destroy(t);
    }
}

static void special_tokens_in_text(void **state) {
    (void)state;
    static const text_case cases[] = {
        {"the [MASK] fox.", "the@0-3 [MASK]@4-10 fox@11-14 .@14-15"},
        {"a[MASK]b", "a@0-1 [MASK]@1-7 b@7-8"},
        {"[CLS][SEP][PAD][UNK][MASK]", "[CLS]@0-5 [SEP]@5-10 [PAD]@10-15 [UNK]@15-20 [MASK]@20-26"},
        {"[[MASK]]", "[@0-1 [MASK]@1-7 ]@7-8"},
        {"[mask]", "[@0-1 mask@1-5 ]@5-6"},
        {"[MASK", "[@0-1 mask@1-5"},
        {"[", "[@0-1"},
        {"[MA\aSK]", "[@0-1 mask@1-6 ]@6-7"},
    };
    tokenizer *t = create((tokenizer_options){0});
    EXPECT_ALL(t, cases);
    tokenizer_destroy(t);
    static const char without_mask[] = "[UNK]\n[CLS]\n[SEP]\nmask\n[\n]\n";
    assert_int_equal(tokenizer_create_from_memory("v", without_mask, sizeof without_mask - 1, NULL, NULL, &t), POFAC_OK);
    expect(t, "[MASK] [PAD]", "[@0-1 mask@1-5 ]@5-6 [@7-8 [UNK]@8-11 ]@11-12");
    assert_int_equal(tokenizer_special_id(t, TOKENIZER_MASK), -1);
    assert_int_equal(tokenizer_special_id(t, TOKENIZER_PAD), -1);
    tokenizer_destroy(t);
}

/* Both paths over texts put together from pieces that matter to either. */
static void ascii_path_equals_general_path(void **state) {
    (void)state;
    static const char *const parts[] = {"hello",     "HELLO", "a", "B",    " ",  "\t", "\n", ".",      "'",    "#", "[",
                                        "unaffable", "x",     "9", "\x7F", "\a", "é",  "東", "\u0301", "\xFF", "Σ", "Hello, "};
    const size_t n_parts = sizeof parts / sizeof *parts;
    for (int cased = 0; cased < 2; cased++) {
        tokenizer *t = create((tokenizer_options){.do_lower_case = cased ? TOKENIZER_OFF : TOKENIZER_ON});
        vocabulary v;
        basic_tokenizer fast, general;
        assert_int_equal(vocabulary_parse("small", small_vocabulary, sizeof small_vocabulary - 1, NULL, &v), POFAC_OK);
        assert_int_equal(basic_tokenizer_init(&fast, &v, tokenizer_get_options(t), NULL), POFAC_OK);
        general = fast;
        memset(general.kind_of, BYTE_OTHER, sizeof general.kind_of);
        for (size_t i = 0; i < n_parts * n_parts * n_parts * n_parts; i += 7) {
            strbuf text = STRBUF_INIT, wanted = STRBUF_INIT, found = STRBUF_INIT;
            encoding e = ENCODING_INIT;
            for (size_t rest = i, k = 0; k < 4; k++, rest /= n_parts) strbuf_puts(&text, parts[rest % n_parts]);
            assert_true(basic_tokenizer_run(&general, text.data, 0, text.size, &e));
            put_encoding(t, &e, &wanted);
            e.size = 0;
            assert_true(basic_tokenizer_run(&fast, text.data, 0, text.size, &e));
            put_encoding(t, &e, &found);
            if (strcmp(strbuf_str(&found), strbuf_str(&wanted)) != 0) print_error("text: %s\n", text.data);
            assert_string_equal(strbuf_str(&found), strbuf_str(&wanted));
            encoding_free(&e);
            strbuf_free(&text);
            strbuf_free(&wanted);
            strbuf_free(&found);
        }
        vocabulary_free(&v);
        tokenizer_destroy(t);
    }
}

static void single_inputs(void **state) {
    (void)state;
    tokenizer *t = create((tokenizer_options){0});
    encoding a = ENCODING_INIT, out = ENCODING_INIT;
    strbuf found = STRBUF_INIT;
    assert_int_equal(tokenizer_encode(t, "the quick fox", 13, NULL, &a), POFAC_OK);
    assert_int_equal(tokenizer_build_single(t, &a, TOKENIZER_NO_LIMIT, NULL, &out), POFAC_OK);
    put_encoding(t, &out, &found);
    strbuf_putc(&found, '\n');
    assert_int_equal(tokenizer_build_single(t, &a, 4, NULL, &out), POFAC_OK);
    put_encoding(t, &out, &found);
    strbuf_putc(&found, '\n');
    assert_int_equal(tokenizer_build_single(t, &a, 2, NULL, &out), POFAC_OK);
    put_encoding(t, &out, &found);
    assert_string_equal(strbuf_str(&found), "[CLS]@0-0 the@0-3 quick@4-9 fox@10-13 [SEP]@0-0\n"
                                            "[CLS]@0-0 the@0-3 quick@4-9 [SEP]@0-0\n"
                                            "[CLS]@0-0 [SEP]@0-0");
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(tokenizer_build_single(t, &a, 1, &sink, &out), POFAC_ERR_USAGE);
    assert_int_equal(tokenizer_build_pair(t, &a, &a, 2, &sink, &out), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&said),
                        "error: found a maximum length of 1 tokens, wanted at least 2 for [CLS] and [SEP]\n"
                        "error: found a maximum length of 2 tokens, wanted at least 3 for [CLS] and two times [SEP]\n");
    strbuf_free(&said);
    strbuf_free(&found);
    encoding_free(&a);
    encoding_free(&out);
    tokenizer_destroy(t);
}

static void pair_inputs(void **state) {
    (void)state;
    tokenizer *t = create((tokenizer_options){0});
    encoding a = ENCODING_INIT, b = ENCODING_INIT, out = ENCODING_INIT;
    strbuf found = STRBUF_INIT;
    assert_int_equal(tokenizer_encode(t, "the quick fox", 13, NULL, &a), POFAC_OK);
    assert_int_equal(tokenizer_encode(t, "hello world", 11, NULL, &b), POFAC_OK);
    static const size_t lengths[] = {TOKENIZER_NO_LIMIT, 7, 6, 3};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(tokenizer_build_pair(t, &a, &b, lengths[i], NULL, &out), POFAC_OK);
        put_encoding(t, &out, &found);
        strbuf_puts(&found, " |");
        for (size_t k = 0; k < out.size; k++) strbuf_printf(&found, " %d", (int)out.tokens[k].type_id);
        strbuf_putc(&found, '\n');
    }
    assert_string_equal(strbuf_str(&found),
                        "[CLS]@0-0 the@0-3 quick@4-9 fox@10-13 [SEP]@0-0 hello@0-5 world@6-11 [SEP]@0-0 | 0 0 0 0 0 1 1 1\n"
                        "[CLS]@0-0 the@0-3 quick@4-9 [SEP]@0-0 hello@0-5 world@6-11 [SEP]@0-0 | 0 0 0 0 1 1 1\n"
                        "[CLS]@0-0 the@0-3 quick@4-9 [SEP]@0-0 hello@0-5 [SEP]@0-0 | 0 0 0 0 1 1\n"
                        "[CLS]@0-0 [SEP]@0-0 [SEP]@0-0 | 0 0 1\n");
    strbuf_free(&found);
    encoding_free(&a);
    encoding_free(&b);
    encoding_free(&out);
    tokenizer_destroy(t);
}

/* The closed form against the reference's loop, which drops one token at a time. */
static void truncation_equals_the_loop(void **state) {
    (void)state;
    for (size_t n_a = 0; n_a <= 12; n_a++) {
        for (size_t n_b = 0; n_b <= 12; n_b++) {
            for (size_t budget = 0; budget <= 26; budget++) {
                size_t a = n_a, b = n_b, wanted_a = n_a, wanted_b = n_b;
                while (wanted_a + wanted_b > budget) {
                    if (wanted_a > wanted_b) wanted_a--;
                    else wanted_b--;
                }
                tokenizer_truncate_longest_first(budget, &a, &b);
                if (a != wanted_a || b != wanted_b) print_error("%zu and %zu in %zu\n", n_a, n_b, budget);
                assert_int_equal(a, wanted_a);
                assert_int_equal(b, wanted_b);
            }
        }
    }
    size_t a = SIZE_MAX, b = SIZE_MAX;
    tokenizer_truncate_longest_first(5, &a, &b);
    assert_int_equal(a, 3);
    assert_int_equal(b, 2);
}

static void vocabulary_lookups(void **state) {
    (void)state;
    tokenizer *t = create((tokenizer_options){.model_max_length = 512});
    const int32_t n = (int32_t)tokenizer_vocab_size(t);
    for (int32_t id = 0; id < n; id++)
        assert_int_equal(tokenizer_id(t, tokenizer_token(t, id), strlen(tokenizer_token(t, id))), id);
    assert_null(tokenizer_token(t, -1));
    assert_null(tokenizer_token(t, n));
    assert_int_equal(tokenizer_id(t, "hell", 4), -1);
    assert_int_equal(tokenizer_id(t, "helloo", 6), -1);
    assert_int_equal(tokenizer_id(t, "", 0), -1);
    for (int s = 0; s < TOKENIZER_N_SPECIALS; s++)
        assert_string_equal(tokenizer_token(t, tokenizer_special_id(t, (tokenizer_special)s)),
                            tokenizer_special_name((tokenizer_special)s));
    const tokenizer_options *o = tokenizer_get_options(t);
    assert_int_equal(o->do_lower_case, TOKENIZER_ON);
    assert_int_equal(o->strip_accents, TOKENIZER_ON);
    assert_int_equal(o->tokenize_chinese_chars, TOKENIZER_ON);
    assert_int_equal(o->model_max_length, 512);
    tokenizer_destroy(t);
}

static void expect_decoded(const tokenizer *t, const char *text, tokenizer_decoding mode, const char *wanted) {
    encoding e = ENCODING_INIT, built = ENCODING_INIT;
    strbuf out = STRBUF_INIT;
    int32_t ids[64];
    assert_int_equal(tokenizer_encode(t, text, strlen(text), NULL, &e), POFAC_OK);
    assert_int_equal(tokenizer_build_single(t, &e, 64, NULL, &built), POFAC_OK);
    for (size_t i = 0; i < built.size; i++) ids[i] = built.tokens[i].id;
    strbuf_puts(&out, "kept . ");
    tokenizer_decode(t, ids, built.size, mode, &out);
    assert_string_equal(strbuf_str(&out) + strlen("kept . "), wanted);
    strbuf_free(&out);
    encoding_free(&e);
    encoding_free(&built);
}

static void decoding(void **state) {
    (void)state;
    tokenizer *t = create((tokenizer_options){0});
    expect_decoded(t, "Hello, world! unaffable?", TOKENIZER_SKIP_SPECIALS, "hello, world! unaffable?");
    expect_decoded(t, "the [MASK] fox.", TOKENIZER_KEEP_SPECIALS, "[CLS] the [MASK] fox. [SEP]");
    expect_decoded(t, "the [MASK] fox.", TOKENIZER_SKIP_SPECIALS, "the fox.");
    expect_decoded(t, "don't", TOKENIZER_SKIP_SPECIALS, "don't");
    expect_decoded(t, "", TOKENIZER_SKIP_SPECIALS, "");
    strbuf out = STRBUF_INIT;
    int32_t piece = tokenizer_id(t, "##aff", 5), ids[] = {piece, piece, -1, INT32_MAX};
    tokenizer_decode(t, ids, 4, TOKENIZER_SKIP_SPECIALS, &out);
    assert_string_equal(strbuf_str(&out), "##affaff [UNK] [UNK]");
    strbuf_free(&out);
    tokenizer_destroy(t);
}

#define SHARED_TEXT "Hello, [MASK] Café unaffable 東京 ΑΣ 한 hello world"

static void *encode_often(void *shared) {
    const tokenizer *t = shared;
    encoding first = ENCODING_INIT, e = ENCODING_INIT;
    bool same = tokenizer_encode(t, SHARED_TEXT, sizeof SHARED_TEXT - 1, NULL, &first) == POFAC_OK;
    for (int i = 0; i < 200 && same; i++) {
        same = tokenizer_encode(t, SHARED_TEXT, sizeof SHARED_TEXT - 1, NULL, &e) == POFAC_OK && e.size == first.size;
        for (size_t k = 0; k < e.size && same; k++)
            same = e.tokens[k].id == first.tokens[k].id && e.tokens[k].begin == first.tokens[k].begin;
    }
    encoding_free(&first);
    encoding_free(&e);
    return same ? shared : NULL;
}

static void threads_share_a_tokenizer(void **state) {
    (void)state;
    tokenizer *t = create((tokenizer_options){0});
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, encode_often, t), 0);
    for (size_t i = 0; i < 4; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, t);
    }
    tokenizer_destroy(t);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static const char text[] = "Hello, [MASK] Café unaffable 東京 and again hello world hello world";
    for (size_t n = 1;; n++) {
        tokenizer *t = NULL;
        encoding a = ENCODING_INIT, single = ENCODING_INIT, pair = ENCODING_INIT;
        strbuf said = STRBUF_INIT;
        diag_sink sink = diag_sink_to_strbuf(&said);
        fail_alloc_after(n);
        pofac_status status = tokenizer_create_from_memory("small", small_vocabulary, sizeof small_vocabulary - 1, NULL, &sink, &t);
        if (status == POFAC_OK) status = tokenizer_encode(t, text, sizeof text - 1, &sink, &a);
        if (status == POFAC_OK) status = tokenizer_build_single(t, &a, 512, &sink, &single);
        if (status == POFAC_OK) status = tokenizer_build_pair(t, &a, &a, 512, &sink, &pair);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        assert_string_equal(strbuf_str(&said), failed ? "error: out of memory\n" : "");
        tokenizer_destroy(t);
        encoding_free(&a);
        encoding_free(&single);
        encoding_free(&pair);
        strbuf_free(&said);
        if (!failed) break;
        assert_true(n < 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uncased_words),
        cmocka_unit_test(accents_and_case),
        cmocka_unit_test(marks_are_put_in_canonical_order),
        cmocka_unit_test(cased_words),
        cmocka_unit_test(options_are_independent),
        cmocka_unit_test(chinese_emoji_and_dropped_characters),
        cmocka_unit_test(bytes_that_are_not_utf8),
        cmocka_unit_test(words_that_are_too_long),
        cmocka_unit_test(special_tokens_in_text),
        cmocka_unit_test(ascii_path_equals_general_path),
        cmocka_unit_test(single_inputs),
        cmocka_unit_test(pair_inputs),
        cmocka_unit_test(truncation_equals_the_loop),
        cmocka_unit_test(vocabulary_lookups),
        cmocka_unit_test(decoding),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
