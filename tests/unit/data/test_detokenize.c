/* Tokenized lines of WikiText and the text that they were made from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/data/detokenize.h"

static void expect(const char *tokens, const char *wanted) {
    strbuf out = STRBUF_INIT;
    detokenize_line(tokens, strlen(tokens), &out);
    assert_string_equal(strbuf_str(&out), wanted);
    strbuf_free(&out);
}

static void numbers_and_hyphens_are_joined(void **state) {
    (void)state;
    expect(" a well @-@ known 1 @,@ 250 @.@ 5 km ", "a well-known 1,250.5 km");
    expect("@-@ a", "-a");
    expect("5 – 6 km , 35 ° C , 12 % , $ 5 , £ 3 , € 4", "5 – 6 km, 35°C, 12%, $5, £3, €4");
}

static void punctuation_stands_next_to_words(void **state) {
    (void)state;
    expect("One , two ; three : four ! Five ? Six .", "One, two; three: four! Five? Six.");
    expect("length ( 24 in ) and [ sic ] { x }", "length (24 in) and [sic] {x}");
    expect("It 's done , they 'll see , didn 't we", "It's done, they'll see, didn't we");
    expect("It 'S", "It'S");
}

static void quotations_open_and_close(void **state) {
    (void)state;
    expect("only \" lobster red \" , on \" cooking \" .", "only \"lobster red\", on \"cooking\".");
    expect("he said ' yes ' and ' no '", "he said 'yes' and 'no'");
    expect("the lobsters ' claws", "the lobsters' claws");
    expect("“ so ” and ‘ so ’", "“so” and ‘so’");
    expect("\" open", "\"open");
}

static void unknown_words_become_the_tokenizers(void **state) {
    (void)state;
    expect("Frank <unk> , a <unk>", "Frank [UNK], a [UNK]");
}

static void anything_else_is_kept(void **state) {
    (void)state;
    expect("", "");
    expect("   ", "");
    expect("a  b", "a b");
    expect(". a", ". a");
    expect("Ä ö @ @-", "Ä ö @ @-");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_hyphens_are_joined), cmocka_unit_test(punctuation_stands_next_to_words),
        cmocka_unit_test(quotations_open_and_close),      cmocka_unit_test(unknown_words_become_the_tokenizers),
        cmocka_unit_test(anything_else_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
