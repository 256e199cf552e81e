/*
 * Packed weights back into rows: what is packed and unpacked has the same bits, for panels and non-zeros in all layouts and sizes that do not divide; of 8 bits come the numbers
 * that they hold; bytes
 * that are no packed weight are refused, whichever of them is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/quantization.h"
#include "ir/support/rng.h"
#include "runtime/int8_packing.h"
#include "runtime/int8_sparse_packing.h"
#include "runtime/packing.h"
#include "runtime/pattern_state.h"
#include "runtime/sparse_packing.h"
#include "runtime/unpacking.h"
#include "runtime/weight_memory.h"

static const int64_t sizes[][2] = {{1, 1}, {7, 5}, {16, 24}, {50, 33}, {96, 130}};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static thread_pool *make_pool(void) {
    thread_pool *pool;
    assert_int_equal(thread_pool_create(2, NULL, &pool), POFAC_OK);
    return pool;
}

/* A matrix of which `density` is not zero. */
static ir_tensor make_matrix(int64_t n, int64_t k, double density) {
    ir_tensor t;
    const rng_key key = rng_key_make(5, "unpacking");
    assert_int_equal(tensor_alloc(IR_F32, 2, (int64_t[]){n, k}, &t), POFAC_OK);
    for (int64_t i = 0; i < n * k; i++)
        if (rng_uniform(key, (uint64_t)i) < density) ((float *)t.data)[i] = (float)(rng_uniform(key, (uint64_t)(i + n * k)) - 0.5);
    return t;
}

static void expect_equal(const ir_tensor *wanted, const float *found, const char *what) {
    for (int64_t i = 0; i < tensor_elements(wanted); i++)
        if (memcmp((const float *)wanted->data + i, found + i, sizeof *found) != 0)
            fail_msg("%s [%lld,%lld]: element %lld is %g, wanted %g", what, (long long)wanted->dims[0], (long long)wanted->dims[1],
                     (long long)i, (double)found[i], (double)((const float *)wanted->data)[i]);
}

static float *make_room(const ir_tensor *t) {
    float *out = malloc(tensor_bytes(t) + 1);
    assert_non_null(out);
    memset(out, 0x7f, tensor_bytes(t));
    return out;
}

static void panels(void **state) {
    (void)state;
    thread_pool *pool = make_pool();
    int compared = 0;
    for (size_t s = 0; s < N_SIZES; s++)
        for (uint32_t r = 1; r <= 17; r += 4)
            for (int transposed = 0; transposed < 2; transposed++) {
                const plan_packing p = transposed ? PACKING_TRANSPOSED_PANELS : PACKING_PANELS;
                ir_tensor t = make_matrix(sizes[s][0], sizes[s][1], 1);
                const int64_t bytes = packing_bytes(p, r, t.dims[0], t.dims[1]);
                float *packed = weight_memory_take((size_t)bytes), *out = make_room(&t);
                packing_make(p, r, &t, pool, packed);
                assert_true(unpack_panels(p, r, packed, (size_t)bytes, t.dims[0], t.dims[1], out));
                expect_equal(&t, out, plan_packing_name(p));
                assert_false(unpack_panels(p, r, packed, (size_t)bytes - 4, t.dims[0], t.dims[1], out));
                assert_false(unpack_panels(PACKING_NONE, r, packed, (size_t)bytes, t.dims[0], t.dims[1], out));
                assert_false(unpack_panels(p, 0, packed, (size_t)bytes, t.dims[0], t.dims[1], out));
                weight_memory_give(packed, (size_t)bytes);
                free(out);
                tensor_free(&t);
                compared++;
            }
    assert_int_equal(compared, N_SIZES * 5 * 2);
    thread_pool_destroy(pool);
}

/* ---- non-zeros ---- */

