/*
 * The blocks of a bzip2 file, each decompressed by itself, so that many threads can share one file.
 *
 * A file is a row of streams, a stream a row of blocks of up to 900,000 bytes. A block begins with the 48 bits 0x314159265359 at
 * any bit, a stream ends with 0x177245385090; both are called marks here. The same bits may stand by chance within a block: a
 * block ends at the first mark up to which it decompresses with the right checksum.
 *
 * Source: J. Seward, bzip2 and libbzip2, and its bzip2recover; "BZIP2: Format Specification" (J. Tsai, 2016).
 *
 * Left out: the checksum over a stream's blocks; each block has one of its own.
 */
#ifndef POFAC_FRONTEND_DATA_BZ2_BLOCKS_H
#define POFAC_FRONTEND_DATA_BZ2_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/status.h"
#include "ir/support/strbuf.h"

#define BZ2_MARK_BITS 48u
#define BZ2_END_BITS 80u /* the mark at a stream's end, and a checksum */

typedef struct bz2_file {
    const unsigned char *bytes;
    size_t n;
    uint16_t possible[2][256]; /* see bz2_file_init */
} bz2_file;

typedef struct bz2_mark {
    uint64_t bit; /* from the file's first */
    bool is_block;
} bz2_mark;

/* `bytes` stay the caller's and must outlive the rest. */
void bz2_file_init(const unsigned char *bytes, size_t n, bz2_file *out);

/* The first mark that begins at a bit in [from, to); false when there is none. */
bool bz2_next_mark(const bz2_file *f, uint64_t from, uint64_t to, bz2_mark *out);

/* The last mark that begins before `bit`, not farther away than the longest block; false when there is none. */
bool bz2_previous_mark(const bz2_file *f, uint64_t bit, bz2_mark *out);

/* What became of a block. */
typedef enum bz2_block_state {
    BZ2_BLOCK_WHOLE,   /* its bytes were appended */
    BZ2_BLOCK_DAMAGED, /* nothing was appended */
    BZ2_BLOCK_CUT,     /* the file ends before it does; nothing was appended */
    BZ2_BLOCK_NO_END   /* its bytes were appended, but behind it stands no mark: what follows is damaged or missing */
} bz2_block_state;

/* Decompresses the block whose mark begins at `bit`, and appends to `out`, at most 47 MB: run lengths within a block are bounded.
 * *end is the bit of the mark behind the block; for damaged ones a place from which marks may be looked for again.
 * POFAC_ERR_RUNTIME when memory is short. */
POFAC_MUST_USE pofac_status bz2_block_decode(const bz2_file *f, uint64_t bit, const diag_sink *sink, strbuf *out, uint64_t *end,
                                             bz2_block_state *state);

/* Whether the block mark at `bit` stands by chance within the block before it. */
POFAC_MUST_USE pofac_status bz2_mark_is_false(const bz2_file *f, uint64_t bit, const diag_sink *sink, bool *is_false);

#endif
