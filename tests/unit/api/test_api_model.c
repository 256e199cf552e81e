/* Models through the C API: what they say of themselves, options that are wrong, structures of other versions, compiled files, failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/api/api_case.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

static void versions_agree(void **unused) {
    (void)unused;
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", POFAC_VERSION_MAJOR, POFAC_VERSION_MINOR, POFAC_VERSION_PATCH);
    assert_string_equal(pofac_version(), version);
    static const char *const names[] = {"ok", "runtime", "usage", "input", "numeric", "interrupted", "unknown"};
    for (int i = 0; i < 7; i++) assert_string_equal(pofac_status_name((pofac_status)i), names[i]);
}

static void a_model_says_what_it_is(void **state) {
    api_case c;
    pofac_model_info info = POFAC_MODEL_INFO_INIT;
    api_case_begin(&c, state);
    pofac_model *m = api_case_open(&c, "sequence-classification");
    assert_int_equal(pofac_model_get_info(m, &info), POFAC_OK);
    assert_int_equal(info.size_bytes, sizeof info);
    assert_string_equal(info.head, "sequence-classification");
    assert_string_equal(info.arithmetic, "fp32");
    assert_true(info.target[0] != 0);
    assert_int_equal(info.num_labels, 3);
    assert_int_equal(info.vocab_size, API_CASE_VOCAB);
    assert_int_equal(info.hidden_size, 16);
    assert_int_equal(info.num_layers, 1);
    assert_int_equal(info.num_heads, 2);
    assert_int_equal(info.intermediate_size, 64);
    assert_int_equal(info.max_length, API_CASE_POSITIONS);
    assert_true(info.has_tokenizer);
    assert_false(info.is_regression);
    assert_true(info.mapped_weight_bytes + info.private_weight_bytes > 4 * (16 * 64 * 2 + 4 * 16 * 16));
    assert_string_equal(pofac_model_label(m, 2), "LABEL_2");
    assert_null(pofac_model_label(m, 3));
    assert_null(pofac_model_label(m, -1));
    assert_true(c.n_notes > 0); /* parameters are drawn */
    pofac_model_close(m);

    m = api_case_open(&c, "none");
    assert_int_equal(pofac_model_get_info(m, &info), POFAC_OK);
    assert_int_equal(info.num_labels, 0);
    assert_null(pofac_model_label(m, 0));
    pofac_model_close(m);
    api_case_end(&c);
}

