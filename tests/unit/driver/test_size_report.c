/* Sizes of models whose numbers are known: by layer and in all, nominal and really, in f32, f16, 8 bits and compiled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/compile_model.h"
#include "frontend/driver/model_save.h"
#include "frontend/driver/size_report.h"
#include "ir/op.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"

/* 32 features, 48 between: the weights of a layer's six linears. */
enum { ENCODER = 4 * 32 * 32 + 2 * 48 * 32 };

/* Every third element of a matrix is zero. */
static double thirds(const char *name, int64_t row, int64_t column) {
    (void)name;
    return (row + column) % 3 == 0 ? 0 : 0.5;
}

typedef struct sized {
    loaded_model *model;
    arena memory;
    size_report report;
} sized;

static sized measure(const char *path, road_quantization how) {
    sized s = {.memory = ARENA_INIT};
    const road_options road = {.no_cache = true, .tune = ROAD_TUNE_OFF, .quantization = how};
    inspect_result r;
    assert_int_equal(loaded_model_open(path, &(loaded_model_options){.seed = 1}, NULL, &s.model), POFAC_OK);
    assert_int_equal(inspect_model(s.model, &road, &s.memory, NULL, &r), POFAC_OK);
    assert_int_equal(size_report_make(s.model, &r, &s.memory, NULL, &s.report), POFAC_OK);
    return s;
}

static void sized_free(sized *s) {
    loaded_model_close(s->model);
    arena_free(&s->memory);
}

static const size_group *layer_named(const size_report *r, const char *name) {
    for (size_t i = 0; i < r->n_layers; i++)
        if (strcmp(r->layers[i].name, name) == 0) return &r->layers[i];
    fail_msg("no layer %s", name);
    return NULL;
}

static int64_t bytes_of(const char *path) {
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    return s.st_size;
}

static void wants(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("found no %s in:\n%s", part, text);
}

static void check_sums(const size_report *r) {
    size_group sum = {.parameters = 0};
    for (size_t i = 0; i < r->n_layers; i++) {
        const size_group *g = &r->layers[i];
        sum.parameters += g->parameters, sum.zeros += g->zeros, sum.file_bytes += g->file_bytes,
            sum.memory_bytes += g->memory_bytes;
        sum.dense_bytes += g->dense_bytes;
    }
    assert_int_equal(sum.parameters, r->all.parameters);
    assert_int_equal(sum.zeros, r->all.zeros);
    assert_int_equal(sum.file_bytes, r->all.file_bytes);
    assert_int_equal(sum.memory_bytes, r->all.memory_bytes);
    assert_int_equal(sum.dense_bytes, r->all.dense_bytes);
    assert_int_equal(r->all.dense_bytes, 4 * r->all.parameters);
}

static void floats(void **state) {
    static const char *const layers[] = {"embeddings", "encoder.layer.0", "pooler", "classifier"};
    for (int half = 0; half < 2; half++) {
        char path[512], weights[600];
        tiny_model t = {
            .spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = thirds, .dtype = half ? IR_F16 : IR_F32};
        snprintf(path, sizeof path, "%s", file_path(state, "floats"));
        snprintf(weights, sizeof weights, "%s/model.safetensors", path);
        tiny_model_write(&t, path);
        sized s = measure(path, ROAD_INTEGER);
        const size_report *r = &s.report;
        check_sums(r);
        assert_int_equal(r->n_layers, 4);
        for (size_t i = 0; i < 4; i++) assert_string_equal(r->layers[i].name, layers[i]);
        assert_int_equal(layer_named(r, "classifier")->parameters, 2 * 32 + 2);
        assert_int_equal(layer_named(r, "classifier")->file_bytes, (2 * 32 + 2) * (half ? 2 : 4));
        assert_int_equal(r->encoder.parameters, ENCODER);
        assert_in_range(r->encoder.zeros, ENCODER / 3 - 6, ENCODER / 3 + 6);
        assert_int_equal(r->encoder.nonzero_bits, (r->encoder.parameters - r->encoder.zeros) * (half ? 16 : 32));
        assert_int_equal(r->encoder.rounded_zeros, 0);
        assert_int_equal(r->encoder.file_bytes, ENCODER * (half ? 2 : 4));
        assert_in_range(r->encoder.memory_bytes, 4 * (ENCODER - r->encoder.zeros), 8 * ENCODER);
        assert_int_equal(r->n_files, 1);
        assert_string_equal(r->files[0].name, "model.safetensors");
        assert_int_equal(r->files[0].bytes, bytes_of(weights));
        assert_in_range(r->files[0].bytes, r->all.file_bytes, r->all.file_bytes + 4096); /* and the header */
        assert_int_equal(r->code_bytes, 0);
        sized_free(&s);
    }
}

