/* Element types, dimensions, interning and the text of types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ir/type.h"
#include "tests/unit/fail_alloc.h"

static void every_element_type_reads_back(void **state) {
    (void)state;
    for (int i = 0; i < IR_N_DTYPES; i++) {
        ir_dtype d = (ir_dtype)i, back = IR_N_DTYPES;
        assert_true(dtype_parse(dtype_name(d), strlen(dtype_name(d)), &back));
        assert_int_equal(back, d);
        assert_true(dtype_meaning(d)[0] != 0);
        assert_true(dtype_bits(d) == 4 || dtype_bits(d) % 8 == 0);
        for (int j = 0; j < i; j++) assert_string_not_equal(dtype_name(d), dtype_name((ir_dtype)j));
    }
    ir_dtype d;
    assert_false(dtype_parse("f3", 2, &d));
    assert_false(dtype_parse("f32x", 4, &d));
    assert_false(dtype_parse("", 0, &d));
    assert_int_equal(dtype_class(IR_BF16), DTYPE_FLOAT);
    assert_int_equal(dtype_class(IR_I4), DTYPE_SIGNED);
    assert_int_equal(dtype_class(IR_U8), DTYPE_UNSIGNED);
    assert_int_equal(dtype_class(IR_BOOL), DTYPE_BOOLEAN);
}

static void strings_and_symbols_have_one_copy(void **state) {
    (void)state;
    ir_context *c = context_create();
    char text[] = "weight";
    const char *w = context_string(c, text);
    text[0] = 'W';
    assert_string_equal(w, "weight");
    assert_ptr_equal(context_string_n(c, "weights", 6), w);
    assert_ptr_not_equal(context_string(c, "weights"), w);
    assert_string_equal(context_string(c, ""), "");
    assert_ptr_equal(context_string_n(c, NULL, 0), context_string(c, ""));

    ir_symbol b = symbol_named(c, "B"), nnz = symbol_nnz(c, 7);
    assert_int_equal(b, 1);
    assert_int_equal(nnz, 2);
    assert_int_equal(symbol_named(c, "B"), b);
    assert_int_equal(symbol_nnz(c, 7), nnz);
    assert_int_not_equal(symbol_nnz(c, 8), nnz);
    assert_int_equal(context_n_symbols(c), 3);
    assert_int_equal(symbol_kind(c, b), SYMBOL_NAMED);
    assert_ptr_equal(symbol_name(c, b), context_string(c, "B"));
    assert_int_equal(symbol_value(c, b), IR_NO_VALUE);
    assert_int_equal(symbol_kind(c, nnz), SYMBOL_NNZ);
    assert_null(symbol_name(c, nnz));
    assert_int_equal(symbol_value(c, nnz), 7);

    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_int_equal(symbol_named(c, name), 4 + i);
    }
    assert_int_equal(symbol_named(c, "s0"), 4);
    assert_ptr_equal(context_string(c, "weight"), w);
    assert_false(context_failed(c));
    context_destroy(c);
    context_destroy(NULL);
}

static void types_have_one_copy(void **state) {
    (void)state;
    ir_context *c = context_create();
    ir_dim dims[2] = {dim_symbol(symbol_named(c, "T")), dim_const(768)};
    const ir_type *t = type_tensor(c, IR_F32, 2, dims);
    ir_type dirty;
    memset(&dirty, 0xa5, sizeof dirty); /* what a description leaves open does not tell types apart */
    dirty.kind = TYPE_TENSOR;
    dirty.dtype = IR_F32;
    dirty.layout = LAYOUT_ROWS;
    dirty.rank = 2;
    dirty.dims[0] = dims[0];
    dirty.dims[1] = dims[1];
    assert_ptr_equal(type_intern(c, &dirty), t);
    assert_ptr_not_equal(type_tensor(c, IR_F16, 2, dims), t);
    assert_ptr_not_equal(type_tensor(c, IR_F32, 1, dims), t);
    dirty.kind = TYPE_PATTERN;
    assert_ptr_equal(type_intern(c, &dirty), type_pattern(c, dims[0], dims[1]));
    assert_ptr_not_equal(type_pattern(c, dims[0], dims[1]), t);

    const ir_type *tiles = type_with_layout(c, t, LAYOUT_TILES, 32);
    assert_ptr_not_equal(tiles, t);
    assert_ptr_not_equal(tiles, type_with_layout(c, t, LAYOUT_TILES, 16));
    assert_ptr_equal(type_with_layout(c, tiles, LAYOUT_ROWS, 0), t);
    assert_ptr_equal(type_with_dtype(c, type_with_dtype(c, t, IR_I8), IR_F32), t);
    assert_null(type_tensor(c, IR_F32, IR_MAX_RANK + 1, dims));
    dirty.rank = IR_MAX_RANK + 1;
    assert_null(type_intern(c, &dirty));
    context_destroy(c);
}

