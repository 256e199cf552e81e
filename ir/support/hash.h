/* Hashing: XXH3 of bytes, in 64 bits for tables and 128 bits for names of cached things. */
#ifndef POFAC_IR_SUPPORT_HASH_H
#define POFAC_IR_SUPPORT_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct hash128 {
    uint64_t low, high;
} hash128;

uint64_t hash_bytes(const void *bytes, size_t n);
uint64_t hash_combine(uint64_t a, uint64_t b);
hash128 hash_bytes128(const void *bytes, size_t n);

/* 32 lower-case hexadecimal digits and a 0. */
void hash_to_hex(hash128 h, char out[33]);

#endif
