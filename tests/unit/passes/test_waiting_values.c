/*
 * Passes about values that wait for the backward pass, over generated training graphs: `recompute` changes no bit of any result in any
 * mode, leaves less to wait, copies no product where it must not, and does nothing the second time; behind `store-bf16` nothing large
 * waits but in bf16, the loss stays bit for bit, and gradients nearly. Every allocation of them may fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/rewrite.h"
#include "ir/support/rng.h"
#include "passes/forward_values.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/passes/pass_case.h"

#define N_GRAPHS 60
#define TOKENS 5 /* sequences of 3 and 2 */
#define E 32
#define F 64

static const char *const modes[] = {"none", "cheap", "partial", "full"};
#define N_MODES 4

/* ---- graphs: layers of random steps, and the squared distance of what comes out from a target ---- */

typedef struct training_graph {
    uint64_t seed, draws;
    ir_context *context;
    ir_module *module;
    ir_graph *g;
    named_tensors inputs, state;
    ir_value keys, random, offsets;
    VEC(ir_value) pool; /* of the layer */
} training_graph;

static uint64_t draw(training_graph *t, uint64_t bound) {
    return rng_below(rng_key_make(t->seed, "training graph"), t->draws++, bound);
}

static const ir_type *type_of(training_graph *t, ir_dtype dtype, uint32_t rank, ir_dim a, ir_dim b) {
    const ir_dim dims[2] = {a, b};
    return type_tensor(t->context, dtype, rank, dims);
}

static ir_value add_state(training_graph *t, uint32_t rank, int64_t a, int64_t b) {
    char name[32];
    const int64_t dims[2] = {a, b};
    snprintf(name, sizeof name, "state.%u", (unsigned)t->state.entries.size);
    const rng_key key = rng_key_make(t->seed, name);
    ir_tensor *to = named_tensors_add(&t->state, name, IR_F32, rank, dims);
    for (int64_t i = 0; i < tensor_elements(to); i++) tensor_set(to, i, 0.4 * rng_normal(key, (uint64_t)i));
    return build_leaf(t->g, OP_state, name, type_of(t, IR_F32, rank, dim_const(a), dim_const(b)));
}

static int64_t features(const training_graph *t, ir_value v) {
    int64_t n = 0;
    dim_is_const(graph_type(t->g, v)->dims[1], &n);
    return n;
}

static ir_value any(training_graph *t) { return t->pool.data[draw(t, t->pool.size)]; }

/* Another of the same type; often itself. */
static ir_value partner(training_graph *t, ir_value x) {
    const ir_value y = any(t);
    return graph_type(t->g, x) == graph_type(t->g, y) ? y : x;
}

static ir_value linear(training_graph *t, ir_value x, int64_t n) {
    const ir_value inputs[] = {x, add_state(t, 2, n, features(t, x)), add_state(t, 1, n, 0)};
    return node_add(t->g, OP_linear, inputs, 3, NULL, 0, NULL);
}

static ir_value layer_norm(training_graph *t, ir_value x) {
    const ir_value inputs[] = {x, add_state(t, 1, features(t, x), 0), add_state(t, 1, features(t, x), 0)};
    const ir_attr eps = attr_float("eps", 1e-5);
    return node_add(t->g, OP_layer_norm, inputs, 3, &eps, 1, NULL);
}

static ir_value dropout(training_graph *t, ir_value x) {
    const ir_value inputs[] = {x, t->keys, t->random};
    const ir_attr attrs[] = {attr_float("rate", 0.2), attr_int("stream", (int64_t)t->draws)};
    return node_add(t->g, OP_dropout, inputs, 3, attrs, 2, NULL);
}

static ir_value attention(training_graph *t, ir_value x) {
    const ir_value inputs[] = {x, partner(t, x), partner(t, x), t->offsets, IR_NO_VALUE, IR_NO_VALUE, t->keys, t->random};
    const ir_attr attrs[] = {attr_int("heads", 2), attr_float("scale", 0.2), attr_float("rate", 0.1),
                             attr_int("stream", (int64_t)t->draws)};
    return node_add(t->g, OP_attention, inputs, 8, attrs, 4, NULL);
}

