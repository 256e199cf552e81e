/* Targets: what a machine supports, and what rows of targets.def say. */
#ifndef POFAC_CODEGEN_TARGET_H
#define POFAC_CODEGEN_TARGET_H

#include "codegen/codegen.h"

/* Registers LLVM's backends of machines that pofac runs on (x86-64 and AArch64); any number of times, from any thread. */
void target_initialize(void);

/* A machine as LLVM describes it: LLVMGetDefaultTargetTriple, LLVMGetHostCPUName, LLVMGetHostCPUFeatures. A feature counts where it
 * stands as "+feature"; LLVM leaves AVX and AVX-512 out where the operating system does not save their registers. No features at all:
 * LLVM could not find out. */
typedef struct target_machine {
    const char *triple, *cpu, *features;
} target_machine;

/* What cg_target_host chooses on such a machine, with its messages; a function of its arguments alone. The target's strings live in
 * `a`, in the machine or in static memory. */
POFAC_MUST_USE pofac_status target_choose(const target_machine *m, const char *isa, arena *a, const diag_sink *sink,
                                          cg_target *out);

/* The least machine of a row of targets.def, for object code that is made for elsewhere. POFAC_ERR_USAGE when there is no such row.
 * */
POFAC_MUST_USE pofac_status target_of_row(const char *isa, const diag_sink *sink, cg_target *out);

/* Bits of cg_extension: of the rows of extensions.def that go with the instruction set and whose features stand in `features`. */
unsigned target_extensions(const char *isa, const char *features);

unsigned target_extension_bit(size_t i); /* of row i of extensions.def */

/* Gives the target the best row of its architecture: vectors of at most that many bytes, a fused multiply-add only where the target
 * has one. False when there is none. */
bool target_fit_row(cg_target *t, unsigned vector_bytes);

#endif
