/*
 * The sparse product in 8 bits against the interpreter, bit by bit but behind functions of real numbers, on every instruction set of the machine with and
 * without its instructions for products of bytes: activations in quads and in tiles of bytes, generated shapes, densities from nothing to everything, blocks of
 * columns and groups of rows that do not divide the matrix, any number of tokens, epilogues; numbers that would saturate 16 bits (pitfall 9); code without
 * spills that uses the instructions there are; variants that say what is wrong.
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
#include "tests/unit/codegen/kernel_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

typedef struct product {
    int64_t T, N, K;
    int W;
    double density; /* -1: one non-zero; -2: half, with row 0 empty and row 1 full */
    int block;      /* columns of a block that are zero together; 0: 1 */
    bool bias, requantize, by_row, by_channel;
    const char *tail;    /* elementwise op behind it: "", "gelu", "relu", "add" */
    const char *bytes;   /* and its layout in 8 bits, or NULL */
    const char *variant; /* or NULL */
    bool tiles;          /* x lies in tiles of bytes, else in quads */
} product;

static bool has_entry(const product *p, rng_key key, int64_t row, int64_t column) {
    if (p->density == -1) return row == p->N / 2 && column == p->K / 3;
    if (p->density == -2 && row < 2) return row == 1;
    if (p->block) column = column / p->block * p->block;
    return rng_uniform(key, (uint64_t)(row * p->K + column)) < (p->density == -2 ? 0.5 : p->density);
}

static void make_weight(named_tensors *state, const product *p) {
    ir_tensor *w = kernel_case_reals(state, "w", 2, DIMS(p->N, p->K));
    const rng_key key = rng_key_make(9, "zeros");
    for (int64_t row = 0; row < p->N; row++)
        for (int64_t column = 0; column < p->K; column++) {
            const int64_t at = row * p->K + column;
            if (!has_entry(p, key, row, column)) tensor_set(w, at, 0);
            else if (tensor_get(w, at) == 0) tensor_set(w, at, 0.5);
        }
}

static void add_range(named_tensors *to, const char *name, double min, double max) {
    named_tensors_add_doubles(to, name, IR_F32, 1, DIMS(2), (const double[]){min, max});
}

static void add_ranges(named_tensors *state, const product *p) {
    add_range(state, "x.range", -0.875, 0.95);
    add_range(state, "out.range", -3, 5);
    add_range(state, "next.range", -0.5, 4);
    if (!p->by_channel) {
        add_range(state, "w.range", -1, 0.5);
        return;
    }
    ir_tensor *ranges = kernel_case_reals(state, "w.range", 2, DIMS(p->N, 2));
    for (int64_t i = 0; i < 2 * p->N; i++) tensor_set(ranges, i, (i % 2 ? 1 : -1) * fabs(tensor_get(ranges, i)));
}

/* The graph up to the product, %15, which begins group 1 where something follows. */
static void put_product(strbuf *text, const product *p) {
    const int N = (int)p->N, K = (int)p->K, W = p->W;
    const bool grouped = p->tail[0] || p->bytes;
    strbuf_printf(text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%d]\n"
                  "  %%2 = state {name = \"x.range\"} : f32[2]\n"
                  "  %%3 = relayout %%1 : f32[T,%d] tiles<%d>\n"
                  "  %%4 = row_range %%3 : f32[T,2] tiles<%d>\n"
                  "  %%5 = quantize %%3, %%%d : u8[T,%d] %s<%d>\n"
                  "  %%6 = pattern {name = \"w\"} : pattern[%d,%d]\n"
                  "  %%7 = state {name = \"w\"} : f32[nnz(%%6)]\n",
                  K, K, W, W, p->by_row ? 4 : 2, K, p->tiles ? "tiles" : "quads", W, N, K);
    strbuf_printf(
        text, p->by_channel ? "  %%8 = state {name = \"w.range\"} : f32[%d,2]\n" : "  %%8 = state {name = \"w.range\"} : f32[2]\n",
        N);
    strbuf_printf(text,
                  "  %%9 = state {name = \"b\"} : f32[%d]\n"
                  "  %%10 = state {name = \"out.range\"} : f32[2]\n"
                  "  %%11 = state {name = \"next.range\"} : f32[2]\n"
                  "  %%12 = input {name = \"r\"} : f32[T,%d]\n"
                  "  %%13 = relayout %%12 : f32[T,%d] tiles<%d>\n"
                  "  %%15 = linear_int8 %%5, %%%d, %%7, %%8, %s, %s, %%6",
                  N, N, N, W, p->by_row ? 4 : 2, p->bias ? "%9" : "_", p->requantize ? "%10" : "_");
    if (p->variant) strbuf_printf(text, " {variant = \"%s\"%s}", p->variant, grouped ? ", group = 1" : "");
    else if (grouped) strbuf_puts(text, " {group = 1}");
    strbuf_printf(text, " : f32[T,%d] tiles<%d>\n", N, W);
}

