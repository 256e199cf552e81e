/*
 * Training that goes on from checkpoints: a run saves after every run of every step, in the middle of steps too; a new training made from the same
 * model, loaded from any of them, has the same losses and ends in the same state, bit for bit. With AdamW and SGD, dense and with locked zeros, with
 * dropout, in one run a step and in several. Locked zeros are zeros after every step, and in every checkpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/run_checkpoint.h"
#include "frontend/driver/training.h"
#include "ir/op.h"
#include "ir/support/directory.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/made_run.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/named_tensors.h"

enum { B = 2, S = 6, MOST = 12 };
#define LOCKED "bert.encoder.layer.0.output.dense.weight"

typedef struct resume_case {
    const char *name;
    model_head head;
    bool lock, sgd;
    int64_t steps, runs; /* runs of a step */
} resume_case;

static const resume_case cases[] = {
    {"adamw", HEAD_SEQUENCE_CLASSIFICATION, false, false, 3, 1},
    {"locked adamw of pretraining", HEAD_PRETRAINING, true, false, 3, 1},
    {"locked sgd, accumulated", HEAD_QUESTION_ANSWERING, true, true, 2, 3},
    {"adamw, accumulated", HEAD_TOKEN_CLASSIFICATION, false, false, 2, 2},
};

/* A place in a run: so many steps are done, and so many runs of the next. */
typedef struct place {
    int64_t step, run;
} place;

typedef struct resume_run {
    const resume_case *test;
    char model_path[256], dir[256], cache[256];
    loaded_model *model;
    training *training;
    strbuf said, choices, pins;
    diag_sink sink;
    float losses[MOST]; /* of each run */
} resume_run;

static void want(resume_run *r, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s: %s", r->test->name, what, strbuf_str(&r->said));
}

/* 90 % zeros in the encoder's weights. */
static double sparse_number(const char *name, int64_t row, int64_t column) {
    const uint64_t i = (uint64_t)(row * 4096 + column);
    const double random = rng_uniform(rng_key_make(5, name), i) - 0.5;
    if (strstr(name, "LayerNorm.weight")) return 1 + 0.25 * random;
    if (column > 0 && strstr(name, "encoder") && rng_uniform(rng_key_make(6, name), i) < 0.9) return 0;
    return 0.4 * random;
}

static void open_training(resume_run *r) {
    const training_options options = {.road = {.cache_dir = r->cache,
                                               .tune = ROAD_TUNE_OFF,
                                               .threads = 2,
                                               .kernel_variants = r->pins.size ? strbuf_str(&r->pins) : NULL,
                                               .kernel_choices = &r->choices,
                                               .graph.dropout = true},
                                      .kind = EXECUTOR_COMPILED,
                                      .optim = r->test->sgd ? "sgd" : "adamw_torch",
                                      .beta1 = 0.9,
                                      .beta2 = 0.99,
                                      .epsilon = 1e-8,
                                      .momentum = r->test->sgd ? 0.5 : 0,
                                      .weight_decay = 0.01,
                                      .max_grad_norm = 1,
                                      .accumulate = r->test->runs > 1,
                                      .lock = r->test->lock};
    const loaded_model_options model = {.head = r->test->head, .num_labels = 3, .seed = 3};
    want(r, loaded_model_open(r->model_path, &model, &r->sink, &r->model), "model");
    want(r, training_create(r->model, &options, &r->sink, &r->training), "training");
}

static void close_training(resume_run *r) {
    training_destroy(r->training);
    loaded_model_close(r->model);
}

/* ---- inputs: functions of the place ---- */

static double scalar_of(const char *name, place at) {
    if (strcmp(name, "learning_rate") == 0) return 0.01 / (double)(at.step + 1);
    if (strcmp(name, "step") == 0) return (double)at.step + 1;
    if (strcmp(name, "keep") == 0) return at.run > 0;
    if (strcmp(name, "first_example") == 0) return (double)(B * at.run);
    return 0.125; /* scale.LABELS */
}

