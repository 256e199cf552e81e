/*
 * Kernels of quantization-aware training against the interpreter, to the last bit: what is observed, values as 8 bits hold them and their gradients, in tiles
 * and rows, of non-zeros, alone and fused behind products; on every instruction set of the machine, the same bits from 1 and 3 threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/support/rng.h"
#include "tests/unit/codegen/kernel_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* Where a run stands: the number of the run, what is known of the range, and the attributes of the ops. */
typedef struct range_case {
    int64_t forward; /* -1: the input is absent */
    double known[2];
    const char *observing, *holding; /* attributes */
} range_case;

static const range_case cases[] = {
    {-1, {INFINITY, -INFINITY}, "", ""},                                      /* nothing is known yet */
    {-1, {-1, 1.25}, "", " {scheme = \"symmetric\"}"},                        /* a moving average */
    {-1, {-0.25, 2.5}, " {averaging = 0}", ""},                               /* the extremes */
    {2, {-1, 1}, " {begin = 3}", " {begin = 3}"},                             /* too early */
    {3, {-1, 1}, " {averaging = 0.25, begin = 3}", " {begin = 3}"},           /* the first one that is seen */
    {4, {-0.5, 0.5}, " {begin = 3}", " {begin = 3, scheme = \"symmetric\"}"}, /* ends within x */
    {0, {3, 3.5}, " {averaging = 0.5}", ""},                                  /* a range that lacks 0 */
    {0, {0, 0x1p-40}, " {averaging = 0}", " {scheme = \"symmetric\"}"},       /* the least scale there is */
};

static void add_range(kernel_fixture *f, const range_case *c) {
    named_tensors_add_doubles(&f->state, "r", IR_F32, 1, DIMS(2), c->known);
    if (c->forward >= 0) tensor_set_int(named_tensors_add(&f->inputs, "n", IR_I64, 0, NULL), 0, c->forward);
    strbuf_puts(&f->text, "  %20 = state {name = \"r\", frozen = true} : f32[2]\n");
    if (c->forward >= 0) strbuf_puts(&f->text, "  %21 = input {name = \"n\"} : i64[]\n");
}

/* %5 of a type -> what is observed, %22; %5 in 8 bits, %23; and the gradient for dy %6, %24. */
static void add_ops(kernel_fixture *f, const range_case *c, const char *type) {
    const char *forward = c->forward >= 0 ? ", %21" : "";
    strbuf_printf(&f->text,
                  "  %%22 = observe_range %%5, %%20%s%s : f32[2]\n  %%23 = fake_quantize %%5, %%22%s%s : %s\n"
                  "  %%24 = fake_quantize_gradient %%6, %%5, %%22%s%s : %s\n",
                  forward, c->observing, forward, c->holding, type, forward, c->holding, type);
}

/* Numbers above 2, so that whatever lies beside them widens the range; from number `odd` on some that are special. */
static void make_x(kernel_fixture *f, uint32_t rank, const int64_t *dims, int64_t odd) {
    static const double odds[] = {NAN, INFINITY, -INFINITY, 0x1.fffffep127, -0x1p100, -0.0};
    ir_tensor *x = kernel_case_reals(&f->inputs, "x", rank, dims);
    for (int64_t i = 0; i < tensor_elements(x); i++)
        tensor_set(x, i, i >= odd && i - odd < (int64_t)N_OF(odds) ? odds[i - odd] : 2.5 + tensor_get(x, i) / 2);
    kernel_case_reals(&f->inputs, "d", rank, dims);
}

