/*
 * Compiled models: parameters come out of the file as they went in, from packed forms too; all heads predict the same bits as their originals, without a cache
 * and without compiling anything; graphs that the file does not have are made; a target that this machine lacks means new code, and a note; what texts of
 * a file say is checked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/compile_model.h"
#include "ir/op.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"

static const road_options plain_road = {
    .tune = ROAD_TUNE_OFF, .no_cache = true, .threads = 1}; /* of compiled models: they need no cache */
static char cache[512];
static const road_options cached_road = {.tune = ROAD_TUNE_OFF, .cache_dir = cache, .threads = 1};

/* Nine of ten elements of matrices are 0. */
static double sparse_value(const char *name, int64_t row, int64_t column) {
    const rng_key key = rng_key_make(9, name);
    const uint64_t i = (uint64_t)(row * 64 + column);
    if (strstr(name, "LayerNorm.weight")) return 1;
    if (strstr(name, ".weight") && !strstr(name, "embeddings") && rng_uniform(key, i) < 0.9) return 0;
    return 0.5 * (rng_uniform(key, i + 100000) - 0.5);
}

static void write_model(void **state, const char *name, model_head head, bool sparse) {
    const tiny_model m = {.spec = tiny_spec(MODEL_BERT, head), .value = sparse ? sparse_value : NULL};
    tiny_model_write(&m, file_path(state, name));
}

static loaded_model *open_model(void **state, const char *name) {
    loaded_model *m;
    assert_int_equal(loaded_model_open(file_path(state, name), &(loaded_model_options){.seed = 42}, NULL, &m), POFAC_OK);
    return m;
}

static compiled_report compile(void **state, const char *from, const char *to, const char *targets) {
    compiled_report r;
    loaded_model *m = open_model(state, from);
    assert_int_equal(compile_model(m, &cached_road, targets, file_path(state, to), NULL, &r), POFAC_OK);
    loaded_model_close(m);
    return r;
}

/* ---- parameters ---- */

static void expect_parameters(loaded_model *original, loaded_model *compiled) {
    ir_module *m;
    size_t compared = 0;
    assert_int_equal(road_build(original, &plain_road, NULL, &m), POFAC_OK);
    const ir_graph *g = module_find_graph(m, ROAD_GRAPH);
    const tensor_source *a = loaded_model_state(original), *b = loaded_model_state(compiled);
    for (size_t i = 0; i < g->nodes.size; i++) {
        ir_tensor wanted, found;
        if (g->nodes.data[i].op != OP_state) continue;
        const char *name = node_string(&g->nodes.data[i], "name");
        assert_int_equal(a->get(a->user, name, NULL, &wanted), POFAC_OK);
        if (b->get(b->user, name, NULL, &found) != POFAC_OK) fail_msg("%s is not in the compiled model", name);
        assert_int_equal(found.rank, wanted.rank);
        assert_memory_equal(found.dims, wanted.dims, wanted.rank * sizeof *wanted.dims);
        assert_int_equal(found.dtype, wanted.dtype);
        if (memcmp(found.data, wanted.data, tensor_bytes(&wanted)) != 0) fail_msg("%s has other elements", name);
        tensor_source_release(a, name);
        tensor_source_release(b, name);
        compared++;
    }
    assert_true(compared > 20);
    module_destroy(m);
}

static void parameters(void **state) {
    for (int sparse = 0; sparse < 2; sparse++) {
        write_model(state, "model", HEAD_SEQUENCE_CLASSIFICATION, sparse);
        const compiled_report r = compile(state, "model", "model.pofac", NULL);
        assert_int_equal(r.n_targets, 1);
        assert_true(r.n_objects > 3 && r.n_packed >= 6 && r.n_parameters > 10);
        loaded_model *a = open_model(state, "model"), *b = open_model(state, "model.pofac");
        const compiled_model *c = loaded_model_compiled(b);
        assert_null(loaded_model_compiled(a));
        struct stat file;
        assert_int_equal(stat(file_path(state, "model.pofac"), &file), 0);
        assert_int_equal(file.st_size, r.file_bytes);
        size_t patterns = 0;
        for (size_t i = 0; i < compiled_file_size(compiled_model_file(c)); i++)
            patterns += compiled_file_at(compiled_model_file(c), i)->kind == COMPILED_PATTERN;
        assert_int_equal(patterns > 0, sparse);
        expect_parameters(a, b);
        loaded_model_close(a);
        loaded_model_close(b);
    }
}

