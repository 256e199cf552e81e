/* The table of kernels, and what describers and emitters share; see kernel.h. */
#include "codegen/kernel.h"

#include <string.h>

#include "ir/op.h"

const kernel_row kernel_rows[] = {
#define KERNEL(name, describe, emit, meaning) {name, describe, emit, LIBRARY_NONE},
#define LIBRARY_KERNEL(name, describe, function, meaning) {name, describe, NULL, function},
#include "codegen/kernels.def"
#undef KERNEL
#undef LIBRARY_KERNEL
};
const size_t n_kernel_rows = sizeof kernel_rows / sizeof kernel_rows[0];

const cg_row *cg_kernel_row(size_t i) {
    static const cg_row table[] = {
#define KERNEL(name, describe, emit, meaning) {name, meaning},
#define LIBRARY_KERNEL(name, describe, function, meaning) {name, meaning},
#include "codegen/kernels.def"
#undef KERNEL
#undef LIBRARY_KERNEL
    };
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}

bool kernel_choose(const cg_group *g, const cg_target *target, const cg_variant *variant, cg_kernel *out) {
    for (size_t i = 0; i < n_kernel_rows; i++) {
        if (variant && variant->row != i) continue;
        *out = (cg_kernel){.row = i, .work_per_unit = 1, .grain = 1, .variant = variant};
        bool takes = kernel_rows[i].describe(g, target, out);
        if (out->expression.dropout.used)
            out->expression.dropout.stream = kernel_dim(out, dim_const(out->expression.dropout.stream_number));
        takes = takes && !out->failed;
        out->variant = NULL; /* which need not outlive the choice */
        if (takes) return true;
    }
    return false;
}

bool kernel_next(const cg_group *g, const cg_target *target, const cg_kernel *k, cg_kernel *out) {
    for (size_t i = 0; k->next && i < n_kernel_rows; i++) {
        if (strcmp(kernel_rows[i].name, k->next) != 0) continue;
        *out = (cg_kernel){.row = i, .work_per_unit = 1, .grain = 1};
        return kernel_rows[i].describe(g, target, out) && !out->failed;
    }
    return false;
}

void kernel_variant(const cg_kernel *k, strbuf *out) {
    strbuf_puts(out, kernel_rows[k->row].name);
    for (unsigned i = 0; i < k->n_params; i++) {
        const cg_param *p = &k->params[i];
        strbuf_printf(out, " %s=", p->name);
        switch (p->kind) {
        case PARAM_INT: strbuf_printf(out, "%lld", (long long)p->as.number); break;
        case PARAM_REAL: strbuf_printf(out, "%a", p->as.real); break;
        case PARAM_DTYPE: strbuf_puts(out, dtype_name(p->as.dtype)); break;
        }
    }
    if (k->expression.n_inputs > 0) expression_print(&k->expression, out);
}

/* ---- for describe ---- */

int64_t kernel_option(const cg_kernel *k, const char *name, int64_t otherwise) { return variant_get(k->variant, name, otherwise); }

unsigned kernel_packed_operand(cg_kernel *k, ir_value value, plan_packing packing, uint32_t parameter) {
    if (k->n_operands == KERNEL_MAX_OPERANDS) {
        k->failed = true;
        return 0;
    }
    k->operands[k->n_operands] = (cg_operand){.value = value, .packing = packing, .packing_parameter = parameter};
    return k->n_operands++;
}

unsigned kernel_sparse_operand(cg_kernel *k, ir_value value, plan_packing packing, const sparse_layout *layout) {
    unsigned i = kernel_packed_operand(k, value, packing, 0);
    if (!k->failed) k->operands[i].sparse = *layout;
    return i;
}

unsigned kernel_quantized_operand(cg_kernel *k, ir_value weight, ir_value range, plan_packing packing, uint32_t parameter,
                                  const sparse_layout *layout) {
    unsigned i = kernel_packed_operand(k, weight, packing, parameter);
    if (k->failed) return i;
    k->operands[i].sparse = *layout;
    k->operands[i].range = range;
    return i;
}

unsigned kernel_workspace(cg_kernel *k, const cg_group *g, uint32_t number, ir_dim elements) {
    const ir_type *type = type_tensor(g->graph->module->context, IR_F32, 1, &elements);
    unsigned i = kernel_packed_operand(k, group_last(g)->first_result, PACKING_WORKSPACE, number);
    if (!type) k->failed = true;
    if (!k->failed) k->operands[i].workspace = type;
    return i;
}

