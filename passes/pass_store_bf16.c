/*
 * Store in bf16: what waits for the backward pass does so in half the memory.
 *
 *   v: f32 activation of the forward pass, read by the backward pass    ->    b = cast v : bf16, right after v's maker
 *                                                                             v' = cast b : f32, before its first reader in the backward
 *                                                                             pass, for all that read it there
 *
 * The forward pass goes on with v, so a loss is the same; sums, weights, moments and gradients stay f32. Only values that are large and
 * wait while products run are stored (forward_values.h): a mean or a log-sum-exp of a row is not worth it. A value in tiles stays in
 * tiles. Runs behind `recompute`, which leaves less to wait, and behind the last `cse`.
 */
#include "ir/rewrite.h"
#include "passes/forward_values.h"
#include "passes/pass.h"

typedef struct storing {
    rewriter rw;
    forward_values forward;
    ir_value *stored;   /* [old values] new: in bf16 */
    ir_value *restored; /* [old values] new: and back, once a reader has asked for it */
} storing;

static bool is_stored(const storing *s, ir_value v) {
    const ir_type *t = graph_type(s->rw.from, v);
    if (t->kind != TYPE_TENSOR || t->dtype != IR_F32 || value_row_bytes(s->rw.from, v) == 0) return false;
    return value_is_large(s->rw.from, v) && forward_value_waits_long(&s->forward, v);
}

static ir_value cast(storing *s, ir_value v, ir_dtype to) {
    ir_graph *g = s->rw.to;
    return v == IR_NO_VALUE ? v : build_declared(g, OP_cast, v, type_with_dtype(g->module->context, graph_type(g, v), to));
}

/* The forward pass's value as the backward pass reads it. */
static ir_value restore(storing *s, ir_value old) {
    if (s->restored[old] != IR_NO_VALUE) return s->restored[old];
    rewrite_visit(&s->rw, graph_node_of(s->rw.from, old));
    return s->restored[old] = cast(s, s->stored[old], IR_F32);
}

static void copy_node(storing *s, const ir_node *n, bool forward) {
    ir_value inputs[UINT8_MAX];
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        const ir_value v = n->inputs[i];
        const bool waited = !forward && v != IR_NO_VALUE && s->stored[v] != IR_NO_VALUE;
        inputs[i] = waited ? restore(s, v) : rewrite_value(&s->rw, v);
    }
    rewrite_copy_unmarked(&s->rw, n, inputs, NULL);
    for (uint32_t r = 0; r < n->n_results; r++) {
        const ir_value v = node_result(n, r);
        if (is_stored(s, v)) s->stored[v] = cast(s, rewrite_value(&s->rw, v), IR_BF16);
    }
}

static pofac_status store_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    storing s = {.stored = ARENA_ARRAY(&memory, ir_value, from->values.size + 1),
                 .restored = ARENA_ARRAY(&memory, ir_value, from->values.size + 1)};
    pofac_status status = s.stored && s.restored ? POFAC_OK : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) status = forward_values_find(from, &memory, in->sink, &s.forward);
    if (status == POFAC_OK) status = rewrite_begin(&s.rw, from, to);
    if (status == POFAC_OK) {
        for (size_t i = 0; i < from->nodes.size; i++) copy_node(&s, &from->nodes.data[i], s.forward.is_forward[i]);
        status = rewrite_finish(&s.rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_store_bf16(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, store_graph, &copy, in->sink, out);
}
