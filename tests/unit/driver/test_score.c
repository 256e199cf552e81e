/* Predictions beside data: every form, rows and predictions that do not meet, messages, results files, SQuAD's published scores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/score.h"
#include "ir/support/file_map.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

static void put_text(void **state, const char *name, const char *text) { put_file(state, name, text, strlen(text)); }

/* Scores the files "data" and "predictions"; what comes out is the line of results, or what was said. */
static void expect_scored(void **state, score_options o, const char *wanted) {
    strbuf said = STRBUF_INIT, line = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    score_result result;
    char data[4096], predictions[4096], odds[4096];
    snprintf(data, sizeof data, "%s", file_path(state, o.data));
    snprintf(predictions, sizeof predictions, "%s", file_path(state, "predictions"));
    snprintf(odds, sizeof odds, "%s", file_path(state, "odds"));
    o.data = data;
    o.predictions = predictions;
    if (o.null_odds) o.null_odds = odds;
    const pofac_status status = score_file(&o, &sink, &result);
    if (status == POFAC_OK) results_put_line(result.values, result.n, &line);
    for (size_t at = 0; at < 3; at++) cut_directory(state, said.data ? said.data : (char[]){0});
    strbuf_puts(&line, strbuf_str(&said));
    assert_string_equal(strbuf_str(&line), wanted);
    if (strstr(wanted, "error: ")) assert_true(status == POFAC_ERR_INPUT || status == POFAC_ERR_USAGE);
    strbuf_free(&said);
    strbuf_free(&line);
}

/* ---- labels ---- */

static const char sst2[] = "sentence\tlabel\ngood\t1\nbad\t0\nfine\t1\nawful\t0\n";

static void expect_sst2(void **state, const char *predictions, const char *wanted) {
    put_text(state, "data.tsv", sst2);
    put_text(state, "predictions", predictions);
    expect_scored(state, (score_options){.task = "sst2", .data = "data.tsv"}, wanted);
}

static void labels_in_every_form(void **state) {
    static const char wanted[] = "{\"accuracy\": 0.75}";
    expect_sst2(state, "1\n0\n0\n0\n", wanted);
    expect_sst2(state, "positive\nnegative\nNEGATIVE\nnegative", wanted);
    expect_sst2(state, "LABEL_1\r\nLABEL_0\r\nLABEL_0\r\nLABEL_0\r\n", wanted);
    expect_sst2(state, "index\tprediction\n0\t1\n1\t0\n2\t0\n3\t0\n", wanted);
    expect_sst2(state, "3\t0\n1\tnegative\n2\t0\n0\tpositive\tmore\n", wanted);
    expect_sst2(state,
                "{\"label\": \"positive\", \"score\": 0.9, \"probabilities\": {}}\n{\"label\": \"negative\", \"score\": 0.9}\n"
                "\n{\"prediction\": 0}\n{\"labels\": [\"negative\"]}\n",
                wanted);
    expect_sst2(
        state,
        "{\"index\": 3, \"label\": 0}\n{\"index\": 2, \"label\": 0}\n{\"index\": 1, \"label\": 0}\n{\"index\": 0, \"label\": 1}\n",
        wanted);
}

static void labels_that_are_wrong(void **state) {
    expect_sst2(state, "1\n0\nmaybe\n0\n", "predictions:3: error: found \"maybe\", wanted \"negative\" or \"positive\"\n");
    expect_sst2(state, "1\n0\n2\n0\n", "predictions:3: error: found \"2\", wanted \"negative\" or \"positive\"\n");
    expect_sst2(state, "0\t1\n0\t1\n", "predictions:2: error: found a second prediction for row 0, wanted one\n");
    expect_sst2(state, "0\t1\nx\t1\n", "predictions:2: error: found no row's number before a tab, wanted INDEX and PREDICTION\n");
    expect_sst2(state, "0\t1\n99999999999999999999\t1\n",
                "predictions:2: error: found no row's number before a tab, wanted INDEX and PREDICTION\n");
    expect_sst2(state, "{\"label\": 1}\n{\"answer\": 1}\n",
                "predictions:2: error: found no prediction, wanted a label or a number as label, prediction or score, or labels of "
                "words as "
                "labels, tags or predictions\n");
    expect_sst2(state, "{\"label\": 1, \"index\": -1}\n", "predictions:1: error: index: found -1, wanted a whole number from 0\n");
    expect_sst2(state, "{\"label\": 1\n", "predictions: error: line 1: invalid JSON at byte 11: '}' expected near end of file\n");
}

