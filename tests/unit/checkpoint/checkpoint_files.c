/* Files for the tests of checkpoints. */
#include "tests/unit/checkpoint/checkpoint_files.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static void *counted_malloc(size_t n) { return malloc(n); }
static void counted_free(void *p) { free(p); }

int files_set_up(void **state) {
    static char directory[] = "/tmp/pofac-checkpoint-XXXXXX";
    if (!mkdtemp(directory)) return -1;
    json_set_alloc_funcs(counted_malloc, counted_free);
    *state = directory;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk) {
    (void)st, (void)kind, (void)walk;
    return remove(path);
}

int files_tear_down(void **state) { return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

const char *file_path(void **state, const char *name) {
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s%s%s", (const char *)*state, *name ? "/" : "", name);
    return path;
}

void put_file(void **state, const char *name, const void *bytes, size_t n) {
    FILE *f = fopen(file_path(state, name), "wb"); /* without the fsync of file_write_all: some tests write thousands */
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void put_safetensors(void **state, const char *name, const char *header, const void *data, size_t n) {
    const uint64_t header_bytes = strlen(header);
    strbuf file = STRBUF_INIT;
    strbuf_append(&file, &header_bytes, sizeof header_bytes);
    strbuf_puts(&file, header);
    strbuf_append(&file, data, n);
    assert_true(strbuf_ok(&file));
    put_file(state, name, file.data, file.size);
    strbuf_free(&file);
}

void cut_directory(void **state, char *text) {
    char directory[512];
    snprintf(directory, sizeof directory, "%s/", (const char *)*state);
    const size_t n = strlen(directory);
    for (char *at; (at = strstr(text, directory));) memmove(at, at + n, strlen(at + n) + 1);
}

void expect_open_fails(void **state, const char *name, const char *said) {
    strbuf text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&text);
    checkpoint *c = (checkpoint *)&text; /* must become NULL */
    pofac_status status = checkpoint_open(file_path(state, name), &sink, &c);
    if (text.data) cut_directory(state, text.data);
    assert_string_equal(strbuf_str(&text), said);
    assert_int_equal(status, POFAC_ERR_INPUT);
    assert_null(c);
    strbuf_free(&text);
}

checkpoint *expect_open(void **state, const char *name) {
    strbuf text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&text);
    checkpoint *c;
    pofac_status status = checkpoint_open(file_path(state, name), &sink, &c);
    assert_string_equal(strbuf_str(&text), "");
    assert_int_equal(status, POFAC_OK);
    strbuf_free(&text);
    return c;
}
