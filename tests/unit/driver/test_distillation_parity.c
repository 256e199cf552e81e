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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/driver/train_inputs.h"
#include "frontend/driver/training.h"
#include "tests/unit/driver/made_run.h"
#include "tests/unit/driver/reference_rows.h"

#define BATCH 4

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
    char folder[400];
    strbuf messages;
    diag_sink sink;
    loaded_model *model, *teacher;
    distillation d;
    checkpoint *batches;
    named_tensors rows; /* of one batch */
    train_inputs *inputs;
    training *step;
} parity;

static void want(parity *t, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s: %s", t->f->name, what, strbuf_str(&t->messages));
}

static const char *in_folder(parity *t, const char *name, char path[512]) {
    snprintf(path, 512, "%s/%s", t->folder, name);
    return path;
}

static void open_fixture(parity *t, const fixture *f) {
    const char *shared = getenv("POFAC_SHARED");
    char path[512];
    const loaded_model_options options = {.head = f->head};
    if (!shared || !*shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    *t = (parity){.f = f, .messages = STRBUF_INIT, .rows.what = "input"};
    t->sink = diag_sink_to_strbuf(&t->messages);
    snprintf(t->folder, sizeof t->folder, "%s/fixtures/train/%s", shared, f->name);
    want(t, loaded_model_open(in_folder(t, "student", path), &options, &t->sink, &t->model), "student");
    want(t, loaded_model_open(in_folder(t, "teacher", path), &options, &t->sink, &t->teacher), "teacher");
    want(t, checkpoint_open(in_folder(t, "batches.safetensors", path), &t->sink, &t->batches), "batches");
    want(t, train_inputs_create(loaded_model_spec(t->model), 0, &t->sink, &t->inputs), "inputs");
}

static void close_fixture(parity *t) {
    named_tensors_free(&t->rows);
    train_inputs_destroy(t->inputs);
    checkpoint_close(t->batches);
    loaded_model_close(t->teacher);
    loaded_model_close(t->model);
    strbuf_free(&t->messages);
}

/* ---- steps ---- */

static void make_step(parity *t, executor_kind kind, size_t threads, const char *pipeline) {
    t->d = (distillation){.teacher = t->teacher, .task_alpha = 0.5, .teacher_alpha = 0.5, .temperature = 2, .token_share = 1};
    const training_options options = {.road = {.no_cache = true, .tune = ROAD_TUNE_OFF, .threads = threads},
                                      .kind = kind,
                                      .lock = true,
                                      .distillation = &t->d,
                                      .pipeline = pipeline,
                                      .beta1 = 0.9,
                                      .beta2 = 0.999,
                                      .epsilon = 1e-8,
                                      .weight_decay = 0.01,
                                      .max_grad_norm = 1};
    want(t, training_create(t->model, &options, &t->sink, &t->step), "training");
}

static void check_number(parity *t, const char *output, const char *line, const char *key, int64_t step) {
    ir_tensor result;
    want(t, training_output(t->step, output, &t->sink, &result), output);
    const double found = tensor_get(&result, 0), wanted = reference_number(line, key);
    /* a divergence near 0 is a difference of numbers near 1 in the reference, and of f32: 4 * 2^-23 */
    const double rounding = strcmp(output, "loss.distill") == 0 ? 5e-7 : 0;
    if (!(fabs(found - wanted) <= fmax(rounding, 2e-5 * fabs(wanted))))
        fail_msg("%s, step %d: %s is %.9g, wanted %.9g", t->f->name, (int)step + 1, output, found, wanted);
}

static void run_step(parity *t, int64_t step, const char *expected) {
    const tensor_source *inputs;
    batch b;
    reference_rows_take(t->batches, step * BATCH, BATCH, &t->rows, &b);
    train_inputs_begin(t->inputs, step + 1, reference_number(expected, "\"lr\": "));
    want(t, train_inputs_add(t->inputs, &b, &t->sink), "batch");
    want(t, train_inputs_select(t->inputs, 0, &t->sink, &inputs), "inputs");
    want(t, training_run(t->step, inputs, &t->sink), "step");
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

static double element_at(const state_entry *e, int64_t i) {
    const ir_pattern *p = e->tensor.pattern;
    if (!p) return tensor_get(&e->tensor, i);
    const int64_t row = i / p->n_columns, column = i % p->n_columns;
    for (int64_t k = p->row_start[row]; k < p->row_start[row + 1]; k++)
        if (p->column[k] == column) return tensor_get(&e->tensor, k);
    return 0;
}

static void check_weights(parity *t) {
    char path[512];
    checkpoint *final;
    want(t, checkpoint_open(in_folder(t, "final.safetensors", path), &t->sink, &final), "final weights");
    int64_t compared = 0;
    for (size_t i = 0; i < checkpoint_size(final); i++) {
        const checkpoint_tensor *wanted = checkpoint_at(final, i);
        const state_entry *entry = state_store_find(training_state(t->step), wanted->name);
        const double bound = is_noise(t, wanted->name) ? 5e-3 : 5e-5;
        ir_tensor values;
        if (!entry) continue;
        want(t, checkpoint_load(wanted, IR_F32, &t->sink, &values), wanted->name);
        for (int64_t k = 0; k < tensor_elements(&values); k++)
            if (!(fabs(element_at(entry, k) - tensor_get(&values, k)) <= bound))
                fail_msg("%s: %s[%d] is %.9g, wanted %.9g", t->f->name, wanted->name, (int)k, element_at(entry, k),
                         tensor_get(&values, k));
        tensor_free(&values);
        compared++;
    }
    checkpoint_close(final);
    assert_int_equal(compared, t->f->n_states);
}

/* All steps; `t->step` stays. */
static void run_fixture(parity *t, executor_kind kind, size_t threads, const char *pipeline) {
    char path[512], line[1024];
    make_step(t, kind, threads, pipeline);
    FILE *expected = fopen(in_folder(t, "expected.jsonl", path), "r");
    assert_non_null(expected);
    for (int64_t step = 0; step < t->f->steps; step++) {
        assert_non_null(fgets(line, sizeof line, expected));
        run_step(t, step, line);
    }
    fclose(expected);
    assert_int_equal(state_store_size(training_state(t->step)), 3 * t->f->n_states); /* none is the teacher's */
    check_weights(t);
}

/* ---- tests ---- */

static void interpreted_steps_are_the_references(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        run_fixture(&t, EXECUTOR_INTERPRETER, 1, NULL);
        training_destroy(t.step);
        close_fixture(&t);
    }
}

static void compiled_steps_are_the_references(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        run_fixture(&t, EXECUTOR_COMPILED, 1, NULL);
        training *one = t.step;
        run_fixture(&t, EXECUTOR_COMPILED, 2, NULL);
        assert_true(state_store_size(training_state(one)) > 0);
        assert_same_state(training_state(one), training_state(t.step), NULL);
        training_destroy(one);
        training_destroy(t.step);
        close_fixture(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpreted_steps_are_the_references),
        cmocka_unit_test(compiled_steps_are_the_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
