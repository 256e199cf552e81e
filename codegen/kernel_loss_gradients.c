/*
 * loss_gradients and loss_results: what the exps of a chunk of tokens are for (linear_loss.h).
 *
 * A unit of loss_gradients is a segment of blocks. Of each block it makes the gradients of the logits, exps times the factors of their
 * tokens less those of the teacher or what targets have, in scratch, and while these are in L2: its rows of dweight (a sum over the tokens of the chunk,
 * vectors along the columns of x), of dbias, and what its rows of the weight add to the segment's share of dx (a sum over the rows,
 * vectors along the tokens). Chunks add to dweight and dbias one after the other.
 *
 * operands: loss_gradients: EXPS, TOPS, [teacher's EXPS, TOPS], [targets, TOKENS], [weight, SHARES], [COLUMNS, dweight], [dbias].
 *           loss_results: [rows], [scale], TOKENS, [loss], [SHARES, dx]. A unit is a tile, the last one the loss.
 */
#include "codegen/column_sums.h"
#include "codegen/gemm_block.h"
#include "codegen/linear_loss.h"
#include "ir/op.h"

#define BLOCK_VECTORS 2

/* ---- gradients ---- */

/* Bytes of the gradients of a block's logits, [tiles][block][W]; whoever sums eight rows at a time may read some behind them. */
static int64_t gradients_bytes(const linear_loss *s) { return 4 * (s->block * s->chunk + LANE_SUMS * s->W); }

bool describe_loss_gradients(const cg_group *g, const cg_target *target, cg_kernel *k) {
    linear_loss s;
    linear_loss_inputs in;
    const ir_node *n = linear_loss_of(g, target, &s, &in);
    if (!n || !linear_loss_has_gradients(&s)) return false;
    const ir_dim M = graph_type(g->graph, in.x)->dims[0];
    linear_loss_workspace(k, g, &s, LOSS_EXPS);
    linear_loss_workspace(k, g, &s, LOSS_TOPS);
    if (s.kind == LOSS_TEACHER) {
        linear_loss_workspace(k, g, &s, LOSS_TEACHER_EXPS);
        linear_loss_workspace(k, g, &s, LOSS_TEACHER_TOPS);
    } else {
        kernel_operand(k, in.targets);
        linear_loss_workspace(k, g, &s, LOSS_TOKENS);
    }
    if (s.dx) {
        kernel_operand(k, in.weight);
        linear_loss_workspace(k, g, &s, LOSS_SHARES);
    }
    if (s.dweight) {
        linear_loss_workspace(k, g, &s, LOSS_COLUMNS);
        kernel_operand(k, node_result(n, 2));
    }
    if (s.dbias) kernel_operand(k, node_result(n, 3));
    linear_loss_step(k, &s, M);
    k->work = dim_const(s.segments);
    k->scratch_bytes = dim_const(gradients_bytes(&s) + 4 * (LANE_SUMS + s.panel * s.strip));
    k->flops = kernel_scaled(M, 2 * (s.dx + s.dweight) * s.V * s.K, 0, NULL);
    k->bytes = kernel_scaled(M, 4 * s.V * (s.kind == LOSS_TEACHER ? 2 : 1), 4 * s.V * s.K * (s.dx + 2 * s.dweight), NULL);
    k->next = "loss_results";
    return true;
}

typedef struct gradients_code {
    linear_loss s;
    loss_chunk chunk;
    unsigned tile_lanes, tile_vectors; /* of vectors along the tokens */
    unsigned lanes;                    /* along the columns */
    cg_val exps, factors;
    cg_val teacher_exps, teacher_factors, targets, tokens, weight, shares, columns, dweight, dbias; /* may be NULL */
    cg_val gradients, room, rest;                                                                   /* scratch */
} gradients_code;

/* The block at hand. */
typedef struct gradients_block {
    loss_block rows;
    cg_val starts; /* i1: the first of its segment */
} gradients_block;