/* x comes to its tiles by number, which leaves zeros in lanes without a row. */
static int64_t check_tiles(const range_case *c, int64_t T, int64_t E, int W) {
    kernel_fixture f = kernel_fixture_begin();
    char rows[64], tiles[64];
    snprintf(rows, sizeof rows, "f32[T,%lld]", (long long)E);
    snprintf(tiles, sizeof tiles, "%s tiles<%d>", rows, W);
    make_x(&f, 2, DIMS(T, E), INT64_MAX);
    ir_tensor *order = named_tensors_add(&f.inputs, "order", IR_I32, 1, &T);
    for (int64_t i = 0; i < T; i++) tensor_set_int(order, i, T - 1 - i);
    strbuf_printf(&f.text, "graph @g (T <= 4096) {\n  %%1 = input {name = \"x\"} : %s\n  %%2 = input {name = \"d\"} : %s\n", rows,
                  rows);
    add_range(&f, c);
    strbuf_printf(&f.text,
                  "  %%3 = input {name = \"order\"} : i32[T]\n  %%4 = relayout %%1 : %s\n  %%5 = scatter_rows %%4, %%3, %%4 : %s\n"
                  "  %%6 = relayout %%2 : %s\n",
                  tiles, tiles, tiles);
    add_ops(&f, c, tiles);
    strbuf_printf(
        &f.text,
        "  %%25 = relayout %%23 : %s\n  %%26 = relayout %%24 : %s\n  return \"r\" = %%22, \"y\" = %%25, \"dx\" = %%26\n}\n", rows,
        rows);
    return kernel_fixture_run(&f, "observe_range", 0, 0);
}

static void in_tiles(void **unused) {
    (void)unused;
    static const int64_t sizes[][3] = {{1, 1, 16},  {5, 3, 32},  {16, 7, 64},   {17, 40, 16},
                                       {33, 5, 32}, {64, 9, 64}, {130, 33, 64}, {300, 12, 32}};
    int64_t compared = 0, wanted = 0;
    for (size_t i = 0; i < N_OF(sizes); i++) {
        compared += check_tiles(&cases[i], sizes[i][0], sizes[i][1], (int)sizes[i][2]);
        wanted += 2 + 2 * sizes[i][0] * sizes[i][1];
    }
    assert_int_equal(compared, wanted);
}

static int64_t check_rows(const range_case *c, int64_t n, int64_t odd) {
    kernel_fixture f = kernel_fixture_begin();
    char type[32];
    snprintf(type, sizeof type, "f32[%lld]", (long long)n);
    make_x(&f, 1, &n, odd);
    strbuf_printf(&f.text, "graph @g () {\n  %%5 = input {name = \"x\"} : %s\n  %%6 = input {name = \"d\"} : %s\n", type, type);
    add_range(&f, c);
    add_ops(&f, c, type);
    strbuf_puts(&f.text, "  return \"r\" = %22, \"y\" = %23, \"dx\" = %24\n}\n");
    return kernel_fixture_run(&f, "observe_range", 0, 0);
}

/* One part and 64, some of them not full or without an element; with numbers that are not finite, and with these alone. */
static void in_rows(void **unused) {
    (void)unused;
    static const int64_t sizes[][2] = {{1, 2}, {17, 17}, {4097, 4090}, {290001, 100000},
                                       {3, 0}, {3, 0},   {9, 0},       {9, 0}}; /* and where such numbers begin */
    int64_t compared = 0, wanted = 0;
    for (size_t i = 0; i < N_OF(sizes); i++) {
        compared += check_rows(&cases[i], sizes[i][0], sizes[i][1]);
        wanted += 2 + 2 * sizes[i][0];
    }
    assert_int_equal(compared, wanted);
}

