/*
 * Sums across lanes; see column_sums.h. A tree of transposing additions: each step takes two vectors and gives one whose lanes belong
 * to both, so that eight vectors become eight numbers in some twenty additions and shuffles instead of eight times four.
 */
#include "codegen/column_sums.h"

/* For two vectors of n lanes: from[half] of each block of four of `a`, then of `b`, interleaved as `pairs` says. */
static cg_val fold_within(emitter *e, cg_val a, cg_val b, bool pairs) {
    unsigned n = em_lanes_of(a), low[64], high[64];
    for (unsigned i = 0; i < n; i += 4) {
        const unsigned single[] = {i, n + i, i + 1, n + i + 1}, paired[] = {i, i + 1, n + i, n + i + 1};
        for (unsigned l = 0; l < 4; l++) {
            low[i + l] = pairs ? paired[l] : single[l];
            high[i + l] = low[i + l] + 2;
        }
    }
    return em_fadd(e, em_shuffle(e, a, b, n, low), em_shuffle(e, a, b, n, high));
}

/* Lane l of the result, of four: the sum over the blocks of four of `a`. */
static cg_val fold_blocks(emitter *e, cg_val a) { return em_fold(e, a, 4, em_fadd); }

/* For two vectors of n lanes, blocks of four: [a | b], sums of the first half of each one's blocks with the second. */
static cg_val fold_halves(emitter *e, cg_val a, cg_val b) {
    unsigned n = em_lanes_of(a), low[64], high[64];
    for (unsigned l = 0; l < n / 2; l++) {
        low[l] = l, low[n / 2 + l] = n + l;
        high[l] = n / 2 + l, high[n / 2 + l] = n + n / 2 + l;
    }
    return em_fadd(e, em_shuffle(e, a, b, n, low), em_shuffle(e, a, b, n, high));
}

/* fold_blocks for two vectors of at least eight lanes: eight lanes, those of `a` and those of `b`. */
static cg_val fold_two(emitter *e, cg_val a, cg_val b) {
    unsigned low[64], high[64];
    cg_val both = fold_halves(e, a, b);
    for (unsigned n = em_lanes_of(a); n > 8; n /= 2) {
        for (unsigned l = 0; l < n / 4; l++) {
            low[l] = l, low[n / 4 + l] = n / 2 + l;
            high[l] = n / 4 + l, high[n / 4 + l] = n / 2 + n / 4 + l;
        }
        both = em_fadd(e, em_shuffle(e, both, both, n / 2, low), em_shuffle(e, both, both, n / 2, high));
    }
    return both;
}

/* For two vectors of four blocks of four lanes [a0 a1 | b0 b1]: [a0+a1 | b0+b1 of the first, then of the second]. */
static cg_val fold_pairs(emitter *e, cg_val a, cg_val b) {
    unsigned low[16], high[16];
    for (unsigned l = 0; l < 16; l++) {
        low[l] = l / 4 * 8 + l % 4;
        high[l] = low[l] + 4;
    }
    return em_fadd(e, em_shuffle(e, a, b, 16, low), em_shuffle(e, a, b, 16, high));
}

/* Four vectors, whose lanes belong to one each, into one whose blocks of four lanes do so in turn; those past `count` count as 0. */
static cg_val fold_quad(emitter *e, const cg_val *sum, unsigned count) {
    cg_val four[4];
    for (unsigned i = 0; i < 4; i++) four[i] = i < count ? sum[i] : em_const(e, em_lanes_of(sum[0]), 0);
    return fold_within(e, fold_within(e, four[0], four[1], false), fold_within(e, four[2], four[3], false), true);
}