typedef struct dim_case {
    ir_dim a, b, product; /* product.scale INT64_MIN: refused */
} dim_case;

#define DIM(scale, offset, s0, s1)                                                                                                 \
    {                                                                                                                              \
        scale, offset, { s0, s1 }                                                                                                  \
    }
#define REFUSED DIM(INT64_MIN, 0, 0, 0)

static void products_stay_in_form_or_are_refused(void **state) {
    (void)state;
    static const dim_case cases[] = {
        {DIM(0, 3, 0, 0), DIM(0, 4, 0, 0), DIM(0, 12, 0, 0)},
        {DIM(1, 0, 1, 0), DIM(0, 4, 0, 0), DIM(4, 0, 1, 0)},
        {DIM(2, 1, 1, 0), DIM(0, 3, 0, 0), DIM(6, 3, 1, 0)},
        {DIM(2, 1, 1, 0), DIM(0, 0, 0, 0), DIM(0, 0, 0, 0)},
        {DIM(2, 0, 1, 0), DIM(3, 0, 2, 0), DIM(6, 0, 1, 2)},
        {DIM(2, 0, 1, 0), DIM(3, 0, 1, 0), DIM(6, 0, 1, 1)},
        {DIM(1, 0, 1, 2), DIM(0, 5, 0, 0), DIM(5, 0, 1, 2)},
        {DIM(1, 1, 1, 0), DIM(1, 0, 2, 0), REFUSED},
        {DIM(1, 0, 1, 2), DIM(1, 0, 3, 0), REFUSED},
        {DIM(0, INT64_MAX, 0, 0), DIM(0, 2, 0, 0), REFUSED},
        {DIM(INT64_MAX, 0, 1, 0), DIM(0, 2, 0, 0), REFUSED},
        {DIM(1, INT64_MAX, 1, 0), DIM(0, 2, 0, 0), REFUSED},
        {DIM(INT64_MAX / 2, 0, 1, 0), DIM(3, 0, 2, 0), REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int swap = 0; swap < 2; swap++) {
            bool ok, wanted = cases[i].product.scale != INT64_MIN;
            ir_dim got = dim_mul(swap ? cases[i].b : cases[i].a, swap ? cases[i].a : cases[i].b, &ok);
            if (ok != wanted || (ok && !dim_equal(got, cases[i].product)))
                fail_msg("case %zu: ok %d, scale %lld, offset %lld, symbols %u %u", i, ok, (long long)got.scale,
                         (long long)got.offset, got.symbol[0], got.symbol[1]);
        }
    }
}

