/*
 * Training against the reference: the steps of fixtures/train/teacher-preparation (pre-training with masked LM and next sentences,
 * AdamW, clipping, linear rates), interpreted, and compiled with 1 and 2 threads, whose bits are equal: loss and gradient norm of each
 * step, and the weights in the end.
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

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/driver/training.h"
#include "runtime/learning_rate.h"
#include "tests/unit/driver/made_run.h"
#include "tests/unit/named_tensors.h"

#define STEPS 20
#define BATCH 4
#define RATE 1e-3

typedef struct parity {
    char folder[400];
    strbuf messages;
    diag_sink sink;
    loaded_model *model;
    checkpoint *batches;
    named_tensors inputs;
    training *step;
} parity;

static void want(parity *t, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s", what, strbuf_str(&t->messages));
}

static const char *in_folder(parity *t, const char *name, char path[512]) {
    snprintf(path, 512, "%s/%s", t->folder, name);
    return path;
}

/* pipeline NULL: the usual one. */
static void make_step(parity *t, executor_kind kind, size_t threads, const char *pipeline) {
    const training_options options = {.road = {.no_cache = true, .tune = ROAD_TUNE_OFF, .threads = threads},
                                      .kind = kind,
                                      .pipeline = pipeline,
                                      .beta1 = 0.9,
                                      .beta2 = 0.999,
                                      .epsilon = 1e-8,
                                      .weight_decay = 0.01,
                                      .max_grad_norm = 1};
    want(t, training_create(t->model, &options, &t->sink, &t->step), "training");
}

static void add_scalar(parity *t, const char *name, ir_dtype dtype, double value) {
    tensor_set(named_tensors_add(&t->inputs, name, dtype, 0, NULL), 0, value);
}

/* Rows step * BATCH and on of every tensor of the batches; rows that count give the scales. */
static void make_inputs(parity *t, int64_t step) {
    const rate_plan rates = {.schedule = RATE_LINEAR, .warmup_steps = 3, .max_steps = STEPS, .frequency = 1};
    named_tensors_free(&t->inputs);
    t->inputs.what = "input";
    for (size_t i = 0; i < checkpoint_size(t->batches); i++) {
        const checkpoint_tensor *from = checkpoint_at(t->batches, i);
        ir_tensor all;
        want(t, checkpoint_load(from, IR_I64, &t->sink, &all), from->name);
        const int64_t row = tensor_elements(&all) / all.dims[0];
        int64_t dims[2] = {BATCH, row}, counted = 0;
        ir_tensor *to = named_tensors_add(&t->inputs, from->name, IR_I64, all.rank, dims);
        for (int64_t k = 0; k < BATCH * row; k++) {
            tensor_set_int(to, k, tensor_get_int(&all, step * BATCH * row + k));
            counted += tensor_get_int(to, k) != -100;
        }
        char scale[64];
        snprintf(scale, sizeof scale, "scale.%s", from->name);
        if (strstr(from->name, "label")) add_scalar(t, scale, IR_F32, 1 / (double)counted);
        tensor_free(&all);
    }
    add_scalar(t, "learning_rate", IR_F32, RATE * rate_factor(&rates, step));
    add_scalar(t, "step", IR_I64, (double)step + 1);
}

static void check_number(parity *t, const char *output, const char *line, const char *key, int64_t step, double bound) {
    ir_tensor result;
    want(t, training_output(t->step, output, &t->sink, &result), output);
    const double found = tensor_get(&result, 0), wanted = strtod(strstr(line, key) + strlen(key), NULL);
    if (!(fabs(found - wanted) <= bound * fabs(wanted)))
        fail_msg("step %d: %s is %.9g, wanted %.9g", (int)step + 1, output, found, wanted);
}

static void run_step(parity *t, int64_t step, const char *expected) {
    make_inputs(t, step);
    const tensor_source inputs = named_tensors_source(&t->inputs);
    want(t, training_run(t->step, &inputs, &t->sink), "step");
    check_number(t, "loss", expected, "\"loss\": ", step, 2e-5);
    check_number(t, "grad_norm", expected, "\"grad_norm\": ", step, 2e-5);
}

