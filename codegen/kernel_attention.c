/*
 * attention over ragged sequences, in tiles<W> (Vaswani et al. 2017, section 3.2): context = softmax(scale q k^T) v within each
 * sequence and head, over the kept keys.
 *
 * One unit is one (sequence, head). Queries are lanes; keys and values are broadcast, so that both products are the register block
 * of linear layers and the softmax runs down the lanes without horizontal work:
 *
 *   keys      K and V of the head where they lie, from the lane at which the sequence starts, if the n kept keys come first in it;
 *             else the kept ones packed into scratch as tiles [ceil(n/W)][D][W]. The order of all sums depends on the kept keys
 *             alone, not on where the sequence lies in the batch
 *   per part of a tile of queries, one or two vectors wherever they start:
 *   scores    P[j] = scale * sum_d K[d][j] Q[d]            [n][part]
 *   softmax   P[j] = exp(P[j] - max), sums
 *   context   C[d] = sum_j V[d][j] P[j] / sum              [D][part]
 *
 * A tile's rows may belong to several sequences: a unit computes the vectors that its own rows need and stores its own lanes only,
 * with masked stores where a part has others; the last sequence also owns the lanes past the last row, in its vector. Nothing of
 * shape S x S exists: scores of one part at a time.
 *
 * Queries may have rows of their own, told apart by query_offsets: then tiles of queries and lanes are theirs. Where they have none, those are
 * the offsets of the keys.
 *
 * operands: q, k, v, offsets, [keep], query_offsets, [context], [log-sum-exp]. dims: B, R of the keys, R of the queries.
 */
#include "codegen/gemm_block.h"
#include "codegen/kernel.h"
#include "codegen/vector_math.h"

#define PART_VECTORS 2
#define UNROLL 4
#define COPY_LANES 4 /* numbers of a row of keys copied at a time when packing */
#define MAX_KEY_ROWS 16

/* Height of the blocks of context features: a divisor of D near `most`, so that no second block is needed, else `most`. */
static int64_t context_rows(int64_t D, int64_t most) {
    for (int64_t r = most; 3 * r >= 2 * most; r--)
        if (D % r == 0) return r;
    return D < most ? D : most;
}

/* The longest that a sequence can be: S where offsets come from a padded batch or what is kept of it, else R. */
static ir_dim longest_sequence(const ir_graph *g, ir_value offsets, ir_dim R) {
    const ir_node *n = graph_node_of(g, offsets);
    return n->op == OP_padded_offsets || n->op == OP_kept_rows ? graph_type(g, n->inputs[0])->dims[1] : R;
}

/* Vectors of queries side by side. */
static unsigned part_vectors(unsigned lanes, int64_t W) { return tile_vectors(lanes, W, PART_VECTORS); }

static ir_dim scratch_bytes(ir_dim S, int64_t D, int64_t W, unsigned lanes, bool packed, bool *ok) {
    /* scores of a part, with room for a block of keys before and after; keys and values [S+W][D] */
    int64_t per_score = 4 * (int64_t)(lanes * part_vectors(lanes, W)), per_packed = packed ? 8 * D : 0;
    return kernel_scaled(S, per_score + per_packed, 2 * MAX_KEY_ROWS * per_score + W * (per_score + per_packed), ok);
}

