/*
 * loss_exps and loss_sums: logits of a chunk of tokens block by block of the vocabulary, as exps, and the log-sum-exp over all blocks
 * (linear_loss.h).
 *
 * A softmax over blocks needs no second look at the logits: with m the largest of a block and s the sum of exp(logit - m), the sum over
 * all blocks is that of s exp(m - top) exp(top), and a softmax exp(logit - m) exp(m - log-sum-exp) (Milakov and Gimelshein, "Online
 * normalizer calculation for softmax", 2018). The product is that of kernel_linear.c, but rows of the weight are read as they lie in
 * memory, since a step changes them. Lanes of the last tile without a token have logits of 0, so that nothing there is no number.
 *
 * operands: loss_exps: x, weight, [bias], [EXPS], TOPS, SUMS, of a teacher [x, weight, [bias], [EXPS], TOPS, SUMS, CROSS],
 *                      [targets, TOKENS]. A unit is a block.
 *           loss_sums: [rows], [scale], TOPS, SUMS, [teacher's TOPS, SUMS, CROSS], TOKENS, [ids, logits], [x, COLUMNS]. A unit is a
 *                      tile.
 */
#include <float.h>
#include <math.h>

#include "codegen/gemm_block.h"
#include "codegen/linear_loss.h"
#include "codegen/transpose.h"
#include "codegen/vector_math.h"
#include "ir/op.h"

enum { STUDENT, TEACHER, SIDES };
static unsigned sides_of(const linear_loss *s) { return s->kind == LOSS_TEACHER ? SIDES : 1; }

/* ---- exps ---- */

/* Of a side: its linear, and workspaces by their numbers. */
static void describe_side(cg_kernel *k, const cg_group *g, const linear_loss *s, const ir_value linear[3],
                          const uint32_t workspace[3]) {
    for (int i = 0; i < 3; i++) linear_loss_operand(k, linear[i]);
    for (int i = linear_loss_has_gradients(s) ? 0 : 1; i < 3; i++) linear_loss_workspace(k, g, s, workspace[i]);
}

bool describe_loss_exps(const cg_group *g, const cg_target *target, cg_kernel *k) {
    static const uint32_t workspaces[SIDES][3] = {{LOSS_EXPS, LOSS_TOPS, LOSS_SUMS},
                                                  {LOSS_TEACHER_EXPS, LOSS_TEACHER_TOPS, LOSS_TEACHER_SUMS}};
    linear_loss s;
    linear_loss_inputs in;
    const ir_node *n = linear_loss_of(g, target, &s, &in);
    if (!n) return false;
    const ir_dim M = graph_type(g->graph, n->inputs[0])->dims[0];
    describe_side(k, g, &s, (const ir_value[]){in.x, in.weight, in.bias}, workspaces[STUDENT]);
    if (s.kind == LOSS_TEACHER) {
        describe_side(k, g, &s, (const ir_value[]){in.teacher_x, in.teacher_weight, in.teacher_bias}, workspaces[TEACHER]);
        linear_loss_workspace(k, g, &s, LOSS_CROSS);
    } else {
        kernel_operand(k, in.targets);
        linear_loss_workspace(k, g, &s, LOSS_TOKENS);
    }
    linear_loss_step(k, &s, M);
    k->work = dim_const(s.blocks);
    k->scratch_bytes = dim_const(4 * s.block * s.W * sides_of(&s));
    k->flops = kernel_scaled(M, 2 * s.V * (s.K + s.teacher_K), 0, NULL);
    k->bytes = kernel_scaled(M, 4 * (s.V * sides_of(&s) + s.K + s.teacher_K), 4 * s.V * (s.K + s.teacher_K), NULL);
    k->next = "loss_sums";
    k->loop_work = M;
    k->loop_work_per_round = s.chunk;
    return true;
}

