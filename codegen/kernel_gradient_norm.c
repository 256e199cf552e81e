/*
 * The norm of gradients: sum_of_squares and clip_factor (ir/ops/op_optimizer.c, ir/ops/op_elementwise.c).
 *
 * A sum of squares takes two steps. The first (square_sums, which lowering asks for by PACKING_SQUARE_SUMS) cuts x into at most PARTS
 * equal parts by its number of elements alone, and a unit sums one of them; the second adds these sums in their order. So the bits do
 * not depend on the number of threads. A square of f32 is exact in f64, and so are the sums almost: the result is within
 * (1 + n 2^-52) 2^-24 of itself, n elements, and overflows only where the sum itself is no f32.
 *
 * operands: square_sums: x, sums (f64 [parts]); sum_of_squares: sums, result; clip_factor: norms, factors. dims: elements of x, none,
 * elements.
 */
#include "codegen/kernel.h"

#define PARTS 64
#define PART_ELEMENTS 4096 /* parts are a multiple of it: 16 KB, some microseconds */
#define CHAINS 4           /* of additions, next to each other */
#define CLIP_BLOCK 4096

/* ---- sums of parts ---- */

/* Parts of x; a number, so that the sums have a type where only a run knows the elements. */
static int64_t part_count(const ir_type *x) {
    bool ok;
    int64_t n;
    const ir_dim elements = type_elements(x, &ok);
    if (!ok || !dim_is_const(elements, &n) || n > PARTS * PART_ELEMENTS) return PARTS;
    return n <= PART_ELEMENTS ? 1 : (n + PART_ELEMENTS - 1) / PART_ELEMENTS;
}

/* Lowering asks for it (kernel_pack); no node is it. */
bool describe_square_sums(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)g;
    (void)target;
    (void)k;
    return false;
}

bool kernel_sum_squares(const ir_graph *g, const cg_operand *sums, cg_kernel *k) {
    size_t row = 0;
    while (kernel_rows[row].emit != emit_square_sums) row++;
    *k = (cg_kernel){.row = row, .work_per_unit = 1, .grain = 1};
    bool ok;
    const ir_dim n = type_elements(graph_type(g, sums->value), &ok);
    kernel_operand(k, sums->value);
    kernel_packed_operand(k, sums->value, PACKING_SQUARE_SUMS, sums->packing_parameter);
    kernel_set(k, "parts", sums->packing_parameter);
    kernel_dim(k, n);
    k->work = dim_const(sums->packing_parameter);
    k->flops = kernel_scaled(n, 2, 0, NULL);
    k->bytes = kernel_scaled(n, 4, 0, NULL);
    return ok && !k->failed;
}

/* Adds the squares of elements [begin, end) to `sum`, vectors of f64. */
static void emit_squares(emitter *e, cg_val x, cg_val begin, cg_val end, cg_val *sum, unsigned chains) {
    const unsigned lanes = em_lanes_of(sum[0]);
    em_loop loop;
    cg_val next[CHAINS];
    em_loop_begin(e, &loop, begin, end, chains * lanes, sum, chains);
    cg_val at = em_index(e, x, loop.index, 4);
    for (unsigned i = 0; i < chains; i++) {
        cg_val wide = em_widen(e, em_load(e, lanes, em_at_int(e, at, 4 * (int64_t)(i * lanes)), 4));
        next[i] = em_fadd(e, loop.carried[i], em_fmul(e, wide, wide));
    }
    em_loop_end(e, &loop, next);
    for (unsigned i = 0; i < chains; i++) sum[i] = loop.carried[i];
}

void emit_square_sums(emitter *e, const cg_kernel *k) {
    const int64_t parts = kernel_get(k, "parts");
    const unsigned lanes = e->lanes / 2; /* as many f64 as a vector has */
    cg_val x = em_buffer(e, 0), sums = em_buffer(e, 1), n = em_dim(e, 0);
    cg_val part = em_mul_int(e, em_div_int_up(e, n, parts * PART_ELEMENTS), PART_ELEMENTS);
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val begin = em_min(e, em_mul(e, units.index, part), n), end = em_min(e, em_add(e, begin, part), n);
    cg_val whole = em_sub(e, end, em_rem_int(e, em_sub(e, end, begin), CHAINS * (int64_t)lanes));
    cg_val sum[CHAINS], rest = em_reals(e, 1, 0);
    for (unsigned i = 0; i < CHAINS; i++) sum[i] = em_reals(e, lanes, 0);
    emit_squares(e, x, begin, whole, sum, CHAINS);
    emit_squares(e, x, whole, end, &rest, 1);
    for (unsigned i = CHAINS / 2; i > 0; i /= 2)
        for (unsigned j = 0; j < i; j++) sum[j] = em_fadd(e, sum[j], sum[i + j]);
    em_store_real(e, em_lane(e, em_fadd(e, em_fold(e, sum[0], 1, em_fadd), rest), 0), em_index(e, sums, units.index, 8));
    em_loop_end(e, &units, NULL);
}

/* ---- their sum ---- */

bool describe_sum_of_squares(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_sum_of_squares);
    if (!n) return false;
    const ir_type *x = graph_type(g->graph, n->inputs[0]);
    bool ok;
    if (!is_f32_rows(x)) return false;
    (void)type_elements(x, &ok);
    kernel_packed_operand(k, n->inputs[0], PACKING_SQUARE_SUMS, (uint32_t)part_count(x));
    kernel_operand(k, n->first_result);
    kernel_set(k, "parts", part_count(x));
    k->work = dim_const(1);
    return ok;
}

void emit_sum_of_squares(emitter *e, const cg_kernel *k) {
    cg_val sums = em_buffer(e, 0), sum = em_real(e, 0);
    em_loop parts;
    em_loop_begin(e, &parts, em_int(e, 0), em_int(e, kernel_get(k, "parts")), 1, &sum, 1);
    sum = em_fadd(e, parts.carried[0], em_load_real(e, em_index(e, sums, parts.index, 8)));
    em_loop_end(e, &parts, &sum);
    em_store(e, em_narrow(e, parts.carried[0]), em_buffer(e, 1), 4);
}

/* ---- clipping ---- */

bool describe_clip_factor(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_clip_factor);
    if (!n || !is_f32_rows(graph_type(g->graph, n->inputs[0]))) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->first_result);
    kernel_set_real(k, "max_norm", node_float(n, "max_norm"));
    return kernel_over_elements(k, graph_type(g->graph, n->inputs[0]), CLIP_BLOCK);
}

/* In f64: norms are single numbers. A norm that is no finite number gives NaN: 0 times it is added. */
void emit_clip_factor(emitter *e, const cg_kernel *k) {
    cg_val norms = em_buffer(e, 0), factors = em_buffer(e, 1);
    cg_val begin = em_mul_int(e, em_begin_unit(e), CLIP_BLOCK),
           end = em_min(e, em_mul_int(e, em_end_unit(e), CLIP_BLOCK), em_dim(e, 0));
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, 1, NULL, 0);
    cg_val norm = em_widen(e, em_load(e, 1, em_index(e, norms, loop.index, 4), 4));
    cg_val factor = em_fdiv(e, em_reals(e, 1, kernel_get_real(k, "max_norm")), em_fadd(e, norm, em_reals(e, 1, 1e-6)));
    factor = em_fadd(e, em_fmin_nan(e, factor, em_reals(e, 1, 1)), em_fmul(e, norm, em_reals(e, 1, 0)));
    em_store(e, em_narrow(e, factor), em_index(e, factors, loop.index, 4), 4);
    em_loop_end(e, &loop, NULL);
}
