/*
 * The builder; see llvm_emit.h. A thin layer over the LLVM C API that fixes types and alignments.
 *
 * Loops are emitted rotated (test, then body with the test at its end), the form that the code generator would otherwise have to
 * find. Minimum and maximum are written as compare-and-select in the operand order of the x86 instructions, so that each is one
 * instruction and NaN comes out as the name says.
 */
#include "codegen/llvm_emit.h"

#include <stdio.h>
#include <string.h>

/* ---- modules and functions ---- */

/* In place of LLVM's own handler, which prints and exits. */
static void note_error(LLVMDiagnosticInfoRef info, void *user) {
    emitter *e = user;
    if (LLVMGetDiagInfoSeverity(info) != LLVMDSError || e->failed) return;
    char *text = LLVMGetDiagInfoDescription(info);
    snprintf(e->reason, sizeof e->reason, "%.*s", (int)strcspn(text, "\n"), text);
    LLVMDisposeMessage(text);
    e->failed = true;
}

void em_begin_module(emitter *e, const cg_target *target, const char *name) {
    *e = (emitter){.target = target, .lanes = target->vector_bytes / 4, .has_fma = target->has_fma};
    e->context = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(e->context, note_error, e);
    e->module = LLVMModuleCreateWithNameInContext(name, e->context);
    e->builder = LLVMCreateBuilderInContext(e->context);
    LLVMSetTarget(e->module, target->triple);
    e->f32 = LLVMFloatTypeInContext(e->context);
    e->f64 = LLVMDoubleTypeInContext(e->context);
    e->i1 = LLVMInt1TypeInContext(e->context);
    e->i8 = LLVMInt8TypeInContext(e->context);
    e->i16 = LLVMInt16TypeInContext(e->context);
    e->i32 = LLVMInt32TypeInContext(e->context);
    e->i64 = LLVMInt64TypeInContext(e->context);
    e->ptr = LLVMPointerTypeInContext(e->context, 0);
}

void em_end_module(emitter *e) {
    LLVMDisposeBuilder(e->builder);
    LLVMDisposeModule(e->module);
    LLVMContextDispose(e->context);
}

static void add_enum_attribute(emitter *e, LLVMAttributeIndex index, const char *name) {
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(e->function, index, LLVMCreateEnumAttribute(e->context, kind, 0));
}

static void add_string_attribute(emitter *e, const char *key, const char *value) {
    LLVMAttributeRef attribute = LLVMCreateStringAttribute(e->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(e->function, LLVMAttributeFunctionIndex, attribute);
}

enum { ARG_BUFFERS, ARG_DIMS, ARG_BEGIN, ARG_END, ARG_SCRATCH, N_ARGS };

void em_begin_function(emitter *e, const char *symbol) {
    LLVMTypeRef args[N_ARGS] = {e->ptr, e->ptr, e->i64, e->i64, e->ptr};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), args, N_ARGS, 0);
    e->function = LLVMAddFunction(e->module, symbol, type);
    add_string_attribute(e, "target-cpu", e->target->cpu);
    add_string_attribute(e, "target-features", e->target->features);
    add_enum_attribute(e, LLVMAttributeFunctionIndex, "nounwind");
    const unsigned pointers[] = {ARG_BUFFERS, ARG_DIMS, ARG_SCRATCH};
    for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++) add_enum_attribute(e, pointers[i] + 1, "noalias");
    LLVMPositionBuilderAtEnd(e->builder, LLVMAppendBasicBlockInContext(e->context, e->function, "entry"));
}

void em_end_function(emitter *e) { LLVMBuildRetVoid(e->builder); }

static cg_val load_typed(emitter *e, LLVMTypeRef type, cg_val pointer, unsigned align) {
    cg_val v = LLVMBuildLoad2(e->builder, type, pointer, "");
    LLVMSetAlignment(v, align);
    return v;
}

