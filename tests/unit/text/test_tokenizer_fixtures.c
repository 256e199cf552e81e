/* pitfall 16: tokens and ids equal to the reference's on real vocabularies: the fixtures, and GLUE rows with their segments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "frontend/text/tokenizer.h"

static tokenizer *create(const char *vocab, tokenizer_flag lower) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char path[4096];
    snprintf(path, sizeof path, "%s/data/vocab/%s", shared, vocab);
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    tokenizer *t = NULL;
    pofac_status status = tokenizer_create(path, &(tokenizer_options){.do_lower_case = lower}, &sink, &t);
    assert_string_equal(strbuf_str(&said), "");
    assert_int_equal(status, POFAC_OK);
    strbuf_free(&said);
    return t;
}

static FILE *open_shared(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("POFAC_SHARED"), name);
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("cannot open %s", path);
    return f;
}

static void expect_ids(const char *where, size_t line, const encoding *e, const json_t *wanted) {
    for (size_t i = 0; i < e->size && i < json_array_size(wanted); i++)
        if (e->tokens[i].id != json_integer_value(json_array_get(wanted, i)))
            fail_msg("%s:%zu: id %zu is %d, wanted %d", where, line, i, (int)e->tokens[i].id,
                     (int)json_integer_value(json_array_get(wanted, i)));
    if (e->size != json_array_size(wanted)) fail_msg("%s:%zu: %zu ids, wanted %zu", where, line, e->size, json_array_size(wanted));
}

static void expect_tokens(const tokenizer *t, const char *where, size_t line, const encoding *e, const json_t *wanted) {
    for (size_t i = 0; i < e->size && wanted; i++) {
        const char *found = tokenizer_token(t, e->tokens[i].id), *token = json_string_value(json_array_get(wanted, i));
        if (!token || strcmp(found, token) != 0) fail_msg("%s:%zu: token %zu is %s, wanted %s", where, line, i, found, token);
    }
}

static void expect_fixture(const tokenizer *t, const char *name, size_t wanted_lines) {
    FILE *f = open_shared(name);
    encoding e = ENCODING_INIT;
    char *line = NULL;
    size_t capacity = 0, n_lines = 0;
    while (getline(&line, &capacity, f) > 0) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(row);
        const json_t *text = json_object_get(row, "text");
        n_lines++;
        assert_int_equal(tokenizer_encode(t, json_string_value(text), json_string_length(text), NULL, &e), POFAC_OK);
        expect_ids(name, n_lines, &e, json_object_get(row, "ids"));
        expect_tokens(t, name, n_lines, &e, json_object_get(row, "tokens"));
        json_decref(row);
    }
    assert_int_equal(n_lines, wanted_lines);
    free(line);
    encoding_free(&e);
    fclose(f);
}

static void uncased_fixtures(void **state) {
    (void)state;
    tokenizer *t = create("bert-base-uncased-vocab.txt", TOKENIZER_ON);
    expect_fixture(t, "fixtures/tokenizer/uncased.jsonl", 41);
    expect_fixture(t, "fixtures/tokenizer/wikitext-uncased.jsonl", 300);
    tokenizer_destroy(t);
}

static void cased_fixtures(void **state) {
    (void)state;
    tokenizer *t = create("bert-base-cased-vocab.txt", TOKENIZER_OFF);
    expect_fixture(t, "fixtures/tokenizer/cased.jsonl", 41);
    tokenizer_destroy(t);
}

/* Rows of uid, label, one or two sentences; the expected ids have their special tokens. */
static void expect_glue(const tokenizer *t, const char *task) {
    char input[256], wanted[256];
    snprintf(input, sizeof input, "data/glue_samples/mt-dnn/int_test_data/glue/input/prepro_std/%s_train.tsv", task);
    snprintf(wanted, sizeof wanted,
             "data/glue_samples/mt-dnn/int_test_data/glue/expected/prepro_std/bert_base_uncased_lower/%s_train.json", task);
    FILE *f = open_shared(input), *g = open_shared(wanted);
    encoding part[2] = {ENCODING_INIT, ENCODING_INIT}, built = ENCODING_INIT;
    char *line = NULL, *json = NULL;
    size_t capacity = 0, json_capacity = 0, n_lines = 0;
    while (getline(&line, &capacity, f) > 0) {
        assert_true(getline(&json, &json_capacity, g) > 0);
        json_t *row = json_loads(json, 0, NULL);
        assert_non_null(row);
        n_lines++;
        char *rest = line, *field = NULL;
        size_t n_fields = 0;
        while ((field = strsep(&rest, "\t"))) {
            if (n_fields >= 2 && n_fields < 4)
                assert_int_equal(tokenizer_encode(t, field, strlen(field), NULL, &part[n_fields - 2]), POFAC_OK);
            n_fields++;
        }
        assert_in_range(n_fields, 3, 4);
        assert_int_equal(n_fields == 4 ? tokenizer_build_pair(t, &part[0], &part[1], 512, NULL, &built)
                                       : tokenizer_build_single(t, &part[0], 512, NULL, &built),
                         POFAC_OK);
        expect_ids(wanted, n_lines, &built, json_object_get(row, "token_id"));
        const json_t *types = json_object_get(row, "type_id");
        for (size_t i = 0; i < built.size; i++)
            if (built.tokens[i].type_id != json_integer_value(json_array_get(types, i)))
                fail_msg("%s:%zu: type of token %zu is %d", wanted, n_lines, i, (int)built.tokens[i].type_id);
        json_decref(row);
    }
    assert_int_equal(n_lines, 5);
    free(line);
    free(json);
    encoding_free(&part[0]);
    encoding_free(&part[1]);
    encoding_free(&built);
    fclose(f);
    fclose(g);
}

static void glue_rows(void **state) {
    (void)state;
    tokenizer *t = create("bert-base-uncased-vocab.txt", TOKENIZER_ON);
    expect_glue(t, "cola");
    expect_glue(t, "mnli");
    expect_glue(t, "stsb");
    tokenizer_destroy(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uncased_fixtures),
        cmocka_unit_test(cased_fixtures),
        cmocka_unit_test(glue_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
