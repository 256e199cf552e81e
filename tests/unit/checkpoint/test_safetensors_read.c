/* Reading safetensors: what is accepted, what is refused and with which words; files cut and changed at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "ir/support/file_map.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

#define SMALL_HEADER                                                                                                               \
    "{\"__metadata__\":{\"format\":\"pt\",\"note\":\"x\"},"                                                                        \
    "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[5,29]},"                                                           \
    "\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]},"                                                               \
    "\"s\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[29,37]},"                                                             \
    "\"e\":{\"dtype\":\"F16\",\"shape\":[0,4],\"data_offsets\":[5,5]}}  "
#define SMALL_BYTES 37

static void make_small_data(unsigned char *data) {
    for (unsigned char i = 0; i < SMALL_BYTES; i++) data[i] = i;
    static const float b[6] = {1, 2, 3, 4, 5, -6};
    const int64_t s = -7;
    memcpy(data + 5, b, sizeof b); /* at an odd address */
    memcpy(data + 29, &s, sizeof s);
}

static void put_small(void **state, const char *name) {
    unsigned char data[SMALL_BYTES];
    make_small_data(data);
    put_safetensors(state, name, SMALL_HEADER, data, sizeof data);
}

static void test_small_file(void **state) {
    put_small(state, "small.safetensors");
    checkpoint *c = expect_open(state, "small.safetensors");
    assert_int_equal(checkpoint_size(c), 4);
    static const char *const order[] = {"a", "b", "e", "s"};
    for (size_t i = 0; i < 4; i++) assert_string_equal(checkpoint_at(c, i)->name, order[i]);
    assert_null(checkpoint_at(c, 4));
    assert_null(checkpoint_get(c, "c"));
    assert_string_equal(checkpoint_metadata(c, "note"), "x");
    assert_string_equal(checkpoint_metadata(c, "format"), "pt");
    assert_null(checkpoint_metadata(c, "other"));

    const checkpoint_tensor *b = checkpoint_get(c, "b");
    assert_string_equal(b->file, file_path(state, "small.safetensors"));
    assert_int_equal(b->dtype, IR_F32);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->dims[0], 2);
    assert_int_equal(b->dims[1], 3);
    assert_int_equal(b->strides[0], 3);
    assert_int_equal(b->strides[1], 1);
    float values[6];
    checkpoint_read_f32(b, values);
    static const float wanted[6] = {1, 2, 3, 4, 5, -6};
    assert_memory_equal(values, wanted, sizeof wanted);

    const checkpoint_tensor *e = checkpoint_get(c, "e"), *s = checkpoint_get(c, "s");
    assert_int_equal(checkpoint_elements(e), 0);
    assert_null(e->data);
    assert_int_equal(s->rank, 0);
    int64_t seven = 0;
    assert_int_equal(checkpoint_read_i64(s, NULL, &seven), POFAC_OK);
    assert_int_equal(seven, -7);
    checkpoint_close(c);
}

static void test_no_tensors(void **state) {
    put_safetensors(state, "empty.safetensors", "{}", NULL, 0);
    checkpoint *c = expect_open(state, "empty.safetensors");
    assert_int_equal(checkpoint_size(c), 0);
    assert_null(checkpoint_at(c, 0));
    assert_null(checkpoint_get(c, "x"));
    checkpoint_close(c);
    checkpoint_close(NULL);
}

static void test_every_dtype(void **state) {
    static const struct {
        const char *name;
        ir_dtype dtype;
        int bytes;
    } rows[] = {{"F64", IR_F64, 8}, {"F32", IR_F32, 4}, {"F16", IR_F16, 2}, {"BF16", IR_BF16, 2}, {"I64", IR_I64, 8},
                {"I32", IR_I32, 4}, {"I16", IR_I16, 2}, {"I8", IR_I8, 1},   {"U8", IR_U8, 1},     {"BOOL", IR_BOOL, 1}};
    static const unsigned char zeros[24];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[200];
        snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%d]}}", rows[i].name,
                 3 * rows[i].bytes);
        put_safetensors(state, "d.safetensors", header, zeros, (size_t)(3 * rows[i].bytes));
        checkpoint *c = expect_open(state, "d.safetensors");
        assert_int_equal(checkpoint_get(c, "x")->dtype, rows[i].dtype);
        checkpoint_close(c);
        assert_string_equal(safetensors_dtype_name(rows[i].dtype), rows[i].name);
    }
    assert_null(safetensors_dtype_name(IR_I4));
    ir_dtype d;
    assert_false(safetensors_dtype_parse("F8_E4M3", &d));
}