/* `more`, added to what is at `to` unless `replaces`. */
static void emit_add(emitter *e, cg_val replaces, cg_val to, cg_val more, unsigned align) {
    cg_val zero = em_const(e, em_lanes_of(more), 0);
    em_store(e, em_fadd(e, em_select(e, replaces, zero, em_load(e, em_lanes_of(more), to, align)), more), to, align);
}

/* Exps times factors, less those of a teacher, to scratch. */
static void emit_logit_gradients(emitter *e, const gradients_code *c, const gradients_block *b) {
    const linear_loss *s = &c->s;
    const unsigned align = 4 * c->tile_lanes;
    em_loop tiles, vectors, rows;
    em_loop_begin(e, &tiles, em_int(e, 0), c->chunk.n_tiles, 1, NULL, 0);
    cg_val place = em_add(e, em_mul(e, b->rows.number, c->chunk.n_tiles), tiles.index);
    em_loop_begin(e, &vectors, em_int(e, 0), em_int(e, 4 * s->W), align, NULL, 0);
    cg_val at = em_add(e, em_mul_int(e, place, 4 * s->W), vectors.index);
    cg_val exps_at = em_add(e, em_mul_int(e, place, 4 * s->block * s->W), vectors.index);
    cg_val factor = em_load(e, c->tile_lanes, em_at(e, c->factors, at), align), from = em_at(e, c->exps, exps_at);
    cg_val teacher = c->teacher_exps ? em_load(e, c->tile_lanes, em_at(e, c->teacher_factors, at), align) : NULL;
    cg_val teacher_from = c->teacher_exps ? em_at(e, c->teacher_exps, exps_at) : NULL;
    cg_val to = em_at(e, em_index(e, c->gradients, tiles.index, 4 * s->block * s->W), vectors.index);
    em_loop_begin(e, &rows, em_int(e, 0), em_mul_int(e, b->rows.n_rows, 4 * s->W), 4 * s->W, NULL, 0);
    cg_val gradient = em_fmul(e, em_load(e, c->tile_lanes, em_at(e, from, rows.index), align), factor);
    if (teacher)
        gradient = em_fsub(e, gradient, em_fmul(e, em_load(e, c->tile_lanes, em_at(e, teacher_from, rows.index), align), teacher));
    em_store(e, gradient, em_at(e, to, rows.index), align);
    em_loop_end(e, &rows, NULL);
    em_loop_end(e, &vectors, NULL);
    em_loop_end(e, &tiles, NULL);
}

/* Less what a target has that is a row of the block. */
static void emit_target_gradient(emitter *e, const void *code, cg_val target, cg_val token, cg_val row) {
    const gradients_code *c = code;
    const linear_loss *s = &c->s;
    cg_val tile_row = em_add(e, em_mul_int(e, em_div_int(e, token, s->W), s->block), row);
    cg_val at = em_index(e, em_index(e, c->gradients, tile_row, 4 * s->W), em_rem_int(e, token, s->W), 4);
    cg_val part = em_load(e, 1, em_index(e, em_at_int(e, c->tokens, loss_targets(s)), target, 4), 4);
    em_store(e, em_fsub(e, em_load(e, 1, at, 4), part), at, 4);
}