/* A caller of an older version has a shorter structure, one of a newer version a longer one. */
static void structures_of_other_versions(void **state) {
    struct {
        pofac_model_options known;
        int64_t later;
    } newer = {.known = POFAC_MODEL_OPTIONS_INIT};
    struct {
        pofac_model_info known;
        int64_t later;
    } info = {.later = 7};
    api_case c;
    pofac_model *m;
    api_case_begin(&c, state);
    newer.known = c.options;
    newer.known.size_bytes = sizeof newer;
    assert_int_equal(pofac_model_open(c.path, &newer.known, &c.log, &m), POFAC_OK);
    info.known.size_bytes = sizeof info;
    assert_int_equal(pofac_model_get_info(m, &info.known), POFAC_OK);
    assert_int_equal(info.later, 0); /* the library does not know it */
    info.known = (pofac_model_info){.size_bytes = offsetof(pofac_model_info, target), .target = "kept"};
    assert_int_equal(pofac_model_get_info(m, &info.known), POFAC_OK);
    assert_string_equal(info.known.arithmetic, "fp32");
    assert_string_equal(info.known.target, "kept");
    info.known.size_bytes = 0;
    assert_int_equal(pofac_model_get_info(m, &info.known), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: pofac_model_info: found size_bytes 0, wanted the structure's size\n");
    pofac_model_close(m);

    newer.later = 1;
    assert_int_equal(pofac_model_open(c.path, &newer.known, &c.log, &m), POFAC_ERR_USAGE);
    assert_null(m);
    char wanted[256];
    snprintf(wanted, sizeof wanted,
             "error: pofac_model_options: byte %zu is set, wanted none behind the %zu bytes that version 0.1.0 knows\n",
             offsetof(__typeof__(newer), later), sizeof newer.known);
    api_case_wants(&c, wanted);
    pofac_model_options older = {.size_bytes = offsetof(pofac_model_options, head), .seed = 3, .head = "nonsense"};
    assert_int_equal(pofac_model_open(c.path, &older, &c.log, &m), POFAC_OK); /* its head is not looked at */
    pofac_model_close(m);
    older.size_bytes = 0;
    assert_int_equal(pofac_model_open(c.path, &older, &c.log, &m), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: pofac_model_options: found size_bytes 0, wanted the structure's size\n");
    api_case_end(&c);
}

static void wrong_options_are_errors(void **state) {
    api_case c;
    api_case_begin(&c, state);
    const struct {
        pofac_model_options options;
        const char *message;
    } rows[] = {
        {{.head = "classification"}, "error: head: found \"classification\", wanted auto or a row of `pofac list heads`\n"},
        {{.tune = "on"}, "error: tune: found \"on\", wanted auto, off or again\n"},
        {{.quantization = "int4"}, "error: quantization: found \"int4\", wanted integer, simulate or off\n"},
        {{.num_labels = -1}, "error: num_labels: found -1, wanted 0 to 16777216\n"},
        {{.tune_tokens = -2}, "error: tune_tokens: found -2, wanted 0 to 16777216\n"},
        {{.threads = 5000}, "error: threads: found 5000, wanted 0 to 4096\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pofac_model *m = (pofac_model *)&c;
        pofac_model_options o = rows[i].options;
        o.size_bytes = sizeof o;
        assert_int_equal(pofac_model_open(c.path, &o, &c.log, &m), POFAC_ERR_USAGE);
        assert_null(m);
        api_case_wants(&c, rows[i].message);
    }
    api_case_end(&c);
}

static void wrong_arguments_are_errors(void **state) {
    api_case c;
    pofac_model *m;
    pofac_predictor *p;
    pofac_model_info info = POFAC_MODEL_INFO_INIT;
    api_case_begin(&c, state);
    assert_int_equal(pofac_model_open(NULL, NULL, &c.log, &m), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: path: found NULL, wanted something\n");
    assert_int_equal(pofac_model_open(c.path, NULL, &c.log, NULL), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: out: found NULL, wanted something\n");
    assert_int_equal(pofac_model_open(NULL, NULL, NULL, &m), POFAC_ERR_USAGE); /* nobody listens */
    assert_int_equal(pofac_model_get_info(NULL, &info), POFAC_ERR_USAGE);
    assert_null(pofac_model_label(NULL, 0));
    assert_int_equal(pofac_predictor_create(NULL, NULL, &c.log, &p), POFAC_ERR_USAGE);
    assert_null(p);
    api_case_wants(&c, "error: model: found NULL, wanted something\n");
    assert_int_equal(pofac_compile(NULL, NULL, NULL, "x", &c.log), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: path: found NULL, wanted something\n");
    assert_int_equal(pofac_compile(c.path, NULL, NULL, NULL, &c.log), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: file: found NULL, wanted something\n");
    pofac_model_close(NULL);

    char nothing[320];
    snprintf(nothing, sizeof nothing, "%s/nothing", c.folder);
    assert_int_equal(pofac_model_open(nothing, &c.options, &c.log, &m), POFAC_ERR_INPUT);
    api_case_wants(
        &c, "nothing: error: no such file or directory, wanted a Hugging Face directory, an XML description or a compiled model\n");
    put_file(state, "model.xml", "<pofac", 6);
    assert_int_equal(pofac_model_open(c.path, &c.options, &c.log, &m), POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&c.messages), "model.xml:1:"));
    strbuf_clear(&c.messages);
    api_case_end(&c);
}

/* The answers of a compiled file are those of the model. */
static void a_compiled_file_answers_alike(void **state) {
    static const pofac_text text = {"a b c d", "e a"};
    const pofac_answer *const *answers;
    const char *json;
    api_case c;
    char file[320], wanted[512];
    api_case_begin(&c, state);
    snprintf(file, sizeof file, "%s/model.pofac", c.folder);
    c.options.head = "sequence-classification";
    c.options.last_hidden_state = 1;
    assert_int_equal(pofac_compile(c.path, &c.options, NULL, file, &c.log), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: last_hidden_state: found it set, wanted 0: a compiled model has the graph for texts\n");
    c.options.last_hidden_state = 0;
    assert_int_equal(pofac_compile(c.path, &c.options, "nonsense", file, &c.log), POFAC_ERR_USAGE);
    strbuf_clear(&c.messages);
    assert_int_equal(pofac_compile(c.path, &c.options, NULL, file, &c.log), POFAC_OK);
    wanted[0] = 0;
    for (int of_file = 0; of_file < 2; of_file++) {
        if (of_file) snprintf(c.path, sizeof c.path, "%s", file);
        pofac_model *m = api_case_open(&c, of_file ? NULL : "sequence-classification");
        pofac_predictor *p = api_case_predictor(&c, m);
        assert_int_equal(pofac_predictor_answer(p, &text, 1, &answers), POFAC_OK);
        assert_int_equal(pofac_predictor_answer_json(p, 0, &json), POFAC_OK);
        if (of_file) assert_string_equal(json, wanted);
        else snprintf(wanted, sizeof wanted, "%s", json);
        pofac_predictor_destroy(p);
        pofac_model_close(m);
    }
    assert_int_equal(pofac_compile(file, &c.options, NULL, file, &c.log), POFAC_ERR_USAGE);
    api_case_wants(&c, "model.pofac: error: found a compiled model, wanted the model that it was made from\n");
    api_case_end(&c);
}

static void failing_allocations(void **state) {
    api_case c;
    api_case_begin(&c, state);
    pofac_model_close(api_case_open(&c, "masked-lm")); /* fills the cache */
    size_t n_failed = 0;
    for (size_t n = 1;; n += 1 + n / 16) {
        pofac_model *m;
        fail_alloc_after(n);
        const pofac_status status = pofac_model_open(c.path, &c.options, &c.log, &m);
        const bool failed = fail_alloc_stop();
        if (!failed) {
            assert_int_equal(status, POFAC_OK);
            pofac_model_close(m);
            break;
        }
        n_failed++;
        if (status == POFAC_OK) pofac_model_close(m); /* the cache may do without */
        else assert_null(m);
        if (status != POFAC_OK && status != POFAC_ERR_RUNTIME) fail_msg("allocation %zu fails: status %d", n, status);
        strbuf_clear(&c.messages);
    }
    assert_true(n_failed > 30);
    api_case_end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_agree),
        cmocka_unit_test(a_model_says_what_it_is),
        cmocka_unit_test(structures_of_other_versions),
        cmocka_unit_test(wrong_options_are_errors),
        cmocka_unit_test(wrong_arguments_are_errors),
        cmocka_unit_test(a_compiled_file_answers_alike),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
