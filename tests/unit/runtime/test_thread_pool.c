/* pitfall 21: the pool: how many threads it takes, that each chunk runs once, and how denormal numbers fare in and around tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/thread_pool.h"
#include "tests/unit/fail_alloc.h"

/* ---- chunks ---- */

typedef struct coverage {
    size_t n, threads;
    atomic_int *seen;
    atomic_int busy[16]; /* tasks that a worker runs at this moment */
    atomic_bool wrong;
} coverage;

static void cover(void *user, size_t worker, size_t chunk) {
    coverage *c = user;
    if (worker >= c->threads || chunk >= c->n || atomic_fetch_add(&c->busy[worker], 1) != 0) {
        atomic_store(&c->wrong, true);
        return;
    }
    atomic_fetch_add(&c->seen[chunk], 1);
    for (int volatile i = 0; i < 200; i++) continue;
    atomic_fetch_sub(&c->busy[worker], 1);
}

static void each_chunk_runs_once_on_a_worker_of_its_own(void **unused) {
    (void)unused;
    static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 64, 1000};
    for (size_t threads = 1; threads <= 5; threads++) {
        thread_pool *p;
        assert_int_equal(thread_pool_create(threads, NULL, &p), POFAC_OK);
        assert_int_equal(thread_pool_threads(p), threads);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            coverage c = {.n = sizes[s], .threads = threads, .seen = calloc(sizes[s] + 1, sizeof(atomic_int))};
            assert_non_null(c.seen);
            thread_pool_run(p, cover, &c, c.n);
            assert_false(atomic_load(&c.wrong));
            for (size_t i = 0; i < c.n; i++)
                if (c.seen[i] != 1) fail_msg("%zu threads, %zu chunks: chunk %zu ran %d times", threads, c.n, i, (int)c.seen[i]);
            assert_int_equal(c.seen[c.n], 0);
            free((void *)c.seen);
        }
        thread_pool_destroy(p);
    }
    thread_pool_destroy(NULL);
}

typedef struct other_user {
    thread_pool *pool;
    atomic_size_t sum;
} other_user;

static void add_chunk(void *user, size_t worker, size_t chunk) {
    (void)worker;
    atomic_fetch_add((atomic_size_t *)user, chunk);
}

static void *use_pool(void *user) {
    other_user *u = user;
    for (int i = 0; i < 200; i++) thread_pool_run(u->pool, add_chunk, &u->sum, 11);
    return NULL;
}

