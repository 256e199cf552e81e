/*
 * linear_weight_gradient of a dense weight: dw [N,K] = dy^T x, db = column sums of dy; x [R,K] and dy [R,N] in tiles<W>.
 *
 * A unit is a block of rows of dw times a strip of its columns, over all tokens, so that no partial sums meet. For a group of tiles at a
 * time the strip of x is transposed into scratch, [part][token][column of the part], a part as wide as the register block, so that one part
 * lies without gaps in L1 while the panels of rows pass; and then the register block of gemm_block.h takes panels of rows: numbers of dy, which stand side by side in a tile, are broadcast, vectors along the columns are multiplied with them, the sum over
 * the tokens of the group stays in registers and is added to the sums in scratch; with the last group the sums go to dw. A strip that
 * ends past K repeats the last column there, and is copied to dw from scratch; tokens past R are not counted. Units behind these sum db.
 *
 * operands: x, dy, [dw], [db]. dims: R.
 */
#include "codegen/column_sums.h"
#include "codegen/gemm_block.h"
#include "codegen/transpose.h"

#define STRIP_VECTORS 8  /* of columns of a unit */
#define MOST_ROWS 768    /* of dw, of a unit: sums of 384 KB with vectors of 16 lanes */
#define GROUP_TOKENS 256 /* whose strip of x is 128 KB then */
#define BLOCK_VECTORS 2

typedef struct gradient_shape {
    int64_t N, K, W, lanes, panel; /* lanes of vectors along the columns; rows of a register block */
    int64_t strip, strips, rows, blocks, tiles;
} gradient_shape;

static int64_t parts(int64_t n, int64_t of) { return (n + of - 1) / of; }

/* `rows`: rows that the registers of the target hold; `lanes`: of its vectors. */
static gradient_shape make_shape(int64_t N, int64_t K, int64_t W, int64_t lanes, int64_t rows) {
    gradient_shape s = {.N = N, .K = K, .W = W, .lanes = lanes, .panel = rows < N ? rows : N};
    s.strip = STRIP_VECTORS * lanes;
    while (s.strip > BLOCK_VECTORS * lanes && s.strip / 2 >= K) s.strip /= 2;
    s.strips = parts(K, s.strip);
    s.blocks = parts(N, MOST_ROWS);
    s.rows = parts(parts(N, s.blocks), s.panel) * s.panel;
    s.blocks = parts(N, s.rows);
    s.tiles = W < GROUP_TOKENS ? GROUP_TOKENS / W : 1;
    return s;
}

static int64_t strip_bytes(const gradient_shape *s) { return 4 * s->tiles * s->W * s->strip; }

bool describe_weight_gradient(const cg_group *g, const cg_target *target, cg_kernel *k) {
    const ir_node *n = group_single(g, OP_linear_weight_gradient);
    if (!n || node_input(n, 2)) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *dy = graph_type(g->graph, n->inputs[1]);
    if (!is_f32_tiles(x) || !is_f32_tiles(dy)) return false;
    bool wants_dw = g->stored[n->first_result], wants_db = g->stored[n->first_result + 1];
    gradient_shape s = make_shape(type_features(dy), type_features(x), x->tile, target->vector_bytes / 4, gemm_block_rows(target));
    const int64_t products = wants_dw ? s.strips * s.blocks : 0, biases = wants_db ? parts(s.N, COLUMN_SUMS_ROWS) : 0;
    if (kernel_option(k, "tile", s.W) != s.W) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    if (wants_dw) kernel_operand(k, n->first_result);
    if (wants_db) kernel_operand(k, n->first_result + 1);
    kernel_set(k, "N", s.N);
    kernel_set(k, "K", s.K);
    kernel_set(k, "W", s.W);
    kernel_set(k, "dw", wants_dw);
    kernel_set(k, "db", wants_db);
    kernel_dim(k, x->dims[0]);
    k->work = dim_const(products + biases);
    const int64_t bytes = strip_bytes(&s) + 4 * s.rows * s.strip, others = column_sums_scratch(s.W);
    k->scratch_bytes = dim_const(bytes > others ? bytes : others);
    k->flops = kernel_scaled(x->dims[0], 2 * s.N * s.K, 0, NULL);
    k->bytes = kernel_scaled(x->dims[0], 4 * (s.N + s.K), 4 * s.N * s.K, NULL);
    return true;
}

typedef struct gradient_code {
    gradient_shape s;
    unsigned tile_lanes; /* of vectors along the tokens */
    cg_val x, dy, dw, n_rows, n_tiles;
    cg_val strip, sums; /* scratch */
} gradient_code;

