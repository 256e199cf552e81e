/*
 * Signals as a file descriptor; see interruption.h.
 *
 * The main thread blocks the signals and reads them from a signalfd. Threads of foreign libraries may have been started earlier, when
 * nothing was blocked (OpenBLAS starts some before main), and the kernel may hand them the signal: their handler sends it on to
 * the main thread, where it waits to be read. So no state is shared with a handler.
 */
#include "frontend/driver/interruption.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int signals[2] = {SIGINT, SIGTERM};

/* Runs in a thread that does not block the signal. The main thread's number is the process's. */
static void send_on(int number) {
    int saved = errno;
    syscall(SYS_tgkill, getpid(), getpid(), number);
    errno = saved;
}

pofac_status interruption_begin(interruption *i, const diag_sink *sink) {
    sigset_t set;
    const struct sigaction action = {.sa_handler = send_on, .sa_flags = SA_RESTART};
    *i = (interruption)INTERRUPTION_INIT;
    sigemptyset(&set);
    for (int s = 0; s < 2; s++) {
        sigaction(signals[s], NULL, &i->old_actions[s]);
        if (i->old_actions[s].sa_handler != SIG_IGN) sigaddset(&set, signals[s]);
    }
    i->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (i->fd < 0) return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "cannot watch for signals: %s", strerror(errno));
    pthread_sigmask(SIG_BLOCK, &set, &i->old_mask);
    for (int s = 0; s < 2; s++)
        if (sigismember(&set, signals[s])) sigaction(signals[s], &action, NULL);
    return POFAC_OK;
}

void interruption_end(interruption *i) {
    if (i->fd < 0) return;
    interruption_check(i);
    for (int s = 0; s < 2; s++) sigaction(signals[s], &i->old_actions[s], NULL);
    pthread_sigmask(SIG_SETMASK, &i->old_mask, NULL);
    close(i->fd);
    i->fd = -1;
}

int interruption_check(interruption *i) {
    struct signalfd_siginfo info;
    if (i && i->asked && atomic_load(i->asked)) return INTERRUPTION_ASKED;
    if (!i || i->fd < 0) return i ? i->signal : 0;
    while (read(i->fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (!i->signal) i->signal = (int)info.ssi_signo;
    return i->signal;
}

bool interruption_wait(interruption *i, int fd) {
    struct pollfd polled[2] = {{.fd = fd, .events = POLLIN}, {.fd = i ? i->fd : -1, .events = POLLIN}};
    for (;;) {
        if (interruption_check(i)) return false;
        if (poll(polled, 2, -1) < 0 && errno != EINTR) return true; /* reading will say what is wrong */
        if (polled[1].revents) continue;
        if (polled[0].revents) return true;
    }
}
