/*
 * Constant folding through the evaluators: a node whose inputs are all constants becomes a constant with the value that the op's evaluator gives, so that folding
 * cannot disagree with the interpreter. Left alone: leaves, results larger than `max_elements`, results in tiles, and constants whose data are not at hand.
 */
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

#define INLINE_ELEMENTS 64 /* as many as the text form shows (text.h) */
#define MAX_INPUTS 8

typedef struct fold_job {
    const pass_input *in;
    int64_t max_elements;
} fold_job;

static bool constant_shape(const ir_type *t, int64_t limit, int64_t dims[IR_MAX_RANK]) {
    if (t->kind != TYPE_TENSOR || t->layout != LAYOUT_ROWS) return false;
    int64_t elements = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dim_is_const(t->dims[i], &dims[i]) || __builtin_mul_overflow(elements, dims[i], &elements) || elements > limit)
            return false;
    return true;
}

/* Is the node's constant value known here (and not only in a weight file)? */
static bool has_value(const ir_graph *g, const ir_node *n) {
    if (n->op != OP_constant) return false;
    const char *data = node_string(n, "data");
    return !*data || module_find_constant(g->module, data) != NULL;
}

static bool can_fold(const rewriter *rw, const ir_node *n, int64_t limit) {
    int64_t dims[IR_MAX_RANK];
    if (op_has(n->op, TRAIT_LEAF) || !op_info(n->op)->eval || n->n_inputs > MAX_INPUTS) return false;
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        if (!n->inputs[i]) continue;
        ir_value v = rw->map[n->inputs[i]];
        if (!v || !has_value(rw->to, graph_node_of(rw->to, v)) || !constant_shape(graph_type(rw->to, v), INT64_MAX, dims))
            return false;
    }
    for (uint32_t r = 0; r < n->n_results; r++)
        if (!constant_shape(graph_type(rw->from, node_result(n, r)), limit, dims)) return false;
    return n->n_inputs > 0;
}

static pofac_status evaluate(const ir_graph *g, const ir_node *n, const ir_tensor *const *inputs, ir_tensor *results,
                             const diag_sink *sink) {
    ir_tensor *pointers[MAX_INPUTS];
    const ir_op_info *op = op_info(n->op);
    for (uint32_t r = 0; r < n->n_results; r++) {
        const ir_type *t = graph_type(g, node_result(n, r));
        int64_t dims[IR_MAX_RANK] = {0};
        if (!constant_shape(t, INT64_MAX, dims)) return POFAC_ERR_RUNTIME;
        if (tensor_alloc(t->dtype, t->rank, dims, &results[r]) != POFAC_OK) return diag_out_of_memory(sink);
        pointers[r] = &results[r];
    }
    ir_eval e = {.module = g->module, .graph = g, .node = n, .input = inputs, .result = pointers, .sink = sink};
    return op->eval(&e);
}

/* A number that a double holds exactly, so that the text form keeps it. */
static bool is_exact(const ir_tensor *t, int64_t i) {
    if (dtype_class(t->dtype) == DTYPE_FLOAT) return true;
    int64_t value = tensor_get_int(t, i);
    return value >= -(INT64_C(1) << 53) && value <= INT64_C(1) << 53;
}

static ir_value emit_constant(rewriter *rw, const ir_type *type, const ir_tensor *t) {
    int64_t n = tensor_elements(t);
    double values[INLINE_ELEMENTS];
    bool fits = n <= INLINE_ELEMENTS;
    for (int64_t i = 0; i < n && fits; i++) {
        fits = is_exact(t, i);
        values[i] = dtype_class(t->dtype) == DTYPE_FLOAT ? tensor_get(t, i) : (double)tensor_get_int(t, i);
    }
    ir_attr attr = attr_floats("value", values, (size_t)n);
    if (!fits) {
        const char *name = module_add_constant(rw->to->module, NULL, t);
        if (!name) return IR_NO_VALUE;
        attr = attr_string("data", name);
    }
    return node_add(rw->to, OP_constant, NULL, 0, &attr, 1, type);
}

static pofac_status fold_node(rewriter *rw, const ir_node *n, const diag_sink *sink) {
    ir_tensor inputs[MAX_INPUTS] = {{0}}, results[MAX_INPUTS] = {{0}};
    const ir_tensor *pointers[MAX_INPUTS] = {NULL};
    pofac_status status = POFAC_OK;
    for (uint32_t i = 0; i < n->n_inputs && status == POFAC_OK; i++) {
        if (!n->inputs[i]) continue;
        status = evaluate(rw->to, graph_node_of(rw->to, rw->map[n->inputs[i]]), NULL, &inputs[i], sink);
        pointers[i] = &inputs[i];
    }
    if (status == POFAC_OK) status = evaluate(rw->from, n, pointers, results, sink);
    rewrite_visit(rw, n);
    for (uint32_t r = 0; r < n->n_results && status == POFAC_OK; r++)
        rewrite_map(rw, node_result(n, r), emit_constant(rw, graph_type(rw->from, node_result(n, r)), &results[r]));
    for (uint32_t i = 0; i < MAX_INPUTS; i++) tensor_free(&inputs[i]), tensor_free(&results[i]);
    return status;
}

static pofac_status fold_graph(void *user, const ir_graph *from, ir_module *to) {
    const fold_job *job = user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < from->nodes.size && status == POFAC_OK; i++) {
        const ir_node *n = &from->nodes.data[i];
        if (can_fold(&rw, n, job->max_elements)) status = fold_node(&rw, n, job->in->sink);
        else rewrite_copy(&rw, n);
    }
    pofac_status finished = rewrite_finish(&rw);
    return status != POFAC_OK ? status : finished;
}

pofac_status pass_fold(const pass_input *in, ir_module **out) {
    fold_job job = {.in = in};
    TRY(pass_int_option(in, "max_elements", 1, INT64_C(1) << 40, &job.max_elements));
    return rewrite_module(in->module, fold_graph, &job, in->sink, out);
}