/* ---- runs ---- */

typedef struct run_result {
    float values[4096];
    size_t n;
    uint32_t kernels, cached;
} run_result;

static int64_t ids[2][8] = {{2, 9, 12, 15, 7, 3, 0, 0}, {2, 20, 21, 22, 23, 24, 25, 3}}, keep[2][8], types[2][8],
               rows[3] = {1, 9, 12};

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    (void)user;
    (void)sink;
    const int64_t dims[2] = {2, 8}, chosen = 3;
    for (size_t i = 0; i < 16; i++) keep[i / 8][i % 8] = ids[i / 8][i % 8] != 0;
    if (strcmp(name, "prediction_rows") == 0) *out = tensor_view(IR_I64, 1, &chosen, rows);
    else
        *out = tensor_view(IR_I64, 2, dims,
                           strcmp(name, "input_ids") == 0        ? ids
                           : strcmp(name, "attention_mask") == 0 ? keep
                                                                 : types);
    return POFAC_OK;
}

/* All outputs of a run, one behind the other. */
static void run_model(loaded_model *m, const road_options *road, run_result *out) {
    const tensor_source inputs = {.get = get_input};
    runnable r;
    *out = (run_result){.n = 0};
    assert_int_equal(runnable_create(m, road, NULL, &r), POFAC_OK);
    assert_int_equal(session_run(r.session, &inputs, NULL), POFAC_OK);
    for (size_t i = 0; i < r.plan->n_outputs; i++) {
        ir_tensor t;
        assert_int_equal(session_output(r.session, r.plan->outputs[i].name, NULL, &t), POFAC_OK);
        const size_t n = (size_t)tensor_elements(&t);
        assert_true(out->n + n <= sizeof out->values / sizeof *out->values);
        memcpy(out->values + out->n, t.data, n * sizeof(float));
        out->n += n;
    }
    out->kernels = r.plan->n_kernels;
    out->cached = r.plan->n_kernels_cached;
    runnable_destroy(&r);
}

static void expect_same(const run_result *a, const run_result *b, const char *what) {
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        if (memcmp(&a->values[i], &b->values[i], sizeof *a->values) != 0)
            fail_msg("%s: number %zu is %.9g, wanted %.9g", what, i, (double)b->values[i], (double)a->values[i]);
}

static road_options road_of(const loaded_model *m) {
    road_options road = loaded_model_compiled(m) ? plain_road : cached_road;
    const model_head head = loaded_model_spec(m)->head;
    road.graph.chosen_rows = head == HEAD_PRETRAINING || head == HEAD_MASKED_LM;
    return road;
}

static void heads(void **state) {
    static const model_head all[] = {
        HEAD_NONE,     HEAD_SEQUENCE_CLASSIFICATION, HEAD_TOKEN_CLASSIFICATION, HEAD_QUESTION_ANSWERING, HEAD_PRETRAINING,
        HEAD_MASKED_LM};
    static run_result wanted, found;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        write_model(state, "head", all[i], i % 2);
        const compiled_report report = compile(state, "head", "head.pofac", NULL);
        loaded_model *a = open_model(state, "head"), *b = open_model(state, "head.pofac");
        assert_int_equal(loaded_model_spec(b)->head, all[i]);
        const road_options road = road_of(a), alone = road_of(b);
        run_model(a, &road, &wanted);
        run_model(b, &alone, &found);
        assert_true(wanted.n >= 2);
        expect_same(&wanted, &found, model_head_name(all[i]));
        assert_int_equal(found.cached, found.kernels);
        assert_int_equal(found.kernels, report.n_objects);
        loaded_model_close(a);
        loaded_model_close(b);
    }
}

