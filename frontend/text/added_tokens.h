/*
 * Tokens that are found literally in text, and where: the ones with a role ([MASK] and its like) and what was added to a vocabulary.
 */
#ifndef POFAC_FRONTEND_TEXT_ADDED_TOKENS_H
#define POFAC_FRONTEND_TEXT_ADDED_TOKENS_H

#include "frontend/text/normalizer.h"
#include "frontend/text/token_trie.h"
#include "ir/support/strmap.h"

/* One way of looking for them: in the text as it is, or in its normal form. */
typedef struct added_set {
    token_trie trie; /* ids are places in added_tokens.tokens */
    size_t n;        /* of tokens; 0: there is no trie */
    int only_first;  /* the byte that all tokens begin with; -1 when they begin with several */
} added_set;

typedef struct added_tokens {
    strmap by_content;   /* the place of a content in `tokens` */
    added_token *tokens; /* [n] in the order in which they were added; each has its id */
    size_t n, capacity;
    uint64_t *by_id;   /* [n] id * 2^32 + place, in order */
    added_set literal; /* those that are looked for in the text as it is */
    added_set normal;  /* those that are looked for in its normal form */
} added_tokens;

typedef struct added_match {
    const added_token *token; /* NULL: there is no further one */
    size_t begin, end;        /* with the white space that it takes to itself; both the range's end when there is none */
} added_match;

/* Takes a copy of `token`, whose id is known, in place of one of the same content. False when memory is short. */
POFAC_MUST_USE bool added_tokens_put(added_tokens *a, const added_token *token);

/* Makes what finds tokens anew after some were put; the normal form is that of `z`. False when memory is short. */
POFAC_MUST_USE bool added_tokens_index(added_tokens *a, const text_normalizer *z);

void added_tokens_free(added_tokens *a);

/* NULL when there is none. By id: as they were when the tokens were indexed; of several with one id the first. */
const added_token *added_tokens_by_content(const added_tokens *a, const char *content, size_t n);
const added_token *added_tokens_by_id(const added_tokens *a, int32_t id);

/* The first of `set` at or behind `from`, which is behind the match before; of several at one place the longest. */
added_match added_tokens_find(const added_tokens *a, const added_set *set, const text_range *r, size_t from);

#endif
