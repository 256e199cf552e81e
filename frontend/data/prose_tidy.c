/*
 * Copies raw prose in one walk. A space is held back until the next character shows whether it stays; after an opening parenthesis
 * everything is held back that could turn out to be the remains of something dropped.
 */
#include "frontend/data/prose_tidy.h"

#include <stdbool.h>
#include <string.h>

typedef struct tidying {
    const unsigned char *raw;
    size_t bytes, at;
    strbuf *prose;
    size_t paragraph; /* where it begins in the prose */
    bool space;       /* one is held back */
    bool dropped;     /* something was dropped since the last character */
} tidying;

/* The bytes of the white space character at `at` that is not ASCII: no-break, typographic and ideographic spaces; 0: none. */
static size_t wide_space(const unsigned char *s, size_t left) {
    if (left >= 2 && s[0] == 0xC2 && (s[1] == 0xA0 || s[1] == 0x85)) return 2;
    if (left < 3) return 0;
    if (s[0] == 0xE2 && s[1] == 0x80 && ((s[2] >= 0x80 && s[2] <= 0x8A) || s[2] == 0xA8 || s[2] == 0xA9 || s[2] == 0xAF)) return 3;
    if (s[0] == 0xE2 && s[1] == 0x81 && s[2] == 0x9F) return 3;
    if (s[0] == 0xE3 && s[1] == 0x80 && s[2] == 0x80) return 3;
    return 0;
}

/* The bytes of a character of more than one byte (Unicode 15, table 3-7); 0: it is not UTF-8. */
static size_t character_bytes(const unsigned char *s, size_t left) {
    const size_t n = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || left < n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
        (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

static bool is_word(unsigned char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80; }

static bool in_paragraph(const tidying *t) { return t->prose->size > t->paragraph; }

/* Punctuation that follows a word without a space. */
static bool is_joined(unsigned char c) { return c == ',' || c == '.' || c == ';' || c == ':' || c == '!' || c == '?'; }

static void put(tidying *t, const void *text, size_t bytes) {
    if (t->space && in_paragraph(t)) strbuf_putc(t->prose, ' ');
    strbuf_append(t->prose, text, bytes);
    t->space = t->dropped = false;
}

static bool end_paragraph(tidying *t) {
    t->space = t->dropped = false;
    for (size_t i = t->paragraph; i < t->prose->size; i++)
        if (is_word((unsigned char)t->prose->data[i])) {
            strbuf_putc(t->prose, '\n');
            t->paragraph = t->prose->size;
            return true;
        }
    if (in_paragraph(t)) t->prose->data[t->prose->size = t->paragraph] = 0;
    return false;
}

static void shorten(tidying *t, size_t size) {
    if (t->prose->size > size) t->prose->data[t->prose->size = size] = 0;
}

static int last(const tidying *t) { return in_paragraph(t) ? t->prose->data[t->prose->size - 1] : 0; }

/* Goes over the remains after an opening parenthesis, at `at`; true when something was dropped among them. */
static bool skip_remains(tidying *t) {
    bool dropped = t->dropped;
    for (; t->at < t->bytes && strchr(" ,;:\x1a", t->raw[t->at]) && t->raw[t->at]; t->at++)
        dropped |= t->raw[t->at] == PROSE_DROPPED;
    return dropped;
}

/* Behind '(' in the prose: drops the remains that follow, and the parenthesis with them when it is closed. */
static void begin_parenthesis(tidying *t) {
    const size_t begin = t->at;
    while (last(t) == '(') {
        if (!skip_remains(t)) {
            t->at = begin;
            return;
        }
        t->dropped = true;
        if (t->at == t->bytes || t->raw[t->at] != ')') return;
        t->at++;
        shorten(t, t->prose->size - 1);
        if (last(t) == ' ') {
            shorten(t, t->prose->size - 1);
            t->space = true;
        }
    }
}

static void end_parenthesis(tidying *t) {
    if (t->dropped) {
        while (last(t) && strchr(" ,;:", last(t))) shorten(t, t->prose->size - 1);
        t->space = false;
    }
    put(t, ")", 1);
}

/* A byte that is not UTF-8, or white space that is not ASCII. */
static void odd_character(tidying *t) {
    const size_t space = wide_space(t->raw + t->at, t->bytes - t->at);
    if (space) t->space = true;
    else put(t, "\xEF\xBF\xBD", 3);
    t->at += space ? space : 1;
}

/* Where the run of text from `at` on ends: before what needs a look, and before the spaces that stand there. Single spaces within are
 * part of it. */
static size_t run_end(const tidying *t) {
    static const bool special[256] = {['\n'] = true, [PROSE_DROPPED] = true, ['('] = true, [')'] = true};
    const unsigned char *raw = t->raw;
    const size_t begin = t->at, bytes = t->bytes;
    size_t at = begin;
    while (at < bytes) {
        const unsigned char c = raw[at];
        if (c >= 0x80) {
            const size_t n = wide_space(raw + at, bytes - at) ? 0 : character_bytes(raw + at, bytes - at);
            if (n == 0) break;
            at += n;
        } else {
            if (special[c] | ((c == ' ') & (at + 1 == bytes || raw[at + 1] == ' '))) break;
            at++;
        }
    }
    return at > begin && raw[at - 1] == ' ' ? at - 1 : at;
}

static void text_run(tidying *t) {
    const size_t begin = t->at;
    t->at = run_end(t);
    if (t->at == begin) {
        odd_character(t);
        return;
    }
    if (t->dropped && is_joined(t->raw[begin])) {
        t->space = false;
        if (last(t) == ',' || last(t) == ';' || last(t) == ':') shorten(t, t->prose->size - 1); /* "a, DROPPED, b" */
    }
    put(t, t->raw + begin, t->at - begin);
}

uint64_t prose_tidy(const char *raw, size_t bytes, strbuf *prose) {
    tidying t = {.raw = (const unsigned char *)raw, .bytes = bytes, .prose = prose, .paragraph = prose->size};
    uint64_t n = 0;
    while (t.at < bytes) {
        switch (t.raw[t.at]) {
        case ' ':
            t.space = true;
            t.at++;
            break;
        case '\n':
            n += end_paragraph(&t);
            t.at++;
            break;
        case PROSE_DROPPED:
            t.dropped = true;
            t.at++;
            break;
        case '(':
            put(&t, "(", 1);
            t.at++;
            begin_parenthesis(&t);
            break;
        case ')':
            end_parenthesis(&t);
            t.at++;
            break;
        default: text_run(&t);
        }
    }
    n += end_paragraph(&t);
    return n;
}
