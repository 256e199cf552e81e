/* Transposes of square blocks in registers: how rows become tiles and back. */
#ifndef POFAC_CODEGEN_TRANSPOSE_H
#define POFAC_CODEGEN_TRANSPOSE_H

#include "codegen/llvm_emit.h"

#define TRANSPOSE_MAX 16

/* n vectors of n lanes (a power of two, at most TRANSPOSE_MAX), in place: lane j of vector i and lane i of vector j change places.
 * */
void transpose_emit(emitter *e, cg_val row[TRANSPOSE_MAX], unsigned n);

/* The block size for E features and vectors of at most `lanes`: the largest power of two that is at most either. */
unsigned transpose_size(unsigned lanes, int64_t features);

/* Blocks that cover E features: ceil(E / size). */
int64_t transpose_blocks(int64_t features, unsigned size);

/* Where block i of the ceil(E / size) that cover E features starts: the last one is moved back so that it ends at E (E >= size). */
cg_val transpose_block_start(emitter *e, cg_val i, int64_t features, unsigned size);

/* Columns of a tile of x [R,K]. */
typedef struct tile_strip {
    int64_t K, W, columns; /* of the strip; those past K repeat the last one */
    unsigned lanes;        /* of vectors along the tokens */
} tile_strip;

/* Columns from column0 on of the tile at x, to [W][columns] at `to`: squares of lanes by lanes in registers. */
void transpose_strip_emit(emitter *e, const tile_strip *s, cg_val x, cg_val column0, cg_val to);

#endif
