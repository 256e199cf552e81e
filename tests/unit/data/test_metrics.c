/*
 * Metrics: values worked out by hand or by other programs' definitions, generated cases against slow counting, cases without sense,
 * order of rows, failing allocations. Every row of the table is computed here (`checked`), or the suite fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/metrics.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"

static char checked[64]; /* rows of the table, by number */

/* Computes a metric, whose value is `wanted` to 15 digits; NaN wants NaN. */
static void expect(const metrics *m, const char *name, double wanted) {
    const metric_row *row = metrics_find(m->input, name, strlen(name));
    assert_non_null(row);
    for (size_t i = 0; metrics_row(i); i++)
        if (metrics_row(i) == row) checked[i] = 1;
    const double found = row->compute(m);
    if (isnan(wanted) ? !isnan(found) : !(fabs(found - wanted) <= 2e-15 * fmax(1.0, fabs(wanted))))
        fail_msg("%s: found %.17g, wanted %.17g", name, found, wanted);
}

static void finish(metrics *m) { assert_int_equal(metrics_finish(m, NULL), POFAC_OK); }

/* ---- labels ---- */

static metrics labels_of(const char *predicted, const char *wanted) {
    metrics m = metrics_begin(METRIC_CLASSES);
    for (size_t i = 0; wanted[i]; i++) {
        const int32_t p = predicted[i] == '-' ? -1 : predicted[i] - '0',
                      w = wanted[i] == '-' ? METRIC_IGNORED_LABEL : wanted[i] - '0';
        assert_int_equal(metrics_add_labels(&m, &p, &w, 1, NULL), POFAC_OK);
    }
    finish(&m);
    return m;
}

static void expect_labels(const char *predicted, const char *wanted, double accuracy, double f1, double matthews) {
    metrics m = labels_of(predicted, wanted);
    expect(&m, "accuracy", accuracy);
    expect(&m, "f1", f1);
    expect(&m, "matthews_correlation", matthews);
    expect(&m, "nsp_accuracy", accuracy);
    metrics_free(&m);
}

static void labels(void **state) {
    (void)state;
    expect_labels("0100110110", "0110100111", 0.7, 8.0 / 11.0, 0.408248290463863);
    expect_labels("02221101", "01221021", 0.625, 4.0 / 6.0, 0.42857142857142855); /* of three classes */
    expect_labels("0011", "0011", 1.0, 1.0, 1.0);
    expect_labels("1100", "0011", 0.0, 0.0, -1.0);
    /* without sense */
    expect_labels("", "", NAN, 0.0, NAN);
    expect_labels("0000", "0000", 1.0, 0.0, 0.0);
    expect_labels("0000", "0011", 0.5, 0.0, 0.0);
    expect_labels("0011", "0000", 0.5, 0.0, 0.0);
    expect_labels("1111", "1111", 1.0, 1.0, 0.0);
    /* ignored, and predicted as nothing */
    expect_labels("01101", "01-01", 1.0, 1.0, 1.0);
    expect_labels("0-", "01", 0.5, 0.0, 0.5);
}