static void rows_and_predictions_that_do_not_meet(void **state) {
    put_text(state, "data.tsv", sst2);
    put_text(state, "predictions", "1\n");
    score_options o = {.task = "sst2", .data = "data.tsv"};
    expect_scored(
        state, o,
        "predictions: error: found no prediction for 3 of 4 rows: \"1\", \"2\", \"3\" (--missing=zero counts them as wrong)\n");
    o.missing = SCORE_MISSING_IS_WRONG;
    expect_scored(state, o,
                  "{\"accuracy\": 0.25}predictions: warning: 3 of 4 rows have no prediction and score 0: \"1\", \"2\", \"3\"\n");
    put_text(state, "predictions", "1\n1\n1\n1\n1\n1\n1\n1\n");
    expect_scored(state, o,
                  "predictions: error: found predictions for 4 rows that data.tsv does not have: \"4\", \"5\", \"6\", ... "
                  "(--extra=ignore passes over "
                  "them)\n");
    o.extra = SCORE_EXTRA_IS_IGNORED;
    expect_scored(state, o,
                  "{\"accuracy\": 0.5}predictions: warning: predictions for 4 rows that data.tsv does not have are passed over: "
                  "\"4\", \"5\", \"6\", "
                  "...\n");
    o.task = "sst3";
    expect_scored(state, o, "error: unknown task \"sst3\"; did you mean \"sst2\"?\n");
    o.task = "stsb";
    o.missing = SCORE_MISSING_IS_WRONG;
    expect_scored(state, o, "error: --missing=zero is not for --task stsb: a correlation has no wrong rows\n");
    o = (score_options){.task = "squad", .data = "data.tsv", .null_odds = "odds"};
    expect_scored(state, o, "error: --null_odds is for --task squad_v2, found --task squad\n");
}

static void tasks_with_several_metrics(void **state) {
    put_text(state, "mrpc.tsv",
             "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\ta\tb\n0\t1\t2\ta\tb\n1\t1\t2\ta\tb\n1\t1\t2\ta\tb\n");
    put_text(state, "predictions", "1\n1\n0\n1\n");
    expect_scored(state, (score_options){.task = "mrpc", .data = "mrpc.tsv"},
                  "{\"accuracy\": 0.5, \"f1\": 0.6666666666666666, \"combined_score\": 0.5833333333333333}");
    put_text(state, "stsb.jsonl",
             "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": 1.0}\n{\"sentence1\": \"a\", \"sentence2\": \"b\", "
             "\"label\": 2.0}\n"
             "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": 3.0}\n");
    put_text(state, "predictions", "{\"score\": 2.5}\n{\"score\": 3.5}\n{\"score\": 4.5}\n");
    expect_scored(state, (score_options){.task = "stsb", .data = "stsb.jsonl"},
                  "{\"pearson\": 1.0, \"spearmanr\": 1.0, \"combined_score\": 1.0}");
    put_text(state, "predictions", "1\n1\n1\n");
    expect_scored(state, (score_options){.task = "stsb", .data = "stsb.jsonl"},
                  "{\"pearson\": null, \"spearmanr\": null, \"combined_score\": null}");
    put_text(state, "predictions", "1\nx\n1\n");
    expect_scored(state, (score_options){.task = "stsb", .data = "stsb.jsonl"},
                  "predictions:2: error: found \"x\", wanted a number\n");
    put_text(state, "own.tsv", "text\tlabel\na\tred\nb\tblue\nc\tred\n");
    put_text(state, "predictions", "red\nred\ngreen\n"); /* a label that the data lack is wrong */
    expect_scored(state, (score_options){.task = "classification", .data = "own.tsv"}, "{\"accuracy\": 0.3333333333333333}");
}

