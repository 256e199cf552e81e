/* Rendering of diagnostics, sinks, and the nearest word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ir/support/diag.h"
#include "tests/unit/fail_alloc.h"

static void check_render(diag_place place, const char *wanted) {
    strbuf b = STRBUF_INIT;
    const diag d = {.severity = DIAG_ERROR, .status = POFAC_ERR_INPUT, .place = place, .message = "found 3, wanted 4"};
    diag_render(&d, &b);
    assert_string_equal(strbuf_str(&b), wanted);
    strbuf_free(&b);
}

static void place_of(diag_place *place, uint32_t column, const char *text) {
    *place = (diag_place){.file = "f.pir", .line = 7, .column = column, .text = text, .text_bytes = text ? strlen(text) : 0};
}

static void renders_the_known_parts(void **state) {
    (void)state;
    check_render((diag_place){0}, "error: found 3, wanted 4\n");
    check_render((diag_place){.file = "a.xml"}, "a.xml: error: found 3, wanted 4\n");
    check_render((diag_place){.file = "a.xml", .line = 2}, "a.xml:2: error: found 3, wanted 4\n");
    check_render((diag_place){.file = "a.xml", .line = 2, .column = 9}, "a.xml:2:9: error: found 3, wanted 4\n");
    check_render((diag_place){.file = "a.xml", .column = 9}, "a.xml: error: found 3, wanted 4\n");
    check_render((diag_place){.line = 2, .column = 9}, "2:9: error: found 3, wanted 4\n");
}

static void renders_the_source_line(void **state) {
    (void)state;
    diag_place p;
    place_of(&p, 1, "abc def");
    check_render(p, "f.pir:7:1: error: found 3, wanted 4\n  abc def\n  ^\n");
    place_of(&p, 5, "abc def\r\n");
    check_render(p, "f.pir:7:5: error: found 3, wanted 4\n  abc def\n      ^\n");
    place_of(&p, 8, "abc def"); /* behind the last character: something is missing there */
    check_render(p, "f.pir:7:8: error: found 3, wanted 4\n  abc def\n         ^\n");
    place_of(&p, 9, "abc def"); /* outside */
    check_render(p, "f.pir:7:9: error: found 3, wanted 4\n  abc def\n");
    place_of(&p, 0, "abc def");
    check_render(p, "f.pir:7: error: found 3, wanted 4\n  abc def\n");
    place_of(&p, 4, "\ta\tbc"); /* tabs move the caret as they move the text */
    check_render(p, "f.pir:7:4: error: found 3, wanted 4\n  \ta\tbc\n  \t \t^\n");
    place_of(&p, 6, "\xC3\xA9\xE2\x82\xAC!"); /* two characters of 2 and 3 bytes */
    check_render(p, "f.pir:7:6: error: found 3, wanted 4\n  \xC3\xA9\xE2\x82\xAC!\n    ^\n");
    place_of(&p, 1, "\x1b[31mred\x7f"); /* nothing that a terminal would obey */
    check_render(p, "f.pir:7:1: error: found 3, wanted 4\n  ?[31mred?\n  ^\n");
    place_of(&p, 1, "");
    check_render(p, "f.pir:7:1: error: found 3, wanted 4\n  \n  ^\n");
    /* what is no character, or one of control: a "?" for each byte, and a column too */
    static const struct {
        const char *text, *shown;
        uint32_t column, caret;
    } odd[] = {{"a\xFFz", "a?z", 3, 3},
               {"\xC3\xA4\xE2\x82\xACz", "\xC3\xA4\xE2\x82\xACz", 6, 3},
               {"\xE2\x82z", "??z", 3, 3},
               {"\xF0\x9F\x98\x80z\xF0\x9F\x98", "\xF0\x9F\x98\x80z???", 5, 2},
               {"\xC2\x9B"
                "31mz",
                "??31mz", 6, 6},
               {"\xC0\xAFz", "??z", 3, 3},
               {"\xE0\x80\x80z", "???z", 4, 4},
               {"\xED\xA0\x80z", "???z", 4, 4},
               {"\xF4\x90\x80\x80z", "????z", 5, 5},
               {"\xF5\x80\x80\x80z", "????z", 5, 5}};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        char wanted[64];
        p = (diag_place){.file = "f", .line = 1, .column = odd[i].column, .text = odd[i].text, .text_bytes = strlen(odd[i].text)};
        snprintf(wanted, sizeof wanted, "f:1:%u: error: found 3, wanted 4\n  %s\n  %*s\n", (unsigned)odd[i].column, odd[i].shown,
                 (int)odd[i].caret, "^");
        check_render(p, wanted);
    }
    p = (diag_place){.file = "f", .line = 1, .column = 2, .text = "abcdef", .text_bytes = 3}; /* not 0-terminated */
    check_render(p, "f:1:2: error: found 3, wanted 4\n  abc\n   ^\n");
}

