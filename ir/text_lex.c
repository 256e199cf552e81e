/*
 * Text of modules to tokens: one token of look-ahead, one pass, no memory. White space and comments (";" to the end of the line)
 * separate tokens and mean nothing else. Bytes from 0x80 are taken in strings and comments, where UTF-8 belongs.
 */
#include "ir/text_lex.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#undef text_lex_error
#undef text_lex_unwanted

#define LEX_MESSAGE(id, format) static const char message_##id[] = format;
#define PARSE_MESSAGE(id, format)
#define WANTED(id, text)
#include "ir/text_messages.def"
#undef LEX_MESSAGE
#undef PARSE_MESSAGE
#undef WANTED

/* Longest part of a token that a message shows. */
#define SHOWN_BYTES 40

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_graph_letter(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-'; }

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The byte `ahead` bytes on, 0 past the end. */
static char peek(const text_lexer *lx, size_t ahead) {
    if (ahead >= lx->n - lx->at) return '\0';
    return lx->text[lx->at + ahead];
}

static uint32_t column_at(const text_lexer *lx, size_t at) {
    size_t column = at - lx->line_start + 1;
    return column < UINT32_MAX ? (uint32_t)column : UINT32_MAX;
}

/* A token without text at the current byte, for messages about single bytes. */
static text_token here(const text_lexer *lx) {
    return (text_token){.text = lx->text + lx->at, .line = lx->line, .column = column_at(lx, lx->at)};
}

static void skip_blanks(text_lexer *lx) {
    while (lx->at < lx->n) {
        char c = lx->text[lx->at];
        if (c == '\n') {
            lx->at++;
            lx->line++;
            lx->line_start = lx->at;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            lx->at++;
        } else if (c == ';') {
            const char *end = memchr(lx->text + lx->at, '\n', lx->n - lx->at);
            lx->at = end ? (size_t)(end - lx->text) : lx->n;
        } else {
            return;
        }
    }
}

/* From the opening quote to past the closing one. */
static pofac_status lex_string(text_lexer *lx) {
    text_token place;
    for (lx->at++; lx->at < lx->n; lx->at++) {
        unsigned char c = (unsigned char)lx->text[lx->at];
        place = here(lx);
        if (c == '"') {
            lx->at++;
            return POFAC_OK;
        }
        if (c == '\n') break;
        if ((c < 0x20 && c != '\t') || c == 0x7F) return text_lex_error(lx, &place, message_STRING_BYTE, c, c);
        if (c != '\\') continue;
        char escape = peek(lx, 1);
        if (escape == 'x') {
            int high = hex_digit(peek(lx, 2)), low = high < 0 ? -1 : hex_digit(peek(lx, 3));
            if (low < 0) return text_lex_error(lx, &place, message_ESCAPE);
            if (high == 0 && low == 0) return text_lex_error(lx, &place, message_ZERO_BYTE);
            lx->at += 3;
        } else if (escape == '"' || escape == '\\' || escape == 'n' || escape == 't') {
            lx->at++;
        } else {
            return text_lex_error(lx, &place, message_ESCAPE);
        }
    }
    place = here(lx);
    return text_lex_error(lx, &place, message_OPEN_STRING);
}

static void skip_digits(text_lexer *lx) {
    while (is_digit(peek(lx, 0))) lx->at++;
}

/* digits [ "." digits ] [ ("e"|"E") [ "+"|"-" ] digits ], and no letter right after it. */
static pofac_status lex_number(text_lexer *lx) {
    text_token place = here(lx);
    bool well_formed = true;
    skip_digits(lx);
    if (peek(lx, 0) == '.') {
        lx->at++;
        well_formed = is_digit(peek(lx, 0));
        skip_digits(lx);
    }
    if (well_formed && (peek(lx, 0) == 'e' || peek(lx, 0) == 'E')) {
        lx->at += peek(lx, 1) == '+' || peek(lx, 1) == '-' ? 2 : 1;
        well_formed = is_digit(peek(lx, 0));
        skip_digits(lx);
    }
    if (!well_formed || is_letter(peek(lx, 0)) || peek(lx, 0) == '.') return text_lex_error(lx, &place, message_NUMBER);
    return POFAC_OK;
}

static pofac_status lex_value(text_lexer *lx) {
    text_token place = here(lx);
    uint64_t number = 0;
    if (!is_digit(peek(lx, 1))) return text_lex_error(lx, &place, message_VALUE_NUMBER);
    for (lx->at++; is_digit(peek(lx, 0)); lx->at++) {
        number = number * 10 + (uint64_t)(peek(lx, 0) - '0');
        if (number > UINT32_MAX) return text_lex_error(lx, &place, message_VALUE_NUMBER);
    }
    lx->token.number = (uint32_t)number;
    return POFAC_OK;
}

static pofac_status lex_graph(text_lexer *lx) {
    text_token place = here(lx);
    lx->at++;
    lx->token.text++;
    if (peek(lx, 0) == '"') return lex_string(lx);
    if (!is_letter(peek(lx, 0))) return text_lex_error(lx, &place, message_GRAPH_NAME);
    while (is_graph_letter(peek(lx, 0))) lx->at++;
    return POFAC_OK;
}

static pofac_status lex_mark(text_lexer *lx) {
    unsigned char c = (unsigned char)peek(lx, 0);
    if (c < 0x20 || c >= 0x7F) return text_lex_error(lx, &lx->token, message_BYTE, c);
    if (!strchr("(){}[]<>=:,#*+-", c)) return text_lex_error(lx, &lx->token, message_CHARACTER, c);
    lx->at += c == '<' && peek(lx, 1) == '=' ? 2 : 1;
    return POFAC_OK;
}

static pofac_status lex_token(text_lexer *lx, char first) {
    if (is_letter(first)) {
        lx->token.kind = TOKEN_NAME;
        while (is_letter(peek(lx, 0)) || is_digit(peek(lx, 0))) lx->at++;
        return POFAC_OK;
    }
    if (is_digit(first)) {
        lx->token.kind = TOKEN_NUMBER;
        return lex_number(lx);
    }
    if (first == '"') {
        lx->token.kind = TOKEN_STRING;
        return lex_string(lx);
    }
    if (first == '%') {
        lx->token.kind = TOKEN_VALUE;
        return lex_value(lx);
    }
    if (first == '@') {
        lx->token.kind = TOKEN_GRAPH;
        return lex_graph(lx);
    }
    lx->token.kind = TOKEN_MARK;
    return lex_mark(lx);
}

pofac_status text_lex_begin(text_lexer *lx, const char *file, const char *text, size_t n, const diag_sink *sink) {
    *lx = (text_lexer){.file = file, .text = n ? text : "", .n = n, .line = 1, .sink = sink};
    return text_lex_next(lx);
}

pofac_status text_lex_next(text_lexer *lx) {
    skip_blanks(lx);
    lx->token = here(lx);
    if (lx->at == lx->n) {
        lx->token.kind = TOKEN_END;
        return POFAC_OK;
    }
    TRY(lex_token(lx, peek(lx, 0)));
    lx->token.n = (size_t)(lx->text + lx->at - lx->token.text);
    return POFAC_OK;
}

bool text_lex_is(const text_lexer *lx, const char *text) {
    const text_token *t = &lx->token;
    return (t->kind == TOKEN_MARK || t->kind == TOKEN_NAME) && t->n == strlen(text) && memcmp(t->text, text, t->n) == 0;
}

diag_place text_lex_place(const text_lexer *lx, uint32_t line, uint32_t column) {
    const char *start = lx->text, *end = lx->text + lx->n;
    for (uint32_t i = 1; i < line && start; i++) {
        start = memchr(start, '\n', (size_t)(end - start));
        if (start) start++;
    }
    diag_place place = {.file = lx->file, .line = line, .column = column};
    if (!start) return place;
    const char *stop = memchr(start, '\n', (size_t)(end - start));
    place.text = start;
    place.text_bytes = (size_t)((stop ? stop : end) - start);
    return place;
}

pofac_status text_lex_error(const text_lexer *lx, const text_token *token, const char *format, ...) {
    diag_place place = text_lex_place(lx, token->line, token->column);
    strbuf message = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&message, format, args);
    va_end(args);
    pofac_status status = strbuf_ok(&message) ? diag_error(lx->sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&message))
                                              : diag_out_of_memory(lx->sink);
    strbuf_free(&message);
    return status;
}