static ir_value random_step(training_graph *t) {
    const ir_value x = any(t);
    switch (draw(t, 10)) {
    case 0:
    case 1: return linear(t, x, draw(t, 2) ? E : F);
    case 2: return build_unary(t->g, OP_gelu, x);
    case 3: return build_unary(t->g, OP_relu, x);
    case 4: return build_unary(t->g, OP_tanh, x);
    case 5: return build_binary(t->g, OP_add, x, partner(t, x));
    case 6: return build_binary(t->g, OP_mul, x, partner(t, x));
    case 7: return dropout(t, x);
    case 8: return attention(t, x);
    default: return layer_norm(t, x);
    }
}

/* What the layer gives: its last values, added up, so that much of it counts. */
static ir_value finish_layer(training_graph *t) {
    ir_value sum = t->pool.data[0];
    for (size_t i = t->pool.size; i-- > 1 && i + 4 > t->pool.size;) {
        const ir_value x = t->pool.data[i], y = features(t, x) == E ? x : linear(t, x, E);
        sum = build_binary(t->g, OP_add, sum, y);
    }
    return draw(t, 3) ? layer_norm(t, sum) : sum;
}

static void add_integers(training_graph *t, const char *name, ir_dtype dtype, int64_t n, const double *values) {
    named_tensors_add_doubles(&t->inputs, name, dtype, 1, &n, values);
}

static void add_inputs(training_graph *t) {
    static const double keys[] = {0, 1, 2, 4294967296, 4294967297}, offsets[] = {0, 3, 5};
    const double random[] = {(double)t->seed, 3};
    add_integers(t, "keys", IR_I64, TOKENS, keys);
    add_integers(t, "offsets", IR_I32, 3, offsets);
    add_integers(t, "random", IR_I64, 2, random);
    for (int k = 0; k < 2; k++) {
        const rng_key key = rng_key_make(t->seed, k ? "target" : "x");
        ir_tensor *to = named_tensors_add(&t->inputs, k ? "target" : "x", IR_F32, 2, (int64_t[]){TOKENS, E});
        for (int64_t i = 0; i < tensor_elements(to); i++) tensor_set(to, i, rng_normal(key, (uint64_t)i));
    }
}

static void generate(uint64_t seed, training_graph *t) {
    *t = (training_graph){.seed = seed, .inputs.what = "input", .state.what = "state", .context = context_create()};
    t->module = module_create(t->context, NULL);
    t->g = module_add_graph(t->module, "step");
    const ir_dim T = dim_symbol(graph_declare_symbol(t->g, "T", 64)), B = dim_symbol(graph_declare_symbol(t->g, "B", 8));
    const ir_type *rows = type_of(t, IR_F32, 2, T, dim_const(E));
    ir_value x = build_leaf(t->g, OP_input, "x", rows);
    const ir_value target = build_leaf(t->g, OP_input, "target", rows);
    t->keys = build_leaf(t->g, OP_input, "keys", type_of(t, IR_I64, 1, T, T));
    t->random = build_leaf(t->g, OP_input, "random", type_of(t, IR_I64, 1, dim_const(2), T));
    t->offsets = build_leaf(t->g, OP_input, "offsets", type_of(t, IR_I32, 1, dim_add(B, 1), T));
    const uint64_t n_layers = 1 + draw(t, 3);
    for (uint64_t layer = 0; layer < n_layers; layer++) {
        char scope[32];
        snprintf(scope, sizeof scope, "layer.%d", (int)layer);
        graph_set_scope(t->g, seed % 5 ? scope : "body");
        t->pool.size = 0;
        assert_true(VEC_PUSH(&t->pool, x));
        for (uint64_t i = 0, n = 2 + draw(t, 8); i < n; i++) assert_true(VEC_PUSH(&t->pool, random_step(t)));
        x = finish_layer(t);
    }
    graph_set_scope(t->g, "head");
    if (draw(t, 2)) x = linear(t, x, E);
    graph_add_output(t->g, "loss", build_binary(t->g, OP_mean_squared_error, x, target));
    assert_int_equal(graph_finish(t->g), POFAC_OK);
    add_inputs(t);
}