static const sparse_layout layouts[] = {
    {.kind = SPARSE_STREAM, .tile = 16, .k_block = 32, .row_group = 24, .block_rows = 1, .block_columns = 1},
    {.kind = SPARSE_STREAM, .tile = 64, .k_block = 128, .row_group = 768, .block_rows = 1, .block_columns = 1},
    {.kind = SPARSE_STREAM, .tile = 16, .k_block = 48, .row_group = 8, .block_rows = 1, .block_columns = 1, .transposed = 1},
    {.kind = SPARSE_BLOCKS, .tile = 16, .k_block = 32, .row_group = 24, .block_rows = 4, .block_columns = 1},
    {.kind = SPARSE_BLOCKS, .tile = 32, .k_block = 32, .row_group = 16, .block_rows = 2, .block_columns = 4},
    {.kind = SPARSE_BLOCKS, .tile = 16, .k_block = 32, .row_group = 24, .block_rows = 4, .block_columns = 2, .transposed = 1},
    {.kind = SPARSE_N_M, .tile = 16, .k_block = 32, .row_group = 24, .block_rows = 1, .block_columns = 1, .keep = 4, .of = 4},
};
#define N_LAYOUTS (sizeof layouts / sizeof *layouts)

typedef struct packed_sparse {
    ir_tensor dense;
    sparse_header *index;
    float *values;
    int64_t values_bytes;
} packed_sparse;

static packed_sparse pack(const sparse_layout *l, int64_t n, int64_t k, double density, thread_pool *pool) {
    packed_sparse p = {.dense = make_matrix(n, k, density)};
    int64_t *row_start = calloc((size_t)n + 1, sizeof *row_start);
    int32_t *column = calloc((size_t)(n * k) + 1, sizeof *column);
    assert_true(row_start && column);
    ir_pattern pattern = {.n_rows = n, .n_columns = k, .row_start = row_start, .column = column};
    for (int64_t r = 0; r < n; r++) {
        for (int64_t c = 0; c < k; c++)
            if (((const float *)p.dense.data)[r * k + c] != 0) column[pattern.nnz++] = (int32_t)c;
        row_start[r + 1] = pattern.nnz;
    }
    assert_int_equal(sparse_index_make(l, &pattern, "w", pool, NULL, &p.index), POFAC_OK);
    assert_int_equal(sparse_values_make(l, &pattern, &p.dense, "w", pool, NULL, &p.values, &p.values_bytes), POFAC_OK);
    free(row_start);
    free(column);
    return p;
}

static void packed_free(packed_sparse *p) {
    const size_t bytes = p->index->bytes;
    weight_memory_give(p->index, bytes);
    weight_memory_give(p->values, (size_t)p->values_bytes);
    tensor_free(&p->dense);
}

static bool unpack(const sparse_layout *l, const packed_sparse *p, float *out) {
    return unpack_sparse(l, p->index, p->index->bytes, p->values, (size_t)p->values_bytes, p->dense.dims[0], p->dense.dims[1], out);
}

static void non_zeros(void **state) {
    (void)state;
    static const double densities[] = {0, 0.1, 0.6, 1};
    thread_pool *pool = make_pool();
    int compared = 0;
    for (size_t i = 0; i < N_LAYOUTS; i++)
        for (size_t s = 0; s < N_SIZES; s++)
            for (size_t d = 0; d < 4; d++) {
                packed_sparse p = pack(&layouts[i], sizes[s][0], sizes[s][1], densities[d], pool);
                float *out = make_room(&p.dense);
                assert_true(unpack(&layouts[i], &p, out));
                expect_equal(&p.dense, out, sparse_layout_name((sparse_layout_kind)layouts[i].kind));
                free(out);
                packed_free(&p);
                compared++;
            }
    assert_int_equal(compared, N_LAYOUTS * N_SIZES * 4);
    thread_pool_destroy(pool);
}

