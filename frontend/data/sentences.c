/*
 * Splits text into sentences: ICU's break iterator proposes ends, on the UTF-8 bytes themselves (UText); an end is passed over where
 * the text around it shows that the sentence goes on:
 *
 *   - after '!' or '?', and after dots, a lower-case letter follows ("Why?" he asked);
 *   - a number that begins the sentence (1. First), an initial (J. R. R. Tolkien), or an abbreviation of sentence_abbreviations.def ends
 *     in the full stop, and what follows fits.
 *
 * Only some bytes around each proposed end are looked at, so the work is ICU's, and linear.
 */
#include "frontend/data/sentences.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/uloc.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

/* ICU's positions have 31 bits; a longer line is cut. */
#define MAX_PIECE_BYTES ((size_t)1 << 30)

struct sentence_splitter {
    UBreakIterator *breaks;
    UText text;
    bool abbreviations;
};

/* A line at work; ends of the range are those of the line. */
typedef struct line_range {
    const uint8_t *text;
    int32_t size;
} line_range;

typedef enum abbreviation_kind { ABBREVIATION_TITLE, ABBREVIATION_NUMBER, ABBREVIATION_MAYBE, ABBREVIATION_NONE } abbreviation_kind;

typedef struct abbreviation {
    const char *text;
    abbreviation_kind kind;
} abbreviation;

static const abbreviation abbreviations[] = {
#define ABBREVIATION(text, kind) {text, ABBREVIATION_##kind},
#include "frontend/data/sentence_abbreviations.def"
#undef ABBREVIATION
};

static const char *const starters[] = {
#define STARTER(word) word,
#include "frontend/data/sentence_starters.def"
#undef STARTER
};

enum { LONGEST_WORD = 15 };

pofac_status sentence_splitter_create(const char *locale, const diag_sink *sink, sentence_splitter **out) {
    static const UText no_text = UTEXT_INITIALIZER;
    UErrorCode error = U_ZERO_ERROR;
    char language[ULOC_LANG_CAPACITY] = "";
    if (!locale) locale = "en";
    *out = calloc(1, sizeof **out);
    if (!*out) return diag_out_of_memory(sink);
    (*out)->text = no_text;
    (*out)->breaks = ubrk_open(UBRK_SENTENCE, locale, NULL, 0, &error);
    if (U_FAILURE(error) && error != U_MEMORY_ALLOCATION_ERROR) { /* a text that is no locale */
        error = U_ZERO_ERROR;
        (*out)->breaks = ubrk_open(UBRK_SENTENCE, "", NULL, 0, &error);
    }
    if (U_FAILURE(error)) {
        sentence_splitter_destroy(*out);
        *out = NULL;
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "ICU cannot find sentences of locale \"%s\": %s", locale,
                          u_errorName(error));
    }
    uloc_getLanguage(locale, language, sizeof language, &error);
    (*out)->abbreviations = U_SUCCESS(error) && strcmp(language, "en") == 0;
    return POFAC_OK;
}

void sentence_splitter_destroy(sentence_splitter *s) {
    if (!s) return;
    if (s->breaks) ubrk_close(s->breaks);
    utext_close(&s->text);
    free(s);
}

/* ---- characters ---- */

static bool is_white(UChar32 c) { return c >= 0 && u_isUWhiteSpace(c); }

static bool ends_line(UChar32 c) { return (c >= '\n' && c <= '\r') || c == 0x85 || c == 0x2028 || c == 0x2029; }

/* Goes over white space from `at` to `end`; returns where it ends. */
static int32_t skip_white(const line_range *l, int32_t at, int32_t end) {
    while (at < end) {
        UChar32 c;
        int32_t next = at;
        U8_NEXT(l->text, next, end, c);
        if (!is_white(c)) break;
        at = next;
    }
    return at;
}

/* Goes over white space backwards from `end` to `begin`; *ended when an end of a line is in it. */
static int32_t trim_white(const line_range *l, int32_t begin, int32_t end, bool *ended) {
    while (end > begin) {
        UChar32 c;
        int32_t before = end;
        U8_PREV(l->text, begin, before, c);
        if (!is_white(c)) break;
        *ended |= ends_line(c);
        end = before;
    }
    return end;
}