static void test_wrong_headers(void **state) {
    static const char *const rows[][2] = {
        {"", "header: invalid JSON at byte 0: unexpected token near end of file"},
        {"[1]", "header: found an array, wanted an object"},
        {"{\"x\": }", "header: invalid JSON at byte 6: unexpected token near '}'"},
        {"{\"x\":1, \"x\":1}", "header: invalid JSON at byte 8: duplicate object key near '\"x\"'"},
        {"{\"x\":1}", "tensor \"x\": found 1, wanted an object"},
        {"{\"x\":{\"shape\":[1],\"data_offsets\":[0,8]}}",
         "tensor \"x\": dtype: found nothing, wanted F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL"},
        {"{\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}",
         "tensor \"x\": dtype: found \"F8_E4M3\", wanted F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL"},
        {"{\"x\":{\"dtype\":32,\"shape\":[8],\"data_offsets\":[0,8]}}",
         "tensor \"x\": dtype: found 32, wanted F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL"},
        {"{\"x\":{\"dtype\":\"U8\",\"data_offsets\":[0,8]}}", "tensor \"x\": shape: found nothing, wanted an array"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":8,\"data_offsets\":[0,8]}}", "tensor \"x\": shape: found 8, wanted an array"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[-8],\"data_offsets\":[0,8]}}",
         "tensor \"x\": shape: found -8, wanted an integer from 0"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[8.0],\"data_offsets\":[0,8]}}",
         "tensor \"x\": shape: found 8.0, wanted an integer from 0"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,8],\"data_offsets\":[0,8]}}",
         "tensor \"x\": shape: found 9 dimensions, wanted at most 8"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[8]}}", "tensor \"x\": data_offsets: found nothing, wanted an array of two integers"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":8}}",
         "tensor \"x\": data_offsets: found 8, wanted an array of two integers"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8,9]}}",
         "tensor \"x\": data_offsets: found another array, wanted an array of two integers"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,\"8\"]}}",
         "tensor \"x\": data_offsets: found another array, wanted an array of two integers"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}",
         "tensor \"x\": data_offsets: found [0,9], wanted a range within the 8 bytes of data: the file may be cut short"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[-1,7]}}",
         "tensor \"x\": data_offsets: found [-1,7], wanted a range within the 8 bytes of data"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[8,4]}}",
         "tensor \"x\": data_offsets: found [8,4], wanted a range within the 8 bytes of data"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,9223372036854775807]}}",
         "tensor \"x\": data_offsets: found [0,9223372036854775807], wanted a range within the 8 bytes of data: the file may be "
         "cut short"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[7],\"data_offsets\":[0,8]}}",
         "tensor \"x\": found 8 bytes of data, wanted as many as U8 of shape [7] take"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,8]}}",
         "tensor \"x\": found 8 bytes of data, wanted as many as F32 of shape [8] take"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1099511627776,1099511627776],\"data_offsets\":[0,8]}}",
         "tensor \"x\": found 8 bytes of data, wanted as many as U8 of shape [1099511627776,1099511627776] take"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1099511627776,0,1099511627776],\"data_offsets\":[0,0]}}",
         "tensor \"x\": found 0 bytes of data, wanted as many as U8 of shape [1099511627776,0,1099511627776] take"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[2305843009213693953],\"data_offsets\":[0,8]}}",
         "tensor \"x\": found 8 bytes of data, wanted as many as F64 of shape [2305843009213693953] take"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
         "tensor \"x\": found data from byte 4, wanted them from byte 0, where the data begin"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
         "found 8 bytes of data, wanted 4, where the last tensor ends"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[3,"
         "8]}}",
         "tensor \"y\": found data from byte 3, wanted them from byte 4, where those of the tensor before end"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[5,"
         "8]}}",
         "tensor \"y\": found data from byte 5, wanted them from byte 4, where those of the tensor before end"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},\"y\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,"
         "8]}}",
         "tensor \"y\": found data from byte 0, wanted them from byte 8, where those of the tensor before end"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},\"y\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,"
         "4]}}",
         "tensor \"y\": found data from byte 4, wanted them from byte 8, where those of the tensor before end"},
        {"{\"__metadata__\":3}", "__metadata__: found 3, wanted an object of strings"},
        {"{\"__metadata__\":{\"k\":3}}", "__metadata__: k: found 3, wanted a string"},
        {"{\"\\u001b[31m\":1}", "tensor \"\\u001b[31m\": found 1, wanted an object"},
        {"{\"a\\u0000b\":1}", "header: invalid JSON at byte 1: NUL byte in object key not supported near '\"a\\u0000b\"'"},
    };
    static const unsigned char data[8];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char said[400];
        put_safetensors(state, "w.safetensors", rows[i][0], data, sizeof data);
        snprintf(said, sizeof said, "w.safetensors: error: %s\n", rows[i][1]);
        expect_open_fails(state, "w.safetensors", said);
    }
}

