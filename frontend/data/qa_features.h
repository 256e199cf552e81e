/*
 * Questions of SQuAD's -> features for training and evaluation: windows (qa_windows.h) with the positions of the answer in them.
 *
 * The first answer counts. A window that holds all of its tokens is labelled with the first and the last of them; any other, and every
 * window of a question without an answer, with [CLS], position 0. The tokens of an answer are those that have a character of it, so an
 * answer that begins or ends within a word takes the whole piece. An answer without a token (white space, dropped characters) counts as
 * none and as `unaligned`.
 *
 * Tokens of a context are found once for all its questions. One thread uses a builder at a time.
 */
#ifndef POFAC_FRONTEND_QA_FEATURES_H
#define POFAC_FRONTEND_QA_FEATURES_H

#include "frontend/data/qa_windows.h"
#include "frontend/data/squad_reader.h"

typedef struct qa_features qa_features;

typedef struct qa_feature {
    const encoding *input; /* [CLS] question [SEP] context [SEP]; offsets in bytes of question and context */
    size_t window, n_windows;
    size_t context_at, n_context; /* its tokens of the context are input->tokens[context_at .. context_at + n_context) */
    size_t first;                 /* number in the context of the first of them */
    size_t start, end;            /* labels: tokens of the input; 0 and 0: [CLS] */
    bool has_answer;              /* as a whole; then the labels are its */
} qa_feature;

typedef struct qa_feature_counts {
    uint64_t questions, features;
    uint64_t with_answer;     /* features */
    uint64_t cut_questions;   /* that had more than max_query_length tokens */
    uint64_t unaligned;       /* questions whose answer has no token */
    uint64_t split;           /* questions whose answer is in no window as a whole */
    uint64_t longest, tokens; /* of features */
} qa_feature_counts;

/* The tokenizer outlives the builder. Errors as qa_window_options_check. */
POFAC_MUST_USE pofac_status qa_features_create(const tokenizer *t, const qa_window_options *options, const diag_sink *sink,
                                               qa_features **out);
void qa_features_destroy(qa_features *f); /* NULL is fine */

/* Takes the next question, which must live until the last of its features was asked for; *n_windows features follow. `paragraph` tells
 * whether the context is the last one's. Errors as qa_windows_cut, at `file` with the question's id. */
POFAC_MUST_USE pofac_status qa_features_begin(qa_features *f, const char *file, const squad_question *q, const diag_sink *sink,
                                              size_t *n_windows);

/* Another file follows, whose paragraphs count from 0 again. */
void qa_features_forget(qa_features *f);

/* The feature of a window, valid until the next call. */
POFAC_MUST_USE pofac_status qa_features_get(qa_features *f, size_t window, const diag_sink *sink, qa_feature *out);

/* With the defaults filled in. */
const qa_window_options *qa_features_options(const qa_features *f);

/* The last question's windows. */
const qa_windows *qa_features_windows(const qa_features *f);

/* Of all features that qa_features_get has given. */
qa_feature_counts qa_features_counts(const qa_features *f);

#endif
