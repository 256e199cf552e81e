/* Reports: runs of training, pipelines, benches and models, damaged, without some of their parts, and with names that are markup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/report.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/temporary_folder.h"

#define ROOT "report_test"

static void write_file(const char *path, const char *text) {
    assert_int_equal(file_write_all(path, text, strlen(text), NULL), POFAC_OK);
}

static void make_folder(const char *path) { assert_int_equal(directory_make(path, NULL), POFAC_OK); }

typedef struct made_page {
    pofac_status status;
    strbuf text, messages;
} made_page;

static made_page make_page(const char *const *paths, size_t n, const char *layer) {
    made_page p = {POFAC_OK, STRBUF_INIT, STRBUF_INIT};
    const diag_sink sink = diag_sink_to_strbuf(&p.messages);
    const report_options o = {.paths = paths,
                              .n_paths = n,
                              .layer = layer,
                              .batch = 1,
                              .sequence = 128,
                              .iterations = 1,
                              .model = {.seed = 1},
                              .road = {.quantization = ROAD_INTEGER, .tune = ROAD_TUNE_OFF, .no_cache = true, .threads = 1}};
    p.status = report_make(&o, &sink, &p.text);
    return p;
}

static void made_page_free(made_page *p) {
    strbuf_free(&p->text);
    strbuf_free(&p->messages);
}

static void has(const made_page *p, const char *part) {
    if (!strstr(strbuf_str(&p->text), part)) fail_msg("the page has no %s", part);
}

static void has_not(const made_page *p, const char *part) {
    if (strstr(strbuf_str(&p->text), part)) fail_msg("the page has %s", part);
}

static void refused(const char *path, pofac_status status, const char *message) {
    made_page p = make_page(&path, 1, NULL);
    assert_int_equal(p.status, status);
    assert_string_equal(strbuf_str(&p.messages), message);
    made_page_free(&p);
}

static const char lines[] =
    "{\"step\": 1, \"epoch\": 0.5, \"loss\": 0.75, \"task_loss\": 0.75, \"learning_rate\": 2.5e-05, \"tokens_per_second\": "
    "1000.5}\n"
    "{\"step\": 2, \"sparsity\": 0.5, \"sparsity_per_layer/bert.encoder.layer.0.output.dense\": 0.5}\n"
    "{\"step\": 2, \"epoch\": 1.0, \"loss\": 0.5, \"task_loss\": 0.5, \"learning_rate\": 0.0, \"tokens_per_second\": 999.25}\n"
    "{\"step\": 2, \"epoch\": 1.0, \"eval_loss\": 0.625, \"eval_accuracy\": 0.875, \"eval_own_score\": 3.0}\n";

static void make_runs(void) {
    make_folder(ROOT "/run");
    write_file(ROOT "/run/metrics.jsonl", lines);
    write_file(ROOT "/run/eval_results.json",
               "{\"eval_accuracy\": 0.875, \"eval_loss\": 0.1234567890123, \"eval_samples\": 123456789}");
    make_folder(ROOT "/<script>alert(1)<");
    write_file(ROOT "/<script>alert(1)</metrics.jsonl", lines);
}

static void curves_and_scores(void **state) {
    (void)state;
    const char *const paths[] = {ROOT "/run", ROOT "/<script>alert(1)<"};
    made_page p = make_page(paths, 2, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "data-run=\"run\" data-metric=\"loss\" data-steps=\"1 2\" data-values=\"0.75 0.5\"");
    has(&p, "data-run=\"&lt;script&gt;alert(1)&lt;\" data-metric=\"learning_rate\" data-steps=\"1 2\" data-values=\"2.5e-05 0.0\"");
    has(&p, "data-metric=\"sparsity_per_layer/bert.encoder.layer.0.output.dense\" data-steps=\"2\" data-values=\"0.5\"");
    has(&p, ">0 output</text>");
    has(&p, "data-metric=\"eval_own_score\" data-steps=\"2\" data-values=\"3.0\""); /* a metric of which nothing is known */
    has_not(&p, "data-metric=\"task_loss\" data-steps");                            /* the loss over again */
    has(&p, "<td data-value=\"0.1234567890123\">0.12346</td>");
    has(&p, "<td data-value=\"123456789\">123456789</td>");
    has(&p, "<p class=\"note\"><b>run</b>: No model, so neither sizes nor kernels nor a graph: the end of a run writes config.json "
            "and model.safetensors.</p>");
    has(&p, "<b>&lt;script&gt;alert(1)&lt;</b>: No *_results.json");
    has(&p, "<td data-value=\"1000.5\">1000.5</td>");
    has_not(&p, "<script>alert");
    has_not(&p, "http://");
    has_not(&p, "https://");
    assert_string_equal(strbuf_str(&p.messages), "");
    made_page_free(&p);
}

