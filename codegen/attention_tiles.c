/*
 * Ragged sequences in tiles; see attention_tiles.h.
 *
 * Blocks of keys do not cross tiles: the last one of a tile is moved back, onto keys before it, at worst before the first.
 */
#include "codegen/attention_tiles.h"

#include "ir/support/rng.h"

#define COPY_LANES 4 /* numbers of a row of keys copied at a time when packing */

/* ---- describe ---- */

/* Height of the blocks of features: a divisor of D near `most`, so that no second block is needed, else `most`. */
static int64_t feature_rows(int64_t D, int64_t most) {
    for (int64_t r = most; 3 * r >= 2 * most; r--)
        if (D % r == 0) return r;
    return D < most ? D : most;
}

/* S where offsets come from a padded batch or what is kept of it, else R. */
ir_dim attention_longest(const cg_group *g) {
    const ir_node *node = group_node(g, 0), *offsets = graph_node_of(g->graph, node->inputs[3]);
    const bool padded = offsets->op == OP_padded_offsets || offsets->op == OP_kept_rows;
    return padded ? graph_type(g->graph, offsets->inputs[0])->dims[1] : graph_type(g->graph, node->inputs[1])->dims[0];
}

static void describe_dropout(const cg_group *g, const attention_operands *at, cg_kernel *k) {
    const ir_node *n = group_node(g, 0);
    const double rate = node_float(n, "rate");
    if (node_input(n, at->keys) == IR_NO_VALUE || rate == 0) return;
    kernel_set(k, "random_keys", (int64_t)kernel_operand(k, node_input(n, at->keys)));
    kernel_set(k, "random", (int64_t)kernel_operand(k, node_input(n, at->random)));
    kernel_set_real(k, "rate", rate);
    kernel_dim(k, dim_const(node_int(n, "stream")));
}

bool attention_describe(const cg_group *g, const cg_target *target, const attention_operands *at, cg_kernel *k) {
    const ir_node *n = group_node(g, 0);
    const ir_graph *graph = g->graph;
    const ir_type *q = graph_type(graph, n->inputs[0]), *offsets = graph_type(graph, n->inputs[3]);
    const ir_value keep = node_input(n, at->keep), queries = node_input(n, at->query_offsets);
    if (!is_f32_tiles(q) || offsets->dtype != IR_I32 || (keep && em_dtype_bytes(graph_type(graph, keep)->dtype) == 0)) return false;
    const int64_t H = node_int(n, "heads"), D = type_features(q) / H, W = q->tile;
    const bool many = target->vector_registers >= 32;
    for (unsigned i = 0; i < 4; i++) kernel_operand(k, n->inputs[i]);
    kernel_set(k, "heads", H);
    kernel_set(k, "D", D);
    kernel_set(k, "W", W);
    kernel_set_real(k, "scale", node_float(n, "scale"));
    kernel_set(k, "key_rows", many && W % 8 == 0 ? 8 : 4);
    kernel_set(k, "narrow_key_rows", many && W % 16 == 0 ? 16 : W % 8 == 0 ? 8 : 4); /* beside one vector of queries */
    kernel_set(k, "feature_rows", feature_rows(D, gemm_block_rows(target)));
    kernel_set(k, "keep", keep ? (int64_t)kernel_operand(k, keep) : 0);
    if (keep) kernel_set_dtype(k, "keep_dtype", graph_type(graph, keep)->dtype);
    /* queries that share the keys' rows share their offsets: one kernel for both */
    kernel_set(k, "query_offsets", kernel_operand(k, queries ? queries : n->inputs[3]));
    bool ok = true;
    const ir_dim B = dim_add(offsets->dims[0], -1);
    kernel_dim(k, B);
    kernel_dim(k, graph_type(graph, n->inputs[1])->dims[0]);
    kernel_dim(k, q->dims[0]);
    describe_dropout(g, at, k);
    k->work = kernel_scaled(B, H, 0, &ok);
    return ok;
}

/* ---- places ---- */

