/*
 * Kernels of the gradients of linear against the interpreter: dense weights and patterns of every density, empty and full rows, one
 * non-zero and none, tokens that do not fill a tile; on every instruction set of the machine, the same bits from 1 and 3 threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "ir/support/rng.h"
#include "tests/unit/codegen/kernel_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* What stands in a weight [N,K]. */
typedef enum pattern_form {
    SHARE_10, /* each element with chance 1/10 */
    SHARE_50,
    FULL,
    EMPTY,
    LAST_ONLY, /* one non-zero, at the end */
    UNEVEN     /* row n has a share of n/N: the first row is empty, the last ones nearly full; column 0 is empty */
} pattern_form;
static const pattern_form every_form[] = {SHARE_10, SHARE_50, FULL, EMPTY, LAST_ONLY, UNEVEN};

static bool is_kept(pattern_form form, int64_t n, int64_t k, int64_t N, int64_t K, double chance) {
    switch (form) {
    case SHARE_10: return chance < 0.1;
    case SHARE_50: return chance < 0.5;
    case FULL: return true;
    case EMPTY: return false;
    case LAST_ONLY: return n == N - 1 && k == K - 1;
    case UNEVEN: return k > 0 && chance * (double)N < (double)n;
    }
    return false;
}

/* A weight "w" [N,K] of a form; numbers in [-1, 1), never 0 where they are kept. Returns how many are. */
static int64_t add_weight(named_tensors *to, pattern_form form, int64_t N, int64_t K) {
    ir_tensor *w = named_tensors_add(to, "w", IR_F32, 2, DIMS(N, K));
    rng_key values = rng_key_make(3, "values"), chances = rng_key_make(3, "chances");
    int64_t nnz = 0;
    for (int64_t i = 0; i < N * K; i++) {
        double value = 2 * rng_uniform(values, (uint64_t)i) - 1;
        if (!is_kept(form, i / K, i % K, N, K, rng_uniform(chances, (uint64_t)i))) continue;
        tensor_set(w, i, value != 0 ? value : 0.5);
        nnz++;
    }
    return nnz;
}

static const int64_t token_counts[] = {1, 2, 3, 5, 15, 16, 17, 31, 33, 47, 48, 63, 64, 65, 70};

typedef struct shape {
    int64_t T, N, K;
    int W;
} shape;

/* `n_results`: the numbers that the outputs of the nodes have together. */
static void check(const shape *s, named_tensors *state, const char *kernel, const char *nodes, int64_t n_results, double bound) {
    named_tensors inputs = {.what = "input"};
    strbuf text = STRBUF_INIT;
    kernel_case_reals(&inputs, "x", 2, DIMS(s->T, s->K));
    kernel_case_reals(&inputs, "dy", 2, DIMS(s->T, s->N));
    /* x and dy in tiles, plus 1: lanes past T are not 0 */
    strbuf_printf(&text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%lld]\n"
                  "  %%2 = input {name = \"dy\"} : f32[T,%lld]\n"
                  "  %%3 = constant {value = [1]} : f32[]\n"
                  "  %%4 = relayout %%1 : f32[T,%lld] tiles<%d>\n"
                  "  %%5 = relayout %%2 : f32[T,%lld] tiles<%d>\n"
                  "  %%6 = add %%4, %%3 : f32[T,%lld] tiles<%d>\n"
                  "  %%7 = add %%5, %%3 : f32[T,%lld] tiles<%d>\n"
                  "%s}\n",
                  (long long)s->K, (long long)s->N, (long long)s->K, s->W, (long long)s->N, s->W, (long long)s->K, s->W,
                  (long long)s->N, s->W, nodes);
    kernel_case c = {.text = strbuf_str(&text), .kernel = kernel, .inputs = &inputs, .state = state, .absolute = bound};
    assert_int_equal(kernel_case_run(&c), n_results);
    strbuf_free(&text);
    named_tensors_free(&inputs);
}

/*
 * Each of T products is at most 4, and a number of dw takes part in at most W/4 additions of one tile's vectors, 6 of the tree and one
 * per tile and part of it, each of which rounds by 2^-24 of what is there, at most 4T; twice that without FMA.
 */
static double weight_gradient_bound(const shape *s) { return 4.0 * (double)s->T * (double)(s->W / 2 + 6 + s->T / 4 + 1) * 0x1p-24; }

static void check_sparse_weight_gradient(const shape *s, pattern_form form, const char *variant) {
    named_tensors state = {.what = "state"};
    char nodes[512];
    const int64_t nnz = add_weight(&state, form, s->N, s->K);
    snprintf(nodes, sizeof nodes,
             "  %%8 = pattern {name = \"w\"} : pattern[%lld,%lld]\n"
             "  %%9:2 = linear_weight_gradient %%6, %%7, %%8%s : f32[nnz(%%8)], f32[%lld]\n"
             "  return \"dw\" = %%9, \"db\" = %%9#1\n",
             (long long)s->N, (long long)s->K, variant, (long long)s->N);
    check(s, &state, "sparse_weight_gradient", nodes, nnz + s->N, weight_gradient_bound(s));
    named_tensors_free(&state);
}

