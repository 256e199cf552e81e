/* Passes run on modules, for tests: copies, pipelines given as text, and results held against each other. Failures end the test. */
#ifndef POFAC_TESTS_UNIT_PASSES_PASS_CASE_H
#define POFAC_TESTS_UNIT_PASSES_PASS_CASE_H

#include "passes/pass.h"
#include "runtime/interpreter.h"
#include "tests/unit/named_tensors.h"

/* A module out of text; diagnostics of a text that is refused end the test. The module's sink is NULL. */
ir_module *module_from_text(ir_context *c, const char *file, const char *text);

ir_module *module_copy(const ir_module *m);

/* The module as text without locations; the caller frees. */
strbuf module_text(const ir_module *m);

/* What the pipeline makes of a copy of the module. */
ir_module *run_pipeline(const ir_module *m, const char *pipeline);

/* Runs a pipeline on the module, which is taken over; `messages` gets the rendered diagnostics. Weights whose names begin with "pruned" are pruned. */
pofac_status try_pipeline(ir_module *m, const char *pipeline, const pass_observer *observer, strbuf *messages, ir_module **out);

typedef enum zero_signs { ZERO_SIGNS_COUNT, ZERO_SIGNS_DO_NOT_COUNT } zero_signs;

/* The first graph of both modules gives the same outputs, bit for bit (any NaN equals any NaN). */
void assert_same_meaning(const char *what, const ir_module *a, const ir_module *b, named_tensors *inputs, named_tensors *state,
                         zero_signs zeros);

/* Both print the same text and hold the same constants; else both are printed. */
void assert_same_module(const char *what, const ir_module *found, const ir_module *wanted);

#endif
