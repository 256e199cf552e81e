/* Files of a task -> its examples, tokenised once and kept in memory: field "labels" i64 [B] of a classification, f32 [B] of a regression, i64 per token of
 * token classification; none when no example has a label. */
#ifndef POFAC_FRONTEND_DATA_TASK_EXAMPLES_H
#define POFAC_FRONTEND_DATA_TASK_EXAMPLES_H

#include "frontend/data/task_reader.h"
#include "frontend/data/token_store.h"

typedef struct task_examples_options {
    task_reader_options reading; /* with the label set, of a classification */
    const tokenizer *tokenizer;
    size_t max_length; /* tokens of an example, special ones included */
} task_examples_options;

typedef struct task_examples_counts {
    task_counts rows;
    uint64_t truncated; /* examples that were cut to max_length */
} task_examples_counts;

/* Reads all files, one after the other; example i of the store is the i-th of them. POFAC_ERR_INPUT as task_reader_open and task_reader_next; when
 * some examples have a label and others have none; when the label set is empty though the task needs one. */
POFAC_MUST_USE pofac_status task_examples_load(const char *const *paths, size_t n, const task_examples_options *options,
                                               const diag_sink *sink, token_store **out, task_examples_counts *counts);

#endif