/* Against counting by pairs of classes; rows in another order, and in batches, give the same bits. */
static void generated_labels(void **state) {
    (void)state;
    const rng_key key = rng_key_make(2, "labels");
    for (uint64_t round = 0; round < 200; round++) {
        const uint64_t n = 1 + rng_below(key, round * 1000, 200), classes = 2 + rng_below(key, round * 1000 + 1, 4);
        int32_t p[256], w[256], reversed_p[256], reversed_w[256];
        double table[8][8] = {{0}}, right = 0, both = 0, pp = 0, ww = 0;
        for (uint64_t i = 0; i < n; i++) {
            p[i] = (int32_t)rng_below(key, round * 1000 + 2 * i + 2, classes);
            w[i] = (int32_t)rng_below(key, round * 1000 + 2 * i + 3, classes);
            reversed_p[n - 1 - i] = p[i];
            reversed_w[n - 1 - i] = w[i];
            table[w[i]][p[i]]++;
            right += w[i] == p[i];
        }
        for (size_t k = 0; k < classes; k++) {
            double wanted = 0, predicted = 0;
            for (size_t l = 0; l < classes; l++) {
                wanted += table[k][l];
                predicted += table[l][k];
            }
            both += wanted * predicted;
            pp += predicted * predicted;
            ww += wanted * wanted;
        }
        const double total = (double)n, variance = (total * total - pp) * (total * total - ww);
        const double matthews = variance > 0 ? (right * total - both) / sqrt(variance) : 0.0;
        metrics a = metrics_begin(METRIC_CLASSES), b = metrics_begin(METRIC_CLASSES);
        assert_int_equal(metrics_add_labels(&a, p, w, n, NULL), POFAC_OK);
        assert_int_equal(metrics_add_labels(&b, reversed_p, reversed_w, n / 2, NULL), POFAC_OK);
        assert_int_equal(metrics_add_labels(&b, reversed_p + n / 2, reversed_w + n / 2, n - n / 2, NULL), POFAC_OK);
        expect(&a, "accuracy", right / total);
        expect(&a, "matthews_correlation", matthews);
        const double x = compute_matthews(&a), y = compute_matthews(&b);
        assert_memory_equal(&x, &y, sizeof x);
        metrics_free(&a);
        metrics_free(&b);
    }
}

/* ---- numbers ---- */

static metrics values_of(const double *predicted, const double *wanted, size_t n) {
    metrics m = metrics_begin(METRIC_VALUES);
    assert_int_equal(metrics_add_values(&m, predicted, wanted, n, NULL), POFAC_OK);
    finish(&m);
    return m;
}

static void expect_values(const double *predicted, const double *wanted, size_t n, double pearson, double spearman) {
    metrics m = values_of(predicted, wanted, n);
    expect(&m, "pearson", pearson);
    expect(&m, "spearmanr", spearman);
    metrics_free(&m);
}

static void correlations(void **state) {
    (void)state;
    static const double x[] = {1.5, 2.25, 2.25, 4.0, 0.5, 3.0}, y[] = {1.0, 2.0, 3.5, 4.0, 0.0, 3.5};
    expect_values(x, y, 6, 0.9200885391302197, 0.9558823529411765); /* with ties on both sides */
    expect_values((double[]){1, 2, 3}, (double[]){2, 4, 6}, 3, 1.0, 1.0);
    expect_values((double[]){1, 2, 3}, (double[]){6, 4, 2}, 3, -1.0, -1.0);
    expect_values((double[]){1, 2, 3}, (double[]){1, 10, 1000}, 3, 0.8699173543637022, 1.0);
    /* without sense */
    expect_values(NULL, NULL, 0, NAN, NAN);
    expect_values((double[]){1}, (double[]){1}, 1, NAN, NAN);
    expect_values((double[]){1, 1, 1}, (double[]){1, 2, 3}, 3, NAN, NAN);
    expect_values((double[]){1, 2, 3}, (double[]){0, 0, 0}, 3, NAN, NAN);
    expect_values((double[]){1, NAN, 3}, (double[]){1, 2, 3}, 3, NAN, NAN);
    metrics m = values_of((double[]){1, 2}, (double[]){2, 4}, 2);
    expect(&m, "mse", 2.5);
    metrics_free(&m);
    m = values_of(NULL, NULL, 0);
    expect(&m, "mse", NAN);
    metrics_free(&m);
}

static double slow_rank(const double *x, size_t n, size_t i) {
    double below = 0, equal = 0;
    for (size_t k = 0; k < n; k++) {
        below += x[k] < x[i];
        equal += !(x[k] < x[i]) && !(x[k] > x[i]);
    }
    return below + (equal + 1) / 2;
}

static double slow_pearson(const double *x, const double *y, size_t n) {
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) mx += x[i], my += y[i];
    mx /= (double)n;
    my /= (double)n;
    for (size_t i = 0; i < n; i++)
        xx += (x[i] - mx) * (x[i] - mx), yy += (y[i] - my) * (y[i] - my), xy += (x[i] - mx) * (y[i] - my);
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

