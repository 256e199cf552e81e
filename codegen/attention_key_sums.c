/* Sums over queries for each key; see attention_key_sums.h. */
#include "codegen/attention_key_sums.h"

#include "codegen/transpose.h"

/* Numbers of a row of features in scratch: whole vectors. */
static int64_t padded_features(int64_t D, unsigned lanes) { return (D + lanes - 1) / lanes * lanes; }

/* Rows of scratch before and after those of keys: blocks of keys, and vectors of a tile that hold other sequences' rows too. */
static int64_t key_margin(int64_t W) { return W + MAX_KEY_ROWS; }

ir_dim key_sums_scratch(ir_dim S, int64_t D, int64_t W, unsigned lanes, bool packed, unsigned n, bool *ok) {
    const int64_t features = 4 * padded_features(D, lanes), per_key = 8 * W + n * features + (packed ? 8 * D : 0);
    return kernel_scaled(S, per_key, W * per_key + 2 * key_margin(W) * (8 * W + n * features) + n * W * features, ok);
}

/* ---- loops ---- */

static void kinds_begin(emitter *e, const key_sums *k, em_loop *loop) {
    em_loop_begin(e, loop, em_int(e, 0), em_int(e, k->n), 1, NULL, 0);
}

/* What is of kind `index`, a value. */
static cg_val of_kind(emitter *e, const key_sums *k, cg_val index, const cg_val *each) {
    return k->n == 1 ? each[0] : em_select(e, em_equal(e, index, em_int(e, 0)), each[0], each[1]);
}

/* Some features from d on, `n` of them: whole vectors of features in a loop, and what is left of a row. */
typedef void (*features_fn)(emitter *e, const attention_code *c, cg_val d, unsigned n, void *user);
static void each_vector_of_features(emitter *e, const attention_code *c, features_fn run, void *user) {
    const int64_t whole = c->D - c->D % c->lanes;
    em_loop loop;
    if (whole) {
        em_loop_begin(e, &loop, em_int(e, 0), em_int(e, whole), c->lanes, NULL, 0);
        run(e, c, loop.index, c->lanes, user);
        em_loop_end(e, &loop, NULL);
    }
    if (whole < c->D) run(e, c, em_int(e, whole), (unsigned)(c->D - whole), user);
}

static cg_val whole_vectors_before(emitter *e, const attention_code *c, cg_val lane) {
    return em_sub(e, lane, em_rem_int(e, lane, c->lanes));
}

cg_val key_sums_lanes(emitter *e, const attention_code *c, const query_part *tile) {
    return whole_vectors_before(e, c, tile->own_begin);
}

static cg_val load(emitter *e, const attention_code *c, cg_val at, int64_t align) {
    return em_load(e, c->lanes, at, (unsigned)align);
}

static bool is_wanted(const key_sums *k) { return k->result[0] || (k->n > 1 && k->result[1]); }

/* ---- a tile of queries ---- */

/* One square of a transpose: where it comes from and goes to. */
typedef struct square {
    int64_t features;      /* bytes of a row */
    cg_val from, to, mask; /* of feature 0, at the first lane; mask: lanes that are written, of tiles */
} square;

/* Vectors of features d .. d + n become rows. */
static void square_to_rows(emitter *e, const attention_code *c, cg_val d, unsigned n, void *user) {
    const square *s = user;
    cg_val row[TRANSPOSE_MAX], from = em_index(e, s->from, d, 4 * c->W), to = em_opaque(e, em_index(e, s->to, d, 4));
    for (unsigned i = 0; i < c->lanes; i++)
        row[i] = i < n ? load(e, c, em_at_int(e, from, 4 * c->W * i), 4) : em_const(e, c->lanes, 0);
    transpose_emit(e, row, c->lanes);
    for (unsigned i = 0; i < c->lanes; i++) em_store(e, row[i], em_at_int(e, to, s->features * i), 4 * c->lanes);
}

/* Rows become vectors of features d .. d + n. */
static void square_to_tile(emitter *e, const attention_code *c, cg_val d, unsigned n, void *user) {
    const square *s = user;
    cg_val row[TRANSPOSE_MAX], from = em_opaque(e, em_index(e, s->from, d, 4)), to = em_index(e, s->to, d, 4 * c->W);
    for (unsigned i = 0; i < c->lanes; i++) row[i] = load(e, c, em_at_int(e, from, s->features * i), 4 * c->lanes);
    transpose_emit(e, row, c->lanes);
    for (unsigned i = 0; i < n; i++) em_store_masked(e, row[i], em_at_int(e, to, 4 * c->W * i), s->mask, 4);
}

static void transpose_queries(emitter *e, const attention_code *c, const key_sums *k, const query_part *tile) {
    em_loop kinds, lanes;
    kinds_begin(e, k, &kinds);
    cg_val from = attention_head_of_tile(e, c, of_kind(e, k, kinds.index, k->source), tile->tile);
    cg_val to = em_at(e, k->sides, em_mul(e, kinds.index, k->sides_bytes));
    em_loop_begin(e, &lanes, key_sums_lanes(e, c, tile), tile->own_end, c->lanes, NULL, 0);
    square s = {
        .features = k->features, .from = em_index(e, from, lanes.index, 4), .to = em_index(e, to, lanes.index, k->features)};
    each_vector_of_features(e, c, square_to_rows, &s);
    em_loop_end(e, &lanes, NULL);
    em_loop_end(e, &kinds, NULL);
}

