/*
 * Masked language modelling: which tokens of an example are to be predicted, and what stands in their place (Devlin et al. 2018, section 3.1, task 1).
 * Done where an example is used, so that each epoch masks it anew.
 *
 * Of the tokens without a role each is chosen with probability 0.15, independently; with whole words, max(1, round(0.15 n)) of the n words are chosen, all of
 * their tokens (a word goes on with tokens that begin with ##; halves are rounded to even). Of the chosen tokens 80 % become [MASK], 10 % a random one of all V
 * tokens, 10 % stay. Tokens with a role ([CLS], [SEP], [PAD], [MASK], [UNK]) are never chosen.
 *
 * The result is a function of (seed, epoch, number of the example, ids): batches and threads play no part.
 */
#ifndef POFAC_FRONTEND_DATA_TOKEN_MASKING_H
#define POFAC_FRONTEND_DATA_TOKEN_MASKING_H

#include "frontend/text/tokenizer.h"

#define MASKING_NO_LABEL (-100) /* cross entropy leaves such tokens out */

typedef enum masking_unit { MASK_TOKENS, MASK_WHOLE_WORDS } masking_unit;

typedef struct masking_options {
    uint64_t seed;
    double probability; /* 0: 0.15 */
    masking_unit unit;
} masking_options;

typedef struct token_masking token_masking;

/* POFAC_ERR_INPUT when the tokenizer has no [MASK]; POFAC_ERR_USAGE for a probability outside of 0 to 1. The tokenizer is not kept; threads may share *out. */
POFAC_MUST_USE pofac_status token_masking_create(const tokenizer *t, const masking_options *options, const diag_sink *sink,
                                                 token_masking **out);
void token_masking_destroy(token_masking *m); /* NULL is fine */

/* Masks ids[n] in place; labels[n] get the original ids of the chosen tokens and MASKING_NO_LABEL elsewhere. Ids are below V. `example` is its number in its
 * split, `epoch` counts how often the split was begun. Returns the number of chosen tokens. */
size_t token_masking_apply(const token_masking *m, uint32_t epoch, uint64_t example, int32_t *ids, int32_t *labels, size_t n);

#endif
