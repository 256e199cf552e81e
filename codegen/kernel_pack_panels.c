/*
 * A dense weight [N,K] into panels, within a run: weights that a graph makes, or state that it replaces, as training does in every
 * step (ir/packings.def). Weights that stay are packed once, when a session is created (runtime/packing.c).
 *
 *   panels             a unit is a panel of P rows: squares of rows by columns are transposed in registers, so that rows are read and the
 *                      panel is written along memory. The last square of rows is moved back to end with the panel.
 *   transposed panels  a unit is a block of rows of the weight, of which each panel of P columns gets a piece; reads and writes go along
 *                      memory
 *
 * Missing rows or columns of the last panel are zeros.
 *
 * operands: weight, result. dims: none.
 */
#include "codegen/kernel.h"
#include "codegen/transpose.h"

#define ROWS 16 /* of the weight in a unit of transposed panels: as many streams as processors fetch ahead */
#define GRAIN_BYTES (256 * 1024)

/* Lowering asks for it (kernel_pack_panels); no node is it. */
bool describe_pack_panels(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)g;
    (void)target;
    (void)k;
    return false;
}

static int64_t parts(int64_t n, int64_t of) { return (n + of - 1) / of; }

bool kernel_pack_panels(const ir_graph *g, const cg_operand *panels, cg_kernel *k) {
    const ir_type *t = graph_type(g, panels->value);
    const bool transposed = panels->packing == PACKING_TRANSPOSED_PANELS;
    const int64_t P = panels->packing_parameter;
    size_t row = 0;
    int64_t N, K;
    while (kernel_rows[row].emit != emit_pack_panels) row++;
    *k = (cg_kernel){.row = row, .work_per_unit = 1, .grain = 1};
    if (!is_f32_rows(t) || t->rank != 2 || !dim_is_const(t->dims[0], &N) || !dim_is_const(t->dims[1], &K)) return false;
    kernel_operand(k, panels->value);
    kernel_packed_operand(k, panels->value, panels->packing, panels->packing_parameter);
    kernel_set(k, "N", N);
    kernel_set(k, "K", K);
    kernel_set(k, "panel", P);
    kernel_set(k, "transposed", transposed);
    const int64_t rows = transposed ? ROWS : P;
    k->work = dim_const(parts(N, rows));
    if (rows * K < GRAIN_BYTES / 8) k->grain = GRAIN_BYTES / 8 / (rows * K);
    k->bytes = dim_const(8 * N * K);
    return !k->failed;
}

typedef struct packing_code {
    int64_t N, K, P;
    cg_val from, to;
} packing_code;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static cg_val element_at(emitter *e, const packing_code *c, cg_val row, cg_val column) {
    return em_index(e, em_index(e, c->from, row, 4 * c->K), column, 4);
}

/* ---- panels ---- */

/* Rows [row, row + n) of the panel at `from`, n columns at a time: those from `column` on. */
static void emit_square(emitter *e, const packing_code *c, cg_val from, cg_val to, int64_t row, unsigned n, cg_val column) {
    cg_val square[TRANSPOSE_MAX];
    for (unsigned i = 0; i < n; i++) square[i] = em_load(e, n, em_at_int(e, em_index(e, from, column, 4), 4 * c->K * (row + i)), 4);
    transpose_emit(e, square, n);
    cg_val first = em_index(e, to, column, 4 * c->P);
    for (unsigned i = 0; i < n; i++) em_store(e, square[i], em_at_int(e, first, 4 * (c->P * i + row)), 4);
}

static void emit_columns(emitter *e, const packing_code *c, cg_val from, cg_val to, unsigned n, cg_val column) {
    for (int64_t row = 0; row < c->P; row += n) emit_square(e, c, from, to, smaller(row, c->P - n), n, column);
}

static void emit_panel(emitter *e, const packing_code *c, cg_val panel, cg_val to) {
    const unsigned n = transpose_size(smaller(e->lanes, 8), smaller(c->P, c->K));
    cg_val from = em_index(e, c->from, panel, 4 * c->K * c->P);
    em_loop columns;
    em_loop_begin(e, &columns, em_int(e, 0), em_int(e, c->K - c->K % n), n, NULL, 0);
    emit_columns(e, c, from, to, n, columns.index);
    em_loop_end(e, &columns, NULL);
    if (c->K % n) emit_columns(e, c, from, to, n, em_int(e, c->K - n));
}

