/*
 * Histograms of values: whatever the order and the pieces, the same bins; percentiles beside sorted values, and the range of least error beside all others, both
 * computed here from the values themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/value_histogram.h"
#include "frontend/driver/weight_ranges.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"

#define N 20000

/* Normal numbers about `middle`, of which one in a thousand is 20 times as far out. */
static float *made_values(const char *name, double middle) {
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    rng_normals(rng_key_make(3, name), 0, N, 1.0, x);
    for (size_t i = 0; i < N; i++) x[i] = (float)middle + (i % 1000 == 17 ? 20 * x[i] : x[i]);
    return x;
}

static value_histogram histogram_of(const float *x, int64_t n) {
    value_histogram h;
    assert_int_equal(value_histogram_create(NULL, &h), POFAC_OK);
    assert_true(value_histogram_add(&h, x, n));
    return h;
}

static int by_value(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* ---- counting ---- */

static void test_counts_do_not_depend_on_order(void **state) {
    (void)state;
    float *x = made_values("order", 0.25);
    value_histogram whole = histogram_of(x, N), parts;
    assert_int_equal(value_histogram_create(NULL, &parts), POFAC_OK);
    qsort(x, N, sizeof *x, by_value);
    for (int64_t first = N; first > 0; first -= N / 20) /* from the largest to the smallest, and the middle first */
        assert_true(value_histogram_add(&parts, x + (first + N / 2 - N / 20) % N, N / 20));
    assert_int_equal(parts.n, N);
    assert_int_equal(parts.exponent, whole.exponent);
    assert_true(parts.range.min == whole.range.min && parts.range.max == whole.range.max);
    assert_true(whole.range.min == x[0] && whole.range.max == x[N - 1]);
    uint64_t sum = 0;
    for (size_t i = 0; i < VALUE_HISTOGRAM_BINS; i++) {
        if (parts.bins[i] != whole.bins[i])
            fail_msg("bin %zu: found %llu, wanted %llu", i, (unsigned long long)parts.bins[i], (unsigned long long)whole.bins[i]);
        sum += whole.bins[i];
    }
    assert_int_equal(sum, N);
    value_histogram_free(&parts);
    value_histogram_free(&whole);
    free(x);
}

static void test_bins_hold_their_values(void **state) {
    (void)state;
    static const float values[] = {0, -0.0f, 1, -1, 1.5f, -1.5f, 0x1p-130f, -0x1p-130f};
    value_histogram h = histogram_of(values, 8);
    assert_int_equal(h.exponent, 1 - 13); /* 1.5 is below 2^1, and half of the bins are 2^13 */
    const size_t zero = VALUE_HISTOGRAM_BINS / 2, one = (size_t)1 << 12;
    assert_int_equal(h.bins[zero], 3);
    assert_int_equal(h.bins[zero - 1], 1); /* what is just below zero */
    assert_int_equal(h.bins[zero + one], 1);
    assert_int_equal(h.bins[zero - one], 1);
    assert_int_equal(h.bins[zero + one + one / 2], 1);
    assert_int_equal(h.bins[zero - one - one / 2], 1);
    assert_true(value_histogram_add(&h, &(float){FLT_MAX}, 1)); /* everything else is next to zero then */
    assert_int_equal(h.bins[zero], 5);
    assert_int_equal(h.bins[zero - 1], 3);
    assert_int_equal(h.bins[VALUE_HISTOGRAM_BINS - 1], 1);
    value_histogram_free(&h);
}

/* Zeros say nothing of how large what follows is. */
static void test_zeros_first(void **state) {
    (void)state;
    static const float zeros[4] = {0, -0.0f, 0, 0}, small[4] = {0x1p-30f, -0x1p-31f, 0x1.8p-30f, 0};
    value_histogram h = histogram_of(zeros, 4);
    assert_true(value_histogram_add(&h, small, 4));
    assert_int_equal(h.exponent, -29 - 13);
    assert_int_equal(h.bins[VALUE_HISTOGRAM_BINS / 2], 5);
    assert_int_equal(h.bins[VALUE_HISTOGRAM_BINS / 2 + 4096], 1);
    assert_int_equal(h.bins[VALUE_HISTOGRAM_BINS / 2 + 6144], 1);
    assert_int_equal(h.bins[VALUE_HISTOGRAM_BINS / 2 - 2048], 1);
    value_histogram_free(&h);
}

static void test_what_is_not_finite(void **state) {
    (void)state;
    const float wrong[] = {1, NAN, 2, 3, INFINITY, 4, -INFINITY};
    value_histogram h;
    assert_int_equal(value_histogram_create(NULL, &h), POFAC_OK);
    assert_false(value_histogram_add(&h, wrong, 3));
    assert_false(value_histogram_add(&h, wrong + 3, 2));
    assert_false(value_histogram_add(&h, wrong + 5, 2));
    assert_int_equal(h.n, 0);
    assert_true(value_range_is_none(h.range));
    assert_true(value_range_is_none(value_histogram_percentile(&h, 99)));
    assert_true(value_range_is_none(value_histogram_least_error(&h, QUANTIZE_AFFINE)));
    assert_true(value_histogram_add(&h, wrong, 0));
    value_histogram_free(&h);
}

/* ---- percentiles ---- */

static void test_percentiles(void **state) {
    (void)state;
    static const double percentiles[] = {99.99, 99.9, 99, 90, 60};
    float *x = made_values("percentiles", -0.5);
    value_histogram h = histogram_of(x, N);
    qsort(x, N, sizeof *x, by_value);
    const value_range all = value_histogram_percentile(&h, 100);
    assert_true(all.min == x[0] && all.max == x[N - 1]);
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++) {
        const value_range r = value_histogram_percentile(&h, percentiles[i]);
        const double out = (1 - percentiles[i] / 100) * N;
        const size_t k = (size_t)(out + 1e-6); /* so many may be outside at each end */
        const float bin = ldexpf(1, h.exponent);
        if (!(r.min <= x[k] && r.min > x[k] - bin - 1e-6f))
            fail_msg("%g: least %g, wanted %g", percentiles[i], (double)r.min, (double)x[k]);
        if (!(r.max >= x[N - 1 - k] && r.max <= x[N - 1 - k] + bin + 1e-6f))
            fail_msg("%g: greatest %g, wanted %g", percentiles[i], (double)r.max, (double)x[N - 1 - k]);
    }
    value_histogram_free(&h);
    free(x);
}

