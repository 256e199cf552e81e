/*
 * Masks by curvature in training: masks and weights are those of the same gradients, made here one by one; in groups as all at once; the data goes on where
 * it was; what is pruned stays so through steps; wrong trainings, failing allocations.
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

#include "frontend/driver/second_order_gradients.h"
#include "ir/support/rng.h"
#include "runtime/second_order.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/temporary_folder.h"

enum { B = 3, S = 7, N_WEIGHTS = 3, PER_EPOCH = 5, EPOCHS = 2, GRADIENTS = 24 };

static const char *const names[N_WEIGHTS] = {"bert.encoder.layer.0.attention.self.query.weight",
                                             "bert.encoder.layer.0.intermediate.dense.weight", "bert.pooler.dense.weight"};

static char folder[] = "/tmp/pofac_second_order_XXXXXX", cache_folder[64], model_folder[64];

static double number(const char *name, int64_t row, int64_t column) {
    const double random = rng_uniform(rng_key_make(5, name), (uint64_t)(row * 4096 + column)) - 0.5;
    return strstr(name, "LayerNorm.weight") ? 1 + 0.25 * random : 0.4 * random;
}

static int make_folder(void **unused) {
    (void)unused;
    tiny_model m = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = number};
    if (!mkdtemp(folder)) return -1;
    snprintf(cache_folder, sizeof cache_folder, "%s/objects", folder);
    snprintf(model_folder, sizeof model_folder, "%s/model", folder);
    m.spec.num_labels = 3;
    tiny_model_write(&m, model_folder);
    return 0;
}

static int remove_folder(void **unused) {
    (void)unused;
    folder_remove(folder);
    return 0;
}

/* ---- batches: functions of their place, in epochs of which there is a last one ---- */

typedef struct made_batches {
    uint64_t epoch, index;
    int64_t ids[B * S], types[B * S], keep[B * S], labels[B];
    batch batch;
} made_batches;

static pofac_status next_batch(void *user, const diag_sink *sink, const batch **out) {
    made_batches *m = user;
    const rng_key key = rng_key_make(3 + m->epoch * PER_EPOCH + m->index, "batches");
    (void)sink;
    *out = NULL;
    if (m->epoch == EPOCHS) return POFAC_OK;
    for (int64_t i = 0; i < B * S; i++) {
        m->ids[i] = (int64_t)rng_below(key, (uint64_t)i, TINY_VOCAB_SIZE);
        m->types[i] = i % S > 2;
        m->keep[i] = i % S < S - i / S;
    }
    for (int64_t i = 0; i < B; i++) m->labels[i] = (int64_t)rng_below(key, (uint64_t)(100 + i), 3);
    m->batch = (batch){.n_tensors = 4,
                       .names = {"input_ids", "token_type_ids", "attention_mask", "labels"},
                       .tensors = {{.dtype = IR_I64, .rank = 2, .dims = {B, S}, .data = m->ids},
                                   {.dtype = IR_I64, .rank = 2, .dims = {B, S}, .data = m->types},
                                   {.dtype = IR_I64, .rank = 2, .dims = {B, S}, .data = m->keep},
                                   {.dtype = IR_I64, .rank = 1, .dims = {B}, .data = m->labels}},
                       .n_sequences = B,
                       .n_tokens = B * S - 3,
                       .epoch = m->epoch,
                       .index = m->index,
                       .ends_epoch = m->index + 1 == PER_EPOCH};
    *out = &m->batch;
    if (++m->index == PER_EPOCH) {
        m->index = 0;
        m->epoch++;
    }
    return POFAC_OK;
}

static void get_position(const void *user, batch_position *out) {
    const made_batches *m = user;
    *out = (batch_position){.fingerprint = 17, .epoch = m->epoch, .index = m->index};
}

static pofac_status set_position(void *user, const batch_position *position, const diag_sink *sink) {
    made_batches *m = user;
    (void)sink;
    assert_int_equal(position->fingerprint, 17);
    m->epoch = position->epoch;
    m->index = position->index;
    return POFAC_OK;
}

/* ---- runs ---- */

typedef struct curved_run {
    pruned_parameter weights[N_WEIGHTS];
    training_pruning pruning;
    loaded_model *model;
    training *training;
    train_inputs *inputs;
    made_batches batches;
    batch_source source;
    strbuf said;
    diag_sink sink;
} curved_run;

