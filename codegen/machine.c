/*
 * Module -> object code or text; see machine.h.
 *
 * Emitters write IR in the form the code generator wants, so no optimisation pipeline runs: it would change nothing and take longer
 * than code generation itself. Level Default; Aggressive is no faster. Kernels that only count and copy the numbers of a batch get level
 * None: a tenth of the time, of which half a dozen such kernels would otherwise take a fifth of a model's.
 */
#include "codegen/machine.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/TargetMachine.h>
#include <stdlib.h>

#include "codegen/target.h"

struct machine {
    const cg_target *target;
    LLVMTargetMachineRef target_machine, light; /* light: of level None, made when it is needed */
};

static pofac_status refused(const diag_sink *sink, const char *what, char *message) {
    pofac_status status = diag_error(sink, POFAC_ERR_RUNTIME, NULL, "LLVM %s: %s", what, message ? message : "no reason given");
    LLVMDisposeMessage(message);
    return status;
}

static LLVMTargetMachineRef create_target_machine(const cg_target *target, LLVMTargetRef backend, LLVMCodeGenOptLevel level) {
    return LLVMCreateTargetMachine(backend, target->triple, target->cpu, target->features, level, LLVMRelocPIC,
                                   LLVMCodeModelDefault);
}

pofac_status machine_create(const cg_target *target, const diag_sink *sink, machine **out) {
    *out = NULL;
    target_initialize();
    LLVMTargetRef backend;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(target->triple, &backend, &message)) return refused(sink, "knows no such target", message);
    machine *m = calloc(1, sizeof *m);
    if (!m) return diag_out_of_memory(sink);
    m->target = target;
    m->target_machine = create_target_machine(target, backend, LLVMCodeGenLevelDefault);
    if (!m->target_machine) {
        free(m);
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "LLVM cannot make code for %s %s", target->triple, target->cpu);
    }
    *out = m;
    return POFAC_OK;
}

void machine_destroy(machine *m) {
    if (!m) return;
    LLVMDisposeTargetMachine(m->target_machine);
    if (m->light) LLVMDisposeTargetMachine(m->light);
    free(m);
}

static pofac_status print_module(emitter *e, const diag_sink *sink, strbuf *out) {
    char *text = LLVMPrintModuleToString(e->module);
    strbuf_puts(out, text);
    LLVMDisposeMessage(text);
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

/* The code generator for the emitter's module. */
static LLVMTargetMachineRef choose_target_machine(machine *m, const emitter *e) {
    if (e->light && !m->light)
        m->light = create_target_machine(m->target, LLVMGetTargetMachineTarget(m->target_machine), LLVMCodeGenLevelNone);
    return e->light && m->light ? m->light : m->target_machine;
}

pofac_status machine_generate(machine *m, emitter *e, cg_emit_kind kind, const diag_sink *sink, strbuf *out) {
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(m->target_machine);
    LLVMSetModuleDataLayout(e->module, layout);
    LLVMDisposeTargetData(layout);
    char *message = NULL;
    if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message))
        return refused(sink, "rejects the code of a kernel", message);
    LLVMDisposeMessage(message);
    if (kind == CG_EMIT_LLVM) return print_module(e, sink, out);
    LLVMMemoryBufferRef code = NULL;
    LLVMCodeGenFileType type = kind == CG_EMIT_ASM ? LLVMAssemblyFile : LLVMObjectFile;
    message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(choose_target_machine(m, e), e->module, type, &message, &code))
        return refused(sink, "cannot generate code", message);
    strbuf_append(out, LLVMGetBufferStart(code), LLVMGetBufferSize(code));
    LLVMDisposeMemoryBuffer(code);
    if (e->failed) return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "LLVM cannot generate code: %s", e->reason);
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}
