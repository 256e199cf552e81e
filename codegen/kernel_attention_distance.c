/*
 * attention_distance in tiles<W> (ir/ops/op_attention_distance.c has the formulas): the probabilities of student and teacher are made again
 * from their log-sum-exps, side by side for a tile of queries, so nothing of shape S x S exists. How rows, keys and queries are walked:
 * attention_tiles.h; the teacher's keys take the place of values.
 *
 *   per part of a tile of queries, one or two vectors that begin at a whole one:
 *   scores      P[j] = sum_d K[d][j] Q[d],  T[j] likewise of the teacher                      [n][W], a column for each query
 *   difference  P[j] = exp(scale P[j] - lse),  T[j] = P[j] - exp(scale T[j] - teacher's lse);  sums of T^2 and P T over j
 *   change      P[j] = 2 scale factor / H * P[j] (T[j] - sum of P T)
 *   queries     dQ[d] = sum_j K[d][j] P[j]                                                    [D][part]
 *   per tile of queries (attention_key_sums.h):
 *   keys        dK[j] += sum_i P[j][i] Q[i]                                                   [n][D], features are lanes
 *
 * The loss is summed in f64, in parts (part_sums.h) of the pairs of sequence and head, which are units of their own for the rest.
 *
 * operands: q, k, teacher's k, offsets, [keep], offsets, log-sum-exp, teacher's q, teacher's log-sum-exp, [loss_scale], [parts of the loss],
 * [dq], [dk]. dims: B H, R, R.
 */
#include <string.h>

#include "codegen/attention_key_sums.h"
#include "codegen/part_sums.h"
#include "codegen/vector_math.h"

