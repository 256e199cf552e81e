/*
 * loss_exps and loss_sums: logits of a chunk of tokens block by block of the vocabulary, as exps, and the log-sum-exp over all blocks
 * (linear_loss.h).
 *
 * A softmax over blocks needs no second look at the logits: with m the largest of a block and s the sum of exp(logit - m), the sum over
 * all blocks is that of s exp(m - top) exp(top), and a softmax exp(logit - m) exp(m - log-sum-exp) (Milakov and Gimelshein, "Online
 * normalizer calculation for softmax", 2018). The product is that of kernel_linear.c, but rows of the weight are read as they lie in
 * memory, since a step changes them. Lanes of the last tile without a token have logits of 0, so that nothing there is no number.
 *
 * operands: loss_exps: x, weight, labels, [bias], [EXPS], TOPS, SUMS, TOKENS. A unit is a block.
 *           loss_sums: labels, [scale], TOPS, SUMS, TOKENS, [x, COLUMNS]. A unit is a tile.
 */
#include <math.h>

#include "codegen/gemm_block.h"
#include "codegen/linear_loss.h"
#include "codegen/transpose.h"
#include "codegen/vector_math.h"
#include "ir/op.h"

/* ---- exps ---- */

bool describe_loss_exps(const cg_group *g, const cg_target *target, cg_kernel *k) {
    linear_loss s;
    const ir_node *n = linear_loss_of(g, target, &s);
    if (!n) return false;
    const ir_dim M = graph_type(g->graph, n->inputs[0])->dims[0];
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    kernel_operand(k, n->inputs[2]);
    if (s.bias) kernel_operand(k, n->inputs[3]);
    if (linear_loss_has_gradients(&s)) linear_loss_workspace(k, g, &s, LOSS_EXPS);
    linear_loss_workspace(k, g, &s, LOSS_TOPS);
    linear_loss_workspace(k, g, &s, LOSS_SUMS);
    linear_loss_workspace(k, g, &s, LOSS_TOKENS);
    linear_loss_step(k, &s, M);
    k->work = dim_const(s.blocks);
    k->scratch_bytes = dim_const(4 * s.block * s.W);
    k->flops = kernel_scaled(M, 2 * s.V * s.K, 0, NULL);
    k->bytes = kernel_scaled(M, 4 * (s.V + s.K), 4 * s.V * s.K, NULL);
    k->next = "loss_sums";
    k->loop_work = M;
    k->loop_work_per_round = s.chunk;
    return true;
}

typedef struct exps_code {
    linear_loss s;
    loss_chunk chunk;
    unsigned lanes, vectors;
    cg_val x, weight, labels, bias, exps, tops, sums, tokens; /* bias, exps may be NULL */
    cg_val logits;                                            /* scratch: [block][W] */
} exps_code;

/* The block at hand. */
typedef struct exps_block {
    cg_val number, row0, n_rows;
    cg_val weight;        /* its first row */
    cg_val prefetch_step; /* bytes of the next block that a round of the product's loop fetches */
} exps_block;

/* `rows` rows from `row` on with all tokens of a tile. */
static void emit_rows(emitter *e, const exps_code *c, const exps_block *b, unsigned rows, cg_val tile, cg_val row) {
    const linear_loss *s = &c->s;
    const int64_t part = (int64_t)(c->lanes * c->vectors), n_parts = s->W / part;
    gemm_block g = {.rows = rows,
                    .vectors = c->vectors,
                    .lanes = c->lanes,
                    .x_step = 4 * s->W,
                    .w_step = 4,
                    .w_row_step = 4 * s->K,
                    .x_align = 4 * c->lanes,
                    .unroll = 4,
                    .prefetch_step = b->prefetch_step,
                    .prefetch_lines = 1};
    cg_val w = em_index(e, b->weight, row, 4 * s->K), to = em_index(e, c->logits, row, 4 * s->W);
    cg_val x = em_index(e, c->x, em_add(e, c->chunk.first_tile, tile), 4 * s->K * s->W);
    cg_val pass = em_mul_int(e, em_add(e, em_mul_int(e, tile, s->block / s->panel), em_div_int(e, row, s->panel)), n_parts);
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, n_parts), 1, NULL, 0);
    cg_val sum[GEMM_MAX_SUMS];
    cg_val at = em_mul(e, em_add(e, pass, loop.index), em_mul_int(e, b->prefetch_step, s->K / g.unroll));
    g.prefetch = em_at(e, em_at_int(e, b->weight, 4 * s->block * s->K), at);
    for (unsigned i = 0; i < rows * c->vectors; i++) sum[i] = em_const(e, c->lanes, 0);
    gemm_block_emit(e, &g, em_index(e, x, loop.index, 4 * part), w, em_int(e, s->K), sum);
    cg_val out = em_opaque(e, em_index(e, to, loop.index, 4 * part));
    for (unsigned i = 0; i < rows * c->vectors; i++)
        em_store(e, sum[i], em_at_int(e, out, 4 * (i / c->vectors * s->W + i % c->vectors * c->lanes)), 4 * c->lanes);
    em_loop_end(e, &loop, NULL);
}

