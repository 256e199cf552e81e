/*
 * Lower-int8: what integers compute against what the simulation of training computes, one linear at a time, in all forms of ranges; and linears that are
 * left as they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/quantization.h"
#include "ir/support/rng.h"
#include "passes/pass.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text_case.h"

enum { R = 40, K = 63, N = 48 };

static const char dense[] = "%1 = input {name = \"x\"} : f32[T,63]\n"
                            "%2 = state {name = \"m.weight\"} : f32[48,63]\n"
                            "%3 = state {name = \"m.bias\"} : f32[48]\n"
                            "scope \"m\"\n %4 = linear %1, %2, %3 : f32[T,48]\n"
                            "return \"y\" = %4\n";
static const char sparse[] = "%1 = input {name = \"x\"} : f32[T,63]\n"
                             "%2 = pattern {name = \"m.weight\"} : pattern[48,63]\n"
                             "%3 = state {name = \"m.weight\"} : f32[nnz(%2)]\n"
                             "scope \"m\"\n %4 = linear %1, %3, _, %2 : f32[T,48]\n"
                             "return \"y\" = %4\n";

typedef struct lowering_case {
    const char *nodes;
    pass_quantized what;
    double x_low, x_high, w; /* numbers are drawn from here */
    float input[2], output[2];
} lowering_case;

static const lowering_case cases[] = {
    {dense, PASS_QUANTIZED_OPERANDS, -1, 1, 0.1, {-1, 1}, {0, 0}},
    {dense, PASS_QUANTIZED_OPERANDS, -0.17, 5, 1, {-0.1f, 4}, {0, 0}}, /* some beyond the range */
    {dense, PASS_QUANTIZED_WHOLE, -1, 1, 0.1, {-1, 1}, {-1.5f, 1.25f}},
    {dense, PASS_QUANTIZED_WHOLE, 0, 8, 0.5, {0, 8}, {-3, 900}},
    {dense, PASS_QUANTIZED_WHOLE, -1, 1, 2, {-1, 1}, {-1e-4f, 1e-4f}}, /* all saturate */
    {dense, PASS_QUANTIZED_ROWS, -3, 2, 0.1, {0, 0}, {0, 0}},
    {dense, PASS_QUANTIZED_OPERANDS | PASS_QUANTIZED_CHANNELS, -1, 1, 0.1, {-1, 1}, {0, 0}},
    {dense, PASS_QUANTIZED_WHOLE | PASS_QUANTIZED_CHANNELS, -1, 1, 0.1, {-1, 1}, {-1, 1}},
    {dense, PASS_QUANTIZED_ROWS | PASS_QUANTIZED_CHANNELS, -1, 9, 0.1, {0, 0}, {0, 0}},
    {sparse, PASS_QUANTIZED_OPERANDS, -1, 1, 0.1, {-1, 1}, {0, 0}},
    {sparse, PASS_QUANTIZED_WHOLE, -1, 1, 0.1, {-1, 1}, {-1, 1}},
    {sparse, PASS_QUANTIZED_WHOLE | PASS_QUANTIZED_CHANNELS, -1, 1, 0.1, {-1, 1}, {-1, 1}},
};
#define N_CASES (sizeof cases / sizeof cases[0])

typedef struct fixture {
    named_tensors inputs, state;
    float x_scale[R], w_scale[N]; /* by plain loops */
} fixture;

static pass_quantized quantizes(void *user, const char *module) {
    const lowering_case *c = user;
    assert_string_equal(module, "m");
    return c->what;
}

static ir_tensor *add_random(named_tensors *to, const char *name, uint32_t rank, int64_t rows, int64_t columns, double low,
                             double high) {
    const int64_t dims[2] = {rows, columns};
    const rng_key key = rng_key_make(3, name);
    ir_tensor *t = named_tensors_add(to, name, IR_F32, rank, dims);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, low + (high - low) * rng_uniform(key, (uint64_t)i));
    return t;
}

