/*
 * Philox on vectors; see philox.h.
 *
 * A round multiplies two of the counter's four words to 64 bits, so words live in the lower halves of 64-bit lanes, whatever the upper ones
 * hold: half of the rows in one vector, half in another, such that one shuffle within 128 bits puts their words side by side at the
 * end. Of the counter, the row's key is in words 0 and 1, the block in word 2, and the step in word 3; the round keys are numbers in memory.
 * What depends on rows alone, most of rounds 1 and 2, is computed once for them (philox_rows_begin):
 *
 *   round 1   c0 = hi(M1 block) ^ [key1 ^ k0],  c1 = lo(M1 block),              c2 = [hi(M0 key0) ^ step ^ k1],  c3 = [lo(M0 key0)]
 *   round 2   c0 = [hi(M1 c2) ^ k0'] ^ c1,      c1 = [lo(M1 c2)],               c2 = hi(M0 c0) ^ [c3 ^ k1'],     c3 = lo(M0 c0)
 */
#include "codegen/philox.h"

#include <string.h>

#include "ir/support/rng.h"

#define ROUNDS 10
#define LOOP_ROUNDS 2 /* in the body of a loop over the last eight: a quarter of the code, which all that drops has */
#define ROUND_KEY_BYTES 16
#define M0 UINT32_C(0xD2511F53) /* the constants of ir/support/rng.c */
#define M1 UINT32_C(0xCD9E8D57)
#define W0 UINT32_C(0x9E3779B9)
#define W1 UINT32_C(0xBB67AE85)
#define LOW_WORD INT64_C(0xffffffff)
#define MAX_LANES 16

/* ---- integers ---- */

static cg_val xor (emitter * e, cg_val a, cg_val b) { return LLVMBuildXor(e->builder, a, b, ""); }

    static LLVMTypeRef wide_type(const emitter *e, unsigned lanes) {
    return LLVMVectorType(e->i64, lanes);
}

static cg_val wide_const(const emitter *e, unsigned lanes, int64_t x) {
    cg_val all[MAX_LANES];
    for (unsigned i = 0; i < lanes; i++) all[i] = LLVMConstInt(e->i64, (unsigned long long)x, 0);
    return LLVMConstVector(all, lanes);
}

static cg_val wide_splat(emitter *e, unsigned lanes, cg_val x) {
    LLVMTypeRef type = wide_type(e, lanes);
    cg_val first = LLVMBuildInsertElement(e->builder, LLVMGetPoison(type), x, LLVMConstInt(e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->builder, first, LLVMGetPoison(type), LLVMConstNull(LLVMVectorType(e->i32, lanes)), "");
}

static cg_val wide_load(emitter *e, unsigned lanes, cg_val at) {
    cg_val v = LLVMBuildLoad2(e->builder, wide_type(e, lanes), at, "");
    LLVMSetAlignment(v, 8 * lanes);
    return v;
}

static void wide_store(emitter *e, unsigned lanes, cg_val v, cg_val at) { em_store(e, v, at, 8 * lanes); }

/* The product of the lower words: 64 bits. */
static cg_val multiply(emitter *e, unsigned lanes, cg_val x, uint32_t by) {
    cg_val low = LLVMBuildAnd(e->builder, x, wide_const(e, lanes, LOW_WORD), "");
    return LLVMBuildMul(e->builder, low, wide_const(e, lanes, by), "");
}

static cg_val upper(emitter *e, unsigned lanes, cg_val x) { return LLVMBuildLShr(e->builder, x, wide_const(e, lanes, 32), ""); }

/* Key i of a round, whose keys are at `at`. */
static cg_val key_at(emitter *e, unsigned lanes, cg_val at, unsigned i) {
    return wide_splat(e, lanes, em_load_int(e, IR_I64, em_at_int(e, at, 8 * (int64_t)i)));
}

static cg_val round_key(emitter *e, const philox *p, unsigned lanes, unsigned round, unsigned i) {
    return key_at(e, lanes, em_at_int(e, p->round_keys, ROUND_KEY_BYTES * (int64_t)round), i);
}

/* ---- keys ---- */

philox philox_begin(emitter *e, cg_val random, cg_val stream) {
    static const uint32_t step[2] = {W0, W1};
    philox p = {.round_keys = em_stack(e, 8 * 2 * ROUNDS, 8)};
    cg_val low_word = em_int(e, LOW_WORD), seed = em_load_int(e, IR_I64, random);
    p.step = LLVMBuildAnd(e->builder, em_load_int(e, IR_I64, em_at_int(e, random, 8)), low_word, "");
    cg_val key[2] = {LLVMBuildAdd(e->builder, seed, em_mul_int(e, stream, INT64_C(0x9E3779B9)), ""),
                     LLVMBuildLShr(e->builder, seed, em_int(e, 32), "")};
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < 2; i++) {
            cg_val k =
                LLVMBuildAnd(e->builder, LLVMBuildAdd(e->builder, key[i], em_int(e, (int64_t)round * step[i]), ""), low_word, "");
            em_store_int(e, IR_I64, k, em_at_int(e, p.round_keys, 8 * (int64_t)(2 * round + i)));
        }
    return p;
}