static int64_t head_bytes(const attention_code *c) { return 4 * c->D * c->W; }

static int64_t tile_bytes(const attention_code *c) { return c->H * head_bytes(c); }

cg_val attention_head_of_tile(emitter *e, const attention_code *c, cg_val base, cg_val t) {
    return em_at(e, base, em_add(e, em_mul_int(e, t, tile_bytes(c)), em_mul_int(e, c->head, head_bytes(c))));
}

cg_val attention_row_number(emitter *e, const attention_code *c, const query_part *p, cg_val base, unsigned v) {
    cg_val tile = em_index(e, base, em_add(e, em_mul_int(e, p->tile, c->H), c->head), 4 * c->W);
    return em_at_int(e, em_index(e, tile, p->lane, 4), 4 * (int64_t)(v * c->lanes));
}

cg_val attention_score(emitter *e, const attention_code *c, const query_part *p, cg_val base, cg_val j, unsigned v) {
    return em_at_int(e, em_index(e, base, j, p->score_step), 4 * (int64_t)(v * c->lanes));
}

/* ---- keys ---- */

cg_val attention_load_keep(emitter *e, const attention_code *c, cg_val row) {
    ir_dtype dtype = kernel_get_dtype(c->kernel, "keep_dtype");
    cg_val kept = em_load_int(e, dtype, em_index(e, c->keep, row, em_dtype_bytes(dtype)));
    return em_select(e, em_equal(e, kept, em_int(e, 0)), em_int(e, 0), em_int(e, 1));
}

/* Number of kept rows of [begin, end), and the last one's place in the sequence plus 1. */
static cg_val count_kept(emitter *e, const attention_code *c, cg_val begin, cg_val end, cg_val *last) {
    if (!c->keep) {
        *last = em_sub(e, end, c->first);
        return em_sub(e, end, begin);
    }
    em_loop rows;
    cg_val state[] = {em_int(e, 0), em_int(e, 0)};
    em_loop_begin(e, &rows, begin, end, 1, state, 2);
    cg_val kept = attention_load_keep(e, c, rows.index), next = em_add_int(e, em_sub(e, rows.index, c->first), 1);
    state[0] = em_add(e, rows.carried[0], kept);
    state[1] = em_select(e, em_equal(e, kept, em_int(e, 0)), rows.carried[1], next);
    em_loop_end(e, &rows, state);
    *last = rows.carried[1];
    return rows.carried[0];
}

/* Copies n numbers of one feature. */
static void copy_lanes(emitter *e, cg_val to, cg_val from, cg_val n) {
    em_loop vectors, rest;
    cg_val whole = em_sub(e, n, em_rem_int(e, n, COPY_LANES));
    em_loop_begin(e, &vectors, em_int(e, 0), whole, COPY_LANES, NULL, 0);
    em_store(e, em_load(e, COPY_LANES, em_index(e, from, vectors.index, 4), 4), em_index(e, to, vectors.index, 4), 4);
    em_loop_end(e, &vectors, NULL);
    em_loop_begin(e, &rest, whole, n, 1, NULL, 0);
    em_store(e, em_load(e, 1, em_index(e, from, rest.index, 4), 4), em_index(e, to, rest.index, 4), 4);
    em_loop_end(e, &rest, NULL);
}

/* Lanes [lane, lane + n) of source tile t become keys [key, key + n), which lie in one tile. */
static void pack_lanes(emitter *e, const attention_code *c, cg_val t, cg_val lane, cg_val key, cg_val n) {
    cg_val from_k = em_index(e, attention_head_of_tile(e, c, c->k, t), lane, 4),
           from_v = em_index(e, attention_head_of_tile(e, c, c->v, t), lane, 4);
    cg_val place = em_add(e, em_mul_int(e, em_div_int(e, key, c->W), head_bytes(c)), em_mul_int(e, em_rem_int(e, key, c->W), 4));
    em_loop features;
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, head_bytes(c)), 4 * c->W, NULL, 0);
    cg_val to = em_add(e, place, features.index);
    copy_lanes(e, em_at(e, c->packed_k, to), em_at(e, from_k, features.index), n);
    copy_lanes(e, em_at(e, c->packed_v, to), em_at(e, from_v, features.index), n);
    em_loop_end(e, &features, NULL);
}

