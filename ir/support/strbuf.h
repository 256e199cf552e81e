/*
 * A growing byte string, always 0-terminated. Failure to grow is sticky: appends then do nothing and strbuf_ok is false, so that
 * a writer checks once, at the end.
 */
#ifndef POFAC_IR_SUPPORT_STRBUF_H
#define POFAC_IR_SUPPORT_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "ir/support/status.h"

typedef struct strbuf {
    char *data; /* "" when empty; owned */
    size_t size, capacity;
    bool failed;
} strbuf;

#define STRBUF_INIT                                                                                                                \
    { NULL, 0, 0, false }

void strbuf_free(strbuf *b);
void strbuf_clear(strbuf *b); /* keeps the memory, forgets contents and failure */
void strbuf_append(strbuf *b, const void *bytes, size_t n);
void strbuf_puts(strbuf *b, const char *text);
void strbuf_putc(strbuf *b, char c);
POFAC_PRINTF(2, 3) void strbuf_printf(strbuf *b, const char *format, ...);
POFAC_PRINTF(2, 0) void strbuf_vprintf(strbuf *b, const char *format, va_list args);

/* The contents as a C string; "" for an empty one. Valid until the next change. */
const char *strbuf_str(const strbuf *b);

/* Appends `text` (n bytes of UTF-8) as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void strbuf_put_json(strbuf *b, const char *text, size_t n);

/* Appends it as text of HTML or SVG, also between the quotes of an attribute; invalid UTF-8 and control characters become U+FFFD. */
void strbuf_put_html(strbuf *b, const char *text, size_t n);

static inline bool strbuf_ok(const strbuf *b) { return !b->failed; }

#endif
