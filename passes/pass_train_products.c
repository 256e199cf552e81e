/*
 * Train-products: how the products of a training step are computed. The forward product of a weight, its input gradient and its weight
 * gradient together run on the pattern or dense, whichever costs less in sum, and each gets the kernel that costs least.
 *
 *   linear %x, %v, %b, %p                             linear %x, %w, %b {variant = "..."}      %w = sparse_to_dense %v, %p
 *   linear_input_gradient %dy, %v, %p           ->    linear_input_gradient %dy, %w {variant = "..."}
 *   %d = linear_weight_gradient %x, %dy, %p           %d = dense_to_sparse (linear_weight_gradient %x, %dy {variant = "..."}), %p
 *
 * That is below break-even; above it, and for weights that are dense, nodes keep their form and get a variant. The weight, its gradient
 * and its moments stay non-zeros either way, so the pass may run after `autodiff` as well as after `optimizer`, and again after a mask
 * update. The cost source of the environment is asked for all weights at once, or else a rule on the share of zeros decides (ir/cost.h);
 * non-zeros are counted in the environment's state, and a weight that it lacks is left alone. So is one of which a product has a variant
 * already: the text of a graph repeats its choices without asking.
 *
 * A weight under a mask (pass `prune`) is dense_to_sparse of its original; it is treated in the same way, its non-zeros being the mask's. So is either
 * behind a fake_quantize (pass `quantize`).
 *
 * A weight gradient belongs to the weight whose input gradient is made from the same dy, or whose forward product reads the same x.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"

/* A weight by name, and what becomes of its products. */
typedef struct weight {
    linear_problem problem;
    linear_choice choice;
    ir_value values, pattern; /* of the old graph; pattern IR_NO_VALUE: it is dense */
    ir_value dense;           /* of the new graph: made of the non-zeros; IR_NO_VALUE: not yet */
    bool closed;              /* nothing is chosen */
} weight;

typedef struct products_state {
    const pass_input *in;
    const ir_graph *g;
    rewriter rw;
    arena memory;
    ir_binding sizes; /* what choices are made for */
    strmap index;     /* name -> number of `weights` */
    weight *weights;
    uint32_t *weight_of; /* [nodes] 1 + number of the weight whose product the node is; 0: none */
} products_state;

/* ---- which nodes ---- */

static bool is_product(const ir_node *n, linear_product *product) {
    static const ir_op ops[PRODUCT_INT8] = {OP_linear, OP_linear_input_gradient, OP_linear_weight_gradient};
    for (int i = 0; i < PRODUCT_INT8; i++) {
        *product = (linear_product)i;
        if (n->op == ops[i]) return true;
    }
    return false;
}

static ir_value pattern_of(const ir_node *n) { return node_input(n, n->op == OP_linear ? 3 : 2); }

/* The state that the weight of a forward product or an input gradient is: the weight itself, or the original of which a mask takes elements; of either
 * what 8 bits hold. */
static const ir_node *weight_state(const ir_graph *g, const ir_node *n) {
    const ir_node *read = graph_node_of(g, n->inputs[1]);
    if (read->op == OP_fake_quantize) read = graph_node_of(g, read->inputs[0]);
    const bool is_masked = read->op == OP_dense_to_sparse && read->inputs[1] == pattern_of(n);
    return is_masked ? graph_node_of(g, read->inputs[0]) : read;
}

/* Sizes of the weight that it reads; false when that is no state in f32. */
static bool read_sizes(const ir_graph *g, const ir_node *n, int64_t *N, int64_t *K) {
    const ir_type *w = graph_type(g, n->inputs[1]), *sizes = pattern_of(n) ? graph_type(g, pattern_of(n)) : w;
    return weight_state(g, n)->op == OP_state && w->dtype == IR_F32 && w->layout == LAYOUT_ROWS && sizes->rank == 2 &&
           (!pattern_of(n) || graph_node_of(g, pattern_of(n))->op == OP_pattern) && dim_is_const(sizes->dims[0], N) &&
           dim_is_const(sizes->dims[1], K) && *N > 0 && *K > 0;
}

static void add_product(products_state *s, size_t node, linear_product product, size_t number) {
    const ir_node *n = &s->g->nodes.data[node];
    weight *w = &s->weights[number];
    const int64_t rows = dim_eval(graph_type(s->g, n->inputs[0])->dims[0], s->sizes);
    s->weight_of[node] = (uint32_t)number + 1;
    if (product != PRODUCT_FORWARD) w->problem.gradients |= 1u << product;
    if (rows > w->problem.n_rows) w->problem.n_rows = rows;
    if (node_string(n, "variant")[0]) w->closed = true;
}

