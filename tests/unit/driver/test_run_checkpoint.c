/*
 * Checkpoints of runs: what is saved comes back bit for bit, whatever fails in between leaves the ones before, and whatever is wrong with one is
 * said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/run_directory.h"
#include "frontend/driver/run_manifest.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/made_run.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"
#include "tests/unit/fail_write.h"

#define SETTINGS "learning_rate=5e-05\noptim=adamw_torch\nseed=42\n"
#define KERNELS "^a\\.weight$:sparse_linear tile=16"

/* A model, a run of it, and the run's directory; texts name them as `model` and `run`. */
typedef struct scene {
    char model[256], dir[256];
    made_run run;
    run_checkpoint_options o;
    strbuf said;
    diag_sink sink;
} scene;

static double with_zeros(const char *name, int64_t row, int64_t column) {
    return strstr(name, "dense") && (row + column) % 3 == 0 ? 0 : 0.01 * (double)(row + 1) + 0.001 * (double)column;
}

static double with_more_zeros(const char *name, int64_t row, int64_t column) {
    return column == 1 ? 0 : with_zeros(name, row, column);
}

static void write_model(const char *path, double (*value)(const char *name, int64_t row, int64_t column)) {
    tiny_model m = {.spec = tiny_spec(MODEL_BERT, HEAD_PRETRAINING), .value = value};
    m.spec.hidden_size = 8;
    m.spec.intermediate_size = 12;
    tiny_model_write(&m, path);
}

static void scene_begin(void **state, const char *sparse, scene *s) {
    memset(s, 0, sizeof *s);
    snprintf(s->model, sizeof s->model, "%s", file_path(state, "model"));
    snprintf(s->dir, sizeof s->dir, "%s", file_path(state, "run"));
    assert_int_equal(directory_remove(s->dir, NULL), POFAC_OK);
    assert_int_equal(directory_make(s->dir, NULL), POFAC_OK);
    write_model(s->model, with_zeros);
    s->run = made_run_create(&(made_run_options){.path = s->model, .sparse = sparse, .with_mask = true, .seed = 7});
    s->o = (run_checkpoint_options){.dir = s->dir, .model = s->run.model, .settings = SETTINGS, .kernel_choices = KERNELS};
    s->sink = diag_sink_to_strbuf(&s->said);
}

static void scene_end(scene *s) {
    made_run_free(&s->run);
    strbuf_free(&s->said);
}

static run_position position_at(int64_t step) {
    return (run_position){.step = step,
                          .epoch = (double)step / 3,
                          .tokens = 100 * step,
                          .examples = 8 * step,
                          .data = {UINT64_MAX, 1, 2, 3, 1ull << 63},
                          .loss_sum = 0.1 * (double)step,
                          .task_loss_sum = -1e-300,
                          .loss_steps = 2,
                          .grad_norm = 1.0 / 3};
}

static pofac_status save(scene *s, int64_t step) {
    const run_position p = position_at(step);
    return run_checkpoint_save(&s->o, &p, s->run.state, &s->sink);
}

/* All that was said since the last time, the directory's name cut. */
static void expect_said(void **state, scene *s, const char *wanted) {
    if (s->said.data) cut_directory(state, s->said.data);
    assert_string_equal(strbuf_str(&s->said), wanted);
    strbuf_clear(&s->said);
}

/* The newest whole checkpoint; 0: none. */
static int64_t find_step(scene *s) {
    strbuf path = STRBUF_INIT;
    bool found;
    assert_int_equal(run_checkpoint_find(s->dir, &path, &found, &s->sink), POFAC_OK);
    const char *dash = strrchr(strbuf_str(&path), '-');
    const int64_t step = found ? strtoll(dash + 1, NULL, 10) : 0;
    assert_true(found == (path.size > 0));
    strbuf_free(&path);
    return step;
}

