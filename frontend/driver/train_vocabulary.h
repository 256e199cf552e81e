/*
 * A corpus -> a WordPiece vocabulary (frontend/text/wordpiece_trainer.h): words of all documents are counted on all threads, then pieces
 * are chosen on one. The result does not depend on the number of threads.
 */
#ifndef POFAC_FRONTEND_DRIVER_TRAIN_VOCABULARY_H
#define POFAC_FRONTEND_DRIVER_TRAIN_VOCABULARY_H

#include "frontend/driver/interruption.h"
#include "frontend/text/tokenizer.h"
#include "frontend/text/wordpiece_trainer.h"

#define VOCABULARY_MOST_WORDS ((size_t)8 << 20) /* distinct ones that are counted: some 1 GB */

typedef struct train_vocabulary_options {
    const char *const *corpora; /* files or directories */
    size_t n_corpora;
    const char *kind; /* row of frontend/corpora.def; NULL: told from the files */
    bool skip_damage;
    const char *output; /* file that is written, atomically */
    tokenizer_options tokenizer;
    wordpiece_training training;
    size_t most_words; /* beyond it the rarest are forgotten: those seen once, then twice, ... */
    size_t threads;    /* 0: default */
    interruption *stop;
    void (*progress)(void *user, const char *unit, uint64_t count, double share); /* share below 0: not known; may be NULL */
    void *progress_user;
} train_vocabulary_options;

/* Appends what was made as one line of JSON to *result. POFAC_ERR_INPUT: a corpus without words, and what corpora and training report.
 * POFAC_ERR_INTERRUPTED: nothing is written. */
POFAC_MUST_USE pofac_status train_vocabulary(const train_vocabulary_options *options, const diag_sink *sink, strbuf *result);

#endif
