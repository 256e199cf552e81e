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

#endif
