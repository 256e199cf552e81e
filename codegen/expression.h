/*
 * Elementwise expressions: what a group of elementwise ops computes for one vector of elements, apart from where the elements come
 * from. Kernels that end in elementwise work
 * (linear), or are nothing else, hold one and emit it in line.
 */
#ifndef POFAC_CODEGEN_EXPRESSION_H
#define POFAC_CODEGEN_EXPRESSION_H

#include "codegen/fake_quantize.h"
#include "codegen/philox.h"

#define EXPRESSION_MAX_INPUTS 12
#define EXPRESSION_MAX_OPS 16
#define EXPRESSION_MAX_STORES 6

typedef enum cg_source {
    SOURCE_COMPUTED, /* what the kernel has computed itself */
    SOURCE_FULL,     /* a tensor of the result's shape */
    SOURCE_FEATURE,  /* [E]: one number for each feature */
    SOURCE_SCALAR,   /* [] */
    SOURCE_RANDOM,   /* which elements a dropout keeps, in tiles; operands: keys [R], and of the expression `random` [2] */
    SOURCE_RANGE     /* what fake_quantize and its gradient quantize by: [2] */
} cg_source;

/* Values are numbered: inputs first, then the results of ops. */
typedef struct cg_expression {
    unsigned n_inputs, n_ops, n_stores;
    struct { /* of the one dropout that an expression may have, where `used` */
        bool used;
        unsigned input, random; /* its input of SOURCE_RANDOM; operand */
        unsigned stream;        /* dim */
        int64_t stream_number;  /* which becomes that dim; not part of the key */
        double rate;
    } dropout;
    struct {
        cg_source source;
        unsigned operand; /* of the kernel; SOURCE_COMPUTED: which one */
        ir_value value;   /* not part of the key */
        struct {
            bool symmetric, counted; /* counted: by the number of the run, */
            unsigned forward;        /* an operand, */
            int64_t begin;           /* from this number on */
        } range;                     /* of SOURCE_RANGE */
    } inputs[EXPRESSION_MAX_INPUTS];
    struct {
        ir_op op;
        bool tanh_form; /* of gelu */
        unsigned a, b, c;
        ir_value value; /* not part of the key */
    } ops[EXPRESSION_MAX_OPS];
    struct {
        unsigned value, operand;
    } stores[EXPRESSION_MAX_STORES];
} cg_expression;

/* Does it need what expression_begin makes? Kernels that do not call that take none of these. */
bool expression_has_setup(const cg_expression *x);

/* Can the op stand in an expression? */
bool expression_takes(ir_op op);

/* The number of an IR value in the expression, or -1. */
int expression_find(const cg_expression *x, ir_value v);

/* "v0=computed v1=full:2 v2=add(v0,v1) store:4=v2" */
void expression_print(const cg_expression *x, strbuf *out);

/* value[n_inputs ..] from value[0 .. n_inputs): vectors of one size; of SOURCE_RANGE, what expression_begin has made. value has room for all. */
#define EXPRESSION_MAX_VALUES (EXPRESSION_MAX_INPUTS + EXPRESSION_MAX_OPS)
void expression_emit(emitter *e, const cg_expression *x, cg_val value[EXPRESSION_MAX_VALUES]);

/* What a function's expression makes once: random numbers, and what ranges give. */
typedef struct expression_random {
    philox numbers;
    cg_val rows;                          /* [W / lanes] of what philox_rows_at prepares of the tile at hand */
    cg_val words;                         /* u32 [PHILOX_WORDS][W], of as many features */
    cg_val ranges[EXPRESSION_MAX_INPUTS]; /* of inputs of SOURCE_RANGE (fake_quantize.h) */
} expression_random;

/* Part of a tile: features [row0, row0 + n_rows) of its live lanes (tile_live_lanes in kernel.h), vectors of `lanes`. */
typedef struct expression_tile {
    const cg_expression *expression;
    const cg_val *operand; /* pointers to the kernel's operands */
    int64_t width;         /* W */
    unsigned lanes;
    cg_val live;                     /* lanes to compute, a multiple of `lanes`; NULL: all W */
    cg_val computed;                 /* [n_rows][W] f32: the one computed input, or NULL */
    cg_val bias;                     /* [E], added to the computed input, or NULL */
    const expression_random *random; /* where the expression has something to set up; and with dropout: */
    cg_val token, n_tokens;          /* the row of its first lane, all rows */
    int64_t bytes_ahead; /* so far ahead full inputs and results are fetched into L2, where they come from memory; 0: not at all */
} expression_tile;

/* Once per function, outside of loops: what expressions with dropout or ranges need; nothing for others. */
void expression_begin(emitter *e, const cg_expression *x, const cg_val *operand, int64_t width, unsigned lanes,
                      expression_random *random);
/* Once per tile, before parts of it are computed. */
void expression_begin_tile(emitter *e, const expression_tile *t);

/* Computes and stores the part. first: where it starts in the operands, in rows of W numbers. */
void expression_emit_tile(emitter *e, const expression_tile *t, cg_val first, cg_val row0, cg_val n_rows);

/* What is the same for all tokens of a feature. */
typedef struct expression_row {
    cg_val feature[EXPRESSION_MAX_INPUTS], bias;
    cg_val words; /* [W] of the feature */
} expression_row;

/* The same vector by vector, of expressions without dropout: the row of feature `feature`, then its vectors. index: of the row in `computed`. part, at: bytes into
 * the row and into full operands. value: all that is computed. */
void expression_begin_row(emitter *e, const expression_tile *t, cg_val feature, expression_row *row);
void expression_emit_vector(emitter *e, const expression_tile *t, const expression_row *row, cg_val index, cg_val part, cg_val at,
                            cg_val value[EXPRESSION_MAX_VALUES]);

#endif
