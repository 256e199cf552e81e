/* Elementwise expressions; see expression.h. */
#include "codegen/expression.h"

#include "codegen/vector_math.h"
#include "ir/op.h"

typedef cg_val (*emit_unary)(emitter *e, cg_val x);
typedef cg_val (*emit_binary)(emitter *e, cg_val x, cg_val y);

/* ---- gradients: of x, or of the result y where that is enough ---- */

static cg_val relu_gradient(emitter *e, cg_val x, cg_val dy) {
    cg_val zero = em_const(e, em_lanes_of(x), 0);
    return em_select(e, LLVMBuildFCmp(e->builder, LLVMRealOGT, x, zero, ""), dy, zero);
}

static cg_val tanh_gradient(emitter *e, cg_val y, cg_val dy) { return em_fsub(e, dy, em_fmul(e, em_fmul(e, dy, y), y)); }
static cg_val gelu_gradient(emitter *e, cg_val x, cg_val dy) { return em_fmul(e, math_gelu_erf_slope(e, x), dy); }
static cg_val gelu_tanh_gradient(emitter *e, cg_val x, cg_val dy) { return em_fmul(e, math_gelu_tanh_slope(e, x), dy); }

/* Has a mask instead of a second operand. */
static cg_val dropout(emitter *e, const cg_expression *x, cg_val a, cg_val keeps) {
    const unsigned lanes = em_lanes_of(a);
    return em_select(e, keeps, em_fmul(e, a, em_const(e, lanes, 1 / (1 - x->dropout.rate))), em_const(e, lanes, 0));
}

static const struct elementwise_op {
    ir_op op;
    emit_binary binary; /* or */
    emit_unary unary, tanh_form;
    emit_binary binary_tanh_form;
} elementwise_ops[] = {
    {OP_add, em_fadd, NULL, NULL, NULL},
    {OP_sub, em_fsub, NULL, NULL, NULL},
    {OP_mul, em_fmul, NULL, NULL, NULL},
    {OP_div, em_fdiv, NULL, NULL, NULL},
    {OP_sqrt, NULL, em_fsqrt, NULL, NULL},
    {OP_relu, NULL, math_relu, NULL, NULL},
    {OP_tanh, NULL, math_tanh, NULL, NULL},
    {OP_gelu, NULL, math_gelu_erf, math_gelu_tanh, NULL},
    {OP_relu_gradient, relu_gradient, NULL, NULL, NULL},
    {OP_tanh_gradient, tanh_gradient, NULL, NULL, NULL},
    {OP_gelu_gradient, gelu_gradient, NULL, NULL, gelu_tanh_gradient},
    {OP_dropout, NULL, NULL, NULL, NULL},
    {OP_fake_quantize, NULL, NULL, NULL, NULL},
    {OP_fake_quantize_gradient, NULL, NULL, NULL, NULL},
};

static const struct elementwise_op *find_op(ir_op op) {
    for (size_t i = 0; i < sizeof elementwise_ops / sizeof elementwise_ops[0]; i++)
        if (elementwise_ops[i].op == op) return &elementwise_ops[i];
    return NULL;
}

bool expression_has_setup(const cg_expression *x) {
    for (unsigned i = 0; i < x->n_inputs; i++)
        if (x->inputs[i].source == SOURCE_RANGE) return true;
    return x->dropout.used;
}

bool expression_takes(ir_op op) { return find_op(op) != NULL; }

int expression_find(const cg_expression *x, ir_value v) {
    for (unsigned i = x->n_ops; i-- > 0;)
        if (x->ops[i].value == v) return (int)(x->n_inputs + i);
    for (unsigned i = 0; i < x->n_inputs; i++)
        if (x->inputs[i].value == v) return (int)i;
    return -1;
}

static const char *const source_names[] = {"computed", "full", "feature", "scalar", "random", "range"};

static void print_input(const cg_expression *x, unsigned i, strbuf *out) {
    strbuf_printf(out, " v%u=%s:%u", i, source_names[x->inputs[i].source], x->inputs[i].operand);
    if (x->inputs[i].source != SOURCE_RANGE) return;
    if (x->inputs[i].range.symmetric) strbuf_puts(out, ".symmetric");
    if (x->inputs[i].range.counted)
        strbuf_printf(out, ".from%lld:%u", (long long)x->inputs[i].range.begin, x->inputs[i].range.forward);
}

