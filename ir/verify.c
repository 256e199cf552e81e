/*
 * The verifier: graph -> first violation of the rules listed in verify.h.
 *
 * One walk in node order checks what a node alone must hold, running its shape rule again; then names and states are compared
 * through maps. Everything takes time about linear in nodes and edges. Groups are checked in verify_groups.c.
 */
#include "ir/verify.h"

#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/strmap.h"

typedef struct checker {
    const ir_graph *g;
    const diag_sink *sink;
} checker;

/* ---- messages ---- */

static POFAC_PRINTF(2, 3) pofac_status graph_error(const checker *k, const char *format, ...) {
    strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    pofac_status status = strbuf_ok(&text)
                              ? diag_error(k->sink, POFAC_ERR_INPUT, NULL, "graph @%s: %s", k->g->name, strbuf_str(&text))
                              : diag_out_of_memory(k->sink);
    strbuf_free(&text);
    return status;
}

/* A sink that names the node before a message of op.h or of a shape rule: "linear: ..." becomes "%5 = linear: ...". */
typedef struct naming_sink {
    const diag_sink *to;
    size_t number;
} naming_sink;

static void emit_named(void *user, const diag *d) {
    const naming_sink *naming = user;
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "%%%zu = %s", naming->number, d->message);
    diag named = *d;
    if (d->status != POFAC_ERR_RUNTIME && strbuf_ok(&text)) named.message = strbuf_str(&text);
    if (naming->to) naming->to->emit(naming->to->user, &named);
    strbuf_free(&text);
}

static void print_type(const checker *k, const ir_type *t, strbuf *out) {
    type_print(k->g->module->context, t, graph_print_value, k->g, out);
}

/* A node's error "WHAT found type, wanted type WHY". */
static pofac_status type_error(const checker *k, const ir_node *n, const char *what, const ir_type *found, const ir_type *wanted,
                               const char *why) {
    strbuf a = STRBUF_INIT, b = STRBUF_INIT;
    print_type(k, found, &a);
    print_type(k, wanted, &b);
    pofac_status status = strbuf_ok(&a) && strbuf_ok(&b)
                              ? node_error(k->g, n, k->sink, "%s %s, wanted %s%s", what, strbuf_str(&a), strbuf_str(&b), why)
                              : diag_out_of_memory(k->sink);
    strbuf_free(&a);
    strbuf_free(&b);
    return status;
}

/* ---- names ---- */

static bool is_identifier(const char *s) {
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return s[0] != 0 && strchr(first, s[0]) && s[strspn(s, rest)] == 0;
}

/* One or more characters, none of them a control character. */
static bool is_name(const char *s) {
    if (s[0] == 0) return false;
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f) return false;
    }
    return true;
}

/* Names joined by single dots; empty at the top. */
static bool is_scope(const char *s) {
    size_t n = strlen(s);
    if (n == 0) return true;
    return is_name(s) && s[0] != '.' && s[n - 1] != '.' && !strstr(s, "..");
}

static pofac_status malformed(const checker *k, const ir_node *n, const char *what, const char *text, const char *wanted) {
    strbuf quoted = STRBUF_INIT;
    strbuf_put_json(&quoted, text, strlen(text));
    pofac_status status = POFAC_OK;
    if (!strbuf_ok(&quoted)) {
        status = diag_out_of_memory(k->sink);
    } else if (n) {
        status = node_error(k->g, n, k->sink, "malformed %s %s, wanted %s", what, strbuf_str(&quoted), wanted);
    } else {
        status = graph_error(k, "malformed %s %s, wanted %s", what, strbuf_str(&quoted), wanted);
    }
    strbuf_free(&quoted);
    return status;
}

#define WANTED_IDENTIFIER "a letter or _, then letters, digits or _"
#define WANTED_NAME "one or more printable characters"

/* ---- the graph's head ---- */