/* A line of `n` letters, rendered with the caret at `column`: what stands above the caret, and how long the shown line is. */
static void check_long_line(size_t n, uint32_t column, const char *begins, size_t shown_bytes, const char *ends) {
    static char line[1000];
    for (size_t i = 0; i < n; i++) line[i] = (char)('a' + i % 26);
    strbuf b = STRBUF_INIT;
    const diag d = {.place = {.line = 1, .column = column, .text = line, .text_bytes = n}, .message = "m"};
    diag_render(&d, &b);
    const char *shown = strchr(strbuf_str(&b), '\n') + 1;
    const char *caret_line = strchr(shown, '\n') + 1;
    assert_memory_equal(shown, begins, strlen(begins));
    assert_int_equal(caret_line - 1 - shown, shown_bytes);
    assert_memory_equal(caret_line - 1 - strlen(ends), ends, strlen(ends));
    const size_t caret = strcspn(caret_line, "^");
    assert_int_equal(strspn(caret_line, " "), caret);
    if (column <= n) assert_int_equal(shown[caret], line[column - 1]);
    else assert_int_equal(shown[caret], '\n');
    strbuf_free(&b);
}

static void long_lines_are_cut_around_the_caret(void **state) {
    (void)state;
    check_long_line(120, 120, "  abc", 122, "nop");
    check_long_line(121, 1, "  abc", 125, "...");
    check_long_line(121, 121, "  ...bcd", 125, "opq");
    check_long_line(121, 122, "  ...bcd", 125, "opq");
    check_long_line(1000, 500, "  ...", 128, "...");
    check_long_line(1000, 1000, "  ...", 125, "jkl");
    /* No character is cut in two. */
    char line[600];
    for (size_t i = 0; i < sizeof line; i++) line[i] = "\xE2\x82\xAC"[i % 3];
    for (uint32_t column = 1; column < sizeof line; column += 3) {
        strbuf b = STRBUF_INIT, json = STRBUF_INIT;
        const diag d = {.place = {.line = 1, .column = column, .text = line, .text_bytes = sizeof line}, .message = "m"};
        diag_render(&d, &b);
        strbuf_put_json(&json, strbuf_str(&b), b.size);
        if (strstr(strbuf_str(&json), "\xEF\xBF\xBD"))
            fail_msg("column %u: a character is cut: %s", (unsigned)column, strbuf_str(&b));
        strbuf_free(&b);
        strbuf_free(&json);
    }
}

typedef struct collected {
    int count;
    diag last;
    char message[2000];
    const char *file;
} collected;

static void collect(void *user, const diag *d) {
    collected *c = user;
    c->count++;
    c->last = *d;
    c->file = d->place.file;
    strncpy(c->message, d->message, sizeof c->message - 1);
}

