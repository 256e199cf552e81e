/*
 * What was predicted beside what was wanted -> the numbers by which tasks are judged (frontend/metrics.def), batch by batch.
 *
 * Definitions are those of scikit-learn (labels), SciPy (correlations), seqeval in its default mode (tags) and SQuAD's official scripts
 * (answers), also where a number has no sense:
 *
 *   no row at all                        NaN, but 0 for precision, recall and f1 of labels and tags
 *   f1: label 1 neither wanted nor predicted              0 (so precision and recall of spans)
 *   matthews_correlation: one label alone, wanted or predicted   0
 *   pearson, spearmanr: all numbers of a side equal, fewer than two rows, or a NaN among them   NaN
 *   perplexity: too large for a double   infinity
 *
 * Labels and tags are counted, so any order of rows gives the same bits; numbers of VALUES are kept (16 bytes a row) and sorted, with
 * the same effect; ANSWERS are summed in the order in which they come, as the official scripts do, and kept (24 bytes a question) for the
 * search of thresholds.
 */
#ifndef POFAC_FRONTEND_METRICS_H
#define POFAC_FRONTEND_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/data/answer_text.h"
#include "ir/support/diag.h"
#include "ir/support/vector.h"

typedef enum metric_input { METRIC_CLASSES, METRIC_VALUES, METRIC_TAGS, METRIC_ANSWERS, METRIC_LOSSES } metric_input;
typedef enum metric_scale { METRIC_SHARE, METRIC_PERCENT, METRIC_COUNT } metric_scale;

/* A label that does not count (Hugging Face's). */
#define METRIC_IGNORED_LABEL (-100)

typedef struct label_count {
    uint64_t wanted, predicted, right;
} label_count;

typedef struct value_pair {
    double predicted, wanted;
} value_pair;

typedef struct answer_score {
    double f1, no_answer_odds;
    bool exact, has_answer, is_empty; /* is_empty: nothing was predicted */
} answer_score;

/* All that has been added. */
typedef struct metrics {
    metric_input input;
    uint64_t rows, right; /* labels; words of sentences */
    VEC(label_count) labels;
    VEC(value_pair) values, ranks; /* ranks: made by metrics_finish */
    uint64_t spans_wanted, spans_predicted, spans_right;
    answer_rules rules;
    VEC(answer_score) answers;
    VEC(const answer_score *) by_odds; /* made by metrics_finish */
    bool has_odds;
    double no_answer_threshold; /* odds above it mean no answer */
    double loss;
    uint64_t losses;
    answer_texts texts; /* scratch */
} metrics;

typedef struct metric_row {
    const char *name;
    metric_input input;
    metric_scale scale;
    double (*compute)(const metrics *m);
    const char *meaning;
} metric_row;

const metric_row *metrics_row(size_t i); /* in the table's order; NULL past the end */
const char *metric_input_name(metric_input input);

/* The row of a name (n bytes); NULL: there is none. */
const metric_row *metrics_find(metric_input input, const char *name, size_t n);

/* ANSWERS follow ANSWER_RULES_V1 unless `rules` is set otherwise, and no answer is what odds above no_answer_threshold mean: 1, as the
 * official script has it, unless set otherwise. */
metrics metrics_begin(metric_input input);
void metrics_free(metrics *m);

/* Labels from 0; rows where one below 0 is wanted (METRIC_IGNORED_LABEL) do not count. A prediction below 0 is no label and so never
 * right. Fails only for lack of memory, as all that follow. */
POFAC_MUST_USE pofac_status metrics_add_labels(metrics *m, const int32_t *predicted, const int32_t *wanted, size_t n,
                                               const diag_sink *sink);

POFAC_MUST_USE pofac_status metrics_add_values(metrics *m, const double *predicted, const double *wanted, size_t n,
                                               const diag_sink *sink);

/* A sentence of n words. Spans are those of tag_scheme.h. */
POFAC_MUST_USE pofac_status metrics_add_tags(metrics *m, const char *const *predicted, const char *const *wanted, size_t n,
                                             const diag_sink *sink);

/* A question. `odds` of no answer; NULL: they are 0, and no best threshold is known (NaN). */
POFAC_MUST_USE pofac_status metrics_add_answer(metrics *m, const answer_text *predicted, const answer_text *wanted, size_t n_wanted,
                                               const double *odds, const diag_sink *sink);

/* A question that nobody answered: no points, whatever is wanted. */
POFAC_MUST_USE pofac_status metrics_add_unanswered(metrics *m, const answer_text *wanted, size_t n_wanted, const diag_sink *sink);

/* The sum of n losses. */
void metrics_add_loss(metrics *m, double sum, uint64_t n);

/* After the last row, before metrics are computed. */
POFAC_MUST_USE pofac_status metrics_finish(metrics *m, const diag_sink *sink);

/* The parts of metrics_finish. */
POFAC_MUST_USE pofac_status metrics_rank_values(metrics *m, const diag_sink *sink);
POFAC_MUST_USE pofac_status metrics_order_answers(metrics *m, const diag_sink *sink);

#define METRIC(id, input, name, scale, meaning) double compute_##id(const metrics *m);
#include "frontend/metrics.def"

#endif
