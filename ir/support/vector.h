/*
 * Typed growing arrays: VEC(int) v = {0}; VEC_PUSH(&v, x). Memory is malloc'd; VEC_FREE releases it.
 * VEC_PUSH is an expression: true, or false when memory is short (the vector is unchanged then).
 */
#ifndef POFAC_IR_SUPPORT_VECTOR_H
#define POFAC_IR_SUPPORT_VECTOR_H

#include <stdbool.h>
#include <stddef.h>

#define VEC(type)                                                                                                                  \
    struct {                                                                                                                       \
        type *data;                                                                                                                \
        size_t size, capacity;                                                                                                     \
    }

/* Makes room for `wanted` items of `item_bytes`; false when memory is short. */
bool vector_reserve(void **data, size_t *capacity, size_t item_bytes, size_t wanted);

#define VEC_RESERVE(v, n) vector_reserve((void **)&(v)->data, &(v)->capacity, sizeof *(v)->data, (n))
#define VEC_PUSH(v, item) (VEC_RESERVE(v, (v)->size + 1) ? ((v)->data[(v)->size] = (item), (v)->size++, true) : false)
#define VEC_FREE(v) (vector_release((void **)&(v)->data), (v)->size = (v)->capacity = 0)
void vector_release(void **data);

#endif
