/*
 * Groups of a graph -> whether each is one kernel's work: at least two nodes, joined by values, and no path that leaves and comes
 * back.
 *
 * Members are sorted by group. Joined: union-find over the members, linked by values that pass from one to another or that both
 * take. No way back: the graph with each group as one unit is ordered by Kahn's algorithm (CACM 5, 1962); what cannot be ordered
 * lies on or behind a cycle, and since nodes are in topological order, a cycle goes through a group. Linear but for the sort.
 */
#include <stdlib.h>

#include "ir/op.h"
#include "ir/verify.h"

typedef struct member {
    int64_t group;
    uint32_t node;
} member;

/* Units are the groups 0 .. n_groups - 1 in order of their numbers, then the nodes outside of groups. */
typedef struct grouping {
    const ir_graph *g;
    const diag_sink *sink;
    arena memory;
    member *members; /* by group, then by node */
    size_t n_members;
    uint32_t
        *unit_start;   /* [n_units + 1]: where the unit's nodes begin in members; a node outside has one entry behind the groups' */
    uint32_t *unit_of; /* [nodes] */
    size_t n_groups, n_units;
} grouping;

static int compare_members(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* Sorts the nodes into units: groups first, then the others as units of one. False when memory is short. */
static bool find_units(grouping *s) {
    const size_t n = s->g->nodes.size;
    s->members = ARENA_ARRAY(&s->memory, member, n);
    s->unit_start = ARENA_ARRAY(&s->memory, uint32_t, n + 1);
    s->unit_of = ARENA_ARRAY(&s->memory, uint32_t, n);
    if (!s->members || !s->unit_start || !s->unit_of) return false;
    for (uint32_t i = 0; i < n; i++) {
        const ir_attr *group = node_find_attr(&s->g->nodes.data[i], "group");
        if (group) s->members[s->n_members++] = (member){group->as.i, i};
    }
    qsort(s->members, s->n_members, sizeof *s->members, compare_members);
    for (size_t i = 0; i < s->n_members; i++) {
        if (i == 0 || s->members[i].group != s->members[i - 1].group) s->unit_start[s->n_groups++] = (uint32_t)i;
        s->unit_of[s->members[i].node] = (uint32_t)s->n_groups - 1;
    }
    s->n_units = s->n_groups;
    size_t at = s->n_members;
    for (uint32_t i = 0; i < n; i++) {
        if (node_find_attr(&s->g->nodes.data[i], "group")) continue;
        s->unit_of[i] = (uint32_t)s->n_units;
        s->unit_start[s->n_units++] = (uint32_t)at;
        s->members[at++] = (member){-1, i};
    }
    s->unit_start[s->n_units] = (uint32_t)n;
    return true;
}

static const ir_node *member_node(const grouping *s, size_t at) { return &s->g->nodes.data[s->members[at].node]; }

/* ---- size and joints ---- */

static uint32_t find_root(uint32_t *parent, uint32_t i) {
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

/* Joins the members of one unit: with the makers of their inputs in it, and with the member that was the first to take the same
 * value. taken_in[v] is the unit + 1 that took v last, taken_by[v] its first member that did. */
static void join_members(const grouping *s, uint32_t unit, uint32_t *parent, uint32_t *taken_in, uint32_t *taken_by) {
    for (uint32_t at = s->unit_start[unit]; at < s->unit_start[unit + 1]; at++) {
        const ir_node *n = member_node(s, at);
        const uint32_t node = s->members[at].node;
        for (uint32_t i = 0; i < n->n_inputs; i++) {
            const ir_value v = n->inputs[i];
            if (v == IR_NO_VALUE) continue;
            const uint32_t maker = s->g->values.data[v].node;
            if (s->unit_of[maker] == unit) parent[find_root(parent, node)] = find_root(parent, maker);
            if (taken_in[v] == unit + 1) {
                parent[find_root(parent, node)] = find_root(parent, taken_by[v]);
            } else {
                taken_in[v] = unit + 1;
                taken_by[v] = node;
            }
        }
    }
}

static pofac_status check_joined(grouping *s) {
    const size_t n = s->g->nodes.size;
    uint32_t *parent = ARENA_ARRAY(&s->memory, uint32_t, n);
    uint32_t *taken_in = ARENA_ARRAY(&s->memory, uint32_t, s->g->values.size);
    uint32_t *taken_by = ARENA_ARRAY(&s->memory, uint32_t, s->g->values.size);
    if (!parent || !taken_in || !taken_by) return diag_out_of_memory(s->sink);
    for (uint32_t i = 0; i < n; i++) parent[i] = i;
    for (uint32_t unit = 0; unit < s->n_groups; unit++) {
        const uint32_t start = s->unit_start[unit], end = s->unit_start[unit + 1];
        const member first = s->members[start];
        const ir_node *first_node = member_node(s, start);
        if (end - start < 2) {
            return node_error(s->g, first_node, s->sink, "group %lld has one node, wanted at least two", (long long)first.group);
        }
        join_members(s, unit, parent, taken_in, taken_by);
        for (uint32_t at = start + 1; at < end; at++) {
            if (find_root(parent, s->members[at].node) == find_root(parent, first.node)) continue;
            return node_error(s->g, member_node(s, at), s->sink,
                              "group %lld is not connected, wanted values that join this node to %%%u = %s", (long long)first.group,
                              first.node + 1, op_info(first_node->op)->name);
        }
    }
    return POFAC_OK;
}

/* ---- no way back ---- */

/* Edges between units: those of unit u go to to[start[u] .. start[u + 1]); n_before[u] counts those that come in. */
typedef struct unit_edges {
    uint32_t *start, *to, *n_before;
} unit_edges;

/* The unit that makes input i of the node at `at`, or the node's own where there is nothing to wait for. */
static uint32_t source_unit(const grouping *s, size_t at, uint32_t i) {
    const ir_value v = member_node(s, at)->inputs[i];
    return s->unit_of[v == IR_NO_VALUE ? s->members[at].node : s->g->values.data[v].node];
}

static bool find_edges(grouping *s, unit_edges *e) {
    size_t n_edges = 0;
    e->start = ARENA_ARRAY(&s->memory, uint32_t, s->n_units + 2);
    e->n_before = ARENA_ARRAY(&s->memory, uint32_t, s->n_units);
    if (!e->start || !e->n_before) return false;
    for (size_t at = 0; at < s->g->nodes.size; at++) {
        const uint32_t to = s->unit_of[s->members[at].node];
        for (uint32_t i = 0; i < member_node(s, at)->n_inputs; i++) {
            const uint32_t from = source_unit(s, at, i);
            if (from == to) continue;
            e->start[from + 2]++;
            e->n_before[to]++;
            n_edges++;
        }
    }
    e->to = ARENA_ARRAY(&s->memory, uint32_t, n_edges);
    if (!e->to) return false;
    for (size_t u = 0; u < s->n_units; u++) e->start[u + 2] += e->start[u + 1]; /* start[u + 1] is where u's next edge goes */
    for (size_t at = 0; at < s->g->nodes.size; at++) {
        const uint32_t to = s->unit_of[s->members[at].node];
        for (uint32_t i = 0; i < member_node(s, at)->n_inputs; i++) {
            const uint32_t from = source_unit(s, at, i);
            if (from != to) e->to[e->start[from + 1]++] = to;
        }
    }
    return true;
}

/* Takes units without open inputs until none is left; what stays has n_before > 0. False when memory is short. */
static bool order_units(grouping *s, unit_edges *e, size_t *n_ordered) {
    uint32_t *queue = ARENA_ARRAY(&s->memory, uint32_t, s->n_units);
    if (!queue) return false;
    size_t n = 0;
    for (uint32_t u = 0; u < s->n_units; u++) {
        if (e->n_before[u] == 0) queue[n++] = u;
    }
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = e->start[queue[i]]; k < e->start[queue[i] + 1]; k++) {
            if (--e->n_before[e->to[k]] == 0) queue[n++] = e->to[k];
        }
    }
    *n_ordered = n;
    return true;
}