/* Every byte of an index set to some values: nothing outside of it is read (which AddressSanitizer sees), and nothing outside of the matrix written. */
static void damaged_indexes(void **state) {
    (void)state;
    static const unsigned char bytes[] = {0x00, 0x7f, 0xff};
    thread_pool *pool = make_pool();
    size_t refused = 0;
    for (size_t i = 0; i < N_LAYOUTS; i++) {
        packed_sparse p = pack(&layouts[i], 16, 24, 0.3, pool);
        const size_t n = p.index->bytes;
        unsigned char *copy = malloc(n);
        float *out = make_room(&p.dense);
        assert_non_null(copy);
        for (size_t at = 0; at < n; at++)
            for (size_t b = 0; b < 3; b++) {
                memcpy(copy, p.index, n);
                copy[at] = bytes[b];
                refused += !unpack_sparse(&layouts[i], copy, n, p.values, (size_t)p.values_bytes, 16, 24, out);
            }
        for (size_t shorter = 0; shorter < n; shorter += 8)
            assert_false(unpack_sparse(&layouts[i], p.index, shorter, p.values, (size_t)p.values_bytes, 16, 24, out));
        assert_false(unpack_sparse(&layouts[i], p.index, n, p.values, 4, 16, 24, out));
        assert_false(unpack_sparse(&layouts[i], p.index, n, p.values, (size_t)p.values_bytes, 16, 240, out));
        assert_false(unpack_sparse(&layouts[i], NULL, 0, p.values, (size_t)p.values_bytes, 16, 24, out));
        free(copy);
        free(out);
        packed_free(&p);
    }
    assert_true(refused > 300);
    thread_pool_destroy(pool);
}

/* ---- 8 bits ---- */

typedef struct named_dense {
    const ir_tensor *tensor;
} named_dense;

static pofac_status get_dense(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    (void)name;
    (void)sink;
    *out = *((const named_dense *)user)->tensor;
    out->owned = false;
    return POFAC_OK;
}

/* A range for all rows, or for each its own. */
static ir_tensor make_range(int64_t n, bool by_row) {
    ir_tensor t;
    assert_int_equal(tensor_alloc(IR_F32, by_row ? 2 : 1, by_row ? (int64_t[]){n, 2} : (int64_t[]){2}, &t), POFAC_OK);
    float *range = t.data;
    for (int64_t i = 0; i < (by_row ? n : 1); i++) {
        range[2 * i] = -0.25f - 0.01f * (float)(i % 20);
        range[2 * i + 1] = 0.125f;
    }
    return t;
}

/* What 8 bits hold of it, in place. */
static void quantize(ir_tensor *t, const ir_tensor *range) {
    float *x = t->data;
    for (int64_t i = 0; i < tensor_elements(t); i++) {
        const float *r = (const float *)range->data + (range->rank == 2 ? i / t->dims[1] * 2 : 0);
        const quantization q = quantization_of((value_range){r[0], r[1]}, QUANTIZE_SYMMETRIC);
        x[i] = quantization_apply(q, x[i]);
        if (x[i] == 0) x[i] = 0; /* of either sign */
    }
}

static void expect_numbers(const ir_tensor *wanted, const float *found, const char *what) {
    for (int64_t i = 0; i < tensor_elements(wanted); i++)
        if (((const float *)wanted->data)[i] != found[i])
            fail_msg("%s [%lld,%lld]: element %lld is %.9g, wanted %.9g", what, (long long)wanted->dims[0],
                     (long long)wanted->dims[1], (long long)i, (double)found[i], (double)((const float *)wanted->data)[i]);
}

