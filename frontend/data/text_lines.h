/*
 * Lines of a file that may be compressed by gzip, one after the other, without their ends (\n or \r\n) and without a byte order mark
 * before the first. Memory grows with the longest line.
 */
#ifndef POFAC_FRONTEND_DATA_TEXT_LINES_H
#define POFAC_FRONTEND_DATA_TEXT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"

/* Longer lines are an error: no example is, and a file without line ends must not fill the memory. */
#define TEXT_LINES_MAX_BYTES ((size_t)16 << 20)

typedef struct text_lines text_lines;

/* `path` must outlive the reader. POFAC_ERR_INPUT with the file: it cannot be opened. */
POFAC_MUST_USE pofac_status text_lines_open(const char *path, const diag_sink *sink, text_lines **out);
void text_lines_close(text_lines *r); /* NULL is fine */

/* The next line, n bytes and a 0, valid until the next call; *out is NULL at the end. POFAC_ERR_INPUT with the file: it cannot be read,
 * the compressed data are damaged or cut off; with the line as well: longer than TEXT_LINES_MAX_BYTES. After an error only closing
 * is left. */
POFAC_MUST_USE pofac_status text_lines_next(text_lines *r, const diag_sink *sink, char **out, size_t *n);

uint64_t text_lines_line(const text_lines *r); /* number of the last line, from 1 */

#endif