/* Sums over the tokens, of eight rows at a time. */
static void emit_dbias(emitter *e, const gradients_code *c, const gradients_block *b) {
    const linear_loss *s = &c->s;
    cg_val sum[LANE_SUMS];
    em_loop groups, tiles, vectors, results;
    em_loop_begin(e, &groups, em_int(e, 0), b->rows.n_rows, LANE_SUMS, NULL, 0);
    for (unsigned i = 0; i < LANE_SUMS; i++) sum[i] = em_const(e, c->tile_lanes, 0);
    em_loop_begin(e, &tiles, em_int(e, 0), c->chunk.n_tiles, 1, sum, LANE_SUMS);
    cg_val first = em_index(e, c->gradients, em_add(e, em_mul_int(e, tiles.index, s->block), groups.index), 4 * s->W);
    em_loop_begin(e, &vectors, em_int(e, 0), em_int(e, 4 * s->W), 4 * c->tile_lanes, tiles.carried, LANE_SUMS);
    for (unsigned i = 0; i < LANE_SUMS; i++) {
        cg_val at = em_at(e, em_at_int(e, first, 4 * s->W * i), vectors.index);
        sum[i] = em_fadd(e, vectors.carried[i], em_load(e, c->tile_lanes, at, 4 * c->tile_lanes));
    }
    em_loop_end(e, &vectors, sum);
    em_loop_end(e, &tiles, vectors.carried);
    for (unsigned i = 0; i < LANE_SUMS; i += 4) em_store(e, em_const(e, 4, 0), em_at_int(e, c->room, 4 * i), 16);
    lane_sums_add(e, tiles.carried, LANE_SUMS, c->room);
    cg_val to = em_index(e, c->dbias, em_add(e, b->rows.row0, groups.index), 4);
    em_loop_begin(e, &results, em_int(e, 0), em_min(e, em_int(e, LANE_SUMS), em_sub(e, b->rows.n_rows, groups.index)), 1, NULL, 0);
    cg_val shift = em_mul_int(e, results.index, 4);
    emit_add(e, c->chunk.is_first, em_at(e, to, shift), em_load(e, 1, em_at(e, c->room, shift), 4), 4);
    em_loop_end(e, &results, NULL);
    em_loop_end(e, &groups, NULL);
}

/* Sums over all tokens of the chunk: `rows` rows of the block from `row` on times a strip of x. */
static void emit_dweight_sums(emitter *e, const gradients_code *c, unsigned rows, cg_val row, cg_val strip,
                              cg_val sum[GEMM_MAX_SUMS]) {
    const linear_loss *s = &c->s;
    const unsigned n = rows * BLOCK_VECTORS;
    const gemm_block g = {.rows = rows,
                          .vectors = BLOCK_VECTORS,
                          .lanes = c->lanes,
                          .x_step = 4 * s->strip,
                          .w_step = 4,
                          .w_row_step = 4 * s->W,
                          .x_align = 4 * c->lanes,
                          .unroll = 4};
    em_loop tiles;
    cg_val x = em_index(e, c->columns, em_mul(e, strip, c->chunk.n_tiles), 4 * s->W * s->strip);
    cg_val w = em_index(e, c->gradients, row, 4 * s->W);
    for (unsigned i = 0; i < n; i++) sum[i] = em_const(e, c->lanes, 0);
    em_loop_begin(e, &tiles, em_int(e, 0), c->chunk.n_tiles, 1, sum, n);
    for (unsigned i = 0; i < n; i++) sum[i] = tiles.carried[i];
    cg_val count = em_min(e, em_int(e, s->W), em_sub(e, c->chunk.n_tokens, em_mul_int(e, tiles.index, s->W)));
    gemm_block_emit(e, &g, em_index(e, x, tiles.index, 4 * s->W * s->strip), em_index(e, w, tiles.index, 4 * s->block * s->W),
                    count, sum);
    em_loop_end(e, &tiles, sum);
    for (unsigned i = 0; i < n; i++) sum[i] = tiles.carried[i];
}

/* Of the last strip, as many columns as there are, by way of scratch. */
static void emit_dweight_rest(emitter *e, const gradients_code *c, unsigned rows, cg_val to, cg_val sum[GEMM_MAX_SUMS]) {
    const linear_loss *s = &c->s;
    for (unsigned i = 0; i < rows * BLOCK_VECTORS; i++)
        em_store(e, sum[i], em_at_int(e, c->rest, 4 * (int64_t)i * c->lanes), 4 * c->lanes);
    em_loop each, columns;
    em_loop_begin(e, &each, em_int(e, 0), em_int(e, rows), 1, NULL, 0);
    cg_val from = em_index(e, c->rest, each.index, 4 * s->strip), row = em_index(e, to, each.index, 4 * s->K);
    em_loop_begin(e, &columns, em_int(e, 0), em_int(e, s->K % s->strip), 1, NULL, 0);
    cg_val shift = em_mul_int(e, columns.index, 4);
    emit_add(e, c->chunk.is_first, em_at(e, row, shift), em_load(e, 1, em_at(e, from, shift), 4), 4);
    em_loop_end(e, &columns, NULL);
    em_loop_end(e, &each, NULL);
}

