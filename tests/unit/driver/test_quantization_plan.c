/*
 * Plans of quantization and quantized models: what a plan says of modules, the reference's configurations, every wrong value's message; quantization.safetensors
 * there and back bit for bit, files with scales alone, damaged and contradictory ones; short memory.
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

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/model_quantization.h"
#include "ir/quantization.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/temporary_folder.h"

typedef struct quantized_case {
    char folder[64], file[128];
    arena memory;
    strbuf messages;
    diag_sink sink;
} quantized_case;

static void begin(quantized_case *c) {
    *c = (quantized_case){.folder = "/tmp/pofac-quantized-XXXXXX", .memory = ARENA_INIT, .messages = STRBUF_INIT};
    c->sink = diag_sink_to_strbuf(&c->messages);
    assert_non_null(mkdtemp(c->folder));
    snprintf(c->file, sizeof c->file, "%s/" QUANTIZATION_FILE, c->folder);
}

static void end(quantized_case *c) {
    folder_remove(c->folder);
    arena_free(&c->memory);
    strbuf_free(&c->messages);
}

static void want(quantized_case *c, pofac_status status) {
    if (status != POFAC_OK) fail_msg("%s", strbuf_str(&c->messages));
}

/* ---- plans ---- */

static pofac_status read_plan(quantized_case *c, const char *text, quantization_plan *out) {
    char path[128];
    snprintf(path, sizeof path, "%s/plan.json", c->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return quantization_plan_read(path, &c->memory, &c->sink, out);
}

static void plans_say_what_is_quantized(void **unused) {
    (void)unused;
    static const struct {
        const char *plan, *module;
        int wanted;
    } rows[] = {
        {"{}", "bert.pooler.dense", PASS_QUANTIZED_WHOLE},
        {"{}", "teacher.bert.pooler.dense", PASS_QUANTIZED_NOT},
        {"{\"not_to_quantize\": [\"cls\", \"pool\"]}", "bert.pooler.dense", PASS_QUANTIZED_NOT},
        {"{\"not_to_requantize_output\": [\"output.dense\"]}", "bert.encoder.layer.0.attention.output.dense",
         PASS_QUANTIZED_OPERANDS},
        {"{\"not_to_requantize_output\": [\"output.dense\"]}", "bert.encoder.layer.0.intermediate.dense", PASS_QUANTIZED_WHOLE},
        {"{\"weight_scales\": \"per_channel\"}", "a", PASS_QUANTIZED_WHOLE | PASS_QUANTIZED_CHANNELS},
        {"{\"activations\": \"dynamic\"}", "a", PASS_QUANTIZED_ROWS},
        {"{\"activations\": \"none\", \"weight_bits\": 4}", "a", PASS_QUANTIZED_NOT},
    };
    quantized_case c;
    begin(&c);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        quantization_plan plan;
        want(&c, read_plan(&c, rows[i].plan, &plan));
        const int found = (int)quantization_plan_of(&plan, rows[i].module);
        if (found != rows[i].wanted) fail_msg("row %zu: found %d, wanted %d", i, found, rows[i].wanted);
    }
    end(&c);
}

static void plans_read_back(void **unused) {
    (void)unused;
    static const char text[] =
        "{\"quantization_begin\": 7, \"not_to_quantize\": [\"a\\\"b\", \"c\"], \"not_to_requantize_output\": [], "
        "\"weight_scales\": \"per_channel\", \"quantize_embeddings\": true, \"observe_padding\": true, "
        "\"activations\": \"none\", \"weight_bits\": 4}";
    quantized_case c;
    quantization_plan plan;
    strbuf out = STRBUF_INIT;
    begin(&c);
    want(&c, read_plan(&c, text, &plan));
    quantization_plan_put(&plan, &out);
    assert_string_equal(strbuf_str(&out), text);
    strbuf_free(&out);
    end(&c);
}

