/* Directories: made with those above, removed with all within, held by one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "tests/unit/fail_write.h"

#define BASE "test_directory.dir"

static void put_file(const char *path) { assert_int_equal(file_write_all(path, "x", 1, NULL), POFAC_OK); }

static void expect_made(const char *path) {
    assert_int_equal(directory_make(path, NULL), POFAC_OK);
    assert_true(file_is_directory(path));
}

static void are_made_and_removed(void **state) {
    char path[512];
    (void)state;
    assert_int_equal(directory_remove(BASE, NULL), POFAC_OK);
    expect_made(BASE);
    expect_made(BASE);
    expect_made(BASE "/a//b/c/");
    assert_non_null(realpath(BASE, path));
    strcat(path, "/d/e");
    expect_made(path);
    put_file(BASE "/keep");
    put_file(BASE "/a/b/f");
    assert_int_equal(symlink("../../keep", BASE "/a/b/link"), 0);
    assert_int_equal(symlink("gone", BASE "/a/broken"), 0);
    assert_int_equal(directory_remove(BASE "/a", NULL), POFAC_OK);
    assert_false(file_exists(BASE "/a"));
    assert_true(file_exists(BASE "/keep")); /* what a link names stays */
    assert_int_equal(directory_remove(BASE "/a", NULL), POFAC_OK);
    directory_sync(BASE);
    directory_sync(BASE "/nothing");
    assert_int_equal(directory_remove(BASE, NULL), POFAC_OK);
}

static void say_what_cannot_be(void **state) {
    strbuf text = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&text);
    int lock;
    (void)state;
    expect_made(BASE);
    put_file(BASE "/file");
    assert_int_equal(directory_make(BASE "/file/a", &sink), POFAC_ERR_RUNTIME);
    assert_int_equal(directory_lock(BASE "/none", &sink, &lock), POFAC_ERR_RUNTIME);
    fail_write_after(2); /* the first is of what is there */
    assert_int_equal(directory_make(BASE "/full", &sink), POFAC_ERR_RUNTIME);
    assert_true(fail_write_stop());
    assert_string_equal(strbuf_str(&text), BASE "/file/a: error: the directory cannot be made: File exists\n" BASE
                                                "/none: error: cannot be opened: No such file or directory\n" BASE
                                                "/full: error: the directory cannot be made: No space left on device\n");
    strbuf_free(&text);
    assert_int_equal(directory_remove(BASE, NULL), POFAC_OK);
}

static void are_held_by_one(void **state) {
    int first, second;
    (void)state;
    expect_made(BASE);
    assert_int_equal(directory_lock(BASE, NULL, &first), POFAC_OK);
    assert_true(first >= 0);
    assert_int_equal(directory_lock(BASE, NULL, &second), POFAC_OK);
    assert_int_equal(second, -1);
    close(first);
    assert_int_equal(directory_lock(BASE, NULL, &second), POFAC_OK);
    assert_true(second >= 0);
    close(second);
    assert_int_equal(directory_remove(BASE, NULL), POFAC_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(are_made_and_removed), cmocka_unit_test(say_what_cannot_be),
                                       cmocka_unit_test(are_held_by_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
