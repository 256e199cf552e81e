/*
 * attention_gradient in tiles<W> (ir/ops/op_attention_gradient.c has the formulas): probabilities are made again from the log-sum-exp, and
 * dropout from its counters (Dao et al. 2022, section 3.1), so nothing of shape S x S is kept. How rows, keys and queries are walked:
 * attention_tiles.h.
 *
 *   per part of a tile of queries, one or two vectors that begin at a whole one:
 *   sums        D = sum_d dC[d] C[d]
 *   scores      P[j] = sum_d K[d][j] Q[d],  dP[j] = sum_d V[d][j] dC[d]                       [n][W], a column for each query
 *   change      P[j] = exp(scale P[j] - lse), through dropout;  dP[j] = scale (P[j] dP[j] - exp(..) D)
 *   queries     dQ[d] = sum_j K[d][j] dP[j]                                                   [D][part]
 *   per tile of queries, with Q and dC transposed to [W][D]:
 *   keys        dV[j] += sum_i P[j][i] dC[i],  dK[j] += sum_i dP[j][i] Q[i]                   [n][D], features are lanes
 *
 * dV and dK are sums in scratch over all queries in their order, whatever tiles they lie in; at the end they are transposed into the
 * sequence's rows. With a mask, those of the kept keys move to their places first, and the others get zeros.
 *
 * operands: q, k, v, offsets, [keep], query_offsets, [random keys, random], context, log-sum-exp, dcontext, [dq], [dk], [dv]. dims: B, R of
 * the keys, R of the queries, [stream].
 */
#include "codegen/attention_tiles.h"
#include "codegen/transpose.h"
#include "codegen/vector_math.h"

/* Numbers of a row of features in scratch: whole vectors. */
static int64_t padded_features(int64_t D, unsigned lanes) { return (D + lanes - 1) / lanes * lanes; }

/* Rows of scratch before and after those of keys: blocks of keys, and vectors of a tile that hold other sequences' rows too. */
static int64_t key_margin(int64_t W) { return W + MAX_KEY_ROWS; }

static ir_dim scratch_bytes(ir_dim S, int64_t D, int64_t W, unsigned lanes, bool packed, bool *ok) {
    const int64_t features = 4 * padded_features(D, lanes), per_key = 2 * (4 * W + features) + (packed ? 8 * D : 0);
    return kernel_scaled(S, per_key, W * per_key + 4 * key_margin(W) * (4 * W + features) + 2 * W * features, ok);
}

bool describe_attention_gradient(const cg_group *g, const cg_target *target, cg_kernel *k) {
    static const attention_operands at = {7, 8, 9, 10};
    static const char *const results[] = {"dq", "dk", "dv"};
    const ir_node *n = group_single(g, OP_attention_gradient);
    if (!n || !attention_describe(g, target, &at, k)) return false;
    const ir_type *q = graph_type(g->graph, n->inputs[0]);
    const int64_t E = type_features(q), D = kernel_get(k, "D"), W = q->tile;
    const ir_dim S = attention_longest(g);
    bool ok = true, counts;
    kernel_set(k, "context", kernel_operand(k, n->inputs[4]));
    kernel_set(k, "lse", kernel_operand(k, n->inputs[5]));
    kernel_set(k, "dcontext", kernel_operand(k, n->inputs[6]));
    for (ir_value i = 0; i < 3; i++)
        kernel_set(k, results[i], g->stored[n->first_result + i] ? (int64_t)kernel_operand(k, n->first_result + i) : 0);
    k->scratch_bytes = scratch_bytes(S, D, W, tile_lanes(target->vector_bytes / 4, W), kernel_get(k, "keep") != 0, &ok);
    ir_dim pairs = dim_mul(q->dims[0], S, &counts);
    k->flops = counts ? kernel_scaled(pairs, 10 * E, 0, NULL) : dim_const(0);
    k->bytes = kernel_scaled(q->dims[0], 32 * E, 0, NULL);
    return ok;
}

/* What is one of a kind lies twice in scratch, the second `.._bytes` behind the first: of the values, and of the keys. */
typedef struct gradient_code {
    cg_val context, lse, dcontext, dq, dk, dv; /* operands; NULL: nobody wants it */
    int64_t features;                          /* bytes of a row of features */
    cg_val scores, scores_bytes;               /* P, dP: rows of 4 W bytes */
    cg_val sums, sums_bytes;                   /* dV, dK: rows of `features` bytes */
    cg_val sides, sides_bytes;                 /* dC, Q of a tile of queries, [W] rows of features */
} gradient_code;

