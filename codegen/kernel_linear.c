/*
 * linear [+ elementwise]: y = f(x weight^T + bias), x [R,K] and y [R,N] in tiles<W>, weight in panels of P rows. Its input gradient
 * likewise: the product with the transposed weight, whose [N,K] is the weight's [K,N], in panels of P columns.
 *
 * Work is cut into blocks of weight rows times groups of tiles; one unit takes one block through the tiles of one group. Within it
 * the order is that of Goto and van de Geijn ("Anatomy of High-Performance Matrix Multiplication", 2008) with tokens and features
 * exchanged: a block of k, a panel of weights, the tiles of the group. So each panel is read from memory once and from L1 or L2 by
 * the other tiles, and while they pass, the next panel is fetched: weights stream at an even rate. Each block of k is summed on its
 * own and added to the sums in scratch, which is also more exact than one long sum; when all k are in, bias and elementwise work
 * run over the sums, and the results are written once.
 *
 * operands: x, weight, [bias], what the expression reads, what it stores. dims: R.
 */
#include "codegen/gemm_block.h"
#include "codegen/kernel.h"

#define BLOCK_ROWS 96    /* of weight: 288 KB at K = 768 */
#define GROUP_TOKENS 128 /* share one pass over a block */
#define K_BLOCK 768      /* 96 KB of x at W = 32, which stays in L2 while the panels pass */
#define BLOCK_VECTORS 2  /* of x side by side */

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Panel height: the one of at most `most` rows that wastes least, counting half a row for the loads of x that a panel repeats. */
static int64_t choose_panel(int64_t n, int64_t most) {
    int64_t best = 0, best_cost = INT64_MAX;
    for (int64_t p = n < most ? n : most; p > 0 && 3 * p >= 2 * most; p--) {
        int64_t cost = round_up(n, p) / p * (2 * p + 1);
        if (cost < best_cost) best = p, best_cost = cost;
    }
    return best > 0 ? best : n;
}

bool describe_linear(const cg_group *g, const cg_target *target, cg_kernel *k) {
    const ir_node *n = group_node(g, 0);
    if (!is_dense_tiled_linear(g, n)) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *y = graph_type(g->graph, n->first_result);
    int64_t N = type_features(y), K = type_features(x), W = x->tile;
    int64_t panel = kernel_option(k, "panel", choose_panel(N, gemm_block_rows(target))),
            group = kernel_option(k, "group", W < GROUP_TOKENS ? GROUP_TOKENS / W : 1);
    if (kernel_option(k, "tile", W) != W) return false;
    int64_t n_panels = round_up(N, panel) / panel, per_block = BLOCK_ROWS / panel;
    int64_t n_blocks = (n_panels + per_block - 1) / per_block;
    per_block = (n_panels + n_blocks - 1) / n_blocks;
    n_blocks = (n_panels + per_block - 1) / per_block;
    int64_t k_block = kernel_option(k, "k_block", K_BLOCK), n_k_blocks = (K + k_block - 1) / k_block;
    kernel_operand(k, n->inputs[0]);
    kernel_packed_operand(k, n->inputs[1], n->op == OP_linear ? PACKING_PANELS : PACKING_TRANSPOSED_PANELS, (uint32_t)panel);
    if (node_input(n, 2)) kernel_operand(k, node_input(n, 2));
    kernel_set(k, "N", N);
    kernel_set(k, "K", K);
    kernel_set(k, "W", W);
    kernel_set(k, "panel", panel);
    kernel_set(k, "rows", per_block * panel);
    kernel_set(k, "blocks", n_blocks);
    kernel_set(k, "k_block", round_up((K + n_k_blocks - 1) / n_k_blocks, 4));
    kernel_set(k, "group", group);
    kernel_set(k, "bias", node_input(n, 2) != IR_NO_VALUE);
    kernel_computed(k, n->first_result);
    if (!kernel_express(k, g, 1, y) || k->expression.n_stores == 0) return false;

    /* blocks * ceil(R / (group W)) units: the quotient below is that or up to `blocks` more, which do nothing */
    bool ok = true;
    ir_dim R = x->dims[0];
    kernel_dim(k, R);
    k->work_per_unit = group * W;
    k->work = kernel_scaled(dim_add(R, k->work_per_unit - 1), n_blocks, 0, &ok);
    kernel_by_block(k, R, k->work_per_unit, n_blocks);
    k->scratch_bytes = dim_const(4 * group * per_block * panel * W);
    k->flops = kernel_scaled(R, 2 * N * K, 0, NULL);
    k->bytes = kernel_scaled(R, 4 * (N + K), 4 * N * K, NULL);
    return ok;
}