static void training_graph_free(training_graph *t) {
    VEC_FREE(&t->pool);
    named_tensors_free(&t->inputs);
    named_tensors_free(&t->state);
    module_destroy(t->module);
    context_destroy(t->context);
}

static ir_module *run_mode(const ir_module *m, const char *mode) {
    char pipeline[80];
    snprintf(pipeline, sizeof pipeline, "recompute{mode=%s,max_bytes_per_row=300}", mode);
    return run_pipeline(m, pipeline);
}

/* ---- what is counted ---- */

typedef struct graph_counts {
    int64_t waiting; /* bytes per row of all values that wait */
    uint32_t products, forward;
} graph_counts;

static graph_counts count(const ir_module *m) {
    const ir_graph *g = m->graphs.data[0];
    arena memory = ARENA_INIT;
    forward_values f;
    graph_counts c = {0};
    assert_int_equal(forward_values_find(g, &memory, NULL, &f), POFAC_OK);
    for (ir_value v = 1; v < g->values.size; v++)
        if (forward_value_waits(&f, v)) c.waiting += value_row_bytes(g, v);
    for (size_t i = 0; i < g->nodes.size; i++) {
        c.products += op_has(g->nodes.data[i].op, TRAIT_PRODUCT);
        c.forward += f.is_forward[i];
    }
    arena_free(&memory);
    return c;
}

/* ---- tests ---- */

static void check_modes(uint64_t seed, training_graph *t, const ir_module *kept, int64_t saved[N_MODES]) {
    const graph_counts all = count(kept);
    int64_t before = all.waiting;
    for (int mode = 0; mode < N_MODES; mode++) {
        char what[64];
        snprintf(what, sizeof what, "%s, graph %d", modes[mode], (int)seed);
        ir_module *m = run_mode(kept, modes[mode]), *twice = run_mode(m, modes[mode]);
        const graph_counts now = count(m);
        if (now.waiting > before) fail_msg("%s: %d bytes wait, %d before", what, (int)now.waiting, (int)before);
        if (now.forward != all.forward) fail_msg("%s: the forward pass has %u nodes, not %u", what, now.forward, all.forward);
        if (mode < 2 && now.products != all.products) fail_msg("%s: products are copied", what);
        if (seed % 5 == 0 && now.products != all.products) fail_msg("%s: products outside of layers are copied", what);
        assert_same_meaning(what, kept, m, &t->inputs, &t->state, ZERO_SIGNS_COUNT);
        assert_same_module(what, twice, m);
        saved[mode] += all.waiting - now.waiting;
        before = now.waiting;
        module_destroy(twice);
        module_destroy(m);
    }
}

static void test_modes(void **unused) {
    (void)unused;
    int64_t saved[N_MODES] = {0};
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        training_graph t;
        generate(seed, &t);
        ir_module *kept = run_pipeline(t.module, "autodiff,cse,dce");
        check_modes(seed, &t, kept, saved);
        module_destroy(kept);
        training_graph_free(&t);
    }
    if (saved[0] != 0) fail_msg("none saves %d bytes", (int)saved[0]);
    for (int mode = 1; mode < N_MODES; mode++)
        if (saved[mode] <= saved[mode - 1]) fail_msg("%s saves no more than %s", modes[mode], modes[mode - 1]);
}

/* ---- store-bf16 ---- */

static void expect_bf16(uint64_t seed, const ir_module *m) {
    const ir_graph *g = m->graphs.data[0];
    arena memory = ARENA_INIT;
    forward_values f;
    assert_int_equal(forward_values_find(g, &memory, NULL, &f), POFAC_OK);
    for (ir_value v = 1; v < g->values.size; v++)
        if (forward_value_waits_long(&f, v) && value_is_large(g, v) && graph_type(g, v)->dtype != IR_BF16)
            fail_msg("graph %d: %%%u waits in %s", (int)seed, graph_value_number(g, v), dtype_name(graph_type(g, v)->dtype));
    arena_free(&memory);
}

