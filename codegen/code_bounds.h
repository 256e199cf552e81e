/*
 * How much code a kernel is, and how long LLVM worked on it: measured, reported in plans, and warned about beyond bounds that no kernel
 * of BERT comes near. More means that an emitter unrolls without limit, or that LLVM has met a shape that it handles badly.
 */
#ifndef POFAC_CODEGEN_CODE_BOUNDS_H
#define POFAC_CODEGEN_CODE_BOUNDS_H

#include "codegen/codegen.h"

#define CODE_BOUND_BYTES (256 * 1024) /* a quarter of a second-level cache of 1 MB */
#define CODE_BOUND_SECONDS 5.0        /* of processor time; usual are milliseconds */

/* Bytes of machine code of a function in an object file of any format that LLVM reads; 0 when it is not there. */
size_t code_bytes_of(const void *object, size_t n, const char *symbol);

/* A warning that names the kernel, where it is beyond a bound. */
void code_check_bounds(const plan_code *code, const diag_sink *sink);

#endif
