/*
 * Graphs out of text for tests: the nodes of one graph are written, the rest is added around them.
 *
 *     text_case c;
 *     text_case_begin(&c, "  %1 = constant {value = [1]} : f32[3]\n  return \"y\" = %1\n");
 *     if (text_case_run(&c, inputs, state) == POFAC_OK) ... c.results
 *     text_case_end(&c);
 */
#ifndef POFAC_TESTS_UNIT_TEXT_CASE_H
#define POFAC_TESTS_UNIT_TEXT_CASE_H

#include "ir/graph.h"
#include "runtime/interpreter.h"
#include "tests/unit/named_tensors.h"

typedef struct text_case {
    ir_context *context;
    ir_module *module; /* NULL: the text was refused */
    ir_graph *graph;   /* NULL likewise */
    interp_results results;
    strbuf messages; /* of errors, without places, "; " between them */
    diag_sink sink;  /* writes to messages */
} text_case;

/* `nodes` is the inside of a graph that declares B <= 8, N <= 8, S <= 16 and T <= 64. */
void text_case_begin(text_case *c, const char *nodes);

/* Interprets it; either collection may be NULL: empty. */
pofac_status text_case_run(text_case *c, named_tensors *inputs, named_tensors *state);

void text_case_end(text_case *c);

/* A sink that appends messages to `out` as above. */
diag_sink message_sink(strbuf *out);

#endif
