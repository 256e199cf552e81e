/*
 * Map from strings to numbers: entries in one array in order of insertion, found through a table of their indices with linear
 * probing (Knuth, TAOCP 3, 6.4, algorithm L). The table has a power of two of slots and is at most half full, so a search ends.
 */
#include "ir/support/strmap.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/hash.h"
#include "ir/support/vector.h"

#define FIRST_SLOTS 16u

void strmap_free(strmap *m) {
    arena_free(&m->keys);
    free(m->entries);
    free(m->slots);
    *m = (strmap)STRMAP_INIT;
}

/* The slot that holds the key, or the empty one where it belongs. */
static size_t find_slot(const strmap *m, uint64_t hash, const char *key, size_t key_bytes) {
    const size_t mask = m->n_slots - 1;
    size_t slot = (size_t)hash & mask;
    while (m->slots[slot]) {
        const strmap_entry *e = &m->entries[m->slots[slot] - 1];
        if (e->hash == hash && e->key_bytes == key_bytes && (key_bytes == 0 || memcmp(e->key, key, key_bytes) == 0)) break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

const strmap_entry *strmap_get(const strmap *m, const char *key, size_t key_bytes) {
    if (m->n_slots == 0) return NULL;
    uint32_t found = m->slots[find_slot(m, hash_bytes(key, key_bytes), key, key_bytes)];
    return found ? &m->entries[found - 1] : NULL;
}

/* Doubles the table and enters all entries anew. */
static bool grow_slots(strmap *m) {
    size_t n_slots = m->n_slots ? m->n_slots * 2 : FIRST_SLOTS;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < m->size; i++) {
        size_t slot = (size_t)m->entries[i].hash & (n_slots - 1);
        while (slots[slot]) slot = (slot + 1) & (n_slots - 1);
        slots[slot] = (uint32_t)(i + 1);
    }
    free(m->slots);
    m->slots = slots;
    m->n_slots = n_slots;
    return true;
}

strmap_entry *strmap_put(strmap *m, const char *key, size_t key_bytes, uint64_t value, bool *inserted) {
    if (inserted) *inserted = false;
    const uint64_t hash = hash_bytes(key, key_bytes);
    if (m->n_slots) {
        uint32_t found = m->slots[find_slot(m, hash, key, key_bytes)];
        if (found) return &m->entries[found - 1];
    }
    if (m->size >= UINT32_MAX - 1) return NULL;
    if (m->size >= m->n_slots / 2 && !grow_slots(m)) return NULL;
    if (!vector_reserve((void **)&m->entries, &m->capacity, sizeof *m->entries, m->size + 1)) return NULL;
    char *copy = arena_strndup(&m->keys, key, key_bytes);
    if (!copy) return NULL;
    m->slots[find_slot(m, hash, key, key_bytes)] = (uint32_t)(m->size + 1);
    strmap_entry *e = &m->entries[m->size++];
    *e = (strmap_entry){copy, key_bytes, hash, value};
    if (inserted) *inserted = true;
    return e;
}
