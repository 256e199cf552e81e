/*
 * Every row of kernels.def against the interpreter, over shapes with odd sizes, one token, one head, rows that do not fill a tile,
 * several sequences in a tile, masked keys; on every instruction set of the machine.
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

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* ---- linear ---- */

/*
 * Sums of K random products with variance 1/9 grow like sqrt(K)/3, and each of the K additions rounds by 2^-24 of that at most
 * (twice that without FMA); the roundings add up like a random walk, of which 6 deviations are allowed within one block of 512: 6 *
 * 2 * 6e-8 * sqrt(K)/3 * sqrt(512).
 */
static double linear_bound(int64_t K) { return 12 * 6e-8 / 3 * sqrt((double)K * (double)(K < 512 ? K : 512)); }

static void check_linear(int64_t T, int64_t N, int64_t K, int W, const char *tail) {
    kernel_fixture f = kernel_fixture_begin();
    kernel_case_reals(&f.inputs, "x", 2, DIMS(T, K));
    kernel_case_reals(&f.inputs, "r", 2, DIMS(T, N));
    kernel_case_reals(&f.state, "w", 2, DIMS(N, K));
    kernel_case_reals(&f.state, "b", 1, DIMS(N));
    strbuf_printf(&f.text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%lld]\n"
                  "  %%2 = state {name = \"w\"} : f32[%lld,%lld]\n"
                  "  %%3 = state {name = \"b\"} : f32[%lld]\n"
                  "  %%4 = input {name = \"r\"} : f32[T,%lld]\n"
                  "  %%5 = relayout %%1 : f32[T,%lld] tiles<%d>\n"
                  "  %%6 = relayout %%4 : f32[T,%lld] tiles<%d>\n",
                  (long long)K, (long long)N, (long long)K, (long long)N, (long long)N, (long long)K, W, (long long)N, W);
    char type[64];
    snprintf(type, sizeof type, "f32[T,%lld] tiles<%d>", (long long)N, W);
    if (strcmp(tail, "none") == 0) strbuf_printf(&f.text, "  %%7 = linear %%5, %%2 : %s\n  %%8 = relayout %%7", type);
    if (strcmp(tail, "bias") == 0) strbuf_printf(&f.text, "  %%7 = linear %%5, %%2, %%3 : %s\n  %%8 = relayout %%7", type);
    if (strcmp(tail, "gelu") == 0 || strcmp(tail, "relu") == 0 || strcmp(tail, "tanh") == 0)
        strbuf_printf(&f.text,
                      "  %%7 = linear %%5, %%2, %%3 {group = 1} : %s\n  %%8 = %s %%7 {group = 1} : %s\n  %%9 = relayout %%8", type,
                      tail, type);
    if (strcmp(tail, "residual") == 0)
        strbuf_printf(&f.text,
                      "  %%7 = linear %%5, %%2, %%3 {group = 1} : %s\n  %%8 = add %%6, %%7 {group = 1} : %s\n  %%9 = relayout %%8",
                      type, type);
    if (strcmp(tail, "norm") == 0)
        strbuf_printf(&f.text,
                      "  %%7 = linear %%5, %%2, %%3 {group = 1} : %s\n  %%8 = add %%7, %%6 {group = 1} : %s\n"
                      "  %%9:3 = layer_norm %%8, %%3, %%3 {eps = 0.01, group = 1} : %s, f32[T], f32[T]\n  %%10 = relayout %%9",
                      type, type, type);
    if (strcmp(tail, "chain") == 0) /* features, scalars, and a result in the middle that is needed outside */
        strbuf_printf(&f.text,
                      "  %%7 = constant {value = [0.5]} : f32[]\n  %%8 = linear %%5, %%2, %%3 {group = 1} : %s\n  %%9 = mul %%8, "
                      "%%3 {group = 1} : %s\n"
                      "  %%10 = gelu %%9 {form = \"tanh\", group = 1} : %s\n  %%11 = sub %%10, %%7 {group = 1} : %s\n  %%12 = mul "
                      "%%11, %%9 {group = 1} : %s\n"
                      "  %%13 = relayout %%9 : f32[T,%lld]\n  %%14 = relayout %%12",
                      type, type, type, type, type, (long long)N);
    strbuf_printf(&f.text, " : f32[T,%lld]\n", (long long)N);
    const char *last = strstr(strbuf_str(&f.text), "%14 =")   ? "%14"
                       : strstr(strbuf_str(&f.text), "%10 =") ? "%10"
                       : strstr(strbuf_str(&f.text), "%9 =")  ? "%9"
                                                              : "%8";
    strbuf_printf(&f.text, "  return \"y\" = %s%s\n}\n", last, strcmp(tail, "chain") == 0 ? ", \"z\" = %13" : "");
    /* a layer norm divides by the deviation, at least 0.1 with this eps, and multiplies by at most 1 */
    kernel_fixture_run(&f, "linear", linear_bound(K) * (strcmp(tail, "norm") == 0 ? 10 : 1) + 1e-6, 3e-6);
}

/* By the library, whose sums have no blocks of their own: any order of K additions. What is fused with it runs by itself. */
static void check_blas_linear(int64_t T, int64_t N, int64_t K, int W, bool bias) {
    kernel_fixture f = kernel_fixture_begin();
    kernel_case_reals(&f.inputs, "x", 2, DIMS(T, K));
    kernel_case_reals(&f.state, "w", 2, DIMS(N, K));
    kernel_case_reals(&f.state, "b", 1, DIMS(N));
    strbuf_printf(&f.text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%lld]\n"
                  "  %%2 = state {name = \"w\"} : f32[%lld,%lld]\n"
                  "  %%3 = state {name = \"b\"} : f32[%lld]\n"
                  "  %%4 = relayout %%1 : f32[T,%lld] tiles<%d>\n"
                  "  %%5 = linear %%4, %%2%s {group = 1, variant = \"blas_linear tile=%d\"} : f32[T,%lld] tiles<%d>\n"
                  "  %%6 = tanh %%5 {group = 1} : f32[T,%lld] tiles<%d>\n"
                  "  %%7 = relayout %%6 : f32[T,%lld]\n"
                  "  return \"y\" = %%7\n}\n",
                  (long long)K, (long long)N, (long long)K, (long long)N, (long long)K, W, bias ? ", %3" : "", W, (long long)N, W,
                  (long long)N, W, (long long)N);
    kernel_fixture_run(&f, "blas_linear", 12 * 6e-8 / 3 * (double)K + 1e-6, 3e-6);
}

