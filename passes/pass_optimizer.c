/*
 * Optimizer: outputs gradient.NAME (pass `autodiff`) -> what becomes of the state NAME in a step.
 *
 *   norm   = sqrt(sum of the squares of all gradients)               output grad_norm: before clipping
 *   scale  = min(1, max_grad_norm / (norm + 1e-6))                    1 where max_grad_norm is 0
 *   p, m, v = adamw p, gradient, m, v, learning_rate, scale, step     outputs NAME, NAME.exp_avg, NAME.exp_avg_sq
 *   p, u    = sgd p, gradient, u, learning_rate, scale                outputs NAME, NAME.momentum_buffer
 *   s       = descend s, gradient, learning_rate, scale               output NAME.scores
 *
 * A gradient that is sparse_to_dense of non-zeros, that of a weight under a mask, is read as these and its pattern: nobody makes it dense.
 *
 * Scores that masks come from (pass `prune`) have no moments, no decay, and no part in the norm, whatever the rule is. What tells autodiff of them is taken away.
 *
 * learning_rate f32 [] and step i64 [] (from 1) are new inputs. Matrices decay, dense or as non-zeros; vectors, which are biases and
 * parameters of layer norm, do not. Squares are added in the order of the outputs.
 *
 * With accumulate=1 a step is several runs: NAME adds its gradients to the state gradient.NAME times the input keep f32 [] (0 in the
 * first run of a step, which starts the sum anew, else 1), and NAME_apply updates from that state.
 */
#include <float.h>
#include <string.h>

#include "ir/gradient.h"
#include "ir/rewrite.h"
#include "passes/pass.h"

#define GRADIENT "gradient."

typedef enum update_rule { ADAMW_TORCH, ADAMW_HF, SGD } update_rule;

typedef struct update_options {
    int64_t rule, accumulate;
    double beta1, beta2, epsilon, momentum, weight_decay, max_grad_norm;
} update_options;

/* A parameter, its gradient, and whether it decays; values of the graph that is built. */
typedef struct trained {
    const char *name;
    ir_value parameter, gradient;
    ir_value pattern; /* of a gradient that is given at its places alone, being 0 elsewhere; or IR_NO_VALUE */
    const ir_type *parameter_type, *gradient_type; /* in the old graph */
    const ir_node *masked_by;                      /* the pattern there, or NULL */
    bool decays, is_scores;
} trained;

typedef struct update_state {
    const pass_input *in;
    update_options options;
    rewriter rw;
    arena memory;
    trained *parameters;
    size_t n_parameters;
} update_state;

static pofac_status read_options(const pass_input *in, update_options *o) {
    TRY(pass_int_option(in, "optim", &o->rule));
    TRY(pass_int_option(in, "accumulate", &o->accumulate));
    TRY(pass_real_option(in, "beta1", &o->beta1));
    TRY(pass_real_option(in, "beta2", &o->beta2));
    TRY(pass_real_option(in, "epsilon", &o->epsilon));
    TRY(pass_real_option(in, "momentum", &o->momentum));
    TRY(pass_real_option(in, "weight_decay", &o->weight_decay));
    return pass_real_option(in, "max_grad_norm", &o->max_grad_norm);
}

static bool is_gradient(const char *output) { return strncmp(output, GRADIENT, strlen(GRADIENT)) == 0; }
static bool is_no_gradient(const char *output) { return !is_gradient(output); }

/* "" where memory is short, which the module knows then. */
static const char *join(update_state *s, const char *a, const char *b) {
    const char *text = arena_printf(&s->memory, "%s%s", a, b);
    ir_module *m = s->rw.to->module;
    if (!text && m->status == POFAC_OK) m->status = diag_out_of_memory(s->in->sink);
    return text ? text : "";
}

/* A matrix, or the non-zeros of one. */
static bool is_matrix(const ir_graph *g, const ir_type *t) {
    if (t->rank == 2) return true;
    const ir_symbol symbol = t->rank == 1 ? t->dims[0].symbol[0] : 0;
    return symbol && symbol_kind(g->module->context, symbol) == SYMBOL_NNZ;
}

static const ir_node *find_leaf(const ir_graph *g, const char *name) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_state && strcmp(node_string(&g->nodes.data[i], "name"), name) == 0) return &g->nodes.data[i];
    return NULL;
}

/* Does it say which elements a mask keeps? */
static bool is_scores(const ir_graph *g, const ir_node *leaf) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_dense_to_sparse && node_input(&g->nodes.data[i], 2) == leaf->first_result) return true;
    return false;
}

