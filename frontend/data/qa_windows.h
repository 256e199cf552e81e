/*
 * A question and a context that is too long for one input -> windows [CLS] question [SEP] part of the context [SEP]: where they begin,
 * what they hold, and which tokens of which window an answer is.
 *
 * Windows begin `step` tokens of the context apart, from its first token on, until one reaches the end; all but the last are full. So
 * every token is in a window, none is dropped at the end, and no window holds only what another holds. A context without tokens has one
 * window, without any.
 */
#ifndef POFAC_FRONTEND_QA_WINDOWS_H
#define POFAC_FRONTEND_QA_WINDOWS_H

#include "frontend/text/tokenizer.h"

/* What doc_stride counts. */
typedef enum qa_stride {
    QA_STRIDE_STARTS, /* tokens between the starts of windows, as in BERT's run_squad.py (Devlin et al. 2018) */
    QA_STRIDE_OVERLAP /* tokens that a window shares with the next, as in Hugging Face's run_qa.py */
} qa_stride;

#define QA_DEFAULT_DOC_STRIDE ((size_t)128)
#define QA_DEFAULT_MAX_SEQ_LENGTH ((size_t)384)
#define QA_DEFAULT_MAX_QUERY_LENGTH ((size_t)64) /* BERT's run_squad.py */

typedef struct qa_window_options {
    size_t max_seq_length;   /* tokens of a window, special ones included */
    size_t doc_stride;       /* 0: QA_DEFAULT_DOC_STRIDE, or a third of max_seq_length where that is less */
    size_t max_query_length; /* longer questions lose their last tokens; 0: QA_DEFAULT_MAX_QUERY_LENGTH */
    qa_stride stride;
} qa_window_options;

/* The windows of one question and context; a question of up to max_query_length tokens is whole. */
typedef struct qa_windows {
    size_t n_question; /* tokens that the windows have of the question */
    size_t n_context;  /* tokens of the context */
    size_t room, step; /* tokens of the context that fit into a window, and from window to window */
    size_t count;      /* of windows, from 1 */
} qa_windows;

/* Fills in defaults. POFAC_ERR_USAGE: doc_stride is not less than max_seq_length, so that windows could not hang together; or
 * max_seq_length leaves no room for a token of each text. */
POFAC_MUST_USE pofac_status qa_window_options_check(qa_window_options *o, const diag_sink *sink);

/* `o` was checked. Where a long question leaves less room than doc_stride, QA_STRIDE_STARTS steps by the room. POFAC_ERR_INPUT at
 * `place`: the question leaves no room for the context; or with QA_STRIDE_OVERLAP no more than doc_stride, and more is needed. */
POFAC_MUST_USE pofac_status qa_windows_cut(const qa_window_options *o, size_t n_question, size_t n_context, const diag_place *place,
                                           const diag_sink *sink, qa_windows *out);

/* Window i holds the tokens [first, first + size) of the context; in the window they begin at qa_windows_context_at. */
size_t qa_windows_first(const qa_windows *w, size_t i);
size_t qa_windows_size(const qa_windows *w, size_t i);
size_t qa_windows_context_at(const qa_windows *w);

/* Replaces `out` by the tokens of window i. Fails only for lack of memory. */
POFAC_MUST_USE pofac_status qa_windows_build(const qa_windows *w, size_t i, const tokenizer *t, const encoding *question,
                                             const encoding *context, const diag_sink *sink, encoding *out);

/* Is window i, of those that hold the token of the context, the one in which it has most context on its shorter side (BERT's
 * run_squad.py; longer windows a little more, and of equals the first)? Each token has one such window. */
bool qa_windows_has_most_context(const qa_windows *w, size_t i, size_t token);

/* The tokens [*first, *last] that have a byte of [begin, end) of the context; false: there are none. */
bool qa_tokens_of_bytes(const encoding *context, size_t begin, size_t end, size_t *first, size_t *last);

/* Where in window i the tokens [first, last] of the context begin and end; false, and both 0 - the place of [CLS] -, when they do not lie
 * in it as a whole. */
bool qa_windows_label(const qa_windows *w, size_t i, size_t first, size_t last, size_t *start, size_t *end);

#endif