static void words(void **state) {
    put_text(state, "data.conll", "EU B-ORG\nrejects O\ncall O\n\nPeter B-PER\nBlackburn I-PER\n");
    score_options o = {.task = "token-classification", .data = "data.conll"};
    put_text(state, "predictions", "B-ORG O O\nB-PER O\n");
    expect_scored(state, o, "{\"precision\": 0.5, \"recall\": 0.5, \"f1\": 0.5, \"accuracy\": 0.8}");
    put_text(state, "predictions", "{\"labels\": [\"B-ORG\", \"O\", \"O\"]}\n{\"tags\": [\"B-PER\", \"I-PER\"]}\n");
    expect_scored(state, o, "{\"precision\": 1.0, \"recall\": 1.0, \"f1\": 1.0, \"accuracy\": 1.0}");
    put_text(state, "predictions", "{\"labels\": [\"B-ORG\", \"O O\"]}\n{\"tags\": [\"B-PER\", \"I-PER\"]}\n");
    expect_scored(state, o,
                  "predictions:1: error: found no prediction, wanted a label or a number as label, prediction or score, or labels "
                  "of words as "
                  "labels, tags or predictions\n");
    put_text(state, "predictions", "B-ORG O\nB-PER I-PER\n");
    expect_scored(state, o, "predictions:1: error: found 2 labels, wanted 3, as many as words in data.conll:1\n");
    o.missing = SCORE_MISSING_IS_WRONG; /* of a text that was cut */
    expect_scored(state, o, "{\"precision\": 1.0, \"recall\": 1.0, \"f1\": 1.0, \"accuracy\": 1.0}");
    put_text(state, "predictions", "B-ORG O O O\nB-PER I-PER\n");
    expect_scored(state, o, "predictions:1: error: found 4 labels, wanted 3, as many as words in data.conll:1\n");
}

/* ---- SQuAD ---- */

#define QA(id, answers) "{\"id\": \"" id "\", \"question\": \"?\", \"answers\": [" answers "]}"
#define QUESTIONS(...) "{\"data\": [{\"paragraphs\": [{\"context\": \"one two three\", \"qas\": [" __VA_ARGS__ "]}]}]}"
#define ONE "{\"text\": \"one\", \"answer_start\": 0}"
#define TWO_THREE "{\"text\": \"two three\", \"answer_start\": 4}"

static void questions(void **state) {
    score_options o = {.task = "squad", .data = "data.json"};
    put_text(state, "data.json", QUESTIONS(QA("1", ONE) "," QA("2", ONE "," TWO_THREE)));
    put_text(state, "predictions", "{\"2\": \"The two\", \"1\": \"one.\"}");
    expect_scored(state, o, "{\"exact_match\": 50.0, \"f1\": 83.33333333333333}");
    put_text(state, "predictions", "{\"2\": \"two three\", \"3\": \"x\"}");
    expect_scored(
        state, o,
        "{\"exact_match\": 50.0, \"f1\": 50.0}predictions: warning: 1 of 2 questions have no prediction and score 0: \"1\"\n"
        "predictions: warning: predictions for 1 questions that data.json does not have are passed over: \"3\"\n");
    o.missing = SCORE_MISSING_FAILS;
    expect_scored(state, o,
                  "predictions: error: found no prediction for 1 of 2 questions: \"1\" (--missing=zero counts them as wrong)\n");
    o.missing = SCORE_MISSING_BY_TASK;
    put_text(state, "predictions", "[]");
    expect_scored(state, o, "predictions: error: found an array, wanted an object of predictions by id\n");
    put_text(state, "predictions", "{\"1\": null}");
    expect_scored(state, o, "predictions: error: 1: found null, wanted a string\n");
    put_text(state, "predictions", "{\"1\": \"x\"} x");
    expect_scored(state, o,
                  "predictions:1:12: error: invalid JSON: end of file expected near 'x'\n  {\"1\": \"x\"} x\n             ^\n");
    put_text(state, "predictions", "{\"1\": \"x\"}");
    put_text(state, "data.json", QUESTIONS(QA("1", ONE) "," QA("1", ONE)));
    expect_scored(state, o, "data.json: error: found question 1 twice, wanted one\n");
    put_text(state, "data.json", QUESTIONS(QA("1", "")));
    expect_scored(state, o, "data.json: error: question 1 has no answer, which --task squad_v2 scores\n");
    put_text(state, "data.json", "{}");
    expect_scored(state, o, "data.json: error: found no \"data\", wanted an array\n");
}

