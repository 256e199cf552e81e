/* One tile of a layer norm; see norm_tile.h. */
#include "codegen/norm_tile.h"

#include "codegen/vector_math.h"

#define MAX_SUMS 8 /* partial sums: vectors side by side times features */
#define MAX_VECTORS 4
#define BYTES_AHEAD 4096 /* of x, that are fetched into L2: a page, past whose end processors do not look themselves */
#define MAX_BLOCKS 32    /* of features: 24 of 768, 3 KB at 32 lanes, which stay in L1 */

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
    const expression_tile *sum; /* makes x, or NULL */
    cg_val gamma, beta, n_rows;
    cg_val x, y;    /* of the tile, at the lanes at hand; y: NULL: nobody wants it */
    cg_val at;      /* bytes of the tile in full operands */
    cg_val part;    /* bytes of the lanes at hand in a row of the tile */
    cg_val offsets; /* [MAX_BLOCKS][vectors][lanes]: the blocks' means */
} norm_code;

/* Sums of the part at hand, one for each vector. */
typedef struct norm_sums {
    cg_val x[MAX_SUMS], squares[MAX_SUMS];
} norm_sums;

static cg_val at_vector(emitter *e, const norm_code *c, cg_val base, cg_val feature, unsigned v) {
    return em_at_int(e, em_index(e, base, feature, 4 * c->W), 4 * (int64_t)(v * c->lanes));
}

/* The vectors of one feature: read, or made and stored. */
static void emit_feature(emitter *e, const norm_code *c, cg_val feature, bool made, cg_val x[MAX_SUMS]) {
    expression_row row;
    if (!made && c->sum) expression_begin_row(e, c->sum, feature, &row);
    for (unsigned v = 0; v < c->vectors; v++) {
        if (made || !c->sum) {
            x[v] = em_load(e, c->lanes, at_vector(e, c, c->x, feature, v), 4 * c->lanes);
            continue;
        }
        const cg_expression *sum = c->sum->expression;
        cg_val value[EXPRESSION_MAX_VALUES], part = em_add_int(e, c->part, 4 * (int64_t)(v * c->lanes));
        cg_val at = em_add(e, c->at, em_add(e, em_mul_int(e, feature, 4 * c->W), part));
        expression_emit_vector(e, c->sum, &row, feature, part, at, value);
        x[v] = value[sum->stores[sum->n_stores - 1].value];
    }
}

/* While x is read for the first time: what comes behind, and the rows of y, which are written when all of x has been read. */
static void fetch_feature(emitter *e, const norm_code *c, cg_val feature) {
    for (unsigned v = 0; v < c->vectors; v++) {
        em_prefetch(e, em_at_int(e, at_vector(e, c, c->x, feature, v), BYTES_AHEAD));
        if (c->y) em_prefetch(e, at_vector(e, c, c->y, feature, v));
    }
}

/* Adds x, or the square of x - mean where mean is not NULL, to the sums of features [begin, end). */
static void add_up(emitter *e, const norm_code *c, const cg_val *mean, cg_val begin, cg_val end, unsigned unroll,
                   cg_val sum[MAX_SUMS]) {
    em_loop loop;
    unsigned n = c->vectors * c->unroll;
    em_loop_begin(e, &loop, begin, end, unroll, sum, n);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
    for (unsigned u = 0; u < unroll; u++) {
        cg_val x[MAX_SUMS];
        emit_feature(e, c, em_add_int(e, loop.index, u), mean != NULL, x);
        if (!mean && !c->sum) fetch_feature(e, c, em_add_int(e, loop.index, u));
        for (unsigned v = 0; v < c->vectors; v++) {
            cg_val *s = &sum[u * c->vectors + v], d = mean ? em_fsub(e, x[v], mean[v]) : x[v];
            *s = mean ? em_fma(e, d, d, *s) : em_fadd(e, *s, d);
        }
    }
    em_loop_end(e, &loop, sum);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
}