static void lay_out_scratch(emitter *e, attention_code *c, gradient_code *g) {
    const int64_t margin = key_margin(c->W);
    cg_val rows = em_add_int(e, attention_key_room(e, c), 2 * margin);
    g->features = 4 * padded_features(c->D, c->lanes);
    g->scores_bytes = em_mul_int(e, rows, 4 * c->W);
    g->sums_bytes = em_mul_int(e, rows, g->features);
    g->sides_bytes = em_int(e, c->W * g->features);
    g->sides = em_scratch(e);
    cg_val scores = em_at_int(e, g->sides, 2 * c->W * g->features), sums = em_at(e, scores, em_mul_int(e, g->scores_bytes, 2));
    g->scores = em_at_int(e, scores, margin * 4 * c->W);
    g->sums = em_at_int(e, sums, margin * g->features);
    attention_place_keys(e, c, em_at(e, sums, em_mul_int(e, g->sums_bytes, 2)));
}

/* ---- loops ---- */

/* Twice: index 0 for the values' side, 1 for the keys'. */
static cg_val both_begin(emitter *e, em_loop *loop) {
    em_loop_begin(e, loop, em_int(e, 0), em_int(e, 2), 1, NULL, 0);
    return em_equal(e, loop->index, em_int(e, 0));
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

/* ---- a part of a tile of queries ---- */

static cg_val part_of(emitter *e, const attention_code *c, const query_part *p, cg_val base) {
    return em_index(e, attention_head_of_tile(e, c, base, p->tile), p->lane, 4);
}

static cg_val load_number(emitter *e, const attention_code *c, cg_val at, int64_t align) {
    return em_load(e, c->lanes, at, (unsigned)align);
}

/* D of each query. */
static void sum_products(emitter *e, const attention_code *c, const gradient_code *g, const query_part *p,
                         cg_val sum[PART_VECTORS]) {
    cg_val context = part_of(e, c, p, g->context), dcontext = part_of(e, c, p, g->dcontext);
    em_loop loop;
    for (unsigned v = 0; v < p->vectors; v++) sum[v] = em_const(e, c->lanes, 0);
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, c->D), 1, sum, p->vectors);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val at = em_add_int(e, em_mul_int(e, loop.index, 4 * c->W), 4 * (int64_t)(v * c->lanes));
        cg_val x = load_number(e, c, em_at(e, context, at), 4), y = load_number(e, c, em_at(e, dcontext, at), 4);
        sum[v] = em_fma(e, x, y, loop.carried[v]);
    }
    em_loop_end(e, &loop, sum);
    for (unsigned v = 0; v < p->vectors; v++) sum[v] = loop.carried[v];
}

/* P and dP as products, before anything else is done to them. */
static void emit_scores(emitter *e, const attention_code *c, const gradient_code *g, const query_part *p) {
    em_loop both;
    cg_val of_keys = both_begin(e, &both); /* P first */
    cg_val keys = em_select(e, of_keys, c->keys, c->values);
    cg_val x = em_select(e, of_keys, part_of(e, c, p, c->q), part_of(e, c, p, g->dcontext));
    attention_scores(e, c, p, em_opaque(e, keys), em_opaque(e, x), 1, em_at(e, p->scores, em_mul(e, both.index, g->scores_bytes)));
    em_loop_end(e, &both, NULL);
}

/* What a part's change needs of its queries. */
typedef struct change_terms {
    cg_val minus_lse[PART_VECTORS], minus_sum[PART_VECTORS]; /* the latter times scale */
} change_terms;

static cg_val probability(emitter *e, const attention_code *c, const change_terms *t, cg_val score, unsigned v) {
    cg_val scale = em_const(e, c->lanes, kernel_get_real(c->kernel, "scale"));
    return math_exp_nonpositive(e, em_fma(e, score, scale, t->minus_lse[v]));
}

