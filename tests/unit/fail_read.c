/* The functions that the linker calls instead of the reading ones of the C library (ld's --wrap). */
#include "tests/unit/fail_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fail_countdown.h"

static _Thread_local fail_countdown countdown;

void fail_read_after(size_t n) { fail_countdown_begin(&countdown, n, false); }

bool fail_read_stop(void) { return fail_countdown_stop(&countdown); }

static bool fails(void) { return fail_countdown_hits(&countdown, EIO); }

int __real_open(const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *out);
void *__real_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset);
ssize_t __real_read(int fd, void *out, size_t n);

int __wrap_open(const char *path, int flags, ...);
int __wrap_fstat(int fd, struct stat *out);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset);
ssize_t __wrap_read(int fd, void *out, size_t n);

int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return fails() ? -1 : __real_open(path, flags, mode);
}

int __wrap_fstat(int fd, struct stat *out) { return fails() ? -1 : __real_fstat(fd, out); }

void *__wrap_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
    return fd >= 0 && fails() ? MAP_FAILED : __real_mmap(at, n, protection, flags, fd, offset);
}

ssize_t __wrap_read(int fd, void *out, size_t n) { return fails() ? -1 : __real_read(fd, out, n); }
