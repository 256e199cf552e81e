/*
 * Kernels that update parameters against the interpreter: both rules, every attribute, tensors of many sizes and non-zeros of patterns,
 * one result alone; on every instruction set of the machine, the same bits from 1 and 3 threads. And run where the parameters lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/rng.h"
#include "ir/text.h"
#include "tests/unit/codegen/kernel_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

static const int64_t sizes[] = {0, 1, 15, 16, 17, 1000, 70000};

/* ---- cases ---- */

typedef struct update_case {
    const char *op, *attributes;
    double learning_rate, scale;
    int64_t step;
} update_case;

/* State in which every fifth element is 0; "m2" is at least 1/4 elsewhere, so that steps stay of the size of the learning rate. */
static void add_state(named_tensors *to, const char *name, uint32_t rank, const int64_t *dims) {
    ir_tensor *t = kernel_case_reals(to, name, rank, dims);
    for (int64_t i = 0; i < tensor_elements(t); i++) {
        const double x = tensor_get(t, i);
        if (i % 5 == 4) tensor_set(t, i, 0);
        else if (strcmp(name, "m2") == 0) tensor_set(t, i, 0.25 + x * x);
    }
}

static void add_scalars(named_tensors *to, const update_case *c) {
    named_tensors_add_doubles(to, "learning_rate", IR_F32, 0, NULL, &c->learning_rate);
    named_tensors_add_doubles(to, "scale", IR_F32, 0, NULL, &c->scale);
    tensor_set_int(named_tensors_add(to, "step", IR_I64, 0, NULL), 0, c->step);
}

/* `pattern`: its line in the graph, or ""; its value would be %8. */
static void update_text(const update_case *c, const char *pattern, const char *type, const char *outputs, strbuf *out) {
    const bool adamw = strcmp(c->op, "adamw") == 0;
    strbuf_printf(out, "graph @g () {\n%s", pattern);
    static const char *const leaves[] = {"p", "g", "m", "m2"};
    for (unsigned i = 0; i < (adamw ? 4u : 3u); i++)
        strbuf_printf(out, "  %%%u = state {name = \"%s\"} : %s\n", i + 1, leaves[i], type);
    strbuf_printf(out, "  %%5 = input {name = \"learning_rate\"} : f32[]\n  %%6 = input {name = \"scale\"} : f32[]\n");
    if (adamw)
        strbuf_printf(out,
                      "  %%7 = input {name = \"step\"} : i64[]\n  %%9:3 = adamw %%1, %%2, %%3, %%4, %%5, %%6, %%7%s : %s, %s, %s\n",
                      c->attributes, type, type, type);
    else strbuf_printf(out, "  %%9:2 = sgd %%1, %%2, %%3, %%5, %%6%s : %s, %s\n", c->attributes, type, type);
    strbuf_printf(out, "  return %s\n}\n", outputs);
}

static const char *all_outputs(const update_case *c) {
    return strcmp(c->op, "adamw") == 0 ? "\"p2\" = %9, \"n\" = %9#1, \"n2\" = %9#2" : "\"p2\" = %9, \"n\" = %9#1";
}

/*
 * u = 2^-24. adamw: the moments and their sum with gradients are at most 1.3, so m' and v' are off by less than 6u 1.3; rate / root is at
 * most 0.3, so the step is off by less than 10u 0.3, and p', at most 1.3, rounds once by u. sgd: terms that sum up to at most 1.6, four
 * roundings, and as much again times a learning rate of at most 1/2. So 10u; twice that without FMA.
 */
#define BOUND (2 * 10 * 0x1p-24)

static void check(const update_case *c, named_tensors *state, const char *pattern, const char *type, const char *outputs,
                  int64_t n_results) {
    named_tensors inputs = {.what = "input"};
    strbuf text = STRBUF_INIT;
    add_scalars(&inputs, c);
    update_text(c, pattern, type, outputs, &text);
    kernel_case k = {.text = strbuf_str(&text), .kernel = c->op, .inputs = &inputs, .state = state, .absolute = BOUND};
    assert_int_equal(kernel_case_run(&k), n_results);
    strbuf_free(&text);
    named_tensors_free(&inputs);
}

static void add_states(const update_case *c, named_tensors *to, uint32_t rank, const int64_t *dims) {
    add_state(to, "p", rank, dims);
    add_state(to, "g", rank, dims);
    add_state(to, "m", rank, dims);
    if (strcmp(c->op, "adamw") == 0) add_state(to, "m2", rank, dims);
}

