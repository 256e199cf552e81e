/*
 * linear_int8 with a pattern [+ elementwise [+ quantize]]: the sums of u8 * s8 over the non-zeros of a weight alone, exact in 32 bits, and what
 * int8_epilogue.h makes of them. x [R,K] lies in quads<W>, or in tiles<W> of bytes; the weight in the order of ir/sparse_layout.h.
 *
 * One unit is a group of rows of the weight with one tile. Its sums, i32 [row_group][W], lie in scratch. A block of x lies in L1 while all visits of the
 * block pass; a visit adds a row's entries in chains of their own and then, but for the first block, in which each row has a visit, the row's sums of before. All visits of a bucket have the same number of
 * entries, so the loops over rounds of U, U / 2, ... 1 entries end alike for all of them.
 *
 *   quads   an entry is four neighbouring columns: for each vector of tokens one load of x and one dot product with its four values, which are broadcast.
 *           One instruction where the target has CG_DOT_U8S8; with vpmaddubsw three, of entries that it does not saturate (SPLIT_QUADS).
 *   fours   an entry is any four columns of a row, whose bytes are interleaved to those of the same token: four vectors, of a quarter of the tokens each, meet
 *           its values in one dot product each. The order of the tokens is put right when a visit ends. With half as many loads and as many other
 *           instructions as quads, the faster way for zeros one by one.
 *   pairs   fours without CG_DOT_U8S8: interleaved to twos, multiplied and added to 16 bits by vpmaddubsw without saturation, then to fours and added.
 *
 * operands: x, weight, [those of int8_epilogue.h]. dims: R, N, K.
 */
#include "codegen/dot_product.h"
#include "codegen/int8_epilogue.h"
#include "codegen/kernel.h"
#include "codegen/sparse_defaults.h"
#include "codegen/sparse_passes.h"

#define MAX_SUMS 16       /* vectors: chains, vectors of x */
#define BLOCK_BYTES 24576 /* of x in vectors of 32 bytes, where L1 has 32 KB; twice as many in those of 64 */
#define MOST_ROWS 384     /* of a group, whose sums stay in L2 */
#define FOUR_SUMS 4       /* vectors of i32 for one vector of bytes in tiles */

typedef struct int8_shape {
    sparse_layout layout;
    unsigned unroll, vectors, chains, shuffled;
} int8_shape;

/* n cut into the fewest parts of at most `most`, all about equal, each a multiple of 4. */
static int64_t equal_parts(int64_t n, int64_t most) {
    const int64_t parts = (n + most - 1) / most;
    return parts > 0 ? ((n + parts - 1) / parts + 3) / 4 * 4 : 4;
}

/* The layout of non-zeros for activations as they lie. */
static uint16_t layout_kind(const cg_target *t, const int8_product *p) {
    const bool in_pairs = em_has_pair_products(t) && !(t->extensions & CG_DOT_U8S8);
    if (!p->quads) return in_pairs ? SPARSE_PAIRS : SPARSE_FOURS;
    return in_pairs ? SPARSE_SPLIT_QUADS : SPARSE_QUADS;
}

/* Lanes of i32 of one vector of x: of bytes in tiles four vectors come of it. */
static unsigned lanes_of(const cg_target *t, const int8_product *p) {
    return p->quads ? tile_lanes(t->vector_bytes / 4, p->W) : tile_lanes(t->vector_bytes, p->W) / 4;
}

