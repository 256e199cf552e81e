/*
 * Lowering: a graph's groups -> steps over buffers, and the distinct kernels that the steps need. What cg_compile turns into code
 * and cg_emit into text.
 */
#ifndef POFAC_CODEGEN_LOWER_H
#define POFAC_CODEGEN_LOWER_H

#include "codegen/kernel.h"

typedef struct lowered_kernel {
    cg_kernel kernel;
    const char *key;    /* everything its code depends on: sources of codegen/, LLVM, target, variant */
    const char *symbol; /* unique: row and hash of the key */
    const char *variant;
} lowered_kernel;

#define NO_KERNEL UINT32_MAX

typedef struct lowering {
    const ir_graph *graph;
    const cg_target *target;
    const diag_sink *sink;
    arena *memory; /* of everything below */
    VEC(lowered_kernel) kernels;
    VEC(plan_step) steps;
    VEC(uint32_t) step_kernel; /* index into kernels, or NO_KERNEL: evaluator */
    VEC(plan_buffer) buffers;
    uint32_t n_slots;
    int64_t *slot;      /* [values] -1: none */
    ir_value *place;    /* [values] of a state leaf that the graph replaces, and of its next content: the leaf whose memory it has;
                           IR_NO_VALUE: it has its own */
    bool *is_written;   /* [values] of such leaves: the next content is there by now */
    size_t packed_from; /* buffers that steps pack for the kernel at hand begin here: those before it are used up */
    const bool *stored; /* [values] of the group at hand */
} lowering;

/* Fills everything; lowering_free releases the vectors on success and on error. */
POFAC_MUST_USE pofac_status lower_graph(lowering *l, const ir_graph *g, const cg_target *target, arena *memory,
                                        const diag_sink *sink);
void lowering_free(lowering *l);

/* Moves the steps that pack operands before the run of steps that they stand in, so that they cut no series, and gives what they make
 * slots by its lives (codegen/step_packing.c). */
POFAC_MUST_USE pofac_status lower_packing(lowering *l);

/* Finds series among the steps (plan_step.series), and the buffers that live within one (codegen/step_series.c). */
POFAC_MUST_USE pofac_status lower_series(lowering *l);

/* Is it a packed form that a step of the plan makes? */
bool lower_is_packed(const plan_buffer *b);

/* The index of the buffer that holds an operand, made where missing; UINT32_MAX when memory is short. */
uint32_t lower_buffer(lowering *l, const cg_operand *operand);

/* The function of a kernel, into the emitter's module. */
void lower_emit(emitter *e, const lowered_kernel *k);

#endif
