/*
 * Hashing by xxHash's XXH3 (Y. Collet), whose values are the same on every machine and in every version from 0.8.0 on.
 *
 * Long inputs are hashed piece by piece, by the widest vectors of the machine, while the piece behind comes out of memory: processors fetch ahead by
 * themselves up to the end of a page alone.
 */
#include "ir/support/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/support/hash_pieces.h"

uint64_t hash_bytes(const void *bytes, size_t n) {
    if (n < 2 * HASH_PIECE_BYTES) return XXH3_64bits(bytes, n);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return hash_avx512(bytes, n);
    if (__builtin_cpu_supports("avx2")) return hash_avx2(bytes, n);
#endif
    return hash_in_pieces(bytes, n);
}

/* The order of the arguments matters: hash_combine(a, b) != hash_combine(b, a). */
uint64_t hash_combine(uint64_t a, uint64_t b) {
    const uint64_t pair[2] = {a, b};
    return XXH3_64bits(pair, sizeof pair);
}

hash128 hash_bytes128(const void *bytes, size_t n) {
    XXH128_hash_t h = XXH3_128bits(bytes, n);
    return (hash128){h.low64, h.high64};
}

void hash_to_hex(hash128 h, char out[33]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        out[i] = digits[(h.high >> (60 - 4 * i)) & 15];
        out[16 + i] = digits[(h.low >> (60 - 4 * i)) & 15];
    }
    out[32] = 0;
}
