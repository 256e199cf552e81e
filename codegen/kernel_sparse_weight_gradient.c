/*
 * linear_weight_gradient of a sparse weight: dw = dy^T x at the positions of a pattern, db = column sums of dy; x [R,K] and dy [R,N] in
 * tiles<W>. A sampled product (SDDMM) that walks the index of the forward product, ir/sparse_layout.h, stream, not transposed.
 *
 * A unit is a part of the visits of one (row group, block of columns) and takes all tiles of tokens, so that an element of dw is
 * summed by one unit in the order of the tiles and no partial sums meet. Within it, for each tile, whose [k_block][W] activations stay
 * in L1, and each visit: the row of dy is held in registers, up to eight entries (sixteen, where vectors have as many lanes) are
 * multiplied with it at a time, one sum of vectors each, and the sums are folded into one vector of as many numbers by a tree of
 * transposing additions. These are added up in scratch, in the order of the stream with each visit filled to a multiple of eight, so
 * that memory is walked in order and needs no masks; after the last tile they are copied to where the pattern's order has them (`firsts`).
 *
 * Lanes past R may hold anything: the block of x and the rows of dy of a last tile that is not full are copied with zeros there.
 * Units behind these sum db, a block of rows of dy each.
 *
 * operands: x, dy, index, [dw], [db]. dims: R.
 */
#include <stddef.h>

#include "codegen/column_sums.h"
#include "codegen/kernel.h"
#include "codegen/sparse_defaults.h"

#define FILL LANE_SUMS /* sums of a visit are filled to a multiple of so many */
#define MULTIPLIED 4   /* entries whose addresses are held at a time */
#define WANTED_UNITS 16
#define NEXT_BLOCK_BYTES 128 /* of the next tile's block of x that a visit fetches */
#define ROW_AHEAD 2          /* visits ahead whose row of dy is fetched; the index has 8 more than there are */

typedef struct gradient_shape {
    int64_t N, K, W, k_block, rows;
    int64_t groups, k_blocks, parts, products, biases; /* units of dw and of db */
} gradient_shape;

static int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static void count_units(gradient_shape *s, bool dw, bool db) {
    s->groups = quotient_up(s->N, s->rows);
    s->k_blocks = quotient_up(s->K, s->k_block);
    s->parts = quotient_up(WANTED_UNITS, s->groups * s->k_blocks);
    s->products = dw ? s->groups * s->k_blocks * s->parts : 0;
    s->biases = db ? quotient_up(s->N, COLUMN_SUMS_ROWS) : 0;
}

static int64_t round_up(int64_t n) { return quotient_up(n, 64) * 64; }

/* Bytes of scratch: the last tile's rows of dy and block of x, the buckets of the part, the sums but for 4 bytes per non-zero. Units
 * of db have less. */
static int64_t row_copy_bytes(const gradient_shape *s) {
    const int64_t bytes = 4 * s->rows * s->W, others = column_sums_scratch(s->W);
    return round_up(bytes > others ? bytes : others);
}
static int64_t block_copy_bytes(const gradient_shape *s) { return round_up(4 * s->k_block * s->W); }
static int64_t bucket_bytes(const gradient_shape *s) { return round_up(4 * s->k_block); }
static int64_t fill_bytes(const gradient_shape *s) { return 4 * (FILL - 1) * s->rows + 64; }

static bool is_sparse_gradient(const cg_group *g, const ir_node *n) {
    if (!n || !node_input(n, 2)) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *dy = graph_type(g->graph, n->inputs[1]);
    return is_f32_tiles(x) && is_f32_tiles(dy) && is_leaf_value(g->graph, n->inputs[2]);
}

