/*
 * layer_norm_gradient [of which elementwise work follows], in tiles<W>: with z = (x - mean) rstd and g = dy gamma,
 *   dx = rstd (g - mean(g) - z mean(g z)),  dgamma = sum over rows of dy z,  dbeta = sum over rows of dy.
 *
 * Tile by tile, which stays in L2 meanwhile: the first pass sums g and g z of each token, and dy z and dy of each feature, groups of
 * GROUP features at a time, whose lanes are added up by a tree (column_sums.h). The second pass makes dx, blocks of BLOCK features of
 * which elementwise work (dropout's gradient) then reads in L1. Units are parts of the rows, whose dgamma and dbeta a step behind adds
 * up (part_sums.h).
 *
 * operands: x, dy, gamma, mean, rstd, [parts of dgamma], [parts of dbeta], what the expression reads and stores. dims: R.
 */
#include "codegen/column_sums.h"
#include "codegen/part_sums.h"

#define GROUP LANE_SUMS
#define BYTES_AHEAD 4096 /* of x and dy, that are fetched into L2: a page, past whose end processors do not look themselves */
#define BLOCK 16
#define MAX_VECTORS 4

bool describe_layer_norm_gradient(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_node(g, 0);
    if (n->op != OP_layer_norm_gradient) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]);
    if (!is_f32_tiles(x) || graph_type(g->graph, n->inputs[1]) != x) return false;
    for (uint32_t i = 0; i < n->n_inputs; i++) kernel_operand(k, n->inputs[i]);
    kernel_set(k, "E", type_features(x));
    kernel_set(k, "W", x->tile);
    kernel_set(k, "dgamma", g->stored[n->first_result + 1] ? (int64_t)part_sums_operand(k, n->first_result + 1) : 0);
    kernel_set(k, "dbeta", g->stored[n->first_result + 2] ? (int64_t)part_sums_operand(k, n->first_result + 2) : 0);
    kernel_computed(k, n->first_result);
    if (!kernel_express(k, g, 1, x)) return false;
    kernel_dim(k, x->dims[0]);
    part_sums_work(k, x->tile);
    k->scratch_bytes = dim_const(4 * (2 * ((type_features(x) + GROUP - 1) / GROUP * GROUP + GROUP) + BLOCK * (int64_t)x->tile));
    k->flops = kernel_scaled(x->dims[0], 14 * type_features(x), 0, NULL);
    k->bytes = kernel_scaled(x->dims[0], 4 * type_features(x) * (2 + (int64_t)k->expression.n_stores), 0, NULL);
    return true;
}

typedef struct norm_gradient {
    const cg_kernel *kernel;
    int64_t E, W;
    unsigned lanes, vectors; /* side by side */
    bool masked;             /* lanes without a row take no part in the sums of features */
    cg_val operand[KERNEL_MAX_OPERANDS];
    cg_val n_rows, tile;
    cg_val x, dy;         /* of the tile */
    cg_val dgamma, dbeta; /* of the part, [E] in scratch */
    cg_val block;         /* [BLOCK][W] in scratch */
    cg_val mean, rstd;    /* [W] of the tile's tokens, 0 where there is none; then also: */
    cg_val mean_g, mean_gz;
    expression_random random;
} norm_gradient;

static cg_val numbers(emitter *e, const norm_gradient *c, cg_val from, cg_val lane) {
    return em_load(e, c->lanes, em_index(e, from, lane, 4), 4 * c->lanes);
}

/* Normalised x and dy of one vector. */
typedef struct norm_vector {
    cg_val z, dy;
} norm_vector;

