/*
 * Tokens of the text form of modules (grammar in text.h), and messages about places in the text.
 *
 * The lexer points into the text and copies nothing. Strings are checked when their token is made, so that decoding cannot fail
 * but for memory.
 */
#ifndef POFAC_IR_TEXT_LEX_H
#define POFAC_IR_TEXT_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"

typedef enum text_token_kind {
    TOKEN_END,    /* end of the text */
    TOKEN_NAME,   /* [A-Za-z_][A-Za-z0-9_]* */
    TOKEN_NUMBER, /* 12, 0.5, 1e-12: unsigned, decimal */
    TOKEN_STRING, /* "...", with its quotes and escapes */
    TOKEN_VALUE,  /* %12: `number` is 12 */
    TOKEN_GRAPH,  /* @name or @"...": `text` starts after the @ */
    TOKEN_MARK    /* ( ) { } [ ] < > <= = : , # * + - */
} text_token_kind;

typedef struct text_token {
    text_token_kind kind;
    const char *text; /* not 0-terminated */
    size_t n;
    uint32_t line, column; /* of its first byte, from 1 */
    uint32_t number;
} text_token;

typedef struct text_lexer {
    const char *file, *text;
    size_t n, at, line_start;
    uint32_t line;
    const diag_sink *sink;
    text_token token; /* the current one */
} text_lexer;

/* Starts at the first token. */
POFAC_MUST_USE pofac_status text_lex_begin(text_lexer *lx, const char *file, const char *text, size_t n, const diag_sink *sink);

/* Goes to the next token; at the end of the text it stays there. */
POFAC_MUST_USE pofac_status text_lex_next(text_lexer *lx);

/* True when the current token is the mark, or the name, `text`. */
bool text_lex_is(const text_lexer *lx, const char *text);

/* The place of a line and column of the text, with the source line. Takes time in proportion to the text before it. */
diag_place text_lex_place(const text_lexer *lx, uint32_t line, uint32_t column);

/* An error at `token`, which was read from this text. */
POFAC_PRINTF(3, 4) pofac_status text_lex_error(const text_lexer *lx, const text_token *token, const char *format, ...);

/* Sends "found TOKEN, wanted WANTED" about the current token. */
pofac_status text_lex_unwanted(const text_lexer *lx, const char *wanted);

#ifdef __clang_analyzer__ /* which sees one file at a time: what the two return */
#define text_lex_error(...) ((void)text_lex_error(__VA_ARGS__), POFAC_ERR_INPUT)
#define text_lex_unwanted(...) ((void)text_lex_unwanted(__VA_ARGS__), POFAC_ERR_INPUT)
#endif

/* The bytes that a string token (or a graph token) means; NULL when memory is short. */
const char *text_lex_string(const text_token *token, arena *memory);

/* Appends the string token that means `text`: printable ASCII and UTF-8 as they are, the rest as \" \\ \n \t \xNN. */
void text_put_string(strbuf *out, const char *text);

/* True when `name` can stand after @ without quotes. */
bool text_is_graph_name(const char *name);

#endif
