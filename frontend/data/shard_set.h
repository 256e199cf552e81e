/*
 * All shards of one split of a directory, as one row of examples: what batches are drawn from. May be read by several threads.
 */
#ifndef POFAC_FRONTEND_DATA_SHARD_SET_H
#define POFAC_FRONTEND_DATA_SHARD_SET_H

#include "frontend/data/shards.h"

typedef struct shard_set shard_set;

/* Opens a directory's shards of one split, or one shard file (then `split` plays no part). POFAC_ERR_INPUT: there is no shards.json, it is of an unfinished
 * build, a shard is missing or disagrees with it. */
POFAC_MUST_USE pofac_status shard_set_open(const char *path, shard_split split, const diag_sink *sink, shard_set **out);
void shard_set_close(shard_set *s);          /* NULL is fine */
uint64_t shard_set_size(const shard_set *s); /* examples; 0 where the split is empty */
size_t shard_set_shards(const shard_set *s);
const shard *shard_set_shard(const shard_set *s, size_t i);

/* What all shards have in common: seed, mode, S, vocabulary; counts are 0. All is 0 where there is no shard. */
const shard_info *shard_set_info(const shard_set *s);

/* As shard_read and shard_measure, `index` (below shard_set_size) numbered through all shards. */
POFAC_MUST_USE pofac_status shard_set_read(const shard_set *s, uint64_t index, const diag_sink *sink, int32_t *ids,
                                           shard_example *out);
POFAC_MUST_USE pofac_status shard_set_measure(const shard_set *s, uint64_t index, const diag_sink *sink, shard_example *out);

#endif
