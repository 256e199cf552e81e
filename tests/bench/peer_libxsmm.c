/*
 * LIBXSMM's sparse product (spmdm: the weight in slices of CSR, f32) as a peer of linear layers, on pofac's pool. It computes
 * y^T [N,columns] = w [N,K] x^T [K,columns], which spares it transposing; its code for a number of columns that is no multiple of its
 * vectors is slow, so that rounding columns up is a way of its own.
 */
#include <libxsmm.h>
#include <stdlib.h>

#include "tests/bench/linear_peers.h"

enum { TOKENS, VECTORS, BLOCKS };
static const char *const ways[] = {"spmdm", "spmdm, tokens rounded up to vectors", "spmdm, tokens rounded up to blocks", NULL};
static const int64_t multiple[] = {
    [TOKENS] = 1, [VECTORS] = 32 /* two vectors of AVX-512 */, [BLOCKS] = 96 /* its block of columns there */};

typedef struct product {
    linear_task task;
    int64_t columns;
    libxsmm_spmdm_handle handle;
    libxsmm_CSR_sparseslice *slices;
    float *x, *y; /* [K,columns], [N,columns] */
    bool made;
} product;

static void destroy(void *user) {
    product *p = user;
    if (p->made) libxsmm_spmdm_destroy(&p->handle);
    free(p->x);
    free(p->y);
    free(p);
}

static void *create(const linear_task *task, size_t way) {
    product *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    const int64_t columns = (task->tokens + multiple[way] - 1) / multiple[way] * multiple[way],
                  threads = (int64_t)thread_pool_threads(task->pool);
    *p = (product){.task = *task,
                   .columns = columns,
                   .x = aligned_alloc(64, (size_t)(task->K * columns + 16) / 16 * 64),
                   .y = aligned_alloc(64, (size_t)(task->N * columns + 16) / 16 * 64)};
    if (!p->x || !p->y || (way != TOKENS && columns == task->tokens)) {
        destroy(p);
        return NULL;
    }
    for (int64_t k = 0; k < task->K; k++)
        for (int64_t t = 0; t < columns; t++) p->x[k * columns + t] = t < task->tokens ? task->x[t * task->K + k] : 0;
    libxsmm_spmdm_init((int)task->N, (int)columns, (int)task->K, (int)threads, &p->handle, &p->slices);
    p->made = true;
    int blocks = libxsmm_spmdm_get_num_createSparseSlice_blocks(&p->handle);
    for (int i = 0; i < blocks; i++)
        libxsmm_spmdm_createSparseSlice_fp32_thread(&p->handle, 'N', task->w, p->slices, i, 0, (int)threads);
    return p;
}

static void multiply_block(void *user, size_t worker, size_t i) {
    const product *p = user;
    const float one = 1, zero = 0;
    libxsmm_spmdm_compute_fp32_thread(&p->handle, 'N', 'N', &one, p->slices, p->x, 'N', &zero, p->y, (int)i, (int)worker,
                                      (int)thread_pool_threads(p->task.pool));
}

static void run(void *user) {
    product *p = user;
    thread_pool_run_in_series(p->task.pool, multiply_block, p, (size_t)libxsmm_spmdm_get_num_compute_blocks(&p->handle));
}

static void result(void *user, float *y) {
    const product *p = user;
    for (int64_t t = 0; t < p->task.tokens; t++)
        for (int64_t n = 0; n < p->task.N; n++) y[t * p->task.N + n] = p->y[n * p->columns + t];
}

const linear_peer linear_peer_libxsmm = {"LIBXSMM", ways, create, run, result, destroy};
