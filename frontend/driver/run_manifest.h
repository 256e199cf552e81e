/*
 * The list of a checkpoint's files that makes a checkpoint of a directory, checkpoint.manifest:
 *
 *     pofac checkpoint 1
 *     BYTES HASH NAME         for each file, by name; the hash is XXH3 in 128 bits, in hexadecimal; of more than 4 MiB,
 *                             of the hashes (low half, high half) of the pieces of 4 MiB
 *     end HASH                of all bytes before
 */
#ifndef POFAC_FRONTEND_RUN_MANIFEST_H
#define POFAC_FRONTEND_RUN_MANIFEST_H

#include "ir/support/diag.h"

#define RUN_MANIFEST_FILE "checkpoint.manifest"
#define RUN_MANIFEST_FORMAT 1

/* Lists all files that are in `dir`, which has files alone, and syncs it. POFAC_ERR_RUNTIME: one cannot be read, or the list not be written. */
POFAC_MUST_USE pofac_status run_manifest_write(const char *dir, const diag_sink *sink);

/*
 * Is what `dir` holds what was listed? `only`: looks at these files alone (NULL at the end), which have to be listed; NULL: at all.
 * POFAC_ERR_INPUT with one message that names the file and what is wrong: no manifest, one of another version, one that was changed; a
 * file that is missing, cut short, or changed.
 */
POFAC_MUST_USE pofac_status run_manifest_check(const char *dir, const char *const *only, const diag_sink *sink);

#endif
