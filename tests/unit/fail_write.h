/*
 * Failing writes for unit tests, as fail_read.h for reads: the linker's --wrap sends every write, fsync, rename, mkdir and truncation of code that
 * is linked statically through fail_write.c, which lets the n-th one fail with ENOSPC, as on a full disk.
 *
 *     for (size_t n = 1;; n++) {
 *         fail_write_after(n);
 *         ... the work, which must report the failure and leave nothing behind ...
 *         if (!fail_write_stop()) break;      the work needed fewer than n writes, and so succeeded
 *     }
 *
 * Counts are per thread.
 */
#ifndef POFAC_TESTS_UNIT_FAIL_WRITE_H
#define POFAC_TESTS_UNIT_FAIL_WRITE_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th write of this thread from now on fails (n from 1), later ones succeed again. */
void fail_write_after(size_t n);

/* The n-th and all later ones fail, until fail_write_stop. */
void fail_write_from(size_t n);

/* RENAME_EXCHANGE is unknown to the file system (EINVAL) while it is set. */
void fail_write_no_exchange(bool unknown);

/* Writes succeed from now on; true when one has failed. */
bool fail_write_stop(void);

#endif