pofac_status text_lex_unwanted(const text_lexer *lx, const char *wanted) {
    const text_token *t = &lx->token;
    if (t->kind == TOKEN_END) return text_lex_error(lx, t, "found the end of the text, wanted %s", wanted);
    const char *sign = t->kind == TOKEN_GRAPH ? "@" : "", *quote = t->kind == TOKEN_STRING ? "" : "'";
    int shown = t->n <= SHOWN_BYTES ? (int)t->n : SHOWN_BYTES;
    const char *rest = t->n <= SHOWN_BYTES ? "" : "...";
    if (*rest) /* cut between characters of UTF-8 */
        while (shown > 0 && ((unsigned char)t->text[shown] & 0xC0) == 0x80) shown--;
    return text_lex_error(lx, t, "found %s%s%.*s%s%s, wanted %s", quote, sign, shown, t->text, rest, quote, wanted);
}

const char *text_lex_string(const text_token *token, arena *memory) {
    const char *from = token->text, *end = token->text + token->n;
    char *text = arena_alloc(memory, token->n + 1), *to = text;
    if (!text) return NULL;
    bool quoted = *from == '"';
    if (quoted) {
        from++;
        end--;
    }
    while (from < end) {
        char c = *from++;
        if (quoted && c == '\\') {
            c = *from++;
            if (c == 'x') {
                c = (char)(hex_digit(from[0]) * 16 + hex_digit(from[1]));
                from += 2;
            } else if (c == 'n' || c == 't') {
                c = c == 'n' ? '\n' : '\t';
            }
        }
        *to++ = c;
    }
    *to = '\0';
    return text;
}

void text_put_string(strbuf *out, const char *text) {
    strbuf_putc(out, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            strbuf_putc(out, '\\');
            strbuf_putc(out, (char)c);
        } else if (c == '\n') {
            strbuf_puts(out, "\\n");
        } else if (c == '\t') {
            strbuf_puts(out, "\\t");
        } else if (c < 0x20 || c == 0x7F) {
            strbuf_printf(out, "\\x%02x", c);
        } else {
            strbuf_putc(out, (char)c);
        }
    }
    strbuf_putc(out, '"');
}

bool text_is_graph_name(const char *name) {
    if (!is_letter(*name)) return false;
    while (is_graph_letter(*name)) name++;
    return *name == '\0';
}
