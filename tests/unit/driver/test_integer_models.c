/*
 * Quantized models in integers, on what the reference's quantization-aware training has made (fixtures/train/transfer-*-lock-qat): compiled kernels against the
 * interpreter, whose results they give bit for bit; integers against the simulation of training, layer by layer; and the same classes.
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
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/driver/predict_tensors.h"
#include "ir/support/file_map.h"
#include "tests/unit/codegen/kernel_case.h"
#include "tests/unit/temporary_folder.h"

#define LAYERS 2
#define ROWS 64
#define POSITIONS 32

typedef struct model_case {
    const char *fixture, *outputs[2];
    int64_t n_outputs;
    size_t same; /* of ROWS rows, at least so many have the greatest number at the same place */
} model_case;

static const model_case cases[] = {{"transfer-classification-lock-qat", {"logits"}, 1, 64},
                                   {"transfer-qa-lock-qat", {"start_logits", "end_logits"}, 2, 64}};

typedef struct fixture {
    const model_case *c;
    char shared[400], folder[64];
    bool kept[ROWS * POSITIONS]; /* by the attention mask */
    strbuf messages;
    diag_sink sink;
} fixture;

static void copy_file(fixture *f, const char *from, const char *to) {
    char path[512];
    file_map map;
    snprintf(path, sizeof path, "%s/%s", f->shared, from);
    if (file_map_open(path, &f->sink, &map) != POFAC_OK) fail_msg("%s", strbuf_str(&f->messages));
    snprintf(path, sizeof path, "%s/%s", f->folder, to);
    if (file_write_all(path, map.data, map.size_bytes, &f->sink) != POFAC_OK) fail_msg("%s", strbuf_str(&f->messages));
    file_map_close(&map);
}

/* A quantized model's directory out of the fixture's files. */
static void begin(fixture *f, const model_case *c, const char *shared) {
    *f = (fixture){.c = c, .folder = "/tmp/pofac-integers-XXXXXX", .messages = STRBUF_INIT};
    f->sink = diag_sink_to_strbuf(&f->messages);
    snprintf(f->shared, sizeof f->shared, "%s/fixtures/train/%s", shared, c->fixture);
    assert_non_null(mkdtemp(f->folder));
    copy_file(f, "student/config.json", "config.json");
    copy_file(f, "final.safetensors", "model.safetensors");
    copy_file(f, "quantization.safetensors", "quantization.safetensors");
}

/* Predictions of the fixture's batches, with hidden states. */
static checkpoint *predict(fixture *f, executor_kind kind, road_quantization quantization, const char *isa, const char *name) {
    const loaded_model_options options = {.seed = 42};
    const road_options road = {.quantization = quantization, .no_cache = true, .tune = ROAD_TUNE_OFF, .isa = isa, .threads = 2};
    const predict_tensors_options p = {.batch_size = ROWS, .kind = kind, .hidden_states = true};
    char in[512], out[512];
    loaded_model *model = NULL;
    checkpoint *results = NULL;
    snprintf(in, sizeof in, "%s/batches.safetensors", f->shared);
    snprintf(out, sizeof out, "%s/%s.safetensors", f->folder, name);
    if (loaded_model_open(f->folder, &options, &f->sink, &model) != POFAC_OK ||
        predict_tensors(model, &road, &p, in, out, &f->sink) != POFAC_OK || checkpoint_open(out, &f->sink, &results) != POFAC_OK)
        fail_msg("%s: %s", name, strbuf_str(&f->messages));
    loaded_model_close(model);
    return results;
}

static ir_tensor load(fixture *f, const checkpoint *c, const char *name) {
    const checkpoint_tensor *t = checkpoint_get(c, name);
    ir_tensor out = {0};
    if (!t || checkpoint_load(t, IR_F32, &f->sink, &out) != POFAC_OK) fail_msg("%s is missing", name);
    return out;
}

static void read_mask(fixture *f) {
    char path[512];
    checkpoint *batches;
    snprintf(path, sizeof path, "%s/batches.safetensors", f->shared);
    if (checkpoint_open(path, &f->sink, &batches) != POFAC_OK) fail_msg("%s", strbuf_str(&f->messages));
    const checkpoint_tensor *mask = checkpoint_get(batches, "attention_mask");
    ir_tensor t;
    assert_int_equal(checkpoint_load(mask, mask->dtype, &f->sink, &t), POFAC_OK);
    assert_int_equal(tensor_elements(&t), ROWS * POSITIONS);
    for (int64_t i = 0; i < ROWS * POSITIONS; i++) f->kept[i] = tensor_get_int(&t, i) != 0;
    tensor_free(&t);
    checkpoint_close(batches);
}

/* Does element i stand at a place that counts? Padded ones are 0 where the graph is unpadded. */
static bool counts(const fixture *f, const ir_tensor *t, int64_t i) {
    const int64_t width = t->rank == 3 ? t->dims[2] : 1;
    return t->dims[1] != POSITIONS || f->kept[i / width];
}

