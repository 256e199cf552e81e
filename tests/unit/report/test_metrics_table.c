/* Lines of metrics as columns: order, gaps, steps written twice, and damage that is named by its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "frontend/report/metrics_table.h"
#include "tests/unit/fail_alloc.h"

static metrics_table read_text(const char *text, strbuf *messages) {
    const diag_sink sink = diag_sink_to_strbuf(messages);
    metrics_table t;
    assert_int_equal(metrics_table_read("m.jsonl", text, strlen(text), &sink, &t), POFAC_OK);
    return t;
}

static void column_is(const metrics_table *t, const char *name, size_t n, const double *steps, const double *values) {
    const metric_column *c = metrics_table_find(t, name);
    assert_non_null(c);
    assert_int_equal(c->steps.size, n);
    assert_int_equal(c->values.size, n);
    for (size_t i = 0; i < n; i++)
        if (c->steps.data[i] != steps[i] || !(c->values.data[i] == values[i] || (isnan(c->values.data[i]) && isnan(values[i]))))
            fail_msg("%s: found %g at step %g, wanted %g at %g", name, c->values.data[i], c->steps.data[i], values[i], steps[i]);
}

static void lines_become_columns(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    metrics_table t =
        read_text("{\"step\": 1, \"loss\": 2.5, \"tag\": \"x\"}\n\n{\"step\": 1, \"eval_loss\": 3}\n{\"step\": 2, \"loss\": null}\n"
                  "{\"step\": 3, \"loss\": 0.1}",
                  &messages);
    assert_int_equal(t.n_lines, 4);
    assert_int_equal(t.columns.size, 2);
    column_is(&t, "loss", 3, (const double[]){1, 2, 3}, (const double[]){2.5, NAN, 0.1});
    column_is(&t, "eval_loss", 1, (const double[]){1}, (const double[]){3});
    assert_null(metrics_table_find(&t, "tag"));
    assert_string_equal(strbuf_str(&messages), "");
    metrics_table_free(&t);
    strbuf_free(&messages);
}

static void later_lines_replace(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    metrics_table t = read_text(
        "{\"step\": 1, \"loss\": 1}\n{\"step\": 2, \"loss\": 2}\n{\"step\": 3, \"loss\": 3}\n{\"step\": 2, \"loss\": 7}\n",
        &messages);
    column_is(&t, "loss", 2, (const double[]){1, 2}, (const double[]){1, 7});
    metrics_table_free(&t);
    strbuf_free(&messages);
}

static void damage_is_named(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    metrics_table t = read_text(
        "{\"step\": 1, \"loss\": 1}\nnothing\n[1]\n{\"loss\": 1}\n{\"step\": 2, \"loss\": 2}\n{\"step\": 3, \"lo", &messages);
    assert_int_equal(t.n_lines, 2);
    assert_int_equal(t.damaged.size, 4);
    const size_t wanted[] = {2, 3, 4, 6};
    assert_memory_equal(t.damaged.data, wanted, sizeof wanted);
    assert_non_null(strstr(strbuf_str(&messages),
                           "m.jsonl:6: warning: found no line of metrics, wanted an object with a \"step\"; left out\n"));
    column_is(&t, "loss", 2, (const double[]){1, 2}, (const double[]){1, 2});
    metrics_table_free(&t);
    strbuf_free(&messages);
    t = read_text("", &messages);
    assert_int_equal(t.n_lines + t.damaged.size, 0);
    metrics_table_free(&t);
}

static void ten_warnings_are_enough(void **state) {
    (void)state;
    strbuf text = STRBUF_INIT, messages = STRBUF_INIT;
    size_t warnings = 0;
    for (int i = 0; i < 100; i++) strbuf_puts(&text, "x\n");
    metrics_table t = read_text(strbuf_str(&text), &messages);
    assert_int_equal(t.damaged.size, 100);
    for (const char *at = strbuf_str(&messages); (at = strstr(at, "warning")); at++) warnings++;
    assert_int_equal(warnings, 10);
    metrics_table_free(&t);
    strbuf_free(&text);
    strbuf_free(&messages);
}

static void short_memory_is_told(void **state) {
    (void)state;
    const char *text = "{\"step\": 1, \"loss\": 1, \"rate\": 2}\n{\"step\": 2, \"loss\": 1}\nx\n";
    size_t failed = 0;
    for (size_t n = 1;; n++) {
        metrics_table t;
        fail_alloc_after(n);
        const pofac_status status = metrics_table_read("m", text, strlen(text), NULL, &t);
        const bool has_failed = fail_alloc_stop();
        assert_int_equal(status, has_failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        if (status == POFAC_OK) assert_int_equal(t.n_lines, 2);
        metrics_table_free(&t);
        if (!has_failed) break;
        failed++;
    }
    assert_true(failed >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_become_columns), cmocka_unit_test(later_lines_replace),
                                       cmocka_unit_test(damage_is_named), cmocka_unit_test(ten_warnings_are_enough),
                                       cmocka_unit_test(short_memory_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
