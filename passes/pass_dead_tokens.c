/*
 * Dead tokens: what is computed for rows that nobody reads goes. A classifier reads the first token alone, so the last layer needs
 * keys and values of all tokens, but the rest of it for the first token of each sequence only.
 *
 * gather_rows moves up through what works row by row, gather_rows(f(x), i) = f(gather_rows(x, i)), and through attention, whose
 * queries then have rows of their own:
 *
 *     gather_rows(attention(q, k, v, offsets), first_rows(offsets))
 *         = attention(gather_rows(q, first_rows(offsets)), k, v, offsets, query_offsets = 0, 1, ..., B)
 *
 * A node is narrow when all who read it want the same rows of it; found backwards, by letting each gather, and each narrow node,
 * claim what it reads. Only narrow nodes are computed for the wanted rows, and for these alone, so nothing is computed twice. They
 * are made at the first gather of their rows, since the index is there then, and in order. Rows are independent in all these ops,
 * so the numbers do not change by a bit (under the same kernels). No sequence is empty, else it would have no first row.
 */
#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

/* What is known of an old value. */
typedef struct row_claim {
    uint32_t uses;   /* by nodes and outputs */
    uint32_t claims; /* of them, those that want the rows of `index` alone */
    ir_value index;  /* of the first claim */
    bool narrow;     /* all uses want these rows, and the node can be computed for them: it has no others */
    ir_value first;  /* of an index: the first of its narrow values, in order, that is not made yet */
    ir_value next;   /* of a narrow value: the next one of its index */
} row_claim;

typedef struct dead_tokens {
    rewriter rw;
    row_claim *values;
} dead_tokens;

/* ---- who is narrow ---- */

/* Inputs that have rows like the node's result: matrices with as many rows as the first one, and the keys of dropout. Not weights, not
 * other vectors. */
static bool is_row_input(const ir_graph *g, const ir_node *n, uint32_t i) {
    if (n->inputs[i] == IR_NO_VALUE) return false;
    if ((n->op == OP_attention && i == 6) || (n->op == OP_dropout && i == 1)) return true;
    if ((n->op == OP_attention && i > 0) || (i == 1 && op_has(n->op, TRAIT_WEIGHTED))) return false;
    const ir_type *t = graph_type(g, n->inputs[i]), *x = graph_type(g, n->inputs[0]);
    return i == 0 || (t->kind == TYPE_TENSOR && t->rank == 2 && dim_equal(t->dims[0], x->dims[0]));
}

static bool is_row_gather(const ir_graph *g, const ir_node *n) {
    return n->op == OP_gather_rows && graph_type(g, n->inputs[0])->rank == 2;
}

/* Can the node be computed for some of its rows alone, those of `index`? */
static bool can_narrow(const ir_graph *g, const ir_node *n, ir_value index) {
    const ir_node *maker = graph_node_of(g, index);
    if (n->op == OP_attention)
        return node_input(n, 5) == IR_NO_VALUE && maker->op == OP_first_rows && maker->inputs[0] == n->inputs[3];
    if (op_has(n->op, TRAIT_DECLARED) || !(op_has(n->op, TRAIT_ROWWISE) || op_has(n->op, TRAIT_ELEMENTWISE))) return false;
    return graph_type(g, n->inputs[0])->rank == 2;
}

static void claim(dead_tokens *d, ir_value v, ir_value index) {
    row_claim *c = &d->values[v];
    if (c->claims == 0) c->index = index;
    if (c->index == index) c->claims++;
}

/* Is the node's first result read for some rows alone, and no other result at all? */
static bool is_claimed(const dead_tokens *d, const ir_node *n) {
    const row_claim *c = &d->values[n->first_result];
    for (uint32_t r = 1; r < n->n_results; r++)
        if (d->values[node_result(n, r)].uses > 0) return false;
    return c->claims > 0 && c->claims == c->uses;
}

