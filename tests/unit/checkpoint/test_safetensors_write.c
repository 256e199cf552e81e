/* Writing safetensors: the exact bytes, round trips, pieces, failures that leave the old file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/checkpoint/safetensors.h"
#include "ir/support/file_map.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

static void expect_bytes(const char *path, const void *wanted, size_t n) {
    file_map map;
    assert_int_equal(file_map_open(path, NULL, &map), POFAC_OK);
    assert_int_equal(map.size_bytes, n);
    assert_memory_equal(map.data, wanted, n);
    file_map_close(&map);
}

static void test_exact_bytes(void **state) {
    static const float f32[2] = {1, -2};
    static const uint8_t u8[3] = {7, 8, 9};
    static const int64_t i64 = 5;
    const safetensors_item items[] = {
        {.name = "b", .dtype = IR_F32, .rank = 2, .dims = {1, 2}, .data = f32},
        {.name = "a\"", .dtype = IR_U8, .rank = 1, .dims = {3}, .data = u8},
        {.name = "c", .dtype = IR_I64, .rank = 0, .data = &i64},
        {.name = "d", .dtype = IR_F32, .rank = 2, .dims = {0, 3}},
    };
    const char *path = file_path(state, "exact.safetensors");
    assert_int_equal(safetensors_write(path, items, 4, NULL, 0, NULL), POFAC_OK);
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"a\\\"\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[16,19]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[8,16]},"
                                 "\"c\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                                 "\"d\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[16,16]}}";
    const size_t padded = (sizeof header - 1 + 7) / 8 * 8;
    unsigned char wanted[400] = {0};
    memset(wanted + 8, ' ', padded);
    wanted[0] = (unsigned char)padded, wanted[1] = (unsigned char)(padded >> 8);
    memcpy(wanted + 8, header, sizeof header - 1);
    memcpy(wanted + 8 + padded, &i64, 8);
    memcpy(wanted + 8 + padded + 8, f32, 8);
    memcpy(wanted + 8 + padded + 16, u8, 3);
    expect_bytes(path, wanted, 8 + padded + 19);
    checkpoint_close(expect_open(state, "exact.safetensors"));
}

static void test_metadata(void **state) {
    const safetensors_metadata metadata[] = {{"step", "12"}, {"note", "a\nb"}};
    assert_int_equal(safetensors_write(file_path(state, "m.safetensors"), NULL, 0, metadata, 2, NULL), POFAC_OK);
    checkpoint *c = expect_open(state, "m.safetensors");
    assert_string_equal(checkpoint_metadata(c, "step"), "12");
    assert_string_equal(checkpoint_metadata(c, "note"), "a\nb");
    assert_string_equal(checkpoint_metadata(c, "format"), "pt");
    checkpoint_close(c);
    const safetensors_metadata format = {"format", "pofac"};
    assert_int_equal(safetensors_write(file_path(state, "m.safetensors"), NULL, 0, &format, 1, NULL), POFAC_OK);
    c = expect_open(state, "m.safetensors");
    assert_string_equal(checkpoint_metadata(c, "format"), "pofac");
    checkpoint_close(c);
}

/* Element i of the counting tensor is i; notes the longest piece. */
static pofac_status count_up(void *user, int64_t first, int64_t count, void *out) {
    int64_t *longest = user;
    int32_t *to = out;
    if (count > *longest) *longest = count;
    for (int64_t i = 0; i < count; i++) to[i] = (int32_t)(first + i);
    return POFAC_OK;
}

static void test_pieces(void **state) {
    enum { N = 600001 }; /* two pieces of 2^18, and the rest */
    int64_t longest = 0;
    const safetensors_item items[] = {
        {.name = "n", .dtype = IR_I32, .rank = 1, .dims = {N}, .fill = count_up, .user = &longest},
        {.name = "one", .dtype = IR_I32, .rank = 0, .fill = count_up, .user = &longest},
    };
    assert_int_equal(safetensors_write(file_path(state, "p.safetensors"), items, 2, NULL, 0, NULL), POFAC_OK);
    assert_int_equal(longest, 262144);
    checkpoint *c = expect_open(state, "p.safetensors");
    int64_t *found = malloc(N * sizeof *found);
    assert_int_equal(checkpoint_read_i64(checkpoint_get(c, "n"), NULL, found), POFAC_OK);
    for (int64_t i = 0; i < N; i++)
        if (found[i] != i) assert_int_equal(found[i], i);
    free(found);
    checkpoint_close(c);
}

static pofac_status give_up(void *user, int64_t first, int64_t count, void *out) {
    (void)first, (void)count, (void)out;
    return diag_error(user, POFAC_ERR_NUMERIC, NULL, "no number");
}

