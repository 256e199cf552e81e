/*
 * pofac as one of the engines that bench_peers compares: reads commands, a line each, from standard input (bench_peers.c).
 *
 *   bench_peer_pofac [OPTION...] MODEL      options as `pofac bench`: of the model, of compiling, --threads
 *
 * With PEER_CLOCK=cpu, times are those that the process spent on processors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/cli/arguments.h"
#include "frontend/driver/executor.h"

static const option_row rows[] = {OPTIONS_THREADS, OPTIONS_MODEL, OPTIONS_COMPILE};

#define N_INPUTS 3
static const char *const input_names[N_INPUTS] = {"input_ids", "attention_mask", "token_type_ids"};

typedef struct batch {
    ir_tensor inputs[N_INPUTS];
} batch;

typedef struct engine {
    executor *executor;
    clockid_t clock;
    const diag_sink *sink;
    checkpoint *file; /* holds the batches */
    batch *batches;
    size_t n_batches;
} engine;

static void print_diag(void *user, const diag *d) {
    strbuf text = STRBUF_INIT;
    diag_render(d, &text);
    if (d->severity != DIAG_NOTE) fputs(strbuf_str(&text), user);
    strbuf_free(&text);
}

static void unload(engine *e) {
    for (size_t i = 0; i < e->n_batches; i++)
        for (size_t k = 0; k < N_INPUTS; k++) tensor_free(&e->batches[i].inputs[k]);
    free(e->batches);
    checkpoint_close(e->file);
    e->batches = NULL;
    e->file = NULL;
    e->n_batches = 0;
}

/* "load FILE" -> "loaded BATCHES" */
static pofac_status load(engine *e, const char *path) {
    unload(e);
    TRY(checkpoint_open(path, e->sink, &e->file));
    size_t n = checkpoint_size(e->file) / N_INPUTS;
    e->batches = calloc(n + 1, sizeof *e->batches);
    if (!e->batches) return diag_out_of_memory(e->sink);
    for (; e->n_batches < n; e->n_batches++) {
        for (size_t k = 0; k < N_INPUTS; k++) {
            char name[64];
            snprintf(name, sizeof name, "%zu.%s", e->n_batches, input_names[k]);
            const checkpoint_tensor *t = checkpoint_get(e->file, name);
            if (!t) return diag_error(e->sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "there is no tensor %s", name);
            TRY(checkpoint_load(t, IR_I64, e->sink, &e->batches[e->n_batches].inputs[k]));
        }
    }
    printf("loaded %zu\n", n);
    return POFAC_OK;
}

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const batch *b = user;
    for (size_t k = 0; k < N_INPUTS; k++) {
        if (strcmp(name, input_names[k]) != 0) continue;
        *out = b->inputs[k];
        out->owned = false;
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "no input \"%s\"", name);
}

/* One batch, to its logits. */
static pofac_status run_batch(engine *e, size_t i, ir_tensor *logits) {
    const tensor_source inputs = {.get = get_input, .user = &e->batches[i]};
    TRY(executor_run(e->executor, &inputs, e->sink));
    return executor_output(e->executor, "logits", e->sink, logits);
}

/* "run" -> "ms TIME": all batches, one after the other. */
static pofac_status run_batches(engine *e) {
    struct timespec start, end;
    ir_tensor logits;
    clock_gettime(e->clock, &start);
    for (size_t i = 0; i < e->n_batches; i++) TRY(run_batch(e, i, &logits));
    clock_gettime(e->clock, &end);
    printf("ms %.6f\n", (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) * 1e-6);
    return POFAC_OK;
}

/* "logits" -> "logits NUMBER...": of all batches. */
static pofac_status print_logits(engine *e) {
    ir_tensor logits;
    printf("logits");
    for (size_t i = 0; i < e->n_batches; i++) {
        TRY(run_batch(e, i, &logits));
        int64_t n = tensor_elements(&logits);
        for (int64_t k = 0; k < n; k++) printf(" %.9g", tensor_get(&logits, k));
    }
    printf("\n");
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
        else if (strcmp(line, "run") == 0) status = run_batches(e);
        else if (strcmp(line, "logits") == 0) status = print_logits(e);
        else status = diag_error(e->sink, POFAC_ERR_USAGE, NULL, "found the command \"%s\", wanted load FILE, run or logits", line);
        fflush(stdout);
    }
    free(line);
    unload(e);
    return status;
}

static pofac_status run(int argc, char **argv, arena *memory, const diag_sink *sink) {
    option_values o;
    TRY(options_parse(rows, sizeof rows / sizeof *rows, argc, argv, memory, sink, &o));
    if (o.help || o.n_arguments != 1) {
        fputs("usage: bench_peer_pofac [OPTION...] MODEL\n\noptions:\n", stdout);
        options_help(rows, sizeof rows / sizeof *rows, stdout);
        return o.help ? POFAC_OK : POFAC_ERR_USAGE;
    }
    loaded_model_options model_options = arguments_model(&o);
    road_options road = arguments_road(&o);
    const char *clock = getenv("PEER_CLOCK");
    engine e = {.clock = clock && strcmp(clock, "cpu") == 0 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, .sink = sink};
    loaded_model *model;
    TRY(loaded_model_open(o.arguments[0], &model_options, sink, &model));
    pofac_status status = executor_create(model, &road, EXECUTOR_COMPILED, sink, &e.executor);
    if (status == POFAC_OK) status = serve(&e);
    executor_destroy(e.executor);
    loaded_model_close(model);
    return status;
}

int main(int argc, char **argv) {
    const diag_sink sink = {print_diag, stderr};
    arena memory = ARENA_INIT;
    pofac_status status = run(argc - 1, argv + 1, &memory, &sink);
    arena_free(&memory);
    return (int)status;
}