/* One linear of the loss, and what is made of its logits. */
typedef struct exps_side {
    int64_t K;
    cg_val x, weight, bias, exps, tops, sums; /* bias, exps may be NULL */
    cg_val logits;                            /* scratch: [block][W] */
    cg_val rows;                              /* of the weight, those of the block at hand */
    cg_val prefetch_step;                     /* bytes of the next block that a round of the product's loop fetches */
} exps_side;

typedef struct exps_code {
    linear_loss s;
    loss_chunk chunk;
    unsigned lanes, vectors, n_sides;
    exps_side side[SIDES];
    cg_val cross, targets, tokens; /* may be NULL */
} exps_code;

/* `rows` rows from `row` on with all tokens of a tile. */
static void emit_rows(emitter *e, const exps_code *c, const exps_side *side, unsigned rows, cg_val tile, cg_val row) {
    const linear_loss *s = &c->s;
    const int64_t part = (int64_t)(c->lanes * c->vectors), n_parts = s->W / part;
    gemm_block g = {.rows = rows,
                    .vectors = c->vectors,
                    .lanes = c->lanes,
                    .x_step = 4 * s->W,
                    .w_step = 4,
                    .w_row_step = 4 * side->K,
                    .x_align = 4 * c->lanes,
                    .unroll = 4,
                    .prefetch_step = side->prefetch_step,
                    .prefetch_lines = 1};
    cg_val w = em_index(e, side->rows, row, 4 * side->K), to = em_index(e, side->logits, row, 4 * s->W);
    cg_val x = em_index(e, side->x, em_add(e, c->chunk.first_tile, tile), 4 * side->K * s->W);
    cg_val pass = em_mul_int(e, em_add(e, em_mul_int(e, tile, s->block / s->panel), em_div_int(e, row, s->panel)), n_parts);
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, n_parts), 1, NULL, 0);
    cg_val sum[GEMM_MAX_SUMS];
    cg_val at = em_mul(e, em_add(e, pass, loop.index), em_mul_int(e, side->prefetch_step, side->K / g.unroll));
    g.prefetch = em_at(e, em_at_int(e, side->rows, 4 * s->block * side->K), at);
    for (unsigned i = 0; i < rows * c->vectors; i++) sum[i] = em_const(e, c->lanes, 0);
    gemm_block_emit(e, &g, em_index(e, x, loop.index, 4 * part), w, em_int(e, side->K), sum);
    cg_val out = em_opaque(e, em_index(e, to, loop.index, 4 * part));
    for (unsigned i = 0; i < rows * c->vectors; i++)
        em_store(e, sum[i], em_at_int(e, out, 4 * (i / c->vectors * s->W + i % c->vectors * c->lanes)), 4 * c->lanes);
    em_loop_end(e, &loop, NULL);
}

/* The logits of a tile, to scratch. */
static void emit_product(emitter *e, const exps_code *c, const exps_side *side, const loss_block *b, cg_val tile) {
    const linear_loss *s = &c->s;
    const int64_t rest = s->V % s->panel;
    em_loop panels;
    cg_val whole = em_mul_int(e, em_div_int(e, b->n_rows, s->panel), s->panel);
    em_loop_begin(e, &panels, em_int(e, 0), whole, s->panel, NULL, 0);
    emit_rows(e, c, side, (unsigned)s->panel, tile, panels.index);
    em_loop_end(e, &panels, NULL);
    if (rest == 0) return;
    em_if last;
    em_if_begin(e, &last, em_less(e, whole, b->n_rows));
    emit_rows(e, c, side, (unsigned)rest, tile, whole);
    em_if_end(e, &last);
}

