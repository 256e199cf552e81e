/*
 * Values as 8 bits hold them, on vectors of f32 (ir/quantization.h), with the bits of ir/ops/op_quantize.c but for the sign of zeros.
 *
 * What a range gives - scale, places of the ends - is computed once per function and kept in memory, each number in all lanes, where it is an
 * operand in memory of the instruction that takes it. Where nothing is quantized - no range yet, or too early in the training - the numbers are such
 * that each x comes back, so code does not branch.
 *
 * Rounding to even is an addition of 1.5 * 2^23 and its subtraction, which every instruction set has; what is too large for it lies beyond the ends.
 */
#ifndef POFAC_CODEGEN_FAKE_QUANTIZE_H
#define POFAC_CODEGEN_FAKE_QUANTIZE_H

#include "codegen/llvm_emit.h"

/* Bytes of the memory, which is aligned to the widest vector. */
int64_t fake_quantize_bytes(const emitter *e);

typedef struct fake_quantize_range {
    cg_val range;   /* pointer to least and greatest, f32 [2] */
    cg_val forward; /* pointer to the number of the run, i64; NULL: it has begun */
    int64_t begin;  /* the first run that quantizes */
    bool symmetric;
} fake_quantize_range;

void fake_quantize_prepare(emitter *e, const fake_quantize_range *r, cg_val memory);

/* x in 8 bits and back; NaN of NaN. */
cg_val fake_quantize_emit(emitter *e, cg_val memory, cg_val x);

/* dy where x lies within what 8 bits hold, else 0. */
cg_val fake_quantize_gradient_emit(emitter *e, cg_val memory, cg_val dy, cg_val x);

#endif
