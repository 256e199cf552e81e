/*
 * Sparse weights in 8 bits: what a kernel finds when it walks the memory as ir/sparse_layout.h says is the quantized matrix, for generated patterns of all
 * densities, all layouts and numbers of threads, ranges of the whole weight and of rows; pairs stay within 16 bits whatever bytes they meet, with weights of
 * one sign too; how many entries there are; layouts outside of their limits, failing allocations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ir/quantization.h"
#include "ir/support/rng.h"
#include "runtime/int8_sparse_packing.h"
#include "runtime/weight_memory.h"
#include "tests/unit/fail_alloc.h"

#define N_OF(list) (sizeof list / sizeof list[0])

typedef enum weight_signs { SIGNS_BOTH, SIGNS_POSITIVE, SIGNS_NEGATIVE } weight_signs;

typedef struct matrix {
    int64_t n, k;
    ir_pattern pattern;
    int64_t *row_start;
    int32_t *column;
    float *values;  /* [nnz] */
    float *ranges;  /* [n][2] */
    int32_t *dense; /* [n][k] in 8 bits */
    bool by_row;
} matrix;

/* density -1: row 0 is empty, row 1 full, the others half. */
static bool is_some(double density, rng_key key, int64_t r, int64_t c, int64_t k) {
    if (density == -1 && r < 2) return r == 1;
    return rng_uniform(key, (uint64_t)(r * k + c)) < (density == -1 ? 0.5 : density);
}

static matrix make_matrix(int64_t n, int64_t k, double density, weight_signs signs, bool by_row) {
    matrix m = {.n = n, .k = k, .by_row = by_row};
    const rng_key key = rng_key_make(17, "int8 sparse packing");
    m.row_start = calloc((size_t)n + 1, sizeof *m.row_start);
    m.column = calloc((size_t)(n * k) + 1, sizeof *m.column);
    m.values = calloc((size_t)(n * k) + 1, sizeof *m.values);
    m.ranges = calloc((size_t)n * 2, sizeof *m.ranges);
    m.dense = calloc((size_t)(n * k), sizeof *m.dense);
    assert_true(m.row_start && m.column && m.values && m.ranges && m.dense);
    int64_t nnz = 0;
    for (int64_t r = 0; r < n; r++) {
        m.ranges[2 * r] = by_row ? -0.5f - 0.01f * (float)r : -0.9f;
        m.ranges[2 * r + 1] = by_row ? 0.2f : 0.8f; /* values beyond are clamped */
        const quantization q = quantization_of((value_range){m.ranges[2 * r], m.ranges[2 * r + 1]}, QUANTIZE_SYMMETRIC);
        for (int64_t c = 0; c < k; c++) {
            if (!is_some(density, key, r, c, k)) continue;
            float v = (float)rng_uniform(key, (uint64_t)(n * k + r * k + c));
            if (signs == SIGNS_NEGATIVE || (signs == SIGNS_BOTH && (c * 7 + r) % 3 == 0)) v = -v;
            if (c % 11 == 0) v *= 1e-4f; /* 0 in 8 bits */
            m.dense[r * k + c] = quantization_encode(q, v);
            m.values[nnz] = v;
            m.column[nnz++] = (int32_t)c;
        }
        m.row_start[r + 1] = nnz;
    }
    m.pattern = (ir_pattern){n, k, nnz, m.row_start, m.column};
    return m;
}

static void free_matrix(matrix *m) {
    free(m->row_start);
    free(m->column);
    free(m->values);
    free(m->ranges);
    free(m->dense);
}

static pofac_status pack(const sparse_layout *l, const matrix *m, thread_pool *pool, const diag_sink *sink, sparse_header **out) {
    const int64_t range_dims[2] = {m->by_row ? m->n : 2, 2};
    const ir_tensor values = tensor_view(IR_F32, 1, &m->pattern.nnz, m->values),
                    range = tensor_view(IR_F32, m->by_row ? 2 : 1, range_dims, m->ranges);
    return int8_sparse_make(l, &m->pattern, &values, &range, "w", pool, sink, out);
}