static norm_vector load_vector(emitter *e, const norm_gradient *c, cg_val feature, cg_val lane) {
    const unsigned align = 4 * c->lanes;
    cg_val at = em_mul_int(e, em_add(e, em_mul_int(e, feature, c->W), lane), 4);
    cg_val x = em_load(e, c->lanes, em_at(e, c->x, at), align), dy = em_load(e, c->lanes, em_at(e, c->dy, at), align);
    cg_val z = em_fmul(e, em_fsub(e, x, numbers(e, c, c->mean, lane)), numbers(e, c, c->rstd, lane));
    if (!c->masked) return (norm_vector){z, dy};
    cg_val row = em_add(e, em_mul_int(e, c->tile, c->W), lane), zero = em_const(e, c->lanes, 0);
    cg_val inside = em_lanes_in_range(e, c->lanes, row, em_int(e, 0), c->n_rows);
    return (norm_vector){em_select(e, inside, z, zero), em_select(e, inside, dy, zero)};
}

/* While a feature is read for the first time: what comes behind it, and its rows of the results, which are written when all has been read. */
static void fetch_feature(emitter *e, const norm_gradient *c, cg_val lane, cg_val feature) {
    const cg_expression *x = &c->kernel->expression;
    cg_val at = em_mul_int(e, em_add(e, em_mul_int(e, feature, c->W), lane), 4), tile = em_mul_int(e, c->tile, 4 * c->E * c->W);
    for (int64_t line = 0; line < 4 * (int64_t)(c->vectors * c->lanes); line += 64) {
        em_prefetch(e, em_at_int(e, em_at(e, c->x, at), line + BYTES_AHEAD));
        em_prefetch(e, em_at_int(e, em_at(e, c->dy, at), line + BYTES_AHEAD));
        for (unsigned i = 0; i < x->n_stores; i++)
            em_prefetch(e, em_at_int(e, em_at(e, em_at(e, c->operand[x->stores[i].operand], tile), at), line));
    }
}

/* Features [feature, feature + count) of the lanes from `lane` on: adds to the tokens' sums, sum[v] of g and sum[vectors + v] of g z,
 * and to those of the features. */
static void sum_group(emitter *e, const norm_gradient *c, cg_val lane, cg_val feature, unsigned count, cg_val *sum) {
    cg_val dgamma[GROUP], dbeta[GROUP], g_sum[MAX_VECTORS], gz_sum[MAX_VECTORS];
    for (unsigned i = 0; i < count; i++) {
        cg_val f = em_add_int(e, feature, i);
        cg_val gamma = em_load_splat(e, c->lanes, em_index(e, c->operand[2], f, 4));
        fetch_feature(e, c, lane, f);
        for (unsigned v = 0; v < c->vectors; v++) {
            const norm_vector n = load_vector(e, c, f, em_add_int(e, lane, (int64_t)(v * c->lanes)));
            cg_val g = em_fmul(e, n.dy, gamma);
            g_sum[v] = i == 0 ? g : em_fadd(e, g_sum[v], g);
            gz_sum[v] = i == 0 ? em_fmul(e, g, n.z) : em_fma(e, g, n.z, gz_sum[v]);
            dgamma[i] = v == 0 ? em_fmul(e, n.dy, n.z) : em_fma(e, n.dy, n.z, dgamma[i]);
            dbeta[i] = v == 0 ? n.dy : em_fadd(e, dbeta[i], n.dy);
        }
    }
    for (unsigned v = 0; v < c->vectors; v++) {
        sum[v] = em_fadd(e, sum[v], g_sum[v]);
        sum[c->vectors + v] = em_fadd(e, sum[c->vectors + v], gz_sum[v]);
    }
    if (c->dgamma) lane_sums_add(e, dgamma, count, em_index(e, c->dgamma, feature, 4));
    if (c->dbeta) lane_sums_add(e, dbeta, count, em_index(e, c->dbeta, feature, 4));
}