static pofac_status check_head(const checker *k) {
    const ir_graph *g = k->g;
    const ir_context *c = g->module->context;
    if (!is_identifier(g->name)) return malformed(k, NULL, "name", g->name, WANTED_IDENTIFIER);
    for (size_t i = 0; i < g->n_bounds; i++) {
        ir_symbol s = g->bounds[i].symbol;
        if (s == 0 || s > context_n_symbols(c) || symbol_kind(c, s) != SYMBOL_NAMED) {
            return graph_error(k, "bound %zu is of no named symbol, wanted one", i);
        }
        if (!is_identifier(symbol_name(c, s))) return malformed(k, NULL, "symbol", symbol_name(c, s), WANTED_IDENTIFIER);
        if (g->bounds[i].upper < 1) {
            return graph_error(k, "symbol %s has the bound %lld, wanted at least 1", symbol_name(c, s),
                               (long long)g->bounds[i].upper);
        }
        for (size_t j = 0; j < i; j++) {
            if (g->bounds[j].symbol == s) return graph_error(k, "symbol %s is declared twice", symbol_name(c, s));
        }
    }
    return POFAC_OK;
}

/* ---- one node ---- */

/* The node's place in the arrays of the graph, and that it uses what stands before it. */
static pofac_status check_place(const checker *k, const ir_node *n, ir_value expected) {
    const ir_graph *g = k->g;
    const uint32_t index = (uint32_t)(n - g->nodes.data);
    if (n->n_results != op_info(n->op)->n_results) {
        return node_error(k->g, n, k->sink, "%u results, wanted %u", n->n_results, op_info(n->op)->n_results);
    }
    if (n->first_result != expected)
        return node_error(k->g, n, k->sink, "first result is value %u, wanted %u", n->first_result, expected);
    for (uint32_t r = 0; r < n->n_results; r++) {
        ir_value v = expected + r;
        if (v >= g->values.size || g->values.data[v].node != index || g->values.data[v].result != r || !g->values.data[v].type) {
            return node_error(k->g, n, k->sink, "result %u is not entered as value %u", r, v);
        }
    }
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        if (n->inputs[i] >= n->first_result) {
            return node_error(k->g, n, k->sink, "input %u is value %u, wanted a result of an earlier node", i, n->inputs[i]);
        }
    }
    if (n->n_inputs > op_info(n->op)->min_inputs && n->inputs[n->n_inputs - 1] == IR_NO_VALUE) {
        return node_error(k->g, n, k->sink, "the last input is absent, wanted it left out");
    }
    return is_scope(n->scope) ? POFAC_OK : malformed(k, n, "scope", n->scope, "names joined by single dots");
}

/* Attributes that every node may carry. */
static pofac_status check_common_attrs(const checker *k, const ir_node *n) {
    const ir_attr *group = node_find_attr(n, "group"), *slot = node_find_attr(n, "slot");
    if (group && group->as.i < 0) return node_error(k->g, n, k->sink, "group is %lld, wanted 0 or more", (long long)group->as.i);
    if (!slot) return POFAC_OK;
    if (slot->as.ints.n != n->n_results) {
        return node_error(k->g, n, k->sink, "slot has %zu numbers, wanted one for each of %u results", slot->as.ints.n,
                          n->n_results);
    }
    for (size_t i = 0; i < slot->as.ints.n; i++) {
        int64_t s = slot->as.ints.data[i];
        if (s < -1) return node_error(k->g, n, k->sink, "slot %zu is %lld, wanted -1 or more", i, (long long)s);
    }
    return POFAC_OK;
}

static pofac_status check_attrs(const checker *k, const ir_node *n, const diag_sink *named) {
    diag_place place = location_place(n->location);
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const ir_attr *attr = &n->attrs[i];
        TRY(op_check_attr(n->op, attr, &place, named));
        if (i > 0 && strcmp(n->attrs[i - 1].name, attr->name) >= 0) {
            return node_error(k->g, n, k->sink, "attribute \"%s\" stands after \"%s\", wanted them sorted by name", attr->name,
                              n->attrs[i - 1].name);
        }
        if (attr_is_default(op_attr_schema(n->op, attr->name), attr)) {
            return node_error(k->g, n, k->sink, "attribute \"%s\" has its default, wanted it left out", attr->name);
        }
        if (attr->kind == ATTR_STRING && !is_name(attr->as.s)) return malformed(k, n, attr->name, attr->as.s, WANTED_NAME);
    }
    TRY(op_check_complete(n, &place, named));
    return check_common_attrs(k, n);
}

