/*
 * A run of training: recipe -> a directory with weights, checkpoints and metrics (section 6 of the design: a run's directory).
 *
 * A step takes gradient_accumulation_steps batches (fewer at an epoch's end), which count as one (train_inputs.h), and ends in one update. The
 * learning rate of step i, from 0, is learning_rate times rate_factor(i). After a step come, where it is their turn: new masks (mask_schedule.h), a line of
 * metrics, an evaluation, a checkpoint. A run is a function of recipe, data and kernels alone: repeated, interrupted and resumed, or on other numbers of threads it gives
 * the same bits.
 *
 * A line of metrics has the means since the last one: loss, task_loss, with a teacher distill_loss (before its factor) and hidden_loss; sparsity, the
 * share of zeros after the step; and after new masks a line of their own: the share of zeros of each layer. A run that locks ends with a look at the pattern
 * of what it has written (locked_pattern.h).
 *
 * A loss or a norm that is no finite number ends the run with POFAC_ERR_NUMERIC: DIR/failed-step-N has the step's inputs and loss
 * (inputs-I.safetensors) and its graph (step.pir), DIR/checkpoint-(N-1) the state before it.
 */
#ifndef POFAC_FRONTEND_TRAIN_RUN_H
#define POFAC_FRONTEND_TRAIN_RUN_H

#include "frontend/driver/evaluation.h"
#include "frontend/driver/recipe.h"
#include "ir/batch_source.h"

typedef struct train_progress {
    int64_t step, max_steps; /* steps that are done */
    uint64_t tokens;         /* since the program began */
    bool prunes;
    double sparsity;
} train_progress;

typedef struct train_options {
    road_options road; /* target, cache, threads, tuning */
    executor_kind kind;
    loaded_model_options model; /* head, num_labels, vocab */
    const char
        *step_graph;    /* a file with the text of the step's graphs instead of those that are made (train_put_graph); NULL: none */
    interruption *stop; /* looked at after each step; may be NULL */
    void (*progress)(void *user, const train_progress *p); /* after each step; may be NULL */
    void *progress_user;
} train_options;

typedef struct train_result {
    int64_t steps, max_steps; /* steps: of this program, without those that a checkpoint had done */
    double epoch, seconds;
    double loss; /* mean over the steps of this program; NaN without any */
    uint64_t tokens, examples;
    double sparsity;
    bool stopped_early, has_best, is_best_loaded, has_evaluation;
    int64_t best_step;
    double best_metric;
    evaluation_result evaluation; /* of the result */
} train_result;

/* POFAC_ERR_INTERRUPTED, without a message, when a signal came: the step was finished and a checkpoint saved. */
POFAC_MUST_USE pofac_status train_run(const recipe *r, const train_options *o, const diag_sink *sink, train_result *out);

/*
 * The same step by step: opened, as long as steps are left a step after the other, then finished, or given up. Options and recipe outlive it.
 * One thread uses a loop at a time; any number of loops may be there, each in a directory of its own.
 */
typedef struct train_loop train_loop;

/* What a step tells. */
typedef struct train_step_report {
    int64_t step; /* from 1 */
    double epoch, loss, task_loss, distill_loss, hidden_loss, learning_rate, grad_norm, sparsity;
    int64_t tokens, examples;
} train_step_report;

POFAC_MUST_USE pofac_status train_loop_open(const recipe *r, const train_options *o, const diag_sink *sink, train_loop **out);
void train_loop_close(train_loop *l); /* NULL is fine */

int64_t train_loop_step_number(const train_loop *l); /* steps that are done, those of a checkpoint too */
int64_t train_loop_max_steps(const train_loop *l);
bool train_loop_is_done(const train_loop *l); /* no step is left */

/* The next step and what comes after it. POFAC_ERR_INTERRUPTED: it is done and saved, and *out is set. Errors as train_run. */
POFAC_MUST_USE pofac_status train_loop_step(train_loop *l, train_step_report *out);

/* The weights as they are, on the recipe's data to evaluate on. POFAC_ERR_USAGE: there are none; POFAC_ERR_INTERRUPTED: a checkpoint is saved. */
POFAC_MUST_USE pofac_status train_loop_evaluate(train_loop *l, evaluation_result *out);

/* Saves a checkpoint of the state as it is, unless the last one is that. */
POFAC_MUST_USE pofac_status train_loop_save(train_loop *l);

/* Writes the weights as they are into the directory, which is made. */
POFAC_MUST_USE pofac_status train_loop_save_model(train_loop *l, const char *dir);

/* The end of a run: results. */
POFAC_MUST_USE pofac_status train_loop_finish(train_loop *l, train_result *out);

/* What a run would do - steps, examples, parameters, memory, time -, as text, with the step compiled but nothing run or written.
 * POFAC_ERR_USAGE, after all that is known, when it would not fit into max_memory, POFAC_ERR_RUNTIME when not into this machine's memory. */
POFAC_MUST_USE pofac_status train_dry_run(const recipe *r, const train_options *o, const diag_sink *sink, strbuf *out);

/* Appends the text of the step's graphs, as they are compiled. */
POFAC_MUST_USE pofac_status train_put_graph(const recipe *r, const train_options *o, const diag_sink *sink, strbuf *out);

/* Steps of `epochs` (parts of one too): every epoch has a step for each `accumulation` batches, and one for the rest. `count` as
 * batch_source. POFAC_ERR_USAGE: more than 63 bits. */
POFAC_MUST_USE pofac_status train_count_steps(const batch_source *source, double epochs, int64_t accumulation, bool is_constant,
                                              const diag_sink *sink, int64_t *out);

#endif
