/*
 * What attention and its gradient share in tiles<W>: where keys of a ragged sequence lie, walks over tiles of queries, the two products
 * between them, and dropout of probabilities.
 *
 * One unit is one (sequence, head). Queries are lanes; keys and values are broadcast, so that products are the register block of linear
 * layers and sums over keys run down the lanes without horizontal work. K and V of the head are read where they lie, from the lane at which
 * the sequence starts, if the n kept keys come first in it; else the kept ones are packed into scratch as tiles [ceil(n/W)][D][W]. The order
 * of all sums depends on the kept keys alone, not on where the sequence lies in the batch.
 *
 * A tile's rows may belong to several sequences: a unit computes the vectors that its own rows need and stores its own lanes only, with
 * masked stores where a part has others; the last sequence also owns the lanes past the last row, in its vector.
 *
 * Queries may have rows of their own, told apart by query_offsets: then tiles of queries and lanes are theirs. Where they have none, those
 * are the offsets of the keys.
 */
#ifndef POFAC_CODEGEN_ATTENTION_TILES_H
#define POFAC_CODEGEN_ATTENTION_TILES_H

#include "codegen/gemm_block.h"
#include "codegen/kernel.h"
#include "codegen/philox.h"

#define PART_VECTORS 2  /* vectors of queries side by side, at most */
#define MAX_KEY_ROWS 16 /* height of a block of keys, at most */
#define ATTENTION_UNROLL 4

/* ---- for describe ---- */

/* Where the optional inputs of the node are. */
typedef struct attention_operands {
    uint32_t keep, query_offsets, keys, random;
} attention_operands;

/* q, k, v, offsets (inputs 0 to 3 of the node) and the optional inputs as operands, dims (B, R of the keys, R of the queries, [stream]), parameters,
 * and units. False where there is no kernel for their types. */
bool attention_describe(const cg_group *g, const cg_target *target, const attention_operands *at, cg_kernel *k);

/* The longest that a sequence of keys can be. */
ir_dim attention_longest(const cg_group *g);

/* ---- for emit ---- */

typedef struct attention_code {
    const cg_kernel *kernel;
    int64_t H, D, W;
    unsigned lanes;
    cg_val q, k, v, offsets, keep, query_offsets, n_rows, n_query_rows; /* keep: NULL: all */
    cg_val random_keys;                                                 /* of the queries, i64; NULL: no dropout */
    philox numbers;
    double rate, kept_scale;   /* 1 / (1 - rate), of what dropout keeps */
    cg_val packed_k, packed_v; /* scratch, attention_packed_bytes */
    /* of the unit at hand */
    cg_val head, first, end; /* rows [first, end) of the sequence */
    cg_val query_first, query_end;
    cg_val n, last_kept;                            /* kept keys; the last one's place in the sequence, plus 1 */
    cg_val keys, values, key_tile_step, first_lane; /* key j is in lane (first_lane + j) % W of tile (first_lane + j) / W */
} attention_code;

/* Some vectors of a tile of queries. */
typedef struct query_part {
    unsigned vectors;
    cg_val tile, lane;         /* where it starts */
    cg_val own_begin, own_end; /* lanes of the tile that are rows of the unit's sequence */
    cg_val scores;             /* numbers of key j for its queries: scores + j * score_step */
    int64_t score_step;        /* bytes */
} query_part;

/* The kernel's operands, and what all units share. operand: [KERNEL_MAX_OPERANDS]. */
void attention_begin(emitter *e, const cg_kernel *k, attention_code *c, cg_val *operand);

/* The loop over units: `unit` is called with head, rows and kept keys of one. Scratch behind what attention_begin leaves is laid out by it,
 * and keys are placed by attention_place_keys. */
typedef void (*attention_unit_fn)(emitter *e, attention_code *c, void *user);
void attention_units(emitter *e, attention_code *c, attention_unit_fn unit, void *user);
/* The same for units [begin, end). */
void attention_units_between(emitter *e, attention_code *c, cg_val begin, cg_val end, attention_unit_fn unit, void *user);