/* ---- walking ---- */

static const void *part(const sparse_header *h, uint32_t at) { return (const char *)h + at; }

/* What both products of a pair with the worst bytes are. */
static void check_pair(int a, int b) {
    const int most = 255 * ((a > 0 ? a : 0) + (b > 0 ? b : 0)), least = 255 * ((a < 0 ? a : 0) + (b < 0 ? b : 0));
    if (most > INT16_MAX || least < INT16_MIN) fail_msg("the pair %d, %d reaches %d and %d", a, b, most, least);
}

/* Adds what entry e of a visit says to the row. */
static void add_entry(const sparse_layout *l, const sparse_header *h, int64_t k0, int64_t e, int32_t *row, int64_t k) {
    const uint16_t *offsets = part(h, h->offsets);
    const int8_t *values = part(h, h->values);
    for (int i = 0; i < 4; i++) {
        const bool pairs = l->kind == SPARSE_PAIRS, any = pairs || l->kind == SPARSE_FOURS;
        const int64_t unit = any ? l->tile / 4 : l->tile / 2;
        const uint32_t offset = any ? offsets[4 * e + i] : offsets[e];
        const int value = pairs ? values[8 * e + i / 2 * 4 + i % 2] : values[4 * e + i];
        const int64_t column = k0 + (any ? offset / unit : offset / unit * 4 + i);
        if (pairs && value != values[8 * e + i / 2 * 4 + 2 + i % 2]) fail_msg("entry %d has no value %d twice", (int)e, i);
        if (value == 0) continue;
        if (offset % unit != 0 || column < k0 || column >= k0 + l->k_block || column >= k)
            fail_msg("entry %d has offset %u in the block from column %d", (int)e, offset, (int)k0);
        row[column] += value;
        if ((pairs || l->kind == SPARSE_SPLIT_QUADS) && i % 2 == 0)
            check_pair(value, pairs ? values[8 * e + i / 2 * 4 + 1] : values[4 * e + i + 1]);
    }
}

/* Returns how many elements it compared. */
static int64_t check_packed(const sparse_layout *l, const matrix *m, const sparse_header *h) {
    int32_t *found = calloc((size_t)(m->n * m->k), sizeof *found);
    const sparse_segment *segments = part(h, h->segments);
    const sparse_bucket *buckets = part(h, h->buckets);
    const uint16_t *rows = part(h, h->rows);
    assert_non_null(found);
    for (int64_t s = 0; s < (int64_t)h->n_groups * h->n_k_blocks; s++) {
        const int64_t group = s / h->n_k_blocks, block = s % h->n_k_blocks, row0 = group * l->row_group;
        int64_t visit = segments[s].visit, entry = segments[s].entry, last = INT64_MAX;
        for (uint32_t b = segments[s].bucket; b < segments[s + 1].bucket; b++) {
            assert_true(buckets[b].entries < last);
            last = buckets[b].entries;
            for (int i = 0; i < buckets[b].visits; i++, visit++)
                for (int n = 0; n < buckets[b].entries; n++, entry++)
                    add_entry(l, h, block * l->k_block, entry, found + (row0 + rows[visit]) * m->k, m->k);
        }
        if (block == 0) assert_int_equal(visit - segments[s].visit, m->n - row0 < l->row_group ? m->n - row0 : l->row_group);
        assert_int_equal(visit, segments[s + 1].visit);
        assert_int_equal(entry, segments[s + 1].entry);
    }
    for (int64_t r = 0; r < m->n; r++) {
        int32_t sum = 0;
        for (int64_t c = 0; c < m->k; c++) {
            sum += m->dense[r * m->k + c];
            if (found[r * m->k + c] != m->dense[r * m->k + c])
                fail_msg("%s: row %d column %d is %d, wanted %d", sparse_layout_name(l->kind), (int)r, (int)c, found[r * m->k + c],
                         m->dense[r * m->k + c]);
        }
        assert_int_equal(((const int32_t *)part(h, h->sums))[r], sum);
    }
    free(found);
    return m->n * m->k;
}

