/* Lines out of files and pipes: limits, pieces, waiting, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/line_reader.h"
#include "tests/unit/checkpoint/checkpoint_files.h"

/* A reader of the end of a pipe, opened by its name; *write_end gets what is read. */
static line_reader *open_pipe(int *write_end) {
    int ends[2];
    char name[32];
    line_reader *r;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[0]);
    assert_int_equal(line_reader_open(name, NULL, &r), POFAC_OK);
    close(ends[0]);
    *write_end = ends[1];
    return r;
}

static void put(int fd, const char *text) { assert_int_equal(write(fd, text, strlen(text)), strlen(text)); }

static void expect_line(line_reader *r, const char *wanted) {
    char *line;
    size_t n;
    assert_int_equal(line_reader_next(r, NULL, &line, &n), POFAC_OK);
    if (!wanted) {
        assert_null(line);
        return;
    }
    assert_non_null(line);
    assert_string_equal(line, wanted);
    assert_int_equal(n, strlen(wanted));
}

static void pieces_of_a_pipe(void **unused) {
    (void)unused;
    int fd;
    line_reader *r = open_pipe(&fd);
    assert_int_equal(line_reader_total_bytes(r), -1);
    assert_false(line_reader_is_ready(r));
    put(fd, "one\ntw");
    assert_true(line_reader_is_ready(r));
    expect_line(r, "one");
    assert_false(line_reader_is_ready(r)); /* half a line is none */
    put(fd, "o\r\n\nthree");
    assert_true(line_reader_is_ready(r));
    expect_line(r, "two");
    assert_true(line_reader_is_ready(r));
    expect_line(r, "");
    assert_false(line_reader_is_ready(r));
    close(fd);
    assert_true(line_reader_is_ready(r));
    expect_line(r, "three");
    assert_int_equal(line_reader_line(r), 4);
    assert_int_equal(line_reader_bytes(r), strlen("one\ntwo\r\n\nthree"));
    assert_true(line_reader_is_ready(r));
    expect_line(r, NULL);
    expect_line(r, NULL);
    line_reader_close(r);
}

/* Lines of every length around the size of one read. */
static void lengths(void **state) {
    enum { FIRST = 65530, LAST = 65545 };
    strbuf text = STRBUF_INIT;
    for (int n = FIRST; n <= LAST; n++) {
        for (int i = 0; i < n; i++) strbuf_putc(&text, (char)('a' + (i + n) % 26));
        strbuf_putc(&text, '\n');
    }
    put_file(state, "lines", text.data, text.size);
    line_reader *r;
    assert_int_equal(line_reader_open(file_path(state, "lines"), NULL, &r), POFAC_OK);
    assert_int_equal(line_reader_total_bytes(r), text.size);
    const char *at = text.data;
    for (int n = FIRST; n <= LAST; n++) {
        char *line;
        size_t length;
        assert_int_equal(line_reader_next(r, NULL, &line, &length), POFAC_OK);
        assert_int_equal(length, n);
        assert_memory_equal(line, at, n);
        at += n + 1;
    }
    expect_line(r, NULL);
    assert_int_equal(line_reader_bytes(r), text.size);
    line_reader_close(r);
    strbuf_free(&text);
}

static void lines_without_end(void **unused) {
    (void)unused;
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    line_reader *r;
    char *line;
    size_t n;
    assert_int_equal(line_reader_open("/dev/zero", NULL, &r), POFAC_OK);
    assert_int_equal(line_reader_next(r, &sink, &line, &n), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&messages),
                        "/dev/zero:1: error: found a line of more than 67108864 bytes, wanted shorter ones\n");
    line_reader_close(r);
    strbuf_free(&messages);
}

static void signals_end_waiting(void **unused) {
    (void)unused;
    int fd;
    interruption stop = INTERRUPTION_INIT;
    line_reader *r = open_pipe(&fd);
    char *line;
    size_t n;
    assert_int_equal(interruption_begin(&stop, NULL), POFAC_OK);
    line_reader_watch(r, &stop);
    put(fd, "one\ntwo");
    expect_line(r, "one");
    assert_int_equal(interruption_check(&stop), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(line_reader_next(r, NULL, &line, &n), POFAC_ERR_INTERRUPTED);
    assert_int_equal(interruption_check(&stop), SIGTERM);
    interruption_end(&stop);
    assert_int_equal(stop.signal, SIGTERM);
    close(fd);
    line_reader_close(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_a_pipe),
        cmocka_unit_test(lengths),
        cmocka_unit_test(lines_without_end),
        cmocka_unit_test(signals_end_waiting),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
