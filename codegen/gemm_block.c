/*
 * The register block; see gemm_block.h.
 *
 * Sizes: with 16 registers 6 rows x 2 vectors (12 sums, 2 of x, 1 broadcast), or 4 x 2 where products need registers of their own
 * (no fused multiply-add), with 32 registers 12 x 2 (24 sums): two multiply-adds a cycle never wait for a sum (latency 4), and
 * loads (2 + rows for 2 * rows multiply-adds) stay below two a cycle. The loop over k is unrolled and followed by a loop over the
 * rest. Sums are added in the order of k, whatever the unrolling, so a result does not depend on it.
 */
#include "codegen/gemm_block.h"

#define CACHE_LINE 64

unsigned gemm_block_rows(const cg_target *t) { return t->vector_registers >= 32 ? 12 : t->has_fma ? 6 : 4; }

/* One round of k: x and w point at it, displaced by constants. */
static void multiply_row(emitter *e, const gemm_block *g, cg_val x, cg_val w, unsigned k, cg_val sum[GEMM_MAX_SUMS]) {
    cg_val column[GEMM_MAX_SUMS];
    for (unsigned v = 0; v < g->vectors; v++)
        column[v] = em_load(e, g->lanes, em_at_int(e, x, (int64_t)k * g->x_step + 4 * (int64_t)g->lanes * v), g->x_align);
    for (unsigned r = 0; r < g->rows; r++) {
        int64_t row = g->panel ? r / g->panel * g->panel_step + r % g->panel * g->w_row_step : (int64_t)r * g->w_row_step;
        cg_val factor = em_load_splat(e, g->lanes, em_at_int(e, w, (int64_t)k * g->w_step + row));
        for (unsigned v = 0; v < g->vectors; v++) sum[r * g->vectors + v] = em_fma(e, column[v], factor, sum[r * g->vectors + v]);
    }
}

static void emit_rounds(emitter *e, const gemm_block *g, cg_val *x, cg_val *w, cg_val begin, cg_val end, unsigned unroll,
                        cg_val sum[GEMM_MAX_SUMS]) {
    unsigned n = g->rows * g->vectors;
    em_loop loop;
    cg_val state[EM_MAX_CARRIED];
    for (unsigned i = 0; i < n; i++) state[i] = sum[i];
    state[n] = *x;
    state[n + 1] = *w;
    bool prefetch = g->prefetch && unroll > 1;
    if (prefetch) state[n + 2] = g->prefetch;
    em_loop_begin(e, &loop, begin, end, (int64_t)unroll, state, prefetch ? n + 3 : n + 2);
    for (unsigned i = 0; i < n + 2; i++) state[i] = loop.carried[i];
    if (prefetch) {
        for (unsigned p = 0; p < (g->panel ? g->rows / g->panel : 1); p++)
            for (unsigned i = 0; i < g->prefetch_lines; i++)
                em_prefetch(e, em_at_int(e, loop.carried[n + 2], p * g->panel_step + CACHE_LINE * (int64_t)i));
        state[n + 2] = em_at(e, loop.carried[n + 2], g->prefetch_step);
    }
    for (unsigned k = 0; k < unroll; k++) multiply_row(e, g, loop.carried[n], loop.carried[n + 1], k, state);
    state[n] = em_at_int(e, loop.carried[n], (int64_t)unroll * g->x_step);
    state[n + 1] = em_at_int(e, loop.carried[n + 1], (int64_t)unroll * g->w_step);
    em_loop_end(e, &loop, state);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
    *x = loop.carried[n];
    *w = loop.carried[n + 1];
}

void gemm_block_emit(emitter *e, const gemm_block *g, cg_val x, cg_val w, cg_val count, cg_val sum[GEMM_MAX_SUMS]) {
    cg_val whole = em_sub(e, count, em_rem_int(e, count, g->unroll));
    x = em_opaque(e, x);
    w = em_opaque(e, w);
    emit_rounds(e, g, &x, &w, em_int(e, 0), whole, g->unroll, sum);
    bool known = LLVMIsConstant(count);
    if (!known || LLVMConstIntGetSExtValue(count) % g->unroll != 0) emit_rounds(e, g, &x, &w, whole, count, 1, sum);
}