void expression_print(const cg_expression *x, strbuf *out) {
    for (unsigned i = 0; i < x->n_inputs; i++) print_input(x, i, out);
    for (unsigned i = 0; i < x->n_ops; i++) {
        strbuf_printf(out, " v%u=%s%s(v%u", x->n_inputs + i, op_info(x->ops[i].op)->name, x->ops[i].tanh_form ? ".tanh" : "",
                      x->ops[i].a);
        if (op_info(x->ops[i].op)->max_inputs > 1) strbuf_printf(out, ",v%u", x->ops[i].b);
        if (x->ops[i].op == OP_fake_quantize_gradient) strbuf_printf(out, ",v%u", x->ops[i].c);
        strbuf_putc(out, ')');
    }
    if (x->dropout.used)
        strbuf_printf(out, " random:%u stream=dim%u rate=%a", x->dropout.random, x->dropout.stream, x->dropout.rate);
    for (unsigned i = 0; i < x->n_stores; i++) strbuf_printf(out, " store:%u=v%u", x->stores[i].operand, x->stores[i].value);
}

static cg_val emit_op(emitter *e, const cg_expression *x, unsigned i, const cg_val *value) {
    const struct elementwise_op *op = find_op(x->ops[i].op);
    const emit_binary binary = x->ops[i].tanh_form && op->binary_tanh_form ? op->binary_tanh_form : op->binary;
    cg_val a = value[x->ops[i].a];
    switch (x->ops[i].op) {
    case OP_dropout: return dropout(e, x, a, value[x->ops[i].b]);
    case OP_fake_quantize: return fake_quantize_emit(e, value[x->ops[i].b], a);
    case OP_fake_quantize_gradient: return fake_quantize_gradient_emit(e, value[x->ops[i].c], a, value[x->ops[i].b]);
    default: break;
    }
    if (binary) return binary(e, a, value[x->ops[i].b]);
    return x->ops[i].tanh_form ? op->tanh_form(e, a) : op->unary(e, a);
}

void expression_emit(emitter *e, const cg_expression *x, cg_val value[EXPRESSION_MAX_VALUES]) {
    for (unsigned i = 0; i < x->n_ops; i++) value[x->n_inputs + i] = emit_op(e, x, i, value);
}

static void begin_ranges(emitter *e, const cg_expression *x, const cg_val *operand, expression_random *random) {
    for (unsigned i = 0; i < x->n_inputs; i++) {
        if (x->inputs[i].source != SOURCE_RANGE) continue;
        const fake_quantize_range range = {.range = operand[x->inputs[i].operand],
                                           .forward = x->inputs[i].range.counted ? operand[x->inputs[i].range.forward] : NULL,
                                           .begin = x->inputs[i].range.begin,
                                           .symmetric = x->inputs[i].range.symmetric};
        random->ranges[i] = em_stack(e, fake_quantize_bytes(e), 64);
        fake_quantize_prepare(e, &range, random->ranges[i]);
    }
}

void expression_begin(emitter *e, const cg_expression *x, const cg_val *operand, int64_t width, unsigned lanes,
                      expression_random *random) {
    begin_ranges(e, x, operand, random);
    if (!x->dropout.used) return;
    random->numbers = philox_begin(e, operand[x->dropout.random], em_dim(e, x->dropout.stream));
    random->rows = em_stack(e, width / lanes * PHILOX_ROOM(lanes), 64);
    random->words = em_stack(e, 4 * PHILOX_WORDS * width, 64);
}

void expression_begin_tile(emitter *e, const expression_tile *t) {
    const cg_expression *x = t->expression;
    em_loop parts;
    if (!x->dropout.used) return;
    cg_val keys = t->operand[x->inputs[x->dropout.input].operand], end = t->live ? t->live : em_int(e, t->width);
    em_loop_begin(e, &parts, em_int(e, 0), end, t->lanes, NULL, 0);
    cg_val room = em_index(e, t->random->rows, em_div_int(e, parts.index, t->lanes), PHILOX_ROOM(t->lanes));
    philox_rows_at(e, &t->random->numbers, t->lanes, room, keys, em_add(e, t->token, parts.index), t->n_tokens);
    em_loop_end(e, &parts, NULL);
}

void expression_begin_row(emitter *e, const expression_tile *t, cg_val feature, expression_row *row) {
    const cg_expression *x = t->expression;
    row->bias = t->bias ? em_load_splat(e, t->lanes, em_index(e, t->bias, feature, 4)) : NULL;
    for (unsigned i = 0; i < x->n_inputs; i++) {
        cg_val pointer = x->inputs[i].source == SOURCE_COMPUTED ? NULL : t->operand[x->inputs[i].operand];
        row->feature[i] = NULL;
        if (x->inputs[i].source == SOURCE_RANDOM)
            row->words = em_index(e, t->random->words, em_rem_int(e, feature, PHILOX_WORDS), 4 * t->width);
        if (x->inputs[i].source == SOURCE_FEATURE) row->feature[i] = em_load_splat(e, t->lanes, em_index(e, pointer, feature, 4));
        if (x->inputs[i].source == SOURCE_SCALAR) row->feature[i] = em_load_splat(e, t->lanes, pointer);
    }
}