/* Where rounding decides: places halfway between two numbers, at both ends, of either sign. */
static void places_halfway(void **unused) {
    (void)unused;
    for (size_t s = 0; s < 2; s++) {
        kernel_fixture f = kernel_fixture_begin();
        const int64_t n = 4 * 600;
        ir_tensor *x = named_tensors_add(&f.inputs, "x", IR_F32, 1, &n);
        for (int64_t i = 0; i < n; i++) tensor_set(x, i, ((double)i / 4 - 300) / 2); /* scale 1/2: quarters of places */
        kernel_case_reals(&f.inputs, "d", 1, &n);
        const range_case c = {-1, {s ? -63.75 : -50, s ? 63.75 : 77.5}, "", s ? " {scheme = \"symmetric\"}" : ""};
        strbuf_puts(&f.text, "graph @g () {\n  %5 = input {name = \"x\"} : f32[2400]\n  %6 = input {name = \"d\"} : f32[2400]\n");
        add_range(&f, &c);
        strbuf_printf(
            &f.text,
            "  %%23 = fake_quantize %%5, %%20%s : f32[2400]\n  %%24 = fake_quantize_gradient %%6, %%5, %%20%s : f32[2400]\n",
            c.holding, c.holding);
        strbuf_puts(&f.text, "  return \"y\" = %23, \"dx\" = %24\n}\n");
        assert_int_equal(kernel_fixture_run(&f, "elementwise", 0, 0), 2 * n);
    }
}

/* Of the non-zeros of a pattern, which are put into the order of the product that reads them. Integers, whose sums are exact. */
static void non_zeros_of_a_linear(void **unused) {
    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        kernel_fixture f = kernel_fixture_begin();
        ir_tensor *w = kernel_case_integers(&f.state, "w", IR_F32, 2, DIMS(64, 48), 21);
        rng_key key = rng_key_make(3, "zeros");
        for (int64_t e = 0; e < tensor_elements(w); e++)
            tensor_set(w, e, (i == 2 ? (uint64_t)e % 9 : rng_below(key, (uint64_t)e, 5)) == 0 ? 10 - tensor_get(w, e) : 0);
        kernel_case_integers(&f.inputs, "x", IR_F32, 2, DIMS(37, 48), 16);
        named_tensors_add_doubles(&f.state, "r", IR_F32, 1, DIMS(2), (double[]){-255, 100}); /* scale 2 */
        tensor_set_int(named_tensors_add(&f.inputs, "n", IR_I64, 0, NULL), 0, (int64_t)i);
        strbuf_puts(
            &f.text,
            "graph @g (T <= 64) {\n  %1 = input {name = \"x\"} : f32[T,48]\n  %2 = pattern {name = \"w\"} : pattern[64,48]\n"
            "  %3 = state {name = \"w\"} : f32[nnz(%2)]\n  %4 = state {name = \"r\"} : f32[2]\n  %5 = input {name = \"n\"} : "
            "i64[]\n"
            "  %6 = observe_range %3, %4, %5 {averaging = 0, begin = 1} : f32[2]\n"
            "  %7 = fake_quantize %3, %4, %5 {begin = 1, scheme = \"symmetric\"} : f32[nnz(%2)]\n"
            "  %8 = relayout %1 : f32[T,48] tiles<32>\n  %9 = linear %8, %7, _, %2 : f32[T,64] tiles<32>\n"
            "  %10 = relayout %9 : f32[T,64]\n  return \"y\" = %10, \"seen\" = %6\n}\n");
        assert_int_equal(kernel_fixture_run(&f, "sparse_linear", 0, 0), 37 * 64 + 2);
    }
}