static void emit_probabilities(emitter *e, const attention_code *c, const query_part *p, const change_terms *t) {
    em_loop keys;
    em_loop_begin(e, &keys, em_int(e, 0), c->n, 1, NULL, 0);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val at = attention_score(e, c, p, p->scores, keys.index, v);
        em_store(e, probability(e, c, t, load_number(e, c, at, 4 * c->lanes), v), at, 4 * c->lanes);
    }
    em_loop_end(e, &keys, NULL);
}

static cg_val magnitude(emitter *e, cg_val x) {
    LLVMTypeRef type = LLVMTypeOf(x);
    return em_intrinsic(e, "llvm.fabs", &type, 1, &x, 1);
}

/* P through dropout, and dS = scale P (F dP - D) in place of dP. Where something is dropped, P holds probabilities by now, those that
 * are dropped negative; else scores. */
static void emit_changes(emitter *e, const attention_code *c, const gradient_code *g, const query_part *p, const change_terms *t) {
    em_loop keys;
    cg_val scale = em_const(e, c->lanes, kernel_get_real(c->kernel, "scale")), kept_scale = em_const(e, c->lanes, c->kept_scale);
    em_loop_begin(e, &keys, em_int(e, 0), c->n, 1, NULL, 0);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val at = attention_score(e, c, p, p->scores, keys.index, v), d_at = em_at(e, at, g->scores_bytes);
        cg_val x = load_number(e, c, at, 4 * c->lanes), dp = load_number(e, c, d_at, 4 * c->lanes);
        cg_val whole = c->random_keys ? magnitude(e, x) : probability(e, c, t, x, v);
        cg_val through = c->random_keys ? em_fmul(e, em_fmax_nan(e, x, em_const(e, c->lanes, 0)), kept_scale) : whole;
        em_store(e, through, at, 4 * c->lanes);
        em_store(e, em_fma(e, em_fmul(e, through, scale), dp, em_fmul(e, whole, t->minus_sum[v])), d_at, 4 * c->lanes);
    }
    em_loop_end(e, &keys, NULL);
}

static void place_scores(emitter *e, const attention_code *c, const gradient_code *g, query_part *p) {
    p->score_step = 4 * c->W;
    p->scores = em_index(e, g->scores, p->lane, 4);
}

static cg_val load_minus_lse(emitter *e, const attention_code *c, const gradient_code *g, const query_part *p, unsigned v) {
    return em_fsub(e, em_const(e, c->lanes, 0), load_number(e, c, attention_row_number(e, c, p, g->lse, v), 4));
}

static void part_to_probabilities(emitter *e, const attention_code *c, query_part *p, void *user) {
    change_terms t = {0};
    place_scores(e, c, user, p);
    emit_scores(e, c, user, p);
    if (!c->random_keys) return;
    for (unsigned v = 0; v < p->vectors; v++) t.minus_lse[v] = load_minus_lse(e, c, user, p, v);
    emit_probabilities(e, c, p, &t);
}

static void part_to_changes(emitter *e, const attention_code *c, query_part *p, void *user) {
    const gradient_code *g = user;
    const double scale = kernel_get_real(c->kernel, "scale");
    change_terms t = {0};
    place_scores(e, c, g, p);
    sum_products(e, c, g, p, t.minus_sum);
    for (unsigned v = 0; v < p->vectors; v++) {
        if (!c->random_keys) t.minus_lse[v] = load_minus_lse(e, c, g, p, v);
        t.minus_sum[v] = em_fmul(e, t.minus_sum[v], em_const(e, c->lanes, -scale));
    }
    emit_changes(e, c, g, p, &t);
    if (g->dq) attention_combine(e, c, p, c->keys, em_at(e, p->scores, g->scores_bytes), NULL, g->dq);
}

static void drop_tile(emitter *e, const attention_code *c, const gradient_code *g, const query_part *tile, cg_val begin) {
    query_part p = *tile;
    p.lane = begin;
    place_scores(e, c, g, &p);
    attention_drop(e, c, &p, em_div_int_up(e, em_sub(e, tile->own_end, begin), c->lanes), true);
}

static void clear_part(emitter *e, const attention_code *c, query_part *p, void *user) {
    const gradient_code *g = user;
    if (g->dq) attention_clear(e, c, p, g->dq);
}

/* ---- a tile of queries: the keys' sums ---- */

