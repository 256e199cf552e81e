/*
 * Quantization-aware training against the reference: the steps of fixtures/train/transfer-*-lock-qat, whose zeros are locked, interpreted, and compiled with 1
 * and 2 threads, whose bits are equal: loss and gradient norm of each step; in the end weights, zeros, and the scales and zero points of all modules, as they
 * come back from quantization.safetensors. The reference's observers see padding, so observe_padding is on; what it changes to see tokens alone is bounded too.
 * Bounds are narrow enough to tell this training from one without quantization, which must lie outside.
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
#include <unistd.h>

#include "ir/quantization.h"
#include "tests/unit/driver/made_run.h"
#include "tests/unit/driver/reference_rows.h"
#include "tests/unit/driver/reference_run.h"

#define STEPS 16

/* Of loss and gradient norm, relative; of weights, absolute. */
typedef struct parity_bounds {
    double loss, grad_norm, weight;
} parity_bounds;

typedef struct fixture {
    const char *name;
    model_head head;
    int64_t n_parameters, n_modules, n_outputs; /* modules in 8 bits; those whose output is, too */
    parity_bounds bounds;
} fixture;

/* Without quantization losses differ by 2.9e-3 and 9.4e-4, norms by 1.2e-2 and 2.4e-3, weights by 1.2e-3 and 1.1e-3. */
static const fixture fixtures[] = {
    {"transfer-classification-lock-qat", HEAD_SEQUENCE_CLASSIFICATION, 41, 14, 7, {1e-5, 1e-4, 1e-4}},
    {"transfer-qa-lock-qat", HEAD_QUESTION_ANSWERING, 39, 13, 6, {3e-4, 1e-3, 6e-4}}};
#define N_FIXTURES (sizeof fixtures / sizeof fixtures[0])

static const char *const kept[] = {"output.dense", "value", "classifier", "qa_outputs"};

typedef struct parity {
    const fixture *f;
    reference_run run;
    quantization_plan plan;
    parity_bounds bounds;
    bool in_floats;                /* without quantization: what lies outside is counted */
    int64_t losses_off, norms_off; /* steps */
    double farthest;               /* weight from the reference's */
} parity;

static void want(parity *t, pofac_status status, const char *what) { reference_run_want(&t->run, status, what); }

static void open_fixture(parity *t, const fixture *f) {
    *t = (parity){.f = f, .plan = quantization_plan_default(), .bounds = f->bounds};
    t->plan.not_to_requantize_output = kept;
    t->plan.n_not_to_requantize_output = sizeof kept / sizeof *kept;
    t->plan.observe_padding = true;
    reference_run_open(&t->run, f->name, f->head);
}

/* ---- steps ---- */

static void make_step(parity *t, executor_kind kind, size_t threads) {
    training_options options = reference_run_options(kind, threads);
    options.lock = true;
    options.quantization = t->in_floats ? NULL : &t->plan;
    want(t, training_create(t->run.model, &options, &t->run.sink, &t->run.step), "training");
}

/* Is the output the reference's, within the bound? Where it must be, the test ends if it is not. */
static bool is_near(parity *t, const char *output, const char *line, const char *key, int64_t step, double bound) {
    const double found = reference_run_output(&t->run, output), wanted = reference_number(line, key);
    if (fabs(found - wanted) <= bound * fabs(wanted)) return true;
    if (!t->in_floats) fail_msg("%s, step %d: %s is %.9g, wanted %.9g", t->f->name, (int)step + 1, output, found, wanted);
    return false;
}

static void run_step(void *user, int64_t step, const char *expected) {
    parity *t = user;
    reference_run_step(&t->run, step, reference_number(expected, "\"lr\": "));
    t->losses_off += !is_near(t, "loss", expected, "\"loss\": ", step, t->bounds.loss);
    t->norms_off += !is_near(t, "grad_norm", expected, "\"grad_norm\": ", step, t->bounds.grad_norm);
}

/* All steps; `t->run.step` stays. */
static void run_fixture(parity *t, executor_kind kind, size_t threads) {
    make_step(t, kind, threads);
    reference_run_lines(&t->run, STEPS, run_step, t);
}

/* ---- what is learned ---- */

/* Zeros of patterns are zeros. */
static void check_weight(void *user, const char *name, const state_entry *entry, const ir_tensor *wanted) {
    parity *t = user;
    for (int64_t k = 0; k < tensor_elements(wanted); k++) {
        const double found = reference_run_element(entry, k), value = tensor_get(wanted, k);
        if ((!t->in_floats && !(fabs(found - value) <= t->bounds.weight)) || (value == 0 && entry->tensor.pattern && found != 0))
            fail_msg("%s: %s[%d] is %.9g, wanted %.9g", t->f->name, name, (int)k, found, value);
        t->farthest = fmax(t->farthest, fabs(found - value));
    }
}

static void check_weights(parity *t) {
    t->farthest = 0;
    assert_int_equal(reference_run_weights(&t->run, check_weight, t), t->f->n_parameters);
}