static double element_of(const char *name, place at, int64_t i) {
    const uint64_t number = (uint64_t)((at.step * 16 + at.run) * 64 + i);
    if (strcmp(name, "random") == 0) return i == 0 ? 42 : (double)at.step;
    if (strcmp(name, "attention_mask") == 0) return i % S < S - i / S;
    if (strcmp(name, "token_type_ids") == 0) return i % S > 2;
    const uint64_t most = strcmp(name, "input_ids") == 0 ? TINY_VOCAB_SIZE
                          : strstr(name, "positions")    ? S - 1
                          : strstr(name, "sentence")     ? 2
                                                         : 3;
    return (double)rng_below(rng_key_make(8, name), number, most);
}

static void make_inputs(const ir_graph *g, place at, named_tensors *to) {
    *to = (named_tensors){.what = "input"};
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op != OP_input) continue;
        const char *name = node_string(n, "name");
        const ir_type *type = graph_type(g, n->first_result);
        const int64_t dims[2] = {strcmp(name, "random") == 0 ? 2 : B, S};
        ir_tensor *t = named_tensors_add(to, name, type->dtype, type->rank, dims);
        for (int64_t k = 0; k < tensor_elements(t); k++)
            tensor_set(t, k, type->rank ? element_of(name, at, k) : scalar_of(name, at));
    }
}

/* One run, and the step's update behind its last one. The place moves on. */
static void run_on(resume_run *r, place *at) {
    named_tensors inputs;
    ir_tensor loss;
    make_inputs(training_graph(r->training), *at, &inputs);
    if (r->test->runs > 1) { /* what the update reads */
        if (!named_tensors_find(&inputs, "learning_rate"))
            tensor_set(named_tensors_add(&inputs, "learning_rate", IR_F32, 0, NULL), 0, scalar_of("learning_rate", *at));
        if (!named_tensors_find(&inputs, "step"))
            tensor_set(named_tensors_add(&inputs, "step", IR_I64, 0, NULL), 0, scalar_of("step", *at));
    }
    const tensor_source source = named_tensors_source(&inputs);
    want(r, training_run(r->training, &source, &r->sink), "run");
    want(r, training_output(r->training, "loss", &r->sink, &loss), "loss");
    r->losses[at->step * r->test->runs + at->run] = *(const float *)loss.data;
    if (++at->run == r->test->runs) {
        if (r->test->runs > 1) want(r, training_apply(r->training, &source, &r->sink), "update");
        *at = (place){at->step + 1, 0};
    }
    named_tensors_free(&inputs);
}

static int64_t count(const resume_case *test, place at) { return at.step * test->runs + at.run; }

/* Each place's checkpoint has a directory of its own. */
static const char *directory_of(resume_run *r, place at) {
    static char path[300];
    snprintf(path, sizeof path, "%s/%lld", r->dir, (long long)count(r->test, at));
    return path;
}

static void save(resume_run *r, place at) {
    const run_checkpoint_options o = {
        .dir = directory_of(r, at), .model = r->model, .settings = "seed=42\n", .kernel_choices = strbuf_str(&r->choices)};
    const run_position p = {.step = at.step, .accumulated_runs = at.run};
    want(r, directory_make(o.dir, &r->sink), "directory");
    want(r, run_checkpoint_save(&o, &p, training_state(r->training), &r->sink), "save");
}

static void load(resume_run *r, place at) {
    run_position p;
    strbuf path = STRBUF_INIT;
    bool found;
    want(r, run_checkpoint_find(directory_of(r, at), &path, &found, &r->sink), "find");
    assert_true(found);
    strbuf_clear(&r->pins);
    want(r, run_checkpoint_peek(strbuf_str(&path), NULL, NULL, &r->pins, &r->sink), "peek");
    open_training(r);
    want(r, run_checkpoint_load(strbuf_str(&path), "seed=42\n", &p, training_state(r->training), &r->sink), "load");
    assert_true(p.step == at.step && p.accumulated_runs == at.run);
    strbuf_free(&path);
}