/* Graphs that are not in the file: other outputs, another pipeline. */
static void other_graphs(void **state) {
    static run_result wanted, found;
    write_model(state, "graphs", HEAD_SEQUENCE_CLASSIFICATION, true);
    compile(state, "graphs", "graphs.pofac", NULL);
    loaded_model *a = open_model(state, "graphs"), *b = open_model(state, "graphs.pofac");
    for (int i = 0; i < 3; i++) {
        road_options road = cached_road;
        road.graph.hidden_states = i == 0;
        road.pipeline = i == 1 ? "simplify" : NULL;
        road.isa = i == 2 ? "x86-64" : NULL;
#ifndef __x86_64__
        if (i == 2) continue;
#endif
        run_model(a, &road, &wanted);
        run_model(b, &road, &found);
        expect_same(&wanted, &found, i == 0 ? "hidden states" : i == 1 ? "another pipeline" : "another instruction set");
    }
    loaded_model_close(a);
    loaded_model_close(b);
}

/* Copies a compiled model, with another content of one text; NULL: the text is left out. */
static void copy_with(void **state, const char *from, const char *to, const char *text, const char *content) {
    compiled_file *f;
    compiled_writer *w;
    uint64_t bytes;
    assert_int_equal(compiled_file_open(file_path(state, from), 1, NULL, &f), POFAC_OK);
    assert_int_equal(compiled_writer_open(file_path(state, to), NULL, &w), POFAC_OK);
    for (size_t i = 0; i < compiled_file_size(f); i++) {
        compiled_section s = *compiled_file_at(f, i);
        if (s.kind == COMPILED_TEXT && strcmp(s.name, text) == 0) {
            if (!content) continue;
            s.data = content;
            s.bytes = strlen(content);
        }
        assert_int_equal(compiled_writer_add(w, &s), POFAC_OK);
    }
    assert_int_equal(compiled_writer_commit(w, &bytes), POFAC_OK);
    compiled_file_close(f);
}

/* ---- 8 bits ---- */

/* Ranges of all linears of the encoder's layer, of weights as they are in sparse_value. */
static void write_quantization(void **state, const char *name) {
    static const char *const parts[] = {"attention.self.query",   "attention.self.key", "attention.self.value",
                                        "attention.output.dense", "intermediate.dense", "output.dense"};
    static const float input[2] = {-3, 3}, weight[2] = {-0.25f, 0.25f}, output[2] = {-4, 4};
    char names[6][80];
    quantized_module modules[6];
    for (int i = 0; i < 6; i++) {
        snprintf(names[i], sizeof names[i], "bert.encoder.layer.0.%s", parts[i]);
        modules[i] = (quantized_module){
            .name = names[i], .input = input, .weight = weight, .output = i < 2 ? output : NULL, .n_weight_ranges = 1};
    }
    const quantization_plan how = quantization_plan_default();
    assert_int_equal(model_quantization_write(file_path(state, name), &how, modules, 6, NULL), POFAC_OK);
}

/* A way in which kernels of products in integers read weights. */
typedef struct int8_form {
    const char *pin, *packing; /* NULL: the rule's, of any packing in 8 bits */
    sparse_layout_kind kinds[2];
    bool sparse; /* a model with zeros */
} int8_form;

static const int8_form int8_forms[] = {
    {.sparse = false},
    {.sparse = true},
    {.pin = "int8_linear by=tiles", .packing = "int8_tiles", .sparse = false},
    {.pin = "int8_linear by=tiles", .packing = "int8_tiles", .sparse = true},
    {"sparse_int8_linear bytes=quads", "int8_sparse", {SPARSE_QUADS, SPARSE_SPLIT_QUADS}, true},
    {"sparse_int8_linear bytes=tiles", "int8_sparse", {SPARSE_FOURS, SPARSE_PAIRS}, true},
};