/* The parameters of the old graph's gradients, with values of the new one. */
static void find_parameters(update_state *s) {
    const ir_graph *from = s->rw.from;
    for (size_t i = 0; i < from->outputs.size; i++) {
        const ir_output *output = &from->outputs.data[i];
        if (!is_gradient(output->name)) continue;
        const char *name = output->name + strlen(GRADIENT);
        const ir_node *leaf = find_leaf(from, name), *maker = graph_node_of(from, output->value);
        if (!leaf || graph_type(from, leaf->first_result) != graph_type(from, output->value)) {
            module_error(s->rw.to->module, &maker->location, "optimizer: output %s%s is no gradient of a state %s of its type",
                         GRADIENT, name, name);
            return;
        }
        trained *t = &s->parameters[s->n_parameters++];
        *t =
            (trained){.name = name, .decays = is_matrix(from, graph_type(from, output->value)), .is_scores = is_scores(from, leaf)};
        const bool is_masked = maker->op == OP_sparse_to_dense && graph_node_of(from, maker->inputs[1])->op == OP_pattern;
        const ir_value gradient = is_masked ? maker->inputs[0] : output->value;
        t->parameter = rewrite_value(&s->rw, leaf->first_result);
        t->gradient = rewrite_value(&s->rw, gradient);
        t->parameter_type = graph_type(from, leaf->first_result);
        t->gradient_type = graph_type(from, gradient);
        if (!is_masked) continue;
        t->masked_by = graph_node_of(from, maker->inputs[1]);
        t->pattern = rewrite_value(&s->rw, maker->inputs[1]);
    }
}

static const ir_type *scalar_type(const ir_graph *g, ir_dtype dtype) { return type_tensor(g->module->context, dtype, 0, NULL); }

/* The factor of all gradients, and the output of their norm. A factor that never clips still tells norms that are not finite. */
static ir_value clip(update_state *s, ir_graph *g) {
    ir_value sum = IR_NO_VALUE;
    for (size_t i = 0; i < s->n_parameters; i++) {
        if (s->parameters[i].is_scores) continue;
        const ir_value squares = build_unary(g, OP_sum_of_squares, s->parameters[i].gradient);
        sum = sum == IR_NO_VALUE ? squares : build_binary(g, OP_add, sum, squares);
    }
    const ir_value norm = build_unary(g, OP_sqrt, sum);
    const ir_attr most = attr_float("max_norm", s->options.max_grad_norm > 0 ? s->options.max_grad_norm : (double)FLT_MAX);
    graph_add_output(g, "grad_norm", norm);
    return node_add(g, OP_clip_factor, &norm, 1, &most, 1, NULL);
}

static ir_value moment(update_state *s, ir_graph *g, const trained *t, const char *ending) {
    return build_leaf(g, OP_state, join(s, t->name, ending), graph_type(g, t->parameter));
}

static void return_state(update_state *s, ir_graph *g, const trained *t, const char *ending, ir_value next) {
    graph_add_output(g, join(s, t->name, ending), next);
}

static void update_by_adamw(update_state *s, ir_graph *g, const trained *t, ir_value rate, ir_value scale, ir_value step) {
    const update_options *o = &s->options;
    const ir_value inputs[] = {t->parameter, t->gradient, moment(s, g, t, ".exp_avg"), moment(s, g, t, ".exp_avg_sq"), rate, scale,
                               step,         t->pattern};
    const ir_attr attrs[] = {attr_float("beta1", o->beta1), attr_float("beta2", o->beta2), attr_float("eps", o->epsilon),
                             attr_float("weight_decay", t->decays ? o->weight_decay : 0),
                             attr_enum("form", o->rule == ADAMW_HF ? "hf" : "torch")};
    const ir_value next = node_add(g, OP_adamw, inputs, t->pattern == IR_NO_VALUE ? 7 : 8, attrs, 5, NULL);
    if (next == IR_NO_VALUE) return;
    return_state(s, g, t, "", next);
    return_state(s, g, t, ".exp_avg", next + 1);
    return_state(s, g, t, ".exp_avg_sq", next + 2);
}

static void update_by_sgd(update_state *s, ir_graph *g, const trained *t, ir_value rate, ir_value scale) {
    const ir_value inputs[] = {t->parameter, t->gradient, moment(s, g, t, ".momentum_buffer"), rate, scale, t->pattern};
    const ir_attr attrs[] = {attr_float("momentum", s->options.momentum),
                             attr_float("weight_decay", t->decays ? s->options.weight_decay : 0)};
    const ir_value next = node_add(g, OP_sgd, inputs, t->pattern == IR_NO_VALUE ? 5 : 6, attrs, 2, NULL);
    if (next == IR_NO_VALUE) return;
    return_state(s, g, t, "", next);
    return_state(s, g, t, ".momentum_buffer", next + 1);
}

static void update_scores(ir_graph *g, const trained *t, ir_value rate, ir_value scale) {
    const ir_value inputs[] = {t->parameter, t->gradient, rate, scale};
    graph_add_output(g, t->name, node_add(g, OP_descend, inputs, 4, NULL, 0, NULL));
}

