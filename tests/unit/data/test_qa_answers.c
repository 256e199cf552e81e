/* Logits to n-best lists, held against a list of all spans; no answer; and the files that answers become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/data/qa_output.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

enum { LENGTH = 12, MOST_WINDOWS = 4 };

/* Windows over a context of one-byte tokens: [CLS] q [SEP] part [SEP]; token number i of the context is byte i. */
typedef struct answers_case {
    size_t n_windows, first[MOST_WINDOWS], n_context[MOST_WINDOWS];
    encoding input[MOST_WINDOWS];
    encoding_token tokens[MOST_WINDOWS][LENGTH];
    float start[MOST_WINDOWS][LENGTH], end[MOST_WINDOWS][LENGTH];
} answers_case;

static void make_window(answers_case *c, size_t first, size_t n) {
    const size_t w = c->n_windows++;
    c->first[w] = first;
    c->n_context[w] = n;
    for (size_t i = 0; i < n + 4; i++)
        c->tokens[w][i] =
            i >= 3 && i < n + 3 ? (encoding_token){.begin = first + i - 3, .end = first + i - 2} : (encoding_token){0};
    c->input[w] = (encoding){c->tokens[w], n + 4, n + 4};
}

static qa_window_logits window_of(const answers_case *c, size_t w) {
    return (qa_window_logits){&c->input[w], w, 3, c->n_context[w], c->start[w], c->end[w]};
}

/* Few distinct numbers, so that many scores are equal. */
static void draw_logits(answers_case *c, rng_key key, uint64_t at) {
    for (size_t w = 0; w < c->n_windows; w++)
        for (size_t i = 0; i < LENGTH; i++) {
            c->start[w][i] = (float)rng_below(key, at + w * 64 + 2 * i, 5) - 2.0F;
            c->end[w][i] = (float)rng_below(key, at + w * 64 + 2 * i + 1, 5) / 2.0F;
        }
}

static void take(const answers_case *c, const qa_answer_options *o, const size_t *order, qa_answers *out) {
    for (size_t i = 0; i < c->n_windows; i++) {
        const qa_window_logits w = window_of(c, order ? order[i] : i);
        assert_int_equal(qa_answers_take(out, o, &w, NULL), POFAC_OK);
    }
}

/* ---- the reference: the best span that was not taken yet, over and over ---- */

typedef struct slow_span {
    size_t window, start, end;
    double score;
    bool taken;
} slow_span;

static size_t list_all(const answers_case *c, size_t max_answer_length, slow_span *out) {
    size_t n = 0;
    for (size_t w = 0; w < c->n_windows; w++)
        for (size_t i = 0; i < c->input[w].size; i++)
            for (size_t k = 0; k < c->input[w].size; k++) {
                const bool in_context = i >= 3 && k >= 3 && i < 3 + c->n_context[w] && k < 3 + c->n_context[w];
                if (in_context && k >= i && k - i + 1 <= max_answer_length)
                    out[n++] = (slow_span){w, i, k, (double)c->start[w][i] + (double)c->end[w][k], false};
            }
    return n;
}

static void check_list(const answers_case *c, const qa_answer_options *o, const qa_answers *a) {
    static slow_span all[MOST_WINDOWS * LENGTH * LENGTH];
    const size_t n = list_all(c, o->max_answer_length, all), wanted = n < o->n_best ? n : o->n_best;
    assert_int_equal(a->size, wanted);
    for (size_t rank = 0; rank < wanted; rank++) {
        slow_span *best = NULL; /* all are listed by window, start and end: the first of equal ones */
        for (size_t i = 0; i < n; i++)
            if (!all[i].taken && (!best || all[i].score > best->score)) best = &all[i];
        const qa_span *s = &a->spans[rank];
        if (s->window != best->window || s->start != best->start || s->end != best->end || s->score < best->score ||
            s->score > best->score)
            fail_msg("rank %zu: window %zu, %zu to %zu, wanted %zu, %zu to %zu", rank, s->window, s->start, s->end, best->window,
                     best->start, best->end);
        assert_int_equal(s->begin_byte, c->first[s->window] + s->start - 3);
        assert_int_equal(s->end_byte, c->first[s->window] + s->end - 2);
        best->taken = true;
    }
}

static void n_best_of_generated_logits(void **state) {
    (void)state;
    static const size_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    const rng_key key = rng_key_make(3, "logits");
    for (uint64_t round = 0; round < 2000; round++) {
        answers_case c = {.n_windows = 0};
        for (size_t w = 0; w < 3; w++) make_window(&c, 3 * w, rng_below(key, round * 512 + 500 + w, 9));
        draw_logits(&c, key, round * 512);
        const qa_answer_options o = {.n_best = 1 + rng_below(key, round * 512 + 510, 25),
                                     .max_answer_length = 1 + rng_below(key, round * 512 + 511, 10)};
        for (size_t i = 0; i < 3; i++) {
            qa_answers a = QA_ANSWERS_INIT;
            take(&c, &o, orders[i], &a);
            check_list(&c, &o, &a);
            double null = INFINITY;
            for (size_t w = 0; w < 3; w++) null = fmin(null, (double)c.start[w][0] + (double)c.end[w][0]);
            assert_true(a.has_null && !(a.null_score < null) && !(a.null_score > null));
            qa_answers_free(&a);
        }
    }
}

