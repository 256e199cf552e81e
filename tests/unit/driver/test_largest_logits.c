/* The largest of many numbers, against a sort of all of them: ties, NaN, every k. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "frontend/driver/largest_logits.h"

#define MOST 300

typedef struct placed {
    float value;
    int32_t place;
} placed;

/* NaN first, then falling; equals by place. */
static int compare(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (isnan(x->value) != isnan(y->value)) return isnan(x->value) ? -1 : 1;
    if (!isnan(x->value) && x->value != y->value) return x->value > y->value ? -1 : 1;
    return x->place < y->place ? -1 : 1;
}

/* Returns how many numbers were compared. */
static int64_t check(const float *logits, int64_t n, int64_t k) {
    placed all[MOST];
    float values[MOST];
    int32_t ids[MOST];
    for (int64_t i = 0; i < n; i++) all[i] = (placed){logits[i], (int32_t)i};
    qsort(all, (size_t)n, sizeof *all, compare);
    largest_logits(logits, n, k, values, ids);
    for (int64_t i = 0; i < k; i++) {
        const bool equal = values[i] == all[i].value || (isnan(values[i]) && isnan(all[i].value));
        if (!equal || ids[i] != all[i].place)
            fail_msg("n %d, k %d, number %d: found %g of place %d, wanted %g of place %d", (int)n, (int)k, (int)i,
                     (double)values[i], ids[i], (double)all[i].value, all[i].place);
    }
    return k;
}

static void as_a_sort_has_them(void **unused) {
    (void)unused;
    float logits[MOST];
    int64_t compared = 0;
    uint64_t random = 1;
    for (int64_t n = 1; n <= MOST; n = n * 2 + 1)
        for (int kinds = 3; kinds <= 3000; kinds *= 10) {
            for (int64_t i = 0; i < n; i++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                logits[i] = (float)((int)((random >> 33) % (uint64_t)kinds) - kinds / 2);
            }
            for (int64_t k = 1; k <= n; k += 1 + n / 16) compared += check(logits, n, k);
        }
    assert_true(compared > 5000);
}

static void no_number_is_lost(void **unused) {
    (void)unused;
    const float logits[] = {1, NAN, -INFINITY, 3, INFINITY, NAN, 0.0f, -0.0f, 3};
    int64_t compared = 0;
    for (int64_t k = 1; k <= 9; k++) compared += check(logits, 9, k);
    assert_int_equal(compared, 45);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_a_sort_has_them), cmocka_unit_test(no_number_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