/* Does one of the values go through 8 bits? */
static bool is_quantized(const ir_graph *g, ir_value a, ir_value b) {
    return graph_node_of(g, a)->op == OP_fake_quantize || graph_node_of(g, b)->op == OP_fake_quantize;
}

/* The weight that a forward product or an input gradient reads, entered where missing. */
static pofac_status enter_reader(products_state *s, size_t node, linear_product product) {
    const ir_node *n = &s->g->nodes.data[node];
    int64_t N, K;
    bool is_new;
    if (!read_sizes(s->g, n, &N, &K)) return POFAC_OK;
    const char *name = node_string(weight_state(s->g, n), "name");
    const size_t next = s->index.size;
    const strmap_entry *e = strmap_put(&s->index, name, strlen(name), next, &is_new);
    if (!e) return diag_out_of_memory(s->in->sink);
    weight *w = &s->weights[e->value];
    if (is_new)
        *w = (weight){
            .problem = {.name = name, .N = N, .K = K, .n_rows = 1, .nnz = N * K}, .values = n->inputs[1], .pattern = pattern_of(n)};
    if ((w->pattern == IR_NO_VALUE) != (pattern_of(n) == IR_NO_VALUE)) w->closed = true; /* one state in two forms */
    if (w->values != n->inputs[1] && is_quantized(s->g, w->values, n->inputs[1])) w->closed = true;
    add_product(s, node, product, e->value);
    return POFAC_OK;
}

/* Is the weight gradient that of the weight which the other product reads? */
static bool belongs_to(const ir_graph *g, const ir_node *gradient, const ir_node *reader, bool by_dy) {
    const ir_type *x = graph_type(g, gradient->inputs[0]), *dy = graph_type(g, gradient->inputs[1]);
    int64_t N, K, of_x, of_dy;
    if (reader->op != (by_dy ? OP_linear_input_gradient : OP_linear) || !read_sizes(g, reader, &N, &K)) return false;
    return reader->inputs[0] == gradient->inputs[by_dy] && pattern_of(reader) == pattern_of(gradient) &&
           dim_is_const(x->dims[1], &of_x) && of_x == K && dim_is_const(dy->dims[1], &of_dy) && of_dy == N;
}

static void enter_weight_gradient(products_state *s, size_t node) {
    const ir_node *n = &s->g->nodes.data[node];
    for (int by_dy = 1; by_dy >= 0; by_dy--)
        for (size_t i = 0; i < s->g->nodes.size; i++) {
            if (!s->weight_of[i] || !belongs_to(s->g, n, &s->g->nodes.data[i], by_dy)) continue;
            add_product(s, node, PRODUCT_WEIGHT_GRADIENT, s->weight_of[i] - 1);
            return;
        }
}

static pofac_status find_products(products_state *s) {
    linear_product product;
    for (size_t i = 0; i < s->g->nodes.size; i++)
        if (is_product(&s->g->nodes.data[i], &product) && product != PRODUCT_WEIGHT_GRADIENT) TRY(enter_reader(s, i, product));
    for (size_t i = 0; i < s->g->nodes.size; i++)
        if (s->g->nodes.data[i].op == OP_linear_weight_gradient) enter_weight_gradient(s, i);
    return POFAC_OK;
}

/* ---- choosing ---- */

/* Counts the non-zeros of a weight with a pattern; one that the environment lacks, or has in another shape, is closed. */
static pofac_status count_non_zeros(const products_state *s, weight *w) {
    const tensor_source *state = s->in->environment->state;
    linear_problem *p = &w->problem;
    ir_tensor t;
    if (w->closed || w->pattern == IR_NO_VALUE) return POFAC_OK;
    const char *name = node_string(graph_node_of(s->g, w->pattern), "name"); /* the weight's own, or its mask's */
    w->closed = true;
    const pofac_status status = state ? state->get(state->user, name, NULL, &t) : POFAC_ERR_INPUT;
    if (status == POFAC_ERR_INPUT) return POFAC_OK; /* there is none of that name */
    if (status != POFAC_OK) return diag_out_of_memory(s->in->sink);
    const bool is_sparse = t.pattern && t.pattern->n_rows == p->N && t.pattern->n_columns == p->K,
               is_dense =
                   !t.pattern && t.rank == 2 && t.dims[0] == p->N && t.dims[1] == p->K && dtype_class(t.dtype) == DTYPE_FLOAT;
    if (is_sparse) p->nnz = t.pattern->nnz;
    if (is_dense) p->nnz = p->N * p->K - tensor_count_zeros(&t);
    w->closed = !is_sparse && !is_dense;
    p->may_be_sparse = true;
    tensor_source_release(state, name);
    return POFAC_OK;
}

