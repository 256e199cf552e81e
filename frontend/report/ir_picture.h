/*
 * Pictures of one encoder layer of a graph, as inline SVG: a box for each node with its op, place in the network, type and parameters, arrows from what it reads; boxes that
 * the last pass has made, and those that the next one will take away, are marked; nodes of one group have one colour. Parameters and constants stand in
 * the boxes that read them, what comes from outside of the layer is a box of its own.
 */
#ifndef POFAC_FRONTEND_REPORT_IR_PICTURE_H
#define POFAC_FRONTEND_REPORT_IR_PICTURE_H

#include "ir/graph.h"

#define IR_VIEW_MOST_NODES 400

typedef struct ir_view_node {
    const char *op, *place, *type, *leaves, *details; /* lines of the box; "" where there is nothing to say */
    const char *text;                                 /* the node as IR text */
    const char *signature; /* what makes it the same node in two graphs: text without numbers of values */
    int64_t group;         /* -1: none */
    bool outside, is_new, goes;
} ir_view_node;

/* What a picture needs of a graph, which may end before it is drawn. */
typedef struct ir_view {
    const char *title; /* "after fuse" */
    ir_view_node *nodes;
    size_t n_nodes;
    size_t (*edges)[2]; /* from, to */
    size_t n_edges;
    size_t n_new, n_gone; /* against the view before */
} ir_view;

/* The nodes of the encoder's first layer - scopes with "layer.0" in them -, or of the whole graph where it has none; everything lives in `a`. POFAC_ERR_USAGE: there are more than IR_VIEW_MOST_NODES. */
POFAC_MUST_USE pofac_status ir_view_make(const ir_graph *g, const char *title, arena *a, const diag_sink *sink, ir_view *out);

/* Marks in `after` what is new, in `before` what goes, and counts both in `after`. */
POFAC_MUST_USE pofac_status ir_view_compare(ir_view *before, ir_view *after, const diag_sink *sink);

/* Appends a <figure>. */
POFAC_MUST_USE pofac_status ir_view_put(const ir_view *v, const diag_sink *sink, strbuf *out);

#endif
