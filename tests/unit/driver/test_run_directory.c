/* Directories of runs: what is refused, what a killed run leaves and who tidies it, one run at a time, metrics cut back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/driver/run_directory.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_write.h"

static pofac_status try_open(void **state, run_directory_mode mode, run_directory *d, const char *said) {
    strbuf text = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&text);
    const pofac_status status = run_directory_open(file_path(state, "deep/run"), mode, &sink, d);
    if (text.data) cut_directory(state, text.data);
    assert_string_equal(strbuf_str(&text), said);
    assert_int_equal(d->lock >= 0, status == POFAC_OK);
    strbuf_free(&text);
    return status;
}

static void open_and_close(void **state, run_directory_mode mode) {
    run_directory d;
    assert_int_equal(try_open(state, mode, &d, ""), POFAC_OK);
    run_directory_close(&d);
    run_directory_close(&d);
}

static void start_anew(void **state) {
    assert_int_equal(directory_remove(file_path(state, "deep"), NULL), POFAC_OK);
    open_and_close(state, RUN_NEW);
}

static void put_directory(void **state, const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/f", file_path(state, name));
    assert_int_equal(mkdir(file_path(state, name), 0777), 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
}

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void expect_entries(void **state, const char *wanted) {
    struct dirent **entries;
    char found[2048] = "";
    const int n = scandir(file_path(state, "deep/run"), &entries, NULL, by_bytes);
    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        if (i >= 2) snprintf(found + strlen(found), sizeof found - strlen(found), " %s", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    assert_string_equal(found, wanted);
}

/* A directory with all that there may be, and things that are nobody's. */
static void fill(void **state) {
    start_anew(state);
    put_directory(state, "deep/run/checkpoint-5");
    put_directory(state, "deep/run/checkpoint-10");
    put_directory(state, "deep/run/.checkpoint-15.new");
    put_directory(state, "deep/run/.checkpoint-1.old");
    put_directory(state, "deep/run/.checkpoint-5.replaced");
    put_directory(state, "deep/run/.checkpoint-7.replaced");
    put_directory(state, "deep/run/checkpoint-05");
    put_directory(state, "deep/run/.checkpoint-x.new");
    put_directory(state, "deep/run/checkpoint-");
    put_file(state, "deep/run/metrics.jsonl", "{}\n", 3);
    put_file(state, "deep/run/model.safetensors.tmp.17.0", "", 0);
    put_file(state, "deep/run/notes.txt.tmp.17.0", "", 0);
    put_file(state, "deep/run/config.json.tmp.mine", "", 0);
    put_file(state, "deep/run/model.safetensors", "", 0);
}

static void new_runs_want_nothing_there(void **state) {
    run_directory d;
    start_anew(state);
    open_and_close(state, RUN_NEW);
    open_and_close(state, RUN_RESUME);
    open_and_close(state, RUN_OVERWRITE);
    put_file(state, "deep/run/x", "", 0);
    assert_int_equal(try_open(state, RUN_NEW, &d,
                              "deep/run: error: the directory is not empty; --resume_from_checkpoint goes on with a run, "
                              "--overwrite_output_dir replaces it\n"),
                     POFAC_ERR_USAGE);
    open_and_close(state, RUN_RESUME);
    expect_entries(state, " x");
    assert_int_equal(directory_remove(file_path(state, "deep/run"), NULL), POFAC_OK);
    put_file(state, "deep/run", "", 0);
    assert_int_equal(try_open(state, RUN_NEW, &d, "deep/run: error: the directory cannot be made: File exists\n"),
                     POFAC_ERR_RUNTIME);
}

static void what_was_killed_is_tidied(void **state) {
    run_directory d;
    fill(state);
    assert_int_equal(try_open(state, RUN_NEW, &d,
                              "deep/run: error: the directory is not empty; --resume_from_checkpoint goes on with a run, "
                              "--overwrite_output_dir replaces it\n"),
                     POFAC_ERR_USAGE);
    assert_true(file_exists(file_path(state, "deep/run/.checkpoint-15.new")));
    open_and_close(state, RUN_RESUME);
    expect_entries(state,
                   " .checkpoint-x.new checkpoint- checkpoint-05 checkpoint-10 checkpoint-5 checkpoint-7 config.json.tmp.mine "
                   "metrics.jsonl model.safetensors notes.txt.tmp.17.0");
    fill(state);
    open_and_close(state, RUN_OVERWRITE);
    expect_entries(state, " .checkpoint-x.new checkpoint- checkpoint-05 config.json.tmp.mine model.safetensors notes.txt.tmp.17.0");
}

static void steps_are_numbers(void **state) {
    run_steps steps;
    fill(state);
    assert_int_equal(run_directory_steps(file_path(state, "deep/run"), NULL, &steps), POFAC_OK);
    assert_int_equal(steps.size, 2);
    assert_true(steps.data[0] == 5 && steps.data[1] == 10);
    VEC_FREE(&steps);
    assert_int_equal(run_directory_steps(file_path(state, "deep/none"), NULL, &steps), POFAC_ERR_RUNTIME);
}

