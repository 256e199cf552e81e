/*
 * Where the time of runs goes: time, operations and bytes of each step of a plan, summed over all runs, whatever their shapes, and the
 * same by kernel; as text, as JSON, or as a trace that chrome://tracing and Perfetto show.
 */
#ifndef POFAC_FRONTEND_RUN_PROFILE_H
#define POFAC_FRONTEND_RUN_PROFILE_H

#include "frontend/driver/road.h"

/* A step, or all steps of one kernel; sums over all runs. */
typedef struct profile_row {
    const char *kernel, *variant; /* as in plan_step */
    const char *name;             /* the variant in short: "linear N=3072 K=768 gelu" */
    const char *scope;            /* of a step; NULL for a kernel */
    size_t n_steps;               /* of a kernel; 1 for a step */
    int64_t ns;
    double flops, bytes; /* where the plan has estimates */
} profile_row;

typedef struct run_profile run_profile;

run_profile *run_profile_create(void); /* NULL when memory is short */
void run_profile_destroy(run_profile *p);

/* Starts profiling a session's runs; forgets what was profiled before. The plan may be destroyed before the profile is read. */
POFAC_MUST_USE pofac_status run_profile_attach(run_profile *p, const runnable *r, const diag_sink *sink);
/* Takes in the session's last run. */
POFAC_MUST_USE pofac_status run_profile_add(run_profile *p, const runnable *r, const diag_sink *sink);

/* The steps in the plan's order; the kernels in the order of their first steps. They live until the profile is attached again. */
const profile_row *run_profile_steps(const run_profile *p, size_t *n);
const profile_row *run_profile_kernels(const run_profile *p, size_t *n);
int64_t run_profile_runs(const run_profile *p);
double profile_row_ms(const run_profile *p, const profile_row *r);    /* of one run, on average */
double profile_row_share(const run_profile *p, const profile_row *r); /* of the time of all steps */
double profile_row_gflops(const profile_row *r);                      /* GFLOP/s; 0 when not known */
double profile_row_gbytes(const profile_row *r);                      /* GB/s */

/* Appends the kernels' table (most time first) / the steps' table / both, after a line about the runs. */
void run_profile_put_kernels(const run_profile *p, strbuf *out);
void run_profile_put_steps(const run_profile *p, strbuf *out);
void run_profile_put_text(const run_profile *p, strbuf *out);

/* One object: {"target", "threads", "runs", "ms", "kernels": [{"kernel", "variant", "steps", "ms", "share", "gflops", "gbytes"}],
 * "steps": [{"kernel", "variant", "scope", "ms", ...}]}; ms are of one run. */
void run_profile_put_json(const run_profile *p, strbuf *out);

/* Trace Event Format, of the first runs: lane 1 has the runs and their steps, the lanes after it when each thread worked on which. */
void run_profile_put_trace(const run_profile *p, strbuf *out);

/* "linear N=768 K=768 W=32 panel=8 ... v1=gelu(v0)" -> "linear N=768 K=768 gelu": the sizes and what is computed, not how. */
void profile_shorten(const char *variant, strbuf *out);

#endif
