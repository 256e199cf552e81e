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

/* Ends the test unless `wanted` elements were compared: each output whole. */
static void finish(kernel_fixture *f, const char *kernel, double absolute, double relative, int64_t wanted) {
    assert_int_equal(kernel_fixture_run(f, kernel, absolute, relative), wanted);
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

static void check_layer_norm_gradient(int64_t T, int64_t E, int W, const char *outputs, int64_t wanted) {
    kernel_fixture f = kernel_fixture_begin();
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
    finish(&f, "layer_norm_gradient", norm_gradient_bound(T, E), 1e-6, wanted);
}

static void gradients_of_layer_norms(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 5}, {33, 64}, {50, 769}, {2100, 9}};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        const int64_t T = sizes[i][0], E = sizes[i][1];
        check_layer_norm_gradient(T, E, 16, "\"dx\" = %10, \"s\" = %11, \"dgamma\" = %8#1, \"dbeta\" = %8#2", 2 * T * E + 2 * E);
        check_layer_norm_gradient(T, E, i % 2 ? 32 : 64,
                                  i % 2 ? "\"dx\" = %10, \"dgamma\" = %8#1" : "\"s\" = %11, \"dbeta\" = %8#2", T * E + E);
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

static void begin_dropout(kernel_fixture *f, int64_t T, int64_t E, int W) {
    *f = kernel_fixture_begin();
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
    kernel_fixture f;
    begin_dropout(&f, T, E, W);
    const long long e = (long long)E;
    strbuf_printf(&f.text,
                  "  %%5 = dropout %%4, %%2, %%3 {%s, group = 1} : f32[T,%lld] tiles<%d>\n"
                  "  %%6 = add %%5, %%4 {group = 1} : f32[T,%lld] tiles<%d>\n"
                  "  %%7 = relayout %%5 : f32[T,%lld]\n  %%8 = relayout %%6 : f32[T,%lld]\n"
                  "  return \"y\" = %%7, \"s\" = %%8\n}\n",
                  attributes, e, W, e, W, e, e);
    finish(&f, "elementwise", 0x1p-22, 0x1p-22, 2 * T * E); /* two roundings of numbers below 4 */
}

static void dropout_of_odd_sizes(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {31, 7}, {33, 64}, {50, 769}};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        check_dropout(sizes[i][0], sizes[i][1], 16, "rate = 0.1, stream = 0");
        check_dropout(sizes[i][0], sizes[i][1], i % 2 ? 32 : 64, "rate = 0.5, stream = 4294967295");
    }
    check_dropout(40, 30, 4, "rate = 0.999, stream = 77");
    check_dropout(40, 30, 32, "rate = 0, stream = 5");
}

/* Behind a linear, whose blocks of rows begin at any feature; dense, and with a pattern. */
static void check_linear_dropout(int64_t T, int64_t N, int64_t K, int W, bool sparse, bool gradient) {
    kernel_fixture f;
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
    finish(&f, sparse ? "sparse_linear" : "linear", 24 * 6e-8 * (double)K, 3e-6, T * N);
}

static void linear_with_dropout(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 3}, {37, 193, 21}, {130, 30, 40}};
    for (size_t i = 0; i < N_OF(sizes); i++)
        for (int kind = 0; kind < 4; kind++)
            check_linear_dropout(sizes[i][0], sizes[i][1], sizes[i][2], i % 2 ? 32 : 16, kind & 1, kind & 2);
}

/* As residual, dropout and layer norm go backward. */
static void check_norm_gradient_dropout(int64_t T, int64_t E, int W) {
    kernel_fixture f;
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
    finish(&f, "layer_norm_gradient", norm_gradient_bound(T, E), 1e-6, 2 * T * E + 2 * E);
}

static void gradients_of_layer_norms_with_dropout(void **state) {
    (void)state;
    check_norm_gradient_dropout(70, 37, 32);
    check_norm_gradient_dropout(130, 100, 64);
}

/* ---- losses ---- */

/* Labels below `classes`; every third one is `left_out`. */
static void add_labels(named_tensors *to, ir_dtype dtype, int64_t T, int64_t classes, int64_t left_out) {
    ir_tensor *labels = kernel_case_integers(to, "labels", dtype, 1, DIMS(T), classes);
    for (int64_t r = 2; r < T; r += 3) tensor_set_int(labels, r, left_out);
}

/*
 * Logits are in [-1, 1), so that exponentials are within 2 ULP and their sum of C within C u: the loss of a row, at most log C + 2, is
 * known to 16u + C u, and the sum over rows is exact; gradients are products of numbers below 1.
 */
