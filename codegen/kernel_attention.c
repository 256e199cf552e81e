/*
 * attention over ragged sequences, in tiles<W> (Vaswani et al. 2017, section 3.2): context = softmax(scale q k^T) v within each
 * sequence and head, over the kept keys.
 *
 * One unit is one (sequence, head). Queries are lanes; keys and values are broadcast, so that both products are the register block
 * of linear layers and the softmax runs down the lanes without horizontal work:
 *
 *   keys      K and V of the head as tiles [ceil(n/W)][D][W] of the n kept keys: in place where the sequence starts a tile and its
 *             kept keys come first, else packed into scratch. So the order of all sums depends on the kept keys alone, not on where
 *             the sequence lies in the batch
 *   per tile of queries:
 *   scores    P[j] = scale * sum_d K[d][j] Q[d]            [n][W]
 *   softmax   P[j] = exp(P[j] - max), sums
 *   context   C[d] = sum_j V[d][j] P[j] / sum              [D][W]
 *
 * A tile's rows may belong to several sequences: a unit stores the lanes of its own rows only, with masked stores where the tile is
 * not all its own; the last sequence also owns the lanes past the last row. Nothing of shape S x S exists: scores of one tile of
 * queries at a time.
 *
 * Queries may have rows of their own, told apart by query_offsets: then tiles of queries and lanes are theirs.
 *
 * operands: q, k, v, offsets, [keep], [query_offsets], [context], [log-sum-exp]. dims: B, R of the keys, R of the queries.
 */
#include "codegen/gemm_block.h"
#include "codegen/kernel.h"
#include "codegen/vector_math.h"

#define PART_VECTORS 2
#define UNROLL 4
#define COPY_LANES 4 /* numbers of a row of keys copied at a time when packing */

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

static ir_dim scratch_bytes(ir_dim S, int64_t D, int64_t W, bool *ok) {
    /* scores [S+W][W], keys and values [S+W][D], context [D][W], 1/sum [W] */
    int64_t per_key = 4 * (W + 2 * D);
    return kernel_scaled(S, per_key, per_key * W + 4 * W * (D + 1), ok);
}

bool describe_attention(const cg_group *g, const cg_target *target, cg_kernel *k) {
    const ir_node *n = group_single(g, OP_attention);
    if (!n) return false;
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
    kernel_set(k, "context_rows", context_rows(D, gemm_block_rows(target)));
    kernel_set(k, "keep", keep ? (int64_t)kernel_operand(k, keep) : 0);
    if (keep) kernel_set_dtype(k, "keep_dtype", graph_type(graph, keep)->dtype);
    kernel_set(k, "query_offsets", queries ? (int64_t)kernel_operand(k, queries) : 0);
    kernel_set(k, "context", g->stored[n->first_result] ? (int64_t)kernel_operand(k, n->first_result) : 0);
    kernel_set(k, "lse", g->stored[n->first_result + 1] ? (int64_t)kernel_operand(k, n->first_result + 1) : 0);
    ir_dim B = dim_add(offsets->dims[0], -1), S = longest_sequence(graph, n->inputs[3], key_rows);
    kernel_dim(k, B);
    kernel_dim(k, key_rows);
    kernel_dim(k, q->dims[0]);
    k->work = kernel_scaled(B, H, 0, &ok);
    k->scratch_bytes = scratch_bytes(S, D, W, &ok);
    bool counts;
    ir_dim pairs = dim_mul(q->dims[0], S, &counts);
    k->flops = counts ? kernel_scaled(pairs, 4 * E, 0, NULL) : dim_const(0);
    k->bytes = kernel_scaled(q->dims[0], 16 * E, 0, NULL);
    return ok;
}

typedef struct attention_code {
    const cg_kernel *kernel;
    int64_t H, D, W, key_rows, context_rows;
    unsigned lanes, vectors;
    cg_val q, k, v, offsets, keep, query_offsets, context, lse, n_rows, n_query_rows;
    cg_val scores, packed_k, packed_v, sums, inverse; /* scratch */
    /* of the unit at hand */
    cg_val head, first, end; /* rows [first, end) of the sequence */
    cg_val query_first, query_end;
    cg_val n, last_kept; /* kept keys; the last one's place in the sequence, plus 1 */
    cg_val keys, values, key_tile_step;
} attention_code;

static int64_t part_bytes(const attention_code *c) { return 4 * (int64_t)(c->lanes * c->vectors); }

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
    cg_val in_place = em_and(e, em_equal(e, em_rem_int(e, c->first, c->W), em_int(e, 0)), em_equal(e, c->last_kept, c->n));
    cg_val t = em_div_int(e, c->first, c->W);
    em_if packing;
    em_if_begin(e, &packing, LLVMBuildNot(e->builder, in_place, ""));
    pack_keys(e, c);
    em_if_end(e, &packing);
    c->keys = em_select(e, in_place, head_of_tile(e, c, c->k, t), c->packed_k);
    c->values = em_select(e, in_place, head_of_tile(e, c, c->v, t), c->packed_v);
    c->key_tile_step = em_select(e, in_place, em_int(e, tile_bytes(c)), em_int(e, head_bytes(c)));
}

