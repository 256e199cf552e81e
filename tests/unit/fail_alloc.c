/* The functions that the linker calls instead of the allocating ones of the C library (ld's --wrap). */
#include "tests/unit/fail_alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local size_t left;    /* allocations until the failing one; 0: none will fail */
static _Thread_local bool all_later; /* after the failing one, fail too */
static _Thread_local bool has_failed;

void fail_alloc_after(size_t n) {
    left = n;
    all_later = has_failed = false;
}

void fail_alloc_from(size_t n) {
    left = n;
    all_later = true;
    has_failed = false;
}

bool fail_alloc_stop(void) {
    left = 0;
    return has_failed;
}

static bool fails(void) {
    if (left == 0) return false;
    if (left > 1) {
        left--;
        return false;
    }
    left = all_later ? 1 : 0;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
int __real_posix_memalign(void **out, size_t alignment, size_t n);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
int __wrap_posix_memalign(void **out, size_t alignment, size_t n);

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }
char *__wrap_strndup(const char *text, size_t n) { return fails() ? NULL : __real_strndup(text, n); }
void *__wrap_aligned_alloc(size_t alignment, size_t n) { return fails() ? NULL : __real_aligned_alloc(alignment, n); }
int __wrap_posix_memalign(void **out, size_t alignment, size_t n) {
    return fails() ? ENOMEM : __real_posix_memalign(out, alignment, n);
}