/* Adds the bias to the logits of one vector of tokens, divides them by T, and returns the largest. `live`: lanes with a token, a mask. */
static cg_val emit_top(emitter *e, const exps_code *c, const exps_side *side, const loss_block *b, cg_val logits, cg_val live) {
    cg_val top = em_const(e, c->lanes, -INFINITY);
    em_loop rows;
    em_loop_begin(e, &rows, em_int(e, 0), b->n_rows, 1, &top, 1);
    cg_val at = em_index(e, logits, rows.index, 4 * c->s.W), logit = em_load(e, c->lanes, at, 4 * c->lanes);
    if (side->bias)
        logit = em_fadd(e, logit, em_load_splat(e, c->lanes, em_index(e, side->bias, em_add(e, b->row0, rows.index), 4)));
    if (c->s.temperature != 1) logit = em_fmul(e, logit, em_const(e, c->lanes, 1 / c->s.temperature));
    logit = em_select(e, live, logit, em_const(e, c->lanes, 0));
    em_store(e, logit, at, 4 * c->lanes);
    cg_val next = em_fmax_skip_nan(e, rows.carried[0], logit);
    em_loop_end(e, &rows, &next);
    return rows.carried[0];
}

/* A vector of tokens of a side. */
typedef struct exps_place {
    cg_val logits, exps, top; /* exps may be NULL */
} exps_place;

/* Exps of a vector of tokens, where they are wanted; sum[i] becomes that of side i, and sum[SIDES] c. */
static void emit_exps(emitter *e, const exps_code *c, const loss_block *b, const exps_place place[SIDES], cg_val sum[SIDES + 1]) {
    const unsigned align = 4 * c->lanes, n_sums = c->n_sides == SIDES ? SIDES + 1 : 1;
    cg_val logit[SIDES], power[SIDES], next[SIDES + 1];
    em_loop rows;
    for (unsigned i = 0; i < n_sums; i++) sum[i] = em_const(e, c->lanes, 0);
    em_loop_begin(e, &rows, em_int(e, 0), b->n_rows, 1, sum, n_sums);
    for (unsigned i = 0; i < c->n_sides; i++) {
        logit[i] = em_load(e, c->lanes, em_index(e, place[i].logits, rows.index, 4 * c->s.W), align);
        power[i] = math_exp_nonpositive(e, em_fsub(e, logit[i], place[i].top));
        if (place[i].exps) em_store(e, power[i], em_index(e, place[i].exps, rows.index, 4 * c->s.W), align);
        next[i] = em_fadd(e, rows.carried[i], power[i]);
    }
    if (c->n_sides == SIDES)
        next[SIDES] = em_fma(e, power[TEACHER], em_fsub(e, logit[TEACHER], logit[STUDENT]), rows.carried[SIDES]);
    em_loop_end(e, &rows, next);
    for (unsigned i = 0; i < n_sums; i++) sum[i] = rows.carried[i];
}

static void emit_softmax(emitter *e, const exps_code *c, const loss_block *b, cg_val tile) {
    const linear_loss *s = &c->s;
    const unsigned align = 4 * c->lanes;
    cg_val number = em_add(e, em_mul(e, b->number, c->chunk.n_tiles), tile); /* of the block's tile */
    cg_val used = em_sub(e, c->chunk.n_tokens, em_mul_int(e, tile, s->W)), sum[SIDES + 1];
    exps_place place[SIDES];
    em_loop vectors;
    em_loop_begin(e, &vectors, em_int(e, 0), em_int(e, s->W), c->lanes, NULL, 0);
    cg_val first = em_mul_int(e, vectors.index, 4), at = em_add(e, em_mul_int(e, number, 4 * s->W), first);
    cg_val live = em_lanes_in_range(e, c->lanes, vectors.index, em_int(e, 0), used);
    for (unsigned i = 0; i < c->n_sides; i++) {
        const exps_side *side = &c->side[i];
        place[i].logits = em_at(e, side->logits, first);
        place[i].top = emit_top(e, c, side, b, place[i].logits, live);
        place[i].exps = side->exps ? em_at(e, em_index(e, side->exps, number, 4 * s->block * s->W), first) : NULL;
    }
    emit_exps(e, c, b, place, sum);
    for (unsigned i = 0; i < c->n_sides; i++) {
        em_store(e, place[i].top, em_at(e, c->side[i].tops, at), align);
        em_store(e, sum[i], em_at(e, c->side[i].sums, at), align);
    }
    if (c->n_sides == SIDES) em_store(e, sum[SIDES], em_at(e, c->cross, at), align);
    em_loop_end(e, &vectors, NULL);
}

