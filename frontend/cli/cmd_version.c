/* pofac version: of the program, of the libraries that its numbers depend on, and the instruction set that it would use. */
#include "codegen/codegen.h"
#include "frontend/cli/command.h"
#include "runtime/blas.h"

#ifndef POFAC_VERSION
#error "the build defines POFAC_VERSION"
#endif

static pofac_status run(const command_input *in) {
    cg_target target;
    TRY(cg_target_host(NULL, in->memory, in->sink, &target));
    printf("pofac %s\nLLVM %s\n%s\ninstruction set %s (%s)\n", POFAC_VERSION, cg_llvm_version(), blas_version(), target.isa,
           target.cpu);
    return POFAC_OK;
}

const command command_version = {
    .name = "version",
    .arguments = "",
    .run = run,
    .meaning = "print the versions of pofac, LLVM and BLAS, and the instruction set that kernels are made for"};
