/* Diagnostics that are kept, with the texts that they point to, and sent on later: from one thread to another. */
#ifndef POFAC_FRONTEND_DATA_KEPT_DIAGS_H
#define POFAC_FRONTEND_DATA_KEPT_DIAGS_H

#include <stdbool.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/support/vector.h"

typedef struct kept_diags {
    arena texts;
    VEC(diag) diags;
    bool is_short; /* memory was short: one is missing */
} kept_diags;

#define KEPT_DIAGS_INIT                                                                                                            \
    { .texts = ARENA_INIT }

/* A sink that keeps; lives as `k`. */
diag_sink kept_diags_sink(kept_diags *k);

/* Sends all on, in order; they stay kept. */
void kept_diags_send(const kept_diags *k, const diag_sink *to);

/* Forgets all. */
void kept_diags_free(kept_diags *k);

#endif
