/* Choices that are noted, read as pins, are the same choices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "frontend/driver/kernel_choices.h"
#include "frontend/driver/kernel_pins.h"
#include "tests/unit/fail_alloc.h"

#define GRADIENTS (1u << PRODUCT_INPUT_GRADIENT | 1u << PRODUCT_WEIGHT_GRADIENT)

static const linear_problem problems[] = {
    {.name = "plain", .N = 8, .K = 8},
    {.name = "a.sparse", .N = 8, .K = 8, .may_be_sparse = true},
    {.name = "a(sparse+)*[x]", .N = 8, .K = 8, .may_be_sparse = true, .gradients = GRADIENTS},
    {.name = "a.sparse.too", .N = 8, .K = 8, .may_be_sparse = true, .gradients = GRADIENTS},
    {.name = "apart", .N = 8, .K = 8, .gradients = GRADIENTS},
    {.name = "alone", .N = 8, .K = 8, .gradients = GRADIENTS},
    {.name = "by the rule", .N = 8, .K = 8, .may_be_sparse = true, .nnz = 1, .gradients = GRADIENTS},
    {.name = "first", .N = 8, .K = 8, .gradients = 1u << PRODUCT_WEIGHT_GRADIENT},
    {.name = "in integers", .N = 8, .K = 8, .integers = true},
};
#define N_PROBLEMS (sizeof problems / sizeof *problems)

static const linear_choice answers[N_PROBLEMS] = {
    {.variant = "linear panel=4"},
    {.variant = "sparse_linear tile=16", .sparse = true},
    {.variant = "sparse_linear tile=16",
     .input_gradient = "sparse_linear tile=16 k_block=64",
     .weight_gradient = "sparse_weight_gradient tile=16",
     .sparse = true},
    {.variant = "sparse_linear tile=16", .input_gradient = "", .sparse = true},
    {.variant = "blas_linear tile=16", .input_gradient = "linear tile=16", .weight_gradient = "weight_gradient tile=16"},
    {.input_gradient = "linear tile=16"},
    {.sparse = true},
    {.variant = "linear tile=16", .weight_gradient = "weight_gradient tile=16"},
    {.variant = "int8_linear tile=16"},
};

static pofac_status answer(void *user, const linear_problem *asked, size_t n, const diag_sink *sink, linear_choice *out) {
    (void)asked, (void)user, (void)sink;
    memcpy(out, answers, n * sizeof *out);
    return POFAC_OK;
}

static pofac_status note(strbuf *out) {
    linear_choice c[N_PROBLEMS];
    const cost_source rest = {answer, NULL};
    kernel_choices noted = {&rest, out};
    const cost_source source = kernel_choices_source(&noted);
    return source.choose(source.user, problems, N_PROBLEMS, NULL, c);
}

static void notes_are_pins(void **state) {
    (void)state;
    strbuf text = STRBUF_INIT;
    kernel_pins *pins;
    linear_choice c[N_PROBLEMS];
    assert_int_equal(note(&text), POFAC_OK);
    assert_string_equal(strbuf_str(&text), "^plain$:linear panel=4\n"
                                           "^a\\.sparse$:sparse_linear tile=16\n"
                                           "^a\\(sparse\\+\\)\\*\\[x\\]$:sparse_linear tile=16\n"
                                           "^a\\(sparse\\+\\)\\*\\[x\\]$:input_gradient sparse_linear tile=16 k_block=64\n"
                                           "^a\\(sparse\\+\\)\\*\\[x\\]$:sparse_weight_gradient tile=16\n"
                                           "^a\\.sparse\\.too$:sparse_linear tile=16\n"
                                           "^a\\.sparse\\.too$:input_gradient\n"
                                           "^apart$:blas_linear tile=16\n"
                                           "^apart$:input_gradient linear tile=16\n"
                                           "^apart$:weight_gradient tile=16\n"
                                           "^alone$:input_gradient linear tile=16\n"
                                           "^first$:linear tile=16\n"
                                           "^first$:weight_gradient tile=16\n"
                                           "^in integers$:int8_linear tile=16");
    assert_int_equal(kernel_pins_parse(strbuf_str(&text), NULL, &pins), POFAC_OK);
    assert_int_equal(kernel_pins_tile(pins), 16);
    const cost_source source = kernel_pins_source(pins);
    assert_int_equal(source.choose(source.user, problems, N_PROBLEMS, NULL, c), POFAC_OK);
    for (size_t i = 0; i < N_PROBLEMS; i++) {
        assert_string_equal(c[i].variant, answers[i].variant);
        assert_string_equal(c[i].input_gradient, answers[i].input_gradient);
        assert_string_equal(c[i].weight_gradient, answers[i].weight_gradient);
        if (c[i].sparse != answers[i].sparse) fail_msg("%s: found sparse %d", problems[i].name, c[i].sparse);
    }
    strbuf_clear(&text); /* and choices by pins are noted as they were */
    kernel_choices again = {&source, &text};
    const cost_source noted = kernel_choices_source(&again);
    strbuf first = STRBUF_INIT;
    assert_int_equal(note(&first), POFAC_OK);
    assert_int_equal(noted.choose(noted.user, problems, N_PROBLEMS, NULL, c), POFAC_OK);
    assert_string_equal(strbuf_str(&text), strbuf_str(&first));
    strbuf_free(&first);
    strbuf_free(&text);
    kernel_pins_destroy(pins);
}

/* A pin of one kind of product is none for the other. */
static void pins_know_integers(void **state) {
    (void)state;
    static const linear_problem both[] = {{.name = "w", .N = 8, .K = 8}, {.name = "w", .N = 8, .K = 8, .integers = true}};
    kernel_pins *pins;
    linear_choice c[2];
    assert_int_equal(kernel_pins_parse("linear panel=4\nint8_linear tile=16", NULL, &pins), POFAC_OK);
    const cost_source source = kernel_pins_source(pins);
    assert_int_equal(source.choose(source.user, both, 2, NULL, c), POFAC_OK);
    assert_string_equal(c[0].variant, "linear panel=4");
    assert_string_equal(c[1].variant, "int8_linear tile=16");
    kernel_pins_destroy(pins);
}

static void failing_allocations_are_reported(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        strbuf text = STRBUF_INIT;
        fail_alloc_after(n);
        const pofac_status status = note(&text);
        const bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        strbuf_free(&text);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(notes_are_pins), cmocka_unit_test(pins_know_integers),
                                       cmocka_unit_test(failing_allocations_are_reported)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
