/*
 * The kernel cast_bf16 against the interpreter, exactly: ties, infinities, NaNs, denormals, what overflows, and random bits, in rows; and
 * tiles that are not full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ir/support/rng.h"
#include "tests/unit/codegen/kernel_case.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

static const uint32_t special[] = {0x00000000, 0x80000000, 0x00000001, 0x00008000, 0x00008001, 0x00018000, 0x0000ffff, 0x3f808000,
                                   0x3f818000, 0x3f808001, 0x7f7fffff, 0x7f7f7fff, 0x7f800000, 0xff800000, 0x7f800001, 0x7fbfffff,
                                   0x7fc00000, 0xffc00001, 0xff80ffff, 0x007fffff, 0x807f8000, 0x33800000, 0xc2f78000};

/* Special numbers, then any bits. */
static ir_tensor *add_special(named_tensors *to, int64_t rows, int64_t columns) {
    const rng_key key = rng_key_make(3, "bits");
    ir_tensor *x = named_tensors_add(to, "x", IR_F32, 2, DIMS(rows, columns));
    for (int64_t i = 0; i < rows * columns; i++) {
        const uint32_t bits =
            (size_t)i < sizeof special / sizeof *special ? special[i] : (uint32_t)rng_below(key, (uint64_t)i, 1ull << 32);
        memcpy((char *)x->data + 4 * i, &bits, sizeof bits);
    }
    return x;
}

static void run(const char *text, named_tensors *inputs, int64_t count) {
    named_tensors state = {.what = "state"};
    const kernel_case c = {.text = text, .kernel = "cast_bf16", .inputs = inputs, .state = &state};
    const int64_t compared = kernel_case_run(&c);
    if (compared != count) fail_msg("%d elements were compared, wanted %d", (int)compared, (int)count);
    named_tensors_free(inputs);
}

static void rows_of_all_kinds(void **state) {
    (void)state;
    for (int64_t columns = 1; columns < 40; columns += 7) {
        named_tensors inputs = {.what = "input"};
        strbuf text = STRBUF_INIT;
        add_special(&inputs, 700, columns);
        const int n = (int)columns;
        strbuf_printf(&text,
                      "graph @g (T <= 1024) {\n  %%1 = input {name = \"x\"} : f32[T,%d]\n  %%2 = cast %%1 : bf16[T,%d]\n"
                      "  %%3 = cast %%2 : f32[T,%d]\n  return \"half\" = %%2, \"back\" = %%3\n}\n",
                      n, n, n);
        run(strbuf_str(&text), &inputs, 2 * 700 * columns);
        strbuf_free(&text);
    }
}

static void tiles_of_odd_sizes(void **state) {
    (void)state;
    static const int sizes[][3] = {{1, 1, 16}, {33, 5, 32}, {64, 48, 64}, {100, 7, 16}, {31, 130, 32}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int R = sizes[i][0], E = sizes[i][1], W = sizes[i][2];
        named_tensors inputs = {.what = "input"};
        strbuf text = STRBUF_INIT;
        kernel_case_reals(&inputs, "x", 2, DIMS(R, E));
        strbuf_printf(
            &text,
            "graph @g (T <= 1024) {\n  %%1 = input {name = \"x\"} : f32[T,%d]\n  %%2 = relayout %%1 : f32[T,%d] tiles<%d>\n"
            "  %%3 = cast %%2 : bf16[T,%d] tiles<%d>\n  %%4 = cast %%3 : f32[T,%d] tiles<%d>\n"
            "  %%5 = relayout %%4 : f32[T,%d]\n  return \"back\" = %%5\n}\n",
            E, E, W, E, W, E, W, E);
        run(strbuf_str(&text), &inputs, (int64_t)R * E);
        strbuf_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_all_kinds),
        cmocka_unit_test(tiles_of_odd_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