static pofac_status load(scene *s, int64_t step, run_position *position, state_store *into) {
    char path[300];
    snprintf(path, sizeof path, "%s/checkpoint-%lld", s->dir, (long long)step);
    return run_checkpoint_load(path, SETTINGS, position, into, &s->sink);
}

static int compare_names(const void *a, const void *b) { return strcmp(a, b); }

/* All names in a directory, sorted, with a space before each. */
static void list_directory(const char *path, char *out, size_t room) {
    char names[64][64];
    size_t n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) snprintf(names[n++], sizeof *names, "%.63s", e->d_name);
    closedir(d);
    qsort(names, n, sizeof *names, compare_names);
    *out = 0;
    for (size_t i = 0; i < n; i++) snprintf(out + strlen(out), room - strlen(out), " %s", names[i]);
}

static void expect_files(const char *path, const char *wanted) {
    char found[2048];
    list_directory(path, found, sizeof found);
    assert_string_equal(found, wanted);
}

/* ---- what is saved comes back ---- */

static void check_round_trip(void **state, const char *sparse, int64_t accumulated) {
    scene s;
    scene_begin(state, sparse, &s);
    run_position wanted = position_at(3), found;
    wanted.accumulated_runs = accumulated;
    assert_int_equal(run_checkpoint_save(&s.o, &wanted, s.run.state, &s.sink), POFAC_OK);
    expect_files(s.dir, " checkpoint-3");
    expect_said(state, &s, "");
    made_run other = made_run_create(&(made_run_options){.path = s.model, .sparse = sparse, .with_mask = true, .seed = 8});
    assert_int_equal(load(&s, 3, &found, other.state), POFAC_OK);
    assert_same_state(s.run.state, other.state, accumulated ? NULL : "gradient.");
    assert_memory_equal(&found.data, &wanted.data, sizeof wanted.data);
    assert_true(found.step == 3 && found.epoch == wanted.epoch && found.tokens == 300 && found.examples == 24 &&
                found.loss_sum == wanted.loss_sum && found.task_loss_sum == wanted.task_loss_sum && found.loss_steps == 2 &&
                found.grad_norm == wanted.grad_norm && !found.has_best && found.accumulated_runs == accumulated);
    made_run_free(&other);
    scene_end(&s);
}

static void comes_back_bit_for_bit(void **state) {
    check_round_trip(state, NULL, 0);
    check_round_trip(state, NULL, 2);
    check_round_trip(state, "encoder", 0);
    check_round_trip(state, "dense", 1);
}

static void sums_of_gradients_are_kept_within_a_step_alone(void **state) {
    scene s;
    run_position found;
    scene_begin(state, NULL, &s);
    assert_int_equal(save(&s, 3), POFAC_OK);
    made_run other = made_run_create(&(made_run_options){.path = s.model, .with_mask = true, .seed = 8});
    made_run same = made_run_create(&(made_run_options){.path = s.model, .with_mask = true, .seed = 8});
    assert_int_equal(load(&s, 3, &found, other.state), POFAC_OK);
    const char *sum = "gradient.cls.predictions.bias";
    assert_memory_equal(state_store_find(other.state, sum)->tensor.data, state_store_find(same.state, sum)->tensor.data, 4 * 33);
    made_run_free(&same);
    made_run_free(&other);
    scene_end(&s);
}

static void parameters_come_back_alone(void **state) {
    scene s;
    char path[300];
    scene_begin(state, "encoder", &s);
    assert_int_equal(save(&s, 3), POFAC_OK);
    made_run other = made_run_create(&(made_run_options){.path = s.model, .sparse = "encoder", .without_moments = true});
    snprintf(path, sizeof path, "%s/checkpoint-3", s.dir);
    assert_int_equal(run_checkpoint_load_parameters(path, other.state, &s.sink), POFAC_OK);
    assert_same_state(other.state, s.run.state, NULL);
    made_run_free(&other);
    scene_end(&s);
}