/* For 1 and 3 threads, which give the same bytes. */
static int64_t check(const sparse_layout *l, const matrix *m, thread_pool *const pool[2]) {
    sparse_header *h[2];
    for (size_t i = 0; i < 2; i++) assert_int_equal(pack(l, m, pool[i], NULL, &h[i]), POFAC_OK);
    const int64_t n = check_packed(l, m, h[0]);
    assert_int_equal(h[0]->bytes, h[1]->bytes);
    assert_memory_equal(h[0], h[1], h[0]->bytes);
    for (size_t i = 0; i < 2; i++) weight_memory_give(h[i], h[i]->bytes);
    return n;
}

static const sparse_layout layouts[] = {
    {SPARSE_QUADS, 32, 16, 8, 1, 1, 0, 0, 0, 0},       {SPARSE_QUADS, 64, 512, 1000, 1, 1, 0, 0, 0, 0},
    {SPARSE_SPLIT_QUADS, 32, 24, 7, 1, 1, 0, 0, 0, 0}, {SPARSE_SPLIT_QUADS, 16, 512, 1000, 1, 1, 0, 0, 0, 0},
    {SPARSE_FOURS, 32, 20, 5, 1, 1, 0, 0, 0, 0},       {SPARSE_FOURS, 16, 512, 1000, 1, 1, 0, 0, 0, 0},
    {SPARSE_PAIRS, 32, 20, 5, 1, 1, 0, 0, 0, 0},       {SPARSE_PAIRS, 32, 512, 1000, 1, 1, 0, 0, 0, 0}};

static void any_pattern(void **unused) {
    (void)unused;
    static const double densities[] = {0, 0.02, 0.1, 0.5, 1, -1};
    static const int64_t shapes[][2] = {{17, 61}, {20, 130}, {3, 4}, {1, 1}};
    int64_t n_checked = 0;
    thread_pool *pool[2];
    for (size_t i = 0; i < 2; i++) assert_int_equal(thread_pool_create(1 + 2 * i, NULL, &pool[i]), POFAC_OK);
    for (size_t d = 0; d < N_OF(densities); d++)
        for (size_t s = 0; s < N_OF(shapes); s++)
            for (int kind = 0; kind < 6; kind++) {
                matrix m = make_matrix(shapes[s][0], shapes[s][1], densities[d], (weight_signs)(kind % 3), kind / 3);
                for (size_t l = 0; l < N_OF(layouts); l++) n_checked += check(&layouts[l], &m, pool);
                free_matrix(&m);
            }
    for (size_t i = 0; i < 2; i++) thread_pool_destroy(pool[i]);
    assert_int_equal(n_checked, 6 * 6 * 8 * (17 * 61 + 20 * 130 + 3 * 4 + 1));
}

/* Weights of 127 and -128 alone: no two of one sign stand together. */
static void extreme_weights(void **unused) {
    (void)unused;
    static const weight_signs signs[] = {SIGNS_POSITIVE, SIGNS_NEGATIVE};
    static const int64_t wanted_entries[] = {64 / 4, 64 / 2, 64 / 4, 64 / 2}; /* of a row of 64 */
    for (size_t i = 0; i < N_OF(signs); i++)
        for (int kind = 0; kind < 4; kind++) {
            const sparse_layout l = {(uint16_t)(SPARSE_QUADS + kind), 32, 64, 8, 1, 1, 0, 0, 0, 0};
            matrix m = make_matrix(5, 64, 1, signs[i], false);
            thread_pool *pool;
            sparse_header *h;
            for (int64_t k = 0; k < 5 * 64; k++) {
                m.values[k] = i ? -1 : 1;
                m.dense[k] = i ? -128 : 127;
            }
            m.ranges[0] = -0.5f;
            m.ranges[1] = 0.5f;
            assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
            assert_int_equal(pack(&l, &m, pool, NULL, &h), POFAC_OK);
            assert_int_equal(check_packed(&l, &m, h), 5 * 64);
            assert_int_equal(h->n_entries, 5 * wanted_entries[kind]);
            weight_memory_give(h, h->bytes);
            thread_pool_destroy(pool);
            free_matrix(&m);
        }
}

