/* Scores in integers; see attention_bytes.h. */
#include "codegen/attention_bytes.h"

#include "codegen/dot_product.h"
#include "codegen/int8_epilogue.h"

/* ---- describe ---- */

/* The range that a requantized product has its result in; IR_NO_VALUE: it is none, or of a range that another step makes, for which the attention, of
 * which it is no input, would not wait. */
static ir_value range_of(const ir_graph *g, ir_value v) {
    const ir_node *n = graph_node_of(g, v);
    const ir_value range = n->op == OP_linear_int8 ? node_input(n, 5) : IR_NO_VALUE;
    return range != IR_NO_VALUE && int8_is_fixed(g, range) ? range : IR_NO_VALUE;
}

bool attention_bytes_describe(const cg_group *g, const cg_target *target, cg_kernel *k) {
    const ir_node *n = group_node(g, 0);
    const ir_value q = range_of(g->graph, n->inputs[0]), keys = range_of(g->graph, n->inputs[1]);
    const bool takes = q != IR_NO_VALUE && keys != IR_NO_VALUE && (target->extensions & CG_DOT_U8S8) && kernel_get(k, "D") % 4 == 0;
    kernel_set(k, "q_range", takes ? (int64_t)kernel_operand(k, q) : 0);
    kernel_set(k, "k_range", takes ? (int64_t)kernel_operand(k, keys) : 0);
    return takes;
}

int64_t attention_bytes_per_key(int64_t D) { return D + 4; }

int64_t attention_bytes_besides(int64_t D, int64_t W, unsigned lanes) {
    return 2 * W * attention_bytes_per_key(D) + D * PART_VECTORS * (int64_t)lanes;
}

/* ---- bytes ---- */

static cg_val add_int(emitter *e, cg_val a, cg_val b) { return LLVMBuildAdd(e->builder, a, b, ""); }
static cg_val mul_int(emitter *e, cg_val a, cg_val b) { return LLVMBuildMul(e->builder, a, b, ""); }

/* Minus the zero point, i32. */
static cg_val less_zero(emitter *e, const int8_scale *s) {
    return LLVMBuildFPToSI(e->builder, s->low, LLVMVectorType(e->i32, em_lanes_of(s->low)), "");
}

/* Quads of D features, [D][W] from `from` on, to [D/4] rows of `step` bytes; the sum of their bytes. flip: minus 128. */
static cg_val encode_features(emitter *e, const attention_code *c, const int8_scale *scale, cg_val from, unsigned align, cg_val to,
                              int64_t step, bool flip) {
    em_loop quads;
    cg_val sum = em_const_i32(e, c->lanes, 0);
    em_loop_begin(e, &quads, em_int(e, 0), em_int(e, c->D / 4), 1, &sum, 1);
    cg_val byte[4], first = em_index(e, from, quads.index, 16 * c->W);
    sum = quads.carried[0];
    for (unsigned i = 0; i < 4; i++) {
        byte[i] = int8_encode(e, em_load(e, c->lanes, em_at_int(e, first, 4 * (int64_t)i * c->W), align), scale);
        sum = add_int(e, sum, byte[i]);
    }
    cg_val quad = int8_quad(e, byte);
    if (flip) quad = LLVMBuildXor(e->builder, quad, em_const_i32(e, c->lanes, (int32_t)0x80808080u), "");
    em_store(e, quad, em_index(e, to, quads.index, step), 4 * c->lanes);
    em_loop_end(e, &quads, &sum);
    return quads.carried[0];
}

attention_bytes attention_bytes_place(emitter *e, const attention_code *c, const cg_val *operand, cg_val scratch) {
    cg_val room = em_add_int(e, attention_key_room(e, c), c->W);
    attention_bytes b = {.keys = scratch, .key_terms = em_index(e, scratch, room, c->D)};
    b.query = em_index(e, b.key_terms, room, 4);
    b.ranges[0] = operand[kernel_get(c->kernel, "q_range")];
    b.ranges[1] = operand[kernel_get(c->kernel, "k_range")];
    const int8_scale queries = int8_scale_at(e, c->lanes, b.ranges[0]), keys = int8_scale_at(e, c->lanes, b.ranges[1]);
    cg_val less_query_zero = less_zero(e, &queries), less_all = em_const_i32(e, c->lanes, (int32_t)(-128 * c->D));
    key_tiles tiles;
    em_loop lanes;
    attention_key_tiles_begin(e, c, &tiles, NULL, 0);
    em_loop_begin(e, &lanes, em_int(e, 0), em_int(e, c->W), c->lanes, NULL, 0);
    cg_val from = em_index(e, em_at(e, c->keys, tiles.offset), lanes.index, 4);
    cg_val to = em_index(e, em_index(e, b.keys, tiles.loop.index, c->D), lanes.index, 4);
    cg_val sum = encode_features(e, c, &keys, from, 4 * c->lanes, to, 4 * c->W, true);
    em_store(e, mul_int(e, add_int(e, sum, less_all), less_query_zero),
             em_index(e, b.key_terms, em_add(e, tiles.loop.index, lanes.index), 4), 4 * c->lanes);
    em_loop_end(e, &lanes, NULL);
    em_loop_end(e, &tiles.loop, NULL);
    return b;
}