bool describe_attention(const cg_group *g, const cg_target *target, cg_kernel *k) {
    const ir_node *n = group_single(g, OP_attention);
    if (!n || node_input(n, 6) != IR_NO_VALUE) return false; /* dropout */
    const ir_graph *graph = g->graph;
    const ir_type *q = graph_type(graph, n->inputs[0]), *offsets = graph_type(graph, n->inputs[3]);
    ir_value keep = node_input(n, 4), queries = node_input(n, 5);
    ir_dim key_rows = graph_type(graph, n->inputs[1])->dims[0];
    if (!is_f32_tiles(q) || offsets->dtype != IR_I32 || (keep && em_dtype_bytes(graph_type(graph, keep)->dtype) == 0)) return false;
    int64_t E = type_features(q), H = node_int(n, "heads"), D = E / H, W = q->tile;
    bool many = target->vector_registers >= 32, ok = true;
    for (unsigned i = 0; i < 4; i++) kernel_operand(k, n->inputs[i]);
    kernel_set(k, "heads", H);
    kernel_set(k, "D", D);
    kernel_set(k, "W", W);
    kernel_set_real(k, "scale", node_float(n, "scale"));
    kernel_set(k, "key_rows", many && W % 8 == 0 ? 8 : 4);
    kernel_set(k, "narrow_key_rows", many && W % 16 == 0 ? 16 : W % 8 == 0 ? 8 : 4); /* beside one vector of queries */
    kernel_set(k, "context_rows", context_rows(D, gemm_block_rows(target)));
    kernel_set(k, "keep", keep ? (int64_t)kernel_operand(k, keep) : 0);
    if (keep) kernel_set_dtype(k, "keep_dtype", graph_type(graph, keep)->dtype);
    /* queries that share the keys' rows share their offsets: one kernel for both */
    kernel_set(k, "query_offsets", kernel_operand(k, queries ? queries : n->inputs[3]));
    kernel_set(k, "context", g->stored[n->first_result] ? (int64_t)kernel_operand(k, n->first_result) : 0);
    kernel_set(k, "lse", g->stored[n->first_result + 1] ? (int64_t)kernel_operand(k, n->first_result + 1) : 0);
    ir_dim B = dim_add(offsets->dims[0], -1), S = longest_sequence(graph, n->inputs[3], key_rows);
    kernel_dim(k, B);
    kernel_dim(k, key_rows);
    kernel_dim(k, q->dims[0]);
    k->work = kernel_scaled(B, H, 0, &ok);
    k->scratch_bytes = scratch_bytes(S, D, W, tile_lanes(target->vector_bytes / 4, W), keep != IR_NO_VALUE, &ok);
    bool counts;
    ir_dim pairs = dim_mul(q->dims[0], S, &counts);
    k->flops = counts ? kernel_scaled(pairs, 4 * E, 0, NULL) : dim_const(0);
    k->bytes = kernel_scaled(q->dims[0], 16 * E, 0, NULL);
    return ok;
}

typedef struct attention_code {
    const cg_kernel *kernel;
    int64_t H, D, W, context_rows;
    unsigned lanes;
    cg_val q, k, v, offsets, keep, query_offsets, context, lse, n_rows, n_query_rows;
    cg_val packed_k, packed_v; /* scratch */
    /* of the unit at hand */
    cg_val head, first, end; /* rows [first, end) of the sequence */
    cg_val query_first, query_end;
    cg_val n, last_kept;                            /* kept keys; the last one's place in the sequence, plus 1 */
    cg_val keys, values, key_tile_step, first_lane; /* key j is in lane (first_lane + j) % W of tile (first_lane + j) / W */
} attention_code;

/* Some vectors of a tile of queries. */
typedef struct query_part {
    unsigned vectors;
    int64_t key_rows;            /* height of the blocks of keys */
    cg_val tile, lane;           /* where it starts */
    cg_val own_begin, own_end;   /* rows of the unit's sequence */
    cg_val query, scores;        /* [D][W] at the lane; [n][vectors * lanes] */
    cg_val factor[PART_VECTORS]; /* 1 / sum of exponentials */
} query_part;

static int64_t part_bytes(const attention_code *c, const query_part *p) { return 4 * (int64_t)(c->lanes * p->vectors); }

static int64_t head_bytes(const attention_code *c) { return 4 * c->D * c->W; }

static int64_t tile_bytes(const attention_code *c) { return c->H * head_bytes(c); }

/* The head's part of tile t. */
static cg_val head_of_tile(emitter *e, const attention_code *c, cg_val base, cg_val t) {
    return em_at(e, base, em_add(e, em_mul_int(e, t, tile_bytes(c)), em_mul_int(e, c->head, head_bytes(c))));
}

/* ---- keys ---- */

static cg_val load_keep(emitter *e, const attention_code *c, cg_val row) {
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
    cg_val kept = load_keep(e, c, rows.index), next = em_add_int(e, em_sub(e, rows.index, c->first), 1);
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
    cg_val from_k = em_index(e, head_of_tile(e, c, c->k, t), lane, 4), from_v = em_index(e, head_of_tile(e, c, c->v, t), lane, 4);
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
    cg_val single = c->keep ? load_keep(e, c, em_min(e, row, em_add_int(e, end, -1))) : em_int(e, 1);
    cg_val n = em_select(e, all, em_select(e, is_first, piece, em_sub(e, length, piece)), single);
    pack_lanes(e, c, tiles.index, em_sub(e, row, row0), pieces.carried[0], n);
    cg_val next = em_add(e, pieces.carried[0], n);
    em_loop_end(e, &pieces, &next);
    em_loop_end(e, &tiles, &pieces.carried[0]);
}

