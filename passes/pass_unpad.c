/*
 * Unpad: work is done on the batch's real tokens only. A padded graph has a row for each of the B*S places of a batch; afterwards
 * it has T rows: those that the attention mask keeps, and the first of each sequence, which classifiers read whatever the mask says
 * (op kept_rows).
 *
 *   reshape of a padded value [B,S,...] to rows   -> the same, then gather_rows by the kept rows
 *   padded_offsets                                -> the offsets of the kept rows
 *   row_positions, row_keys                       -> on padded rows, then gathered: a token keeps its place in the padded sequence
 *   ops that work row by row, attention           -> the same on kept rows
 *   gather_rows by first_rows, labelled_rows,     -> the same on kept rows; by another index, which counts padded rows: by the
 *   sampled_rows                                     places of its rows among the kept ones
 *   losses over the rows that the mask keeps      -> the same on kept rows
 *   reshape of rows to a padded value [B,S,...]   -> scatter_rows, then the same: padded places hold 0
 *
 * So outputs agree wherever the mask is not 0, and nowhere else is anything promised (a prediction for padding means nothing).
 * Attention must leave out what the mask leaves out, so its kept keys, in their order, and the numbers of kept rows do not change
 * by a bit (under the same kernels). A graph in which anything else reads a row value or the offsets, for instance a softmax over
 * all S positions, is left as it is, and so is one without padding and one that was unpadded already.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

typedef struct unpadding {
    rewriter rw;
    ir_value mask;                 /* old: the input [B,S] */
    ir_dim rows, kept;             /* B*S, T */
    ir_value index, offsets, like; /* new: [T], [B+1], and a value [B*S] */
    ir_value places;               /* new: [B*S], once a gather has asked for it */
    ir_value *padded;              /* [old values] new: the value with all rows, where it came out of a reshape */
} unpadding;

/* ---- may it be done? ---- */

/* Has the value a row per place of the batch? */
static bool is_rows(const unpadding *u, ir_value v) {
    if (v == IR_NO_VALUE) return false;
    const ir_type *t = graph_type(u->rw.from, v);
    return t->kind == TYPE_TENSOR && (t->rank == 1 || t->rank == 2) && dim_equal(t->dims[0], u->rows);
}

static const ir_node *maker_of(const unpadding *u, ir_value v) { return graph_node_of(u->rw.from, v); }

/* Offsets of the padded batch, made from any value of the mask's shape. */
static bool is_offsets(const unpadding *u, ir_value v) {
    if (maker_of(u, v)->op != OP_padded_offsets) return false;
    const ir_type *like = graph_type(u->rw.from, maker_of(u, v)->inputs[0]), *mask = graph_type(u->rw.from, u->mask);
    return dim_equal(like->dims[0], mask->dims[0]) && dim_equal(like->dims[1], mask->dims[1]);
}

static bool is_first_rows(const unpadding *u, ir_value v) {
    return maker_of(u, v)->op == OP_first_rows && is_offsets(u, maker_of(u, v)->inputs[0]);
}

/* An index of rows that is found among the kept ones alone. */
static bool is_labelled_rows(const unpadding *u, ir_value v) {
    const ir_node *n = maker_of(u, v);
    return (n->op == OP_labelled_rows || n->op == OP_sampled_rows) && is_rows(u, n->inputs[0]);
}

/* Is it the mask, as rows? */
static bool is_keep(const unpadding *u, ir_value v) {
    return is_rows(u, v) && maker_of(u, v)->op == OP_reshape && maker_of(u, v)->inputs[0] == u->mask;
}

/* Rows put into another shape: [B,S,...] as a rule. */
static bool is_padded_again(const unpadding *u, ir_value v) {
    return v != IR_NO_VALUE && maker_of(u, v)->op == OP_reshape && !is_rows(u, v) && is_rows(u, maker_of(u, v)->inputs[0]);
}

/* The mask of the graph's attentions: the input, [B,S] of integers, whose rows the first one keeps. IR_NO_VALUE: there is none, or
 * the graph is unpadded already. */
