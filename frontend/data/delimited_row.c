/* Splitting rows; see delimited_row.h. */
#include "frontend/data/delimited_row.h"

#include <string.h>

delimited_state delimited_row_tsv(delimited_row *r, char *line, size_t n) {
    r->cells.size = 0;
    for (char *cell = line, *end = line + n;;) {
        char *tab = memchr(cell, '\t', (size_t)(end - cell));
        const row_cell found = {cell, (size_t)((tab ? tab : end) - cell)};
        if (r->cells.size == DELIMITED_ROW_MAX_CELLS) return ROW_TOO_MANY;
        if (!VEC_PUSH(&r->cells, found)) return ROW_OUT_OF_MEMORY;
        if (!tab) return ROW_COMPLETE;
        *tab = 0;
        cell = tab + 1;
    }
}

void delimited_row_clear(delimited_row *r) {
    strbuf_clear(&r->text);
    r->cells.size = r->ends.size = 0;
    r->is_in_quotes = false;
}

/* The cell that was collected in `text` is complete. */
static delimited_state end_cell(delimited_row *r) {
    if (r->ends.size == DELIMITED_ROW_MAX_CELLS) return ROW_TOO_MANY;
    if (!VEC_PUSH(&r->ends, r->text.size)) return ROW_OUT_OF_MEMORY;
    strbuf_putc(&r->text, 0);
    return ROW_COMPLETE;
}

/* Copies from within quotes on; *at comes to stand behind the closing quote, or at n. */
static void take_quoted(delimited_row *r, const char *line, size_t n, size_t *at) {
    while (r->is_in_quotes && *at < n) {
        const char *quote = memchr(line + *at, '"', n - *at);
        size_t upto = quote ? (size_t)(quote - line) : n;
        strbuf_append(&r->text, line + *at, upto - *at);
        *at = upto;
        if (!quote) return;
        r->is_in_quotes = upto + 1 < n && line[upto + 1] == '"';
        if (r->is_in_quotes) strbuf_putc(&r->text, '"');
        *at = upto + (r->is_in_quotes ? 2 : 1);
    }
}

static delimited_state point_at_cells(delimited_row *r) {
    size_t begin = 0;
    if (!strbuf_ok(&r->text) || !VEC_RESERVE(&r->cells, r->ends.size)) return ROW_OUT_OF_MEMORY;
    for (size_t i = 0; i < r->ends.size; i++) {
        r->cells.data[i] = (row_cell){r->text.data + begin, r->ends.data[i] - begin};
        begin = r->ends.data[i] + 1;
    }
    r->cells.size = r->ends.size;
    return ROW_COMPLETE;
}

delimited_state delimited_row_csv(delimited_row *r, const char *line, size_t n) {
    size_t at = 0;
    bool goes_on = r->is_in_quotes;
    if (goes_on) strbuf_putc(&r->text, '\n');
    else delimited_row_clear(r);
    for (;;) {
        if (!goes_on && at < n && line[at] == '"') {
            r->is_in_quotes = goes_on = true;
            at++;
        }
        if (goes_on) {
            take_quoted(r, line, n, &at);
            if (r->is_in_quotes) return strbuf_ok(&r->text) ? ROW_GOES_ON : ROW_OUT_OF_MEMORY;
            if (at < n && line[at] != ',') return ROW_AFTER_QUOTE;
        } else {
            const char *comma = memchr(line + at, ',', n - at);
            size_t upto = comma ? (size_t)(comma - line) : n;
            strbuf_append(&r->text, line + at, upto - at);
            at = upto;
        }
        delimited_state state = end_cell(r);
        if (state != ROW_COMPLETE) return state;
        if (at == n) return point_at_cells(r);
        at++;
        goes_on = false;
    }
}

void delimited_row_free(delimited_row *r) {
    VEC_FREE(&r->cells);
    VEC_FREE(&r->ends);
    strbuf_free(&r->text);
}