static void one_run_at_a_time(void **state) {
    run_directory d, other;
    start_anew(state);
    assert_int_equal(try_open(state, RUN_NEW, &d, ""), POFAC_OK);
    assert_int_equal(try_open(state, RUN_RESUME, &other, "deep/run: error: another process is training here\n"), POFAC_ERR_RUNTIME);
    assert_int_equal(try_open(state, RUN_OVERWRITE, &other, "deep/run: error: another process is training here\n"),
                     POFAC_ERR_RUNTIME);
    run_directory_close(&d);
    const pid_t child = fork(); /* a process that ends lets go */
    if (child == 0) _exit(run_directory_open(file_path(state, "deep/run"), RUN_NEW, NULL, &d));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    open_and_close(state, RUN_NEW);
}

static bool has_checkpoint(void **state, const char *name) {
    char dir[512];
    snprintf(dir, sizeof dir, "%s", file_path(state, "deep/run/"));
    return run_directory_has_checkpoint(dir, file_path(state, name));
}

static void knows_its_checkpoints(void **state) {
    fill(state);
    assert_true(has_checkpoint(state, "deep/run/checkpoint-5"));
    assert_true(has_checkpoint(state, "deep/run/checkpoint-10/f"));
    assert_true(has_checkpoint(state, "deep/../deep/run/./checkpoint-10/"));
    assert_false(has_checkpoint(state, "deep/run/checkpoint-05"));
    assert_false(has_checkpoint(state, "deep/run/checkpoint-6")); /* is not there */
    assert_false(has_checkpoint(state, "deep/run"));
    assert_false(has_checkpoint(state, "deep"));
    assert_int_equal(symlink("checkpoint-5", file_path(state, "deep/run/link")), 0);
    assert_true(has_checkpoint(state, "deep/run/link"));
}

static void cut(void **state, int64_t bytes, const char *left, const char *said) {
    strbuf text = STRBUF_INIT;
    file_map file;
    const diag_sink sink = diag_sink_to_strbuf(&text);
    assert_int_equal(run_directory_cut(file_path(state, "deep/run"), "metrics.jsonl", bytes, &sink), POFAC_OK);
    if (text.data) cut_directory(state, text.data);
    assert_string_equal(strbuf_str(&text), said);
    strbuf_free(&text);
    assert_int_equal(file_exists(file_path(state, "deep/run/metrics.jsonl")), left != NULL);
    if (!left) return;
    assert_int_equal(file_map_open(file_path(state, "deep/run/metrics.jsonl"), NULL, &file), POFAC_OK);
    assert_int_equal(file.size_bytes, strlen(left));
    if (*left) assert_memory_equal(file.data, left, strlen(left));
    file_map_close(&file);
}

static void metrics_are_cut_back(void **state) {
    start_anew(state);
    cut(state, 0, NULL, "");
    cut(state, 3, NULL,
        "deep/run/metrics.jsonl: warning: found 0 bytes, wanted the 3 that the checkpoint knows of: lines are lost\n");
    put_file(state, "deep/run/metrics.jsonl", "one\ntwo\n", 8);
    cut(state, 9, "one\ntwo\n",
        "deep/run/metrics.jsonl: warning: found 8 bytes, wanted the 9 that the checkpoint knows of: lines are lost\n");
    cut(state, 8, "one\ntwo\n", "");
    cut(state, 4, "one\n", "");
    fail_write_after(1);
    assert_int_equal(run_directory_cut(file_path(state, "deep/run"), "metrics.jsonl", 2, NULL), POFAC_ERR_RUNTIME);
    assert_true(fail_write_stop());
    cut(state, 0, "", "");
}

static void failures_are_reported(void **state) {
    char path[512];
    run_directory d;
    snprintf(path, sizeof path, "%s", file_path(state, "deep/run"));
    for (int kind = 0; kind < 2; kind++) {
        for (size_t n = 1;; n++) {
            strbuf said = STRBUF_INIT;
            const diag_sink sink = diag_sink_to_strbuf(&said);
            fill(state);
            if (kind) fail_write_after(n);
            else fail_alloc_after(n);
            const pofac_status status = run_directory_open(path, RUN_RESUME, &sink, &d);
            const bool failed = kind ? fail_write_stop() : fail_alloc_stop();
            if (failed && status != POFAC_OK) assert_true(status == POFAC_ERR_RUNTIME && said.size > 0 && d.lock < 0);
            else assert_int_equal(status, POFAC_OK);
            strbuf_free(&said);
            run_directory_close(&d);
            if (!failed) break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_runs_want_nothing_there), cmocka_unit_test(what_was_killed_is_tidied),
        cmocka_unit_test(steps_are_numbers),           cmocka_unit_test(one_run_at_a_time),
        cmocka_unit_test(knows_its_checkpoints),       cmocka_unit_test(metrics_are_cut_back),
        cmocka_unit_test(failures_are_reported),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