unsigned kernel_operand(cg_kernel *k, ir_value value) { return kernel_packed_operand(k, value, PACKING_NONE, 0); }

unsigned kernel_dim(cg_kernel *k, ir_dim dim) {
    if (k->n_dims == KERNEL_MAX_DIMS) {
        k->failed = true;
        return 0;
    }
    k->dims[k->n_dims] = dim;
    return k->n_dims++;
}

static void add_param(cg_kernel *k, cg_param p) {
    if (k->n_params == KERNEL_MAX_PARAMS) k->failed = true;
    else k->params[k->n_params++] = p;
}

void kernel_set(cg_kernel *k, const char *name, int64_t value) { add_param(k, (cg_param){name, PARAM_INT, {.number = value}}); }

void kernel_set_real(cg_kernel *k, const char *name, double value) { add_param(k, (cg_param){name, PARAM_REAL, {.real = value}}); }

void kernel_set_dtype(cg_kernel *k, const char *name, ir_dtype value) {
    add_param(k, (cg_param){name, PARAM_DTYPE, {.dtype = value}});
}

void kernel_computed(cg_kernel *k, ir_value value) {
    cg_expression *x = &k->expression;
    x->inputs[x->n_inputs].source = SOURCE_COMPUTED;
    x->inputs[x->n_inputs].operand = x->n_inputs;
    x->inputs[x->n_inputs++].value = value;
}

void kernel_by_block(cg_kernel *k, ir_dim rows, int64_t block_rows, int64_t units) {
    k->rows = rows;
    k->block_rows = block_rows;
    k->block_units = units;
}

/* Adds an input of the expression that is read from memory. */
static bool add_input(cg_kernel *k, const cg_group *g, ir_value v, const ir_type *full) {
    cg_expression *x = &k->expression;
    const ir_type *t = graph_type(g->graph, v);
    if (expression_find(x, v) >= 0) return true;
    if (x->n_inputs == EXPRESSION_MAX_INPUTS || t->kind != TYPE_TENSOR || t->dtype != IR_F32) return false;
    cg_source source;
    if (t == full) source = SOURCE_FULL;
    else if (t->rank == 0) source = SOURCE_SCALAR;
    else if (t->rank == 1 && t->layout == LAYOUT_ROWS && dim_is_const(t->dims[0], NULL) &&
             dim_equal(t->dims[0], full->dims[full->rank - 1]))
        source = SOURCE_FEATURE;
    else return false;
    x->inputs[x->n_inputs].source = source;
    x->inputs[x->n_inputs].operand = kernel_operand(k, v);
    x->inputs[x->n_inputs++].value = v;
    return true;
}

/* Adds what a dropout of `full` decides by. */
static bool add_random(cg_kernel *k, const ir_node *n, const ir_type *full) {
    cg_expression *x = &k->expression;
    if (x->dropout.used || x->n_inputs == EXPRESSION_MAX_INPUTS || !is_f32_tiles(full)) return false;
    x->dropout.used = true;
    x->dropout.input = x->n_inputs;
    x->dropout.random = kernel_operand(k, n->inputs[2]);
    x->dropout.stream_number = node_int(n, "stream");
    x->dropout.rate = node_float(n, "rate");
    x->inputs[x->n_inputs].source = SOURCE_RANDOM;
    x->inputs[x->n_inputs].operand = kernel_operand(k, n->inputs[1]);
    x->inputs[x->n_inputs++].value = n->inputs[1];
    return true;
}

/* What fake_quantize or its gradient quantizes by. */
typedef struct node_range {
    ir_value range, forward; /* forward: IR_NO_VALUE where there is none */
    bool symmetric;
    int64_t begin;
} node_range;

/* False: the node has none. */
static bool range_of_node(const ir_node *n, node_range *out) {
    const uint32_t at = n->op == OP_fake_quantize ? 1 : 2;
    if (n->op != OP_fake_quantize && n->op != OP_fake_quantize_gradient) return false;
    *out = (node_range){.range = n->inputs[at],
                        .forward = node_input(n, at + 1),
                        .symmetric = strcmp(node_string(n, "scheme"), "symmetric") == 0,
                        .begin = node_int(n, "begin")};
    return true;
}

