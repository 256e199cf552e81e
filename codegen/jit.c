/* Object code -> callable kernels; see jit.h. Objects call nothing, so no symbol of the process is looked up. */
#include "codegen/jit.h"

#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/target.h"

struct jit {
    LLVMOrcLLJITRef lljit;
};

static pofac_status refused(const diag_sink *sink, const char *what, LLVMErrorRef error) {
    char *message = LLVMGetErrorMessage(error);
    pofac_status status = diag_error(sink, POFAC_ERR_RUNTIME, NULL, "LLVM's JIT %s: %s", what, message);
    LLVMDisposeErrorMessage(message);
    return status;
}

pofac_status jit_create(const diag_sink *sink, jit **out) {
    *out = NULL;
    target_initialize();
    jit *j = calloc(1, sizeof *j);
    if (!j) return diag_out_of_memory(sink);
    LLVMErrorRef error = LLVMOrcCreateLLJIT(&j->lljit, NULL);
    if (error) {
        free(j);
        return refused(sink, "cannot start", error);
    }
    *out = j;
    return POFAC_OK;
}

void jit_destroy(void *p) {
    jit *j = p;
    if (!j) return;
    LLVMErrorRef error = LLVMOrcDisposeLLJIT(j->lljit);
    if (error) LLVMConsumeError(error); /* nobody can do anything about it any more */
    free(j);
}

pofac_status jit_add(jit *j, const void *object, size_t n, const char *symbol, const diag_sink *sink, plan_kernel *out) {
    LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(object, n, symbol);
    LLVMErrorRef error = LLVMOrcLLJITAddObjectFile(j->lljit, LLVMOrcLLJITGetMainJITDylib(j->lljit), copy);
    if (error) return refused(sink, "cannot take an object", error);
    LLVMOrcExecutorAddress address = 0;
    error = LLVMOrcLLJITLookup(j->lljit, &address, symbol);
    if (error) return refused(sink, "cannot link a kernel", error);
    uintptr_t bits = (uintptr_t)address;
    memcpy(out, &bits, sizeof bits); /* an address of code */
    return POFAC_OK;
}
