/* Targets: what this machine supports, and what rows of targets.def say. */
#ifndef POFAC_CODEGEN_TARGET_H
#define POFAC_CODEGEN_TARGET_H

#include "codegen/codegen.h"

/* Registers LLVM's backends (x86-64 and AArch64); any number of times, from any thread. */
void target_initialize(void);

/* The least machine of a row of targets.def, for object code that is made for elsewhere. POFAC_ERR_USAGE when there is no such row.
 * */
POFAC_MUST_USE pofac_status target_of_row(const char *isa, const diag_sink *sink, cg_target *out);

/* Do kernels for the target have a fused multiply-add? */
bool target_has_fma(const cg_target *t);

#endif
