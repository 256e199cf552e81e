/*
 * One token with a weight's non-zeros; see sparse_one_token.h.
 *
 * A tile with one token has a row of W numbers for each column, of which one counts: 48 KB for 768 columns of tiles<16>. So these are
 * copied together first, once for all groups of rows that a thread takes, W / 2 bytes apart, which is how far the offsets of
 * neighbouring columns are from each other; they and the sums stay in L1. A round reads C offsets and C weights, consecutive in the stream, gathers C numbers and multiplies and adds
 * them; the last round of a visit leaves the lanes behind its entries out.
 *
 * What bounds it is the stream of 6 bytes for each entry, which is fetched far ahead into L2, where more lines can be on their way than
 * to L1: with twelve layers' weights that takes a fifth off the time, which is then that of reading them and no more. Beside a gather of
 * eight lanes one of sixteen measured slower there, and so did entries one by one, and sixteen rows side by side.
 */
#include "codegen/sparse_one_token.h"

#include <string.h>

#define AHEAD 8192 /* bytes of values that are fetched ahead, and half as many of offsets */
#define ROUNDS 2   /* that share a fetch */
#define COLUMNS_AHEAD 16

bool sparse_can_gather(const cg_target *t, unsigned chains, int64_t W) {
    const bool gathers = strcmp(t->isa, "avx2") == 0 || strcmp(t->isa, "avx512") == 0;
    return gathers && (chains == 4 || chains == 8) && W >= 8 && W % 2 == 0;
}

int64_t sparse_one_token_bytes(const sparse_layout *l, int64_t K) { return 4 * (int64_t)l->row_group + K * (l->tile / 2); }

void sparse_one_token_place(emitter *e, sparse_one_token *p, cg_val scratch, cg_val row_group) {
    p->sums = scratch;
    p->x = em_index(e, scratch, row_group, 4);
}

/* Rows [begin, end), `lanes` at a time. */
static void emit_start(emitter *e, const sparse_one_token *p, cg_val bias, cg_val residual, cg_val begin, cg_val end,
                       unsigned lanes) {
    em_loop rows;
    em_loop_begin(e, &rows, begin, end, lanes, NULL, 0);
    cg_val start = bias ? em_load(e, lanes, em_index(e, bias, rows.index, 4), 4) : em_const(e, lanes, 0);
    if (residual) {
        cg_val other = em_load(e, 1, em_index(e, residual, rows.index, 4 * p->W), 4);
        start = bias ? em_fadd(e, other, start) : other;
    }
    em_store(e, start, em_index(e, p->sums, rows.index, 4), 4);
    em_loop_end(e, &rows, NULL);
}

void sparse_one_token_start(emitter *e, const sparse_one_token *p, cg_val bias, cg_val residual, cg_val n_rows) {
    cg_val whole = residual ? em_int(e, 0) : em_sub(e, n_rows, em_rem_int(e, n_rows, e->lanes));
    if (!residual) emit_start(e, p, bias, NULL, em_int(e, 0), whole, e->lanes);
    emit_start(e, p, bias, residual, whole, n_rows, 1);
}

void sparse_one_token_copy(emitter *e, const sparse_one_token *p, cg_val x, cg_val n_columns) {
    em_loop columns;
    em_loop_begin(e, &columns, em_int(e, 0), n_columns, 1, NULL, 0);
    em_prefetch_near(e, em_index(e, x, em_add_int(e, columns.index, COLUMNS_AHEAD), 4 * p->W));
    cg_val number = em_load(e, 1, em_index(e, x, columns.index, 4 * p->W), 4);
    em_store(e, number, em_index(e, p->x, columns.index, p->W / 2), 4);
    em_loop_end(e, &columns, NULL);
}

/* ---- visits ---- */

/* Sum of all lanes, pairwise, in lane 0. */
static cg_val add_lanes(emitter *e, cg_val sum, unsigned lanes) {
    for (unsigned n = lanes / 2; n > 0; n /= 2) {
        unsigned low[8], high[8];
        for (unsigned i = 0; i < n; i++) low[i] = i, high[i] = n + i;
        sum = em_fadd(e, em_shuffle(e, sum, sum, n, low), em_shuffle(e, sum, sum, n, high));
    }
    return sum;
}

enum { SUM, OFFSETS, VALUES, N_STATE };

static cg_val add_round(emitter *e, const sparse_one_token *p, const cg_val at[N_STATE]) {
    cg_val x = em_gather(e, p->chains, p->x, at[OFFSETS]);
    return em_fma(e, x, em_load(e, p->chains, at[VALUES], 4), at[SUM]);
}

/* `times` times `n` whole rounds; at[] moves behind them. */
static void emit_rounds(emitter *e, const sparse_one_token *p, cg_val times, unsigned n, cg_val at[N_STATE]) {
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), times, 1, at, N_STATE);
    for (unsigned i = 0; i < N_STATE; i++) at[i] = loop.carried[i];
    em_prefetch(e, em_at_int(e, at[VALUES], AHEAD));
    em_prefetch(e, em_at_int(e, at[OFFSETS], AHEAD / 2));
    for (unsigned i = 0; i < n; i++) {
        at[SUM] = add_round(e, p, at);
        at[OFFSETS] = em_at_int(e, at[OFFSETS], 2 * p->chains);
        at[VALUES] = em_at_int(e, at[VALUES], 4 * p->chains);
    }
    em_loop_end(e, &loop, at);
    for (unsigned i = 0; i < N_STATE; i++) at[i] = loop.carried[i];
}

void sparse_one_token_visits(emitter *e, const sparse_one_token *p, cg_val rows, cg_val offsets, cg_val values, cg_val n_visits,
                             cg_val entries) {
    const unsigned C = p->chains;
    cg_val whole = em_div_int(e, em_add_int(e, entries, -1), C); /* rounds before the last one, which may be whole as well */
    cg_val times = em_div_int(e, whole, ROUNDS), alone = em_sub(e, whole, em_mul_int(e, times, ROUNDS));
    cg_val last = em_lanes_in_range(e, C, em_int(e, 0), em_int(e, 0), em_sub(e, entries, em_mul_int(e, whole, C)));
    const cg_val state[] = {rows, offsets, values};
    em_loop visits;
    em_loop_begin(e, &visits, em_int(e, 0), n_visits, 1, state, 3);
    cg_val to = em_index(e, p->sums, em_load_unsigned(e, 2, visits.carried[0]), 4);
    cg_val at[N_STATE] = {em_load_first(e, C, to), visits.carried[1], visits.carried[2]};
    emit_rounds(e, p, times, ROUNDS, at);
    emit_rounds(e, p, alone, 1, at);
    cg_val sum = em_select(e, last, add_round(e, p, at), at[SUM]);
    em_store(e, add_lanes(e, sum, C), to, 4);
    em_loop_end(e, &visits,
                (cg_val[]){em_at_int(e, visits.carried[0], 2), em_index(e, visits.carried[1], entries, 2),
                           em_index(e, visits.carried[2], entries, 4)});
}

void sparse_one_token_spread(emitter *e, const sparse_one_token *p, cg_val n_rows, cg_val to, unsigned lanes) {
    em_loop rows;
    em_loop_begin(e, &rows, em_int(e, 0), n_rows, 1, NULL, 0);
    cg_val sum = em_load_splat(e, lanes, em_index(e, p->sums, rows.index, 4));
    em_store(e, sum, em_index(e, to, rows.index, 4 * p->W), 4 * lanes);
    em_loop_end(e, &rows, NULL);
}
