/*
 * The metrics of a run: lines of metrics.jsonl, one JSON object each, and the same numbers as scalars for TensorBoard, with the tags that Trainer
 * and the pruning package give them: train/loss, train/learning_rate, eval/accuracy, pruning/average_model_sparsity, sparsity_per_layer/LAYER. A name with
 * a '/' in it is a tag.
 */
#ifndef POFAC_FRONTEND_TRAIN_LOG_H
#define POFAC_FRONTEND_TRAIN_LOG_H

#include "frontend/driver/results_file.h"

typedef struct train_log train_log;

/* `directory` is there; `event_directory` is made, or NULL: no event file. Lines are added behind those that are there. */
POFAC_MUST_USE pofac_status train_log_open(const char *directory, const char *event_directory, const diag_sink *sink,
                                           train_log **out);
void train_log_close(train_log *l); /* NULL is fine */

/* A line {"step": step, values...}; of an evaluation each name gets "eval_" before it, but epoch. NaN and infinities are null, and no scalars. */
POFAC_MUST_USE pofac_status train_log_step(train_log *l, int64_t step, const result_value *values, size_t n, const diag_sink *sink);
POFAC_MUST_USE pofac_status train_log_evaluation(train_log *l, int64_t step, const result_value *values, size_t n,
                                                 const diag_sink *sink);

/* Size of metrics.jsonl in bytes. */
int64_t train_log_bytes(const train_log *l);

#endif