static void position_keeps_every_number(void **state) {
    scene s;
    scene_begin(state, NULL, &s);
    run_position wanted = position_at(7), found;
    char path[300];
    wanted.has_best = true;
    wanted.best_metric = NAN;
    wanted.best_step = 5;
    wanted.evaluations_without_gain = 2;
    wanted.evaluation_due = true;
    wanted.metrics_bytes = 1234;
    wanted.forwards = 77;
    strbuf settings = STRBUF_INIT, kernels = STRBUF_INIT;
    assert_int_equal(run_checkpoint_save(&s.o, &wanted, s.run.state, &s.sink), POFAC_OK);
    snprintf(path, sizeof path, "%s/checkpoint-7", s.dir);
    assert_int_equal(run_checkpoint_peek(path, &found, &settings, &kernels, &s.sink), POFAC_OK);
    assert_true(found.has_best && isnan(found.best_metric) && found.best_step == 5 && found.evaluations_without_gain == 2 &&
                found.evaluation_due && found.metrics_bytes == 1234 && found.forwards == 77);
    assert_string_equal(strbuf_str(&settings), SETTINGS);
    assert_string_equal(strbuf_str(&kernels), KERNELS);
    strbuf_free(&settings);
    strbuf_free(&kernels);
    scene_end(&s);
}

/* Checkpoints from before forwards were counted. */
static void position_without_forwards(void **state) {
    static const char line[] = "\n  \"forwards\": 77,";
    run_position wanted = position_at(7), found;
    strbuf text = STRBUF_INIT, said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    const char *path = file_path(state, "old.json");
    wanted.forwards = 77;
    run_position_put(&wanted, &text);
    char *at = strstr(text.data, line);
    assert_non_null(at);
    memmove(at, at + strlen(line), strlen(at + strlen(line)) + 1);
    assert_int_equal(file_write_all(path, text.data, strlen(text.data), NULL), POFAC_OK);
    assert_int_equal(run_position_read(path, &sink, &found), POFAC_OK);
    assert_true(found.forwards == 0 && found.step == 7 && found.loss_sum == wanted.loss_sum);
    memcpy(strstr(text.data, "\"tokens\""), "\"Tokens\"", 8);
    assert_int_equal(file_write_all(path, text.data, strlen(text.data), NULL), POFAC_OK);
    assert_int_equal(run_position_read(path, &sink, &found), POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&said), "old.json: error: tokens: found nothing, wanted a whole number from 0 on"));
    strbuf_free(&text);
    strbuf_free(&said);
}

static void has_the_trainers_state(void **state) {
    static const char lines[] =
        "{\"step\": 1, \"loss\": 2.5}\nno JSON\n[1]\n\n{\"step\": 2, \"loss\": 0.1}\n{\"step\": 3, \"loss\": 9}\n";
    scene s;
    char path[300];
    scene_begin(state, NULL, &s);
    put_file(state, "run/metrics.jsonl", lines, strlen(lines));
    run_position p = position_at(2);
    p.metrics_bytes = (int64_t)(strstr(lines, "{\"step\": 3") - lines);
    p.has_best = true;
    p.best_step = 2;
    p.best_metric = 0.75;
    s.o.max_steps = 10;
    s.o.logging_steps = 1;
    s.o.save_steps = 2;
    s.o.eval_steps = 5;
    s.o.train_batch_size = 8;
    s.o.num_train_epochs = 3;
    assert_int_equal(run_checkpoint_save(&s.o, &p, s.run.state, &s.sink), POFAC_OK);
    snprintf(path, sizeof path, "%s/checkpoint-2/trainer_state.json", s.dir);
    file_map file;
    assert_int_equal(file_map_open(path, NULL, &file), POFAC_OK);
    char *text = strndup((const char *)file.data, file.size_bytes);
    cut_directory(state, text);
    assert_string_equal(text, "{\n"
                              "  \"best_metric\": 0.75,\n"
                              "  \"best_model_checkpoint\": \"run/checkpoint-2\",\n"
                              "  \"epoch\": 0.6666666666666666,\n"
                              "  \"eval_steps\": 5,\n"
                              "  \"global_step\": 2,\n"
                              "  \"is_hyper_param_search\": false,\n"
                              "  \"is_local_process_zero\": true,\n"
                              "  \"is_world_process_zero\": true,\n"
                              "  \"log_history\": [\n"
                              "    {\n      \"loss\": 2.5,\n      \"step\": 1\n    },\n"
                              "    {\n      \"loss\": 0.1,\n      \"step\": 2\n    }\n"
                              "  ],\n"
                              "  \"logging_steps\": 1,\n"
                              "  \"max_steps\": 10,\n"
                              "  \"num_input_tokens_seen\": 200,\n"
                              "  \"num_train_epochs\": 3.0,\n"
                              "  \"save_steps\": 2,\n"
                              "  \"total_flos\": 0.0,\n"
                              "  \"train_batch_size\": 8,\n"
                              "  \"trial_name\": null,\n"
                              "  \"trial_params\": null\n"
                              "}\n");
    free(text);
    file_map_close(&file);
    p.best_step = 1; /* which is not there */
    assert_int_equal(run_trainer_state_save(&s.o, &p, &s.sink), POFAC_OK);
    snprintf(path, sizeof path, "%s/trainer_state.json", s.dir);
    assert_int_equal(file_map_open(path, NULL, &file), POFAC_OK);
    assert_non_null(memmem(file.data, file.size_bytes, "\"best_model_checkpoint\": null", 29));
    file_map_close(&file);
    scene_end(&s);
}

