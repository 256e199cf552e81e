/* Hashing and the map of strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ir/support/hash.h"
#include "ir/support/strmap.h"
#include "tests/unit/fail_alloc.h"

/* Values of XXH3 0.8 (its documentation gives those of the empty input); caches and streams of random numbers depend on them. */
static void hashes_are_those_of_xxh3(void **state) {
    (void)state;
    assert_true(hash_bytes("", 0) == UINT64_C(0x2d06800538d394c2));
    hash128 h = hash_bytes128("", 0);
    assert_true(h.low == UINT64_C(0x6001c324468d497f));
    assert_true(h.high == UINT64_C(0x99aa06d3014798d8));
    char hex[33];
    hash_to_hex(h, hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    hash_to_hex((hash128){0, 1}, hex);
    assert_string_equal(hex, "00000000000000010000000000000000");
    assert_true(hash_bytes("ab", 2) != hash_bytes("ba", 2));
    assert_true(hash_bytes("a\0", 2) != hash_bytes("a", 1));
    assert_true(hash_combine(1, 2) != hash_combine(2, 1));
    assert_true(hash_combine(1, 2) == hash_combine(1, 2));
}

static void empty_map(void **state) {
    (void)state;
    strmap m = STRMAP_INIT;
    assert_null(strmap_get(&m, "x", 1));
    strmap_free(&m);
    strmap_free(&m);
}

static void puts_once_and_finds(void **state) {
    (void)state;
    strmap m = STRMAP_INIT;
    bool inserted = false;
    char key[] = "weight";
    strmap_entry *e = strmap_put(&m, key, 6, 42, &inserted);
    assert_non_null(e);
    assert_true(inserted);
    key[0] = 'W'; /* the map has its own copy */
    assert_string_equal(e->key, "weight");
    assert_int_equal(e->key_bytes, 6);
    e = strmap_put(&m, "weight", 6, 7, &inserted);
    assert_false(inserted);
    assert_int_equal(e->value, 42);
    e->value = 43;
    assert_int_equal(strmap_get(&m, "weight", 6)->value, 43);
    assert_null(strmap_get(&m, "weigh", 5));
    assert_null(strmap_get(&m, "weights", 7));
    assert_non_null(strmap_put(&m, "", 0, 1, NULL));
    assert_non_null(strmap_put(&m, "a\0b", 3, 2, NULL)); /* keys are bytes */
    assert_non_null(strmap_put(&m, "a\0c", 3, 3, NULL));
    assert_int_equal(strmap_get(&m, "", 0)->value, 1);
    assert_int_equal(strmap_get(&m, "a\0b", 3)->value, 2);
    assert_int_equal(strmap_get(&m, "a\0c", 3)->value, 3);
    assert_null(strmap_get(&m, "a", 1));
    assert_int_equal(m.size, 4);
    strmap_free(&m);
}

/* So many keys in a table at most half full: slots collide, and the table and the array grow many times. */
static void many_keys(void **state) {
    (void)state;
    enum { N = 20000 };
    strmap m = STRMAP_INIT;
    char key[32];
    for (uint64_t i = 0; i < N; i++) {
        int n = snprintf(key, sizeof key, "encoder.layer.%u", (unsigned)i);
        bool inserted;
        assert_non_null(strmap_put(&m, key, (size_t)n, i, &inserted));
        assert_true(inserted);
        assert_true(m.n_slots >= 2 * m.size);
    }
    const char *first = m.entries[0].key;
    size_t collisions = 0;
    for (uint64_t i = 0; i < N; i++) {
        int n = snprintf(key, sizeof key, "encoder.layer.%u", (unsigned)i);
        const strmap_entry *e = strmap_get(&m, key, (size_t)n);
        assert_non_null(e);
        assert_int_equal(e->value, i);
        assert_ptr_equal(e, &m.entries[i]); /* order of insertion */
        collisions += m.slots[e->hash & (m.n_slots - 1)] != i + 1;
        n = snprintf(key, sizeof key, "decoder.layer.%u", (unsigned)i);
        assert_null(strmap_get(&m, key, (size_t)n));
    }
    assert_true(collisions > 100);
    assert_string_equal(first, "encoder.layer.0");
    assert_int_equal(m.size, N);
    strmap_free(&m);
}

static void map_survives_every_failing_allocation(void **state) {
    (void)state;
    char key[16];
    for (size_t n = 1; n < 1000; n++) {
        strmap m = STRMAP_INIT;
        size_t refused = 0;
        fail_alloc_after(n);
        for (uint64_t i = 0; i < 300; i++) {
            int bytes = snprintf(key, sizeof key, "k%u", (unsigned)i);
            bool inserted = true;
            const strmap_entry *e = strmap_put(&m, key, (size_t)bytes, i, &inserted);
            assert_int_equal(e != NULL, inserted);
            if (!e) refused++;
            if (!e) assert_null(strmap_get(&m, key, (size_t)bytes));
            if (!e) assert_non_null(strmap_put(&m, key, (size_t)bytes, i, NULL)); /* the next try succeeds */
        }
        const bool failed = fail_alloc_stop();
        assert_int_equal(refused, failed);
        for (uint64_t i = 0; i < 300; i++) {
            int bytes = snprintf(key, sizeof key, "k%u", (unsigned)i);
            const strmap_entry *e = strmap_get(&m, key, (size_t)bytes);
            assert_non_null(e);
            assert_int_equal(e->value, i);
        }
        strmap_free(&m);
        if (!failed) return;
    }
    fail_msg("still failing after 1000 allocations");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_xxh3),
        cmocka_unit_test(empty_map),
        cmocka_unit_test(puts_once_and_finds),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(map_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
