/*
 * Memory of packed weights: aligned, writable to its last byte, small or large; touching any part of it leaves what it holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/weight_memory.h"

static void any_size(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 4096, 300001, (1 << 20) - 1, 1 << 20, (1 << 22) + 77};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t n = sizes[i];
        unsigned char *memory = weight_memory_take(n);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % WEIGHT_MEMORY_ALIGNMENT, 0);
        for (size_t at = 0; at < n; at++) memory[at] = (unsigned char)(at * 31);
        for (size_t at = 0; at < n; at += 1 + n / 7) weight_memory_touch(memory + at, n - at);
        weight_memory_touch(memory, 0);
        for (size_t at = 0; at < n; at++)
            if (memory[at] != (unsigned char)(at * 31)) fail_msg("%zu bytes: byte %zu is %d", n, at, memory[at]);
        weight_memory_give(memory, n);
    }
    weight_memory_give(NULL, 0);
    weight_memory_give(NULL, 1 << 22);
}

/* Large memory that was touched is there, and is written to as it would be without. */
static void touched_first(void **state) {
    (void)state;
    const size_t n = (1 << 22) + 4099;
    unsigned char *memory = weight_memory_take(n);
    assert_non_null(memory);
    for (size_t at = 0; at < n; at += 16384) weight_memory_touch(memory + at, n - at < 16384 ? n - at : 16384);
    memset(memory, 0xa5, n);
    for (size_t at = 0; at < n; at++)
        if (memory[at] != 0xa5) fail_msg("byte %zu is %d", at, memory[at]);
    weight_memory_give(memory, n);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_size), cmocka_unit_test(touched_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
