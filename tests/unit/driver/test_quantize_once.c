/*
 * Quantization after training: ranges against hidden states that the interpreter gives and weights as the file has them; the directory that comes of each method; logits
 * beside those of fp32; and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/quantize_once.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "runtime/interpreter.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"

enum { N = 11, S = 9, E = 32, LAYERS = 1 };
#define QUERY "bert.encoder.layer.0.attention.self.query"
#define KEY "bert.encoder.layer.0.attention.self.key"
#define POOLER "bert.pooler.dense"
#define N_MODULES 8

/* ---- model and examples ---- */

static const char *model_of(void **state) {
    const tiny_model m = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)};
    const char *path = file_path(state, "model");
    if (!file_exists(path)) tiny_model_write(&m, path);
    return path;
}

static int64_t length_of(int64_t row) { return 2 + row * 5 % (S - 1); }

/* Rows of random ids, padded. */
static void make_inputs(named_tensors *t) {
    const int64_t dims[2] = {N, S};
    *t = (named_tensors){.what = "input"};
    const char *const names[] = {"input_ids", "attention_mask", "token_type_ids"};
    for (int i = 0; i < 3; i++) named_tensors_add(t, names[i], IR_I64, 2, dims);
    for (int64_t i = 0; i < N * S; i++) {
        const bool is_token = i % S < length_of(i / S);
        const double u = rng_uniform(rng_key_make(7, "ids"), (uint64_t)i);
        ((int64_t *)named_tensors_find(t, "input_ids")->data)[i] = is_token ? (int64_t)(u * TINY_VOCAB_SIZE) : 0;
        ((int64_t *)named_tensors_find(t, "attention_mask")->data)[i] = is_token;
    }
}

static const char *examples_of(void **state) {
    const char *path = file_path(state, "examples.safetensors");
    named_tensors t;
    safetensors_item items[2] = {{0}};
    make_inputs(&t);
    for (int i = 0; i < 2; i++) { /* without token types, which are zeros */
        const ir_tensor *x = &t.entries.data[i].tensor;
        items[i] = (safetensors_item){.name = t.entries.data[i].name, .dtype = IR_I64, .rank = 2, .dims = {N, S}, .data = x->data};
    }
    assert_int_equal(safetensors_write(path, items, 2, NULL, 0, NULL), POFAC_OK);
    named_tensors_free(&t);
    return path;
}

