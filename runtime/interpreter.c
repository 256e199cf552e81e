/*
 * Interpreter, see interpreter.h. A value's tensor is freed after the last node that uses it, so that a deep model needs the
 * memory of a few activations; leaves are views of what the sources hold wherever type and shape are those of the leaf.
 */
#include "runtime/interpreter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/binding.h"
#include "ir/op.h"
#include "runtime/pattern_state.h"

typedef struct interpreter {
    const ir_graph *graph;
    const tensor_source *inputs, *state;
    const diag_sink *sink;
    ir_tensor *values;  /* [graph->values.size] */
    uint32_t *last_use; /* [graph->values.size]: index of a node; UINT32_MAX: an output */
    int64_t *symbols;   /* numbers of the symbols */
    pattern_state *patterns;
} interpreter;

static ir_binding binding_of(const interpreter *it) {
    return (ir_binding){it->symbols, context_n_symbols(it->graph->module->context) + 1};
}

static void print_tensor_type(const ir_tensor *t, strbuf *out) {
    strbuf_printf(out, "%s[", t->pattern ? "pattern" : dtype_name(t->dtype));
    for (uint32_t i = 0; i < t->rank; i++) strbuf_printf(out, i ? ",%" PRId64 : "%" PRId64, t->dims[i]);
    strbuf_putc(out, ']');
}

/* `what` is "state" or "pattern"; `wanted` has the dtype and dims that the leaf stands for. */
static pofac_status leaf_unfit(const interpreter *it, const char *what, const char *name, const ir_tensor *found,
                               const ir_tensor *wanted) {
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "%s %s is ", what, name);
    print_tensor_type(found, &text);
    strbuf_puts(&text, ", wanted ");
    print_tensor_type(wanted, &text);
    pofac_status status = diag_error(it->sink, POFAC_ERR_INPUT, NULL, "%s", strbuf_str(&text));
    strbuf_free(&text);
    return status;
}

static bool same_dims(const ir_tensor *a, const ir_tensor *b) {
    if (a->rank != b->rank) return false;
    for (uint32_t d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d]) return false;
    return true;
}

/* A tensor without data of the value's type and, under the binding, shape. */
static pofac_status shape_of(const interpreter *it, const ir_eval *e, ir_value v, ir_tensor *out) {
    const ir_type *t = graph_type(it->graph, v);
    *out = (ir_tensor){.dtype = t->dtype, .rank = t->rank};
    for (uint32_t d = 0; d < t->rank; d++) {
        out->dims[d] = dim_eval(t->dims[d], binding_of(it));
        if (out->dims[d] >= 0) continue;
        strbuf text = STRBUF_INIT;
        dim_print(it->graph->module->context, t->dims[d], graph_print_value, it->graph, &text);
        pofac_status status = eval_error(e, "dimension %s is not determined by the inputs, wanted a number", strbuf_str(&text));
        strbuf_free(&text);
        return status;
    }
    return POFAC_OK;
}

/* ---- leaves ---- */

static pofac_status bind_pattern(interpreter *it, const ir_eval *e, const char *name, ir_value v) {
    ir_tensor wanted, found;
    TRY(shape_of(it, e, v, &wanted));
    TRY(pattern_state_pattern(it->patterns, name, it->state, it->sink, &found));
    wanted.pattern = found.pattern;
    if (!same_dims(&found, &wanted)) return leaf_unfit(it, "pattern", name, &found, &wanted);
    const ir_context *c = it->graph->module->context;
    for (ir_symbol s = 1; s <= context_n_symbols(c); s++)
        if (symbol_kind(c, s) == SYMBOL_NNZ && symbol_value(c, s) == v) it->symbols[s] = found.pattern->nnz;
    it->values[v] = found;
    return POFAC_OK;
}

/* The pattern whose non-zeros a vector type counts; NULL when it is no such type. */
static const ir_pattern *pattern_of_type(const interpreter *it, const ir_type *t) {
    ir_symbol s = t->rank == 1 ? t->dims[0].symbol[0] : 0;
    if (s == 0 || symbol_kind(it->graph->module->context, s) != SYMBOL_NNZ) return NULL;
    return it->values[symbol_value(it->graph->module->context, s)].pattern;
}

