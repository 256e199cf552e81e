/*
 * A file of a teacher's logits for a row of examples, in checked blocks (frontend/data/block_file.h):
 *
 *     logits_file_info
 *     section 0: u64 [n + 1]                      tokens of the examples before each, from 0
 *     section 1: f32 [n, sequence_width]          logits of sequences
 *     section 2: f32 or f16 [n_tokens, token_width]   logits of tokens; with top_k the largest of each token, falling
 *     section 3: i32 [n_tokens, top_k]            their classes
 *
 * A directory has the files epoch-000-00000.logits, epoch-000-00001.logits, ...: `per_file` examples each, in the order of the data. Examples that are
 * the same in every epoch have one epoch there.
 */
#ifndef POFAC_FRONTEND_LOGITS_FILE_H
#define POFAC_FRONTEND_LOGITS_FILE_H

#include "frontend/data/block_file.h"
#include "ir/support/hash.h"
#include "ir/support/strbuf.h"

/* As it stands in the file; all files of a directory agree in all but first, n, n_tokens and epoch. */
typedef struct logits_file_info {
    hash128 teacher;     /* of its parameters and settings */
    uint64_t data;       /* fingerprint of the examples */
    uint64_t labels;     /* hash of the classes' names in their order; 0: they have none */
    uint64_t n_examples; /* of an epoch */
    uint64_t per_file;
    uint64_t first, n, n_tokens; /* of this file */
    uint64_t epoch;
    char head[32]; /* as users write it, zeros behind */
    uint32_t sequence_width, token_width;
    uint32_t classes;     /* that a token's numbers are of: token_width is a multiple of it, or top_k */
    uint32_t top_k;       /* 0: all */
    uint32_t is_half;     /* token logits are f16 */
    uint32_t every_epoch; /* examples are the same in every epoch */
} logits_file_info;

/* DIR/epoch-EEE-FFFFF.logits. */
void logits_file_path(const char *dir, uint64_t epoch, uint64_t file, strbuf *out);

/* Where two infos differ in what all files of a directory have in common, as words ("the teacher"); NULL: nowhere. */
const char *logits_file_difference(const logits_file_info *a, const logits_file_info *b);

typedef struct logits_file_content {
    const uint64_t *starts;
    const float *sequences;
    const void *tokens;
    const int32_t *ids;
} logits_file_content;

/* Whole or not at all. */
POFAC_MUST_USE pofac_status logits_file_write(const char *path, const logits_file_info *info, const logits_file_content *content,
                                              const diag_sink *sink);

/* POFAC_ERR_INPUT: as block_file_open, or sizes and numbers that do not agree. */
POFAC_MUST_USE pofac_status logits_file_open(const char *path, const diag_sink *sink, block_file **out, logits_file_info *info,
                                             logits_file_content *content);

#endif
