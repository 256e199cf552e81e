/*
 * Transposes in registers; see transpose.h. The recursive exchange of off-diagonal blocks (Eklundh, "A Fast Computer Method for
 * Matrix Transposing", 1972): log2(n) rounds, each of n two-input shuffles.
 */
#include "codegen/transpose.h"

void transpose_emit(emitter *e, cg_val row[TRANSPOSE_MAX], unsigned n) {
    for (unsigned s = 1; s < n; s *= 2) {
        unsigned upper[TRANSPOSE_MAX], lower[TRANSPOSE_MAX];
        for (unsigned l = 0; l < n; l++) {
            upper[l] = (l & s) == 0 ? l : n + l - s;
            lower[l] = (l & s) == 0 ? l + s : n + l;
        }
        for (unsigned i = 0; i < n; i++) {
            if (i & s) continue;
            cg_val a = row[i], b = row[i + s];
            row[i] = em_shuffle(e, a, b, n, upper);
            row[i + s] = em_shuffle(e, a, b, n, lower);
        }
    }
}

unsigned transpose_size(unsigned lanes, int64_t features) {
    unsigned n = 1;
    while (2 * n <= lanes && 2 * (int64_t)n <= features && 2 * n <= TRANSPOSE_MAX) n *= 2;
    return n;
}

int64_t transpose_blocks(int64_t features, unsigned size) { return (features + size - 1) / size; }

cg_val transpose_block_start(emitter *e, cg_val i, int64_t features, unsigned size) {
    cg_val start = em_mul_int(e, i, size);
    return features % size == 0 ? start : em_min(e, start, em_int(e, features - size));
}

void transpose_strip_emit(emitter *e, const tile_strip *s, cg_val x, cg_val column0, cg_val to) {
    const unsigned n = transpose_size(s->lanes, s->columns), align = 4 * n;
    em_loop columns, tokens;
    em_loop_begin(e, &columns, em_int(e, 0), em_int(e, s->columns), n, NULL, 0);
    em_loop_begin(e, &tokens, em_int(e, 0), em_int(e, s->W), n, NULL, 0);
    cg_val row[TRANSPOSE_MAX];
    for (unsigned i = 0; i < n; i++) {
        cg_val column = em_min(e, em_add(e, column0, em_add_int(e, columns.index, i)), em_int(e, s->K - 1));
        row[i] = em_load(e, n, em_at(e, em_index(e, x, column, 4 * s->W), em_mul_int(e, tokens.index, 4)), align);
    }
    transpose_emit(e, row, n);
    for (unsigned i = 0; i < n; i++)
        em_store(e, row[i],
                 em_at(e, em_index(e, to, em_add_int(e, tokens.index, i), 4 * s->columns), em_mul_int(e, columns.index, 4)), align);
    em_loop_end(e, &tokens, NULL);
    em_loop_end(e, &columns, NULL);
}
