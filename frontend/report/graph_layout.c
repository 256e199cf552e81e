/* Layers, orders, places; see graph_layout.h. */
#include "frontend/report/graph_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 12         /* of ordering: alternately down and up */
#define PLACING_ROUNDS 40 /* likewise of placing */
#define PASSAGE_WIDTH 8.0 /* that an edge takes in a layer it passes */

/* A box, or the place where an edge passes a layer. */
typedef struct vertex {
    size_t layer;
    double width, x; /* x: of its middle */
    double wish;     /* where its neighbours are, in the sense of the step at hand */
    size_t place;    /* within its layer */
    size_t *up, *down;
    size_t n_up, n_down;
} vertex;

typedef struct drawing {
    graph_layout *g;
    vertex *vertices; /* boxes first */
    size_t n;
    size_t *first;   /* [edges] the first vertex of an edge's passages */
    size_t **layers; /* [n_layers] vertices in order */
    size_t *n_in;    /* [n_layers] */
    size_t n_layers;
} drawing;

static pofac_status check_edges(const graph_layout *g, const diag_sink *sink) {
    for (size_t i = 0; i < g->n_edges; i++)
        if (g->edges[i].to >= g->n_boxes || g->edges[i].from >= g->edges[i].to)
            return diag_error(sink, POFAC_ERR_USAGE, NULL,
                              "layout: found an edge from box %zu to %zu of %zu, wanted one to a later box", g->edges[i].from,
                              g->edges[i].to, g->n_boxes);
    return POFAC_OK;
}

/* Each box below all that lead to it; then those that nothing leads to go down to just above their first reader, so that edges are short. */
static void find_layers(graph_layout *g) {
    for (size_t i = 0; i < g->n_boxes; i++) g->boxes[i].layer = 0;
    for (size_t to = 0; to < g->n_boxes; to++)
        for (size_t e = 0; e < g->n_edges; e++)
            if (g->edges[e].to == to && g->boxes[to].layer <= g->boxes[g->edges[e].from].layer)
                g->boxes[to].layer = g->boxes[g->edges[e].from].layer + 1;
    for (size_t box = g->n_boxes; box-- > 0;) {
        size_t lowest = SIZE_MAX;
        bool is_read = false, reads = false;
        for (size_t e = 0; e < g->n_edges; e++) {
            reads = reads || g->edges[e].to == box;
            if (g->edges[e].from != box) continue;
            is_read = true;
            if (g->boxes[g->edges[e].to].layer < lowest) lowest = g->boxes[g->edges[e].to].layer;
        }
        if (is_read && !reads) g->boxes[box].layer = lowest - 1;
    }
}

static size_t passages_of(const graph_layout *g, const layout_edge *e) {
    return g->boxes[e->to].layer - g->boxes[e->from].layer - 1;
}

static bool reserve(drawing *d, arena *a) {
    const graph_layout *g = d->g;
    d->n = g->n_boxes;
    for (size_t i = 0; i < g->n_boxes; i++)
        if (g->boxes[i].layer >= d->n_layers) d->n_layers = g->boxes[i].layer + 1;
    for (size_t e = 0; e < g->n_edges; e++) d->n += passages_of(g, &g->edges[e]);
    d->vertices = ARENA_ARRAY(a, vertex, d->n + 1);
    d->first = ARENA_ARRAY(a, size_t, g->n_edges + 1);
    d->layers = ARENA_ARRAY(a, size_t *, d->n_layers + 1);
    d->n_in = ARENA_ARRAY(a, size_t, d->n_layers + 1);
    return d->vertices && d->first && d->layers && d->n_in;
}

static void join(drawing *d, size_t above, size_t below) {
    vertex *u = &d->vertices[above], *l = &d->vertices[below];
    if (u->down) u->down[u->n_down] = below;
    if (l->up) l->up[l->n_up] = above;
    u->n_down++;
    l->n_up++;
}

/* Walks over all edges, piece by piece. */
static void join_all(drawing *d) {
    size_t passage = d->g->n_boxes;
    for (size_t i = 0; i < d->n; i++) d->vertices[i].n_up = d->vertices[i].n_down = 0;
    for (size_t e = 0; e < d->g->n_edges; e++) {
        const layout_edge *edge = &d->g->edges[e];
        size_t at = edge->from;
        d->first[e] = passage;
        for (size_t k = passages_of(d->g, edge); k > 0; k--) {
            join(d, at, passage);
            at = passage++;
        }
        join(d, at, edge->to);
    }
}

