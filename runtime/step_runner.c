/* Steps with kernels on a thread pool; see step_runner.h. */
#include "runtime/step_runner.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/blas.h"

/* A series may keep threads idle for so much longer than its steps alone would, as what it saves in memory traffic and waiting pays
 * for it. */
#define SERIES_SLACK 1.1

static plan_kernel kernel_of(const plan_step *step) {
    if (step->run) return step->run;
    switch (step->library) {
    case LIBRARY_BLAS_LINEAR: return blas_linear_tiles;
    default: return NULL;
    }
}

pofac_status step_runner_make(const plan *p, thread_pool *pool, const diag_sink *sink, step_runner *out) {
    size_t operands = 1, dims = 1, threads = thread_pool_threads(pool);
    *out = (step_runner){.plan = p, .pool = pool, .most_operands = 1};
    for (size_t i = 0; i < p->n_steps; i++) {
        operands += p->steps[i].n_buffers;
        dims += p->steps[i].n_dims;
        if (p->steps[i].n_buffers > out->most_operands) out->most_operands = p->steps[i].n_buffers;
    }
    out->steps = calloc(p->n_steps + 1, sizeof *out->steps);
    out->operands = calloc(operands, sizeof *out->operands);
    out->dims = calloc(dims, sizeof *out->dims);
    out->own_operands = calloc(threads * out->most_operands, sizeof *out->own_operands);
    out->begin_ns = calloc(threads, sizeof *out->begin_ns);
    if (!out->steps || !out->operands || !out->dims || !out->own_operands || !out->begin_ns) return diag_out_of_memory(sink);
    return POFAC_OK;
}

void step_runner_free(step_runner *r) {
    free(r->steps);
    free(r->operands);
    free(r->dims);
    free(r->own_operands);
    free(r->begin_ns);
}

