/* What the parts of a report (report.h) share: runs as they were read, and the functions that turn them into parts of the page. */
#ifndef POFAC_FRONTEND_REPORT_PARTS_H
#define POFAC_FRONTEND_REPORT_PARTS_H

#include "frontend/driver/report.h"
#include "frontend/driver/size_report.h"
#include "frontend/report/metrics_table.h"

/* A number of a results file, or an option: texts as files have them. */
typedef struct report_entry {
    const char *name, *text;
} report_entry;

typedef struct report_kernel {
    const char *name; /* "linear N=3072 K=768 gelu" */
    int64_t steps;
    double ms, share, gflops, gbytes;
} report_kernel;

/* Time of a model on batches of one shape. */
typedef struct report_bench {
    bool is_there;
    const char *target;
    int64_t threads, batch, sequence;
    double median_ms, p90_ms, tokens_per_second;
    report_kernel *kernels; /* most time first */
    size_t n_kernels;
} report_bench;

typedef struct report_run {
    const char *path, *name; /* name: as the page calls it, another one for each run */
    const char *model_path;  /* NULL: there is no model */
    bool is_only_model;      /* a file that the user names, and that is a model or nothing */
    bool has_metrics;
    metrics_table metrics;
    VEC(report_entry) results;  /* of *_results.json */
    VEC(report_entry) settings; /* of the newest checkpoint, or of a pipeline's stage */
    report_bench bench;
    bool has_size;
    size_report size;
    bool has_layer;            /* a weight like report_options.layer */
    strbuf model;              /* the part of the page that shows the model */
    VEC(const char *) missing; /* sentences */
} report_run;

typedef struct report_results { /* results.json of a pipeline */
    const char *path;
    strbuf table;
} report_results;

typedef struct report {
    const report_options *options;
    const diag_sink *sink;
    arena memory;
    VEC(report_run) runs;
    VEC(report_results) results;
    bool is_full; /* there are more runs, which were left out */
} report;

/* ---- reading ---- */

/* A sentence about what a run lacks, in the page. */
POFAC_PRINTF(3, 4) POFAC_MUST_USE pofac_status report_miss(report *r, report_run *run, const char *format, ...);

void report_free_run(report_run *run);

/* Adds the run at `path`, whose page name is `name`, if it is one: a directory with metrics, results or a model, a compiled model, an output of bench. *found says so. */
POFAC_MUST_USE pofac_status report_read_run(report *r, const char *path, const char *name, bool *found);

/* Reads the run or pipeline at `path` and adds what it finds. */
POFAC_MUST_USE pofac_status report_read(report *r, const char *path);

/* The runs of a folder that is none itself, one level down; their names begin with `name`. */
POFAC_MUST_USE pofac_status report_read_folder(report *r, const char *path, const char *name, bool *found);

/* The same of a directory of `pofac run`: its table, and the runs below it. */
POFAC_MUST_USE pofac_status report_read_pipeline(report *r, const char *path, bool *found);

/* The rows "kernels" and figures of an object that `pofac bench --json` has printed; *out stays empty where `bytes` is none. */
POFAC_MUST_USE pofac_status report_bench_read(const void *bytes, size_t n, arena *a, const diag_sink *sink, report_bench *out);

/* Puts kernels in order, most time first. */
void report_bench_sort(report_bench *b);

/* ---- writing ---- */

/* Opens and measures a run's model; its part of the page and figures go into `run`. What cannot be had is a sentence. */
POFAC_MUST_USE pofac_status report_model(report *r, report_run *run);

/* Charts of all runs, and maps of sparsity. */
POFAC_MUST_USE pofac_status report_put_curves(const report *r, strbuf *out);

/* The last step that metrics speak of. */
double report_last_step(const report_run *run);

/* The table of runs; scores; options that differ; lines of metrics. */
void report_put_overview(const report *r, strbuf *out);
void report_put_results(const report *r, strbuf *out);
void report_put_settings(const report *r, strbuf *out);
POFAC_MUST_USE pofac_status report_put_values(const report *r, strbuf *out);
void report_put_bench(const report_bench *b, strbuf *out);

/* Escaped text; 12.3 MB. */
void report_put_text(const char *text, strbuf *out);
void report_put_bytes(int64_t bytes, strbuf *out);
/* <td data-value="EXACT">SHORT</td>: SHORT has at most five digits that count. */
void report_put_number(const char *exact, strbuf *out);

#endif
