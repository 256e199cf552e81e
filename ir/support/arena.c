/*
 * Arena: a list of zeroed blocks from calloc; an allocation takes the next aligned bytes of the newest block.
 *
 * Blocks double in size up to a limit, so that a small arena stays small and a large one calls calloc seldom. An allocation that
 * is large for a block gets a block of its own behind the newest one, whose rest stays in use. Under AddressSanitizer every
 * allocation has its own block, so that a step over the end of one is seen.
 */
#include "ir/support/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    arena_block *next;
    size_t used, size; /* bytes of data[] */
    _Alignas(16) unsigned char data[];
};

#define SMALL_ALIGNMENT 16u /* that of data[], so a small allocation in a block of its own needs no padding */
#define LARGE_ALIGNMENT 64u /* a cache line, and the widest vector */
#define LARGE_BYTES 256u    /* from here on the padding of LARGE_ALIGNMENT costs less than a quarter */
#define FIRST_BLOCK_BYTES 4096u
#define MAX_BLOCK_BYTES (1u << 20)

#if defined(__SANITIZE_ADDRESS__)
#define ONE_BLOCK_EACH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_BLOCK_EACH 1
#endif
#endif
#ifndef ONE_BLOCK_EACH
#define ONE_BLOCK_EACH 0
#endif

void arena_free(arena *a) {
    while (a->first) {
        arena_block *next = a->first->next;
        free(a->first);
        a->first = next;
    }
    a->total_bytes = 0;
}

static arena_block *new_block(size_t data_bytes) {
    arena_block *block = calloc(1, sizeof *block + data_bytes);
    if (block) block->size = data_bytes;
    return block;
}

/* `bytes` of a block at the given alignment (a power of two), or NULL when the rest of the block is too small. */
static void *take(arena_block *block, size_t bytes, size_t alignment) {
    uintptr_t at = (uintptr_t)(block->data + block->used);
    size_t padding = (size_t)(-at & (alignment - 1));
    size_t left = block->size - block->used;
    if (left < padding || left - padding < bytes) return NULL;
    void *p = block->data + block->used + padding;
    block->used += padding + bytes;
    return p;
}

void *arena_alloc(arena *a, size_t bytes) {
    if (bytes == 0) bytes = 1; /* NULL means failure only */
    if (bytes > PTRDIFF_MAX / 2) return NULL;
    size_t alignment = bytes >= LARGE_BYTES ? LARGE_ALIGNMENT : SMALL_ALIGNMENT;
    void *p = a->first && !ONE_BLOCK_EACH ? take(a->first, bytes, alignment) : NULL;
    if (!p) {
        size_t block_bytes = a->first ? a->first->size * 2 : FIRST_BLOCK_BYTES;
        if (block_bytes > MAX_BLOCK_BYTES) block_bytes = MAX_BLOCK_BYTES;
        const int own_block = ONE_BLOCK_EACH || bytes > block_bytes / 4;
        arena_block *block = new_block(own_block ? bytes + (alignment - SMALL_ALIGNMENT) : block_bytes);
        if (!block) return NULL;
        if (own_block && a->first) {
            block->next = a->first->next;
            a->first->next = block;
        } else {
            block->next = a->first;
            a->first = block;
        }
        p = take(block, bytes, alignment);
    }
    a->total_bytes += bytes;
    return p;
}

void *arena_copy(arena *a, const void *bytes, size_t n) {
    void *copy = arena_alloc(a, n);
    if (copy && n) memcpy(copy, bytes, n);
    return copy;
}

char *arena_strdup(arena *a, const char *text) { return arena_strndup(a, text, strlen(text)); }

char *arena_strndup(arena *a, const char *text, size_t n) {
    if (n == SIZE_MAX) return NULL;
    char *copy = arena_alloc(a, n + 1); /* zeroed, so the end is there */
    if (copy && n) memcpy(copy, text, n);
    return copy;
}

char *arena_printf(arena *a, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void *arena_alloc_array(arena *a, size_t size, size_t count) {
    size_t bytes;
    if (__builtin_mul_overflow(size, count, &bytes)) return NULL;
    return arena_alloc(a, bytes);
}
