/*
 * The builder that kernel emitters write with: LLVM IR for one function at a time, parametrised by the target's vector width.
 * Explicit vectors, explicit loops, truthful alignments; no mid-end pass runs over the result, so what an emitter writes is what
 * the code generator sees.
 *
 * Pointers are plain addresses with byte offsets. Integers are i64 unless a name says otherwise. Vectors hold f32; a "vector" of
 * one lane is allowed.
 * A failed allocation inside LLVM ends the process, as LLVM does; nothing else here can fail.
 */
#ifndef POFAC_CODEGEN_LLVM_EMIT_H
#define POFAC_CODEGEN_LLVM_EMIT_H

#include <llvm-c/Core.h>

#include "codegen/codegen.h"

typedef LLVMValueRef cg_val;

typedef struct emitter {
    const cg_target *target;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMValueRef function; /* being emitted */
    LLVMTypeRef f32, f64, i1, i8, i16, i32, i64, ptr;
    bool has_fma;
    bool light;       /* the module's code is made fast rather than well (machine_generate) */
    bool failed;      /* LLVM reported an error */
    char reason[160]; /* and what it said first */
    unsigned lanes;   /* f32 lanes of the target's widest vector */
} emitter;

/* A module for the target. The emitter must not move while the module lives. */
void em_begin_module(emitter *e, const cg_target *target, const char *name);
void em_end_module(emitter *e); /* frees module and context */

/* A function of type plan_kernel, positioned at its entry. em_end_function returns from it. */
void em_begin_function(emitter *e, const char *symbol);
void em_end_function(emitter *e);

/* Arguments of the kernel. */
cg_val em_buffer(emitter *e, unsigned i); /* pointer to operand i */
cg_val em_dim(emitter *e, unsigned i);
cg_val em_begin_unit(emitter *e);
cg_val em_end_unit(emitter *e);
cg_val em_scratch(emitter *e);

/* ---- integers and addresses ---- */
cg_val em_int(emitter *e, int64_t n);
cg_val em_add(emitter *e, cg_val a, cg_val b);
cg_val em_sub(emitter *e, cg_val a, cg_val b);
cg_val em_mul(emitter *e, cg_val a, cg_val b);
cg_val em_div(emitter *e, cg_val a, cg_val b); /* unsigned */
cg_val em_rem(emitter *e, cg_val a, cg_val b); /* unsigned */
cg_val em_add_int(emitter *e, cg_val a, int64_t b);
cg_val em_mul_int(emitter *e, cg_val a, int64_t b);
cg_val em_div_int(emitter *e, cg_val a, int64_t b);    /* rounds down, a >= 0 */
cg_val em_div_int_up(emitter *e, cg_val a, int64_t b); /* rounds up */
cg_val em_rem_int(emitter *e, cg_val a, int64_t b);
cg_val em_less(emitter *e, cg_val a, cg_val b);  /* signed, i1 */
cg_val em_equal(emitter *e, cg_val a, cg_val b); /* i1 */
cg_val em_and(emitter *e, cg_val a, cg_val b);
cg_val em_select(emitter *e, cg_val condition, cg_val a, cg_val b);
cg_val em_min(emitter *e, cg_val a, cg_val b); /* signed */
cg_val em_max(emitter *e, cg_val a, cg_val b);
cg_val em_at(emitter *e, cg_val pointer, cg_val bytes);
cg_val em_at_int(emitter *e, cg_val pointer, int64_t bytes);
/* pointer + index * scale bytes */
cg_val em_index(emitter *e, cg_val pointer, cg_val index, int64_t scale);

/* The same value, which the code generator takes as it is instead of deriving it from the loops around: faster to compile, and no
 * registers for what is computed once per inner loop. */
cg_val em_opaque(emitter *e, cg_val v);

