/*
 * Failing reads for unit tests, as fail_alloc.h for allocations: the linker's --wrap sends every open, fstat, mmap of a file and read of
 * code that is linked statically through fail_read.c, which lets the n-th one fail with EIO.
 *
 *     for (size_t n = 1;; n++) {
 *         fail_read_after(n);
 *         ... the work, which must report the failure and close all it opened ...
 *         if (!fail_read_stop()) break;      the work needed fewer than n reads, and so succeeded
 *     }
 *
 * Counts are per thread.
 */
#ifndef POFAC_TESTS_UNIT_FAIL_READ_H
#define POFAC_TESTS_UNIT_FAIL_READ_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th read of this thread from now on fails (n from 1), later ones succeed again. */
void fail_read_after(size_t n);

/* Reads succeed from now on; true when one has failed. */
bool fail_read_stop(void);

#endif