/*
 * Packs the kept keys into scratch, one source tile after the other. The tile's lanes of this sequence go in two pieces, cut where
 * a packed tile is full, when all are kept; else lane by lane.
 */
static void pack_keys(emitter *e, const attention_code *c) {
    em_loop tiles, pieces;
    cg_val start = em_int(e, 0), unused;
    em_loop_begin(e, &tiles, em_div_int(e, c->first, c->W), em_div_int_up(e, c->end, c->W), 1, &start, 1);
    cg_val row0 = em_mul_int(e, tiles.index, c->W);
    cg_val begin = em_max(e, c->first, row0), end = em_min(e, c->end, em_add_int(e, row0, c->W));
    cg_val length = em_sub(e, end, begin), all = em_equal(e, count_kept(e, c, begin, end, &unused), length);
    cg_val room = em_sub(e, em_int(e, c->W), em_rem_int(e, tiles.carried[0], c->W)), piece = em_min(e, room, length);
    em_loop_begin(e, &pieces, em_int(e, 0), em_select(e, all, em_int(e, 2), length), 1, &tiles.carried[0], 1);
    cg_val is_first = em_equal(e, pieces.index, em_int(e, 0));
    cg_val row = em_add(e, begin, em_select(e, all, em_select(e, is_first, em_int(e, 0), piece), pieces.index));
    cg_val single = c->keep ? attention_load_keep(e, c, em_min(e, row, em_add_int(e, end, -1))) : em_int(e, 1);
    cg_val n = em_select(e, all, em_select(e, is_first, piece, em_sub(e, length, piece)), single);
    pack_lanes(e, c, tiles.index, em_sub(e, row, row0), pieces.carried[0], n);
    cg_val next = em_add(e, pieces.carried[0], n);
    em_loop_end(e, &pieces, &next);
    em_loop_end(e, &tiles, &pieces.carried[0]);
}

cg_val attention_key_room(emitter *e, const attention_code *c) {
    return em_mul_int(e, em_div_int_up(e, em_sub(e, c->end, c->first), c->W), c->W);
}

void attention_place_keys(emitter *e, attention_code *c, cg_val scratch) {
    cg_val t = em_div_int(e, c->first, c->W);
    c->keys = attention_head_of_tile(e, c, c->k, t);
    c->values = attention_head_of_tile(e, c, c->v, t);
    c->key_tile_step = em_int(e, tile_bytes(c));
    c->first_lane = em_rem_int(e, c->first, c->W);
    if (!c->keep) return;
    c->packed_k = scratch;
    c->packed_v = em_index(e, scratch, attention_key_room(e, c), 4 * c->D);
    cg_val in_place = em_equal(e, c->last_kept, c->n);
    em_if packing;
    em_if_begin(e, &packing, LLVMBuildNot(e->builder, in_place, ""));
    pack_keys(e, c);
    em_if_end(e, &packing);
    c->keys = em_select(e, in_place, c->keys, c->packed_k);
    c->values = em_select(e, in_place, c->values, c->packed_v);
    c->key_tile_step = em_select(e, in_place, c->key_tile_step, em_int(e, head_bytes(c)));
    c->first_lane = em_select(e, in_place, c->first_lane, em_int(e, 0));
}

void attention_key_tiles_begin(emitter *e, const attention_code *c, key_tiles *k, const cg_val *initial, unsigned n_carried) {
    cg_val end = em_add(e, c->first_lane, c->n);
    em_loop_begin(e, &k->loop, em_int(e, 0), end, c->W, initial, n_carried);
    k->begin = em_select(e, em_equal(e, k->loop.index, em_int(e, 0)), c->first_lane, em_int(e, 0));
    k->end = em_min(e, em_int(e, c->W), em_sub(e, end, k->loop.index));
    k->key0 = em_sub(e, k->loop.index, c->first_lane);
    k->offset = em_mul(e, em_div_int(e, k->loop.index, c->W), c->key_tile_step);
}

