/* Lines to JSON lines: the output byte by byte, ends of lines, long lines, slow and broken readers and writers, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend/text/tokenize_lines.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text/small_vocabulary.h"

static int create(void **state) {
    tokenizer *t = NULL;
    *state = NULL;
    if (tokenizer_create_from_memory("small", small_vocabulary, sizeof small_vocabulary - 1, NULL, NULL, &t) != POFAC_OK) return -1;
    *state = t;
    return 0;
}

static int destroy(void **state) {
    tokenizer_destroy(*state);
    return 0;
}

static pofac_status keep(void *user, const char *bytes, size_t n) {
    strbuf *out = user;
    if (n == 0 || bytes[n - 1] != '\n') return POFAC_ERR_NUMERIC; /* a part ends at the end of a line */
    strbuf_append(out, bytes, n);
    return strbuf_ok(out) ? POFAC_OK : POFAC_ERR_RUNTIME;
}

/* A file of its own that holds `n` bytes, read from its start. */
static int open_text(const char *text, size_t n) {
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fflush(f), 0);
    int fd = dup(fileno(f));
    fclose(f);
    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void expect(void **state, const char *text, tokenize_lines_mode mode, const char *wanted) {
    strbuf found = STRBUF_INIT;
    int fd = open_text(text, strlen(text));
    assert_int_equal(tokenize_lines(*state, fd, "text", mode, NULL, keep, &found), POFAC_OK);
    close(fd);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
}

static void output(void **state) {
    expect(state, "Hello, CAFÉ\n[MASK]", TOKENIZE_WITHOUT_SPECIALS,
           "{\"tokens\": [\"hello\", \",\", \"cafe\"], \"ids\": [5, 25, 8], \"offsets\": [[0, 5], [5, 6], [7, 12]]}\n"
           "{\"tokens\": [\"[MASK]\"], \"ids\": [4], \"offsets\": [[0, 6]]}\n");
    expect(state, "a\n", TOKENIZE_WITH_SPECIALS,
           "{\"tokens\": [\"[CLS]\", \"a\", \"[SEP]\"], \"ids\": [2, 16, 3], \"offsets\": [[0, 0], [0, 1], [0, 0]]}\n");
    expect(state, "\"", TOKENIZE_WITHOUT_SPECIALS, "{\"tokens\": [\"\\\"\"], \"ids\": [30], \"offsets\": [[0, 1]]}\n");
}

/* Tokens that JSON writes otherwise, or that are long; and more tokens than are gathered at once. */
static void unusual_tokens(void **state) {
    (void)state;
    strbuf words = STRBUF_INIT, found = STRBUF_INIT, wanted = STRBUF_INIT;
    tokenizer *t = NULL;
    encoding e = ENCODING_INIT;
    strbuf_puts(&words, "[UNK]\n[CLS]\n[SEP]\n\\\na\tb\n\"\n");
    for (size_t n = 249; n <= 251; n++) {
        for (size_t i = 0; i < n; i++) strbuf_putc(&words, 'x');
        strbuf_putc(&words, '\n');
    }
    assert_int_equal(tokenizer_create_from_memory("v", words.data, words.size, NULL, NULL, &t), POFAC_OK);
    for (size_t i = 0; i < 1000; i++)
        assert_true(encoding_add(&e, (encoding_token){.id = (int32_t)(i % tokenizer_vocab_size(t)), .begin = i, .end = SIZE_MAX}));
    encoding_put_json(t, &e, &found);
    strbuf_puts(&wanted, "{\"tokens\": [");
    for (size_t i = 0; i < e.size; i++) {
        const char *token = tokenizer_token(t, e.tokens[i].id);
        strbuf_puts(&wanted, i ? ", " : "");
        strbuf_put_json(&wanted, token, strlen(token));
    }
    strbuf_puts(&wanted, "], \"ids\": [");
    for (size_t i = 0; i < e.size; i++) strbuf_printf(&wanted, "%s%d", i ? ", " : "", (int)e.tokens[i].id);
    strbuf_puts(&wanted, "], \"offsets\": [");
    for (size_t i = 0; i < e.size; i++) strbuf_printf(&wanted, "%s[%zu, %zu]", i ? ", " : "", i, (size_t)SIZE_MAX);
    strbuf_puts(&wanted, "]}");
    assert_string_equal(strbuf_str(&found), strbuf_str(&wanted));
    encoding_free(&e);
    tokenizer_destroy(t);
    strbuf_free(&words);
    strbuf_free(&found);
    strbuf_free(&wanted);
}

static void ends_of_lines(void **state) {
    static const char a[] = "{\"tokens\": [\"a\"], \"ids\": [16], \"offsets\": [[0, 1]]}\n";
    static const char none[] = "{\"tokens\": [], \"ids\": [], \"offsets\": []}\n";
    char wanted[512];
    expect(state, "", TOKENIZE_WITHOUT_SPECIALS, "");
    expect(state, "a", TOKENIZE_WITHOUT_SPECIALS, a);
    expect(state, "a\n", TOKENIZE_WITHOUT_SPECIALS, a);
    expect(state, "a\r\n", TOKENIZE_WITHOUT_SPECIALS, a);
    snprintf(wanted, sizeof wanted, "%s%s%s", none, a, none);
    expect(state, "\na\n\n", TOKENIZE_WITHOUT_SPECIALS, wanted);
    expect(state, "\r\na\r\n \t", TOKENIZE_WITHOUT_SPECIALS, wanted);
}

