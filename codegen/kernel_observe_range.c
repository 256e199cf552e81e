/*
 * observe_range: what is known of a tensor's range (ir/ops/op_quantize.c), in two steps. The first (observe_extremes) finds the least and the
 * greatest finite element of each part of x; the second goes over the parts in their order, and puts what they say to the range. A minimum does not
 * depend on its order, so the bits do not depend on the number of threads.
 *
 * In tiles a part is a tile, whose rows alone count, and the first step goes block by block behind the one that makes x, while x is in the cache. In
 * rows x is cut into at most PARTS equal parts by its number of elements.
 *
 * Where each row of a weight has a range of its own, one step does all (observe_rows): a unit is a group of rows, dense or of non-zeros, whose extremes
 * stand in memory until all of a row has been seen.
 *
 * Parts are pairs of f32, least and greatest; of a part without a finite number +inf and -inf. Zeros are +0.
 *
 * operands: observe_extremes: x, parts; observe_range: parts, range, [forward], result; observe_rows: x, [index], range, [forward], result. dims: R in
 * tiles, else elements; observe_rows: none.
 */
#include <math.h>

#include "codegen/weight_rows.h"

#define PARTS 64
#define PART_ELEMENTS 4096 /* parts are a multiple of it */
#define MOST_VECTORS 4     /* of a tile side by side */
#define UNROLL 4           /* vectors of rows side by side */

/* Parts of x in rows. */
static int64_t part_count(const ir_type *x) {
    bool ok;
    int64_t n;
    const ir_dim elements = type_elements(x, &ok);
    if (!ok || !dim_is_const(elements, &n) || n > PARTS * PART_ELEMENTS) return PARTS;
    return n <= PART_ELEMENTS ? 1 : (n + PART_ELEMENTS - 1) / PART_ELEMENTS;
}

/* x, whose range one number pair holds; NULL: the group is another one. */
static const ir_type *observed(const cg_group *g) {
    const ir_node *n = group_single(g, OP_observe_range);
    if (!n || graph_type(g->graph, n->inputs[1])->rank != 1) return NULL;
    const ir_type *x = graph_type(g->graph, n->inputs[0]);
    return is_f32_tiles(x) || is_f32_rows(x) ? x : NULL;
}

/* The parts as an operand: a tile has one, and there are no more tiles than rows. And dims and parameters that say how many there are. */
static bool describe_parts(cg_kernel *k, const cg_group *g, const ir_type *x) {
    const bool tiles = x->layout == LAYOUT_TILES;
    bool ok = true;
    kernel_workspace(k, g, 0, tiles ? kernel_scaled(x->dims[0], 2, 0, &ok) : dim_const(2 * part_count(x)));
    kernel_set(k, "W", tiles ? x->tile : 0);
    kernel_set(k, "parts", tiles ? 0 : part_count(x));
    kernel_dim(k, tiles ? x->dims[0] : type_elements(x, &ok));
    return ok;
}

bool describe_observe_extremes(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_type *x = observed(g);
    bool ok;
    if (!x) return false;
    const bool tiles = x->layout == LAYOUT_TILES;
    kernel_operand(k, group_node(g, 0)->inputs[0]);
    if (!describe_parts(k, g, x)) return false;
    kernel_set(k, "E", tiles ? type_features(x) : 0);
    k->work = tiles ? x->dims[0] : dim_const(part_count(x));
    k->work_per_unit = tiles ? (int64_t)x->tile : 1;
    if (tiles) kernel_by_block(k, k->work, x->tile, 1);
    k->bytes = kernel_scaled(type_elements(x, &ok), 4, 0, NULL);
    k->next = "observe_range";
    return true;
}

/* How the range moves. */
static void describe_moves(cg_kernel *k, const ir_node *n) {
    kernel_operand(k, n->inputs[1]);
    kernel_set(k, "forward", node_input(n, 2) ? (int64_t)kernel_operand(k, n->inputs[2]) : 0);
    kernel_set(k, "result", kernel_operand(k, n->first_result));
    kernel_set(k, "begin", node_int(n, "begin"));
    kernel_set_real(k, "averaging", node_float(n, "averaging"));
    k->in_place = true;
}

bool describe_observe_range(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_type *x = observed(g);
    if (!x || !describe_parts(k, g, x)) return false;
    describe_moves(k, group_node(g, 0));
    k->work = dim_const(1);
    k->light = true;
    return true;
}

