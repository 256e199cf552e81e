/*
 * linear_cross_entropy (ir/ops/op_linear_loss.c) as four steps, in a loop over chunks of tokens. The tokens are cut evenly into as few
 * chunks as have at most `chunk` of them; vocabulary rows into blocks, which are the units of the first and, several at a time, of the
 * third step. What the steps hand on to each other is workspace:
 *
 *   loss_exps       per block: logits of its rows for all tokens of the chunk, from the weight as it lies in memory; their largest m and
 *                   sum of exp(logit - m) for each token, and these exps themselves where gradients are wanted
 *   loss_sums       per tile: log-sum-exp over all blocks in their order, the loss of each token; m becomes the factor with which the
 *                   block's exps are gradients of its logits; x is put into columns
 *   loss_gradients  per segment of blocks: gradients of a block's logits, and from them its rows of dweight and dbias, to which chunks
 *                   add, and its share of dx
 *   loss_results    dx from the shares of all segments in their order; the loss
 *
 * So each logit is computed once and each exp once, none of them lives longer than its chunk, and no sum depends on the number of
 * threads. The weight is read twice for a chunk, dweight read and written once.
 */
#ifndef POFAC_CODEGEN_LINEAR_LOSS_H
#define POFAC_CODEGEN_LINEAR_LOSS_H

#include "codegen/kernel.h"

typedef struct linear_loss {
    int64_t V, K, W;
    int64_t panel, block, blocks;  /* rows of a register block, of a block; blocks of the vocabulary */
    int64_t chunk;                 /* tokens at most, whole tiles */
    int64_t segments, per_segment; /* of blocks */
    int64_t strip, strips;         /* columns of x side by side */
    ir_dtype labels;
    bool bias, scale, mean;        /* what the op has */
    bool loss, dx, dweight, dbias; /* which results are wanted */
} linear_loss;

/* Workspaces, by number, f32. */
enum {
    LOSS_EXPS,    /* [blocks][tiles][block][W] */
    LOSS_TOPS,    /* [blocks][tiles][W]: m, later the factors of exps */
    LOSS_SUMS,    /* [blocks][tiles][W] */
    LOSS_TOKENS,  /* [3][chunk]: logit of the label, factor of the gradient, loss; then the sum of losses as f64 */
    LOSS_COLUMNS, /* [strips][tiles][W][strip]: x */
    LOSS_SHARES   /* [segments][chunk K]: [tiles][K][W] of dx */
};

/* Where rows of LOSS_TOKENS start, in bytes. */
static inline int64_t loss_logits(const linear_loss *s) {
    (void)s;
    return 0;
}
static inline int64_t loss_factors(const linear_loss *s) { return 4 * s->chunk; }
static inline int64_t loss_losses(const linear_loss *s) { return 8 * s->chunk; }
static inline int64_t loss_total(const linear_loss *s) { return 12 * s->chunk; }

/* The node and its shape, if the group is one that the steps compute; NULL: it is not. */
const ir_node *linear_loss_of(const cg_group *g, const cg_target *target, linear_loss *s);
static inline bool linear_loss_has_gradients(const linear_loss *s) { return s->dx || s->dweight || s->dbias; }

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

/* What losses are multiplied with: scale, over the number of labels where the loss is a mean; an f32. labels: of all M rows. */
cg_val loss_factor_emit(emitter *e, const linear_loss *s, cg_val labels, cg_val scale, cg_val M);

/* The label of row r, an i64. */
cg_val loss_label_emit(emitter *e, const linear_loss *s, cg_val labels, cg_val r);

#endif