static void generated_values(void **state) {
    (void)state;
    const rng_key key = rng_key_make(2, "values");
    for (uint64_t round = 0; round < 200; round++) {
        const uint64_t n = 2 + rng_below(key, round * 1000, 100), levels = 2 + rng_below(key, round * 1000 + 1, 20);
        double x[128], y[128], rx[128], ry[128], back_x[128], back_y[128];
        for (uint64_t i = 0; i < n; i++) {
            x[i] = back_x[n - 1 - i] = (double)rng_below(key, round * 1000 + 2 * i + 2, levels) / 3.0;
            y[i] = back_y[n - 1 - i] = (double)rng_below(key, round * 1000 + 2 * i + 3, levels) / 7.0 + x[i];
        }
        for (size_t i = 0; i < n; i++) rx[i] = slow_rank(x, n, i), ry[i] = slow_rank(y, n, i);
        metrics a = values_of(x, y, n), b = values_of(back_x, back_y, n);
        const double pearson = slow_pearson(x, y, n), spearman = slow_pearson(rx, ry, n);
        const double found[4] = {compute_pearson(&a), compute_spearman(&a), compute_pearson(&b), compute_spearman(&b)};
        if (!(isnan(pearson) ? isnan(found[0]) : fabs(found[0] - pearson) < 1e-12))
            fail_msg("round %d: %g, %g", (int)round, found[0], pearson);
        if (!(isnan(spearman) ? isnan(found[1]) : fabs(found[1] - spearman) < 1e-12))
            fail_msg("round %d: %g, %g", (int)round, found[1], spearman);
        assert_memory_equal(&found[0], &found[2], 2 * sizeof *found); /* whatever the order of the rows */
        metrics_free(&a);
        metrics_free(&b);
    }
}

/* ---- tags ---- */

/* "B-PER I-PER O" */
static size_t split(char *text, const char **out) {
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) out[n++] = word;
    return n;
}

static void add_tags(metrics *m, const char *predicted, const char *wanted) {
    char p[256], w[256];
    const char *p_tags[64], *w_tags[64];
    snprintf(p, sizeof p, "%s", predicted);
    snprintf(w, sizeof w, "%s", wanted);
    const size_t n = split(w, w_tags);
    assert_int_equal(split(p, p_tags), n);
    assert_int_equal(metrics_add_tags(m, p_tags, w_tags, n, NULL), POFAC_OK);
}

/* right, predicted and wanted spans */
static void expect_spans(const char *predicted, const char *wanted, unsigned right, unsigned n_predicted, unsigned n_wanted) {
    metrics m = metrics_begin(METRIC_TAGS);
    add_tags(&m, predicted, wanted);
    if (m.spans_right != right || m.spans_predicted != n_predicted || m.spans_wanted != n_wanted)
        fail_msg("%s | %s: %d %d %d, wanted %u %u %u", predicted, wanted, (int)m.spans_right, (int)m.spans_predicted,
                 (int)m.spans_wanted, right, n_predicted, n_wanted);
    metrics_free(&m);
}

static void spans(void **state) {
    (void)state;
    expect_spans("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC", 2, 2, 2);
    expect_spans("B-PER O O B-LOC", "B-PER I-PER O B-LOC", 1, 2, 2);     /* another end */
    expect_spans("O I-PER O B-LOC", "B-PER I-PER O B-LOC", 1, 2, 2);     /* another beginning */
    expect_spans("B-LOC I-LOC O B-LOC", "B-PER I-PER O B-LOC", 1, 2, 2); /* another type */
    expect_spans("I-PER I-PER O I-LOC", "B-PER I-PER O B-LOC", 2, 2, 2); /* IOB1 beside IOB2 */
    expect_spans("B-PER E-PER O S-LOC", "B-PER I-PER O B-LOC", 2, 2, 2); /* IOBES */
    expect_spans("B-PER B-PER", "B-PER I-PER", 0, 2, 1);
    expect_spans("I-PER I-LOC", "B-PER B-LOC", 2, 2, 2); /* another type begins another span */
    expect_spans("B-PER I-LOC", "B-PER I-PER", 0, 2, 1);
    expect_spans("S-PER S-PER", "S-PER S-PER", 2, 2, 2);
    expect_spans("E-PER E-PER", "B-PER I-PER", 0, 2, 1);
    expect_spans("B I", "B I", 1, 1, 1); /* without types */
    expect_spans("BPER IPER", "B-PER I-PER", 1, 1, 1);
    expect_spans("B-A-B I-A-B", "B-A-B I-A-B", 1, 1, 1);
    expect_spans("O O", "O O", 0, 0, 0);
    expect_spans("", "", 0, 0, 0);
    expect_spans("B-PER", "O", 0, 1, 0);
}

