/*
 * The steps of linear_cross_entropy against the interpreter: vocabularies and widths that nothing divides, tokens that fill no tile, or
 * several chunks, or are none; every choice of results; on every instruction set of the machine, the same bits from 1 and 3 threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/codegen/kernel_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

typedef struct loss_case {
    int64_t R, V, K;
    int W;
    int64_t unlabelled; /* row r has no label where this divides r + 1; 0: each has one */
    bool bias, scale, mean;
    const char *results; /* names of those that are wanted: l, x, w, b */
} loss_case;

/* x in tiles, plus 1: lanes of the last tile without a row are not 0. Rows without a label stay in x. */
static void run(const loss_case *s) {
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    strbuf text = STRBUF_INIT;
    const long long K = s->K, V = s->V;
    int64_t n_results = 0;
    kernel_case_reals(&inputs, "x", 2, DIMS(s->R, s->K));
    ir_tensor *labels = kernel_case_integers(&inputs, "labels", s->R % 2 ? IR_I64 : IR_I32, 1, &s->R, s->V);
    for (int64_t r = 0; r < s->R && s->unlabelled > 0; r++)
        if ((r + 1) % s->unlabelled == 0) tensor_set_int(labels, r, -100);
    kernel_case_reals(&state, "w", 2, DIMS(s->V, s->K));
    kernel_case_reals(&state, "b", 1, &s->V);
    tensor_set(named_tensors_add(&inputs, "s", IR_F32, 0, NULL), 0, -0.75);
    strbuf_printf(&text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%lld]\n"
                  "  %%2 = input {name = \"labels\"} : %s[T]\n"
                  "  %%3 = state {name = \"w\"} : f32[%lld,%lld]\n"
                  "  %%4 = state {name = \"b\"} : f32[%lld]\n"
                  "  %%5 = input {name = \"s\"} : f32[]\n"
                  "  %%6 = constant {value = [1]} : f32[]\n"
                  "  %%7 = relayout %%1 : f32[T,%lld] tiles<%d>\n"
                  "  %%8 = add %%7, %%6 : f32[T,%lld] tiles<%d>\n"
                  "  %%9:4 = linear_cross_entropy %%8, %%3, %%2%s%s%s : f32[], f32[T,%lld] tiles<%d>, f32[%lld,%lld], f32[%lld]\n"
                  "  %%10 = relayout %%9#1 : f32[T,%lld]\n"
                  "  return",
                  K, dtype_name(labels->dtype), V, K, V, K, s->W, K, s->W,
                  s->bias    ? ", %4"
                  : s->scale ? ", _"
                             : "",
                  s->scale ? ", %5" : "", s->mean ? "" : " {reduction = \"sum\"}", K, s->W, V, K, V, K);
    for (const char *r = s->results; *r; r++) {
        strbuf_printf(&text, "%s \"d%c\" = %s", r == s->results ? "" : ",", *r,
                      *r == 'l'   ? "%9"
                      : *r == 'x' ? "%10"
                      : *r == 'w' ? "%9#2"
                                  : "%9#3");
        n_results += *r == 'l' ? 1 : *r == 'x' ? s->R * K : *r == 'w' ? V * K : V;
    }
    strbuf_puts(&text, "\n}\n");
    /*
     * Logits are sums of K products below 2 with one rounding each, so exps are relatively as exact as logits are absolutely; a row's
     * loss likewise. What a gradient adds up are R or V of them, times x or the weight, of at most 2.
     */
    const double logit = (double)(s->K + 8) * 4 * 0x1p-24, rows = s->mean ? 1 : (double)s->R;
    kernel_case c = {.text = strbuf_str(&text),
                     .pipeline = "dce",
                     .kernel = "loss_exps",
                     .inputs = &inputs,
                     .state = &state,
                     .absolute = 4 * logit * rows + 1e-6,
                     .relative = 4 * logit};
    assert_int_equal(kernel_case_run(&c), n_results);
    strbuf_free(&text);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

static void losses_of_odd_sizes(void **unused) {
    (void)unused;
    static const loss_case cases[] = {
        {1, 1, 1, 16, 0, true, true, true, "lxwb"},     {7, 5, 2, 8, 0, false, false, true, "lxwb"},
        {16, 13, 20, 4, 3, false, true, false, "lxwb"}, {33, 48, 32, 32, 5, true, false, false, "lxwb"},
        {65, 97, 33, 64, 7, true, true, true, "lxwb"},  {300, 1201, 24, 32, 6, true, true, true, "lxwb"},
    };
    for (size_t i = 0; i < N_OF(cases); i++) run(&cases[i]);
}