/* ---- what does not fit ---- */

static void names_settings_that_differ(void **state) {
    scene s;
    char path[300];
    run_position p;
    scene_begin(state, NULL, &s);
    assert_int_equal(save(&s, 3), POFAC_OK);
    snprintf(path, sizeof path, "%s/checkpoint-3", s.dir);
    assert_int_equal(run_checkpoint_load(path, "seed=42\nlearning_rate=3e-05\nwarmup=\n", &p, s.run.state, &s.sink),
                     POFAC_ERR_INPUT);
    expect_said(
        state, &s,
        "run/checkpoint-3: error: learning_rate: found 5e-05, wanted 3e-05: a run goes on with the settings that it began with\n"
        "run/checkpoint-3: error: warmup: found nothing, wanted : a run goes on with the settings that it began with\n"
        "run/checkpoint-3: error: optim: found adamw_torch, wanted nothing: a run goes on with the settings that it began with\n");
    scene_end(&s);
}

static void expect_refused(void **state, scene *s, made_run_options options, const char *said) {
    run_position p;
    options.path = s->model;
    options.with_mask = true;
    made_run other = made_run_create(&options);
    assert_int_equal(load(s, 3, &p, other.state), POFAC_ERR_INPUT);
    expect_said(state, s, said);
    made_run_free(&other);
}

static void refuses_another_state(void **state) {
    scene s;
    scene_begin(state, "pooler.dense", &s);
    assert_int_equal(save(&s, 3), POFAC_OK);
    expect_refused(
        state, &s, (made_run_options){.sparse = "pooler.dense", .with_momentum = true},
        "run/checkpoint-3/state.safetensors: error: tensor \"bert.embeddings.word_embeddings.weight.momentum_buffer\": found none, "
        "the run has one\n");
    expect_refused(
        state, &s, (made_run_options){.sparse = "pooler.dense", .without_moments = true},
        "run/checkpoint-3/state.safetensors: error: tensor \"bert.embeddings.LayerNorm.bias.exp_avg\": the run has none\n");
    expect_refused(state, &s, (made_run_options){.sparse = NULL},
                   "run/checkpoint-3/state.safetensors: error: tensor \"bert.pooler.dense.weight.exp_avg\": found "
                   "[43], wanted [8,8]\n");
    expect_refused(state, &s, (made_run_options){.sparse = "dense"},
                   "run/checkpoint-3/state.safetensors: error: tensor "
                   "\"pattern.bert.encoder.layer.0.attention.output.dense.weight\": found none, "
                   "the run has one\n");
    expect_refused(state, &s, (made_run_options){.sparse = "pooler.dense", .model = {.head = HEAD_MASKED_LM}},
                   "run/checkpoint-3/state.safetensors: error: tensor \"bert.pooler.dense.bias.exp_avg\": the run has none\n");
    scene_end(&s);
}