cg_val em_buffer(emitter *e, unsigned i) {
    unsigned bytes = e->target->pointer_bytes;
    return load_typed(e, e->ptr, em_at_int(e, LLVMGetParam(e->function, ARG_BUFFERS), (int64_t)bytes * i), bytes);
}

cg_val em_dim(emitter *e, unsigned i) {
    return load_typed(e, e->i64, em_at_int(e, LLVMGetParam(e->function, ARG_DIMS), 8 * (int64_t)i), 8);
}

cg_val em_begin_unit(emitter *e) { return LLVMGetParam(e->function, ARG_BEGIN); }

cg_val em_end_unit(emitter *e) { return LLVMGetParam(e->function, ARG_END); }

cg_val em_scratch(emitter *e) { return LLVMGetParam(e->function, ARG_SCRATCH); }

/* ---- integers and addresses ---- */

cg_val em_int(emitter *e, int64_t n) { return LLVMConstInt(e->i64, (unsigned long long)n, 1); }

cg_val em_add(emitter *e, cg_val a, cg_val b) { return LLVMBuildNSWAdd(e->builder, a, b, ""); }

cg_val em_sub(emitter *e, cg_val a, cg_val b) { return LLVMBuildNSWSub(e->builder, a, b, ""); }

cg_val em_mul(emitter *e, cg_val a, cg_val b) { return LLVMBuildNSWMul(e->builder, a, b, ""); }

cg_val em_div(emitter *e, cg_val a, cg_val b) { return LLVMBuildUDiv(e->builder, a, b, ""); }

cg_val em_rem(emitter *e, cg_val a, cg_val b) { return LLVMBuildURem(e->builder, a, b, ""); }

cg_val em_add_int(emitter *e, cg_val a, int64_t b) { return b == 0 ? a : em_add(e, a, em_int(e, b)); }

cg_val em_mul_int(emitter *e, cg_val a, int64_t b) { return b == 1 ? a : em_mul(e, a, em_int(e, b)); }

cg_val em_div_int(emitter *e, cg_val a, int64_t b) { return b == 1 ? a : em_div(e, a, em_int(e, b)); }

cg_val em_div_int_up(emitter *e, cg_val a, int64_t b) { return em_div_int(e, em_add_int(e, a, b - 1), b); }

cg_val em_rem_int(emitter *e, cg_val a, int64_t b) { return em_rem(e, a, em_int(e, b)); }

cg_val em_less(emitter *e, cg_val a, cg_val b) { return LLVMBuildICmp(e->builder, LLVMIntSLT, a, b, ""); }

cg_val em_equal(emitter *e, cg_val a, cg_val b) { return LLVMBuildICmp(e->builder, LLVMIntEQ, a, b, ""); }

cg_val em_and(emitter *e, cg_val a, cg_val b) { return LLVMBuildAnd(e->builder, a, b, ""); }

cg_val em_select(emitter *e, cg_val condition, cg_val a, cg_val b) { return LLVMBuildSelect(e->builder, condition, a, b, ""); }

cg_val em_min(emitter *e, cg_val a, cg_val b) { return em_select(e, em_less(e, a, b), a, b); }

cg_val em_max(emitter *e, cg_val a, cg_val b) { return em_select(e, em_less(e, a, b), b, a); }

cg_val em_at(emitter *e, cg_val pointer, cg_val bytes) { return LLVMBuildGEP2(e->builder, e->i8, pointer, &bytes, 1, ""); }

cg_val em_at_int(emitter *e, cg_val pointer, int64_t bytes) { return bytes == 0 ? pointer : em_at(e, pointer, em_int(e, bytes)); }

cg_val em_index(emitter *e, cg_val pointer, cg_val index, int64_t scale) { return em_at(e, pointer, em_mul_int(e, index, scale)); }

cg_val em_opaque(emitter *e, cg_val v) { return LLVMBuildFreeze(e->builder, v, ""); }

unsigned em_dtype_bytes(ir_dtype dtype) {
    switch (dtype) {
    case IR_F32:
    case IR_I32: return 4;
    case IR_I64: return 8;
    case IR_I16: return 2;
    case IR_I8:
    case IR_U8:
    case IR_BOOL: return 1;
    default: return 0;
    }
}