bool describe_sparse_weight_gradient(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_linear_weight_gradient);
    if (!is_sparse_gradient(g, n)) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *dy = graph_type(g->graph, n->inputs[1]),
                  *dw = graph_type(g->graph, n->first_result);
    gradient_shape s = {.N = type_features(dy), .K = type_features(x), .W = x->tile};
    bool wants_dw = g->stored[n->first_result], wants_db = g->stored[n->first_result + 1], ok = true;
    s.k_block = kernel_option(k, "k_block", sparse_default_k_block(s.W, s.K));
    s.rows = kernel_option(k, "rows", sparse_default_rows(s.W, s.N));
    if (kernel_option(k, "tile", s.W) != s.W) return false;
    if ((s.k_block - 1) * s.W / 2 > UINT16_MAX || s.rows > UINT16_MAX || s.W > UINT16_MAX) return false;
    count_units(&s, wants_dw, wants_db);
    sparse_layout layout = {.kind = SPARSE_STREAM,
                            .tile = (uint16_t)s.W,
                            .k_block = (uint16_t)s.k_block,
                            .row_group = (uint16_t)s.rows,
                            .block_rows = 1,
                            .block_columns = 1};
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    kernel_sparse_operand(k, n->inputs[2], PACKING_SPARSE_INDEX, &layout);
    if (wants_dw) kernel_operand(k, n->first_result);
    if (wants_db) kernel_operand(k, n->first_result + 1);
    kernel_set(k, "N", s.N);
    kernel_set(k, "K", s.K);
    kernel_set(k, "W", s.W);
    kernel_set(k, "k_block", s.k_block);
    kernel_set(k, "rows", s.rows);
    kernel_set(k, "dw", wants_dw);
    kernel_set(k, "db", wants_db);
    kernel_dim(k, x->dims[0]);
    k->work = dim_const(s.products + s.biases);
    k->scratch_bytes =
        kernel_scaled(dw->dims[0], 4, row_copy_bytes(&s) + block_copy_bytes(&s) + bucket_bytes(&s) + fill_bytes(&s), &ok);
    bool counted;
    ir_dim products = dim_mul(dw->dims[0], x->dims[0], &counted);
    k->flops = counted ? kernel_scaled(products, 2, 0, NULL) : dim_const(0);
    k->bytes = kernel_scaled(x->dims[0], 4 * (s.N + s.K), 0, NULL);
    return ok;
}

/* ---- the walk ---- */

typedef struct gradient_code {
    gradient_shape s;
    unsigned lanes, vectors; /* of dy that are held at a time */
    unsigned batch;          /* entries that are summed at a time */
    cg_val x, dy, index, dw, db, n_tiles, n_rows;
    cg_val row_copy, block_copy, buckets, sums;              /* scratch */
    cg_val segments, all_buckets, all_rows, firsts, offsets; /* of the index */
} gradient_code;

/* The unit at hand. */
typedef struct gradient_unit {
    cg_val x, dy;           /* of the first tile */
    cg_val n_rows, columns; /* of the block */
    cg_val n_buckets, n_sums;
    cg_val rows, firsts, offsets; /* of the first visit */
} gradient_unit;

/* Where the walk is, as carried by loops; NEXT_BLOCK: in the next tile's block of x, which is fetched meanwhile. */
enum { ROWS, OFFSETS, SUMS, NEXT_BLOCK, N_PLACES };

static cg_val load_u16(emitter *e, cg_val at) { return em_load_unsigned(e, 2, at); }

/* sum[i]: the products of the row of dy with entry i of `count`, whose offsets are at `offsets`. */
static void emit_products(emitter *e, const gradient_code *c, cg_val x, const cg_val *dy, cg_val offsets, unsigned count,
                          cg_val *sum) {
    cg_val entry[MULTIPLIED];
    for (unsigned i = 0; i < count; i++) entry[i] = em_index(e, x, load_u16(e, em_at_int(e, offsets, 2 * i)), 8);
    for (unsigned v = 0; v < c->vectors; v++)
        for (unsigned i = 0; i < count; i++) {
            cg_val part = em_load(e, c->lanes, em_at_int(e, entry[i], 4 * (int64_t)(v * c->lanes)), 4 * c->lanes);
            sum[i] = v == 0 ? em_fmul(e, dy[0], part) : em_fma(e, dy[v], part, sum[i]);
        }
}