/* ---- one tile of queries ---- */

static void zero_sums(emitter *e, const attention_code *c, unsigned n, cg_val *sum) {
    for (unsigned i = 0; i < n; i++) sum[i] = em_const(e, c->lanes, 0);
}

static void emit_scores(emitter *e, const attention_code *c, cg_val query) {
    gemm_block g = {.rows = (unsigned)c->key_rows,
                    .vectors = c->vectors,
                    .lanes = c->lanes,
                    .x_step = 4 * c->W,
                    .w_step = 4 * c->W,
                    .w_row_step = 4,
                    .x_align = 4 * c->lanes,
                    .unroll = UNROLL};
    cg_val sum[GEMM_MAX_SUMS], scale = em_const(e, c->lanes, kernel_get_real(c->kernel, "scale"));
    em_loop keys, parts; /* key: the first of a block; blocks do not cross tiles */
    em_loop_begin(e, &keys, em_int(e, 0), c->n, c->key_rows, NULL, 0);
    cg_val tile = em_mul(e, em_div_int(e, keys.index, c->W), c->key_tile_step);
    cg_val w = em_at(e, c->keys, em_add(e, tile, em_mul_int(e, em_rem_int(e, keys.index, c->W), 4)));
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, 4 * c->W), part_bytes(c), NULL, 0);
    zero_sums(e, c, g.rows * g.vectors, sum);
    gemm_block_emit(e, &g, em_at(e, query, parts.index), w, em_int(e, c->D), sum);
    cg_val out = em_at(e, em_index(e, c->scores, keys.index, 4 * c->W), parts.index);
    for (unsigned i = 0; i < g.rows * g.vectors; i++)
        em_store(e, em_fmul(e, sum[i], scale), em_at_int(e, out, 4 * (i / g.vectors * c->W + i % g.vectors * c->lanes)),
                 4 * c->lanes);
    em_loop_end(e, &parts, NULL);
    em_loop_end(e, &keys, NULL);
}

static cg_val load_score(emitter *e, const attention_code *c, cg_val part, cg_val j, unsigned ahead, unsigned v) {
    cg_val at = em_at_int(e, em_at(e, em_index(e, c->scores, j, 4 * c->W), part), 4 * (ahead * c->W + v * c->lanes));
    return em_load(e, c->lanes, at, 4 * c->lanes);
}

/* The largest score of each lane over keys [begin, end), `unroll` keys a round. */
static void emit_largest(emitter *e, const attention_code *c, cg_val part, cg_val begin, cg_val end, unsigned unroll,
                         cg_val top[PART_VECTORS]) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, unroll, top, c->vectors);
    for (unsigned v = 0; v < c->vectors; v++) {
        cg_val best = load_score(e, c, part, loop.index, 0, v);
        for (unsigned u = 1; u < unroll; u++) best = em_fmax_skip_nan(e, best, load_score(e, c, part, loop.index, u, v));
        top[v] = em_fmax_skip_nan(e, loop.carried[v], best);
    }
    em_loop_end(e, &loop, top);
    for (unsigned v = 0; v < c->vectors; v++) top[v] = loop.carried[v];
}

static void emit_exponentials(emitter *e, const attention_code *c, cg_val part, const cg_val top[PART_VECTORS],
                              cg_val sum[PART_VECTORS]) {
    em_loop loop;
    zero_sums(e, c, c->vectors, sum);
    em_loop_begin(e, &loop, em_int(e, 0), c->n, 1, sum, c->vectors);
    for (unsigned v = 0; v < c->vectors; v++) {
        cg_val p = math_exp_nonpositive(e, em_fsub(e, load_score(e, c, part, loop.index, 0, v), top[v]));
        cg_val to = em_at_int(e, em_at(e, em_index(e, c->scores, loop.index, 4 * c->W), part), 4 * (int64_t)(v * c->lanes));
        em_store(e, p, to, 4 * c->lanes);
        sum[v] = em_fadd(e, loop.carried[v], p);
    }
    em_loop_end(e, &loop, sum);
    for (unsigned v = 0; v < c->vectors; v++) sum[v] = loop.carried[v];
}

