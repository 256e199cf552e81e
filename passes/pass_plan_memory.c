/*
 * Memory plan: gives every value that a kernel writes a slot; values whose lives do not overlap share one. All slots together are
 * the session's arena.
 *
 * Sizes are symbolic, so the plan is made once, at the symbols' upper bounds, and holds for every batch: a slot is as large as its
 * largest value under the binding of a run. Liveness is counted in steps: a group is one step, at the place of its last node. A
 * value lives from its step to the last step that reads it; outputs live to the end. A step's results are placed before its inputs
 * are released, since kernels do not write where they read. A reshape in rows is the same memory as its input: both get one slot.
 * Values that nobody reads, that stay inside a group, or that are leaves have none (-1). Slots are chosen by best fit: the smallest
 * free one that is large enough, else the largest free one, which grows. Values in tiles share slots with values of their own type
 * alone, so that a row of both lies at the same place: then steps can run block of rows by block of rows (plan_step.series).
 *
 * What cannot be run without a copy is an error: a value that is read before its group has run, and state that is overwritten too
 * early. An output named like a state leaf is written into the leaf's own memory, so it has no slot, it is the leaf itself or a computed
 * value of no other state, and nothing reads the leaf after the step that computes it.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"

typedef struct life {
    uint32_t born, dies; /* steps */
    ir_value root;       /* the value whose memory it is: itself, or that of a reshape's input */
    bool placed;         /* needs a slot */
    bool is_state;       /* the next content of a state, whose memory it has */
    int64_t slot, bytes; /* of roots that are placed */
} life;

typedef struct memory_plan {
    const ir_graph *g;
    const diag_sink *sink;
    arena memory;
    uint32_t *step; /* of each node: the index of its group's last node */
    life *lives;    /* of each value */
    int64_t *slot_bytes;
    const ir_type **slot_type; /* of the values that share it, where they are in tiles; else NULL */
    bool *slot_used;
    int64_t n_slots;
} memory_plan;

/* ---- steps and lives ---- */

static pofac_status number_steps(memory_plan *p) {
    strmap last = STRMAP_INIT; /* group number -> its last node */
    pofac_status status = POFAC_OK;
    for (size_t i = p->g->nodes.size; i-- > 0 && status == POFAC_OK;) {
        const ir_attr *group = node_find_attr(&p->g->nodes.data[i], "group");
        p->step[i] = (uint32_t)i;
        if (!group) continue;
        const strmap_entry *e = strmap_put(&last, (const char *)&group->as.i, sizeof group->as.i, i, NULL);
        if (e) p->step[i] = (uint32_t)e->value;
        else status = diag_out_of_memory(p->sink);
    }
    strmap_free(&last);
    return status;
}

static bool is_leaf(const memory_plan *p, ir_value v) { return op_has(graph_node_of(p->g, v)->op, TRAIT_LEAF); }

static bool is_alias(const memory_plan *p, const ir_node *n) {
    if (n->op != OP_reshape || is_leaf(p, n->inputs[0])) return false;
    if (p->lives[n->inputs[0]].is_state || p->lives[n->first_result].is_state) return false;
    return graph_type(p->g, n->inputs[0])->layout == LAYOUT_ROWS && graph_type(p->g, n->first_result)->layout == LAYOUT_ROWS;
}

static life *root_of(const memory_plan *p, ir_value v) { return &p->lives[p->lives[v].root]; }

static void need_slot(memory_plan *p, ir_value v) {
    if (!is_leaf(p, v) && !p->lives[v].is_state) p->lives[v].placed = root_of(p, v)->placed = true;
}

static void read_at(memory_plan *p, ir_value v, uint32_t step) {
    life *l = root_of(p, v);
    if (l->dies < step) l->dies = step;
}

static void begin_lives(memory_plan *p, const ir_node *n, uint32_t step) {
    for (uint32_t r = 0; r < n->n_results; r++) {
        ir_value v = node_result(n, r);
        p->lives[v] = (life){.born = step, .dies = step, .root = v, .slot = -1, .is_state = p->lives[v].is_state};
        if (is_alias(p, n)) p->lives[v].root = p->lives[n->inputs[0]].root;
    }
}

static pofac_status read_inputs(memory_plan *p, const ir_node *n, uint32_t step) {
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        ir_value v = n->inputs[i];
        if (v == IR_NO_VALUE) continue;
        uint32_t made = p->step[p->g->values.data[v].node];
        if (made > step)
            return node_error(p->g, n, p->sink, "plan-memory: input %u is computed by a group that ends at %%%u, wanted it before",
                              i, made + 1);
        if (made < step) need_slot(p, v);
        read_at(p, v, step);
    }
    return POFAC_OK;
}

