/*
 * Timing runs; see bench_run.h. Runs are timed whole, without profiling; kernels in a second series, whose times add up to a little
 * more.
 */
#include "frontend/driver/bench_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/driver/batch_memory.h"
#include "ir/op.h"
#include "ir/support/rng.h"

#define PROFILED_RUNS 20

/* ---- made-up inputs ---- */

typedef struct batch {
    int64_t n_sequences, length, vocab;
    uint64_t seed;
    const ir_graph *graph;
    ir_tensor *tensors; /* [graph nodes], of input leaves */
} batch;

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const batch *b = user;
    for (size_t i = 0; i < b->graph->nodes.size; i++) {
        const ir_node *n = &b->graph->nodes.data[i];
        if (n->op != OP_input || strcmp(node_string(n, "name"), name) != 0) continue;
        *out = b->tensors[i];
        out->owned = false;
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "no input \"%s\"", name);
}

/* Sizes of an input: B and S stand for themselves. */
static int64_t size_of(const batch *b, ir_dim d) {
    int64_t n;
    if (dim_is_const(d, &n)) return n;
    const char *name = symbol_name(b->graph->module->context, d.symbol[0]);
    return name && strcmp(name, "B") == 0 ? b->n_sequences : b->length;
}

static pofac_status make_input(batch *b, size_t i, const diag_sink *sink) {
    const ir_node *n = &b->graph->nodes.data[i];
    const ir_type *type = graph_type(b->graph, n->first_result);
    const char *name = node_string(n, "name");
    rng_key key = rng_key_make(b->seed, name);
    int64_t dims[IR_MAX_RANK] = {0};
    for (uint32_t d = 0; d < type->rank; d++) dims[d] = size_of(b, type->dims[d]);
    ir_tensor *t = &b->tensors[i];
    if (tensor_alloc(type->dtype, type->rank, dims, t) != POFAC_OK) return diag_out_of_memory(sink);
    int64_t elements = tensor_elements(t);
    for (int64_t k = 0; k < elements; k++) {
        if (dtype_class(type->dtype) == DTYPE_FLOAT) tensor_set(t, k, rng_normal(key, (uint64_t)k));
        else if (strcmp(name, "input_ids") == 0) tensor_set_int(t, k, (int64_t)rng_below(key, (uint64_t)k, (uint64_t)b->vocab));
        else tensor_set_int(t, k, strcmp(name, "attention_mask") == 0);
    }
    return POFAC_OK;
}

static pofac_status make_inputs(batch *b, const diag_sink *sink) {
    b->tensors = calloc(b->graph->nodes.size + 1, sizeof *b->tensors);
    if (!b->tensors) return diag_out_of_memory(sink);
    for (size_t i = 0; i < b->graph->nodes.size; i++)
        if (b->graph->nodes.data[i].op == OP_input) TRY(make_input(b, i, sink));
    return POFAC_OK;
}

static void free_inputs(batch *b) {
    for (size_t i = 0; b->tensors && i < b->graph->nodes.size; i++) tensor_free(&b->tensors[i]);
    free(b->tensors);
}

/* ---- memory ---- */

/* A row of /proc/self/status in bytes ("VmHWM:", the most that was resident of this program; "VmRSS:", what is); 0 when the system does
 * not tell. What getrusage tells would include the program that started this one. */
static int64_t process_memory(const char *row) {
    char line[256];
    long long kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, row, strlen(row)) == 0) kilobytes = strtoll(line + strlen(row), NULL, 10);
    if (f) fclose(f);
    return (int64_t)kilobytes * 1024;
}

/* ---- timing ---- */

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + 1e-6 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest time that at least `share` of the sorted times do not exceed. */
static double quantile(const double *sorted, size_t n, double share) {
    size_t index = (size_t)(share * (double)n);
    if ((double)index < share * (double)n) index++;
    return sorted[index == 0 ? 0 : index - 1];
}