static bool choose_shape(const cg_kernel *k, const cg_target *t, const int8_product *p, int8_shape *s) {
    const unsigned lanes = lanes_of(t, p), tokens = p->quads ? lanes : 4 * lanes;
    const int64_t block_bytes = t->vector_bytes == 64 ? 2 * BLOCK_BYTES : BLOCK_BYTES;
    const int64_t W = p->W, k_block = kernel_option(k, "k_block", equal_parts(p->K, block_bytes / W > 4 ? block_bytes / W : 4)),
                  rows = kernel_option(k, "rows", equal_parts(p->N, MOST_ROWS)), in_flight = t->vector_registers >= 32 ? 16 : 8;
    if (kernel_option(k, "tile", W) != W || W % 4 != 0 || W > 1024) return false;
    if (!p->quads && lanes < 4) return false;
    s->layout = (sparse_layout){.kind = layout_kind(t, p),
                                .tile = (uint16_t)W,
                                .k_block = (uint16_t)((k_block + 3) / 4 * 4),
                                .row_group = (uint16_t)((rows + 3) / 4 * 4),
                                .block_rows = 1,
                                .block_columns = 1};
    if (k_block > UINT16_MAX - 3 || rows > UINT16_MAX - 3 || (k_block + 3) * (W / 4) > UINT16_MAX) return false;
    s->unroll = (unsigned)kernel_option(k, "unroll", p->quads ? 4 : 2);
    if ((s->unroll & (s->unroll - 1)) != 0 || kernel_option(k, "bytes", !p->quads) != !p->quads) return false;
    s->vectors = p->quads ? SPARSE_MOST_VECTORS : 1;
    while (s->vectors * tokens > W) s->vectors /= 2;
    s->chains = p->quads ? 1 : FOUR_SUMS;
    while (p->quads && 2 * s->chains * s->vectors <= in_flight && 2 * s->chains <= s->unroll) s->chains *= 2;
    s->shuffled = p->quads && sparse_can_shuffle(t) && s->unroll >= 4 ? (unsigned)kernel_option(k, "shuffled", 0) : 0;
    return true;
}

bool describe_sparse_int8_linear(const cg_group *g, const cg_target *target, cg_kernel *k) {
    int8_product p;
    int8_shape s;
    if (!int8_find_product(g, group_node(g, 0), &p) || p.pattern == IR_NO_VALUE || !choose_shape(k, target, &p, &s)) return false;
    kernel_operand(k, p.x);
    kernel_quantized_operand(k, p.weight, p.w_range, PACKING_INT8_SPARSE, 0, &s.layout);
    kernel_set(k, "W", p.W);
    kernel_set(k, "layout", s.layout.kind);
    kernel_set(k, "unroll", s.unroll);
    kernel_set(k, "vectors", s.vectors);
    kernel_set(k, "chains", s.chains);
    kernel_set(k, "shuffled", s.shuffled);
    if (!int8_describe(k, g, &p)) return false;
    bool ok = true, fits;
    const ir_dim R = graph_type(g->graph, p.x)->dims[0];
    const int64_t n_groups = (p.N + s.layout.row_group - 1) / s.layout.row_group;
    kernel_dim(k, R);
    kernel_dim(k, dim_const(p.N));
    kernel_dim(k, dim_const(p.K));
    k->work_per_unit = p.W;
    k->work = kernel_scaled(dim_add(R, p.W - 1), n_groups, 0, &ok);
    kernel_by_block(k, R, p.W, n_groups);
    k->scratch_bytes = dim_const(4 * s.layout.row_group * p.W + int8_room(s.layout.row_group));
    const ir_dim products = dim_mul(R, graph_type(g->graph, p.weight)->dims[0], &fits);
    k->flops = fits ? kernel_scaled(products, 2, 0, NULL) : dim_const(0);
    k->bytes = kernel_scaled(R, 4 * p.N + p.K, 0, NULL);
    return ok;
}

typedef struct int8_code {
    int64_t W;
    sparse_layout_kind kind;
    unsigned unroll, vectors, chains, shuffled, lanes;
    sparse_index_code index;
    cg_val N, K, x, values, sums;
    cg_val ones; /* of 16 bits */
} int8_code;

/* A pass over the visits of one (group, tile) with `vectors` of the tile's vectors of x. */
typedef struct int8_pass {
    const int8_code *code;
    unsigned vectors;
    cg_val x;     /* of the block of columns, at the first of the vectors */
    cg_val later; /* is there a block before? An i1 */
    cg_val sums;  /* i32 [row_group][W], likewise */
} int8_pass;