static void refuses_another_pattern(void **state) {
    scene s;
    scene_begin(state, "pooler.dense", &s);
    assert_int_equal(save(&s, 3), POFAC_OK);
    write_model(s.model, with_more_zeros);
    expect_refused(state, &s, (made_run_options){.sparse = "pooler.dense"},
                   "run/checkpoint-3/state.safetensors: error: tensor \"pattern.bert.pooler.dense.weight\": found other "
                   "positions of non-zeros than the run has: it began with another model\n");
    scene_end(&s);
}

/* ---- several checkpoints ---- */

static void save_with_best(scene *s, int64_t step, int64_t best) {
    run_position p = position_at(step);
    p.has_best = best > 0;
    p.best_step = best;
    assert_int_equal(run_checkpoint_save(&s->o, &p, s->run.state, &s->sink), POFAC_OK);
}

static void keeps_to_the_limit(void **state) {
    scene s;
    scene_begin(state, NULL, &s);
    for (int64_t step = 8; step <= 11; step++) save_with_best(&s, step, 0);
    expect_files(s.dir, " checkpoint-10 checkpoint-11 checkpoint-8 checkpoint-9");
    s.o.save_total_limit = 2;
    save_with_best(&s, 12, 0);
    expect_files(s.dir, " checkpoint-11 checkpoint-12");
    save_with_best(&s, 13, 12);
    expect_files(s.dir, " checkpoint-12 checkpoint-13");
    save_with_best(&s, 14, 12);
    expect_files(s.dir, " checkpoint-12 checkpoint-14");
    s.o.save_total_limit = 1;
    save_with_best(&s, 15, 12);
    expect_files(s.dir, " checkpoint-12 checkpoint-15");
    s.o.save_total_limit = 2;
    save_with_best(&s, 9, 0); /* a run that has begun again before them */
    expect_files(s.dir, " checkpoint-12 checkpoint-9");
    put_file(state, "run/checkpoint-x", "", 0); /* names that are none of steps */
    put_file(state, "run/checkpoint-007", "", 0);
    save_with_best(&s, 10, 10);
    expect_files(s.dir, " checkpoint-007 checkpoint-10 checkpoint-9 checkpoint-x");
    expect_said(state, &s, "");
    scene_end(&s);
}

/* A run that began with a checkpoint of its own directory. */
static void keeps_what_the_run_began_with(void **state) {
    scene s;
    scene_begin(state, NULL, &s);
    for (int64_t step = 1; step <= 3; step++) assert_int_equal(save(&s, step), POFAC_OK);
    char path[300];
    snprintf(path, sizeof path, "%s/checkpoint-2", s.dir);
    made_run again = made_run_create(&(made_run_options){.path = path, .with_mask = true, .seed = 9});
    s.o.model = again.model;
    s.o.save_total_limit = 1;
    assert_int_equal(save(&s, 4), POFAC_OK);
    expect_files(s.dir, " checkpoint-2 checkpoint-4");
    made_run_free(&again);
    scene_end(&s);
}

static void replaces_one_of_the_same_step(void **state) {
    scene s;
    run_position p;
    for (int round = 0; round < 2; round++) {
        scene_begin(state, NULL, &s);
        assert_int_equal(save(&s, 3), POFAC_OK);
        made_run other = made_run_create(&(made_run_options){.path = s.model, .with_mask = true, .seed = 9});
        run_checkpoint_options o = s.o;
        o.model = other.model;
        const run_position at = position_at(3);
        fail_write_no_exchange(round == 1);
        assert_int_equal(run_checkpoint_save(&o, &at, other.state, &s.sink), POFAC_OK);
        fail_write_no_exchange(false);
        expect_files(s.dir, " checkpoint-3");
        assert_int_equal(load(&s, 3, &p, s.run.state), POFAC_OK);
        assert_same_state(other.state, s.run.state, "gradient.");
        expect_said(state, &s, "");
        made_run_free(&other);
        scene_end(&s);
    }
}

