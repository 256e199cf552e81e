/* One tile of a layer norm; see norm_tile.h. */
#include "codegen/norm_tile.h"

#include "codegen/vector_math.h"

#define MAX_SUMS 8

static const char *const stores[] = {"y", "mean", "deviation"};

bool norm_tile_describe(const cg_group *g, const ir_node *n, cg_kernel *k) {
    const ir_type *x = graph_type(g->graph, n->inputs[0]);
    if (!is_f32_tiles(x)) return false;
    for (unsigned i = 1; i < 3; i++)
        if (!is_f32_rows(graph_type(g->graph, n->inputs[i]))) return false;
    kernel_set(k, "gamma", (int64_t)kernel_operand(k, n->inputs[1]));
    kernel_set(k, "beta", (int64_t)kernel_operand(k, n->inputs[2]));
    kernel_set_real(k, "eps", node_float(n, "eps"));
    for (unsigned r = 0; r < 3; r++)
        kernel_set(k, stores[r], g->stored[node_result(n, r)] ? (int64_t)kernel_operand(k, node_result(n, r)) : 0);
    return true;
}

typedef struct norm_code {
    int64_t E, W;
    unsigned lanes, vectors, unroll;
    cg_val x, gamma, beta, y; /* x and y: of the tile, at the lanes at hand */
    cg_val n_rows;
} norm_code;

static cg_val load_x(emitter *e, const norm_code *c, cg_val feature, unsigned u, unsigned v) {
    cg_val at = em_at_int(e, em_index(e, c->x, feature, 4 * c->W), 4 * ((int64_t)u * c->W + (int64_t)(v * c->lanes)));
    return em_load(e, c->lanes, at, 4 * c->lanes);
}

/* Adds x - mean, squared, or x itself where mean is NULL, to the sums of features [begin, end). */
static void add_up(emitter *e, const norm_code *c, const cg_val *mean, cg_val begin, cg_val end, unsigned unroll,
                   cg_val sum[MAX_SUMS]) {
    em_loop loop;
    unsigned n = c->vectors * c->unroll;
    em_loop_begin(e, &loop, begin, end, unroll, sum, n);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
    for (unsigned u = 0; u < unroll; u++) {
        for (unsigned v = 0; v < c->vectors; v++) {
            cg_val *s = &sum[u * c->vectors + v], x = load_x(e, c, loop.index, u, v);
            cg_val d = mean ? em_fsub(e, x, mean[v]) : x;
            *s = mean ? em_fma(e, d, d, *s) : em_fadd(e, *s, d);
        }
    }
    em_loop_end(e, &loop, sum);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
}

/* total[v]: over all features, divided by E. */
static void emit_average(emitter *e, const norm_code *c, const cg_val *mean, cg_val total[MAX_SUMS]) {
    cg_val sum[MAX_SUMS];
    int64_t whole = c->E - c->E % c->unroll;
    for (unsigned i = 0; i < c->vectors * c->unroll; i++) sum[i] = em_const(e, c->lanes, 0);
    add_up(e, c, mean, em_int(e, 0), em_int(e, whole), c->unroll, sum);
    if (whole < c->E) add_up(e, c, mean, em_int(e, whole), em_int(e, c->E), 1, sum);
    for (unsigned v = 0; v < c->vectors; v++) {
        for (unsigned half = c->unroll / 2; half > 0; half /= 2)
            for (unsigned u = 0; u < half; u++)
                sum[u * c->vectors + v] = em_fadd(e, sum[u * c->vectors + v], sum[(u + half) * c->vectors + v]);
        total[v] = em_fdiv(e, sum[v], em_const(e, c->lanes, (double)c->E));
    }
}

static void emit_result(emitter *e, const norm_code *c, const cg_val *mean, const cg_val *factor) {
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, c->E), 1, NULL, 0);
    cg_val gamma = em_load_splat(e, c->lanes, em_index(e, c->gamma, loop.index, 4));
    cg_val beta = em_load_splat(e, c->lanes, em_index(e, c->beta, loop.index, 4));
    for (unsigned v = 0; v < c->vectors; v++) {
        cg_val x = em_fmul(e, em_fsub(e, load_x(e, c, loop.index, 0, v), mean[v]), factor[v]);
        cg_val to = em_at_int(e, em_index(e, c->y, loop.index, 4 * c->W), 4 * (int64_t)(v * c->lanes));
        em_store(e, em_fma(e, x, gamma, beta), to, 4 * c->lanes);
    }
    em_loop_end(e, &loop, NULL);
}

/* Per-token numbers, only of tokens that are there. */
static void store_rows(emitter *e, const norm_code *c, const cg_kernel *k, const char *name, const cg_val *number, cg_val row) {
    if (!kernel_get(k, name)) return;
    cg_val to = em_buffer(e, (unsigned)kernel_get(k, name)); /* [R] */
    for (unsigned v = 0; v < c->vectors; v++) {
        cg_val first = em_add_int(e, row, (int64_t)(v * c->lanes));
        em_store_masked(e, number[v], em_index(e, to, first, 4), em_lanes_in_range(e, c->lanes, first, em_int(e, 0), c->n_rows), 4);
    }
}

void norm_tile_emit(emitter *e, const cg_kernel *k, const cg_val *operand, cg_val x, cg_val n_rows, int64_t E, int64_t W,
                    cg_val t) {
    norm_code c = {
        .E = E, .W = W, .gamma = operand[kernel_get(k, "gamma")], .beta = operand[kernel_get(k, "beta")], .n_rows = n_rows};
    cg_val y = kernel_get(k, "y") ? operand[kernel_get(k, "y")] : NULL;
    c.lanes = tile_lanes(e->lanes, W);
    c.vectors = tile_vectors(c.lanes, W, 4);
    c.unroll = MAX_SUMS / c.vectors;
    em_loop parts;
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, W), (int64_t)(c.lanes * c.vectors), NULL, 0);
    cg_val at = em_add(e, em_mul_int(e, t, 4 * E * W), em_mul_int(e, parts.index, 4));
    c.x = em_at(e, x, at);
    cg_val mean[MAX_SUMS], factor[MAX_SUMS], row = em_add(e, em_mul_int(e, t, W), parts.index);
    emit_average(e, &c, NULL, mean);
    emit_average(e, &c, mean, factor);
    for (unsigned v = 0; v < c.vectors; v++)
        factor[v] = math_reciprocal_sqrt(e, em_fadd(e, factor[v], em_const(e, c.lanes, kernel_get_real(k, "eps"))));
    if (y) {
        c.y = em_at(e, y, at);
        emit_result(e, &c, mean, factor);
    }
    store_rows(e, &c, k, "mean", mean, row);
    store_rows(e, &c, k, "deviation", factor, row);
    em_loop_end(e, &parts, NULL);
}