/* What is prepared of each half of the rows, in the order of the brackets above. */
enum { ROUND1_C0, ROUND2_C0, ROUND2_C1, ROUND2_C2, N_PREPARED };

static cg_val prepared_at(emitter *e, const philox_rows *r, unsigned half, unsigned i) {
    return em_at_int(e, r->prepared, (int64_t)(half * N_PREPARED + i) * 4 * r->lanes);
}

/* Lane l goes to number l / 4 * 2 + l % 2 of half l % 4 / 2. */
static void load_keys(emitter *e, cg_val to, unsigned lanes, cg_val keys, cg_val row, cg_val n_rows) {
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, lanes), 1, NULL, 0);
    cg_val last = em_add_int(e, n_rows, -1), key = em_index(e, keys, em_min(e, em_add(e, row, loop.index), last), 8);
    cg_val half = em_div_int(e, em_rem_int(e, loop.index, 4), 2);
    cg_val number = em_add(e, em_mul_int(e, em_div_int(e, loop.index, 4), 2), em_rem_int(e, loop.index, 2));
    cg_val place = em_add(e, em_mul_int(e, half, lanes / 2), number);
    em_store_int(e, IR_I64, em_load_int(e, IR_I64, key), em_index(e, to, place, 8));
    em_loop_end(e, &loop, NULL);
}

philox_rows philox_rows_begin(emitter *e, const philox *p, unsigned lanes, cg_val keys, cg_val row, cg_val n_rows) {
    return philox_rows_at(e, p, lanes, em_stack(e, PHILOX_ROOM(lanes), 64), keys, row, n_rows);
}

philox_rows philox_rows_at(emitter *e, const philox *p, unsigned lanes, cg_val room, cg_val keys, cg_val row, cg_val n_rows) {
    philox_rows r = {.numbers = p, .lanes = lanes, .prepared = room};
    const unsigned n = lanes / 2;
    cg_val key = em_stack(e, 8 * (int64_t)lanes, 64);
    load_keys(e, key, lanes, keys, row, n_rows);
    for (unsigned half = 0; half < 2; half++) {
        cg_val c = wide_load(e, n, em_at_int(e, key, 4 * (int64_t)(half * lanes))), product0 = multiply(e, n, c, M0);
        cg_val c2 = xor(e, xor(e, upper(e, n, product0), wide_splat(e, n, p->step)), round_key(e, p, n, 0, 1));
        cg_val product1 = multiply(e, n, c2, M1);
        wide_store(e, n, xor(e, upper(e, n, c), round_key(e, p, n, 0, 0)), prepared_at(e, &r, half, ROUND1_C0));
        wide_store(e, n, xor(e, upper(e, n, product1), round_key(e, p, n, 1, 0)), prepared_at(e, &r, half, ROUND2_C0));
        wide_store(e, n, product1, prepared_at(e, &r, half, ROUND2_C1));
        wide_store(e, n, xor(e, product0, round_key(e, p, n, 1, 1)), prepared_at(e, &r, half, ROUND2_C2));
    }
    return r;
}