static void wrong_plans_are_told(void **unused) {
    (void)unused;
    static const struct {
        const char *plan, *said;
    } rows[] = {
        {"[]", "found an array, wanted an object"},
        {"{\"quantization_begin\": 1.5}", "quantization_begin: found 1.5, wanted an integer from 0 to 1000000000000"},
        {"{\"not_to_quantize\": [\"\"]}", "not_to_quantize: found \"\", wanted an array of strings that are not empty"},
        {"{\"not_to_requantize_output\": {}}", "not_to_requantize_output: found an object, wanted an array of strings"},
        {"{\"weight_scales\": \"both\"}", "weight_scales: found \"both\", wanted \"per_tensor\" or \"per_channel\""},
        {"{\"quantize_embeddings\": 1}", "quantize_embeddings: found 1, wanted true or false"},
        {"{\"activations\": 1}", "activations: found 1, wanted \"static\", \"dynamic\" or \"none\""},
        {"{\"weight_bits\": 5}", "weight_bits: found 5, wanted 8 or 4"},
        {"{\"weight_bits\": 4}", "weight_bits: found 4, wanted 8, or activations \"none\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        quantized_case c;
        quantization_plan plan;
        begin(&c);
        assert_int_equal(read_plan(&c, rows[i].plan, &plan), POFAC_ERR_INPUT);
        if (!strstr(strbuf_str(&c.messages), rows[i].said)) fail_msg("found %s, wanted %s", strbuf_str(&c.messages), rows[i].said);
        end(&c);
    }
}

/* ---- files ---- */

static const float input[] = {-1.5f, 3.25f}, output[] = {0.125f, 0.75f}, one_range[] = {-0.3f, 0.1f},
                   channels[] = {-1, 2, 0, 0, -0.001f, 0.0005f};
static const quantized_module modules[] = {{"m.a", input, output, one_range, 1, false},
                                           {"m.b", input, NULL, channels, 3, true},
                                           {"m.table", NULL, NULL, one_range, 1, false}};
#define N_MODULES (sizeof modules / sizeof *modules)

static void same_numbers(const char *name, const float *found, const float *wanted, size_t n) {
    if (!wanted) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    if (memcmp(found, wanted, n * sizeof *found) != 0) fail_msg("%s: another range", name);
}

static void ranges_come_back(void **unused) {
    (void)unused;
    quantization_plan plan = quantization_plan_default();
    quantized_case c;
    model_quantization *q;
    ir_tensor t;
    begin(&c);
    want(&c, model_quantization_read(NULL, &c.sink, &q));
    assert_null(q);
    want(&c, model_quantization_read(c.folder, &c.sink, &q));
    assert_null(q);
    plan.begin = 3;
    want(&c, model_quantization_write(c.folder, &plan, modules, N_MODULES, &c.sink));
    want(&c, model_quantization_read(c.folder, &c.sink, &q));
    assert_int_equal(model_quantization_plan(q)->begin, 3);
    assert_int_equal(model_quantization_size(q), N_MODULES);
    for (size_t i = 0; i < N_MODULES; i++) {
        const quantized_module *wanted = &modules[i], *found = model_quantization_find(q, wanted->name);
        assert_non_null(found);
        same_numbers(wanted->name, found->input, wanted->input, 2);
        same_numbers(wanted->name, found->output, wanted->output, 2);
        assert_int_equal(found->n_weight_ranges, wanted->n_weight_ranges);
        assert_int_equal(found->by_channel, wanted->by_channel);
        same_numbers(wanted->name, found->weight, wanted->weight, 2 * (size_t)wanted->n_weight_ranges);
    }
    assert_int_equal(model_quantization_of(q, "m.a"), PASS_QUANTIZED_WHOLE);
    assert_int_equal(model_quantization_of(q, "m.b"), PASS_QUANTIZED_OPERANDS | PASS_QUANTIZED_CHANNELS);
    assert_int_equal(model_quantization_of(q, "m.c"), PASS_QUANTIZED_NOT);
    const tensor_source *ranges = model_quantization_ranges(q);
    want(&c, ranges->get(ranges->user, "m.b.weight_range", &c.sink, &t));
    assert_true(t.rank == 2 && t.dims[0] == 3 && t.dims[1] == 2 && tensor_get(&t, 1) == 2);
    assert_int_equal(ranges->get(ranges->user, "m.b.output_range", &c.sink, &t), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.messages), "error: the quantized model has no \"m.b.output_range\", wanted one\n");
    model_quantization_close(q);
    end(&c);
}

/* Of files that have scales alone, which came from ranges, ranges give these scales again, bit for bit. */
static void scales_give_their_ranges(void **unused) {
    (void)unused;
    enum { N = 400 };
    const rng_key key = rng_key_make(5, "scales");
    int exact = 0;
    for (int i = 0; i < N; i++) {
        quantized_case c;
        const float low = -(float)rng_uniform(key, (uint64_t)(3 * i)), high = (float)rng_uniform(key, (uint64_t)(3 * i + 1)),
                    size = (float)exp2(20 * rng_uniform(key, (uint64_t)(3 * i + 2)) - 10);
        const value_range range = {low * size, high * size};
        const quantization inputs = quantization_of(range, QUANTIZE_AFFINE), weights = quantization_of(range, QUANTIZE_SYMMETRIC);
        const float scales[2] = {inputs.scale, weights.scale};
        const int32_t zeros[2] = {inputs.zero_point, 0};
        const safetensors_item items[] = {
            {.name = "m.input_scale", .dtype = IR_F32, .rank = 1, .dims = {1}, .data = &scales[0]},
            {.name = "m.input_zero_point", .dtype = IR_I32, .rank = 1, .dims = {1}, .data = &zeros[0]},
            {.name = "m.weight_scale", .dtype = IR_F32, .rank = 1, .dims = {1}, .data = &scales[1]},
            {.name = "m.weight_zero_point", .dtype = IR_I32, .rank = 1, .dims = {1}, .data = &zeros[1]}};
        model_quantization *q;
        begin(&c);
        want(&c, safetensors_write(c.file, items, sizeof items / sizeof *items, NULL, 0, &c.sink));
        want(&c, model_quantization_read(c.folder, &c.sink, &q));
        const quantized_module *m = model_quantization_find(q, "m");
        const quantization x = quantization_of((value_range){m->input[0], m->input[1]}, QUANTIZE_AFFINE),
                           w = quantization_of((value_range){m->weight[0], m->weight[1]}, QUANTIZE_SYMMETRIC);
        assert_int_equal(x.zero_point, zeros[0]);
        exact += x.scale == scales[0] && w.scale == scales[1];
        model_quantization_close(q);
        end(&c);
    }
    assert_int_equal(exact, N);
}

