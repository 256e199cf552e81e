/*
 * Groups -> steps; see lower.h.
 *
 * A group (attribute `group`; nodes without one are groups of their own) runs where its last node stands. The first row of
 * kernels.def that takes the whole group computes it; else the longest part of it that a row takes, counted from its first node,
 * and then the rest in the same way; what no row takes alone runs through its evaluator.
 *
 * Memory: attribute `slot` (pass plan-memory). Values without a slot that are needed nevertheless (plan-memory was not run, or a
 * group was cut) get one of their own. What a run changes and a kernel wants packed (weights in panels, non-zeros in an order, sums of
 * squares) is packed by a step before each of its readers; codegen/step_packing.c says where such steps stand and what memory they
 * write. A reshape that shares its input's slot is no step.
 *
 * State: an output named like a state leaf is computed into the leaf's memory. A kernel that reads the leaf may write there only if
 * it says so (cg_kernel.in_place); of another one the result is put aside, and copied by the next step. Evaluators do likewise within
 * a session. A step that reads the leaf after that is an error.
 */
#include "codegen/lower.h"

#include <string.h>

#include "codegen_sources_hash.h" /* made when building */

#include "ir/op.h"
#include "ir/support/hash.h"

const char *cg_sources_hash(void) { return CODEGEN_SOURCES_HASH; }

typedef struct use_table {
    uint32_t *start; /* [values + 1] into node */
    uint32_t *node;
    bool *is_output; /* [values] */
} use_table;

static pofac_status find_uses(const ir_graph *g, arena *a, const diag_sink *sink, use_table *out) {
    size_t n = g->values.size, total = 0;
    for (size_t i = 0; i < g->nodes.size; i++) total += g->nodes.data[i].n_inputs;
    out->start = ARENA_ARRAY(a, uint32_t, n + 2);
    out->node = ARENA_ARRAY(a, uint32_t, total + 1);
    out->is_output = ARENA_ARRAY(a, bool, n + 1);
    if (!out->start || !out->node || !out->is_output) return diag_out_of_memory(sink);
    for (size_t i = 0; i < g->nodes.size; i++)
        for (uint32_t j = 0; j < g->nodes.data[i].n_inputs; j++) out->start[g->nodes.data[i].inputs[j] + 2]++;
    for (size_t v = 2; v < n + 2; v++) out->start[v] += out->start[v - 1];
    for (size_t i = 0; i < g->nodes.size; i++) /* start[v + 1] is the next free place of v, and its end in the end */
        for (uint32_t j = 0; j < g->nodes.data[i].n_inputs; j++)
            out->node[out->start[g->nodes.data[i].inputs[j] + 1]++] = (uint32_t)i;
    for (size_t o = 0; o < g->outputs.size; o++) out->is_output[g->outputs.data[o].value] = true;
    return POFAC_OK;
}

static bool is_among(uint32_t node, const uint32_t *nodes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (nodes[i] == node) return true;
    return false;
}

/* Sets stored[v] for the results of nodes[0, n): read by a node that is not among them, or an output. */
static void mark_stored(const ir_graph *g, const use_table *uses, const uint32_t *nodes, size_t n, bool *stored) {
    for (size_t i = 0; i < n; i++) {
        const ir_node *node = &g->nodes.data[nodes[i]];
        for (uint32_t r = 0; r < node->n_results; r++) {
            ir_value v = node_result(node, r);
            stored[v] = uses->is_output[v];
            for (uint32_t u = uses->start[v]; u < uses->start[v + 1] && !stored[v]; u++)
                stored[v] = !is_among(uses->node[u], nodes, n);
        }
    }
}

/* ---- buffers ---- */

static plan_buffer_kind buffer_kind(ir_op op) {
    switch (op) {
    case OP_input: return PLAN_INPUT;
    case OP_state:
    case OP_pattern: return PLAN_STATE;
    case OP_constant: return PLAN_CONSTANT;
    default: return PLAN_SLOT;
    }
}