/* Final weights, but for those that the loss does not depend on: their gradient is rounding noise, which Adam magnifies. */
static void check_weights(parity *t) {
    char path[512];
    checkpoint *final;
    want(t, checkpoint_open(in_folder(t, "final.safetensors", path), &t->sink, &final), "final weights");
    size_t compared = 0;
    for (size_t i = 0; i < checkpoint_size(final); i++) {
        const checkpoint_tensor *wanted = checkpoint_at(final, i);
        const state_entry *entry = state_store_find(training_state(t->step), wanted->name);
        const double bound = strstr(wanted->name, "key.bias") ? 5e-3 : 5e-5;
        ir_tensor values;
        if (!entry) continue; /* the stored copy of a tied weight */
        const ir_tensor *found = &entry->tensor;
        want(t, checkpoint_load(wanted, IR_F32, &t->sink, &values), wanted->name);
        assert_int_equal(tensor_elements(found), tensor_elements(&values));
        for (int64_t k = 0; k < tensor_elements(found); k++)
            if (!(fabs(tensor_get(found, k) - tensor_get(&values, k)) <= bound))
                fail_msg("%s[%d] is %.9g, wanted %.9g", wanted->name, (int)k, tensor_get(found, k), tensor_get(&values, k));
        tensor_free(&values);
        compared++;
    }
    assert_int_equal(compared * 3, state_store_size(training_state(t->step))); /* each with two moments */
    checkpoint_close(final);
}

/* All of the fixture; `t->step` stays. */
static void run_fixture(parity *t, executor_kind kind, size_t threads, const char *pipeline) {
    char path[512], line[1024];
    make_step(t, kind, threads, pipeline);
    FILE *expected = fopen(in_folder(t, "expected.jsonl", path), "r");
    assert_non_null(expected);
    for (int64_t step = 0; step < STEPS; step++) {
        assert_non_null(fgets(line, sizeof line, expected));
        run_step(t, step, line);
    }
    fclose(expected);
    check_weights(t);
}

static void open_fixture(parity *t) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared || !*shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char path[512];
    *t = (parity){.messages = STRBUF_INIT};
    t->sink = diag_sink_to_strbuf(&t->messages);
    snprintf(t->folder, sizeof t->folder, "%s/fixtures/train/teacher-preparation", shared);
    want(t,
         loaded_model_open(in_folder(t, "student", path), &(loaded_model_options){.head = HEAD_PRETRAINING}, &t->sink, &t->model),
         "model");
    want(t, checkpoint_open(in_folder(t, "batches.safetensors", path), &t->sink, &t->batches), "batches");
}

static void close_fixture(parity *t) {
    named_tensors_free(&t->inputs);
    checkpoint_close(t->batches);
    loaded_model_close(t->model);
    strbuf_free(&t->messages);
}

static void interpret_fixture(const char *pipeline) {
    parity t;
    open_fixture(&t);
    run_fixture(&t, EXECUTOR_INTERPRETER, 1, pipeline);
    training_destroy(t.step);
    close_fixture(&t);
}

static void interpreted_steps_are_the_references(void **unused) {
    (void)unused;
    interpret_fixture(NULL);
}

/* As they are compiled: no padding, and logits of labelled tokens alone, which never are whole. */
static void steps_of_real_tokens_are_too(void **unused) {
    (void)unused;
    interpret_fixture("simplify,unpad,tile-loss{min_classes=3},autodiff,optimizer{weight_decay=0.01},canonicalize,cse,dce");
}

static void compiled_steps_are_the_references(void **unused) {
    (void)unused;
    parity t;
    open_fixture(&t);
    run_fixture(&t, EXECUTOR_COMPILED, 1, NULL);
    training *one = t.step;
    run_fixture(&t, EXECUTOR_COMPILED, 2, NULL);
    assert_true(state_store_size(training_state(one)) > 0);
    assert_same_state(training_state(one), training_state(t.step), NULL);
    training_destroy(one);
    training_destroy(t.step);
    close_fixture(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpreted_steps_are_the_references),
        cmocka_unit_test(steps_of_real_tokens_are_too),
        cmocka_unit_test(compiled_steps_are_the_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
