/*
 * Files: read-only mappings, whole-file reads and atomic writes. Errors name the file and the system's reason.
 */
#ifndef POFAC_IR_SUPPORT_FILE_MAP_H
#define POFAC_IR_SUPPORT_FILE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/support/diag.h"

typedef struct file_map {
    const unsigned char *data; /* NULL for an empty file */
    size_t size_bytes;
} file_map;

/* Maps a regular file read-only and privately. POFAC_ERR_INPUT when it is missing, unreadable, or not a regular file. */
POFAC_MUST_USE pofac_status file_map_open(const char *path, const diag_sink *sink, file_map *out);
void file_map_close(file_map *m);

/* Lets go of the memory of the pages that lie wholly within [from, from + n) of a mapping. They stay readable: a page that is touched
 * is read again. */
void file_map_release(const file_map *m, const void *from, size_t n);

/* Writes a whole file so that a reader sees the old content or the new, never a part: temporary file beside it, fsync, rename,
 * fsync of the directory. On error nothing is left behind and the old file is untouched. */
typedef struct file_writer file_writer;
POFAC_MUST_USE pofac_status file_writer_open(const char *path, const diag_sink *sink, file_writer **out);
POFAC_MUST_USE pofac_status file_writer_write(file_writer *w, const void *bytes, size_t n);
POFAC_MUST_USE pofac_status file_writer_commit(file_writer *w); /* frees w in any case */
void file_writer_abandon(file_writer *w);                       /* frees w; NULL is fine */
POFAC_MUST_USE pofac_status file_write_all(const char *path, const void *bytes, size_t n, const diag_sink *sink);

/* Writes all of it, however often the system must be asked; false with errno where it cannot. */
POFAC_MUST_USE bool fd_write_all(int fd, const void *bytes, size_t n);

bool file_exists(const char *path); /* anything of that name */
bool file_is_directory(const char *path);

#endif