static void linear_by_the_library(void **state) {
    (void)state;
    check_blas_linear(1, 1, 1, 16, true);
    check_blas_linear(17, 5, 9, 16, false);
    check_blas_linear(40, 100, 33, 32, true);
    check_blas_linear(65, 1600, 40, 64, true); /* three blocks of rows */
    check_blas_linear(130, 768, 64, 32, false);
}

static void linear_of_odd_sizes(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1},   {1, 2, 7},    {5, 3, 5},    {31, 13, 17}, {32, 12, 8},  {33, 25, 31},
                                       {40, 6, 64}, {70, 97, 33}, {3, 100, 50}, {64, 24, 16}, {129, 7, 11}, {200, 193, 65}};
    for (size_t i = 0; i < N_OF(sizes); i++)
        check_linear(sizes[i][0], sizes[i][1], sizes[i][2], i % 2 ? 32 : 16, i % 3 ? "bias" : "none");
}

static void linear_of_bert_sizes(void **state) {
    (void)state;
    check_linear(40, 128, 128, 32, "bias");
    check_linear(33, 100, 768, 32, "bias");
    check_linear(17, 64, 1537, 32, "bias"); /* several blocks of k, of unequal length */
    check_linear(17, 64, 3072, 64, "bias");
    check_linear(20, 768, 32, 16, "bias");
}

/* Tiles of which few vectors hold tokens: none but the first, an odd number, all but the last; alone and behind whole tiles. */
static void linear_of_few_tokens(void **state) {
    (void)state;
    static const int64_t tokens[] = {1, 8, 9, 16, 17, 33, 48, 49, 63, 65, 130, 257, 300};
    static const char *const tails[] = {"bias", "gelu", "norm", "chain"};
    for (size_t i = 0; i < N_OF(tokens); i++) {
        check_linear(tokens[i], 100, 40, 64, tails[i % 4]);
        check_linear(tokens[i], 97, 33, 32, tails[(i + 1) % 4]); /* an odd number of panels */
        check_linear(tokens[i], 13, 1000, 64, "none");
    }
}

static void linear_with_elementwise_work(void **state) {
    (void)state;
    static const char *const tails[] = {"gelu", "relu", "tanh", "residual", "norm", "chain"};
    for (size_t i = 0; i < N_OF(tails); i++) {
        check_linear(37, 30, 21, 32, tails[i]);
        check_linear(1, 1, 3, 16, tails[i]);
        check_linear(65, 100, 40, 64, tails[i]);
    }
}

/* ---- layer_norm ---- */

static void check_layer_norm(int64_t T, int64_t E, int W) {
    kernel_fixture f = kernel_fixture_begin();
    kernel_case_reals(&f.inputs, "x", 2, DIMS(T, E));
    kernel_case_reals(&f.state, "g", 1, DIMS(E));
    kernel_case_reals(&f.state, "b", 1, DIMS(E));
    strbuf_printf(&f.text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%lld]\n"
                  "  %%2 = state {name = \"g\"} : f32[%lld]\n"
                  "  %%3 = state {name = \"b\"} : f32[%lld]\n"
                  "  %%4 = relayout %%1 : f32[T,%lld] tiles<%d>\n"
                  "  %%5:3 = layer_norm %%4, %%2, %%3 {eps = 0.001} : f32[T,%lld] tiles<%d>, f32[T], f32[T]\n"
                  "  %%6 = relayout %%5 : f32[T,%lld]\n"
                  "  return \"y\" = %%6%s\n}\n",
                  (long long)E, (long long)E, (long long)E, (long long)E, W, (long long)E, W, (long long)E,
                  W == 16 ? ", \"mean\" = %5#1, \"rstd\" = %5#2" : "");
    kernel_fixture_run(&f, "layer_norm", 3e-6, 1e-5);
}

static void layer_norm_of_odd_sizes(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {1, 5}, {31, 7}, {33, 64}, {64, 100}, {50, 769}};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        check_layer_norm(sizes[i][0], sizes[i][1], 16);
        check_layer_norm(sizes[i][0], sizes[i][1], i % 2 ? 32 : 64);
    }
}

/* pitfall 18: eps counts where a row hardly varies: rows that are constant, or whose variance is about that of eps, on top of a large
 * mean, which formulas that subtract squares lose. */
static void layer_norm_of_rows_that_hardly_vary(void **state) {
    (void)state;
    enum { T = 40, E = 96 };
    for (int W = 16; W <= 64; W *= 2) {
        kernel_fixture f = kernel_fixture_begin();
        ir_tensor *x = kernel_case_reals(&f.inputs, "x", 2, DIMS(T, E));
        kernel_case_reals(&f.state, "g", 1, DIMS(E));
        kernel_case_reals(&f.state, "b", 1, DIMS(E));
        float *numbers = x->data;
        for (int i = 0; i < T * E; i++) { /* steps of 2^-10 around 4, which f32 has exactly */
            const int row = i / E;
            numbers[i] = row % 2 ? 4.0f : 4.0f + (float)(i % 2 ? row : -row) / 1024;
        }
        strbuf_printf(&f.text,
                      "graph @g (T <= 4096) {\n"
                      "  %%1 = input {name = \"x\"} : f32[T,%d]\n"
                      "  %%2 = state {name = \"g\"} : f32[%d]\n"
                      "  %%3 = state {name = \"b\"} : f32[%d]\n"
                      "  %%4 = relayout %%1 : f32[T,%d] tiles<%d>\n"
                      "  %%5:3 = layer_norm %%4, %%2, %%3 {eps = 1e-06} : f32[T,%d] tiles<%d>, f32[T], f32[T]\n"
                      "  %%6 = relayout %%5 : f32[T,%d]\n"
                      "  return \"y\" = %%6\n}\n",
                      E, E, E, E, W, E, W, E);
        kernel_fixture_run(&f, "layer_norm", 3e-6, 1e-5);
    }
}

