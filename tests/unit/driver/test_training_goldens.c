/*
 * The passes of pruning, locked zeros, distillation and quantization on a model of one layer, as text to read: tests/golden/training/PASS.pir has the graph of a
 * step, and that of the teacher, after the pass. POFAC_UPDATE_GOLDENS=1 writes what is found instead of comparing it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/training.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/temporary_folder.h"

static char folder[] = "/tmp/pofac_training_goldens_XXXXXX";

static int make_folder(void **unused) {
    (void)unused;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **unused) {
    (void)unused;
    folder_remove(folder);
    return 0;
}

/* Half of the matrices' elements are zeros, but for those of the classifier and of tables. */
static double number(const char *name, int64_t row, int64_t column) {
    const bool dense = strstr(name, "embeddings") || strstr(name, "classifier") || strstr(name, "LayerNorm");
    return !dense && (row + column) % 2 ? 0 : 0.1 + rng_uniform(rng_key_make(5, name), (uint64_t)(row * 64 + column));
}

typedef struct golden_run {
    strbuf messages;
    diag_sink sink;
    loaded_model *model, *teacher;
} golden_run;

static void want(golden_run *r, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s", what, strbuf_str(&r->messages));
}

static loaded_model *open_model(golden_run *r, const char *name) {
    char path[128];
    loaded_model *m;
    const tiny_model tiny = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = number};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    tiny_model_write(&tiny, path);
    const loaded_model_options options = {.head = HEAD_SEQUENCE_CLASSIFICATION, .num_labels = tiny.spec.num_labels};
    want(r, loaded_model_open(path, &options, &r->sink, &m), name);
    return m;
}

static void expect(const char *pass, const strbuf *found) {
    const char *root = getenv("POFAC_SOURCE_DIR");
    char path[1024];
    file_map map;
    snprintf(path, sizeof path, "%s/tests/golden/training/%s.pir", root ? root : ".", pass);
    if (getenv("POFAC_UPDATE_GOLDENS")) assert_int_equal(file_write_all(path, strbuf_str(found), found->size, NULL), POFAC_OK);
    if (!file_exists(path)) fail_msg("%s is missing", path);
    assert_int_equal(file_map_open(path, NULL, &map), POFAC_OK);
    if (map.size_bytes != found->size || memcmp(map.data, strbuf_str(found), found->size) != 0) {
        print_error("found:\n%s", strbuf_str(found));
        fail_msg("%s differs", path);
    }
    file_map_close(&map);
}

/* Nothing in the scopes of a teacher is quantized, and a teacher is there. */
static void check_teacher(const char *pass, const strbuf *text) {
    bool in_teacher = false;
    size_t linears = 0;
    for (const char *line = strbuf_str(text); *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *end = line + strcspn(line, "\n"), *at;
        if (strncmp(line, "  scope ", 8) == 0) in_teacher = strncmp(line, "  scope \"teacher", 16) == 0;
        linears += in_teacher && (at = strstr(line, " = linear ")) != NULL && at < end;
        if (((at = strstr(line, "_quantize")) != NULL && at < end && in_teacher) ||
            ((at = strstr(line, "\"teacher.")) != NULL && at < end && (at = strstr(line, "_range\"")) != NULL && at < end))
            fail_msg("%s: the teacher is quantized: %.*s", pass, (int)(end - line), line);
    }
    if (linears != 8) fail_msg("%s: found %zu linears of the teacher, wanted 8", pass, linears);
}

/* The text after the pass reads back, and holds `n_wanted` times `wanted`. */
static void check(golden_run *r, const char *pass, training_options *o, const char *wanted, size_t n_wanted) {
    ir_module *m, *back;
    strbuf text = STRBUF_INIT;
    size_t n = 0;
    o->road.tune = ROAD_TUNE_OFF;
    o->kind = EXECUTOR_INTERPRETER;
    want(r, training_build(r->model, o, &r->sink, &m), pass);
    text_print_module(m, (text_print_options){0}, &text);
    for (const char *at = strbuf_str(&text); (at = strstr(at, wanted)) != NULL; at++) n++;
    if (n != n_wanted) fail_msg("%s: found %zu times \"%s\", wanted %zu\n%s", pass, n, wanted, n_wanted, strbuf_str(&text));
    if (o->distillation && o->quantization) check_teacher(pass, &text);
    expect(pass, &text);
    want(r, text_parse_module(loaded_model_context(r->model), pass, text.data, text.size, NULL, &r->sink, &back), pass);
    module_destroy(back);
    module_destroy(m);
    strbuf_free(&text);
}

static const char *const pruned[] = {"bert.encoder.layer.0.attention.self.query.weight",
                                     "bert.encoder.layer.0.intermediate.dense.weight", "bert.encoder.layer.0.output.dense.weight"};
#define N_PRUNED (sizeof pruned / sizeof pruned[0])

static void passes_of_pruning_and_distillation(void **unused) {
    (void)unused;
    golden_run r = {.messages = STRBUF_INIT};
    r.sink = diag_sink_to_strbuf(&r.messages);
    r.model = open_model(&r, "student");
    r.teacher = open_model(&r, "teacher");
    pruned_parameter weights[N_PRUNED];
    for (size_t i = 0; i < N_PRUNED; i++)
        weights[i] = (pruned_parameter){.name = pruned[i], .parameters = {.target_sparsity = 0.9, .block_size = 1}};
    const training_pruning pruning = {pruning_method_find("unstructured_magnitude"), weights, N_PRUNED};
    const distillation d = {.teacher = r.teacher, .task_alpha = 0.5, .teacher_alpha = 0.5, .temperature = 2, .token_share = 1};
    /* six weights of the layer and the pooler's have zeros; the classifier's has none */
    check(&r, "lock", &(training_options){.pipeline = "lock{min_sparsity=0}"}, "pattern {name = ", 7);
    check(&r, "prune", &(training_options){.pruning = &pruning, .pipeline = "prune"}, "dense_to_sparse ", N_PRUNED);
    check(&r, "distill", &(training_options){.distillation = &d, .pipeline = "distill"}, "kl_divergence ", 1);
    /* eight weights, six inputs of them, and what the query's, key's, intermediate and pooler's linears give; weights under masks have their modules' names */
    quantization_plan bits = quantization_plan_default();
    static const char *const kept[] = {"output.dense", "value", "classifier"};
    bits.not_to_requantize_output = kept;
    bits.n_not_to_requantize_output = sizeof kept / sizeof *kept;
    check(&r, "quantize", &(training_options){.pruning = &pruning, .quantization = &bits, .pipeline = "prune,quantize"},
          "fake_quantize ", 18);
    /* all of it: the student's linears, which keep their zeros, and the teacher's, which do too and stay as they are */
    check(&r, "distill-quantize",
          &(training_options){.distillation = &d,
                              .quantization = &bits,
                              .pipeline = "distill,lock{min_sparsity=50,of_teacher=1},lock{min_sparsity=0},quantize{begin=3}"},
          "fake_quantize ", 18);
    loaded_model_close(r.teacher);
    loaded_model_close(r.model);
    strbuf_free(&r.messages);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(passes_of_pruning_and_distillation)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
