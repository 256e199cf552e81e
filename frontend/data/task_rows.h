/*
 * Rows of a file in one of the formats of task_reader.h -> the cells of a task's columns. The part of task_reader.c that knows formats.
 */
#ifndef POFAC_FRONTEND_DATA_TASK_ROWS_H
#define POFAC_FRONTEND_DATA_TASK_ROWS_H

#include "frontend/data/delimited_row.h"
#include "frontend/data/task_reader.h"

struct json_t;

typedef struct task_rows {
    const char *path;
    const task_reader_options *options;
    task_format format;
    text_lines *lines;
    delimited_row row;
    size_t n_columns;                  /* of TSV and CSV */
    int place[TASK_N_COLUMNS];         /* of TSV and CSV, from 0; -1: there is no such column */
    bool has_header, is_first_waiting; /* the first row was read to look for a header, and is none */
    uint64_t line;                     /* where the row begins */
    conll_sentence sentence;
    struct json_t *object;          /* of the row */
    strbuf numbers[TASK_N_COLUMNS]; /* JSON numbers as text */
    VEC(const char *) words, tags;  /* of a row of token classification */
    arena memory;                   /* of tags that were numbers or are converted */
    row_cell cells[TASK_N_COLUMNS]; /* of a row of other tasks; text NULL: there is none */
    bool is_fault_in_row;           /* the last error is one of a row: the next can be read */
} task_rows;

POFAC_MUST_USE pofac_status task_rows_open(task_rows *r, const char *path, const task_reader_options *options,
                                           const diag_sink *sink);
void task_rows_close(task_rows *r);

/* Fills line and cells, or words and tags; *found is false at the end. */
POFAC_MUST_USE pofac_status task_rows_next(task_rows *r, const diag_sink *sink, bool *found);

/* An error of the row, at its line. */
POFAC_PRINTF(3, 4) pofac_status task_rows_error(task_rows *r, const diag_sink *sink, const char *format, ...);

#endif
