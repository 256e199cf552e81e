/* The two stages of build_shards, and its directory. Both stages go on where the manifest says, and keep it up to date. */
#ifndef POFAC_FRONTEND_DRIVER_BUILD_STAGES_H
#define POFAC_FRONTEND_DRIVER_BUILD_STAGES_H

#include "frontend/data/shard_manifest.h"
#include "frontend/driver/build_shards.h"
#include "runtime/thread_pool.h"

typedef struct shard_build {
    const build_shards_options *options;
    pair_mode mode;
    tokenizer *tokenizer;
    size_t token_bytes;
    thread_pool *pool;
    corpus *corpus;
    shard_manifest manifest;
} shard_build;

/* ---- shard_directory.c ---- */

/* Makes the directory where it is missing, takes hold of it (*lock: a descriptor, to be closed in the end), and decides by options->directory what becomes of what
 * is in it: *found says whether there is a manifest to go on with. */
POFAC_MUST_USE pofac_status shard_directory_open(const build_shards_options *options, const diag_sink *sink, int *lock,
                                                 bool *found);

/* Removes the directory's files that a build writes, but those that the manifest lists. */
POFAC_MUST_USE pofac_status shard_directory_clean(const char *dir, const shard_manifest *m, const diag_sink *sink);

/* ---- spool_corpus.c: the corpus -> spools ---- */

POFAC_MUST_USE pofac_status spool_corpus(shard_build *b, const diag_sink *sink);

/* ---- make_shards.c: spools -> shards ---- */

/* The number of documents that are held out. */
uint64_t held_out_documents(const shard_build *b);

POFAC_MUST_USE pofac_status make_shards(shard_build *b, const diag_sink *sink);

#endif