/* ---- failures ---- */

/* Checkpoint 1 is there; one of step `step` that cannot be saved leaves it, and nothing else. */
static void expect_untouched(void **state, scene *s, int64_t step) {
    if (step == 1) expect_files(s->dir, " checkpoint-1");
    assert_int_equal(find_step(s), 1);
    expect_said(state, s, "");
}

typedef struct failing {
    void (*after)(size_t n);
    bool (*stop)(void);
    const char *reason; /* that the message ends with; NULL: any */
} failing;

static void check_failing_saves(void **state, const failing *f, int64_t step, bool without_exchange) {
    scene s;
    size_t n = 0;
    scene_begin(state, "pooler.dense", &s);
    assert_int_equal(save(&s, 1), POFAC_OK);
    fail_write_no_exchange(without_exchange);
    for (bool failed = true; failed;) {
        f->after(++n);
        const pofac_status status = save(&s, step);
        failed = f->stop();
        if (status != POFAC_OK) {
            assert_true(failed);
            if (status != POFAC_ERR_RUNTIME) fail_msg("%zu: found status %d, \"%s\"", n, status, strbuf_str(&s.said));
            const size_t tail = f->reason ? strlen(f->reason) : 0;
            if (f->reason && (s.said.size < tail || strcmp(s.said.data + s.said.size - tail, f->reason) != 0))
                fail_msg("%zu: found \"%s\", wanted it to end with \"%s\"", n, strbuf_str(&s.said), f->reason);
            assert_true(s.said.size > 0);
            strbuf_clear(&s.said);
            expect_untouched(state, &s, step);
            expect_files(s.dir, " checkpoint-1");
        } else {
            strbuf_clear(&s.said);
            assert_int_equal(find_step(&s), step);
            if (step != 1)
                assert_int_equal(directory_remove(strcat(strcpy((char[300]){0}, s.dir), "/checkpoint-2"), NULL), POFAC_OK);
            expect_files(s.dir, " checkpoint-1");
        }
    }
    fail_write_no_exchange(false);
    if (n < 20) fail_msg("only %zu calls could fail", n);
    scene_end(&s);
}

static void a_full_disk_loses_nothing(void **state) {
    const failing f = {fail_write_after, fail_write_stop, ": No space left on device\n"};
    check_failing_saves(state, &f, 2, false);
    check_failing_saves(state, &f, 1, false);
    check_failing_saves(state, &f, 1, true);
}

static void short_memory_loses_nothing(void **state) {
    const failing f = {fail_alloc_after, fail_alloc_stop, NULL};
    check_failing_saves(state, &f, 2, false);
}

static void failing_reads_lose_nothing(void **state) {
    const failing f = {fail_read_after, fail_read_stop, ": Input/output error\n"};
    check_failing_saves(state, &f, 2, false);
}

static void check_failing_loads(void **state, const failing *f) {
    scene s;
    run_position p;
    strbuf path = STRBUF_INIT;
    scene_begin(state, "pooler.dense", &s);
    assert_int_equal(save(&s, 1), POFAC_OK);
    for (size_t n = 1;; n++) {
        bool found;
        f->after(n);
        pofac_status status = run_checkpoint_find(s.dir, &path, &found, &s.sink);
        if (status == POFAC_OK) status = load(&s, 1, &p, s.run.state);
        const bool failed = f->stop();
        if (status != POFAC_OK && !(failed && status == POFAC_ERR_RUNTIME && s.said.size > 0))
            fail_msg("%zu: found status %d, \"%s\"", n, status, strbuf_str(&s.said));
        strbuf_clear(&s.said);
        if (!failed) break;
    }
    strbuf_free(&path);
    scene_end(&s);
}

