/*
 * The pass tile-loss keeps losses and their gradients: whole logits and their losses against the ops that have none, both through
 * autodiff, in f64 by the interpreter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/op.h"
#include "ir/support/rng.h"
#include "tests/unit/passes/pass_case.h"

enum { ROWS = 9, CLASSES = 7, WIDTH = 4, TEACHER = 6 };

static void add_random(named_tensors *to, const char *name, uint32_t rank, int64_t a, int64_t b) {
    const int64_t dims[2] = {a, b};
    const rng_key key = rng_key_make(8, name);
    ir_tensor *t = named_tensors_add(to, name, IR_F64, rank, dims);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, 4 * rng_uniform(key, (uint64_t)i) - 2);
}

/* x [9,4] of a student is state, so that it is learned as well; the teacher's y [9,6] is given. */
static void make_tensors(named_tensors *inputs, named_tensors *state) {
    const int64_t rows = ROWS;
    add_random(inputs, "y", 2, ROWS, TEACHER);
    tensor_set(named_tensors_add(inputs, "scale", IR_F64, 0, NULL), 0, 0.3);
    ir_tensor *labels = named_tensors_add(inputs, "labels", IR_I64, 1, &rows),
              *keep = named_tensors_add(inputs, "keep", IR_I32, 1, &rows);
    for (int64_t r = 0; r < ROWS; r++) {
        tensor_set_int(labels, r, r % 3 == 1 ? -100 : r % CLASSES);
        tensor_set_int(keep, r, r % 4 != 2);
    }
    add_random(state, "x", 2, ROWS, WIDTH);
    add_random(state, "w", 2, CLASSES, WIDTH);
    add_random(state, "b", 1, CLASSES, 0);
    add_random(state, "teacher.w", 2, CLASSES, TEACHER);
    add_random(state, "teacher.b", 1, CLASSES, 0);
}

static interp_results interpret(const ir_module *m, named_tensors *inputs, named_tensors *state) {
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    tensor_source in = named_tensors_source(inputs), st = named_tensors_source(state);
    interp_results results;
    if (interpret_graph(m->graphs.data[0], &in, &st, NULL, &sink, &results) != POFAC_OK) fail_msg("%s", strbuf_str(&messages));
    strbuf_free(&messages);
    return results;
}

static size_t count_ops(const ir_module *m, ir_op op) {
    size_t n = 0;
    const ir_graph *g = m->graphs.data[0];
    for (size_t i = 0; i < g->nodes.size; i++) n += g->nodes.data[i].op == op;
    return n;
}

static void losses_and_gradients_stay(void **unused) {
    (void)unused;
    static const char text[] = "graph @step (R <= 64) {\n"
                               "  %1 = state {name = \"x\"} : f64[9,4]\n"
                               "  %2 = state {name = \"w\"} : f64[7,4]\n"
                               "  %3 = state {name = \"b\"} : f64[7]\n"
                               "  %4 = input {name = \"y\"} : f64[R,6]\n"
                               "  %5 = state {frozen = true, name = \"teacher.w\"} : f64[7,6]\n"
                               "  %6 = state {frozen = true, name = \"teacher.b\"} : f64[7]\n"
                               "  %7 = input {name = \"keep\"} : i32[R]\n"
                               "  %8 = input {name = \"scale\"} : f64[]\n"
                               "  %9 = input {name = \"labels\"} : i64[R]\n"
                               "  %10 = input {name = \"index\"} : i32[R]\n"
                               "  %11 = gather_rows %1, %10 : f64[R,4]\n"
                               "  %12 = linear %11, %2, %3 : f64[R,7]\n"
                               "  %13 = linear %4, %5, %6 : f64[R,7]\n"
                               "  %14 = kl_divergence %12, %13, %7, %8 {temperature = 2} : f64[]\n"
                               "  %15 = linear %11, %2, %3 : f64[R,7]\n"
                               "  %16 = cross_entropy %15, %9 {reduction = \"sum\"} : f64[]\n"
                               "  %17 = mul %16, %8 : f64[]\n"
                               "  %18 = linear %11, %2 : f64[R,7]\n"
                               "  %19 = linear %4, %5 : f64[R,7]\n"
                               "  %20 = kl_divergence %18, %19 {temperature = 0.5} : f64[]\n"
                               "  %21 = add %14, %17 : f64[]\n"
                               "  %22 = add %21, %20 : f64[]\n"
                               "  return \"loss\" = %22, \"loss.distill\" = %14, \"loss.task\" = %17, \"loss.plain\" = %20\n"
                               "}\n";
    ir_context *c = context_create();
    ir_module *m = module_from_text(c, "step", text), *whole = run_pipeline(m, "autodiff");
    ir_module *tiled = run_pipeline(m, "tile-loss{min_classes=7},autodiff");
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    const int64_t rows = ROWS;
    make_tensors(&inputs, &state);
    ir_tensor *index = named_tensors_add(&inputs, "index", IR_I32, 1, &rows);
    for (int64_t r = 0; r < ROWS; r++) tensor_set_int(index, r, ROWS - 1 - r);
    assert_int_equal(count_ops(tiled, OP_linear), 0);
    assert_int_equal(count_ops(tiled, OP_linear_kl_divergence), 2);
    assert_int_equal(count_ops(tiled, OP_linear_cross_entropy), 1);
    interp_results wanted = interpret(whole, &inputs, &state), found = interpret(tiled, &inputs, &state);
    assert_int_equal(found.n_outputs, 4 + 3); /* losses, and gradients of x, w and b */
    assert_int_equal(wanted.n_outputs, found.n_outputs);
    for (size_t i = 0; i < wanted.n_outputs; i++) {
        const char *name = wanted.outputs[i].name;
        assert_tensors_close(name, interp_find(&found, name), &wanted.outputs[i].tensor, 1e-13, 1e-12);
    }
    interp_results_free(&wanted);
    interp_results_free(&found);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
    module_destroy(m);
    module_destroy(whole);
    module_destroy(tiled);
    context_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses_and_gradients_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
