/*
 * Variants -> seconds; see kernel_timer.h. Every candidate is a graph
 *
 *   y [R,N] = linear x [R,K], w, b {variant = "..."}           or    dx = linear_input_gradient dy, w    or    dw, db =
 *   linear_weight_gradient x, dy                               or    y = linear_int8 of quantize x
 *
 * through the passes layout, fuse and plan-memory, a plan and a session of its own. The session's profile has the time of the op's step
 * by itself.
 */
#include "frontend/driver/kernel_timer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/support/rng.h"
#include "passes/pass.h"
#include "runtime/session.h"

#define GRAPH "linear"
#define LEAST_ROUNDS 5
#define MOST_ROUNDS 24
#define FAIR_ROUNDS 2 /* for all, lest one that was interrupted is taken for slow */
#define HOPELESS 2.0  /* times the fastest: not measured further */
#define ABSURD 30.0   /* not even in those rounds */

/* ---- what all candidates read ---- */

typedef struct made_up {
    ir_tensor x, dy, weight, bias, range; /* range: of x, and near enough of the weight */
} made_up;

static pofac_status get_made_up(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const made_up *m = user;
    *out = strcmp(name, "x") == 0       ? m->x
           : strcmp(name, "dy") == 0    ? m->dy
           : strcmp(name, "w") == 0     ? m->weight
           : strcmp(name, "range") == 0 ? m->range
                                        : m->bias;
    out->owned = false;
    (void)sink;
    return POFAC_OK;
}

/* Is the chance of per_mille in 1000 met by a word? */
static bool is_met(uint32_t word, int64_t per_mille) {
    return per_mille >= 1000 || word < (uint64_t)per_mille * ((UINT64_C(1) << 32) / 1000);
}

/* Which of `width` columns, from a multiple of it on, may have non-zeros in R rows, by a word: bit i for column i. */
static uint32_t draw_columns(const kernel_question *q, uint32_t width, const rng_block *drawn) {
    const zero_structure *s = &q->structure;
    const uint32_t all = (1u << width) - 1, kept = (1u << s->keep) - 1;
    if (s->of == 0) return is_met(drawn->word[0], 1000 * q->per_mille / s->fill) ? all : 0;
    /* N columns that follow each other, around the end; as many groups are empty as the density wants */
    const uint32_t first = drawn->word[1] % width;
    return is_met(drawn->word[0], q->per_mille * s->of / s->keep) ? (kept << first | kept >> (width - first)) & all : 0;
}

/* Zeros outside of what the structure keeps. */
static void carve(ir_tensor *weight, const kernel_question *q) {
    const zero_structure *s = &q->structure;
    const rng_key key = rng_key_make(0, "structure");
    const int64_t R = s->fill ? s->block_rows : 1, width = s->of ? s->of : s->block_columns;
    float *data = weight->data;
    for (int64_t line = 0; line < q->N; line += R)
        for (int64_t column = 0; column < q->K; column += width) {
            const rng_block drawn = rng_philox(key, (uint64_t)(line * q->K + column), 1);
            const uint32_t kept = draw_columns(q, (uint32_t)width, &drawn);
            for (int64_t row = line; row < line + R && row < q->N; row++)
                for (int64_t i = 0; i < width && column + i < q->K; i++)
                    if (!(kept >> i & 1)) data[row * q->K + column + i] = 0;
        }
}

/* Numbers in [-0.5, 0.5), each kept with a chance of per_mille in 1000, else 0. */
static void fill(ir_tensor *t, const char *name, int64_t per_mille) {
    const rng_key key = rng_key_make(0, name);
    float *data = t->data;
    const int64_t n = tensor_elements(t);
    for (int64_t i = 0; i < n; i += 4) {
        const rng_block block = rng_philox(key, (uint64_t)i / 4, 0);
        for (int64_t k = 0; k < 4 && i + k < n; k++) {
            const uint32_t word = block.word[k];
            if (is_met(word, per_mille)) data[i + k] = ((float)(word & 0xffff) + 0.5f) / 65536.0f - 0.5f;
        }
    }
}

