/* pitfall 15: files of torch.save in both forms: the tensors that come out; shards and directories; the fixtures against safetensors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ir/tensor.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/checkpoint/torch_files.h"
#include "tests/unit/fail_alloc.h"

static void expect_values(const checkpoint *c, const char *name, const float *wanted, size_t n) {
    const checkpoint_tensor *t = checkpoint_get(c, name);
    float values[32];
    if (!t) fail_msg("%s is not found", name);
    assert_int_equal(checkpoint_elements(t), n);
    checkpoint_read_f32(t, values);
    for (size_t i = 0; i < n; i++)
        if (values[i] != wanted[i]) fail_msg("%s: element %zu is %g, wanted %g", name, i, (double)values[i], (double)wanted[i]);
}

#define VALUES(...) (const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}) / sizeof(float)

static void expect_small(void **state, const char *name) {
    checkpoint *c = expect_open(state, name);
    assert_int_equal(checkpoint_size(c), TORCH_N_SMALL);
    expect_values(c, "w", VALUES(1, 2, 3, 4, 5, 6));
    expect_values(c, "wt", VALUES(1, 4, 2, 5, 3, 6));
    expect_values(c, "row", VALUES(4, 5, 6));
    expect_values(c, "column", VALUES(2, 5));
    expect_values(c, "scalar", VALUES(6));
    expect_values(c, "repeat", VALUES(3, 4, 3, 4, 3, 4));
    assert_int_equal(checkpoint_elements(checkpoint_get(c, "nothing")), 0);
    assert_null(checkpoint_get(c, "nothing")->data);
    assert_true(checkpoint_is_packed(checkpoint_get(c, "w")));
    assert_false(checkpoint_is_packed(checkpoint_get(c, "wt")));
    assert_ptr_equal(checkpoint_get(c, "w")->data, checkpoint_get(c, "wt")->data);
    assert_string_equal(checkpoint_get(c, "w")->file, file_path(state, name));
    checkpoint_close(c);
}

static void test_views(void **state) {
    strbuf pickle = STRBUF_INIT;
    torch_stored storage;
    make_small_state(&pickle, &storage, ZIP_STORED);
    put_archive(state, "small.bin", &pickle, &storage, 1);
    expect_small(state, "small.bin");
    put_stream(state, "stream.bin", &pickle, &storage, 1);
    expect_small(state, "stream.bin");
    storage.how = ZIP_DEFLATED;
    put_archive(state, "deflated.bin", &pickle, &storage, 1);
    expect_small(state, "deflated.bin");

    zip_writer z = {.zip64 = true};
    make_archive(&z, &pickle, &storage, 1);
    put_file(state, "zip64.bin", z.file.data, z.file.size);
    expect_small(state, "zip64.bin");
    zip_discard(&z);

    zip_put(&z, "data.pkl", ZIP_DEFLATED, pickle.data, pickle.size); /* no folder, and no other entries */
    zip_put(&z, "data/0", ZIP_STORED, torch_six, sizeof torch_six);
    zip_finish(&z);
    put_file(state, "bare.bin", z.file.data, z.file.size);
    expect_small(state, "bare.bin");
    zip_discard(&z);
    strbuf_free(&pickle);
}

