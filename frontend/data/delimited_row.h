/*
 * A row of a table of text, split into cells.
 *   TSV, as GLUE has it: cells between tabs; quotes mean nothing.
 *   CSV (RFC 4180): cells between commas; a cell in double quotes may have commas, line ends and "" for a quote in it. A quote within
 *   a cell that does not begin with one is text, as most readers take it.
 */
#ifndef POFAC_FRONTEND_DATA_DELIMITED_ROW_H
#define POFAC_FRONTEND_DATA_DELIMITED_ROW_H

#include "ir/support/strbuf.h"
#include "ir/support/vector.h"

#define DELIMITED_ROW_MAX_CELLS 4096u

typedef struct row_cell {
    const char *text; /* 0-terminated; valid until the next row */
    size_t bytes;
} row_cell;

typedef enum delimited_state {
    ROW_COMPLETE,
    ROW_GOES_ON,     /* a quoted cell is open at the end of the line */
    ROW_TOO_MANY,    /* more than DELIMITED_ROW_MAX_CELLS cells */
    ROW_AFTER_QUOTE, /* text between a closing quote and the next comma */
    ROW_OUT_OF_MEMORY
} delimited_state;

typedef struct delimited_row {
    VEC(row_cell) cells;
    strbuf text;      /* of CSV's cells, each followed by a 0 */
    VEC(size_t) ends; /* in `text`, of CSV's cells */
    bool is_in_quotes;
} delimited_row;

/* Splits a line of n bytes and a 0; the tabs become 0s. */
delimited_state delimited_row_tsv(delimited_row *r, char *line, size_t n);

/* Takes a line of CSV: the first of a row, or after ROW_GOES_ON the next. */
delimited_state delimited_row_csv(delimited_row *r, const char *line, size_t n);

/* Forgets the row, as needs be done when one that goes on is given up. */
void delimited_row_clear(delimited_row *r);
void delimited_row_free(delimited_row *r);

#endif