static pofac_status choose(products_state *s) {
    const cost_source *costs = s->in->environment->costs;
    linear_problem *problems = ARENA_ARRAY(&s->memory, linear_problem, s->index.size + 1);
    linear_choice *choices = ARENA_ARRAY(&s->memory, linear_choice, s->index.size + 1);
    size_t n = 0, at = 0;
    if (!problems || !choices) return diag_out_of_memory(s->in->sink);
    for (size_t i = 0; i < s->index.size; i++) {
        TRY(count_non_zeros(s, &s->weights[i]));
        if (s->weights[i].closed) continue;
        problems[n] = s->weights[i].problem;
        choices[n] = cost_by_rule(&problems[n]);
        n++;
    }
    if (costs && n > 0) TRY(costs->choose(costs->user, problems, n, s->in->sink, choices));
    for (size_t i = 0; i < s->index.size; i++) {
        weight *w = &s->weights[i];
        if (w->closed) continue;
        w->choice = choices[at++];
        if (w->choice.sparse && w->pattern == IR_NO_VALUE) w->closed = true; /* an answer to another question */
    }
    return POFAC_OK;
}

/* ---- the new graph ---- */

/* The dense weight, made of the non-zeros where the first product needs it. */
static ir_value dense_weight(products_state *s, weight *w) {
    if (w->dense == IR_NO_VALUE)
        w->dense = build_binary(s->rw.to, OP_sparse_to_dense, rewrite_value(&s->rw, w->values), rewrite_value(&s->rw, w->pattern));
    return w->dense;
}

static void place_product(products_state *s, const ir_node *n, linear_product product, weight *w) {
    const bool made_dense = w->pattern != IR_NO_VALUE && !w->choice.sparse;
    const uint32_t weight_input = product == PRODUCT_WEIGHT_GRADIENT ? UINT32_MAX : 1,
                   pattern_input = product == PRODUCT_FORWARD ? 3 : 2;
    const char *text = cost_choice_variant(&w->choice, product);
    const ir_attr variant = attr_string("variant", text);
    ir_value inputs[4] = {IR_NO_VALUE};
    rewrite_visit(&s->rw, n);
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        if (made_dense && i == pattern_input) continue;
        inputs[i] = made_dense && i == weight_input ? dense_weight(s, w) : rewrite_value(&s->rw, n->inputs[i]);
    }
    const ir_value result = node_add(s->rw.to, n->op, inputs, n->n_inputs, &variant, text[0] != 0, NULL);
    for (uint32_t r = 1; r < n->n_results; r++) rewrite_map(&s->rw, node_result(n, r), result == IR_NO_VALUE ? result : result + r);
    rewrite_map(&s->rw, n->first_result,
                made_dense && product == PRODUCT_WEIGHT_GRADIENT
                    ? build_binary(s->rw.to, OP_dense_to_sparse, result, rewrite_value(&s->rw, w->pattern))
                    : result);
}

static pofac_status rewrite_graph(products_state *s, ir_module *to) {
    TRY(rewrite_begin(&s->rw, s->g, to));
    for (size_t i = 0; i < s->g->nodes.size; i++) {
        const ir_node *n = &s->g->nodes.data[i];
        weight *w = s->weight_of[i] ? &s->weights[s->weight_of[i] - 1] : NULL;
        linear_product product;
        if (w && !w->closed && is_product(n, &product)) place_product(s, n, product, w);
        else rewrite_copy_unmarked(&s->rw, n, NULL, NULL);
    }
    return rewrite_finish(&s->rw);
}

static pofac_status choose_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    products_state s = {.in = in, .g = from, .memory = ARENA_INIT, .index = STRMAP_INIT};
    int64_t rows = 0;
    s.weights = ARENA_ARRAY(&s.memory, weight, from->nodes.size + 1);
    s.weight_of = ARENA_ARRAY(&s.memory, uint32_t, from->nodes.size + 1);
    pofac_status status = s.weights && s.weight_of ? pass_int_option(in, "rows", &rows) : diag_out_of_memory(in->sink);
    if (in->environment->tokens > 0) rows = in->environment->tokens;
    if (status == POFAC_OK) status = pass_typical_sizes(in, from, rows, &s.memory, &s.sizes);
    if (status == POFAC_OK) status = find_products(&s);
    if (status == POFAC_OK) status = choose(&s);
    if (status == POFAC_OK) status = rewrite_graph(&s, to);
    strmap_free(&s.index);
    arena_free(&s.memory);
    return status;
}

pofac_status pass_train_products(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, choose_graph, &copy, in->sink, out);
}