/* The input of the expression that has the node's range; -1: none. */
static int find_range(const cg_kernel *k, const node_range *r) {
    const cg_expression *x = &k->expression;
    for (unsigned i = 0; i < x->n_inputs; i++) {
        if (x->inputs[i].source != SOURCE_RANGE || x->inputs[i].range.counted != (r->forward != IR_NO_VALUE)) continue;
        const ir_value forward = x->inputs[i].range.counted ? k->operands[x->inputs[i].range.forward].value : IR_NO_VALUE;
        if (k->operands[x->inputs[i].operand].value == r->range && forward == r->forward && x->inputs[i].range.begin == r->begin &&
            x->inputs[i].range.symmetric == r->symmetric)
            return (int)i;
    }
    return -1;
}

static bool add_range(cg_kernel *k, const cg_group *g, const node_range *r) {
    cg_expression *x = &k->expression;
    if (find_range(k, r) >= 0) return true;
    if (x->n_inputs == EXPRESSION_MAX_INPUTS || graph_type(g->graph, r->range)->rank != 1) return false;
    x->inputs[x->n_inputs].source = SOURCE_RANGE;
    x->inputs[x->n_inputs].operand = kernel_operand(k, r->range);
    x->inputs[x->n_inputs].value = IR_NO_VALUE;
    x->inputs[x->n_inputs].range.symmetric = r->symmetric;
    x->inputs[x->n_inputs].range.counted = r->forward != IR_NO_VALUE;
    x->inputs[x->n_inputs].range.forward = r->forward == IR_NO_VALUE ? 0 : kernel_operand(k, r->forward);
    x->inputs[x->n_inputs++].range.begin = r->begin;
    return true;
}

/* How many of the node's inputs are elements of its expression; the others say how it computes. */
static uint32_t element_inputs(const ir_node *n) {
    switch (n->op) {
    case OP_dropout:
    case OP_fake_quantize: return 1;
    case OP_fake_quantize_gradient: return 2;
    default: return n->n_inputs;
    }
}

static bool add_inputs(cg_kernel *k, const cg_group *g, size_t first, const ir_type *full) {
    for (size_t i = first; i < g->n_nodes; i++) {
        const ir_node *n = group_node(g, i);
        if (!expression_takes(n->op) || graph_type(g->graph, n->first_result) != full) return false;
        const uint32_t n_values = element_inputs(n);
        node_range range;
        if (n->op == OP_dropout && !add_random(k, n, full)) return false;
        if (range_of_node(n, &range) && !add_range(k, g, &range)) return false;
        for (uint32_t j = 0; j < n_values; j++) {
            bool inside = false;
            for (size_t m = first; m < i; m++) inside |= group_node(g, m)->first_result == n->inputs[j];
            if (!inside && !add_input(k, g, n->inputs[j], full)) return false;
        }
    }
    return true;
}

static bool add_store(cg_kernel *k, const cg_group *g, unsigned number, ir_value v) {
    cg_expression *x = &k->expression;
    if (!g->stored[v]) return true;
    if (x->n_stores == EXPRESSION_MAX_STORES) return false;
    x->stores[x->n_stores].value = number;
    x->stores[x->n_stores++].operand = kernel_operand(k, v);
    return true;
}

bool kernel_express(cg_kernel *k, const cg_group *g, size_t first, const ir_type *full) {
    cg_expression *x = &k->expression;
    if (g->n_nodes - first > EXPRESSION_MAX_OPS || !add_inputs(k, g, first, full)) return false;
    for (size_t i = first; i < g->n_nodes; i++) {
        const ir_node *n = group_node(g, i);
        int a = expression_find(x, n->inputs[0]), b = n->n_inputs > 1 ? expression_find(x, n->inputs[1]) : 0;
        node_range range;
        const int c = range_of_node(n, &range) ? find_range(k, &range) : 0;
        if (n->op == OP_dropout) b = (int)x->dropout.input;
        if (n->op == OP_fake_quantize) b = c;
        x->ops[x->n_ops].op = n->op;
        x->ops[x->n_ops].tanh_form = (n->op == OP_gelu || n->op == OP_gelu_gradient) && strcmp(node_string(n, "form"), "tanh") == 0;
        x->ops[x->n_ops].a = (unsigned)a;
        x->ops[x->n_ops].b = (unsigned)b;
        x->ops[x->n_ops].c = (unsigned)c;
        x->ops[x->n_ops++].value = n->first_result;
    }
    for (unsigned i = 0; i < x->n_inputs; i++)
        if (x->inputs[i].source == SOURCE_COMPUTED && !add_store(k, g, i, x->inputs[i].value)) return false;
    for (unsigned i = 0; i < x->n_ops; i++)
        if (!add_store(k, g, x->n_inputs + i, x->ops[i].value)) return false;
    return true;
}

