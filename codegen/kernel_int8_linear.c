/*
 * linear_int8 of a dense weight [+ elementwise [+ quantize]]: sums of u8 * s8 over quads<W> of x [R,K], weight in panels of P rows
 * (PACKING_INT8_PANELS), or in squares for processors with tiles (PACKING_INT8_TILES).
 *
 * Work is cut as that of the f32 product (kernel_linear.c): one unit takes a block of weight rows through the tiles of a group. A panel
 * stays in L1 while the tiles of the group, in L2, pass; P x V sums of vectors of tokens stay in registers over all K. For four
 * neighbouring columns a vector of x, 4 bytes of each token, meets 4 bytes of a row of the weight in all lanes (em_dot_u8s8). With tiles,
 * 32 rows of the weight times 32 tokens are four tiles of sums: a tile of weight is 16 rows of 64 columns, and one of x 16 quads of 16
 * tokens, as quads<W> have them. The sums go to scratch, and when all panels of the block are through, to what stands behind
 * (int8_epilogue.h).
 *
 * operands: x, weight, those of the epilogue. dims: R.
 */
#include "codegen/dot_product.h"
#include "codegen/int8_epilogue.h"

#define BLOCK_ROWS 96    /* of weight, a multiple of 4: 72 KB at K = 768 */
#define GROUP_TOKENS 128 /* share one pass over a block */
#define BLOCK_VECTORS 2  /* of x side by side */
#define UNROLL 2         /* quads of columns in the body of the loop */
#define MAX_PANEL 12
#define TILE_PANEL 32   /* rows: two tiles of weight beside two of x and four of sums */
#define TILE_COLUMNS 64 /* of a tile of weight */

/* Rows of a panel whose sums, with two vectors of x and a weight, fit into the registers; products without an instruction of their own
 * take some, too. */
static int64_t choose_panel(const cg_target *t, int64_t N) {
    const int64_t most = t->vector_registers >= 32 && (t->extensions & CG_DOT_U8S8) ? MAX_PANEL : t->vector_registers >= 32 ? 8 : 4;
    int64_t best = 4;
    for (int64_t p = 4; p <= most; p += 4)
        if ((N + p - 1) / p * p <= (N + best - 1) / best * best) best = p;
    return best;
}

bool describe_int8_linear(const cg_group *g, const cg_target *target, cg_kernel *k) {
    int8_product p;
    if (!int8_find_product(g, group_node(g, 0), &p) || !p.quads || p.pattern) return false;
    const bool fits_tiles = p.K % TILE_COLUMNS == 0 && p.W % EM_TILE_ROWS == 0,
               by_tiles = kernel_option(k, "by", fits_tiles && (target->extensions & CG_TILES_U8S8));
    const int64_t panel = kernel_option(k, "panel", by_tiles ? TILE_PANEL : choose_panel(target, p.N)),
                  group = kernel_option(k, "group", p.W < GROUP_TOKENS ? GROUP_TOKENS / p.W : 1);
    if (kernel_option(k, "tile", p.W) != p.W || (by_tiles && !fits_tiles)) return false;
    if (by_tiles ? panel != TILE_PANEL : panel % 4 != 0 || panel > MAX_PANEL) return false;
    const int64_t n_panels = (p.N + panel - 1) / panel, blocks = (n_panels * panel + BLOCK_ROWS - 1) / BLOCK_ROWS,
                  per_block = (n_panels + blocks - 1) / blocks, n_blocks = (n_panels + per_block - 1) / per_block;
    kernel_operand(k, p.x);
    kernel_quantized_operand(k, p.weight, p.w_range, by_tiles ? PACKING_INT8_TILES : PACKING_INT8_PANELS, (uint32_t)panel,
                             &(sparse_layout){0});
    kernel_set(k, "tiles", by_tiles);
    kernel_set(k, "N", p.N);
    kernel_set(k, "K", p.K);
    kernel_set(k, "W", p.W);
    kernel_set(k, "panel", panel);
    kernel_set(k, "rows", per_block * panel);
    kernel_set(k, "blocks", n_blocks);
    kernel_set(k, "group", group);
    if (!int8_describe(k, g, &p)) return false;

    /* blocks * ceil(R / (group W)) units: the quotient below is that or up to `blocks` more, which do nothing */
    bool ok = true;
    const ir_dim R = graph_type(g->graph, p.x)->dims[0];
    kernel_dim(k, R);
    k->work_per_unit = group * p.W;
    k->work = kernel_scaled(dim_add(R, k->work_per_unit - 1), n_blocks, 0, &ok);
    kernel_by_block(k, R, k->work_per_unit, n_blocks);
    k->scratch_bytes = dim_const(4 * group * per_block * panel * p.W + int8_room(per_block * panel));
    k->flops = kernel_scaled(R, 2 * p.N * p.K, 0, NULL);
    k->bytes = kernel_scaled(R, 4 * p.N + p.K, p.N * p.K, NULL);
    return ok;
}