static void test_every_dtype(void **state) {
    static const uint16_t halves[2] = {0x3c00, 0xc100}, brains[2] = {0x3f80, 0xc020}; /* 1, -2.5 */
    static const float floats[2] = {1, -2.5f};
    static const double doubles[2] = {1, -2.5};
    static const int64_t longs[2] = {1, -2};
    static const int32_t ints[2] = {1, -2};
    static const int16_t shorts[2] = {1, -2};
    static const int8_t chars[2] = {1, -2};
    static const uint8_t bytes[2] = {1, 254}, bools[2] = {1, 0};
    static const struct {
        const char *class;
        ir_dtype dtype;
        const void *data;
        size_t n_bytes;
        float second;
    } rows[] = {
        {"FloatStorage", IR_F32, floats, 8, -2.5f}, {"DoubleStorage", IR_F64, doubles, 16, -2.5f},
        {"HalfStorage", IR_F16, halves, 4, -2.5f},  {"BFloat16Storage", IR_BF16, brains, 4, -2.5f},
        {"LongStorage", IR_I64, longs, 16, -2},     {"IntStorage", IR_I32, ints, 8, -2},
        {"ShortStorage", IR_I16, shorts, 4, -2},    {"CharStorage", IR_I8, chars, 2, -2},
        {"ByteStorage", IR_U8, bytes, 2, 254},      {"BoolStorage", IR_BOOL, bools, 2, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const torch_view view = {"x", rows[i].class, "0", 2, 0, 1, {2}, {1}};
        const torch_stored storage = {"0", 2, rows[i].data, rows[i].n_bytes, ZIP_STORED};
        strbuf pickle = STRBUF_INIT;
        put_state(&pickle, &view, 1);
        put_archive(state, "d.bin", &pickle, &storage, 1);
        put_stream(state, "ds.bin", &pickle, &storage, 1);
        for (int form = 0; form < 2; form++) {
            checkpoint *c = expect_open(state, form ? "ds.bin" : "d.bin");
            assert_int_equal(checkpoint_get(c, "x")->dtype, rows[i].dtype);
            expect_values(c, "x", VALUES(1, rows[i].second));
            checkpoint_close(c);
        }
        strbuf_free(&pickle);
    }
}

/* Weights of an archive are used where they lie in the file, if torch has aligned them. */
static void test_mapped_not_copied(void **state) {
    zip_writer z = {0};
    strbuf pickle = STRBUF_INIT;
    put_state(&pickle, torch_small_views, TORCH_N_SMALL);
    zip_put(&z, "m/data.pkl", ZIP_STORED, pickle.data, pickle.size);
    const size_t header = 30 + 8 + 3; /* of the next entry: fixed part, name, extra field */
    while ((z.file.size + 30 + 3 + 3 + header) % 4)
        zip_put(&z, z.n_entries == 1 ? "m/a" : z.n_entries == 2 ? "m/b" : "m/c", ZIP_STORED, "x", 1);
    zip_put(&z, "m/d", ZIP_STORED, "", 0);
    zip_put(&z, "m/data/0", ZIP_STORED, torch_six, sizeof torch_six);
    zip_finish(&z);
    put_file(state, "aligned.bin", z.file.data, z.file.size);
    checkpoint *c = expect_open(state, "aligned.bin");
    ir_tensor t;
    assert_int_equal(checkpoint_load(checkpoint_get(c, "w"), IR_F32, NULL, &t), POFAC_OK);
    assert_ptr_equal(t.data, checkpoint_get(c, "w")->data);
    assert_false(t.owned);
    tensor_free(&t);
    assert_int_equal(checkpoint_load(checkpoint_get(c, "wt"), IR_F32, NULL, &t), POFAC_OK);
    assert_true(t.owned);
    tensor_free(&t);
    checkpoint_close(c);
    zip_discard(&z);
    strbuf_free(&pickle);
}

/* ---- which dictionary ---- */

static void put_pair(strbuf *b, const char *name) {
    const torch_view v = {name, "FloatStorage", "0", 6, 0, 1, {2}, {1}};
    put_text(b, name);
    put_tensor(b, &v);
}

static void test_nested(void **state) {
    static const torch_stored storage = {"0", 6, torch_six, sizeof torch_six, ZIP_STORED};
    static const char *const keys[] = {"state_dict", "model"};
    for (size_t i = 0; i < 2; i++) {
        strbuf b = STRBUF_INIT; /* {"epoch": 3, KEY: {"x": tensor, "n": 1}, "best": tensor, "args": {...}, "shape": Size} */
        PUT(&b, "\x80\x02}(");
        put_text(&b, "epoch");
        put_integer(&b, 3);
        put_text(&b, keys[i]);
        PUT(&b, "ccollections\nOrderedDict\n)R(");
        put_pair(&b, "x");
        put_text(&b, "n");
        put_integer(&b, 1);
        PUT(&b, "u}U\x09_metadata}sb");
        put_pair(&b, "best");
        PUT(&b, "U\4args}U\6deviceccollections\nOrderedDict\n)RsU\5shapectorch\nSize\nK\2\x85\x85RU\5dtypectorch\nfloat16\nu.");
        put_archive(state, "nested.bin", &b, &storage, 1);
        checkpoint *c = expect_open(state, "nested.bin");
        assert_int_equal(checkpoint_size(c), 1);
        expect_values(c, "x", VALUES(1, 2));
        checkpoint_close(c);
        strbuf_free(&b);
    }
}

/* A parameter may be called `model`, and `state_dict` may be empty. */
static void test_not_nested(void **state) {
    static const torch_stored storage = {"0", 6, torch_six, sizeof torch_six, ZIP_STORED};
    strbuf b = STRBUF_INIT;
    PUT(&b, "\x80\x02}(");
    put_pair(&b, "model");
    PUT(&b, "U\x0astate_dict}u.");
    put_archive(state, "flat.bin", &b, &storage, 1);
    checkpoint *c = expect_open(state, "flat.bin");
    assert_int_equal(checkpoint_size(c), 1);
    expect_values(c, "model", VALUES(1, 2));
    checkpoint_close(c);
    strbuf_free(&b);
}

#define NO_TENSORS " without tensors, wanted a dictionary of them, or one under \"state_dict\" or \"model\"\n"

static void test_no_tensors(void **state) {
    static const struct {
        const char *pickle;
        size_t n;
        const char *said;
    } rows[] = {
        {BYTES("\x80\x02}."), "n.bin: error: found a dictionary" NO_TENSORS},
        {BYTES("\x80\x02]."), "n.bin: error: found a list" NO_TENSORS},
        {BYTES("\x80\x02N."), "n.bin: error: found None" NO_TENSORS},
        {BYTES("\x80\x02}U\x0astate_dict}U\1xK\1ss."), "n.bin: error: found a dictionary" NO_TENSORS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const strbuf pickle = {.data = (char *)(uintptr_t)rows[i].pickle, .size = rows[i].n};
        put_archive(state, "n.bin", &pickle, NULL, 0);
        expect_open_fails(state, "n.bin", rows[i].said);
        put_stream(state, "n.bin", &pickle, NULL, 0);
        expect_open_fails(state, "n.bin", rows[i].said);
    }
}

static void test_repeated_elements(void **state) {
    static const torch_stored storage = {"0", 6, torch_six, sizeof torch_six, ZIP_STORED};
    const torch_view view = {"mask", "FloatStorage", "0", 6, 0, 2, {4096, 4096}, {0, 0}};
    strbuf b = STRBUF_INIT;
    put_state(&b, &view, 1);
    put_archive(state, "r.bin", &b, &storage, 1);
    checkpoint *c = expect_open(state, "r.bin");
    assert_int_equal(checkpoint_elements(checkpoint_get(c, "mask")), 4096 * 4096);
    checkpoint_close(c);
    strbuf_free(&b);
}

/* A storage that is a part of another one. */
static void test_storage_view(void **state) {
    strbuf b = STRBUF_INIT;
    static const char *const keys[] = {"a"};
    put_preamble(&b);
    PUT(&b, "\x80\x02}U\1xctorch._utils\n_rebuild_tensor\n((U\7storagectorch\nFloatStorage\nU\1aU\3cpuK\6U\1bK\2K\3\x87tQ");
    PUT(&b, "K\1K\2\x85K\1\x85tRs.");
    put_keys(&b, keys, 1);
    put_elements(&b, 6, torch_six, sizeof torch_six);
    put_file(state, "v.bin", b.data, b.size);
    checkpoint *c = expect_open(state, "v.bin");
    expect_values(c, "x", VALUES(4, 5));
    checkpoint_close(c);
    strbuf_free(&b);
}

static void test_bytes_behind(void **state) {
    strbuf pickle = STRBUF_INIT, b = STRBUF_INIT, said = STRBUF_INIT;
    torch_stored storage;
    make_small_state(&pickle, &storage, ZIP_STORED);
    make_stream(&b, &pickle, &storage, 1);
    PUT(&b, "more");
    put_file(state, "b.bin", b.data, b.size);
    diag_sink sink = diag_sink_to_strbuf(&said);
    checkpoint *c;
    assert_int_equal(checkpoint_open(file_path(state, "b.bin"), &sink, &c), POFAC_OK);
    cut_directory(state, said.data);
    assert_string_equal(said.data, "b.bin: warning: found 4 bytes behind the last storage, which are left out\n");
    checkpoint_close(c);
    strbuf_free(&said);
    strbuf_free(&b);
    strbuf_free(&pickle);
}

static void test_failing_allocations(void **state) {
    static const char *const names[] = {"small.bin", "stream.bin", "deflated.bin", "zip64.bin", "sharded"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t n = 1;; n++) {
            checkpoint *c;
            fail_alloc_after(n);
            pofac_status status = checkpoint_open(file_path(state, names[i]), NULL, &c);
            bool failed = fail_alloc_stop();
            assert_int_equal(status != POFAC_OK, failed); /* jansson does not say what failed */
            assert_int_equal(c != NULL, !failed);
            checkpoint_close(c);
            if (!failed) break;
        }
    }
}

/* ---- directories ---- */

static void put_one(void **state, const char *name, const char *tensor, const float *value) {
    const torch_view view = {tensor, "FloatStorage", "0", 1, 0, 1, {1}, {1}};
    const torch_stored storage = {"0", 1, value, sizeof *value, ZIP_STORED};
    strbuf pickle = STRBUF_INIT;
    put_state(&pickle, &view, 1);
    put_archive(state, name, &pickle, &storage, 1);
    strbuf_free(&pickle);
}

static float read_one(void **state, const char *path, const char *tensor) {
    checkpoint *c = expect_open(state, path);
    float value = 0;
    assert_int_equal(checkpoint_size(c), 1);
    checkpoint_read_f32(checkpoint_get(c, tensor), &value);
    checkpoint_close(c);
    return value;
}

static void test_index(void **state) {
    static const float one = 1, two = 2, three = 3;
    assert_int_equal(mkdir(file_path(state, "sharded"), 0777), 0);
    put_one(state, "sharded/pytorch_model-00001-of-00002.bin", "y", &one);
    put_one(state, "sharded/pytorch_model-00002-of-00002.bin", "x", &two);
    static const char index[] = "{\"metadata\": {\"total_size\": 8}, \"weight_map\": {\"x\": \"pytorch_model-00002-of-00002.bin\", "
                                "\"y\": \"pytorch_model-00001-of-00002.bin\"}}";
    put_file(state, "sharded/pytorch_model.bin.index.json", BYTES(index));
    static const char *const paths[] = {"sharded", "sharded/pytorch_model.bin.index.json"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(checkpoint_is_there(file_path(state, paths[i])));
        checkpoint *c = expect_open(state, paths[i]);
        assert_int_equal(checkpoint_size(c), 2);
        expect_values(c, "x", VALUES(2));
        expect_values(c, "y", VALUES(1));
        checkpoint_close(c);
    }
    assert_int_equal(mkdir(file_path(state, "choice"), 0777), 0); /* what a directory has, from the last choice to the first */
    put_one(state, "choice/part.bin", "x", &one);
    put_file(state, "choice/pytorch_model.bin.index.json", BYTES("{\"weight_map\": {\"x\": \"part.bin\"}}"));
    assert_true(read_one(state, "choice", "x") == 1);
    put_one(state, "choice/pytorch_model.bin", "x", &two);
    assert_true(read_one(state, "choice", "x") == 2);
    put_safetensors(state, "choice/model.safetensors", "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", &three,
                    4);
    assert_true(read_one(state, "choice", "x") == 3);
}

static void test_wrong_index(void **state) {
    static const float one = 1;
    assert_int_equal(mkdir(file_path(state, "i"), 0777), 0);
    put_one(state, "i/a.bin", "x", &one);
    put_file(state, "i/pytorch_model.bin.index.json", BYTES("{\"weight_map\": {\"x\": \"a.bin\", \"y\": \"a.bin\"}}"));
    expect_open_fails(state, "i", "i/pytorch_model.bin.index.json: error: weight_map: y: not found in a.bin, where it is wanted\n");
    put_file(state, "i/pytorch_model.bin.index.json", BYTES("{\"weight_map\": {\"x\": \"b.bin\"}}"));
    expect_open_fails(state, "i", "i/b.bin: error: cannot be opened: No such file or directory\n");
    put_file(state, "i/pytorch_model.bin.index.json", BYTES("{\"weight_map\": {\"x\": \"../a.bin\"}}"));
    expect_open_fails(state, "i",
                      "i/pytorch_model.bin.index.json: error: weight_map: x: found \"../a.bin\", wanted the name of a file in the "
                      "same directory\n");
    assert_int_equal(mkdir(file_path(state, "i/c.bin"), 0777), 0);
    put_file(state, "i/pytorch_model.bin.index.json", BYTES("{\"weight_map\": {\"x\": \"c.bin\"}}"));
    expect_open_fails(state, "i", "i/c.bin: error: found a directory, wanted a file\n");
}

/* ---- fixtures ---- */

static checkpoint *open_shared(const char *path) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char full[1000];
    snprintf(full, sizeof full, "%s/fixtures/%s", shared, path);
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    checkpoint *c;
    pofac_status status = checkpoint_open(full, &sink, &c);
    assert_string_equal(strbuf_str(&said), "");
    assert_int_equal(status, POFAC_OK);
    return c;
}

