/*
 * Unpad: work is done on the batch's real tokens only. A padded graph has a row for each of the B*S places of a batch; afterwards it has T rows, those that the attention mask keeps (op kept_rows; and
 * the first of each sequence, which classifiers read whatever the mask says).
 *
 *   reshape of an input [B,S,...] to rows     -> the same, then gather_rows by the kept rows
 *   padded_offsets of the mask                -> the offsets of the kept rows
 *   row_positions                             -> computed on padded rows, then gathered: a token keeps its place in the padded sequence
 *   ops that work row by row, attention       -> the same on kept rows
 *   gather_rows by first_rows                 -> the same on kept rows; by another index, which counts padded rows: after scatter_rows
 *   reshape of rows to an output [B,S,...]    -> scatter_rows, then the same: padded places hold 0
 *
 * So outputs agree wherever the mask is not 0, and nowhere else is anything promised (a prediction for padding means nothing). A graph in which anything else reads a row value, for instance a
 * softmax over all S positions, is left as it is. Attention sums over kept keys alone, in their order, so the numbers of kept rows do not change by a bit (under the same kernels).
 */
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

typedef struct unpadding {
    rewriter rw;
    const pass_input *in;
    ir_value mask;    /* old: the input [B,S] */
    ir_dim rows;      /* B*S */
    ir_dim kept;      /* T */
    ir_value index;   /* new: [T] */
    ir_value offsets; /* new: [B+1] */
    ir_value like;    /* new: a [R] value */
    ir_value *padded; /* [old values] the new value with all rows, where one was made */
} unpadding;

/* ---- may it be done? ---- */

static bool is_row_type(const ir_type *t, ir_dim rows) {
    return t->kind == TYPE_TENSOR && t->rank >= 1 && t->rank <= 2 && dim_equal(t->dims[0], rows) && t->layout == LAYOUT_ROWS;
}

/* The mask from which the graph's one padded_offsets is made, if it is an input [B,S] of integers; else IR_NO_VALUE. */
static ir_value find_mask(const ir_graph *g) {
    ir_value mask = IR_NO_VALUE;
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op == OP_kept_rows) return IR_NO_VALUE; /* done already */
        if (n->op != OP_padded_offsets) continue;
        const ir_node *leaf = graph_node_of(g, n->inputs[0]);
        if (mask || leaf->op != OP_input || dtype_class(graph_type(g, n->inputs[0])->dtype) == DTYPE_FLOAT) return IR_NO_VALUE;
        mask = n->inputs[0];
    }
    return mask;
}

static bool reads_rows(const ir_graph *g, const ir_node *n, ir_dim rows) {
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] && is_row_type(graph_type(g, n->inputs[i]), rows)) return true;
    return false;
}

static bool is_rowwise(ir_op op) {
    return op_has(op, TRAIT_ROWWISE) || op_has(op, TRAIT_ELEMENTWISE) || op == OP_slice || op == OP_embedding;
}

/* Elementwise ops broadcast their second input along the first dimensions, so all row values must be rows alike. */
static bool keeps_rows(const ir_graph *g, const ir_node *n, ir_dim rows) {
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        if (!n->inputs[i] || i == 0 || !op_has(n->op, TRAIT_ELEMENTWISE)) continue;
        const ir_type *t = graph_type(g, n->inputs[i]), *x = graph_type(g, n->inputs[0]);
        if (is_row_type(t, rows) && t->rank != x->rank) return false;
    }
    return true;
}

static bool can_unpad_node(const ir_graph *g, const ir_node *n, ir_dim rows) {
    const ir_type *y = n->n_results ? graph_type(g, n->first_result) : NULL;
    switch (n->op) {
    case OP_padded_offsets:
    case OP_first_rows: return true;
    case OP_row_positions: return graph_node_of(g, n->inputs[0])->op == OP_padded_offsets;
    case OP_attention: return graph_node_of(g, n->inputs[3])->op == OP_padded_offsets && !node_input(n, 5);
    case OP_reshape: return !is_row_type(y, rows) || !reads_rows(g, n, rows) || y == graph_type(g, n->inputs[0]);
    case OP_gather_rows: return !is_row_type(graph_type(g, n->inputs[1]), rows);
    default: break;
    }
    if (op_has(n->op, TRAIT_LEAF)) return !is_row_type(y, rows);
    bool offsets = false; /* offsets of the padded batch mean something else afterwards */
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        ir_op maker = n->inputs[i] ? graph_node_of(g, n->inputs[i])->op : OP_input;
        offsets |= maker == OP_padded_offsets || maker == OP_first_rows;
    }
    return !offsets && (!reads_rows(g, n, rows) || (is_rowwise(n->op) && keeps_rows(g, n, rows)));
}

