/*
 * Prediction from tensors to tensors: a file with input_ids (or embedding_output), attention_mask, token_type_ids, N rows -> a
 * safetensors file with the head's outputs under Hugging Face's names, N rows. Where all labels of the head are there, `loss` [1]
 * is written too: the mean over all rows that count, whatever the batches. Missing masks are all ones, missing token types all
 * zeros; other tensors are ignored.
 */
#ifndef POFAC_FRONTEND_PREDICT_TENSORS_H
#define POFAC_FRONTEND_PREDICT_TENSORS_H

#include "frontend/driver/executor.h"

typedef struct predict_tensors_options {
    int64_t batch_size; /* most rows of a run */
    int64_t max_memory; /* bound for batch_memory_bytes; 0: none */
    executor_kind kind;
    bool last_hidden_state, hidden_states, mask_padded_logits;
    bool report_memory;   /* a note says what a run needs, before the first */
    run_profile *profile; /* takes in all runs; may be NULL */
    interruption *stop;   /* looked at between runs; may be NULL */
} predict_tensors_options;

/* POFAC_ERR_NUMERIC, naming the first output and row, when a result is not finite; the file is written all the same, and other rows are
 * what they would be. A loss in which no row counts is NaN, and no error. POFAC_ERR_INTERRUPTED, without a message, when a signal has come: nothing is written. */
POFAC_MUST_USE pofac_status predict_tensors(loaded_model *model, const road_options *road, const predict_tensors_options *options,
                                            const char *in_path, const char *out_path, const diag_sink *sink);

#endif
