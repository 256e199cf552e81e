/*
 * Models for other programs: a file of ONNX gives what the interpreter gives, for every architecture and head, in f32 and in 8 bits; a directory loads here again to the same weights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "frontend/driver/compile_model.h"
#include "frontend/driver/export_model.h"
#include "frontend/driver/model_quantization.h"
#include "frontend/driver/road.h"
#include "ir/op.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "runtime/interpreter.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/onnx/onnx_evaluator.h"

enum { B = 3, S = 5 };

/* Three sequences, the second one padded, the third all padding. */
static named_tensors make_batch(void) {
    named_tensors t = {.what = "input"};
    const int64_t dims[] = {B, S};
    double ids[B * S], types[B * S], mask[B * S];
    for (int i = 0; i < B * S; i++) {
        ids[i] = (double)((i * 7 + 3) % TINY_VOCAB_SIZE);
        types[i] = i % S > 2;
        mask[i] = i / S == 0 || (i / S == 1 && i % S < 2);
    }
    named_tensors_add_doubles(&t, "input_ids", IR_I64, 2, dims, ids);
    named_tensors_add_doubles(&t, "token_type_ids", IR_I64, 2, dims, types);
    named_tensors_add_doubles(&t, "attention_mask", IR_I64, 2, dims, mask);
    return t;
}

static loaded_model *open_model(const char *path) {
    loaded_model *m;
    assert_int_equal(loaded_model_open(path, &(loaded_model_options){.seed = 1}, NULL, &m), POFAC_OK);
    return m;
}

/* Makes and opens the directory NAME of a tiny model. */
static loaded_model *open_tiny(void **state, const char *name, model_arch arch, model_head head) {
    tiny_model t = {.spec = tiny_spec(arch, head)};
    tiny_model_write(&t, file_path(state, name));
    return open_model(file_path(state, name));
}

/* ---- what the model gives ---- */

/* The model's outputs by the interpreter. */
static interp_results interpret_model(loaded_model *model, road_quantization quantization, named_tensors *batch) {
    const tensor_source inputs = named_tensors_source(batch);
    ir_module *m;
    interp_results r;
    assert_int_equal(road_build(model, &(road_options){.quantization = quantization}, NULL, &m), POFAC_OK);
    assert_int_equal(interpret_graph(module_find_graph(m, ROAD_GRAPH), &inputs, loaded_model_state(model), NULL, NULL, &r),
                     POFAC_OK);
    module_destroy(m);
    return r;
}

/* Runs the file on the batch; returns by how much all outputs, of `n` elements, differ at most from what the interpreter gives. */
static double outputs_distance(const char *path, loaded_model *model, road_quantization quantization, int64_t *n) {
    named_tensors batch = make_batch();
    const tensor_source inputs = named_tensors_source(&batch);
    interp_results wanted = interpret_model(model, quantization, &batch);
    onnx_file f = onnx_file_read(path);
    double farthest = 0;
    *n = 0;
    assert_int_equal(f.model->graph->n_output, wanted.n_outputs);
    for (size_t i = 0; i < wanted.n_outputs; i++) {
        const ir_tensor *expected = &wanted.outputs[i].tensor;
        ir_tensor found;
        onnx_file_run(&f, &inputs, wanted.outputs[i].name, &found);
        assert_tensors_close(wanted.outputs[i].name, &found, expected, INFINITY, 0); /* its shape and type; no NaN */
        for (int64_t k = 0; k < tensor_elements(&found); k++)
            farthest = fmax(farthest, fabs(tensor_get(&found, k) - tensor_get(expected, k)));
        *n += tensor_elements(&found);
        tensor_free(&found);
    }
    onnx_file_free(&f);
    interp_results_free(&wanted);
    named_tensors_free(&batch);
    return farthest;
}

/* Compares all outputs of the file with what the interpreter gives; returns how many elements there were. */
static int64_t compare_outputs(const char *path, loaded_model *model, road_quantization quantization, double bound) {
    int64_t n;
    const double found = outputs_distance(path, model, quantization, &n);
    if (!(found <= bound)) fail_msg("%s: outputs differ by %g, wanted at most %g", path, found, bound);
    return n;
}

