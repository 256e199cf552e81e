/*
 * Kernels of 8 bits against the interpreter: bit by bit but behind functions of real numbers, on every instruction set of the machine, with
 * and without its instructions for products of bytes. pitfall 9: the numbers that saturate 16 bits, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/text.h"
#include "tests/unit/codegen/assembly_text.h"
#include "tests/unit/codegen/int8_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* x f32[T,K] as %1, its range as %2. */
static kernel_fixture begin(int64_t T, int64_t K) {
    kernel_fixture f = kernel_fixture_begin();
    kernel_case_reals(&f.inputs, "x", 2, DIMS(T, K));
    int8_case_range(&f.state, "x.range", -0.875, 0.95);
    strbuf_printf(&f.text,
                  "graph @g (B <= 8, T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%lld]\n"
                  "  %%2 = state {name = \"x.range\"} : f32[2]\n",
                  (long long)K);
    return f;
}

/* ---- quantize, row_range ---- */

static void check_quantize(int64_t T, int64_t K, const char *from, const char *to, bool by_row) {
    kernel_fixture f = begin(T, K);
    ir_tensor *x = named_tensors_find(&f.inputs, "x");
    const double odd[] = {NAN, INFINITY, -INFINITY, -0.0, 2, -2, 0.95, -0.875};
    for (int64_t i = 0; i < T * K && i < 160; i += 20) tensor_set(x, i, odd[i / 20]);
    strbuf_printf(&f.text, "  %%3 = %s %%1 : f32[T,%lld] %s\n", from[0] ? "relayout" : "reshape", (long long)K, from);
    strbuf_printf(&f.text, "  %%4 = row_range %%3 : f32[T,2] %s\n", from);
    strbuf_printf(&f.text, "  %%5 = quantize %%3, %%%d : u8[T,%lld] %s\n", by_row ? 4 : 2, (long long)K, to);
    strbuf_printf(&f.text, to[0] ? "  %%6 = relayout %%5 : u8[T,%lld]\n" : "  %%6 = reshape %%5 : u8[T,%lld]\n", (long long)K);
    if (from[0]) strbuf_printf(&f.text, "  %%7 = relayout %%4 : f32[T,2]\n  return \"y\" = %%6, \"r\" = %%7\n}\n");
    else strbuf_printf(&f.text, "  return \"y\" = %%6, \"r\" = %%4\n}\n");
    assert_int_equal(int8_case_run(&f, "quantize", INT8_CASE_NATIVE, 0), T * (K + 2));
}

static void activations_in_8_bits(void **unused) {
    (void)unused;
    static const int64_t sizes[][2] = {{1, 1}, {33, 31}, {70, 20}};
    static const char *const layouts[][2] = {
        {"tiles<16>", "quads<16>"}, {"tiles<32>", "tiles<32>"}, {"", "quads<32>"}, {"", "tiles<16>"}, {"", ""},
        {"tiles<4>", "quads<4>"}};
    for (size_t l = 0; l < N_OF(layouts); l++)
        for (size_t i = 0; i < 2; i++) {
            const int64_t *size = sizes[(i + l) % N_OF(sizes)];
            check_quantize(size[0], size[1], layouts[l][0], layouts[l][1], (i + l / 2) % 2);
        }
}

/* ---- products ---- */

#define BY_VECTORS "int8_linear by=vectors"
#define BY_TILES "int8_linear by=tiles" /* of processors, which are memory where there are none */

/* A token and a row of the weight that are 0, by ranges of their own with the least scales that there are. */
static void add_zeros(kernel_fixture *f, const int8_case *p) {
    for (int64_t k = 0; k < p->K; k++) {
        tensor_set(named_tensors_find(&f->inputs, "x"), k, 0);
        tensor_set(named_tensors_find(&f->state, "w"), k, 0);
    }
    for (int64_t i = 0; i < 2 && p->by_channel; i++) tensor_set(named_tensors_find(&f->state, "w.range"), i, 0);
}

static void check_product(const int8_case *p) {
    kernel_fixture f = int8_case_begin(p);
    if (p->T > 1) add_zeros(&f, p);
    int8_case_put_rest(&f.text, p);
    const int8_case_machines on = !p->tail[0] && !p->bytes && p->T > 100 ? INT8_CASE_AND_PLAIN : INT8_CASE_NATIVE;
    assert_int_equal(int8_case_run(&f, "int8_linear", on, int8_case_bound(p)), p->T * p->N);
}

