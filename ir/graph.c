/*
 * Building and reading modules: calls -> nodes in topological order with inferred types.
 *
 * A node can only use values that exist, so the order of nodes is the order of the calls. A node is first made on the stack,
 * checked and typed against its op's row, and then appended with everything it points to copied into the module's arena or the
 * context; a failure leaves the graph as it was and sets the module's status, after which building does nothing.
 */
#include "ir/graph.h"

#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/hash.h"
#include "ir/verify.h"

/* ---- errors ---- */

/* Keeps the first failure of building. */
static void fail_module(ir_module *m, pofac_status status) {
    if (m->status == POFAC_OK) m->status = status;
}

static void out_of_memory(ir_module *m) {
    if (m->status == POFAC_OK) m->status = diag_out_of_memory(m->sink);
}

/* ---- modules ---- */

ir_module *module_create(ir_context *c, const diag_sink *sink) {
    ir_module *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->context = c;
    m->sink = sink;
    return m;
}

static void destroy_graph(ir_graph *g) {
    VEC_FREE(&g->nodes);
    VEC_FREE(&g->values);
    VEC_FREE(&g->outputs);
    free(g);
}

void module_destroy(ir_module *m) {
    if (!m) return;
    for (size_t i = 0; i < m->graphs.size; i++) destroy_graph(m->graphs.data[i]);
    for (size_t i = 0; i < m->constants.size; i++) tensor_free(&m->constants.data[i].tensor);
    VEC_FREE(&m->graphs);
    VEC_FREE(&m->constants);
    arena_free(&m->memory);
    free(m);
}

ir_graph *module_add_graph(ir_module *m, const char *name) {
    if (module_find_graph(m, name)) module_error(m, NULL, "graph @%s is there already, wanted a new name", name);
    ir_graph *g = calloc(1, sizeof *g);
    if (g) {
        g->module = m;
        g->name = context_string(m->context, name);
        g->scope = context_string(m->context, "");
        if (g->name && g->scope && VEC_PUSH(&g->values, ((ir_value_info){0})) && VEC_PUSH(&m->graphs, g)) return g;
        destroy_graph(g);
    }
    out_of_memory(m);
    return NULL;
}

ir_graph *module_find_graph(const ir_module *m, const char *name) {
    for (size_t i = 0; i < m->graphs.size; i++) {
        if (strcmp(m->graphs.data[i]->name, name) == 0) return m->graphs.data[i];
    }
    return NULL;
}

/* A name that tells contents apart: "c." and 128 bits of hash over dtype, shape and elements. */
static const char *name_of_contents(ir_context *c, const ir_tensor *t) {
    int64_t key[4 + IR_MAX_RANK] = {(int64_t)t->dtype, (int64_t)t->rank};
    hash128 data = hash_bytes128(t->data, t->data ? tensor_bytes(t) : 0);
    memcpy(&key[2], &data, sizeof data);
    memcpy(&key[4], t->dims, t->rank * sizeof t->dims[0]);
    char name[2 + 33] = "c.";
    hash_to_hex(hash_bytes128(key, sizeof key), name + 2);
    return context_string(c, name);
}

static bool same_contents(const ir_tensor *a, const ir_tensor *b) {
    if (a->dtype != b->dtype || a->rank != b->rank || memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) != 0) return false;
    size_t n = tensor_bytes(a);
    return n == 0 || memcmp(a->data, b->data, n) == 0;
}

const char *module_add_constant(ir_module *m, const char *name, const ir_tensor *tensor) {
    if (m->status != POFAC_OK) return NULL;
    if (tensor->pattern) {
        module_error(m, NULL, "constant \"%s\" is a pattern, wanted a tensor", name ? name : "");
        return NULL;
    }
    const char *kept = name ? context_string(m->context, name) : name_of_contents(m->context, tensor);
    const ir_tensor *old = kept ? module_find_constant(m, kept) : NULL;
    if (old && same_contents(old, tensor)) return kept;
    if (old) {
        module_error(m, NULL, "constant \"%s\" is there already with other contents, wanted the same or a new name", kept);
        return NULL;
    }
    ir_constant_data entry = {.name = kept};
    if (!kept || tensor_clone(tensor, &entry.tensor) != POFAC_OK) {
        out_of_memory(m);
        return NULL;
    }
    if (VEC_PUSH(&m->constants, entry)) return kept;
    tensor_free(&entry.tensor);
    out_of_memory(m);
    return NULL;
}

const ir_tensor *module_find_constant(const ir_module *m, const char *name) {
    for (size_t i = 0; i < m->constants.size; i++) {
        if (strcmp(m->constants.data[i].name, name) == 0) return &m->constants.data[i].tensor;
    }
    return NULL;
}

