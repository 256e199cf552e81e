/*
 * Map from strings to 64-bit values; keys are copied. Open addressing, no deletion of single keys, order of insertion kept for
 * walking. Not thread-safe.
 */
#ifndef POFAC_IR_SUPPORT_STRMAP_H
#define POFAC_IR_SUPPORT_STRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"

typedef struct strmap_entry {
    const char *key; /* 0-terminated copy, stable for the map's life */
    size_t key_bytes;
    uint64_t hash, value;
} strmap_entry;

typedef struct strmap {
    arena keys;
    strmap_entry *entries; /* in order of insertion */
    size_t size, capacity;
    uint32_t *slots; /* index of entry + 1 */
    size_t n_slots;
} strmap;

#define STRMAP_INIT                                                                                                                \
    { ARENA_INIT, NULL, 0, 0, NULL, 0 }

void strmap_free(strmap *m);

/* The entry of `key`, or NULL. Valid until the next insertion. */
const strmap_entry *strmap_get(const strmap *m, const char *key, size_t key_bytes);

/* The entry of `key`, inserted with `value` where missing (*inserted says so, may be NULL); NULL when memory is short. */
strmap_entry *strmap_put(strmap *m, const char *key, size_t key_bytes, uint64_t value, bool *inserted);

#endif
