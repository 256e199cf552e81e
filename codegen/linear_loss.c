/* What the steps of linear_cross_entropy share; see linear_loss.h. */
#include "codegen/linear_loss.h"

#include <string.h>

#include "codegen/gemm_block.h"
#include "ir/op.h"

#define BLOCK_ROWS 48              /* of the vocabulary: 147 KB of weight at K = 768 */
#define CHUNK_TOKENS 320           /* 960 KB of x at K = 768, which stays in L2 */
#define CHUNK_BYTES (40 * 1000000) /* of exps */
#define SEGMENTS 24                /* threads share them evenly up to 4, and 6, 8, 12, 24 */
#define STRIP_VECTORS 2

static int64_t parts(int64_t n, int64_t of) { return (n + of - 1) / of; }

const ir_node *linear_loss_of(const cg_group *g, const cg_target *target, linear_loss *s) {
    const ir_node *n = group_single(g, OP_linear_cross_entropy);
    if (!n) return NULL;
    const ir_type *x = graph_type(g->graph, n->inputs[0]), *weight = graph_type(g->graph, n->inputs[1]);
    *s = (linear_loss){.labels = graph_type(g->graph, n->inputs[2])->dtype,
                       .bias = node_input(n, 3) != IR_NO_VALUE,
                       .scale = node_input(n, 4) != IR_NO_VALUE,
                       .mean = strcmp(node_string(n, "reduction"), "mean") == 0,
                       .loss = g->stored[n->first_result],
                       .dx = g->stored[node_result(n, 1)],
                       .dweight = g->stored[node_result(n, 2)],
                       .dbias = g->stored[node_result(n, 3)]};
    if (!is_f32_tiles(x) || !is_f32_rows(weight) || em_dtype_bytes(s->labels) == 0) return NULL;
    if (!dim_is_const(weight->dims[0], &s->V) || s->V < 1 || type_features(x) < 1) return NULL;
    s->K = type_features(x);
    s->W = x->tile;
    s->panel = gemm_block_rows(target) < s->V ? gemm_block_rows(target) : s->V;
    s->block = BLOCK_ROWS / s->panel * s->panel;
    s->blocks = parts(s->V, s->block);
    s->chunk = CHUNK_BYTES / 4 / s->V;
    s->chunk = (s->chunk < CHUNK_TOKENS ? s->chunk : CHUNK_TOKENS) / s->W * s->W;
    if (s->chunk < s->W) s->chunk = s->W;
    s->per_segment = parts(s->blocks, SEGMENTS);
    s->segments = parts(s->blocks, s->per_segment);
    s->strip = STRIP_VECTORS * target->vector_bytes / 4;
    s->strips = parts(s->K, s->strip);
    return n;
}

void linear_loss_step(cg_kernel *k, const linear_loss *s, ir_dim n_tokens) {
    kernel_set(k, "V", s->V);
    kernel_set(k, "K", s->K);
    kernel_set(k, "W", s->W);
    kernel_set(k, "panel", s->panel);
    kernel_set(k, "block", s->block);
    kernel_set(k, "blocks", s->blocks);
    kernel_set(k, "chunk", s->chunk);
    kernel_set(k, "segments", s->segments);
    kernel_set(k, "per_segment", s->per_segment);
    kernel_set(k, "strip", s->strip);
    kernel_set(k, "strips", s->strips);
    kernel_set_dtype(k, "labels", s->labels);
    kernel_set(k, "bias", s->bias);
    kernel_set(k, "scale", s->scale);
    kernel_set(k, "mean", s->mean);
    kernel_set(k, "loss", s->loss);
    kernel_set(k, "dx", s->dx);
    kernel_set(k, "dweight", s->dweight);
    kernel_set(k, "dbias", s->dbias);
    kernel_dim(k, n_tokens);
    kernel_dim(k, dim_const(0)); /* the round of the loop */
}

linear_loss linear_loss_read(const cg_kernel *k) {
    return (linear_loss){.V = kernel_get(k, "V"),
                         .K = kernel_get(k, "K"),
                         .W = kernel_get(k, "W"),
                         .panel = kernel_get(k, "panel"),
                         .block = kernel_get(k, "block"),
                         .blocks = kernel_get(k, "blocks"),
                         .chunk = kernel_get(k, "chunk"),
                         .segments = kernel_get(k, "segments"),
                         .per_segment = kernel_get(k, "per_segment"),
                         .strip = kernel_get(k, "strip"),
                         .strips = kernel_get(k, "strips"),
                         .labels = kernel_get_dtype(k, "labels"),
                         .bias = kernel_get(k, "bias"),
                         .scale = kernel_get(k, "scale"),
                         .mean = kernel_get(k, "mean"),
                         .loss = kernel_get(k, "loss"),
                         .dx = kernel_get(k, "dx"),
                         .dweight = kernel_get(k, "dweight"),
                         .dbias = kernel_get(k, "dbias")};
}

unsigned linear_loss_workspace(cg_kernel *k, const cg_group *g, const linear_loss *s, uint32_t number) {
    switch (number) {
    case LOSS_EXPS: return kernel_workspace(k, g, number, s->blocks * s->block * s->chunk);
    case LOSS_TOPS:
    case LOSS_SUMS: return kernel_workspace(k, g, number, s->blocks * s->chunk);
    case LOSS_TOKENS: return kernel_workspace(k, g, number, 3 * s->chunk + 2);
    case LOSS_COLUMNS: return kernel_workspace(k, g, number, s->strips * s->strip * s->chunk);
    default: return kernel_workspace(k, g, number, s->segments * s->chunk * s->K);
    }
}

loss_chunk loss_chunk_emit(emitter *e, const linear_loss *s) {
    cg_val M = em_dim(e, 0), round = em_dim(e, 1), all = em_div_int_up(e, M, s->W);
    cg_val rounds = em_max(e, em_int(e, 1), em_div_int_up(e, M, s->chunk));
    cg_val per_round = em_div(e, em_add(e, all, em_add_int(e, rounds, -1)), rounds);
    loss_chunk c = {.is_first = em_equal(e, round, em_int(e, 0)), .M = M};
    c.first_tile = em_min(e, all, em_mul(e, round, per_round));
    c.n_tiles = em_min(e, per_round, em_sub(e, all, c.first_tile));
    c.first_token = em_mul_int(e, c.first_tile, s->W);
    c.n_tokens = em_max(e, em_int(e, 0), em_min(e, em_sub(e, M, c.first_token), em_mul_int(e, c.n_tiles, s->W)));
    return c;
}

cg_val loss_label_emit(emitter *e, const linear_loss *s, cg_val labels, cg_val r) {
    return em_load_int(e, s->labels, em_index(e, labels, r, em_dtype_bytes(s->labels)));
}

cg_val loss_factor_emit(emitter *e, const linear_loss *s, cg_val labels, cg_val scale, cg_val M) {
    cg_val factor = scale ? em_load(e, 1, scale, 4) : em_const(e, 1, 1), zero = em_int(e, 0);
    if (!s->mean) return factor;
    em_loop rows;
    em_loop_begin(e, &rows, zero, M, 1, &zero, 1);
    cg_val is_none = em_equal(e, loss_label_emit(e, s, labels, rows.index), em_int(e, IR_IGNORED_LABEL));
    cg_val next = em_add(e, rows.carried[0], em_select(e, is_none, zero, em_int(e, 1)));
    em_loop_end(e, &rows, &next);
    cg_val count = em_stack(e, 4, 4);
    em_store_float(e, rows.carried[0], count);
    return em_fdiv(e, factor, em_load(e, 1, count, 4));
}