/* Runs the shape rule again and compares with the types that the graph holds. */
static pofac_status check_types(const checker *k, const ir_node *n, const diag_sink *named) {
    const ir_type *inferred[UINT8_MAX];
    const ir_type *declared = op_has(n->op, TRAIT_DECLARED) ? graph_type(k->g, n->first_result) : NULL;
    TRY(op_infer(k->g, n, declared, named, inferred));
    for (uint32_t r = 0; r < n->n_results; r++) {
        const ir_type *found = graph_type(k->g, node_result(n, r));
        if (found == inferred[r]) continue;
        char what[32];
        snprintf(what, sizeof what, "result %u is", r);
        return type_error(k, n, what, found, inferred[r], " by the op's shape rule");
    }
    return POFAC_OK;
}

static pofac_status check_symbol(const checker *k, const ir_node *n, const ir_type *t, ir_symbol s) {
    const ir_graph *g = k->g;
    const ir_context *c = g->module->context;
    if (symbol_kind(c, s) == SYMBOL_NAMED) {
        if (graph_symbol_bound(g, s) > 0) return POFAC_OK;
        return node_error(k->g, n, k->sink, "symbol %s is not declared, wanted it with a bound in the head of graph @%s",
                          symbol_name(c, s), g->name);
    }
    ir_value v = symbol_value(c, s);
    if (v != IR_NO_VALUE && v < n->first_result && graph_type(g, v)->kind == TYPE_PATTERN) return POFAC_OK;
    strbuf text = STRBUF_INIT;
    print_type(k, t, &text);
    pofac_status status = strbuf_ok(&text)
                              ? node_error(k->g, n, k->sink, "type %s counts the non-zeros of value %u, wanted an earlier pattern",
                                           strbuf_str(&text), v)
                              : diag_out_of_memory(k->sink);
    strbuf_free(&text);
    return status;
}

/* The type has a meaning, and the text form reads it. */
static bool is_well_formed(const ir_type *t) {
    int64_t size;
    if (t->kind == TYPE_PATTERN && t->rank != 2) return false;
    if (type_is_tiled(t) && (t->rank != 2 || t->tile == 0)) return false;
    if (t->layout == LAYOUT_QUADS && dtype_bits(t->dtype) != 8) return false;
    for (uint32_t i = 0; i < t->rank; i++) {
        if (dim_is_const(t->dims[i], &size) && size < 0) return false;
    }
    return true;
}

static pofac_status check_forms(const checker *k, const ir_node *n) {
    for (uint32_t r = 0; r < n->n_results; r++) {
        const ir_type *t = graph_type(k->g, node_result(n, r));
        if (is_well_formed(t)) continue;
        strbuf text = STRBUF_INIT;
        print_type(k, t, &text);
        pofac_status status =
            strbuf_ok(&text) ? node_error(k->g, n, k->sink,
                                          "result %u is %s, wanted dimensions from 0, tiles of rank 2 only, and quads of 8 bits", r,
                                          strbuf_str(&text))
                             : diag_out_of_memory(k->sink);
        strbuf_free(&text);
        return status;
    }
    return POFAC_OK;
}

/* Symbols of the result types are declared, or count the non-zeros of an earlier pattern. */
static pofac_status check_symbols(const checker *k, const ir_node *n) {
    for (uint32_t r = 0; r < n->n_results; r++) {
        const ir_type *t = graph_type(k->g, node_result(n, r));
        for (uint32_t i = 0; i < 2 * t->rank; i++) {
            ir_symbol s = t->dims[i / 2].symbol[i % 2];
            if (s != 0) TRY(check_symbol(k, n, t, s));
        }
    }
    return POFAC_OK;
}

static bool takes_value(const ir_node *n, ir_value v) {
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        if (n->inputs[i] == v) return true;
    }
    return false;
}

