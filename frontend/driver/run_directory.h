/*
 * The directory that a run of training lives in (output_dir):
 *
 *   checkpoint-STEP/   run_checkpoint.h; while one is written or removed it has a hidden name, .checkpoint-STEP.new or .old
 *   metrics.jsonl      a line for each step that is logged
 *   and the result in Hugging Face's layout: config.json, model.safetensors, tokenizer, trainer_state.json, *_results.json
 *
 * One run at a time: whoever has it open holds a lock (flock) on it, which ends with the process.
 */
#ifndef POFAC_FRONTEND_RUN_DIRECTORY_H
#define POFAC_FRONTEND_RUN_DIRECTORY_H

#include "ir/support/diag.h"

#define RUN_METRICS_FILE "metrics.jsonl"

typedef enum run_directory_mode {
    RUN_NEW,      /* there is nothing in it */
    RUN_RESUME,   /* goes on with what is there; where there is nothing, begins */
    RUN_OVERWRITE /* checkpoints of runs and their metrics.jsonl go; other files stay */
} run_directory_mode;

typedef struct run_directory {
    int lock; /* descriptor that holds it; -1: not open */
} run_directory;

#define RUN_DIRECTORY_INIT                                                                                                         \
    { -1 }

/*
 * Makes the directory and those above it, takes the lock, and tidies: what a killed run left half-written or half-removed goes, and what it
 * had set aside comes back. POFAC_ERR_USAGE: RUN_NEW and the directory has something in it (POFAC_ERR_RUNTIME: it is no directory, cannot be
 * made, or another run holds the lock). RUN_RESUME and RUN_OVERWRITE never touch what is not a run's.
 */
POFAC_MUST_USE pofac_status run_directory_open(const char *path, run_directory_mode mode, const diag_sink *sink,
                                               run_directory *out);
void run_directory_close(run_directory *d); /* fine when it is not open */

/*
 * Cuts DIR/FILE (metrics.jsonl, say) back to its first `bytes`, so that a resumed run writes no step twice; 0 bytes or fewer remove it. A
 * file that is shorter, or is not there, is a warning: its lines are lost, and nothing else.
 */
POFAC_MUST_USE pofac_status run_directory_cut(const char *dir, const char *file, int64_t bytes, const diag_sink *sink);

/* Makes a directory and those above it; fine where it is. */
POFAC_MUST_USE pofac_status run_directory_make(const char *path, const diag_sink *sink);

/* Removes a directory with all that is in it, links as links; fine when it is not there. */
POFAC_MUST_USE pofac_status run_directory_remove(const char *path, const diag_sink *sink);

/* Makes what was made, renamed or removed in a directory last. */
void run_directory_sync(const char *path);

#endif