/* Element number i of `from` goes to number i of `to`, or, with a pattern, the elements at its positions in order. */
static void take_elements(const ir_tensor *from, const ir_pattern *pattern, ir_tensor *to) {
    int64_t n = pattern ? 0 : tensor_elements(to);
    if (pattern) pattern_take(pattern, from, to);
    for (int64_t i = 0; i < n; i++) tensor_set(to, i, tensor_get(from, i));
}

static pofac_status bind_state(interpreter *it, const ir_eval *e, const char *name, ir_value v) {
    ir_tensor wanted, found;
    TRY(shape_of(it, e, v, &wanted));
    TRY(it->state->get(it->state->user, name, it->sink, &found));
    found.pattern = NULL; /* that of non-zeros, which the graph has as a value of its own */
    const ir_pattern *pattern = pattern_of_type(it, graph_type(it->graph, v));
    if (pattern && (found.rank != 2 || found.dims[0] != pattern->n_rows || found.dims[1] != pattern->n_columns)) pattern = NULL;
    bool floats = dtype_class(found.dtype) == DTYPE_FLOAT && dtype_class(wanted.dtype) == DTYPE_FLOAT;
    if ((found.dtype != wanted.dtype && !floats) || (!pattern && !same_dims(&found, &wanted)))
        return leaf_unfit(it, "state", name, &found, &wanted);
    if (found.dtype == wanted.dtype && !pattern) {
        it->values[v] = found;
        it->values[v].owned = false;
        return POFAC_OK;
    }
    if (tensor_alloc(wanted.dtype, wanted.rank, wanted.dims, &it->values[v]) != POFAC_OK) return diag_out_of_memory(it->sink);
    take_elements(&found, pattern, &it->values[v]);
    return POFAC_OK;
}

static pofac_status bind_leaf(interpreter *it, const ir_eval *e) {
    const char *name = node_string(e->node, "name");
    ir_value v = e->node->first_result;
    if (e->node->op == OP_pattern) return bind_pattern(it, e, name, v);
    if (e->node->op == OP_state) return bind_state(it, e, name, v);
    TRY(it->inputs->get(it->inputs->user, name, it->sink, &it->values[v]));
    it->values[v].owned = false;
    return POFAC_OK;
}

/* ---- nodes ---- */

static pofac_status run_node(interpreter *it, const ir_node *n, ir_eval *e, const ir_tensor **inputs, ir_tensor **results) {
    for (uint32_t i = 0; i < n->n_inputs; i++) inputs[i] = n->inputs[i] == IR_NO_VALUE ? NULL : &it->values[n->inputs[i]];
    for (uint32_t r = 0; r < n->n_results; r++) {
        ir_tensor shape;
        results[r] = &it->values[node_result(n, r)];
        TRY(shape_of(it, e, node_result(n, r), &shape));
        if (tensor_alloc(shape.dtype, shape.rank, shape.dims, results[r]) != POFAC_OK) return diag_out_of_memory(it->sink);
    }
    return op_info(n->op)->eval(e);
}

static void free_unused(interpreter *it, const ir_node *n, uint32_t index) {
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (it->last_use[n->inputs[i]] == index && !it->values[n->inputs[i]].pattern) tensor_free(&it->values[n->inputs[i]]);
    for (uint32_t r = 0; r < n->n_results; r++)
        if (it->last_use[node_result(n, r)] == index && !it->values[node_result(n, r)].pattern)
            tensor_free(&it->values[node_result(n, r)]);
}

static pofac_status run_nodes(interpreter *it, const interp_observer *observer, const ir_tensor **inputs, ir_tensor **results) {
    const ir_graph *g = it->graph;
    for (uint32_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        ir_eval e = {.module = g->module, .graph = g, .node = n, .input = inputs, .result = results, .sink = it->sink};
        TRY(op_info(n->op)->eval ? run_node(it, n, &e, inputs, results) : bind_leaf(it, &e));
        if (observer) TRY(observer->node(observer->user, g, n, &it->values[n->first_result]));
        free_unused(it, n, i);
    }
    return POFAC_OK;
}

