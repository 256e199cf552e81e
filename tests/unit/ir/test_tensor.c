/* Tensors: conversions of every element type, sizes, copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "ir/tensor.h"
#include "tests/unit/fail_alloc.h"

static ir_tensor new_tensor(ir_dtype dtype, int64_t n) {
    ir_tensor t;
    assert_int_equal(tensor_alloc(dtype, 1, &n, &t), POFAC_OK);
    return t;
}

/* 16 bits -> what tensor_set keeps for `value`. */
static uint16_t stored_bits(ir_dtype dtype, double value) {
    uint16_t bits = 0xdead;
    int64_t n = 1;
    ir_tensor t = tensor_view(dtype, 1, &n, &bits);
    tensor_set(&t, 0, value);
    return bits;
}

static void check_bits(const char *what, double value, uint16_t got, uint16_t wanted) {
    if (got != wanted) fail_msg("%s of %.17g is 0x%04x, wanted 0x%04x", what, value, got, wanted);
}

/*
 * Between each two neighbours of a 16-bit format: the middle goes to the even one, whatever is nearer to one goes there. That holds for
 * floats and, with one rounding only, for doubles. `finite_end`: bits of infinity, whose lower neighbour rounds up from halfway.
 */
static void check_rounding(ir_dtype dtype, uint16_t finite_end, float (*widen)(uint16_t), uint16_t (*narrow)(float)) {
    double step_of_last = (double)widen((uint16_t)(finite_end - 1)) - (double)widen((uint16_t)(finite_end - 2));
    for (uint32_t sign = 0; sign <= 0x8000u; sign += 0x8000u) {
        for (uint32_t low = sign; low < (sign | finite_end); low++) {
            uint16_t a = (uint16_t)low, b = (uint16_t)(low + 1), even = a % 2 == 0 ? a : b;
            double x = (double)widen(a), y = (double)widen(b);
            if (b == (sign | finite_end)) y = x + (sign ? -step_of_last : step_of_last);
            double middle = (x + y) / 2;
            check_bits("stored", x, stored_bits(dtype, x), a);
            check_bits("stored", middle, stored_bits(dtype, middle), even);
            check_bits("stored", middle, stored_bits(dtype, nextafter(middle, x)), a);
            check_bits("stored", middle, stored_bits(dtype, nextafter(middle, y)), b);
            check_bits("converted", x, narrow((float)x), a);
            if ((double)(float)middle != middle) continue;
            check_bits("converted", middle, narrow((float)middle), even);
            check_bits("converted", middle, narrow(nextafterf((float)middle, (float)x)), a);
            check_bits("converted", middle, narrow(nextafterf((float)middle, (float)y)), b);
        }
    }
    check_bits("stored", 1e300, stored_bits(dtype, 1e300), finite_end);
    check_bits("stored", -1e300, stored_bits(dtype, -1e300), finite_end | 0x8000u);
    check_bits("stored", INFINITY, stored_bits(dtype, (double)INFINITY), finite_end);
    check_bits("stored", 1e-300, stored_bits(dtype, 1e-300), 0);
    check_bits("stored", -1e-300, stored_bits(dtype, -1e-300), 0x8000u);
}

static void f16_rounds_to_nearest_even(void **state) {
    (void)state;
    check_rounding(IR_F16, 0x7c00, f16_to_float, float_to_f16);
    assert_true(f16_to_float(0x3c00) == 1.0f);
    assert_true(f16_to_float(0x0001) == 0x1p-24f);
    assert_true(f16_to_float(0x7bff) == 65504.0f);
    assert_true(signbit(f16_to_float(0x8000)));
}

static void bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    check_rounding(IR_BF16, 0x7f80, bf16_to_float, float_to_bf16);
    assert_true(bf16_to_float(0x3f80) == 1.0f);
    assert_true(bf16_to_float(0xc040) == -3.0f);
}

