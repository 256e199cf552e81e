/* Thinning of curves keeps what is seen of them; means go through the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "frontend/report/curve_points.h"
#include "ir/support/rng.h"

enum { N = 20000, STRETCHES = 100 };

/* Each stretch keeps its least and greatest value, the curve its ends; the rest goes. */
static void thinning_keeps_extremes(void **state) {
    (void)state;
    double *x = calloc(N, sizeof *x), *y = calloc(N, sizeof *y);
    size_t *kept = calloc(N, sizeof *kept);
    const rng_key key = rng_key_make(1, "curve");
    for (size_t i = 0; i < N; i++) x[i] = (double)i, y[i] = rng_normal(key, i);
    const size_t n = curve_thin(x, y, N, STRETCHES, kept);
    assert_in_range(n, 3 * STRETCHES, 4 * STRETCHES + 4);
    assert_int_equal(kept[0], 0);
    assert_int_equal(kept[n - 1], N - 1);
    for (size_t s = 0; s < STRETCHES; s++) {
        double least = INFINITY, greatest = -INFINITY, kept_least = INFINITY, kept_greatest = -INFINITY;
        const double width = (N - 1.0) / STRETCHES;
        for (size_t i = 0; i < N; i++)
            if (floor(x[i] / width) == (double)s) least = fmin(least, y[i]), greatest = fmax(greatest, y[i]);
        for (size_t i = 0; i < n; i++)
            if (floor(x[kept[i]] / width) == (double)s)
                kept_least = fmin(kept_least, y[kept[i]]), kept_greatest = fmax(kept_greatest, y[kept[i]]);
        if (least != kept_least || greatest != kept_greatest)
            fail_msg("stretch %zu: found %g to %g, wanted %g to %g", s, kept_least, kept_greatest, least, greatest);
    }
    for (size_t i = 1; i < n; i++) assert_true(kept[i] > kept[i - 1]);
    free(x);
    free(y);
    free(kept);
}

static void short_curves_stay(void **state) {
    (void)state;
    const double x[] = {1, 2, 5, 9}, y[] = {4, NAN, 2, 3}, same[] = {3, 3, 3, 3};
    size_t kept[4];
    assert_int_equal(curve_thin(x, y, 4, 100, kept), 4);
    assert_int_equal(curve_thin(same, y, 4, 100, kept), 4);
    assert_int_equal(curve_thin(x, y, 1, 100, kept), 1);
    assert_int_equal(curve_thin(x, y, 0, 100, kept), 0);
}

static void gaps_stay(void **state) {
    (void)state;
    double x[1000], y[1000];
    size_t kept[1000], gaps = 0;
    for (size_t i = 0; i < 1000; i++) x[i] = (double)i, y[i] = i >= 300 && i < 310 ? NAN : 1;
    const size_t n = curve_thin(x, y, 1000, 10, kept);
    assert_true(n < 100);
    for (size_t i = 0; i < n; i++) gaps += isnan(y[kept[i]]);
    assert_true(gaps >= 1);
}

static void means_keep_lines(void **state) {
    (void)state;
    double y[50], out[50];
    for (size_t i = 0; i < 50; i++) y[i] = 3.0 * (double)i + 1;
    curve_smooth(y, 50, 7, out);
    for (size_t i = 0; i < 50; i++)
        if (fabs(out[i] - y[i]) > 1e-9) fail_msg("point %zu: found %g, wanted %g", i, out[i], y[i]);
    const double steps[] = {0, 0, 9, 0, NAN, 6};
    curve_smooth(steps, 6, 1, out);
    const double wanted[] = {0, 3, 3, 4.5, NAN, 6};
    for (size_t i = 0; i < 6; i++)
        if (!(out[i] == wanted[i] || (isnan(out[i]) && isnan(wanted[i]))))
            fail_msg("point %zu: found %g, wanted %g", i, out[i], wanted[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(thinning_keeps_extremes), cmocka_unit_test(short_curves_stay),
                                       cmocka_unit_test(gaps_stay), cmocka_unit_test(means_keep_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