typedef struct int8_code {
    int64_t N, quads, W, panel, rows, blocks, group; /* quads: of columns */
    unsigned lanes, vectors;
    bool by_tiles;
    cg_val x, w, sums; /* of weight rows, behind the panels */
    int8_epilogue epilogue;
} int8_code;

/* A block of weight rows and a group of tiles. */
typedef struct int8_unit {
    cg_val row0, n_rows, n_panels;
    cg_val first_tile, n_tiles, live; /* live: of the last tile; the others are full */
    cg_val x, w;
} int8_unit;

static cg_val live_lanes(emitter *e, const int8_code *c, const int8_unit *u, cg_val index) {
    return em_select(e, em_equal(e, em_add_int(e, index, 1), u->n_tiles), u->live, em_int(e, c->W));
}

/* `count` quads of columns: x and w point at the first one. */
static void multiply_quads(emitter *e, const int8_code *c, unsigned vectors, unsigned count, cg_val x, cg_val w, cg_val *sum) {
    for (unsigned q = 0; q < count; q++) {
        cg_val column[BLOCK_VECTORS];
        for (unsigned v = 0; v < vectors; v++)
            column[v] = em_load_i32(e, c->lanes, em_at_int(e, x, 4 * (q * c->W + v * c->lanes)), 4 * c->lanes);
        for (unsigned r = 0; r < c->panel; r++) {
            cg_val weight = em_load_splat_i32(e, c->lanes, em_at_int(e, w, 4 * (q * c->panel + r)));
            for (unsigned v = 0; v < vectors; v++) sum[r * vectors + v] = em_dot_u8s8(e, sum[r * vectors + v], column[v], weight);
        }
    }
}

/* All quads of columns from *x and *w on, `unroll` in a round. */
static void emit_rounds(emitter *e, const int8_code *c, unsigned vectors, int64_t begin, int64_t end, unsigned unroll, cg_val *x,
                        cg_val *w, cg_val *sum) {
    const unsigned n = (unsigned)c->panel * vectors;
    em_loop loop;
    cg_val state[EM_MAX_CARRIED];
    if (begin == end) return;
    for (unsigned i = 0; i < n; i++) state[i] = sum[i];
    state[n] = *x;
    state[n + 1] = *w;
    em_loop_begin(e, &loop, em_int(e, begin), em_int(e, end), unroll, state, n + 2);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
    multiply_quads(e, c, vectors, unroll, loop.carried[n], loop.carried[n + 1], sum);
    for (unsigned i = 0; i < n; i++) state[i] = sum[i];
    state[n] = em_at_int(e, loop.carried[n], 4 * (int64_t)unroll * c->W);
    state[n + 1] = em_at_int(e, loop.carried[n + 1], 4 * (int64_t)unroll * c->panel);
    em_loop_end(e, &loop, state);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
    *x = loop.carried[n];
    *w = loop.carried[n + 1];
}

/* The sums of a panel with `vectors` vectors of tokens. */
static void emit_block(emitter *e, const int8_code *c, unsigned vectors, cg_val x, cg_val w, cg_val out) {
    const unsigned n = (unsigned)c->panel * vectors;
    const int64_t whole = c->quads - c->quads % UNROLL;
    cg_val sum[MAX_PANEL * BLOCK_VECTORS];
    for (unsigned i = 0; i < n; i++) sum[i] = em_const_i32(e, c->lanes, 0);
    x = em_opaque(e, x);
    w = em_opaque(e, w);
    emit_rounds(e, c, vectors, 0, whole, UNROLL, &x, &w, sum);
    emit_rounds(e, c, vectors, whole, c->quads, 1, &x, &w, sum);
    out = em_opaque(e, out);
    for (unsigned i = 0; i < n; i++)
        em_store(e, sum[i], em_at_int(e, out, 4 * (i / vectors * c->W + i % vectors * c->lanes)), 4 * c->lanes);
}

