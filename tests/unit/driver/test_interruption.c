/* Signals that are asked for: from this thread and from threads that block nothing; what is ignored; what is restored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frontend/driver/interruption.h"

static void nothing_comes(void **unused) {
    (void)unused;
    interruption stop = INTERRUPTION_INIT;
    assert_int_equal(interruption_check(NULL), 0);
    assert_int_equal(interruption_check(&stop), 0);
    interruption_end(&stop);
    assert_int_equal(interruption_begin(&stop, NULL), POFAC_OK);
    assert_int_equal(interruption_check(&stop), 0);
    interruption_end(&stop);
    assert_int_equal(interruption_check(&stop), 0);
}

static void a_flag_asks_as_well(void **unused) {
    (void)unused;
    atomic_bool asked;
    atomic_init(&asked, false);
    interruption stop = {.fd = -1, .asked = &asked};
    assert_int_equal(interruption_check(&stop), 0);
    atomic_store(&asked, true);
    assert_int_equal(interruption_check(&stop), INTERRUPTION_ASKED);
    assert_int_equal(stop.signal, 0); /* none came */
    atomic_store(&asked, false);
    assert_int_equal(interruption_check(&stop), 0);
}

static void the_first_signal_counts(void **unused) {
    (void)unused;
    for (int i = 0; i < 2; i++) {
        int first = i ? SIGTERM : SIGINT, second = i ? SIGINT : SIGTERM;
        interruption stop;
        assert_int_equal(interruption_begin(&stop, NULL), POFAC_OK);
        raise(first);
        assert_int_equal(interruption_check(&stop), first);
        raise(second); /* would end the process if it were handled as before */
        raise(first);
        assert_int_equal(interruption_check(&stop), first);
        interruption_end(&stop);
        assert_int_equal(stop.signal, first);
    }
}

typedef struct waiter {
    atomic_int number, done; /* of the thread in the system; whether it may end */
} waiter;

static void *wait_without_mask(void *user) {
    waiter *w = user;
    atomic_store(&w->number, (int)syscall(SYS_gettid));
    while (!atomic_load(&w->done)) usleep(1000);
    return NULL;
}

/* A thread that was started before anything was blocked, as OpenBLAS does, gets the signal and hands it on. */
static void other_threads_hand_signals_on(void **unused) {
    (void)unused;
    interruption stop;
    waiter w;
    pthread_t thread;
    atomic_init(&w.number, 0);
    atomic_init(&w.done, 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_without_mask, &w), 0);
    while (!atomic_load(&w.number)) usleep(1000);
    assert_int_equal(interruption_begin(&stop, NULL), POFAC_OK);
    syscall(SYS_tgkill, getpid(), atomic_load(&w.number), SIGINT);
    for (int i = 0; i < 5000 && !interruption_check(&stop); i++) usleep(1000);
    assert_int_equal(interruption_check(&stop), SIGINT);
    atomic_store(&w.done, 1);
    pthread_join(thread, NULL);
    interruption_end(&stop);
}

static void ignored_signals_stay_ignored(void **unused) {
    (void)unused;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old, now;
    interruption stop;
    sigaction(SIGINT, &ignore, &old);
    assert_int_equal(interruption_begin(&stop, NULL), POFAC_OK);
    raise(SIGINT);
    assert_int_equal(interruption_check(&stop), 0);
    interruption_end(&stop);
    sigaction(SIGINT, &old, &now);
    assert_ptr_equal(now.sa_handler, SIG_IGN);
}

static void handling_is_restored(void **unused) {
    (void)unused;
    sigset_t before, after;
    struct sigaction action;
    interruption stop;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(interruption_begin(&stop, NULL), POFAC_OK);
    interruption_end(&stop);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int s = 0; s < 2; s++) {
        int number = s ? SIGTERM : SIGINT;
        assert_int_equal(sigismember(&after, number), sigismember(&before, number));
        sigaction(number, NULL, &action);
        assert_ptr_equal(action.sa_handler, SIG_DFL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_comes),
        cmocka_unit_test(a_flag_asks_as_well),
        cmocka_unit_test(the_first_signal_counts),
        cmocka_unit_test(other_threads_hand_signals_on),
        cmocka_unit_test(ignored_signals_stay_ignored),
        cmocka_unit_test(handling_is_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