/* Marks computed outputs that are named like a state leaf. */
static pofac_status find_states(memory_plan *p) {
    const ir_graph *g = p->g;
    strmap names = STRMAP_INIT;
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < g->nodes.size && status == POFAC_OK; i++) {
        if (g->nodes.data[i].op != OP_state) continue;
        const char *name = node_string(&g->nodes.data[i], "name");
        if (!strmap_put(&names, name, strlen(name), 0, NULL)) status = diag_out_of_memory(p->sink);
    }
    for (size_t i = 0; i < g->outputs.size && status == POFAC_OK; i++) {
        const ir_output *o = &g->outputs.data[i];
        if (!is_leaf(p, o->value) && strmap_get(&names, o->name, strlen(o->name))) p->lives[o->value].is_state = true;
    }
    strmap_free(&names);
    return status;
}

static pofac_status find_lives(memory_plan *p) {
    const ir_graph *g = p->g;
    TRY(find_states(p));
    for (size_t i = 0; i < g->nodes.size; i++) {
        begin_lives(p, &g->nodes.data[i], p->step[i]);
        TRY(read_inputs(p, &g->nodes.data[i], p->step[i]));
    }
    for (size_t i = 0; i < g->outputs.size; i++) {
        need_slot(p, g->outputs.data[i].value);
        read_at(p, g->outputs.data[i].value, (uint32_t)g->nodes.size);
    }
    return POFAC_OK;
}

/* ---- state ---- */

/* The state `name` becomes `next`; `leaf` is a leaf of it. */
static pofac_status check_leaf(const memory_plan *p, const ir_node *leaf, const char *name, ir_value next) {
    if (next == leaf->first_result) return POFAC_OK;
    if (is_leaf(p, next)) {
        if (graph_node_of(p->g, next)->op == OP_state && strcmp(node_string(graph_node_of(p->g, next), "name"), name) == 0)
            return POFAC_OK;
        return node_error(p->g, leaf, p->sink, "plan-memory: the next content of \"%s\" is the leaf %%%u, wanted a computed value",
                          name, graph_value_number(p->g, next));
    }
    if (p->lives[leaf->first_result].dies > root_of(p, next)->born)
        return node_error(p->g, leaf, p->sink, "plan-memory: \"%s\" is read after %%%u, its next content, wanted all reads before",
                          name, graph_value_number(p->g, p->lives[next].root));
    return POFAC_OK;
}

/* No memory is the next content of two states. `states` has the names of the leaves. */
static pofac_status check_once(memory_plan *p, const strmap *states) {
    const ir_output **taken = ARENA_ARRAY(&p->memory, const ir_output *, p->g->values.size);
    if (!taken) return diag_out_of_memory(p->sink);
    for (size_t i = 0; i < p->g->outputs.size; i++) {
        const ir_output *o = &p->g->outputs.data[i];
        ir_value root = p->lives[o->value].root;
        if (is_leaf(p, root) || !strmap_get(states, o->name, strlen(o->name))) continue;
        if (taken[root])
            return node_error(p->g, graph_node_of(p->g, root), p->sink,
                              "plan-memory: the result is the next content of \"%s\" and of \"%s\", wanted one of them",
                              taken[root]->name, o->name);
        taken[root] = o;
    }
    return POFAC_OK;
}

static pofac_status check_leaves(memory_plan *p, strmap *outputs, strmap *states) {
    const ir_graph *g = p->g;
    for (size_t i = 0; i < g->outputs.size; i++) {
        const ir_output *o = &g->outputs.data[i];
        if (!strmap_put(outputs, o->name, strlen(o->name), o->value, NULL)) return diag_out_of_memory(p->sink);
    }
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *leaf = &g->nodes.data[i];
        if (leaf->op != OP_state) continue;
        const char *name = node_string(leaf, "name");
        const strmap_entry *next = strmap_get(outputs, name, strlen(name));
        if (!next) continue;
        if (!strmap_put(states, name, strlen(name), 0, NULL)) return diag_out_of_memory(p->sink);
        TRY(check_leaf(p, leaf, name, (ir_value)next->value));
    }
    return check_once(p, states);
}

static pofac_status check_state(memory_plan *p) {
    strmap outputs = STRMAP_INIT, states = STRMAP_INIT;
    pofac_status status = check_leaves(p, &outputs, &states);
    strmap_free(&outputs);
    strmap_free(&states);
    return status;
}

/* ---- slots ---- */

/* The numbers at which sizes are compared: the symbols' bounds; of nnz(%v), that no entry of the pattern is zero. */
static int64_t *symbol_bounds(memory_plan *p) {
    const ir_graph *g = p->g;
    const ir_context *c = g->module->context;
    size_t n = context_n_symbols(c) + 1;
    int64_t *bounds = ARENA_ARRAY(&p->memory, int64_t, n);
    for (ir_symbol s = 0; bounds && s < n; s++) {
        bounds[s] = -1;
        if (s == 0) continue;
        if (symbol_kind(c, s) == SYMBOL_NAMED) {
            int64_t bound = graph_symbol_bound(g, s);
            if (bound > 0) bounds[s] = bound;
        } else if (symbol_value(c, s) < g->values.size) {
            const ir_type *t = graph_type(g, symbol_value(c, s));
            int64_t rows, columns;
            if (t->kind != TYPE_PATTERN || !dim_is_const(t->dims[0], &rows) || !dim_is_const(t->dims[1], &columns)) continue;
            if (__builtin_mul_overflow(rows, columns, &bounds[s])) bounds[s] = -1;
        }
    }
    return bounds;
}

