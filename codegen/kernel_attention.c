/*
 * attention over ragged sequences, in tiles<W> (Vaswani et al. 2017, section 3.2): context = softmax(scale q k^T) v within each
 * sequence and head, over the kept keys. How rows, keys and queries are walked: attention_tiles.h.
 *
 *   per part of a tile of queries, one or two vectors wherever they start:
 *   scores    P[j] = scale * sum_d K[d][j] Q[d]            [n][part]
 *   softmax   P[j] = exp(P[j] - max), sums
 *   dropout   P[j] = 0 where it drops
 *   context   C[d] = sum_j V[d][j] P[j] * kept scale / sum [D][part]
 *
 * Nothing of shape S x S exists: scores of one part at a time.
 *
 * Scores of queries and keys that come out of 8 bits are computed in integers (attention_bytes.h).
 *
 * operands: q, k, v, offsets, [keep], query_offsets, [random keys, random], [ranges of q and k], [context], [log-sum-exp]. dims: B, R of the keys, R of
 * the queries, [stream].
 */
#include "codegen/attention_bytes.h"
#include "codegen/vector_math.h"

static ir_dim scratch_bytes(ir_dim S, int64_t D, int64_t W, unsigned lanes, bool packed, bool bytes, bool *ok) {
    /* scores of a part, with room for a block of keys before and after; keys and values [S+W][D] */
    int64_t per_score = 4 * (int64_t)(lanes * tile_vectors(lanes, W, PART_VECTORS)), per_packed = packed ? 8 * D : 0;
    int64_t per_byte = bytes ? attention_bytes_per_key(D) : 0, besides = bytes ? attention_bytes_besides(D, W, lanes) : 0;
    return kernel_scaled(S, per_score + per_packed + per_byte,
                         2 * MAX_KEY_ROWS * per_score + W * (per_score + per_packed) + besides, ok);
}

bool describe_attention(const cg_group *g, const cg_target *target, cg_kernel *k) {
    static const attention_operands at = {4, 5, 6, 7};
    const ir_node *n = group_single(g, OP_attention);
    if (!n || !attention_describe(g, target, &at, k)) return false;
    const ir_type *q = graph_type(g->graph, n->inputs[0]);
    const int64_t E = type_features(q), D = kernel_get(k, "D"), W = q->tile;
    const ir_dim S = attention_longest(g);
    bool ok = true, counts;
    const bool bytes = attention_bytes_describe(g, target, k);
    kernel_set(k, "context", g->stored[n->first_result] ? (int64_t)kernel_operand(k, n->first_result) : 0);
    kernel_set(k, "lse", g->stored[n->first_result + 1] ? (int64_t)kernel_operand(k, n->first_result + 1) : 0);
    k->scratch_bytes = scratch_bytes(S, D, W, tile_lanes(target->vector_bytes / 4, W), kernel_get(k, "keep") != 0, bytes, &ok);
    ir_dim pairs = dim_mul(q->dims[0], S, &counts);
    k->flops = counts ? kernel_scaled(pairs, 4 * E, 0, NULL) : dim_const(0);
    k->bytes = kernel_scaled(q->dims[0], 16 * E, 0, NULL);
    return ok;
}

/* Where results go; NULL: nobody wants it. */
typedef struct attention_results {
    cg_val context, lse;
    const cg_val *operand;
    attention_bytes bytes; /* where scores are computed in integers */
} attention_results;

static cg_val load_score(emitter *e, const attention_code *c, const query_part *p, cg_val j, unsigned ahead, unsigned v) {
    cg_val at = em_at_int(e, attention_score(e, c, p, p->scores, j, v), ahead * p->score_step);
    return em_load(e, c->lanes, at, 4 * c->lanes);
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

static void emit_exponentials(emitter *e, const attention_code *c, const query_part *p, cg_val context,
                              const cg_val top[PART_VECTORS], cg_val sum[PART_VECTORS]) {
    const cg_val tensors[] = {c->q, c->k, c->v, context};
    em_loop loop;
    for (unsigned v = 0; v < p->vectors; v++) sum[v] = em_const(e, c->lanes, 0);
    em_loop_begin(e, &loop, em_int(e, 0), c->n, 1, sum, p->vectors);
    attention_fetch_next_head(e, c, p, loop.index, tensors, sizeof tensors / sizeof *tensors);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val exponential = math_exp_nonpositive(e, em_fsub(e, load_score(e, c, p, loop.index, 0, v), top[v]));
        em_store(e, exponential, attention_score(e, c, p, p->scores, loop.index, v), 4 * c->lanes);
        sum[v] = em_fadd(e, loop.carried[v], exponential);
    }
    em_loop_end(e, &loop, sum);
    for (unsigned v = 0; v < p->vectors; v++) sum[v] = loop.carried[v];
}