static void damaged_lines_are_named(void **state) {
    (void)state;
    make_folder(ROOT "/cut");
    strbuf text = STRBUF_INIT;
    strbuf_append(&text, lines, sizeof lines - 30);
    write_file(ROOT "/cut/metrics.jsonl", strbuf_str(&text));
    strbuf_free(&text);
    write_file(ROOT "/cut/eval_results.json", "[");
    made_page p = make_page((const char *const[]){ROOT "/cut"}, 1, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, ROOT "/cut/metrics.jsonl: line 4 is damaged and was left out.");
    has(&p, ROOT "/cut/eval_results.json is no JSON object and was left out.");
    has(&p, "data-metric=\"loss\" data-steps=\"1 2\" data-values=\"0.75 0.5\"");
    assert_string_equal(strbuf_str(&p.messages), ROOT
                        "/cut/metrics.jsonl:4: warning: found no line of metrics, wanted an object with a \"step\"; left out\n");
    made_page_free(&p);
}

static void nothing_is_refused(void **state) {
    (void)state;
    make_folder(ROOT "/empty");
    write_file(ROOT "/other.json", "{\"a\": 1}");
    const char wanted[] = "found nothing of a run, wanted metrics.jsonl, *_results.json, checkpoints, a model, the results.json of "
                          "`pofac run`, or a file that "
                          "`pofac bench --json` has printed\n";
    char message[400];
    refused(ROOT "/nowhere", POFAC_ERR_INPUT, ROOT "/nowhere: error: is not there\n");
    snprintf(message, sizeof message, ROOT "/empty: error: %s", wanted);
    refused(ROOT "/empty", POFAC_ERR_INPUT, message);
    snprintf(message, sizeof message, ROOT "/other.json: error: %s", wanted);
    refused(ROOT "/other.json", POFAC_ERR_INPUT, message);
}

static const char bench[] = "{\"batch\": 2, \"sequence\": 64, \"threads\": 1, \"target\": \"<avx2>\", \"median_ms\": 4.5, "
                            "\"p90_ms\": 5, \"tokens_per_second\": 100, "
                            "\"kernels\": [{\"kernel\": \"add\", \"variant\": \"\", \"ms\": 1, \"share\": 0.25, \"gflops\": 1, "
                            "\"gbytes\": 2}, {\"kernel\": \"linear\", "
                            "\"variant\": \"N=4\", \"ms\": 1, \"share\": 0.25, \"gflops\": 10, \"gbytes\": 2}, {\"kernel\": "
                            "\"linear\", \"variant\": \"N=4\", \"ms\": 2, "
                            "\"share\": 0.5, \"gflops\": 40, \"gbytes\": 5}]}";

