/*
 * Kernels of the norm of gradients against the interpreter: sums of squares of tensors of many sizes and of non-zeros of patterns, the
 * factor that clips; on every instruction set of the machine, the same bits from 1 and 3 threads.
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

/* The interpreter's sum is rounded as the kernel's, from a number that differs by up to n 2^-52. */
#define RELATIVE 0x1.001p-23

static void check(named_tensors *inputs, named_tensors *state, const char *lines) {
    char text[1024];
    snprintf(text, sizeof text, "graph @g () {\n%s  return \"y\" = %%9\n}\n", lines);
    kernel_case c = {.text = text, .kernel = "sum_of_squares", .inputs = inputs, .state = state, .relative = RELATIVE};
    assert_int_equal(kernel_case_run(&c), 1);
}

/* From one part to all 64, with parts that are not full, and none. */
static void sums_of_every_size(void **unused) {
    (void)unused;
    static const int64_t sizes[] = {0, 1, 15, 16, 17, 1000, 4096, 4097, 70000, 262144, 262145, 300001};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        named_tensors inputs = {.what = "input"}, state = {.what = "state"};
        char lines[256];
        kernel_case_reals(&inputs, "x", 1, &sizes[i]);
        snprintf(lines, sizeof lines, "  %%1 = input {name = \"x\"} : f32[%lld]\n  %%9 = sum_of_squares %%1 : f32[]\n",
                 (long long)sizes[i]);
        check(&inputs, &state, lines);
        named_tensors_free(&inputs);
    }
}

static void sums_of_any_rank(void **unused) {
    (void)unused;
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    kernel_case_reals(&inputs, "x", 0, NULL);
    kernel_case_reals(&inputs, "y", 3, DIMS(30, 50, 11));
    check(&inputs, &state, "  %1 = input {name = \"x\"} : f32[]\n  %9 = sum_of_squares %1 : f32[]\n");
    check(&inputs, &state, "  %1 = input {name = \"y\"} : f32[30,50,11]\n  %9 = sum_of_squares %1 : f32[]\n");
    named_tensors_free(&inputs);
}

/* Non-zeros: of an empty pattern, of one of every seven elements, of all of them. */
static void sums_of_non_zeros(void **unused) {
    (void)unused;
    static const int64_t every[] = {0, 7, 1};
    for (size_t s = 0; s < N_OF(every); s++) {
        named_tensors inputs = {.what = "input"}, state = {.what = "state"};
        ir_tensor *w = kernel_case_reals(&state, "w", 2, DIMS(131, 170));
        for (int64_t i = 0; i < tensor_elements(w); i++)
            if (every[s] == 0 || i % every[s]) tensor_set(w, i, 0);
        check(&inputs, &state,
              "  %1 = pattern {name = \"w\"} : pattern[131,170]\n"
              "  %2 = state {name = \"w\"} : f32[nnz(%1)]\n"
              "  %9 = sum_of_squares %2 : f32[]\n");
        named_tensors_free(&state);
    }
}

/* Elements of 2^65 have squares that are no f32, but their sum is infinite as the interpreter's is; of 2^-70, squares that are 0 in f32,
 * though 2^20 of them are not. */
static void squares_beyond_f32(void **unused) {
    (void)unused;
    static const double elements[] = {0x1p65, 0x1p-70, 0x1p63};
    for (size_t i = 0; i < N_OF(elements); i++) {
        named_tensors inputs = {.what = "input"}, state = {.what = "state"};
        const int64_t n = INT64_C(1) << 20;
        ir_tensor *x = named_tensors_add(&inputs, "x", IR_F32, 1, &n);
        for (int64_t j = 0; j < (i == 2 ? 3 : n); j++) tensor_set(x, j, elements[i]);
        check(&inputs, &state, "  %1 = input {name = \"x\"} : f32[1048576]\n  %9 = sum_of_squares %1 : f32[]\n");
        named_tensors_free(&inputs);
    }
}

/* The norm of two gradients and its factor, as the pass `optimizer` writes them: sums from several tensors, one of them twice. */
static void norm_and_factor(void **unused) {
    (void)unused;
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    kernel_case_reals(&inputs, "x", 2, DIMS(70, 90));
    kernel_case_reals(&inputs, "y", 1, DIMS(33));
    kernel_case c = {.text = "graph @g () {\n"
                             "  %1 = input {name = \"x\"} : f32[70,90]\n"
                             "  %2 = input {name = \"y\"} : f32[33]\n"
                             "  %3 = sum_of_squares %1 : f32[]\n"
                             "  %4 = sum_of_squares %2 : f32[]\n"
                             "  %5 = add %3, %4 : f32[]\n"
                             "  %6 = sum_of_squares %1 : f32[]\n"
                             "  %7 = add %5, %6 : f32[]\n"
                             "  %8 = sqrt %7 : f32[]\n"
                             "  %9 = clip_factor %8 {max_norm = 1.5} : f32[]\n"
                             "  return \"norm\" = %8, \"factor\" = %9\n"
                             "}\n",
                     .kernel = "clip_factor",
                     .inputs = &inputs,
                     .state = &state,
                     .relative = 4 * RELATIVE};
    assert_int_equal(kernel_case_run(&c), 2);
    named_tensors_free(&inputs);
}

static void factors(void **unused) {
    (void)unused;
    static const double norms[] = {0, 1e-30, 0.5, 1.999999, 2, 2.000001, 3, 1e30, INFINITY, NAN};
    const int64_t n = N_OF(norms);
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    named_tensors_add_doubles(&inputs, "norms", IR_F32, 1, &n, norms);
    kernel_case_reals(&inputs, "many", 1, DIMS(5000));
    kernel_case c = {.text = "graph @g () {\n"
                             "  %1 = input {name = \"norms\"} : f32[10]\n"
                             "  %2 = clip_factor %1 {max_norm = 2} : f32[10]\n"
                             "  %3 = input {name = \"many\"} : f32[5000]\n"
                             "  %4 = clip_factor %3 {max_norm = 0.25} : f32[5000]\n"
                             "  return \"factors\" = %2, \"many\" = %4\n"
                             "}\n",
                     .kernel = "clip_factor",
                     .inputs = &inputs,
                     .state = &state,
                     .relative = 0x1p-23};
    assert_int_equal(kernel_case_run(&c), 5010);
    named_tensors_free(&inputs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_every_size), cmocka_unit_test(sums_of_any_rank), cmocka_unit_test(sums_of_non_zeros),
        cmocka_unit_test(squares_beyond_f32), cmocka_unit_test(norm_and_factor),  cmocka_unit_test(factors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