/* ---- least error ---- */

/* The sum of squared errors of the values, by the formulas of the spec, in double precision. */
static double true_error(const float *x, size_t n, double min, double max, int symmetric_bits) {
    const double half = (double)(1 << (symmetric_bits ? symmetric_bits - 1 : 7)), least = symmetric_bits ? -half : 0,
                 most = symmetric_bits ? half - 1 : 255;
    const double scale = symmetric_bits ? fmax(-min, max) / (half - 0.5) : (fmax(max, 0) - fmin(min, 0)) / 255;
    const double zero = symmetric_bits ? 0 : fmin(fmax(-nearbyint(fmin(min, 0) / scale), 0), 255);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double q = fmin(fmax(nearbyint(x[i] / scale) + zero, least), most), lost = x[i] - (q - zero) * scale;
        sum += lost * lost;
    }
    return sum;
}

static void check_least_error(const char *name, double middle) {
    enum { EVERY = 10 }; /* of the values in this search */
    float *x = made_values(name, middle), *few = malloc(N / EVERY * sizeof *few);
    assert_non_null(few);
    size_t n = 0;
    for (size_t i = 7; i < N; i += EVERY) few[n++] = x[i];
    value_histogram h = histogram_of(few, (int64_t)n);
    const value_range r = value_histogram_least_error(&h, QUANTIZE_AFFINE), all = h.range;
    assert_true(r.min >= all.min && r.max <= all.max);
    double best = INFINITY;
    for (int a = 8; a <= 64; a += 2)
        for (int b = 8; b <= 64; b += 2) {
            const double e = true_error(few, n, (double)all.min * a / 64, (double)all.max * b / 64, 0);
            best = e < best ? e : best;
        }
    const double found = true_error(few, n, (double)r.min, (double)r.max, 0),
                 plain = true_error(few, n, (double)all.min, (double)all.max, 0);
    if (!(found <= 1.03 * best)) fail_msg("%s: error %g, the best is %g, that of all values %g", name, found, best, plain);
    assert_true(found <= plain);
    assert_true(fabs(value_histogram_error(&h, r, QUANTIZE_AFFINE) - found) < 0.05 * found);
    value_histogram_free(&h);
    free(few);
    free(x);
}