/* Sections of weights in that form. */
static size_t count_forms(const loaded_model *m, const int8_form *form) {
    const compiled_file *f = compiled_model_file(loaded_model_compiled(m));
    size_t n = 0;
    for (size_t i = 0; i < compiled_file_size(f); i++) {
        const compiled_section *s = compiled_file_at(f, i);
        const bool packed = form->packing ? strcmp(s->packing, form->packing) == 0 : strncmp(s->packing, "int8_", 5) == 0;
        n += packed && (form->kinds[0] == SPARSE_NONE || s->sparse.kind == form->kinds[0] || s->sparse.kind == form->kinds[1]);
    }
    return n;
}

static void expect_same_runs(loaded_model *a, loaded_model *b, const road_options *with_pin, const char *what) {
    static run_result wanted, found;
    road_options own = *with_pin;
    if (loaded_model_compiled(b)) own.kernel_variants = NULL; /* it knows its own */
    run_model(a, with_pin, &wanted);
    run_model(b, &own, &found);
    assert_true(wanted.n >= 2);
    expect_same(&wanted, &found, what);
}

static void try_int8_form(void **state, const int8_form *form) {
    static run_result found;
    compiled_report r;
    loaded_model *a = open_model(state, form->sparse ? "int8-sparse" : "int8-dense"), *b, *c;
    road_options road = cached_road, alone = plain_road;
    road.quantization = alone.quantization = ROAD_INTEGER;
    road.kernel_variants = form->pin;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    if (compile_model(a, &road, NULL, file_path(state, "int8.pofac"), &sink, &r) != POFAC_OK)
        fail_msg("%s: said %s", form->pin ? form->pin : "rule", strbuf_str(&said));
    strbuf_free(&said);
    b = open_model(state, "int8.pofac");
    if (count_forms(b, form) != 6) fail_msg("%s: %zu weights, wanted 6", form->pin ? form->pin : "rule", count_forms(b, form));
    run_model(b, &alone, &found);
    assert_int_equal(found.cached, found.kernels);
    expect_same_runs(a, b, &road, "integers");
    copy_with(state, "int8.pofac", "int8-away.pofac", COMPILED_TARGETS,
              "neon 16 32 8 1 0 aarch64-unknown-linux-gnu generic +neon\n");
    c = open_model(state, "int8-away.pofac");
    expect_same_runs(a, c, &road, "integers, code made anew");
#ifdef __x86_64__
    road.isa = "x86-64";
    expect_same_runs(a, b, &road, "integers, another instruction set");
    expect_same_runs(a, c, &road, "integers, another instruction set, code made anew");
    road.isa = NULL;
#endif
    road.quantization = ROAD_SIMULATED; /* of the weights that 8 bits hold come the same ones */
    expect_same_runs(a, b, &road, "simulated");
    loaded_model_close(a);
    loaded_model_close(b);
    loaded_model_close(c);
}

static void eight_bits(void **state) {
    for (int sparse = 0; sparse < 2; sparse++) {
        const char *name = sparse ? "int8-sparse" : "int8-dense";
        tiny_model m = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = sparse ? sparse_value : NULL};
        m.spec.hidden_size = m.spec.intermediate_size = 64; /* whole tiles */
        tiny_model_write(&m, file_path(state, name));
        write_quantization(state, name);
    }
    for (size_t i = 0; i < sizeof int8_forms / sizeof *int8_forms; i++) try_int8_form(state, &int8_forms[i]);
}

