/* What a run of training consists of, and how it is opened: used by the loop (train_run.c), a step (train_step.c) and the dry run. */
#ifndef POFAC_FRONTEND_TRAIN_PARTS_H
#define POFAC_FRONTEND_TRAIN_PARTS_H

#include "frontend/data/batcher.h"
#include "frontend/driver/best_model.h"
#include "frontend/driver/dense_state.h"
#include "frontend/driver/distillation.h"
#include "frontend/driver/mask_schedule.h"
#include "frontend/driver/run_checkpoint.h"
#include "frontend/driver/run_data.h"
#include "frontend/driver/run_directory.h"
#include "frontend/driver/train_inputs.h"
#include "frontend/driver/train_log.h"
#include "frontend/driver/train_run.h"
#include "frontend/driver/training.h"
#include "frontend/driver/training_memory.h"

typedef struct train_parts {
    const recipe *recipe;
    const train_options *options;
    const diag_sink *sink;
    loaded_model *model;
    run_data data;
    batcher *batcher;
    batch_source source;
    int64_t max_steps;
    rate_plan rates;
    mask_schedule masks;
    distillation distillation;      /* its teacher is NULL where there is none */
    teacher_logits *teacher_logits; /* in the teacher's place; NULL: none */
    training_options step_options;
    step_memory memory; /* of the largest batch */
    batch_shape shape;  /* of the largest batch */
    training *training;
    train_inputs *inputs;
    float *ranges; /* [state_store_count_ranges] as they were before the step */
    /* of a run alone: */
    evaluation *evaluation; /* NULL: no data to measure with */
    dense_state *dense;
    run_directory directory;
    train_log *log;
    strbuf settings, kernels, first_kernels, path; /* first_kernels: of a checkpoint, of a run with masks; path: scratch */
    run_position position;
    best_model best;
    uint64_t counted_epoch, epoch_batches; /* batches of that epoch; 0: not counted yet */
} train_parts;

/* Model, data, number of steps, memory, and the compiled step. `p` is zero but for recipe, options and sink. */
POFAC_MUST_USE pofac_status train_open_step(train_parts *p);

/* The parts of train_open_step: model, data and number of steps; what the step is made by; the step. */
POFAC_MUST_USE pofac_status train_open_data(train_parts *p);
POFAC_MUST_USE pofac_status train_choose_step(train_parts *p);
POFAC_MUST_USE pofac_status train_open_training(train_parts *p);

/* Epochs that the run's steps begin, at least one, by the data and the number of steps that are open. */
POFAC_MUST_USE pofac_status train_count_epochs(const train_parts *p, uint64_t *out);

/* All of a run: the directory, the step, evaluation, log, and the position of a checkpoint to go on from. */
POFAC_MUST_USE pofac_status train_open_run(train_parts *p);
void train_close(train_parts *p);

/* What came of a step. */
typedef struct step_outcome {
    double loss, task_loss;           /* task_loss: the loss where there is no teacher */
    double distill_loss, hidden_loss; /* with one: the divergence before its factor, terms on hidden states */
    double grad_norm, learning_rate;
    int64_t tokens, examples;
    uint64_t batches;
    bool new_masks;
    mask_update masks; /* with new ones */
} step_outcome;

/* The next step: its batches, runs and update, and new masks where it is their turn. The position moves behind it, but for what is logged. */
POFAC_MUST_USE pofac_status train_step(train_parts *p, step_outcome *out);

/* What a checkpoint is told, and the parts of the position that others keep. */
run_checkpoint_options train_checkpoint_options(const train_parts *p);
void train_note_position(train_parts *p);

/* Share of zeros: of the masks, or of the weights that have a pattern. */
double train_sparsity(const train_parts *p);

/* Saves DIR/checkpoint-STEP. */
POFAC_MUST_USE pofac_status train_save(train_parts *p);

#endif