/* One batch: `count` entries at `offsets` with the row of dy. */
static void emit_batch(emitter *e, const gradient_code *c, cg_val x, const cg_val *dy, cg_val offsets, cg_val sums,
                       unsigned count) {
    cg_val sum[LANE_SUMS_MOST];
    for (unsigned i = 0; i < count; i += MULTIPLIED)
        emit_products(e, c, x, dy, em_at_int(e, offsets, 2 * i), count - i < MULTIPLIED ? count - i : MULTIPLIED, &sum[i]);
    lane_sums_add(e, sum, count, sums);
}

/* While a visit of `row` runs, a later visit's row of dy is fetched into L1; into L2, what the next tile needs: its row of dy, and a part
 * of its block of x. */
static void fetch_later(emitter *e, const gradient_code *c, cg_val dy, cg_val row, const cg_val at[N_PLACES]) {
    cg_val later = em_index(e, dy, load_u16(e, em_at_int(e, at[ROWS], 2 * ROW_AHEAD)), 4 * c->s.W);
    cg_val next_tile = em_at_int(e, row, 4 * c->s.N * c->s.W);
    for (int64_t line = 0; line < 4 * (int64_t)(c->vectors * c->lanes); line += 64) {
        em_prefetch_near(e, em_at_int(e, later, line));
        em_prefetch(e, em_at_int(e, next_tile, line));
    }
    for (int64_t line = 0; line < NEXT_BLOCK_BYTES; line += 64) em_prefetch(e, em_at_int(e, at[NEXT_BLOCK], line));
}

/* One visit: a row of dy and its entries. Moves `at` behind it. */
static void emit_visit(emitter *e, const gradient_code *c, cg_val x, cg_val dy, cg_val entries, cg_val at[N_PLACES]) {
    cg_val row = em_index(e, dy, load_u16(e, at[ROWS]), 4 * c->s.W), held[EM_MAX_CARRIED];
    for (unsigned v = 0; v < c->vectors; v++)
        held[v] = em_load(e, c->lanes, em_at_int(e, row, 4 * (int64_t)(v * c->lanes)), 4 * c->lanes);
    fetch_later(e, c, dy, row, at);
    em_loop batches;
    em_switch rest;
    cg_val inner[] = {at[OFFSETS], at[SUMS]};
    em_loop_begin(e, &batches, em_int(e, 0), em_div_int(e, entries, c->batch), 1, inner, 2);
    emit_batch(e, c, x, held, batches.carried[0], batches.carried[1], c->batch);
    inner[0] = em_at_int(e, batches.carried[0], 2 * c->batch);
    inner[1] = em_at_int(e, batches.carried[1], 4 * c->batch);
    em_loop_end(e, &batches, inner);
    em_switch_begin(e, &rest, em_rem_int(e, entries, c->batch));
    for (unsigned i = 1; i < c->batch; i++) {
        em_case(e, &rest, i);
        emit_batch(e, c, x, held, batches.carried[0], batches.carried[1], i);
    }
    em_switch_end(e, &rest);
    at[ROWS] = em_at_int(e, at[ROWS], 2);
    at[OFFSETS] = em_index(e, at[OFFSETS], entries, 2);
    at[SUMS] = em_index(e, at[SUMS], em_div_int_up(e, entries, FILL), 4 * FILL);
    at[NEXT_BLOCK] = em_at_int(e, at[NEXT_BLOCK], NEXT_BLOCK_BYTES);
}

/* Loops over the visits of the unit, in which at[] is the place and *entries their number; visits_end gets the next place. */
typedef struct visit_loops {
    em_loop buckets, visits;
    cg_val entries;
} visit_loops;

static void visits_begin(emitter *e, const gradient_code *c, const gradient_unit *u, visit_loops *l, cg_val at[N_PLACES]) {
    em_loop_begin(e, &l->buckets, em_int(e, 0), u->n_buckets, 1, at, N_PLACES);
    cg_val bucket = em_index(e, c->buckets, l->buckets.index, (int64_t)sizeof(sparse_bucket));
    l->entries = load_u16(e, bucket);
    em_loop_begin(e, &l->visits, em_int(e, 0), load_u16(e, em_at_int(e, bucket, 2)), 1, l->buckets.carried, N_PLACES);
    for (unsigned i = 0; i < N_PLACES; i++) at[i] = l->visits.carried[i];
}

