/*
 * Quantize: linears compute on what 8 bits hold of their weights and activations, and learn the ranges (quantization-aware training; spec of the
 * method: prune once for all, section 7; Zafrir et al. 2019).
 *
 *                                  %r = state {name = "M.input_range", frozen = true} : f32[2]
 *                                  %s = observe_range %x, %r, %forward {averaging = 0.01}
 *   linear %x, %w, %b        ->    linear fake_quantize(%x, %s), fake_quantize(%w, ...), %b          returns "M.input_range" = %s
 *
 * M is the linear's module. The weight's range, M.weight_range, is that of all steps, symmetric; inputs and outputs have moving averages. Linears that
 * read one value by such a range share what is known of it, under the first one's name; a module that stands twice in a graph learns of both, one after the other. Linears
 * of values in 8 bits are left as they are. The result goes through M.output_range where the environment says so. Where it wants ranges of rows, an input
 * has no state: it is quantized by its row_range; ranges of channels are M.weight_range, f32 [N,2].
 * Non-zeros of a pattern are quantized as such: 0 stays 0. With `ranges` known (trained=0), nothing is observed: the graph of inference as training sees it.
 * Which linears, the environment's `quantizes` says; without it the graph is copied. Weights that others read as well are quantized for the linear alone.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"

#define AVERAGING 0.01

typedef struct quantize_state {
    const pass_input *in;
    rewriter rw;
    arena memory;
    int64_t begin, trained;
    ir_value forward;       /* the input, in the new graph; IR_NO_VALUE: not made */
    ir_value *quantized[2]; /* [by ranges of rows][old values] as 8 bits hold it; IR_NO_VALUE: not yet */
    strmap observed;        /* name of a range -> number of `ranges` */
    ir_value *ranges;       /* as the forward pass leaves them */
} quantize_state;

/* ---- names ---- */

static bool ends_with(const char *text, size_t length, const char *ending, size_t n) {
    return length >= n && memcmp(text + length - n, ending, n) == 0;
}

/* The module of a linear: its weight's name without ".weight", a masked one's too; of a weight that belongs to another module, the scope. */
static const char *module_of(quantize_state *s, const ir_node *linear) {
    static const char ending[] = ".weight";
    const ir_node *leaf = graph_node_of(s->rw.from, linear->inputs[1]);
    if (leaf->op == OP_dense_to_sparse) leaf = graph_node_of(s->rw.from, leaf->inputs[0]);
    const char *name = leaf->op == OP_state ? node_string(leaf, "name") : "", *scope = linear->scope;
    const size_t length = strlen(name), stem = length - (sizeof ending - 1), n = strlen(scope);
    if (!ends_with(name, length, ending, sizeof ending - 1) || !ends_with(name, stem, scope, n)) return scope;
    return arena_printf(&s->memory, "%.*s", (int)stem, name);
}

/* ---- nodes ---- */

static ir_value forward_of(quantize_state *s) {
    if (s->forward == IR_NO_VALUE && s->trained)
        s->forward = build_leaf(s->rw.to, OP_input, "forward", type_tensor(s->rw.to->module->context, IR_I64, 0, NULL));
    return s->forward;
}

/* The range of that name, of n rows or, with NULL, of all, as the forward pass has left it so far: the state, or what a linear before has made of it. NULL:
 * memory is short. */
static ir_value *range_of(quantize_state *s, const char *name, const ir_dim *n) {
    const ir_dim dims[2] = {n ? *n : dim_const(2), dim_const(2)};
    const ir_type *type = type_tensor(s->rw.to->module->context, IR_F32, n ? 2 : 1, dims);
    bool is_new = false;
    const strmap_entry *e = type ? strmap_put(&s->observed, name, strlen(name), s->observed.size, &is_new) : NULL;
    if (!e) return NULL;
    ir_value *range = &s->ranges[e->value];
    const ir_attr leaf[] = {attr_string("name", name), attr_bool("frozen", true)};
    if (is_new) *range = node_add(s->rw.to, OP_state, NULL, 0, leaf, 2, type);
    return range;
}

/* Rows of a weight that have ranges of their own. */
typedef struct weight_channels {
    const ir_dim *n;  /* NULL: there is one range for all */
    ir_value pattern; /* of the new graph, whose non-zeros the weight is; IR_NO_VALUE: it is dense */
} weight_channels;

/* x as 8 bits hold it, by the range of the state MODULE.ENDING. */
static ir_value quantize_value(quantize_state *s, ir_value x, const char *module, const char *ending, const char *scheme,
                               weight_channels channels) {
    ir_graph *g = s->rw.to;
    const char *name = arena_printf(&s->memory, "%s%s", module, ending);
    ir_value *range = name ? range_of(s, name, channels.n) : NULL;
    if (!range) {
        if (g->module->status == POFAC_OK) g->module->status = diag_out_of_memory(s->in->sink);
        return IR_NO_VALUE;
    }
    const bool is_weight = strcmp(scheme, "symmetric") == 0;
    const ir_value forward = forward_of(s);
    const uint32_t n = channels.pattern != IR_NO_VALUE ? 4 : forward == IR_NO_VALUE ? 2 : 3;
    const ir_attr observing[] = {attr_float("averaging", is_weight ? 0 : AVERAGING), attr_int("begin", s->begin)},
                  holding[] = {attr_enum("scheme", scheme), observing[1]};
    if (s->trained)
        *range = node_add(g, OP_observe_range, (ir_value[]){x, *range, forward, channels.pattern}, n, observing, 2, NULL);
    return node_add(g, OP_fake_quantize, (ir_value[]){x, *range, forward, channels.pattern}, n, holding, 2, NULL);
}