/* ---- ONNX ---- */

static void every_model_is_exported(void **state) {
    static const struct {
        model_head head;
        int64_t bert, distilbert; /* elements of all outputs */
    } heads[] = {{HEAD_MASKED_LM, B * S * TINY_VOCAB_SIZE, B * S * TINY_VOCAB_SIZE},
                 {HEAD_PRETRAINING, B * S * TINY_VOCAB_SIZE + B * 2, B * S * TINY_VOCAB_SIZE},
                 {HEAD_SEQUENCE_CLASSIFICATION, B * 2, B * 2},
                 {HEAD_TOKEN_CLASSIFICATION, B * S * 2, B * S * 2},
                 {HEAD_QUESTION_ANSWERING, 2 * B * S, 2 * B * S},
                 {HEAD_NONE, B * S * 32 + B * 32, B * S * 32}};
    size_t n_heads;
    (void)model_heads(&n_heads);
    assert_int_equal(n_heads, sizeof heads / sizeof *heads);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        for (int distil = 0; distil < 2; distil++) {
            const export_options o = {.output = file_path(state, "m.onnx")};
            strbuf report = STRBUF_INIT;
            loaded_model *m = open_tiny(state, "tiny", distil ? MODEL_DISTILBERT : MODEL_BERT, heads[i].head);
            assert_int_equal(export_onnx(m, &o, NULL, &report), POFAC_OK);
            assert_non_null(strstr(strbuf_str(&report), "\"format\": \"onnx\""));
            assert_non_null(strstr(strbuf_str(&report), "\"quantized_weights\": 0}\n"));
            assert_int_equal(compare_outputs(o.output, m, ROAD_UNQUANTIZED, 2e-6), distil ? heads[i].distilbert : heads[i].bert);
            loaded_model_close(m);
            strbuf_free(&report);
        }
}

/* Ranges for all linears of the model's graph, into its directory. */
static size_t write_ranges(loaded_model *model, const char *directory) {
    static const float ranges[3][2] = {{-1.5f, 2.5f}, {-0.125f, 0.12f}, {-2, 1.75f}};
    quantized_module modules[32];
    char names[32][96];
    size_t n = 0;
    ir_module *m;
    quantization_plan all = quantization_plan_default();
    assert_int_equal(road_build(model, &(road_options){0}, NULL, &m), POFAC_OK);
    const ir_graph *g = module_find_graph(m, ROAD_GRAPH);
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *node = &g->nodes.data[i];
        if (node->op != OP_linear) continue;
        const char *weight = node_string(graph_node_of(g, node->inputs[1]), "name");
        snprintf(names[n], sizeof names[n], "%.*s", (int)(strlen(weight) - strlen(".weight")), weight);
        modules[n] = (quantized_module){.name = names[n], .input = ranges[0], .weight = ranges[1], .n_weight_ranges = 1};
        if (n % 2) modules[n].output = ranges[2];
        n++;
        assert_true(n < 32);
    }
    assert_int_equal(model_quantization_write(directory, &all, modules, n, NULL), POFAC_OK);
    module_destroy(m);
    return n;
}

/* A model that is quantized, opened. */
static loaded_model *open_quantized(void **state, const char *name, model_head head, size_t *n) {
    char directory[512];
    snprintf(directory, sizeof directory, "%s", file_path(state, name));
    loaded_model *m = open_tiny(state, name, MODEL_BERT, head);
    *n = write_ranges(m, directory);
    loaded_model_close(m);
    return open_model(directory);
}