static LLVMTypeRef int_type(const emitter *e, ir_dtype dtype) {
    switch (em_dtype_bytes(dtype)) {
    case 8: return e->i64;
    case 4: return e->i32;
    case 2: return e->i16;
    default: return e->i8;
    }
}

cg_val em_load_int(emitter *e, ir_dtype dtype, cg_val pointer) {
    cg_val v = load_typed(e, int_type(e, dtype), pointer, em_dtype_bytes(dtype));
    if (dtype == IR_I64) return v;
    bool is_signed = dtype_class(dtype) == DTYPE_SIGNED;
    return is_signed ? LLVMBuildSExt(e->builder, v, e->i64, "") : LLVMBuildZExt(e->builder, v, e->i64, "");
}

cg_val em_is_set(emitter *e, ir_dtype dtype, cg_val mask, cg_val i) {
    cg_val number = em_load_int(e, dtype, em_index(e, mask, i, em_dtype_bytes(dtype)));
    return LLVMBuildNot(e->builder, em_equal(e, number, em_int(e, 0)), "");
}

cg_val em_load_packed(emitter *e, unsigned bytes, cg_val pointer, unsigned each) {
    cg_val v = load_typed(e, LLVMIntTypeInContext(e->context, 8 * bytes), pointer, each);
    return bytes < 8 ? LLVMBuildZExt(e->builder, v, e->i64, "") : v;
}

cg_val em_packed(emitter *e, cg_val packed, unsigned i, unsigned each) {
    cg_val shifted = i ? LLVMBuildLShr(e->builder, packed, em_int(e, 8 * (int64_t)(i * each)), "") : packed;
    return LLVMBuildAnd(e->builder, shifted, em_int(e, (INT64_C(1) << (8 * each)) - 1), "");
}

void em_store_int(emitter *e, ir_dtype dtype, cg_val value, cg_val pointer) {
    cg_val v = dtype == IR_I64 ? value : LLVMBuildTrunc(e->builder, value, int_type(e, dtype), "");
    LLVMSetAlignment(LLVMBuildStore(e->builder, v, pointer), em_dtype_bytes(dtype));
}

cg_val em_load_unsigned(emitter *e, unsigned bytes, cg_val pointer) {
    return LLVMBuildZExt(e->builder, load_typed(e, LLVMIntTypeInContext(e->context, 8 * bytes), pointer, bytes), e->i64, "");
}

void em_store_float(emitter *e, cg_val value, cg_val pointer) {
    LLVMSetAlignment(LLVMBuildStore(e->builder, LLVMBuildSIToFP(e->builder, value, e->f32, ""), pointer), 4);
}

/* ---- vectors ---- */

LLVMTypeRef em_vector_type(emitter *e, unsigned lanes) { return LLVMVectorType(e->f32, lanes); }

unsigned em_lanes_of(cg_val vector) { return LLVMGetVectorSize(LLVMTypeOf(vector)); }

cg_val em_load(emitter *e, unsigned lanes, cg_val pointer, unsigned align) {
    return load_typed(e, em_vector_type(e, lanes), pointer, align);
}

void em_store(emitter *e, cg_val value, cg_val pointer, unsigned align) {
    LLVMSetAlignment(LLVMBuildStore(e->builder, value, pointer), align);
}

cg_val em_intrinsic(emitter *e, const char *name, LLVMTypeRef *overloads, size_t n_overloads, cg_val *args, unsigned n_args) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    cg_val f = LLVMGetIntrinsicDeclaration(e->module, id, overloads, n_overloads);
    LLVMTypeRef type = LLVMIntrinsicGetType(e->context, id, overloads, n_overloads);
    return LLVMBuildCall2(e->builder, type, f, args, n_args, "");
}

