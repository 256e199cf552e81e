/*
 * Bytes of a compiled model's file in fewer bytes: what is packed for kernels has small differences (columns of non-zeros), many zeros and few values (eight
 * bits). Codes of one width make that short enough, and decode at a good part of the memory's speed; Huffman codes are for what they make much shorter.
 *
 * Bytes are cut into chunks of SECTION_CHUNK_BYTES, each coded by itself, so that threads decode them side by side:
 *
 *     u32       of each chunk: how it is coded, times 2^24, and the bytes that it takes
 *     chunks    one behind the other
 *                 0      as it is
 *                 1, 2   16-bit numbers by their distance d from the one before (of the first: from 0):
 *                            u8 s, codes of 8 (1) or 4 bits (2), low bits first, u16 of each number whose code has all bits set: d mod 2^16,
 *                            a last odd byte as it is; another code c says d = (c + 1) 2^s, and that the number is below 2^16
 *                 3      a bit for each byte that is not 0, and those bytes
 *                 4..6   a frame of zstd (RFC 8878) of
 *                            4   the bytes
 *                            5   differences of 16-bit numbers, all low bytes before all high ones
 *                            6   what 3 has
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

#define SECTION_CHUNK_BYTES ((size_t)16384)

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
