/*
 * Hashes of bytes are xxHash's, however they are computed: in one go, in pieces, by vectors of any width; they depend on every byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/support/hash.h"
#include "ir/support/hash_pieces.h"
#include "ir/support/rng.h"

static const size_t sizes[] = {0,    1,     17,    240,   241,   1024,  4095,   8191,   8192,   8193,
                               9000, 12287, 12288, 12289, 65536, 65793, 262144, 300001, 1 << 20};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MOST = 1 << 20, OFFSETS = 3 };

static unsigned char *make_bytes(void) {
    unsigned char *bytes = malloc(MOST + OFFSETS);
    const rng_key key = rng_key_make(5, "hash");
    assert_non_null(bytes);
    for (size_t i = 0; i < MOST + OFFSETS; i++) bytes[i] = (unsigned char)(256 * rng_uniform(key, i));
    return bytes;
}

static void expect(uint64_t found, uint64_t wanted, const char *by, size_t n, size_t offset) {
    if (found != wanted)
        fail_msg("%zu bytes from %zu on by %s: found %016llx, wanted %016llx", n, offset, by, (unsigned long long)found,
                 (unsigned long long)wanted);
}

static void every_way(void **state) {
    (void)state;
    unsigned char *bytes = make_bytes();
    int ways = 0;
    for (size_t s = 0; s < N_SIZES; s++)
        for (size_t offset = 0; offset < OFFSETS; offset++) {
            const unsigned char *at = bytes + offset;
            const uint64_t wanted = XXH3_64bits(at, sizes[s]);
            expect(hash_bytes(at, sizes[s]), wanted, "hash_bytes", sizes[s], offset);
            expect(hash_in_pieces(at, sizes[s]), wanted, "pieces", sizes[s], offset);
            ways += 2;
#if defined(__x86_64__)
            if (__builtin_cpu_supports("avx2")) expect(hash_avx2(at, sizes[s]), wanted, "AVX2", sizes[s], offset);
            if (__builtin_cpu_supports("avx512f")) expect(hash_avx512(at, sizes[s]), wanted, "AVX-512", sizes[s], offset);
#endif
        }
    assert_int_equal(ways, 2 * N_SIZES * OFFSETS);
    free(bytes);
}

static void every_byte(void **state) {
    (void)state;
    const size_t n = 3 * HASH_PIECE_BYTES + 5;
    unsigned char *bytes = make_bytes();
    const uint64_t wanted = hash_bytes(bytes, n);
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= (unsigned char)(1u << i % 8);
        if (hash_bytes(bytes, n) == wanted) fail_msg("byte %zu was changed, which the hash does not show", i);
        bytes[i] ^= (unsigned char)(1u << i % 8);
    }
    assert_int_equal(hash_bytes(bytes, n), wanted);
    assert_int_not_equal(hash_bytes(bytes, n - 1), wanted);
    free(bytes);
}

/* Names of cached things, which stay what they are. */
static void known_values(void **state) {
    (void)state;
    char hex[33];
    hash_to_hex(hash_bytes128("", 0), hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f"); /* xxHash's own test vector */
    assert_true(hash_bytes("", 0) == UINT64_C(0x2d06800538d394c2));
    assert_int_not_equal(hash_combine(1, 2), hash_combine(2, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_way), cmocka_unit_test(every_byte), cmocka_unit_test(known_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