static int64_t part_columns(const gradient_shape *s) { return BLOCK_VECTORS * s->lanes; }

/* Bytes of a part of the strip, for all tokens of a group. */
static int64_t part_bytes(const gradient_shape *s) { return 4 * s->tiles * s->W * part_columns(s); }

/* The strip of one tile from column0 on, to where the tile's tokens are in the first part. */
static void emit_strip(emitter *e, const gradient_code *c, cg_val x, cg_val column0, cg_val to) {
    const int64_t of_part = part_columns(&c->s);
    const tile_strip part = {c->s.K, c->s.W, of_part, c->tile_lanes};
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, c->s.strip / of_part), 1, NULL, 0);
    transpose_strip_emit(e, &part, x, em_add(e, column0, em_mul_int(e, loop.index, of_part)),
                         em_index(e, to, loop.index, part_bytes(&c->s)));
    em_loop_end(e, &loop, NULL);
}

/* A group of tiles, and where its sums go. */
typedef struct gradient_group {
    cg_val dy; /* of the first tile and the unit's first row */
    cg_val n_tiles, n_tokens;
    cg_val is_first;       /* there are no sums yet */
    cg_val out, row_bytes; /* the unit's first row: in scratch, or of dw */
} gradient_group;

/* `rows` rows of dw from the unit's row `row` on with one part of the strip, summed over the tiles of a group. */
static void emit_block(emitter *e, const gradient_code *c, const gradient_group *group, unsigned rows, cg_val row, cg_val part) {
    const gradient_shape *s = &c->s;
    const unsigned lanes = (unsigned)s->lanes, n = rows * BLOCK_VECTORS;
    const gemm_block g = {.rows = rows,
                          .vectors = BLOCK_VECTORS,
                          .lanes = lanes,
                          .x_step = 4 * part_columns(s),
                          .w_step = 4,
                          .w_row_step = 4 * s->W,
                          .x_align = 4 * lanes,
                          .unroll = 4};
    cg_val sum[GEMM_MAX_SUMS], zero = em_const(e, lanes, 0);
    cg_val x = em_index(e, c->strip, part, part_bytes(s)), dy = em_index(e, group->dy, row, 4 * s->W);
    for (unsigned i = 0; i < n; i++) sum[i] = zero;
    em_loop tiles;
    em_loop_begin(e, &tiles, em_int(e, 0), group->n_tiles, 1, sum, n);
    for (unsigned i = 0; i < n; i++) sum[i] = tiles.carried[i];
    cg_val count = em_min(e, em_int(e, s->W), em_sub(e, group->n_tokens, em_mul_int(e, tiles.index, s->W)));
    gemm_block_emit(e, &g, em_index(e, x, tiles.index, 4 * s->W * part_columns(s)), em_index(e, dy, tiles.index, 4 * s->N * s->W),
                    count, sum);
    em_loop_end(e, &tiles, sum);
    const unsigned align = 4 * lanes;
    cg_val from = em_index(e, em_index(e, c->sums, row, 4 * s->strip), part, 4 * part_columns(s)),
           to = em_index(e, em_at(e, group->out, em_mul(e, row, group->row_bytes)), part, 4 * part_columns(s));
    for (unsigned i = 0; i < n; i++) {
        cg_val before =
            em_load(e, lanes, em_at_int(e, from, 4 * (i / BLOCK_VECTORS * s->strip + i % BLOCK_VECTORS * lanes)), align);
        sum[i] = em_fadd(e, em_select(e, group->is_first, zero, before), tiles.carried[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        cg_val line = em_at(e, to, em_mul_int(e, group->row_bytes, i / BLOCK_VECTORS));
        em_store(e, sum[i], em_at_int(e, line, 4 * (int64_t)(i % BLOCK_VECTORS * lanes)), 4);
    }
}

/* All rows of the unit, panel after panel, with each part of the strip, which stays in L1 meanwhile. */
static void emit_group(emitter *e, const gradient_code *c, const gradient_group *group, cg_val n_unit_rows) {
    const gradient_shape *s = &c->s;
    const int64_t rest = s->N % s->panel;
    em_loop parts_of_strip, panels;
    cg_val whole = em_mul_int(e, em_div_int(e, n_unit_rows, s->panel), s->panel);
    em_loop_begin(e, &parts_of_strip, em_int(e, 0), em_int(e, s->strip / part_columns(s)), 1, NULL, 0);
    em_loop_begin(e, &panels, em_int(e, 0), whole, s->panel, NULL, 0);
    emit_block(e, c, group, (unsigned)s->panel, panels.index, parts_of_strip.index);
    em_loop_end(e, &panels, NULL);
    if (rest > 0) {
        em_if last;
        em_if_begin(e, &last, em_less(e, whole, n_unit_rows));
        emit_block(e, c, group, (unsigned)rest, whole, parts_of_strip.index);
        em_if_end(e, &last);
    }
    em_loop_end(e, &parts_of_strip, NULL);
}

static void emit_product_unit(emitter *e, const gradient_code *c, cg_val unit) {
    const gradient_shape *s = &c->s;
    cg_val column0 = em_mul_int(e, em_rem_int(e, unit, s->strips), s->strip),
           row0 = em_mul_int(e, em_div_int(e, unit, s->strips), s->rows);
    cg_val n_rows = em_min(e, em_int(e, s->rows), em_sub(e, em_int(e, s->N), row0));
    cg_val n_columns = em_min(e, em_int(e, s->strip), em_sub(e, em_int(e, s->K), column0));
    cg_val is_cut = em_less(e, n_columns, em_int(e, s->strip)), dw = em_index(e, em_index(e, c->dw, row0, 4 * s->K), column0, 4);
    em_loop groups, tiles, rows;
    em_if cut;
    em_loop_begin(e, &groups, em_int(e, 0), em_max(e, c->n_tiles, em_int(e, 1)), s->tiles, NULL, 0); /* no tokens: zeros */
    cg_val left = em_sub(e, c->n_tiles, groups.index),
           in_scratch = em_select(e, is_cut, is_cut, em_less(e, em_int(e, s->tiles), left));
    const gradient_group group = {.dy = em_index(e, em_index(e, c->dy, groups.index, 4 * s->N * s->W), row0, 4 * s->W),
                                  .n_tiles = em_min(e, em_int(e, s->tiles), left),
                                  .n_tokens = em_sub(e, c->n_rows, em_mul_int(e, groups.index, s->W)),
                                  .is_first = em_equal(e, groups.index, em_int(e, 0)),
                                  .out = em_select(e, in_scratch, c->sums, dw),
                                  .row_bytes = em_select(e, in_scratch, em_int(e, 4 * s->strip), em_int(e, 4 * s->K))};
    em_loop_begin(e, &tiles, em_int(e, 0), group.n_tiles, 1, NULL, 0);
    cg_val x = em_index(e, c->x, em_add(e, groups.index, tiles.index), 4 * s->K * s->W);
    emit_strip(e, c, x, column0, em_index(e, c->strip, tiles.index, 4 * s->W * part_columns(s)));
    em_loop_end(e, &tiles, NULL);
    emit_group(e, c, &group, n_rows);
    em_loop_end(e, &groups, NULL);
    em_if_begin(e, &cut, is_cut);
    em_loop_begin(e, &rows, em_int(e, 0), n_rows, 1, NULL, 0);
    emit_copy(e, em_index(e, dw, rows.index, 4 * s->K), em_index(e, c->sums, rows.index, 4 * s->strip), n_columns, 4);
    em_loop_end(e, &rows, NULL);
    em_if_end(e, &cut);
}

void emit_weight_gradient(emitter *e, const cg_kernel *k) {
    const bool dw = kernel_get(k, "dw"), db = kernel_get(k, "db");
    gradient_code c = {
        .s = make_shape(kernel_get(k, "N"), kernel_get(k, "K"), kernel_get(k, "W"), e->lanes, gemm_block_rows(e->target)),
        .x = em_buffer(e, 0),
        .dy = em_buffer(e, 1),
        .n_rows = em_dim(e, 0),
        .strip = em_scratch(e)};
    c.tile_lanes = tile_lanes(e->lanes, c.s.W);
    c.dw = dw ? em_buffer(e, 2) : NULL;
    c.n_tiles = em_div_int_up(e, c.n_rows, c.s.W);
    c.sums = em_at_int(e, c.strip, strip_bytes(&c.s));
    const column_sums sums = {c.s.N, c.s.W, c.tile_lanes, c.n_rows, c.dy, db ? em_buffer(e, dw ? 3 : 2) : NULL, c.strip};
    const int64_t products = dw ? c.s.strips * c.s.blocks : 0;
    em_loop units;
    em_if kind;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    em_if_begin(e, &kind, em_less(e, units.index, em_int(e, products)));
    if (dw) emit_product_unit(e, &c, units.index);
    em_else(e, &kind);
    if (db) column_sums_emit(e, &sums, em_mul_int(e, em_add_int(e, units.index, -products), COLUMN_SUMS_ROWS));
    em_if_end(e, &kind);
    em_loop_end(e, &units, NULL);
}
