/*
 * Random graphs, see graph_generator.h. A step takes a value of the pool, [R,E] of floats, and usually puts a new one there. R is
 * the number of tokens, or of sequences behind gather_rows; which steps fit is decided by the type.
 */
#include "tests/unit/graph_generator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/rng.h"
#include "ir/support/text_ends.h"

#define MAX_SEQUENCES 8
#define MAX_LENGTH 16 /* of a sequence, and rows of the table of positions */

typedef struct maker {
    generated_graph *out;
    ir_graph *g;
    const graph_options *options;
    rng_key key;
    uint64_t drawn;
    uint32_t n_names;
    VEC(ir_value) pool;   /* [R,E], f32 */
    VEC(ir_value) others; /* moments, losses: values to return */
    ir_dim tokens;        /* R of the tokens */
    bool padded;
    ir_value ids, offsets, keep; /* [R], [B+1], [R] */
    ir_value mask;               /* [B,S], of padded batches */
} maker;

/* ---- random choices ---- */

static uint64_t draw(rng_key key, uint64_t *drawn, uint64_t bound) { return rng_below(key, (*drawn)++, bound); }
static uint64_t below(maker *m, uint64_t bound) { return draw(m->key, &m->drawn, bound); }
static bool chance(maker *m, uint64_t one_in) { return below(m, one_in) == 0; }

static int64_t any_width(maker *m) {
    static const int64_t widths[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 24};
    return widths[below(m, sizeof widths / sizeof widths[0])];
}

static void fill_uniform(ir_tensor *t, rng_key key, uint64_t *drawn, double scale) {
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, (2 * rng_uniform(key, (*drawn)++) - 1) * scale);
}

/* ---- values ---- */

static const ir_type *f32_type(maker *m, uint32_t rank, ir_dim a, ir_dim b) {
    ir_dim dims[2] = {a, b};
    return type_tensor(m->out->context, IR_F32, rank, dims);
}

static const char *new_name(maker *m, const char *what, char text[64]) {
    snprintf(text, 64, "layer.%u.%s", m->n_names++, what);
    return text;
}

static void keep_value(maker *m, ir_value v) {
    const ir_type *t = v ? graph_type(m->g, v) : NULL;
    if (!t || t->kind != TYPE_TENSOR || dtype_class(t->dtype) != DTYPE_FLOAT) return;
    bool pooled = t->rank == 2 && t->dtype == IR_F32 && dim_is_const(t->dims[1], NULL) && dim_equal(t->dims[0], m->tokens);
    if (!(pooled ? VEC_PUSH(&m->pool, v) : VEC_PUSH(&m->others, v))) fail_msg("memory is short");
}

/* Later values are taken more often, so that graphs become deep. */
static ir_value any_of_pool(maker *m) {
    size_t n = m->pool.size;
    return m->pool.data[chance(m, 3) ? below(m, n) : n - 1 - below(m, n < 3 ? n : 3)];
}

static int64_t width_of(const maker *m, ir_value x) {
    const ir_type *t = graph_type(m->g, x);
    return t->dims[t->rank - 1].offset;
}

static ir_value state_value(maker *m, const char *what, uint32_t rank, int64_t a, int64_t b, double scale) {
    char name[64];
    int64_t dims[2] = {a, b};
    ir_tensor *t = named_tensors_add(&m->out->state, new_name(m, what, name), IR_F32, rank, dims);
    fill_uniform(t, m->key, &m->drawn, scale);
    return build_leaf(m->g, OP_state, name, f32_type(m, rank, dim_const(a), dim_const(b)));
}

static ir_value state_vector(maker *m, const char *what, int64_t n) { return state_value(m, what, 1, n, 0, 1); }

/* A constant [n]: filled with one number, with its elements in the node, or in the module under a name. */
static ir_value constant_vector(maker *m, int64_t n) {
    double values[32];
    for (int64_t i = 0; i < n; i++) values[i] = (double)below(m, 9) / 4 - 1;
    ir_attr attr = attr_floats("value", values, chance(m, 3) ? 1 : (size_t)n);
    if (chance(m, 3)) {
        ir_tensor t;
        if (tensor_alloc(IR_F32, 1, &n, &t) != POFAC_OK) fail_msg("memory is short");
        tensor_set_run(&t, 0, n, values);
        attr = attr_string("data", module_add_constant(m->out->module, NULL, &t));
        tensor_free(&t);
    }
    return node_add(m->g, OP_constant, NULL, 0, &attr, 1, f32_type(m, 1, dim_const(n), dim_const(0)));
}

/* ---- steps ---- */

static void step_unary(maker *m, ir_value x) {
    static const ir_op ops[] = {OP_relu, OP_tanh, OP_gelu};
    ir_op op = ops[below(m, 3)];
    ir_attr form = attr_enum("form", chance(m, 2) ? "tanh" : "erf");
    keep_value(m, node_add(m->g, op, &x, 1, &form, op == OP_gelu, NULL));
}

static ir_op binary_op(maker *m) {
    static const ir_op ops[] = {OP_add, OP_sub, OP_mul};
    return ops[below(m, 3)];
}