/* The first input of the unit that waits for another unit that was not ordered. */
static uint32_t waits_for(const grouping *s, const unit_edges *e, uint32_t unit, const ir_node **node, uint32_t *input) {
    for (uint32_t at = s->unit_start[unit]; at < s->unit_start[unit + 1]; at++) {
        for (uint32_t i = 0; i < member_node(s, at)->n_inputs; i++) {
            const uint32_t from = source_unit(s, at, i);
            if (from == unit || e->n_before[from] == 0) continue;
            *node = member_node(s, at);
            *input = i;
            return from;
        }
    }
    return unit;
}

/* Walks backwards among the units left over until one comes again, which is on a cycle; then on to a group of that cycle. */
static pofac_status report_cycle(grouping *s, const unit_edges *e) {
    bool *seen = ARENA_ARRAY(&s->memory, bool, s->n_units);
    if (!seen) return diag_out_of_memory(s->sink);
    const ir_node *n = member_node(s, 0); /* replaced, as a unit on a cycle waits for another */
    uint32_t unit = 0, input = 0;
    while (e->n_before[unit] == 0) unit++;
    while (!seen[unit]) {
        seen[unit] = true;
        unit = waits_for(s, e, unit, &n, &input);
    }
    while (unit >= s->n_groups) unit = waits_for(s, e, unit, &n, &input);
    waits_for(s, e, unit, &n, &input);
    return node_error(s->g, n, s->sink, "group %lld is not convex: input %u (%%%u = %s) depends on the group and is not in it",
                      (long long)s->members[s->unit_start[unit]].group, input, graph_value_number(s->g, n->inputs[input]),
                      op_info(graph_node_of(s->g, n->inputs[input])->op)->name);
}

static pofac_status check_no_way_back(grouping *s) {
    unit_edges e = {0};
    size_t n_ordered;
    if (!find_edges(s, &e) || !order_units(s, &e, &n_ordered)) return diag_out_of_memory(s->sink);
    return n_ordered == s->n_units ? POFAC_OK : report_cycle(s, &e);
}

pofac_status verify_groups(const ir_graph *g, const diag_sink *sink) {
    grouping s = {.g = g, .sink = sink, .memory = ARENA_INIT};
    pofac_status status = find_units(&s) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK && s.n_groups > 0) status = check_joined(&s);
    if (status == POFAC_OK && s.n_groups > 0) status = check_no_way_back(&s);
    arena_free(&s.memory);
    return status;
}