/* Where a visit stands in the streams. */
typedef struct int8_place {
    cg_val offsets, values;
} int8_place;

/* Does x lie in tiles of bytes? */
static bool is_fours(const int8_code *c) { return c->kind == SPARSE_PAIRS || c->kind == SPARSE_FOURS; }

static unsigned n_sums(const int8_pass *p) { return p->code->chains * p->vectors; }

/* ---- entries ---- */

/* The four values of entry i of n in all lanes. *quad: those of four entries, of which the last ones are shuffled out. */
static cg_val load_values(emitter *e, const int8_code *c, const int8_place *at, unsigned i, unsigned n, cg_val *quad) {
    cg_val from = em_at_int(e, at->values, 4 * (int64_t)i);
    if (i % 4 == 0) *quad = c->shuffled && i + 4 <= n ? em_load_quad(e, c->lanes, from) : NULL;
    if (!*quad || i % 4 < 4 - c->shuffled) return em_load_splat_i32(e, c->lanes, from);
    return LLVMBuildBitCast(e->builder, em_quad_splat(e, *quad, i % 4, c->lanes), LLVMVectorType(e->i32, c->lanes), "");
}

static void emit_quads(emitter *e, const int8_pass *p, const int8_place *at, unsigned n, cg_val sum[MAX_SUMS]) {
    const int8_code *c = p->code;
    cg_val quad = NULL;
    for (unsigned i = 0; i < n; i++) {
        cg_val offset = em_load_unsigned(e, 2, em_at_int(e, at->offsets, 2 * i)), x = em_index(e, p->x, offset, 8);
        cg_val w = load_values(e, c, at, i, n, &quad), *s = &sum[i % c->chains * p->vectors];
        for (unsigned v = 0; v < p->vectors; v++) {
            cg_val u = em_load_i32(e, c->lanes, em_at_int(e, x, 4 * (int64_t)(v * c->lanes)), 4 * c->lanes);
            s[v] = c->kind == SPARSE_SPLIT_QUADS ? em_add_pairs(e, s[v], em_pair_products(e, u, w), c->ones)
                                                 : em_dot_u8s8(e, s[v], u, w);
        }
    }
}

/* Both pairs of an entry, the low and the high halves of the interleaved tokens: i16. */
static void emit_pair_products(emitter *e, const int8_pass *p, const int8_place *at, int64_t i, int64_t pair, cg_val out[2]) {
    const int8_code *c = p->code;
    cg_val w = em_load_splat_i32(e, c->lanes, em_at_int(e, at->values, 8 * i + 4 * pair)), x[2];
    for (int64_t k = 0; k < 2; k++) {
        cg_val offset = em_load_unsigned(e, 2, em_at_int(e, at->offsets, 2 * (4 * i + 2 * pair + k)));
        x[k] = em_load_i32(e, c->lanes, em_index(e, p->x, offset, 4), 4 * c->lanes);
    }
    for (int half = 0; half < 2; half++) out[half] = em_pair_products(e, em_interleave(e, x[0], x[1], 1, half), w);
}

static void emit_pairs(emitter *e, const int8_pass *p, const int8_place *at, unsigned n, cg_val sum[MAX_SUMS]) {
    for (unsigned i = 0; i < n; i++) {
        cg_val first[2], second[2];
        emit_pair_products(e, p, at, i, 0, first);
        emit_pair_products(e, p, at, i, 1, second);
        for (int half = 0; half < 2; half++)
            for (int quarter = 0; quarter < 2; quarter++) {
                cg_val *s = &sum[2 * half + quarter];
                *s = em_add_pairs(e, *s, em_interleave(e, first[half], second[half], 2, quarter), p->code->ones);
            }
    }
}

