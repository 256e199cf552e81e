/*
 * squared_distance and cosine_distance of rows in tiles<W> (ir/ops/op_distance.c has the formulas): rows are lanes, so that sums over
 * features need no horizontal work. Two passes over a tile of x and y, which stays in L2: the sums, then dx. Rows that are not kept add
 * nothing and get zeros. The loss is summed in f64, in parts of the rows (part_sums.h).
 *
 * operands: x, y, [keep], [scale], [parts of the loss], [dx]. dims: R. Units are parts.
 */
#include "codegen/part_sums.h"

#define MAX_VECTORS 4        /* side by side */
#define MAX_SUMS 3           /* of a vector */
#define COSINE_EPSILON 1e-12 /* as in ir/ops/op_distance.c */

static bool describe(const cg_group *g, ir_op op, cg_kernel *k) {
    const ir_node *n = group_single(g, op);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]);
    const ir_value keep = node_input(n, 2), scale = node_input(n, 3);
    if (!is_f32_tiles(x) || (keep && em_dtype_bytes(graph_type(g->graph, keep)->dtype) == 0)) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    kernel_set(k, "E", type_features(x));
    kernel_set(k, "W", x->tile);
    kernel_set(k, "keep", keep ? (int64_t)kernel_operand(k, keep) : 0);
    if (keep) kernel_set_dtype(k, "keep_dtype", graph_type(g->graph, keep)->dtype);
    kernel_set(k, "scale", scale ? (int64_t)kernel_operand(k, scale) : 0);
    kernel_set(k, "loss", g->stored[n->first_result] ? (int64_t)part_sums_operand(k, n->first_result) : 0);
    kernel_set(k, "dx", g->stored[node_result(n, 1)] ? (int64_t)kernel_operand(k, node_result(n, 1)) : 0);
    kernel_dim(k, x->dims[0]);
    part_sums_work(k, x->tile);
    k->flops = kernel_scaled(x->dims[0], 8 * type_features(x), 0, NULL);
    k->bytes = kernel_scaled(x->dims[0], 12 * type_features(x), 0, NULL);
    return true;
}

bool describe_squared_distance(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    return describe(g, OP_squared_distance, k);
}

bool describe_cosine_distance(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    return describe(g, OP_cosine_distance, k);
}

typedef struct distance_code {
    const cg_kernel *kernel;
    bool is_cosine;
    int64_t E, W;
    unsigned lanes;
    cg_val x, y, keep, dx, n_rows; /* keep, dx: NULL: there is none */
    cg_val scale;                  /* one lane */
    cg_val kept, losses;           /* [W] f32 of the tile at hand: 1 or 0, and what rows add to the loss, without the scale */
    cg_val tile_x, tile_y, tile_dx;
} distance_code;

/* Some vectors of the tile at hand. */
typedef struct distance_part {
    unsigned vectors;
    cg_val lane;
} distance_part;

static cg_val load_vector(emitter *e, const distance_code *c, const distance_part *p, cg_val base, cg_val feature, unsigned v) {
    cg_val row = em_index(e, em_index(e, base, feature, 4 * c->W), p->lane, 4);
    return em_load(e, c->lanes, em_at_int(e, row, 4 * (int64_t)(v * c->lanes)), 4 * c->lanes);
}

/* sum[MAX_SUMS * v ..] of vector v: |x - y|^2, or |x|^2, |y|^2, x . y. */
static void emit_sums(emitter *e, const distance_code *c, const distance_part *p, cg_val sum[MAX_SUMS * MAX_VECTORS]) {
    const unsigned n = c->is_cosine ? 3 : 1;
    cg_val next[MAX_SUMS * MAX_VECTORS];
    em_loop features;
    for (unsigned i = 0; i < n * p->vectors; i++) next[i] = em_const(e, c->lanes, 0);
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, c->E), 1, next, n * p->vectors);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val x = load_vector(e, c, p, c->tile_x, features.index, v), y = load_vector(e, c, p, c->tile_y, features.index, v);
        const cg_val d = em_fsub(e, x, y), left[] = {c->is_cosine ? x : d, y, x}, right[] = {c->is_cosine ? x : d, y, y};
        for (unsigned i = 0; i < n; i++) next[n * v + i] = em_fma(e, left[i], right[i], features.carried[n * v + i]);
    }
    em_loop_end(e, &features, next);
    for (unsigned v = 0; v < p->vectors; v++)
        for (unsigned i = 0; i < n; i++) sum[MAX_SUMS * v + i] = features.carried[n * v + i];
}