static void check_cross_entropy(int64_t T, int64_t C, ir_dtype dtype, bool keep, const char *how, const char *reduction) {
    kernel_fixture f = kernel_fixture_begin();
    const double factor = 0.3, bound = 0x1p-24 * (16 + (double)C);
    kernel_case_reals(&f.inputs, "x", 2, DIMS(T, C));
    add_labels(&f.inputs, dtype, T, C, strcmp(how, "clamp") == 0 ? C + 3 : -100);
    named_tensors_add_doubles(&f.inputs, "d", IR_F32, 0, NULL, &factor);
    if (keep) {
        ir_tensor *mask = kernel_case_integers(&f.inputs, "keep", IR_I64, 2, DIMS(T, C), 3);
        for (int64_t r = 0; r < T; r++) { /* labels of rows that count are kept */
            const int64_t label = tensor_get_int(named_tensors_find(&f.inputs, "labels"), r);
            if (label >= 0 && label < C) tensor_set_int(mask, r * C + label, 1);
        }
    }
    strbuf_printf(&f.text,
                  "graph @g (T <= 4096, C <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,C]\n"
                  "  %%2 = input {name = \"labels\"} : %s[T]\n"
                  "  %%3 = input {name = \"d\"} : f32[]\n",
                  dtype_name(dtype));
    if (keep) strbuf_printf(&f.text, "  %%4 = input {name = \"keep\"} : i64[T,C]\n");
    strbuf_printf(&f.text,
                  "  %%5 = cross_entropy %%1, %%2%s {labels = \"%s\", reduction = \"%s\"} : f32[]\n"
                  "  %%6 = cross_entropy_gradient %%1, %%2, %%3%s {labels = \"%s\", reduction = \"%s\"} : f32[T,C]\n"
                  "  return \"loss\" = %%5, \"dx\" = %%6\n}\n",
                  keep ? ", %4" : "", how, reduction, keep ? ", %4" : "", how, reduction);
    finish(&f, "cross_entropy", bound * (strcmp(reduction, "sum") == 0 ? (double)T : 1), 1e-6, 1 + T * C);
}

static void losses_of_few_classes(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {3, 2}, {64, 9}, {100, 16}, {300, 37}, {70, 1000}};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        check_cross_entropy(sizes[i][0], sizes[i][1], i % 2 ? IR_I32 : IR_I64, false, "ignore", i % 2 ? "sum" : "mean");
        check_cross_entropy(sizes[i][0], sizes[i][1], IR_I64, i % 2, "clamp", i % 2 ? "mean" : "sum");
    }
    check_cross_entropy(5, 384, IR_I64, true, "ignore", "sum");
}

/*
 * Logits are in [-1, 1), so that a row's divergence is a sum of numbers below 2 (and of logarithms of sums of C numbers), known to some 16u + C u as
 * above, times T^2 / T; gradients are products of numbers below 1. keep: of rows (1), of classes (2).
 */
static void check_divergence_result(bool gradient, int64_t T, int64_t C, int keep, bool scaled, double temperature, double size) {
    kernel_fixture f = kernel_fixture_begin();
    const double factor = 0.3, row = 0x1p-24 * (32 + 2 * (double)C) * (1 + temperature) * temperature * size,
                 bound = gradient ? 0x1p-24 * 128 * temperature : row * (double)T;
    ir_tensor *x = kernel_case_reals(&f.inputs, "x", 2, DIMS(T, C)), *y = kernel_case_reals(&f.inputs, "y", 2, DIMS(T, C));
    for (int64_t i = 0; i < T * C; i++) {
        tensor_set(x, i, size * tensor_get(x, i));
        tensor_set(y, i, size * tensor_get(y, i));
    }
    named_tensors_add_doubles(&f.inputs, "d", IR_F32, 0, NULL, &factor);
    if (keep) kernel_case_integers(&f.inputs, "keep", keep == 1 ? IR_I64 : IR_I32, (uint32_t)keep, DIMS(T, C), 3);
    for (int64_t c = 0; c < C && keep == 2 && T > 2; c++) tensor_set_int(named_tensors_find(&f.inputs, "keep"), 2 * C + c, 0);
    const char *kept = keep ? ", %4" : scaled ? ", _" : "", *scale = scaled ? ", %3" : "";
    strbuf_printf(&f.text, "graph @g (T <= 4096, C <= 4096) {\n  %%1 = input {name = \"x\"} : f32[T,C]\n"
                           "  %%2 = input {name = \"y\"} : f32[T,C]\n  %%3 = input {name = \"d\"} : f32[]\n");
    if (keep) strbuf_printf(&f.text, "  %%4 = input {name = \"keep\"} : %s\n", keep == 1 ? "i64[T]" : "i32[T,C]");
    if (gradient)
        strbuf_printf(&f.text,
                      "  %%5 = kl_divergence_gradient %%1, %%2, %%3%s%s {temperature = %.17e} : f32[T,C]\n"
                      "  return \"dx\" = %%5\n}\n",
                      kept, scale, temperature);
    else
        strbuf_printf(&f.text, "  %%5 = kl_divergence %%1, %%2%s%s {temperature = %.17e} : f32[]\n  return \"loss\" = %%5\n}\n",
                      kept, scale, temperature);
    finish(&f, gradient ? "kl_divergence_gradient" : "kl_divergence", bound, 1e-6, gradient ? T * C : 1);
}