/* What differs most, and the root of the mean of squares: of the difference and of the second one. */
typedef struct deviation {
    double most, rms, size;
    int64_t n;
} deviation;

static deviation deviation_of(fixture *f, const checkpoint *a, const checkpoint *b, const char *name) {
    ir_tensor x = load(f, a, name), y = load(f, b, name);
    deviation d = {0};
    assert_int_equal(tensor_elements(&x), tensor_elements(&y));
    for (int64_t i = 0; i < tensor_elements(&x); i++) {
        if (!counts(f, &x, i)) continue;
        d.n++;
        const double difference = tensor_get(&x, i) - tensor_get(&y, i);
        d.most = fmax(d.most, fabs(difference));
        d.rms += difference * difference;
        d.size += tensor_get(&y, i) * tensor_get(&y, i);
    }
    d.rms = sqrt(d.rms / (double)d.n);
    d.size = sqrt(d.size / (double)d.n);
    tensor_free(&x);
    tensor_free(&y);
    return d;
}

static int64_t greatest(const fixture *f, const ir_tensor *t, int64_t row) {
    const int64_t n = t->dims[1];
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (counts(f, t, row * n + i) && tensor_get(t, row * n + i) > tensor_get(t, row * n + best)) best = i;
    return best;
}

static void same_places(fixture *f, const checkpoint *a, const checkpoint *b, const char *name) {
    ir_tensor x = load(f, a, name), y = load(f, b, name);
    size_t same = 0;
    assert_int_equal(x.dims[0], ROWS);
    for (int64_t r = 0; r < ROWS; r++) same += greatest(f, &x, r) == greatest(f, &y, r);
    if (same < f->c->same) fail_msg("%s %s: %zu of %d rows agree with the simulation", f->c->fixture, name, same, ROWS);
    tensor_free(&x);
    tensor_free(&y);
}

/* Layer by layer: a step of requantization here and there, whose share of a hidden state's size does not grow with depth. */
static void check_layers(fixture *f, const checkpoint *integers, const checkpoint *simulation) {
    int64_t compared = 0;
    for (int layer = 0; layer <= LAYERS; layer++) {
        char name[40];
        snprintf(name, sizeof name, "hidden_states.%d", layer);
        const deviation d = deviation_of(f, integers, simulation, name);
        if (layer == 0 && d.most > 1e-6) fail_msg("%s: embeddings differ by %g", f->c->fixture, d.most);
        if (d.rms > 0.001 * d.size || d.most > 0.02 * d.size)
            fail_msg("%s %s: rms %g, most %g, of numbers of rms %g", f->c->fixture, name, d.rms, d.most, d.size);
        compared += d.n;
    }
    assert_true(compared > (LAYERS + 1) * 1600 * 64);
    for (int64_t i = 0; i < f->c->n_outputs; i++) same_places(f, integers, simulation, f->c->outputs[i]);
}

static void check_equal(fixture *f, const checkpoint *a, const checkpoint *b, const char *isa) {
    for (int64_t i = 0; i < f->c->n_outputs; i++) {
        const deviation d = deviation_of(f, a, b, f->c->outputs[i]);
        if (d.most > 0)
            fail_msg("%s %s %s: kernels differ from the interpreter by %g", f->c->fixture, isa, f->c->outputs[i], d.most);
        assert_true(d.n >= ROWS * 2);
    }
}

static void integers_follow_the_simulation(void **unused) {
    (void)unused;
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        begin(&f, &cases[i], shared);
        read_mask(&f);
        checkpoint *simulation = predict(&f, EXECUTOR_INTERPRETER, ROAD_SIMULATED, NULL, "simulation"),
                   *integers = predict(&f, EXECUTOR_INTERPRETER, ROAD_INTEGER, NULL, "integers"),
                   *fp32 = predict(&f, EXECUTOR_COMPILED, ROAD_UNQUANTIZED, NULL, "fp32");
        check_layers(&f, integers, simulation);
        assert_true(deviation_of(&f, integers, fp32, cases[i].outputs[0]).most > 1e-3); /* which is none of the two */
        for (size_t k = 0; kernel_case_isa(k); k++) {
            if (i > 0 && kernel_case_isa(k + 1)) continue; /* the best one will do */
            checkpoint *compiled = predict(&f, EXECUTOR_COMPILED, ROAD_INTEGER, kernel_case_isa(k), kernel_case_isa(k));
            check_layers(&f, compiled, simulation);
            check_equal(&f, compiled, integers, kernel_case_isa(k));
            checkpoint_close(compiled);
        }
        checkpoint_close(simulation);
        checkpoint_close(integers);
        checkpoint_close(fp32);
        folder_remove(f.folder);
        strbuf_free(&f.messages);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(integers_follow_the_simulation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
