/*
 * The state of a run without its training: a tiny model's parameters with moments and sums of gradients of random content, sparse weights
 * where they are asked for, in a folder of its own. For tests of checkpoints and of results.
 */
#ifndef POFAC_TESTS_UNIT_MADE_RUN_H
#define POFAC_TESTS_UNIT_MADE_RUN_H

#include "frontend/driver/run_checkpoint.h"

typedef struct made_run_options {
    const char *path; /* of the model */
    loaded_model_options model;
    const char *sparse;                  /* weights whose names have this in them are non-zeros; NULL: none */
    bool without_moments, with_momentum; /* with_momentum: SGD's instead of AdamW's */
    bool with_mask;                      /* a state "mask.classifier" of 5 truth values */
    uint64_t seed;                       /* of the content; 0: parameters as the model has them, the rest zero */
} made_run_options;

typedef struct made_run {
    loaded_model *model;
    ir_module *module; /* the model's graph */
    state_store *state;
} made_run;

made_run made_run_create(const made_run_options *o);
void made_run_free(made_run *r);

/* Ends the test unless `b` has every entry of `a`, bit for bit. `skip`: of names that begin with it nothing is looked at; NULL: none. */
void assert_same_state(state_store *a, state_store *b, const char *skip);

#endif
