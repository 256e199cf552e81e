/* Sums across the lanes of vectors: of eight or sixteen vectors at a time, and of the columns of a matrix in tiles. */
#ifndef POFAC_CODEGEN_COLUMN_SUMS_H
#define POFAC_CODEGEN_COLUMN_SUMS_H

#include "codegen/kernel.h"

#define LANE_SUMS 8
#define LANE_SUMS_MOST 16
#define COLUMN_SUMS_ROWS 64

/* Adds what the lanes of each of sum[0, count) add up to, to the numbers at `to`: 16 of them if count > 8, which takes vectors of 16
 * lanes; else 8 if count > 4; else 4; those past `count` are added 0. `to` is aligned to 32 bytes, or 16 if count <= 4. */
void lane_sums_add(emitter *e, const cg_val *sum, unsigned count, cg_val to);

/* Columns of x [R,N] in tiles<W>. */
typedef struct column_sums {
    int64_t N, W;
    unsigned lanes;
    cg_val n_rows;  /* R */
    cg_val x, sums; /* [N] */
    cg_val scratch;
} column_sums;

/* The sums of COLUMN_SUMS_ROWS columns from row0 (a value) on, as far as there are any. */
void column_sums_emit(emitter *e, const column_sums *c, cg_val row0);
int64_t column_sums_scratch(int64_t W); /* bytes */

#endif