static void contradictory_files_are_refused(void **unused) {
    (void)unused;
    static const float scale = 0.5f, minus = -1, backwards[] = {1, 0}, infinite[] = {0, INFINITY}, range[] = {-1, 1};
    static const int32_t zero = 0, large = 300;
#define ITEM(label, type, count, content)                                                                                          \
    { .name = label, .dtype = type, .rank = 1, .dims = {count}, .data = content }
#define RANGE(label, content) ITEM(label, IR_F32, 2, content)
#define SCALE(label, content) ITEM(label, IR_F32, 1, content)
#define ZERO(label, content) ITEM(label, IR_I32, 1, content)
    static const struct {
        safetensors_item items[3];
        size_t n;
        const char *said;
    } rows[] = {
        {{RANGE("m.weights", range)}, 1, "tensor \"m.weights\": found another than ranges, scales and zero points of modules"},
        {{RANGE(".weight_range", range)}, 1, "tensor \".weight_range\": found another than ranges"},
        {{RANGE("m.input_range", range)}, 1, "module \"m\": found no range of its weight"},
        {{RANGE("m.weight_range", range), RANGE("m.output_range", range)},
         2,
         "module \"m\": found a range of its output, wanted one of its input, too"},
        {{RANGE("m.weight_range", backwards)}, 1, "tensor \"m.weight_range\": found no range, wanted a finite least"},
        {{RANGE("m.weight_range", infinite)}, 1, "tensor \"m.weight_range\": found no range, wanted a finite least"},
        {{SCALE("m.weight_range", &scale)}, 1, "tensor \"m.weight_range\": wanted f32 [2], or [N,2]"},
        {{SCALE("m.weight_scale", &minus)}, 1, "tensor \"m.weight_scale\": found no scale above 0"},
        {{ZERO("m.weight_zero_point", &zero)}, 1, "tensor \"m.weight_zero_point\": found without a scale"},
        {{SCALE("m.input_scale", &scale)}, 1, "tensor \"m.input_scale\": found without a zero point"},
        {{SCALE("m.input_scale", &scale), ZERO("m.input_zero_point", &large)},
         2,
         "tensor \"m.input_scale\": found no scale above 0, or no"},
        {{RANGE("m.weight_range", range), SCALE("m.weight_scale", &scale)}, 2, "tensor \"m.weight_scale\": found another scale"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        quantized_case c;
        model_quantization *q;
        begin(&c);
        want(&c, safetensors_write(c.file, rows[i].items, rows[i].n, NULL, 0, &c.sink));
        assert_int_equal(model_quantization_read(c.folder, &c.sink, &q), POFAC_ERR_INPUT);
        assert_null(q);
        if (!strstr(strbuf_str(&c.messages), rows[i].said))
            fail_msg("row %zu: found %s, wanted %s", i, strbuf_str(&c.messages), rows[i].said);
        end(&c);
    }
}

static void short_memory_is_told(void **unused) {
    (void)unused;
    const quantization_plan plan = quantization_plan_default();
    size_t n = 1;
    for (;; n++) {
        quantized_case c;
        model_quantization *q = NULL;
        begin(&c);
        fail_alloc_after(n);
        pofac_status status = model_quantization_write(c.folder, &plan, modules, N_MODULES, NULL);
        if (status == POFAC_OK) status = model_quantization_read(c.folder, NULL, &q);
        const bool failed = fail_alloc_stop();
        model_quantization_close(q);
        end(&c);
        if (!failed) {
            assert_int_equal(status, POFAC_OK);
            break;
        }
        assert_true(status != POFAC_OK || q); /* a library may do without */
    }
    assert_true(n > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_say_what_is_quantized), cmocka_unit_test(plans_read_back),
        cmocka_unit_test(wrong_plans_are_told),        cmocka_unit_test(ranges_come_back),
        cmocka_unit_test(scales_give_their_ranges),    cmocka_unit_test(contradictory_files_are_refused),
        cmocka_unit_test(short_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
