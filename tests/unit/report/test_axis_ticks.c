/* Ticks of axes: round, inside, as many as wanted, whatever the range; and their labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "frontend/report/axis_ticks.h"
#include "ir/support/rng.h"

static void ticks_are(const axis *a, const double *wanted, int n) {
    assert_int_equal(a->n, n);
    for (int i = 0; i < n; i++)
        if (fabs(a->ticks[i] - wanted[i]) > 1e-12 * fabs(wanted[i]))
            fail_msg("tick %d: found %g, wanted %g", i, a->ticks[i], wanted[i]);
}

static void linear_ticks_are_round(void **state) {
    (void)state;
    axis a = axis_make(0.13, 0.87, false, 5);
    ticks_are(&a, (const double[]){0, 0.2, 0.4, 0.6, 0.8, 1.0}, 6);
    a = axis_make(0, 100, false, 5);
    ticks_are(&a, (const double[]){0, 20, 40, 60, 80, 100}, 6);
    a = axis_make(-3, 14, false, 4);
    ticks_are(&a, (const double[]){-5, 0, 5, 10, 15}, 5);
    a = axis_make(7, 7, false, 5);
    assert_true(a.low < 7 && a.high > 7 && a.n >= 2);
    a = axis_make(0, 0, false, 5);
    assert_true(a.low < 0 && a.high > 0 && a.n >= 2);
}

static void logarithmic_ticks_are_powers(void **state) {
    (void)state;
    axis a = axis_make(0.001, 1000, true, 5);
    ticks_are(&a, (const double[]){0.001, 0.1, 10, 1000}, 4);
    a = axis_make(0.5, 20, true, 5);
    ticks_are(&a, (const double[]){0.5, 1, 2, 5, 10, 20}, 6);
    a = axis_make(0, 10, true, 5);
    assert_false(a.is_log);
    assert_true(fabs(axis_place(&(axis){.low = 1, .high = 100, .is_log = true}, 10) - 0.5) < 1e-12);
}

/* Whatever the range: at least one tick, none outside, rising, and values of the range within the axis. */
static void any_range_has_ticks(void **state) {
    (void)state;
    const rng_key key = rng_key_make(7, "ranges");
    for (uint64_t i = 0; i < 20000; i++) {
        const double low = rng_normal(key, 3 * i) * pow(10, rng_normal(key, 3 * i + 1) * 30);
        const double high = low + fabs(rng_normal(key, 3 * i + 2) * pow(10, rng_normal(key, 3 * i + 1) * 20));
        const axis a = axis_make(low, high, i % 2, 2 + (int)(i % 9));
        if (a.n < 1 || a.n > AXIS_MOST_TICKS || !(a.low < a.high))
            fail_msg("%g to %g: %d ticks from %g to %g", low, high, a.n, a.low, a.high);
        const double slack = 1e-9 * fmax(fabs(a.low), fabs(a.high));
        for (int k = 0; k < a.n; k++)
            if (a.ticks[k] < a.low - slack || a.ticks[k] > a.high + slack || (k && a.ticks[k] <= a.ticks[k - 1]))
                fail_msg("%g to %g: tick %d is %g", low, high, k, a.ticks[k]);
        const double place = axis_place(&a, high);
        assert_true(place >= 0 && place <= 1);
    }
    const axis widest = axis_make(-DBL_MAX, DBL_MAX, false, 5);
    assert_true(widest.n >= 1 && isfinite(widest.high - widest.low));
}

static void label_is(const axis *a, double tick, bool percent, const char *wanted) {
    strbuf text = STRBUF_INIT;
    axis_put_label(a, tick, percent, &text);
    assert_string_equal(strbuf_str(&text), wanted);
    strbuf_free(&text);
}

static void labels_are_short(void **state) {
    (void)state;
    label_is(&(axis){.step = 0.2}, 0.6000000000000001, false, "0.6");
    label_is(&(axis){.step = 0.25}, 0.5, false, "0.5");
    label_is(&(axis){.step = 20}, 40, false, "40");
    label_is(&(axis){.step = 500}, 1500, false, "1.5k");
    label_is(&(axis){.step = 5000}, 20000, false, "20k");
    label_is(&(axis){.step = 500000}, 1500000, false, "1.5M");
    label_is(&(axis){.step = 2e-5}, 4e-5, false, "4e-05");
    label_is(&(axis){.step = 0.2}, 0.4, true, "40 %");
    label_is(&(axis){.step = 0.005}, 0.025, true, "2.5 %");
    label_is(&(axis){.step = 0.2}, 1e-17, false, "0");
    label_is(&(axis){.is_log = true}, 0.01, false, "0.01");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(linear_ticks_are_round), cmocka_unit_test(logarithmic_ticks_are_powers),
                                       cmocka_unit_test(any_range_has_ticks), cmocka_unit_test(labels_are_short)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
