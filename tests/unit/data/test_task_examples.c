/* Files of a task to batches: examples tokenised once, kept in memory, and given out as tensors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/batcher.h"
#include "frontend/data/task_examples.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/data/task_dump.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text/small_vocabulary.h"

static tokenizer *create_tokenizer(void) {
    tokenizer *t;
    assert_int_equal(
        tokenizer_create_from_memory("vocab", small_vocabulary, strlen(small_vocabulary), &(tokenizer_options){0}, NULL, &t),
        POFAC_OK);
    return t;
}

static void put_text(void **state, const char *name, const char *text) { put_file(state, name, text, strlen(text)); }

/* All examples in order: tokens with ":1" of the second type, values of fields. */
static void put_examples(const token_store *store, const tokenizer *tok, strbuf *out) {
    const example_source s = token_store_source(store);
    int32_t ids[64], tags[64];
    uint8_t types[64];
    example_buffer e = {.ids = ids, .types = types, .token_values = {tags}};
    for (uint64_t i = 0; i < s.n_examples; i++) {
        size_t n;
        assert_int_equal(s.measure(s.user, i, NULL, &n), POFAC_OK);
        assert_in_range(n, 1, s.max_length);
        assert_int_equal(s.read(s.user, 0, i, NULL, &e), POFAC_OK);
        assert_int_equal(e.n_tokens, n);
        for (size_t k = 0; k < n; k++) {
            strbuf_printf(out, "%s%s%s", k ? " " : "", tokenizer_token(tok, ids[k]), types[k] ? ":1" : "");
            if (s.n_fields && s.fields[0].per_token) strbuf_printf(out, "(%d)", (int)tags[k]);
        }
        if (s.n_fields && !s.fields[0].per_token) strbuf_printf(out, " -> %g", e.values[0]);
        strbuf_putc(out, '\n');
    }
}

/* Loads the files and compares what is in the store, or what was said. */
static void expect(void **state, const char *task, const char *const *names, size_t n, const label_set *labels, size_t max_length,
                   const char *wanted) {
    tokenizer *tok = create_tokenizer();
    char paths[2][512];
    const char *list[2] = {paths[0], paths[1]};
    strbuf out = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&out);
    token_store *store;
    task_examples_counts counts;
    for (size_t i = 0; i < n; i++) snprintf(paths[i], sizeof paths[i], "%s", file_path(state, names[i]));
    const task_examples_options options = {
        .reading = {.task = find_task(task), .labels = labels}, .tokenizer = tok, .max_length = max_length};
    if (task_examples_load(list, n, &options, &sink, &store, &counts) == POFAC_OK) {
        put_examples(store, tok, &out);
        assert_int_equal(counts.rows.examples, token_store_size(store));
        if (counts.truncated) strbuf_printf(&out, "%d cut\n", (int)counts.truncated);
    }
    if (out.data) cut_directory(state, out.data);
    assert_string_equal(strbuf_str(&out), wanted);
    token_store_destroy(store);
    strbuf_free(&out);
    tokenizer_destroy(tok);
}

static void classification(void **state) {
    static const char *const names[] = {"b.tsv", "a.csv"};
    arena a = ARENA_INIT;
    label_set labels;
    assert_int_equal(label_set_make(find_task("rte"), NULL, &a, NULL, &labels), POFAC_OK);
    put_text(state, "b.tsv", "0\thello world\tthe fox\tnot_entailment\n");
    put_text(state, "a.csv", "label,sentence1,sentence2\nentailment,hello,unaffable\n");
    expect(state, "rte", names, 2, &labels, 64,
           "[CLS] hello world [SEP] the:1 fox:1 [SEP]:1 -> 1\n[CLS] hello [SEP] un:1 ##aff:1 ##able:1 [SEP]:1 -> 0\n");
    expect(state, "rte", names, 2, &labels, 6,
           "[CLS] hello world [SEP] the:1 [SEP]:1 -> 1\n[CLS] hello [SEP] un:1 ##aff:1 [SEP]:1 -> 0\n2 cut\n");
    put_text(state, "a.csv", "sentence1,sentence2\nhello,world\n");
    expect(state, "rte", names + 1, 1, &labels, 64, "[CLS] hello [SEP] world:1 [SEP]:1\n");
    expect(state, "rte", names, 2, &labels, 64, "a.csv:2: error: label: found none, wanted one as the first example has\n");
    put_text(state, "a.csv", "sentence1,sentence2\n");
    expect(state, "rte", names + 1, 1, &labels, 64, "");
    expect(state, "rte", names + 1, 1, NULL, 64, "error: found no labels for task rte, wanted those of the data or the model\n");
    expect(state, "rte", (const char *const[]){"absent.tsv"}, 1, &labels, 64,
           "absent.tsv: error: cannot open: No such file or directory\n");
    arena_free(&a);
}

