/* Tokenizers from directories: tokenizer_config.json, tokenizer.json, who overrides whom, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend/text/tokenizer_config.h"
#include "ir/support/file_map.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text/small_vocabulary.h"

static const char *const file_names[] = {"vocab.txt", "tokenizer_config.json", "tokenizer.json", "added_tokens.json",
                                         "special_tokens_map.json"};

static const char json_model[] =
    "{\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\", "
    "\"max_input_chars_per_word\": 100, \"vocab\": {\"the\": 3, \"[UNK]\": 0, \"[SEP]\": 2, \"[CLS]\": 1}}, "
    "\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": false, "
    "\"strip_accents\": null, \"lowercase\": false}, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}}";

static int set_up(void **state) {
    static char folder[] = "/tmp/pofac-tokenizer-XXXXXX";
    *state = mkdtemp(folder);
    return *state ? 0 : -1;
}

static void in_folder(void **state, const char *name, char path[300]) { snprintf(path, 300, "%s/%s", (char *)*state, name); }

static int remove_files(void **state) {
    char path[300];
    for (size_t i = 0; i < sizeof file_names / sizeof *file_names; i++) {
        in_folder(state, file_names[i], path);
        unlink(path);
    }
    return 0;
}

static int tear_down(void **state) {
    remove_files(state);
    return rmdir(*state);
}

static void put(void **state, const char *name, const char *text) {
    char path[300];
    in_folder(state, name, path);
    assert_int_equal(file_write_all(path, text, strlen(text), NULL), POFAC_OK);
}

/* Loads the folder; `wanted` is what is said, with the folder's name cut from it. NULL when it fails. */
static tokenizer *load(void **state, const tokenizer_options *overrides, const char *wanted) {
    tokenizer *t = NULL;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    pofac_status status = tokenizer_load_directory(*state, overrides, &sink, &t);
    const char *folder = *state, *found = strbuf_str(&said);
    if (strncmp(found, folder, strlen(folder)) == 0) found += strlen(folder);
    assert_string_equal(found, wanted);
    assert_int_equal(status, wanted[0] ? POFAC_ERR_INPUT : POFAC_OK);
    assert_int_equal(t == NULL, wanted[0] != 0);
    strbuf_free(&said);
    return t;
}

static void expect_options(void **state, const tokenizer_options *overrides, const char *wanted) {
    tokenizer *t = load(state, overrides, "");
    const tokenizer_options *o = tokenizer_get_options(t);
    char found[100];
    snprintf(found, sizeof found, "lower %d strip %d chinese %d word %zu length %zu", o->do_lower_case == TOKENIZER_ON,
             o->strip_accents == TOKENIZER_ON, o->tokenize_chinese_chars == TOKENIZER_ON, o->max_input_chars_per_word,
             o->model_max_length);
    assert_string_equal(found, wanted);
    tokenizer_destroy(t);
}

static void settings(void **state) {
    put(state, "vocab.txt", small_vocabulary);
    expect_options(state, NULL, "lower 1 strip 1 chinese 1 word 200 length 0");
    put(state, "tokenizer_config.json",
        "{\"do_lower_case\": false, \"model_max_length\": 512, \"tokenizer_class\": \"BertTokenizer\"}");
    expect_options(state, NULL, "lower 0 strip 0 chinese 1 word 200 length 512");
    put(state, "tokenizer_config.json", "{\"strip_accents\": false, \"tokenize_chinese_chars\": false, \"do_lower_case\": null}");
    expect_options(state, NULL, "lower 1 strip 0 chinese 0 word 200 length 0");
    put(state, "tokenizer_config.json", "{\"model_max_length\": 1000000000000000019884624838656, \"strip_accents\": null}");
    expect_options(state, NULL, "lower 1 strip 1 chinese 1 word 200 length 0");
    put(state, "tokenizer_config.json", "{\"do_lower_case\": false, \"model_max_length\": 512}");
    tokenizer_options over = {TOKENIZER_ON, TOKENIZER_OFF, TOKENIZER_OFF, 50, 64};
    expect_options(state, &over, "lower 1 strip 0 chinese 0 word 50 length 64");
}

