/*
 * Constant folding through the evaluators: a node whose inputs are all constants becomes a constant with the value that the op's
 * evaluator gives, so that folding cannot disagree with the interpreter. Results that all are one number become a constant of one
 * number, others of up to 64 elements have them in the node, and larger ones in the module.
 *
 * Left alone: leaves; linear, attention and layer norm, since products of constants may take long; results in tiles; constants
 * whose data are not at hand (they stand in a weight file alone); nodes that their evaluator refuses, such as a row that is not
 * there: running the graph says so; and everything once `max_elements` elements of the graph have been read and computed, so that
 * time and memory are bounded whatever the graph.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

#define INLINE_ELEMENTS 64 /* as many as builders keep in the node (text.h) */
#define MAX_OPERANDS 8     /* of any op that folds */

typedef struct fold_job {
    const pass_input *in;
    int64_t max_elements; /* of a graph */
} fold_job;

/* The numbers of a tensor's dimensions, and their product; false for symbols, tiles, patterns and a product that overflows. */
static bool constant_shape(const ir_type *t, int64_t dims[IR_MAX_RANK], int64_t *elements) {
    if (t->kind != TYPE_TENSOR || t->layout != LAYOUT_ROWS) return false;
    *elements = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dim_is_const(t->dims[i], &dims[i]) || __builtin_mul_overflow(*elements, dims[i], elements)) return false;
    return true;
}

/* Takes the elements of a value of the type from what is left; false when they are not known or more than that. */
static bool take_elements(const ir_type *t, int64_t *left) {
    int64_t dims[IR_MAX_RANK], elements;
    if (!constant_shape(t, dims, &elements) || elements > *left) return false;
    *left -= elements;
    return true;
}

/* Is the node's constant value known here? */
static bool has_value(const ir_graph *g, const ir_node *n) {
    if (n->op != OP_constant) return false;
    const char *data = node_string(n, "data");
    return !*data || module_find_constant(g->module, data) != NULL;
}

/* Can the node be computed with what is left? That is taken then. */
static bool can_fold(const rewriter *rw, const ir_node *n, int64_t *left) {
    int64_t rest = *left;
    const ir_op_info *op = op_info(n->op);
    if (!op->eval || op_has(n->op, TRAIT_LEAF) || op_has(n->op, TRAIT_TILED)) return false;
    if (n->n_inputs > MAX_OPERANDS || n->n_results > MAX_OPERANDS) return false;
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        ir_value v = rw->map[n->inputs[i]];
        if (n->inputs[i] == IR_NO_VALUE) continue;
        if (v == IR_NO_VALUE || !has_value(rw->to, graph_node_of(rw->to, v))) return false;
        if (!take_elements(graph_type(rw->to, v), &rest)) return false;
    }
    for (uint32_t r = 0; r < n->n_results; r++)
        if (!take_elements(graph_type(rw->from, node_result(n, r)), &rest)) return false;
    *left = rest;
    return true;
}

/* ---- evaluating ---- */

/* What the evaluator refuses is not reported: POFAC_ERR_RUNTIME is memory that is short, anything else the refusal. */
static pofac_status evaluate(const ir_graph *g, const ir_node *n, const ir_tensor *const *inputs, ir_tensor *results) {
    ir_tensor *pointers[MAX_OPERANDS];
    for (uint32_t r = 0; r < n->n_results; r++) {
        const ir_type *t = graph_type(g, node_result(n, r));
        int64_t dims[IR_MAX_RANK] = {0}, elements;
        if (!constant_shape(t, dims, &elements)) return POFAC_ERR_INPUT;
        TRY(tensor_alloc(t->dtype, t->rank, dims, &results[r]));
        pointers[r] = &results[r];
    }
    ir_eval e = {.module = g->module, .graph = g, .node = n, .input = inputs, .result = pointers};
    return op_info(n->op)->eval(&e);
}

