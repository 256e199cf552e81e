/*
 * Texts of answers as SQuAD's official scripts compare them (evaluate-v1.1.py, evaluate-v2.0.py): lower-cased, without ASCII's
 * punctuation, without the words a, an and the, white space made one. Letters, words and spaces are those of Python 3's str
 * (frontend/text/unicode_words.h).
 */
#ifndef POFAC_FRONTEND_ANSWER_TEXT_H
#define POFAC_FRONTEND_ANSWER_TEXT_H

#include <stdbool.h>

#include "ir/support/diag.h"
#include "ir/support/strbuf.h"
#include "ir/support/vector.h"

typedef struct answer_text {
    const char *text; /* UTF-8 */
    size_t bytes;
} answer_text;

/* Replaces `out` by the normal form: words with a space between. */
POFAC_MUST_USE pofac_status answer_text_normalize(const answer_text *text, const diag_sink *sink, strbuf *out);

/* Scratch for comparing. */
typedef struct answer_texts {
    strbuf predicted, wanted, words;
    VEC(answer_text) predicted_words, wanted_words;
} answer_texts;

void answer_texts_free(answer_texts *t);

typedef enum answer_rules {
    ANSWER_RULES_V1, /* each text wanted counts; F1 is 0 where no word is shared */
    ANSWER_RULES_V2  /* texts without a word do not count; without any other, "" is wanted, and F1 is 1 where both have no word */
} answer_rules;

typedef struct answer_match {
    bool exact;
    double f1;       /* of words, each as often as it occurs */
    bool has_answer; /* a text wanted counts; else "" does */
} answer_match;

/* The best over all texts wanted, of each number by itself. */
POFAC_MUST_USE pofac_status answer_texts_match(answer_texts *t, answer_rules rules, const answer_text *predicted,
                                               const answer_text *wanted, size_t n_wanted, const diag_sink *sink,
                                               answer_match *out);

#endif
