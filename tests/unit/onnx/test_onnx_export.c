/*
 * Graphs as text -> ONNX: what the file computes is what the interpreter does, for every op that has a form there; what has none is refused with its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "frontend/onnx/onnx_export.h"
#include "ir/op.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "runtime/interpreter.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/onnx/onnx_evaluator.h"

/* A graph, with made-up numbers for its leaves: of 2 sequences of 3 tokens. */
typedef struct graph_case {
    ir_context *context;
    ir_module *module;
    const ir_graph *g;
    named_tensors inputs, state;
    strbuf said;
    diag_sink sink;
} graph_case;

static double made_number(const ir_node *leaf, const ir_type *t, int64_t i) {
    const char *name = node_string(leaf, "name");
    const double random = rng_uniform(rng_key_make(5, name), (uint64_t)i);
    if (strstr(name, "range")) return (i % 2 ? 0.75 : -1.25) * (1 + (double)(i / 2) / 8);
    if (strcmp(name, "mask") == 0) return i < 2; /* the second sequence has no kept key */
    if (t->dtype != IR_F32) return (double)(int64_t)(random * 5);
    return strcmp(name, "positive") == 0 ? random + 0.5 : 2 * random - 1;
}

static void add_leaf(graph_case *c, const ir_node *n) {
    const ir_type *t = graph_type(c->g, n->first_result);
    int64_t dims[IR_MAX_RANK] = {0};
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dim_is_const(t->dims[i], &dims[i]))
            dims[i] = t->dims[i].symbol[1] ? 6 : dim_equal(t->dims[i], dim_symbol(symbol_named(c->context, "B"))) ? 2 : 3;
    named_tensors *to = n->op == OP_input ? &c->inputs : &c->state;
    ir_tensor *made = named_tensors_add(to, node_string(n, "name"), t->dtype, t->rank, dims);
    for (int64_t i = 0; i < tensor_elements(made); i++) tensor_set(made, i, made_number(n, t, i));
}

static void begin_case(graph_case *c, const char *text) {
    *c = (graph_case){.context = context_create(), .inputs = {.what = "input"}, .state = {.what = "state"}, .said = STRBUF_INIT};
    c->sink = diag_sink_to_strbuf(&c->said);
    if (text_parse_module(c->context, "g.pir", text, strlen(text), NULL, &c->sink, &c->module) != POFAC_OK)
        fail_msg("%s", strbuf_str(&c->said));
    c->g = module_find_graph(c->module, "g");
    for (size_t i = 0; i < c->g->nodes.size; i++)
        if (c->g->nodes.data[i].op == OP_input || c->g->nodes.data[i].op == OP_state) add_leaf(c, &c->g->nodes.data[i]);
}

static void end_case(graph_case *c) {
    named_tensors_free(&c->inputs);
    named_tensors_free(&c->state);
    strbuf_free(&c->said);
    module_destroy(c->module);
    context_destroy(c->context);
}

static pofac_status export_case(graph_case *c, const char *path, bool external, onnx_export_result *result) {
    const tensor_source state = named_tensors_source(&c->state);
    return onnx_export(c->g, &state, path, &(onnx_export_options){.external_data = external}, &c->sink, result);
}

/* Every output is what the interpreter gives; returns how many elements were compared. */
static int64_t compare_case(graph_case *c, const onnx_file *f, double absolute) {
    const tensor_source inputs = named_tensors_source(&c->inputs), state = named_tensors_source(&c->state);
    interp_results wanted;
    int64_t compared = 0;
    assert_int_equal(interpret_graph(c->g, &inputs, &state, NULL, &c->sink, &wanted), POFAC_OK);
    for (size_t i = 0; i < wanted.n_outputs; i++) {
        ir_tensor found, as_f32;
        const ir_tensor *t = &wanted.outputs[i].tensor;
        onnx_file_run(f, &inputs, wanted.outputs[i].name, &found);
        assert_int_equal(tensor_alloc(IR_F32, t->rank, t->dims, &as_f32), POFAC_OK);
        for (int64_t k = 0; k < tensor_elements(t); k++) tensor_set(&as_f32, k, tensor_get(t, k));
        assert_tensors_close(wanted.outputs[i].name, &found, &as_f32, absolute, 0);
        compared += tensor_elements(t);
        tensor_free(&found);
        tensor_free(&as_f32);
    }
    interp_results_free(&wanted);
    return compared;
}

