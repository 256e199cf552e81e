/* What an evaluation consists of: losses and metrics that batches add up to, and the questions of SQuAD. */
#ifndef POFAC_FRONTEND_EVALUATION_PARTS_H
#define POFAC_FRONTEND_EVALUATION_PARTS_H

#include "frontend/data/metrics.h"
#include "frontend/driver/evaluation.h"
#include "frontend/driver/run_data.h"
#include "frontend/driver/train_inputs.h"

/* All that the batches so far add up to. */
typedef struct evaluation_scores {
    const model_spec *spec;
    const task_info *task; /* NULL: tensors, shards */
    double loss_sum[TRAIN_MAX_LOSSES];
    int64_t loss_count[TRAIN_MAX_LOSSES];
    metrics main; /* of the head's own answers: labels, values, tags, answers, or masked tokens */
    metrics next; /* of next sentences */
    bool has_tags;
    VEC(int32_t) predicted, wanted;
    VEC(double) predicted_values, wanted_values;
    VEC(const char *) predicted_tags, wanted_tags;
} evaluation_scores;

/* `answers`: question answering with texts; rules are those of squad_v2 or not. */
void evaluation_scores_begin(evaluation_scores *s, const model_spec *spec, const task_info *task, bool answers, bool is_v2);
void evaluation_scores_free(evaluation_scores *s);

/* Losses of the batch that `inputs` selected, and its predictions beside its labels. */
POFAC_MUST_USE pofac_status evaluation_scores_add_losses(evaluation_scores *s, const executor *e, const train_inputs *inputs,
                                                         const diag_sink *sink);
POFAC_MUST_USE pofac_status evaluation_scores_add(evaluation_scores *s, const executor *e, const batch *b, const diag_sink *sink);

/* `metric_names`: of the task's answers ("exact_match|f1"), or NULL. POFAC_ERR_NUMERIC as evaluation_run. */
POFAC_MUST_USE pofac_status evaluation_scores_finish(evaluation_scores *s, const char *metric_names, const diag_sink *sink,
                                                     score_result *out);

/* All questions of a file through the windows of a model. */
typedef struct question_evaluation {
    const recipe *recipe;
    loaded_model *model;
    executor *executor;
    train_inputs *inputs;
    const char *path;
    size_t max_length, fixed_length;
    const evaluation_run_options *options;
    uint64_t all; /* windows, for the progress */
    int64_t tokens;
} question_evaluation;
POFAC_MUST_USE pofac_status evaluate_questions(question_evaluation *q, evaluation_scores *s, const diag_sink *sink);

#endif