static void want(curved_run *r, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s", what, strbuf_str(&r->said));
}

static void begin(curved_run *r, const char *method, bool accumulate) {
    *r = (curved_run){.said = STRBUF_INIT};
    r->sink = diag_sink_to_strbuf(&r->said);
    r->source = (batch_source){.next = next_batch, .get_position = get_position, .set_position = set_position, .user = &r->batches};
    for (size_t i = 0; i < N_WEIGHTS; i++) {
        r->weights[i] = (pruned_parameter){.name = names[i], .parameters = pruning_parameters_default()};
        r->weights[i].parameters.target_sparsity = 0.8;
    }
    r->pruning = (training_pruning){pruning_method_find(method), r->weights, N_WEIGHTS};
    const training_options o = {.road = {.cache_dir = cache_folder, .tune = ROAD_TUNE_OFF, .threads = 2},
                                .kind = EXECUTOR_COMPILED,
                                .beta1 = 0.9,
                                .beta2 = 0.99,
                                .epsilon = 1e-4,
                                .weight_decay = 0.01,
                                .max_grad_norm = 1,
                                .accumulate = accumulate,
                                .pruning = &r->pruning};
    want(r, loaded_model_open(model_folder, &(loaded_model_options){.num_labels = 3}, &r->sink, &r->model), "model");
    want(r, training_create(r->model, &o, &r->sink, &r->training), "training");
    want(r, train_inputs_create(loaded_model_spec(r->model), 42, &r->sink, &r->inputs), "inputs");
}

static void end(curved_run *r) {
    train_inputs_destroy(r->inputs);
    training_destroy(r->training);
    loaded_model_close(r->model);
    strbuf_free(&r->said);
}

/* The gradient of the next batch, which counts as that of `step`. */
static void run_next(curved_run *r, int64_t step, double rate) {
    const batch *b;
    const tensor_source *inputs;
    want(r, r->source.next(r->source.user, &r->sink, &b), "batch");
    assert_non_null(b);
    train_inputs_begin(r->inputs, step, rate);
    want(r, train_inputs_add(r->inputs, b, &r->sink), "inputs");
    want(r, train_inputs_select(r->inputs, 0, &r->sink, &inputs), "inputs");
    want(r, training_run(r->training, inputs, &r->sink), "run");
}

static void step_once(curved_run *r, int64_t step) {
    const tensor_source *inputs;
    run_next(r, step, 0.01);
    want(r, train_inputs_select(r->inputs, 0, &r->sink, &inputs), "inputs");
    want(r, training_apply(r->training, inputs, &r->sink), "apply");
}

static ir_tensor *find(curved_run *r, const char *start, const char *weight, const char *ending) {
    char name[128];
    snprintf(name, sizeof name, "%s%s%s", start, weight, ending);
    state_entry *e = state_store_find(training_state(r->training), name);
    if (!e) fail_msg("there is no state %s", name);
    return &e->tensor;
}

static second_order_update update_of(curved_run *r, int64_t step, int64_t max_bytes) {
    second_order_update u = {.training = r->training,
                             .weights = r->weights,
                             .n_weights = N_WEIGHTS,
                             .options = second_order_options_default(),
                             .max_bytes = max_bytes,
                             .source = &r->source,
                             .inputs = r->inputs,
                             .step = step};
    u.options.n_gradients = GRADIENTS;
    u.options.block_size = 40;
    return u;
}

/* ---- what is wanted, weight by weight ---- */

typedef struct wanted_weight {
    second_order *curvature;
    float *values, *scores;
    uint8_t *mask;
    int64_t n;
} wanted_weight;