static void visits_end(emitter *e, visit_loops *l, const cg_val at[N_PLACES]) {
    em_loop_end(e, &l->visits, at);
    em_loop_end(e, &l->buckets, l->visits.carried);
}

/* Rows of a tile, with zeros in the lanes that are not used. */
static void emit_cut_copy(emitter *e, const gradient_code *c, cg_val to, cg_val from, cg_val n_rows, cg_val used) {
    const unsigned align = 4 * c->lanes;
    em_loop rows, vectors;
    em_loop_begin(e, &rows, em_int(e, 0), n_rows, 1, NULL, 0);
    em_loop_begin(e, &vectors, em_int(e, 0), em_int(e, c->s.W), c->lanes, NULL, 0);
    cg_val at = em_mul_int(e, em_add(e, em_mul_int(e, rows.index, c->s.W), vectors.index), 4);
    cg_val inside = em_lanes_in_range(e, c->lanes, vectors.index, em_int(e, 0), used);
    cg_val vector = em_load(e, c->lanes, em_at(e, from, at), align);
    em_store(e, em_select(e, inside, vector, em_const(e, c->lanes, 0)), em_at(e, to, at), align);
    em_loop_end(e, &vectors, NULL);
    em_loop_end(e, &rows, NULL);
}

/* The sums over all tiles. */
static void emit_tiles(emitter *e, const gradient_code *c, const gradient_unit *u) {
    const int64_t W = c->s.W, part_bytes = 4 * (int64_t)(c->vectors * c->lanes);
    em_loop clear, tiles, parts;
    em_loop_begin(e, &clear, em_int(e, 0), u->n_sums, 8, NULL, 0);
    for (unsigned i = 0; i < 8; i += 4) em_store(e, em_const(e, 4, 0), em_index(e, c->sums, em_add_int(e, clear.index, i), 4), 16);
    em_loop_end(e, &clear, NULL);
    em_loop_begin(e, &tiles, em_int(e, 0), c->n_tiles, 1, NULL, 0);
    cg_val x = em_index(e, u->x, tiles.index, 4 * c->s.K * W), dy = em_index(e, u->dy, tiles.index, 4 * c->s.N * W);
    cg_val used = em_sub(e, c->n_rows, em_mul_int(e, tiles.index, W)), is_short = em_less(e, used, em_int(e, W));
    em_if cut;
    em_if_begin(e, &cut, is_short);
    emit_cut_copy(e, c, c->block_copy, x, u->columns, used);
    emit_cut_copy(e, c, c->row_copy, dy, u->n_rows, used);
    em_if_end(e, &cut);
    x = em_select(e, is_short, c->block_copy, x);
    dy = em_select(e, is_short, c->row_copy, dy);
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, 4 * W), part_bytes, NULL, 0);
    cg_val at[N_PLACES] = {u->rows, u->offsets, c->sums, em_at_int(e, x, 4 * c->s.K * W)};
    visit_loops l;
    visits_begin(e, c, u, &l, at);
    emit_visit(e, c, em_at(e, x, parts.index), em_at(e, dy, parts.index), l.entries, at);
    visits_end(e, &l, at);
    em_loop_end(e, &parts, NULL);
    em_loop_end(e, &tiles, NULL);
}

/* `count` sums to dw. Where stores can be masked at no cost, the last vector of sums may be read past its end, into the room there. */
static void emit_result(emitter *e, cg_val to, cg_val sums, cg_val count) {
    const unsigned lanes = LANE_SUMS_MOST;
    if (e->lanes < lanes) {
        emit_copy(e, to, sums, count, 4);
        return;
    }
    em_loop vectors;
    em_loop_begin(e, &vectors, em_int(e, 0), count, lanes, NULL, 0);
    cg_val inside = em_lanes_in_range(e, lanes, vectors.index, em_int(e, 0), count);
    cg_val sum = em_load(e, lanes, em_index(e, sums, vectors.index, 4), 32);
    em_store_masked(e, sum, em_index(e, to, vectors.index, 4), inside, 4);
    em_loop_end(e, &vectors, NULL);
}