static ir_value find_mask(const ir_graph *g) {
    ir_value mask = IR_NO_VALUE;
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op == OP_kept_rows) return IR_NO_VALUE;
        if (n->op != OP_attention || mask != IR_NO_VALUE || node_input(n, 4) == IR_NO_VALUE) continue;
        const ir_node *keep = graph_node_of(g, n->inputs[4]);
        if (keep->op == OP_reshape && graph_node_of(g, keep->inputs[0])->op == OP_input) mask = keep->inputs[0];
    }
    return mask != IR_NO_VALUE && graph_type(g, mask)->rank == 2 ? mask : IR_NO_VALUE;
}

static bool can_unpad_attention(const unpadding *u, const ir_node *n) {
    for (uint32_t i = 0; i < 3; i++)
        if (!is_rows(u, n->inputs[i])) return false;
    if (node_input(n, 6) != IR_NO_VALUE && !is_rows(u, n->inputs[6])) return false;
    return is_offsets(u, n->inputs[3]) && is_keep(u, node_input(n, 4)) && node_input(n, 5) == IR_NO_VALUE;
}

/* Distances to a teacher over the rows that the mask keeps, of which padding is no part. */
static bool is_distance_of_kept(const unpadding *u, const ir_node *n) {
    const bool of_attention = n->op == OP_attention_distance;
    if (!of_attention && n->op != OP_squared_distance && n->op != OP_cosine_distance && n->op != OP_kl_divergence) return false;
    for (uint32_t i = 0; i < (of_attention ? 7u : 2u); i++)
        if (of_attention && i == 3 ? !is_offsets(u, n->inputs[i]) : !is_rows(u, n->inputs[i])) return false;
    if (of_attention && strcmp(node_string(n, "queries"), "kept") != 0) return false;
    return is_keep(u, node_input(n, of_attention ? 7 : 2));
}

/* The same of a linear's logits from the classes of a teacher that are known. */
static bool is_soft_loss_of_kept(const unpadding *u, const ir_node *n) {
    return n->op == OP_linear_soft_cross_entropy && is_rows(u, n->inputs[0]) && is_rows(u, n->inputs[2]) &&
           is_rows(u, n->inputs[3]) && is_keep(u, node_input(n, 5));
}

/* Ops that work row by row: rows come in where the op has rows, and nowhere else. */
static bool is_row_by_row(const unpadding *u, const ir_node *n) {
    const ir_graph *g = u->rw.from;
    bool elementwise = op_has(n->op, TRAIT_ELEMENTWISE);
    if (!elementwise && !op_has(n->op, TRAIT_ROWWISE) && n->op != OP_embedding && n->op != OP_slice) return false;
    if (n->op == OP_slice && graph_type(g, n->first_result)->rank != 2) return false; /* it slices the rows */
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        if (!is_rows(u, n->inputs[i])) continue;
        if (elementwise && graph_type(g, n->inputs[i])->rank != graph_type(g, n->inputs[0])->rank) return false; /* repeated */
        const bool beside = (n->op == OP_dropout || n->op == OP_fake_quantize) && i == 1;                        /* keys, ranges */
        if (!elementwise && !beside && i != (n->op == OP_embedding ? 1u : 0u)) return false;
    }
    return true;
}

static bool can_unpad_node(const unpadding *u, const ir_node *n) {
    bool reads_rows = false, reads_offsets = false;
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        ir_value v = n->inputs[i];
        if (v == IR_NO_VALUE) continue;
        reads_rows = reads_rows || is_rows(u, v);
        reads_offsets = reads_offsets || is_offsets(u, v) || is_first_rows(u, v);
        const bool of_places = (n->op == OP_cross_entropy && i == 0) || (n->op == OP_kl_divergence && i <= 1);
        const bool left_out = of_places && node_input(n, 2) == u->mask;
        if (is_padded_again(u, v) && !left_out) return false; /* padded places will hold 0 */
    }
    switch (n->op) {
    case OP_padded_offsets:
    case OP_first_rows: return !reads_rows;
    case OP_labelled_rows:
    case OP_sampled_rows: return true;
    case OP_row_positions:
    case OP_row_keys: return is_offsets(u, n->inputs[0]) || !reads_rows;
    case OP_attention: return can_unpad_attention(u, n) || !(reads_rows || reads_offsets);
    case OP_gather_rows:
        return !is_rows(u, n->inputs[1]) && !is_offsets(u, n->inputs[0]) && is_rows(u, n->inputs[0]) >= reads_offsets;
    case OP_reshape:
        return !reads_offsets && (!reads_rows || !is_rows(u, n->first_result) ||
                                  graph_type(u->rw.from, n->inputs[0]) == graph_type(u->rw.from, n->first_result));
    default: break;
    }
    if (is_distance_of_kept(u, n) || is_soft_loss_of_kept(u, n)) return true;
    if (op_has(n->op, TRAIT_LEAF)) return !is_rows(u, n->first_result);
    return !reads_offsets && (!reads_rows || is_row_by_row(u, n));
}

