/*
 * Lines of text in, one JSON object per line out:
 *   {"tokens": ["[CLS]", "hello", "[SEP]"], "ids": [101, 7592, 102], "offsets": [[0, 0], [0, 5], [0, 0]]}
 * Offsets are bytes [begin,end) within the line; added special tokens have [0, 0].
 */
#ifndef POFAC_FRONTEND_TEXT_TOKENIZE_LINES_H
#define POFAC_FRONTEND_TEXT_TOKENIZE_LINES_H

#include "frontend/text/tokenizer.h"

typedef enum tokenize_lines_mode { TOKENIZE_WITH_SPECIALS, TOKENIZE_WITHOUT_SPECIALS } tokenize_lines_mode;

/* Takes the next part of the output, which always ends at the end of a line; a status other than POFAC_OK stops the work and is
 * handed on. */
typedef pofac_status (*tokenize_lines_write)(void *user, const char *bytes, size_t n);

/* Reads `fd` to its end; `name` stands for it in messages. A line ends with \n or at the end of the input; \r is white space and so
 * yields no token. Lines may have any length; memory grows with the longest line, not with the input. Output is handed over
 * whenever all complete lines read so far are done, so a slow writer at the other end sees results at once. Nothing is truncated. */
POFAC_MUST_USE pofac_status tokenize_lines(const tokenizer *t, int fd, const char *name, tokenize_lines_mode mode,
                                           const diag_sink *sink, tokenize_lines_write write, void *user);

/* Appends the object of one encoding, without a newline. */
void encoding_put_json(const tokenizer *t, const encoding *e, strbuf *out);

#endif
