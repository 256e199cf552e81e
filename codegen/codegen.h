/*
 * Code generation: graph with groups and slots -> plan with native kernels.
 *
 * Each fused group becomes one kernel: the first row of kernels.def that matches the group describes it (operands, packing, work,
 * and a key that says everything the code depends on), equal keys share one function, and each function is an object of its own,
 * compiled through LLVM 19 or taken from the object cache. A group that no row matches runs node by node through the evaluators.
 *
 * The object cache is a directory of files named by the 128-bit hash of (key, target, LLVM version, format version); a file is
 * checked before use, written atomically, and a damaged or foreign one is compiled anew. Concurrent processes may share it.
 */
#ifndef POFAC_CODEGEN_CODEGEN_H
#define POFAC_CODEGEN_CODEGEN_H

#include "ir/cost.h"
#include "ir/plan.h"
#include "ir/zero_structure.h"

/* Parts of processors that emitters ask for; rows of codegen/extensions.def say which instructions they are on each machine. */
typedef enum cg_extension {
    CG_DOT_U8S8 = 1,   /* em_dot_u8s8 is one instruction */
    CG_TILES_U8S8 = 2, /* em_tiles_begin and what follows it exist */
    CG_TABLE_U8 = 4    /* em_table_u8 exists */
} cg_extension;

/* What code is made for. Strings live in the caller's arena. */
typedef struct cg_target {
    const char *triple, *cpu, *features; /* as LLVM names them */
    const char *isa;                     /* row of codegen/targets.def: "x86-64", "avx2", "avx512"; "generic" where none fits */
    unsigned vector_bytes;               /* widest vector that kernels use: 16, 32, 64 */
    unsigned vector_registers;           /* of that width: 8, 16 or 32 */
    unsigned pointer_bytes;              /* 4 or 8 */
    bool has_fma;                        /* a fused multiply-add of f32 in hardware */
    unsigned extensions;                 /* bits of cg_extension */
} cg_target;

/* The machine that runs this; `isa` NULL or "native", or the name of a row of targets.def that the machine must support
 * (POFAC_ERR_USAGE otherwise). A note says so where the processor is one that LLVM does not know, or lacks a part of the next better
 * row. */
POFAC_MUST_USE pofac_status cg_target_host(const char *isa, arena *a, const diag_sink *sink, cg_target *out);

/*
 * A machine elsewhere, for cg_emit with `isolated`: the name of a row of targets.def, or
 *
 *     TRIPLE[:[CPU][,+FEATURE][,-FEATURE]...]      "aarch64-linux-gnu", "x86_64-linux-gnu:znver3", "riscv64-linux-gnu:+v"
 *
 * for any architecture that LLVM has; codegen/architectures.def has the defaults. LLVM is asked in a child process (child_process.h)
 * what it knows. POFAC_ERR_USAGE: unknown architecture, CPU or feature.
 */
POFAC_MUST_USE pofac_status cg_target_elsewhere(const char *text, arena *a, const diag_sink *sink, cg_target *out);

/* The processor that runs this, as LLVM calls it ("generic" where LLVM does not know it), in `a`; NULL when memory is short. */
const char *cg_host_cpu(arena *a);
/* What it lacks for row `i` of targets.def, in `a`: a feature's name, or "architecture"; NULL when it lacks nothing. */
POFAC_MUST_USE pofac_status cg_host_lacks(size_t i, arena *a, const diag_sink *sink, const char **out);
/* Likewise for row `i` of extensions.def; "the permission of Linux" for tiles that the operating system refuses to save. */
POFAC_MUST_USE pofac_status cg_host_lacks_extension(size_t i, arena *a, const diag_sink *sink, const char **out);

/* Who is told of code that is made at run time: perf by /tmp/perf-PID.map, gdb by its interface for such code. */
typedef enum cg_jit_debug { CG_JIT_PERF = 1, CG_JIT_GDB = 2 } cg_jit_debug;

