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
#include "tests/unit/driver/reference_rows.h"
#include "tests/unit/driver/reference_run.h"
#include "tests/unit/named_tensors.h"

#define STEPS 20
#define BATCH REFERENCE_BATCH
#define RATE 1e-3

/* pipeline NULL: the usual one. */
static void make_step(reference_run *r, executor_kind kind, size_t threads, const char *pipeline) {
    training_options options = reference_run_options(kind, threads);
    options.pipeline = pipeline;
    reference_run_want(r, training_create(r->model, &options, &r->sink, &r->step), "training");
}

static void add_scalar(reference_run *r, const char *name, ir_dtype dtype, double value) {
    tensor_set(named_tensors_add(&r->rows, name, dtype, 0, NULL), 0, value);
}

/* Rows step * BATCH and on of every tensor of the batches; rows that count give the scales. */
static void make_inputs(reference_run *r, int64_t step) {
    const rate_plan rates = {.schedule = RATE_LINEAR, .warmup_steps = 3, .max_steps = STEPS, .frequency = 1};
    named_tensors_free(&r->rows);
    r->rows.what = "input";
    for (size_t i = 0; i < checkpoint_size(r->batches); i++) {
        const checkpoint_tensor *from = checkpoint_at(r->batches, i);
        ir_tensor all;
        reference_run_want(r, checkpoint_load(from, IR_I64, &r->sink, &all), from->name);
        const int64_t row = tensor_elements(&all) / all.dims[0];
        int64_t dims[2] = {BATCH, row}, counted = 0;
        ir_tensor *to = named_tensors_add(&r->rows, from->name, IR_I64, all.rank, dims);
        for (int64_t k = 0; k < BATCH * row; k++) {
            tensor_set_int(to, k, tensor_get_int(&all, step * BATCH * row + k));
            counted += tensor_get_int(to, k) != -100;
        }
        char scale[64];
        snprintf(scale, sizeof scale, "scale.%s", from->name);
        if (strstr(from->name, "label")) add_scalar(r, scale, IR_F32, 1 / (double)counted);
        tensor_free(&all);
    }
    add_scalar(r, "learning_rate", IR_F32, RATE * rate_factor(&rates, step));
    add_scalar(r, "step", IR_I64, (double)step + 1);
}

static void check_number(reference_run *r, const char *output, const char *line, const char *key, int64_t step) {
    const double found = reference_run_output(r, output), wanted = reference_number(line, key);
    if (!(fabs(found - wanted) <= 2e-5 * fabs(wanted)))
        fail_msg("step %d: %s is %.9g, wanted %.9g", (int)step + 1, output, found, wanted);
}

static void run_step(void *user, int64_t step, const char *expected) {
    reference_run *r = user;
    make_inputs(r, step);
    const tensor_source inputs = named_tensors_source(&r->rows);
    reference_run_want(r, training_run(r->step, &inputs, &r->sink), "step");
    check_number(r, "loss", expected, "\"loss\": ", step);
    check_number(r, "grad_norm", expected, "\"grad_norm\": ", step);
}

/* Biases of keys change no loss: their gradient is rounding noise, which Adam magnifies. */
static void check_weight(void *user, const char *name, const state_entry *entry, const ir_tensor *wanted) {
    const double bound = strstr(name, "key.bias") ? 5e-3 : 5e-5;
    const ir_tensor *found = &entry->tensor;
    (void)user;
    assert_int_equal(tensor_elements(found), tensor_elements(wanted));
    for (int64_t k = 0; k < tensor_elements(found); k++)
        if (!(fabs(tensor_get(found, k) - tensor_get(wanted, k)) <= bound))
            fail_msg("%s[%d] is %.9g, wanted %.9g", name, (int)k, tensor_get(found, k), tensor_get(wanted, k));
}

/* All of the fixture; `r->step` stays. */
static void run_fixture(reference_run *r, executor_kind kind, size_t threads, const char *pipeline) {
    make_step(r, kind, threads, pipeline);
    reference_run_lines(r, STEPS, run_step, r);
    assert_int_equal(3 * reference_run_weights(r, check_weight, r),
                     state_store_size(training_state(r->step))); /* each with two moments */
}

static void open_fixture(reference_run *r) { reference_run_open(r, "teacher-preparation", HEAD_PRETRAINING); }

static void interpret_fixture(const char *pipeline) {
    reference_run r;
    open_fixture(&r);
    run_fixture(&r, EXECUTOR_INTERPRETER, 1, pipeline);
    training_destroy(r.step);
    reference_run_close(&r);
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
    reference_run r;
    open_fixture(&r);
    run_fixture(&r, EXECUTOR_COMPILED, 1, NULL);
    training *one = r.step;
    run_fixture(&r, EXECUTOR_COMPILED, 2, NULL);
    assert_true(state_store_size(training_state(one)) > 0);
    assert_same_state(training_state(one), training_state(r.step), NULL);
    training_destroy(one);
    training_destroy(r.step);
    reference_run_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpreted_steps_are_the_references),
        cmocka_unit_test(steps_of_real_tokens_are_too),
        cmocka_unit_test(compiled_steps_are_the_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