static const char *buffer_name(const ir_node *n) {
    if (n->op == OP_constant) return node_string(n, "data")[0] ? node_string(n, "data") : NULL;
    return op_has(n->op, TRAIT_LEAF) ? node_string(n, "name") : NULL;
}

/* Is the operand a packed form that a step of the plan makes before its reader? */
static bool is_packed_by_step(const lowering *l, const cg_operand *operand) {
    switch (operand->packing) {
    case PACKING_SQUARE_SUMS: return true;
    case PACKING_PANELS:
    case PACKING_TRANSPOSED_PANELS:
    case PACKING_SPARSE_VALUES:
        return !kernel_keeps_state(l->graph, operand->value) && graph_node_of(l->graph, operand->value)->op != OP_constant;
    default: return false;
    }
}

bool lower_is_packed(const plan_buffer *b) { return b->kind == PLAN_SLOT && b->packing != PACKING_NONE; }

/* The value in whose memory an operand lies as it is. */
static ir_value value_in_memory(const lowering *l, const cg_operand *operand) {
    const ir_value v = operand->value;
    return operand->packing == PACKING_NONE && !operand->aside && l->place[v] != IR_NO_VALUE ? l->place[v] : v;
}

static uint32_t find_buffer(const lowering *l, const cg_operand *operand) {
    const ir_value v = value_in_memory(l, operand);
    for (size_t i = is_packed_by_step(l, operand) ? l->packed_from : 0; i < l->buffers.size; i++) {
        const plan_buffer *b = &l->buffers.data[i];
        if (b->value == v && b->packing == operand->packing && b->packing_parameter == operand->packing_parameter &&
            b->range == operand->range && sparse_layout_equal(&b->sparse, &operand->sparse))
            return (uint32_t)i;
    }
    return UINT32_MAX;
}

uint32_t lower_buffer(lowering *l, const cg_operand *operand) {
    const ir_value v = value_in_memory(l, operand);
    uint32_t found = find_buffer(l, operand);
    if (found != UINT32_MAX) return found;
    const ir_node *n = graph_node_of(l->graph, v);
    plan_buffer b = {.kind = buffer_kind(n->op),
                     .name = buffer_name(n),
                     .value = v,
                     .type = graph_type(l->graph, v),
                     .packing = operand->packing,
                     .packing_parameter = operand->packing_parameter,
                     .range = operand->range,
                     .sparse = operand->sparse};
    if (operand->packing == PACKING_PART_SUMS || operand->packing == PACKING_WORKSPACE || is_packed_by_step(l, operand)) {
        b.kind = PLAN_SLOT;
        b.name = NULL;
        b.type = kernel_packed_type(l->graph, operand);
        if (!b.type) return UINT32_MAX; /* its slot: lower_packing */
    } else if (b.kind == PLAN_STATE) {
        b.written = operand->packing == PACKING_NONE && n->op == OP_state && !kernel_keeps_state(l->graph, v);
    } else if (b.kind == PLAN_SLOT) {
        if (l->slot[v] < 0) l->slot[v] = l->n_slots++;
        b.slot = (uint32_t)l->slot[v];
    }
    return VEC_PUSH(&l->buffers, b) ? (uint32_t)l->buffers.size - 1 : UINT32_MAX;
}

static pofac_status find_slots(lowering *l) {
    const ir_graph *g = l->graph;
    l->slot = ARENA_ARRAY(l->memory, int64_t, g->values.size + 1);
    if (!l->slot) return diag_out_of_memory(l->sink);
    for (size_t v = 0; v < g->values.size; v++) l->slot[v] = -1;
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        const ir_attr *a = node_find_attr(n, "slot");
        if (!a || a->kind != ATTR_INTS) continue;
        for (uint32_t r = 0; r < n->n_results && r < a->as.ints.n; r++) {
            int64_t s = a->as.ints.data[r];
            if (s >= (int64_t)g->values.size)
                return diag_error(l->sink, POFAC_ERR_INPUT, NULL, "%s: slot is %lld, wanted less than the number of values, %zu",
                                  op_info(n->op)->name, (long long)s, g->values.size);
            l->slot[node_result(n, r)] = s < 0 ? -1 : s;
            if (s >= (int64_t)l->n_slots) l->n_slots = (uint32_t)s + 1;
        }
    }
    return POFAC_OK;
}