static void test_wrong_lengths(void **state) {
    put_file(state, "n.safetensors", "", 0);
    expect_open_fails(state, "n.safetensors", "n.safetensors: error: found 0 bytes, wanted at least 8, the length of the header\n");
    put_file(state, "n.safetensors", "1234567", 7);
    expect_open_fails(state, "n.safetensors", "n.safetensors: error: found 7 bytes, wanted at least 8, the length of the header\n");
    put_file(state, "n.safetensors", "\3\0\0\0\0\0\0\0{}", 10);
    expect_open_fails(state, "n.safetensors",
                      "n.safetensors: error: found 10 bytes, wanted 11 for the header alone: the file is cut short\n");
    put_file(state, "n.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    expect_open_fails(state, "n.safetensors",
                      "n.safetensors: error: found a header of 18446744073709551615 bytes, wanted at most "
                      "100000000: this is no safetensors file\n");
    put_file(state, "n.safetensors", "PK\3\4\0\0\0\0\0\0", 10);
    expect_open_fails(state, "n.safetensors",
                      "n.safetensors: error: found 10 bytes, wanted 67324760 for the header alone: the file is cut short\n");
}

static void test_long_name_is_cut(void **state) {
    char header[1100], said[400];
    strcpy(header, "{\"");
    memset(header + 2, 'n', 1000);
    strcpy(header + 1002, "\":1}");
    put_safetensors(state, "l.safetensors", header, NULL, 0);
    snprintf(said, sizeof said, "l.safetensors: error: tensor \"%.200s\"...: found 1, wanted an object\n", header + 2);
    expect_open_fails(state, "l.safetensors", said);
}

/* A file that is cut anywhere, or has a byte too many, is refused. */
static void test_truncation(void **state) {
    put_small(state, "whole.safetensors");
    file_map map;
    assert_int_equal(file_map_open(file_path(state, "whole.safetensors"), NULL, &map), POFAC_OK);
    for (size_t n = 0; n < map.size_bytes; n++) {
        checkpoint *c;
        put_file(state, "cut.safetensors", map.data, n);
        pofac_status status = checkpoint_open(file_path(state, "cut.safetensors"), NULL, &c);
        if (status != POFAC_ERR_INPUT) print_error("cut to %zu of %zu bytes\n", n, map.size_bytes);
        assert_int_equal(status, POFAC_ERR_INPUT);
        assert_null(c);
    }
    unsigned char *longer = calloc(1, map.size_bytes + 1);
    memcpy(longer, map.data, map.size_bytes);
    put_file(state, "cut.safetensors", longer, map.size_bytes + 1);
    expect_open_fails(state, "cut.safetensors",
                      "cut.safetensors: error: found 38 bytes of data, wanted 37, where the last tensor ends\n");
    free(longer);
    file_map_close(&map);
}