/* ---- graphs ---- */

#define BATCH                                                                                                                      \
    "graph @g (B <= 8, S <= 16) {\n  %1 = input {name = \"mask\"} : i64[B,S]\n  %2 = input {name = \"ids\"} : i64[B,S]\n"          \
    "  %3 = reshape %1 : i64[B*S]\n  %4 = reshape %2 : i64[B*S]\n  %5 = padded_offsets %1 : i32[B+1]\n"

static const char elements[] =
    BATCH "  %6 = state {name = \"table\"} : f32[5,8]\n  %7 = embedding %6, %4 : f32[B*S,8]\n"
          "  %8 = state {name = \"positive\"} : f32[8]\n  %9 = div %7, %8 : f32[B*S,8]\n  %10 = sub %9, %7 : f32[B*S,8]\n"
          "  %11 = mul %10, %8 : f32[B*S,8]\n  %12 = gelu %11 {form = \"tanh\"} : f32[B*S,8]\n  %13 = gelu %12 : f32[B*S,8]\n"
          "  %14 = tanh %13 : f32[B*S,8]\n  %15 = mul %14, %14 : f32[B*S,8]\n  %16 = sqrt %15 : f32[B*S,8]\n"
          "  %17 = constant {value = [0.25]} : f32[8]\n  %18 = sub %16, %17 : f32[B*S,8]\n  %19 = relu %18 : f32[B*S,8]\n"
          "  %20 = slice %19 {begin = 2, end = 5} : f32[B*S,3]\n  %21 = reshape %20 : f32[B,S,3]\n"
          "  %22 = row_positions %5, %4 : i32[B*S]\n  %23 = cast %22 : f32[B*S]\n"
          "  %24 = constant {value = [1, 0, 4]} : i64[3]\n  %25 = gather_rows %19, %24 : f32[3,8]\n"
          "  return \"y\" = %21, \"places\" = %23, \"rows\" = %25, \"all\" = %11\n}\n";

static const char layers[] =
    BATCH "  %6 = state {name = \"table\"} : f32[5,8]\n  %7 = embedding %6, %4 : f32[B*S,8]\n"
          "  %8 = state {name = \"w\"} : f32[8,8]\n  %9 = state {name = \"b\"} : f32[8]\n  %10 = linear %7, %8, %9 : f32[B*S,8]\n"
          "  %11 = linear %7, %8 : f32[B*S,8]\n"
          "  %12:2 = attention %10, %11, %7, %5, %3 {heads = 2, scale = 0.5} : f32[B*S,8], f32[B*S,2]\n"
          "  %14:2 = attention %10, %12, %7, %5 {heads = 4, scale = 0.25} : f32[B*S,8], f32[B*S,4]\n"
          "  %16:3 = layer_norm %14, %9, %9 {eps = 1e-3} : f32[B*S,8], f32[B*S], f32[B*S]\n"
          "  %19 = add %16, %12 : f32[B*S,8]\n  %20 = first_rows %5 : i32[B]\n  %21 = gather_rows %19, %20 : f32[B,8]\n"
          "  return \"y\" = %21, \"context\" = %12\n}\n";

