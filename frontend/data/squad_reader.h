/*
 * SQuAD's JSON, versions 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), as one question after the other:
 *
 *   {"version": "1.1", "data": [{"title": ..., "paragraphs": [{"context": ...,
 *       "qas": [{"id": ..., "question": ..., "answers": [{"text": ..., "answer_start": 17}], "is_impossible": false}]}]}]}
 *
 * An article (an element of data) is held at a time, so memory is bounded by the largest article, whatever the file's size. Files may
 * be gzip. title, answers and is_impossible may be missing; other keys (plausible_answers) are passed over.
 *
 * answer_start counts characters (Unicode code points); here it becomes bytes of the context. An answer must stand in the context where
 * it says.
 */
#ifndef POFAC_FRONTEND_SQUAD_READER_H
#define POFAC_FRONTEND_SQUAD_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/data/inflated_file.h"

/* Longer articles are an error: a file that is no SQuAD file must not fill the memory. The longest of SQuAD's has half a megabyte. */
#define SQUAD_MAX_ARTICLE_BYTES ((size_t)64 << 20)

typedef struct squad_reader squad_reader;

/* What becomes of a row that does not hold what it should: a question, or what surrounds it. */
typedef enum squad_bad_rows {
    SQUAD_BAD_ROWS_FAIL, /* an error */
    SQUAD_BAD_ROWS_SKIP, /* it is left out and counted; a warning for each of the first five */
    SQUAD_BAD_ROWS_REALIGN /* an answer that is not where it says counts from the nearest place where it is, within 1 kB of the context
                               (of two the earlier), or else from the first; all else that is wrong is left out; both are counted */
} squad_bad_rows;

typedef struct squad_text {
    const char *text; /* UTF-8, 0-terminated */
    size_t bytes;
} squad_text;

typedef struct squad_answer {
    squad_text text;
    size_t begin; /* byte of the context */
} squad_answer;

typedef struct squad_question {
    squad_text id, title, context, question;
    const squad_answer *answers;
    size_t n_answers;   /* 0: none is known, or there is none */
    bool is_impossible; /* version 2.0: the context has no answer; then n_answers is 0 */
    uint64_t paragraph; /* from 0; equal numbers share their context */
} squad_question;

typedef struct squad_counts {
    uint64_t articles, paragraphs, questions, answers, impossible; /* that were given out */
    uint64_t skipped;                                              /* rows: questions, paragraphs or articles */
    uint64_t realigned;                                            /* answers */
} squad_counts;

/* Opens `path`, which must outlive the reader, or standard input for "-". */
POFAC_MUST_USE pofac_status squad_reader_open(const char *path, squad_bad_rows bad_rows, const diag_sink *sink, squad_reader **out);
void squad_reader_close(squad_reader *r); /* NULL is fine */

/* The next question, valid until the next call; *out is NULL at the end. POFAC_ERR_INPUT with the file, and the place as a path into the
 * JSON (`data[3].paragraphs[0].qas[2].id: found ..., wanted ...`) or as line and column; errors of JSON itself are never skipped. */
POFAC_MUST_USE pofac_status squad_reader_next(squad_reader *r, const diag_sink *sink, const squad_question **out);

squad_counts squad_reader_counts(const squad_reader *r);
const inflated_file *squad_reader_file(const squad_reader *r);

#endif
