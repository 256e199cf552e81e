/*
 * The directory that a run of training lives in (output_dir):
 *
 *   checkpoint-STEP/   run_checkpoint.h; while one is written or removed it has a hidden name, .checkpoint-STEP.new or .old
 *   metrics.jsonl      a line for each step that is logged
 *   and the result in Hugging Face's layout: config.json, model.safetensors, tokenizer, trainer_state.json, *_results.json
 *
 * A name of checkpoint- and digits is a run's, whoever made it; of hidden names those above are.
 *
 * One run at a time: whoever has it open holds a lock (flock) on it, which ends with the process.
 */
#ifndef POFAC_FRONTEND_RUN_DIRECTORY_H
#define POFAC_FRONTEND_RUN_DIRECTORY_H

#include "ir/support/diag.h"
#include "ir/support/vector.h"

#define RUN_METRICS_FILE "metrics.jsonl"
#define RUN_CHECKPOINT_PREFIX "checkpoint-"

/* Hidden names: .checkpoint-STEP and one of these. */
#define RUN_SUFFIX_NEW ".new"           /* is being written */
#define RUN_SUFFIX_OLD ".old"           /* is being removed */
#define RUN_SUFFIX_REPLACED ".replaced" /* is whole, and waits for the one that replaces it */

typedef enum run_directory_mode {
    RUN_NEW,      /* there is nothing in it */
    RUN_RESUME,   /* goes on with what is there; where there is nothing, begins */
    RUN_OVERWRITE /* checkpoint-N and metrics.jsonl go; other files stay until the run replaces them */
} run_directory_mode;

typedef struct run_directory {
    int lock; /* descriptor that holds it; -1: not open */
} run_directory;

#define RUN_DIRECTORY_INIT                                                                                                         \
    { -1 }

/*
 * Makes the directory and those above it, takes the lock, and tidies: what a killed run left half-written or half-removed goes, and what it
 * had set aside comes back. POFAC_ERR_USAGE: RUN_NEW, and there is something in it. POFAC_ERR_RUNTIME: it cannot be made, or another run
 * holds the lock.
 */
POFAC_MUST_USE pofac_status run_directory_open(const char *path, run_directory_mode mode, const diag_sink *sink,
                                               run_directory *out);
void run_directory_close(run_directory *d); /* fine when it is not open */

/* Is `path` a checkpoint of `dir`, or within one? RUN_OVERWRITE would remove it. Links are followed. */
bool run_directory_has_checkpoint(const char *dir, const char *path);

/*
 * Cuts DIR/FILE (metrics.jsonl, say) back to its first `bytes`, so that a resumed run writes no step twice; 0 bytes empty it. A
 * file that is shorter, or is not there, is a warning: its lines are lost, and nothing else.
 */
POFAC_MUST_USE pofac_status run_directory_cut(const char *dir, const char *file, int64_t bytes, const diag_sink *sink);

/* DIR/checkpoint-STEP. */
void run_checkpoint_path(const char *dir, int64_t step, strbuf *out);

/* The steps of all checkpoint-STEP in `dir`, rising. The caller frees them with VEC_FREE. */
typedef VEC(int64_t) run_steps;
POFAC_MUST_USE pofac_status run_directory_steps(const char *dir, const diag_sink *sink, run_steps *out);

#endif
