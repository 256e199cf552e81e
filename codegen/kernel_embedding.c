/*
 * embedding, or several with elementwise work on the gathered rows, to rows or straight into tiles<W>: blocks of as many rows as a
 * vector has lanes are gathered, combined, and for tiles transposed in registers.
 *
 * A number outside of a table is a fault of the input that the session reports before it runs a plan; here it is cut to the table
 * so that nothing else is read. Lanes past the last row, in its vector, repeat the last row.
 *
 * operands: table and ids of each embedding, what the expression reads besides, what it stores. dims: R. One unit is W rows.
 */
#include "codegen/kernel.h"
#include "codegen/norm_tile.h"
#include "codegen/transpose.h"

#define MAX_TABLES 4
#define UNIT_ROWS 32 /* of results in rows */

static const char *const ids_names[MAX_TABLES] = {"ids0", "ids1", "ids2", "ids3"};
static const char *const rows_names[MAX_TABLES] = {"V0", "V1", "V2", "V3"};

static bool add_table(cg_kernel *k, const cg_group *g, const ir_node *n, unsigned i) {
    const ir_type *table = graph_type(g->graph, n->inputs[0]), *ids = graph_type(g->graph, n->inputs[1]);
    int64_t rows;
    if (i == MAX_TABLES || !is_f32_rows(table) || table->rank != 2 || !dim_is_const(table->dims[0], &rows) || rows < 1)
        return false;
    if (ids->rank != 1 || (ids->dtype != IR_I64 && ids->dtype != IR_I32)) return false;
    kernel_operand(k, n->inputs[0]);
    kernel_operand(k, n->inputs[1]);
    kernel_set(k, rows_names[i], rows);
    kernel_set_dtype(k, ids_names[i], ids->dtype);
    kernel_computed(k, n->first_result);
    return true;
}

/* Embeddings first, then the elementwise nodes; returns how many of the first, 0 when a node is neither. */
static size_t sort_nodes(const cg_group *g, size_t n_nodes, uint32_t sorted[EXPRESSION_MAX_OPS]) {
    size_t n_tables = 0, at = 0;
    for (size_t i = 0; i < n_nodes; i++)
        if (group_node(g, i)->op == OP_embedding) sorted[at++] = g->nodes[i], n_tables++;
    for (size_t i = 0; i < n_nodes; i++) {
        if (group_node(g, i)->op == OP_embedding) continue;
        if (!expression_takes(group_node(g, i)->op)) return 0;
        sorted[at++] = g->nodes[i];
    }
    return n_tables;
}

bool describe_embedding(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *last = group_last(g), *norm = last->op == OP_layer_norm && g->n_nodes > 1 ? last : NULL;
    size_t n_nodes = norm ? g->n_nodes - 1 : g->n_nodes;
    if (norm) last = group_node(g, n_nodes - 1);
    bool tiles = last->op == OP_relayout;
    if (norm && (!tiles || norm->inputs[0] != last->first_result || !g->stored[norm->first_result])) return false;
    if (tiles) n_nodes--;
    uint32_t sorted[EXPRESSION_MAX_OPS];
    if (n_nodes == 0 || n_nodes > EXPRESSION_MAX_OPS) return false;
    size_t n_tables = sort_nodes(g, n_nodes, sorted);
    if (n_tables == 0) return false;
    const cg_group sum = {g->graph, sorted, n_nodes, g->stored};
    const ir_type *rows = graph_type(g->graph, group_node(&sum, 0)->first_result),
                  *result = graph_type(g->graph, last->first_result);
    for (unsigned i = 0; i < n_tables; i++) {
        const ir_node *n = group_node(&sum, i);
        if (graph_type(g->graph, n->first_result) != rows || !add_table(k, g, n, i)) return false;
    }
    kernel_set(k, "tables", (int64_t)n_tables);
    kernel_set(k, "E", type_features(rows));
    kernel_set(k, "W", tiles ? (int64_t)result->tile : 0);
    if (!kernel_express(k, &sum, n_tables, rows) || expression_has_setup(&k->expression)) return false;
    if (tiles) {
        int number = expression_find(&k->expression, last->inputs[0]);
        if (k->expression.n_stores > 0 || number < 0 || !is_f32_tiles(result)) return false;
        k->expression.stores[0].value = (unsigned)number;
        k->expression.stores[0].operand = kernel_operand(k, norm ? norm->first_result : last->first_result);
        k->expression.n_stores = 1;
    }
    kernel_set(k, "norm", norm != NULL);
    if (norm && (g->stored[last->first_result] || !norm_tile_describe(g, norm, k))) return false;
    kernel_dim(k, rows->dims[0]);
    k->work = rows->dims[0];
    k->work_per_unit = tiles ? (int64_t)result->tile : UNIT_ROWS;
    if (tiles) kernel_by_block(k, k->work, result->tile, 1);
    k->bytes = kernel_scaled(rows->dims[0], 4 * type_features(rows) * (int64_t)(n_tables + 1), 0, NULL);
    return k->expression.n_stores > 0;
}

