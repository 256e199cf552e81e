/*
 * Greedy longest-match-first WordPiece (Devlin et al., "BERT", 2018; the reference's WordpieceTokenizer): walk the trie from the
 * word's start and keep the last node where a token ends; go on from there below "##". Where no token matches, the whole word is
 * unknown. The word and all tokens are valid UTF-8, so a match always ends between two characters.
 */
#include "frontend/text/wordpiece.h"

size_t wordpiece_split(const vocabulary *v, const uint8_t *word, size_t n_bytes, word_piece *pieces) {
    const token_trie *trie = &v->trie;
    const trie_entry *entry = &trie->word_start;
    size_t n_pieces = 0;
    for (size_t begin = 0; begin < n_bytes;) {
        word_piece longest = {-1, (uint16_t)begin, 0};
        uint32_t node = entry->child[word[begin]];
        for (size_t at = begin + 1; node != 0; at++) {
            if (trie->id[node] >= 0) longest.id = trie->id[node], longest.end = (uint16_t)at;
            if (at == n_bytes) break;
            node = token_trie_step(trie, node, word[at]);
        }
        if (longest.id < 0) return 0;
        pieces[n_pieces++] = longest;
        begin = longest.end;
        entry = &trie->continuation;
    }
    return n_pieces;
}