static bool can_unpad(unpadding *u) {
    const ir_graph *g = u->rw.from;
    bool ok;
    u->mask = find_mask(g);
    if (u->mask == IR_NO_VALUE || graph_symbol_bound(g, symbol_named(g->module->context, "T")) != 0) return false;
    u->rows = dim_mul(graph_type(g, u->mask)->dims[0], graph_type(g, u->mask)->dims[1], &ok);
    if (!ok) return false;
    for (size_t i = 0; i < g->nodes.size; i++)
        if (!can_unpad_node(u, &g->nodes.data[i])) return false;
    for (size_t i = 0; i < g->outputs.size; i++) { /* only what has a place for padding can be put back */
        ir_value v = g->outputs.data[i].value;
        if (is_rows(u, v) || is_offsets(u, v) || is_first_rows(u, v)) return false;
    }
    return true;
}

/* ---- doing it ---- */

/* B*S at its largest, as the bound of T; offsets are i32. */
static int64_t rows_bound(const unpadding *u) {
    int64_t bound = u->rows.symbol[0] != 0 ? u->rows.scale : u->rows.offset;
    for (int i = 0; i < 2; i++) {
        int64_t upper = u->rows.symbol[i] != 0 ? graph_symbol_bound(u->rw.from, u->rows.symbol[i]) : 1;
        if (__builtin_mul_overflow(bound, upper, &bound) || bound > INT32_MAX) return INT32_MAX;
    }
    return bound > 0 ? bound : 1;
}

/* The mask comes first: everything else may need its kept rows and their offsets. */
static void begin_unpadding(unpadding *u) {
    ir_graph *to = u->rw.to;
    const ir_attr rows = attr_string("rows", "T");
    u->kept = dim_symbol(graph_declare_symbol(to, "T", rows_bound(u)));
    rewrite_copy_unmarked(&u->rw, maker_of(u, u->mask), NULL, NULL);
    ir_value mask = rewrite_value(&u->rw, u->mask);
    if (mask == IR_NO_VALUE) return;
    u->index = node_add(to, OP_kept_rows, &mask, 1, &rows, 1, NULL);
    u->offsets = u->index != IR_NO_VALUE ? u->index + 1 : IR_NO_VALUE;
    u->like = build_declared(to, OP_reshape, mask, type_tensor(to->module->context, graph_type(to, mask)->dtype, 1, &u->rows));
}

static ir_value gather_kept(unpadding *u, ir_value padded) { return build_binary(u->rw.to, OP_gather_rows, padded, u->index); }

/* Kept rows back among the padded ones. */
static ir_value scatter_kept(unpadding *u, ir_value old) {
    ir_value inputs[] = {rewrite_value(&u->rw, old), u->index, u->like};
    return node_add(u->rw.to, OP_scatter_rows, inputs, 3, NULL, 0, NULL);
}

static ir_value unpad_reshape(unpadding *u, const ir_node *n) {
    const ir_type *y = rewrite_type(&u->rw, graph_type(u->rw.from, n->first_result));
    ir_value x = n->inputs[0];
    if (is_rows(u, x) && is_rows(u, n->first_result)) return rewrite_value(&u->rw, x);
    if (is_rows(u, x)) return build_declared(u->rw.to, OP_reshape, scatter_kept(u, x), y);
    ir_value padded = build_declared(u->rw.to, OP_reshape, rewrite_value(&u->rw, x), y);
    if (!is_rows(u, n->first_result)) return padded;
    u->padded[n->first_result] = padded;
    return gather_kept(u, padded);
}