typedef struct embedding_code {
    const cg_kernel *kernel;
    int64_t E, W, n_tables;
    unsigned size; /* rows and features of a block */
    cg_val operand[KERNEL_MAX_OPERANDS], n_rows;
    cg_val starts; /* [tables][size] i64: where the rows of a block start in their tables */
    cg_val rows;   /* [size] i64: their numbers */
} embedding_code;

/* Looks up the rows of the block at `row`. */
static void emit_look_up(emitter *e, const embedding_code *c, cg_val row) {
    em_loop lanes;
    em_loop_begin(e, &lanes, em_int(e, 0), em_int(e, c->size), 1, NULL, 0);
    cg_val r = em_min(e, em_add(e, row, lanes.index), em_add_int(e, c->n_rows, -1));
    em_store_int(e, IR_I64, r, em_index(e, c->rows, lanes.index, 8));
    for (int64_t t = 0; t < c->n_tables; t++) {
        ir_dtype dtype = kernel_get_dtype(c->kernel, ids_names[t]);
        cg_val id = em_load_int(e, dtype, em_index(e, c->operand[2 * t + 1], r, em_dtype_bytes(dtype)));
        id = em_max(e, em_int(e, 0), em_min(e, id, em_int(e, kernel_get(c->kernel, rows_names[t]) - 1)));
        em_store_int(e, IR_I64, em_mul_int(e, id, 4 * c->E), em_index(e, em_at_int(e, c->starts, 8 * t * c->size), lanes.index, 8));
    }
    em_loop_end(e, &lanes, NULL);
}

/* value[]: the expression for features [feature, feature + size) of row i of the block. */
static void emit_row(emitter *e, const embedding_code *c, cg_val i, cg_val feature, cg_val value[EXPRESSION_MAX_VALUES]) {
    const cg_expression *x = &c->kernel->expression;
    for (unsigned v = 0; v < x->n_inputs; v++) {
        cg_val pointer, offset = em_mul_int(e, feature, 4);
        unsigned operand = x->inputs[v].operand;
        switch (x->inputs[v].source) {
        case SOURCE_COMPUTED: /* table number `operand` */
            pointer = em_at(e, c->operand[2 * operand],
                            em_load_int(e, IR_I64, em_index(e, em_at_int(e, c->starts, 8 * (int64_t)(operand * c->size)), i, 8)));
            value[v] = em_load(e, c->size, em_at(e, pointer, offset), 4);
            break;
        case SOURCE_FULL:
            pointer = em_index(e, c->operand[operand], em_load_int(e, IR_I64, em_index(e, c->rows, i, 8)), 4 * c->E);
            value[v] = em_load(e, c->size, em_at(e, pointer, offset), 4);
            break;
        case SOURCE_FEATURE: value[v] = em_load(e, c->size, em_at(e, c->operand[operand], offset), 4); break;
        case SOURCE_RANDOM:
        case SOURCE_RANGE: value[v] = NULL; break; /* refused */
        case SOURCE_SCALAR: value[v] = em_load_splat(e, c->size, c->operand[operand]); break;
        }
    }
    expression_emit(e, x, value);
}

