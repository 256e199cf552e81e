/*
 * shards.json of a directory of shards: what it was made of, what is finished, and, until the build is complete, where it goes on.
 *
 *     {"format": "pofac shards", "version": 1, "complete": true,
 *      "options": {...},                                                        what the shards depend on; compared where a build goes on
 *      "documents": {"parts": 3, "complete": true, "documents": 442, "sentences": 9000, "tokens": 200000, "empty": 0},
 *      "counts": {"pages": 206, ...},                                           of the corpus
 *      "spools": [{"documents": 442}],                                          documents-00000.spool, ...; none when the build is complete
 *      "shards": [{"split": "validation", "first_document": 0, "documents": 22, "examples": 900, "random": 460, "tokens": 100000}, ...]}
 *
 * Files are named after their numbers: shards of a split are numbered in the order in which they stand there. There are no times in it, so equal builds have
 * equal manifests.
 */
#ifndef POFAC_FRONTEND_DATA_SHARD_MANIFEST_H
#define POFAC_FRONTEND_DATA_SHARD_MANIFEST_H

#include "frontend/data/corpus.h"
#include "frontend/data/shards.h"

#define MANIFEST_FILE "shards.json"

typedef struct manifest_shard {
    shard_split split;
    uint64_t first_document, n_documents, n_examples, n_random, n_tokens;
} manifest_shard;

/* All zero is the manifest of a build that has not begun. */
typedef struct shard_manifest {
    strbuf options; /* a JSON object */
    bool is_complete;
    uint64_t parts; /* of the corpus, that are in the spools */
    bool documents_complete;
    uint64_t n_documents, n_sentences, n_tokens, n_empty; /* in the spools; empty documents are left out and counted */
    corpus_counts counts;
    VEC(uint64_t) spools; /* documents of each */
    VEC(manifest_shard) shards;
} shard_manifest;

void shard_manifest_free(shard_manifest *m);

/* Reads DIR/shards.json into an empty manifest. POFAC_ERR_INPUT: missing, not JSON, of a newer version, or a value is not what it should be. */
POFAC_MUST_USE pofac_status shard_manifest_read(const char *dir, const diag_sink *sink, shard_manifest *out);

/* Writes DIR/shards.json, whole or not at all. */
POFAC_MUST_USE pofac_status shard_manifest_write(const char *dir, const shard_manifest *m, const diag_sink *sink);

/* Appends the text of the file. */
void shard_manifest_put(const shard_manifest *m, strbuf *out);

/* POFAC_ERR_INPUT naming the first option in which the two objects differ. */
POFAC_MUST_USE pofac_status shard_manifest_compare(const char *dir, const shard_manifest *m, const char *options,
                                                   const diag_sink *sink);

/* Appends DIR/train-00000.shard, DIR/documents-00000.spool. */
void shard_manifest_put_shard_path(const char *dir, shard_split split, uint64_t number, strbuf *out);
void shard_manifest_put_spool_path(const char *dir, uint64_t number, strbuf *out);

#endif