/* Does the node read padded places that will hold 0? A softmax that leaves them out does not. */
static bool reads_padding(const ir_graph *g, const ir_node *n, ir_dim rows, ir_value mask) {
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        const ir_node *maker = n->inputs[i] ? graph_node_of(g, n->inputs[i]) : NULL;
        if (!maker || maker->op != OP_reshape || is_row_type(graph_type(g, n->inputs[i]), rows)) continue;
        if (!is_row_type(graph_type(g, maker->inputs[0]), rows)) continue;
        if (n->op != OP_cross_entropy || i != 0 || node_input(n, 2) != mask) return true;
    }
    return false;
}

static bool can_unpad(const ir_graph *g, ir_dim rows, ir_value mask) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (!can_unpad_node(g, &g->nodes.data[i], rows) || reads_padding(g, &g->nodes.data[i], rows, mask)) return false;
    for (size_t i = 0; i < g->outputs.size; i++) { /* only what has a place for padding can be put back */
        const ir_node *n = graph_node_of(g, g->outputs.data[i].value);
        if (is_row_type(graph_type(g, g->outputs.data[i].value), rows) || n->op == OP_padded_offsets || n->op == OP_first_rows)
            return false;
    }
    return true;
}

/* ---- doing it ---- */

static const ir_type *kept_type(const unpadding *u, const ir_type *t) {
    ir_type kept = *t;
    kept.dims[0] = u->kept;
    return type_intern(u->rw.to->module->context, &kept);
}

/* The value with all rows, for what is computed on padded rows: the nodes down to the input are copied as they were. */
static ir_value with_all_rows(unpadding *u, ir_value old) {
    if (!is_row_type(graph_type(u->rw.from, old), u->rows)) return rewrite_value(&u->rw, old);
    return u->padded[old];
}

static ir_value gather_kept(unpadding *u, ir_value padded) { return build_binary(u->rw.to, OP_gather_rows, padded, u->index); }

/* Once the mask is there: its rows, the kept ones, and their offsets. */
static void count_rows(unpadding *u, const ir_node *mask_leaf) {
    ir_graph *to = u->rw.to;
    ir_value mask = rewrite_value(&u->rw, mask_leaf->first_result);
    ir_attr rows = attr_string("rows", "T");
    graph_set_scope(to, mask_leaf->scope);
    u->index = node_add(to, OP_kept_rows, &mask, 1, &rows, 1, NULL);
    u->offsets = u->index ? u->index + 1 : IR_NO_VALUE;
    u->like = build_declared(to, OP_reshape, mask, type_tensor(to->module->context, graph_type(to, mask)->dtype, 1, &u->rows));
}

/* Kept rows back among the padded ones. */
static ir_value scatter_kept(unpadding *u, ir_value old) {
    ir_value inputs[] = {rewrite_value(&u->rw, old), u->index, u->like};
    return node_add(u->rw.to, OP_scatter_rows, inputs, 3, NULL, 0, NULL);
}

static void unpad_reshape(unpadding *u, const ir_node *n) {
    ir_graph *to = u->rw.to;
    const ir_type *y = rewrite_type(&u->rw, graph_type(u->rw.from, n->first_result));
    if (is_row_type(graph_type(u->rw.from, n->inputs[0]), u->rows)) { /* rows to a padded output */
        const ir_type *x = graph_type(u->rw.from, n->inputs[0]);
        if (x == y) {
            rewrite_map(&u->rw, n->first_result, rewrite_value(&u->rw, n->inputs[0]));
            return;
        }
        rewrite_map(&u->rw, n->first_result, build_declared(to, OP_reshape, scatter_kept(u, n->inputs[0]), y));
        return;
    }
    ir_value padded = build_declared(to, OP_reshape, rewrite_value(&u->rw, n->inputs[0]), y);
    if (!is_row_type(y, u->rows)) {
        rewrite_map(&u->rw, n->first_result, padded);
        return;
    }
    u->padded[n->first_result] = padded;
    rewrite_map(&u->rw, n->first_result, gather_kept(u, padded));
}

