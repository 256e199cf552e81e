/* Files of SQuAD's JSON -> features in memory (qa_features.h): windows of questions and contexts, with fields start_positions and end_positions i64 [B]. */
#ifndef POFAC_FRONTEND_DATA_SQUAD_EXAMPLES_H
#define POFAC_FRONTEND_DATA_SQUAD_EXAMPLES_H

#include "frontend/data/qa_features.h"
#include "frontend/data/token_store.h"

typedef struct squad_examples_options {
    const tokenizer *tokenizer;
    qa_window_options windows;
    squad_bad_rows bad_rows;
} squad_examples_options;

typedef struct squad_examples_counts {
    squad_counts rows;
    qa_feature_counts features;
} squad_examples_counts;

/* Reads all files, one after the other; example i of the store is the i-th window of all questions. Errors as squad_reader_next and
 * qa_features_begin. */
POFAC_MUST_USE pofac_status squad_examples_load(const char *const *paths, size_t n, const squad_examples_options *options,
                                                const diag_sink *sink, token_store **out, squad_examples_counts *counts);

#endif
