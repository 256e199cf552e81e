/* Linears of a graph and the ranges that they read; see learned_ranges.h. */
#include "frontend/driver/learned_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/driver/weight_ranges.h"
#include "ir/op.h"
#include "ir/quantization.h"
#include "ir/support/strmap.h"
#include "ir/support/vector.h"

/* A module and the names of its ranges in the state; NULL: none. */
typedef struct learned_module {
    const char *name, *input, *weight, *output;
} learned_module;

struct learned_ranges {
    const quantization_plan *plan;
    VEC(learned_module) modules;
    arena memory;
};

/* ---- the graph ---- */

/* The name of the range by which the value is held in 8 bits; NULL: it is not. */
static const char *range_name(const ir_graph *g, ir_value v) {
    const ir_node *n = v == IR_NO_VALUE ? NULL : graph_node_of(g, v);
    const ir_node *range = n && n->op == OP_fake_quantize ? graph_node_of(g, n->inputs[1]) : NULL;
    return range && range->op == OP_state ? node_string(range, "name") : NULL;
}

static bool has_state(const ir_graph *g, const char *name) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_state && strcmp(node_string(&g->nodes.data[i], "name"), name) == 0) return true;
    return false;
}

static bool is_known(const learned_ranges *l, const char *weight) {
    for (size_t i = 0; i < l->modules.size; i++)
        if (strcmp(l->modules.data[i].weight, weight) == 0) return true;
    return false;
}

static pofac_status add_module(learned_ranges *l, const ir_graph *g, const char *input, const char *weight, const diag_sink *sink) {
    const int length = (int)(strlen(weight) - strlen(IR_WEIGHT_RANGE));
    const char *output = arena_printf(&l->memory, "%.*s" IR_OUTPUT_RANGE, length, weight);
    const learned_module m = {.name = arena_strndup(&l->memory, weight, (size_t)length),
                              .input = input ? arena_strdup(&l->memory, input) : NULL,
                              .weight = arena_strdup(&l->memory, weight),
                              .output = output && has_state(g, output) ? output : NULL};
    if (!output || !m.name || !m.weight || (input && !m.input) || !VEC_PUSH(&l->modules, m)) return diag_out_of_memory(sink);
    return POFAC_OK;
}

/* What reads a weight by its range: linears, and of tables embeddings, whose other operand has none. */
static pofac_status read_node(learned_ranges *l, const ir_graph *g, const ir_node *n, const diag_sink *sink) {
    const bool is_linear = n->op == OP_linear;
    if (!is_linear && n->op != OP_embedding) return POFAC_OK;
    const char *weight = range_name(g, n->inputs[is_linear]), *input = is_linear ? range_name(g, n->inputs[0]) : NULL;
    if (!weight || is_known(l, weight)) return POFAC_OK;
    return add_module(l, g, input, weight, sink);
}

pofac_status learned_ranges_create(const ir_graph *g, const quantization_plan *plan, const diag_sink *sink, learned_ranges **out) {
    learned_ranges *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l) return diag_out_of_memory(sink);
    l->plan = plan;
    l->memory = (arena)ARENA_INIT;
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < g->nodes.size && status == POFAC_OK; i++) status = read_node(l, g, &g->nodes.data[i], sink);
    if (status == POFAC_OK) *out = l;
    else learned_ranges_destroy(l);
    return status;
}

void learned_ranges_destroy(learned_ranges *l) {
    if (!l) return;
    VEC_FREE(&l->modules);
    arena_free(&l->memory);
    free(l);
}

size_t learned_ranges_modules(const learned_ranges *l) { return l->modules.size; }

/* ---- from a quantized model ---- */

static bool take_range(state_store *state, const char *name, const float *from, int64_t n) {
    state_entry *to = name && from ? state_store_find(state, name) : NULL;
    if (!to || to->tensor.dtype != IR_F32 || tensor_elements(&to->tensor) != 2 * n) return false;
    memcpy(to->tensor.data, from, tensor_bytes(&to->tensor));
    return true;
}

