/*
 * Peers of linear layers: libraries that compute y = x w^T, x [tokens,K], w [N,K], y [tokens,N], all in rows.
 *
 * A peer packs the weight, and brings x into the layout that it likes best, when a product is made: outside of the time that counts.
 * It names the ways in which its library can be asked for the product; the benchmark keeps the fastest. oneDNN and LIBXSMM are
 * optional: CMake sets HAVE_ONEDNN and HAVE_LIBXSMM where it finds them.
 */
#ifndef POFAC_TESTS_BENCH_LINEAR_PEERS_H
#define POFAC_TESTS_BENCH_LINEAR_PEERS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/thread_pool.h"

/* What is to be computed. Arrays and pool outlive the products that are made of it. */
typedef struct linear_task {
    int64_t N, K, tokens;
    const float *w, *x;
    float *y; /* results may lie here, where those of other products lie too, between run and result; or where the library likes */
    thread_pool *pool; /* its number of threads is what a peer may use, here or in threads of its own */
} linear_task;

typedef struct linear_peer {
    const char *name;
    const char *const *ways; /* NULL after the last */
    /* A product made ready; NULL: not in this way. */
    void *(*create)(const linear_task *task, size_t way);
    void (*run)(void *product);
    void (*result)(void *product, float *y); /* of the last run */
    void (*destroy)(void *product);
} linear_peer;

extern const linear_peer linear_peer_openblas, linear_peer_onednn, linear_peer_libxsmm;

#endif
