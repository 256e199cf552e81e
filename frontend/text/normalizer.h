/*
 * What BERT does to the characters of a text before it looks for words: drops, lower-cases, decomposes. One character at a time, so
 * that each of the results keeps its place in the text.
 */
#ifndef POFAC_FRONTEND_TEXT_NORMALIZER_H
#define POFAC_FRONTEND_TEXT_NORMALIZER_H

#include <stdbool.h>

#include "frontend/text/tokenizer.h"

/* A canonical decomposition is at most four characters (Unicode 15, annex 15, section 9), a lower case at most two. */
#define NORMALIZER_MAX_UNITS 18

typedef struct text_normalizer {
    const void *nfd; /* ICU's canonical decomposition; NULL where accents stay */
    bool lower, chinese;
} text_normalizer;

typedef struct text_range {
    const uint8_t *text;
    size_t begin, end; /* nothing outside of it is looked at */
} text_range;

/* What a character of the text becomes. */
typedef struct normal_characters {
    int32_t c[NORMALIZER_MAX_UNITS]; /* accents are among them: see normalizer_is_accent */
    size_t n;                        /* 0: the character is dropped */
    bool white;                      /* it is white space; then c is one space */
    bool chinese;                    /* it is an ideograph that is a word of its own */
} normal_characters;

/* `options` with the defaults filled in. POFAC_ERR_RUNTIME when ICU lacks its data. */
POFAC_MUST_USE pofac_status normalizer_init(text_normalizer *z, const tokenizer_options *options, const diag_sink *sink);

/* Reads the character that begins at *at, which moves behind it. */
void normalizer_next(const text_normalizer *z, const text_range *r, size_t *at, normal_characters *out);

/* Whether a decomposed character is an accent that is to be stripped. */
bool normalizer_is_accent(const text_normalizer *z, int32_t c);

/* A text in its normal form, with the bytes of the original that each byte comes from. Spaces that stand around ideographs come from
 * no bytes. */
typedef struct normal_byte {
    size_t begin, end;
} normal_byte;

typedef struct normal_text {
    strbuf bytes;
    normal_byte *origin; /* [bytes.size] */
    size_t origin_capacity;
} normal_text;

#define NORMAL_TEXT_INIT                                                                                                           \
    { STRBUF_INIT, NULL, 0 }

/* Replaces `out` by the normal form of the range: white space is ' ', an ideograph stands between two of them. False when memory is
 * short; the caller frees `out` either way. */
POFAC_MUST_USE bool normalizer_run(const text_normalizer *z, const text_range *r, normal_text *out);

void normal_text_free(normal_text *n);

/* Decodes the character that ends before `at`, which is behind the range's begin; *c < 0: not UTF-8. Returns where it begins. */
size_t text_previous_character(const text_range *r, size_t at, int32_t *c);

#endif
