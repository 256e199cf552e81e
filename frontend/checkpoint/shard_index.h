/* Checkpoints in several files, with an index that says which file holds which tensor: the same for every format of the files. */
#ifndef POFAC_FRONTEND_SHARD_INDEX_H
#define POFAC_FRONTEND_SHARD_INDEX_H

#include "frontend/checkpoint/checkpoint_build.h"

typedef struct checkpoint_filter {
    bool (*wants)(void *user, const char *name);
    void *user;
} checkpoint_filter;

/* Reads a file as a format's reader does, but adds the tensors that the filter wants alone (NULL: all). The whole file is checked. */
typedef pofac_status shard_reader(const char *path, const checkpoint_filter *filter, const diag_sink *sink, checkpoint *c);

/* Reads the index at `path` and the files that it names. */
POFAC_MUST_USE pofac_status shard_index_read(const char *path, shard_reader *read_file, const diag_sink *sink, checkpoint *c);

#endif
