/*
 * Scores of attention in integers, where queries and keys are results of products in 8 bits that were requantized (int8_epilogue.h): then they are
 * bytes times a scale, and a score is a sum of products of bytes times both scales - the same number, more exactly, with a quarter of the
 * multiplications.
 *
 * (q - Q) (k - K) summed over the features, Q and K the zero points: products of q, u8, with k - 128, s8, less Q times the sum of k - 128 over the
 * key, plus 128 - K times the sum of q - Q over the query.
 */
#ifndef POFAC_CODEGEN_ATTENTION_BYTES_H
#define POFAC_CODEGEN_ATTENTION_BYTES_H

#include "codegen/attention_tiles.h"

/* Behind attention_describe: adds the ranges of queries and keys as operands, where both are such results and the target has CG_DOT_U8S8. True if
 * so. */
bool attention_bytes_describe(const cg_group *g, const cg_target *target, cg_kernel *k);

/* Bytes of scratch for each key, and for W of them and all queries besides. */
int64_t attention_bytes_per_key(int64_t D);
int64_t attention_bytes_besides(int64_t D, int64_t W, unsigned lanes);

typedef struct attention_bytes {
    cg_val keys;      /* s8 [tiles][D/4][W][4], lanes as c->keys has them */
    cg_val key_terms; /* i32 [tiles][W]: what a score has of its key alone */
    cg_val query;     /* u8 [D/4][lanes of the part][4] */
    cg_val ranges[2]; /* of queries, of keys */
} attention_bytes;

/* The keys of the unit at hand (attention_place_keys) into scratch, at a multiple of a vector's bytes. operand: the kernel's. */
attention_bytes attention_bytes_place(emitter *e, const attention_code *c, const cg_val *operand, cg_val scratch);

/* As attention_scores of c->keys, x: [D][W] at the part's lane. */
void attention_bytes_scores(emitter *e, const attention_code *c, const query_part *p, const attention_bytes *b, cg_val x,
                            double factor, cg_val to);

#endif