/* ---- state ---- */

static diag_place place_of(const ir_node *n) {
    return (diag_place){n->location.file, n->location.line, n->location.column, NULL, 0};
}

/* The computed output that is the next content of the state of that name; IR_NO_VALUE: there is none. */
static ir_value next_content(const ir_graph *g, const char *name) {
    for (size_t o = 0; o < g->outputs.size; o++)
        if (strcmp(g->outputs.data[o].name, name) == 0 && !is_leaf_value(g, g->outputs.data[o].value))
            return g->outputs.data[o].value;
    return IR_NO_VALUE;
}

static pofac_status find_places(lowering *l) {
    const ir_graph *g = l->graph;
    l->place = ARENA_ARRAY(l->memory, ir_value, g->values.size + 1);
    l->is_written = ARENA_ARRAY(l->memory, bool, g->values.size + 1);
    if (!l->place || !l->is_written) return diag_out_of_memory(l->sink);
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *leaf = &g->nodes.data[i];
        const ir_value v = leaf->first_result,
                       next = leaf->op == OP_state ? next_content(g, node_string(leaf, "name")) : IR_NO_VALUE;
        if (next == IR_NO_VALUE) continue;
        const ir_value known = l->place[next];
        const diag_place place = place_of(leaf);
        if (known != IR_NO_VALUE && strcmp(node_string(graph_node_of(g, known), "name"), node_string(leaf, "name")) != 0)
            return diag_error(l->sink, POFAC_ERR_INPUT, &place,
                              "one result is the next content of \"%s\" and of \"%s\", wanted one of them",
                              node_string(graph_node_of(g, known), "name"), node_string(leaf, "name"));
        if (graph_type(g, next) != graph_type(g, v))
            return diag_error(l->sink, POFAC_ERR_INPUT, &place, "the next content of \"%s\" is of another type than the leaf",
                              node_string(leaf, "name"));
        if (known == IR_NO_VALUE) l->place[next] = v;
        l->place[v] = l->place[next];
    }
    return POFAC_OK;
}

static bool is_next(const lowering *l, ir_value v) { return l->place[v] != IR_NO_VALUE && !is_leaf_value(l->graph, v); }

/* No step reads state that an earlier one has replaced. `values`: what a step reads. */
static pofac_status check_reads(const lowering *l, const ir_node *reader, ir_value v) {
    if (v == IR_NO_VALUE || l->place[v] == IR_NO_VALUE || !is_leaf_value(l->graph, v) || !l->is_written[l->place[v]])
        return POFAC_OK;
    const diag_place place = place_of(reader);
    return diag_error(l->sink, POFAC_ERR_INPUT, &place, "%s reads \"%s\" after its next content was computed, wanted it before",
                      op_info(reader->op)->name, node_string(graph_node_of(l->graph, v), "name"));
}

static void mark_written(const lowering *l, ir_value v) {
    if (is_next(l, v)) l->is_written[l->place[v]] = true;
}

/* ---- steps ---- */

static pofac_status add_step(lowering *l, plan_step step, uint32_t kernel) {
    if (!VEC_PUSH(&l->steps, step) || !VEC_PUSH(&l->step_kernel, kernel)) return diag_out_of_memory(l->sink);
    return POFAC_OK;
}