/* With another value of its type (itself, if need be); a product goes through tanh, lest values grow with every step. */
static void step_binary(maker *m, ir_value x) {
    ir_value y = x;
    for (int tries = 0; tries < 5; tries++) {
        ir_value other = any_of_pool(m);
        if (graph_type(m->g, other) == graph_type(m->g, x)) y = other;
    }
    ir_op op = binary_op(m);
    ir_value z = build_binary(m->g, op, x, y);
    keep_value(m, op == OP_mul ? build_unary(m->g, OP_tanh, z) : z);
}

static void step_vector(maker *m, ir_value x) {
    keep_value(m, build_binary(m->g, binary_op(m), x, state_vector(m, "vector", width_of(m, x))));
}

static void step_scalar(maker *m, ir_value x) {
    keep_value(m, build_binary(m->g, binary_op(m), x, build_scalar(m->g, IR_F32, (double)below(m, 5) / 2 - 1)));
}

/* Constants over which the folder can compute. */
static void step_constants(maker *m, ir_value x) {
    int64_t n = width_of(m, x), wide = n + (int64_t)below(m, 4);
    ir_value a = constant_vector(m, wide), b = constant_vector(m, wide);
    ir_value c = build_binary(m->g, binary_op(m), a, b);
    if (chance(m, 2)) c = build_unary(m->g, OP_tanh, c);
    ir_attr range[2] = {attr_int("begin", wide - n), attr_int("end", wide)};
    if (wide > n) c = node_add(m->g, OP_slice, &c, 1, range, 2, NULL);
    keep_value(m, build_binary(m->g, binary_op(m), x, c));
}

/* Some weights are all zero, some have no zero, most are in between. */
static ir_value sparse_weight(maker *m, int64_t n, int64_t k, ir_value *pattern) {
    char name[64];
    int64_t dims[2] = {n, k};
    uint64_t zeros = below(m, 5); /* of 4 */
    ir_tensor *t = named_tensors_add(&m->out->state, new_name(m, "weight", name), IR_F32, 2, dims);
    fill_uniform(t, m->key, &m->drawn, 1 / sqrt((double)k));
    for (int64_t i = 0; i < n * k; i++)
        if (below(m, 4) < zeros) tensor_set(t, i, 0);
    *pattern = build_leaf(m->g, OP_pattern, name, type_pattern(m->out->context, dim_const(n), dim_const(k)));
    ir_dim nnz = dim_symbol(symbol_nnz(m->out->context, *pattern));
    return build_leaf(m->g, OP_state, name, f32_type(m, 1, nnz, nnz));
}

static ir_value linear_of(maker *m, ir_value x, int64_t n) {
    int64_t k = width_of(m, x);
    ir_value inputs[4] = {x, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE};
    if (!m->options->without_sparse && chance(m, 3)) {
        inputs[1] = sparse_weight(m, n, k, &inputs[3]);
    } else {
        inputs[1] = state_value(m, "weight", 2, n, k, 1 / sqrt((double)k));
    }
    if (!chance(m, 4)) inputs[2] = state_vector(m, "bias", n);
    return node_add(m->g, OP_linear, inputs, 4, NULL, 0, NULL);
}

static void step_linear(maker *m, ir_value x) { keep_value(m, linear_of(m, x, any_width(m))); }

/* Both gradients of a linear. */
static void step_gradients(maker *m, ir_value x) {
    int64_t n = any_width(m), k = width_of(m, x);
    ir_value dy = linear_of(m, x, n), pattern = IR_NO_VALUE, weight;
    const bool sparse = !m->options->without_sparse && chance(m, 2);
    weight = sparse ? sparse_weight(m, n, k, &pattern) : state_value(m, "weight", 2, n, k, 1 / sqrt((double)k));
    const ir_value to_input[3] = {dy, weight, pattern}, to_weight[3] = {x, dy, pattern};
    keep_value(m, node_add(m->g, OP_linear_input_gradient, to_input, 3, NULL, 0, NULL));
    ir_value dw = node_add(m->g, OP_linear_weight_gradient, to_weight, 3, NULL, 0, NULL);
    if (!VEC_PUSH(&m->others, dw) || !VEC_PUSH(&m->others, dw + 1)) fail_msg("memory is short"); /* no rows of tokens */
}

static ir_value layer_norm_of(maker *m, ir_value x) {
    int64_t n = width_of(m, x);
    ir_value inputs[3] = {x, state_vector(m, "gamma", n), state_vector(m, "beta", n)};
    ir_attr eps = attr_float("eps", chance(m, 2) ? 1e-5 : 1e-3);
    return node_add(m->g, OP_layer_norm, inputs, 3, &eps, 1, NULL);
}

static void step_layer_norm(maker *m, ir_value x) {
    ir_value y = layer_norm_of(m, x);
    keep_value(m, y);
    if (y && chance(m, 3)) keep_value(m, y + 1);
    if (y && chance(m, 3)) keep_value(m, y + 2);
}

/* The feed-forward block of BERT, which the fuser looks for. */
static void step_feed_forward(maker *m, ir_value x) {
    ir_value inner = build_unary(m->g, OP_gelu, linear_of(m, x, any_width(m)));
    if (!inner) return;
    keep_value(m, layer_norm_of(m, build_binary(m->g, OP_add, linear_of(m, inner, width_of(m, x)), x)));
}

