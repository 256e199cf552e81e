/*
 * Shards: files of examples for pre-training, as token ids. A shard is mapped, and checked where it is read (block_file.h).
 *
 *     shard_info                     counts, and what the examples were made with
 *     section 0: struct pair_example [n_examples]
 *     section 1: token ids           [n_tokens] of token_bytes each, little-endian
 *
 * A directory of shards has train-00000.shard, train-00001.shard, ..., validation-00000.shard, ..., and shards.json, which lists them: shard_manifest.h,
 * shard_set.h.
 */
#ifndef POFAC_FRONTEND_DATA_SHARDS_H
#define POFAC_FRONTEND_DATA_SHARDS_H

#include "frontend/data/segment_pairs.h"
#include "frontend/text/tokenizer.h"
#include "ir/support/hash.h"

#define SHARD_VERSION 1

typedef enum shard_split { SHARD_TRAIN, SHARD_VALIDATION, N_SHARD_SPLITS } shard_split;

const char *shard_split_name(shard_split split); /* "train", "validation" */
bool shard_split_parse(const char *name, shard_split *out);

/* As it stands in the file. */
typedef struct shard_info {
    uint64_t seed;
    uint64_t n_documents, first_document; /* the examples are made of, numbered through the corpus */
    uint64_t n_examples, n_tokens;
    hash128 vocabulary; /* shard_vocabulary_hash */
    uint32_t vocab_size, token_bytes;
    uint32_t max_length;                      /* S */
    uint32_t mode;                            /* pair_mode */
    uint32_t split;                           /* shard_split */
    uint32_t number;                          /* among the shards of its split, from 0 */
    int32_t special_id[TOKENIZER_N_SPECIALS]; /* tokens with a role; -1: the vocabulary lacks it */
    uint32_t zero;
} shard_info;

/* What says whether two tokenizers give the same ids: the hash of all tokens and of the settings for splitting text. */
hash128 shard_vocabulary_hash(const tokenizer *t);

/* Fills in what depends on the tokenizer. */
void shard_info_set_tokenizer(shard_info *info, const tokenizer *t);

/* Writes a shard of the examples in `list`, whole or not at all; n_examples, n_tokens are the list's. */
POFAC_MUST_USE pofac_status shard_write(const char *path, const shard_info *info, const pair_list *list, const diag_sink *sink);

typedef struct shard shard;

/* POFAC_ERR_INPUT: as block_file_open, or counts and sizes do not agree. A shard may be read by several threads. */
POFAC_MUST_USE pofac_status shard_open(const char *path, const diag_sink *sink, shard **out);
void shard_close(shard *s); /* NULL is fine */
const shard_info *shard_get_info(const shard *s);

typedef struct shard_example {
    size_t n_tokens; /* at most max_length */
    size_t second;   /* where the second segment begins; n_tokens where there is none */
    pair_label label;
} shard_example;

/* Example `index` below n_examples: its ids in ids[max_length]. POFAC_ERR_INPUT when the file is damaged there. */
POFAC_MUST_USE pofac_status shard_read(const shard *s, uint64_t index, const diag_sink *sink, int32_t *ids, shard_example *out);

/* The same without ids: for orders by length. */
POFAC_MUST_USE pofac_status shard_measure(const shard *s, uint64_t index, const diag_sink *sink, shard_example *out);

/* Checks everything, every example included. */
POFAC_MUST_USE pofac_status shard_check(const shard *s, const diag_sink *sink);

#endif