static void scores_of_spans(void **state) {
    (void)state;
    metrics m = metrics_begin(METRIC_TAGS);
    expect(&m, "precision", 0.0);
    expect(&m, "recall", 0.0);
    expect(&m, "f1", 0.0);
    expect(&m, "accuracy", NAN);
    add_tags(&m, "O O O B-MISC I-MISC I-MISC O", "O O B-MISC I-MISC I-MISC I-MISC O"); /* seqeval's own example */
    add_tags(&m, "B-PER I-PER O", "B-PER I-PER O");
    finish(&m);
    expect(&m, "precision", 0.5);
    expect(&m, "recall", 0.5);
    expect(&m, "f1", 0.5);
    expect(&m, "accuracy", 0.8);
    add_tags(&m, "O O O", "B-PER I-PER I-PER");
    expect(&m, "recall", 1.0 / 3.0);
    expect(&m, "f1", 0.4);
    metrics_free(&m);
}

/* ---- losses ---- */

static void losses(void **state) {
    (void)state;
    metrics m = metrics_begin(METRIC_LOSSES);
    expect(&m, "loss", NAN);
    expect(&m, "perplexity", NAN);
    metrics_add_loss(&m, 2.0, 4);
    metrics_add_loss(&m, 6.0, 2);
    finish(&m);
    expect(&m, "loss", 8.0 / 6.0);
    expect(&m, "perplexity", exp(8.0 / 6.0));
    metrics_add_loss(&m, 1e9, 1);
    assert_true(isinf(compute_perplexity(&m)));
    metrics_free(&m);
}

/* ---- answers ---- */

/* `wanted` has answers with '|' between; `predicted` NULL: nobody answered. */
static void add_answer(metrics *m, const char *predicted, const char *wanted, const double *odds) {
    answer_text texts[8];
    size_t n = 0;
    for (const char *at = wanted; *at || at > wanted; at += strcspn(at, "|") + 1) {
        texts[n++] = (answer_text){at, strcspn(at, "|")};
        if (!at[strcspn(at, "|")]) break;
    }
    const answer_text p = {predicted, predicted ? strlen(predicted) : 0};
    if (predicted) assert_int_equal(metrics_add_answer(m, &p, texts, n, odds, NULL), POFAC_OK);
    else assert_int_equal(metrics_add_unanswered(m, texts, n, NULL), POFAC_OK);
}

static void expect_answer(answer_rules rules, const char *predicted, const char *wanted, double exact, double f1) {
    metrics m = metrics_begin(METRIC_ANSWERS);
    m.rules = rules;
    add_answer(&m, predicted, wanted, NULL);
    finish(&m);
    expect(&m, "exact_match", 100.0 * exact);
    expect(&m, "exact", 100.0 * exact);
    expect(&m, "f1", 100.0 * f1);
    expect(&m, "total", 1.0);
    expect(&m, "best_exact", NAN);
    metrics_free(&m);
}

