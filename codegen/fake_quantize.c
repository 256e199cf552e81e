/* Values as 8 bits hold them; see fake_quantize.h. */
#include "codegen/fake_quantize.h"

#include <math.h>

#include "ir/quantization.h"

#define ROUNDING 0x1.8p23

/* Numbers in memory. Where nothing is quantized, x times 1, between infinite ends, plus and minus 0, times 1. */
enum { INVERSE, LEAST, GREATEST, ROUND, SCALE, N_NUMBERS };

int64_t fake_quantize_bytes(const emitter *e) { return 4 * (int64_t)N_NUMBERS * e->lanes; }

static cg_val place_of(emitter *e, cg_val memory, unsigned number) { return em_at_int(e, memory, 4 * (int64_t)number * e->lanes); }

static cg_val round_even(emitter *e, cg_val x, cg_val rounding) { return em_fsub(e, em_fadd(e, x, rounding), rounding); }

/* The larger; b where a is NaN. */
static cg_val larger(emitter *e, cg_val a, cg_val b) { return em_select(e, em_fless(e, b, a), a, b); }

/* The place of zero: that of the range's least end below it, between 0 and 255. */
static cg_val zero_point(emitter *e, cg_val below, cg_val scale) {
    cg_val zero = em_const(e, 1, 0), most = em_const(e, 1, 255);
    cg_val place = em_fsub(e, zero, round_even(e, em_fdiv(e, below, scale), em_const(e, 1, ROUNDING)));
    place = larger(e, place, zero);
    return em_select(e, em_fless(e, most, place), most, place);
}

void fake_quantize_prepare(emitter *e, const fake_quantize_range *r, cg_val memory) {
    static const double idle[N_NUMBERS] = {[INVERSE] = 1, [LEAST] = -HUGE_VAL, [GREATEST] = HUGE_VAL, [SCALE] = 1};
    cg_val min = em_load(e, 1, r->range, 4), max = em_load(e, 1, em_at_int(e, r->range, 4), 4), zero = em_const(e, 1, 0);
    cg_val below = em_select(e, em_fless(e, min, zero), min, zero), above = larger(e, max, zero);
    cg_val width = r->symmetric ? larger(e, em_fsub(e, zero, below), above) : em_fsub(e, above, below);
    cg_val scale =
        larger(e, em_fdiv(e, width, em_const(e, 1, r->symmetric ? 127.5 : 255)), em_const(e, 1, (double)QUANTIZATION_LEAST_SCALE));
    cg_val place = r->symmetric ? zero : zero_point(e, below, scale);
    cg_val number[N_NUMBERS] = {[INVERSE] = em_fdiv(e, em_const(e, 1, 1), scale),
                                [LEAST] = em_fsub(e, em_const(e, 1, r->symmetric ? -128 : 0), place),
                                [GREATEST] = em_fsub(e, em_const(e, 1, r->symmetric ? 127 : 255), place),
                                [ROUND] = em_const(e, 1, ROUNDING),
                                [SCALE] = scale};
    cg_val is_none = em_fless(e, max, min);
    cg_val begun = r->forward ? em_less(e, em_int(e, r->begin - 1), em_load_int(e, IR_I64, r->forward)) : NULL;
    for (unsigned i = 0; i < N_NUMBERS; i++) {
        cg_val otherwise = em_const(e, 1, idle[i]), chosen = em_select(e, is_none, otherwise, number[i]);
        if (begun) chosen = em_select(e, begun, chosen, otherwise);
        em_store(e, em_splat(e, e->lanes, em_lane(e, chosen, 0)), place_of(e, memory, i), 4 * e->lanes);
    }
}

static void load_numbers(emitter *e, cg_val memory, unsigned lanes, cg_val number[N_NUMBERS]) {
    for (unsigned i = 0; i < N_NUMBERS; i++) number[i] = em_load(e, lanes, place_of(e, memory, i), 4 * lanes);
}

cg_val fake_quantize_emit(emitter *e, cg_val memory, cg_val x) {
    const unsigned lanes = em_lanes_of(x);
    cg_val number[N_NUMBERS];
    load_numbers(e, memory, lanes, number);
    cg_val place = em_fmul(e, x, number[INVERSE]);
    place = em_fmin_nan(e, em_fmax_nan(e, place, number[LEAST]), number[GREATEST]);
    return em_fmul(e, round_even(e, place, number[ROUND]), number[SCALE]);
}

/* NaN becomes what lies below the least end, or is that end where nothing is quantized. */
cg_val fake_quantize_gradient_emit(emitter *e, cg_val memory, cg_val dy, cg_val x) {
    const unsigned lanes = em_lanes_of(x);
    cg_val number[N_NUMBERS];
    load_numbers(e, memory, lanes, number);
    cg_val place = round_even(e, em_fmul(e, x, number[INVERSE]), number[ROUND]);
    place = em_fmax_skip_nan(e, em_fsub(e, number[LEAST], em_const(e, lanes, 1)), place);
    cg_val passes = em_and(e, LLVMBuildFCmp(e->builder, LLVMRealOGE, place, number[LEAST], ""),
                           LLVMBuildFCmp(e->builder, LLVMRealOLE, place, number[GREATEST], ""));
    return em_select(e, passes, dy, em_const(e, lanes, 0));
}
