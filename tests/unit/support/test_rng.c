/* Philox against the known answers of its authors, and the moments of what is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "ir/support/rng.h"

/* kat_vectors of the Random123 library, philox4x32 with 10 rounds. */
static void known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], wanted[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t *c = cases[i].counter;
        rng_key key = {{cases[i].key[0], cases[i].key[1]}};
        rng_block found = rng_philox(key, (uint64_t)c[1] << 32 | c[0], (uint64_t)c[3] << 32 | c[2]);
        for (int j = 0; j < 4; j++)
            if (found.word[j] != cases[i].wanted[j])
                fail_msg("case %zu, word %d: found %08x, wanted %08x", i, j, found.word[j], cases[i].wanted[j]);
    }
}

static void keys_tell_streams_apart(void **state) {
    (void)state;
    const rng_key keys[] = {rng_key_make(1, "dropout"), rng_key_make(2, "dropout"), rng_key_make(1, "masking"), rng_key_make(1, ""),
                            rng_key_make(UINT64_C(1) << 32, "dropout")};
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < i; j++) assert_true(keys[i].word[0] != keys[j].word[0] || keys[i].word[1] != keys[j].word[1]);
    const rng_key again = rng_key_make(1, "dropout");
    assert_memory_equal(&again, &keys[0], sizeof again);
    /* Streams must stay what they are: seeds in recipes mean them. */
    assert_true(rng_uniform(keys[0], 7) == rng_uniform(again, 7));
    assert_true(rng_uniform(keys[0], 7) != rng_uniform(keys[0], 8));
    assert_true(rng_uniform(keys[0], 7) != rng_uniform(keys[0], 7 + (UINT64_C(1) << 32)));
}

enum { N = 200000 };

/* Mean and variance within 5 standard errors of what is wanted; `fourth` is the fourth central moment. */
static void check_moments(const char *name, const double *x, double mean, double variance, double fourth) {
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) sum += x[i];
    const double found_mean = sum / N;
    for (int i = 0; i < N; i++) squares += (x[i] - mean) * (x[i] - mean);
    const double found_variance = squares / N;
    const double mean_bound = 5 * sqrt(variance / N), variance_bound = 5 * sqrt((fourth - variance * variance) / N);
    if (!(fabs(found_mean - mean) < mean_bound)) fail_msg("%s: mean %g, wanted %g +- %g", name, found_mean, mean, mean_bound);
    if (!(fabs(found_variance - variance) < variance_bound))
        fail_msg("%s: variance %g, wanted %g +- %g", name, found_variance, variance, variance_bound);
    double products = 0; /* neighbours are independent */
    for (int i = 1; i < N; i++) products += (x[i] - mean) * (x[i - 1] - mean);
    if (!(fabs(products / N) < 5 * variance / sqrt(N))) fail_msg("%s: covariance of neighbours %g, wanted 0", name, products / N);
}

static double numbers[N];

static void uniform_moments(void **state) {
    (void)state;
    rng_key key = rng_key_make(42, "uniform");
    for (int i = 0; i < N; i++) {
        numbers[i] = rng_uniform(key, (uint64_t)i);
        assert_true(numbers[i] >= 0 && numbers[i] < 1);
    }
    check_moments("uniform", numbers, 0.5, 1.0 / 12, 1.0 / 80);
}

static void normal_moments(void **state) {
    (void)state;
    rng_key key = rng_key_make(42, "normal");
    double largest = 0;
    int beyond_one = 0;
    for (int i = 0; i < N; i++) {
        numbers[i] = rng_normal(key, (uint64_t)i);
        assert_true(isfinite(numbers[i]));
        largest = fmax(largest, fabs(numbers[i]));
        beyond_one += fabs(numbers[i]) > 1;
    }
    check_moments("normal", numbers, 0, 1, 3);
    assert_true(largest > 4 && largest < 6.5); /* P(|x| > 4) N = 13, P(|x| > 6.5) N = 2e-5 */
    const double p = 0.3173105;                /* P(|x| > 1) */
    assert_true(fabs((double)beyond_one / N - p) < 5 * sqrt(p * (1 - p) / N));
}

static void below_is_even(void **state) {
    (void)state;
    rng_key key = rng_key_make(42, "below");
    int counts[10] = {0};
    for (int i = 0; i < N; i++) {
        uint64_t x = rng_below(key, (uint64_t)i, 10);
        assert_true(x < 10);
        counts[x]++;
    }
    double chi_squared = 0;
    for (int i = 0; i < 10; i++) chi_squared += (counts[i] - N / 10.0) * (counts[i] - N / 10.0) / (N / 10.0);
    if (chi_squared > 33.7) fail_msg("chi squared of 10 even classes: %g, wanted at most 33.7 (p = 1e-4)", chi_squared);
    for (uint64_t i = 0; i < 100; i++) {
        assert_true(rng_below(key, i, 1) == 0);
        assert_true(rng_below(key, i, UINT64_MAX) < UINT64_MAX);
    }
    assert_true(rng_below(key, 3, UINT64_C(1) << 63) != rng_below(key, 4, UINT64_C(1) << 63));
}

static void a_run_of_normals_is_the_numbers_one_by_one(void **state) {
    (void)state;
    rng_key key = rng_key_make(7, "run");
    enum { RUN = 9 };
    for (uint64_t first = 0; first < 3; first++) {
        float run[RUN];
        rng_normals(key, first, RUN, 0.5, run);
        for (uint64_t i = 0; i < RUN; i++)
            if (run[i] != (float)(0.5 * rng_normal(key, first + i))) fail_msg("number %d from %d differs", (int)i, (int)first);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),   cmocka_unit_test(keys_tell_streams_apart),
        cmocka_unit_test(uniform_moments), cmocka_unit_test(normal_moments),
        cmocka_unit_test(below_is_even),   cmocka_unit_test(a_run_of_normals_is_the_numbers_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