/* The logits of a tile, to scratch. */
static void emit_product(emitter *e, const exps_code *c, const exps_block *b, cg_val tile) {
    const linear_loss *s = &c->s;
    const int64_t rest = s->V % s->panel;
    em_loop panels;
    cg_val whole = em_mul_int(e, em_div_int(e, b->n_rows, s->panel), s->panel);
    em_loop_begin(e, &panels, em_int(e, 0), whole, s->panel, NULL, 0);
    emit_rows(e, c, b, (unsigned)s->panel, tile, panels.index);
    em_loop_end(e, &panels, NULL);
    if (rest == 0) return;
    em_if last;
    em_if_begin(e, &last, em_less(e, whole, b->n_rows));
    emit_rows(e, c, b, (unsigned)rest, tile, whole);
    em_if_end(e, &last);
}

/* Adds the bias to the logits of one vector of tokens, and returns the largest. `live`: lanes with a token, a mask. */
static cg_val emit_top(emitter *e, const exps_code *c, const exps_block *b, cg_val logits, cg_val live) {
    cg_val top = em_const(e, c->lanes, -INFINITY);
    em_loop rows;
    em_loop_begin(e, &rows, em_int(e, 0), b->n_rows, 1, &top, 1);
    cg_val at = em_index(e, logits, rows.index, 4 * c->s.W), logit = em_load(e, c->lanes, at, 4 * c->lanes);
    if (c->bias) logit = em_fadd(e, logit, em_load_splat(e, c->lanes, em_index(e, c->bias, em_add(e, b->row0, rows.index), 4)));
    logit = em_select(e, live, logit, em_const(e, c->lanes, 0));
    em_store(e, logit, at, 4 * c->lanes);
    cg_val next = em_fmax_skip_nan(e, rows.carried[0], logit);
    em_loop_end(e, &rows, &next);
    return rows.carried[0];
}

/* Their exps, where they are wanted, and the sum of them. */
static cg_val emit_exps(emitter *e, const exps_code *c, const exps_block *b, cg_val logits, cg_val top, cg_val exps) {
    cg_val sum = em_const(e, c->lanes, 0);
    em_loop rows;
    em_loop_begin(e, &rows, em_int(e, 0), b->n_rows, 1, &sum, 1);
    cg_val logit = em_load(e, c->lanes, em_index(e, logits, rows.index, 4 * c->s.W), 4 * c->lanes);
    cg_val power = math_exp_nonpositive(e, em_fsub(e, logit, top));
    if (exps) em_store(e, power, em_index(e, exps, rows.index, 4 * c->s.W), 4 * c->lanes);
    cg_val next = em_fadd(e, rows.carried[0], power);
    em_loop_end(e, &rows, &next);
    return rows.carried[0];
}

static void emit_softmax(emitter *e, const exps_code *c, const exps_block *b, cg_val tile) {
    const linear_loss *s = &c->s;
    const unsigned align = 4 * c->lanes;
    cg_val place = em_add(e, em_mul(e, b->number, c->chunk.n_tiles), tile); /* of the block's tile */
    cg_val used = em_sub(e, c->chunk.n_tokens, em_mul_int(e, tile, s->W));
    em_loop vectors;
    em_loop_begin(e, &vectors, em_int(e, 0), em_int(e, s->W), c->lanes, NULL, 0);
    cg_val first = em_mul_int(e, vectors.index, 4), logits = em_at(e, c->logits, first);
    cg_val live = em_lanes_in_range(e, c->lanes, vectors.index, em_int(e, 0), used);
    cg_val top = emit_top(e, c, b, logits, live);
    cg_val exps = c->exps ? em_at(e, em_index(e, c->exps, place, 4 * s->block * s->W), first) : NULL;
    cg_val sum = emit_exps(e, c, b, logits, top, exps);
    em_store(e, top, em_at(e, em_index(e, c->tops, place, 4 * s->W), first), align);
    em_store(e, sum, em_at(e, em_index(e, c->sums, place, 4 * s->W), first), align);
    em_loop_end(e, &vectors, NULL);
}

