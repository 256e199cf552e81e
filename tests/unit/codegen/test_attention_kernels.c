/*
 * attention and its gradient in tiles against the evaluators: widths of heads that are and are not whole vectors, all lengths about those of
 * tiles, ragged batches, masks with and without holes, queries of their own, with and without dropout; on every instruction set of the
 * machine, and with several threads bit for bit.
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
#define MAX_SEQUENCES 16

typedef enum keeping { KEEP_ALL, KEEP_SOME, KEEP_FIRST, KEEP_NONE_OF_ODD } keeping;

typedef struct attention_case {
    int64_t lengths[MAX_SEQUENCES];
    size_t n;
    int64_t H, D;
    int W;
    keeping keeping;
    int64_t queries; /* of each sequence; 0: its rows */
    double rate;
    bool wide_scores;
} attention_case;

static int64_t rows_of(const attention_case *a) {
    int64_t R = 0;
    for (size_t b = 0; b < a->n; b++) R += a->lengths[b];
    return R;
}

/* Inputs: q, k, v, dcontext, offsets, keep, queries, row_keys, random. */
static void make_inputs(const attention_case *a, named_tensors *inputs) {
    const int64_t n = (int64_t)a->n, E = a->H * a->D;
    const int64_t R = rows_of(a);
    ir_tensor *offsets = named_tensors_add(inputs, "offsets", IR_I32, 1, DIMS(n + 1));
    for (int64_t b = 0; b < n; b++) tensor_set_int(offsets, b + 1, tensor_get_int(offsets, b) + a->lengths[b]);
    const int64_t M = a->queries ? a->queries * n : R;
    ir_tensor *queries = named_tensors_add(inputs, "queries", IR_I32, 1, DIMS(n + 1));
    for (int64_t b = 0; b <= n; b++) tensor_set_int(queries, b, a->queries * b);
    ir_tensor *q = kernel_case_reals(inputs, "q", 2, DIMS(M, E));
    for (int64_t i = 0; i < M * E && a->wide_scores; i++) ((float *)q->data)[i] *= 40;
    kernel_case_reals(inputs, "k", 2, DIMS(R, E));
    kernel_case_reals(inputs, "v", 2, DIMS(R, E));
    kernel_case_reals(inputs, "dc", 2, DIMS(M, E));
    kernel_case_integers(inputs, "row_keys", IR_I64, 1, &M, INT64_C(1) << 40);
    ir_tensor *keep = kernel_case_integers(inputs, "keep", IR_I64, 1, &R, 2);
    for (int64_t b = 0; b < n && a->keeping >= KEEP_FIRST; b++)
        for (int64_t j = 0; j < a->lengths[b]; j++) {
            const bool none = a->keeping == KEEP_NONE_OF_ODD && b % 2;
            tensor_set_int(keep, tensor_get_int(offsets, b) + j, !none && 3 * j < 2 * a->lengths[b]);
        }
    ir_tensor *random = named_tensors_add(inputs, "random", IR_I64, 1, DIMS(2));
    tensor_set_int(random, 0, INT64_C(0x1234567890abcdef));
    tensor_set_int(random, 1, 77);
}

static void write_graph(const attention_case *a, strbuf *text) {
    static const char *const activations[] = {"q", "k", "v", "dc"};
    const long long E = a->H * a->D, H = a->H;
    const char *rows = a->queries ? "M" : "R";
    char type[64], key_type[64], options[128];
    snprintf(type, sizeof type, "f32[%s,%lld] tiles<%d>", rows, E, a->W);
    snprintf(key_type, sizeof key_type, "f32[R,%lld] tiles<%d>", E, a->W);
    snprintf(options, sizeof options, "{heads = %lld, scale = %g, rate = %g, stream = 9}", H, 1 / sqrt((double)a->D), a->rate);
    strbuf_printf(text, "graph @g (B <= 64, R <= 8192%s) {\n", a->queries ? ", M <= 4096" : "");
    for (size_t i = 0; i < 4; i++)
        strbuf_printf(text, "  %%%zu = input {name = \"%s\"} : f32[%s,%lld]\n", i + 1, activations[i], i % 3 ? "R" : rows, E);
    strbuf_printf(text,
                  "  %%5 = input {name = \"offsets\"} : i32[B+1]\n  %%6 = input {name = \"keep\"} : i64[R]\n"
                  "  %%7 = input {name = \"queries\"} : i32[B+1]\n  %%8 = input {name = \"random\"} : i64[2]\n"
                  "  %%9 = input {name = \"row_keys\"} : i64[%s]\n",
                  rows);
    for (size_t i = 0; i < 4; i++) strbuf_printf(text, "  %%%zu = relayout %%%zu : %s\n", i + 10, i + 1, i % 3 ? key_type : type);
    char optional[64];
    snprintf(optional, sizeof optional, ", %s, %s%s", a->keeping ? "%6" : "_", a->queries ? "%7" : "_",
             a->rate > 0 ? ", %9, %8" : "");
    if (a->rate == 0 && !a->queries) snprintf(optional, sizeof optional, "%s", a->keeping ? ", %6" : "");
    strbuf_printf(text, "  %%14:2 = attention %%10, %%11, %%12, %%5%s %s : %s, f32[%s,%lld] tiles<%d>\n", optional, options, type,
                  rows, H, a->W);
    strbuf_printf(text, "  %%15:3 = attention_gradient %%10, %%11, %%12, %%5, %%14, %%14#1, %%13%s %s : %s, %s, %s\n", optional,
                  options, type, key_type, key_type);
    strbuf_printf(
        text,
        "  %%16 = relayout %%14 : f32[%s,%lld]\n  %%17 = relayout %%14#1 : f32[%s,%lld]\n  %%18 = relayout %%15 : f32[%s,%lld]\n"
        "  %%19 = relayout %%15#1 : f32[R,%lld]\n  %%20 = relayout %%15#2 : f32[R,%lld]\n"
        "  return \"y\" = %%16, \"lse\" = %%17, \"dq\" = %%18, \"dk\" = %%19, \"dv\" = %%20\n}\n",
        rows, E, rows, H, rows, E, E, E);
}

