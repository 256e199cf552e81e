/*
 * Logits of windows -> the best answers of a question, and no answer (SQuAD 2.0).
 *
 * A span is a pair of context tokens of one window, the end not before the start, of at most max_answer_length tokens; its score is the
 * sum of its start and end logits. All spans of all windows compete, whichever order windows come in: of equal scores the earlier
 * window's, then the one that starts, then the one that ends first. (Hugging Face's run_qa.py looks at the n_best_size best starts and
 * ends of a window only, of the question's tokens too; where that leaves a span out, the lists differ.) One span of the context that
 * two windows hold stands twice in the list, as there.
 *
 * The score of no answer is the least that [CLS] has in any window.
 */
#ifndef POFAC_FRONTEND_QA_ANSWERS_H
#define POFAC_FRONTEND_QA_ANSWERS_H

#include "frontend/text/tokenizer.h"

#define QA_DEFAULT_N_BEST ((size_t)20)
#define QA_DEFAULT_MAX_ANSWER_LENGTH ((size_t)30)

typedef struct qa_answer_options {
    size_t n_best;                    /* spans that are kept */
    size_t max_answer_length;         /* tokens */
    bool may_be_null;                 /* no answer is one (SQuAD 2.0) */
    double null_score_diff_threshold; /* no answer is given where its score is higher than the best span's by more */
} qa_answer_options;

/* What a window says. Logits are those of input's tokens, [S]. */
typedef struct qa_window_logits {
    const encoding *input;
    size_t window, context_at, n_context;
    const float *start, *end;
} qa_window_logits;

typedef struct qa_span {
    double score;       /* start_logit + end_logit */
    double probability; /* of its start times that of its end, among the window's tokens */
    float start_logit, end_logit;
    size_t window, start, end;   /* tokens of the window */
    size_t begin_byte, end_byte; /* of the context */
} qa_span;

typedef struct qa_answers {
    qa_span *spans; /* best first */
    size_t size, capacity;
    bool has_null;
    float null_start_logit, null_end_logit;
    double null_score;
    size_t null_window;
} qa_answers;

#define QA_ANSWERS_INIT                                                                                                            \
    { .spans = NULL }

void qa_answers_free(qa_answers *a);

/* Lets the spans of a window compete. Logits that are NaN make none. Fails only for lack of memory. */
POFAC_MUST_USE pofac_status qa_answers_take(qa_answers *a, const qa_answer_options *o, const qa_window_logits *w,
                                            const diag_sink *sink);

/* The span that is the answer; NULL: there is none, or no answer is the answer. *null_odds, which may be NULL, becomes the score of no
 * answer less that of the best span (0 for a missing one). */
const qa_span *qa_answers_best(const qa_answers *a, const qa_answer_options *o, double *null_odds);

/* The n-best list: spans by score, with no answer among them where it may be one - at its place, or behind the last. `probability` is the
 * softmax over the list's scores. */
typedef struct qa_choice {
    const qa_span *span; /* NULL: no answer */
    float start_logit, end_logit;
    double probability;
} qa_choice;

/* Fills out[0 .. a->size + 1) and returns how many there are: at least one, which may be no answer with logits of 0. */
size_t qa_answers_list(const qa_answers *a, const qa_answer_options *o, qa_choice *out);

#endif
