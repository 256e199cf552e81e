/*
 * Memory plan: gives every value that a kernel writes a slot; values whose lives do not overlap share one. All slots together are
 * the session's arena.
 *
 * Sizes are symbolic, so the plan is made once and holds for every batch: a slot is as large as its largest value under the binding of
 * a run. Sizes are compared for a usual batch, in which the largest dimension that has symbols is the option `rows`, and not its bound.
 * Liveness is counted in steps: a group is one step, at the place of its last node. A value lives from its step to the last step that
 * reads it; outputs live to the end. A step's results are placed before its inputs are released, since kernels do not write where they
 * read. A reshape in rows is the same memory as its input, and what an op adds to (trait ACCUMULATES) is that of its result where
 * nobody else reads it: both get one slot.
 * Values that nobody reads, that stay inside a group, or that are leaves have none (-1). Slots are given by falling size (greedy by
 * size: Pisarchyk and Lee 2020): a value takes the smallest slot whose values all live at other times, of equal ones the one that was
 * read last, and a new one where there is none. So what is small and lives long, as a gradient does, stands where nothing large
 * needs to. Values in tiles share slots with values of their own type alone, so that a row of both lies at the same place: then steps can
 * run block of rows by block of rows (plan_step.series); but those so far apart that no series has both may share.
 *
 * What cannot be run without a copy is an error: a value that is read before its group has run, and state that is overwritten too
 * early. An output named like a state leaf is written into the leaf's own memory, so it has no slot, it is the leaf itself or a computed
 * value of no other state, and nothing reads the leaf after the step that computes it.
 */
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"

typedef struct life {
    uint32_t born, dies; /* steps */
    ir_value root;       /* the value whose memory it is: itself, or that of the input that alias_of finds */
    bool placed;         /* needs a slot */
    bool is_state;       /* the next content of a state, whose memory it has */
    int64_t slot, bytes; /* of roots that are placed */
    ir_value before;     /* in the slot, in the order of placing */
} life;

/* Further apart than the steps of a series (MAX_SERIES in codegen/step_series.c). */
#define FAR_APART 33

typedef struct memory_slot {
    int64_t bytes;
    ir_value last; /* that was placed in it; the others follow by life.before */
    uint32_t born; /* step of its first value */
} memory_slot;

typedef struct memory_plan {
    const ir_graph *g;
    const diag_sink *sink;
    arena memory;
    uint32_t *step;       /* of each node: the index of its group's last node */
    life *lives;          /* of each value */
    const uint32_t *uses; /* of each value */
    uint32_t *ordinal;    /* of each step, and of the end: how many steps are before it */
    int64_t rows;         /* the option */
    int64_t most_rows;    /* the largest bound of a dimension that batches give */
    memory_slot *slots;
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

/* The input whose memory the result is: that of a reshape, or what the op adds to where nobody else uses it. IR_NO_VALUE: none. */
static ir_value alias_of(const memory_plan *p, const ir_node *n) {
    const bool accumulates = op_has(n->op, TRAIT_ACCUMULATES) && n->n_inputs == op_info(n->op)->max_inputs;
    if (n->op != OP_reshape && !accumulates) return IR_NO_VALUE;
    const ir_value v = n->inputs[n->n_inputs - 1];
    if (v == IR_NO_VALUE || is_leaf(p, v) || p->lives[v].is_state || p->lives[n->first_result].is_state) return IR_NO_VALUE;
    if (accumulates && (p->uses[v] > 1 || p->lives[v].root != v)) return IR_NO_VALUE;
    const bool in_rows = graph_type(p->g, v)->layout == LAYOUT_ROWS && graph_type(p->g, n->first_result)->layout == LAYOUT_ROWS;
    return in_rows ? v : IR_NO_VALUE;
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
        const ir_value alias = alias_of(p, n);
        if (alias != IR_NO_VALUE) p->lives[v].root = p->lives[alias].root;
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

/* The symbols' bounds; of nnz(%v), that no entry of the pattern is zero. A graph that could not be built leaves symbols of no value. */
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
            if (!t || t->kind != TYPE_PATTERN || !dim_is_const(t->dims[0], &rows) || !dim_is_const(t->dims[1], &columns)) continue;
            if (__builtin_mul_overflow(rows, columns, &bounds[s])) bounds[s] = -1;
        }
    }
    return bounds;
}

