/*
 * The verifier: what must hold of every graph, checked after building, parsing and every pass.
 *
 * Nodes stand after the nodes whose results they use; arity, attributes and types agree with the op's row and shape rule; named
 * symbols are declared with a positive bound; nnz(%v) names an earlier pattern; input names are unique; leaves of one state name
 * agree in type within the module; output names are unique, and an output named like a state leaf has its type (over the leaf's
 * pattern or a new one of the same shape); what a node takes beside patterns and is typed by non-zeros has those of these patterns;
 * names and scopes are not malformed; nodes of one group form a connected set (joined by values that one gives another or that they
 * share) of at least two nodes, and with each group taken as one node the graph has no cycle, so each group is convex (no path
 * leaves and re-enters it) and groups can run one after another.
 *
 * The first thing that does not hold is reported as `%N = OP: what was found, what was wanted` at the node's location; N is the
 * number that the text form gives the node. POFAC_ERR_INPUT, or POFAC_ERR_RUNTIME when memory is short.
 */
#ifndef POFAC_IR_VERIFY_H
#define POFAC_IR_VERIFY_H

#include "ir/graph.h"

POFAC_MUST_USE pofac_status verify_graph(const ir_graph *g, const diag_sink *sink);
/* The rules of groups alone, of a graph in which everything else holds: for passes that make groups. */
POFAC_MUST_USE pofac_status verify_groups(const ir_graph *g, const diag_sink *sink);
POFAC_MUST_USE pofac_status verify_module(const ir_module *m, const diag_sink *sink);

#endif
