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
};

static const struct elementwise_op *find_op(ir_op op) {
    for (size_t i = 0; i < sizeof elementwise_ops / sizeof elementwise_ops[0]; i++)
        if (elementwise_ops[i].op == op) return &elementwise_ops[i];
    return NULL;
}

bool expression_takes(ir_op op) { return find_op(op) != NULL; }

int expression_find(const cg_expression *x, ir_value v) {
    for (unsigned i = x->n_ops; i-- > 0;)
        if (x->ops[i].value == v) return (int)(x->n_inputs + i);
    for (unsigned i = 0; i < x->n_inputs; i++)
        if (x->inputs[i].value == v) return (int)i;
    return -1;
}

static const char *const source_names[] = {"computed", "full", "feature", "scalar"};

void expression_print(const cg_expression *x, strbuf *out) {
    for (unsigned i = 0; i < x->n_inputs; i++)
        strbuf_printf(out, " v%u=%s:%u", i, source_names[x->inputs[i].source], x->inputs[i].operand);
    for (unsigned i = 0; i < x->n_ops; i++) {
        strbuf_printf(out, " v%u=%s%s(v%u", x->n_inputs + i, op_info(x->ops[i].op)->name, x->ops[i].tanh_form ? ".tanh" : "",
                      x->ops[i].a);
        if (op_info(x->ops[i].op)->max_inputs == 2) strbuf_printf(out, ",v%u", x->ops[i].b);
        strbuf_putc(out, ')');
    }
    for (unsigned i = 0; i < x->n_stores; i++) strbuf_printf(out, " store:%u=v%u", x->stores[i].operand, x->stores[i].value);
}

void expression_emit(emitter *e, const cg_expression *x, cg_val value[EXPRESSION_MAX_VALUES]) {
    for (unsigned i = 0; i < x->n_ops; i++) {
        const struct elementwise_op *op = find_op(x->ops[i].op);
        cg_val a = value[x->ops[i].a];
        const emit_binary binary = x->ops[i].tanh_form && op->binary_tanh_form ? op->binary_tanh_form : op->binary;
        value[x->n_inputs + i] = binary                ? binary(e, a, value[x->ops[i].b])
                                 : x->ops[i].tanh_form ? op->tanh_form(e, a)
                                                       : op->unary(e, a);
    }
}

void expression_begin_row(emitter *e, const expression_tile *t, cg_val feature, expression_row *row) {
    const cg_expression *x = t->expression;
    row->bias = t->bias ? em_load_splat(e, t->lanes, em_index(e, t->bias, feature, 4)) : NULL;
    for (unsigned i = 0; i < x->n_inputs; i++) {
        cg_val pointer = x->inputs[i].source == SOURCE_COMPUTED ? NULL : t->operand[x->inputs[i].operand];
        row->feature[i] = NULL;
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
            value[i] = em_load(e, t->lanes, em_at(e, t->operand[x->inputs[i].operand], at), align);
        } else if (x->inputs[i].source == SOURCE_COMPUTED) {
            value[i] = em_load(e, t->lanes, em_at(e, em_index(e, t->computed, index, 4 * t->width), part), align);
            if (row->bias) value[i] = em_fadd(e, value[i], row->bias);
        } else {
            value[i] = row->feature[i];
        }
    }
    expression_emit(e, x, value);
    for (unsigned i = 0; i < x->n_stores; i++)
        em_store(e, value[x->stores[i].value], em_at(e, t->operand[x->stores[i].operand], at), align);
}

void expression_emit_tile(emitter *e, const expression_tile *t, cg_val first, cg_val row0, cg_val n_rows) {
    em_loop rows, parts;
    expression_row row;
    cg_val value[EXPRESSION_MAX_VALUES], end = t->live ? em_mul_int(e, t->live, 4) : em_int(e, 4 * t->width);
    em_loop_begin(e, &rows, em_int(e, 0), n_rows, 1, NULL, 0);
    expression_begin_row(e, t, em_add(e, rows.index, row0), &row);
    cg_val at_row = em_mul_int(e, em_add(e, first, rows.index), 4 * t->width);
    em_loop_begin(e, &parts, em_int(e, 0), end, 4 * (int64_t)t->lanes, NULL, 0);
    expression_emit_vector(e, t, &row, rows.index, parts.index, em_add(e, at_row, parts.index), value);
    em_loop_end(e, &parts, NULL);
    em_loop_end(e, &rows, NULL);
}
