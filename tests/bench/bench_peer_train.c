/*
 * Steps of training by pofac as one of the engines that bench_peers compares: reads commands, a line each, from standard input
 * (bench_peers.c).
 *
 *   bench_peer_train [OPTION...] MODEL      options as `pofac bench`: of the model, of compiling, --threads; and those below
 *
 *   load FILE   batches with labels (bench_peer_files.c)
 *   logits      the loss of each batch, without dropout, at the weights of the file
 *   run         a step of AdamW for each batch, with dropout: forward, backward, clipping, update
 *   memory      VmHWM since the last "logits"
 *
 * Only tokens that have labels go through the head of masked language models. With PEER_CLOCK=cpu, times are those that the process spent
 * on processors. The profile leaves the first file's first run out, in which memory is made.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/cli/arguments.h"
#include "frontend/driver/run_profile.h"
#include "frontend/driver/training.h"

static const option_row rows[] = {
    {"lock", OPTION_FLAG, NULL, NULL, 0, 0, "zeros of weights stay zeros"},
    {"recompute", OPTION_TEXT, "WHAT", NULL, 0, 0, "of activations: none, cheap, partial or full; default: as training has it"},
    {"bf16", OPTION_FLAG, NULL, NULL, 0, 0, "store activations in bf16"},
    {"profile", OPTION_FLAG, NULL, NULL, 0, 0, "print what kernels took, on stderr, when the input ends"},
    OPTIONS_THREADS,
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
};

#define RATE 1e-5
#define MOST_LABELS 4  /* tensors of a batch */
#define IGNORED (-100) /* a label that does not count */

typedef struct engine {
    loaded_model *model;
    training_options options;
    training *steps;      /* of "run"; NULL: there was none yet */
    int64_t step;         /* that is done */
    run_profile *profile; /* NULL: none */
    clockid_t clock;
    const diag_sink *sink;
    checkpoint *file; /* of the batches */
    ir_tensor *tensors;
    size_t n_batches;
} engine;

static void print_diag(void *user, const diag *d) {
    strbuf text = STRBUF_INIT;
    diag_render(d, &text);
    if (d->severity != DIAG_NOTE) fputs(strbuf_str(&text), user);
    strbuf_free(&text);
}

/* ---- batches ---- */

static void unload(engine *e) {
    for (size_t i = 0; e->file && i < checkpoint_size(e->file); i++) tensor_free(&e->tensors[i]);
    free(e->tensors);
    checkpoint_close(e->file);
    e->tensors = NULL;
    e->file = NULL;
    e->n_batches = 0;
}

/* "load FILE" -> "loaded BATCHES" */
static pofac_status load(engine *e, const char *path) {
    unload(e);
    TRY(checkpoint_open(path, e->sink, &e->file));
    const size_t n = checkpoint_size(e->file);
    e->tensors = calloc(n + 1, sizeof *e->tensors);
    if (!e->tensors) return diag_out_of_memory(e->sink);
    for (size_t i = 0; i < n; i++) {
        const checkpoint_tensor *t = checkpoint_at(e->file, i);
        const size_t batch = strtoul(t->name, NULL, 10);
        if (batch >= e->n_batches) e->n_batches = batch + 1;
        TRY(checkpoint_load(t, IR_I64, e->sink, &e->tensors[i]));
    }
    printf("loaded %zu\n", e->n_batches);
    return POFAC_OK;
}

/* The tensor NUMBER.NAME; NULL: there is none. */
static const ir_tensor *find_tensor(const engine *e, size_t batch, const char *name) {
    for (size_t i = 0; i < checkpoint_size(e->file); i++) {
        char *end;
        const char *found = checkpoint_at(e->file, i)->name;
        if (strtoul(found, &end, 10) == batch && *end == '.' && strcmp(end + 1, name) == 0) return &e->tensors[i];
    }
    return NULL;
}

/* What one run is given. */
typedef struct step_inputs {
    const engine *engine;
    size_t batch;
    int64_t step, random[2], first_example;
    float rate, scales[MOST_LABELS];
    size_t n_scales;
} step_inputs;

static int64_t count_labels(const ir_tensor *labels) {
    int64_t n = 0;
    for (int64_t i = 0; i < tensor_elements(labels); i++) n += tensor_get_int(labels, i) != IGNORED;
    return n;
}

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    step_inputs *in = user;
    static const char scale[] = "scale.";
    const int64_t two = 2;
    const bool is_scale = strncmp(name, scale, sizeof scale - 1) == 0;
    const ir_tensor *t = find_tensor(in->engine, in->batch, is_scale ? name + sizeof scale - 1 : name);
    if (is_scale && t && in->n_scales < MOST_LABELS) {
        in->scales[in->n_scales] = 1.0f / (float)count_labels(t);
        *out = tensor_view(IR_F32, 0, NULL, &in->scales[in->n_scales++]);
    } else if (t) *out = *t;
    else if (strcmp(name, "learning_rate") == 0) *out = tensor_view(IR_F32, 0, NULL, &in->rate);
    else if (strcmp(name, "step") == 0) *out = tensor_view(IR_I64, 0, NULL, &in->step);
    else if (strcmp(name, "random") == 0) *out = tensor_view(IR_I64, 1, &two, in->random);
    else if (strcmp(name, "first_example") == 0) *out = tensor_view(IR_I64, 0, NULL, &in->first_example);
    else return diag_error(sink, POFAC_ERR_USAGE, NULL, "no input \"%s\"", name);
    out->owned = false;
    return POFAC_OK;
}