bool describe_observe_rows(const cg_group *g, const cg_target *target, cg_kernel *k) {
    (void)target;
    const ir_node *n = group_single(g, OP_observe_range);
    if (!n || graph_type(g->graph, n->inputs[1])->rank != 2 || !describe_weight_rows(g, n->inputs[0], node_input(n, 3), k))
        return false;
    describe_moves(k, n);
    return true;
}

/* ---- parts ---- */

/* Least and greatest, vectors of one size. */
typedef struct extremes {
    cg_val least, greatest;
} extremes;

static extremes no_extremes(emitter *e, unsigned lanes) {
    return (extremes){em_const(e, lanes, HUGE_VAL), em_const(e, lanes, -HUGE_VAL)};
}

/* Takes in b; NaN enters nothing. */
static extremes merge(emitter *e, extremes a, extremes b) {
    return (extremes){em_select(e, em_fless(e, b.least, a.least), b.least, a.least),
                      em_select(e, em_fless(e, a.greatest, b.greatest), b.greatest, a.greatest)};
}

/* x - x is 0 of what is finite, else NaN. */
static extremes take(emitter *e, extremes a, cg_val x) {
    x = em_fadd(e, x, em_fsub(e, x, x));
    return merge(e, a, (extremes){x, x});
}

/* Of all lanes, in halves. */
static extremes fold_lanes(emitter *e, extremes a) {
    for (unsigned n = em_lanes_of(a.least) / 2; n > 0; n /= 2) {
        unsigned low[64], high[64];
        for (unsigned l = 0; l < n; l++) low[l] = l, high[l] = n + l;
        const extremes halves[] = {{em_shuffle(e, a.least, a.least, n, low), em_shuffle(e, a.greatest, a.greatest, n, low)},
                                   {em_shuffle(e, a.least, a.least, n, high), em_shuffle(e, a.greatest, a.greatest, n, high)}};
        a = merge(e, halves[0], halves[1]);
    }
    return a;
}

static extremes load_extremes(emitter *e, cg_val at) {
    return (extremes){em_load(e, 1, at, 4), em_load(e, 1, em_at_int(e, at, 4), 4)};
}

static void store_extremes(emitter *e, extremes a, cg_val at) {
    em_store(e, a.least, at, 4);
    em_store(e, a.greatest, em_at_int(e, at, 4), 4);
}

static void store_part(emitter *e, cg_val part, const extremes *a, unsigned n) {
    extremes all = a[0];
    for (unsigned i = 1; i < n; i++) all = merge(e, all, a[i]);
    store_extremes(e, fold_lanes(e, all), em_index(e, em_buffer(e, 1), part, 8));
}

static void unpack(const em_loop *loop, extremes *a, unsigned n) {
    for (unsigned i = 0; i < n; i++) a[i] = (extremes){loop->carried[2 * i], loop->carried[2 * i + 1]};
}

static void pack(cg_val *values, const extremes *a, unsigned n) {
    for (unsigned i = 0; i < n; i++) values[2 * i] = a[i].least, values[2 * i + 1] = a[i].greatest;
}

/* Elements [begin, end) of x, `n` vectors side by side. */
static void emit_elements(emitter *e, cg_val begin, cg_val end, extremes *a, unsigned n) {
    const unsigned lanes = em_lanes_of(a[0].least);
    cg_val values[2 * UNROLL];
    em_loop loop;
    pack(values, a, n);
    em_loop_begin(e, &loop, begin, end, (int64_t)n * lanes, values, 2 * n);
    unpack(&loop, a, n);
    cg_val at = em_index(e, em_buffer(e, 0), loop.index, 4);
    for (unsigned i = 0; i < n; i++) a[i] = take(e, a[i], em_load(e, lanes, em_at_int(e, at, 4 * (int64_t)i * lanes), 4));
    pack(values, a, n);
    em_loop_end(e, &loop, values);
    unpack(&loop, a, n);
}

