/*
 * Sums over all rows, in parts: a kernel that goes through rows sums a fixed number of equal parts of them, each on its own, and a step
 * behind it (kernel part_sums) adds the parts in their order. So the bits do not depend on the number of threads.
 *
 * Parts of a tensor are f32 [PART_SUMS][elements]; of a scalar, f64 [PART_SUMS][2]: a sum, and how many numbers it counts.
 */
#ifndef POFAC_CODEGEN_PART_SUMS_H
#define POFAC_CODEGEN_PART_SUMS_H

#include "codegen/kernel.h"

#define PART_SUMS 64

/* ---- for describe ---- */
/* The operand of the parts of `value`, which the step behind the kernel makes of them. */
unsigned part_sums_operand(cg_kernel *k, ir_value value);
/* The kernel's units are the parts of its dim 0, the rows, each a multiple of `step` rows. */
void part_sums_work(cg_kernel *k, int64_t step);

/* ---- for emit: a part's rows [begin, end), empty for parts behind the last row ---- */
void part_sums_rows(emitter *e, const cg_kernel *k, cg_val part, cg_val *begin, cg_val *end);
/* Where the sums of a part of `bytes` bytes lie. */
cg_val part_sums_at(emitter *e, cg_val parts, cg_val part, int64_t bytes);
/* A part of a scalar: sum and count are f64. */
void part_sums_store(emitter *e, cg_val parts, cg_val part, cg_val sum, cg_val count);

#endif
