/*
 * Trie over the bytes of a vocabulary's tokens, for greedy longest-match WordPiece. Read-only after it is built.
 *
 * Nodes are numbered breadth first, so the children of a node are neighbours, sorted by label, and node i's are
 * [first_child[i], first_child[i + 1]): nine bytes per node and no pointers. The two nodes where every walk begins, the root and the
 * node of "##", have up to 256 children and get tables instead of a search.
 */
#ifndef POFAC_FRONTEND_TEXT_TOKEN_TRIE_H
#define POFAC_FRONTEND_TEXT_TOKEN_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ir/support/status.h"

typedef struct trie_key {
    const char *bytes;
    uint32_t n_bytes;
    int32_t id; /* 0 or more */
} trie_key;

/* The first step of a walk, by byte; 0: no token begins so (the root is nobody's child). */
typedef struct trie_entry {
    uint32_t child[256];
} trie_entry;

typedef struct token_trie {
    uint32_t *first_child; /* [n_nodes + 1] */
    uint8_t *label;        /* [n_nodes] the byte that leads here */
    int32_t *id;           /* [n_nodes] the token that ends here, or -1 */
    uint32_t n_nodes;
    trie_entry word_start;   /* from the root: the first piece of a word */
    trie_entry continuation; /* from the node of "##": the pieces after it */
} token_trie;

/* Orders keys by their bytes; for qsort. */
int trie_key_compare(const void *a, const void *b);

/* Builds from `keys`, sorted, non-empty and without duplicates, of less than 2^31 bytes together; the keys are not kept. False when
 * memory is short; nothing is left to free then. */
POFAC_MUST_USE bool token_trie_build(token_trie *trie, const trie_key *keys, size_t n);

void token_trie_free(token_trie *trie);

/* The child of `node` over `byte`; 0 when there is none. */
static inline uint32_t token_trie_step(const token_trie *trie, uint32_t node, uint8_t byte) {
    uint32_t first = trie->first_child[node], end = trie->first_child[node + 1];
    for (; first < end; first++)
        if (trie->label[first] >= byte) return trie->label[first] == byte ? first : 0;
    return 0;
}

/* The id of the key `bytes`; -1 when it is none. */
int32_t token_trie_find(const token_trie *trie, const char *bytes, size_t n_bytes);

#endif
