/*
 * A WordPiece vocabulary: tokens by id, and ids by token through a trie. Read-only after it is parsed.
 */
#ifndef POFAC_FRONTEND_TEXT_VOCABULARY_H
#define POFAC_FRONTEND_TEXT_VOCABULARY_H

#include "frontend/text/token_trie.h"
#include "frontend/text/tokenizer.h"

typedef struct vocabulary {
    char *pool;       /* the tokens in order of their ids, each 0-terminated */
    uint32_t *offset; /* [size + 1] where a token begins in pool */
    size_t size;      /* V */
    token_trie trie;
    int32_t special_id[TOKENIZER_N_SPECIALS]; /* -1: missing */
} vocabulary;

/* Parses the text of a vocab.txt; `name` stands for the file in messages. Errors as tokenizer_create. On error nothing is left to
 * free. */
POFAC_MUST_USE pofac_status vocabulary_parse(const char *name, const char *bytes, size_t n_bytes, const diag_sink *sink,
                                             vocabulary *out);

void vocabulary_free(vocabulary *v);

static inline const char *vocabulary_token(const vocabulary *v, int32_t id) { return v->pool + v->offset[id]; }
static inline size_t vocabulary_token_bytes(const vocabulary *v, int32_t id) { return v->offset[id + 1] - v->offset[id] - 1; }

#endif
