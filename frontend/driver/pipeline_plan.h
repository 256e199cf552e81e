/*
 * What a pipeline has to do: each stage of each combination of swept values, where its directory is, and the key that says what it is
 * determined by. Stages that a swept parameter does not change are one for all its values.
 *
 * A key is the hash (XXH3) of lines: pofac's version, the instruction set, the command with its arguments, options and recipe, hashes of the files that it reads
 * (input_hash.h), and in place of directories of earlier stages their keys. So where files lie plays no part, and what they hold does.
 */
#ifndef POFAC_FRONTEND_PIPELINE_PLAN_H
#define POFAC_FRONTEND_PIPELINE_PLAN_H

#include "frontend/driver/input_hash.h"
#include "frontend/driver/pipeline.h"

typedef struct pipeline_sweep {
    const char *name;
    const char *const *values; /* [n_values] */
    size_t n_values;
} pipeline_sweep;

/* One combination of values; without sweeps there is one. */
typedef struct pipeline_variant {
    const char *label; /* "seed=1,rate=2"; "" without sweeps */
    const pipeline *pipeline;
    const char **directories; /* [n_stages] */
    const char **keys;        /* [n_stages] */
} pipeline_variant;

/* A stage of a variant, the first of those that share a directory. */
typedef struct pipeline_job {
    const pipeline_variant *variant;
    size_t stage;
    const char *title;         /* "teacher", "teacher seed=1" */
    const char *determined_by; /* the lines of its key */
    const char *reads;         /* lines STAGE KEY */
} pipeline_job;

typedef struct pipeline_request {
    const char *path;
    const char *output_dir; /* NULL: as the pipeline is called */
    const xml_parameter *parameters;
    size_t n_parameters;
    const pipeline_sweep *sweeps;
    size_t n_sweeps;
} pipeline_request;

typedef struct pipeline_plan {
    const pipeline_request *request;
    const char *directory; /* of the pipeline */
    const char *isa;       /* the instruction set of this machine */
    pipeline_variant *variants;
    size_t n_variants, n_stages;
    const bool *changes;      /* [n_stages,n_sweeps]: does the parameter change the stage? */
    const pipeline_job *jobs; /* in the order in which they run */
    size_t n_jobs;
} pipeline_plan;

/* Reads the document for each combination. Everything lives in `a`; the request has to last as long as the plan. */
POFAC_MUST_USE pofac_status pipeline_plan_read(const pipeline_request *request, const pipeline_program *program, arena *a,
                                               const diag_sink *sink, pipeline_plan *out);

/* Hashes what stages read, and makes keys and jobs. */
POFAC_MUST_USE pofac_status pipeline_plan_jobs(pipeline_plan *plan, const pipeline_program *program, input_hashes *hashes, arena *a,
                                               const diag_sink *sink);

static inline const pipeline_stage *pipeline_job_stage(const pipeline_job *j) { return &j->variant->pipeline->stages[j->stage]; }
static inline const char *pipeline_job_directory(const pipeline_job *j) { return j->variant->directories[j->stage]; }

#endif
