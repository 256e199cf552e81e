/* Why kernels were chosen: what is asked, what is noted, and how it is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include <string.h>

#include "frontend/driver/kernel_reasons.h"
#include "tests/unit/fail_alloc.h"

#define SIDE 1024
#define ALL ((int64_t)SIDE * SIDE)

/* In floats and in integers: fast where zeros are passed over, without a gain, and slower than f32. */
static const linear_problem problems[] = {
    {.name = "wins", .N = SIDE, .K = SIDE, .n_rows = 128, .nnz = ALL / 10, .may_be_sparse = true},
    {.name = "wins.too", .N = SIDE, .K = SIDE, .n_rows = 128, .nnz = ALL / 10 + 9, .may_be_sparse = true},
    {.name = "loses", .N = SIDE, .K = SIDE, .n_rows = 128, .nnz = ALL * 7 / 10, .may_be_sparse = true},
    {.name = "full", .N = SIDE, .K = SIDE, .n_rows = 128, .nnz = ALL},
    {.name = "slow", .N = SIDE, .K = SIDE, .n_rows = 128, .nnz = ALL / 10, .may_be_sparse = true, .integers = true},
    {.name = "pinned", .N = SIDE, .K = SIDE, .n_rows = 128, .nnz = ALL / 10, .may_be_sparse = true},
    {.name = "small", .N = 8, .K = 8, .n_rows = 128, .nnz = 8, .may_be_sparse = true},
};
#define N_PROBLEMS (sizeof problems / sizeof *problems)

/* The answers of a clock, by the name of the weight; products in floats of "slow" take less. */
static pofac_status answer(void *user, const linear_problem *asked, size_t n, const diag_sink *sink, linear_choice *out) {
    (void)sink;
    *(size_t *)user += n;
    for (size_t i = 0; i < n; i++) {
        const char *name = asked[i].name;
        out[i] = cost_by_rule(&asked[i]);
        if (strncmp(name, "wins", 4) == 0)
            out[i] = (linear_choice){"sparse_linear tile=32", .sparse = true,          .measured = true,
                                     .seconds = 1e-3,         .dense_seconds = 2.5e-3, .sparse_seconds = 1e-3};
        else if (strcmp(name, "loses") == 0)
            out[i] =
                (linear_choice){"linear tile=32", .measured = true, .seconds = 2e-3, .dense_seconds = 2e-3, .sparse_seconds = 3e-3};
        else if (strcmp(name, "full") == 0)
            out[i] = (linear_choice){"linear tile=32", .measured = true, .seconds = 2e-3, .dense_seconds = 2e-3};
        else if (strcmp(name, "slow") == 0)
            out[i] = (linear_choice){"int8_linear tile=32", .measured = true, .seconds = asked[i].integers ? 4e-3 : 1e-3,
                                     .dense_seconds = 4e-3, .sparse_seconds = 5e-3};
        else if (strcmp(name, "pinned") == 0) out[i] = (linear_choice){"sparse_linear tile=64", .sparse = true};
    }
    return POFAC_OK;
}

static pofac_status ask(kernel_reasons *r, const cost_source *rest) {
    linear_choice c[N_PROBLEMS];
    r->rest = rest;
    const cost_source source = kernel_reasons_source(r);
    return source.choose(source.user, problems, N_PROBLEMS, NULL, c);
}

/* Reasons of answers, and room for a text about them. */
typedef struct reasons_case {
    arena memory;
    kernel_reasons r;
    strbuf text;
    size_t n_asked; /* problems that the clock was asked about */
} reasons_case;

static void begin(reasons_case *c, bool with_clock) {
    *c = (reasons_case){.memory = ARENA_INIT, .text = STRBUF_INIT};
    c->r.memory = &c->memory;
    const cost_source clock = {answer, &c->n_asked};
    assert_int_equal(ask(&c->r, with_clock ? &clock : NULL), POFAC_OK);
}

static void end(reasons_case *c) {
    strbuf_free(&c->text);
    kernel_reasons_free(&c->r);
    arena_free(&c->memory);
}

