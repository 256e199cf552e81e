/*
 * The sparse linear against the interpreter, on every instruction set of the machine: all layouts, generated shapes, densities from
 * nothing to everything with empty and full rows, blocks of columns and groups of rows that do not divide the matrix, any number of
 * tokens, epilogues; one token's bits beside others; variants that say what is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codegen/target.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "runtime/session.h"
#include "tests/unit/codegen/kernel_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])

typedef struct sparse_case {
    int64_t tokens, N, K;
    int W;
    double density; /* -1: one non-zero; -2: half, with row 0 empty and row 1 full */
    int keep, of;   /* at most so many of M columns; 0: any */
    const char *variant, *tail;
} sparse_case;

/*
 * Sums of at most K random products with variance 1/9 grow like sqrt(K)/3, and each of the K additions rounds by 2^-24 of that at most
 * (twice that without FMA); the roundings add up like a random walk, of which 6 deviations are allowed: 6 * 2 * 6e-8 * sqrt(K)/3 *
 * sqrt(K).
 */
static double sparse_bound(int64_t K) { return 1e-7 + 12 * 6e-8 / 3 * (double)K; }

static bool has_entry(const sparse_case *c, rng_key key, int64_t row, int64_t column) {
    if (c->density == -1) return row == c->N / 2 && column == c->K / 3;
    if (c->density == -2 && row < 2) return row == 1;
    return rng_uniform(key, (uint64_t)(row * c->K + column)) < (c->density == -2 ? 0.5 : c->density);
}

/* Random weights with zeros. */
static void make_weight(named_tensors *state, const sparse_case *c) {
    ir_tensor *w = kernel_case_reals(state, "w", 2, (int64_t[]){c->N, c->K});
    rng_key key = rng_key_make(9, "zeros");
    for (int64_t row = 0; row < c->N; row++)
        for (int64_t column = 0, found = 0; column < c->K; column++) {
            if (c->of && column % c->of == 0) found = 0;
            bool some = has_entry(c, key, row, column) && (!c->of || found < c->keep);
            found += some;
            if (!some) tensor_set(w, row * c->K + column, 0);
            else if (tensor_get(w, row * c->K + column) == 0) tensor_set(w, row * c->K + column, 0.5);
        }
}

static void put_graph(strbuf *text, const sparse_case *c) {
    const char *tail = c->tail;
    char y[64], variant[200] = "";
    snprintf(y, sizeof y, "f32[T,%d] tiles<%d>", (int)c->N, c->W);
    bool grouped = strcmp(tail, "none") != 0 && strcmp(tail, "bias") != 0;
    if (c->variant) snprintf(variant, sizeof variant, "variant = \"%s\"%s", c->variant, grouped ? ", " : "");
    strbuf_printf(text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%d]\n"
                  "  %%2 = pattern {name = \"w\"} : pattern[%d,%d]\n"
                  "  %%3 = state {name = \"w\"} : f32[nnz(%%2)]\n"
                  "  %%4 = state {name = \"b\"} : f32[%d]\n"
                  "  %%5 = input {name = \"r\"} : f32[T,%d]\n"
                  "  %%6 = relayout %%1 : f32[T,%d] tiles<%d>\n"
                  "  %%7 = relayout %%5 : %s\n"
                  "  %%8 = linear %%6, %%3, %s, %%2 {%s%s} : %s\n",
                  (int)c->K, (int)c->N, (int)c->K, (int)c->N, (int)c->N, (int)c->K, c->W, y, strcmp(tail, "none") == 0 ? "_" : "%4",
                  variant, grouped ? "group = 1" : "", y);
    if (!grouped) strbuf_printf(text, "  %%10 = relayout %%8");
    else if (strcmp(tail, "residual") == 0) strbuf_printf(text, "  %%9 = add %%7, %%8 {group = 1} : %s\n  %%10 = relayout %%9", y);
    else strbuf_printf(text, "  %%9 = %s %%8 {group = 1} : %s\n  %%10 = relayout %%9", tail, y);
    strbuf_printf(text, " : f32[T,%d]\n  return \"y\" = %%10\n}\n", (int)c->N);
}

static void check(const sparse_case *c) {
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    strbuf text = STRBUF_INIT;
    kernel_case_reals(&inputs, "x", 2, (int64_t[]){c->tokens, c->K});
    kernel_case_reals(&inputs, "r", 2, (int64_t[]){c->tokens, c->N});
    kernel_case_reals(&state, "b", 1, &c->N);
    make_weight(&state, c);
    put_graph(&text, c);
    kernel_case_run(&(kernel_case){.text = strbuf_str(&text),
                                   .kernel = "sparse_linear",
                                   .inputs = &inputs,
                                   .state = &state,
                                   .absolute = sparse_bound(c->K),
                                   .relative = 0});
    named_tensors_free(&inputs);
    named_tensors_free(&state);
    strbuf_free(&text);
}