void em_store_masked(emitter *e, cg_val value, cg_val pointer, cg_val mask, unsigned align) {
    LLVMTypeRef overloads[] = {LLVMTypeOf(value), e->ptr};
    cg_val args[] = {value, pointer, LLVMConstInt(e->i32, align, 0), mask};
    em_intrinsic(e, "llvm.masked.store", overloads, 2, args, 4);
}

static void prefetch(emitter *e, cg_val pointer, unsigned locality) {
    /* read, locality of 3, data */
    cg_val args[] = {pointer, LLVMConstInt(e->i32, 0, 0), LLVMConstInt(e->i32, locality, 0), LLVMConstInt(e->i32, 1, 0)};
    em_intrinsic(e, "llvm.prefetch", &e->ptr, 1, args, 4);
}

void em_prefetch(emitter *e, cg_val pointer) { prefetch(e, pointer, 2); }

void em_prefetch_near(emitter *e, cg_val pointer) { prefetch(e, pointer, 3); }

cg_val em_load_splat(emitter *e, unsigned lanes, cg_val pointer) { return em_splat(e, lanes, load_typed(e, e->f32, pointer, 4)); }

#define MAX_LANES 64

static cg_val repeat(cg_val scalar, unsigned lanes) {
    cg_val all[MAX_LANES];
    for (unsigned i = 0; i < lanes; i++) all[i] = scalar;
    return LLVMConstVector(all, lanes);
}

cg_val em_const(emitter *e, unsigned lanes, double x) { return repeat(LLVMConstReal(e->f32, (double)(float)x), lanes); }

cg_val em_load_first(emitter *e, unsigned lanes, cg_val pointer) {
    return LLVMBuildInsertElement(e->builder, em_const(e, lanes, 0), load_typed(e, e->f32, pointer, 4), LLVMConstInt(e->i32, 0, 0),
                                  "");
}

static cg_val splat_of(emitter *e, LLVMTypeRef type, unsigned lanes, cg_val scalar) {
    cg_val first = LLVMBuildInsertElement(e->builder, LLVMGetPoison(type), scalar, LLVMConstInt(e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->builder, first, LLVMGetPoison(type), LLVMConstNull(LLVMVectorType(e->i32, lanes)), "");
}

cg_val em_splat(emitter *e, unsigned lanes, cg_val scalar) { return splat_of(e, em_vector_type(e, lanes), lanes, scalar); }

cg_val em_const_i32(emitter *e, unsigned lanes, int32_t x) { return repeat(LLVMConstInt(e->i32, (unsigned long long)x, 1), lanes); }

/* The mask of all lanes as the instruction wants it; LLVM's own gather would be taken apart for processors that it thinks slow. */
cg_val em_gather(emitter *e, unsigned lanes, cg_val base, cg_val offsets) {
    LLVMTypeRef small = LLVMVectorType(LLVMInt16TypeInContext(e->context), lanes), wide = LLVMVectorType(e->i32, lanes);
    cg_val all = repeat(LLVMConstReal(e->f32, -1), lanes);
    cg_val index = LLVMBuildZExt(e->builder, load_typed(e, small, offsets, 2), wide, "");
    cg_val args[] = {LLVMGetUndef(em_vector_type(e, lanes)), base, index, all, LLVMConstInt(e->i8, 1, 0)};
    return em_intrinsic(e, lanes == 8 ? "llvm.x86.avx2.gather.d.ps.256" : "llvm.x86.avx2.gather.d.ps", NULL, 0, args, 5);
}

cg_val em_load_quad(emitter *e, unsigned lanes, cg_val pointer) {
    LLVMTypeRef type = em_vector_type(e, lanes), function = LLVMFunctionType(type, &type, 1, 0);
    cg_val nothing = LLVMGetInlineAsm(function, "", 0, "=v,0", 4, 0, 0, LLVMInlineAsmDialectATT, 0), v = em_load(e, 4, pointer, 4);
    unsigned repeated[MAX_LANES];
    for (unsigned i = 0; i < lanes; i++) repeated[i] = i % 4;
    if (lanes > 4) v = em_shuffle(e, v, v, lanes, repeated);
    return LLVMBuildCall2(e->builder, function, nothing, &v, 1, "");
}

cg_val em_quad_splat(emitter *e, cg_val quad, unsigned i, unsigned lanes) {
    unsigned index[MAX_LANES];
    for (unsigned l = 0; l < lanes; l++) index[l] = l / 4 * 4 + i; /* within each four, which no processor takes long for */
    return em_shuffle(e, quad, quad, lanes, index);
}

cg_val em_shuffle(emitter *e, cg_val a, cg_val b, unsigned lanes, const unsigned *index) {
    cg_val mask[MAX_LANES];
    for (unsigned i = 0; i < lanes; i++) mask[i] = LLVMConstInt(e->i32, index[i], 0);
    return LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(mask, lanes), "");
}