/* ---- commands ---- */

static pofac_status run_step(engine *e, training *t, size_t batch, int64_t step, double rate) {
    step_inputs in = {.engine = e, .batch = batch, .step = step, .random = {42, step}, .rate = (float)rate};
    const tensor_source inputs = {.get = get_input, .user = &in};
    return training_run(t, &inputs, e->sink);
}

static pofac_status make_steps(engine *e, bool dropout, training **out) {
    training_options options = e->options;
    options.road.graph.dropout = dropout;
    return training_create(e->model, &options, e->sink, out);
}

/* "logits" -> "logits LOSS...": of all batches. Peaks of memory count from here on. */
static pofac_status print_losses(engine *e) {
    training *t = NULL;
    ir_tensor loss;
    pofac_status status = make_steps(e, false, &t);
    if (status == POFAC_OK) printf("logits");
    for (size_t i = 0; i < e->n_batches && status == POFAC_OK; i++) {
        status = run_step(e, t, i, 1, 0);
        if (status == POFAC_OK) status = training_output(t, "loss", e->sink, &loss);
        if (status == POFAC_OK) printf(" %.9g", tensor_get(&loss, 0));
    }
    printf("\n");
    training_destroy(t);
    malloc_trim(0);
    FILE *clear = fopen("/proc/self/clear_refs", "w");
    if (clear) {
        fputs("5", clear); /* VmHWM = VmRSS */
        fclose(clear);
    }
    return status;
}

/* "run" -> "ms TIME" */
static pofac_status run_steps(engine *e) {
    struct timespec start, end;
    if (!e->steps) TRY(make_steps(e, true, &e->steps));
    const runnable *r = training_runnable(e->steps, false);
    if (e->step == 1 && e->profile && r) TRY(run_profile_attach(e->profile, r, e->sink)); /* memory is there */
    clock_gettime(e->clock, &start);
    for (size_t i = 0; i < e->n_batches; i++) {
        TRY(run_step(e, e->steps, i, ++e->step, RATE));
        if (e->profile && r && e->step > 1) TRY(run_profile_add(e->profile, r, e->sink));
    }
    clock_gettime(e->clock, &end);
    printf("ms %.6f\n", (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) * 1e-6);
    return POFAC_OK;
}

/* "memory" -> "kb NUMBER" */
static pofac_status print_memory(const engine *e) {
    char line[256];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) return diag_error(e->sink, POFAC_ERR_RUNTIME, NULL, "cannot read /proc/self/status");
    while (fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0) kb = atol(line + 6);
    fclose(f);
    printf("kb %ld\n", kb);
    return POFAC_OK;
}

static pofac_status serve(engine *e) {
    char *line = NULL;
    size_t capacity = 0;
    pofac_status status = POFAC_OK;
    printf("ready\n");
    fflush(stdout);
    while (status == POFAC_OK && getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "load ", 5) == 0) status = load(e, line + 5);
        else if (strcmp(line, "run") == 0) status = run_steps(e);
        else if (strcmp(line, "logits") == 0) status = print_losses(e);
        else if (strcmp(line, "memory") == 0) status = print_memory(e);
        else
            status = diag_error(e->sink, POFAC_ERR_USAGE, NULL, "found the command \"%s\", wanted load FILE, run, logits or memory",
                                line);
        fflush(stdout);
    }
    free(line);
    unload(e);
    return status;
}

static void print_profile(const engine *e) {
    strbuf text = STRBUF_INIT;
    if (!e->profile || run_profile_runs(e->profile) == 0) return;
    run_profile_put_kernels(e->profile, &text);
    fputs(strbuf_str(&text), stderr);
    strbuf_free(&text);
}

static pofac_status run(int argc, char **argv, arena *memory, const diag_sink *sink) {
    option_values o;
    TRY(options_parse(rows, sizeof rows / sizeof *rows, argc, argv, memory, sink, &o));
    if (o.help || o.n_arguments != 1) {
        fputs("usage: bench_peer_train [OPTION...] MODEL\n\noptions:\n", stdout);
        options_help(rows, sizeof rows / sizeof *rows, stdout);
        return o.help ? POFAC_OK : POFAC_ERR_USAGE;
    }
    const loaded_model_options model_options = arguments_model(&o);
    const char *clock = getenv("PEER_CLOCK");
    engine e = {.sink = sink,
                .clock = clock && strcmp(clock, "cpu") == 0 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC,
                .options = {.road = arguments_road(&o),
                            .kind = EXECUTOR_COMPILED,
                            .beta1 = 0.9,
                            .beta2 = 0.999,
                            .epsilon = 1e-8,
                            .weight_decay = 0.01,
                            .max_grad_norm = 1,
                            .lock = option_flag(&o, "lock"),
                            .recompute = option_text(&o, "recompute"),
                            .bf16 = option_flag(&o, "bf16")}};
    if (option_flag(&o, "profile") && !(e.profile = run_profile_create())) return diag_out_of_memory(sink);
    pofac_status status = loaded_model_open(o.arguments[0], &model_options, sink, &e.model);
    if (status == POFAC_OK) status = serve(&e);
    if (status == POFAC_OK) print_profile(&e);
    run_profile_destroy(e.profile);
    training_destroy(e.steps);
    loaded_model_close(e.model);
    return status;
}

int main(int argc, char **argv) {
    const diag_sink sink = {print_diag, stderr};
    arena memory = ARENA_INIT;
    const pofac_status status = run(argc - 1, argv + 1, &memory, &sink);
    arena_free(&memory);
    return (int)status;
}
