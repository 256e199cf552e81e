/*
 * Dead tokens: what is computed for rows that nobody reads goes. A classifier reads the first token alone, so the last layer needs keys and values of all tokens, but the rest of it for the
 * first token of each sequence only.
 *
 * gather_rows moves up through what works row by row: gather_rows(f(x), i) = f(gather_rows(x, i)), and through attention, whose queries then have rows of their own,
 *     gather_rows(attention(q, k, v, offsets), first_rows(offsets)) = attention(gather_rows(q, ...), k, v, offsets, query_offsets = 0, 1, ..., B).
 * It moves as long as nobody else reads the value, so nothing is computed twice; the old nodes are left to dce. Rows are independent in all these ops, so the numbers do not change by a bit (under the
 * same kernels).
 */
#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

typedef struct dead_tokens {
    rewriter rw;
    const uint32_t *uses; /* of old values */
    ir_value index;       /* old: the gather at hand */
} dead_tokens;

#define MAX_INPUTS 8

static bool reads_alone(const dead_tokens *d, const ir_node *n) {
    for (uint32_t r = 0; r < n->n_results; r++)
        if (d->uses[node_result(n, r)] != (r == 0 ? 1 : 0)) return false; /* other results have rows too, and nobody may want them */
    return true;
}

static ir_value gathered(dead_tokens *d, ir_value old);

/* The row values among a node's inputs: those with as many rows as its first one. Weights of linear and vectors are none. */
static bool is_row_input(const ir_graph *g, const ir_node *n, uint32_t i) {
    if (!n->inputs[i] || (i == 1 && op_has(n->op, TRAIT_WEIGHTED))) return false;
    const ir_type *t = graph_type(g, n->inputs[i]), *x = graph_type(g, n->inputs[0]);
    return i == 0 || (t->kind == TYPE_TENSOR && t->rank == x->rank && dim_equal(t->dims[0], x->dims[0]));
}

static ir_value gather_inputs(dead_tokens *d, const ir_node *n) {
    const ir_graph *from = d->rw.from;
    ir_value inputs[MAX_INPUTS];
    for (uint32_t i = 0; i < n->n_inputs; i++) inputs[i] = is_row_input(from, n, i) ? gathered(d, n->inputs[i]) : rewrite_value(&d->rw, n->inputs[i]);
    rewrite_visit(&d->rw, n);
    return node_add(d->rw.to, n->op, inputs, n->n_inputs, n->attrs, n->n_attrs, NULL);
}

/* Attention with one query for each sequence. */
static ir_value gather_queries(dead_tokens *d, const ir_node *n) {
    ir_graph *to = d->rw.to;
    ir_context *c = to->module->context;
    ir_value index = rewrite_value(&d->rw, d->index), q = gathered(d, n->inputs[0]);
    rewrite_visit(&d->rw, n);
    const ir_type *t = graph_type(to, index);
    ir_dim dims[2] = {t->dims[0], dim_const(1)};
    ir_value offsets = build_unary(to, OP_padded_offsets, build_declared(to, OP_reshape, index, type_tensor(c, t->dtype, 2, dims)));
    ir_value inputs[] = {q, rewrite_value(&d->rw, n->inputs[1]), rewrite_value(&d->rw, n->inputs[2]), rewrite_value(&d->rw, n->inputs[3]),
                         rewrite_value(&d->rw, node_input(n, 4)), offsets};
    return node_add(to, OP_attention, inputs, 6, n->attrs, n->n_attrs, NULL);
}

/* The new value of the rows of `old` that the gather wants. */
static ir_value gathered(dead_tokens *d, ir_value old) {
    const ir_graph *from = d->rw.from;
    const ir_node *n = graph_node_of(from, old);
    const ir_node *index = graph_node_of(from, d->index);
    bool alone = old == n->first_result && n->n_inputs > 0 && n->n_inputs <= MAX_INPUTS && reads_alone(d, n);
    bool rowwise = op_has(n->op, TRAIT_ROWWISE) || (op_has(n->op, TRAIT_ELEMENTWISE) && !op_has(n->op, TRAIT_DECLARED));
    if (alone && rowwise && graph_type(from, n->inputs[0])->rank == 2) return gather_inputs(d, n);
    if (alone && n->op == OP_attention && !node_input(n, 5) && index->op == OP_first_rows && index->inputs[0] == n->inputs[3])
        return gather_queries(d, n);
    return build_binary(d->rw.to, OP_gather_rows, rewrite_value(&d->rw, old), rewrite_value(&d->rw, d->index));
}

static pofac_status dead_tokens_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    dead_tokens d = {.uses = graph_count_uses(from, &memory)};
    pofac_status status = d.uses ? rewrite_begin(&d.rw, from, to) : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) {
        for (size_t i = 0; i < from->nodes.size; i++) {
            const ir_node *n = &from->nodes.data[i];
            if (n->op != OP_gather_rows || graph_type(from, n->inputs[0])->rank != 2) {
                rewrite_copy(&d.rw, n);
                continue;
            }
            d.index = n->inputs[1];
            rewrite_visit(&d.rw, n);
            rewrite_map(&d.rw, n->first_result, gathered(&d, n->inputs[0]));
        }
        status = rewrite_finish(&d.rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_dead_tokens(const pass_input *in, ir_module **out) {
    return rewrite_module(in->module, dead_tokens_graph, (void *)in, in->sink, out);
}
