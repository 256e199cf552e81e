/*
 * The plan: what codegen makes of a graph and the runtime runs. Immutable once made; threads share it. A session
 * (runtime/session.h) owns the memory.
 *
 * A plan is a list of steps over buffers. A step is one kernel (native code for one fused group, possibly shared by several steps)
 * or, where no kernel exists, the op's reference evaluator. A step's work is cut into units (tiles of rows, heads, ...) and units
 * into chunks of `grain`; chunks may run in any order on any thread, and what a chunk computes does not depend on how many threads
 * there are.
 *
 * Steps may stand in a loop: they run one after the other, again for each round of it, and the last dim of each is the number of the
 * round. So a group whose memory would grow with the rows of a batch takes them in parts.
 *
 * Steps that work through the same rows, each block of rows on its own, form a series: all of its steps may run for one block before
 * any runs for another one, and blocks in any order on any thread.
 */
#ifndef POFAC_IR_PLAN_H
#define POFAC_IR_PLAN_H

#include "ir/graph.h"
#include "ir/sparse_layout.h"

/*
 * Every kernel: units [begin, end) of its work. buffers: one pointer per operand of the step, in the order that the kernel's row
 * documents (64-byte aligned, except inputs and unpacked state, which are aligned to their element); dims: the step's dims as
 * numbers; scratch: private to the call, 64-byte aligned. Kernels call nothing and write only their results and scratch.
 */
typedef void (*plan_kernel)(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch);

/* Functions of the runtime with the signature of kernels, for steps that have no code of their own. */
typedef enum plan_library {
    LIBRARY_NONE,
    LIBRARY_BLAS_LINEAR /* blas_linear_tiles (runtime/blas.h) */
} plan_library;
#define LIBRARY_BLAS_ROWS 768 /* rows of weight in a unit of its work, so that threads can share a single tile */

typedef enum plan_packing {
#define PACKING(id, name, meaning) PACKING_##id,
#include "ir/packings.def"
#undef PACKING
    N_PACKINGS
} plan_packing;

typedef enum plan_buffer_kind {
    PLAN_INPUT,    /* given at each run */
    PLAN_STATE,    /* by name from the model's weights, packed when the session is created */
    PLAN_CONSTANT, /* by name from the plan's module, or the value of a constant node; packed likewise */
    PLAN_SLOT      /* in the session's arena */
} plan_buffer_kind;

typedef struct plan_buffer {
    plan_buffer_kind kind;
    const char *name;    /* of inputs, state and constants with data, else NULL */
    ir_value value;      /* the value of plan->graph that it holds */
    const ir_type *type; /* of that value */
    plan_packing packing;
    uint32_t packing_parameter;
    sparse_layout sparse; /* of the two sparse packings, else all zero */
    ir_value
        range; /* of packings that quantize: the leaf with the weight's range, f32 [2] or, of each row, [N,2]; else IR_NO_VALUE */
    bool written; /* of PLAN_STATE in rows: a graph of the module replaces it; it is bound where it lies, and runs write it there */
    uint32_t slot;            /* of PLAN_SLOT: buffers of one slot share memory at different times */
    int64_t series_row_bytes; /* bytes of a row, of a value that only one series makes and reads, as all others of its slot that
                                 the series touches: each worker may keep a block of its own of it; else 0 */
} plan_buffer;

typedef struct plan_step {
    const char *kernel;  /* row of codegen's kernels.def, or "evaluator" */
    const char *variant; /* what it was specialised for: "linear N=768 K=768 gelu avx512 r=12" */
    const char *scope;
    plan_kernel run;      /* native code; NULL: */
    plan_library library; /* the runtime's function; LIBRARY_NONE too: call the evaluator of `node` */
    uint32_t node;        /* first node of the group, in plan->graph */
    uint32_t n_buffers;
    const uint32_t *buffers; /* indices into plan->buffers; evaluator: inputs then results, UINT32_MAX for an absent input */
    uint32_t n_dims;
    const ir_dim *dims;
    ir_dim work;           /* rows, (sequence, head) pairs, ... */
    int64_t work_per_unit; /* units = ceil(work / work_per_unit) */
    int64_t grain;         /* units per chunk, at least 1 */
    ir_dim rows;           /* of the values in tiles that it goes through in blocks, where block_rows is not 0: */
    int64_t block_rows; /* units [b block_units, (b + 1) block_units) read and write only rows [b block_rows, (b + 1) block_rows) */
    int64_t block_units; /* of these values */
    uint32_t series;     /* steps of the series that begins here; 0 or 1: none does */
    uint32_t loop;       /* steps of the loop that begins here; 0: none does */
    ir_dim loop_work;    /* of a loop: rounds = ceil(loop_work / loop_work_per_round), but at least 1 */
    int64_t loop_work_per_round;
    ir_dim scratch_bytes; /* per running chunk */
    ir_dim flops;         /* estimates for --profile; 0 when not of ir_dim's form */
    ir_dim bytes;
} plan_step;

/* The code of one distinct kernel. */
typedef struct plan_code {
    const char *variant, *symbol; /* as in plan_step; the function's name */
    size_t bytes;                 /* of machine code */
    double compile_seconds;       /* of processor time; 0 when it came from the object cache */
    bool cached;
} plan_code;

typedef struct plan_output {
    const char *name;
    uint32_t buffer;
} plan_output;

typedef struct plan {
    ir_module *module;     /* owned; keeps graph, types and constants alive */
    const ir_graph *graph; /* in module */
    plan_buffer *buffers;
    size_t n_buffers;
    plan_step *steps;
    size_t n_steps;
    plan_output *outputs;
    size_t n_outputs;
    uint32_t n_slots;
    const char *target;                   /* "x86_64-pc-linux-gnu sapphirerapids avx512", for reports */
    plan_code *codes;                     /* [n_kernels] */
    size_t code_bytes;                    /* of all of them */
    uint32_t n_kernels, n_kernels_cached; /* distinct kernels, and how many of them came from the object cache */
    double compile_seconds;
    void *code; /* keeps the kernels' code mapped */
    void (*free_code)(void *code);
    arena memory; /* of everything above except module and code */
} plan;

static inline bool plan_step_is_evaluator(const plan_step *s) { return !s->run && s->library == LIBRARY_NONE; }

const char *plan_packing_name(plan_packing p);
const char *plan_packing_meaning(plan_packing p);

/* Frees the plan, its module and its code. NULL is fine. */
void plan_destroy(plan *p);

/* Bytes of each slot (the largest of its buffers, rounded up to 64), into slot_bytes[n_slots], and of the whole arena (slots one
 * after the other) under a binding. -1 when a symbol is unbound or it overflows. */
int64_t plan_arena_bytes(const plan *p, ir_binding binding, int64_t *slot_bytes);

#endif
