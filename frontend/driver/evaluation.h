/*
 * A model and data with labels -> loss and the task's metrics, through the compiled inference graph.
 *
 *   sequence-classification  loss; the task's metrics, of tensors accuracy, or of a regression pearson and spearmanr
 *   token-classification     loss; precision, recall, f1 and accuracy of the task's tags, of tensors accuracy
 *   question-answering       loss; exact_match and f1 of the answers that the windows' spans make, of squad_v2 the official script's; of tensors the loss
 *   masked-lm, pretraining   loss, of both terms mlm_loss and nsp_loss too; mlm_accuracy, nsp_accuracy, perplexity of the masked LM
 *
 * Losses are means over all rows that count, whatever the batches. The graph is compiled once; each evaluation packs the weights that it is given
 * and frees them after, so that between two evaluations of a run they take no memory.
 */
#ifndef POFAC_FRONTEND_EVALUATION_H
#define POFAC_FRONTEND_EVALUATION_H

#include "frontend/driver/executor.h"
#include "frontend/driver/recipe.h"
#include "frontend/driver/score.h"

typedef struct evaluation evaluation;

typedef struct evaluation_options {
    road_options road; /* target, cache, threads, tuning; its graph options are set, and its pipeline where it is NULL */
    executor_kind kind;
    bool weights_change; /* kernels are not chosen by the zeros of the model's checkpoint */
} evaluation_options;

/* Opens the recipe's data to measure with and compiles the graph. *out NULL: there are no such data. Recipe and model outlive it. Errors as
 * run_data_open. */
POFAC_MUST_USE pofac_status evaluation_create(const recipe *r, loaded_model *model, const evaluation_options *o,
                                              const diag_sink *sink, evaluation **out);
void evaluation_destroy(evaluation *e); /* NULL is fine */

uint64_t evaluation_examples(const evaluation *e); /* of questions: their windows */

/* The names of what evaluations will give, with values of no sense. */
POFAC_MUST_USE pofac_status evaluation_names(const evaluation *e, const diag_sink *sink, score_result *out);

typedef struct evaluation_run_options {
    interruption *stop;                                        /* looked at between batches; may be NULL */
    void (*progress)(void *user, uint64_t done, uint64_t all); /* examples, after each batch; may be NULL */
    void *progress_user;
} evaluation_run_options;

typedef struct evaluation_result {
    score_result scores; /* "loss" first */
    int64_t tokens;
    double seconds;
} evaluation_result;

/* With these weights, by the parameters' names. POFAC_ERR_NUMERIC: a loss is NaN or infinite though rows count; POFAC_ERR_INTERRUPTED. */
POFAC_MUST_USE pofac_status evaluation_run(evaluation *e, const tensor_source *weights, const evaluation_run_options *o,
                                           const diag_sink *sink, evaluation_result *out);

/* A value by name ("loss", "accuracy"); NULL: there is none. */
const result_value *evaluation_value(const evaluation_result *r, const char *name);

#endif
