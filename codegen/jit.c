/*
 * Object code -> callable kernels; see jit.h. Objects call nothing, so no symbol of the process is looked up.
 *
 * gdb is told through LLVM's implementation of its interface (__jit_debug_register_code), which hangs on LLVM's older linker,
 * RuntimeDyld; without gdb the default one is used.
 */
#include "codegen/jit.h"

#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/OrcEE.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/perf_map.h"
#include "codegen/target.h"

struct jit {
    LLVMOrcLLJITRef lljit;
    int perf_map; /* -1: none */
};

/* ---- who is told of the code ---- */

pofac_status cg_jit_debug_parse(const char *text, const diag_sink *sink, unsigned *out) {
    *out = 0;
    for (const char *at = text ? text : ""; *at; at += *at == ',') {
        size_t n = strcspn(at, ",");
        if (n == 4 && strncmp(at, "perf", n) == 0) *out |= CG_JIT_PERF;
        else if (n == 3 && strncmp(at, "gdb", n) == 0) *out |= CG_JIT_GDB;
        else return diag_error(sink, POFAC_ERR_USAGE, NULL, "jit_debug: found \"%.*s\", wanted perf, gdb or perf,gdb", (int)n, at);
        at += n;
    }
    return POFAC_OK;
}

static LLVMOrcObjectLayerRef create_layer_for_gdb(void *user, LLVMOrcExecutionSessionRef session, const char *triple) {
    (void)user, (void)triple;
    LLVMOrcObjectLayerRef layer = LLVMOrcCreateRTDyldObjectLinkingLayerWithSectionMemoryManager(session);
    LLVMOrcRTDyldObjectLinkingLayerRegisterJITEventListener(layer, LLVMCreateGDBRegistrationListener());
    return layer;
}

/* ---- linking ---- */

static pofac_status refused(const diag_sink *sink, const char *what, LLVMErrorRef error) {
    char *message = LLVMGetErrorMessage(error);
    pofac_status status = diag_error(sink, POFAC_ERR_RUNTIME, NULL, "LLVM's JIT %s: %s", what, message);
    LLVMDisposeErrorMessage(message);
    return status;
}

pofac_status jit_create(unsigned debug, const diag_sink *sink, jit **out) {
    *out = NULL;
    target_initialize();
    jit *j = calloc(1, sizeof *j);
    if (!j) return diag_out_of_memory(sink);
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    if (debug & CG_JIT_GDB) LLVMOrcLLJITBuilderSetObjectLinkingLayerCreator(builder, create_layer_for_gdb, NULL);
    LLVMErrorRef error = LLVMOrcCreateLLJIT(&j->lljit, builder);
    if (error) {
        free(j);
        return refused(sink, "cannot start", error);
    }
    j->perf_map = debug & CG_JIT_PERF ? perf_map_open(sink) : -1;
    *out = j;
    return POFAC_OK;
}

void jit_destroy(void *p) {
    jit *j = p;
    if (!j) return;
    LLVMErrorRef error = LLVMOrcDisposeLLJIT(j->lljit);
    if (error) LLVMConsumeError(error); /* nobody can do anything about it any more */
    if (j->perf_map >= 0) close(j->perf_map);
    free(j);
}

pofac_status jit_add(jit *j, const void *object, size_t n, const char *symbol, size_t code_bytes, const diag_sink *sink,
                     plan_kernel *out) {
    LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(object, n, symbol);
    LLVMErrorRef error = LLVMOrcLLJITAddObjectFile(j->lljit, LLVMOrcLLJITGetMainJITDylib(j->lljit), copy);
    if (error) return refused(sink, "cannot take an object", error);
    LLVMOrcExecutorAddress address = 0;
    error = LLVMOrcLLJITLookup(j->lljit, &address, symbol);
    if (error) return refused(sink, "cannot link a kernel", error);
    uintptr_t bits = (uintptr_t)address;
    memcpy(out, &bits, sizeof bits); /* an address of code */
    perf_map_add(j->perf_map, bits, code_bytes, symbol);
    return POFAC_OK;
}
