/*
 * Files of a task -> what is in them, as one JSON object:
 *   {"task": "sst2", "files": [{"file": "dev.tsv", "format": "tsv", "header": true, "rows": 872, "unlabelled": 0, "bad_rows": 0}],
 *    "rows": 872, "unlabelled": 0, "bad_rows": 0, "labels": {"negative": 428, "positive": 444}}
 * Labels stand in the order of the model's outputs. A regression has "scores" {min, mean, max} instead, token classification also "words".
 * With a vocabulary, "tokens": {"max_seq_length": 128, "total": T, "min", "mean", "median", "p90", "p99", "max": lengths before they are
 * cut, "truncated": rows that are cut, "truncated_share"}.
 */
#ifndef POFAC_FRONTEND_CHECK_TASK_H
#define POFAC_FRONTEND_CHECK_TASK_H

#include "frontend/data/task_reader.h"
#include "frontend/text/tokenizer.h"

typedef struct check_task_options {
    const char *task;
    const char *format;                  /* NULL: by the files' names */
    const char *columns[TASK_N_COLUMNS]; /* NULL: the task's */
    int tag_column;                      /* of CoNLL, from 1; 0: the last */
    const char *tag_scheme;              /* NULL: as it is */
    const char *model;                   /* whose id2label the labels must be, and whose tokenizer is used; may be NULL */
    const char *vocab;                   /* NULL: the model's; without either, tokens are not counted */
    tokenizer_flag do_lower_case;
    int64_t max_seq_length;
    bool needs_labels, skip_bad_rows;
} check_task_options;

/* Reads all of the files; a directory stands for the files of the task's splits in it. Bad rows are counted, the first few with a warning;
 * they make the status POFAC_ERR_INPUT at the end, unless skip_bad_rows says that they do not matter. `out` has the object, followed by a
 * line end, whenever all files were read. */
POFAC_MUST_USE pofac_status check_task(const char *const *paths, size_t n, const check_task_options *options, const diag_sink *sink,
                                       strbuf *out);

#endif
