/* A weight row by row; see weight_rows.h. */
#include "codegen/weight_rows.h"

bool describe_weight_rows(const cg_group *g, ir_value x, ir_value pattern, cg_kernel *k) {
    const ir_type *t = graph_type(g->graph, x), *sizes = pattern ? graph_type(g->graph, pattern) : t;
    int64_t N, K;
    bool ok;
    if (!is_f32_rows(t) || sizes->rank != 2 || !dim_is_const(sizes->dims[0], &N) || !dim_is_const(sizes->dims[1], &K)) return false;
    if (N < 1 || K < 1 || (pattern && graph_node_of(g->graph, pattern)->op != OP_pattern)) return false;
    const sparse_layout layout = sparse_rows_layout(K);
    kernel_operand(k, x);
    if (pattern) kernel_sparse_operand(k, pattern, PACKING_SPARSE_INDEX, &layout);
    kernel_set(k, "N", N);
    kernel_set(k, "K", K);
    kernel_set(k, "sparse", pattern != IR_NO_VALUE);
    k->work = dim_const(N);
    k->work_per_unit = SPARSE_ROWS;
    k->bytes = kernel_scaled(type_elements(t, &ok), 4, 0, NULL);
    return true;
}

void emit_weight_rows(emitter *e, const cg_kernel *k, cg_val group, sparse_row_visit visit, void *user) {
    const int64_t N = kernel_get(k, "N"), K = kernel_get(k, "K");
    if (kernel_get(k, "sparse")) {
        emit_sparse_row_visits(e, N, K, em_buffer(e, 1), group, visit, user);
        return;
    }
    cg_val row0 = em_mul_int(e, group, SPARSE_ROWS), n = em_min(e, em_int(e, SPARSE_ROWS), em_sub(e, em_int(e, N), row0));
    em_loop rows;
    em_loop_begin(e, &rows, em_int(e, 0), n, 1, NULL, 0);
    visit(e, user, rows.index, em_mul_int(e, em_add(e, row0, rows.index), K), em_int(e, K));
    em_loop_end(e, &rows, NULL);
}