/* Where the keys are: in place, or packed. */
static void place_keys(emitter *e, attention_code *c) {
    cg_val t = em_div_int(e, c->first, c->W);
    c->keys = head_of_tile(e, c, c->k, t);
    c->values = head_of_tile(e, c, c->v, t);
    c->key_tile_step = em_int(e, tile_bytes(c));
    c->first_lane = em_rem_int(e, c->first, c->W);
    if (!c->keep) return;
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

/* The tiles that keys lie in, as a loop: lanes [begin, end) of one, and the number of the key in lane 0, which may be negative. */
typedef struct key_tiles {
    em_loop loop;
    cg_val begin, end, key0, offset;
} key_tiles;

static void key_tiles_begin(emitter *e, const attention_code *c, key_tiles *k, const cg_val *initial, unsigned n_carried) {
    cg_val end = em_add(e, c->first_lane, c->n);
    em_loop_begin(e, &k->loop, em_int(e, 0), end, c->W, initial, n_carried);
    k->begin = em_select(e, em_equal(e, k->loop.index, em_int(e, 0)), c->first_lane, em_int(e, 0));
    k->end = em_min(e, em_int(e, c->W), em_sub(e, end, k->loop.index));
    k->key0 = em_sub(e, k->loop.index, c->first_lane);
    k->offset = em_mul(e, em_div_int(e, k->loop.index, c->W), c->key_tile_step);
}

/* ---- one part of a tile of queries ---- */

static void zero_sums(emitter *e, const attention_code *c, unsigned n, cg_val *sum) {
    for (unsigned i = 0; i < n; i++) sum[i] = em_const(e, c->lanes, 0);
}

/* Blocks of keys do not cross tiles: the last one of a tile is moved back, onto keys before it, at worst before the first. */
static void emit_scores(emitter *e, const attention_code *c, const query_part *p) {
    gemm_block g = {.rows = (unsigned)p->key_rows,
                    .vectors = p->vectors,
                    .lanes = c->lanes,
                    .x_step = 4 * c->W,
                    .w_step = 4 * c->W,
                    .w_row_step = 4,
                    .x_align = 4,
                    .unroll = UNROLL};
    cg_val sum[GEMM_MAX_SUMS], scale = em_const(e, c->lanes, kernel_get_real(c->kernel, "scale"));
    key_tiles tiles;
    em_loop keys;
    key_tiles_begin(e, c, &tiles, NULL, 0);
    em_loop_begin(e, &keys, tiles.begin, tiles.end, p->key_rows, NULL, 0);
    cg_val lane = em_min(e, keys.index, em_int(e, c->W - p->key_rows));
    zero_sums(e, c, g.rows * g.vectors, sum);
    gemm_block_emit(e, &g, p->query, em_at(e, em_index(e, c->keys, lane, 4), tiles.offset), em_int(e, c->D), sum);
    cg_val out = em_opaque(e, em_index(e, p->scores, em_add(e, tiles.key0, lane), part_bytes(c, p)));
    for (unsigned i = 0; i < g.rows * g.vectors; i++)
        em_store(e, em_fmul(e, sum[i], scale), em_at_int(e, out, 4 * (int64_t)(i * c->lanes)), 4 * c->lanes);
    em_loop_end(e, &keys, NULL);
    em_loop_end(e, &tiles.loop, NULL);
}

static cg_val score_at(emitter *e, const attention_code *c, const query_part *p, cg_val j, unsigned ahead, unsigned v) {
    return em_at_int(e, em_index(e, p->scores, j, part_bytes(c, p)), 4 * (int64_t)((ahead * p->vectors + v) * c->lanes));
}

static cg_val load_score(emitter *e, const attention_code *c, const query_part *p, cg_val j, unsigned ahead, unsigned v) {
    return em_load(e, c->lanes, score_at(e, c, p, j, ahead, v), 4 * c->lanes);
}

/* The largest score of each lane over keys [begin, end), `unroll` keys a round. */
static void emit_largest(emitter *e, const attention_code *c, const query_part *p, cg_val begin, cg_val end, unsigned unroll,
                         cg_val top[PART_VECTORS]) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, unroll, top, p->vectors);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val best = load_score(e, c, p, loop.index, 0, v);
        for (unsigned u = 1; u < unroll; u++) best = em_fmax_skip_nan(e, best, load_score(e, c, p, loop.index, u, v));
        top[v] = em_fmax_skip_nan(e, loop.carried[v], best);
    }
    em_loop_end(e, &loop, top);
    for (unsigned v = 0; v < p->vectors; v++) top[v] = loop.carried[v];
}

