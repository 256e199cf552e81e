/*
 * The verifier: what must hold of every graph, checked after building, parsing and every pass.
 *
 * Nodes stand after the nodes whose results they use; arity, attributes and types agree with the op's row and shape rule; named symbols are declared with
 * a positive bound; nnz(%v) names an earlier pattern; input names are unique; leaves of one state name agree in type within the module; output names are unique,
 * and an output named like a state leaf has its type; a pattern and the values that refer to it agree; names and scopes are not malformed;
 * nodes of one group form a connected, convex set (no path leaves and re-enters it) of at least two nodes.
 */
#ifndef POFAC_IR_VERIFY_H
#define POFAC_IR_VERIFY_H

#include "ir/graph.h"

POFAC_MUST_USE pofac_status verify_graph(const ir_graph *g, const diag_sink *sink);
POFAC_MUST_USE pofac_status verify_module(const ir_module *m, const diag_sink *sink);

#endif
