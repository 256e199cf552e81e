/* Growing strings and JSON escapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ir/support/strbuf.h"
#include "tests/unit/fail_alloc.h"

static void appends(void **state) {
    (void)state;
    strbuf b = STRBUF_INIT;
    assert_string_equal(strbuf_str(&b), "");
    strbuf_append(&b, NULL, 0);
    strbuf_puts(&b, "linear");
    strbuf_putc(&b, ' ');
    strbuf_printf(&b, "%%%d, %s", 3, "x");
    strbuf_append(&b, "abc", 2);
    assert_string_equal(strbuf_str(&b), "linear %3, xab");
    assert_int_equal(b.size, 14);
    strbuf_append(&b, "\0z", 2);
    assert_int_equal(b.size, 16);
    assert_memory_equal(b.data + 14, "\0z", 3);
    assert_true(strbuf_ok(&b));
    strbuf_clear(&b);
    assert_string_equal(strbuf_str(&b), "");
    assert_int_equal(b.size, 0);
    strbuf_free(&b);
    assert_null(b.data);
    strbuf_clear(&b);
    strbuf_free(&b);
}

static void grows_at_every_length(void **state) {
    (void)state;
    strbuf b = STRBUF_INIT;
    for (int i = 0; i < 3000; i++) {
        strbuf_putc(&b, (char)('a' + i % 26));
        assert_int_equal(strlen(strbuf_str(&b)), i + 1);
    }
    for (int i = 0; i < 3000; i++) assert_int_equal(b.data[i], 'a' + i % 26);
    strbuf_free(&b);
    for (int width = 1; width < 300; width++) { /* printf ends before, at and after the end of the capacity */
        strbuf_printf(&b, "%0*d", width, 5);
        assert_int_equal(b.size, width);
        assert_int_equal(strlen(b.data), width);
        assert_int_equal(b.data[width - 1], '5');
        strbuf_free(&b);
    }
}

static void call_vprintf(strbuf *b, const char *format, ...) POFAC_PRINTF(2, 3);
static void call_vprintf(strbuf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    strbuf_vprintf(b, format, args);
    va_end(args);
}

static void vprintf_appends(void **state) {
    (void)state;
    strbuf b = STRBUF_INIT;
    call_vprintf(&b, "%s=", "k");
    call_vprintf(&b, "%100d", 1);
    assert_int_equal(b.size, 102);
    strbuf_free(&b);
}

static void failure_is_sticky(void **state) {
    (void)state;
    for (size_t n = 1; n < 20; n++) {
        strbuf b = STRBUF_INIT;
        fail_alloc_after(n);
        strbuf_puts(&b, "begin ");
        strbuf_printf(&b, "%200d ", 1);
        strbuf_put_json(&b, "text", 4);
        for (int i = 0; i < 1000; i++) strbuf_putc(&b, 'x');
        const bool failed = fail_alloc_stop();
        assert_int_equal(strbuf_ok(&b), !failed);
        assert_int_equal(strlen(strbuf_str(&b)), b.size);
        if (failed) {
            const size_t size = b.size;
            strbuf_puts(&b, "later"); /* does nothing */
            strbuf_printf(&b, "later");
            assert_int_equal(b.size, size);
            assert_int_equal(memcmp(strbuf_str(&b), "begin ", size < 6 ? size : 6), 0);
        }
        strbuf_clear(&b);
        assert_true(strbuf_ok(&b));
        strbuf_puts(&b, "again");
        assert_string_equal(strbuf_str(&b), "again");
        strbuf_free(&b);
        if (!failed) return;
    }
    fail_msg("still failing after 20 allocations");
}

static void too_long_fails(void **state) {
    (void)state;
    strbuf b = STRBUF_INIT;
    strbuf_puts(&b, "x");
    strbuf_append(&b, "y", SIZE_MAX); /* must not read */
    assert_false(strbuf_ok(&b));
    assert_string_equal(strbuf_str(&b), "x");
    strbuf_free(&b);
}

#define BAD "\xEF\xBF\xBD" /* U+FFFD */

static void json_escapes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *wanted;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain text", 10, "\"plain text\""},
        {"\"\\/", 3, "\"\\\"\\\\/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\x00\x01\x1f\x20\x7f", 5, "\"\\u0000\\u0001\\u001f \x7f\""},
        {"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", 11, "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\""},
        {"\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF", 10, "\"\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\""}, /* the limits */
        /* One U+FFFD for each maximal beginning of a sequence (Unicode 15, section 3.9, tables 3-8 to 3-11). */
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", 9, "\"" BAD BAD BAD BAD BAD BAD BAD BAD "A\""},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", 9, "\"" BAD BAD BAD BAD BAD BAD BAD BAD "A\""},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", 9, "\"" BAD BAD BAD BAD BAD "A" BAD BAD "B\""},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 9, "\"" BAD BAD BAD BAD "A\""},
        {"a\xE2\x82", 3, "\"a" BAD "\""}, /* cut at the end */
        {"\xF0\x9F\x98", 3, "\"" BAD "\""},
        {"\xC3\"", 2, "\"" BAD "\\\"\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf b = STRBUF_INIT;
        strbuf_put_json(&b, cases[i].text, cases[i].n);
        if (strcmp(strbuf_str(&b), cases[i].wanted) != 0)
            fail_msg("case %zu: found %s, wanted %s", i, strbuf_str(&b), cases[i].wanted);
        strbuf_free(&b);
    }
}

static void html_escapes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *wanted;
    } cases[] = {
        {"a b", 3, "a b"},
        {"<script>&\"'</script>", 20, "&lt;script&gt;&amp;&quot;&#39;&lt;/script&gt;"},
        {"\xC3\xA4\xF0\x9F\x98\x80", 6, "\xC3\xA4\xF0\x9F\x98\x80"},
        {"x\xC3y", 3, "x\xEF\xBF\xBDy"},
        {"a\nb\tc\x01\x7f\0d", 9,
         "a\nb\tc\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
         "d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf b = STRBUF_INIT;
        strbuf_put_html(&b, cases[i].text, cases[i].n);
        if (strcmp(strbuf_str(&b), cases[i].wanted) != 0)
            fail_msg("case %zu: found %s, wanted %s", i, strbuf_str(&b), cases[i].wanted);
        strbuf_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),           cmocka_unit_test(grows_at_every_length), cmocka_unit_test(vprintf_appends),
        cmocka_unit_test(failure_is_sticky), cmocka_unit_test(too_long_fails),        cmocka_unit_test(json_escapes),
        cmocka_unit_test(html_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
