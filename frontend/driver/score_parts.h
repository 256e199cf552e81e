/* What scoring consists of: rows and predictions that do not meet, the two kinds of data, and metrics that become results. */
#ifndef POFAC_FRONTEND_SCORE_PARTS_H
#define POFAC_FRONTEND_SCORE_PARTS_H

#include "frontend/data/metrics.h"
#include "frontend/driver/score.h"

/* The first few of some ids, and how many there are. */
typedef struct id_list {
    strbuf text;
    uint64_t n;
} id_list;

#define ID_LIST_INIT                                                                                                               \
    { STRBUF_INIT, 0 }

void id_list_add(id_list *l, const char *id);
void id_list_free(id_list *l);

/* Errors where the options say so; else a warning, which says that rows without a prediction count as wrong. `what` is "questions" or
 * "rows". */
POFAC_MUST_USE pofac_status score_report_missing(const score_options *o, const id_list *missing, uint64_t n_rows, const char *what,
                                                 const diag_sink *sink);
POFAC_MUST_USE pofac_status score_report_extra(const score_options *o, const id_list *extra, const char *what,
                                               const diag_sink *sink);

/* Appends the metrics "a|b" of a finished `m` to the result's values; those of answers that have no sense are left out, and of several ones of
 * labels or numbers their mean is "combined_score". */
void score_put_metrics(const metrics *m, const char *names, score_result *out);

/* What a task's metrics count. */
metric_input score_input_of(task_kind kind);

/* Adds what a file says to `m`, and counts rows, missing, extra and skipped. */
POFAC_MUST_USE pofac_status score_questions(const score_options *o, metrics *m, const diag_sink *sink, score_result *out);
POFAC_MUST_USE pofac_status score_rows(const score_options *o, const task_info *task, metrics *m, const diag_sink *sink,
                                       score_result *out);

#endif