static void emit_dweight_rows(emitter *e, const gradients_code *c, const gradients_block *b, unsigned rows, cg_val row) {
    const linear_loss *s = &c->s;
    const int64_t whole = s->K / s->strip;
    cg_val to = em_index(e, c->dweight, em_add(e, b->rows.row0, row), 4 * s->K), sum[GEMM_MAX_SUMS];
    em_loop strips;
    em_loop_begin(e, &strips, em_int(e, 0), em_int(e, whole), 1, NULL, 0);
    emit_dweight_sums(e, c, rows, row, strips.index, sum);
    cg_val out = em_opaque(e, em_index(e, to, strips.index, 4 * s->strip));
    for (unsigned i = 0; i < rows * BLOCK_VECTORS; i++)
        emit_add(e, c->chunk.is_first, em_at_int(e, out, 4 * (i / BLOCK_VECTORS * s->K + i % BLOCK_VECTORS * c->lanes)), sum[i], 4);
    em_loop_end(e, &strips, NULL);
    if (whole == s->strips) return;
    emit_dweight_sums(e, c, rows, row, em_int(e, whole), sum);
    emit_dweight_rest(e, c, rows, em_at_int(e, to, 4 * whole * s->strip), sum);
}

static void emit_dweight(emitter *e, const gradients_code *c, const gradients_block *b) {
    const linear_loss *s = &c->s;
    const int64_t rest = s->V % s->panel;
    em_loop panels;
    em_if last;
    cg_val whole = em_mul_int(e, em_div_int(e, b->rows.n_rows, s->panel), s->panel);
    em_loop_begin(e, &panels, em_int(e, 0), whole, s->panel, NULL, 0);
    emit_dweight_rows(e, c, b, (unsigned)s->panel, panels.index);
    em_loop_end(e, &panels, NULL);
    if (rest == 0) return;
    em_if_begin(e, &last, em_less(e, whole, b->rows.n_rows));
    emit_dweight_rows(e, c, b, (unsigned)rest, whole);
    em_if_end(e, &last);
}

/* `features` features of a tile's dx from `feature` on. */
static void emit_dx_features(emitter *e, const gradients_code *c, const gradients_block *b, unsigned features, cg_val feature,
                             cg_val tile, cg_val share) {
    const linear_loss *s = &c->s;
    const int64_t part = 4 * (int64_t)(c->tile_lanes * c->tile_vectors);
    const gemm_block g = {.rows = features,
                          .vectors = c->tile_vectors,
                          .lanes = c->tile_lanes,
                          .x_step = 4 * s->W,
                          .w_step = 4 * s->K,
                          .w_row_step = 4,
                          .x_align = 4 * c->tile_lanes,
                          .unroll = 4};
    cg_val x = em_index(e, c->gradients, tile, 4 * s->block * s->W), sum[GEMM_MAX_SUMS];
    cg_val w = em_index(e, em_index(e, c->weight, b->rows.row0, 4 * s->K), feature, 4);
    cg_val to = em_index(e, em_index(e, share, tile, 4 * s->K * s->W), feature, 4 * s->W);
    em_loop vectors;
    em_loop_begin(e, &vectors, em_int(e, 0), em_int(e, 4 * s->W), part, NULL, 0);
    for (unsigned i = 0; i < features * c->tile_vectors; i++) sum[i] = em_const(e, c->tile_lanes, 0);
    gemm_block_emit(e, &g, em_at(e, x, vectors.index), w, b->rows.n_rows, sum);
    cg_val out = em_opaque(e, em_at(e, to, vectors.index));
    for (unsigned i = 0; i < features * c->tile_vectors; i++)
        emit_add(e, b->starts, em_at_int(e, out, 4 * (i / c->tile_vectors * s->W + i % c->tile_vectors * c->tile_lanes)), sum[i],
                 4 * c->tile_lanes);
    em_loop_end(e, &vectors, NULL);
}

