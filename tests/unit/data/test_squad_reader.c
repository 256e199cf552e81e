/* SQuAD's JSON -> questions: what is read, places in characters, what is refused and what is passed over, and failing calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "frontend/data/squad_reader.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

/* Appends "id|title|question|context bytes|paragraph: text@begin, ...;" for each question, then the error's message. */
static squad_counts read_file(const char *path, squad_bad_rows bad_rows, const diag_sink *sink, strbuf *out, pofac_status *status) {
    squad_reader *r;
    squad_counts counts = {0};
    *status = squad_reader_open(path, bad_rows, sink, &r);
    if (*status != POFAC_OK) return counts;
    for (;;) {
        const squad_question *q;
        *status = squad_reader_next(r, sink, &q);
        if (*status != POFAC_OK || !q) break;
        strbuf_printf(out, "%s|%s|%s|%zu|%d%s:", q->id.text, q->title.text, q->question.text, q->context.bytes, (int)q->paragraph,
                      q->is_impossible ? "!" : "");
        for (size_t i = 0; i < q->n_answers; i++) {
            const squad_answer *a = &q->answers[i];
            assert_memory_equal(q->context.text + a->begin, a->text.text, a->text.bytes);
            strbuf_printf(out, " %s@%zu", a->text.text, a->begin);
        }
        strbuf_puts(out, ";\n");
    }
    counts = squad_reader_counts(r);
    squad_reader_close(r);
    return counts;
}

static squad_counts expect_bytes(void **state, const char *name, const void *bytes, size_t n, squad_bad_rows bad_rows,
                                 const char *wanted) {
    strbuf out = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&out);
    pofac_status status;
    put_file(state, name, bytes, n);
    squad_counts counts = read_file(file_path(state, name), bad_rows, &sink, &out, &status);
    cut_directory(state, out.data ? out.data : (char[]){0});
    assert_string_equal(strbuf_str(&out), wanted);
    assert_int_equal(status, strstr(wanted, ": error: ") ? POFAC_ERR_INPUT : POFAC_OK);
    strbuf_free(&out);
    return counts;
}

static squad_counts expect(void **state, const char *text, squad_bad_rows bad_rows, const char *wanted) {
    return expect_bytes(state, "s.json", text, strlen(text), bad_rows, wanted);
}

#define ARTICLE(title, ...) "{\"title\": \"" title "\", \"paragraphs\": [" __VA_ARGS__ "]}"
#define PARAGRAPH(context, ...) "{\"context\": \"" context "\", \"qas\": [" __VA_ARGS__ "]}"
#define QA(id, ...) "{\"id\": \"" id "\", \"question\": \"q?\", \"answers\": [" __VA_ARGS__ "]}"
#define ANSWER(text, start) "{\"text\": \"" text "\", \"answer_start\": " #start "}"
#define DATA(...) "{\"version\": \"1.1\", \"data\": [" __VA_ARGS__ "]}"

static void questions_in_order(void **state) {
    squad_counts c = expect(
        state,
        "\xef\xbb\xbf {\"version\": [1, {\"x\": \"]}\\\"\"}], \"data\" :\n[" ARTICLE(
            "A", PARAGRAPH("one two one", QA("1", ANSWER("one", 0) "," ANSWER("one", 8)) "," QA("2", "")) "," PARAGRAPH(
                     "", "")) ", " ARTICLE("",
                                           "") "\n, {\"paragraphs\": [" PARAGRAPH("x\\\"}",
                                                                                  "{\"question\": \"?\", \"id\": \"3\", "
                                                                                  "\"is_impossible\": true, \"answers\": [], "
                                                                                  "\"more\": {}}") "]} ] , \"other\": null } \n",
        SQUAD_BAD_ROWS_FAIL, "1|A|q?|11|0: one@0 one@8;\n2|A|q?|11|0:;\n3||?|3|2!:;\n");
    assert_int_equal(c.articles, 3);
    assert_int_equal(c.paragraphs, 3);
    assert_int_equal(c.questions, 3);
    assert_int_equal(c.answers, 2);
    assert_int_equal(c.impossible, 1);
    assert_int_equal(c.skipped, 0);
    expect(state, "{\"data\": []}", SQUAD_BAD_ROWS_FAIL, "");
}

