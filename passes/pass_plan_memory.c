/*
 * Memory plan: gives every value that a kernel writes a slot; values whose lives do not overlap share one. All slots together are the session's arena.
 *
 * Sizes are symbolic, so the plan is made once, at the symbols' upper bounds, and holds for every batch: a slot is as large as its largest value under the binding
 * of a run. Liveness is counted in steps: a group is one step, at the place of its last node (it is convex and its inner values have no reader outside). A value lives from its step to
 * the last step that reads it; outputs live to the end. A step's results are placed before its inputs are released, since kernels must not write where they read. A reshape in rows is the
 * same memory as its input: both get one slot.
 *
 * Values that nobody reads, that stay inside a group, or that are leaves have no slot (-1). Best fit: the smallest free slot that is large enough, else the largest free one, which grows.
 *
 * An output named like a state leaf is written into the leaf's own memory: all other readers of the leaf must come no later than the step that writes; otherwise the old content would be lost, and
 * that is an error.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"

typedef struct life {
    uint32_t born, dies; /* steps */
    ir_value root;       /* the value whose memory it is: itself, or the input of a reshape */
    bool placed;         /* needs a slot */
    int64_t slot, bytes;
} life;

typedef struct memory_plan {
    const pass_input *in;
    const ir_graph *g;
    arena memory;
    uint32_t *step; /* of each node: the number of its group's last node */
    life *lives;    /* of each value */
    int64_t *slot_bytes;
    bool *slot_used;
    int64_t n_slots;
} memory_plan;

/* ---- steps and lives ---- */

static pofac_status number_steps(memory_plan *p) {
    const ir_graph *g = p->g;
    strmap last = STRMAP_INIT; /* group number -> its last node */
    pofac_status status = POFAC_OK;
    for (size_t i = g->nodes.size; i-- > 0 && status == POFAC_OK;) {
        int64_t group = node_int(&g->nodes.data[i], "group");
        p->step[i] = (uint32_t)i;
        if (group < 0) continue;
        const strmap_entry *e = strmap_put(&last, (const char *)&group, sizeof group, i, NULL);
        if (!e) status = diag_out_of_memory(p->in->sink);
        else p->step[i] = (uint32_t)e->value;
    }
    strmap_free(&last);
    return status;
}

static bool is_leaf(const memory_plan *p, ir_value v) { return op_has(graph_node_of(p->g, v)->op, TRAIT_LEAF); }

static bool is_alias(const memory_plan *p, const ir_node *n) {
    if (n->op != OP_reshape || is_leaf(p, n->inputs[0])) return false;
    return graph_type(p->g, n->inputs[0])->layout == LAYOUT_ROWS && graph_type(p->g, n->first_result)->layout == LAYOUT_ROWS;
}

static void read_at(memory_plan *p, ir_value v, uint32_t step) {
    life *l = &p->lives[p->lives[v].root];
    if (l->dies < step) l->dies = step;
}

static void find_lives(memory_plan *p) {
    const ir_graph *g = p->g;
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        for (uint32_t r = 0; r < n->n_results; r++) {
            life *l = &p->lives[node_result(n, r)];
            *l = (life){.born = p->step[i], .dies = p->step[i], .root = node_result(n, r), .slot = -1};
            if (is_alias(p, n)) l->root = p->lives[n->inputs[0]].root;
        }
        for (uint32_t k = 0; k < n->n_inputs; k++) {
            ir_value v = n->inputs[k];
            if (!v) continue;
            read_at(p, v, p->step[i]);
            const ir_node *maker = graph_node_of(g, v);
            bool inside = p->step[g->values.data[v].node] == p->step[i] && maker != n;
            if (!inside && !op_has(maker->op, TRAIT_LEAF)) p->lives[p->lives[v].root].placed = p->lives[v].placed = true;
        }
    }
    for (size_t i = 0; i < g->outputs.size; i++) {
        ir_value v = g->outputs.data[i].value;
        read_at(p, v, (uint32_t)g->nodes.size);
        if (!is_leaf(p, v)) p->lives[p->lives[v].root].placed = p->lives[v].placed = true;
    }
}

/* Bytes at the symbols' upper bounds; what cannot be counted is the largest. */
static int64_t bytes_at_bounds(const memory_plan *p, const int64_t *bounds, const ir_type *t) {
    int64_t bytes = type_bytes(t, (ir_binding){bounds, context_n_symbols(p->g->module->context) + 1});
    return bytes < 0 ? INT64_MAX : bytes;
}

/* ---- slots ---- */

static int64_t choose_slot(memory_plan *p, int64_t bytes) {
    int64_t best = -1;
    for (int64_t s = 0; s < p->n_slots; s++) {
        if (p->slot_used[s]) continue;
        bool fits = p->slot_bytes[s] >= bytes, best_fits = best >= 0 && p->slot_bytes[best] >= bytes;
        if (best < 0 || (fits && !best_fits) || (fits == best_fits && (p->slot_bytes[s] < p->slot_bytes[best]) == fits)) best = s;
    }
    if (best < 0) best = p->n_slots++;
    if (p->slot_bytes[best] < bytes) p->slot_bytes[best] = bytes;
    p->slot_used[best] = true;
    return best;
}

