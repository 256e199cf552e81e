/*
 * Where a run is: all that it goes on from beside tensors. Random numbers need no state: they are functions of seed, step and example.
 * Kept as JSON, of which every number reads back the same.
 */
#ifndef POFAC_FRONTEND_RUN_POSITION_H
#define POFAC_FRONTEND_RUN_POSITION_H

#include "ir/batch_source.h"

typedef struct run_position {
    int64_t step; /* optimizer steps that are done */
    double epoch;
    int64_t tokens, examples;
    int64_t
        forwards; /* of training, that quantization counts; a quantized model's further training begins behind those before ranges were observed */
    batch_position data;
    int64_t accumulated_runs; /* runs of the next step that are done; above 0 the sums of gradients are part of the checkpoint */
    double loss_sum, task_loss_sum, distill_loss_sum, hidden_loss_sum; /* since the last line of metrics.jsonl */
    int64_t loss_steps;
    double grad_norm; /* of the last step */
    bool has_best;
    double best_metric;
    int64_t best_step, evaluations_without_gain;
    bool evaluation_due;   /* of this step, and not done: a resumed run begins with it */
    int64_t metrics_bytes; /* size of metrics.jsonl at that moment: a resumed run cuts it back to that (run_directory_cut) */
} run_position;

/* Appends a JSON object. */
void run_position_put(const run_position *p, strbuf *out);

/* POFAC_ERR_INPUT: the file cannot be read, or a field is missing (but `forwards`, which is 0 then) or of another kind. */
POFAC_MUST_USE pofac_status run_position_read(const char *path, const diag_sink *sink, run_position *out);

#endif
