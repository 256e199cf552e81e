/*
 * A file of predictions for rows of a task -> the prediction of each row, as text. Three forms, told apart by the first line:
 *
 *   JSON lines   {"label": ...} or {"score": ...} as `pofac predict` writes them, {"prediction": ...}, or of words {"labels"|"tags"|
 *                "predictions": [...]}; with "index", that is the row's number, else the line's
 *   TSV          index TAB prediction, GLUE's form for submissions; a first line without a number is a header
 *   lines        a prediction each: a label or a number, of words their tags with spaces between
 *
 * Rows count from 0. Plain or gzip. Empty lines are passed over in the first two forms; in the last one they are predictions of no word.
 */
#ifndef POFAC_FRONTEND_SCORE_PREDICTIONS_H
#define POFAC_FRONTEND_SCORE_PREDICTIONS_H

#include "ir/support/diag.h"
#include "ir/support/strmap.h"
#include "ir/support/vector.h"

typedef struct row_prediction {
    const char *text; /* several, of words: with spaces between */
    uint64_t line;
    bool used;
} row_prediction;

typedef struct row_predictions {
    const char *path;
    arena memory;
    strmap by_row; /* "17" -> index in rows */
    VEC(row_prediction) rows;
} row_predictions;

#define ROW_PREDICTIONS_INIT                                                                                                       \
    { .memory = ARENA_INIT, .by_row = STRMAP_INIT }

/* POFAC_ERR_INPUT with file and line: no prediction in it, an index that is no whole number from 0 or stands twice. */
POFAC_MUST_USE pofac_status row_predictions_read(const char *path, const diag_sink *sink, row_predictions *out);
void row_predictions_free(row_predictions *p);

/* The prediction of a row, which counts as used; NULL: there is none. */
const row_prediction *row_predictions_take(row_predictions *p, uint64_t row);

#endif