/* One square of a transpose: where it comes from and goes to. */
typedef struct square {
    const gradient_code *g;
    cg_val from, to, mask; /* of feature 0, at the first lane; mask: lanes that are written, of tiles */
} square;

/* Vectors of features d .. d + n become rows. */
static void square_to_rows(emitter *e, const attention_code *c, cg_val d, unsigned n, void *user) {
    const square *s = user;
    cg_val row[TRANSPOSE_MAX], from = em_index(e, s->from, d, 4 * c->W), to = em_opaque(e, em_index(e, s->to, d, 4));
    for (unsigned i = 0; i < c->lanes; i++)
        row[i] = i < n ? load_number(e, c, em_at_int(e, from, 4 * c->W * i), 4) : em_const(e, c->lanes, 0);
    transpose_emit(e, row, c->lanes);
    for (unsigned i = 0; i < c->lanes; i++) em_store(e, row[i], em_at_int(e, to, s->g->features * i), 4 * c->lanes);
}

/* Rows become vectors of features d .. d + n. */
static void square_to_tile(emitter *e, const attention_code *c, cg_val d, unsigned n, void *user) {
    const square *s = user;
    cg_val row[TRANSPOSE_MAX], from = em_opaque(e, em_index(e, s->from, d, 4)), to = em_index(e, s->to, d, 4 * c->W);
    for (unsigned i = 0; i < c->lanes; i++) row[i] = load_number(e, c, em_at_int(e, from, s->g->features * i), 4 * c->lanes);
    transpose_emit(e, row, c->lanes);
    for (unsigned i = 0; i < n; i++) em_store_masked(e, row[i], em_at_int(e, to, 4 * c->W * i), s->mask, 4);
}

static void transpose_queries(emitter *e, const attention_code *c, const gradient_code *g, const query_part *tile) {
    em_loop both, lanes;
    cg_val of_values = both_begin(e, &both);
    cg_val from = attention_head_of_tile(e, c, em_select(e, of_values, g->dcontext, c->q), tile->tile);
    cg_val to = em_at(e, g->sides, em_mul(e, both.index, g->sides_bytes));
    em_loop_begin(e, &lanes, whole_vectors_before(e, c, tile->own_begin), tile->own_end, c->lanes, NULL, 0);
    square s = {.g = g, .from = em_index(e, from, lanes.index, 4), .to = em_index(e, to, lanes.index, g->features)};
    each_vector_of_features(e, c, square_to_rows, &s);
    em_loop_end(e, &lanes, NULL);
    em_loop_end(e, &both, NULL);
}

/* `vectors` vectors of features from d on, of `rows` keys: their sums go on over the tile's own queries. */
static void add_block(emitter *e, const attention_code *c, const gradient_code *g, unsigned rows, unsigned vectors, cg_val d,
                      cg_val scores, cg_val sums, cg_val side, cg_val count) {
    gemm_block block = {.rows = rows,
                        .vectors = vectors,
                        .lanes = c->lanes,
                        .x_step = g->features,
                        .w_step = 4,
                        .w_row_step = 4 * c->W,
                        .x_align = 4 * c->lanes,
                        .unroll = ATTENTION_UNROLL};
    cg_val sum[GEMM_MAX_SUMS], at = em_opaque(e, em_index(e, sums, d, 4));
    for (unsigned i = 0; i < rows * vectors; i++)
        sum[i] =
            load_number(e, c, em_at_int(e, at, i / vectors * g->features + 4 * (int64_t)(i % vectors * c->lanes)), 4 * c->lanes);
    gemm_block_emit(e, &block, em_index(e, side, d, 4), scores, count, sum);
    for (unsigned i = 0; i < rows * vectors; i++)
        em_store(e, sum[i], em_at_int(e, at, i / vectors * g->features + 4 * (int64_t)(i % vectors * c->lanes)), 4 * c->lanes);
}

/* Zeros behind the last key, so that blocks of keys that reach past it add nothing but zeros. */
static void clear_scores(emitter *e, const attention_code *c, const gradient_code *g, unsigned rows) {
    em_loop both, numbers;
    both_begin(e, &both);
    cg_val at = em_at(e, em_index(e, g->scores, c->n, 4 * c->W), em_mul(e, both.index, g->scores_bytes));
    em_loop_begin(e, &numbers, em_int(e, 0), em_int(e, rows * c->W), c->lanes, NULL, 0);
    em_store(e, em_const(e, c->lanes, 0), em_index(e, at, numbers.index, 4), 4 * c->lanes);
    em_loop_end(e, &numbers, NULL);
    em_loop_end(e, &both, NULL);
}

