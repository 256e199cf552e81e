/*
 * The one thread pool: pthreadpool with short-spinning workers that yield, denormals flushed to zero while a task runs (and the caller's mode restored
 * afterwards). Tasks are chunks; which thread runs a chunk never matters to the result.
 */
#ifndef POFAC_RUNTIME_THREAD_POOL_H
#define POFAC_RUNTIME_THREAD_POOL_H

#include <stddef.h>

#include "ir/support/diag.h"

typedef struct thread_pool thread_pool;

/* `threads` 0: the number of processors that affinity and the cgroup's quota leave to the process, at most OMP_NUM_THREADS when that is set. */
POFAC_MUST_USE pofac_status thread_pool_create(size_t threads, const diag_sink *sink, thread_pool **out);
void thread_pool_destroy(thread_pool *p);
size_t thread_pool_threads(const thread_pool *p);
size_t thread_pool_default_threads(void);

/* Calls task(user, worker, chunk) for every chunk in [0, n); worker is in [0, threads). Returns when all are done. */
typedef void (*thread_pool_task)(void *user, size_t worker, size_t chunk);
void thread_pool_run(thread_pool *p, thread_pool_task task, void *user, size_t n);

#endif
