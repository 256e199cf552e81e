/*
 * Golden IR of passes: tests/golden/passes/PASS/NAME.pir becomes NAME.expected.pir, or fails with exactly NAME.err. PASS is a pass
 * or a named pipeline; a first line "; pipeline: TEXT" runs something else. Every row of the tables has goldens.
 *
 * POFAC_UPDATE_GOLDENS=1 writes what is found instead of comparing it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/file_map.h"
#include "ir/text.h"
#include "tests/unit/passes/pass_case.h"

/* ---- files ---- */

typedef struct path {
    char text[1024];
} path;

/* tests/golden/passes/FOLDER/NAME SUFFIX */
static path golden_path(const char *folder, const char *name, const char *suffix) {
    const char *root = getenv("POFAC_SOURCE_DIR");
    path p;
    int n = snprintf(p.text, sizeof p.text, "%s/tests/golden/passes/%s/%s%s", root ? root : ".", folder, name, suffix);
    assert_true(n > 0 && (size_t)n < sizeof p.text);
    return p;
}

/* False when there is no such file. */
static bool read_file(const path *p, strbuf *out) {
    file_map map;
    strbuf_clear(out);
    if (!file_exists(p->text)) return false;
    assert_int_equal(file_map_open(p->text, NULL, &map), POFAC_OK);
    strbuf_append(out, map.data, map.size_bytes);
    file_map_close(&map);
    assert_true(strbuf_ok(out));
    return true;
}

static void expect_file(const path *p, const strbuf *found) {
    strbuf wanted = STRBUF_INIT;
    if (getenv("POFAC_UPDATE_GOLDENS")) {
        FILE *f = fopen(p->text, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(strbuf_str(found), 1, found->size, f), found->size);
        assert_int_equal(fclose(f), 0);
    }
    if (!read_file(p, &wanted)) fail_msg("%s is missing", p->text);
    if (strcmp(strbuf_str(&wanted), strbuf_str(found)) != 0) {
        print_error("found:\n%swanted:\n%s", strbuf_str(found), strbuf_str(&wanted));
        fail_msg("%s differs", p->text);
    }
    strbuf_free(&wanted);
}

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n > k && strcmp(text + n - k, end) == 0;
}

