/* Files of SQuAD's -> features for training, tokenised once and kept in memory (token_store.h): fields "start_positions" and "end_positions", i64 [B].
 * Feature i of the store is the i-th window of the files' questions, in their order. */
#ifndef POFAC_FRONTEND_QA_EXAMPLES_H
#define POFAC_FRONTEND_QA_EXAMPLES_H

#include "frontend/data/qa_features.h"
#include "frontend/data/token_store.h"

typedef struct qa_examples_options {
    const tokenizer *tokenizer;
    qa_window_options windows;
    squad_bad_rows bad_rows;
} qa_examples_options;

typedef struct qa_examples_counts {
    squad_counts rows;
    qa_feature_counts features;
} qa_examples_counts;

/* Reads all files, one after the other. Errors as squad_reader_next, qa_features_create and qa_features_begin. */
POFAC_MUST_USE pofac_status qa_examples_load(const char *const *paths, size_t n, const qa_examples_options *options,
                                             const diag_sink *sink, token_store **out, qa_examples_counts *counts);

#endif