/* Zeros of the first model are zeros of the checkpoint's, which is dense. */
static void expect_zeros(resume_run *r, place at) {
    char path[400];
    checkpoint *c;
    int64_t zeros = 0;
    snprintf(path, sizeof path, "%s/checkpoint-%lld/model.safetensors", directory_of(r, at), (long long)at.step);
    want(r, checkpoint_open(path, &r->sink, &c), "checkpoint");
    const checkpoint_tensor *t = checkpoint_get(c, LOCKED);
    assert_non_null(t);
    float *values = malloc((size_t)checkpoint_elements(t) * sizeof *values);
    checkpoint_read_f32(t, values);
    for (int64_t row = 0; row < t->dims[0]; row++) {
        for (int64_t column = 0; column < t->dims[1]; column++) {
            if (sparse_number(LOCKED, row, column) != 0) continue;
            zeros++;
            if (values[row * t->dims[1] + column] != 0)
                fail_msg("%s: step %lld: %s[%lld,%lld] is %g", r->test->name, (long long)at.step, LOCKED, (long long)row,
                         (long long)column, (double)values[row * t->dims[1] + column]);
        }
    }
    assert_true(zeros > 1000);
    free(values);
    checkpoint_close(c);
}

static void check_case(void **state, const resume_case *test) {
    resume_run whole = {.test = test}, part = {.test = test};
    const int64_t all = test->steps * test->runs;
    snprintf(whole.model_path, sizeof whole.model_path, "%s", file_path(state, "model"));
    snprintf(whole.dir, sizeof whole.dir, "%s", file_path(state, "run"));
    snprintf(whole.cache, sizeof whole.cache, "%s", file_path(state, "objects"));
    memcpy(part.model_path, whole.model_path, sizeof part.model_path);
    memcpy(part.dir, whole.dir, sizeof part.dir);
    memcpy(part.cache, whole.cache, sizeof part.cache);
    whole.sink = diag_sink_to_strbuf(&whole.said);
    part.sink = diag_sink_to_strbuf(&part.said);
    assert_int_equal(directory_remove(whole.dir, NULL), POFAC_OK);
    tiny_model m = {.spec = tiny_spec(MODEL_BERT, test->head), .value = sparse_number};
    m.spec.num_labels = 3;
    tiny_model_write(&m, whole.model_path);
    open_training(&whole);
    place at = {0, 0}, places[MOST + 1] = {{0, 0}};
    for (int64_t i = 0; i < all; i++) {
        run_on(&whole, &at);
        places[i + 1] = at;
        if (i + 1 < all) save(&whole, at);
        if (i + 1 < all && test->lock) expect_zeros(&whole, at);
    }
    for (int64_t i = 1; i < all; i++) {
        load(&part, places[i]);
        for (at = places[i]; at.step < test->steps;) run_on(&part, &at);
        for (int64_t k = i; k < all; k++)
            if (memcmp(&part.losses[k], &whole.losses[k], sizeof(float)) != 0)
                fail_msg("%s, from %lld: the loss of run %lld is %.9g, wanted %.9g", test->name, (long long)i, (long long)k,
                         (double)part.losses[k], (double)whole.losses[k]);
        assert_same_state(training_state(whole.training), training_state(part.training), NULL);
        assert_string_equal(strbuf_str(&part.choices), strbuf_str(&whole.choices));
        strbuf_clear(&part.choices);
        close_training(&part);
    }
    assert_memory_not_equal(&whole.losses[0], &whole.losses[all - 1], sizeof(float));
    close_training(&whole);
    strbuf_free(&whole.said);
    strbuf_free(&whole.choices);
    strbuf_free(&part.said);
    strbuf_free(&part.choices);
    strbuf_free(&part.pins);
}

static void runs_go_on_bit_for_bit(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(state, &cases[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(runs_go_on_bit_for_bit)};
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
