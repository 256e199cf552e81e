/* Doubles as text: known forms, the same bits back for numbers of every size, refusals, and another locale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/decimal.h"
#include "ir/support/rng.h"

static void expect_text(double value, const char *wanted) {
    strbuf text = STRBUF_INIT;
    decimal_put(&text, value);
    assert_string_equal(strbuf_str(&text), wanted);
    strbuf_free(&text);
}

static void test_forms(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0"},
                {-0.0, "-0"},
                {1, "1"},
                {-1.5, "-1.5"},
                {123456, "123456"},
                {0.1, "0.1"},
                {0.1f, "0.10000000149011612"},
                {0.1 + 0.2, "0.30000000000000004"},
                {1e-12, "1e-12"},
                {1e22, "1e+22"},
                {9007199254740993.0, "9007199254740992"},
                {DBL_MAX, "1.7976931348623157e+308"},
                {DBL_MIN, "2.2250738585072014e-308"},
                {5e-324, "5e-324"},
                {-1e-323, "-1e-323"},
                {INFINITY, "inf"},
                {-INFINITY, "-inf"},
                {NAN, "nan"},
                {-NAN, "nan"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) expect_text(rows[i].value, rows[i].text);
}

static void expect_same_bits(double value) {
    strbuf text = STRBUF_INIT;
    double back = 0;
    decimal_put(&text, value);
    bool read = decimal_read(strbuf_str(&text), text.size, &back);
    if (!read || memcmp(&value, &back, sizeof value) != 0)
        fail_msg("%a was written as %s, which reads as %a", value, strbuf_str(&text), back);
    strbuf_free(&text);
}

/* Every exponent with random digits, every power of two and its neighbours. */
static void test_round_trip(void **state) {
    (void)state;
    const rng_key key = rng_key_make(1, "decimal");
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        for (uint64_t i = 0; i < 8; i++) {
            uint64_t fraction =
                i < 3 ? (UINT64_C(0) - i + 1) & (UINT64_MAX >> 12) : rng_below(key, 8 * exponent + i, UINT64_C(1) << 52);
            uint64_t bits = (i & 1) << 63 | exponent << 52 | fraction;
            double value;
            memcpy(&value, &bits, sizeof value);
            expect_same_bits(value);
        }
    }
}

static void test_refused(void **state) {
    (void)state;
    static const char *const rows[] = {"",   "-",   ".",   "e5",    "1e",     "1e+", "0x10", " 1",
                                       "1 ", "inf", "nan", "1e999", "-1e999", "1,5", "+1",   "--1"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double value = 7;
        if (decimal_read(rows[i], strlen(rows[i]), &value)) fail_msg("\"%s\" read as %g, wanted a refusal", rows[i], value);
        assert_true(value == 7);
    }
    char *zeros = malloc(DECIMAL_MAX_BYTES + 1);
    double value = 7;
    assert_non_null(zeros);
    memset(zeros, '0', DECIMAL_MAX_BYTES + 1);
    assert_false(decimal_read(zeros, DECIMAL_MAX_BYTES + 1, &value));
    assert_true(decimal_read(zeros, DECIMAL_MAX_BYTES, &value));
    assert_true(value == 0);
    assert_false(decimal_read("1\0", 2, &value));
    free(zeros);
}

static void test_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
    } rows[] = {{"1e-999", 0}, {"12.", 12}, {".5", 0.5}, {"1E5", 1e5}, {"-2.5e+2", -250}, {"9007199254740993", 9007199254740992.0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double value = -1;
        if (!decimal_read(rows[i].text, strlen(rows[i].text), &value) || value != rows[i].value)
            fail_msg("\"%s\" read as %g, wanted %g", rows[i].text, value, rows[i].value);
    }
}

/* A program may have set a locale that writes 0,5. */
static void test_locale(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    bool set = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !set; i++) set = setlocale(LC_NUMERIC, names[i]) != NULL;
    if (!set) {
        print_message("SKIP: no locale with a decimal comma is installed\n");
        skip();
    }
    double value = 0;
    expect_text(0.5, "0.5");
    assert_true(decimal_read("0.5", 3, &value));
    assert_true(value == 0.5);
    assert_true(strtod("0,5", NULL) == 0.5); /* the program's locale is as it was */
    setlocale(LC_NUMERIC, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_read),  cmocka_unit_test(test_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