/* answer_start counts characters of one to four bytes, over many marks of the context. */
static void places_in_characters(void **state) {
    expect(state,
           DATA(ARTICLE("A", PARAGRAPH("a\u00e9\u6771\U0001F600b", QA("1", ANSWER("b", 4) "," ANSWER("\U0001F600b", 3) "," ANSWER(
                                                                               "\u6771", 2) "," ANSWER("\u00e9", 1))))),
           SQUAD_BAD_ROWS_FAIL, "1|A|q?|11|0: b@10 \U0001F600b@6 \u6771@3 \u00e9@1;\n");
    strbuf text = STRBUF_INIT, wanted = STRBUF_INIT;
    strbuf_puts(&text, "{\"data\": [{\"paragraphs\": [{\"context\": \"");
    for (int i = 0; i < 300; i++) strbuf_puts(&text, i % 2 ? "\u6771" : "\\u00e9");
    strbuf_puts(&text, "\", \"qas\": [{\"id\": \"1\", \"question\": \"\", \"answers\": [");
    strbuf_puts(&wanted, "1|||750|0:");
    for (int i = 0; i < 300; i++) {
        strbuf_printf(&text, "%s{\"text\": \"%s\", \"answer_start\": %d}", i ? ", " : "", i % 2 ? "\u6771" : "\u00e9", i);
        strbuf_printf(&wanted, " %s@%d", i % 2 ? "\u6771" : "\u00e9", i / 2 * 5 + i % 2 * 2);
    }
    strbuf_puts(&text, "]}]}]}]}");
    strbuf_puts(&wanted, ";\n");
    expect(state, strbuf_str(&text), SQUAD_BAD_ROWS_FAIL, strbuf_str(&wanted));
    strbuf_free(&text);
    strbuf_free(&wanted);
}

