/*
 * The one thread pool: pthreadpool with short-spinning workers that yield, denormals flushed to zero while a task runs (and the
 * caller's mode restored afterwards). Tasks are chunks; which thread runs a chunk never matters to the result.
 */
#ifndef POFAC_RUNTIME_THREAD_POOL_H
#define POFAC_RUNTIME_THREAD_POOL_H

#include <stddef.h>

#include "ir/support/diag.h"

typedef struct thread_pool thread_pool;

#define THREAD_POOL_MOST 4096 /* threads of a pool */

/* `threads` 0: thread_pool_default_threads(). POFAC_ERR_RUNTIME when the system does not let so many run. */
POFAC_MUST_USE pofac_status thread_pool_create(size_t threads, const diag_sink *sink, thread_pool **out);
void thread_pool_destroy(thread_pool *p);
size_t thread_pool_threads(const thread_pool *p);

/* The processors that affinity and the control group's quota leave to the process, at most OMP_NUM_THREADS (a number, or a list of
 * which the first counts) when that is set. */
size_t thread_pool_default_threads(void);

/* Processors that the quotas of control groups leave, rounded up; 0 when there is no quota. `groups` is a file like
 * /proc/self/cgroup, `root` where the groups' directories are mounted. */
size_t thread_pool_quota(const char *groups, const char *root);

/* Calls task(user, worker, chunk) for every chunk in [0, n); worker is in [0, threads). Returns when all are done. */
typedef void (*thread_pool_task)(void *user, size_t worker, size_t chunk);
void thread_pool_run(thread_pool *p, thread_pool_task task, void *user, size_t n);

/* The same, after which the workers stay awake for the next run instead of sleeping, which takes tens of microseconds to end. Whoever
 * makes a series of runs ends it with thread_pool_rest. */
void thread_pool_run_in_series(thread_pool *p, thread_pool_task task, void *user, size_t n);
void thread_pool_rest(thread_pool *p);

#endif
