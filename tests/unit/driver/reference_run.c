/* Runs of the reference to repeat; see reference_run.h. */
#include "tests/unit/driver/reference_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/driver/reference_rows.h"

void reference_run_want(reference_run *r, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s: %s", r->name, what, strbuf_str(&r->messages));
}

static const char *in_folder(const reference_run *r, const char *name, char path[512]) {
    snprintf(path, 512, "%s/%s", r->folder, name);
    return path;
}

static void open_model(reference_run *r, const char *name, model_head head, loaded_model **out) {
    const loaded_model_options options = {.head = head};
    char path[512];
    reference_run_want(r, loaded_model_open(in_folder(r, name, path), &options, &r->sink, out), name);
}

void reference_run_open(reference_run *r, const char *name, model_head head) {
    const char *shared = getenv("POFAC_SHARED");
    char path[512];
    if (!shared || !*shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    *r = (reference_run){.name = name, .messages = STRBUF_INIT, .rows.what = "input"};
    r->sink = diag_sink_to_strbuf(&r->messages);
    snprintf(r->folder, sizeof r->folder, "%s/fixtures/train/%s", shared, name);
    open_model(r, "student", head, &r->model);
    reference_run_want(r, checkpoint_open(in_folder(r, "batches.safetensors", path), &r->sink, &r->batches), "batches");
    reference_run_want(r, train_inputs_create(loaded_model_spec(r->model), 0, &r->sink, &r->inputs), "inputs");
}

void reference_run_open_teacher(reference_run *r, model_head head) { open_model(r, "teacher", head, &r->teacher); }

void reference_run_close(reference_run *r) {
    named_tensors_free(&r->rows);
    train_inputs_destroy(r->inputs);
    checkpoint_close(r->batches);
    loaded_model_close(r->teacher);
    loaded_model_close(r->model);
    strbuf_free(&r->messages);
}

training_options reference_run_options(executor_kind kind, size_t threads) {
    return (training_options){.road = {.no_cache = true, .tune = ROAD_TUNE_OFF, .threads = threads},
                              .kind = kind,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .epsilon = 1e-8,
                              .weight_decay = 0.01,
                              .max_grad_norm = 1};
}

void reference_run_step(reference_run *r, int64_t step, double rate) {
    const tensor_source *inputs;
    batch b;
    reference_rows_take(r->batches, step * REFERENCE_BATCH, REFERENCE_BATCH, &r->rows, &b);
    train_inputs_begin(r->inputs, step + 1, rate);
    train_inputs_set_forwards(r->inputs, step);
    reference_run_want(r, train_inputs_add(r->inputs, &b, &r->sink), "batch");
    reference_run_want(r, train_inputs_select(r->inputs, 0, &r->sink, &inputs), "inputs");
    reference_run_want(r, training_run(r->step, inputs, &r->sink), "step");
}

double reference_run_output(reference_run *r, const char *output) {
    ir_tensor result;
    reference_run_want(r, training_output(r->step, output, &r->sink, &result), output);
    return tensor_get(&result, 0);
}

void reference_run_lines(const reference_run *r, int64_t steps, void (*each)(void *user, int64_t step, const char *line),
                         void *user) {
    char path[512], line[1024];
    FILE *expected = fopen(in_folder(r, "expected.jsonl", path), "r");
    assert_non_null(expected);
    for (int64_t step = 0; step < steps; step++) {
        assert_non_null(fgets(line, sizeof line, expected));
        each(user, step, line);
    }
    fclose(expected);
}

int64_t reference_run_weights(reference_run *r,
                              void (*each)(void *user, const char *name, const state_entry *found, const ir_tensor *wanted),
                              void *user) {
    char path[512];
    checkpoint *final;
    int64_t n = 0;
    reference_run_want(r, checkpoint_open(in_folder(r, "final.safetensors", path), &r->sink, &final), "final weights");
    for (size_t i = 0; i < checkpoint_size(final); i++) {
        const checkpoint_tensor *wanted = checkpoint_at(final, i);
        const state_entry *found = state_store_find(training_state(r->step), wanted->name);
        ir_tensor values;
        if (!found) continue; /* the stored copy of a tied weight */
        reference_run_want(r, checkpoint_load(wanted, IR_F32, &r->sink, &values), wanted->name);
        each(user, wanted->name, found, &values);
        tensor_free(&values);
        n++;
    }
    checkpoint_close(final);
    return n;
}

double reference_run_element(const state_entry *e, int64_t i) {
    const ir_pattern *p = e->tensor.pattern;
    if (!p) return tensor_get(&e->tensor, i);
    const int64_t row = i / p->n_columns, column = i % p->n_columns;
    for (int64_t k = p->row_start[row]; k < p->row_start[row + 1]; k++)
        if (p->column[k] == column) return tensor_get(&e->tensor, k);
    return 0;
}