static void sparse_weight_gradients_of_odd_sizes(void **unused) {
    (void)unused;
    static const shape shapes[] = {{1, 1, 1, 16},    {3, 5, 2, 4},      {17, 13, 9, 8},
                                   {33, 70, 31, 32}, {70, 19, 150, 64}, {5, 66, 40, 12}};
    for (size_t i = 0; i < N_OF(shapes); i++)
        for (size_t f = i + 2 < N_OF(shapes) ? i % 2 : 0; f < N_OF(every_form); f += i + 2 < N_OF(shapes) ? 2 : 1)
            check_sparse_weight_gradient(&shapes[i], every_form[f], "");
}

static void sparse_weight_gradients_of_any_number_of_tokens(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_OF(token_counts); i++) {
        const shape s = {token_counts[i], 24, 40, i % 2 ? 32 : 64};
        check_sparse_weight_gradient(&s, i % 3 ? SHARE_50 : UNEVEN, "");
    }
}

/* Blocks that do not divide K, groups that do not divide N, many units of few rows. */
static void sparse_weight_gradients_in_blocks_and_groups(void **unused) {
    (void)unused;
    static const char *const variants[] = {" {variant = \"sparse_weight_gradient k_block=7 rows=5\"}",
                                           " {variant = \"sparse_weight_gradient tile=32 k_block=64 rows=100\"}",
                                           " {variant = \"sparse_weight_gradient k_block=1 rows=1\"}"};
    const shape s = {50, 23, 61, 32};
    for (size_t v = 0; v < N_OF(variants); v++)
        for (size_t f = v % 2; f < N_OF(every_form); f += 2) check_sparse_weight_gradient(&s, every_form[f], variants[v]);
}

static void sparse_weight_gradients_of_bert_sizes(void **unused) {
    (void)unused;
    static const shape shapes[] = {{130, 400, 768, 64}, {40, 70, 3072, 32}, {40, 3072, 100, 64}};
    for (size_t i = 0; i < N_OF(shapes); i++) check_sparse_weight_gradient(&shapes[i], SHARE_10, "");
}

/* One result alone. */
static void one_of_the_two_sums(void **unused) {
    (void)unused;
    named_tensors state = {.what = "state"};
    const shape s = {37, 70, 30, 32};
    const char *const outputs[] = {"\"dw\" = %9", "\"db\" = %9#1"};
    const int64_t nnz = add_weight(&state, SHARE_50, s.N, s.K);
    for (size_t i = 0; i < N_OF(outputs); i++) {
        char nodes[512];
        snprintf(nodes, sizeof nodes,
                 "  %%8 = pattern {name = \"w\"} : pattern[70,30]\n"
                 "  %%9:2 = linear_weight_gradient %%6, %%7, %%8 : f32[nnz(%%8)], f32[70]\n  return %s\n",
                 outputs[i]);
        check(&s, &state, "sparse_weight_gradient", nodes, i == 0 ? nnz : s.N, weight_gradient_bound(&s));
    }
    named_tensors_free(&state);
}

/* ---- the gradient with respect to the input ---- */

/*
 * Up to N products of a weight of variance 1/3 and an element of dy of square 4/3 on average add up to some 0.67 sqrt(N); N additions
 * round by 2^-24 of that, twice without FMA, and their errors add up like a random walk, of which 6 deviations are allowed.
 */
static double input_gradient_bound(const shape *s) { return 6 * 2 * 0.67 * (double)s->N * 0x1p-24 + 1e-6; }

/* Both products with one array of values: of state that stays, which is packed beforehand, or of state that an output replaces, for
 * which a step does so. */
static void check_sparse_products(const shape *s, pattern_form form, bool changing, const char *variant) {
    named_tensors state = {.what = "state"};
    char nodes[1024], attributes[128] = "";
    const long long N = s->N, K = s->K;
    const int64_t nnz = add_weight(&state, form, s->N, s->K);
    if (variant) snprintf(attributes, sizeof attributes, " {variant = \"%s\"}", variant);
    snprintf(nodes, sizeof nodes,
             "  %%8 = pattern {name = \"w\"} : pattern[%lld,%lld]\n"
             "  %%9 = state {name = \"w\"} : f32[nnz(%%8)]\n"
             "  %%10 = linear_input_gradient %%7, %%9, %%8%s : f32[T,%lld] tiles<%d>\n"
             "  %%11 = relayout %%10 : f32[T,%lld]\n"
             "  %%12 = linear %%6, %%9, _, %%8 : f32[T,%lld] tiles<%d>\n"
             "  %%13 = relayout %%12 : f32[T,%lld]\n"
             "  %%14 = add %%9, %%3 : f32[nnz(%%8)]\n"
             "  return \"dx\" = %%11, \"y\" = %%13, \"%s\" = %%14\n",
             N, K, attributes, K, s->W, K, N, s->W, N, changing ? "w" : "w2");
    const shape both = {s->T, s->N > s->K ? s->N : s->K, 0, 0};
    check(s, &state, changing ? "sparse_values" : "sparse_linear", nodes, s->T * (K + N) + nnz, input_gradient_bound(&both));
    named_tensors_free(&state);
}