/* Groups that are cut before their layer norm, which then works in place: a sum, and embeddings. */
static void layer_norm_in_groups(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 3}, {33, 20}, {70, 129}};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        long long T = sizes[i][0], E = sizes[i][1];
        kernel_fixture f = kernel_fixture_begin();
        kernel_case_reals(&f.inputs, "x", 2, DIMS(T, E));
        kernel_case_reals(&f.inputs, "y", 2, DIMS(T, E));
        kernel_case_reals(&f.state, "t", 2, DIMS(9, E));
        kernel_case_reals(&f.state, "g", 1, DIMS(E));
        kernel_case_integers(&f.inputs, "i", IR_I64, 1, DIMS(T), 9);
        strbuf_printf(
            &f.text,
            "graph @g (T <= 4096) {\n  %%1 = input {name = \"x\"} : f32[T,%lld]\n  %%2 = input {name = \"y\"} : f32[T,%lld]\n"
            "  %%3 = state {name = \"t\"} : f32[9,%lld]\n  %%4 = state {name = \"g\"} : f32[%lld]\n  %%5 = input {name = \"i\"} : "
            "i64[T]\n"
            "  %%6 = relayout %%1 : f32[T,%lld] tiles<32>\n  %%7 = relayout %%2 : f32[T,%lld] tiles<32>\n"
            "  %%8 = add %%6, %%7 {group = 1} : f32[T,%lld] tiles<32>\n"
            "  %%9:3 = layer_norm %%8, %%4, %%4 {eps = 0.01, group = 1} : f32[T,%lld] tiles<32>, f32[T], f32[T]\n"
            "  %%10 = embedding %%3, %%5 {group = 2} : f32[T,%lld]\n  %%11 = add %%10, %%2 {group = 2} : f32[T,%lld]\n"
            "  %%12 = relayout %%11 {group = 2} : f32[T,%lld] tiles<32>\n"
            "  %%13:3 = layer_norm %%12, %%4, %%4 {eps = 0.01, group = 2} : f32[T,%lld] tiles<32>, f32[T], f32[T]\n",
            E, E, E, E, E, E, E, E, E, E, E, E);
        strbuf_printf(
            &f.text,
            "  %%14 = relayout %%9 : f32[T,%lld]\n  %%15 = relayout %%13 : f32[T,%lld]\n  return \"a\" = %%14, \"b\" = %%15\n}\n",
            E, E);
        kernel_fixture_run(&f, i % 2 ? "layer_norm" : "embedding", 3e-6, 1e-5);
    }
}

/* ---- attention ---- */

typedef struct ragged {
    int64_t lengths[8];
    size_t n;
} ragged;

/* masked: 0 no keep, 1 random, 2 the last ones of each sequence, 3 all; form: how keep is stored. */
static void check_attention(const ragged *r, int64_t H, int64_t D, int W, int masked, ir_dtype form, bool lse) {
    static const char *const names[] = {"q", "k", "v"};
    kernel_fixture f = kernel_fixture_begin();
    int64_t R = 0, offsets[9] = {0}, E = H * D;
    for (size_t i = 0; i < r->n; i++) offsets[i + 1] = R += r->lengths[i];
    for (size_t i = 0; i < 3; i++) kernel_case_reals(&f.inputs, names[i], 2, DIMS(R, E));
    ir_tensor *o = named_tensors_add(&f.inputs, "offsets", IR_I32, 1, DIMS((int64_t)r->n + 1));
    for (size_t i = 0; i <= r->n; i++) tensor_set_int(o, (int64_t)i, offsets[i]);
    ir_tensor *keep = kernel_case_integers(&f.inputs, "keep", form, 1, &R, 2);
    for (size_t b = 0; b < r->n && masked >= 2; b++)
        for (int64_t j = 0; j < r->lengths[b]; j++)
            tensor_set_int(keep, offsets[b] + j, masked == 2 && (j == 0 || 2 * j < r->lengths[b]));
    strbuf_printf(&f.text, "graph @g (B <= 64, R <= 4096) {\n");
    for (size_t i = 0; i < 3; i++)
        strbuf_printf(&f.text, "  %%%zu = input {name = \"%s\"} : f32[R,%lld]\n", i + 1, names[i], (long long)E);
    strbuf_printf(&f.text, "  %%4 = input {name = \"offsets\"} : i32[B+1]\n  %%5 = input {name = \"keep\"} : %s[R]\n",
                  dtype_name(form));
    for (size_t i = 0; i < 3; i++)
        strbuf_printf(&f.text, "  %%%zu = relayout %%%zu : f32[R,%lld] tiles<%d>\n", i + 6, i + 1, (long long)E, W);
    strbuf_printf(
        &f.text,
        "  %%9:2 = attention %%6, %%7, %%8, %%4%s {heads = %lld, scale = 0.5} : f32[R,%lld] tiles<%d>, f32[R,%lld] tiles<%d>\n"
        "  %%10 = relayout %%9 : f32[R,%lld]\n",
        masked ? ", %5" : "", (long long)H, (long long)E, W, (long long)H, W, (long long)E);
    if (lse) strbuf_printf(&f.text, "  %%11 = relayout %%9#1 : f32[R,%lld]\n", (long long)H);
    strbuf_printf(&f.text, "  return \"y\" = %%10%s\n}\n", lse ? ", \"lse\" = %11" : "");
    /* scores of D products below 1 carry D * 6e-8, which their exponentials pass on to averages of numbers below 1 */
    kernel_fixture_run(&f, "attention", 2e-6 + 1e-7 * (double)D, 1e-6);
}

