/*
 * Which steps form series: whole layers between attentions, and what ends one (other rows, whoever reads other blocks, a slot that
 * values of two types share); and which values live within one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "codegen/lower.h"
#include "codegen/target.h"
#include "frontend/model/model_graph.h"
#include "tests/unit/passes/pass_case.h"

/* "linear linear+ layer_norm+ | attention |": steps, a `+` behind those whose last operand lives within the series; a series ends with
 * a bar. */
static void describe(const ir_module *m, strbuf *out) {
    cg_target target;
    arena memory = ARENA_INIT;
    lowering low;
    assert_int_equal(target_of_row("avx2", NULL, &target), POFAC_OK);
    assert_int_equal(lower_graph(&low, m->graphs.data[0], &target, &memory, NULL), POFAC_OK);
    for (size_t i = 0, end = 0; i < low.steps.size; i++) {
        const plan_step *step = &low.steps.data[i];
        if (i == end) end = i + step->series;
        else assert_int_equal(step->series, 0);
        const plan_buffer *last = &low.buffers.data[step->buffers[step->n_buffers - 1]];
        strbuf_printf(out, "%s%s ", step->kernel, last->series_row_bytes > 0 ? "+" : "");
        if (last->series_row_bytes > 0) assert_int_equal(last->series_row_bytes, 4 * type_features(last->type));
        if (i + 1 == end) strbuf_puts(out, "| ");
    }
    lowering_free(&low);
    arena_free(&memory);
}

static void expect_series(const char *nodes, const char *wanted) {
    strbuf text = STRBUF_INIT, found = STRBUF_INIT;
    ir_context *c = context_create();
    strbuf_printf(&text, "graph @g (B <= 8, T <= 64) {\n%s}\n", nodes);
    ir_module *m = module_from_text(c, "series.pir", strbuf_str(&text));
    describe(m, &found);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&text);
    strbuf_free(&found);
    module_destroy(m);
    context_destroy(c);
}

static void layers_are_series_between_attentions(void **state) {
    (void)state;
    ir_context *c = context_create();
    ir_module *m = module_create(c, NULL), *planned;
    model_spec s = model_spec_default(MODEL_BERT);
    const model_graph_options options = {0};
    strbuf found = STRBUF_INIT;
    s.head = HEAD_NONE;
    s.hidden_size = 32;
    s.num_hidden_layers = 2;
    s.num_attention_heads = 2;
    s.intermediate_size = 64;
    assert_int_equal(model_graph_build(m, "infer", &s, &options), POFAC_OK);
    planned = run_pipeline(m, "infer");
    describe(planned, &found);
    const char *encoder = strstr(strbuf_str(&found), "embedding ");
    assert_non_null(encoder);
    const char wanted[] = "embedding linear linear linear | attention | "
                          "linear layer_norm linear+ linear layer_norm linear linear linear | attention | "
                          "linear+ layer_norm linear+ linear+ layer_norm | ";
    if (strncmp(encoder, wanted, strlen(wanted)) != 0) fail_msg("found %s, wanted %s...", encoder, wanted);
    strbuf_free(&found);
    module_destroy(m);
    module_destroy(planned);
    context_destroy(c);
}

#define INPUT                                                                                                                      \
    "%1 = input {name = \"x\"} : f32[T,8]\n"                                                                                       \
    "%2 = relayout %1 {slot = [0]} : f32[T,8] tiles<16>\n"

static void values_within_a_series_are_its_own(void **state) {
    (void)state;
    expect_series(INPUT "%3 = relu %2 {slot = [1]} : f32[T,8] tiles<16>\n"
                        "%4 = tanh %3 {slot = [2]} : f32[T,8] tiles<16>\n"
                        "%5 = relayout %4 {slot = [3]} : f32[T,8]\n"
                        "return \"y\" = %5\n",
                  "relayout | elementwise+ elementwise | relayout | ");
}

static void what_others_read_too_is_not_its_own(void **state) {
    (void)state;
    expect_series(INPUT "%3 = relu %2 {slot = [1]} : f32[T,8] tiles<16>\n"
                        "%4 = tanh %3 {slot = [2]} : f32[T,8] tiles<16>\n"
                        "%5 = relayout %4 {slot = [3]} : f32[T,8]\n"
                        "%6 = relayout %3 {slot = [4]} : f32[T,8]\n"
                        "return \"y\" = %5, \"z\" = %6\n",
                  "relayout | elementwise elementwise | relayout | relayout | ");
}

/* %3 lives within the series, but the input of the series lies in its slot. */
static void slots_are_shared_by_values_of_one_type(void **state) {
    (void)state;
    expect_series(INPUT "%3 = relu %2 {slot = [1]} : f32[T,8] tiles<16>\n"
                        "%4 = tanh %3 {slot = [0]} : f32[T,8] tiles<16>\n"
                        "%5 = relu %4 {slot = [1]} : f32[T,8] tiles<16>\n"
                        "%6 = relayout %5 {slot = [3]} : f32[T,8]\n"
                        "return \"y\" = %6\n",
                  "relayout | elementwise elementwise elementwise | relayout | ");
}

/* A tile of %5 lies on two tiles of %2, which other blocks still read. */
static void a_slot_of_two_types_ends_a_series(void **state) {
    (void)state;
    expect_series(INPUT "%3 = state {name = \"w\"} : f32[16,8]\n"
                        "%4 = relu %2 {slot = [1]} : f32[T,8] tiles<16>\n"
                        "%5 = linear %4, %3 {slot = [0]} : f32[T,16] tiles<16>\n"
                        "%6 = relayout %5 {slot = [3]} : f32[T,16]\n"
                        "return \"y\" = %6\n",
                  "relayout | elementwise | linear | relayout | ");
}

static void other_rows_end_a_series(void **state) {
    (void)state;
    expect_series(INPUT "%3 = input {name = \"z\"} : f32[B,8]\n"
                        "%4 = relayout %3 {slot = [1]} : f32[B,8] tiles<16>\n"
                        "%5 = relu %2 {slot = [2]} : f32[T,8] tiles<16>\n"
                        "%6 = relu %4 {slot = [3]} : f32[B,8] tiles<16>\n"
                        "%7 = tanh %6 {slot = [4]} : f32[B,8] tiles<16>\n"
                        "%8 = relayout %5 {slot = [5]} : f32[T,8]\n"
                        "%9 = relayout %7 {slot = [6]} : f32[B,8]\n"
                        "return \"y\" = %8, \"z\" = %9\n",
                  "relayout | relayout | elementwise | elementwise+ elementwise | relayout | relayout | ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_series_between_attentions), cmocka_unit_test(values_within_a_series_are_its_own),
        cmocka_unit_test(what_others_read_too_is_not_its_own),  cmocka_unit_test(slots_are_shared_by_values_of_one_type),
        cmocka_unit_test(a_slot_of_two_types_ends_a_series),    cmocka_unit_test(other_rows_end_a_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
