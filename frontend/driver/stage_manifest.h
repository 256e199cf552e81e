/*
 * What a stage's directory is the result of, manifest.json in it: written when the stage begins, and again when it has ended.
 *
 *   {"stage": "teacher", "state": "running|done|failed", "key": HEX, "determined_by": [LINE, ...], "command": [WORD, ...],
 *    "reads": {STAGE: KEY, ...}, "exit_status": 0, "seconds": 12.3, "outputs": [{"name": "model.safetensors", "bytes": 123}, ...]}
 *
 * `determined_by` are the lines that the key is the hash of. Outputs are the files when the stage had ended, but those of checkpoints.
 */
#ifndef POFAC_FRONTEND_STAGE_MANIFEST_H
#define POFAC_FRONTEND_STAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"

#define STAGE_MANIFEST_FILE "manifest.json"

typedef enum stage_state {
    STAGE_ABSENT, /* nothing is there */
    STAGE_RUNNING,
    STAGE_DONE,
    STAGE_FAILED,
    STAGE_FOREIGN /* there is something, and no manifest that can be read */
} stage_state;

typedef struct stage_manifest {
    const char *stage;
    stage_state state;
    const char *key, *determined_by; /* lines, each with its newline */
    const char *const *command;      /* NULL at the end */
    const char *reads;               /* lines STAGE KEY */
    int exit_status;
    double seconds;
} stage_manifest;

/* Writes DIR/manifest.json; of STAGE_DONE with what is in DIR. */
POFAC_MUST_USE pofac_status stage_manifest_write(const char *dir, const stage_manifest *m, const diag_sink *sink);

/* What is known of a directory: state, key, determined_by, exit_status and seconds, in `a`. Damage is no error: the directory is foreign, or its stage
 * failed where an output is missing or has another size. */
POFAC_MUST_USE pofac_status stage_manifest_read(const char *dir, arena *a, const diag_sink *sink, stage_manifest *out);

#endif