static const update_case rules[] = {
    {"adamw", "", 1e-3, 1, 1},
    {"adamw", " {weight_decay = 0.1, eps = 1e-6}", 0.1, 0.5, 1000},
    {"adamw", " {form = \"hf\", weight_decay = 0.01}", 0.02, 0.3, 7},
    {"adamw", " {form = \"hf\", beta1 = 0, beta2 = 0.5}", 0.1, -1, 3},
    {"adamw", " {beta1 = 0.99, beta2 = 0.98, weight_decay = 1}", 0.01, 1, 1234567890123},
    {"sgd", "", 0.5, 1, 1},
    {"sgd", " {momentum = 0.9, weight_decay = 0.01}", 0.1, 0.25, 1},
    {"sgd", " {momentum = 0.5, nesterov = true}", 0.3, -1, 1},
    {"adamw", " {weight_decay = 0.1}", 0.1, NAN, 1}, /* these leave everything as it was */
    {"adamw", "", 0.1, INFINITY, 1},
    {"sgd", " {momentum = 0.9, weight_decay = 0.01}", 0.1, -INFINITY, 1},
};

static void check_size(const update_case *c, int64_t n) {
    named_tensors state = {.what = "state"};
    char type[32];
    snprintf(type, sizeof type, "f32[%lld]", (long long)n);
    add_states(c, &state, 1, &n);
    check(c, &state, "", type, all_outputs(c), n * (strcmp(c->op, "adamw") == 0 ? 3 : 2));
    named_tensors_free(&state);
}

static void every_rule_of_every_size(void **unused) {
    (void)unused;
    for (size_t r = 0; r < N_OF(rules); r++)
        for (size_t s = 0; s < N_OF(sizes); s++) check_size(&rules[r], sizes[s]);
}

static void any_rank(void **unused) {
    (void)unused;
    named_tensors state = {.what = "state"}, scalar = {.what = "state"};
    add_states(&rules[0], &state, 3, DIMS(3, 5, 7));
    check(&rules[0], &state, "", "f32[3,5,7]", all_outputs(&rules[0]), 3 * 105);
    add_states(&rules[7], &scalar, 0, NULL);
    check(&rules[7], &scalar, "", "f32[]", all_outputs(&rules[7]), 2);
    named_tensors_free(&state);
    named_tensors_free(&scalar);
}

static void one_result_alone(void **unused) {
    (void)unused;
    static const char *const outputs[] = {"\"p2\" = %9", "\"n\" = %9#1", "\"n2\" = %9#2"};
    named_tensors state = {.what = "state"};
    add_states(&rules[0], &state, 1, DIMS(77));
    for (size_t i = 0; i < N_OF(outputs); i++) check(&rules[1], &state, "", "f32[77]", outputs[i], 77);
    for (size_t i = 0; i < 2; i++) check(&rules[6], &state, "", "f32[77]", outputs[i], 77);
    named_tensors_free(&state);
}

/* Non-zeros of a pattern that is empty, has one of every `every` elements, or all. */
static void non_zeros(void **unused) {
    (void)unused;
    static const int64_t every[] = {0, 7, 1};
    for (size_t r = 0; r < N_OF(rules); r++)
        for (size_t s = 0; s < N_OF(every); s++) {
            named_tensors state = {.what = "state"};
            ir_tensor *w = named_tensors_add(&state, "w", IR_F32, 2, DIMS(31, 70));
            int64_t n = 0;
            for (int64_t i = 0; every[s] && i < tensor_elements(w); i += every[s], n++) tensor_set(w, i, 1);
            add_states(&rules[r], &state, 1, &n);
            check(&rules[r], &state, "  %8 = pattern {name = \"w\"} : pattern[31,70]\n", "f32[nnz(%8)]", all_outputs(&rules[r]),
                  n * (strcmp(rules[r].op, "adamw") == 0 ? 3 : 2));
            named_tensors_free(&state);
        }
}

