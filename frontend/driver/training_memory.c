/*
 * Graph of a training step and numbers for its symbols -> bytes by kind; see training_memory.h.
 *
 * What waits for the backward pass is found as the passes find it (forward_values.h). Gradients of parameters are what updates read; they
 * come to be while what waits is read for the last time, and often in its place, so they count as far as the arena is larger than
 * what waits, and work gets the rest of it.
 */
#include "frontend/driver/training_memory.h"

#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/strmap.h"
#include "passes/forward_values.h"

typedef struct memory_count {
    const ir_graph *g;
    const tensor_source *weights;
    const diag_sink *sink;
    arena memory;
    ir_binding binding;
    strmap leaves; /* names of state and patterns that are counted */
    step_memory *out;
} memory_count;

/* ---- numbers of symbols ---- */

static pofac_status non_zeros(const memory_count *c, ir_value pattern, int64_t *out) {
    const char *name = node_string(graph_node_of(c->g, pattern), "name");
    ir_tensor weight;
    if (!c->weights)
        return diag_error(c->sink, POFAC_ERR_INPUT, NULL, "the non-zeros of \"%s\" are not known: there are no weights", name);
    TRY(c->weights->get(c->weights->user, name, c->sink, &weight));
    *out = weight.pattern ? weight.pattern->nnz : tensor_elements(&weight) - tensor_count_zeros(&weight);
    tensor_source_release(c->weights, name);
    return POFAC_OK;
}

static pofac_status bind_symbols(memory_count *c, batch_shape shape) {
    const ir_context *context = c->g->module->context;
    const size_t n = context_n_symbols(context) + 1;
    int64_t *values = ARENA_ARRAY(&c->memory, int64_t, n);
    if (!values) return diag_out_of_memory(c->sink);
    values[0] = -1;
    for (ir_symbol s = 1; s < n; s++) values[s] = batch_symbol(shape, symbol_name(context, s));
    for (size_t i = 0; i < c->g->nodes.size; i++) {
        const ir_node *node = &c->g->nodes.data[i];
        const ir_symbol s = node->op == OP_pattern ? symbol_nnz(c->g->module->context, node->first_result) : 0;
        if (s > 0 && s < n) TRY(non_zeros(c, node->first_result, &values[s]));
    }
    c->binding = (ir_binding){values, n};
    return POFAC_OK;
}

/* ---- kinds ---- */

static pofac_status too_large(const memory_count *c, ir_value v) {
    return node_error(c->g, graph_node_of(c->g, v), c->sink, "its bytes cannot be counted for this batch");
}

static pofac_status add_bytes(const memory_count *c, ir_value v, int64_t *sum) {
    const int64_t bytes = type_bytes(graph_type(c->g, v), c->binding);
    if (bytes < 0 || __builtin_add_overflow(*sum, bytes, sum)) return too_large(c, v);
    return POFAC_OK;
}

static bool ends_in(const char *text, const char *end) {
    const size_t n = strlen(text), k = strlen(end);
    return n > k && strcmp(text + n - k, end) == 0;
}

static int64_t *kind_of_state(step_memory *m, const char *name) {
    if (strncmp(name, "gradient.", strlen("gradient.")) == 0) return &m->gradient_sums;
    if (ends_in(name, ".exp_avg") || ends_in(name, ".exp_avg_sq") || ends_in(name, ".momentum_buffer")) return &m->moments;
    return &m->parameters;
}

static pofac_status count_pattern(memory_count *c, ir_value v) {
    int64_t rows = 0, nnz = 0, bytes;
    dim_is_const(graph_type(c->g, v)->dims[0], &rows);
    TRY(non_zeros(c, v, &nnz));
    if (__builtin_mul_overflow(nnz, 4, &bytes) || __builtin_add_overflow(bytes, 8 * (rows + 1), &bytes) ||
        __builtin_add_overflow(c->out->patterns, bytes, &c->out->patterns))
        return too_large(c, v);
    return POFAC_OK;
}

static pofac_status count_leaf(memory_count *c, const ir_node *n) {
    if (n->op == OP_input) return add_bytes(c, n->first_result, &c->out->inputs);
    if (n->op != OP_state && n->op != OP_pattern) return POFAC_OK;
    const char *name = node_string(n, "name");
    bool is_new = false;
    strbuf key = STRBUF_INIT;
    strbuf_printf(&key, "%d%s", (int)n->op, name);
    const bool kept = strbuf_ok(&key) && strmap_put(&c->leaves, strbuf_str(&key), key.size, 0, &is_new);
    strbuf_free(&key);
    if (!kept) return diag_out_of_memory(c->sink);
    if (!is_new) return POFAC_OK;
    return n->op == OP_pattern ? count_pattern(c, n->first_result) : add_bytes(c, n->first_result, kind_of_state(c->out, name));
}

/* The memory of a value: a slot, from 0; -1: none. */
static int64_t slot_of(const ir_graph *g, ir_value v) {
    const ir_attr *slots = node_find_attr(graph_node_of(g, v), "slot");
    const uint32_t r = g->values.data[v].result;
    return slots && slots->kind == ATTR_INTS && r < slots->as.ints.n ? slots->as.ints.data[r] : -1;
}

