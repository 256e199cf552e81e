/* Paths of files and directories -> the files in them. */
#ifndef POFAC_FRONTEND_DATA_CORPUS_FILES_H
#define POFAC_FRONTEND_DATA_CORPUS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/status.h"

typedef struct corpus_path {
    char *path; /* owned */
    uint64_t bytes;
    bool from_directory;
} corpus_path;

typedef struct corpus_paths {
    corpus_path *data;
    size_t size, capacity;
} corpus_paths;

/*
 * The files that `paths` name, in their order; a directory's are all regular files below it, sorted by the bytes of their paths.
 * Names that begin with a dot are passed over, and so are symbolic links to directories, which may form circles.
 * POFAC_ERR_INPUT for what is missing or cannot be read, and for directories without files.
 */
POFAC_MUST_USE pofac_status corpus_paths_find(const char *const *paths, size_t n_paths, const diag_sink *sink, corpus_paths *out);

void corpus_paths_free(corpus_paths *p);

#endif
