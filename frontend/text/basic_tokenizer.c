/*
 * Basic tokenization (Devlin et al., "BERT", 2018; the reference's BasicTokenizer), in one pass over the text: characters come from the
 * normalizer, white space ends a word, an ideograph is a word, and so is each character of punctuation: category P* and every other
 * printable character of ASCII that is no letter or digit. That looks at what the normalizer gives, so U+1FEF, which decomposes into a
 * grave accent, is punctuation. Each character of a word remembers the bytes of the text that it came from.
 *
 * Words of ASCII letters and digits between ASCII white space and punctuation, nearly all of English, take a fast path that only looks
 * up bytes; it gives the same tokens.
 */
#include "frontend/text/basic_tokenizer.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "frontend/text/wordpiece.h"

typedef struct word_character {
    UChar32 c;
    uint8_t combining_class; /* 0 where accents stay: then nothing is reordered */
    size_t begin, end;       /* bytes of the text */
} word_character;

/* The word being read. One that is too long becomes [UNK], so only its extent goes on being kept. */
typedef struct open_word {
    size_t n;
    bool too_long;
    size_t reorder_from; /* canonical ordering moves no mark before this character */
    size_t begin, end;   /* bytes of the text */
    word_character characters[TOKENIZER_MAX_WORD_CHARACTERS];
} open_word;

/* ---- characters ---- */

static bool is_ascii_punctuation(UChar32 c) {
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
}

static bool is_punctuation(UChar32 c) { return c < 0x80 ? is_ascii_punctuation(c) : (U_GET_GC_MASK(c) & U_GC_P_MASK) != 0; }

/* ---- words ---- */

/* Where words go: to the caller, or as pieces into an encoding. */
typedef struct word_sink {
    encoding *tokens;
    word_fn take; /* NULL: into `tokens` */
    void *user;
} word_sink;

static void open(open_word *w) { w->n = w->reorder_from = w->begin = w->end = 0, w->too_long = false; }

static bool add_token(const word_sink *out, int32_t id, size_t begin, size_t end) {
    return encoding_add(out->tokens, (encoding_token){.id = id, .begin = begin, .end = end});
}

static bool add_piece(const open_word *w, const uint8_t *character_of, word_piece piece, const word_sink *out) {
    const word_character *first = &w->characters[character_of[piece.begin]];
    const word_character *last = &w->characters[character_of[piece.end - 1]];
    return add_token(out, piece.id, first->begin, last->end);
}

/* Appends the word's pieces and opens the next one. */
static bool close_word(const basic_tokenizer *b, open_word *w, const word_sink *out) {
    uint8_t bytes[WORDPIECE_MAX_BYTES], character_of[WORDPIECE_MAX_BYTES];
    word_piece pieces[TOKENIZER_MAX_WORD_CHARACTERS];
    size_t n_bytes = 0, n_pieces = 0;
    bool ok = true;
    if (w->n == 0) return true;
    if (!w->too_long) {
        for (size_t i = 0; i < w->n; i++) {
            size_t begin = n_bytes;
            U8_APPEND_UNSAFE(bytes, n_bytes, w->characters[i].c);
            memset(character_of + begin, (int)i, n_bytes - begin);
        }
        if (!out->take) n_pieces = wordpiece_split(b->vocab, bytes, n_bytes, pieces);
    }
    if (out->take) ok = w->too_long || out->take(out->user, bytes, n_bytes);
    else if (n_pieces == 0) ok = add_token(out, b->vocab->special_id[TOKENIZER_UNK], w->begin, w->end);
    for (size_t i = 0; i < n_pieces && ok; i++) ok = add_piece(w, character_of, pieces[i], out);
    open(w);
    return ok;
}

/* Appends a character in canonical order: a mark goes before those of a higher combining class that it follows. Characters that change
 * places then share their place in the text, so that places stay in order. */
static void append_character(const basic_tokenizer *b, open_word *w, word_character ch) {
    if (w->n == 0) w->begin = ch.begin;
    w->end = ch.end;
    if (w->n == b->max_word_characters) {
        w->too_long = true;
        return;
    }
    size_t at = w->n++;
    for (; at > w->reorder_from && w->characters[at - 1].combining_class > ch.combining_class; at--)
        w->characters[at] = w->characters[at - 1];
    if (at + 1 < w->n) ch.begin = w->characters[at + 1].begin;
    w->characters[at] = ch;
    for (size_t moved = at + 1; moved < w->n; moved++) {
        w->characters[moved].begin = ch.begin;
        w->characters[moved].end = ch.end;
    }
}