/* All slots, each as large as its largest value, as a session makes them. */
static pofac_status count_arena(memory_count *c, int64_t *total) {
    const size_t n_values = c->g->values.size;
    int64_t *slots = ARENA_ARRAY(&c->memory, int64_t, n_values);
    if (!slots) return diag_out_of_memory(c->sink);
    for (ir_value v = 1; v < n_values; v++) {
        const int64_t slot = slot_of(c->g, v);
        int64_t bytes = 63;
        if (slot < 0 || slot >= (int64_t)n_values) continue;
        TRY(add_bytes(c, v, &bytes));
        if (bytes / 64 * 64 > slots[slot]) slots[slot] = bytes / 64 * 64;
    }
    for (size_t i = 0; i < n_values; i++)
        if (__builtin_add_overflow(*total, slots[i], total)) return too_large(c, (ir_value)n_values - 1);
    return POFAC_OK;
}

/* Values that wait; those that share a slot, as a reshape and its input do, count once. */
static pofac_status count_kept(memory_count *c, const forward_values *f) {
    bool *seen = ARENA_ARRAY(&c->memory, bool, c->g->values.size);
    int64_t *per_layer = ARENA_ARRAY(&c->memory, int64_t, c->g->nodes.size + 1), most = 0;
    strmap layers = STRMAP_INIT;
    pofac_status status = seen && per_layer ? POFAC_OK : diag_out_of_memory(c->sink);
    for (ir_value v = 1; v < c->g->values.size && status == POFAC_OK; v++) {
        const int64_t slot = slot_of(c->g, v);
        const char *layer = f->layer[c->g->values.data[v].node];
        if (!forward_value_waits(f, v) || slot < 0 || slot >= (int64_t)c->g->values.size || seen[slot]) continue;
        seen[slot] = true;
        status = add_bytes(c, v, &c->out->kept);
        if (!layer || status != POFAC_OK) continue;
        const strmap_entry *e = strmap_put(&layers, layer, strlen(layer), layers.size, NULL);
        if (!e) status = diag_out_of_memory(c->sink);
        else per_layer[e->value] += value_row_bytes(c->g, v);
    }
    for (size_t i = 0; i < layers.size && status == POFAC_OK; i++)
        if (per_layer[i] > most) most = per_layer[i];
    c->out->layers = (int64_t)layers.size;
    c->out->kept_per_token_in_layer = (double)most;
    strmap_free(&layers);
    return status;
}

static pofac_status count_activations(memory_count *c) {
    step_memory *m = c->out;
    forward_values f;
    int64_t arena_bytes = 0;
    TRY(forward_values_find(c->g, &c->memory, c->sink, &f));
    TRY(count_arena(c, &arena_bytes));
    TRY(count_kept(c, &f));
    for (size_t i = 0; i < c->g->nodes.size; i++) {
        const ir_node *n = &c->g->nodes.data[i];
        const bool updates = n->op == OP_adamw || n->op == OP_sgd;
        if (updates && slot_of(c->g, n->inputs[1]) >= 0) TRY(add_bytes(c, n->inputs[1], &m->gradients));
    }
    if (m->kept > arena_bytes) m->kept = arena_bytes;
    if (m->gradients > arena_bytes - m->kept) m->gradients = arena_bytes - m->kept;
    m->working = arena_bytes - m->kept - m->gradients;
    return POFAC_OK;
}

pofac_status step_memory_of_graph(const ir_graph *g, batch_shape shape, const tensor_source *weights, const diag_sink *sink,
                                  step_memory *out) {
    *out = (step_memory){0};
    memory_count c = {.g = g, .weights = weights, .sink = sink, .leaves = STRMAP_INIT, .out = out};
    pofac_status status = bind_symbols(&c, shape);
    for (size_t i = 0; i < g->nodes.size && status == POFAC_OK; i++) status = count_leaf(&c, &g->nodes.data[i]);
    if (status == POFAC_OK) status = count_activations(&c);
    strmap_free(&c.leaves);
    arena_free(&c.memory);
    return status;
}

/* ---- reports ---- */

int64_t step_memory_bytes(const step_memory *m) {
    return m->parameters + m->moments + m->gradient_sums + m->patterns + m->inputs + m->kept + m->gradients + m->working +
           m->kernels;
}

void step_memory_print(const step_memory *m, const char *indent, strbuf *out) {
    const struct {
        const char *name;
        int64_t bytes;
    } kinds[] = {{"parameters", m->parameters},   {"moments", m->moments},        {"sums of gradients", m->gradient_sums},
                 {"patterns", m->patterns},       {"batch", m->inputs},           {"activations kept", m->kept},
                 {"gradients", m->gradients},     {"working memory", m->working}, {"kernels", m->kernels},
                 {"in all", step_memory_bytes(m)}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].bytes == 0) continue;
        strbuf_printf(out, "%s%-18s", indent, kinds[i].name);
        batch_memory_print_bytes(kinds[i].bytes, out);
        if (kinds[i].name[0] == 'a' && m->layers > 0)
            strbuf_printf(out, ", %.1f KiB per token and layer", m->kept_per_token_in_layer / 1024);
        strbuf_puts(out, "\n");
    }
}