static void emit_rows(emitter *e, const cg_kernel *k) {
    cg_val n = em_dim(e, 0);
    cg_val part = em_mul_int(e, em_div_int_up(e, n, kernel_get(k, "parts") * PART_ELEMENTS), PART_ELEMENTS);
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val begin = em_min(e, em_mul(e, units.index, part), n), end = em_min(e, em_add(e, begin, part), n);
    cg_val whole = em_sub(e, end, em_rem_int(e, em_sub(e, end, begin), UNROLL * (int64_t)e->lanes));
    extremes found[UNROLL], rest = no_extremes(e, 1);
    for (unsigned i = 0; i < UNROLL; i++) found[i] = no_extremes(e, e->lanes);
    emit_elements(e, begin, whole, found, UNROLL);
    emit_elements(e, whole, end, &rest, 1);
    for (unsigned i = 1; i < UNROLL; i++) found[0] = merge(e, found[0], found[i]);
    found[0] = fold_lanes(e, found[0]);
    const extremes both[] = {found[0], rest};
    store_part(e, units.index, both, 2);
    em_loop_end(e, &units, NULL);
}

/* Lanes [lane, lane + n vectors) of a tile, all features. row: that of the lane; in the last tile lanes without a row count as NaN. */
static void emit_lanes(emitter *e, const cg_kernel *k, cg_val x, cg_val row, extremes *a, unsigned n, bool last) {
    const int64_t W = kernel_get(k, "W");
    const unsigned lanes = em_lanes_of(a[0].least);
    cg_val values[2 * MOST_VECTORS], inside[MOST_VECTORS];
    for (unsigned i = 0; i < n && last; i++)
        inside[i] = em_lanes_in_range(e, lanes, em_add_int(e, row, (int64_t)i * lanes), em_int(e, 0), em_dim(e, 0));
    em_loop loop;
    pack(values, a, n);
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, kernel_get(k, "E")), 1, values, 2 * n);
    unpack(&loop, a, n);
    for (unsigned i = 0; i < n; i++) {
        cg_val at = em_at_int(e, em_index(e, x, loop.index, 4 * W), 4 * (int64_t)i * lanes), v = em_load(e, lanes, at, 4 * lanes);
        a[i] = take(e, a[i], last ? em_select(e, inside[i], v, em_const(e, lanes, NAN)) : v);
    }
    pack(values, a, n);
    em_loop_end(e, &loop, values);
    unpack(&loop, a, n);
}

/* All vectors of a tile that hold rows. */
static void emit_tile(emitter *e, const cg_kernel *k, cg_val tile, cg_val live, bool last) {
    const int64_t W = kernel_get(k, "W");
    const unsigned lanes = tile_lanes(e->lanes, W), n = last ? 1 : tile_vectors(lanes, W, MOST_VECTORS);
    cg_val x = em_index(e, em_buffer(e, 0), tile, 4 * W * kernel_get(k, "E")), values[2 * MOST_VECTORS];
    extremes found[MOST_VECTORS];
    em_loop parts;
    for (unsigned i = 0; i < n; i++) found[i] = no_extremes(e, lanes);
    pack(values, found, n);
    em_loop_begin(e, &parts, em_int(e, 0), live, (int64_t)n * lanes, values, 2 * n);
    unpack(&parts, found, n);
    cg_val row = em_add(e, em_mul_int(e, tile, W), parts.index);
    emit_lanes(e, k, em_index(e, x, parts.index, 4), row, found, n, last);
    pack(values, found, n);
    em_loop_end(e, &parts, values);
    unpack(&parts, found, n);
    store_part(e, tile, found, n);
}

