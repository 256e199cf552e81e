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

#include <stdio.h>
#include <string.h>

#include "codegen/target.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "tests/unit/codegen/assembly_text.h"
#include "tests/unit/codegen/int8_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])

typedef struct product {
    double
        density; /* -1: one non-zero; -2: half, with row 0 empty and row 1 full; -3: four rows full, four with a fifth, and so on */
    int block;   /* columns of a block that are zero together; 0: 1 */
    int8_case in;
} product;

static bool has_entry(const product *p, rng_key key, int64_t row, int64_t column) {
    const int64_t K = p->in.K;
    if (p->density == -1) return row == p->in.N / 2 && column == K / 3;
    if (p->density == -2 && row < 2) return row == 1;
    if (p->density == -3 && row / 4 % 2 == 0) return true;
    if (p->block) column = column / p->block * p->block;
    const double density = p->density == -2 ? 0.5 : p->density == -3 ? 0.2 : p->density;
    return rng_uniform(key, (uint64_t)(row * K + column)) < density;
}

/* Zeros where the weight has none. */
static void thin_out(ir_tensor *w, const product *p) {
    const rng_key key = rng_key_make(9, "zeros");
    for (int64_t row = 0; row < p->in.N; row++)
        for (int64_t column = 0; column < p->in.K; column++) {
            const int64_t at = row * p->in.K + column;
            if (!has_entry(p, key, row, column)) tensor_set(w, at, 0);
            else if (tensor_get(w, at) == 0) tensor_set(w, at, 0.5);
        }
}

typedef enum numbers { ANY, ENDS_OF_RANGES } numbers;

static void run(const product *p, numbers of) {
    int8_case c = p->in;
    c.sparse = true;
    if (!c.tail) c.tail = "";
    kernel_fixture f = int8_case_begin(&c);
    thin_out(named_tensors_find(&f.state, "w"), p);
    if (of == ENDS_OF_RANGES) int8_case_go_to_ends(&f);
    int8_case_put_rest(&f.text, &c);
    assert_int_equal(int8_case_run(&f, "sparse_int8_linear", INT8_CASE_AND_PLAIN, int8_case_bound(&c)), c.T * c.N);
}

static void any_density(void **unused) {
    (void)unused;
    static const double densities[] = {0, -1, -2};
    for (size_t d = 0; d < N_OF(densities); d++) {
        const bool odd = d % 2;
        run(&(product){densities[d], .in = {37, odd ? 50 : 33, d % 3 ? 72 : 61, odd ? 32 : 64, .bias = odd, .tiles = odd}}, ANY);
    }
    run(&(product){1, .in = {37, 1, 1, 32, .tail = "", .tiles = true}}, ANY);
}

/* Numbers of vectors of a tile, behind whole tiles and alone. */
static void any_number_of_tokens(void **unused) {
    (void)unused;
    static const struct {
        int64_t tokens;
        int W;
        bool tiles;
    } cases[] = {{17, 64, false}, {9, 4, false}, {140, 128, false}, {97, 64, true}, {18, 16, true}};
    for (size_t i = 0; i < N_OF(cases); i++)
        run(&(product){0.2, .in = {cases[i].tokens, 21, 50, cases[i].W, .bias = true, .tiles = cases[i].tiles}}, ANY);
}

static void any_variant(void **unused) {
    (void)unused;
    static const char *const variants[] = {"sparse_int8_linear k_block=7 rows=5 unroll=1 tile=32",
                                           "sparse_int8_linear k_block=33 rows=27 unroll=2 shuffled=2 bytes=quads",
                                           "sparse_int8_linear k_block=100 rows=49 unroll=8 shuffled=4"};
    for (size_t i = 0; i < N_OF(variants); i++)
        run(&(product){0.3, .in = {45, 60, 100, 32, .requantize = i % 2, .variant = variants[i]}}, ANY);
}

static void ranges_and_elementwise_work(void **unused) {
    (void)unused;
    static const int8_case cases[] = {
        {40, 30, 60, 32, .bias = true, .requantize = true, .by_channel = true, .tail = "gelu", .bytes = "quads"},
        {19, 33, 60, 16, .bias = true, .by_row = true, .tail = "add", .bytes = "tiles"},
        {19, 33, 60, 16, .bias = true, .by_row = true, .by_channel = true, .tail = "tanh", .tiles = true},
        {40, 30, 60, 32, .requantize = true, .tail = "relu", .bytes = "quads", .tiles = true},
    };
    for (size_t i = 0; i < N_OF(cases); i++) run(&(product){0.2, .in = cases[i]}, ANY);
}

/* Several blocks of columns, blocks of four of them, and groups of rows. */
static void shapes_of_bert(void **unused) {
    (void)unused;
    run(&(product){0.1, .in = {40, 800, 768, 64, .bias = true, .requantize = true, .tail = "gelu", .bytes = "quads"}}, ANY);
    run(&(product){0.1, 4, .in = {40, 20, 3072, 32, .bias = true}}, ANY);
}

/* 255 * 127 and 255 * -128 wherever there is a weight, and next to each other, each kind of row at both densities, in several blocks of columns and groups of
 * rows. */
static void products_that_would_saturate(void **unused) {
    (void)unused;
    for (int tiles = 0; tiles < 2; tiles++) run(&(product){-3, .in = {33, 800, 1600, 32, .tiles = tiles}}, ENDS_OF_RANGES);
}

/* ---- what the code looks like ---- */

/* Assembly for the row of targets.def, with `feature` and its extensions. */
static strbuf emit(const int8_case *p, const char *isa, const char *feature, unsigned extensions, strbuf *messages) {
    strbuf out = STRBUF_INIT, text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(messages);
    ir_context *c = context_create();
    ir_module *m = NULL;
    char features[400];
    cg_options options = {.cache_dir = NULL};
    int8_case_put_product(&text, p);
    int8_case_put_rest(&text, p);
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
        const char *isa = cases[i].isa;
        const int W = isa[3] == '5' ? 64 : 32;
        const int8_case p = {1, 768, 768, W, .bias = true, .tail = "", .sparse = true, .tiles = cases[i].tiles};
        strbuf assembly = emit(&p, isa, cases[i].feature, cases[i].extensions, &messages);
        if (messages.size) fail_msg("%s: %s", isa, strbuf_str(&messages));
        const assembly_span loop = assembly_inner_loop(&assembly, cases[i].product);
        assembly_want_count(isa, loop, cases[i].product, cases[i].products);
        assembly_want_count(isa, loop, cases[i].broadcast, cases[i].broadcasts);
        assembly_want_count(isa, loop, "(%rsp", 0);
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
        const int8_case p = {1, 20, 20, 32, .tail = "", .variant = variants[i], .sparse = true};
        strbuf assembly = emit(&p, "avx2", "", 0, &messages);
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
