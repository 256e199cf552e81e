/*
 * The ops of op_linear_loss.c - a linear over a vocabulary and the loss of its results - as four steps, in a loop over chunks of tokens.
 * The tokens are cut evenly into as few chunks as have at most `chunk` of them; vocabulary rows into blocks, which are the units of the
 * first and, several at a time, of the third step. What the steps hand on to each other is workspace:
 *
 *   loss_exps       per block: logits of its rows, over T, for all tokens of the chunk, from the weight as it lies in memory; their
 *                   largest m and sum of exp(logit - m) for each token, and these exps themselves where gradients are wanted
 *   loss_sums       per tile: log-sum-exp over all blocks in their order, the loss of each token; m becomes the factor with which the
 *                   block's exps are gradients of its logits; x is put into columns
 *   loss_gradients  per segment of blocks: gradients of a block's logits, and from them its rows of dweight and dbias, to which chunks
 *                   add, and its share of dx
 *   loss_results    dx from the shares of all segments in their order; the loss
 *
 * What the student - the linear that learns - is compared with:
 *
 *   labels    one class of each token, its target: loss = log-sum-exp - logit, gradient softmax - 1 at the label
 *   teacher   a linear of its own, whose exps e_t are made beside the student's e_s, with c = sum of exp(t - m_t) (t - s) for each block
 *             and token: KL(softmax(t) || softmax(s)) = sum of p_t (t - s) - log-sum-exp t + log-sum-exp s
 *   likely    k targets of each token, the classes that a teacher finds likeliest, of which its logits are given
 *
 * So each logit is computed once and each exp once, none of them lives longer than its chunk, and no sum depends on the number of
 * threads. The weight is read twice for a chunk, dweight read and written once, a teacher's weight read once.
 */
#ifndef POFAC_CODEGEN_LINEAR_LOSS_H
#define POFAC_CODEGEN_LINEAR_LOSS_H

#include "codegen/kernel.h"

typedef enum loss_kind { LOSS_LABELS, LOSS_TEACHER, LOSS_LIKELY } loss_kind;

typedef struct linear_loss {
    loss_kind kind;
    int64_t V, K, W;
    int64_t teacher_K;                    /* of LOSS_TEACHER */
    int64_t targets;                      /* of each token: 1 label, k likely classes, 0 */
    int64_t panel, block, blocks;         /* rows of a register block, of a block; blocks of the vocabulary */
    int64_t chunk;                        /* tokens at most, whole tiles */
    int64_t segments, per_segment;        /* of blocks */
    int64_t strip, strips;                /* columns of x side by side */
    double temperature;                   /* T; 1 of labels */
    ir_dtype rows;                        /* of what says which rows count: labels, or keep */
    bool some_rows;                       /* there is such a thing */
    bool bias, teacher_bias, scale, mean; /* what the op has */
    bool loss, dx, dweight, dbias;        /* which results are wanted */
} linear_loss;

/* Operands of the node by what they are; IR_NO_VALUE where it has none. */
typedef struct linear_loss_inputs {
    ir_value x, weight, bias, scale;
    ir_value rows;    /* labels or keep */
    ir_value targets; /* labels [M], or ids i32 [M,k] */
    ir_value likely;  /* the ids' logits [M,k] */
    ir_value teacher_x, teacher_weight, teacher_bias;
} linear_loss_inputs;

/* Workspaces, by number, f32. */
enum {
    LOSS_EXPS, /* [blocks][tiles][block][W] */
    LOSS_TOPS, /* [blocks][tiles][W]: m, later the factors of exps */
    LOSS_SUMS, /* [blocks][tiles][W] */
    LOSS_TOKENS, /* [2][chunk]: factor of the gradient, loss; then the sum of losses as f64; then, of each target, its logit, later what
                     its gradient is less by: [chunk targets] */
    LOSS_COLUMNS, /* [strips][tiles][W][strip]: x */
    LOSS_SHARES,  /* [segments][chunk K]: [tiles][K][W] of dx */
    LOSS_TEACHER_EXPS,
    LOSS_TEACHER_TOPS,
    LOSS_TEACHER_SUMS,
    LOSS_CROSS /* [blocks][tiles][W]: c */
};

/* Where parts of LOSS_TOKENS start, in bytes. */
static inline int64_t loss_factors(const linear_loss *s) {
    (void)s;
    return 0;
}
static inline int64_t loss_losses(const linear_loss *s) { return 4 * s->chunk; }
static inline int64_t loss_total(const linear_loss *s) { return 8 * s->chunk; }
static inline int64_t loss_targets(const linear_loss *s) { return 8 * s->chunk + 8; }

/* The node, its operands and its shape, if the group is one that the steps compute; NULL: it is not. */
const ir_node *linear_loss_of(const cg_group *g, const cg_target *target, linear_loss *s, linear_loss_inputs *in);
static inline bool linear_loss_has_gradients(const linear_loss *s) { return s->dx || s->dweight || s->dbias; }

/* Adds an operand where there is one. */
void linear_loss_operand(cg_kernel *k, ir_value v);
/* Sets params and dims of a step: M, and the number of the chunk. */
void linear_loss_step(cg_kernel *k, const linear_loss *s, ir_dim n_tokens);
linear_loss linear_loss_read(const cg_kernel *k);
unsigned linear_loss_workspace(cg_kernel *k, const cg_group *g, const linear_loss *s, uint32_t number);

/* The chunk at hand. */
typedef struct loss_chunk {
    cg_val is_first; /* i1 */
    cg_val first_tile, n_tiles;
    cg_val first_token, n_tokens; /* n_tokens <= n_tiles W: the last tile may have lanes without one */
    cg_val M;
} loss_chunk;
loss_chunk loss_chunk_emit(emitter *e, const linear_loss *s);

/* What losses are multiplied with: scale, over the number of labels where the loss is a mean; an f32. rows: of all M rows. */
cg_val loss_factor_emit(emitter *e, const linear_loss *s, cg_val rows, cg_val scale, cg_val M);

/* Does row r count for nothing? An i1. rows may be NULL. */
cg_val loss_left_out_emit(emitter *e, const linear_loss *s, cg_val rows, cg_val r);

/* Target number i of all rows, an i64. */
cg_val loss_target_emit(emitter *e, const linear_loss *s, cg_val targets, cg_val i);

/* Rows of the vocabulary that a block has. */
typedef struct loss_block {
    cg_val number, row0, n_rows;
} loss_block;
loss_block loss_block_emit(emitter *e, const linear_loss *s, cg_val number);

/* Emits `found` for each target, of the chunk's tokens [begin, end), that is a row of the block: its number in the chunk, its token
 * and the row in the block are values. */
typedef void (*loss_found_fn)(emitter *e, const void *code, cg_val target, cg_val token, cg_val row);
void loss_find_targets_emit(emitter *e, const linear_loss *s, const loss_chunk *c, const loss_block *b, cg_val targets,
                            cg_val begin, cg_val end, loss_found_fn found, const void *code);

#endif