static int by_number(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void make_wanted(curved_run *r, int64_t step, double sparsity, thread_pool *pool, wanted_weight *w) {
    const second_order_update u = update_of(r, step, 0);
    const made_batches before = r->batches;
    if (before.index == 0 && before.epoch > 0) r->batches.epoch--;
    const uint64_t epoch = r->batches.epoch;
    for (size_t i = 0; i < N_WEIGHTS; i++) {
        const ir_tensor *weight = find(r, "", names[i], ""), *mask = find(r, "", names[i], ".mask");
        w[i].n = tensor_elements(weight);
        w[i].values = calloc((size_t)w[i].n, sizeof *w[i].values);
        w[i].scores = calloc((size_t)w[i].n, sizeof *w[i].scores);
        w[i].mask = calloc((size_t)w[i].n, 1);
        for (int64_t k = 0; k < w[i].n; k++) w[i].values[k] = tensor_get_int(mask, k) ? (float)tensor_get(weight, k) : 0;
        want(r, second_order_create(w[i].n, &u.options, pool, &r->sink, &w[i].curvature), "curvature");
    }
    for (int64_t g = 0; g < GRADIENTS; g++) {
        run_next(r, (INT64_C(1) << 40) + step * GRADIENTS + g, 0);
        r->batches.epoch = epoch;
        for (size_t i = 0; i < N_WEIGHTS; i++) {
            const ir_tensor *sum = find(r, "gradient.", names[i], "");
            second_order_add(w[i].curvature, sum->data, sum->pattern);
        }
    }
    r->batches = before;
    for (size_t i = 0; i < N_WEIGHTS; i++) {
        float *sorted = malloc((size_t)w[i].n * sizeof *sorted);
        second_order_saliency(w[i].curvature, w[i].values, w[i].scores);
        memcpy(sorted, w[i].scores, (size_t)w[i].n * sizeof *sorted);
        qsort(sorted, (size_t)w[i].n, sizeof *sorted, by_number);
        const int64_t pruned = (int64_t)(sparsity * (double)w[i].n);
        for (int64_t k = 0; k < w[i].n; k++) w[i].mask[k] = w[i].scores[k] > sorted[pruned - 1];
        second_order_prune(w[i].curvature, w[i].mask, w[i].values);
        free(sorted);
    }
}

static void compare_and_free(curved_run *r, wanted_weight *w) {
    for (size_t i = 0; i < N_WEIGHTS; i++) {
        const ir_tensor *weight = find(r, "", names[i], ""), *mask = find(r, "", names[i], ".mask");
        for (int64_t k = 0; k < w[i].n; k++) {
            if (tensor_get_int(mask, k) != w[i].mask[k])
                fail_msg("%s[%d]: the mask is %d, wanted %d", names[i], (int)k, (int)tensor_get_int(mask, k), w[i].mask[k]);
            if (tensor_get(weight, k) != (double)w[i].values[k])
                fail_msg("%s[%d] is %.9g, wanted %.9g", names[i], (int)k, tensor_get(weight, k), w[i].values[k]);
        }
        second_order_destroy(w[i].curvature);
        free(w[i].values);
        free(w[i].scores);
        free(w[i].mask);
    }
}

/* Through a schedule: to 40 % and 80 % zeros, with steps between them, at the end of all epochs too. */
static void masks_are_those_of_the_gradients(void **unused) {
    (void)unused;
    static const double progress[] = {0.5, 1, 1, 1, 1};
    curved_run r;
    thread_pool *pool;
    assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
    begin(&r, "second_order", true);
    const second_order_update none = update_of(&r, 0, 0);
    mask_update first;
    want(&r, second_order_update_masks(&none, 0, &r.sink, &first), "first masks");
    assert_int_equal(first.kept, first.entries);
    for (int64_t step = 1; step <= 5; step++) {
        wanted_weight wanted[N_WEIGHTS] = {{0}};
        mask_update done;
        int64_t kept = 0, entries = 0;
        step_once(&r, 2 * step - 1);
        step_once(&r, 2 * step);
        const made_batches before = r.batches;
        make_wanted(&r, 2 * step, 0.8 * progress[step - 1], pool, wanted);
        for (size_t i = 0; i < N_WEIGHTS; i++) entries += wanted[i].n;
        const second_order_update u = update_of(&r, 2 * step, 0);
        want(&r, second_order_update_masks(&u, progress[step - 1], &r.sink, &done), "update");
        assert_true(r.batches.epoch == before.epoch && r.batches.index == before.index);
        assert_int_equal(done.entries, entries);
        for (size_t i = 0; i < N_WEIGHTS; i++)
            for (int64_t k = 0; k < wanted[i].n; k++) kept += wanted[i].mask[k];
        assert_int_equal(done.kept, kept);
        assert_true(fabs(1 - (double)kept / (double)entries - 0.8 * progress[step - 1]) < 1e-3);
        compare_and_free(&r, wanted);
        assert_null(r.weights[0].scores);
    }
    assert_true(r.batches.epoch == EPOCHS && r.batches.index == 0);
    end(&r);
    thread_pool_destroy(pool);
}

static void groups_change_nothing(void **unused) {
    (void)unused;
    curved_run all, one;
    mask_update done;
    int64_t compared = 0, entries[N_WEIGHTS];
    begin(&all, "second_order", true);
    begin(&one, "second_order", true);
    step_once(&all, 1);
    step_once(&one, 1);
    const second_order_update a = update_of(&all, 1, INT64_C(1) << 40), b = update_of(&one, 1, 1);
    want(&all, second_order_update_masks(&a, 1, &all.sink, &done), "update");
    want(&one, second_order_update_masks(&b, 1, &one.sink, &done), "update in groups");
    for (size_t i = 0; i < N_WEIGHTS; i++) {
        const ir_tensor *x = find(&all, "", names[i], ""), *y = find(&one, "", names[i], "");
        entries[i] = tensor_elements(x);
        compared += entries[i];
        assert_memory_equal(x->data, y->data, tensor_bytes(x));
        assert_memory_equal(find(&all, "", names[i], ".mask")->data, find(&one, "", names[i], ".mask")->data, (size_t)entries[i]);
    }
    assert_true(compared > 1000);
    second_order_need need;
    want(&all, second_order_needs(entries, N_WEIGHTS, &a.options, a.max_bytes, &all.sink, &need), "needs");
    assert_int_equal(need.n_groups, 1);
    assert_int_equal(need.bytes, second_order_bytes(entries[0], &a.options) + second_order_bytes(entries[1], &a.options) +
                                     second_order_bytes(entries[2], &a.options));
    want(&all, second_order_needs(entries, N_WEIGHTS, &a.options, 1, &all.sink, &need), "needs");
    assert_int_equal(need.n_groups, N_WEIGHTS);
    want(&all, second_order_needs(entries, N_WEIGHTS, &a.options, 0, &all.sink, &need), "needs"); /* half of what is free */
    assert_true(need.n_groups >= 1);
    end(&all);
    end(&one);
}

static void refuses(const char *method, bool accumulate, int64_t block_size, const char *message) {
    curved_run r;
    mask_update done;
    begin(&r, method, accumulate);
    second_order_update u = update_of(&r, 1, 0);
    u.options.block_size = block_size;
    assert_int_equal(second_order_update_masks(&u, 1, &r.sink, &done), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&r.said), message);
    end(&r);
}

