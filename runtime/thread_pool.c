/*
 * Chunks on threads; see thread_pool.h. pthreadpool starts one task per worker, and each draws chunk numbers from one counter, so that a worker's
 * number (and with it its scratch memory) is known to the task.
 */
#include "runtime/thread_pool.h"

#include <pthreadpool.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct thread_pool {
    pthreadpool_t workers;
};

pofac_status thread_pool_create(size_t threads, const diag_sink *sink, thread_pool **out) {
    *out = NULL;
    if (threads == 0) threads = thread_pool_default_threads();
    thread_pool *p = calloc(1, sizeof *p);
    if (!p) return diag_out_of_memory(sink);
    p->workers = pthreadpool_create(threads);
    if (!p->workers) {
        free(p);
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "cannot start %zu threads", threads);
    }
    *out = p;
    return POFAC_OK;
}

void thread_pool_destroy(thread_pool *p) {
    if (!p) return;
    pthreadpool_destroy(p->workers);
    free(p);
}

size_t thread_pool_threads(const thread_pool *p) { return pthreadpool_get_threads_count(p->workers); }

/* Processors that the cgroup's quota leaves (version 2, else version 1), rounded up; 0 when there is no quota. */
static size_t cgroup_processors(void) {
    long long quota = -1, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (f) {
        if (fscanf(f, "%lld %lld", &quota, &period) != 2) quota = -1; /* "max 100000": no quota */
        fclose(f);
    } else {
        FILE *q = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re"), *p = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
        if (!q || !p || fscanf(q, "%lld", &quota) != 1 || fscanf(p, "%lld", &period) != 1) quota = -1;
        if (q) fclose(q);
        if (p) fclose(p);
    }
    if (quota <= 0 || period <= 0) return 0;
    return (size_t)((quota + period - 1) / period);
}

size_t thread_pool_default_threads(void) {
    size_t threads = 1;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) threads = (size_t)CPU_COUNT(&set);
    size_t quota = cgroup_processors();
    if (quota > 0 && quota < threads) threads = quota;
    const char *wanted = getenv("OMP_NUM_THREADS");
    if (wanted) {
        char *end;
        unsigned long n = strtoul(wanted, &end, 10); /* "4" or the first of "4,2" */
        if (end != wanted && n > 0 && n < threads) threads = n;
    }
    return threads;
}

/* A run happens after what its caller did before, and before what the caller does next: pthreadpool promises that, but
 * ThreadSanitizer, which sees only instrumented code, has to be told. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define TSAN_RELEASE(address) __tsan_release(address)
#define TSAN_ACQUIRE(address) __tsan_acquire(address)
#endif
#endif
#ifndef TSAN_RELEASE
#define TSAN_RELEASE(address) ((void)(address))
#define TSAN_ACQUIRE(address) ((void)(address))
#endif

typedef struct draw {
    thread_pool_task task;
    void *user;
    size_t n;
    atomic_size_t next;
} draw;

static void draw_chunks(void *context, size_t worker) {
    draw *d = context;
    TSAN_ACQUIRE(d);
    for (;;) {
        size_t chunk = atomic_fetch_add_explicit(&d->next, 1, memory_order_relaxed);
        if (chunk >= d->n) break;
        d->task(d->user, worker, chunk);
    }
    TSAN_RELEASE(d);
}

void thread_pool_run(thread_pool *p, thread_pool_task task, void *user, size_t n) {
    draw d = {.task = task, .user = user, .n = n};
    atomic_init(&d.next, 0);
    size_t workers = thread_pool_threads(p);
    if (n < workers) workers = n;
    TSAN_RELEASE(&d);
    pthreadpool_parallelize_1d(p->workers, draw_chunks, &d, workers,
                               PTHREADPOOL_FLAG_DISABLE_DENORMALS | PTHREADPOOL_FLAG_YIELD_WORKERS);
    TSAN_ACQUIRE(&d);
}