/* The logit of a target that is a row of the block, of the tile whose logits stand in scratch. */
static void emit_target_logit(emitter *e, const void *code, cg_val target, cg_val token, cg_val row) {
    const exps_code *c = code;
    const linear_loss *s = &c->s;
    cg_val lane = em_rem_int(e, token, s->W);
    cg_val logit = em_load(e, 1, em_index(e, em_index(e, c->side[STUDENT].logits, row, 4 * s->W), lane, 4), 4);
    em_store(e, logit, em_index(e, em_at_int(e, c->tokens, loss_targets(s)), target, 4), 4);
}

static void emit_target_logits(emitter *e, const exps_code *c, const loss_block *b, cg_val tile) {
    cg_val begin = em_mul_int(e, tile, c->s.W), end = em_min(e, em_add_int(e, begin, c->s.W), c->chunk.n_tokens);
    loss_find_targets_emit(e, &c->s, &c->chunk, b, c->targets, begin, end, emit_target_logit, c);
}

/* Buffers of a side; the next block is fetched while this one goes through its passes, evenly. */
static exps_side emit_side(emitter *e, const exps_code *c, int64_t K, bool bias, unsigned *buffer) {
    const linear_loss *s = &c->s;
    const int64_t per_tile = s->block / s->panel * (s->W / (int64_t)(c->lanes * c->vectors)) * (K / 4 > 0 ? K / 4 : 1);
    exps_side side = {.K = K};
    side.x = em_buffer(e, (*buffer)++);
    side.weight = em_buffer(e, (*buffer)++);
    side.bias = bias ? em_buffer(e, (*buffer)++) : NULL;
    side.exps = linear_loss_has_gradients(s) ? em_buffer(e, (*buffer)++) : NULL;
    side.tops = em_buffer(e, (*buffer)++);
    side.sums = em_buffer(e, (*buffer)++);
    cg_val rounds = em_max(e, em_int(e, 1), em_mul_int(e, c->chunk.n_tiles, per_tile));
    side.prefetch_step = em_div(e, em_int(e, 4 * s->block * K), rounds);
    return side;
}

void emit_loss_exps(emitter *e, const cg_kernel *k) {
    exps_code c = {.s = linear_loss_read(k)};
    const linear_loss *s = &c.s;
    unsigned i = 0;
    c.lanes = tile_lanes(e->lanes, s->W);
    c.vectors = tile_vectors(c.lanes, s->W, 2);
    c.n_sides = sides_of(s);
    c.chunk = loss_chunk_emit(e, s);
    c.side[STUDENT] = emit_side(e, &c, s->K, s->bias, &i);
    if (c.n_sides == SIDES) c.side[TEACHER] = emit_side(e, &c, s->teacher_K, s->teacher_bias, &i);
    c.cross = c.n_sides == SIDES ? em_buffer(e, i++) : NULL;
    c.targets = s->targets > 0 ? em_buffer(e, i++) : NULL;
    c.tokens = s->targets > 0 ? em_buffer(e, i++) : NULL;
    for (unsigned j = 0; j < c.n_sides; j++) c.side[j].logits = em_at_int(e, em_scratch(e), 4 * s->block * s->W * j);
    em_loop units, tiles;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    const loss_block b = loss_block_emit(e, s, units.index);
    for (unsigned j = 0; j < c.n_sides; j++) c.side[j].rows = em_index(e, c.side[j].weight, b.row0, 4 * c.side[j].K);
    em_loop_begin(e, &tiles, em_int(e, 0), c.chunk.n_tiles, 1, NULL, 0);
    for (unsigned j = 0; j < c.n_sides; j++) emit_product(e, &c, &c.side[j], &b, tiles.index);
    emit_softmax(e, &c, &b, tiles.index);
    if (c.targets) emit_target_logits(e, &c, &b, tiles.index);
    em_loop_end(e, &tiles, NULL);
    em_loop_end(e, &units, NULL);
}

