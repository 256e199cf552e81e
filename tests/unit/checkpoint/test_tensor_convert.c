/* Elements of checkpoints as floats and integers: every f16 and bf16 against a slow conversion, all dtypes, views with strides. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/checkpoint/checkpoint.h"
#include "tests/unit/fail_alloc.h"

static checkpoint_tensor vector_of(ir_dtype dtype, const void *data, int64_t n) {
    return (checkpoint_tensor){.name = "t", .file = "f", .dtype = dtype, .rank = 1, .dims = {n}, .strides = {1}, .data = data};
}

/* The number that sign, exponent and fraction of a small IEEE format mean, by its definition. */
static double meaning(unsigned bits, int exponent_bits, int fraction_bits) {
    const int exponent = (int)(bits >> fraction_bits) & ((1 << exponent_bits) - 1), bias = (1 << (exponent_bits - 1)) - 1;
    const double fraction = (double)(bits & ((1u << fraction_bits) - 1)) / (1 << fraction_bits);
    const double sign = bits >> (exponent_bits + fraction_bits) ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) return fraction != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, 1 - bias);
    return sign * ldexp(1 + fraction, exponent - bias);
}

static void expect_all_patterns(ir_dtype dtype, int exponent_bits, int fraction_bits) {
    static unsigned char bytes[1 + 2 * 65536];
    static float found[65536];
    for (unsigned i = 0; i < 65536; i++) {
        const uint16_t bits = (uint16_t)i;
        memcpy(bytes + 1 + 2 * i, &bits, 2); /* at odd addresses */
    }
    const checkpoint_tensor t = vector_of(dtype, bytes + 1, 65536);
    checkpoint_read_f32(&t, found);
    for (unsigned i = 0; i < 65536; i++) {
        const double wanted = meaning(i, exponent_bits, fraction_bits);
        const bool same = isnan(wanted) ? isnan(found[i]) : found[i] == wanted && !signbit(found[i]) == !signbit(wanted);
        if (!same) print_error("0x%04x: found %a, wanted %a\n", i, found[i], wanted);
        assert_true(same);
    }
}

static void test_every_f16(void **state) {
    (void)state;
    expect_all_patterns(IR_F16, 5, 10);
}

static void test_every_bf16(void **state) {
    (void)state;
    expect_all_patterns(IR_BF16, 8, 7);
}

static void expect_floats(ir_dtype dtype, const void *data, int64_t n, const float *wanted) {
    float found[8];
    const checkpoint_tensor t = vector_of(dtype, data, n);
    checkpoint_read_f32(&t, found);
    for (int64_t i = 0; i < n; i++) {
        if (found[i] != wanted[i])
            print_error("%s, element %d: found %a, wanted %a\n", dtype_name(dtype), (int)i, found[i], wanted[i]);
        assert_true(found[i] == wanted[i]);
    }
}

static void test_floats(void **state) {
    (void)state;
    /* 1 + 2^-24 is a tie, which goes to the even 1; a bit more goes up; 2^-150 is a tie that goes to 0; too large gives infinity */
    static const double f64[] = {0.1, 1 + 0x1p-24, 1 + 0x1p-24 + 0x1p-50, -0x1p-149, 0x1p-150, 1e300, -INFINITY};
    static const float from_f64[] = {0.1f, 1, 1 + 0x1p-23f, -0x1p-149f, 0, INFINITY, -INFINITY};
    expect_floats(IR_F64, f64, 7, from_f64);
    static const int8_t i8[] = {-128, 0, 127};
    expect_floats(IR_I8, i8, 3, (const float[]){-128, 0, 127});
    static const uint8_t u8[] = {0, 128, 255};
    expect_floats(IR_U8, u8, 3, (const float[]){0, 128, 255});
    expect_floats(IR_BOOL, u8, 3, (const float[]){0, 1, 1});
    static const int16_t i16[] = {INT16_MIN, -1, INT16_MAX};
    expect_floats(IR_I16, i16, 3, (const float[]){-32768, -1, 32767});
    static const int32_t i32[] = {INT32_MIN, 16777217, -1};
    expect_floats(IR_I32, i32, 3, (const float[]){-0x1p31f, 16777216, -1});
    static const int64_t i64[] = {INT64_MIN, INT64_MAX, 5};
    expect_floats(IR_I64, i64, 3, (const float[]){-0x1p63f, 0x1p63f, 5});
}

