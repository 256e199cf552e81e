/* Files of a model that appear together, or not at all, whatever fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/model_directory.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_write.h"

static const char *const names[] = {"config.json", "model.safetensors", "vocab.txt"};
enum { N_NAMES = sizeof names / sizeof *names };

/* Each file of the model has the model's word. */
static pofac_status write_model(const char *path, const char *word, const diag_sink *sink) {
    model_directory d;
    TRY(model_directory_open(path, sink, &d));
    pofac_status status = POFAC_OK;
    for (int i = 0; i < N_NAMES && status == POFAC_OK; i++) {
        strbuf file = STRBUF_INIT;
        strbuf_printf(&file, "%s/%s", strbuf_str(&d.new), names[i]);
        status = strbuf_ok(&file) ? file_write_all(strbuf_str(&file), word, strlen(word), sink) : POFAC_ERR_RUNTIME;
        strbuf_free(&file);
    }
    return model_directory_close(&d, status, sink);
}

/* What the file has; "" where it is not there. */
static void read_word(const char *path, const char *name, char word[16]) {
    char file[400];
    file_map map;
    word[0] = 0;
    snprintf(file, sizeof file, "%s/%s", path, name);
    if (!file_exists(file)) return;
    assert_int_equal(file_map_open(file, NULL, &map), POFAC_OK);
    snprintf(word, 16, "%.*s", (int)map.size_bytes, (const char *)map.data);
    file_map_close(&map);
}

/* config.json is absent, or says what all others say. */
static void expect_whole(const char *path) {
    char definition[16], other[16];
    read_word(path, names[0], definition);
    for (int i = 1; i < N_NAMES && definition[0]; i++) {
        read_word(path, names[i], other);
        assert_string_equal(other, definition);
    }
}

static void expect_model(const char *path, const char *word) {
    char found[16];
    for (int i = 0; i < N_NAMES; i++) {
        read_word(path, names[i], found);
        assert_string_equal(found, word);
    }
    snprintf(found, sizeof found, "%s", MODEL_DIRECTORY_NEW);
    char new[400];
    snprintf(new, sizeof new, "%s/%s", path, found);
    assert_false(file_exists(new));
}

static void models_replace_models(void **state) {
    char path[300], ranges[400];
    snprintf(path, sizeof path, "%s", file_path(state, "some/where"));
    snprintf(ranges, sizeof ranges, "%s/quantization.safetensors", path);
    assert_int_equal(write_model(path, "first", NULL), POFAC_OK);
    expect_model(path, "first");
    assert_int_equal(file_write_all(ranges, "x", 1, NULL), POFAC_OK);
    assert_int_equal(write_model(path, "second", NULL), POFAC_OK);
    expect_model(path, "second");
    assert_false(file_exists(ranges)); /* they were of the first one's weights */
}

static void what_was_killed_is_tidied(void **state) {
    char path[300], new[400];
    snprintf(path, sizeof path, "%s", file_path(state, "killed"));
    snprintf(new, sizeof new, "%s/" MODEL_DIRECTORY_NEW, path);
    assert_int_equal(directory_make(new, NULL), POFAC_OK);
    strcat(new, "/pytorch_model.bin");
    assert_int_equal(file_write_all(new, "half", 4, NULL), POFAC_OK);
    assert_int_equal(write_model(path, "whole", NULL), POFAC_OK);
    expect_model(path, "whole");
    snprintf(new, sizeof new, "%s/pytorch_model.bin", path);
    assert_false(file_exists(new));
}

static void where_none_can_be(void **state) {
    char path[300], wanted[500];
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(file_write_all(file_path(state, "file"), "x", 1, NULL), POFAC_OK);
    snprintf(path, sizeof path, "%s", file_path(state, "file/model"));
    snprintf(wanted, sizeof wanted, "%s: error: the directory cannot be made: File exists\n", path);
    assert_int_equal(write_model(path, "x", &sink), POFAC_ERR_RUNTIME);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
}

/* The n-th allocation or write fails, of a model where there is none, and over another one. */
static void failures_leave_no_halves(void **state) {
    char path[300];
    snprintf(path, sizeof path, "%s", file_path(state, "failing"));
    for (int old = 0; old < 2; old++)
        for (int kind = 0; kind < 2; kind++)
            for (size_t n = 1;; n++) {
                strbuf said = STRBUF_INIT;
                const diag_sink sink = diag_sink_to_strbuf(&said);
                assert_int_equal(directory_remove(path, NULL), POFAC_OK);
                if (old) assert_int_equal(write_model(path, "old", NULL), POFAC_OK);
                if (kind) fail_write_after(n);
                else fail_alloc_after(n);
                const pofac_status status = write_model(path, "new", &sink);
                const bool failed = kind ? fail_write_stop() : fail_alloc_stop();
                if (status != POFAC_OK && !failed) fail_msg("%zu: %s", n, strbuf_str(&said));
                if (!old && status != POFAC_OK) assert_false(file_exists(path));
                expect_whole(path);
                if (status == POFAC_OK) expect_model(path, "new");
                strbuf_free(&said);
                if (!failed) break;
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_replace_models),
        cmocka_unit_test(what_was_killed_is_tidied),
        cmocka_unit_test(where_none_can_be),
        cmocka_unit_test(failures_leave_no_halves),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
