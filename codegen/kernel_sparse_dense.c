/*
 * Between a dense weight [N,K] and the non-zeros of its pattern, in the pattern's own order: dense_to_sparse and sparse_to_dense.
 *
 * Both walk the index of a sparse layout (ir/sparse_layout.h, stream) whose tile is two tokens wide, so that an offset is a column, and
 * in which a visit has the number of its first non-zero. A unit is a group of rows: it alone reads or writes their elements and their
 * non-zeros. sparse_to_dense clears the rows first, so each of its elements is written by one unit.
 *
 * For patterns that are leaves and f32 in rows.
 *
 * operands: x, index, y. dims: none.
 */
#include <stddef.h>

#include "codegen/sparse_rows.h"

#define TILE 2 /* bytes / 8 of a column's offset in a tile: one each */
#define ROWS SPARSE_ROWS
#define MOST_BLOCK 32768 /* columns, below the layout's limit */
#define UNROLL 4

sparse_layout sparse_rows_layout(int64_t K) {
    return (sparse_layout){.kind = SPARSE_STREAM,
                           .tile = TILE,
                           .k_block = (uint16_t)(K < MOST_BLOCK ? K : MOST_BLOCK),
                           .row_group = ROWS,
                           .block_rows = 1,
                           .block_columns = 1};
}

static bool describe_places(const cg_group *g, ir_op op, cg_kernel *k) {
    const ir_node *n = group_single(g, op);
    int64_t N, K;
    bool ok;
    if (!n || graph_node_of(g->graph, n->inputs[1])->op != OP_pattern) return false;
    const ir_type *pattern = graph_type(g->graph, n->inputs[1]), *x = graph_type(g->graph, n->inputs[0]),
                  *y = graph_type(g->graph, n->first_result), *values = op == OP_dense_to_sparse ? y : x;
    if (!is_f32_rows(x) || !is_f32_rows(y) || !dim_is_const(pattern->dims[0], &N) || !dim_is_const(pattern->dims[1], &K))
        return false;
    if (N < 1 || K < 1) return false;
    const sparse_layout layout = sparse_rows_layout(K);
    kernel_operand(k, n->inputs[0]);
    kernel_sparse_operand(k, n->inputs[1], PACKING_SPARSE_INDEX, &layout);
    kernel_operand(k, n->first_result);
    kernel_set(k, "N", N);
    kernel_set(k, "K", K);
    kernel_set(k, "k_block", layout.k_block);
    k->work = dim_const(N);
    k->work_per_unit = ROWS;
    k->bytes =
        op == OP_dense_to_sparse ? kernel_scaled(values->dims[0], 10, 0, NULL) : kernel_scaled(type_elements(y, &ok), 4, 0, NULL);
    return true;
}

bool describe_dense_to_sparse(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    return describe_places(g, OP_dense_to_sparse, k);
}

bool describe_sparse_to_dense(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    return describe_places(g, OP_sparse_to_dense, k);
}

/* ---- the walk ---- */

typedef struct place_code {
    int64_t N, K, k_block;
    cg_val dense, values;
    bool to_dense;
    sparse_row_visit visit; /* in place of copies; NULL: none */
    void *user;
    cg_val index, segments, buckets, rows, firsts, offsets;
} place_code;

static cg_val load_u32(emitter *e, cg_val at, int64_t offset) { return em_load_unsigned(e, 4, em_at_int(e, at, offset)); }

/* Elements [begin, end) of a visit. row: of the dense weight, at the block's first column; values: of the first element. */
static void emit_elements(emitter *e, const place_code *c, cg_val row, cg_val values, cg_val offsets, cg_val begin, cg_val end,
                          unsigned unroll) {
    em_loop loop;
    em_loop_begin(e, &loop, begin, end, unroll, NULL, 0);
    cg_val from = em_index(e, offsets, loop.index, 2), value = em_index(e, values, loop.index, 4);
    for (unsigned i = 0; i < unroll; i++) {
        cg_val element = em_index(e, row, em_load_unsigned(e, 2, em_at_int(e, from, 2 * (int64_t)i)), 4);
        cg_val place = em_at_int(e, value, 4 * (int64_t)i);
        em_store(e, em_load(e, 1, c->to_dense ? place : element, 4), c->to_dense ? element : place, 4);
    }
    em_loop_end(e, &loop, NULL);
}

/* One visit of `entries` elements. rows: dense rows of the group, at the block's first column. */
static void emit_visit(emitter *e, const place_code *c, cg_val rows, cg_val visit, cg_val entry, cg_val entries) {
    cg_val number = em_load_unsigned(e, 2, em_index(e, c->rows, visit, 2)),
           first = em_load_unsigned(e, 4, em_index(e, c->firsts, visit, 4));
    if (c->visit) {
        c->visit(e, c->user, number, first, entries);
        return;
    }
    cg_val row = em_index(e, rows, number, 4 * c->K), values = em_index(e, c->values, first, 4);
    cg_val offsets = em_index(e, c->offsets, entry, 2), whole = em_sub(e, entries, em_rem_int(e, entries, UNROLL));
    emit_elements(e, c, row, values, offsets, em_int(e, 0), whole, UNROLL);
    emit_elements(e, c, row, values, offsets, whole, entries, 1);
}

