/*
 * Recompute: of a training step's graph, values of the forward pass that the backward pass reads are computed again, from others that
 * wait for it or are leaves, instead of being kept (checkpointing: Griewank and Walther 2008, chapter 12; Chen et al. 2016).
 *
 *   cheap    whatever takes one pass over memory: elementwise ops, dropout, layer norm, embeddings, casts, relayouts. Of an encoder's
 *            layer stay q, k, v, the context, the sums before both layer norms, and what goes into the activation
 *   partial  products with weights too, those first that cost least for the bytes they save, until the values of a layer that wait
 *            take at most max_bytes_per_row for each row. Attention is not among them
 *   full     everything within a layer; what stays is what the next layer begins with
 *
 * A value goes only if its makers can be run from values that stay, or go likewise; no value is kept for the sake of another, so what
 * waits becomes less and never more. What stays in memory anyway, because no product stands between its uses in both passes, stays. A
 * layer's end (a value that another layer reads, or those from which cheap work makes it) stays in partial and full, and products
 * outside of layers are never run again: so no chain of products goes through several layers. Layers are known by their scopes
 * (forward_values.h).
 *
 * Copies of nodes stand right before the first node that needs them, and serve all that come after it; they keep scope and location of
 * the original. Random numbers depend on nothing but their inputs, so dropout drops the same again. cse would undo it all: this pass
 * runs behind the last one.
 */
#include <stdlib.h>

#include "ir/rewrite.h"
#include "passes/forward_values.h"
#include "passes/pass.h"

typedef enum recompute_mode { MODE_NONE, MODE_CHEAP, MODE_PARTIAL, MODE_FULL } recompute_mode;

typedef struct recomputation {
    const ir_graph *g;
    const pass_input *in;
    arena memory;
    forward_values forward;
    int64_t mode, max_bytes_per_row;
    bool *may_repeat; /* [nodes] */
    bool *can_have;   /* [values] of the forward pass: the backward pass can have it without keeping anything more */
    bool *is_end;     /* [values] of a layer: never goes */
    bool *is_barred;  /* [values] a layer's end that nothing which stays gives: nobody may have it */
    bool *goes;       /* [values] waits now, and is computed again instead */
    uint32_t *due;    /* [nodes] of the copy: the backward node before which it stands; NO_NODE: there is none */
    ir_value *copy;   /* [values] of the new graph */
} recomputation;

/* ---- which values go ---- */

/* Is it there for the backward pass whatever is decided? Leaves, and values too small to count. */
static bool is_free(const recomputation *r, ir_value v) {
    return v == IR_NO_VALUE || op_has(graph_node_of(r->g, v)->op, TRAIT_LEAF) || !value_is_large(r->g, v);
}

static bool can_repeat(const recomputation *r, const ir_node *n) {
    if (!r->may_repeat[n - r->g->nodes.data]) return false;
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (!is_free(r, n->inputs[i]) && !r->can_have[n->inputs[i]]) return false;
    return true;
}

/* From first to last: what can be had, and what of it goes. */
static void decide(recomputation *r) {
    for (size_t i = 0; i < r->g->nodes.size; i++) {
        const ir_node *n = &r->g->nodes.data[i];
        if (!r->forward.is_forward[i] || op_has(n->op, TRAIT_LEAF)) continue;
        const bool repeats = can_repeat(r, n);
        for (uint32_t k = 0; k < n->n_results; k++) {
            const ir_value v = node_result(n, k);
            const bool waits = forward_value_waits(&r->forward, v);
            r->can_have[v] = waits || (repeats && !r->is_barred[v]);
            r->goes[v] = waits && repeats && !r->is_end[v] && !is_free(r, v) && forward_value_waits_long(&r->forward, v);
        }
    }
}

static void allow_cheap(recomputation *r) {
    for (size_t i = 0; i < r->g->nodes.size; i++)
        r->may_repeat[i] = r->forward.is_forward[i] && !op_has(r->g->nodes.data[i].op, TRAIT_PRODUCT);
}

/* ---- ends of layers ---- */

/* Is the forward pass's value read in another layer than its own, or behind all layers? */
static void find_ends(recomputation *r, bool *is_source) {
    for (size_t i = 0; i < r->g->nodes.size; i++) {
        const ir_node *n = &r->g->nodes.data[i];
        for (uint32_t k = 0; k < n->n_inputs && r->forward.is_forward[i]; k++) {
            if (is_free(r, n->inputs[k])) continue;
            const char *made_in = r->forward.layer[r->g->values.data[n->inputs[k]].node];
            if (made_in && made_in != r->forward.layer[i]) is_source[n->inputs[k]] = true;
        }
    }
}

