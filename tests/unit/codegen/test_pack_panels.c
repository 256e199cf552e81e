/*
 * Dense weights that change from run to run: the kernel that packs them makes the bytes that runtime/packing.c makes; products that
 * read what it packs, in series and in one graph with the update, are those of the interpreter; packing stands where it cuts no series,
 * and packed forms of different times share memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/text.h"
#include "runtime/packing.h"
#include "tests/unit/codegen/kernel_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

typedef struct compiled {
    ir_context *context;
    arena memory;
    strbuf messages;
    diag_sink sink;
    plan *plan;
} compiled;

static void compile(compiled *c, const char *text, const char *isa) {
    *c = (compiled){.context = context_create(), .messages = STRBUF_INIT};
    c->sink = diag_sink_to_strbuf(&c->messages);
    cg_options options = {.cache_dir = NULL};
    ir_module *m = NULL;
    if (text_parse_module(c->context, "test", text, strlen(text), NULL, &c->sink, &m) != POFAC_OK ||
        cg_target_host(isa, &c->memory, &c->sink, &options.target) != POFAC_OK ||
        cg_compile(m, "g", &options, &c->sink, &c->plan) != POFAC_OK)
        fail_msg("%s\n%s", strbuf_str(&c->messages), text);
}

static void end(compiled *c) {
    plan_destroy(c->plan);
    context_destroy(c->context);
    arena_free(&c->memory);
    strbuf_free(&c->messages);
}

/* Runs the step on `weight`, in two calls, and compares with the runtime's packing. */
static void check_step(const compiled *c, const plan_step *step, const ir_tensor *weight, const char *isa) {
    enum { GUARD = 16 };
    const plan_buffer *packed = &c->plan->buffers[step->buffers[1]];
    const int64_t bytes = packing_bytes(packed->packing, packed->packing_parameter, weight->dims[0], weight->dims[1]),
                  n = bytes / 4;
    float *found, *wanted = malloc((size_t)bytes);
    thread_pool *pool;
    assert_int_equal(type_bytes(packed->type, (ir_binding){NULL, 0}), bytes);
    assert_int_equal(posix_memalign((void **)&found, 64, (size_t)bytes + GUARD * 4), 0);
    assert_non_null(wanted);
    for (int64_t i = 0; i < n + GUARD; i++) found[i] = 12345;
    assert_int_equal(thread_pool_create(1, &c->sink, &pool), POFAC_OK);
    packing_make(packed->packing, packed->packing_parameter, weight, pool, wanted);
    thread_pool_destroy(pool);
    int64_t units;
    assert_true(dim_is_const(step->work, &units));
    step->run((void *const[]){weight->data, found}, NULL, 0, units / 2, NULL);
    step->run((void *const[]){weight->data, found}, NULL, units / 2, units, NULL);
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&found[i], &wanted[i], 4) != 0)
            fail_msg("%s on %s: element %d is %g, wanted %g", step->variant, isa, (int)i, (double)found[i], (double)wanted[i]);
    for (int64_t i = n; i < n + GUARD; i++)
        if (found[i] != 12345) fail_msg("%s on %s: element %d behind the end is written", step->variant, isa, (int)i);
    free(found);
    free(wanted);
}

static void check_sizes(int64_t N, int64_t K, int panel, const char *isa) {
    char text[1024], variant[64] = "";
    if (panel) snprintf(variant, sizeof variant, " {variant = \"linear panel=%d\"}", panel);
    snprintf(text, sizeof text,
             "graph @g (T <= 4096) {\n"
             "  %%1 = state {name = \"w\"} : f32[%lld,%lld]\n"
             "  %%2 = input {name = \"x\"} : f32[T,%lld] tiles<16>\n"
             "  %%3 = linear %%2, %%1%s : f32[T,%lld] tiles<16>\n"
             "  %%4 = linear_input_gradient %%3, %%1%s : f32[T,%lld] tiles<16>\n"
             "  %%5 = add %%1, %%1 : f32[%lld,%lld]\n"
             "  return \"y\" = %%4, \"w\" = %%5\n"
             "}\n",
             (long long)N, (long long)K, (long long)K, variant, (long long)N, variant, (long long)K, (long long)N, (long long)K);
    compiled c;
    named_tensors state = {.what = "state"};
    compile(&c, text, isa);
    const ir_tensor *w = kernel_case_reals(&state, "w", 2, DIMS(N, K));
    int seen = 0;
    for (size_t i = 0; i < c.plan->n_steps; i++) {
        const plan_step *step = &c.plan->steps[i];
        if (strcmp(step->kernel, "pack_panels") != 0) continue;
        assert_int_equal(c.plan->buffers[step->buffers[1]].packing, seen == 0 ? PACKING_PANELS : PACKING_TRANSPOSED_PANELS);
        if (panel) assert_int_equal(c.plan->buffers[step->buffers[1]].packing_parameter, panel);
        check_step(&c, step, w, isa);
        seen++;
    }
    assert_int_equal(seen, 2);
    named_tensors_free(&state);
    end(&c);
}

static void panels_are_those_of_the_runtime(void **unused) {
    (void)unused;
    static const struct {
        int64_t N, K;
        int panel; /* 0: the kernel's own */
    } cases[] = {{1, 1, 0}, {1, 40, 0},  {40, 1, 0},  {13, 7, 4},    {7, 13, 6},    {24, 24, 6},  {25, 23, 6},
                 {2, 3, 1}, {31, 33, 2}, {64, 48, 8}, {65, 100, 12}, {100, 65, 14}, {40, 50, 16}, {96, 768, 0}};
    for (size_t t = 0; kernel_case_isa(t); t++)
        for (size_t i = 0; i < N_OF(cases); i++) check_sizes(cases[i].N, cases[i].K, cases[i].panel, kernel_case_isa(t));
}