/* A graph in integers that is not in the file. */
static void eight_bits_elsewhere(void **state) {
    static run_result wanted, found;
    for (int sparse = 0; sparse < 2; sparse++) {
        const char *name = sparse ? "int8-sparse" : "int8-dense";
        compiled_report r;
        road_options road = cached_road;
        road.quantization = ROAD_INTEGER;
        loaded_model *a = open_model(state, name), *b;
        assert_int_equal(compile_model(a, &road, NULL, file_path(state, "int8.pofac"), NULL, &r), POFAC_OK);
        b = open_model(state, "int8.pofac");
        road.graph.hidden_states = true;
        run_model(a, &road, &wanted);
        run_model(b, &road, &found);
        assert_true(wanted.n > 500);
        expect_same(&wanted, &found, "integers, hidden states");
        loaded_model_close(a);
        loaded_model_close(b);
    }
}

/* ---- other machines ---- */

/* Code of another pofac is not found by the names of kernels here: it is made anew, and a note says so. */
static void other_makers(void **state) {
    static const char *const makers[] = {"another", "", NULL};
    static run_result wanted, found;
    write_model(state, "made", HEAD_NONE, true);
    compile(state, "made", "here.pofac", NULL);
    loaded_model *a = open_model(state, "made");
    run_model(a, &cached_road, &wanted);
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        runnable r;
        copy_with(state, "here.pofac", "there.pofac", COMPILED_MAKER, makers[i]);
        loaded_model *b = open_model(state, "there.pofac");
        run_model(b, &plain_road, &found);
        expect_same(&wanted, &found, "another maker");
        assert_int_equal(runnable_compile(b, &plain_road, &sink, &r), POFAC_OK);
        if (!strstr(strbuf_str(&said), "there.pofac: note: compiled by another pofac: its code is made anew for "))
            fail_msg("said %s", strbuf_str(&said));
        runnable_destroy(&r);
        loaded_model_close(b);
        strbuf_free(&said);
    }
    loaded_model_close(a);
}

static void foreign_targets(void **state) {
    static const char *const targets[] = {"neon 16 32 8 1 0 aarch64-unknown-linux-gnu generic +neon\n",
                                          "avx512 64 32 8 1 0 x86_64-pc-linux-gnu nosuchcpu +avx512f,+nosuchfeature\n",
                                          "nosuchset 64 32 8 1 0 x86_64-pc-linux-gnu x86-64 \n", ""};
    static run_result wanted, found;
    write_model(state, "foreign", HEAD_NONE, true);
    compile(state, "foreign", "home.pofac", NULL);
    loaded_model *a = open_model(state, "foreign");
    run_model(a, &cached_road, &wanted);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        copy_with(state, "home.pofac", "away.pofac", COMPILED_TARGETS, targets[i]);
        loaded_model *b = open_model(state, "away.pofac");
        run_model(b, &cached_road, &found);
        expect_same(&wanted, &found, targets[i]);
        runnable r;
        assert_int_equal(runnable_compile(b, &cached_road, &sink, &r), POFAC_OK);
        if (!strstr(strbuf_str(&said), "which is not what runs here: its code is made anew for "))
            fail_msg("said %s", strbuf_str(&said));
        runnable_destroy(&r);
        loaded_model_close(b);
        strbuf_free(&said);
    }
    loaded_model_close(a);
}

/* ---- what texts say ---- */

static void damaged_texts(void **state) {
    static const struct {
        const char *text, *content, *said;
        bool opens;
    } cases[] = {
        {COMPILED_CONFIG, NULL, "error: section config.json: it is missing\n", false},
        {COMPILED_CONFIG, "{", "error: invalid JSON: ", false},
        {COMPILED_CONFIG, "{\"model_type\": \"bert\", \"hidden_size\": -1}", "hidden_size", false},
        {COMPILED_TARGETS, "avx2 32 16\n", "error: section targets: found a line that is no target\n", true},
        {COMPILED_TARGETS, "no end of line", "error: section targets: found a line that is no target\n", true},
        {COMPILED_GRAPH, "graph @infer() {", "/graph:1:", true},
        {COMPILED_GRAPH, "", "error: ", true},
    };
    write_model(state, "texts", HEAD_NONE, false);
    compile(state, "texts", "right.pofac", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        loaded_model *m;
        runnable r;
        copy_with(state, "right.pofac", "wrong.pofac", cases[i].text, cases[i].content);
        pofac_status status = loaded_model_open(file_path(state, "wrong.pofac"), &(loaded_model_options){0}, &sink, &m);
        assert_int_equal(status == POFAC_OK, cases[i].opens);
        if (status == POFAC_OK) status = runnable_compile(m, &plain_road, &sink, &r);
        if (status == POFAC_OK) fail_msg("case %zu: nobody minded %s", i, cases[i].content);
        if (!strstr(strbuf_str(&said), cases[i].said))
            fail_msg("case %zu: said %s, wanted %s", i, strbuf_str(&said), cases[i].said);
        loaded_model_close(m);
        strbuf_free(&said);
    }
}