static void dimensions_are_evaluated(void **state) {
    (void)state;
    const int64_t values[] = {-1, 3, 5, -1, INT64_MAX, 0};
    ir_binding binding = {values, sizeof values / sizeof values[0]};
    const struct {
        ir_dim d;
        int64_t wanted;
    } cases[] = {
        {DIM(0, 7, 0, 0), 7},          {DIM(0, -7, 0, 0), -1}, {DIM(2, 1, 1, 0), 7},         {DIM(1, 0, 1, 2), 15},
        {DIM(2, -1, 1, 2), 29},        {DIM(1, -4, 1, 0), -1}, {DIM(1, 0, 3, 0), -1},        {DIM(1, 0, 6, 0), -1},
        {DIM(2, 0, 4, 0), -1},         {DIM(1, 1, 4, 0), -1},  {DIM(1, 0, 4, 0), INT64_MAX}, {DIM(1, 0, 1, 5), 0},
        {DIM(1, INT64_MIN, 4, 0), -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t got = dim_eval(cases[i].d, binding);
        if (got != cases[i].wanted) fail_msg("case %zu: %lld, wanted %lld", i, (long long)got, (long long)cases[i].wanted);
    }
    assert_int_equal(dim_eval(dim_symbol(1), (ir_binding){NULL, 0}), -1);
    assert_int_equal(dim_eval(dim_symbol(0), binding), -1);
}

static void sums_that_overflow_are_no_dimension(void **state) {
    (void)state;
    const int64_t values[] = {-1, INT64_MAX};
    ir_binding binding = {values, 2};
    assert_true(dim_equal(dim_add(dim_const(3), 4), dim_const(7)));
    assert_int_equal(dim_eval(dim_add(dim_symbol(1), -1), binding), INT64_MAX - 1);
    ir_dim over = dim_add(dim_const(INT64_MAX), 1);
    assert_int_equal(dim_eval(over, binding), -1);
    assert_int_equal(dim_eval(dim_add(over, INT64_MAX), binding), -1);
    assert_int_equal(dim_eval(dim_add(dim_add(dim_symbol(1), INT64_MIN), -1), binding), -1);

    int64_t n = 0;
    assert_true(dim_is_const(dim_const(9), &n));
    assert_int_equal(n, 9);
    assert_true(dim_is_const(dim_const(9), NULL));
    assert_false(dim_is_const(dim_symbol(1), &n));
}

static void print_doubled(const void *user, ir_value v, strbuf *out) {
    assert_string_equal(user, "user");
    strbuf_printf(out, "%%%u", 2 * v);
}

static void types_are_printed(void **state) {
    (void)state;
    ir_context *c = context_create();
    ir_symbol t = symbol_named(c, "T"), s = symbol_named(c, "S"), nnz = symbol_nnz(c, 3), b = symbol_named(c, "B");
    const struct {
        ir_type type;
        const char *wanted;
    } cases[] = {
        {{TYPE_TENSOR, IR_F32, LAYOUT_ROWS, 0, 0, {{0}}}, "f32[]"},
        {{TYPE_TENSOR, IR_I64, LAYOUT_ROWS, 0, 2, {DIM(1, 0, t, 0), DIM(0, 768, 0, 0)}}, "i64[T,768]"},
        {{TYPE_TENSOR, IR_F32, LAYOUT_TILES, 32, 2, {DIM(1, 0, t, 0), DIM(0, 768, 0, 0)}}, "f32[T,768] tiles<32>"},
        {{TYPE_TENSOR, IR_U8, LAYOUT_QUADS, 16, 2, {DIM(1, 0, t, 0), DIM(0, 768, 0, 0)}}, "u8[T,768] quads<16>"},
        {{TYPE_PATTERN, IR_F32, LAYOUT_ROWS, 0, 2, {DIM(0, 3072, 0, 0), DIM(0, 768, 0, 0)}}, "pattern[3072,768]"},
        {{TYPE_TENSOR, IR_F16, LAYOUT_ROWS, 0, 1, {DIM(1, 1, b, 0)}}, "f16[B+1]"},
        {{TYPE_TENSOR, IR_F16, LAYOUT_ROWS, 0, 1, {DIM(3, -2, b, 0)}}, "f16[3*B-2]"},
        {{TYPE_TENSOR, IR_I32, LAYOUT_ROWS, 0, 1, {DIM(1, 0, s, b)}}, "i32[B*S]"}, /* by name, not by number */
        {{TYPE_TENSOR, IR_I32, LAYOUT_ROWS, 0, 1, {DIM(2, 0, nnz, b)}}, "i32[2*B*nnz(%3)]"},
        {{TYPE_TENSOR, IR_BF16, LAYOUT_ROWS, 0, 1, {DIM(1, 0, nnz, 0)}}, "bf16[nnz(%3)]"},
    };
    strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strbuf_clear(&out);
        type_print(c, type_intern(c, &cases[i].type), NULL, NULL, &out);
        assert_string_equal(strbuf_str(&out), cases[i].wanted);
    }
    strbuf_clear(&out);
    dim_print(c, dim_symbol(nnz), print_doubled, "user", &out);
    assert_string_equal(strbuf_str(&out), "nnz(%6)");
    strbuf_free(&out);
    context_destroy(c);
}

