/* What variants of a linear, in floats or in integers, or of one of its gradients, cost on this machine: one op with a made-up weight, compiled and run for each. */
#ifndef POFAC_FRONTEND_KERNEL_TIMER_H
#define POFAC_FRONTEND_KERNEL_TIMER_H

#include "codegen/codegen.h"
#include "ir/cost.h"

/* A product of n_rows tokens with a weight [N,K] of which `density` percent, times ten, are not zero, at places that a generator draws. */
typedef struct kernel_question {
    int64_t N, K, n_rows;
    int64_t per_mille;
    zero_structure structure; /* in which the places are drawn */
    linear_product product;
} kernel_question;

typedef struct kernel_candidate {
    const char *variant; /* attribute of the op; "tile=" among its words */
    bool sparse;
    double seconds; /* result: of one product; 0: it does not run here */
} kernel_candidate;

/* Fills `seconds` of each candidate within about budget_seconds. Errors are those of memory alone. */
typedef struct kernel_timer {
    pofac_status (*time)(void *user, const kernel_question *q, double budget_seconds, const diag_sink *sink, kernel_candidate *c,
                         size_t n);
    void *user;
} kernel_timer;

/*
 * The clock itself, with `options` (a cg_options that outlives it): one thread, kernels alone without conversions of layouts around
 * them. Candidates take turns, so that each finds caches as the others leave them, which is how a layer finds them, and slow spells of
 * the machine hit all; the fastest of at least 5 rounds counts. What takes several times as long as another does not stay for all rounds.
 */
kernel_timer kernel_timer_on(const cg_options *options);

#endif