static bool has_token_rows(const maker *m, ir_value x) { return dim_equal(graph_type(m->g, x)->dims[0], m->tokens); }

static void step_attention(maker *m, ir_value x) {
    if (!has_token_rows(m, x)) return;
    int64_t depth = 1 + (int64_t)below(m, 8), heads = 1 + (int64_t)below(m, 3), n = depth * heads;
    ir_value inputs[5] = {linear_of(m, x, n), linear_of(m, x, n), linear_of(m, x, n), m->offsets,
                          chance(m, 3) ? IR_NO_VALUE : m->keep};
    ir_attr attrs[2] = {attr_int("heads", heads), attr_float("scale", 1 / sqrt((double)depth))};
    ir_value y = node_add(m->g, OP_attention, inputs, 5, attrs, 2, NULL);
    keep_value(m, y);
    if (y && chance(m, 3)) keep_value(m, y + 1);
}

static void step_positions(maker *m, ir_value x) {
    if (!has_token_rows(m, x) || graph_type(m->g, x)->layout != LAYOUT_ROWS) return;
    ir_value positions = build_binary(m->g, OP_row_positions, m->offsets, m->ids);
    ir_value table = state_value(m, "positions", 2, MAX_LENGTH, width_of(m, x), 1);
    keep_value(m, build_binary(m->g, OP_add, x, build_binary(m->g, OP_embedding, table, positions)));
}

static void step_first_rows(maker *m, ir_value x) {
    if (!has_token_rows(m, x)) return;
    ir_value first = build_unary(m->g, OP_first_rows, m->offsets);
    keep_value(m, build_binary(m->g, OP_gather_rows, x, first));
}

/* Attention of the first token of each sequence alone. */
static void step_first_attention(maker *m, ir_value x) {
    if (!has_token_rows(m, x)) return;
    int64_t heads = 1 + (int64_t)below(m, 3), n = heads * (1 + (int64_t)below(m, 4));
    ir_value first = build_unary(m->g, OP_first_rows, m->offsets);
    if (!first) return;
    const ir_type *t = graph_type(m->g, first);
    ir_dim column[2] = {t->dims[0], dim_const(1)};
    ir_value each = build_declared(m->g, OP_reshape, first, type_tensor(m->out->context, t->dtype, 2, column));
    ir_value q = build_binary(m->g, OP_gather_rows, linear_of(m, x, n), first);
    ir_value inputs[6] = {q,
                          linear_of(m, x, n),
                          linear_of(m, x, n),
                          m->offsets,
                          chance(m, 2) ? IR_NO_VALUE : m->keep,
                          build_unary(m->g, OP_padded_offsets, each)};
    ir_attr attrs[2] = {attr_int("heads", heads), attr_float("scale", 0.5)};
    keep_value(m, node_add(m->g, OP_attention, inputs, 6, attrs, 2, NULL));
}

/* Padding taken out, something done, and padding put back. */
static void step_kept_rows(maker *m, ir_value x) {
    if (m->options->without_kept_rows || !m->padded || !has_token_rows(m, x) || graph_type(m->g, x)->layout != LAYOUT_ROWS) return;
    if (graph_symbol_bound(m->g, symbol_named(m->out->context, "K")) == 0)
        graph_declare_symbol(m->g, "K", MAX_SEQUENCES * MAX_LENGTH);
    ir_attr rows = attr_string("rows", "K");
    ir_value index = node_add(m->g, OP_kept_rows, &m->mask, 1, &rows, 1, NULL);
    ir_value kept = build_binary(m->g, OP_gather_rows, x, index);
    if (chance(m, 2)) kept = build_unary(m->g, OP_tanh, kept);
    ir_value inputs[3] = {kept, index, m->ids};
    keep_value(m, node_add(m->g, OP_scatter_rows, inputs, 3, NULL, 0, NULL));
}

static void step_slice(maker *m, ir_value x) {
    int64_t n = width_of(m, x), begin = (int64_t)below(m, (uint64_t)n), end = begin + 1 + (int64_t)below(m, (uint64_t)(n - begin));
    ir_attr range[2] = {attr_int("begin", begin), attr_int("end", end)};
    keep_value(m, node_add(m->g, OP_slice, &x, 1, range, 2, NULL));
}

/* To another shape and back, with something elementwise in between. */
static void step_reshape(maker *m, ir_value x) {
    const ir_type *t = graph_type(m->g, x);
    bool ok;
    ir_type flat = *t;
    if (t->layout != LAYOUT_ROWS) return;
    flat.rank = 1;
    flat.dims[0] = type_elements(t, &ok);
    flat.dims[1] = (ir_dim){0};
    if (!ok) return;
    ir_value y = build_declared(m->g, OP_reshape, x, type_intern(m->out->context, &flat));
    if (chance(m, 2)) y = build_unary(m->g, OP_tanh, y);
    keep_value(m, build_declared(m->g, OP_reshape, y, t));
}