/* Each row of a weight by its own range: dense, of non-zeros, with rows that have none; more columns than one block of an index has. */
static void check_channels(int64_t N, int64_t K, const range_case *c, int every) {
    kernel_fixture f = kernel_fixture_begin();
    const char *forward = c->forward >= 0 ? "%21" : "_", *type = every ? "f32[nnz(%1)]" : NULL;
    char dense[48];
    snprintf(dense, sizeof dense, "f32[%lld,%lld]", (long long)N, (long long)K);
    ir_tensor *w = kernel_case_reals(&f.state, "w", 2, DIMS(N, K)), *r = named_tensors_add(&f.state, "r", IR_F32, 2, DIMS(N, 2));
    for (int64_t e = 0; e < N * K && every; e++)
        if (e % every || e / K % 5 == 3) tensor_set(w, e, 0);
    for (int64_t i = 0; i < 2 * N; i++)
        tensor_set(r, i, i % 6 < 2 ? (i % 2 ? -INFINITY : INFINITY) : c->known[i % 2] * (1 + (double)i));
    if (c->forward >= 0) tensor_set_int(named_tensors_add(&f.inputs, "n", IR_I64, 0, NULL), 0, c->forward);
    strbuf_printf(&f.text, "graph @g () {\n");
    if (every) strbuf_printf(&f.text, "  %%1 = pattern {name = \"w\"} : pattern[%lld,%lld]\n", (long long)N, (long long)K);
    if (!type) type = dense;
    strbuf_printf(&f.text, "  %%2 = state {name = \"w\"} : %s\n  %%20 = state {name = \"r\"} : f32[%lld,2]\n", type, (long long)N);
    if (c->forward >= 0) strbuf_puts(&f.text, "  %21 = input {name = \"n\"} : i64[]\n");
    const char *pattern = every ? ", %1" : "";
    strbuf_printf(&f.text,
                  "  %%3 = observe_range %%2, %%20, %s%s%s : f32[%lld,2]\n  %%4 = fake_quantize %%2, %%3, %s%s%s : %s\n"
                  "  %%5 = fake_quantize_gradient %%4, %%2, %%20, %s%s%s : %s\n",
                  forward, pattern, c->observing, (long long)N, forward, pattern, c->holding, type, forward, pattern, c->holding,
                  type);
    if (every)
        strbuf_printf(&f.text, "  %%6 = sparse_to_dense %%4, %%1 : %s\n  %%7 = sparse_to_dense %%5, %%1 : %s\n", dense, dense);
    strbuf_printf(&f.text, "  return \"s\" = %%3, \"y\" = %s, \"dy\" = %s\n}\n", every ? "%6" : "%4", every ? "%7" : "%5");
    assert_int_equal(kernel_fixture_run(&f, "quantize_rows", 0, 0), 2 * N + 2 * N * K);
}

static void by_channels(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_OF(cases); i += 2) check_channels(19, 37, &cases[i], 0);
    for (size_t i = 1; i < N_OF(cases); i += 2) check_channels(35, 50, &cases[i], 3);
    check_channels(1, 1, &cases[0], 1);
    check_channels(5, 33000, &cases[4], 7);
}

/* Behind a product and between activations: what inference of a simulated model, and a backward pass, consist of. */
static void behind_products(void **unused) {
    (void)unused;
    for (int sparse = 0; sparse < 2; sparse++) {
        kernel_fixture f = kernel_fixture_begin();
        ir_tensor *w = kernel_case_integers(&f.state, "w", IR_F32, 2, DIMS(40, 24), 4);
        for (int64_t e = 0; e < tensor_elements(w) && sparse; e++)
            if (e % 5) tensor_set(w, e, 0);
        kernel_case_integers(&f.inputs, "x", IR_F32, 2, DIMS(37, 24), 4);
        kernel_case_integers(&f.inputs, "d", IR_F32, 2, DIMS(37, 40), 3);
        named_tensors_add_doubles(&f.state, "r", IR_F32, 1, DIMS(2), (double[]){-3, 200});
        named_tensors_add_doubles(&f.state, "s", IR_F32, 1, DIMS(2), (double[]){-1, 2});
        tensor_set_int(named_tensors_add(&f.inputs, "n", IR_I64, 0, NULL), 0, 5);
        const char *weight = sparse ? "f32[nnz(%4)]" : "f32[40,24]", *pattern = sparse ? ", %4" : "";
        strbuf_printf(&f.text,
                      "graph @g (T <= 64) {\n  %%1 = input {name = \"x\"} : f32[T,24]\n  %%2 = input {name = \"d\"} : f32[T,40]\n"
                      "  %%3 = input {name = \"n\"} : i64[]\n  %%4 = pattern {name = \"w\"} : pattern[40,24]\n  %%5 = state {name "
                      "= \"w\"} : %s\n"
                      "  %%6 = state {name = \"r\"} : f32[2]\n  %%7 = state {name = \"s\"} : f32[2]\n  %%8 = linear %%1, %%5, _%s "
                      ": f32[T,40]\n"
                      "  %%9 = fake_quantize %%8, %%6 : f32[T,40]\n  %%10 = relu %%9 : f32[T,40]\n  %%11 = fake_quantize %%10, "
                      "%%6, %%3 {begin = 6} : f32[T,40]\n"
                      "  %%12 = linear_input_gradient %%2, %%5%s : f32[T,24]\n  %%13 = fake_quantize_gradient %%12, %%1, %%7, %%3 "
                      "{begin = 5} : f32[T,24]\n"
                      "  %%14 = relu_gradient %%1, %%13 : f32[T,24]\n  %%15 = fake_quantize_gradient %%14, %%1, %%7 {scheme = "
                      "\"symmetric\"} : f32[T,24]\n"
                      "  return \"y\" = %%11, \"dx\" = %%15\n}\n",
                      weight, pattern, pattern);
        const kernel_case c = {.text = strbuf_str(&f.text),
                               .pipeline = "layout,canonicalize,cse,dce,fuse,plan-memory",
                               .kernel = sparse ? "sparse_linear" : "linear",
                               .inputs = &f.inputs,
                               .state = &f.state};
        assert_int_equal(kernel_case_run(&c), 37 * 40 + 37 * 24);
        named_tensors_free(&f.inputs);
        named_tensors_free(&f.state);
        strbuf_free(&f.text);
    }
}