static void test_nan_is_kept(void **state) {
    (void)state;
    const uint32_t bits = 0xffa12345; /* a signalling NaN */
    const double f64 = NAN;
    uint32_t found;
    float value;
    checkpoint_tensor t = vector_of(IR_F32, &bits, 1);
    checkpoint_read_f32(&t, (float *)(void *)&found);
    assert_int_equal(found, bits);
    t = vector_of(IR_F64, &f64, 1);
    checkpoint_read_f32(&t, &value);
    assert_true(isnan(value));
}

static void test_integers(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0x80, 0xff, 1, 0, 0xff, 0xff, 0xff, 0x7f};
    static const struct {
        ir_dtype dtype;
        int64_t n, wanted[8];
    } rows[] = {
        {IR_I8, 3, {-128, -1, 1}},         {IR_U8, 3, {128, 255, 1}},        {IR_BOOL, 4, {1, 1, 1, 0}},
        {IR_I16, 4, {-128, 1, -1, 32767}}, {IR_I32, 2, {130944, INT32_MAX}}, {IR_I64, 1, {INT64_MAX - 0xffffffff + 130944}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t found[8];
        const checkpoint_tensor t = vector_of(rows[i].dtype, bytes, rows[i].n);
        assert_int_equal(checkpoint_read_i64(&t, NULL, found), POFAC_OK);
        for (int64_t j = 0; j < rows[i].n; j++) assert_int_equal(found[j], rows[i].wanted[j]);
    }
}

static void test_no_integers(void **state) {
    (void)state;
    static const ir_dtype floats[] = {IR_F64, IR_F32, IR_F16, IR_BF16};
    static const double zero;
    for (size_t i = 0; i < 4; i++) {
        strbuf said = STRBUF_INIT, wanted = STRBUF_INIT;
        diag_sink sink = diag_sink_to_strbuf(&said);
        int64_t value;
        const checkpoint_tensor t = vector_of(floats[i], &zero, 1);
        assert_int_equal(checkpoint_read_i64(&t, &sink, &value), POFAC_ERR_INPUT);
        strbuf_printf(&wanted, "f: error: tensor \"t\": found elements of type %s, wanted integers\n", dtype_name(floats[i]));
        assert_string_equal(strbuf_str(&said), strbuf_str(&wanted));
        strbuf_free(&said);
        strbuf_free(&wanted);
    }
}