/* `vectors` vectors of features from d on, of `rows` keys: their sums go on over the tile's own queries. */
static void add_block(emitter *e, const attention_code *c, const key_sums *k, unsigned rows, unsigned vectors, cg_val d,
                      cg_val scores, cg_val sums, cg_val side, cg_val count) {
    gemm_block block = {.rows = rows,
                        .vectors = vectors,
                        .lanes = c->lanes,
                        .x_step = k->features,
                        .w_step = 4,
                        .w_row_step = 4 * c->W,
                        .x_align = 4 * c->lanes,
                        .unroll = ATTENTION_UNROLL};
    cg_val sum[GEMM_MAX_SUMS], at = em_opaque(e, em_index(e, sums, d, 4));
    for (unsigned i = 0; i < rows * vectors; i++)
        sum[i] = load(e, c, em_at_int(e, at, i / vectors * k->features + 4 * (int64_t)(i % vectors * c->lanes)), 4 * c->lanes);
    gemm_block_emit(e, &block, em_index(e, side, d, 4), scores, count, sum);
    for (unsigned i = 0; i < rows * vectors; i++)
        em_store(e, sum[i], em_at_int(e, at, i / vectors * k->features + 4 * (int64_t)(i % vectors * c->lanes)), 4 * c->lanes);
}

/* Zeros behind the last key, so that blocks of keys that reach past it add nothing but zeros. */
static void clear_scores(emitter *e, const attention_code *c, const key_sums *k, unsigned rows) {
    em_loop kinds, numbers;
    kinds_begin(e, k, &kinds);
    cg_val at = em_at(e, em_index(e, k->scores, c->n, 4 * c->W), em_mul(e, kinds.index, k->scores_bytes));
    em_loop_begin(e, &numbers, em_int(e, 0), em_int(e, rows * c->W), c->lanes, NULL, 0);
    em_store(e, em_const(e, c->lanes, 0), em_index(e, at, numbers.index, 4), 4 * c->lanes);
    em_loop_end(e, &numbers, NULL);
    em_loop_end(e, &kinds, NULL);
}

static void add_to_keys(emitter *e, const attention_code *c, const key_sums *k, const query_part *tile) {
    const unsigned rows = gemm_block_rows(e->target);
    const int64_t vectors = k->features / (4 * (int64_t)c->lanes), pairs = vectors / 2 * 2 * c->lanes;
    cg_val row0 = em_mul_int(e, tile->tile, c->W), end = em_min(e, tile->own_end, em_sub(e, c->n_query_rows, row0));
    cg_val count = em_sub(e, end, tile->own_begin);
    em_loop kinds, keys, features;
    clear_scores(e, c, k, rows);
    kinds_begin(e, k, &kinds);
    em_loop_begin(e, &keys, em_int(e, 0), c->n, rows, NULL, 0);
    cg_val scores = em_index(e, em_index(e, k->scores, keys.index, 4 * c->W), tile->own_begin, 4);
    cg_val sums = em_index(e, k->sums, keys.index, k->features), side = em_index(e, k->sides, tile->own_begin, k->features);
    scores = em_opaque(e, em_at(e, scores, em_mul(e, kinds.index, k->scores_bytes)));
    sums = em_opaque(e, em_at(e, sums, em_mul(e, kinds.index, k->sums_bytes)));
    side = em_opaque(e, em_at(e, side, em_mul(e, kinds.index, k->sides_bytes)));
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, pairs), 2 * (int64_t)c->lanes, NULL, 0);
    if (pairs) add_block(e, c, k, rows, 2, features.index, scores, sums, side, count);
    em_loop_end(e, &features, NULL);
    if (vectors % 2) add_block(e, c, k, rows, 1, em_int(e, pairs), scores, sums, side, count);
    em_loop_end(e, &keys, NULL);
    em_loop_end(e, &kinds, NULL);
}

void key_sums_add(emitter *e, const attention_code *c, const key_sums *k, const query_part *tile) {
    if (!is_wanted(k)) return;
    transpose_queries(e, c, k, tile);
    add_to_keys(e, c, k, tile);
}

/* ---- a sequence's keys ---- */

static void clear_sums(emitter *e, const attention_code *c, const key_sums *k) {
    em_loop kinds, bytes;
    kinds_begin(e, k, &kinds);
    cg_val at = em_at(e, k->sums, em_mul(e, kinds.index, k->sums_bytes));
    cg_val end = em_mul_int(e, em_add_int(e, em_sub(e, c->end, c->first), MAX_KEY_ROWS), k->features);
    em_loop_begin(e, &bytes, em_int(e, 0), end, 4 * (int64_t)c->lanes, NULL, 0);
    em_store(e, em_const(e, c->lanes, 0), em_at(e, at, bytes.index), 4 * c->lanes);
    em_loop_end(e, &bytes, NULL);
    em_loop_end(e, &kinds, NULL);
}