static bool make_vertices(drawing *d, arena *a) {
    const graph_layout *g = d->g;
    size_t at = g->n_boxes;
    for (size_t i = 0; i < g->n_boxes; i++) d->vertices[i] = (vertex){.layer = g->boxes[i].layer, .width = g->boxes[i].width};
    for (size_t e = 0; e < g->n_edges; e++)
        for (size_t k = 0; k < passages_of(g, &g->edges[e]); k++)
            d->vertices[at++] = (vertex){.layer = g->boxes[g->edges[e].from].layer + 1 + k, .width = PASSAGE_WIDTH};
    join_all(d); /* counts */
    for (size_t i = 0; i < d->n; i++) {
        d->vertices[i].up = ARENA_ARRAY(a, size_t, d->vertices[i].n_up + 1);
        d->vertices[i].down = ARENA_ARRAY(a, size_t, d->vertices[i].n_down + 1);
        if (!d->vertices[i].up || !d->vertices[i].down) return false;
        d->n_in[d->vertices[i].layer]++;
    }
    join_all(d);
    for (size_t l = 0; l < d->n_layers; l++) {
        d->layers[l] = ARENA_ARRAY(a, size_t, d->n_in[l] + 1);
        if (!d->layers[l]) return false;
        d->n_in[l] = 0;
    }
    for (size_t i = 0; i < d->n; i++) {
        const size_t l = d->vertices[i].layer;
        d->vertices[i].place = d->n_in[l];
        d->layers[l][d->n_in[l]++] = i;
    }
    return true;
}

/* ---- order ---- */

static void sort_layer(drawing *d, size_t layer) {
    size_t *order = d->layers[layer];
    for (size_t i = 1; i < d->n_in[layer]; i++) /* few; and equal wishes keep their order */
        for (size_t k = i; k > 0 && d->vertices[order[k]].wish < d->vertices[order[k - 1]].wish; k--) {
            const size_t other = order[k];
            order[k] = order[k - 1];
            order[k - 1] = other;
        }
    for (size_t i = 0; i < d->n_in[layer]; i++) d->vertices[order[i]].place = i;
}

/* The mean place of the neighbours above or below; one without any stays. */
static double mean_place(const drawing *d, const vertex *v, bool of_above) {
    const size_t n = of_above ? v->n_up : v->n_down, *others = of_above ? v->up : v->down;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const vertex *o = &d->vertices[others[i]];
        sum += ((double)o->place + 0.5) / (double)d->n_in[o->layer];
    }
    return n ? sum / (double)n : ((double)v->place + 0.5) / (double)d->n_in[v->layer];
}

static void order_layers(drawing *d) {
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < d->n_layers; i++) {
            const bool down = round % 2 == 0;
            const size_t layer = down ? i : d->n_layers - 1 - i;
            for (size_t k = 0; k < d->n_in[layer]; k++) {
                vertex *v = &d->vertices[d->layers[layer][k]];
                v->wish = mean_place(d, v, down);
            }
            sort_layer(d, layer);
        }
}

/* ---- places ---- */

static double distance(const drawing *d, const vertex *left, const vertex *right) {
    return (left->width + right->width) / 2 + d->g->gap_x;
}

/* Moves the vertices of a layer to their wishes as far as their order and distances allow: pushed apart from the left and from the right, in the middle of both. */
static void place_layer(drawing *d, size_t layer, double *from_left) {
    const size_t n = d->n_in[layer], *order = d->layers[layer];
    for (size_t i = 0; i < n; i++) {
        const vertex *v = &d->vertices[order[i]];
        from_left[i] = v->wish;
        if (i) from_left[i] = fmax(v->wish, from_left[i - 1] + distance(d, &d->vertices[order[i - 1]], v));
    }
    double next = INFINITY;
    for (size_t i = n; i-- > 0;) {
        vertex *v = &d->vertices[order[i]];
        const double from_right = i + 1 < n ? fmin(v->wish, next - distance(d, v, &d->vertices[order[i + 1]])) : v->wish;
        next = from_right;
        v->x = (from_left[i] + from_right) / 2;
    }
}

/* How much a neighbour pulls: boxes stand below boxes, and edges that pass layers go straight. */
static double pull(const drawing *d, const vertex *v, const vertex *other) {
    const bool is_box = (size_t)(v - d->vertices) < d->g->n_boxes, other_is_box = (size_t)(other - d->vertices) < d->g->n_boxes;
    return is_box == other_is_box ? 1.0 : 0.1;
}