/* One run, unless a signal has come. */
static pofac_status run_once(runnable *r, const tensor_source *inputs, const bench_options *o, const diag_sink *sink) {
    return interruption_check(o->stop) ? POFAC_ERR_INTERRUPTED : session_run(r->session, inputs, sink);
}

static pofac_status time_runs(runnable *r, const tensor_source *inputs, const bench_options *o, arena *a, const diag_sink *sink,
                              bench_result *out) {
    size_t n = (size_t)o->iterations;
    double *times = ARENA_ARRAY(a, double, n);
    if (!times) return diag_out_of_memory(sink);
    for (int64_t i = 0; i < o->warmup; i++) TRY(run_once(r, inputs, o, sink));
    for (size_t i = 0; i < n; i++) {
        double start = now_ms();
        TRY(run_once(r, inputs, o, sink));
        times[i] = now_ms() - start;
    }
    qsort(times, n, sizeof *times, compare_doubles);
    out->min_ms = times[0];
    out->median_ms = n % 2 ? times[n / 2] : 0.5 * (times[n / 2 - 1] + times[n / 2]);
    out->p90_ms = quantile(times, n, 0.90);
    out->p99_ms = quantile(times, n, 0.99);
    out->sequences_per_second = 1e3 * (double)o->batch / out->median_ms;
    out->tokens_per_second = out->sequences_per_second * (double)o->sequence;
    return POFAC_OK;
}

static pofac_status profile_runs(runnable *r, const tensor_source *inputs, const bench_options *o, run_profile *profile,
                                 const diag_sink *sink) {
    TRY(run_profile_attach(profile, r, sink));
    for (int64_t i = 0; i < o->iterations && i < PROFILED_RUNS; i++) {
        TRY(run_once(r, inputs, o, sink));
        TRY(run_profile_add(profile, r, sink));
    }
    return POFAC_OK;
}

static pofac_status check_memory(const runnable *r, const bench_options *o, const diag_sink *sink) {
    int64_t fits;
    TRY(batch_memory_fit(r, o->sequence, o->batch, o->max_memory, sink, &fits));
    if (o->report_memory) TRY(batch_memory_note(r, o->batch, o->sequence, sink));
    if (fits == o->batch) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "--batch is %lld, --max_memory leaves room for %lld sequences of %lld tokens",
                      (long long)o->batch, (long long)fits, (long long)o->sequence);
}

pofac_status bench_run(loaded_model *model, const road_options *road, const bench_options *options, run_profile *profile, arena *a,
                       const diag_sink *sink, bench_result *out) {
    *out = (bench_result){0};
    const model_spec *spec = loaded_model_spec(model);
    if (options->sequence > spec->max_position_embeddings)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "--sequence is %lld, the model takes at most %lld (max_position_embeddings)",
                          (long long)options->sequence, (long long)spec->max_position_embeddings);
    runnable r;
    TRY(runnable_create(model, road, sink, &r));
    out->ready_memory_bytes = process_memory("VmRSS:");
    batch b = {.n_sequences = options->batch,
               .length = options->sequence,
               .vocab = spec->vocab_size,
               .seed = options->seed,
               .graph = r.plan->graph};
    tensor_source inputs = {.get = get_input, .user = &b};
    pofac_status status = make_inputs(&b, sink);
    if (status == POFAC_OK) status = check_memory(&r, options, sink);
    if (status == POFAC_OK) status = time_runs(&r, &inputs, options, a, sink, out);
    if (status == POFAC_OK) status = profile_runs(&r, &inputs, options, profile, sink);
    out->peak_memory_bytes = process_memory("VmHWM:");
    if (status == POFAC_OK) status = code_report_make(r.plan, a, sink, &out->code);
    out->memory = session_memory_use(r.session);
    out->threads = thread_pool_threads(r.pool);
    out->target = arena_strdup(a, r.plan->target);
    out->build_ms = r.build_seconds * 1e3;
    out->pack_ms = r.pack_seconds * 1e3;
    free_inputs(&b);
    runnable_destroy(&r);
    return status;
}