/* The transposed view of a [2,3,2] block, one that repeats a row, and one that skips. */
static void test_strides(void **state) {
    (void)state;
    static const int16_t data[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    float found[12];
    checkpoint_tensor t = {.name = "t", .dtype = IR_I16, .rank = 3, .dims = {2, 3, 2}, .strides = {1, 2, 6}};
    t.data = (const unsigned char *)data;
    static const float transposed[12] = {0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11};
    assert_false(checkpoint_is_packed(&t));
    checkpoint_read_f32(&t, found);
    assert_memory_equal(found, transposed, sizeof found);
    int16_t bytes[12];
    checkpoint_read_bytes(&t, bytes);
    for (int i = 0; i < 12; i++) assert_int_equal(bytes[i], (int16_t)transposed[i]);

    t = (checkpoint_tensor){.name = "t", .dtype = IR_I16, .rank = 2, .dims = {3, 2}, .strides = {0, 1}, .data = t.data};
    int64_t integers[6];
    assert_int_equal(checkpoint_read_i64(&t, NULL, integers), POFAC_OK);
    for (int i = 0; i < 6; i++) assert_int_equal(integers[i], i % 2);

    t = (checkpoint_tensor){.name = "t", .dtype = IR_I16, .rank = 1, .dims = {4}, .strides = {3}, .data = t.data};
    checkpoint_read_f32(&t, found);
    for (int i = 0; i < 4; i++) assert_true(found[i] == (float)(3 * i));
}

static void test_packed(void **state) {
    (void)state;
    static const struct {
        uint32_t rank;
        int64_t dims[3], strides[3];
        bool packed;
    } rows[] = {
        {0, {0}, {0}, true},       {1, {5}, {1}, true},
        {1, {5}, {2}, false},      {1, {1}, {7}, true}, /* the stride of one element does not matter */
        {2, {3, 4}, {4, 1}, true}, {2, {3, 4}, {1, 3}, false},
        {2, {3, 1}, {1, 9}, true}, {3, {2, 0, 4}, {9, 9, 9}, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        checkpoint_tensor t = {.rank = rows[i].rank};
        memcpy(t.dims, rows[i].dims, sizeof rows[i].dims);
        memcpy(t.strides, rows[i].strides, sizeof rows[i].strides);
        assert_int_equal(checkpoint_is_packed(&t), rows[i].packed);
    }
}

static void test_read_bytes(void **state) {
    (void)state;
    static const unsigned char data[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    static const ir_dtype dtypes[] = {IR_I8, IR_F16, IR_F32, IR_F64};
    for (size_t i = 0; i < 4; i++) {
        const size_t width = (size_t)1 << i;
        checkpoint_tensor t = vector_of(dtypes[i], data, 2);
        t.strides[0] = i == 3 ? 1 : 2;
        unsigned char found[16];
        checkpoint_read_bytes(&t, found);
        assert_memory_equal(found, data, width);
        assert_memory_equal(found + width, data + (i == 3 ? 1 : 2) * width, width);
    }
}

static void test_load(void **state) {
    (void)state;
    static const float f32[4] = {1, 2, 3, 4};
    static const int64_t i64[2] = {5, -6};
    ir_tensor t;
    checkpoint_tensor from = {.name = "t", .file = "f", .dtype = IR_F32, .rank = 2, .dims = {2, 2}, .strides = {2, 1}};
    from.data = (const unsigned char *)f32;
    assert_int_equal(checkpoint_load(&from, IR_F32, NULL, &t), POFAC_OK);
    assert_ptr_equal(t.data, f32); /* a view */
    assert_false(t.owned);
    assert_int_equal(t.rank, 2);
    assert_int_equal(t.dims[1], 2);
    from.strides[0] = 1, from.strides[1] = 2;
    assert_int_equal(checkpoint_load(&from, IR_F32, NULL, &t), POFAC_OK);
    assert_true(t.owned && tensor_get(&t, 1) == 3 && tensor_get(&t, 2) == 2);
    tensor_free(&t);

    unsigned char shifted[1 + sizeof f32];
    memcpy(shifted + 1, f32, sizeof f32);
    from = vector_of(IR_F32, shifted + 1, 4);
    assert_int_equal(checkpoint_load(&from, IR_F32, NULL, &t), POFAC_OK);
    assert_true(t.owned); /* not aligned */
    assert_memory_equal(t.data, f32, sizeof f32);
    tensor_free(&t);

    from = vector_of(IR_I64, i64, 2);
    assert_int_equal(checkpoint_load(&from, IR_F32, NULL, &t), POFAC_OK);
    assert_true(t.owned && t.dtype == IR_F32 && tensor_get(&t, 1) == -6);
    tensor_free(&t);
    assert_int_equal(checkpoint_load(&from, IR_I64, NULL, &t), POFAC_OK);
    assert_ptr_equal(t.data, i64);
    from.dims[0] = 0;
    assert_int_equal(checkpoint_load(&from, IR_F32, NULL, &t), POFAC_OK);
    assert_int_equal(tensor_elements(&t), 0);
    tensor_free(&t);
}

static void test_load_errors(void **state) {
    (void)state;
    static const float f32[2] = {1, 2};
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    ir_tensor t;
    checkpoint_tensor from = vector_of(IR_F32, f32, 1);
    assert_int_equal(checkpoint_load(&from, IR_I64, &sink, &t), POFAC_ERR_INPUT);
    for (from.rank = 0; from.rank < 5; from.rank++) from.dims[from.rank] = from.strides[from.rank] = 1;
    assert_int_equal(checkpoint_load(&from, IR_F32, &sink, &t), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), "f: error: tensor \"t\": found elements of type f32, wanted integers\n"
                                           "f: error: tensor \"t\": found 5 dimensions, wanted at most 4\n");
    strbuf_clear(&said);
    from = vector_of(IR_I8, f32, 8);
    fail_alloc_after(1);
    assert_int_equal(checkpoint_load(&from, IR_F32, &sink, &t), POFAC_ERR_RUNTIME);
    assert_true(fail_alloc_stop());
    assert_string_equal(strbuf_str(&said), "error: out of memory\n");
    strbuf_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_f16),   cmocka_unit_test(test_every_bf16),  cmocka_unit_test(test_floats),
        cmocka_unit_test(test_nan_is_kept), cmocka_unit_test(test_integers),    cmocka_unit_test(test_no_integers),
        cmocka_unit_test(test_strides),     cmocka_unit_test(test_packed),      cmocka_unit_test(test_read_bytes),
        cmocka_unit_test(test_load),        cmocka_unit_test(test_load_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