static void questions_without_answers(void **state) {
    score_options o = {.task = "squad_v2", .data = "data.json", .no_answer_threshold = 1.0};
    put_text(state, "data.json", QUESTIONS(QA("1", ONE) "," QA("2", "")));
    put_text(state, "predictions", "{\"2\": \"x\", \"1\": \"one\"}");
    expect_scored(
        state, o,
        "{\"exact\": 50.0, \"f1\": 50.0, \"total\": 2, \"HasAns_exact\": 100.0, \"HasAns_f1\": 100.0, \"HasAns_total\": 1, "
        "\"NoAns_exact\": 0.0, \"NoAns_f1\": 0.0, \"NoAns_total\": 1}");
    put_text(state, "odds", "{\"1\": -2, \"2\": 3.5}");
    o.null_odds = "odds";
    expect_scored(
        state, o,
        "{\"exact\": 100.0, \"f1\": 100.0, \"total\": 2, \"HasAns_exact\": 100.0, \"HasAns_f1\": 100.0, \"HasAns_total\": 1, "
        "\"NoAns_exact\": 100.0, \"NoAns_f1\": 100.0, \"NoAns_total\": 1, \"best_exact\": 100.0, \"best_exact_thresh\": -2.0, "
        "\"best_f1\": 100.0, \"best_f1_thresh\": -2.0}");
    put_text(state, "odds", "{\"1\": 0}");
    expect_scored(state, o, "odds: error: 2: found nothing, wanted a number\n");
}

/* The scores that the official script gives three published systems, to the last bit. */
static void published_predictions(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double exact_match, f1;
        uint64_t missing;
    } systems[] = {{"Logistic", 39.78817299205649, 50.553434140909985, 6},
                   {"Match-LSTM", 67.20211827007944, 76.18962377973516, 0},
                   {"r-net+", 82.04766107678729, 87.73736612634946, 0}};
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    for (size_t i = 0; i < 3; i++) {
        char data[4096], predictions[4096];
        snprintf(data, sizeof data, "%s/data/squad_v1.1/dev-A-v1.1.reconstructed.json.gz", shared);
        snprintf(predictions, sizeof predictions, "%s/data/squad_v1.1/predictions/%s.devA.json.gz", shared, systems[i].name);
        score_result r;
        assert_int_equal(score_file(&(score_options){.task = "squad", .data = data, .predictions = predictions}, NULL, &r),
                         POFAC_OK);
        assert_int_equal(r.rows, 5665);
        assert_int_equal(r.missing, systems[i].missing);
        const double found[2] = {r.values[0].value, r.values[1].value}, wanted[2] = {systems[i].exact_match, systems[i].f1};
        if (memcmp(found, wanted, sizeof found) != 0)
            fail_msg("%s: found %.17g, %.17g, wanted %.17g, %.17g", systems[i].name, found[0], found[1], wanted[0], wanted[1]);
    }
}

/* ---- results files ---- */

static void expect_file(const char *path, const char *wanted) {
    file_map file;
    strbuf text = STRBUF_INIT;
    assert_int_equal(file_map_open(path, NULL, &file), POFAC_OK);
    strbuf_append(&text, file.data, file.size_bytes);
    file_map_close(&file);
    assert_string_equal(strbuf_str(&text), wanted);
    strbuf_free(&text);
}

