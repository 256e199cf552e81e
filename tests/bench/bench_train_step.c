/*
 * A training step: its time on one batch of full sequences, and where that time goes.
 *
 *   bench_train_step MODEL [--head HEAD] [--sequences B] [--length S] [--threads N] [--steps N] [--lock] [--dropout] [--recompute MODE]
 *                    [--labels EVERY] [--tune] [--pipeline PASSES] [--each]
 *
 * MODEL is a directory or an XML description; tokens are random, every EVERY-th (7) of a head that predicts tokens has a label. Prints
 * the kernels' table, with --each that of the plan's steps, the least and the median time of the steps after the first, and memory. Kernels are chosen by the rule, with --tune
 * by measurement.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "frontend/driver/batch_memory.h"
#include "frontend/driver/training.h"
#include "ir/op.h"
#include "ir/support/rng.h"

#define MOST_INPUTS 32
#define MOST_STEPS 1000

typedef struct bench {
    diag_sink sink;
    training_options options;
    const char *model, *head;
    int64_t B, S, steps, every;
    bool each;
    ir_tensor inputs[MOST_INPUTS];
    const char *names[MOST_INPUTS];
    size_t n_inputs;
} bench;

static void say(void *user, const diag *d) {
    (void)user;
    if (d->severity != DIAG_NOTE) fprintf(stderr, "%s\n", d->message);
}

static void give_up(const char *what) {
    fprintf(stderr, "bench_train_step: %s\n", what);
    exit(1);
}

static bool take_option(bench *b, const char *name, const char *value) {
    if (strcmp(name, "--head") == 0) b->head = value;
    else if (strcmp(name, "--sequences") == 0) b->B = atoll(value);
    else if (strcmp(name, "--length") == 0) b->S = atoll(value);
    else if (strcmp(name, "--threads") == 0) b->options.road.threads = (size_t)atoll(value);
    else if (strcmp(name, "--steps") == 0) b->steps = atoll(value);
    else if (strcmp(name, "--labels") == 0) b->every = atoll(value);
    else if (strcmp(name, "--pipeline") == 0) b->options.pipeline = value;
    else if (strcmp(name, "--recompute") == 0) b->options.recompute = value;
    else return false;
    return true;
}

static void read_arguments(bench *b, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--lock") == 0) b->options.lock = true;
        else if (strcmp(argv[i], "--dropout") == 0) b->options.road.graph.dropout = true;
        else if (strcmp(argv[i], "--each") == 0) b->each = true;
        else if (strcmp(argv[i], "--tune") == 0) b->options.road.tune = ROAD_TUNE_AUTO;
        else if (argv[i][0] != '-') b->model = argv[i];
        else if (i + 1 < argc && take_option(b, argv[i], argv[i + 1])) i++;
        else
            give_up("usage: bench_train_step MODEL [--head HEAD] [--sequences B] [--length S] [--threads N] [--steps N] [--lock] "
                    "[--dropout] [--recompute MODE] [--labels EVERY] [--tune] [--pipeline PASSES] [--each]");
    }
    if (!b->model || b->steps < 1 || b->steps > MOST_STEPS || b->B < 1 || b->S < 1 || b->every < 1)
        give_up("a number is out of range");
}

/* ---- the batch ---- */

static double element(const bench *b, const char *name, int64_t i) {
    const rng_key key = rng_key_make(3, name);
    if (strcmp(name, "input_ids") == 0) return 1000 + (double)rng_below(key, (uint64_t)i, 20000);
    if (strcmp(name, "attention_mask") == 0) return 1;
    if (strcmp(name, "token_type_ids") == 0) return i % b->S > b->S / 2;
    if (strcmp(name, "random") == 0) return (double)(42 + i);
    if (strcmp(name, "learning_rate") == 0) return 1e-5;
    if (strcmp(name, "step") == 0) return 1;
    if (strcmp(name, "first_example") == 0) return 0;
    if (strncmp(name, "scale.", 6) == 0) return 1.0 / (double)b->B;
    return (double)rng_below(key, (uint64_t)i, 2);
}

