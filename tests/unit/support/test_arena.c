/* Arena and vectors: alignment, zeroes, growth over many blocks, overflow, failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ir/support/arena.h"
#include "ir/support/vector.h"
#include "tests/unit/fail_alloc.h"

static const size_t sizes[] = {0,   1,   2,    7,    15,   16,   17,   63,    64,     65, 255,
                               256, 257, 1000, 1024, 1025, 4096, 5000, 70000, 300000, 1,  3};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static void allocations_are_zeroed_aligned_and_apart(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    unsigned char *parts[20 * N_SIZES];
    size_t total = 0;
    for (size_t i = 0; i < 20 * N_SIZES; i++) {
        size_t n = sizes[i % N_SIZES];
        unsigned char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (n >= 256 ? 64 : 16), 0);
        for (size_t j = 0; j < n; j++)
            if (p[j] != 0) fail_msg("allocation %zu of %zu bytes: byte %zu is %u, wanted 0", i, n, j, p[j]);
        memset(p, (int)(i % 255) + 1, n);
        parts[i] = p;
        total += n ? n : 1;
        assert_int_equal(a.total_bytes, total);
    }
    for (size_t i = 0; i < 20 * N_SIZES; i++)
        for (size_t j = 0; j < sizes[i % N_SIZES]; j++)
            if (parts[i][j] != i % 255 + 1) fail_msg("allocation %zu: byte %zu was overwritten with %u", i, j, parts[i][j]);
    arena_free(&a);
    assert_null(a.first);
    assert_int_equal(a.total_bytes, 0);
    assert_non_null(arena_alloc(&a, 10)); /* usable again */
    arena_free(&a);
    arena_free(&a);
}

static void copies(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    const unsigned char bytes[] = {1, 0, 2, 255};
    assert_memory_equal(arena_copy(&a, bytes, sizeof bytes), bytes, sizeof bytes);
    assert_non_null(arena_copy(&a, NULL, 0));
    assert_string_equal(arena_strdup(&a, ""), "");
    assert_string_equal(arena_strdup(&a, "layer"), "layer");
    assert_string_equal(arena_strndup(&a, "layer.0", 5), "layer");
    assert_string_equal(arena_strndup(&a, NULL, 0), "");
    assert_string_equal(arena_printf(&a, "%s.%d", "layer", 11), "layer.11");
    char *long_text = arena_printf(&a, "%5000d|", 7);
    assert_int_equal(strlen(long_text), 5001);
    assert_string_equal(long_text + 4998, " 7|");
    arena_free(&a);
}

static void arrays(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    double *numbers = ARENA_ARRAY(&a, double, 100);
    assert_non_null(numbers);
    assert_true(numbers[99] == 0);
    assert_non_null(ARENA_ARRAY(&a, double, 0));
    assert_non_null(ARENA_NEW(&a, int));
    size_t before = a.total_bytes;
    assert_null(arena_alloc_array(&a, 16, SIZE_MAX / 16 + 1)); /* 16 * count wraps to 0 */
    assert_null(arena_alloc_array(&a, SIZE_MAX, 2));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, PTRDIFF_MAX));
    assert_null(arena_strndup(&a, "x", SIZE_MAX));
    assert_int_equal(a.total_bytes, before);
    arena_free(&a);
}

static void arena_survives_every_failing_allocation(void **state) {
    (void)state;
    for (size_t n = 1; n < 100; n++) {
        arena a = ARENA_INIT;
        size_t succeeded = 0;
        fail_alloc_after(n);
        for (size_t i = 0; i < N_SIZES; i++) succeeded += arena_alloc(&a, sizes[i]) != NULL;
        succeeded += arena_strdup(&a, "abc") != NULL;
        succeeded += arena_printf(&a, "%d", 4) != NULL;
        succeeded += ARENA_ARRAY(&a, int, 5000) != NULL;
        const bool failed = fail_alloc_stop();
        assert_int_equal(succeeded, N_SIZES + 3 - failed); /* one block, one allocation */
        arena_free(&a);
        if (!failed) {
            assert_true(n > 3); /* several blocks were needed */
            return;
        }
    }
    fail_msg("still failing after 100 allocations");
}

static void vector_grows(void **state) {
    (void)state;
    VEC(int64_t) v = {0};
    for (int64_t i = 0; i < 1000; i++) {
        assert_true(VEC_PUSH(&v, i * i));
        assert_true(v.capacity >= v.size);
    }
    assert_int_equal(v.size, 1000);
    for (int64_t i = 0; i < 1000; i++) assert_int_equal(v.data[i], i * i);
    assert_true(VEC_RESERVE(&v, 5000));
    assert_true(v.capacity >= 5000);
    assert_int_equal(v.data[999], 999 * 999);
    assert_false(VEC_RESERVE(&v, SIZE_MAX / 8 + 1)); /* 8 * n wraps to 0 */
    assert_false(VEC_RESERVE(&v, SIZE_MAX / 8));
    assert_int_equal(v.data[999], 999 * 999);
    VEC_FREE(&v);
    assert_null(v.data);
    assert_int_equal(v.size, 0);
    assert_int_equal(v.capacity, 0);
    VEC_FREE(&v);
}

static void vector_is_unchanged_when_memory_is_short(void **state) {
    (void)state;
    VEC(int) v = {0};
    fail_alloc_after(1);
    assert_false(VEC_PUSH(&v, 1));
    assert_true(fail_alloc_stop());
    assert_null(v.data);
    assert_int_equal(v.size, 0);
    while (v.size < v.capacity || v.size == 0) assert_true(VEC_PUSH(&v, (int)v.size));
    const size_t size = v.size, capacity = v.capacity;
    fail_alloc_after(1);
    assert_false(VEC_PUSH(&v, 1));
    assert_true(fail_alloc_stop());
    assert_int_equal(v.size, size);
    assert_int_equal(v.capacity, capacity);
    assert_int_equal(v.data[size - 1], size - 1);
    VEC_FREE(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_zeroed_aligned_and_apart),
        cmocka_unit_test(copies),
        cmocka_unit_test(arrays),
        cmocka_unit_test(arena_survives_every_failing_allocation),
        cmocka_unit_test(vector_grows),
        cmocka_unit_test(vector_is_unchanged_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