/* From last to first, after `decide` for cheap work: what stays so that cheap work makes what layers end with. */
static pofac_status mark_ends(recomputation *r) {
    bool *is_source = ARENA_ARRAY(&r->memory, bool, r->g->values.size + 1);
    if (!is_source) return diag_out_of_memory(r->in->sink);
    find_ends(r, is_source);
    for (size_t i = r->g->nodes.size; i-- > 0;) {
        const ir_node *n = &r->g->nodes.data[i];
        const bool repeats = can_repeat(r, n);
        for (uint32_t k = 0; k < n->n_results; k++) {
            const ir_value v = node_result(n, k);
            if (!is_source[v]) continue;
            for (uint32_t j = 0; j < n->n_inputs && repeats; j++) is_source[n->inputs[j]] |= !is_free(r, n->inputs[j]);
            r->is_end[v] = !repeats && forward_value_waits(&r->forward, v);
            r->is_barred[v] = !repeats && !r->is_end[v];
        }
    }
    return POFAC_OK;
}

/* ---- products ---- */

/* A product that may be run again. */
typedef struct candidate {
    uint32_t node;
    int64_t terms, bytes; /* of an element of its result; that are saved per row */
} candidate;

static int compare_candidates(const void *left, const void *right) {
    const candidate *a = left, *b = right;
    if (a->terms != b->terms) return a->terms < b->terms ? -1 : 1;
    if (a->bytes != b->bytes) return a->bytes > b->bytes ? -1 : 1;
    return a->node < b->node ? -1 : 1;
}

/* Bytes per row that wait in the layer. */
static int64_t waiting_in(const recomputation *r, const char *layer) {
    int64_t total = 0;
    for (ir_value v = 1; v < r->g->values.size; v++)
        if (r->forward.layer[r->g->values.data[v].node] == layer && forward_value_waits(&r->forward, v) && !r->goes[v])
            total += value_row_bytes(r->g, v);
    return total;
}

/* What would go if the product were run again; it is tried out. */
static int64_t bytes_saved(recomputation *r, size_t product) {
    const char *layer = r->forward.layer[product];
    const int64_t before = waiting_in(r, layer);
    r->may_repeat[product] = true;
    decide(r);
    const int64_t after = waiting_in(r, layer);
    r->may_repeat[product] = false;
    decide(r);
    return before - after;
}

/* Products with weights, within layers, by which something would go. */
static size_t find_candidates(recomputation *r, candidate *out) {
    size_t count = 0;
    for (size_t i = 0; i < r->g->nodes.size; i++) {
        const ir_node *n = &r->g->nodes.data[i];
        if (!r->forward.is_forward[i] || !r->forward.layer[i] || !op_has(n->op, TRAIT_PRODUCT) || !op_has(n->op, TRAIT_WEIGHTED))
            continue;
        const ir_type *x = graph_type(r->g, n->inputs[0]);
        candidate c = {(uint32_t)i, 0, bytes_saved(r, i)};
        if (c.bytes > 0 && dim_is_const(x->dims[x->rank - 1], &c.terms)) out[count++] = c;
    }
    return count;
}

static pofac_status choose_products(recomputation *r) {
    candidate *candidates = ARENA_ARRAY(&r->memory, candidate, r->g->nodes.size + 1);
    if (!candidates) return diag_out_of_memory(r->in->sink);
    const size_t n = find_candidates(r, candidates);
    if (n > 0) qsort(candidates, n, sizeof *candidates, compare_candidates);
    for (size_t i = 0; i < n; i++) {
        if (waiting_in(r, r->forward.layer[candidates[i].node]) <= r->max_bytes_per_row) continue;
        r->may_repeat[candidates[i].node] = true;
        decide(r);
    }
    return POFAC_OK;
}

static void allow_layers(recomputation *r) {
    for (size_t i = 0; i < r->g->nodes.size; i++)
        if (r->forward.is_forward[i] && r->forward.layer[i]) r->may_repeat[i] = true;
}

/* ---- copies ---- */

/* Does a copy that reads `v` read a copy? */
static bool reads_copy(const recomputation *r, ir_value v) {
    return !is_free(r, v) && (r->goes[v] || !forward_value_waits(&r->forward, v));
}

static void need_copy(recomputation *r, ir_value v, uint32_t due) {
    uint32_t *node = &r->due[r->g->values.data[v].node];
    if (*node > due) *node = due;
}

static void find_copies(recomputation *r) {
    for (uint32_t i = 0; i < r->g->nodes.size; i++) {
        const ir_node *n = &r->g->nodes.data[i];
        r->due[i] = NO_NODE;
        for (uint32_t k = 0; k < n->n_inputs && !r->forward.is_forward[i]; k++)
            if (n->inputs[k] != IR_NO_VALUE && r->goes[n->inputs[k]]) need_copy(r, n->inputs[k], i);
    }
    for (size_t i = r->g->nodes.size; i-- > 0;) {
        const ir_node *n = &r->g->nodes.data[i];
        for (uint32_t k = 0; k < n->n_inputs && r->due[i] != NO_NODE; k++)
            if (reads_copy(r, n->inputs[k])) need_copy(r, n->inputs[k], r->due[i]);
    }
}

