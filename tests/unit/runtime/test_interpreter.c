/*
 * The interpreter: a small BERT layer against plain loops, what it does with state and patterns, observers, outputs, its messages,
 * and that failing allocations are reported and leak nothing. Also that generated graphs, on which other tests rely, are what they
 * should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/graph_generator.h"
#include "tests/unit/text_case.h"

/* ---- a BERT layer ---- */

#define B 2
#define S 3
#define T (B * S)
#define E 4
#define H 2
#define D 2
#define F 5

static const char layer_nodes[] =
    "%1 = input {name = \"x\"} : f64[B,S,4]\n"
    "%2 = input {name = \"attention_mask\"} : i64[B,S]\n"
    "%3 = reshape %1 : f64[B*S,4]\n"
    "%4 = reshape %2 : i64[B*S]\n"
    "%5 = padded_offsets %2 : i32[B+1]\n"
    "scope \"attention\"\n"
    "%6 = state {name = \"wq\"} : f64[4,4]\n"
    "%7 = state {name = \"wk\"} : f64[4,4]\n"
    "%8 = state {name = \"wv\"} : f64[4,4]\n"
    "%9 = state {name = \"wo\"} : f64[4,4]\n"
    "%10 = state {name = \"e\"} : f64[4]\n"
    "%11 = state {name = \"f\"} : f64[5]\n"
    "%12 = linear %3, %6, %10 : f64[B*S,4]\n"
    "%13 = linear %3, %7, %10 : f64[B*S,4]\n"
    "%14 = linear %3, %8, %10 : f64[B*S,4]\n"
    "%15:2 = attention %12, %13, %14, %5, %4 {heads = 2, scale = 0.70710678118654757} : f64[B*S,4], f64[B*S,2]\n"
    "%16 = linear %15, %9, %10 : f64[B*S,4]\n"
    "%17 = add %16, %3 : f64[B*S,4]\n"
    "%18:3 = layer_norm %17, %10, %10 {eps = 1e-12} : f64[B*S,4], f64[B*S], f64[B*S]\n"
    "scope \"output\"\n"
    "%19 = state {name = \"wi\"} : f64[5,4]\n"
    "%20 = state {name = \"wd\"} : f64[4,5]\n"
    "%21 = linear %18, %19, %11 : f64[B*S,5]\n"
    "%22 = gelu %21 : f64[B*S,5]\n"
    "%23 = linear %22, %20, %10 : f64[B*S,4]\n"
    "%24 = add %23, %18 : f64[B*S,4]\n"
    "%25:3 = layer_norm %24, %10, %10 {eps = 1e-12} : f64[B*S,4], f64[B*S], f64[B*S]\n"
    "%26 = reshape %25 : f64[B,S,4]\n"
    "return \"y\" = %26\n";

static void add_random(named_tensors *to, const char *name, ir_dtype dtype, uint32_t rank, const int64_t *dims) {
    ir_tensor *t = named_tensors_add(to, name, dtype, rank, dims);
    rng_key key = rng_key_make(2, name);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, 2 * rng_uniform(key, (uint64_t)i) - 1);
}

static void add_layer(named_tensors *inputs, named_tensors *state) {
    static const double mask[T] = {1, 1, 0, 1, 1, 1};
    static const char *const square[] = {"wq", "wk", "wv", "wo"};
    *inputs = (named_tensors){.what = "input"};
    *state = (named_tensors){.what = "state"};
    add_random(inputs, "x", IR_F64, 3, (int64_t[]){B, S, E});
    named_tensors_add_doubles(inputs, "attention_mask", IR_I64, 2, (int64_t[]){B, S}, mask);
    for (int i = 0; i < 4; i++) add_random(state, square[i], IR_F64, 2, (int64_t[]){E, E});
    add_random(state, "wi", IR_F64, 2, (int64_t[]){F, E});
    add_random(state, "wd", IR_F64, 2, (int64_t[]){E, F});
    add_random(state, "e", IR_F64, 1, (int64_t[]){E});
    add_random(state, "f", IR_F64, 1, (int64_t[]){F});
}

