/*
 * Times of steps; see run_profile.h. The session counts the time of each step, so what the steps of one run took is the difference to
 * the run before; and it says when each thread worked on each step, which makes a trace.
 */
#include "frontend/driver/run_profile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/support/vector.h"

#define MAX_EVENTS 100000 /* of a trace: what viewers take without effort, some 20 MB of JSON */

typedef struct trace_event {
    uint32_t step; /* number of the step; n_steps: the whole run */
    uint32_t lane; /* 0: runs and steps; from 1: threads */
    int64_t begin_ns, end_ns;
} trace_event;

struct run_profile {
    arena memory;
    const char *target;
    size_t threads, n_steps, n_kernels;
    profile_row *steps, *kernels;
    size_t *kernel_of; /* [n_steps] */
    int64_t *seen_ns;  /* [n_steps] of the session's times, what is counted */
    int64_t runs, total_ns, start_ns;
    VEC(trace_event) events;
};

run_profile *run_profile_create(void) { return calloc(1, sizeof(run_profile)); }

void run_profile_destroy(run_profile *p) {
    if (!p) return;
    VEC_FREE(&p->events);
    arena_free(&p->memory);
    free(p);
}

/* ---- taking in ---- */

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool describe_step(run_profile *p, const plan_step *step, profile_row *row) {
    strbuf name = STRBUF_INIT;
    profile_shorten(step->variant, &name);
    *row = (profile_row){.kernel = arena_strdup(&p->memory, step->kernel),
                         .variant = arena_strdup(&p->memory, step->variant),
                         .name = arena_strdup(&p->memory, strbuf_str(&name)),
                         .scope = arena_strdup(&p->memory, step->scope),
                         .n_steps = 1};
    bool ok = strbuf_ok(&name) && row->kernel && row->variant && row->name && row->scope;
    strbuf_free(&name);
    return ok;
}

/* The kernel of that variant, a new one where it is the first of it. */
static size_t find_kernel(run_profile *p, const profile_row *step) {
    size_t k = 0;
    while (k < p->n_kernels &&
           (strcmp(p->kernels[k].variant, step->variant) != 0 || strcmp(p->kernels[k].kernel, step->kernel) != 0))
        k++;
    if (k == p->n_kernels) {
        p->kernels[p->n_kernels] = *step;
        p->kernels[p->n_kernels].scope = NULL;
        p->kernels[p->n_kernels++].n_steps = 0;
    }
    p->kernels[k].n_steps++;
    return k;
}

pofac_status run_profile_attach(run_profile *p, const runnable *r, const diag_sink *sink) {
    size_t n = r->plan->n_steps;
    VEC_FREE(&p->events);
    arena_free(&p->memory);
    *p = (run_profile){.n_steps = n, .threads = thread_pool_threads(r->pool), .start_ns = now_ns()};
    p->target = arena_strdup(&p->memory, r->plan->target);
    p->steps = ARENA_ARRAY(&p->memory, profile_row, n + 1);
    p->kernels = ARENA_ARRAY(&p->memory, profile_row, n + 1);
    p->kernel_of = ARENA_ARRAY(&p->memory, size_t, n + 1);
    p->seen_ns = ARENA_ARRAY(&p->memory, int64_t, n + 1);
    bool ok = p->target && p->steps && p->kernels && p->kernel_of && p->seen_ns;
    for (size_t i = 0; i < n && ok; i++) {
        ok = describe_step(p, &r->plan->steps[i], &p->steps[i]);
        if (ok) p->kernel_of[i] = find_kernel(p, &p->steps[i]);
    }
    if (!ok) {
        p->n_steps = p->n_kernels = 0;
        return diag_out_of_memory(sink);
    }
    session_profile(r->session, true);
    return POFAC_OK;
}

static void add_row(profile_row *row, int64_t ns, double flops, double bytes) {
    row->ns += ns;
    row->flops += flops;
    row->bytes += bytes;
}