void lane_sums_add(emitter *e, const cg_val *sum, unsigned count, cg_val to) {
    const unsigned quads = (count + 3) / 4;
    cg_val quad[LANE_SUMS_MOST / 4];
    for (unsigned q = 0; q < LANE_SUMS_MOST / 4; q++)
        quad[q] = q < quads ? fold_quad(e, &sum[4 * q], count - 4 * q) : em_const(e, em_lanes_of(sum[0]), 0);
    if (count > 8) {
        cg_val all = fold_pairs(e, fold_halves(e, quad[0], quad[1]), fold_halves(e, quad[2], quad[3]));
        em_store(e, em_fadd(e, em_load(e, 16, to, 32), all), to, 32);
        return;
    }
    if (count > 4 && em_lanes_of(sum[0]) >= 8) {
        em_store(e, em_fadd(e, em_load(e, 8, to, 32), fold_two(e, quad[0], quad[1])), to, 32);
        return;
    }
    for (unsigned q = 0; q < quads; q++) {
        cg_val at = em_at_int(e, to, 16 * q);
        em_store(e, em_fadd(e, em_load(e, 4, at, 16), fold_blocks(e, quad[q])), at, 16);
    }
}

int64_t column_sums_scratch(int64_t W) { return 4 * COLUMN_SUMS_ROWS * W + 4 * LANE_SUMS; }

void column_sums_emit(emitter *e, const column_sums *c, cg_val row0) {
    const int64_t W = c->W, step = 4 * (int64_t)c->lanes, all = COLUMN_SUMS_ROWS * step;
    const unsigned align = (unsigned)step;
    cg_val n_rows = em_min(e, em_int(e, COLUMN_SUMS_ROWS), em_sub(e, em_int(e, c->N), row0));
    em_loop clear, tiles, rows, vectors, results;
    em_loop_begin(e, &clear, em_int(e, 0), em_int(e, all), step, NULL, 0);
    em_store(e, em_const(e, c->lanes, 0), em_at(e, c->scratch, clear.index), align);
    em_loop_end(e, &clear, NULL);
    em_loop_begin(e, &tiles, em_int(e, 0), em_div_int_up(e, c->n_rows, W), 1, NULL, 0);
    cg_val tile = em_index(e, em_index(e, c->x, tiles.index, 4 * c->N * W), row0, 4 * W);
    cg_val used = em_sub(e, c->n_rows, em_mul_int(e, tiles.index, W));
    em_loop_begin(e, &rows, em_int(e, 0), n_rows, 1, NULL, 0);
    cg_val to = em_index(e, c->scratch, rows.index, step), row = em_index(e, tile, rows.index, 4 * W);
    cg_val sum = em_load(e, c->lanes, to, align);
    em_loop_begin(e, &vectors, em_int(e, 0), em_int(e, W), c->lanes, &sum, 1);
    cg_val inside = em_lanes_in_range(e, c->lanes, vectors.index, em_int(e, 0), used);
    cg_val part = em_load(e, c->lanes, em_index(e, row, vectors.index, 4), align);
    sum = em_fadd(e, vectors.carried[0], em_select(e, inside, part, em_const(e, c->lanes, 0)));
    em_loop_end(e, &vectors, &sum);
    em_store(e, vectors.carried[0], to, align);
    em_loop_end(e, &rows, NULL);
    em_loop_end(e, &tiles, NULL);
    /* eight columns at a time; those past N are zeros in scratch */
    em_loop_begin(e, &results, em_int(e, 0), n_rows, LANE_SUMS, NULL, 0);
    cg_val eight[LANE_SUMS], room = em_at_int(e, c->scratch, all);
    for (unsigned i = 0; i < LANE_SUMS; i++)
        eight[i] = em_load(e, c->lanes, em_index(e, c->scratch, em_add_int(e, results.index, i), step), align);
    for (unsigned i = 0; i < LANE_SUMS; i += 4) em_store(e, em_const(e, 4, 0), em_at_int(e, room, 4 * i), 16);
    lane_sums_add(e, eight, LANE_SUMS, room);
    cg_val rest = em_min(e, em_int(e, LANE_SUMS), em_sub(e, n_rows, results.index));
    emit_copy(e, em_index(e, c->sums, em_add(e, row0, results.index), 4), room, rest, 4);
    em_loop_end(e, &results, NULL);
}
