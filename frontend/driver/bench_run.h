/*
 * Timing of a model on made-up batches of one shape: whole runs and their kernels.
 */
#ifndef POFAC_FRONTEND_BENCH_RUN_H
#define POFAC_FRONTEND_BENCH_RUN_H

#include "frontend/driver/code_report.h"
#include "frontend/driver/interruption.h"
#include "frontend/driver/run_profile.h"

typedef struct bench_options {
    int64_t batch, sequence; /* B, S */
    int64_t warmup, iterations;
    uint64_t seed;      /* of the token ids */
    int64_t max_memory; /* bound for batch_memory_bytes; 0: none */
    bool report_memory; /* a note says what a run needs, before the first */
    interruption *stop; /* looked at between runs; may be NULL */
} bench_options;

typedef struct bench_result {
    double median_ms, p90_ms, p99_ms, min_ms, sequences_per_second, tokens_per_second;
    double open_ms, build_ms, pack_ms; /* open_ms: of loaded_model_open, which the caller has timed */
    int64_t ready_memory_bytes;        /* resident before the first run: weights, code and libraries */
    int64_t peak_memory_bytes;         /* the most that was resident at any time */
    session_memory memory;
    code_report code;
    size_t threads;
    const char *target;
} bench_result;

/* `profile` becomes that of a second series of runs. Strings of *out live in `a`. POFAC_ERR_USAGE: a sequence that the model does not
 * take, a batch beyond max_memory. POFAC_ERR_INTERRUPTED, without a message, when a signal has come. */
POFAC_MUST_USE pofac_status bench_run(loaded_model *model, const road_options *road, const bench_options *options,
                                      run_profile *profile, arena *a, const diag_sink *sink, bench_result *out);

#endif