/* A node that takes patterns takes non-zeros of these patterns only. */
static pofac_status check_patterns(const checker *k, const ir_node *n) {
    const ir_context *c = k->g->module->context;
    ir_value pattern = IR_NO_VALUE;
    for (uint32_t i = 0; i < n->n_inputs && pattern == IR_NO_VALUE; i++) {
        ir_value v = n->inputs[i];
        if (v != IR_NO_VALUE && graph_type(k->g, v)->kind == TYPE_PATTERN) pattern = v;
    }
    for (uint32_t i = 0; i < n->n_inputs && pattern != IR_NO_VALUE; i++) {
        if (n->inputs[i] == IR_NO_VALUE) continue;
        const ir_type *t = graph_type(k->g, n->inputs[i]);
        for (uint32_t d = 0; d < 2 * t->rank; d++) {
            ir_symbol s = t->dims[d / 2].symbol[d % 2];
            if (s == 0 || symbol_kind(c, s) != SYMBOL_NNZ || takes_value(n, symbol_value(c, s))) continue;
            return node_error(k->g, n, k->sink, "input %u counts the non-zeros of %%%u, wanted those of the node's pattern %%%u", i,
                              graph_value_number(k->g, symbol_value(c, s)), graph_value_number(k->g, pattern));
        }
    }
    return POFAC_OK;
}

static pofac_status check_node(const checker *k, const ir_node *n, ir_value expected) {
    naming_sink naming = {.to = k->sink, .number = (size_t)(n - k->g->nodes.data) + 1};
    diag_sink named = {.emit = emit_named, .user = &naming};
    TRY(check_place(k, n, expected));
    TRY(check_attrs(k, n, &named));
    TRY(check_forms(k, n));
    TRY(check_symbols(k, n));
    TRY(check_patterns(k, n));
    return check_types(k, n, &named);
}

static pofac_status check_nodes(const checker *k) {
    const ir_graph *g = k->g;
    ir_value next = 1;
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if ((unsigned)n->op >= IR_N_OPS) return graph_error(k, "node %zu has no op", i + 1);
        TRY(check_node(k, n, next));
        next += n->n_results;
    }
    if (next == g->values.size) return POFAC_OK;
    return graph_error(k, "%zu values, wanted the %u results of its nodes", g->values.size - 1, next - 1);
}

/* ---- leaves and outputs ---- */

/* The symbols stand for the same number in both graphs: the same name, or non-zeros of patterns of one shape and, where both are
 * leaves, one name. */
static bool symbols_agree(const ir_graph *ga, ir_symbol a, const ir_graph *gb, ir_symbol b) {
    const ir_context *c = ga->module->context;
    if (a == b && (a == 0 || ga == gb || symbol_kind(c, a) == SYMBOL_NAMED)) return true;
    if (a == 0 || b == 0 || symbol_kind(c, a) != SYMBOL_NNZ || symbol_kind(c, b) != SYMBOL_NNZ) return false;
    ir_value va = symbol_value(c, a), vb = symbol_value(c, b);
    if (graph_type(ga, va) != graph_type(gb, vb)) return false;
    const ir_node *na = graph_node_of(ga, va), *nb = graph_node_of(gb, vb);
    return na->op != OP_pattern || nb->op != OP_pattern || node_string(na, "name") == node_string(nb, "name");
}

static bool dims_agree(const ir_graph *ga, ir_dim a, const ir_graph *gb, ir_dim b) {
    if (a.scale != b.scale || a.offset != b.offset) return false;
    return (symbols_agree(ga, a.symbol[0], gb, b.symbol[0]) && symbols_agree(ga, a.symbol[1], gb, b.symbol[1])) ||
           (symbols_agree(ga, a.symbol[0], gb, b.symbol[1]) && symbols_agree(ga, a.symbol[1], gb, b.symbol[0]));
}

static bool types_agree(const ir_graph *ga, const ir_type *a, const ir_graph *gb, const ir_type *b) {
    if (a == b && ga == gb) return true;
    if (a->kind != b->kind || a->dtype != b->dtype || a->layout != b->layout || a->tile != b->tile || a->rank != b->rank)
        return false;
    for (uint32_t i = 0; i < a->rank; i++) {
        if (!dims_agree(ga, a->dims[i], gb, b->dims[i])) return false;
    }
    return true;
}

/* Is `sparse` f32[nnz(%p)] and `dense` the matrix of which %p has the positions? One state may stand in both forms: a weight whose
 * products read its non-zeros, while others read all of it. */
