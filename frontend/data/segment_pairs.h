/*
 * Documents of tokens -> examples for pre-training: segment pairs for next-sentence prediction (Devlin et al. 2018, section 3.1, as BERT's
 * create_pretraining_data does it), and two plainer modes (frontend/pair_modes.def).
 *
 *   segment_pair_nsp  Once per document the target is drawn: S - 3 tokens, and with probability 0.1 from 2 to S - 3. Sentences are collected until the
 *                     target is reached or the document ends; the first of them, a random number from 1 to all but one, are A. With probability 0.5, and
 *                     always when there is only one, B comes from a random other document of the pool, from a random sentence on, until A and B have
 *                     the target (label 1), and the sentences that A did not take are put back; else B is the others (label 0). Both are cut to S - 3 tokens,
 *                     longest first.
 *   doc_sentences     Sentences of the document with [SEP] between them, as many as have S - 2 tokens together; a sentence of more than S - 2 is an example
 *                     of its own, cut.
 *   concatenate       The documents of the pool, with [SEP] between them, are cut every S - 2 tokens, wherever that is; the last piece of a pool is shorter.
 *
 * The pool of a document is its block of 1,000 consecutive documents; a last block of fewer than 10 belongs to the block before it. Where the random other
 * document is the document itself 10 times in a row, it is taken nevertheless.
 *
 * The examples of a document are a function of the seed, the document's number and its pool: threads and the order of calls play no part.
 */
#ifndef POFAC_FRONTEND_DATA_SEGMENT_PAIRS_H
#define POFAC_FRONTEND_DATA_SEGMENT_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/vector.h"

#define PAIR_POOL_DOCUMENTS 1000 /* the reference maps documents in batches of so many */
#define PAIR_FEWEST_DOCUMENTS 10 /* fewer are an error in the reference */
#define PAIR_LEAST_LENGTH 5      /* S: three special tokens, and two targets to choose from */
#define PAIR_MOST_LENGTH 65535   /* S: lengths are kept in 16 bits */

typedef enum pair_mode {
#define PAIR_MODE(id, name, meaning) PAIR_MODE_##id,
#include "frontend/pair_modes.def"
#undef PAIR_MODE
    N_PAIR_MODES
} pair_mode;

const char *pair_mode_name(pair_mode mode);
const char *pair_mode_meaning(pair_mode mode);
/* False: there is no such mode. */
bool pair_mode_parse(const char *name, pair_mode *out);

typedef enum pair_label { PAIR_NO_LABEL = -1, PAIR_IS_NEXT = 0, PAIR_IS_RANDOM = 1 } pair_label;

/* Bytes that a token id takes: 2 where a vocabulary of V tokens allows, else 4. */
static inline size_t token_bytes_for(size_t vocab_size) { return vocab_size <= 65536 ? 2 : 4; }

typedef struct pair_document {
    const unsigned char *tokens;  /* of all sentences, one after the other, without special tokens */
    const uint32_t *lengths;      /* [n_sentences] tokens of each, none 0 */
    size_t n_sentences, n_tokens; /* none 0 */
} pair_document;

typedef struct pair_pool {
    const pair_document *documents;
    size_t n;
    uint64_t first; /* number of documents[0] among all documents */
} pair_pool;

typedef struct segment_pairs_options {
    pair_mode mode;
    uint64_t seed;
    size_t max_length;  /* S, special tokens included; PAIR_LEAST_LENGTH to PAIR_MOST_LENGTH */
    size_t token_bytes; /* 2 or 4: of ids in documents and in examples */
    int32_t cls_id, sep_id;
} segment_pairs_options;

typedef struct pair_example {
    uint64_t begin;    /* first token in the list */
    uint16_t n_tokens; /* special ones included */
    uint16_t second;   /* where B begins, behind A's [SEP]; n_tokens where there is no B */
    int8_t label;      /* pair_label */
    uint8_t zero[3];   /* as it stands in files */
} pair_example;

/* Examples and their tokens; all zero is an empty list. */
typedef struct pair_list {
    VEC(pair_example) examples;
    VEC(unsigned char) tokens; /* token_bytes bytes each */
} pair_list;

void pair_list_free(pair_list *l);
void pair_list_clear(pair_list *l); /* keeps the memory */
/* Appends the examples of `more`; false when memory is short. */
POFAC_MUST_USE bool pair_list_append(pair_list *l, const pair_list *more, size_t token_bytes);

/* The documents [begin, end) of the pool that `document` of n is in. */
void segment_pairs_pool(uint64_t n, uint64_t document, uint64_t *begin, uint64_t *end);

/* Appends the examples of documents[index] of the pool. Fails only for lack of memory. */
POFAC_MUST_USE pofac_status segment_pairs_make(const segment_pairs_options *options, const pair_pool *pool, size_t index,
                                               const diag_sink *sink, pair_list *out);

#endif
