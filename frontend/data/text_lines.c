/* Bytes to lines in one growing buffer; see text_lines.h. */
#include "frontend/data/text_lines.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/data/inflated_file.h"

#define READ_BYTES ((size_t)1 << 16)

struct text_lines {
    const char *path;
    inflated_file *file;
    char *buffer; /* [capacity], of which [begin, end) was read and not given out */
    size_t begin, end, capacity;
    size_t searched; /* no line end in [begin, searched) */
    bool at_end;     /* the buffer has all that is left */
    uint64_t line;
};

pofac_status text_lines_open(const char *path, const diag_sink *sink, text_lines **out) {
    *out = NULL;
    text_lines *r = calloc(1, sizeof *r);
    if (!r) return diag_out_of_memory(sink);
    r->path = path;
    pofac_status status = inflated_file_open(path, sink, &r->file);
    if (status == POFAC_OK) *out = r;
    else free(r);
    return status;
}

void text_lines_close(text_lines *r) {
    if (!r) return;
    inflated_file_close(r->file);
    free(r->buffer);
    free(r);
}

/* Room for READ_BYTES more and a 0 behind them. */
static bool make_room(text_lines *r) {
    if (r->begin > 0) {
        memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
        r->searched -= r->begin;
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->capacity > r->end + READ_BYTES) return true;
    size_t capacity = 2 * (r->end + READ_BYTES);
    char *buffer = realloc(r->buffer, capacity);
    if (!buffer) return false;
    r->buffer = buffer;
    r->capacity = capacity;
    return true;
}

static pofac_status read_more(text_lines *r, const diag_sink *sink) {
    size_t n;
    if (!make_room(r)) return diag_out_of_memory(sink);
    TRY(inflated_file_read(r->file, r->buffer + r->end, READ_BYTES, sink, &n));
    r->end += n;
    r->at_end = n == 0;
    return POFAC_OK;
}

/* Where the line that starts at `begin` ends; the end of what was read, and *whole false, while that is not known. */
static size_t find_line_end(text_lines *r, bool *whole) {
    size_t from = r->searched > r->begin ? r->searched : r->begin;
    const char *newline = from < r->end ? memchr(r->buffer + from, '\n', r->end - from) : NULL;
    r->searched = newline ? (size_t)(newline - r->buffer) : r->end;
    *whole = newline != NULL;
    return r->searched;
}

static void pass_over_mark(text_lines *r) {
    static const char mark[] = "\xef\xbb\xbf"; /* byte order mark that some editors put before a text */
    if (r->line == 0 && r->end - r->begin >= 3 && memcmp(r->buffer + r->begin, mark, 3) == 0) r->begin += 3;
}

pofac_status text_lines_next(text_lines *r, const diag_sink *sink, char **out, size_t *n) {
    bool whole;
    size_t end = find_line_end(r, &whole);
    *out = NULL;
    while (!whole && !r->at_end && end - r->begin <= TEXT_LINES_MAX_BYTES) {
        TRY(read_more(r, sink));
        end = find_line_end(r, &whole);
    }
    if (!whole && end == r->begin) return POFAC_OK;
    pass_over_mark(r);
    r->line++;
    if (end - r->begin > TEXT_LINES_MAX_BYTES) {
        const diag_place place = {.file = r->path, .line = (uint32_t)r->line};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found a line of more than %zu bytes, wanted shorter ones",
                          TEXT_LINES_MAX_BYTES);
    }
    char *line = r->buffer + r->begin;
    *n = end - r->begin;
    r->begin = r->searched = end + whole;
    if (*n > 0 && line[*n - 1] == '\r') --*n;
    line[*n] = 0;
    *out = line;
    return POFAC_OK;
}

uint64_t text_lines_line(const text_lines *r) { return r->line; }
