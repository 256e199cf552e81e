/*
 * An update of all masks of a model in training: selection of thresholds, masks, and packing of the weights anew.
 *
 *   bench_mask_update MODEL [--sparsity S] [--threads N] [--updates N] [--method METHOD] [--batch B] [--tune] [--from S]
 *
 * MODEL is a directory or an XML description of a BERT; pruned are the matrices of its encoder's layers and the pooler. Weights move a little between two
 * updates, as in training. Prints the least and the median time of an update in processor time and by the clock, that of selection
 * and masks alone, and how many entries are kept; with --from, the time of an update from that share of zeros, for which the step is built again. Kernels are chosen by the rule, with --tune by measurement for batches of B (16) x 128 tokens.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/driver/training.h"
#include "ir/support/rng.h"

#define MOST_WEIGHTS 512
#define MOST_UPDATES 1000

typedef struct bench {
    diag_sink sink;
    training_options options;
    const char *model, *method;
    double sparsity, from; /* from: below 0 where it is not given */
    int64_t updates, batch;
    char names[MOST_WEIGHTS][128];
    pruned_parameter weights[MOST_WEIGHTS];
    training_pruning pruning;
} bench;

static void say(void *user, const diag *d) {
    (void)user;
    if (d->severity != DIAG_NOTE) fprintf(stderr, "%s\n", d->message);
}

static void give_up(const char *what) {
    fprintf(stderr, "bench_mask_update: %s\n", what);
    exit(1);
}

static void read_arguments(bench *b, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (name[0] != '-') {
            b->model = name;
            continue;
        }
        if (strcmp(name, "--tune") == 0) {
            b->options.road.tune = ROAD_TUNE_AUTO;
            continue;
        }
        i++;
        if (value && strcmp(name, "--sparsity") == 0) b->sparsity = atof(value);
        else if (value && strcmp(name, "--from") == 0) b->from = atof(value);
        else if (value && strcmp(name, "--threads") == 0) b->options.road.threads = (size_t)atoll(value);
        else if (value && strcmp(name, "--updates") == 0) b->updates = atoll(value);
        else if (value && strcmp(name, "--batch") == 0) b->batch = atoll(value);
        else if (value && strcmp(name, "--method") == 0) b->method = value;
        else
            give_up("usage: bench_mask_update MODEL [--sparsity S] [--threads N] [--updates N] [--method METHOD] [--batch B] "
                    "[--tune] [--from S]");
    }
    if (!b->model || b->updates < 1 || b->updates > MOST_UPDATES || b->batch < 1) give_up("a number is out of range");
    if (!pruning_method_find(b->method)) give_up("there is no such method");
}

static void add_weight(bench *b, const char *layer, int64_t number) {
    if (b->pruning.n_weights == MOST_WEIGHTS) give_up("the model has too many weights");
    const size_t i = b->pruning.n_weights++;
    if (number >= 0) snprintf(b->names[i], sizeof b->names[i], "bert.encoder.layer.%d.%s.weight", (int)number, layer);
    else snprintf(b->names[i], sizeof b->names[i], "bert.%s.weight", layer);
    b->weights[i] = (pruned_parameter){.name = b->names[i], .parameters = pruning_parameters_default()};
    b->weights[i].parameters.target_sparsity = b->sparsity;
    b->weights[i].parameters.initial_sparsity = b->from < 0 ? b->sparsity : b->from;
    b->weights[i].parameters.block_size = 16;
    b->weights[i].parameters.block_rows = b->weights[i].parameters.block_columns = 4;
}

static void choose_weights(bench *b, const model_spec *spec) {
    static const char *const layers[] = {"attention.self.query",   "attention.self.key", "attention.self.value",
                                         "attention.output.dense", "intermediate.dense", "output.dense"};
    for (int64_t i = 0; i < spec->num_hidden_layers; i++)
        for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) add_weight(b, layers[k], i);
    add_weight(b, "pooler.dense", -1);
    b->pruning.method = pruning_method_find(b->method);
    b->pruning.weights = b->weights;
}

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *values_of(const bench *b, training *t, size_t i, int64_t *n) {
    const state_entry *e = state_store_find(training_state(t), b->names[i]);
    if (!e) give_up("there is no such weight");
    *n = tensor_elements(&e->tensor);
    return e->tensor.data;
}

/* Each weight by up to 2 %. */
static void move_weights(const bench *b, training *t, uint64_t update) {
    for (size_t i = 0; i < b->pruning.n_weights; i++) {
        int64_t n;
        float *values = values_of(b, t, i, &n);
        uint64_t state = update * MOST_WEIGHTS + i + 1;
        for (int64_t k = 0; k < n; k++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            values[k] *= 1 + 0.02f * (float)(int32_t)(state >> 32) / 2147483648.0f;
        }
    }
}