static void tokenizer_json(void **state) {
    put(state, "tokenizer.json", json_model);
    expect_options(state, NULL, "lower 0 strip 0 chinese 0 word 100 length 0");
    tokenizer *t = load(state, NULL, "");
    assert_int_equal(tokenizer_vocab_size(t), 4);
    assert_int_equal(tokenizer_id(t, "the", 3), 3);
    tokenizer_destroy(t);
    put(state, "tokenizer_config.json", "{\"do_lower_case\": true}");
    expect_options(state, NULL, "lower 1 strip 1 chinese 0 word 100 length 0");
    put(state, "vocab.txt", small_vocabulary); /* comes first */
    expect_options(state, NULL, "lower 1 strip 1 chinese 1 word 200 length 0");
}

/* Tokens with a role, in the ways that files of several years write them. */
static void roles(void **state) {
    put(state, "vocab.txt", small_vocabulary);
    put(state, "tokenizer_config.json",
        "{\"cls_token\": \"[CLS]\", \"sep_token\": {\"__type\": \"AddedToken\", \"content\": \"[SEP]\", \"lstrip\": false}, "
        "\"mask_token\": null, \"pad_token\": \"[PAD]\", \"unk_token\": \"[UNK]\", \"added_tokens_decoder\": {\"0\": {\"content\": "
        "\"[PAD]\", \"special\": true}, \"1\": {\"content\": \"[UNK]\"}}}");
    tokenizer_destroy(load(state, NULL, ""));
    remove_files(state);
    strbuf text = STRBUF_INIT;
    strbuf_append(&text, json_model, sizeof json_model - 2); /* without the last brace */
    strbuf_puts(
        &text,
        ", \"added_tokens\": [{\"id\": 1, \"content\": \"[CLS]\", \"special\": true}, {\"id\": 2, \"content\": \"[SEP]\"}]}");
    put(state, "tokenizer.json", strbuf_str(&text));
    tokenizer_destroy(load(state, NULL, ""));
    strbuf_free(&text);
}

/* The tokens of `text` and their ids. */
static void expect_tokens(void **state, const char *text, const char *wanted) {
    tokenizer *t = load(state, NULL, "");
    encoding e = ENCODING_INIT;
    strbuf found = STRBUF_INIT;
    assert_int_equal(tokenizer_encode(t, text, strlen(text), NULL, &e), POFAC_OK);
    for (size_t i = 0; i < e.size; i++)
        strbuf_printf(&found, "%s%s=%d", i ? " " : "", tokenizer_token(t, e.tokens[i].id), e.tokens[i].id);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
    encoding_free(&e);
    tokenizer_destroy(t);
}

/* json_model with added tokens. */
static void put_model_with(void **state, const char *added) {
    strbuf text = STRBUF_INIT;
    strbuf_append(&text, json_model, sizeof json_model - 2); /* without the last brace */
    strbuf_printf(&text, ", \"added_tokens\": %s}", added);
    put(state, "tokenizer.json", strbuf_str(&text));
    strbuf_free(&text);
}