/* Reads every element of what could be opened, so that a range outside of the mapping crashes. */
static void read_all(const checkpoint *c) {
    for (size_t i = 0; i < checkpoint_size(c); i++) {
        const checkpoint_tensor *t = checkpoint_at(c, i);
        int64_t n = checkpoint_elements(t);
        assert_in_range(n, 0, 1000);
        float *values = malloc((size_t)(n + 1) * sizeof *values);
        checkpoint_read_f32(t, values);
        free(values);
    }
}

static void test_changed_bytes(void **state) {
    put_small(state, "whole.safetensors");
    file_map map;
    assert_int_equal(file_map_open(file_path(state, "whole.safetensors"), NULL, &map), POFAC_OK);
    unsigned char *bytes = malloc(map.size_bytes);
    static const unsigned char others[] = {0, '0', '9', '"', '[', '{', '-', 0xff};
    for (size_t i = 0; i < map.size_bytes - SMALL_BYTES; i++) {
        for (size_t j = 0; j < sizeof others; j++) {
            checkpoint *c;
            memcpy(bytes, map.data, map.size_bytes);
            bytes[i] = others[j];
            put_file(state, "changed.safetensors", bytes, map.size_bytes);
            pofac_status status = checkpoint_open(file_path(state, "changed.safetensors"), NULL, &c);
            assert_true(status == POFAC_OK || status == POFAC_ERR_INPUT);
            if (status != POFAC_OK) continue;
            read_all(c);
            checkpoint_close(c);
        }
    }
    free(bytes);
    file_map_close(&map);
}

static void test_index(void **state) {
    static const float one = 1, two = 2;
    assert_int_equal(mkdir(file_path(state, "sharded"), 0777), 0);
    put_safetensors(state, "sharded/m-1.safetensors", "{\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", &one, 4);
    put_safetensors(state, "sharded/m-2.safetensors", "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", &two, 4);
    static const char index[] =
        "{\"metadata\": {\"total_size\": 8}, \"weight_map\": {\"x\": \"m-2.safetensors\", \"y\": \"m-1.safetensors\"}}";
    put_file(state, "sharded/model.safetensors.index.json", index, strlen(index));
    static const char *const paths[] = {"sharded", "sharded/", "sharded/model.safetensors.index.json"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(checkpoint_is_there(file_path(state, paths[i])));
        checkpoint *c = expect_open(state, paths[i]);
        assert_int_equal(checkpoint_size(c), 2);
        float x = 0, y = 0;
        checkpoint_read_f32(checkpoint_get(c, "x"), &x);
        checkpoint_read_f32(checkpoint_get(c, "y"), &y);
        assert_true(x == 2 && y == 1);
        checkpoint_close(c);
    }
}

static void put_index(void **state, const char *index) { put_file(state, "i/model.safetensors.index.json", index, strlen(index)); }