static value_range row_of(const ir_tensor *t, int64_t r) {
    value_range range = {0, 0};
    for (int64_t k = 0; k < t->dims[1]; k++) {
        range.min = fminf(range.min, (float)tensor_get(t, r * t->dims[1] + k));
        range.max = fmaxf(range.max, (float)tensor_get(t, r * t->dims[1] + k));
    }
    return range;
}

static void add_weight_range(fixture *f, bool channels) {
    const int64_t dims[2] = {channels ? N : 2, 2};
    value_range all = {0, 0};
    ir_tensor *range = named_tensors_add(&f->state, "m.weight_range", IR_F32, channels ? 2 : 1, dims);
    const ir_tensor *w = named_tensors_find(&f->state, "m.weight");
    for (int64_t n = 0; n < N; n++) {
        const value_range r = row_of(w, n);
        all = (value_range){fminf(all.min, r.min), fmaxf(all.max, r.max)};
        if (channels) tensor_set(range, 2 * n, r.min);
        if (channels) tensor_set(range, 2 * n + 1, r.max);
        f->w_scale[n] = quantization_of(r, QUANTIZE_SYMMETRIC).scale;
    }
    for (int64_t n = 0; n < N && !channels; n++) f->w_scale[n] = quantization_of(all, QUANTIZE_SYMMETRIC).scale;
    if (!channels) tensor_set(range, 0, all.min);
    if (!channels) tensor_set(range, 1, all.max);
}

static void make_fixture(const lowering_case *c, fixture *f) {
    static const int64_t two = 2;
    *f = (fixture){.inputs = {.what = "input"}, .state = {.what = "state"}};
    const ir_tensor *x = add_random(&f->inputs, "x", 2, R, K, c->x_low, c->x_high);
    add_random(&f->state, "m.bias", 1, N, 0, -3 * c->w, 3 * c->w);
    ir_tensor *w = add_random(&f->state, "m.weight", 2, N, K, -c->w, c->w);
    const rng_key key = rng_key_make(3, "zeros");
    for (int64_t i = 0; i < N * K && c->nodes == sparse; i++)
        if (rng_uniform(key, (uint64_t)i) < 0.8) tensor_set(w, i, 0);
    for (int64_t n = 0; n < N && (c->what & PASS_QUANTIZED_CHANNELS); n++) /* channels that differ */
        for (int64_t k = 0; k < K; k++) tensor_set(w, n * K + k, tensor_get(w, n * K + k) * (double)(n + 1) / N);
    add_weight_range(f, (c->what & PASS_QUANTIZED_CHANNELS) != 0);
    named_tensors_add_doubles(&f->state, "m.input_range", IR_F32, 1, &two, (const double[]){c->input[0], c->input[1]});
    named_tensors_add_doubles(&f->state, "m.output_range", IR_F32, 1, &two, (const double[]){c->output[0], c->output[1]});
    const bool rows = (c->what & ~PASS_QUANTIZED_CHANNELS) == PASS_QUANTIZED_ROWS;
    for (int64_t r = 0; r < R; r++)
        f->x_scale[r] = quantization_of(rows ? row_of(x, r) : (value_range){c->input[0], c->input[1]}, QUANTIZE_AFFINE).scale;
}

static void run(text_case *t, const lowering_case *c, const char *pipeline, fixture *f) {
    const tensor_source state = named_tensors_source(&f->state);
    const pass_environment environment = {.state = &state, .quantizes = quantizes, .quantizes_user = (void *)(uintptr_t)c};
    arena memory = ARENA_INIT;
    pass_pipeline p;
    ir_module *out = NULL;
    text_case_begin(t, c->nodes);
    assert_int_equal(pipeline_parse(pipeline, &memory, &t->sink, &p), POFAC_OK);
    if (pipeline_run(&p, t->module, &environment, NULL, &t->sink, &out) != POFAC_OK) fail_msg("%s", strbuf_str(&t->messages));
    t->module = out;
    t->graph = out->graphs.data[0];
    arena_free(&memory);
    if (text_case_run(t, &f->inputs, &f->state) != POFAC_OK) fail_msg("%s", strbuf_str(&t->messages));
}