static void put_graph(strbuf *text, const product *p) {
    const int N = (int)p->N, W = p->W;
    int last = 15;
    put_product(text, p);
    if (p->tail[0])
        strbuf_printf(text, "  %%%d = %s %%15%s {group = 1} : f32[T,%d] tiles<%d>\n", ++last, p->tail,
                      strcmp(p->tail, "add") == 0 ? ", %13" : "", N, W);
    if (p->bytes) {
        strbuf_printf(text, "  %%%d = quantize %%%d, %%11 {group = 1} : u8[T,%d] %s<%d>\n", last + 1, last, N, p->bytes, W);
        last++;
    }
    strbuf_printf(text, "  %%%d = relayout %%%d : %s[T,%d]\n  return \"y\" = %%%d\n}\n", last + 1, last, p->bytes ? "u8" : "f32", N,
                  last + 1);
}

/* Bytes may differ by one where a function of real numbers stands before them. */
static double bound(const product *p) {
    const bool exact = strcmp(p->tail, "gelu") != 0 && strcmp(p->tail, "tanh") != 0;
    return exact ? 0 : p->bytes ? 1 : 2e-5;
}

/* plain: also without the machine's extensions. ones: x and weight are the ends of their ranges alone: 255, and 127 or -128 by column as `ones` says. */
static void run(const product *p, bool plain, int (*ones)(int64_t row, int64_t column)) {
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    strbuf text = STRBUF_INIT;
    ir_tensor *x = kernel_case_reals(&inputs, "x", 2, DIMS(p->T, p->K));
    kernel_case_reals(&inputs, "r", 2, DIMS(p->T, p->N));
    kernel_case_reals(&state, "b", 1, DIMS(p->N));
    make_weight(&state, p);
    add_ranges(&state, p);
    for (int64_t i = 0; ones && i < p->T * p->K; i++) tensor_set(x, i, 2);
    ir_tensor *w = named_tensors_find(&state, "w");
    for (int64_t i = 0; ones && i < p->N * p->K; i++)
        if (tensor_get(w, i) != 0) tensor_set(w, i, 3 * ones(i / p->K, i % p->K));
    put_graph(&text, p);
    const int64_t compared = kernel_case_run(&(kernel_case){.text = strbuf_str(&text),
                                                            .kernel = "sparse_int8_linear",
                                                            .evaluators = true,
                                                            .inputs = &inputs,
                                                            .state = &state,
                                                            .plain = plain,
                                                            .absolute = bound(p)});
    assert_int_equal(compared, p->T * p->N);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
    strbuf_free(&text);
}

static void any_density(void **unused) {
    (void)unused;
    static const double densities[] = {0, 0.1, 1, -1, -2};
    for (size_t d = 0; d < N_OF(densities); d++)
        run(&(product){37, d % 2 ? 50 : 33, d % 3 ? 72 : 61, d % 2 ? 32 : 64, densities[d], .bias = d % 2, .tail = "",
                       .tiles = d % 2},
            false, NULL);
    run(&(product){37, 1, 1, 32, 1, .tail = ""}, false, NULL);
}

/* Numbers of vectors of a tile, behind whole tiles and alone. */
static void any_number_of_tokens(void **unused) {
    (void)unused;
    static const struct {
        int64_t tokens;
        int W;
        bool tiles;
    } cases[] = {{17, 64, false}, {48, 64, false}, {9, 4, false}, {140, 128, false}, {1, 64, true}, {97, 64, true}, {18, 16, true}};
    for (size_t i = 0; i < N_OF(cases); i++)
        run(&(product){cases[i].tokens, 21, 50, cases[i].W, 0.2, .bias = true, .tail = "", .tiles = cases[i].tiles}, false, NULL);
}

