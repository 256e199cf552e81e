/* Object code -> callable kernels, through LLVM's ORC JIT linker. Not thread-safe; the code may be called from any thread. */
#ifndef POFAC_CODEGEN_JIT_H
#define POFAC_CODEGEN_JIT_H

#include "codegen/codegen.h"

typedef struct jit jit;

/* `debug`: cg_jit_debug bits; who is told of the code. */
POFAC_MUST_USE pofac_status jit_create(unsigned debug, const diag_sink *sink, jit **out);
void jit_destroy(void *p); /* unmaps all code; NULL is fine */

/* Links a copy of the object file and finds its symbol, whose code has `code_bytes`. A symbol may be added once. */
POFAC_MUST_USE pofac_status jit_add(jit *j, const void *object, size_t n, const char *symbol, size_t code_bytes,
                                    const diag_sink *sink, plan_kernel *out);

#endif
