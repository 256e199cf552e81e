/* Best evaluations and early stopping, as Trainer's EarlyStoppingCallback counts them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "frontend/driver/best_model.h"

/* Takes the metrics in, and returns after how many of them training stops (0: never). */
static int64_t stops_after(const best_model_rule *rule, const double *metrics, int64_t n, best_model *b) {
    *b = (best_model){0};
    for (int64_t i = 0; i < n; i++)
        if (best_model_take(b, rule, 10 * (i + 1), metrics[i]).stops) return i + 1;
    return 0;
}

static void the_best_is_kept(void **unused) {
    (void)unused;
    const best_model_rule loss = {false, 0, 0}, accuracy = {true, 0, 0};
    const double metrics[] = {0.5, 0.4, 0.6, 0.4};
    best_model b;
    assert_int_equal(stops_after(&loss, metrics, 4, &b), 0);
    assert_true(b.has_best && b.metric == 0.4 && b.step == 20); /* the first of equal ones */
    assert_int_equal(b.evaluations_without_gain, 2);
    assert_int_equal(stops_after(&accuracy, metrics, 4, &b), 0);
    assert_true(b.metric == 0.6 && b.step == 30);
}

static void patience_counts_evaluations_in_a_row(void **unused) {
    (void)unused;
    const best_model_rule rule = {false, 0, 2};
    const double rises[] = {1, 2, 3, 4}, recovers[] = {1, 2, 0.5, 0.6, 0.7, 0.1};
    best_model b;
    assert_int_equal(stops_after(&rule, rises, 4, &b), 3);
    assert_int_equal(stops_after(&rule, recovers, 6, &b), 5);
    assert_true(b.metric == 0.5);
}

static void small_gains_move_the_best_but_are_none(void **unused) {
    (void)unused;
    const best_model_rule rule = {true, 0.1, 3};
    const double metrics[] = {0.5, 0.55, 0.58, 0.6, 0.9};
    best_model b;
    assert_int_equal(stops_after(&rule, metrics, 5, &b), 4);
    assert_true(b.metric == 0.6 && b.step == 40);
}

static void not_a_number_is_never_best(void **unused) {
    (void)unused;
    const best_model_rule rule = {true, 0, 2};
    const double metrics[] = {NAN, 0.1, NAN, NAN};
    best_model b;
    assert_int_equal(stops_after(&rule, metrics, 1, &b), 0);
    assert_false(b.has_best);
    assert_int_equal(stops_after(&rule, metrics, 4, &b), 4);
    assert_true(b.metric == 0.1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_is_kept),
        cmocka_unit_test(patience_counts_evaluations_in_a_row),
        cmocka_unit_test(small_gains_move_the_best_but_are_none),
        cmocka_unit_test(not_a_number_is_never_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