static void sparse_products_of_odd_sizes(void **unused) {
    (void)unused;
    static const shape shapes[] = {{1, 1, 1, 16}, {3, 5, 2, 4}, {33, 70, 31, 32}, {70, 19, 150, 64}};
    for (size_t i = 0; i < N_OF(shapes); i++)
        for (size_t f = 0; f < N_OF(every_form); f++) check_sparse_products(&shapes[i], every_form[f], f % 2 == i % 2, NULL);
    for (size_t f = 0; f < N_OF(every_form); f++) check_sparse_products(&shapes[3], every_form[f], f % 2 == 0, NULL);
}

static void sparse_products_with_parameters(void **unused) {
    (void)unused;
    const shape s = {50, 61, 23, 32};
    for (size_t f = 0; f < N_OF(every_form); f++) {
        check_sparse_products(&s, every_form[f], true, "sparse_linear k_block=7 rows=5 unroll=3");
        check_sparse_products(&s, every_form[f], false, "sparse_linear k_block=16 rows=8");
    }
}

static void sparse_products_of_bert_sizes(void **unused) {
    (void)unused;
    static const shape shapes[] = {{130, 768, 768, 64}, {40, 3072, 768, 32}};
    for (size_t i = 0; i < N_OF(shapes); i++) check_sparse_products(&shapes[i], SHARE_10, i == 0, NULL);
}

/* ---- dense weights ---- */

static void check_dense_gradients(const shape *s, bool wants_dw, bool wants_db) {
    named_tensors state = {.what = "state"};
    char nodes[1024];
    const long long N = s->N, K = s->K;
    add_weight(&state, FULL, s->N, s->K);
    snprintf(nodes, sizeof nodes,
             "  %%8:2 = linear_weight_gradient %%6, %%7 : f32[%lld,%lld], f32[%lld]\n"
             "  return %s%s%s\n",
             N, K, N, wants_dw ? "\"dw\" = %8" : "", wants_dw && wants_db ? ", " : "", wants_db ? "\"db\" = %8#1" : "");
    check(s, &state, "weight_gradient", nodes, (wants_dw ? N * K : 0) + (wants_db ? N : 0), weight_gradient_bound(s));
    snprintf(nodes, sizeof nodes,
             "  %%8 = state {name = \"w\"} : f32[%lld,%lld]\n"
             "  %%9 = linear_input_gradient %%7, %%8 : f32[T,%lld] tiles<%d>\n"
             "  %%10 = relayout %%9 : f32[T,%lld]\n"
             "  %%11 = relayout %%6 : f32[T,%lld]\n"
             "  return \"dx\" = %%10, \"x\" = %%11\n",
             N, K, K, s->W, K, K);
    check(s, &state, "linear", nodes, 2 * s->T * K, input_gradient_bound(s));
    named_tensors_free(&state);
}

static void dense_gradients_of_odd_sizes(void **unused) {
    (void)unused;
    static const shape shapes[] = {{1, 1, 1, 16},    {3, 5, 2, 4},      {17, 13, 9, 8},
                                   {33, 70, 31, 32}, {70, 19, 150, 64}, {5, 66, 40, 12}};
    for (size_t i = 0; i < N_OF(shapes); i++) check_dense_gradients(&shapes[i], i != 1, i != 2);
}

static void dense_gradients_of_any_number_of_tokens(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_OF(token_counts); i++) {
        const shape s = {token_counts[i], 25, 40, i % 2 ? 32 : 64};
        check_dense_gradients(&s, true, true);
    }
}

static void dense_gradients_of_bert_sizes(void **unused) {
    (void)unused;
    static const shape shapes[] = {{300, 100, 768, 64}, {100, 1000, 300, 32}};
    for (size_t i = 0; i < N_OF(shapes); i++) check_dense_gradients(&shapes[i], true, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparse_weight_gradients_of_odd_sizes),
        cmocka_unit_test(sparse_weight_gradients_of_any_number_of_tokens),
        cmocka_unit_test(sparse_weight_gradients_in_blocks_and_groups),
        cmocka_unit_test(sparse_weight_gradients_of_bert_sizes),
        cmocka_unit_test(one_of_the_two_sums),
        cmocka_unit_test(sparse_products_of_odd_sizes),
        cmocka_unit_test(sparse_products_with_parameters),
        cmocka_unit_test(sparse_products_of_bert_sizes),
        cmocka_unit_test(dense_gradients_of_odd_sizes),
        cmocka_unit_test(dense_gradients_of_any_number_of_tokens),
        cmocka_unit_test(dense_gradients_of_bert_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
