/*
 * mean_squared_error, and its gradient 2 dloss (x - y) / elements, of tensors in rows. The error is summed in f64, in parts
 * (part_sums.h).
 *
 * operands: x, y, parts of the error; the gradient: x, y, dloss, dx. dims: elements.
 */
#include "codegen/part_sums.h"

#define BLOCK 4096
#define PART_STEP 256

static const ir_node *find_node(const cg_group *g, ir_op op, cg_kernel *k) {
    const ir_node *n = group_single(g, op);
    if (!n || !is_f32_rows(graph_type(g->graph, n->inputs[0]))) return NULL;
    for (uint32_t i = 0; i < n->n_inputs; i++) kernel_operand(k, n->inputs[i]);
    return n;
}

bool describe_mean_squared_error(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = find_node(g, OP_mean_squared_error, k);
    bool ok;
    if (!n) return false;
    part_sums_operand(k, n->first_result);
    kernel_dim(k, type_elements(graph_type(g->graph, n->inputs[0]), &ok));
    part_sums_work(k, PART_STEP);
    return ok;
}

bool describe_mean_squared_error_gradient(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = find_node(g, OP_mean_squared_error_gradient, k);
    if (!n) return false;
    kernel_operand(k, n->first_result);
    return kernel_over_elements(k, graph_type(g->graph, n->first_result), BLOCK);
}

void emit_mean_squared_error(emitter *e, const cg_kernel *k) {
    em_loop units, loop;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val begin, end, sum = em_reals(e, 1, 0);
    part_sums_rows(e, k, units.index, &begin, &end);
    em_loop_begin(e, &loop, begin, end, 1, &sum, 1);
    cg_val d[2];
    for (unsigned i = 0; i < 2; i++) d[i] = em_widen(e, em_load(e, 1, em_index(e, em_buffer(e, i), loop.index, 4), 4));
    d[0] = em_fsub(e, d[0], d[1]);
    sum = em_fadd(e, loop.carried[0], em_fmul(e, d[0], d[0]));
    em_loop_end(e, &loop, &sum);
    cg_val count = LLVMBuildSIToFP(e->builder, em_sub(e, end, begin), e->f64, "");
    part_sums_store(e, em_buffer(e, 2), units.index, em_lane(e, loop.carried[0], 0), count);
    em_loop_end(e, &units, NULL);
}

void emit_mean_squared_error_gradient(emitter *e, const cg_kernel *k) {
    (void)k;
    cg_val count = LLVMBuildSIToFP(e->builder, em_dim(e, 0), e->f64, "");
    cg_val dloss = em_lane(e, em_widen(e, em_load(e, 1, em_buffer(e, 2), 4)), 0);
    cg_val scale = em_narrow(e, em_fdiv(e, em_fmul(e, dloss, em_real(e, 2)), count));
    cg_val begin = em_mul_int(e, em_begin_unit(e), BLOCK), end = em_min(e, em_mul_int(e, em_end_unit(e), BLOCK), em_dim(e, 0));
    cg_val whole = em_sub(e, end, em_rem_int(e, em_sub(e, end, begin), e->lanes));
    for (unsigned part = 0; part < 2; part++) {
        const unsigned lanes = part == 0 ? e->lanes : 1;
        em_loop loop;
        em_loop_begin(e, &loop, part == 0 ? begin : whole, part == 0 ? whole : end, lanes, NULL, 0);
        cg_val x = em_load(e, lanes, em_index(e, em_buffer(e, 0), loop.index, 4), 4),
               y = em_load(e, lanes, em_index(e, em_buffer(e, 1), loop.index, 4), 4);
        em_store(e, em_fmul(e, em_fsub(e, x, y), em_splat(e, lanes, scale)), em_index(e, em_buffer(e, 3), loop.index, 4), 4);
        em_loop_end(e, &loop, NULL);
    }
}