static void benches_are_summed_by_kernel(void **state) {
    (void)state;
    write_file(ROOT "/bench.json", bench);
    made_page p = make_page((const char *const[]){ROOT "/bench.json"}, 1, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "A batch of 2 x 64 made-up tokens takes <b>4.50 ms</b> (median; 90 % of runs within 5.00), 100 tokens/s, 1 thread, "
            "&lt;avx2&gt;.");
    has(&p, "<th scope=\"row\">linear N=4</th><td>2</td><td data-value=\"3\">3.000</td>");
    has(&p, "75.0 %</td><td>30.0</td><td>4.00</td>");
    const char *linear = strstr(strbuf_str(&p.text), "linear N=4"),
               *add = strstr(strbuf_str(&p.text), "<th scope=\"row\">add</th>");
    assert_true(linear && add && linear < add);
    made_page_free(&p);
}

static const char results[] =
    "{\"columns\": [{\"name\": \"accuracy\", \"format\": \"percent\"}, {\"name\": \"size\", \"format\": \"bytes\"}, {\"name\": "
    "\"time\", \"format\": "
    "\"ms\"}, {\"name\": \"n\", \"format\": \"number\"}, {\"name\": \"f\", \"format\": \"ratio\"}], \"rows\": [{\"name\": "
    "\"<dense>\", \"cells\": "
    "{\"accuracy\": {\"value\": 0.925, \"values\": [0.9, 0.95], \"sweep\": [\"seed=1\", \"seed=2\"]}, \"size\": {\"value\": "
    "1234567, \"values\": "
    "[1234567], \"sweep\": [\"\"]}, \"time\": {\"value\": 1.25, \"values\": [1.25]}, \"f\": {\"value\": 8, \"values\": [8]}}}]}";

static void pipelines_come_with_their_stages(void **state) {
    (void)state;
    make_folder(ROOT "/out/teacher");
    make_folder(ROOT "/out/shared/student/model");
    make_folder(ROOT "/out/bench");
    make_folder(ROOT "/out/data");
    write_file(ROOT "/out/results.json", results);
    write_file(ROOT "/out/teacher/metrics.jsonl", lines);
    write_file(ROOT "/out/shared/student/model/metrics.jsonl", lines);
    write_file(ROOT "/out/bench/stdout.txt", bench);
    write_file(ROOT "/out/data/stdout.txt", "words\n");
    made_page p = make_page((const char *const[]){ROOT "/out"}, 1, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "<a href=\"#results-0\">Results</a>");
    has(&p, "<h2 id=\"results-0\">Results of " ROOT "/out</h2>");
    has(&p, "<tr><th scope=\"row\">&lt;dense&gt;</th><td data-value=\"0.925\">92.50 % <span class=\"quiet\">(90.00 %, 95.00 "
            "%)</span></td><td "
            "data-value=\"1234567\">1.2 MB</td><td data-value=\"1.25\">1.250 ms</td><td></td><td data-value=\"8\">8.0x</td></tr>");
    has(&p, "data-run=\"teacher\" data-metric=\"loss\"");
    has(&p, "data-run=\"shared/student/model\" data-metric=\"loss\"");
    has(&p, "Model bench</h2>");
    has_not(&p, "data</");
    assert_true(strstr(strbuf_str(&p.text), "Results of") < strstr(strbuf_str(&p.text), "id=\"runs\""));
    made_page_free(&p);
    write_file(ROOT "/out/results.json", "{\"columns\": 1}");
    p = make_page((const char *const[]){ROOT "/out"}, 1, NULL);
    assert_int_equal(p.status, POFAC_OK); /* a results.json, but none of a pipeline: a folder with runs */
    has_not(&p, "Results of");
    has(&p, "data-run=\"out/teacher\" data-metric=\"loss\"");
    made_page_free(&p);
}

static double mostly_zero(const char *name, int64_t row, int64_t column) {
    (void)name;
    return (row * 7 + column) % 10 == 0 ? 0.125 : 0;
}

