/* The C API from many threads: predictors of one model, models that come and go, a trainer beside them. The tsan preset looks for races. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/api/api_case.h"
#include "tests/unit/checkpoint/checkpoint_files.h"

enum { N_THREADS = 8, N_CALLS = 12, N_TEXTS = 24, MOST_TEXT = 64, MOST_JSON = 2048 };

static const pofac_log silent = {NULL, NULL};

/* Text number i: up to 12 letters. */
static void make_text(size_t i, char *out) {
    size_t n = 0;
    for (size_t k = 0; k <= i * 5 % 12; k++) {
        out[n++] = (char)('a' + (i * 3 + k * 7) % 6); /* f is unknown */
        out[n++] = ' ';
    }
    out[n] = 0;
}

typedef struct text_list {
    char letters[N_TEXTS][MOST_TEXT];
    pofac_text texts[N_TEXTS];
    char json[N_TEXTS][MOST_JSON]; /* what one thread gives */
} text_list;

typedef struct predicting {
    pthread_t thread;
    const pofac_model *model;
    const text_list *list;
    pthread_barrier_t *start;
    size_t number, n_wrong, n_compared;
    pofac_status status;
} predicting;

/* N_CALLS calls, each of other texts, and on as many threads as the thread's number says. */
static void *predict(void *user) {
    predicting *t = user;
    pofac_predictor_options o = POFAC_PREDICTOR_OPTIONS_INIT;
    pofac_predictor *p;
    o.threads = 1 + t->number % 2;
    o.batch_size = 1 + (int64_t)t->number % 5;
    t->status = pofac_predictor_create(t->model, &o, &silent, &p);
    pthread_barrier_wait(t->start);
    for (size_t call = 0; t->status == POFAC_OK && call < N_CALLS; call++) {
        const size_t first = (t->number + call) % N_TEXTS, n = 1 + (call * 5 + t->number) % (N_TEXTS - first);
        const pofac_answer *const *answers;
        t->status = pofac_predictor_answer(p, t->list->texts + first, n, &answers);
        for (size_t i = 0; t->status == POFAC_OK && i < n; i++) {
            const char *json;
            t->status = pofac_predictor_answer_json(p, i, &json);
            if (t->status == POFAC_OK) t->n_wrong += strcmp(json, t->list->json[first + i]) != 0;
            t->n_compared++;
        }
    }
    pofac_predictor_destroy(p);
    return NULL;
}

static text_list *make_list(api_case *c, const pofac_model *m) {
    const pofac_answer *const *answers;
    text_list *list = calloc(1, sizeof *list);
    assert_non_null(list);
    pofac_predictor *p = api_case_predictor(c, m);
    for (size_t i = 0; i < N_TEXTS; i++) {
        make_text(i, list->letters[i]);
        list->texts[i] = (pofac_text){list->letters[i], list->letters[i * 7 % N_TEXTS]};
        make_text(i * 7 % N_TEXTS, list->letters[i * 7 % N_TEXTS]);
    }
    assert_int_equal(pofac_predictor_answer(p, list->texts, N_TEXTS, &answers), POFAC_OK);
    for (size_t i = 0; i < N_TEXTS; i++) {
        const char *json;
        assert_int_equal(pofac_predictor_answer_json(p, i, &json), POFAC_OK);
        assert_true(strlen(json) < MOST_JSON);
        snprintf(list->json[i], MOST_JSON, "%s", json);
    }
    pofac_predictor_destroy(p);
    return list;
}

static void predictors_of_one_model_agree(void **state) {
    static const char *const heads[] = {"sequence-classification", "question-answering", "pretraining"};
    api_case c;
    api_case_begin(&c, state);
    api_case_describe(&c, state, 32, 2);
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
        predicting threads[N_THREADS] = {0};
        pthread_barrier_t start;
        pofac_model *m = api_case_open(&c, heads[h]);
        text_list *list = make_list(&c, m);
        size_t n_compared = 0;
        assert_int_equal(pthread_barrier_init(&start, NULL, N_THREADS), 0);
        for (size_t i = 0; i < N_THREADS; i++) {
            threads[i] = (predicting){.model = m, .list = list, .start = &start, .number = i};
            assert_int_equal(pthread_create(&threads[i].thread, NULL, predict, &threads[i]), 0);
        }
        for (size_t i = 0; i < N_THREADS; i++) {
            pthread_join(threads[i].thread, NULL);
            if (threads[i].status != POFAC_OK || threads[i].n_wrong > 0)
                fail_msg("%s, thread %zu: status %s, %zu of %zu answers differ from one thread's", heads[h], i,
                         pofac_status_name(threads[i].status), threads[i].n_wrong, threads[i].n_compared);
            n_compared += threads[i].n_compared;
        }
        assert_true(n_compared > N_THREADS * N_CALLS);
        pthread_barrier_destroy(&start);
        free(list);
        pofac_model_close(m);
    }
    api_case_end(&c);
}

/* ---- models and a trainer at the same time ---- */

