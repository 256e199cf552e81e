/*
 * Philox4x32-10: ten rounds of two 32x32 -> 64 bit multiplications on a counter of four words, the key stepping by Weyl
 * constants (Salmon et al., SC 2011, section 3.3; the constants are those of table 2 and of the Random123 library).
 */
#include "ir/support/rng.h"

#include <math.h>
#include <string.h>

#include "ir/support/hash.h"

#define PHILOX_ROUNDS 10
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u /* the golden ratio */
#define PHILOX_W1 0xBB67AE85u /* the square root of 3, less 1 */

rng_key rng_key_make(uint64_t seed, const char *purpose) {
    uint64_t h = hash_combine(seed, hash_bytes(purpose, strlen(purpose)));
    return (rng_key){{(uint32_t)h, (uint32_t)(h >> 32)}};
}

rng_key rng_key_numbered(uint64_t seed, uint32_t stream) {
    return (rng_key){{(uint32_t)seed + stream * UINT32_C(0x9E3779B9), (uint32_t)(seed >> 32)}};
}

uint32_t rng_drop_below(double rate) {
    double words = rate * 0x1p32 + 0.5;
    return words >= 0x1p32 ? UINT32_MAX : (uint32_t)words;
}

rng_block rng_philox(rng_key key, uint64_t low, uint64_t high) {
    uint32_t c0 = (uint32_t)low, c1 = (uint32_t)(low >> 32), c2 = (uint32_t)high, c3 = (uint32_t)(high >> 32);
    uint32_t k0 = key.word[0], k1 = key.word[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)PHILOX_M0 * c0;
        uint64_t p1 = (uint64_t)PHILOX_M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    return (rng_block){{c0, c1, c2, c3}};
}

/* Dropout's counters end in the number of a feature over four, which is never this large. */
bool rng_draws(uint64_t seed, uint64_t step, uint64_t row_key, double share) {
    const rng_block block = rng_philox(rng_key_numbered(seed, 0), row_key, step << 32 | UINT32_MAX);
    return block.word[0] < rng_drop_below(share);
}

/* The upper 53 bits of two words, as a number in [0, 1). */
static double unit(uint32_t high, uint32_t low) {
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return (double)bits * 0x1p-53;
}

double rng_uniform(rng_key key, uint64_t index) {
    rng_block b = rng_philox(key, index, 0);
    return unit(b.word[0], b.word[1]);
}

/* The normals 2 * pair and 2 * pair + 1 of a stream: Box-Muller gives two at once. */
static void normal_pair(rng_key key, uint64_t pair, double out[2]) {
    static const double two_pi = 6.283185307179586476925286766559;
    rng_block b = rng_philox(key, pair, 0);
    double radius = sqrt(-2.0 * log(1.0 - unit(b.word[0], b.word[1]))); /* 1 - u is in (0, 1] */
    double angle = two_pi * unit(b.word[2], b.word[3]);
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

double rng_normal(rng_key key, uint64_t index) {
    double pair[2];
    normal_pair(key, index / 2, pair);
    return pair[index % 2];
}

void rng_normals(rng_key key, uint64_t first, size_t n, double scale, float *out) {
    double pair[2];
    for (size_t i = 0; i < n; i++) {
        uint64_t index = first + i;
        if (i == 0 || index % 2 == 0) normal_pair(key, index / 2, pair);
        out[i] = (float)(scale * pair[index % 2]);
    }
}

uint64_t rng_below(rng_key key, uint64_t index, uint64_t bound) {
    rng_block b = rng_philox(key, index, 0);
    uint64_t bits = (uint64_t)b.word[0] << 32 | b.word[1];
    return (uint64_t)(((unsigned __int128)bits * bound) >> 64);
}