void module_error(ir_module *m, const ir_location *location, const char *format, ...) {
    if (m->status != POFAC_OK) return;
    strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    diag_place place = location ? location_place(*location) : (diag_place){0};
    if (strbuf_ok(&text)) {
        m->status = diag_error(m->sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&text));
    } else {
        out_of_memory(m);
    }
    strbuf_free(&text);
}

/* ---- symbols, scope, location ---- */

/* The array doubles when its size is a power of two; the old one stays in the arena. */
static bool push_bound(ir_graph *g, ir_symbol_bound bound) {
    if ((g->n_bounds & (g->n_bounds - 1)) == 0) {
        size_t capacity = g->n_bounds == 0 ? 1 : g->n_bounds * 2;
        ir_symbol_bound *grown = ARENA_ARRAY(&g->module->memory, ir_symbol_bound, capacity);
        if (!grown) return false;
        if (g->n_bounds > 0) memcpy(grown, g->bounds, g->n_bounds * sizeof *grown);
        g->bounds = grown;
    }
    g->bounds[g->n_bounds++] = bound;
    return true;
}

ir_symbol graph_declare_symbol(ir_graph *g, const char *name, int64_t upper) {
    ir_module *m = g->module;
    if (m->status != POFAC_OK) return 0;
    ir_symbol s = symbol_named(m->context, name);
    if (s != 0 && graph_symbol_bound(g, s) != 0) {
        module_error(m, &g->location, "symbol %s is declared twice in graph @%s", name, g->name);
    } else if (upper < 1) {
        module_error(m, &g->location, "symbol %s has the bound %lld, wanted at least 1", name, (long long)upper);
    } else if (s == 0 || !push_bound(g, (ir_symbol_bound){s, upper})) {
        out_of_memory(m);
    }
    return m->status == POFAC_OK ? s : 0;
}

int64_t graph_symbol_bound(const ir_graph *g, ir_symbol s) {
    for (size_t i = 0; i < g->n_bounds; i++) {
        if (g->bounds[i].symbol == s) return g->bounds[i].upper;
    }
    return 0;
}

void graph_set_scope(ir_graph *g, const char *scope) {
    const char *kept = context_string(g->module->context, scope);
    if (kept) {
        g->scope = kept;
    } else {
        out_of_memory(g->module);
    }
}

void graph_set_location(ir_graph *g, ir_location location) {
    if (location.file) {
        location.file = context_string(g->module->context, location.file);
        if (!location.file) out_of_memory(g->module);
    }
    g->location = location;
}

/* ---- attributes ---- */

ir_attr attr_int(const char *name, int64_t value) { return (ir_attr){.name = name, .kind = ATTR_INT, .as.i = value}; }

ir_attr attr_float(const char *name, double value) { return (ir_attr){.name = name, .kind = ATTR_FLOAT, .as.f = value}; }

ir_attr attr_bool(const char *name, bool value) { return (ir_attr){.name = name, .kind = ATTR_BOOL, .as.i = value}; }

ir_attr attr_string(const char *name, const char *value) {
    return (ir_attr){.name = name, .kind = ATTR_STRING, .as.s = value ? value : ""};
}

ir_attr attr_enum(const char *name, const char *value) {
    return (ir_attr){.name = name, .kind = ATTR_ENUM, .as.s = value ? value : ""};
}

ir_attr attr_ints(const char *name, const int64_t *values, size_t n) {
    return (ir_attr){.name = name, .kind = ATTR_INTS, .as.ints = {values, n}};
}

ir_attr attr_floats(const char *name, const double *values, size_t n) {
    return (ir_attr){.name = name, .kind = ATTR_FLOATS, .as.floats = {values, n}};
}

/* An integer where the schema wants a number, a string where it wants a choice, a list likewise; other kinds stay for the check to
 * refuse. */
static pofac_status convert_attr(ir_module *m, ir_attr_kind wanted, ir_attr *attr) {
    if (attr->kind == ATTR_INT && wanted == ATTR_FLOAT) {
        *attr = attr_float(attr->name, (double)attr->as.i);
    } else if (attr->kind == ATTR_STRING && wanted == ATTR_ENUM) {
        attr->kind = ATTR_ENUM;
    } else if (attr->kind == ATTR_FLOATS && wanted == ATTR_INTS && attr->as.floats.n == 0) {
        *attr = attr_ints(attr->name, NULL, 0);
    } else if (attr->kind == ATTR_INTS && wanted == ATTR_FLOATS) {
        size_t n = attr->as.ints.n;
        double *values = ARENA_ARRAY(&m->memory, double, n);
        if (!values) return diag_out_of_memory(m->sink);
        for (size_t i = 0; i < n; i++) values[i] = (double)attr->as.ints.data[i];
        *attr = attr_floats(attr->name, values, n);
    }
    return POFAC_OK;
}