/* The sequence's keys rounded up to whole tiles: what scratch is made for. */
cg_val attention_key_room(emitter *e, const attention_code *c);

/* packed_k and packed_v get [room][D] at `scratch`, where keys may have to be packed; keys and values. */
void attention_place_keys(emitter *e, attention_code *c, cg_val scratch);

/* The tiles that keys lie in, as a loop: lanes [begin, end) of one, and the number of the key in lane 0, which may be negative. */
typedef struct key_tiles {
    em_loop loop; /* over the tiles' first lanes, W a round */
    cg_val begin, end, key0, offset;
} key_tiles;
void attention_key_tiles_begin(emitter *e, const attention_code *c, key_tiles *k, const cg_val *initial, unsigned n_carried);

/* 1 where row `row` is kept, else 0. */
cg_val attention_load_keep(emitter *e, const attention_code *c, cg_val row);

/* The head's part of tile t. */
cg_val attention_head_of_tile(emitter *e, const attention_code *c, cg_val base, cg_val t);

/* Address of vector v of the part in a tensor [R,H]. */
cg_val attention_row_number(emitter *e, const attention_code *c, const query_part *p, cg_val base, unsigned v);

/* Fetches into L2 what the next head has in the part's tile of `n` tensors [R,H D], a part for each key of each part of queries: a head's
 * rows stand apart from the next one's of the same tensor, in too many places for a processor to foresee. */
void attention_fetch_next_head(emitter *e, const attention_code *c, const query_part *p, cg_val key, const cg_val *tensors,
                               unsigned n);

/* The loop over the sequence's tiles of queries. */
typedef struct query_tiles {
    em_if any;
    em_loop loop;
    query_part tile; /* without vectors, lane and scores */
} query_tiles;
void attention_query_tiles_begin(emitter *e, const attention_code *c, query_tiles *tiles);
void attention_query_tiles_end(emitter *e, query_tiles *tiles);

/* Calls `part` for code of the tile's lanes from `begin` on, which is own_begin or some lanes before: pairs of vectors while more than one
 * vector is left, then one. A part moves back where it would reach past the tile, so lanes may occur twice unless `begin` is a multiple of
 * the lanes of a vector. */
typedef void (*query_part_fn)(emitter *e, const attention_code *c, query_part *p, void *user);
void attention_query_parts(emitter *e, const attention_code *c, const query_part *tile, cg_val begin, query_part_fn part,
                           void *user);

/* Lanes of vector v that are rows of the unit's sequence. */
cg_val attention_own_lanes(emitter *e, const attention_code *c, const query_part *p, unsigned v);

/* to[j] = factor sum_d keys[d][j] x[d] for the kept keys j, in the form of p->scores, and for some before the first and after the last.
 * keys: c->keys or c->values; x: [D][W] at the part's lane. */
void attention_scores(emitter *e, const attention_code *c, const query_part *p, cg_val keys, cg_val x, double factor, cg_val to);

/* result[d] = factor[v] sum_j keys[d][j] from[j] into the own lanes of the part; from: in the form of p->scores; factor: NULL: 1. */
void attention_combine(emitter *e, const attention_code *c, const query_part *p, cg_val keys, cg_val from, const cg_val *factor,
                       cg_val result);
/* Zeros instead. */
void attention_clear(emitter *e, const attention_code *c, const query_part *p, cg_val result);

/* Dropout of the probabilities at p->scores for `vectors` (a value) vectors of queries from p->lane on, in place: what it drops becomes 0 or,
 * where `sign`, negative (or -0). Its code is large: once for a kernel, or for a width of parts. */
void attention_drop(emitter *e, const attention_code *c, const query_part *p, cg_val vectors, bool sign);

cg_val attention_score(emitter *e, const attention_code *c, const query_part *p, cg_val base, cg_val j,
                       unsigned v); /* its address */

#endif