/* As the simulation by fake_quantize, but for roundings that go to the other side; and farther from what is not quantized. */
static void quantized_models_simulate_alike(void **state) {
    char path[512];
    size_t n;
    int64_t compared;
    strbuf report = STRBUF_INIT;
    snprintf(path, sizeof path, "%s", file_path(state, "q.onnx"));
    loaded_model *m = open_quantized(state, "eight", HEAD_SEQUENCE_CLASSIFICATION, &n);
    assert_int_equal(n, 8);
    assert_int_equal(export_onnx(m, &(export_options){.output = path}, NULL, &report), POFAC_OK);
    assert_non_null(strstr(strbuf_str(&report), "\"quantized_weights\": 8}\n"));
    const double simulated = outputs_distance(path, m, ROAD_SIMULATED, &compared);
    assert_int_equal(compared, B * 2);
    const double in_floats = outputs_distance(path, m, ROAD_UNQUANTIZED, &compared);
    if (!(simulated <= 1e-3) || !(in_floats > 5e-3))
        fail_msg("outputs differ by %g from the simulation, by %g from what is not quantized", simulated, in_floats);
    onnx_file f = onnx_file_read(path);
    assert_int_equal(onnx_file_count(&f, "QuantizeLinear"), 6 + 4); /* q, k and v read one value; every other output */
    assert_null(onnx_file_tensor(&f, "classifier.weight"));
    onnx_file_free(&f);
    assert_int_equal(export_onnx(m, &(export_options){.output = path, .without_quantization = true}, NULL, &report), POFAC_OK);
    assert_int_equal(compare_outputs(path, m, ROAD_UNQUANTIZED, 2e-6), B * 2);
    loaded_model_close(m);
    strbuf_free(&report);
}

/* ---- Hugging Face's directory ---- */

static void expect_same_weights(loaded_model *a, loaded_model *b, double relative) {
    const checkpoint *x = loaded_model_checkpoint(a), *y = loaded_model_checkpoint(b);
    assert_int_equal(checkpoint_size(x), checkpoint_size(y));
    assert_true(checkpoint_size(x) > 20);
    for (size_t i = 0; i < checkpoint_size(x); i++) {
        ir_tensor p, r;
        assert_string_equal(checkpoint_at(x, i)->name, checkpoint_at(y, i)->name);
        assert_int_equal(checkpoint_load(checkpoint_at(x, i), IR_F32, NULL, &p), POFAC_OK);
        assert_int_equal(checkpoint_load(checkpoint_at(y, i), IR_F32, NULL, &r), POFAC_OK);
        assert_tensors_close(checkpoint_at(x, i)->name, &r, &p, 0, relative);
        tensor_free(&p);
        tensor_free(&r);
    }
}

static void directories_load_again(void **state) {
    static const ir_dtype dtypes[] = {IR_F32, IR_BF16, IR_F16};
    static const double relative[] = {0, 0x1p-8, 0x1p-10};
    char out[512];
    size_t n;
    snprintf(out, sizeof out, "%s", file_path(state, "to"));
    loaded_model *m = open_quantized(state, "from", HEAD_QUESTION_ANSWERING, &n);
    for (size_t i = 0; i < 3; i++)
        for (int off = 0; off < 2; off++) {
            strbuf report = STRBUF_INIT;
            const export_options o = {.output = out, .dtype = dtypes[i], .without_quantization = off && i == 0};
            assert_int_equal(export_directory(m, &o, NULL, &report), POFAC_OK);
            assert_non_null(strstr(strbuf_str(&report), "\"format\": \"safetensors\""));
            loaded_model *again = open_model(out);
            assert_int_equal(checkpoint_at(loaded_model_checkpoint(again), 0)->dtype, dtypes[i]);
            expect_same_weights(m, again, relative[i]);
            const model_quantization *q = loaded_model_quantization(again);
            assert_int_equal(q ? model_quantization_size(q) : 0, o.without_quantization ? 0 : n);
            loaded_model_close(again);
            strbuf_free(&report);
        }
    loaded_model_close(m);
}

/* ---- compiled models ---- */

static void expect_same_file(const char *a, const char *b) {
    file_map x, y;
    assert_int_equal(file_map_open(a, NULL, &x), POFAC_OK);
    assert_int_equal(file_map_open(b, NULL, &y), POFAC_OK);
    assert_true(x.size_bytes > 0);
    assert_int_equal(x.size_bytes, y.size_bytes);
    assert_memory_equal(x.data, y.data, x.size_bytes);
    file_map_close(&x);
    file_map_close(&y);
}