/* ---- products ---- */

static void zero_sums(emitter *e, const attention_code *c, unsigned n, cg_val *sum) {
    for (unsigned i = 0; i < n; i++) sum[i] = em_const(e, c->lanes, 0);
}

void attention_scores(emitter *e, const attention_code *c, const query_part *p, cg_val keys, cg_val x, double factor, cg_val to) {
    const int64_t rows = kernel_get(c->kernel, p->vectors == 1 ? "narrow_key_rows" : "key_rows");
    gemm_block g = {.rows = (unsigned)rows,
                    .vectors = p->vectors,
                    .lanes = c->lanes,
                    .x_step = 4 * c->W,
                    .w_step = 4 * c->W,
                    .w_row_step = 4,
                    .x_align = 4,
                    .unroll = ATTENTION_UNROLL};
    cg_val sum[GEMM_MAX_SUMS], scale = em_const(e, c->lanes, factor);
    key_tiles tiles;
    em_loop blocks;
    attention_key_tiles_begin(e, c, &tiles, NULL, 0);
    em_loop_begin(e, &blocks, tiles.begin, tiles.end, rows, NULL, 0);
    cg_val lane = em_min(e, blocks.index, em_int(e, c->W - rows));
    zero_sums(e, c, g.rows * g.vectors, sum);
    gemm_block_emit(e, &g, x, em_at(e, em_index(e, keys, lane, 4), tiles.offset), em_int(e, c->D), sum);
    cg_val out = em_opaque(e, em_index(e, to, em_add(e, tiles.key0, lane), p->score_step));
    for (unsigned i = 0; i < g.rows * g.vectors; i++) {
        const int64_t at = (int64_t)(i / g.vectors) * p->score_step + 4 * (int64_t)(i % g.vectors * c->lanes);
        em_store(e, factor == 1 ? sum[i] : em_fmul(e, sum[i], scale), em_at_int(e, out, at), 4 * c->lanes);
    }
    em_loop_end(e, &blocks, NULL);
    em_loop_end(e, &tiles.loop, NULL);
}

cg_val attention_own_lanes(emitter *e, const attention_code *c, const query_part *p, unsigned v) {
    cg_val lane = em_add_int(e, p->lane, (int64_t)(v * c->lanes));
    return em_lanes_in_range(e, c->lanes, lane, p->own_begin, p->own_end);
}

/* Features [d, d + rows) of the result: all lanes where `all` is true, else the sequence's own. */
static void store_features(emitter *e, const attention_code *c, const query_part *p, cg_val result, cg_val all, cg_val d,
                           unsigned rows, const cg_val *value) {
    cg_val out = em_index(e, em_index(e, attention_head_of_tile(e, c, result, p->tile), d, 4 * c->W), p->lane, 4),
           mask[PART_VECTORS];
    em_if whole;
    out = em_opaque(e, out);
    em_if_begin(e, &whole, all);
    for (unsigned i = 0; i < rows * p->vectors; i++)
        em_store(e, value[i], em_at_int(e, out, 4 * (i / p->vectors * c->W + i % p->vectors * c->lanes)), 4);
    em_else(e, &whole);
    for (unsigned v = 0; v < p->vectors; v++) mask[v] = attention_own_lanes(e, c, p, v);
    for (unsigned i = 0; i < rows * p->vectors; i++)
        em_store_masked(e, value[i], em_at_int(e, out, 4 * (i / p->vectors * c->W + i % p->vectors * c->lanes)),
                        mask[i % p->vectors], 4);
    em_if_end(e, &whole);
}

/* What is computed for features [d, d + rows), over all keys. */
typedef struct combination {
    cg_val keys, from, result, all;
    const cg_val *factor;
} combination;