/* Places within the padded sequence, of the kept rows. */
static ir_value unpad_positions(unpadding *u, const ir_node *n) {
    ir_value padded = u->padded[n->inputs[1]], offsets = build_unary(u->rw.to, OP_padded_offsets, rewrite_value(&u->rw, u->mask));
    const ir_value inputs[] = {offsets, padded != IR_NO_VALUE ? padded : u->like, rewrite_value(&u->rw, node_input(n, 2))};
    return gather_kept(u, node_add(u->rw.to, n->op, inputs, n->n_inputs, NULL, 0, NULL));
}

/* For each padded row its place among the kept ones, [B*S]; 0 where it is not kept. */
static ir_value places_of_rows(unpadding *u) {
    ir_graph *to = u->rw.to;
    if (u->places) return u->places;
    const ir_dim dims[2] = {dim_const(1), u->kept}; /* all tokens as one sequence: its places are 0 to T-1 */
    const ir_type *one = type_tensor(to->module->context, graph_type(to, u->index)->dtype, 2, dims);
    ir_value offsets = build_unary(to, OP_padded_offsets, build_declared(to, OP_reshape, u->index, one));
    ir_value inputs[] = {build_binary(to, OP_row_positions, offsets, u->index), u->index, u->like};
    u->places = node_add(to, OP_scatter_rows, inputs, 3, NULL, 0, NULL);
    return u->places;
}

/* By an index that counts padded rows. */
static ir_value unpad_gather(unpadding *u, const ir_node *n) {
    ir_value index = build_binary(u->rw.to, OP_gather_rows, places_of_rows(u), rewrite_value(&u->rw, n->inputs[1]));
    return build_binary(u->rw.to, OP_gather_rows, rewrite_value(&u->rw, n->inputs[0]), index);
}

/* The declared type with kept rows where it has all rows; NULL for ops that declare none. */
static const ir_type *kept_type(unpadding *u, const ir_node *n) {
    if (!op_has(n->op, TRAIT_DECLARED)) return NULL;
    const ir_type *t = rewrite_type(&u->rw, graph_type(u->rw.from, n->first_result));
    if (!t || !is_rows(u, n->first_result)) return t;
    ir_type kept = *t;
    kept.dims[0] = u->kept;
    return type_intern(u->rw.to->module->context, &kept);
}

static void unpad_node(unpadding *u, const ir_node *n) {
    ir_value y = IR_NO_VALUE;
    rewrite_visit(&u->rw, n);
    if (n->op == OP_reshape) y = unpad_reshape(u, n);
    else if (is_offsets(u, n->first_result)) y = u->offsets;
    else if ((n->op == OP_row_positions || n->op == OP_row_keys) && is_offsets(u, n->inputs[0])) y = unpad_positions(u, n);
    else if (n->op == OP_gather_rows && is_rows(u, n->inputs[0]) && !is_first_rows(u, n->inputs[1]) &&
             !is_labelled_rows(u, n->inputs[1]))
        y = unpad_gather(u, n);
    else rewrite_copy_unmarked(&u->rw, n, NULL, kept_type(u, n));
    if (y != IR_NO_VALUE) rewrite_map(&u->rw, n->first_result, y);
}

static pofac_status unpad_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    unpadding u = {.padded = ARENA_ARRAY(&memory, ir_value, from->values.size)};
    pofac_status status = u.padded ? rewrite_begin(&u.rw, from, to) : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) {
        bool can = can_unpad(&u);
        if (can) begin_unpadding(&u);
        for (size_t i = 0; i < from->nodes.size && to->status == POFAC_OK; i++) {
            const ir_node *n = &from->nodes.data[i];
            if (!can) rewrite_copy_unmarked(&u.rw, n, NULL, NULL);
            else if (n->first_result != u.mask) unpad_node(&u, n);
        }
        status = rewrite_finish(&u.rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_unpad(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, unpad_graph, &copy, in->sink, out);
}
