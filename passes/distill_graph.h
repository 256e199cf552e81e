/*
 * A student's graph with its teacher's in it, while the pass `distill` builds it: what the terms of the loss are made of.
 */
#ifndef POFAC_PASSES_DISTILL_GRAPH_H
#define POFAC_PASSES_DISTILL_GRAPH_H

#include "ir/rewrite.h"
#include "passes/pass.h"

#define DISTILL_TEACHER_GRAPH "teacher" /* name of the teacher's graph in the module, and first part of its scopes */

typedef struct distill_graph {
    const pass_input *in;
    rewriter student; /* from the graph of the step to the joined one */
    rewriter teacher; /* from the teacher's graph to the same; from: NULL where its results are inputs */
    arena memory;
} distill_graph;

/* The value in the joined graph of an output of the student's or of the teacher's graph; IR_NO_VALUE: there is none of that name. */
ir_value distill_output(rewriter *rw, const char *name);

/* The same without the reshape that gives rows [B*S,C] the shape [B,S,C]: rows. */
ir_value distill_rows(rewriter *rw, const char *name);

/* Which rows [B*S] the attention mask keeps: the input of that name, as rows. */
ir_value distill_keep(distill_graph *d);

/* The input scale.distill.OUTPUT, f32 []: 1 / the rows of that output that count in the whole step. */
ir_value distill_scale(distill_graph *d, const char *output);

/* Reports at the node of `v` as the module's error, and names the pass. */
POFAC_PRINTF(3, 4) void distill_error(distill_graph *d, ir_value v, const char *format, ...);

#endif
