/*
 * A corpus -> a directory of shards for pre-training: documents, sentences, tokens, examples, on all threads.
 *
 * In two stages. Documents become tokens, part by part of the corpus, and are spooled into files of the output directory; the number of documents is known then,
 * of which the first ones are held out for validation. Then the documents become examples, which go into shards. The spools are removed in the end. Both stages
 * keep their place in shards.json: a build that was interrupted, or killed, goes on behind the last file that was finished. Whatever the number of threads and
 * of interruptions, the bytes of all files are the same.
 *
 * Memory: a few parts of the corpus for each thread, one spool or shard in the making, and the documents of one pool.
 */
#ifndef POFAC_FRONTEND_DRIVER_BUILD_SHARDS_H
#define POFAC_FRONTEND_DRIVER_BUILD_SHARDS_H

#include "frontend/data/segment_pairs.h"
#include "frontend/driver/interruption.h"
#include "frontend/text/tokenizer.h"
#include "ir/support/strbuf.h"

typedef enum build_directory {
    BUILD_NEW,      /* the output directory is empty, or is made */
    BUILD_RESUME,   /* goes on with what is there */
    BUILD_OVERWRITE /* files of an earlier build are removed; others stay */
} build_directory;

typedef struct build_shards_options {
    const char *const *corpora; /* [n_corpora] files or directories */
    size_t n_corpora;
    const char *kind; /* frontend/corpora.def; NULL: told from the files */
    bool skip_damage;
    const char *output_dir;
    const char *vocab, *tokenizer; /* a vocabulary file, or a Hugging Face directory: one of them */
    tokenizer_flag do_lower_case;  /* unset: as the directory says, else on */
    const char *mode;              /* frontend/pair_modes.def */
    size_t max_seq_length;
    uint64_t seed;
    double validation_share; /* of the documents, the first ones; rounded to the nearest number of documents, halves to even */
    uint64_t shard_tokens;   /* a shard ends with the piece of work that reaches so many; a spool too */
    size_t threads;          /* 0: as thread_pool_create */
    build_directory directory;
    interruption *stop;                                                           /* may be NULL */
    void (*progress)(void *user, const char *unit, uint64_t count, double share); /* any thread, one call at a time; may be NULL */
    void *progress_user;
} build_shards_options;

/*
 * Appends a JSON object with what was made to `result`, and the time and memory that this took. POFAC_ERR_USAGE: options that make no sense, a directory that is not empty. POFAC_ERR_INPUT: as
 * corpus_open and corpus_next_part; fewer than 10 documents where examples are pairs; a build that shall go on had other options.
 * POFAC_ERR_INTERRUPTED: a signal came; the build can go on.
 */
POFAC_MUST_USE pofac_status build_shards(const build_shards_options *options, const diag_sink *sink, strbuf *result);

#endif