/* The sums to their places in dw. */
static void emit_results(emitter *e, const gradient_code *c, const gradient_unit *u) {
    cg_val at[N_PLACES] = {u->firsts, u->offsets, c->sums, c->sums};
    visit_loops l;
    visits_begin(e, c, u, &l, at);
    cg_val to = em_index(e, c->dw, em_load_unsigned(e, 4, at[ROWS]), 4);
    emit_result(e, to, at[SUMS], l.entries);
    at[ROWS] = em_at_int(e, at[ROWS], 4);
    at[SUMS] = em_index(e, at[SUMS], em_div_int_up(e, l.entries, FILL), 4 * FILL);
    visits_end(e, &l, at);
}

/* ---- units ---- */

static cg_val load_u32(emitter *e, cg_val at, int64_t offset) { return em_load_unsigned(e, 4, em_at_int(e, at, offset)); }

/* (wanted - begin) / entries, rounded up, within [0, visits]: the visits of a bucket that start before entry `wanted`. */
static cg_val visits_before(emitter *e, cg_val wanted, cg_val begin, cg_val entries, cg_val visits) {
    cg_val behind = em_max(e, em_sub(e, wanted, begin), em_int(e, 0));
    return em_min(e, em_div(e, em_add_int(e, em_add(e, behind, entries), -1), entries), visits);
}

/* Buckets of the part of a segment that starts in the entries [first, last), with the visits that belong to it: fills c->buckets and
 * the places of the unit. */
static void emit_part(emitter *e, const gradient_code *c, cg_val segment, cg_val part, gradient_unit *u) {
    enum { BUCKETS, SUMMED, ENTRY, VISIT, FIRST_ENTRY, FIRST_VISIT, N_STATE };
    const int64_t next = (int64_t)sizeof(sparse_segment);
    cg_val s = em_index(e, c->segments, segment, next);
    cg_val entry = load_u32(e, s, 8), n_entries = em_sub(e, load_u32(e, s, next + 8), entry);
    cg_val first = em_add(e, entry, em_div_int(e, em_mul(e, n_entries, part), c->s.parts));
    cg_val last = em_add(e, entry, em_div_int(e, em_mul(e, n_entries, em_add_int(e, part, 1)), c->s.parts));
    cg_val state[N_STATE] = {em_int(e, 0), em_int(e, 0), entry, load_u32(e, s, 4), entry, load_u32(e, s, 4)};
    em_loop loop;
    em_loop_begin(e, &loop, load_u32(e, s, 0), load_u32(e, s, next), 1, state, N_STATE);
    cg_val *now = loop.carried, bucket = em_index(e, c->all_buckets, loop.index, (int64_t)sizeof(sparse_bucket));
    cg_val entries = load_u16(e, bucket), visits = load_u16(e, em_at_int(e, bucket, 2));
    cg_val begin = visits_before(e, first, now[ENTRY], entries, visits), end = visits_before(e, last, now[ENTRY], entries, visits);
    cg_val count = em_sub(e, end, begin), to = em_index(e, c->buckets, now[BUCKETS], (int64_t)sizeof(sparse_bucket));
    cg_val is_first = em_and(e, em_equal(e, now[SUMMED], em_int(e, 0)), em_less(e, em_int(e, 0), count));
    em_store_int(e, IR_I16, entries, to); /* behind the last bucket when there are no visits: overwritten or not read */
    em_store_int(e, IR_I16, count, em_at_int(e, to, 2));
    cg_val filled = em_mul_int(e, em_mul(e, count, em_div_int_up(e, entries, FILL)), FILL);
    state[BUCKETS] = em_select(e, em_less(e, em_int(e, 0), count), em_add_int(e, now[BUCKETS], 1), now[BUCKETS]);
    state[SUMMED] = em_add(e, now[SUMMED], filled);
    state[ENTRY] = em_add(e, now[ENTRY], em_mul(e, entries, visits));
    state[VISIT] = em_add(e, now[VISIT], visits);
    state[FIRST_ENTRY] = em_select(e, is_first, em_add(e, now[ENTRY], em_mul(e, entries, begin)), now[FIRST_ENTRY]);
    state[FIRST_VISIT] = em_select(e, is_first, em_add(e, now[VISIT], begin), now[FIRST_VISIT]);
    em_loop_end(e, &loop, state);
    u->n_buckets = loop.carried[BUCKETS];
    u->n_sums = loop.carried[SUMMED];
    u->rows = em_index(e, c->all_rows, loop.carried[FIRST_VISIT], 2);
    u->firsts = em_index(e, c->firsts, loop.carried[FIRST_VISIT], 4);
    u->offsets = em_index(e, c->offsets, loop.carried[FIRST_ENTRY], 2);
}