static void emit_fours(emitter *e, const int8_pass *p, const int8_place *at, unsigned n, cg_val sum[MAX_SUMS]) {
    const int8_code *c = p->code;
    for (unsigned i = 0; i < n; i++) {
        cg_val w = em_load_splat_i32(e, c->lanes, em_at_int(e, at->values, 4 * (int64_t)i)), x[4];
        for (unsigned k = 0; k < 4; k++) {
            cg_val offset = em_load_unsigned(e, 2, em_at_int(e, at->offsets, 2 * (int64_t)(4 * i + k)));
            x[k] = em_load_i32(e, c->lanes, em_index(e, p->x, offset, 4), 4 * c->lanes);
        }
        for (unsigned half = 0; half < 2; half++) {
            cg_val first = em_interleave(e, x[0], x[1], 1, half), second = em_interleave(e, x[2], x[3], 1, half);
            for (unsigned quarter = 0; quarter < 2; quarter++) {
                cg_val *s = &sum[2 * half + quarter];
                *s = em_dot_u8s8(e, *s, em_interleave(e, first, second, 2, quarter), w);
            }
        }
    }
}

static void emit_entries(emitter *e, const int8_pass *p, const int8_place *at, unsigned n, cg_val sum[MAX_SUMS]) {
    if (p->code->kind == SPARSE_PAIRS) emit_pairs(e, p, at, n, sum);
    else if (p->code->kind == SPARSE_FOURS) emit_fours(e, p, at, n, sum);
    else emit_quads(e, p, at, n, sum);
}

/* The place `entries` (a value) further. */
static int8_place advance(emitter *e, const int8_code *c, const int8_place *at, cg_val entries) {
    return (int8_place){em_index(e, at->offsets, entries, is_fours(c) ? 8 : 2),
                        em_index(e, at->values, entries, c->kind == SPARSE_PAIRS ? 8 : 4)};
}

/* ---- visits ---- */

/* `rounds` times n entries; *at moves behind them. */
static void emit_rounds(emitter *e, const int8_pass *p, int8_place *at, cg_val rounds, unsigned n, cg_val sum[MAX_SUMS]) {
    const unsigned count = n_sums(p);
    em_loop loop;
    cg_val state[MAX_SUMS + 2];
    for (unsigned i = 0; i < count; i++) state[i] = sum[i];
    state[count] = at->offsets;
    state[count + 1] = at->values;
    em_loop_begin(e, &loop, em_int(e, 0), rounds, 1, state, count + 2);
    for (unsigned i = 0; i < count; i++) state[i] = loop.carried[i];
    const int8_place here = {loop.carried[count], loop.carried[count + 1]};
    emit_entries(e, p, &here, n, state);
    const int8_place next = advance(e, p->code, &here, em_int(e, n));
    state[count] = next.offsets;
    state[count + 1] = next.values;
    em_loop_end(e, &loop, state);
    for (unsigned i = 0; i < count; i++) sum[i] = loop.carried[i];
    *at = (int8_place){loop.carried[count], loop.carried[count + 1]};
}

/*
 * Sums of fours in the order of the tokens. Interleaving goes on within each 16 bytes: sum number q has, of every 16 tokens, those from 4 q on, and they become
 * vector number q with the tokens of its own.
 */
static void order_fours(emitter *e, unsigned lanes, cg_val sum[FOUR_SUMS]) {
    cg_val ordered[FOUR_SUMS];
    for (unsigned q = 0; q < FOUR_SUMS && lanes > 4; q++) {
        unsigned low[16], high[16], all[16];
        /* group of four tokens j of the tile lies in sum j % 4, at its four number j / 4 */
        for (unsigned l = 0; l < lanes; l++) {
            const unsigned j = (q * lanes + l) / 4, at = j / 4 * 4 + l % 4;
            low[l] = j % 4 < 2 ? (j % 4) * lanes + at : 0;
            high[l] = j % 4 >= 2 ? (j % 4 - 2) * lanes + at : 0;
            all[l] = j % 4 < 2 ? l : lanes + l;
        }
        ordered[q] =
            em_shuffle(e, em_shuffle(e, sum[0], sum[1], lanes, low), em_shuffle(e, sum[2], sum[3], lanes, high), lanes, all);
    }
    for (unsigned q = 0; q < FOUR_SUMS && lanes > 4; q++) sum[q] = ordered[q];
}