static void any_density(void **unused) {
    (void)unused;
    static const double densities[] = {0, 0.02, 0.1, 0.3, 0.5, 1, -1, -2};
    static const int64_t shapes[][2] = {{130, 40}, {97, 161}, {3, 200}};
    for (size_t d = 0; d < N_OF(densities); d++)
        for (size_t s = 0; s < 2; s++)
            check(&(sparse_case){37, shapes[s][0], shapes[s][1], s ? 32 : 64, densities[d], 0, 0, NULL, "bias"});
    check(&(sparse_case){37, 3, 200, 32, 0.3, 0, 0, NULL, "bias"});
    check(&(sparse_case){37, 1, 1, 32, 1, 0, 0, NULL, "bias"});
}

/* Every number of vectors of a tile, full and with one token. */
static void any_number_of_tokens(void **unused) {
    (void)unused;
    static const int64_t tokens[] = {1, 2, 4, 5, 8, 9, 15, 16, 17, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 70};
    for (size_t i = 0; i < N_OF(tokens); i++)
        check(&(sparse_case){tokens[i], 37, 90, 16 << i % 3, 0.2, 0, 0, "sparse_linear layout=stream k_block=50 rows=20", "bias"});
    for (int64_t T = 1; T <= 70; T += 23) check(&(sparse_case){T, 37, 90, 64, 0.2, 0, 0, NULL, "bias"});
    check(&(sparse_case){5, 9, 30, 4, 0.2, 0, 0, NULL, "bias"});
    check(&(sparse_case){130, 9, 30, 8, 0.2, 0, 0, NULL, "bias"});
    check(&(sparse_case){270, 20, 30, 128, 0.2, 0, 0, NULL, "bias"});
}

static void any_unrolling(void **unused) {
    (void)unused;
    for (int unroll = 1; unroll <= 8; unroll++) {
        char variant[120];
        snprintf(variant, sizeof variant,
                 "sparse_linear layout=stream k_block=%d rows=%d unroll=%d ahead=%d tile=32 offsets=%s shuffled=%d",
                 unroll * 29 % 100 + 1, 10 * unroll, unroll, unroll - 1, unroll % 2 ? "single" : "packed", unroll % 5);
        check(&(sparse_case){45, 60, 100, 32, 0.4, 0, 0, variant, "bias"});
    }
}

static void epilogues(void **unused) {
    (void)unused;
    static const char *const tails[] = {"none", "bias", "gelu", "relu", "tanh", "residual"};
    for (size_t t = 0; t < N_OF(tails); t++) {
        check(&(sparse_case){41, 50, 70, t % 2 ? 16 : 64, 0.2, 0, 0, NULL, tails[t]});
        check(&(sparse_case){3, 800, 70, t % 2 ? 64 : 16, 0.1, 0, 0, NULL, tails[t]});
    }
}

static void blocks(void **unused) {
    (void)unused;
    static const int sizes[][2] = {{4, 1}, {1, 4}, {2, 2}, {4, 4}, {8, 1}, {3, 5}};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        char variant[120];
        snprintf(variant, sizeof variant, "sparse_linear layout=blocks block_rows=%d block_columns=%d k_block=20 rows=24 unroll=%d",
                 sizes[i][0], sizes[i][1], 1 + (int)i % 4);
        check(&(sparse_case){45, 61, 60, 16 << i % 3, 0.1, 0, 0, variant, "gelu"});
        check(&(sparse_case){7, 24, 20, 16 << (i + 1) % 3, -2, 0, 0, variant, "bias"});
    }
}

static void n_of_m(void **unused) {
    (void)unused;
    static const struct {
        int keep, of;
        const char *variant;
    } cases[] = {{2, 4, "sparse_linear layout=n_m keep=2 of=4"},
                 {2, 4, "sparse_linear layout=n_m keep=2 of=4 k_block=24 rows=10 unroll=3"},
                 {1, 4, "sparse_linear layout=n_m keep=1 of=4 k_block=16"},
                 {4, 8, "sparse_linear layout=n_m keep=4 of=8 k_block=48 unroll=1"}};
    for (size_t i = 0; i < N_OF(cases); i++) {
        check(&(sparse_case){45, 61, 90, 16 << i % 3, 0.6, cases[i].keep, cases[i].of, cases[i].variant, "bias"});
        check(&(sparse_case){1, 30, 33, 16 << (i + 1) % 3, -2, cases[i].keep, cases[i].of, cases[i].variant, "relu"});
    }
}

/* ---- bits ---- */

