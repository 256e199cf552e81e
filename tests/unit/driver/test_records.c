/* Texts out of files of every form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/records.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

/* Reads the whole file and writes what it holds, `LINE text` or `LINE text | pair`, then what is said. */
static void read_all(void **state, const char *name, const char *format, strbuf *out) {
    arena memory = ARENA_INIT;
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    record_reader *r;
    record found;
    bool more = false;
    pofac_status status = record_reader_open(file_path(state, name), format, &sink, &r);
    if (status == POFAC_OK) status = record_reader_next(r, &memory, &sink, &found, &more);
    for (; status == POFAC_OK && more; status = record_reader_next(r, &memory, &sink, &found, &more)) {
        assert_int_equal(strlen(found.text), found.text_bytes);
        strbuf_printf(out, "%d %s", (int)found.line, found.text);
        if (found.pair) strbuf_printf(out, " | %s", found.pair);
        if (found.pair) assert_int_equal(strlen(found.pair), found.pair_bytes);
        strbuf_putc(out, '\n');
    }
    if (messages.data) cut_directory(state, messages.data);
    strbuf_puts(out, messages.data ? messages.data : "");
    assert_int_equal(status, messages.size ? POFAC_ERR_INPUT : POFAC_OK);
    record_reader_close(r);
    arena_free(&memory);
    strbuf_free(&messages);
}

static void expect(void **state, const char *name, const char *format, const char *bytes, size_t n, const char *wanted) {
    strbuf found = STRBUF_INIT;
    put_file(state, name, bytes, n);
    read_all(state, name, format, &found);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
}

#define EXPECT(name, format, bytes, wanted) expect(state, name, format, bytes, sizeof(bytes) - 1, wanted)

static void formats_by_name_and_by_option(void **state) {
    EXPECT("a.txt", NULL, "a\tb\n", "1 a\tb\n");
    EXPECT("a", NULL, "a\tb\n", "1 a\tb\n");
    EXPECT("a.tsv", NULL, "a\tb\n", "1 a | b\n");
    EXPECT("a.tsv", "text", "a\tb\n", "1 a\tb\n");
    EXPECT("a.txt", "tsv", "a\tb\n", "1 a | b\n");
    EXPECT("a.jsonl", NULL, "{\"text\": \"a\"}\n", "1 a\n");
    EXPECT("a.json", NULL, "{\"text\": \"a\"}\n", "1 a\n");
    EXPECT("a.txt", "jsonl", "{\"text\": \"a\"}\n", "1 a\n");
}

static void lines_of_text(void **state) {
    EXPECT("a.txt", NULL, "", "");
    EXPECT("a.txt", NULL, "\n", "1 \n");
    EXPECT("a.txt", NULL, "one\n\n two \nthree", "1 one\n2 \n3  two \n4 three\n");
    EXPECT("a.txt", NULL, "one\r\ntwo\r\n\r\n", "1 one\n2 two\n3 \n");
    EXPECT("a.txt", NULL, "a\rb\n", "1 a\rb\n");
    EXPECT("a.txt", NULL, "\xef\xbb\xbfone\n\xef\xbb\xbftwo\n", "1 one\n2 \xef\xbb\xbftwo\n");
    EXPECT("a.txt", NULL, "\xef\xbb\xbf", "1 \n");
    EXPECT("a.txt", NULL, "one\na\0b\n", "1 one\na.txt:2: error: found a NUL byte, wanted text\n");
    EXPECT("a.txt", NULL, "\0\n", "a.txt:1: error: found a NUL byte, wanted text\n");
}

static void columns(void **state) {
    EXPECT("a.tsv", NULL, "a\n\nb\tc\nd\te\tf\n\tg\nh\t\n\t\n", "1 a\n3 b | c\n4 d | e\n5  | g\n6 h | \n7  | \n");
    EXPECT("a.tsv", NULL, "a\tb\r\n", "1 a | b\n");
    EXPECT("a.tsv", NULL, "a\tb\0\n", "a.tsv:1: error: found a NUL byte, wanted text\n");
}