static void regression_and_words(void **state) {
    static const char *const stsb[] = {"a.tsv"}, *const words[] = {"a.conll"}, *const tags[] = {"O", "B-X", "I-X"};
    arena a = ARENA_INIT;
    label_set labels;
    put_text(state, "a.tsv", "0\t3.8\thello\tworld\n");
    expect(state, "stsb", stsb, 1, NULL, 64, "[CLS] hello [SEP] world:1 [SEP]:1 -> 3.8\n");
    assert_true(label_set_from_names(tags, 3, &a, &labels));
    put_text(state, "a.conll", "hello O\nunaffable B-X\nworld I-X\n");
    expect(state, "token-classification", words, 1, &labels, 64,
           "[CLS](-100) hello(0) un(1) ##aff(-100) ##able(-100) world(2) [SEP](-100)\n");
    arena_free(&a);
}

/* From the file to the tensors of a batch. */
static void batches_of_a_task(void **state) {
    arena a = ARENA_INIT;
    label_set labels;
    tokenizer *tok = create_tokenizer();
    token_store *store;
    task_examples_counts counts;
    batcher *b;
    const batch *found;
    char path[512];
    const char *list[] = {path};
    put_text(state, "a.tsv", "sentence\tlabel\nhello\t1\nhello world\t0\n");
    snprintf(path, sizeof path, "%s", file_path(state, "a.tsv"));
    assert_int_equal(label_set_make(find_task("sst2"), NULL, &a, NULL, &labels), POFAC_OK);
    const task_examples_options options = {
        .reading = {.task = find_task("sst2"), .labels = &labels}, .tokenizer = tok, .max_length = 16};
    assert_int_equal(task_examples_load(list, 1, &options, NULL, &store, &counts), POFAC_OK);
    const example_source examples = token_store_source(store);
    assert_int_equal(
        batcher_create(&examples, &(batcher_options){.order = {.batch_size = 2}, .n_epochs = 1, .prefetch = 1}, NULL, &b),
        POFAC_OK);
    const batch_source source = batcher_source(b);
    assert_int_equal(source.next(source.user, NULL, &found), POFAC_OK);
    static const int64_t ids[] = {2, 5, 3, 0, 2, 5, 6, 3}, mask[] = {1, 1, 1, 0, 1, 1, 1, 1}, label[] = {1, 0};
    assert_int_equal(found->n_tensors, 4);
    assert_memory_equal(found->tensors[0].data, ids, sizeof ids);
    assert_memory_equal(found->tensors[2].data, mask, sizeof mask);
    assert_string_equal(found->names[3], "labels");
    assert_memory_equal(found->tensors[3].data, label, sizeof label);
    batcher_destroy(b);
    token_store_destroy(store);
    tokenizer_destroy(tok);
    arena_free(&a);
}

/* Ids beyond two bytes; stores of other examples have other fingerprints. */
static void wide_vocabularies(void **state) {
    (void)state;
    uint64_t prints[3];
    for (int kind = 0; kind < 3; kind++) {
        token_store *s;
        encoding_token tokens[] = {{.id = 70000}, {.id = kind == 2 ? 6 : 5, .type_id = 1}};
        const encoding e = {tokens, 2, 2};
        int32_t ids[2];
        uint8_t types[2];
        example_buffer out = {.ids = ids, .types = types};
        if (kind == 0) tokens[0].id = 65535;
        assert_int_equal(token_store_create(kind ? 119547 : 65536, NULL, 0, NULL, &s), POFAC_OK);
        assert_int_equal(token_store_add(s, &e, &(token_store_values){0}, NULL), POFAC_OK);
        const example_source source = token_store_source(s);
        assert_int_equal(source.read(source.user, 0, 0, NULL, &out), POFAC_OK);
        assert_int_equal(ids[0], kind ? 70000 : 65535);
        assert_int_equal(ids[1], kind == 2 ? 6 : 5);
        assert_int_equal(types[0], 0);
        assert_int_equal(types[1], 1);
        prints[kind] = source.fingerprint;
        token_store_destroy(s);
    }
    assert_true(prints[0] != prints[1] && prints[1] != prints[2] && prints[0] != prints[2]);
}

static void failing_allocations(void **state) {
    arena a = ARENA_INIT;
    label_set labels;
    tokenizer *tok = create_tokenizer();
    char path[512];
    const char *list[] = {path};
    put_text(state, "f.tsv", "sentence\tlabel\nhello\t1\nhello world\t0\n");
    snprintf(path, sizeof path, "%s", file_path(state, "f.tsv"));
    assert_int_equal(label_set_make(find_task("sst2"), NULL, &a, NULL, &labels), POFAC_OK);
    const task_examples_options options = {
        .reading = {.task = find_task("sst2"), .labels = &labels}, .tokenizer = tok, .max_length = 16};
    for (size_t n = 1;; n++) {
        token_store *store;
        task_examples_counts counts;
        fail_alloc_after(n);
        pofac_status status = task_examples_load(list, 1, &options, NULL, &store, &counts);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        token_store_destroy(store);
        if (!failed) break;
    }
    tokenizer_destroy(tok);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classification),    cmocka_unit_test(regression_and_words), cmocka_unit_test(batches_of_a_task),
        cmocka_unit_test(wide_vocabularies), cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
