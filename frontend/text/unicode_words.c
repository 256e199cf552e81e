/* Classes of characters by ICU; see unicode_words.h. Texts of ASCII alone never get there. */
#include "frontend/text/unicode_words.h"

#include <limits.h>
#include <stdlib.h>

#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

int32_t unicode_next(const char *text, size_t n, size_t *at) {
    const unsigned char first = (unsigned char)text[*at];
    if (first < 0x80) {
        ++*at;
        return first;
    }
    /* a character has at most four bytes, so offsets of ICU's type are those of a short piece */
    const char *piece = text + *at;
    const int32_t length = n - *at < 4 ? (int32_t)(n - *at) : 4;
    int32_t i = 0, c;
    U8_NEXT(piece, i, length, c);
    *at += (size_t)i;
    return c;
}

bool unicode_is_space(int32_t c) {
    if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f);
    const UCharDirection direction = u_charDirection(c);
    return direction == U_WHITE_SPACE_NEUTRAL || direction == U_BLOCK_SEPARATOR || direction == U_SEGMENT_SEPARATOR ||
           u_charType(c) == U_SPACE_SEPARATOR;
}

bool unicode_is_word(int32_t c) {
    if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    return (U_GET_GC_MASK(c) & (U_GC_L_MASK | U_GC_N_MASK)) != 0 || u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

static bool is_ascii(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] >= 0x80) return false;
    return true;
}

static pofac_status lower_by_icu(const char *text, int32_t n, const diag_sink *sink, strbuf *out) {
    const int32_t capacity = 3 * n; /* the longest that a character of n bytes becomes has one and a half times as many */
    UErrorCode code = U_ZERO_ERROR;
    UCaseMap *map = ucasemap_open("", 0, &code);
    char *bytes = malloc((size_t)capacity + 1);
    int32_t size = 0;
    if (U_SUCCESS(code) && bytes) size = ucasemap_utf8ToLower(map, bytes, capacity, text, n, &code);
    const bool ok = U_SUCCESS(code) && bytes;
    if (ok) strbuf_append(out, bytes, (size_t)size);
    ucasemap_close(map);
    free(bytes);
    return ok && strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status unicode_put_lower(const char *text, size_t n, const diag_sink *sink, strbuf *out) {
    if (n > INT32_MAX / 3)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "found a text of %zu bytes, wanted at most %d", n, INT32_MAX / 3);
    if (!is_ascii(text, n)) return lower_by_icu(text, (int32_t)n, sink, out);
    const size_t begin = out->size;
    strbuf_append(out, text, n);
    if (!strbuf_ok(out)) return diag_out_of_memory(sink);
    for (size_t i = begin; i < out->size; i++)
        if (out->data[i] >= 'A' && out->data[i] <= 'Z') out->data[i] = (char)(out->data[i] - 'A' + 'a');
    return POFAC_OK;
}