static pofac_status make_up(const kernel_question *q, const diag_sink *sink, made_up *out) {
    const int64_t x[2] = {q->n_rows, q->K}, dy[2] = {q->n_rows, q->N}, weight[2] = {q->N, q->K}, two = 2;
    *out = (made_up){0};
    if (tensor_alloc(IR_F32, 2, x, &out->x) != POFAC_OK || tensor_alloc(IR_F32, 2, dy, &out->dy) != POFAC_OK ||
        tensor_alloc(IR_F32, 2, weight, &out->weight) != POFAC_OK || tensor_alloc(IR_F32, 1, &q->N, &out->bias) != POFAC_OK ||
        tensor_alloc(IR_F32, 1, &two, &out->range) != POFAC_OK)
        return diag_out_of_memory(sink);
    fill(&out->x, "x", 1000);
    fill(&out->dy, "dy", 1000);
    const bool structured = q->structure.fill || q->structure.of;
    fill(&out->weight, "w", !structured ? q->per_mille : q->structure.of ? 1000 : q->structure.fill);
    if (structured) carve(&out->weight, q);
    fill(&out->bias, "b", 1000);
    tensor_set(&out->range, 0, -0.5);
    tensor_set(&out->range, 1, 0.5);
    return POFAC_OK;
}

static void made_up_free(made_up *m) {
    tensor_free(&m->x);
    tensor_free(&m->dy);
    tensor_free(&m->weight);
    tensor_free(&m->bias);
    tensor_free(&m->range);
}

/* ---- one candidate ---- */

static const ir_op product_ops[] = {OP_linear, OP_linear_input_gradient, OP_linear_weight_gradient,
                                    OP_linear_int8}; /* [linear_product] */

typedef struct trial {
    plan *plan;
    session *session;
    size_t step; /* of the op */
} trial;

typedef struct leaves {
    ir_value x, dy, weight, bias, pattern, range;
} leaves;

/* x in 8 bits. */
static ir_value add_quantize(ir_graph *g, const leaves *l) {
    if (l->x == IR_NO_VALUE) return IR_NO_VALUE;
    const ir_type *bytes = type_with_dtype(g->module->context, graph_type(g, l->x), IR_U8);
    return node_add(g, OP_quantize, (ir_value[]){l->x, l->range}, 2, NULL, 0, bytes);
}

static void add_product(ir_graph *g, linear_product product, const leaves *l, const char *text) {
    const ir_attr variant = attr_string("variant", text);
    const ir_value forward[] = {l->x, l->weight, l->bias, l->pattern}, input_gradient[] = {l->dy, l->weight, l->pattern},
                   weight_gradient[] = {l->x, l->dy, l->pattern},
                   integers[] = {product == PRODUCT_INT8 ? add_quantize(g, l) : IR_NO_VALUE,
                                 l->range,
                                 l->weight,
                                 l->range,
                                 l->bias,
                                 IR_NO_VALUE,
                                 l->pattern};
    const ir_value *inputs[] = {forward, input_gradient, weight_gradient, integers};
    const uint32_t n = product == PRODUCT_FORWARD ? 4 : product == PRODUCT_INT8 ? 7 : 3;
    const ir_value result = node_add(g, product_ops[product], inputs[product], n, &variant, text[0] != 0, NULL);
    graph_add_output(g, "y", result);
    if (product == PRODUCT_WEIGHT_GRADIENT && result != IR_NO_VALUE) graph_add_output(g, "sums", result + 1);
}

static pofac_status build_graph(ir_context *c, const kernel_question *q, const kernel_candidate *candidate, const diag_sink *sink,
                                ir_module **out) {
    ir_module *m = module_create(c, sink);
    ir_graph *g = m ? module_add_graph(m, GRAPH) : NULL;
    *out = m;
    if (!g) return diag_out_of_memory(sink);
    const ir_dim R = dim_symbol(graph_declare_symbol(g, "R", q->n_rows)), N = dim_const(q->N), K = dim_const(q->K);
    const ir_dim x_dims[2] = {R, K}, dy_dims[2] = {R, N}, w_dims[2] = {N, K};
    leaves l = {.pattern = candidate->sparse ? build_leaf(g, OP_pattern, "w", type_pattern(c, N, K)) : IR_NO_VALUE};
    if (q->product != PRODUCT_INPUT_GRADIENT) l.x = build_leaf(g, OP_input, "x", type_tensor(c, IR_F32, 2, x_dims));
    const bool is_gradient = q->product == PRODUCT_INPUT_GRADIENT || q->product == PRODUCT_WEIGHT_GRADIENT;
    if (is_gradient) l.dy = build_leaf(g, OP_input, "dy", type_tensor(c, IR_F32, 2, dy_dims));
    if (q->product != PRODUCT_WEIGHT_GRADIENT) {
        const ir_dim nnz = candidate->sparse ? dim_symbol(symbol_nnz(c, l.pattern)) : N;
        l.weight =
            build_leaf(g, OP_state, "w", candidate->sparse ? type_tensor(c, IR_F32, 1, &nnz) : type_tensor(c, IR_F32, 2, w_dims));
    }
    const ir_dim two = dim_const(2);
    if (q->product == PRODUCT_INT8) l.range = build_leaf(g, OP_state, "range", type_tensor(c, IR_F32, 1, &two));
    if (!is_gradient) l.bias = build_leaf(g, OP_state, "b", type_tensor(c, IR_F32, 1, &N));
    add_product(g, q->product, &l, candidate->variant);
    return graph_finish(g);
}