static void emit_dx(emitter *e, const gradients_code *c, const gradients_block *b, cg_val segment) {
    const linear_loss *s = &c->s;
    const int64_t panel = s->panel < s->K ? s->panel : s->K, whole = s->K / panel * panel;
    cg_val share = em_index(e, c->shares, segment, 4 * s->chunk * s->K);
    em_loop tiles, panels;
    em_loop_begin(e, &tiles, em_int(e, 0), c->chunk.n_tiles, 1, NULL, 0);
    em_loop_begin(e, &panels, em_int(e, 0), em_int(e, whole), panel, NULL, 0);
    emit_dx_features(e, c, b, (unsigned)panel, panels.index, tiles.index, share);
    em_loop_end(e, &panels, NULL);
    if (whole < s->K) emit_dx_features(e, c, b, (unsigned)(s->K - whole), em_int(e, whole), tiles.index, share);
    em_loop_end(e, &tiles, NULL);
}

void emit_loss_gradients(emitter *e, const cg_kernel *k) {
    gradients_code c = {.s = linear_loss_read(k), .lanes = e->lanes, .gradients = em_scratch(e)};
    const linear_loss *s = &c.s;
    const bool has_teacher = s->kind == LOSS_TEACHER;
    unsigned i = 0;
    c.exps = em_buffer(e, i++);
    c.factors = em_buffer(e, i++);
    c.teacher_exps = has_teacher ? em_buffer(e, i++) : NULL;
    c.teacher_factors = has_teacher ? em_buffer(e, i++) : NULL;
    c.targets = has_teacher ? NULL : em_buffer(e, i++);
    c.tokens = has_teacher ? NULL : em_buffer(e, i++);
    c.weight = s->dx ? em_buffer(e, i++) : NULL;
    c.shares = s->dx ? em_buffer(e, i++) : NULL;
    c.columns = s->dweight ? em_buffer(e, i++) : NULL;
    c.dweight = s->dweight ? em_buffer(e, i++) : NULL;
    c.dbias = s->dbias ? em_buffer(e, i++) : NULL;
    c.tile_lanes = tile_lanes(e->lanes, s->W);
    c.tile_vectors = tile_vectors(c.tile_lanes, s->W, BLOCK_VECTORS);
    c.rest = em_at_int(e, c.gradients, gradients_bytes(s));
    c.room = em_at_int(e, c.rest, 4 * s->panel * s->strip);
    c.chunk = loss_chunk_emit(e, s);
    em_loop units, blocks;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val first = em_mul_int(e, units.index, s->per_segment);
    cg_val end = em_min(e, em_add_int(e, first, s->per_segment), em_int(e, s->blocks));
    em_loop_begin(e, &blocks, first, end, 1, NULL, 0);
    const gradients_block b = {loss_block_emit(e, s, blocks.index), em_equal(e, blocks.index, first)};
    emit_logit_gradients(e, &c, &b);
    if (c.targets)
        loss_find_targets_emit(e, s, &c.chunk, &b.rows, c.targets, em_int(e, 0), c.chunk.n_tokens, emit_target_gradient, &c);
    if (s->dbias) emit_dbias(e, &c, &b);
    if (s->dweight) emit_dweight(e, &c, &b);
    if (s->dx) emit_dx(e, &c, &b, units.index);
    em_loop_end(e, &blocks, NULL);
    em_loop_end(e, &units, NULL);
}

/* ---- results ---- */

