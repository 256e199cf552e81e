/*
 * Masks along a run: which weights are chosen, how often masks change and what for, beside a loop over all steps; what is told of runs that are too short; and
 * zeros that did not stay where they were locked.
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

#include "frontend/driver/locked_pattern.h"
#include "frontend/driver/mask_schedule.h"
#include "ir/support/rng.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/temporary_folder.h"

static char folder[] = "/tmp/pofac_schedule_XXXXXX", before_folder[64], after_folder[64];

/* Every third entry is 0; of the model after a run two more are, and with `drifts` three are not. */
static bool is_after, drifts;
static double number(const char *name, int64_t row, int64_t column) {
    const bool is_query = strstr(name, "query.weight") != NULL;
    if (is_after && is_query && row == 0 && (column == 1 || column == 2)) return 0;
    if (is_after && drifts && is_query && row == 2 && column < 8 && (row + column) % 3 == 0) return 0.5;
    if (strstr(name, ".weight") && (row + column) % 3 == 0) return 0;
    return 0.1 + (double)column / 64;
}

static void write_model(const char *path) {
    tiny_model m = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = number};
    m.spec.num_labels = 3;
    tiny_model_write(&m, path);
}

static int make_folder(void **unused) {
    (void)unused;
    if (!mkdtemp(folder)) return -1;
    snprintf(before_folder, sizeof before_folder, "%s/before", folder);
    snprintf(after_folder, sizeof after_folder, "%s/after", folder);
    write_model(before_folder);
    return 0;
}

static int remove_folder(void **unused) {
    (void)unused;
    folder_remove(folder);
    return 0;
}

typedef struct subject {
    recipe recipe;
    pruning_rule spared;
    loaded_model *model;
    mask_schedule schedule;
    strbuf said;
    diag_sink sink;
} subject;

static void begin(subject *s, const char *method, const char *spared) {
    *s = (subject){.spared = {.pattern = spared}, .said = STRBUF_INIT, .schedule.memory = ARENA_INIT};
    s->sink = diag_sink_to_strbuf(&s->said);
    s->recipe.prune = pruning_config_default();
    s->recipe.prune.method = method;
    s->recipe.prune.place.file = "r.xml";
    s->recipe.prune.defaults.set = PRUNING_TARGET | PRUNING_INITIAL;
    s->recipe.prune.defaults.values.target_sparsity = 0.9;
    s->recipe.prune.defaults.values.initial_sparsity = 0.1;
    if (spared) s->recipe.prune.not_to_prune = (pruning_rules){&s->spared, 1};
    s->recipe.lock = strcmp(method, "pattern_lock") == 0;
    s->recipe.prunes = !s->recipe.lock;
    assert_int_equal(loaded_model_open(before_folder, &(loaded_model_options){.head = HEAD_AUTO}, &s->sink, &s->model), POFAC_OK);
}

static void open_schedule(subject *s) {
    if (mask_schedule_open(&s->recipe, s->model, &s->sink, &s->schedule) != POFAC_OK) fail_msg("%s", strbuf_str(&s->said));
}

static void end(subject *s) {
    mask_schedule_close(&s->schedule);
    loaded_model_close(s->model);
    strbuf_free(&s->said);
}

/* ---- which ---- */

static void weights_are_those_of_the_configuration(void **unused) {
    (void)unused;
    subject s;
    begin(&s, "unstructured_magnitude", "classifier|attention");
    open_schedule(&s);
    assert_int_equal(s.schedule.n, 3);
    assert_string_equal(s.schedule.layers[0], "bert.encoder.layer.0.intermediate.dense");
    assert_string_equal(s.schedule.pruning.weights[2].name, "bert.pooler.dense.weight");
    assert_int_equal(s.schedule.entries[0], 32 * 48);
    assert_true(mask_schedule_has(&s.schedule, "bert.encoder.layer.0.output.dense.weight"));
    assert_false(mask_schedule_has(&s.schedule, "classifier.weight"));
    assert_true(fabs(mask_schedule_wanted(&s.schedule, 0.5) - 0.5) < 1e-12);
    end(&s);
    begin(&s, "unstructured_magnitude", ".");
    assert_int_equal(mask_schedule_open(&s.recipe, s.model, &s.sink, &s.schedule), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&s.said), "r.xml: error: found no layer that the configuration chooses among 8, wanted one\n");
    end(&s);
}

