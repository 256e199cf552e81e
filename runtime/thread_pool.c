/*
 * Chunks on threads; see thread_pool.h. pthreadpool starts one task per worker, and each draws chunk numbers from one counter, so
 * that a worker's number (and with it its scratch memory) is known to the task.
 */
#include "runtime/thread_pool.h"

#include <limits.h>
#include <pthread.h>
#include <pthreadpool.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct thread_pool {
    pthreadpool_t workers;
};

static void *wait_for_gate(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* Can `n` threads run at once? pthreadpool does not look whether its threads started, and would wait for them for ever. */
static bool can_start(size_t n) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *threads = calloc(n, sizeof *threads);
    size_t started = 0;
    if (!threads) return false;
    pthread_mutex_lock(&gate);
    while (started < n && pthread_create(&threads[started], NULL, wait_for_gate, &gate) == 0) started++;
    pthread_mutex_unlock(&gate);
    for (size_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    free(threads);
    return started == n;
}

pofac_status thread_pool_create(size_t threads, const diag_sink *sink, thread_pool **out) {
    *out = NULL;
    if (threads == 0) threads = thread_pool_default_threads();
    thread_pool *p = calloc(1, sizeof *p);
    if (!p) return diag_out_of_memory(sink);
    if (threads == 1 || (threads <= THREAD_POOL_MOST && can_start(threads - 1))) p->workers = pthreadpool_create(threads);
    if (p->workers) {
        *out = p;
        return POFAC_OK;
    }
    free(p);
    return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "cannot start %zu threads", threads);
}

void thread_pool_destroy(thread_pool *p) {
    if (!p) return;
    pthreadpool_destroy(p->workers);
    free(p);
}

size_t thread_pool_threads(const thread_pool *p) { return pthreadpool_get_threads_count(p->workers); }

/* Processors that the quota in one directory of control groups leaves (version 2, else version 1), rounded up; 0 when there is
 * none. */
static size_t quota_of_directory(const char *directory) {
    char path[PATH_MAX];
    long long quota = -1, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", directory);
    FILE *f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%lld %lld", &quota, &period) != 2) quota = -1; /* "max 100000": no quota */
        fclose(f);
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
        FILE *q = fopen(path, "re");
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
        FILE *p = fopen(path, "re");
        if (!q || !p || fscanf(q, "%lld", &quota) != 1 || fscanf(p, "%lld", &period) != 1) quota = -1;
        if (q) fclose(q);
        if (p) fclose(p);
    }
    if (quota <= 0 || period <= 0) return 0;
    return (size_t)((quota - 1) / period + 1);
}

/* The least quota of the group `path` below `root` and of all groups that it is in. Changes `path`. */
static size_t quota_of_group(const char *root, char *path) {
    size_t least = 0;
    for (;;) {
        char directory[PATH_MAX];
        char *last = strrchr(path, '/');
        if (snprintf(directory, sizeof directory, "%s%s", root, path) < (int)sizeof directory) {
            size_t quota = quota_of_directory(directory);
            if (quota > 0 && (least == 0 || quota < least)) least = quota;
        }
        if (!last || !*path) return least;
        *last = 0;
    }
}

/* Does the list "a,b,c" of a line of /proc/self/cgroup have `word`? */
static bool has_word(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        if (length == n && strncmp(at, word, n) == 0) return true;
        at += length;
        if (!*at) return false;
    }
}

size_t thread_pool_quota(const char *groups, const char *root) {
    char line[PATH_MAX + 256], below[PATH_MAX];
    size_t least = 0;
    FILE *f = fopen(groups, "re");
    while (f && fgets(line, sizeof line, f)) { /* NUMBER:CONTROLLERS:PATH; version 2 has no controllers */
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        bool is_second = controllers[1] == 0;
        if (!is_second && !has_word(controllers + 1, "cpu")) continue;
        if (snprintf(below, sizeof below, is_second ? "%s" : "%s/cpu", root) >= (int)sizeof below) continue;
        size_t quota = quota_of_group(below, path);
        if (quota > 0 && (least == 0 || quota < least)) least = quota;
    }
    if (f) fclose(f);
    return least;
}

/* Processors that this process may run on. */
static size_t count_processors(void) {
    for (int most = CPU_SETSIZE; most <= 1 << 20; most *= 2) { /* the kernel refuses a set that is smaller than its own */
        cpu_set_t *set = CPU_ALLOC(most);
        if (!set) return 1;
        int known = sched_getaffinity(0, CPU_ALLOC_SIZE(most), set), n = CPU_COUNT_S(CPU_ALLOC_SIZE(most), set);
        CPU_FREE(set);
        if (known == 0) return n > 0 ? (size_t)n : 1;
    }
    return 1;
}

/* "4", or the first of "4,2"; 0 when the text is nothing of the kind. */
static size_t read_thread_count(const char *text) {
    while (*text == ' ' || *text == '\t') text++;
    size_t n = 0;
    if (*text < '0' || *text > '9') return 0;
    for (; *text >= '0' && *text <= '9'; text++) n = n < THREAD_POOL_MOST ? n * 10 + (size_t)(*text - '0') : n;
    while (*text == ' ' || *text == '\t') text++;
    return *text == 0 || *text == ',' ? n : 0;
}

size_t thread_pool_default_threads(void) {
    size_t threads = count_processors(), quota = thread_pool_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota > 0 && quota < threads) threads = quota;
    const char *text = getenv("OMP_NUM_THREADS");
    size_t wanted = text ? read_thread_count(text) : 0;
    if (wanted > 0 && wanted < threads) threads = wanted;
    return threads < THREAD_POOL_MOST ? threads : THREAD_POOL_MOST;
}

/* A run happens after what its caller did before, and before what the caller does next: pthreadpool promises that, but
 * ThreadSanitizer, which sees only instrumented code, has to be told. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#endif
#ifdef THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#define TSAN_RELEASE(address) __tsan_release(address)
#define TSAN_ACQUIRE(address) __tsan_acquire(address)
#else
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

static void run(thread_pool *p, thread_pool_task task, void *user, size_t n, uint32_t flags) {
    draw d = {.task = task, .user = user, .n = n};
    atomic_init(&d.next, 0);
    size_t workers = thread_pool_threads(p);
    if (n < workers) workers = n;
    TSAN_RELEASE(&d);
    pthreadpool_parallelize_1d(p->workers, draw_chunks, &d, workers, PTHREADPOOL_FLAG_DISABLE_DENORMALS | flags);
    TSAN_ACQUIRE(&d);
}

void thread_pool_run(thread_pool *p, thread_pool_task task, void *user, size_t n) {
    run(p, task, user, n, PTHREADPOOL_FLAG_YIELD_WORKERS);
}

void thread_pool_run_in_series(thread_pool *p, thread_pool_task task, void *user, size_t n) { run(p, task, user, n, 0); }

static void do_nothing(void *user, size_t worker, size_t chunk) {
    (void)user;
    (void)worker;
    (void)chunk;
}

/* What workers do after a run is a flag of that run. */
void thread_pool_rest(thread_pool *p) { thread_pool_run(p, do_nothing, NULL, thread_pool_threads(p)); }