/* Moves what the attribute points to into the module or context. */
static pofac_status keep_attr(ir_module *m, ir_attr *attr) {
    const void *kept = attr->name = context_string(m->context, attr->name);
    if (kept && (attr->kind == ATTR_STRING || attr->kind == ATTR_ENUM)) {
        kept = attr->as.s = context_string(m->context, attr->as.s);
    } else if (kept && attr->kind == ATTR_INTS) {
        kept = attr->as.ints.data = arena_copy(&m->memory, attr->as.ints.data, attr->as.ints.n * sizeof(int64_t));
    } else if (kept && attr->kind == ATTR_FLOATS) {
        kept = attr->as.floats.data = arena_copy(&m->memory, attr->as.floats.data, attr->as.floats.n * sizeof(double));
    }
    return kept ? POFAC_OK : diag_out_of_memory(m->sink);
}

/* Inserts into `sorted` by name; an attribute of that name already there is an error. */
static pofac_status insert_attr(const ir_graph *g, const ir_node *n, ir_attr attr, ir_attr *sorted, size_t *size) {
    size_t at = *size;
    while (at > 0 && strcmp(sorted[at - 1].name, attr.name) > 0) at--;
    if (at > 0 && strcmp(sorted[at - 1].name, attr.name) == 0) {
        diag_place place = location_place(n->location);
        return diag_error(g->module->sink, POFAC_ERR_INPUT, &place, "%s: attribute \"%s\" is written twice", op_info(n->op)->name,
                          attr.name);
    }
    memmove(&sorted[at + 1], &sorted[at], (*size - at) * sizeof *sorted);
    sorted[at] = attr;
    (*size)++;
    return POFAC_OK;
}

/* Checks the given attributes against the schema and keeps those that differ from their defaults, sorted. */
static pofac_status take_attrs(ir_graph *g, ir_node *n, const ir_attr *attrs, size_t n_attrs) {
    ir_module *m = g->module;
    diag_place place = location_place(n->location);
    ir_attr sorted[OP_MAX_ATTRS]; /* names are known ones and differ, so they fit */
    size_t size = 0, kept = 0;
    for (size_t i = 0; i < n_attrs; i++) {
        ir_attr attr = attrs[i];
        const ir_attr_schema *schema = op_attr_schema(n->op, attr.name);
        if (schema) TRY(convert_attr(m, schema->kind, &attr));
        TRY(op_check_attr(n->op, &attr, &place, m->sink));
        TRY(insert_attr(g, n, attr, sorted, &size));
    }
    for (size_t i = 0; i < size; i++) {
        if (attr_is_default(op_attr_schema(n->op, sorted[i].name), &sorted[i])) continue;
        TRY(keep_attr(m, &sorted[i]));
        sorted[kept++] = sorted[i];
    }
    n->n_attrs = (uint32_t)kept;
    n->attrs = kept > 0 ? arena_copy(&m->memory, sorted, kept * sizeof *sorted) : NULL;
    if (kept > 0 && !n->attrs) return diag_out_of_memory(m->sink);
    return op_check_complete(n, &place, m->sink);
}

/* ---- nodes ---- */

static pofac_status take_inputs(ir_graph *g, ir_node *n, const ir_value *inputs, size_t n_inputs) {
    const diag_sink *sink = g->module->sink;
    diag_place place = location_place(n->location);
    while (n_inputs > op_info(n->op)->min_inputs && inputs[n_inputs - 1] == IR_NO_VALUE) n_inputs--;
    TRY(op_check_arity(n->op, n_inputs, &place, sink));
    for (size_t i = 0; i < n_inputs; i++) {
        if (inputs[i] < g->values.size) continue;
        return diag_error(sink, POFAC_ERR_INPUT, &place, "%s: input %zu is value %u, wanted one of the %zu values so far",
                          op_info(n->op)->name, i, inputs[i], g->values.size - 1);
    }
    n->n_inputs = (uint32_t)n_inputs;
    n->inputs = n_inputs > 0 ? arena_copy(&g->module->memory, inputs, n_inputs * sizeof *inputs) : NULL;
    return n_inputs > 0 && !n->inputs ? diag_out_of_memory(sink) : POFAC_OK;
}

static pofac_status append_node(ir_graph *g, ir_node *n, const ir_type *const *result) {
    size_t n_values = g->values.size + n->n_results, n_nodes = g->nodes.size + 1;
    if (n_values > UINT32_MAX || n_nodes > UINT32_MAX || !VEC_RESERVE(&g->values, n_values) || !VEC_RESERVE(&g->nodes, n_nodes)) {
        return diag_out_of_memory(g->module->sink);
    }
    n->first_result = (ir_value)g->values.size;
    for (uint32_t r = 0; r < n->n_results; r++) {
        g->values.data[g->values.size++] = (ir_value_info){.node = (uint32_t)g->nodes.size, .result = r, .type = result[r]};
    }
    g->nodes.data[g->nodes.size++] = *n;
    return POFAC_OK;
}