/* A table, a linear with an output in 8 bits and one of it, and ranges that nobody has seen a value of. */
static const char eight_bits[] =
    BATCH "  %6 = state {name = \"table\"} : f32[5,8]\n  %7 = state {name = \"t.weight_range\"} : f32[2]\n"
          "  %8 = fake_quantize %6, %7 {scheme = \"symmetric\"} : f32[5,8]\n  %9 = embedding %8, %4 : f32[B*S,8]\n"
          "  %10 = state {name = \"m.input_range\"} : f32[2]\n  %11 = fake_quantize %9, %10 : f32[B*S,8]\n"
          "  %12 = state {name = \"m.weight\"} : f32[6,8]\n  %13 = state {name = \"m.weight_range\"} : f32[2]\n"
          "  %14 = fake_quantize %12, %13 {scheme = \"symmetric\"} : f32[6,8]\n  %15 = state {name = \"m.bias\"} : f32[6]\n"
          "  %16 = linear %11, %14, %15 : f32[B*S,6]\n  %17 = state {name = \"m.output_range\"} : f32[2]\n"
          "  %18 = fake_quantize %16, %17 : f32[B*S,6]\n  return \"y\" = %18\n}\n";

/* Ranges of rows, and of the channels of a weight. */
static const char rows_and_channels[] = BATCH
    "  %6 = state {name = \"table\"} : f32[5,8]\n  %7 = embedding %6, %4 : f32[B*S,8]\n  %8 = row_range %7 : f32[B*S,2]\n"
    "  %9 = fake_quantize %7, %8 : f32[B*S,8]\n  %10 = state {name = \"m.weight\"} : f32[6,8]\n"
    "  %11 = state {name = \"m.weight_range\"} : f32[6,2]\n  %12 = fake_quantize %10, %11 {scheme = \"symmetric\"} : f32[6,8]\n"
    "  %13 = state {name = \"m.bias\"} : f32[6]\n  %14 = linear %9, %12, %13 : f32[B*S,6]\n"
    "  %15 = state {name = \"n.input_range\"} : f32[2]\n  %16 = fake_quantize %7, %15 : f32[B*S,8]\n"
    "  %17 = linear %16, %12, %13 : f32[B*S,6]\n  return \"y\" = %14, \"z\" = %17\n}\n";

static const struct {
    const char *name, *text;
    double absolute;
    int64_t compared;
} cases[] = {
    {"elements", elements, 1e-6, 2 * 3 * 3 + 6 + 3 * 8 + 6 * 8},
    {"layers", layers, 1e-6, 2 * 8 + 6 * 8},
    {"eight bits", eight_bits, 2.0 / 255 + 1e-6, 6 * 6},       /* a step of the output, which a rounding may flip */
    {"rows and channels", rows_and_channels, 1e-2, 2 * 6 * 6}, /* steps of inputs below 1 / 100, of weights of 1 at most */
};

static void files_compute_what_the_interpreter_does(void **state) {
    bool seen[IR_N_OPS] = {false};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int external = 0; external < 2; external++) {
            graph_case c;
            onnx_export_result r;
            char path[512];
            snprintf(path, sizeof path, "%s", file_path(state, external ? "e.onnx" : "i.onnx"));
            begin_case(&c, cases[i].text);
            assert_int_equal(export_case(&c, path, external, &r), POFAC_OK);
            onnx_file f = onnx_file_read(path);
            const int64_t compared = compare_case(&c, &f, cases[i].absolute);
            if (compared != cases[i].compared)
                fail_msg("%s: compared %lld, wanted %lld", cases[i].name, (long long)compared, (long long)cases[i].compared);
            for (size_t n = 0; n < c.g->nodes.size; n++) seen[c.g->nodes.data[n].op] = true;
            assert_string_equal(strbuf_str(&c.said), "");
            onnx_file_free(&f);
            end_case(&c);
        }
    for (int op = 0; op < IR_N_OPS; op++)
        if (onnx_export_knows((ir_op)op) && !seen[op]) fail_msg("no graph here has %s", op_info((ir_op)op)->name);
}

