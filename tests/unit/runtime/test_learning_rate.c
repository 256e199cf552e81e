/*
 * Learning rates: curves worked out by hand, the corners of schedules (pitfall 20: factors above 1, a warmup longer than a phase, an end
 * inside the pruning window), and the rates that the reference logged in the training fixtures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/learning_rate.h"

typedef struct curve {
    rate_plan plan;
    size_t n;
    double wanted[12];
} curve;

static const curve curves[] = {
    {{RATE_CONSTANT, 3, 6, 0, 0, 1}, 4, {1, 1, 1, 1}},
    {{RATE_CONSTANT_WITH_WARMUP, 2, 6, 0, 0, 1}, 5, {0, 0.5, 1, 1, 1}},
    {{RATE_LINEAR, 2, 6, 0, 0, 1}, 8, {0, 0.5, 1, 0.75, 0.5, 0.25, 0, 0}},
    {{RATE_LINEAR, 0, 4, 0, 0, 1}, 6, {1, 0.75, 0.5, 0.25, 0, 0}},
    {{RATE_LINEAR, 4, 4, 0, 0, 1}, 5, {0, 0.25, 0.5, 0.75, 0}},      /* nothing but warmup */
    {{RATE_LINEAR, 8, 4, 0, 0, 1}, 5, {0, 0.125, 0.25, 0.375, 0.5}}, /* a warmup longer than the run */
    {{RATE_COSINE, 0, 4, 0, 0, 1}, 5, {1, 0.85355339059327376, 0.5, 0.14644660940672624, 0}},
    /* 12 steps, window 2 to 8 every 3: 6 steps are left for the decay */
    {{RATE_LINEAR_REWIND, 1, 12, 2, 8, 3}, 12, {0, 1, 0.8, 0.6, 0.4, 0.8, 0.6, 0.4, 0.8, 0.6, 0.4, 0.2}},
    /* the same with a warmup: what goes back lies above 1 */
    {{RATE_LINEAR_REWIND, 2, 12, 0, 8, 4}, 12, {0, 0.5, 1, 0.5, 2, 1.5, 1, 0.5, 2, 1.5, 1, 0.5}},
    /* a warmup longer than the time between two masks */
    {{RATE_LINEAR_REWIND, 5, 12, 0, 6, 3}, 12, {0, 0.2, 0.4, 0.6, 0.8, 4, 6, 5, 4, 3, 2, 1}},
    /* the end lies inside the window */
    {{RATE_LINEAR_REWIND, 0, 4, 0, 6, 2}, 4, {0, 0, 0, 0}},
};

static void curves_are_those_worked_out(void **unused) {
    (void)unused;
    for (size_t c = 0; c < sizeof curves / sizeof curves[0]; c++) {
        for (size_t i = 0; i < curves[c].n; i++) {
            const double found = rate_factor(&curves[c].plan, (int64_t)i);
            if (!(fabs(found - curves[c].wanted[i]) <= 1e-15))
                fail_msg("curve %zu, step %zu: %.17g, wanted %.17g", c, i, found, curves[c].wanted[i]);
        }
    }
}

static void names_are_trainers(void **unused) {
    (void)unused;
    rate_schedule s;
    assert_true(rate_schedule_parse("linear_rewind", &s));
    assert_int_equal(s, RATE_LINEAR_REWIND);
    assert_true(rate_schedule_parse("cosine", &s));
    assert_int_equal(s, RATE_COSINE);
    assert_false(rate_schedule_parse("polynomial", &s));
    assert_int_equal(rate_warmup_steps(0.01, 100000), 1000);
    assert_int_equal(rate_warmup_steps(0.1, 11), 2);
    assert_int_equal(rate_warmup_steps(0, 11), 0);
}

/* ---- the reference's ---- */

static double number(const char *text, const char *key) {
    const char *at = strstr(text, key);
    if (!at) fail_msg("no %s in %s", key, text);
    return strtod(at + strlen(key) + 2, NULL); /* "key": 1 */
}

/* Each line of expected.jsonl has the rate of its step. */
static void check_fixture(const char *shared, const char *name) {
    char path[512], settings[4096] = "", line[1024];
    snprintf(path, sizeof path, "%s/fixtures/train/%s/settings.json", shared, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    settings[fread(settings, 1, sizeof settings - 1, f)] = 0;
    fclose(f);
    rate_plan p = {.schedule = strstr(settings, "\"rewind\"") ? RATE_LINEAR_REWIND : RATE_LINEAR,
                   .warmup_steps = (int64_t)number(settings, "\"warmup_steps\""),
                   .max_steps = (int64_t)number(settings, "\"steps\""),
                   .frequency = 1};
    if (p.schedule == RATE_LINEAR_REWIND) {
        p.window_begin = (int64_t)number(settings, "\"p0\"");
        p.window_end = (int64_t)number(settings, "\"p1\"");
        p.frequency = (int64_t)number(settings, "\"every\"");
    }
    snprintf(path, sizeof path, "%s/fixtures/train/%s/expected.jsonl", shared, name);
    f = fopen(path, "r");
    assert_non_null(f);
    int64_t steps = 0;
    for (; fgets(line, sizeof line, f); steps++) {
        const double found = number(settings, "\"learning_rate\"") * rate_factor(&p, steps), wanted = number(line, "\"lr\"");
        if (!(fabs(found - wanted) <= 1e-9 * fabs(wanted)))
            fail_msg("%s, step %d: rate %.17g, wanted %.17g", name, (int)steps, found, wanted);
    }
    fclose(f);
    assert_int_equal(steps, p.max_steps);
}

static void rates_are_the_references(void **unused) {
    (void)unused;
    static const char *const names[] = {"teacher-preparation", "student-pruning-90", "distilbert-pruning-85",
                                        "transfer-classification-lock", "transfer-qa-lock"};
    const char *shared = getenv("POFAC_SHARED");
    if (!shared || !*shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) check_fixture(shared, names[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_are_those_worked_out),
        cmocka_unit_test(names_are_trainers),
        cmocka_unit_test(rates_are_the_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