typedef struct linear_code {
    int64_t N, K, W, panel, rows, k_block, blocks, group;
    unsigned lanes, vectors;
    cg_val x, w, bias, scratch;
    cg_val operand[KERNEL_MAX_OPERANDS];
    expression_random random;
} linear_code;

/* The unit at hand: a block of weight rows and a group of tiles. */
typedef struct linear_unit {
    cg_val row0, n_rows, n_panels; /* of weight */
    cg_val first_tile, n_tiles;
    cg_val live; /* lanes of the last tile that hold tokens; the others are full */
    cg_val x, w; /* where tiles and weights start */
} linear_unit;

/* Live lanes of tile number `index` of the unit. */
static cg_val live_lanes(emitter *e, const linear_code *c, const linear_unit *u, cg_val index) {
    return em_select(e, em_equal(e, em_add_int(e, index, 1), u->n_tiles), u->live, em_int(e, c->W));
}

/* A block of k for one unit. */
typedef struct linear_pass {
    cg_val k0, count;
    bool only; /* no other block of k: sums are written, else added to those in scratch */
} linear_pass;

/* The register block of `panels` panels with `vectors` vectors. */
static gemm_block make_block(const linear_code *c, unsigned panels, unsigned vectors) {
    return (gemm_block){.rows = panels * (unsigned)c->panel,
                        .vectors = vectors,
                        .lanes = c->lanes,
                        .x_step = 4 * c->W,
                        .w_step = 4 * c->panel,
                        .w_row_step = 4,
                        .panel = (unsigned)c->panel,
                        .panel_step = 4 * c->K * c->panel,
                        .x_align = 4 * c->lanes,
                        .unroll = 4,
                        .prefetch_lines = 1};
}

static void emit_block(emitter *e, const linear_code *c, const linear_pass *p, const gemm_block *g, cg_val x, cg_val w,
                       cg_val out) {
    cg_val sum[GEMM_MAX_SUMS];
    for (unsigned i = 0; i < g->rows * g->vectors; i++) sum[i] = em_const(e, c->lanes, 0);
    gemm_block_emit(e, g, x, w, p->count, sum);
    out = em_opaque(e, out);
    for (unsigned i = 0; i < g->rows * g->vectors; i++) {
        cg_val to = em_at_int(e, out, 4 * (i / g->vectors * c->W + i % g->vectors * c->lanes));
        if (!p->only) sum[i] = em_fadd(e, em_load(e, c->lanes, to, 4 * c->lanes), sum[i]);
        em_store(e, sum[i], to, 4 * c->lanes);
    }
}

static cg_val panel_weights(emitter *e, const linear_code *c, const linear_unit *u, const linear_pass *p, cg_val panel) {
    return em_at(e, u->w, em_add(e, em_mul_int(e, panel, 4 * c->K * c->panel), em_mul_int(e, p->k0, 4 * c->panel)));
}

/* Panels [first, n_panels) with all vectors of all tiles: a panel stays in L1 while they pass, and meanwhile the next one is
 * fetched. */
