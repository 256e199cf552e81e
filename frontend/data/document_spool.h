/*
 * Documents as tokens, on disk: what lies between reading a corpus and making examples, which needs to know how many documents there are, and to look into
 * other documents. A spool holds consecutive documents; several spools are read as one row of documents (block_file.h for the form of the file).
 *
 *     section 0: where each document begins  [n_documents + 1] struct spool_begin
 *     section 1: tokens of each sentence     [n_sentences] 4 bytes
 *     section 2: token ids                   [n_tokens] of token_bytes each
 */
#ifndef POFAC_FRONTEND_DATA_DOCUMENT_SPOOL_H
#define POFAC_FRONTEND_DATA_DOCUMENT_SPOOL_H

#include "frontend/data/segment_pairs.h"

#define SPOOL_VERSION 1

typedef struct spool_begin {
    uint64_t token, sentence;
} spool_begin;

/* Documents in memory; all zero is an empty list. */
typedef struct document_list {
    VEC(spool_begin) begins; /* one for each document */
    VEC(uint32_t) lengths;
    VEC(unsigned char) tokens;
} document_list;

void document_list_free(document_list *l);
void document_list_clear(document_list *l); /* keeps the memory */

/* Each is false when memory is short. A document without sentences is taken back by document_list_end, which tells whether it had some. */
POFAC_MUST_USE bool document_list_begin(document_list *l, size_t token_bytes);
POFAC_MUST_USE bool document_list_add_token(document_list *l, size_t token_bytes, int32_t id);
/* Ends a sentence of the tokens that were added since the last one ended; without any there is no sentence. `n` of them. */
POFAC_MUST_USE bool document_list_add_sentence(document_list *l, size_t n);
bool document_list_end(document_list *l);

/* Appends all documents of `more`. */
POFAC_MUST_USE bool document_list_append(document_list *l, const document_list *more, size_t token_bytes);

/* Writes a spool, whole or not at all; `first` is the number of its first document. */
POFAC_MUST_USE pofac_status document_spool_write(const char *path, size_t token_bytes, uint64_t first, const document_list *list,
                                                 const diag_sink *sink);

typedef struct document_spools document_spools;

/* Opens spools that follow on each other, from document 0 on. POFAC_ERR_INPUT: as block_file_open, or they do not follow on each other. */
POFAC_MUST_USE pofac_status document_spools_open(const char *const *paths, size_t n, size_t token_bytes, const diag_sink *sink,
                                                 document_spools **out);
void document_spools_close(document_spools *s);          /* NULL is fine */
uint64_t document_spools_size(const document_spools *s); /* documents */

/* Document i; lives as the spools. POFAC_ERR_INPUT when the file is damaged there. Any thread. */
POFAC_MUST_USE pofac_status document_spools_get(const document_spools *s, uint64_t i, const diag_sink *sink, pair_document *out);

/* The number of its tokens alone, without looking at them. */
POFAC_MUST_USE pofac_status document_spools_measure(const document_spools *s, uint64_t i, const diag_sink *sink, size_t *n_tokens);

/* The memory of documents [begin, end) may be used for something else; they are read from the files again when they are wanted. */
void document_spools_release(const document_spools *s, uint64_t begin, uint64_t end);

#endif
