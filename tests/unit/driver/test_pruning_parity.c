/*
 * Student pruning against the reference: the steps of fixtures/train/student-pruning-90 and distilbert-pruning-85, with masks along their schedule, rates that go
 * back with them and a teacher: all of them compiled with 1 and 2 threads, whose bits are equal, and the first ones, with four new masks, interpreted. In each step the loss, its terms, the gradient's
 * norm, the rate and the share of zeros; in the end every mask, entry by entry, and the weights.
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

#include "frontend/driver/mask_schedule.h"
#include "runtime/learning_rate.h"
#include "tests/unit/driver/made_run.h"
#include "tests/unit/driver/reference_rows.h"
#include "tests/unit/driver/reference_run.h"
#include "tests/unit/temporary_folder.h"

/* Kernels that all steps share: masks with more zeros make them choose anew. */
static char cache[] = "/tmp/pofac-parity-XXXXXX";

static int make_cache(void **unused) {
    (void)unused;
    return mkdtemp(cache) ? 0 : -1;
}

static int remove_cache(void **unused) {
    (void)unused;
    folder_remove(cache);
    return 0;
}

typedef struct fixture {
    const char *name, *spared;
    double target;
    int64_t steps, warmup_steps;
    size_t n_masks;
    int64_t n_parameters;
} fixture;

static const fixture fixtures[] = {{"student-pruning-90", "cls", 0.9, 30, 3, 13, 46},
                                   {"distilbert-pruning-85", "vocab_", 0.85, 24, 2, 12, 41}};
#define N_FIXTURES (sizeof fixtures / sizeof fixtures[0])

typedef struct parity {
    const fixture *f;
    reference_run run;
    recipe recipe;
    pruning_rule spared;
    distillation distillation;
    mask_schedule masks;
    rate_plan rates;
    size_t n_masks; /* that were compared in the end */
    int updates;
} parity;

static void want(parity *t, pofac_status status, const char *what) { reference_run_want(&t->run, status, what); }

/* ---- what settings.json says ---- */

static void set_recipe(parity *t) {
    pruning_config *c = &t->recipe.prune;
    *c = pruning_config_default();
    c->method = "unstructured_magnitude";
    c->pruning_frequency = 3;
    c->end_pruning_step = 20;
    c->policy_end_step = 15;
    c->defaults.set = PRUNING_TARGET;
    c->defaults.values.target_sparsity = t->f->target;
    t->spared = (pruning_rule){.pattern = t->f->spared};
    c->not_to_prune = (pruning_rules){&t->spared, 1};
    t->recipe.prunes = true;
    t->rates = (rate_plan){.schedule = RATE_LINEAR_REWIND,
                           .warmup_steps = t->f->warmup_steps,
                           .max_steps = t->f->steps,
                           .window_end = c->policy_end_step,
                           .frequency = c->pruning_frequency};
}

static void open_fixture(parity *t, const fixture *f) {
    *t = (parity){.f = f};
    reference_run_open(&t->run, f->name, HEAD_PRETRAINING);
    reference_run_open_teacher(&t->run, HEAD_PRETRAINING);
    set_recipe(t);
    want(t, mask_schedule_open(&t->recipe, t->run.model, &t->run.sink, &t->masks), "masks");
    assert_int_equal(t->masks.n, f->n_masks);
    t->distillation =
        (distillation){.teacher = t->run.teacher, .task_alpha = 0.5, .teacher_alpha = 0.5, .temperature = 2, .token_share = 1};
}

static void close_fixture(parity *t) {
    mask_schedule_close(&t->masks);
    reference_run_close(&t->run);
}

/* ---- steps ---- */

static mask_step moment(const parity *t) { return (mask_step){.training = t->run.step, .inputs = t->run.inputs}; }

static void make_step(parity *t, executor_kind kind, size_t threads) {
    training_options options = reference_run_options(kind, threads);
    options.road.no_cache = false;
    options.road.cache_dir = cache;
    options.pruning = &t->masks.pruning;
    options.distillation = &t->distillation;
    want(t, training_create(t->run.model, &options, &t->run.sink, &t->run.step), "training");
    const mask_step at = moment(t);
    want(t, mask_schedule_begin(&t->masks, &at, &t->run.sink), "first masks");
    t->updates = 0;
    t->n_masks = 0;
}

