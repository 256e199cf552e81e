/*
 * A random order of the numbers [0, n) that takes no memory: a bijection computed place by place. A Feistel network of six rounds over the
 * next larger power of four, with Philox (ir/support/rng.h) as round function, walked until the result is below n (Black and Rogaway,
 * "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, section 3, cycle walking; on average fewer than four steps).
 */
#ifndef POFAC_FRONTEND_DATA_SHUFFLED_INDEX_H
#define POFAC_FRONTEND_DATA_SHUFFLED_INDEX_H

#include "ir/support/rng.h"

typedef struct shuffled_index {
    rng_key key;
    uint64_t order, n;
    unsigned half_bits;
} shuffled_index;

/* Order number `order` of n > 0 things under `seed`; n below 2^62. */
shuffled_index shuffled_index_make(uint64_t seed, uint64_t order, uint64_t n);

/* What stands at `place` < n. */
uint64_t shuffled_index_at(const shuffled_index *s, uint64_t place);

#endif