static void step_cast(maker *m, ir_value x) {
    static const ir_dtype dtypes[] = {IR_F64, IR_BF16, IR_F16};
    if (m->options->without_casts) return;
    const ir_type *t = graph_type(m->g, x);
    ir_value small = build_unary(m->g, OP_tanh, x); /* f16 ends at 65504 */
    ir_value y = build_declared(m->g, OP_cast, small, type_with_dtype(m->out->context, t, dtypes[below(m, 3)]));
    if (chance(m, 2)) y = build_unary(m->g, OP_relu, y);
    keep_value(m, build_declared(m->g, OP_cast, y, t));
}

static void step_relayout(maker *m, ir_value x) {
    static const uint32_t tiles[] = {4, 8, 16, 32};
    if (m->options->without_tiles) return;
    const ir_type *t = graph_type(m->g, x);
    t = t->layout == LAYOUT_TILES && !chance(m, 3) ? type_with_layout(m->out->context, t, LAYOUT_ROWS, 0)
                                                   : type_with_layout(m->out->context, t, LAYOUT_TILES, tiles[below(m, 4)]);
    keep_value(m, build_declared(m->g, OP_relayout, x, t));
}

/* Something that changes nothing. */
static void step_nothing(maker *m, ir_value x) {
    const ir_type *t = graph_type(m->g, x);
    ir_attr range[2] = {attr_int("begin", 0), attr_int("end", width_of(m, x))};
    switch (below(m, 6)) {
    case 0: keep_value(m, build_binary(m->g, OP_add, x, build_scalar(m->g, IR_F32, 0))); return;
    case 1: keep_value(m, build_binary(m->g, OP_mul, x, build_scalar(m->g, IR_F32, 1))); return;
    case 2: keep_value(m, build_declared(m->g, OP_relayout, x, t)); return;
    case 3: keep_value(m, build_declared(m->g, OP_reshape, x, t)); return;
    case 4: keep_value(m, build_declared(m->g, OP_cast, x, t)); return;
    default: keep_value(m, node_add(m->g, OP_slice, &x, 1, range, 2, NULL)); return;
    }
}

/* A node that is there already, once more. */
static void step_again(maker *m, ir_value x) {
    (void)x;
    for (int tries = 0; tries < 5; tries++) {
        ir_node n = m->g->nodes.data[below(m, m->g->nodes.size)];
        if (op_has(n.op, TRAIT_LEAF)) continue;
        const ir_type *declared = op_has(n.op, TRAIT_DECLARED) ? graph_type(m->g, n.first_result) : NULL;
        keep_value(m, node_add(m->g, n.op, n.inputs, n.n_inputs, n.attrs, n.n_attrs, declared));
        return;
    }
}

static void step_cross_entropy(maker *m, ir_value x) {
    if (m->options->without_losses) return;
    const ir_type *t = graph_type(m->g, x);
    char name[64];
    ir_value labels = build_leaf(m->g, OP_input, new_name(m, "labels", name), type_tensor(m->out->context, IR_I64, 1, &t->dims[0]));
    ir_value inputs[3] = {x, labels, IR_NO_VALUE};
    if (chance(m, 2)) {
        inputs[2] = build_leaf(m->g, OP_input, new_name(m, "kept", name), type_tensor(m->out->context, IR_I64, 2, t->dims));
    }
    ir_attr how = attr_enum("labels", chance(m, 2) ? "clamp" : "ignore");
    keep_value(m, node_add(m->g, OP_cross_entropy, inputs, 3, &how, 1, NULL));
}

static void step_squared_error(maker *m, ir_value x) {
    if (m->options->without_losses) return;
    ir_value y = build_unary(m->g, OP_relu, x);
    keep_value(m, build_binary(m->g, OP_mean_squared_error, x, y));
}

/* ---- steps of training ---- */

static void keep_other(maker *m, ir_value v) {
    if (v != IR_NO_VALUE && !VEC_PUSH(&m->others, v)) fail_msg("memory is short");
}

static ir_value i64_constant(maker *m, uint32_t rank, int64_t n, const double *values) {
    const ir_attr attr = attr_floats("value", values, (size_t)n);
    const ir_dim dim = dim_const(n);
    return node_add(m->g, OP_constant, NULL, 0, &attr, 1, type_tensor(m->out->context, IR_I64, rank, &dim));
}

static ir_value squashed(maker *m, ir_value x) { return build_unary(m->g, OP_tanh, x); }

static void step_slopes(maker *m, ir_value x) {
    static const ir_op ops[] = {OP_relu_gradient, OP_tanh_gradient, OP_gelu_gradient};
    const ir_op op = ops[below(m, 3)];
    const ir_value inputs[] = {op == OP_tanh_gradient ? squashed(m, x) : x, squashed(m, x)};
    const ir_attr form = attr_enum("form", chance(m, 2) ? "tanh" : "erf");
    keep_value(m, node_add(m->g, op, inputs, 2, &form, op == OP_gelu_gradient, NULL));
}

/* Parts of the norm of gradients: never of a negative number, never by zero. */
static void step_norms(maker *m, ir_value x) {
    const ir_value squares = build_binary(m->g, OP_mul, x, x);
    const ir_attr most = attr_float("max_norm", 0.5);
    switch (below(m, 4)) {
    case 0: keep_value(m, squashed(m, build_unary(m->g, OP_sqrt, squares))); return;
    case 1: keep_value(m, build_binary(m->g, OP_div, x, build_scalar(m->g, IR_F32, 3))); return;
    case 2: keep_value(m, node_add(m->g, OP_clip_factor, &squares, 1, &most, 1, NULL)); return;
    default: keep_other(m, build_unary(m->g, OP_sum_of_squares, squashed(m, x))); return;
    }
}

