/*
 * What files and directories hold, as one number each: XXH3 in 128 bits. Of a directory, names and contents of all files in it count, but those of
 * checkpoint-N and runs, which a training run leaves beside its result. Of a description (.xml), and of the index of a sharded checkpoint
 * (.index.json), the files that it names count as well. Links to a directory around them, and descriptions that name themselves, end there.
 *
 * Hashes of files are kept in a file, by path, size, i-node and time of change (of the i-node, which no program can set back as it can the
 * contents' time), so that what has not changed is not read again.
 */
#ifndef POFAC_FRONTEND_INPUT_HASH_H
#define POFAC_FRONTEND_INPUT_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/support/hash.h"
#include "ir/support/vector.h"

typedef struct input_hash_row {
    const char *path; /* absolute */
    uint64_t size, inode;
    int64_t changed_ns;
    hash128 hash;
    bool used; /* asked for since the cache was opened */
} input_hash_row;

typedef struct input_hashes {
    VEC(input_hash_row) rows; /* texts in `texts` */
    arena texts;
    int64_t opened_ns; /* files that have changed since shortly before are not kept */
} input_hashes;

/* `file` may be missing or damaged: then everything is read. NULL: nothing is kept. */
POFAC_MUST_USE pofac_status input_hashes_open(const char *file, const diag_sink *sink, input_hashes *out);

/* Writes what was asked for. */
POFAC_MUST_USE pofac_status input_hashes_save(const input_hashes *h, const char *file, const diag_sink *sink);
void input_hashes_close(input_hashes *h);

/* Of a file or directory. *bytes: of all files. POFAC_ERR_INPUT: it is not there or cannot be read. */
POFAC_MUST_USE pofac_status input_hash(input_hashes *h, const char *path, const diag_sink *sink, hash128 *out, uint64_t *bytes);

#endif
