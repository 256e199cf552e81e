/*
 * The random words of dropout (ir/ops/op_random.c) on vectors of rows: Philox4x32-10 (Salmon et al., SC 2011), bit for bit the one of
 * ir/support/rng.h. Lanes are rows, each with a key of its own; one block gives four words a lane, those of four columns that follow
 * each other, which tiles have in four vectors.
 */
#ifndef POFAC_CODEGEN_PHILOX_H
#define POFAC_CODEGEN_PHILOX_H

#include "codegen/llvm_emit.h"

#define PHILOX_WORDS 4 /* columns of a block */

/* What a step's numbers have in common. */
typedef struct philox {
    cg_val round_keys; /* in the function's frame: u64 [10][2] */
    cg_val step;       /* its lower 32 bits, as i64 */
} philox;

/* `random`: address of the seed and the step, i64 each; stream: i64 below 2^32, a number of the run (a dim), so that all places of a
 * model share code. Once per function, outside of loops. */
philox philox_begin(emitter *e, cg_val random, cg_val stream);

/* Some rows side by side: a multiple of 4. */
typedef struct philox_rows {
    const philox *numbers;
    unsigned lanes;
    cg_val prepared; /* what the rounds make of the rows alone: PHILOX_ROOM bytes, aligned to 64 */
} philox_rows;

/* Rows row .. row + lanes (a value); those past the last of the n_rows (a value, not 0) are taken as the last. keys: i64 [n_rows]. */
philox_rows philox_rows_begin(emitter *e, const philox *p, unsigned lanes, cg_val keys, cg_val row, cg_val n_rows);

/* The same with memory of the caller's for what is prepared: later on { numbers, lanes, room } are the rows. */
#define PHILOX_ROOM(lanes) (32 * (int64_t)(lanes))
philox_rows philox_rows_at(emitter *e, const philox *p, unsigned lanes, cg_val room, cg_val keys, cg_val row, cg_val n_rows);

/* Words of columns PHILOX_WORDS * block + 0 .. 3 as i32, for each lane. block: i64, below 2^32. */
void philox_words(emitter *e, const philox_rows *rows, cg_val block, cg_val word[PHILOX_WORDS]);

/* A mask of the lanes whose element dropout keeps: those whose word is at least rng_drop_below of the rate. */
cg_val philox_keeps(emitter *e, cg_val word, double rate);

#endif