/* As old files call it: TensorFlow's gamma and beta. */
static void old_name(const char *name, char *out, size_t n) {
    snprintf(out, n, "%s", name);
    char *end = strstr(out, "LayerNorm.weight");
    if (end) memcpy(end, "LayerNorm.gamma", sizeof "LayerNorm.gamma");
    end = strstr(out, "LayerNorm.bias");
    if (end) memcpy(end, "LayerNorm.beta", sizeof "LayerNorm.beta");
}

static float *load(const checkpoint_tensor *t) {
    float *values = malloc(((size_t)checkpoint_elements(t) + 1) * sizeof *values);
    assert_non_null(values);
    checkpoint_read_f32(t, values);
    return values;
}

static void compare(const checkpoint_tensor *a, const checkpoint_tensor *b) {
    assert_int_equal(a->rank, b->rank);
    for (uint32_t d = 0; d < a->rank; d++) assert_int_equal(a->dims[d], b->dims[d]);
    float *x = load(a), *y = load(b);
    for (int64_t i = 0; i < checkpoint_elements(a); i++) {
        const float wanted = a->dtype == IR_F16 ? f16_to_float(float_to_f16(y[i])) : y[i];
        if (memcmp(&x[i], &wanted, sizeof wanted) != 0)
            fail_msg("%s: element %lld is %.9g, wanted %.9g", a->name, (long long)i, (double)x[i], (double)wanted);
    }
    free(x);
    free(y);
}