/* ---- sums ---- */

bool describe_loss_sums(const cg_group *g, const cg_target *target, cg_kernel *k) {
    linear_loss s;
    linear_loss_inputs in;
    const ir_node *n = linear_loss_of(g, target, &s, &in);
    if (!n) return false;
    linear_loss_operand(k, in.rows);
    linear_loss_operand(k, in.scale);
    linear_loss_workspace(k, g, &s, LOSS_TOPS);
    linear_loss_workspace(k, g, &s, LOSS_SUMS);
    if (s.kind == LOSS_TEACHER) {
        linear_loss_workspace(k, g, &s, LOSS_TEACHER_TOPS);
        linear_loss_workspace(k, g, &s, LOSS_TEACHER_SUMS);
        linear_loss_workspace(k, g, &s, LOSS_CROSS);
    }
    linear_loss_workspace(k, g, &s, LOSS_TOKENS);
    if (s.kind == LOSS_LIKELY) {
        kernel_operand(k, in.targets);
        kernel_operand(k, in.likely);
    }
    if (s.dweight) {
        kernel_operand(k, in.x);
        linear_loss_workspace(k, g, &s, LOSS_COLUMNS);
    }
    linear_loss_step(k, &s, graph_type(g->graph, in.x)->dims[0]);
    k->work = dim_const(s.chunk / s.W);
    k->scratch_bytes = dim_const(4 * s.W * (SIDES + 1));
    k->next = linear_loss_has_gradients(&s) ? "loss_gradients" : "loss_results";
    return true;
}

typedef struct sums_code {
    linear_loss s;
    loss_chunk chunk;
    unsigned lanes, n_sides;
    cg_val tops[SIDES], sums[SIDES];
    cg_val rows, cross, tokens, targets, likely, x, columns; /* all but tokens may be NULL */
    cg_val factor;                                           /* of gradients by logits over T */
    cg_val log_sum
        [SIDES]; /* scratch, [W]; a row behind them is what a token's divergence from a teacher is but for log_sum[STUDENT] */
} sums_code;

/* Where a vector of tokens of block 0 stands, and how far it is to the next block. */
typedef struct sums_place {
    cg_val tops, sums, step;
} sums_place;

/* log-sum-exp of one vector of tokens. */
static cg_val emit_log_sum(emitter *e, const sums_code *c, const sums_place *p) {
    const unsigned align = 4 * c->lanes;
    cg_val top = em_const(e, c->lanes, -INFINITY), sum = em_const(e, c->lanes, 0), next;
    em_loop blocks, parts;
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, c->s.blocks), 1, &top, 1);
    next = em_fmax_skip_nan(e, blocks.carried[0], em_load(e, c->lanes, em_at(e, p->tops, em_mul(e, blocks.index, p->step)), align));
    em_loop_end(e, &blocks, &next);
    top = blocks.carried[0];
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, c->s.blocks), 1, &sum, 1);
    cg_val shift = em_mul(e, parts.index, p->step), m = em_load(e, c->lanes, em_at(e, p->tops, shift), align);
    cg_val part = em_load(e, c->lanes, em_at(e, p->sums, shift), align);
    next = em_fma(e, part, math_exp_nonpositive(e, em_fsub(e, m, top)), parts.carried[0]);
    em_loop_end(e, &parts, &next);
    return em_fadd(e, top, math_log(e, parts.carried[0]));
}

