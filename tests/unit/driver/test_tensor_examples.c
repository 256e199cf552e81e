/* Rows of tensors as examples: batches of the training fixtures are the fixtures' rows; what does not fit is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/batcher.h"
#include "frontend/driver/tensor_examples.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

#define VOCABULARY 1000000

/* Where the mask keeps a token, and for rows, the batch's tensor is the file's from row `first` on. */
static void expect_tensor(const char *where, const batch *b, size_t i, const checkpoint *file, int64_t first) {
    const checkpoint_tensor *t = checkpoint_get(file, b->names[i]), *mask = checkpoint_get(file, "attention_mask");
    ir_tensor all, kept;
    if (!t && strcmp(b->names[i], "token_type_ids") == 0) return; /* of DistilBERT */
    assert_non_null(t);
    assert_int_equal(checkpoint_load(t, IR_I64, NULL, &all), POFAC_OK);
    assert_int_equal(checkpoint_load(mask, IR_I64, NULL, &kept), POFAC_OK);
    const int64_t inner = all.rank > 1 ? all.dims[1] : 1;
    for (int64_t row = 0; row < b->n_sequences; row++)
        for (int64_t k = 0; k < inner; k++) {
            if (inner > 1 && strcmp(b->names[i], "attention_mask") != 0 && !tensor_get_int(&kept, (first + row) * inner + k))
                continue;
            const int64_t found = tensor_get_int(&b->tensors[i], row * inner + k),
                          wanted = tensor_get_int(&all, (first + row) * inner + k);
            if (found != wanted)
                fail_msg("%s: %s, row %d, place %d: found %d, wanted %d", where, b->names[i], (int)(first + row), (int)k,
                         (int)found, (int)wanted);
        }
    tensor_free(&all);
    tensor_free(&kept);
}

static void batches_of_the_training_fixtures(void **state) {
    (void)state;
    static const char *const names[] = {"teacher-preparation", "student-pruning-90", "distilbert-pruning-85",
                                        "transfer-classification-lock", "transfer-qa-lock"};
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[4096];
        checkpoint *file;
        tensor_examples *examples;
        batcher *b;
        const batch *found;
        int64_t row = 0;
        snprintf(path, sizeof path, "%s/fixtures/train/%s/batches.safetensors", shared, names[i]);
        assert_int_equal(checkpoint_open(path, NULL, &file), POFAC_OK);
        assert_int_equal(tensor_examples_open(path, VOCABULARY, NULL, &examples), POFAC_OK);
        const example_source s = tensor_examples_source(examples);
        const batcher_options options = {
            .order = {.batch_size = 4, .fixed_length = tensor_examples_padded_length(examples)}, .n_epochs = 1, .prefetch = 2};
        assert_int_equal(batcher_create(&s, &options, NULL, &b), POFAC_OK);
        const batch_source source = batcher_source(b);
        for (; assert_int_equal(source.next(source.user, NULL, &found), POFAC_OK), found; row += found->n_sequences) {
            assert_int_equal(found->n_tensors, checkpoint_size(file) + !checkpoint_get(file, "token_type_ids"));
            for (size_t k = 0; k < found->n_tensors; k++) expect_tensor(names[i], found, k, file, row);
        }
        assert_int_equal(row, s.n_examples);
        batcher_destroy(b);
        tensor_examples_close(examples);
        checkpoint_close(file);
    }
}

/* One file of three tensors of i64; `types` may have another shape. */
static void put_rows(void **state, const int64_t *ids, const int64_t *mask, const int64_t *types, const char *types_shape) {
    int64_t data[12];
    char header[512];
    memcpy(data, ids, 32);
    memcpy(data + 4, mask, 32);
    memcpy(data + 8, types, 32);
    snprintf(header, sizeof header,
             "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[2,2],\"data_offsets\":[0,32]},\"attention_mask\":{\"dtype\":\"I64\","
             "\"shape\":[2,2],"
             "\"data_offsets\":[32,64]},\"%s\":{\"dtype\":\"I64\",\"shape\":%s,\"data_offsets\":[64,96]}}",
             strchr(types_shape, ',') ? "token_type_ids" : "labels", types_shape);
    put_safetensors(state, "a.safetensors", header, data, sizeof data);
}

static void expect_refused(void **state, const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    tensor_examples *e;
    assert_int_equal(tensor_examples_open(file_path(state, "a.safetensors"), 100, &sink, &e), POFAC_ERR_INPUT);
    if (said.data) cut_directory(state, said.data);
    assert_string_equal(strbuf_str(&said), wanted);
    assert_null(e);
    strbuf_free(&said);
}

static const int64_t good_ids[] = {5, 6, 7, 0}, good_mask[] = {1, 1, 1, 0}, good_types[] = {0, 1, 0, 9};

static void tensors_that_do_not_fit(void **state) {
    put_rows(state, good_ids, good_mask, (const int64_t[]){0, 2, 0, 0}, "[2,2]");
    expect_refused(state, "a.safetensors: error: token_type_ids: row 0: found 2, wanted 0 or 1\n");
    put_rows(state, (const int64_t[]){5, 100, 7, 8}, good_mask, good_types, "[2,2]");
    expect_refused(state, "a.safetensors: error: input_ids: row 0: found 100, wanted an id of the vocabulary\n");
    put_rows(state, good_ids, (const int64_t[]){1, 1, 0, 1}, good_types, "[2,2]");
    expect_refused(state, "a.safetensors: error: attention_mask: row 1: found 0, wanted 1 for the first token\n");
    put_rows(state, good_ids, good_mask, good_types, "[1,4]");
    expect_refused(state, "a.safetensors: error: token_type_ids: found the shape [1,4], wanted that of input_ids\n");
    put_rows(state, good_ids, good_mask, good_types, "[4]");
    expect_refused(state,
                   "a.safetensors: error: labels: found the shape [4], wanted a number for each row or token of input_ids\n");
    put_safetensors(state, "a.safetensors", "{\"labels\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", good_ids, 8);
    expect_refused(state, "a.safetensors: error: found no input_ids, wanted them\n");
}

void *__real_malloc(size_t n);

/* Those of jansson 2.14 succeed: it does not survive that a string of 16 bytes or more finds no room. */
static void failing_allocations(void **state) {
    json_set_alloc_funcs(__real_malloc, free);
    put_rows(state, good_ids, good_mask, good_types, "[2,2]");
    for (size_t n = 1;; n++) {
        tensor_examples *e;
        fail_alloc_after(n);
        pofac_status status = tensor_examples_open(file_path(state, "a.safetensors"), 100, NULL, &e);
        bool failed = fail_alloc_stop();
        assert_true(failed ? status != POFAC_OK : status == POFAC_OK);
        tensor_examples_close(e);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_of_the_training_fixtures),
        cmocka_unit_test(tensors_that_do_not_fit),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