/* The sums of a panel with `count` times 16 tokens: tiles 0 to 3 are sums, 4 and 5 weight, 6 and 7 x. */
static void emit_tiles(emitter *e, const int8_code *c, const em_tiles *t, unsigned count, cg_val x, cg_val w, cg_val out) {
    const int64_t square = EM_TILE_ROWS * EM_TILE_ROW_BYTES, row_squares = c->quads / EM_TILE_ROWS;
    cg_val w_stride = em_int(e, EM_TILE_ROW_BYTES), stride = em_int(e, 4 * c->W);
    em_loop loop;
    for (unsigned i = 0; i < 2 * count; i++) em_tile_zero(e, t, i);
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, row_squares), 1, NULL, 0);
    cg_val columns = em_index(e, x, loop.index, EM_TILE_ROWS * 4 * c->W), weights = em_index(e, w, loop.index, square);
    for (unsigned i = 0; i < count; i++) em_tile_load(e, t, 6 + i, em_at_int(e, columns, (int64_t)i * EM_TILE_ROW_BYTES), stride);
    for (unsigned r = 0; r < 2; r++) {
        em_tile_load(e, t, 4 + r, em_at_int(e, weights, (int64_t)r * row_squares * square), w_stride);
        for (unsigned i = 0; i < count; i++) em_tile_dot_s8u8(e, t, r * count + i, 4 + r, 6 + i);
    }
    em_loop_end(e, &loop, NULL);
    for (unsigned i = 0; i < 2 * count; i++) {
        cg_val to = em_at_int(e, out, 4 * (int64_t)(i / count * EM_TILE_ROWS * c->W + i % count * EM_TILE_ROWS));
        em_tile_store(e, t, i, to, stride);
    }
}

/* All panels of the unit with all tokens of its tiles, in registers that are tiles themselves. */
static void emit_sums_by_tiles(emitter *e, const int8_code *c, const int8_unit *u) {
    em_loop panels, tiles, parts;
    const em_tiles t = em_tiles_begin(e);
    em_loop_begin(e, &panels, em_int(e, 0), u->n_panels, 1, NULL, 0);
    cg_val w = em_index(e, u->w, panels.index, 4 * c->quads * c->panel);
    em_loop_begin(e, &tiles, em_int(e, 0), u->n_tiles, 1, NULL, 0);
    cg_val x = em_index(e, u->x, tiles.index, 4 * c->quads * c->W);
    cg_val out = em_index(e, em_index(e, em_scratch(e), tiles.index, 4 * c->rows * c->W), panels.index, 4 * c->panel * c->W);
    cg_val live = em_mul_int(e, em_div_int_up(e, live_lanes(e, c, u, tiles.index), EM_TILE_ROWS), EM_TILE_ROWS);
    cg_val whole = em_sub(e, live, em_rem_int(e, live, 2 * EM_TILE_ROWS));
    em_loop_begin(e, &parts, em_int(e, 0), whole, 2 * EM_TILE_ROWS, NULL, 0);
    emit_tiles(e, c, &t, 2, em_index(e, x, parts.index, 4), w, em_index(e, out, parts.index, 4));
    em_loop_end(e, &parts, NULL);
    em_if odd;
    em_if_begin(e, &odd, em_less(e, whole, live));
    emit_tiles(e, c, &t, 1, em_index(e, x, whole, 4), w, em_index(e, out, whole, 4));
    em_if_end(e, &odd);
    em_loop_end(e, &tiles, NULL);
    em_loop_end(e, &panels, NULL);
    em_tiles_end(e, &t);
}