/* An integer of a dtype (i64, i32, i16, i8, u8, bool) as i64, and back. */
cg_val em_load_int(emitter *e, ir_dtype dtype, cg_val pointer);
cg_val em_is_set(emitter *e, ir_dtype dtype, cg_val mask, cg_val i); /* i1: is number i of the mask not 0? */
/* Little-endian numbers of `each` bytes that are loaded together, 8 bytes at most, and number i of them, as i64. */
cg_val em_load_packed(emitter *e, unsigned bytes, cg_val pointer, unsigned each);
cg_val em_packed(emitter *e, cg_val packed, unsigned i, unsigned each);
void em_store_int(emitter *e, ir_dtype dtype, cg_val value, cg_val pointer);
cg_val em_load_unsigned(emitter *e, unsigned bytes, cg_val pointer); /* of 1, 2 or 4 bytes, as i64 */
void em_store_float(emitter *e, cg_val value, cg_val pointer);       /* an i64, as f32 */
unsigned em_dtype_bytes(ir_dtype dtype);                             /* 0 for dtypes that kernels do not read */

/* ---- vectors of f32; align in bytes ---- */
LLVMTypeRef em_vector_type(emitter *e, unsigned lanes);
cg_val em_load(emitter *e, unsigned lanes, cg_val pointer, unsigned align);
void em_store(emitter *e, cg_val value, cg_val pointer, unsigned align);
void em_store_masked(emitter *e, cg_val value, cg_val pointer, cg_val mask,
                     unsigned align);                             /* lanes whose mask is 0 are not touched */
void em_prefetch(emitter *e, cg_val pointer);                     /* the line there into L2; any address will do */
void em_prefetch_near(emitter *e, cg_val pointer);                /* into L1 */
cg_val em_load_splat(emitter *e, unsigned lanes, cg_val pointer); /* one f32 in all lanes */
cg_val em_load_first(emitter *e, unsigned lanes, cg_val pointer); /* one f32 in lane 0, zeros in the others */
cg_val em_splat(emitter *e, unsigned lanes, cg_val scalar);
/* The f32 at base + offset l for each lane, 4 or 8 of them; offsets: 16-bit numbers of bytes at `offsets`. AVX2 and later. */
cg_val em_gather(emitter *e, unsigned lanes, cg_val base, cg_val offsets);
cg_val em_const(emitter *e, unsigned lanes, double x);
cg_val em_const_i32(emitter *e, unsigned lanes, int32_t x);
/* Four numbers at `pointer`, repeated up to `lanes`, in a vector that the code generator cannot see through: em_quad_splat then
 * shuffles registers instead of loading each number again (kernels-training.md of the project's design, section 4). x86 only. */
cg_val em_load_quad(emitter *e, unsigned lanes, cg_val pointer);
cg_val em_quad_splat(emitter *e, cg_val quad, unsigned i, unsigned lanes); /* number i of the four in all lanes */
cg_val em_shuffle(emitter *e, cg_val a, cg_val b, unsigned lanes, const unsigned *index);
unsigned em_lanes_of(cg_val vector);
/* Lanes l and l + n/2 of the n joined, and so on until `lanes` are left. */
cg_val em_fold(emitter *e, cg_val v, unsigned lanes, cg_val (*join)(emitter *, cg_val, cg_val));