/* Selection and masks alone, into memory of its own. */
static double masks_alone(const bench *b, training *t, thread_pool *pool) {
    static pruned_weight work[MOST_WEIGHTS];
    for (size_t i = 0; i < b->pruning.n_weights; i++) {
        const state_entry *e = state_store_find(training_state(t), b->names[i]);
        work[i] = (pruned_weight){.name = b->names[i],
                                  .n_rows = e->tensor.dims[0],
                                  .n_columns = e->tensor.dims[1],
                                  .values = e->tensor.data,
                                  .parameters = b->weights[i].parameters,
                                  .mask = calloc((size_t)tensor_elements(&e->tensor), 1)};
        if (!work[i].mask) give_up("no memory for masks");
        memset(work[i].mask, 1, (size_t)tensor_elements(&e->tensor));
    }
    const pruning_masks_job job = {work, b->pruning.n_weights, 1, pool, &b->sink};
    const double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (pruning_masks(b->pruning.method, &job) != POFAC_OK) give_up("masks failed");
    const double end = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < b->pruning.n_weights; i++) free(work[i].mask);
    return end - start;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void put(const char *what, double *times, int64_t n) {
    qsort(times, (size_t)n, sizeof *times, by_size);
    printf("%-32s %8.1f ms, median %8.1f ms\n", what, 1e3 * times[0], 1e3 * times[n / 2]);
}

/* There and back, so that kernels come out of the cache. */
static void rebuild(const bench *b, training *t) {
    mask_update done;
    for (int i = 0; i < 2; i++) {
        if (training_update_masks(t, 0, &b->sink, &done) != POFAC_OK) give_up("an update to fewer zeros failed");
        const double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (training_update_masks(t, 1, &b->sink, &done) != POFAC_OK) give_up("an update to more zeros failed");
        const double end = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (i == 1)
            printf("from %g, %s: processor %.1f ms, clock %.1f ms\n", b->from, done.rebuilt ? "built again" : "the same step",
                   1e3 * (end - start), 1e3 * done.seconds);
    }
}

static void run_updates(const bench *b, training *t) {
    static double processor[MOST_UPDATES], clock[MOST_UPDATES], masks[MOST_UPDATES];
    thread_pool *pool;
    mask_update done = {0};
    if (thread_pool_create(b->options.road.threads, &b->sink, &pool) != POFAC_OK) give_up("no threads");
    if (training_update_masks(t, 1, &b->sink, &done) != POFAC_OK) give_up("the first update failed");
    const double first = done.seconds;
    for (int64_t i = 0; i < b->updates; i++) {
        move_weights(b, t, (uint64_t)i);
        masks[i] = masks_alone(b, t, pool);
        const double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (training_update_masks(t, 1, &b->sink, &done) != POFAC_OK) give_up("an update failed");
        processor[i] = seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
        clock[i] = done.seconds;
    }
    printf("%zu weights of %lld entries, %lld kept; the first update, which makes the sessions, took %.1f ms\n",
           b->pruning.n_weights, (long long)done.entries, (long long)done.kept, 1e3 * first);
    put("update, processor", processor, b->updates);
    put("update, clock", clock, b->updates);
    put("selection and masks, processor", masks, b->updates);
    if (b->from >= 0) rebuild(b, t);
    thread_pool_destroy(pool);
}

int main(int argc, char **argv) {
    bench b = {.sink = {.emit = say}, .method = "unstructured_magnitude", .sparsity = 0.9, .from = -1, .updates = 5, .batch = 16};
    b.options = (training_options){.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01, .max_grad_norm = 1};
    b.options.road.tune = ROAD_TUNE_OFF;
    b.options.road.threads = 1;
    read_arguments(&b, argc, argv);
    const loaded_model_options model = {.head = HEAD_PRETRAINING, .seed = 1};
    loaded_model *loaded;
    training *t;
    b.options.road.tune_tokens = 128 * b.batch;
    b.options.pruning = &b.pruning;
    if (loaded_model_open(b.model, &model, &b.sink, &loaded) != POFAC_OK) return 1;
    choose_weights(&b, loaded_model_spec(loaded));
    if (training_create(loaded, &b.options, &b.sink, &t) != POFAC_OK) return 1;
    run_updates(&b, t);
    training_destroy(t);
    loaded_model_close(loaded);
    return 0;
}
