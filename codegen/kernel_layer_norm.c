/*
 * layer_norm [of elementwise work], in tiles<W>: a residual sum and its norm are one pass over memory. The sum is written where the
 * result goes, tile by tile, and normalised in place while the tile is in L2.
 *
 * operands: [x], what the expression reads and stores, gamma, beta, y, mean, 1/deviation (the last three where stored). dims: R.
 * One unit is one tile.
 */
#include "codegen/kernel.h"
#include "codegen/norm_tile.h"

bool describe_layer_norm(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_last(g);
    if (n->op != OP_layer_norm) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]);
    const cg_group sum = {g->graph, g->nodes, g->n_nodes - 1, g->stored};
    kernel_set(k, "E", type_features(x));
    kernel_set(k, "W", x->tile);
    if (sum.n_nodes == 0) {
        kernel_set(k, "x", (int64_t)kernel_operand(k, n->inputs[0]));
    } else {
        if (!g->stored[n->first_result] || !kernel_express(k, &sum, 0, x) || expression_has_setup(&k->expression)) return false;
        int number = expression_find(&k->expression, n->inputs[0]);
        cg_expression *e = &k->expression;
        if (number < (int)e->n_inputs || e->n_stores == EXPRESSION_MAX_STORES) return false;
        e->stores[e->n_stores].value = (unsigned)number;
        e->stores[e->n_stores++].operand = kernel_operand(k, n->first_result);
    }
    if (!norm_tile_describe(g, n, k)) return false;
    kernel_dim(k, x->dims[0]);
    k->work = x->dims[0];
    k->work_per_unit = x->tile;
    kernel_by_block(k, k->work, x->tile, 1);
    k->flops = kernel_scaled(x->dims[0], (8 + (int64_t)sum.n_nodes) * type_features(x), 0, NULL);
    k->bytes = kernel_scaled(x->dims[0], (8 + 4 * (int64_t)sum.n_nodes) * type_features(x), 0, NULL);
    return true;
}

void emit_layer_norm(emitter *e, const cg_kernel *k) {
    int64_t W = kernel_get(k, "W");
    cg_val operand[KERNEL_MAX_OPERANDS];
    kernel_operands(e, k, operand);
    bool sums = k->expression.n_stores > 0;
    expression_tile sum = {.expression = &k->expression, .operand = operand, .width = W, .lanes = tile_lanes(e->lanes, W)};
    cg_val x = operand[kernel_get(k, sums ? "y" : "x")];
    em_loop tiles;
    em_loop_begin(e, &tiles, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    norm_tile_emit(e, k, operand, x, sums ? &sum : NULL, em_dim(e, 0), tiles.index);
    em_loop_end(e, &tiles, NULL);
}