/* The last panel, of fewer rows than P: one number at a time. */
static void emit_last_panel(emitter *e, const packing_code *c, cg_val to) {
    const int64_t rest = c->N % c->P;
    em_loop columns, rows, missing;
    em_loop_begin(e, &columns, em_int(e, 0), em_int(e, c->K), 1, NULL, 0);
    cg_val at = em_index(e, to, columns.index, 4 * c->P);
    em_loop_begin(e, &rows, em_int(e, 0), em_int(e, rest), 1, NULL, 0);
    cg_val from = element_at(e, c, em_add_int(e, rows.index, c->N - rest), columns.index);
    em_store(e, em_load(e, 1, from, 4), em_index(e, at, rows.index, 4), 4);
    em_loop_end(e, &rows, NULL);
    em_loop_begin(e, &missing, em_int(e, rest), em_int(e, c->P), 1, NULL, 0);
    em_store(e, em_const(e, 1, 0), em_index(e, at, missing.index, 4), 4);
    em_loop_end(e, &missing, NULL);
    em_loop_end(e, &columns, NULL);
}

static void emit_panel_unit(emitter *e, const packing_code *c, cg_val unit) {
    cg_val to = em_index(e, c->to, unit, 4 * c->K * c->P);
    if (c->N % c->P == 0) {
        emit_panel(e, c, unit, to);
        return;
    }
    em_if is_full;
    em_if_begin(e, &is_full, em_less(e, unit, em_int(e, c->N / c->P)));
    emit_panel(e, c, unit, to);
    em_else(e, &is_full);
    emit_last_panel(e, c, to);
    em_if_end(e, &is_full);
}

/* ---- transposed panels ---- */

/* Rows [row, end) of full panels. */
static void emit_pieces(emitter *e, const packing_code *c, cg_val row, cg_val end) {
    const unsigned n = transpose_size(e->lanes, c->P);
    em_loop panels, rows;
    em_loop_begin(e, &panels, em_int(e, 0), em_int(e, c->K / c->P), 1, NULL, 0);
    em_loop_begin(e, &rows, row, end, 1, NULL, 0);
    cg_val from = element_at(e, c, rows.index, em_mul_int(e, panels.index, c->P)),
           to = em_index(e, c->to, em_add(e, em_mul_int(e, panels.index, c->N), rows.index), 4 * c->P);
    for (int64_t i = 0; i < c->P; i += n) {
        const int64_t at = 4 * smaller(i, c->P - n);
        em_store(e, em_load(e, n, em_at_int(e, from, at), 4), em_at_int(e, to, at), 4);
    }
    em_loop_end(e, &rows, NULL);
    em_loop_end(e, &panels, NULL);
}

/* Rows [row, end) of the last panel, of fewer columns than P. */
static void emit_last_pieces(emitter *e, const packing_code *c, cg_val row, cg_val end) {
    const int64_t rest = c->K % c->P;
    em_loop rows, columns, missing;
    em_loop_begin(e, &rows, row, end, 1, NULL, 0);
    cg_val from = element_at(e, c, rows.index, em_int(e, c->K - rest)),
           to = em_index(e, c->to, em_add_int(e, rows.index, c->K / c->P * c->N), 4 * c->P);
    em_loop_begin(e, &columns, em_int(e, 0), em_int(e, rest), 1, NULL, 0);
    em_store(e, em_load(e, 1, em_index(e, from, columns.index, 4), 4), em_index(e, to, columns.index, 4), 4);
    em_loop_end(e, &columns, NULL);
    em_loop_begin(e, &missing, em_int(e, rest), em_int(e, c->P), 1, NULL, 0);
    em_store(e, em_const(e, 1, 0), em_index(e, to, missing.index, 4), 4);
    em_loop_end(e, &missing, NULL);
    em_loop_end(e, &rows, NULL);
}

static void emit_transposed_unit(emitter *e, const packing_code *c, cg_val unit) {
    cg_val row = em_mul_int(e, unit, ROWS), end = em_min(e, em_add_int(e, row, ROWS), em_int(e, c->N));
    emit_pieces(e, c, row, end);
    if (c->K % c->P) emit_last_pieces(e, c, row, end);
}

void emit_pack_panels(emitter *e, const cg_kernel *k) {
    const packing_code c = {.N = kernel_get(k, "N"),
                            .K = kernel_get(k, "K"),
                            .P = kernel_get(k, "panel"),
                            .from = em_buffer(e, 0),
                            .to = em_buffer(e, 1)};
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    if (kernel_get(k, "transposed")) emit_transposed_unit(e, &c, units.index);
    else emit_panel_unit(e, &c, units.index);
    em_loop_end(e, &units, NULL);
}