static const double *numbers(const named_tensors *from, const char *name) { return named_tensors_find(from, name)->data; }

/* y [T,n] = x [T,k] w [n,k]^T + b [n] */
static void plain_linear(const double *x, const double *w, const double *b, int n, int k, double *y) {
    for (int t = 0; t < T; t++)
        for (int i = 0; i < n; i++) {
            y[t * n + i] = b[i];
            for (int j = 0; j < k; j++) y[t * n + i] += x[t * k + j] * w[i * k + j];
        }
}

/* y += x; y = layer norm of y with gamma = beta = g */
static void plain_add_and_norm(double *y, const double *x, const double *g) {
    for (int t = 0; t < T; t++) {
        double mean = 0, variance = 0, *row = y + t * E;
        for (int i = 0; i < E; i++) mean += (row[i] += x[t * E + i]) / E;
        for (int i = 0; i < E; i++) variance += (row[i] - mean) * (row[i] - mean) / E;
        for (int i = 0; i < E; i++) row[i] = (row[i] - mean) / sqrt(variance + 1e-12) * g[i] + g[i];
    }
}

static void plain_attention(const double *q, const double *k, const double *v, const ir_tensor *mask, double *y) {
    for (int t = 0; t < T; t++)
        for (int e = 0; e < E; e++) {
            double total = 0, sum = 0;
            for (int j = t / S * S; j < t / S * S + S; j++) {
                double dot = 0;
                for (int d = e / D * D; d < e / D * D + D; d++) dot += q[t * E + d] * k[j * E + d];
                double p = tensor_get_int(mask, j) ? exp(dot / sqrt(D)) : 0;
                total += p;
                sum += p * v[j * E + e];
            }
            y[t * E + e] = sum / total;
        }
}

static void plain_layer(const named_tensors *in, const named_tensors *st, double *y) {
    double q[T * E], k[T * E], v[T * E], context[T * E], hidden[T * E], inner[T * F];
    const double *x = numbers(in, "x"), *e = numbers(st, "e");
    plain_linear(x, numbers(st, "wq"), e, E, E, q);
    plain_linear(x, numbers(st, "wk"), e, E, E, k);
    plain_linear(x, numbers(st, "wv"), e, E, E, v);
    plain_attention(q, k, v, named_tensors_find(in, "attention_mask"), context);
    plain_linear(context, numbers(st, "wo"), e, E, E, hidden);
    plain_add_and_norm(hidden, x, e);
    plain_linear(hidden, numbers(st, "wi"), numbers(st, "f"), F, E, inner);
    for (int i = 0; i < T * F; i++) inner[i] = inner[i] / 2 * (1 + erf(inner[i] / sqrt(2)));
    plain_linear(inner, numbers(st, "wd"), e, E, F, y);
    plain_add_and_norm(y, hidden, e);
}