static void int8_panels(void **state) {
    (void)state;
    static const struct {
        plan_packing packing;
        uint32_t parameter;
    } forms[] = {{PACKING_INT8_PANELS, 1},
                 {PACKING_INT8_PANELS, 6},
                 {PACKING_INT8_PANELS, 16},
                 {PACKING_INT8_TILES, 16},
                 {PACKING_INT8_TILES, 32}};
    thread_pool *pool = make_pool();
    int compared = 0;
    for (size_t s = 0; s < N_SIZES; s++)
        for (size_t f = 0; f < 5; f++)
            for (int by_row = 0; by_row < 2; by_row++) {
                const plan_packing p = forms[f].packing;
                ir_tensor t = make_matrix(sizes[s][0], sizes[s][1], 0.7), range = make_range(sizes[s][0], by_row);
                const int64_t bytes = int8_panels_bytes(p, forms[f].parameter, t.dims[0], t.dims[1]);
                void *packed = weight_memory_take((size_t)bytes);
                float *out = make_room(&t);
                int8_panels_make(p, forms[f].parameter, &t, &range, pool, packed);
                assert_true(unpack_int8_panels(p, forms[f].parameter, packed, (size_t)bytes, &range, t.dims[0], t.dims[1], out));
                quantize(&t, &range);
                expect_numbers(&t, out, plan_packing_name(p));
                assert_false(
                    unpack_int8_panels(p, forms[f].parameter, packed, (size_t)bytes - 1, &range, t.dims[0], t.dims[1], out));
                assert_false(unpack_int8_panels(PACKING_PANELS, 1, packed, (size_t)bytes, &range, t.dims[0], t.dims[1], out));
                assert_false(unpack_int8_panels(p, forms[f].parameter, packed, (size_t)bytes, &t, t.dims[0], t.dims[1], out));
                weight_memory_give(packed, (size_t)bytes);
                free(out);
                tensor_free(&t);
                tensor_free(&range);
                compared++;
            }
    assert_int_equal(compared, N_SIZES * 5 * 2);
    thread_pool_destroy(pool);
}

static sparse_header *pack_int8(const sparse_layout *l, const ir_tensor *t, const ir_tensor *range, thread_pool *pool) {
    pattern_state *patterns = pattern_state_create();
    ir_tensor pattern, values;
    sparse_header *packed;
    const named_dense dense = {t};
    const tensor_source source = {.get = get_dense, .user = (void *)&dense};
    assert_int_equal(pattern_state_pattern(patterns, "w", &source, NULL, &pattern), POFAC_OK);
    assert_int_equal(tensor_alloc(IR_F32, 1, &pattern.pattern->nnz, &values), POFAC_OK);
    pattern_take(pattern.pattern, t, &values);
    assert_int_equal(int8_sparse_make(l, pattern.pattern, &values, range, "w", pool, NULL, &packed), POFAC_OK);
    tensor_free(&values);
    pattern_state_destroy(patterns);
    return packed;
}

static const sparse_layout int8_layouts[] = {
    {.kind = SPARSE_QUADS, .tile = 16, .k_block = 32, .row_group = 24, .block_rows = 1, .block_columns = 4},
    {.kind = SPARSE_SPLIT_QUADS, .tile = 16, .k_block = 64, .row_group = 768, .block_rows = 1, .block_columns = 4},
    {.kind = SPARSE_FOURS, .tile = 64, .k_block = 64, .row_group = 12, .block_rows = 1, .block_columns = 1},
    {.kind = SPARSE_FOURS, .tile = 4, .k_block = 128, .row_group = 96, .block_rows = 1, .block_columns = 1},
    {.kind = SPARSE_PAIRS, .tile = 16, .k_block = 32, .row_group = 24, .block_rows = 1, .block_columns = 1},
    {.kind = SPARSE_PAIRS, .tile = 32, .k_block = 512, .row_group = 8, .block_rows = 1, .block_columns = 1}};
#define N_INT8_LAYOUTS (sizeof int8_layouts / sizeof *int8_layouts)

/* A kind without a row in the tables above has no test. */
static void all_kinds(void **state) {
    (void)state;
    int checked = 0;
    for (uint16_t kind = SPARSE_NONE + 1; kind < N_SPARSE_LAYOUTS; kind++) {
        const bool in_8_bits = sparse_layout_is_int8(&(sparse_layout){.kind = kind});
        const sparse_layout *table = in_8_bits ? int8_layouts : layouts;
        size_t rows = 0;
        for (size_t i = 0; i < (in_8_bits ? N_INT8_LAYOUTS : N_LAYOUTS); i++) rows += table[i].kind == kind;
        if (rows == 0) fail_msg("layout %s is never unpacked here", sparse_layout_name((sparse_layout_kind)kind));
        checked++;
    }
    assert_int_equal(checked, N_SPARSE_LAYOUTS - 1);
}

