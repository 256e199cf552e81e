/* Charts: every value stands in the attributes of its series, as metrics.jsonl has it; names are escaped; gaps are gaps; lines are thinned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/report/line_chart.h"
#include "frontend/report/share_map.h"
#include "ir/support/json_text.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"

static size_t count(const strbuf *text, const char *part) {
    size_t n = 0;
    for (const char *at = strbuf_str(text); (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

static void has(const strbuf *text, const char *part) {
    if (!strstr(strbuf_str(text), part)) fail_msg("found no %s in %.2000s", part, strbuf_str(text));
}

static void values_stand_in_attributes(void **state) {
    (void)state;
    const double x[] = {1, 2, 30000}, y[] = {0.1, NAN, 2.5e-07};
    const chart_series series[] = {{.run = "a", .metric = "loss", .x = x, .y = y, .n = 3, .marked = true}};
    const chart c = {.title = "Loss", .unit = "", .series = series, .n_series = 1};
    strbuf out = STRBUF_INIT;
    assert_int_equal(chart_put(&c, NULL, &out), POFAC_OK);
    has(&out, "data-run=\"a\" data-metric=\"loss\" data-steps=\"1 2 30000\" data-values=\"0.1 null 2.5e-07\"");
    assert_int_equal(count(&out, "class=\"mark\""), 3); /* two values, and the legend's */
    assert_null(strstr(strbuf_str(&out), "nan"));
    strbuf_free(&out);
}

/* Many marked points have some of their marks; 64 styles have as many looks. */
static void marks_and_looks(void **state) {
    (void)state;
    double x[400];
    for (int i = 0; i < 400; i++) x[i] = i + 1;
    const chart_series series[] = {{.run = "a", .metric = "loss", .x = x, .y = x, .n = 400, .marked = true}};
    const chart c = {.title = "Loss", .unit = "", .series = series, .n_series = 1};
    strbuf out = STRBUF_INIT, looks = STRBUF_INIT;
    assert_int_equal(chart_put(&c, NULL, &out), POFAC_OK);
    assert_int_equal(count(&out, "class=\"mark\""), 59); /* every seventh, and the legend's */
    for (unsigned i = 0; i < 64; i++) {
        strbuf_clear(&out);
        chart_put_swatch(i, true, &out);
        assert_null(strstr(strbuf_str(&looks), strbuf_str(&out)));
        strbuf_append(&looks, out.data, out.size);
    }
    strbuf_free(&looks);
    strbuf_free(&out);
}

static void names_are_escaped(void **state) {
    (void)state;
    const double x[] = {1, 2}, y[] = {1, 2};
    const chart_series series[] = {{.run = "<script>alert(\"1\")</script>", .metric = "a&b", .x = x, .y = y, .n = 2}};
    const chart c = {.title = "T<", .unit = "\x01\xff'", .series = series, .n_series = 1};
    strbuf out = STRBUF_INIT;
    assert_int_equal(chart_put(&c, NULL, &out), POFAC_OK);
    assert_null(strstr(strbuf_str(&out), "<script"));
    has(&out, "data-run=\"&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;\" data-metric=\"a&amp;b\"");
    has(&out, "<b>T&lt;</b> <span class=\"quiet\">\xEF\xBF\xBD\xEF\xBF\xBD&#39;, by step");
    strbuf_free(&out);
}

static void long_curves_are_thinned_without_loss(void **state) {
    (void)state;
    enum { N = 30000 };
    double *x = calloc(N, sizeof *x), *y = calloc(N, sizeof *y);
    const rng_key key = rng_key_make(5, "curve");
    strbuf out = STRBUF_INIT, wanted = STRBUF_INIT;
    strbuf_puts(&wanted, "data-values=\"");
    for (size_t i = 0; i < N; i++) {
        x[i] = (double)i + 1;
        y[i] = fabs(rng_normal(key, i)) + 0.001;
        if (i) strbuf_putc(&wanted, ' ');
        json_put_real(y[i], &wanted);
    }
    strbuf_puts(&wanted, "\">");
    const chart_series series[] = {{.run = "a", .metric = "loss", .x = x, .y = y, .n = N}};
    const chart c = {.title = "Loss", .unit = "", .noisy = true, .scale = CHART_LOG_WHERE_WIDE, .series = series, .n_series = 1};
    assert_int_equal(chart_put(&c, NULL, &out), POFAC_OK);
    if (!strstr(strbuf_str(&out), strbuf_str(&wanted))) fail_msg("the %d values are not in the attribute", N);
    has(&out, "logarithmic");
    has(&out, "class=\"raw\"");
    assert_in_range(count(&out, "L"), 300, 2 * 4 * 346 + 100); /* points of both lines */
    strbuf_free(&out);
    strbuf_free(&wanted);
    free(x);
    free(y);
}