bool describe_attention_distance(const cg_group *g, const cg_target *target, cg_kernel *k) {
    static const attention_operands at = {7, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    static const char *const inputs[] = {"lse", "teacher_q", "teacher_lse"}, *const results[] = {"dq", "dk"};
    const ir_node *n = group_single(g, OP_attention_distance);
    if (!n || !attention_describe(g, target, &at, k)) return false;
    const ir_type *q = graph_type(g->graph, n->inputs[0]);
    const int64_t E = type_features(q), D = kernel_get(k, "D"), W = q->tile;
    const ir_dim S = attention_longest(g);
    const ir_value scale = node_input(n, 8);
    bool ok = true, counts;
    for (uint32_t i = 0; i < 3; i++) kernel_set(k, inputs[i], (int64_t)kernel_operand(k, n->inputs[4 + i]));
    kernel_set(k, "loss_scale", scale ? (int64_t)kernel_operand(k, scale) : 0);
    kernel_set(k, "loss", g->stored[n->first_result] ? (int64_t)part_sums_operand(k, n->first_result) : 0);
    for (uint32_t i = 0; i < 2; i++)
        kernel_set(k, results[i], g->stored[node_result(n, i + 1)] ? (int64_t)kernel_operand(k, node_result(n, i + 1)) : 0);
    kernel_set(k, "all_queries", strcmp(node_string(n, "queries"), "all") == 0);
    k->dims[0] = k->work; /* units of attention, which are cut into parts */
    part_sums_work(k, 1);
    k->scratch_bytes = key_sums_scratch(S, D, W, tile_lanes(target->vector_bytes / 4, W), kernel_get(k, "keep") != 0, 1, &ok);
    ir_dim pairs = dim_mul(q->dims[0], S, &counts);
    k->flops = counts ? kernel_scaled(pairs, 8 * E, 0, NULL) : dim_const(0);
    k->bytes = kernel_scaled(q->dims[0], 24 * E, 0, NULL);
    return ok;
}

typedef struct distance_code {
    cg_val lse, teacher_q, teacher_lse, dq; /* operands; dq: NULL: nobody wants it */
    cg_val slope;                           /* 2 scale factor / H, one lane */
    bool all_queries;
    cg_val counts; /* [PART_VECTORS][lanes] f32: 1 where a query counts, else 0 */
    cg_val losses; /* likewise of the part at hand */
    cg_val sum;    /* of the losses so far, f64 */
    key_sums keys; /* one kind: dK, of the scores' first kind and Q */
} distance_code;

static cg_val at_vector(emitter *e, const attention_code *c, cg_val base, unsigned v) {
    return em_at_int(e, base, 4 * (int64_t)(v * c->lanes));
}

static cg_val part_of(emitter *e, const attention_code *c, const query_part *p, cg_val base) {
    return em_index(e, attention_head_of_tile(e, c, base, p->tile), p->lane, 4);
}

/* Both products, before anything else is done to them. */
static void emit_scores(emitter *e, const attention_code *c, const distance_code *d, const query_part *p) {
    em_loop both;
    em_loop_begin(e, &both, em_int(e, 0), em_int(e, 2), 1, NULL, 0);
    cg_val own = em_equal(e, both.index, em_int(e, 0)), keys = em_select(e, own, c->keys, c->values);
    cg_val x = em_select(e, own, part_of(e, c, p, c->q), part_of(e, c, p, d->teacher_q));
    cg_val to = em_at(e, p->scores, em_mul(e, both.index, d->keys.scores_bytes));
    attention_scores(e, c, p, em_opaque(e, keys), em_opaque(e, x), 1, to);
    em_loop_end(e, &both, NULL);
}

/* Which lanes of the part are queries of the sequence that count. */
static void find_counting(emitter *e, const attention_code *c, const distance_code *d, const query_part *p) {
    em_loop lanes;
    cg_val row0 = em_mul_int(e, p->tile, c->W), end = em_min(e, p->own_end, em_sub(e, c->n_query_rows, row0));
    em_loop_begin(e, &lanes, em_int(e, 0), em_int(e, p->vectors * c->lanes), 1, NULL, 0);
    cg_val lane = em_add(e, p->lane, lanes.index);
    cg_val counts = em_and(e, em_less(e, lane, end), em_less(e, em_add_int(e, p->own_begin, -1), lane));
    if (c->keep && !d->all_queries) {
        cg_val row = em_min(e, em_add(e, row0, lane), em_add_int(e, c->n_rows, -1));
        counts = em_and(e, counts, em_less(e, em_int(e, 0), attention_load_keep(e, c, row)));
    }
    em_store(e, em_select(e, counts, em_const(e, 1, 1), em_const(e, 1, 0)), em_index(e, d->counts, lanes.index, 4), 4);
    em_loop_end(e, &lanes, NULL);
}

/* exp(scale score - lse) */
static cg_val probability(emitter *e, const attention_code *c, cg_val score, cg_val minus_lse) {
    return math_exp_nonpositive(e, em_fma(e, score, em_const(e, c->lanes, kernel_get_real(c->kernel, "scale")), minus_lse));
}

static cg_val load_minus_lse(emitter *e, const attention_code *c, const query_part *p, cg_val lse, unsigned v) {
    return em_fsub(e, em_const(e, c->lanes, 0), em_load(e, c->lanes, attention_row_number(e, c, p, lse, v), 4));
}

/* Probabilities and differences in place of the scores; sums over keys of the squares of the differences, sum[2 v], and of their products
 * with probabilities, sum[2 v + 1]. */
static void emit_differences(emitter *e, const attention_code *c, const distance_code *d, const query_part *p,
                             cg_val sum[2 * PART_VECTORS]) {
    cg_val minus_lse[PART_VECTORS], minus_teacher[PART_VECTORS];
    em_loop keys;
    for (unsigned v = 0; v < p->vectors; v++) {
        minus_lse[v] = load_minus_lse(e, c, p, d->lse, v);
        minus_teacher[v] = load_minus_lse(e, c, p, d->teacher_lse, v);
        sum[2 * v] = sum[2 * v + 1] = em_const(e, c->lanes, 0);
    }
    em_loop_begin(e, &keys, em_int(e, 0), c->n, 1, sum, 2 * p->vectors);
    const cg_val tensors[] = {c->q, c->k, c->v, d->teacher_q, d->dq, d->keys.result[0]};
    attention_fetch_next_head(e, c, p, keys.index, tensors, sizeof tensors / sizeof *tensors);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val at = attention_score(e, c, p, p->scores, keys.index, v), teacher_at = em_at(e, at, d->keys.scores_bytes);
        cg_val own = probability(e, c, em_load(e, c->lanes, at, 4 * c->lanes), minus_lse[v]);
        cg_val teacher = probability(e, c, em_load(e, c->lanes, teacher_at, 4 * c->lanes), minus_teacher[v]);
        cg_val difference = em_fsub(e, own, teacher);
        em_store(e, own, at, 4 * c->lanes);
        em_store(e, difference, teacher_at, 4 * c->lanes);
        sum[2 * v] = em_fma(e, difference, difference, keys.carried[2 * v]);
        sum[2 * v + 1] = em_fma(e, own, difference, keys.carried[2 * v + 1]);
    }
    em_loop_end(e, &keys, sum);
    for (unsigned i = 0; i < 2 * p->vectors; i++) sum[i] = keys.carried[i];
}

/* dS in place of P; means: of the differences under P. */
static void emit_changes(emitter *e, const attention_code *c, const distance_code *d, const query_part *p, const cg_val *slope,
                         const cg_val *mean) {
    em_loop keys;
    em_loop_begin(e, &keys, em_int(e, 0), c->n, 1, NULL, 0);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val at = attention_score(e, c, p, p->scores, keys.index, v), difference_at = em_at(e, at, d->keys.scores_bytes);
        cg_val own = em_load(e, c->lanes, at, 4 * c->lanes), difference = em_load(e, c->lanes, difference_at, 4 * c->lanes);
        em_store(e, em_fmul(e, em_fmul(e, own, slope[v]), em_fsub(e, difference, mean[v])), at, 4 * c->lanes);
    }
    em_loop_end(e, &keys, NULL);
}