static void step_widen(maker *m, ir_value x) {
    const int64_t n = width_of(m, x), begin = (int64_t)below(m, 3);
    const ir_attr attrs[] = {attr_int("begin", begin), attr_int("features", n + begin + (int64_t)below(m, 2))};
    if (graph_type(m->g, x)->layout == LAYOUT_ROWS && n < 24) keep_value(m, node_add(m->g, OP_widen, &x, 1, attrs, 2, NULL));
}

static void step_embedding_gradient(maker *m, ir_value x) {
    const ir_attr padding = attr_int("padding_id", (int64_t)below(m, 3) - 1);
    const ir_value inputs[] = {x, m->ids};
    if (!has_token_rows(m, x) || graph_type(m->g, x)->layout != LAYOUT_ROWS) return;
    keep_other(
        m, node_add(m->g, OP_embedding_gradient, inputs, 2, &padding, 1, f32_type(m, 2, dim_const(12), dim_const(width_of(m, x)))));
}

static void step_norm_gradient(maker *m, ir_value x) {
    const ir_value y = layer_norm_of(m, x);
    const ir_value inputs[] = {x, squashed(m, x), state_vector(m, "gamma", width_of(m, x)), y + 1, y + 2};
    const ir_value dx = node_add(m->g, OP_layer_norm_gradient, inputs, 5, NULL, 0, NULL);
    keep_value(m, squashed(m, dx));
    keep_other(m, dx + 1);
    keep_other(m, dx + 2);
}

static void step_dense_and_sparse(maker *m, ir_value x) {
    const int64_t n = any_width(m), k = width_of(m, x);
    ir_value pattern;
    if (m->options->without_sparse) return;
    const ir_value values = sparse_weight(m, n, k, &pattern), dense = build_binary(m->g, OP_sparse_to_dense, values, pattern);
    keep_other(m, dense);
    const ir_value w = state_value(m, "weight", 2, n, k, 1);
    const ir_attr gradient = attr_enum("gradient", chance(m, 2) ? "straight" : "masked");
    keep_other(m, node_add(m->g, OP_dense_to_sparse, (ir_value[]){w, pattern, w}, chance(m, 2) ? 2 : 3, &gradient, 1, NULL));
}

static void step_dropout(maker *m, ir_value x) {
    const double first = (double)below(m, 100), random[] = {(double)below(m, 1000), (double)below(m, 9)};
    if (!has_token_rows(m, x)) return;
    const ir_value begin = i64_constant(m, 0, 1, &first),
                   keys = node_add(m->g, OP_row_keys, (ir_value[]){m->offsets, m->ids, begin}, 3, NULL, 0, NULL);
    const ir_value words = i64_constant(m, 1, 2, random);
    const int64_t depth = 1 + (int64_t)below(m, 8), heads = 1 + (int64_t)below(m, 3), n = depth * heads;
    const ir_attr attrs[] = {attr_int("heads", heads), attr_float("scale", 1 / sqrt((double)depth)), attr_float("rate", 0.25),
                             attr_int("stream", (int64_t)below(m, 9))};
    if (chance(m, 2)) {
        keep_value(m, node_add(m->g, OP_dropout, (ir_value[]){x, keys, words}, 3, attrs + 2, 2, NULL));
        return;
    }
    const ir_value q = linear_of(m, x, n), k = linear_of(m, x, n), v = linear_of(m, x, n),
                   keep = chance(m, 2) ? m->keep : IR_NO_VALUE;
    const bool drops = chance(m, 2);
    const ir_value forward[] = {q, k, v, m->offsets, keep, IR_NO_VALUE, keys, words};
    const ir_value y = node_add(m->g, OP_attention, forward, drops ? 8 : 5, attrs, drops ? 4 : 2, NULL);
    keep_value(m, y);
    if (y == IR_NO_VALUE) return;
    const ir_value backward[] = {q, k, v, m->offsets, y, y + 1, squashed(m, y), keep, IR_NO_VALUE, keys, words};
    const ir_value dq = node_add(m->g, OP_attention_gradient, backward, drops ? 11 : 8, attrs, drops ? 4 : 2, NULL);
    for (ir_value i = 0; i < 3 && dq != IR_NO_VALUE; i++) keep_value(m, squashed(m, dq + i));
}

static void step_loss_gradients(maker *m, ir_value x) {
    char name[64];
    const ir_type *t = graph_type(m->g, x);
    const ir_value dloss = build_scalar(m->g, IR_F32, 0.5);
    if (m->options->without_losses) return;
    if (chance(m, 2)) {
        keep_value(m, node_add(m->g, OP_mean_squared_error_gradient, (ir_value[]){x, squashed(m, x), dloss}, 3, NULL, 0, NULL));
        return;
    }
    const ir_value labels =
        build_leaf(m->g, OP_input, new_name(m, "labels", name), type_tensor(m->out->context, IR_I64, 1, t->dims));
    const ir_attr attrs[] = {attr_enum("labels", "clamp"), attr_enum("reduction", "sum")};
    keep_value(m, node_add(m->g, OP_cross_entropy_gradient, (ir_value[]){x, labels, dloss}, 3, attrs, 2, NULL));
    keep_value(m, node_add(m->g, OP_cross_entropy, (ir_value[]){x, labels}, 2, attrs, 2, NULL));
}

