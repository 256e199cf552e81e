/*
 * The rewriting helper: how passes build module B from module A without editing either.
 *
 *   rewriter rw; rewrite_begin(&rw, from, to_module);
 *   for each node n of from: either rewrite_copy(&rw, n), or build something in rw.to and rewrite_map(&rw, old, new);
 *   return rewrite_finish(&rw);      // outputs mapped, graph verified
 *
 * New nodes get the scope and location of the node that was visited last (rewrite_visit, called by rewrite_copy). Errors are sticky
 * as in graph.h.
 */
#ifndef POFAC_IR_REWRITE_H
#define POFAC_IR_REWRITE_H

#include "ir/graph.h"

typedef struct rewriter {
    const ir_graph *from;
    ir_graph *to;
    ir_value *map; /* [from->values.size], IR_NO_VALUE: not mapped yet */
} rewriter;

/* Adds a graph of the same name and symbol bounds to `module`, which has the same context. After an error there is nothing to free,
 * and only rewrite_finish may be called. */
POFAC_MUST_USE pofac_status rewrite_begin(rewriter *rw, const ir_graph *from, ir_module *module);

/* Takes over scope and location of `n` for nodes added next. */
void rewrite_visit(rewriter *rw, const ir_node *n);

/* The new value of an old one (IR_NO_VALUE for IR_NO_VALUE); an old value that has none yet is an error of the pass. */
ir_value rewrite_value(rewriter *rw, ir_value old);
void rewrite_map(rewriter *rw, ir_value old, ir_value new_value);

/* The type with nnz(%old) replaced by nnz(%new). */
const ir_type *rewrite_type(rewriter *rw, const ir_type *type);

/* Copies a node with mapped inputs and maps its results; the types are inferred anew. */
void rewrite_copy(rewriter *rw, const ir_node *n);
/* The same with attribute `extra` set (replacing one of that name), or with the attribute named `without` dropped; either may be
 * NULL. */
void rewrite_copy_with(rewriter *rw, const ir_node *n, const ir_attr *extra, const char *without);
/* Copies a node of a graph that changes: without the attributes `group` and `slot`, which hold only for the graph they were made on.
 * `inputs`: new values to take instead of the mapped ones, NULL: those; `declared` likewise instead of the mapped type of an op with
 * the trait DECLARED. */
void rewrite_copy_unmarked(rewriter *rw, const ir_node *n, const ir_value *inputs, const ir_type *declared);

/* Maps the outputs, frees the map, and finishes the graph. Call it on every path; it returns the first error. */
POFAC_MUST_USE pofac_status rewrite_finish(rewriter *rw);
/* The same with those outputs alone whose names `keeps` says; NULL: all. */
POFAC_MUST_USE pofac_status rewrite_finish_with(rewriter *rw, bool (*keeps)(const char *output));

/* A module with copies of all graphs and constants; each graph goes through `rewrite`. NULL out on error. */
typedef pofac_status (*rewrite_graph_fn)(void *user, const ir_graph *from, ir_module *to);
POFAC_MUST_USE pofac_status rewrite_module(const ir_module *from, rewrite_graph_fn rewrite, void *user, const diag_sink *sink,
                                           ir_module **out);

#endif