/* Tokens are cut evenly: 321 into two chunks, 1025 into four. */
static void losses_of_several_chunks(void **unused) {
    (void)unused;
    static const int64_t rows[] = {320, 321, 1025};
    for (size_t i = 0; i < N_OF(rows); i++) {
        const loss_case s = {rows[i], 61, 13, i % 2 ? 32 : 64, (int64_t)i % 3 * 2, true, true, i % 2, "lxwb"};
        run(&s);
    }
}

/* A vocabulary so large that few tokens are taken at a time. */
static void losses_of_a_large_vocabulary(void **unused) {
    (void)unused;
    const loss_case s = {70, 320000, 3, 32, 9, true, true, true, "lxwb"};
    run(&s);
}

/* What nobody reads is not computed. */
static void some_of_the_results(void **unused) {
    (void)unused;
    static const char *const results[] = {"l", "x", "w", "b", "lw", "xb"};
    for (size_t i = 0; i < N_OF(results); i++) {
        const loss_case s = {37, 75, 40, 32, 4, true, true, i % 2, results[i]};
        run(&s);
    }
}

/* Rows without labels alone: a mean is no number, a sum is 0. */
static void nothing_counts(void **unused) {
    (void)unused;
    const loss_case sum = {20, 60, 8, 32, 1, true, true, false, "lxwb"}, mean = {20, 60, 8, 32, 1, true, true, true, "lx"};
    run(&sum);
    run(&mean);
}

/* The labelled rows of a batch, of which there may be none. */
static void losses_of_labelled_rows(void **unused) {
    (void)unused;
    for (int64_t every = 0; every < 3; every++) { /* 0: none has a label */
        named_tensors inputs = {.what = "input"}, state = {.what = "state"};
        ir_tensor *labels = kernel_case_integers(&inputs, "labels", IR_I64, 1, DIMS(90), 70);
        for (int64_t r = 0; r < 90; r++)
            if (every == 0 || r % every != 0) tensor_set_int(labels, r, -100);
        kernel_case_reals(&inputs, "x", 2, DIMS(90, 12));
        kernel_case_reals(&state, "w", 2, DIMS(70, 12));
        kernel_case_reals(&state, "b", 1, DIMS(70));
        kernel_case c = {
            .text = "graph @g (M <= 4096, R <= 4096) {\n"
                    "  %1 = input {name = \"x\"} : f32[R,12]\n"
                    "  %2 = input {name = \"labels\"} : i64[R]\n"
                    "  %3 = state {name = \"w\"} : f32[70,12]\n"
                    "  %4 = state {name = \"b\"} : f32[70]\n"
                    "  %5 = labelled_rows %2 {rows = \"M\"} : i32[M]\n"
                    "  %6 = gather_rows %1, %5 : f32[M,12]\n"
                    "  %7 = gather_rows %2, %5 : i64[M]\n"
                    "  %8:4 = linear_cross_entropy %6, %3, %7, %4 {reduction = \"sum\"} : f32[], f32[M,12], f32[70,12], f32[70]\n"
                    "  %9 = scatter_rows %8#1, %5, %1 : f32[R,12]\n"
                    "  return \"loss\" = %8, \"dx\" = %9, \"dw\" = %8#2, \"db\" = %8#3\n"
                    "}\n",
            .pipeline = "layout,canonicalize,cse,dce,fuse,plan-memory",
            .kernel = "loss_gradients",
            .inputs = &inputs,
            .state = &state,
            .absolute = 2e-5,
            .relative = 1e-5};
        assert_int_equal(kernel_case_run(&c), 1 + 90 * 12 + 70 * 12 + 70);
        named_tensors_free(&inputs);
        named_tensors_free(&state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_of_odd_sizes),
        cmocka_unit_test(losses_of_several_chunks),
        cmocka_unit_test(losses_of_a_large_vocabulary),
        cmocka_unit_test(some_of_the_results),
        cmocka_unit_test(nothing_counts),
        cmocka_unit_test(losses_of_labelled_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
