/*
 * squared_distance, cosine_distance and attention_distance in tiles against the evaluators: odd widths, all numbers of rows about those of
 * tiles, rows that are not kept, ragged batches, one result alone; on every instruction set of the machine, with several threads bit for bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "tests/unit/codegen/kernel_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* ---- rows ---- */

typedef enum wanted_results { WANTS_LOSS = 1, WANTS_SLOPES = 2, WANTS_ALL = 3 } wanted_results;

typedef struct row_case {
    int64_t R, E;
    int W;
    bool masked, scaled;
    int wants;
} row_case;

/* The least length of the rows. */
static double least_length(const ir_tensor *t) {
    double least = INFINITY;
    for (int64_t r = 0; r < t->dims[0]; r++) {
        double sum = 0;
        for (int64_t i = 0; i < t->dims[1]; i++) sum += pow(tensor_get(t, r * t->dims[1] + i), 2);
        if (sqrt(sum) < least) least = sqrt(sum);
    }
    return least;
}

static const char *optional_of(bool masked, bool scaled) {
    if (scaled) return masked ? ", %3, %4" : ", _, %4";
    return masked ? ", %3" : "";
}

/* Sums of E terms in a chain; the slopes of a cosine grow as rows become short. */
static void check_rows(const char *op, const row_case *c) {
    kernel_fixture f = kernel_fixture_begin();
    const long long E = c->E;
    const ir_tensor *x = kernel_case_reals(&f.inputs, "x", 2, DIMS(c->R, c->E));
    const double bound = 1e-6 * (2 + 4 / least_length(x));
    kernel_case_reals(&f.inputs, "y", 2, DIMS(c->R, c->E));
    kernel_case_integers(&f.inputs, "keep", c->E % 2 ? IR_I64 : IR_BOOL, 1, DIMS(c->R), 2);
    tensor_set(named_tensors_add(&f.inputs, "scale", IR_F32, 0, NULL), 0, 0.75);
    strbuf_printf(&f.text,
                  "graph @g (R <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[R,%lld]\n  %%2 = input {name = \"y\"} : f32[R,%lld]\n"
                  "  %%3 = input {name = \"keep\"} : %s[R]\n  %%4 = input {name = \"scale\"} : f32[]\n"
                  "  %%5 = relayout %%1 : f32[R,%lld] tiles<%d>\n  %%6 = relayout %%2 : f32[R,%lld] tiles<%d>\n"
                  "  %%7:2 = %s %%5, %%6%s : f32[], f32[R,%lld] tiles<%d>\n",
                  E, E, c->E % 2 ? "i64" : "bool", E, c->W, E, c->W, op, optional_of(c->masked, c->scaled), E, c->W);
    if (c->wants & WANTS_SLOPES) strbuf_printf(&f.text, "  %%8 = relayout %%7#1 : f32[R,%lld]\n", E);
    strbuf_printf(&f.text, "  return %s%s%s\n}\n", c->wants & WANTS_LOSS ? "\"loss\" = %7" : "", c->wants == WANTS_ALL ? ", " : "",
                  c->wants & WANTS_SLOPES ? "\"dx\" = %8" : "");
    const int64_t n = (c->wants & WANTS_LOSS ? 1 : 0) + (c->wants & WANTS_SLOPES ? c->R * c->E : 0);
    assert_int_equal(kernel_fixture_run(&f, op, bound, 1e-5), n);
}

static const row_case row_cases[] = {
    {1, 3, 16, false, false, WANTS_ALL},    {17, 33, 8, false, true, WANTS_ALL}, {31, 64, 32, true, true, WANTS_LOSS},
    {33, 20, 32, true, true, WANTS_SLOPES}, {65, 9, 64, true, false, WANTS_ALL}, {2000, 12, 16, true, true, WANTS_ALL},
    {70, 769, 32, true, true, WANTS_ALL},
};

static void squared_distances(void **state) {
    (void)state;
    for (size_t i = 0; i < N_OF(row_cases); i++) check_rows("squared_distance", &row_cases[i]);
}

static void cosine_distances(void **state) {
    (void)state;
    for (size_t i = 0; i < N_OF(row_cases); i++) check_rows("cosine_distance", &row_cases[i]);
}

/* ---- attention ---- */

#define MAX_SEQUENCES 12

typedef struct attention_case {
    int64_t lengths[MAX_SEQUENCES];
    size_t n;
    int64_t H, D;
    int W;
    int kept; /* 0: all, 1: some, 2: the first two thirds, and none of odd sequences */
    bool all_queries, scaled;
    int wants;
} attention_case;

/* q, k, teacher_q, teacher_k, offsets, keep, scale; queries such that some keys have most of the probability. */
static int64_t make_inputs(const attention_case *a, named_tensors *inputs) {
    static const char *const rows[] = {"q", "k", "teacher_q", "teacher_k"};
    const int64_t n = (int64_t)a->n;
    ir_tensor *offsets = named_tensors_add(inputs, "offsets", IR_I32, 1, DIMS(n + 1));
    int64_t R = 0;
    for (int64_t b = 0; b < n; b++) tensor_set_int(offsets, b + 1, R += a->lengths[b]);
    for (size_t i = 0; i < 4; i++) {
        ir_tensor *t = kernel_case_reals(inputs, rows[i], 2, DIMS(R, a->H * a->D));
        for (int64_t e = 0; e < tensor_elements(t) && i % 2 == 0; e++) ((float *)t->data)[e] *= 4;
    }
    ir_tensor *keep = kernel_case_integers(inputs, "keep", IR_I64, 1, &R, 2);
    for (int64_t b = 0; b < n && a->kept == 2; b++)
        for (int64_t j = 0; j < a->lengths[b]; j++)
            tensor_set_int(keep, tensor_get_int(offsets, b) + j, b % 2 == 0 && 3 * j < 2 * a->lengths[b]);
    tensor_set(named_tensors_add(inputs, "scale", IR_F32, 0, NULL), 0, 1.5);
    return R;
}