static void int8_non_zeros(void **state) {
    (void)state;
    thread_pool *pool = make_pool();
    int compared = 0;
    for (size_t s = 0; s < N_SIZES; s++)
        for (size_t f = 0; f < N_INT8_LAYOUTS; f++)
            for (int by_row = 0; by_row < 2; by_row++) {
                const sparse_layout *l = &int8_layouts[f];
                ir_tensor t = make_matrix(sizes[s][0], sizes[s][1], 0.4), range = make_range(sizes[s][0], by_row);
                sparse_header *packed = pack_int8(l, &t, &range, pool);
                const size_t n = packed->bytes;
                float *out = make_room(&t);
                assert_true(unpack_int8_sparse(l, packed, n, &range, t.dims[0], t.dims[1], out));
                quantize(&t, &range);
                expect_numbers(&t, out, sparse_layout_name((sparse_layout_kind)l->kind));
                assert_false(unpack_int8_sparse(l, packed, n - 64, &range, t.dims[0], t.dims[1], out));
                assert_false(unpack_int8_sparse(&layouts[0], packed, n, &range, t.dims[0], t.dims[1], out));
                assert_false(unpack_int8_sparse(l, packed, n, &t, t.dims[0], t.dims[1], out));
                free(out);
                weight_memory_give(packed, n);
                tensor_free(&t);
                tensor_free(&range);
                compared++;
            }
    assert_int_equal(compared, N_SIZES * N_INT8_LAYOUTS * 2);
    thread_pool_destroy(pool);
}

/* As damaged_indexes; of the smaller sizes every byte, of the others every seventh. */
static void damaged_int8(void **state) {
    (void)state;
    static const unsigned char bytes[] = {0x00, 0x7f, 0xff};
    thread_pool *pool = make_pool();
    for (size_t f = 0; f < N_INT8_LAYOUTS; f++) {
        const sparse_layout *l = &int8_layouts[f];
        size_t tried = 0, refused = 0;
        for (size_t s = 0; s < 4; s++) {
            ir_tensor t = make_matrix(sizes[s][0], sizes[s][1], 0.4), range = make_range(sizes[s][0], s % 2);
            sparse_header *packed = pack_int8(l, &t, &range, pool);
            const size_t n = packed->bytes, every = s < 2 ? 1 : 7;
            unsigned char *copy = malloc(n);
            float *out = make_room(&t);
            assert_non_null(copy);
            for (size_t at = 0; at < n; at += at < sizeof *packed ? 1 : every)
                for (size_t b = 0; b < sizeof bytes; b++, tried++) {
                    memcpy(copy, packed, n);
                    copy[at] = bytes[b];
                    refused += !unpack_int8_sparse(l, copy, n, &range, t.dims[0], t.dims[1], out);
                }
            for (size_t shorter = 0; shorter < n; shorter += 8)
                assert_false(unpack_int8_sparse(l, packed, shorter, &range, t.dims[0], t.dims[1], out));
            assert_false(unpack_int8_sparse(l, packed, n, &range, t.dims[0], 10 * t.dims[1] + l->k_block, out));
            assert_false(unpack_int8_sparse(l, NULL, 0, &range, t.dims[0], t.dims[1], out));
            free(copy);
            free(out);
            weight_memory_give(packed, n);
            tensor_free(&t);
            tensor_free(&range);
        }
        assert_true(tried > 4000);
        if (refused <= 150) fail_msg("%s: refused %zu of %zu", sparse_layout_name((sparse_layout_kind)l->kind), refused, tried);
    }
    thread_pool_destroy(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(panels),          cmocka_unit_test(non_zeros),
                                       cmocka_unit_test(damaged_indexes), cmocka_unit_test(all_kinds),
                                       cmocka_unit_test(int8_panels),     cmocka_unit_test(int8_non_zeros),
                                       cmocka_unit_test(damaged_int8)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
