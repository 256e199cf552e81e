/* SQuAD's files read through: what is counted, of several files, with and without features, and failing calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "frontend/driver/check_questions.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\n";
static const char first[] = "{\"data\": [{\"paragraphs\": [{\"context\": \"a b c a b c a b\", \"qas\": ["
                            "{\"id\": \"1\", \"question\": \"a b c\", \"answers\": [{\"text\": \"c a\", \"answer_start\": 4}]},"
                            "{\"id\": \"2\", \"question\": \"b\", \"answers\": [{\"text\": \"b\", \"answer_start\": 13}]}]}]}]}";
static const char second[] = "{\"data\": [{\"paragraphs\": [{\"context\": \"c\", \"qas\": ["
                             "{\"id\": \"3\", \"question\": \"a\", \"is_impossible\": true, \"answers\": []}, {}]}]}]}";

static void put_files(void **state, char (*paths)[4096], char *vocab) {
    put_file(state, "a.json", first, sizeof first - 1);
    put_file(state, "b.json", second, sizeof second - 1);
    put_file(state, "vocab.txt", vocabulary, sizeof vocabulary - 1);
    snprintf(paths[0], sizeof paths[0], "%s", file_path(state, "a.json"));
    snprintf(paths[1], sizeof paths[1], "%s", file_path(state, "b.json"));
    snprintf(vocab, sizeof paths[0], "%s", file_path(state, "vocab.txt"));
}

#define COUNTS(articles, questions, answers, impossible, bad_rows, realigned)                                                      \
    "\"articles\": " #articles ", \"paragraphs\": " #articles ", \"questions\": " #questions ", \"answers\": " #answers            \
    ", \"impossible\": " #impossible ", \"bad_rows\": " #bad_rows ", \"realigned\": " #realigned

static void counts_of_two_files(void **state) {
    char paths[2][4096], vocab[4096];
    put_files(state, paths, vocab);
    const char *const both[2] = {paths[0], paths[1]};
    strbuf out = STRBUF_INIT;
    check_questions_options o = {.bad_rows = SQUAD_BAD_ROWS_REALIGN};
    assert_int_equal(check_questions(both, 2, &o, NULL, &out), POFAC_OK);
    for (int i = 0; i < 2; i++) cut_directory(state, out.data);
    assert_string_equal(out.data,
                        "{\"files\": [{\"file\": \"a.json\", " COUNTS(1, 2, 2, 0, 0, 1) "}, {\"file\": \"b.json\", " COUNTS(
                            1, 1, 0, 1, 1, 0) "}], " COUNTS(2, 3, 2, 1, 1, 1) "}\n");
    strbuf_clear(&out);
    /* windows of 8: questions are cut to two tokens, so three of the context's eight fit, or four */
    o = (check_questions_options){.vocab = vocab,
                                  .windows = {.max_seq_length = 8, .doc_stride = 2, .max_query_length = 2},
                                  .bad_rows = SQUAD_BAD_ROWS_REALIGN};
    assert_int_equal(check_questions(both, 2, &o, NULL, &out), POFAC_OK);
    const char *features = strstr(out.data, "\"features\"");
    assert_non_null(features);
    assert_string_equal(
        features,
        "\"features\": {\"max_seq_length\": 8, \"doc_stride\": 2, \"doc_stride_is\": \"starts\", \"max_query_length\": 2, "
        "\"features\": 8, \"with_answer\": 2, \"tokens\": 60, \"longest\": 8, \"cut_questions\": 1, "
        "\"split_answers\": 0, \"unaligned_answers\": 0}}\n");
    strbuf_clear(&out);
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    o.bad_rows = SQUAD_BAD_ROWS_FAIL;
    assert_int_equal(check_questions(both, 2, &o, &sink, &out), POFAC_ERR_INPUT);
    assert_int_equal(out.size, 0);
    assert_non_null(strstr(
        said.data, "a.json: error: data[0].paragraphs[0].qas[1].answers[0]: found \"b\", which does not stand at character 13"));
    strbuf_free(&said);
    strbuf_free(&out);
}

static void failing_calls(void **state) {
    char paths[2][4096], vocab[4096];
    put_files(state, paths, vocab);
    const char *const both[2] = {paths[0], paths[1]};
    const check_questions_options o = {
        .vocab = vocab, .windows = {.max_seq_length = 8, .doc_stride = 2}, .bad_rows = SQUAD_BAD_ROWS_REALIGN};
    strbuf wanted = STRBUF_INIT;
    assert_int_equal(check_questions(both, 2, &o, NULL, &wanted), POFAC_OK);
    for (size_t n = 1;; n++) {
        strbuf out = STRBUF_INIT;
        fail_alloc_after(n);
        const pofac_status status = check_questions(both, 2, &o, NULL, &out);
        const bool failed = fail_alloc_stop();
        /* jansson calls a string that it has no memory for a wrong token, or loses a byte of it: nothing crashes or leaks */
        if (status == POFAC_OK ? !failed && strcmp(strbuf_str(&out), strbuf_str(&wanted)) != 0
                               : !failed || (status != POFAC_ERR_RUNTIME && status != POFAC_ERR_INPUT))
            fail_msg("allocation %zu fails: status %d", n, status);
        strbuf_free(&out);
        if (!failed) break;
    }
    for (size_t n = 1;; n++) {
        strbuf out = STRBUF_INIT;
        fail_read_after(n);
        const pofac_status status = check_questions(both, 2, &o, NULL, &out);
        const bool failed = fail_read_stop();
        if (status == POFAC_OK) assert_string_equal(strbuf_str(&out), strbuf_str(&wanted));
        else if (!failed || (status != POFAC_ERR_INPUT && status != POFAC_ERR_RUNTIME))
            fail_msg("read %zu fails: status %d", n, status);
        strbuf_free(&out);
        if (!failed) break;
    }
    strbuf_free(&wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_two_files),
        cmocka_unit_test(failing_calls),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