/* The logits of the labels that are rows of the block. */
static void emit_label_logits(emitter *e, const exps_code *c, const exps_block *b, cg_val tile) {
    const linear_loss *s = &c->s;
    cg_val first = em_mul_int(e, tile, s->W);
    cg_val used = em_min(e, em_int(e, s->W), em_sub(e, c->chunk.n_tokens, first));
    em_loop tokens;
    em_if here;
    em_loop_begin(e, &tokens, em_int(e, 0), used, 1, NULL, 0);
    cg_val token = em_add(e, first, tokens.index);
    cg_val row = em_sub(e, loss_label_emit(e, s, c->labels, em_add(e, c->chunk.first_token, token)), b->row0);
    em_if_begin(e, &here, em_and(e, em_less(e, em_int(e, -1), row), em_less(e, row, b->n_rows)));
    cg_val logit = em_load(e, 1, em_index(e, em_index(e, c->logits, row, 4 * s->W), tokens.index, 4), 4);
    em_store(e, logit, em_index(e, em_at_int(e, c->tokens, loss_logits(s)), token, 4), 4);
    em_if_end(e, &here);
    em_loop_end(e, &tokens, NULL);
}

void emit_loss_exps(emitter *e, const cg_kernel *k) {
    exps_code c = {.s = linear_loss_read(k), .logits = em_scratch(e)};
    const linear_loss *s = &c.s;
    unsigned i = 0;
    c.x = em_buffer(e, i++);
    c.weight = em_buffer(e, i++);
    c.labels = em_buffer(e, i++);
    c.bias = s->bias ? em_buffer(e, i++) : NULL;
    c.exps = linear_loss_has_gradients(s) ? em_buffer(e, i++) : NULL;
    c.tops = em_buffer(e, i++);
    c.sums = em_buffer(e, i++);
    c.tokens = em_buffer(e, i++);
    c.lanes = tile_lanes(e->lanes, s->W);
    c.vectors = tile_vectors(c.lanes, s->W, 2);
    c.chunk = loss_chunk_emit(e, s);
    /* the next block is fetched while this one goes through its passes, evenly */
    const int64_t rounds = s->block / s->panel * (s->W / (int64_t)(c.lanes * c.vectors)) * (s->K / 4 > 0 ? s->K / 4 : 1);
    cg_val all_rounds = em_max(e, em_int(e, 1), em_mul_int(e, c.chunk.n_tiles, rounds));
    exps_block b = {.prefetch_step = em_div(e, em_int(e, 4 * s->block * s->K), all_rounds)};
    em_loop units, tiles;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    b.number = units.index;
    b.row0 = em_mul_int(e, units.index, s->block);
    b.n_rows = em_min(e, em_int(e, s->block), em_sub(e, em_int(e, s->V), b.row0));
    b.weight = em_index(e, c.weight, b.row0, 4 * s->K);
    em_loop_begin(e, &tiles, em_int(e, 0), c.chunk.n_tiles, 1, NULL, 0);
    emit_product(e, &c, &b, tiles.index);
    emit_softmax(e, &c, &b, tiles.index);
    emit_label_logits(e, &c, &b, tiles.index);
    em_loop_end(e, &tiles, NULL);
    em_loop_end(e, &units, NULL);
}

/* ---- sums ---- */

bool describe_loss_sums(const cg_group *g, const cg_target *target, cg_kernel *k) {
    linear_loss s;
    const ir_node *n = linear_loss_of(g, target, &s);
    if (!n) return false;
    kernel_operand(k, n->inputs[2]);
    if (s.scale) kernel_operand(k, n->inputs[4]);
    linear_loss_workspace(k, g, &s, LOSS_TOPS);
    linear_loss_workspace(k, g, &s, LOSS_SUMS);
    linear_loss_workspace(k, g, &s, LOSS_TOKENS);
    if (s.dweight) {
        kernel_operand(k, n->inputs[0]);
        linear_loss_workspace(k, g, &s, LOSS_COLUMNS);
    }
    linear_loss_step(k, &s, graph_type(g->graph, n->inputs[0])->dims[0]);
    k->work = dim_const(s.chunk / s.W);
    k->scratch_bytes = dim_const(4 * s.W);
    k->next = linear_loss_has_gradients(&s) ? "loss_gradients" : "loss_results";
    return true;
}

