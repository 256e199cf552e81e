/*
 * Dead tokens: what is computed for rows that nobody reads goes. A classifier reads the first token alone, so the last layer needs keys and values of all
 * tokens, but the rest of it for the first token of each sequence only.
 *
 * gather_rows moves up through what works row by row: gather_rows(f(x), i) = f(gather_rows(x, i)), and through attention, whose queries then have rows of
 * their own:
 *
 *     gather_rows(attention(q, k, v, offsets), first_rows(offsets)) = attention(gather_rows(q, ...), k, v, offsets, query_offsets = 0, 1, ..., B)
 *
 * A node is narrow when all who read it want the same rows of it; found backwards, by letting each gather, and each narrow node, claim what it reads. Only
 * narrow nodes are computed for the wanted rows, so nothing is computed twice; their old forms are left to dce. Rows are independent in all these ops, so the
 * numbers do not change by a bit (under the same kernels).
 */
#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

#define MAX_INPUTS 8

/* What is known of an old value. */
typedef struct row_claim {
    uint32_t uses;   /* by nodes and outputs */
    uint32_t claims; /* of them, those that want the rows of `index` alone */
    ir_value index;
    bool narrow;
    ir_value gathered; /* new: its wanted rows, once made */
} row_claim;

typedef struct dead_tokens {
    rewriter rw;
    row_claim *values;
} dead_tokens;

/* ---- who is narrow ---- */

/* Inputs that have rows like the node's result: matrices with as many rows as the first one. Not weights, not vectors. */
static bool is_row_input(const ir_graph *g, const ir_node *n, uint32_t i) {
    if (!n->inputs[i] || (n->op == OP_attention && i > 0) || (i == 1 && op_has(n->op, TRAIT_WEIGHTED))) return false;
    const ir_type *t = graph_type(g, n->inputs[i]), *x = graph_type(g, n->inputs[0]);
    return i == 0 || (t->kind == TYPE_TENSOR && t->rank == 2 && dim_equal(t->dims[0], x->dims[0]));
}

static bool is_row_gather(const ir_graph *g, const ir_node *n) {
    return n->op == OP_gather_rows && graph_type(g, n->inputs[0])->rank == 2;
}

/* Can the node be computed for some of its rows alone, those of `index`? */
static bool can_narrow(const ir_graph *g, const ir_node *n, ir_value index) {
    if (n->n_inputs == 0 || n->n_inputs > MAX_INPUTS) return false;
    const ir_node *maker = graph_node_of(g, index);
    if (n->op == OP_attention) return !node_input(n, 5) && maker->op == OP_first_rows && maker->inputs[0] == n->inputs[3];
    if (op_has(n->op, TRAIT_DECLARED) || !(op_has(n->op, TRAIT_ROWWISE) || op_has(n->op, TRAIT_ELEMENTWISE))) return false;
    return graph_type(g, n->inputs[0])->rank == 2;
}

static void claim(dead_tokens *d, ir_value v, ir_value index) {
    row_claim *c = &d->values[v];
    if (c->claims == 0) c->index = index;
    if (c->index == index) c->claims++;
}

static void find_narrow(dead_tokens *d) {
    const ir_graph *g = d->rw.from;
    for (size_t i = g->nodes.size; i-- > 0;) {
        const ir_node *n = &g->nodes.data[i];
        row_claim *c = n->n_results ? &d->values[n->first_result] : NULL;
        if (is_row_gather(g, n)) {
            claim(d, n->inputs[0], n->inputs[1]);
            continue;
        }
        bool alone = c && c->claims > 0 && c->claims == c->uses;
        for (uint32_t r = 1; alone && r < n->n_results; r++) alone = d->values[node_result(n, r)].uses == 0;
        if (!alone || !can_narrow(g, n, c->index)) continue;
        c->narrow = true;
        for (uint32_t k = 0; k < n->n_inputs; k++)
            if (is_row_input(g, n, k)) claim(d, n->inputs[k], c->index);
    }
}

/* ---- computing the wanted rows ---- */

/* 0, 1, ..., B: one query for each sequence. */
static ir_value single_offsets(dead_tokens *d, ir_value index) {
    ir_graph *to = d->rw.to;
    const ir_type *t = graph_type(to, index);
    ir_dim dims[2] = {t->dims[0], dim_const(1)};
    return build_unary(to, OP_padded_offsets,
                       build_declared(to, OP_reshape, index, type_tensor(to->module->context, t->dtype, 2, dims)));
}

/* The new value of the wanted rows of `old`. Depth: the longest chain of narrow nodes, about twenty in a layer of BERT. */
static ir_value gathered(dead_tokens *d, ir_value old, ir_value index) {
    const ir_graph *from = d->rw.from;
    row_claim *c = &d->values[old];
    const ir_node *n = graph_node_of(from, old);
    if (c->gathered && c->index == index) return c->gathered;
    if (!c->narrow || c->index != index)
        return build_binary(d->rw.to, OP_gather_rows, rewrite_value(&d->rw, old), rewrite_value(&d->rw, index));
    ir_value inputs[MAX_INPUTS] = {IR_NO_VALUE};
    size_t n_inputs = n->n_inputs;
    for (uint32_t i = 0; i < n->n_inputs; i++)
        inputs[i] = is_row_input(from, n, i) ? gathered(d, n->inputs[i], index) : rewrite_value(&d->rw, n->inputs[i]);
    rewrite_visit(&d->rw, n);
    if (n->op == OP_attention) {
        inputs[5] = single_offsets(d, rewrite_value(&d->rw, index));
        n_inputs = 6;
    }
    c->gathered = node_add(d->rw.to, n->op, inputs, n_inputs, n->attrs, n->n_attrs, NULL);
    return c->gathered;
}

static pofac_status dead_tokens_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    const uint32_t *uses = graph_count_uses(from, &memory);
    dead_tokens d = {.values = ARENA_ARRAY(&memory, row_claim, from->values.size + 1)};
    pofac_status status = uses && d.values ? rewrite_begin(&d.rw, from, to) : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) {
        for (size_t v = 1; v < from->values.size; v++) d.values[v].uses = uses[v];
        find_narrow(&d);
        for (size_t i = 0; i < from->nodes.size; i++) {
            const ir_node *n = &from->nodes.data[i];
            rewrite_visit(&d.rw, n);
            if (is_row_gather(from, n)) rewrite_map(&d.rw, n->first_result, gathered(&d, n->inputs[0], n->inputs[1]));
            else rewrite_copy(&d.rw, n);
        }
        status = rewrite_finish(&d.rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_dead_tokens(const pass_input *in, ir_module **out) {
    return rewrite_module(in->module, dead_tokens_graph, (void *)in, in->sink, out);
}
