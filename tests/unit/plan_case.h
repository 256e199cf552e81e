/*
 * Plans without code for tests: every value has a buffer of its own, in rows, every node runs through its evaluator. A test changes what it
 * wants to be otherwise: steps get kernels written in C, buffers a packing, two buffers one slot.
 */
#ifndef POFAC_TESTS_UNIT_PLAN_CASE_H
#define POFAC_TESTS_UNIT_PLAN_CASE_H

#include "ir/plan.h"
#include "runtime/session.h"
#include "tests/unit/text_case.h"

/* The plan of a graph, in `a`; the module stays the caller's, so plan_destroy must not be called. Value v is buffer v - 1. */
void plan_of_graph(ir_graph *g, arena *a, plan *out);

typedef struct plan_case {
    text_case text;
    arena memory;
    plan plan;
    thread_pool *pool;
    session *session; /* NULL: not yet made */
    named_tensors inputs, state;
    tensor_source input_source, state_source;
} plan_case;

/* Parses as text_case_begin does; a pool of 2 threads. */
void plan_case_begin(plan_case *c, const char *nodes);
void plan_case_end(plan_case *c);

/* The buffer of a named leaf; the step of a node, counted among the nodes that are no leaves. */
plan_buffer *plan_case_buffer(plan_case *c, const char *leaf);
plan_step *plan_case_step(plan_case *c, size_t i);

/* Turns a step into a kernel over `work` units in chunks of `grain`, with one dim, `work`. */
void plan_case_set_kernel(plan_case *c, size_t step, plan_kernel run, ir_dim work, int64_t grain);

/* Makes the session anew and runs it; what fails ends the test. */
void plan_case_run(plan_case *c);
/* The status of making the session, or of a run with it; messages go to c->text.messages. */
pofac_status plan_case_try(plan_case *c);

/* Ends the test unless the output has these elements. */
void assert_output(plan_case *c, const char *name, const double *elements, size_t n);

#endif
