/* Growing of typed arrays: capacity doubles, so n pushes cost O(n). */
#include "ir/support/vector.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 8u

/* `data` is the address of a pointer of another type, so it is read and written as bytes. */
bool vector_reserve(void **data, size_t *capacity, size_t item_bytes, size_t wanted) {
    if (wanted <= *capacity) return true;
    size_t grown = *capacity > SIZE_MAX / 2 ? wanted : *capacity * 2;
    if (grown < wanted) grown = wanted;
    if (grown < FIRST_CAPACITY) grown = FIRST_CAPACITY;
    size_t bytes;
    if (__builtin_mul_overflow(grown, item_bytes, &bytes) || bytes > PTRDIFF_MAX) return false;
    void *old;
    memcpy(&old, data, sizeof old);
    void *moved = realloc(old, bytes);
    if (!moved) return false;
    memcpy(data, &moved, sizeof moved);
    *capacity = grown;
    return true;
}

void vector_release(void **data) {
    void *old;
    memcpy(&old, data, sizeof old);
    free(old);
    old = NULL;
    memcpy(data, &old, sizeof old);
}