static pofac_status find_kernel(lowering *l, const cg_kernel *k, uint32_t *out) {
    strbuf variant = STRBUF_INIT, key = STRBUF_INIT;
    kernel_variant(k, &variant);
    strbuf_printf(&key, "pofac %s llvm %s target %s %s %s %s %u %u %u %s", CODEGEN_SOURCES_HASH, cg_llvm_version(),
                  l->target->triple, l->target->cpu, l->target->features, l->target->isa, l->target->vector_bytes,
                  l->target->vector_registers, l->target->extensions, strbuf_str(&variant));
    pofac_status status = strbuf_ok(&key) && strbuf_ok(&variant) ? POFAC_OK : diag_out_of_memory(l->sink);
    size_t i = 0;
    while (status == POFAC_OK && i < l->kernels.size && strcmp(l->kernels.data[i].key, key.data) != 0) i++;
    if (status == POFAC_OK && i == l->kernels.size) {
        char hex[33];
        hash_to_hex(hash_bytes128(key.data, key.size), hex);
        lowered_kernel added = {.kernel = *k,
                                .key = arena_strdup(l->memory, key.data),
                                .variant = arena_strdup(l->memory, variant.data),
                                .symbol = arena_printf(l->memory, "%s_%s", kernel_rows[k->row].name, hex)};
        if (!added.key || !added.variant || !added.symbol || !VEC_PUSH(&l->kernels, added)) status = diag_out_of_memory(l->sink);
    }
    *out = (uint32_t)i;
    strbuf_free(&variant);
    strbuf_free(&key);
    return status;
}

static pofac_status copy_variant(lowering *l, const cg_kernel *k, const char **out) {
    strbuf variant = STRBUF_INIT;
    kernel_variant(k, &variant);
    *out = strbuf_ok(&variant) ? arena_strdup(l->memory, strbuf_str(&variant)) : NULL;
    strbuf_free(&variant);
    return *out ? POFAC_OK : diag_out_of_memory(l->sink);
}

static pofac_status add_described_step(lowering *l, const cg_group *g, const cg_kernel *k) {
    uint32_t index = NO_KERNEL;
    const char *variant;
    if (kernel_rows[k->row].emit) {
        TRY(find_kernel(l, k, &index));
        variant = l->kernels.data[index].variant;
    } else {
        TRY(copy_variant(l, k, &variant));
    }
    uint32_t *buffers = ARENA_ARRAY(l->memory, uint32_t, k->n_operands + 1);
    ir_dim *dims = ARENA_ARRAY(l->memory, ir_dim, k->n_dims + 1);
    if (!buffers || !dims) return diag_out_of_memory(l->sink);
    for (unsigned i = 0; i < k->n_operands; i++) {
        TRY(check_reads(l, group_node(g, 0), k->operands[i].value));
        buffers[i] = lower_buffer(l, &k->operands[i]);
        if (buffers[i] == UINT32_MAX) return diag_out_of_memory(l->sink);
    }
    memcpy(dims, k->dims, k->n_dims * sizeof *dims);
    plan_step step = {.kernel = kernel_rows[k->row].name,
                      .variant = variant,
                      .library = kernel_rows[k->row].library,
                      .scope = group_last(g)->scope,
                      .node = g->nodes[0],
                      .n_buffers = k->n_operands,
                      .buffers = buffers,
                      .n_dims = k->n_dims,
                      .dims = dims,
                      .work = k->work,
                      .work_per_unit = k->work_per_unit,
                      .grain = k->grain,
                      .rows = k->rows,
                      .block_rows = k->block_rows,
                      .block_units = k->block_units,
                      .scratch_bytes = k->scratch_bytes,
                      .flops = k->flops,
                      .bytes = k->bytes};
    return add_step(l, step, index);
}