/* "perf", "gdb", "perf,gdb"; NULL and "": nobody. POFAC_ERR_USAGE for other words. */
POFAC_MUST_USE pofac_status cg_jit_debug_parse(const char *text, const diag_sink *sink, unsigned *out);

/* Objects that somebody else keeps by their keys, which say everything that the code depends on: those of a compiled model. */
typedef struct cg_objects {
    bool (*get)(void *user, const char *key, strbuf *out); /* appends the object; false: there is none. May be NULL */
    /* Every object of a graph, those of the cache too; not POFAC_OK ends the compilation. May be NULL */
    pofac_status (*put)(void *user, const char *key, const void *object, size_t n);
    void *user;
} cg_objects;

typedef struct cg_options {
    cg_target target;
    const cg_objects *objects; /* asked before the cache; NULL: none */
    const char *cache_dir;     /* NULL: no cache. Created (mode 0700) where missing */
    size_t threads;            /* cg_compile: that compile kernels side by side; 0 and 1: the calling one alone */
    unsigned jit_debug;        /* cg_compile: bits of cg_jit_debug */
    bool isolated;             /* cg_emit: LLVM works in a child process, where what it cannot select ends nothing but that */
} cg_options;

/* Compiles graph `graph` of `module`. The plan takes over the module, on error too. */
POFAC_MUST_USE pofac_status cg_compile(ir_module *module, const char *graph, const cg_options *options, const diag_sink *sink,
                                       plan **out);

/* Makes the objects of the graph's kernels and gives them to options->objects, without a plan: for machines of this one's architecture too
 * that have what this one lacks. */
POFAC_MUST_USE pofac_status cg_make_objects(const ir_module *module, const char *graph, const cg_options *options,
                                            const diag_sink *sink);

/* The least machine of a row of targets.def. POFAC_ERR_USAGE when there is no such row. */
POFAC_MUST_USE pofac_status cg_target_named(const char *isa, const diag_sink *sink, cg_target *out);

/* Can this machine run code that was made for `target`? */
POFAC_MUST_USE pofac_status cg_host_runs(const cg_target *target, arena *a, const diag_sink *sink, bool *out);

/* Text or object code of all distinct kernels of a graph, in order, in one LLVM module: for --emit. */
typedef enum cg_emit_kind { CG_EMIT_LLVM, CG_EMIT_ASM, CG_EMIT_OBJ } cg_emit_kind;
POFAC_MUST_USE pofac_status cg_emit(const ir_module *module, const char *graph, const cg_options *options, cg_emit_kind kind,
                                    const diag_sink *sink, strbuf *out);

/* Rows of the tables, for `pofac list`; NULL past the end. */
typedef struct cg_row {
    const char *name, *meaning;
} cg_row;
const cg_row *cg_kernel_row(size_t i);
const cg_row *cg_target_row(size_t i);
const cg_row *cg_architecture_row(size_t i);
const cg_row *cg_extension_row(size_t i);
const char *cg_extension_isa(size_t i); /* the row of targets.def that it goes with */

/* A parameter of a kernel that a variant may set (codegen/variants.def); NULL past the end. */
typedef struct cg_parameter {
    const char *kernel, *name;
    const char *words; /* with blanks between, or NULL: a number */
    int64_t least, most;
    const char *meaning;
} cg_parameter;
const cg_parameter *cg_variant_row(size_t i);

/*
 * Variants (attribute `variant` of a linear or one of its gradients) that are worth measuring for a product with a weight [N,K]: appends
 * number `i`, from 0, the default first; false past the end. `sparse`: of kernels that read the non-zeros alone, or make them; of the
 * forward product, with layouts for their structure where they have one.
 */
bool cg_linear_variant(const cg_target *t, linear_product product, int64_t N, int64_t K, bool sparse,
                       const zero_structure *structure, size_t i, strbuf *out);

/* The hash of the sources of codegen/: measurements and objects of another one are not this one's. */
const char *cg_sources_hash(void);

/* "19.1.7" */
const char *cg_llvm_version(void);

#endif