static void test_least_error(void **state) {
    (void)state;
    check_least_error("outliers at both ends", 0);
    check_least_error("all on one side", 30);
    check_least_error("mostly below zero", -2);
}

static void test_least_error_of_symmetric_ranges(void **state) {
    (void)state;
    float *x = made_values("symmetric", 0.1);
    value_histogram h = histogram_of(x, N);
    const value_range r = value_histogram_least_error(&h, QUANTIZE_SYMMETRIC);
    const double found = true_error(x, N, (double)r.min, (double)r.max, 8);
    double best = INFINITY;
    for (int a = 13; a <= 64; a++)
        best = fmin(best, true_error(x, N, (double)h.range.min * a / 64, (double)h.range.max * a / 64, 8));
    if (!(found <= 1.02 * best)) fail_msg("error %g, the best is %g", found, best);
    value_histogram_free(&h);
    free(x);
}

/* ---- weights ---- */

static void test_ranges_of_weights(void **state) {
    (void)state;
    float *x = made_values("weights", 0);
    thread_pool *pool;
    assert_int_equal(thread_pool_create(2, NULL, &pool), POFAC_OK);
    for (int bits = 4; bits <= 8; bits += 4) {
        value_range rows[N / 1000], again[N / 1000];
        weight_ranges(x, N / 1000, 1000, CALIBRATE_MINMAX, bits, pool, rows);
        weight_ranges(x, N / 1000, 1000, CALIBRATE_MSE, bits, pool, again);
        for (size_t row = 0; row < N / 1000; row++) {
            const float *w = x + 1000 * row;
            float most = 0;
            for (size_t i = 0; i < 1000; i++) most = fmaxf(most, fabsf(w[i]));
            assert_true(rows[row].max == most && rows[row].min == -most);
            double best = INFINITY;
            for (int a = 20; a <= 64; a++)
                best = fmin(best, true_error(w, 1000, (double)-most * a / 64, (double)most * a / 64, bits));
            const double found = true_error(w, 1000, (double)again[row].min, (double)again[row].max, bits);
            if (!(found <= 1.0001 * best)) fail_msg("%d bits, row %zu: error %g, the best is %g", bits, row, found, best);
            assert_true(again[row].min == -again[row].max);
        }
    }
    const value_range whole = weight_range(x, N, CALIBRATE_PERCENTILE, 8), nothing = weight_range(x, 0, CALIBRATE_MSE, 8);
    value_histogram h = histogram_of(x, N);
    assert_true(whole.max == fmaxf(-h.range.min, h.range.max));
    assert_true(nothing.min == 0 && nothing.max == 0);
    value_histogram_free(&h);
    x[5] = NAN;
    assert_true(value_range_is_none(weight_range(x, N, CALIBRATE_MINMAX, 8)));
    value_range some[] = {{-2, 2}, {0, 0}, {-1, 3}, VALUE_RANGE_NONE}, none[] = {VALUE_RANGE_NONE, {0, 0}};
    weight_ranges_widen(some, 4);
    weight_ranges_widen(none, 2);
    for (int i = 0; i < 4; i++) assert_true(some[i].min == (i == 2 ? -1 : -2) && some[i].max == (i == 0 ? 2 : 3));
    for (int i = 0; i < 2; i++) assert_true(none[i].min == -1 && none[i].max == 1);
    thread_pool_destroy(pool);
    free(x);
}

static void test_short_memory(void **state) {
    (void)state;
    value_histogram h;
    fail_alloc_after(1);
    assert_int_equal(value_histogram_create(NULL, &h), POFAC_ERR_RUNTIME);
    assert_true(fail_alloc_stop());
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts_do_not_depend_on_order),
                                       cmocka_unit_test(test_bins_hold_their_values),
                                       cmocka_unit_test(test_zeros_first),
                                       cmocka_unit_test(test_what_is_not_finite),
                                       cmocka_unit_test(test_percentiles),
                                       cmocka_unit_test(test_least_error),
                                       cmocka_unit_test(test_least_error_of_symmetric_ranges),
                                       cmocka_unit_test(test_ranges_of_weights),
                                       cmocka_unit_test(test_short_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