static void emit_panels(emitter *e, const linear_code *c, const linear_unit *u, const linear_pass *p, cg_val first) {
    const int64_t part = (int64_t)(c->lanes * c->vectors), n_parts = c->W / part;
    gemm_block g = make_block(c, 1, c->vectors), narrow = make_block(c, 1, 1);
    /* each pass over the panel fetches its share of the next one */
    g.prefetch_step = em_div(e, em_int(e, 4 * g.unroll * c->panel / n_parts), u->n_tiles);
    cg_val share = em_mul(e, g.prefetch_step, em_div_int(e, p->count, g.unroll));
    em_loop panels, tiles, parts;
    em_loop_begin(e, &panels, first, u->n_panels, 1, NULL, 0);
    cg_val w = panel_weights(e, c, u, p, panels.index), next = em_at_int(e, w, 4 * c->K * c->panel);
    em_loop_begin(e, &tiles, em_int(e, 0), u->n_tiles, 1, NULL, 0);
    cg_val x = em_at(e, u->x, em_add(e, em_mul_int(e, tiles.index, 4 * c->K * c->W), em_mul_int(e, p->k0, 4 * c->W)));
    cg_val out = em_index(e, em_index(e, c->scratch, tiles.index, 4 * c->rows * c->W), panels.index, 4 * c->panel * c->W);
    cg_val live = live_lanes(e, c, u, tiles.index), whole = em_sub(e, live, em_rem_int(e, live, part));
    em_loop_begin(e, &parts, em_int(e, 0), whole, part, NULL, 0);
    cg_val pass = em_add(e, em_mul_int(e, tiles.index, n_parts), em_div_int(e, parts.index, part));
    g.prefetch = em_at(e, next, em_mul(e, pass, share));
    emit_block(e, c, p, &g, em_index(e, x, parts.index, 4), w, em_index(e, out, parts.index, 4));
    em_loop_end(e, &parts, NULL);
    if (c->vectors > 1) {
        em_if odd;
        em_if_begin(e, &odd, em_less(e, whole, live));
        emit_block(e, c, p, &narrow, em_index(e, x, whole, 4), w, em_index(e, out, whole, 4));
        em_if_end(e, &odd);
    }
    em_loop_end(e, &tiles, NULL);
    em_loop_end(e, &panels, NULL);
}

/* One vector of tokens is all there is, so each weight is used once: as many panels at a time as registers allow. Panels [0, end). */
static void emit_panels_of_one(emitter *e, const linear_code *c, const linear_unit *u, const linear_pass *p, unsigned at_once,
                               cg_val end) {
    gemm_block g = make_block(c, at_once, 1);
    const int64_t round_bytes = 4 * (int64_t)g.unroll * c->panel;
    g.prefetch_step = em_int(e, round_bytes);
    g.prefetch_lines = (unsigned)((round_bytes + 63) / 64);
    cg_val x = em_index(e, u->x, p->k0, 4 * c->W);
    em_loop panels;
    em_loop_begin(e, &panels, em_int(e, 0), end, at_once, NULL, 0);
    cg_val w = panel_weights(e, c, u, p, panels.index);
    g.prefetch = em_at_int(e, w, (int64_t)at_once * g.panel_step);
    emit_block(e, c, p, &g, x, w, em_index(e, c->scratch, panels.index, 4 * c->panel * c->W));
    em_loop_end(e, &panels, NULL);
}

static void emit_k_block(emitter *e, const linear_code *c, const linear_unit *u, const linear_pass *p) {
    const unsigned at_once = e->target->vector_registers >= 32 && c->rows > c->panel ? 2 : 1;
    cg_val is_one = em_and(e, em_equal(e, u->n_tiles, em_int(e, 1)), em_equal(e, u->live, em_int(e, c->lanes)));
    cg_val whole = em_sub(e, u->n_panels, em_rem_int(e, u->n_panels, at_once));
    cg_val first = em_select(e, is_one, whole, em_int(e, 0));
    emit_panels_of_one(e, c, u, p, at_once, first);
    emit_panels(e, c, u, p, first);
}

static void emit_clear(emitter *e, const linear_code *c, const linear_unit *u) {
    em_loop clear;
    cg_val end = em_mul_int(e, u->n_tiles, 4 * c->rows * c->W);
    em_loop_begin(e, &clear, em_int(e, 0), end, 4 * (int64_t)c->lanes, NULL, 0);
    em_store(e, em_const(e, c->lanes, 0), em_at(e, c->scratch, clear.index), 4 * c->lanes);
    em_loop_end(e, &clear, NULL);
}