static void answers(void **state) {
    (void)state;
    expect_answer(ANSWER_RULES_V1, "The Denver Broncos!", "denver broncos", 1.0, 1.0);
    expect_answer(ANSWER_RULES_V1, "Broncos", "Denver Broncos|the Broncos.", 1.0, 1.0);
    expect_answer(ANSWER_RULES_V1, "Denver", "the Denver Broncos", 0.0, 2 * 1.0 * 0.5 / 1.5);
    expect_answer(ANSWER_RULES_V1, "a b b", "b b b c", 0.0, 2 * 1.0 * 0.5 / 1.5);
    expect_answer(ANSWER_RULES_V1, "x", "y", 0.0, 0.0);
    /* the best of each number by itself */
    expect_answer(ANSWER_RULES_V1, "", "A|x", 1.0, 0.0);
    expect_answer(ANSWER_RULES_V1, "the", "A", 1.0, 0.0);
    expect_answer(ANSWER_RULES_V2, "", "A|x", 0.0, 0.0); /* texts without a word do not count */
    expect_answer(ANSWER_RULES_V2, "", "", 1.0, 1.0);
    expect_answer(ANSWER_RULES_V2, "the", "", 1.0, 1.0);
    expect_answer(ANSWER_RULES_V2, "x", "", 0.0, 0.0);
    expect_answer(ANSWER_RULES_V2, NULL, "", 0.0, 0.0); /* nobody answered */
    expect_answer(ANSWER_RULES_V1, NULL, "A", 0.0, 0.0);
}

static void answers_of_both_kinds(void **state) {
    (void)state;
    static const struct {
        const char *predicted, *wanted;
        double odds;
    } rows[] = {{"x", "x", 0.1}, {"x y", "x", 0.4}, {"", "", 0.9}, {"x", "", 0.8}, {"y", "x", 0.7}};
    metrics m = metrics_begin(METRIC_ANSWERS);
    m.rules = ANSWER_RULES_V2;
    for (size_t i = 0; i < 5; i++) add_answer(&m, rows[i].predicted, rows[i].wanted, &rows[i].odds);
    finish(&m);
    expect(&m, "exact", 40.0);
    expect(&m, "f1", 100.0 * (1.0 + 2.0 / 3.0 + 1.0) / 5.0);
    expect(&m, "total", 5.0);
    expect(&m, "HasAns_exact", 100.0 / 3.0);
    expect(&m, "HasAns_f1", 100.0 * (1.0 + 2.0 / 3.0) / 3.0);
    expect(&m, "HasAns_total", 3.0);
    expect(&m, "NoAns_exact", 50.0);
    expect(&m, "NoAns_f1", 50.0);
    expect(&m, "NoAns_total", 2.0);
    /* 2 points for no answers; +1 at 0.1; f1 2/3 more at 0.4; nothing at 0.7; one less at 0.8 */
    expect(&m, "best_exact", 60.0);
    expect(&m, "best_exact_thresh", 0.1);
    expect(&m, "best_f1", 100.0 * (3.0 + 2.0 / 3.0) / 5.0);
    expect(&m, "best_f1_thresh", 0.4);
    m.no_answer_threshold = 0.75; /* the last two of them become no answer */
    expect(&m, "exact", 60.0);
    expect(&m, "NoAns_exact", 100.0);
    m.no_answer_threshold = 0.05;
    expect(&m, "exact", 40.0);
    expect(&m, "HasAns_f1", 0.0);
    metrics_free(&m);
    m = metrics_begin(METRIC_ANSWERS);
    finish(&m);
    static const char *const none[] = {"exact_match", "f1", "HasAns_exact", "HasAns_total", "NoAns_f1", "NoAns_total", "best_f1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) expect(&m, none[i], NAN);
    metrics_free(&m);
}

/* Normal forms as Python 3 with the official script makes them. */
static void normal_forms(void **state) {
    (void)state;
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"", ""},
        {"The  Quick\tbrown-fox, a.k.a. AN example!", "quick brownfox aka example"},
        {"the", ""},
        {"a the an", ""},
        {"theater another a1 1a", "theater another a1 1a"},
        {"the_end a_b", "theend ab"}, /* punctuation goes before articles do */
        {"a-the", "athe"},
        {"A\xc2\xa0"
         "B\xe3\x80\x80"
         "C",
         "b c"}, /* spaces of Unicode */
        {"x\x1cy\xc2\x85z", "x y z"},
        {"x\xe2\x80\x8by", "x\xe2\x80\x8by"},                             /* a zero-width space is none */
        {"\xe2\x80\x9cthe\xe2\x80\x9d x", "\xe2\x80\x9c \xe2\x80\x9d x"}, /* quotes outside of ASCII stay */
        {"the\xe2\x80\x93"
         "end",
         "\xe2\x80\x93"
         "end"},
        {"\xc3\x89t\xc3\xa9 THE \xce\xa3\xce\x91\xce\xa3", "\xc3\xa9t\xc3\xa9 \xcf\x83\xce\xb1\xcf\x82"}, /* final sigma */
        {"\xc4\xb0", "i\xcc\x87"},
        {"a\xcc\x81", "\xcc\x81"}, /* an accent is no letter */
        {"the\xe6\x9d\xb1 an\xc2\xb2", "the\xe6\x9d\xb1 an\xc2\xb2"},
    };
    strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const answer_text text = {cases[i].text, strlen(cases[i].text)};
        assert_int_equal(answer_text_normalize(&text, NULL, &out), POFAC_OK);
        assert_string_equal(strbuf_str(&out), cases[i].wanted);
    }
    const answer_text broken = {"x\xff\xfe y\xc3", 6}; /* what is no UTF-8 stays */
    assert_int_equal(answer_text_normalize(&broken, NULL, &out), POFAC_OK);
    assert_string_equal(strbuf_str(&out), broken.text);
    strbuf_free(&out);
}