static void step_divergence(maker *m, ir_value x) {
    char name[64];
    if (m->options->without_losses) return;
    const ir_type *t = graph_type(m->g, x);
    const ir_value scale = build_scalar(m->g, IR_F32, 0.5), teacher = squashed(m, x);
    const ir_attr temperature = attr_float("temperature", 2);
    const ir_type *kept = type_tensor(m->out->context, IR_I64, chance(m, 2) ? 1 : 2, t->dims);
    const ir_value keep = chance(m, 3) ? IR_NO_VALUE : build_leaf(m->g, OP_input, new_name(m, "kept", name), kept);
    keep_value(m, node_add(m->g, OP_kl_divergence, (ir_value[]){x, teacher, keep, scale}, 4, &temperature, 1, NULL));
    keep_value(m,
               node_add(m->g, OP_kl_divergence_gradient, (ir_value[]){x, teacher, scale, keep, scale}, 5, &temperature, 1, NULL));
}

/* Distances to what another layer makes of the same rows. */
static void step_distances(maker *m, ir_value x) {
    if (m->options->without_losses || !has_token_rows(m, x)) return;
    const ir_value scale = build_scalar(m->g, IR_F32, 0.25), keep = chance(m, 2) ? m->keep : IR_NO_VALUE;
    if (chance(m, 2)) {
        const ir_value inputs[] = {squashed(m, x), squashed(m, linear_of(m, x, width_of(m, x))), keep, scale};
        const ir_value loss = node_add(m->g, chance(m, 2) ? OP_squared_distance : OP_cosine_distance, inputs, 4, NULL, 0, NULL);
        keep_value(m, loss);
        if (loss) keep_value(m, squashed(m, loss + 1));
        return;
    }
    const int64_t depth = 1 + (int64_t)below(m, 8), heads = 1 + (int64_t)below(m, 3), n = depth * heads;
    const ir_attr attrs[] = {attr_int("heads", heads), attr_float("scale", 1 / sqrt((double)depth)),
                             attr_enum("queries", chance(m, 2) ? "all" : "kept")};
    ir_value q[2], k[2], lse[2];
    for (int i = 0; i < 2; i++) {
        q[i] = linear_of(m, x, n), k[i] = linear_of(m, x, n);
        lse[i] = node_add(m->g, OP_attention, (ir_value[]){q[i], k[i], k[i], m->offsets, keep}, 5, attrs, 2, NULL) + 1;
    }
    const ir_value inputs[] = {q[0], k[0], k[1], m->offsets, lse[0], q[1], lse[1], keep, scale};
    const ir_value loss = node_add(m->g, OP_attention_distance, inputs, 9, attrs, 3, NULL);
    for (ir_value i = 0; i < 3 && loss != IR_NO_VALUE; i++) keep_value(m, i == 0 ? loss : squashed(m, loss + i));
}

static void step_updates(maker *m, ir_value x) {
    const double third = 3;
    const ir_value rate = build_scalar(m->g, IR_F32, 0.01), one = build_scalar(m->g, IR_F32, 1), g = squashed(m, x);
    const ir_value inputs[] = {x, g, g, build_binary(m->g, OP_mul, g, g), rate, one, i64_constant(m, 0, 1, &third)};
    const ir_attr attrs[] = {attr_enum("form", chance(m, 2) ? "hf" : "torch"), attr_float("weight_decay", 0.1)},
                  momentum[] = {attr_float("momentum", 0.5), attr_bool("nesterov", chance(m, 2))};
    const bool adam = chance(m, 2);
    const ir_value p = adam ? node_add(m->g, OP_adamw, inputs, 7, attrs, 2, NULL)
                            : node_add(m->g, OP_sgd, (ir_value[]){x, g, g, rate, one}, 5, momentum, 2, NULL);
    for (ir_value i = 0; i < (adam ? 3u : 2u) && p != IR_NO_VALUE; i++) keep_value(m, p + i);
    keep_value(m, node_add(m->g, OP_descend, (ir_value[]){x, g, rate, one}, 4, NULL, 0, NULL));
}

/* Ranges of values, and values in 8 bits in a run before that begins: a staircase would make much of the last bit that passes may change. */
static void step_quantize(maker *m, ir_value x) {
    static const double ends[] = {-1e6, 1e6}, number = 3;
    if (graph_type(m->g, x)->layout != LAYOUT_ROWS) return;
    const ir_dim two = dim_const(2);
    const ir_attr value = attr_floats("value", ends, 2);
    const ir_value range = node_add(m->g, OP_constant, NULL, 0, &value, 1, type_tensor(m->out->context, IR_F32, 1, &two)),
                   forward = i64_constant(m, 0, 1, &number);
    const ir_attr averaging = attr_float("averaging", chance(m, 2) ? 0.25 : 0), begin = attr_int("begin", 4);
    const ir_value seen = node_add(m->g, OP_observe_range, (ir_value[]){x, range, forward}, 3, &averaging, 1, NULL);
    keep_value(m, node_add(m->g, OP_fake_quantize, (ir_value[]){x, seen, forward}, 3, &begin, 1, NULL));
    keep_value(m, node_add(m->g, OP_fake_quantize_gradient, (ir_value[]){x, x, seen}, 3, NULL, 0, NULL));
}