static int log2_of(int64_t n) { return n > 0 ? 63 - __builtin_clzll((unsigned long long)n) : 0; }

/* Dimension d at the bounds, where a batch gives it; 0: it is a number, or that of non-zeros. -1: it cannot be counted. */
static int64_t bound_of(const memory_plan *p, const ir_type *t, uint32_t d, ir_binding bounds) {
    const ir_symbol symbol = t->dims[d].symbol[0];
    if (symbol == 0 || symbol_kind(p->g->module->context, symbol) == SYMBOL_NNZ) return 0;
    return dim_eval(t->dims[d], bounds);
}

/* What a usual batch has where `bound` is possible: powers of two such that the largest bound becomes `rows`, sequences and their length
 * in proportion of the exponents. */
static int64_t usual_rows(const memory_plan *p, int64_t bound) {
    if (p->most_rows <= p->rows || bound < 0) return bound < 0 ? p->rows : bound;
    return INT64_C(1) << log2_of(bound) * log2_of(p->rows) / log2_of(p->most_rows);
}

/* The size that is compared. */
static int64_t usual_bytes(const memory_plan *p, const ir_type *type, ir_binding bounds) {
    ir_type usual = *type;
    for (uint32_t d = 0; d < type->rank; d++) {
        const int64_t bound = bound_of(p, type, d, bounds);
        if (bound != 0) usual.dims[d] = dim_const(usual_rows(p, bound));
    }
    const int64_t bytes = type_bytes(&usual, bounds);
    return bytes < 0 ? INT64_MAX : bytes; /* too large to count */
}

static void find_most_rows(memory_plan *p, ir_binding bounds) {
    for (ir_value v = 1; v < p->g->values.size; v++)
        for (uint32_t d = 0; d < graph_type(p->g, v)->rank; d++) {
            const int64_t bound = bound_of(p, graph_type(p->g, v), d, bounds);
            if (bound > p->most_rows) p->most_rows = bound;
        }
}

/* A value and what it is placed by. */
typedef struct placed_value {
    ir_value value;
    uint32_t born;
    int64_t bytes;
} placed_value;

static int compare_placed(const void *left, const void *right) {
    const placed_value *a = left, *b = right;
    if (a->bytes != b->bytes) return a->bytes > b->bytes ? -1 : 1;
    if (a->born != b->born) return a->born < b->born ? -1 : 1;
    return a->value < b->value ? -1 : 1;
}

static const ir_type *tiled_type(const memory_plan *p, ir_value v) {
    const ir_type *t = graph_type(p->g, v);
    return type_is_tiled(t) ? t : NULL;
}

/* Steps from the end of one life to the beginning of the other; 0: they overlap. A step's results and inputs do. */
static uint32_t distance(const memory_plan *p, const life *a, const life *b) {
    if (a->dies < b->born) return p->ordinal[b->born] - p->ordinal[a->dies];
    if (b->dies < a->born) return p->ordinal[a->born] - p->ordinal[b->dies];
    return 0;
}

/* Steps to the nearest value of the slot; 0: the slot cannot be had. */
static uint32_t distance_in_slot(const memory_plan *p, const memory_slot *slot, ir_value v) {
    uint32_t least = UINT32_MAX;
    for (ir_value other = slot->last; other; other = p->lives[other].before) {
        const uint32_t apart = distance(p, &p->lives[other], &p->lives[v]);
        if (apart == 0 || (apart < FAR_APART && tiled_type(p, other) != tiled_type(p, v))) return 0;
        if (apart < least) least = apart;
    }
    return least;
}

