/*
 * Checkpoints of a run: DIR/checkpoint-STEP, from which it goes on bit for bit, and which is a model in Hugging Face's layout as well.
 *
 *   config.json, model.safetensors, tokenizer   model_save.h, in f32: these weights are the state's parameters too
 *   quantization.safetensors    of a model that computes in 8 bits: model_quantization.h
 *   state.safetensors   the rest of the state by name: moments, sums of gradients in the middle of an accumulation, parameters that
 *                       model.safetensors has not or not as they are; pattern.WEIGHT u8 [N, (K+7)/8]: bit c%8 of byte c/8 says that (r, c) may be non-zero
 *   run_position.json   run_position.h
 *   settings.txt        KEY=VALUE lines: what determines the run
 *   kernels.txt         the kernels of linears that the run has chosen, as pins (kernel_pins.h): a resumed run sums in the same order, and measures nothing
 *   trainer_state.json  as Hugging Face's Trainer has it, with the lines of metrics.jsonl as log_history
 *   checkpoint.manifest run_manifest.h
 *
 * A checkpoint appears whole or not at all: it is written under a hidden name, every file and the directory are synced, then it is
 * renamed. A save that fails removes what it has written and leaves older ones alone.
 */
#ifndef POFAC_FRONTEND_RUN_CHECKPOINT_H
#define POFAC_FRONTEND_RUN_CHECKPOINT_H

#include "frontend/driver/learned_ranges.h"
#include "frontend/driver/loaded_model.h"
#include "frontend/driver/run_position.h"
#include "runtime/state_store.h"

typedef struct run_checkpoint_options {
    const char *dir;              /* the run's directory, open (run_directory.h) */
    loaded_model *model;          /* its definition and tokenizer */
    const learned_ranges *ranges; /* of a model that learns to compute in 8 bits; NULL: none */
    const char *settings;         /* lines "KEY=VALUE\n" of everything that determines the run; keys differ */
    const char *
        kernel_choices; /* that road_options.kernel_choices has collected; a resumed run's road_options.kernel_variants. NULL: none */
    int64_t
        save_total_limit; /* so many stay, the oldest go; 0: all stay. The one just written, the best one, and the one that the model is from always stay */
    /* for trainer_state.json: */
    int64_t max_steps, logging_steps, save_steps, eval_steps, train_batch_size;
    double num_train_epochs;
} run_checkpoint_options;

/*
 * Writes DIR/checkpoint-STEP (position->step), replacing one of the same step at once, and then removes those beyond save_total_limit.
 * POFAC_ERR_RUNTIME: it cannot be written; all that was there stays. That an older one cannot be removed is a warning.
 */
POFAC_MUST_USE pofac_status run_checkpoint_save(const run_checkpoint_options *o, const run_position *position, state_store *state,
                                                const diag_sink *sink);

/*
 * The checkpoint of DIR with the most steps that is whole: its path into `path` (cleared before); *found false: there is none. Each newer one
 * that is not - cut short, changed, of another version, no checkpoint at all - is a warning that says what is wrong with it.
 */
POFAC_MUST_USE pofac_status run_checkpoint_find(const char *dir, strbuf *path, bool *found, const diag_sink *sink);

/*
 * The state of a run that was made from the same model with the same settings: position, and every tensor of `state`, bit for bit (sums of
 * gradients only in the middle of an accumulation). `settings`: those of this run; each that differs is named, as found and as wanted.
 * POFAC_ERR_INPUT: no whole checkpoint; other settings; tensors or patterns that the state has not, has otherwise, or has too. After an error `state` may
 * be changed in part.
 */
POFAC_MUST_USE pofac_status run_checkpoint_load(const char *path, const char *settings, run_position *position, state_store *state,
                                                const diag_sink *sink);

/* The parameters and ranges alone, of the best checkpoint say; moments stay. */
POFAC_MUST_USE pofac_status run_checkpoint_load_parameters(const char *path, state_store *state, const diag_sink *sink);

/* The position, settings and kernel choices of a checkpoint, to be had before its run's step is compiled; any may be NULL, texts are appended. */
POFAC_MUST_USE pofac_status run_checkpoint_peek(const char *path, run_position *position, strbuf *settings, strbuf *kernel_choices,
                                                const diag_sink *sink);

/* DIR/trainer_state.json, for the end of a run. */
POFAC_MUST_USE pofac_status run_trainer_state_save(const run_checkpoint_options *o, const run_position *position,
                                                   const diag_sink *sink);

#endif
