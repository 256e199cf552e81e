/*
 * Sums over queries for each key, in the gradients of attention:  sum[j] += sum_i P[j][i] X[i],  where P has a column for each query of a
 * tile and X[i] is the query's row of features. There may be two kinds of them.
 *
 * Features are lanes: the rows X of a tile of queries are transposed, not P. Sums stay in scratch over all queries in their order,
 * whatever tiles they lie in; at the end they are transposed into the sequence's rows. With a mask, those of the kept keys move to their
 * places first, and the others get zeros.
 */
#ifndef POFAC_CODEGEN_ATTENTION_KEY_SUMS_H
#define POFAC_CODEGEN_ATTENTION_KEY_SUMS_H

#include "codegen/attention_tiles.h"

#define KEY_SUMS_MOST 2

/* What is one of a kind lies in scratch behind what is of the kind before, `.._bytes` further. */
typedef struct key_sums {
    unsigned n;                   /* kinds, 1 or 2 */
    cg_val source[KEY_SUMS_MOST]; /* of X: an operand like q */
    cg_val result[KEY_SUMS_MOST]; /* an operand like k; NULL: nobody wants it, or that kind */
    /* from key_sums_begin on */
    int64_t features; /* bytes of a row of features */
    cg_val scores,
        scores_bytes; /* P, always two: rows of 4 W bytes, of key j from scores + 4 W j on, also for some keys before and after */
    cg_val sums, sums_bytes;   /* rows of `features` bytes */
    cg_val sides, sides_bytes; /* X of a tile of queries, [W] rows of features */
} key_sums;

/* Bytes of scratch, with what attention_place_keys needs; S: the longest sequence; packed: there is a mask. */
ir_dim key_sums_scratch(ir_dim S, int64_t D, int64_t W, unsigned lanes, bool packed, unsigned n, bool *ok);

/* The unit's scratch: places keys, and clears the sums if a result is wanted. */
void key_sums_begin(emitter *e, attention_code *c, key_sums *k);

/* The lane at which the tile's own queries begin, rounded down to whole vectors: P must hold finite numbers from there on. */
cg_val key_sums_lanes(emitter *e, const attention_code *c, const query_part *tile);

/* Adds those of a tile of queries. */
void key_sums_add(emitter *e, const attention_code *c, const key_sums *k, const query_part *tile);

void key_sums_store(emitter *e, const attention_code *c, const key_sums *k);

#endif