bool learned_ranges_take(const learned_ranges *l, const model_quantization *from, state_store *state) {
    bool any = false;
    for (size_t i = l->modules.size; i-- > 0;) { /* of a range that several share, the first one's stays */
        const learned_module *to = &l->modules.data[i];
        const quantized_module *m = model_quantization_find(from, to->name);
        if (!m) continue;
        any = take_range(state, to->input, m->input, 1) || any;
        any = take_range(state, to->weight, m->weight, m->n_weight_ranges) || any;
        any = take_range(state, to->output, m->output, 1) || any;
    }
    return any;
}

/* ---- to a quantized model ---- */

_Static_assert(sizeof(value_range) == 2 * sizeof(float), "ranges are pairs of floats, least first");

/* The range of that name in the state; NULL: none, or nothing was seen. */
static const float *known_range(state_store *state, const char *name) {
    const state_entry *e = name ? state_store_find(state, name) : NULL;
    const float *range = e ? e->tensor.data : NULL;
    return range && !value_range_is_none((value_range){range[0], range[1]}) ? range : NULL;
}

/* Into out->weight, which stays NULL where nothing was seen and quantization has not begun; begun: the module's input has been seen. Rows without non-zeros show no
 * range: they get others. */
static pofac_status weight_ranges_of(state_store *state, const char *name, bool begun, arena *memory, quantized_module *out) {
    const state_entry *e = state_store_find(state, name);
    const int64_t n = e ? tensor_elements(&e->tensor) / 2 : 0;
    value_range *ranges = ARENA_ARRAY(memory, value_range, (size_t)n + 1);
    if (!ranges) return POFAC_ERR_RUNTIME;
    if (n > 0) memcpy(ranges, e->tensor.data, (size_t)n * sizeof *ranges);
    for (int64_t i = 0; i < n; i++) begun = begun || !value_range_is_none(ranges[i]);
    if (n == 0 || !begun) return POFAC_OK;
    weight_ranges_widen(ranges, n);
    out->weight = (const float *)ranges;
    out->n_weight_ranges = n;
    return POFAC_OK;
}

/* All modules with what is known of them; one that has a range without a value is left out by *whole[i] false. */
static pofac_status collect_modules(const learned_ranges *l, state_store *state, arena *memory, quantized_module *modules,
                                    bool *whole) {
    for (size_t i = 0; i < l->modules.size; i++) {
        const learned_module *from = &l->modules.data[i];
        quantized_module *m = &modules[i];
        *m = (quantized_module){.name = from->name,
                                .input = known_range(state, from->input),
                                .output = known_range(state, from->output),
                                .by_channel = l->plan->per_channel};
        TRY(weight_ranges_of(state, from->weight, m->input != NULL, memory, m));
        whole[i] = m->weight && (m->input || !from->input) && (m->output || !from->output);
    }
    return POFAC_OK;
}

pofac_status learned_ranges_write(const learned_ranges *l, state_store *state, const char *directory, const diag_sink *sink,
                                  bool *written) {
    arena memory = ARENA_INIT;
    size_t n = 0;
    quantized_module *modules = ARENA_ARRAY(&memory, quantized_module, l->modules.size + 1);
    bool *whole = ARENA_ARRAY(&memory, bool, l->modules.size + 1);
    pofac_status status = modules && whole ? collect_modules(l, state, &memory, modules, whole) : POFAC_ERR_RUNTIME;
    *written = false;
    if (status != POFAC_OK) diag_out_of_memory(sink);
    for (size_t i = 0; status == POFAC_OK && i < l->modules.size; i++) *written = *written || whole[i];
    for (size_t i = 0; *written && i < l->modules.size; i++) {
        if (whole[i]) modules[n++] = modules[i];
        else diag_warning(sink, NULL, "%s: found no range that was seen, wanted ranges: it is not quantized", modules[i].name);
    }
    if (n > 0) status = model_quantization_write(directory, l->plan, modules, n, sink);
    arena_free(&memory);
    return status;
}