typedef struct sums_code {
    linear_loss s;
    loss_chunk chunk;
    unsigned lanes;
    cg_val labels, tops, sums, tokens, x, columns; /* x, columns may be NULL */
    cg_val factor, scratch;
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

/* Factor and loss of each token of a tile, whose log-sum-exps stand in scratch: none where there is no label, and no number where the
 * label is no class. */
static void emit_losses(emitter *e, const sums_code *c, cg_val tile) {
    const linear_loss *s = &c->s;
    cg_val zero = em_const(e, 1, 0), first = em_mul_int(e, tile, s->W);
    em_loop tokens;
    em_loop_begin(e, &tokens, em_int(e, 0), em_int(e, s->W), 1, NULL, 0);
    cg_val token = em_add(e, first, tokens.index), row = em_add(e, c->chunk.first_token, token);
    cg_val exists = em_less(e, row, c->chunk.M);
    cg_val label = loss_label_emit(e, s, c->labels, em_select(e, exists, row, em_int(e, 0)));
    label = em_select(e, exists, label, em_int(e, IR_IGNORED_LABEL));
    cg_val is_class = em_and(e, em_less(e, em_int(e, -1), label), em_less(e, label, em_int(e, s->V)));
    cg_val is_none = em_equal(e, label, em_int(e, IR_IGNORED_LABEL));
    cg_val at = em_index(e, c->tokens, token, 4), logit = em_load(e, 1, em_at_int(e, at, loss_logits(s)), 4);
    cg_val loss = em_fsub(e, em_load(e, 1, em_index(e, c->scratch, tokens.index, 4), 4), logit);
    loss = em_select(e, is_class, loss, em_const(e, 1, NAN));
    em_store(e, em_select(e, is_none, zero, c->factor), em_at_int(e, at, loss_factors(s)), 4);
    em_store(e, em_select(e, is_none, zero, loss), em_at_int(e, at, loss_losses(s)), 4);
    em_loop_end(e, &tokens, NULL);
}

static void emit_tile_sums(emitter *e, const sums_code *c, cg_val tile) {
    const linear_loss *s = &c->s;
    const unsigned align = 4 * c->lanes;
    em_loop sums, factors;
    sums_place p = {.step = em_mul_int(e, c->chunk.n_tiles, 4 * s->W)};
    cg_val tops = em_index(e, c->tops, tile, 4 * s->W), parts = em_index(e, c->sums, tile, 4 * s->W);
    em_loop_begin(e, &sums, em_int(e, 0), em_int(e, 4 * s->W), align, NULL, 0);
    p.tops = em_at(e, tops, sums.index);
    p.sums = em_at(e, parts, sums.index);
    em_store(e, emit_log_sum(e, c, &p), em_at(e, c->scratch, sums.index), align);
    em_loop_end(e, &sums, NULL);
    emit_losses(e, c, tile);
    if (!linear_loss_has_gradients(s)) return;
    cg_val factor = em_at_int(e, em_index(e, c->tokens, tile, 4 * s->W), loss_factors(s));
    em_loop_begin(e, &factors, em_int(e, 0), em_int(e, 4 * s->W), align, NULL, 0);
    p.tops = em_at(e, tops, factors.index);
    emit_factors(e, c, &p, em_load(e, c->lanes, em_at(e, c->scratch, factors.index), align),
                 em_load(e, c->lanes, em_at(e, factor, factors.index), align));
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
    sums_code c = {.s = linear_loss_read(k), .scratch = em_scratch(e)};
    const linear_loss *s = &c.s;
    unsigned i = 0;
    c.labels = em_buffer(e, i++);
    cg_val scale = s->scale ? em_buffer(e, i++) : NULL;
    c.tops = em_buffer(e, i++);
    c.sums = em_buffer(e, i++);
    c.tokens = em_buffer(e, i++);
    c.x = s->dweight ? em_buffer(e, i++) : NULL;
    c.columns = s->dweight ? em_buffer(e, i++) : NULL;
    c.lanes = tile_lanes(e->lanes, s->W);
    c.chunk = loss_chunk_emit(e, s);
    c.factor = loss_factor_emit(e, s, c.labels, scale, c.chunk.M);
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_min(e, em_end_unit(e), c.chunk.n_tiles), 1, NULL, 0);
    emit_tile_sums(e, &c, units.index);
    if (c.columns) emit_columns(e, &c, units.index);
    em_loop_end(e, &units, NULL);
}