static void rows_that_are_wrong(void **state) {
    static const struct {
        const char *text, *said;
    } cases[] = {
        {DATA("1"), "data[0]: found 1, wanted an object"},
        {DATA("{\"title\": 1, \"paragraphs\": []}"), "data[0].title: found 1, wanted a string"},
        {DATA("{}"), "data[0].paragraphs: found nothing, wanted an array"},
        {DATA(ARTICLE("", "") ",{\"paragraphs\": \"x\"}"), "data[1].paragraphs: found \"x\", wanted an array"},
        {DATA(ARTICLE("", "[]")), "data[0].paragraphs[0]: found an array, wanted an object"},
        {DATA(ARTICLE("", "{\"context\": null, \"qas\": []}")), "data[0].paragraphs[0].context: found null, wanted a string"},
        {DATA(ARTICLE("", PARAGRAPH("", "") ",{\"context\": \"\"}")), "data[0].paragraphs[1].qas: found nothing, wanted an array"},
        {DATA(ARTICLE("", PARAGRAPH("", "7"))), "data[0].paragraphs[0].qas[0]: found 7, wanted an object"},
        {DATA(ARTICLE("", PARAGRAPH("", "{\"id\": 7}"))), "data[0].paragraphs[0].qas[0].id: found 7, wanted a string"},
        {DATA(ARTICLE("", PARAGRAPH("", "{\"id\": \"7\"}"))),
         "data[0].paragraphs[0].qas[0].question: found nothing, wanted a string"},
        {DATA(ARTICLE("", PARAGRAPH("", "{\"id\": \"7\", \"question\": \"\", \"answers\": {}}"))),
         "data[0].paragraphs[0].qas[0].answers: found an object, wanted an array"},
        {DATA(ARTICLE("", PARAGRAPH("", "{\"id\": \"7\", \"question\": \"\", \"is_impossible\": 1}"))),
         "data[0].paragraphs[0].qas[0].is_impossible: found 1, wanted true or false"},
        {DATA(ARTICLE("", PARAGRAPH("ab", "{\"id\": \"7\", \"question\": \"\", \"is_impossible\": true, \"answers\": [" ANSWER(
                                              "a", 0) "]}"))),
         "data[0].paragraphs[0].qas[0]: found is_impossible beside 1 answers, wanted none"},
        {DATA(ARTICLE("", PARAGRAPH("", QA("1", "3")))), "data[0].paragraphs[0].qas[0].answers[0]: found 3, wanted an object"},
        {DATA(ARTICLE("", PARAGRAPH("", QA("1", "{}")))),
         "data[0].paragraphs[0].qas[0].answers[0].text: found nothing, wanted a string"},
        {DATA(ARTICLE("", PARAGRAPH("", QA("1", ANSWER("", 0))))),
         "data[0].paragraphs[0].qas[0].answers[0].text: found \"\", wanted some text of the context"},
        {DATA(ARTICLE("", PARAGRAPH("", QA("1", ANSWER("a", "0"))))),
         "data[0].paragraphs[0].qas[0].answers[0].answer_start: found \"0\", wanted a whole number"},
        {DATA(ARTICLE("", PARAGRAPH("ab", QA("0", ANSWER("a", 0)) "," QA("1", ANSWER("a", 0) "," ANSWER("b", 0))))),
         "data[0].paragraphs[0].qas[1].answers[1]: found \"b\", which does not stand at character 0 of the context"},
        {DATA(ARTICLE("", PARAGRAPH("ab", QA("1", ANSWER("b", 3))))),
         "data[0].paragraphs[0].qas[0].answers[0]: found \"b\", which does not stand at character 3 of the context"},
        {DATA(ARTICLE("", PARAGRAPH("ab", QA("1", ANSWER("b", -1))))),
         "data[0].paragraphs[0].qas[0].answers[0]: found \"b\", which does not stand at character -1 of the context"},
        {DATA(ARTICLE("", PARAGRAPH("ab", QA("1", ANSWER("bc", 1))))),
         "data[0].paragraphs[0].qas[0].answers[0]: found \"bc\", which does not stand at character 1 of the context"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[256];
        const char *first = strstr(cases[i].text, "\"id\": \"0\"") ? "0||q?|2|0: a@0;\n" : "";
        snprintf(wanted, sizeof wanted, "%ss.json: error: %s\n", first, cases[i].said);
        expect(state, cases[i].text, SQUAD_BAD_ROWS_FAIL, wanted);
        snprintf(wanted, sizeof wanted, "%ss.json: warning: row skipped: %s\n", first, cases[i].said);
        squad_counts c = expect(state, cases[i].text, SQUAD_BAD_ROWS_SKIP, wanted);
        assert_int_equal(c.skipped, 1);
    }
}

/* Five warnings; all are counted. */
static void many_rows_that_are_wrong(void **state) {
    squad_counts c = expect(state, DATA("1, 2, 3, 4, 5, 6, 7"), SQUAD_BAD_ROWS_SKIP,
                            "s.json: warning: row skipped: data[0]: found 1, wanted an object\n"
                            "s.json: warning: row skipped: data[1]: found 2, wanted an object\n"
                            "s.json: warning: row skipped: data[2]: found 3, wanted an object\n"
                            "s.json: warning: row skipped: data[3]: found 4, wanted an object\n"
                            "s.json: warning: row skipped: data[4]: found 5, wanted an object\n");
    assert_int_equal(c.skipped, 7);
}

static void files_that_are_wrong(void **state) {
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "s.json:1:1: error: found the end of the file, wanted an object\n"},
        {"\xef\xbb", "s.json:1:3: error: found the end of the file, wanted an object\n"},
        {" \n []", "s.json:2:2: error: found '[', wanted an object\n"},
        {"\x1b", "s.json:1:1: error: found the byte 0x1b, wanted an object\n"},
        {"{}", "s.json: error: found no \"data\", wanted an array\n"},
        {"{\"data\": {}}", "s.json:1:10: error: found '{', wanted an array\n"},
        {"{\"data\": []", "s.json:1:12: error: found the end of the file, wanted ',' or '}'\n"},
        {"{\"data\": []} x", "s.json:1:14: error: found 'x', wanted the end of the file\n"},
        {"{\"data\": [], \"data\": []}", "s.json:1: error: found \"data\" twice, wanted one\n"},
        {"{\"data\": [],}", "s.json:1:13: error: found '}', wanted a key\n"},
        {"{\"data\" []}", "s.json:1:9: error: found '[', wanted ':'\n"},
        {"{\"a\": , \"data\": []}", "s.json:1:7: error: found ',', wanted a value\n"},
        {"{\"a\": 1 2, \"data\": []}", "s.json:1:9: error: found '2', wanted ',' or '}'\n"},
        {"{\"data\": [", "s.json:1:11: error: found the end of the file, wanted a value\n"},
        {"{\"data\": [{\"title\": \"a]}", "s.json: error: data[0]: invalid JSON at byte 10: premature end of input near '\"a]}'\n"},
        {"{\"data\": [{},{\"a\" 1}]}", "s.json: error: data[0].paragraphs: found nothing, wanted an array\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(state, cases[i].text, SQUAD_BAD_ROWS_FAIL, cases[i].said);
        if (!strstr(cases[i].said, "paragraphs")) expect(state, cases[i].text, SQUAD_BAD_ROWS_SKIP, cases[i].said);
    }
    expect(state, "{\"data\": [{},{\"a\" 1}]}", SQUAD_BAD_ROWS_SKIP,
           "s.json: warning: row skipped: data[0].paragraphs: found nothing, wanted an array\n"
           "s.json: error: data[1]: invalid JSON at byte 5: ':' expected near '1'\n");
}

