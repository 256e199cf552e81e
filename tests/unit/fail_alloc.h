/*
 * Failing allocations for unit tests. The linker's --wrap sends every allocation of code that is linked statically (pofac's, the
 * tests', not that of shared libraries) through fail_alloc.c, which lets the n-th one fail.
 *
 *     for (size_t n = 1;; n++) {
 *         fail_alloc_after(n);
 *         ... the work, which must report the failure and free all it took ...
 *         if (!fail_alloc_stop()) break;      the work needed fewer than n allocations, and so succeeded
 *     }
 *
 * Counts are per thread. Leaks are found by LeakSanitizer in the asan-ubsan build.
 */
#ifndef POFAC_TESTS_UNIT_FAIL_ALLOC_H
#define POFAC_TESTS_UNIT_FAIL_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation of this thread from now on fails (n from 1), later ones succeed again. */
void fail_alloc_after(size_t n);

/* The n-th and all later ones fail, until fail_alloc_stop. */
void fail_alloc_from(size_t n);

/* Allocations succeed from now on; true when one has failed. */
bool fail_alloc_stop(void);

#endif
