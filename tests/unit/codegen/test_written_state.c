/*
 * State that a graph replaces, compiled: it is where its source has it when a run is over, whatever kernel or evaluator computes it, and
 * whatever else the step reads of it; what would not mean what the graph says is refused; and so is a source whose memory cannot be
 * written, or would have to be copied.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "codegen/codegen.h"
#include "ir/text.h"
#include "runtime/interpreter.h"
#include "runtime/session.h"
#include "tests/unit/codegen/kernel_case.h"

#define RUNS 3
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

typedef struct written_case {
    char text[2048];
    strbuf messages;
    diag_sink sink;
    ir_context *context;
    arena memory;
    thread_pool *pool;
    plan *plan;
    session *session;
    named_tensors state, inputs;
} written_case;

static void begin(written_case *c, const char *nodes) {
    *c = (written_case){.messages = STRBUF_INIT, .context = context_create(), .state.what = "state", .inputs.what = "input"};
    c->sink = diag_sink_to_strbuf(&c->messages);
    snprintf(c->text, sizeof c->text, "graph @g (T <= 64) {\n%s}\n", nodes);
    assert_int_equal(thread_pool_create(2, &c->sink, &c->pool), POFAC_OK);
}

static ir_module *parse(written_case *c) {
    ir_module *m;
    if (text_parse_module(c->context, "test", c->text, strlen(c->text), NULL, &c->sink, &m) != POFAC_OK)
        fail_msg("%s", strbuf_str(&c->messages));
    return m;
}

static pofac_status compile(written_case *c) {
    cg_options options = {.cache_dir = NULL};
    assert_int_equal(cg_target_host(NULL, &c->memory, &c->sink, &options.target), POFAC_OK);
    return cg_compile(parse(c), "g", &options, &c->sink, &c->plan);
}

static void end(written_case *c) {
    session_destroy(c->session);
    plan_destroy(c->plan);
    thread_pool_destroy(c->pool);
    context_destroy(c->context);
    arena_free(&c->memory);
    named_tensors_free(&c->state);
    named_tensors_free(&c->inputs);
    strbuf_free(&c->messages);
}

/* Interprets the graph on `state`, and puts next contents there. */
static void interpret(written_case *c, named_tensors *state, const tensor_source *inputs, double *y) {
    ir_module *m = parse(c);
    interp_results results;
    const tensor_source source = named_tensors_source(state);
    if (interpret_graph(m->graphs.data[0], inputs, &source, NULL, &c->sink, &results) != POFAC_OK)
        fail_msg("%s", strbuf_str(&c->messages));
    *y = 0;
    for (size_t i = 0; i < results.n_outputs; i++) {
        ir_tensor *to = named_tensors_find(state, results.outputs[i].name);
        if (to) memcpy(to->data, results.outputs[i].tensor.data, tensor_bytes(to));
        if (strcmp(results.outputs[i].name, "y") == 0) *y = tensor_get(&results.outputs[i].tensor, 0);
    }
    interp_results_free(&results);
    module_destroy(m);
}

/* Several runs of the compiled graph on its state, each against the interpreter on another. */
static void check(const char *nodes, const char *kernel) {
    written_case c;
    named_tensors wanted = {.what = "state"};
    begin(&c, nodes);
    kernel_case_reals(&c.state, "w", 2, DIMS(16, 16));
    kernel_case_reals(&c.state, "v", 2, DIMS(16, 16));
    kernel_case_reals(&wanted, "w", 2, DIMS(16, 16));
    kernel_case_reals(&wanted, "v", 2, DIMS(16, 16));
    kernel_case_reals(&c.inputs, "x", 2, DIMS(5, 16));
    const tensor_source state = named_tensors_source(&c.state), inputs = named_tensors_source(&c.inputs);
    bool found = kernel == NULL;
    if (compile(&c) != POFAC_OK || session_create(c.plan, &state, c.pool, &c.sink, &c.session) != POFAC_OK)
        fail_msg("%s\n%s", strbuf_str(&c.messages), c.text);
    for (size_t i = 0; i < c.plan->n_steps; i++) found = found || strcmp(c.plan->steps[i].kernel, kernel) == 0;
    if (!found) fail_msg("no step runs %s in\n%s", kernel, c.text);
    for (int run = 0; run < RUNS; run++) {
        double y;
        ir_tensor t;
        interpret(&c, &wanted, &inputs, &y);
        if (session_run(c.session, &inputs, &c.sink) != POFAC_OK) fail_msg("%s", strbuf_str(&c.messages));
        assert_tensors_close("w", named_tensors_find(&c.state, "w"), named_tensors_find(&wanted, "w"), 1e-4, 1e-4);
        assert_tensors_close("v", named_tensors_find(&c.state, "v"), named_tensors_find(&wanted, "v"), 1e-4, 1e-4);
        assert_int_equal(session_output(c.session, "w", &c.sink, &t), POFAC_OK);
        assert_ptr_equal(t.data, named_tensors_find(&c.state, "w")->data);
        if (session_output(c.session, "y", NULL, &t) == POFAC_OK)
            assert_true(tensor_get(&t, 0) - y < 1e-4 && y - tensor_get(&t, 0) < 1e-4);
    }
    named_tensors_free(&wanted);
    end(&c);
}