static void emit_sums(emitter *e, const linear_code *c, const linear_unit *u) {
    if (c->k_block >= c->K) {
        emit_k_block(e, c, u, &(linear_pass){em_int(e, 0), em_int(e, c->K), true});
        return;
    }
    em_loop blocks;
    emit_clear(e, c, u);
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, c->K), c->k_block, NULL, 0);
    cg_val rest = em_sub(e, em_int(e, c->K), blocks.index);
    cg_val count = c->K % c->k_block == 0 ? em_int(e, c->k_block) : em_min(e, em_int(e, c->k_block), rest);
    emit_k_block(e, c, u, &(linear_pass){blocks.index, count, false});
    em_loop_end(e, &blocks, NULL);
}

static void emit_results(emitter *e, const cg_kernel *k, const linear_code *c, const linear_unit *u) {
    expression_tile results = {.expression = &k->expression,
                               .operand = c->operand,
                               .width = c->W,
                               .lanes = c->lanes,
                               .bias = c->bias,
                               .random = &c->random};
    em_loop tiles;
    em_loop_begin(e, &tiles, em_int(e, 0), u->n_tiles, 1, NULL, 0);
    results.computed = em_index(e, c->scratch, tiles.index, 4 * c->rows * c->W);
    results.live = live_lanes(e, c, u, tiles.index);
    results.token = em_mul_int(e, em_add(e, u->first_tile, tiles.index), c->W);
    results.n_tokens = em_dim(e, 0);
    expression_begin_tile(e, &results);
    cg_val first = em_add(e, em_mul_int(e, em_add(e, u->first_tile, tiles.index), c->N), u->row0);
    expression_emit_tile(e, &results, first, u->row0, u->n_rows);
    em_loop_end(e, &tiles, NULL);
}

void emit_linear(emitter *e, const cg_kernel *k) {
    linear_code c = {.N = kernel_get(k, "N"),
                     .K = kernel_get(k, "K"),
                     .W = kernel_get(k, "W"),
                     .panel = kernel_get(k, "panel"),
                     .rows = kernel_get(k, "rows"),
                     .k_block = kernel_get(k, "k_block"),
                     .blocks = kernel_get(k, "blocks"),
                     .group = kernel_get(k, "group"),
                     .scratch = em_scratch(e)};
    c.lanes = tile_lanes(e->lanes, c.W);
    c.vectors = tile_vectors(c.lanes, c.W, BLOCK_VECTORS);
    kernel_operands(e, k, c.operand);
    expression_begin(e, &k->expression, c.operand, c.W, c.lanes, &c.random);
    c.x = c.operand[0];
    c.w = c.operand[1];
    c.bias = kernel_get(k, "bias") ? c.operand[2] : NULL;
    cg_val n_tiles = em_div_int_up(e, em_dim(e, 0), c.W);
    cg_val n_units = em_mul_int(e, em_div_int_up(e, n_tiles, c.group), c.blocks);
    linear_unit u;
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_min(e, em_end_unit(e), n_units), 1, NULL, 0);
    u.first_tile = em_mul_int(e, em_div_int(e, units.index, c.blocks), c.group);
    u.n_tiles = em_min(e, em_int(e, c.group), em_sub(e, n_tiles, u.first_tile));
    u.live = tile_live_lanes(e, em_dim(e, 0), em_add(e, u.first_tile, em_add_int(e, u.n_tiles, -1)), c.W, c.lanes);
    u.row0 = em_mul_int(e, em_rem_int(e, units.index, c.blocks), c.rows);
    u.n_rows = em_min(e, em_int(e, c.rows), em_sub(e, em_int(e, c.N), u.row0));
    u.n_panels = em_div_int_up(e, u.n_rows, c.panel);
    u.x = em_index(e, c.x, u.first_tile, 4 * c.K * c.W);
    u.w = em_index(e, c.w, u.row0, 4 * c.K);
    emit_sums(e, &c, &u);
    emit_results(e, k, &c, &u);
    em_loop_end(e, &units, NULL);
}