static void check_divergence(int64_t T, int64_t C, int keep, bool scaled, double temperature, double size) {
    check_divergence_result(false, T, C, keep, scaled, temperature, size);
    check_divergence_result(true, T, C, keep, scaled, temperature, size);
}

static void divergences_of_few_classes(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {3, 2}, {64, 9}, {100, 16}, {300, 37}, {70, 1000}};
    for (size_t i = 0; i < N_OF(sizes); i++)
        for (int keep = 0; keep < 3; keep++)
            check_divergence(sizes[i][0], sizes[i][1], keep, (i + (size_t)keep) % 2, i % 2 ? 2 : 0.5, 1);
    check_divergence(8, 50, 0, true, 1, 2000); /* classes whose exponential is 0, on either side */
    check_divergence(8, 50, 2, false, 4, 2000);
}

static void squared_errors(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 7, 1000, 70001};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        kernel_fixture f = kernel_fixture_begin();
        const double factor = 0.7;
        kernel_case_reals(&f.inputs, "x", 1, &sizes[i]);
        kernel_case_reals(&f.inputs, "y", 1, &sizes[i]);
        named_tensors_add_doubles(&f.inputs, "d", IR_F32, 0, NULL, &factor);
        strbuf_printf(&f.text, "graph @g (T <= 100000) {\n"
                               "  %%1 = input {name = \"x\"} : f32[T]\n  %%2 = input {name = \"y\"} : f32[T]\n"
                               "  %%3 = input {name = \"d\"} : f32[]\n"
                               "  %%4 = mean_squared_error %%1, %%2 : f32[]\n"
                               "  %%5 = mean_squared_error_gradient %%1, %%2, %%3 : f32[T]\n"
                               "  return \"loss\" = %%4, \"dx\" = %%5\n}\n");
        finish(&f, "mean_squared_error", 0x1p-22, 0x1p-22, 1 + sizes[i]); /* three roundings of numbers below 3 */
    }
}

/* ---- rows ---- */

static void keys_of_rows(void **state) {
    (void)state;
    kernel_fixture f = kernel_fixture_begin();
    ir_tensor *offsets = named_tensors_add(&f.inputs, "offsets", IR_I32, 1, DIMS(4));
    for (int64_t i = 0; i < 4; i++) tensor_set_int(offsets, i, i * i + 5 * (i > 2)); /* 0, 1, 4, 14 */
    kernel_case_integers(&f.inputs, "ids", IR_I64, 1, DIMS(14), 9);
    tensor_set_int(named_tensors_add(&f.inputs, "first", IR_I64, 0, NULL), 0, 2000000011);
    strbuf_printf(&f.text, "graph @g (B <= 10, T <= 100) {\n"
                           "  %%1 = input {name = \"offsets\"} : i32[B+1]\n  %%2 = input {name = \"ids\"} : i64[T]\n"
                           "  %%3 = input {name = \"first\"} : i64[]\n"
                           "  %%4 = row_keys %%1, %%2, %%3 : i64[T]\n  return \"keys\" = %%4\n}\n");
    finish(&f, "row_keys", 0, 0, 14);
}

static void features_between_zeros(void **state) {
    (void)state;
    static const int64_t places[][3] = {{1, 0, 2}, {1, 1, 2}, {7, 3, 30}, {20, 0, 20}}; /* features, begin, of */
    for (size_t i = 0; i < N_OF(places); i++) {
        kernel_fixture f = kernel_fixture_begin();
        kernel_case_reals(&f.inputs, "x", 2, DIMS(37, places[i][0]));
        strbuf_printf(&f.text,
                      "graph @g (T <= 100) {\n  %%1 = input {name = \"x\"} : f32[T,%d]\n"
                      "  %%2 = widen %%1 {begin = %d, features = %d} : f32[T,%d]\n  return \"y\" = %%2\n}\n",
                      (int)places[i][0], (int)places[i][1], (int)places[i][2], (int)places[i][2]);
        finish(&f, "widen", 0, 0, 37 * places[i][2]);
    }
}

