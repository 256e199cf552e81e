/*
 * Places for boxes of a graph without cycles, so that every edge goes down: layers by longest paths, order within a layer by the mean place of neighbours (Sugiyama, Tagawa,
 * Toda 1981), places by the same mean, kept apart. An edge over several layers gets a point in each of those between, past their boxes.
 */
#ifndef POFAC_FRONTEND_REPORT_GRAPH_LAYOUT_H
#define POFAC_FRONTEND_REPORT_GRAPH_LAYOUT_H

#include "ir/support/arena.h"
#include "ir/support/diag.h"

typedef struct layout_box {
    double width, height; /* given */
    double x, y;          /* of its upper left corner: made */
    size_t layer;         /* made */
} layout_box;

typedef struct layout_point {
    double x, y;
} layout_point;

typedef struct layout_edge {
    size_t from, to;      /* boxes; given */
    layout_point *points; /* [n_points] from the lower side of `from` to the upper side of `to`; y rises: made */
    size_t n_points;
} layout_edge;

typedef struct graph_layout {
    layout_box *boxes;
    size_t n_boxes;
    layout_edge *edges; /* from < to in a topological order: from's index is below to's */
    size_t n_edges;
    double gap_x, gap_y;  /* between boxes side by side, and between layers; given */
    double width, height; /* of all: made */
} graph_layout;

/* Points live in `a`. POFAC_ERR_USAGE: an edge that names no box, or does not go from a lower index to a higher one. */
POFAC_MUST_USE pofac_status graph_layout_make(graph_layout *g, arena *a, const diag_sink *sink);

#endif
