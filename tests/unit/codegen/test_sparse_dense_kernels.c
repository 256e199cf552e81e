/*
 * Kernels between dense weights and the non-zeros of their patterns, against the interpreter: exact, for patterns of every density with
 * empty and full rows, sizes that fill no unit and no vector, more columns than an index has in a block; on every instruction set of the
 * machine, the same bits from 1 and 3 threads.
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

typedef struct shape {
    int64_t N, K;
} shape;

/* A weight "w" [N,K] in which an element of row n is kept with chance `share`, times 2n/N where it is uneven. Returns how many are. */
static int64_t add_weight(named_tensors *to, const shape *s, double share, bool uneven) {
    ir_tensor *w = kernel_case_reals(to, "w", 2, DIMS(s->N, s->K));
    const rng_key chances = rng_key_make(3, "chances");
    int64_t nnz = 0;
    for (int64_t i = 0; i < tensor_elements(w); i++) {
        const double limit = uneven ? 2 * share * (double)(i / s->K) / (double)s->N : share;
        if (rng_uniform(chances, (uint64_t)i) >= limit) tensor_set(w, i, 0);
        else if (tensor_get(w, i) == 0) tensor_set(w, i, 0.5);
        nnz += tensor_get(w, i) != 0;
    }
    return nnz;
}

static void check(const shape *s, double share, bool uneven) {
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    const int64_t nnz = add_weight(&state, s, share, uneven);
    const long long N = s->N, K = s->K;
    char text[1024];
    kernel_case_reals(&inputs, "x", 2, DIMS(s->N, s->K));
    for (int to_dense = 0; to_dense < 2; to_dense++) {
        if (to_dense)
            snprintf(text, sizeof text,
                     "graph @g () {\n"
                     "  %%1 = pattern {name = \"w\"} : pattern[%lld,%lld]\n"
                     "  %%2 = state {name = \"w\"} : f32[nnz(%%1)]\n"
                     "  %%3 = sparse_to_dense %%2, %%1 : f32[%lld,%lld]\n"
                     "  return \"y\" = %%3\n"
                     "}\n",
                     N, K, N, K);
        else
            snprintf(text, sizeof text,
                     "graph @g () {\n"
                     "  %%1 = pattern {name = \"w\"} : pattern[%lld,%lld]\n"
                     "  %%2 = input {name = \"x\"} : f32[%lld,%lld]\n"
                     "  %%3 = dense_to_sparse %%2, %%1 : f32[nnz(%%1)]\n"
                     "  return \"y\" = %%3\n"
                     "}\n",
                     N, K, N, K);
        kernel_case c = {
            .text = text, .kernel = to_dense ? "sparse_to_dense" : "dense_to_sparse", .inputs = &inputs, .state = &state};
        assert_int_equal(kernel_case_run(&c), to_dense ? s->N * s->K : nnz);
    }
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

static const shape shapes[] = {{1, 1},   {1, 15},  {3, 16},   {15, 17},   {16, 5},   {17, 33},
                               {70, 31}, {33, 70}, {1000, 1}, {70, 1000}, {129, 543} /* 70,047 elements */};

static void patterns_of_every_density(void **unused) {
    (void)unused;
    static const double shares[] = {0.1, 0.5, 1};
    for (size_t i = 0; i < N_OF(shapes); i++)
        for (size_t d = 0; d < N_OF(shares); d++) check(&shapes[i], shares[d], (i + d) % 2);
}

static void empty_patterns(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_OF(shapes); i++) check(&shapes[i], 0, false);
}

static void full_patterns(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_OF(shapes); i++) check(&shapes[i], 1, false);
}

static void several_blocks_of_columns(void **unused) {
    (void)unused;
    const shape two = {18, 40000}, three = {2, 65537};
    check(&two, 0.1, false);
    check(&three, 0.5, false);
}

/* There and back: the gradient of one is the other. */
static void there_and_back(void **unused) {
    (void)unused;
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    const shape s = {50, 60};
    const int64_t nnz = add_weight(&state, &s, 0.3, true);
    kernel_case_reals(&inputs, "x", 2, DIMS(s.N, s.K));
    kernel_case c = {.text = "graph @g () {\n"
                             "  %1 = pattern {name = \"w\"} : pattern[50,60]\n"
                             "  %2 = input {name = \"x\"} : f32[50,60]\n"
                             "  %3 = dense_to_sparse %2, %1 : f32[nnz(%1)]\n"
                             "  %4 = sparse_to_dense %3, %1 : f32[50,60]\n"
                             "  %5 = dense_to_sparse %4, %1 : f32[nnz(%1)]\n"
                             "  return \"y\" = %4, \"z\" = %5\n"
                             "}\n",
                     .inputs = &inputs,
                     .state = &state};
    assert_int_equal(kernel_case_run(&c), 3000 + nnz);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_of_every_density), cmocka_unit_test(empty_patterns), cmocka_unit_test(full_patterns),
        cmocka_unit_test(several_blocks_of_columns), cmocka_unit_test(there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