/* Lanes [0, end) of the tile: the sums of features, and mean_g and mean_gz of the tokens. */
static void emit_sums(emitter *e, const norm_gradient *c, cg_val end) {
    const int64_t whole = c->E - c->E % GROUP;
    const unsigned n = 2 * c->vectors;
    em_loop parts, groups;
    cg_val sum[2 * MAX_VECTORS];
    for (unsigned i = 0; i < n; i++) sum[i] = em_const(e, c->lanes, 0);
    em_loop_begin(e, &parts, em_int(e, 0), end, (int64_t)(c->lanes * c->vectors), NULL, 0);
    em_loop_begin(e, &groups, em_int(e, 0), em_int(e, whole), GROUP, sum, n);
    for (unsigned i = 0; i < n; i++) sum[i] = groups.carried[i];
    sum_group(e, c, parts.index, groups.index, GROUP, sum);
    em_loop_end(e, &groups, sum);
    for (unsigned i = 0; i < n; i++) sum[i] = groups.carried[i];
    if (whole < c->E) sum_group(e, c, parts.index, em_int(e, whole), (unsigned)(c->E - whole), sum);
    for (unsigned i = 0; i < n; i++) {
        cg_val to = em_index(e, i < c->vectors ? c->mean_g : c->mean_gz,
                             em_add_int(e, parts.index, (int64_t)(i % c->vectors * c->lanes)), 4);
        em_store(e, em_fmul(e, sum[i], em_const(e, c->lanes, 1 / (double)c->E)), to, 4 * c->lanes);
    }
    em_loop_end(e, &parts, NULL);
}

/* dx of feature `feature` in lanes [0, end), to [W] at `to`. */
static void emit_feature(emitter *e, const norm_gradient *c, cg_val feature, cg_val end, cg_val to) {
    em_loop parts;
    cg_val gamma = em_load_splat(e, c->lanes, em_index(e, c->operand[2], feature, 4));
    em_loop_begin(e, &parts, em_int(e, 0), end, c->lanes, NULL, 0);
    const norm_vector n = load_vector(e, c, feature, parts.index);
    cg_val centred = em_fsub(e, em_fmul(e, n.dy, gamma), numbers(e, c, c->mean_g, parts.index));
    cg_val rest = em_fsub(e, centred, em_fmul(e, n.z, numbers(e, c, c->mean_gz, parts.index)));
    em_store(e, em_fmul(e, rest, numbers(e, c, c->rstd, parts.index)), em_index(e, to, parts.index, 4), 4 * c->lanes);
    em_loop_end(e, &parts, NULL);
}

static void emit_dx(emitter *e, const norm_gradient *c, cg_val end) {
    const cg_expression *x = &c->kernel->expression;
    const bool direct = x->n_ops == 0;
    cg_val first = em_mul_int(e, c->tile, c->E);
    em_loop blocks, features;
    if (x->n_stores == 0) return;
    const expression_tile t = {.expression = x,
                               .operand = c->operand,
                               .width = c->W,
                               .lanes = c->lanes,
                               .live = end,
                               .computed = c->block,
                               .random = &c->random,
                               .token = em_mul_int(e, c->tile, c->W),
                               .n_tokens = c->n_rows};
    expression_begin_tile(e, &t);
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, c->E), BLOCK, NULL, 0);
    cg_val count = em_min(e, em_int(e, BLOCK), em_sub(e, em_int(e, c->E), blocks.index)), row = em_add(e, first, blocks.index);
    cg_val to = direct ? em_index(e, c->operand[x->stores[0].operand], row, 4 * c->W) : c->block;
    em_loop_begin(e, &features, em_int(e, 0), count, 1, NULL, 0);
    emit_feature(e, c, em_add(e, blocks.index, features.index), end, em_index(e, to, features.index, 4 * c->W));
    em_loop_end(e, &features, NULL);
    if (!direct) expression_emit_tile(e, &t, row, blocks.index, count);
    em_loop_end(e, &blocks, NULL);
}

/* The tile's means and deviations to where every lane has one. */
static void emit_moments(emitter *e, const norm_gradient *c) {
    cg_val row = em_mul_int(e, c->tile, c->W), count = em_min(e, em_int(e, c->W), em_sub(e, c->n_rows, row));
    em_loop clear;
    em_loop_begin(e, &clear, em_int(e, 0), em_int(e, c->W), c->lanes, NULL, 0);
    em_store(e, em_const(e, c->lanes, 0), em_index(e, c->mean, clear.index, 4), 4 * c->lanes);
    em_store(e, em_const(e, c->lanes, 0), em_index(e, c->rstd, clear.index, 4), 4 * c->lanes);
    em_loop_end(e, &clear, NULL);
    emit_copy(e, c->mean, em_index(e, c->operand[3], row, 4), count, 4);
    emit_copy(e, c->rstd, em_index(e, c->operand[4], row, 4), count, 4);
}

