/* The functions that the linker calls instead of the writing ones of the C library (ld's --wrap). */
#include "tests/unit/fail_write.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/unit/fail_countdown.h"

static _Thread_local fail_countdown countdown;
static _Thread_local bool no_exchange;

void fail_write_after(size_t n) { fail_countdown_begin(&countdown, n, false); }

void fail_write_from(size_t n) { fail_countdown_begin(&countdown, n, true); }

void fail_write_no_exchange(bool unknown) { no_exchange = unknown; }

bool fail_write_stop(void) { return fail_countdown_stop(&countdown); }

static bool fails(void) { return fail_countdown_hits(&countdown, ENOSPC); }

ssize_t __real_write(int fd, const void *bytes, size_t n);
int __real_rename(const char *from, const char *to);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __real_mkdir(const char *path, mode_t mode);
int __real_truncate(const char *path, off_t n);

ssize_t __wrap_write(int fd, const void *bytes, size_t n);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_truncate(const char *path, off_t n);

ssize_t __wrap_write(int fd, const void *bytes, size_t n) { return fails() ? -1 : __real_write(fd, bytes, n); }

/* Never asks the disk: tests are about processes that end, not about power that fails, and some save thousands of times. */
int __wrap_fsync(int fd) {
    (void)fd;
    return fails() ? -1 : 0;
}

int __wrap_rename(const char *from, const char *to) { return fails() ? -1 : __real_rename(from, to); }

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    if (no_exchange && (flags & RENAME_EXCHANGE)) {
        errno = EINVAL;
        return -1;
    }
    return fails() ? -1 : __real_renameat2(from_dir, from, to_dir, to, flags);
}

int __wrap_mkdir(const char *path, mode_t mode) { return fails() ? -1 : __real_mkdir(path, mode); }

int __wrap_truncate(const char *path, off_t n) { return fails() ? -1 : __real_truncate(path, n); }
