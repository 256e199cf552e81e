/*
 * By what sums of products of 8 bits are multiplied when their result is quantized (spec: prune once for all, section 7): numbers worked out by hand, then
 * the formula itself, in twice as many digits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "ir/quantization.h"
#include "ir/support/rng.h"

static void factors_have_sixteen_bits(void **unused) {
    (void)unused;
    static const struct {
        float scale, to;
        int32_t a, n;
    } cases[] = {
        {1, 3, 21845, 16}, /* 21845.33 */
        {3, 4, 24576, 15},         {1, 2, 32768, 16}, {1, 1, 32768, 15}, {2, 1, 32768, 14},
        {1, 6, 21845, 17},         {2, 3, 21845, 15}, {5, 7, 23406, 15}, /* 23405.71 */
        {10, 3, 27307, 13},                                              /* 27306.67 */
        {32769, 65536, 16384, 15},                                       /* 16384.5 to even */
        {32771, 65536, 16386, 15},                                       /* 16385.5 */
        {65535, 65536, 32768, 15},                                       /* 32767.5 */
        {1e-3f, 1e3f, 17180, 34},                                        /* 17179.87 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double wanted = ldexp(cases[i].a, -cases[i].n), found = quantization_factor(cases[i].scale, cases[i].to);
        if (found != wanted)
            fail_msg("%g / %g: %.17g, wanted %d / 2^%d = %.17g", (double)cases[i].scale, (double)cases[i].to, found, cases[i].a,
                     cases[i].n, wanted);
    }
}

static void factors_are_those_of_the_formula(void **unused) {
    (void)unused;
    const rng_key key = rng_key_make(3, "scales");
    int n_rounded = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        const float scale = (float)(rng_uniform(key, 3 * i) + 0.01), to = (float)exp2(40 * rng_uniform(key, 3 * i + 1) - 20);
        const double s = scale / to, n = floor(15 - log2(s)), wanted = rint(s * exp2(n)) / exp2(n);
        const float found = quantization_factor(scale, to);
        if ((double)found != wanted) fail_msg("%.9g / %.9g: %.9g, wanted %.17g", (double)scale, (double)to, (double)found, wanted);
        n_rounded += (double)found != s;
    }
    assert_true(n_rounded > 19000);
}

/* pitfall 2: 0 is 0 in 8 bits and back, whatever the range: all zeros, one outlier, ranges on one side of 0, the least floats and large ones. */
static void zero_is_exact(void **unused) {
    (void)unused;
    static const float ends[] = {0,       1e-45f,  1e-38f,  1e-20f, 1e-7f, 0.1f, 1,    127,   255,     1e9f,
                                 1.5e38f, -1e-45f, -1e-38f, -1e-7f, -0.3f, -1,   -200, -1e9f, -1.5e38f};
    static const size_t n = sizeof ends / sizeof *ends;
    size_t tried = 0;
    for (size_t i = 0; i < n * n; i++) {
        const value_range range = {ends[i / n], ends[i % n]};
        for (int scheme = 0; scheme < 2 && !value_range_is_none(range); scheme++) {
            const quantization q = quantization_of(range, scheme ? QUANTIZE_SYMMETRIC : QUANTIZE_AFFINE);
            const float zeros[] = {0, -0.0f};
            for (size_t z = 0; z < 2; z++) {
                if (quantization_encode(q, zeros[z]) != q.zero_point || quantization_apply(q, zeros[z]) != 0)
                    fail_msg("range %g to %g, scheme %d: 0 is %d and %g, wanted %d and 0", (double)range.min, (double)range.max,
                             scheme, quantization_encode(q, zeros[z]), (double)quantization_apply(q, zeros[z]), q.zero_point);
                tried++;
            }
            if (scheme) assert_int_equal(q.zero_point, 0); /* of weights: what is pruned is the number 0 for kernels */
            assert_true(q.zero_point >= q.least && q.zero_point <= q.greatest);
        }
    }
    assert_int_equal(tried, 4 * n * (n + 1) / 2);
}

static void factors_of_no_scales(void **unused) {
    (void)unused;
    assert_true(quantization_factor(0, 1) == 0);
    assert_true(quantization_factor(1, 0) == INFINITY);
    assert_true(isnan(quantization_factor(NAN, 1)));
}

/* As sums times 1/6, and times the factor of 1/6, which is a little less: they differ where 1/6 itself leaves exactly a half. */
static void requantized_sums_are_those_of_the_factor(void **unused) {
    (void)unused;
    const quantization output = {.scale = 6, .zero_point = 128, .greatest = 255};
    static const struct {
        int32_t sum;
        float by_factor, by_scale;
    } cases[] = {{9, 6, 12},   {21, 18, 24}, {15, 12, 12},    {-9, -6, -12},      {-21, -18, -24},
                 {10, 12, 12}, {8, 6, 6},    {762, 762, 762}, {100000, 762, 762}, {-100000, -768, -768}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float found = quantization_of_requantized_sum(cases[i].sum, quantization_factor(1, 6), output),
                    plain = quantization_of_requantized_sum(cases[i].sum, 1.0f / 6, output);
        if (found != cases[i].by_factor || plain != cases[i].by_scale)
            fail_msg("%d sixths: %g and %g, wanted %g and %g", cases[i].sum, (double)found, (double)plain,
                     (double)cases[i].by_factor, (double)cases[i].by_scale);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_have_sixteen_bits),
        cmocka_unit_test(factors_are_those_of_the_formula),
        cmocka_unit_test(zero_is_exact),
        cmocka_unit_test(factors_of_no_scales),
        cmocka_unit_test(requantized_sums_are_those_of_the_factor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
