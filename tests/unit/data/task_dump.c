/* Files of tasks for tests; see task_dump.h. */
#include "tests/unit/data/task_dump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "ir/support/decimal.h"
#include "tests/unit/checkpoint/checkpoint_files.h"

const task_info *find_task(const char *name) {
    const task_info *task;
    assert_int_equal(task_find(name, NULL, &task), POFAC_OK);
    return task;
}

static void put_label(const task_reader_options *options, const task_example *e, strbuf *out) {
    if (!e->has_label) {
        strbuf_putc(out, '-');
    } else if (options->task->kind == TASK_REGRESSION) {
        decimal_put(out, e->score);
    } else if (e->label >= 0) {
        strbuf_printf(out, "%d", (int)e->label);
    } else {
        strbuf_puts(out, e->label_text);
    }
}

static void put_words(const task_example *e, strbuf *out) {
    for (size_t i = 0; i < e->n_words; i++) {
        strbuf_printf(out, " %s", e->words[i]);
        if (e->tags) strbuf_printf(out, "/%s", e->tags[i]);
        if (e->tag_labels) strbuf_printf(out, "(%d)", (int)e->tag_labels[i]);
    }
}

static void put_example(const task_reader_options *options, const task_example *e, strbuf *out) {
    strbuf_printf(out, "%d", (int)e->line);
    if (e->words) {
        put_words(e, out);
    } else {
        assert_int_equal(strlen(e->text_a), e->text_a_bytes);
        strbuf_printf(out, " %s", e->text_a);
        if (e->text_b) assert_int_equal(strlen(e->text_b), e->text_b_bytes);
        if (e->text_b) strbuf_printf(out, " | %s", e->text_b);
        strbuf_puts(out, " -> ");
        put_label(options, e, out);
    }
    strbuf_putc(out, '\n');
}

void dump_task(void **state, const char *path, const task_reader_options *options, strbuf *out) {
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    task_reader *r;
    task_example e;
    bool found = false;
    uint64_t n = 0;
    pofac_status status = task_reader_open(path, options, &sink, &r);
    if (status == POFAC_OK) status = task_reader_next(r, &sink, &e, &found);
    for (; status == POFAC_OK && found; status = task_reader_next(r, &sink, &e, &found), n++) put_example(options, &e, out);
    if (said.data) cut_directory(state, said.data);
    strbuf_puts(out, said.data ? said.data : "");
    assert_int_equal(status == POFAC_OK, strstr(strbuf_str(&said), "error: ") == NULL);
    if (r) assert_int_equal(task_reader_counts(r).examples, n);
    if (status == POFAC_OK && options->skip_bad_rows) strbuf_printf(out, "bad %d\n", (int)task_reader_counts(r).bad_rows);
    task_reader_close(r);
    strbuf_free(&said);
}

void expect_task(void **state, const char *name, const void *bytes, size_t n, task_reader_options options, const char *wanted) {
    arena a = ARENA_INIT;
    strbuf found = STRBUF_INIT;
    label_set labels;
    put_file(state, name, bytes, n);
    assert_int_equal(label_set_make(options.task, NULL, &a, NULL, &labels), POFAC_OK);
    if (!options.labels) options.labels = &labels;
    dump_task(state, file_path(state, name), &options, &found);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
    arena_free(&a);
}

void put_gzip(void **state, const char *name, const void *bytes, size_t n, const char *mode) {
    gzFile f = gzopen(file_path(state, name), mode);
    assert_non_null(f);
    assert_int_equal(gzwrite(f, bytes, (unsigned)n), n);
    assert_int_equal(gzclose(f), Z_OK);
}