static void tokenizers(void **state) {
    const tokenizer *a, *b;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    write_model(state, "words", HEAD_NONE, false);
    put_file(state, "words/tokenizer_config.json", "{\"do_lower_case\": false, \"model_max_length\": 17}", 48);
    compile(state, "words", "words.pofac", NULL);
    loaded_model *x = open_model(state, "words"), *y = open_model(state, "words.pofac");
    assert_int_equal(loaded_model_tokenizer(x, NULL, &a), POFAC_OK);
    assert_int_equal(loaded_model_tokenizer(y, NULL, &b), POFAC_OK);
    assert_memory_equal(tokenizer_get_options(a), tokenizer_get_options(b), sizeof(tokenizer_options));
    assert_int_equal(tokenizer_get_options(b)->do_lower_case, TOKENIZER_OFF);
    assert_int_equal(tokenizer_get_options(b)->model_max_length, 17);
    assert_int_equal(tokenizer_vocab_size(b), TINY_VOCAB_SIZE);
    assert_string_equal(tokenizer_token(b, 6), "b");
    loaded_model_close(x);
    loaded_model_close(y);
    const tiny_model without = {.spec = tiny_spec(MODEL_BERT, HEAD_NONE), .without_vocabulary = true};
    tiny_model_write(&without, file_path(state, "wordless"));
    compile(state, "wordless", "wordless.pofac", NULL);
    loaded_model *m = open_model(state, "wordless.pofac");
    assert_int_equal(loaded_model_tokenizer(m, &sink, &b), POFAC_ERR_INPUT);
    assert_non_null(
        strstr(strbuf_str(&said), "wordless.pofac: error: the model was compiled without a vocabulary; give one with --vocab\n"));
    loaded_model_close(m);
    strbuf_free(&said);
}

/* ---- short memory ---- */

static void short_memory(void **state) {
    size_t failures = 0;
    write_model(state, "short", HEAD_NONE, true);
    compile(state, "short", "short.pofac", NULL);
    for (size_t n = 1;; n += 1 + n / 8) {
        loaded_model *m;
        fail_alloc_after(n);
        const pofac_status status = loaded_model_open(file_path(state, "short.pofac"), &(loaded_model_options){0}, NULL, &m);
        const bool failed = fail_alloc_stop();
        assert_int_equal(status == POFAC_OK, m != NULL);
        loaded_model_close(m);
        failures += failed;
        if (!failed) break;
    }
    assert_true(failures > 15);
}

static int set_up(void **state) {
    const int result = files_set_up(state);
    snprintf(cache, sizeof cache, "%s", file_path(state, "cache"));
    return result;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(parameters),           cmocka_unit_test(heads),
                                       cmocka_unit_test(other_graphs),         cmocka_unit_test(eight_bits),
                                       cmocka_unit_test(eight_bits_elsewhere), cmocka_unit_test(other_makers),
                                       cmocka_unit_test(foreign_targets),      cmocka_unit_test(damaged_texts),
                                       cmocka_unit_test(tokenizers),           cmocka_unit_test(short_memory)};
    return cmocka_run_group_tests(tests, set_up, files_tear_down);
}
