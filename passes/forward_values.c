/* The forward pass within a training step, and what waits for the backward pass; see forward_values.h. */
#include "passes/forward_values.h"

#include <string.h>

#define LEAST_ROW_BYTES 128      /* of a value with rows; log-sum-exps of attention have 4 H */
#define LEAST_BYTES (64LL << 10) /* of a value without */

static bool is_loss(const char *output) { return strcmp(output, "loss") == 0 || strncmp(output, "loss.", 5) == 0; }

/* What the losses depend on, and what stands before the last of it: values that the forward pass leaves in another form. */
static void mark_forward(forward_values *f) {
    const ir_graph *g = f->g;
    size_t end = 0;
    for (size_t i = 0; i < g->outputs.size; i++) {
        f->is_output[g->outputs.data[i].value] = true;
        if (!is_loss(g->outputs.data[i].name)) continue;
        const size_t maker = g->values.data[g->outputs.data[i].value].node;
        if (end <= maker) end = maker + 1;
    }
    for (size_t i = 0; i < end; i++) f->is_forward[i] = true;
}

/* Length of the scope up to its first component of digits alone; 0: there is none. */
static size_t layer_length(const char *scope) {
    for (const char *at = scope; *at;) {
        const size_t n = strcspn(at, "."), digits = strspn(at, "0123456789");
        if (n > 0 && digits == n) return (size_t)(at - scope) + n;
        at += n + (at[n] == '.');
    }
    return 0;
}

static void find_uses(forward_values *f) {
    const ir_graph *g = f->g;
    for (size_t v = 1; v < g->values.size; v++) {
        f->last_forward_use[v] = g->values.data[v].node;
        f->first_backward_use[v] = NO_NODE;
    }
    for (uint32_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        for (uint32_t k = 0; k < n->n_inputs; k++) {
            const ir_value v = n->inputs[k];
            if (v == IR_NO_VALUE) continue;
            if (f->is_forward[i]) f->last_forward_use[v] = i;
            else if (f->first_backward_use[v] == NO_NODE) f->first_backward_use[v] = i;
        }
    }
}

pofac_status forward_values_find(const ir_graph *g, arena *a, const diag_sink *sink, forward_values *out) {
    const size_t n_nodes = g->nodes.size, n_values = g->values.size;
    *out = (forward_values){.g = g,
                            .is_forward = ARENA_ARRAY(a, bool, n_nodes + 1),
                            .layer = ARENA_ARRAY(a, const char *, n_nodes + 1),
                            .is_output = ARENA_ARRAY(a, bool, n_values + 1),
                            .last_forward_use = ARENA_ARRAY(a, uint32_t, n_values + 1),
                            .first_backward_use = ARENA_ARRAY(a, uint32_t, n_values + 1),
                            .products = ARENA_ARRAY(a, uint32_t, n_nodes + 1)};
    if (!out->is_forward || !out->layer || !out->is_output || !out->last_forward_use || !out->first_backward_use || !out->products)
        return diag_out_of_memory(sink);
    for (size_t i = 0; i < n_nodes; i++) {
        const ir_node *n = &g->nodes.data[i];
        const size_t length = layer_length(n->scope);
        out->products[i + 1] = out->products[i] + op_has(n->op, TRAIT_PRODUCT);
        if (length == 0) continue;
        out->layer[i] = context_string_n(g->module->context, n->scope, length);
        if (!out->layer[i]) return diag_out_of_memory(sink);
    }
    mark_forward(out);
    find_uses(out);
    return POFAC_OK;
}

bool forward_value_waits(const forward_values *f, ir_value v) {
    const uint32_t node = f->g->values.data[v].node;
    if (!f->is_forward[node] || f->first_backward_use[v] == NO_NODE || f->is_output[v]) return false;
    return !op_has(f->g->nodes.data[node].op, TRAIT_LEAF);
}

bool forward_value_waits_long(const forward_values *f, ir_value v) {
    const uint32_t last = f->last_forward_use[v], first = f->first_backward_use[v];
    return forward_value_waits(f, v) && first > last && f->products[first] > f->products[last + 1];
}

/* Has it the size of a pattern's non-zeros? */
static bool has_non_zeros(const ir_graph *g, const ir_type *t) {
    for (uint32_t i = 0; i < 2 * t->rank; i++) {
        const ir_symbol s = t->dims[i / 2].symbol[i % 2];
        if (s != 0 && symbol_kind(g->module->context, s) == SYMBOL_NNZ) return true;
    }
    return false;
}

int64_t value_row_bytes(const ir_graph *g, ir_value v) {
    const ir_type *t = graph_type(g, v);
    int64_t bits = t->kind == TYPE_TENSOR ? dtype_bits(t->dtype) : 0, size;
    bool has_rows = false;
    if (has_non_zeros(g, t)) return 0;
    for (uint32_t d = 0; d < t->rank; d++) {
        if (!dim_is_const(t->dims[d], &size)) has_rows = true;
        else if (__builtin_mul_overflow(bits, size, &bits)) return 0;
    }
    return has_rows ? bits / 8 : 0;
}

bool value_is_large(const ir_graph *g, ir_value v) {
    const ir_type *t = graph_type(g, v);
    if (t->kind != TYPE_TENSOR || dtype_class(t->dtype) != DTYPE_FLOAT) return false;
    if (has_non_zeros(g, t)) return true;
    const int64_t bytes = type_bytes(t, (ir_binding){NULL, 0});
    return bytes >= 0 ? bytes >= LEAST_BYTES : value_row_bytes(g, v) >= LEAST_ROW_BYTES;
}
