/* Many executors on one plan: the bits of one alone, weights that stay as they are and are there once, plans that cannot be shared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/shared_plan.h"
#include "ir/support/hash.h"
#include "tests/unit/checkpoint/checkpoint_files.h"

enum { N_THREADS = 6, N_RUNS = 20, SEQUENCES = 3, LENGTH = 8, LABELS = 2, HIDDEN = 256 };

typedef struct shared_case {
    loaded_model *model;
    road_options road;
    shared_plan shared;
    char cache[256];
} shared_case;

static void begin(shared_case *c, void **state) {
    static const char description[] =
        "<pofac xmlns=\"urn:pofac:1\"><model head=\"sequence-classification\" num_labels=\"2\"><bert vocab_size=\"32\" "
        "hidden_size=\"256\" num_hidden_layers=\"2\" num_attention_heads=\"4\" intermediate_size=\"1024\" "
        "max_position_embeddings=\"16\"/></model></pofac>";
    const loaded_model_options options = {.seed = 5};
    *c = (shared_case){0};
    put_file(state, "model.xml", description, sizeof description - 1);
    snprintf(c->cache, sizeof c->cache, "%s", file_path(state, "objects"));
    c->road = (road_options){.cache_dir = c->cache, .threads = 2, .tune = ROAD_TUNE_OFF};
    assert_int_equal(loaded_model_open(file_path(state, "model.xml"), &options, NULL, &c->model), POFAC_OK);
    assert_int_equal(shared_plan_create(c->model, &c->road, NULL, &c->shared), POFAC_OK);
}

static void end(shared_case *c) {
    shared_plan_destroy(&c->shared);
    loaded_model_close(c->model);
}

/* Batch number `which`: [SEQUENCES,LENGTH] of each input. */
static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    static const int64_t ones[SEQUENCES * LENGTH] = {1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0},
                                          zeros[SEQUENCES * LENGTH] = {0};
    const int64_t dims[2] = {SEQUENCES, LENGTH};
    (void)sink;
    *out = tensor_view(IR_I64, 2, dims, strcmp(name, "input_ids") == 0 ? user : strcmp(name, "attention_mask") == 0 ? ones : zeros);
    return POFAC_OK;
}

static void run(executor *e, int which, float *logits) {
    int64_t ids[SEQUENCES * LENGTH];
    const tensor_source source = {.get = get_input, .user = ids};
    ir_tensor t;
    for (int i = 0; i < SEQUENCES * LENGTH; i++) ids[i] = (i * 7 + which * 11) % 32;
    if (executor_run(e, &source, NULL) != POFAC_OK || executor_output(e, "logits", NULL, &t) != POFAC_OK) memset(logits, 0xff, 4);
    else memcpy(logits, t.data, SEQUENCES * LABELS * sizeof *logits);
}

typedef struct shared_thread {
    pthread_t thread;
    const shared_plan *shared;
    size_t threads;
    pthread_barrier_t *start;
    pofac_status status;
    float logits[N_RUNS][SEQUENCES * LABELS];
} shared_thread;

static void *run_all(void *user) {
    shared_thread *t = user;
    executor *e = NULL;
    t->status = shared_plan_executor(t->shared, t->threads, NULL, &e);
    pthread_barrier_wait(t->start);
    for (int i = 0; e && i < N_RUNS; i++) run(e, i, t->logits[i]);
    executor_destroy(e);
    return NULL;
}

static uint64_t hash_weights(const shared_plan *s) {
    const bound_weights *w = &s->weights;
    uint64_t h = 0;
    for (size_t i = 0; i < s->plan->n_buffers; i++) {
        if (!w->pointers[i]) continue;
        const size_t n = w->own[i] ? w->own[i] : w->tensors[i].data ? tensor_bytes(&w->tensors[i]) : 0;
        h = hash_combine(h, hash_bytes(w->pointers[i], n));
    }
    return h;
}