cg_val em_fadd(emitter *e, cg_val a, cg_val b);
cg_val em_fsub(emitter *e, cg_val a, cg_val b);
cg_val em_fmul(emitter *e, cg_val a, cg_val b);
cg_val em_fdiv(emitter *e, cg_val a, cg_val b);
cg_val em_fsqrt(emitter *e, cg_val a);
cg_val em_fma(emitter *e, cg_val x, cg_val y, cg_val z); /* x * y + z: fused where the target has it, else two roundings */
cg_val em_fma_const(emitter *e, cg_val x, cg_val y, double z);
/* The smaller / larger; where x is NaN the result is x (limit must not be NaN). */
cg_val em_fmin_nan(emitter *e, cg_val x, cg_val limit);
cg_val em_fmax_nan(emitter *e, cg_val x, cg_val limit);
cg_val em_fmax_skip_nan(emitter *e, cg_val top, cg_val x); /* x > top ? x : top */
cg_val em_fless(emitter *e, cg_val a, cg_val b);           /* ordered */
/* table[index[l]] for vectors of EM_TABLE_LANES lanes, index as i32, its low 5 bits: one instruction where em_has_table says so. */
#define EM_TABLE_LANES 16
#define EM_TABLE_SIZE 32
bool em_has_table(const emitter *e);
cg_val em_table(emitter *e, const float table[EM_TABLE_SIZE], cg_val index);
/* a[l] = first + l as i32 lanes are compared: first + l >= from and first + l < to, a mask */
cg_val em_lanes_in_range(emitter *e, unsigned lanes, cg_val first, cg_val from, cg_val to);
/* Is one of the `lanes` i32 at `pointer` at least `from` and below `to`, which are i64 that i32 holds? An i1. */
cg_val em_any_in_range(emitter *e, unsigned lanes, cg_val pointer, cg_val from, cg_val to);

/* ---- numbers of double precision: scalars and sums that f32 is too coarse for; em_fadd, em_fsub, em_fmul, em_fdiv, em_fsqrt,
 * em_select and em_shuffle take them too (em_fma does not: f64 may have none where f32 has one) ---- */
cg_val em_real(emitter *e, double x);
cg_val em_load_real(emitter *e, cg_val pointer); /* an f64 */
void em_store_real(emitter *e, cg_val value, cg_val pointer);
cg_val em_reals(emitter *e, unsigned lanes, double x); /* a vector */
cg_val em_widen(emitter *e, cg_val v);                 /* f32 to f64, a scalar or a vector */
cg_val em_narrow(emitter *e, cg_val v);                /* f64 to the nearest f32 */
cg_val em_lane(emitter *e, cg_val vector, unsigned i); /* as a scalar */

/* A call of LLVM's intrinsic function. overloads: the types that stand in its name. */
cg_val em_intrinsic(emitter *e, const char *name, LLVMTypeRef *overloads, size_t n_overloads, cg_val *args, unsigned n_args);

/* ---- control ---- */
#define EM_MAX_CARRIED 40

/* for (index = begin; index < end; index += step), with values carried from one round to the next. */
typedef struct em_loop {
    LLVMBasicBlockRef before, body, after;
    cg_val index, end;
    int64_t step;
    unsigned n_carried;
    cg_val initial[EM_MAX_CARRIED];
    cg_val carried[EM_MAX_CARRIED]; /* in the body: this round's values; after em_loop_end: the final ones */
} em_loop;

/* `initial` may be NULL when n_carried is 0. The body follows; em_loop_end gives next round's carried values. A loop may run zero
 * times. */
void em_loop_begin(emitter *e, em_loop *loop, cg_val begin, cg_val end, int64_t step, const cg_val *initial, unsigned n_carried);
void em_loop_end(emitter *e, em_loop *loop, const cg_val *next);

typedef struct em_if {
    LLVMBasicBlockRef otherwise, after;
    bool has_else;
} em_if;
void em_if_begin(emitter *e, em_if *branch, cg_val condition);
void em_else(emitter *e, em_if *branch);
void em_if_end(emitter *e, em_if *branch);

/* One of several bodies by number; numbers without a body do nothing. Values do not leave the bodies but through memory. */
typedef struct em_switch {
    LLVMValueRef branch;
    LLVMBasicBlockRef after;
} em_switch;
void em_switch_begin(emitter *e, em_switch *s, cg_val number);
void em_case(emitter *e, em_switch *s, int64_t number); /* its body follows */
void em_switch_end(emitter *e, em_switch *s);

/* A stack slot at the function's entry. */
cg_val em_stack(emitter *e, int64_t bytes, unsigned align);

#endif