/* One visit of `entries` entries; *at moves behind it. */
static void emit_visit(emitter *e, const int8_pass *p, int8_place *at, cg_val row, cg_val entries) {
    const int8_code *c = p->code;
    const unsigned n_stored = is_fours(c) ? FOUR_SUMS : p->vectors, align = 4 * c->lanes;
    cg_val sum[MAX_SUMS], to = em_index(e, p->sums, row, 4 * c->W), rest = entries;
    for (unsigned i = 0; i < n_sums(p); i++) sum[i] = em_const_i32(e, c->lanes, 0);
    for (unsigned n = c->unroll; n > 0; n /= 2) {
        emit_rounds(e, p, at, em_div_int(e, rest, n), n, sum);
        rest = em_rem_int(e, rest, n);
    }
    for (unsigned chains = c->chains; !is_fours(c) && chains > 1; chains /= 2)
        for (unsigned i = 0; i < chains / 2 * p->vectors; i++)
            sum[i] = LLVMBuildAdd(e->builder, sum[i], sum[chains / 2 * p->vectors + i], "");
    if (is_fours(c)) order_fours(e, c->lanes, sum);
    em_if more;
    em_if_begin(e, &more, p->later);
    for (unsigned i = 0; i < n_stored; i++) {
        cg_val here = em_at_int(e, to, (int64_t)i * align);
        em_store(e, LLVMBuildAdd(e->builder, sum[i], em_load_i32(e, c->lanes, here, align), ""), here, align);
    }
    em_else(e, &more);
    for (unsigned i = 0; i < n_stored; i++) em_store(e, sum[i], em_at_int(e, to, (int64_t)i * align), align);
    em_if_end(e, &more);
}

/* One block of columns: the buckets of its segment. */
static void emit_segment(emitter *e, const int8_pass *p, cg_val number) {
    const int8_code *c = p->code;
    cg_val segment = em_index(e, c->index.segments, number, sizeof(sparse_segment));
    cg_val begin = em_load_unsigned(e, 4, em_at_int(e, segment, offsetof(sparse_segment, bucket)));
    cg_val end =
        em_load_unsigned(e, 4, em_at_int(e, segment, (int64_t)(sizeof(sparse_segment) + offsetof(sparse_segment, bucket))));
    cg_val visit = em_load_unsigned(e, 4, em_at_int(e, segment, offsetof(sparse_segment, visit)));
    cg_val entry = em_load_unsigned(e, 4, em_at_int(e, segment, offsetof(sparse_segment, entry)));
    const int8_place first = advance(e, c, &(int8_place){c->index.offsets, c->values}, entry);
    em_loop buckets, visits;
    em_loop_begin(e, &buckets, begin, end, 1, (cg_val[]){em_index(e, c->index.rows, visit, 2), first.offsets, first.values}, 3);
    cg_val bucket = em_index(e, c->index.buckets, buckets.index, sizeof(sparse_bucket));
    cg_val entries = em_load_unsigned(e, 2, em_at_int(e, bucket, offsetof(sparse_bucket, entries)));
    cg_val n_visits = em_load_unsigned(e, 2, em_at_int(e, bucket, offsetof(sparse_bucket, visits)));
    em_loop_begin(e, &visits, em_int(e, 0), n_visits, 1, buckets.carried, 3);
    int8_place at = {visits.carried[1], visits.carried[2]};
    emit_visit(e, p, &at, em_load_unsigned(e, 2, visits.carried[0]), entries);
    em_loop_end(e, &visits, (cg_val[]){em_at_int(e, visits.carried[0], 2), at.offsets, at.values});
    em_loop_end(e, &buckets, visits.carried);
}

/* ---- units ---- */

typedef struct int8_unit {
    const int8_code *code;
    cg_val tile, group, row0, n_rows;
    cg_val sums; /* [row_group][W] */
} int8_unit;