/* Is free slot a better for so many bytes than free slot b? */
static bool is_better(const memory_plan *p, int64_t a, int64_t b, int64_t bytes) {
    int64_t a_bytes = p->slot_bytes[a], b_bytes = p->slot_bytes[b];
    if ((a_bytes >= bytes) != (b_bytes >= bytes)) return a_bytes >= bytes;
    return a_bytes >= bytes ? a_bytes < b_bytes : a_bytes > b_bytes;
}

static int64_t choose_slot(memory_plan *p, const ir_type *type, int64_t bytes) {
    const ir_type *tiled = type->layout == LAYOUT_TILES ? type : NULL;
    int64_t best = -1;
    for (int64_t s = 0; s < p->n_slots; s++)
        if (!p->slot_used[s] && p->slot_type[s] == tiled && (best < 0 || is_better(p, s, best, bytes))) best = s;
    if (best < 0) best = p->n_slots++;
    p->slot_type[best] = tiled;
    if (p->slot_bytes[best] < bytes) p->slot_bytes[best] = bytes;
    p->slot_used[best] = true;
    return best;
}

/* Values by the step in which something happens to them: lists threaded through an array indexed by value. */
typedef struct step_lists {
    ir_value *first; /* of each step */
    ir_value *next;  /* of each value */
} step_lists;

static bool make_lists(memory_plan *p, step_lists *l) {
    l->first = ARENA_ARRAY(&p->memory, ir_value, p->g->nodes.size + 1);
    l->next = ARENA_ARRAY(&p->memory, ir_value, p->g->values.size);
    return l->first && l->next;
}

static void push_value(step_lists *l, uint32_t step, ir_value v) {
    l->next[v] = l->first[step];
    l->first[step] = v;
}

static pofac_status place_values(memory_plan *p) {
    size_t n_values = p->g->values.size, n_steps = p->g->nodes.size + 1;
    step_lists births, deaths;
    const int64_t *bounds = symbol_bounds(p);
    ir_binding at_bounds = {bounds, context_n_symbols(p->g->module->context) + 1};
    p->slot_bytes = ARENA_ARRAY(&p->memory, int64_t, n_values);
    p->slot_type = ARENA_ARRAY(&p->memory, const ir_type *, n_values);
    p->slot_used = ARENA_ARRAY(&p->memory, bool, n_values);
    if (!bounds || !p->slot_bytes || !p->slot_type || !p->slot_used || !make_lists(p, &births) || !make_lists(p, &deaths))
        return diag_out_of_memory(p->sink);
    for (ir_value v = (ir_value)n_values; v-- > 1;) { /* pushed backwards, read forwards */
        life *l = &p->lives[v];
        if (!l->placed || l->root != v) continue;
        l->bytes = type_bytes(graph_type(p->g, v), at_bounds);
        if (l->bytes < 0) l->bytes = INT64_MAX; /* too large to count */
        push_value(&births, l->born, v);
        push_value(&deaths, l->dies, v);
    }
    for (size_t step = 0; step < n_steps; step++) {
        for (ir_value v = births.first[step]; v; v = births.next[v])
            p->lives[v].slot = choose_slot(p, graph_type(p->g, v), p->lives[v].bytes);
        for (ir_value v = deaths.first[step]; v; v = deaths.next[v]) p->slot_used[p->lives[v].slot] = false;
    }
    return POFAC_OK;
}

/* ---- the pass ---- */

static pofac_status make_plan(memory_plan *p) {
    p->step = ARENA_ARRAY(&p->memory, uint32_t, p->g->nodes.size + 1);
    p->lives = ARENA_ARRAY(&p->memory, life, p->g->values.size);
    if (!p->step || !p->lives) return diag_out_of_memory(p->sink);
    TRY(number_steps(p));
    TRY(find_lives(p));
    TRY(check_state(p));
    return place_values(p);
}

static void copy_with_slots(const memory_plan *p, rewriter *rw, const ir_node *n) {
    int64_t slots[UINT8_MAX];
    bool any = false;
    for (uint32_t r = 0; r < n->n_results; r++) {
        ir_value v = node_result(n, r);
        slots[r] = p->lives[v].placed ? root_of(p, v)->slot : -1;
        any = any || slots[r] >= 0;
    }
    ir_attr slot = attr_ints("slot", slots, n->n_results);
    rewrite_copy_with(rw, n, any ? &slot : NULL, "slot");
}

static pofac_status plan_memory_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    memory_plan p = {.g = from, .sink = in->sink};
    rewriter rw;
    pofac_status status = make_plan(&p);
    if (status == POFAC_OK) status = rewrite_begin(&rw, from, to);
    if (status == POFAC_OK) {
        for (size_t i = 0; i < from->nodes.size; i++) copy_with_slots(&p, &rw, &from->nodes.data[i]);
        status = rewrite_finish(&rw);
    }
    arena_free(&p.memory);
    return status;
}

pofac_status pass_plan_memory(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, plan_memory_graph, &copy, in->sink, out);
}