ir_dim kernel_scaled(ir_dim dim, int64_t scale, int64_t offset, bool *ok) {
    bool fits;
    ir_dim d = dim_mul(dim, dim_const(scale), &fits);
    int64_t sum;
    fits = fits && !__builtin_add_overflow(d.offset, offset, &sum);
    if (!fits && ok) *ok = false;
    return fits ? dim_add(d, offset) : dim_const(0);
}

bool kernel_keeps_state(const ir_graph *g, ir_value v) {
    const ir_node *n = graph_node_of(g, v);
    if (n->op != OP_state) return false;
    const ir_module *m = g->module;
    for (size_t i = 0; i < m->graphs.size; i++) {
        const ir_graph *other = m->graphs.data[i];
        for (size_t o = 0; o < other->outputs.size; o++)
            if (strcmp(other->outputs.data[o].name, node_string(n, "name")) == 0 &&
                !is_leaf_value(other, other->outputs.data[o].value))
                return false;
    }
    return true;
}

/* Elements of a weight in panels of P rows. */
static bool count_panels(const cg_operand *panels, const ir_type *t, int64_t *out) {
    int64_t rows, columns;
    const bool transposed = panels->packing == PACKING_TRANSPOSED_PANELS;
    if (t->rank != 2 || !dim_is_const(t->dims[transposed], &rows) || !dim_is_const(t->dims[!transposed], &columns)) return false;
    if (__builtin_add_overflow(rows, (int64_t)panels->packing_parameter - 1, &rows)) return false;
    return !__builtin_mul_overflow(rows / panels->packing_parameter * panels->packing_parameter, columns, out);
}

const ir_type *kernel_packed_type(const ir_graph *g, const cg_operand *operand) {
    const ir_type *t = graph_type(g, operand->value);
    if (operand->packing == PACKING_WORKSPACE) return operand->workspace;
    if (operand->packing == PACKING_PANELS || operand->packing == PACKING_TRANSPOSED_PANELS) {
        int64_t elements;
        if (!count_panels(operand, t, &elements)) return NULL;
        const ir_dim n = dim_const(elements);
        return type_tensor(g->module->context, t->dtype, 1, &n);
    }
    if (operand->packing == PACKING_SQUARE_SUMS) {
        const ir_dim parts = dim_const(operand->packing_parameter);
        return type_tensor(g->module->context, IR_F64, 1, &parts);
    }
    if (operand->packing == PACKING_PART_SUMS) {
        bool ok;
        const ir_dim numbers = t->rank == 0 ? dim_const(2 * operand->packing_parameter)
                                            : kernel_scaled(type_elements(t, &ok), operand->packing_parameter, 0, &ok);
        return type_tensor(g->module->context, t->rank == 0 ? IR_F64 : IR_F32, 1, &numbers);
    }
    const ir_dim places = dim_add(t->dims[0], SPARSE_VALUES_BEHIND);
    return type_tensor(g->module->context, t->dtype, 1, &places);
}

bool kernel_over_elements(cg_kernel *k, const ir_type *t, int64_t block) {
    bool ok;
    ir_dim n = type_elements(t, &ok);
    kernel_dim(k, n);
    k->work = n;
    k->work_per_unit = block;
    k->bytes = kernel_scaled(n, 8, 0, NULL);
    kernel_set(k, "block", block);
    return ok;
}

/* ---- for emit ---- */

static const cg_param *find_param(const cg_kernel *k, const char *name) {
    for (unsigned i = 0; i < k->n_params; i++)
        if (strcmp(k->params[i].name, name) == 0) return &k->params[i];
    return NULL;
}

int64_t kernel_get(const cg_kernel *k, const char *name) {
    const cg_param *p = find_param(k, name);
    return p ? p->as.number : 0;
}

double kernel_get_real(const cg_kernel *k, const char *name) {
    const cg_param *p = find_param(k, name);
    return p ? p->as.real : 0;
}