static void answers_found_elsewhere(void **state) {
    squad_counts c = expect(
        state,
        DATA(ARTICLE(
            "", PARAGRAPH("\u00e9 ab ab cd",
                          QA("1", ANSWER("ab", 3) "," ANSWER("ab", 4)) "," QA("2", ANSWER("cd", 99) "," ANSWER("cd", -5)) "," QA(
                              "3", ANSWER("ab", 0) "," ANSWER("xy", 1)) "," QA("4", ANSWER("cd", 8))))),
        SQUAD_BAD_ROWS_REALIGN,
        "1||q?|11|0: ab@3 ab@6;\n2||q?|11|0: cd@9 cd@9;\n"
        "s.json: warning: row skipped: data[0].paragraphs[0].qas[2].answers[1]: found \"xy\", which does not stand at character 1 "
        "of the context\n"
        "4||q?|11|0: cd@9;\n");
    assert_int_equal(c.realigned, 4);
    assert_int_equal(c.skipped, 1);
    /* far away, the first place counts */
    strbuf text = STRBUF_INIT, wanted = STRBUF_INIT;
    strbuf_puts(&text, "{\"data\": [{\"paragraphs\": [{\"context\": \"ab ab");
    for (int i = 0; i < 3000; i++) strbuf_putc(&text, ' ');
    strbuf_puts(
        &text,
        "\", \"qas\": [{\"id\": \"1\", \"question\": \"\", \"answers\": [{\"text\": \"ab\", \"answer_start\": 2900}]}]}]}]}");
    expect(state, strbuf_str(&text), SQUAD_BAD_ROWS_REALIGN, "1|||3005|0: ab@0;\n");
    strbuf_free(&text);
    strbuf_free(&wanted);
}

/* ---- gzip ---- */

static void put_gzip(const char *text, size_t n, strbuf *out) {
    z_stream z = {0};
    unsigned char bytes[4096];
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (uInt)n;
    int code;
    do {
        z.next_out = bytes;
        z.avail_out = sizeof bytes;
        code = deflate(&z, Z_FINISH);
        strbuf_append(out, bytes, sizeof bytes - z.avail_out);
    } while (code == Z_OK);
    assert_int_equal(code, Z_STREAM_END);
    deflateEnd(&z);
}

static const char small[] = DATA(ARTICLE("A", PARAGRAPH("one two", QA("1", ANSWER("two", 4)))));
static const char small_wanted[] = "1|A|q?|7|0: two@4;\n";

static void gzip_files(void **state) {
    strbuf z = STRBUF_INIT;
    put_gzip(small, sizeof small - 1, &z);
    expect_bytes(state, "s.json.gz", z.data, z.size, SQUAD_BAD_ROWS_FAIL, small_wanted);
    /* cut anywhere: an error */
    for (size_t n = 2; n < z.size; n++) {
        strbuf out = STRBUF_INIT, said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        pofac_status status;
        put_file(state, "s.json.gz", z.data, n);
        read_file(file_path(state, "s.json.gz"), SQUAD_BAD_ROWS_SKIP, &sink, &out, &status);
        assert_int_equal(status, POFAC_ERR_INPUT);
        if (!strstr(strbuf_str(&said), "s.json.gz: error: the gzip data end too early\n"))
            fail_msg("cut at %zu: %s", n, strbuf_str(&said));
        strbuf_free(&out);
        strbuf_free(&said);
    }
    /* the checksum counts */
    z.data[z.size - 6] ^= 1;
    expect_bytes(state, "s.json.gz", z.data, z.size, SQUAD_BAD_ROWS_FAIL,
                 "s.json.gz: error: damaged gzip data: incorrect data check\n");
    z.data[z.size - 6] ^= 1;
    strbuf_putc(&z, 'x');
    expect_bytes(state, "s.json.gz", z.data, z.size, SQUAD_BAD_ROWS_FAIL,
                 "1|A|q?|7|0: two@4;\ns.json.gz: error: found bytes behind the end of the gzip data, wanted none\n");
    strbuf_clear(&z); /* members one after the other are one text */
    put_gzip(small, 30, &z);
    put_gzip("", 0, &z);
    put_gzip(small + 30, sizeof small - 31, &z);
    expect_bytes(state, "s.json.gz", z.data, z.size, SQUAD_BAD_ROWS_FAIL, small_wanted);
    strbuf_free(&z);
}

/* ---- hostile files ---- */

