/* LLVM's code generator for one target: modules become object code or text. */
#ifndef POFAC_CODEGEN_MACHINE_H
#define POFAC_CODEGEN_MACHINE_H

#include "codegen/llvm_emit.h"

typedef struct machine machine;

/* `target` outlives it. */
POFAC_MUST_USE pofac_status machine_create(const cg_target *target, const diag_sink *sink, machine **out);
void machine_destroy(machine *m); /* NULL is fine */

/* Verifies the emitter's module and appends what `kind` names to `out`. The module is used up. */
POFAC_MUST_USE pofac_status machine_generate(machine *m, emitter *e, cg_emit_kind kind, const diag_sink *sink, strbuf *out);

#endif
