/*
 * Autodiff: appends the backward graph of the output "loss" (reverse mode, Griewank and Walther 2008, chapter 3).
 *
 * Forward nodes are copied. Then, from the last to the first, each node whose results have gradients adds those of its inputs by its
 * op's rule (ir/gradient.h), where a trainable parameter lies behind the input: a float state leaf that is not frozen. Gradients that
 * several readers give to one value are added in the order in which they come. A new output gradient.NAME holds the sum over all
 * leaves of state NAME; its type is the leaf's, so that of a sparse weight has the non-zeros of the pattern alone.
 *
 * Of the outputs losses stay ("loss", "loss.LABELS"), and ranges that were observed (pass quantize): whoever wants logits runs another graph, and a step need not keep them.
 * Graphs without an output "loss" are copied.
 */
#include <string.h>

#include "ir/gradient.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"

typedef struct differentiation {
    rewriter rw;
    size_t n_forward, n_values; /* nodes and values (with the unused first) of the new graph before the backward nodes */
    bool *trains;               /* [n_values] a trainable parameter lies behind it */
    ir_value *gradient;         /* [n_values] of the loss; IR_NO_VALUE: none yet */
} differentiation;

/* Losses, and ranges that the forward pass has observed. */
static bool stays(const char *name) {
    static const char *const ranges[] = {IR_INPUT_RANGE, IR_WEIGHT_RANGE, IR_OUTPUT_RANGE};
    const size_t length = strlen(name);
    if (strcmp(name, "loss") == 0 || strncmp(name, "loss.", 5) == 0) return true;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const size_t n = strlen(ranges[i]);
        if (length > n && strcmp(name + length - n, ranges[i]) == 0) return true;
    }
    return false;
}

static bool is_float(const ir_type *t) { return t->kind == TYPE_TENSOR && dtype_class(t->dtype) == DTYPE_FLOAT; }

static bool is_parameter(const ir_graph *g, const ir_node *n) {
    return n->op == OP_state && node_int(n, "frozen") == 0 && is_float(graph_type(g, n->first_result));
}

/* Which values of the new graph depend on parameters. */
static void find_trained(differentiation *d) {
    const ir_graph *g = d->rw.to;
    for (size_t i = 0; i < d->n_forward; i++) {
        const ir_node *n = &g->nodes.data[i];
        bool trains = is_parameter(g, n);
        for (uint32_t k = 0; k < n->n_inputs && !trains; k++) trains = n->inputs[k] != IR_NO_VALUE && d->trains[n->inputs[k]];
        for (uint32_t r = 0; r < n->n_results; r++) {
            const ir_value v = node_result(n, r);
            d->trains[v] = trains && is_float(graph_type(g, v));
        }
    }
}

/* The sum of two gradients of one value; rows of an embedding are added to the other one, where it lies. */
static ir_value add_up(ir_graph *g, ir_value a, ir_value b) {
    const ir_node rows = *graph_node_of(g, b);
    if (rows.op != OP_embedding_gradient || rows.n_inputs > 2) return build_binary(g, OP_add, a, b);
    const ir_value inputs[] = {rows.inputs[0], rows.inputs[1], a};
    const ir_attr padding = attr_int("padding_id", node_int(&rows, "padding_id"));
    return node_add(g, OP_embedding_gradient, inputs, 3, &padding, 1, graph_type(g, b));
}

static void add_gradient(differentiation *d, ir_value of, ir_value more) {
    ir_value *sum = &d->gradient[of];
    *sum = *sum == IR_NO_VALUE ? more : add_up(d->rw.to, *sum, more);
}