static void failures_while_loading_are_reported(void **state) {
    check_failing_loads(state, &(failing){fail_alloc_after, fail_alloc_stop, NULL});
    check_failing_loads(state, &(failing){fail_read_after, fail_read_stop, NULL});
}

/* ---- damage ---- */

static const char *const all_files[] = {"checkpoint.manifest", "config.json",        "kernels.txt",
                                        "model.safetensors",   "run_position.json",  "settings.txt",
                                        "state.safetensors",   "trainer_state.json", "vocab.txt"};

static void read_file(const char *path, strbuf *out) {
    file_map file;
    assert_int_equal(file_map_open(path, NULL, &file), POFAC_OK);
    strbuf_clear(out);
    strbuf_append(out, file.data, file.size_bytes);
    file_map_close(&file);
}

static void write_file(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* The newer one is passed over, with one warning that names the file. */
static void expect_passed_over(scene *s, const char *file, const char *what) {
    assert_int_equal(find_step(s), 1);
    if (!strstr(strbuf_str(&s->said), ": warning: ") || !strstr(strbuf_str(&s->said), file) ||
        strstr(strbuf_str(&s->said), "error"))
        fail_msg("%s of %s: found \"%s\"", what, file, strbuf_str(&s->said));
    strbuf_clear(&s->said);
}

static void damage_is_found_in_every_file(void **state) {
    scene s;
    strbuf content = STRBUF_INIT;
    scene_begin(state, "pooler.dense", &s);
    assert_int_equal(save(&s, 1), POFAC_OK);
    assert_int_equal(save(&s, 2), POFAC_OK);
    for (size_t i = 0; i < sizeof all_files / sizeof *all_files; i++) {
        char path[320];
        snprintf(path, sizeof path, "%s/checkpoint-2/%s", s.dir, all_files[i]);
        read_file(path, &content);
        if (content.size == 0) fail_msg("%s is empty", all_files[i]);
        write_file(path, content.data, content.size - 1);
        expect_passed_over(&s, all_files[i], "a byte less");
        write_file(path, content.data, 0);
        expect_passed_over(&s, all_files[i], "nothing");
        const size_t step = content.size / 40 + 1;
        for (size_t at = 0; at < content.size; at += step) {
            content.data[at] ^= (char)(1 << (at % 8));
            write_file(path, content.data, content.size);
            expect_passed_over(&s, i == 0 ? "" : all_files[i], "a bit"); /* the manifest's own may name another file */
            content.data[at] ^= (char)(1 << (at % 8));
        }
        assert_int_equal(unlink(path), 0);
        expect_passed_over(&s, all_files[i], "the lack");
        write_file(path, content.data, content.size);
        assert_int_equal(find_step(&s), 2);
        assert_string_equal(strbuf_str(&s.said), "");
    }
    strbuf_free(&content);
    scene_end(&s);
}

static void says_what_is_wrong(void **state) {
    scene s;
    run_position p;
    strbuf content = STRBUF_INIT;
    char path[320];
    scene_begin(state, NULL, &s);
    assert_int_equal(save(&s, 1), POFAC_OK);
    assert_int_equal(save(&s, 2), POFAC_OK);
    put_file(state, "run/checkpoint-2/settings.txt", "seed=1\n", 7);
    assert_int_equal(find_step(&s), 1);
    expect_said(state, &s, "run/checkpoint-2/settings.txt: warning: found 7 bytes, wanted 46\n");
    assert_int_equal(load(&s, 2, &p, s.run.state), POFAC_ERR_INPUT);
    expect_said(state, &s, "run/checkpoint-2/settings.txt: error: found 7 bytes, wanted 46\n");
    put_file(state, "run/checkpoint-2/settings.txt", "learning_rate=5e-06\noptim=adamw_torch\nseed=42\n", 46);
    assert_int_equal(find_step(&s), 1);
    if (!strstr(strbuf_str(&s.said), "settings.txt: warning: found the hash ") ||
        !strstr(strbuf_str(&s.said), ": its content was changed\n"))
        fail_msg("found %s", strbuf_str(&s.said));
    strbuf_clear(&s.said);
    snprintf(path, sizeof path, "%s/checkpoint-2/checkpoint.manifest", s.dir);
    read_file(path, &content);
    memcpy(strstr(content.data, " 1\n"), " 2\n", 3);
    write_file(path, content.data, content.size);
    assert_int_equal(find_step(&s), 1);
    expect_said(state, &s, "run/checkpoint-2/checkpoint.manifest: warning: found a checkpoint of version 2, wanted version 1\n");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(find_step(&s), 1);
    expect_said(state, &s, "run/checkpoint-2: warning: found no checkpoint.manifest, wanted a checkpoint that pofac has written\n");
    snprintf(path, sizeof path, "%s/checkpoint-1/vocab.txt", s.dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(find_step(&s), 0);
    expect_said(state, &s,
                "run/checkpoint-2: warning: found no checkpoint.manifest, wanted a checkpoint that pofac has written\n"
                "run/checkpoint-1/vocab.txt: warning: cannot be opened: No such file or directory\n");
    strbuf_free(&content);
    scene_end(&s);
}

/* Files of several pieces are hashed piece by piece. */
static void large_files_are_hashed(void **state) {
    static const size_t sizes[] = {((size_t)4 << 20) - 1, (size_t)4 << 20, ((size_t)4 << 20) + 1, (size_t)9 << 20};
    char dir[256], path[300];
    snprintf(dir, sizeof dir, "%s", file_path(state, "large"));
    snprintf(path, sizeof path, "%s/data", dir);
    assert_int_equal(directory_make(dir, NULL), POFAC_OK);
    unsigned char *data = malloc((size_t)9 << 20);
    assert_non_null(data);
    for (size_t i = 0; i < (size_t)9 << 20; i++) data[i] = (unsigned char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        write_file(path, data, sizes[i]);
        assert_int_equal(run_manifest_write(dir, NULL), POFAC_OK);
        assert_int_equal(run_manifest_check(dir, NULL, NULL), POFAC_OK);
        const size_t places[] = {0, sizes[i] / 2, sizes[i] - 1};
        for (size_t k = 0; k < 3; k++) {
            data[places[k]] ^= 4;
            write_file(path, data, sizes[i]);
            assert_int_equal(run_manifest_check(dir, NULL, NULL), POFAC_ERR_INPUT);
            data[places[k]] ^= 4;
        }
    }
    free(data);
}

void *__real_malloc(size_t n);

/* jansson's own allocations succeed: it takes some that fail for wrong syntax. */
static int set_up(void **state) {
    const int failed = files_set_up(state);
    json_set_alloc_funcs(__real_malloc, free);
    return failed;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_bit_for_bit),        cmocka_unit_test(sums_of_gradients_are_kept_within_a_step_alone),
        cmocka_unit_test(parameters_come_back_alone),    cmocka_unit_test(position_keeps_every_number),
        cmocka_unit_test(position_without_forwards),     cmocka_unit_test(has_the_trainers_state),
        cmocka_unit_test(names_settings_that_differ),    cmocka_unit_test(refuses_another_state),
        cmocka_unit_test(refuses_another_pattern),       cmocka_unit_test(keeps_to_the_limit),
        cmocka_unit_test(keeps_what_the_run_began_with), cmocka_unit_test(replaces_one_of_the_same_step),
        cmocka_unit_test(a_full_disk_loses_nothing),     cmocka_unit_test(short_memory_loses_nothing),
        cmocka_unit_test(failing_reads_lose_nothing),    cmocka_unit_test(failures_while_loading_are_reported),
        cmocka_unit_test(damage_is_found_in_every_file), cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(large_files_are_hashed),
    };
    return cmocka_run_group_tests(tests, set_up, files_tear_down);
}
