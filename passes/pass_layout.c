/*
 * Layout: puts activations into tiles<W>, the layout in which W tokens stand side by side for each feature, so that sparse
 * products, layer norm, softmax and attention all run on full vectors without transposes.
 *
 * Ops with the trait TILED run in tiles when they are f32; elementwise ops, those of quantization, gather_rows and its gradient follow their inputs; everything else
 * runs in rows, and so do the graph's outputs. Where maker and reader differ, a relayout node converts, once per value and layout,
 * where it is first needed. Relayouts that the graph had are dropped: whoever reads them asks again, so running the pass twice is
 * running it once. Leaves keep the layout that they are declared in.
 *
 * Activations in 8 bits are read in quads<W>, or in tiles<W> by linears whose variant says "bytes=tiles"; `quantize` writes them so: there is one for
 * each layout that somebody reads. Rows of them, beside these, are a relayout.
 */
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

#define DEFAULT_TILE 32
enum { N_LAYOUTS = LAYOUT_QUADS + 1 };

typedef struct layout_state {
    rewriter rw;
    uint32_t tile;                  /* W */
    ir_value *source;               /* [values of the old graph] the value itself; of a relayout, that of its input */
    ir_value *converted[N_LAYOUTS]; /* [values of the old graph] the value in that layout, where a node was made for it */
    uint8_t *read;                  /* [values of the old graph] of bytes: 1 << layout of those that somebody reads */
} layout_state;

static bool is_quantization(ir_op op) {
    return op == OP_observe_range || op == OP_fake_quantize || op == OP_fake_quantize_gradient;
}

/* Matrices that no op reads in tiles: weights and their ranges, a teacher's too, and logits of a few classes. */
static bool stays_in_rows(const ir_node *n, uint32_t i) {
    if (n->op == OP_linear_int8) return i >= 2;
    const bool distils = n->op == OP_linear_kl_divergence || n->op == OP_linear_soft_cross_entropy;
    return (i == 1 && op_has(n->op, TRAIT_WEIGHTED)) || (i == 3 && distils);
}

/* Is input i of the node an activation, i.e. a matrix that has a row per token? */
static bool is_activation(const ir_graph *g, const ir_node *n, uint32_t i) {
    if (node_input(n, i) == IR_NO_VALUE || stays_in_rows(n, i)) return false;
    const ir_type *t = graph_type(g, n->inputs[i]);
    return t->kind == TYPE_TENSOR && t->rank == 2 && (t->dtype == IR_F32 || (t->dtype == IR_U8 && n->op == OP_linear_int8));
}

/* In what an op that runs in tiles reads its input i. */
static ir_layout tiled_layout(const ir_graph *g, const ir_node *n, uint32_t i) {
    if (!is_activation(g, n, i)) return LAYOUT_ROWS;
    return graph_type(g, n->inputs[i])->dtype == IR_U8 && !strstr(node_string(n, "variant"), "bytes=tiles") ? LAYOUT_QUADS
                                                                                                            : LAYOUT_TILES;
}

/* The new value of `old`, in the layout if it is a tensor. */
static ir_value in_layout(layout_state *s, ir_value old, ir_layout layout) {
    old = s->source[old];
    ir_value v = rewrite_value(&s->rw, old);
    if (v == IR_NO_VALUE) return v;
    const ir_type *t = graph_type(s->rw.to, v), *wanted;
    if (t->kind != TYPE_TENSOR) return v;
    wanted = type_with_layout(s->rw.to->module->context, t, layout, layout == LAYOUT_ROWS ? 0 : s->tile);
    if (t == wanted) return v;
    ir_value *converted = &s->converted[layout][old];
    if (*converted == IR_NO_VALUE) *converted = build_declared(s->rw.to, OP_relayout, v, wanted);
    return *converted;
}

static bool is_tiled(const layout_state *s, ir_value old) {
    ir_value v = s->rw.map[s->source[old]];
    return v != IR_NO_VALUE && type_is_tiled(graph_type(s->rw.to, v));
}

static bool runs_tiled(const layout_state *s, const ir_node *n) {
    const ir_graph *g = s->rw.from;
    if (!is_activation(g, n, 0)) return false;
    if (op_has(n->op, TRAIT_TILED)) return true;
    if (n->op == OP_scatter_rows) /* gradients of gather_rows; others put rows back into what is an output */
        return is_tiled(s, n->inputs[0]) && graph_node_of(g, n->inputs[1])->op != OP_kept_rows;
    if (n->op == OP_cast || !(op_has(n->op, TRAIT_ELEMENTWISE) || n->op == OP_gather_rows || is_quantization(n->op))) return false;
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (is_activation(g, n, i) && is_tiled(s, n->inputs[i])) return true;
    return false;
}

/* The type that an op declares for its result when its inputs are in rows. */
static const ir_type *declared_in_rows(layout_state *s, const ir_node *n) {
    if (!op_has(n->op, TRAIT_DECLARED)) return NULL;
    const ir_type *t = rewrite_type(&s->rw, graph_type(s->rw.from, n->first_result));
    return t ? type_with_layout(s->rw.to->module->context, t, LAYOUT_ROWS, 0) : NULL;
}

