/* pofac version: of the program, of the libraries that its numbers depend on, and the instruction set that it would use. */
#include "frontend/cli/command.h"
#include "frontend/driver/tables.h"

#ifndef POFAC_VERSION
#error "the build defines POFAC_VERSION"
#endif

static pofac_status run(const command_input *in) {
    (void)in;
    strbuf text = STRBUF_INIT;
    pofac_status status = tables_version(POFAC_VERSION, &text);
    fputs(strbuf_str(&text), stdout);
    strbuf_free(&text);
    return status;
}

const command command_version = {
    .name = "version",
    .arguments = "",
    .run = run,
    .meaning = "print the versions of pofac, LLVM and BLAS, and the instruction set that kernels are made for"};
