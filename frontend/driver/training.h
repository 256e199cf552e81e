/*
 * A training step that runs: the frontend's graph with its loss, the passes of a pipeline `train`, code, and the state that it changes.
 *
 * The state lies in a store (runtime/state_store.h) that the step's sessions write in place. Without `accumulate` a step is one run,
 * training_run; with it, a step is any number of runs, which add their gradients up, and then training_apply, which updates from the
 * sums. Batches of any shape may follow one another; nothing is compiled again.
 */
#ifndef POFAC_FRONTEND_TRAINING_H
#define POFAC_FRONTEND_TRAINING_H

#include "frontend/driver/distillation.h"
#include "frontend/driver/executor.h"
#include "frontend/driver/learned_ranges.h"
#include "frontend/driver/training_pruning.h"
#include "runtime/state_store.h"

typedef struct training training;

typedef struct training_options {
    road_options road; /* target, cache, threads, tuning, and of the graph: dropout, chosen_rows, mask_padded_logits, max_sequences;
                           with_loss and training are set. road.pipeline is not read */
    executor_kind kind; /* compiled, or the interpreter: slow, and what is compiled is compared with */
    const char *optim;  /* of the pass optimizer: "adamw_torch", "adamw_hf", "sgd"; NULL: "adamw_torch" */
    double beta1, beta2, epsilon, momentum, weight_decay, max_grad_norm; /* as the pass has them, none with a default */
    bool accumulate;                                                     /* a step is several runs */
    bool lock;                                                           /* zeros of weights stay zeros (pass lock) */
    const training_pruning *pruning; /* weights under masks; NULL: none. With it, all that options point to outlives the training */
    const char *
        chosen; /* with pruning: the kernels, as pins (kernel_pins.h), that a run had chosen when the masks were made which its state will
                           be given; of a run that goes on. NULL: none. What is chosen later is in road.kernel_choices, in place of what was there */
    const quantization_plan *
        quantization; /* linears compute in 8 bits, whose ranges are state that each run learns; NULL: none. Outlives the training */
    const char *recompute;            /* "none", "cheap", "partial" or "full"; NULL: "cheap" */
    bool bf16;                        /* activations that wait for the backward pass are stored in bf16 */
    const distillation *distillation; /* NULL: none. It and its teacher must outlive the training */
    const char *step_file;            /* text of the module as training_build makes it, to be run instead; NULL: none */
    const char *pipeline; /* of passes, as text; NULL: what the options above say, from the rows train-step and train-kernels */
} training_options;

/* The module that training_create compiles, which the caller destroys: the graph "step" and, with accumulate, "step_apply". POFAC_ERR_INPUT: step_file
 * cannot be read, or has not these graphs. */
POFAC_MUST_USE pofac_status training_build(loaded_model *model, const training_options *o, const diag_sink *sink, ir_module **out);

/* The model must outlive it; its weights are copied into the store. Patterns of weights are those of the checkpoint's zeros. */
POFAC_MUST_USE pofac_status training_create(loaded_model *model, const training_options *o, const diag_sink *sink, training **out);
void training_destroy(training *t); /* NULL is fine */

/*
 * Chooses kernels for the masks of the state, where these are other ones than before, and packs weights by them. training_run does so as well; with pruning
 * there are no sessions before, so that masks of a checkpoint can be put into the state. The results of the run before are gone. POFAC_OK without pruning.
 */
POFAC_MUST_USE pofac_status training_prepare(training *t, const diag_sink *sink);

/* The graph of training_run: its inputs are what a run must be given. Another one after an update of masks. */
const ir_graph *training_graph(const training *t);

/* All that steps change, and parameters that they do not. May be written between runs. */
state_store *training_state(training *t);

/* With quantization, whose the state's ranges are; NULL without. */
const learned_ranges *training_ranges(const training *t);

/* One run of a step: forward and backward, and without accumulate the update. Inputs: the batch's tensors; scale.LABELS f32 [] for each
 * labels tensor, scale.distill.OUTPUT of logits with distillation; learning_rate f32 [] and step i64 [] (from 1), without accumulate; keep f32 [] with it (0 in the first run of a step,
 * else 1); with quantization forward i64 [], the runs of all steps before this one; of dropout random i64 [2] and first_example i64 []. After an error the state is as before the run, or in part as after it. */
POFAC_MUST_USE pofac_status training_run(training *t, const tensor_source *inputs, const diag_sink *sink);

/* With accumulate, the update after the last run of a step. Inputs: learning_rate, step. POFAC_ERR_USAGE without. */
POFAC_MUST_USE pofac_status training_apply(training *t, const tensor_source *inputs, const diag_sink *sink);

/* A result of the last run, or, where the step's graph has none of that name, of the last update: loss, loss.LABELS, grad_norm, with distillation loss.task and loss.distill. A view
 * that is valid until the next run. POFAC_ERR_USAGE: there is no such output, or there was no run. */
POFAC_MUST_USE pofac_status training_output(const training *t, const char *name, const diag_sink *sink, ir_tensor *out);

/* Of all sessions together; mapped_weight_bytes is the state in the store. All zeros for the interpreter. */
session_memory training_memory(const training *t);

/* What runs compiled, for profiles and reports: that of training_run, and with `apply` that of training_apply. NULL: the interpreter,
 * or without accumulate. */
const runnable *training_runnable(const training *t, bool apply);

#endif