static void products_of_odd_sizes(void **unused) {
    (void)unused;
    static const int64_t sizes[][3] = {{1, 1, 1}, {33, 25, 31}, {200, 97, 65}};
    for (size_t i = 0; i < N_OF(sizes); i++)
        for (size_t f = 0; f < 2; f++) {
            const size_t form = (i + f) % 3, kind = i + 5 * form;
            check_product(&(int8_case){.T = sizes[i][0],
                                       .N = sizes[i][1],
                                       .K = sizes[i][2],
                                       .W = i % 2 ? 32 : 16,
                                       .bias = kind % 4 != 0,
                                       .requantize = form == 1,
                                       .by_row = form == 2,
                                       .by_channel = kind % 3 == 0,
                                       .tail = "",
                                       .bytes = kind % 5 == 0   ? "quads"
                                                : kind % 5 == 1 ? "tiles"
                                                                : NULL,
                                       .variant = BY_VECTORS});
        }
}

static void products_of_bert_sizes(void **unused) {
    (void)unused;
    check_product(&(int8_case){130, 768, 64, 64, true, true, false, false, "", NULL, .variant = BY_VECTORS});
    check_product(&(int8_case){40, 100, 768, 32, true, false, false, false, "", NULL, .variant = BY_VECTORS});
    check_product(&(int8_case){17, 96, 3072, 32, true, true, false, true, "", "quads", .variant = BY_VECTORS});
}

/* Tiles of which few vectors hold tokens, alone and behind whole tiles. */
static void products_of_few_tokens(void **unused) {
    (void)unused;
    static const int64_t tokens[] = {17, 65};
    for (size_t i = 0; i < N_OF(tokens); i++)
        check_product(
            &(int8_case){tokens[i], 50, 40, 64, true, i % 2, false, false, "", i % 3 ? "quads" : NULL, .variant = BY_VECTORS});
}

static void products_with_elementwise_work(void **unused) {
    (void)unused;
    static const char *const tails[] = {"gelu", "relu", "tanh", "add"};
    for (size_t i = 0; i < N_OF(tails); i++) {
        check_product(
            &(int8_case){40, 30, 24, 32, true, true, false, true, tails[i], i % 2 ? NULL : "quads", .variant = BY_VECTORS});
        check_product(
            &(int8_case){19, 33, 24, 16, true, false, i % 2, false, tails[i], i % 2 ? "tiles" : NULL, .variant = BY_VECTORS});
    }
}

/* By tiles of 16 x 64 bytes, with tokens and rows that do not fill them. */
static void products_by_tiles(void **unused) {
    (void)unused;
    check_product(&(int8_case){130, 100, 128, 32, true, true, false, true, "relu", "quads", .variant = BY_TILES});
    check_product(&(int8_case){17, 32, 64, 64, true, false, true, false, "", NULL, .variant = BY_TILES});
    check_product(&(int8_case){49, 5, 192, 16, false, true, false, false, "gelu", "quads", .variant = BY_TILES});
}

/* A result in the middle that is needed outside: f32 of what becomes 8 bits. */
static void numbers_and_bytes_of_one_result(void **unused) {
    (void)unused;
    const int8_case p = {45, 21, 17, 32, true, false, false, false, "relu", "quads", .variant = BY_VECTORS};
    kernel_fixture f = int8_case_begin(&p);
    strbuf_puts(&f.text, "  %15 = relu %14 {group = 1} : f32[T,21] tiles<32>\n"
                         "  %16 = quantize %15, %11 {group = 1} : u8[T,21] quads<32>\n"
                         "  %17 = relayout %16 : u8[T,21]\n"
                         "  %18 = relayout %15 : f32[T,21]\n"
                         "  %19 = relayout %14 : f32[T,21]\n"
                         "  return \"y\" = %17, \"z\" = %18, \"u\" = %19\n}\n");
    assert_int_equal(int8_case_run(&f, "int8_linear", INT8_CASE_NATIVE, 0), 3 * 45 * 21);
}

/* 255 * 127 and 255 * -128 everywhere, and next to each other. */
static void products_that_would_saturate(void **unused) {
    (void)unused;
    static const char *const variants[] = {BY_VECTORS, BY_TILES};
    for (size_t i = 0; i < N_OF(variants); i++) {
        const int8_case p = {35, 24, 768, 32, .tail = "", .variant = variants[i]};
        kernel_fixture f = int8_case_begin(&p);
        int8_case_go_to_ends(&f);
        int8_case_put_rest(&f.text, &p);
        assert_int_equal(int8_case_run(&f, "int8_linear", INT8_CASE_AND_PLAIN, 0), 35 * 24);
    }
}