static void find_narrow(dead_tokens *d) {
    const ir_graph *g = d->rw.from;
    for (size_t i = g->nodes.size; i-- > 0;) {
        const ir_node *n = &g->nodes.data[i];
        row_claim *c = &d->values[n->first_result];
        if (is_row_gather(g, n)) claim(d, n->inputs[0], n->inputs[1]);
        if (n->n_inputs == 0 || !is_claimed(d, n) || !can_narrow(g, n, c->index)) continue;
        c->narrow = true;
        c->next = d->values[c->index].first;
        d->values[c->index].first = n->first_result;
        for (uint32_t k = 0; k < n->n_inputs; k++)
            if (is_row_input(g, n, k)) claim(d, n->inputs[k], c->index);
    }
}

/* ---- computing the wanted rows ---- */

/* 0, 1, ..., B: one query for each sequence. */
static ir_value single_offsets(dead_tokens *d, ir_value index) {
    ir_graph *to = d->rw.to;
    if (index == IR_NO_VALUE) return IR_NO_VALUE;
    const ir_type *t = graph_type(to, index);
    ir_dim dims[2] = {t->dims[0], dim_const(1)};
    const ir_type *column = type_tensor(to->module->context, t->dtype, 2, dims);
    return build_unary(to, OP_padded_offsets, build_declared(to, OP_reshape, index, column));
}

/* The new value of the rows `index` of `old`; narrow ones are made. */
static ir_value wanted_rows(dead_tokens *d, ir_value old, ir_value index) {
    const row_claim *c = &d->values[old];
    ir_value v = rewrite_value(&d->rw, old);
    return c->narrow && c->index == index ? v : build_binary(d->rw.to, OP_gather_rows, v, rewrite_value(&d->rw, index));
}

static void make_narrow(dead_tokens *d, const ir_node *n, ir_value index) {
    const ir_graph *from = d->rw.from;
    ir_value inputs[UINT8_MAX] = {IR_NO_VALUE};
    ir_node narrow = *n;
    rewrite_visit(&d->rw, n);
    for (uint32_t i = 0; i < n->n_inputs; i++)
        inputs[i] = is_row_input(from, n, i) ? wanted_rows(d, n->inputs[i], index) : rewrite_value(&d->rw, n->inputs[i]);
    if (n->op == OP_attention) {
        inputs[5] = single_offsets(d, rewrite_value(&d->rw, index));
        if (narrow.n_inputs < 6) narrow.n_inputs = 6;
    }
    rewrite_copy_unmarked(&d->rw, &narrow, inputs, NULL);
}

/* Makes what stands before the gather and is wanted for its rows, and maps the gather. */
static void narrow_gather(dead_tokens *d, const ir_node *n) {
    ir_value index = n->inputs[1], *first = &d->values[index].first;
    for (; *first != IR_NO_VALUE && *first < n->first_result; *first = d->values[*first].next)
        make_narrow(d, graph_node_of(d->rw.from, *first), index);
    rewrite_visit(&d->rw, n);
    rewrite_map(&d->rw, n->first_result, wanted_rows(d, n->inputs[0], index));
}

static pofac_status dead_tokens_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    const uint32_t *uses = graph_count_uses(from, &memory);
    dead_tokens d = {.values = ARENA_ARRAY(&memory, row_claim, from->values.size)};
    pofac_status status = uses && d.values ? rewrite_begin(&d.rw, from, to) : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) {
        for (size_t v = 1; v < from->values.size; v++) d.values[v].uses = uses[v];
        find_narrow(&d);
        for (size_t i = 0; i < from->nodes.size && to->status == POFAC_OK; i++) {
            const ir_node *n = &from->nodes.data[i];
            if (is_row_gather(from, n)) narrow_gather(&d, n);
            else if (!d.values[n->first_result].narrow) rewrite_copy_unmarked(&d.rw, n, NULL, NULL);
        }
        status = rewrite_finish(&d.rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_dead_tokens(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, dead_tokens_graph, &copy, in->sink, out);
}