/* m of each block becomes what its exps are multiplied with. */
static void emit_factors(emitter *e, const sums_code *c, const sums_place *p, cg_val log_sum, cg_val factor) {
    const unsigned align = 4 * c->lanes;
    em_loop blocks;
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, c->s.blocks), 1, NULL, 0);
    cg_val at = em_at(e, p->tops, em_mul(e, blocks.index, p->step));
    cg_val power = math_exp_nonpositive(e, em_fsub(e, em_load(e, c->lanes, at, align), log_sum));
    em_store(e, em_fmul(e, power, factor), at, align);
    em_loop_end(e, &blocks, NULL);
}

/* Sum over the blocks of c of one vector of tokens, over the whole sum of exps. p: the teacher's. */
static cg_val emit_cross(emitter *e, const sums_code *c, const sums_place *p, cg_val cross, cg_val log_sum) {
    const unsigned align = 4 * c->lanes;
    cg_val sum = em_const(e, c->lanes, 0);
    em_loop blocks;
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, c->s.blocks), 1, &sum, 1);
    cg_val shift = em_mul(e, blocks.index, p->step), m = em_load(e, c->lanes, em_at(e, p->tops, shift), align);
    cg_val part = em_load(e, c->lanes, em_at(e, cross, shift), align);
    cg_val next = em_fma(e, part, math_exp_nonpositive(e, em_fsub(e, m, log_sum)), blocks.carried[0]);
    em_loop_end(e, &blocks, &next);
    return blocks.carried[0];
}

/* A token of the chunk and its row, some row where there is none. */
typedef struct sums_token {
    cg_val number, row, log_sum;
    cg_val factor; /* of its gradient; 0: it does not count */
} sums_token;

/* The loss of a token with a label, which is no number where the label is no class. */
static cg_val emit_label_loss(emitter *e, const sums_code *c, const sums_token *t) {
    cg_val label = loss_target_emit(e, &c->s, c->rows, t->row), at = em_index(e, c->tokens, t->number, 4);
    cg_val is_class = em_and(e, em_less(e, em_int(e, -1), label), em_less(e, label, em_int(e, c->s.V)));
    at = em_at_int(e, at, loss_targets(&c->s));
    cg_val loss = em_fsub(e, t->log_sum, em_load(e, 1, at, 4));
    em_store(e, t->factor, at, 4);
    return em_select(e, is_class, loss, em_const(e, 1, NAN));
}

/* The loss of a token with likely classes: with p their softmax over T, sum of p (log p - logit) + log-sum-exp. */
static cg_val emit_likely_loss(emitter *e, const sums_code *c, const sums_token *t) {
    const linear_loss *s = &c->s;
    cg_val first = em_mul_int(e, t->row, s->targets), likely = em_index(e, c->likely, first, 4), count = em_int(e, s->targets);
    cg_val to = em_index(e, em_at_int(e, c->tokens, loss_targets(s)), em_mul_int(e, t->number, s->targets), 4);
    cg_val top = em_const(e, 1, -INFINITY), sum = em_const(e, 1, 0), per_t = em_const(e, 1, 1 / s->temperature);
    em_loop tops, sums, parts;
    em_loop_begin(e, &tops, em_int(e, 0), count, 1, &top, 1);
    cg_val next = em_fmax_skip_nan(e, tops.carried[0], em_load(e, 1, em_index(e, likely, tops.index, 4), 4));
    em_loop_end(e, &tops, &next);
    em_loop_begin(e, &sums, em_int(e, 0), count, 1, &sum, 1);
    cg_val below = em_fmul(e, em_fsub(e, em_load(e, 1, em_index(e, likely, sums.index, 4), 4), tops.carried[0]), per_t);
    next = em_fadd(e, sums.carried[0], math_exp_nonpositive(e, below));
    em_loop_end(e, &sums, &next);
    cg_val log_sum = math_log(e, sums.carried[0]);
    em_loop_begin(e, &parts, em_int(e, 0), count, 1, &sum, 1);
    cg_val id = loss_target_emit(e, s, c->targets, em_add(e, first, parts.index)), at = em_index(e, to, parts.index, 4);
    cg_val is_class = em_and(e, em_less(e, em_int(e, -1), id), em_less(e, id, em_int(e, s->V)));
    below = em_fmul(e, em_fsub(e, em_load(e, 1, em_index(e, likely, parts.index, 4), 4), tops.carried[0]), per_t);
    cg_val p = em_fdiv(e, math_exp_nonpositive(e, below), sums.carried[0]);
    cg_val part = em_fmul(e, p, em_fsub(e, em_fsub(e, below, log_sum), em_load(e, 1, at, 4)));
    part = em_select(e, em_fless(e, p, em_const(e, 1, FLT_MIN)), em_const(e, 1, 0), part);
    em_store(e, em_fmul(e, p, t->factor), at, 4);
    next = em_fadd(e, parts.carried[0], em_select(e, is_class, part, em_const(e, 1, NAN)));
    em_loop_end(e, &parts, &next);
    return em_fadd(e, t->log_sum, parts.carried[0]);
}