/* ---- words ---- */

/* Rounds 1 and 2 of a half, from the product of M1 and the block. */
static void first_rounds(emitter *e, const philox_rows *r, unsigned half, cg_val block_low, cg_val block_high, cg_val c[4]) {
    const unsigned n = r->lanes / 2;
    cg_val c0 = xor(e, block_high, wide_load(e, n, prepared_at(e, r, half, ROUND1_C0))), product = multiply(e, n, c0, M0);
    c[0] = xor(e, block_low, wide_load(e, n, prepared_at(e, r, half, ROUND2_C0)));
    c[1] = wide_load(e, n, prepared_at(e, r, half, ROUND2_C1));
    c[2] = xor(e, upper(e, n, product), wide_load(e, n, prepared_at(e, r, half, ROUND2_C2)));
    c[3] = product;
}

static void next_round(emitter *e, unsigned n, cg_val keys, cg_val c[4]) {
    cg_val product0 = multiply(e, n, c[0], M0), product1 = multiply(e, n, c[2], M1);
    c[0] = xor(e, xor(e, upper(e, n, product1), c[1]), key_at(e, n, keys, 0));
    c[1] = product1;
    c[2] = xor(e, xor(e, upper(e, n, product0), c[3]), key_at(e, n, keys, 1));
    c[3] = product0;
}

void philox_words(emitter *e, const philox_rows *rows, cg_val block, cg_val word[PHILOX_WORDS]) {
    const unsigned lanes = rows->lanes, n = lanes / 2;
    cg_val c[2 * 4], product = LLVMBuildMul(e->builder, block, em_int(e, M1), "");
    cg_val high = wide_splat(e, n, LLVMBuildLShr(e->builder, product, em_int(e, 32), "")), low = wide_splat(e, n, product);
    for (unsigned half = 0; half < 2; half++) first_rounds(e, rows, half, low, high, c + 4 * half);
    em_loop rounds;
    em_loop_begin(e, &rounds, em_int(e, 2), em_int(e, ROUNDS), LOOP_ROUNDS, c, 8);
    memcpy(c, rounds.carried, sizeof c);
    for (unsigned i = 0; i < LOOP_ROUNDS; i++) {
        cg_val keys =
            em_at_int(e, em_index(e, rows->numbers->round_keys, rounds.index, ROUND_KEY_BYTES), ROUND_KEY_BYTES * (int64_t)i);
        for (unsigned half = 0; half < 2; half++) next_round(e, n, keys, c + 4 * half);
    }
    em_loop_end(e, &rounds, c);
    memcpy(c, rounds.carried, sizeof c);
    LLVMTypeRef narrow = LLVMVectorType(e->i32, lanes);
    unsigned index[MAX_LANES];
    for (unsigned l = 0; l < lanes; l++) index[l] = l / 4 * 4 + l % 2 * 2 + (l % 4 / 2) * lanes; /* lower words */
    for (unsigned i = 0; i < PHILOX_WORDS; i++) {
        cg_val first = LLVMBuildBitCast(e->builder, c[i], narrow, ""), second = LLVMBuildBitCast(e->builder, c[4 + i], narrow, "");
        word[i] = em_shuffle(e, first, second, lanes, index);
    }
}

cg_val philox_keeps(emitter *e, cg_val word, double rate) {
    cg_val below = em_const_i32(e, em_lanes_of(word), (int32_t)rng_drop_below(rate));
    return LLVMBuildICmp(e->builder, LLVMIntUGE, word, below, "");
}