typedef struct opening {
    pthread_t thread;
    const api_case *c;
    const char *head;
    pofac_status status;
    char json[MOST_JSON];
} opening;

static void *open_and_predict(void *user) {
    static const pofac_text text = {"a b c", "d e"};
    opening *o = user;
    pofac_model_options options = o->c->options;
    pofac_model *m = NULL;
    pofac_predictor *p = NULL;
    const pofac_answer *const *answers;
    const char *json;
    options.head = o->head;
    o->status = pofac_model_open(o->c->path, &options, &silent, &m);
    if (o->status == POFAC_OK) o->status = pofac_predictor_create(m, NULL, &silent, &p);
    if (o->status == POFAC_OK) o->status = pofac_predictor_answer(p, &text, 1, &answers);
    if (o->status == POFAC_OK) o->status = pofac_predictor_answer_json(p, 0, &json);
    if (o->status == POFAC_OK) snprintf(o->json, sizeof o->json, "%s", json);
    pofac_predictor_destroy(p);
    pofac_model_close(m);
    return NULL;
}

typedef struct training_thread {
    pthread_t thread;
    const api_case *c;
    char recipe[288], directory[288];
    pofac_status status;
    double loss;
    int64_t steps;
} training_thread;

static void *train(void *user) {
    training_thread *t = user;
    const pofac_option given[] = {{"output_dir", t->directory}};
    pofac_trainer_options options = POFAC_TRAINER_OPTIONS_INIT;
    pofac_trainer *trainer = NULL;
    options.options = given;
    options.n_options = 1;
    options.threads = 2;
    options.tune = "off";
    options.cache_dir = t->c->cache;
    t->status = pofac_trainer_create(t->recipe, &options, &silent, &trainer);
    while (t->status == POFAC_OK && !pofac_trainer_is_done(trainer)) {
        pofac_step step = POFAC_STEP_INIT;
        t->status = pofac_trainer_step(trainer, &step);
        t->loss = step.loss;
        t->steps = step.step;
    }
    pofac_trainer_destroy(trainer);
    return NULL;
}

static void models_and_trainers_side_by_side(void **state) {
    static const char recipe[] =
        "<pofac xmlns=\"urn:pofac:1\"><model head=\"sequence-classification\" num_labels=\"2\"><bert vocab_size=\"10\" "
        "hidden_size=\"16\" num_hidden_layers=\"1\" num_attention_heads=\"2\" intermediate_size=\"32\" "
        "max_position_embeddings=\"16\"/><tokenizer vocab=\"vocab.txt\"/></model><data kind=\"glue\" task=\"sst2\" "
        "train=\"train.tsv\" max_seq_length=\"16\"/><train max_steps=\"4\" per_device_train_batch_size=\"4\"/></pofac>";
    static const char rows[] = "sentence\tlabel\na b\t0\nc d\t1\ne\t0\nb a\t1\nc\t0\nd d d\t1\n";
    static const char *const heads[] = {"sequence-classification", "none", "token-classification", "masked-lm"};
    enum { N = 4, N_TRAINERS = 2 };
    api_case c;
    opening alone[N], together[N];
    training_thread trainers[N_TRAINERS + 1];
    api_case_begin(&c, state);
    put_file(state, "recipe.xml", recipe, sizeof recipe - 1);
    put_file(state, "train.tsv", rows, sizeof rows - 1);
    for (size_t i = 0; i < N; i++) {
        alone[i] = (opening){.c = &c, .head = heads[i]};
        together[i] = alone[i];
        open_and_predict(&alone[i]);
        assert_int_equal(alone[i].status, POFAC_OK);
    }
    for (size_t i = 0; i <= N_TRAINERS; i++) {
        trainers[i] = (training_thread){.c = &c};
        snprintf(trainers[i].recipe, sizeof trainers[i].recipe, "%s/recipe.xml", c.folder);
        snprintf(trainers[i].directory, sizeof trainers[i].directory, "%s/run-%zu", c.folder, i);
    }
    train(&trainers[N_TRAINERS]); /* alone */
    assert_int_equal(trainers[N_TRAINERS].status, POFAC_OK);
    assert_int_equal(trainers[N_TRAINERS].steps, 4);
    for (size_t i = 0; i < N_TRAINERS; i++) assert_int_equal(pthread_create(&trainers[i].thread, NULL, train, &trainers[i]), 0);
    for (size_t i = 0; i < N; i++) assert_int_equal(pthread_create(&together[i].thread, NULL, open_and_predict, &together[i]), 0);
    for (size_t i = 0; i < N; i++) {
        pthread_join(together[i].thread, NULL);
        assert_int_equal(together[i].status, POFAC_OK);
        assert_string_equal(together[i].json, alone[i].json);
    }
    for (size_t i = 0; i < N_TRAINERS; i++) {
        pthread_join(trainers[i].thread, NULL);
        assert_int_equal(trainers[i].status, POFAC_OK);
        assert_true(trainers[i].loss == trainers[N_TRAINERS].loss);
    }
    api_case_end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictors_of_one_model_agree),
        cmocka_unit_test(models_and_trainers_side_by_side),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