bool describe_loss_results(const cg_group *g, const cg_target *target, cg_kernel *k) {
    linear_loss s;
    linear_loss_inputs in;
    const ir_node *n = linear_loss_of(g, target, &s, &in);
    if (!n) return false;
    linear_loss_operand(k, in.rows);
    linear_loss_operand(k, in.scale);
    linear_loss_workspace(k, g, &s, LOSS_TOKENS);
    if (s.loss) kernel_operand(k, n->first_result);
    if (s.dx) {
        linear_loss_workspace(k, g, &s, LOSS_SHARES);
        kernel_operand(k, node_result(n, 1));
    }
    linear_loss_step(k, &s, graph_type(g->graph, in.x)->dims[0]);
    k->work = dim_const(s.chunk / s.W + 1);
    return true;
}

/* Shares of a tile of dx, segment after segment. */
static void emit_dx_tile(emitter *e, const linear_loss *s, cg_val shares, cg_val dx, cg_val tile, cg_val to_tile) {
    const unsigned lanes = tile_lanes(e->lanes, s->W), align = 4 * lanes;
    const int64_t bytes = 4 * s->K * s->W;
    cg_val from = em_index(e, shares, tile, bytes), to = em_index(e, dx, to_tile, bytes), sum = em_const(e, lanes, 0);
    em_loop vectors, segments;
    em_loop_begin(e, &vectors, em_int(e, 0), em_int(e, bytes), align, NULL, 0);
    cg_val at = em_at(e, from, vectors.index);
    em_loop_begin(e, &segments, em_int(e, 0), em_int(e, s->segments), 1, &sum, 1);
    sum = em_fadd(e, segments.carried[0], em_load(e, lanes, em_index(e, at, segments.index, 4 * s->chunk * s->K), align));
    em_loop_end(e, &segments, &sum);
    em_store(e, segments.carried[0], em_at(e, to, vectors.index), align);
    em_loop_end(e, &vectors, NULL);
}

/* The losses of the chunk are added to those of the chunks before; the sum times the factor and T^2 is the loss so far. */
static void emit_loss(emitter *e, const linear_loss *s, const loss_chunk *chunk, cg_val tokens, cg_val factor, cg_val loss) {
    cg_val total = em_at_int(e, tokens, loss_total(s)), losses = em_at_int(e, tokens, loss_losses(s));
    cg_val sum = em_select(e, chunk->is_first, em_real(e, 0), em_load_real(e, total));
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), chunk->n_tokens, 1, &sum, 1);
    sum = em_fadd(e, loop.carried[0], em_lane(e, em_widen(e, em_load(e, 1, em_index(e, losses, loop.index, 4), 4)), 0));
    em_loop_end(e, &loop, &sum);
    em_store_real(e, loop.carried[0], total);
    sum = em_fmul(e, loop.carried[0], em_lane(e, em_widen(e, factor), 0));
    em_store(e, em_narrow(e, em_fmul(e, sum, em_real(e, s->temperature * s->temperature))), loss, 4);
}

void emit_loss_results(emitter *e, const cg_kernel *k) {
    const linear_loss s = linear_loss_read(k);
    unsigned i = 0;
    cg_val rows = s.some_rows ? em_buffer(e, i++) : NULL, scale = s.scale ? em_buffer(e, i++) : NULL, tokens = em_buffer(e, i++);
    cg_val loss = s.loss ? em_buffer(e, i++) : NULL, shares = s.dx ? em_buffer(e, i++) : NULL, dx = s.dx ? em_buffer(e, i++) : NULL;
    const loss_chunk chunk = loss_chunk_emit(e, &s);
    em_loop units;
    em_if last, tile;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    if (s.dx) {
        em_if_begin(e, &tile, em_less(e, units.index, chunk.n_tiles));
        emit_dx_tile(e, &s, shares, dx, units.index, em_add(e, chunk.first_tile, units.index));
        em_if_end(e, &tile);
    }
    if (s.loss) {
        em_if_begin(e, &last, em_equal(e, units.index, em_int(e, s.chunk / s.W)));
        emit_loss(e, &s, &chunk, tokens, loss_factor_emit(e, &s, rows, scale, chunk.M), loss);
        em_if_end(e, &last);
    }
    em_loop_end(e, &units, NULL);
}