static void place_value(memory_plan *p, ir_value v) {
    life *l = &p->lives[v];
    int64_t best = -1;
    uint32_t best_distance = 0;
    for (int64_t s = p->n_slots; s-- > 0;) { /* the smallest first */
        if (best >= 0 && p->slots[s].bytes > p->slots[best].bytes) break;
        const uint32_t apart = distance_in_slot(p, &p->slots[s], v);
        if (apart == 0 || (best >= 0 && apart > best_distance)) continue;
        best = s;
        best_distance = apart;
    }
    if (best < 0) {
        best = p->n_slots++;
        p->slots[best] = (memory_slot){.bytes = l->bytes, .born = l->born};
    }
    memory_slot *slot = &p->slots[best];
    if (slot->born > l->born) slot->born = l->born;
    l->slot = best;
    l->before = slot->last;
    slot->last = v;
}

/* Slots are numbered in the order of their first values. */
static pofac_status number_slots(memory_plan *p) {
    placed_value *slots = ARENA_ARRAY(&p->memory, placed_value, (size_t)p->n_slots + 1);
    if (!slots) return diag_out_of_memory(p->sink);
    for (int64_t s = 0; s < p->n_slots; s++) slots[s] = (placed_value){(ir_value)s, p->slots[s].born, 0};
    if (p->n_slots > 0) qsort(slots, (size_t)p->n_slots, sizeof *slots, compare_placed);
    for (int64_t s = 0; s < p->n_slots; s++)
        for (ir_value v = p->slots[slots[s].value].last; v; v = p->lives[v].before) p->lives[v].slot = s;
    return POFAC_OK;
}

/* How many steps are before each; leaves are none, and a reshape may be none. */
static bool count_steps(memory_plan *p) {
    const size_t n = p->g->nodes.size;
    p->ordinal = ARENA_ARRAY(&p->memory, uint32_t, n + 2);
    for (size_t i = 0; p->ordinal && i < n; i++) {
        const ir_op op = p->g->nodes.data[i].op;
        p->ordinal[i + 1] = p->ordinal[i] + (p->step[i] == i && op != OP_reshape && !op_has(op, TRAIT_LEAF));
    }
    return p->ordinal != NULL;
}

static pofac_status place_values(memory_plan *p) {
    const size_t n_values = p->g->values.size;
    const int64_t *bounds = symbol_bounds(p);
    const ir_binding at_bounds = {bounds, context_n_symbols(p->g->module->context) + 1};
    placed_value *placed = ARENA_ARRAY(&p->memory, placed_value, n_values);
    size_t n = 0;
    p->slots = ARENA_ARRAY(&p->memory, memory_slot, n_values);
    if (!bounds || !placed || !p->slots || !count_steps(p)) return diag_out_of_memory(p->sink);
    find_most_rows(p, at_bounds);
    for (ir_value v = 1; v < n_values; v++) {
        life *l = &p->lives[v];
        if (!l->placed || l->root != v) continue;
        l->bytes = usual_bytes(p, graph_type(p->g, v), at_bounds);
        placed[n++] = (placed_value){v, l->born, l->bytes};
    }
    if (n > 0) qsort(placed, n, sizeof *placed, compare_placed);
    for (size_t i = 0; i < n; i++) place_value(p, placed[i].value);
    return number_slots(p);
}

/* ---- the pass ---- */

static pofac_status make_plan(memory_plan *p) {
    p->step = ARENA_ARRAY(&p->memory, uint32_t, p->g->nodes.size + 1);
    p->lives = ARENA_ARRAY(&p->memory, life, p->g->values.size);
    p->uses = graph_count_uses(p->g, &p->memory);
    if (!p->step || !p->lives || !p->uses) return diag_out_of_memory(p->sink);
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
    pofac_status status = pass_int_option(in, "rows", &p.rows);
    if (status == POFAC_OK) status = make_plan(&p);
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