/* Callers wait for each other. */
static void one_pool_serves_several_callers(void **unused) {
    (void)unused;
    enum { N = 4 };
    thread_pool *p;
    pthread_t threads[N];
    other_user users[N];
    assert_int_equal(thread_pool_create(2, NULL, &p), POFAC_OK);
    for (int i = 0; i < N; i++) {
        users[i].pool = p;
        atomic_init(&users[i].sum, 0);
        assert_int_equal(pthread_create(&threads[i], NULL, use_pool, &users[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(users[i].sum, 200 * 55);
    }
    thread_pool_destroy(p);
}

/* ---- denormal numbers ---- */

typedef struct halves {
    float volatile tiny[64]; /* the least normal number, halved in a task */
} halves;

static void halve(void *user, size_t worker, size_t chunk) {
    (void)worker;
    halves *h = user;
    float volatile x = 0x1p-126f;
    h->tiny[chunk] = x * 0.5f;
}

static float half_here(void) {
    float volatile x = 0x1p-126f;
    return x * 0.5f;
}

static void tasks_flush_denormals_and_callers_keep_them(void **unused) {
    (void)unused;
    for (size_t threads = 1; threads <= 4; threads++)
        for (size_t n = 1; n <= 64; n *= 4) {
            thread_pool *p;
            halves h;
            memset((void *)&h, 0x55, sizeof h);
            assert_int_equal(thread_pool_create(threads, NULL, &p), POFAC_OK);
            assert_true(half_here() == 0x1p-127f);
            thread_pool_run(p, halve, &h, n);
            for (size_t i = 0; i < n; i++)
                if (h.tiny[i] != 0) fail_msg("%zu threads, chunk %zu of %zu: found %g, wanted 0", threads, i, n, (double)h.tiny[i]);
            if (half_here() != 0x1p-127f) fail_msg("%zu threads, %zu chunks: the caller's denormals are gone", threads, n);
            thread_pool_destroy(p);
        }
}

/* ---- number of threads ---- */

static size_t processors(void) {
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    return (size_t)CPU_COUNT(&set);
}

static void default_threads(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        size_t wanted; /* 0: as if it were not set */
    } cases[] = {{"1", 1},
                 {" 1 ", 1},
                 {"1,4", 1},
                 {"1 , 4", 1},
                 {"+1", 0},
                 {"", 0},
                 {" ", 0},
                 {"0", 0},
                 {"-1", 0},
                 {"1x", 0},
                 {"x1", 0},
                 {"1.5", 0},
                 {"0x1", 0},
                 {",1", 0},
                 {"one", 0},
                 {"1;2", 0},
                 {"10000", 0},
                 {"18446744073709551617", 0},
                 {"99999999999999999999999999999", 0}};
    assert_int_equal(unsetenv("OMP_NUM_THREADS"), 0);
    const size_t all = thread_pool_default_threads();
    assert_true(all >= 1 && all <= processors());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(setenv("OMP_NUM_THREADS", cases[i].text, 1), 0);
        size_t found = thread_pool_default_threads(), wanted = cases[i].wanted ? cases[i].wanted : all;
        if (found != wanted) fail_msg("OMP_NUM_THREADS=\"%s\": found %zu threads, wanted %zu", cases[i].text, found, wanted);
    }
    assert_int_equal(setenv("OMP_NUM_THREADS", "1", 1), 0);
    thread_pool *p;
    assert_int_equal(thread_pool_create(0, NULL, &p), POFAC_OK);
    assert_int_equal(thread_pool_threads(p), 1);
    thread_pool_destroy(p);
    assert_int_equal(unsetenv("OMP_NUM_THREADS"), 0);
}

static void affinity_is_respected(void **unused) {
    (void)unused;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    size_t found = thread_pool_default_threads();
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(found, 1);
}

/* A tree of control groups in a temporary directory. */
static void put_text(const char *root, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = strchr(path + strlen(root) + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void quotas_of_control_groups(void **unused) {
    (void)unused;
    static const struct {
        const char *groups;
        const char *files[6]; /* name, content, ... */
        size_t wanted;
    } cases[] = {
        {"0::/\n", {0}, 0},
        {"0::/\n", {"cpu.max", "max 100000\n"}, 0},
        {"0::/\n", {"cpu.max", "200000 100000\n"}, 2},
        {"0::/\n", {"cpu.max", "250000 100000\n"}, 3},
        {"0::/\n", {"cpu.max", "1000 100000\n"}, 1},
        {"0::/\n", {"cpu.max", "garbage\n"}, 0},
        {"0::/\n", {"cpu.max", ""}, 0},
        {"0::/\n", {"cpu.max", "-5 100000\n"}, 0},
        {"0::/\n", {"cpu.max", "100000 0\n"}, 0},
        {"0::/\n", {"cpu.max", "9223372036854775807 1\n"}, INT64_MAX},
        {"0::/a/b\n", {"a/b/cpu.max", "400000 100000\n"}, 4},
        {"0::/a/b\n", {"a/b/cpu.max", "400000 100000\n", "a/cpu.max", "300000 100000\n"}, 3},
        {"0::/a/b\n", {"a/b/cpu.max", "max 100000\n", "a/cpu.max", "max 100000\n", "cpu.max", "100000 100000\n"}, 1},
        {"0::/gone/away\n", {"cpu.max", "200000 100000\n"}, 2},
        {"4:cpu,cpuacct:/x\n0::/\n", {"cpu/x/cpu.cfs_quota_us", "150000\n", "cpu/x/cpu.cfs_period_us", "100000\n"}, 2},
        {"4:cpuacct,cpu:/\n", {"cpu/cpu.cfs_quota_us", "-1\n", "cpu/cpu.cfs_period_us", "100000\n"}, 0},
        {"4:cpuacct:/\n", {"cpu/cpu.cfs_quota_us", "100000\n", "cpu/cpu.cfs_period_us", "100000\n"}, 0},
        {"4:cpu:/\n", {"cpu/cpu.cfs_quota_us", "100000\n"}, 0},
        {"nonsense\n4\n:\n", {"cpu.max", "100000 100000\n"}, 0},
        {"", {"cpu.max", "100000 100000\n"}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[] = "/tmp/pofac-groups-XXXXXX", groups[64], command[64];
        assert_non_null(mkdtemp(root));
        put_text(root, "groups", cases[i].groups);
        for (size_t f = 0; f < 6 && cases[i].files[f]; f += 2) put_text(root, cases[i].files[f], cases[i].files[f + 1]);
        snprintf(groups, sizeof groups, "%s/groups", root);
        size_t found = thread_pool_quota(groups, root);
        snprintf(command, sizeof command, "rm -r %s", root);
        assert_int_equal(system(command), 0);
        if (found != cases[i].wanted) fail_msg("case %zu: found %zu processors, wanted %zu", i, found, cases[i].wanted);
    }
    assert_int_equal(thread_pool_quota("/nowhere/groups", "/nowhere"), 0);
}

/* ---- failures ---- */

static void pools_that_cannot_be(void **unused) {
    (void)unused;
    strbuf text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&text);
    thread_pool *p;
    assert_int_equal(thread_pool_create(THREAD_POOL_MOST + 1, &sink, &p), POFAC_ERR_RUNTIME);
    assert_null(p);
    assert_string_equal(strbuf_str(&text), "error: cannot start 4097 threads\n");
    strbuf_free(&text);
}

/* Where the system lets no more threads start: in a process of its own, with little address space. */
static void too_many_threads_are_an_error(void **unused) {
    (void)unused;
    const char *sanitizers = getenv("POFAC_SANITIZE");
    if (sanitizers && *sanitizers) {
        print_message("SKIP: sanitizers want the whole address space\n");
        skip();
    }
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {.rlim_cur = (rlim_t)256 << 20, .rlim_max = (rlim_t)256 << 20};
        thread_pool *p = NULL;
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
        alarm(60);
        _exit(thread_pool_create(500, NULL, &p) == POFAC_ERR_RUNTIME && !p && thread_pool_create(2, NULL, &p) == POFAC_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void failing_allocations(void **unused) {
    (void)unused;
    for (size_t n = 1;; n++) {
        thread_pool *p;
        fail_alloc_after(n);
        pofac_status status = thread_pool_create(2, NULL, &p);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        assert_int_equal(p == NULL, failed);
        thread_pool_destroy(p);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_chunk_runs_once_on_a_worker_of_its_own),
        cmocka_unit_test(one_pool_serves_several_callers),
        cmocka_unit_test(tasks_flush_denormals_and_callers_keep_them),
        cmocka_unit_test(default_threads),
        cmocka_unit_test(affinity_is_respected),
        cmocka_unit_test(quotas_of_control_groups),
        cmocka_unit_test(pools_that_cannot_be),
        cmocka_unit_test(too_many_threads_are_an_error),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