static void models_are_shown(void **state) {
    (void)state;
    const tiny_model m = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = mostly_zero};
    tiny_model_write(&m, ROOT "/model");
    const char *const paths[] = {ROOT "/model"};
    made_page p = make_page(paths, 1, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "<th scope=\"row\">encoder.layer.0</th>");
    has(&p, "<code>bert.encoder.layer.0.attention.self.query.weight</code></p><p>32 x 32, <b>");
    has(&p, "<img class=\"weight\" width=\"32\" height=\"32\"");
    has(&p, "<b>before all passes</b>");
    has(&p, "<b>after unpad</b>");
    has(&p, "<b>after plan-memory</b>");
    has(&p, "<b>after fuse</b>");
    has(&p, "No time by kernel: it is measured without --bench=false.");
    made_page_free(&p);
    p = make_page(paths, 1, "layer.0.output.dense");
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "<code>bert.encoder.layer.0.output.dense.weight</code></p><p>32 x 48");
    made_page_free(&p);
    p = make_page(paths, 1, "layer.9");
    assert_int_equal(p.status, POFAC_ERR_USAGE);
    assert_string_equal(
        strbuf_str(&p.messages),
        "error: layer: found \"layer.9\", wanted part of the name of a linear layer's weight (`pofac inspect` lists them)\n");
    made_page_free(&p);
}

static void broken_models_are_sentences(void **state) {
    (void)state;
    make_folder(ROOT "/broken");
    write_file(ROOT "/broken/config.json", "{\"model_type\": \"bert\", \"hidden_size\": -1}");
    write_file(ROOT "/broken/model.safetensors", "nothing");
    write_file(ROOT "/broken/metrics.jsonl", lines);
    made_page p = make_page((const char *const[]){ROOT "/broken"}, 1, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "<b>broken</b>: No model: " ROOT "/broken/config.json: hidden_size: found -1, wanted an integer from 1 to 16777216.");
    has(&p, "data-metric=\"loss\" data-steps=\"1 2\" data-values=\"0.75 0.5\"");
    made_page_free(&p);
}

static void folders_of_runs_are_looked_into(void **state) {
    (void)state;
    make_folder(ROOT "/stage/model");
    make_folder(ROOT "/stage/logs");
    write_file(ROOT "/stage/model/metrics.jsonl", lines);
    made_page p = make_page((const char *const[]){ROOT "/stage"}, 1, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "data-run=\"stage/model\" data-metric=\"loss\"");
    made_page_free(&p);
}

static void equal_names_become_paths(void **state) {
    (void)state;
    make_folder(ROOT "/a/run");
    make_folder(ROOT "/b/run");
    write_file(ROOT "/a/run/metrics.jsonl", lines);
    write_file(ROOT "/b/run/metrics.jsonl", lines);
    made_page p = make_page((const char *const[]){ROOT "/a/run/", ROOT "/b/run"}, 2, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "data-run=\"" ROOT "/a/run/\" data-metric=\"loss\"");
    has(&p, "data-run=\"" ROOT "/b/run\" data-metric=\"loss\"");
    made_page_free(&p);
}

/* The same path again gets a number, and nothing is called by another's name. */
static void equal_paths_are_numbered(void **state) {
    (void)state;
    make_runs();
    made_page p = make_page((const char *const[]){ROOT "/run", ROOT "/run", ROOT "/run"}, 3, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "data-run=\"run\" data-metric=\"loss\"");
    has(&p, "data-run=\"" ROOT "/run\" data-metric=\"loss\"");
    has(&p, "data-run=\"" ROOT "/run (2)\" data-metric=\"loss\"");
    made_page_free(&p);
}

/* Each link of the contents leads somewhere: runs without scores, options and curves have none to them. */
static void links_lead_somewhere(void **state) {
    (void)state;
    make_runs();
    made_page p = make_page((const char *const[]){ROOT "/run", ROOT "/<script>alert(1)<"}, 2, NULL);
    size_t n = 0;
    for (const char *at = strbuf_str(&p.text); (at = strstr(at, "<a href=\"#")); n++) {
        at += strlen("<a href=\"#");
        char id[64];
        snprintf(id, sizeof id, "id=\"%.*s\"", (int)strcspn(at, "\""), at);
        has(&p, id);
    }
    assert_int_equal(n, 5); /* runs, scores, curves, what is not here, values */
    made_page_free(&p);
}