static const char *const wanted[] = {
    "measured, dense takes 2.50 times as long",
    "measured, passing over zeros takes 1.50 times as long",
    "measured",
    "measured, passing over zeros takes 1.25 times as long, f32 takes 0.25 times as long: 8 bits are slower here",
    "asked for",
    "by the rule that zeros are passed over from 50 % on; too small to measure",
};
#define N_WANTED (sizeof wanted / sizeof *wanted)

static void reasons_are_those_of_the_choices(void **unused) {
    (void)unused;
    reasons_case c;
    begin(&c, true);
    assert_int_equal(c.n_asked, N_PROBLEMS + 1); /* and the one in integers as well in floats */
    assert_int_equal(c.r.rows.size, N_WANTED);
    assert_int_equal(c.r.rows.data[0].n_weights, 2);
    for (size_t i = 0; i < N_WANTED; i++) {
        strbuf_clear(&c.text);
        kernel_reason_say(&c.r.rows.data[i], &c.text);
        assert_string_equal(strbuf_str(&c.text), wanted[i]);
    }
    strbuf_clear(&c.text);
    kernel_reasons_print(&c.r, &c.text);
    static const char *const lines[] = {
        "\n      2 [1024,1024]    90.0%    128    1.0000    2.5000    1.0000         -  sparse_linear tile=32: ",
        "\n      1 [1024,1024]    90.0%    128    4.0000    4.0000    5.0000    1.0000  int8_linear tile=32: ",
        "\n      1 [8,8]          87.5%    128         -         -         -         -  sparse_linear: by the rule"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(strbuf_str(&c.text), lines[i])) fail_msg("no %s in %s", lines[i], strbuf_str(&c.text));
    end(&c);
}

static void without_a_clock_the_rule_is_said(void **unused) {
    (void)unused;
    reasons_case c;
    begin(&c, false);
    kernel_reasons_print(&c.r, &c.text);
    static const char *const said[] = {"sparse_linear: by the rule that zeros are passed over from 50 % on; not measured\n",
                                       "linear: it has no zeros; not measured\n",
                                       "sparse_int8_linear: by the rule that zeros are passed over from 80 % on; not measured\n"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (!strstr(strbuf_str(&c.text), said[i])) fail_msg("no %s in %s", said[i], strbuf_str(&c.text));
    end(&c);
}

static void json_has_what_the_table_has(void **unused) {
    (void)unused;
    reasons_case c;
    begin(&c, true);
    strbuf_puts(&c.text, "{\"a\": 1");
    kernel_reasons_put_json(&c.r, &c.text);
    strbuf_puts(&c.text, "}");
    json_t *root = json_loads(strbuf_str(&c.text), 0, NULL), *all = json_object_get(root, "kernel_choices");
    assert_int_equal(json_array_size(all), N_WANTED);
    for (size_t i = 0; i < N_WANTED; i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(all, i), "why")), wanted[i]);
    const json_t *slow = json_array_get(all, 3);
    assert_string_equal(json_string_value(json_object_get(slow, "weight")), "slow");
    assert_true(json_number_value(json_object_get(slow, "f32_ms")) == 1 && json_number_value(json_object_get(slow, "ms")) == 4);
    assert_true(json_is_null(json_object_get(json_array_get(all, 0), "f32_ms")));
    json_decref(root);
    end(&c);
}

static void failing_allocations(void **unused) {
    (void)unused;
    for (size_t n = 1;; n++) {
        arena memory = ARENA_INIT;
        kernel_reasons r = {.memory = &memory};
        size_t n_asked = 0;
        const cost_source clock = {answer, &n_asked};
        fail_alloc_after(n);
        const pofac_status status = ask(&r, &clock);
        const bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        kernel_reasons_free(&r);
        arena_free(&memory);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_are_those_of_the_choices),
        cmocka_unit_test(without_a_clock_the_rule_is_said),
        cmocka_unit_test(json_has_what_the_table_has),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
