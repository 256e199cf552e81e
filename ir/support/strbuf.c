/* A growing byte string: capacity doubles; one byte is always kept for the 0 at the end. */
#include "ir/support/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64u

void strbuf_free(strbuf *b) {
    free(b->data);
    *b = (strbuf)STRBUF_INIT;
}

void strbuf_clear(strbuf *b) {
    b->size = 0;
    b->failed = false;
    if (b->data) b->data[0] = 0;
}

/* Makes room for n more bytes and the 0; false, and failed from now on, when there is none. */
static bool grow(strbuf *b, size_t n) {
    if (b->failed) return false;
    if (n < b->capacity - b->size) return true;
    size_t wanted;
    if (__builtin_add_overflow(b->size, n, &wanted) || wanted >= PTRDIFF_MAX / 2) {
        b->failed = true;
        return false;
    }
    wanted += 1;
    size_t capacity = b->capacity ? b->capacity * 2 : FIRST_CAPACITY;
    if (capacity < wanted) capacity = wanted;
    char *data = realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void strbuf_append(strbuf *b, const void *bytes, size_t n) {
    if (!grow(b, n)) return;
    if (n) memcpy(b->data + b->size, bytes, n);
    b->size += n;
    b->data[b->size] = 0;
}

void strbuf_puts(strbuf *b, const char *text) { strbuf_append(b, text, strlen(text)); }

void strbuf_putc(strbuf *b, char c) { strbuf_append(b, &c, 1); }

void strbuf_printf(strbuf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    strbuf_vprintf(b, format, args);
    va_end(args);
}

void strbuf_vprintf(strbuf *b, const char *format, va_list args) {
    if (!grow(b, 0)) return;
    va_list again;
    va_copy(again, args);
    size_t room = b->capacity - b->size;
    int n = vsnprintf(b->data + b->size, room, format, args);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n >= room && grow(b, (size_t)n)) {
        n = vsnprintf(b->data + b->size, (size_t)n + 1, format, again);
    }
    va_end(again);
    if (!b->failed) b->size += (size_t)n;
    b->data[b->size] = 0;
}

const char *strbuf_str(const strbuf *b) { return b->data ? b->data : ""; }

/*
 * The length of the well-formed UTF-8 sequence at `s` (Unicode 15, table 3-7), or 0 and in *bad the length of its longest
 * well-formed beginning, at least 1: the "maximal subpart" that one U+FFFD replaces.
 */
static size_t utf8_sequence(const unsigned char *s, size_t n, size_t *bad) {
    *bad = 1;
    const unsigned char first = s[0];
    if (first < 0x80) return 1;
    if (first < 0xC2 || first > 0xF4) return 0;
    const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    for (size_t i = 1; i < length; i++) {
        unsigned char low = 0x80, high = 0xBF;
        if (i == 1) {
            if (first == 0xE0) low = 0xA0;  /* overlong */
            if (first == 0xED) high = 0x9F; /* surrogates */
            if (first == 0xF0) low = 0x90;  /* overlong */
            if (first == 0xF4) high = 0x8F; /* above U+10FFFF */
        }
        if (i >= n || s[i] < low || s[i] > high) return 0;
        *bad = i + 1;
    }
    return length;
}

static void put_json_ascii(strbuf *b, unsigned char c) {
    switch (c) {
    case '"': strbuf_puts(b, "\\\""); return;
    case '\\': strbuf_puts(b, "\\\\"); return;
    case '\b': strbuf_puts(b, "\\b"); return;
    case '\f': strbuf_puts(b, "\\f"); return;
    case '\n': strbuf_puts(b, "\\n"); return;
    case '\r': strbuf_puts(b, "\\r"); return;
    case '\t': strbuf_puts(b, "\\t"); return;
    default: break;
    }
    if (c < 0x20) strbuf_printf(b, "\\u%04x", c);
    else strbuf_putc(b, (char)c);
}

void strbuf_put_json(strbuf *b, const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    strbuf_putc(b, '"');
    for (size_t i = 0; i < n;) {
        size_t bad;
        size_t length = utf8_sequence(s + i, n - i, &bad);
        if (length == 1) put_json_ascii(b, s[i]);
        else if (length > 1) strbuf_append(b, s + i, length);
        else strbuf_puts(b, "\xEF\xBF\xBD");
        i += length ? length : bad;
    }
    strbuf_putc(b, '"');
}

static void put_html_ascii(strbuf *b, unsigned char c) {
    switch (c) {
    case '&': strbuf_puts(b, "&amp;"); return;
    case '<': strbuf_puts(b, "&lt;"); return;
    case '>': strbuf_puts(b, "&gt;"); return;
    case '"': strbuf_puts(b, "&quot;"); return;
    case '\'': strbuf_puts(b, "&#39;"); return;
    default: break;
    }
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) strbuf_puts(b, "\xEF\xBF\xBD");
    else strbuf_putc(b, (char)c);
}

void strbuf_put_html(strbuf *b, const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        size_t bad;
        size_t length = utf8_sequence(s + i, n - i, &bad);
        if (length == 1) put_html_ascii(b, s[i]);
        else if (length > 1) strbuf_append(b, s + i, length);
        else strbuf_puts(b, "\xEF\xBF\xBD");
        i += length ? length : bad;
    }
}
