/* What a training has learned of ranges in quantization.safetensors: rows of weights without non-zeros, weights without any, and modules that are left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/learned_ranges.h"
#include "tests/unit/text_case.h"

#define WEIGHT(w, pattern, v, name)                                                                                                \
    "%" pattern " = pattern {name = \"" name ".weight\"} : pattern[3,4]\n"                                                         \
    "%" v " = state {name = \"" name ".weight\"} : f32[nnz(%" pattern ")]\n"                                                       \
    "%" w " = state {frozen = true, name = \"" name ".weight_range\"} : f32[3,2]\n"
#define LINEAR(v, w, pattern, q, y)                                                                                                \
    "%" q " = fake_quantize %" v ", %" w ", _, %" pattern " {scheme = \"symmetric\"} : f32[nnz(%" pattern ")]\n"                   \
    "%" y " = linear %3, %" q ", _, %" pattern " : f32[T,3]\n"

/* a, b and c read one value by a's range. */
static const char nodes[] =
    "%1 = input {name = \"x\"} : f32[T,4]\n"
    "%2 = state {frozen = true, name = \"a.input_range\"} : f32[2]\n"
    "%3 = fake_quantize %1, %2 : f32[T,4]\n" WEIGHT("10", "11", "12", "a") WEIGHT("20", "21", "22", "b") LINEAR("12", "10", "11",
                                                                                                                "13", "14")
        LINEAR("22", "20", "21", "23", "24") "%30 = state {name = \"c.weight\"} : f32[3,4]\n"
                                             "%31 = state {frozen = true, name = \"c.weight_range\"} : f32[2]\n"
                                             "%32 = state {frozen = true, name = \"c.input_range\"} : f32[2]\n"
                                             "%33 = fake_quantize %1, %32 : f32[T,4]\n"
                                             "%34 = fake_quantize %30, %31 {scheme = \"symmetric\"} : f32[3,4]\n"
                                             "%35 = linear %33, %34 : f32[T,3]\n"
                                             "%36 = add %14, %24 : f32[T,3]\n%37 = add %36, %35 : f32[T,3]\n return \"y\" = %37\n";

typedef struct ranges_case {
    text_case text;
    named_tensors initial;
    tensor_source source;
    state_store *state;
    quantization_plan plan;
    learned_ranges *ranges;
    char folder[32];
} ranges_case;

static void begin(ranges_case *c) {
    static const char *const names[] = {"a.weight", "b.weight", "c.weight"};
    *c = (ranges_case){.initial.what = "weight", .plan = quantization_plan_default(), .folder = "/tmp/pofac-ranges-XXXXXX"};
    c->plan.per_channel = true;
    text_case_begin(&c->text, nodes);
    if (!c->text.module) fail_msg("%s", strbuf_str(&c->text.messages));
    for (int i = 0; i < 3; i++) {
        const double content[12] = {i != 1, 0, 0, 0, 0, 0, 0, 0, 0, i != 1}; /* row 1 of a is empty, and all of b */
        named_tensors_add_doubles(&c->initial, names[i], IR_F32, 2, (int64_t[]){3, 4}, content);
    }
    c->source = named_tensors_source(&c->initial);
    if (state_store_create(c->text.module, &c->source, &c->text.sink, &c->state) != POFAC_OK ||
        learned_ranges_create(c->text.graph, &c->plan, &c->text.sink, &c->ranges) != POFAC_OK)
        fail_msg("%s", strbuf_str(&c->text.messages));
    assert_int_equal(learned_ranges_modules(c->ranges), 3);
    assert_non_null(mkdtemp(c->folder));
}

static void end(ranges_case *c) {
    char path[64];
    snprintf(path, sizeof path, "%s/" QUANTIZATION_FILE, c->folder);
    unlink(path);
    assert_int_equal(rmdir(c->folder), 0);
    learned_ranges_destroy(c->ranges);
    state_store_destroy(c->state);
    named_tensors_free(&c->initial);
    text_case_end(&c->text);
}

static void set(ranges_case *c, const char *name, int64_t row, double min, double max) {
    ir_tensor *t = &state_store_find(c->state, name)->tensor;
    tensor_set(t, 2 * row, min);
    tensor_set(t, 2 * row + 1, max);
}

static void assert_range(const float *range, float min, float max) {
    assert_non_null(range);
    if (range[0] != min || range[1] != max)
        fail_msg("found %g to %g, wanted %g to %g", (double)range[0], (double)range[1], (double)min, (double)max);
}

static void empty_rows_have_ranges(void **unused) {
    (void)unused;
    ranges_case c;
    model_quantization *q;
    bool written;
    begin(&c);
    set(&c, "a.input_range", 0, -1, 2);
    set(&c, "a.weight_range", 0, -0.5, 1);
    set(&c, "a.weight_range", 2, -3, 0.25);
    assert_int_equal(learned_ranges_write(c.ranges, c.state, c.folder, &c.text.sink, &written), POFAC_OK);
    assert_true(written);
    assert_non_null(strstr(strbuf_str(&c.text.messages), "c: found no range that was seen, wanted ranges: it is not quantized"));
    assert_int_equal(model_quantization_read(c.folder, &c.text.sink, &q), POFAC_OK);
    assert_int_equal(model_quantization_size(q), 2);
    const quantized_module *a = model_quantization_find(q, "a"), *b = model_quantization_find(q, "b");
    assert_true(a && b && a->n_weight_ranges == 3 && b->n_weight_ranges == 3);
    assert_range(a->weight, -0.5f, 1);
    assert_range(a->weight + 2, -3, 1);
    assert_range(a->weight + 4, -3, 0.25f);
    for (int i = 0; i < 3; i++) assert_range(b->weight + 2 * i, -1, 1);
    assert_range(b->input, -1, 2);
    model_quantization_close(q);
    end(&c);
}

static void nothing_is_written_before_the_beginning(void **unused) {
    (void)unused;
    ranges_case c;
    bool written = true;
    begin(&c);
    assert_int_equal(learned_ranges_write(c.ranges, c.state, c.folder, &c.text.sink, &written), POFAC_OK);
    assert_false(written);
    assert_string_equal(strbuf_str(&c.text.messages), "");
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(empty_rows_have_ranges),
                                       cmocka_unit_test(nothing_is_written_before_the_beginning)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