/* From the last place to the first: the row of the kept key there, or zeros. Rows only move to later places. */
static void spread_sums(emitter *e, const attention_code *c, const key_sums *k) {
    em_loop kinds, places, bytes;
    kinds_begin(e, k, &kinds);
    cg_val sums = em_at(e, k->sums, em_mul(e, kinds.index, k->sums_bytes)), length = em_sub(e, c->end, c->first);
    em_loop_begin(e, &places, em_int(e, 0), length, 1, &c->n, 1);
    cg_val place = em_sub(e, em_add_int(e, length, -1), places.index);
    cg_val kept = attention_load_keep(e, c, em_add(e, c->first, place)), j = em_sub(e, places.carried[0], kept);
    cg_val from = em_index(e, sums, j, k->features), to = em_index(e, sums, place, k->features);
    em_loop_begin(e, &bytes, em_int(e, 0), em_int(e, k->features), 4 * (int64_t)c->lanes, NULL, 0);
    cg_val x = load(e, c, em_at(e, from, bytes.index), 4 * c->lanes), zero = em_const(e, c->lanes, 0);
    em_store(e, em_select(e, em_equal(e, kept, em_int(e, 0)), zero, x), em_at(e, to, bytes.index), 4 * c->lanes);
    em_loop_end(e, &bytes, NULL);
    em_loop_end(e, &places, &j);
    em_loop_end(e, &kinds, NULL);
}

/* The sums of one kind into the sequence's lanes of a result. */
static void store_sums(emitter *e, const attention_code *c, const key_sums *k, cg_val sums, cg_val result) {
    em_loop tiles, lanes;
    cg_val whole = em_mul_int(e, em_div_int_up(e, c->end, c->lanes), c->lanes);
    cg_val end = em_select(e, em_equal(e, c->end, c->n_rows), whole, c->end);
    em_loop_begin(e, &tiles, em_div_int(e, c->first, c->W), em_div_int_up(e, c->end, c->W), 1, NULL, 0);
    cg_val row0 = em_mul_int(e, tiles.index, c->W), to = attention_head_of_tile(e, c, result, tiles.index);
    cg_val own_begin = em_max(e, em_int(e, 0), em_sub(e, c->first, row0)),
           own_end = em_min(e, em_int(e, c->W), em_sub(e, end, row0));
    em_loop_begin(e, &lanes, whole_vectors_before(e, c, own_begin), own_end, c->lanes, NULL, 0);
    cg_val row = em_sub(e, em_add(e, row0, lanes.index), c->first);
    square s = {.features = k->features, .from = em_index(e, sums, row, k->features), .to = em_index(e, to, lanes.index, 4)};
    s.mask = em_lanes_in_range(e, c->lanes, lanes.index, own_begin, own_end);
    each_vector_of_features(e, c, square_to_tile, &s);
    em_loop_end(e, &lanes, NULL);
    em_loop_end(e, &tiles, NULL);
}

void key_sums_store(emitter *e, const attention_code *c, const key_sums *k) {
    em_loop kinds;
    em_if any; /* an empty sequence at the end of a tile has no tile of its own */
    if (!is_wanted(k)) return;
    if (c->keep) spread_sums(e, c, k);
    em_if_begin(e, &any, em_less(e, c->first, c->end));
    if (k->n > 1 && k->result[0] && k->result[1]) {
        kinds_begin(e, k, &kinds);
        cg_val sums = em_at(e, k->sums, em_mul(e, kinds.index, k->sums_bytes));
        store_sums(e, c, k, sums, of_kind(e, k, kinds.index, k->result));
        em_loop_end(e, &kinds, NULL);
    } else if (k->result[0]) store_sums(e, c, k, k->sums, k->result[0]);
    else store_sums(e, c, k, em_at(e, k->sums, k->sums_bytes), k->result[1]);
    em_if_end(e, &any);
}

/* ---- scratch ---- */

void key_sums_begin(emitter *e, attention_code *c, key_sums *k) {
    const int64_t margin = key_margin(c->W);
    cg_val rows = em_add_int(e, attention_key_room(e, c), 2 * margin);
    k->features = 4 * padded_features(c->D, c->lanes);
    k->scores_bytes = em_mul_int(e, rows, 4 * c->W);
    k->sums_bytes = em_mul_int(e, rows, k->features);
    k->sides_bytes = em_int(e, c->W * k->features);
    k->sides = em_scratch(e);
    cg_val scores = em_at_int(e, k->sides, k->n * c->W * k->features), sums = em_at(e, scores, em_mul_int(e, k->scores_bytes, 2));
    k->scores = em_at_int(e, scores, margin * 4 * c->W);
    k->sums = em_at_int(e, sums, margin * k->features);
    attention_place_keys(e, c, em_at(e, sums, em_mul_int(e, k->sums_bytes, k->n)));
    if (is_wanted(k)) clear_sums(e, c, k);
}
