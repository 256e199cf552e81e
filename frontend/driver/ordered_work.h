/*
 * Work on a row of jobs by all threads of a pool, with results in the jobs' order: jobs are taken one at a time, worked on side by side, and given out one at
 * a time, in the order in which they were taken. So what comes out does not depend on the number of threads. At most three jobs for each thread exist at a
 * time; that bounds the memory.
 *
 * Messages of a job come out when its turn comes. After an error no job is given out any more: everything before the job that failed was.
 */
#ifndef POFAC_FRONTEND_DRIVER_ORDERED_WORK_H
#define POFAC_FRONTEND_DRIVER_ORDERED_WORK_H

#include "frontend/driver/interruption.h"
#include "runtime/thread_pool.h"

typedef struct ordered_work {
    void *user;
    /* The next job; NULL: there are no more. */
    pofac_status (*take)(void *user, const diag_sink *sink, void **job);
    /* In any thread; `worker` is below thread_pool_threads. */
    pofac_status (*work)(void *user, size_t worker, void *job, const diag_sink *sink);
    /* In any thread, one call at a time, not at the same time as other messages of `sink`. */
    pofac_status (*give)(void *user, void *job, const diag_sink *sink);
    /* Ends the life of a job, whether it was given out or not. */
    void (*drop)(void *user, void *job);
    interruption *stop; /* looked at by the calling thread; may be NULL */
} ordered_work;

/* Runs until there are no more jobs, one fails, or a signal has come (POFAC_ERR_INTERRUPTED). */
POFAC_MUST_USE pofac_status ordered_work_run(thread_pool *pool, const ordered_work *w, const diag_sink *sink);

#endif
