/*
 * A run of the reference (fixtures/train/NAME) to repeat: its model and teacher, its batches, and what it says of each step and of the weights in the end. What
 * cannot be opened or run ends the test with its message; where ../shared is absent it is skipped.
 */
#ifndef POFAC_TESTS_UNIT_REFERENCE_RUN_H
#define POFAC_TESTS_UNIT_REFERENCE_RUN_H

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/driver/train_inputs.h"
#include "frontend/driver/training.h"
#include "tests/unit/named_tensors.h"

#define REFERENCE_BATCH 4 /* sequences of a step, in all of them */

typedef struct reference_run {
    const char *name;
    char folder[400];
    strbuf messages;
    diag_sink sink;
    loaded_model *model, *teacher; /* teacher NULL: it has none */
    checkpoint *batches;
    named_tensors rows; /* of one batch */
    train_inputs *inputs;
    training *step; /* made and destroyed by the test */
} reference_run;

void reference_run_open(reference_run *r, const char *name, model_head head);
void reference_run_open_teacher(reference_run *r, model_head head);
void reference_run_close(reference_run *r);

/* Ends the test unless `status` is POFAC_OK. */
void reference_run_want(reference_run *r, pofac_status status, const char *what);

/* The options that all of these runs share: AdamW, weight decay 0.01, gradients to norm 1; nothing is measured, and no cache is used. */
training_options reference_run_options(executor_kind kind, size_t threads);

/* Runs the step on its batch. */
void reference_run_step(reference_run *r, int64_t step, double rate);

/* An output of the last step, a number. */
double reference_run_output(reference_run *r, const char *output);

/* Calls `each` with the lines of the first `steps` steps (reference_number reads them). */
void reference_run_lines(const reference_run *r, int64_t steps, void (*each)(void *user, int64_t step, const char *line),
                         void *user);

/* Calls `each` for every tensor of the end that the state has, with the state's entry. Returns how many there are. */
int64_t reference_run_weights(reference_run *r,
                              void (*each)(void *user, const char *name, const state_entry *found, const ir_tensor *wanted),
                              void *user);

/* Element i of an entry as a dense tensor has it: 0 beside a pattern. */
double reference_run_element(const state_entry *e, int64_t i);

#endif
