/*
 * Solves the shapes of inputs for symbols: passes over all dimensions until none tells anything new. A dimension with one unknown
 * symbol is linear in it, also when the other symbol of a product is known by then, so one division decides. Dimensions over
 * nnz(%p) are left to whoever knows the pattern. Rows that a mask keeps (op kept_rows) are counted in the mask, which must be an input, those
 * that have labels or are drawn (ops labelled_rows, sampled_rows) as counted_rows.h says.
 */
#include "ir/binding.h"

#include <inttypes.h>

#include "ir/counted_rows.h"
#include "ir/op.h"

typedef struct solver {
    const ir_graph *graph;
    const diag_sink *sink;
    int64_t *values;
    size_t n_values;
    bool learned; /* in this pass */
} solver;

/* One dimension of one input. */
typedef struct place {
    const char *input;
    uint32_t axis;
    ir_dim dim;
    int64_t found;
} place;

static void print_dim(const solver *s, ir_dim d, strbuf *out) {
    dim_print(s->graph->module->context, d, graph_print_value, s->graph, out);
}

static pofac_status wrong_type(const solver *s, const char *input, const ir_tensor *found, const ir_type *wanted) {
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "input %s is %s[", input, dtype_name(found->dtype));
    for (uint32_t i = 0; i < found->rank; i++) strbuf_printf(&text, i ? ",%" PRId64 : "%" PRId64, found->dims[i]);
    strbuf_puts(&text, "], wanted ");
    type_print(s->graph->module->context, wanted, graph_print_value, s->graph, &text);
    pofac_status status = diag_error(s->sink, POFAC_ERR_INPUT, NULL, "%s", strbuf_str(&text));
    strbuf_free(&text);
    return status;
}

/* "input X: dimension 1 (S) is 7, wanted 8"; with `symbol`, "wanted 1 to 512 for S"; with a negative `wanted`, "wanted 2*T". */
static pofac_status wrong_number(const solver *s, const place *p, int64_t wanted, const char *symbol) {
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "input %s: dimension %" PRIu32, p->input, p->axis);
    if (!dim_is_const(p->dim, NULL) && wanted >= 0) {
        strbuf_puts(&text, " (");
        print_dim(s, p->dim, &text);
        strbuf_putc(&text, ')');
    }
    strbuf_printf(&text, " is %" PRId64 ", wanted ", p->found);
    if (symbol) strbuf_printf(&text, "1 to %" PRId64 " for %s", wanted, symbol);
    else if (wanted >= 0) strbuf_printf(&text, "%" PRId64, wanted);
    else print_dim(s, p->dim, &text);
    pofac_status status = diag_error(s->sink, POFAC_ERR_INPUT, NULL, "%s", strbuf_str(&text));
    strbuf_free(&text);
    return status;
}

static pofac_status learn(solver *s, const place *p, ir_symbol symbol, int64_t value) {
    int64_t upper = graph_symbol_bound(s->graph, symbol);
    if (value < 1 || value > upper) return wrong_number(s, p, upper, symbol_name(s->graph->module->context, symbol));
    s->values[symbol] = value;
    s->learned = true;
    return POFAC_OK;
}

static pofac_status solve_dim(solver *s, const place *p) {
    ir_symbol unknown = 0;
    int64_t factor = p->dim.scale;
    for (int i = 0; i < 2; i++) {
        ir_symbol symbol = p->dim.symbol[i];
        if (symbol == 0) continue;
        if (symbol_kind(s->graph->module->context, symbol) == SYMBOL_NNZ) return POFAC_OK;
        if (s->values[symbol] < 0 && unknown) return POFAC_OK; /* two unknowns: perhaps in a later pass */
        if (s->values[symbol] < 0) unknown = symbol;
        else if (__builtin_mul_overflow(factor, s->values[symbol], &factor)) return wrong_number(s, p, -1, NULL);
    }
    if (!unknown) {
        int64_t wanted = dim_eval(p->dim, (ir_binding){s->values, s->n_values});
        return wanted == p->found ? POFAC_OK : wrong_number(s, p, wanted, NULL);
    }
    int64_t rest;
    if (factor == 0 || __builtin_sub_overflow(p->found, p->dim.offset, &rest) || rest % factor != 0)
        return wrong_number(s, p, -1, NULL);
    return learn(s, p, unknown, rest / factor);
}

