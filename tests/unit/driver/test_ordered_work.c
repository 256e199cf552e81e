/* Ordered work: results in the jobs' order for any number of threads, messages and failures at their job's turn, no more jobs in flight than it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/ordered_work.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"

typedef struct job {
    size_t number;
    uint64_t result;
} job;

typedef struct work_case {
    size_t n, taken, given, fails_to_take, fails_to_work, fails_to_give; /* numbers from 1; 0: none */
    size_t signal_at;
    atomic_size_t in_flight, most_in_flight, worked;
    size_t most_worker;
} work_case;

static pofac_status take(void *user, const diag_sink *sink, void **out) {
    work_case *c = user;
    if (c->taken == c->n) return POFAC_OK;
    const size_t number = ++c->taken;
    if (number == c->fails_to_take) return diag_error(sink, POFAC_ERR_INPUT, NULL, "cannot take %zu", number);
    job *j = calloc(1, sizeof *j);
    if (!j) return diag_out_of_memory(sink);
    j->number = number;
    *out = j;
    const size_t now = atomic_fetch_add(&c->in_flight, 1) + 1;
    if (now > c->most_in_flight) c->most_in_flight = now;
    return POFAC_OK;
}

/* Takes longer for some jobs than for others. */
static pofac_status do_work(void *user, size_t worker, void *p, const diag_sink *sink) {
    work_case *c = user;
    job *j = p;
    assert_true(worker < c->most_worker);
    const uint64_t rounds = rng_below(rng_key_make(1, "rounds"), j->number, 200);
    for (uint64_t i = 0; i < rounds; i++) j->result += rng_below(rng_key_make(2, "work"), i, 1000);
    diag_warning(sink, &(diag_place){.file = "job", .line = (uint32_t)j->number, .text = "text of a line", .text_bytes = 4},
                 "done");
    atomic_fetch_add(&c->worked, 1);
    if (j->number == c->fails_to_work) return diag_error(sink, POFAC_ERR_NUMERIC, NULL, "cannot work on %zu", j->number);
    return POFAC_OK;
}

static pofac_status give(void *user, void *p, const diag_sink *sink) {
    work_case *c = user;
    const job *j = p;
    if (j->number == c->fails_to_give) return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "cannot give %zu", j->number);
    if (j->number != c->given + 1)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found job %zu, wanted %zu", j->number, c->given + 1);
    c->given++;
    if (j->number == c->signal_at) kill(getpid(), SIGINT); /* to the process: any thread may be here */
    return POFAC_OK;
}

static void drop(void *user, void *p) {
    work_case *c = user;
    atomic_fetch_sub(&c->in_flight, 1);
    free(p);
}

static pofac_status run(work_case *c, size_t threads, interruption *stop, strbuf *said) {
    thread_pool *pool;
    const diag_sink sink = diag_sink_to_strbuf(said);
    const ordered_work w = {c, take, do_work, give, drop, stop};
    assert_int_equal(thread_pool_create(threads, NULL, &pool), POFAC_OK);
    c->most_worker = threads;
    pofac_status status = ordered_work_run(pool, &w, &sink);
    thread_pool_destroy(pool);
    assert_int_equal(c->in_flight, 0);
    if (c->most_in_flight > 3 * threads) fail_msg("found %zu jobs in flight for %zu threads", (size_t)c->most_in_flight, threads);
    return status;
}

/* "job:1: warning: done\n  text\n" and so on, n times, and what ends it. */
static void check_messages(const strbuf *said, size_t n, const char *end) {
    strbuf wanted = STRBUF_INIT;
    for (size_t i = 1; i <= n; i++) strbuf_printf(&wanted, "job:%zu: warning: done\n  text\n", i);
    strbuf_puts(&wanted, end);
    assert_string_equal(strbuf_str(said), strbuf_str(&wanted));
    strbuf_free(&wanted);
}

static const size_t thread_counts[] = {1, 2, 3, 8};

static void results_come_in_order(void **state) {
    (void)state;
    static const size_t counts[] = {0, 1, 2, 7, 500};
    for (size_t t = 0; t < 4; t++)
        for (size_t i = 0; i < 5; i++) {
            strbuf said = STRBUF_INIT;
            work_case c = {.n = counts[i]};
            assert_int_equal(run(&c, thread_counts[t], NULL, &said), POFAC_OK);
            assert_int_equal(c.given, c.n);
            check_messages(&said, c.n, "");
            strbuf_free(&said);
        }
}

static void a_failure_comes_at_its_turn(void **state) {
    (void)state;
    for (size_t t = 0; t < 4; t++)
        for (int kind = 0; kind < 3; kind++) {
            static const pofac_status wanted[] = {POFAC_ERR_INPUT, POFAC_ERR_NUMERIC, POFAC_ERR_RUNTIME};
            static const char *const messages[] = {"error: cannot take 37\n", "error: cannot work on 37\n",
                                                   "error: cannot give 37\n"};
            strbuf said = STRBUF_INIT;
            work_case c = {.n = 200};
            if (kind == 0) c.fails_to_take = 37;
            if (kind == 1) c.fails_to_work = 37;
            if (kind == 2) c.fails_to_give = 37;
            assert_int_equal(run(&c, thread_counts[t], NULL, &said), wanted[kind]);
            assert_int_equal(c.given, 36);
            check_messages(&said, kind == 0 ? 36 : 37, messages[kind]);
            strbuf_free(&said);
        }
}

static void a_signal_stops_it(void **state) {
    (void)state;
    for (size_t t = 0; t < 4; t++) {
        strbuf said = STRBUF_INIT;
        work_case c = {.n = 100000, .signal_at = 20};
        interruption stop;
        assert_int_equal(interruption_begin(&stop, NULL), POFAC_OK);
        assert_int_equal(run(&c, thread_counts[t], &stop, &said), POFAC_ERR_INTERRUPTED);
        interruption_end(&stop);
        assert_true(c.given >= 20 && c.given < c.n);
        assert_int_equal(stop.signal, SIGINT);
        strbuf_free(&said);
    }
}

static void short_memory_is_reported(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        strbuf said = STRBUF_INIT;
        thread_pool *pool;
        work_case c = {.n = 5, .most_worker = 1};
        const diag_sink sink = diag_sink_to_strbuf(&said);
        const ordered_work w = {&c, take, do_work, give, drop, NULL};
        assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
        fail_alloc_after(n);
        pofac_status status = ordered_work_run(pool, &w, &sink);
        const bool failed = fail_alloc_stop();
        thread_pool_destroy(pool);
        assert_int_equal(c.in_flight, 0);
        assert_true(status == POFAC_OK || status == POFAC_ERR_RUNTIME);
        strbuf_free(&said);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_come_in_order),
        cmocka_unit_test(a_failure_comes_at_its_turn),
        cmocka_unit_test(a_signal_stops_it),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
