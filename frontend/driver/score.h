/*
 * Predictions beside a task's data -> the task's metrics (frontend/tasks.def, frontend/metrics.def).
 *
 *   squad, squad_v2   predictions: {"ID": "text", ...}, plain or gzip; "" is no answer. v1.1: exact_match and f1; 2.0: exact, f1, total,
 *                     and these of questions with and without an answer; with odds of no answer the best thresholds as well
 *   other tasks       predictions in the order of the data's rows, or by index (score_predictions.h)
 *
 * Memory grows with the predictions, not with the data; metrics keep what metrics.h says.
 */
#ifndef POFAC_FRONTEND_SCORE_H
#define POFAC_FRONTEND_SCORE_H

#include "frontend/data/task_reader.h"
#include "frontend/driver/results_file.h"

/* What becomes of rows without a prediction, and of predictions without a row. BY_TASK: as SQuAD's official scripts have it, the former are
 * wrong and the latter are passed over, each with a warning; of other tasks both fail. */
typedef enum score_missing { SCORE_MISSING_BY_TASK, SCORE_MISSING_FAILS, SCORE_MISSING_IS_WRONG } score_missing;
typedef enum score_extra { SCORE_EXTRA_BY_TASK, SCORE_EXTRA_FAILS, SCORE_EXTRA_IS_IGNORED } score_extra;

typedef struct score_options {
    const char *task, *data, *predictions;
    const char *null_odds;      /* squad_v2: a file {"ID": odds of no answer, ...}, or NULL */
    double no_answer_threshold; /* squad_v2: odds above it mean no answer */
    score_missing missing;
    score_extra extra;
    bool skip_bad_rows; /* of the data */
    task_format format; /* of the data, but SQuAD's */
} score_options;

#define SCORE_MAX_VALUES 24

typedef struct score_result {
    result_value
        values[SCORE_MAX_VALUES]; /* names live for ever; of several metrics of labels or numbers, "combined_score" is their mean */
    size_t n;
    uint64_t rows, missing, extra, skipped; /* skipped: bad rows of the data */
} score_result;

/* POFAC_ERR_USAGE: an unknown task, or what it does not have. POFAC_ERR_INPUT: the data, or the predictions - not JSON, a label that is
 * none, rows without a prediction or the reverse, the first few of which are named. */
POFAC_MUST_USE pofac_status score_file(const score_options *options, const diag_sink *sink, score_result *out);

#endif
