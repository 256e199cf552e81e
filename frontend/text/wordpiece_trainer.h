/*
 * WordPiece vocabularies from words and how often they occur: Hugging Face's WordPieceTrainer, that is byte pair encoding (Sennrich et al.
 * 2016, section 3.2) with pieces inside a word marked by "##".
 *
 * A vocabulary is: [PAD], [UNK], [CLS], [SEP], [MASK]; the characters that begin words, in the order of their code points; the others,
 * marked; and then, again and again, the two neighbours that occur most often as one piece, until the vocabulary is full. Where pairs
 * occur equally often, the one whose pieces are older comes first, so the result is a function of words and counts alone, in
 * whatever order they come.
 */
#ifndef POFAC_FRONTEND_TEXT_WORDPIECE_TRAINER_H
#define POFAC_FRONTEND_TEXT_WORDPIECE_TRAINER_H

#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/strbuf.h"
#include "ir/support/strmap.h"

typedef struct wordpiece_training {
    size_t vocab_size;      /* of the result, special tokens included; at least 5 */
    uint64_t min_frequency; /* pairs that occur less often are not joined */
    size_t limit_alphabet;  /* characters that are kept, the most frequent ones; words with others are left out */
} wordpiece_training;

/* What became of it. */
typedef struct wordpiece_report {
    uint64_t words, words_left_out; /* distinct words */
    size_t characters, pieces;      /* in the vocabulary: single characters, and longer pieces */
} wordpiece_report;

/*
 * `words`: valid UTF-8 of at least one character -> count. Appends the vocabulary, a token a line, to *out: fewer tokens than
 * asked for where the words give no more. POFAC_ERR_INPUT: vocab_size is less than special tokens and characters need.
 */
POFAC_MUST_USE pofac_status wordpiece_train(const strmap *words, const wordpiece_training *training, const diag_sink *sink,
                                            strbuf *out, wordpiece_report *report);

#endif
