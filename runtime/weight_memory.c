/*
 * Small blocks are malloc's. A large one is a mapping of its own: beside malloc's blocks, weights that are made and freed one after the
 * other would leave holes between those that stay.
 *
 * Huge pages are not asked for: on a virtual machine they made packing 2 to 4 times slower, for memory that the machine had to find
 * first, and no run of one sequence faster.
 */
#include "runtime/weight_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE_BYTES ((size_t)1 << 20)

void *weight_memory_take(size_t bytes) {
    void *memory;
    if (bytes < LARGE_BYTES)
        return posix_memalign(&memory, WEIGHT_MEMORY_ALIGNMENT, bytes ? bytes : WEIGHT_MEMORY_ALIGNMENT) == 0 ? memory : NULL;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void weight_memory_give(void *memory, size_t bytes) {
    if (bytes < LARGE_BYTES) free(memory);
    else if (memory) munmap(memory, bytes);
}

void weight_memory_touch(void *at, size_t bytes) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)at;
    const uintptr_t begin = (first + page - 1) / page * page, end = (first + bytes) / page * page;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_POPULATE_WRITE); /* a system that cannot do so does it page by page */
}