/* Goes over quotes and brackets that close, backwards. */
static int32_t trim_closing(const line_range *l, int32_t begin, int32_t end) {
    while (end > begin) {
        UChar32 c;
        int32_t before = end;
        U8_PREV(l->text, begin, before, c);
        const int8_t type = c < 0 ? U_UNASSIGNED : u_charType(c);
        if (c != '"' && c != '\'' && type != U_END_PUNCTUATION && type != U_FINAL_PUNCTUATION) break;
        end = before;
    }
    return end;
}

/* The character at `at`, behind quotes and brackets that open; -1 at the end. *at moves to it. */
static UChar32 first_character(const line_range *l, int32_t *at) {
    enum { MOST = 4 };
    for (int i = 0; i < MOST && *at < l->size; i++) {
        UChar32 c;
        int32_t next = *at;
        U8_NEXT(l->text, next, l->size, c);
        const int8_t type = c < 0 ? U_UNASSIGNED : u_charType(c);
        if (c != '"' && c != '\'' && type != U_START_PUNCTUATION && type != U_INITIAL_PUNCTUATION) return c;
        *at = next;
    }
    return -1;
}

/* ---- words ---- */

static bool is_ascii_letter(uint8_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

static bool is_upper(uint8_t c) { return c >= 'A' && c <= 'Z'; }

/* What ends in the full stop at `stop`: bytes up to white space, a bracket, a quote or a dash; 0-terminated, with its length, which is 0
 * where it is longer than any row of the table. */
static int32_t read_word(const line_range *l, int32_t begin, int32_t stop, char word[LONGEST_WORD + 1]) {
    int32_t at = stop;
    while (at > begin && stop - at <= LONGEST_WORD) {
        UChar32 c;
        int32_t before = at;
        U8_PREV(l->text, begin, before, c);
        if (c < 0 || (c != '.' && !u_isalnum(c))) break;
        at = before;
    }
    const int32_t n = stop - at;
    if (n > LONGEST_WORD) return 0;
    memcpy(word, l->text + at, (size_t)n);
    word[n] = 0;
    return n;
}

static abbreviation_kind find_abbreviation(const char *word) {
    size_t low = 0, high = sizeof abbreviations / sizeof *abbreviations;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(word, abbreviations[middle].text);
        if (order == 0) return abbreviations[middle].kind;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return ABBREVIATION_NONE;
}

/* One capital letter, or capital letters with full stops between them: "J", "J.R.R", "U.S". */
static bool is_initials(const char *word) {
    int32_t at = 0, n = (int32_t)strlen(word);
    const uint8_t *text = (const uint8_t *)word;
    for (;;) {
        UChar32 c;
        U8_NEXT(text, at, n, c);
        if (c < 0 || !u_isupper(c)) return false;
        if (at == n) return true;
        if (word[at++] != '.' || at == n) return false;
    }
}

/* Whether a degree sign stands before `at`: the letter behind it is no initial (30 °C). */
static bool is_degree(const line_range *l, int32_t begin, int32_t at) {
    return at - begin >= 2 && l->text[at - 2] == 0xC2 && l->text[at - 1] == 0xB0;
}

static abbreviation_kind kind_of(const char *word) {
    const abbreviation_kind kind = find_abbreviation(word);
    return kind == ABBREVIATION_NONE && is_initials(word) ? ABBREVIATION_MAYBE : kind;
}

static bool begins_with_starter(const line_range *l, int32_t at) {
    char word[LONGEST_WORD + 1];
    int32_t n = 0;
    while (at + n < l->size && n < LONGEST_WORD && is_ascii_letter(l->text[at + n])) n++;
    memcpy(word, l->text + at, (size_t)n);
    word[n] = 0;
    size_t low = 0, high = sizeof starters / sizeof *starters;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(word, starters[middle]);
        if (order == 0) return true;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return false;
}

/* A digit, or a Roman number of capital letters. */
static bool begins_with_number(const line_range *l, int32_t at) {
    if (at < l->size && l->text[at] >= '0' && l->text[at] <= '9') return true;
    const int32_t begin = at;
    while (at < l->size && at - begin < 8 && is_upper(l->text[at]) && strchr("IVXLCDM", l->text[at])) at++;
    return at > begin && (at == l->size || !is_ascii_letter(l->text[at]));
}

/* ---- sentences ---- */

/* Whether the sentence that begins at `begin` goes on behind the end that ICU proposes. */
static bool goes_on(const sentence_splitter *s, const line_range *l, int32_t begin, int32_t proposed) {
    bool line_ended = false;
    const int32_t end = trim_white(l, begin, proposed, &line_ended), mark = trim_closing(l, begin, end);
    int32_t next = skip_white(l, proposed, l->size);
    if (line_ended || mark == begin || next == l->size) return false;
    const int32_t following = next;
    const UChar32 c = first_character(l, &next);
    const uint8_t terminator = l->text[mark - 1];
    if (terminator == '!' || terminator == '?') return c >= 0 && u_islower(c) && following == next;
    if (terminator != '.') return false;
    if (mark - begin >= 2 && l->text[mark - 2] == '.') return c >= 0 && u_islower(c);
    char word[LONGEST_WORD + 1];
    const int32_t n = read_word(l, begin, mark - 1, word);
    if (n == 0) return false;
    if (n <= 3 && n == mark - 1 - begin && strspn(word, "0123456789") == (size_t)n) return true;
    if (!s->abbreviations || is_degree(l, begin, mark - 1 - n)) return false;
    switch (kind_of(word)) {
    case ABBREVIATION_TITLE: return mark == end || !begins_with_starter(l, next);
    case ABBREVIATION_NUMBER: return mark == end && begins_with_number(l, next);
    case ABBREVIATION_MAYBE: return !begins_with_starter(l, next);
    default: return false;
    }
}

/* Calls back for the sentence [begin, end) of the line, which begins at `offset` of the text. */
static pofac_status emit(const line_range *l, size_t offset, int32_t begin, int32_t end, sentence_fn fn, void *context) {
    bool ended = false;
    begin = skip_white(l, begin, end);
    end = trim_white(l, begin, end, &ended);
    return begin < end ? fn(context, offset + (size_t)begin, offset + (size_t)end) : POFAC_OK;
}

static pofac_status split_line(sentence_splitter *s, const char *text, size_t begin, size_t end, const diag_sink *sink,
                               sentence_fn fn, void *context) {
    const line_range l = {(const uint8_t *)text + begin, (int32_t)(end - begin)};
    UErrorCode error = U_ZERO_ERROR;
    utext_openUTF8(&s->text, text + begin, (int64_t)(end - begin), &error);
    ubrk_setUText(s->breaks, &s->text, &error);
    if (U_FAILURE(error)) return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "ICU cannot find sentences: %s", u_errorName(error));
    int32_t sentence = skip_white(&l, 0, l.size);
    ubrk_first(s->breaks);
    for (int32_t at; (at = ubrk_next(s->breaks)) != UBRK_DONE;) {
        if (at <= sentence || (at < l.size && goes_on(s, &l, sentence, at))) continue;
        TRY(emit(&l, begin, sentence, at, fn, context));
        sentence = skip_white(&l, at, l.size);
    }
    return emit(&l, begin, sentence, l.size, fn, context);
}

/* The end of the line's piece that begins at `begin`: the line's, or a character's when the line is too long. */
static size_t piece_end(const char *text, size_t begin, size_t bytes) {
    const char *newline = memchr(text + begin, '\n', bytes - begin);
    size_t end = newline ? (size_t)(newline - text) : bytes;
    if (end - begin <= MAX_PIECE_BYTES) return end;
    end = begin + MAX_PIECE_BYTES;
    for (int i = 0; i < 3 && ((unsigned char)text[end] & 0xC0) == 0x80; i++) end--;
    return end;
}

pofac_status sentences_split(sentence_splitter *s, const char *text, size_t bytes, const diag_sink *sink, sentence_fn fn,
                             void *context) {
    for (size_t at = 0; at < bytes;) {
        const size_t end = piece_end(text, at, bytes);
        TRY(split_line(s, text, at, end, sink, fn, context));
        at = end + (end < bytes && text[end] == '\n');
    }
    return POFAC_OK;
}