/* Metrics alone are a run; a file that is nothing of one ends the report. */
static void files_are_runs_or_refused(void **state) {
    (void)state;
    make_runs();
    made_page p = make_page((const char *const[]){ROOT "/run/metrics.jsonl"}, 1, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "data-run=\"metrics.jsonl\" data-metric=\"loss\" data-steps=\"1 2\" data-values=\"0.75 0.5\"");
    made_page_free(&p);
    write_file(ROOT "/notes.txt", "to do");
    refused(ROOT "/notes.txt", POFAC_ERR_INPUT,
            "error: " ROOT "/notes.txt: found malformed XML, wanted a well-formed document: Start tag expected, '<' not found\n");
}

/* Of a pipeline 256 runs are shown, in the order of their numbers, and that there are more is said. */
static void many_runs_are_cut(void **state) {
    (void)state;
    char path[64];
    for (int i = 1; i <= 258; i++) {
        snprintf(path, sizeof path, ROOT "/many/run%d", i);
        make_folder(path);
        snprintf(path, sizeof path, ROOT "/many/run%d/metrics.jsonl", i);
        write_file(path, lines);
    }
    made_page p = make_page((const char *const[]){ROOT "/many"}, 1, NULL);
    assert_int_equal(p.status, POFAC_OK);
    has(&p, "data-run=\"many/run256\" data-metric=\"loss\"");
    has_not(&p, "data-run=\"many/run257\"");
    has(&p, "More runs than these 256");
    has(&p, "<g class=\"series s1 d1\" data-run=\"many/run2\"");
    has(&p, "<g class=\"series s1 d2\" data-run=\"many/run10\""); /* the colour again, with other dashes */
    assert_string_equal(strbuf_str(&p.messages),
                        ROOT "/many/run257: warning: found more than 256 runs, wanted fewer; this and the rest are left out\n");
    made_page_free(&p);
}

static void short_memory_is_told(void **state) {
    (void)state;
    size_t failed = 0;
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        made_page p = make_page((const char *const[]){ROOT "/run", ROOT "/bench.json"}, 2, NULL);
        const bool has_failed = fail_alloc_stop(), messages_failed = !strbuf_ok(&p.messages);
        const pofac_status status = p.status;
        made_page_free(&p);
        if (!messages_failed && (status == POFAC_OK) == has_failed) fail_msg("allocation %zu: status %d", n, (int)status);
        if (!has_failed) break;
        failed++;
    }
    assert_true(failed >= 40);
}

static int begin(void **state) {
    (void)state;
    folder_remove(ROOT);
    make_folder(ROOT);
    make_runs();
    return 0;
}

static int end(void **state) {
    (void)state;
    folder_remove(ROOT);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(curves_and_scores),
                                       cmocka_unit_test(damaged_lines_are_named),
                                       cmocka_unit_test(nothing_is_refused),
                                       cmocka_unit_test(benches_are_summed_by_kernel),
                                       cmocka_unit_test(pipelines_come_with_their_stages),
                                       cmocka_unit_test(models_are_shown),
                                       cmocka_unit_test(broken_models_are_sentences),
                                       cmocka_unit_test(folders_of_runs_are_looked_into),
                                       cmocka_unit_test(equal_names_become_paths),
                                       cmocka_unit_test(equal_paths_are_numbered),
                                       cmocka_unit_test(links_lead_somewhere),
                                       cmocka_unit_test(files_are_runs_or_refused),
                                       cmocka_unit_test(many_runs_are_cut),
                                       cmocka_unit_test(short_memory_is_told)};
    return cmocka_run_group_tests(tests, begin, end);
}