static void keys_of_json_objects(void **state) {
    EXPECT("a.jsonl", NULL, "{\"text\": \"a\", \"text_pair\": \"b\"}", "1 a | b\n");
    EXPECT("a.jsonl", NULL, "{\"sentence\": \"a\", \"label\": 1, \"idx\": {\"x\": []}}", "1 a\n");
    EXPECT("a.jsonl", NULL, "{\"sentence1\": \"a\", \"sentence2\": \"b\"}", "1 a | b\n");
    EXPECT("a.jsonl", NULL, "{\"premise\": \"a\", \"hypothesis\": \"b\"}", "1 a | b\n");
    EXPECT("a.jsonl", NULL, "{\"question1\": \"a\", \"question2\": \"b\"}", "1 a | b\n");
    EXPECT("a.jsonl", NULL, "{\"context\": \"b\", \"question\": \"a\"}", "1 a | b\n");
    EXPECT("a.jsonl", NULL, "{\"question\": \"a\", \"sentence\": \"b\"}", "1 a | b\n");
    EXPECT("a.jsonl", NULL, "{\"question\": \"a\"}", "1 a\n");
    EXPECT("a.jsonl", NULL, "{\"sentence\": \"a\", \"context\": \"b\"}", "1 a | b\n");
    EXPECT("a.jsonl", NULL, "{\"text\": \"a\", \"sentence\": \"b\"}", "1 a\n");
    EXPECT("a.jsonl", NULL, "{\"text\": \"a\", \"text_pair\": null}", "1 a\n");
    EXPECT("a.jsonl", NULL, "{\"text\": null, \"sentence\": \"b\"}", "1 b\n");
    EXPECT("a.jsonl", NULL, "{\"text\": \"\\u00e9\\n\\\"\"}", "1 \xc3\xa9\n\"\n");
    EXPECT("a.jsonl", NULL, "\n  \n{\"text\": \"a\"}\r\n\t\n{\"text\": \"\"}", "3 a\n5 \n");
    EXPECT("a.jsonl", NULL, "\xef\xbb\xbf{\"text\": \"a\"}", "1 a\n");
}

static void json_that_is_refused(void **state) {
    EXPECT("a.jsonl", NULL, "{\"text\": \"a\"}\n{\"text\": }\n",
           "1 a\na.jsonl:2:10: error: invalid JSON: unexpected token near '}'\n  {\"text\": }\n           ^\n");
    EXPECT("a.jsonl", NULL, "{\"text\": \"a\"",
           "a.jsonl:1:13: error: invalid JSON: '}' expected near end of file\n  {\"text\": \"a\"\n              ^\n");
    EXPECT(
        "a.jsonl", NULL, "{\"text\": \"\xc3\xa9\", x}",
        "a.jsonl:1:16: error: invalid JSON: string or '}' expected near 'x'\n  {\"text\": \"\xc3\xa9\", x}\n                ^\n");
    EXPECT("a.jsonl", NULL, "{\"text\": \"a\"} {\"text\": \"b\"}",
           "a.jsonl:1:15: error: invalid JSON: end of file expected near '{'\n  {\"text\": \"a\"} {\"text\": \"b\"}\n              "
           "  ^\n");
    EXPECT("a.jsonl", NULL, "[\"a\"]", "a.jsonl:1: error: found an array, wanted an object\n");
    EXPECT("a.jsonl", NULL, "\"a\"", "a.jsonl:1: error: found \"a\", wanted an object\n");
    EXPECT("a.jsonl", NULL, "\n\n{\"label\": 1}",
           "a.jsonl:3: error: found no text, wanted one of the keys text, sentence, sentence1, premise, question, question1\n");
    EXPECT("a.jsonl", NULL, "{\"text_pair\": \"b\"}",
           "a.jsonl:1: error: found no text, wanted one of the keys text, sentence, sentence1, premise, question, question1\n");
    EXPECT("a.jsonl", NULL, "{\"text\": 5}", "a.jsonl:1: error: text: found 5, wanted a string\n");
    EXPECT("a.jsonl", NULL, "{\"text\": \"a\", \"text_pair\": [\"b\"]}",
           "a.jsonl:1: error: text_pair: found an array, wanted a string\n");
    EXPECT("a.jsonl", NULL, "{\"text\": \"a\0b\"}", "a.jsonl:1: error: found a NUL byte, wanted text\n");
}

