/* A bijection by a Feistel network with cycle walking; see shuffled_index.h. */
#include "frontend/data/shuffled_index.h"

#define ROUNDS 6u

shuffled_index shuffled_index_make(uint64_t seed, uint64_t order, uint64_t n) {
    shuffled_index s = {.key = rng_key_make(seed, "order of examples"), .order = order, .n = n, .half_bits = 1};
    while (s.half_bits < 31 && (UINT64_C(1) << 2 * s.half_bits) < n) s.half_bits++;
    return s;
}

static uint64_t permute(const shuffled_index *s, uint64_t x) {
    const uint64_t mask = (UINT64_C(1) << s->half_bits) - 1;
    uint64_t left = x >> s->half_bits, right = x & mask;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        const rng_block b = rng_philox(s->key, round << 32 | right, s->order);
        const uint64_t next = left ^ (b.word[0] & mask);
        left = right;
        right = next;
    }
    return left << s->half_bits | right;
}

uint64_t shuffled_index_at(const shuffled_index *s, uint64_t place) {
    do {
        place = permute(s, place);
    } while (place >= s->n);
    return place;
}
