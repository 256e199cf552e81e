/* Bytes to lines in one growing buffer; see text_lines.h. */
#include "frontend/data/text_lines.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/data/inflated_file.h"
#include "ir/support/line_buffer.h"

struct text_lines {
    const char *path;
    inflated_file *file;
    line_buffer lines;
    bool at_end; /* the buffer has all that is left */
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
    line_buffer_free(&r->lines);
    free(r);
}

static pofac_status read_more(text_lines *r, const diag_sink *sink) {
    size_t n;
    if (!line_buffer_room(&r->lines)) return diag_out_of_memory(sink);
    TRY(inflated_file_read(r->file, r->lines.data + r->lines.end, LINE_BUFFER_READ_BYTES, sink, &n));
    r->lines.end += n;
    r->at_end = n == 0;
    return POFAC_OK;
}

pofac_status text_lines_next(text_lines *r, const diag_sink *sink, char **out, size_t *n) {
    bool whole;
    size_t end = line_buffer_line_end(&r->lines, &whole);
    *out = NULL;
    while (!whole && !r->at_end && end - r->lines.begin <= TEXT_LINES_MAX_BYTES) {
        TRY(read_more(r, sink));
        end = line_buffer_line_end(&r->lines, &whole);
    }
    if (!whole && end == r->lines.begin) return POFAC_OK;
    if (r->line == 0) (void)line_buffer_skip_mark(&r->lines);
    r->line++;
    if (end - r->lines.begin > TEXT_LINES_MAX_BYTES) {
        const diag_place place = {.file = r->path, .line = (uint32_t)r->line};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found a line of more than %zu bytes, wanted shorter ones",
                          TEXT_LINES_MAX_BYTES);
    }
    char *line = line_buffer_take(&r->lines, end, whole, n);
    if (*n > 0 && line[*n - 1] == '\r') --*n;
    line[*n] = 0;
    *out = line;
    return POFAC_OK;
}

uint64_t text_lines_line(const text_lines *r) { return r->line; }