/* The last two steps for one character of the lower-cased and decomposed text: drops accents, sets punctuation apart. */
static bool take_character(const basic_tokenizer *b, open_word *w, UChar32 c, size_t begin, size_t end, const word_sink *out) {
    word_character ch = {c, 0, begin, end};
    if (b->normalizer.nfd) {
        ch.combining_class = c < 0x300 ? 0 : u_getCombiningClass(c);
        if (ch.combining_class == 0) w->reorder_from = w->n;
        if (normalizer_is_accent(&b->normalizer, c)) return true;
    }
    bool punctuation = is_punctuation(c);
    if (punctuation && !close_word(b, w, out)) return false;
    append_character(b, w, ch);
    return !punctuation || close_word(b, w, out);
}

/* Reads from *at to the end of a word that is not plain ASCII, or a little further; *at is then where no word is open. */
static bool take_unicode_word(const basic_tokenizer *b, const text_range *r, size_t *at, const word_sink *out) {
    open_word w;
    open(&w);
    while (*at < r->end) {
        const size_t begin = *at;
        normal_characters characters;
        normalizer_next(&b->normalizer, r, at, &characters);
        if (characters.white) break;
        if (characters.chinese && !close_word(b, &w, out)) return false;
        for (size_t i = 0; i < characters.n; i++)
            if (!take_character(b, &w, characters.c[i], begin, *at, out)) return false;
        if (characters.chinese) break;
    }
    return close_word(b, &w, out);
}

/* ---- ASCII ---- */

/* The word text[begin,end) of ASCII letters and digits, or one punctuation character. */
static bool take_ascii_word(const basic_tokenizer *b, const uint8_t *text, size_t begin, size_t end, const word_sink *out) {
    uint8_t word[TOKENIZER_MAX_WORD_CHARACTERS];
    word_piece pieces[TOKENIZER_MAX_WORD_CHARACTERS];
    size_t n_bytes = end - begin, n_pieces = 0;
    if (n_bytes <= b->max_word_characters) {
        for (size_t i = 0; i < n_bytes; i++) word[i] = b->lowered[text[begin + i]];
        if (out->take) return out->take(out->user, word, n_bytes);
        n_pieces = wordpiece_split(b->vocab, word, n_bytes, pieces);
    }
    if (out->take) return true; /* too long */
    if (n_pieces == 0) return add_token(out, b->vocab->special_id[TOKENIZER_UNK], begin, end);
    for (size_t i = 0; i < n_pieces; i++)
        if (!add_token(out, pieces[i].id, begin + pieces[i].begin, begin + pieces[i].end)) return false;
    return true;
}

static bool for_each_word(const basic_tokenizer *b, const char *text, size_t begin, size_t end, const word_sink *out) {
    const text_range r = {(const uint8_t *)text, begin, end};
    for (size_t at = begin; at < end;) {
        uint8_t kind = b->kind_of[r.text[at]];
        size_t next = at + 1;
        if (kind == BYTE_SPACE) {
            at = next;
            continue;
        }
        if (kind == BYTE_WORD)
            while (next < end && (kind = b->kind_of[r.text[next]]) == BYTE_WORD) next++;
        if (kind == BYTE_OTHER) {
            if (!take_unicode_word(b, &r, &at, out)) return false;
            continue;
        }
        if (!take_ascii_word(b, r.text, at, next, out)) return false;
        at = next;
    }
    return true;
}

bool basic_tokenizer_run(const basic_tokenizer *b, const char *text, size_t begin, size_t end, encoding *out) {
    return for_each_word(b, text, begin, end, &(word_sink){.tokens = out});
}

bool basic_tokenizer_words(const basic_tokenizer *b, const char *text, size_t n_bytes, word_fn take, void *user) {
    return for_each_word(b, text, 0, n_bytes, &(word_sink){.take = take, .user = user});
}

pofac_status basic_tokenizer_init(basic_tokenizer *b, const vocabulary *vocab, const tokenizer_options *options,
                                  const diag_sink *sink) {
    memset(b, 0, sizeof *b);
    b->vocab = vocab;
    b->max_word_characters = options->max_input_chars_per_word;
    TRY(normalizer_init(&b->normalizer, options, sink));
    for (int byte = 0; byte < 256; byte++) {
        bool white = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
        bool upper = byte >= 'A' && byte <= 'Z';
        bool word = upper || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        b->kind_of[byte] = white ? BYTE_SPACE : word ? BYTE_WORD : is_ascii_punctuation(byte) ? BYTE_PUNCTUATION : BYTE_OTHER;
        b->lowered[byte] = (uint8_t)(b->normalizer.lower && upper ? byte - 'A' + 'a' : byte);
    }
    return POFAC_OK;
}