/* Results of which many are another number than by multiplication with 1/6 itself: the factor is 21845 / 2^17. */
static void factors_are_rounded(void **unused) {
    (void)unused;
    const int8_case p = {256, 3, 1, 32, .requantize = true, .tail = "", .variant = BY_VECTORS};
    kernel_fixture f = int8_case_begin(&p);
    static const struct {
        const char *range;
        double min, max;
    } ranges[] = {{"x.range", 0, 255}, {"w.range", -127.5, 0}, {"out.range", -765, 765}};
    for (size_t i = 0; i < N_OF(ranges); i++) {
        ir_tensor *r = named_tensors_find(&f.state, ranges[i].range);
        tensor_set(r, 0, ranges[i].min);
        tensor_set(r, 1, ranges[i].max);
    }
    ir_tensor *x = named_tensors_find(&f.inputs, "x"), *w = named_tensors_find(&f.state, "w");
    for (int64_t i = 0; i < 256; i++) tensor_set(x, i, (double)i);
    for (int64_t i = 0; i < 3; i++) tensor_set(w, i, (double)(i == 0 ? 1 : -i));
    int8_case_put_rest(&f.text, &p);
    assert_int_equal(int8_case_run(&f, "int8_linear", INT8_CASE_AND_PLAIN, 0), 256 * 3);
}

/* ---- attention ---- */

/* Queries and keys that are requantized: scores in integers where processors have products of bytes. Sequences begin anywhere in tiles, one is empty. */
static void check_attention(const int64_t *lengths, size_t n, int64_t H, int64_t D, int W, bool keeps) {
    int64_t T = 0;
    const int64_t E = H * D;
    for (size_t b = 0; b < n; b++) T += lengths[b];
    kernel_fixture f = begin(T, E);
    ir_tensor *offsets = named_tensors_add(&f.inputs, "offsets", IR_I32, 1, DIMS((int64_t)n + 1));
    for (size_t b = 0; b < n; b++) tensor_set_int(offsets, (int64_t)b + 1, tensor_get_int(offsets, (int64_t)b) + lengths[b]);
    kernel_case_integers(&f.inputs, "keep", IR_I64, 1, &T, 2);
    static const char *const names[] = {"q", "k", "v"};
    const int e = (int)E;
    strbuf_printf(&f.text, "  %%3 = input {name = \"offsets\"} : i32[B+1]\n  %%4 = input {name = \"keep\"} : i64[T]\n");
    strbuf_printf(&f.text, "  %%5 = relayout %%1 : f32[T,%d] tiles<%d>\n  %%6 = quantize %%5, %%2 : u8[T,%d] quads<%d>\n", e, W, e,
                  W);
    for (int i = 0; i < 3; i++) {
        const int at = 7 + 4 * i;
        char name[32];
        kernel_case_reals(&f.state, names[i], 2, DIMS(E, E));
        snprintf(name, sizeof name, "%s.range", names[i]);
        int8_case_range(&f.state, name, -1 - i, 2);
        snprintf(name, sizeof name, "%s.out", names[i]);
        int8_case_range(&f.state, name, i ? -2 : -4, 3);
        strbuf_printf(&f.text, "  %%%d = state {name = \"%s\"} : f32[%d,%d]\n  %%%d = state {name = \"%s.range\"} : f32[2]\n", at,
                      names[i], e, e, at + 1, names[i]);
        strbuf_printf(&f.text, "  %%%d = state {name = \"%s.out\"} : f32[2]\n", at + 2, names[i]);
        strbuf_printf(&f.text, "  %%%d = linear_int8 %%6, %%2, %%%d, %%%d, _, %%%d : f32[T,%d] tiles<%d>\n", at + 3, at, at + 1,
                      at + 2, e, W);
    }
    strbuf_printf(
        &f.text,
        "  %%19:2 = attention %%10, %%14, %%18, %%3, %s {heads = %d, scale = 0.4} : f32[T,%d] tiles<%d>, f32[T,%d] tiles<%d>\n",
        keeps ? "%4" : "_", (int)H, e, W, (int)H, W);
    strbuf_printf(
        &f.text,
        "  %%20 = relayout %%19 : f32[T,%d]\n  %%21 = relayout %%19#1 : f32[T,%d]\n  return \"y\" = %%20, \"lse\" = %%21\n}\n", e,
        (int)H);
    assert_int_equal(int8_case_run(&f, "attention", INT8_CASE_NATIVE, 2e-5), T * (E + H));
}

static void attention_of_requantized_queries_and_keys(void **unused) {
    (void)unused;
    check_attention((const int64_t[]){1}, 1, 1, 4, 16, false);
    check_attention((const int64_t[]){7, 0, 33, 20}, 4, 3, 8, 32, true);
    check_attention((const int64_t[]){61, 30}, 2, 2, 32, 64, true);
}

/* ---- code ---- */

