/* The functions that the linker calls instead of the allocating ones of the C library (ld's --wrap). */
#include "tests/unit/fail_alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fail_countdown.h"

static _Thread_local fail_countdown countdown;

void fail_alloc_after(size_t n) { fail_countdown_begin(&countdown, n, false); }

void fail_alloc_from(size_t n) { fail_countdown_begin(&countdown, n, true); }

bool fail_alloc_stop(void) { return fail_countdown_stop(&countdown); }

static bool fails(void) { return fail_countdown_hits(&countdown, ENOMEM); }

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
