/*
 * Builds the trie of a sorted list of keys, level by level: a node stands for the range of keys that share its prefix, and the range
 * is cut where the next byte changes. Numbering nodes as they are met makes siblings neighbours. Keys are inserted all at once;
 * there is no later insertion or removal.
 */
#include "frontend/text/token_trie.h"

#include <stdlib.h>

/* The keys [begin,end) below a node, which share their first `depth` bytes. */
typedef struct key_range {
    uint32_t begin, end, depth;
} key_range;

int trie_key_compare(const void *a, const void *b) {
    const trie_key *x = a, *y = b;
    uint32_t shorter = x->n_bytes < y->n_bytes ? x->n_bytes : y->n_bytes;
    int order = memcmp(x->bytes, y->bytes, shorter);
    if (order != 0) return order;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

/* One node for the root and one for each byte of a key that its predecessor does not share. */
static size_t count_nodes(const trie_key *keys, size_t n) {
    size_t nodes = 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t shared = 0;
        if (i > 0)
            while (shared < keys[i - 1].n_bytes && shared < keys[i].n_bytes && keys[i - 1].bytes[shared] == keys[i].bytes[shared])
                shared++;
        nodes += keys[i].n_bytes - shared;
    }
    return nodes;
}

static void number_nodes(token_trie *trie, key_range *ranges, const trie_key *keys, size_t n) {
    uint32_t made = 1;
    ranges[0] = (key_range){0, (uint32_t)n, 0};
    trie->label[0] = 0;
    for (uint32_t node = 0; node < made; node++) {
        key_range r = ranges[node];
        trie->first_child[node] = made;
        trie->id[node] = -1;
        if (r.begin < r.end && keys[r.begin].n_bytes == r.depth) trie->id[node] = keys[r.begin++].id;
        while (r.begin < r.end) {
            uint8_t byte = (uint8_t)keys[r.begin].bytes[r.depth];
            uint32_t end = r.begin + 1;
            while (end < r.end && (uint8_t)keys[end].bytes[r.depth] == byte) end++;
            trie->label[made] = byte;
            ranges[made++] = (key_range){r.begin, end, r.depth + 1};
            r.begin = end;
        }
    }
    trie->first_child[made] = made;
}

static void fill_entry(const token_trie *trie, uint32_t node, trie_entry *entry) {
    memset(entry, 0, sizeof *entry);
    for (uint32_t child = trie->first_child[node]; child < trie->first_child[node + 1]; child++)
        entry->child[trie->label[child]] = child;
}

bool token_trie_build(token_trie *trie, const trie_key *keys, size_t n) {
    memset(trie, 0, sizeof *trie);
    size_t n_nodes = count_nodes(keys, n);
    key_range *ranges = malloc(n_nodes * sizeof *ranges);
    trie->first_child = malloc((n_nodes + 1) * sizeof *trie->first_child);
    trie->label = malloc(n_nodes * sizeof *trie->label);
    trie->id = malloc(n_nodes * sizeof *trie->id);
    trie->n_nodes = (uint32_t)n_nodes;
    bool ok = ranges && trie->first_child && trie->label && trie->id;
    if (ok) {
        number_nodes(trie, ranges, keys, n);
        fill_entry(trie, 0, &trie->word_start);
        uint32_t hash = trie->word_start.child['#'];
        uint32_t hashes = hash ? token_trie_step(trie, hash, '#') : 0;
        if (hashes) fill_entry(trie, hashes, &trie->continuation);
    } else {
        token_trie_free(trie);
    }
    free(ranges);
    return ok;
}

void token_trie_free(token_trie *trie) {
    free(trie->first_child);
    free(trie->label);
    free(trie->id);
    memset(trie, 0, sizeof *trie);
}

int32_t token_trie_find(const token_trie *trie, const char *bytes, size_t n_bytes) {
    uint32_t node = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        node = token_trie_step(trie, node, (uint8_t)bytes[i]);
        if (node == 0) return -1;
    }
    return trie->id[node];
}
