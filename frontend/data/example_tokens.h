/*
 * An example of a task -> the tokens that a model reads.
 *   one text    [CLS] A [SEP], A cut at its end
 *   two texts   [CLS] A [SEP] B [SEP], cut by longest_first (tokenizer_build_pair)
 *   words       [CLS] words [SEP], each word split on its own and the whole cut at its end; a word's label stands at its first token, all
 *               others have EXAMPLE_NO_LABEL, as Hugging Face's run_ner aligns them. A word of which nothing is left (control
 *               characters) has no token and no place for its label.
 */
#ifndef POFAC_FRONTEND_DATA_EXAMPLE_TOKENS_H
#define POFAC_FRONTEND_DATA_EXAMPLE_TOKENS_H

#include "frontend/data/example_source.h"
#include "frontend/data/task_reader.h"
#include "frontend/text/tokenizer.h"

/* Used again and again; each call replaces what is in it. */
typedef struct example_tokens {
    encoding built;          /* what the model reads */
    VEC(int32_t) labels;     /* [built.size] of words, when they have labels */
    VEC(uint32_t) word_of;   /* [built.size] of words: the word of each token; UINT32_MAX for special tokens */
    size_t full_length;      /* tokens that there would be without a limit */
    encoding first, second;  /* the texts' tokens before they are joined and cut */
    VEC(uint32_t) all_words; /* the words of first's tokens */
} example_tokens;

#define EXAMPLE_TOKENS_INIT                                                                                                        \
    { .built = ENCODING_INIT, .first = ENCODING_INIT, .second = ENCODING_INIT }

/* Shorter limits leave no room for a token of each text. */
#define EXAMPLE_MIN_LENGTH 5u

/* POFAC_ERR_USAGE when max_length is below EXAMPLE_MIN_LENGTH. Words' labels are taken from e->tag_labels. */
POFAC_MUST_USE pofac_status example_tokens_encode(example_tokens *t, const tokenizer *tok, const task_example *e, size_t max_length,
                                                  const diag_sink *sink);
void example_tokens_free(example_tokens *t);

#endif
