/* vocab.txt: what is read, what is refused and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend/text/tokenizer.h"
#include "ir/support/file_map.h"

static void expect_error(const char *bytes, size_t n_bytes, const char *wanted) {
    tokenizer *t = NULL;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    pofac_status status = tokenizer_create_from_memory("v.txt", bytes, n_bytes, NULL, &sink, &t);
    assert_string_equal(strbuf_str(&said), wanted);
    assert_int_equal(status, POFAC_ERR_INPUT);
    assert_null(t);
    strbuf_free(&said);
}

#define EXPECT_ERROR(text, wanted) expect_error((text), sizeof(text) - 1, (wanted))

static void damaged_files(void **state) {
    (void)state;
    EXPECT_ERROR("", "v.txt: error: found an empty file, wanted one token per line\n");
    EXPECT_ERROR("[UNK]\n[CLS]\n\n[SEP]\n", "v.txt:3: error: found an empty line, wanted a token\n");
    EXPECT_ERROR("[UNK]\n[CLS]\n[SEP]\n\n", "v.txt:4: error: found an empty line, wanted a token\n");
    EXPECT_ERROR("\r\n", "v.txt:1: error: found an empty line, wanted a token\n");
    EXPECT_ERROR("[UNK]\n[CLS]\n[SEP]\nb\na\nb\nc\na\na\n",
                 "v.txt:6: error: found token \"b\" again, which line 4 has already; wanted each token once\n");
    EXPECT_ERROR("[UNK]\na\xFF\n", "v.txt:2: error: found bytes that are not UTF-8, wanted a token in UTF-8\n");
    EXPECT_ERROR("[UNK]\na\0b\n", "v.txt:2: error: found a 0 byte, wanted a token in UTF-8\n");
    EXPECT_ERROR("\xEF\xBB\xBF[UNK]\n", "v.txt:1: error: found a byte order mark, wanted UTF-8 that begins with the first token\n");
    EXPECT_ERROR("[CLS]\n[SEP]\n", "v.txt: error: found no [UNK] among 2 tokens, wanted [UNK], [CLS] and [SEP]\n");
    EXPECT_ERROR("[UNK]\n[SEP]\n", "v.txt: error: found no [CLS] among 2 tokens, wanted [UNK], [CLS] and [SEP]\n");
    EXPECT_ERROR("[UNK]\n[CLS]", "v.txt: error: found no [SEP] among 2 tokens, wanted [UNK], [CLS] and [SEP]\n");
}

static void ends_of_lines(void **state) {
    (void)state;
    static const char *const texts[] = {"[UNK]\n[CLS]\n[SEP]\nthe\n", "[UNK]\n[CLS]\n[SEP]\nthe",
                                        "[UNK]\r\n[CLS]\r\n[SEP]\r\nthe\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tokenizer *t = NULL;
        assert_int_equal(tokenizer_create_from_memory("v", texts[i], strlen(texts[i]), NULL, NULL, &t), POFAC_OK);
        assert_int_equal(tokenizer_vocab_size(t), 4);
        assert_int_equal(tokenizer_id(t, "the", 3), 3);
        tokenizer_destroy(t);
    }
}

/* Without "##" pieces a word is one token or unknown. */
static void no_continuation_pieces(void **state) {
    (void)state;
    static const char text[] = "[UNK]\n[CLS]\n[SEP]\nthe\n#\n#a\n";
    tokenizer *t = NULL;
    encoding e = ENCODING_INIT;
    assert_int_equal(tokenizer_create_from_memory("v", text, sizeof text - 1, NULL, NULL, &t), POFAC_OK);
    assert_int_equal(tokenizer_encode(t, "the thea #a", 11, NULL, &e), POFAC_OK);
    static const int32_t wanted[] = {3, 0, 4, 0};
    assert_int_equal(e.size, 4);
    for (size_t i = 0; i < 4; i++) assert_int_equal(e.tokens[i].id, wanted[i]);
    encoding_free(&e);
    tokenizer_destroy(t);
}

static void files(void **state) {
    (void)state;
    char path[] = "/tmp/pofac-vocabulary-XXXXXX", wanted[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    tokenizer *t = NULL;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(tokenizer_create(path, NULL, &sink, &t), POFAC_ERR_INPUT);
    snprintf(wanted, sizeof wanted, "%s: error: found an empty file, wanted one token per line\n", path);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_clear(&said);
    static const char text[] = "[UNK]\n[CLS]\n[SEP]\nthe\n";
    assert_int_equal(file_write_all(path, text, sizeof text - 1, NULL), POFAC_OK);
    assert_int_equal(tokenizer_create(path, NULL, &sink, &t), POFAC_OK);
    assert_string_equal(tokenizer_token(t, 3), "the");
    tokenizer_destroy(t);
    unlink(path);
    assert_int_equal(tokenizer_create(path, NULL, &sink, &t), POFAC_ERR_INPUT);
    assert_null(t);
    assert_non_null(strstr(strbuf_str(&said), path));
    assert_non_null(strstr(strbuf_str(&said), "No such file or directory"));
    strbuf_clear(&said);
    tokenizer_options options = {.max_input_chars_per_word = 201};
    assert_int_equal(tokenizer_create_from_memory("v", text, sizeof text - 1, &options, &sink, &t), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&said), "error: max_input_chars_per_word: found 201, wanted 1 to 200\n");
    strbuf_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(ends_of_lines),
        cmocka_unit_test(no_continuation_pieces),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