static void many_threads_give_the_bits_of_one(void **state) {
    shared_case c;
    executor *own;
    float wanted[N_RUNS][SEQUENCES * LABELS];
    pthread_barrier_t start;
    begin(&c, state);
    const uint64_t before = hash_weights(&c.shared);
    assert_int_equal(executor_create(c.model, &c.road, EXECUTOR_COMPILED, NULL, &own), POFAC_OK); /* with weights of its own */
    for (int i = 0; i < N_RUNS; i++) run(own, i, wanted[i]);
    executor_destroy(own);
    assert_memory_not_equal(wanted[0], wanted[1], sizeof wanted[0]);

    shared_thread *threads = calloc(N_THREADS, sizeof *threads);
    assert_non_null(threads);
    assert_int_equal(pthread_barrier_init(&start, NULL, N_THREADS), 0);
    for (size_t i = 0; i < N_THREADS; i++) {
        threads[i].shared = &c.shared;
        threads[i].threads = 1 + i % 3;
        threads[i].start = &start;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, run_all, &threads[i]), 0);
    }
    size_t n_compared = 0;
    for (size_t i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i].thread, NULL);
        assert_int_equal(threads[i].status, POFAC_OK);
        for (int k = 0; k < N_RUNS; k++, n_compared++)
            if (memcmp(threads[i].logits[k], wanted[k], sizeof wanted[k]) != 0)
                fail_msg("thread %zu, run %d: found %g, wanted %g", i, k, threads[i].logits[k][0], wanted[k][0]);
    }
    assert_int_equal(n_compared, N_THREADS * N_RUNS);
    pthread_barrier_destroy(&start);
    free(threads);
    assert_true(hash_weights(&c.shared) == before);
    end(&c);
}

/* Bytes of the process in memory. */
static int64_t resident_bytes(void) {
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &pages, &resident), 2);
    fclose(f);
    return (int64_t)resident * 4096;
}

static void weights_are_there_once(void **state) {
    enum { N_EXECUTORS = 16 };
    executor *executors[N_EXECUTORS];
    float logits[SEQUENCES * LABELS];
    shared_case c;
    begin(&c, state);
    const int64_t weights = c.shared.weights.own_bytes + c.shared.weights.mapped_bytes;
    assert_true(weights > (int64_t)2 * 12 * HIDDEN * HIDDEN * 4); /* two layers */
    assert_int_equal(shared_plan_executor(&c.shared, 1, NULL, &executors[0]), POFAC_OK);
    run(executors[0], 0, logits);
    const int64_t before = resident_bytes();
    for (size_t i = 1; i < N_EXECUTORS; i++) {
        assert_int_equal(shared_plan_executor(&c.shared, 1, NULL, &executors[i]), POFAC_OK);
        run(executors[i], 0, logits);
    }
    const int64_t grown = resident_bytes() - before; /* 15 copies would be 95 MB */
    if (grown > 2 * weights)
        fail_msg("%d executors more: memory grew by %lld bytes, the weights are %lld", N_EXECUTORS - 1, (long long)grown,
                 (long long)weights);
    for (size_t i = 0; i < N_EXECUTORS; i++) executor_destroy(executors[i]);
    end(&c);
}

static void take_error(void *user, const diag *d) {
    if (d->severity == DIAG_ERROR) strbuf_puts(user, d->message);
}

static void state_that_runs_replace_is_not_shared(void **state) {
    strbuf text = STRBUF_INIT;
    const diag_sink sink = {take_error, &text};
    shared_case c;
    executor *e;
    size_t i = 0;
    begin(&c, state);
    while (i < c.shared.plan->n_buffers && c.shared.plan->buffers[i].kind != PLAN_STATE) i++;
    assert_true(i < c.shared.plan->n_buffers);
    c.shared.plan->buffers[i].written = true;
    assert_int_equal(shared_plan_executor(&c.shared, 1, &sink, &e), POFAC_ERR_USAGE);
    assert_null(e);
    char wanted[256];
    snprintf(wanted, sizeof wanted, "found state that runs replace (%s), wanted weights that sessions can share",
             c.shared.plan->buffers[i].name);
    assert_string_equal(strbuf_str(&text), wanted);
    c.shared.plan->buffers[i].written = false;
    strbuf_free(&text);
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_give_the_bits_of_one),
        cmocka_unit_test(weights_are_there_once),
        cmocka_unit_test(state_that_runs_replace_is_not_shared),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