static double mean_x(const drawing *d, const vertex *v, bool above, bool below) {
    double sum = 0, weights = 0;
    for (size_t i = 0; i < (above ? v->n_up : 0) + (below ? v->n_down : 0); i++) {
        const vertex *other = &d->vertices[above && i < v->n_up ? v->up[i] : v->down[i - (above ? v->n_up : 0)]];
        sum += pull(d, v, other) * other->x;
        weights += pull(d, v, other);
    }
    return weights > 0 ? sum / weights : v->x;
}

static void place_all(drawing *d, double *scratch) {
    for (size_t l = 0; l < d->n_layers; l++) {
        double at = 0;
        for (size_t i = 0; i < d->n_in[l]; i++) {
            vertex *v = &d->vertices[d->layers[l][i]];
            v->x = at + v->width / 2;
            at += v->width + d->g->gap_x;
        }
    }
    for (int round = 0; round < PLACING_ROUNDS; round++)
        for (size_t i = 0; i < d->n_layers; i++) {
            const bool down = round % 2 == 0, both = round >= PLACING_ROUNDS / 2;
            const size_t layer = down ? i : d->n_layers - 1 - i;
            for (size_t k = 0; k < d->n_in[layer]; k++) {
                vertex *v = &d->vertices[d->layers[layer][k]];
                v->wish = mean_x(d, v, both || down, both || !down);
            }
            place_layer(d, layer, scratch);
        }
}

/* ---- out ---- */

/* Upper and lower side of a layer's boxes, into tops [2 * n_layers]. */
static void find_heights(const drawing *d, double *sides) {
    double y = 0;
    for (size_t l = 0; l < d->n_layers; l++) {
        double height = 0;
        for (size_t i = 0; i < d->g->n_boxes; i++)
            if (d->g->boxes[i].layer == l) height = fmax(height, d->g->boxes[i].height);
        sides[2 * l] = y;
        sides[2 * l + 1] = y + height;
        y += height + d->g->gap_y;
    }
}

static void write_boxes(const drawing *d, const double *sides) {
    graph_layout *g = d->g;
    double left = INFINITY, right = 0;
    for (size_t i = 0; i < d->n; i++) left = fmin(left, d->vertices[i].x - d->vertices[i].width / 2);
    for (size_t i = 0; i < d->n; i++) {
        d->vertices[i].x -= left;
        right = fmax(right, d->vertices[i].x + d->vertices[i].width / 2);
    }
    for (size_t i = 0; i < g->n_boxes; i++) {
        layout_box *b = &g->boxes[i];
        b->x = d->vertices[i].x - b->width / 2;
        b->y = sides[2 * b->layer] + (sides[2 * b->layer + 1] - sides[2 * b->layer] - b->height) / 2;
    }
    g->width = right;
    g->height = d->n_layers ? sides[2 * d->n_layers - 1] : 0;
}

/* Two points for each layer that it passes: straight down beside its boxes. */
static bool write_edge(const drawing *d, size_t index, const double *sides, arena *a) {
    layout_edge *e = &d->g->edges[index];
    const size_t n = passages_of(d->g, e);
    const layout_box *from = &d->g->boxes[e->from], *to = &d->g->boxes[e->to];
    e->n_points = 2 * n + 2;
    e->points = ARENA_ARRAY(a, layout_point, e->n_points);
    if (!e->points) return false;
    e->points[0] = (layout_point){d->vertices[e->from].x, from->y + from->height};
    for (size_t k = 0; k < n; k++) {
        const vertex *v = &d->vertices[d->first[index] + k];
        e->points[1 + 2 * k] = (layout_point){v->x, sides[2 * v->layer]};
        e->points[2 + 2 * k] = (layout_point){v->x, sides[2 * v->layer + 1]};
    }
    e->points[e->n_points - 1] = (layout_point){d->vertices[e->to].x, to->y};
    return true;
}

static bool draw(drawing *d, arena *a) {
    double *sides, *scratch;
    if (!reserve(d, a) || !make_vertices(d, a)) return false;
    sides = ARENA_ARRAY(a, double, 2 * d->n_layers + 2);
    scratch = ARENA_ARRAY(a, double, d->n + 1);
    if (!sides || !scratch) return false;
    order_layers(d);
    place_all(d, scratch);
    find_heights(d, sides);
    write_boxes(d, sides);
    for (size_t e = 0; e < d->g->n_edges; e++)
        if (!write_edge(d, e, sides, a)) return false;
    return true;
}

pofac_status graph_layout_make(graph_layout *g, arena *a, const diag_sink *sink) {
    drawing d = {.g = g};
    g->width = g->height = 0;
    TRY(check_edges(g, sink));
    if (g->n_boxes == 0) return POFAC_OK;
    find_layers(g);
    return draw(&d, a) ? POFAC_OK : diag_out_of_memory(sink);
}
