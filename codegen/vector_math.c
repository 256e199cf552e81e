/*
 * Vector mathematics; see vector_math.h.
 *
 * All polynomials are minimax fits made for this file with the exchange algorithm (Remez 1934) in 40 digits and rounded to f32; the
 * error of each fit stands beside it, rounding comes on top.
 * Range reduction of exp follows Cody and Waite, "Software Manual for the Elementary Functions" (1980), chapter 6; log takes the
 * exponent out with the significand in [sqrt(1/2), sqrt 2).
 */
#include "codegen/vector_math.h"

#include "codegen/gelu_table.h"

static cg_val as_int(emitter *e, cg_val x) { return LLVMBuildBitCast(e->builder, x, LLVMVectorType(e->i32, em_lanes_of(x)), ""); }

static cg_val as_float(emitter *e, cg_val x) { return LLVMBuildBitCast(e->builder, x, em_vector_type(e, em_lanes_of(x)), ""); }

static cg_val constant(emitter *e, cg_val like, double x) { return em_const(e, em_lanes_of(like), x); }

static cg_val int_constant(emitter *e, cg_val like, uint32_t x) { return em_const_i32(e, em_lanes_of(like), (int32_t)x); }

/* c[0] + c[1] x + ... + c[n-1] x^(n-1) by Horner's rule. */
static cg_val polynomial(emitter *e, cg_val x, const double *c, unsigned n) {
    cg_val p = constant(e, x, c[n - 1]);
    for (unsigned i = n - 1; i-- > 0;) p = em_fma_const(e, p, x, c[i]);
    return p;
}

/* ---- exp ---- */

#define LOG2_E 1.44269504088896341
#define LN2_HIGH 0.693359375 /* 9 bits: n * LN2_HIGH is exact for |n| <= 128 */
#define LN2_LOW -2.12194440054690583e-4
#define ROUND_MAGIC 12582912.0 /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
#define EXP_LOWEST -87.3365
#define EXP_HIGHEST 88.37

/* (e^r - 1 - r) / r^2 on |r| <= ln(2)/2: 3.4e-9 of e^r */
static const double exp_fit[] = {0.5, 0.16666513681411743, 0.041666191071271896, 0.00836953055113554, 0.0013951577711850405};

/* Valid for EXP_LOWEST <= x <= EXP_HIGHEST, and NaN for NaN. */
static cg_val exp_core(emitter *e, cg_val x) {
    cg_val magic = constant(e, x, ROUND_MAGIC);
    cg_val shifted = em_fma(e, x, constant(e, x, LOG2_E), magic);
    cg_val n = em_fsub(e, shifted, magic);
    cg_val r = em_fma(e, n, constant(e, x, -LN2_HIGH), x);
    r = em_fma(e, n, constant(e, x, -LN2_LOW), r);
    cg_val p = polynomial(e, r, exp_fit, 5);
    p = em_fma(e, p, em_fmul(e, r, r), r);
    p = em_fadd(e, p, constant(e, x, 1));
    cg_val exponent = LLVMBuildShl(e->builder, as_int(e, shifted), int_constant(e, x, 23), "");
    cg_val power = LLVMBuildAdd(e->builder, exponent, int_constant(e, x, 0x3f800000), ""); /* 2^n */
    return em_fmul(e, p, as_float(e, power));
}

cg_val math_exp_nonpositive(emitter *e, cg_val x) {
    return em_select(e, em_fless(e, x, constant(e, x, EXP_LOWEST)), constant(e, x, 0), exp_core(e, x));
}

cg_val math_exp(emitter *e, cg_val x) {
    cg_val infinity = LLVMBuildBitCast(e->builder, int_constant(e, x, 0x7f800000), em_vector_type(e, em_lanes_of(x)), "");
    return em_select(e, em_fless(e, constant(e, x, EXP_HIGHEST), x), infinity, math_exp_nonpositive(e, x));
}

/* ---- log ---- */

/* (log(1+f) - f + f^2/2) / f^3 on sqrt(1/2) - 1 <= f <= sqrt(2) - 1: 1.4e-9 absolute */
static const double log_fit[] = {0.333333283662796,  -0.25001052021980286, 0.20001636445522308, -0.16616764664649963,
                                 0.1418987512588501, -0.13205812871456146, 0.12854592502117157, -0.07635419070720673};
#define SQRT_HALF_BITS 0x3f3504f3u

