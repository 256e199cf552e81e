/* Layouts of generated graphs: no boxes overlap, edges go downward from side to side and through no box, sizes hold all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "frontend/report/graph_layout.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"

enum { MOST_BOXES = 40, MOST_EDGES = 120 };

typedef struct made_graph {
    layout_box boxes[MOST_BOXES];
    layout_edge edges[MOST_EDGES];
    graph_layout g;
} made_graph;

static void make_graph(uint64_t seed, made_graph *m) {
    const rng_key key = rng_key_make(seed, "graph");
    uint64_t at = 0;
    memset(m, 0, sizeof *m);
    m->g = (graph_layout){.boxes = m->boxes, .edges = m->edges, .gap_x = 10, .gap_y = 20};
    m->g.n_boxes = 1 + rng_below(key, at++, MOST_BOXES);
    for (size_t i = 0; i < m->g.n_boxes; i++) {
        m->boxes[i].width = 20 + (double)rng_below(key, at++, 150);
        m->boxes[i].height = 10 + (double)rng_below(key, at++, 60);
    }
    for (size_t to = 1; to < m->g.n_boxes; to++)
        for (uint64_t k = rng_below(key, at++, 4); k > 0 && m->g.n_edges < MOST_EDGES; k--)
            m->edges[m->g.n_edges++] = (layout_edge){.from = rng_below(key, at++, to), .to = to};
}

static void check_boxes(const graph_layout *g, uint64_t seed) {
    for (size_t i = 0; i < g->n_boxes; i++) {
        const layout_box *a = &g->boxes[i];
        if (a->x < -1e-6 || a->y < -1e-6 || a->x + a->width > g->width + 1e-6 || a->y + a->height > g->height + 1e-6)
            fail_msg("graph %d: box %zu is outside", (int)seed, i);
        for (size_t k = 0; k < i; k++) {
            const layout_box *b = &g->boxes[k];
            const bool apart = a->x + a->width <= b->x + 1e-6 || b->x + b->width <= a->x + 1e-6 ||
                               a->y + a->height <= b->y + 1e-6 || b->y + b->height <= a->y + 1e-6;
            if (!apart) fail_msg("graph %d: boxes %zu and %zu overlap", (int)seed, k, i);
        }
    }
}

/* Where an edge passes a layer it goes straight down; there it must be beside all boxes. */
static void check_passage(const graph_layout *g, const layout_edge *e, size_t i, uint64_t seed) {
    const layout_point *p = e->points;
    if (p[i].x != p[i - 1].x) return;
    for (size_t k = 0; k < g->n_boxes; k++) {
        const layout_box *b = &g->boxes[k];
        if (k == e->from || k == e->to || p[i].y <= b->y + 1e-6 || p[i - 1].y >= b->y + b->height - 1e-6) continue;
        if (p[i].x > b->x && p[i].x < b->x + b->width)
            fail_msg("graph %d: an edge from %zu to %zu goes through box %zu", (int)seed, e->from, e->to, k);
    }
}

static size_t check_edges(const graph_layout *g, uint64_t seed) {
    size_t passages = 0;
    for (size_t e = 0; e < g->n_edges; e++) {
        const layout_edge *edge = &g->edges[e];
        const layout_box *from = &g->boxes[edge->from], *to = &g->boxes[edge->to];
        const layout_point *p = edge->points, *last = &p[edge->n_points - 1];
        assert_true(edge->n_points >= 2);
        assert_true(p->y == from->y + from->height && p->x >= from->x && p->x <= from->x + from->width);
        assert_true(last->y == to->y && last->x >= to->x && last->x <= to->x + to->width);
        for (size_t i = 1; i < edge->n_points; i++) {
            if (p[i].y < p[i - 1].y) fail_msg("graph %d: edge %zu goes up at point %zu", (int)seed, e, i);
            if (i % 2 == 0) check_passage(g, edge, i, seed);
        }
        if (last->y < p->y + g->gap_y - 1e-6) fail_msg("graph %d: edge %zu goes down by %g only", (int)seed, e, last->y - p->y);
        passages += edge->n_points / 2 - 1;
    }
    return passages;
}

static void generated_graphs(void **state) {
    (void)state;
    size_t edges = 0, passages = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        arena a = ARENA_INIT;
        made_graph m;
        make_graph(seed, &m);
        assert_int_equal(graph_layout_make(&m.g, &a, NULL), POFAC_OK);
        check_boxes(&m.g, seed);
        passages += check_edges(&m.g, seed);
        edges += m.g.n_edges;
        arena_free(&a);
    }
    assert_true(edges > 10000);
    assert_true(passages > 4000);
}

static void a_chain_is_straight(void **state) {
    (void)state;
    layout_box boxes[3] = {{.width = 50, .height = 10}, {.width = 90, .height = 10}, {.width = 20, .height = 10}};
    layout_edge edges[2] = {{.from = 0, .to = 1}, {.from = 1, .to = 2}};
    graph_layout g = {.boxes = boxes, .n_boxes = 3, .edges = edges, .n_edges = 2, .gap_x = 10, .gap_y = 20};
    arena a = ARENA_INIT;
    assert_int_equal(graph_layout_make(&g, &a, NULL), POFAC_OK);
    for (int i = 0; i < 3; i++) assert_true(boxes[i].y == 30.0 * i && boxes[i].x + boxes[i].width / 2 == 45);
    assert_true(g.width == 90 && g.height == 70);
    arena_free(&a);
}

static void odd_graphs(void **state) {
    (void)state;
    layout_box box = {.width = 50, .height = 10};
    layout_edge edge = {.from = 0, .to = 0};
    strbuf message = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&message);
    arena a = ARENA_INIT;
    graph_layout g = {.boxes = &box};
    assert_int_equal(graph_layout_make(&g, &a, &sink), POFAC_OK);
    assert_true(g.width == 0 && g.height == 0);
    g = (graph_layout){.boxes = &box, .n_boxes = 1, .edges = &edge, .n_edges = 1};
    assert_int_equal(graph_layout_make(&g, &a, &sink), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&message), "error: layout: found an edge from box 0 to 0 of 1, wanted one to a later box\n");
    strbuf_free(&message);
    arena_free(&a);
}

static void short_memory_is_told(void **state) {
    (void)state;
    size_t failed = 0;
    for (size_t n = 1;; n++) {
        arena a = ARENA_INIT;
        made_graph m;
        make_graph(3, &m);
        fail_alloc_after(n);
        const pofac_status status = graph_layout_make(&m.g, &a, NULL);
        const bool has_failed = fail_alloc_stop();
        arena_free(&a);
        assert_int_equal(status, has_failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        if (!has_failed) break;
        failed++;
    }
    assert_true(failed >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(generated_graphs), cmocka_unit_test(a_chain_is_straight),
                                       cmocka_unit_test(odd_graphs), cmocka_unit_test(short_memory_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
