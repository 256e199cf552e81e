/*
 * Lines of a file, a pipe or a terminal, one after the other, without their ends (\n or \r\n) and without a byte order mark before the
 * first. Memory grows with the longest line. Waiting for input ends when a signal comes, and a caller can ask beforehand whether it
 * would have to wait.
 */
#ifndef POFAC_FRONTEND_LINE_READER_H
#define POFAC_FRONTEND_LINE_READER_H

#include "frontend/driver/interruption.h"

/* Longer lines are an error: no text is, and a file without line ends must not fill the memory. */
#define LINE_READER_MAX_BYTES ((size_t)64 << 20)

typedef struct line_reader line_reader;

/* Reads `path`, which must outlive the reader, or standard input for "-". POFAC_ERR_INPUT when it cannot be opened. */
POFAC_MUST_USE pofac_status line_reader_open(const char *path, const diag_sink *sink, line_reader **out);
void line_reader_close(line_reader *r); /* NULL is fine */

/* Signals that `stop` notes end waiting; it must outlive the reader. */
void line_reader_watch(line_reader *r, interruption *stop);

/* The next line, n bytes and a 0, which the caller may change, valid until the next call; *out is NULL at the end. POFAC_ERR_INPUT
 * with the file: it cannot be read; with the line as well: longer than LINE_READER_MAX_BYTES. POFAC_ERR_INTERRUPTED, without a message,
 * when a signal came while there was nothing to read. */
POFAC_MUST_USE pofac_status line_reader_next(line_reader *r, const diag_sink *sink, char **out, size_t *n);

/* Can a line, or the end, be had without waiting for whoever writes the input? */
bool line_reader_is_ready(line_reader *r);

const char *line_reader_name(const line_reader *r);    /* for messages: the path, or "standard input" */
uint64_t line_reader_line(const line_reader *r);       /* number of the last line, from 1 */
uint64_t line_reader_bytes(const line_reader *r);      /* of the lines given out, with their ends */
int64_t line_reader_total_bytes(const line_reader *r); /* of the whole input; -1: not known */

#endif