cg_val math_log(emitter *e, cg_val x) {
    cg_val offset = int_constant(e, x, SQRT_HALF_BITS);
    cg_val shifted = LLVMBuildSub(e->builder, as_int(e, x), offset, "");
    cg_val k = LLVMBuildSIToFP(e->builder, LLVMBuildAShr(e->builder, shifted, int_constant(e, x, 23), ""), LLVMTypeOf(x), "");
    cg_val fraction = LLVMBuildAnd(e->builder, shifted, int_constant(e, x, 0x007fffff), "");
    cg_val f = em_fsub(e, as_float(e, LLVMBuildAdd(e->builder, fraction, offset, "")), constant(e, x, 1));
    cg_val f2 = em_fmul(e, f, f);
    cg_val tail = em_fmul(e, polynomial(e, f, log_fit, 8), em_fmul(e, f2, f));
    tail = em_fma(e, k, constant(e, x, LN2_LOW), tail);
    tail = em_fma(e, f2, constant(e, x, -0.5), tail);
    cg_val value = em_fma(e, k, constant(e, x, LN2_HIGH), em_fadd(e, f, tail));
    cg_val infinity = as_float(e, int_constant(e, x, 0x7f800000));
    return em_select(e, em_fless(e, x, infinity), value, x);
}

/* ---- erf, GELU ---- */

/* erf(z) / z in s = 2 z^2 / ERF_RANGE^2 - 1 for |z| <= ERF_RANGE: 1.8e-8 absolute. Beyond, the line z * P(1) is cut at +-1, where
 * erf is within 3.5e-8. */
#define ERF_RANGE 3.9
static const double erf_fit[] = {0.3625839650630951,    -0.18101108074188232,   0.13469083607196808,   -0.10953226685523987,
                                 0.09067460149526596,   -0.0738053247332573,    0.057873670011758804,  -0.04276575520634651,
                                 0.029240593314170837,  -0.019594192504882812,  0.01340525597333908,   -0.007039204705506563,
                                 0.0020487674046307802, -0.0015284355031326413, 0.0018769328016787767, -0.0007081289659254253};

cg_val math_erf(emitter *e, cg_val x) {
    cg_val t = em_fmin_nan(e, em_fmul(e, x, x), constant(e, x, ERF_RANGE * ERF_RANGE));
    cg_val s = em_fma_const(e, t, constant(e, x, 2 / (ERF_RANGE * ERF_RANGE)), -1);
    cg_val y = em_fmul(e, x, polynomial(e, s, erf_fit, 16));
    return em_fmax_nan(e, em_fmin_nan(e, y, constant(e, x, 1)), constant(e, x, -1));
}

/* The same vector with another number of lanes: some undefined, or the first ones. */
static cg_val with_lanes(emitter *e, cg_val x, unsigned lanes) {
    unsigned index[EM_TABLE_LANES] = {0}, have = em_lanes_of(x);
    for (unsigned i = 0; i < lanes && i < have; i++) index[i] = i;
    return em_shuffle(e, x, x, lanes, index);
}

/* The polynomial of |x|; see gelu_table.h. Any number of lanes gives the same bits. */
static cg_val table_of_size(emitter *e, cg_val x, const float table[GELU_TABLE_TERMS][GELU_TABLE_INTERVALS]) {
    const double step = GELU_TABLE_STEP;
    cg_val size = as_float(e, LLVMBuildAnd(e->builder, as_int(e, x), int_constant(e, x, 0x7fffffff), ""));
    size = em_fmin_nan(e, size, constant(e, x, (GELU_TABLE_INTERVALS - 1) * step));
    cg_val magic = constant(e, x, ROUND_MAGIC), shifted = em_fma(e, size, constant(e, x, 1 / step), magic);
    cg_val index = as_int(e, shifted), d = em_fma(e, em_fsub(e, shifted, magic), constant(e, x, -step), size);
    cg_val value = em_table(e, table[GELU_TABLE_TERMS - 1], index);
    for (unsigned i = GELU_TABLE_TERMS - 1; i-- > 0;) value = em_fma(e, value, d, em_table(e, table[i], index));
    return value;
}

static cg_val gelu_of_table(emitter *e, cg_val narrow, const float table[GELU_TABLE_TERMS][GELU_TABLE_INTERVALS]) {
    cg_val x = with_lanes(e, narrow, EM_TABLE_LANES);
    return with_lanes(e, em_fsub(e, math_relu(e, x), table_of_size(e, x, table)), em_lanes_of(narrow));
}

static cg_val slope_of_table(emitter *e, cg_val narrow, const float table[GELU_TABLE_TERMS][GELU_TABLE_INTERVALS]) {
    cg_val x = with_lanes(e, narrow, EM_TABLE_LANES), value = as_int(e, table_of_size(e, x, table));
    cg_val sign = LLVMBuildAnd(e->builder, as_int(e, x), int_constant(e, x, 0x80000000u), "");
    value = as_float(e, LLVMBuildXor(e->builder, value, sign, ""));
    return with_lanes(e, em_fadd(e, value, constant(e, x, 0.5)), em_lanes_of(narrow));
}

