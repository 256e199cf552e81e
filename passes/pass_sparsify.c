/*
 * Sparsify: a linear whose weight has enough zeros reads its non-zeros alone, and every linear gets the kernel that costs least.
 *
 *   %w = state {name = "w"} : f32[N,K]          %p = pattern {name = "w"} : pattern[N,K]
 *   linear %x, %w, %b                    ->     %v = state {name = "w"} : f32[nnz(%p)]
 *                                               linear %x, %v, %b, %p {variant = "..."}
 *
 * The zeros of the weights that the environment has are counted, and whether they come in blocks (ir/zero_structure.h); its cost source chooses for all weights of a graph at once: sparse
 * or dense, and the variant, which the node records, so that the text of the graph repeats the choice. Without a cost source a rule
 * on the share of zeros decides (ir/cost.h). Weights that the environment lacks are taken for dense: nobody should make them up just
 * to count zeros. Linears that are sparse or have a variant already are left alone; linears of one weight get one choice, made for the
 * longest of them. A weight that others read as well keeps its dense leaf beside the sparse one.
 *
 * Linears in integers (linear_int8) are treated in the same way, by what their own kernels cost.
 *
 * Results are the same bits: a dense sum only has products with zero more, which change nothing while x is finite.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

/* A weight by name, and what becomes of it. */
typedef struct weight {
    linear_problem problem;
    linear_choice choice;
    bool sparse;
    ir_value pattern, values; /* of the new graph, IR_NO_VALUE: not made yet */
} weight;

typedef struct sparsify_state {
    const pass_input *in;
    const ir_graph *g;
    arena *memory;
    int64_t min_sparsity; /* percent */
    ir_binding sizes;     /* what the choice is made for */
    weight *weights;
    size_t n_weights;
    uint32_t *weight_of; /* [values] 1 + index of the weight that a leaf is, when a linear may read it sparse; else 0 */
    bool *read_dense;    /* [values] somebody reads the leaf as it is */
} sparsify_state;

/* ---- which linears ---- */

/* Operands of a linear, in floats or in integers. */
static uint32_t weight_operand(const ir_node *n) { return n->op == OP_linear_int8 ? 2 : 1; }
static uint32_t pattern_operand(const ir_node *n) { return n->op == OP_linear_int8 ? 6 : 3; }

/* A linear for which a kernel is to be chosen: its weight a dense state leaf [N,K] of f32. */
static bool is_open(const ir_graph *g, const ir_node *n) {
    if (n->op != OP_linear && n->op != OP_linear_int8) return false;
    if (node_input(n, pattern_operand(n)) != IR_NO_VALUE || node_string(n, "variant")[0]) return false;
    const ir_value matrix = n->inputs[weight_operand(n)];
    const ir_type *w = graph_type(g, matrix);
    int64_t N, K;
    return graph_node_of(g, matrix)->op == OP_state && w->rank == 2 && w->dtype == IR_F32 && w->layout == LAYOUT_ROWS &&
           dim_is_const(w->dims[0], &N) && dim_is_const(w->dims[1], &K) && N > 0 && K > 0;
}

/* The weight of a leaf's name, entered where missing. */
static weight *enter_weight(sparsify_state *s, ir_value leaf, bool integers) {
    const char *name = node_string(graph_node_of(s->g, leaf), "name");
    const ir_type *t = graph_type(s->g, leaf);
    size_t i = 0;
    while (i < s->n_weights && strcmp(s->weights[i].problem.name, name) != 0) i++;
    s->weight_of[leaf] = (uint32_t)i + 1;
    if (i < s->n_weights) return &s->weights[i];
    linear_problem *p = &s->weights[s->n_weights++].problem;
    *p = (linear_problem){.name = name, .n_rows = 1, .integers = integers};
    dim_is_const(t->dims[0], &p->N);
    dim_is_const(t->dims[1], &p->K);
    p->nnz = p->N * p->K;
    return &s->weights[i];
}