static void emit_tile(emitter *e, norm_gradient *c, cg_val tile) {
    c->tile = tile;
    c->x = em_index(e, c->operand[0], tile, 4 * c->E * c->W);
    c->dy = em_index(e, c->operand[1], tile, 4 * c->E * c->W);
    emit_moments(e, c);
    em_if full;
    em_if_begin(e, &full, em_less(e, em_mul_int(e, em_add_int(e, tile, 1), c->W), em_add_int(e, c->n_rows, 1)));
    c->masked = false;
    c->vectors = tile_vectors(c->lanes, c->W, MAX_VECTORS);
    emit_sums(e, c, em_int(e, c->W));
    em_else(e, &full);
    c->masked = true;
    c->vectors = 1;
    emit_sums(e, c, tile_live_lanes(e, c->n_rows, tile, c->W, c->lanes));
    em_if_end(e, &full);
    c->masked = false; /* what lanes without a row hold is nobody's */
    emit_dx(e, c, tile_live_lanes(e, c->n_rows, tile, c->W, c->lanes));
}

static void clear_sums(emitter *e, cg_val sums, int64_t n) {
    em_loop clear;
    em_loop_begin(e, &clear, em_int(e, 0), em_int(e, n), 4, NULL, 0);
    em_store(e, em_const(e, 4, 0), em_index(e, sums, clear.index, 4), 16);
    em_loop_end(e, &clear, NULL);
}

void emit_layer_norm_gradient(emitter *e, const cg_kernel *k) {
    norm_gradient c = {.kernel = k, .E = kernel_get(k, "E"), .W = kernel_get(k, "W"), .n_rows = em_dim(e, 0)};
    const int64_t room = (c.E + GROUP - 1) / GROUP * GROUP + GROUP;
    const unsigned sums[] = {(unsigned)kernel_get(k, "dgamma"), (unsigned)kernel_get(k, "dbeta")};
    cg_val scratch = em_scratch(e),
           to[] = {em_at_int(e, scratch, 4 * BLOCK * c.W), em_at_int(e, scratch, 4 * (BLOCK * c.W + room))};
    kernel_operands(e, k, c.operand);
    c.lanes = tile_lanes(e->lanes, c.W);
    c.block = scratch;
    expression_begin(e, &k->expression, c.operand, c.W, c.lanes, &c.random);
    c.dgamma = sums[0] ? to[0] : NULL;
    c.dbeta = sums[1] ? to[1] : NULL;
    cg_val *const stack[] = {&c.mean, &c.rstd, &c.mean_g, &c.mean_gz};
    for (size_t i = 0; i < 4; i++) *stack[i] = em_stack(e, 4 * c.W, 4 * c.lanes);
    em_loop units, tiles;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val begin, end;
    em_if used;
    part_sums_rows(e, k, units.index, &begin, &end);
    em_if_begin(e, &used, em_less(e, begin, end)); /* else it lies behind the last row, maybe in the last tile */
    for (size_t i = 0; i < 2; i++)
        if (sums[i]) clear_sums(e, to[i], room);
    em_loop_begin(e, &tiles, em_div_int(e, begin, c.W), em_div_int_up(e, end, c.W), 1, NULL, 0);
    emit_tile(e, &c, tiles.index);
    em_loop_end(e, &tiles, NULL);
    for (size_t i = 0; i < 2; i++)
        if (sums[i]) emit_copy(e, part_sums_at(e, c.operand[sums[i]], units.index, 4 * c.E), to[i], em_int(e, c.E), 4);
    em_if_end(e, &used);
    em_loop_end(e, &units, NULL);
}