void step_runner_bind(step_runner *r, ir_binding binding, void *const *pointers, char *scratch, int64_t scratch_bytes) {
    void **operands = r->operands;
    int64_t *dims = r->dims;
    r->binding = binding;
    r->scratch = scratch;
    r->scratch_bytes = scratch_bytes;
    for (size_t i = 0; i < r->plan->n_steps; i++) {
        const plan_step *step = &r->plan->steps[i];
        if (plan_step_is_evaluator(step)) continue;
        int64_t work = dim_eval(step->work, binding);
        r->steps[i] = (bound_step){kernel_of(step), operands, dims, (work + step->work_per_unit - 1) / step->work_per_unit};
        for (uint32_t b = 0; b < step->n_buffers; b++)
            *operands++ = step->buffers[b] == UINT32_MAX ? NULL : pointers[step->buffers[b]];
        for (uint32_t d = 0; d < step->n_dims; d++) *dims++ = dim_eval(step->dims[d], binding);
    }
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void run_chunks(const step_runner *r, thread_pool_task task, void *user, int64_t n, bool in_series) {
    (in_series ? thread_pool_run_in_series : thread_pool_run)(r->pool, task, user, (size_t)n);
}

/* ---- one step ---- */

typedef struct step_run {
    const step_runner *runner;
    const bound_step *step;
    int64_t grain;
    session_span *spans; /* [threads]; NULL: nobody asks */
} step_run;

static void run_chunk(void *user, size_t worker, size_t chunk) {
    const step_run *s = user;
    const step_runner *r = s->runner;
    int64_t begin = (int64_t)chunk * s->grain, end = begin + s->grain;
    if (end > s->step->units) end = s->step->units;
    if (s->spans && s->spans[worker].begin_ns == 0) s->spans[worker].begin_ns = now_ns();
    s->step->run(s->step->operands, s->step->dims, begin, end, r->scratch + (int64_t)worker * r->scratch_bytes);
    if (s->spans) s->spans[worker].end_ns = now_ns();
}

static void run_step(const step_runner *r, size_t step, bool in_series, const step_times *times) {
    const int64_t grain = r->plan->steps[step].grain;
    step_run run = {r, &r->steps[step], grain, times ? times->spans + step * thread_pool_threads(r->pool) : NULL};
    int64_t start = times ? now_ns() : 0;
    run_chunks(r, run_chunk, &run, (run.step->units + grain - 1) / grain, in_series);
    if (times) times->times_ns[step] += now_ns() - start;
}

/* ---- a series ---- */

typedef struct series_run {
    const step_runner *runner;
    size_t first, n; /* steps */
    int64_t block_rows, n_blocks;
    bool own;            /* workers keep what lives within the series in areas of their own */
    session_span *spans; /* [n_steps][threads], begin_ns 0 and end_ns the time that chunks took; NULL: nobody asks */
} series_run;

/* Chunks in turns on `threads` threads: how much longer than if they could be cut at will. */
static double unevenness(int64_t chunks, int64_t threads) {
    const int64_t turns = (chunks + threads - 1) / threads;
    return chunks > 0 ? (double)(turns * threads) / (double)chunks : 1;
}

static bool is_worth_it(const series_run *s) {
    const int64_t threads = (int64_t)thread_pool_threads(s->runner->pool);
    double flops = 0, alone = 0;
    for (size_t i = s->first; i < s->first + s->n; i++) {
        const plan_step *step = &s->runner->plan->steps[i];
        const int64_t count = dim_eval(step->flops, s->runner->binding), units = s->runner->steps[i].units;
        const double weight = count > 0 ? (double)count : 1;
        flops += weight;
        alone += weight * unevenness((units + step->grain - 1) / step->grain, threads);
    }
    return s->n_blocks > 0 && flops * unevenness(s->n_blocks, threads) <= SERIES_SLACK * alone;
}

/* 0: there is nothing to run by block. */
static int64_t plan_blocks(series_run *s) {
    const plan_step *steps = s->runner->plan->steps;
    const int64_t rows = dim_eval(steps[s->first].rows, s->runner->binding),
                  threads = (int64_t)thread_pool_threads(s->runner->pool);
    for (size_t i = s->first; i < s->first + s->n; i++)
        if (steps[i].block_rows > s->block_rows) s->block_rows = steps[i].block_rows;
    if (s->block_rows == 0) return 0;
    s->n_blocks = (rows + s->block_rows - 1) / s->block_rows;
    /* each worker's area is a whole block within the value's memory */
    s->own = (threads < s->n_blocks ? threads : s->n_blocks) <= rows / s->block_rows;
    return s->n_blocks;
}

/* The operands of a step for one block: what lives within the series is in the worker's area, as if that began with block 0. */
static void *const *operands_of(const series_run *s, const plan_step *step, const bound_step *bound, size_t worker, int64_t block) {
    void **own = s->runner->own_operands + worker * s->runner->most_operands;
    if (!s->own) return bound->operands;
    for (uint32_t i = 0; i < step->n_buffers; i++) {
        const int64_t row_bytes = step->buffers[i] == UINT32_MAX ? 0 : s->runner->plan->buffers[step->buffers[i]].series_row_bytes;
        own[i] = (void *)((uintptr_t)bound->operands[i] + (uintptr_t)(((int64_t)worker - block) * s->block_rows * row_bytes));
    }
    return own;
}

static void run_block(void *user, size_t worker, size_t block) {
    const series_run *s = user;
    const step_runner *r = s->runner;
    const size_t threads = thread_pool_threads(r->pool);
    int64_t time = s->spans ? now_ns() : 0;
    if (s->spans && r->begin_ns[worker] == 0) r->begin_ns[worker] = time;
    for (size_t i = s->first; i < s->first + s->n; i++) {
        const plan_step *step = &r->plan->steps[i];
        const bound_step *bound = &r->steps[i];
        const int64_t per_block = s->block_rows / step->block_rows * step->block_units, begin = (int64_t)block * per_block,
                      end = begin + per_block < bound->units ? begin + per_block : bound->units;
        if (begin < end)
            bound->run(operands_of(s, step, bound, worker, (int64_t)block), bound->dims, begin, end,
                       r->scratch + (int64_t)worker * r->scratch_bytes);
        if (!s->spans) continue;
        const int64_t now = now_ns();
        s->spans[i * threads + worker].end_ns += now - time;
        time = now;
    }
}

/* Spans one behind the other, each as long as the worker was at the step; steps share the time of the series by that. */
static void share_times(const series_run *s, int64_t wall_ns, const step_times *times) {
    const size_t threads = thread_pool_threads(s->runner->pool);
    double all = 0;
    for (size_t i = s->first * threads; i < (s->first + s->n) * threads; i++) all += (double)s->spans[i].end_ns;
    for (size_t i = s->first; i < s->first + s->n; i++) {
        double busy = 0;
        for (size_t worker = 0; worker < threads; worker++) {
            session_span *span = &s->spans[i * threads + worker];
            int64_t *begin = &s->runner->begin_ns[worker];
            busy += (double)span->end_ns;
            if (*begin == 0) continue;
            span->begin_ns = *begin;
            span->end_ns += *begin;
            *begin = span->end_ns;
        }
        if (all > 0) times->times_ns[i] += (int64_t)((double)wall_ns * busy / all);
    }
}

static void run_series(series_run *s, bool in_series, const step_times *times) {
    const step_runner *r = s->runner;
    if (!times) {
        run_chunks(r, run_block, s, s->n_blocks, in_series);
        return;
    }
    memset(r->begin_ns, 0, thread_pool_threads(r->pool) * sizeof *r->begin_ns);
    s->spans = times->spans;
    int64_t start = now_ns();
    run_chunks(r, run_block, s, s->n_blocks, in_series);
    share_times(s, now_ns() - start, times);
}

/* Round after round of the loop that begins with the step. */
static void run_loop(const step_runner *r, size_t first, bool in_series, const step_times *times) {
    const plan_step *steps = r->plan->steps + first;
    const int64_t work = dim_eval(steps->loop_work, r->binding), per_round = steps->loop_work_per_round;
    const int64_t rounds = work > per_round ? (work + per_round - 1) / per_round : 1;
    for (int64_t round = 0; round < rounds; round++)
        for (uint32_t i = 0; i < steps->loop; i++) {
            r->steps[first + i].dims[steps[i].n_dims - 1] = round;
            run_step(r, first + i, in_series, times);
        }
}

size_t step_runner_run(const step_runner *r, size_t step, bool in_series, const step_times *times) {
    const size_t n = r->plan->steps[step].series, threads = thread_pool_threads(r->pool);
    series_run series = {.runner = r, .first = step, .n = n};
    const uint32_t loop = r->plan->steps[step].loop;
    if (loop > 0) {
        if (times) memset(times->spans + step * threads, 0, loop * threads * sizeof *times->spans);
        run_loop(r, step, in_series, times);
        return loop;
    }
    const bool by_block = n > 1 && plan_blocks(&series) > 0 && is_worth_it(&series);
    if (times) memset(times->spans + step * threads, 0, (by_block ? n : 1) * threads * sizeof *times->spans);
    if (by_block) run_series(&series, in_series, times);
    else run_step(r, step, in_series, times);
    return by_block ? n : 1;
}