/* The step that makes a packed operand of `reader`. */
static pofac_status describe_packing(const lowering *l, const cg_kernel *reader, const cg_operand *operand, cg_kernel *out) {
    const char *name = kernel_rows[reader->row].name;
    if (operand->packing == PACKING_SQUARE_SUMS) {
        if (kernel_sum_squares(l->graph, operand, out)) return POFAC_OK;
        return diag_error(l->sink, POFAC_ERR_INPUT, NULL, "%s: its elements cannot be counted", name);
    }
    if (operand->packing != PACKING_SPARSE_VALUES) {
        if (kernel_pack_panels(l->graph, operand, out)) return POFAC_OK;
        return diag_error(l->sink, POFAC_ERR_INPUT, NULL, "%s: its weight cannot be packed", name);
    }
    if (kernel_pack_values(l->graph, operand, out)) return POFAC_OK;
    return diag_error(l->sink, POFAC_ERR_INPUT, NULL, "%s: its non-zeros change, which their sparse layout does not allow", name);
}

/* The steps that add up what the kernel leaves in parts. */
static pofac_status add_sums_steps(lowering *l, const cg_group *g, const cg_kernel *k) {
    for (unsigned i = 0; i < k->n_operands; i++) {
        cg_kernel sums;
        if (k->operands[i].packing != PACKING_PART_SUMS) continue;
        if (!kernel_sum_parts(l->graph, k, i, &sums))
            return diag_error(l->sink, POFAC_ERR_INPUT, NULL, "%s: its sums have no fixed size", kernel_rows[k->row].name);
        TRY(add_described_step(l, g, &sums));
    }
    return POFAC_OK;
}

static bool is_made_by(const cg_group *g, ir_value v) { return is_among(g->graph->values.data[v].node, g->nodes, g->n_nodes); }

/* Does the kernel read the state whose next content is `next`? */
static bool reads_state_of(const lowering *l, const cg_kernel *k, ir_value next) {
    for (unsigned i = 0; i < k->n_operands; i++)
        if (k->operands[i].value != next && l->place[k->operands[i].value] == l->place[next] &&
            k->operands[i].packing == PACKING_NONE)
            return true;
    return false;
}

/* The kernel, between steps that pack for it and steps that add up what it leaves in parts, or copy results which it cannot write to
 * their place. */
static pofac_status add_kernel_step(lowering *l, const cg_group *g, cg_kernel *k) {
    cg_kernel other;
    l->packed_from = l->buffers.size;
    for (unsigned i = 0; i < k->n_operands; i++) {
        cg_operand *o = &k->operands[i];
        o->aside = !k->in_place && is_next(l, o->value) && is_made_by(g, o->value) && reads_state_of(l, k, o->value);
        if (!is_packed_by_step(l, o) || find_buffer(l, o) != UINT32_MAX) continue;
        TRY(describe_packing(l, k, o, &other));
        TRY(add_described_step(l, g, &other));
    }
    TRY(add_described_step(l, g, k));
    TRY(add_sums_steps(l, g, k));
    for (unsigned i = 0; i < k->n_operands; i++) {
        const ir_value v = k->operands[i].value;
        if (k->operands[i].aside) {
            if (!kernel_copy_next(l->graph, v, &other))
                return diag_error(l->sink, POFAC_ERR_INPUT, NULL, "%s: it cannot write its result over what it reads",
                                  kernel_rows[k->row].name);
            TRY(add_described_step(l, g, &other));
        }
        if (is_made_by(g, v) && k->operands[i].packing != PACKING_WORKSPACE) mark_written(l, v);
    }
    return POFAC_OK;
}

/* No result of a step that others of its group follow may be the next content of a state: a later step may still read that. */
static pofac_status want_no_next(const lowering *l, const cg_group *g, const cg_kernel *k) {
    for (unsigned i = 0; i < k->n_operands && k->next; i++) {
        const ir_value v = k->operands[i].value;
        if (k->operands[i].packing == PACKING_WORKSPACE || !is_made_by(g, v) || !is_next(l, v)) continue;
        const ir_node *maker = graph_node_of(g->graph, v);
        return node_error(g->graph, maker, l->sink, "its result %u is an output named like a state, which it cannot write in place",
                          (unsigned)(v - maker->first_result));
    }
    return POFAC_OK;
}