static void write_ranges(const char *directory, const float weight[2]) {
    static const char *const names[] = {"attention.self.query",   "attention.self.key", "attention.self.value",
                                        "attention.output.dense", "intermediate.dense", "output.dense"};
    static const float input[2] = {-1, 1};
    quantized_module modules[6];
    char text[6][96];
    const quantization_plan all = quantization_plan_default();
    for (size_t i = 0; i < 6; i++) {
        snprintf(text[i], sizeof text[i], "bert.encoder.layer.0.%s", names[i]);
        modules[i] = (quantized_module){.name = text[i], .input = input, .weight = weight, .n_weight_ranges = 1};
    }
    assert_int_equal(model_quantization_write(directory, &all, modules, 6, NULL), POFAC_OK);
}

static double nominal(const size_report *r) { return size_factor(8 * r->encoder.dense_bytes, r->encoder.nonzero_bits); }

static void check_nominal(const size_report *r, double wanted) {
    if (!(fabs(nominal(r) - wanted) < 0.05)) fail_msg("nominal compression is %g, wanted %.1f", nominal(r), wanted);
}

/* The encoder in 8 bits: nominally 4 * 3 / 2 times smaller; in memory a byte each, and the sums of rows. */
static void eight_bits(void **state) {
    static const float ranges[2][2] = {{-0.5f, 0.5f}, {-200, 0.5f}}; /* by the second all round to 0 */
    char path[512];
    tiny_model t = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = thirds};
    snprintf(path, sizeof path, "%s", file_path(state, "eight"));
    tiny_model_write(&t, path);
    for (size_t i = 0; i < 2; i++) {
        write_ranges(path, ranges[i]);
        sized s = measure(path, ROAD_INTEGER);
        const size_report *r = &s.report;
        const int64_t kept = r->encoder.parameters - r->encoder.zeros;
        check_sums(r);
        assert_int_equal(r->encoder.nonzero_bits, 8 * kept);
        check_nominal(r, 6.0);
        assert_int_equal(r->encoder.rounded_zeros, i ? kept : 0);
        assert_int_equal(r->encoder.file_bytes, 4 * ENCODER);
        assert_in_range(r->encoder.memory_bytes, ENCODER, 2 * ENCODER);
        assert_int_equal(r->n_files, 2);
        assert_string_equal(r->files[1].name, QUANTIZATION_FILE);
        assert_true(r->files[1].bytes > 0);
        sized_free(&s);
    }
}

/* Of ten elements of a matrix, side by side and over the ends of rows, nine are zero. */
static double tenths(const char *name, int64_t row, int64_t column) {
    const bool wide = strstr(name, ".output.dense") && !strstr(name, "attention");
    return (row * (wide ? 48 : 32) + column) % 10 == 4 ? 0.5 : 0;
}

/* The method's own figure: 90 % zeros and 8 bits are 40 times smaller. */
static void forty_times_smaller(void **state) {
    static const float range[2] = {-0.5f, 0.5f};
    char path[512];
    tiny_model t = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = tenths};
    strbuf text = STRBUF_INIT, json = STRBUF_INIT;
    snprintf(path, sizeof path, "%s", file_path(state, "forty"));
    tiny_model_write(&t, path);
    for (size_t i = 0; i < 2; i++) { /* in floats, and in 8 bits */
        if (i) write_ranges(path, range);
        sized s = measure(path, ROAD_INTEGER);
        check_sums(&s.report);
        assert_int_equal(s.report.encoder.parameters - s.report.encoder.zeros,
                         4 * 102 + 2 * 154); /* of 4 times 1024 and 2 times 1536 */
        check_nominal(&s.report, i ? 40.0 : 10.0);
        size_report_print(&s.report, &text);
        size_report_put_json(&s.report, &json);
        sized_free(&s);
    }
    wants(strbuf_str(&text),
          "\nnominal compression of the encoder's weights: 10.01 (f32 over the bits of those that are not zero, 32.0 each;");
    wants(strbuf_str(&text),
          "\nnominal compression of the encoder's weights: 40.04 (f32 over the bits of those that are not zero, 8.0 each;");
    wants(strbuf_str(&json), "\"nominal_compression\": 40.0447,");
    strbuf_free(&text);
    strbuf_free(&json);
}

static bool in_four_bits(void *user, const char *weight, weight_storage *out) {
    (void)user;
    *out = (weight_storage){.bits = 4, .method = CALIBRATE_MINMAX};
    return strstr(weight, "encoder.layer") != NULL;
}