static void add_to_keys(emitter *e, const attention_code *c, const gradient_code *g, const query_part *tile) {
    const unsigned rows = gemm_block_rows(e->target);
    const int64_t vectors = g->features / (4 * (int64_t)c->lanes), pairs = vectors / 2 * 2 * c->lanes;
    cg_val row0 = em_mul_int(e, tile->tile, c->W), end = em_min(e, tile->own_end, em_sub(e, c->n_query_rows, row0));
    cg_val count = em_sub(e, end, tile->own_begin);
    em_loop both, keys, features;
    clear_scores(e, c, g, rows);
    both_begin(e, &both);
    em_loop_begin(e, &keys, em_int(e, 0), c->n, rows, NULL, 0);
    cg_val scores = em_index(e, em_index(e, g->scores, keys.index, 4 * c->W), tile->own_begin, 4);
    cg_val sums = em_index(e, g->sums, keys.index, g->features), side = em_index(e, g->sides, tile->own_begin, g->features);
    scores = em_opaque(e, em_at(e, scores, em_mul(e, both.index, g->scores_bytes)));
    sums = em_opaque(e, em_at(e, sums, em_mul(e, both.index, g->sums_bytes)));
    side = em_opaque(e, em_at(e, side, em_mul(e, both.index, g->sides_bytes)));
    em_loop_begin(e, &features, em_int(e, 0), em_int(e, pairs), 2 * (int64_t)c->lanes, NULL, 0);
    if (pairs) add_block(e, c, g, rows, 2, features.index, scores, sums, side, count);
    em_loop_end(e, &features, NULL);
    if (vectors % 2) add_block(e, c, g, rows, 1, em_int(e, pairs), scores, sums, side, count);
    em_loop_end(e, &keys, NULL);
    em_loop_end(e, &both, NULL);
}

/* ---- a sequence's keys ---- */

static void clear_sums(emitter *e, const attention_code *c, const gradient_code *g) {
    em_loop both, bytes;
    both_begin(e, &both);
    cg_val at = em_at(e, g->sums, em_mul(e, both.index, g->sums_bytes));
    cg_val end = em_mul_int(e, em_add_int(e, em_sub(e, c->end, c->first), MAX_KEY_ROWS), g->features);
    em_loop_begin(e, &bytes, em_int(e, 0), end, 4 * (int64_t)c->lanes, NULL, 0);
    em_store(e, em_const(e, c->lanes, 0), em_at(e, at, bytes.index), 4 * c->lanes);
    em_loop_end(e, &bytes, NULL);
    em_loop_end(e, &both, NULL);
}

/* From the last place to the first: the row of the kept key there, or zeros. Rows only move to later places. */
static void spread_sums(emitter *e, const attention_code *c, const gradient_code *g) {
    em_loop both, places, bytes;
    both_begin(e, &both);
    cg_val sums = em_at(e, g->sums, em_mul(e, both.index, g->sums_bytes)), length = em_sub(e, c->end, c->first);
    em_loop_begin(e, &places, em_int(e, 0), length, 1, &c->n, 1);
    cg_val place = em_sub(e, em_add_int(e, length, -1), places.index);
    cg_val kept = attention_load_keep(e, c, em_add(e, c->first, place)), j = em_sub(e, places.carried[0], kept);
    cg_val from = em_index(e, sums, j, g->features), to = em_index(e, sums, place, g->features);
    em_loop_begin(e, &bytes, em_int(e, 0), em_int(e, g->features), 4 * (int64_t)c->lanes, NULL, 0);
    cg_val x = load_number(e, c, em_at(e, from, bytes.index), 4 * c->lanes), zero = em_const(e, c->lanes, 0);
    em_store(e, em_select(e, em_equal(e, kept, em_int(e, 0)), zero, x), em_at(e, to, bytes.index), 4 * c->lanes);
    em_loop_end(e, &bytes, NULL);
    em_loop_end(e, &places, &j);
    em_loop_end(e, &both, NULL);
}

