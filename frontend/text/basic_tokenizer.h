/*
 * Text to tokens, but for special tokens: BERT's basic tokenization into words, then WordPiece.
 */
#ifndef POFAC_FRONTEND_TEXT_BASIC_TOKENIZER_H
#define POFAC_FRONTEND_TEXT_BASIC_TOKENIZER_H

#include <stdbool.h>

#include "frontend/text/normalizer.h"
#include "frontend/text/vocabulary.h"

/* What a byte of the text tells the fast path for ASCII. With BYTE_OTHER everywhere all text takes the general path. */
typedef enum byte_kind { BYTE_OTHER = 0, BYTE_WORD, BYTE_SPACE, BYTE_PUNCTUATION } byte_kind;

typedef struct basic_tokenizer {
    const vocabulary *vocab;
    text_normalizer normalizer;
    size_t max_word_characters;
    uint8_t kind_of[256]; /* byte_kind of each byte */
    uint8_t lowered[256]; /* each byte of ASCII as the vocabulary is to see it */
} basic_tokenizer;

/* `vocab` may be NULL for whoever wants words alone. `options` with the defaults filled in. POFAC_ERR_RUNTIME when ICU lacks its data. */
POFAC_MUST_USE pofac_status basic_tokenizer_init(basic_tokenizer *b, const vocabulary *vocab, const tokenizer_options *options,
                                                 const diag_sink *sink);

/* Appends the tokens of text[begin,end), with offsets in `text`; `out` keeps what it holds. False when memory is short. */
POFAC_MUST_USE bool basic_tokenizer_run(const basic_tokenizer *b, const char *text, size_t begin, size_t end, encoding *out);

/* Calls `take` for each word of the text, in order, as WordPiece would see it: UTF-8, of at least one byte, lower-cased and so on by
 * the options; words of too many characters are left out. False as soon as `take` says so. Special tokens are not looked for. */
typedef bool (*word_fn)(void *user, const uint8_t *word, size_t n_bytes);
POFAC_MUST_USE bool basic_tokenizer_words(const basic_tokenizer *b, const char *text, size_t n_bytes, word_fn take, void *user);

#endif