cg_val math_gelu_erf(emitter *e, cg_val x) {
    if (em_has_table(e)) return gelu_of_table(e, x, gelu_erf_table);
    cg_val half = em_fmul(e, x, constant(e, x, 0.5));
    return em_fma(e, half, math_erf(e, em_fmul(e, x, constant(e, x, 0.70710678118654752))), half);
}

/* x / (1 + e^(-2u)) is x/2 (1 + tanh u), with u = sqrt(2/pi) (x + 0.044715 x^3) (Hendrycks and Gimpel 2016). */
cg_val math_gelu_tanh(emitter *e, cg_val x) {
    if (em_has_table(e)) return gelu_of_table(e, x, gelu_tanh_table);
    const double scale = -2 * 0.79788456080286536;
    cg_val square = em_fmul(e, x, x);
    cg_val exponent = em_fmul(e, x, em_fma_const(e, square, constant(e, x, scale * 0.044715), scale));
    return em_fdiv(e, x, em_fadd(e, math_exp(e, exponent), constant(e, x, 1)));
}

static cg_val clamp(emitter *e, cg_val x, double size) {
    return em_fmax_nan(e, em_fmin_nan(e, x, constant(e, x, size)), constant(e, x, -size));
}

/* Phi(x) + x phi(x); beyond 14 the second term is less than 1e-41. */
cg_val math_gelu_erf_slope(emitter *e, cg_val x) {
    if (em_has_table(e)) return slope_of_table(e, x, gelu_erf_slope_table);
    cg_val near = clamp(e, x, 14), half = em_fmul(e, near, constant(e, x, -0.5));
    cg_val density = em_fmul(e, math_exp_nonpositive(e, em_fmul(e, half, near)), constant(e, x, 0.39894228040143268));
    cg_val share = em_fma_const(e, math_erf(e, em_fmul(e, x, constant(e, x, 0.70710678118654752))), constant(e, x, 0.5), 0.5);
    return em_fma(e, near, density, share);
}

/* s + x 2u' s (1 - s) with s = 1 / (1 + e^(-2u)) and 1 - s = e^(-2u) s; beyond 10 it is 0 or 1 in 24 bits. */
cg_val math_gelu_tanh_slope(emitter *e, cg_val x) {
    if (em_has_table(e)) return slope_of_table(e, x, gelu_tanh_slope_table);
    const double scale = 2 * 0.79788456080286536;
    cg_val near = clamp(e, x, 10), square = em_fmul(e, near, near), one = constant(e, x, 1);
    cg_val exponent = em_fmul(e, near, em_fma_const(e, square, constant(e, x, -scale * 0.044715), -scale));
    cg_val slope = em_fma_const(e, square, constant(e, x, scale * 3 * 0.044715), scale);
    cg_val power = math_exp(e, exponent), s = em_fdiv(e, one, em_fadd(e, power, one));
    return em_fma(e, em_fmul(e, em_fmul(e, near, slope), s), em_fmul(e, power, s), s);
}

/* ---- tanh ---- */

/* (tanh(x) - x) / x^3 in x^2 for |x| <= 0.625: 4.2e-9 of x */
static const double tanh_fit[] = {-0.3333328366279602, 0.13331514596939087, -0.05374514311552048, 0.02065522037446499,
                                  -0.005721630994230509};
#define TANH_SMALL 0.625

cg_val math_tanh(emitter *e, cg_val x) {
    cg_val sign = LLVMBuildAnd(e->builder, as_int(e, x), int_constant(e, x, 0x80000000u), "");
    cg_val size = as_float(e, LLVMBuildAnd(e->builder, as_int(e, x), int_constant(e, x, 0x7fffffff), ""));
    cg_val square = em_fmul(e, x, x);
    cg_val small = em_fma(e, polynomial(e, square, tanh_fit, 5), em_fmul(e, square, size), size);
    /* 1 - 2 / (e^(2x) + 1) */
    cg_val rest = em_fdiv(e, constant(e, x, 2), em_fadd(e, math_exp(e, em_fadd(e, size, size)), constant(e, x, 1)));
    cg_val large = em_fsub(e, constant(e, x, 1), rest);
    cg_val y = em_select(e, em_fless(e, size, constant(e, x, TANH_SMALL)), small, large);
    return as_float(e, LLVMBuildOr(e->builder, as_int(e, y), sign, ""));
}

/* ---- the rest ---- */

cg_val math_relu(emitter *e, cg_val x) { return em_fmax_nan(e, x, constant(e, x, 0)); }

cg_val math_reciprocal_sqrt(emitter *e, cg_val x) { return em_fdiv(e, constant(e, x, 1), em_fsqrt(e, x)); }
