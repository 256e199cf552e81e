/*
 * Elementwise ops, alone or several in one pass over memory, in tiles<W> or in rows.
 *
 * operands: what the expression reads, what it stores. dims: in tiles R; in rows R of [R,E] where something is given per feature,
 * else the number of elements.
 */
#include "codegen/kernel.h"

#define BLOCK_ELEMENTS 4096
#define BLOCK_ROWS 16
#define BYTES_AHEAD 4096 /* a page, past whose end processors do not look themselves */

static bool has_feature_input(const cg_expression *x) {
    for (unsigned i = 0; i < x->n_inputs; i++)
        if (x->inputs[i].source == SOURCE_FEATURE) return true;
    return false;
}

/* Rows of the last dimension: all others multiplied. */
static ir_dim outer_elements(const ir_type *t, bool *ok) {
    ir_dim n = dim_const(1);
    for (uint32_t i = 0; *ok && i + 1 < t->rank; i++) n = dim_mul(n, t->dims[i], ok);
    return n;
}

bool describe_elementwise(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_type *t = graph_type(g->graph, group_last(g)->first_result);
    bool tiles = is_f32_tiles(t), ok = true;
    if (!tiles && !is_f32_rows(t)) return false;
    if (!kernel_express(k, g, 0, t) || k->expression.n_stores == 0) return false;
    bool by_feature = has_feature_input(&k->expression);
    k->in_place = !tiles && !by_feature; /* a vector is read whole before it is written; scalars are no operands of its type */
    kernel_set(k, "W", tiles ? t->tile : 0);
    kernel_set(k, "E", tiles || by_feature ? type_features(t) : 0);
    if (!tiles && !by_feature) return kernel_over_elements(k, t, BLOCK_ELEMENTS);
    k->work = tiles ? t->dims[0] : outer_elements(t, &ok);
    k->work_per_unit = tiles ? (int64_t)t->tile : BLOCK_ROWS;
    if (tiles) kernel_by_block(k, k->work, t->tile, 1);
    k->bytes = kernel_scaled(k->work, 4 * type_features(t) * k->n_operands, 0, NULL);
    kernel_dim(k, k->work);
    return ok;
}

typedef struct row_operands {
    const cg_val *operand;
    expression_random random; /* has ranges alone */
} row_operands;

/* Elements [first + begin, first + end) of full operands, features from `begin`; vectors of `lanes`. */
static void emit_span(emitter *e, const cg_kernel *k, const row_operands *o, cg_val first, cg_val begin, cg_val end,
                      unsigned lanes) {
    const cg_expression *x = &k->expression;
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, lanes, NULL, 0);
    cg_val value[EXPRESSION_MAX_VALUES], at = em_mul_int(e, em_add(e, first, loop.index), 4);
    for (unsigned i = 0; i < x->n_inputs; i++) {
        cg_val pointer = o->operand[x->inputs[i].operand];
        if (x->inputs[i].source == SOURCE_RANGE) value[i] = o->random.ranges[i];
        else if (x->inputs[i].source == SOURCE_SCALAR) value[i] = em_load_splat(e, lanes, pointer);
        else if (x->inputs[i].source == SOURCE_FEATURE) value[i] = em_load(e, lanes, em_index(e, pointer, loop.index, 4), 4);
        else value[i] = em_load(e, lanes, em_at(e, pointer, at), 4);
    }
    expression_emit(e, x, value);
    for (unsigned i = 0; i < x->n_stores; i++)
        em_store(e, value[x->stores[i].value], em_at(e, o->operand[x->stores[i].operand], at), 4);
    em_loop_end(e, &loop, NULL);
}

static void emit_in_rows(emitter *e, const cg_kernel *k, const cg_val *operand) {
    int64_t E = kernel_get(k, "E"), block = E ? BLOCK_ROWS : kernel_get(k, "block");
    em_loop rows;
    row_operands o = {.operand = operand};
    expression_begin(e, &k->expression, operand, 0, e->lanes, &o.random);
    cg_val begin = em_mul_int(e, em_begin_unit(e), block), end = em_min(e, em_mul_int(e, em_end_unit(e), block), em_dim(e, 0));
    if (!E) { /* one span */
        cg_val count = em_sub(e, end, begin), whole = em_sub(e, count, em_rem_int(e, count, e->lanes));
        emit_span(e, k, &o, begin, em_int(e, 0), whole, e->lanes);
        emit_span(e, k, &o, begin, whole, count, 1);
        return;
    }
    em_loop_begin(e, &rows, begin, end, 1, NULL, 0);
    cg_val first = em_mul_int(e, rows.index, E);
    int64_t whole = E - E % e->lanes;
    emit_span(e, k, &o, first, em_int(e, 0), em_int(e, whole), e->lanes);
    if (whole < E) emit_span(e, k, &o, first, em_int(e, whole), em_int(e, E), 1);
    em_loop_end(e, &rows, NULL);
}

void emit_elementwise(emitter *e, const cg_kernel *k) {
    int64_t E = kernel_get(k, "E"), W = kernel_get(k, "W");
    cg_val operand[KERNEL_MAX_OPERANDS];
    kernel_operands(e, k, operand);
    if (W == 0) {
        emit_in_rows(e, k, operand);
        return;
    }
    expression_tile t = {.expression = &k->expression, .operand = operand, .width = W, .lanes = tile_lanes(e->lanes, W)};
    t.bytes_ahead = BYTES_AHEAD;
    expression_random random;
    expression_begin(e, &k->expression, operand, W, t.lanes, &random);
    em_loop tiles;
    em_loop_begin(e, &tiles, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    t.live = tile_live_lanes(e, em_dim(e, 0), tiles.index, W, t.lanes);
    t.random = &random;
    t.token = em_mul_int(e, tiles.index, W);
    t.n_tokens = em_dim(e, 0);
    expression_begin_tile(e, &t);
    expression_emit_tile(e, &t, em_mul_int(e, tiles.index, E), em_int(e, 0), em_int(e, E));
    em_loop_end(e, &tiles, NULL);
}
