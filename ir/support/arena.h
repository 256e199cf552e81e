/*
 * Arena: memory that is freed all at once. Allocations are zeroed and aligned to 64 bytes when large, 16 otherwise. A failed
 * allocation returns NULL; callers report it once with diag_out_of_memory. Not thread-safe.
 */
#ifndef POFAC_IR_SUPPORT_ARENA_H
#define POFAC_IR_SUPPORT_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "ir/support/status.h"

typedef struct arena_block arena_block;
typedef struct arena {
    arena_block *first; /* newest block */
    size_t total_bytes; /* handed out so far */
} arena;

#define ARENA_INIT                                                                                                                 \
    { NULL, 0 }

void arena_free(arena *a); /* frees everything; the arena can be used again */
void *arena_alloc(arena *a, size_t bytes);
void *arena_copy(arena *a, const void *bytes, size_t n);
char *arena_strdup(arena *a, const char *text);
char *arena_strndup(arena *a, const char *text, size_t n);
POFAC_PRINTF(2, 3) char *arena_printf(arena *a, const char *format, ...);

/* `count` zeroed objects of TYPE; NULL when count * sizeof overflows or memory is short. */
#define ARENA_ARRAY(a, type, count) ((type *)arena_alloc_array((a), sizeof(type), (count)))
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
void *arena_alloc_array(arena *a, size_t size, size_t count);

#endif