static const ragged batches[] = {
    {{1}, 1},      {{5}, 1},     {{32}, 1},           {{33}, 1},    {{1, 1, 1}, 3}, {{3, 7, 2, 20, 1, 30}, 6},
    {{32, 32}, 2}, {{64, 5}, 2}, {{40, 0, 41, 0}, 4}, {{70, 90}, 2}};

static void attention_of_odd_sizes(void **state) {
    (void)state;
    static const int64_t heads[][2] = {{1, 1}, {2, 5}, {3, 8}, {1, 64}, {2, 32}, {4, 13}};
    for (size_t b = 0; b < N_OF(batches); b++)
        check_attention(&batches[b], heads[b % N_OF(heads)][0], heads[b % N_OF(heads)][1], b % 2 ? 32 : 16, 0, IR_I64, false);
}

static void attention_with_masked_keys(void **state) {
    (void)state;
    static const ir_dtype forms[] = {IR_I64, IR_I32, IR_I8, IR_BOOL};
    for (size_t b = 0; b < N_OF(batches); b++)
        for (int masked = 1; masked <= 3; masked++)
            check_attention(&batches[b], 2, 12, (b + (size_t)masked) % 2 ? 32 : 16, masked, forms[(b + (size_t)masked) % 4],
                            masked != 1);
}

/* pitfall 18: a masked key has weight 0, and not that of a large negative number: its score may be as large as floats are, and its value
 * anything finite. */
static void attention_with_masked_keys_of_large_scores(void **state) {
    (void)state;
    enum { R = 50, E = 32 };
    static const float large[] = {1e4f, -1e4f, 1e15f, -1e15f};
    for (size_t i = 0; i < N_OF(large); i++) {
        kernel_fixture f = kernel_fixture_begin();
        kernel_case_reals(&f.inputs, "q", 2, DIMS(R, E));
        ir_tensor *k = kernel_case_reals(&f.inputs, "k", 2, DIMS(R, E)), *v = kernel_case_reals(&f.inputs, "v", 2, DIMS(R, E));
        ir_tensor *offsets = named_tensors_add(&f.inputs, "offsets", IR_I32, 1, DIMS(3));
        for (int64_t b = 0; b < 3; b++) tensor_set_int(offsets, b, (int64_t[]){0, 17, R}[b]);
        ir_tensor *keep = named_tensors_add(&f.inputs, "keep", IR_I64, 1, DIMS(R));
        for (int64_t row = 0; row < R; row++) {
            tensor_set_int(keep, row, row % 3 != 1);
            for (int64_t e = 0; e < E && row % 3 == 1; e++)
                ((float *)k->data)[row * E + e] = large[i], ((float *)v->data)[row * E + e] = 1e6f;
        }
        strbuf_puts(&f.text,
                    "graph @g (B <= 64, R <= 4096) {\n"
                    "  %1 = input {name = \"q\"} : f32[R,32]\n"
                    "  %2 = input {name = \"k\"} : f32[R,32]\n"
                    "  %3 = input {name = \"v\"} : f32[R,32]\n"
                    "  %4 = input {name = \"offsets\"} : i32[B+1]\n"
                    "  %5 = input {name = \"keep\"} : i64[R]\n"
                    "  %6 = relayout %1 : f32[R,32] tiles<16>\n"
                    "  %7 = relayout %2 : f32[R,32] tiles<16>\n"
                    "  %8 = relayout %3 : f32[R,32] tiles<16>\n"
                    "  %9:2 = attention %6, %7, %8, %4, %5 {heads = 2, scale = 0.5} : f32[R,32] tiles<16>, f32[R,2] tiles<16>\n"
                    "  %10 = relayout %9 : f32[R,32]\n"
                    "  return \"y\" = %10\n}\n");
        kernel_fixture_run(&f, "attention", 5e-6, 1e-6);
    }
}

static void attention_in_wide_tiles(void **state) {
    (void)state;
    for (size_t b = 0; b < N_OF(batches); b++) check_attention(&batches[b], 2, 16, 64, (int)(b % 4), IR_I64, true);
    for (size_t b = 0; b < N_OF(batches); b++) check_attention(&batches[b], 1, 13, 64, 0, IR_I64, b % 2 == 0);
}

