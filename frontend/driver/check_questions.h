/*
 * Files of SQuAD's -> what is in them, as one JSON object:
 *   {"files": [{"file": "dev.json", "articles": A, "paragraphs": P, "questions": Q, "answers": N, "impossible": 0, "bad_rows": 0,
 *     "realigned": 0}], "articles": A, ...: all files together}
 * and with a vocabulary
 *   "features": {"max_seq_length": 384, "doc_stride": 128, "doc_stride_is": "starts", "max_query_length": 64, "features": F,
 *     "with_answer": ..., "tokens": T, "longest": 384, "cut_questions": ..., "split_answers": ..., "unaligned_answers": ...}
 */
#ifndef POFAC_FRONTEND_CHECK_QUESTIONS_H
#define POFAC_FRONTEND_CHECK_QUESTIONS_H

#include "frontend/data/qa_features.h"

typedef struct check_questions_options {
    const char *model; /* whose tokenizer is used; may be NULL */
    const char *vocab; /* NULL: the model's; without either, no features are made */
    tokenizer_flag do_lower_case;
    qa_window_options windows;
    squad_bad_rows bad_rows;
} check_questions_options;

/* Reads all of the files. Errors as squad_reader_next, qa_features_create and qa_features_begin; `out` then has nothing. */
POFAC_MUST_USE pofac_status check_questions(const char *const *paths, size_t n, const check_questions_options *options,
                                            const diag_sink *sink, strbuf *out);

#endif