static void nan_stays_nan(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000u; bits++) {
        float h = f16_to_float((uint16_t)bits), b = bf16_to_float((uint16_t)bits);
        assert_int_equal(isnan(h) != 0, (bits & 0x7fffu) > 0x7c00u);
        assert_int_equal(isnan(b) != 0, (bits & 0x7fffu) > 0x7f80u);
        if (isnan(h)) assert_true(isnan(f16_to_float(float_to_f16(h))) && (float_to_f16(h) >> 15) == bits >> 15);
        if (isnan(b)) assert_true(isnan(bf16_to_float(float_to_bf16(b))) && (float_to_bf16(b) >> 15) == bits >> 15);
    }
    uint32_t low_nan = 0x7f800001u; /* its upper half alone would be an infinity */
    float f;
    memcpy(&f, &low_nan, sizeof f);
    assert_true(isnan(bf16_to_float(float_to_bf16(f))));
    assert_true(isnan(f16_to_float(float_to_f16(f))));
    assert_true(isnan(f16_to_float(stored_bits(IR_F16, (double)NAN))));
    assert_true(isnan(bf16_to_float(stored_bits(IR_BF16, (double)NAN))));
}

typedef struct int_case {
    ir_dtype dtype;
    double value;
    int64_t wanted;
} int_case;