static size_t count_op(const text_case *t, ir_op op) {
    size_t n = 0;
    for (size_t i = 0; i < t->graph->nodes.size; i++) n += t->graph->nodes.data[i].op == op;
    return n;
}

/* Without a range of the result: half a unit of the bias, if there is one in the sums. With it: a step, and that rarely. */
static void integers_are_as_close_as_their_rounding(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES; i++) {
        const lowering_case *c = &cases[i];
        const bool whole = (c->what & ~PASS_QUANTIZED_CHANNELS) == PASS_QUANTIZED_WHOLE,
                   adds_bias = c->nodes == sparse || (c->what & ~PASS_QUANTIZED_CHANNELS) == PASS_QUANTIZED_ROWS;
        fixture f;
        text_case simulation, integers;
        size_t compared = 0, steps = 0;
        make_fixture(c, &f);
        run(&simulation, c, "quantize{trained=0}", &f);
        run(&integers, c, "quantize{trained=0},lower-int8,dce", &f);
        assert_int_equal(count_op(&integers, OP_linear_int8), 1);
        assert_int_equal(count_op(&integers, OP_quantize), 1);
        assert_int_equal(count_op(&integers, OP_fake_quantize), 0);
        const ir_tensor *a = interp_find(&simulation.results, "y"), *b = interp_find(&integers.results, "y");
        const double step = quantization_of((value_range){c->output[0], c->output[1]}, QUANTIZE_AFFINE).scale;
        for (int64_t r = 0; r < R; r++)
            for (int64_t n = 0; n < N; n++, compared++) {
                const double x = tensor_get(a, r * N + n), y = tensor_get(b, r * N + n), unit = (double)f.x_scale[r] * f.w_scale[n],
                             bound = 2e-6 * fabs(x) + (whole       ? step
                                                       : adds_bias ? 0.1 * unit
                                                                   : 0.51 * unit);
                if (!(fabs(x - y) <= bound))
                    fail_msg("case %zu, [%d,%d]: %.9g, the simulation has %.9g, bound %.3g", i, (int)r, (int)n, y, x, bound);
                steps += whole && fabs(x - y) > 0.5 * step;
            }
        assert_int_equal(compared, R * N);
        if (steps > compared / 25) fail_msg("case %zu: %zu of %zu places are a step away", i, steps, compared);
        text_case_end(&simulation);
        text_case_end(&integers);
        named_tensors_free(&f.inputs);
        named_tensors_free(&f.state);
    }
}

/* By a range that knows nothing, values pass as they are, so there is nothing to compute in integers. */
static void ranges_that_know_nothing(void **unused) {
    (void)unused;
    static const char *const names[] = {"m.input_range", "m.weight_range", "m.output_range"};
    for (size_t i = 0; i < 3; i++) {
        fixture f;
        text_case simulation, integers;
        make_fixture(&cases[2], &f);
        ir_tensor *range = named_tensors_find(&f.state, names[i]);
        tensor_set(range, 0, INFINITY);
        tensor_set(range, 1, -INFINITY);
        run(&simulation, &cases[2], "quantize{trained=0}", &f);
        run(&integers, &cases[2], "quantize{trained=0},lower-int8,dce", &f);
        assert_int_equal(count_op(&integers, OP_linear_int8), i == 2);
        assert_int_equal(count_op(&integers, OP_fake_quantize), i == 2 ? 1 : 3);
        if (i < 2) assert_tensors_close("y", interp_find(&integers.results, "y"), interp_find(&simulation.results, "y"), 0, 0);
        text_case_end(&simulation);
        text_case_end(&integers);
        named_tensors_free(&f.inputs);
        named_tensors_free(&f.state);
    }
}

