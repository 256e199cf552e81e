/*
 * BERT's WordPiece tokenizer: text to token ids with the place of each token in the text, as Hugging Face's BertTokenizer does it.
 *
 * A tokenizer never changes after it is created and tokens were added, so threads may share one. An encoding belongs to the caller: start with
 * ENCODING_INIT, use it again and again (each call replaces its tokens and keeps its memory), end with encoding_free.
 *
 * Text is UTF-8 of any content: bytes that are not UTF-8 count as U+FFFD, which the tokenizer drops like control characters.
 * Offsets are in bytes of the text as it was given, whatever lower-casing, decomposition and dropped characters did in between.
 */
#ifndef POFAC_FRONTEND_TEXT_TOKENIZER_H
#define POFAC_FRONTEND_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/strbuf.h"

/* Words of more characters become [UNK]. This is max_input_chars_per_word of BERT's own code, the default and the most that can be
 * asked for; Hugging Face's tokenizer.json files say 100. */
#define TOKENIZER_MAX_WORD_CHARACTERS 200

/* No limit on the length of a built input. */
#define TOKENIZER_NO_LIMIT SIZE_MAX

typedef struct tokenizer tokenizer;

typedef enum tokenizer_flag { TOKENIZER_UNSET = 0, TOKENIZER_OFF, TOKENIZER_ON } tokenizer_flag;

/* All zero means the reference's defaults. */
typedef struct tokenizer_options {
    tokenizer_flag do_lower_case;          /* unset: on */
    tokenizer_flag strip_accents;          /* unset: as do_lower_case */
    tokenizer_flag tokenize_chinese_chars; /* unset: on; each CJK ideograph is a word */
    size_t max_input_chars_per_word;       /* 0, or from 1 to TOKENIZER_MAX_WORD_CHARACTERS; 0: that many */
    size_t model_max_length;               /* tokens that the model takes, special ones included; 0: not known */
} tokenizer_options;

/* The tokens with a role. [PAD] and [MASK] may be missing in a vocabulary. They are found literally in text and never split. */
typedef enum tokenizer_special {
    TOKENIZER_PAD,
    TOKENIZER_UNK,
    TOKENIZER_CLS,
    TOKENIZER_SEP,
    TOKENIZER_MASK,
    TOKENIZER_N_SPECIALS
} tokenizer_special;

/* A token that is found in text wherever its content stands, in the middle of a word too, and is never split. The tokens with a role
 * are such from the start: special, and all else false. */
typedef struct added_token {
    const char *content; /* not empty */
    int32_t id;          /* -1: the vocabulary's, or where it lacks the content the one behind all others */
    bool special;        /* tokenizer_decode can skip it */
    bool lstrip, rstrip; /* white space on that side belongs to it */
    bool single_word;    /* not found where a character of a word stands beside it */
    bool normalized;     /* looked for after lower-casing and the like of both text and content; else before */
} added_token;

typedef struct encoding_token {
    int32_t id;
    int32_t type_id;   /* 0 in the first segment with its [CLS] and [SEP], 1 in the second with its [SEP] */
    size_t begin, end; /* bytes [begin,end) of the segment's text; [0,0) for special tokens added by tokenizer_build_* */
} encoding_token;

typedef struct encoding {
    encoding_token *tokens;
    size_t size, capacity;
} encoding;

#define ENCODING_INIT                                                                                                              \
    { NULL, 0, 0 }

void encoding_free(encoding *e);

/* Appends one token; false when memory is short. */
POFAC_MUST_USE bool encoding_add(encoding *e, encoding_token token);

/* Reads a vocabulary: one token per line, the id is the line's number from 0. `options` may be NULL. Errors (POFAC_ERR_INPUT, at
 * FILE:LINE where a line is at fault): missing or empty file, empty line, duplicate token, bytes that are not UTF-8, no [UNK],
 * [CLS] or [SEP]. POFAC_ERR_USAGE: max_input_chars_per_word is out of range. The caller destroys *out. */
POFAC_MUST_USE pofac_status tokenizer_create(const char *vocab_path, const tokenizer_options *options, const diag_sink *sink,
                                             tokenizer **out);

/* The same from memory; `name` stands for the file in messages. `bytes` is not kept. */
POFAC_MUST_USE pofac_status tokenizer_create_from_memory(const char *name, const char *bytes, size_t n_bytes,
                                                         const tokenizer_options *options, const diag_sink *sink, tokenizer **out);

/* Adds tokens to those that are found in text; one of a known content takes its place. Of several that stand at the first place where
 * any does, the longest is found; those that are not normalized are found first, then the others between them. `file` stands for their
 * origin in messages. POFAC_ERR_INPUT: an id that another token has, or not the one that the vocabulary has for the content. After an
 * error `t` can only be destroyed. No other thread uses it meanwhile. */
POFAC_MUST_USE pofac_status tokenizer_add(tokenizer *t, const char *file, const added_token *tokens, size_t n,
                                          const diag_sink *sink);

void tokenizer_destroy(tokenizer *t); /* NULL is fine */

/* The tokens of `text`, without adding special tokens; type ids are 0. Fails only for lack of memory. */
POFAC_MUST_USE pofac_status tokenizer_encode(const tokenizer *t, const char *text, size_t n_bytes, const diag_sink *sink,
                                             encoding *out);

/* [CLS] A [SEP], A cut at its end to fit in max_length tokens. POFAC_ERR_USAGE when max_length is below 2. `out` is none of the
 * inputs. */
POFAC_MUST_USE pofac_status tokenizer_build_single(const tokenizer *t, const encoding *a, size_t max_length, const diag_sink *sink,
                                                   encoding *out);

/* [CLS] A [SEP] B [SEP], cut to max_length by the reference's longest_first: while too long, the last token of A goes if A is
 * longer than B, else the last of B. POFAC_ERR_USAGE when max_length is below 3. */
POFAC_MUST_USE pofac_status tokenizer_build_pair(const tokenizer *t, const encoding *a, const encoding *b, size_t max_length,
                                                 const diag_sink *sink, encoding *out);

/* The lengths that longest_first leaves of two segments of n_a and n_b tokens within `budget` tokens. */
void tokenizer_truncate_longest_first(size_t budget, size_t *n_a, size_t *n_b);

size_t tokenizer_vocab_size(const tokenizer *t);             /* V: one more than the last id, added tokens included */
const char *tokenizer_token(const tokenizer *t, int32_t id); /* "[UNK]" for gaps between ids; NULL from V on. Lives as t */
int32_t tokenizer_id(const tokenizer *t, const char *token, size_t n);                 /* -1 when there is no such token */
const added_token *tokenizer_added(const tokenizer *t, const char *content, size_t n); /* NULL: not found literally in text */
int32_t tokenizer_special_id(const tokenizer *t, tokenizer_special s);                 /* -1 when the vocabulary lacks it */
const char *tokenizer_special_name(tokenizer_special s);                               /* "[PAD]" and so on */
const tokenizer_options *tokenizer_get_options(const tokenizer *t);                    /* with the defaults filled in */

typedef enum tokenizer_decoding { TOKENIZER_KEEP_SPECIALS, TOKENIZER_SKIP_SPECIALS } tokenizer_decoding;

/* Appends the text of `ids` as the reference's decode does: pieces joined, spaces before punctuation and in contractions removed.
 * Ids outside the vocabulary read [UNK]. */
void tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n, tokenizer_decoding mode, strbuf *out);

#endif
