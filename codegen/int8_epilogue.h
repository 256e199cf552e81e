/*
 * What stands behind an integer product: sums of u8 * s8 -> numbers (spec: prune once for all, section 7; Jacob et al. 2018) ->
 * elementwise work -> f32 in tiles, 8 bits of the next product, or both.
 *
 * linear_int8 reads x, u8 [R,K] of scale X and zero point Z, and a weight, s8 of scale C; out has a scale O and a zero point P.
 *
 *   sum = the product of the bytes + round(bias / (X C)) - Z (sum of the weight's row)       in 32 bits
 *   y   = sum * (X C)                                              without a range of the output, or
 *   y   = (clamp(round(sum * a / 2^n) + P, 0, 255) - P) * O        a / 2^n: X C / O in 15 bits
 *
 * X and Z are those of the tensor or of each row of x, where the bias is not in the sum but added to y: such a row may be so small that the
 * bias has no place in 32 bits of its units. C is that of the weight or of each of its rows. round: to nearest even. All of it is
 * the arithmetic of ir/quantization.h, in single precision, bit by bit.
 *
 * Describing kernels call int8_find_product for the group's first node, add their own operands and parameters and then
 * int8_describe. Emitters call int8_begin at the head of the function, and int8_emit for each part of a tile whose sums lie in memory.
 */
#ifndef POFAC_CODEGEN_INT8_EPILOGUE_H
#define POFAC_CODEGEN_INT8_EPILOGUE_H

#include "codegen/kernel.h"

/* The operands of a linear_int8 whose x, u8 [R,K], lies in quads or tiles of W tokens; IR_NO_VALUE where it has none. */
typedef struct int8_product {
    ir_value x, x_range, weight, w_range, bias, out_range, pattern;
    int64_t N, K, W;
    bool quads; /* x is [tile][K/4][W][4], else [tile][K][W] */
} int8_product;

/* Is the value a constant, or state that no graph of the module replaces? */
bool int8_is_fixed(const ir_graph *g, ir_value v);

/* False where `n` is no such node, or its ranges or shapes are not what kernels take. */
bool int8_find_product(const cg_group *g, const ir_node *n, int8_product *p);

/*
 * Adds what the group needs behind its product: operands for ranges and bias, the elementwise nodes 1, 2, ... of the group, and at its end
 * at most one `quantize` of one of their results, or of the product, to u8 in quads or tiles. False when the group has something else.
 */
bool int8_describe(cg_kernel *k, const cg_group *g, const int8_product *p);

/* Bytes of scratch that int8_emit wants for a part of so many rows of the weight; a multiple of 64. */
int64_t int8_room(int64_t n_rows);

typedef struct int8_epilogue {
    const cg_kernel *kernel;
    const cg_val *operand;
    int64_t W;
    unsigned lanes;   /* of i32 and f32, along the tokens */
    cg_val n_tokens;  /* R */
    cg_val N;         /* rows of the weight */
    cg_val constants; /* memory of the function: scales and zero points that are the same for all elements */
    cg_val tokens;    /* likewise: of each token of the tile at hand, where rows of x have ranges of their own; else NULL */
    cg_val table; /* likewise: what each byte of the requantized product becomes, where nothing else is wanted of it; else NULL */
} int8_epilogue;

/* Once per function, outside of loops. operand: as kernel_operands gives them. n_tokens, n_rows: R and N. */
void int8_begin(emitter *e, const cg_kernel *k, const cg_val *operand, int64_t W, unsigned lanes, cg_val n_tokens, cg_val n_rows,
                int8_epilogue *out);

/* Rows [row0, row0 + n_rows) of the weight with one tile of tokens. */
typedef struct int8_part {
    cg_val sums;         /* i32 [n_rows][W], the products of the bytes alone, at a multiple of 64 bytes */
    cg_val weight_sums;  /* i32 [n_rows], sums of the rows of the quantized weight */
    cg_val tile;         /* number of the tile */
    cg_val row0, n_rows; /* row0: a multiple of 4 */
    cg_val live;         /* lanes to compute (tile_live_lanes) */
    cg_val room;         /* int8_room(n_rows) bytes of scratch, at a multiple of 64 */
} int8_part;
void int8_emit(emitter *e, const int8_epilogue *f, const int8_part *p);

/* ---- for kernels that quantize ---- */

/* What vectors of activations are quantized by. */
typedef struct int8_scale {
    cg_val scale, inverse;
    cg_val low, high; /* -zero point, 255 - zero point */
    cg_val shift;     /* i32: the zero point, less the bits of the number that rounds */
} int8_scale;

/* Of ranges, vectors of their ends. */
int8_scale int8_scale_of(emitter *e, cg_val min, cg_val max);
/* Of one in memory, f32 [2], in all lanes. */
int8_scale int8_scale_at(emitter *e, unsigned lanes, cg_val range);

/* x in 8 bits: i32 in 0..255. */
cg_val int8_encode(emitter *e, cg_val x, const int8_scale *s);

/* The bytes of four features, i32 in 0..255 each, side by side in each lane: a vector of quads. */
cg_val int8_quad(emitter *e, const cg_val feature[4]);

#endif