/* Factor and loss of each token of a tile, whose sums stand in scratch: none where the token does not count. */
static void emit_losses(emitter *e, const sums_code *c, cg_val tile) {
    const linear_loss *s = &c->s;
    cg_val zero = em_const(e, 1, 0), none = em_int(e, 0), first = em_mul_int(e, tile, s->W), loss;
    em_loop tokens;
    em_loop_begin(e, &tokens, em_int(e, 0), em_int(e, s->W), 1, NULL, 0);
    sums_token t = {.number = em_add(e, first, tokens.index)};
    cg_val row = em_add(e, c->chunk.first_token, t.number), exists = em_less(e, row, c->chunk.M);
    t.row = em_select(e, exists, row, none);
    cg_val left_out = em_select(e, exists, loss_left_out_emit(e, s, c->rows, t.row), em_equal(e, none, none));
    t.factor = em_select(e, left_out, zero, c->factor);
    t.log_sum = em_load(e, 1, em_index(e, c->log_sum[STUDENT], tokens.index, 4), 4);
    if (s->kind == LOSS_TEACHER)
        loss = em_fadd(e, t.log_sum, em_load(e, 1, em_index(e, em_at_int(e, c->log_sum[TEACHER], 4 * s->W), tokens.index, 4), 4));
    else loss = s->kind == LOSS_LABELS ? emit_label_loss(e, c, &t) : emit_likely_loss(e, c, &t);
    cg_val at = em_index(e, c->tokens, t.number, 4);
    em_store(e, t.factor, em_at_int(e, at, loss_factors(s)), 4);
    em_store(e, em_select(e, left_out, zero, loss), em_at_int(e, at, loss_losses(s)), 4);
    em_loop_end(e, &tokens, NULL);
}

/* Where the tile's first vector of tokens stands. */
static sums_place emit_place(emitter *e, const sums_code *c, unsigned side, cg_val tile, cg_val vector) {
    cg_val at = em_add(e, em_mul_int(e, tile, 4 * c->s.W), vector);
    return (sums_place){em_at(e, c->tops[side], at), em_at(e, c->sums[side], at), em_mul_int(e, c->chunk.n_tiles, 4 * c->s.W)};
}