/* Where jansson's words are not ours: the place and the kind. */
static void json_that_is_no_text(void **state) {
    static const struct {
        const char *line, *begins;
    } cases[] = {
        {"{\"text\": \"a\", \"text\": \"b\"}", "a.jsonl:1:"},
        {"{\"text\": \"\xff\"}", "a.jsonl:1:"},
        {"{\"text\": \"a\\u0000b\"}", "a.jsonl:1:"},
        {"{\"text\": \"\\ud800\"}", "a.jsonl:1:"},
        {"{\"text\": 1e999}", "a.jsonl:1:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf found = STRBUF_INIT;
        put_file(state, "a.jsonl", cases[i].line, strlen(cases[i].line));
        read_all(state, "a.jsonl", NULL, &found);
        if (strncmp(strbuf_str(&found), cases[i].begins, strlen(cases[i].begins)) != 0 ||
            !strstr(strbuf_str(&found), "error: invalid JSON: "))
            fail_msg("%s: found %s", cases[i].line, strbuf_str(&found));
        strbuf_free(&found);
    }
}

/* Brackets without end are refused, not followed until the stack is full. */
static void deep_json(void **state) {
    enum { N = 200000 };
    char *text = malloc(N);
    strbuf found = STRBUF_INIT;
    assert_non_null(text);
    memset(text, '[', N);
    put_file(state, "deep.jsonl", text, N);
    free(text);
    read_all(state, "deep.jsonl", NULL, &found);
    assert_non_null(strstr(strbuf_str(&found), "error: invalid JSON: maximum parsing depth reached"));
    strbuf_free(&found);
}

static void long_lines(void **state) {
    enum { N = 3000000 };
    char *text = malloc(N + 32);
    arena memory = ARENA_INIT;
    record_reader *r;
    record found;
    bool more;
    assert_non_null(text);
    memset(text, 'x', N);
    memcpy(text + N, "\nshort\n", 7);
    put_file(state, "long.txt", text, N + 7);
    assert_int_equal(record_reader_open(file_path(state, "long.txt"), NULL, NULL, &r), POFAC_OK);
    assert_int_equal(record_reader_next(r, &memory, NULL, &found, &more), POFAC_OK);
    assert_true(more);
    assert_int_equal(found.text_bytes, N);
    assert_memory_equal(found.text, text, N);
    assert_int_equal(record_reader_next(r, &memory, NULL, &found, &more), POFAC_OK);
    assert_string_equal(found.text, "short");
    assert_int_equal(found.line, 2);
    assert_int_equal(record_reader_next(r, &memory, NULL, &found, &more), POFAC_OK);
    assert_false(more);
    assert_int_equal(record_reader_next(r, &memory, NULL, &found, &more), POFAC_OK); /* the end stays the end */
    assert_false(more);
    record_reader_close(r);
    arena_free(&memory);
    free(text);
}

static void files_that_cannot_be_read(void **state) {
    strbuf found = STRBUF_INIT;
    read_all(state, "gone.txt", NULL, &found);
    assert_string_equal(strbuf_str(&found), "gone.txt: error: cannot open: No such file or directory\n");
    strbuf_clear(&found);
    read_all(state, "", NULL, &found);
    assert_non_null(strstr(strbuf_str(&found), ": error: cannot read: Is a directory\n"));
    strbuf_free(&found);
    record_reader_close(NULL);
}

static void failing_allocations(void **state) {
    static const char *const texts[][2] = {{"a.jsonl", "{\"text\": \"a\", \"text_pair\": \"b\"}"},
                                           {"a.jsonl", "{\"text\": 5}"},
                                           {"a.jsonl", "[]"},
                                           {"a.tsv", "a\tb"},
                                           {"a.txt", "a"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_file(state, texts[i][0], texts[i][1], strlen(texts[i][1]));
        for (size_t n = 1;; n++) {
            arena memory = ARENA_INIT;
            record_reader *r;
            record found;
            bool more;
            fail_alloc_after(n);
            pofac_status status = record_reader_open(file_path(state, texts[i][0]), NULL, NULL, &r);
            if (status == POFAC_OK) status = record_reader_next(r, &memory, NULL, &found, &more);
            bool failed = fail_alloc_stop();
            bool in_json = texts[i][1][0] == '{'; /* jansson calls a string that it has no memory for a wrong token */
            if (failed && status != POFAC_ERR_RUNTIME && !(in_json && status == POFAC_ERR_INPUT))
                fail_msg("%s, allocation %zu fails: status %d", texts[i][1], n, status);
            record_reader_close(r);
            arena_free(&memory);
            if (!failed) break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_by_name_and_by_option),
        cmocka_unit_test(lines_of_text),
        cmocka_unit_test(columns),
        cmocka_unit_test(keys_of_json_objects),
        cmocka_unit_test(json_that_is_refused),
        cmocka_unit_test(json_that_is_no_text),
        cmocka_unit_test(deep_json),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
