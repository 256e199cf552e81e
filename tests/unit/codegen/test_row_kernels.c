/*
 * Kernels of a training step that go through rows - gradients of layer norms, dropout, losses, sums over rows - against the interpreter:
 * odd widths, rows that do not fill a tile, none at all; on every instruction set of the machine, the same bits from 1 and 3 threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/codegen/kernel_case.h"

typedef struct fixture {
    named_tensors inputs, state;
    strbuf text;
} fixture;

static fixture begin(void) { return (fixture){.inputs = {.what = "input"}, .state = {.what = "state"}, .text = STRBUF_INIT}; }

static void finish(fixture *f, const char *kernel, double absolute, double relative) {
    kernel_case c = {.text = strbuf_str(&f->text),
                     .kernel = kernel,
                     .inputs = &f->inputs,
                     .state = &f->state,
                     .absolute = absolute,
                     .relative = relative};
    kernel_case_run(&c);
    named_tensors_free(&f->inputs);
    named_tensors_free(&f->state);
    strbuf_free(&f->text);
}

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* ---- layer_norm_gradient ---- */

/* Deviations between 1/4 and 2. */
static void add_moments(named_tensors *to, int64_t T) {
    kernel_case_reals(to, "mean", 1, DIMS(T));
    ir_tensor *rstd = kernel_case_reals(to, "rstd", 1, DIMS(T));
    for (int64_t i = 0; i < T; i++) tensor_set(rstd, i, 1 + 0.5 * tensor_get(rstd, i));
}

/*
 * u = 2^-24; |x|, |dy|, |gamma| and |mean| are below 1 and rstd below 3/2, so z is below 3 and known to 4u 3. Sums over E features and
 * over T rows round like random walks of as many steps: 6 deviations of sqrt(n) u times the largest term and the sum's own size, which
 * is about sqrt(n).
 */
static double norm_gradient_bound(int64_t T, int64_t E) { return 6 * 0x1p-24 * (20 + 3 * (double)T + 3 * sqrt((double)E)); }

static void check_layer_norm_gradient(int64_t T, int64_t E, int W, const char *outputs) {
    fixture f = begin();
    kernel_case_reals(&f.inputs, "x", 2, DIMS(T, E));
    kernel_case_reals(&f.inputs, "dy", 2, DIMS(T, E));
    kernel_case_reals(&f.state, "g", 1, DIMS(E));
    add_moments(&f.inputs, T);
    const long long e = (long long)E;
    strbuf_printf(
        &f.text,
        "graph @g (T <= 4096) {\n"
        "  %%1 = input {name = \"x\"} : f32[T,%lld]\n"
        "  %%2 = input {name = \"dy\"} : f32[T,%lld]\n"
        "  %%3 = state {name = \"g\"} : f32[%lld]\n"
        "  %%4 = input {name = \"mean\"} : f32[T]\n"
        "  %%5 = input {name = \"rstd\"} : f32[T]\n"
        "  %%6 = relayout %%1 : f32[T,%lld] tiles<%d>\n"
        "  %%7 = relayout %%2 : f32[T,%lld] tiles<%d>\n"
        "  %%8:3 = layer_norm_gradient %%6, %%7, %%3, %%4, %%5 {group = 1} : f32[T,%lld] tiles<%d>, f32[%lld], f32[%lld]\n"
        "  %%9 = add %%8, %%6 {group = 1} : f32[T,%lld] tiles<%d>\n"
        "  %%10 = relayout %%8 : f32[T,%lld]\n"
        "  %%11 = relayout %%9 : f32[T,%lld]\n"
        "  return %s\n}\n",
        e, e, e, e, W, e, W, e, W, e, e, e, W, e, e, outputs);
    finish(&f, "layer_norm_gradient", norm_gradient_bound(T, E), 1e-6);
}