static void deep_and_large_files(void **state) {
    strbuf text = STRBUF_INIT;
    strbuf_puts(&text, "{\"data\": [");
    for (int i = 0; i < 1000000; i++) strbuf_putc(&text, '[');
    expect(state, strbuf_str(&text), SQUAD_BAD_ROWS_FAIL,
           "s.json: error: data[0]: invalid JSON at byte 2048: maximum parsing depth reached near '['\n");
    strbuf_clear(&text);
    strbuf_puts(&text, "{\"data\": [\"");
    while (text.size < SQUAD_MAX_ARTICLE_BYTES + 100) strbuf_puts(&text, "0123456789abcdef");
    expect(state, strbuf_str(&text), SQUAD_BAD_ROWS_SKIP, "s.json: error: data[0]: found more than 67108864 bytes, wanted fewer\n");
    strbuf_free(&text);
}

/* ---- failing calls ---- */

static void failing_allocations_and_reads(void **state) {
    strbuf z = STRBUF_INIT;
    put_gzip(small, sizeof small - 1, &z);
    put_file(state, "s.json.gz", z.data, z.size);
    strbuf_free(&z);
    for (size_t n = 1;; n++) {
        strbuf out = STRBUF_INIT;
        pofac_status status;
        strbuf_printf(&out, "%128s", ""); /* its memory is there already */
        strbuf_clear(&out);
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        fail_alloc_after(n);
        read_file(file_path(state, "s.json.gz"), SQUAD_BAD_ROWS_SKIP, &sink, &out, &status);
        bool failed = fail_alloc_stop();
        /* jansson calls a string that it has no memory for a wrong token */
        bool in_json = failed && status == POFAC_ERR_INPUT && strstr(strbuf_str(&said), "invalid JSON at byte");
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK) && !in_json)
            fail_msg("allocation %zu fails: status %d: %s", n, status, strbuf_str(&said));
        strbuf_free(&said);
        strbuf_free(&out);
        if (!failed) break;
    }
    for (size_t n = 1;; n++) {
        strbuf out = STRBUF_INIT, said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        pofac_status status;
        fail_read_after(n);
        read_file(file_path(state, "s.json.gz"), SQUAD_BAD_ROWS_SKIP, &sink, &out, &status);
        bool failed = fail_read_stop();
        if (status == POFAC_OK) assert_string_equal(strbuf_str(&out), small_wanted);
        else if (!strstr(strbuf_str(&said), "s.json.gz: error: cannot ")) fail_msg("read %zu fails: %s", n, strbuf_str(&said));
        if (!failed) assert_int_equal(status, POFAC_OK);
        strbuf_free(&out);
        strbuf_free(&said);
        if (!failed) break;
    }
    strbuf out = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&out);
    pofac_status status;
    read_file("/nonexistent/s.json", SQUAD_BAD_ROWS_FAIL, &sink, &out, &status);
    assert_int_equal(status, POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&out), "/nonexistent/s.json: error: cannot open: No such file or directory\n");
    strbuf_free(&out);
}

/* ---- SQuAD itself ---- */

static squad_counts read_shared(const char *name, squad_bad_rows bad_rows) {
    char path[4096];
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/data/squad_v1.1/%s", shared, name);
    squad_reader *r;
    const squad_question *q;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    if (squad_reader_open(path, bad_rows, &sink, &r) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    do {
        if (squad_reader_next(r, &sink, &q) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    } while (q);
    squad_counts counts = squad_reader_counts(r);
    squad_reader_close(r);
    strbuf_free(&said);
    return counts;
}

static void squad_train(void **state) {
    (void)state;
    squad_counts c = read_shared("train-v1.1.reconstructed.json.gz", SQUAD_BAD_ROWS_FAIL);
    assert_int_equal(c.articles, 442);
    assert_int_equal(c.paragraphs, 18896);
    assert_int_equal(c.questions, 87599);
    assert_int_equal(c.answers, 87599);
}

static void squad_dev(void **state) {
    (void)state;
    squad_counts c = read_shared("dev-A-v1.1.reconstructed.json.gz", SQUAD_BAD_ROWS_FAIL);
    assert_int_equal(c.articles, 24);
    assert_int_equal(c.questions, 5665);
    assert_int_equal(c.impossible, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_in_order),
        cmocka_unit_test(places_in_characters),
        cmocka_unit_test(rows_that_are_wrong),
        cmocka_unit_test(many_rows_that_are_wrong),
        cmocka_unit_test(files_that_are_wrong),
        cmocka_unit_test(answers_found_elsewhere),
        cmocka_unit_test(gzip_files),
        cmocka_unit_test(deep_and_large_files),
        cmocka_unit_test(failing_allocations_and_reads),
        cmocka_unit_test(squad_train),
        cmocka_unit_test(squad_dev),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