/* Scores to exponentials, 1 / their sum, and the log-sum-exp of lanes that are this sequence's. */
static void emit_softmax(emitter *e, const attention_code *c, cg_val query_tile, cg_val own_end) {
    em_loop parts;
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, 4 * c->W), part_bytes(c), NULL, 0);
    cg_val top[PART_VECTORS], sum[PART_VECTORS], whole = em_sub(e, c->n, em_rem_int(e, c->n, UNROLL));
    for (unsigned v = 0; v < c->vectors; v++)
        top[v] = LLVMConstBitCast(em_const_i32(e, c->lanes, (int32_t)0xff800000u), em_vector_type(e, c->lanes)); /* -inf */
    emit_largest(e, c, parts.index, em_int(e, 0), whole, UNROLL, top);
    emit_largest(e, c, parts.index, whole, c->n, 1, top);
    emit_exponentials(e, c, parts.index, top, sum);
    for (unsigned v = 0; v < c->vectors; v++) {
        cg_val at = em_add_int(e, parts.index, 4 * (int64_t)(v * c->lanes));
        em_store(e, em_fdiv(e, em_const(e, c->lanes, 1), sum[v]), em_at(e, c->inverse, at), 4 * c->lanes);
        if (!c->lse) continue;
        cg_val row = em_add(e, em_mul_int(e, query_tile, c->W), em_div_int(e, at, 4));
        cg_val to = em_at(e, em_index(e, c->lse, em_add(e, em_mul_int(e, query_tile, c->H), c->head), 4 * c->W), at);
        em_store_masked(e, em_fadd(e, top[v], math_log(e, sum[v])), to,
                        em_lanes_in_range(e, c->lanes, row, c->query_first, own_end), 4 * c->lanes);
    }
    em_loop_end(e, &parts, NULL);
}

/* Sums of features [d, d + rows) over all keys, into scratch. */
static void emit_context_block(emitter *e, const attention_code *c, cg_val d, unsigned rows) {
    gemm_block g = {.rows = rows,
                    .vectors = c->vectors,
                    .lanes = c->lanes,
                    .x_step = 4 * c->W,
                    .w_step = 4,
                    .w_row_step = 4 * c->W,
                    .x_align = 4 * c->lanes,
                    .unroll = UNROLL};
    cg_val sum[GEMM_MAX_SUMS], out = em_index(e, c->sums, d, 4 * c->W), w0 = em_index(e, c->values, d, 4 * c->W);
    unsigned n = g.rows * g.vectors;
    em_loop parts, tiles;
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, 4 * c->W), part_bytes(c), NULL, 0);
    zero_sums(e, c, n, sum);
    em_loop_begin(e, &tiles, em_int(e, 0), c->n, c->W, sum, n);
    cg_val count = em_min(e, em_int(e, c->W), em_sub(e, c->n, tiles.index));
    cg_val w = em_at(e, w0, em_mul(e, em_div_int(e, tiles.index, c->W), c->key_tile_step));
    for (unsigned i = 0; i < n; i++) sum[i] = tiles.carried[i];
    gemm_block_emit(e, &g, em_at(e, em_index(e, c->scores, tiles.index, 4 * c->W), parts.index), w, count, sum);
    em_loop_end(e, &tiles, sum);
    for (unsigned i = 0; i < n; i++)
        em_store(e, tiles.carried[i],
                 em_at_int(e, em_at(e, out, parts.index), 4 * (i / g.vectors * c->W + i % g.vectors * c->lanes)), 4 * c->lanes);
    em_loop_end(e, &parts, NULL);
}

static void emit_context(emitter *e, const attention_code *c) {
    int64_t whole = c->D - c->D % c->context_rows;
    em_loop blocks;
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, whole), c->context_rows, NULL, 0);
    emit_context_block(e, c, blocks.index, (unsigned)c->context_rows);
    em_loop_end(e, &blocks, NULL);
    if (whole < c->D) emit_context_block(e, c, em_int(e, whole), (unsigned)(c->D - whole));
}

/* Sums / sum of exponentials, to the result: all lanes, or those of rows [first, own_end). */
static void store_context(emitter *e, const attention_code *c, cg_val query_tile, cg_val own_end, bool all) {
    cg_val out = head_of_tile(e, c, c->context, query_tile), row0 = em_mul_int(e, query_tile, c->W);
    em_loop features, parts;
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, 4 * c->W), 4 * (int64_t)c->lanes, NULL, 0);
    cg_val factor = em_load(e, c->lanes, em_at(e, c->inverse, parts.index), 4 * c->lanes), mask = NULL;
    if (!all) mask = em_lanes_in_range(e, c->lanes, em_add(e, row0, em_div_int(e, parts.index, 4)), c->query_first, own_end);
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, head_bytes(c)), 4 * c->W, NULL, 0);
    cg_val at = em_add(e, features.index, parts.index);
    cg_val value = em_fmul(e, em_load(e, c->lanes, em_at(e, c->sums, at), 4 * c->lanes), factor);
    if (all) em_store(e, value, em_at(e, out, at), 4 * c->lanes);
    else em_store_masked(e, value, em_at(e, out, at), mask, 4 * c->lanes);
    em_loop_end(e, &features, NULL);
    em_loop_end(e, &parts, NULL);
}

