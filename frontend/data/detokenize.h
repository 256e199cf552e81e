/*
 * Tokenized text of WikiText-2 and WikiText-103 (Merity et al., 2016) -> text as it is written.
 *
 * Tokens stand between single blanks. " @-@ ", " @,@ " and " @.@ " are a hyphen, comma and point within a word or number; marks
 * of punctuation and endings such as 's stand next to the word before them, opening brackets and signs of currency next to the
 * one behind; quotation marks open and close in turns. <unk>, for words outside the vocabulary, becomes [UNK], which tokenizers
 * know.
 */
#ifndef POFAC_FRONTEND_DATA_DETOKENIZE_H
#define POFAC_FRONTEND_DATA_DETOKENIZE_H

#include <stddef.h>

#include "ir/support/strbuf.h"

/* Appends the text of a line of n bytes (UTF-8, no newline) to `out`. */
void detokenize_line(const char *line, size_t n, strbuf *out);

#endif
