/*
 * A text's characters in the form that BERT's words are looked for in (Devlin et al., "BERT", 2018; the reference's BasicTokenizer):
 *
 *   drop       bytes that are not UTF-8, U+0000, U+FFFD and categories C* (control, format, private, unassigned)
 *   white      tab, \n, \r, categories Zs, Zl and Zp are spaces (the first three are not dropped as control characters)
 *   CJK        an ideograph of CJK stands alone (tokenize_chinese_chars)
 *   lower      full lower-case mapping, with the final sigma (do_lower_case)
 *   accents    canonical decomposition; what is an accent then, category Mn, is for the caller to drop, since canonical order looks at
 *              accents too (strip_accents)
 *
 * The Unicode data are those of ICU.
 */
#include "frontend/text/normalizer.h"

#include <stdlib.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include "ir/support/vector.h"

#define CAPITAL_SIGMA 0x3A3
#define SMALL_SIGMA 0x3C3
#define FINAL_SIGMA 0x3C2
#define CAPITAL_I_WITH_DOT 0x130 /* the one character whose lower case is two everywhere: i and COMBINING DOT ABOVE */
#define COMBINING_DOT_ABOVE 0x307

/* ---- characters ---- */

static bool is_white(UChar32 c) { return c == '\t' || c == '\n' || c == '\r' || (U_GET_GC_MASK(c) & U_GC_Z_MASK) != 0; }

static bool is_dropped(UChar32 c) {
    if (c < 0 || c == 0xFFFD) return true;
    return c != '\t' && c != '\n' && c != '\r' && (U_GET_GC_MASK(c) & U_GC_C_MASK) != 0;
}

/* The blocks that the reference lists; not Hiragana, Katakana or Hangul, which are written in words. */
static bool is_chinese(UChar32 c) {
    static const struct {
        UChar32 first, last;
    } blocks[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
                  {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0x2F800, 0x2FA1F}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks && c >= blocks[i].first; i++)
        if (c <= blocks[i].last) return true;
    return false;
}

/* ---- the final sigma ---- */

size_t text_previous_character(const text_range *r, size_t at, int32_t *c) {
    for (size_t begin = at - 1; begin + 4 >= at; begin--) {
        if (!U8_IS_TRAIL(r->text[begin])) {
            size_t next = begin;
            U8_NEXT(r->text, next, at, *c);
            if (next == at) return begin;
        }
        if (begin == r->begin) break;
    }
    *c = -1;
    return at - 1;
}

/* Whether the sigma at [begin,end) is the last letter of a word (Unicode, section 3.13, Final_Sigma): a cased letter comes before it
 * and none after it, characters that are ignored for case aside. Dropped characters are not there any more. */
static bool is_final_sigma(const text_range *r, size_t begin, size_t end) {
    UChar32 c = 0;
    bool cased = false;
    for (size_t at = begin; at > r->begin && !cased;) {
        at = text_previous_character(r, at, &c);
        if (is_dropped(c) || u_hasBinaryProperty(c, UCHAR_CASE_IGNORABLE)) continue;
        if (!u_hasBinaryProperty(c, UCHAR_CASED)) return false;
        cased = true;
    }
    if (!cased) return false;
    for (size_t at = end; at < r->end;) {
        U8_NEXT(r->text, at, r->end, c);
        if (is_dropped(c) || u_hasBinaryProperty(c, UCHAR_CASE_IGNORABLE)) continue;
        return !u_hasBinaryProperty(c, UCHAR_CASED);
    }
    return true;
}

/* ---- one character ---- */

pofac_status normalizer_init(text_normalizer *z, const tokenizer_options *options, const diag_sink *sink) {
    *z = (text_normalizer){NULL, options->do_lower_case == TOKENIZER_ON, options->tokenize_chinese_chars == TOKENIZER_ON};
    if (options->strip_accents != TOKENIZER_ON) return POFAC_OK;
    UErrorCode error = U_ZERO_ERROR;
    z->nfd = unorm2_getNFDInstance(&error);
    if (U_SUCCESS(error)) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "ICU cannot load its normalization data: %s", u_errorName(error));
}

static void decompose(const text_normalizer *z, UChar32 c, normal_characters *out) {
    UChar units[NORMALIZER_MAX_UNITS];
    UErrorCode error = U_ZERO_ERROR;
    int32_t n = z->nfd && c >= 0xC0 ? unorm2_getDecomposition(z->nfd, c, units, NORMALIZER_MAX_UNITS, &error) : -1;
    if (n < 0 || U_FAILURE(error)) {
        out->c[out->n++] = c;
        return;
    }
    for (int32_t i = 0; i < n; out->n++) U16_NEXT(units, i, n, out->c[out->n]);
}

void normalizer_next(const text_normalizer *z, const text_range *r, size_t *at, normal_characters *out) {
    const size_t begin = *at;
    UChar32 c;
    U8_NEXT(r->text, *at, r->end, c);
    out->n = 0;
    out->white = out->chinese = false;
    if (is_dropped(c)) return;
    if (is_white(c)) {
        out->white = true;
        out->c[out->n++] = ' ';
        return;
    }
    out->chinese = z->chinese && is_chinese(c);
    if (!z->lower) {
        decompose(z, c, out);
    } else if (c == CAPITAL_I_WITH_DOT) {
        decompose(z, 'i', out);
        decompose(z, COMBINING_DOT_ABOVE, out);
    } else {
        UChar32 lower = c == CAPITAL_SIGMA ? (is_final_sigma(r, begin, *at) ? FINAL_SIGMA : SMALL_SIGMA) : u_tolower(c);
        decompose(z, lower, out);
    }
}

bool normalizer_is_accent(const text_normalizer *z, int32_t c) { return z->nfd && u_charType(c) == U_NON_SPACING_MARK; }

/* ---- whole texts ---- */

static bool put(normal_text *out, int32_t c, size_t begin, size_t end) {
    uint8_t bytes[U8_MAX_LENGTH];
    size_t n = 0, at = out->bytes.size;
    U8_APPEND_UNSAFE(bytes, n, c);
    strbuf_append(&out->bytes, bytes, n);
    if (!strbuf_ok(&out->bytes)) return false;
    if (!vector_reserve((void **)&out->origin, &out->origin_capacity, sizeof *out->origin, at + n)) return false;
    for (size_t i = 0; i < n; i++) out->origin[at + i] = (normal_byte){begin, end};
    return true;
}

bool normalizer_run(const text_normalizer *z, const text_range *r, normal_text *out) {
    strbuf_clear(&out->bytes);
    for (size_t at = r->begin; at < r->end;) {
        const size_t begin = at;
        normal_characters characters;
        normalizer_next(z, r, &at, &characters);
        if (characters.chinese && !put(out, ' ', begin, begin)) return false;
        for (size_t i = 0; i < characters.n; i++)
            if (!normalizer_is_accent(z, characters.c[i]) && !put(out, characters.c[i], begin, at)) return false;
        if (characters.chinese && !put(out, ' ', at, at)) return false;
    }
    return true;
}

void normal_text_free(normal_text *n) {
    strbuf_free(&n->bytes);
    free(n->origin);
    *n = (normal_text)NORMAL_TEXT_INIT;
}
