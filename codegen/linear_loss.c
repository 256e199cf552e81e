/* What the steps of losses over a vocabulary share; see linear_loss.h. */
#include "codegen/linear_loss.h"

#include <string.h>

#include "codegen/gemm_block.h"
#include "ir/op.h"

#define BLOCK_ROWS 48                      /* of the vocabulary: 147 KB of weight at K = 768 */
#define CHUNK_TOKENS 320                   /* 960 KB of x at K = 768, which stays in L2 */
#define CHUNK_BYTES (40 * 1000000)         /* of exps */
#define TEACHER_CHUNK_BYTES (48 * 1000000) /* of both */
#define SEGMENTS 24                        /* threads share them evenly up to 4, and 6, 8, 12, 24 */
#define STRIP_VECTORS 2

static int64_t parts(int64_t n, int64_t of) { return (n + of - 1) / of; }

/* Operands of the three ops. */
static bool find_inputs(const cg_group *g, linear_loss_inputs *in, loss_kind *kind) {
    const ir_node *n = g->n_nodes == 1 ? group_node(g, 0) : NULL;
    if (!n) return false;
    *in = (linear_loss_inputs){.x = node_input(n, 0), .weight = node_input(n, 1), .targets = IR_NO_VALUE, .likely = IR_NO_VALUE};
    in->teacher_x = in->teacher_weight = in->teacher_bias = IR_NO_VALUE;
    switch (n->op) {
    case OP_linear_cross_entropy:
        *kind = LOSS_LABELS;
        in->rows = in->targets = node_input(n, 2);
        in->bias = node_input(n, 3);
        in->scale = node_input(n, 4);
        return true;
    case OP_linear_kl_divergence:
        *kind = LOSS_TEACHER;
        in->teacher_x = node_input(n, 2);
        in->teacher_weight = node_input(n, 3);
        in->bias = node_input(n, 4);
        in->teacher_bias = node_input(n, 5);
        in->rows = node_input(n, 6);
        in->scale = node_input(n, 7);
        return true;
    case OP_linear_soft_cross_entropy:
        *kind = LOSS_LIKELY;
        in->targets = node_input(n, 2);
        in->likely = node_input(n, 3);
        in->bias = node_input(n, 4);
        in->rows = node_input(n, 5);
        in->scale = node_input(n, 6);
        return true;
    default: return false;
    }
}

/* What follows from the other numbers. */
static void count_parts(linear_loss *s) {
    s->blocks = parts(s->V, s->block);
    s->per_segment = parts(s->blocks, SEGMENTS);
    s->segments = parts(s->blocks, s->per_segment);
    s->strips = parts(s->K, s->strip);
}

/* Sizes of a loss whose V, K and W are known. */
static void choose_sizes(const cg_target *target, linear_loss *s) {
    const int64_t bytes = s->kind == LOSS_TEACHER ? TEACHER_CHUNK_BYTES / 2 : CHUNK_BYTES;
    s->panel = gemm_block_rows(target) < s->V ? gemm_block_rows(target) : s->V;
    s->block = BLOCK_ROWS / s->panel * s->panel;
    s->chunk = bytes / 4 / s->V;
    s->chunk = (s->chunk < CHUNK_TOKENS ? s->chunk : CHUNK_TOKENS) / s->W * s->W;
    if (s->chunk < s->W) s->chunk = s->W;
    s->strip = STRIP_VECTORS * target->vector_bytes / 4;
    count_parts(s);
}

/* Is the teacher's linear one that the steps compute, in tiles like the student's? */
static bool takes_teacher(const ir_graph *g, const linear_loss_inputs *in, linear_loss *s) {
    const ir_type *x = graph_type(g, in->teacher_x);
    s->teacher_K = type_features(x);
    return is_f32_tiles(x) && x->tile == s->W && s->teacher_K > 0 && is_f32_rows(graph_type(g, in->teacher_weight));
}

static bool takes_targets(const ir_graph *g, const linear_loss_inputs *in, linear_loss *s) {
    s->targets = s->kind == LOSS_LABELS ? 1 : type_features(graph_type(g, in->targets));
    return s->targets > 0 && (s->kind == LOSS_LABELS || is_f32_rows(graph_type(g, in->likely)));
}

