/*
 * What the parts of a training step share: training.c, which builds, compiles and runs it, and training_pruning.c, which knows of masks.
 */
#ifndef POFAC_FRONTEND_TRAINING_PARTS_H
#define POFAC_FRONTEND_TRAINING_PARTS_H

#include "frontend/driver/mask_counts.h"
#include "frontend/driver/training.h"
#include "runtime/interpreter.h"

#define TRAINING_STEP "step"
#define TRAINING_APPLY TRAINING_STEP "_apply"

typedef struct step_pruning step_pruning;

struct training {
    executor_kind kind;
    bool accumulate, ran, applied;
    loaded_model *model;
    joined_weights weights, stored; /* the model's and its teacher's: all, and those that checkpoints have */
    state_store *store;
    runnable run, apply;            /* compiled; the pool is run's, and with masks the interpreter has it too */
    ir_module *module;              /* of the interpreter */
    interp_results results, update; /* of its last run, of its last update */
    step_pruning *pruning;          /* NULL: none */
    learned_ranges *ranges;         /* NULL: none */
};

/* ---- training.c ---- */

/* The module for masks of so many entries; NULL: those that initial_sparsity keeps. */
POFAC_MUST_USE pofac_status training_build_for(loaded_model *model, const training_options *o, const mask_counts *counts,
                                               const diag_sink *sink, ir_module **out);

/* Code of the module, which it takes over. The plans of before, and their sessions, go when the new ones are there. */
POFAC_MUST_USE pofac_status training_compile(training *t, const road_options *road, ir_module *m, const diag_sink *sink);
POFAC_MUST_USE pofac_status training_start_session(training *t, runnable *r, const diag_sink *sink);

/* ---- training_pruning.c ---- */

/* `graph` has the model's graph of a step before any pass. */
POFAC_MUST_USE pofac_status step_pruning_create(training *t, const training_options *o, const ir_module *graph,
                                                const diag_sink *sink);
void step_pruning_destroy(step_pruning *p); /* NULL is fine */

/* The first module of the step. */
POFAC_MUST_USE pofac_status step_pruning_build(training *t, const diag_sink *sink, ir_module **out);

/* What the step was made with; NULL: it prunes nothing. */
const training_pruning *training_pruning_of(const training *t);

/* The store is there. POFAC_ERR_INPUT: it has not all masks. */
POFAC_MUST_USE pofac_status step_pruning_find_state(training *t, const diag_sink *sink);

/* POFAC_ERR_USAGE: a weight of the pruning has no mask in the step's graph, since others than linears read it. */
POFAC_MUST_USE pofac_status step_pruning_check(const training_pruning *p, const ir_module *m, const diag_sink *sink);

#endif