static void emit_tile_block(emitter *e, const embedding_code *c, cg_val row, cg_val feature) {
    const cg_expression *x = &c->kernel->expression;
    cg_val block[TRANSPOSE_MAX], value[EXPRESSION_MAX_VALUES];
    for (unsigned i = 0; i < c->size; i++) {
        emit_row(e, c, em_int(e, i), feature, value);
        block[i] = value[x->stores[0].value];
    }
    transpose_emit(e, block, c->size);
    cg_val tile = em_div_int(e, row, c->W), lane = em_rem_int(e, row, c->W);
    cg_val at = em_add(e, em_mul_int(e, em_add(e, em_mul_int(e, tile, c->E), feature), 4 * c->W), em_mul_int(e, lane, 4));
    for (unsigned i = 0; i < c->size; i++)
        em_store(e, block[i], em_at_int(e, em_at(e, c->operand[x->stores[0].operand], at), 4 * (int64_t)i * c->W), 4 * c->size);
}

static void emit_row_block(emitter *e, const embedding_code *c, cg_val row, cg_val feature) {
    const cg_expression *x = &c->kernel->expression;
    cg_val value[EXPRESSION_MAX_VALUES];
    em_loop rows;
    em_loop_begin(e, &rows, em_int(e, 0), em_min(e, em_int(e, c->size), em_sub(e, c->n_rows, row)), 1, NULL, 0);
    emit_row(e, c, rows.index, feature, value);
    cg_val at = em_mul_int(e, em_add(e, em_mul_int(e, em_add(e, row, rows.index), c->E), feature), 4);
    for (unsigned i = 0; i < x->n_stores; i++)
        em_store(e, value[x->stores[i].value], em_at(e, c->operand[x->stores[i].operand], at), 4);
    em_loop_end(e, &rows, NULL);
}

void emit_embedding(emitter *e, const cg_kernel *k) {
    embedding_code c = {
        .kernel = k, .E = kernel_get(k, "E"), .W = kernel_get(k, "W"), .n_tables = kernel_get(k, "tables"), .n_rows = em_dim(e, 0)};
    c.size = transpose_size(c.W ? tile_lanes(e->lanes, c.W) : e->lanes, c.E);
    kernel_operands(e, k, c.operand);
    c.starts = em_stack(e, 8 * c.n_tables * c.size, 8);
    c.rows = em_stack(e, 8 * (int64_t)c.size, 8);
    int64_t unit = c.W ? c.W : UNIT_ROWS;
    em_loop units, rows, blocks;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val begin = em_mul_int(e, units.index, unit), end = em_add_int(e, begin, unit);
    if (c.W) { /* whole vectors */
        cg_val live = tile_live_lanes(e, c.n_rows, units.index, c.W, tile_lanes(e->lanes, c.W));
        end = em_add(e, begin, live);
    } else {
        end = em_min(e, end, c.n_rows);
    }
    em_loop_begin(e, &rows, begin, end, c.size, NULL, 0);
    emit_look_up(e, &c, rows.index);
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, transpose_blocks(c.E, c.size)), 1, NULL, 0);
    cg_val feature = transpose_block_start(e, blocks.index, c.E, c.size);
    if (c.W) emit_tile_block(e, &c, rows.index, feature);
    else emit_row_block(e, &c, rows.index, feature);
    em_loop_end(e, &blocks, NULL);
    em_loop_end(e, &rows, NULL);
    if (kernel_get(k, "norm")) norm_tile_emit(e, k, c.operand, c.operand[kernel_get(k, "y")], NULL, c.n_rows, units.index);
    em_loop_end(e, &units, NULL);
}