/* Weights stand in 8 bits alone, by pofac's own arithmetic; the bias in 32 at the product of both scales. */
static void weights_stand_in_eight_bits(void **state) {
    graph_case c;
    onnx_export_result r;
    char path[512];
    snprintf(path, sizeof path, "%s", file_path(state, "q.onnx"));
    begin_case(&c, eight_bits);
    assert_int_equal(export_case(&c, path, false, &r), POFAC_OK);
    onnx_file f = onnx_file_read(path);
    const Onnx__TensorProto *w = onnx_file_tensor(&f, "m.weight_quantized"), *b = onnx_file_tensor(&f, "m.bias_quantized"), *s;
    const ir_tensor *weight = named_tensors_find(&c.state, "m.weight"), *bias = named_tensors_find(&c.state, "m.bias");
    const float w_scale = 1.25f / 127.5f, x_scale = 2.0f / 255.0f;
    assert_int_equal(r.n_quantized, 2);
    assert_null(onnx_file_tensor(&f, "m.weight"));
    assert_null(onnx_file_tensor(&f, "m.bias"));
    assert_non_null(w);
    assert_non_null(b);
    assert_int_equal(w->data_type, 3);
    assert_int_equal(b->data_type, 6);
    assert_int_equal(w->raw_data.len, 48);
    assert_int_equal(b->raw_data.len, 24);
    for (int i = 0; i < 48; i++)
        assert_int_equal((int8_t)w->raw_data.data[i], (int)rint(tensor_get(weight, i) * (double)(1 / w_scale)));
    for (int i = 0; i < 6; i++) {
        int32_t code;
        memcpy(&code, b->raw_data.data + 4 * i, 4);
        assert_int_equal(code, (int)rint(tensor_get(bias, i) * (double)(1 / (x_scale * w_scale))));
    }
    s = onnx_file_tensor(&f, "m.input_zero_point");
    assert_non_null(s);
    assert_int_equal(s->data_type, 2);
    assert_int_equal(s->raw_data.data[0], 159); /* round(1.25 / (2 / 255)) */
    assert_int_equal(onnx_file_count(&f, "QuantizeLinear"), 2);
    assert_int_equal(onnx_file_count(&f, "DequantizeLinear"), 5);
    onnx_file_free(&f);
    end_case(&c);
}

/* A range of nothing leaves the values as they are. */
static void ranges_that_know_nothing(void **state) {
    graph_case c;
    onnx_export_result r;
    char path[512];
    snprintf(path, sizeof path, "%s", file_path(state, "n.onnx"));
    begin_case(&c, eight_bits);
    for (size_t i = 0; i < c.state.entries.size; i++) {
        named_tensor *t = &c.state.entries.data[i];
        if (!strstr(t->name, "_range")) continue;
        tensor_set(&t->tensor, 0, INFINITY);
        tensor_set(&t->tensor, 1, -INFINITY);
    }
    assert_int_equal(export_case(&c, path, false, &r), POFAC_OK);
    onnx_file f = onnx_file_read(path);
    assert_int_equal(r.n_quantized, 0);
    assert_int_equal(onnx_file_count(&f, "QuantizeLinear"), 0);
    assert_int_equal(compare_case(&c, &f, 1e-6), 36);
    onnx_file_free(&f);
    end_case(&c);
}

/* ---- what is refused ---- */

static void expect_refused(void **state, const char *text, const char *said) {
    graph_case c;
    onnx_export_result r;
    char path[512];
    snprintf(path, sizeof path, "%s", file_path(state, "refused.onnx"));
    begin_case(&c, text);
    assert_int_equal(export_case(&c, path, false, &r), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.said), said);
    assert_false(file_exists(path));
    end_case(&c);
}