static bool add_event(run_profile *p, size_t step, size_t lane, int64_t begin_ns, int64_t end_ns) {
    const trace_event event = {(uint32_t)step, (uint32_t)lane, begin_ns - p->start_ns, end_ns - p->start_ns};
    return VEC_PUSH(&p->events, event);
}

/* A step begins with the first of its threads, and ends with the last. A step without work has no event. */
static bool add_step_events(run_profile *p, size_t step, const session_span *spans, int64_t *run_begin, int64_t *run_end) {
    int64_t begin = INT64_MAX, end = 0;
    bool ok = true;
    for (size_t thread = 0; thread < p->threads && ok; thread++) {
        if (spans[thread].begin_ns == 0) continue;
        if (spans[thread].begin_ns < begin) begin = spans[thread].begin_ns;
        if (spans[thread].end_ns > end) end = spans[thread].end_ns;
        ok = add_event(p, step, 1 + thread, spans[thread].begin_ns, spans[thread].end_ns);
    }
    if (end == 0) return ok;
    if (begin < *run_begin) *run_begin = begin;
    *run_end = end;
    return ok && add_event(p, step, 0, begin, end);
}

static pofac_status add_events(run_profile *p, const session_span *spans, const diag_sink *sink) {
    if (p->events.size + (p->n_steps + 1) * (p->threads + 1) > MAX_EVENTS) return POFAC_OK;
    int64_t begin = INT64_MAX, end = 0;
    bool ok = true;
    for (size_t i = 0; i < p->n_steps && ok; i++) ok = add_step_events(p, i, spans + i * p->threads, &begin, &end);
    if (ok && end > 0) ok = add_event(p, p->n_steps, 0, begin, end);
    return ok ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status run_profile_add(run_profile *p, const runnable *r, const diag_sink *sink) {
    const int64_t *times_ns = session_times_ns(r->session);
    ir_binding binding = session_binding(r->session);
    int64_t run_ns = 0;
    for (size_t i = 0; i < p->n_steps; i++) run_ns += times_ns[i] - p->seen_ns[i];
    TRY(add_events(p, session_spans(r->session), sink));
    for (size_t i = 0; i < p->n_steps; i++) {
        const plan_step *step = &r->plan->steps[i];
        int64_t ns = times_ns[i] - p->seen_ns[i], flops = dim_eval(step->flops, binding), bytes = dim_eval(step->bytes, binding);
        p->seen_ns[i] = times_ns[i];
        add_row(&p->steps[i], ns, flops > 0 ? (double)flops : 0.0, bytes > 0 ? (double)bytes : 0.0);
        add_row(&p->kernels[p->kernel_of[i]], ns, flops > 0 ? (double)flops : 0.0, bytes > 0 ? (double)bytes : 0.0);
    }
    p->total_ns += run_ns;
    p->runs++;
    return POFAC_OK;
}

/* ---- reading ---- */

const profile_row *run_profile_steps(const run_profile *p, size_t *n) {
    *n = p->n_steps;
    return p->steps;
}

const profile_row *run_profile_kernels(const run_profile *p, size_t *n) {
    *n = p->n_kernels;
    return p->kernels;
}

int64_t run_profile_runs(const run_profile *p) { return p->runs; }

double profile_row_ms(const run_profile *p, const profile_row *r) {
    return p->runs > 0 ? 1e-6 * (double)r->ns / (double)p->runs : 0.0;
}

double profile_row_share(const run_profile *p, const profile_row *r) {
    return p->total_ns > 0 ? (double)r->ns / (double)p->total_ns : 0.0;
}

double profile_row_gflops(const profile_row *r) { return r->ns > 0 ? r->flops / (double)r->ns : 0.0; }

double profile_row_gbytes(const profile_row *r) { return r->ns > 0 ? r->bytes / (double)r->ns : 0.0; }

/* ---- as text ---- */

static int compare_times(const void *a, const void *b) {
    const profile_row *x = *(const profile_row *const *)a, *y = *(const profile_row *const *)b;
    return x->ns != y->ns ? (x->ns < y->ns) - (x->ns > y->ns) : (x > y) - (x < y);
}

/* The kernels, most time first; NULL when memory is short. */
static const profile_row **sort_kernels(const run_profile *p) {
    const profile_row **sorted = calloc(p->n_kernels + 1, sizeof *sorted);
    for (size_t k = 0; sorted && k < p->n_kernels; k++) sorted[k] = &p->kernels[k];
    if (sorted && p->n_kernels) qsort(sorted, p->n_kernels, sizeof *sorted, compare_times);
    return sorted;
}

static void put_numbers(const run_profile *p, const profile_row *r, strbuf *out) {
    strbuf_printf(out, "%9.4f %5.1f%% %9.1f %8.1f", profile_row_ms(p, r), 100.0 * profile_row_share(p, r), profile_row_gflops(r),
                  profile_row_gbytes(r));
}

void run_profile_put_kernels(const run_profile *p, strbuf *out) {
    const profile_row **sorted = sort_kernels(p);
    if (!sorted) {
        out->failed = true;
        return;
    }
    strbuf_printf(out, "%9s %6s %9s %8s %6s  %s\n", "ms", "share", "GFLOP/s", "GB/s", "steps", "kernel");
    for (size_t k = 0; k < p->n_kernels; k++) {
        put_numbers(p, sorted[k], out);
        strbuf_printf(out, " %6zu  %s\n", sorted[k]->n_steps, sorted[k]->name);
    }
    free(sorted);
}

void run_profile_put_steps(const run_profile *p, strbuf *out) {
    int width = (int)strlen("scope");
    for (size_t i = 0; i < p->n_steps; i++)
        if (strlen(p->steps[i].scope) > (size_t)width) width = (int)strlen(p->steps[i].scope);
    strbuf_printf(out, "%9s %6s %9s %8s  %-*s  %s\n", "ms", "share", "GFLOP/s", "GB/s", width, "scope", "kernel");
    for (size_t i = 0; i < p->n_steps; i++) {
        put_numbers(p, &p->steps[i], out);
        strbuf_printf(out, "  %-*s  %s\n", width, p->steps[i].scope, p->steps[i].name);
    }
}

void run_profile_put_text(const run_profile *p, strbuf *out) {
    double ms = p->runs > 0 ? 1e-6 * (double)p->total_ns / (double)p->runs : 0.0;
    strbuf_printf(out, "profile of %lld run%s of %.3f ms on average; %s, %zu thread%s\n\n", (long long)p->runs,
                  p->runs == 1 ? "" : "s", ms, p->target ? p->target : "", p->threads, p->threads == 1 ? "" : "s");
    run_profile_put_kernels(p, out);
    strbuf_putc(out, '\n');
    run_profile_put_steps(p, out);
}

/* ---- as JSON ---- */

static void put_string(strbuf *out, const char *key, const char *text) {
    strbuf_printf(out, "\"%s\": ", key);
    strbuf_put_json(out, text, strlen(text));
}

static void put_row(const run_profile *p, const profile_row *r, strbuf *out) {
    strbuf_putc(out, '{');
    put_string(out, "kernel", r->kernel);
    strbuf_puts(out, ", ");
    put_string(out, "variant", r->variant);
    strbuf_puts(out, ", ");
    if (r->scope) put_string(out, "scope", r->scope);
    else strbuf_printf(out, "\"steps\": %zu", r->n_steps);
    strbuf_printf(out, ", \"ms\": %.6g, \"share\": %.4f, \"gflops\": %.6g, \"gbytes\": %.6g}", profile_row_ms(p, r),
                  profile_row_share(p, r), profile_row_gflops(r), profile_row_gbytes(r));
}

void run_profile_put_json(const run_profile *p, strbuf *out) {
    const profile_row **sorted = sort_kernels(p);
    if (!sorted) {
        out->failed = true;
        return;
    }
    strbuf_putc(out, '{');
    put_string(out, "target", p->target ? p->target : "");
    strbuf_printf(out, ", \"threads\": %zu, \"runs\": %lld, \"ms\": %.6g, \"kernels\": [", p->threads, (long long)p->runs,
                  p->runs > 0 ? 1e-6 * (double)p->total_ns / (double)p->runs : 0.0);
    for (size_t k = 0; k < p->n_kernels; k++) {
        if (k) strbuf_puts(out, ", ");
        put_row(p, sorted[k], out);
    }
    strbuf_puts(out, "], \"steps\": [");
    for (size_t i = 0; i < p->n_steps; i++) {
        if (i) strbuf_puts(out, ", ");
        put_row(p, &p->steps[i], out);
    }
    strbuf_puts(out, "]}\n");
    free(sorted);
}

static void put_lane(strbuf *out, size_t lane) {
    strbuf_printf(out, ",\n{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": 1, \"tid\": %zu, \"args\": {\"name\": ", 1 + lane);
    if (lane == 0) strbuf_puts(out, "\"steps\"}}");
    else strbuf_printf(out, "\"thread %zu\"}}", lane - 1);
}

static void put_event(const run_profile *p, const trace_event *e, strbuf *out) {
    const profile_row *step = e->step < p->n_steps ? &p->steps[e->step] : NULL;
    strbuf_puts(out, ",\n{");
    put_string(out, "name", step ? step->name : "run");
    strbuf_printf(out, ", \"ph\": \"X\", \"pid\": 1, \"tid\": %u, \"ts\": %.3f, \"dur\": %.3f", 1 + e->lane,
                  1e-3 * (double)e->begin_ns, 1e-3 * (double)(e->end_ns - e->begin_ns));
    if (step && e->lane == 0) {
        strbuf_puts(out, ", \"args\": {");
        put_string(out, "scope", step->scope);
        strbuf_puts(out, ", ");
        put_string(out, "variant", step->variant);
        strbuf_putc(out, '}');
    }
    strbuf_putc(out, '}');
}

void run_profile_put_trace(const run_profile *p, strbuf *out) {
    size_t in_trace = 0;
    strbuf_puts(out, "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n"
                     "{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": 1, \"args\": {\"name\": \"pofac\"}}");
    for (size_t lane = 0; lane <= p->threads; lane++) put_lane(out, lane);
    for (size_t e = 0; e < p->events.size; e++) {
        put_event(p, &p->events.data[e], out);
        in_trace += p->events.data[e].step == p->n_steps;
    }
    strbuf_puts(out, "\n], \"otherData\": {");
    put_string(out, "target", p->target ? p->target : "");
    strbuf_printf(out, ", \"threads\": %zu, \"runs\": %lld, \"runs_in_trace\": %zu}}\n", p->threads, (long long)p->runs, in_trace);
}

/* ---- names ---- */

/* Sizes have names in capitals; of the others those that are a shape as well. */
static bool is_size(const char *word, size_t n) {
    if (n == 5 && strncmp(word, "heads", 5) == 0) return true;
    if (n == 6 && strncmp(word, "tables", 6) == 0) return true;
    for (size_t i = 0; i < n; i++)
        if (!isupper((unsigned char)word[i])) return false;
    return n > 0 && !(n == 1 && *word == 'W'); /* the tile's width is the same everywhere */
}

/* The function of "v3=gelu(v1)", "" for what is only read. */
static size_t function_length(const char *value) {
    size_t n = strcspn(value, "( ");
    return value[n] == '(' ? n : 0;
}

void profile_shorten(const char *variant, strbuf *out) {
    size_t n = strcspn(variant, " ");
    strbuf_append(out, variant, n);
    for (const char *at = variant + n; *at; at += n) {
        at += strspn(at, " ");
        n = strcspn(at, " ");
        size_t key = strcspn(at, "= ");
        if (at[key] != '=') continue;
        if (is_size(at, key)) strbuf_printf(out, " %.*s", (int)n, at);
        else if (at[0] == 'v' && isdigit((unsigned char)at[1]) && function_length(at + key + 1))
            strbuf_printf(out, " %.*s", (int)function_length(at + key + 1), at + key + 1);
    }
}