/* Without a kept key: context 0 and log-sum-exp 0. Sums and factor are made so that the usual stores do it. */
static void clear_results(emitter *e, const attention_code *c) {
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, 4 * c->W * (c->D + 1)), 4 * (int64_t)c->lanes, NULL, 0);
    em_store(e, em_const(e, c->lanes, 0), em_at(e, c->sums, loop.index), 4 * c->lanes); /* 1/sum lies behind the sums */
    em_loop_end(e, &loop, NULL);
}

static void clear_lse(emitter *e, const attention_code *c, cg_val query_tile, cg_val own_end) {
    em_loop parts;
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, c->W), c->lanes, NULL, 0);
    cg_val row = em_add(e, em_mul_int(e, query_tile, c->W), parts.index);
    cg_val to = em_index(e, em_index(e, c->lse, em_add(e, em_mul_int(e, query_tile, c->H), c->head), 4 * c->W), parts.index, 4);
    em_store_masked(e, em_const(e, c->lanes, 0), to, em_lanes_in_range(e, c->lanes, row, c->query_first, own_end), 4 * c->lanes);
    em_loop_end(e, &parts, NULL);
}

static void emit_query_tile(emitter *e, const attention_code *c, cg_val t, cg_val own_end) {
    em_if some, all;
    em_if_begin(e, &some, em_less(e, em_int(e, 0), c->n));
    emit_scores(e, c, head_of_tile(e, c, c->q, t));
    emit_softmax(e, c, t, own_end);
    if (c->context) emit_context(e, c);
    em_else(e, &some);
    clear_results(e, c);
    if (c->lse) clear_lse(e, c, t, own_end);
    em_if_end(e, &some);
    if (!c->context) return;
    cg_val row0 = em_mul_int(e, t, c->W), inside = em_less(e, c->query_first, em_add_int(e, row0, 1));
    em_if_begin(e, &all, em_and(e, inside, em_less(e, em_add_int(e, row0, c->W - 1), own_end)));
    store_context(e, c, t, own_end, true);
    em_else(e, &all);
    store_context(e, c, t, own_end, false);
    em_if_end(e, &all);
}

static void lay_out_scratch(emitter *e, attention_code *c) {
    /* sums and 1/sum first: their sizes are known; then the rest, whose parts are [keys rounded up to W] long */
    c->sums = em_scratch(e);
    c->inverse = em_at_int(e, c->sums, head_bytes(c));
    cg_val length = em_mul_int(e, em_div_int_up(e, em_sub(e, c->end, c->first), c->W), c->W);
    c->scores = em_at_int(e, c->inverse, 4 * c->W);
    c->packed_k = em_index(e, c->scores, length, 4 * c->W);
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
    c->query_first = c->first, c->query_end = c->end;
    if (c->query_offsets) load_rows(e, c->query_offsets, sequence, c->n_query_rows, &c->query_first, &c->query_end);
    c->n = count_kept(e, c, c->first, c->end, &c->last_kept);
    lay_out_scratch(e, c);
    place_keys(e, c);
    cg_val end_tile = em_div_int_up(e, c->query_end, c->W);
    cg_val own_end = em_select(e, em_equal(e, c->query_end, c->n_query_rows), em_mul_int(e, end_tile, c->W), c->query_end);
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
                        .key_rows = kernel_get(k, "key_rows"),
                        .context_rows = kernel_get(k, "context_rows"),
                        .n_rows = em_dim(e, 1),
                        .n_query_rows = em_dim(e, 2)};
    cg_val operand[KERNEL_MAX_OPERANDS];
    kernel_operands(e, k, operand);
    c.q = operand[0], c.k = operand[1], c.v = operand[2], c.offsets = operand[3];
    c.keep = kernel_get(k, "keep") ? operand[kernel_get(k, "keep")] : NULL;
    c.query_offsets = kernel_get(k, "query_offsets") ? operand[kernel_get(k, "query_offsets")] : NULL;
    c.context = kernel_get(k, "context") ? operand[kernel_get(k, "context")] : NULL;
    c.lse = kernel_get(k, "lse") ? operand[kernel_get(k, "lse")] : NULL;
    c.lanes = tile_lanes(e->lanes, c.W);
    c.vectors = tile_vectors(c.lanes, c.W, PART_VECTORS);
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    c.head = em_rem_int(e, units.index, c.H);
    emit_sequence(e, &c, em_div_int(e, units.index, c.H));
    em_loop_end(e, &units, NULL);
}