/* What is exported of a compiled model in 8 bits is what is exported of its original, its ranges bit for bit. */
static void compiled_models_go_back(void **state) {
    char compiled[512], onnx[2][512], ranges[2][600];
    const road_options road = {.no_cache = true, .tune = ROAD_TUNE_OFF, .quantization = ROAD_INTEGER};
    compiled_report written;
    size_t n;
    loaded_model *m = open_quantized(state, "origin", HEAD_SEQUENCE_CLASSIFICATION, &n);
    snprintf(compiled, sizeof compiled, "%s", file_path(state, "m.pofac"));
    snprintf(ranges[0], sizeof ranges[0], "%s", file_path(state, "origin/" QUANTIZATION_FILE));
    snprintf(ranges[1], sizeof ranges[1], "%s", file_path(state, "back/" QUANTIZATION_FILE));
    assert_int_equal(compile_model(m, &road, NULL, compiled, NULL, &written), POFAC_OK);
    for (int i = 0; i < 2; i++) {
        strbuf report = STRBUF_INIT;
        snprintf(onnx[i], sizeof onnx[i], "%s", file_path(state, i ? "b.onnx" : "a.onnx"));
        assert_int_equal(export_onnx(m, &(export_options){.output = onnx[i]}, NULL, &report), POFAC_OK);
        if (i)
            assert_int_equal(
                export_directory(m, &(export_options){.output = file_path(state, "back"), .dtype = IR_F32}, NULL, &report),
                POFAC_OK);
        strbuf_free(&report);
        loaded_model_close(m);
        if (!i) m = open_model(compiled);
    }
    expect_same_file(onnx[0], onnx[1]);
    expect_same_file(ranges[0], ranges[1]);
}

/* ---- errors ---- */

static void what_cannot_be_written(void **state) {
    strbuf said = STRBUF_INIT, report = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    loaded_model *m = open_tiny(state, "tiny", MODEL_BERT, HEAD_NONE);
    assert_int_equal(export_onnx(m, &(export_options){.output = "/nowhere/m.onnx"}, &sink, &report), POFAC_ERR_RUNTIME);
    assert_non_null(strstr(strbuf_str(&said), "/nowhere/m.onnx"));
    strbuf_clear(&said);
    assert_int_equal(export_directory(m, &(export_options){.output = "/dev/null/m", .dtype = IR_F32}, &sink, &report),
                     POFAC_ERR_RUNTIME);
    assert_non_null(strstr(strbuf_str(&said), "/dev/null/m"));
    assert_string_equal(strbuf_str(&report), "");
    loaded_model_close(m);
    strbuf_free(&said);
    strbuf_free(&report);
}

/* A context that once had no memory adds no more nodes, so each round has a model of its own. */
static void short_memory(void **state) {
    char path[512];
    size_t failures = 0;
    snprintf(path, sizeof path, "%s", file_path(state, "m.onnx"));
    loaded_model_close(open_tiny(state, "short", MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION));
    for (size_t n = 1;; n += 1 + n / 8, failures++) {
        strbuf report = STRBUF_INIT, said = STRBUF_INIT;
        diag_sink sink = diag_sink_to_strbuf(&said);
        loaded_model *m = open_model(file_path(state, "short"));
        fail_alloc_after(n);
        const pofac_status status = export_onnx(m, &(export_options){.output = path}, &sink, &report);
        const bool failed = fail_alloc_stop();
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK))
            fail_msg("allocation %zu: status %d: %s", n, (int)status, strbuf_str(&said));
        loaded_model_close(m);
        strbuf_free(&report);
        strbuf_free(&said);
        if (!failed) break;
    }
    assert_true(failures > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_is_exported), cmocka_unit_test(quantized_models_simulate_alike),
        cmocka_unit_test(directories_load_again),  cmocka_unit_test(compiled_models_go_back),
        cmocka_unit_test(what_cannot_be_written),  cmocka_unit_test(short_memory),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