cg_val em_fold(emitter *e, cg_val v, unsigned lanes, cg_val (*join)(emitter *, cg_val, cg_val)) {
    for (unsigned n = em_lanes_of(v) / 2; n >= lanes; n /= 2) {
        unsigned low[MAX_LANES], high[MAX_LANES];
        for (unsigned l = 0; l < n; l++) low[l] = l, high[l] = n + l;
        v = join(e, em_shuffle(e, v, v, n, low), em_shuffle(e, v, v, n, high));
    }
    return v;
}

cg_val em_fadd(emitter *e, cg_val a, cg_val b) { return LLVMBuildFAdd(e->builder, a, b, ""); }

cg_val em_fsub(emitter *e, cg_val a, cg_val b) { return LLVMBuildFSub(e->builder, a, b, ""); }

cg_val em_fmul(emitter *e, cg_val a, cg_val b) { return LLVMBuildFMul(e->builder, a, b, ""); }

cg_val em_fdiv(emitter *e, cg_val a, cg_val b) { return LLVMBuildFDiv(e->builder, a, b, ""); }

cg_val em_fsqrt(emitter *e, cg_val a) {
    LLVMTypeRef type = LLVMTypeOf(a);
    return em_intrinsic(e, "llvm.sqrt", &type, 1, &a, 1);
}

cg_val em_fma(emitter *e, cg_val x, cg_val y, cg_val z) {
    if (!e->has_fma) return em_fadd(e, em_fmul(e, x, y), z);
    LLVMTypeRef type = LLVMTypeOf(x);
    cg_val args[] = {x, y, z};
    return em_intrinsic(e, "llvm.fma", &type, 1, args, 3);
}

cg_val em_fma_const(emitter *e, cg_val x, cg_val y, double z) { return em_fma(e, x, y, em_const(e, em_lanes_of(x), z)); }

cg_val em_fmin_nan(emitter *e, cg_val x, cg_val limit) {
    return em_select(e, LLVMBuildFCmp(e->builder, LLVMRealOLT, limit, x, ""), limit, x);
}

cg_val em_fmax_nan(emitter *e, cg_val x, cg_val limit) {
    return em_select(e, LLVMBuildFCmp(e->builder, LLVMRealOGT, limit, x, ""), limit, x);
}

cg_val em_fmax_skip_nan(emitter *e, cg_val top, cg_val x) {
    return em_select(e, LLVMBuildFCmp(e->builder, LLVMRealOGT, x, top, ""), x, top);
}

cg_val em_fless(emitter *e, cg_val a, cg_val b) { return LLVMBuildFCmp(e->builder, LLVMRealOLT, a, b, ""); }

bool em_has_table(const emitter *e) { return e->lanes == EM_TABLE_LANES && strncmp(e->target->triple, "x86_64", 6) == 0; }

cg_val em_table(emitter *e, const float table[EM_TABLE_SIZE], cg_val index) {
    cg_val half[2][EM_TABLE_LANES];
    for (unsigned i = 0; i < EM_TABLE_SIZE; i++)
        half[i / EM_TABLE_LANES][i % EM_TABLE_LANES] = LLVMConstReal(e->f32, (double)table[i]);
    cg_val args[] = {LLVMConstVector(half[0], EM_TABLE_LANES), index, LLVMConstVector(half[1], EM_TABLE_LANES)};
    return em_intrinsic(e, "llvm.x86.avx512.vpermi2var.ps.512", NULL, 0, args, 3);
}

