/* What `pofac data check` says of files of tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/check_task.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"
#include "tests/unit/text/small_vocabulary.h"

static void put_text(void **state, const char *name, const char *text) { put_file(state, name, text, strlen(text)); }

/* The object, then what was said. */
static void expect(void **state, const char *name, const check_task_options *options, pofac_status wanted_status,
                   const char *wanted) {
    strbuf out = STRBUF_INIT, said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    char path[512];
    snprintf(path, sizeof path, "%s", file_path(state, name));
    const char *paths[] = {path};
    pofac_status status = check_task(paths, 1, options, &sink, &out);
    strbuf_puts(&out, strbuf_str(&said));
    if (out.data) cut_directory(state, out.data);
    assert_string_equal(strbuf_str(&out), wanted);
    assert_int_equal(status, wanted_status);
    strbuf_free(&out);
    strbuf_free(&said);
}

static void labels_and_tokens(void **state) {
    put_text(state, "a.tsv", "sentence\tlabel\nhello world\t1\nhello\t0\na b c unaffable\t1\n");
    put_text(state, "vocab.txt", small_vocabulary);
    char vocab[512];
    snprintf(vocab, sizeof vocab, "%s", file_path(state, "vocab.txt"));
    expect(state, "a.tsv", &(check_task_options){.task = "sst2"}, POFAC_OK,
           "{\"task\": \"sst2\", \"files\": [{\"file\": \"a.tsv\", \"format\": \"tsv\", \"header\": true, \"rows\": 3, "
           "\"unlabelled\": 0, "
           "\"bad_rows\": 0}], \"rows\": 3, \"unlabelled\": 0, \"bad_rows\": 0, \"labels\": {\"negative\": 1, \"positive\": 2}}\n");
    expect(state, "a.tsv", &(check_task_options){.task = "sst2", .vocab = vocab, .max_seq_length = 6}, POFAC_OK,
           "{\"task\": \"sst2\", \"files\": [{\"file\": \"a.tsv\", \"format\": \"tsv\", \"header\": true, \"rows\": 3, "
           "\"unlabelled\": 0, "
           "\"bad_rows\": 0}], \"rows\": 3, \"unlabelled\": 0, \"bad_rows\": 0, \"labels\": {\"negative\": 1, \"positive\": 2}, "
           "\"tokens\": "
           "{\"max_seq_length\": 6, \"total\": 15, \"min\": 3, \"mean\": 5.0, \"median\": 4, \"p90\": 8, \"p99\": 8, \"max\": 8, "
           "\"truncated\": 1, \"truncated_share\": 0.3333333333333333}}\n");
    expect(state, "a.tsv", &(check_task_options){.task = "sst2", .vocab = vocab, .max_seq_length = 3}, POFAC_ERR_USAGE,
           "error: max_seq_length: found 3, wanted at least 5\n");
}

static void bad_rows(void **state) {
    put_text(state, "a.csv", "sentence,label\nhello,1\nhello,9\n");
    static const char counted[] =
        "{\"task\": \"sst2\", \"files\": [{\"file\": \"a.csv\", \"format\": \"csv\", \"header\": true, \"rows\": 1, "
        "\"unlabelled\": 0, "
        "\"bad_rows\": 1}], \"rows\": 1, \"unlabelled\": 0, \"bad_rows\": 1, \"labels\": {\"negative\": 0, \"positive\": 1}}\n"
        "a.csv:3: warning: row skipped: label: found \"9\", wanted \"negative\" or \"positive\"\n";
    char text[1024];
    expect(state, "a.csv", &(check_task_options){.task = "sst2", .skip_bad_rows = true}, POFAC_OK, counted);
    snprintf(text, sizeof text, "%s%s", counted, "error: found 1 bad rows, wanted none (--skip_bad_rows leaves them out)\n");
    expect(state, "a.csv", &(check_task_options){.task = "sst2"}, POFAC_ERR_INPUT, text);
}