void expression_emit_vector(emitter *e, const expression_tile *t, const expression_row *row, cg_val index, cg_val part, cg_val at,
                            cg_val value[EXPRESSION_MAX_VALUES]) {
    const cg_expression *x = t->expression;
    const unsigned align = 4 * t->lanes;
    for (unsigned i = 0; i < x->n_inputs; i++) {
        if (x->inputs[i].source == SOURCE_FULL) {
            if (t->bytes_ahead) em_prefetch(e, em_at_int(e, em_at(e, t->operand[x->inputs[i].operand], at), t->bytes_ahead));
            value[i] = em_load(e, t->lanes, em_at(e, t->operand[x->inputs[i].operand], at), align);
        } else if (x->inputs[i].source == SOURCE_COMPUTED) {
            value[i] = em_load(e, t->lanes, em_at(e, em_index(e, t->computed, index, 4 * t->width), part), align);
            if (row->bias) value[i] = em_fadd(e, value[i], row->bias);
        } else if (x->inputs[i].source == SOURCE_RANDOM) {
            cg_val word = em_load(e, t->lanes, em_at(e, row->words, part), align);
            value[i] = philox_keeps(e, LLVMBuildBitCast(e->builder, word, LLVMVectorType(e->i32, t->lanes), ""), x->dropout.rate);
        } else if (x->inputs[i].source == SOURCE_RANGE) {
            value[i] = t->random->ranges[i];
        } else {
            value[i] = row->feature[i];
        }
    }
    expression_emit(e, x, value);
    for (unsigned i = 0; i < x->n_stores; i++) {
        cg_val to = em_at(e, t->operand[x->stores[i].operand], at);
        if (t->bytes_ahead) em_prefetch(e, em_at_int(e, to, t->bytes_ahead));
        em_store(e, value[x->stores[i].value], to, align);
    }
}

/* Rows [begin, end) of the part. */
static void emit_rows(emitter *e, const expression_tile *t, cg_val first, cg_val row0, cg_val begin, cg_val end_row) {
    em_loop rows, parts;
    expression_row row;
    cg_val value[EXPRESSION_MAX_VALUES], end = t->live ? em_mul_int(e, t->live, 4) : em_int(e, 4 * t->width);
    em_loop_begin(e, &rows, begin, end_row, 1, NULL, 0);
    expression_begin_row(e, t, em_add(e, rows.index, row0), &row);
    cg_val at_row = em_mul_int(e, em_add(e, first, rows.index), 4 * t->width);
    em_loop_begin(e, &parts, em_int(e, 0), end, 4 * (int64_t)t->lanes, NULL, 0);
    expression_emit_vector(e, t, &row, rows.index, parts.index, em_add(e, at_row, parts.index), value);
    em_loop_end(e, &parts, NULL);
    em_loop_end(e, &rows, NULL);
}

/* The words of features [PHILOX_WORDS group, PHILOX_WORDS (group + 1)) of all live lanes. */
static void emit_words(emitter *e, const expression_tile *t, cg_val group) {
    em_loop parts;
    cg_val word[PHILOX_WORDS], end = t->live ? t->live : em_int(e, t->width);
    em_loop_begin(e, &parts, em_int(e, 0), end, t->lanes, NULL, 0);
    const philox_rows rows = {&t->random->numbers, t->lanes,
                              em_index(e, t->random->rows, em_div_int(e, parts.index, t->lanes), PHILOX_ROOM(t->lanes))};
    philox_words(e, &rows, group, word);
    for (unsigned i = 0; i < PHILOX_WORDS; i++)
        em_store(e, word[i], em_at(e, em_at_int(e, t->random->words, 4 * i * t->width), em_mul_int(e, parts.index, 4)),
                 4 * t->lanes);
    em_loop_end(e, &parts, NULL);
}

void expression_emit_tile(emitter *e, const expression_tile *t, cg_val first, cg_val row0, cg_val n_rows) {
    if (!t->expression->dropout.used) {
        emit_rows(e, t, first, row0, em_int(e, 0), n_rows);
        return;
    }
    em_loop groups; /* of features whose words one block of random numbers has */
    em_loop_begin(e, &groups, em_div_int(e, row0, PHILOX_WORDS), em_div_int_up(e, em_add(e, row0, n_rows), PHILOX_WORDS), 1, NULL,
                  0);
    emit_words(e, t, groups.index);
    cg_val begin = em_sub(e, em_mul_int(e, groups.index, PHILOX_WORDS), row0), end = em_add_int(e, begin, PHILOX_WORDS);
    emit_rows(e, t, first, row0, em_max(e, begin, em_int(e, 0)), em_min(e, end, n_rows));
    em_loop_end(e, &groups, NULL);
}