/* One query, or three, for each sequence, in tiles of their own. */
static void attention_with_queries_of_its_own(void **state) {
    (void)state;
    for (size_t b = 0; b < N_OF(batches); b++) {
        const ragged *r = &batches[b];
        kernel_fixture f = kernel_fixture_begin();
        int64_t R = 0, n = (int64_t)r->n, each = b % 2 ? 3 : 1, M = each * n, E = 24;
        int W = b % 2 ? 32 : 16;
        ir_tensor *offsets = named_tensors_add(&f.inputs, "offsets", IR_I32, 1, DIMS(n + 1));
        for (size_t i = 0; i < r->n; i++) tensor_set_int(offsets, (int64_t)i + 1, R += r->lengths[i]);
        ir_tensor *queries = named_tensors_add(&f.inputs, "queries", IR_I32, 1, DIMS(n + 1));
        for (int64_t i = 0; i <= n; i++) tensor_set_int(queries, i, each * i);
        kernel_case_reals(&f.inputs, "q", 2, DIMS(M, E));
        kernel_case_reals(&f.inputs, "k", 2, DIMS(R, E));
        kernel_case_reals(&f.inputs, "v", 2, DIMS(R, E));
        kernel_case_integers(&f.inputs, "keep", IR_I64, 1, &R, b % 3 ? 2 : 1);
        strbuf_printf(&f.text,
                      "graph @g (B <= 64, M <= 4096, R <= 4096) {\n  %%1 = input {name = \"q\"} : f32[M,24]\n"
                      "  %%2 = input {name = \"k\"} : f32[R,24]\n  %%3 = input {name = \"v\"} : f32[R,24]\n"
                      "  %%4 = input {name = \"offsets\"} : i32[B+1]\n  %%5 = input {name = \"keep\"} : i64[R]\n"
                      "  %%6 = input {name = \"queries\"} : i32[B+1]\n  %%7 = relayout %%1 : f32[M,24] tiles<%d>\n"
                      "  %%8 = relayout %%2 : f32[R,24] tiles<%d>\n  %%9 = relayout %%3 : f32[R,24] tiles<%d>\n"
                      "  %%10:2 = attention %%7, %%8, %%9, %%4, %%5, %%6 {heads = 2, scale = 0.5} : f32[M,24] tiles<%d>, f32[M,2] "
                      "tiles<%d>\n"
                      "  %%11 = relayout %%10 : f32[M,24]\n  %%12 = relayout %%10#1 : f32[M,2]\n"
                      "  return \"y\" = %%11, \"lse\" = %%12\n}\n",
                      W, W, W, W, W);
        kernel_fixture_run(&f, "attention", 2e-6 + 1e-7 * 12, 1e-6);
    }
}

/* ---- embedding ---- */

static void check_embedding(int64_t T, int64_t E, int W, unsigned n_tables, const char *ids_type) {
    kernel_fixture f = kernel_fixture_begin();
    char type[64], tile[64];
    snprintf(type, sizeof type, "f32[T,%lld]", (long long)E);
    snprintf(tile, sizeof tile, "f32[T,%lld] tiles<%d>", (long long)E, W);
    strbuf_printf(&f.text, "graph @g (T <= 4096) {\n");
    unsigned v = 0;
    for (unsigned i = 0; i < n_tables; i++) {
        char name[2][16];
        snprintf(name[0], sizeof name[0], "w%u", i);
        snprintf(name[1], sizeof name[1], "i%u", i);
        kernel_case_reals(&f.state, name[0], 2, DIMS(5 + 3 * (int64_t)i, E));
        kernel_case_integers(&f.inputs, name[1], strcmp(ids_type, "i64") == 0 ? IR_I64 : IR_I32, 1, &T, 5 + 3 * (int64_t)i);
        strbuf_printf(&f.text, "  %%%u = state {name = \"w%u\"} : f32[%u,%lld]\n  %%%u = input {name = \"i%u\"} : %s[T]\n", v + 1,
                      i, 5 + 3 * i, (long long)E, v + 2, i, ids_type);
        v += 2;
    }
    unsigned last = 0, table = 1;
    for (unsigned i = 0; i < n_tables; i++, table += 2) {
        strbuf_printf(&f.text, "  %%%u = embedding %%%u, %%%u {group = 1} : %s\n", ++v, table, table + 1, type);
        if (i > 0) strbuf_printf(&f.text, "  %%%u = add %%%u, %%%u {group = 1} : %s\n", v + 1, last, v, type), v++;
        last = v;
    }
    if (W)
        strbuf_printf(&f.text, "  %%%u = relayout %%%u {group = 1} : %s\n  %%%u = relayout %%%u : %s\n", v + 1, last, tile, v + 2,
                      v + 1, type),
            last = v + 2;
    strbuf_printf(&f.text, "  return \"y\" = %%%u\n}\n", last);
    kernel_fixture_run(&f, "embedding", 0, n_tables > 2 ? 2e-7 : 1e-7);
}

static void embeddings(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {32, 16}, {33, 17}, {50, 100}, {7, 768}};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        check_embedding(sizes[i][0], sizes[i][1], i % 2 ? 16 : 32, 3, i % 2 ? "i64" : "i32");
        check_embedding(sizes[i][0], sizes[i][1], i % 2 ? 32 : 64, 2, "i64");
        if (sizes[i][0] > 1) check_embedding(sizes[i][0], sizes[i][1], 0, 2, "i32");
    }
    /* alone */
    for (size_t i = 0; i < N_OF(sizes); i++) {
        kernel_fixture f = kernel_fixture_begin();
        kernel_case_reals(&f.state, "w", 2, DIMS(9, sizes[i][1]));
        kernel_case_integers(&f.inputs, "ids", IR_I64, 1, &sizes[i][0], 9);
        strbuf_printf(
            &f.text,
            "graph @g (T <= 4096) {\n  %%1 = state {name = \"w\"} : f32[9,%lld]\n  %%2 = input {name = \"ids\"} : i64[T]\n"
            "  %%3 = embedding %%1, %%2 : f32[T,%lld]\n  return \"y\" = %%3\n}\n",
            (long long)sizes[i][1], (long long)sizes[i][1]);
        kernel_fixture_run(&f, "embedding", 0, 0);
    }
}

/* ---- elementwise ---- */