static pofac_status solve_input(solver *s, const tensor_source *inputs, const char *name, const ir_type *type) {
    ir_tensor found;
    TRY(inputs->get(inputs->user, name, s->sink, &found));
    if (found.dtype != type->dtype || found.rank != type->rank || found.pattern) return wrong_type(s, name, &found, type);
    for (uint32_t axis = 0; axis < type->rank; axis++) {
        place p = {.input = name, .axis = axis, .dim = type->dims[axis], .found = found.dims[axis]};
        TRY(solve_dim(s, &p));
    }
    return POFAC_OK;
}

/* The symbol of a node's first result is `count`: as many rows as input `name` keeps or labels. */
static pofac_status set_counted(solver *s, const ir_node *n, const char *name, const char *does, int64_t count) {
    const ir_symbol symbol = graph_type(s->graph, n->first_result)->dims[0].symbol[0];
    const char *text = symbol_name(s->graph->module->context, symbol);
    const int64_t upper = graph_symbol_bound(s->graph, symbol);
    if (count > upper)
        return diag_error(s->sink, POFAC_ERR_INPUT, NULL, "input %s %s %" PRId64 " rows, wanted at most %" PRId64 " for %s", name,
                          does, count, upper, text);
    if (s->values[symbol] >= 0 && s->values[symbol] != count)
        return diag_error(s->sink, POFAC_ERR_INPUT, NULL, "input %s %s %" PRId64 " rows, other inputs say that %s is %" PRId64,
                          name, does, count, text, s->values[symbol]);
    s->values[symbol] = count;
    return POFAC_OK;
}

/* Counts the rows that the mask of a kept_rows keeps. */
static pofac_status count_kept(solver *s, const tensor_source *inputs, const ir_node *n) {
    const ir_node *leaf = graph_node_of(s->graph, n->inputs[0]);
    ir_tensor mask;
    if (leaf->op != OP_input) return POFAC_OK; /* stays unknown; whoever needs it says so */
    const char *name = node_string(leaf, "name");
    TRY(inputs->get(inputs->user, name, s->sink, &mask));
    int64_t elements = tensor_elements(&mask), kept = 0;
    for (int64_t i = 0; i < elements; i++) kept += i % mask.dims[1] == 0 || tensor_get_int(&mask, i) != 0;
    return set_counted(s, n, name, "keeps", kept);
}

/* Counts the rows of a labelled_rows or sampled_rows. */
static pofac_status count_chosen(solver *s, const tensor_source *inputs, const ir_node *n) {
    const char *name;
    int64_t count;
    TRY(count_chosen_rows(s->graph, n, inputs, (ir_binding){s->values, s->n_values}, s->sink, &count, &name));
    if (count < 0) return POFAC_OK; /* stays unknown */
    return set_counted(s, n, name, n->op == OP_labelled_rows ? "labels" : "leads to", count);
}

pofac_status binding_from_inputs(const ir_graph *g, const tensor_source *inputs, const diag_sink *sink, int64_t *values,
                                 size_t n_values) {
    solver s = {.graph = g, .sink = sink, .values = values, .n_values = n_values, .learned = true};
    for (size_t i = 0; i < s.n_values; i++) values[i] = -1;
    while (s.learned) {
        s.learned = false;
        for (size_t i = 0; i < g->nodes.size; i++) {
            const ir_node *n = &g->nodes.data[i];
            if (n->op == OP_input) TRY(solve_input(&s, inputs, node_string(n, "name"), graph_type(g, n->first_result)));
        }
    }
    for (size_t i = 0; i < g->nodes.size; i++) {
        if (g->nodes.data[i].op == OP_kept_rows) TRY(count_kept(&s, inputs, &g->nodes.data[i]));
        if (g->nodes.data[i].op == OP_labelled_rows || g->nodes.data[i].op == OP_sampled_rows)
            TRY(count_chosen(&s, inputs, &g->nodes.data[i]));
    }
    return POFAC_OK;
}