/* Weights of one channel, or of all, and a token that are 0, whose scales are the least that there are. widened: to the range of another channel. */
static void make_zeros(const lowering_case *c, bool widened, fixture *f) {
    const bool channels = (c->what & PASS_QUANTIZED_CHANNELS) != 0;
    make_fixture(c, f);
    ir_tensor *w = named_tensors_find(&f->state, "m.weight"), *range = named_tensors_find(&f->state, "m.weight_range");
    for (int64_t k = 0; k < K; k++) tensor_set(named_tensors_find(&f->inputs, "x"), 3 * K + k, 0);
    for (int64_t i = channels ? 5 * K : 0; i < (channels ? 6 : N) * K; i++) tensor_set(w, i, 0);
    for (int64_t i = 0; i < 2; i++) {
        const int64_t at = channels ? 10 + i : i;
        tensor_set(range, at, widened ? (double)(2 * i - 1) * 0.1 : 0);
    }
    for (int64_t n = 0; n < N; n += 5) tensor_set(named_tensors_find(&f->state, "m.bias"), n, n % 2 ? 1.25 : -1.25);
}

/* Whoever is 0 has the bias for its result, in integers too: or the linear is left as it is. */
static void zeros_keep_the_bias(void **unused) {
    (void)unused;
    static const pass_quantized whats[] = {PASS_QUANTIZED_ROWS, PASS_QUANTIZED_OPERANDS, PASS_QUANTIZED_WHOLE};
    for (int i = 0; i < 12; i++) {
        const pass_quantized what = whats[i % 3] | (i % 2 ? PASS_QUANTIZED_CHANNELS : 0);
        const lowering_case c = {dense, what, -1, 1, 0.1, {-1, 1}, {-4, 4}};
        const bool widened = i >= 6, by_rows = i % 3 == 0;
        const double bound = !by_rows && !widened ? 0 : i % 3 == 2 ? 8.001 / 255 : 1e-5;
        fixture f;
        text_case simulation, integers;
        make_zeros(&c, widened, &f);
        run(&simulation, &c, "quantize{trained=0}", &f);
        run(&integers, &c, "quantize{trained=0},lower-int8,dce", &f);
        assert_int_equal(count_op(&integers, OP_linear_int8), by_rows || widened);
        assert_tensors_close("y", interp_find(&integers.results, "y"), interp_find(&simulation.results, "y"), bound, 0);
        text_case_end(&simulation);
        text_case_end(&integers);
        named_tensors_free(&f.inputs);
        named_tensors_free(&f.state);
    }
}

/* Whatever allocation fails, an error comes out, and the module is gone. */
static void failing_allocations(void **unused) {
    (void)unused;
    static const lowering_case c = {dense, PASS_QUANTIZED_WHOLE | PASS_QUANTIZED_CHANNELS, -1, 1, 0.1, {-1, 1}, {-1, 1}};
    fixture f;
    size_t n = 1;
    make_fixture(&c, &f);
    for (bool failed = true; failed; n++) {
        const tensor_source state = named_tensors_source(&f.state);
        const pass_environment environment = {.state = &state, .quantizes = quantizes, .quantizes_user = (void *)(uintptr_t)&c};
        arena memory = ARENA_INIT;
        pass_pipeline p;
        text_case t;
        ir_module *out = NULL;
        text_case_begin(&t, c.nodes);
        assert_int_equal(pipeline_parse("quantize{trained=0},lower-int8,dce,sparsify,layout,fuse", &memory, NULL, &p), POFAC_OK);
        fail_alloc_after(n);
        const pofac_status status = pipeline_run(&p, t.module, &environment, NULL, NULL, &out);
        failed = fail_alloc_stop();
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK)) fail_msg("allocation %zu: status %d", n, (int)status);
        assert_int_equal(out != NULL, !failed);
        t.module = out;
        text_case_end(&t);
        arena_free(&memory);
    }
    assert_true(n > 100);
    named_tensors_free(&f.inputs);
    named_tensors_free(&f.state);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(integers_are_as_close_as_their_rounding),
                                       cmocka_unit_test(ranges_that_know_nothing), cmocka_unit_test(zeros_keep_the_bias),
                                       cmocka_unit_test(failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
