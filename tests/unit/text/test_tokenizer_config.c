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

static const char *const file_names[] = {"vocab.txt", "tokenizer_config.json", "tokenizer.json"};

static const char json_model[] =
    "{\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\", "
    "\"max_input_chars_per_word\": 100, \"vocab\": {\"the\": 3, \"[UNK]\": 0, \"[SEP]\": 2, \"[CLS]\": 1}}, "
    "\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": false, "
    "\"strip_accents\": null, \"lowercase\": false}}";

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
        "\"[PAD]\", \"special\": true}, \"100\": {\"content\": \"[UNK]\"}}}");
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

/* Loads, with a warning. */
static void expect_warning(void **state, const char *wanted) {
    tokenizer *t = NULL;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(tokenizer_load_directory(*state, NULL, &sink, &t), POFAC_OK);
    assert_string_equal(strbuf_str(&said) + strlen(*state), wanted);
    tokenizer_destroy(t);
    strbuf_free(&said);
}

static void added_tokens(void **state) {
    put(state, "vocab.txt", small_vocabulary);
    put(state, "tokenizer_config.json", "{\"added_tokens_decoder\": {\"9\": {\"content\": \"<ent>\"}}}");
    expect_warning(state,
                   "/tokenizer_config.json: warning: added_tokens_decoder: found \"<ent>\": text that has such a token is split as "
                   "any other\n");
    remove_files(state);
    strbuf text = STRBUF_INIT;
    strbuf_append(&text, json_model, sizeof json_model - 2);
    strbuf_puts(&text, ", \"added_tokens\": [{\"content\": \"[CLS]\"}, {\"content\": \"<a>\"}, {\"content\": \"<b>\"}]}");
    put(state, "tokenizer.json", strbuf_str(&text));
    strbuf_free(&text);
    expect_warning(state,
                   "/tokenizer.json: warning: added_tokens: found \"<a>\" and 1 more: text that has such a token is split as any "
                   "other\n");
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
                        "/tokenizer_config.json: error: added_tokens_decoder: found 3.0, wanted an array or object of tokens\n");
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
    put(state, "tokenizer.json", json_model);
    put(state, "tokenizer_config.json", "{\"do_lower_case\": false, \"model_max_length\": 512}");
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
        cmocka_unit_test_setup_teardown(wrong_settings, NULL, remove_files),
        cmocka_unit_test_setup_teardown(wrong_models, NULL, remove_files),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, NULL, remove_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
