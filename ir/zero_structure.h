/*
 * Do the zeros of a weight stand in an order that a sparse layout can use: blocks of R x C that are zero as a whole, or at most N
 * non-zeros in every M columns?
 */
#ifndef POFAC_IR_ZERO_STRUCTURE_H
#define POFAC_IR_ZERO_STRUCTURE_H

#include "ir/tensor.h"

#define ZERO_STRUCTURE_MOST 16 /* rows and columns of a block, columns of a group */

/* No padding: compared as bytes. */
typedef struct zero_structure {
    uint8_t block_rows, block_columns; /* R, C at multiples of which blocks begin; 0, 0: no blocks */
    uint8_t keep, of; /* N, M: no row has more than N non-zeros in the M columns from a multiple of M on; 0, 0: none */
    uint16_t fill;    /* per mille of the elements of blocks with any non-zero that are none; 0: no blocks */
} zero_structure;

bool zero_structure_equal(const zero_structure *a, const zero_structure *b);

/* "4x1", "2:4", "4x1 2:4"; "" for none. */
void zero_structure_print(const zero_structure *s, strbuf *out);

/*
 * Looks at a weight [N,K] of floats. Blocks are estimated from rows all over the weight, and named where reading whole blocks, with the
 * zeros in them, should be faster than reading non-zeros one by one; N of M holds for every row, and is named where N M / K places are
 * not many more than non-zeros.
 */
zero_structure zero_structure_find(const ir_tensor *weight);

#endif