static void (*const steps[])(maker *m, ir_value x) = {
    step_unary,           step_binary,
    step_vector,          step_scalar,
    step_constants,       step_linear,
    step_layer_norm,      step_attention,
    step_linear,          step_slice,
    step_reshape,         step_cast,
    step_relayout,        step_nothing,
    step_again,           step_again,
    step_relayout,        step_attention,
    step_positions,       step_cross_entropy,
    step_squared_error,   step_first_rows,
    step_feed_forward,    step_kept_rows,
    step_first_attention, step_gradients,
    step_slopes,          step_norms,
    step_widen,           step_embedding_gradient,
    step_norm_gradient,   step_dense_and_sparse,
    step_dropout,         step_loss_gradients,
    step_divergence,      step_distances,
    step_updates,         step_quantize,
};

/* ---- beginning and end ---- */

static ir_value i64_input(maker *m, const char *name, uint32_t rank, const ir_dim *dims) {
    return build_leaf(m->g, OP_input, name, type_tensor(m->out->context, IR_I64, rank, dims));
}

static void begin_padded(maker *m) {
    bool ok;
    ir_symbol b = graph_declare_symbol(m->g, "B", MAX_SEQUENCES), s = graph_declare_symbol(m->g, "S", MAX_LENGTH);
    ir_dim dims[2] = {dim_symbol(b), dim_symbol(s)};
    m->tokens = dim_mul(dims[0], dims[1], &ok);
    const ir_type *flat = type_tensor(m->out->context, IR_I64, 1, &m->tokens);
    ir_value ids = i64_input(m, "input_ids", 2, dims), mask = i64_input(m, "attention_mask", 2, dims);
    m->mask = mask;
    m->ids = build_declared(m->g, OP_reshape, ids, flat);
    m->keep = build_declared(m->g, OP_reshape, mask, flat);
    m->offsets = build_unary(m->g, OP_padded_offsets, ids);
}

static void begin_ragged(maker *m) {
    m->tokens = dim_symbol(graph_declare_symbol(m->g, "T", MAX_SEQUENCES * MAX_LENGTH));
    ir_dim ends = dim_add(dim_symbol(graph_declare_symbol(m->g, "B", MAX_SEQUENCES)), 1);
    m->ids = i64_input(m, "input_ids", 1, &m->tokens);
    m->keep = i64_input(m, "attention_mask", 1, &m->tokens);
    m->offsets = build_leaf(m->g, OP_input, "offsets", type_tensor(m->out->context, IR_I32, 1, &ends));
}

static void begin_embedding(maker *m) {
    int64_t dims[2] = {1 + (int64_t)below(m, 11), any_width(m)};
    ir_tensor *table = named_tensors_add(&m->out->state, "embeddings", IR_F32, 2, dims);
    fill_uniform(table, m->key, &m->drawn, 1);
    ir_value leaf = build_leaf(m->g, OP_state, "embeddings", f32_type(m, 2, dim_const(dims[0]), dim_const(dims[1])));
    keep_value(m, build_binary(m->g, OP_embedding, leaf, m->ids));
    if (chance(m, 2)) return;
    ir_dim shape[2] = {m->tokens, dim_const(any_width(m))};
    keep_value(m, build_leaf(m->g, OP_input, "x", type_tensor(m->out->context, IR_F32, 2, shape)));
}

/* The last value, and some of the others. */
static void add_outputs(maker *m) {
    char name[64];
    for (size_t i = 0; i < m->pool.size; i++) {
        if (i + 1 < m->pool.size && !chance(m, 4)) continue;
        snprintf(name, sizeof name, "pool.%zu", i);
        graph_add_output(m->g, name, m->pool.data[i]);
    }
    for (size_t i = 0; i < m->others.size; i++) {
        if (chance(m, 4)) continue;
        snprintf(name, sizeof name, "other.%zu", i);
        graph_add_output(m->g, name, m->others.data[i]);
    }
}

static void emit_failure(void *user, const diag *d) {
    (void)user;
    fail_msg("a generated graph is refused: %s", d->message);
}