const ir_node *linear_loss_of(const cg_group *g, const cg_target *target, linear_loss *s, linear_loss_inputs *in) {
    loss_kind kind;
    if (!find_inputs(g, in, &kind)) return NULL;
    const ir_node *n = group_node(g, 0);
    const ir_type *x = graph_type(g->graph, in->x), *weight = graph_type(g->graph, in->weight);
    *s = (linear_loss){.kind = kind,
                       .temperature = kind == LOSS_LABELS ? 1 : node_float(n, "temperature"),
                       .rows = in->rows != IR_NO_VALUE ? graph_type(g->graph, in->rows)->dtype : IR_I64,
                       .some_rows = in->rows != IR_NO_VALUE,
                       .bias = in->bias != IR_NO_VALUE,
                       .teacher_bias = in->teacher_bias != IR_NO_VALUE,
                       .scale = in->scale != IR_NO_VALUE,
                       .mean = kind == LOSS_LABELS && strcmp(node_string(n, "reduction"), "mean") == 0,
                       .loss = g->stored[n->first_result],
                       .dx = g->stored[node_result(n, 1)],
                       .dweight = g->stored[node_result(n, 2)],
                       .dbias = g->stored[node_result(n, 3)]};
    if (!is_f32_tiles(x) || !is_f32_rows(weight) || em_dtype_bytes(s->rows) == 0) return NULL;
    if (!dim_is_const(weight->dims[0], &s->V) || s->V < 1 || type_features(x) < 1) return NULL;
    s->K = type_features(x);
    s->W = x->tile;
    if (kind == LOSS_TEACHER ? !takes_teacher(g->graph, in, s) : !takes_targets(g->graph, in, s)) return NULL;
    choose_sizes(target, s);
    return n;
}

void linear_loss_operand(cg_kernel *k, ir_value v) {
    if (v != IR_NO_VALUE) kernel_operand(k, v);
}

void linear_loss_step(cg_kernel *k, const linear_loss *s, ir_dim n_tokens) {
    kernel_set(k, "kind", s->kind);
    kernel_set(k, "V", s->V);
    kernel_set(k, "K", s->K);
    kernel_set(k, "W", s->W);
    kernel_set(k, "teacher_K", s->teacher_K);
    kernel_set(k, "targets", s->targets);
    kernel_set(k, "panel", s->panel);
    kernel_set(k, "block", s->block);
    kernel_set(k, "chunk", s->chunk);
    kernel_set(k, "strip", s->strip);
    kernel_set_real(k, "temperature", s->temperature);
    kernel_set_dtype(k, "rows", s->rows);
    kernel_set(k, "some_rows", s->some_rows);
    kernel_set(k, "bias", s->bias);
    kernel_set(k, "teacher_bias", s->teacher_bias);
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
    linear_loss s = {.kind = (loss_kind)kernel_get(k, "kind"),
                     .V = kernel_get(k, "V"),
                     .K = kernel_get(k, "K"),
                     .W = kernel_get(k, "W"),
                     .teacher_K = kernel_get(k, "teacher_K"),
                     .targets = kernel_get(k, "targets"),
                     .panel = kernel_get(k, "panel"),
                     .block = kernel_get(k, "block"),
                     .chunk = kernel_get(k, "chunk"),
                     .strip = kernel_get(k, "strip"),
                     .temperature = kernel_get_real(k, "temperature"),
                     .rows = kernel_get_dtype(k, "rows"),
                     .some_rows = kernel_get(k, "some_rows"),
                     .bias = kernel_get(k, "bias"),
                     .teacher_bias = kernel_get(k, "teacher_bias"),
                     .scale = kernel_get(k, "scale"),
                     .mean = kernel_get(k, "mean"),
                     .loss = kernel_get(k, "loss"),
                     .dx = kernel_get(k, "dx"),
                     .dweight = kernel_get(k, "dweight"),
                     .dbias = kernel_get(k, "dbias")};
    count_parts(&s);
    return s;
}