static void write_attention(const attention_case *a, strbuf *text) {
    static const char *const names[] = {"q", "k", "teacher_q", "teacher_k"};
    const long long E = a->H * a->D, H = a->H;
    char type[64], lse[64], options[64];
    snprintf(type, sizeof type, "f32[R,%lld] tiles<%d>", E, a->W);
    snprintf(lse, sizeof lse, "f32[R,%lld] tiles<%d>", H, a->W);
    snprintf(options, sizeof options, "heads = %lld, scale = %g", H, 1 / sqrt((double)a->D));
    strbuf_puts(text, "graph @g (B <= 64, R <= 8192) {\n");
    strbuf_puts(text, "  %1 = input {name = \"offsets\"} : i32[B+1]\n  %2 = input {name = \"scale\"} : f32[]\n"
                      "  %3 = input {name = \"keep\"} : i64[R]\n");
    for (size_t i = 0; i < 4; i++) {
        strbuf_printf(text, "  %%%zu = input {name = \"%s\"} : f32[R,%lld]\n", 4 + 2 * i, names[i], E);
        strbuf_printf(text, "  %%%zu = relayout %%%zu : %s\n", 5 + 2 * i, 4 + 2 * i, type);
    }
    const char *keep = a->kept ? "%3" : "_";
    for (size_t i = 0; i < 2; i++)
        strbuf_printf(text, "  %%%zu:2 = attention %%%zu, %%%zu, %%%zu, %%1%s%s {%s} : %s, %s\n", 12 + i, 5 + 4 * i, 7 + 4 * i,
                      7 + 4 * i, a->kept ? ", " : "", a->kept ? keep : "", options, type, lse);
    strbuf_printf(text,
                  "  %%14:3 = attention_distance %%5, %%7, %%11, %%1, %%12#1, %%9, %%13#1%s%s%s {heads = %lld%s, scale = %g} : "
                  "f32[], %s, %s\n",
                  a->kept || a->scaled ? ", " : "", a->kept || a->scaled ? keep : "", a->scaled ? ", %2" : "", H,
                  a->all_queries ? ", queries = \"all\"" : "", 1 / sqrt((double)a->D), type, type);
    if (a->wants & WANTS_SLOPES)
        strbuf_printf(text, "  %%15 = relayout %%14#1 : f32[R,%lld]\n  %%16 = relayout %%14#2 : f32[R,%lld]\n", E, E);
    strbuf_printf(text, "  return %s%s%s\n}\n", a->wants & WANTS_LOSS ? "\"loss\" = %14" : "", a->wants == WANTS_ALL ? ", " : "",
                  a->wants & WANTS_SLOPES ? "\"dq\" = %15, \"dk\" = %16" : "");
}

/* Probabilities have relative errors of some 4 sqrt(D) * 1e-7, as their scores have them absolutely; sums of P |P - T| are at most 2. */
static void check_attention(const attention_case *a) {
    kernel_fixture f = kernel_fixture_begin();
    const int64_t R = make_inputs(a, &f.inputs),
                  n = (a->wants & WANTS_LOSS ? 1 : 0) + (a->wants & WANTS_SLOPES ? 2 * R * a->H * a->D : 0);
    write_attention(a, &f.text);
    const double bound = 4 * (1e-6 + 4e-7 * sqrt((double)a->D));
    assert_int_equal(kernel_fixture_run(&f, "attention_distance", bound, 5e-6), n);
}

static void distances_of_ragged_batches(void **state) {
    (void)state;
    static const attention_case cases[] = {
        {{1, 2, 3, 7, 0, 16, 20, 1, 30, 33, 5, 0}, 12, 3, 20, 32, 0, false, true, WANTS_ALL},
        {{70, 1, 15, 17, 32, 31, 64, 63, 0}, 9, 1, 16, 16, 0, true, false, WANTS_ALL},
        {{40, 0, 41, 0}, 4, 1, 13, 64, 0, false, false, WANTS_LOSS},
        {{9, 31, 8}, 3, 2, 5, 4, 0, false, true, WANTS_SLOPES},
    };
    for (size_t i = 0; i < N_OF(cases); i++) check_attention(&cases[i]);
}

static void distances_under_masks(void **state) {
    (void)state;
    static const attention_case cases[] = {
        {{3, 7, 0, 20, 11, 33, 70, 1, 2, 64}, 10, 2, 32, 32, 1, false, true, WANTS_ALL},
        {{5, 34, 1, 47}, 4, 1, 24, 16, 2, true, true, WANTS_ALL},
        {{17, 20, 33, 5, 0, 2}, 6, 1, 12, 32, 2, false, false, WANTS_ALL},
    };
    for (size_t i = 0; i < N_OF(cases); i++) check_attention(&cases[i]);
}

/* More pairs of sequence and head than there are parts of the sum. */
static void distances_of_many_heads(void **state) {
    (void)state;
    check_attention(&(attention_case){{37, 128, 3, 60, 9, 11, 40, 2, 1, 5, 8, 30}, 12, 12, 64, 32, 1, false, true, WANTS_ALL});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(squared_distances),           cmocka_unit_test(cosine_distances),
        cmocka_unit_test(distances_of_ragged_batches), cmocka_unit_test(distances_under_masks),
        cmocka_unit_test(distances_of_many_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
