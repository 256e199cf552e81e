/* When a wrapped function of the C library fails: what fail_alloc, fail_read and fail_write count. */
#ifndef POFAC_TESTS_UNIT_FAIL_COUNTDOWN_H
#define POFAC_TESTS_UNIT_FAIL_COUNTDOWN_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct fail_countdown {
    size_t left;    /* calls until the failing one; 0: none will fail */
    bool all_later; /* after the failing one, fail too */
    bool has_failed;
} fail_countdown;

static inline void fail_countdown_begin(fail_countdown *c, size_t n, bool all_later) { *c = (fail_countdown){n, all_later, false}; }

static inline bool fail_countdown_stop(fail_countdown *c) {
    c->left = 0;
    return c->has_failed;
}

/* Does this call fail? Then errno is `error`. */
static inline bool fail_countdown_hits(fail_countdown *c, int error) {
    if (c->left == 0) return false;
    if (c->left > 1) {
        c->left--;
        return false;
    }
    c->left = c->all_later ? 1 : 0;
    c->has_failed = true;
    errno = error;
    return true;
}

#endif
