/*
 * Ctrl-C as something to ask for: between interruption_begin and interruption_end, SIGINT and SIGTERM no longer end the process but are
 * noted, and long work looks between two steps whether it shall stop, finish what is whole, and return POFAC_ERR_INTERRUPTED.
 *
 * For programs, not for libraries: it changes the process's signal handling. To be used by the main thread. Signals that the process
 * was started to ignore stay ignored.
 */
#ifndef POFAC_FRONTEND_INTERRUPTION_H
#define POFAC_FRONTEND_INTERRUPTION_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "ir/support/diag.h"

typedef struct interruption {
    int fd;                   /* readable when a signal has come that was not read yet; -1: not begun */
    int signal;               /* the first that came, or 0 */
    const atomic_bool *asked; /* true asks to stop as a signal does, from any thread; NULL: nobody asks so */
    sigset_t old_mask;
    struct sigaction old_actions[2];
} interruption;

#define INTERRUPTION_INIT                                                                                                          \
    { .fd = -1 }

POFAC_MUST_USE pofac_status interruption_begin(interruption *i, const diag_sink *sink);
void interruption_end(interruption *i); /* i->signal stays; fine when nothing was begun */

#define INTERRUPTION_ASKED (-1)

/* The signal that came, INTERRUPTION_ASKED, or 0. `i` may be NULL: none ever comes. */
int interruption_check(interruption *i);

/* Waits until `fd` can be read or a signal has come; true when `fd` can be read. */
bool interruption_wait(interruption *i, int fd);

#endif