static void test_fixtures(void **state) {
    (void)state;
    static const char *const files[] = {"checkpoints/zip-pytorch_model.bin", "checkpoints/zip-f16-pytorch_model.bin",
                                        "checkpoints/legacy-gamma-beta-pytorch_model.bin"};
    checkpoint *wanted = open_shared("forward/bert-pretraining/model.safetensors");
    for (size_t f = 0; f < 3; f++) {
        checkpoint *c = open_shared(files[f]);
        for (size_t i = 0; i < checkpoint_size(wanted); i++) {
            const checkpoint_tensor *y = checkpoint_at(wanted, i);
            char name[200];
            if (f == 2) old_name(y->name, name, sizeof name);
            const checkpoint_tensor *x = checkpoint_get(c, f == 2 ? name : y->name);
            if (!x) fail_msg("%s: %s is not found", files[f], y->name);
            assert_int_equal(x->dtype, f == 1 ? IR_F16 : IR_F32);
            compare(x, y);
        }
        const checkpoint_tensor *decoder = checkpoint_get(c, "cls.predictions.decoder.weight");
        assert_non_null(decoder);
        const checkpoint_tensor *embedding = checkpoint_get(c, "bert.embeddings.word_embeddings.weight");
        if (f != 1) assert_ptr_equal(decoder->data, embedding->data); /* one storage; rounding to f16 made two */
        else compare(decoder, embedding);
        checkpoint_close(c);
    }
    checkpoint_close(wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_every_dtype),
        cmocka_unit_test(test_mapped_not_copied),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_not_nested),
        cmocka_unit_test(test_no_tensors),
        cmocka_unit_test(test_repeated_elements),
        cmocka_unit_test(test_storage_view),
        cmocka_unit_test(test_bytes_behind),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_wrong_index),
        cmocka_unit_test(test_failing_allocations), /* of the files of the tests before */
        cmocka_unit_test(test_fixtures),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