/* Weights under a mask: the gradient of every `every`-th element alone, or of none. Rows that fill no group, and wide ones. */
static void gradients_with_their_pattern(void **unused) {
    (void)unused;
    static const struct { int64_t n, k, every; } shapes[] = {{31, 70, 7}, {16, 5, 1}, {1, 3001, 3}, {40, 64, 0}};
    for (size_t r = 0; r < N_OF(rules); r++)
        for (size_t s = 0; s < N_OF(shapes); s++) {
            const bool adamw = strcmp(rules[r].op, "adamw") == 0;
            named_tensors state = {.what = "state"}, inputs = {.what = "input"};
            strbuf text = STRBUF_INIT;
            char t[32];
            const int64_t dims[] = {shapes[s].n, shapes[s].k};
            ir_tensor *w = named_tensors_add(&state, "w", IR_F32, 2, dims);
            int64_t n = 0;
            for (int64_t i = 0; shapes[s].every && i < tensor_elements(w); i += shapes[s].every, n++) tensor_set(w, i, 1);
            add_state(&state, "p", 2, dims);
            add_state(&state, "g", 1, &n);
            add_state(&state, "m", 2, dims);
            add_state(&state, "m2", 2, dims);
            add_scalars(&inputs, &rules[r]);
            snprintf(t, sizeof t, "f32[%d,%d]", (int)dims[0], (int)dims[1]);
            strbuf_printf(&text,
                          "graph @g () {\n  %%8 = pattern {name = \"w\"} : pattern[%d,%d]\n  %%1 = state {name = \"p\"} : %s\n"
                          "  %%2 = state {name = \"g\"} : f32[nnz(%%8)]\n  %%3 = state {name = \"m\"} : %s\n"
                          "  %%4 = state {name = \"m2\"} : %s\n  %%5 = input {name = \"learning_rate\"} : f32[]\n"
                          "  %%6 = input {name = \"scale\"} : f32[]\n  %%7 = input {name = \"step\"} : i64[]\n",
                          (int)dims[0], (int)dims[1], t, t, t);
            if (adamw)
                strbuf_printf(&text, "  %%9:3 = adamw %%1, %%2, %%3, %%4, %%5, %%6, %%7, %%8%s : %s, %s, %s\n", rules[r].attributes,
                              t, t, t);
            else strbuf_printf(&text, "  %%9:2 = sgd %%1, %%2, %%3, %%5, %%6, %%8%s : %s, %s\n", rules[r].attributes, t, t);
            strbuf_printf(&text, "  return %s\n}\n", all_outputs(&rules[r]));
            kernel_case k = {
                .text = strbuf_str(&text), .kernel = rules[r].op, .inputs = &inputs, .state = &state, .absolute = BOUND};
            assert_int_equal(kernel_case_run(&k), dims[0] * dims[1] * (adamw ? 3 : 2));
            strbuf_free(&text);
            named_tensors_free(&inputs);
            named_tensors_free(&state);
        }
}

/* Scores of movement, which have no moments; with a scale that is no number they stay. */
static void descend_of_every_size(void **unused) {
    (void)unused;
    static const double scales[] = {1, 0.3, -2, NAN};
    for (size_t c = 0; c < N_OF(scales); c++)
        for (size_t s = 0; s < N_OF(sizes); s++) {
            const update_case rule = {.op = "descend", .learning_rate = 0.4, .scale = scales[c]};
            named_tensors state = {.what = "state"}, inputs = {.what = "input"};
            char text[400];
            add_state(&state, "p", 1, &sizes[s]);
            add_state(&state, "g", 1, &sizes[s]);
            add_scalars(&inputs, &rule);
            snprintf(text, sizeof text,
                     "graph @g () {\n  %%1 = state {name = \"p\"} : f32[%lld]\n  %%2 = state {name = \"g\"} : f32[%lld]\n"
                     "  %%3 = input {name = \"learning_rate\"} : f32[]\n  %%4 = input {name = \"scale\"} : f32[]\n"
                     "  %%5 = descend %%1, %%2, %%3, %%4 : f32[%lld]\n  return \"p2\" = %%5\n}\n",
                     (long long)sizes[s], (long long)sizes[s], (long long)sizes[s]);
            kernel_case k = {.text = text, .kernel = "descend", .inputs = &inputs, .state = &state, .absolute = BOUND};
            assert_int_equal(kernel_case_run(&k), sizes[s]);
            named_tensors_free(&state);
            named_tensors_free(&inputs);
        }
}

/* ---- in place ---- */