/* The assembly of a product with GELU, in quads again, for a machine elsewhere. */
static strbuf assembly_for(const char *machine, bool requantize) {
    static const char text[] = "graph @g (T <= 4096) {\n"
                               "  %%1 = input {name = \"x\"} : f32[T,768]\n"
                               "  %%2 = state {name = \"range\"} : f32[2]\n"
                               "  %%3 = state {name = \"w\"} : f32[768,768]\n"
                               "  %%4 = state {name = \"b\"} : f32[768]\n"
                               "  %%5 = relayout %%1 : f32[T,768] tiles<32>\n"
                               "  %%6 = quantize %%5, %%2 : u8[T,768] quads<32>\n"
                               "  %%7 = linear_int8 %%6, %%2, %%3, %%2, %%4, %s {group = 1} : f32[T,768] tiles<32>\n"
                               "  %%8 = gelu %%7 {group = 1} : f32[T,768] tiles<32>\n"
                               "  %%9 = quantize %%8, %%2 {group = 1} : u8[T,768] quads<32>\n"
                               "  return \"y\" = %%9\n}\n";
    strbuf graph = STRBUF_INIT, messages = STRBUF_INIT, assembly = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&messages);
    arena memory = ARENA_INIT;
    cg_options options = {.isolated = true};
    ir_module *m = NULL;
    ir_context *c = context_create();
    strbuf_printf(&graph, text, requantize ? "%2" : "_");
    if (text_parse_module(c, "test", graph.data, graph.size, NULL, &sink, &m) != POFAC_OK ||
        cg_target_elsewhere(machine, &memory, &sink, &options.target) != POFAC_OK ||
        cg_emit(m, "g", &options, CG_EMIT_ASM, &sink, &assembly) != POFAC_OK)
        fail_msg("%s: %s", machine, strbuf_str(&messages));
    module_destroy(m);
    context_destroy(c);
    arena_free(&memory);
    strbuf_free(&graph);
    strbuf_free(&messages);
    return assembly;
}

static size_t count(const strbuf *assembly, const char *word) { return assembly_count(assembly_whole(assembly), word); }

/* The instructions that processors have for it, as many as the block has sums, with nothing on the stack; with tiles, those alone. */
static void code_uses_what_processors_have(void **unused) {
    (void)unused;
    strbuf vectors = assembly_for("x86_64-linux-gnu:sapphirerapids,-amx-int8", true);
    assert_in_range(count(&vectors, "\tvpdpbusd\t"), 3 * 2 * 12, 4 * 2 * 12); /* two quads with two vectors, one with one */
    assert_int_equal(assembly_count_lines(assembly_whole(&vectors), "\tvpdpbusd\t", "(%rsp"), 0);
    assert_int_equal(count(&vectors, "\tvpermi2b\t") + count(&vectors, "\tvpermt2b\t"), 2);
    assert_int_equal(count(&vectors, "\ttdpbsud\t"), 0);
    strbuf_free(&vectors);
    strbuf tiles = assembly_for("x86_64-linux-gnu:sapphirerapids", false);
    assert_int_equal(count(&tiles, "\tvpdpbusd\t"), 0);
    assert_int_equal(count(&tiles, "\ttdpbsud\t"), 4 + 2);
    assert_int_equal(count(&tiles, "\ttileloadd\t"), 4 + 3);
    assert_int_equal(count(&tiles, "\ttilezero\t"), 4 + 2);
    assert_int_equal(count(&tiles, "\ttilestored\t"), 4 + 2);
    assert_int_equal(count(&tiles, "\tldtilecfg\t"), 1);
    assert_int_equal(count(&tiles, "\ttilerelease\n"), 1);
    assert_int_equal(count(&tiles, "\tvpermi2b\t") + count(&tiles, "\tvpermt2b\t"), 0); /* nothing is requantized */
    strbuf_free(&tiles);
    strbuf avx = assembly_for("x86_64-linux-gnu:alderlake", true);
    assert_in_range(count(&avx, "{vex}\tvpdpbusd\t"), 3 * 2 * 4, 4 * 2 * 4);
    strbuf_free(&avx);
    strbuf arm = assembly_for("aarch64-linux-gnu:neoverse-v1", true);
    assert_true(count(&arm, "\tusdot\t") > 0);
    strbuf_free(&arm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_in_8_bits),
        cmocka_unit_test(products_of_odd_sizes),
        cmocka_unit_test(products_of_bert_sizes),
        cmocka_unit_test(products_of_few_tokens),
        cmocka_unit_test(products_with_elementwise_work),
        cmocka_unit_test(numbers_and_bytes_of_one_result),
        cmocka_unit_test(products_that_would_saturate),
        cmocka_unit_test(factors_are_rounded),
        cmocka_unit_test(attention_of_requantized_queries_and_keys),
        cmocka_unit_test(products_by_tiles),
        cmocka_unit_test(code_uses_what_processors_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
