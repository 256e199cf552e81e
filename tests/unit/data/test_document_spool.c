/* Spools: documents are read back through several files; damage, files out of order and lengths that do not add up are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/data/document_spool.h"
#include "ir/support/file_map.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

enum { N_FILES = 3 };
static const char *const paths[N_FILES] = {"test_document_spool.0", "test_document_spool.1", "test_document_spool.2"};
static const uint64_t counts[N_FILES] = {5, 1, 300};

static size_t sentences_of(uint64_t d) { return 1 + d % 7; }
static size_t tokens_of(uint64_t d, size_t s) { return 1 + (d * 3 + s) % 40; }
static int32_t id_of(uint64_t d, size_t t) { return (int32_t)((d * 31 + t) % 65536); }

static void add_document(document_list *l, uint64_t d, size_t width) {
    size_t t = 0;
    assert_true(document_list_begin(l, width));
    for (size_t s = 0; s < sentences_of(d); s++) {
        for (size_t i = 0; i < tokens_of(d, s); i++) assert_true(document_list_add_token(l, width, id_of(d, t++)));
        assert_true(document_list_add_sentence(l, tokens_of(d, s)));
        assert_true(document_list_add_sentence(l, 0));
    }
    assert_true(document_list_end(l));
    assert_true(document_list_begin(l, width)); /* an empty one leaves nothing */
    assert_false(document_list_end(l));
}

static void write_files(size_t width) {
    uint64_t d = 0;
    for (int f = 0; f < N_FILES; f++) {
        document_list all = {0}, part = {0};
        const uint64_t first = d;
        for (uint64_t i = 0; i < counts[f]; i++) {
            add_document(&part, d++, width);
            if (i % 3 != 2 && i + 1 < counts[f]) continue;
            assert_true(document_list_append(&all, &part, width));
            document_list_clear(&part);
        }
        assert_int_equal(document_spool_write(paths[f], width, first, &all, NULL), POFAC_OK);
        document_list_free(&all);
        document_list_free(&part);
    }
}

static void remove_files(void) {
    for (int f = 0; f < N_FILES; f++) unlink(paths[f]);
}

static void documents_are_read_back(void **state) {
    (void)state;
    for (size_t width = 2; width <= 4; width += 2) {
        document_spools *s;
        write_files(width);
        assert_int_equal(document_spools_open(paths, N_FILES, width, NULL, &s), POFAC_OK);
        assert_int_equal(document_spools_size(s), 306);
        for (uint64_t d = 306; d-- > 0;) {
            pair_document found;
            size_t n = 0, n_tokens;
            assert_int_equal(document_spools_get(s, d, NULL, &found), POFAC_OK);
            assert_int_equal(document_spools_measure(s, d, NULL, &n_tokens), POFAC_OK);
            assert_int_equal(found.n_sentences, sentences_of(d));
            assert_int_equal(found.n_tokens, n_tokens);
            for (size_t k = 0; k < found.n_sentences; k++) {
                assert_int_equal(found.lengths[k], tokens_of(d, k));
                n += found.lengths[k];
            }
            assert_int_equal(n, n_tokens);
            for (size_t t = 0; t < n; t++) {
                int32_t id = 0;
                memcpy(&id, found.tokens + t * width, width);
                if (id != id_of(d, t)) fail_msg("document %d, token %zu: found %d", (int)d, t, id);
            }
            if (d % 50 == 0) document_spools_release(s, 0, 306);
        }
        document_spools_close(s);
    }
    remove_files();
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    static const char *const swapped[2] = {"test_document_spool.1", "test_document_spool.0"};
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    document_spools *s;
    write_files(2);
    assert_int_equal(document_spools_open(swapped, 2, 2, &sink, &s), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), "test_document_spool.1: error: it does not follow on the spool before it\n");
    strbuf_clear(&said);
    assert_int_equal(document_spools_open(paths, 1, 4, &sink, &s), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), "test_document_spool.0: error: its ids have another width than the vocabulary's\n");
    assert_int_equal(document_spools_open(paths, 0, 2, NULL, &s), POFAC_OK);
    assert_int_equal(document_spools_size(s), 0);
    document_spools_close(s);
    remove_files();
    strbuf_free(&said);
}

/* Checksums are right, contents are not. */
static void lists_that_are_wrong_are_refused(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        static const char *const wanted[] = {
            "found a sentence without tokens", "the lengths of a document's sentences do not add up",
            "where its documents begin is out of order", "where its documents begin is out of order"};
        document_list l = {0};
        document_spools *s;
        pair_document d;
        strbuf said = STRBUF_INIT;
        char text[200];
        const diag_sink sink = diag_sink_to_strbuf(&said);
        add_document(&l, 6, 2);
        add_document(&l, 7, 2);
        if (kind == 0) l.lengths.data[2] = 0;
        if (kind == 1) l.lengths.data[2]++;
        if (kind == 2) l.begins.data[0].token = 1u << 30;
        if (kind == 3) l.begins.data[1].sentence = 1u << 30;
        assert_int_equal(document_spool_write(paths[0], 2, 0, &l, NULL), POFAC_OK);
        assert_int_equal(document_spools_open(paths, 1, 2, NULL, &s), POFAC_OK);
        assert_int_equal(document_spools_get(s, 0, &sink, &d), POFAC_ERR_INPUT);
        snprintf(text, sizeof text, "%s: error: %s\n", paths[0], wanted[kind]);
        assert_string_equal(strbuf_str(&said), text);
        document_spools_close(s);
        document_list_free(&l);
        strbuf_free(&said);
    }
    remove_files();
}

static void damage_is_found(void **state) {
    (void)state;
    write_files(2);
    FILE *f = fopen(paths[2], "r+b");
    assert_non_null(f);
    fseek(f, -500, SEEK_END);
    fputc(fgetc(f) ^ 1, f); /* the byte behind the one that was read; it changes too */
    fclose(f);
    document_spools *s;
    pair_document d;
    size_t refused = 0;
    assert_int_equal(document_spools_open(paths, N_FILES, 2, NULL, &s), POFAC_OK);
    for (uint64_t i = 0; i < 306; i++) refused += document_spools_get(s, i, NULL, &d) == POFAC_ERR_INPUT;
    assert_true(refused > 0);
    document_spools_close(s);
    remove_files();
}

static void failing_calls_are_reported(void **state) {
    (void)state;
    write_files(2);
    for (int reads = 0; reads < 2; reads++)
        for (size_t n = 1;; n++) {
            document_spools *s;
            if (reads) fail_read_after(n);
            else fail_alloc_after(n);
            pofac_status status = document_spools_open(paths, N_FILES, 2, NULL, &s);
            const bool failed = reads ? fail_read_stop() : fail_alloc_stop();
            document_spools_close(s);
            assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
            if (!failed) break;
        }
    remove_files();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_read_back),          cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(lists_that_are_wrong_are_refused), cmocka_unit_test(damage_is_found),
        cmocka_unit_test(failing_calls_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
