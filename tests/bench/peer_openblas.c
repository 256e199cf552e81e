/*
 * OpenBLAS as a peer of linear layers: sgemm, and sgemv for one token; with threads of its own, or with one thread for each part of
 * the tokens or of the weight's rows, on pofac's pool. Its own threads spin between calls unless OPENBLAS_THREAD_TIMEOUT says otherwise.
 */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/linear_peers.h"

enum { OWN_THREADS, TOKENS, ROWS, GEMV, GEMV_ROWS };
static const char *const ways[] = {"sgemm", "sgemm, tokens shared out", "sgemm, rows shared out",
                                   "sgemv", "sgemv, rows shared out",   NULL};

typedef struct product {
    linear_task task;
    size_t way;
} product;

static void destroy(void *user) { free(user); }

static void *create(const linear_task *task, size_t way) {
    size_t threads = thread_pool_threads(task->pool);
    bool shared = way == TOKENS || way == ROWS || way == GEMV_ROWS, vector = way == GEMV || way == GEMV_ROWS;
    if ((shared && threads == 1) || (vector && task->tokens > 1) || (way == TOKENS && task->tokens < (int64_t)threads)) return NULL;
    product *p = calloc(1, sizeof *p);
    if (p) *p = (product){.task = *task, .way = way};
    return p;
}

/* y[:, first : first + rows] of the tokens [from, from + tokens). */
static void multiply(const product *p, int64_t from, int64_t tokens, int64_t first, int64_t rows) {
    const linear_task *t = &p->task;
    const float *x = t->x + from * t->K, *w = t->w + first * t->K;
    float *y = t->y + from * t->N + first;
    if (p->way == GEMV || p->way == GEMV_ROWS)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)rows, (int)t->K, 1.0f, w, (int)t->K, x, 1, 0.0f, y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)tokens, (int)rows, (int)t->K, 1.0f, x, (int)t->K, w, (int)t->K,
                    0.0f, y, (int)t->N);
}

static void multiply_part(void *user, size_t worker, size_t i) {
    const product *p = user;
    const linear_task *t = &p->task;
    int64_t parts = (int64_t)thread_pool_threads(t->pool), all = p->way == TOKENS ? t->tokens : t->N;
    int64_t first = all * (int64_t)i / parts, count = all * ((int64_t)i + 1) / parts - first;
    (void)worker;
    if (p->way == TOKENS) multiply(p, first, count, 0, t->N);
    else multiply(p, 0, t->tokens, first, count);
}

static void run(void *user) {
    product *p = user;
    size_t threads = thread_pool_threads(p->task.pool);
    bool own = p->way == OWN_THREADS || p->way == GEMV;
    openblas_set_num_threads(own ? (int)threads : 1);
    if (own) multiply(p, 0, p->task.tokens, 0, p->task.N);
    else thread_pool_run_in_series(p->task.pool, multiply_part, p, threads);
}

static void result(void *user, float *y) {
    const product *p = user;
    if (y != p->task.y) memcpy(y, p->task.y, (size_t)(p->task.tokens * p->task.N) * sizeof *y);
}

const linear_peer linear_peer_openblas = {"OpenBLAS", ways, create, run, result, destroy};
