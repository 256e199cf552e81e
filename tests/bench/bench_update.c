/*
 * What a step of AdamW costs beside the memory's bandwidth: 2^24 parameters with their gradients and moments, 448 MB of traffic, updated
 * where they lie.
 *
 *   bench_update [ROUNDS]
 *
 * Prints a table in Markdown: threads, GB/s of the kernel (four streams read, three written), of its three streams of state read and
 * written by plain code that adds a constant to them, and of memcpy (one read, one written), medians of rounds in turns, and the first by
 * the second with quartiles. Bytes are those that the code names: stores of memcpy may spare the reading of what they overwrite, which no
 * update in place needs.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codegen/codegen.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"

#define ELEMENTS (INT64_C(1) << 24)
#define CHUNK (INT64_C(1) << 14)
#define MOST_ROUNDS 101
#define STREAMS 4

static const char step_text[] = "graph @g () {\n"
                                "  %1 = state {name = \"p\"} : f32[16777216]\n"
                                "  %2 = state {name = \"g\"} : f32[16777216]\n"
                                "  %3 = state {name = \"m\"} : f32[16777216]\n"
                                "  %4 = state {name = \"v\"} : f32[16777216]\n"
                                "  %5 = input {name = \"rate\"} : f32[]\n"
                                "  %6 = input {name = \"scale\"} : f32[]\n"
                                "  %7 = input {name = \"step\"} : i64[]\n"
                                "  %8:3 = adamw %1, %2, %3, %4, %5, %6, %7 {weight_decay = 0.01} : f32[16777216], f32[16777216], "
                                "f32[16777216]\n"
                                "  return \"p2\" = %8, \"m2\" = %8#1, \"v2\" = %8#2\n"
                                "}\n";

enum { UPDATE, ADDITION, COPY, N_KINDS };
static const double streams_moved[N_KINDS] = {7, 6, 2};

typedef struct bench {
    diag_sink sink;
    plan *plan;
    thread_pool *pool;
    float *stream[STREAMS]; /* p, g, m, v: [ELEMENTS] */
    float rate, scale;
    int64_t step;
    void *operands[10];
} bench;

static void update_chunk(void *user, size_t worker, size_t chunk) {
    const bench *b = user;
    (void)worker;
    b->plan->steps[0].run(b->operands, &(const int64_t){ELEMENTS}, (int64_t)chunk, (int64_t)chunk + 1, NULL);
}

static void add_chunk(void *user, size_t worker, size_t chunk) {
    const bench *b = user;
    (void)worker;
    float *p = b->stream[0] + (int64_t)chunk * CHUNK, *m = b->stream[2] + (int64_t)chunk * CHUNK,
          *v = b->stream[3] + (int64_t)chunk * CHUNK;
    for (int64_t i = 0; i < CHUNK; i++) {
        p[i] += 1e-9F;
        m[i] += 1e-9F;
        v[i] += 1e-9F;
    }
}

static void copy_chunk(void *user, size_t worker, size_t chunk) {
    const bench *b = user;
    (void)worker;
    memcpy(b->stream[1] + (int64_t)chunk * CHUNK, b->stream[2] + (int64_t)chunk * CHUNK, CHUNK * sizeof(float));
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double gigabytes_per_second(bench *b, int kind) {
    static const thread_pool_task tasks[N_KINDS] = {update_chunk, add_chunk, copy_chunk};
    const double start = now();
    thread_pool_run(b->pool, tasks[kind], b, ELEMENTS / CHUNK);
    b->step++;
    return 1e-9 * streams_moved[kind] * (double)(ELEMENTS * (int64_t)sizeof(float)) / (now() - start);
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *sorted, int n, double q) { return sorted[(int)(q * (n - 1) + 0.5)]; }

static bool time_threads(bench *b, size_t threads, int rounds) {
    double speed[N_KINDS][MOST_ROUNDS], share[MOST_ROUNDS];
    if (thread_pool_create(threads, &b->sink, &b->pool) != POFAC_OK) return false;
    for (int r = -1; r < rounds; r++) { /* the first to get pages and threads */
        for (int kind = 0; kind < N_KINDS; kind++) speed[kind][r < 0 ? 0 : r] = gigabytes_per_second(b, kind);
        share[r < 0 ? 0 : r] = speed[UPDATE][r < 0 ? 0 : r] / speed[ADDITION][r < 0 ? 0 : r];
    }
    thread_pool_destroy(b->pool);
    for (int kind = 0; kind < N_KINDS; kind++) qsort(speed[kind], (size_t)rounds, sizeof(double), by_value);
    qsort(share, (size_t)rounds, sizeof(double), by_value);
    printf("| %zu | %.1f | %.1f | %.1f | %.2f [%.2f, %.2f] |\n", threads, quantile(speed[UPDATE], rounds, 0.5),
           quantile(speed[ADDITION], rounds, 0.5), quantile(speed[COPY], rounds, 0.5), quantile(share, rounds, 0.5),
           quantile(share, rounds, 0.25), quantile(share, rounds, 0.75));
    return true;
}

static bool compile(bench *b, ir_context *context, arena *memory) {
    cg_options options = {.cache_dir = NULL};
    ir_module *m = NULL;
    return cg_target_host(NULL, memory, &b->sink, &options.target) == POFAC_OK &&
           text_parse_module(context, "bench", step_text, strlen(step_text), NULL, &b->sink, &m) == POFAC_OK &&
           cg_compile(m, "g", &options, &b->sink, &b->plan) == POFAC_OK && b->plan->steps[0].run &&
           b->plan->steps[0].work_per_unit == CHUNK;
}

static bool fill(bench *b) {
    for (int s = 0; s < STREAMS; s++) {
        b->stream[s] = aligned_alloc(64, ELEMENTS * sizeof(float));
        if (!b->stream[s]) return false;
        for (int64_t i = 0; i < ELEMENTS; i++) b->stream[s][i] = 1e-3F * (float)(i % 1000 + 1);
    }
    b->rate = 1e-5F;
    b->scale = 1;
    b->step = 1;
    void *const operands[] = {b->stream[0], b->stream[1], b->stream[2], b->stream[3], &b->rate,
                              &b->scale,    &b->step,     b->stream[0], b->stream[2], b->stream[3]};
    memcpy(b->operands, operands, sizeof operands);
    return true;
}

int main(int argc, char **argv) {
    bench b = {.step = 1};
    strbuf messages = STRBUF_INIT;
    arena memory = ARENA_INIT;
    ir_context *context = context_create();
    int rounds = argc > 1 ? atoi(argv[1]) : 21;
    if (rounds < 1 || rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
    b.sink = diag_sink_to_strbuf(&messages);
    bool ok = compile(&b, context, &memory) && fill(&b);
    if (ok)
        printf("| threads | adamw GB/s | additions in place GB/s | memcpy GB/s | adamw by additions |\n|---|---|---|---|---|\n");
    for (size_t threads = 1; ok && threads <= 2; threads++) ok = time_threads(&b, threads, rounds);
    if (!ok) fprintf(stderr, "bench_update: %s\n", strbuf_str(&messages));
    for (int s = 0; s < STREAMS; s++) free(b.stream[s]);
    plan_destroy(b.plan);
    context_destroy(context);
    arena_free(&memory);
    strbuf_free(&messages);
    return ok ? 0 : 1;
}
