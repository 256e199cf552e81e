/*
 * Steps of training by pofac as one of the engines that bench_peers compares: reads commands, a line each, from standard input
 * (bench_peers.c).
 *
 *   bench_peer_train [OPTION...] MODEL      options as `pofac bench`: of the model, of compiling, --threads; and those below, with which a step
 *                                           prunes by magnitude, learns from a teacher or computes in 8 bits too
 *
 *   load FILE   batches with labels (bench_peer_files.c)
 *   logits      the loss of each batch, without dropout, at the weights of the file
 *   run         a step of AdamW for each batch, with dropout: forward, backward, clipping, update
 *   memory      VmHWM since the last "logits"
 *
 * Only tokens that have labels go through the head of masked language models, and with a teacher all that it is told of. With PEER_CLOCK=cpu, times are those that the process spent
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
#include "frontend/driver/train_inputs.h"
#include "frontend/driver/training.h"
#include "ir/op.h"

static const option_row rows[] = {
    {"lock", OPTION_FLAG, NULL, NULL, 0, 0, "zeros of weights stay zeros"},
    {"masks", OPTION_TEXT, "SHARE", NULL, 0, 0,
     "the linear weights of the encoder and the pooler are under masks with this share of zeros"},
    {"quantize", OPTION_FLAG, NULL, NULL, 0, 0,
     "linears compute in 8 bits and learn ranges from the second step of \"run\" on, so losses are those of floats"},
    {"teacher", OPTION_TEXT, "MODEL", NULL, 0, 0, "half of the loss is the divergence from this model"},
    {"temperature", OPTION_TEXT, "T", "2", 0, 0, "of that divergence"},
    {"token_share", OPTION_TEXT, "SHARE", "1", 0, 0, "of the tokens without labels that the divergence is taken over"},
    {"recompute", OPTION_TEXT, "WHAT", NULL, 0, 0, "of activations: none, cheap, partial or full; default: as training has it"},
    {"bf16", OPTION_FLAG, NULL, NULL, 0, 0, "store activations in bf16"},
    {"profile", OPTION_FLAG, NULL, NULL, 0, 0, "print what kernels took, on stderr, when the input ends"},
    OPTIONS_THREADS,
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
};

#define RATE 1e-5

typedef struct engine {
    loaded_model *model;
    training_options options;
    distillation distillation;
    training_pruning pruning;
    quantization_plan quantization;
    VEC(pruned_parameter) weights; /* under masks */
    arena memory;                  /* of their names */
    train_inputs *inputs;
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
        const size_t number = strtoul(t->name, NULL, 10);
        if (number >= e->n_batches) e->n_batches = number + 1;
        TRY(checkpoint_load(t, IR_I64, e->sink, &e->tensors[i]));
    }
    printf("loaded %zu\n", e->n_batches);
    return POFAC_OK;
}

/* Batch `number`: its tensors have the names NUMBER.NAME. */
static batch batch_at(const engine *e, size_t number) {
    batch b = {.index = number};
    for (size_t i = 0; i < checkpoint_size(e->file) && b.n_tensors < BATCH_MAX_TENSORS; i++) {
        char *end;
        const char *found = checkpoint_at(e->file, i)->name;
        if (strtoul(found, &end, 10) != number || *end != '.') continue;
        b.names[b.n_tensors] = end + 1;
        b.tensors[b.n_tensors] = e->tensors[i];
        b.tensors[b.n_tensors++].owned = false;
        b.n_sequences = e->tensors[i].dims[0];
        if (strcmp(end + 1, "attention_mask") != 0) continue;
        for (int64_t k = 0; k < tensor_elements(&e->tensors[i]); k++) b.n_tokens += tensor_get_int(&e->tensors[i], k) != 0;
    }
    return b;
}

/* ---- masks ---- */

static bool is_masked(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && strcmp(dot, ".weight") == 0 && !strstr(name, "LayerNorm") &&
           (strstr(name, "encoder.layer.") || strstr(name, "pooler."));
}

/* All weights of the graph of that kind; the share of zeros is where the schedule ends. */
static pofac_status choose_masks(engine *e, double share) {
    training_options plain = e->options;
    ir_module *m;
    plain.distillation = NULL;
    plain.pipeline = "canonicalize";
    TRY(training_build(e->model, &plain, e->sink, &m));
    const ir_graph *g = m->graphs.data[0];
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK && i < g->nodes.size; i++) {
        if (g->nodes.data[i].op != OP_state || !is_masked(node_string(&g->nodes.data[i], "name"))) continue;
        pruned_parameter p = {.name = arena_strdup(&e->memory, node_string(&g->nodes.data[i], "name")),
                              .parameters = pruning_parameters_default()};
        p.parameters.target_sparsity = share;
        if (!p.name || !VEC_PUSH(&e->weights, p)) status = diag_out_of_memory(e->sink);
    }
    module_destroy(m);
    e->pruning = (training_pruning){pruning_method_find("unstructured_magnitude"), e->weights.data, e->weights.size};
    e->options.pruning = &e->pruning;
    return status;
}

/* ---- commands ---- */

static pofac_status run_step(engine *e, training *t, size_t number, int64_t step, double rate) {
    const batch b = batch_at(e, number);
    const tensor_source *inputs;
    train_inputs_begin(e->inputs, step, rate);
    train_inputs_set_forwards(e->inputs, step - 1);
    TRY(train_inputs_add(e->inputs, &b, e->sink));
    TRY(train_inputs_select(e->inputs, 0, e->sink, &inputs));
    return training_run(t, inputs, e->sink);
}

static pofac_status make_steps(engine *e, bool dropout, training **out) {
    training_options options = e->options;
    mask_update update;
    options.road.graph.dropout = dropout;
    TRY(training_create(e->model, &options, e->sink, out));
    return options.pruning ? training_update_masks(*out, 1, e->sink, &update) : POFAC_OK;
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

static pofac_status open_teacher(engine *e, const option_values *o) {
    const loaded_model_options options = {.head = loaded_model_spec(e->model)->head};
    e->distillation = (distillation){.task_alpha = 0.5,
                                     .teacher_alpha = 0.5,
                                     .temperature = strtod(option_text(o, "temperature"), NULL),
                                     .token_share = strtod(option_text(o, "token_share"), NULL)};
    e->options.distillation = &e->distillation;
    return loaded_model_open(option_text(o, "teacher"), &options, e->sink, &e->distillation.teacher);
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
    if (status == POFAC_OK) status = train_inputs_create(loaded_model_spec(e.model), 42, sink, &e.inputs);
    if (status == POFAC_OK && option_given(&o, "masks")) status = choose_masks(&e, strtod(option_text(&o, "masks"), NULL));
    if (status == POFAC_OK && option_given(&o, "teacher")) status = open_teacher(&e, &o);
    e.quantization = quantization_plan_default();
    e.quantization.begin = 1;
    if (option_flag(&o, "quantize")) e.options.quantization = &e.quantization;
    if (status == POFAC_OK) status = serve(&e);
    if (status == POFAC_OK) print_profile(&e);
    run_profile_destroy(e.profile);
    training_destroy(e.steps);
    train_inputs_destroy(e.inputs);
    loaded_model_close(e.distillation.teacher);
    loaded_model_close(e.model);
    VEC_FREE(&e.weights);
    arena_free(&e.memory);
    return status;
}

int main(int argc, char **argv) {
    const diag_sink sink = {print_diag, stderr};
    arena memory = ARENA_INIT;
    const pofac_status status = run(argc - 1, argv + 1, &memory, &sink);
    arena_free(&memory);
    return (int)status;
}