static void add_copy(recomputation *r, rewriter *rw, const ir_node *n) {
    ir_value inputs[UINT8_MAX], originals[UINT8_MAX];
    for (uint32_t k = 0; k < n->n_inputs; k++)
        inputs[k] = reads_copy(r, n->inputs[k]) ? r->copy[n->inputs[k]] : rewrite_value(rw, n->inputs[k]);
    for (uint32_t k = 0; k < n->n_results; k++) originals[k] = rewrite_value(rw, node_result(n, k));
    rewrite_copy_unmarked(rw, n, inputs, NULL);
    for (uint32_t k = 0; k < n->n_results; k++) {
        r->copy[node_result(n, k)] = rewrite_value(rw, node_result(n, k));
        rewrite_map(rw, node_result(n, k), originals[k]);
    }
}

static void copy_node(const recomputation *r, rewriter *rw, const ir_node *n, bool forward) {
    ir_value inputs[UINT8_MAX];
    for (uint32_t k = 0; k < n->n_inputs; k++) {
        const bool goes = !forward && n->inputs[k] != IR_NO_VALUE && r->goes[n->inputs[k]];
        inputs[k] = goes ? r->copy[n->inputs[k]] : rewrite_value(rw, n->inputs[k]);
    }
    rewrite_copy_unmarked(rw, n, inputs, NULL);
}

/* Nodes of copies by the node before which they stand: lists in the order of the graph. */
static pofac_status write_graph(recomputation *r, rewriter *rw) {
    const size_t n_nodes = r->g->nodes.size;
    uint32_t *first = ARENA_ARRAY(&r->memory, uint32_t, n_nodes + 1), *next = ARENA_ARRAY(&r->memory, uint32_t, n_nodes + 1);
    if (!first || !next) return rw->to->module->status = diag_out_of_memory(r->in->sink);
    for (size_t i = n_nodes; i-- > 0;) first[i] = NO_NODE;
    for (size_t i = n_nodes; i-- > 0;) {
        if (r->due[i] == NO_NODE) continue;
        next[i] = first[r->due[i]];
        first[r->due[i]] = (uint32_t)i;
    }
    for (size_t i = 0; i < n_nodes; i++) {
        for (uint32_t k = first[i]; k != NO_NODE; k = next[k]) add_copy(r, rw, &r->g->nodes.data[k]);
        copy_node(r, rw, &r->g->nodes.data[i], r->forward.is_forward[i]);
    }
    return rw->to->module->status;
}

/* ---- the pass ---- */

static pofac_status make_room(recomputation *r) {
    const size_t n_nodes = r->g->nodes.size + 1, n_values = r->g->values.size + 1;
    r->may_repeat = ARENA_ARRAY(&r->memory, bool, n_nodes);
    r->can_have = ARENA_ARRAY(&r->memory, bool, n_values);
    r->is_end = ARENA_ARRAY(&r->memory, bool, n_values);
    r->is_barred = ARENA_ARRAY(&r->memory, bool, n_values);
    r->goes = ARENA_ARRAY(&r->memory, bool, n_values);
    r->due = ARENA_ARRAY(&r->memory, uint32_t, n_nodes);
    r->copy = ARENA_ARRAY(&r->memory, ir_value, n_values);
    if (!r->may_repeat || !r->can_have || !r->is_end || !r->is_barred || !r->goes || !r->due || !r->copy)
        return diag_out_of_memory(r->in->sink);
    return forward_values_find(r->g, &r->memory, r->in->sink, &r->forward);
}

static pofac_status plan_copies(recomputation *r) {
    TRY(make_room(r));
    if (r->mode != MODE_NONE) {
        allow_cheap(r);
        decide(r);
    }
    if (r->mode == MODE_PARTIAL || r->mode == MODE_FULL) {
        TRY(mark_ends(r));
        decide(r);
        if (r->mode == MODE_PARTIAL) TRY(choose_products(r));
        else allow_layers(r);
        decide(r);
    }
    find_copies(r);
    return POFAC_OK;
}

static pofac_status recompute_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    recomputation r = {.g = from, .in = in};
    rewriter rw;
    pofac_status status = pass_int_option(in, "mode", &r.mode);
    if (status == POFAC_OK) status = pass_int_option(in, "max_bytes_per_row", &r.max_bytes_per_row);
    if (status == POFAC_OK) status = plan_copies(&r);
    if (status == POFAC_OK) status = rewrite_begin(&rw, from, to);
    if (status == POFAC_OK) {
        status = write_graph(&r, &rw);
        const pofac_status finished = rewrite_finish(&rw);
        if (status == POFAC_OK) status = finished;
    }
    arena_free(&r.memory);
    return status;
}

pofac_status pass_recompute(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, recompute_graph, &copy, in->sink, out);
}