/* The kernel, and the steps that follow it in its group. */
static pofac_status add_kernel_steps(lowering *l, const cg_group *g, const cg_kernel *k) {
    const size_t first = l->steps.size;
    cg_kernel step = *k;
    TRY(want_no_next(l, g, k));
    TRY(add_kernel_step(l, g, &step));
    while (step.next) {
        const cg_kernel before = step;
        if (!kernel_next(g, l->target, &before, &step))
            return diag_error(l->sink, POFAC_ERR_RUNTIME, NULL, "%s: its next step, %s, does not take the group",
                              kernel_rows[before.row].name, before.next);
        TRY(want_no_next(l, g, &step));
        TRY(add_kernel_step(l, g, &step));
    }
    if (k->loop_work_per_round == 0) return POFAC_OK;
    plan_step *loop = &l->steps.data[first];
    loop->loop = (uint32_t)(l->steps.size - first);
    loop->loop_work = k->loop_work;
    loop->loop_work_per_round = k->loop_work_per_round;
    return POFAC_OK;
}

/* Sessions copy what is in tiles for an evaluator, but for leaves, which lie elsewhere, and parts of bytes. */
static pofac_status want_rows(const lowering *l, const ir_node *n, ir_value v) {
    const ir_type *t = graph_type(l->graph, v);
    if (!type_is_tiled(t) || (dtype_bits(t->dtype) % 8 == 0 && !op_has(graph_node_of(l->graph, v)->op, TRAIT_LEAF)))
        return POFAC_OK;
    const diag_place place = place_of(n);
    strbuf text = STRBUF_INIT;
    type_print(l->graph->module->context, t, NULL, NULL, &text);
    pofac_status status = diag_error(l->sink, POFAC_ERR_INPUT, &place, "%s has no kernel for %s, and its evaluator wants rows",
                                     op_info(n->op)->name, strbuf_str(&text));
    strbuf_free(&text);
    return status;
}

static pofac_status add_evaluator_step(lowering *l, uint32_t node) {
    const ir_node *n = &l->graph->nodes.data[node];
    uint32_t total = n->n_inputs + n->n_results;
    uint32_t *buffers = ARENA_ARRAY(l->memory, uint32_t, total + 1);
    if (!buffers) return diag_out_of_memory(l->sink);
    for (uint32_t i = 0; i < total; i++) {
        ir_value v = i < n->n_inputs ? n->inputs[i] : node_result(n, i - n->n_inputs);
        buffers[i] = UINT32_MAX;
        if (v == IR_NO_VALUE || (i >= n->n_inputs && !l->stored[v])) continue;
        TRY(want_rows(l, n, v));
        if (i < n->n_inputs) TRY(check_reads(l, n, v));
        buffers[i] = lower_buffer(l, &(cg_operand){.value = v});
        if (buffers[i] == UINT32_MAX) return diag_out_of_memory(l->sink);
    }
    plan_step step = {.kernel = "evaluator",
                      .variant = op_info(n->op)->name,
                      .scope = n->scope,
                      .node = node,
                      .n_buffers = total,
                      .buffers = buffers,
                      .work = dim_const(1),
                      .work_per_unit = 1,
                      .grain = 1};
    for (uint32_t r = 0; r < n->n_results; r++) mark_written(l, node_result(n, r));
    return add_step(l, step, NO_KERNEL);
}

static bool is_alias(const lowering *l, const ir_node *n) {
    return n->op == OP_reshape && !is_next(l, n->first_result) && !is_next(l, n->inputs[0]) && l->slot[n->first_result] >= 0 &&
           l->slot[n->inputs[0]] == l->slot[n->first_result];
}

