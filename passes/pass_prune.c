/*
 * Prune: weights are computed with under a mask (spec of the method: prune once for all, section 2).
 *
 *   %w = state {name = "w"} : f32[N,K]          %w = state {name = "w"} : f32[N,K]
 *                                               %p = pattern {name = "w.mask"} : pattern[N,K]
 *   linear %x, %w, %b                    ->     %v = dense_to_sparse %w, %p
 *                                               linear %x, %v, %b, %p
 *
 * The original stays dense and trains on: a pruned element has no gradient, but keeps its value, its moments and its decay, and may come back with another
 * mask. A mask is a pattern that whoever holds the state gives, and replaces; so products run on its elements alone, and the gradient is known there alone.
 *
 * What an original learns with is the option `gradient`: with `masked`, that. With `straight`, the gradient of all elements, as if nothing were pruned (the
 * reference's neural wiring); products of the forward pass and for gradients of inputs still run on the mask's elements. With `movement`, a state w.scores f32[N,K]
 * is an operand of dense_to_sparse besides: its gradient is the original times the gradient of all elements, from which masks come (Sanh et al. 2020).
 * Weights are those that the environment's `prunes` names, if linears alone read them. Graphs whose weights it does not name are copied.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"
#include "passes/product_weights.h"

typedef enum mask_gradient { MASKED, STRAIGHT, MOVEMENT } mask_gradient; /* ORDER passes.def */

/* A weight, by name, in the new graph. */
typedef struct masked {
    ir_value pattern, values;
} masked;

typedef struct prune_state {
    const pass_input *in;
    int64_t gradient; /* mask_gradient */
    rewriter rw;
    arena memory;
    strmap index; /* name -> number of `weights` */
    masked *weights;
} prune_state;

/* The elements of the original that are computed with. */
static pofac_status take_values(prune_state *s, const char *name, const ir_type *t, ir_value original, masked *w) {
    ir_graph *to = s->rw.to;
    const ir_attr straight = attr_enum("gradient", "straight");
    ir_value inputs[3] = {original, w->pattern, IR_NO_VALUE};
    if (s->gradient == MOVEMENT) {
        const char *scores = arena_printf(&s->memory, "%s" IR_SCORES, name);
        if (!scores) return diag_out_of_memory(s->in->sink);
        inputs[2] = build_leaf(to, OP_state, scores, t);
    }
    w->values = node_add(to, OP_dense_to_sparse, inputs, s->gradient == MOVEMENT ? 3 : 2, &straight, s->gradient == STRAIGHT, NULL);
    return POFAC_OK;
}

/* The weight of a linear, entered at its first one; *out is NULL where it has no mask. */
static pofac_status find_weight(prune_state *s, const ir_node *linear, const bool *others, masked **out) {
    const pass_environment *e = s->in->environment;
    const ir_graph *g = s->rw.from;
    *out = NULL;
    if (linear->op != OP_linear || node_input(linear, 3) != IR_NO_VALUE || !is_product_weight(g, linear) || !e->prunes)
        return POFAC_OK;
    const char *name = node_string(graph_node_of(g, linear->inputs[1]), "name");
    if (!e->prunes(e->prunes_user, name) || has_other_readers(g, others, name)) return POFAC_OK;
    bool is_new;
    const size_t next = s->index.size;
    const strmap_entry *entry = strmap_put(&s->index, name, strlen(name), next, &is_new);
    if (!entry) return diag_out_of_memory(s->in->sink);
    *out = &s->weights[entry->value];
    if (!is_new) return POFAC_OK;
    ir_graph *to = s->rw.to;
    const ir_type *t = graph_type(g, linear->inputs[1]);
    const char *mask = arena_printf(&s->memory, "%s" IR_MASK, name);
    if (!mask) return diag_out_of_memory(s->in->sink);
    (*out)->pattern = build_leaf(to, OP_pattern, mask, type_pattern(to->module->context, t->dims[0], t->dims[1]));
    return take_values(s, name, t, rewrite_value(&s->rw, linear->inputs[1]), *out);
}

static pofac_status place_node(prune_state *s, const ir_node *n, const bool *others) {
    masked *w;
    rewrite_visit(&s->rw, n);
    TRY(find_weight(s, n, others, &w));
    if (!w) {
        rewrite_copy_unmarked(&s->rw, n, NULL, NULL);
        return POFAC_OK;
    }
    const ir_value inputs[] = {rewrite_value(&s->rw, n->inputs[0]), w->values, rewrite_value(&s->rw, node_input(n, 2)), w->pattern};
    rewrite_map(&s->rw, n->first_result, node_add(s->rw.to, OP_linear, inputs, 4, NULL, 0, NULL));
    return POFAC_OK;
}

static pofac_status prune_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    prune_state s = {.in = in, .memory = ARENA_INIT, .index = STRMAP_INIT};
    bool *others = ARENA_ARRAY(&s.memory, bool, from->values.size + 1);
    s.weights = ARENA_ARRAY(&s.memory, masked, from->nodes.size + 1);
    pofac_status status = pass_int_option(in, "gradient", &s.gradient);
    if (status == POFAC_OK) status = others && s.weights ? rewrite_begin(&s.rw, from, to) : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) {
        find_other_readers(from, others);
        for (size_t i = 0; i < from->nodes.size && status == POFAC_OK; i++) status = place_node(&s, &from->nodes.data[i], others);
        if (status == POFAC_OK) status = rewrite_finish(&s.rw);
    }
    strmap_free(&s.index);
    arena_free(&s.memory);
    return status;
}

pofac_status pass_prune(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, prune_graph, &copy, in->sink, out);
}