static void integers_round_and_saturate(void **state) {
    (void)state;
    const int_case cases[] = {
        {IR_I8, 2.5, 2},
        {IR_I8, 3.5, 4},
        {IR_I8, -2.5, -2},
        {IR_I8, 127.4, 127},
        {IR_I8, 1e9, 127},
        {IR_I8, -1e9, -128},
        {IR_I8, NAN, 0},
        {IR_U8, -0.6, 0},
        {IR_U8, 255.5, 255},
        {IR_U8, 200, 200},
        {IR_I4, 7.4, 7},
        {IR_I4, 8, 7},
        {IR_I4, -9, -8},
        {IR_I4, -1, -1},
        {IR_I16, 40000, 32767},
        {IR_I16, -40000, -32768},
        {IR_I32, 3e9, INT32_MAX},
        {IR_I32, -3e9, INT32_MIN},
        {IR_I64, 1e19, INT64_MAX},
        {IR_I64, -1e19, INT64_MIN},
        {IR_I64, INFINITY, INT64_MAX},
        {IR_I64, -INFINITY, INT64_MIN},
        {IR_I64, 0x1p62, INT64_C(1) << 62},
        {IR_BOOL, 0.25, 1},
        {IR_BOOL, 0, 0},
        {IR_BOOL, -3, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ir_tensor t = new_tensor(cases[i].dtype, 3);
        for (int64_t at = 0; at < 3; at++) {
            tensor_set(&t, at, cases[i].value);
            int64_t got = tensor_get_int(&t, at);
            if (got != cases[i].wanted || tensor_get(&t, at) != (double)cases[i].wanted)
                fail_msg("%s of %g is %lld, wanted %lld", dtype_name(cases[i].dtype), cases[i].value, (long long)got,
                         (long long)cases[i].wanted);
        }
        tensor_set(&t, 1, 0); /* neighbours keep theirs */
        assert_int_equal(tensor_get_int(&t, 0), cases[i].wanted);
        assert_int_equal(tensor_get_int(&t, 2), cases[i].wanted);
        tensor_free(&t);
    }
}

static void four_bits_are_packed_low_nibble_first(void **state) {
    (void)state;
    ir_tensor t = new_tensor(IR_I4, 5);
    assert_int_equal(tensor_bytes(&t), 3);
    for (int64_t i = 0; i < 5; i++) tensor_set_int(&t, i, i - 3);
    const uint8_t wanted[3] = {0xed, 0x0f, 0x01}; /* -3 -2, -1 0, 1 */
    assert_memory_equal(t.data, wanted, 3);
    for (int64_t i = 0; i < 5; i++) assert_int_equal(tensor_get_int(&t, i), i - 3);
    tensor_free(&t);
}

/* A 64-bit integer just above the middle of two floats goes up, though the nearest double is the middle. */
static void large_integers_round_once(void **state) {
    (void)state;
    const struct {
        ir_dtype dtype;
        int64_t value;
        double wanted;
    } cases[] = {
        {IR_BF16, (INT64_C(1) << 62) + (INT64_C(1) << 54), 0x1p62},
        {IR_BF16, (INT64_C(1) << 62) + (INT64_C(1) << 54) + 1, 0x1p62 + 0x1p55},
        {IR_BF16, -(INT64_C(1) << 62) - (INT64_C(1) << 54) - 1, -0x1p62 - 0x1p55},
        {IR_F32, (INT64_C(1) << 62) + (INT64_C(1) << 38) + 1, 0x1p62 + 0x1p39},
        {IR_F32, INT64_MAX, 0x1p63},
        {IR_F32, INT64_MIN, -0x1p63},
        {IR_F64, INT64_MAX, 0x1p63},
        {IR_F16, INT64_MAX, INFINITY},
        {IR_F16, 2049, 2048},
        {IR_F16, -7, -7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ir_tensor t = new_tensor(cases[i].dtype, 1);
        tensor_set_int(&t, 0, cases[i].value);
        double got = tensor_get(&t, 0);
        if (got != cases[i].wanted) fail_msg("case %zu: %.17g, wanted %.17g", i, got, cases[i].wanted);
        tensor_free(&t);
    }
    ir_tensor f = new_tensor(IR_F64, 2);
    tensor_set(&f, 0, 2.5);
    tensor_set(&f, 1, 1e300);
    assert_int_equal(tensor_get_int(&f, 0), 2);
    assert_true(tensor_get_int(&f, 1) == INT64_MAX);
    tensor_free(&f);
}

static void runs_equal_single_elements(void **state) {
    (void)state;
    for (int d = 0; d < IR_N_DTYPES; d++) {
        ir_tensor t = new_tensor((ir_dtype)d, 9), u = new_tensor((ir_dtype)d, 9);
        double values[5] = {0.3, -2.5, 7, 1e6, -0.0}, back[5] = {0};
        for (int64_t i = 0; i < 5; i++) tensor_set(&t, 3 + i, values[i]);
        tensor_set_run(&u, 3, 5, values);
        assert_memory_equal(t.data, u.data, tensor_bytes(&t));
        tensor_get_run(&u, 3, 5, back);
        for (int64_t i = 0; i < 5; i++)
            if (back[i] != tensor_get(&t, 3 + i)) fail_msg("%s[%lld] is %g", dtype_name((ir_dtype)d), (long long)i, back[i]);
        tensor_get_run(&u, 9, 0, NULL);
        tensor_set_run(&u, 9, 0, NULL);
        tensor_free(&t);
        tensor_free(&u);
    }
}

static void sizes_and_memory(void **state) {
    (void)state;
    ir_tensor t;
    const int64_t dims[4] = {2, 3, 5, 7}, huge[2] = {INT64_MAX / 2, 4}, negative[1] = {-1}, empty[3] = {INT64_MAX, INT64_MAX, 0};
    assert_int_equal(tensor_alloc(IR_F32, 4, dims, &t), POFAC_OK);
    assert_int_equal(tensor_elements(&t), 210);
    assert_int_equal(tensor_bytes(&t), 840);
    assert_int_equal((uintptr_t)t.data % 64, 0);
    for (int64_t i = 0; i < 210; i++) assert_true(tensor_get(&t, i) == 0);
    tensor_free(&t);
    assert_null(t.data);
    tensor_free(&t);

    assert_int_equal(tensor_alloc(IR_F32, 2, huge, &t), POFAC_ERR_RUNTIME);
    assert_int_equal(tensor_alloc(IR_I8, 2, huge, &t), POFAC_ERR_RUNTIME);
    assert_int_equal(tensor_alloc(IR_F32, 1, huge, &t), POFAC_ERR_RUNTIME);
    assert_int_equal(tensor_alloc(IR_F32, 1, negative, &t), POFAC_ERR_RUNTIME);
    assert_int_equal(tensor_alloc(IR_F32, 5, dims, &t), POFAC_ERR_RUNTIME);
    assert_int_equal(tensor_alloc(IR_F32, 3, empty, &t), POFAC_OK);
    assert_null(t.data);
    assert_int_equal(tensor_bytes(&t), 0);
    tensor_free(&t);
    assert_int_equal(tensor_alloc(IR_F32, 0, NULL, &t), POFAC_OK);
    assert_int_equal(tensor_elements(&t), 1);
    tensor_free(&t);

    float data[6] = {1, 2, 3, 4, 5, 6};
    const int64_t shape[2] = {2, 3};
    ir_tensor view = tensor_view(IR_F32, 2, shape, data);
    assert_false(view.owned);
    assert_int_equal(tensor_clone(&view, &t), POFAC_OK);
    data[4] = 50;
    assert_true(tensor_get(&view, 4) == 50);
    assert_true(tensor_get(&t, 4) == 5);
    tensor_free(&view); /* leaves the data alone */
    assert_true(data[0] == 1);
    tensor_free(&t);
}

static void patterns_are_cloned_with_their_arrays(void **state) {
    (void)state;
    int64_t row_start[4] = {0, 2, 2, 3};
    int32_t column[3] = {0, 4, 1};
    const ir_pattern p = {.n_rows = 3, .n_columns = 5, .nnz = 3, .row_start = row_start, .column = column};
    const ir_tensor t = {.rank = 2, .dims = {3, 5}, .pattern = &p};
    assert_int_equal(tensor_bytes(&t), 0);
    ir_tensor copy;
    assert_int_equal(tensor_clone(&t, &copy), POFAC_OK);
    row_start[1] = 99;
    column[2] = 99;
    assert_int_equal(copy.pattern->nnz, 3);
    assert_int_equal(copy.pattern->n_rows, 3);
    assert_int_equal(copy.pattern->n_columns, 5);
    assert_int_equal(copy.pattern->row_start[1], 2);
    assert_int_equal(copy.pattern->row_start[3], 3);
    assert_int_equal(copy.pattern->column[2], 1);
    tensor_free(&copy);
    assert_null(copy.pattern);

    fail_alloc_after(1);
    assert_int_equal(tensor_clone(&t, &copy), POFAC_ERR_RUNTIME);
    assert_true(fail_alloc_stop());
    tensor_free(&copy); /* frees nothing of the original */
    const int64_t n = 4;
    fail_alloc_after(1);
    assert_int_equal(tensor_alloc(IR_F32, 1, &n, &copy), POFAC_ERR_RUNTIME);
    assert_true(fail_alloc_stop());
}

/* Of either sign, of every format of weights, at any address, around the length of a block; the smallest numbers are none. */
static void zeros_are_counted(void **state) {
    (void)state;
    static const ir_dtype dtypes[] = {IR_F32, IR_F16, IR_BF16, IR_F64, IR_I8};
    static const int64_t sizes[] = {0, 1, 1023, 1024, 1025, 3000};
    static char room[8 * 3000 + 1];
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            ir_tensor t = new_tensor(dtypes[d], sizes[s]);
            int64_t wanted = 0;
            for (int64_t i = 0; i < sizes[s]; i++) {
                const double values[] = {0.0, -0.0, dtypes[d] == IR_F16 ? 0x1p-24 : dtypes[d] == IR_I8 ? 1 : 0x1p-133, -1.5, NAN};
                size_t which = (size_t)(i * 7 + i / 5) % (dtypes[d] == IR_I8 ? 4 : 5);
                tensor_set(&t, i, values[which]);
                wanted += which < 2;
            }
            if (sizes[s]) memcpy(room + 1, t.data, tensor_bytes(&t));
            const ir_tensor shifted = tensor_view(dtypes[d], 1, &sizes[s], room + 1);
            assert_int_equal(tensor_count_zeros(&t), wanted);
            assert_int_equal(tensor_count_zeros(&shifted), wanted);
            tensor_free(&t);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(integers_round_and_saturate),
        cmocka_unit_test(four_bits_are_packed_low_nibble_first),
        cmocka_unit_test(large_integers_round_once),
        cmocka_unit_test(runs_equal_single_elements),
        cmocka_unit_test(zeros_are_counted),
        cmocka_unit_test(sizes_and_memory),
        cmocka_unit_test(patterns_are_cloned_with_their_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