static quantization of_range(const float *range, quantization_scheme scheme) {
    assert_non_null(range);
    return quantization_of((value_range){range[0], range[1]}, scheme);
}

static void check_scale(const parity *t, const quantized_module *found, const quantized_module *wanted, double bound, int *n) {
    const struct {
        const char *what;
        const float *found, *wanted;
        quantization_scheme scheme;
    } rows[] = {{"input", found->input, wanted->input, QUANTIZE_AFFINE},
                {"weight", found->weight, wanted->weight, QUANTIZE_SYMMETRIC},
                {"output", found->output, wanted->output, QUANTIZE_AFFINE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].wanted && !rows[i].found) continue;
        const quantization a = of_range(rows[i].found, rows[i].scheme), b = of_range(rows[i].wanted, rows[i].scheme);
        const double zero = fabs((double)a.zero_point - (double)b.zero_point);
        if (!(fabs((double)a.scale - (double)b.scale) <= bound * (double)b.scale) || zero > 1 + 255 * bound)
            fail_msg("%s: %s of %s: scale %.9g, zero point %d, wanted %.9g, %d", t->f->name, rows[i].what, found->name,
                     (double)a.scale, (int)a.zero_point, (double)b.scale, (int)b.zero_point);
        ++*n;
    }
}

/* The state's ranges as a quantized model beside the fixture's: `bound` of the scales. */
static void check_ranges(parity *t, double bound) {
    char directory[] = "/tmp/pofac-qat-XXXXXX", path[128];
    model_quantization *found, *wanted;
    bool written;
    int n = 0;
    assert_non_null(mkdtemp(directory));
    want(t, learned_ranges_write(training_ranges(t->run.step), training_state(t->run.step), directory, &t->run.sink, &written),
         "writing");
    assert_true(written);
    want(t, model_quantization_read(directory, &t->run.sink, &found), "reading");
    want(t, model_quantization_read(t->run.folder, &t->run.sink, &wanted), "the reference's");
    assert_non_null(found);
    assert_non_null(wanted);
    assert_int_equal(model_quantization_size(wanted), t->f->n_modules);
    assert_int_equal(model_quantization_size(found), t->f->n_modules);
    for (size_t i = 0; i < model_quantization_size(wanted); i++) {
        const quantized_module *module = model_quantization_at(wanted, i), *own = model_quantization_find(found, module->name);
        if (!own) fail_msg("%s: found no module %s", t->f->name, module->name);
        check_scale(t, own, module, bound, &n);
    }
    assert_int_equal(n, 2 * t->f->n_modules + t->f->n_outputs);
    assert_true(model_quantization_plan(found)->observe_padding == t->plan.observe_padding);
    model_quantization_close(found);
    model_quantization_close(wanted);
    snprintf(path, sizeof path, "%s/" QUANTIZATION_FILE, directory);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

/* ---- tests ---- */

static void interpreted_steps_are_the_references(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        run_fixture(&t, EXECUTOR_INTERPRETER, 1);
        check_weights(&t);
        check_ranges(&t, 1e-3);
        training_destroy(t.run.step);
        reference_run_close(&t.run);
    }
}

static void compiled_steps_are_the_references(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        run_fixture(&t, EXECUTOR_COMPILED, 1);
        check_weights(&t);
        check_ranges(&t, 1e-3);
        training *one = t.run.step;
        run_fixture(&t, EXECUTOR_COMPILED, 2);
        assert_true(state_store_size(training_state(one)) > 0);
        assert_same_state(training_state(one), training_state(t.run.step), NULL);
        training_destroy(one);
        training_destroy(t.run.step);
        reference_run_close(&t.run);
    }
}

/* One token in five is padding here. Without it one range, of layer 1's keys, is 4.8 % smaller, others move by 0.15 %, losses by 0.07 %. */
static void ranges_of_tokens_alone_are_near(void **unused) {
    (void)unused;
    parity t;
    open_fixture(&t, &fixtures[0]);
    t.plan.observe_padding = false;
    t.bounds = (parity_bounds){2e-3, 8e-3, 1};
    run_fixture(&t, EXECUTOR_COMPILED, 1);
    check_ranges(&t, 0.05);
    training_destroy(t.run.step);
    reference_run_close(&t.run);
}

/* The control: a training in floats is none of these. */
static void floats_lie_outside(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        t.in_floats = true;
        run_fixture(&t, EXECUTOR_COMPILED, 1);
        if (t.losses_off == 0 || t.norms_off == 0)
            fail_msg("%s: without quantization losses of %d steps and norms of %d lie outside, wanted some", t.f->name,
                     (int)t.losses_off, (int)t.norms_off);
        check_weights(&t);
        const double weight = t.farthest;
        if (!(weight > t.bounds.weight)) fail_msg("%s: without quantization weights are within %g", t.f->name, weight);
        training_destroy(t.run.step);
        reference_run_close(&t.run);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpreted_steps_are_the_references),
        cmocka_unit_test(compiled_steps_are_the_references),
        cmocka_unit_test(ranges_of_tokens_alone_are_near),
        cmocka_unit_test(floats_lie_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