/* dx = of_x x + of_y y, or of_x (x - y) without of_y. */
typedef struct slopes {
    cg_val of_x, of_y;
} slopes;

/* What one row adds to the loss, and the slopes. */
static cg_val squared_distance(emitter *e, const distance_code *c, const cg_val *sum, slopes *s) {
    cg_val scale = em_splat(e, c->lanes, em_lane(e, c->scale, 0));
    *s = (slopes){em_fmul(e, scale, em_const(e, c->lanes, 2 / (double)c->E)), NULL};
    return em_fmul(e, sum[0], em_const(e, c->lanes, 1 / (double)c->E));
}

static cg_val cosine_distance(emitter *e, const distance_code *c, const cg_val *sum, slopes *s) {
    cg_val scale = em_splat(e, c->lanes, em_lane(e, c->scale, 0)), epsilon = em_const(e, c->lanes, COSINE_EPSILON);
    cg_val xx = em_fadd(e, sum[0], epsilon), yy = em_fadd(e, sum[1], epsilon);
    cg_val length = em_fmul(e, em_fsqrt(e, xx), em_fsqrt(e, yy)), cosine = em_fdiv(e, sum[2], length);
    *s = (slopes){em_fdiv(e, em_fmul(e, scale, cosine), xx), em_fsub(e, em_const(e, c->lanes, 0), em_fdiv(e, scale, length))};
    return em_fsub(e, em_const(e, c->lanes, 1), cosine);
}

static cg_val is_kept(emitter *e, const distance_code *c, const distance_part *p, unsigned v) {
    cg_val at = em_at_int(e, em_index(e, c->kept, p->lane, 4), 4 * (int64_t)(v * c->lanes));
    return em_fless(e, em_const(e, c->lanes, 0), em_load(e, c->lanes, at, 4 * c->lanes));
}

static void emit_slopes(emitter *e, const distance_code *c, const distance_part *p, const slopes *s, const cg_val *kept) {
    em_loop features;
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, c->E), 1, NULL, 0);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val x = load_vector(e, c, p, c->tile_x, features.index, v), y = load_vector(e, c, p, c->tile_y, features.index, v);
        cg_val dx = s[v].of_y ? em_fma(e, s[v].of_x, x, em_fmul(e, s[v].of_y, y)) : em_fmul(e, em_fsub(e, x, y), s[v].of_x);
        cg_val to = em_index(e, em_index(e, c->tile_dx, features.index, 4 * c->W), p->lane, 4);
        em_store(e, em_select(e, kept[v], dx, em_const(e, c->lanes, 0)), em_at_int(e, to, 4 * (int64_t)(v * c->lanes)),
                 4 * c->lanes);
    }
    em_loop_end(e, &features, NULL);
}

static void emit_part(emitter *e, const distance_code *c, const distance_part *p) {
    cg_val sum[MAX_SUMS * MAX_VECTORS], kept[MAX_VECTORS];
    slopes s[MAX_VECTORS];
    emit_sums(e, c, p, sum);
    for (unsigned v = 0; v < p->vectors; v++) {
        const cg_val *own = &sum[MAX_SUMS * v];
        cg_val loss = c->is_cosine ? cosine_distance(e, c, own, &s[v]) : squared_distance(e, c, own, &s[v]);
        kept[v] = is_kept(e, c, p, v);
        em_store(e, em_select(e, kept[v], loss, em_const(e, c->lanes, 0)),
                 em_at_int(e, em_index(e, c->losses, p->lane, 4), 4 * (int64_t)(v * c->lanes)), 4 * c->lanes);
    }
    if (c->dx) emit_slopes(e, c, p, s, kept);
}

/* Which of the tile's lanes are kept rows; no losses yet. */
static void begin_lanes(emitter *e, const distance_code *c, cg_val row0) {
    em_loop lanes;
    em_loop_begin(e, &lanes, em_int(e, 0), em_int(e, c->W), 1, NULL, 0);
    cg_val row = em_add(e, row0, lanes.index), kept = em_less(e, row, c->n_rows);
    if (c->keep) {
        const ir_dtype dtype = kernel_get_dtype(c->kernel, "keep_dtype");
        cg_val inside = em_min(e, row, em_add_int(e, c->n_rows, -1));
        kept = em_and(e, kept, em_is_set(e, dtype, c->keep, inside));
    }
    em_store(e, em_select(e, kept, em_const(e, 1, 1), em_const(e, 1, 0)), em_index(e, c->kept, lanes.index, 4), 4);
    em_store(e, em_const(e, 1, 0), em_index(e, c->losses, lanes.index, 4), 4);
    em_loop_end(e, &lanes, NULL);
}