static void gradients_of_layer_norms(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {1, 5}, {31, 7}, {33, 64}, {64, 100}, {50, 769}, {300, 24}, {2100, 9}};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        check_layer_norm_gradient(sizes[i][0], sizes[i][1], 16, "\"dx\" = %10, \"s\" = %11, \"dgamma\" = %8#1, \"dbeta\" = %8#2");
        check_layer_norm_gradient(sizes[i][0], sizes[i][1], i % 2 ? 32 : 64,
                                  i % 2 ? "\"dx\" = %10, \"dgamma\" = %8#1" : "\"s\" = %11, \"dbeta\" = %8#2");
    }
}

/* ---- dropout ---- */

/* Keys of rows, and seed and step, all of which use their upper halves. */
static void add_random(named_tensors *to, int64_t T) {
    ir_tensor *keys = kernel_case_integers(to, "keys", IR_I64, 1, DIMS(T), INT64_MAX),
              *random = named_tensors_add(to, "random", IR_I64, 1, DIMS(2));
    (void)keys;
    tensor_set_int(random, 0, INT64_C(0x7123456789abcdef));
    tensor_set_int(random, 1, 1000003);
}

static void begin_dropout(fixture *f, int64_t T, int64_t E, int W) {
    *f = begin();
    kernel_case_reals(&f->inputs, "x", 2, DIMS(T, E));
    add_random(&f->inputs, T);
    strbuf_printf(&f->text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%lld]\n"
                  "  %%2 = input {name = \"keys\"} : i64[T]\n"
                  "  %%3 = input {name = \"random\"} : i64[2]\n"
                  "  %%4 = relayout %%1 : f32[T,%lld] tiles<%d>\n",
                  (long long)E, (long long)E, W);
}

static void check_dropout(int64_t T, int64_t E, int W, const char *attributes) {
    fixture f;
    begin_dropout(&f, T, E, W);
    const long long e = (long long)E;
    strbuf_printf(&f.text,
                  "  %%5 = dropout %%4, %%2, %%3 {%s, group = 1} : f32[T,%lld] tiles<%d>\n"
                  "  %%6 = add %%5, %%4 {group = 1} : f32[T,%lld] tiles<%d>\n"
                  "  %%7 = relayout %%5 : f32[T,%lld]\n  %%8 = relayout %%6 : f32[T,%lld]\n"
                  "  return \"y\" = %%7, \"s\" = %%8\n}\n",
                  attributes, e, W, e, W, e, e);
    finish(&f, "elementwise", 0x1p-22, 0x1p-22); /* two roundings of numbers below 4 */
}

static void dropout_of_odd_sizes(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {1, 5}, {31, 7}, {33, 64}, {64, 100}, {50, 769}};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        check_dropout(sizes[i][0], sizes[i][1], 16, "rate = 0.1, stream = 0");
        check_dropout(sizes[i][0], sizes[i][1], i % 2 ? 32 : 64, "rate = 0.5, stream = 4294967295");
    }
    check_dropout(40, 30, 4, "rate = 0.999, stream = 77");
    check_dropout(40, 30, 32, "rate = 0, stream = 5");
}