static void make_input(bench *b, const char *name, const ir_type *type) {
    int64_t dims[IR_MAX_RANK] = {b->B, b->S};
    const bool per_token = strcmp(name, "labels") == 0 && type->rank == 2;
    ir_tensor *t = &b->inputs[b->n_inputs];
    if (strcmp(name, "random") == 0) dims[0] = 2;
    if (b->n_inputs == MOST_INPUTS || tensor_alloc(type->dtype, type->rank, dims, t) != POFAC_OK) give_up("no memory for inputs");
    b->names[b->n_inputs++] = name;
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, per_token && i % b->every ? -100 : element(b, name, i));
}

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const bench *b = user;
    for (size_t i = 0; i < b->n_inputs; i++) {
        if (strcmp(b->names[i], name) != 0) continue;
        *out = b->inputs[i];
        out->owned = false;
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_INPUT, NULL, "there is no input %s", name);
}

/* ---- steps ---- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run_steps(bench *b, training *t) {
    static double times[MOST_STEPS];
    const tensor_source inputs = {.get = get_input, .user = b};
    strbuf text = STRBUF_INIT;
    run_profile *profile = run_profile_create();
    if (training_run(t, &inputs, &b->sink) != POFAC_OK) give_up("the first step failed"); /* makes room */
    if (!profile || run_profile_attach(profile, training_runnable(t, false), &b->sink) != POFAC_OK) give_up("no profile");
    for (int64_t i = 0; i < b->steps; i++) {
        const double start = seconds();
        if (training_run(t, &inputs, &b->sink) != POFAC_OK) give_up("a step failed");
        times[i] = seconds() - start;
        if (run_profile_add(profile, training_runnable(t, false), &b->sink) != POFAC_OK) give_up("no profile");
    }
    qsort(times, (size_t)b->steps, sizeof *times, by_size);
    ir_tensor loss;
    if (training_output(t, "loss", &b->sink, &loss) != POFAC_OK) give_up("no loss");
    if (b->each) run_profile_put_steps(profile, &text);
    run_profile_put_kernels(profile, &text);
    const session_memory m = training_memory(t);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("%sstep: %.1f ms, median %.1f ms; loss %g\n", strbuf_str(&text), 1e3 * times[0], 1e3 * times[b->steps / 2],
           tensor_get(&loss, 0));
    printf("memory: state %.1f MB, index and orders %.1f MB, arena %.1f MB, scratch %.1f MB; peak of the process %.1f MB\n",
           (double)m.mapped_weight_bytes / 1e6, (double)m.packed_weight_bytes / 1e6, (double)m.arena_bytes / 1e6,
           (double)m.scratch_bytes / 1e6, (double)use.ru_maxrss / 1e3);
    run_profile_destroy(profile);
    strbuf_free(&text);
}

int main(int argc, char **argv) {
    bench b = {.sink = {.emit = say}, .head = "pretraining", .B = 16, .S = 128, .steps = 3, .every = 7};
    b.options = (training_options){.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01, .max_grad_norm = 1};
    b.options.road.tune = ROAD_TUNE_OFF;
    read_arguments(&b, argc, argv);
    loaded_model_options model = {.seed = 1};
    loaded_model *loaded;
    training *t;
    if (!model_head_parse(b.head, &model.head)) give_up("there is no such head");
    if (loaded_model_open(b.model, &model, &b.sink, &loaded) != POFAC_OK) return 1;
    const double start = seconds();
    if (training_create(loaded, &b.options, &b.sink, &t) != POFAC_OK) return 1;
    printf("ready after %.2f s; %zu steps of the plan\n", seconds() - start, training_runnable(t, false)->plan->n_steps);
    const ir_graph *g = training_graph(t);
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_input)
            make_input(&b, node_string(&g->nodes.data[i], "name"), graph_type(g, g->nodes.data[i].first_result));
    run_steps(&b, t);
    for (size_t i = 0; i < b.n_inputs; i++) tensor_free(&b.inputs[i]);
    training_destroy(t);
    loaded_model_close(loaded);
    return 0;
}
