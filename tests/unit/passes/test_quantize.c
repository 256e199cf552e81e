/*
 * Quantize: which linears compute on 8 bits, by whose ranges; that the graph is the one written by hand, that training learns the ranges and nothing else
 * of them, and that the same graph without observation uses them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/rng.h"
#include "passes/pass.h"
#include "tests/unit/text_case.h"

static const int64_t rows[] = {5, 6}, square[] = {6, 6}, table[] = {9, 6}, two[] = {2};

/* a and b read one value; the decoder's weight is the table's. */
#define BEGIN                                                                                                                      \
    "%1 = input {name = \"x\"} : f32[T,6]\n"                                                                                       \
    "%2 = state {name = \"m.a.weight\"} : f32[6,6]\n"                                                                              \
    "%3 = state {name = \"m.b.weight\"} : f32[6,6]\n"                                                                              \
    "%4 = state {name = \"m.table.weight\"} : f32[9,6]\n"                                                                          \
    "%5 = input {name = \"ids\"} : i64[T]\n"                                                                                       \
    "%6 = embedding %4, %5 : f32[T,6]\n"
static const char nodes[] = BEGIN "scope \"a\"\n %7 = linear %1, %2 : f32[T,6]\n"
                                  "scope \"b\"\n %8 = linear %1, %3 : f32[T,6]\n"
                                  "scope \"\"\n %9 = add %7, %8 : f32[T,6]\n %10 = add %9, %6 : f32[T,6]\n"
                                  "scope \"head.decoder\"\n %11 = linear %10, %4 : f32[T,9]\n"
                                  "scope \"head\"\n %12 = cross_entropy %11, %5 : f32[]\n return \"loss\" = %12\n";
#define RANGE(n, name) "%" n " = state {frozen = true, name = \"" name "\"} : f32[2]\n"
/* x, its range, its result; then the same as 8 bits hold it. */
#define AVERAGED(x, range, new, y, type)                                                                                           \
    "%" new " = observe_range %" x ", %" range ", %20 {averaging = 0.01, begin = 3} : f32[2]\n"                                    \
            "%" y " = fake_quantize %" x ", %" new ", %20 {begin = 3} : " type "\n"
#define EXTREMES(w, range, new, y, type)                                                                                           \
    "%" new " = observe_range %" w ", %" range ", %20 {averaging = 0, begin = 3} : f32[2]\n"                                       \
            "%" y " = fake_quantize %" w ", %" new ", %20 {begin = 3, scheme = \"symmetric\"} : " type "\n"
static const char by_hand[] = BEGIN "%20 = input {name = \"forward\"} : i64[]\n" RANGE("21", "m.a.input_range")
    RANGE("22", "m.a.weight_range") RANGE("23", "m.a.output_range") RANGE("24", "m.b.weight_range")
        RANGE("25", "head.decoder.input_range") RANGE("26", "head.decoder.weight_range") AVERAGED("1", "21", "31", "41", "f32[T,6]")
            EXTREMES("2", "22", "32", "42", "f32[6,6]")
                EXTREMES("3", "24", "34", "44", "f32[6,6]") "%7 = linear %41, %42 : f32[T,6]\n" AVERAGED(
                    "7", "23", "33", "43",
                    "f32[T,6]") "%8 = linear %41, %44 : f32[T,6]\n %9 = add %43, %8 : f32[T,6]\n %10 = add %9, %6 : "
                                "f32[T,6]\n" AVERAGED("10", "25", "35", "45", "f32[T,6]")
                                    EXTREMES("4", "26", "36", "46",
                                             "f32[9,6]") "%11 = linear %45, %46 : f32[T,9]\n %12 = cross_entropy %11, %5 : f32[]\n"
                                                         "return \"loss\" = %12, \"m.a.input_range\" = %31, \"m.a.weight_range\" = "
                                                         "%32, \"m.a.output_range\" = %33, "
                                                         "\"m.b.weight_range\" = %34, \"head.decoder.input_range\" = %35, "
                                                         "\"head.decoder.weight_range\" = %36\n";