void graph_generate(uint64_t seed, const graph_options *options, generated_graph *out) {
    static const graph_options all = {.n_steps = 12};
    static const diag_sink sink = {.emit = emit_failure};
    *out = (generated_graph){.inputs.what = "input", .state.what = "state", .context = context_create()};
    out->module = out->context ? module_create(out->context, &sink) : NULL;
    out->graph = out->module ? module_add_graph(out->module, "generated") : NULL;
    if (!out->graph) fail_msg("memory is short");
    maker m = {.out = out, .g = out->graph, .options = options ? options : &all, .key = rng_key_make(seed, "graph generator")};
    m.padded = chance(&m, 2);
    if (m.padded) begin_padded(&m);
    else begin_ragged(&m);
    begin_embedding(&m);
    for (uint32_t i = 0; i < m.options->n_steps; i++) {
        char scope[64];
        snprintf(scope, sizeof scope, "encoder.layer.%u", (unsigned)below(&m, 3));
        graph_set_scope(m.g, chance(&m, 4) ? "" : scope);
        steps[below(&m, sizeof steps / sizeof steps[0])](&m, any_of_pool(&m));
    }
    add_outputs(&m);
    if (graph_finish(m.g) != POFAC_OK) fail_msg("seed %llu gives no valid graph", (unsigned long long)seed);
    VEC_FREE(&m.pool);
    VEC_FREE(&m.others);
    graph_generate_inputs(out, seed);
}

/* ---- inputs ---- */

static const ir_node *loss_of(const ir_graph *g, ir_value labels) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_cross_entropy && g->nodes.data[i].inputs[1] == labels) return &g->nodes.data[i];
    return NULL;
}

/* A class, or what leaves the row out; with "clamp" also a number outside of the classes. */
static int64_t any_label(const ir_graph *g, ir_value labels, uint64_t random) {
    const ir_node *loss = loss_of(g, labels);
    if (!loss) return 0;
    int64_t n = graph_type(g, loss->inputs[0])->dims[1].offset, label = (int64_t)(random % (uint64_t)(n + 2));
    if (strcmp(node_string(loss, "labels"), "clamp") == 0) return label - 1;
    return label < n ? label : -100;
}

typedef struct batch {
    int64_t n_sequences;
    int64_t length[MAX_SEQUENCES]; /* of each sequence */
} batch;

static void fill_input(const generated_graph *g, const char *name, ir_value v, const batch *b, ir_tensor *t, rng_key key,
                       uint64_t *drawn) {
    if (dtype_class(t->dtype) == DTYPE_FLOAT) {
        fill_uniform(t, key, drawn, 1);
        return;
    }
    int64_t n_ids = named_tensors_find(&g->state, "embeddings")->dims[0], end = 0;
    for (int64_t i = 0; i < tensor_elements(t); i++) {
        uint64_t random = draw(key, drawn, UINT64_C(1) << 32);
        int64_t value = (int64_t)(random % 4 != 0); /* masks */
        if (strcmp(name, "input_ids") == 0) value = (int64_t)(random % (uint64_t)n_ids);
        if (text_ends_with(name, "labels")) value = any_label(g->graph, v, random);
        if (strcmp(name, "offsets") == 0) {
            value = end;
            end += i < b->n_sequences ? b->length[i] : 0;
        }
        tensor_set_int(t, i, value);
    }
}

/* Numbers for B, S and T; often one of them is 1. */
static void choose_batch(const generated_graph *g, rng_key key, uint64_t *drawn, batch *b, int64_t *numbers) {
    bool one = draw(key, drawn, 5) == 0;
    b->n_sequences = one ? 1 : 1 + (int64_t)draw(key, drawn, 4);
    int64_t tokens = 0, longest = 1 + (int64_t)draw(key, drawn, 9);
    for (int64_t i = 0; i < b->n_sequences; i++) {
        b->length[i] = one ? 1 : 1 + (int64_t)draw(key, drawn, (uint64_t)longest);
        tokens += b->length[i];
    }
    for (size_t i = 0; i < g->graph->n_bounds; i++) {
        ir_symbol s = g->graph->bounds[i].symbol;
        const char *name = symbol_name(g->context, s);
        numbers[s] = name[0] == 'B' ? b->n_sequences : name[0] == 'T' ? tokens : one ? 1 : longest;
    }
}

#define MAX_SYMBOLS 256

void graph_generate_inputs(generated_graph *g, uint64_t seed) {
    rng_key key = rng_key_make(seed, "inputs of a generated graph");
    uint64_t drawn = 0;
    int64_t numbers[MAX_SYMBOLS];
    batch b = {0};
    size_t n_symbols = context_n_symbols(g->context) + 1;
    if (n_symbols > MAX_SYMBOLS) fail_msg("%zu symbols, wanted at most %d", n_symbols, MAX_SYMBOLS);
    for (size_t i = 0; i < n_symbols; i++) numbers[i] = -1;
    choose_batch(g, key, &drawn, &b, numbers);
    named_tensors_free(&g->inputs);
    for (size_t i = 0; i < g->graph->nodes.size; i++) {
        const ir_node *n = &g->graph->nodes.data[i];
        if (n->op != OP_input) continue;
        const ir_type *t = graph_type(g->graph, n->first_result);
        int64_t dims[IR_MAX_RANK];
        for (uint32_t d = 0; d < t->rank; d++) dims[d] = dim_eval(t->dims[d], (ir_binding){numbers, n_symbols});
        const char *name = node_string(n, "name");
        fill_input(g, name, n->first_result, &b, named_tensors_add(&g->inputs, name, t->dtype, t->rank, dims), key, &drawn);
    }
}

void generated_graph_free(generated_graph *g) {
    named_tensors_free(&g->inputs);
    named_tensors_free(&g->state);
    module_destroy(g->module);
    if (g->context) context_destroy(g->context);
    *g = (generated_graph){0};
}