/* Row `row` of y, from a run of the first `tokens` rows of x. */
static void run_row(session *s, const sparse_case *c, const ir_tensor *x, int64_t tokens, int64_t row, float *out) {
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    named_tensors inputs = {.what = "input"};
    ir_tensor y, *some = kernel_case_reals(&inputs, "x", 2, (int64_t[]){tokens, c->K});
    memcpy(some->data, x->data, (size_t)(tokens * c->K) * sizeof(float));
    kernel_case_reals(&inputs, "r", 2, (int64_t[]){tokens, c->N});
    tensor_source source = named_tensors_source(&inputs);
    if (session_run(s, &source, &sink) != POFAC_OK || session_output(s, "y", &sink, &y) != POFAC_OK)
        fail_msg("%s", strbuf_str(&messages));
    memcpy(out, (const float *)y.data + row * c->N, (size_t)c->N * sizeof(float));
    named_tensors_free(&inputs);
    strbuf_free(&messages);
}

static plan *compile_plan(const sparse_case *c, const char *isa, ir_context *context) {
    strbuf text = STRBUF_INIT, messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    arena memory = ARENA_INIT;
    cg_options options = {.cache_dir = NULL};
    ir_module *m = NULL;
    plan *p = NULL;
    put_graph(&text, c);
    if (cg_target_host(isa, &memory, &sink, &options.target) != POFAC_OK ||
        text_parse_module(context, "test", text.data, text.size, NULL, &sink, &m) != POFAC_OK ||
        cg_compile(m, "g", &options, &sink, &p) != POFAC_OK)
        fail_msg("%s: %s", isa, strbuf_str(&messages));
    arena_free(&memory);
    strbuf_free(&messages);
    strbuf_free(&text);
    return p;
}

static void check_bits(const sparse_case *c, const char *isa, const plan *p, thread_pool *pool) {
    float alone[200], beside[200];
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    session *s = NULL;
    assert_true(c->N <= (int64_t)N_OF(alone));
    const ir_tensor *x = kernel_case_reals(&inputs, "x", 2, (int64_t[]){c->W + 2, c->K});
    kernel_case_reals(&state, "b", 1, &c->N);
    make_weight(&state, c);
    const tensor_source source = named_tensors_source(&state);
    assert_int_equal(session_create(p, &source, pool, NULL, &s), POFAC_OK);
    run_row(s, c, x, c->W + 1, c->W, alone);
    run_row(s, c, x, c->W + 2, c->W, beside);
    for (int64_t n = 0; n < c->N; n++)
        if (memcmp(&alone[n], &beside[n], sizeof alone[n]) != 0)
            fail_msg("%s, tiles<%d>, density %g: y[%d] is %.9g for a token alone, %.9g beside another", isa, c->W, c->density,
                     (int)n, (double)alone[n], (double)beside[n]);
    session_destroy(s);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

/* A token that stands alone in its tile has other code than one that does not, but the same bits. */
static void bits_of_one_token(void **unused) {
    (void)unused;
    static const double densities[] = {0, 0.03, 0.2, 1, -1, -2};
    static const sparse_case shapes[] = {{0, 150, 301, 0, 0, 0, 0, "sparse_linear rows=70", "gelu"},
                                         {0, 40, 77, 0, 0, 0, 0, "sparse_linear k_block=20", "residual"}};
    thread_pool *pool;
    assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
    for (size_t i = 0; kernel_case_isa(i); i++)
        for (int W = 4; W <= 64; W *= 2)
            for (size_t k = 0; k < N_OF(shapes); k++) {
                sparse_case c = shapes[k];
                ir_context *context = context_create();
                c.W = W;
                plan *p = compile_plan(&c, kernel_case_isa(i), context);
                for (size_t d = 0; d < N_OF(densities); d++) {
                    c.density = densities[d];
                    check_bits(&c, kernel_case_isa(i), p, pool);
                }
                plan_destroy(p);
                context_destroy(context);
            }
    thread_pool_destroy(pool);
}

/* ---- variants ---- */

static strbuf compile(const char *text, const char *isa, cg_emit_kind kind, strbuf *messages) {
    strbuf out = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(messages);
    ir_context *c = context_create();
    ir_module *m = NULL;
    cg_options options = {.cache_dir = NULL};
    if (target_of_row(isa, &sink, &options.target) == POFAC_OK &&
        text_parse_module(c, "test", text, strlen(text), NULL, &sink, &m) == POFAC_OK &&
        cg_emit(m, "g", &options, kind, &sink, &out) != POFAC_OK)
        strbuf_clear(&out);
    module_destroy(m);
    context_destroy(c);
    return out;
}

static void want_message(const char *variant, bool sparse, const char *wanted) {
    strbuf text = STRBUF_INIT, messages = STRBUF_INIT;
    strbuf_printf(&text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,30] tiles<32>\n"
                  "  %%2 = pattern {name = \"w\"} : pattern[20,30]\n"
                  "  %%3 = state {name = \"w\"} : %s\n"
                  "  %%4 = linear %%1, %%3%s {variant = \"%s\"} : f32[T,20] tiles<32>\n"
                  "  return \"y\" = %%4\n"
                  "}\n",
                  sparse ? "f32[nnz(%2)]" : "f32[20,30]", sparse ? ", _, %2" : "", variant);
    strbuf out = compile(strbuf_str(&text), "avx2", CG_EMIT_ASM, &messages);
    assert_string_equal(strbuf_str(&messages), wanted);
    strbuf_free(&out);
    strbuf_free(&text);
    strbuf_free(&messages);
}