static void what_has_no_form_is_refused(void **state) {
    expect_refused(state,
                   "graph @g (B <= 8, S <= 16, T <= 128) {\n  %1 = input {name = \"mask\"} : i64[B,S]\n"
                   "  %2:2 = kept_rows %1 {rows = \"T\"} : i32[T], i32[B+1]\n  return \"y\" = %2\n}\n",
                   "g.pir:3:3: error: %2 = kept_rows: this operation has no form in ONNX here\n");
    expect_refused(
        state,
        "graph @g (B <= 8, S <= 16) {\n  %1 = input {name = \"offsets\"} : i32[B+1]\n  %2 = input {name = \"x\"} : f32[B*S,8]\n"
        "  %3 = input {name = \"mask\"} : i64[B,S]\n"
        "  %4:2 = attention %2, %2, %2, %1 {heads = 2, scale = 0.5} : f32[B*S,8], f32[B*S,2]\n  return \"y\" = %4\n}\n",
        "g.pir:5:3: error: %4 = attention: the offsets are those of input, wanted padded_offsets: batches of ONNX are padded\n");
    expect_refused(
        state,
        BATCH
        "  %6 = input {name = \"x\"} : f32[B*S,8]\n"
        "  %7:2 = attention %6, %6, %6, %5, %3, %5 {heads = 2, scale = 0.5} : f32[B*S,8], f32[B*S,2]\n  return \"y\" = %7\n}\n",
        "g.pir:8:3: error: %7 = attention: found offsets of queries or dropout, wanted attention of all rows without\n");
    expect_refused(
        state,
        BATCH "  %6 = input {name = \"x\"} : f32[B*S,8]\n"
              "  %7:2 = attention %6, %6, %6, %5 {heads = 2, scale = 0.5} : f32[B*S,8], f32[B*S,2]\n  return \"y\" = %7#1\n}\n",
        "g.pir:8:3: error: %7 = attention: the output \"y\" has no form in ONNX here\n");
    expect_refused(state,
                   BATCH "  %6 = input {name = \"x\"} : f32[B*S,8]\n"
                         "  %7:2 = attention %6, %6, %6, %5 {heads = 2, scale = 0.5} : f32[B*S,8], f32[B*S,2]\n"
                         "  %8 = tanh %7#1 : f32[B*S,2]\n  return \"y\" = %8\n}\n",
                   "g.pir:9:3: error: %8 = tanh: input 0 is result 1 of attention, which has no form in ONNX here\n");
    expect_refused(
        state,
        "graph @g (T <= 8) {\n  %1 = input {name = \"x\"} : f32[T,8]\n  %2 = state {name = \"range\"} : f32[2]\n"
        "  %3 = input {name = \"forward\"} : i64[]\n  %4 = fake_quantize %1, %2, %3 : f32[T,8]\n  return \"y\" = %4\n}\n",
        "g.pir:5:3: error: %4 = fake_quantize: found a count of forward passes, wanted the graph of inference\n");
    expect_refused(state,
                   "graph @g (T <= 8) {\n  %1 = input {name = \"x\"} : f32[T,8]\n  %2 = input {name = \"range\"} : f32[2]\n"
                   "  %3 = fake_quantize %1, %2 : f32[T,8]\n  return \"y\" = %3\n}\n",
                   "g.pir:4:3: error: %3 = fake_quantize: the range is that of input, wanted state or row_range\n");
    expect_refused(state, "graph @g (T <= 8) {\n  %1 = input {name = \"x\"} : f64[T,8]\n  return \"y\" = %1\n}\n",
                   "g.pir:2:3: error: %1 = input: found f64, wanted f32, i64 or i32\n");
    expect_refused(state,
                   "graph @g (T <= 8) {\n  %1 = input {name = \"x\"} : f32[T,8]\n  %2 = pattern {name = \"w\"} : pattern[8,8]\n"
                   "  %3 = state {name = \"w\"} : f32[nnz(%2)]\n  %4 = linear %1, %3, _, %2 : f32[T,8]\n  return \"y\" = %4\n}\n",
                   "g.pir:3:3: error: %2 = pattern: this operation has no form in ONNX here\n");
}

static void short_memory(void **state) {
    graph_case c;
    onnx_export_result r;
    char path[512];
    snprintf(path, sizeof path, "%s", file_path(state, "m.onnx"));
    begin_case(&c, eight_bits);
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        const pofac_status status = export_case(&c, path, n % 2, &r);
        if (!fail_alloc_stop()) {
            assert_int_equal(status, POFAC_OK);
            assert_true(n > 20);
            break;
        }
        assert_int_equal(status, POFAC_ERR_RUNTIME);
    }
    end_case(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_compute_what_the_interpreter_does),
        cmocka_unit_test(weights_stand_in_eight_bits),
        cmocka_unit_test(ranges_that_know_nothing),
        cmocka_unit_test(what_has_no_form_is_refused),
        cmocka_unit_test(short_memory),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
