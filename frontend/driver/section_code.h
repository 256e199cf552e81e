/*
 * Bytes of a compiled model's file in fewer bytes: what is packed for kernels has small differences (columns of non-zeros), many zeros and few values (eight
 * bits), which Huffman codes make short.
 *
 * Bytes are cut into chunks of SECTION_CHUNK_BYTES, each coded by itself, so that threads decode them side by side:
 *
 *     u32       of each chunk: how it is coded, times 2^24, and the bytes that it takes
 *     chunks    one behind the other: 0 as it is; else a frame of zstd (RFC 8878) of
 *                 1   the bytes
 *                 2   differences of 16-bit numbers, all low bytes before all high ones: rising offsets become gaps
 *                 3   a bit for each byte that is not 0, and those bytes
 *
 * Numbers are little-endian.
 */
#ifndef POFAC_FRONTEND_SECTION_CODE_H
#define POFAC_FRONTEND_SECTION_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"

/* The numbers stand in files. */
typedef enum section_coding { SECTION_RAW = 0, SECTION_CODED = 1, N_SECTION_CODINGS } section_coding;

#define SECTION_CHUNK_BYTES ((size_t)32768)

size_t section_chunks(size_t n_bytes);

/* Appends `bytes` to `out`, each chunk in the coding that makes it shortest, or almost so and faster to decode; SECTION_RAW, with nothing appended, where that saves less
 * than a quarter. */
POFAC_MUST_USE pofac_status section_encode(const void *bytes, size_t n_bytes, const diag_sink *sink, section_coding *coding,
                                           strbuf *out);

/* Memory of one thread for decoding. */
typedef struct section_decoder section_decoder;
section_decoder *section_decoder_create(void);    /* NULL when memory is short */
void section_decoder_destroy(section_decoder *d); /* NULL is fine */

/* Decodes chunk number `chunk` of n_bytes bytes to its place in `out`. False: the coded bytes, which may be any, are no such chunk. */
bool section_decode(section_decoder *d, const unsigned char *coded, size_t coded_bytes, size_t chunk, unsigned char *out,
                    size_t n_bytes);

#endif
