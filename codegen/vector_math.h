/*
 * Functions of real numbers on vectors of f32, emitted in line: no call to a library. Errors are against the exact function of the
 * rounded argument, measured by tests/unit/codegen over the whole range on every instruction set; NaN gives NaN, and no argument
 * traps.
 */
#ifndef POFAC_CODEGEN_VECTOR_MATH_H
#define POFAC_CODEGEN_VECTOR_MATH_H

#include "codegen/llvm_emit.h"

/* e^x within 2 ULP; 0 below -87.336 (no denormals), +inf above 88.37. */
cg_val math_exp(emitter *e, cg_val x);
/* The same for x <= 0 (softmax), one comparison less. */
cg_val math_exp_nonpositive(emitter *e, cg_val x);
/* Natural logarithm within 2 ULP or 1e-7 absolute; for normal positive x and +inf. */
cg_val math_log(emitter *e, cg_val x);
/* Within 2e-7 absolute; exactly +-1 far out. */
cg_val math_erf(emitter *e, cg_val x);
/* Within 2e-7 absolute, and 4 ULP for |x| < 0.625. */
cg_val math_tanh(emitter *e, cg_val x);
/* x/2 (1 + erf(x / sqrt 2)) and x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), within 3e-7 max(1, |x|). Where em_has_table,
 * from tables (gelu_table.h): a third of the instructions less, and more exact. */
cg_val math_gelu_erf(emitter *e, cg_val x);
cg_val math_gelu_tanh(emitter *e, cg_val x);
/* The derivatives of both, within 6e-7; from tables likewise. */
cg_val math_gelu_erf_slope(emitter *e, cg_val x);
cg_val math_gelu_tanh_slope(emitter *e, cg_val x);
/* max(x, 0). */
cg_val math_relu(emitter *e, cg_val x);
/* 1 / sqrt(x), correctly rounded twice. */
cg_val math_reciprocal_sqrt(emitter *e, cg_val x);

#endif
