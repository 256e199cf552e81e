/*
 * WordPiece: cuts a word into the pieces of a vocabulary, greedily, longest match first.
 */
#ifndef POFAC_FRONTEND_TEXT_WORDPIECE_H
#define POFAC_FRONTEND_TEXT_WORDPIECE_H

#include "frontend/text/vocabulary.h"

/* The most bytes a word can have: UTF-8 takes at most four per character. */
#define WORDPIECE_MAX_BYTES (4 * TOKENIZER_MAX_WORD_CHARACTERS)

typedef struct word_piece {
    int32_t id;
    uint16_t begin, end; /* bytes of the word */
} word_piece;

/* The pieces of `word`, n_bytes of valid UTF-8, at least 1 and at most WORDPIECE_MAX_BYTES; `pieces` has room for as many as the
 * word has characters. Returns how many; 0 when the vocabulary cannot spell the word. */
size_t wordpiece_split(const vocabulary *v, const uint8_t *word, size_t n_bytes, word_piece *pieces);

#endif
