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
#include <time.h>

#include "frontend/driver/mask_counts.h"
#include "ir/op.h"
#include "ir/support/strmap.h"
#include "passes/forward_values.h"
#include "runtime/blas.h"
#include "runtime/score_threshold.h"

typedef struct memory_count {
    const ir_graph *g;
    const tensor_source *weights;
    const diag_sink *sink;
    arena memory;
    ir_binding binding; /* of g */
    strmap leaves;      /* names of state and patterns that are counted */
    step_memory *out;
} memory_count;

/* ---- numbers of symbols ---- */

static pofac_status non_zeros(const memory_count *c, ir_value pattern, int64_t *out) {
    const char *name = node_string(graph_node_of(c->g, pattern), "name");
    ir_tensor weight;
    if (!c->weights)
        return diag_error(c->sink, POFAC_ERR_INPUT, NULL, "the non-zeros of \"%s\" are not known: there are no weights", name);
    TRY(c->weights->get(c->weights->user, name, c->sink, &weight));
    if (weight.pattern) *out = weight.pattern->nnz;
    else if (state_is_mask(name)) *out = mask_ones(weight.data, tensor_elements(&weight));
    else *out = tensor_elements(&weight) - tensor_count_zeros(&weight);
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
    if (ends_in(name, IR_SCORES) || ends_in(name, ".exp_avg") || ends_in(name, ".exp_avg_sq") || ends_in(name, ".momentum_buffer"))
        return &m->moments;
    return &m->parameters;
}

/* Has any state as many elements as the pattern has positions? Then the store holds these. */
static bool is_pattern_of_state(const memory_count *c, ir_value pattern) {
    const ir_dim nnz = dim_symbol(symbol_nnz(c->g->module->context, pattern));
    for (size_t i = 0; i < c->g->nodes.size; i++) {
        const ir_node *n = &c->g->nodes.data[i];
        const ir_type *t = n->op == OP_state ? graph_type(c->g, n->first_result) : NULL;
        if (t && t->rank == 1 && dim_equal(t->dims[0], nnz)) return true;
    }
    return false;
}

/* A mask is a byte for each entry; positions of its ones are held where there are sums of gradients. */
static pofac_status count_mask(memory_count *c, ir_value v) {
    const ir_type *t = graph_type(c->g, v);
    int64_t rows = 0, columns = 0, bytes;
    dim_is_const(t->dims[0], &rows);
    dim_is_const(t->dims[1], &columns);
    if (__builtin_mul_overflow(rows, columns, &bytes) || __builtin_add_overflow(bytes, (int64_t)sizeof(float), &bytes) ||
        __builtin_add_overflow(c->out->patterns, bytes, &c->out->patterns))
        return too_large(c, v);
    return POFAC_OK;
}