cg_val em_lanes_in_range(emitter *e, unsigned lanes, cg_val first, cg_val from, cg_val to) {
    LLVMTypeRef type = LLVMVectorType(e->i32, lanes);
    cg_val number[MAX_LANES];
    for (unsigned i = 0; i < lanes; i++) number[i] = LLVMConstInt(e->i32, i, 0);
    cg_val low = LLVMBuildTrunc(e->builder, em_sub(e, from, first), e->i32, ""),
           high = LLVMBuildTrunc(e->builder, em_sub(e, to, first), e->i32, "");
    cg_val index = LLVMConstVector(number, lanes);
    cg_val above = LLVMBuildICmp(e->builder, LLVMIntSGE, index, splat_of(e, type, lanes, low), "");
    return em_and(e, above, LLVMBuildICmp(e->builder, LLVMIntSLT, index, splat_of(e, type, lanes, high), ""));
}

cg_val em_any_in_range(emitter *e, unsigned lanes, cg_val pointer, cg_val from, cg_val to) {
    LLVMTypeRef type = LLVMVectorType(e->i32, lanes), bits = LLVMIntTypeInContext(e->context, lanes);
    cg_val numbers = LLVMBuildLoad2(e->builder, type, pointer, "");
    LLVMSetAlignment(numbers, 4);
    cg_val low = LLVMBuildTrunc(e->builder, from, e->i32, ""), size = LLVMBuildTrunc(e->builder, em_sub(e, to, from), e->i32, "");
    cg_val above = LLVMBuildSub(e->builder, numbers, splat_of(e, type, lanes, low), "");
    cg_val inside = LLVMBuildICmp(e->builder, LLVMIntULT, above, splat_of(e, type, lanes, size), "");
    return LLVMBuildICmp(e->builder, LLVMIntNE, LLVMBuildBitCast(e->builder, inside, bits, ""), LLVMConstInt(bits, 0, 0), "");
}

/* ---- double precision ---- */

/* `scalar`, or as many of them as `like` has lanes. */
static LLVMTypeRef type_like(LLVMTypeRef like, LLVMTypeRef scalar) {
    return LLVMGetTypeKind(like) == LLVMVectorTypeKind ? LLVMVectorType(scalar, LLVMGetVectorSize(like)) : scalar;
}

cg_val em_real(emitter *e, double x) { return LLVMConstReal(e->f64, x); }

cg_val em_load_real(emitter *e, cg_val pointer) { return load_typed(e, e->f64, pointer, 8); }

void em_store_real(emitter *e, cg_val value, cg_val pointer) { em_store(e, value, pointer, 8); }

cg_val em_reals(emitter *e, unsigned lanes, double x) { return repeat(em_real(e, x), lanes); }

cg_val em_widen(emitter *e, cg_val v) { return LLVMBuildFPExt(e->builder, v, type_like(LLVMTypeOf(v), e->f64), ""); }

cg_val em_narrow(emitter *e, cg_val v) { return LLVMBuildFPTrunc(e->builder, v, type_like(LLVMTypeOf(v), e->f32), ""); }

cg_val em_lane(emitter *e, cg_val vector, unsigned i) {
    return LLVMBuildExtractElement(e->builder, vector, LLVMConstInt(e->i32, i, 0), "");
}

/* ---- control ---- */

