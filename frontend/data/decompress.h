/*
 * Compressed bytes -> the bytes before compression, from the first to the last, in pieces of any size. Any number of compressed
 * files may stand one behind the other (members of gzip, streams of bzip2, frames of zstd). Memory: what the library needs; for
 * zstd at most 128 MiB.
 */
#ifndef POFAC_FRONTEND_DATA_DECOMPRESS_H
#define POFAC_FRONTEND_DATA_DECOMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/status.h"

typedef enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_BZIP2, COMPRESSION_ZSTD } compression;

/* Told from the first bytes. */
compression compression_of(const unsigned char *bytes, size_t n);

typedef struct decompressor decompressor;

/* `bytes` stay the caller's and must outlive the decompressor. POFAC_ERR_RUNTIME when memory is short. */
POFAC_MUST_USE pofac_status decompressor_open(compression kind, const unsigned char *bytes, size_t n, const diag_sink *sink,
                                              decompressor **out);

/* The next n bytes; *got is smaller at the end, and before damage, where all further reads give 0 bytes. POFAC_ERR_RUNTIME when
 * memory is short. */
POFAC_MUST_USE pofac_status decompressor_read(decompressor *d, void *out, size_t n, const diag_sink *sink, size_t *got);

/* What is wrong with the compressed bytes at the place where reading ended ("found ..., wanted ..."); NULL while nothing is. */
const char *decompressor_damage(const decompressor *d);

/* Compressed bytes that were read. */
size_t decompressor_taken(const decompressor *d);

void decompressor_close(decompressor *d); /* NULL is fine */

#endif