/* Sums of the unit for `vectors` vectors of its tile from lane `first` (of i32 in quads, of tokens) on. */
static void emit_pass(emitter *e, const void *user, unsigned vectors, cg_val token) {
    const int8_unit *u = user;
    const int8_code *c = u->code;
    const int64_t feature_bytes = c->W; /* of one of K */
    int8_pass p = {.code = c, .vectors = vectors, .sums = em_index(e, u->sums, token, 4)};
    cg_val K = em_mul_int(e, em_div_int_up(e, c->K, is_fours(c) ? 1 : 4), is_fours(c) ? 1 : 4);
    cg_val x = em_index(e, em_index(e, c->x, em_mul(e, u->tile, K), feature_bytes), token, is_fours(c) ? 1 : 4);
    em_loop blocks;
    em_loop_begin(e, &blocks, em_int(e, 0), c->index.n_k_blocks, 1, NULL, 0);
    p.x = em_index(e, x, em_mul(e, blocks.index, c->index.k_block), feature_bytes);
    p.later = em_less(e, em_int(e, 0), blocks.index);
    emit_segment(e, &p, em_add(e, em_mul(e, u->group, c->index.n_k_blocks), blocks.index));
    em_loop_end(e, &blocks, NULL);
}

static void load_code(emitter *e, const cg_kernel *k, const cg_val *operand, int8_code *c) {
    cg_val h = operand[1];
    *c = (int8_code){.W = kernel_get(k, "W"),
                     .kind = (sparse_layout_kind)kernel_get(k, "layout"),
                     .unroll = (unsigned)kernel_get(k, "unroll"),
                     .vectors = (unsigned)kernel_get(k, "vectors"),
                     .chains = (unsigned)kernel_get(k, "chains"),
                     .shuffled = (unsigned)kernel_get(k, "shuffled"),
                     .N = em_dim(e, 1),
                     .K = em_dim(e, 2),
                     .x = operand[0]};
    c->lanes = is_fours(c) ? tile_lanes(e->target->vector_bytes, c->W) / 4 : tile_lanes(e->target->vector_bytes / 4, c->W);
    c->ones = em_const_i32(e, c->lanes, 0x10001);
    c->index = sparse_index_read(e, h);
    c->values = em_at(e, h, sparse_header_field(e, h, offsetof(sparse_header, values)));
    c->sums = em_at(e, h, sparse_header_field(e, h, offsetof(sparse_header, sums)));
}

void emit_sparse_int8_linear(emitter *e, const cg_kernel *k) {
    cg_val operand[KERNEL_MAX_OPERANDS];
    int8_code c;
    int8_epilogue epilogue;
    kernel_operands(e, k, operand);
    load_code(e, k, operand, &c);
    const unsigned lanes = tile_lanes(e->lanes, c.W), tokens = is_fours(&c) ? 4 * c.lanes : c.lanes;
    cg_val R = em_dim(e, 0), n_units = em_mul(e, em_div_int_up(e, R, c.W), c.index.n_groups);
    int8_begin(e, k, operand, c.W, lanes, R, c.N, &epilogue);
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_min(e, em_end_unit(e), n_units), 1, NULL, 0);
    int8_unit u = {.code = &c,
                   .tile = em_div(e, units.index, c.index.n_groups),
                   .group = em_rem(e, units.index, c.index.n_groups),
                   .sums = em_scratch(e)};
    u.row0 = em_mul(e, u.group, c.index.row_group);
    u.n_rows = em_min(e, c.index.row_group, em_sub(e, c.N, u.row0));
    emit_sparse_passes(e, c.vectors, em_div_int(e, tile_live_lanes(e, R, u.tile, c.W, tokens), tokens), tokens, emit_pass, &u);
    int8_emit(e, &epilogue,
              &(int8_part){.sums = u.sums,
                           .weight_sums = em_index(e, c.sums, u.row0, 4),
                           .tile = u.tile,
                           .row0 = u.row0,
                           .n_rows = u.n_rows,
                           .live = tile_live_lanes(e, R, u.tile, c.W, lanes),
                           .room = em_index(e, u.sums, c.index.row_group, 4 * c.W)});
    em_loop_end(e, &units, NULL);
}
