/* A vocabulary and a file of text lines -> JSON lines with tokens, ids and offsets (frontend/text/tokenize_lines.h). */
#ifndef POFAC_FRONTEND_TOKENIZE_FILE_H
#define POFAC_FRONTEND_TOKENIZE_FILE_H

#include "frontend/text/tokenize_lines.h"

typedef struct tokenize_file_options {
    const char *vocab;
    tokenizer_flag do_lower_case;
    tokenize_lines_mode mode;
} tokenize_file_options;

/* `path` "-": standard input. */
POFAC_MUST_USE pofac_status tokenize_file(const char *path, const tokenize_file_options *options, tokenize_lines_write write,
                                          void *user, const diag_sink *sink);

#endif
