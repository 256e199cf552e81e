/*
 * Memory of packed weights: taken when a session is made, written once, read by every run.
 */
#ifndef POFAC_RUNTIME_WEIGHT_MEMORY_H
#define POFAC_RUNTIME_WEIGHT_MEMORY_H

#include <stddef.h>

#define WEIGHT_MEMORY_ALIGNMENT 64 /* what kernels may rely on (plan.h) */

/* NULL when memory is short; the content is undefined. To be given back with the same number of bytes; NULL is fine. */
void *weight_memory_take(size_t bytes);
void weight_memory_give(void *memory, size_t bytes);

/* For who is about to write to all of [at, at + bytes): the pages that lie in it at once, which costs less than one at a time, as they are touched. */
void weight_memory_touch(void *at, size_t bytes);

#endif