/* Adds the tile's losses to `sum`, f64. */
static cg_val add_losses(emitter *e, const distance_code *c, cg_val sum) {
    em_loop lanes;
    em_loop_begin(e, &lanes, em_int(e, 0), em_int(e, c->W), 1, &sum, 1);
    cg_val loss = em_lane(e, em_widen(e, em_load(e, 1, em_index(e, c->losses, lanes.index, 4), 4)), 0);
    sum = em_fadd(e, lanes.carried[0], loss);
    em_loop_end(e, &lanes, &sum);
    return lanes.carried[0];
}

static void emit_tile(emitter *e, distance_code *c, cg_val tile) {
    const int64_t bytes = 4 * c->E * c->W;
    cg_val row0 = em_mul_int(e, tile, c->W), live = tile_live_lanes(e, c->n_rows, tile, c->W, c->lanes);
    c->tile_x = em_index(e, c->x, tile, bytes);
    c->tile_y = em_index(e, c->y, tile, bytes);
    if (c->dx) c->tile_dx = em_index(e, c->dx, tile, bytes);
    begin_lanes(e, c, row0);
    em_if whole;
    em_if_begin(e, &whole, em_equal(e, live, em_int(e, c->W)));
    for (unsigned part = 0; part < 2; part++) {
        em_loop parts;
        distance_part p = {.vectors = part == 0 ? tile_vectors(c->lanes, c->W, MAX_VECTORS) : 1};
        em_loop_begin(e, &parts, em_int(e, 0), live, (int64_t)(p.vectors * c->lanes), NULL, 0);
        p.lane = parts.index;
        emit_part(e, c, &p);
        em_loop_end(e, &parts, NULL);
        if (part == 0) em_else(e, &whole);
    }
    em_if_end(e, &whole);
}

static void emit_distance(emitter *e, const cg_kernel *k, bool is_cosine) {
    cg_val operand[KERNEL_MAX_OPERANDS], begin, end, sum = em_real(e, 0);
    kernel_operands(e, k, operand);
    const int64_t keep = kernel_get(k, "keep"), scale = kernel_get(k, "scale"), loss = kernel_get(k, "loss"),
                  dx = kernel_get(k, "dx");
    distance_code c = {
        .kernel = k, .is_cosine = is_cosine, .E = kernel_get(k, "E"), .W = kernel_get(k, "W"), .n_rows = em_dim(e, 0)};
    c.lanes = tile_lanes(e->lanes, c.W);
    c.x = operand[0], c.y = operand[1];
    c.keep = keep ? operand[keep] : NULL;
    c.dx = dx ? operand[dx] : NULL;
    c.scale = scale ? em_load(e, 1, operand[scale], 4) : em_const(e, 1, 1);
    c.kept = em_stack(e, 4 * c.W, 4 * c.lanes);
    c.losses = em_stack(e, 4 * c.W, 4 * c.lanes);
    em_loop units, tiles;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    part_sums_rows(e, k, units.index, &begin, &end);
    /* a part behind the last row begins, and ends, within the last tile */
    em_loop_begin(e, &tiles, em_div_int_up(e, begin, c.W), em_div_int_up(e, end, c.W), 1, &sum, 1);
    cg_val before = tiles.carried[0];
    emit_tile(e, &c, tiles.index);
    cg_val next = add_losses(e, &c, before);
    em_loop_end(e, &tiles, &next);
    cg_val total = em_fmul(e, tiles.carried[0], em_lane(e, em_widen(e, c.scale), 0));
    if (loss) part_sums_store(e, operand[loss], units.index, total, em_real(e, 0));
    em_loop_end(e, &units, NULL);
}

void emit_squared_distance(emitter *e, const cg_kernel *k) { emit_distance(e, k, false); }

void emit_cosine_distance(emitter *e, const cg_kernel *k) { emit_distance(e, k, true); }