/* Lines around the size of a read, and far beyond it. */
static void long_lines(void **state) {
    static const size_t sizes[] = {65534, 65535, 65536, 65537, 131072, 3000001};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        strbuf text = STRBUF_INIT, found = STRBUF_INIT, wanted = STRBUF_INIT;
        encoding e = ENCODING_INIT;
        while (text.size + 6 <= sizes[i]) strbuf_puts(&text, "hello ");
        while (text.size < sizes[i]) strbuf_putc(&text, 'x');
        assert_int_equal(tokenizer_encode(*state, text.data, text.size, NULL, &e), POFAC_OK);
        encoding_put_json(*state, &e, &wanted);
        strbuf_puts(&wanted, "\n{\"tokens\": [\"a\"], \"ids\": [16], \"offsets\": [[0, 1]]}\n");
        strbuf_puts(&text, "\na");
        int fd = open_text(text.data, text.size);
        assert_int_equal(tokenize_lines(*state, fd, "text", TOKENIZE_WITHOUT_SPECIALS, NULL, keep, &found), POFAC_OK);
        close(fd);
        assert_int_equal(found.size, wanted.size);
        assert_memory_equal(found.data, wanted.data, wanted.size);
        encoding_free(&e);
        strbuf_free(&text);
        strbuf_free(&found);
        strbuf_free(&wanted);
    }
}

/* What is called for each part of the output: sends the next line only when the one before has come back. */
typedef struct conversation {
    int to;
    size_t lines;
} conversation;

static pofac_status answer(void *user, const char *bytes, size_t n) {
    conversation *c = user;
    (void)bytes, (void)n;
    if (++c->lines == 3) return close(c->to) == 0 ? POFAC_OK : POFAC_ERR_RUNTIME;
    return write(c->to, "a\n", 2) == 2 ? POFAC_OK : POFAC_ERR_RUNTIME;
}

static void results_come_before_more_is_read(void **state) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    conversation c = {ends[1], 0};
    assert_int_equal(write(ends[1], "a\n", 2), 2);
    assert_int_equal(tokenize_lines(*state, ends[0], "pipe", TOKENIZE_WITH_SPECIALS, NULL, answer, &c), POFAC_OK);
    assert_int_equal(c.lines, 3);
    close(ends[0]);
}

static pofac_status refuse(void *user, const char *bytes, size_t n) {
    (void)bytes, (void)n;
    ++*(int *)user;
    return POFAC_ERR_INTERRUPTED;
}

static void failures(void **state) {
    int calls = 0, fd = open_text("a\na\n", 4);
    assert_int_equal(tokenize_lines(*state, fd, "text", TOKENIZE_WITH_SPECIALS, NULL, refuse, &calls), POFAC_ERR_INTERRUPTED);
    assert_int_equal(calls, 1);
    close(fd);
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(tokenize_lines(*state, -1, "text", TOKENIZE_WITH_SPECIALS, &sink, refuse, &calls), POFAC_ERR_RUNTIME);
    assert_string_equal(strbuf_str(&said), "text: error: cannot read: Bad file descriptor\n");
    strbuf_free(&said);
}

static pofac_status count(void *user, const char *bytes, size_t n) {
    (void)bytes;
    *(size_t *)user += n;
    return POFAC_OK;
}

static void every_allocation_may_fail(void **state) {
    for (size_t n = 1;; n++) {
        strbuf said = STRBUF_INIT;
        diag_sink sink = diag_sink_to_strbuf(&said);
        size_t n_bytes = 0;
        int fd = open_text("hello world, the quick fox\na\n", 29);
        fail_alloc_after(n);
        pofac_status status = tokenize_lines(*state, fd, "text", TOKENIZE_WITH_SPECIALS, &sink, count, &n_bytes);
        bool failed = fail_alloc_stop();
        close(fd);
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        assert_string_equal(strbuf_str(&said), failed ? "error: out of memory\n" : "");
        strbuf_free(&said);
        if (!failed) break;
        assert_true(n < 1000);
    }
}

/* The number of allocations does not grow with the number of lines. */
static void memory_is_constant(void **state) {
    strbuf text = STRBUF_INIT;
    for (int i = 0; i < 20000; i++) strbuf_puts(&text, "hello world, the quick fox\n");
    int fd = open_text(text.data, text.size);
    size_t n_bytes = 0;
    fail_alloc_after(64);
    assert_int_equal(tokenize_lines(*state, fd, "text", TOKENIZE_WITH_SPECIALS, NULL, count, &n_bytes), POFAC_OK);
    assert_false(fail_alloc_stop());
    assert_true(n_bytes > text.size);
    close(fd);
    strbuf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output),
        cmocka_unit_test(unusual_tokens),
        cmocka_unit_test(ends_of_lines),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(results_come_before_more_is_read),
        cmocka_unit_test(failures),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(memory_is_constant),
    };
    return cmocka_run_group_tests(tests, create, destroy);
}
