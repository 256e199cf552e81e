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
#include "tests/unit/temporary_folder.h"

#define BATCH 4

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
    char folder[400];
    strbuf messages;
    diag_sink sink;
    recipe recipe;
    pruning_rule spared;
    loaded_model *model, *teacher;
    distillation distillation;
    mask_schedule masks;
    rate_plan rates;
    checkpoint *batches;
    named_tensors rows;
    train_inputs *inputs;
    training *step;
} parity;

static void want(parity *t, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s: %s", t->f->name, what, strbuf_str(&t->messages));
}

static const char *in_folder(parity *t, const char *name, char path[512]) {
    snprintf(path, 512, "%s/%s", t->folder, name);
    return path;
}

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
    const char *shared = getenv("POFAC_SHARED");
    const loaded_model_options options = {.head = HEAD_PRETRAINING};
    char path[512];
    if (!shared || !*shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    *t = (parity){.f = f, .messages = STRBUF_INIT};
    t->sink = diag_sink_to_strbuf(&t->messages);
    snprintf(t->folder, sizeof t->folder, "%s/fixtures/train/%s", shared, f->name);
    set_recipe(t);
    want(t, loaded_model_open(in_folder(t, "student", path), &options, &t->sink, &t->model), "student");
    want(t, loaded_model_open(in_folder(t, "teacher", path), &options, &t->sink, &t->teacher), "teacher");
    want(t, mask_schedule_open(&t->recipe, t->model, &t->sink, &t->masks), "masks");
    assert_int_equal(t->masks.n, f->n_masks);
    want(t, checkpoint_open(in_folder(t, "batches.safetensors", path), &t->sink, &t->batches), "batches");
    want(t, train_inputs_create(loaded_model_spec(t->model), 0, &t->sink, &t->inputs), "inputs");
    t->distillation =
        (distillation){.teacher = t->teacher, .task_alpha = 0.5, .teacher_alpha = 0.5, .temperature = 2, .token_share = 1};
}

static void close_fixture(parity *t) {
    named_tensors_free(&t->rows);
    train_inputs_destroy(t->inputs);
    checkpoint_close(t->batches);
    mask_schedule_close(&t->masks);
    loaded_model_close(t->teacher);
    loaded_model_close(t->model);
    strbuf_free(&t->messages);
}

/* ---- steps ---- */

static mask_step moment(const parity *t) { return (mask_step){.training = t->step, .inputs = t->inputs}; }

static void make_step(parity *t, executor_kind kind, size_t threads) {
    const training_options options = {.road = {.cache_dir = cache, .tune = ROAD_TUNE_OFF, .threads = threads},
                                      .kind = kind,
                                      .pruning = &t->masks.pruning,
                                      .distillation = &t->distillation,
                                      .beta1 = 0.9,
                                      .beta2 = 0.999,
                                      .epsilon = 1e-8,
                                      .weight_decay = 0.01,
                                      .max_grad_norm = 1};
    want(t, training_create(t->model, &options, &t->sink, &t->step), "training");
    const mask_step at = moment(t);
    want(t, mask_schedule_begin(&t->masks, &at, &t->sink), "first masks");
}

static void check_number(parity *t, const char *what, double found, double wanted, double bound, int64_t step) {
    if (!(fabs(found - wanted) <= bound * fabs(wanted)))
        fail_msg("%s, step %d: %s is %.17g, wanted %.17g", t->f->name, (int)step + 1, what, found, wanted);
}

static void check_output(parity *t, const char *output, const char *line, const char *key, int64_t step) {
    ir_tensor result;
    want(t, training_output(t->step, output, &t->sink, &result), output);
    check_number(t, output, tensor_get(&result, 0), reference_number(line, key), 2e-5, step);
}

static bool run_step(parity *t, int64_t step, const char *line) {
    const double rate = 1e-3 * rate_factor(&t->rates, step);
    const tensor_source *inputs;
    mask_update update;
    bool updated;
    batch b;
    reference_rows_take(t->batches, step * BATCH, BATCH, &t->rows, &b);
    train_inputs_begin(t->inputs, step + 1, rate);
    want(t, train_inputs_add(t->inputs, &b, &t->sink), "batch");
    want(t, train_inputs_select(t->inputs, 0, &t->sink, &inputs), "inputs");
    want(t, training_run(t->step, inputs, &t->sink), "step");
    check_output(t, "loss", line, "\"loss\": ", step);
    check_output(t, "loss.task", line, "\"ce\": ", step);
    check_output(t, "loss.distill", line, "\"kd\": ", step);
    check_output(t, "grad_norm", line, "\"grad_norm\": ", step);
    check_number(t, "rate", rate, reference_number(line, "\"lr\": "), 1e-9, step);
    const mask_step at = moment(t);
    want(t, mask_schedule_after_step(&t->masks, step, &at, &t->sink, &updated, &update), "masks");
    check_number(t, "sparsity", mask_schedule_sparsity(&t->masks, t->step), reference_number(line, "\"sparsity\": "), 0, step);
    return updated;
}