/* Weights in half a byte, and a scale for 32 of them; in memory they are floats. */
static void four_bits(void **state) {
    char path[512];
    tiny_model t = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = thirds};
    model_storage storage = {.find = in_four_bits};
    loaded_model *m;
    ir_module *module;
    state_store *parameters;
    snprintf(path, sizeof path, "%s", file_path(state, "four"));
    tiny_model_write(&t, path);
    assert_int_equal(loaded_model_open(path, &(loaded_model_options){.seed = 1}, NULL, &m), POFAC_OK);
    assert_int_equal(road_build(m, &(road_options){0}, NULL, &module), POFAC_OK);
    assert_int_equal(state_store_create(module, loaded_model_state(m), NULL, &parameters), POFAC_OK);
    assert_int_equal(thread_pool_create(1, NULL, &storage.pool), POFAC_OK);
    assert_int_equal(run_model_save_stored(path, m, parameters, IR_F32, &storage, NULL), POFAC_OK);
    thread_pool_destroy(storage.pool);
    state_store_destroy(parameters);
    module_destroy(module);
    loaded_model_close(m);
    sized s = measure(path, ROAD_INTEGER);
    const size_report *r = &s.report;
    check_sums(r);
    assert_int_equal(r->encoder.nonzero_bits, 4 * (r->encoder.parameters - r->encoder.zeros));
    assert_in_range(r->encoder.file_bytes, ENCODER / 2 + 1, ENCODER / 2 + ENCODER / 32 * 4 + 6 * 48 * 4);
    assert_in_range(r->files[0].bytes, r->all.file_bytes, r->all.file_bytes + 6000);
    sized_free(&s);
}

static void compiled(void **state) {
    char path[512], to[512];
    tiny_model t = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = thirds};
    const road_options road = {.no_cache = true, .tune = ROAD_TUNE_OFF};
    loaded_model *m;
    compiled_report written;
    snprintf(path, sizeof path, "%s", file_path(state, "from"));
    snprintf(to, sizeof to, "%s", file_path(state, "m.pofac"));
    tiny_model_write(&t, path);
    assert_int_equal(loaded_model_open(path, &(loaded_model_options){.seed = 1}, NULL, &m), POFAC_OK);
    assert_int_equal(compile_model(m, &road, NULL, to, NULL, &written), POFAC_OK);
    loaded_model_close(m);
    sized s = measure(to, ROAD_INTEGER), original = measure(path, ROAD_INTEGER);
    const size_report *r = &s.report;
    check_sums(r);
    assert_int_equal(r->all.parameters, original.report.all.parameters);
    assert_int_equal(r->all.zeros, original.report.all.zeros);
    assert_int_equal(r->n_files, 1);
    assert_string_equal(r->files[0].name, "m.pofac");
    assert_int_equal(r->files[0].bytes, bytes_of(to));
    assert_true(r->code_bytes > 0);
    assert_true(r->all.file_bytes > 0 && r->all.file_bytes + r->code_bytes < r->files[0].bytes);
    sized_free(&s);
    sized_free(&original);
}

static void texts(void **state) {
    char path[512];
    tiny_model t = {.spec = tiny_spec(MODEL_DISTILBERT, HEAD_NONE), .value = thirds};
    strbuf text = STRBUF_INIT, json = STRBUF_INIT;
    snprintf(path, sizeof path, "%s", file_path(state, "distil"));
    tiny_model_write(&t, path);
    sized s = measure(path, ROAD_INTEGER);
    size_report_print(&s.report, &text);
    size_report_put_json(&s.report, &json);
    wants(strbuf_str(&text), "\ntransformer.layer.0 ");
    wants(strbuf_str(&text),
          "\nnominal compression of the encoder's weights: 1.50 (f32 over the bits of those that are not zero, 32.0 each;");
    wants(strbuf_str(&text), "\nfiles: model.safetensors ");
    wants(strbuf_str(&json), ", \"layers\": [{\"name\": \"embeddings\", \"parameters\": ");
    wants(strbuf_str(&json), "\"nominal_compression\": 1.4996");
    wants(strbuf_str(&json), "\"file_compression\": 1.0000");
    wants(strbuf_str(&json), "\"files\": [{\"name\": \"model.safetensors\", \"bytes\": ");
    assert_true(size_factor(1, 0) == 0 && size_factor(3, 2) == 1.5);
    strbuf_free(&text);
    strbuf_free(&json);
    sized_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats),    cmocka_unit_test(eight_bits), cmocka_unit_test(forty_times_smaller),
        cmocka_unit_test(four_bits), cmocka_unit_test(compiled),   cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