static LLVMBasicBlockRef new_block(emitter *e, const char *name) {
    return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

void em_loop_begin(emitter *e, em_loop *loop, cg_val begin, cg_val end, int64_t step, const cg_val *initial, unsigned n_carried) {
    *loop = (em_loop){.end = end, .step = step, .n_carried = n_carried};
    loop->before = LLVMGetInsertBlock(e->builder);
    loop->body = new_block(e, "loop");
    loop->after = new_block(e, "done");
    LLVMBuildCondBr(e->builder, em_less(e, begin, end), loop->body, loop->after);
    LLVMPositionBuilderAtEnd(e->builder, loop->body);
    loop->index = LLVMBuildPhi(e->builder, e->i64, "");
    LLVMAddIncoming(loop->index, &begin, &loop->before, 1);
    for (unsigned i = 0; i < n_carried; i++) {
        loop->initial[i] = initial[i];
        loop->carried[i] = LLVMBuildPhi(e->builder, LLVMTypeOf(initial[i]), "");
        LLVMAddIncoming(loop->carried[i], &loop->initial[i], &loop->before, 1);
    }
}

void em_loop_end(emitter *e, em_loop *loop, const cg_val *next) {
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->builder);
    cg_val index = em_add_int(e, loop->index, loop->step);
    LLVMBuildCondBr(e->builder, em_less(e, index, loop->end), loop->body, loop->after);
    LLVMAddIncoming(loop->index, &index, &latch, 1);
    LLVMPositionBuilderAtEnd(e->builder, loop->after);
    for (unsigned i = 0; i < loop->n_carried; i++) {
        cg_val value = next[i];
        LLVMAddIncoming(loop->carried[i], &value, &latch, 1);
        cg_val last = LLVMBuildPhi(e->builder, LLVMTypeOf(value), "");
        cg_val incoming[] = {loop->initial[i], value};
        LLVMBasicBlockRef from[] = {loop->before, latch};
        LLVMAddIncoming(last, incoming, from, 2);
        loop->carried[i] = last;
    }
}

void em_if_begin(emitter *e, em_if *branch, cg_val condition) {
    LLVMBasicBlockRef then = new_block(e, "then");
    *branch = (em_if){.otherwise = new_block(e, "else"), .after = new_block(e, "end")};
    LLVMBuildCondBr(e->builder, condition, then, branch->otherwise);
    LLVMPositionBuilderAtEnd(e->builder, then);
}

void em_else(emitter *e, em_if *branch) {
    LLVMBuildBr(e->builder, branch->after);
    LLVMPositionBuilderAtEnd(e->builder, branch->otherwise);
    branch->has_else = true;
}

void em_if_end(emitter *e, em_if *branch) {
    LLVMBuildBr(e->builder, branch->after);
    if (!branch->has_else) {
        LLVMPositionBuilderAtEnd(e->builder, branch->otherwise);
        LLVMBuildBr(e->builder, branch->after);
    }
    LLVMPositionBuilderAtEnd(e->builder, branch->after);
}

void em_switch_begin(emitter *e, em_switch *s, cg_val number) {
    s->after = new_block(e, "end");
    s->branch = LLVMBuildSwitch(e->builder, number, s->after, 8);
}

void em_case(emitter *e, em_switch *s, int64_t number) {
    LLVMBasicBlockRef body = new_block(e, "case");
    if (LLVMGetInsertBlock(e->builder) != LLVMGetInstructionParent(s->branch)) LLVMBuildBr(e->builder, s->after);
    LLVMAddCase(s->branch, em_int(e, number), body);
    LLVMPositionBuilderAtEnd(e->builder, body);
}

void em_switch_end(emitter *e, em_switch *s) {
    if (LLVMGetInsertBlock(e->builder) != LLVMGetInstructionParent(s->branch)) LLVMBuildBr(e->builder, s->after);
    LLVMPositionBuilderAtEnd(e->builder, s->after);
}

cg_val em_stack(emitter *e, int64_t bytes, unsigned align) {
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder), entry = LLVMGetEntryBasicBlock(e->function);
    cg_val first = LLVMGetFirstInstruction(entry);
    if (first) LLVMPositionBuilderBefore(e->builder, first);
    cg_val slot = LLVMBuildAlloca(e->builder, LLVMArrayType2(e->i8, (uint64_t)bytes), "");
    LLVMSetAlignment(slot, align);
    LLVMPositionBuilderAtEnd(e->builder, here);
    return slot;
}
