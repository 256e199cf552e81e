/* JSON in and out: places of syntax errors, descriptions of values, shortest decimals. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "ir/support/json_text.h"

static void expect_message(const char *part, const char *json, const char *said) {
    strbuf text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&text);
    json_t *root;
    assert_int_equal(json_parse("f", part, json, strlen(json), &sink, &root), POFAC_ERR_INPUT);
    assert_null(root);
    assert_string_equal(strbuf_str(&text), said);
    strbuf_free(&text);
}

static void test_places(void **state) {
    (void)state;
    expect_message(NULL, "{\n\t\"\xc3\xb6\": nope\n}",
                   "f:2:8: error: invalid JSON: invalid token near 'nope'\n  \t\"\xc3\xb6\": nope\n  \t     ^\n");
    expect_message(NULL, "[1, 2", "f:1:6: error: invalid JSON: ']' expected near end of file\n  [1, 2\n       ^\n");
    expect_message(NULL, "[1]\n]", "f:2:1: error: invalid JSON: end of file expected near ']'\n  ]\n  ^\n");
    expect_message("header", "[1, }", "f: error: header: invalid JSON at byte 4: unexpected token near '}'\n");
}

static void test_depth(void **state) {
    (void)state;
    char deep[5000];
    memset(deep, '[', sizeof deep);
    json_t *root;
    assert_int_equal(json_parse("f", NULL, deep, sizeof deep, NULL, &root), POFAC_ERR_INPUT);
}

static void expect_description(const char *json, const char *wanted) {
    json_t *root;
    strbuf text = STRBUF_INIT;
    assert_int_equal(json_parse("f", NULL, json, strlen(json), NULL, &root), POFAC_OK);
    assert_string_equal(json_describe(root, &text), wanted);
    json_decref(root);
    strbuf_free(&text);
}

static void test_descriptions(void **state) {
    (void)state;
    expect_description("{}", "an object");
    expect_description("[]", "an array");
    expect_description("true", "true");
    expect_description("false", "false");
    expect_description("null", "null");
    expect_description("-7", "-7");
    expect_description("0.1", "0.1");
    expect_description("\"a\\n\"", "\"a\\n\"");
    expect_description("\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
                       "\"012345678901234567890123456789012345678901234567890123456789\"... (70 bytes)");
}

static void test_large_integers(void **state) {
    (void)state;
    static const char json[] = "[1000000000000000019884624838656, 2]";
    json_t *root;
    expect_message(NULL, json,
                   "f:1:33: error: invalid JSON: too big integer\n"
                   "  [1000000000000000019884624838656, 2]\n                                  ^\n");
    assert_int_equal(json_parse_as_reals("f", NULL, json, strlen(json), NULL, &root), POFAC_OK);
    assert_true(json_real_value(json_array_get(root, 0)) == 1e30);
    assert_true(json_real_value(json_array_get(root, 1)) == 2);
    json_decref(root);
}

static void test_reals(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0.0"},
                {-0.0, "-0.0"},
                {1, "1.0"},
                {0.1, "0.1"},
                {1e-12, "1e-12"},
                {1e300, "1e+300"},
                {2.0 / 3, "0.6666666666666666"},
                {5e-324, "5e-324"},
                {NAN, "null"},
                {INFINITY, "null"},
                {123456, "123456.0"},
                {-1.5, "-1.5"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        strbuf text = STRBUF_INIT;
        json_put_real(rows[i].value, &text);
        assert_string_equal(strbuf_str(&text), rows[i].text);
        strbuf_free(&text);
    }
}

static void expect_printed(const char *json, unsigned indent, const char *wanted) {
    json_t *root;
    strbuf text = STRBUF_INIT;
    assert_int_equal(json_parse("f", NULL, json, strlen(json), NULL, &root), POFAC_OK);
    assert_true(json_put_value(root, indent, &text));
    assert_string_equal(strbuf_str(&text), wanted);
    strbuf_free(&text);
    json_decref(root);
}

/* As Python's json.dump with indent and sort_keys. */
static void test_values(void **state) {
    (void)state;
    expect_printed("{}", 2, "{}");
    expect_printed(" [ ] ", 2, "[]");
    expect_printed("\"a\\n\\u00e9\"", 2, "\"a\\n\xc3\xa9\"");
    expect_printed("{\"b\": [1, {\"x\": 0.1}, []], \"a\": {\"z\": null, \"y\": true, \"w\": false}, \"c\": -7}", 2,
                   "{\n  \"a\": {\n    \"w\": false,\n    \"y\": true,\n    \"z\": null\n  },\n  \"b\": [\n    1,\n    {\n      "
                   "\"x\": 0.1\n    },\n    []\n  "
                   "],\n  \"c\": -7\n}");
    expect_printed("[1]", 4, "[\n    1\n]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),         cmocka_unit_test(test_depth), cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_large_integers), cmocka_unit_test(test_reals), cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