static void check_elementwise(const char *op, const char *attrs, int64_t T, int64_t E, int W, const char *second) {
    kernel_fixture f = kernel_fixture_begin();
    char rows[64], type[96];
    ir_tensor *x = kernel_case_reals(&f.inputs, "x", 2, DIMS(T, E));
    for (int64_t i = 0; i < T * E; i++) tensor_set(x, i, 4 * tensor_get(x, i));
    kernel_case_reals(&f.inputs, "y", 2, DIMS(T, E));
    kernel_case_reals(&f.state, "e", 1, DIMS(E));
    snprintf(rows, sizeof rows, "f32[T,%lld]", (long long)E);
    snprintf(type, sizeof type, W ? "%s tiles<%d>" : "%s", rows, W);
    strbuf_printf(&f.text,
                  "graph @g (T <= 4096) {\n  %%1 = input {name = \"x\"} : %s\n  %%2 = input {name = \"y\"} : %s\n  %%3 = state "
                  "{name = \"e\"} : f32[%lld]\n"
                  "  %%4 = constant {value = [0.75]} : f32[]\n",
                  rows, rows, (long long)E);
    const char *x_name = "%1", *y_name = strcmp(second, "full") == 0 ? "%2" : strcmp(second, "feature") == 0 ? "%3" : "%4";
    if (W) {
        strbuf_printf(&f.text, "  %%5 = relayout %%1 : %s\n  %%6 = relayout %%2 : %s\n", type, type);
        x_name = "%5";
        if (strcmp(second, "full") == 0) y_name = "%6";
    } else {
        strbuf_printf(&f.text, "  %%5 = constant {value = [1]} : f32[]\n  %%6 = constant {value = [2]} : f32[]\n");
    }
    strbuf_printf(&f.text, "  %%7 = %s %s%s%s%s : %s\n", op, x_name, second[0] ? ", " : "", second[0] ? y_name : "", attrs, type);
    if (W) strbuf_printf(&f.text, "  %%8 = relayout %%7 : %s\n", rows);
    strbuf_printf(&f.text, "  return \"z\" = %%%d\n}\n", W ? 8 : 7);
    kernel_fixture_run(&f, "elementwise", 1e-6, 2e-7);
}

static void elementwise_ops(void **state) {
    (void)state;
    static const char *const binary[] = {"add", "sub", "mul"}, *const seconds[] = {"full", "feature", "scalar"};
    static const char *const unary[][2] = {{"relu", ""}, {"tanh", ""}, {"gelu", ""}, {"gelu", " {form = \"tanh\"}"}};
    static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {33, 19}, {100, 64}};
    for (size_t i = 0; i < N_OF(sizes); i++)
        for (int W = 0; W <= 64; W += W == 32 ? 32 : 16) {
            for (size_t s = 0; s < 3; s++) check_elementwise(binary[(i + s) % 3], "", sizes[i][0], sizes[i][1], W, seconds[s]);
            check_elementwise(unary[i][0], unary[i][1], sizes[i][0], sizes[i][1], W, "");
        }
}

/* ---- rows that move ---- */

static void relayouts(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {1, 100}, {15, 3}, {32, 32}, {33, 31}, {65, 257}};
    for (size_t i = 0; i < N_OF(sizes); i++)
        for (int W = 16; W <= 64; W *= 2) {
            kernel_fixture f = kernel_fixture_begin();
            kernel_case_reals(&f.inputs, "x", 2, sizes[i]);
            strbuf_printf(
                &f.text,
                "graph @g (T <= 4096) {\n  %%1 = input {name = \"x\"} : f32[T,%lld]\n  %%2 = relayout %%1 : f32[T,%lld] tiles<%d>\n"
                "  %%3 = relayout %%2 : f32[T,%lld]\n  return \"y\" = %%3\n}\n",
                (long long)sizes[i][1], (long long)sizes[i][1], W, (long long)sizes[i][1]);
            kernel_fixture_run(&f, "relayout", 0, 0);
        }
}

static void gathered_rows(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1}, {40, 7, 5}, {33, 100, 70}, {5, 16, 33}}; /* R, E, M */
    for (size_t i = 0; i < N_OF(sizes); i++) {
        int64_t R = sizes[i][0], E = sizes[i][1], M = sizes[i][2];
        const int W = 16 << i % 3;
        kernel_fixture f = kernel_fixture_begin();
        kernel_case_reals(&f.inputs, "x", 2, DIMS(R, E));
        kernel_case_integers(&f.inputs, "n", IR_I64, 1, &R, 1000);
        kernel_case_integers(&f.inputs, "i", i % 2 ? IR_I64 : IR_I32, 1, &M, R);
        strbuf_printf(
            &f.text,
            "graph @g (R <= 4096, M <= 4096) {\n  %%1 = input {name = \"x\"} : f32[R,%lld]\n  %%2 = input {name = \"n\"} : i64[R]\n"
            "  %%3 = input {name = \"i\"} : %s[M]\n  %%4 = gather_rows %%1, %%3 : f32[M,%lld]\n  %%5 = gather_rows %%2, %%3 : "
            "i64[M]\n"
            "  %%6 = relayout %%1 : f32[R,%lld] tiles<%d>\n  %%7 = gather_rows %%6, %%3 : f32[M,%lld] tiles<%d>\n  %%8 = relayout "
            "%%7 : f32[M,%lld]\n"
            "  return \"a\" = %%4, \"b\" = %%5, \"c\" = %%8\n}\n",
            (long long)E, i % 2 ? "i64" : "i32", (long long)E, (long long)E, W, (long long)E, W, (long long)E);
        kernel_fixture_run(&f, "gather_rows", 0, 0);
    }
}

