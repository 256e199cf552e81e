/* Values in tiles and quads of types that no kernel takes: evaluators compute them, whatever lies in the tiles past the last row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/codegen/kernel_case.h"

/* 37 rows are two tiles and a part; 7 features a quad and a part. */
static void evaluators_take_tiles_and_quads(void **unused) {
    (void)unused;
    static const char text[] = "graph @g (T <= 64) {\n"
                               "  %1 = input {name = \"x\"} : f32[T,7]\n"
                               "  %2 = input {name = \"b\"} : u8[T,7]\n"
                               "  %3 = cast %1 : f64[T,7]\n"
                               "  %4 = relayout %3 : f64[T,7] tiles<16>\n"
                               "  %5 = relu %4 : f64[T,7] tiles<16>\n"
                               "  %6 = slice %5 {begin = 2, end = 5} : f64[T,3] tiles<16>\n"
                               "  %7 = relayout %2 : u8[T,7] quads<16>\n"
                               "  %8 = relayout %7 : u8[T,7] tiles<32>\n"
                               "  %9 = relayout %6 : f64[T,3]\n"
                               "  %10 = relayout %8 : u8[T,7]\n"
                               "  %11 = cast %9 : f32[T,3]\n"
                               "  %12 = cast %10 : f32[T,7]\n"
                               "  return \"y\" = %11, \"bytes\" = %12\n}\n";
    const int64_t dims[] = {37, 7};
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    kernel_case_reals(&inputs, "x", 2, dims);
    kernel_case_integers(&inputs, "b", IR_U8, 2, dims, 256);
    const kernel_case c = {.text = text, .pipeline = "plan-memory", .evaluators = true, .inputs = &inputs, .state = &state};
    assert_int_equal(kernel_case_run(&c), 37 * 10);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(evaluators_take_tiles_and_quads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
