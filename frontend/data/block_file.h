/*
 * Files of arrays that are mapped, with a checksum for every 64 KiB: what shards and spools of documents are made of.
 *
 *     struct block_file_head   magic, version, sizes, checksum of all before the blocks
 *     info                     [info_bytes] a struct of the kind of file
 *     checksums                [n_blocks] XXH3 of each block, 8 bytes
 *     blocks                   from a multiple of 64 on, in pieces of 64 KiB, the last one shorter: the sections, each from a multiple of 64 on
 *
 * Numbers are little-endian, as on all machines that pofac runs on. Opening checks everything but the blocks; these are checked when they are first
 * needed, once, by any thread (block_file_need), or all at once.
 */
#ifndef POFAC_FRONTEND_DATA_BLOCK_FILE_H
#define POFAC_FRONTEND_DATA_BLOCK_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"

#define BLOCK_FILE_SECTIONS 4 /* most of a file */
#define BLOCK_FILE_BLOCK_BYTES ((size_t)65536)

typedef struct block_file_kind {
    char magic[8];
    uint32_t version;
    const char *name; /* "shard", for messages */
    uint32_t n_sections;
    size_t info_bytes; /* of the struct, a multiple of 8 */
} block_file_kind;

typedef struct block_file_section {
    const void *data;
    size_t bytes;
} block_file_section;

/* Writes the file as file_writer does: whole, or not at all. */
POFAC_MUST_USE pofac_status block_file_write(const char *path, const block_file_kind *kind, const void *info,
                                             const block_file_section *sections, const diag_sink *sink);

typedef struct block_file block_file;

/* Maps a file. POFAC_ERR_INPUT: unreadable, of another kind or a newer version, truncated, or its head does not have the checksum that it should. */
POFAC_MUST_USE pofac_status block_file_open(const char *path, const block_file_kind *kind, const diag_sink *sink, block_file **out);
void block_file_close(block_file *f); /* NULL is fine */

const char *block_file_path(const block_file *f);
const void *block_file_info(const block_file *f);                 /* aligned to 8 */
block_file_section block_file_get(const block_file *f, size_t i); /* aligned to 64, not checked */

/* Checks the blocks of the bytes [from, from + n), which lie within a section, unless that has been done. POFAC_ERR_INPUT names the block at fault. */
POFAC_MUST_USE pofac_status block_file_need(const block_file *f, const void *from, size_t n, const diag_sink *sink);

/* Checks all blocks, and that what lies between the sections is zero. */
POFAC_MUST_USE pofac_status block_file_check(const block_file *f, const diag_sink *sink);

/* The bytes may leave memory; they come back when they are read. */
void block_file_release(const block_file *f, const void *from, size_t n);

#endif