static void check_number(parity *t, const char *what, double found, double wanted, double bound, int64_t step) {
    if (!(fabs(found - wanted) <= bound * fabs(wanted)))
        fail_msg("%s, step %d: %s is %.17g, wanted %.17g", t->f->name, (int)step + 1, what, found, wanted);
}

static void check_output(parity *t, const char *output, const char *line, const char *key, int64_t step) {
    check_number(t, output, reference_run_output(&t->run, output), reference_number(line, key), 2e-5, step);
}

static void run_step(void *user, int64_t step, const char *line) {
    parity *t = user;
    const double rate = 1e-3 * rate_factor(&t->rates, step);
    mask_update update;
    bool updated;
    reference_run_step(&t->run, step, rate);
    check_output(t, "loss", line, "\"loss\": ", step);
    check_output(t, "loss.task", line, "\"ce\": ", step);
    check_output(t, "loss.distill", line, "\"kd\": ", step);
    check_output(t, "grad_norm", line, "\"grad_norm\": ", step);
    check_number(t, "rate", rate, reference_number(line, "\"lr\": "), 1e-9, step);
    const mask_step at = moment(t);
    want(t, mask_schedule_after_step(&t->masks, step, &at, &t->run.sink, &updated, &update), "masks");
    check_number(t, "sparsity", mask_schedule_sparsity(&t->masks, t->run.step), reference_number(line, "\"sparsity\": "), 0, step);
    t->updates += updated;
}

/* ---- the end ---- */

static const uint8_t *mask_of(const parity *t, const char *weight) {
    strbuf name = STRBUF_INIT;
    strbuf_printf(&name, "%s" IR_MASK, weight);
    const state_entry *e = state_store_find(training_state(t->run.step), strbuf_str(&name));
    strbuf_free(&name);
    return e ? e->tensor.data : NULL;
}

/* A weight as products read it. The loss does not depend on biases of keys: their gradient is rounding noise, which Adam magnifies. */
static void check_weight(void *user, const char *name, const state_entry *entry, const ir_tensor *wanted) {
    parity *t = user;
    const uint8_t *mask = mask_of(t, name);
    const double bound = strstr(name, "key.bias") || strstr(name, "k_lin.bias") ? 5e-3 : 5e-5;
    assert_int_equal(tensor_elements(&entry->tensor), tensor_elements(wanted));
    for (int64_t k = 0; k < tensor_elements(wanted); k++) {
        const double value = mask && !mask[k] ? 0 : tensor_get(&entry->tensor, k);
        if (mask && mask[k] != (tensor_get(wanted, k) != 0))
            fail_msg("%s: the mask of %s[%d] is %d, wanted the one of %.9g", t->f->name, name, (int)k, mask[k],
                     tensor_get(wanted, k));
        if (!(fabs(value - tensor_get(wanted, k)) <= bound))
            fail_msg("%s: %s[%d] is %.9g, wanted %.9g", t->f->name, name, (int)k, value, tensor_get(wanted, k));
    }
    t->n_masks += mask != NULL;
}

/* So many steps, and updates of masks in them; `t->run.step` stays. */
static void run_fixture(parity *t, executor_kind kind, size_t threads, int64_t steps, int updates) {
    make_step(t, kind, threads);
    reference_run_lines(&t->run, steps, run_step, t);
    assert_int_equal(t->updates, updates);
    if (steps != t->f->steps) return;
    assert_int_equal(reference_run_weights(&t->run, check_weight, t), t->f->n_parameters);
    assert_int_equal(t->n_masks, t->f->n_masks);
}

/* ---- tests ---- */

static void interpreted_steps_are_the_references(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        run_fixture(&t, EXECUTOR_INTERPRETER, 1, 11, 4);
        training_destroy(t.run.step);
        close_fixture(&t);
    }
}

static void compiled_steps_are_the_references(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        run_fixture(&t, EXECUTOR_COMPILED, 1, fixtures[i].steps, 7);
        training *one = t.run.step;
        run_fixture(&t, EXECUTOR_COMPILED, 2, fixtures[i].steps, 7);
        assert_true(state_store_size(training_state(one)) > 0);
        assert_same_state(training_state(one), training_state(t.run.step), NULL);
        training_destroy(one);
        training_destroy(t.run.step);
        close_fixture(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpreted_steps_are_the_references),
        cmocka_unit_test(compiled_steps_are_the_references),
    };
    return cmocka_run_group_tests(tests, make_cache, remove_cache);
}
