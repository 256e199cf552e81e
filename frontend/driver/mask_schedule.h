/*
 * Pruning along a run: which weights a recipe prunes or locks, when their masks change, and what is told of them.
 *
 * The schedule is a function of the step, so it needs no state of its own; masks are state of the step (training_pruning.h). New masks come after
 * the optimizer's step `step`, from 0, when pruning_config_is_due of that and the configuration's initial_step together; the first ones before it, at initial_sparsity, or for good with one_shot.
 */
#ifndef POFAC_FRONTEND_MASK_SCHEDULE_H
#define POFAC_FRONTEND_MASK_SCHEDULE_H

#include "frontend/driver/recipe.h"
#include "frontend/driver/train_inputs.h"
#include "frontend/driver/training.h"

typedef struct mask_schedule {
    const recipe *recipe;
    const pruning_config *config;
    const pruning_method *method;
    training_pruning pruning;  /* what a step is made by, in the order of layers; not of a lock */
    pruned_parameter *weights; /* [n] its weights */
    const char **layers;       /* [n] names of their modules */
    int64_t *entries;          /* [n] of their weights */
    size_t n;
    arena memory;
} mask_schedule;

/* The weights that the recipe's configuration chooses among those of the model's graph; *out has none where the recipe neither prunes nor locks. Recipe and
 * *out stay where they are. Warns of targets that blocks cannot express. POFAC_ERR_INPUT: it chooses none. */
POFAC_MUST_USE pofac_status mask_schedule_open(const recipe *r, loaded_model *model, const diag_sink *sink, mask_schedule *out);
void mask_schedule_close(mask_schedule *s);

/* Warns when a run of so many steps ends before its masks have their target. */
void mask_schedule_check_length(const mask_schedule *s, int64_t max_steps, const diag_sink *sink);

/* How many masks the steps `begin` <= step < `end` bring, but for the first ones, and where the schedule stands after the last of them (pruning_config_progress;
 * 0 without any). Of one_shot: none, 1. */
int64_t mask_schedule_updates(const mask_schedule *s, int64_t begin, int64_t end, double *progress);

/* Where the schedule stands after step `step`: 0 at initial_sparsity, 1 at target_sparsity. */
double mask_schedule_progress(const mask_schedule *s, int64_t step);

/* Share of zeros of all chosen weights together where the schedule stands at `progress`, as the configuration wants it. */
double mask_schedule_wanted(const mask_schedule *s, double progress);

/* Share of zeros of all masks together, as they are. */
double mask_schedule_sparsity(const mask_schedule *s, const training *t);

/* Does a step keep its gradients apart, since masks are made from those of single batches? */
bool mask_schedule_needs_gradients(const mask_schedule *s);

/* What masks are made for, and the batches that curvature is estimated from: those of the epoch (second_order_gradients.h). */
typedef struct mask_step {
    training *training;
    const batch_source *source;
    train_inputs *inputs;
} mask_step;

/* The masks that a run begins with, and those after step `step` where it is its turn; *updated: there are new ones. */
POFAC_MUST_USE pofac_status mask_schedule_begin(const mask_schedule *s, const mask_step *at, const diag_sink *sink);
POFAC_MUST_USE pofac_status mask_schedule_after_step(const mask_schedule *s, int64_t step, const mask_step *at,
                                                     const diag_sink *sink, bool *updated, mask_update *out);

/* Is the weight one of those that are chosen? For the pass `lock`, with the schedule as `user`. */
bool mask_schedule_has(void *schedule, const char *weight);

#endif