/* Groups of kernels that have no such work themselves run in parts. */
static void groups_that_are_cut(void **unused) {
    (void)unused;
    kernel_fixture f = kernel_fixture_begin();
    kernel_case_integers(&f.inputs, "i", IR_I64, 1, DIMS(21), 7);
    kernel_case_reals(&f.state, "table", 2, DIMS(7, 16));
    kernel_case_reals(&f.state, "w", 2, DIMS(8, 16));
    kernel_case_reals(&f.state, "g", 1, DIMS(16));
    named_tensors_add_doubles(&f.state, "r", IR_F32, 1, DIMS(2), (double[]){-0.75, 1});
    strbuf_puts(&f.text,
                "graph @g (T <= 64) {\n  %1 = input {name = \"i\"} : i64[T]\n  %2 = state {name = \"table\"} : f32[7,16]\n"
                "  %3 = state {name = \"r\"} : f32[2]\n  %4 = embedding %2, %1 {group = 1} : f32[T,16]\n"
                "  %5 = fake_quantize %4, %3 {group = 1} : f32[T,16]\n  %6 = relayout %5 {group = 1} : f32[T,16] tiles<16>\n"
                "  %7 = fake_quantize %6, %3 {group = 2, scheme = \"symmetric\"} : f32[T,16] tiles<16>\n"
                "  %8 = state {name = \"g\"} : f32[16]\n"
                "  %9:3 = layer_norm %7, %8, %8 {eps = 0.01, group = 2} : f32[T,16] tiles<16>, f32[T], f32[T]\n"
                "  %10 = quantize %6, %3 : u8[T,16] quads<16>\n  %11 = state {name = \"w\"} : f32[8,16]\n"
                "  %12 = linear_int8 %10, %3, %11, %3 {group = 3} : f32[T,8] tiles<16>\n"
                "  %13 = fake_quantize %12, %3 {group = 3} : f32[T,8] tiles<16>\n  %14 = relayout %9 : f32[T,16]\n"
                "  %15 = relayout %13 : f32[T,8]\n  return \"norm\" = %14, \"y\" = %15\n}\n");
    assert_int_equal(kernel_fixture_run(&f, "elementwise", 1e-5, 0), 21 * 24);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_tiles),
        cmocka_unit_test(in_rows),
        cmocka_unit_test(places_halfway),
        cmocka_unit_test(non_zeros_of_a_linear),
        cmocka_unit_test(by_channels),
        cmocka_unit_test(behind_products),
        cmocka_unit_test(groups_that_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
