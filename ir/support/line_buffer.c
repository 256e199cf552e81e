/* Lines out of a growing buffer; see line_buffer.h. */
#include "ir/support/line_buffer.h"

#include <stdlib.h>
#include <string.h>

void line_buffer_free(line_buffer *b) {
    free(b->data);
    *b = (line_buffer){0};
}

bool line_buffer_room(line_buffer *b) {
    if (b->begin > 0) {
        memmove(b->data, b->data + b->begin, b->end - b->begin);
        b->searched -= b->begin;
        b->end -= b->begin;
        b->begin = 0;
    }
    if (b->capacity > b->end + LINE_BUFFER_READ_BYTES) return true;
    const size_t capacity = 2 * (b->end + LINE_BUFFER_READ_BYTES);
    char *data = realloc(b->data, capacity);
    if (!data) return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

size_t line_buffer_line_end(line_buffer *b, bool *whole) {
    const size_t from = b->searched > b->begin ? b->searched : b->begin;
    const char *newline = from < b->end ? memchr(b->data + from, '\n', b->end - from) : NULL;
    b->searched = newline ? (size_t)(newline - b->data) : b->end;
    *whole = newline != NULL;
    return b->searched;
}

size_t line_buffer_skip_mark(line_buffer *b) {
    static const char mark[] = "\xef\xbb\xbf";
    if (b->end - b->begin < 3 || memcmp(b->data + b->begin, mark, 3) != 0) return 0;
    b->begin += 3;
    return 3;
}

char *line_buffer_take(line_buffer *b, size_t end, bool whole, size_t *n) {
    char *line = b->data + b->begin;
    *n = end - b->begin;
    b->begin = b->searched = end + whole;
    return line;
}
