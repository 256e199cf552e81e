/*
 * A teacher and the examples of a recipe -> a directory of its logits (logits_file.h), so that a student learns from it without running it.
 *
 * The teacher runs for evaluation, without dropout, over the examples in their order: of shards once for each epoch, as masked there. Logits of sequences, of
 * few classes and of positions are kept whole, those over a vocabulary for the tokens that the attention mask keeps, whole or the largest ones of each.
 * A file appears whole or not at all, and what is there stays, so an interrupted run goes on; bytes do not depend on that, nor on the number of threads.
 */
#ifndef POFAC_FRONTEND_MAKE_LOGITS_H
#define POFAC_FRONTEND_MAKE_LOGITS_H

#include "frontend/driver/train_run.h"

typedef struct make_logits_options {
    const char *dir; /* where they go */
    int64_t top_k;   /* of logits over a vocabulary; 0: all */
    bool is_half;    /* those are kept in f16 */
    int64_t epochs;  /* 0: as many as the recipe takes */
    road_options road;
    loaded_model_options model;                                /* of the student */
    interruption *stop;                                        /* looked at between batches; may be NULL */
    void (*progress)(void *user, uint64_t done, uint64_t all); /* examples of all epochs, after each batch; may be NULL */
    void *progress_user;
} make_logits_options;

typedef struct make_logits_result {
    uint64_t epochs, examples, tokens; /* examples of an epoch; tokens of what was made */
    uint64_t files, files_made, bytes; /* bytes: of logits that were made */
    double seconds;
} make_logits_result;

/* The recipe's teacher, which it has. POFAC_ERR_INPUT: as run_teacher_open; the directory has logits of something else. POFAC_ERR_NUMERIC: a logit is
 * no finite number. POFAC_ERR_INTERRUPTED, without a message; files that are there stay. */
POFAC_MUST_USE pofac_status make_logits(const recipe *r, const make_logits_options *o, const diag_sink *sink,
                                        make_logits_result *out);

#endif