static void other_kinds(void **state) {
    put_text(state, "a.csv", "text,label\na,dog\nb,cat\nc,dog\n");
    expect(state, "a.csv", &(check_task_options){.task = "classification"}, POFAC_OK,
           "{\"task\": \"classification\", \"files\": [{\"file\": \"a.csv\", \"format\": \"csv\", \"header\": true, \"rows\": 3, "
           "\"unlabelled\": 0, \"bad_rows\": 0}], \"rows\": 3, \"unlabelled\": 0, \"bad_rows\": 0, \"labels\": {\"cat\": 1, "
           "\"dog\": 2}}\n");
    put_text(state, "a.tsv", "0\t1.5\tA\tB\n1\t4\tC\tD\n");
    expect(state, "a.tsv", &(check_task_options){.task = "stsb"}, POFAC_OK,
           "{\"task\": \"stsb\", \"files\": [{\"file\": \"a.tsv\", \"format\": \"tsv\", \"header\": false, \"rows\": 2, "
           "\"unlabelled\": 0, "
           "\"bad_rows\": 0}], \"rows\": 2, \"unlabelled\": 0, \"bad_rows\": 0, \"scores\": {\"min\": 1.5, \"mean\": 2.75, "
           "\"max\": 4.0}}\n");
    put_text(state, "a.conll", "EU I-ORG\nis O\n\nPeter I-PER\n");
    expect(state, "a.conll", &(check_task_options){.task = "token-classification", .tag_scheme = "iob2"}, POFAC_OK,
           "{\"task\": \"token-classification\", \"files\": [{\"file\": \"a.conll\", \"format\": \"conll\", \"rows\": 2, "
           "\"unlabelled\": 0, "
           "\"bad_rows\": 0}], \"rows\": 2, \"unlabelled\": 0, \"bad_rows\": 0, \"words\": 3, \"labels\": {\"B-ORG\": 1, "
           "\"B-PER\": 1, "
           "\"O\": 1}}\n");
}

static void directories(void **state) {
    mkdir(file_path(state, "mnli"), 0700);
    expect(state, "mnli", &(check_task_options){.task = "mnli"}, POFAC_ERR_INPUT,
           "mnli: error: found no file of a split of task mnli, wanted one like train.tsv\n");
    put_text(state, "mnli/dev_matched.tsv", "neutral\tA\tB\n");
    put_text(state, "mnli/dev_mismatched.jsonl", "{\"premise\": \"A\", \"hypothesis\": \"B\", \"label\": 0}\n");
    put_text(state, "mnli/notes.tsv", "");
    expect(state, "mnli", &(check_task_options){.task = "mnli"}, POFAC_OK,
           "{\"task\": \"mnli\", \"files\": [{\"file\": \"mnli/dev_matched.tsv\", \"format\": \"tsv\", \"header\": false, "
           "\"rows\": 1, "
           "\"unlabelled\": 0, \"bad_rows\": 0}, {\"file\": \"mnli/dev_mismatched.jsonl\", \"format\": \"jsonl\", \"rows\": 1, "
           "\"unlabelled\": 0, "
           "\"bad_rows\": 0}], \"rows\": 2, \"unlabelled\": 0, \"bad_rows\": 0, \"labels\": {\"entailment\": 1, \"neutral\": 1, "
           "\"contradiction\": 0}}\n");
}