static void emit_exponentials(emitter *e, const attention_code *c, const query_part *p, const cg_val top[PART_VECTORS],
                              cg_val sum[PART_VECTORS]) {
    em_loop loop;
    zero_sums(e, c, p->vectors, sum);
    em_loop_begin(e, &loop, em_int(e, 0), c->n, 1, sum, p->vectors);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val exponential = math_exp_nonpositive(e, em_fsub(e, load_score(e, c, p, loop.index, 0, v), top[v]));
        em_store(e, exponential, score_at(e, c, p, loop.index, 0, v), 4 * c->lanes);
        sum[v] = em_fadd(e, loop.carried[v], exponential);
    }
    em_loop_end(e, &loop, sum);
    for (unsigned v = 0; v < p->vectors; v++) sum[v] = loop.carried[v];
}

/* Lanes of vector v that are rows of the unit's sequence. */
static cg_val own_lanes(emitter *e, const attention_code *c, const query_part *p, unsigned v) {
    cg_val lane = em_add_int(e, p->lane, (int64_t)(v * c->lanes));
    return em_lanes_in_range(e, c->lanes, lane, p->own_begin, p->own_end);
}

static void store_lse(emitter *e, const attention_code *c, const query_part *p, unsigned v, cg_val lse) {
    cg_val tile = em_index(e, c->lse, em_add(e, em_mul_int(e, p->tile, c->H), c->head), 4 * c->W);
    cg_val to = em_at_int(e, em_index(e, tile, p->lane, 4), 4 * (int64_t)(v * c->lanes));
    em_store_masked(e, lse, to, own_lanes(e, c, p, v), 4);
}

/* Scores to exponentials, 1 / their sum, and the log-sum-exp. */
static void emit_softmax(emitter *e, const attention_code *c, query_part *p) {
    cg_val top[PART_VECTORS], sum[PART_VECTORS], whole = em_sub(e, c->n, em_rem_int(e, c->n, UNROLL));
    for (unsigned v = 0; v < p->vectors; v++)
        top[v] = LLVMConstBitCast(em_const_i32(e, c->lanes, (int32_t)0xff800000u), em_vector_type(e, c->lanes)); /* -inf */
    emit_largest(e, c, p, em_int(e, 0), whole, UNROLL, top);
    emit_largest(e, c, p, whole, c->n, 1, top);
    emit_exponentials(e, c, p, top, sum);
    for (unsigned v = 0; v < p->vectors; v++) {
        p->factor[v] = em_fdiv(e, em_const(e, c->lanes, 1), sum[v]);
        if (c->lse) store_lse(e, c, p, v, em_fadd(e, top[v], math_log(e, sum[v])));
    }
}

/* Features [d, d + rows) of the context: all lanes where `all` is true, else the sequence's own. */
static void store_context(emitter *e, const attention_code *c, const query_part *p, cg_val all, cg_val d, unsigned rows,
                          const cg_val *value) {
    cg_val out = em_opaque(e, em_index(e, em_index(e, head_of_tile(e, c, c->context, p->tile), d, 4 * c->W), p->lane, 4)),
           mask[PART_VECTORS];
    em_if whole;
    em_if_begin(e, &whole, all);
    for (unsigned i = 0; i < rows * p->vectors; i++)
        em_store(e, value[i], em_at_int(e, out, 4 * (i / p->vectors * c->W + i % p->vectors * c->lanes)), 4);
    em_else(e, &whole);
    for (unsigned v = 0; v < p->vectors; v++) mask[v] = own_lanes(e, c, p, v);
    for (unsigned i = 0; i < rows * p->vectors; i++)
        em_store_masked(e, value[i], em_at_int(e, out, 4 * (i / p->vectors * c->W + i % p->vectors * c->lanes)),
                        mask[i % p->vectors], 4);
    em_if_end(e, &whole);
}