static void results_files(void **state) {
    const result_value eval[] = {
        {"f1", 0.5, false}, {"accuracy", NAN, false}, {"total", 3, true}, {"epoch", 2.0, false}, {"eval_loss", 0.1, false}};
    const result_value train[] = {{"loss", 1e-7, false}};
    char directory[4096], own[4200], all[4200];
    snprintf(directory, sizeof directory, "%s", file_path(state, "results"));
    snprintf(own, sizeof own, "%s/eval_results.json", directory);
    snprintf(all, sizeof all, "%s/all_results.json", directory);
    assert_int_equal(results_file_save(directory, "eval", eval, 5, NULL), POFAC_OK);
    expect_file(own, "{\n    \"epoch\": 2.0,\n    \"eval_accuracy\": null,\n    \"eval_f1\": 0.5,\n    \"eval_loss\": 0.1,\n    "
                     "\"eval_total\": 3\n}\n");
    assert_int_equal(results_file_save(directory, "train", train, 1, NULL), POFAC_OK);
    assert_int_equal(results_file_save(directory, "eval", eval, 1, NULL), POFAC_OK);
    expect_file(own, "{\n    \"eval_f1\": 0.5\n}\n");
    expect_file(all, "{\n    \"epoch\": 2.0,\n    \"eval_accuracy\": null,\n    \"eval_f1\": 0.5,\n    \"eval_loss\": 0.1,\n    "
                     "\"eval_total\": 3,\n"
                     "    \"train_loss\": 1e-07\n}\n");
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    FILE *f = fopen(all, "w");
    assert_non_null(f);
    fputs("[]", f);
    fclose(f);
    assert_int_equal(results_file_save(directory, "eval", eval, 1, &sink), POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&said), "all_results.json: error: found an array, wanted an object\n"));
    strbuf_clear(&said);
    char absent[4096], wanted[4200];
    snprintf(absent, sizeof absent, "%s", file_path(state, "absent/results"));
    snprintf(wanted, sizeof wanted, "%s: error: cannot be made: No such file or directory\n", absent);
    assert_int_equal(results_file_save(absent, "eval", eval, 1, &sink), POFAC_ERR_RUNTIME);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
    unlink(all);
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        const pofac_status status = results_file_save(directory, "eval", eval, 5, NULL);
        const bool failed = fail_alloc_stop();
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK) && !(failed && status == POFAC_ERR_INPUT))
            fail_msg("allocation %zu fails: status %d", n, status);
        if (!failed) break;
    }
    unlink(all);
    unlink(own);
    rmdir(directory);
}

/* ---- failing calls ---- */

static void failing_calls(void **state) {
    static const struct {
        const char *task, *data_name, *data, *predictions;
    } cases[] = {
        {"sst2", "data.tsv", sst2, "index\tprediction\n0\t1\n1\t0\n2\t0\n3\tnegative\n"},
        {"token-classification", "data.conll", "EU B-ORG\nrejects O\n\nPeter B-PER\n",
         "{\"labels\": [\"B-ORG\", \"O\"]}\n{\"labels\": [\"B-PER\"]}\n"},
        {"classification", "own.tsv", "text\tlabel\na\tred\nb\tblue\n", "red\nred\n"},
        {"squad", "data.json", QUESTIONS(QA("1", ONE) "," QA("2", TWO_THREE)), "{\"1\": \"one\", \"4\": \"x\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char data[4096], predictions[4096];
        put_text(state, cases[i].data_name, cases[i].data);
        put_text(state, "predictions", cases[i].predictions);
        snprintf(data, sizeof data, "%s", file_path(state, cases[i].data_name));
        snprintf(predictions, sizeof predictions, "%s", file_path(state, "predictions"));
        const score_options o = {.task = cases[i].task, .data = data, .predictions = predictions};
        score_result r;
        for (size_t n = 1;; n++) {
            fail_alloc_after(n);
            const pofac_status status = score_file(&o, NULL, &r);
            const bool failed = fail_alloc_stop();
            /* jansson calls a string that it has no memory for a wrong token */
            if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK) && !(failed && status == POFAC_ERR_INPUT))
                fail_msg("%s, allocation %zu fails: status %d", cases[i].task, n, status);
            if (!failed) break;
        }
        for (size_t n = 1;; n++) {
            fail_read_after(n);
            const pofac_status status = score_file(&o, NULL, &r);
            const bool failed = fail_read_stop();
            if (status != POFAC_OK && !(failed && status == POFAC_ERR_INPUT))
                fail_msg("%s, read %zu fails: status %d", cases[i].task, n, status);
            if (!failed) break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_in_every_form),
        cmocka_unit_test(labels_that_are_wrong),
        cmocka_unit_test(rows_and_predictions_that_do_not_meet),
        cmocka_unit_test(tasks_with_several_metrics),
        cmocka_unit_test(words),
        cmocka_unit_test(questions),
        cmocka_unit_test(questions_without_answers),
        cmocka_unit_test(published_predictions),
        cmocka_unit_test(results_files),
        cmocka_unit_test(failing_calls),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
