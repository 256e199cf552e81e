/*
 * Tokens that are found literally in text: where, which, and what is left beside them. The rules are those of Hugging Face's tokenizers;
 * ids on the vocabulary of BERT-Base are exact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "frontend/text/tokenizer.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text/small_vocabulary.h"

static tokenizer *create(const added_token *tokens, size_t n) {
    tokenizer *t = NULL;
    assert_int_equal(tokenizer_create_from_memory("small", small_vocabulary, sizeof small_vocabulary - 1, NULL, NULL, &t),
                     POFAC_OK);
    assert_int_equal(tokenizer_add(t, "added", tokens, n, NULL), POFAC_OK);
    return t;
}

static void expect_n(const added_token *tokens, size_t n, const char *text, const char *wanted) {
    tokenizer *t = create(tokens, n);
    encoding e = ENCODING_INIT;
    strbuf found = STRBUF_INIT;
    assert_int_equal(tokenizer_encode(t, text, strlen(text), NULL, &e), POFAC_OK);
    put_encoding(t, &e, &found);
    if (strcmp(strbuf_str(&found), wanted) != 0) print_error("text: %s\n", text);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
    encoding_free(&e);
    tokenizer_destroy(t);
}

/* The same with one token. */
static void expect(added_token token, const char *text, const char *wanted) {
    token.id = -1;
    expect_n(&token, 1, text, wanted);
}

static void in_the_middle_of_words(void **state) {
    (void)state;
    const added_token e = {.content = "<e>"};
    expect(e, "", "");
    expect(e, "<e>", "<e>@0-3");
    expect(e, "hello<e>s <e><e>", "hello@0-5 <e>@5-8 s@8-9 <e>@10-13 <e>@13-16");
    expect(e, "<E>", "[UNK]@0-1 e@1-2 [UNK]@2-3"); /* case counts: not normalized */
    expect(e, "<e", "[UNK]@0-1 e@1-2");
    expect(e, "<<e>", "[UNK]@0-1 <e>@1-4");
    expect((added_token){.content = "ell"}, "hello", "[UNK]@0-1 ell@1-4 [UNK]@4-5");
    expect((added_token){.content = "the quick"}, "the quick fox", "the quick@0-9 fox@10-13");
    expect((added_token){.content = "é"}, "caf\xC3\xA9\xA9x", "caf@0-3 é@3-5 x@6-7"); /* a stray byte behind it */
}

/* The longest of those at the first place, whatever the order in which they were added. */
static void longest_at_the_first_place(void **state) {
    (void)state;
    const added_token tokens[] = {{.content = "un", .id = -1},
                                  {.content = "unaff", .id = -1},
                                  {.content = "affable", .id = -1},
                                  {.content = "unaffabl", .id = -1}};
    expect_n(tokens, 4, "unaffable", "unaffabl@0-8 e@8-9");
    expect_n(tokens, 3, "unaffable", "unaff@0-5 [UNK]@5-9");
    expect_n(tokens, 1, "unaffable", "un@0-2 [UNK]@2-9");
    expect_n(tokens, 4, "unafunun", "un@0-2 [UNK]@2-4 un@4-6 un@6-8");
    expect_n(tokens + 2, 1, "unaffable", "un@0-2 affable@2-9");
    /* A token with a role is one of them. */
    const added_token longer[] = {{.content = "[MASK]s", .id = -1}};
    expect_n(longer, 1, "[MASK] [MASK]s", "[MASK]@0-6 [MASK]s@7-14");
}

static void white_space_beside(void **state) {
    (void)state;
    expect((added_token){.content = "<e>", .lstrip = true}, "x \t<e> x", "x@0-1 <e>@1-6 x@7-8");
    expect((added_token){.content = "<e>", .rstrip = true}, "x <e> \n", "x@0-1 <e>@2-7");
    expect((added_token){.content = "<e>", .rstrip = true}, "<e>\u3000x", "<e>@0-6 x@6-7");
    const added_token both = {.content = "<e>", .lstrip = true, .rstrip = true};
    expect(both, " <e> <e> x", "<e>@0-5 <e>@5-9 x@9-10"); /* the space between them goes to the first */
    expect(both, "  ", "");
    expect(both, "\xA0 <e>", "<e>@1-5"); /* a byte that is not UTF-8 is no white space */
    /* [MASK] as some models have it */
    expect((added_token){.content = "[MASK]", .lstrip = true, .special = true}, "x [MASK].", "x@0-1 [MASK]@1-8 .@8-9");
}

