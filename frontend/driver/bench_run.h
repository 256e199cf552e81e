/*
 * Timing of a model on made-up batches of one shape: whole runs and their kernels.
 */
#ifndef POFAC_FRONTEND_BENCH_RUN_H
#define POFAC_FRONTEND_BENCH_RUN_H

#include "frontend/driver/road.h"

typedef struct bench_options {
    int64_t batch, sequence; /* B, S */
    int64_t warmup, iterations;
    uint64_t seed; /* of the token ids */
} bench_options;

/* One step of the plan. */
typedef struct bench_kernel {
    const char *kernel, *variant, *scope;
    double ms, share; /* mean time of one run; of the sum over steps */
    double gflops;    /* 0 when the step does not say how many operations it needs */
} bench_kernel;

typedef struct bench_result {
    double median_ms, p90_ms, p99_ms, min_ms, sequences_per_second, tokens_per_second;
    double build_ms, pack_ms;
    int64_t peak_memory_bytes; /* of the process */
    session_memory memory;
    size_t threads;
    const char *target;
    bench_kernel *kernels; /* in the plan's order; in `a` */
    size_t n_kernels;
} bench_result;

POFAC_MUST_USE pofac_status bench_run(loaded_model *model, const road_options *road, const bench_options *options, arena *a,
                                      const diag_sink *sink, bench_result *out);

#endif
