/*
 * Sparse weights in memory: the contract between runtime/sparse_packing.c, which writes them, and kernels, which read them.
 *
 * A matrix [N,K] (`transposed`: the columns of the pattern are the N here) lies in the order in which a kernel walks it:
 *
 *   for each group of row_group rows
 *     for each block of k_block columns            so that the activations of a block, [k_block][tile], stay in L1
 *       for each bucket of rows that have the same number of entries in the block, most entries first, rows rising
 *         for each row: a visit: its entries, columns rising
 *
 * An entry is a non-zero (STREAM), an R x C block with at least one non-zero at a multiple of R and C (BLOCKS; a "row" then is R rows
 * of the matrix), or one of the N places of a group of M columns (N_M: each visit has N places for every M columns of the block;
 * places without a non-zero have offset 0 and value 0). Rows without entries in a block have no visit. Sorting by the number of
 * entries makes it a constant of the code path for a whole bucket (kernels.md of the project's design measured 12 % and more against
 * rows in their own order).
 *
 * The index, one allocation, all numbers little-endian, each part at a multiple of 64 bytes:
 *
 *   sparse_header
 *   sparse_segment [n_groups * n_k_blocks + 1]     where each (group, block) starts; the last one is the end
 *   sparse_bucket  [n_buckets]
 *   uint16         rows [n_visits + 8]             the visit's (first) row of the matrix within its group; the tail repeats the last
 *   uint32         firsts [n_visits + 8]           STREAM: number of the visit's first non-zero among all, row by row of the matrix
 *                                                  at hand (transposed: of the transposed one); a visit's entries follow each other
 *                                                  there. Other kinds: absent, the header says 0
 *   uint16 / uint8 offsets [n_entries + 64]        bytes / 8 from the block's first column to the entry's column in a tile: (column -
 *                                                  block's first) * tile * 4 / 8; N_M: uint8, from the first column of the group of M
 *
 * The values, another: f32 [n_entries][C][R], SPARSE_VALUES_BEHIND zeros behind them.
 *
 * Weights in 8 bits (QUADS, SPLIT_QUADS, FOURS, PAIRS; runtime/int8_sparse_packing.h) have their values in the same allocation, since which entries there
 * are depends on them; every row has a visit in the first block, also one without entries. Non-zeros that are 0 in 8 bits are left out.
 *
 *   uint16         offsets                         QUADS, SPLIT_QUADS: one, bytes / 8 from the block's first column in quads<tile>:
 *                                                  (column / 4 - first / 4) * tile / 2. FOURS, PAIRS: four, bytes / 4 in tiles<tile> of bytes
 *   int8           values                          QUADS, SPLIT_QUADS: four, of the group's columns. FOURS: of the four offsets. PAIRS: a b a b c d c d for
 *                                                  the four offsets, where a, b and c, d are the pairs. 64 zeros behind them
 *   int32          sums [N]                        of each row
 *
 * In SPLIT_QUADS the first two and the last two values of an entry, and in PAIRS both pairs, have positive values that add up to 128 at most
 * and negative ones to -128 at least: times bytes of 0 to 255 their sum is within 16 bits (vpmaddubsw does not saturate). A positive and a
 * negative value always go together (Jacob et al. 2018 give up a value of the weight's range instead).
 *
 * Limits: (k_block - 1) * tile / 2 < 2^16 (N_M: (M - 1) * tile / 2 < 2^8), tile even, k_block a multiple of C and M, row_group of R;
 * fewer than 2^32 non-zeros and bytes of index.
 */
#ifndef POFAC_IR_SPARSE_LAYOUT_H
#define POFAC_IR_SPARSE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define SPARSE_VALUES_BEHIND 16

typedef enum sparse_layout_kind {
    SPARSE_NONE,
#define SPARSE_LAYOUT(id, name, meaning) SPARSE_##id,
#include "ir/sparse_layouts.def"
#undef SPARSE_LAYOUT
    N_SPARSE_LAYOUTS
} sparse_layout_kind;

/* No padding: compared as bytes. All zero: none. */
typedef struct sparse_layout {
    uint16_t kind;                     /* sparse_layout_kind */
    uint16_t tile;                     /* W, tokens side by side of the activations */
    uint16_t k_block, row_group;       /* columns, rows of the matrix */
    uint8_t block_rows, block_columns; /* R, C: 1, 1 but for BLOCKS */
    uint8_t keep, of;                  /* N, M of N_M, else 0 */
    uint8_t transposed, reserved;
} sparse_layout;

typedef struct sparse_header {
    uint32_t n_groups, n_k_blocks, n_visits, n_entries;
    uint32_t segments, buckets, rows, firsts, offsets; /* bytes from the header */
    uint32_t n_buckets, bytes;
    uint32_t k_block, row_group; /* of the layout */
    uint32_t values, sums;       /* bytes from the header, of weights in 8 bits, else 0 */
    uint32_t reserved;
} sparse_header;

typedef struct sparse_segment {
    uint32_t bucket, visit, entry, reserved;
} sparse_segment;

typedef struct sparse_bucket {
    uint16_t entries, visits; /* of each visit; how many */
} sparse_bucket;

/* Is it one of weights in 8 bits? */
static inline bool sparse_layout_is_int8(const sparse_layout *l) {
    return l->kind == SPARSE_QUADS || l->kind == SPARSE_SPLIT_QUADS || l->kind == SPARSE_FOURS || l->kind == SPARSE_PAIRS;
}

const char *sparse_layout_name(sparse_layout_kind kind);    /* "stream" */
const char *sparse_layout_meaning(sparse_layout_kind kind); /* for `pofac list` */
bool sparse_layout_equal(const sparse_layout *a, const sparse_layout *b);

#endif