static pofac_status try_add(ir_graph *g, ir_node *n, const ir_value *inputs, size_t n_inputs, const ir_attr *attrs, size_t n_attrs,
                            const ir_type *declared) {
    const ir_type *result[UINT8_MAX];
    TRY(take_inputs(g, n, inputs, n_inputs));
    TRY(take_attrs(g, n, attrs, n_attrs));
    TRY(op_infer(g, n, declared, g->module->sink, result));
    return append_node(g, n, result);
}

ir_value node_add(ir_graph *g, ir_op op, const ir_value *inputs, size_t n_inputs, const ir_attr *attrs, size_t n_attrs,
                  const ir_type *declared) {
    if (g->module->status != POFAC_OK) return IR_NO_VALUE;
    ir_node n = {.op = op, .n_results = op_info(op)->n_results, .scope = g->scope, .location = g->location};
    fail_module(g->module, try_add(g, &n, inputs, n_inputs, attrs, n_attrs, declared));
    return n.first_result;
}

ir_value build_leaf(ir_graph *g, ir_op op, const char *name, const ir_type *type) {
    ir_attr attr = attr_string("name", name);
    return node_add(g, op, NULL, 0, &attr, 1, type);
}

ir_value build_scalar(ir_graph *g, ir_dtype dtype, double value) {
    ir_attr attr = attr_floats("value", &value, 1);
    return node_add(g, OP_constant, NULL, 0, &attr, 1, type_tensor(g->module->context, dtype, 0, NULL));
}

ir_value build_unary(ir_graph *g, ir_op op, ir_value x) { return node_add(g, op, &x, 1, NULL, 0, NULL); }

ir_value build_binary(ir_graph *g, ir_op op, ir_value x, ir_value y) {
    ir_value inputs[2] = {x, y};
    return node_add(g, op, inputs, 2, NULL, 0, NULL);
}

ir_value build_declared(ir_graph *g, ir_op op, ir_value x, const ir_type *type) { return node_add(g, op, &x, 1, NULL, 0, type); }

void graph_add_output(ir_graph *g, const char *name, ir_value value) {
    ir_module *m = g->module;
    if (m->status != POFAC_OK) return;
    if (value == IR_NO_VALUE || value >= g->values.size) {
        module_error(m, &g->location, "output \"%s\" is value %u, wanted one of the %zu values of graph @%s", name, value,
                     g->values.size - 1, g->name);
        return;
    }
    ir_output output = {.name = context_string(m->context, name), .value = value};
    if (!output.name || !VEC_PUSH(&g->outputs, output)) out_of_memory(m);
}

pofac_status graph_finish(ir_graph *g) {
    if (g->module->status == POFAC_OK) fail_module(g->module, verify_graph(g, g->module->sink));
    return g->module->status;
}

/* ---- reading a graph ---- */

uint32_t graph_value_number(const void *graph, ir_value v) {
    const ir_graph *g = graph;
    return v < g->values.size && v != IR_NO_VALUE ? g->values.data[v].node + 1 : 0;
}

void graph_print_value(const void *graph, ir_value v, strbuf *out) {
    const ir_graph *g = graph;
    strbuf_printf(out, "%%%u", graph_value_number(g, v));
    if (v < g->values.size && g->values.data[v].result > 0) strbuf_printf(out, "#%u", g->values.data[v].result);
}

uint32_t *graph_count_uses(const ir_graph *g, arena *a) {
    uint32_t *count = ARENA_ARRAY(a, uint32_t, g->values.size);
    if (!count) return NULL;
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        for (uint32_t k = 0; k < n->n_inputs; k++) count[n->inputs[k]]++;
    }
    for (size_t i = 0; i < g->outputs.size; i++) count[g->outputs.data[i].value]++;
    count[IR_NO_VALUE] = 0;
    return count;
}

const ir_attr *node_find_attr(const ir_node *n, const char *name) {
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        if (strcmp(n->attrs[i].name, name) == 0) return &n->attrs[i];
    }
    return NULL;
}

int64_t node_int(const ir_node *n, const char *name) {
    const ir_attr *attr = node_find_attr(n, name);
    return attr ? attr->as.i : attr_schema_int(op_attr_schema(n->op, name));
}

double node_float(const ir_node *n, const char *name) {
    const ir_attr *attr = node_find_attr(n, name);
    return attr ? attr->as.f : attr_schema_float(op_attr_schema(n->op, name));
}

const char *node_string(const ir_node *n, const char *name) {
    const ir_attr *attr = node_find_attr(n, name);
    if (attr) return attr->as.s;
    const ir_attr_schema *schema = op_attr_schema(n->op, name);
    return schema && schema->fallback ? schema->fallback : "";
}