static void add_updates(update_state *s, ir_graph *g) {
    graph_set_scope(g, "optimizer");
    graph_set_location(g, (ir_location){0});
    const ir_value rate = build_leaf(g, OP_input, "learning_rate", scalar_type(g, IR_F32)), scale = clip(s, g);
    const ir_value step = s->options.rule == SGD ? IR_NO_VALUE : build_leaf(g, OP_input, "step", scalar_type(g, IR_I64));
    for (size_t i = 0; i < s->n_parameters && g->module->status == POFAC_OK; i++) {
        const trained *t = &s->parameters[i];
        if (t->is_scores) update_scores(g, t, rate, scale);
        else if (s->options.rule == SGD) update_by_sgd(s, g, t, rate, scale);
        else update_by_adamw(s, g, t, rate, scale, step);
    }
}

/* gradient.NAME times `keep` plus the gradient of this run. */
static void add_to_sums(update_state *s, ir_graph *g) {
    graph_set_scope(g, "optimizer");
    graph_set_location(g, (ir_location){0});
    const ir_value keep = build_leaf(g, OP_input, "keep", scalar_type(g, IR_F32));
    for (size_t i = 0; i < s->n_parameters && g->module->status == POFAC_OK; i++) {
        const char *name = join(s, GRADIENT, s->parameters[i].name);
        const ir_value sum = build_leaf(g, OP_state, name, graph_type(g, s->parameters[i].gradient));
        graph_add_output(g, name, build_binary(g, OP_add, build_binary(g, OP_mul, sum, keep), s->parameters[i].gradient));
    }
}

/* A pattern of the old graph in the graph of updates. */
static ir_value pattern_in(ir_graph *g, const ir_graph *from, const ir_node *old) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_pattern && strcmp(node_string(&g->nodes.data[i], "name"), node_string(old, "name")) == 0)
            return g->nodes.data[i].first_result;
    return build_leaf(g, OP_pattern, node_string(old, "name"), graph_type(from, old->first_result));
}

/* A leaf there, of a type of the old graph. */
static ir_value leaf_in(ir_graph *g, const ir_graph *from, const ir_type *t, const char *name) {
    ir_context *c = g->module->context;
    if (t->rank == 2 || !is_matrix(from, t)) return build_leaf(g, OP_state, name, t);
    const ir_value pattern = pattern_in(g, from, graph_node_of(from, symbol_value(c, t->dims[0].symbol[0])));
    const ir_dim nnz = dim_symbol(symbol_nnz(c, pattern));
    return build_leaf(g, OP_state, name, type_tensor(c, t->dtype, 1, &nnz));
}

/* NAME_apply: the updates from the sums. */
static pofac_status add_apply_graph(update_state *s, const ir_graph *from, ir_module *to) {
    ir_graph *g = module_add_graph(to, join(s, from->name, "_apply"));
    if (!g) return to->status != POFAC_OK ? to->status : diag_out_of_memory(s->in->sink);
    for (size_t i = 0; i < s->n_parameters && to->status == POFAC_OK; i++) {
        trained *t = &s->parameters[i];
        t->parameter = leaf_in(g, from, t->parameter_type, t->name);
        t->gradient = leaf_in(g, from, t->gradient_type, join(s, GRADIENT, t->name));
        if (t->masked_by) t->pattern = pattern_in(g, from, t->masked_by);
    }
    add_updates(s, g);
    return graph_finish(g);
}

/* Nobody asks for gradients behind this pass. */
static void copy_node(update_state *s, const ir_node *n) {
    if (!takes_all_gradients(n)) return rewrite_copy_unmarked(&s->rw, n, NULL, NULL);
    rewrite_visit(&s->rw, n);
    rewrite_map(
        &s->rw, n->first_result,
        build_binary(s->rw.to, OP_dense_to_sparse, rewrite_value(&s->rw, n->inputs[0]), rewrite_value(&s->rw, n->inputs[1])));
}

static pofac_status optimizer_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    update_state s = {.in = in, .memory = ARENA_INIT};
    TRY(read_options(in, &s.options));
    TRY(rewrite_begin(&s.rw, from, to));
    for (size_t i = 0; i < from->nodes.size; i++) copy_node(&s, &from->nodes.data[i]);
    s.parameters = ARENA_ARRAY(&s.memory, trained, from->outputs.size + 1);
    if (!s.parameters && to->status == POFAC_OK) to->status = diag_out_of_memory(in->sink);
    if (to->status == POFAC_OK) find_parameters(&s);
    if (to->status == POFAC_OK && s.n_parameters > 0) (s.options.accumulate ? add_to_sums : add_updates)(&s, s.rw.to);
    pofac_status status = rewrite_finish_with(&s.rw, is_no_gradient);
    if (status == POFAC_OK && s.n_parameters > 0 && s.options.accumulate) status = add_apply_graph(&s, from, to);
    arena_free(&s.memory);
    return status;
}

pofac_status pass_optimizer(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, optimizer_graph, &copy, in->sink, out);
}
