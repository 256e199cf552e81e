/*
 * Common subexpression elimination: a node equal to an earlier one (same op, attributes, mapped inputs and, for ops that declare it, result type) is replaced by
 * it. One sweep forwards with a hash map from the node's bytes to its first result; since inputs are mapped first, chains of equal nodes fall together.
 * The first of the equal nodes keeps its scope.
 */
#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"

static void put(strbuf *key, const void *bytes, size_t n) { strbuf_append(key, bytes, n); }

/* Everything that the node's results depend on, as bytes. Names are interned: their addresses stand for them. */
static void node_key(rewriter *rw, const ir_node *n, strbuf *key) {
    strbuf_clear(key);
    put(key, &n->op, sizeof n->op);
    put(key, &n->n_inputs, sizeof n->n_inputs);
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        ir_value v = rewrite_value(rw, n->inputs[i]);
        put(key, &v, sizeof v);
    }
    if (op_has(n->op, TRAIT_DECLARED)) {
        const ir_type *type = rewrite_type(rw, graph_type(rw->from, n->first_result));
        put(key, &type, sizeof type);
    }
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const ir_attr *a = &n->attrs[i];
        put(key, &a->name, sizeof a->name);
        switch (a->kind) {
        case ATTR_INTS:
            put(key, &a->as.ints.n, sizeof a->as.ints.n), put(key, a->as.ints.data, a->as.ints.n * sizeof(int64_t));
            break;
        case ATTR_FLOATS:
            put(key, &a->as.floats.n, sizeof a->as.floats.n), put(key, a->as.floats.data, a->as.floats.n * sizeof(double));
            break;
        case ATTR_FLOAT: put(key, &a->as.f, sizeof a->as.f); break;
        case ATTR_STRING:
        case ATTR_ENUM: put(key, &a->as.s, sizeof a->as.s); break;
        case ATTR_INT:
        case ATTR_BOOL: put(key, &a->as.i, sizeof a->as.i); break;
        }
    }
}

static pofac_status cse_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    strmap seen = STRMAP_INIT;
    strbuf key = STRBUF_INIT;
    rewriter rw;
    pofac_status status = rewrite_begin(&rw, from, to);
    if (status != POFAC_OK) return status;
    bool enough = true;
    for (size_t i = 0; i < from->nodes.size && enough; i++) {
        const ir_node *n = &from->nodes.data[i];
        node_key(&rw, n, &key);
        const strmap_entry *known = strmap_get(&seen, strbuf_str(&key), key.size);
        if (known) {
            for (uint32_t r = 0; r < n->n_results; r++) rewrite_map(&rw, node_result(n, r), (ir_value)known->value + r);
            continue;
        }
        rewrite_copy(&rw, n);
        enough = strbuf_ok(&key) && strmap_put(&seen, strbuf_str(&key), key.size, rewrite_value(&rw, n->first_result), NULL);
    }
    status = rewrite_finish(&rw);
    if (!enough) status = diag_out_of_memory(in->sink);
    strmap_free(&seen);
    strbuf_free(&key);
    return status;
}

pofac_status pass_cse(const pass_input *in, ir_module **out) {
    return rewrite_module(in->module, cse_graph, (void *)in, in->sink, out);
}
