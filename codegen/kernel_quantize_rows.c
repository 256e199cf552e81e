/*
 * fake_quantize and its gradient of a weight, each of whose rows has a range of its own (codegen/weight_rows.h). Tensors with one range, and activations, go
 * through kernels of elementwise work (codegen/expression.h).
 *
 * operands: x, [index], range f32 [N,2], [forward], [dy], result. dims: none.
 */
#include <string.h>

#include "codegen/weight_rows.h"

bool describe_quantize_rows(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_node(g, 0);
    const uint32_t first = n->op == OP_fake_quantize_gradient ? 1 : 0; /* operands x, range, forward, pattern from here on */
    if (g->n_nodes != 1 || (n->op != OP_fake_quantize && n->op != OP_fake_quantize_gradient)) return false;
    if (graph_type(g->graph, n->inputs[first + 1])->rank != 2) return false;
    if (!describe_weight_rows(g, n->inputs[first], node_input(n, first + 3), k)) return false;
    kernel_set(k, "range", kernel_operand(k, n->inputs[first + 1]));
    kernel_set(k, "forward", node_input(n, first + 2) ? (int64_t)kernel_operand(k, n->inputs[first + 2]) : 0);
    kernel_set(k, "dy", first ? (int64_t)kernel_operand(k, n->inputs[0]) : 0);
    kernel_set(k, "result", kernel_operand(k, n->first_result));
    kernel_set(k, "symmetric", strcmp(node_string(n, "scheme"), "symmetric") == 0);
    kernel_set(k, "begin", node_int(n, "begin"));
    return true;
}

typedef struct rows_code {
    const cg_kernel *kernel;
    cg_val x, dy, result, range; /* dy: NULL where no gradient is made */
    cg_val row0;                 /* of the group */
    cg_val memory;               /* of fake_quantize_prepare */
} rows_code;

/* Elements [begin, end), vectors of `lanes`. */
static void emit_elements(emitter *e, const rows_code *c, cg_val begin, cg_val end, unsigned lanes) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, lanes, NULL, 0);
    cg_val at = em_mul_int(e, loop.index, 4), x = em_load(e, lanes, em_at(e, c->x, at), 4);
    cg_val y = c->dy ? fake_quantize_gradient_emit(e, c->memory, em_load(e, lanes, em_at(e, c->dy, at), 4), x)
                     : fake_quantize_emit(e, c->memory, x);
    em_store(e, y, em_at(e, c->result, at), 4);
    em_loop_end(e, &loop, NULL);
}

static void emit_row(emitter *e, void *user, cg_val row, cg_val first, cg_val count) {
    const rows_code *c = user;
    const int64_t forward = kernel_get(c->kernel, "forward");
    const fake_quantize_range range = {.range = em_index(e, c->range, em_add(e, c->row0, row), 8),
                                       .forward = forward ? em_buffer(e, (unsigned)forward) : NULL,
                                       .begin = kernel_get(c->kernel, "begin"),
                                       .symmetric = kernel_get(c->kernel, "symmetric") != 0};
    cg_val end = em_add(e, first, count), whole = em_sub(e, end, em_rem_int(e, count, e->lanes));
    fake_quantize_prepare(e, &range, c->memory);
    emit_elements(e, c, first, whole, e->lanes);
    emit_elements(e, c, whole, end, 1);
}

void emit_quantize_rows(emitter *e, const cg_kernel *k) {
    rows_code c = {.kernel = k,
                   .x = em_buffer(e, 0),
                   .dy = kernel_get(k, "dy") ? em_buffer(e, (unsigned)kernel_get(k, "dy")) : NULL,
                   .result = em_buffer(e, (unsigned)kernel_get(k, "result")),
                   .range = em_buffer(e, (unsigned)kernel_get(k, "range")),
                   .memory = em_stack(e, fake_quantize_bytes(e), 64)};
    em_loop groups;
    em_loop_begin(e, &groups, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    c.row0 = em_mul_int(e, groups.index, SPARSE_ROWS);
    emit_weight_rows(e, k, groups.index, emit_row, &c);
    em_loop_end(e, &groups, NULL);
}