static void find_weights(sparsify_state *s) {
    for (size_t i = 0; i < s->g->nodes.size; i++) {
        const ir_node *n = &s->g->nodes.data[i];
        if (!is_open(s->g, n)) continue;
        weight *w = enter_weight(s, n->inputs[weight_operand(n)], n->op == OP_linear_int8);
        int64_t rows = dim_eval(graph_type(s->g, n->inputs[0])->dims[0], s->sizes);
        if (rows > w->problem.n_rows) w->problem.n_rows = rows;
    }
}

/* ---- what is known about them ---- */

/* Does the graph make new content for the state? Then its form is not this graph's to choose. */
static bool is_updated(const sparsify_state *s, const char *name) {
    for (size_t i = 0; i < s->g->outputs.size; i++)
        if (strcmp(s->g->outputs.data[i].name, name) == 0) return true;
    return false;
}

/* Counts the zeros of a tensor if it is the weight. */
static void look_at(const sparsify_state *s, const ir_tensor *t, linear_problem *p) {
    if (dtype_class(t->dtype) != DTYPE_FLOAT || t->pattern || t->rank != 2 || t->dims[0] != p->N || t->dims[1] != p->K)
        return; /* whoever binds it will say so */
    p->nnz = p->N * p->K - tensor_count_zeros(t);
    double zeros = (double)(p->N * p->K - p->nnz), all = (double)p->N * (double)p->K;
    p->may_be_sparse = 100 * zeros >= (double)s->min_sparsity * all;
    if (p->may_be_sparse) p->structure = zero_structure_find(t);
}

static pofac_status read_weight(const sparsify_state *s, linear_problem *p) {
    const tensor_source *state = s->in->environment->state;
    ir_tensor t;
    if (!state || is_updated(s, p->name)) return POFAC_OK;
    pofac_status status = state->get(state->user, p->name, NULL, &t);
    if (status == POFAC_ERR_INPUT) return POFAC_OK; /* there is none of that name */
    if (status != POFAC_OK) return diag_out_of_memory(s->in->sink);
    look_at(s, &t, p);
    tensor_source_release(state, p->name);
    return POFAC_OK;
}

static pofac_status choose(sparsify_state *s) {
    const cost_source *costs = s->in->environment->costs;
    linear_problem *problems = ARENA_ARRAY(s->memory, linear_problem, s->n_weights + 1);
    linear_choice *choices = ARENA_ARRAY(s->memory, linear_choice, s->n_weights + 1);
    if (!problems || !choices) return diag_out_of_memory(s->in->sink);
    for (size_t i = 0; i < s->n_weights; i++) {
        TRY(read_weight(s, &s->weights[i].problem));
        problems[i] = s->weights[i].problem;
        choices[i] = cost_by_rule(&problems[i]);
    }
    if (costs && s->n_weights > 0) TRY(costs->choose(costs->user, problems, s->n_weights, s->in->sink, choices));
    for (size_t i = 0; i < s->n_weights; i++) {
        if (choices[i].sparse && !problems[i].may_be_sparse) continue; /* an answer to another question */
        s->weights[i].choice = choices[i];
        s->weights[i].sparse = choices[i].sparse;
    }
    return POFAC_OK;
}

/* The weight of a linear that reads non-zeros from now on, or that gets a variant; NULL: it stays as it is. */
static weight *chosen_weight(const sparsify_state *s, const ir_node *n) {
    if (!is_open(s->g, n)) return NULL;
    weight *w = &s->weights[s->weight_of[n->inputs[weight_operand(n)]] - 1];
    if (w->problem.integers != (n->op == OP_linear_int8)) return NULL; /* the choice is for others that read it */
    return w->sparse || w->choice.variant[0] ? w : NULL;
}

static void find_dense_readers(sparsify_state *s) {
    for (size_t i = 0; i < s->g->nodes.size; i++) {
        const ir_node *n = &s->g->nodes.data[i];
        const weight *w = chosen_weight(s, n);
        for (uint32_t k = 0; k < n->n_inputs; k++)
            if (n->inputs[k] != IR_NO_VALUE && !(w && w->sparse && k == weight_operand(n))) s->read_dense[n->inputs[k]] = true;
    }
    for (size_t i = 0; i < s->g->outputs.size; i++) s->read_dense[s->g->outputs.data[i].value] = true;
}

