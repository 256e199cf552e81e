/*
 * Distillation against the reference: steps of fixtures/train with a frozen teacher, interpreted, and compiled with 1 and 2 threads, whose
 * bits are equal. Of a classifier and of question answering, whose zeros are locked: the loss, its two terms and the gradient's norm in each
 * step, and the weights in the end. Pre-training with a teacher is in test_pruning_parity.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tests/unit/driver/made_run.h"
#include "tests/unit/driver/reference_rows.h"
#include "tests/unit/driver/reference_run.h"

typedef struct fixture {
    const char *name;
    model_head head;
    int64_t steps;
    int64_t n_states; /* in the end: with two moments each */
} fixture;

static const fixture fixtures[] = {{"transfer-classification-lock", HEAD_SEQUENCE_CLASSIFICATION, 20, 41},
                                   {"transfer-qa-lock", HEAD_QUESTION_ANSWERING, 16, 39}};
#define N_FIXTURES (sizeof fixtures / sizeof fixtures[0])

typedef struct parity {
    const fixture *f;
    reference_run run;
    distillation d;
} parity;

static void open_fixture(parity *t, const fixture *f) {
    *t = (parity){.f = f};
    reference_run_open(&t->run, f->name, f->head);
    reference_run_open_teacher(&t->run, f->head);
}

/* ---- steps ---- */

static void make_step(parity *t, executor_kind kind, size_t threads) {
    training_options options = reference_run_options(kind, threads);
    t->d = (distillation){.teacher = t->run.teacher, .task_alpha = 0.5, .teacher_alpha = 0.5, .temperature = 2, .token_share = 1};
    options.lock = true;
    options.distillation = &t->d;
    reference_run_want(&t->run, training_create(t->run.model, &options, &t->run.sink, &t->run.step), "training");
}

static void check_number(parity *t, const char *output, const char *line, const char *key, int64_t step) {
    const double found = reference_run_output(&t->run, output), wanted = reference_number(line, key);
    /* a divergence near 0 is a difference of numbers near 1 in the reference, and of f32: 4 * 2^-23 */
    const double rounding = strcmp(output, "loss.distill") == 0 ? 5e-7 : 0;
    if (!(fabs(found - wanted) <= fmax(rounding, 2e-5 * fabs(wanted))))
        fail_msg("%s, step %d: %s is %.9g, wanted %.9g", t->f->name, (int)step + 1, output, found, wanted);
}

static void run_step(void *user, int64_t step, const char *expected) {
    parity *t = user;
    reference_run_step(&t->run, step, reference_number(expected, "\"lr\": "));
    check_number(t, "loss", expected, "\"loss\": ", step);
    check_number(t, "loss.task", expected, "\"ce\": ", step);
    check_number(t, "loss.distill", expected, "\"kd\": ", step);
    check_number(t, "grad_norm", expected, "\"grad_norm\": ", step);
}

/* ---- weights ---- */

/* Parameters that the loss does not depend on: their gradient is rounding noise, which Adam magnifies. */
static bool is_noise(const parity *t, const char *name) {
    if (strstr(name, "key.bias")) return true;
    return t->f->head == HEAD_QUESTION_ANSWERING &&
           (strcmp(name, "qa_outputs.bias") == 0 || strcmp(name, "bert.encoder.layer.1.output.LayerNorm.bias") == 0);
}

static void check_weight(void *user, const char *name, const state_entry *entry, const ir_tensor *wanted) {
    const parity *t = user;
    const double bound = is_noise(t, name) ? 5e-3 : 5e-5;
    for (int64_t k = 0; k < tensor_elements(wanted); k++)
        if (!(fabs(reference_run_element(entry, k) - tensor_get(wanted, k)) <= bound))
            fail_msg("%s: %s[%d] is %.9g, wanted %.9g", t->f->name, name, (int)k, reference_run_element(entry, k),
                     tensor_get(wanted, k));
}

/* All steps; `t->run.step` stays. */
static void run_fixture(parity *t, executor_kind kind, size_t threads) {
    make_step(t, kind, threads);
    reference_run_lines(&t->run, t->f->steps, run_step, t);
    assert_int_equal(state_store_size(training_state(t->run.step)), 3 * t->f->n_states); /* none is the teacher's */
    assert_int_equal(reference_run_weights(&t->run, check_weight, t), t->f->n_states);
}

/* ---- tests ---- */

static void interpreted_steps_are_the_references(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        run_fixture(&t, EXECUTOR_INTERPRETER, 1);
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
        training *one = t.run.step;
        run_fixture(&t, EXECUTOR_COMPILED, 2);
        assert_true(state_store_size(training_state(one)) > 0);
        assert_same_state(training_state(one), training_state(t.run.step), NULL);
        training_destroy(one);
        training_destroy(t.run.step);
        reference_run_close(&t.run);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpreted_steps_are_the_references),
        cmocka_unit_test(compiled_steps_are_the_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