static const char *const ranges[] = {"m.a.input_range",  "m.a.weight_range",         "m.a.output_range",
                                     "m.b.weight_range", "head.decoder.input_range", "head.decoder.weight_range"};
enum { N_RANGES = sizeof ranges / sizeof *ranges };

static pass_quantized quantizes(void *user, const char *module) {
    (void)user;
    return strcmp(module, "m.a") == 0 ? PASS_QUANTIZED_WHOLE : PASS_QUANTIZED_OPERANDS;
}

static void add_random(named_tensors *to, const char *name, const int64_t *dims) {
    const rng_key key = rng_key_make(13, name);
    ir_tensor *t = named_tensors_add(to, name, IR_F32, 2, dims);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, 2 * rng_uniform(key, (uint64_t)i) - 0.7);
}

static void make_tensors(named_tensors *inputs, named_tensors *state, int64_t forward) {
    static const double ids[] = {0, 8, 3, 3, 1}, range[] = {-0.3, 0.4};
    static const char *const weights[] = {"m.a.weight", "m.b.weight", "m.table.weight"};
    *inputs = (named_tensors){.what = "input"};
    *state = (named_tensors){.what = "state"};
    add_random(inputs, "x", rows);
    named_tensors_add_doubles(inputs, "ids", IR_I64, 1, &rows[0], ids);
    tensor_set_int(named_tensors_add(inputs, "forward", IR_I64, 0, NULL), 0, forward);
    tensor_set(named_tensors_add(inputs, "learning_rate", IR_F32, 0, NULL), 0, 0.1);
    tensor_set_int(named_tensors_add(inputs, "step", IR_I64, 0, NULL), 0, 1);
    for (size_t i = 0; i < 3; i++) {
        char name[48];
        add_random(state, weights[i], i < 2 ? square : table);
        snprintf(name, sizeof name, "%s.momentum_buffer", weights[i]);
        named_tensors_add(state, name, IR_F32, 2, i < 2 ? square : table);
    }
    for (size_t i = 0; i < N_RANGES; i++) named_tensors_add_doubles(state, ranges[i], IR_F32, 1, two, range);
}

static void run_passes(text_case *c, const char *pipeline) {
    const pass_environment environment = {.quantizes = quantizes};
    arena memory = ARENA_INIT;
    pass_pipeline p;
    ir_module *out = NULL;
    assert_int_equal(pipeline_parse(pipeline, &memory, &c->sink, &p), POFAC_OK);
    if (pipeline_run(&p, c->module, &environment, NULL, &c->sink, &out) != POFAC_OK) fail_msg("%s", strbuf_str(&c->messages));
    c->module = out;
    c->graph = out->graphs.data[0];
    arena_free(&memory);
}

static void run(text_case *c, const char *text, const char *pipeline, named_tensors *inputs, named_tensors *state) {
    text_case_begin(c, text);
    if (pipeline) run_passes(c, pipeline);
    if (text_case_run(c, inputs, state) != POFAC_OK) fail_msg("%s", strbuf_str(&c->messages));
}

static void same_output(const char *name, const text_case *a, const text_case *b) {
    const ir_tensor *found = interp_find(&a->results, name), *wanted = interp_find(&b->results, name);
    if (!found || !wanted) fail_msg("%s is missing in %s", name, found ? "the graph by hand" : "the pass's graph");
    assert_tensors_close(name, found, wanted, 0, 0);
}

