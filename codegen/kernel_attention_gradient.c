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
 *   per tile of queries, with Q and dC transposed to [W][D] (attention_key_sums.h):
 *   keys        dV[j] += sum_i P[j][i] dC[i],  dK[j] += sum_i dP[j][i] Q[i]                   [n][D], features are lanes
 *
 * operands: q, k, v, offsets, [keep], query_offsets, [random keys, random], context, log-sum-exp, dcontext, [dq], [dk], [dv]. dims: B, R of
 * the keys, R of the queries, [stream].
 */
#include "codegen/attention_key_sums.h"
#include "codegen/vector_math.h"

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
    k->scratch_bytes = key_sums_scratch(S, D, W, tile_lanes(target->vector_bytes / 4, W), kernel_get(k, "keep") != 0, 2, &ok);
    ir_dim pairs = dim_mul(q->dims[0], S, &counts);
    k->flops = counts ? kernel_scaled(pairs, 10 * E, 0, NULL) : dim_const(0);
    k->bytes = kernel_scaled(q->dims[0], 32 * E, 0, NULL);
    return ok;
}

/* Kinds of sums: 0 the values' (dV, of P and dC), 1 the keys' (dK, of dP and Q). */
typedef struct gradient_code {
    cg_val context, lse, dcontext, dq; /* operands; dq: NULL: nobody wants it */
    key_sums keys;
} gradient_code;

/* Twice: index 0 for the values' side, 1 for the keys'. */
static cg_val both_begin(emitter *e, em_loop *loop) {
    em_loop_begin(e, loop, em_int(e, 0), em_int(e, 2), 1, NULL, 0);
    return em_equal(e, loop->index, em_int(e, 0));
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
    attention_scores(e, c, p, em_opaque(e, keys), em_opaque(e, x), 1,
                     em_at(e, p->scores, em_mul(e, both.index, g->keys.scores_bytes)));
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
    const cg_val tensors[] = {c->q, c->k, c->v, g->context, g->dcontext, g->dq, g->keys.result[0], g->keys.result[1]};
    attention_fetch_next_head(e, c, p, keys.index, tensors, sizeof tensors / sizeof *tensors);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val at = attention_score(e, c, p, p->scores, keys.index, v), d_at = em_at(e, at, g->keys.scores_bytes);
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
    p->scores = em_index(e, g->keys.scores, p->lane, 4);
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
    if (g->dq) attention_combine(e, c, p, c->keys, em_at(e, p->scores, g->keys.scores_bytes), NULL, g->dq);
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

static void emit_unit(emitter *e, attention_code *c, void *user) {
    gradient_code *g = user;
    query_tiles tiles;
    em_if some;
    key_sums_begin(e, c, &g->keys);
    attention_query_tiles_begin(e, c, &tiles);
    cg_val begin = key_sums_lanes(e, c, &tiles.tile);
    em_if_begin(e, &some, em_less(e, em_int(e, 0), c->n));
    attention_query_parts(e, c, &tiles.tile, begin, part_to_probabilities, g);
    if (c->random_keys) drop_tile(e, c, g, &tiles.tile, begin);
    attention_query_parts(e, c, &tiles.tile, begin, part_to_changes, g);
    key_sums_add(e, c, &g->keys, &tiles.tile);
    em_else(e, &some);
    attention_query_parts(e, c, &tiles.tile, begin, clear_part, g);
    em_if_end(e, &some);
    attention_query_tiles_end(e, &tiles);
    key_sums_store(e, c, &g->keys);
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
                       .dq = operand_named(k, operand, "dq")};
    g.keys = (key_sums){
        .n = 2, .source = {g.dcontext, c.q}, .result = {operand_named(k, operand, "dv"), operand_named(k, operand, "dk")}};
    attention_units(e, &c, emit_unit, &g);
}