/* Per step: the values born and the values that die there, as linked lists threaded through arrays indexed by value. */
static pofac_status place(memory_plan *p, const int64_t *bounds) {
    const ir_graph *g = p->g;
    size_t n_values = g->values.size, n_steps = g->nodes.size + 1;
    ir_value *first_born = ARENA_ARRAY(&p->memory, ir_value, n_steps), *first_dying = ARENA_ARRAY(&p->memory, ir_value, n_steps);
    ir_value *next_born = ARENA_ARRAY(&p->memory, ir_value, n_values), *next_dying = ARENA_ARRAY(&p->memory, ir_value, n_values);
    p->slot_bytes = ARENA_ARRAY(&p->memory, int64_t, n_values);
    p->slot_used = ARENA_ARRAY(&p->memory, bool, n_values);
    if (!first_born || !first_dying || !next_born || !next_dying || !p->slot_bytes || !p->slot_used)
        return diag_out_of_memory(p->in->sink);
    for (size_t v = n_values; v-- > 1;) {
        life *l = &p->lives[v];
        if (!l->placed || l->root != v) continue;
        l->bytes = bytes_at_bounds(p, bounds, graph_type(g, (ir_value)v));
        next_born[v] = first_born[l->born], first_born[l->born] = (ir_value)v;
        next_dying[v] = first_dying[l->dies], first_dying[l->dies] = (ir_value)v;
    }
    for (size_t step = 0; step < n_steps; step++) {
        for (ir_value v = first_born[step]; v; v = next_born[v]) p->lives[v].slot = choose_slot(p, p->lives[v].bytes);
        for (ir_value v = first_dying[step]; v; v = next_dying[v]) p->slot_used[p->lives[v].slot] = false;
    }
    return POFAC_OK;
}

/* ---- state ---- */

static pofac_status check_state(const memory_plan *p) {
    const ir_graph *g = p->g;
    for (size_t o = 0; o < g->outputs.size; o++) {
        uint32_t writer = p->lives[g->outputs.data[o].value].born;
        for (size_t i = 0; i < g->nodes.size; i++) {
            const ir_node *leaf = &g->nodes.data[i];
            if (leaf->op != OP_state || strcmp(node_string(leaf, "name"), g->outputs.data[o].name) != 0) continue;
            if (p->lives[leaf->first_result].dies > writer && g->outputs.data[o].value != leaf->first_result)
                return diag_error(p->in->sink, POFAC_ERR_INPUT, NULL,
                                  "plan-memory: state \"%s\" is read after its next content is computed, wanted all reads before",
                                  g->outputs.data[o].name);
        }
    }
    return POFAC_OK;
}

/* ---- the pass ---- */

static pofac_status make_plan(memory_plan *p) {
    const ir_graph *g = p->g;
    size_t n_symbols = context_n_symbols(g->module->context) + 1;
    int64_t *bounds = ARENA_ARRAY(&p->memory, int64_t, n_symbols);
    p->step = ARENA_ARRAY(&p->memory, uint32_t, g->nodes.size + 1);
    p->lives = ARENA_ARRAY(&p->memory, life, g->values.size + 1);
    if (!bounds || !p->step || !p->lives) return diag_out_of_memory(p->in->sink);
    for (size_t s = 0; s < n_symbols; s++) bounds[s] = -1;
    for (size_t b = 0; b < g->n_bounds; b++) bounds[g->bounds[b].symbol] = g->bounds[b].upper;
    TRY(number_steps(p));
    find_lives(p);
    TRY(check_state(p));
    return place(p, bounds);
}

static void copy_with_slots(memory_plan *p, rewriter *rw, const ir_node *n) {
    enum { MAX_RESULTS = 16 };
    int64_t slots[MAX_RESULTS];
    bool any = false;
    uint32_t count = n->n_results < MAX_RESULTS ? n->n_results : MAX_RESULTS;
    for (uint32_t r = 0; r < count; r++) {
        const life *l = &p->lives[node_result(n, r)];
        slots[r] = l->placed ? p->lives[l->root].slot : -1;
        any |= slots[r] >= 0;
    }
    ir_attr slot = attr_ints("slot", slots, count);
    rewrite_copy_with(rw, n, any ? &slot : NULL, "slot");
}

static pofac_status plan_memory_graph(void *user, const ir_graph *from, ir_module *to) {
    memory_plan p = {.in = user, .g = from, .memory = ARENA_INIT};
    pofac_status status = make_plan(&p);
    rewriter rw;
    if (status == POFAC_OK) status = rewrite_begin(&rw, from, to);
    if (status == POFAC_OK) {
        for (size_t i = 0; i < from->nodes.size; i++) copy_with_slots(&p, &rw, &from->nodes.data[i]);
        status = rewrite_finish(&rw);
    }
    arena_free(&p.memory);
    return status;
}

pofac_status pass_plan_memory(const pass_input *in, ir_module **out) {
    return rewrite_module(in->module, plan_memory_graph, (void *)in, in->sink, out);
}
