/* The table of tasks (frontend/tasks.def), and what is read off it. Everything here is constant and lives for ever. */
#ifndef POFAC_FRONTEND_DATA_TASKS_H
#define POFAC_FRONTEND_DATA_TASKS_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"

typedef enum task_kind { TASK_CLASSIFICATION, TASK_REGRESSION, TASK_TOKEN_CLASSIFICATION, TASK_QUESTION_ANSWERING } task_kind;

/* The columns that a row is made of, in this order wherever there is one of each. */
typedef enum task_column { TASK_TEXT_A, TASK_TEXT_B, TASK_LABEL, TASK_N_COLUMNS } task_column;

typedef struct task_info {
    const char *name;
    task_kind kind;
    const char *columns[TASK_N_COLUMNS]; /* names that a header may have, "a|b"; "": there is no such column */
    const char *labels;                  /* "a|b", or "" */
    double low, high;                    /* of scores */
    const char *metrics;                 /* "a|b" */
    const char *meaning;
} task_info;

/* Where a file without a header has what. */
typedef struct task_layout {
    size_t n_columns;
    int place[TASK_N_COLUMNS]; /* from 0; -1: nowhere */
} task_layout;

/* The tasks in the table's order; NULL past the end. */
const task_info *task_row(size_t i);

/* By name, in any case of letters, '-' and '_' left out ("sst-2", "STS-B"). POFAC_ERR_USAGE when there is none, with the nearest. */
POFAC_MUST_USE pofac_status task_find(const char *name, const diag_sink *sink, const task_info **out);

/* The layout of a file of `task` whose first line has n columns; NULL when none is known. */
const task_layout *task_layout_find(const task_info *task, size_t n_columns);

/* The layouts of `task` in the table's order; NULL past the end. */
const task_layout *task_layout_row(const task_info *task, size_t i);

/* Whether rows of `task` have one text or two: own data. */
bool task_pair_is_optional(const task_info *task);

/* The splits of `task` in the table's order, "train", "dev_matched", ...; NULL past the end. */
const char *task_split_row(const task_info *task, size_t i);

/* The file of a split in a directory, in `a`; NULL when there is none. POFAC_ERR_RUNTIME when memory is short. */
POFAC_MUST_USE pofac_status task_split_file(const task_info *task, const char *directory, const char *split, arena *a,
                                            const diag_sink *sink, const char **out);

/* The i-th of the names "a|b|c": where it begins and its length; false past the end. */
bool task_name_at(const char *names, size_t i, const char **name, size_t *n);
size_t task_name_count(const char *names);

/* The names of a list in `a`, each 0-terminated; NULL when memory is short. */
const char **task_names_split(const char *names, arena *a, size_t *n);

/* The place of a word among "a|b|c", letters of ASCII in any case; -1 when it is none of them. */
int task_name_find(const char *names, const char *word, size_t n);

/* The table as text: a line for each task, and lines for its columns, labels, metrics and splits. */
void tasks_put(strbuf *out);

#endif