static void slices_and_reshapes(void **state) {
    (void)state;
    static const int64_t sizes[][4] = {{1, 2, 0, 1}, {33, 7, 2, 7}, {40, 100, 17, 90}}; /* T, E, begin, end */
    for (size_t i = 0; i < N_OF(sizes); i++) {
        long long T = sizes[i][0], E = sizes[i][1], begins = sizes[i][2], ends = sizes[i][3];
        const int W = 16 << i % 3;
        kernel_fixture f = kernel_fixture_begin();
        kernel_case_reals(&f.inputs, "x", 3, DIMS(2, T, E));
        kernel_case_integers(&f.inputs, "n", IR_I64, 2, DIMS(2, T), 50);
        strbuf_printf(&f.text,
                      "graph @g (B <= 64, T <= 4096) {\n  %%1 = input {name = \"x\"} : f32[B,T,%lld]\n  %%2 = input {name = \"n\"} "
                      ": i64[B,T]\n"
                      "  %%3 = reshape %%1 : f32[B*T,%lld]\n  %%4 = reshape %%2 : i64[B*T]\n  %%5 = slice %%1 {begin = %lld, end = "
                      "%lld} : f32[B,T,%lld]\n"
                      "  %%6 = relayout %%3 : f32[B*T,%lld] tiles<%d>\n  %%7 = slice %%6 {begin = %lld, end = %lld} : "
                      "f32[B*T,%lld] tiles<%d>\n"
                      "  %%8 = relayout %%7 : f32[B*T,%lld]\n  return \"a\" = %%3, \"b\" = %%4, \"c\" = %%5, \"d\" = %%8\n}\n",
                      E, E, begins, ends, ends - begins, E, W, begins, ends, ends - begins, W, ends - begins);
        kernel_fixture_run(&f, i % 2 ? "slice" : "reshape", 0, 0);
    }
}

static void casts(void **state) {
    (void)state;
    static const ir_dtype from[] = {IR_I64, IR_I32, IR_BOOL, IR_I8, IR_U8}, to[] = {IR_F32, IR_I32, IR_I64, IR_I8, IR_U8};
    for (size_t i = 0; i < N_OF(from); i++)
        for (size_t j = 0; j < N_OF(to); j++) {
            if (from[i] == to[j]) continue;
            kernel_fixture f = kernel_fixture_begin();
            int64_t n = 5000;
            ir_tensor *x = kernel_case_integers(&f.inputs, "x", from[i], 1, &n, from[i] == IR_BOOL ? 2 : 300);
            for (int64_t e = 0; e < n && from[i] != IR_BOOL; e++) tensor_set_int(x, e, tensor_get_int(x, e) - 150);
            if (from[i] == IR_I64) tensor_set_int(x, 0, INT64_MAX), tensor_set_int(x, 1, INT64_MIN);
            strbuf_printf(
                &f.text,
                "graph @g (T <= 8192) {\n  %%1 = input {name = \"x\"} : %s[T]\n  %%2 = cast %%1 : %s[T]\n  return \"y\" = %%2\n}\n",
                dtype_name(from[i]), dtype_name(to[j]));
            kernel_fixture_run(&f, "cast", 0, 0);
        }
}

static void ragged_integers(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {3, 7}, {64, 33}};
    static const char *const kernels[] = {"padded_offsets", "row_positions", "first_rows", "kept_rows", "scatter_rows"};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        kernel_fixture f = kernel_fixture_begin();
        kernel_case_integers(&f.inputs, "ids", IR_I64, 2, sizes[i], 9);
        strbuf_printf(
            &f.text,
            "graph @g (B <= 64, S <= 64) {\n  %%1 = input {name = \"ids\"} : i64[B,S]\n  %%2 = padded_offsets %%1 : i32[B+1]\n"
            "  %%3 = reshape %%1 : i64[B*S]\n  %%4 = row_positions %%2, %%3 : i32[B*S]\n  %%5 = first_rows %%2 : i32[B]\n"
            "  return \"a\" = %%2, \"b\" = %%4, \"c\" = %%5\n}\n");
        kernel_fixture_run(&f, kernels[i], 0, 0);
    }
}

/* Kept rows and back: of f32 rows, and of integers; rows that a sequence starts with are kept whatever the mask says. */
static void kept_and_scattered_rows(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1}, {3, 7, 5}, {9, 33, 40}, {2, 64, 1}}; /* B, S, E */
    static const ir_dtype masks[] = {IR_I64, IR_BOOL, IR_I32, IR_U8};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        for (int64_t bound = 1; bound <= 2; bound++) { /* all off; on and off */
            kernel_fixture f = kernel_fixture_begin();
            long long E = sizes[i][2];
            int64_t R = sizes[i][0] * sizes[i][1];
            kernel_case_integers(&f.inputs, "m", masks[i], 2, sizes[i], bound);
            kernel_case_reals(&f.inputs, "x", 2, DIMS(R, E));
            kernel_case_integers(&f.inputs, "n", IR_I64, 1, &R, 1000);
            strbuf_printf(&f.text,
                          "graph @g (B <= 64, R <= 4096, S <= 64, T <= 4096) {\n  %%1 = input {name = \"m\"} : %s[B,S]\n"
                          "  %%2 = input {name = \"x\"} : f32[R,%lld]\n  %%3 = input {name = \"n\"} : i64[R]\n"
                          "  %%4:2 = kept_rows %%1 {rows = \"T\"} : i32[T], i32[B+1]\n  %%5 = gather_rows %%2, %%4 : f32[T,%lld]\n"
                          "  %%6 = gather_rows %%3, %%4 : i64[T]\n  %%7 = scatter_rows %%5, %%4, %%3 : f32[R,%lld]\n"
                          "  %%8 = scatter_rows %%6, %%4, %%3 : i64[R]\n"
                          "  return \"a\" = %%4, \"b\" = %%4#1, \"c\" = %%7, \"d\" = %%8\n}\n",
                          dtype_name(masks[i]), E, E, E);
            kernel_fixture_run(&f, bound == 1 ? "kept_rows" : "scatter_rows", 0, 0);
        }
    }
}