static interp_results interpret(const ir_module *m, training_graph *t) {
    const tensor_source inputs = named_tensors_source(&t->inputs), state = named_tensors_source(&t->state);
    interp_results r;
    assert_int_equal(interpret_graph(m->graphs.data[0], &inputs, &state, NULL, NULL, &r), POFAC_OK);
    return r;
}

static double norm(const ir_tensor *x, const ir_tensor *minus) {
    double sum = 0;
    for (int64_t i = 0; i < tensor_elements(x); i++) {
        const double d = tensor_get(x, i) - (minus ? tensor_get(minus, i) : 0);
        sum += d * d;
    }
    return sqrt(sum);
}

/* bf16 has 8 bits: what waits is off by up to 2^-9 of itself, which layer norms of rows that hardly vary magnify. */
static void expect_close(uint64_t seed, const ir_module *exact, const ir_module *stored, training_graph *t) {
    interp_results a = interpret(exact, t), b = interpret(stored, t);
    double size = 0, difference = 0;
    for (size_t i = 0; i < a.n_outputs; i++) {
        const ir_tensor *found = interp_find(&b, a.outputs[i].name);
        assert_non_null(found);
        if (strcmp(a.outputs[i].name, "loss") == 0 && tensor_get(found, 0) != tensor_get(&a.outputs[i].tensor, 0))
            fail_msg("graph %d: the loss is %.9g, not %.9g", (int)seed, tensor_get(found, 0), tensor_get(&a.outputs[i].tensor, 0));
        size = hypot(size, norm(&a.outputs[i].tensor, NULL));
        difference = hypot(difference, norm(&a.outputs[i].tensor, found));
    }
    if (!(difference <= 64 * 0x1p-9 * size)) fail_msg("graph %d: gradients are off by %g of %g", (int)seed, difference, size);
    interp_results_free(&a);
    interp_results_free(&b);
}

static void test_store_bf16(void **unused) {
    (void)unused;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        training_graph t;
        generate(seed, &t);
        ir_module *kept = run_pipeline(t.module, seed % 2 ? "autodiff,cse,dce,recompute" : "autodiff,cse,dce,layout,cse,dce");
        ir_module *stored = run_pipeline(kept, "store-bf16"), *twice = run_pipeline(stored, "store-bf16");
        expect_bf16(seed, stored);
        expect_close(seed, kept, stored, &t);
        assert_same_module("store-bf16 twice", twice, stored);
        module_destroy(twice);
        module_destroy(stored);
        module_destroy(kept);
        training_graph_free(&t);
    }
}

/* ---- failing allocations ---- */

static void count_diag(void *user, const diag *d) {
    size_t *count = user;
    if (d->status != POFAC_ERR_RUNTIME) fail_msg("%s", d->message);
    (*count)++;
}

/* Runs the passes on a copy of `m` with allocation n failing; false when they needed fewer. */
static bool run_with_failure(const ir_module *m, size_t n) {
    arena memory = ARENA_INIT;
    size_t n_errors = 0;
    const diag_sink sink = {count_diag, &n_errors};
    pass_pipeline p;
    ir_module *out = NULL, *copy = module_copy(m);
    assert_int_equal(
        pipeline_parse("recompute{mode=partial,max_bytes_per_row=0},store-bf16,recompute{mode=full}", &memory, NULL, &p), POFAC_OK);
    fail_alloc_after(n);
    const pofac_status status = pipeline_run(&p, copy, NULL, NULL, &sink, &out);
    const bool failed = fail_alloc_stop();
    if (failed ? status != POFAC_ERR_RUNTIME || n_errors != 1 || out : status != POFAC_OK)
        fail_msg("allocation %zu: status %d, %zu messages", n, status, n_errors);
    module_destroy(out);
    arena_free(&memory);
    return failed;
}

static void test_every_allocation_may_fail(void **unused) {
    (void)unused;
    training_graph t;
    generate(3, &t);
    ir_module *kept = run_pipeline(t.module, "autodiff,cse,dce");
    size_t n = 1;
    while (run_with_failure(kept, n)) n++;
    assert_true(n > 50);
    module_destroy(kept);
    training_graph_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_store_bf16),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
