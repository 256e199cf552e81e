/* Examples to tokens: segments, longest-first cuts, and labels of words at their first tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "frontend/data/example_tokens.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text/small_vocabulary.h"

static tokenizer *create(void) {
    tokenizer *t;
    assert_int_equal(
        tokenizer_create_from_memory("vocab", small_vocabulary, strlen(small_vocabulary), &(tokenizer_options){0}, NULL, &t),
        POFAC_OK);
    return t;
}

static void put_tokens(const tokenizer *tok, const example_tokens *t, strbuf *out) {
    for (size_t i = 0; i < t->built.size; i++) {
        strbuf_printf(out, "%s%s", i ? " " : "", tokenizer_token(tok, t->built.tokens[i].id));
        if (t->built.tokens[i].type_id) strbuf_printf(out, ":%d", (int)t->built.tokens[i].type_id);
        if (t->labels.size) strbuf_printf(out, "(%d)", (int)t->labels.data[i]);
    }
    strbuf_printf(out, " of %zu", t->full_length);
}

static void expect(const task_example *e, size_t max_length, const char *wanted) {
    tokenizer *tok = create();
    example_tokens t = EXAMPLE_TOKENS_INIT;
    strbuf found = STRBUF_INIT;
    for (int round = 0; round < 2; round++) { /* again with what is there */
        strbuf_clear(&found);
        assert_int_equal(example_tokens_encode(&t, tok, e, max_length, NULL), POFAC_OK);
        put_tokens(tok, &t, &found);
        assert_string_equal(strbuf_str(&found), wanted);
    }
    strbuf_free(&found);
    example_tokens_free(&t);
    tokenizer_destroy(tok);
}

static task_example texts(const char *a, const char *b) {
    return (task_example){.text_a = a, .text_a_bytes = strlen(a), .text_b = b, .text_b_bytes = b ? strlen(b) : 0};
}

static void one_text_and_two(void **state) {
    (void)state;
    task_example e = texts("hello world", NULL);
    expect(&e, 512, "[CLS] hello world [SEP] of 4");
    e = texts("hello world hello world", NULL);
    expect(&e, 5, "[CLS] hello world hello [SEP] of 6");
    e = texts("hello", "world !");
    expect(&e, 512, "[CLS] hello [SEP] world:1 !:1 [SEP]:1 of 6");
}

static void the_longer_text_is_cut(void **state) {
    (void)state;
    task_example e = texts("hello", "world a b c !");
    expect(&e, 7, "[CLS] hello [SEP] world:1 a:1 b:1 [SEP]:1 of 9");
    e = texts("world a b c !", "hello");
    expect(&e, 7, "[CLS] world a b [SEP] hello:1 [SEP]:1 of 9");
    e = texts("a b c", "c b a");
    expect(&e, 7, "[CLS] a b [SEP] c:1 b:1 [SEP]:1 of 9"); /* of equal ones the second goes first */
    expect(&e, 6, "[CLS] a b [SEP] c:1 [SEP]:1 of 9");
}

static void labels_of_words(void **state) {
    (void)state;
    static const char *const words[] = {"hello", "unaffable", "\x01", "world"};
    static const int32_t labels[] = {3, 1, 7, 2};
    task_example e = {.words = words, .n_words = 4, .tag_labels = labels};
    expect(&e, 512, "[CLS](-100) hello(3) un(1) ##aff(-100) ##able(-100) world(2) [SEP](-100) of 7");
    expect(&e, 5, "[CLS](-100) hello(3) un(1) ##aff(-100) [SEP](-100) of 7");
    e.tag_labels = NULL;
    expect(&e, 512, "[CLS] hello un ##aff ##able world [SEP] of 7");
}

static void limits_that_are_too_short(void **state) {
    (void)state;
    const task_example e = texts("hello", NULL);
    tokenizer *tok = create();
    example_tokens t = EXAMPLE_TOKENS_INIT;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(example_tokens_encode(&t, tok, &e, 4, &sink), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&said), "error: max_seq_length: found 4, wanted at least 5\n");
    strbuf_free(&said);
    example_tokens_free(&t);
    tokenizer_destroy(tok);
}

static void failing_allocations(void **state) {
    (void)state;
    static const char *const words[] = {"hello", "unaffable", "world"};
    static const int32_t labels[] = {3, 1, 2};
    const task_example kinds[] = {texts("hello", "world"), {.words = words, .n_words = 3, .tag_labels = labels}};
    tokenizer *tok = create();
    for (size_t k = 0; k < 2; k++)
        for (size_t n = 1;; n++) {
            example_tokens t = EXAMPLE_TOKENS_INIT;
            fail_alloc_after(n);
            pofac_status status = example_tokens_encode(&t, tok, &kinds[k], 16, NULL);
            bool failed = fail_alloc_stop();
            example_tokens_free(&t);
            assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
            if (!failed) break;
        }
    tokenizer_destroy(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_text_and_two),          cmocka_unit_test(the_longer_text_is_cut), cmocka_unit_test(labels_of_words),
        cmocka_unit_test(limits_that_are_too_short), cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