/* The sums of one kind into the sequence's lanes of a result. */
static void store_sums(emitter *e, const attention_code *c, const gradient_code *g, cg_val sums, cg_val result) {
    em_loop tiles, lanes;
    cg_val whole = em_mul_int(e, em_div_int_up(e, c->end, c->lanes), c->lanes);
    cg_val end = em_select(e, em_equal(e, c->end, c->n_rows), whole, c->end);
    em_loop_begin(e, &tiles, em_div_int(e, c->first, c->W), em_div_int_up(e, c->end, c->W), 1, NULL, 0);
    cg_val row0 = em_mul_int(e, tiles.index, c->W), to = attention_head_of_tile(e, c, result, tiles.index);
    cg_val own_begin = em_max(e, em_int(e, 0), em_sub(e, c->first, row0)),
           own_end = em_min(e, em_int(e, c->W), em_sub(e, end, row0));
    em_loop_begin(e, &lanes, whole_vectors_before(e, c, own_begin), own_end, c->lanes, NULL, 0);
    cg_val row = em_sub(e, em_add(e, row0, lanes.index), c->first);
    square s = {.g = g, .from = em_index(e, sums, row, g->features), .to = em_index(e, to, lanes.index, 4)};
    s.mask = em_lanes_in_range(e, c->lanes, lanes.index, own_begin, own_end);
    each_vector_of_features(e, c, square_to_tile, &s);
    em_loop_end(e, &lanes, NULL);
    em_loop_end(e, &tiles, NULL);
}

static void store_keys(emitter *e, const attention_code *c, const gradient_code *g) {
    em_loop both;
    em_if any; /* an empty sequence at the end of a tile has no tile of its own */
    if (c->keep) spread_sums(e, c, g);
    em_if_begin(e, &any, em_less(e, c->first, c->end));
    if (g->dv && g->dk) {
        cg_val of_values = both_begin(e, &both), result = em_select(e, of_values, g->dv, g->dk);
        store_sums(e, c, g, em_at(e, g->sums, em_mul(e, both.index, g->sums_bytes)), result);
        em_loop_end(e, &both, NULL);
    } else if (g->dv) store_sums(e, c, g, g->sums, g->dv);
    else if (g->dk) store_sums(e, c, g, em_at(e, g->sums, g->sums_bytes), g->dk);
    em_if_end(e, &any);
}

static void emit_unit(emitter *e, attention_code *c, void *user) {
    gradient_code *g = user;
    const bool keys = g->dk || g->dv;
    query_tiles tiles;
    em_if some;
    lay_out_scratch(e, c, g);
    if (keys) clear_sums(e, c, g);
    attention_query_tiles_begin(e, c, &tiles);
    cg_val begin = whole_vectors_before(e, c, tiles.tile.own_begin);
    em_if_begin(e, &some, em_less(e, em_int(e, 0), c->n));
    attention_query_parts(e, c, &tiles.tile, begin, part_to_probabilities, g);
    if (c->random_keys) drop_tile(e, c, g, &tiles.tile, begin);
    attention_query_parts(e, c, &tiles.tile, begin, part_to_changes, g);
    if (keys) {
        transpose_queries(e, c, g, &tiles.tile);
        add_to_keys(e, c, g, &tiles.tile);
    }
    em_else(e, &some);
    attention_query_parts(e, c, &tiles.tile, begin, clear_part, g);
    em_if_end(e, &some);
    attention_query_tiles_end(e, &tiles);
    if (keys) store_keys(e, c, g);
}

static cg_val operand_named(const cg_kernel *k, const cg_val *operand, const char *name) {
    return kernel_get(k, name) ? operand[kernel_get(k, name)] : NULL;
}

void emit_attention_gradient(emitter *e, const cg_kernel *k) {
    attention_code c;
    cg_val operand[KERNEL_MAX_OPERANDS];
    attention_begin(e, k, &c, operand);
    gradient_code g = {.context = operand_named(k, operand, "context"),
                       .lse = operand_named(k, operand, "lse"),
                       .dcontext = operand_named(k, operand, "dcontext"),
                       .dq = operand_named(k, operand, "dq"),
                       .dk = operand_named(k, operand, "dk"),
                       .dv = operand_named(k, operand, "dv")};
    attention_units(e, &c, emit_unit, &g);
}