/* ---- the end ---- */

static const uint8_t *mask_of(const parity *t, const char *weight) {
    strbuf name = STRBUF_INIT;
    strbuf_printf(&name, "%s" IR_MASK, weight);
    const state_entry *e = state_store_find(training_state(t->step), strbuf_str(&name));
    strbuf_free(&name);
    return e ? e->tensor.data : NULL;
}

/* A weight as products read it. The loss does not depend on biases of keys: their gradient is rounding noise, which Adam magnifies. */
static bool check_weight(const parity *t, const char *name, const ir_tensor *found, const ir_tensor *wanted) {
    const uint8_t *mask = mask_of(t, name);
    const double bound = strstr(name, "key.bias") || strstr(name, "k_lin.bias") ? 5e-3 : 5e-5;
    for (int64_t k = 0; k < tensor_elements(wanted); k++) {
        const double value = mask && !mask[k] ? 0 : tensor_get(found, k);
        if (mask && mask[k] != (tensor_get(wanted, k) != 0))
            fail_msg("%s: the mask of %s[%d] is %d, wanted the one of %.9g", t->f->name, name, (int)k, mask[k],
                     tensor_get(wanted, k));
        if (!(fabs(value - tensor_get(wanted, k)) <= bound))
            fail_msg("%s: %s[%d] is %.9g, wanted %.9g", t->f->name, name, (int)k, value, tensor_get(wanted, k));
    }
    return mask != NULL;
}

static void check_weights(parity *t) {
    char path[512];
    checkpoint *final;
    int64_t compared = 0;
    size_t masks = 0;
    want(t, checkpoint_open(in_folder(t, "final.safetensors", path), &t->sink, &final), "final weights");
    for (size_t i = 0; i < checkpoint_size(final); i++) {
        const checkpoint_tensor *wanted = checkpoint_at(final, i);
        const state_entry *entry = state_store_find(training_state(t->step), wanted->name);
        ir_tensor values;
        if (!entry) continue; /* the stored copy of a tied weight */
        want(t, checkpoint_load(wanted, IR_F32, &t->sink, &values), wanted->name);
        assert_int_equal(tensor_elements(&entry->tensor), tensor_elements(&values));
        masks += check_weight(t, wanted->name, &entry->tensor, &values);
        tensor_free(&values);
        compared++;
    }
    checkpoint_close(final);
    assert_int_equal(compared, t->f->n_parameters);
    assert_int_equal(masks, t->f->n_masks);
}

/* So many steps, and updates of masks in them; `t->step` stays. */
static void run_fixture(parity *t, executor_kind kind, size_t threads, int64_t steps, int wanted_updates) {
    char path[512], line[1024];
    int updates = 0;
    make_step(t, kind, threads);
    FILE *expected = fopen(in_folder(t, "expected.jsonl", path), "r");
    assert_non_null(expected);
    for (int64_t step = 0; step < steps; step++) {
        assert_non_null(fgets(line, sizeof line, expected));
        updates += run_step(t, step, line);
    }
    fclose(expected);
    assert_int_equal(updates, wanted_updates);
    if (steps == t->f->steps) check_weights(t);
}

/* ---- tests ---- */

static void interpreted_steps_are_the_references(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        run_fixture(&t, EXECUTOR_INTERPRETER, 1, 11, 4);
        training_destroy(t.step);
        close_fixture(&t);
    }
}

static void compiled_steps_are_the_references(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        parity t;
        open_fixture(&t, &fixtures[i]);
        run_fixture(&t, EXECUTOR_COMPILED, 1, fixtures[i].steps, 7);
        training *one = t.step;
        run_fixture(&t, EXECUTOR_COMPILED, 2, fixtures[i].steps, 7);
        assert_true(state_store_size(training_state(one)) > 0);
        assert_same_state(training_state(one), training_state(t.step), NULL);
        training_destroy(one);
        training_destroy(t.step);
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