static void store_lse(emitter *e, const attention_code *c, const query_part *p, cg_val base, unsigned v, cg_val lse) {
    em_store_masked(e, lse, attention_row_number(e, c, p, base, v), attention_own_lanes(e, c, p, v), 4);
}

/* Scores to exponentials and the log-sum-exp; factor: 1 / their sum, and what dropout multiplies by. */
static void emit_softmax(emitter *e, const attention_code *c, const query_part *p, const attention_results *to,
                         cg_val factor[PART_VECTORS]) {
    cg_val top[PART_VECTORS], sum[PART_VECTORS], whole = em_sub(e, c->n, em_rem_int(e, c->n, ATTENTION_UNROLL));
    for (unsigned v = 0; v < p->vectors; v++)
        top[v] = LLVMConstBitCast(em_const_i32(e, c->lanes, (int32_t)0xff800000u), em_vector_type(e, c->lanes)); /* -inf */
    emit_largest(e, c, p, em_int(e, 0), whole, ATTENTION_UNROLL, top);
    emit_largest(e, c, p, whole, c->n, 1, top);
    emit_exponentials(e, c, p, to->context, top, sum);
    for (unsigned v = 0; v < p->vectors; v++) {
        factor[v] = em_fdiv(e, em_const(e, c->lanes, c->kept_scale), sum[v]);
        if (to->lse) store_lse(e, c, p, to->lse, v, em_fadd(e, top[v], math_log(e, sum[v])));
    }
}

/* Without a kept key: context 0 and log-sum-exp 0. */
static void clear_part(emitter *e, const attention_code *c, const query_part *p, const attention_results *to) {
    for (unsigned v = 0; v < p->vectors && to->lse; v++) store_lse(e, c, p, to->lse, v, em_const(e, c->lanes, 0));
    if (to->context) attention_clear(e, c, p, to->context);
}

static void emit_part(emitter *e, const attention_code *c, query_part *p, void *user) {
    const attention_results *to = user;
    cg_val query = em_index(e, attention_head_of_tile(e, c, c->q, p->tile), p->lane, 4), factor[PART_VECTORS];
    p->score_step = 4 * (int64_t)(c->lanes * p->vectors);
    p->scores = em_at_int(e, em_scratch(e), MAX_KEY_ROWS * p->score_step);
    em_if some;
    em_if_begin(e, &some, em_less(e, em_int(e, 0), c->n));
    const double scale = kernel_get_real(c->kernel, "scale");
    if (to->bytes.keys) attention_bytes_scores(e, c, p, &to->bytes, query, scale, p->scores);
    else attention_scores(e, c, p, c->keys, query, scale, p->scores);
    emit_softmax(e, c, p, to, factor);
    attention_drop(e, c, p, em_int(e, p->vectors), false);
    if (to->context) attention_combine(e, c, p, c->values, p->scores, factor, to->context);
    em_else(e, &some);
    clear_part(e, c, p, to);
    em_if_end(e, &some);
}

static void emit_unit(emitter *e, attention_code *c, void *user) {
    /* the scores of a part first; then keys and values, and bytes */
    attention_results *to = user;
    const int64_t per_score = 4 * (int64_t)(c->lanes * tile_vectors(c->lanes, c->W, PART_VECTORS));
    cg_val rows = em_add_int(e, attention_key_room(e, c), 2 * MAX_KEY_ROWS);
    query_tiles tiles;
    cg_val scratch = em_index(e, em_scratch(e), rows, per_score);
    attention_place_keys(e, c, scratch);
    if (kernel_get(c->kernel, "q_range")) {
        if (c->keep) scratch = em_index(e, scratch, attention_key_room(e, c), 8 * c->D);
        to->bytes = attention_bytes_place(e, c, to->operand, scratch);
    }
    attention_query_tiles_begin(e, c, &tiles);
    attention_query_parts(e, c, &tiles.tile, tiles.tile.own_begin, emit_part, user);
    attention_query_tiles_end(e, &tiles);
}

void emit_attention(emitter *e, const cg_kernel *k) {
    attention_code c;
    cg_val operand[KERNEL_MAX_OPERANDS];
    attention_begin(e, k, &c, operand);
    attention_results to = {.context = kernel_get(k, "context") ? operand[kernel_get(k, "context")] : NULL,
                            .lse = kernel_get(k, "lse") ? operand[kernel_get(k, "lse")] : NULL,
                            .operand = operand};
    attention_units(e, &c, emit_unit, &to);
}