static void emit_product_unit(emitter *e, const gradient_code *c, cg_val unit) {
    const gradient_shape *s = &c->s;
    cg_val part = em_rem_int(e, unit, s->parts), segment = em_div_int(e, unit, s->parts);
    cg_val group = em_div_int(e, segment, s->k_blocks), block = em_rem_int(e, segment, s->k_blocks);
    cg_val column = em_mul_int(e, block, s->k_block), row = em_mul_int(e, group, s->rows);
    gradient_unit u = {.x = em_index(e, c->x, column, 4 * s->W),
                       .dy = em_index(e, c->dy, row, 4 * s->W),
                       .n_rows = em_min(e, em_int(e, s->rows), em_sub(e, em_int(e, s->N), row)),
                       .columns = em_min(e, em_int(e, s->k_block), em_sub(e, em_int(e, s->K), column))};
    emit_part(e, c, segment, part, &u);
    emit_tiles(e, c, &u);
    emit_results(e, c, &u);
}

/* Vectors of dy to hold beside the sums of a batch, an address and a product. */
static unsigned held_vectors(const emitter *e, unsigned batch, unsigned lanes, int64_t W) {
    unsigned spare = e->target->vector_registers - batch - 2, most = 1;
    while (2 * most <= spare) most *= 2;
    return tile_vectors(lanes, W, most);
}

static void read_header(emitter *e, gradient_code *c) {
    c->segments = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, segments)));
    c->all_buckets = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, buckets)));
    c->all_rows = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, rows)));
    c->firsts = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, firsts)));
    c->offsets = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, offsets)));
}

void emit_sparse_weight_gradient(emitter *e, const cg_kernel *k) {
    bool dw = kernel_get(k, "dw"), db = kernel_get(k, "db");
    gradient_code c = {.s = {.N = kernel_get(k, "N"),
                             .K = kernel_get(k, "K"),
                             .W = kernel_get(k, "W"),
                             .k_block = kernel_get(k, "k_block"),
                             .rows = kernel_get(k, "rows")},
                       .x = em_buffer(e, 0),
                       .dy = em_buffer(e, 1),
                       .index = em_buffer(e, 2),
                       .n_rows = em_dim(e, 0),
                       .row_copy = em_scratch(e)};
    count_units(&c.s, dw, db);
    c.lanes = tile_lanes(e->lanes, c.s.W);
    c.batch = c.lanes >= LANE_SUMS_MOST ? LANE_SUMS_MOST : LANE_SUMS;
    c.vectors = held_vectors(e, c.batch, c.lanes, c.s.W);
    c.dw = dw ? em_buffer(e, 3) : NULL;
    c.db = db ? em_buffer(e, dw ? 4 : 3) : NULL;
    c.n_tiles = em_div_int_up(e, c.n_rows, c.s.W);
    c.block_copy = em_at_int(e, c.row_copy, row_copy_bytes(&c.s));
    c.buckets = em_at_int(e, c.block_copy, block_copy_bytes(&c.s));
    c.sums = em_at_int(e, c.buckets, bucket_bytes(&c.s));
    read_header(e, &c);
    const column_sums sums = {c.s.N, c.s.W, c.lanes, c.n_rows, c.dy, c.db, c.row_copy};
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    em_if kind;
    em_if_begin(e, &kind, em_less(e, units.index, em_int(e, c.s.products)));
    if (dw) emit_product_unit(e, &c, units.index);
    em_else(e, &kind);
    if (db) column_sums_emit(e, &sums, em_mul_int(e, em_add_int(e, units.index, -c.s.products), COLUMN_SUMS_ROWS));
    em_if_end(e, &kind);
    em_loop_end(e, &units, NULL);
}