static loaded_model *open_model(const char *path) {
    loaded_model *m;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    if (loaded_model_open(path, &(loaded_model_options){.seed = 1}, &sink, &m) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    strbuf_free(&said);
    return m;
}

/* ---- quantizing ---- */

typedef struct job {
    quantize_settings settings;
    bool store_weights, compiled;
    int64_t batch_size; /* 0: 4 */
} job;

static pofac_status quantize_to(void **state, const job *j, const char *to, const diag_sink *sink, strbuf *report) {
    loaded_model *m = open_model(model_of(state));
    const quantize_once_options o = {.settings = &j->settings,
                                     .output = to,
                                     .dtype = IR_F32,
                                     .store_weights = j->store_weights,
                                     .tensors = examples_of(state),
                                     .data = {.batch_size = j->batch_size ? j->batch_size : 4},
                                     .road = {.threads = 2, .no_cache = true, .tune = ROAD_TUNE_OFF},
                                     .kind = j->compiled ? EXECUTOR_COMPILED : EXECUTOR_INTERPRETER};
    const pofac_status status = quantize_once(m, &o, sink, report);
    loaded_model_close(m);
    return status;
}

/* Into a new directory; what it has of ranges. */
static model_quantization *quantize(void **state, const job *j, const char *to) {
    strbuf said = STRBUF_INIT, report = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    model_quantization *q;
    assert_int_equal(directory_remove(to, NULL), POFAC_OK);
    if (quantize_to(state, j, to, &sink, &report) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    assert_int_equal(model_quantization_read(to, &sink, &q), POFAC_OK);
    assert_non_null(strstr(strbuf_str(&report), "\"name\": \"" QUERY "\", \"shape\": [32, 32]"));
    strbuf_free(&said);
    strbuf_free(&report);
    return q;
}

static job job_of(quantization_activations activations, calibration_method method) {
    job j = {
        .settings = {
            .plan = quantization_plan_default(), .method = "m", .calibration = method, .calibration_name = "c", .percentile = 95}};
    j.settings.plan.activations = activations;
    return j;
}

/* ---- activations ---- */

/* What layer `layer` reads of real tokens (the pooler: of first tokens), as the interpreter gives it; sorted. */
static float *read_states(void **state, int layer, bool first_tokens, size_t *n) {
    loaded_model *m = open_model(model_of(state));
    const road_options road = {.graph = {.hidden_states = true}};
    ir_module *module;
    interp_results results = {0};
    named_tensors inputs;
    char name[32];
    make_inputs(&inputs);
    const tensor_source source = named_tensors_source(&inputs);
    assert_int_equal(road_build(m, &road, NULL, &module), POFAC_OK);
    assert_int_equal(interpret_graph(module_find_graph(module, ROAD_GRAPH), &source, loaded_model_state(m), NULL, NULL, &results),
                     POFAC_OK);
    snprintf(name, sizeof name, "hidden_states.%d", layer);
    const ir_tensor *t = interp_find(&results, name);
    assert_non_null(t);
    float *out = malloc(N * S * E * sizeof *out);
    assert_non_null(out);
    *n = 0;
    for (int64_t i = 0; i < N * S * E; i++) {
        const int64_t token = i / E % S;
        if (first_tokens ? token == 0 : token < length_of(i / E / S)) out[(*n)++] = ((const float *)t->data)[i];
    }
    interp_results_free(&results);
    named_tensors_free(&inputs);
    module_destroy(module);
    loaded_model_close(m);
    return out;
}

static int by_value(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void expect_range(const char *what, const float *found, float least, float greatest, float tolerance) {
    assert_non_null(found);
    if (!(fabsf(found[0] - least) <= tolerance && fabsf(found[1] - greatest) <= tolerance))
        fail_msg("%s: found [%g, %g], wanted [%g, %g]", what, (double)found[0], (double)found[1], (double)least, (double)greatest);
}

static void test_ranges_of_activations(void **state) {
    const char *const modules[] = {QUERY, POOLER};
    job j = job_of(QUANTIZE_STATIC, CALIBRATE_MINMAX);
    model_quantization *all = quantize(state, &j, file_path(state, "q"));
    j = job_of(QUANTIZE_STATIC, CALIBRATE_PERCENTILE);
    model_quantization *most = quantize(state, &j, file_path(state, "q"));
    assert_int_equal(model_quantization_size(all), N_MODULES);
    for (int i = 0; i < 2; i++) {
        size_t n;
        float *x = read_states(state, i ? LAYERS : 0, i == 1, &n);
        qsort(x, n, sizeof *x, by_value);
        const size_t out = (size_t)(0.05 * (double)n + 1e-6);
        const float width = ldexpf(1, (int)ceilf(log2f(fmaxf(-x[0], x[n - 1]))) - 13); /* of a bin */
        expect_range(modules[i], model_quantization_find(all, modules[i])->input, x[0], x[n - 1], 0);
        expect_range(modules[i], model_quantization_find(most, modules[i])->input, x[out], x[n - 1 - out], width);
        free(x);
    }
    expect_range("key", model_quantization_find(all, KEY)->input, model_quantization_find(all, QUERY)->input[0],
                 model_quantization_find(all, QUERY)->input[1], 0);
    for (size_t i = 0; i < N_MODULES; i++) assert_null(model_quantization_at(all, i)->output);
    model_quantization_close(all);
    model_quantization_close(most);
}

/* Neither how examples are cut into batches nor what runs them matters. */
static void test_batches_and_kernels(void **state) {
    for (int method = CALIBRATE_MINMAX; method <= CALIBRATE_MSE; method++) {
        job j = job_of(QUANTIZE_STATIC, (calibration_method)method);
        j.settings.outputs = true;
        model_quantization *a = quantize(state, &j, file_path(state, "q"));
        j.batch_size = 1;
        model_quantization *b = quantize(state, &j, file_path(state, "q"));
        j.compiled = true;
        model_quantization *c = quantize(state, &j, file_path(state, "q"));
        for (size_t i = 0; i < N_MODULES; i++) {
            const quantized_module *m = model_quantization_at(a, i);
            const float *output = model_quantization_at(b, i)->output;
            expect_range(m->name, model_quantization_at(b, i)->input, m->input[0], m->input[1], 0);
            expect_range(m->name, output, m->output[0], m->output[1], 0);
            const float step = method == CALIBRATE_MINMAX ? 1e-5f : 0.05f; /* a bin more or less, a step of the search */
            expect_range(m->name, model_quantization_at(c, i)->input, m->input[0], m->input[1], step * (m->input[1] - m->input[0]));
            expect_range(m->name, model_quantization_at(c, i)->output, m->output[0], m->output[1],
                         step * (m->output[1] - m->output[0]));
        }
        model_quantization_close(a);
        model_quantization_close(b);
        model_quantization_close(c);
    }
}

static void test_samples(void **state) {
    job j = job_of(QUANTIZE_STATIC, CALIBRATE_MINMAX);
    strbuf report = STRBUF_INIT;
    j.settings.samples = 5;
    int64_t tokens = 0;
    char wanted[64];
    for (int64_t row = 0; row < 5; row++) tokens += length_of(row);
    snprintf(wanted, sizeof wanted, "\"examples\": 5, \"tokens\": %lld,", (long long)tokens);
    assert_int_equal(quantize_to(state, &j, file_path(state, "few"), NULL, &report), POFAC_OK);
    if (!strstr(strbuf_str(&report), wanted)) fail_msg("found %.200s, wanted %s", strbuf_str(&report), wanted);
    strbuf_free(&report);
}

/* ---- weights ---- */

/* The weight of the model as it is in a directory's file. */
static float *read_weight(const char *directory, const char *name, int64_t *n, int64_t *bytes) {
    checkpoint *c;
    assert_int_equal(checkpoint_open(directory, NULL, &c), POFAC_OK);
    const checkpoint_tensor *t = checkpoint_get(c, name);
    assert_non_null(t);
    *n = checkpoint_elements(t);
    if (bytes) *bytes = checkpoint_bytes(t);
    float *out = malloc((size_t)*n * sizeof *out);
    assert_non_null(out);
    checkpoint_read_f32(t, out);
    checkpoint_close(c);
    return out;
}

static void test_ranges_of_weights(void **state) {
    int64_t n;
    float *w = read_weight(model_of(state), QUERY ".weight", &n, NULL), all = 0;
    assert_int_equal(n, E * E);
    for (int i = 0; i < E * E; i++) all = fmaxf(all, fabsf(w[i]));
    for (int by_row = 0; by_row <= 1; by_row++) {
        job j = job_of(QUANTIZE_DYNAMIC, CALIBRATE_MINMAX);
        j.settings.plan.per_channel = by_row;
        model_quantization *q = quantize(state, &j, file_path(state, "q"));
        const quantized_module *m = model_quantization_find(q, QUERY);
        assert_true(m->by_channel == by_row && m->n_weight_ranges == (by_row ? E : 1));
        assert_true(!m->input && !m->output);
        for (int row = 0; row < m->n_weight_ranges; row++) {
            float most = by_row ? 0 : all;
            for (int k = 0; k < E; k++) most = fmaxf(most, fabsf(w[row * E + k]));
            expect_range("weight", m->weight + 2 * row, -most, most, 0);
        }
        assert_true(model_quantization_plan(q)->activations == QUANTIZE_DYNAMIC);
        model_quantization_close(q);
    }
    free(w);
}

/* ---- what stands in the directory ---- */

static void expect_steps(const char *name, const float *w, const float *back, int64_t n, int64_t columns, bool by_row) {
    for (int64_t first = 0; first < n; first += by_row ? columns : n) {
        const int64_t end = first + (by_row ? columns : n);
        float most = 0;
        for (int64_t i = first; i < end; i++) most = fmaxf(most, fabsf(w[i]));
        const double scale = (double)most / 127.5;
        for (int64_t i = first; i < end; i++) {
            const double steps = nearbyint(back[i] / scale), off = fabs(steps * scale - w[i]);
            if (fabs(back[i] - steps * scale) > 1e-5 * scale || off > 0.5001 * scale)
                fail_msg("%s[%lld]: found %g, %g steps, of %g", name, (long long)i, (double)back[i], steps, (double)w[i]);
        }
    }
}

static void test_stored_tables_and_weights(void **state) {
    static const char *const names[] = {"bert.embeddings.word_embeddings.weight", QUERY ".weight",
                                        "bert.encoder.layer.0.output.dense.weight"};
    static const int64_t columns[] = {E, E, 48};
    for (int by_row = 0; by_row <= 1; by_row++)
        for (int weights = 0; weights <= 1; weights++) {
            job j = job_of(QUANTIZE_DYNAMIC, CALIBRATE_MINMAX);
            j.settings.plan.per_channel = by_row;
            j.settings.plan.embeddings = true;
            j.store_weights = weights;
            model_quantization_close(quantize(state, &j, file_path(state, "q")));
            for (int i = 0; i < 3; i++) {
                int64_t n, bytes;
                float *w = read_weight(model_of(state), names[i], &n, NULL),
                      *back = read_weight(file_path(state, "q"), names[i], &n, &bytes);
                const bool stored = i == 0 || weights;
                assert_int_equal(bytes, stored ? n : 4 * n);
                if (stored) expect_steps(names[i], w, back, n, columns[i], by_row);
                else assert_memory_equal(w, back, (size_t)n * sizeof *w);
                free(w);
                free(back);
            }
        }
}

/* Weights alone: no ranges, also where an older model had some; nothing but linears' weights. */
static void test_weights_only(void **state) {
    char to[512];
    snprintf(to, sizeof to, "%s", file_path(state, "q")); /* for longer than four other paths */
    for (int bits = 8; bits >= 4; bits -= 4) {
        job j = job_of(QUANTIZE_STATIC, CALIBRATE_MINMAX);
        model_quantization_close(quantize(state, &j, to));
        j = job_of(QUANTIZE_WEIGHTS_ONLY, CALIBRATE_MSE);
        j.settings.plan.weight_bits = bits;
        static const char *const parts[] = {"attention", "classifier"};
        j.settings.plan.not_to_quantize = parts;
        j.settings.plan.n_not_to_quantize = 2;
        strbuf report = STRBUF_INIT;
        model_quantization *q;
        assert_int_equal(quantize_to(state, &j, to, NULL, &report), POFAC_OK);
        assert_null(strstr(strbuf_str(&report), "attention"));
        strbuf_free(&report);
        assert_int_equal(model_quantization_read(to, NULL, &q), POFAC_OK);
        assert_null(q);
        int64_t n, bytes;
        free(read_weight(to, "bert.encoder.layer.0.intermediate.dense.weight", &n, &bytes));
        assert_int_equal(bytes, n * bits / 8);
        free(read_weight(to, QUERY ".weight", &n, &bytes));
        assert_int_equal(bytes, 4 * n);
        free(read_weight(to, "bert.embeddings.word_embeddings.weight", &n, &bytes));
        assert_int_equal(bytes, 4 * n);
    }
}

/* ---- predictions ---- */

typedef struct both_sources {
    const tensor_source *weights, *ranges;
} both_sources;

static pofac_status get_either(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const both_sources *b = user;
    const tensor_source *from = strstr(name, "_range") ? b->ranges : b->weights;
    return from->get(from->user, name, sink, out);
}

/* Logits of the model in a directory, by its ranges where it has some; [N,2]. */
static void predict(const char *directory, double *out) {
    loaded_model *m = open_model(directory);
    model_quantization *q;
    ir_module *module;
    arena a = ARENA_INIT;
    pass_pipeline pipeline;
    named_tensors inputs;
    interp_results results = {0};
    make_inputs(&inputs);
    const tensor_source source = named_tensors_source(&inputs);
    assert_int_equal(model_quantization_read(directory, NULL, &q), POFAC_OK);
    assert_int_equal(road_build(m, &(road_options){.threads = 1}, NULL, &module), POFAC_OK);
    assert_int_equal(pipeline_parse("quantize{trained=0}", &a, NULL, &pipeline), POFAC_OK);
    const pass_environment environment = {.quantizes = model_quantization_of, .quantizes_user = q};
    if (q) assert_int_equal(pipeline_run(&pipeline, module, &environment, NULL, NULL, &module), POFAC_OK);
    const both_sources both = {loaded_model_state(m), q ? model_quantization_ranges(q) : NULL};
    const tensor_source state = {.get = get_either, .user = (void *)&both};
    assert_int_equal(interpret_graph(module_find_graph(module, ROAD_GRAPH), &source, &state, NULL, NULL, &results), POFAC_OK);
    const ir_tensor *logits = interp_find(&results, "logits");
    assert_int_equal(tensor_elements(logits), 2 * N);
    for (int i = 0; i < 2 * N; i++) out[i] = tensor_get(logits, i);
    interp_results_free(&results);
    named_tensors_free(&inputs);
    module_destroy(module);
    arena_free(&a);
    model_quantization_close(q);
    loaded_model_close(m);
}

static void test_predictions(void **state) {
    static const struct {
        quantization_activations activations;
        calibration_method method;
        bool by_row, outputs;
        int bits;
        double most; /* difference of logits, which spread over about 0.1 */
    } cases[] = {
        {QUANTIZE_STATIC, CALIBRATE_MINMAX, false, false, 8, 0.004},
        {QUANTIZE_STATIC, CALIBRATE_MINMAX, true, true, 8, 0.006},
        {QUANTIZE_STATIC, CALIBRATE_MSE, true, false, 8, 0.004},
        {QUANTIZE_DYNAMIC, CALIBRATE_MINMAX, false, false, 8, 0.004},
        {QUANTIZE_DYNAMIC, CALIBRATE_MINMAX, true, false, 8, 0.004},
        {QUANTIZE_WEIGHTS_ONLY, CALIBRATE_MINMAX, true, false, 8, 0.003},
        {QUANTIZE_WEIGHTS_ONLY, CALIBRATE_MSE, false, false, 4, 0.05},
    };
    double wanted[2 * N], found[2 * N];
    predict(model_of(state), wanted);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        job j = job_of(cases[i].activations, cases[i].method);
        strbuf report = STRBUF_INIT;
        double most = 0;
        j.settings.plan.per_channel = cases[i].by_row;
        j.settings.plan.weight_bits = cases[i].bits;
        j.settings.outputs = cases[i].outputs;
        assert_int_equal(directory_remove(file_path(state, "p"), NULL), POFAC_OK);
        assert_int_equal(quantize_to(state, &j, file_path(state, "p"), NULL, &report), POFAC_OK);
        predict(file_path(state, "p"), found);
        for (int k = 0; k < 2 * N; k++) most = fmax(most, fabs(found[k] - wanted[k]));
        print_message("case %zu: logits differ by %g at most\n", i, most);
        if (!(most > 0 && most <= cases[i].most))
            fail_msg("case %zu: logits differ by %g, wanted up to %g", i, most, cases[i].most);
        strbuf_free(&report);
    }
}

/* ---- what is refused ---- */

static void expect_refused(void **state, const char *header, const void *data, size_t bytes, const char *wanted) {
    char text[400], *found;
    strbuf said = STRBUF_INIT, report = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    const job j = job_of(QUANTIZE_STATIC, CALIBRATE_MINMAX);
    loaded_model *m = open_model(model_of(state));
    put_safetensors(state, "wrong.safetensors", header, data, bytes);
    const quantize_once_options o = {.settings = &j.settings,
                                     .output = file_path(state, "refused"),
                                     .dtype = IR_F32,
                                     .tensors = file_path(state, "wrong.safetensors"),
                                     .data = {.batch_size = 4},
                                     .kind = EXECUTOR_INTERPRETER};
    assert_int_equal(quantize_once(m, &o, &sink, &report), POFAC_ERR_INPUT);
    found = said.data;
    cut_directory(state, found);
    snprintf(text, sizeof text, "wrong.safetensors: error: tensor %s\n", wanted);
    assert_string_equal(found, text);
    assert_false(file_exists(file_path(state, "refused")));
    strbuf_free(&said);
    strbuf_free(&report);
    loaded_model_close(m);
}

static void test_examples_that_do_not_fit(void **state) {
    static const int64_t ids[32] = {1, 2, 3, 33, -1, 2, 1, 1};
    expect_refused(state, "{\"other\":{\"dtype\":\"I64\",\"shape\":[2,2],\"data_offsets\":[0,32]}}", ids, 32,
                   "\"input_ids\": found none, wanted what the model reads");
    expect_refused(state, "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[4],\"data_offsets\":[0,32]}}", ids, 32,
                   "\"input_ids\": found [4], wanted [N,S]");
    expect_refused(state, "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[0,4],\"data_offsets\":[0,0]}}", ids, 0,
                   "\"input_ids\": found [0,4], wanted at least one token");
    expect_refused(state, "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[1,25],\"data_offsets\":[0,200]}}", ids, 200,
                   "\"input_ids\": found rows of 25 tokens, wanted at most 24");
    expect_refused(state, "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[2,2],\"data_offsets\":[0,32]}}", ids, 32,
                   "\"input_ids\": found 33 in row 1, wanted numbers from 0 to 32");
    expect_refused(state,
                   "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[1,3],\"data_offsets\":[0,24]},"
                   "\"attention_mask\":{\"dtype\":\"I64\",\"shape\":[3],\"data_offsets\":[24,48]}}",
                   ids, 48, "\"attention_mask\": found [3], wanted the rows and columns of the main input");
    expect_refused(state,
                   "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[1,3],\"data_offsets\":[0,24]},"
                   "\"token_type_ids\":{\"dtype\":\"I64\",\"shape\":[1,3],\"data_offsets\":[24,48]}}",
                   ids, 48, "\"token_type_ids\": found 33 in row 0, wanted numbers from 0 to 1");
}

static void test_models_that_are_refused(void **state) {
    static const char *const everything[] = {"bert", "classifier"};
    strbuf said = STRBUF_INIT, report = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    job j = job_of(QUANTIZE_STATIC, CALIBRATE_MINMAX);
    j.settings.plan.not_to_quantize = everything;
    j.settings.plan.n_not_to_quantize = 2;
    assert_int_equal(quantize_to(state, &j, file_path(state, "none"), &sink, &report), POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&said), "found no linear layer that not_to_quantize leaves, wanted one"));
    assert_false(file_exists(file_path(state, "none")));
    strbuf_free(&said);
    strbuf_free(&report);
}