/* Features [d, d + rows), over all keys. */
static void emit_context_block(emitter *e, const attention_code *c, const query_part *p, cg_val all, cg_val d, unsigned rows) {
    gemm_block g = {.rows = rows,
                    .vectors = p->vectors,
                    .lanes = c->lanes,
                    .x_step = part_bytes(c, p),
                    .w_step = 4,
                    .w_row_step = 4 * c->W,
                    .x_align = 4 * c->lanes,
                    .unroll = UNROLL};
    cg_val sum[GEMM_MAX_SUMS], w0 = em_index(e, c->values, d, 4 * c->W);
    unsigned n = g.rows * g.vectors;
    key_tiles tiles;
    zero_sums(e, c, n, sum);
    key_tiles_begin(e, c, &tiles, sum, n);
    cg_val x = em_index(e, p->scores, em_add(e, tiles.key0, tiles.begin), part_bytes(c, p));
    for (unsigned i = 0; i < n; i++) sum[i] = tiles.loop.carried[i];
    gemm_block_emit(e, &g, x, em_at(e, em_index(e, w0, tiles.begin, 4), tiles.offset), em_sub(e, tiles.end, tiles.begin), sum);
    em_loop_end(e, &tiles.loop, sum);
    for (unsigned i = 0; i < n; i++) sum[i] = em_fmul(e, tiles.loop.carried[i], p->factor[i % p->vectors]);
    store_context(e, c, p, all, d, rows, sum);
}

static void emit_context(emitter *e, const attention_code *c, const query_part *p) {
    int64_t whole = c->D - c->D % c->context_rows;
    cg_val end = em_add_int(e, p->lane, (int64_t)(p->vectors * c->lanes));
    cg_val all = em_and(e, em_less(e, p->own_begin, em_add_int(e, p->lane, 1)), em_less(e, end, em_add_int(e, p->own_end, 1)));
    em_loop blocks;
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, whole), c->context_rows, NULL, 0);
    emit_context_block(e, c, p, all, blocks.index, (unsigned)c->context_rows);
    em_loop_end(e, &blocks, NULL);
    if (whole < c->D) emit_context_block(e, c, p, all, em_int(e, whole), (unsigned)(c->D - whole));
}

/* Without a kept key: context 0 and log-sum-exp 0. */
static void clear_part(emitter *e, const attention_code *c, const query_part *p) {
    cg_val zero[PART_VECTORS];
    zero_sums(e, c, p->vectors, zero);
    for (unsigned v = 0; v < p->vectors && c->lse; v++) store_lse(e, c, p, v, zero[v]);
    if (!c->context) return;
    em_loop features;
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, c->D), 1, NULL, 0);
    store_context(e, c, p, LLVMConstInt(e->i1, 0, 0), features.index, 1, zero);
    em_loop_end(e, &features, NULL);
}

/* `vectors` vectors from lane `begin`, or before it where they would reach past the tile. */
static void emit_part(emitter *e, const attention_code *c, const query_part *tile, unsigned vectors, cg_val begin) {
    query_part p = *tile;
    p.vectors = vectors;
    p.key_rows = kernel_get(c->kernel, vectors == 1 ? "narrow_key_rows" : "key_rows");
    p.lane = em_min(e, begin, em_int(e, c->W - (int64_t)(vectors * c->lanes)));
    p.query = em_index(e, head_of_tile(e, c, c->q, p.tile), p.lane, 4);
    p.scores = em_at_int(e, em_scratch(e), MAX_KEY_ROWS * part_bytes(c, &p));
    em_if some;
    em_if_begin(e, &some, em_less(e, em_int(e, 0), c->n));
    emit_scores(e, c, &p);
    emit_softmax(e, c, &p);
    if (c->context) emit_context(e, c, &p);
    em_else(e, &some);
    clear_part(e, c, &p);
    em_if_end(e, &some);
}