ir_dtype kernel_get_dtype(const cg_kernel *k, const char *name) {
    const cg_param *p = find_param(k, name);
    return p ? p->as.dtype : IR_F32;
}

void kernel_operands(emitter *e, const cg_kernel *k, cg_val pointer[KERNEL_MAX_OPERANDS]) {
    for (unsigned i = 0; i < k->n_operands; i++) pointer[i] = em_buffer(e, i);
}

void emit_copy(emitter *e, cg_val to, cg_val from, cg_val count, unsigned element_bytes) {
    const int64_t step = (int64_t)(4 * e->lanes / element_bytes);
    const ir_dtype element = element_bytes == 8 ? IR_I64 : element_bytes == 4 ? IR_I32 : element_bytes == 2 ? IR_I16 : IR_U8;
    cg_val whole = em_sub(e, count, em_rem_int(e, count, step));
    em_loop vectors, rest;
    em_loop_begin(e, &vectors, em_int(e, 0), whole, step, NULL, 0);
    cg_val at = em_mul_int(e, vectors.index, element_bytes);
    em_store(e, em_load(e, e->lanes, em_at(e, from, at), element_bytes), em_at(e, to, at), element_bytes);
    em_loop_end(e, &vectors, NULL);
    em_loop_begin(e, &rest, whole, count, 1, NULL, 0);
    at = em_mul_int(e, rest.index, element_bytes);
    em_store_int(e, element, em_load_int(e, element, em_at(e, from, at)), em_at(e, to, at));
    em_loop_end(e, &rest, NULL);
}

/* ---- about nodes and types ---- */

const ir_node *group_node(const cg_group *g, size_t i) { return &g->graph->nodes.data[g->nodes[i]]; }

const ir_node *group_last(const cg_group *g) { return group_node(g, g->n_nodes - 1); }

const ir_node *group_single(const cg_group *g, ir_op op) {
    const ir_node *n = group_node(g, 0);
    return g->n_nodes == 1 && n->op == op ? n : NULL;
}

int64_t type_features(const ir_type *t) {
    int64_t n;
    return t->rank > 0 && dim_is_const(t->dims[t->rank - 1], &n) ? n : -1;
}

bool is_f32_tiles(const ir_type *t) {
    return t->kind == TYPE_TENSOR && t->dtype == IR_F32 && t->layout == LAYOUT_TILES && t->rank == 2 && t->tile > 0 &&
           t->tile % 4 == 0 && type_features(t) > 0;
}

bool is_dense_tiled_linear(const cg_group *g, const ir_node *n) {
    const ir_graph *graph = g->graph;
    if (n->op != OP_linear && n->op != OP_linear_input_gradient) return false;
    if (node_input(n, n->op == OP_linear ? 3 : 2)) return false; /* a pattern */
    const ir_type *w = graph_type(graph, n->inputs[1]);
    int64_t rows;
    return is_f32_tiles(graph_type(graph, n->inputs[0])) && w->rank == 2 && w->dtype == IR_F32 && w->layout == LAYOUT_ROWS &&
           type_features(w) > 0 && dim_is_const(w->dims[0], &rows) && rows > 0;
}

bool is_f32_rows(const ir_type *t) { return t->kind == TYPE_TENSOR && t->dtype == IR_F32 && t->layout == LAYOUT_ROWS; }

bool is_leaf_value(const ir_graph *g, ir_value v) { return op_has(graph_node_of(g, v)->op, TRAIT_LEAF); }

unsigned tile_lanes(unsigned max_lanes, int64_t width) {
    unsigned lanes = max_lanes;
    while (width % lanes != 0) lanes /= 2;
    return lanes;
}

unsigned tile_vectors(unsigned lanes, int64_t width, unsigned most) {
    unsigned vectors = most;
    while (width / lanes % vectors != 0) vectors /= 2;
    return vectors;
}

cg_val tile_live_lanes(emitter *e, cg_val n_rows, cg_val t, int64_t width, unsigned lanes) {
    if (width == lanes) return em_int(e, width);
    cg_val rows = em_min(e, em_int(e, width), em_sub(e, n_rows, em_mul_int(e, t, width)));
    return em_mul_int(e, em_div_int_up(e, em_max(e, rows, em_int(e, 1)), lanes), lanes);
}
