/* Packed weights against plain loops: any shape, dtype, address and number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/rng.h"
#include "runtime/packing.h"

static void bytes_of_packings(void **unused) {
    (void)unused;
    static const struct {
        plan_packing packing;
        uint32_t parameter;
        int64_t n, k, bytes;
    } cases[] = {
        {PACKING_NONE, 0, 3, 5, 60},
        {PACKING_NONE, 0, 0, 5, 0},
        {PACKING_PANELS, 1, 3, 5, 60},
        {PACKING_PANELS, 4, 3, 5, 80},
        {PACKING_PANELS, 4, 4, 5, 80},
        {PACKING_PANELS, 4, 5, 5, 160},
        {PACKING_PANELS, 4, 0, 5, 0},
        {PACKING_PANELS, 4, 5, 0, 0},
        {PACKING_PANELS, 0, 5, 5, -1},
        {PACKING_TRANSPOSED_PANELS, 4, 5, 3, 80},
        {PACKING_TRANSPOSED_PANELS, 0, 5, 5, -1},
        {PACKING_TRANSPOSED_PANELS, 2, 0, INT64_MAX, -1},
        {PACKING_PANELS, UINT32_MAX, 1, 1, 4 * (int64_t)UINT32_MAX},
        {PACKING_PANELS, 2, INT64_MAX, 0, -1},
        {PACKING_PANELS, 16, INT64_C(1) << 31, INT64_C(1) << 31, -1},
        {PACKING_NONE, 0, INT64_C(1) << 31, INT64_C(1) << 31, -1},
        {PACKING_NONE, 0, INT64_C(1) << 30, INT64_C(1) << 30, INT64_C(1) << 62},
        {PACKING_NONE, 0, INT64_C(1) << 40, INT64_C(1) << 40, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t found = packing_bytes(cases[i].packing, cases[i].parameter, cases[i].n, cases[i].k);
        if (found != cases[i].bytes)
            fail_msg("case %zu: found %lld bytes, wanted %lld", i, (long long)found, (long long)cases[i].bytes);
    }
}

/* A weight of random numbers that every float dtype holds exactly, `shift` bytes off an aligned address. */
typedef struct odd_weight {
    char *memory;
    ir_tensor tensor;
} odd_weight;

static odd_weight make_weight(ir_dtype dtype, int64_t n, int64_t k, size_t shift) {
    ir_tensor t;
    const int64_t dims[2] = {n, k};
    rng_key key = rng_key_make(7, "weight");
    assert_int_equal(tensor_alloc(dtype, 2, dims, &t), POFAC_OK);
    for (int64_t i = 0; i < n * k; i++) tensor_set(&t, i, (double)rng_below(key, (uint64_t)i, 255) / 16 - 8);
    odd_weight w = {.memory = malloc(tensor_bytes(&t) + 64)};
    assert_non_null(w.memory);
    char *start = w.memory + (64 - (uintptr_t)w.memory % 64) % 64 + shift;
    if (t.data) memcpy(start, t.data, tensor_bytes(&t));
    w.tensor = tensor_view(dtype, 2, dims, start);
    tensor_free(&t);
    return w;
}

static double element(int64_t i) { return (double)rng_below(rng_key_make(7, "weight"), (uint64_t)i, 255) / 16 - 8; }

/* What must stand at `at` of a packed weight. */
static double wanted_at(plan_packing packing, uint32_t r, int64_t n, int64_t k, int64_t at) {
    if (packing == PACKING_NONE) return element(at);
    if (packing == PACKING_TRANSPOSED_PANELS) {
        int64_t first = at / (n * r) * r, row_of = at / r % n, column_of = first + at % r;
        return column_of < k ? element(row_of * k + column_of) : 0.0;
    }
    int64_t panel = at / (k * r), column = at / r % k, row = panel * r + at % r;
    return row < n ? element(row * k + column) : 0.0;
}

static void check_packing(plan_packing packing, uint32_t r, ir_dtype dtype, int64_t n, int64_t k, size_t shift, size_t threads) {
    thread_pool *pool;
    odd_weight w = make_weight(dtype, n, k, shift);
    int64_t bytes = packing_bytes(packing, r, n, k);
    void *memory;
    assert_int_equal(thread_pool_create(threads, NULL, &pool), POFAC_OK);
    assert_int_equal(posix_memalign(&memory, 64, (size_t)bytes + 64), 0);
    memset(memory, 0x7f, (size_t)bytes + 64);
    packing_make(packing, r, &w.tensor, pool, memory);
    const float *found = memory;
    for (int64_t i = 0; i < bytes / 4; i++)
        if ((double)found[i] != wanted_at(packing, r, n, k, i))
            fail_msg("%s R=%u %s [%d,%d] + %zu, %zu threads: element %d is %g, wanted %g", plan_packing_name(packing), r,
                     dtype_name(dtype), (int)n, (int)k, shift, threads, (int)i, (double)found[i], wanted_at(packing, r, n, k, i));
    for (size_t i = 0; i < 64; i++)
        if (((char *)memory)[(size_t)bytes + i] != 0x7f) fail_msg("written %zu bytes past the end", i);
    free(memory);
    free(w.memory);
    thread_pool_destroy(pool);
}

