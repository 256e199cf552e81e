/*
 * metrics.jsonl -> columns: for each name the steps at which it stands in a line, and its numbers there. Lines are JSON objects with a whole number "step"; numbers are
 * kept as doubles, null as NaN. What is damaged - cut off, no JSON, no object, no step - is left out and named by its line.
 */
#ifndef POFAC_FRONTEND_REPORT_METRICS_TABLE_H
#define POFAC_FRONTEND_REPORT_METRICS_TABLE_H

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/support/strmap.h"
#include "ir/support/vector.h"

typedef struct metric_column {
    const char *name; /* "loss", "eval_accuracy", "sparsity_per_layer/bert.encoder..." */
    VEC(double) steps;
    VEC(double) values;
} metric_column;

typedef struct metrics_table {
    VEC(metric_column) columns; /* in the order in which their names appear first */
    VEC(size_t) damaged;        /* lines, from 1 */
    size_t n_lines;             /* that are whole */
    strmap names;
} metrics_table;

#define METRICS_TABLE_INIT                                                                                                         \
    { .names = STRMAP_INIT }

/* Reads n bytes of `file`, which warnings name: one for each damaged line, "FILE:LINE: warning: ... left out", at most ten. Members that are no numbers are passed over.
 * Where a line's step is not above one before it, as in files that two runs have written, the later line replaces what stood there for these and later steps. */
POFAC_MUST_USE pofac_status metrics_table_read(const char *file, const void *bytes, size_t n, const diag_sink *sink,
                                               metrics_table *out);
void metrics_table_free(metrics_table *t);

const metric_column *metrics_table_find(const metrics_table *t, const char *name); /* NULL: there is none */

#endif