/* The tile's own lanes: pairs of vectors while more than one vector is left, then one. */
static void emit_query_tile(emitter *e, const attention_code *c, cg_val t, cg_val own_end) {
    cg_val row0 = em_mul_int(e, t, c->W), lanes = em_int(e, c->lanes);
    query_part tile = {.tile = t};
    tile.own_begin = em_max(e, em_int(e, 0), em_sub(e, c->query_first, row0));
    tile.own_end = em_min(e, em_int(e, c->W), em_sub(e, own_end, row0));
    cg_val next = tile.own_begin;
    if (part_vectors(c->lanes, c->W) > 1) {
        em_loop pairs;
        const int64_t step = PART_VECTORS * (int64_t)c->lanes;
        em_loop_begin(e, &pairs, tile.own_begin, em_sub(e, tile.own_end, lanes), step, &tile.own_begin, 1);
        emit_part(e, c, &tile, PART_VECTORS, pairs.index);
        next = em_add_int(e, pairs.index, step);
        em_loop_end(e, &pairs, &next);
        next = pairs.carried[0];
    }
    em_if rest;
    em_if_begin(e, &rest, em_less(e, next, tile.own_end));
    emit_part(e, c, &tile, 1, next);
    em_if_end(e, &rest);
}

static void lay_out_scratch(emitter *e, attention_code *c) {
    /* the scores of a part first; then keys and values, [keys rounded up to W] long */
    const int64_t per_score = 4 * (int64_t)(c->lanes * part_vectors(c->lanes, c->W));
    cg_val length = em_mul_int(e, em_div_int_up(e, em_sub(e, c->end, c->first), c->W), c->W);
    c->packed_k = em_index(e, em_scratch(e), em_add_int(e, length, 2 * MAX_KEY_ROWS), per_score);
    c->packed_v = em_index(e, c->packed_k, length, 4 * c->D);
}

/* Rows [begin, end) that sequence b owns by `offsets`; whatever they hold, within [0, n_rows]. */
static void load_rows(emitter *e, cg_val offsets, cg_val b, cg_val n_rows, cg_val *begin, cg_val *end) {
    cg_val at = em_index(e, offsets, b, 4);
    *begin = em_max(e, em_int(e, 0), em_min(e, n_rows, em_load_int(e, IR_I32, at)));
    *end = em_max(e, *begin, em_min(e, n_rows, em_load_int(e, IR_I32, em_at_int(e, at, 4))));
}

static void emit_sequence(emitter *e, attention_code *c, cg_val sequence) {
    load_rows(e, c->offsets, sequence, c->n_rows, &c->first, &c->end);
    load_rows(e, c->query_offsets, sequence, c->n_query_rows, &c->query_first, &c->query_end);
    c->n = count_kept(e, c, c->first, c->end, &c->last_kept);
    lay_out_scratch(e, c);
    place_keys(e, c);
    cg_val end_tile = em_div_int_up(e, c->query_end, c->W);
    cg_val whole = em_mul_int(e, em_div_int_up(e, c->query_end, c->lanes), c->lanes);
    cg_val own_end = em_select(e, em_equal(e, c->query_end, c->n_query_rows), whole, c->query_end);
    em_if any; /* an empty sequence at the end of a tile has no tile of its own */
    em_loop tiles;
    em_if_begin(e, &any, em_less(e, c->query_first, c->query_end));
    em_loop_begin(e, &tiles, em_div_int(e, c->query_first, c->W), end_tile, 1, NULL, 0);
    emit_query_tile(e, c, tiles.index, own_end);
    em_loop_end(e, &tiles, NULL);
    em_if_end(e, &any);
}

void emit_attention(emitter *e, const cg_kernel *k) {
    attention_code c = {.kernel = k,
                        .H = kernel_get(k, "heads"),
                        .D = kernel_get(k, "D"),
                        .W = kernel_get(k, "W"),
                        .context_rows = kernel_get(k, "context_rows"),
                        .n_rows = em_dim(e, 1),
                        .n_query_rows = em_dim(e, 2)};
    cg_val operand[KERNEL_MAX_OPERANDS];
    kernel_operands(e, k, operand);
    c.q = operand[0], c.k = operand[1], c.v = operand[2], c.offsets = operand[3];
    c.keep = kernel_get(k, "keep") ? operand[kernel_get(k, "keep")] : NULL;
    c.query_offsets = operand[kernel_get(k, "query_offsets")];
    c.context = kernel_get(k, "context") ? operand[kernel_get(k, "context")] : NULL;
    c.lse = kernel_get(k, "lse") ? operand[kernel_get(k, "lse")] : NULL;
    c.lanes = tile_lanes(e->lanes, c.W);
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    c.head = em_rem_int(e, units.index, c.H);
    emit_sequence(e, &c, em_div_int(e, units.index, c.H));
    em_loop_end(e, &units, NULL);
}