/* A value that nobody uses is last used by its own node; patterns stay to the end, since types refer to them. */
static void find_last_uses(interpreter *it) {
    const ir_graph *g = it->graph;
    for (uint32_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        for (uint32_t r = 0; r < n->n_results; r++) it->last_use[node_result(n, r)] = i;
        for (uint32_t k = 0; k < n->n_inputs; k++) it->last_use[n->inputs[k]] = i;
    }
    for (size_t i = 0; i < g->outputs.size; i++) it->last_use[g->outputs.data[i].value] = UINT32_MAX;
}

static bool is_output_again(const ir_graph *g, size_t i) {
    for (size_t k = i + 1; k < g->outputs.size; k++)
        if (g->outputs.data[k].value == g->outputs.data[i].value) return true;
    return false;
}

/* Moves tensors that the interpreter owns; copies views, and those that a later output has as well. */
static pofac_status take_outputs(interpreter *it, interp_results *out) {
    const ir_graph *g = it->graph;
    out->outputs = calloc(g->outputs.size ? g->outputs.size : 1, sizeof *out->outputs);
    if (!out->outputs) return diag_out_of_memory(it->sink);
    out->n_outputs = g->outputs.size;
    for (size_t i = 0; i < g->outputs.size; i++) {
        ir_tensor *value = &it->values[g->outputs.data[i].value], *taken = &out->outputs[i].tensor;
        out->outputs[i].name = g->outputs.data[i].name;
        if (value->owned && !is_output_again(g, i)) {
            *taken = *value;
            *value = (ir_tensor){0};
        } else if (tensor_clone(value, taken) != POFAC_OK) {
            return diag_out_of_memory(it->sink);
        }
    }
    return POFAC_OK;
}

static size_t most_operands(const ir_graph *g) {
    size_t most = 1;
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (n->n_inputs > most) most = n->n_inputs;
        if (n->n_results > most) most = n->n_results;
    }
    return most;
}

pofac_status interpret_graph(const ir_graph *g, const tensor_source *inputs, const tensor_source *state,
                             const interp_observer *observer, const diag_sink *sink, interp_results *out) {
    *out = (interp_results){0};
    interpreter it = {.graph = g, .inputs = inputs, .state = state, .sink = sink};
    size_t n_values = g->values.size ? g->values.size : 1, n_operands = most_operands(g);
    it.values = calloc(n_values, sizeof *it.values);
    it.last_use = calloc(n_values, sizeof *it.last_use);
    it.symbols = calloc(context_n_symbols(g->module->context) + 1, sizeof *it.symbols);
    it.patterns = pattern_state_create();
    const ir_tensor **input = calloc(n_operands, sizeof *input);
    ir_tensor **result = calloc(n_operands, sizeof *result);
    pofac_status status = POFAC_OK;
    if (!it.values || !it.last_use || !it.symbols || !it.patterns || !input || !result) {
        status = diag_out_of_memory(sink);
        goto done;
    }
    TRY_OR(done, status, binding_from_inputs(g, inputs, sink, it.symbols, context_n_symbols(g->module->context) + 1));
    find_last_uses(&it);
    TRY_OR(done, status, run_nodes(&it, observer, input, result));
    status = take_outputs(&it, out);
done:
    for (size_t v = 0; it.values && v < n_values; v++) tensor_free(&it.values[v]);
    free(it.values);
    free(it.last_use);
    free(it.symbols);
    pattern_state_destroy(it.patterns);
    free(input);
    free(result);
    return status;
}

const ir_tensor *interp_find(const interp_results *r, const char *name) {
    for (size_t i = 0; i < r->n_outputs; i++)
        if (strcmp(r->outputs[i].name, name) == 0) return &r->outputs[i].tensor;
    return NULL;
}

void interp_results_free(interp_results *r) {
    for (size_t i = 0; i < r->n_outputs; i++) tensor_free(&r->outputs[i].tensor);
    free(r->outputs);
    *r = (interp_results){0};
}