/* Allocations of a small job fail, one after the other: no crash, and an error is told. */
static void test_short_memory(void **state) {
    const job j = job_of(QUANTIZE_DYNAMIC, CALIBRATE_MINMAX);
    size_t failed = 0;
    for (size_t n = 1;; n += 1 + n / 8) {
        loaded_model *m = open_model(model_of(state)); /* whose context remembers that memory was short */
        const quantize_once_options o = {.settings = &j.settings,
                                         .output = file_path(state, "short"),
                                         .dtype = IR_F32,
                                         .road = {.threads = 1},
                                         .kind = EXECUTOR_INTERPRETER};
        strbuf report = STRBUF_INIT;
        fail_alloc_after(n);
        const pofac_status status = quantize_once(m, &o, NULL, &report);
        const bool has_failed = fail_alloc_stop();
        strbuf_free(&report);
        loaded_model_close(m);
        if (!has_failed) {
            assert_int_equal(status, POFAC_OK);
            break;
        }
        failed += status == POFAC_ERR_RUNTIME;
    }
    assert_true(failed > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges_of_activations),
                                       cmocka_unit_test(test_batches_and_kernels),
                                       cmocka_unit_test(test_samples),
                                       cmocka_unit_test(test_ranges_of_weights),
                                       cmocka_unit_test(test_stored_tables_and_weights),
                                       cmocka_unit_test(test_weights_only),
                                       cmocka_unit_test(test_predictions),
                                       cmocka_unit_test(test_examples_that_do_not_fit),
                                       cmocka_unit_test(test_models_that_are_refused),
                                       cmocka_unit_test(test_short_memory)};
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