static void words_beside(void **state) {
    (void)state;
    const added_token x = {.content = "x", .single_word = true};
    expect(x, "x", "x@0-1");
    expect(x, "xx x-x", "x@0-1 ##x@1-2 x@3-4 -@4-5 x@5-6");
    expect((added_token){.content = "<e>", .single_word = true}, "a<e> <e>é <e>, <e>_ 1<e>",
           "a@0-1 [UNK]@1-2 e@2-3 [UNK]@3-4 [UNK]@5-6 e@6-7 [UNK]@7-8 e@8-10 <e>@11-14 ,@14-15 [UNK]@16-17 e@17-18 [UNK]@18-19 "
           "[UNK]@19-20 [UNK]@21-22 [UNK]@22-23 e@23-24 [UNK]@24-25");
    /* A match that is refused is passed over whole: the token that begins within it is not looked for. */
    const added_token tokens[] = {{.content = "ab", .id = -1, .single_word = true}, {.content = "bc", .id = -1}};
    expect_n(tokens, 2, "abc bc", "a@0-1 ##b@1-2 ##c@2-3 bc@4-6");
}

/* Both text and token in normal form; what is literal is found before. */
static void normalized_tokens(void **state) {
    (void)state;
    const added_token e = {.content = "<É>", .normalized = true};
    expect(e, "x <e> <É><É>y <x>", "x@0-1 <É>@2-5 <É>@6-10 <É>@10-14 [UNK]@14-15 [UNK]@16-17 x@17-18 [UNK]@18-19");
    expect(e,
           "x <\x01"
           "e>",
           "x@0-1 <É>@2-6"); /* dropped characters are not there any more */
    expect(e, "caf\xC3\xA9 the", "cafe@0-5 the@6-9");
    expect((added_token){.content = "the  fox", .normalized = true}, "The\t\u00A0FOX the fox", "the  fox@0-9 the@10-13 fox@14-17");
    expect((added_token){.content = "東京", .normalized = true}, "x東京x 東x京", "x@0-1 東京@1-7 x@7-8 東@9-12 x@12-13 京@13-16");
    expect((added_token){.content = "<e>", .normalized = true, .single_word = true}, "É<E> <E>.",
           "e@0-2 [UNK]@2-3 e@3-4 [UNK]@4-5 <e>@6-9 .@9-10");
    expect((added_token){.content = "<e>", .normalized = true, .lstrip = true}, "X \u3000<E> x", "x@0-1 <e>@1-8 x@9-10");
    expect((added_token){.content = "\u0301", .normalized = true}, "é", "e@0-2"); /* nothing is left of it */
    const added_token tokens[] = {{.content = "the <e>", .id = -1, .normalized = true}, {.content = "<e>", .id = -1}};
    expect_n(tokens, 2, "the <e> the <E>", "the@0-3 <e>@4-7 the <e>@8-15");
    /* Two of the same normal form: the first one counts. */
    const added_token same[] = {{.content = "<E>", .id = -1, .normalized = true}, {.content = "<e>", .id = -1, .normalized = true}};
    expect_n(same, 2, "<e>", "<E>@0-3");
}

/* A token that is added again takes the new flags and keeps its id. */
static void added_again(void **state) {
    (void)state;
    const added_token first = {.content = "<e>", .id = -1}, again = {.content = "<e>", .id = -1, .rstrip = true, .special = true};
    tokenizer *t = create(&first, 1);
    const size_t n = tokenizer_vocab_size(t);
    assert_int_equal(tokenizer_add(t, "again", &again, 1, NULL), POFAC_OK);
    assert_int_equal(tokenizer_vocab_size(t), n);
    encoding e = ENCODING_INIT;
    assert_int_equal(tokenizer_encode(t, "<e> <e>", 7, NULL, &e), POFAC_OK);
    assert_int_equal(e.size, 2);
    assert_int_equal(e.tokens[0].id, n - 1);
    assert_int_equal(e.tokens[0].end, 4);
    strbuf text = STRBUF_INIT;
    tokenizer_decode(t, &e.tokens[0].id, 1, TOKENIZER_KEEP_SPECIALS, &text);
    assert_string_equal(strbuf_str(&text), "<e>");
    strbuf_clear(&text);
    tokenizer_decode(t, &e.tokens[0].id, 1, TOKENIZER_SKIP_SPECIALS, &text);
    assert_string_equal(strbuf_str(&text), "");
    strbuf_free(&text);
    encoding_free(&e);
    tokenizer_destroy(t);
}