/* ---- failing allocations ---- */

static pofac_status run_all(void) {
    static const int32_t p[3] = {0, 9, 2}, w[3] = {0, 1, 12};
    static const double x[3] = {1, 2, 3}, y[3] = {3, 1, 2}, odds = 0.5;
    static const answer_text text = {"x Y \xc3\x89", 6}, texts[2] = {{"y", 1}, {"the x", 5}};
    metrics m[3] = {metrics_begin(METRIC_CLASSES), metrics_begin(METRIC_VALUES), metrics_begin(METRIC_ANSWERS)};
    pofac_status status = metrics_add_labels(&m[0], p, w, 3, NULL);
    if (status == POFAC_OK) status = metrics_add_values(&m[1], x, y, 3, NULL);
    if (status == POFAC_OK) status = metrics_add_answer(&m[2], &text, texts, 2, &odds, NULL);
    if (status == POFAC_OK) status = metrics_add_unanswered(&m[2], texts, 2, NULL);
    for (size_t i = 0; i < 3; i++) {
        if (status == POFAC_OK) status = metrics_finish(&m[i], NULL);
        metrics_free(&m[i]);
    }
    return status;
}

static void failing_allocations(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        const pofac_status status = run_all();
        const bool failed = fail_alloc_stop();
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK)) fail_msg("allocation %zu fails: status %d", n, status);
        if (!failed) break;
    }
}

/* Names are unique within an input; every row was computed above. */
static void the_whole_table(void **state) {
    (void)state;
    for (size_t i = 0; metrics_row(i); i++) {
        const metric_row *row = metrics_row(i);
        assert_ptr_equal(metrics_find(row->input, row->name, strlen(row->name)), row);
        if (!checked[i]) fail_msg("%s of %s is computed by no test", row->name, metric_input_name(row->input));
    }
    assert_null(metrics_find(METRIC_CLASSES, "pearson", 7));
    assert_null(metrics_find(METRIC_CLASSES, "accurac", 7));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels),
        cmocka_unit_test(generated_labels),
        cmocka_unit_test(correlations),
        cmocka_unit_test(generated_values),
        cmocka_unit_test(spans),
        cmocka_unit_test(scores_of_spans),
        cmocka_unit_test(losses),
        cmocka_unit_test(answers),
        cmocka_unit_test(answers_of_both_kinds),
        cmocka_unit_test(normal_forms),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(the_whole_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