/* The gradients of one node's inputs, and what they add to those of the inputs' values. */
static void differentiate_node(differentiation *d, const ir_node *n) {
    ir_value dresult[UINT8_MAX] = {IR_NO_VALUE}, dinput[UINT8_MAX] = {IR_NO_VALUE};
    bool wanted[UINT8_MAX] = {false}, any_result = false, any_input = false;
    for (uint32_t r = 0; r < n->n_results; r++) {
        dresult[r] = d->gradient[node_result(n, r)];
        any_result = any_result || dresult[r] != IR_NO_VALUE;
    }
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        wanted[i] = n->inputs[i] != IR_NO_VALUE && d->trains[n->inputs[i]];
        any_input = any_input || wanted[i];
    }
    if (!any_result || !any_input) return;
    const ir_gradient g = {.graph = d->rw.to, .node = n, .dresult = dresult, .wanted = wanted, .dinput = dinput};
    const ir_gradient_fn rule = op_info(n->op)->gradient;
    if (!rule) return gradient_error(&g, "has no gradient, wanted one for a loss that depends on it");
    graph_set_scope(d->rw.to, n->scope);
    graph_set_location(d->rw.to, n->location);
    rule(&g);
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (wanted[i] && dinput[i] != IR_NO_VALUE) add_gradient(d, n->inputs[i], dinput[i]);
}

/* Outputs gradient.NAME, in the order of the first leaves. */
static void return_gradients(differentiation *d, arena *memory) {
    ir_graph *g = d->rw.to;
    strmap sums = STRMAP_INIT; /* name -> gradient of its leaves so far */
    bool ok = true;
    for (size_t i = 0; i < d->n_forward && ok; i++) {
        const ir_node n = g->nodes.data[i];
        const ir_value found = is_parameter(g, &n) ? d->gradient[n.first_result] : IR_NO_VALUE;
        const char *name = node_string(&n, "name");
        bool first = false;
        if (found == IR_NO_VALUE) continue;
        strmap_entry *sum = strmap_put(&sums, name, strlen(name), found, &first);
        ok = sum != NULL;
        if (!ok || first) continue;
        graph_set_scope(g, n.scope);
        sum->value = add_up(g, (ir_value)sum->value, found);
    }
    for (size_t i = 0; i < sums.size && ok; i++) {
        const char *output = arena_printf(memory, "gradient.%s", sums.entries[i].key);
        ok = output != NULL;
        if (ok) graph_add_output(g, output, (ir_value)sums.entries[i].value);
    }
    if (!ok && g->module->status == POFAC_OK) g->module->status = diag_out_of_memory(g->module->sink);
    strmap_free(&sums);
}

static void append_backward(differentiation *d, ir_value loss, arena *memory) {
    ir_graph *g = d->rw.to;
    find_trained(d);
    if (loss == IR_NO_VALUE || !d->trains[loss]) return;
    const ir_node *maker = graph_node_of(g, loss);
    graph_set_scope(g, maker->scope);
    graph_set_location(g, maker->location);
    d->gradient[loss] = build_scalar(g, graph_type(g, loss)->dtype, 1);
    for (size_t i = d->n_forward; i-- > 0 && g->module->status == POFAC_OK;) {
        const ir_node n = g->nodes.data[i];
        differentiate_node(d, &n);
    }
    return_gradients(d, memory);
}

static pofac_status autodiff_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    differentiation d = {.n_values = 0};
    ir_value loss = IR_NO_VALUE;
    pofac_status status = rewrite_begin(&d.rw, from, to);
    if (status != POFAC_OK) return status;
    for (size_t i = 0; i < from->nodes.size; i++) rewrite_copy_unmarked(&d.rw, &from->nodes.data[i], NULL, NULL);
    for (size_t i = 0; i < from->outputs.size; i++)
        if (strcmp(from->outputs.data[i].name, "loss") == 0) loss = from->outputs.data[i].value;
    if (loss != IR_NO_VALUE && to->status == POFAC_OK) {
        const ir_type *t = graph_type(from, loss);
        const ir_location at = graph_node_of(from, loss)->location;
        if (!is_float(t) || t->rank != 0) module_error(to, &at, "autodiff: the output \"loss\" is no float scalar, wanted f32[]");
        d.n_forward = d.rw.to->nodes.size;
        d.n_values = d.rw.to->values.size;
        d.trains = ARENA_ARRAY(&memory, bool, d.n_values);
        d.gradient = ARENA_ARRAY(&memory, ir_value, d.n_values);
        if (!d.trains || !d.gradient) to->status = diag_out_of_memory(in->sink);
        else append_backward(&d, rewrite_value(&d.rw, loss), &memory);
    }
    status = rewrite_finish_with(&d.rw, loss != IR_NO_VALUE ? stays : NULL);
    arena_free(&memory);
    return status;
}

pofac_status pass_autodiff(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, autodiff_graph, &copy, in->sink, out);
}