/* The results of a node of rw->from whose inputs are constants of rw->to; the caller frees them, after an error as well. */
static pofac_status evaluate_node(const rewriter *rw, const ir_node *n, ir_tensor results[MAX_OPERANDS]) {
    ir_tensor inputs[MAX_OPERANDS] = {{0}};
    const ir_tensor *pointers[MAX_OPERANDS] = {NULL};
    pofac_status status = POFAC_OK;
    for (uint32_t i = 0; i < n->n_inputs && status == POFAC_OK; i++) {
        if (n->inputs[i] == IR_NO_VALUE) continue;
        status = evaluate(rw->to, graph_node_of(rw->to, rw->map[n->inputs[i]]), NULL, &inputs[i]);
        pointers[i] = &inputs[i];
    }
    if (status == POFAC_OK) status = evaluate(rw->from, n, pointers, results);
    for (uint32_t i = 0; i < n->n_inputs; i++) tensor_free(&inputs[i]);
    return status;
}

/* ---- constants ---- */

/* Element i as a double; false where a double does not hold it exactly. */
static bool exact_element(const ir_tensor *t, int64_t i, double *out) {
    if (dtype_class(t->dtype) == DTYPE_FLOAT) {
        *out = tensor_get(t, i);
        return true;
    }
    int64_t value = tensor_get_int(t, i), limit = INT64_C(1) << 53;
    *out = (double)value;
    return value >= -limit && value <= limit;
}

/* The tensor as the attribute `value`: all elements, or the one that all equal. False when it does not fit; `values` keeps it. */
static bool inline_value(const ir_tensor *t, double values[INLINE_ELEMENTS], ir_attr *out) {
    int64_t n = tensor_elements(t);
    bool fill = n > 0;
    for (int64_t i = 0; i < n && (fill || n <= INLINE_ELEMENTS); i++) {
        double element;
        if (!exact_element(t, i, &element)) return false;
        if (i < INLINE_ELEMENTS) values[i] = element;
        fill = fill && memcmp(&element, values, sizeof element) == 0;
    }
    *out = attr_floats("value", values, fill ? 1 : (size_t)n);
    return fill || n <= INLINE_ELEMENTS;
}

static ir_value emit_constant(ir_graph *g, const ir_type *type, const ir_tensor *t) {
    double values[INLINE_ELEMENTS];
    ir_attr attr;
    if (!inline_value(t, values, &attr)) {
        const char *name = module_add_constant(g->module, NULL, t);
        if (!name) return IR_NO_VALUE;
        attr = attr_string("data", name);
    }
    return node_add(g, OP_constant, NULL, 0, &attr, 1, type);
}

/* ---- the pass ---- */

static void fold_node(rewriter *rw, const ir_node *n, const diag_sink *sink) {
    ir_tensor results[MAX_OPERANDS] = {{0}};
    pofac_status status = evaluate_node(rw, n, results);
    rewrite_visit(rw, n);
    if (status == POFAC_ERR_RUNTIME) {
        rw->to->module->status = diag_out_of_memory(sink);
    } else if (status != POFAC_OK) {
        rewrite_copy_unmarked(rw, n, NULL, NULL);
    }
    for (uint32_t r = 0; r < n->n_results; r++) {
        ir_value old = node_result(n, r);
        if (status == POFAC_OK) rewrite_map(rw, old, emit_constant(rw->to, graph_type(rw->from, old), &results[r]));
        tensor_free(&results[r]);
    }
}

static pofac_status fold_graph(void *user, const ir_graph *from, ir_module *to) {
    const fold_job *job = user;
    rewriter rw;
    int64_t left = job->max_elements;
    TRY(rewrite_begin(&rw, from, to));
    for (size_t i = 0; i < from->nodes.size && to->status == POFAC_OK; i++) {
        const ir_node *n = &from->nodes.data[i];
        if (can_fold(&rw, n, &left)) fold_node(&rw, n, job->in->sink);
        else rewrite_copy_unmarked(&rw, n, NULL, NULL);
    }
    return rewrite_finish(&rw);
}

pofac_status pass_fold(const pass_input *in, ir_module **out) {
    fold_job job = {.in = in};
    *out = NULL;
    TRY(pass_int_option(in, "max_elements", &job.max_elements));
    return rewrite_module(in->module, fold_graph, &job, in->sink, out);
}