static void gaps_break_lines(void **state) {
    (void)state;
    const double x[] = {1, 2, 3, 4, 5}, y[] = {1, 2, NAN, 2, 1};
    const chart_series series[] = {{.run = "a", .metric = "m", .x = x, .y = y, .n = 5}};
    const chart c = {.title = "T", .unit = "", .series = series, .n_series = 1};
    strbuf out = STRBUF_INIT;
    assert_int_equal(chart_put(&c, NULL, &out), POFAC_OK);
    const char *line = strstr(strstr(strbuf_str(&out), "data-values"), "<path class=\"line\" d=\"");
    assert_non_null(line);
    const char *end = strchr(strstr(line, "d=\"") + 3, '"');
    size_t moves = 0;
    for (const char *at = line; at < end; at++) moves += *at == 'M';
    assert_int_equal(moves, 2);
    strbuf_free(&out);
}

/* One step has one label, and zeros alone stand at the foot of the chart. */
static void single_values_have_axes(void **state) {
    (void)state;
    const double x[] = {7}, y[] = {0};
    const chart_series series[] = {{.run = "a", .metric = "m", .x = x, .y = y, .n = 1, .marked = true}};
    const chart c = {.title = "T", .unit = "", .scale = CHART_PERCENT, .series = series, .n_series = 1};
    strbuf out = STRBUF_INIT;
    assert_int_equal(chart_put(&c, NULL, &out), POFAC_OK);
    has(&out, ">7</text>");
    has(&out, ">0 %</text>");
    has(&out, ">100 %</text>");
    assert_null(strstr(strbuf_str(&out), ">-"));
    assert_int_equal(count(&out, "text-anchor=\"middle\""), 1);
    strbuf_free(&out);
}

static void nothing_is_drawn_of_nothing(void **state) {
    (void)state;
    const double x[] = {1}, y[] = {NAN};
    const chart_series series[] = {{.run = "a", .metric = "m", .x = x, .y = y, .n = 1}};
    const chart c = {.title = "T", .unit = "", .series = series, .n_series = 1};
    strbuf out = STRBUF_INIT;
    assert_int_equal(chart_put(&c, NULL, &out), POFAC_OK);
    assert_int_equal(chart_put(&(chart){.title = "T", .unit = ""}, NULL, &out), POFAC_OK);
    assert_int_equal(share_map_put(&(share_map){.run = "a"}, NULL, &out), POFAC_OK);
    assert_int_equal(out.size, 0);
}

static void maps_have_all_shares(void **state) {
    (void)state;
    const char *const rows[] = {"layer.<0>", "layer.1"}, *const labels[] = {"0", "1"};
    const double steps[] = {1, 101, 201}, shares[] = {0, 0.5, 0.9, 0, NAN, 0.25};
    const share_map m = {
        .run = "r", .rows = rows, .labels = labels, .n_rows = 2, .n_steps = 3, .steps = steps, .last_step = 300, .shares = shares};
    strbuf out = STRBUF_INIT;
    assert_int_equal(share_map_put(&m, NULL, &out), POFAC_OK);
    has(&out, "data-run=\"r\" data-metric=\"layer.&lt;0&gt;\" data-steps=\"1 101 201\" data-values=\"0.0 0.5 0.9\"");
    has(&out, "data-metric=\"layer.1\" data-steps=\"1 101 201\" data-values=\"0.0 null 0.25\"");
    has(&out, ">90.0 %</text>");
    assert_int_equal(count(&out, "data:image/png;base64,"), 1);
    strbuf_free(&out);
}

static void short_memory_is_told(void **state) {
    (void)state;
    const double x[] = {1, 2}, y[] = {1, 2};
    const chart_series series[] = {{.run = "a", .metric = "m", .x = x, .y = y, .n = 2}};
    const chart c = {.title = "T", .unit = "", .series = series, .n_series = 1};
    size_t failed = 0;
    for (size_t n = 1;; n++) {
        strbuf out = STRBUF_INIT;
        fail_alloc_after(n);
        const pofac_status status = chart_put(&c, NULL, &out);
        const bool has_failed = fail_alloc_stop(), is_told = status == POFAC_ERR_RUNTIME || !strbuf_ok(&out);
        strbuf_free(&out);
        assert_int_equal(is_told, has_failed);
        if (!has_failed) break;
        failed++;
    }
    assert_true(failed >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stand_in_attributes), cmocka_unit_test(marks_and_looks),
        cmocka_unit_test(names_are_escaped),          cmocka_unit_test(long_curves_are_thinned_without_loss),
        cmocka_unit_test(gaps_break_lines),           cmocka_unit_test(nothing_is_drawn_of_nothing),
        cmocka_unit_test(maps_have_all_shares),       cmocka_unit_test(single_values_have_axes),
        cmocka_unit_test(short_memory_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