static void combine_block(emitter *e, const attention_code *c, const query_part *p, const combination *m, cg_val d, unsigned rows) {
    gemm_block g = {.rows = rows,
                    .vectors = p->vectors,
                    .lanes = c->lanes,
                    .x_step = p->score_step,
                    .w_step = 4,
                    .w_row_step = 4 * c->W,
                    .x_align = 4 * c->lanes,
                    .unroll = ATTENTION_UNROLL};
    cg_val sum[GEMM_MAX_SUMS], w0 = em_index(e, m->keys, d, 4 * c->W);
    unsigned n = g.rows * g.vectors;
    key_tiles tiles;
    zero_sums(e, c, n, sum);
    attention_key_tiles_begin(e, c, &tiles, sum, n);
    cg_val x = em_index(e, m->from, em_add(e, tiles.key0, tiles.begin), p->score_step);
    for (unsigned i = 0; i < n; i++) sum[i] = tiles.loop.carried[i];
    gemm_block_emit(e, &g, x, em_at(e, em_index(e, w0, tiles.begin, 4), tiles.offset), em_sub(e, tiles.end, tiles.begin), sum);
    em_loop_end(e, &tiles.loop, sum);
    for (unsigned i = 0; i < n; i++)
        sum[i] = m->factor ? em_fmul(e, tiles.loop.carried[i], m->factor[i % p->vectors]) : tiles.loop.carried[i];
    store_features(e, c, p, m->result, m->all, d, rows, sum);
}

void attention_combine(emitter *e, const attention_code *c, const query_part *p, cg_val keys, cg_val from, const cg_val *factor,
                       cg_val result) {
    const int64_t rows = kernel_get(c->kernel, "feature_rows"), whole = c->D - c->D % rows;
    cg_val end = em_add_int(e, p->lane, (int64_t)(p->vectors * c->lanes));
    combination m = {.keys = keys, .from = from, .result = result, .factor = factor};
    m.all = em_and(e, em_less(e, p->own_begin, em_add_int(e, p->lane, 1)), em_less(e, end, em_add_int(e, p->own_end, 1)));
    em_loop blocks;
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, whole), rows, NULL, 0);
    combine_block(e, c, p, &m, blocks.index, (unsigned)rows);
    em_loop_end(e, &blocks, NULL);
    if (whole < c->D) combine_block(e, c, p, &m, em_int(e, whole), (unsigned)(c->D - whole));
}

void attention_clear(emitter *e, const attention_code *c, const query_part *p, cg_val result) {
    cg_val zero[PART_VECTORS];
    em_loop features;
    zero_sums(e, c, p->vectors, zero);
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, c->D), 1, NULL, 0);
    store_features(e, c, p, result, LLVMConstInt(e->i1, 0, 0), features.index, 1, zero);
    em_loop_end(e, &features, NULL);
}

/* ---- dropout ---- */

static cg_val negative(emitter *e, cg_val x) {
    LLVMTypeRef integers = LLVMVectorType(e->i32, em_lanes_of(x));
    cg_val sign = em_const_i32(e, em_lanes_of(x), INT32_MIN), bits = LLVMBuildBitCast(e->builder, x, integers, "");
    return LLVMBuildBitCast(e->builder, LLVMBuildOr(e->builder, bits, sign, ""), LLVMTypeOf(x), "");
}

/* The probability of a key at `at`, by its words; where `masked` (i1), nothing changes. */
static void drop_key(emitter *e, const attention_code *c, bool sign, cg_val at, cg_val word, cg_val masked) {
    cg_val x = em_load(e, c->lanes, at, 4 * c->lanes), dropped = sign ? negative(e, x) : em_const(e, c->lanes, 0);
    cg_val y = em_select(e, philox_keeps(e, word, c->rate), x, dropped);
    em_store(e, masked ? em_select(e, masked, x, y) : y, at, 4 * c->lanes);
}

/* One vector of queries. Blocks of places, those of kept rows and others: the words of a place are its own, whatever is kept. Where a row is
 * not kept, the key at hand is the next kept one. */