static pofac_status optimize(ir_module *module, const diag_sink *sink, ir_module **out) {
    arena a = ARENA_INIT;
    pass_pipeline pipeline;
    pofac_status status = pipeline_parse("layout,fuse,plan-memory", &a, sink, &pipeline);
    *out = NULL;
    if (status == POFAC_OK) status = pipeline_run(&pipeline, module, NULL, NULL, sink, out);
    else module_destroy(module);
    arena_free(&a);
    return status;
}

static pofac_status find_step(trial *t, linear_product product) {
    for (t->step = 0; t->step < t->plan->n_steps; t->step++) {
        const plan_step *step = &t->plan->steps[t->step];
        if (t->plan->graph->nodes.data[step->node].op == product_ops[product])
            return plan_step_is_evaluator(step) ? POFAC_ERR_USAGE : POFAC_OK;
    }
    return POFAC_ERR_USAGE;
}

/* Anything but POFAC_OK: the candidate does not run here. */
static pofac_status trial_begin(ir_context *c, const cg_options *options, const kernel_question *q,
                                const kernel_candidate *candidate, const tensor_source *data, thread_pool *pool, trial *t) {
    ir_module *m;
    pofac_status status = build_graph(c, q, candidate, NULL, &m);
    if (status != POFAC_OK) {
        module_destroy(m);
        return status;
    }
    TRY(optimize(m, NULL, &m));
    TRY(cg_compile(m, GRAPH, options, NULL, &t->plan));
    TRY(find_step(t, q->product));
    return session_create(t->plan, data, pool, NULL, &t->session);
}

static void trial_end(trial *t) {
    session_destroy(t->session);
    plan_destroy(t->plan);
    *t = (trial){0};
}

/* Seconds of the op in one more run; 0 when it fails. */
static double trial_run(const trial *t, const tensor_source *data) {
    session_profile(t->session, true);
    if (session_run(t->session, data, NULL) != POFAC_OK) return 0;
    return 1e-9 * (double)session_times_ns(t->session)[t->step];
}

/* ---- all of them ---- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double least_seconds(const kernel_candidate *c, size_t n) {
    double least = 0;
    for (size_t i = 0; i < n; i++)
        if (c[i].seconds > 0 && (least <= 0 || c[i].seconds < least)) least = c[i].seconds;
    return least;
}

static void run_rounds(const trial *trials, const tensor_source *data, double end, kernel_candidate *c, size_t n) {
    for (int round = 0; round < MOST_ROUNDS && (round < LEAST_ROUNDS || now() < end); round++) {
        const double hopeless = (round < FAIR_ROUNDS ? ABSURD : HOPELESS) * least_seconds(c, n);
        for (size_t i = 0; i < n; i++) {
            if (!trials[i].session || c[i].seconds > hopeless) continue;
            double seconds = trial_run(&trials[i], data);
            if (seconds > 0 && (c[i].seconds <= 0 || seconds < c[i].seconds)) c[i].seconds = seconds;
        }
    }
}

static pofac_status time_candidates(void *user, const kernel_question *q, double budget_seconds, const diag_sink *sink,
                                    kernel_candidate *c, size_t n) {
    const double end = now() + budget_seconds;
    made_up made = {0};
    const tensor_source data = {.get = get_made_up, .user = &made}; /* inputs and state */
    thread_pool *pool = NULL;
    trial *trials = calloc(n ? n : 1, sizeof *trials);
    ir_context *context = context_create();
    pofac_status status = trials && context ? make_up(q, sink, &made) : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = thread_pool_create(1, sink, &pool);
    for (size_t i = 0; i < n && status == POFAC_OK; i++) {
        c[i].seconds = 0;
        if (trial_begin(context, user, q, &c[i], &data, pool, &trials[i]) == POFAC_OK) c[i].seconds = trial_run(&trials[i], &data);
        else trial_end(&trials[i]);
    }
    if (status == POFAC_OK) run_rounds(trials, &data, end, c, n);
    for (size_t i = 0; trials && i < n; i++) trial_end(&trials[i]);
    free(trials);
    context_destroy(context);
    thread_pool_destroy(pool);
    made_up_free(&made);
    return status;
}

kernel_timer kernel_timer_on(const cg_options *options) {
    return (kernel_timer){.time = time_candidates, .user = (void *)(uintptr_t)options};
}