/* Behind a linear, whose blocks of rows begin at any feature; dense, and with a pattern. */
static void check_linear_dropout(int64_t T, int64_t N, int64_t K, int W, bool sparse, bool gradient) {
    fixture f;
    begin_dropout(&f, T, K, W);
    ir_tensor *w = kernel_case_reals(&f.state, "w", 2, gradient ? DIMS(K, N) : DIMS(N, K));
    for (int64_t i = 0; sparse && i < N * K; i++)
        if (i * 7 % 10 > 2) tensor_set(w, i, 0);
    kernel_case_reals(&f.state, "b", 1, DIMS(N));
    kernel_case_reals(&f.inputs, "r", 2, DIMS(T, N));
    const long long n = (long long)N, rows = gradient ? K : N, columns = gradient ? N : K;
    char type[64];
    snprintf(type, sizeof type, "f32[T,%lld] tiles<%d>", n, W);
    strbuf_printf(&f.text, "  %%5 = state {name = \"b\"} : f32[%lld]\n", n);
    if (sparse)
        strbuf_printf(&f.text,
                      "  %%6 = pattern {name = \"w\"} : pattern[%lld,%lld]\n  %%7 = state {name = \"w\"} : f32[nnz(%%6)]\n", rows,
                      columns);
    else strbuf_printf(&f.text, "  %%7 = state {name = \"w\"} : f32[%lld,%lld]\n", rows, columns);
    strbuf_printf(&f.text, "  %%8 = input {name = \"r\"} : f32[T,%lld]\n  %%9 = relayout %%8 : %s\n", n, type);
    if (gradient)
        strbuf_printf(&f.text, "  %%10 = linear_input_gradient %%4, %%7%s {group = 1} : %s\n", sparse ? ", %6" : "", type);
    else strbuf_printf(&f.text, "  %%10 = linear %%4, %%7, %%5%s {group = 1} : %s\n", sparse ? ", %6" : "", type);
    strbuf_printf(&f.text,
                  "  %%11 = dropout %%10, %%2, %%3 {rate = 0.25, stream = 3, group = 1} : %s\n"
                  "  %%12 = %s %%9, %%11 {group = 1} : %s\n  %%13 = relayout %%12 : f32[T,%lld]\n  return \"y\" = %%13\n}\n",
                  type, gradient ? "gelu_gradient" : "add", type, n);
    finish(&f, sparse ? "sparse_linear" : "linear", 24 * 6e-8 * (double)K, 3e-6);
}

static void linear_with_dropout(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 3}, {37, 30, 21}, {65, 100, 40}, {17, 193, 33}, {130, 200, 16}};
    for (size_t i = 0; i < N_OF(sizes); i++)
        for (int kind = 0; kind < 4; kind++)
            check_linear_dropout(sizes[i][0], sizes[i][1], sizes[i][2], i % 2 ? 32 : 16, kind & 1, kind & 2);
}

/* As residual, dropout and layer norm go backward. */
static void check_norm_gradient_dropout(int64_t T, int64_t E, int W) {
    fixture f;
    begin_dropout(&f, T, E, W);
    kernel_case_reals(&f.inputs, "dy", 2, DIMS(T, E));
    kernel_case_reals(&f.state, "g", 1, DIMS(E));
    add_moments(&f.inputs, T);
    const long long e = (long long)E;
    strbuf_printf(
        &f.text,
        "  %%5 = input {name = \"dy\"} : f32[T,%lld]\n  %%6 = state {name = \"g\"} : f32[%lld]\n"
        "  %%7 = input {name = \"mean\"} : f32[T]\n  %%8 = input {name = \"rstd\"} : f32[T]\n"
        "  %%9 = relayout %%5 : f32[T,%lld] tiles<%d>\n"
        "  %%10:3 = layer_norm_gradient %%4, %%9, %%6, %%7, %%8 {group = 1} : f32[T,%lld] tiles<%d>, f32[%lld], f32[%lld]\n"
        "  %%11 = dropout %%10, %%2, %%3 {rate = 0.1, stream = 9, group = 1} : f32[T,%lld] tiles<%d>\n"
        "  %%12 = relayout %%10 : f32[T,%lld]\n  %%13 = relayout %%11 : f32[T,%lld]\n"
        "  return \"dx\" = %%12, \"dropped\" = %%13, \"dgamma\" = %%10#1, \"dbeta\" = %%10#2\n}\n",
        e, e, e, W, e, W, e, e, e, W, e, e);
    finish(&f, "layer_norm_gradient", norm_gradient_bound(T, E), 1e-6);
}

static void gradients_of_layer_norms_with_dropout(void **state) {
    (void)state;
    check_norm_gradient_dropout(1, 1, 16);
    check_norm_gradient_dropout(70, 37, 32);
    check_norm_gradient_dropout(130, 100, 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dropout_of_odd_sizes),
        cmocka_unit_test(linear_with_dropout),
        cmocka_unit_test(gradients_of_layer_norms_with_dropout),
        cmocka_unit_test(gradients_of_layer_norms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