/* The forward pass is the one by hand, before number 3, at it and behind it; and so is a step of training, gradients and all. */
static void the_graph_is_the_one_by_hand(void **unused) {
    (void)unused;
    static const char *const trained[] = {"m.a.weight", "m.b.weight", "m.table.weight"};
    for (int64_t forward = 2; forward <= 4; forward++) {
        named_tensors inputs, state;
        text_case pass, hand, step, step_by_hand;
        make_tensors(&inputs, &state, forward);
        run(&pass, nodes, "quantize{begin=3}", &inputs, &state);
        run(&hand, by_hand, NULL, &inputs, &state);
        same_output("loss", &pass, &hand);
        run(&step, nodes, "quantize{begin=3},autodiff,optimizer{optim=sgd}", &inputs, &state);
        run(&step_by_hand, by_hand, "autodiff,optimizer{optim=sgd}", &inputs, &state);
        same_output("loss", &step, &hand);
        for (size_t i = 0; i < N_RANGES; i++) {
            same_output(ranges[i], &pass, &hand);
            same_output(ranges[i], &step, &hand);
        }
        for (size_t i = 0; i < 3; i++) same_output(trained[i], &step, &step_by_hand);
        const double low = tensor_get(interp_find(&pass.results, "m.a.weight_range"), 0);
        if (forward == 2) assert_true(low == (double)-0.3f);
        else assert_true(low < (double)-0.3f);
        text_case_end(&pass);
        text_case_end(&hand);
        text_case_end(&step);
        text_case_end(&step_by_hand);
        named_tensors_free(&inputs);
        named_tensors_free(&state);
    }
}

/* With the ranges that a forward pass has learned, the graph that observes nothing gives its loss. */
static void learned_ranges_are_used(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    text_case learns, uses;
    make_tensors(&inputs, &state, 3);
    run(&learns, nodes, "quantize{begin=3}", &inputs, &state);
    for (size_t i = 0; i < N_RANGES; i++) {
        const ir_tensor *now = interp_find(&learns.results, ranges[i]);
        for (int64_t k = 0; k < 2; k++) tensor_set(named_tensors_find(&state, ranges[i]), k, tensor_get(now, k));
    }
    run(&uses, nodes, "quantize{trained=0}", &inputs, &state);
    assert_int_equal(uses.graph->outputs.size, 1);
    for (size_t i = 0; i < uses.graph->nodes.size; i++) assert_int_not_equal(uses.graph->nodes.data[i].op, OP_observe_range);
    same_output("loss", &uses, &learns);
    text_case_end(&learns);
    text_case_end(&uses);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

static pass_quantized in_two_ways(void *user, const char *module) {
    (void)user;
    return strcmp(module, "m.a") == 0 ? PASS_QUANTIZED_ROWS : PASS_QUANTIZED_OPERANDS;
}

/* A value that one linear reads by ranges of rows, another by one that is known. */
static void readers_have_ranges_of_their_own(void **unused) {
    (void)unused;
    const pass_environment environment = {.quantizes = in_two_ways};
    arena memory = ARENA_INIT;
    pass_pipeline p;
    text_case c;
    ir_module *out = NULL;
    size_t of_rows = 0, of_all = 0;
    text_case_begin(&c, nodes);
    assert_int_equal(pipeline_parse("quantize{trained=0}", &memory, &c.sink, &p), POFAC_OK);
    if (pipeline_run(&p, c.module, &environment, NULL, &c.sink, &out) != POFAC_OK) fail_msg("%s", strbuf_str(&c.messages));
    c.module = out;
    const ir_graph *g = out->graphs.data[0];
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op != OP_fake_quantize || graph_node_of(g, n->inputs[0])->op != OP_input) continue;
        const ir_node *range = graph_node_of(g, n->inputs[1]);
        if (range->op == OP_row_range) of_rows++;
        else of_all += strcmp(node_string(range, "name"), "m.b.input_range") == 0;
    }
    assert_int_equal(of_rows, 1);
    assert_int_equal(of_all, 1);
    text_case_end(&c);
    arena_free(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_graph_is_the_one_by_hand), cmocka_unit_test(learned_ranges_are_used),
                                       cmocka_unit_test(readers_have_ranges_of_their_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