static bool forms_agree(const ir_graph *gs, const ir_type *sparse, const ir_graph *gd, const ir_type *dense) {
    const ir_context *c = gs->module->context;
    ir_symbol nnz = sparse->dims[0].symbol[0];
    if (sparse->rank != 1 || dense->rank != 2 || sparse->dtype != dense->dtype || dense->layout != LAYOUT_ROWS) return false;
    if (!nnz || symbol_kind(c, nnz) != SYMBOL_NNZ || !dim_equal(sparse->dims[0], dim_symbol(nnz))) return false;
    const ir_type *pattern = graph_type(gs, symbol_value(c, nnz));
    return pattern->kind == TYPE_PATTERN && dims_agree(gs, pattern->dims[0], gd, dense->dims[0]) &&
           dims_agree(gs, pattern->dims[1], gd, dense->dims[1]);
}

static bool leaves_agree(const ir_graph *ga, const ir_type *a, const ir_graph *gb, const ir_type *b) {
    return types_agree(ga, a, gb, b) || forms_agree(ga, a, gb, b) || forms_agree(gb, b, ga, a);
}

/* The entry of `name` in the map, made with `value` where missing. */
static pofac_status enter_name(const checker *k, strmap *map, const char *name, uint64_t value, uint64_t *old, bool *inserted) {
    const strmap_entry *entry = strmap_put(map, name, strlen(name), value, inserted);
    if (!entry) return diag_out_of_memory(k->sink);
    *old = entry->value;
    return POFAC_OK;
}

/* The message of two leaves of one name whose types differ, each printed with its own graph's numbers. */
static pofac_status leaf_conflict(const checker *k, const ir_node *n, const ir_graph *other, const ir_node *first) {
    strbuf found = STRBUF_INIT, wanted = STRBUF_INIT;
    print_type(k, graph_type(k->g, n->first_result), &found);
    type_print(other->module->context, graph_type(other, first->first_result), graph_print_value, other, &wanted);
    pofac_status status =
        strbuf_ok(&found) && strbuf_ok(&wanted)
            ? node_error(k->g, n, k->sink, "\"%s\" is %s, wanted %s as in %%%zu of graph @%s", node_string(n, "name"),
                         strbuf_str(&found), strbuf_str(&wanted), (size_t)(first - other->nodes.data) + 1, other->name)
            : diag_out_of_memory(k->sink);
    strbuf_free(&found);
    strbuf_free(&wanted);
    return status;
}

/* Leaves of one op and name agree in type, or are forms of one matrix, over all the graphs. Values of the map: graph's index << 32 | node. */
static pofac_status check_shared_leaves(ir_graph *const *graphs, size_t n_graphs, ir_op op, const diag_sink *sink, strmap *map) {
    for (size_t i = 0; i < n_graphs; i++) {
        const checker k = {.g = graphs[i], .sink = sink};
        for (size_t j = 0; j < graphs[i]->nodes.size; j++) {
            const ir_node *n = &graphs[i]->nodes.data[j];
            if (n->op != op) continue;
            uint64_t first_at = 0;
            bool inserted = false;
            TRY(enter_name(&k, map, node_string(n, "name"), (uint64_t)i << 32 | j, &first_at, &inserted));
            const ir_graph *other = graphs[first_at >> 32];
            const ir_node *first = &other->nodes.data[(uint32_t)first_at];
            if (leaves_agree(other, graph_type(other, first->first_result), graphs[i], graph_type(graphs[i], n->first_result)))
                continue;
            return leaf_conflict(&k, n, other, first);
        }
    }
    return POFAC_OK;
}

static pofac_status check_inputs(const checker *k, strmap *map) {
    for (size_t i = 0; i < k->g->nodes.size; i++) {
        const ir_node *n = &k->g->nodes.data[i];
        if (n->op != OP_input) continue;
        uint64_t first = 0;
        bool inserted = false;
        TRY(enter_name(k, map, node_string(n, "name"), i, &first, &inserted));
        if (!inserted)
            return node_error(k->g, n, k->sink, "the name \"%s\" is that of %%%u, wanted another", node_string(n, "name"),
                              (unsigned)first + 1);
    }
    return POFAC_OK;
}