static void any_variant(void **unused) {
    (void)unused;
    static const char *const variants[] = {"sparse_int8_linear k_block=7 rows=5 unroll=1 tile=32",
                                           "sparse_int8_linear k_block=33 rows=27 unroll=2 shuffled=2 bytes=quads",
                                           "sparse_int8_linear k_block=64 rows=38 unroll=4 shuffled=3",
                                           "sparse_int8_linear k_block=100 rows=49 unroll=8 shuffled=4"};
    for (size_t i = 0; i < N_OF(variants); i++)
        run(&(product){45, 60, 100, 32, 0.3, .requantize = i % 2, .tail = "", .variant = variants[i]}, false, NULL);
}

static void ranges_and_elementwise_work(void **unused) {
    (void)unused;
    static const product products[] = {
        {40, 30, 60, 32, 0.2, .bias = true, .requantize = true, .by_channel = true, .tail = "gelu", .bytes = "quads"},
        {19, 33, 60, 16, 0.2, .bias = true, .by_row = true, .tail = "add", .bytes = "tiles"},
        {19, 33, 60, 16, 0.2, .bias = true, .by_row = true, .by_channel = true, .tail = "tanh", .tiles = true},
        {40, 30, 60, 32, 0.2, .requantize = true, .tail = "relu", .bytes = "quads", .tiles = true},
    };
    for (size_t i = 0; i < N_OF(products); i++) run(&products[i], i % 2, NULL);
}

/* Several blocks of columns and groups of rows; blocks of four columns. */
static void shapes_of_bert(void **unused) {
    (void)unused;
    run(&(product){70, 40, 768, 64, 0.1, .bias = true, .requantize = true, .tail = "gelu", .bytes = "quads"}, false, NULL);
    run(&(product){40, 20, 3072, 32, 0.1, 4, .bias = true, .tail = ""}, false, NULL);
    run(&(product){40, 20, 1600, 32, 0.1, .by_row = true, .tail = "", .tiles = true}, false, NULL);
    run(&(product){40, 800, 64, 64, 0.1, .bias = true, .tail = "add"}, false, NULL);
}

/* ---- 16 bits ---- */

static int greatest(int64_t row, int64_t column) {
    (void)row, (void)column;
    return 1;
}

static int least(int64_t row, int64_t column) {
    (void)row, (void)column;
    return -1;
}

static int by_twos(int64_t row, int64_t column) { return (row + column / 2) % 2 ? 1 : -1; }

static int in_turns(int64_t row, int64_t column) { return (row + column) % 2 ? 1 : -1; }

/* 255 * 127 and 255 * -128 wherever there is a weight, and next to each other. */
static void products_that_would_saturate(void **unused) {
    (void)unused;
    static int (*const signs[])(int64_t, int64_t) = {greatest, least, by_twos, in_turns};
    for (size_t s = 0; s < N_OF(signs); s++)
        for (int tiles = 0; tiles < 2; tiles++)
            run(&(product){33, 12, 256, 32, s % 2 ? 1 : 0.2, .tail = "", .tiles = tiles}, true, signs[s]);
}

/* ---- what the code looks like ---- */

/* Assembly for the row of targets.def, with `feature` and its extensions. */
static strbuf emit(const product *p, const char *isa, const char *feature, unsigned extensions, strbuf *messages) {
    strbuf out = STRBUF_INIT, text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(messages);
    ir_context *c = context_create();
    ir_module *m = NULL;
    char features[400];
    cg_options options = {.cache_dir = NULL};
    put_graph(&text, p);
    assert_int_equal(target_of_row(isa, &sink, &options.target), POFAC_OK);
    snprintf(features, sizeof features, "%s%s", options.target.features, feature);
    options.target.features = features;
    options.target.extensions = extensions;
    pofac_status status = text_parse_module(c, "test", text.data, text.size, NULL, &sink, &m);
    if (status == POFAC_OK) status = cg_emit(m, "g", &options, CG_EMIT_ASM, &sink, &out);
    assert_int_equal(status == POFAC_OK, messages->size == 0);
    module_destroy(m);
    context_destroy(c);
    strbuf_free(&text);
    return out;
}

/* How often the word stands between both places. */
static size_t count(const char *from, const char *to, const char *word) {
    size_t n = 0;
    for (const char *at = strstr(from, word); at && at < to; at = strstr(at + 1, word)) n++;
    return n;
}

