/* Weights in 8 bits against ir/quantization.h, number by number: any shape, dtype, range and number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/quantization.h"
#include "ir/support/rng.h"
#include "runtime/int8_packing.h"

static void bytes_of_panels(void **unused) {
    (void)unused;
    static const struct {
        plan_packing packing;
        uint32_t panel;
        int64_t n, k, bytes;
    } cases[] = {
        {PACKING_INT8_TILES, 32, 5, 65, 32 * 128 + 128},
        {PACKING_INT8_TILES, 24, 5, 65, -1},
        {PACKING_INT8_TILES, 16, 16, INT64_MAX, -1},
        {PACKING_INT8_PANELS, 4, 8, 8, 64 + 32},
        {PACKING_INT8_PANELS, 4, 5, 5, 64 + 32},
        {PACKING_INT8_PANELS, 12, 1, 4, 48 + 48},
        {PACKING_INT8_PANELS, 4, 0, 5, 0},
        {PACKING_INT8_PANELS, 4, 4, 0, 16},
        {PACKING_INT8_PANELS, 0, 4, 4, -1},
        {PACKING_INT8_PANELS, 4, INT64_MAX - 1, 0, -1},
        {PACKING_INT8_PANELS, 1, 1, INT64_MAX, -1},
        {PACKING_INT8_PANELS, 1, INT64_C(1) << 32, INT64_C(1) << 31, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t found = int8_panels_bytes(cases[i].packing, cases[i].panel, cases[i].n, cases[i].k);
        if (found != cases[i].bytes) fail_msg("case %zu: %lld bytes, wanted %lld", i, (long long)found, (long long)cases[i].bytes);
    }
}

/* What cannot be averaged away: ends of the range, halves, and what is no number. */
static double number(rng_key key, int64_t i) {
    static const double odd[] = {1, -1, 0, -0.0, 127.5 / 255, NAN, INFINITY, -INFINITY, 1e-30};
    return i % 11 == 0 ? odd[i / 11 % 9] : 2 * rng_uniform(key, (uint64_t)i) - 1;
}

static int64_t check(plan_packing packing, ir_dtype dtype, uint32_t panel, int64_t n, int64_t k, bool by_row, size_t threads) {
    const int64_t dims[] = {n, k}, range_dims[] = {by_row ? n : 2, 2};
    ir_tensor weight, range;
    thread_pool *pool;
    const rng_key key = rng_key_make(3, "weight");
    assert_int_equal(tensor_alloc(dtype, 2, dims, &weight), POFAC_OK);
    assert_int_equal(tensor_alloc(IR_F32, by_row ? 2 : 1, range_dims, &range), POFAC_OK);
    assert_int_equal(thread_pool_create(threads, NULL, &pool), POFAC_OK);
    for (int64_t i = 0; i < n * k; i++) tensor_set(&weight, i, number(key, i));
    for (int64_t i = 0; i < tensor_elements(&range); i += 2) {
        tensor_set(&range, i, -1.0 / (double)(i + 1));
        tensor_set(&range, i + 1, 0.5);
    }
    const int64_t bytes = int8_panels_bytes(packing, panel, n, k), rows = (n + panel - 1) / panel * panel;
    const bool tiles = packing == PACKING_INT8_TILES;
    const int64_t quads = tiles ? (k + 63) / 64 * 16 : (k + 3) / 4;
    int8_t *out = aligned_alloc(64, ((size_t)bytes + 63) / 64 * 64);
    assert_non_null(out);
    memset(out, 0x55, (size_t)bytes);
    int8_panels_make(packing, panel, &weight, &range, pool, out);
    const int32_t *sums = (const int32_t *)(const void *)(out + rows * quads * 4);
    for (int64_t row = 0; row < rows; row++) {
        int32_t sum = 0;
        const int64_t at = by_row && row < n ? 2 * row : 0;
        const quantization q =
            quantization_of((value_range){(float)tensor_get(&range, at), (float)tensor_get(&range, at + 1)}, QUANTIZE_SYMMETRIC);
        for (int64_t c = 0; c < quads * 4; c++) {
            const int64_t in_panel = tiles ? row % panel / 16 * 64 * quads + c / 64 * 1024 + row % 16 * 64 + c % 64
                                           : (c / 4 * panel + row % panel) * 4 + c % 4;
            const int8_t found = out[row / panel * panel * quads * 4 + in_panel];
            const int32_t wanted = row < n && c < k ? quantization_encode(q, (float)tensor_get(&weight, row * k + c)) : 0;
            if (found != wanted) fail_msg("[%lld,%lld] is %d, wanted %d", (long long)row, (long long)c, found, wanted);
            sum += wanted;
        }
        if (sums[row] != sum) fail_msg("sum of row %lld is %d, wanted %d", (long long)row, sums[row], sum);
    }
    free(out);
    thread_pool_destroy(pool);
    tensor_free(&weight);
    tensor_free(&range);
    return rows * quads * 4;
}

static void panels_equal_plain_loops(void **unused) {
    (void)unused;
    int64_t compared = 0;
    for (int i = 0; i < 2; i++) {
        compared += check(PACKING_INT8_PANELS, IR_F32, 4, 7, 9, i, 1);
        compared += check(PACKING_INT8_PANELS, IR_F32, 12, 31, 300, i, 3);
        compared += check(PACKING_INT8_PANELS, IR_BF16, 4, 8, 257, i, 2);
        compared += check(PACKING_INT8_PANELS, IR_F16, 1, 3, 1, i, 1);
        compared += check(PACKING_INT8_PANELS, IR_F64, 12, 1, 64, i, 1);
        compared += check(PACKING_INT8_TILES, IR_F32, 32, 35, 300, i, 2);
    }
    assert_int_equal(compared, 2 * (64 * 320 + 8 * 12 + 36 * 300 + 8 * 260 + 3 * 4 + 12 * 64));
}

static void empty_ranges_are_seen(void **unused) {
    (void)unused;
    float one[] = {-1, 1}, none[] = {INFINITY, -INFINITY}, odd[] = {0, NAN}, rows[] = {-1, 1, 2, 1};
    const ir_tensor whole = tensor_view(IR_F32, 1, (const int64_t[]){2}, one),
                    empty = tensor_view(IR_F32, 1, (const int64_t[]){2}, none),
                    not = tensor_view(IR_F32, 1, (const int64_t[]){2}, odd),
                    each = tensor_view(IR_F32, 2, (const int64_t[]){2, 2}, rows);
    assert_false(int8_range_is_none(&whole));
    assert_true(int8_range_is_none(&empty));
    assert_true(int8_range_is_none(&not ));
    assert_true(int8_range_is_none(&each));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_panels),
        cmocka_unit_test(panels_equal_plain_loops),
        cmocka_unit_test(empty_ranges_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
