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