/* total[v]: the sum over `count` features from `begin`. */
static void emit_total(emitter *e, const norm_code *c, const cg_val *mean, cg_val begin, int64_t count, cg_val total[MAX_SUMS]) {
    int64_t whole = count - count % c->unroll;
    cg_val sum[MAX_SUMS] = {NULL}, middle = em_add_int(e, begin, whole);
    for (unsigned i = 0; i < c->vectors * c->unroll; i++) sum[i] = em_const(e, c->lanes, 0);
    if (whole > 0) add_up(e, c, mean, begin, middle, c->unroll, sum);
    if (whole < count) add_up(e, c, mean, middle, em_add_int(e, begin, count), 1, sum);
    for (unsigned half = c->unroll / 2; half > 0; half /= 2)
        for (unsigned i = 0; i < half * c->vectors; i++) sum[i] = em_fadd(e, sum[i], sum[i + half * c->vectors]);
    for (unsigned v = 0; v < c->vectors; v++) total[v] = sum[v];
}

/* One block: adds its sums, keeps its mean. */
static void emit_sums_of_block(emitter *e, const norm_code *c, cg_val block, cg_val begin, int64_t count, norm_sums *sums) {
    cg_val total[MAX_SUMS], squares[MAX_SUMS], mean[MAX_SUMS];
    emit_total(e, c, NULL, begin, count, total);
    for (unsigned v = 0; v < c->vectors; v++) {
        mean[v] = em_fmul(e, total[v], em_const(e, c->lanes, 1 / (double)count));
        em_store(e, mean[v], em_index(e, c->offsets, em_add_int(e, em_mul_int(e, block, c->vectors), v), 4 * c->lanes),
                 4 * c->lanes);
    }
    emit_total(e, c, mean, begin, count, squares);
    for (unsigned v = 0; v < c->vectors; v++) {
        sums->x[v] = em_fadd(e, sums->x[v], total[v]);
        sums->squares[v] = em_fadd(e, sums->squares[v], squares[v]);
    }
}

/* Adds count * (block's mean - mean)^2 for blocks [begin, end). */
static void add_offsets(emitter *e, const norm_code *c, const cg_val *mean, int64_t begin, int64_t end, int64_t count,
                        norm_sums *sums) {
    em_loop loop;
    cg_val sum[MAX_SUMS];
    for (unsigned v = 0; v < c->vectors; v++) sum[v] = em_const(e, c->lanes, 0);
    em_loop_begin(e, &loop, em_int(e, begin), em_int(e, end), 1, sum, c->vectors);
    for (unsigned v = 0; v < c->vectors; v++) {
        cg_val at = em_index(e, c->offsets, em_add_int(e, em_mul_int(e, loop.index, c->vectors), v), 4 * c->lanes);
        cg_val d = em_fsub(e, em_load(e, c->lanes, at, 4 * c->lanes), mean[v]);
        sum[v] = em_fma(e, d, d, loop.carried[v]);
    }
    em_loop_end(e, &loop, sum);
    for (unsigned v = 0; v < c->vectors; v++)
        sums->squares[v] = em_fma(e, loop.carried[v], em_const(e, c->lanes, (double)count), sums->squares[v]);
}

/* Mean and variance of each vector of the part; x is made on the way. */
static void emit_moments(emitter *e, const norm_code *c, cg_val mean[MAX_SUMS], cg_val variance[MAX_SUMS]) {
    const int64_t count = ((c->E + MAX_BLOCKS - 1) / MAX_BLOCKS + MAX_SUMS - 1) / MAX_SUMS * MAX_SUMS, n = c->E / count,
                  rest = c->E % count;
    norm_sums sums;
    cg_val state[2 * MAX_SUMS];
    unsigned V = c->vectors;
    em_loop blocks;
    for (unsigned i = 0; i < 2 * V; i++) state[i] = em_const(e, c->lanes, 0);
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, n), 1, state, 2 * V);
    for (unsigned v = 0; v < V; v++) sums.x[v] = blocks.carried[v], sums.squares[v] = blocks.carried[V + v];
    emit_sums_of_block(e, c, blocks.index, em_mul_int(e, blocks.index, count), count, &sums);
    for (unsigned v = 0; v < V; v++) state[v] = sums.x[v], state[V + v] = sums.squares[v];
    em_loop_end(e, &blocks, state);
    for (unsigned v = 0; v < V; v++) sums.x[v] = blocks.carried[v], sums.squares[v] = blocks.carried[V + v];
    if (rest > 0) emit_sums_of_block(e, c, em_int(e, n), em_int(e, n * count), rest, &sums);
    for (unsigned v = 0; v < V; v++) mean[v] = em_fdiv(e, sums.x[v], em_const(e, c->lanes, (double)c->E));
    add_offsets(e, c, mean, 0, n, count, &sums);
    if (rest > 0) add_offsets(e, c, mean, n, n + 1, rest, &sums);
    for (unsigned v = 0; v < V; v++) variance[v] = em_fdiv(e, sums.squares[v], em_const(e, c->lanes, (double)c->E));
}

