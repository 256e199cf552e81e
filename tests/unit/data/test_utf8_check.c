/* Where text stops being UTF-8, for every kind of mistake and every place in a word of eight bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/data/utf8_check.h"

static const char *const good[] = {"",
                                   "a",
                                   "\x7f",
                                   "\xc2\x80",
                                   "\xdf\xbf",
                                   "\xe0\xa0\x80",
                                   "\xed\x9f\xbf",
                                   "\xee\x80\x80",
                                   "\xef\xbf\xbf",
                                   "\xf0\x90\x80\x80",
                                   "\xf4\x8f\xbf\xbf"};
static const char *const bad[] = {"\x80",
                                  "\xbf",
                                  "\xc0\x80",
                                  "\xc1\xbf",
                                  "\xc2",
                                  "\xc2\x41",
                                  "\xe0\x9f\xbf",
                                  "\xe1\x80",
                                  "\xed\xa0\x80",
                                  "\xe1\x80\x41",
                                  "\xf0\x8f\xbf\xbf",
                                  "\xf4\x90\x80\x80",
                                  "\xf5\x80\x80\x80",
                                  "\xff",
                                  "\xfe",
                                  "\xf1\x80\x80"};

static void expect(size_t before, const char *text, size_t behind, size_t wanted) {
    char bytes[64];
    const size_t n = strlen(text);
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes + before, text, n);
    const size_t found = utf8_valid_bytes(bytes, before + n + behind);
    if (found != wanted)
        fail_msg("%zu bytes, \"\\x%02x...\", %zu bytes: found %zu, wanted %zu", before, (unsigned char)*text, behind, found,
                 wanted);
}

static void well_formed_text_is_valid_to_its_end(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        for (size_t before = 0; before < 18; before++)
            for (size_t behind = 0; behind < 18; behind++) expect(before, good[i], behind, before + strlen(good[i]) + behind);
}

static void malformed_text_is_valid_up_to_the_mistake(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t before = 0; before < 18; before++)
            for (size_t behind = 0; behind < 18; behind++) expect(before, bad[i], behind, before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_text_is_valid_to_its_end),
        cmocka_unit_test(malformed_text_is_valid_up_to_the_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