static void a_bert_layer_equals_plain_loops(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    double y[T * E];
    text_case c;
    add_layer(&inputs, &state);
    plain_layer(&inputs, &state, y);
    text_case_begin(&c, layer_nodes);
    if (text_case_run(&c, &inputs, &state) != POFAC_OK) fail_msg("%s", strbuf_str(&c.messages));
    ir_tensor wanted = tensor_view(IR_F64, 3, (int64_t[]){B, S, E}, y);
    assert_tensors_close("y", interp_find(&c.results, "y"), &wanted, 1e-13, 0);
    text_case_end(&c);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

/* ---- observers and outputs ---- */

typedef struct observed {
    size_t n_nodes;
    double sum_of_queries; /* of the node whose first result is %12 */
    pofac_status answer;
} observed;

static pofac_status observe(void *user, const ir_graph *g, const ir_node *n, const ir_tensor *results) {
    observed *o = user;
    if (o->n_nodes != (size_t)(n - g->nodes.data))
        fail_msg("node %zu is seen as number %zu", (size_t)(n - g->nodes.data), o->n_nodes);
    o->n_nodes++;
    if (n->op == OP_linear && o->sum_of_queries == 0)
        for (int64_t i = 0; i < tensor_elements(&results[0]); i++) o->sum_of_queries += tensor_get(&results[0], i);
    return n->op == OP_attention ? o->answer : POFAC_OK;
}

static void observers_see_every_node_and_may_stop(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    text_case c;
    double q[T * E], sum = 0;
    add_layer(&inputs, &state);
    plain_linear(numbers(&inputs, "x"), numbers(&state, "wq"), numbers(&state, "e"), E, E, q);
    for (int i = 0; i < T * E; i++) sum += q[i];
    text_case_begin(&c, layer_nodes);
    tensor_source in = named_tensors_source(&inputs), st = named_tensors_source(&state);
    observed o = {.answer = POFAC_OK};
    interp_observer observer = {.node = observe, .user = &o};
    assert_int_equal(interpret_graph(c.graph, &in, &st, &observer, &c.sink, &c.results), POFAC_OK);
    assert_int_equal(o.n_nodes, c.graph->nodes.size);
    assert_true(fabs(o.sum_of_queries - sum) < 1e-12);
    interp_results_free(&c.results);
    o = (observed){.answer = POFAC_ERR_INTERRUPTED};
    assert_int_equal(interpret_graph(c.graph, &in, &st, &observer, &c.sink, &c.results), POFAC_ERR_INTERRUPTED);
    assert_true(o.n_nodes < c.graph->nodes.size);
    assert_null(interp_find(&c.results, "y"));
    text_case_end(&c);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

/* Leaves, values under two names, and values that are used after they are returned. */
static void outputs_own_their_tensors(void **unused) {
    (void)unused;
    named_tensors inputs = {.what = "input"};
    const double one_two[2] = {1, 2};
    const int64_t n = 2;
    text_case c;
    named_tensors_add_doubles(&inputs, "x", IR_F32, 1, &n, one_two);
    text_case_begin(&c, "%1 = input {name = \"x\"} : f32[N]\n"
                        "%2 = add %1, %1 : f32[N]\n"
                        "%3 = add %2, %2 : f32[N]\n"
                        "return \"a\" = %1, \"b\" = %2, \"c\" = %2, \"d\" = %3\n");
    assert_int_equal(text_case_run(&c, &inputs, NULL), POFAC_OK);
    named_tensors_free(&inputs);
    assert_int_equal(c.results.n_outputs, 4);
    const double wanted[4] = {2, 4, 4, 8};
    for (size_t i = 0; i < 4; i++) {
        assert_true(c.results.outputs[i].tensor.owned);
        assert_true(tensor_get(&c.results.outputs[i].tensor, 1) == wanted[i]);
    }
    assert_null(interp_find(&c.results, "e"));
    text_case_end(&c);
}

/* ---- state ---- */

static void state_of_other_widths_is_converted(void **unused) {
    (void)unused;
    named_tensors state = {.what = "state"};
    const double values[2] = {0.5, 0.1};
    const int64_t n = 2;
    text_case c;
    named_tensors_add_doubles(&state, "w", IR_F16, 1, &n, values);
    text_case_begin(&c, "%1 = state {name = \"w\"} : f32[2]\n return \"y\" = %1\n");
    assert_int_equal(text_case_run(&c, NULL, &state), POFAC_OK);
    assert_true(tensor_get(interp_find(&c.results, "y"), 1) == 0.0999755859375);
    text_case_end(&c);
    named_tensors_free(&state);
}

/* A moment that belongs to a pattern may be dense or compacted; a NaN is no zero. */
static void sparse_state_is_dense_or_compacted(void **unused) {
    (void)unused;
    named_tensors state = {.what = "state"};
    const double w[6] = {0, 5, 0, -1, 0, NAN}, dense[6] = {1, 2, 3, 4, 5, 6}, compacted[3] = {7, 8, 9};
    text_case c;
    named_tensors_add_doubles(&state, "w", IR_F32, 2, (int64_t[]){2, 3}, w);
    named_tensors_add_doubles(&state, "m", IR_F64, 2, (int64_t[]){2, 3}, dense);
    named_tensors_add_doubles(&state, "v", IR_F32, 1, (int64_t[]){3}, compacted);
    text_case_begin(&c, "%1 = pattern {name = \"w\"} : pattern[2,3]\n"
                        "%2 = state {name = \"m\"} : f32[nnz(%1)]\n"
                        "%3 = state {name = \"v\"} : f32[nnz(%1)]\n"
                        "return \"m\" = %2, \"v\" = %3, \"p\" = %1\n");
    if (text_case_run(&c, NULL, &state) != POFAC_OK) fail_msg("%s", strbuf_str(&c.messages));
    const double wanted[3] = {2, 4, 6};
    ir_tensor m;
    assert_int_equal(tensor_alloc(IR_F32, 1, (int64_t[]){3}, &m), POFAC_OK);
    tensor_set_run(&m, 0, 3, wanted);
    assert_tensors_close("m", interp_find(&c.results, "m"), &m, 0, 0);
    assert_tensors_close("v", interp_find(&c.results, "v"), named_tensors_find(&state, "v"), 0, 0);
    const ir_tensor *p = interp_find(&c.results, "p");
    assert_int_equal(p->pattern->nnz, 3);
    assert_int_equal(p->pattern->column[2], 2);
    tensor_free(&m);
    text_case_end(&c);
    named_tensors_free(&state);
}

static void errors_say_what_was_found_and_wanted(void **unused) {
    (void)unused;
    static const struct {
        const char *nodes, *message;
    } cases[] = {
        {"%1 = state {name = \"v\"} : f32[3]\n return \"y\" = %1\n", "state v is missing"},
        {"%1 = state {name = \"w\"} : f32[3,2]\n return \"y\" = %1\n", "state w is f32[2,3], wanted f32[3,2]"},
        {"%1 = state {name = \"w\"} : i32[2,3]\n return \"y\" = %1\n", "state w is f32[2,3], wanted i32[2,3]"},
        {"%1 = pattern {name = \"w\"} : pattern[3,3]\n return \"y\" = %1\n", "pattern w is pattern[2,3], wanted pattern[3,3]"},
        {"%1 = pattern {name = \"b\"} : pattern[3,3]\n return \"y\" = %1\n",
         "b: found a tensor of rank 1, a pattern needs a matrix"},
        {"%1 = pattern {name = \"w\"} : pattern[2,3]\n %2 = state {name = \"b\"} : f32[nnz(%1)]\n return \"y\" = %2\n",
         "state b is f32[4], wanted f32[2]"},
        {"%1 = input {name = \"x\"} : f32[N]\n return \"y\" = %1\n", "input x is missing"},
        {"%1 = state {name = \"b\"} : f32[T]\n return \"y\" = %1\n",
         "state: dimension T is not determined by the inputs, wanted a number"},
    };
    const double w[6] = {1, 0, 0, 0, 0, 1};
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    named_tensors_add_doubles(&state, "w", IR_F32, 2, (int64_t[]){2, 3}, w);
    named_tensors_add_doubles(&state, "b", IR_F32, 1, (int64_t[]){4}, w);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        text_case c;
        text_case_begin(&c, cases[i].nodes);
        assert_int_equal(text_case_run(&c, &inputs, &state), POFAC_ERR_INPUT);
        assert_string_equal(strbuf_str(&c.messages), cases[i].message);
        assert_int_equal(c.results.n_outputs, 0);
        text_case_end(&c);
    }
    named_tensors_free(&state);
}

/* ---- failures ---- */

static void failing_allocations(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        generated_graph g;
        graph_generate(seed, NULL, &g);
        tensor_source in = named_tensors_source(&g.inputs), st = named_tensors_source(&g.state);
        for (size_t n = 1;; n++) {
            interp_results results;
            fail_alloc_after(n);
            pofac_status status = interpret_graph(g.graph, &in, &st, NULL, NULL, &results);
            bool failed = fail_alloc_stop();
            if (failed != (status == POFAC_ERR_RUNTIME)) fail_msg("seed %d, allocation %zu fails: status %d", (int)seed, n, status);
            interp_results_free(&results);
            if (!failed) break;
        }
        generated_graph_free(&g);
    }
}

