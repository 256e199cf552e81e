/*
 * The BLAS library: the dense baseline of benchmarks, and the kernel blas_linear where a measurement finds it best. One thread per call, always: pofac's pool
 * is the only one, and a library's own threads would change the bits of a result with their number.
 */
#ifndef POFAC_RUNTIME_BLAS_H
#define POFAC_RUNTIME_BLAS_H

#include <stddef.h>
#include <stdint.h>

/* Y [R,N] = X [R,K] * W [N,K]^T, all row-major and packed. */
void blas_linear(const float *x, const float *w, int64_t rows, int64_t n, int64_t k, float *y);

/* Its two gradients: dX [R,K] = dY [R,N] * W [N,K]; rows [first, first + count) of dW [N,K] = dY^T * X [R,K], into dw [count,K]. */
void blas_linear_input_gradient(const float *dy, const float *w, int64_t rows, int64_t n, int64_t k, float *dx);
void blas_linear_weight_gradient(const float *x, const float *dy, int64_t rows, int64_t n, int64_t k, int64_t first, int64_t count,
                                 float *dw);

/* Before any number of threads call the next one: each call is to stay on its thread. */
void blas_begin(void);

/* A plan_kernel (ir/plan.h): x [R,K] and y [R,N] in tiles<W>, w [N,K] in rows. buffers: x, w, y, [bias [N]]; dims: R, N, K, W, 1 with a
 * bias. Unit u is tile u / B with LIBRARY_BLAS_ROWS rows of w from that times (u % B) on, B = ceil(N / LIBRARY_BLAS_ROWS); units past the last tile do nothing. */
void blas_linear_tiles(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch);

/* "OpenBLAS 0.3.21 ...", as the library says. */
const char *blas_version(void);

/* The processor whose kernels the library has chosen: "SkylakeX", "Zen", ... */
const char *blas_kernels(void);

#endif
