/*
 * Running a pipeline: its stages one after the other, each as a child process of this program with a directory of its own:
 *
 *   OUT/manifest.json          what determines the results: document, parameters, stages with their keys, versions, processor
 *   OUT/STAGE/manifest.json    stage_manifest.h
 *   OUT/STAGE/recipe.xml       the recipe with all values in place, if the stage has one
 *   OUT/STAGE/stdout.txt       what the command printed
 *   OUT/STAGE/log.txt          its command line, and what it said, each line with the seconds since its start
 *   OUT/STAGE/...              what it wrote
 *   OUT/results.json, .md      pipeline_results.h
 *
 * With sweeps, stages are in OUT/NAME=VALUE/ or, unchanged by all of them, in OUT/shared/. A stage is passed over when its manifest has its key and its files are
 * there; one that was interrupted goes on where its command can. The directory is held by one process at a time.
 */
#ifndef POFAC_FRONTEND_PIPELINE_RUN_H
#define POFAC_FRONTEND_PIPELINE_RUN_H

#include "frontend/driver/interruption.h"
#include "frontend/driver/pipeline_plan.h"

typedef enum pipeline_moment {
    PIPELINE_BEGINS, /* a stage; `text` says why it runs */
    PIPELINE_WORKS,  /* about once a second; `text` is how far it is */
    PIPELINE_ENDS,   /* `text`: "done", "unchanged", "failed" or what a dry run would do */
} pipeline_moment;

typedef struct pipeline_event {
    pipeline_moment moment;
    size_t number, n; /* of the job, from 1; of all */
    const char *title, *text;
    double seconds; /* since the stage's start; negative: it did not run */
} pipeline_event;

typedef struct pipeline_run_options {
    pipeline_request request;
    const char *from;    /* this stage and all behind it run again; NULL: none has to */
    const char *program; /* file to execute for a stage */
    interruption *stop;
    void (*tell)(void *user, const pipeline_event *event);
    void *user;
} pipeline_run_options;

/* Says through `tell` what would be done, and does nothing. */
POFAC_MUST_USE pofac_status pipeline_dry_run(const pipeline_run_options *o, const pipeline_program *program, arena *a,
                                             const diag_sink *sink);

/*
 * Appends the table of results as Markdown. Of a stage that fails the status is that of its exit where it is one of a pofac_status, with
 * *exit_status as it was; POFAC_ERR_INTERRUPTED: a signal came to this process, or ended the stage (*exit_status is 128 + signal then).
 */
POFAC_MUST_USE pofac_status pipeline_execute(const pipeline_run_options *o, const pipeline_program *program, arena *a,
                                             const diag_sink *sink, strbuf *table, int *exit_status);

#endif