/* pitfall 8: rows are counted under the model's labels, whatever their order; a model with other labels is refused. */
static void a_model_s_labels(void **state) {
    static const char config[] =
        "{\"model_type\": \"bert\", \"architectures\": [\"BertForSequenceClassification\"], \"hidden_size\": 8, "
        "\"num_attention_heads\": 2, \"num_hidden_layers\": 1, \"intermediate_size\": 8, \"vocab_size\": 80, "
        "\"id2label\": {%s}}";
    char text[512], model[512];
    mkdir(file_path(state, "model"), 0700);
    snprintf(model, sizeof model, "%s", file_path(state, "model"));
    put_safetensors(state, "model/model.safetensors", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                    "\0\0\0\0", 4);
    put_text(state, "a.tsv", "neutral\tA\tB\nentailment\tC\tD\nentailment\tE\tF\n");
    snprintf(text, sizeof text, config, "\"0\": \"CONTRADICTION\", \"1\": \"NEUTRAL\", \"2\": \"ENTAILMENT\"");
    put_text(state, "model/config.json", text);
    expect(state, "a.tsv", &(check_task_options){.task = "mnli", .model = model}, POFAC_OK,
           "{\"task\": \"mnli\", \"files\": [{\"file\": \"a.tsv\", \"format\": \"tsv\", \"header\": false, \"rows\": 3, "
           "\"unlabelled\": 0, "
           "\"bad_rows\": 0}], \"rows\": 3, \"unlabelled\": 0, \"bad_rows\": 0, \"labels\": {\"CONTRADICTION\": 0, \"NEUTRAL\": 1, "
           "\"ENTAILMENT\": 2}}\n");
    snprintf(text, sizeof text, config, "\"0\": \"entailment\", \"1\": \"not_entailment\"");
    put_text(state, "model/config.json", text);
    expect(state, "a.tsv", &(check_task_options){.task = "mnli", .model = model}, POFAC_ERR_INPUT,
           "model: error: id2label: found \"entailment\", \"not_entailment\", wanted the labels of task mnli: \"entailment\", "
           "\"neutral\", "
           "\"contradiction\"\n");
}

static void options_that_are_wrong(void **state) {
    put_text(state, "a.tsv", "");
    expect(state, "a.tsv", &(check_task_options){.task = "sst"}, POFAC_ERR_USAGE,
           "error: unknown task \"sst\"; did you mean \"sst2\"?\n");
    expect(state, "a.tsv", &(check_task_options){.task = "sst2", .format = "xml"}, POFAC_ERR_USAGE,
           "error: format: found \"xml\", wanted auto, tsv, csv, jsonl or conll\n");
    expect(state, "a.tsv", &(check_task_options){.task = "sst2", .tag_scheme = "x"}, POFAC_ERR_USAGE,
           "error: tag_scheme: found \"x\", wanted as_is, iob1, iob2 or bioes\n");
    expect(state, "b.tsv", &(check_task_options){.task = "classification"}, POFAC_ERR_INPUT,
           "b.tsv: error: cannot open: No such file or directory\n");
    expect(state, "b.tsv", &(check_task_options){.task = "sst2"}, POFAC_ERR_INPUT,
           "b.tsv: error: cannot open: No such file or directory\n");
}

static pofac_status check_all(void **state) {
    char path[512], vocab[512];
    snprintf(path, sizeof path, "%s", file_path(state, "f.csv"));
    snprintf(vocab, sizeof vocab, "%s", file_path(state, "vocab.txt"));
    const char *paths[] = {path};
    strbuf out = STRBUF_INIT;
    const check_task_options options = {.task = "classification", .vocab = vocab, .max_seq_length = 8};
    pofac_status status = check_task(paths, 1, &options, NULL, &out);
    assert_int_equal(status == POFAC_OK, out.size > 0);
    strbuf_free(&out);
    return status;
}

static void failing_allocations_and_reads(void **state) {
    put_text(state, "vocab.txt", small_vocabulary);
    put_text(state, "f.csv", "text,label\nhello,x\nworld,y\n");
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        pofac_status status = check_all(state);
        bool failed = fail_alloc_stop();
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK)) fail_msg("allocation %zu: status %d", n, (int)status);
        if (!failed) break;
    }
    size_t failures = 0;
    for (size_t n = 1;; n++) { /* what only tells the size of a file may fail */
        fail_read_after(n);
        pofac_status status = check_all(state);
        if (!fail_read_stop()) break;
        failures += status != POFAC_OK;
    }
    assert_true(failures >= 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_and_tokens),
        cmocka_unit_test(bad_rows),
        cmocka_unit_test(other_kinds),
        cmocka_unit_test(directories),
        cmocka_unit_test(a_model_s_labels),
        cmocka_unit_test(options_that_are_wrong),
        cmocka_unit_test(failing_allocations_and_reads),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