static void emit_tiles(emitter *e, const cg_kernel *k) {
    const int64_t W = kernel_get(k, "W");
    em_loop tiles;
    em_if last;
    em_loop_begin(e, &tiles, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val behind = em_mul_int(e, em_add_int(e, tiles.index, 1), W);
    em_if_begin(e, &last, em_less(e, em_dim(e, 0), behind));
    emit_tile(e, k, tiles.index, tile_live_lanes(e, em_dim(e, 0), tiles.index, W, tile_lanes(e->lanes, W)), true);
    em_else(e, &last);
    emit_tile(e, k, tiles.index, em_int(e, W), false);
    em_if_end(e, &last);
    em_loop_end(e, &tiles, NULL);
}

void emit_observe_extremes(emitter *e, const cg_kernel *k) {
    if (kernel_get(k, "W")) emit_tiles(e, k);
    else emit_rows(e, k);
}

/* ---- the range ---- */

static extremes emit_merged_parts(emitter *e, const cg_kernel *k) {
    const int64_t W = kernel_get(k, "W");
    cg_val n = W ? em_div_int_up(e, em_dim(e, 0), W) : em_int(e, kernel_get(k, "parts")), values[2];
    extremes now = no_extremes(e, 1);
    em_loop parts;
    pack(values, &now, 1);
    em_loop_begin(e, &parts, em_int(e, 0), n, 1, values, 2);
    unpack(&parts, &now, 1);
    now = merge(e, now, load_extremes(e, em_index(e, em_buffer(e, 0), parts.index, 8)));
    pack(values, &now, 1);
    em_loop_end(e, &parts, values);
    unpack(&parts, &now, 1);
    return now;
}

/* known + share (now - known); of a share of 0 the extremes of both. */
static extremes emit_average(emitter *e, const cg_kernel *k, extremes known, extremes now) {
    const double share = kernel_get_real(k, "averaging");
    if ((float)share == 0) return merge(e, known, now);
    cg_val part = em_const(e, 1, share);
    return (extremes){em_fadd(e, known.least, em_fmul(e, part, em_fsub(e, now.least, known.least))),
                      em_fadd(e, known.greatest, em_fmul(e, part, em_fsub(e, now.greatest, known.greatest)))};
}

static extremes choose(emitter *e, cg_val condition, extremes a, extremes b) {
    return (extremes){em_select(e, condition, a.least, b.least), em_select(e, condition, a.greatest, b.greatest)};
}

/* Puts what was found to the range at `known`, and the result to `to`, which may be the same place. */
static void emit_move(emitter *e, const cg_kernel *k, extremes now, cg_val known_at, cg_val to) {
    const int64_t forward = kernel_get(k, "forward");
    const extremes known = load_extremes(e, known_at);
    extremes next = choose(e, em_fless(e, known.greatest, known.least), now, emit_average(e, k, known, now));
    if (forward) {
        cg_val number = em_load_int(e, IR_I64, em_buffer(e, (unsigned)forward)), begin = em_int(e, kernel_get(k, "begin"));
        next = choose(e, em_equal(e, number, begin), now, next);
        next = choose(e, em_less(e, number, begin), known, next);
    }
    store_extremes(e, choose(e, em_fless(e, now.greatest, now.least), known, next), to);
}

void emit_observe_range(emitter *e, const cg_kernel *k) {
    emit_move(e, k, emit_merged_parts(e, k), em_buffer(e, 1), em_buffer(e, (unsigned)kernel_get(k, "result")));
}

/* ---- ranges of rows ---- */

/* A row's elements [first, first + count) of x into what was found of it before, in memory. user: that of the group. */
static void take_elements(emitter *e, void *user, cg_val row, cg_val first, cg_val count) {
    cg_val at = em_index(e, user, row, 8), end = em_add(e, first, count);
    extremes found = no_extremes(e, e->lanes), rest = load_extremes(e, at);
    cg_val whole = em_sub(e, end, em_rem_int(e, count, e->lanes));
    emit_elements(e, first, whole, &found, 1);
    emit_elements(e, whole, end, &rest, 1);
    store_extremes(e, merge(e, rest, fold_lanes(e, found)), at);
}

void emit_observe_rows(emitter *e, const cg_kernel *k) {
    cg_val found = em_stack(e, 8 * SPARSE_ROWS, 64);
    const unsigned range = kernel_get(k, "sparse") ? 2 : 1;
    em_loop groups, rows;
    em_loop_begin(e, &groups, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    for (int64_t i = 0; i < SPARSE_ROWS; i++) store_extremes(e, no_extremes(e, 1), em_at_int(e, found, 8 * i));
    emit_weight_rows(e, k, groups.index, take_elements, found);
    cg_val row0 = em_mul_int(e, groups.index, SPARSE_ROWS),
           n = em_min(e, em_int(e, SPARSE_ROWS), em_sub(e, em_int(e, kernel_get(k, "N")), row0));
    em_loop_begin(e, &rows, em_int(e, 0), n, 1, NULL, 0);
    cg_val at = em_add(e, row0, rows.index), to = em_buffer(e, (unsigned)kernel_get(k, "result"));
    emit_move(e, k, load_extremes(e, em_index(e, found, rows.index, 8)), em_index(e, em_buffer(e, range), at, 8),
              em_index(e, to, at, 8));
    em_loop_end(e, &rows, NULL);
    em_loop_end(e, &groups, NULL);
}