static void test_wrong_indices(void **state) {
    static const float two[2] = {1, 2};
    assert_int_equal(mkdir(file_path(state, "i"), 0777), 0);
    put_safetensors(state, "i/a.safetensors",
                    "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"F32\",\"shape\":[1],"
                    "\"data_offsets\":[4,8]}}",
                    two, 8);
    static const char *const rows[][2] = {
        {"", ":1:1: error: invalid JSON: unexpected token near end of file\n  \n  ^"},
        {"{}", ": error: weight_map: found nothing, wanted an object that names the file of each tensor"},
        {"{\"weight_map\": 1}", ": error: weight_map: found 1, wanted an object that names the file of each tensor"},
        {"{\"weight_map\": {\"x\": 1}}", ": error: weight_map: x: found 1, wanted the name of a file in the same directory"},
        {"{\"weight_map\": {\"x\": \"../a.safetensors\"}}",
         ": error: weight_map: x: found \"../a.safetensors\", wanted the name of a file in the same directory"},
        {"{\"weight_map\": {\"x\": \"/etc/passwd\"}}",
         ": error: weight_map: x: found \"/etc/passwd\", wanted the name of a file in the same directory"},
        {"{\"weight_map\": {\"x\": \"..\"}}",
         ": error: weight_map: x: found \"..\", wanted the name of a file in the same directory"},
        {"{\"weight_map\": {\"x\": \"\"}}", ": error: weight_map: x: found \"\", wanted the name of a file in the same directory"},
        {"{\"weight_map\": {\"x\": \"a.safetensors\", \"y\": \"a.safetensors\", \"z\": \"a.safetensors\"}}",
         ": error: weight_map: z: not found in a.safetensors, where it is wanted"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char said[300];
        put_index(state, rows[i][0]);
        snprintf(said, sizeof said, "i/model.safetensors.index.json%s\n", rows[i][1]);
        expect_open_fails(state, "i", said);
    }
    put_index(state, "{\"weight_map\": {\"x\": \"b.safetensors\"}}");
    expect_open_fails(state, "i", "i/b.safetensors: error: cannot be opened: No such file or directory\n");
    put_index(state, "{\"weight_map\": {\"x\": \".\"}}");
    expect_open_fails(state, "i",
                      "i/model.safetensors.index.json: error: weight_map: x: found \".\", wanted the name of a file in the same "
                      "directory\n");
}

static void test_unnamed_tensors(void **state) {
    static const float two[2] = {1, 2};
    assert_int_equal(mkdir(file_path(state, "u"), 0777), 0);
    put_safetensors(state, "u/a.safetensors",
                    "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"F32\",\"shape\":[1],"
                    "\"data_offsets\":[4,8]}}",
                    two, 8);
    static const char index[] = "{\"weight_map\": {\"x\": \"a.safetensors\"}}";
    put_file(state, "u/model.safetensors.index.json", index, strlen(index));
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    checkpoint *c;
    assert_int_equal(checkpoint_open(file_path(state, "u"), &sink, &c), POFAC_OK);
    assert_int_equal(checkpoint_size(c), 1);
    cut_directory(state, said.data);
    assert_string_equal(said.data, "u/a.safetensors: warning: found 1 tensors that the index does not name, which are left out\n");
    strbuf_free(&said);
    checkpoint_close(c);
}

static void test_places(void **state) {
    expect_open_fails(state, "nothing.safetensors", "nothing.safetensors: error: cannot be opened: No such file or directory\n");
    expect_open_fails(state, "nothing",
                      "nothing: error: found nothing of this name, wanted a directory or a file that ends in "
                      ".safetensors, .index.json, .bin or .bin.index.json\n");
    put_file(state, "weights.dat", "x", 1);
    expect_open_fails(state, "weights.dat",
                      "weights.dat: error: found a file of an unknown kind, wanted a directory or a file that ends "
                      "in .safetensors, .index.json, .bin or .bin.index.json\n");
    assert_int_equal(mkdir(file_path(state, "void"), 0777), 0);
    expect_open_fails(state, "void",
                      "void: error: found no checkpoint in this directory, wanted model.safetensors, "
                      "model.safetensors.index.json, pytorch_model.bin or pytorch_model.bin.index.json\n");
    assert_false(checkpoint_is_there(file_path(state, "void")));
    assert_false(checkpoint_is_there(file_path(state, "weights.dat")));
    assert_false(checkpoint_is_there(file_path(state, "nothing.safetensors")));
    put_small(state, "void/model.safetensors");
    assert_true(checkpoint_is_there(file_path(state, "void")));
    assert_true(checkpoint_is_there(file_path(state, "void/model.safetensors")));
    checkpoint_close(expect_open(state, "void"));
}

static void test_table_of_formats(void **state) {
    (void)state;
    size_t n;
    const checkpoint_format *rows = checkpoint_formats(&n);
    assert_int_equal(n, 4);
    assert_string_equal(rows[0].name, "safetensors");       /* test_small_file */
    assert_string_equal(rows[1].name, "safetensors_index"); /* test_index */
    assert_string_equal(rows[2].name, "torch");             /* test_torch_read */
    assert_string_equal(rows[3].name, "torch_index");       /* test_torch_read */
}

static void expect_every_allocation_counts(void **state, const char *name) {
    for (size_t n = 1;; n++) {
        checkpoint *c;
        fail_alloc_after(n);
        pofac_status status = checkpoint_open(file_path(state, name), NULL, &c);
        bool failed = fail_alloc_stop();
        assert_int_equal(status != POFAC_OK, failed);
        assert_int_equal(c != NULL, !failed);
        checkpoint_close(c);
        if (!failed) break;
    }
}

static void test_failing_allocations(void **state) {
    put_small(state, "small.safetensors");
    expect_every_allocation_counts(state, "small.safetensors");
    expect_every_allocation_counts(state, "sharded");
}

static void open_shared(const char *path, size_t n_tensors) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char full[1000];
    snprintf(full, sizeof full, "%s/%s", shared, path);
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    checkpoint *c;
    pofac_status status = checkpoint_open(full, &sink, &c);
    assert_string_equal(strbuf_str(&said), "");
    assert_int_equal(status, POFAC_OK);
    if (n_tensors) assert_int_equal(checkpoint_size(c), n_tensors);
    for (size_t i = 0; i < checkpoint_size(c); i++) {
        ir_tensor t;
        const checkpoint_tensor *from = checkpoint_at(c, i);
        assert_int_equal(checkpoint_load(from, dtype_class(from->dtype) == DTYPE_FLOAT ? IR_F32 : IR_I64, &sink, &t), POFAC_OK);
        assert_int_equal(tensor_elements(&t), checkpoint_elements(from));
        tensor_free(&t);
    }
    checkpoint_close(c);
    strbuf_free(&said);
}

