/* SQuAD's files to features in memory: windows with the answer's positions, files one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/qa_examples.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/text/small_vocabulary.h"

#define FILE_OF(context, text, start)                                                                                              \
    "{\"version\": \"1.1\", \"data\": [{\"title\": \"t\", \"paragraphs\": [{\"context\": \"" context                               \
    "\", \"qas\": [{\"id\": \"1\", \"question\": \"fox ?\", \"answers\": [{\"text\": \"" text "\", \"answer_start\": " #start      \
    "}]}]}]}]}"

static void put_text(void **state, const char *name, const char *text) { put_file(state, name, text, strlen(text)); }

static void put_examples(const token_store *store, const tokenizer *tok, strbuf *out) {
    const example_source s = token_store_source(store);
    int32_t ids[64];
    uint8_t types[64];
    example_buffer e = {.ids = ids, .types = types};
    assert_int_equal(s.n_fields, 2);
    assert_string_equal(s.fields[0].name, "start_positions");
    assert_string_equal(s.fields[1].name, "end_positions");
    for (uint64_t i = 0; i < s.n_examples; i++) {
        assert_int_equal(s.read(s.user, 0, i, NULL, &e), POFAC_OK);
        for (size_t k = 0; k < e.n_tokens; k++)
            strbuf_printf(out, "%s%s%s", k ? " " : "", tokenizer_token(tok, ids[k]), types[k] ? ":1" : "");
        strbuf_printf(out, " -> %g to %g\n", e.values[0], e.values[1]);
    }
}

static void windows_of_two_files(void **state) {
    tokenizer *tok;
    token_store *store;
    qa_examples_counts counts;
    strbuf out = STRBUF_INIT;
    char paths[2][512];
    const char *const list[] = {paths[0], paths[1]};
    put_text(state, "a.json", FILE_OF("hello world", "world", 6));
    put_text(state, "b.json", FILE_OF("a b c the quick !", "c the", 4)); /* a paragraph of the same number, but another */
    for (int i = 0; i < 2; i++) snprintf(paths[i], sizeof paths[i], "%s", file_path(state, i ? "b.json" : "a.json"));
    assert_int_equal(
        tokenizer_create_from_memory("vocab", small_vocabulary, strlen(small_vocabulary), &(tokenizer_options){0}, NULL, &tok),
        POFAC_OK);
    const qa_examples_options options = {.tokenizer = tok, .windows = {.max_seq_length = 9, .doc_stride = 2}};
    assert_int_equal(qa_examples_load(list, 2, &options, NULL, &store, &counts), POFAC_OK);
    put_examples(store, tok, &out);
    assert_string_equal(strbuf_str(&out), "[CLS] fox ? [SEP] hello:1 world:1 [SEP]:1 -> 5 to 5\n"
                                          "[CLS] fox ? [SEP] a:1 b:1 c:1 the:1 [SEP]:1 -> 6 to 7\n"
                                          "[CLS] fox ? [SEP] c:1 the:1 quick:1 !:1 [SEP]:1 -> 4 to 5\n");
    assert_int_equal(counts.rows.questions, 2);
    assert_int_equal(counts.rows.articles, 2);
    assert_int_equal(counts.features.features, 3);
    assert_int_equal(counts.features.with_answer, 3);
    assert_int_equal(counts.features.longest, 9);
    token_store_destroy(store);
    strbuf_free(&out);
    put_text(state, "b.json", FILE_OF("a b c the quick !", "c the", 5));
    const diag_sink sink = diag_sink_to_strbuf(&out);
    assert_int_equal(qa_examples_load(list, 2, &options, &sink, &store, &counts), POFAC_ERR_INPUT);
    assert_null(store);
    assert_non_null(strstr(strbuf_str(&out), "data[0].paragraphs[0].qas[0]"));
    strbuf_free(&out);
    tokenizer_destroy(tok);
}

/* All questions of SQuAD's own files become features, none longer than the limit. */
static void features_of_the_development_set(void **state) {
    (void)state;
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char path[4096], vocab[4096];
    const char *const list[] = {path};
    tokenizer *tok;
    token_store *store;
    qa_examples_counts counts;
    snprintf(path, sizeof path, "%s/data/squad_v1.1/dev-A-v1.1.reconstructed.json.gz", shared);
    snprintf(vocab, sizeof vocab, "%s/data/vocab/bert-base-uncased-vocab.txt", shared);
    assert_int_equal(tokenizer_create(vocab, &(tokenizer_options){0}, NULL, &tok), POFAC_OK);
    const qa_examples_options options = {.tokenizer = tok, .windows = {.max_seq_length = 384, .doc_stride = 128}};
    assert_int_equal(qa_examples_load(list, 1, &options, NULL, &store, &counts), POFAC_OK);
    assert_int_equal(counts.rows.questions, 5665);
    assert_int_equal(counts.features.features, token_store_size(store));
    assert_int_equal(counts.features.tokens, token_store_tokens(store));
    assert_in_range(token_store_source(store).max_length, 300, 384);
    token_store_destroy(store);
    tokenizer_destroy(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_two_files),
        cmocka_unit_test(features_of_the_development_set),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