static void wrong_trainings(void **unused) {
    (void)unused;
    refuses("second_order", false, 50, "error: found a step of one run, wanted one of several, whose gradients stay apart\n");
    refuses("unstructured_magnitude", true, 50, "error: found a step that does not prune by curvature, wanted one that does\n");
    refuses("second_order", true, 0, "error: fisher_block_size is 0, wanted 1 to 1024\n");
}

/* Nothing changes before all is known. From then on it is an update of masks (test_training_pruning.c). */
static void short_memory(void **unused) {
    (void)unused;
    curved_run r;
    mask_update done;
    ir_tensor before;
    size_t n = 1;
    begin(&r, "second_order", true);
    step_once(&r, 1);
    const ir_tensor *weight = find(&r, "", names[1], "");
    assert_int_equal(tensor_clone(weight, &before), POFAC_OK);
    second_order_update u = update_of(&r, 1, 0);
    u.options.n_gradients = 1;
    for (;; n++) {
        fail_alloc_after(n);
        const pofac_status status = second_order_update_masks(&u, 1, NULL, &done);
        if (!fail_alloc_stop()) break;
        assert_int_equal(status, POFAC_ERR_RUNTIME);
        assert_true(r.batches.epoch == 0 && r.batches.index == 1);
        if (memcmp(weight->data, before.data, tensor_bytes(&before)) != 0) break;
    }
    assert_true(n > 20);
    tensor_free(&before);
    end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_those_of_the_gradients),
        cmocka_unit_test(groups_change_nothing),
        cmocka_unit_test(wrong_trainings),
        cmocka_unit_test(short_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
