/*
 * Metrics -> DIRECTORY/SPLIT_results.json and DIRECTORY/all_results.json, as Hugging Face's Trainer leaves them: one object, keys sorted,
 * indented by four, names with the split before them ("eval_accuracy"). all_results.json keeps what it had under other names.
 */
#ifndef POFAC_FRONTEND_RESULTS_FILE_H
#define POFAC_FRONTEND_RESULTS_FILE_H

#include <stdbool.h>

#include "ir/support/diag.h"

typedef struct result_value {
    const char *name; /* "accuracy"; a name that begins with SPLIT_ stays as it is, and so does "epoch" */
    double value;     /* NaN and infinities are written as null */
    bool is_count;    /* a whole number */
} result_value;

/* Makes the directory where it is missing (its parent is there). The files appear whole. POFAC_ERR_INPUT: all_results.json is there and
 * is no JSON object. */
POFAC_MUST_USE pofac_status results_file_save(const char *directory, const char *split, const result_value *values, size_t n,
                                              const diag_sink *sink);

/* Appends {"accuracy": 0.5, "total": 3} on one line, in the order given, without a newline. */
void results_put_line(const result_value *values, size_t n, strbuf *out);

#endif
