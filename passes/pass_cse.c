/*
 * Common subexpression elimination: a node equal to an earlier one (same op, attributes, mapped inputs and, for ops that declare
 * it, result type) is replaced by it. One sweep forwards with a hash map from the node's bytes to its first result; since inputs
 * are mapped first, chains of equal nodes fall together; x + y and y + x are equal. The first of the equal nodes keeps its scope.
 * Marks of fuse and plan-memory are dropped and do not tell nodes apart.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"

#define PUT(key, object) strbuf_append((key), &(object), sizeof(object))

/* The attribute's value as bytes. Strings are interned: their addresses stand for them. */
static void put_attr(const ir_attr *a, strbuf *key) {
    switch (a->kind) {
    case ATTR_INT:
    case ATTR_BOOL: PUT(key, a->as.i); break;
    case ATTR_FLOAT: PUT(key, a->as.f); break;
    case ATTR_STRING:
    case ATTR_ENUM: PUT(key, a->as.s); break;
    case ATTR_INTS:
        PUT(key, a->as.ints.n);
        strbuf_append(key, a->as.ints.data, a->as.ints.n * sizeof *a->as.ints.data);
        break;
    case ATTR_FLOATS:
        PUT(key, a->as.floats.n);
        strbuf_append(key, a->as.floats.data, a->as.floats.n * sizeof *a->as.floats.data);
        break;
    }
}

/* The operands of a commutative op count in the order of their numbers, where neither is repeated along the other. */
static bool should_swap(rewriter *rw, const ir_node *n) {
    if (!op_has(n->op, TRAIT_COMMUTATIVE)) return false;
    const ir_type *x = graph_type(rw->from, n->inputs[0]), *y = graph_type(rw->from, n->inputs[1]);
    return x == y && rewrite_value(rw, n->inputs[0]) > rewrite_value(rw, n->inputs[1]);
}

/* Everything that the node's results depend on, as bytes; each part's length follows from those before it. */
static void put_node(rewriter *rw, const ir_node *n, strbuf *key) {
    PUT(key, n->op);
    PUT(key, n->n_inputs);
    bool swap = should_swap(rw, n);
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        ir_value v = rewrite_value(rw, n->inputs[swap && i < 2 ? 1 - i : i]);
        PUT(key, v);
    }
    if (op_has(n->op, TRAIT_DECLARED)) {
        const ir_type *type = rewrite_type(rw, graph_type(rw->from, n->first_result));
        PUT(key, type);
    }
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const ir_attr *a = &n->attrs[i];
        if (strcmp(a->name, "group") == 0 || strcmp(a->name, "slot") == 0) continue;
        PUT(key, a->name);
        put_attr(a, key);
    }
}

/* Maps the node to an equal one, or copies it. False when memory is short. */
static bool visit_node(rewriter *rw, const ir_node *n, strmap *seen, strbuf *key) {
    strbuf_clear(key);
    put_node(rw, n, key);
    if (!strbuf_ok(key)) return false;
    const strmap_entry *equal = strmap_get(seen, strbuf_str(key), key->size);
    for (uint32_t r = 0; equal && r < n->n_results; r++) rewrite_map(rw, node_result(n, r), (ir_value)equal->value + r);
    if (equal) return true;
    rewrite_copy_unmarked(rw, n, NULL, NULL);
    return strmap_put(seen, strbuf_str(key), key->size, rewrite_value(rw, n->first_result), NULL) != NULL;
}

static pofac_status cse_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    strmap seen = STRMAP_INIT;
    strbuf key = STRBUF_INIT;
    for (size_t i = 0; i < from->nodes.size && to->status == POFAC_OK; i++)
        if (!visit_node(&rw, &from->nodes.data[i], &seen, &key)) to->status = diag_out_of_memory(in->sink);
    strmap_free(&seen);
    strbuf_free(&key);
    return rewrite_finish(&rw);
}

pofac_status pass_cse(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, cse_graph, &copy, in->sink, out);
}