/*
 * Scores of D products below 1 times 1 / sqrt(D) carry sqrt(D) * 6e-8, which their exponentials pass on to averages of numbers below 1,
 * and to sums of terms P x whose P add up to 1 over keys and, but for chance, over queries: 4 is allowed, and as much as queries share a
 * key where they are few. Dropout multiplies by 1 / (1 - rate).
 */
static void check(const attention_case *a) {
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    strbuf text = STRBUF_INIT;
    make_inputs(a, &inputs);
    write_graph(a, &text);
    const double scores = 1e-7 * sqrt((double)a->D) * (a->wide_scores ? 40 : 1);
    const kernel_case c = {.text = strbuf_str(&text),
                           .kernel = "attention_gradient",
                           .inputs = &inputs,
                           .state = &state,
                           .absolute = 4 * (2e-6 + scores) / (1 - a->rate),
                           .relative = 2e-6};
    const int64_t R = rows_of(a), M = a->queries ? a->queries * (int64_t)a->n : R, E = a->H * a->D;
    assert_int_equal(kernel_case_run(&c), 2 * M * E + M * a->H + 2 * R * E); /* y and dq, lse, dk and dv */
    named_tensors_free(&inputs);
    named_tensors_free(&state);
    strbuf_free(&text);
}

/* ---- cases ---- */

/* Kernels depend on H, D, W and what is given, not on lengths: one batch has many of them. */
static void ragged_batches(void **state) {
    (void)state;
    static const attention_case cases[] = {
        {{1, 2, 3, 7, 0, 16, 20, 1, 30, 33, 5, 0}, 12, 3, 20, 32, KEEP_ALL, 0, 0, false},
        {{70, 1, 15, 17, 32, 31, 64, 63, 0}, 9, 1, 16, 16, KEEP_ALL, 0, 0.1, false},
        {{40, 0, 41, 0}, 4, 1, 13, 64, KEEP_ALL, 0, 0.5, false},
        {{9, 31, 8}, 3, 2, 5, 4, KEEP_ALL, 0, 0.25, false},
        {{1}, 1, 1, 1, 8, KEEP_ALL, 0, 0, false},
    };
    for (size_t i = 0; i < N_OF(cases); i++) check(&cases[i]);
}

static void masks(void **state) {
    (void)state;
    static const attention_case cases[] = {
        {{3, 7, 0, 20, 11, 33, 70, 1, 2, 64}, 10, 2, 32, 32, KEEP_SOME, 0, 0.1, false},
        {{5, 34, 1, 47}, 4, 1, 24, 16, KEEP_FIRST, 0, 0.1, false},
        {{17, 20, 33, 5, 0, 2}, 6, 1, 12, 32, KEEP_NONE_OF_ODD, 0, 0, false},
    };
    for (size_t i = 0; i < N_OF(cases); i++) check(&cases[i]);
}

static void queries_of_their_own(void **state) {
    (void)state;
    static const attention_case cases[] = {
        {{3, 7, 0, 20, 11, 33, 70, 1, 2, 64}, 10, 2, 32, 32, KEEP_ALL, 1, 0.1, false},
        {{5, 34, 1, 47, 39, 6, 9}, 7, 1, 40, 16, KEEP_SOME, 5, 0, false},
    };
    for (size_t i = 0; i < N_OF(cases); i++) check(&cases[i]);
}

/* As in batches of pre-training and of SQuAD, beside short ones. */
static void long_sequences(void **state) {
    (void)state;
    check(&(attention_case){{37, 128, 3, 384}, 4, 1, 64, 32, KEEP_ALL, 0, 0.1, false});
}

/* Scores of up to 100 and more, of which one is nearly the whole sum: exponentials of the others vanish. */
static void scores_far_apart(void **state) {
    (void)state;
    check(&(attention_case){{45, 20}, 2, 2, 32, 32, KEEP_ALL, 0, 0.1, true});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ragged_batches),       cmocka_unit_test(masks),
        cmocka_unit_test(queries_of_their_own), cmocka_unit_test(long_sequences),
        cmocka_unit_test(scores_far_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