/* One for each layout that is read, of which rows are a relayout of another; what nobody reads is in rows. */
static void place_quantize(layout_state *s, const ir_node *n) {
    ir_context *c = s->rw.to->module->context;
    const ir_type *t = rewrite_type(&s->rw, graph_type(s->rw.from, n->first_result));
    const uint8_t rows = 1 << LAYOUT_ROWS, read = s->read[n->first_result] ? s->read[n->first_result] : rows;
    const bool tiled = read != rows;
    const ir_value x = in_layout(s, n->inputs[0], tiled ? LAYOUT_TILES : LAYOUT_ROWS),
                   range = in_layout(s, n->inputs[1], tiled ? tiled_layout(s->rw.from, n, 1) : LAYOUT_ROWS);
    for (int layout = 0; layout < N_LAYOUTS; layout++) {
        if (!t || !(read >> layout & 1) || (tiled && layout == LAYOUT_ROWS)) continue;
        const ir_value q =
            node_add(s->rw.to, OP_quantize, (ir_value[]){x, range}, 2, NULL, 0, type_with_layout(c, t, (ir_layout)layout, s->tile));
        s->converted[layout][n->first_result] = q;
        rewrite_map(&s->rw, n->first_result, q);
    }
}

static void place_node(layout_state *s, const ir_node *n) {
    ir_value inputs[UINT8_MAX];
    if (n->op == OP_relayout) return;
    rewrite_visit(&s->rw, n);
    if (n->op == OP_quantize) {
        place_quantize(s, n);
        return;
    }
    bool tiled = runs_tiled(s, n);
    for (uint32_t i = 0; i < n->n_inputs; i++)
        inputs[i] = n->inputs[i] ? in_layout(s, n->inputs[i], tiled ? tiled_layout(s->rw.from, n, i) : LAYOUT_ROWS) : IR_NO_VALUE;
    if (op_has(n->op, TRAIT_LEAF)) rewrite_copy_unmarked(&s->rw, n, NULL, NULL);
    else rewrite_copy_unmarked(&s->rw, n, inputs, declared_in_rows(s, n));
}

/* Outputs in rows; the relayout stands in the scope of the node that makes the value. */
static void place_output(layout_state *s, ir_value old) {
    rewrite_visit(&s->rw, graph_node_of(s->rw.from, s->source[old]));
    rewrite_map(&s->rw, old, in_layout(s, old, LAYOUT_ROWS));
}

/* In which layouts each value of bytes is read. */
static void find_reads(layout_state *s, const ir_graph *g) {
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        for (uint32_t r = 0; r < n->n_results; r++) s->source[node_result(n, r)] = node_result(n, r);
        if (n->op == OP_relayout) s->source[n->first_result] = s->source[n->inputs[0]];
        else
            for (uint32_t k = 0; k < n->n_inputs; k++)
                if (n->inputs[k])
                    s->read[s->source[n->inputs[k]]] |=
                        (uint8_t)(1 << (n->op == OP_linear_int8 ? tiled_layout(g, n, k) : LAYOUT_ROWS));
    }
    for (size_t i = 0; i < g->outputs.size; i++) s->read[s->source[g->outputs.data[i].value]] |= 1 << LAYOUT_ROWS;
}

static bool has_variant(const ir_node *n) {
    return n->op == OP_linear || n->op == OP_linear_int8 || n->op == OP_linear_input_gradient || n->op == OP_linear_weight_gradient;
}

/* The width that the option and the variants of linears agree on; DEFAULT_TILE where neither names one. */
static pofac_status find_tile(const pass_input *in, const ir_graph *g, int64_t *out) {
    const pass_option_schema *option = pass_option_find(in->pass, "tile");
    TRY(pass_int_option(in, "tile", out));
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        const int64_t tile = has_variant(n) ? cost_variant_tile(node_string(n, "variant")) : 0;
        char number[24];
        if (tile == 0 || tile == *out) continue;
        snprintf(number, sizeof number, "%lld", (long long)(*out ? *out : tile));
        if (*out == 0 && pass_option_takes(option, number, NULL)) {
            *out = tile;
            continue;
        }
        const diag_place place = location_place(n->location);
        return diag_error(in->sink, POFAC_ERR_INPUT, &place, "%%%u = %s: layout: the variant is for tiles<%lld>, wanted %s",
                          graph_value_number(g, n->first_result), op_info(n->op)->name, (long long)tile,
                          *out ? number : option->values);
    }
    if (*out == 0) *out = DEFAULT_TILE;
    return POFAC_OK;
}

static pofac_status layout_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    int64_t tile = 0;
    layout_state s = {.source = ARENA_ARRAY(&memory, ir_value, from->values.size),
                      .read = ARENA_ARRAY(&memory, uint8_t, from->values.size)};
    pofac_status status = s.source && s.read ? POFAC_OK : diag_out_of_memory(in->sink);
    for (int i = 0; i < N_LAYOUTS && status == POFAC_OK; i++) {
        s.converted[i] = ARENA_ARRAY(&memory, ir_value, from->values.size);
        if (!s.converted[i]) status = diag_out_of_memory(in->sink);
    }
    if (status == POFAC_OK) status = find_tile(in, from, &tile);
    if (status == POFAC_OK) status = rewrite_begin(&s.rw, from, to);
    if (status == POFAC_OK) {
        s.tile = (uint32_t)tile;
        find_reads(&s, from);
        for (size_t i = 0; i < from->nodes.size; i++) place_node(&s, &from->nodes.data[i]);
        for (size_t i = 0; i < from->outputs.size; i++) place_output(&s, from->outputs.data[i].value);
        status = rewrite_finish(&s.rw);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_layout(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, layout_graph, &copy, in->sink, out);
}