static int is_golden(const struct dirent *entry) {
    return ends_in(entry->d_name, ".pir") && !ends_in(entry->d_name, ".expected.pir");
}
static int is_folder(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* ---- one golden ---- */

/* The pipeline that the first line names, else the folder's name; the caller frees. */
static char *pipeline_of(const char *folder, const char *text) {
    static const char mark[] = "; pipeline: ";
    size_t n = sizeof mark - 1;
    char *pipeline = strncmp(text, mark, n) == 0 ? strndup(text + n, strcspn(text + n, "\n")) : strdup(folder);
    assert_non_null(pipeline);
    return pipeline;
}

/* What comes out reads back to itself. */
static void expect_readable(const char *name, const ir_module *m, const strbuf *text) {
    ir_module *back = module_from_text(m->context, name, strbuf_str(text));
    strbuf again = module_text(back);
    assert_string_equal(strbuf_str(&again), strbuf_str(text));
    strbuf_free(&again);
    module_destroy(back);
}

static void check_golden(const char *folder, const char *name, const char *pipeline, const char *text) {
    strbuf messages = STRBUF_INIT;
    char file[300];
    snprintf(file, sizeof file, "%s.pir", name);
    ir_context *c = context_create();
    ir_module *m;
    path error = golden_path(folder, name, ".err"), expected = golden_path(folder, name, ".expected.pir");
    if (try_pipeline(module_from_text(c, file, text), pipeline, NULL, &messages, &m) == POFAC_OK) {
        strbuf found = module_text(m);
        expect_file(&expected, &found);
        expect_readable(name, m, &found);
        if (file_exists(error.text)) fail_msg("%s is there, but the pipeline does not fail", error.text);
        strbuf_free(&found);
        module_destroy(m);
    } else {
        expect_file(&error, &messages);
        if (file_exists(expected.text)) fail_msg("%s is there, but the pipeline fails", expected.text);
    }
    context_destroy(c);
    strbuf_free(&messages);
}

/* Checks all goldens of a folder; appends the pipelines that were run, a line each. */
static void check_folder(const char *folder, strbuf *pipelines) {
    struct dirent **entries;
    strbuf text = STRBUF_INIT;
    path p = golden_path(folder, "", "");
    int n = scandir(p.text, &entries, is_golden, alphasort);
    if (n <= 0) fail_msg("%s has no golden, wanted some for each pass and pipeline", p.text);
    for (int i = 0; i < n; i++) {
        entries[i]->d_name[strlen(entries[i]->d_name) - 4] = 0;
        path golden = golden_path(folder, entries[i]->d_name, ".pir");
        assert_true(read_file(&golden, &text));
        char *pipeline = pipeline_of(folder, strbuf_str(&text));
        check_golden(folder, entries[i]->d_name, pipeline, strbuf_str(&text));
        strbuf_printf(pipelines, "%s\n", pipeline);
        free(pipeline);
        free(entries[i]);
    }
    free(entries);
    strbuf_free(&text);
}

/* Does one of the pipelines set the option of the pass: "pass{...,option=..."? */
static bool sets_option(const char *pipelines, const pass_option_schema *o) {
    char pass[64], option[64];
    snprintf(pass, sizeof pass, "%s{", o->pass);
    snprintf(option, sizeof option, "%s=", o->name);
    for (const char *at = pipelines; (at = strstr(at, pass)) != NULL;) {
        const char *end = at + strcspn(at, "}"), *set = strstr(at, option);
        if (set && set < end && (set[-1] == '{' || set[-1] == ',')) return true;
        at = end;
    }
    return false;
}

/* ---- tests ---- */

static void test_passes(void **state) {
    (void)state;
    strbuf pipelines = STRBUF_INIT;
    for (size_t i = 0; pass_row(i); i++) check_folder(pass_row(i)->name, &pipelines);
    for (size_t i = 0; pass_option_row(i); i++) {
        const pass_option_schema *o = pass_option_row(i);
        if (!sets_option(strbuf_str(&pipelines), o)) fail_msg("no golden sets %s{%s=}", o->pass, o->name);
    }
    strbuf_free(&pipelines);
}

static void test_pipelines(void **state) {
    (void)state;
    strbuf pipelines = STRBUF_INIT;
    for (size_t i = 0; pipeline_row(i); i++) check_folder(pipeline_row(i)->name, &pipelines);
    strbuf_free(&pipelines);
}

static bool is_row(const char *name) {
    for (size_t i = 0; pipeline_row(i); i++)
        if (strcmp(pipeline_row(i)->name, name) == 0) return true;
    return pass_find(name) != NULL;
}

/* Every folder names a row, and every result belongs to a golden. */
static void test_nothing_is_left_over(void **state) {
    (void)state;
    struct dirent **folders, **files;
    path top = golden_path("", "", "");
    int n = scandir(top.text, &folders, is_folder, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        const char *folder = folders[i]->d_name;
        if (!is_row(folder)) fail_msg("%s%s: there is no pass or pipeline of that name", top.text, folder);
        path p = golden_path(folder, "", "");
        int n_files = scandir(p.text, &files, is_folder, alphasort);
        for (int k = 0; k < n_files; k++) {
            char *name = files[k]->d_name;
            if (ends_in(name, ".expected.pir")) name[strlen(name) - strlen(".expected.pir")] = 0;
            else if (ends_in(name, ".err")) name[strlen(name) - strlen(".err")] = 0;
            else if (ends_in(name, ".pir")) name[strlen(name) - strlen(".pir")] = 0;
            path golden = golden_path(folder, name, ".pir");
            if (!file_exists(golden.text)) fail_msg("%s is missing", golden.text);
            free(files[k]);
        }
        free(files);
        free(folders[i]);
    }
    free(folders);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_pipelines),
        cmocka_unit_test(test_nothing_is_left_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