static void test_failing_fill(void **state) {
    const char *path = file_path(state, "old.safetensors");
    put_file(state, "old.safetensors", "old", 3);
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    const safetensors_item item = {.name = "x", .dtype = IR_F32, .rank = 1, .dims = {4}, .fill = give_up, .user = &sink};
    assert_int_equal(safetensors_write(path, &item, 1, NULL, 0, &sink), POFAC_ERR_NUMERIC);
    assert_string_equal(strbuf_str(&said), "error: no number\n");
    expect_bytes(path, "old", 3);
    strbuf_free(&said);
}

static void expect_refusal(void **state, const safetensors_item *items, size_t n, const char *wanted) {
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(safetensors_write(file_path(state, "r.safetensors"), items, n, NULL, 0, &sink), POFAC_ERR_USAGE);
    cut_directory(state, said.data);
    assert_string_equal(said.data, wanted);
    assert_false(file_exists(file_path(state, "r.safetensors")));
    strbuf_free(&said);
}

static void test_refusals(void **state) {
    const safetensors_item twice[] = {
        {.name = "x", .dtype = IR_F32}, {.name = "y", .dtype = IR_F32}, {.name = "x", .dtype = IR_I8}};
    expect_refusal(state, twice, 3, "r.safetensors: error: tensor \"x\" cannot be written: the name stands twice\n");
    safetensors_item x = {.name = "x", .dtype = IR_I4};
    expect_refusal(state, &x, 1, "r.safetensors: error: tensor \"x\" cannot be written: the format has no such dtype\n");
    x = (safetensors_item){.name = "__metadata__", .dtype = IR_F32};
    expect_refusal(state, &x, 1,
                   "r.safetensors: error: tensor \"__metadata__\" cannot be written: the name has a meaning of its own\n");
    x = (safetensors_item){.name = "x", .dtype = IR_F32, .rank = 9};
    expect_refusal(state, &x, 1, "r.safetensors: error: tensor \"x\" cannot be written: too many dimensions\n");
    x = (safetensors_item){.name = "x", .dtype = IR_F32, .rank = 1, .dims = {-1}};
    expect_refusal(state, &x, 1, "r.safetensors: error: tensor \"x\" cannot be written: a negative dimension\n");
    x = (safetensors_item){.name = "x", .dtype = IR_F32, .rank = 2, .dims = {INT64_MAX, 2}};
    expect_refusal(state, &x, 1, "r.safetensors: error: tensor \"x\" cannot be written: too large\n");
    const safetensors_item large[] = {{.name = "x", .dtype = IR_U8, .rank = 1, .dims = {INT64_MAX}},
                                      {.name = "y", .dtype = IR_U8, .rank = 1, .dims = {1}}};
    expect_refusal(state, large, 2, "r.safetensors: error: tensor \"y\" cannot be written: too large\n");
}

static void test_unwritable(void **state) {
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(safetensors_write(file_path(state, "none/x.safetensors"), NULL, 0, NULL, 0, &sink), POFAC_ERR_RUNTIME);
    cut_directory(state, said.data);
    assert_string_equal(said.data, "none/x.safetensors: error: cannot be written: No such file or directory\n");
    strbuf_free(&said);
}

static void test_failing_allocations(void **state) {
    int64_t longest = 0;
    const safetensors_item item = {.name = "n", .dtype = IR_I32, .rank = 1, .dims = {9}, .fill = count_up, .user = &longest};
    const char *path = file_path(state, "f.safetensors");
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        pofac_status status = safetensors_write(path, &item, 1, NULL, 0, NULL);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        assert_int_equal(file_exists(path), !failed);
        if (!failed) break;
    }
}

/* A model's tensors written anew are the same tensors. */
static void test_round_trip_of_shared(void **state) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char path[1000];
    snprintf(path, sizeof path, "%s/fixtures/forward/bert-pretraining", shared);
    checkpoint *c;
    assert_int_equal(checkpoint_open(path, NULL, &c), POFAC_OK);
    const size_t n = checkpoint_size(c);
    safetensors_item *items = calloc(n, sizeof *items);
    for (size_t i = 0; i < n; i++) {
        const checkpoint_tensor *t = checkpoint_at(c, n - 1 - i); /* in another order */
        items[i] = (safetensors_item){.name = t->name, .dtype = t->dtype, .rank = t->rank, .data = t->data};
        memcpy(items[i].dims, t->dims, sizeof t->dims);
    }
    const char *copy = file_path(state, "copy.safetensors");
    assert_int_equal(safetensors_write(copy, items, n, NULL, 0, NULL), POFAC_OK);
    file_map original;
    snprintf(path, sizeof path, "%s/fixtures/forward/bert-pretraining/model.safetensors", shared);
    assert_int_equal(file_map_open(path, NULL, &original), POFAC_OK);
    expect_bytes(copy, original.data, original.size_bytes);
    file_map_close(&original);
    free(items);
    checkpoint_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_bytes),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_failing_fill),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_round_trip_of_shared),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