/* A series of two linears whose weights train, and the gradients of one of them; the weights have changed when the run ends. */
#define STEP                                                                                                                       \
    "graph @g (T <= 4096) {\n"                                                                                                     \
    "  %1 = state {name = \"a\"} : f32[40,24]\n"                                                                                   \
    "  %2 = state {name = \"b\"} : f32[24,40]\n"                                                                                   \
    "  %3 = input {name = \"x\"} : f32[T,24]\n"                                                                                    \
    "  %4 = relayout %3 : f32[T,24] tiles<16>\n"                                                                                   \
    "  %5 = linear %4, %1 : f32[T,40] tiles<16>\n"                                                                                 \
    "  %6 = gelu %5 : f32[T,40] tiles<16>\n"                                                                                       \
    "  %7 = linear %6, %2 : f32[T,24] tiles<16>\n"                                                                                 \
    "  %8 = add %7, %4 : f32[T,24] tiles<16>\n"                                                                                    \
    "  %9:2 = linear_weight_gradient %6, %8 : f32[24,40], f32[24]\n"                                                               \
    "  %10 = linear_input_gradient %8, %2 : f32[T,40] tiles<16>\n"                                                                 \
    "  %11 = relayout %10 : f32[T,40]\n"                                                                                           \
    "  %12 = add %2, %9 : f32[24,40]\n"                                                                                            \
    "  %13 = add %1, %1 : f32[40,24]\n"                                                                                            \
    "  return \"dx\" = %11, \"b\" = %12, \"a\" = %13\n"                                                                            \
    "}\n"

static void weights_that_train_run_as_kernels(void **unused) {
    (void)unused;
    static const int64_t tokens[] = {1, 16, 100, 300};
    for (size_t i = 0; i < N_OF(tokens); i++) {
        named_tensors inputs = {.what = "input"}, state = {.what = "state"};
        kernel_case_reals(&inputs, "x", 2, DIMS(tokens[i], 24));
        kernel_case_reals(&state, "a", 2, DIMS(40, 24));
        kernel_case_reals(&state, "b", 2, DIMS(24, 40));
        const kernel_case c = {
            .text = STEP, .kernel = "pack_panels", .inputs = &inputs, .state = &state, .absolute = 3e-4, .relative = 1e-5};
        kernel_case_run(&c);
        named_tensors_free(&inputs);
        named_tensors_free(&state);
    }
}

static void packing_stands_before_the_series(void **unused) {
    (void)unused;
    static const char *const wanted[] = {"relayout", "pack_panels", "pack_panels", "linear"};
    compiled c;
    compile(&c, STEP, NULL);
    uint32_t longest = 0;
    for (size_t i = 0; i < c.plan->n_steps; i++)
        if (c.plan->steps[i].series > longest) longest = c.plan->steps[i].series;
    for (size_t i = 0; i < N_OF(wanted); i++) assert_string_equal(c.plan->steps[i].kernel, wanted[i]);
    assert_true(longest >= 3); /* both linears, and what stands between and behind them */
    end(&c);
}

/* Twenty weights in a row with work between them that goes over all rows: two packed forms are never needed at a time. */
static void packed_forms_share_memory(void **unused) {
    (void)unused;
    strbuf text = STRBUF_INIT, updates = STRBUF_INIT;
    compiled c;
    strbuf_puts(&text, "graph @g (T <= 4096) {\n  %1 = input {name = \"x\"} : f32[T,64]\n");
    unsigned v = 1, n = 1;
    for (unsigned i = 0; i < 20; i++, n += 5, v = n) {
        strbuf_printf(&text, "  %%%u = state {name = \"w%u\"} : f32[64,64]\n", n + 1, i);
        strbuf_printf(&text, "  %%%u = relayout %%%u : f32[T,64] tiles<16>\n", n + 2, v);
        strbuf_printf(&text, "  %%%u = linear %%%u, %%%u : f32[T,64] tiles<16>\n", n + 3, n + 2, n + 1);
        strbuf_printf(&text, "  %%%u = relayout %%%u : f32[T,64]\n", n + 4, n + 3);
        strbuf_printf(&text, "  %%%u = tanh %%%u : f32[T,64]\n", n + 5, n + 4);
        strbuf_printf(&updates, "  %%%u = add %%%u, %%%u : f32[64,64]\n", 102 + i, n + 1, n + 1);
    }
    strbuf_printf(&text, "%s  return \"y\" = %%%u", strbuf_str(&updates), v);
    for (unsigned i = 0; i < 20; i++) strbuf_printf(&text, ", \"w%u\" = %%%u", i, 102 + i);
    strbuf_puts(&text, "\n}\n");
    compile(&c, strbuf_str(&text), NULL);
    uint32_t first = UINT32_MAX;
    size_t packed = 0;
    for (size_t i = 0; i < c.plan->n_buffers; i++) {
        const plan_buffer *b = &c.plan->buffers[i];
        if (b->kind != PLAN_SLOT || b->packing == PACKING_NONE) continue;
        if (first == UINT32_MAX) first = b->slot;
        assert_int_equal(b->slot, first);
        packed++;
    }
    assert_int_equal(packed, 20);
    end(&c);
    strbuf_free(&text);
    strbuf_free(&updates);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(panels_are_those_of_the_runtime),
        cmocka_unit_test(weights_that_train_run_as_kernels),
        cmocka_unit_test(packing_stands_before_the_series),
        cmocka_unit_test(packed_forms_share_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