/* ---- the new graph ---- */

/* A state leaf: dense if somebody reads it so, and the pattern and non-zeros of a sparse weight where its first leaf stands. */
static void place_leaf(const sparsify_state *s, rewriter *rw, const ir_node *n) {
    weight *w = s->weight_of[n->first_result] ? &s->weights[s->weight_of[n->first_result] - 1] : NULL;
    bool sparse = w && w->sparse;
    if (!sparse || s->read_dense[n->first_result]) rewrite_copy_unmarked(rw, n, NULL, NULL);
    if (!sparse || w->pattern != IR_NO_VALUE) return;
    ir_context *c = rw->to->module->context;
    const ir_type *t = graph_type(s->g, n->first_result);
    rewrite_visit(rw, n);
    w->pattern = build_leaf(rw->to, OP_pattern, w->problem.name, type_pattern(c, t->dims[0], t->dims[1]));
    ir_dim nnz = dim_symbol(symbol_nnz(c, w->pattern));
    w->values = build_leaf(rw->to, OP_state, w->problem.name, type_tensor(c, t->dtype, 1, &nnz));
}

static void place_linear(const weight *w, rewriter *rw, const ir_node *n) {
    ir_value inputs[7] = {IR_NO_VALUE};
    const uint32_t values = weight_operand(n), pattern = pattern_operand(n);
    ir_attr variant = attr_string("variant", w->choice.variant);
    for (uint32_t i = 0; i < pattern; i++) inputs[i] = w->sparse && i == values ? w->values : rewrite_value(rw, node_input(n, i));
    inputs[pattern] = w->sparse ? w->pattern : IR_NO_VALUE;
    rewrite_visit(rw, n);
    ir_value y = node_add(rw->to, n->op, inputs, pattern + 1, &variant, w->choice.variant[0] != 0, NULL);
    rewrite_map(rw, n->first_result, y);
}

static pofac_status rewrite_graph(const sparsify_state *s, ir_module *to) {
    rewriter rw;
    TRY(rewrite_begin(&rw, s->g, to));
    for (size_t i = 0; i < s->g->nodes.size; i++) {
        const ir_node *n = &s->g->nodes.data[i];
        const weight *w = chosen_weight(s, n);
        if (n->op == OP_state) place_leaf(s, &rw, n);
        else if (w) place_linear(w, &rw, n);
        else rewrite_copy_unmarked(&rw, n, NULL, NULL);
    }
    return rewrite_finish(&rw);
}

static pofac_status sparsify_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    arena memory = ARENA_INIT;
    int64_t rows = 0;
    sparsify_state s = {.in = in, .g = from, .memory = &memory};
    s.weights = ARENA_ARRAY(&memory, weight, from->nodes.size + 1);
    s.weight_of = ARENA_ARRAY(&memory, uint32_t, from->values.size + 1);
    s.read_dense = ARENA_ARRAY(&memory, bool, from->values.size + 1);
    pofac_status status = s.weights && s.weight_of && s.read_dense ? POFAC_OK : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) status = pass_int_option(in, "min_sparsity", &s.min_sparsity);
    if (status == POFAC_OK) status = pass_int_option(in, "rows", &rows);
    if (in->environment->tokens > 0) rows = in->environment->tokens;
    if (status == POFAC_OK) status = pass_typical_sizes(in, from, rows, &memory, &s.sizes);
    if (status == POFAC_OK) {
        find_weights(&s);
        status = choose(&s);
    }
    if (status == POFAC_OK) {
        find_dense_readers(&s);
        status = rewrite_graph(&s, to);
    }
    arena_free(&memory);
    return status;
}

pofac_status pass_sparsify(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, sparsify_graph, &copy, in->sink, out);
}