unsigned linear_loss_workspace(cg_kernel *k, const cg_group *g, const linear_loss *s, uint32_t number) {
    switch (number) {
    case LOSS_EXPS:
    case LOSS_TEACHER_EXPS: return kernel_workspace(k, g, number, dim_const(s->blocks * s->block * s->chunk));
    case LOSS_TOKENS: return kernel_workspace(k, g, number, dim_const((2 + s->targets) * s->chunk + 2));
    case LOSS_COLUMNS: return kernel_workspace(k, g, number, dim_const(s->strips * s->strip * s->chunk));
    case LOSS_SHARES: return kernel_workspace(k, g, number, dim_const(s->segments * s->chunk * s->K));
    default: return kernel_workspace(k, g, number, dim_const(s->blocks * s->chunk)); /* tops, sums, cross */
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

cg_val loss_factor_emit(emitter *e, const linear_loss *s, cg_val rows, cg_val scale, cg_val M) {
    cg_val factor = scale ? em_load(e, 1, scale, 4) : em_const(e, 1, 1), zero = em_int(e, 0);
    if (!s->mean) return factor;
    em_loop loop;
    em_loop_begin(e, &loop, zero, M, 1, &zero, 1);
    cg_val next = em_add(e, loop.carried[0], em_select(e, loss_left_out_emit(e, s, rows, loop.index), zero, em_int(e, 1)));
    em_loop_end(e, &loop, &next);
    cg_val count = em_stack(e, 4, 4);
    em_store_float(e, loop.carried[0], count);
    return em_fdiv(e, factor, em_load(e, 1, count, 4));
}

cg_val loss_left_out_emit(emitter *e, const linear_loss *s, cg_val rows, cg_val r) {
    if (!s->some_rows) return em_less(e, r, em_int(e, 0));
    cg_val row = em_load_int(e, s->rows, em_index(e, rows, r, em_dtype_bytes(s->rows)));
    return em_equal(e, row, em_int(e, s->kind == LOSS_LABELS ? IR_IGNORED_LABEL : 0));
}

cg_val loss_target_emit(emitter *e, const linear_loss *s, cg_val targets, cg_val i) {
    const ir_dtype dtype = s->kind == LOSS_LABELS ? s->rows : IR_I32;
    return em_load_int(e, dtype, em_index(e, targets, i, em_dtype_bytes(dtype)));
}

loss_block loss_block_emit(emitter *e, const linear_loss *s, cg_val number) {
    loss_block b = {.number = number, .row0 = em_mul_int(e, number, s->block)};
    b.n_rows = em_min(e, em_int(e, s->block), em_sub(e, em_int(e, s->V), b.row0));
    return b;
}

/* What loss_find_targets_emit looks for, and where: targets are those of the chunk's first token on. */
typedef struct target_search {
    const linear_loss *s;
    const loss_block *block;
    cg_val targets;
    loss_found_fn found;
    const void *code;
} target_search;

/* One by one, targets [begin, end). */
static void emit_each_target(emitter *e, const target_search *t, cg_val begin, cg_val end) {
    em_loop loop;
    em_if here;
    em_loop_begin(e, &loop, begin, end, 1, NULL, 0);
    cg_val row = em_sub(e, loss_target_emit(e, t->s, t->targets, loop.index), t->block->row0);
    em_if_begin(e, &here, em_and(e, em_less(e, em_int(e, -1), row), em_less(e, row, t->block->n_rows)));
    t->found(e, t->code, loop.index, em_div_int(e, loop.index, t->s->targets), row);
    em_if_end(e, &here);
    em_loop_end(e, &loop, NULL);
}

/* Few of many targets are in a block: they are looked at a vector at a time. */
void loss_find_targets_emit(emitter *e, const linear_loss *s, const loss_chunk *c, const loss_block *b, cg_val targets,
                            cg_val begin, cg_val end, loss_found_fn found, const void *code) {
    const int64_t bytes = s->kind == LOSS_LABELS ? em_dtype_bytes(s->rows) : 4;
    const target_search t = {s, b, em_index(e, targets, em_mul_int(e, c->first_token, s->targets), bytes), found, code};
    cg_val first = em_mul_int(e, begin, s->targets), last = em_mul_int(e, end, s->targets);
    if (s->kind == LOSS_LABELS) {
        emit_each_target(e, &t, first, last);
        return;
    }
    em_loop vectors;
    em_if some;
    cg_val count = em_sub(e, last, first), whole = em_add(e, first, em_mul_int(e, em_div_int(e, count, e->lanes), e->lanes));
    em_loop_begin(e, &vectors, first, whole, e->lanes, NULL, 0);
    cg_val at = em_index(e, t.targets, vectors.index, 4);
    em_if_begin(e, &some, em_any_in_range(e, e->lanes, at, b->row0, em_add(e, b->row0, b->n_rows)));
    emit_each_target(e, &t, vectors.index, em_add_int(e, vectors.index, e->lanes));
    em_if_end(e, &some);
    em_loop_end(e, &vectors, NULL);
    emit_each_target(e, &t, whole, last);
}
