/*
 * Sentences in columns, as CoNLL's shared tasks have them: a word a line with its columns between spaces or tabs, the first of
 * which is the word; a blank line ends a sentence; lines whose first column is -DOCSTART- begin a document and are passed over.
 */
#ifndef POFAC_FRONTEND_DATA_CONLL_SENTENCE_H
#define POFAC_FRONTEND_DATA_CONLL_SENTENCE_H

#include "frontend/data/text_lines.h"
#include "ir/support/arena.h"
#include "ir/support/vector.h"

#define CONLL_MAX_WORDS ((size_t)1 << 16) /* of a sentence */
#define CONLL_MAX_BYTES ((size_t)1 << 24) /* of its lines together: so much that no sentence is, and no memory fills */

#define CONLL_LAST_COLUMN (-1)

typedef struct conll_sentence {
    arena memory;                  /* of the words and tags, until the next sentence */
    VEC(const char *) words, tags; /* 0-terminated; no tags where the file has one column */
    uint64_t line;                 /* of the first word */
    size_t n_columns;              /* of the file: as its first line has */
    size_t bytes;
} conll_sentence;

#define CONLL_SENTENCE_INIT                                                                                                        \
    { .memory = ARENA_INIT }

/* The next sentence, without words at the end of the file. label_column: from 0, or CONLL_LAST_COLUMN. POFAC_ERR_INPUT as
 * text_lines_next; and with *in_row set, after which the next call goes on behind the sentence: a line with other columns than the
 * first one of the file, more than CONLL_MAX_WORDS words or CONLL_MAX_BYTES. */
POFAC_MUST_USE pofac_status conll_sentence_next(conll_sentence *s, text_lines *lines, const char *path, int label_column,
                                                const diag_sink *sink, bool *in_row);
void conll_sentence_free(conll_sentence *s);

#endif