/* M rows to places that fall, in tiles<W>; in rows where W is 0. */
static void check_scatter(int64_t M, int64_t R, int64_t E, int W) {
    kernel_fixture f = kernel_fixture_begin();
    kernel_case_reals(&f.inputs, "x", 2, DIMS(M, E));
    kernel_case_reals(&f.inputs, "like", 2, DIMS(R, E));
    ir_tensor *index = named_tensors_add(&f.inputs, "index", IR_I64, 1, DIMS(M));
    for (int64_t m = 0; m < M; m++) tensor_set_int(index, m, R - 1 - m * (R / M));
    char tiles[32] = "";
    if (W) snprintf(tiles, sizeof tiles, " tiles<%d>", W);
    const int e = (int)E;
    strbuf_printf(&f.text,
                  "graph @g (M <= 1000, R <= 1000) {\n  %%1 = input {name = \"x\"} : f32[M,%d]\n"
                  "  %%2 = input {name = \"like\"} : f32[R,%d]\n  %%3 = input {name = \"index\"} : i64[M]\n",
                  e, e);
    if (W) strbuf_printf(&f.text, "  %%4 = relayout %%1 : f32[M,%d]%s\n  %%5 = relayout %%2 : f32[R,%d]%s\n", e, tiles, e, tiles);
    strbuf_printf(&f.text, "  %%6 = scatter_rows %s, %%3, %s : f32[R,%d]%s\n", W ? "%4" : "%1", W ? "%5" : "%2", e, tiles);
    if (W) strbuf_printf(&f.text, "  %%7 = relayout %%6 : f32[R,%d]\n", e);
    strbuf_printf(&f.text, "  return \"y\" = %s\n}\n", W ? "%7" : "%6");
    finish(&f, "scatter_tiles", 0, 0, R * E);
}

static void rows_by_number(void **state) {
    (void)state;
    check_scatter(1, 1, 1, 16);
    check_scatter(5, 70, 33, 32);
    check_scatter(40, 300, 7, 64);
    check_scatter(3, 3, 5, 0);
    check_scatter(40, 600, 9, 0);
}

/* ---- embedding_gradient ---- */

/* T rows, of which each id takes some T / V and id 1 half; sums of T numbers below 1 round T times, by T u at most. base: a sum of its
 * own, whose memory the result takes over in a plan. */
static void check_embedding_gradient(int64_t T, int64_t V, int64_t E, ir_dtype dtype, bool base) {
    kernel_fixture f = kernel_fixture_begin();
    kernel_case_reals(&f.inputs, "dy", 2, DIMS(T, E));
    ir_tensor *ids = kernel_case_integers(&f.inputs, "ids", dtype, 1, DIMS(T), V);
    for (int64_t r = 0; r < T; r += 2) tensor_set_int(ids, r, V > 1);
    kernel_case_reals(&f.state, "b", 2, DIMS(V, E));
    const int v = (int)V, e = (int)E;
    strbuf_printf(&f.text,
                  "graph @g (T <= 4096) {\n  %%1 = input {name = \"dy\"} : f32[T,%d]\n"
                  "  %%2 = input {name = \"ids\"} : %s[T]\n  %%3 = state {name = \"b\"} : f32[%d,%d]\n"
                  "  %%4 = relu %%3 : f32[%d,%d]\n"
                  "  %%5 = embedding_gradient %%1, %%2%s {padding_id = %d} : f32[%d,%d]\n"
                  "  return \"y\" = %%5\n}\n",
                  e, dtype_name(dtype), v, e, v, e, base ? ", %4" : "", base ? 0 : -1, v, e);
    kernel_case c = {.text = strbuf_str(&f.text),
                     .pipeline = "dce,plan-memory",
                     .kernel = "embedding_gradient",
                     .inputs = &f.inputs,
                     .state = &f.state,
                     .absolute = 0x1p-24 * (double)(T * T)};
    if (c.absolute > 1e-3) c.absolute = 1e-3;
    assert_int_equal(kernel_case_run(&c), V * E);
    named_tensors_free(&f.inputs);
    named_tensors_free(&f.state);
    strbuf_free(&f.text);
}

static void gradients_of_embeddings(void **state) {
    (void)state;
    check_embedding_gradient(1, 1, 1, IR_I64, false);
    check_embedding_gradient(50, 2, 33, IR_I64, false);
    check_embedding_gradient(1000, 16, 7, IR_I32, false);
    check_embedding_gradient(300, 100, 20, IR_I32, false);
    check_embedding_gradient(40, 3, 9, IR_I64, true);
    check_embedding_gradient(300, 130, 37, IR_I64, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_embeddings),
        cmocka_unit_test(losses_of_few_classes),
        cmocka_unit_test(divergences_of_few_classes),
        cmocka_unit_test(squared_errors),
        cmocka_unit_test(keys_of_rows),
        cmocka_unit_test(features_between_zeros),
        cmocka_unit_test(rows_by_number),
        cmocka_unit_test(dropout_of_odd_sizes),
        cmocka_unit_test(linear_with_dropout),
        cmocka_unit_test(gradients_of_layer_norms_with_dropout),
        cmocka_unit_test(gradients_of_layer_norms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