/* Rows with labels, and back, of which there may be none. */
static void labelled_and_scattered_rows(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 5}, {7, 16}, {70, 3}, {300, 33}}; /* R, E */
    static const ir_dtype dtypes[] = {IR_I64, IR_I32, IR_I16, IR_I64};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        for (int64_t every = 0; every <= 3; every++) { /* row r has a label if every > 0 and every divides it; 0: none has */
            kernel_fixture f = kernel_fixture_begin();
            const int64_t R = sizes[i][0];
            const long long E = sizes[i][1];
            ir_tensor *labels = kernel_case_integers(&f.inputs, "labels", dtypes[i], 1, &R, 30000);
            for (int64_t r = 0; r < R; r++)
                if (every == 0 || r % every != 0) tensor_set_int(labels, r, -100);
            kernel_case_reals(&f.inputs, "x", 2, sizes[i]);
            strbuf_printf(&f.text,
                          "graph @g (M <= 4096, R <= 4096) {\n  %%1 = input {name = \"labels\"} : %s[R]\n"
                          "  %%2 = input {name = \"x\"} : f32[R,%lld]\n  %%3 = labelled_rows %%1 {rows = \"M\"} : i32[M]\n"
                          "  %%4 = gather_rows %%2, %%3 : f32[M,%lld]\n  %%5 = scatter_rows %%4, %%3, %%1 : f32[R,%lld]\n"
                          "  return \"a\" = %%3, \"b\" = %%4, \"c\" = %%5\n}\n",
                          dtype_name(dtypes[i]), E, E, E);
            kernel_fixture_run(&f, every == 1 ? "labelled_rows" : "scatter_rows", 0, 0);
        }
    }
}

/* ---- the table ---- */

static const char *const tested[] = {
    "linear",
    "sparse_int8_linear" /* test_sparse_int8_linear.c */,
    "int8_linear" /* test_int8_kernels.c, and the next two */,
    "quantize",
    "row_range",
    "blas_linear",
    "sparse_linear" /* test_kernel_sparse_linear.c */,
    "sparse_weight_gradient" /* test_gradient_kernels.c */,
    "sparse_values" /* test_gradient_kernels.c */,
    "weight_gradient" /* test_gradient_kernels.c */,
    "pack_panels" /* test_pack_panels.c */,
    "attention",
    "attention_gradient" /* test_attention_kernels.c */,
    "layer_norm",
    "layer_norm_gradient" /* test_row_kernels.c */,
    "part_sums" /* test_row_kernels.c */,
    "cross_entropy" /* test_row_kernels.c */,
    "cross_entropy_gradient" /* test_row_kernels.c */,
    "kl_divergence" /* test_row_kernels.c */,
    "kl_divergence_gradient" /* test_row_kernels.c */,
    "mean_squared_error" /* test_row_kernels.c */,
    "mean_squared_error_gradient" /* test_row_kernels.c */,
    "squared_distance" /* test_distance_kernels.c, and the next two */,
    "cosine_distance",
    "attention_distance",
    "row_keys" /* test_row_kernels.c */,
    "embedding_gradient" /* test_row_kernels.c */,
    "widen" /* test_row_kernels.c */,
    "scatter_tiles" /* test_row_kernels.c */,
    "embedding",
    "elementwise",
    "relayout",
    "gather_rows",
    "slice",
    "reshape",
    "cast",
    "cast_bf16" /* test_cast_bf16.c */,
    "padded_offsets",
    "row_positions",
    "first_rows",
    "kept_rows",
    "labelled_rows",
    "sampled_rows" /* test_linear_distillation_kernels.c */,
    "scatter_rows",
    "loss_exps" /* test_linear_loss_kernels.c, test_linear_distillation_kernels.c, and the next three */,
    "loss_sums",
    "loss_gradients",
    "loss_results",
    "dense_to_sparse" /* test_sparse_dense_kernels.c */,
    "sparse_to_dense" /* test_sparse_dense_kernels.c */,
    "square_sums" /* test_gradient_norm_kernels.c */,
    "sum_of_squares" /* test_gradient_norm_kernels.c */,
    "clip_factor" /* test_gradient_norm_kernels.c */,
    "adamw" /* test_update_kernels.c */,
    "sgd" /* test_update_kernels.c */,
    "descend" /* test_update_kernels.c */,
    "observe_extremes" /* test_quantization_kernels.c */,
    "observe_range" /* test_quantization_kernels.c */,
    "observe_rows" /* test_quantization_kernels.c */,
    "quantize_rows" /* test_quantization_kernels.c */};

static void every_row_has_a_test(void **state) {
    (void)state;
    for (size_t i = 0; cg_kernel_row(i); i++) {
        bool found = false;
        for (size_t t = 0; t < N_OF(tested); t++) found |= strcmp(tested[t], cg_kernel_row(i)->name) == 0;
        if (!found) fail_msg("kernel %s has no test here", cg_kernel_row(i)->name);
        assert_true(strlen(cg_kernel_row(i)->meaning) > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_by_the_library),
        cmocka_unit_test(linear_of_odd_sizes),
        cmocka_unit_test(linear_of_bert_sizes),
        cmocka_unit_test(linear_of_few_tokens),
        cmocka_unit_test(linear_with_elementwise_work),
        cmocka_unit_test(layer_norm_of_odd_sizes),
        cmocka_unit_test(layer_norm_of_rows_that_hardly_vary),
        cmocka_unit_test(layer_norm_in_groups),
        cmocka_unit_test(attention_of_odd_sizes),
        cmocka_unit_test(attention_with_masked_keys),
        cmocka_unit_test(attention_with_masked_keys_of_large_scores),
        cmocka_unit_test(attention_in_wide_tiles),
        cmocka_unit_test(attention_with_queries_of_its_own),
        cmocka_unit_test(kept_and_scattered_rows),
        cmocka_unit_test(labelled_and_scattered_rows),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(elementwise_ops),
        cmocka_unit_test(relayouts),
        cmocka_unit_test(gathered_rows),
        cmocka_unit_test(slices_and_reshapes),
        cmocka_unit_test(casts),
        cmocka_unit_test(ragged_integers),
        cmocka_unit_test(every_row_has_a_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