#define AT "test:5:3: error: "
#define NOT_TAKEN(variant) AT "linear: the kernel of variant \"" variant "\" does not compute it with these types and parameters\n"

static void variants_that_are_wrong(void **unused) {
    (void)unused;
    want_message("", true, "");
    want_message("sparse_linear", true, "");
    want_message("  linear   panel=5 group=2 k_block=8 tile=32", false, "");
    want_message("sparse_linaer", true,
                 AT "variant \"sparse_linaer\": no kernel is called \"sparse_linaer\"; did you mean \"sparse_linear\"?\n");
    want_message("fft n=2", true, AT "variant \"fft n=2\": no kernel is called \"fft\"\n");
    want_message("linear pannel=2", false,
                 AT "variant \"linear pannel=2\": linear has no parameter \"pannel\", it has tile, panel, k_block, group\n");
    want_message("gather_rows x=2", false, AT "variant \"gather_rows x=2\": gather_rows has no parameter \"x\", it has none\n");
    want_message("linear panel", false, AT "variant \"linear panel\": found \"panel\", wanted NAME=VALUE\n");
    want_message("linear panel=0", false, AT "variant \"linear panel=0\": panel is \"0\", wanted a number from 1 to 16\n");
    want_message("linear panel=", false, AT "variant \"linear panel=\": panel is \"\", wanted a number from 1 to 16\n");
    want_message("linear panel=-3", false, AT "variant \"linear panel=-3\": panel is \"-3\", wanted a number from 1 to 16\n");
    want_message("linear panel=4294967297", false,
                 AT "variant \"linear panel=4294967297\": panel is \"4294967297\", wanted a number from 1 to 16\n");
    want_message("linear panel=3 panel=3", false, AT "variant \"linear panel=3 panel=3\": panel is given twice\n");
    want_message("sparse_linear layout=csr", true,
                 AT "variant \"sparse_linear layout=csr\": layout is \"csr\", wanted one of: stream blocks n_m\n");
    want_message("sparse_linear layout=s", true,
                 AT "variant \"sparse_linear layout=s\": layout is \"s\", wanted one of: stream blocks n_m\n");
    /* rows that exist, but not for this */
    want_message("linear", true, NOT_TAKEN("linear"));
    want_message("linear tile=16", false, NOT_TAKEN("linear tile=16"));
    want_message("gather_rows", false, NOT_TAKEN("gather_rows"));
    want_message("sparse_linear", false, NOT_TAKEN("sparse_linear"));
    want_message("sparse_linear tile=64", true, NOT_TAKEN("sparse_linear tile=64"));
    want_message("sparse_linear layout=blocks", true, NOT_TAKEN("sparse_linear layout=blocks"));
    want_message("sparse_linear block_rows=4", true, NOT_TAKEN("sparse_linear block_rows=4"));
    want_message("sparse_linear layout=blocks block_columns=4", true, NOT_TAKEN("sparse_linear layout=blocks block_columns=4"));
    want_message("sparse_linear layout=blocks block_rows=16", true, NOT_TAKEN("sparse_linear layout=blocks block_rows=16"));
    want_message("sparse_linear layout=n_m", true, NOT_TAKEN("sparse_linear layout=n_m"));
    want_message("sparse_linear layout=n_m keep=5 of=4", true, NOT_TAKEN("sparse_linear layout=n_m keep=5 of=4"));
    want_message("sparse_linear layout=n_m keep=2 of=17", true, NOT_TAKEN("sparse_linear layout=n_m keep=2 of=17"));
    want_message("sparse_linear keep=2 of=4", true, NOT_TAKEN("sparse_linear keep=2 of=4"));
    want_message("sparse_linear k_block=9000", true, NOT_TAKEN("sparse_linear k_block=9000"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_density),
        cmocka_unit_test(any_number_of_tokens),
        cmocka_unit_test(any_unrolling),
        cmocka_unit_test(epilogues),
        cmocka_unit_test(blocks),
        cmocka_unit_test(n_of_m),
        cmocka_unit_test(bits_of_one_token),
        cmocka_unit_test(variants_that_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
