/* Patterns of pruned weights against their dense form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "ir/support/rng.h"
#include "runtime/pattern_state.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/text_case.h"

static void check_pattern(ir_dtype dtype, int64_t n, int64_t k, uint64_t zeros_of_8) {
    named_tensors state = {.what = "state"};
    rng_key key = rng_key_make(3, "sparse");
    ir_tensor *w = named_tensors_add(&state, "w", dtype, 2, (int64_t[]){n, k}), found, values;
    for (int64_t i = 0; i < n * k; i++)
        if (rng_below(key, (uint64_t)i, 8) >= zeros_of_8) tensor_set(w, i, (double)(i % 100) + 1);
    tensor_source source = named_tensors_source(&state);
    pattern_state *p = pattern_state_create();
    assert_int_equal(pattern_state_pattern(p, "w", &source, NULL, &found), POFAC_OK);
    assert_int_equal(found.rank, 2);
    assert_int_equal(found.dims[0], n);
    assert_int_equal(found.dims[1], k);
    const ir_pattern *q = found.pattern;
    assert_int_equal(tensor_alloc(IR_F32, 1, &q->nnz, &values), POFAC_OK);
    pattern_take(q, w, &values);
    int64_t at = 0;
    for (int64_t r = 0; r < n; r++) {
        assert_int_equal(q->row_start[r], at);
        for (int64_t c = 0; c < k; c++) {
            if (tensor_get(w, r * k + c) == 0) continue;
            if (at >= q->nnz || q->column[at] != c)
                fail_msg("%s [%d,%d]: non-zero %d is not at (%d,%d)", dtype_name(dtype), (int)n, (int)k, (int)at, (int)r, (int)c);
            assert_true(tensor_get(&values, at) == tensor_get(w, r * k + c));
            at++;
        }
    }
    assert_int_equal(q->row_start[n], at);
    assert_int_equal(q->nnz, at);
    tensor_free(&values);
    pattern_state_destroy(p);
    named_tensors_free(&state);
}

static void patterns_are_the_non_zeros(void **unused) {
    (void)unused;
    static const ir_dtype dtypes[] = {IR_F32, IR_F64, IR_F16, IR_BF16, IR_I8, IR_U8};
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++)
        for (uint64_t zeros = 0; zeros <= 8; zeros += 4) {
            check_pattern(dtypes[d], 1, 1, zeros);
            check_pattern(dtypes[d], 3, 17, zeros);
            check_pattern(dtypes[d], 17, 3, zeros);
            check_pattern(dtypes[d], 2, 1025, zeros); /* rows are read in pieces */
        }
}

static void zeros_have_two_signs_and_nan_is_none(void **unused) {
    (void)unused;
    const double w[4] = {-0.0, 1e-40, NAN, 0};
    named_tensors state = {.what = "state"};
    named_tensors_add_doubles(&state, "w", IR_F32, 2, (int64_t[]){2, 2}, w);
    tensor_source source = named_tensors_source(&state);
    pattern_state *p = pattern_state_create();
    ir_tensor t;
    assert_int_equal(pattern_state_pattern(p, "w", &source, NULL, &t), POFAC_OK);
    assert_int_equal(t.pattern->nnz, 2);
    assert_int_equal(t.pattern->column[0], 1);
    assert_int_equal(t.pattern->column[1], 0);
    pattern_state_destroy(p);
    named_tensors_free(&state);
}

/* A name is read once, also when other names come after it; the pattern does not move. */
static void patterns_are_kept(void **unused) {
    (void)unused;
    named_tensors state = {.what = "state"};
    char name[8] = "w0";
    ir_tensor first, again;
    for (int i = 0; i < 20; i++) {
        name[1] = (char)('a' + i);
        tensor_set(named_tensors_add(&state, name, IR_F32, 2, (int64_t[]){2, 2}), i % 4, 1);
    }
    tensor_source source = named_tensors_source(&state);
    pattern_state *p = pattern_state_create();
    assert_int_equal(pattern_state_pattern(p, "wa", &source, NULL, &first), POFAC_OK);
    for (int i = 1; i < 20; i++) {
        name[1] = (char)('a' + i);
        assert_int_equal(pattern_state_pattern(p, name, &source, NULL, &again), POFAC_OK);
        assert_int_equal(again.pattern->column[0], i % 2);
    }
    named_tensors_free(&state);
    assert_int_equal(pattern_state_pattern(p, "wa", &source, NULL, &again), POFAC_OK);
    assert_ptr_equal(again.pattern, first.pattern);
    pattern_state_destroy(p);
    pattern_state_destroy(NULL);
}

static void unaligned_weights(void **unused) {
    (void)unused;
    _Alignas(16) char room[32];
    const float numbers[4] = {0, 2, 0, 4};
    named_tensors state = {.what = "state"};
    ir_tensor *w = named_tensors_add(&state, "w", IR_F32, 2, (int64_t[]){2, 2}), owner = *w, t;
    w->data = memcpy(room + 1, numbers, sizeof numbers);
    tensor_source source = named_tensors_source(&state);
    pattern_state *p = pattern_state_create();
    assert_int_equal(pattern_state_pattern(p, "w", &source, NULL, &t), POFAC_OK);
    assert_int_equal(t.pattern->nnz, 2);
    *w = owner;
    pattern_state_destroy(p);
    named_tensors_free(&state);
}

static void what_has_no_pattern(void **unused) {
    (void)unused;
    strbuf text = STRBUF_INIT;
    diag_sink sink = message_sink(&text);
    named_tensors state = {.what = "state"};
    named_tensors_add(&state, "b", IR_F32, 1, (int64_t[]){4});
    tensor_source source = named_tensors_source(&state);
    pattern_state *p = pattern_state_create();
    ir_tensor t;
    assert_int_equal(pattern_state_pattern(p, "b", &source, &sink, &t), POFAC_ERR_INPUT);
    assert_int_equal(pattern_state_pattern(p, "c", &source, &sink, &t), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&text), "b: found a tensor of rank 1, a pattern needs a matrix; state c is missing");
    pattern_state_destroy(p);
    named_tensors_free(&state);
    strbuf_free(&text);
}

static void failing_allocations(void **unused) {
    (void)unused;
    named_tensors state = {.what = "state"};
    ir_tensor *w = named_tensors_add(&state, "w", IR_F32, 2, (int64_t[]){2, 2});
    tensor_set(w, 1, 1);
    tensor_source source = named_tensors_source(&state);
    for (size_t n = 1;; n++) {
        ir_tensor t;
        fail_alloc_after(n);
        pattern_state *p = pattern_state_create();
        pofac_status status = p ? pattern_state_pattern(p, "w", &source, NULL, &t) : POFAC_ERR_RUNTIME;
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        if (p) assert_int_equal(pattern_state_pattern(p, "w", &source, NULL, &t), POFAC_OK); /* the next try succeeds */
        pattern_state_destroy(p);
        if (!failed) break;
    }
    named_tensors_free(&state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_the_non_zeros), cmocka_unit_test(zeros_have_two_signs_and_nan_is_none),
        cmocka_unit_test(patterns_are_kept),          cmocka_unit_test(unaligned_weights),
        cmocka_unit_test(what_has_no_pattern),        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