/* All panels of the unit with all vectors of its tiles. */
static void emit_sums(emitter *e, const int8_code *c, const int8_unit *u) {
    const int64_t part = (int64_t)(c->lanes * c->vectors);
    em_loop panels, tiles, parts;
    em_loop_begin(e, &panels, em_int(e, 0), u->n_panels, 1, NULL, 0);
    cg_val w = em_index(e, u->w, panels.index, 4 * c->quads * c->panel);
    em_loop_begin(e, &tiles, em_int(e, 0), u->n_tiles, 1, NULL, 0);
    cg_val x = em_index(e, u->x, tiles.index, 4 * c->quads * c->W);
    cg_val out = em_index(e, em_index(e, em_scratch(e), tiles.index, 4 * c->rows * c->W), panels.index, 4 * c->panel * c->W);
    cg_val live = live_lanes(e, c, u, tiles.index), whole = em_sub(e, live, em_rem_int(e, live, part));
    em_loop_begin(e, &parts, em_int(e, 0), whole, part, NULL, 0);
    emit_block(e, c, c->vectors, em_index(e, x, parts.index, 4), w, em_index(e, out, parts.index, 4));
    em_loop_end(e, &parts, NULL);
    if (c->vectors > 1) {
        em_if odd;
        em_if_begin(e, &odd, em_less(e, whole, live));
        emit_block(e, c, 1, em_index(e, x, whole, 4), w, em_index(e, out, whole, 4));
        em_if_end(e, &odd);
    }
    em_loop_end(e, &tiles, NULL);
    em_loop_end(e, &panels, NULL);
}

static void emit_results(emitter *e, const int8_code *c, const int8_unit *u) {
    em_loop tiles;
    em_loop_begin(e, &tiles, em_int(e, 0), u->n_tiles, 1, NULL, 0);
    const int8_part part = {.sums = em_index(e, em_scratch(e), tiles.index, 4 * c->rows * c->W),
                            .weight_sums = em_index(e, c->sums, u->row0, 4),
                            .tile = em_add(e, u->first_tile, tiles.index),
                            .row0 = u->row0,
                            .n_rows = u->n_rows,
                            .live = live_lanes(e, c, u, tiles.index),
                            .room = em_at_int(e, em_scratch(e), 4 * c->group * c->rows * c->W)};
    int8_emit(e, &c->epilogue, &part);
    em_loop_end(e, &tiles, NULL);
}

void emit_int8_linear(emitter *e, const cg_kernel *k) {
    int8_code c = {.N = kernel_get(k, "N"),
                   .quads = (kernel_get(k, "K") + 3) / 4,
                   .W = kernel_get(k, "W"),
                   .panel = kernel_get(k, "panel"),
                   .rows = kernel_get(k, "rows"),
                   .blocks = kernel_get(k, "blocks"),
                   .group = kernel_get(k, "group"),
                   .by_tiles = kernel_get(k, "tiles")};
    cg_val operand[KERNEL_MAX_OPERANDS], R = em_dim(e, 0);
    kernel_operands(e, k, operand);
    c.lanes = tile_lanes(e->lanes, c.W);
    c.vectors = tile_vectors(c.lanes, c.W, BLOCK_VECTORS);
    c.x = operand[0];
    c.w = operand[1];
    c.sums = em_at_int(e, c.w, 4 * c.quads * ((c.N + c.panel - 1) / c.panel * c.panel));
    int8_begin(e, k, operand, c.W, c.lanes, R, em_int(e, c.N), &c.epilogue);
    cg_val n_tiles = em_div_int_up(e, R, c.W), n_units = em_mul_int(e, em_div_int_up(e, n_tiles, c.group), c.blocks);
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_min(e, em_end_unit(e), n_units), 1, NULL, 0);
    int8_unit u = {.first_tile = em_mul_int(e, em_div_int(e, units.index, c.blocks), c.group)};
    u.n_tiles = em_min(e, em_int(e, c.group), em_sub(e, n_tiles, u.first_tile));
    u.live = tile_live_lanes(e, R, em_add(e, u.first_tile, em_add_int(e, u.n_tiles, -1)), c.W, c.lanes);
    u.row0 = em_mul_int(e, em_rem_int(e, units.index, c.blocks), c.rows);
    u.n_rows = em_min(e, em_int(e, c.rows), em_sub(e, em_int(e, c.N), u.row0));
    u.n_panels = em_div_int_up(e, u.n_rows, c.panel);
    u.x = em_index(e, c.x, u.first_tile, 4 * c.quads * c.W);
    u.w = em_index(e, c.w, u.row0, 4 * c.quads);
    if (c.by_tiles) emit_sums_by_tiles(e, &c, &u);
    else emit_sums(e, &c, &u);
    emit_results(e, &c, &u);
    em_loop_end(e, &units, NULL);
}
