/* How many steps epochs make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frontend/driver/train_run.h"

/* Epoch e has 10 + e batches, or always 10. */
typedef struct counted {
    bool is_constant;
    uint64_t asked;
} counted;

static pofac_status count(void *user, uint64_t epoch, const diag_sink *sink, uint64_t *out) {
    counted *c = user;
    (void)sink;
    c->asked++;
    *out = 10 + (c->is_constant ? 0 : epoch);
    return POFAC_OK;
}

static int64_t steps_of(double epochs, int64_t accumulation, bool is_constant, uint64_t *asked) {
    counted c = {is_constant, 0};
    const batch_source source = {.count = count, .user = &c};
    int64_t steps;
    assert_int_equal(train_count_steps(&source, epochs, accumulation, is_constant, NULL, &steps), POFAC_OK);
    if (asked) *asked = c.asked;
    return steps;
}

static void epochs_end_in_a_step(void **unused) {
    (void)unused;
    assert_int_equal(steps_of(3, 1, true, NULL), 30);
    assert_int_equal(steps_of(3, 4, true, NULL), 9);  /* 4, 4 and 2 batches */
    assert_int_equal(steps_of(3, 4, false, NULL), 9); /* of 10, 11 and 12 */
    assert_int_equal(steps_of(3, 5, false, NULL), 2 + 3 + 3);
    assert_int_equal(steps_of(1, 100, true, NULL), 1);
}

static void parts_of_epochs_are_rounded_up(void **unused) {
    (void)unused;
    assert_int_equal(steps_of(2.5, 1, true, NULL), 25);
    assert_int_equal(steps_of(0.01, 1, true, NULL), 1);
    assert_int_equal(steps_of(1.5, 1, false, NULL), 10 + 6); /* half of 11 */
    assert_int_equal(steps_of(0, 1, true, NULL), 0);
}

static void epochs_of_one_length_are_counted_once(void **unused) {
    (void)unused;
    uint64_t asked;
    assert_int_equal(steps_of(1e6, 3, true, &asked), 4000000);
    assert_int_equal(asked, 1);
    assert_int_equal(steps_of(4, 1, false, &asked), 46);
    assert_int_equal(asked, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_end_in_a_step),
        cmocka_unit_test(parts_of_epochs_are_rounded_up),
        cmocka_unit_test(epochs_of_one_length_are_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