/* The plan; *context is to be destroyed after it. */
static plan *compile(const char *text, const char *isa, ir_context **context) {
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    *context = context_create();
    arena memory = ARENA_INIT;
    ir_module *m = NULL;
    cg_options options = {.cache_dir = NULL};
    plan *p = NULL;
    if (text_parse_module(*context, "test", text, strlen(text), NULL, &sink, &m) != POFAC_OK ||
        cg_target_host(isa, &memory, &sink, &options.target) != POFAC_OK || cg_compile(m, "g", &options, &sink, &p) != POFAC_OK)
        fail_msg("%s: %s", isa, strbuf_str(&messages));
    strbuf_free(&messages);
    arena_free(&memory);
    return p;
}

#define IN_PLACE 1003
#define MOST_RUN 10

typedef struct update_memory {
    float stream[7][IN_PLACE]; /* p, g, m, m2 and p', m', m2' */
    float learning_rate, scale;
    int64_t step;
} update_memory;

static void fill(update_memory *m) {
    const rng_key key = rng_key_make(5, "in place");
    for (int64_t s = 0; s < 4; s++)
        for (int64_t i = 0; i < IN_PLACE; i++)
            m->stream[s][i] = i % 5 == 4 ? 0 : (float)rng_uniform(key, (uint64_t)(s * IN_PLACE + i));
    m->learning_rate = 0.01F;
    m->scale = 0.5F;
    m->step = 3;
}

/* Results where the inputs are: the same bits as elsewhere; what is 0 with gradient and moments 0 stays 0. */
static void check_in_place(const update_case *c, const char *isa) {
    const bool adamw = strcmp(c->op, "adamw") == 0;
    const unsigned n = adamw ? 4 : 3;
    strbuf text = STRBUF_INIT;
    update_memory *apart = calloc(1, sizeof *apart), *in_place = calloc(1, sizeof *in_place);
    assert_true(apart && in_place);
    update_text(c, "", "f32[1003]", all_outputs(c), &text);
    ir_context *context;
    plan *p = compile(strbuf_str(&text), isa, &context);
    assert_int_equal(p->n_steps, 1);
    for (unsigned run = 0; run < 2; run++) {
        update_memory *m = run ? in_place : apart;
        void *operands[MOST_RUN] = {m->stream[0], m->stream[1], m->stream[2]};
        unsigned next = 3;
        fill(m);
        if (adamw) operands[next++] = m->stream[3];
        operands[next++] = &m->learning_rate;
        operands[next++] = &m->scale;
        if (adamw) operands[next++] = &m->step;
        operands[next++] = m->stream[run ? 0 : 4];
        operands[next++] = m->stream[run ? 2 : 5];
        if (adamw) operands[next++] = m->stream[run ? 3 : 6];
        assert_int_equal(next, p->steps[0].n_buffers);
        p->steps[0].run(operands, DIMS(IN_PLACE), 0, 1, NULL);
    }
    for (unsigned r = 0; r < n - 1; r++) {
        const float *there = in_place->stream[r == 0 ? 0 : r + 1], *wanted = apart->stream[4 + r];
        for (int64_t i = 0; i < IN_PLACE; i++) {
            if (memcmp(&there[i], &wanted[i], sizeof *there) != 0)
                fail_msg("%s on %s: result %u [%lld] is %a in place, %a elsewhere", c->op, isa, r, (long long)i, (double)there[i],
                         (double)wanted[i]);
            if (i % 5 == 4 && there[i] != 0)
                fail_msg("%s on %s: result %u [%lld] is %a, wanted 0", c->op, isa, r, (long long)i, (double)there[i]);
        }
    }
    plan_destroy(p);
    context_destroy(context);
    strbuf_free(&text);
    free(apart);
    free(in_place);
}

static void in_place(void **unused) {
    (void)unused;
    const update_case tiny_eps = {"adamw", " {eps = 1e-60}", 0.1, 1, 1};
    for (size_t i = 0; kernel_case_isa(i); i++) {
        check_in_place(&tiny_eps, kernel_case_isa(i));
        for (size_t r = 0; r < N_OF(rules); r++) check_in_place(&rules[r], kernel_case_isa(i));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_of_every_size),
        cmocka_unit_test(any_rank),
        cmocka_unit_test(one_result_alone),
        cmocka_unit_test(non_zeros),
        cmocka_unit_test(gradients_with_their_pattern),
        cmocka_unit_test(descend_of_every_size),
        cmocka_unit_test(in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