static void emit_result(emitter *e, const norm_code *c, const cg_val *mean, const cg_val *factor) {
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, c->E), 1, NULL, 0);
    cg_val feature = em_sub(e, em_int(e, c->E - 1), loop.index), x[MAX_SUMS];
    cg_val gamma = em_load_splat(e, c->lanes, em_index(e, c->gamma, feature, 4));
    cg_val beta = em_load_splat(e, c->lanes, em_index(e, c->beta, feature, 4));
    emit_feature(e, c, feature, true, x);
    for (unsigned v = 0; v < c->vectors; v++) {
        cg_val normal = em_fmul(e, em_fsub(e, x[v], mean[v]), factor[v]);
        em_store(e, em_fma(e, normal, gamma, beta), at_vector(e, c, c->y, feature, v), 4 * c->lanes);
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

/* Lanes [0, end) of the tile, `vectors` vectors at a time. Sums are cut alike for any number of vectors, so that a token's bits do not
 * depend on what stands beside it. */
static void emit_parts(emitter *e, const cg_kernel *k, const norm_code *tile, cg_val x, cg_val y, cg_val t, unsigned vectors,
                       cg_val end) {
    norm_code c = *tile;
    c.vectors = vectors;
    em_loop parts;
    em_loop_begin(e, &parts, em_int(e, 0), end, (int64_t)(c.lanes * vectors), NULL, 0);
    c.part = em_mul_int(e, parts.index, 4);
    c.x = em_at(e, em_at(e, x, c.at), c.part);
    c.y = y ? em_at(e, em_at(e, y, c.at), c.part) : NULL;
    cg_val mean[MAX_SUMS], factor[MAX_SUMS], row = em_add(e, em_mul_int(e, t, c.W), parts.index);
    emit_moments(e, &c, mean, factor);
    for (unsigned v = 0; v < vectors; v++)
        factor[v] = math_reciprocal_sqrt(e, em_fadd(e, factor[v], em_const(e, c.lanes, kernel_get_real(k, "eps"))));
    if (y) emit_result(e, &c, mean, factor);
    store_rows(e, &c, k, "mean", mean, row);
    store_rows(e, &c, k, "deviation", factor, row);
    em_loop_end(e, &parts, NULL);
}

void norm_tile_emit(emitter *e, const cg_kernel *k, const cg_val *operand, cg_val x, const expression_tile *sum, cg_val n_rows,
                    cg_val t) {
    norm_code c = {.E = kernel_get(k, "E"),
                   .W = kernel_get(k, "W"),
                   .sum = sum,
                   .gamma = operand[kernel_get(k, "gamma")],
                   .beta = operand[kernel_get(k, "beta")],
                   .n_rows = n_rows};
    cg_val y = kernel_get(k, "y") ? operand[kernel_get(k, "y")] : NULL;
    c.lanes = tile_lanes(e->lanes, c.W);
    c.at = em_mul_int(e, t, 4 * c.E * c.W);
    unsigned vectors = tile_vectors(c.lanes, c.W, MAX_VECTORS);
    c.unroll = MAX_SUMS / vectors;
    c.offsets = em_stack(e, 4 * (int64_t)(c.lanes * vectors) * MAX_BLOCKS, 4 * c.lanes);
    if (c.W == c.lanes) {
        emit_parts(e, k, &c, x, y, t, 1, em_int(e, c.W));
        return;
    }
    cg_val live = tile_live_lanes(e, n_rows, t, c.W, c.lanes);
    em_if full;
    em_if_begin(e, &full, em_equal(e, live, em_int(e, c.W)));
    emit_parts(e, k, &c, x, y, t, vectors, live);
    em_else(e, &full);
    emit_parts(e, k, &c, x, y, t, 1, live);
    em_if_end(e, &full);
}