static void emit_tile_sums(emitter *e, const sums_code *c, cg_val tile) {
    const linear_loss *s = &c->s;
    const unsigned align = 4 * c->lanes;
    em_loop sums, factors;
    cg_val tile_at = em_mul_int(e, tile, 4 * s->W), log_sum = NULL;
    em_loop_begin(e, &sums, em_int(e, 0), em_int(e, 4 * s->W), align, NULL, 0);
    for (unsigned i = 0; i < c->n_sides; i++) {
        const sums_place p = emit_place(e, c, i, tile, sums.index);
        log_sum = emit_log_sum(e, c, &p);
        em_store(e, log_sum, em_at(e, c->log_sum[i], sums.index), align);
    }
    if (s->kind == LOSS_TEACHER) {
        const sums_place p = emit_place(e, c, TEACHER, tile, sums.index);
        cg_val cross = emit_cross(e, c, &p, em_at(e, em_at(e, c->cross, tile_at), sums.index), log_sum);
        em_store(e, em_fsub(e, cross, log_sum), em_at(e, em_at_int(e, c->log_sum[TEACHER], 4 * s->W), sums.index), align);
    }
    em_loop_end(e, &sums, NULL);
    emit_losses(e, c, tile);
    if (!linear_loss_has_gradients(s)) return;
    cg_val factor = em_at_int(e, em_at(e, c->tokens, tile_at), loss_factors(s));
    em_loop_begin(e, &factors, em_int(e, 0), em_int(e, 4 * s->W), align, NULL, 0);
    for (unsigned i = 0; i < c->n_sides; i++) {
        const sums_place p = emit_place(e, c, i, tile, factors.index);
        emit_factors(e, c, &p, em_load(e, c->lanes, em_at(e, c->log_sum[i], factors.index), align),
                     em_load(e, c->lanes, em_at(e, factor, factors.index), align));
    }
    em_loop_end(e, &factors, NULL);
}

static void emit_columns(emitter *e, const sums_code *c, cg_val tile) {
    const linear_loss *s = &c->s;
    const tile_strip strip = {s->K, s->W, s->strip, c->lanes};
    cg_val x = em_index(e, c->x, em_add(e, c->chunk.first_tile, tile), 4 * s->K * s->W);
    em_loop strips;
    em_loop_begin(e, &strips, em_int(e, 0), em_int(e, s->strips), 1, NULL, 0);
    cg_val place = em_add(e, em_mul(e, strips.index, c->chunk.n_tiles), tile);
    transpose_strip_emit(e, &strip, x, em_mul_int(e, strips.index, s->strip), em_index(e, c->columns, place, 4 * s->W * s->strip));
    em_loop_end(e, &strips, NULL);
}

void emit_loss_sums(emitter *e, const cg_kernel *k) {
    sums_code c = {.s = linear_loss_read(k)};
    const linear_loss *s = &c.s;
    unsigned i = 0;
    c.n_sides = sides_of(s);
    c.rows = s->some_rows ? em_buffer(e, i++) : NULL;
    cg_val scale = s->scale ? em_buffer(e, i++) : NULL;
    for (unsigned j = 0; j < c.n_sides; j++) {
        c.tops[j] = em_buffer(e, i++);
        c.sums[j] = em_buffer(e, i++);
        c.log_sum[j] = em_at_int(e, em_scratch(e), 4 * s->W * j);
    }
    c.cross = c.n_sides == SIDES ? em_buffer(e, i++) : NULL;
    c.tokens = em_buffer(e, i++);
    c.targets = s->kind == LOSS_LIKELY ? em_buffer(e, i++) : NULL;
    c.likely = s->kind == LOSS_LIKELY ? em_buffer(e, i++) : NULL;
    c.x = s->dweight ? em_buffer(e, i++) : NULL;
    c.columns = s->dweight ? em_buffer(e, i++) : NULL;
    c.lanes = tile_lanes(e->lanes, s->W);
    c.chunk = loss_chunk_emit(e, s);
    c.factor = loss_factor_emit(e, s, c.rows, scale, c.chunk.M);
    if (s->temperature != 1) c.factor = em_fmul(e, c.factor, em_const(e, 1, s->temperature));
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_min(e, em_end_unit(e), c.chunk.n_tiles), 1, NULL, 0);
    emit_tile_sums(e, &c, units.index);
    if (c.columns) emit_columns(e, &c, units.index);
    em_loop_end(e, &units, NULL);
}