/* From a label to the jump back to it: of those loops without labels in them the one with the most such words. */
static const char *inner_loop(const char *assembly, const char *word, const char **end) {
    const char *best = NULL;
    size_t most = 0;
    for (const char *label = strstr(assembly, "\n.LBB"); label; label = strstr(label + 1, "\n.LBB")) {
        const char *next = strstr(label + 1, "\n.LBB");
        if (!next) next = label + strlen(label);
        const size_t n = count(label, next, word);
        if (n <= most) continue;
        most = n;
        best = label;
        *end = next;
    }
    if (!best) fail_msg("no %s in\n%s", word, assembly);
    return best;
}

static void want_count(const char *isa, const char *from, const char *to, const char *word, size_t wanted) {
    const size_t n = count(from, to, word);
    if (n != wanted) fail_msg("%s: %zu times \"%s\", wanted %zu, in\n%.*s", isa, n, word, wanted, (int)(to - from), from);
}

/* A round of entries: so many products, each weight broadcast once from memory, sums in registers. */
static void rounds_of_entries(void **unused) {
    (void)unused;
    static const struct {
        const char *isa, *feature;
        unsigned extensions;
        bool tiles;
        const char *product, *broadcast;
        size_t products, broadcasts;
    } cases[] = {
        {"avx512", ",+avx512vnni", CG_DOT_U8S8, false, "\tvpdpbusd\t", "\tvpbroadcastd\t", 4 * 4, 4},
        {"avx2", ",+avxvnni", CG_DOT_U8S8, false, "\tvpdpbusd\t", "\tvpbroadcastd\t", 4 * 4, 4},
        {"avx512", "", 0, false, "\tvpmaddubsw\t", "\tvpbroadcastd\t", 4 * 4, 4},
        {"avx2", "", 0, false, "\tvpmaddubsw\t", "\tvpbroadcastd\t", 4 * 4, 4},
        {"avx512", ",+avx512vnni", CG_DOT_U8S8, true, "\tvpdpbusd\t", "\tvpbroadcastd\t", 2 * 4, 2},
        {"avx2", "", 0, true, "\tvpmaddubsw\t", "\tvpbroadcastd\t", 2 * 4, 2 * 2},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        strbuf messages = STRBUF_INIT;
        const char *isa = cases[i].isa, *end = NULL;
        const product p = {1, 768, 768, cases[i].isa[3] == '5' ? 64 : 32, 0.1, .bias = true, .tail = "", .tiles = cases[i].tiles};
        strbuf assembly = emit(&p, isa, cases[i].feature, cases[i].extensions, &messages);
        if (messages.size) fail_msg("%s: %s", isa, strbuf_str(&messages));
        const char *loop = inner_loop(strbuf_str(&assembly), cases[i].product, &end);
        want_count(isa, loop, end, cases[i].product, cases[i].products);
        want_count(isa, loop, end, cases[i].broadcast, cases[i].broadcasts);
        want_count(isa, loop, end, "(%rsp", 0);
        strbuf_free(&assembly);
        strbuf_free(&messages);
    }
}

static void variants_that_cannot_be(void **unused) {
    (void)unused;
    static const char *const variants[] = {"sparse_int8_linear unroll=3", "sparse_int8_linear tile=64",
                                           "sparse_int8_linear bytes=tiles"};
    for (size_t i = 0; i < N_OF(variants); i++) {
        strbuf messages = STRBUF_INIT;
        char wanted[200];
        strbuf assembly = emit(&(product){1, 20, 20, 32, 0.1, .tail = "", .variant = variants[i]}, "avx2", "", 0, &messages);
        snprintf(wanted, sizeof wanted,
                 "linear_int8: the kernel of variant \"%s\" does not compute it with these types and parameters", variants[i]);
        if (!strstr(strbuf_str(&messages), wanted)) fail_msg("%s: \"%s\"", variants[i], strbuf_str(&messages));
        strbuf_free(&assembly);
        strbuf_free(&messages);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_density),       cmocka_unit_test(any_number_of_tokens),
        cmocka_unit_test(any_variant),       cmocka_unit_test(ranges_and_elementwise_work),
        cmocka_unit_test(shapes_of_bert),    cmocka_unit_test(products_that_would_saturate),
        cmocka_unit_test(rounds_of_entries), cmocka_unit_test(variants_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