static void drop_vector(emitter *e, const attention_code *c, const philox_rows *rows, int64_t score_step, bool sign,
                        cg_val scores) {
    cg_val head_blocks = em_mul_int(e, c->head, (1 << 22) / PHILOX_WORDS), last_row = em_add_int(e, c->n_rows, -1);
    cg_val word[PHILOX_WORDS], next = em_int(e, 0);
    em_loop blocks;
    em_loop_begin(e, &blocks, em_int(e, 0), em_div_int_up(e, c->last_kept, PHILOX_WORDS), 1, &next, 1);
    philox_words(e, rows, em_add(e, head_blocks, blocks.index), word);
    next = blocks.carried[0];
    for (unsigned i = 0; i < PHILOX_WORDS; i++) {
        cg_val masked = NULL, kept = em_int(e, 1);
        if (c->keep) {
            cg_val place = em_add_int(e, em_mul_int(e, blocks.index, PHILOX_WORDS), i);
            kept = attention_load_keep(e, c, em_min(e, em_add(e, c->first, place), last_row));
            masked = em_equal(e, kept, em_int(e, 0));
        }
        drop_key(e, c, sign, em_index(e, scores, next, score_step), word[i], masked);
        next = em_add(e, next, kept);
    }
    em_loop_end(e, &blocks, &next);
}

void attention_drop(emitter *e, const attention_code *c, const query_part *p, cg_val vectors, bool sign) {
    if (!c->random_keys) return;
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), vectors, 1, NULL, 0);
    cg_val lane = em_mul_int(e, loop.index, c->lanes), row = em_add(e, em_add(e, em_mul_int(e, p->tile, c->W), p->lane), lane);
    const philox_rows rows = philox_rows_begin(e, &c->numbers, c->lanes, c->random_keys, row, c->n_query_rows);
    drop_vector(e, c, &rows, p->score_step, sign, em_opaque(e, em_index(e, p->scores, lane, 4)));
    em_loop_end(e, &loop, NULL);
}

/* ---- queries ---- */

void attention_fetch_next_head(emitter *e, const attention_code *c, const query_part *p, cg_val key, const cg_val *tensors,
                               unsigned n) {
    const int64_t line = 64, part_lanes = (int64_t)c->lanes * PART_VECTORS;
    cg_val before = em_div_int(e, em_mul(e, p->lane, c->n), part_lanes); /* keys of the parts before this one */
    cg_val at = em_mul_int(e, em_add(e, before, key), line);
    at = em_select(e, em_less(e, at, em_int(e, head_bytes(c))), em_add_int(e, at, head_bytes(c)), em_int(e, head_bytes(c)));
    for (unsigned i = 0; i < n; i++)
        if (tensors[i]) em_prefetch(e, em_at(e, attention_head_of_tile(e, c, tensors[i], p->tile), at));
}

void attention_query_tiles_begin(emitter *e, const attention_code *c, query_tiles *tiles) {
    cg_val end_tile = em_div_int_up(e, c->query_end, c->W);
    cg_val whole = em_mul_int(e, em_div_int_up(e, c->query_end, c->lanes), c->lanes);
    cg_val own_end = em_select(e, em_equal(e, c->query_end, c->n_query_rows), whole, c->query_end);
    /* an empty sequence at the end of a tile has no tile of its own */
    em_if_begin(e, &tiles->any, em_less(e, c->query_first, c->query_end));
    em_loop_begin(e, &tiles->loop, em_div_int(e, c->query_first, c->W), end_tile, 1, NULL, 0);
    cg_val row0 = em_mul_int(e, tiles->loop.index, c->W);
    tiles->tile = (query_part){.tile = tiles->loop.index};
    tiles->tile.own_begin = em_max(e, em_int(e, 0), em_sub(e, c->query_first, row0));
    tiles->tile.own_end = em_min(e, em_int(e, c->W), em_sub(e, own_end, row0));
}