/* The variant of the first node that has one; *found is NULL when none has, else `room`. */
static pofac_status find_variant(const lowering *l, const uint32_t *nodes, size_t n, cg_variant *room, const cg_variant **found) {
    *found = NULL;
    for (size_t i = 0; i < n && !*found; i++) {
        const ir_node *node = &l->graph->nodes.data[nodes[i]];
        const char *text = node_string(node, "variant");
        if (!text[0]) continue;
        const diag_place place = place_of(node);
        TRY(variant_parse(text, &place, l->sink, room));
        *found = room;
    }
    return POFAC_OK;
}

static pofac_status not_taken(const lowering *l, uint32_t node) {
    const ir_node *n = &l->graph->nodes.data[node];
    const diag_place place = place_of(n);
    const char *text = node_string(n, "variant");
    if (!text[0]) return POFAC_OK;
    return diag_error(l->sink, POFAC_ERR_INPUT, &place,
                      "%s: the kernel of variant \"%s\" does not compute it with these types and parameters", op_info(n->op)->name,
                      text);
}

static pofac_status lower_group(lowering *l, const use_table *uses, const uint32_t *nodes, size_t n_nodes, bool *stored) {
    for (size_t done = 0; done < n_nodes;) {
        size_t n = n_nodes - done;
        cg_kernel kernel;
        cg_variant room;
        for (; n > 0; n--) {
            cg_group part = {l->graph, nodes + done, n, stored};
            const cg_variant *variant;
            mark_stored(l->graph, uses, part.nodes, n, stored);
            TRY(find_variant(l, part.nodes, n, &room, &variant));
            if (!kernel_choose(&part, l->target, variant, &kernel)) continue;
            TRY(add_kernel_steps(l, &part, &kernel));
            break;
        }
        if (n == 0) {
            TRY(not_taken(l, nodes[done]));
            mark_stored(l->graph, uses, nodes + done, 1, stored);
            TRY(add_evaluator_step(l, nodes[done]));
            n = 1;
        }
        done += n;
    }
    return POFAC_OK;
}

static pofac_status lower_groups(lowering *l, const use_table *uses) {
    const ir_graph *g = l->graph;
    bool *stored = ARENA_ARRAY(l->memory, bool, g->values.size + 1);
    uint32_t *nodes = ARENA_ARRAY(l->memory, uint32_t, g->nodes.size + 1);
    int64_t *group = ARENA_ARRAY(l->memory, int64_t, g->nodes.size + 1);
    if (!stored || !nodes || !group) return diag_out_of_memory(l->sink);
    l->stored = stored;
    for (size_t i = 0; i < g->nodes.size; i++) group[i] = node_int(&g->nodes.data[i], "group");
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        bool is_last = true;
        size_t count = 0;
        if (op_has(n->op, TRAIT_LEAF) || is_alias(l, n)) continue;
        for (size_t j = i + 1; j < g->nodes.size && is_last && group[i] >= 0; j++) is_last = group[j] != group[i];
        if (!is_last) continue;
        for (size_t j = 0; j < i && group[i] >= 0; j++)
            if (group[j] == group[i]) nodes[count++] = (uint32_t)j;
        nodes[count++] = (uint32_t)i;
        TRY(lower_group(l, uses, nodes, count, stored));
    }
    return POFAC_OK;
}

pofac_status lower_graph(lowering *l, const ir_graph *g, const cg_target *target, arena *memory, const diag_sink *sink) {
    *l = (lowering){.graph = g, .target = target, .sink = sink, .memory = memory};
    use_table uses;
    TRY(find_uses(g, memory, sink, &uses));
    TRY(find_slots(l));
    TRY(find_places(l));
    TRY(lower_groups(l, &uses));
    TRY(lower_packing(l));
    return lower_series(l);
}

void lowering_free(lowering *l) {
    VEC_FREE(&l->kernels);
    VEC_FREE(&l->steps);
    VEC_FREE(&l->step_kernel);
    VEC_FREE(&l->buffers);
}

void lower_emit(emitter *e, const lowered_kernel *k) {
    em_begin_function(e, k->symbol);
    kernel_rows[k->kernel.row].emit(e, &k->kernel);
    em_end_function(e);
}