/* Places within the padded sequence, of the kept rows. */
static void unpad_positions(unpadding *u, const ir_node *n) {
    const ir_node *offsets = graph_node_of(u->rw.from, n->inputs[0]);
    ir_value padded_offsets = build_unary(u->rw.to, OP_padded_offsets, rewrite_value(&u->rw, offsets->inputs[0]));
    ir_value like = with_all_rows(u, n->inputs[1]);
    ir_value places = build_binary(u->rw.to, OP_row_positions, padded_offsets, like ? like : u->like);
    rewrite_map(&u->rw, n->first_result, gather_kept(u, places));
}

/* By the index of somebody who counts padded rows. */
static void unpad_gather(unpadding *u, const ir_node *n) {
    ir_value index = rewrite_value(&u->rw, n->inputs[1]);
    rewrite_map(&u->rw, n->first_result, build_binary(u->rw.to, OP_gather_rows, scatter_kept(u, n->inputs[0]), index));
}

static void unpad_node(unpadding *u, const ir_node *n) {
    rewrite_visit(&u->rw, n);
    bool gathers_rows = n->op == OP_gather_rows && is_row_type(graph_type(u->rw.from, n->inputs[0]), u->rows);
    if (n->op == OP_reshape) unpad_reshape(u, n);
    else if (gathers_rows && graph_node_of(u->rw.from, n->inputs[1])->op != OP_first_rows) unpad_gather(u, n);
    else if (n->op == OP_row_positions) unpad_positions(u, n);
    else if (n->op == OP_padded_offsets) rewrite_map(&u->rw, n->first_result, u->offsets);
    else if (op_has(n->op, TRAIT_DECLARED) && !op_has(n->op, TRAIT_LEAF) &&
             is_row_type(graph_type(u->rw.from, n->first_result), u->rows))
        rewrite_map(&u->rw, n->first_result,
                    build_declared(u->rw.to, n->op, rewrite_value(&u->rw, n->inputs[0]),
                                   kept_type(u, graph_type(u->rw.from, n->first_result))));
    else rewrite_copy(&u->rw, n);
}

/* B*S at its largest, as the bound of T. */
static int64_t rows_bound(const ir_graph *g, ir_dim rows) {
    int64_t bound = rows.scale;
    for (int i = 0; i < 2; i++)
        if (rows.symbol[i] && __builtin_mul_overflow(bound, graph_symbol_bound(g, rows.symbol[i]), &bound)) return INT32_MAX;
    return bound < INT32_MAX ? bound : INT32_MAX; /* offsets are i32 */
}

static pofac_status unpad_graph(void *user, const ir_graph *from, ir_module *to) {
    unpadding u = {.in = user, .mask = find_mask(from)};
    bool can = u.mask != IR_NO_VALUE;
    if (can) {
        const ir_type *mask = graph_type(from, u.mask);
        bool ok;
        u.rows = dim_mul(mask->dims[0], mask->dims[1], &ok);
        can = ok && graph_symbol_bound(from, symbol_named(to->context, "T")) == 0 && can_unpad(from, u.rows, u.mask);
    }
    u.padded = calloc(from->values.size, sizeof *u.padded);
    if (!u.padded) return diag_out_of_memory(u.in->sink);
    pofac_status status = rewrite_begin(&u.rw, from, to);
    if (status == POFAC_OK) {
        if (can) {
            u.kept = dim_symbol(graph_declare_symbol(u.rw.to, "T", rows_bound(from, u.rows)));
            rewrite_copy(&u.rw, graph_node_of(from, u.mask)); /* first: everything else may need it */
            count_rows(&u, graph_node_of(from, u.mask));
        }
        for (size_t i = 0; i < from->nodes.size; i++) {
            const ir_node *n = &from->nodes.data[i];
            if (!can) rewrite_copy(&u.rw, n);
            else if (n->first_result != u.mask) unpad_node(&u, n);
        }
        status = rewrite_finish(&u.rw);
    }
    free(u.padded);
    return status;
}

pofac_status pass_unpad(const pass_input *in, ir_module **out) {
    return rewrite_module(in->module, unpad_graph, (void *)in, in->sink, out);
}