/* ---- no answer ---- */

/* One window whose only spans are of three tokens; [CLS] has the score `null`. */
static void make_null_case(answers_case *c, float null, qa_answers *a, const qa_answer_options *o) {
    *c = (answers_case){.n_windows = 0};
    make_window(c, 0, 3);
    c->start[0][0] = null;
    for (size_t i = 3; i < 6; i++) c->start[0][i] = (float)(i - 3); /* 0, 1, 2; ends are 0 */
    *a = (qa_answers)QA_ANSWERS_INIT;
    take(c, o, NULL, a);
}

static void no_answer_by_threshold(void **state) {
    (void)state;
    static const struct {
        float null;
        double threshold;
        bool is_null;
    } cases[] = {{1.0F, 0.0, false}, {2.0F, 0.0, false}, {2.5F, 0.0, true},
                 {2.5F, 0.5, false}, {2.5F, 0.25, true}, {1.0F, -2.0, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qa_answer_options o = {5, 1, true, cases[i].threshold};
        answers_case c;
        qa_answers a;
        double odds;
        make_null_case(&c, cases[i].null, &a, &o);
        const qa_span *best = qa_answers_best(&a, &o, &odds);
        assert_int_equal(best == NULL, cases[i].is_null);
        assert_true(fabs(odds - ((double)cases[i].null - 2.0)) < 1e-12);
        o.may_be_null = false; /* version 1.1 */
        assert_ptr_equal(qa_answers_best(&a, &o, NULL), &a.spans[0]);
        qa_answers_free(&a);
    }
}

/* Texts of the n-best list, "-" for no answer. */
static void expect_choices(size_t n_best, float null, const char *wanted) {
    const qa_answer_options o = {n_best, 1, true, 0.0};
    answers_case c;
    qa_answers a;
    qa_choice choices[8];
    char found[16] = "";
    double sum = 0.0;
    make_null_case(&c, null, &a, &o);
    const size_t n = qa_answers_list(&a, &o, choices);
    for (size_t i = 0; i < n; i++) {
        found[i] = choices[i].span ? (char)('a' + choices[i].span->begin_byte) : '-';
        sum += choices[i].probability;
        const double ratio = exp((double)choices[i].start_logit + (double)choices[i].end_logit - (double)choices[0].start_logit -
                                 (double)choices[0].end_logit);
        assert_true(fabs(choices[i].probability / choices[0].probability - ratio) < 1e-12);
    }
    assert_string_equal(found, wanted);
    assert_true(fabs(sum - 1.0) < 1e-12);
    qa_answers_free(&a);
}

static void no_answer_in_the_list(void **state) {
    (void)state;
    expect_choices(5, 3.0F, "-cba");
    expect_choices(5, 2.0F, "c-ba"); /* behind spans of its score */
    expect_choices(5, 0.5F, "cb-a");
    expect_choices(5, -1.0F, "cba-");
    expect_choices(3, 0.5F, "cb-");   /* the last span gives way */
    expect_choices(3, -1.0F, "cba-"); /* it is always there */
    expect_choices(1, 3.0F, "-");
    expect_choices(1, 1.0F, "c-");
}

static void contexts_without_tokens(void **state) {
    (void)state;
    const qa_answer_options o = {5, 30, false, 0.0};
    answers_case c = {.n_windows = 0};
    qa_answers a = QA_ANSWERS_INIT;
    qa_choice choices[2];
    make_window(&c, 0, 0);
    take(&c, &o, NULL, &a);
    assert_null(qa_answers_best(&a, &o, NULL));
    assert_int_equal(qa_answers_list(&a, &o, choices), 1);
    assert_null(choices[0].span);
    assert_true(fabs(choices[0].probability - 1.0) < 1e-12);
    qa_answers_free(&a);
}

/* ---- files ---- */

static void expect_file(void **state, const char *name, const char *wanted) {
    file_map file;
    strbuf text = STRBUF_INIT;
    assert_int_equal(file_map_open(file_path(state, name), NULL, &file), POFAC_OK);
    strbuf_append(&text, file.data, file.size_bytes);
    file_map_close(&file);
    assert_string_equal(strbuf_str(&text), wanted);
    strbuf_free(&text);
    unlink(file_path(state, name));
}

static pofac_status write_files(const char *path, const qa_answer_options *o, const diag_sink *sink) {
    static const squad_text ids[2] = {{"q\"1", 3}, {"q2", 2}}, contexts[2] = {{"a\xc3\xa9z", 4}, {"", 0}};
    answers_case c[2];
    qa_answers answers[2];
    qa_output *out = NULL;
    make_null_case(&c[0], 1.0F, &answers[0], o);
    for (size_t i = 0; i < answers[0].size; i++)
        if (answers[0].spans[i].begin_byte == 1) answers[0].spans[i].end_byte = 3; /* one character of two bytes */
        else if (answers[0].spans[i].begin_byte == 2) answers[0].spans[i].begin_byte = 3, answers[0].spans[i].end_byte = 4;
    c[1] = (answers_case){.n_windows = 0};
    make_window(&c[1], 0, 0);
    answers[1] = (qa_answers)QA_ANSWERS_INIT;
    take(&c[1], o, NULL, &answers[1]);
    pofac_status status = qa_output_open(path, o, sink, &out);
    for (size_t i = 0; i < 2 && status == POFAC_OK; i++) status = qa_output_put(out, &ids[i], &contexts[i], &answers[i], sink);
    if (status == POFAC_OK) status = qa_output_commit(out);
    else qa_output_abandon(out);
    for (size_t i = 0; i < 2; i++) qa_answers_free(&answers[i]);
    return status;
}

#define CHOICE(start, text, probability)                                                                                           \
    "        {\n            \"start_logit\": " start ",\n            \"end_logit\": 0.0,\n            \"text\": \"" text           \
    "\",\n            \"probability\": " probability "\n        }"

static void files_of_version_1(void **state) {
    const qa_answer_options o = {2, 1, false, 0.0};
    assert_int_equal(write_files(file_path(state, "eval_predictions.json"), &o, NULL), POFAC_OK);
    expect_file(state, "eval_predictions.json", "{\n    \"q\\\"1\": \"z\",\n    \"q2\": \"\"\n}\n");
    expect_file(state, "eval_nbest_predictions.json",
                "{\n    \"q\\\"1\": [\n" CHOICE("2.0", "z", "0.7310585786300049") ",\n" CHOICE(
                    "1.0", "\xc3\xa9", "0.2689414213699951") "\n    ],\n    \"q2\": [\n" CHOICE("0.0", "", "1.0") "\n    ]\n}\n");
    assert_false(file_exists(file_path(state, "eval_null_odds.json")));
}

static void files_of_version_2(void **state) {
    const qa_answer_options o = {1, 1, true, 0.0};
    assert_int_equal(write_files(file_path(state, "out.json"), &o, NULL), POFAC_OK);
    expect_file(state, "out.json", "{\n    \"q\\\"1\": \"z\",\n    \"q2\": \"\"\n}\n");
    expect_file(state, "out_nbest_predictions.json",
                "{\n    \"q\\\"1\": [\n" CHOICE("2.0", "z", "0.7310585786300049") ",\n" CHOICE(
                    "1.0", "", "0.2689414213699951") "\n    ],\n    \"q2\": [\n" CHOICE("0.0", "", "1.0") "\n    ]\n}\n");
    expect_file(state, "out_null_odds.json", "{\n    \"q\\\"1\": -1.0,\n    \"q2\": 0.0\n}\n");
}

static void files_without_questions_and_in_no_folder(void **state) {
    const qa_answer_options o = {2, 1, false, 0.0};
    qa_output *out;
    assert_int_equal(qa_output_open(file_path(state, "p"), &o, NULL, &out), POFAC_OK);
    assert_int_equal(qa_output_commit(out), POFAC_OK);
    expect_file(state, "p", "{}\n");
    expect_file(state, "p_nbest_predictions.json", "{}\n");
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(qa_output_open(file_path(state, "absent/p.json"), &o, &sink, &out), POFAC_ERR_RUNTIME);
    assert_non_null(strstr(strbuf_str(&said), "/absent/p.json: error: "));
    strbuf_free(&said);
}

static void failing_allocations(void **state) {
    const qa_answer_options o = {3, 2, true, 0.0};
    for (size_t n = 1;; n++) {
        answers_case c = {.n_windows = 0};
        qa_answers a = QA_ANSWERS_INIT;
        make_window(&c, 0, 8);
        const qa_window_logits w = window_of(&c, 0);
        fail_alloc_after(n);
        const pofac_status status = qa_answers_take(&a, &o, &w, NULL);
        const bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        qa_answers_free(&a);
        if (!failed) break;
    }
    static const squad_text id = {"1", 1}, context = {"abc", 3};
    answers_case c;
    qa_answers a;
    make_null_case(&c, 0.0F, &a, &o);
    for (size_t n = 1;; n++) {
        const char *path = file_path(state, "f.json");
        qa_output *out = NULL;
        fail_alloc_after(n);
        pofac_status status = qa_output_open(path, &o, NULL, &out);
        if (status == POFAC_OK) status = qa_output_put(out, &id, &context, &a, NULL);
        if (status == POFAC_OK) status = qa_output_commit(out);
        else qa_output_abandon(out);
        const bool failed = fail_alloc_stop();
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK)) fail_msg("allocation %zu fails: status %d", n, status);
        assert_int_equal(file_exists(file_path(state, "f.json")), !failed);
        if (!failed) break;
    }
    qa_answers_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(n_best_of_generated_logits),
        cmocka_unit_test(no_answer_by_threshold),
        cmocka_unit_test(no_answer_in_the_list),
        cmocka_unit_test(contexts_without_tokens),
        cmocka_unit_test(files_of_version_1),
        cmocka_unit_test(files_of_version_2),
        cmocka_unit_test(files_without_questions_and_in_no_folder),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