/* All visits of a group in a block of columns. */
static void emit_segment(emitter *e, const place_code *c, cg_val rows, cg_val segment) {
    enum { VISIT, ENTRY, N_PLACES };
    const int64_t next = (int64_t)sizeof(sparse_segment);
    cg_val s = em_index(e, c->segments, segment, next);
    cg_val at[N_PLACES] = {load_u32(e, s, offsetof(sparse_segment, visit)), load_u32(e, s, offsetof(sparse_segment, entry))};
    em_loop buckets, visits;
    em_loop_begin(e, &buckets, load_u32(e, s, 0), load_u32(e, s, next), 1, at, N_PLACES);
    cg_val bucket = em_index(e, c->buckets, buckets.index, (int64_t)sizeof(sparse_bucket));
    cg_val entries = em_load_unsigned(e, 2, bucket), n_visits = em_load_unsigned(e, 2, em_at_int(e, bucket, 2));
    em_loop_begin(e, &visits, em_int(e, 0), n_visits, 1, buckets.carried, N_PLACES);
    emit_visit(e, c, rows, visits.carried[VISIT], visits.carried[ENTRY], entries);
    at[VISIT] = em_add_int(e, visits.carried[VISIT], 1);
    at[ENTRY] = em_add(e, visits.carried[ENTRY], entries);
    em_loop_end(e, &visits, at);
    em_loop_end(e, &buckets, visits.carried);
}

/* Clears `count` elements. */
static void emit_clear(emitter *e, cg_val to, cg_val count) {
    cg_val whole = em_sub(e, count, em_rem_int(e, count, e->lanes));
    em_loop vectors, rest;
    em_loop_begin(e, &vectors, em_int(e, 0), whole, e->lanes, NULL, 0);
    em_store(e, em_const(e, e->lanes, 0), em_index(e, to, vectors.index, 4), 4);
    em_loop_end(e, &vectors, NULL);
    em_loop_begin(e, &rest, whole, count, 1, NULL, 0);
    em_store(e, em_const(e, 1, 0), em_index(e, to, rest.index, 4), 4);
    em_loop_end(e, &rest, NULL);
}

static void find_parts(emitter *e, place_code *c) {
    c->segments = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, segments)));
    c->buckets = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, buckets)));
    c->rows = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, rows)));
    c->firsts = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, firsts)));
    c->offsets = em_at(e, c->index, load_u32(e, c->index, offsetof(sparse_header, offsets)));
}

/* Group `group` of rows, whose first one is at `dense`. */
static void emit_group(emitter *e, const place_code *c, cg_val group, cg_val n_rows, cg_val dense) {
    const int64_t k_blocks = (c->K + c->k_block - 1) / c->k_block;
    em_loop blocks;
    if (c->to_dense) emit_clear(e, dense, em_mul_int(e, n_rows, c->K));
    em_loop_begin(e, &blocks, em_int(e, 0), em_int(e, k_blocks), 1, NULL, 0);
    cg_val segment = em_add(e, em_mul_int(e, group, k_blocks), blocks.index);
    emit_segment(e, c, em_index(e, dense, blocks.index, 4 * c->k_block), segment);
    em_loop_end(e, &blocks, NULL);
}

static void emit_units(emitter *e, place_code *c) {
    em_loop groups;
    find_parts(e, c);
    em_loop_begin(e, &groups, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val row0 = em_mul_int(e, groups.index, ROWS), n_rows = em_min(e, em_int(e, ROWS), em_sub(e, em_int(e, c->N), row0));
    emit_group(e, c, groups.index, n_rows, em_index(e, c->dense, row0, 4 * c->K));
    em_loop_end(e, &groups, NULL);
}

void emit_sparse_rows(emitter *e, int64_t N, int64_t K, cg_val index, cg_val values, cg_val group, cg_val n_rows, cg_val dense) {
    place_code c = {.N = N, .K = K, .k_block = sparse_rows_layout(K).k_block, .values = values, .to_dense = true, .index = index};
    find_parts(e, &c);
    emit_group(e, &c, group, n_rows, dense);
}

void emit_sparse_row_visits(emitter *e, int64_t N, int64_t K, cg_val index, cg_val group, sparse_row_visit visit, void *user) {
    place_code c = {.N = N, .K = K, .k_block = sparse_rows_layout(K).k_block, .index = index, .visit = visit, .user = user};
    find_parts(e, &c);
    emit_group(e, &c, group, NULL, index);
}

static place_code code_of(emitter *e, const cg_kernel *k) {
    return (place_code){
        .N = kernel_get(k, "N"), .K = kernel_get(k, "K"), .k_block = kernel_get(k, "k_block"), .index = em_buffer(e, 1)};
}

void emit_dense_to_sparse(emitter *e, const cg_kernel *k) {
    place_code c = code_of(e, k);
    c.dense = em_buffer(e, 0);
    c.values = em_buffer(e, 2);
    emit_units(e, &c);
}

void emit_sparse_to_dense(emitter *e, const cg_kernel *k) {
    place_code c = code_of(e, k);
    c.values = em_buffer(e, 0);
    c.dense = em_buffer(e, 2);
    c.to_dense = true;
    emit_units(e, &c);
}