static pofac_status count_pattern(memory_count *c, ir_value v) {
    int64_t rows = 0, nnz = 0, bytes;
    dim_is_const(graph_type(c->g, v)->dims[0], &rows);
    if (state_is_mask(node_string(graph_node_of(c->g, v), "name"))) {
        TRY(count_mask(c, v));
        if (!is_pattern_of_state(c, v)) return POFAC_OK;
    }
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

/* Values with rows that wait; those that share a slot, as a reshape and its input do, count once. */
static pofac_status count_kept(memory_count *c, const forward_values *f) {
    bool *seen = ARENA_ARRAY(&c->memory, bool, c->g->values.size);
    int64_t *per_layer = ARENA_ARRAY(&c->memory, int64_t, c->g->nodes.size + 1), most = 0;
    strmap layers = STRMAP_INIT;
    pofac_status status = seen && per_layer ? POFAC_OK : diag_out_of_memory(c->sink);
    for (ir_value v = 1; v < c->g->values.size && status == POFAC_OK; v++) {
        const int64_t slot = slot_of(c->g, v);
        const char *layer = f->layer[c->g->values.data[v].node];
        if (!forward_value_waits(f, v) || value_row_bytes(c->g, v) == 0 || slot < 0 || slot >= (int64_t)c->g->values.size ||
            seen[slot])
            continue;
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

/* What waits and gradients as they are, work as the arena; what they leave of it is found in the end. */
static pofac_status count_activations(memory_count *c, int64_t *arena_bytes) {
    step_memory *m = c->out;
    forward_values f;
    TRY(forward_values_find(c->g, &c->memory, c->sink, &f));
    TRY(count_arena(c, arena_bytes));
    TRY(count_kept(c, &f));
    for (size_t i = 0; i < c->g->nodes.size; i++) {
        const ir_node *n = &c->g->nodes.data[i];
        const bool updates = n->op == OP_adamw || n->op == OP_sgd || n->op == OP_descend;
        if (updates && slot_of(c->g, n->inputs[1]) >= 0) TRY(add_bytes(c, n->inputs[1], &m->gradients));
    }
    return POFAC_OK;
}

static pofac_status count_graph(memory_count *c, const ir_graph *g, batch_shape shape, int64_t *arena_bytes) {
    c->g = g;
    TRY(bind_symbols(c, shape));
    for (size_t i = 0; i < g->nodes.size; i++) TRY(count_leaf(c, &g->nodes.data[i]));
    return count_activations(c, arena_bytes);
}

/* Parts of an arena of that size. */
static void divide_arena(step_memory *m, int64_t arena_bytes) {
    if (m->kept > arena_bytes) m->kept = arena_bytes;
    if (m->gradients > arena_bytes - m->kept) m->gradients = arena_bytes - m->kept;
    m->working = arena_bytes - m->kept - m->gradients;
}

static pofac_status count_graphs(ir_graph *const *graphs, size_t n, batch_shape shape, const tensor_source *weights,
                                 const diag_sink *sink, step_memory *out) {
    int64_t arena_bytes = 0;
    *out = (step_memory){0};
    memory_count c = {.weights = weights, .sink = sink, .leaves = STRMAP_INIT, .out = out};
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < n && status == POFAC_OK; i++) status = count_graph(&c, graphs[i], shape, &arena_bytes);
    divide_arena(out, arena_bytes);
    strmap_free(&c.leaves);
    arena_free(&c.memory);
    return status;
}

pofac_status step_memory_of_graph(const ir_graph *g, batch_shape shape, const tensor_source *weights, const diag_sink *sink,
                                  step_memory *out) {
    return count_graphs((ir_graph *const[]){(ir_graph *)g}, 1, shape, weights, sink, out);
}

pofac_status step_memory_of_module(const ir_module *m, batch_shape shape, const tensor_source *weights, const diag_sink *sink,
                                   step_memory *out) {
    return count_graphs(m->graphs.data, m->graphs.size, shape, weights, sink, out);
}

pofac_status step_memory_of_training(training *t, batch_shape shape, const diag_sink *sink, step_memory *out) {
    int64_t arena_bytes = 0;
    TRY(step_memory_of_module(training_graph(t)->module, shape, state_store_source(training_state(t)), sink, out));
    for (int apply = 0; apply < 2; apply++) {
        const runnable *r = training_runnable(t, apply);
        session_memory need;
        if (!r) continue;
        TRY(batch_memory_need(r, shape, sink, &need));
        arena_bytes += need.arena_bytes;
        out->kernels += need.packed_weight_bytes + need.scratch_bytes;
    }
    if (training_runnable(t, false)) divide_arena(out, arena_bytes);
    return POFAC_OK;
}

/* ---- fitting ---- */

static pofac_status need_of_mode(loaded_model *model, const training_options *o, const char *mode, batch_shape shape,
                                 const diag_sink *sink, step_memory *out) {
    training_options tried = *o;
    ir_module *m;
    tried.recompute = mode;
    TRY(training_build(model, &tried, sink, &m));
    mask_counts *counts = NULL; /* of the masks that a run begins with, which keep most */
    joined_weights stored;
    joined_weights_init(&stored, loaded_model_stored(model), distillation_stored(o->distillation));
    pofac_status status = o->pruning ? mask_counts_create(o->pruning, m, &stored.source, sink, &counts) : POFAC_OK;
    if (status == POFAC_OK)
        status = step_memory_of_module(m, shape, counts ? mask_counts_source(counts) : &stored.source, sink, out);
    mask_counts_destroy(counts);
    module_destroy(m);
    return status;
}

static pofac_status report_no_room(const char *mode, batch_shape shape, int64_t max_bytes, const step_memory *m,
                                   const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    batch_memory_print_bytes(max_bytes, &text);
    strbuf_printf(&text, ", but a step on %lld x %lld tokens with recompute=%s needs ", (long long)shape.sequences,
                  (long long)shape.length, mode);
    batch_memory_print_bytes(step_memory_bytes(m), &text);
    strbuf_puts(&text, ": state ");
    batch_memory_print_bytes(m->parameters + m->moments + m->gradient_sums + m->patterns, &text);
    strbuf_puts(&text, ", activations kept ");
    batch_memory_print_bytes(m->kept, &text);
    strbuf_puts(&text, ", gradients ");
    batch_memory_print_bytes(m->gradients, &text);
    strbuf_puts(&text, ", working memory ");
    batch_memory_print_bytes(m->working, &text);
    pofac_status status = strbuf_ok(&text) ? diag_error(sink, POFAC_ERR_USAGE, NULL, "--max_memory is %s", strbuf_str(&text))
                                           : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

pofac_status training_fit_memory(loaded_model *model, training_options *o, batch_shape shape, int64_t max_bytes,
                                 const diag_sink *sink, step_memory *out) {
    static const char *const modes[] = {"cheap", "partial", "full"};
    const bool chooses = !o->recompute || strcmp(o->recompute, "auto") == 0;
    const char *mode = chooses ? modes[0] : o->recompute;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (chooses) mode = modes[i];
        TRY(need_of_mode(model, o, mode, shape, sink, out));
        o->recompute = mode;
        if (max_bytes == 0 || step_memory_bytes(out) <= max_bytes) return POFAC_OK;
        if (!chooses) break;
    }
    return report_no_room(mode, shape, max_bytes, out, sink);
}

/* ---- time ---- */

double training_flops(training *t, batch_shape shape) {
    const runnable *r = training_runnable(t, false);
    memory_count c = {.weights = state_store_source(training_state(t)), .leaves = STRMAP_INIT};
    double sum = 0;
    if (!r) return 0;
    c.g = r->plan->graph;
    const bool bound = bind_symbols(&c, shape) == POFAC_OK;
    for (size_t i = 0; bound && i < r->plan->n_steps; i++) {
        const int64_t flops = dim_eval(r->plan->steps[i].flops, c.binding);
        if (flops > 0) sum += (double)flops;
    }
    arena_free(&c.memory);
    return sum;
}

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Floating-point operations per second of one thread: the best of a few products of BERT's sizes. 0: memory is short. */
static double measure_flops(void) {
    enum { ROWS = 256, WIDTH = 768, TIMES = 10 };
    const double operations = 2.0 * ROWS * WIDTH * WIDTH;
    float *x = calloc((size_t)ROWS * WIDTH, sizeof *x), *w = calloc((size_t)WIDTH * WIDTH, sizeof *w),
          *y = calloc((size_t)ROWS * WIDTH, sizeof *y);
    double best = 0;
    for (int i = 0; i < TIMES && x && w && y; i++) {
        const double start = seconds_now();
        blas_linear(x, w, ROWS, WIDTH, WIDTH, y);
        const double rate = operations / (seconds_now() - start);
        if (rate > best) best = rate;
    }
    free(x);
    free(w);
    free(y);
    return best;
}

double training_seconds(training *t, batch_shape shape) {
    const runnable *r = training_runnable(t, false);
    const double flops = training_flops(t, shape), rate = flops > 0 ? measure_flops() : 0;
    return rate > 0 ? flops / (rate * (double)thread_pool_threads(r->pool)) : 0;
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
