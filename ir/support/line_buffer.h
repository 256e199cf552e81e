/*
 * What readers of lines share: a growing buffer that bytes are read into behind, and lines are taken from in front, without the line's end.
 */
#ifndef POFAC_IR_SUPPORT_LINE_BUFFER_H
#define POFAC_IR_SUPPORT_LINE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_BUFFER_READ_BYTES ((size_t)65536) /* that line_buffer_room makes room for */

/* All zero: an empty one. */
typedef struct line_buffer {
    char *data; /* [capacity], of which [begin, end) was read and not given out */
    size_t begin, end, capacity;
    size_t searched; /* no line end in [begin, searched) */
} line_buffer;

void line_buffer_free(line_buffer *b);

/* Room for LINE_BUFFER_READ_BYTES at data + end, and a 0 behind them; false when memory is short. Whoever reads adds to `end`. */
bool line_buffer_room(line_buffer *b);

/* Where the line that starts at `begin` ends; the end of what was read, and *whole false, while that is not known. */
size_t line_buffer_line_end(line_buffer *b, bool *whole);

/* Passes over a byte order mark, which some editors put before a text; returns its bytes, or 0. */
size_t line_buffer_skip_mark(line_buffer *b);

/* The line from `begin` to `end`, which line_buffer_line_end gave with `whole`; valid until more is read. */
char *line_buffer_take(line_buffer *b, size_t end, bool whole, size_t *n);

#endif