/* The value of the old graph in 8 bits, made once for all that read it by one range, and once for those that read it by ranges of rows. */
static ir_value quantize_input(quantize_state *s, ir_value old, const char *module, pass_quantized what) {
    const ir_value x = rewrite_value(&s->rw, old);
    ir_value *made = &s->quantized[what == PASS_QUANTIZED_ROWS][old];
    if (*made != IR_NO_VALUE) return *made;
    if (what == PASS_QUANTIZED_ROWS) *made = build_binary(s->rw.to, OP_fake_quantize, x, build_unary(s->rw.to, OP_row_range, x));
    else *made = quantize_value(s, x, module, IR_INPUT_RANGE, "affine", (weight_channels){NULL, IR_NO_VALUE});
    return *made;
}

static weight_channels channels_of(quantize_state *s, const ir_node *linear, pass_quantized what) {
    const ir_value pattern = node_input(linear, 3);
    if (!(what & PASS_QUANTIZED_CHANNELS)) return (weight_channels){NULL, IR_NO_VALUE};
    return (weight_channels){graph_type(s->rw.from, pattern ? pattern : linear->inputs[1])->dims, rewrite_value(&s->rw, pattern)};
}

static pofac_status place_linear(quantize_state *s, const ir_node *n, const char *module, pass_quantized what) {
    rewrite_visit(&s->rw, n);
    ir_value inputs[4];
    for (uint32_t i = 0; i < 4; i++) inputs[i] = rewrite_value(&s->rw, node_input(n, i));
    const pass_quantized activations = what & ~PASS_QUANTIZED_CHANNELS;
    inputs[0] = quantize_input(s, n->inputs[0], module, activations);
    inputs[1] = quantize_value(s, inputs[1], module, IR_WEIGHT_RANGE, "symmetric", channels_of(s, n, what));
    const ir_attr variant = attr_string("variant", node_string(n, "variant"));
    ir_value y = node_add(s->rw.to, OP_linear, inputs, n->n_inputs, &variant, 1, NULL);
    if (activations == PASS_QUANTIZED_WHOLE)
        y = quantize_value(s, y, module, IR_OUTPUT_RANGE, "affine", (weight_channels){NULL, IR_NO_VALUE});
    rewrite_map(&s->rw, n->first_result, y);
    return POFAC_OK;
}

static pofac_status place_node(quantize_state *s, const ir_node *n) {
    const pass_environment *e = s->in->environment;
    pass_quantized what = PASS_QUANTIZED_NOT;
    const char *module = NULL;
    if (n->op == OP_linear && e->quantizes && graph_node_of(s->rw.from, n->inputs[0])->op != OP_fake_quantize) {
        module = module_of(s, n);
        if (!module) return diag_out_of_memory(s->in->sink);
        what = e->quantizes(e->quantizes_user, module);
    }
    if (what != PASS_QUANTIZED_NOT) return place_linear(s, n, module, what);
    rewrite_copy_unmarked(&s->rw, n, NULL, NULL);
    return POFAC_OK;
}

static size_t count_linears(const ir_graph *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.size; i++) n += g->nodes.data[i].op == OP_linear;
    return n;
}

static pofac_status rewrite_graph(quantize_state *s, const ir_graph *from, ir_module *to) {
    TRY(rewrite_begin(&s->rw, from, to));
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < from->nodes.size && status == POFAC_OK; i++) status = place_node(s, &from->nodes.data[i]);
    for (size_t i = 0; i < s->observed.size && s->trained; i++)
        graph_add_output(s->rw.to, s->observed.entries[i].key, s->ranges[s->observed.entries[i].value]);
    const pofac_status finished = rewrite_finish(&s->rw);
    return status == POFAC_OK ? finished : status;
}

static pofac_status quantize_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    quantize_state s = {.in = in, .memory = ARENA_INIT, .forward = IR_NO_VALUE, .observed = STRMAP_INIT};
    const size_t most = 3 * count_linears(from) + 1;
    for (int rows = 0; rows < 2; rows++) s.quantized[rows] = ARENA_ARRAY(&s.memory, ir_value, from->values.size + 1);
    s.ranges = ARENA_ARRAY(&s.memory, ir_value, most);
    pofac_status status = s.quantized[0] && s.quantized[1] && s.ranges ? POFAC_OK : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) status = pass_int_option(in, "begin", &s.begin);
    if (status == POFAC_OK) status = pass_int_option(in, "trained", &s.trained);
    if (status == POFAC_OK) {
        for (size_t i = 0; i <= from->values.size; i++) s.quantized[0][i] = s.quantized[1][i] = IR_NO_VALUE;
        status = rewrite_graph(&s, from, to);
    }
    strmap_free(&s.observed);
    arena_free(&s.memory);
    return status;
}

pofac_status pass_quantize(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, quantize_graph, &copy, in->sink, out);
}
