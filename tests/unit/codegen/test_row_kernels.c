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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_layer_norms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