static void sinks_get_what_was_said(void **state) {
    (void)state;
    collected c = {0};
    const diag_sink sink = {collect, &c};
    const diag_place place = {.file = "config.json"};
    assert_int_equal(diag_error(&sink, POFAC_ERR_USAGE, &place, "found %d, wanted %s", 5, "six"), POFAC_ERR_USAGE);
    assert_int_equal(c.last.severity, DIAG_ERROR);
    assert_int_equal(c.last.status, POFAC_ERR_USAGE);
    assert_string_equal(c.message, "found 5, wanted six");
    assert_string_equal(c.file, "config.json");
    diag_warning(&sink, NULL, "%s", "careful");
    assert_int_equal(c.last.severity, DIAG_WARNING);
    assert_int_equal(c.last.status, POFAC_OK);
    assert_null(c.file);
    assert_string_equal(c.message, "careful");
    diag_note(&sink, &place, "because");
    assert_int_equal(c.last.severity, DIAG_NOTE);
    assert_int_equal(c.count, 3);
    assert_int_equal(diag_out_of_memory(&sink), POFAC_ERR_RUNTIME);
    assert_string_equal(c.message, "out of memory");
    /* Nobody listens. */
    assert_int_equal(diag_error(NULL, POFAC_ERR_INPUT, NULL, "x"), POFAC_ERR_INPUT);
    const diag_sink deaf = {NULL, NULL};
    diag_warning(&deaf, NULL, "x");
    diag_note(NULL, NULL, "x");
    assert_int_equal(diag_out_of_memory(NULL), POFAC_ERR_RUNTIME);
}

static void long_messages(void **state) {
    (void)state;
    collected c = {0};
    const diag_sink sink = {collect, &c};
    for (int width = 500; width < 530; width++) {
        (void)diag_error(&sink, POFAC_ERR_INPUT, NULL, "%*d", width, 1);
        assert_int_equal(strlen(c.message), width);
    }
    fail_alloc_after(1); /* without memory they are cut, not lost */
    (void)diag_error(&sink, POFAC_ERR_INPUT, NULL, "begin %1000d", 1);
    assert_true(fail_alloc_stop());
    assert_int_equal(strlen(c.message), 511);
    assert_memory_equal(c.message, "begin  ", 7);
}

static void strbuf_sink_renders(void **state) {
    (void)state;
    strbuf b = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&b);
    const diag_place place = {.file = "x", .line = 1, .column = 2, .text = "ab", .text_bytes = 2};
    (void)diag_error(&sink, POFAC_ERR_INPUT, &place, "one");
    diag_warning(&sink, NULL, "two");
    diag_note(&sink, NULL, "three");
    assert_string_equal(strbuf_str(&b), "x:1:2: error: one\n  ab\n   ^\nwarning: two\nnote: three\n");
    strbuf_free(&b);
}

static void nearest_word(void **state) {
    (void)state;
    static const char *const words[] = {"learning_rate", "weight_decay", "gelu", "gelu_new", "relu", "x"};
    static const struct {
        const char *word, *wanted;
    } cases[] = {
        {"learning_rate", "learning_rate"}, /* itself */
        {"learningrate", "learning_rate"},
        {"lerning-rate", "learning_rate"},
        {"wieght_decay", "weight_decay"}, /* neighbours swapped: one edit */
        {"decay", NULL},
        {"geul", "gelu"},
        {"elu", "gelu"}, /* the first of equally near ones */
        {"gelu_nw", "gelu_new"},
        {"silu", NULL}, /* two edits of four letters */
        {"y", NULL},
        {"", NULL},
        {"completely different", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = diag_nearest(cases[i].word, words, sizeof words / sizeof *words);
        const char *wanted = cases[i].wanted;
        if (!found != !wanted || (found && strcmp(found, wanted) != 0))
            fail_msg("nearest to %s: found %s, wanted %s", cases[i].word, found ? found : "none", wanted ? wanted : "none");
    }
    assert_null(diag_nearest("gelu", words, 0));
    char longest[130];
    memset(longest, 'a', 129);
    longest[129] = 0;
    const char *candidates[] = {longest};
    assert_null(diag_nearest(longest, candidates, 1)); /* longer than any name */
    assert_null(diag_nearest("aaaa", candidates, 1));
    assert_ptr_equal(diag_nearest(longest + 1, (const char *const[]){longest + 2}, 1), longest + 2); /* 128 and 127 bytes */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_the_known_parts),
        cmocka_unit_test(renders_the_source_line),
        cmocka_unit_test(long_lines_are_cut_around_the_caret),
        cmocka_unit_test(sinks_get_what_was_said),
        cmocka_unit_test(long_messages),
        cmocka_unit_test(strbuf_sink_renders),
        cmocka_unit_test(nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
