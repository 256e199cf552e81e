/* Examples of a task's file as text, for comparing: what tests of readers of tasks share. */
#ifndef POFAC_TESTS_UNIT_DATA_TASK_DUMP_H
#define POFAC_TESTS_UNIT_DATA_TASK_DUMP_H

#include "frontend/data/task_reader.h"

/* Appends a line for each example, `LINE text | second text -> label`, then what was said, the directory's name cut from it, and with
 * skip_bad_rows `bad N`. The label is its index, a score, "-" where there is none; of words `word/tag(index)`. */
void dump_task(void **state, const char *path, const task_reader_options *options, strbuf *out);

/* Writes the file, reads it as a file of the task and compares. `labels`: those of the task where the options have none. */
void expect_task(void **state, const char *name, const void *bytes, size_t n, task_reader_options options, const char *wanted);

const task_info *find_task(const char *name);

/* Compresses into a file of gzip's format. */
void put_gzip(void **state, const char *name, const void *bytes, size_t n, const char *mode);

#endif