void attention_query_tiles_end(emitter *e, query_tiles *tiles) {
    em_loop_end(e, &tiles->loop, NULL);
    em_if_end(e, &tiles->any);
}

static void emit_part(emitter *e, const attention_code *c, const query_part *tile, unsigned vectors, cg_val begin,
                      query_part_fn part, void *user) {
    query_part p = *tile;
    p.vectors = vectors;
    p.lane = em_min(e, begin, em_int(e, c->W - (int64_t)(vectors * c->lanes)));
    part(e, c, &p, user);
}

void attention_query_parts(emitter *e, const attention_code *c, const query_part *tile, cg_val begin, query_part_fn part,
                           void *user) {
    cg_val next = begin;
    if (tile_vectors(c->lanes, c->W, PART_VECTORS) > 1) {
        em_loop pairs;
        const int64_t step = PART_VECTORS * (int64_t)c->lanes;
        em_loop_begin(e, &pairs, begin, em_sub(e, tile->own_end, em_int(e, c->lanes)), step, &begin, 1);
        emit_part(e, c, tile, PART_VECTORS, pairs.index, part, user);
        next = em_add_int(e, pairs.index, step);
        em_loop_end(e, &pairs, &next);
        next = pairs.carried[0];
    }
    em_if rest;
    em_if_begin(e, &rest, em_less(e, next, tile->own_end));
    emit_part(e, c, tile, 1, next, part, user);
    em_if_end(e, &rest);
}

/* ---- units ---- */

/* Rows [begin, end) that sequence b owns by `offsets`; whatever they hold, within [0, n_rows]. */
static void load_rows(emitter *e, cg_val offsets, cg_val b, cg_val n_rows, cg_val *begin, cg_val *end) {
    cg_val at = em_index(e, offsets, b, 4);
    *begin = em_max(e, em_int(e, 0), em_min(e, n_rows, em_load_int(e, IR_I32, at)));
    *end = em_max(e, *begin, em_min(e, n_rows, em_load_int(e, IR_I32, em_at_int(e, at, 4))));
}

void attention_begin(emitter *e, const cg_kernel *k, attention_code *c, cg_val *operand) {
    *c = (attention_code){.kernel = k,
                          .H = kernel_get(k, "heads"),
                          .D = kernel_get(k, "D"),
                          .W = kernel_get(k, "W"),
                          .n_rows = em_dim(e, 1),
                          .n_query_rows = em_dim(e, 2),
                          .kept_scale = 1};
    kernel_operands(e, k, operand);
    c->q = operand[0], c->k = operand[1], c->v = operand[2], c->offsets = operand[3];
    c->keep = kernel_get(k, "keep") ? operand[kernel_get(k, "keep")] : NULL;
    c->query_offsets = operand[kernel_get(k, "query_offsets")];
    c->lanes = tile_lanes(e->lanes, c->W);
    if (!kernel_get(k, "random")) return;
    c->rate = kernel_get_real(k, "rate");
    c->kept_scale = 1 / (1 - c->rate);
    c->random_keys = operand[kernel_get(k, "random_keys")];
    c->numbers = philox_begin(e, operand[kernel_get(k, "random")], em_dim(e, 3));
}

void attention_units(emitter *e, attention_code *c, attention_unit_fn unit, void *user) {
    attention_units_between(e, c, em_begin_unit(e), em_end_unit(e), unit, user);
}

void attention_units_between(emitter *e, attention_code *c, cg_val begin, cg_val end, attention_unit_fn unit, void *user) {
    em_loop units;
    em_loop_begin(e, &units, begin, end, 1, NULL, 0);
    cg_val sequence = em_div_int(e, units.index, c->H);
    c->head = em_rem_int(e, units.index, c->H);
    load_rows(e, c->offsets, sequence, c->n_rows, &c->first, &c->end);
    load_rows(e, c->query_offsets, sequence, c->n_query_rows, &c->query_first, &c->query_end);
    c->n = count_kept(e, c, c->first, c->end, &c->last_kept);
    unit(e, c, user);
    em_loop_end(e, &units, NULL);
}