/* Rows with as many positive as negative numbers need as many pairs as half of them. */
static void pairs_of_both_signs(void **unused) {
    (void)unused;
    const sparse_layout l = {SPARSE_PAIRS, 32, 256, 8, 1, 1, 0, 0, 0, 0};
    matrix m = make_matrix(4, 256, 1, SIGNS_POSITIVE, false);
    thread_pool *pool;
    sparse_header *h;
    for (int64_t i = 0; i < 4 * 256; i++) {
        m.values[i] = (i % 2 ? 1 : -1) * (0.01f + (float)(i % 97) * 0.009f);
        m.dense[i] = quantization_encode(quantization_of((value_range){-0.9f, 0.8f}, QUANTIZE_SYMMETRIC), m.values[i]);
    }
    assert_int_equal(thread_pool_create(2, NULL, &pool), POFAC_OK);
    assert_int_equal(pack(&l, &m, pool, NULL, &h), POFAC_OK);
    assert_int_equal(check_packed(&l, &m, h), 4 * 256);
    assert_int_equal(h->n_entries, 4 * 256 / 4);
    weight_memory_give(h, h->bytes);
    thread_pool_destroy(pool);
    free_matrix(&m);
}

static void limits(void **unused) {
    (void)unused;
    static const struct {
        sparse_layout layout;
        const char *message;
    } cases[] = {
        {{SPARSE_BLOCKS, 32, 16, 8, 1, 4, 0, 0, 0, 0}, "error: w: its sparse layout is not one of 8 bits\n"},
        {{SPARSE_QUADS, 6, 16, 8, 1, 1, 0, 0, 0, 0}, "error: w: its sparse layout wants a tile of a multiple of 4\n"},
        {{SPARSE_QUADS, 32, 18, 8, 1, 1, 0, 0, 0, 0},
         "error: w: its sparse layout wants blocks of a multiple of 4 columns and groups of at least one row\n"},
        {{SPARSE_PAIRS, 32, 16, 0, 1, 1, 0, 0, 0, 0},
         "error: w: its sparse layout wants blocks of a multiple of 4 columns and groups of at least one row\n"},
        {{SPARSE_QUADS, 64, 8200, 8, 1, 1, 0, 0, 0, 0}, "error: w: its sparse layout has offsets above 65535\n"},
        {{SPARSE_PAIRS, 64, 4100, 8, 1, 1, 0, 0, 0, 0}, "error: w: its sparse layout has offsets above 65535\n"},
    };
    matrix m = make_matrix(5, 8, 0.5, SIGNS_BOTH, false);
    thread_pool *pool;
    assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
    for (size_t i = 0; i < N_OF(cases); i++) {
        strbuf messages = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&messages);
        sparse_header *h;
        assert_int_equal(pack(&cases[i].layout, &m, pool, &sink, &h), POFAC_ERR_INPUT);
        assert_null(h);
        assert_string_equal(strbuf_str(&messages), cases[i].message);
        strbuf_free(&messages);
    }
    thread_pool_destroy(pool);
    free_matrix(&m);
}

static void failing_allocations(void **unused) {
    (void)unused;
    matrix m = make_matrix(20, 40, 0.5, SIGNS_BOTH, false);
    thread_pool *pool;
    sparse_header *h = NULL;
    size_t n = 1;
    assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
    for (bool failed = true; failed; n++) {
        fail_alloc_after(n);
        const pofac_status status = pack(&layouts[7], &m, pool, NULL, &h);
        failed = fail_alloc_stop();
        if (failed != (status == POFAC_ERR_RUNTIME)) fail_msg("allocation %zu fails: status %d", n, (int)status);
        if (failed) assert_null(h);
    }
    assert_in_range(n, 8, 20);
    weight_memory_give(h, h->bytes);
    thread_pool_destroy(pool);
    free_matrix(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_pattern), cmocka_unit_test(extreme_weights),     cmocka_unit_test(pairs_of_both_signs),
        cmocka_unit_test(limits),      cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