static void add_losses(emitter *e, const attention_code *c, const distance_code *d, unsigned vectors) {
    em_loop lanes;
    cg_val before = em_load_real(e, d->sum);
    em_loop_begin(e, &lanes, em_int(e, 0), em_int(e, vectors * c->lanes), 1, &before, 1);
    cg_val loss = em_lane(e, em_widen(e, em_load(e, 1, em_index(e, d->losses, lanes.index, 4), 4)), 0);
    cg_val next = em_fadd(e, lanes.carried[0], loss);
    em_loop_end(e, &lanes, &next);
    em_store_real(e, lanes.carried[0], d->sum);
}

static void emit_part(emitter *e, const attention_code *c, query_part *p, void *user) {
    const distance_code *d = user;
    cg_val sum[2 * PART_VECTORS], slope[PART_VECTORS], mean[PART_VECTORS], zero = em_const(e, c->lanes, 0);
    p->score_step = 4 * c->W;
    p->scores = em_index(e, d->keys.scores, p->lane, 4);
    find_counting(e, c, d, p);
    emit_scores(e, c, d, p);
    emit_differences(e, c, d, p, sum);
    for (unsigned v = 0; v < p->vectors; v++) {
        cg_val counts = em_fless(e, zero, em_load(e, c->lanes, at_vector(e, c, d->counts, v), 4 * c->lanes));
        slope[v] = em_select(e, counts, em_splat(e, c->lanes, em_lane(e, d->slope, 0)), zero);
        mean[v] = sum[2 * v + 1];
        em_store(e, em_select(e, counts, sum[2 * v], zero), at_vector(e, c, d->losses, v), 4 * c->lanes);
    }
    add_losses(e, c, d, p->vectors);
    if (!d->dq && !d->keys.result[0]) return;
    emit_changes(e, c, d, p, slope, mean);
    if (d->dq) attention_combine(e, c, p, c->keys, p->scores, NULL, d->dq);
}

static void clear_part(emitter *e, const attention_code *c, query_part *p, void *user) {
    const distance_code *d = user;
    if (d->dq) attention_clear(e, c, p, d->dq);
}

static void emit_unit(emitter *e, attention_code *c, void *user) {
    distance_code *d = user;
    query_tiles tiles;
    em_if some;
    key_sums_begin(e, c, &d->keys);
    attention_query_tiles_begin(e, c, &tiles);
    cg_val begin = key_sums_lanes(e, c, &tiles.tile);
    em_if_begin(e, &some, em_less(e, em_int(e, 0), c->n));
    attention_query_parts(e, c, &tiles.tile, begin, emit_part, d);
    key_sums_add(e, c, &d->keys, &tiles.tile);
    em_else(e, &some);
    attention_query_parts(e, c, &tiles.tile, begin, clear_part, d);
    em_if_end(e, &some);
    attention_query_tiles_end(e, &tiles);
    key_sums_store(e, c, &d->keys);
}

static cg_val operand_named(const cg_kernel *k, const cg_val *operand, const char *name) {
    return kernel_get(k, name) ? operand[kernel_get(k, name)] : NULL;
}

void emit_attention_distance(emitter *e, const cg_kernel *k) {
    attention_code c;
    cg_val operand[KERNEL_MAX_OPERANDS], begin, end;
    attention_begin(e, k, &c, operand);
    const int64_t room = 4 * (int64_t)(PART_VECTORS * c.lanes);
    cg_val loss = operand_named(k, operand, "loss"), loss_scale = operand_named(k, operand, "loss_scale");
    cg_val factor = loss_scale ? em_load(e, 1, loss_scale, 4) : em_const(e, 1, 1);
    distance_code d = {.lse = operand_named(k, operand, "lse"),
                       .teacher_q = operand_named(k, operand, "teacher_q"),
                       .teacher_lse = operand_named(k, operand, "teacher_lse"),
                       .dq = operand_named(k, operand, "dq"),
                       .slope = em_fmul(e, factor, em_const(e, 1, 2 * kernel_get_real(k, "scale") / (double)c.H)),
                       .all_queries = kernel_get(k, "all_queries") != 0,
                       .counts = em_stack(e, room, 4 * c.lanes),
                       .losses = em_stack(e, room, 4 * c.lanes),
                       .sum = em_stack(e, 8, 8),
                       .keys = {.n = 1, .source = {c.q}, .result = {operand_named(k, operand, "dk")}}};
    em_loop parts;
    em_loop_begin(e, &parts, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    part_sums_rows(e, k, parts.index, &begin, &end);
    em_store_real(e, em_real(e, 0), d.sum);
    attention_units_between(e, &c, begin, end, emit_unit, &d);
    cg_val scale = em_fdiv(e, em_lane(e, em_widen(e, factor), 0), em_real(e, (double)c.H));
    if (loss) part_sums_store(e, loss, parts.index, em_fmul(e, em_load_real(e, d.sum), scale), em_real(e, 0));
    em_loop_end(e, &parts, NULL);
}
