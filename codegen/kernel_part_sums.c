/*
 * part_sums: adds the sums of parts of the rows (part_sums.h) in their order. Lowering puts it behind a kernel that has an operand of
 * PACKING_PART_SUMS.
 *
 * operands: parts, result. dims: R, the rows that were summed. A unit is BLOCK elements, which are added part by part; of a scalar the
 * one unit adds f64, and divides by the count where the scalar is a mean.
 */
#include "codegen/part_sums.h"

#include <string.h>

#include "ir/op.h"

#define BLOCK 1024

unsigned part_sums_operand(cg_kernel *k, ir_value value) { return kernel_packed_operand(k, value, PACKING_PART_SUMS, PART_SUMS); }

void part_sums_work(cg_kernel *k, int64_t step) {
    kernel_set(k, "step", step);
    k->work = dim_const(PART_SUMS);
}

/* Rows of a part. */
static cg_val part_rows(emitter *e, const cg_kernel *k, cg_val n_rows) {
    const int64_t step = kernel_get(k, "step");
    return em_mul_int(e, em_div_int_up(e, n_rows, PART_SUMS * step), step);
}

void part_sums_rows(emitter *e, const cg_kernel *k, cg_val part, cg_val *begin, cg_val *end) {
    cg_val n_rows = em_dim(e, 0), rows = part_rows(e, k, n_rows);
    *begin = em_min(e, em_mul(e, part, rows), n_rows);
    *end = em_min(e, em_add(e, *begin, rows), n_rows);
}

cg_val part_sums_at(emitter *e, cg_val parts, cg_val part, int64_t bytes) { return em_index(e, parts, part, bytes); }

void part_sums_store(emitter *e, cg_val parts, cg_val part, cg_val sum, cg_val count) {
    cg_val at = part_sums_at(e, parts, part, 16);
    em_store_real(e, sum, at);
    em_store_real(e, count, em_at_int(e, at, 8));
}

/* Lowering asks for it (kernel_sum_parts); no node is it. */
bool describe_part_sums(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)g;
    (void)target;
    (void)k;
    return false;
}

/* Is the scalar a mean of what was counted? */
static bool is_mean(const ir_node *n) { return n->op == OP_mean_squared_error || strcmp(node_string(n, "reduction"), "mean") == 0; }

bool kernel_sum_parts(const ir_graph *g, const cg_kernel *maker, unsigned operand, cg_kernel *k) {
    const ir_value value = maker->operands[operand].value;
    const ir_type *t = graph_type(g, value);
    size_t row = 0;
    int64_t n;
    bool ok;
    const ir_dim elements = type_elements(t, &ok);
    while (kernel_rows[row].emit != emit_part_sums) row++;
    *k = (cg_kernel){.row = row, .work_per_unit = t->rank == 0 ? 1 : BLOCK, .grain = 1};
    if (!ok || !dim_is_const(elements, &n)) return false;
    part_sums_operand(k, value);
    kernel_operand(k, value);
    kernel_set(k, "step", kernel_get(maker, "step"));
    kernel_set(k, "n", t->rank == 0 ? 0 : n);
    kernel_set(k, "mean", t->rank == 0 && is_mean(graph_node_of(g, value)));
    kernel_dim(k, maker->dims[0]);
    k->work = dim_const(n);
    k->bytes = dim_const(4 * n * PART_SUMS);
    return !k->failed;
}

static void emit_scalar(emitter *e, const cg_kernel *k, cg_val parts, cg_val result) {
    cg_val start[] = {em_real(e, 0), em_real(e, 0)}, next[2];
    em_loop loop;
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, PART_SUMS), 1, start, 2);
    cg_val at = part_sums_at(e, parts, loop.index, 16);
    for (int i = 0; i < 2; i++) next[i] = em_fadd(e, loop.carried[i], em_load_real(e, em_at_int(e, at, 8 * i)));
    em_loop_end(e, &loop, next);
    cg_val sum = loop.carried[0];
    em_store(e, em_narrow(e, kernel_get(k, "mean") ? em_fdiv(e, sum, loop.carried[1]) : sum), result, 4);
}

/* Elements [begin, end) of the first `used` parts, vectors of `lanes`. */
static void emit_span(emitter *e, int64_t n, cg_val parts, cg_val result, cg_val begin, cg_val end, cg_val used, unsigned lanes) {
    em_loop elements, loop;
    cg_val sum = em_const(e, lanes, 0);
    em_loop_begin(e, &elements, begin, end, lanes, NULL, 0);
    cg_val first = em_index(e, parts, elements.index, 4);
    em_loop_begin(e, &loop, em_int(e, 0), used, 1, &sum, 1);
    sum = em_fadd(e, loop.carried[0], em_load(e, lanes, em_index(e, first, loop.index, 4 * n), 4));
    em_loop_end(e, &loop, &sum);
    em_store(e, loop.carried[0], em_index(e, result, elements.index, 4), 4);
    em_loop_end(e, &elements, NULL);
}

void emit_part_sums(emitter *e, const cg_kernel *k) {
    const int64_t n = kernel_get(k, "n");
    cg_val parts = em_buffer(e, 0), result = em_buffer(e, 1), n_rows = em_dim(e, 0);
    if (n == 0) {
        emit_scalar(e, k, parts, result);
        return;
    }
    cg_val used =
        em_div(e, em_add(e, n_rows, em_add_int(e, part_rows(e, k, n_rows), -1)), em_max(e, part_rows(e, k, n_rows), em_int(e, 1)));
    cg_val begin = em_mul_int(e, em_begin_unit(e), BLOCK), end = em_min(e, em_mul_int(e, em_end_unit(e), BLOCK), em_int(e, n));
    cg_val whole = em_sub(e, end, em_rem_int(e, em_sub(e, end, begin), e->lanes));
    emit_span(e, n, parts, result, begin, whole, used, e->lanes);
    emit_span(e, n, parts, result, whole, end, used, 1);
}
