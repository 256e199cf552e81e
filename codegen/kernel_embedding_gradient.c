/*
 * embedding_gradient: rows of dy [R,E] are added to those of a table [V,E] that their ids name, by rising row.
 *
 * A unit owns the rows of the table with one remainder modulo UNITS, so that frequent ids lie apart: it sets them to zero, or to those of
 * base, which it leaves alone where the result lies in base's memory, and goes through all ids for its own. So nothing but rows that occur
 * is touched twice, and the bits do not depend on the number of threads. Of a table with few rows each unit sums a part of dy
 * (part_sums.h).
 *
 * Ids outside of the table are cut to it (kernel_embedding.c).
 *
 * operands: dy, ids, [base], table or its parts. dims: R.
 */
#include "codegen/part_sums.h"

#define UNITS 64
#define FEW_ROWS 16 /* of a table whose rows are summed in parts */

bool describe_embedding_gradient(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_embedding_gradient);
    if (!n) return false;
    const ir_type *dy = graph_type(g->graph, n->inputs[0]), *ids = graph_type(g->graph, n->inputs[1]),
                  *table = graph_type(g->graph, n->first_result);
    const ir_value base = node_input(n, 2);
    int64_t V;
    if (!is_f32_rows(dy) || !is_f32_rows(table) || type_features(table) < 1 || !dim_is_const(table->dims[0], &V) || V < 1)
        return false;
    if (ids->dtype != IR_I64 && ids->dtype != IR_I32) return false;
    const bool few = V <= FEW_ROWS && !base;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    kernel_set(k, "base", base ? (int64_t)kernel_operand(k, base) : 0);
    kernel_set(k, "table", (int64_t)(few ? part_sums_operand(k, n->first_result) : kernel_operand(k, n->first_result)));
    kernel_set_dtype(k, "ids", ids->dtype);
    kernel_set(k, "few", few);
    kernel_set(k, "V", V);
    kernel_set(k, "E", type_features(table));
    kernel_set(k, "padding_id", node_int(n, "padding_id"));
    kernel_dim(k, dy->dims[0]);
    if (few) part_sums_work(k, 1);
    else k->work = dim_const(UNITS);
    k->bytes = kernel_scaled(dy->dims[0], 12 * type_features(table), few ? 0 : 4 * V * type_features(table), NULL);
    return true;
}

typedef struct table_code {
    const cg_kernel *kernel;
    int64_t V, E;
    cg_val dy, ids;
} table_code;

/* Numbers [0, count) at `to`: those at `from` are added, or zero is set where it is NULL. */
static void emit_numbers(emitter *e, cg_val to, cg_val from, int64_t count) {
    const int64_t whole = count - count % e->lanes;
    for (unsigned part = 0; part < 2; part++) {
        const unsigned lanes = part == 0 ? e->lanes : 1;
        em_loop loop;
        em_loop_begin(e, &loop, em_int(e, part == 0 ? 0 : whole), em_int(e, part == 0 ? whole : count), lanes, NULL, 0);
        cg_val at = em_index(e, to, loop.index, 4), v = em_const(e, lanes, 0);
        if (from) v = em_fadd(e, em_load(e, lanes, at, 4), em_load(e, lanes, em_index(e, from, loop.index, 4), 4));
        em_store(e, v, at, 4);
        em_loop_end(e, &loop, NULL);
    }
}

/* Adds rows [begin, end) of dy to the table at `to`; where `unit` is not NULL, those of its rows alone. */
static void emit_rows(emitter *e, const table_code *c, cg_val to, cg_val begin, cg_val end, cg_val unit) {
    const ir_dtype dtype = kernel_get_dtype(c->kernel, "ids");
    em_loop rows;
    em_if takes;
    em_loop_begin(e, &rows, begin, end, 1, NULL, 0);
    cg_val id = em_load_int(e, dtype, em_index(e, c->ids, rows.index, em_dtype_bytes(dtype)));
    cg_val mine = LLVMBuildNot(e->builder, em_equal(e, id, em_int(e, kernel_get(c->kernel, "padding_id"))), "");
    id = em_max(e, em_int(e, 0), em_min(e, id, em_int(e, c->V - 1)));
    if (unit) mine = em_and(e, mine, em_equal(e, em_rem_int(e, id, UNITS), unit));
    em_if_begin(e, &takes, mine);
    emit_numbers(e, em_index(e, to, id, 4 * c->E), em_index(e, c->dy, rows.index, 4 * c->E), c->E);
    em_if_end(e, &takes);
    em_loop_end(e, &rows, NULL);
}

/* The unit's rows of the table before anything is added. */
static void emit_start(emitter *e, const table_code *c, cg_val table, cg_val base, cg_val unit) {
    em_loop rows;
    em_if elsewhere;
    if (base) {
        cg_val from = LLVMBuildPtrToInt(e->builder, base, e->i64, ""), to = LLVMBuildPtrToInt(e->builder, table, e->i64, "");
        em_if_begin(e, &elsewhere, LLVMBuildNot(e->builder, em_equal(e, from, to), ""));
    }
    em_loop_begin(e, &rows, unit, em_int(e, c->V), UNITS, NULL, 0);
    cg_val to = em_index(e, table, rows.index, 4 * c->E);
    if (base) emit_copy(e, to, em_index(e, base, rows.index, 4 * c->E), em_int(e, c->E), 4);
    else emit_numbers(e, to, NULL, c->E);
    em_loop_end(e, &rows, NULL);
    if (base) em_if_end(e, &elsewhere);
}

void emit_embedding_gradient(emitter *e, const cg_kernel *k) {
    const table_code c = {
        .kernel = k, .V = kernel_get(k, "V"), .E = kernel_get(k, "E"), .dy = em_buffer(e, 0), .ids = em_buffer(e, 1)};
    const unsigned base = (unsigned)kernel_get(k, "base");
    cg_val table = em_buffer(e, (unsigned)kernel_get(k, "table"));
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    if (kernel_get(k, "few")) {
        cg_val begin, end, part = part_sums_at(e, table, units.index, 4 * c.V * c.E);
        part_sums_rows(e, k, units.index, &begin, &end);
        em_if used;
        em_if_begin(e, &used, em_less(e, begin, end));
        emit_numbers(e, part, NULL, c.V * c.E);
        emit_rows(e, &c, part, begin, end, NULL);
        em_if_end(e, &used);
    } else {
        emit_start(e, &c, table, base ? em_buffer(e, base) : NULL, units.index);
        emit_rows(e, &c, table, em_int(e, 0), em_dim(e, 0), units.index);
    }
    em_loop_end(e, &units, NULL);
}