static void test_shared_files(void **state) {
    (void)state;
    static const struct {
        const char *path;
        size_t n_tensors;
    } rows[] = {
        {"data/bert_tiny_encoders/sst2", 36},
        {"data/bert_tiny_encoders/sst2/reference_io.safetensors", 16},
        {"fixtures/forward/bert-pretraining", 46},
        {"fixtures/forward/bert-pretraining/inputs.safetensors", 5},
        {"fixtures/forward/bert-pretraining/expected.safetensors", 0},
        {"fixtures/forward/bert-question-answering", 39},
        {"fixtures/forward/bert-sequence-classification", 41},
        {"fixtures/forward/bert-token-classification", 39},
        {"fixtures/forward/distilbert-pretraining", 41},
        {"fixtures/forward/distilbert-question-answering", 38},
        {"fixtures/forward/distilbert-sequence-classification", 40},
        {"fixtures/forward/distilbert-token-classification", 38},
        {"fixtures/pruning-methods/masks.safetensors", 0},
        {"fixtures/train/distilbert-pruning-85/student", 41},
        {"fixtures/train/distilbert-pruning-85/teacher", 41},
        {"fixtures/train/distilbert-pruning-85/batches.safetensors", 0},
        {"fixtures/train/distilbert-pruning-85/final.safetensors", 41},
        {"fixtures/train/student-pruning-90/student", 46},
        {"fixtures/train/teacher-preparation/final.safetensors", 46},
        {"fixtures/train/transfer-classification-lock/teacher", 41},
        {"fixtures/train/transfer-qa-lock-qat/quantization.safetensors", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) open_shared(rows[i].path, rows[i].n_tensors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_file),
        cmocka_unit_test(test_no_tensors),
        cmocka_unit_test(test_every_dtype),
        cmocka_unit_test(test_wrong_headers),
        cmocka_unit_test(test_wrong_lengths),
        cmocka_unit_test(test_long_name_is_cut),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_wrong_indices),
        cmocka_unit_test(test_unnamed_tensors),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_table_of_formats),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_shared_files),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
