/* The line that says how far work has got. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "frontend/cli/progress_bar.h"

static void expect(progress_view v, int columns, bool colors, const char *wanted) {
    strbuf text = STRBUF_INIT;
    progress_bar_render(&v, columns, colors, &text);
    assert_string_equal(strbuf_str(&text), wanted);
    strbuf_free(&text);
}

static void shares(void **unused) {
    (void)unused;
    expect((progress_view){"texts", 0, 0.0, 0.0}, 80, false, "[                        ]   0%  0 texts  0.0/s  0:00");
    expect((progress_view){"texts", 100, 0.25, 30.0}, 80, false, "[######                  ]  25%  100 texts  3.3/s  1:30 left");
    expect((progress_view){"texts", 7200, 0.5, 7200.0}, 80, false,
           "[############            ]  50%  7200 texts  1.0/s  2:00:00 left");
    expect((progress_view){"texts", 5000, 1.0, 10.0}, 80, false, "[########################] 100%  5000 texts  500/s  0:00 left");
    expect((progress_view){"texts", 5000, 1.5, 10.0}, 80, false, "[########################] 100%  5000 texts  500/s  0:00 left");
}

static void without_a_known_size(void **unused) {
    (void)unused;
    expect((progress_view){"texts", 640, -1.0, 64.0}, 80, false, "640 texts  10/s  1:04");
}

static void narrow_terminals(void **unused) {
    (void)unused;
    expect((progress_view){"texts", 100, 0.25, 30.0}, 56, false, " 25%  100 texts  3.3/s  1:30 left");
    expect((progress_view){"texts", 100, 0.25, 30.0}, 10, false, " 25%  100 ");
}

static void colors(void **unused) {
    (void)unused;
    expect((progress_view){"texts", 100, 0.25, 30.0}, 80, true,
           "[\033[32m######\033[0m                  ]  25%  100 texts  3.3/s  1:30 left");
}

static void count_messages(void *user, const diag *d) {
    (void)d;
    ++*(int *)user;
}

/* Tests run without a terminal: nothing is drawn, messages pass. */
static void without_a_terminal(void **unused) {
    (void)unused;
    progress_bar bar;
    int messages = 0;
    const diag_sink sink = {count_messages, &messages};
    progress_bar_begin(&bar, false, &sink);
    const diag_sink above = progress_bar_sink(&bar);
    progress_bar_update(&bar, "texts", 1, 0.5);
    assert_false(bar.drawn);
    diag_note(&above, NULL, "a message");
    assert_int_equal(messages, 1);
    progress_bar_end(&bar);
}

/* no-color.org: set to anything but nothing. */
static void no_color(void **unused) {
    (void)unused;
    progress_bar bar;
    unsetenv("NO_COLOR");
    progress_bar_begin(&bar, true, NULL);
    assert_true(bar.colors);
    setenv("NO_COLOR", "", 1);
    progress_bar_begin(&bar, true, NULL);
    assert_true(bar.colors);
    setenv("NO_COLOR", "1", 1);
    progress_bar_begin(&bar, true, NULL);
    assert_false(bar.colors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares), cmocka_unit_test(without_a_known_size), cmocka_unit_test(narrow_terminals),
        cmocka_unit_test(colors), cmocka_unit_test(without_a_terminal),   cmocka_unit_test(no_color),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