/* Each of the files that have added tokens. */
static void added_tokens(void **state) {
    put_model_with(state, "[{\"id\": 1, \"content\": \"[CLS]\", \"special\": true}, {\"id\": 4, \"content\": \"<E>\"}, "
                          "{\"id\": 6, \"content\": \"<F>\", \"lstrip\": true, \"normalized\": false}]");
    expect_tokens(state, "the<E>the <F>", "the=3 <E>=4 the=3 <F>=6");
    remove_files(state);

    put(state, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\nthe\n<\n>\ne\n");
    expect_tokens(state, "the<E>the", "the=3 <=4 e=6 >=5 the=3");
    put(state, "added_tokens.json", "{\"<E>\": 7, \"<F>\": 8, \"[SEP]\": 2}");
    expect_tokens(state, "the<E>the<e><F>[SEP][sep]", "the=3 <E>=7 the=3 <E>=7 <F>=8 [SEP]=2 [UNK]=0 [UNK]=0 [UNK]=0");

    /* special now, hence not normalized; and one whose id is the next one */
    put(state, "special_tokens_map.json", "{\"additional_special_tokens\": [\"<E>\", {\"content\": \"<G>\", \"rstrip\": true}]}");
    expect_tokens(state, "<E><e><G> <f>", "<E>=7 <=4 e=6 >=5 <G>=9 <F>=8");

    /* this file comes last and has them all */
    put(state, "tokenizer_config.json",
        "{\"added_tokens_decoder\": {\"9\": {\"content\": \"<G>\", \"special\": true, \"single_word\": true}}, "
        "\"additional_special_tokens\": [\"<G>\"], \"extra_special_tokens\": {\"h\": \"<H>\"}}");
    expect_tokens(state, "<E>, <G>the <G> <H>", "<=4 e=6 >=5 [UNK]=0 <=4 [UNK]=0 >=5 the=3 <G>=9 <H>=10");
}

/* Ids between those of the vocabulary and of added tokens have no token of their own. */
static void gaps_between_ids(void **state) {
    put(state, "vocab.txt", small_vocabulary);
    put(state, "added_tokens.json", "{\"<E>\": 1000}");
    tokenizer *t = load(state, NULL, "");
    assert_int_equal(tokenizer_vocab_size(t), 1001);
    assert_string_equal(tokenizer_token(t, 1000), "<E>");
    assert_string_equal(tokenizer_token(t, 999), "[UNK]");
    assert_null(tokenizer_token(t, 1001));
    assert_int_equal(tokenizer_id(t, "<E>", 3), 1000);
    assert_int_equal(tokenizer_id(t, "<e>", 3), -1);
    tokenizer_destroy(t);
}

/* `file` with `json` beside a small vocabulary. */
static void expect_wrong_tokens(void **state, const char *file, const char *json, const char *wanted) {
    put(state, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\nthe\n");
    put(state, file, json);
    assert_null(load(state, NULL, wanted));
    remove_files(state);
}

static void wrong_added_tokens(void **state) {
    expect_wrong_tokens(
        state, "added_tokens.json", "{\"<e>\": 3}",
        "/added_tokens.json: error: found id 3 for the added token \"<e>\", which the vocabulary has for \"the\"\n");
    expect_wrong_tokens(state, "added_tokens.json", "{\"the\": 4}",
                        "/added_tokens.json: error: found id 4 for the added token \"the\", wanted 3 as in the vocabulary\n");
    expect_wrong_tokens(state, "added_tokens.json", "{\"<e>\": 4, \"<f>\": 4}",
                        "/added_tokens.json: error: found id 4 for the added token \"<f>\", which \"<e>\" has already\n");
    expect_wrong_tokens(state, "added_tokens.json", "{\"<e>\": -1}",
                        "/added_tokens.json: error: token: found id -1.0 for \"<e>\", wanted a whole number from 0\n");
    expect_wrong_tokens(state, "added_tokens.json", "{\"<e>\": 4.5}",
                        "/added_tokens.json: error: token: found id 4.5 for \"<e>\", wanted a whole number from 0\n");
    expect_wrong_tokens(state, "added_tokens.json", "{\"<e>\": 2147483647}",
                        "/added_tokens.json: error: token: found id 2147483647.0 for \"<e>\", wanted a whole number from 0\n");
    expect_wrong_tokens(state, "added_tokens.json", "{\"<e>\": \"4\"}",
                        "/added_tokens.json: error: token: found id \"4\" for \"<e>\", wanted a whole number from 0\n");
    expect_wrong_tokens(state, "added_tokens.json", "{\"\": 4}",
                        "/added_tokens.json: error: token \"\": found 4.0, wanted tokens with their content\n");
    expect_wrong_tokens(state, "added_tokens.json", "{\"<e>\": 2147483646, \"<f>\": 2147483646}",
                        "/added_tokens.json: error: found id 2147483646 for the added token \"<f>\", which \"<e>\" has already\n");
    expect_wrong_tokens(state, "tokenizer.json", "{\"added_tokens\": {}}",
                        "/tokenizer.json: error: added_tokens: found an object, wanted an array of tokens\n");
    expect_wrong_tokens(state, "tokenizer.json", "{\"added_tokens\": [{\"content\": \"\"}]}",
                        "/tokenizer.json: error: added_tokens: found an object, wanted tokens with their content\n");
    expect_wrong_tokens(state, "tokenizer.json", "{\"added_tokens\": [{\"content\": \"<e>\", \"lstrip\": 1}]}",
                        "/tokenizer.json: error: added_tokens: lstrip: found 1.0, wanted true or false\n");
    expect_wrong_tokens(
        state, "special_tokens_map.json", "{\"additional_special_tokens\": 1}",
        "/special_tokens_map.json: error: additional_special_tokens: found 1.0, wanted an array or object of tokens\n");
    expect_wrong_tokens(
        state, "special_tokens_map.json", "{\"additional_special_tokens\": [1]}",
        "/special_tokens_map.json: error: additional_special_tokens: found 1.0, wanted tokens with their content\n");
    expect_wrong_tokens(
        state, "tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"<e>\"}}}",
        "/tokenizer_config.json: error: added_tokens_decoder: found id x for \"<e>\", wanted a whole number from 0\n");
    expect_wrong_tokens(state, "tokenizer_config.json", "{\"added_tokens_decoder\": [\"<e>\"]}",
                        "/tokenizer_config.json: error: added_tokens_decoder: found an array, wanted an object of tokens by id\n");
}

static void expect_config_error(void **state, const char *json, const char *wanted) {
    put(state, "vocab.txt", small_vocabulary);
    put(state, "tokenizer_config.json", json);
    assert_null(load(state, NULL, wanted));
}

static void wrong_settings(void **state) {
    assert_null(load(state, NULL, ": error: found no vocabulary, wanted vocab.txt or tokenizer.json\n"));
    expect_config_error(state, "{\"do_lower_case\": \"yes\"}",
                        "/tokenizer_config.json: error: do_lower_case: found \"yes\", wanted true, false or null\n");
    expect_config_error(state, "{\"strip_accents\": 1}",
                        "/tokenizer_config.json: error: strip_accents: found 1.0, wanted true, false or null\n");
    expect_config_error(state, "{\"tokenize_chinese_chars\": []}",
                        "/tokenizer_config.json: error: tokenize_chinese_chars: found an array, wanted true, false or null\n");
    expect_config_error(state, "{\"model_max_length\": \"512\"}",
                        "/tokenizer_config.json: error: model_max_length: found \"512\", wanted a number of tokens, 1 or more\n");
    expect_config_error(state, "{\"model_max_length\": 0}",
                        "/tokenizer_config.json: error: model_max_length: found 0.0, wanted a number of tokens, 1 or more\n");
    expect_config_error(state, "{\"cls_token\": \"<s>\"}",
                        "/tokenizer_config.json: error: cls_token: found \"<s>\", wanted \"[CLS]\"\n");
    expect_config_error(state, "{\"mask_token\": {\"content\": \"<mask>\"}}",
                        "/tokenizer_config.json: error: mask_token: found \"<mask>\", wanted \"[MASK]\"\n");
    expect_config_error(state, "{\"pad_token\": 0}", "/tokenizer_config.json: error: pad_token: found 0.0, wanted \"[PAD]\"\n");
    expect_config_error(state, "{\"sep_token\": {}}",
                        "/tokenizer_config.json: error: sep_token: found an object, wanted \"[SEP]\"\n");
    expect_config_error(state, "{\"added_tokens_decoder\": 3}",
                        "/tokenizer_config.json: error: added_tokens_decoder: found 3.0, wanted an object of tokens by id\n");
    expect_config_error(state, "{\"added_tokens_decoder\": {\"0\": 1}}",
                        "/tokenizer_config.json: error: added_tokens_decoder: found 1.0, wanted tokens with their content\n");
    expect_config_error(state, "[]", "/tokenizer_config.json: error: found an array, wanted an object\n");
    expect_config_error(state, "{\n  \"do_lower_case\" true}",
                        "/tokenizer_config.json:2:19: error: invalid JSON: ':' expected near 'true'\n"
                        "    \"do_lower_case\" true}\n"
                        "                    ^\n");
}

/* json_model with the first `from` replaced by `to`. */
static void expect_model_error(void **state, const char *from, const char *to, const char *wanted) {
    strbuf text = STRBUF_INIT;
    const char *at = strstr(json_model, from);
    assert_non_null(at);
    strbuf_append(&text, json_model, (size_t)(at - json_model));
    strbuf_puts(&text, to);
    strbuf_puts(&text, at + strlen(from));
    put(state, "tokenizer.json", strbuf_str(&text));
    strbuf_free(&text);
    assert_null(load(state, NULL, wanted));
}

static void wrong_models(void **state) {
    expect_model_error(state, "WordPiece", "BPE", "/tokenizer.json: error: model.type: found \"BPE\", wanted \"WordPiece\"\n");
    expect_model_error(state, "\"[UNK]\"", "\"<unk>\"",
                       "/tokenizer.json: error: model.unk_token: found \"<unk>\", wanted \"[UNK]\"\n");
    expect_model_error(state, "\"##\"", "null",
                       "/tokenizer.json: error: model.continuing_subword_prefix: found null, wanted \"##\"\n");
    expect_model_error(state, "100", "201",
                       "/tokenizer.json: error: model.max_input_chars_per_word: found 201.0, wanted a number from 1 to 200\n");
    expect_model_error(state, "max_input_chars_per_word", "other",
                       "/tokenizer.json: error: model.max_input_chars_per_word: found nothing, wanted a number from 1 to 200\n");
    expect_model_error(state, "\"vocab\"", "\"words\"", "/tokenizer.json: error: model.vocab: found nothing, wanted an object\n");
    expect_model_error(state, "\"model\"", "\"other\"", "/tokenizer.json: error: model: found nothing, wanted an object\n");
    expect_model_error(state, "\"normalizer\"", "\"other\"",
                       "/tokenizer.json: error: normalizer: found nothing, wanted an object\n");
    expect_model_error(state, "BertNormalizer", "NFKC",
                       "/tokenizer.json: error: normalizer.type: found \"NFKC\", wanted \"BertNormalizer\"\n");
    expect_model_error(state, "\"clean_text\": true", "\"clean_text\": false",
                       "/tokenizer.json: error: normalizer.clean_text: found false, wanted true\n");
    expect_model_error(state, "\"pre_tokenizer\"", "\"other\"",
                       "/tokenizer.json: error: pre_tokenizer: found nothing, wanted an object\n");
    expect_model_error(state, "BertPreTokenizer", "Whitespace",
                       "/tokenizer.json: error: pre_tokenizer.type: found \"Whitespace\", wanted \"BertPreTokenizer\"\n");
    expect_model_error(state, "\"lowercase\": false", "\"lowercase\": {}",
                       "/tokenizer.json: error: normalizer.lowercase: found an object, wanted true, false or null\n");
    static const char *const ids[][2] = {{"4", "4.0"}, {"-1", "-1.0"}, {"1.5", "1.5"}, {"0", "0.0"}, {"null", "null"}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        /* the token whose id is met second is the one to blame: \"the\" comes first, so id 0 is found taken at [UNK] */
        char to[50], wanted[200];
        snprintf(to, sizeof to, "\"the\": %s", ids[i][0]);
        snprintf(wanted, sizeof wanted,
                 "/tokenizer.json: error: model.vocab: found id %s for token \"%s\", wanted each id from 0 to 3 once\n", ids[i][1],
                 strcmp(ids[i][0], "0") == 0 ? "[UNK]" : "the");
        expect_model_error(state, "\"the\": 3", to, wanted);
    }
    expect_model_error(state, "\"the\"", "\"t\\nhe\"",
                       "/tokenizer.json: error: model.vocab: found token \"t\nhe\" of id 3.0, wanted one line of text\n");
    expect_model_error(state, "\"the\"", "\"\"",
                       "/tokenizer.json: error: model.vocab: found token \"\" of id 3.0, wanted one line of text\n");
    expect_model_error(state, "\"[CLS]\"", "\"[cls]\"",
                       "/tokenizer.json: error: found no [CLS] among 4 tokens, wanted [UNK], [CLS] and [SEP]\n");
}

/* Allocations of pofac; jansson goes on with a cut token when it fails to grow its buffer. */
static void every_allocation_may_fail(void **state) {
    put_model_with(state, "[{\"content\": \"<A>\"}, {\"content\": \"<B>\", \"special\": true}]");
    put(state, "tokenizer_config.json",
        "{\"do_lower_case\": false, \"model_max_length\": 512, \"additional_special_tokens\": [\"<C>\"]}");
    for (size_t n = 1;; n++) {
        tokenizer *t = NULL;
        strbuf said = STRBUF_INIT;
        diag_sink sink = diag_sink_to_strbuf(&said);
        fail_alloc_after(n);
        pofac_status status = tokenizer_load_directory(*state, NULL, &sink, &t);
        bool failed = fail_alloc_stop();
        assert_string_equal(strbuf_str(&said), failed ? "error: out of memory\n" : "");
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        assert_int_equal(t == NULL, failed);
        tokenizer_destroy(t);
        strbuf_free(&said);
        if (!failed) break;
        assert_true(n < 10000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(settings, NULL, remove_files),
        cmocka_unit_test_setup_teardown(tokenizer_json, NULL, remove_files),
        cmocka_unit_test_setup_teardown(roles, NULL, remove_files),
        cmocka_unit_test_setup_teardown(added_tokens, NULL, remove_files),
        cmocka_unit_test_setup_teardown(gaps_between_ids, NULL, remove_files),
        cmocka_unit_test_setup_teardown(wrong_added_tokens, NULL, remove_files),
        cmocka_unit_test_setup_teardown(wrong_settings, NULL, remove_files),
        cmocka_unit_test_setup_teardown(wrong_models, NULL, remove_files),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, NULL, remove_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