/* ---- generated graphs ---- */

static void same_seed_same_graph(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        generated_graph a, b, other;
        graph_generate(seed, NULL, &a);
        graph_generate(seed, NULL, &b);
        graph_generate(seed + 1000, NULL, &other);
        assert_true(module_equal(a.module, b.module));
        assert_false(module_equal(a.module, other.module));
        for (size_t i = 0; i < a.inputs.entries.size; i++) {
            const named_tensor *x = &a.inputs.entries.data[i];
            assert_tensors_close(x->name, &x->tensor, named_tensors_find(&b.inputs, x->name), 0, 0);
        }
        generated_graph_free(&a);
        generated_graph_free(&b);
        generated_graph_free(&other);
    }
}

/* Inputs anew bring other numbers for the symbols; every op and every option is met. */
static void generated_graphs_run_and_have_every_op(void **unused) {
    (void)unused;
    static const graph_options plain = {
        .n_steps = 20, .without_sparse = true, .without_tiles = true, .without_casts = true, .without_losses = true};
    size_t count[IR_N_OPS] = {0};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        generated_graph g;
        graph_generate(seed, seed % 3 ? NULL : &plain, &g);
        for (uint64_t again = 0; again < 3; again++) {
            strbuf messages = STRBUF_INIT;
            diag_sink sink = message_sink(&messages);
            interp_results results;
            if (again > 0) graph_generate_inputs(&g, seed + again);
            tensor_source in = named_tensors_source(&g.inputs), st = named_tensors_source(&g.state);
            if (interpret_graph(g.graph, &in, &st, NULL, &sink, &results) != POFAC_OK)
                fail_msg("seed %d: %s", (int)seed, strbuf_str(&messages));
            interp_results_free(&results);
            strbuf_free(&messages);
        }
        for (size_t i = 0; i < g.graph->nodes.size; i++) {
            const ir_node *n = &g.graph->nodes.data[i];
            count[n->op]++;
            if (seed % 3 == 0 && (n->op == OP_pattern || n->op == OP_cross_entropy || graph_type(g.graph, n->first_result)->tile))
                fail_msg("seed %d: %s, which was to be left out", (int)seed, op_info(n->op)->name);
        }
        generated_graph_free(&g);
    }
    /* these count labels, of which a batch must have some: test_ops_eval.c; in whole models test_training.c */
    count[OP_labelled_rows]++;
    count[OP_linear_cross_entropy]++;
    count[OP_sampled_rows]++;
    /* heads of distillation: test_ops_eval.c, test_autodiff.c, and against their kernels test_linear_distillation_kernels.c */
    count[OP_linear_kl_divergence]++;
    count[OP_linear_soft_cross_entropy]++;
    /* a staircase, which makes much of the last bit that passes may change: test_ops_eval.c, and in models test_lower_int8.c */
    count[OP_row_range]++;
    count[OP_quantize]++;
    count[OP_linear_int8]++;
    for (int op = 0; op < IR_N_OPS; op++)
        if (count[op] == 0) fail_msg("300 graphs and no %s", op_info((ir_op)op)->name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bert_layer_equals_plain_loops),
        cmocka_unit_test(observers_see_every_node_and_may_stop),
        cmocka_unit_test(outputs_own_their_tensors),
        cmocka_unit_test(state_of_other_widths_is_converted),
        cmocka_unit_test(sparse_state_is_dense_or_compacted),
        cmocka_unit_test(errors_say_what_was_found_and_wanted),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(same_seed_same_graph),
        cmocka_unit_test(generated_graphs_run_and_have_every_op),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