static void packed_weights_equal_plain_loops(void **unused) {
    (void)unused;
    static const int64_t sizes[] = {1, 2, 5, 16, 17, 33};
    static const uint32_t panels[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 40};
    enum { N = sizeof sizes / sizeof *sizes };
    for (size_t i = 0; i < N * N; i++) {
        check_packing(PACKING_NONE, 0, IR_F32, sizes[i / N], sizes[i % N], 0, 1 + i % 3);
        for (size_t p = 0; p < sizeof panels / sizeof *panels; p++)
            for (int t = 0; t < 2; t++)
                check_packing(t ? PACKING_TRANSPOSED_PANELS : PACKING_PANELS, panels[p], IR_F32, sizes[i / N], sizes[i % N], 0,
                              1 + p % 3);
    }
}

/* Rows longer than what is converted at a time; more rows than a chunk has. */
static void large_weights(void **unused) {
    (void)unused;
    static const ir_dtype dtypes[] = {IR_F32, IR_F64, IR_F16, IR_BF16};
    for (size_t d = 0; d < 4; d++)
        for (int64_t k = 255; k <= 514; k += k == 257 ? 255 : 1) {
            check_packing(PACKING_PANELS, 6, dtypes[d], 13, k, 0, 2);
            check_packing(PACKING_TRANSPOSED_PANELS, k < 257 ? 6 : 100, dtypes[d], 13, k, 0, 2);
            check_packing(PACKING_NONE, 0, dtypes[d], 130, k, 0, 2);
        }
}

static void weights_of_all_dtypes_at_any_address(void **unused) {
    (void)unused;
    static const ir_dtype dtypes[] = {IR_F32, IR_F64, IR_F16, IR_BF16};
    for (size_t d = 0; d < 4; d++)
        for (size_t shift = 0; shift < 8; shift++) {
            check_packing(PACKING_PANELS, 4, dtypes[d], 7, 9, shift, 2);
            check_packing(PACKING_NONE, 0, dtypes[d], 7, 9, shift, 2);
        }
}

static void empty_weights(void **unused) {
    (void)unused;
    check_packing(PACKING_PANELS, 4, IR_F32, 0, 3, 0, 1);
    check_packing(PACKING_PANELS, 4, IR_F32, 3, 0, 0, 1);
    check_packing(PACKING_TRANSPOSED_PANELS, 4, IR_F32, 3, 0, 0, 1);
    check_packing(PACKING_TRANSPOSED_PANELS, 4, IR_F32, 0, 3, 0, 1);
    check_packing(PACKING_NONE, 0, IR_F16, 0, 3, 0, 1);
}

/* Numbers that f32 lacks are rounded once, and what is no number stays. */
static void special_numbers(void **unused) {
    (void)unused;
    const double values[6] = {0.1, -0.0, INFINITY, -INFINITY, NAN, 1e300};
    ir_tensor t;
    float out[6] __attribute__((aligned(64)));
    thread_pool *pool;
    assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
    assert_int_equal(tensor_alloc(IR_F64, 2, (const int64_t[]){1, 6}, &t), POFAC_OK);
    tensor_set_run(&t, 0, 6, values);
    packing_make(PACKING_PANELS, 1, &t, pool, out);
    assert_true(out[0] == 0.1f);
    assert_true(out[1] == 0 && signbit(out[1]));
    assert_true(isinf(out[2]) && out[2] > 0);
    assert_true(isinf(out[3]) && out[3] < 0);
    assert_true(isnan(out[4]));
    assert_true(isinf(out[5]) && out[5] > 0);
    tensor_free(&t);
    thread_pool_destroy(pool);
}

/* Every packing of packings.def is one that the tests above know. */
static void packings_have_names(void **unused) {
    (void)unused;
    static const plan_packing tested[] = {PACKING_NONE, PACKING_PANELS, PACKING_TRANSPOSED_PANELS,
                                          /* in test_int8_packing.c */
                                          PACKING_INT8_PANELS, PACKING_INT8_TILES,
                                          /* in test_int8_sparse_packing.c */
                                          PACKING_INT8_SPARSE,
                                          /* in test_sparse_packing.c */
                                          PACKING_SPARSE_INDEX, PACKING_SPARSE_VALUES, PACKING_SPARSE_ORDER,
                                          /* made by steps: test_gradient_norm_kernels.c */
                                          PACKING_PART_SUMS, PACKING_SQUARE_SUMS,
                                          /* in test_linear_loss_kernels.c */
                                          PACKING_WORKSPACE};
    assert_int_equal(N_PACKINGS, sizeof tested / sizeof *tested);
    assert_string_equal(plan_packing_name(PACKING_NONE), "rows");
    assert_string_equal(plan_packing_name(PACKING_PANELS), "panels");
    for (plan_packing p = 0; p < N_PACKINGS; p++) assert_true(strlen(plan_packing_meaning(p)) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_packings),   cmocka_unit_test(packed_weights_equal_plain_loops),
        cmocka_unit_test(large_weights),       cmocka_unit_test(weights_of_all_dtypes_at_any_address),
        cmocka_unit_test(empty_weights),       cmocka_unit_test(special_numbers),
        cmocka_unit_test(packings_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