/* Ids on BERT-Base's vocabulary, the added tokens behind it as Hugging Face's add_tokens and add_special_tokens put them. */
static void expect_ids(const tokenizer *t, const char *text, const char *wanted) {
    encoding e = ENCODING_INIT;
    strbuf found = STRBUF_INIT;
    assert_int_equal(tokenizer_encode(t, text, strlen(text), NULL, &e), POFAC_OK);
    for (size_t i = 0; i < e.size; i++) strbuf_printf(&found, "%s%d", i ? " " : "", e.tokens[i].id);
    if (strcmp(strbuf_str(&found), wanted) != 0) print_error("text: %s\n", text);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
    encoding_free(&e);
}

static tokenizer *create_uncased(void) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char path[4096];
    tokenizer *t = NULL;
    snprintf(path, sizeof path, "%s/data/vocab/bert-base-uncased-vocab.txt", shared);
    assert_int_equal(tokenizer_create(path, NULL, NULL, &t), POFAC_OK);
    return t;
}

/* pitfall 16: special tokens in the text are single ids, others that were added too. */
static void ids_of_special_tokens_in_text(void **state) {
    (void)state;
    tokenizer *t = create_uncased();
    expect_ids(t, "The capital of [MASK] is [SEP] Paris.", "1996 3007 1997 103 2003 102 3000 1012");
    expect_ids(t, "[CLS]hello[MASK]world[PAD][UNK] [mask]", "101 7592 103 2088 0 100 1031 7308 1033");
    expect_ids(t, "<E1> covid-19", "1026 1041 2487 1028 2522 17258 1011 2539");
    static const added_token tokens[] = {
        {.content = "<e1>", .id = 30522, .special = true},
        {.content = "COVID-19", .id = 30523, .normalized = true},
    };
    assert_int_equal(tokenizer_add(t, "added", tokens, 2, NULL), POFAC_OK);
    expect_ids(t, "<e1> covid-19s <E1>", "30522 30523 1055 1026 1041 2487 1028");
    tokenizer_destroy(t);
}

/* Long texts full of what almost is a token, and many tokens, take no longer than others: seconds at most, where steps that look at
 * everything again would take hours. */
static void time_is_linear(void **state) {
    (void)state;
    enum { n_tokens = 50000, n_bytes = 4000000 };
    added_token *tokens = calloc(n_tokens, sizeof *tokens);
    char *contents = malloc(n_tokens * 16), *text = malloc(n_bytes);
    for (size_t i = 0; i < n_tokens; i++) {
        snprintf(contents + i * 16, 16, "[MAS%zu]", i);
        tokens[i] = (added_token){.content = contents + i * 16, .id = -1, .lstrip = true, .normalized = i % 2 == 0};
    }
    for (size_t i = 0; i < n_bytes; i++) text[i] = " [MAS1"[i % 6];
    clock_t begin = clock();
    tokenizer *t = create(tokens, n_tokens);
    encoding e = ENCODING_INIT;
    assert_int_equal(tokenizer_encode(t, text, n_bytes, NULL, &e), POFAC_OK);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 60);
    encoding_free(&e);
    tokenizer_destroy(t);
    free(tokens);
    free(contents);
    free(text);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static const added_token tokens[] = {{.content = "<e>", .id = -1}, {.content = "<É>", .id = -1, .normalized = true}};
    static const char text[] = "hello <e> <é> 東京";
    for (size_t n = 1;; n++) {
        tokenizer *t = NULL;
        encoding e = ENCODING_INIT;
        strbuf said = STRBUF_INIT;
        diag_sink sink = diag_sink_to_strbuf(&said);
        fail_alloc_after(n);
        pofac_status status = tokenizer_create_from_memory("small", small_vocabulary, sizeof small_vocabulary - 1, NULL, &sink, &t);
        if (status == POFAC_OK) status = tokenizer_add(t, "added", tokens, 2, &sink);
        if (status == POFAC_OK) status = tokenizer_encode(t, text, sizeof text - 1, &sink, &e);
        bool failed = fail_alloc_stop();
        assert_string_equal(strbuf_str(&said), failed ? "error: out of memory\n" : "");
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        encoding_free(&e);
        tokenizer_destroy(t);
        strbuf_free(&said);
        if (!failed) break;
        assert_true(n < 10000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_the_middle_of_words),
        cmocka_unit_test(longest_at_the_first_place),
        cmocka_unit_test(white_space_beside),
        cmocka_unit_test(words_beside),
        cmocka_unit_test(normalized_tokens),
        cmocka_unit_test(added_again),
        cmocka_unit_test(ids_of_special_tokens_in_text),
        cmocka_unit_test(time_is_linear),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
