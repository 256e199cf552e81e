/*
 * A tokenizer from a Hugging Face directory: vocab.txt, or where that is missing the WordPiece model inside tokenizer.json, with the
 * settings of tokenizer_config.json and the added tokens of all files that have such.
 */
#ifndef POFAC_FRONTEND_TEXT_TOKENIZER_CONFIG_H
#define POFAC_FRONTEND_TEXT_TOKENIZER_CONFIG_H

#include "frontend/text/tokenizer.h"

/* Reads do_lower_case, strip_accents, tokenize_chinese_chars and model_max_length from a tokenizer_config.json into `out`, which
 * keeps what the file does not set (absent or null). POFAC_ERR_INPUT: unreadable, not JSON (with line and column), wrong type, or a
 * token with a role ([CLS] and its like) under another name. Added tokens belong to the directory's own vocabulary and are not read. */
POFAC_MUST_USE pofac_status tokenizer_config_read(const char *path, const diag_sink *sink, tokenizer_options *out);

/* The tokenizer of directory `dir`. A setting is taken from `overrides` (may be NULL) where set there, else from
 * tokenizer_config.json, else from tokenizer.json if the vocabulary comes from it, else the default. Added
 * tokens come from added_tokens.json, tokenizer.json, special_tokens_map.json and tokenizer_config.json; from the last alone where it has
 * added_tokens_decoder. POFAC_ERR_INPUT when neither vocab.txt nor tokenizer.json exists, a file is malformed, or files disagree about
 * an id. The caller destroys *out. */
POFAC_MUST_USE pofac_status tokenizer_load_directory(const char *dir, const tokenizer_options *overrides, const diag_sink *sink,
                                                     tokenizer **out);

/* The names of the files of a directory that it looks at; NULL past the end. */
const char *tokenizer_file_name(size_t i);

typedef struct tokenizer_file {
    const char *name, *bytes; /* bytes: NULL where the directory lacks the file */
    size_t n_bytes;
} tokenizer_file;

/* The same of files in memory, files[i] being tokenizer_file_name(i); `dir` stands for the directory in messages. */
POFAC_MUST_USE pofac_status tokenizer_load_files(const char *dir, const tokenizer_file *files, const tokenizer_options *overrides,
                                                 const diag_sink *sink, tokenizer **out);

#endif