/* `states` and `patterns` have the leaves by name, `seen` gets the outputs' names. */
static pofac_status check_outputs(const checker *k, const strmap *states, const strmap *patterns, strmap *seen) {
    const ir_graph *g = k->g;
    for (size_t i = 0; i < g->outputs.size; i++) {
        const ir_output *o = &g->outputs.data[i];
        if (!is_name(o->name)) return malformed(k, NULL, "output name", o->name, WANTED_NAME);
        if (o->value == IR_NO_VALUE || o->value >= g->values.size) {
            return graph_error(k, "output \"%s\" is value %u, wanted one of its %zu values", o->name, o->value, g->values.size - 1);
        }
        uint64_t first = 0;
        bool inserted = false;
        TRY(enter_name(k, seen, o->name, i, &first, &inserted));
        if (!inserted) return graph_error(k, "two outputs are named \"%s\", wanted different names", o->name);
        const ir_type *found = graph_type(g, o->value);
        const strmap *leaves = found->kind == TYPE_PATTERN && strmap_get(patterns, o->name, strlen(o->name)) ? patterns : states;
        const strmap_entry *leaf = strmap_get(leaves, o->name, strlen(o->name));
        if (!leaf) continue;
        const ir_type *wanted = graph_type(g, g->nodes.data[(uint32_t)leaf->value].first_result);
        if (types_agree(g, wanted, g, found)) continue;
        return type_error(k, graph_node_of(g, o->value), "an output named like a state is", found, wanted, ", the state's type");
    }
    return POFAC_OK;
}

static pofac_status check_names(const checker *k) {
    strmap states = STRMAP_INIT, patterns = STRMAP_INIT, inputs = STRMAP_INIT, outputs = STRMAP_INIT;
    ir_graph *const graphs[1] = {(ir_graph *)(uintptr_t)k->g};
    pofac_status status;
    TRY_OR(done, status, check_inputs(k, &inputs));
    TRY_OR(done, status, check_shared_leaves(graphs, 1, OP_state, k->sink, &states));
    TRY_OR(done, status, check_shared_leaves(graphs, 1, OP_pattern, k->sink, &patterns));
    status = check_outputs(k, &states, &patterns, &outputs);
done:
    strmap_free(&states);
    strmap_free(&patterns);
    strmap_free(&inputs);
    strmap_free(&outputs);
    return status;
}

/* Data under the name that a constant refers to are those of its type; constants without data are the interpreter's to refuse. */
static pofac_status check_constants(const checker *k) {
    const ir_graph *g = k->g;
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        const ir_attr *data = n->op == OP_constant ? node_find_attr(n, "data") : NULL;
        const ir_tensor *t = data ? module_find_constant(g->module, data->as.s) : NULL;
        if (!t) continue;
        ir_dim dims[IR_MAX_RANK];
        for (uint32_t d = 0; d < t->rank; d++) dims[d] = dim_const(t->dims[d]);
        const ir_type *found = type_tensor(g->module->context, t->dtype, t->rank, dims), *wanted = graph_type(g, n->first_result);
        if (!found) return diag_out_of_memory(k->sink);
        if (found != wanted) return type_error(k, n, "the data are", found, wanted, "");
    }
    return POFAC_OK;
}

pofac_status verify_graph(const ir_graph *g, const diag_sink *sink) {
    const checker k = {.g = g, .sink = sink};
    TRY(check_head(&k));
    TRY(check_nodes(&k));
    TRY(check_names(&k));
    TRY(check_constants(&k));
    return verify_groups(g, sink);
}

pofac_status verify_module(const ir_module *m, const diag_sink *sink) {
    strmap names = STRMAP_INIT, states = STRMAP_INIT, patterns = STRMAP_INIT;
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < m->graphs.size; i++) {
        const checker k = {.g = m->graphs.data[i], .sink = sink};
        TRY_OR(done, status, verify_graph(k.g, sink));
        uint64_t first = 0;
        bool inserted = false;
        TRY_OR(done, status, enter_name(&k, &names, k.g->name, i, &first, &inserted));
        if (!inserted) {
            status = graph_error(&k, "two graphs have this name, wanted different names");
            goto done;
        }
    }
    TRY_OR(done, status, check_shared_leaves(m->graphs.data, m->graphs.size, OP_state, sink, &states));
    status = check_shared_leaves(m->graphs.data, m->graphs.size, OP_pattern, sink, &patterns);
done:
    strmap_free(&names);
    strmap_free(&states);
    strmap_free(&patterns);
    return status;
}
