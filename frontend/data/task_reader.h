/*
 * A task's file -> examples, one after the other: rows of TSV or CSV, JSON objects a line, or CoNLL's sentences; each may be compressed by
 * gzip. Memory grows with the longest row, not with the file.
 *
 *   header     the first line of TSV and CSV, if one of its cells is a column name of the task; without one, columns are found by
 *              their number (TASK_LAYOUT)
 *   no labels  a file without a label column, and rows whose label is null, or -1 where a task has labels or a range of its own, as data
 *              sets' test parts have them
 *   UTF-8      text columns and labels must be; other columns may hold anything
 *
 * What is wrong in a row - not UTF-8, too few or too many columns, an empty text, a label that is none - is an error `FILE:LINE: what was
 * found, what was wanted`; or, with skip_bad_rows, counted, and a warning for the first few.
 */
#ifndef POFAC_FRONTEND_DATA_TASK_READER_H
#define POFAC_FRONTEND_DATA_TASK_READER_H

#include "frontend/data/conll_sentence.h"
#include "frontend/data/label_set.h"
#include "frontend/data/tag_scheme.h"

typedef enum task_format { TASK_FORMAT_AUTO, TASK_FORMAT_TSV, TASK_FORMAT_CSV, TASK_FORMAT_JSONL, TASK_FORMAT_CONLL } task_format;

typedef struct task_reader_options {
    const task_info *task;
    task_format
        format; /* AUTO: by the name's ending: .csv, .json or .jsonl; of token classification else CoNLL, of others else TSV */
    const label_set *labels;             /* NULL or empty: labels are handed on as the file has them */
    const char *columns[TASK_N_COLUMNS]; /* names of columns instead of the task's; NULL: the task's */
    bool needs_labels;                   /* an example without a label is an error */
    bool skip_bad_rows;
    int tag_column;    /* of CoNLL, from 1; 0: the last */
    tag_scheme scheme; /* of token classification: what tags are turned into */
} task_reader_options;

/* Everything lives until the next call. */
typedef struct task_example {
    uint64_t line; /* from 1; of a sentence's first word, a quoted row's first line */
    const char *text_a,
        *text_b; /* UTF-8 without NUL, 0-terminated, not empty; text_b NULL where there is none. NULL of token classification */
    size_t text_a_bytes, text_b_bytes;
    bool has_label;
    const char *label_text;    /* as the file has it; NULL of token classification and without a label */
    int32_t label;             /* of classification: index in the label set, -1 without one */
    double score;              /* of regression */
    size_t n_words;            /* of token classification */
    const char *const *words;  /* [n_words] */
    const char *const *tags;   /* [n_words]; NULL without labels */
    const int32_t *tag_labels; /* [n_words] indices in the label set; NULL without labels or set */
} task_example;

typedef struct task_counts {
    uint64_t examples, unlabelled, bad_rows;
} task_counts;

typedef struct task_reader task_reader;

/* `path`, the options' texts and sets must outlive the reader. POFAC_ERR_INPUT: the file cannot be opened, its first line is no header
 * and no layout is known for it, the header lacks a text column; of JSON lines and CoNLL none of these. POFAC_ERR_USAGE: question
 * answering, which has a reader of its own; a format that the task does not have. */
POFAC_MUST_USE pofac_status task_reader_open(const char *path, const task_reader_options *options, const diag_sink *sink,
                                             task_reader **out);
void task_reader_close(task_reader *r); /* NULL is fine */

/* The next example; *found is false at the end. POFAC_ERR_INPUT as above and as text_lines_next; rows are not skipped where these fail. */
POFAC_MUST_USE pofac_status task_reader_next(task_reader *r, const diag_sink *sink, task_example *out, bool *found);

task_counts task_reader_counts(const task_reader *r); /* so far */
task_format task_reader_format(const task_reader *r);
bool task_reader_has_header(const task_reader *r); /* of TSV and CSV */

/* "tsv", "csv", "jsonl", "conll"; false when unknown. */
bool task_format_parse(const char *name, task_format *out);
const char *task_format_name(task_format format);

/* The labels of all examples, as files have them, for tasks that leave theirs open. `options` as for reading; its labels are not looked at. */
POFAC_MUST_USE pofac_status task_labels_collect(const char *path, const task_reader_options *options, const diag_sink *sink,
                                                label_collector *collector);

#endif