static void nothing_is_left_when_memory_is_short(void **unused) {
    (void)unused;
    subject s;
    begin(&s, "unstructured_magnitude", "classifier");
    open_schedule(&s); /* binds the model */
    size_t n = 1;
    for (; n < 10000; n++) {
        mask_schedule schedule;
        fail_alloc_after(n);
        const pofac_status status = mask_schedule_open(&s.recipe, s.model, NULL, &schedule);
        const bool failed = fail_alloc_stop();
        mask_schedule_close(&schedule);
        if (!failed) break;
        assert_int_equal(status, POFAC_ERR_RUNTIME);
    }
    assert_in_range(n, 10, 9999);
    end(&s);
}

/* ---- when ---- */

static int64_t draw(uint64_t i, int64_t below) { return (int64_t)(rng_uniform(rng_key_make(3, "schedule"), i) * (double)below); }

static void updates_are_counted_as_steps_go(void **unused) {
    (void)unused;
    subject s;
    begin(&s, "unstructured_magnitude", NULL);
    open_schedule(&s);
    size_t some = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        pruning_config *c = &s.recipe.prune;
        c->pruning_frequency = 1 + draw(8 * i, 6);
        c->begin_pruning_step = draw(8 * i + 1, 12);
        c->end_pruning_step = draw(8 * i + 2, 30) - 1;
        c->policy_begin_step = draw(8 * i + 3, 8);
        c->policy_end_step = c->policy_begin_step + 1 + draw(8 * i + 4, 20);
        c->initial_step = draw(8 * i + 7, 2) * draw(8 * i + 7, 9);
        const int64_t first = draw(8 * i + 5, 10), last = first + draw(8 * i + 6, 30);
        int64_t wanted = 0;
        double progress, stands = 0;
        for (int64_t step = first; step < last; step++) {
            if (!pruning_config_is_due(c, step + c->initial_step)) continue;
            stands = mask_schedule_progress(&s.schedule, step);
            assert_true(stands == pruning_config_progress(c, step + c->initial_step));
            wanted++;
        }
        const int64_t found = mask_schedule_updates(&s.schedule, first, last, &progress);
        if (found != wanted || progress != stands)
            fail_msg("case %d: %d updates at %g, wanted %d at %g", (int)i, (int)found, progress, (int)wanted, stands);
        some += wanted > 0;
    }
    assert_in_range(some, 500, 1999);
    s.recipe.prune.scheduler = PRUNING_SCHEDULE_ONE_SHOT;
    double progress;
    assert_int_equal(mask_schedule_updates(&s.schedule, 0, 100, &progress), 0);
    assert_true(progress == 1);
    end(&s);
}

static void runs_that_are_too_short_are_told(void **unused) {
    (void)unused;
    subject s;
    begin(&s, "unstructured_magnitude", NULL);
    open_schedule(&s);
    s.recipe.prune.pruning_frequency = 10;
    s.recipe.prune.policy_end_step = 30;
    mask_schedule_check_length(&s.schedule, 31, &s.sink);
    assert_string_equal(strbuf_str(&s.said), "");
    mask_schedule_check_length(&s.schedule, 30, &s.sink);
    assert_string_equal(strbuf_str(&s.said),
                        "r.xml: warning: the run has 30 steps and changes its masks 3 times, the last time for a share of 0.8704 "
                        "zeros; wanted 0.9, for which masks change at policy_end_step 30 or later\n");
    end(&s);
}

/* ---- locked zeros ---- */

static void check_pattern(bool with_drift, pofac_status wanted, const char *said) {
    subject s;
    is_after = true;
    drifts = with_drift;
    write_model(after_folder);
    is_after = false;
    begin(&s, "pattern_lock", "classifier");
    open_schedule(&s);
    assert_int_equal(s.schedule.n, 7);
    strbuf_clear(&s.said);
    assert_int_equal(locked_pattern_check(&s.schedule, s.model, after_folder, &s.sink), wanted);
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "%s: warning: bert.encoder.layer.0.attention.self.query.weight: 2 entries that were not 0 have become 0\n",
                  after_folder);
    if (with_drift) strbuf_printf(&text, "%s: error: %s\n", after_folder, said);
    assert_string_equal(strbuf_str(&s.said), strbuf_str(&text));
    strbuf_free(&text);
    end(&s);
}

static void zeros_that_drift_are_found(void **unused) {
    (void)unused;
    check_pattern(false, POFAC_OK, "");
    check_pattern(
        true, POFAC_ERR_RUNTIME,
        "bert.encoder.layer.0.attention.self.query.weight: found 3 entries that were 0 before and are not, the first at [2, 1], "
        "wanted the pattern that was locked");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_those_of_the_configuration),
        cmocka_unit_test(nothing_is_left_when_memory_is_short),
        cmocka_unit_test(updates_are_counted_as_steps_go),
        cmocka_unit_test(runs_that_are_too_short_are_told),
        cmocka_unit_test(zeros_that_drift_are_found),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