static void sizes_of_types(void **state) {
    (void)state;
    ir_context *c = context_create();
    ir_symbol t = symbol_named(c, "T");
    const int64_t values[] = {-1, 33};
    ir_binding binding = {values, 2};
    ir_dim dims[3] = {dim_symbol(t), dim_const(5), dim_const(INT64_MAX / 2)};
    const ir_type *type = type_tensor(c, IR_F32, 2, dims);
    bool ok;
    assert_true(dim_equal(type_elements(type, &ok), (ir_dim)DIM(5, 0, t, 0)));
    assert_true(ok);
    assert_int_equal(type_bytes(type, binding), 33 * 5 * 4);
    assert_int_equal(type_bytes(type_with_layout(c, type, LAYOUT_TILES, 32), binding), 64 * 5 * 4);
    assert_int_equal(type_bytes(type_with_layout(c, type, LAYOUT_TILES, 11), binding), 33 * 5 * 4);
    const ir_type *bytes = type_with_dtype(c, type, IR_U8), *quads = type_with_layout(c, bytes, LAYOUT_QUADS, 32);
    assert_int_equal(type_bytes(quads, binding), 64 * 8);
    assert_ptr_not_equal(quads, type_with_layout(c, bytes, LAYOUT_TILES, 32));
    assert_ptr_not_equal(quads, type_with_layout(c, bytes, LAYOUT_QUADS, 16));
    assert_ptr_equal(bytes, type_with_layout(c, quads, LAYOUT_ROWS, 32));
    assert_int_equal(type_bytes(type_with_dtype(c, type, IR_I4), binding), (33 * 5 + 1) / 2);
    assert_int_equal(type_bytes(type, (ir_binding){NULL, 0}), -1);
    assert_int_equal(type_bytes(type_tensor(c, IR_F64, 0, NULL), binding), 8);
    assert_int_equal(type_bytes(type_tensor(c, IR_I8, 3, dims), binding), -1);
    type_elements(type_tensor(c, IR_I8, 3, dims), &ok);
    assert_false(ok);
    assert_int_equal(type_bytes(type_tensor(c, IR_F32, 1, &dims[2]), binding), -1);
    assert_int_equal(type_bytes(type_pattern(c, dims[1], dims[1]), binding), -1);
    context_destroy(c);
}

/* A failed allocation gives NULL or 0 and a context that goes on working. */
static void failing_allocations_are_reported(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        ir_context *c = context_create();
        bool failed = !c;
        for (uint32_t i = 0; c && i < 40; i++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", i);
            ir_symbol s = symbol_named(c, name), p = symbol_nnz(c, i + 1);
            ir_dim dims[2] = {dim_symbol(s), dim_symbol(p)};
            failed = !type_tensor(c, IR_F32, 2, dims) || s == 0 || p == 0 || failed;
        }
        bool hit = fail_alloc_stop();
        assert_int_equal(failed, hit);
        if (c) {
            assert_int_equal(context_failed(c), hit);
            assert_true(symbol_named(c, "again") != 0);
            ir_dim d = dim_symbol(symbol_named(c, "n3"));
            assert_non_null(type_tensor(c, IR_F32, 1, &d));
        }
        context_destroy(c);
        if (!hit) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_type_reads_back),
        cmocka_unit_test(strings_and_symbols_have_one_copy),
        cmocka_unit_test(types_have_one_copy),
        cmocka_unit_test(products_stay_in_form_or_are_refused),
        cmocka_unit_test(dimensions_are_evaluated),
        cmocka_unit_test(sums_that_overflow_are_no_dimension),
        cmocka_unit_test(types_are_printed),
        cmocka_unit_test(sizes_of_types),
        cmocka_unit_test(failing_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