#define W "  %1 = state {name = \"w\"} : f32[16,16]\n"

static void kernels_write_where_they_read(void **unused) {
    (void)unused;
    check(W "  %2 = tanh %1 : f32[16,16]\n  return \"w\" = %2\n", "elementwise");
    check(W "  %2 = constant {value = [0.5]} : f32[]\n  %3 = mul %1, %2 : f32[16,16]\n"
            "  %4 = state {name = \"v\"} : f32[16,16]\n  %5:2 = sgd %4, %1, %3, %2, %2 {momentum = 0.5} : f32[16,16], f32[16,16]\n"
            "  return \"v\" = %5, \"w\" = %5#1\n",
          "sgd");
}

/* The transposed weight would be read after it is written, and so would the rows of the others. */
static void results_of_other_kernels_are_copied(void **unused) {
    (void)unused;
    check(W "  %2 = linear %1, %1 : f32[16,16]\n  return \"w\" = %2\n", "evaluator");
    check(
        W
        "  %2 = relayout %1 : f32[16,16] tiles<16>\n  %3 = linear %2, %1 : f32[16,16] tiles<16>\n  %4 = relayout %3 : f32[16,16]\n"
        "  return \"w\" = %4\n",
        "linear");
    check(W "  %2 = constant {value = [3,1,2,0,4,5,6,7,8,15,14,13,12,11,10,9]} : i32[16]\n"
            "  %3 = gather_rows %1, %2 : f32[16,16]\n  return \"w\" = %3\n",
          "reshape");
}

/* Other readers come before; readers of the next content after. */
static void the_rest_of_the_graph_reads_what_it_says(void **unused) {
    (void)unused;
    check(W "  %2 = state {name = \"v\"} : f32[16,16]\n  %3 = sum_of_squares %1 : f32[]\n  %4 = add %1, %2 : f32[16,16]\n"
            "  %5 = add %2, %2 : f32[16,16]\n  %6 = sum_of_squares %4 : f32[]\n  %7 = add %3, %6 : f32[]\n"
            "  return \"w\" = %4, \"v\" = %5, \"y\" = %7\n",
          "square_sums");
    check(W "  %2 = state {name = \"w\"} : f32[16,16]\n  %3 = tanh %1 : f32[16,16]\n  %4 = add %2, %3 : f32[16,16]\n"
            "  return \"w\" = %4\n",
          NULL);
    check(W "  %2 = tanh %1 : f32[16,16]\n  %3 = reshape %2 : f32[256]\n  %4 = reshape %3 : f32[16,16]\n  return \"w\" = %4\n",
          "reshape");
    check(W "  return \"w\" = %1\n", NULL);
}

static void refuse(const char *nodes, const char *message) {
    written_case c;
    begin(&c, nodes);
    assert_int_equal(compile(&c), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.messages), message);
    end(&c);
}

static void what_cannot_be_meant_is_refused(void **unused) {
    (void)unused;
    refuse(W "  %2 = tanh %1 : f32[16,16]\n  %3 = relu %1 : f32[16,16]\n  return \"w\" = %2, \"y\" = %3\n",
           "test:4:3: error: relu reads \"w\" after its next content was computed, wanted it before\n");
    refuse(W "  %2 = state {name = \"v\"} : f32[16,16]\n  %3 = add %1, %2 : f32[16,16]\n  return \"w\" = %3, \"v\" = %3\n",
           "test:3:3: error: one result is the next content of \"w\" and of \"v\", wanted one of them\n");
}

/* Why a session cannot be made of this state. */
static void refuse_state(ir_dtype dtype, bool writable, size_t shift, const char *message) {
    _Alignas(64) char room[4 * 256 + 64] = {0};
    written_case c;
    begin(&c, W "  %2 = tanh %1 : f32[16,16]\n  return \"w\" = %2\n");
    ir_tensor *w = named_tensors_add(&c.state, "w", dtype, 2, DIMS(16, 16)), kept = *w;
    if (shift) {
        w->data = room + shift;
        w->owned = false;
    }
    tensor_source state = named_tensors_source(&c.state);
    state.writable = writable;
    assert_int_equal(compile(&c), POFAC_OK);
    assert_int_equal(session_create(c.plan, &state, c.pool, &c.sink, &c.session), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.messages), message);
    *w = kept;
    end(&c);
}

static void state_must_be_there_to_be_written(void **unused) {
    (void)unused;
    refuse_state(IR_F32, false, 0, "error: state w cannot be written, wanted f32 elements that a run can replace where they lie\n");
    refuse_state(IR_F16, true, 0, "error: state w has another form, wanted f32 elements that a run can replace where they lie\n");
    refuse_state(IR_F32, true, 2,
                 "error: state w lies where no element may lie, wanted f32 elements that a run can replace where they lie\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_write_where_they_read),
        cmocka_unit_test(results_of_other_kernels_are_copied),
        cmocka_unit_test(the_rest_of_the_graph_reads_what_it_says),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(state_must_be_there_to_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