/* ---- scores ---- */

/* sum[r * vectors + v] += the products of all quads of key r with those of vector v. */
static void multiply_quads(emitter *e, const attention_code *c, const query_part *p, unsigned rows, cg_val query, cg_val keys,
                           cg_val *sum) {
    const unsigned n = rows * p->vectors;
    const int64_t unroll = c->D / 4 % ATTENTION_UNROLL == 0 ? ATTENTION_UNROLL : 1;
    cg_val state[EM_MAX_CARRIED];
    em_loop loop;
    for (unsigned i = 0; i < n; i++) state[i] = sum[i];
    state[n] = em_opaque(e, query);
    state[n + 1] = em_opaque(e, keys);
    em_loop_begin(e, &loop, em_int(e, 0), em_int(e, c->D / 4), unroll, state, n + 2);
    for (unsigned i = 0; i < n + 2; i++) state[i] = loop.carried[i];
    for (int64_t q = 0; q < unroll; q++) {
        cg_val x[PART_VECTORS];
        for (unsigned v = 0; v < p->vectors; v++)
            x[v] = em_load_i32(e, c->lanes, em_at_int(e, loop.carried[n], q * p->score_step + 4 * (int64_t)(v * c->lanes)),
                               4 * c->lanes);
        for (unsigned r = 0; r < rows; r++) {
            cg_val key = em_load_splat_i32(e, c->lanes, em_at_int(e, loop.carried[n + 1], 4 * (q * c->W + r)));
            for (unsigned v = 0; v < p->vectors; v++)
                state[r * p->vectors + v] = em_dot_u8s8(e, state[r * p->vectors + v], x[v], key);
        }
    }
    state[n] = em_at_int(e, loop.carried[n], unroll * p->score_step);
    state[n + 1] = em_at_int(e, loop.carried[n + 1], 4 * unroll * c->W);
    em_loop_end(e, &loop, state);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
}

void attention_bytes_scores(emitter *e, const attention_code *c, const query_part *p, const attention_bytes *b, cg_val x,
                            double factor, cg_val to) {
    const unsigned rows = (unsigned)kernel_get(c->kernel, p->vectors == 1 ? "narrow_key_rows" : "key_rows");
    const int8_scale queries = int8_scale_at(e, c->lanes, b->ranges[0]), keys = int8_scale_at(e, c->lanes, b->ranges[1]);
    cg_val scale = em_fmul(e, em_fmul(e, queries.scale, keys.scale), em_const(e, c->lanes, factor)), term[PART_VECTORS];
    cg_val less_zeros = mul_int(e, less_zero(e, &queries), em_const_i32(e, c->lanes, (int32_t)c->D));
    cg_val share = add_int(e, less_zero(e, &keys), em_const_i32(e, c->lanes, 128));
    for (unsigned v = 0; v < p->vectors; v++) {
        const int64_t at = 4 * (int64_t)(v * c->lanes);
        cg_val sum = encode_features(e, c, &queries, em_at_int(e, x, at), 4, em_at_int(e, b->query, at), p->score_step, false);
        term[v] = mul_int(e, add_int(e, sum, less_zeros), share);
    }
    key_tiles tiles;
    em_loop blocks;
    attention_key_tiles_begin(e, c, &tiles, NULL, 0);
    em_loop_begin(e, &blocks, tiles.begin, tiles.end, rows, NULL, 0);
    cg_val lane = em_min(e, blocks.index, em_int(e, c->W - rows)), first = em_add(e, tiles.loop.index, lane), sum[GEMM_MAX_SUMS];
    for (unsigned i = 0; i < rows * p->vectors; i++) {
        cg_val of_key =
            em_load_splat_i32(e, c->lanes, em_at_int(e, em_index(e, b->key_terms, first, 4), 4 * (int64_t)(i / p->vectors)));
        sum[i] = add_int(e, of_key, term[i % p->vectors]);
    }
    multiply_quads(e, c, p, rows, b->query, em_index(e, em_index(e, b->keys, tiles.loop.index, c->D), lane, 4), sum);
    cg_val out = em_opaque(e, em_index(e, to, em_add(e, tiles.key0, lane), p->score_step));
    for (unsigned i = 0; i < rows * p->vectors; i++) {
        const int64_t at = (int64_t)(i / p->vectors) * p->score_step + 4 * (int64_t)(i % p->vectors * c->lanes);
        cg_val score = LLVMBuildSIToFP(e->builder, sum[i], em_vector_type(e, c->lanes), "");
        em_store(e, em_fmul(e, score, scale), em_at_int(e, out, at), 4 * c->lanes);
    }
    em_loop_end(e, &blocks, NULL);
    em_loop_end(e, &tiles.loop, NULL);
}
